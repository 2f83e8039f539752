/* SPDX-License-Identifier: MIT */
/*
 * Which endpoints of a group are passed over: those whose transport fails, never by an application's
 * results.
 *
 *     IN ----- 5 failures in a row, or far more than the others ----> OUT until ...
 *      ^                                                              |   ^
 *      |                                          time is over, claim |   | it failed
 *      +-------------------- its command was answered ------------- TRIAL-+
 *
 * Out for 5 s the first time, 10 s the second, up to 60 s; a minute in makes the next time a first one.
 * At most (n - 1) / 2 of n endpoints are out at once, so the last one never is, and of two none.
 *
 * Moves are made under one lock of the group, but for the claim, which is one exchange; what dispatch
 * reads of a cell is atomic. Time comes in; nothing is asked.
 */
#ifndef CMDI_NET_HEALTH_H
#define CMDI_NET_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CMDI_HEALTH_IN_A_ROW = 5,
    CMDI_HEALTH_OUT_MS = 5000, // Times how often it has been out.
    CMDI_HEALTH_OUT_MAX_MS = 60000,
    CMDI_HEALTH_TRIAL_MS = 5000,    // A trial without any end is over then, and another one is due.
    CMDI_HEALTH_FORGIVE_MS = 60000, // In for so long, and the next time is a first one.
    CMDI_HEALTH_WINDOW_MS = 10000,
    CMDI_HEALTH_WINDOW_MIN = 20, // Commands in a window that are enough to judge by.
};

/** Of one endpoint; zeroed it is in. */
struct cmdi_health_cell {
    // 0: IN. Else nobody sends before then; from then on the next command is a trial.
    _Atomic uint64_t until_ms;
    _Atomic uint32_t failures; // Since the last answer.
    _Atomic bool is_trial;     // A command is on its way, or was lost from sight.

    /* Under the lock. */
    uint32_t times;                    // Out, each less than FORGIVE_MS after the one before.
    uint64_t back_ms;                  // When it came in again.
    uint32_t window_ok, window_failed; // Commands of this window.
    bool is_gathered;                  // For whoever goes over all of them.
    uint8_t unused[7];
};

/** Of a group; zeroed. */
struct cmdi_health {
    _Atomic uint32_t out_count; // Cells that are not IN.
    // Reasons for dispatch to look at endpoints: those cells, and one if endpoints have breakers.
    _Atomic uint32_t watch_count;
    /* Under the lock. */
    uint64_t window_ms; // When the window began.
    uint64_t judged_ms; // When somebody looked at the window last.
};

/**
 * One more failure: a command, or a connection. `count`: endpoints that have connections. Under the lock.
 * Returns: true: it is out from now on.
 */
bool cmdi_health_failed(
        struct cmdi_health *health, struct cmdi_health_cell *cell, uint32_t count, uint64_t now_ms);
/** One was answered, after a failure. Under the lock. Returns: true: it is in again. */
bool cmdi_health_answered(
        struct cmdi_health *health, struct cmdi_health_cell *cell, uint64_t now_ms);
/**
 * By the window: puts `cells[index]` out if at least a fifth of its commands failed, and more than the mean
 * of the others and twice their deviation. Cells may be NULL. Under the lock. Returns: true: it is out
 * from now on.
 */
bool cmdi_health_judge(struct cmdi_health *health, struct cmdi_health_cell *const *cells,
        uint32_t count, uint32_t index, uint64_t now_ms);
/** The endpoint is gone: the cell is that of another one. Under the lock. */
void cmdi_health_forget(struct cmdi_health *health, struct cmdi_health_cell *cell);

/** Thread: any. */
static inline bool cmdi_health_is_in(const struct cmdi_health_cell *cell)
{
    return atomic_load_explicit(&cell->until_ms, memory_order_relaxed) == 0;
}
/** Is it passed over? Thread: any. */
static inline bool cmdi_health_is_out(const struct cmdi_health_cell *cell, uint64_t now_ms)
{
    return atomic_load_explicit(&cell->until_ms, memory_order_relaxed) > now_ms;
}
/** Is the next command a trial? Thread: any. */
static inline bool cmdi_health_wants_trial(const struct cmdi_health_cell *cell, uint64_t now_ms)
{
    uint64_t until_ms = atomic_load_explicit(&cell->until_ms, memory_order_relaxed);
    return until_ms != 0 && until_ms <= now_ms;
}
/** May this command go there? A trial that is due becomes this one. Thread: any. */
bool cmdi_health_claim(struct cmdi_health_cell *cell, uint64_t now_ms);

#endif
