/* SPDX-License-Identifier: MIT */
/* The order of addresses and their shares of the time. One thread. */
#include "client/attempts.h"

#include <cmdstream/base.h>

#include "base/assert.h"

void cmdi_attempts_begin(struct cmdi_attempts *attempts, uint64_t now_ms, uint32_t timeout_ms)
{
    if (attempts->has_begun) {
        return;
    }
    attempts->has_begun = true;
    attempts->since_ms = now_ms;
    attempts->until_ms = timeout_ms == CMDS_NEVER ? UINT64_MAX : now_ms + timeout_ms;
}

bool cmdi_attempts_next(struct cmdi_attempts *attempts, uint64_t now_ms, uint32_t count,
        uint32_t *index, uint64_t *until_ms)
{
    CMDI_ASSERT(attempts->has_begun);
    if (attempts->next >= count || now_ms >= attempts->until_ms) {
        return false;
    }
    *until_ms = UINT64_MAX;
    if (attempts->until_ms != UINT64_MAX) {
        *until_ms = now_ms + (attempts->until_ms - now_ms) / (count - attempts->next);
    }
    *index = attempts->next++;
    attempts->since_ms = now_ms;
    return true;
}

void cmdi_attempts_end(struct cmdi_attempts *attempts)
{
    attempts->next = UINT32_MAX;
}
