/* SPDX-License-Identifier: MIT */
/*
 * Time and chance. Time could go back, a sleep end at once, and two threads could draw the same random
 * numbers.
 */
#include "ring/clock.h"

#include <pthread.h>
#include <stdlib.h>

#include "support/harness.h"

static void test_clock_time_never_goes_back(void)
{
    uint64_t time = cmdi_now_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = cmdi_now_ns();
        CU_ASSERT_FATAL(now >= time);
        time = now;
    }
}

static void test_clock_a_sleep_takes_its_time(void)
{
    uint64_t begin_ns = cmdi_now_ns();
    cmdi_sleep_ms(20);
    CU_ASSERT(cmdi_now_ns() - begin_ns >= 20 * 1000000u);
}

static void *random_thread(void *context)
{
    uint64_t *values = context;
    for (int i = 0; i < 500; i++) {
        values[i] = cmdi_random();
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static void test_clock_random_repeats_neither_in_a_thread_nor_between_two(void)
{
    uint64_t values[1500];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&threads[i], NULL, random_thread, values + 500 * i), 0);
    }
    (void)random_thread(values + 1000);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_join(threads[i], NULL), 0);
    }
    qsort(values, 1500, sizeof(values[0]), compare);
    uint64_t all_ones = UINT64_MAX;
    uint64_t all_zeros = UINT64_MAX;
    for (int i = 0; i < 1500; i++) {
        CU_ASSERT_FATAL(i == 0 || values[i] != values[i - 1]);
        all_ones &= values[i];
        all_zeros &= ~values[i];
    }
    CU_ASSERT_EQUAL(all_ones, 0); // Each bit takes both values.
    CU_ASSERT_EQUAL(all_zeros, 0);
}

static CU_TestInfo test_clock[] = {
        {"time never goes back", test_clock_time_never_goes_back},
        {"a sleep takes its time", test_clock_a_sleep_takes_its_time},
        {"random repeats neither in a thread nor between two",
                test_clock_random_repeats_neither_in_a_thread_nor_between_two},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("clock", test_clock)
