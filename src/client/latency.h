/* SPDX-License-Identifier: MIT */
/*
 * How long the commands of a connection take: the longest of late. It rises at once, and what it is
 * above the commands of now halves every 8 s: so one that stalls is avoided at once, and tried again
 * by and by.
 *
 * One thread observes, any may look: the two words need not belong together. Values only; a clock of
 * which the low half is told is enough.
 */
#ifndef CMDI_CLIENT_LATENCY_H
#define CMDI_CLIENT_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/hint.h"

enum {
    CMDI_LATENCY_STEP_MS = 256,    // For less it does not fall: a fiftieth at most.
    CMDI_LATENCY_HALF_LOG = 13,    // 2^13 ms.
    CMDI_LATENCY_AHEAD_MS = 60000, // Of two clocks one may be so far behind the other.
    CMDI_LATENCY_US_MAX = 1 << 26, // So that products of it fit into 64 bits.
};

struct cmdi_latency {
    _Atomic uint32_t ewma_us; // At `at_ms`; 0: nothing was observed.
    _Atomic uint32_t at_ms;
};

/** What is left of it after so long: halves, and a parabola between two of them. */
static inline uint32_t cmdi_latency_decay(uint32_t us, uint32_t passed_ms)
{
    const uint32_t half_log = CMDI_LATENCY_HALF_LOG;
    /* `at_ms` of another shard may be later than the turn that looks: then nothing has passed. */
    if (CMDI_LIKELY(passed_ms + CMDI_LATENCY_AHEAD_MS <
                    CMDI_LATENCY_STEP_MS + (uint32_t)CMDI_LATENCY_AHEAD_MS)) {
        return us;
    }
    uint32_t halves = passed_ms >> half_log;
    uint64_t part = passed_ms & ((1u << half_log) - 1);
    /* 1 - 2^-x: 0 at 0, a half at 1, 0.6565 its slope at 0, so that small steps add up as well. */
    uint64_t loss = part * (5378 - (part * 1282 >> half_log));
    us = halves < 32 ? us >> halves : 0;
    return us - (uint32_t)(us * loss >> 2 * half_log);
}

/** Now. Returns: 0: nothing was observed, or so long ago that nothing is left of it. */
static inline uint32_t cmdi_latency_us(const struct cmdi_latency *latency, uint32_t now_ms)
{
    uint32_t ewma_us = atomic_load_explicit(&latency->ewma_us, memory_order_relaxed);
    uint32_t at_ms = atomic_load_explicit(&latency->at_ms, memory_order_relaxed);
    return cmdi_latency_decay(ewma_us, now_ms - at_ms);
}

/** A command took so long. Thread: its shard. */
static inline void cmdi_latency_observe(struct cmdi_latency *latency, uint32_t us, uint32_t now_ms)
{
    uint32_t ewma_us = atomic_load_explicit(&latency->ewma_us, memory_order_relaxed);
    uint32_t at_ms = atomic_load_explicit(&latency->at_ms, memory_order_relaxed);
    us = us == 0 ? 1 : us < CMDI_LATENCY_US_MAX ? us : CMDI_LATENCY_US_MAX;
    if (us < ewma_us) {
        uint32_t over_us = ewma_us - us;
        uint32_t left_us = cmdi_latency_decay(over_us, now_ms - at_ms);
        if (left_us == over_us) {
            return; // Too little time, or not a microsecond: the time goes on.
        }
        us += left_us;
    }
    atomic_store_explicit(&latency->ewma_us, us, memory_order_relaxed);
    atomic_store_explicit(&latency->at_ms, now_ms, memory_order_relaxed);
}

/** Another connection: nothing is known of it. Thread: its shard. */
static inline void cmdi_latency_reset(struct cmdi_latency *latency)
{
    atomic_store_explicit(&latency->ewma_us, 0, memory_order_relaxed);
}

#endif
