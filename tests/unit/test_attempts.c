/* SPDX-License-Identifier: MIT */
/*
 * Attempts as values: each address is tried once and in order, one that is silent leaves time to
 * those after it, and none begins when the time is over. Times are plain numbers here.
 */
#include "client/attempts.h"

#include <cmdstream/base.h>

#include "support/harness.h"

enum {
    BEGIN = 50000,
};

static struct cmdi_attempts attempts_begun(uint32_t timeout_ms)
{
    struct cmdi_attempts attempts = {0};
    cmdi_attempts_begin(&attempts, BEGIN, timeout_ms);
    return attempts;
}

/* Takes the next one at `now_ms`. Returns: when it ends; 0: there is none. */
static uint64_t attempts_take(
        struct cmdi_attempts *attempts, uint64_t now_ms, uint32_t count, uint32_t expected)
{
    uint32_t index = UINT32_MAX;
    uint64_t until_ms = 0;
    if (!cmdi_attempts_next(attempts, now_ms, count, &index, &until_ms)) {
        CU_ASSERT_EQUAL(index, UINT32_MAX);
        return 0;
    }
    CU_ASSERT_EQUAL(index, expected);
    CU_ASSERT_EQUAL(attempts->since_ms, now_ms);
    return until_ms;
}

static void test_attempts_begin_once(void)
{
    struct cmdi_attempts attempts = attempts_begun(300);

    CU_ASSERT_EQUAL(attempts.until_ms, BEGIN + 300);
    CU_ASSERT_EQUAL(attempts.since_ms, BEGIN);
    cmdi_attempts_begin(&attempts, BEGIN + 100, 1000);
    CU_ASSERT_EQUAL(attempts.until_ms, BEGIN + 300);
    CU_ASSERT_EQUAL(attempts.since_ms, BEGIN);
}

static void test_attempts_share_the_time(void)
{
    struct cmdi_attempts attempts = attempts_begun(300);

    /* Silent ones use up their share; the last one has all that is left. */
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 3, 0), BEGIN + 100);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 100, 3, 1), BEGIN + 200);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 210, 3, 2), BEGIN + 300);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 220, 3, 0), 0);
}

static void test_attempts_leave_their_share_when_they_fail_at_once(void)
{
    struct cmdi_attempts attempts = attempts_begun(300);

    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 3, 0), BEGIN + 100);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 3, 1), BEGIN + 150);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 3, 2), BEGIN + 300);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 3, 0), 0);
}

static void test_attempts_end_with_the_time(void)
{
    struct cmdi_attempts attempts = attempts_begun(300);

    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 299, 2, 0), BEGIN + 299);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 300, 2, 1), 0);
}

static void test_attempts_without_a_limit(void)
{
    struct cmdi_attempts attempts = attempts_begun(CMDS_NEVER);

    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 2, 0), UINT64_MAX);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 1000000000, 2, 1), UINT64_MAX);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN + 1000000000, 2, 0), 0);
}

static void test_attempts_can_be_ended(void)
{
    struct cmdi_attempts attempts = attempts_begun(300);

    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 2, 0), BEGIN + 150);
    cmdi_attempts_end(&attempts);
    CU_ASSERT_EQUAL(attempts_take(&attempts, BEGIN, 2, 1), 0);
}

static CU_TestInfo tests[] = {
        {"begin once", test_attempts_begin_once},
        {"share the time", test_attempts_share_the_time},
        {"leave their share when they fail at once",
                test_attempts_leave_their_share_when_they_fail_at_once},
        {"end with the time", test_attempts_end_with_the_time},
        {"without a limit", test_attempts_without_a_limit},
        {"can be ended", test_attempts_can_be_ended},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("attempts", tests)
