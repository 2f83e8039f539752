/* SPDX-License-Identifier: MIT */
/*
 * Metrics and points made by hand, for what writes them: all kinds, names as the library has them, a
 * label that wants to break out, exemplars. Every number follows from `round`, and none falls from one
 * round to the next.
 */
#ifndef CMDI_TESTS_SUPPORT_POINTS_H
#define CMDI_TESTS_SUPPORT_POINTS_H

#include <cmdstream/telemetry.h>

enum {
    CMDI_POINTS_BUCKETS = 300
};

/** A histogram that records, slowly, by logarithms. Start from {.scale = S, .zero_threshold = Z}. */
struct cmdi_points_histogram {
    int32_t scale;
    double zero_threshold;
    double sum;
    uint64_t zero_count;
    uint64_t buckets[CMDI_POINTS_BUCKETS];
    struct cmds_distribution distribution; // Of cmdi_points_distribution().
};

void cmdi_points_record(struct cmdi_points_histogram *histogram, double value, uint64_t count);
/** Borrowed until the histogram changes. */
const struct cmds_distribution *cmdi_points_distribution(struct cmdi_points_histogram *histogram);

/**
 * Tells all of them to `fn`. Per round: 100 commands "calc_add" that were OK and 3 that FAILED; their
 * durations are 20 us (half), 21 us to 10 ms; sizes are 20 bytes (60) and 3000 (40). So many results, and
 * a client that sent as many.
 */
void cmdi_points_tell(uint32_t round, cmds_point_fn fn, void *context);

#endif
