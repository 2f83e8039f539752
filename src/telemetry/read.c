/* SPDX-License-Identifier: MIT */
/*
 * Reading: the runtime's own metrics, those of the process, and the order of all. Nothing here is
 * asked of a shard; it is read where the shards have written it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/trace.h>

#include "base/count.h"
#include "machine/process.h"
#include "telemetry/own.h"
#include "telemetry/reading.h"

enum {
    READ_FLAGS = CMDS_READ_BY_SHARD | CMDS_READ_EMPTY | CMDS_READ_GO_MILLISECONDS,
};

/* --- The process ------------------------------------------------------------------------------ */

static void read_build(struct cmdi_reading *reading)
{
    static const struct cmds_metric build = {.name = "cmdstream.build_info",
            .unit = "{count}",
            .description = "Always 1: the labels say which library it is.",
            .kind = CMDS_METRIC_GAUGE};
    cmdi_reading_label(reading, "cmdstream.version", cmds_version());
    cmdi_reading_integer(reading, &build, 1);
    cmdi_reading_unlabel(reading, 0);
}

/* Named so that Prometheus has the names that its own client libraries give. */
static void read_process(struct cmdi_reading *reading)
{
    static const struct cmds_metric cpu = {.name = "process.cpu",
            .unit = "s",
            .description = "User and system time of the process.",
            .kind = CMDS_METRIC_COUNTER,
            .is_real = true};
    static const struct cmds_metric start = {.name = "process.start_time",
            .unit = "s",
            .description = "When the process began, since 1970.",
            .kind = CMDS_METRIC_GAUGE,
            .is_real = true};
    static const struct cmds_metric resident = {.name = "process.resident_memory",
            .unit = "By",
            .description = "Memory of the process that is there.",
            .kind = CMDS_METRIC_GAUGE};
    static const struct cmds_metric virtual = {.name = "process.virtual_memory",
            .unit = "By",
            .description = "Addresses that the process has mapped.",
            .kind = CMDS_METRIC_GAUGE};
    static const struct cmds_metric open_fds = {.name = "process.open_fds",
            .unit = "{count}",
            .description = "Open descriptors.",
            .kind = CMDS_METRIC_GAUGE};
    static const struct cmds_metric max_fds = {.name = "process.max_fds",
            .unit = "{count}",
            .description = "Descriptors that the process may have.",
            .kind = CMDS_METRIC_GAUGE};
    struct cmdi_process process;
    if (cmdi_process_read(&process) < 0) {
        return; // No /proc, or no descriptor left: all else is the more wanted.
    }
    cmdi_reading_real(reading, &cpu, process.cpu_s);
    cmdi_reading_real(reading, &start, process.start_s);
    cmdi_reading_integer(reading, &resident, (int64_t)process.resident_size);
    cmdi_reading_integer(reading, &virtual, (int64_t)process.virtual_size);
    cmdi_reading_integer(reading, &open_fds, (int64_t)process.fd_count);
    cmdi_reading_integer(reading, &max_fds, (int64_t)process.fd_count_max);
}

/* --- The shards ------------------------------------------------------------------------------- */

/*
 * The time of this state, or, of CMDI_METER_STATES, the stalls: of each shard, or the sum. Returns: how
 * many numbers those are.
 */
static uint32_t read_gather(
        const struct cmdi_reading *reading, enum cmdi_meter_state state, uint64_t *values)
{
    const struct cmds_runtime *runtime = reading->runtime;
    uint32_t places = cmdi_reading_by_shard(reading) ? runtime->shard_count : 1;
    memset(values, 0, places * sizeof(*values));
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        const struct cmdi_meter *meter = &runtime->shards[i]->meter;
        const uint64_t *from = state < CMDI_METER_STATES ? &meter->time_ns[state] : &meter->stalls;
        values[i % places] += __atomic_load_n(from, __ATOMIC_RELAXED);
    }
    return places;
}

static void read_runtime(struct cmdi_reading *reading)
{
    const struct cmds_runtime *runtime = reading->runtime;
    uint32_t places = cmdi_reading_by_shard(reading) ? runtime->shard_count : 1;
    uint64_t *sums = calloc(places, CMDI_RUNTIME_ROWS * sizeof(uint64_t));
    if (sums == NULL) {
        reading->code = -ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        const struct cmdi_shard_counters *block = &runtime->shards[i]->counters;
        cmdi_counters_add_rows(
                sums + (size_t)(i % places) * CMDI_RUNTIME_ROWS, block, sizeof(*block));
    }
    struct cmds_metric metrics[CMDI_RUNTIME_ROWS];
    for (uint32_t i = 0; i < CMDI_RUNTIME_ROWS; i++) {
        metrics[i] = cmdi_row_metric(&cmdi_runtime_rows[i]);
        cmdi_reading_number(reading, &metrics[i], &sums[i], CMDI_RUNTIME_ROWS, places, 1);
    }
    free(sums);
}

/* Of what a shard has written of itself: a span of time that has not ended is not in it. */
static void read_times(struct cmdi_reading *reading)
{
    static const struct {
        struct cmds_metric metric;
        enum cmdi_meter_state state;
    } times[] = {
            {{.name = "cmdstream.shard.busy",
                     .unit = "s",
                     .description = "Time of turns, until their sends were with the kernel.",
                     .kind = CMDS_METRIC_COUNTER,
                     .is_real = true},
                    CMDI_METER_BUSY},
            {{.name = "cmdstream.shard.spin",
                     .unit = "s",
                     .description = "Time in which shards looked for work without a system call.",
                     .kind = CMDS_METRIC_COUNTER,
                     .is_real = true},
                    CMDI_METER_SPIN},
            {{.name = "cmdstream.shard.sleep",
                     .unit = "s",
                     .description = "Time in which shards waited in the kernel.",
                     .kind = CMDS_METRIC_COUNTER,
                     .is_real = true},
                    CMDI_METER_SLEEP},
    };
    uint64_t values[CMDS_SHARDS_MAX];
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        uint32_t places = read_gather(reading, times[i].state, values);
        cmdi_reading_number(reading, &times[i].metric, values, 1, places, 1000u * 1000 * 1000);
    }
}

static void read_turns(struct cmdi_reading *reading)
{
    static const struct cmds_metric turn = {.name = "cmdstream.turn.duration",
            .unit = "s",
            .description = "How long turns of the shards took.",
            .kind = CMDS_METRIC_HISTOGRAM,
            .is_real = true};
    static const struct cmds_metric stalls = {.name = "cmdstream.stalls",
            .unit = "{count}",
            .description = "Turns of shards that took too long.",
            .kind = CMDS_METRIC_COUNTER};
    struct cmdi_durations durations = {0};
    uint64_t values[CMDS_SHARDS_MAX];
    for (uint32_t i = 0; i < reading->runtime->shard_count; i++) {
        cmdi_durations_merge(&durations, &reading->runtime->shards[i]->meter.turns);
    }
    cmdi_reading_durations(reading, &turn, &durations, false);
    uint32_t places = read_gather(reading, CMDI_METER_STATES, values);
    cmdi_reading_number(reading, &stalls, values, 1, places, 1);
}

static void read_spans(struct cmdi_reading *reading)
{
    static const struct cmds_metric dropped = {.name = "cmdstream.spans.dropped",
            .unit = "{count}",
            .description = "Spans of traces that gave way before they were taken.",
            .kind = CMDS_METRIC_COUNTER};
    if (reading->runtime->spans != NULL) {
        cmdi_reading_integer(reading, &dropped, (int64_t)cmds_span_dropped(reading->runtime));
    }
}

int cmds_telemetry_read(
        const struct cmds_runtime *runtime, uint32_t flags, cmds_point_fn fn, void *context)
{
    if (runtime == NULL || fn == NULL || (flags & ~(uint32_t)READ_FLAGS) != 0) {
        return -EINVAL;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    struct cmdi_reading reading = {
            .runtime = runtime, .flags = flags, .fn = fn, .context = context};
    read_build(&reading);
    read_process(&reading);
    read_times(&reading);
    read_turns(&reading);
    read_spans(&reading);
    if (reading.code == 0) {
        read_runtime(&reading);
    }
    if (reading.code == 0) {
        cmdi_read_scopes(&reading);
    }
    if (reading.code == 0) {
        cmdi_read_types(&reading);
    }
    if (reading.code == 0) {
        cmdi_read_own(&reading);
    }
    return reading.code;
}
