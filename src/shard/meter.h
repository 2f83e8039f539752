/* SPDX-License-Identifier: MIT */
/*
 * What a shard does with its time: it is busy, it spins, it sleeps.
 *
 * A turn is busy until its sends are with the kernel. For that no clock is read: after an enter that
 * does not wait, the begin of the next turn or of the spin is that moment. Only before an enter that
 * waits, and when a thread that turns an inline shard gets it back, one more is.
 */
#ifndef CMDI_SHARD_METER_H
#define CMDI_SHARD_METER_H

#include <stdint.h>

#include "base/assert.h"
#include "base/exponential.h"
#include "base/list.h"

struct cmds_type;

enum cmdi_meter_state {
    CMDI_METER_AWAY, // Inline, between two turns: the time is the caller's.
    CMDI_METER_BUSY,
    CMDI_METER_SPIN,
    CMDI_METER_SLEEP,
    CMDI_METER_STATES,
};

/**
 * Somebody who wants to know how long this turn has taken: once. `fn` runs right after it, on the
 * shard, and does little.
 */
struct cmdi_turn_note {
    struct cmdi_turn_note *next;
    void (*fn)(struct cmdi_turn_note *note, uint64_t duration_ns);
};

/** Written by the shard; `time_ns`, `stalls` and `turns` are read by any thread. */
struct cmdi_meter {
    uint64_t since_ns; // When `state` began.
    uint8_t state;     // enum cmdi_meter_state
    struct cmdi_turn_note *notes;
    // What ran last in this turn, for the line about a stall. Valid until the turn ends.
    const struct cmds_type *ran;
    uint64_t stall_ns; // A turn that takes longer is one; UINT64_MAX: none is.
    uint64_t stalls;
    uint64_t time_ns[CMDI_METER_STATES];
    struct cmdi_durations turns;
};

/**
 * `now_ns` is when the state before has ended. If that was BUSY, a turn has: all notes are called.
 * Returns: how long it took if it was a stall; else 0.
 */
uint64_t cmdi_meter_move(struct cmdi_meter *meter, enum cmdi_meter_state state, uint64_t now_ns);

/** `note` is not among them yet. */
static inline void cmdi_meter_note(struct cmdi_meter *meter, struct cmdi_turn_note *note)
{
    note->next = meter->notes;
    meter->notes = note;
}

#endif
