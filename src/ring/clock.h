/* SPDX-License-Identifier: MIT */
/*
 * Time and chance: the only source of either. A simulation replaces it like the rest of this folder
 * (see ring.h), and then a run repeats itself.
 */
#ifndef CMDI_RING_CLOCK_H
#define CMDI_RING_CLOCK_H

#include <stdint.h>

/** CLOCK_MONOTONIC. Only the shard's turn reads it for the shard's code. */
uint64_t cmdi_now_ns(void);
/** CLOCK_REALTIME, for people: it may jump. Thread: any. */
uint64_t cmdi_wall_ns(void);
/** For ids and jitter; not for secrets. Thread: any. */
uint64_t cmdi_random(void);
/** Sleeps so long, or a little less. Thread: any. */
void cmdi_sleep_ms(uint32_t ms);

#endif
