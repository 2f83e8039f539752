/* SPDX-License-Identifier: MIT */
/*
 * Buckets of durations and sizes. A value at a bound belongs below it, and one unit more above: off by
 * one there, and what two programs count does not fit together. Held against long double.
 */
#include "base/exponential.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "support/harness.h"

static int32_t bucket_of(uint64_t units)
{
    return cmdi_duration_bucket(units);
}

/* By logarithm, beside bounds, where it is exact. */
static void test_exponential_every_bound_of_every_octave(void)
{
    for (int32_t i = 0; i < CMDI_DURATION_BUCKETS; i++) {
        long double bound = exp2l(CMDI_DURATION_FIRST_BIT + (i + 1) / 8.0L);
        uint64_t below = (uint64_t)floorl(bound);
        if ((uint64_t)floorl(exp2l(CMDI_DURATION_FIRST_BIT + i / 8.0L)) < below) {
            CU_ASSERT_EQUAL(bucket_of(below), i);
        }
        bool is_last = i == CMDI_DURATION_BUCKETS - 1;
        CU_ASSERT_EQUAL(bucket_of(below + 1), is_last ? i : i + 1);
        long double last_bound = exp2l(CMDI_DURATION_FIRST_BIT + i / 8.0L);
        uint64_t middle = (uint64_t)((bound + last_bound) / 2);
        CU_ASSERT_EQUAL(bucket_of(middle), i);
    }
}

static void test_exponential_each_value_of_the_first_octaves(void)
{
    uint32_t wrong = 0;
    for (uint64_t units = 65; units < 1 << 17; units++) {
        long double at = (log2l((long double)units) - CMDI_DURATION_FIRST_BIT) * 8;
        int32_t bucket = (int32_t)ceill(at) - 1;
        wrong += bucket_of(units) != bucket;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_exponential_ends_of_the_range(void)
{
    CU_ASSERT_EQUAL(bucket_of(0), -1);
    CU_ASSERT_EQUAL(bucket_of(1), -1);
    CU_ASSERT_EQUAL(bucket_of(64), -1);
    CU_ASSERT_EQUAL(bucket_of(65), 0);
    CU_ASSERT_EQUAL(bucket_of(128), 7);
    CU_ASSERT_EQUAL(bucket_of(129), 8);
    CU_ASSERT_EQUAL(bucket_of(UINT64_C(1) << 40), CMDI_DURATION_BUCKETS - 1);
    CU_ASSERT_EQUAL(bucket_of((UINT64_C(1) << 40) + 1), CMDI_DURATION_BUCKETS - 1);
    CU_ASSERT_EQUAL(bucket_of(UINT64_MAX), CMDI_DURATION_BUCKETS - 1);
}

/* Nearest, or next to it. */
static void test_exponential_units_are_2_to_the_minus_30_seconds(void)
{
    long double most = 0;
    for (uint64_t ns = 1; ns < UINT64_C(1) << 40; ns += ns / 7 + 1) {
        long double exact = (long double)ns * (1 << 30) / 1000000000;
        long double off = fabsl((long double)cmdi_duration_units(ns) - exact) - exact * 1e-8L;
        most = off > most ? off : most;
    }
    CU_ASSERT(most < 2);
    CU_ASSERT_EQUAL(cmdi_duration_units(0), 0);
    CU_ASSERT_EQUAL(cmdi_duration_units(UINT64_C(1000000000)), 1 << 30);
    CU_ASSERT(cmdi_duration_units(UINT64_MAX) > UINT64_C(1) << 40);
    CU_ASSERT(cmdi_duration_units(UINT64_MAX) < UINT64_C(1) << 41);
}

static uint64_t duration_count(const struct cmdi_durations *durations)
{
    uint64_t count = durations->zero;
    for (int32_t i = 0; i < CMDI_DURATION_BUCKETS; i++) {
        count += durations->buckets[i];
    }
    return count;
}

static void test_exponential_records_and_merges(void)
{
    struct cmdi_durations one = {0}, two = {0};
    cmdi_durations_record(&one, 0, 3);
    cmdi_durations_record(&one, 1000, 5); // 1 us: 1073.7 units, bucket 32 + 8 * log2(1.0486).
    cmdi_durations_record(&two, UINT64_C(3600000000000), 2);
    cmdi_durations_record(&two, 1000, 1);
    cmdi_durations_merge(&one, &two);

    CU_ASSERT_EQUAL(one.zero, 3);
    CU_ASSERT_EQUAL(one.buckets[32], 6);
    CU_ASSERT_EQUAL(one.buckets[CMDI_DURATION_BUCKETS - 1], 2);
    CU_ASSERT_EQUAL(one.sum_ns, 6000 + UINT64_C(7200000000000));
    CU_ASSERT_EQUAL(duration_count(&one), 11);
}

static void test_exponential_sizes_by_powers_of_two(void)
{
    struct cmdi_sizes sizes = {0}, sum = {0};
    static const struct {
        uint64_t size;
        int bucket;
    } rows[] = {{0, -1}, {1, -1}, {2, 0}, {3, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 3}, {1024, 9},
            {1025, 10}, {UINT64_C(1) << 32, 31}, {UINT64_MAX, 31}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&sizes, 0, sizeof(sizes));
        cmdi_sizes_record(&sizes, rows[i].size);
        CU_ASSERT_EQUAL(sizes.sum, rows[i].size);
        CU_ASSERT_EQUAL(rows[i].bucket < 0 ? sizes.zero : sizes.buckets[rows[i].bucket], 1);
        sizes.sum = 1;
        cmdi_sizes_merge(&sum, &sizes);
    }
    CU_ASSERT_EQUAL(sum.zero, 2);
    CU_ASSERT_EQUAL(sum.buckets[31], 2);
    CU_ASSERT_EQUAL(sum.sum, sizeof(rows) / sizeof(rows[0]));
}

/* Each bound, and both sides of it: the cells are those that the processor says. */
static void test_exponential_frames_are_sizes(void)
{
    struct cmdi_sizes sizes = {0}, sum = {0};
    struct cmdi_frame_sizes frames = {0};
    for (uint32_t bit = 1; bit < CMDI_SIZE_BUCKETS; bit++) {
        for (uint64_t size = (UINT64_C(1) << bit) - 1; size < (UINT64_C(1) << bit) + 2; size++) {
            if (size > 1 && size <= UINT64_C(1) << (CMDI_SIZE_BUCKETS - 1)) {
                cmdi_frame_sizes_record(&frames, size);
                cmdi_sizes_record(&sizes, size);
            }
        }
    }
    cmdi_frame_sizes_merge(&sum, &frames);
    CU_ASSERT(memcmp(&sum, &sizes, sizeof(sum)) == 0);
    cmdi_frame_sizes_merge(&sum, &frames);
    CU_ASSERT_EQUAL(sum.sum, 2 * sizes.sum);
    CU_ASSERT_EQUAL(sum.buckets[9], 2 * sizes.buckets[9]);
}

static CU_TestInfo test_exponential[] = {
        {"every bound of every octave", test_exponential_every_bound_of_every_octave},
        {"each value of the first octaves", test_exponential_each_value_of_the_first_octaves},
        {"ends of the range", test_exponential_ends_of_the_range},
        {"units are 2^-30 seconds", test_exponential_units_are_2_to_the_minus_30_seconds},
        {"records and merges", test_exponential_records_and_merges},
        {"sizes by powers of two", test_exponential_sizes_by_powers_of_two},
        {"frames are sizes", test_exponential_frames_are_sizes},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("exponential", test_exponential)
