/* SPDX-License-Identifier: MIT */
/*
 * Latencies by the million: a histogram of log-linear buckets, as HdrHistogram's.
 *
 * Each power of two is cut into 128 equal buckets, so a value read back is at most 1/256 (0.4 %)
 * off, whatever its size, and every uint64_t has a bucket. The unit is the caller's: `cmdstream
 * bench` records raw clock ticks and converts a handful of quantiles at the end. One writer; no
 * memory beside the struct; all zero is empty.
 */
#ifndef CMDI_BASE_HISTOGRAM_H
#define CMDI_BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    CMDI_HISTOGRAM_BITS = 7, // 128 buckets for a power of two.
    CMDI_HISTOGRAM_BUCKETS = (64 - CMDI_HISTOGRAM_BITS + 1) << CMDI_HISTOGRAM_BITS,
};

struct cmdi_histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[CMDI_HISTOGRAM_BUCKETS];
};

/*
 * Below 128 a bucket is one value. Above, the position of the highest bit picks the group and the
 * seven bits after it the bucket; shifting the value so that it lies in 128..255 yields both at
 * once.
 */
static inline uint32_t cmdi_histogram_bucket(uint64_t value)
{
    if (value < (UINT64_C(1) << CMDI_HISTOGRAM_BITS)) {
        return (uint32_t)value;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - CMDI_HISTOGRAM_BITS;
    return (shift << CMDI_HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

/* Inline: it runs once per command, and the command is over in some hundred nanoseconds. */
static inline void cmdi_histogram_record(struct cmdi_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->buckets[cmdi_histogram_bucket(value)]++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void cmdi_histogram_merge(struct cmdi_histogram *into, const struct cmdi_histogram *from);
/**
 * The value that `quantile` (0..1) of the values do not exceed, at most the greatest seen. 0 if
 * there are none.
 */
uint64_t cmdi_histogram_quantile(const struct cmdi_histogram *histogram, double quantile);

#endif
