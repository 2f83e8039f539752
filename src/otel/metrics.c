/* SPDX-License-Identifier: MIT */
/*
 * See metrics.h. The numbers of fields are those of opentelemetry/proto/metrics/v1/metrics.proto and
 * common.proto, version 1. All is written from the end to the front: see proto.h.
 */
#include "otel/metrics.h"

#include <errno.h>
#include <math.h>

#include "base/assert.h"

enum { // ExportMetricsServiceRequest, ExportTraceServiceRequest, and what they hold.
    REQUEST_RESOURCES = 1,
    RESOURCES_RESOURCE = 1,
    RESOURCES_SCOPES = 2,
    SCOPES_SCOPE = 1,
    SCOPE_METRICS_METRICS = 2,
    SCOPE_NAME = 1,
    SCOPE_VERSION = 2,
};
enum { // Metric
    METRIC_NAME = 1,
    METRIC_DESCRIPTION = 2,
    METRIC_UNIT = 3,
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    METRIC_EXPONENTIAL = 10,
};
enum { // Gauge, Sum, Histogram, ExponentialHistogram
    DATA_POINTS = 1,
    DATA_TEMPORALITY = 2,
    DATA_MONOTONIC = 3,
    TEMPORALITY_DELTA = 1,
    TEMPORALITY_CUMULATIVE = 2,
};
enum { // NumberDataPoint; times and count are the same in all points.
    POINT_START = 2,
    POINT_TIME = 3,
    POINT_COUNT = 4,
    POINT_SUM = 5,
    NUMBER_DOUBLE = 4,
    NUMBER_EXEMPLARS = 5,
    NUMBER_INTEGER = 6,
    NUMBER_ATTRIBUTES = 7,
};
enum { // HistogramDataPoint
    EXPLICIT_COUNTS = 6,
    EXPLICIT_BOUNDS = 7,
    EXPLICIT_EXEMPLARS = 8,
    EXPLICIT_ATTRIBUTES = 9,
};
enum { // ExponentialHistogramDataPoint, Buckets
    EXPONENTIAL_ATTRIBUTES = 1,
    EXPONENTIAL_SCALE = 6,
    EXPONENTIAL_ZERO_COUNT = 7,
    EXPONENTIAL_POSITIVE = 8,
    EXPONENTIAL_EXEMPLARS = 11,
    EXPONENTIAL_ZERO_THRESHOLD = 14,
    BUCKETS_OFFSET = 1,
    BUCKETS_COUNTS = 2,
};
enum { // Exemplar
    EXEMPLAR_TIME = 2,
    EXEMPLAR_DOUBLE = 3,
    EXEMPLAR_SPAN_ID = 4,
    EXEMPLAR_TRACE_ID = 5,
};
enum { // KeyValue, AnyValue
    KEY_VALUE_KEY = 1,
    KEY_VALUE_VALUE = 2,
    ANY_STRING = 1,
    ANY_INTEGER = 3,
};

enum { // Powers of two that explicit histograms have as bounds: as many for each unit.
    BOUND_COUNT = 22,
    BOUND_SECONDS = -19, // 2 us to 4 s.
    BOUND_MILLISECONDS = -9,
    BOUND_OTHERS = 3, // 8 bytes to 16 MiB.
};

/* ---- Parts of all ---------------------------------------------------------------------------- */

void cmdi_otlp_string(
        struct cmdi_proto *proto, uint32_t field, const char *key, struct cmds_string value)
{
    size_t mark = cmdi_proto_mark(proto);
    cmdi_proto_bytes(proto, ANY_STRING, (struct cmds_bytes){value.data, value.size});
    cmdi_proto_wrap(proto, KEY_VALUE_VALUE, mark);
    cmdi_proto_text(proto, KEY_VALUE_KEY, key);
    cmdi_proto_wrap(proto, field, mark);
}

void cmdi_otlp_integer(struct cmdi_proto *proto, uint32_t field, const char *key, int64_t value)
{
    size_t mark = cmdi_proto_mark(proto);
    cmdi_proto_uint(proto, ANY_INTEGER, (uint64_t)value);
    cmdi_proto_wrap(proto, KEY_VALUE_VALUE, mark);
    cmdi_proto_text(proto, KEY_VALUE_KEY, key);
    cmdi_proto_wrap(proto, field, mark);
}

void cmdi_otlp_envelope(struct cmdi_proto *proto, struct cmds_bytes resource, size_t mark)
{
    size_t scope_mark = cmdi_proto_mark(proto);
    cmdi_proto_text(proto, SCOPE_VERSION, cmds_version());
    cmdi_proto_text(proto, SCOPE_NAME, "cmdstream");
    cmdi_proto_wrap(proto, SCOPES_SCOPE, scope_mark);
    cmdi_proto_wrap(proto, RESOURCES_SCOPES, mark);
    size_t resource_mark = cmdi_proto_mark(proto);
    cmdi_proto_raw(proto, resource);
    cmdi_proto_wrap(proto, RESOURCES_RESOURCE, resource_mark);
    cmdi_proto_wrap(proto, REQUEST_RESOURCES, mark);
}

/* ---- Points ---------------------------------------------------------------------------------- */

static void write_labels(struct cmdi_proto *proto, uint32_t field, const struct cmds_point *point)
{
    for (uint32_t i = point->label_count; i-- > 0;) {
        cmdi_otlp_string(proto, field, point->labels[i].key, point->labels[i].value);
    }
}

static void write_exemplar(
        struct cmdi_proto *proto, uint32_t field, const struct cmds_exemplar *exemplar)
{
    if (exemplar == NULL) {
        return;
    }
    size_t mark = cmdi_proto_mark(proto);
    cmdi_proto_bytes(proto, EXEMPLAR_TRACE_ID,
            (struct cmds_bytes){exemplar->trace_id, sizeof(exemplar->trace_id)});
    cmdi_proto_bytes(proto, EXEMPLAR_SPAN_ID,
            (struct cmds_bytes){exemplar->span_id, sizeof(exemplar->span_id)});
    cmdi_proto_double(proto, EXEMPLAR_DOUBLE, exemplar->value);
    cmdi_proto_fixed64(proto, EXEMPLAR_TIME, exemplar->time_ns);
    cmdi_proto_wrap(proto, field, mark);
}

/* A quantity has no beginning. */
static void write_times(const struct cmdi_metrics *metrics, const struct cmds_metric *metric)
{
    cmdi_proto_fixed64(metrics->proto, POINT_TIME, metrics->now_ns);
    if (metric->kind != CMDS_METRIC_GAUGE) {
        cmdi_proto_fixed64(metrics->proto, POINT_START, metrics->since_ns);
    }
}

static void write_number(const struct cmdi_metrics *metrics, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    write_labels(metrics->proto, NUMBER_ATTRIBUTES, point);
    if (!metric->is_real) {
        cmdi_proto_fixed64(metrics->proto, NUMBER_INTEGER, (uint64_t)point->integer);
    }
    write_exemplar(metrics->proto, NUMBER_EXEMPLARS, point->exemplar);
    if (metric->is_real) {
        cmdi_proto_double(metrics->proto, NUMBER_DOUBLE, point->real);
    }
    write_times(metrics, metric);
}

static void write_exponential(const struct cmdi_metrics *metrics, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    const struct cmds_distribution *distribution = point->distribution;
    struct cmdi_proto *proto = metrics->proto;
    cmdi_proto_double(proto, EXPONENTIAL_ZERO_THRESHOLD, distribution->zero_threshold);
    write_exemplar(proto, EXPONENTIAL_EXEMPLARS, point->exemplar);
    size_t mark = cmdi_proto_mark(proto);
    for (uint32_t i = distribution->bucket_count; i-- > 0;) {
        cmdi_proto_packed_uint(proto, distribution->buckets[i]);
    }
    if (distribution->bucket_count > 0) {
        cmdi_proto_wrap(proto, BUCKETS_COUNTS, mark);
        cmdi_proto_sint(proto, BUCKETS_OFFSET, distribution->offset);
        cmdi_proto_wrap(proto, EXPONENTIAL_POSITIVE, mark);
    }
    cmdi_proto_fixed64(proto, EXPONENTIAL_ZERO_COUNT, distribution->zero_count);
    cmdi_proto_sint(proto, EXPONENTIAL_SCALE, distribution->scale);
    cmdi_proto_double(proto, POINT_SUM, distribution->sum);
    cmdi_proto_fixed64(proto, POINT_COUNT, distribution->count);
    write_times(metrics, metric);
    write_labels(proto, EXPONENTIAL_ATTRIBUTES, point);
}

/* The power of two that is the smallest upper bound of bucket `index`. */
static int64_t octave(int64_t index, int32_t scale)
{
    int64_t upper = index + 1;
    if (scale <= 0) {
        return upper * ((int64_t)1 << (scale < -32 ? 32 : -scale));
    }
    int64_t parts = (int64_t)1 << (scale > 32 ? 32 : scale);
    return upper > 0 ? (upper + parts - 1) / parts : -(-upper / parts);
}

static int32_t first_bound(const struct cmdi_metrics *metrics, const struct cmds_metric *metric)
{
    if (metric->unit == NULL || strcmp(metric->unit, "s") != 0) {
        return BOUND_OTHERS;
    }
    bool is_go = strncmp(metric->name, "cmd-stream.", strlen("cmd-stream.")) == 0;
    return metrics->plan->is_milliseconds && is_go ? BOUND_MILLISECONDS : BOUND_SECONDS;
}

/* Every bound is one of the exponential buckets' bounds too: nothing is guessed. */
static void write_explicit(const struct cmdi_metrics *metrics, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    const struct cmds_distribution *distribution = point->distribution;
    struct cmdi_proto *proto = metrics->proto;
    int32_t first = first_bound(metrics, metric);
    uint64_t counts[BOUND_COUNT + 1] = {distribution->zero_count};
    for (uint32_t i = 0; i < distribution->bucket_count; i++) {
        int64_t at = octave((int64_t)distribution->offset + i, distribution->scale) - first;
        counts[at < 0 ? 0 : at < BOUND_COUNT ? at : BOUND_COUNT] += distribution->buckets[i];
    }
    write_labels(proto, EXPLICIT_ATTRIBUTES, point);
    write_exemplar(proto, EXPLICIT_EXEMPLARS, point->exemplar);
    size_t mark = cmdi_proto_mark(proto);
    for (int32_t i = BOUND_COUNT; i-- > 0;) {
        cmdi_proto_packed_double(proto, ldexp(1, first + i));
    }
    cmdi_proto_wrap(proto, EXPLICIT_BOUNDS, mark);
    mark = cmdi_proto_mark(proto);
    for (uint32_t i = BOUND_COUNT + 1; i-- > 0;) {
        cmdi_proto_packed_fixed64(proto, counts[i]);
    }
    cmdi_proto_wrap(proto, EXPLICIT_COUNTS, mark);
    cmdi_proto_double(proto, POINT_SUM, distribution->sum);
    cmdi_proto_fixed64(proto, POINT_COUNT, distribution->count);
    write_times(metrics, metric);
}

/* ---- Metrics --------------------------------------------------------------------------------- */

static uint32_t data_field(const struct cmdi_metrics *metrics)
{
    switch (metrics->metric.kind) {
    case CMDS_METRIC_COUNTER:
        return METRIC_SUM;
    case CMDS_METRIC_GAUGE:
        return METRIC_GAUGE;
    default:
        return metrics->plan->is_explicit ? METRIC_HISTOGRAM : METRIC_EXPONENTIAL;
    }
}

/* Where a metric begins. What lies in front of its points, in bytes, is written when they are all there. */
static void open_metric(struct cmdi_metrics *metrics, const struct cmds_metric *metric)
{
    metrics->metric = *metric;
    metrics->metric_mark = cmdi_proto_mark(metrics->proto);
    if (metric->kind == CMDS_METRIC_COUNTER) {
        cmdi_proto_uint(metrics->proto, DATA_MONOTONIC, 1);
    }
    if (metric->kind != CMDS_METRIC_GAUGE) {
        cmdi_proto_uint(metrics->proto, DATA_TEMPORALITY,
                metrics->deltas != NULL ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE);
    }
}

static void close_metric(struct cmdi_metrics *metrics)
{
    const struct cmds_metric *metric = &metrics->metric;
    if (metric->name == NULL) {
        return;
    }
    cmdi_proto_wrap(metrics->proto, data_field(metrics), metrics->metric_mark);
    cmdi_proto_text(metrics->proto, METRIC_UNIT, metric->unit);
    cmdi_proto_text(metrics->proto, METRIC_DESCRIPTION, metric->description);
    cmdi_proto_text(metrics->proto, METRIC_NAME, metric->name);
    cmdi_proto_wrap(metrics->proto, SCOPE_METRICS_METRICS, metrics->metric_mark);
    metrics->metric.name = NULL;
}

static bool is_open(const struct cmdi_metrics *metrics, const struct cmds_metric *metric)
{
    return metrics->metric.name != NULL && strcmp(metrics->metric.name, metric->name) == 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

void cmdi_metrics_begin(struct cmdi_metrics *metrics, const struct cmdi_metrics_plan *plan,
        struct cmdi_proto *proto, struct cmdi_deltas *deltas, uint64_t now_ns)
{
    *metrics = (struct cmdi_metrics){
            .plan = plan,
            .proto = proto,
            .deltas = deltas,
            .since_ns = deltas != NULL ? cmdi_deltas_since(deltas) : plan->start_ns,
            .now_ns = now_ns,
            .scope_mark = cmdi_proto_mark(proto),
    };
}

int cmdi_metrics_point(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct cmdi_metrics *metrics = context;
    struct cmdi_delta_point less;
    if (metrics->deltas != NULL && metric->kind != CMDS_METRIC_GAUGE) {
        int code = cmdi_deltas_take(metrics->deltas, metric, point, &less);
        if (code < 0) {
            metrics->lost_count++;
            return code == -ENOBUFS ? 0 : code;
        }
        if (code == 0) {
            return 0; // Nothing has happened since.
        }
        point = &less.point;
    }
    if (!is_open(metrics, metric)) {
        close_metric(metrics);
        open_metric(metrics, metric);
    }
    size_t mark = cmdi_proto_mark(metrics->proto);
    if (metric->kind != CMDS_METRIC_HISTOGRAM) {
        write_number(metrics, metric, point);
    } else if (metrics->plan->is_explicit) {
        write_explicit(metrics, metric, point);
    } else {
        write_exponential(metrics, metric, point);
    }
    cmdi_proto_wrap(metrics->proto, DATA_POINTS, mark);
    metrics->point_count++;
    return metrics->proto->error;
}

int64_t cmdi_metrics_end(struct cmdi_metrics *metrics)
{
    struct cmdi_proto *proto = metrics->proto;
    close_metric(metrics);
    cmdi_otlp_envelope(proto, metrics->plan->resource, metrics->scope_mark);
    if (metrics->deltas != NULL) {
        cmdi_deltas_next(metrics->deltas, metrics->now_ns);
    }
    return proto->error != 0 ? proto->error : (int64_t)metrics->point_count;
}
