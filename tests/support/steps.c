/* SPDX-License-Identifier: MIT */
/* Work that says when it ran: see steps.h. */
#include "support/steps.h"

#include <string.h>

#include "support/harness.h"

char steps_run[32];

void run_step(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct step *step = CMDI_CONTAINER(work, struct step, work);
    size_t size = strlen(steps_run);
    CU_ASSERT_FALSE(cmdi_work_queued(work)); // So it may queue itself again.
    CU_ASSERT_FATAL(size + 1 < sizeof(steps_run));
    steps_run[size] = step->name;
    if (step->then != NULL && step->then_flush) {
        cmdi_shard_flush(shard, &step->then->work);
    } else if (step->then != NULL) {
        cmdi_shard_ready(shard, &step->then->work);
    }
}
