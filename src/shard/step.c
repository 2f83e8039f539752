/* SPDX-License-Identifier: MIT */
/* The steps of a turn: how long one may take, and when that is looked at. */
#include "ring/clock.h"
#include "shard/shard.h"

enum {
    SHARD_LOOK_NS_MAX = 100 * 1000, // So long between two looks at the clock in a step.
};

/*
 * Whatever is counted between two looks may take nanoseconds or a millisecond: it follows what was
 * seen last, so that a look costs little and none comes late twice.
 */
void cmdi_shard_look(struct cmdi_shard *shard)
{
    if (shard->options.drive != CMDI_DRIVE_STEPPED) {
        uint64_t now_ns = cmdi_now_ns();
        uint64_t took_ns = now_ns - shard->looked_ns;
        if (took_ns > SHARD_LOOK_NS_MAX) {
            uint64_t stride = shard->stride * (uint64_t)SHARD_LOOK_NS_MAX / took_ns;
            shard->stride = stride > 0 ? (uint32_t)stride : 1;
        } else if (took_ns < SHARD_LOOK_NS_MAX / 4 && shard->stride < CMDI_SHARD_STRIDE_MAX) {
            shard->stride *= 2;
        }
        shard->looked_ns = now_ns;
        shard->step_over = shard->step_over || now_ns - shard->step_ns >= CMDI_SHARD_STEP_NS;
    }
    shard->work_left = shard->stride;
}
