/* SPDX-License-Identifier: MIT */
/*
 * Points of metrics as OTLP has them: one ExportMetricsServiceRequest, written while a reading goes on.
 * One thread at a time.
 */
#ifndef CMDI_OTEL_METRICS_H
#define CMDI_OTEL_METRICS_H

#include <cmdstream/telemetry.h>

#include "otel/delta.h"
#include "otel/proto.h"

/** What holds for all batches of an exporter. */
struct cmdi_metrics_plan {
    struct cmds_bytes resource; // Of cmdi_resource_make(): a Resource without its tag.
    uint64_t start_ns;    // Since when totals are counted. CLOCK_REALTIME, as all times of OTLP.
    bool is_explicit;     // Histograms with bounds, not exponential ones.
    bool is_milliseconds; // Those of Go's names are milliseconds; this moves the bounds alone.
};

struct cmdi_metrics {
    const struct cmdi_metrics_plan *plan;
    struct cmdi_proto *proto;
    struct cmdi_deltas *deltas; // NULL: totals.
    uint64_t since_ns, now_ns;  // since_ns: start_ns; with deltas, the time of the batch before.
    size_t scope_mark;
    struct cmds_metric metric; // Whose points are written now; its name is NULL before the first.
    size_t metric_mark, points_mark;
    uint32_t point_count; // In the batch.
    uint32_t lost_count;  // Points that found no room in `deltas`.
};

/** Owner: borrows `plan`, `proto` and `deltas` until cmdi_metrics_end(). `proto` is empty. */
void cmdi_metrics_begin(struct cmdi_metrics *metrics, const struct cmdi_metrics_plan *plan,
        struct cmdi_proto *proto, struct cmdi_deltas *deltas, uint64_t now_ns);
/** A cmds_point_fn; `context` is the struct cmdi_metrics. Returns: 0; -ENOMEM, -EFBIG. */
int cmdi_metrics_point(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point);
/** The request is whole, in `proto`. Returns: how many points are in it; -ENOMEM, -EFBIG. */
int64_t cmdi_metrics_end(struct cmdi_metrics *metrics);

/** A KeyValue with a string, as a message in field `field`. */
void cmdi_otlp_string(
        struct cmdi_proto *proto, uint32_t field, const char *key, struct cmds_string value);
/** The same with an integer. */
void cmdi_otlp_integer(struct cmdi_proto *proto, uint32_t field, const char *key, int64_t value);
/**
 * In front of what an ExportMetricsServiceRequest or an ExportTraceServiceRequest has behind `mark`: scope,
 * resource, and what holds them. The fields have the same numbers in both.
 */
void cmdi_otlp_envelope(struct cmdi_proto *proto, struct cmds_bytes resource, size_t mark);

#endif
