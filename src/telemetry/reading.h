/* SPDX-License-Identifier: MIT */
/*
 * One reading of all metrics: what its parts, each of which knows some of the metrics, have in common.
 * On the reader's thread.
 */
#ifndef CMDI_TELEMETRY_READING_H
#define CMDI_TELEMETRY_READING_H

#include <cmdstream/telemetry.h>

#include "base/exponential.h"
#include "telemetry/rows.h"
#include "telemetry/scope.h"

enum {
    CMDI_LABELS_MAX = 6,
};

struct cmdi_reading {
    const struct cmds_runtime *runtime;
    uint32_t flags; // enum cmds_read_flag
    cmds_point_fn fn;
    void *context;
    int code; // Not 0: it is over.
    // Of the points to come.
    struct cmds_label labels[CMDI_LABELS_MAX];
    uint32_t label_count;
    const struct cmds_exemplar *exemplar; // NULL: they have none.
};

/** The points to come have this label as well. Owner: keeps `value` until it is taken off. */
void cmdi_reading_label(struct cmdi_reading *reading, const char *key, const char *value);
/** The labels behind the first `count` are taken off. */
void cmdi_reading_unlabel(struct cmdi_reading *reading, uint32_t count);
/** One point; nothing once the reading is over. */
void cmdi_reading_integer(
        struct cmdi_reading *reading, const struct cmds_metric *metric, int64_t value);
void cmdi_reading_real(
        struct cmdi_reading *reading, const struct cmds_metric *metric, double value);
/**
 * A number that shards count: values[0] is the sum; or, by shard, values[i * stride] is that of place
 * i, the last of which may be no shard. `per_unit`: so many are one of the metric's unit.
 */
void cmdi_reading_number(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const uint64_t *values, size_t stride, uint32_t places, uint32_t per_unit);
/** Histograms, which are sums. `goes_by_flags`: in milliseconds if the flags say so. */
void cmdi_reading_durations(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const struct cmdi_durations *durations, bool goes_by_flags);
void cmdi_reading_sizes(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const struct cmdi_sizes *sizes);
static inline bool cmdi_reading_by_shard(const struct cmdi_reading *reading)
{
    return (reading->flags & CMDS_READ_BY_SHARD) != 0;
}

/** What is counted by command type. */
void cmdi_read_types(struct cmdi_reading *reading);
/** What servers and groups count. */
void cmdi_read_scopes(struct cmdi_reading *reading);

#endif
