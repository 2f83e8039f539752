/* SPDX-License-Identifier: MIT */
/*
 * The library is compiled once more with a call in front of every block of its code, and the threads of
 * the world change over there: also between two accesses to memory that several of them share, where no
 * lock and no call of the seam lies. What has no locks (the mailbox of a shard, its flag that it sleeps,
 * counts that others read) meets all its interleavings here, one access after the other.
 *
 * Its runs are those of one binary: another compiler makes other blocks. Which blocks a run went through is a part
 * of its hash: one that depends on an address is another run each time, whether its order of threads shows it or not.
 */
#include <stdint.h>

#include "sim/world.h"

enum {
    FINE_BLOCKS = 400, // From one change to the next, on average.
    FINE_CHANGES = 64, // From one event that tells of the blocks to the next.
};

/* Of the linker: the system puts it elsewhere in each process. */
extern const char __executable_start[];

static struct {
    uint64_t left; // Blocks up to the next change.
    uint64_t path; // Of those that ran.
    uint32_t changes;
} fine;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
    if (cmdi_sim_thread() == NULL) {
        // The next world begins as each does, whatever ran before it.
        fine.left = 0;
        fine.path = 0;
        fine.changes = 0;
        return;
    }
    uint64_t block = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__executable_start;
    fine.path = (fine.path ^ block) * UINT64_C(0x9e3779b97f4a7c15);
    fine.path ^= fine.path >> 32;
    if (fine.left > 0) {
        fine.left--;
        return;
    }
    if (++fine.changes % FINE_CHANGES == 0) {
        cmdi_sim_trace("blocks", fine.path, fine.changes);
    }
    fine.left = cmdi_sim_below(CMDI_CHANCE_SCHEDULE, FINE_BLOCKS * 2);
    cmdi_sim_yield();
}
