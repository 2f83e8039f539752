/* SPDX-License-Identifier: MIT */
#include "telemetry/bounds.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

static const int8_t times[CMDI_BOUNDS_MAX] = {-21, -19, -17, -16, -15, -14, -13, -12, -11, -10, -9,
        -8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 4};
static const int8_t numbers[] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24};

static const int8_t exec_times[] = {-21, -19, -17, -15, -13, -11, -9, -7, -4, -1, 2};

static const struct cmdi_bounds bounds_seconds = {times, 0, CMDI_BOUNDS_MAX};
static const struct cmdi_bounds bounds_numbers = {numbers, 0, sizeof(numbers)};
/* Of each command type there are five histograms: what no command ever takes, or has, is left out. */
static const struct cmdi_bounds bounds_commands = {times + 1, 0, CMDI_BOUNDS_MAX - 1};
static const struct cmdi_bounds bounds_commands_ms = {times + 1, 10, CMDI_BOUNDS_MAX - 1};
static const struct cmdi_bounds bounds_frames = {numbers + 2, 0, sizeof(numbers) - 2};
static const struct cmdi_bounds bounds_exec = {exec_times, 0, sizeof(exec_times)};

struct cmdi_bounds cmdi_bounds_of(const struct cmds_metric *metric, uint32_t flags)
{
    bool is_time = metric->unit != NULL && strcmp(metric->unit, "s") == 0;
    bool is_command = strncmp(metric->name, "cmd-stream.", strlen("cmd-stream.")) == 0;
    if (is_command && is_time) { // A second has 1024 ms.
        return (flags & CMDS_READ_GO_MILLISECONDS) != 0 ? bounds_commands_ms : bounds_commands;
    }
    if (is_command) {
        return bounds_frames;
    }
    bool is_exec = is_time && strcmp(metric->name, "cmdstream.server.exec.duration") == 0;
    return is_exec ? bounds_exec : is_time ? bounds_seconds : bounds_numbers;
}

static int32_t bounds_exponent(const struct cmdi_bounds *bounds, uint32_t index)
{
    return bounds->exponents[index] + bounds->shift;
}

double cmdi_bounds_value(const struct cmdi_bounds *bounds, uint32_t index)
{
    return ldexp(1, bounds_exponent(bounds, index));
}

/* Does the bucket end at 2^exponent or below? */
static bool bucket_is_within(
        const struct cmds_distribution *distribution, uint32_t index, int32_t exponent)
{
    int64_t end = (int64_t)distribution->offset + index + 1;
    int32_t scale = distribution->scale;
    return scale >= 0 ? end <= (int64_t)exponent * (INT64_C(1) << scale)
                      : end * (INT64_C(1) << -scale) <= exponent;
}

uint64_t cmdi_bounds_fill(const struct cmdi_bounds *bounds,
        const struct cmds_distribution *distribution, uint64_t counts[CMDI_BOUNDS_MAX])
{
    CMDI_ASSERT(distribution->scale >= -10 && distribution->scale <= 20);
    uint64_t count = 0;
    bool is_zero_in = false;
    uint32_t next = 0;
    for (uint32_t i = 0; i < bounds->count; i++) {
        int32_t exponent = bounds_exponent(bounds, i);
        if (!is_zero_in && distribution->zero_threshold <= ldexp(1, exponent)) {
            count += distribution->zero_count;
            is_zero_in = true;
        }
        while (next < distribution->bucket_count &&
                bucket_is_within(distribution, next, exponent)) {
            count += distribution->buckets[next++];
        }
        counts[i] = count;
    }
    for (; next < distribution->bucket_count; next++) {
        count += distribution->buckets[next];
    }
    return is_zero_in ? count : count + distribution->zero_count;
}

uint32_t cmdi_bounds_index(const struct cmdi_bounds *bounds, double value)
{
    uint32_t index = 0;
    while (index < bounds->count && !(value <= cmdi_bounds_value(bounds, index))) {
        index++;
    }
    return index;
}
