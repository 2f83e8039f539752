/* SPDX-License-Identifier: MIT */
/*
 * The values of the proxy: a pipe, a bucket, a schedule. A byte could overtake another one, leave before
 * its time or lie there for ever; a rate could be another one; the same seed could mean two schedules.
 */
#include "chaos/pipe.h"
#include "chaos/plan.h"

#include <string.h>

#include "support/harness.h"

enum {
    CAPACITY = 8,
};

/* --- Pipe ------------------------------------------------------------------------------------- */

static void put(struct cmdi_pipe *pipe, const char *text, uint64_t due_ms)
{
    cmdi_pipe_put(pipe, (struct cmds_bytes){text, strlen(text)}, due_ms);
}

static bool takes(struct cmdi_pipe *pipe, const char *text, uint64_t now_ms)
{
    struct cmds_bytes ripe = cmdi_pipe_ripe(pipe, now_ms);
    bool same = ripe.size == strlen(text) &&
                (ripe.size == 0 || memcmp(ripe.data, text, ripe.size) == 0);
    cmdi_pipe_take(pipe, ripe.size);
    return same;
}

static void test_chaos_pipe_lets_nothing_go_early(void)
{
    uint8_t data[CAPACITY];
    struct cmdi_pipe pipe = {.data = data, .capacity = sizeof(data)};

    put(&pipe, "abc", 10);
    put(&pipe, "de", 5); // It does not overtake.
    put(&pipe, "f", 20);

    CU_ASSERT(takes(&pipe, "", 9));
    CU_ASSERT_EQUAL(cmdi_pipe_next_ms(&pipe, 9), 10);
    CU_ASSERT(takes(&pipe, "abcde", 10));
    CU_ASSERT_EQUAL(cmdi_pipe_next_ms(&pipe, 10), 20);
    CU_ASSERT(takes(&pipe, "f", 20));
    CU_ASSERT_EQUAL(cmdi_pipe_next_ms(&pipe, 20), CMDI_PIPE_NONE);
}

static void test_chaos_pipe_goes_round(void)
{
    uint8_t data[CAPACITY];
    struct cmdi_pipe pipe = {.data = data, .capacity = sizeof(data)};

    put(&pipe, "abcde", 0);
    CU_ASSERT(takes(&pipe, "abcde", 0));
    put(&pipe, "fghijklm", 0);
    CU_ASSERT_EQUAL(cmdi_pipe_size(&pipe), CAPACITY);
    CU_ASSERT(takes(&pipe, "fgh", 0)); // To where the memory begins anew.
    CU_ASSERT(takes(&pipe, "ijklm", 0));
    CU_ASSERT(takes(&pipe, "", 0));
}

static void test_chaos_pipe_ends_behind_its_bytes(void)
{
    uint8_t data[CAPACITY];
    struct cmdi_pipe pipe = {.data = data, .capacity = sizeof(data)};

    put(&pipe, "a", 10);
    cmdi_pipe_finish(&pipe, CMDI_PIPE_FINISHED, 5);

    CU_ASSERT_EQUAL(cmdi_pipe_ended(&pipe, 10), CMDI_PIPE_GOES_ON); // The byte is there still.
    CU_ASSERT(takes(&pipe, "a", 10));
    CU_ASSERT_EQUAL(cmdi_pipe_ended(&pipe, 9), CMDI_PIPE_GOES_ON);
    CU_ASSERT_EQUAL(cmdi_pipe_ended(&pipe, 10), CMDI_PIPE_FINISHED);
    cmdi_pipe_finish(&pipe, CMDI_PIPE_RESET, 15);
    CU_ASSERT_EQUAL(cmdi_pipe_next_ms(&pipe, 10), 15);
    CU_ASSERT_EQUAL(cmdi_pipe_ended(&pipe, 15), CMDI_PIPE_RESET);
}

/* More times than it can tell apart: what does not fit waits longer, and nothing less. */
static void test_chaos_pipe_with_all_marks_is_late_at_most(void)
{
    uint8_t data[4 * CMDI_PIPE_MARKS];
    struct cmdi_pipe pipe = {.data = data, .capacity = sizeof(data)};
    size_t came = 0;

    for (uint32_t i = 0; i < 2 * CMDI_PIPE_MARKS; i++) {
        put(&pipe, "x", 100 + i);
    }
    for (uint32_t now = 0; now < 100 + 2 * CMDI_PIPE_MARKS; now++) {
        size_t size = cmdi_pipe_ripe(&pipe, now).size;
        cmdi_pipe_take(&pipe, size);
        came += size;
        CU_ASSERT(came <= (now < 100 ? 0 : now - 99));
    }
    CU_ASSERT_EQUAL(came, 2 * CMDI_PIPE_MARKS);
}

/* --- Bucket ----------------------------------------------------------------------------------- */

/* Returns: how many bytes go in a minute, at most `piece` in one. */
static uint64_t in_a_minute(uint32_t rate, size_t piece)
{
    struct cmdi_bucket bucket = {0};
    uint64_t sum = 0;
    for (uint64_t now_ms = 1000; now_ms < 61000;) {
        uint64_t wait_ms = 0;
        size_t size = cmdi_bucket_allow(&bucket, rate, now_ms, piece, &wait_ms);
        if (size > 0) {
            cmdi_bucket_spend(&bucket, size);
            sum += size;
        } else {
            CU_ASSERT_FATAL(wait_ms > 0);
            now_ms += wait_ms;
        }
    }
    return sum;
}

static void test_chaos_bucket_keeps_the_rate(void)
{
    static const uint32_t rates[] = {1, 7, 99, 1000, 12345, 1000000, UINT32_MAX};
    static const size_t pieces[] = {1, 1000, 100000};
    for (uint32_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        for (uint32_t k = rates[i] > 1000000 ? 2 : 0; k < 3; k++) {
            uint64_t wanted = 60 * (uint64_t)rates[i];
            uint64_t sum = in_a_minute(rates[i], pieces[k]);
            CU_ASSERT(sum <= wanted && sum >= wanted - wanted / 50 - 1);
        }
    }
}

/* A long silence is no credit for as much at once. */
static void test_chaos_bucket_saves_little(void)
{
    struct cmdi_bucket bucket = {0};
    uint64_t wait_ms = 0;

    CU_ASSERT_EQUAL(cmdi_bucket_allow(&bucket, 1000, 1000, 500, &wait_ms), 0);
    CU_ASSERT_EQUAL(cmdi_bucket_allow(&bucket, 1000, 3600000, 5000, &wait_ms), 100);
}

/* --- Schedule --------------------------------------------------------------------------------- */

static struct cmdi_chaos_options options_of(uint64_t seed)
{
    struct cmdi_chaos_options options = {.seed = seed,
            .every_ms = {10, 100},
            .lasts_ms = {5, 50},
            .until_ms = 60000,
            .scopes = 7};
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        options.faults[kind] = kind + 1;
    }
    return options;
}

static void test_chaos_plan_is_drawn_by_the_seed(void)
{
    struct cmdi_chaos_options options = options_of(5), other_options = options_of(6);
    struct cmdi_plan one, same, other;
    struct cmdi_plan_fault a = {0}, b = {0}, c = {0};
    uint32_t kinds[CMDI_CHAOS_KINDS] = {0}, count = 0, alike = 0;
    uint64_t before_ms = 0;
    cmdi_plan_init(&one, &options);
    cmdi_plan_init(&same, &options);
    cmdi_plan_init(&other, &other_options);

    while (cmdi_plan_next(&one, &a)) {
        CU_ASSERT_FATAL(cmdi_plan_next(&same, &b));
        CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
        (void)cmdi_plan_next(&other, &c);
        alike += c.at_ms == a.at_ms && c.kind == a.kind;
        CU_ASSERT(a.at_ms - before_ms >= 10 && a.at_ms - before_ms <= 100 && a.at_ms < 60000);
        bool lasts = a.kind < CMDI_CHAOS_LASTING;
        CU_ASSERT(lasts ? a.lasts_ms <= 50 && a.at_ms + a.lasts_ms <= 60000 : a.lasts_ms == 0);
        CU_ASSERT(a.ways >= CMDI_CHAOS_UP && a.ways <= CMDI_CHAOS_BOTH);
        before_ms = a.at_ms;
        kinds[a.kind]++;
        count++;
    }
    CU_ASSERT(count > 60000 / 100 && alike < count / 10);
    for (uint32_t kind = 1; kind < CMDI_CHAOS_KINDS; kind++) {
        CU_ASSERT(kinds[kind] > 0);
    }
    CU_ASSERT(kinds[CMDI_CHAOS_HALF_OPEN] > 3 * kinds[CMDI_CHAOS_DELAY]); // 9 : 1
}

static void test_chaos_plan_without_a_time_is_empty(void)
{
    struct cmdi_chaos_options options = options_of(5);
    struct cmdi_plan plan;
    struct cmdi_plan_fault fault;
    options.every_ms = (struct cmdi_chaos_range){0, 0};
    cmdi_plan_init(&plan, &options);

    CU_ASSERT_FALSE(cmdi_plan_next(&plan, &fault));
}

static CU_TestInfo test_chaos[] = {
        {"pipe lets nothing go early", test_chaos_pipe_lets_nothing_go_early},
        {"pipe goes round", test_chaos_pipe_goes_round},
        {"pipe ends behind its bytes", test_chaos_pipe_ends_behind_its_bytes},
        {"pipe with all marks is late at most", test_chaos_pipe_with_all_marks_is_late_at_most},
        {"bucket keeps the rate", test_chaos_bucket_keeps_the_rate},
        {"bucket saves little", test_chaos_bucket_saves_little},
        {"plan is drawn by the seed", test_chaos_plan_is_drawn_by_the_seed},
        {"plan without a time is empty", test_chaos_plan_without_a_time_is_empty},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("chaos", test_chaos)
