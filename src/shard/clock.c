/* SPDX-License-Identifier: MIT */
/* The application's clock. */
#include "shard/clock.h"

#include <stddef.h>

#include <cmdstream/runtime.h>

#include "ring/clock.h"

static _Thread_local const uint64_t *clock_given; // NULL: the kernel's.

const uint64_t *cmdi_clock_give(const uint64_t *now_ns)
{
    const uint64_t *before = clock_given;
    clock_given = now_ns;
    return before;
}

bool cmdi_clock_is_given(void)
{
    return clock_given != NULL;
}

uint64_t cmds_now_ns(void)
{
    return clock_given != NULL ? *clock_given : cmdi_now_ns();
}
