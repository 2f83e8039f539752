/* SPDX-License-Identifier: MIT */
/* Work of a shard that says when it ran, and may queue other work: for tests of the order. */
#ifndef CMDI_TESTS_SUPPORT_STEPS_H
#define CMDI_TESTS_SUPPORT_STEPS_H

#include "shard/shard.h"

struct step {
    struct cmdi_work work; // Initialised with run_step.
    char name;
    struct step *then; // Queued by it: ready, or to be flushed.
    bool then_flush;
};

/** The names of those that ran, in their order. Cleared by the test. */
extern char steps_run[32];

void run_step(struct cmdi_shard *shard, struct cmdi_work *work);

#endif
