/* SPDX-License-Identifier: MIT */
#include "telemetry/distribution.h"

/* Whatever the first and the last bucket are that are not empty. */
static void distribution_trim(struct cmds_distribution *distribution)
{
    while (distribution->bucket_count > 0 &&
            distribution->buckets[distribution->bucket_count - 1] == 0) {
        distribution->bucket_count--;
    }
    while (distribution->bucket_count > 0 && distribution->buckets[0] == 0) {
        distribution->bucket_count--;
        distribution->buckets++;
        distribution->offset++;
    }
    distribution->count = distribution->zero_count;
    for (uint32_t i = 0; i < distribution->bucket_count; i++) {
        distribution->count += distribution->buckets[i];
    }
}

struct cmds_distribution cmdi_distribution_of_durations(const struct cmdi_durations *durations)
{
    struct cmds_distribution distribution = {
            .scale = CMDI_DURATION_SCALE,
            .offset = CMDI_DURATION_OFFSET,
            .bucket_count = CMDI_DURATION_BUCKETS,
            .buckets = durations->buckets,
            .zero_count = durations->zero,
            .zero_threshold = 0x1p-24,
            .sum = (double)durations->sum_ns / 1e9,
    };
    distribution_trim(&distribution);
    return distribution;
}

struct cmds_distribution cmdi_distribution_of_sizes(const struct cmdi_sizes *sizes)
{
    struct cmds_distribution distribution = {
            .bucket_count = CMDI_SIZE_BUCKETS,
            .buckets = sizes->buckets,
            .zero_count = sizes->zero,
            .zero_threshold = 1,
            .sum = (double)sizes->sum,
    };
    distribution_trim(&distribution);
    return distribution;
}
