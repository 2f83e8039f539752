/* SPDX-License-Identifier: MIT */
/*
 * What a runtime counts and traces, sent to an OpenTelemetry Collector, or to whatever else takes OTLP
 * over HTTP. Spans are there if cmds_runtime_options.trace is set, and are taken from the runtime: there is
 * one that takes them, see cmds_span_take().
 *
 *     struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
 *     options.service_name = "calculator";
 *     options.on_log = cmds_log_stderr;                        // Else nobody hears of a backend that is not there.
 *     code = cmds_otel_open(&otel, runtime, &options, &error);
 *     ...
 *     cmds_otel_close(otel, 5000);                             // Before cmds_runtime_stop().
 *
 * The library is cmdstream_otel, beside the core, and stands on libcurl. Protobuf over HTTP or HTTPS, no
 * gRPC: the port is 4318. One thread of its own collects, sends and tries again; no shard waits for it or
 * wakes it. That thread blocks all signals. See docs/otel.md for the OTEL_* variables and for what is
 * tried again.
 *
 * fork: a child exports nothing. There, cmds_otel_flush() returns CMDS_E_FORKED and cmds_otel_close()
 * does nothing.
 */
#ifndef CMDSTREAM_OTEL_H
#define CMDSTREAM_OTEL_H

#include <cmdstream/base.h>
#include <cmdstream/runtime.h>

CMDS_BEGIN_

struct cmds_otel;

enum cmds_otel_histograms {
    CMDS_OTEL_EXPONENTIAL, // As they are counted: at most 4.5 % off.
    CMDS_OTEL_EXPLICIT, // For backends without: bounds 2^-19 .. 2^2 s, for sizes 2^3 .. 2^24 bytes.
};

/**
 * Start from CMDS_OTEL_OPTIONS_INIT. A field left at zero takes what the OTEL_* variable beside it says,
 * and without one the default.
 */
struct cmds_otel_options {
    uint32_t struct_size; // Set by CMDS_OTEL_OPTIONS_INIT.
    uint8_t histograms;   // enum cmds_otel_histograms. Default EXPONENTIAL.
    // Counters and histograms are what was added since the batch before, not totals.
    bool delta;           // OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta
    bool gzip;            // OTEL_EXPORTER_OTLP_COMPRESSION=gzip
    bool go_milliseconds; // Durations are milliseconds under the unit "s", as otelcmd-stream-go 0.2 has.
    // "http://host:4318", "https://host/prefix", "unix:/path": "/v1/metrics", "/v1/traces" is added. Default
    // OTEL_EXPORTER_OTLP_ENDPOINT, http://localhost:4318.
    const char *endpoint;
    // "key=value,key=value", values may be percent-encoded (%25 is %): often secrets, and never shown or logged.
    const char *headers; // OTEL_EXPORTER_OTLP_HEADERS
    // OTEL_SERVICE_NAME; default "unknown_service:" and the program's name.
    const char *service_name;
    // "key=value,key=value", percent-encoded as headers are; over those of OTEL_RESOURCE_ATTRIBUTES.
    const char *resource;
    uint32_t metric_interval_ms; // OTEL_METRIC_EXPORT_INTERVAL; default 60000.
    // Spans wait so long, or until there are 512. OTEL_BSP_SCHEDULE_DELAY; default 5000.
    uint32_t span_interval_ms;
    uint32_t timeout_ms;     // Of one request. OTEL_EXPORTER_OTLP_TIMEOUT; default 10000.
    bool ignore_environment; // No variable is read.
    bool no_metrics;         // OTEL_METRICS_EXPORTER=none
    bool no_traces;          // OTEL_TRACES_EXPORTER=none
    uint8_t unused;
    // Called inside of cmds_otel_open(), once for each variable that makes no sense, and then on
    // the exporter's thread, at most one line a second. NULL: silence. See cmds_log_stderr().
    void (*on_log)(void *context, enum cmds_log_level level, const char *text);
    void *log_context;
};
#ifdef __cplusplus
#define CMDS_OTEL_OPTIONS_INIT cmds_detail::sized<struct cmds_otel_options>()
#else
#define CMDS_OTEL_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_otel_options)                                            \
    }
#endif

/** What has become of the batches. Start from CMDS_OTEL_COUNTERS_INIT. */
struct cmds_otel_counters {
    uint32_t struct_size;
    uint32_t unused;
    uint64_t batches_sent;    // The backend has taken them.
    uint64_t batches_dropped; // Lost: refused, tried too often, or pushed out of a full queue.
    uint64_t tries_again;     // Requests that were sent once more.
    uint64_t items_rejected;  // Points and spans that the backend took a batch without.
    uint64_t spans_sent;      // In the batches above.
    uint64_t spans_dropped;   // In the batches above; see cmds_span_dropped() for others.
    uint64_t points_sent;     // Of metrics, in the batches above.
    // In the batches above, and those for which deltas had no room. A point is a total that goes out again with
    // the next batch, so that only what was a delta is lost for good.
    uint64_t points_dropped;
};
#ifdef __cplusplus
#define CMDS_OTEL_COUNTERS_INIT cmds_detail::sized<struct cmds_otel_counters>()
#else
#define CMDS_OTEL_COUNTERS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_otel_counters)                                           \
    }
#endif

/**
 * Starts the thread. With OTEL_SDK_DISABLED=true nothing is sent, and that is no failure. Nor is a backend that is not there: it may come.
 *
 * Owner:   gives *otel: cmds_otel_close(), before cmds_runtime_stop(). Copies the options.
 * Thread:  setup.
 * Returns: 0; -EINVAL, -E2BIG: an option, by name; -ENOMEM; -EAGAIN: no thread; -ENOTSUP: libcurl does
 *          not start.
 */
CMDS_NODISCARD CMDS_API int cmds_otel_open(struct cmds_otel **otel, struct cmds_runtime *runtime,
        const struct cmds_otel_options *options, struct cmds_error *error);
/**
 * Collects once more, takes the spans that are over, and waits until nothing is left to send. What a callback
 * of the program was told before this call is counted by then, unless its shard is held up for more than half
 * of `timeout_ms` or 5 s, takes no further post, or is turned by the program: then durations may be missing that
 * end with that turn.
 *
 * Thread:  any but a shard: it waits.
 * Returns: 0; -ETIMEDOUT: not all in time; -EIO: some of it was lost; CMDS_E_FORKED.
 */
CMDS_API int cmds_otel_flush(struct cmds_otel *otel, uint32_t timeout_ms);
/** Thread: any, until cmds_otel_close(). Returns: 0; -EINVAL: its struct_size is none. */
CMDS_API int cmds_otel_stats(const struct cmds_otel *otel, struct cmds_otel_counters *counters);
/**
 * Flushes, with the same wait for shards that are held up, gives up when `timeout_ms` is over whatever the backend
 * does, joins the thread, frees. 0: at once. NULL is fine. In a forked child it does nothing.
 *
 * Thread: setup, never a shard, nor inside of on_log.
 */
CMDS_API void cmds_otel_close(struct cmds_otel *otel, uint32_t timeout_ms);

CMDS_END_

#endif
