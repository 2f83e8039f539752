/* SPDX-License-Identifier: MIT */
/*
 * What has happened since the batch before, for backends that want that and no totals: each counter's
 * and histogram's last values. They are kept by metric and labels, at most CMDI_DELTAS_MAX of them.
 * One thread at a time.
 */
#ifndef CMDI_OTEL_DELTA_H
#define CMDI_OTEL_DELTA_H

#include <cmdstream/telemetry.h>

enum {
    CMDI_DELTAS_MAX = 16384,
    CMDI_DELTA_BUCKETS_MAX = 1024, // Of one histogram.
};

struct cmdi_deltas;

/** A point without what was there before. */
struct cmdi_delta_point {
    struct cmds_point point;
    struct cmds_distribution distribution;
    uint64_t buckets[CMDI_DELTA_BUCKETS_MAX];
};

/** Owner: gives what cmdi_deltas_free() takes. Returns: NULL: no memory. */
struct cmdi_deltas *cmdi_deltas_new(uint64_t start_ns);
void cmdi_deltas_free(struct cmdi_deltas *deltas);
/** When the batch before was, or start_ns. */
uint64_t cmdi_deltas_since(const struct cmdi_deltas *deltas);
/**
 * A counter's or histogram's point becomes what was added to it, and is the last one from now on. A total
 * that is smaller than the last one has begun anew, and is taken whole.
 *
 * Owner:   *less borrows the labels of `point`; its distribution is its own.
 * Returns: 1; 0: nothing was added; -ENOBUFS: no room for one more; -ENOMEM.
 */
int cmdi_deltas_take(struct cmdi_deltas *deltas, const struct cmds_metric *metric,
        const struct cmds_point *point, struct cmdi_delta_point *less);
/** The batch is whole. */
void cmdi_deltas_next(struct cmdi_deltas *deltas, uint64_t now_ns);

#endif
