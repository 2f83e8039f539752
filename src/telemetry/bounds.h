/* SPDX-License-Identifier: MIT */
/*
 * Exponential buckets as the cumulative ones with `le` that Prometheus' text has.
 *
 * The bounds are the same for every point of a metric, in every scrape and every release: a query
 * that adds up series by `le` gets nonsense where these differ, and a bound that comes and goes breaks
 * rate(). They are powers of two, because each of these ends a bucket of whatever scale, so no count
 * is shared out by guess; and few, since each is a line for each type: 22 for times, each power of
 * two from 2^-17 (8 us) to 1 s and every other one around it, from 2^-21 (0.5 us) to 16 s, the first of which
 * commands and results lack; 11 for sampled times of exec functions; and 13 for all else, 4^0 to
 * 4^12 (16 Mi), of which frames begin at 16.
 */
#ifndef CMDI_TELEMETRY_BOUNDS_H
#define CMDI_TELEMETRY_BOUNDS_H

#include <cmdstream/telemetry.h>

enum {
    CMDI_BOUNDS_MAX = 22
};

/** Bound i is 2^(exponents[i] + shift). */
struct cmdi_bounds {
    const int8_t *exponents;
    int32_t shift;
    uint32_t count;
};

/** What cmds_telemetry_write() uses for this metric with these flags. */
struct cmdi_bounds cmdi_bounds_of(const struct cmds_metric *metric, uint32_t flags);
double cmdi_bounds_value(const struct cmdi_bounds *bounds, uint32_t index);
/**
 * counts[i]: how many values are at most bound i.
 *
 * Returns: how many there are, which is the sum of what `distribution` was given, not its `count`.
 */
uint64_t cmdi_bounds_fill(const struct cmdi_bounds *bounds,
        const struct cmds_distribution *distribution, uint64_t counts[CMDI_BOUNDS_MAX]);
/** Returns: the index of the first bound that `value` does not exceed; `count`, if there is none. */
uint32_t cmdi_bounds_index(const struct cmdi_bounds *bounds, double value);

#endif
