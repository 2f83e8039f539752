/* SPDX-License-Identifier: MIT */
/*
 * The library is compiled once more with a call in front of every block of its code, and the threads of
 * the world change over there: also between two accesses to memory that several of them share, where no
 * lock and no call of the seam lies. What has no locks (the mailbox of a shard, its flag that it sleeps,
 * counts that others read) meets all its interleavings here, one access after the other.
 *
 * Its runs are those of one binary: another compiler makes other blocks.
 */
#include <stdint.h>

#include "sim/world.h"

enum {
    FINE_BLOCKS = 400, // From one change to the next, on average.
};

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
    static uint64_t left;
    if (cmdi_sim_thread() == NULL) {
        left = 0; // The next world begins as each does, whatever ran before it.
        return;
    }
    if (left > 0) {
        left--;
        return;
    }
    left = cmdi_sim_below(CMDI_CHANCE_SCHEDULE, FINE_BLOCKS * 2);
    cmdi_sim_yield();
}
