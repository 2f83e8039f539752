/* SPDX-License-Identifier: MIT */
/* Exponential back-off with full jitter. One thread. */
#include "client/backoff.h"

#include <cmdstream/base.h>

#include "base/assert.h"

void cmdi_backoff_up(struct cmdi_backoff *backoff, uint64_t now_ms)
{
    CMDI_ASSERT(now_ms > 0);
    backoff->up_at_ms = now_ms;
    backoff->is_proved = false;
}

static uint64_t backoff_less(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* `delay_ms`, doubled for each failure but the first, up to the bounds. */
static uint32_t backoff_bound(
        const struct cmdi_backoff_options *options, uint32_t failed, uint64_t lasted_ms)
{
    uint64_t bound_ms = options->delay_ms;
    for (uint32_t i = 1; i < failed && bound_ms < options->delay_max_ms; i++) {
        bound_ms *= 2;
    }
    uint64_t row_ms = options->delay_ms + 2 * lasted_ms;
    bound_ms = backoff_less(backoff_less(bound_ms, row_ms), options->delay_max_ms);
    return bound_ms < CMDS_NEVER ? (uint32_t)bound_ms : CMDS_NEVER - 1;
}

bool cmdi_backoff_failed(struct cmdi_backoff *backoff, const struct cmdi_backoff_options *options,
        uint64_t now_ms, uint64_t random, uint32_t *delay_ms)
{
    CMDI_ASSERT(options->delay_ms > 0);
    if (backoff->up_at_ms != 0 &&
            (backoff->is_proved || now_ms - backoff->up_at_ms >= CMDI_BACKOFF_STABLE_MS)) {
        backoff->failed = 0;
    }
    backoff->up_at_ms = 0;
    backoff->since_ms = backoff->failed == 0 ? now_ms : backoff->since_ms;
    backoff->failed += backoff->failed < UINT32_MAX;
    if (options->delay_ms == CMDS_NEVER ||
            (options->count_max != 0 && backoff->failed >= options->count_max)) {
        return false;
    }
    *delay_ms = (uint32_t)(random % ((uint64_t)backoff_bound(
                                             options, backoff->failed, now_ms - backoff->since_ms) +
                                            1));
    return true;
}
