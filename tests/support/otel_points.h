/* SPDX-License-Identifier: MIT */
/* Points made by hand, for whoever exports: a counter with an exemplar, a gauge, a histogram. */
#ifndef CMDI_TESTS_SUPPORT_OTEL_POINTS_H
#define CMDI_TESTS_SUPPORT_OTEL_POINTS_H

#include <cmdstream/telemetry.h>

static const struct cmds_metric otel_counter = {.name = "n.c",
        .unit = "{command}",
        .description = "A counter.",
        .kind = CMDS_METRIC_COUNTER};
static const struct cmds_metric otel_gauge = {.name = "n.g",
        .unit = "s",
        .description = "A gauge.",
        .kind = CMDS_METRIC_GAUGE,
        .is_real = true};
static const struct cmds_metric otel_histogram = {.name = "n.h",
        .unit = "s",
        .description = "A histogram.",
        .kind = CMDS_METRIC_HISTOGRAM,
        .is_real = true};

static const struct cmds_label otel_label_a = {"k", CMDS_STRING("a")};
static const struct cmds_label otel_label_b = {"k", CMDS_STRING("b")};
static const struct cmds_label otel_label_empty = {"k", CMDS_STRING("")};

static const struct cmds_exemplar otel_exemplar = {.value = 2.5,
        .time_ns = 1500,
        .trace_id = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        .span_id = {0, 1, 2, 3, 4, 5, 6, 7}};

static const uint64_t otel_buckets[] = {1, 0, 300};
static const struct cmds_distribution otel_distribution = {.scale = 3,
        .offset = -5,
        .bucket_count = 3,
        .buckets = otel_buckets,
        .count = 303,
        .zero_count = 2,
        .zero_threshold = 1.0 / (1 << 24),
        .sum = 1.25};

static const struct cmds_point otel_counter_a = {
        .labels = &otel_label_a, .label_count = 1, .integer = 7, .exemplar = &otel_exemplar};
static const struct cmds_point otel_counter_b = {
        .labels = &otel_label_b, .label_count = 1, .integer = 300};
static const struct cmds_point otel_gauge_point = {.real = 0.5};
static const struct cmds_point otel_histogram_point = {
        .labels = &otel_label_empty, .label_count = 1, .distribution = &otel_distribution};

/** As cmds_telemetry_read(): all of them. */
static inline int otel_points_read(
        void *context, uint32_t flags, cmds_point_fn fn, void *fn_context)
{
    (void)context;
    (void)flags;
    int code = fn(fn_context, &otel_counter, &otel_counter_a);
    code = code != 0 ? code : fn(fn_context, &otel_counter, &otel_counter_b);
    code = code != 0 ? code : fn(fn_context, &otel_gauge, &otel_gauge_point);
    return code != 0 ? code : fn(fn_context, &otel_histogram, &otel_histogram_point);
}

#endif
