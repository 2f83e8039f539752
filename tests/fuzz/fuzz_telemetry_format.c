/* SPDX-License-Identifier: MIT */
/*
 * Any names, units, labels and numbers as metrics, in all formats. Whatever they are, the text has to
 * parse, the protobuf has to be well formed, all of it has to be UTF-8, each format has to have all
 * points, and a buffer that is too small gets the beginning of the same.
 *
 *     metric: kind 1 | size 1, name | size 1, unit | size 1, description | points 1
 *     point:  labels 1, each: size 1, value | number 8 | of a histogram: scale 1, offset 1, zero 1,
 *             buckets 1, each 1 | has an exemplar 1
 */
#include "telemetry/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    METRICS_MAX = 8,
    POINTS_MAX = 8,
    LABELS_MAX = 3,
    BUCKETS_MAX = 64
};

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        fprintf(stderr, "not true: %s\n", #fact);                                                  \
        abort();                                                                                   \
    }

struct input {
    const uint8_t *at, *end;
};

static uint8_t take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* Not terminated. */
static struct cmds_string take_string(struct input *input)
{
    size_t size = take(input);
    size_t left = (size_t)(input->end - input->at);
    size = size < left ? size : left;
    struct cmds_string string = {(const char *)input->at, size};
    input->at += size;
    return string;
}

/* Terminated, and its metrics differ: names begin with a number, as nothing else does. */
static void take_name(struct input *input, uint32_t number, char out[300])
{
    struct cmds_string string = take_string(input);
    int used = number < METRICS_MAX ? snprintf(out, 300, "m%ux.", (unsigned)number) : 0;
    memcpy(out + used, string.data, string.size);
    out[(size_t)used + string.size] = '\0';
}

static uint64_t take_number(struct input *input)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 8; i++) {
        number = number << 8 | take(input);
    }
    return number;
}

static double as_real(uint64_t number)
{
    double real;
    memcpy(&real, &number, sizeof(real));
    return real;
}

/* What one input tells, to any number of formats. */
struct told {
    unsigned metrics, points;
};

static void tell_histogram(struct input *input, const struct cmds_metric *metric,
        struct cmds_point *point, struct cmdi_format *format)
{
    uint64_t buckets[BUCKETS_MAX];
    struct cmds_distribution distribution = {
            .scale = take(input) % 13 - 4,
            .offset = (int8_t)take(input),
            .zero_count = take(input),
            .zero_threshold = take(input) % 2 == 0 ? 0 : 6e-8,
            .sum = point->real,
            .buckets = buckets,
    };
    distribution.bucket_count = take(input) % BUCKETS_MAX;
    for (uint32_t i = 0; i < distribution.bucket_count; i++) {
        buckets[i] = (uint64_t)take(input) << take(input) % 40;
    }
    point->distribution = &distribution;
    (void)cmdi_format_point(format, metric, point);
}

static void tell_point(
        struct input *input, const struct cmds_metric *metric, struct cmdi_format *format)
{
    struct cmds_label labels[LABELS_MAX] = {
            {.key = "cmd-stream.command.type"}, {.key = "cmdstream.name"}, {.key = "0"}};
    struct cmds_point point = {.labels = labels, .label_count = take(input) % (LABELS_MAX + 1)};
    for (uint32_t i = 0; i < point.label_count; i++) {
        labels[i].value = take_string(input);
    }
    uint64_t number = take_number(input);
    point.integer = (int64_t)number;
    point.real = as_real(number);
    struct cmds_exemplar exemplar = {.value = as_real(take_number(input)), .time_ns = number};
    point.exemplar = take(input) % 2 == 0 ? NULL : &exemplar;
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        tell_histogram(input, metric, &point, format);
    } else {
        (void)cmdi_format_point(format, metric, &point);
    }
}

static struct told tell(struct input input, struct cmdi_format *format)
{
    static char names[METRICS_MAX][300];
    struct told told = {0};
    while (input.at < input.end && told.metrics < METRICS_MAX) {
        char unit[300], description[300];
        uint8_t kind = take(&input);
        take_name(&input, told.metrics, names[told.metrics]);
        take_name(&input, METRICS_MAX, unit);
        take_name(&input, METRICS_MAX, description);
        struct cmds_metric metric = {.name = names[told.metrics],
                .unit = unit,
                .description = description,
                .kind = kind % 3,
                .is_real = kind / 3 % 2 == 0};
        unsigned points = 1 + take(&input) % POINTS_MAX;
        for (unsigned i = 0; i < points; i++) {
            tell_point(&input, &metric, format);
        }
        told.points += points;
        told.metrics++;
    }
    return told;
}

static size_t write_all(struct input input, enum cmds_telemetry_format kind, char *out, size_t size,
        struct told *told)
{
    struct cmdi_format format;
    REQUIRE(cmdi_format_begin(&format, kind, 0, out, size));
    *told = tell(input, &format);
    int64_t used = cmdi_format_end(&format);
    REQUIRE(used >= 0);
    return (size_t)used;
}

static void check(enum cmds_telemetry_format kind, const char *text, size_t size, struct told told)
{
    struct cmdi_metrics found = {0};
    unsigned line = 0;
    const char *wrong;
    switch (kind) {
    case CMDS_FORMAT_PROMETHEUS_PROTOBUF:
        wrong = cmdi_metrics_proto(text, size, &found);
        REQUIRE(wrong != NULL || found.samples == told.points);
        break;
    case CMDS_FORMAT_JSON:
        found.families = told.metrics;
        wrong = cmdi_metrics_json(text, size);
        break;
    default:
        wrong = cmdi_metrics_text(text, size, kind == CMDS_FORMAT_OPENMETRICS, &found, &line);
        REQUIRE(wrong != NULL || found.samples >= told.points);
    }
    if (wrong != NULL) {
        fprintf(stderr, "format %d, line %u: %s\n%.*s\n", (int)kind, line, wrong, (int)size, text);
    }
    REQUIRE(wrong == NULL);
    REQUIRE(found.families == told.metrics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    for (enum cmds_telemetry_format kind = CMDS_FORMAT_PROMETHEUS; kind <= CMDS_FORMAT_JSON;
            kind++) {
        struct told told;
        size_t whole = write_all(input, kind, NULL, 0, &told);
        char *text = malloc(whole + 1);
        REQUIRE(text != NULL);
        REQUIRE(write_all(input, kind, text, whole + 1, &told) == whole);
        check(kind, text, whole, told);
        size_t less = whole / 2 + 1;
        char *part = malloc(less);
        REQUIRE(part != NULL);
        REQUIRE(write_all(input, kind, part, less, &told) == whole);
        bool is_text = kind != CMDS_FORMAT_PROMETHEUS_PROTOBUF; // Its sizes are written last.
        REQUIRE(!is_text || memcmp(part, text, less - 1) == 0);
        free(part);
        free(text);
    }
    return 0;
}
