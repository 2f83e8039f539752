/* SPDX-License-Identifier: MIT */
/*
 * What a scrape costs: cmds_telemetry_write() of a runtime with many shards and a server with a name and many
 * command types, all of which every shard has counted in full: time of the reading thread and its page faults,
 * of the first calls and of later ones, each into a buffer of its own as an HTTP server has it, and the size.
 *
 *     metrics [shards [types]]    # 64 shards, 100 types
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmdstream/cmdstream.h>

#include "telemetry/ledger.h"

enum {
    TYPES_MAX = 200,
    CALLS = 25,
    CALLS_SHOWN = 3, // Those of the beginning, one by one.
    BUCKETS = 80,    // Of a duration that are in use, from 2 us on.
    BUCKET_FIRST = 40,
};

struct nothing {
    int64_t number;
};
struct command {
    int64_t number;
};
CMDS_RESULT(nothing, 0, number);
CMDS_COMMAND(command, 0, number);

static struct cmds_schema schemas[TYPES_MAX];
static struct cmds_type types[TYPES_MAX];
static const struct cmds_type *commands[TYPES_MAX];
static struct cmds_exec execs[TYPES_MAX];
static char names[TYPES_MAX][32];
static const struct cmds_type *const results[] = {&nothing_type};

static int on_command(struct cmds_call *call, const struct command *command)
{
    (void)call;
    (void)command;
    return 0;
}

static void check(int code, const char *text)
{
    if (code < 0) {
        fprintf(stderr, "metrics: %s\n", text);
        exit(1);
    }
}

/* --- A runtime that has counted ------------------------------------------------------------------ */

static void make_types(uint32_t count)
{
    static const struct cmds_exec exec = CMDS_EXEC(command, on_command);
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "orders_command_%u", i);
        schemas[i] = *command_type.schema;
        schemas[i].name = names[i];
        types[i] = command_type;
        types[i].schema = &schemas[i];
        types[i].number = i;
        commands[i] = &types[i];
        execs[i] = exec;
        execs[i].type = &types[i];
    }
}

static void fill_durations(struct cmdi_durations *durations)
{
    durations->sum_ns = (uint64_t)rand() * 1000 + (uint64_t)rand();
    for (uint32_t i = 0; i < BUCKETS; i++) {
        durations->buckets[BUCKET_FIRST + i] = (uint64_t)rand() % 100000;
    }
}

static void fill_sizes(struct cmdi_frame_sizes *sizes)
{
    sizes->beyond = (uint64_t)rand();
    for (uint32_t i = 3; i < 11; i++) {
        sizes->cells[cmdi_frame_size_cell(UINT32_C(1) << i)] = (uint64_t)rand() % 1000000;
    }
}

/* As if each type had been executed and answered on each shard, many times. */
static void fill(struct cmds_runtime *runtime, const struct cmds_protocol *protocol)
{
    struct cmdi_scope *scope = cmdi_scope_find(runtime, CMDI_SCOPE_SERVER, "orders");
    struct cmdi_ledger *ledger = NULL;
    check(cmdi_ledger_find(runtime, scope, protocol, &ledger), "no ledger");
    for (uint32_t shard = 0; shard < ledger->shard_count; shard++) {
        for (uint32_t i = 0; i < ledger->command_count; i++) {
            struct cmdi_type_block *block = &ledger->shards[shard].blocks[i];
            block->answered = (uint64_t)rand();
            fill_sizes(&block->sizes);
            fill_durations(&block->both);
            fill_durations(&block->exec);
            block->results[0].result = 1;
            fill_sizes(&block->results[0].sizes);
        }
    }
}

/* --- Scrapes --------------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t faults(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_minflt;
}

static int compare(const void *a, const void *b)
{
    const double *one = a;
    const double *other = b;
    return (*one > *other) - (*one < *other);
}

static void scrape(const struct cmds_runtime *runtime, enum cmds_telemetry_format format)
{
    double ms[CALLS];
    int64_t size = 2 * 1024 * 1024;
    uint64_t calls = 0;
    printf("%-55s", cmds_telemetry_content_type(format));
    for (uint32_t i = 0; i < CALLS; i++) {
        uint64_t faults_before = faults();
        uint64_t since_ns = cpu_ns();
        int64_t needed = size;
        do { // As the page does: again if it was too small.
            size = needed + needed / 8;
            char *out = malloc((size_t)size);
            needed = cmds_telemetry_write(runtime, format, 0, out, (size_t)size);
            free(out);
            calls++;
        } while (needed >= size);
        ms[i] = (double)(cpu_ns() - since_ns) / 1e6;
        if (i < CALLS_SHOWN) {
            printf(" %6.1f ms (%llu faults)", ms[i],
                    (unsigned long long)(faults() - faults_before));
        }
        size = needed;
    }
    qsort(ms, CALLS, sizeof(ms[0]), compare);
    printf("; median %5.1f, best %5.1f ms; %lld bytes\n", ms[CALLS / 2], ms[0], (long long)size);
}

static void on_log(void *context, enum cmds_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text; // That there are more shards than CPUs.
}

int main(int argc, char **argv)
{
    static const enum cmds_telemetry_format formats[] = {CMDS_FORMAT_PROMETHEUS,
            CMDS_FORMAT_OPENMETRICS, CMDS_FORMAT_PROMETHEUS_PROTOBUF, CMDS_FORMAT_JSON};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    uint32_t shards = argc > 1 ? (uint32_t)atoi(argv[1]) : 64;
    uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 100;
    if (argc > 3 || shards == 0 || shards > 256 || count == 0 || count > TYPES_MAX) {
        fprintf(stderr, "usage: metrics [SHARDS, 1 to 256 [TYPES, 1 to %u]]\n",
                (unsigned)TYPES_MAX);
        return 2;
    }
    make_types(count);
    const struct cmds_protocol protocol = {.struct_size = sizeof(protocol),
            .name = "orders",
            .commands = commands,
            .command_count = count,
            .results = results,
            .result_count = 1};
    struct cmds_server_options server_options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.shard_count = shards;
    options.on_log = on_log;
    check(cmds_runtime_start(&runtime, &options, &error), error.text);
    server_options.exec_count = count;
    server_options.listen = "127.0.0.1:0";
    server_options.name = "orders";
    check(cmds_server_start(&server, runtime, &server_options, &error), error.text);
    fill(runtime, &protocol);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        scrape(runtime, formats[i]);
    }
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    return 0;
}
