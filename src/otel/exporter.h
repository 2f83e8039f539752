/* SPDX-License-Identifier: MIT */
/*
 * The exporter: a thread that collects, sends, and tries again. What it reads is a function, so that a
 * test has points of its own. See the header for who may call what.
 */
#ifndef CMDI_OTEL_EXPORTER_H
#define CMDI_OTEL_EXPORTER_H

#include <cmdstream/otel.h>
#include <cmdstream/telemetry.h>
#include <cmdstream/trace.h>

/** What is exported; cmds_telemetry_read() and cmds_span_take() with their runtime. */
struct cmdi_source {
    int (*read)(void *context, uint32_t flags, cmds_point_fn fn, void *fn_context);
    /** Spans; cmds_span_take(). NULL: there are none. */
    uint32_t (*take)(void *context, struct cmds_span *out, uint32_t count_max);
    /** So many of the traces that begin; cmds_runtime_set_sampling(). NULL: none begin. */
    int (*sample)(void *context, double root_ratio);
    /**
     * Returns when all that has happened by now can be read, or at `deadline_ns` of CLOCK_MONOTONIC. Thread: that
     * of cmds_otel_flush() and cmds_otel_close(). NULL: it can be.
     */
    void (*settle)(void *context, uint64_t deadline_ns);
    void *context;
    uint64_t start_ns; // Since when it counts. CLOCK_REALTIME.
};

struct cmdi_exporter;

/** As cmds_otel_open(). */
int cmdi_exporter_open(struct cmdi_exporter **exporter, const struct cmdi_source *source,
        const struct cmds_otel_options *options, struct cmds_error *error);
/** As cmds_otel_flush(), cmds_otel_stats(), cmds_otel_close(). */
int cmdi_exporter_flush(struct cmdi_exporter *exporter, uint32_t timeout_ms);
void cmdi_exporter_stats(const struct cmdi_exporter *exporter, struct cmds_otel_counters *counters);
void cmdi_exporter_close(struct cmdi_exporter *exporter, uint32_t timeout_ms);

#endif
