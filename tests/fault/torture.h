/* SPDX-License-Identifier: MIT */
/*
 * Calls of the C library, the kernel and liburing that fail when a test says so.
 *
 * The program is linked with --wrap for each name of TORTURE_WRAPS, so that it is the library's
 * calls that fail, and not those inside the C library. While armed, calls are counted over all
 * threads; the one with the number `at` fails, or that and all after it. Blocks of memory are
 * counted at all times: what a scene leaves behind is seen without a leak sanitizer.
 */
#ifndef CMDI_TESTS_FAULT_TORTURE_H
#define CMDI_TESTS_FAULT_TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct torture {
    _Atomic uint32_t armed;
    _Atomic uint64_t calls;
    uint64_t at;    // 0: none fails.
    bool onwards;   // Every call after it fails too.
    uint32_t every; // Not 0: of the calls from `at` on, one in so many fails.
    _Atomic uint32_t failed;
    _Atomic(const char *) first; // The name of the first one that failed.

    /* io_uring_enter2 is not counted: the kernel may refuse it for a moment at any time. */
    uint32_t enter_every; // One in so many is refused; 0: none.
    _Atomic uint64_t enters;

    _Atomic int64_t blocks; // Of memory, alive.
    _Atomic int64_t others; // Of these: those of other libraries, as far as they are known.
};

extern struct torture torture;

static inline int64_t torture_own_blocks(void)
{
    return atomic_load(&torture.blocks) - atomic_load(&torture.others);
}

void torture_arm(uint64_t at, bool onwards);
void torture_disarm(void);

#endif
