/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' protobuf: messages io.prometheus.client.MetricFamily, each with its size in front of it.
 *
 * It is the only form in which Prometheus takes a histogram as it was counted, base-2 exponential
 * ("native"). The cumulative buckets of the text stand beside these, for a Prometheus that is asked to
 * keep both and because it looks for exemplars there. Prometheus' bucket i ends at 2^(i / 2^schema),
 * ours at 2^((i + 1) / 2^scale): the same bucket's index is greater by one there.
 *
 *     MetricFamily { name 1, help 2, type 3, metric 4 }
 *     Metric       { label 1, gauge 2, counter 3, histogram 7 }
 *     LabelPair    { name 1, value 2 }      Gauge { value 1 }      Counter { value 1, exemplar 2 }
 *     Histogram    { sample_count 1, sample_sum 2, bucket 3, schema 5, zero_threshold 6, zero_count 7,
 *                    positive_span 12, positive_delta 13 }
 *     Bucket       { cumulative_count 1, upper_bound 2, exemplar 3 }
 *     BucketSpan   { offset 1, length 2 }
 *     Exemplar     { label 1, value 2, timestamp 3 { seconds 1, nanos 2 } }
 */
#include "base/assert.h"
#include "telemetry/escape.h"
#include "telemetry/format.h"

enum {
    // A length that is patched in has this many bytes whatever it is: protobuf's readers take zeros
    // in the high places. All families have it, so a size can be told before anything is written.
    LENGTH_SIZE = 5,
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    TYPE_COUNTER = 0,
    TYPE_GAUGE = 1,
    TYPE_HISTOGRAM = 4,
    // Empty buckets between two others, at most: more cost more than the span that leaves them out.
    GAP_MAX = 2,
    SCHEMA_MIN = -4, // What Prometheus takes.
    SCHEMA_MAX = 8
};

/* What a message is made of; `what` is the writer's own. */
typedef void (*proto_fn)(struct cmdi_output *output, const void *what);

static void proto_varint(struct cmdi_output *output, uint64_t number)
{
    while (number >= 0x80) {
        cmdi_output_byte(output, (uint8_t)(number | 0x80));
        number >>= 7;
    }
    cmdi_output_byte(output, (uint8_t)number);
}

static uint64_t proto_zigzag(int64_t number)
{
    return number < 0 ? ~((uint64_t)number << 1) : (uint64_t)number << 1;
}

static void proto_tag(struct cmdi_output *output, uint32_t field, uint32_t wire)
{
    proto_varint(output, field << 3 | wire);
}

static void proto_number(struct cmdi_output *output, uint32_t field, uint64_t number)
{
    proto_tag(output, field, WIRE_VARINT);
    proto_varint(output, number);
}

static void proto_real(struct cmdi_output *output, uint32_t field, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    proto_tag(output, field, WIRE_FIXED64);
    for (unsigned i = 0; i < sizeof(bits); i++) {
        cmdi_output_byte(output, (uint8_t)(bits >> 8 * i));
    }
}

/* A field with a size in front of it: `fn` runs twice, to count and to write. */
static void proto_part(struct cmdi_output *output, uint32_t field, proto_fn fn, const void *what)
{
    struct cmdi_output size = {0};
    fn(&size, what);
    proto_tag(output, field, WIRE_BYTES);
    proto_varint(output, size.used);
    fn(output, what);
}

static void write_string(struct cmdi_output *output, const void *what)
{
    cmdi_escape(output, *(const struct cmds_string *)what, CMDI_ESCAPE_PLAIN);
}

static void proto_string(struct cmdi_output *output, uint32_t field, struct cmds_string text)
{
    proto_part(output, field, write_string, &text);
}

static void write_label_name(struct cmdi_output *output, const void *what)
{
    cmdi_name_label(output, what);
}

static void write_label(struct cmdi_output *output, const void *what)
{
    const struct cmds_label *label = what;
    proto_part(output, 1, write_label_name, label->key);
    proto_string(output, 2, label->value);
}

/* --- Exemplars -------------------------------------------------------------------------------- */

/* Bytes that a label has as hexadecimal digits. */
struct id {
    const char *name;
    const uint8_t *bytes;
    size_t size;
};

static void write_id_digits(struct cmdi_output *output, const void *what)
{
    const struct id *id = what;
    cmdi_output_hex(output, id->bytes, id->size);
}

static void write_id(struct cmdi_output *output, const void *what)
{
    const struct id *id = what;
    proto_string(output, 1, (struct cmds_string){id->name, strlen(id->name)});
    proto_part(output, 2, write_id_digits, id);
}

static void write_time(struct cmdi_output *output, const void *what)
{
    const struct cmds_exemplar *exemplar = what;
    proto_number(output, 1, exemplar->time_ns / 1000000000);
    proto_number(output, 2, exemplar->time_ns % 1000000000);
}

static void write_exemplar(struct cmdi_output *output, const void *what)
{
    const struct cmds_exemplar *exemplar = what;
    struct id trace = {"trace_id", exemplar->trace_id, sizeof(exemplar->trace_id)};
    struct id span = {"span_id", exemplar->span_id, sizeof(exemplar->span_id)};
    proto_part(output, 1, write_id, &trace);
    proto_part(output, 1, write_id, &span);
    proto_real(output, 2, exemplar->value);
    proto_part(output, 3, write_time, exemplar);
}

/* --- Histograms ------------------------------------------------------------------------------- */

struct proto_bucket {
    uint64_t count;
    double bound;
    const struct cmds_exemplar *exemplar;
};

static void write_bucket(struct cmdi_output *output, const void *what)
{
    const struct proto_bucket *bucket = what;
    proto_number(output, 1, bucket->count);
    proto_real(output, 2, bucket->bound);
    if (bucket->exemplar != NULL) {
        proto_part(output, 3, write_exemplar, bucket->exemplar);
    }
}

struct proto_span {
    int32_t offset; // From the end of the last span; of the first one: the index of its bucket.
    uint32_t length;
};

static void write_span(struct cmdi_output *output, const void *what)
{
    const struct proto_span *span = what;
    proto_number(output, 1, proto_zigzag(span->offset));
    proto_number(output, 2, span->length);
}

/*
 * The next run of buckets from *at on. It ends where more than GAP_MAX empty ones follow.
 *
 * Returns: false: there is none.
 */
static bool next_span(
        const struct cmds_distribution *distribution, uint32_t *at, uint32_t *from, uint32_t *to)
{
    const uint64_t *buckets = distribution->buckets;
    uint32_t i = *at;
    while (i < distribution->bucket_count && buckets[i] == 0) {
        i++;
    }
    *from = i;
    *to = i;
    for (; i < distribution->bucket_count && i - *to <= GAP_MAX; i++) {
        if (buckets[i] > 0) {
            *to = i + 1;
        }
    }
    *at = *to;
    return *to > *from;
}

/* How much more than the bucket before each has. */
static void write_deltas(struct cmdi_output *output, const void *what)
{
    const struct cmds_distribution *distribution = what;
    uint64_t last = 0;
    uint32_t from, to;
    for (uint32_t at = 0; next_span(distribution, &at, &from, &to);) {
        for (uint32_t i = from; i < to; i++) {
            proto_varint(output, proto_zigzag((int64_t)(distribution->buckets[i] - last)));
            last = distribution->buckets[i];
        }
    }
}

static void write_native(struct cmdi_output *output, const struct cmds_distribution *distribution)
{
    CMDI_ASSERT(distribution->scale >= SCHEMA_MIN && distribution->scale <= SCHEMA_MAX);
    proto_number(output, 5, proto_zigzag(distribution->scale));
    proto_real(output, 6, distribution->zero_threshold);
    proto_number(output, 7, distribution->zero_count);
    uint32_t from, to, end = 0;
    bool is_first = true;
    for (uint32_t at = 0; next_span(distribution, &at, &from, &to);) {
        struct proto_span span = {(int32_t)(from - end), to - from};
        if (is_first) {
            span.offset = distribution->offset + (int32_t)from + 1;
        }
        proto_part(output, 12, write_span, &span);
        end = to;
        is_first = false;
    }
    if (is_first) { // Without a span it would be taken for one that has no native buckets.
        proto_part(output, 12, write_span, &(struct proto_span){0});
        return;
    }
    proto_part(output, 13, write_deltas, distribution);
}

/* --- A point ---------------------------------------------------------------------------------- */

struct proto_point {
    const struct cmds_metric *metric;
    const struct cmds_point *point;
    const struct cmdi_bounds *bounds;
    uint64_t count; // Of a histogram, as its `counts`.
    uint64_t counts[CMDI_BOUNDS_MAX];
};

static void write_histogram(struct cmdi_output *output, const void *what)
{
    const struct proto_point *point = what;
    const struct cmdi_bounds *bounds = point->bounds;
    const struct cmds_exemplar *exemplar = point->point->exemplar;
    uint32_t with = exemplar != NULL ? cmdi_bounds_index(bounds, exemplar->value) : UINT32_MAX;
    proto_number(output, 1, point->count);
    proto_real(output, 2, point->point->distribution->sum);
    for (uint32_t i = 0; i <= bounds->count; i++) {
        struct proto_bucket bucket = {point->count, __builtin_inf(), NULL};
        if (i < bounds->count) {
            bucket.count = point->counts[i];
            bucket.bound = cmdi_bounds_value(bounds, i);
        }
        bucket.exemplar = i == with ? exemplar : NULL;
        proto_part(output, 3, write_bucket, &bucket);
    }
    write_native(output, point->point->distribution);
}

/* A gauge or a counter. */
static void write_value(struct cmdi_output *output, const void *what)
{
    const struct proto_point *point = what;
    const struct cmds_exemplar *exemplar = point->point->exemplar;
    bool is_counter = point->metric->kind == CMDS_METRIC_COUNTER;
    proto_real(
            output, 1, point->metric->is_real ? point->point->real : (double)point->point->integer);
    if (is_counter && exemplar != NULL) {
        proto_part(output, 2, write_exemplar, exemplar);
    }
}

static void write_point(struct cmdi_output *output, const void *what)
{
    const struct proto_point *point = what;
    for (uint32_t i = 0; i < point->point->label_count; i++) {
        proto_part(output, 1, write_label, &point->point->labels[i]);
    }
    switch (point->metric->kind) {
    case CMDS_METRIC_HISTOGRAM:
        proto_part(output, 7, write_histogram, point);
        break;
    case CMDS_METRIC_GAUGE:
        proto_part(output, 2, write_value, point);
        break;
    default:
        proto_part(output, 3, write_value, point);
    }
}

/* --- A family --------------------------------------------------------------------------------- */

static void proto_begin(struct cmdi_format *format)
{
    (void)format;
}

static void proto_metric(struct cmdi_format *format, const struct cmds_metric *metric)
{
    static const uint8_t types[] = {
            [CMDS_METRIC_COUNTER] = TYPE_COUNTER,
            [CMDS_METRIC_GAUGE] = TYPE_GAUGE,
            [CMDS_METRIC_HISTOGRAM] = TYPE_HISTOGRAM,
    };
    struct cmdi_output *output = &format->output;
    static const uint8_t length[LENGTH_SIZE];
    (void)cmdi_name_metric(metric, format->base_name);
    cmdi_name_sample(metric, format->base_name, format->name);
    format->bounds = cmdi_bounds_of(metric, format->flags);
    format->length_at = output->used;
    cmdi_output_bytes(output, length, sizeof(length));
    proto_string(output, 1, (struct cmds_string){format->name, strlen(format->name)});
    if (metric->description != NULL) {
        struct cmds_string text = {metric->description, strlen(metric->description)};
        proto_string(output, 2, text);
    }
    proto_number(output, 3, types[metric->kind]);
}

static void proto_metric_point(struct cmdi_format *format, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    struct proto_point all = {.metric = metric, .point = point, .bounds = &format->bounds};
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        all.count = cmdi_bounds_fill(&format->bounds, point->distribution, all.counts);
    }
    proto_part(&format->output, 4, write_point, &all);
}

static void proto_metric_end(struct cmdi_format *format)
{
    uint64_t size = format->output.used - format->length_at - LENGTH_SIZE;
    CMDI_ASSERT(size < UINT64_C(1) << 7 * LENGTH_SIZE);
    uint8_t length[LENGTH_SIZE];
    for (unsigned i = 0; i < LENGTH_SIZE; i++) {
        length[i] = (uint8_t)((size >> 7 * i & 0x7f) | (i + 1 < LENGTH_SIZE ? 0x80 : 0));
    }
    cmdi_output_patch(&format->output, format->length_at, length, sizeof(length));
}

const struct cmdi_format_kind cmdi_format_protobuf = {
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
        "encoding=delimited",
        proto_begin,
        proto_metric,
        proto_metric_point,
        proto_metric_end,
        proto_begin,
};
