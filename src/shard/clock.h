/* SPDX-License-Identifier: MIT */
/* The application's clock, see cmds_now_ns(): the kernel's, or one that somebody gives to a thread. */
#ifndef CMDI_SHARD_CLOCK_H
#define CMDI_SHARD_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/**
 * On this thread it is what `now_ns` points to from now on; NULL: the kernel's. Keeps `now_ns` until the
 * next call. Returns: what it was before.
 */
const uint64_t *cmdi_clock_give(const uint64_t *now_ns);
/** This thread's is not the kernel's. */
bool cmdi_clock_is_given(void);

#endif
