/* SPDX-License-Identifier: MIT */
/*
 * What a runtime counts: per command type, per shard, per server and group, and metrics of your own.
 *
 * Shards write plain numbers of their own, nobody else writes them, and whoever reads adds them up:
 * reading stops no shard and takes no lock that a shard takes. Each number is exact, the set is not
 * one instant's. Nothing here opens a port or starts a thread: cmdstream_admin (admin.h) serves what
 * is read here over HTTP, cmdstream_otel (otel.h) sends it to a collector.
 *
 * Names are OpenTelemetry's and, for commands and results, those of otelcmd-stream-go, so that Go and
 * C services share a dashboard. See docs/telemetry.md for all of them.
 */
#ifndef CMDSTREAM_TELEMETRY_H
#define CMDSTREAM_TELEMETRY_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_runtime;

/** What is not kept, or, of sizes, not shown: cmds_telemetry_options.off. */
enum cmds_telemetry_part {
    CMDS_TELEMETRY_TYPES = 1,     // All that is told apart by command type, with the three below.
    CMDS_TELEMETRY_SIZES = 2,     // Sizes of commands and results: counting costs less than asking.
    CMDS_TELEMETRY_DURATIONS = 4, // Durations of commands and results.
    CMDS_TELEMETRY_EXEC = 8,      // Sampled times of exec functions.
    CMDS_TELEMETRY_ALL = 15,
};

/** Start from CMDS_TELEMETRY_OPTIONS_INIT. A field left at zero takes the default beside it. */
struct cmds_telemetry_options {
    uint32_t struct_size; // Set by CMDS_TELEMETRY_OPTIONS_INIT.
    uint32_t off;         // enum cmds_telemetry_part, or-ed. Default 0: everything is kept.
    // One exec function of so many, on average and at random, is timed. Default 256; 1: each; at
    // most 1000000. Those in the pool are not.
    uint32_t exec_sample;
    // A turn of a shard that takes longer is a stall: counted, and logged with the command type that
    // ran last. Default 100; CMDS_NEVER: none is.
    uint32_t stall_ms;
};
#ifdef __cplusplus
#define CMDS_TELEMETRY_OPTIONS_INIT cmds_detail::sized<struct cmds_telemetry_options>()
#else
#define CMDS_TELEMETRY_OPTIONS_INIT                                                                \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_telemetry_options)                                       \
    }
#endif

/* --- Reading ---------------------------------------------------------------------------------- */

enum cmds_metric_kind {
    CMDS_METRIC_COUNTER, // Only grows.
    CMDS_METRIC_GAUGE,   // A quantity now.
    CMDS_METRIC_HISTOGRAM,
};

/** One metric. All of it is static text, or its definer's. Structs of the library grow at their end. */
struct cmds_metric {
    const char *name;        // OpenTelemetry's form: "cmd-stream.server.command.count".
    const char *unit;        // UCUM: "s", "By", "{command}", "1".
    const char *description; // One sentence.
    uint8_t kind;            // enum cmds_metric_kind
    bool is_real;            // Points have `real`, else `integer`. Of a histogram: what its sum is.
    uint8_t unused[6];
};

/** An attribute of OpenTelemetry, a label of Prometheus. */
struct cmds_label {
    const char *key; // OpenTelemetry's form: "cmd-stream.command.type".
    struct cmds_string value;
};

/**
 * A base-2 exponential histogram: bucket i of `buckets` counts values v with
 * 2^((offset + i) / 2^scale) < v <= 2^((offset + i + 1) / 2^scale), in the unit of the metric. That is
 * OpenTelemetry's numbering; in Prometheus' native histograms the same bucket has the index
 * offset + i + 1. The first and the last bucket that are given are not empty.
 */
struct cmds_distribution {
    int32_t scale;
    int32_t offset;
    uint32_t bucket_count;
    uint32_t unused;
    const uint64_t *buckets;
    uint64_t count;        // Of all values: zero_count and all buckets.
    uint64_t zero_count;   // Values of at most zero_threshold.
    double zero_threshold; // In the unit of the metric.
    double sum;            // In the unit of the metric.
};

/** A recent value whose trace was sampled. */
struct cmds_exemplar {
    double value;     // In the unit of the metric.
    uint64_t time_ns; // CLOCK_REALTIME.
    uint8_t trace_id[16], span_id[8];
};

struct cmds_point {
    const struct cmds_label *labels; // In the same order for all points of one metric.
    uint32_t label_count;
    uint32_t unused;
    int64_t integer;                              // Counter, gauge.
    double real;                                  // The same, if the metric is_real.
    const struct cmds_distribution *distribution; // Histogram; else NULL.
    const struct cmds_exemplar *exemplar;         // NULL: none.
};

/** For cmds_telemetry_read() and cmds_telemetry_write(). */
enum cmds_read_flag {
    // Counters and gauges of each shard by itself, with the label "cmdstream.shard". Histograms are
    // always sums.
    CMDS_READ_BY_SHARD = 1,
    CMDS_READ_EMPTY = 2, // Also the types that never occurred.
    // Durations are milliseconds under the unit "s": what otelcmd-stream-go 0.2 exports.
    CMDS_READ_GO_MILLISECONDS = 4,
};

/** Returns: 0 to go on; anything else ends the reading. */
typedef int (*cmds_point_fn)(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point);
/**
 * Calls `fn` with every point of every metric, those of one metric in a row.
 *
 * Owner:   what `metric` and `point` point to is borrowed until `fn` returns.
 * Thread:  any, until cmds_runtime_stop() is called. `fn` is called on it; it must not open or close
 *          servers, groups or senders.
 * Returns: 0; what `fn` returned, if not 0; -EINVAL: a flag that the library does not know; -ENOMEM;
 *          CMDS_E_FORKED.
 */
CMDS_API int cmds_telemetry_read(
        const struct cmds_runtime *runtime, uint32_t flags, cmds_point_fn fn, void *context);

enum cmds_telemetry_format {
    CMDS_FORMAT_PROMETHEUS,          // text/plain; version=0.0.4
    CMDS_FORMAT_OPENMETRICS,         // application/openmetrics-text; version=1.0.0, with exemplars.
    CMDS_FORMAT_PROMETHEUS_PROTOBUF, // io.prometheus.client.MetricFamily, delimited; native histograms.
    CMDS_FORMAT_JSON,                // For programs; see docs/telemetry.md.
};
/**
 * Writes all of it in one format.
 *
 * Owner:   borrows `out`, of which at most `size` bytes are written; text is terminated if `size` is
 *          not 0.
 * Thread:  as cmds_telemetry_read().
 * Returns: the size without a terminator that it has, or would need, as snprintf; numbers grow in the
 *          meantime, so give some more. -EINVAL: no such format or flag; -ENOMEM; CMDS_E_FORKED.
 */
CMDS_API int64_t cmds_telemetry_write(const struct cmds_runtime *runtime,
        enum cmds_telemetry_format format, uint32_t flags, char *out, size_t size);
/** What HTTP calls it: a Content-Type. Thread: any. Returns: static text; NULL: no such format. */
CMDS_API const char *cmds_telemetry_content_type(enum cmds_telemetry_format format);

/* --- Metrics of your own ---------------------------------------------------------------------- */

enum {
    CMDS_METRICS_MAX = 256 // Of a runtime.
};

/** Start from CMDS_METRIC_OPTIONS_INIT. */
struct cmds_metric_options {
    uint32_t struct_size; // Set by CMDS_METRIC_OPTIONS_INIT.
    uint8_t kind;         // enum cmds_metric_kind. Default: a counter.
    uint8_t unused[3];
    // At most 127 of the characters A-Z a-z 0-9 . _ - /, a letter first. Names that begin with
    // "cmd-stream.", "cmdstream." and "process." are the library's.
    const char *name;
    const char *unit;        // UCUM, at most 31 bytes of ASCII. NULL: none.
    const char *description; // One sentence. NULL: none.
};
#ifdef __cplusplus
#define CMDS_METRIC_OPTIONS_INIT cmds_detail::sized<struct cmds_metric_options>()
#else
#define CMDS_METRIC_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_metric_options)                                          \
    }
#endif

/**
 * Defines a metric, which is read with all others from now on, as one number of the whole runtime. The
 * same definition twice is one metric.
 *
 * A metric of the unit "s" is a time: it is given nanoseconds and read as seconds. Histograms of times
 * have eight buckets for each power of two, from 60 ns to 17 minutes; others have one for each, up to
 * 2^32.
 *
 * Owner:   keeps the three texts until cmds_runtime_stop() has returned.
 * Thread:  any.
 * Returns: 0; -EINVAL: a name, unit or kind that is none; -E2BIG: an option that this library lacks;
 *          -EEXIST: Prometheus would have it under a name that is taken ("a.b" and "a_b" are one
 *          there, and a histogram also has its name with _bucket, _sum and _count); -ENOSPC: there are
 *          CMDS_METRICS_MAX; -ENOMEM; CMDS_E_FORKED.
 */
CMDS_NODISCARD CMDS_API int cmds_metric_define(
        struct cmds_runtime *runtime, const struct cmds_metric_options *options, uint32_t *id);
/**
 * Adds to a counter or a gauge: to a gauge also less than nothing, a counter does not take that. On a
 * shard of the runtime it is a plain addition, elsewhere an atomic one; nobody looks whether it is beyond
 * 2^63 - 1, where a number ends.
 *
 * Thread:  any, until cmds_runtime_stop() is called. An `id` of no such metric: nothing happens.
 */
CMDS_API void cmds_metric_add(struct cmds_runtime *runtime, uint32_t id, int64_t number);
/**
 * One value of a histogram. What all of them add up to ends at 2^64 - 1, in nanoseconds if it is a time, and stays
 * there: a sum never falls. Thread: as cmds_metric_add(), and likewise.
 */
CMDS_API void cmds_metric_record(struct cmds_runtime *runtime, uint32_t id, uint64_t number);

CMDS_END_

#endif
