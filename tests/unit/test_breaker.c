/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker as values, by a time of ours. What may go wrong: it opens too early or too
 * late, lets through more trials than it should, never closes again, counts what was sent in another
 * state, or loses count when threads use it at once.
 */
#include "group/breaker.h"

#include <errno.h>
#include <stdlib.h>

#include "support/harness.h"

enum {
    WINDOW = 4,
    OPEN_MS = 1000,
    THREADS = 4,
    ROUNDS = 20000,
};

struct told {
    uint32_t states[3]; // By state: how often it was told.
    uint32_t successes, failures;
    uint32_t number;                    // Of the endpoint.
    enum cmds_breaker_state last, seen; // The last state; that of the last success or failure.
};

static void on_state(void *context, enum cmds_breaker_state state)
{
    struct told *told = context;
    told->states[state]++;
    told->last = state;
}

static void on_success(void *context, enum cmds_breaker_state state)
{
    struct told *told = context;
    told->successes++;
    told->seen = state;
}

static void on_failure(void *context, enum cmds_breaker_state state)
{
    struct told *told = context;
    told->failures++;
    told->seen = state;
}

/* As in cmd-stream-go's example: 4, 0.5, 1 s; here with two trials. */
static struct cmds_breaker *breaker_make(struct told *told, uint32_t threshold, uint32_t trials)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_breaker *breaker = NULL;
    options.window_size = WINDOW;
    options.failure_rate = 0.5;
    options.open_ms = OPEN_MS;
    options.success_threshold = threshold;
    options.half_open_max = trials;
    if (told != NULL) {
        *told = (struct told){.last = CMDS_BREAKER_CLOSED};
        options.context = told;
        options.on_state = on_state;
        options.on_success = on_success;
        options.on_failure = on_failure;
    }
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&breaker, &options, NULL), 0);
    return breaker;
}

/* A command from its beginning to its end. Returns: what allow did. */
static int pass(struct cmds_breaker *breaker, enum cmds_breaker_outcome outcome, uint64_t now_ms)
{
    uint64_t permit = 0;
    int code = cmdi_breaker_allow(breaker, now_ms, &permit);
    if (code == 0) {
        cmdi_breaker_report(breaker, permit, outcome, now_ms);
    }
    return code;
}

static void fail(struct cmds_breaker *breaker, uint32_t count, uint64_t now_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_FAILURE, now_ms), 0);
    }
}

/* --- Closed ----------------------------------------------------------------------------------- */

static void test_breaker_opens_at_the_rate_of_its_window(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make(&told, 1, 1);

    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 0), CMDS_BREAKER_CLOSED);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_FAILURE, 1), 0);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 2), 0);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 3), 0);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 3), CMDS_BREAKER_CLOSED);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_FAILURE, 4), 0);

    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 4), CMDS_BREAKER_OPEN);
    CU_ASSERT_EQUAL(told.states[CMDS_BREAKER_OPEN], 1);
    CU_ASSERT_EQUAL(told.successes, 2);
    CU_ASSERT_EQUAL(told.failures, 2);
    CU_ASSERT_EQUAL(told.seen, CMDS_BREAKER_CLOSED); // What it was before that counted.
    cmds_breaker_free(breaker);
}

static void test_breaker_forgets_what_left_its_window(void)
{
    struct cmds_breaker *breaker = breaker_make(NULL, 1, 1);

    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_FAILURE, i), 0);
        for (uint32_t k = 1; k < WINDOW; k++) {
            CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, i), 0);
        }
    }
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 10), CMDS_BREAKER_CLOSED);
    cmds_breaker_free(breaker);
}

static void test_breaker_ignored_outcomes_do_not_count(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make(&told, 1, 1);

    for (uint32_t i = 0; i < 10 * WINDOW; i++) {
        CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_IGNORED, i), 0);
    }
    fail(breaker, 1, 100);
    for (uint32_t i = 0; i < 10 * WINDOW; i++) {
        CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_IGNORED, i), 0);
    }
    CU_ASSERT_EQUAL(told.successes, 0);
    CU_ASSERT_EQUAL(told.failures, 1);
    fail(breaker, 1, 100); // The one before is still in the window.

    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 100), CMDS_BREAKER_OPEN);
    cmds_breaker_free(breaker);
}

/* The same outcomes, in the plainest form of a window. */
static bool model_opens(bool window[WINDOW], uint32_t *at, bool failed)
{
    uint32_t failures = 0;
    window[(*at)++ % WINDOW] = failed;
    for (uint32_t i = 0; i < WINDOW; i++) {
        failures += window[i];
    }
    return failed && failures * 2 >= WINDOW;
}

static void test_breaker_window_is_that_of_a_plain_one(void)
{
    uint32_t opened = 0;
    uint64_t draw = 12345;
    for (uint32_t run = 0; run < 500; run++) {
        struct cmds_breaker *breaker = breaker_make(NULL, 1, 1);
        bool window[WINDOW] = {false};
        uint32_t at = 0;
        bool open = false;
        for (uint32_t i = 0; i < 40 && !open; i++) {
            draw = draw * 6364136223846793005u + 1442695040888963407u;
            bool failed = draw >> 33 & 1 && draw >> 34 & 1;
            CU_ASSERT_EQUAL(
                    pass(breaker, failed ? CMDS_BREAKER_FAILURE : CMDS_BREAKER_SUCCESS, i), 0);
            open = model_opens(window, &at, failed);
            CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, i) == CMDS_BREAKER_OPEN, open);
        }
        opened += open;
        cmds_breaker_free(breaker);
    }
    CU_ASSERT(opened > 50 && opened < 500);
}

/* --- Open and half-open ----------------------------------------------------------------------- */

static void test_breaker_open_refuses_until_its_time_is_over(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make(&told, 1, 1);
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    fail(breaker, 2, 500);

    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 500), CMDS_E_NOT_ALLOWED);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 499 + OPEN_MS), CMDS_E_NOT_ALLOWED);
    CU_ASSERT_EQUAL(told.states[CMDS_BREAKER_HALF_OPEN], 0);
    CU_ASSERT_EQUAL(told.successes, 0);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 500 + OPEN_MS), 0);

    CU_ASSERT_EQUAL(told.states[CMDS_BREAKER_HALF_OPEN], 1);
    CU_ASSERT_EQUAL(told.seen, CMDS_BREAKER_HALF_OPEN);
    CU_ASSERT_EQUAL(told.last, CMDS_BREAKER_CLOSED);
    cmds_breaker_look(breaker, &info);
    CU_ASSERT_EQUAL(info.state, CMDS_BREAKER_CLOSED);
    CU_ASSERT_EQUAL(info.refused, 2);
    CU_ASSERT_EQUAL(info.opened, 1);
    CU_ASSERT_EQUAL(info.failures, 0);
    cmds_breaker_free(breaker);
}

static void test_breaker_trials_are_bounded(void)
{
    struct cmds_breaker *breaker = breaker_make(NULL, 5, 3);
    uint64_t permits[3];
    uint64_t permit = 0;
    fail(breaker, 2, 0);

    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &permits[i]), 0);
    }
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &permit), CMDS_E_NOT_ALLOWED);
    cmdi_breaker_report(breaker, permits[0], CMDS_BREAKER_SUCCESS, OPEN_MS);
    cmdi_breaker_report(breaker, permits[1], CMDS_BREAKER_IGNORED, OPEN_MS);
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &permits[0]), 0);
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &permits[1]), 0);
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &permit), CMDS_E_NOT_ALLOWED);

    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_HALF_OPEN);
        cmdi_breaker_report(breaker, permits[i], CMDS_BREAKER_SUCCESS, OPEN_MS);
    }
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_HALF_OPEN); // 4 of 5.
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, OPEN_MS), 0);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_CLOSED);
    fail(breaker, 1, OPEN_MS); // The window is one of successes again.
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_CLOSED);
    cmds_breaker_free(breaker);
}

static void test_breaker_one_failed_trial_opens_it_again(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make(&told, 3, 3);
    uint64_t slow = 0;
    fail(breaker, 2, 0);
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &slow), 0);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, OPEN_MS), 0);

    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_FAILURE, OPEN_MS + 10), 0);

    CU_ASSERT_EQUAL(told.last, CMDS_BREAKER_OPEN);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 2 * OPEN_MS + 9), CMDS_E_NOT_ALLOWED);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 2 * OPEN_MS + 10), CMDS_BREAKER_HALF_OPEN);
    /* A trial of before is none of now: it neither counts nor frees a place. */
    cmdi_breaker_report(breaker, slow, CMDS_BREAKER_FAILURE, 2 * OPEN_MS + 10);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 2 * OPEN_MS + 10), CMDS_BREAKER_HALF_OPEN);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, 2 * OPEN_MS + 10, &slow), 0);
    }
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, 2 * OPEN_MS + 10, &slow), CMDS_E_NOT_ALLOWED);
    cmds_breaker_free(breaker);
}

static void test_breaker_what_was_sent_before_does_not_count(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make(&told, 1, 1);
    uint64_t early[WINDOW];
    for (uint32_t i = 0; i < WINDOW; i++) {
        CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, 0, &early[i]), 0);
    }
    fail(breaker, 2, 0);

    cmdi_breaker_report(breaker, early[0], CMDS_BREAKER_SUCCESS, OPEN_MS);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_HALF_OPEN);
    cmdi_breaker_report(breaker, early[1], CMDS_BREAKER_SUCCESS, OPEN_MS);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_HALF_OPEN);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, OPEN_MS), 0);
    for (uint32_t i = 2; i < WINDOW; i++) {
        cmdi_breaker_report(breaker, early[i], CMDS_BREAKER_FAILURE, OPEN_MS);
    }

    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_CLOSED);
    CU_ASSERT_EQUAL(told.failures, 4); // They are told all the same.
    cmds_breaker_free(breaker);
}

/* A stream: a good first result, and then its connection is lost. */
static void test_breaker_a_late_failure_counts_again(void)
{
    struct cmds_breaker *breaker = breaker_make(NULL, 2, 2);
    uint64_t permit = 0;
    fail(breaker, 2, 0);
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &permit), 0);

    cmdi_breaker_report(breaker, permit, CMDS_BREAKER_SUCCESS, OPEN_MS);
    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_HALF_OPEN);
    cmdi_breaker_report(breaker, permit & ~CMDI_BREAKER_TRIAL, CMDS_BREAKER_FAILURE, OPEN_MS);

    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_OPEN);
    cmds_breaker_free(breaker);
}

/* --- By hand ---------------------------------------------------------------------------------- */

static void test_breaker_by_hand(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make(&told, 1, 1);
    uint64_t permit = 0;

    CU_ASSERT_EQUAL(cmds_breaker_allow(breaker, &permit), 0);
    cmds_breaker_report(breaker, permit, CMDS_BREAKER_FAILURE);
    cmds_breaker_open(breaker);
    CU_ASSERT(cmds_breaker_is_open(breaker));
    cmds_breaker_open(breaker);
    CU_ASSERT_EQUAL(cmds_breaker_allow(breaker, &permit), CMDS_E_NOT_ALLOWED);
    cmds_breaker_reset(breaker);
    cmds_breaker_reset(breaker);
    CU_ASSERT_EQUAL(cmds_breaker_state(breaker), CMDS_BREAKER_CLOSED);
    CU_ASSERT_EQUAL(told.states[CMDS_BREAKER_OPEN], 1);
    CU_ASSERT_EQUAL(told.states[CMDS_BREAKER_CLOSED], 1);
    fail(breaker, 1, 0); // The one before the reset is gone.

    CU_ASSERT(!cmds_breaker_is_open(breaker));
    cmds_breaker_free(breaker);
}

/* Nothing in its window has failed, so that no success is of interest, but for those of its trials. */
static void test_breaker_by_hand_closes_by_its_trials(void)
{
    struct cmds_breaker *breaker = breaker_make(NULL, 2, 1);
    cmdi_breaker_open(breaker, 0);

    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, OPEN_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&breaker->trials), 0);
    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, OPEN_MS), 0);

    CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, OPEN_MS), CMDS_BREAKER_CLOSED);
    cmds_breaker_free(breaker);
}

static void test_breaker_open_for_ever(void)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    struct cmds_breaker *breaker = NULL;
    options.open_ms = CMDS_NEVER;
    options.window_size = 1;
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&breaker, &options, NULL), 0);
    fail(breaker, 1, 0);

    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, UINT64_MAX - 1), CMDS_E_NOT_ALLOWED);
    cmds_breaker_look(breaker, &info);
    CU_ASSERT_EQUAL(info.open_left_ms, UINT64_MAX);
    cmds_breaker_free(breaker);
}

static void test_breaker_null_is_harmless(void)
{
    uint64_t permit = 0;
    CU_ASSERT_EQUAL(cmds_breaker_allow(NULL, &permit), -EINVAL);
    cmds_breaker_report(NULL, 0, CMDS_BREAKER_FAILURE);
    CU_ASSERT_EQUAL(cmds_breaker_state(NULL), CMDS_BREAKER_CLOSED);
    cmds_breaker_open(NULL);
    cmds_breaker_reset(NULL);
    cmds_breaker_look(NULL, NULL);
    cmds_breaker_free(NULL);
}

/* --- Options and outcomes --------------------------------------------------------------------- */

static void refuses(const struct cmds_breaker_options *options, int code, const char *name)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_breaker *breaker = NULL;
    CU_ASSERT_EQUAL(cmds_breaker_new(&breaker, options, &error), code);
    CU_ASSERT_PTR_NULL(breaker);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, name));
}

static void test_breaker_options_are_refused_by_name(void)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;

    options.failure_rate = 1.01;
    refuses(&options, -EINVAL, "failure_rate");
    options.failure_rate = -0.5;
    refuses(&options, -EINVAL, "failure_rate");
    options.failure_rate = 1;
    options.window_size = 65537;
    refuses(&options, -EINVAL, "window_size");
    options.window_size = 65536;
    options.success_threshold = 65537;
    refuses(&options, -EINVAL, "success_threshold");
    options.success_threshold = 1;
    options.half_open_max = 65537;
    refuses(&options, -EINVAL, "half_open_max");
    options.half_open_max = 1;
    options.unused = 1;
    refuses(&options, -E2BIG, "cmds_breaker_options");
}

static void test_breaker_rate_of_a_window(void)
{
    static const struct {
        uint32_t window;
        double rate;
        uint32_t failures; // That open it.
    } rows[] = {{4, 0.5, 2}, {3, 0.5, 2}, {10, 0.3, 3}, {10, 0.31, 4}, {10, 1, 10}, {100, 1e-9, 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
        struct cmds_breaker *breaker = NULL;
        options.window_size = rows[i].window;
        options.failure_rate = rows[i].rate;
        CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&breaker, &options, NULL), 0);
        fail(breaker, rows[i].failures - 1, 0);
        CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 0), CMDS_BREAKER_CLOSED);
        fail(breaker, 1, 0);
        CU_ASSERT_EQUAL(cmdi_breaker_state(breaker, 0), CMDS_BREAKER_OPEN);
        cmds_breaker_free(breaker);
    }
}

static void test_breaker_outcomes(void)
{
    static const int failures[] = {CMDS_E_LOST, CMDS_E_NOT_SENT, CMDS_E_NOT_CONNECTED,
            CMDS_E_TIMEOUT, -ECONNREFUSED, -ETIMEDOUT, CMDS_E_EOF, CMDS_E_TLS_HANDSHAKE};
    static const int ignored[] = {CMDS_E_CANCELLED, CMDS_E_CLOSED, -ENOBUFS, -ENOMEM, CMDS_E_LIMIT,
            CMDS_E_WRONG_TYPE, CMDS_E_NOT_ALLOWED, -EINVAL};
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        CU_ASSERT_EQUAL(cmds_breaker_outcome_of(failures[i]), CMDS_BREAKER_FAILURE);
    }
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        CU_ASSERT_EQUAL(cmds_breaker_outcome_of(ignored[i]), CMDS_BREAKER_IGNORED);
    }
    CU_ASSERT_EQUAL(cmds_breaker_outcome_of(0), CMDS_BREAKER_SUCCESS);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* Every third command fails, which opens it again and again. */
static void *hammer(void *context)
{
    struct cmds_breaker *breaker = context;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        (void)pass(breaker, i % 3 == 0 ? CMDS_BREAKER_FAILURE : CMDS_BREAKER_SUCCESS, i);
        if (i % 1000 == 0) {
            cmds_breaker_reset(breaker);
        }
    }
    return NULL;
}

static void test_breaker_threads_do_not_lose_count(void)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_breaker *breaker = NULL;
    pthread_t threads[THREADS];
    uint32_t failed = 0;
    options.window_size = 64;
    options.failure_rate = 0.3;
    options.open_ms = 1;
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&breaker, &options, NULL), 0);

    for (uint32_t i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hammer, breaker), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }

    for (uint32_t i = 0; i < options.window_size; i++) {
        failed += atomic_load(&breaker->window[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&breaker->failures), failed);
    CU_ASSERT(breaker->opened > 0);
    CU_ASSERT_EQUAL(atomic_load(&breaker->trials), 0);
    cmds_breaker_free(breaker);
}

/* --- Of endpoints ----------------------------------------------------------------------------- */

static void on_endpoint_state(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    struct told *told = context;
    told->number = endpoint->number;
    told->states[state]++;
}

static void on_endpoint_success(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    struct told *told = context;
    told->number = endpoint->number;
    told->seen = state;
    told->successes++;
}

static void on_endpoint_failure(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    struct told *told = context;
    told->number = endpoint->number;
    told->seen = state;
    told->failures++;
}

static struct cmds_breaker *breaker_make_of_endpoint(struct told *told)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_breaker_options mine;
    options.window_size = WINDOW;
    options.open_ms = OPEN_MS;
    options.context = told;
    options.on_state = on_state; // None of these three is called.
    options.on_success = on_success;
    options.on_failure = on_failure;
    options.on_endpoint_state = on_endpoint_state;
    options.on_endpoint_success = on_endpoint_success;
    options.on_endpoint_failure = on_endpoint_failure;
    *told = (struct told){.number = 0};
    CU_ASSERT_EQUAL_FATAL(cmdi_breaker_options_take(&mine, &options, NULL), 0);
    struct cmds_breaker *breaker = cmdi_breaker_make(&mine, true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(breaker);
    cmdi_breaker_give_to(breaker, NULL, 7, "10.0.0.7:9000");
    return breaker;
}

static void test_breaker_of_an_endpoint_names_it(void)
{
    struct told told;
    struct cmds_breaker *breaker = breaker_make_of_endpoint(&told);

    CU_ASSERT_EQUAL(pass(breaker, CMDS_BREAKER_SUCCESS, 0), 0);
    CU_ASSERT_EQUAL(told.successes, 1);
    CU_ASSERT_EQUAL(told.number, 7);
    told.number = 0;
    fail(breaker, WINDOW / 2, 0);

    CU_ASSERT_EQUAL(told.number, 7);
    CU_ASSERT_EQUAL(told.failures, WINDOW / 2);
    CU_ASSERT_EQUAL(told.states[CMDS_BREAKER_OPEN], 1);
    CU_ASSERT(!cmdi_breaker_would_pass(breaker, OPEN_MS - 1));
    CU_ASSERT(cmdi_breaker_would_pass(breaker, OPEN_MS));
    cmds_breaker_free(breaker);
}

/* A newcomer has the breaker of an endpoint that failed, and of which results are still under way. */
static void test_breaker_of_a_newcomer_begins_anew(void)
{
    struct told told;
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    struct cmds_breaker *breaker = breaker_make_of_endpoint(&told);
    uint64_t late[WINDOW], trial = 0;
    for (int i = 0; i < WINDOW; i++) {
        CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, 0, &late[i]), 0);
    }
    cmdi_breaker_open(breaker, 0);
    CU_ASSERT_EQUAL(cmdi_breaker_allow(breaker, OPEN_MS, &trial), 0);
    told = (struct told){.number = 0};
    cmdi_breaker_give_to(breaker, NULL, 0, "");
    cmdi_breaker_give_to(breaker, NULL, 8, "10.0.0.8:9000");

    for (int i = 0; i < WINDOW; i++) {
        enum cmds_breaker_outcome outcome = i == 0 ? CMDS_BREAKER_SUCCESS : CMDS_BREAKER_FAILURE;
        cmdi_breaker_report(breaker, late[i], outcome, OPEN_MS);
    }
    cmdi_breaker_report(breaker, trial, CMDS_BREAKER_FAILURE, OPEN_MS);

    cmdi_breaker_look(breaker, OPEN_MS, &info);
    CU_ASSERT_EQUAL(info.state, CMDS_BREAKER_CLOSED);
    CU_ASSERT_EQUAL(info.failures + info.trials + info.opened, 0);
    CU_ASSERT_EQUAL(told.successes + told.failures + told.number, 0); // Nobody hears of it.
    cmds_breaker_free(breaker);
}

CU_TestInfo test_breaker[] = {
        {"opens at the rate of its window", test_breaker_opens_at_the_rate_of_its_window},
        {"forgets what left its window", test_breaker_forgets_what_left_its_window},
        {"ignored outcomes do not count", test_breaker_ignored_outcomes_do_not_count},
        {"window is that of a plain one", test_breaker_window_is_that_of_a_plain_one},
        {"open refuses until its time is over", test_breaker_open_refuses_until_its_time_is_over},
        {"trials are bounded", test_breaker_trials_are_bounded},
        {"one failed trial opens it again", test_breaker_one_failed_trial_opens_it_again},
        {"what was sent before does not count", test_breaker_what_was_sent_before_does_not_count},
        {"a late failure counts again", test_breaker_a_late_failure_counts_again},
        {"by hand", test_breaker_by_hand},
        {"by hand closes by its trials", test_breaker_by_hand_closes_by_its_trials},
        {"open for ever", test_breaker_open_for_ever},
        {"null is harmless", test_breaker_null_is_harmless},
        {"options are refused by name", test_breaker_options_are_refused_by_name},
        {"rate of a window", test_breaker_rate_of_a_window},
        {"outcomes", test_breaker_outcomes},
        {"threads do not lose count", test_breaker_threads_do_not_lose_count},
        {"of an endpoint names it", test_breaker_of_an_endpoint_names_it},
        {"of a newcomer begins anew", test_breaker_of_a_newcomer_begins_anew},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("breaker", test_breaker)
