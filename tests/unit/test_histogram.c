/* SPDX-License-Identifier: MIT */
/*
 * The histogram of latencies. What may go wrong: a bucket that holds more than it says (an error
 * above 1 %), a value beside its bucket at a power of two, a quantile that is off by one value, a
 * merge that loses the maximum.
 */
#include "base/histogram.h"

#include <string.h>

#include "support/harness.h"

static struct cmdi_histogram histogram; // 60 KB: not on the stack.
static struct cmdi_histogram other;

static void test_histogram_is_empty_at_first(void)
{
    memset(&histogram, 0, sizeof(histogram));

    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.5), 0);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 1), 0);
    CU_ASSERT_EQUAL(histogram.max, 0);
}

static void test_histogram_buckets_never_go_back_and_fit(void)
{
    uint32_t last = 0;
    for (unsigned int bit = 0; bit < 64; bit++) {
        for (int64_t beside = -1; beside <= 1; beside++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)beside;
            uint32_t bucket = cmdi_histogram_bucket(value);
            if (bit == 0 && beside < 0) {
                continue; // 0 comes before 1, and is bucket 0.
            }
            CU_ASSERT(bucket >= last || bit < 2);
            CU_ASSERT(bucket < CMDI_HISTOGRAM_BUCKETS);
            last = bucket;
        }
    }
    CU_ASSERT_EQUAL(cmdi_histogram_bucket(0), 0);
    CU_ASSERT_EQUAL(cmdi_histogram_bucket(UINT64_MAX), CMDI_HISTOGRAM_BUCKETS - 1);
}

static void test_histogram_reads_back_within_half_a_percent(void)
{
    for (uint64_t value = 1; value < UINT64_MAX / 5; value += value / 3 + 1) {
        memset(&histogram, 0, sizeof(histogram));
        cmdi_histogram_record(&histogram, value);
        cmdi_histogram_record(&histogram, UINT64_MAX); // So that the maximum does not correct it.

        uint64_t read = cmdi_histogram_quantile(&histogram, 0.5);

        double off = (double)read / (double)value - 1;
        CU_ASSERT(off <= 0.005 && off >= -0.005);
    }
}

static void test_histogram_quantiles_count_values(void)
{
    memset(&histogram, 0, sizeof(histogram));
    for (uint64_t value = 1; value <= 100; value++) { // Below 256 a bucket is one value: exact.
        cmdi_histogram_record(&histogram, value);
    }

    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0), 1);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.5), 50);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.501), 51);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.9), 90);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.99), 99);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.999), 100);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 1), 100);
}

static void test_histogram_quantile_never_exceeds_the_maximum(void)
{
    memset(&histogram, 0, sizeof(histogram));
    cmdi_histogram_record(&histogram, 1000001);

    CU_ASSERT(cmdi_histogram_quantile(&histogram, 1) <= 1000001);
    CU_ASSERT_EQUAL(histogram.max, 1000001);
}

static void test_histogram_merge_is_recording_both(void)
{
    memset(&histogram, 0, sizeof(histogram));
    memset(&other, 0, sizeof(other));
    for (uint64_t value = 1; value <= 50; value++) {
        cmdi_histogram_record(&histogram, value);
        cmdi_histogram_record(&other, value + 50);
    }

    cmdi_histogram_merge(&histogram, &other);

    CU_ASSERT_EQUAL(histogram.count, 100);
    CU_ASSERT_EQUAL(histogram.max, 100);
    CU_ASSERT_EQUAL(cmdi_histogram_quantile(&histogram, 0.75), 75);
}

static CU_TestInfo test_histogram[] = {
        {"is empty at first", test_histogram_is_empty_at_first},
        {"buckets never go back, and fit", test_histogram_buckets_never_go_back_and_fit},
        {"reads back within half a percent", test_histogram_reads_back_within_half_a_percent},
        {"quantiles count values", test_histogram_quantiles_count_values},
        {"a quantile never exceeds the maximum", test_histogram_quantile_never_exceeds_the_maximum},
        {"merge is recording both", test_histogram_merge_is_recording_both},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("histogram", test_histogram)
