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

void cmdi_reading_histogram(struct cmdi_reading *reading, const struct cmds_metric *metric,
        const struct cmds_distribution *distribution)
{
    CMDI_ASSERT(metric->kind == CMDS_METRIC_HISTOGRAM);
    reading_tell(reading, metric, &(struct cmds_point){.distribution = distribution});
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
