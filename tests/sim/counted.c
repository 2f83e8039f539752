/* SPDX-License-Identifier: MIT */
/* Sums of cmd-stream.client.command.count and .server.: to the last one, whatever has happened. */
#include "sim/counted.h"

#include <errno.h>
#include <stdio.h>

#include "sim/oracle.h"
#include "support/read_metrics.h"

/* Of a runtime: see docs/telemetry.md. Groups beyond it count as unnamed. */
#define COUNTED_NAMES_MAX 254

void counted_name(uint32_t number, char name[COUNTED_NAME_MAX])
{
    (void)snprintf(name, COUNTED_NAME_MAX, "%u", (unsigned)number);
}

/* Returns: false: there was no memory to read it. */
static bool counted_read(const struct cmds_runtime *runtime, struct metric_sum *sum)
{
    return cmds_telemetry_read(runtime, 0, metric_add, sum) == 0;
}

static void counted_check(uint32_t number, const char *what, int64_t counted, uint64_t told)
{
    if (counted != (int64_t)told) {
        (void)oracle_fail("group %u: %lld commands were counted as %s, and %llu were", number,
                (long long)counted, what, (unsigned long long)told);
    }
}

void counted_check_group(const struct cmds_runtime *runtime, uint32_t number)
{
    const struct oracle_group *group = oracle_group(number);
    char name[COUNTED_NAME_MAX];
    if (number >= COUNTED_NAMES_MAX) {
        return; // Numbers are the world's, from 0: each one below has its name.
    }
    counted_name(number, name);
    struct metric_sum all = {
            .name = "cmd-stream.client.command.count", .key = "cmdstream.name", .value = name};
    struct metric_sum late = all;
    struct metric_sum forgotten = all;
    late.key2 = forgotten.key2 = "cmd-stream.command.status";
    late.value2 = "TIMEOUT";
    forgotten.value2 = "CANCELLED";
    if (counted_read(runtime, &all) && counted_read(runtime, &late) &&
            counted_read(runtime, &forgotten)) {
        counted_check(number, "taken", all.integer, group->taken + group->one_way);
        counted_check(number, "TIMEOUT", late.integer, group->timeouts);
        counted_check(number, "CANCELLED", forgotten.integer, group->cancelled);
    }
}

void counted_check_servers(const struct cmds_runtime *runtime, uint32_t number)
{
    struct metric_sum ended = {.name = "cmd-stream.server.command.count"};
    struct metric_sum received = {.name = "cmdstream.server.commands_received"};
    struct metric_sum broken = {.name = "cmdstream.server.codec_errors"};
    struct metric_sum unheld = {.name = "cmdstream.server.out_of_memory"};
    if (!counted_read(runtime, &ended) || !counted_read(runtime, &received) ||
            !counted_read(runtime, &broken) || !counted_read(runtime, &unheld)) {
        return;
    }
    /* What could not be decoded, or had no memory, has failed, and was not received. */
    if (ended.integer < received.integer ||
            ended.integer > received.integer + broken.integer + unheld.integer) {
        (void)oracle_fail("server %u: %lld commands were received, and %lld have ended", number,
                (long long)received.integer, (long long)ended.integer);
    }
}
