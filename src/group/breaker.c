/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker. See breaker.h.
 *
 * A closed breaker has no lock: an outcome takes the next slot of the window, swaps it, and adds
 * what that changed to the sum. One that raises the sum to failures_max takes the lock and opens
 * it, unless somebody has meanwhile. All else, trials and changes of state, is under the lock: it is
 * rare, or bounded by half_open_max. Callbacks run after it.
 */
#include "group/breaker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "ring/clock.h"

enum {
    BREAKER_WINDOW = 100,
    BREAKER_OPEN_MS = 5000,
    BREAKER_COUNT_MAX = 65536, // Of the window, of trials.
    BREAKER_NO_CHANGE = -1,    // No state.
};
static const double breaker_rate = 0.5;

#define BREAKER_BIT(state) (1u << CMDS_BREAKER_##state)

// By state: those that may follow.
static const uint8_t breaker_moves[] = {
        [CMDS_BREAKER_CLOSED] = BREAKER_BIT(OPEN) | BREAKER_BIT(CLOSED),
        [CMDS_BREAKER_HALF_OPEN] = BREAKER_BIT(OPEN) | BREAKER_BIT(CLOSED),
        [CMDS_BREAKER_OPEN] = BREAKER_BIT(HALF_OPEN) | BREAKER_BIT(CLOSED),
};

/* --- Changes of state ------------------------------------------------------------------------- */

/* Under the lock. A new epoch begins, so that nothing that was allowed before counts any more. */
static void breaker_move(struct cmds_breaker *breaker, enum cmds_breaker_state next)
{
    uint64_t word = atomic_load(&breaker->word);
    CMDI_ASSERT((breaker_moves[cmdi_breaker_state_of(word)] & (1u << next)) != 0);
    atomic_store(&breaker->trials, 0);
    breaker->successes = 0;
    atomic_store(&breaker->word, ((word >> 32) + 1) << 32 | (uint64_t)next);
}

/* Under the lock. */
static int breaker_move_to_open(struct cmds_breaker *breaker, uint64_t now_ms)
{
    uint32_t open_ms = breaker->options.open_ms;
    atomic_store(&breaker->open_until_ms, open_ms == CMDS_NEVER ? UINT64_MAX : now_ms + open_ms);
    breaker->opened++;
    breaker_move(breaker, CMDS_BREAKER_OPEN);
    return CMDS_BREAKER_OPEN;
}

/* Under the lock. Those that count at the same time, in the epoch before, are counted right. */
static int breaker_move_to_closed(struct cmds_breaker *breaker)
{
    for (uint32_t i = 0; i < breaker->options.window_size; i++) {
        if (atomic_exchange(&breaker->window[i], 0) != 0) {
            atomic_fetch_sub(&breaker->failures, 1);
        }
    }
    breaker_move(breaker, CMDS_BREAKER_CLOSED);
    return CMDS_BREAKER_CLOSED;
}

/* Under the lock. Returns: the state that it is in now, if its time was over. */
static int breaker_look_at_time(struct cmds_breaker *breaker, uint64_t now_ms)
{
    if (cmdi_breaker_state_of(atomic_load(&breaker->word)) != CMDS_BREAKER_OPEN ||
            now_ms < atomic_load(&breaker->open_until_ms)) {
        return BREAKER_NO_CHANGE;
    }
    breaker_move(breaker, CMDS_BREAKER_HALF_OPEN);
    return CMDS_BREAKER_HALF_OPEN;
}

/* Lets go of the lock, and tells. `change`: a state, or BREAKER_NO_CHANGE. */
static void breaker_unlock(struct cmds_breaker *breaker, int change)
{
    const struct cmds_breaker_options *options = &breaker->options;
    enum cmds_breaker_state state = (enum cmds_breaker_state)change;
    if (CMDI_LIKELY(change == BREAKER_NO_CHANGE)) {
        pthread_mutex_unlock(&breaker->lock);
    } else if (breaker->is_of_endpoint) {
        struct cmds_breaker_endpoint endpoint = breaker->endpoint; // It may soon be another one's.
        pthread_mutex_unlock(&breaker->lock);
        if (options->on_endpoint_state != NULL) {
            options->on_endpoint_state(options->context, &endpoint, state);
        }
    } else {
        pthread_mutex_unlock(&breaker->lock);
        if (options->on_state != NULL) {
            options->on_state(options->context, state);
        }
    }
}

enum cmds_breaker_state cmdi_breaker_state(struct cmds_breaker *breaker, uint64_t now_ms)
{
    uint64_t word = atomic_load(&breaker->word);
    if (cmdi_breaker_state_of(word) == CMDS_BREAKER_OPEN) {
        pthread_mutex_lock(&breaker->lock);
        int change = breaker_look_at_time(breaker, now_ms);
        word = atomic_load(&breaker->word);
        breaker_unlock(breaker, change);
    }
    return cmdi_breaker_state_of(word);
}

void cmdi_breaker_open(struct cmds_breaker *breaker, uint64_t now_ms)
{
    int change = BREAKER_NO_CHANGE;
    pthread_mutex_lock(&breaker->lock);
    if (cmdi_breaker_state_of(atomic_load(&breaker->word)) != CMDS_BREAKER_OPEN) {
        change = breaker_move_to_open(breaker, now_ms);
    }
    breaker_unlock(breaker, change);
}

/* --- What is allowed -------------------------------------------------------------------------- */

/* Under the lock. */
static bool breaker_take_trial(struct cmds_breaker *breaker, uint64_t *permit)
{
    uint64_t word = atomic_load(&breaker->word);
    uint32_t trials = atomic_load(&breaker->trials);
    enum cmds_breaker_state state = cmdi_breaker_state_of(word);
    *permit = word & ~(uint64_t)3;
    if (state == CMDS_BREAKER_HALF_OPEN && trials < breaker->options.half_open_max) {
        atomic_store(&breaker->trials, trials + 1);
        *permit |= CMDI_BREAKER_TRIAL;
        return true;
    }
    return state == CMDS_BREAKER_CLOSED; // Since a moment.
}

/* It is not closed. */
int cmdi_breaker_allow_trial(struct cmds_breaker *breaker, uint64_t now_ms, uint64_t *permit)
{
    bool allowed = false;
    uint64_t word = atomic_load(&breaker->word);
    if (cmdi_breaker_state_of(word) != CMDS_BREAKER_HALF_OPEN ||
            atomic_load(&breaker->trials) < breaker->options.half_open_max) {
        pthread_mutex_lock(&breaker->lock);
        int change = breaker_look_at_time(breaker, now_ms);
        allowed = breaker_take_trial(breaker, permit);
        breaker_unlock(breaker, change);
    }
    if (!allowed) {
        atomic_fetch_add_explicit(&breaker->refused, 1, memory_order_relaxed);
    }
    return allowed ? 0 : CMDS_E_NOT_ALLOWED;
}

/* --- What counts ------------------------------------------------------------------------------ */

/* Of a closed breaker. Returns: it is to be opened. */
static bool breaker_put(struct cmds_breaker *breaker, bool failed)
{
    if (!failed && atomic_load_explicit(&breaker->failures, memory_order_relaxed) == 0) {
        return false;
    }
    uint64_t next = atomic_fetch_add_explicit(&breaker->next, 1, memory_order_relaxed);
    uint32_t slot = (uint32_t)(next % breaker->options.window_size);
    uint8_t before = atomic_exchange(&breaker->window[slot], failed ? 1 : 0);
    uint32_t failures = atomic_load(&breaker->failures);
    if (failed && before == 0) {
        failures = atomic_fetch_add(&breaker->failures, 1) + 1;
    } else if (!failed && before != 0) {
        atomic_fetch_sub(&breaker->failures, 1);
    }
    return failed && failures >= breaker->failures_max;
}

/* Under the lock, of a half-open one. Returns: the state that it is in now. */
static int breaker_count_trial(struct cmds_breaker *breaker, uint64_t permit,
        enum cmds_breaker_outcome outcome, uint64_t now_ms)
{
    bool is_trial = (permit & CMDI_BREAKER_TRIAL) != 0;
    if (is_trial) {
        CMDI_ASSERT(atomic_load(&breaker->trials) > 0);
        atomic_fetch_sub(&breaker->trials, 1);
    }
    if (outcome == CMDS_BREAKER_FAILURE) {
        return breaker_move_to_open(breaker, now_ms);
    }
    if (outcome == CMDS_BREAKER_SUCCESS && is_trial &&
            ++breaker->successes >= breaker->options.success_threshold) {
        return breaker_move_to_closed(breaker);
    }
    return BREAKER_NO_CHANGE;
}

/* Is this one's epoch that of `word`? */
static bool breaker_is_of(uint64_t permit, uint64_t word)
{
    return permit >> 32 == word >> 32;
}

/* It was allowed to an endpoint that had this breaker before. */
static bool breaker_is_of_another(const struct cmds_breaker *breaker, uint64_t permit)
{
    return breaker->is_of_endpoint &&
           (int32_t)((uint32_t)(permit >> 32) - atomic_load(&breaker->epoch_first)) < 0;
}

typedef void (*breaker_endpoint_fn)(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state);

static void breaker_tell_endpoint(struct cmds_breaker *breaker, breaker_endpoint_fn fn,
        uint64_t permit, enum cmds_breaker_state state)
{
    pthread_mutex_lock(&breaker->lock);
    struct cmds_breaker_endpoint endpoint = breaker->endpoint;
    bool is_of_another = breaker_is_of_another(breaker, permit);
    pthread_mutex_unlock(&breaker->lock);
    if (!is_of_another) {
        fn(breaker->options.context, &endpoint, state);
    }
}

/* `state`: before it counts. */
static void breaker_tell_outcome(struct cmds_breaker *breaker, uint64_t permit,
        enum cmds_breaker_outcome outcome, enum cmds_breaker_state state)
{
    const struct cmds_breaker_options *options = &breaker->options;
    bool failed = outcome == CMDS_BREAKER_FAILURE;
    if (outcome == CMDS_BREAKER_IGNORED) {
        return;
    }
    if (breaker->is_of_endpoint) {
        breaker_endpoint_fn fn =
                failed ? options->on_endpoint_failure : options->on_endpoint_success;
        if (fn != NULL) {
            breaker_tell_endpoint(breaker, fn, permit, state);
        }
        return;
    }
    void (*fn)(void *, enum cmds_breaker_state) =
            failed ? options->on_failure : options->on_success;
    if (fn != NULL) {
        fn(options->context, state);
    }
}

/* All but a success of a closed one without any failure. */
void cmdi_breaker_count(struct cmds_breaker *breaker, uint64_t permit,
        enum cmds_breaker_outcome outcome, uint64_t now_ms)
{
    uint64_t word = atomic_load(&breaker->word);
    enum cmds_breaker_state state = cmdi_breaker_state_of(word);
    int change = BREAKER_NO_CHANGE;
    if (breaker_is_of_another(breaker, permit)) {
        return;
    }
    breaker_tell_outcome(breaker, permit, outcome, state);
    if (!breaker_is_of(permit, word) || state == CMDS_BREAKER_OPEN ||
            (state == CMDS_BREAKER_CLOSED &&
                    (outcome == CMDS_BREAKER_IGNORED ||
                            !breaker_put(breaker, outcome == CMDS_BREAKER_FAILURE)))) {
        return;
    }
    pthread_mutex_lock(&breaker->lock);
    if (atomic_load(&breaker->word) != word) {
        // Somebody was quicker.
    } else if (state == CMDS_BREAKER_CLOSED) {
        change = breaker_move_to_open(breaker, now_ms);
    } else {
        change = breaker_count_trial(breaker, permit, outcome, now_ms);
    }
    breaker_unlock(breaker, change);
}

enum cmds_breaker_outcome cmds_breaker_outcome_of(int code)
{
    switch (code) {
    case 0:
        return CMDS_BREAKER_SUCCESS;
    case CMDS_E_PROTO:
    case CMDS_E_EOF:
    case CMDS_E_LOST:
    case CMDS_E_TIMEOUT:
    case CMDS_E_NOT_SENT:
    case CMDS_E_NOT_CONNECTED:
    case CMDS_E_SERVER_INFO_MISMATCH:
    case CMDS_E_TOO_LARGE_SERVER_INFO:
    case CMDS_E_DRAINING:
    case CMDS_E_SLOW_PEER:
    case CMDS_E_IDLE:
    case CMDS_E_REFUSED:
    case CMDS_E_TLS_HANDSHAKE:
    case CMDS_E_TLS_CERTIFICATE:
    case CMDS_E_TLS_REFUSED:
    case CMDS_E_TLS_RECORD:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EPIPE:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -EHOSTDOWN:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -ENOENT:
        return CMDS_BREAKER_FAILURE;
    default:
        return CMDS_BREAKER_IGNORED;
    }
}

/* --- New and free ----------------------------------------------------------------------------- */

static int breaker_check(const struct cmds_breaker_options *mine, struct cmds_error *error)
{
    const struct {
        const char *name;
        uint32_t value;
    } counts[] = {
            {"window_size", mine->window_size},
            {"success_threshold", mine->success_threshold},
            {"half_open_max", mine->half_open_max},
    };
    if (!(mine->failure_rate > 0 && mine->failure_rate <= 1)) {
        return cmdi_fail(error, -EINVAL, "failure_rate %g: above 0, at most 1", mine->failure_rate);
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i].value > BREAKER_COUNT_MAX) {
            return cmdi_fail(error, -EINVAL, "%s %u: at most %d", counts[i].name, counts[i].value,
                    BREAKER_COUNT_MAX);
        }
    }
    return cmdi_unused_check(mine->unused, "cmds_breaker_options", error);
}

/* The smallest number of failures that is this much of the window, at least 1. */
static uint32_t breaker_failures_max(const struct cmds_breaker_options *options)
{
    double size = options->window_size;
    uint32_t count = 1;
    while (count < options->window_size && count / size < options->failure_rate) {
        count++;
    }
    return count;
}

int cmdi_breaker_options_take(struct cmds_breaker_options *mine,
        const struct cmds_breaker_options *options, struct cmds_error *error)
{
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_breaker_options", error);
    if (code < 0) {
        return code;
    }
    cmdi_default(&mine->window_size, BREAKER_WINDOW);
    cmdi_default(&mine->open_ms, BREAKER_OPEN_MS);
    cmdi_default(&mine->success_threshold, 1);
    cmdi_default(&mine->half_open_max, mine->success_threshold);
    mine->failure_rate = mine->failure_rate == 0 ? breaker_rate : mine->failure_rate;
    return breaker_check(mine, error);
}

struct cmds_breaker *cmdi_breaker_make(
        const struct cmds_breaker_options *options, bool is_of_endpoint)
{
    size_t size = (sizeof(struct cmds_breaker) + options->window_size + 63) & ~(size_t)63;
    struct cmds_breaker *breaker = aligned_alloc(64, size);
    if (breaker == NULL) {
        return NULL;
    }
    memset(breaker, 0, size);
    breaker->options = *options;
    breaker->failures_max = breaker_failures_max(options);
    breaker->is_of_endpoint = is_of_endpoint;
    breaker->tells_success =
            is_of_endpoint ? options->on_endpoint_success != NULL : options->on_success != NULL;
    (void)pthread_mutex_init(&breaker->lock, NULL); // Cannot fail without attributes.
    return breaker;
}

int cmds_breaker_new(struct cmds_breaker **out, const struct cmds_breaker_options *options,
        struct cmds_error *error)
{
    struct cmds_breaker_options mine;
    if (out == NULL || options == NULL) {
        return cmdi_fail(error, -EINVAL, "breaker or options is NULL");
    }
    int code = cmdi_breaker_options_take(&mine, options, error);
    if (code < 0) {
        return code;
    }
    struct cmds_breaker *breaker = cmdi_breaker_make(&mine, false);
    if (breaker == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a breaker");
    }
    *out = breaker;
    return 0;
}

void cmdi_breaker_give_to(struct cmds_breaker *breaker, struct cmds_group *group, uint32_t number,
        const char *address)
{
    struct cmds_breaker_endpoint *endpoint = &breaker->endpoint;
    CMDI_ASSERT(breaker->is_of_endpoint);
    pthread_mutex_lock(&breaker->lock);
    (void)breaker_move_to_closed(breaker);
    atomic_store(&breaker->epoch_first, (uint32_t)(atomic_load(&breaker->word) >> 32));
    atomic_store(&breaker->refused, 0);
    breaker->opened = 0;
    endpoint->struct_size = sizeof(*endpoint);
    endpoint->number = number;
    endpoint->group = group;
    (void)snprintf(endpoint->address, sizeof(endpoint->address), "%s", address);
    pthread_mutex_unlock(&breaker->lock);
}

void cmds_breaker_free(struct cmds_breaker *breaker)
{
    if (breaker != NULL) {
        (void)pthread_mutex_destroy(&breaker->lock);
        free(breaker);
    }
}

/* --- By the clock ----------------------------------------------------------------------------- */

int cmds_breaker_allow(struct cmds_breaker *breaker, uint64_t *permit)
{
    if (breaker == NULL || permit == NULL) {
        return -EINVAL;
    }
    return cmdi_breaker_passes(breaker, permit)
                   ? 0
                   : cmdi_breaker_allow_trial(breaker, cmdi_ns_to_ms(cmdi_now_ns()), permit);
}

void cmds_breaker_report(
        struct cmds_breaker *breaker, uint64_t permit, enum cmds_breaker_outcome outcome)
{
    if (breaker != NULL) {
        cmdi_breaker_report(breaker, permit, outcome, cmdi_ns_to_ms(cmdi_now_ns()));
    }
}

enum cmds_breaker_state cmds_breaker_state(struct cmds_breaker *breaker)
{
    return breaker != NULL ? cmdi_breaker_state(breaker, cmdi_ns_to_ms(cmdi_now_ns()))
                           : CMDS_BREAKER_CLOSED;
}

bool cmds_breaker_is_open(struct cmds_breaker *breaker)
{
    return cmds_breaker_state(breaker) == CMDS_BREAKER_OPEN;
}

void cmds_breaker_open(struct cmds_breaker *breaker)
{
    if (breaker != NULL) {
        cmdi_breaker_open(breaker, cmdi_ns_to_ms(cmdi_now_ns()));
    }
}

void cmds_breaker_reset(struct cmds_breaker *breaker)
{
    if (breaker == NULL) {
        return;
    }
    pthread_mutex_lock(&breaker->lock);
    bool was_closed = cmdi_breaker_state_of(atomic_load(&breaker->word)) == CMDS_BREAKER_CLOSED;
    int change = breaker_move_to_closed(breaker);
    breaker_unlock(breaker, was_closed ? BREAKER_NO_CHANGE : change);
}

void cmdi_breaker_look(
        struct cmds_breaker *breaker, uint64_t now_ms, struct cmds_breaker_info *info)
{
    struct cmds_breaker_info mine = {.struct_size = info->struct_size};
    (void)cmdi_breaker_state(breaker, now_ms); // The time of being open may be over.
    pthread_mutex_lock(&breaker->lock);
    mine.state = (uint32_t)cmdi_breaker_state_of(atomic_load(&breaker->word));
    mine.failures = atomic_load(&breaker->failures);
    mine.trials = atomic_load(&breaker->trials);
    mine.opened = breaker->opened;
    mine.refused = atomic_load(&breaker->refused);
    if (mine.state == CMDS_BREAKER_OPEN) {
        uint64_t until_ms = atomic_load(&breaker->open_until_ms);
        mine.open_left_ms = until_ms == UINT64_MAX ? UINT64_MAX
                            : until_ms > now_ms    ? until_ms - now_ms
                                                   : 0;
    }
    pthread_mutex_unlock(&breaker->lock);
    memcpy(info, &mine, info->struct_size < sizeof(mine) ? info->struct_size : sizeof(mine));
}

void cmds_breaker_look(struct cmds_breaker *breaker, struct cmds_breaker_info *info)
{
    if (breaker != NULL && info != NULL) {
        cmdi_breaker_look(breaker, cmdi_ns_to_ms(cmdi_now_ns()), info);
    }
}
