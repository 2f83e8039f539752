/* SPDX-License-Identifier: MIT */
/*
 * What the stress test is judged by. What may go wrong: a text that another program makes otherwise, a
 * wrong byte that is not seen, growth that is not seen, or is seen where there is none.
 */
#include "tool/stress/generate.h"
#include "tool/stress/watch.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    STRESS_SIZE_MAX = 40,
    STRESS_MS = 1000000,
};

/* The same numbers as in tests of the program in Go. */
static void test_stress_texts_are_those_of_every_language(void)
{
    char text[24] = "";

    stress_write(text, 20, stress_random(7, 1, STRESS_TEXT));

    CU_ASSERT_STRING_EQUAL(text, "F=RIn`mnnjTP\\P_b_[]X");
    CU_ASSERT_EQUAL(stress_random(1, 2, 3), UINT64_C(0xd0734750fde362b3));
    CU_ASSERT_EQUAL(stress_item_size(7, 1, 2, 256), 125);
}

/* Each test of a text allocates its bytes exactly, so that a sanitizer sees one too many. */
static void test_stress_sees_each_wrong_byte(void)
{
    for (size_t size = 0; size <= STRESS_SIZE_MAX; size++) {
        char *text = malloc(size > 0 ? size : 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        stress_write(text, size, 99);
        CU_ASSERT_TRUE(stress_is(text, size, 99));
        for (size_t i = 0; i < size; i++) {
            text[i] ^= 1;
            CU_ASSERT_FALSE(stress_is(text, size, 99));
            text[i] ^= 1;
        }
        free(text);
    }
    CU_ASSERT_TRUE(stress_is(NULL, 0, 99));
}

static void test_stress_shares_are_below_one(void)
{
    CU_ASSERT_TRUE(stress_share(UINT64_MAX) < 1);
    CU_ASSERT_FALSE(stress_share(0) < 0 || stress_share(0) > 0);
}

/* So many samples, each with so many descriptors more than the last. Returns: they are too many. */
static bool watch_grows(uint32_t count, uint64_t step, uint64_t connections, uint64_t closed)
{
    static struct stress_watch watch;
    watch = (struct stress_watch){.begin.descriptors = 5};
    uint64_t now_ns = 0;
    stress_watch_start(&watch, 0, 100 * STRESS_MS);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_TRUE(stress_watch_is_due(&watch, now_ns));
        struct stress_sample sample = {.descriptors = 20 + step * i + connections * (i % 2),
                .connections = connections * (i % 2),
                .memory_kib = 1000 + i * step * 100};
        stress_watch_add(&watch, now_ns, sample);
        CU_ASSERT_FALSE(stress_watch_is_due(&watch, now_ns));
        now_ns = watch.next_ns;
    }
    watch.closed.descriptors = closed;
    return stress_watch_descriptors_grew(&watch);
}

static void test_stress_watch_sees_growth(void)
{
    CU_ASSERT_TRUE(watch_grows(100, 1, 0, 5));
    CU_ASSERT_TRUE(watch_grows(5000, 1, 0, 5)); // Samples were dropped.
}

static void test_stress_watch_sees_none_where_it_is_flat(void)
{
    CU_ASSERT_FALSE(watch_grows(100, 0, 0, 5));
    CU_ASSERT_FALSE(watch_grows(5000, 0, 0, 5));
    CU_ASSERT_FALSE(watch_grows(100, 0, 50, 5)); // Connections that come and go.
    CU_ASSERT_FALSE(watch_grows(8, 10, 0, 5));   // Too few to say.
}

static void test_stress_watch_sees_what_is_left_open(void)
{
    CU_ASSERT_TRUE(watch_grows(100, 0, 0, 6));
}

static void test_stress_watch_remembers_the_warm_up(void)
{
    static struct stress_watch watch;
    stress_watch_start(&watch, 0, 100 * STRESS_MS);

    stress_watch_add(&watch, 0, (struct stress_sample){.descriptors = 9, .memory_kib = 70000});
    stress_watch_add(
            &watch, 100 * STRESS_MS, (struct stress_sample){.descriptors = 3, .memory_kib = 50000});
    stress_watch_add(
            &watch, 200 * STRESS_MS, (struct stress_sample){.descriptors = 4, .memory_kib = 60000});

    CU_ASSERT_EQUAL(watch.after_warm.descriptors, 3);
    CU_ASSERT_EQUAL(watch.last.memory_kib, 60000);
    CU_ASSERT_EQUAL(watch.memory_peak_kib, 70000);
    CU_ASSERT_EQUAL(watch.descriptors_peak, 9);
}

CU_TestInfo test_stress[] = {
        {"texts are those of every language", test_stress_texts_are_those_of_every_language},
        {"each wrong byte is seen", test_stress_sees_each_wrong_byte},
        {"shares are below one", test_stress_shares_are_below_one},
        {"growth is seen", test_stress_watch_sees_growth},
        {"none is seen where it is flat", test_stress_watch_sees_none_where_it_is_flat},
        {"what is left open is seen", test_stress_watch_sees_what_is_left_open},
        {"the warm-up is remembered", test_stress_watch_remembers_the_warm_up},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("stress", test_stress)
