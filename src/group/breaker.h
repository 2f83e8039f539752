/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker as values: what is allowed and what counts, by the time that the caller gives.
 * The public functions of breaker.h are these with the clock. Any thread.
 */
#ifndef CMDI_GROUP_BREAKER_H
#define CMDI_GROUP_BREAKER_H

#include <pthread.h>
#include <stdatomic.h>

#include <cmdstream/breaker.h>
#include <cmdstream/client.h>

#include "base/hint.h"

/**
 * The state and how many times it has changed are one word: a report says in which of these epochs
 * its command was allowed, and counts in no other one.
 *
 *     63             32 31                    2 1 0
 *     +----------------+-----------------------+---+
 *     |      epoch     |           0           | s |      s: enum cmds_breaker_state
 *     +----------------+-----------------------+---+
 *
 * Under the lock all may change. Without it only a closed breaker's window, of which each slot and
 * the sum are atomic: `failures` is the number of slots that say so, whoever writes them at a time.
 */
struct cmds_breaker {
    // Read by every command; written when the state changes, or something fails.
    _Alignas(64) _Atomic uint64_t word;
    _Atomic uint32_t failures;
    uint32_t failures_max; // So many open it. Constant, as are the options.
    bool tells_success;    // Somebody wants to know of each. Constant.
    bool is_of_endpoint;   // `endpoint` is valid. Constant.
    struct cmds_breaker_options options;

    _Alignas(64) _Atomic uint64_t next; // Slot of the next outcome, modulo the window's size.
    _Atomic uint64_t refused;
    _Atomic uint32_t trials; // Under way. Written under the lock.
    pthread_mutex_t lock;
    uint32_t successes;             // Of trials, since it is half-open. Under the lock.
    uint64_t opened;                // Under the lock.
    _Atomic uint64_t open_until_ms; // Written under the lock. UINT64_MAX: for ever.
    // The epoch in which it became this endpoint's: what was allowed before was another one's.
    _Atomic uint32_t epoch_first;
    struct cmds_breaker_endpoint endpoint; // Under the lock. Number 0: nobody's.
    _Atomic uint8_t window[];              // 1: failed.
};

/** In a permit: it is one of the trials; the rest is the epoch. No state: such a permit is no word. */
#define CMDI_BREAKER_TRIAL UINT64_C(4)

static inline enum cmds_breaker_state cmdi_breaker_state_of(uint64_t word)
{
    return (enum cmds_breaker_state)(word & 3);
}

/* What the inline functions below need. */
int cmdi_breaker_allow_trial(struct cmds_breaker *breaker, uint64_t now_ms, uint64_t *permit);
void cmdi_breaker_count(struct cmds_breaker *breaker, uint64_t permit,
        enum cmds_breaker_outcome outcome, uint64_t now_ms);

/** Is it closed? Then a command is allowed, whatever the time. */
static inline bool cmdi_breaker_passes(const struct cmds_breaker *breaker, uint64_t *permit)
{
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
    *permit = word & ~(uint64_t)3;
    return CMDI_LIKELY(cmdi_breaker_state_of(word) == CMDS_BREAKER_CLOSED);
}
/** Would it let a command through? Takes no lock, and nothing changes. */
static inline bool cmdi_breaker_would_pass(const struct cmds_breaker *breaker, uint64_t now_ms)
{
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
    switch (cmdi_breaker_state_of(word)) {
    case CMDS_BREAKER_OPEN:
        return atomic_load_explicit(&breaker->open_until_ms, memory_order_relaxed) <= now_ms;
    case CMDS_BREAKER_HALF_OPEN:
        return atomic_load_explicit(&breaker->trials, memory_order_relaxed) <
               breaker->options.half_open_max;
    default:
        return true;
    }
}
/** Returns: 0: it is to be reported; CMDS_E_NOT_ALLOWED. */
static inline int cmdi_breaker_allow(
        struct cmds_breaker *breaker, uint64_t now_ms, uint64_t *permit)
{
    return cmdi_breaker_passes(breaker, permit) ? 0
                                                : cmdi_breaker_allow_trial(breaker, now_ms, permit);
}
/** A command ended. With CMDI_BREAKER_TRIAL its place is free again. */
static inline void cmdi_breaker_report(struct cmds_breaker *breaker, uint64_t permit,
        enum cmds_breaker_outcome outcome, uint64_t now_ms)
{
    /* A success changes nothing where nothing has failed: one slot is like any other. */
    if (CMDI_LIKELY(outcome == CMDS_BREAKER_SUCCESS && !breaker->tells_success &&
                    atomic_load_explicit(&breaker->failures, memory_order_relaxed) == 0 &&
                    atomic_load_explicit(&breaker->word, memory_order_relaxed) == permit)) {
        return;
    }
    cmdi_breaker_count(breaker, permit, outcome, now_ms);
}
/** What a result, or the end of a command, says. */
static inline enum cmds_breaker_outcome cmdi_breaker_classify(
        const struct cmds_breaker *breaker, const struct cmds_result *result)
{
    if (CMDI_UNLIKELY(breaker->options.classify != NULL)) {
        return breaker->options.classify(breaker->options.context, result);
    }
    return CMDI_LIKELY(result->error == 0) ? CMDS_BREAKER_SUCCESS
                                           : cmds_breaker_outcome_of(result->error);
}
/**
 * Does this result count? The first one does, and an error that comes after it: a stream of hours is
 * a success as soon as something comes, and a failure if its connection is lost. Returns: true, and
 * *outcome is what it says.
 */
static inline bool cmdi_breaker_counts(const struct cmds_breaker *breaker, bool has_counted,
        const struct cmds_result *result, enum cmds_breaker_outcome *outcome)
{
    if (has_counted && result->error == 0) {
        return false;
    }
    *outcome = cmdi_breaker_classify(breaker, result);
    return !has_counted || *outcome == CMDS_BREAKER_FAILURE;
}
/** As cmds_breaker_state(). */
enum cmds_breaker_state cmdi_breaker_state(struct cmds_breaker *breaker, uint64_t now_ms);
void cmdi_breaker_open(struct cmds_breaker *breaker, uint64_t now_ms);
/** As cmds_breaker_look(). */
void cmdi_breaker_look(
        struct cmds_breaker *breaker, uint64_t now_ms, struct cmds_breaker_info *info);

/** Takes options, and fills in their defaults. Returns: 0; -EINVAL, -E2BIG: an option, by name. */
int cmdi_breaker_options_take(struct cmds_breaker_options *mine,
        const struct cmds_breaker_options *options, struct cmds_error *error);
/** With options that were taken. Returns: NULL without memory. */
struct cmds_breaker *cmdi_breaker_make(
        const struct cmds_breaker_options *options, bool is_of_endpoint);
/**
 * It is this endpoint's from now on, and closed; number 0: nobody's. Reports of what was allowed
 * before count no more, and nobody learns of them. Tells nothing.
 */
void cmdi_breaker_give_to(struct cmds_breaker *breaker, struct cmds_group *group, uint32_t number,
        const char *address);

#endif
