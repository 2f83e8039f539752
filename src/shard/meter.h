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

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
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

/** Written by the shard; `time_ns`, `stalls`, `turns` and `ran` are read by any thread. */
struct cmdi_meter {
    uint64_t since_ns; // When `state` began.
    uint8_t state;     // enum cmdi_meter_state
    struct cmdi_turn_note *notes;
    // What runs, or ran last in this turn. NULL: nothing yet.
    _Atomic(const struct cmds_type *) ran;
    uint64_t stall_ns; // A turn that takes longer is one; UINT64_MAX: none is.
    uint64_t stalls;
    uint64_t time_ns[CMDI_METER_STATES];
    struct cmdi_durations turns;
    pthread_mutex_t ran_lock; // Whoever holds it may look into what `ran` points to.
};

/** All zero before. `stall_ns` 0: no turn is a stall. */
void cmdi_meter_init(struct cmdi_meter *meter, uint64_t now_ns, uint64_t stall_ns);
void cmdi_meter_fini(struct cmdi_meter *meter);

/**
 * `now_ns` is when the state before has ended. If that was BUSY, a turn has: all notes are called.
 * Returns: how long it took if it was a stall; else 0.
 */
uint64_t cmdi_meter_move(struct cmdi_meter *meter, enum cmdi_meter_state state, uint64_t now_ns);

/** `type` runs; NULL: the turn is over. */
static inline void cmdi_meter_ran(struct cmdi_meter *meter, const struct cmds_type *type)
{
    atomic_store_explicit(&meter->ran, type, memory_order_relaxed);
}

/**
 * The name of the type that runs, or ran last in this turn, cut if need be; "": none has. Thread: any.
 */
void cmdi_meter_ran_name(struct cmdi_meter *meter, char *name, size_t size);
/** On its return nobody looks into a type that ran before: it may go. Thread: the shard. */
void cmdi_meter_forget_types(struct cmdi_meter *meter);

/** `note` is not among them yet. */
static inline void cmdi_meter_note(struct cmdi_meter *meter, struct cmdi_turn_note *note)
{
    note->next = meter->notes;
    meter->notes = note;
}

#endif
