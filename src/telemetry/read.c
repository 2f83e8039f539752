/* SPDX-License-Identifier: MIT */
/*
 * Reading: the runtime's own metrics, those of the process, and the order of all. Nothing here is
 * asked of a shard; it is read where the shards have written it.
 */
#include <errno.h>
#include <stdlib.h>

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
    if (reading.code == 0) {
        read_runtime(&reading);
    }
    if (reading.code == 0) {
        cmdi_read_scopes(&reading);
    }
    if (reading.code == 0) {
        cmdi_read_own(&reading);
    }
    return reading.code;
}
