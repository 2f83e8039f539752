/* SPDX-License-Identifier: MIT */
/*
 * Back-off as values. It could wait for ever, not at all, not at random; forget how often it failed because
 * a connection came up for a moment; overflow; or try once more than it may.
 */
#include "client/backoff.h"

#include <cmdstream/base.h>

#include "support/harness.h"

enum {
    BEGIN = 1000000,
    LATER = BEGIN + 1000000,
    DELAY = 100,
    DELAY_MAX = 30000,
};

static const struct cmdi_backoff_options defaults = {.delay_ms = DELAY, .delay_max_ms = DELAY_MAX};

/* The longest delay that this failure may have. */
static uint32_t longest(struct cmdi_backoff *backoff, const struct cmdi_backoff_options *options)
{
    uint32_t most_ms = 0;
    uint32_t delay_ms = 0;
    for (uint64_t random = 0; random < 70000; random++) {
        struct cmdi_backoff copy = *backoff;
        CU_ASSERT_TRUE(cmdi_backoff_failed(&copy, options, LATER, random, &delay_ms));
        most_ms = delay_ms > most_ms ? delay_ms : most_ms;
    }
    CU_ASSERT_TRUE(cmdi_backoff_failed(backoff, options, LATER, 0, &delay_ms));
    backoff->since_ms = BEGIN;    // Long ago.
    CU_ASSERT_EQUAL(delay_ms, 0); // Anything between none and the longest.
    return most_ms;
}

static void test_backoff_doubles_up_to_its_bound(void)
{
    struct cmdi_backoff backoff = {0};
    uint32_t expected_ms = DELAY;
    for (uint32_t i = 1; i <= 12; i++) {
        CU_ASSERT_EQUAL(longest(&backoff, &defaults), expected_ms);
        CU_ASSERT_EQUAL(backoff.failed, i);
        expected_ms = expected_ms * 2 < DELAY_MAX ? expected_ms * 2 : DELAY_MAX;
    }
}

/* Who has tried often in a short time comes back as soon as others. */
static void test_backoff_is_no_longer_than_the_row(void)
{
    struct cmdi_backoff backoff = {.failed = 9, .since_ms = LATER - 700};
    uint32_t most_ms = 0;
    uint32_t delay_ms = 0;
    for (uint64_t random = 0; random < 70000; random++) {
        struct cmdi_backoff copy = backoff;
        CU_ASSERT_TRUE(cmdi_backoff_failed(&copy, &defaults, LATER, random, &delay_ms));
        most_ms = delay_ms > most_ms ? delay_ms : most_ms;
    }
    CU_ASSERT_EQUAL(most_ms, DELAY + 2 * 700);
}

static void test_backoff_has_extremes(void)
{
    struct cmdi_backoff_options options = {.delay_ms = CMDS_NEVER - 1, .delay_max_ms = CMDS_NEVER};
    struct cmdi_backoff backoff = {.failed = UINT32_MAX};
    uint32_t delay_ms = 0;
    CU_ASSERT_TRUE(cmdi_backoff_failed(&backoff, &options, BEGIN, UINT64_MAX, &delay_ms));
    CU_ASSERT_EQUAL(backoff.failed, UINT32_MAX);
    CU_ASSERT_NOT_EQUAL(delay_ms, CMDS_NEVER);
    options = (struct cmdi_backoff_options){.delay_ms = 500, .delay_max_ms = 20};
    backoff = (struct cmdi_backoff){0};
    CU_ASSERT_EQUAL(longest(&backoff, &options), 20);
    options.delay_ms = CMDS_NEVER;
    CU_ASSERT_FALSE(cmdi_backoff_failed(&backoff, &options, BEGIN, 7, &delay_ms));
}

static void test_backoff_only_a_stable_connection_ends_the_row(void)
{
    struct cmdi_backoff backoff = {0};
    uint32_t delay_ms = 0;
    for (uint32_t i = 1; i <= 5; i++) { // It accepts, and closes at once.
        cmdi_backoff_up(&backoff, BEGIN);
        CU_ASSERT_TRUE(cmdi_backoff_failed(
                &backoff, &defaults, BEGIN + CMDI_BACKOFF_STABLE_MS - 1, 1, &delay_ms));
        CU_ASSERT_EQUAL(backoff.failed, i);
    }
    cmdi_backoff_up(&backoff, BEGIN);
    CU_ASSERT_TRUE(
            cmdi_backoff_failed(&backoff, &defaults, BEGIN + CMDI_BACKOFF_STABLE_MS, 1, &delay_ms));
    CU_ASSERT_EQUAL(backoff.failed, 1);
    cmdi_backoff_up(&backoff, BEGIN);
    backoff.failed = 7;
    backoff.is_proved = true;
    CU_ASSERT_TRUE(cmdi_backoff_failed(&backoff, &defaults, BEGIN + 1, 1, &delay_ms));
    CU_ASSERT_EQUAL(backoff.failed, 1);
    /* The time that it was down is no time that it was up. */
    CU_ASSERT_TRUE(cmdi_backoff_failed(&backoff, &defaults, 2 * BEGIN, 1, &delay_ms));
    CU_ASSERT_EQUAL(backoff.failed, 2);
}

static void test_backoff_counts(void)
{
    struct cmdi_backoff_options options = defaults;
    struct cmdi_backoff backoff = {0};
    uint32_t delay_ms = 0;
    options.count_max = 3;
    CU_ASSERT_TRUE(cmdi_backoff_failed(&backoff, &options, BEGIN, 1, &delay_ms));
    CU_ASSERT_TRUE(cmdi_backoff_failed(&backoff, &options, BEGIN, 1, &delay_ms));
    CU_ASSERT_FALSE(cmdi_backoff_failed(&backoff, &options, BEGIN, 1, &delay_ms));
}

static CU_TestInfo tests[] = {
        {"doubles up to its bound", test_backoff_doubles_up_to_its_bound},
        {"no longer than the row", test_backoff_is_no_longer_than_the_row},
        {"extremes", test_backoff_has_extremes},
        {"only a stable connection ends the row",
                test_backoff_only_a_stable_connection_ends_the_row},
        {"counts", test_backoff_counts},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("backoff", tests)
