/* SPDX-License-Identifier: MIT */
/*
 * The rare half of the histogram: merging the shards' and reading quantiles. See histogram.h for
 * the buckets.
 */
#include "base/histogram.h"

void cmdi_histogram_merge(struct cmdi_histogram *into, const struct cmdi_histogram *from)
{
    into->count += from->count;
    into->max = from->max > into->max ? from->max : into->max;
    for (uint32_t i = 0; i < CMDI_HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

/* The middle of a bucket: the value that is least wrong for all that fell into it. */
static uint64_t histogram_middle(uint32_t bucket)
{
    uint32_t linear = 1U << CMDI_HISTOGRAM_BITS;
    if (bucket < 2 * linear) {
        return bucket;
    }
    uint32_t shift = (bucket >> CMDI_HISTOGRAM_BITS) - 1;
    uint64_t low = (uint64_t)(bucket - (shift << CMDI_HISTOGRAM_BITS)) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

uint64_t cmdi_histogram_quantile(const struct cmdi_histogram *histogram, double quantile)
{
    if (histogram->count == 0) {
        return 0;
    }
    double exact = quantile * (double)histogram->count;
    uint64_t rank = exact <= 1 ? 1 : (uint64_t)exact + ((double)(uint64_t)exact < exact);
    rank = rank > histogram->count ? histogram->count : rank;

    uint64_t seen = 0;
    for (uint32_t i = 0; i < CMDI_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank) {
            uint64_t middle = histogram_middle(i);
            return middle < histogram->max ? middle : histogram->max;
        }
    }
    return histogram->max;
}
