/* SPDX-License-Identifier: MIT */
/* Points on their way to the program's function: labels, and one of each shard or their sum. */
#include "telemetry/reading.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

void cmdi_reading_label(struct cmdi_reading *reading, const char *key, const char *value)
{
    CMDI_ASSERT(reading->label_count < CMDI_LABELS_MAX);
    reading->labels[reading->label_count++] =
            (struct cmds_label){.key = key, .value = {value, strlen(value)}};
}

void cmdi_reading_unlabel(struct cmdi_reading *reading, uint32_t count)
{
    CMDI_ASSERT(count <= reading->label_count);
    reading->label_count = count;
}

static void reading_tell(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const struct cmds_point *values)
{
    struct cmds_point point = *values;
    point.labels = reading->labels;
    point.label_count = reading->label_count;
    point.exemplar = reading->exemplar;
    if (reading->code == 0) {
        reading->code = reading->fn(reading->context, metric, &point);
    }
}

void cmdi_reading_integer(
        struct cmdi_reading *reading, const struct cmds_metric *metric, int64_t value)
{
    CMDI_ASSERT(!metric->is_real && metric->kind != CMDS_METRIC_HISTOGRAM);
    reading_tell(reading, metric, &(struct cmds_point){.integer = value});
}

void cmdi_reading_real(struct cmdi_reading *reading, const struct cmds_metric *metric, double value)
{
    CMDI_ASSERT(metric->is_real && metric->kind != CMDS_METRIC_HISTOGRAM);
    reading_tell(reading, metric, &(struct cmds_point){.real = value});
}

static void reading_part(struct cmdi_reading *reading, const struct cmds_metric *metric,
        uint64_t value, uint32_t per_unit)
{
    if (metric->is_real) {
        cmdi_reading_real(reading, metric, (double)(int64_t)value / per_unit);
    } else {
        CMDI_ASSERT(per_unit == 1);
        cmdi_reading_integer(reading, metric, (int64_t)value);
    }
}

void cmdi_reading_number(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const uint64_t *values, size_t stride, uint32_t places, uint32_t per_unit)
{
    if (!cmdi_reading_by_shard(reading)) {
        reading_part(reading, metric, values[0], per_unit);
        return;
    }
    uint32_t label_count = reading->label_count;
    for (uint32_t i = 0; i < places; i++) {
        char text[16] = "none"; // By threads that are no shard.
        uint64_t value = values[i * stride];
        bool is_shard = i < reading->runtime->shard_count;
        if (is_shard) {
            (void)snprintf(text, sizeof(text), "%u", (unsigned)i);
        }
        if (is_shard || value != 0) {
            cmdi_reading_label(reading, "cmdstream.shard", text);
            reading_part(reading, metric, value, per_unit);
            cmdi_reading_unlabel(reading, label_count);
        }
    }
}

/* --- Histograms ------------------------------------------------------------------------------- */

/* Fills in what lies between the first and the last bucket that are not empty, and the count. */
static void reading_fill(
        struct cmds_distribution *distribution, const uint64_t *buckets, uint32_t bucket_count)
{
    uint32_t from = 0;
    uint32_t to = bucket_count;
    while (to > 0 && buckets[to - 1] == 0) {
        to--;
    }
    while (from < to && buckets[from] == 0) {
        from++;
    }
    distribution->offset += (int32_t)from;
    distribution->buckets = buckets + from;
    distribution->bucket_count = to - from;
    distribution->count = distribution->zero_count;
    for (uint32_t i = from; i < to; i++) {
        distribution->count += buckets[i];
    }
}

/*
 * As milliseconds the buckets move by ten octaves, which are 1024: their bounds are 2.4 % off then. The
 * sum is not.
 */
void cmdi_reading_durations(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const struct cmdi_durations *durations, bool goes_by_flags)
{
    bool as_ms = goes_by_flags && (reading->flags & CMDS_READ_GO_MILLISECONDS) != 0;
    struct cmds_distribution distribution = {
            .scale = CMDI_DURATION_SCALE,
            .offset = CMDI_DURATION_OFFSET + (as_ms ? 10 << CMDI_DURATION_SCALE : 0),
            .zero_count = durations->zero,
            .zero_threshold = as_ms ? 0x1p-14 : 0x1p-24,
            .sum = (double)durations->sum_ns / (as_ms ? 1e6 : 1e9),
    };
    CMDI_ASSERT(metric->kind == CMDS_METRIC_HISTOGRAM && metric->is_real);
    reading_fill(&distribution, durations->buckets, CMDI_DURATION_BUCKETS);
    reading_tell(reading, metric, &(struct cmds_point){.distribution = &distribution});
}

void cmdi_reading_sizes(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const struct cmdi_sizes *sizes)
{
    struct cmds_distribution distribution = {
            .zero_count = sizes->zero, .zero_threshold = 1, .sum = (double)sizes->sum};
    CMDI_ASSERT(metric->kind == CMDS_METRIC_HISTOGRAM && !metric->is_real);
    reading_fill(&distribution, sizes->buckets, CMDI_SIZE_BUCKETS);
    reading_tell(reading, metric, &(struct cmds_point){.distribution = &distribution});
}
