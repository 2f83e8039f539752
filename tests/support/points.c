/* SPDX-License-Identifier: MIT */
#include "support/points.h"

#include <math.h>
#include <stdlib.h>

enum {
    BIAS = 200 // Bucket BIAS has index 0: down to 2^-25 at scale 3.
};

void cmdi_points_record(struct cmdi_points_histogram *histogram, double value, uint64_t count)
{
    histogram->sum += value * (double)count;
    if (value <= histogram->zero_threshold) {
        histogram->zero_count += count;
        return;
    }
    int index = (int)ceil(log2(value) * ldexp(1, histogram->scale)) - 1 + BIAS;
    if (index < 0 || index >= CMDI_POINTS_BUCKETS) {
        abort();
    }
    histogram->buckets[index] += count;
}

const struct cmds_distribution *cmdi_points_distribution(struct cmdi_points_histogram *histogram)
{
    uint32_t from = 0, to = CMDI_POINTS_BUCKETS;
    while (to > 0 && histogram->buckets[to - 1] == 0) {
        to--;
    }
    while (from < to && histogram->buckets[from] == 0) {
        from++;
    }
    histogram->distribution = (struct cmds_distribution){
            .scale = histogram->scale,
            .offset = (int32_t)from - BIAS,
            .bucket_count = to - from,
            .buckets = histogram->buckets + from,
            .count = histogram->zero_count,
            .zero_count = histogram->zero_count,
            .zero_threshold = histogram->zero_threshold,
            .sum = histogram->sum,
    };
    for (uint32_t i = from; i < to; i++) {
        histogram->distribution.count += histogram->buckets[i];
    }
    return &histogram->distribution;
}

#define STRING(text)                                                                               \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct cmds_label labels_ok[] = {
        {"cmd-stream.command.type", STRING("calc_add")},
        {"cmd-stream.command.status", STRING("OK")},
        {"cmdstream.name", STRING("a \"hostile\\ name\n\x1b[31m\xff")},
};
static const struct cmds_label labels_failed[] = {
        {"cmd-stream.command.type", STRING("calc_add")},
        {"cmd-stream.command.status", STRING("FAILED")},
        {"cmdstream.name", STRING("a \"hostile\\ name\n\x1b[31m\xff")},
};
static const struct cmds_metric metric_commands = {
        .name = "cmd-stream.server.command.count",
        .unit = "{command}",
        .description = "Number of server commands.",
        .kind = CMDS_METRIC_COUNTER,
};
static const struct cmds_metric metric_durations = {
        .name = "cmd-stream.server.command.duration",
        .unit = "s",
        .description = "Duration of \"server\" commands.",
        .kind = CMDS_METRIC_HISTOGRAM,
        .is_real = true,
};
static const struct cmds_metric metric_sizes = {
        .name = "cmd-stream.server.command.size",
        .unit = "By",
        .description = "Size of server commands.",
        .kind = CMDS_METRIC_HISTOGRAM,
};
static const struct cmds_label labels_result[] = {
        {"cmd-stream.command.type", STRING("calc_add")},
        {"cmd-stream.result.type", STRING("calc_sum")},
};
static const struct cmds_metric metric_results = {
        .name = "cmd-stream.server.result.count",
        .unit = "{result}",
        .description = "Number of server results.",
        .kind = CMDS_METRIC_COUNTER,
};
static const struct cmds_metric metric_sent = {
        .name = "cmd-stream.client.command.count",
        .unit = "{command}",
        .description = "Number of client commands.",
        .kind = CMDS_METRIC_COUNTER,
};
static const struct cmds_metric metric_waits = {
        .name = "cmd-stream.client.command.duration",
        .unit = "s",
        .description = "Duration of client commands.",
        .kind = CMDS_METRIC_HISTOGRAM,
        .is_real = true,
};
static const struct cmds_metric metric_busy = {
        .name = "cmdstream.shard.busy",
        .unit = "s",
        .description = "Time in which shards had work.",
        .kind = CMDS_METRIC_COUNTER,
        .is_real = true,
};
static const struct cmds_metric metric_connections = {
        .name = "cmdstream.connections",
        .unit = "{connection}",
        .description = "Connections that are open.",
        .kind = CMDS_METRIC_GAUGE,
};
static const struct cmds_exemplar exemplar = {
        .value = 0.01,
        .time_ns = UINT64_C(1700000000123000000),
        .trace_id = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e,
                0x0e, 0x47, 0x36},
        .span_id = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
};

void cmdi_points_tell(uint32_t round, cmds_point_fn fn, void *context)
{
    struct cmdi_points_histogram durations = {.scale = 3, .zero_threshold = ldexp(1, -24)};
    struct cmdi_points_histogram sizes = {.scale = 0};
    if (round > 0) {
        cmdi_points_record(&durations, 20e-6, (uint64_t)round * 50);
        cmdi_points_record(&durations, 21e-6, (uint64_t)round * 25);
        cmdi_points_record(&durations, 100e-6, (uint64_t)round * 15);
        cmdi_points_record(&durations, 1e-3, (uint64_t)round * 9);
        cmdi_points_record(&durations, 10e-3, (uint64_t)round);
        cmdi_points_record(&sizes, 20, (uint64_t)round * 60);
        cmdi_points_record(&sizes, 3000, (uint64_t)round * 40);
    }
    (void)fn(context, &metric_commands,
            &(struct cmds_point){
                    .labels = labels_ok, .label_count = 3, .integer = (int64_t)round * 100});
    (void)fn(context, &metric_commands,
            &(struct cmds_point){
                    .labels = labels_failed, .label_count = 3, .integer = (int64_t)round * 3});
    (void)fn(context, &metric_durations,
            &(struct cmds_point){.labels = labels_ok,
                    .label_count = 3,
                    .distribution = cmdi_points_distribution(&durations),
                    .exemplar = round > 0 ? &exemplar : NULL});
    (void)fn(context, &metric_sizes,
            &(struct cmds_point){.labels = labels_ok,
                    .label_count = 3,
                    .distribution = cmdi_points_distribution(&sizes)});
    (void)fn(context, &metric_results,
            &(struct cmds_point){
                    .labels = labels_result, .label_count = 2, .integer = (int64_t)round * 100});
    (void)fn(context, &metric_sent,
            &(struct cmds_point){
                    .labels = labels_ok, .label_count = 2, .integer = (int64_t)round * 100});
    (void)fn(context, &metric_waits,
            &(struct cmds_point){.labels = labels_ok,
                    .label_count = 2,
                    .distribution = cmdi_points_distribution(&durations)});
    (void)fn(context, &metric_busy, &(struct cmds_point){.real = round * 0.25});
    (void)fn(context, &metric_connections, &(struct cmds_point){.integer = 7});
}
