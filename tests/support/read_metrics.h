/* SPDX-License-Identifier: MIT */
/* Looking up what cmds_telemetry_read() gives, in tests. */
#ifndef CMDI_TESTS_SUPPORT_READ_METRICS_H
#define CMDI_TESTS_SUPPORT_READ_METRICS_H

#include <string.h>

#include <cmdstream/telemetry.h>

/** What of all points is looked for, and what was found. */
struct metric_sum {
    const char *name;
    const char *key, *value; // Only points with this label. NULL: all.
    const char *key2, *value2;
    uint64_t points;
    int64_t integer;
    double real;    // Of histograms: their sum.
    uint64_t count; // Of histograms.
};

static inline bool metric_has(const struct cmds_point *point, const char *key, const char *value)
{
    bool has = key == NULL;
    for (uint32_t i = 0; i < point->label_count && !has; i++) {
        const struct cmds_label *label = &point->labels[i];
        has = strcmp(label->key, key) == 0 && label->value.size == strlen(value) &&
              memcmp(label->value.data, value, label->value.size) == 0;
    }
    return has;
}

static inline int metric_add(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct metric_sum *sum = context;
    if (strcmp(metric->name, sum->name) == 0 && metric_has(point, sum->key, sum->value) &&
            metric_has(point, sum->key2, sum->value2)) {
        sum->points++;
        sum->integer += point->integer;
        sum->real += point->distribution != NULL ? point->distribution->sum : point->real;
        sum->count += point->distribution != NULL ? point->distribution->count : 0;
    }
    return 0;
}

/** The sum of the points that `of` names. points is 0 if nothing could be read. */
static inline struct metric_sum metric_read(
        const struct cmds_runtime *runtime, uint32_t flags, struct metric_sum of)
{
    if (cmds_telemetry_read(runtime, flags, metric_add, &of) != 0) {
        of.points = 0;
    }
    return of;
}

/** Of one metric, all its points. */
static inline int64_t metric_total(const struct cmds_runtime *runtime, const char *name)
{
    return metric_read(runtime, 0, (struct metric_sum){.name = name}).integer;
}

#endif
