/* SPDX-License-Identifier: MIT */
/*
 * Timers of one shard: a hierarchical wheel with ticks of one millisecond.
 *
 *     level 0: 64 slots of 1 ms | level 1: 64 of 64 ms | level 2: 64 of 4 s | level 3: 64 of 4.4 min | level 4: 64 of 4.7 h
 *
 * A timer lies in the slot of the highest digit in which its time differs from now; when the wheel
 * gets there it moves down. A bit per slot tells which are in use, so arming, disarming and asking
 * for the next are all O(1). Time is a parameter. A timer never fires early, and late by at most
 * the turn that was running.
 */
#ifndef CMDI_SHARD_TIMER_H
#define CMDI_SHARD_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum {
    CMDI_TIMER_LEVELS = 5,
    CMDI_TIMER_SLOTS = 64,
};
#define CMDI_TIMER_NONE UINT64_MAX

struct cmdi_timer;
/** `now_ms` is the time that the wheel is being advanced to, however long ago the timer was due. */
typedef void (*cmdi_timer_fn)(struct cmdi_timer *timer, uint64_t now_ms);

struct cmdi_timer {
    struct cmdi_list link; // In no list: not armed.
    uint64_t at_ms;
    cmdi_timer_fn fn;
    uint32_t slot; // level * CMDI_TIMER_SLOTS + slot while armed.
    uint32_t unused;
};

struct cmdi_timer_wheel {
    uint64_t now_ms; // All timers up to here have fired, but for those in `due`.
    uint64_t used[CMDI_TIMER_LEVELS];
    struct cmdi_list due; // Taken out of their slot, and not fired yet.
    struct cmdi_list slots[CMDI_TIMER_LEVELS * CMDI_TIMER_SLOTS];
};

void cmdi_timer_wheel_init(struct cmdi_timer_wheel *wheel, uint64_t now_ms);

void cmdi_timer_init(struct cmdi_timer *timer, cmdi_timer_fn fn);
/** `at_ms` in the past fires in the next advance. Arming an armed timer moves it. */
void cmdi_timer_arm(struct cmdi_timer_wheel *wheel, struct cmdi_timer *timer, uint64_t at_ms);
void cmdi_timer_disarm(struct cmdi_timer_wheel *wheel, struct cmdi_timer *timer);
static inline bool cmdi_timer_armed(const struct cmdi_timer *timer)
{
    return !cmdi_list_empty(&timer->link);
}

/**
 * Fires all that is due, each disarmed before its function runs; a function may arm and disarm any.
 * Returns: how many.
 */
uint32_t cmdi_timer_wheel_advance(struct cmdi_timer_wheel *wheel, uint64_t now_ms);
/** The same, but fires at most `max`; the others are due at once, and the next call continues. */
uint32_t cmdi_timer_wheel_advance_some(
        struct cmdi_timer_wheel *wheel, uint64_t now_ms, uint32_t max);
/**
 * A time at or before the next timer (early only when that one lies in a higher level). Returns:
 * CMDI_TIMER_NONE without any.
 */
uint64_t cmdi_timer_wheel_next(const struct cmdi_timer_wheel *wheel);

#endif
