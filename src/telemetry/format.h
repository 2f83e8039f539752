/* SPDX-License-Identifier: MIT */
/*
 * Points to bytes, in the formats of cmds_telemetry_write(). A format is a row of functions that one
 * run calls in this order: begin, (metric, point, point, ..., metric_end), ..., end. Points alone
 * decide what is written: nothing here knows shards or servers.
 *
 * What a peer or a program chose (names of types and servers) is hostile until it was escaped: it
 * must not end a label, a line or a document, and bytes that are no UTF-8 would have the whole scrape
 * thrown away.
 */
#ifndef CMDI_TELEMETRY_FORMAT_H
#define CMDI_TELEMETRY_FORMAT_H

#include <cmdstream/telemetry.h>

#include "telemetry/bounds.h"
#include "telemetry/name.h"
#include "telemetry/output.h"

struct cmdi_format;

struct cmdi_format_kind {
    const char *content_type;
    void (*begin)(struct cmdi_format *format);
    void (*metric)(struct cmdi_format *format, const struct cmds_metric *metric);
    void (*point)(struct cmdi_format *format, const struct cmds_metric *metric,
            const struct cmds_point *point);
    void (*metric_end)(struct cmdi_format *format);
    void (*end)(struct cmdi_format *format);
};

/** One run. It lies on its caller's stack. */
struct cmdi_format {
    const struct cmdi_format_kind *kind;
    struct cmdi_output output;
    uint32_t flags;          // enum cmds_read_flag
    uint32_t point_count;    // Before this one, of the metric that is written,
    uint32_t metric_count;   // and of metrics before that.
    const char *metric_name; // OpenTelemetry's; NULL: there was none yet.
    // Of the metric that is written, where the format has a use for it:
    uint64_t length_at;             // Where the size of its message belongs.
    char name[CMDI_NAME_SIZE];      // Prometheus' name of it, with a counter's "_total".
    char base_name[CMDI_NAME_SIZE]; // The same without.
    struct cmdi_bounds bounds;
    char le[CMDI_BOUNDS_MAX][CMDI_OUTPUT_REAL_SIZE];
};

extern const struct cmdi_format_kind cmdi_format_prometheus;
extern const struct cmdi_format_kind cmdi_format_openmetrics;
extern const struct cmdi_format_kind cmdi_format_protobuf;
extern const struct cmdi_format_kind cmdi_format_json;

/**
 * Owner:   keeps `out`, of `size` bytes, until cmdi_format_end().
 * Thread:  any.
 * Returns: false: there is no such format.
 */
bool cmdi_format_begin(struct cmdi_format *format, enum cmds_telemetry_format kind, uint32_t flags,
        char *out, size_t size);
/** A cmds_point_fn; `context` is the run. */
int cmdi_format_point(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point);
/** Returns: the size of all of it, as cmds_telemetry_write(). */
int64_t cmdi_format_end(struct cmdi_format *format);

#endif
