/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream bench`: throughput and latency of the test protocol. See bench.h for its parts.
 *
 * Without --connect the server is a child process on the first half of the allowed CPUs, and this
 * process keeps the rest.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"
#include "rows.h"

static const struct tool_option bench_rows[] = {
        TOOL_TEXT(bench_options, "connect", "ADDRESS", connect,
                "measure this server (default: one of its own, in a child process)"),
        TOOL_TEXT(bench_options, "command", "NAME", command,
                "echo, stream, sleep or work (default echo)"),
        TOOL_ROW_CODEC(bench_options),
        TOOL_DOUBLE(bench_options, "duration", "S", duration, 0, 86400,
                "seconds that are measured, more than 0 (default 5)"),
        TOOL_DOUBLE(
                bench_options, "warmup", "S", warmup, 0, 3600, "seconds before them (default 0.5)"),
        TOOL_U32(bench_options, "conns", "N", conns, 1, 65536,
                "connections (default 8; with --blocking 1)"),
        TOOL_U32(bench_options, "in-flight", "K", in_flight, 1, TOOL_IN_FLIGHT_MAX,
                "commands in flight on each (default 128; with --rate the most, 1024)"),
        TOOL_DOUBLE(bench_options, "rate", "R", rate, 0, 100000000,
                "open loop: so many commands/s in total, 0.001 or more, however fast the answers "
                "come"),
        TOOL_U32(bench_options, "threads", "N", threads, 1, CMDS_SHARDS_MAX,
                "client shards (default: the client's CPUs, at most --conns)"),
        TOOL_FLAG(bench_options, "own-threads", own_threads,
                "each client thread turns an inline runtime of its own; --rate always does"),
        TOOL_FLAG(bench_options, "blocking", blocking,
                "threads that block in one sender, a command each"),
        TOOL_U32(bench_options, "callers", "C", callers, 1, 4096, "how many of them (default 16)"),
        TOOL_FLAG(bench_options, "sender-single", sender_single,
                "with --blocking: each has a single-threaded sender of its own"),
        TOOL_TEXT(bench_options, "dispatch", "NAME", dispatch,
                "sticky: each connection keeps its K (default); round-robin"),
        TOOL_TEXT(bench_options, "string-size", "N", string_size,
                "bytes in an echo or sleep, or random: uniform 0..1006 (default random)"),
        TOOL_U32(bench_options, "stream-count", "N", stream_count, 0, INT32_MAX,
                "results of one stream command (default 1000)"),
        TOOL_U32(bench_options, "stream-size", "N", stream_size, 0, 8 << 20,
                "bytes in each (default 64)"),
        TOOL_U32(bench_options, "sleep-ms", "N", sleep_ms, 0, 600000,
                "of one sleep command (default 10)"),
        TOOL_U32(bench_options, "work-us", "N", work_us, 0, 10000000,
                "of one work command (default 10)"),
        TOOL_U32(bench_options, "deadline-ms", "N", deadline_ms, 1, 3600000,
                "of a command (default 5000, plus --sleep-ms)"),
        TOOL_FLAG(bench_options, "hooks", hooks,
                "with hooks and a circuit breaker around each command, that do nothing"),
        TOOL_U32(bench_options, "light", "N", light, 1, 65536,
                "N more connections with one command in flight each, reported apart"),
        TOOL_U32(bench_options, "idle", "N", idle, 1, 65536, "N more connections that do nothing"),
        TOOL_U32(bench_options, "spin-us", "N", spin_us, 0, TOOL_SPIN_US_MAX,
                "of both sides: the most they look for work, us; 0: not at all (default 100)"),
        TOOL_FLAG(bench_options, "spin-always", spin_always,
                "both sides spin --spin-us each time, also when others need the core"),
        TOOL_U32(bench_options, "client-spin-us", "N", client_spin_us, 0, TOOL_SPIN_US_MAX,
                "of the client alone"),
        TOOL_U32(bench_options, "server-spin-us", "N", server_spin_us, 0, TOOL_SPIN_US_MAX,
                "of its own server alone"),
        TOOL_U32(bench_options, "server-shards", "N", server_shards, 1, CMDS_SHARDS_MAX,
                "of its own server (default: one per CPU of the server)"),
        TOOL_U32(bench_options, "server-workers", "N", server_workers, 1, TOOL_WORKERS_MAX,
                "threads of its own server's pool (default 4)"),
        TOOL_U32(bench_options, "burn-us", "N", burn_us, 0, TOOL_BURN_US_MAX,
                "CPU time that each echo burns on its own server's shard (default 0)"),
        TOOL_U32(bench_options, "server-pid", "PID", server_pid, 1, BENCH_PID_MAX,
                "with --connect: count the CPU time of this process"),
        TOOL_ROW_SERVER_INFO(bench_options),
        TOOL_FLAG(bench_options, "share", share,
                "both sides may use all allowed CPUs (shards are pinned still)"),
        TOOL_FLAG(
                bench_options, "no-pin", no_pin, "as --share, and the scheduler places the shards"),
        TOOL_ROWS_TLS_CLIENT(bench_options),
        TOOL_FLAG(bench_options, "json", json, "print one JSON object"),
        TOOL_FLAG(bench_options, "progress", progress,
                "a line each second on stderr (default: if that is a terminal)"),
};
static const struct tool_command bench_command = {
        .usage = "bench [OPTIONS]",
        .about = "Measures commands/s, latencies and CPU time per command. Every answer is "
                 "checked. In the closed loop\n"
                 "each connection has K commands in flight, and an answer sends the next. In the "
                 "open loop (--rate)\n"
                 "commands begin when they are due, and latency counts from then, whether they "
                 "could be sent or not.\n",
        .notes = "  $ cmdstream bench --conns 8 --in-flight 128\n"
                 "  $ cmdstream bench --conns 1 --in-flight 1 --spin-us 0\n"
                 "  $ cmdstream bench --rate 100000 --duration 10 --json\n"
                 "  $ cmdstream bench --command stream --conns 1 --in-flight 1 --stream-count "
                 "20000\n"
                 "  $ cmdstream bench --conns 1 --in-flight 4096 --burn-us 1 --light 8\n\n"
                 "SIGINT (^C) or SIGTERM ends the measurement: what was measured so far is "
                 "reported, after the last\n"
                 "answers; a second one ends it at once. With --tls its own server has a "
                 "certificate that it brings along;\n"
                 "handshakes are over when the load starts.\n\n"
                 "Exit status: 0; 1 there were errors, or it could not start; 2 a bad option; 130 "
                 "or 143 a signal ended it.\n",
        .options = bench_rows,
        .option_count = sizeof(bench_rows) / sizeof(bench_rows[0]),
};

/* What one way of driving the load cannot do is refused, and not left out in silence. */
static const struct tool_rule bench_rules[] = {
        {"rate", "blocking", false, "the one is an open loop, and a blocking caller waits"},
        {"light", "rate", false, "light connections are a closed loop on shards"},
        {"light", "blocking", false, "light connections are a closed loop on shards"},
        {"light", "own-threads", false, "light connections are a closed loop on shards"},
        {"own-threads", "blocking", false, "each caller has a thread of its own already"},
        {"in-flight", "blocking", false, "each caller has one command in flight; see --callers"},
        {"dispatch", "blocking", false, "a sender takes its connections in turn"},
        {"callers", "blocking", true, NULL},
        {"sender-single", "blocking", true, NULL},
        {"threads", "sender-single", false, "each caller turns its own ring"},
        {"conns", "sender-single", false, "each caller has one connection"},
        {"client-spin-us", "sender-single", false, "such a sender does not spin"},
        {"server-pid", "connect", true, "its own server is known"},
        {"server-spin-us", "connect", false, "that server has options of its own"},
        {"server-shards", "connect", false, "that server has options of its own"},
        {"server-workers", "connect", false, "that server has options of its own"},
        {"burn-us", "connect", false, "that server has options of its own"},
        {"share", "connect", false, "the CPUs are not divided then"},
        {"tls-ca", "connect", true, "its own server brings certificates along"},
        {"tls-crl", "connect", true, "its own server brings certificates along"},
        {"tls-server-name", "connect", true, "its own server brings certificates along"},
        {"tls-cert", "connect", true, "its own server asks for none"},
        {"tls-key", "connect", true, "its own server asks for none"},
        {"tls-alpn", "connect", true, "its own server knows one protocol"},
};
/* And options of some commands only. */
static const struct {
    const char *option;
    uint32_t commands; // Bits.
} bench_only[] = {
        {"string-size", 1U << BENCH_ECHO | 1U << BENCH_SLEEP},
        {"stream-count", 1U << BENCH_STREAM},
        {"stream-size", 1U << BENCH_STREAM},
        {"sleep-ms", 1U << BENCH_SLEEP},
        {"work-us", 1U << BENCH_WORK},
        {"server-workers", 1U << BENCH_WORK},
        {"burn-us", 1U << BENCH_ECHO},
};

static bool bench_refuse(const char *text)
{
    fprintf(stderr, "cmdstream bench: %s\n", text);
    return false;
}

static bool bench_take_command(struct bench *bench)
{
    static const char *const names[] = {[BENCH_ECHO] = "echo",
            [BENCH_STREAM] = "stream",
            [BENCH_SLEEP] = "sleep",
            [BENCH_WORK] = "work"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], bench->options.command) == 0) {
            bench->plan.command = (enum bench_command)i;
            return true;
        }
    }
    return bench_refuse("--command is one of echo, stream, sleep, work");
}

static bool bench_take_string_size(struct bench *bench)
{
    const char *text = bench->options.string_size;
    if (strcmp(text, "random") == 0) {
        bench->plan.string_max = BENCH_STRING_RANDOM_MAX;
        return true;
    }
    char *end = NULL;
    unsigned long size = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || size > 8UL << 20) {
        return bench_refuse("--string-size is a number up to 8388608, or random");
    }
    bench->plan.string_min = (uint32_t)size;
    bench->plan.string_max = (uint32_t)size;
    return true;
}

static bool bench_take_dispatch(struct bench *bench)
{
    bench->plan.sticky = strcmp(bench->options.dispatch, "sticky") == 0;
    return bench->plan.sticky || strcmp(bench->options.dispatch, "round-robin") == 0 ||
           bench_refuse("--dispatch is sticky or round-robin");
}

static bool bench_check_modes(const struct bench *bench, const struct tool_line *line)
{
    const struct bench_options *options = &bench->options;
    if (!tool_options_obey(&bench_command, "bench", line, bench_rules,
                sizeof(bench_rules) / sizeof(bench_rules[0]))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(bench_only) / sizeof(bench_only[0]); i++) {
        if ((bench_only[i].commands & (1U << bench->plan.command)) == 0 &&
                tool_options_given(&bench_command, line, bench_only[i].option)) {
            fprintf(stderr, "cmdstream bench: --%s says nothing about the command %s\n",
                    bench_only[i].option, options->command);
            return false;
        }
    }
    if (!(options->duration > 0)) {
        return bench_refuse("--duration is more than 0");
    }
    return options->rate >= BENCH_RATE_MIN || !tool_options_given(&bench_command, line, "rate") ||
           bench_refuse("--rate is 0.001 or more");
}

/* What follows from other options. */
static bool bench_check_sizes(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    if ((uint64_t)options->conns * options->in_flight > BENCH_LANES_MAX) {
        return bench_refuse("--conns times --in-flight is at most 4194304");
    }
    if (options->threads > options->conns && options->own_threads) {
        return bench_refuse("--threads is at most --conns here: a thread without a connection has "
                            "nothing to turn");
    }
    if (options->spin_always && options->client_spin_us == 0 && options->server_spin_us == 0) {
        return bench_refuse("--spin-always does not go with --spin-us 0");
    }
    return true;
}

static bool bench_take_options(struct bench *bench, const struct tool_line *line)
{
    struct bench_options *options = &bench->options;
    if (!bench_take_command(bench) || !bench_take_string_size(bench) ||
            !bench_take_dispatch(bench) || !bench_check_modes(bench, line) ||
            !tool_server_info("bench", options->server_info, &bench->plan.server_info)) {
        return false;
    }
    bench->plan.codec = tool_codec_find("bench", options->codec);
    options->client_spin_us =
            options->client_spin_us == BENCH_UNSET ? options->spin_us : options->client_spin_us;
    options->server_spin_us =
            options->server_spin_us == BENCH_UNSET ? options->spin_us : options->server_spin_us;
    options->own_threads = options->own_threads || options->rate > 0;
    options->conns = options->conns > 0 ? options->conns : options->blocking ? 1 : 8;
    if (options->in_flight == 0) {
        options->in_flight = options->rate > 0 ? 1024 : 128;
    }
    if (options->blocking) {
        options->callers = options->callers > 0 ? options->callers : 16;
        options->in_flight = options->callers; // The window of one connection takes them all.
    }
    options->progress = options->progress || tool_wait_is_seen();
    bench->plan.deadline_ms =
            options->deadline_ms > 0
                    ? options->deadline_ms
                    : 5000 + (bench->plan.command == BENCH_SLEEP ? options->sleep_ms : 0);
    return bench->plan.codec != NULL && bench_check_sizes(bench);
}

/* The server's CPUs are the first half; of a single one both must live. */
static uint32_t bench_split_cpus(struct bench *bench, uint16_t *server_cpus)
{
    uint16_t all[TOOL_CPUS_MAX];
    uint32_t count = tool_cpus(all, TOOL_CPUS_MAX);
    const struct bench_options *options = &bench->options;
    bool apart = options->connect == NULL && !options->share && !options->no_pin && count >= 2;
    uint32_t server_count = apart ? count / 2 : 0;
    memcpy(server_cpus, all, server_count * sizeof(all[0]));
    bench->client_cpu_count = count - server_count;
    memcpy(bench->client_cpus, all + server_count, bench->client_cpu_count * sizeof(all[0]));
    return server_count;
}

static void bench_default_threads(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    if (options->threads == 0) {
        uint32_t cpus = bench->client_cpu_count > 0 ? bench->client_cpu_count : 1;
        options->threads = cpus < options->conns ? cpus : options->conns;
    }
    bench->plan.due_interval = options->rate > 0
                                       ? (double)tool_clock_from_ns(&bench->plan.clock, 1e12) /
                                                 1e3 * options->threads / options->rate
                                       : 0;
}

static int bench_make_data(struct bench_plan *plan, uint32_t stream_size)
{
    size_t size = (size_t)BENCH_TEXT_OFFSETS + plan->string_max;
    plan->text = malloc(size);
    plan->pattern = malloc((size_t)stream_size + 1);
    if (plan->text == NULL || plan->pattern == NULL) {
        return -ENOMEM;
    }
    uint32_t random = 1;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        plan->text[i] = (char)(' ' + (random >> 24) % 95);
    }
    for (uint32_t i = 0; i < stream_size; i++) {
        plan->pattern[i] = (char)('a' + i % 26);
    }
    return 0;
}

static int bench_find_server(struct bench *bench)
{
    uint16_t server_cpus[TOOL_CPUS_MAX];
    uint32_t server_cpu_count = bench_split_cpus(bench, server_cpus);
    const struct bench_options *options = &bench->options;
    int code = 0;
    if (options->connect == NULL) {
        code = bench_server_start(bench, server_cpus, server_cpu_count);
    } else {
        bench->server.pid = (pid_t)options->server_pid;
        if (options->server_pid > 0 && bench_server_cpu_ns(&bench->server) < 0) {
            fprintf(stderr, "cmdstream bench: --server-pid %u: there is no such process\n",
                    options->server_pid);
            return -ESRCH;
        }
        snprintf(bench->server.address, sizeof(bench->server.address), "%s", options->connect);
    }
    if (server_cpu_count > 0) {
        // The runtime will use these.
        (void)tool_cpus_bind(bench->client_cpus, bench->client_cpu_count);
    }
    bench_default_threads(bench);
    return code;
}

static void bench_free(struct bench *bench)
{
    for (uint32_t i = 0; bench->workers != NULL && i < bench->worker_count; i++) {
        free(bench->workers[i].lanes);
        free(bench->workers[i].hows);
    }
    bench_secure_close(bench);
    free(bench->workers);
    free(bench->plan.text);
    free(bench->plan.pattern);
    free(bench);
}

/* Each side has the connections, and its own server has the limits of this process. */
static bool bench_check_files(const struct bench_options *options)
{
    uint16_t cpus[TOOL_CPUS_MAX];
    uint32_t shards = options->threads > 0 ? options->threads : tool_cpus(cpus, TOOL_CPUS_MAX);
    uint64_t connections = (uint64_t)options->conns + options->light + options->idle;
    if (options->blocking && options->sender_single) {
        connections = (uint64_t)options->callers + options->idle;
        shards = options->callers;
    }
    return tool_files_suffice("bench", connections, shards + (options->idle > 0));
}

/* Of a run that went. Returns: the exit status. */
static int bench_finish(struct bench *bench)
{
    bool measured = bench->to.at_ns > bench->measure_ns;
    if (bench->signal != 0 && !measured) {
        fprintf(stderr, "cmdstream bench: ended by a signal while it warmed up; nothing was "
                        "measured\n");
    } else {
        bench_report(bench);
    }
    if (bench->signal != 0) {
        return BENCH_EXIT_SIGNAL + bench->signal;
    }
    return bench_errors(bench) == 0 ? TOOL_EXIT_OK : TOOL_EXIT_FAILED;
}

static int bench_measure(struct bench *bench)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = bench_make_data(&bench->plan, bench->options.stream_size);
    code = code < 0 ? code : bench_watch_open(bench);
    code = code < 0 ? code : bench_secure_open(bench);
    code = code < 0 ? code : bench_find_server(bench);
    if (code < 0) {
        return TOOL_EXIT_FAILED;
    }
    code = bench_run(bench, &error);
    int status = TOOL_EXIT_FAILED;
    if (code == 0) {
        status = bench_finish(bench);
    } else {
        fprintf(stderr, "cmdstream bench: %s\n",
                error.code < 0 ? error.text : cmds_error_text(code));
    }
    bench_server_stop(&bench->server);
    return bench_watch_close(bench) == 0 ? status : TOOL_EXIT_FAILED;
}

int tool_bench(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    if (bench == NULL) {
        return TOOL_EXIT_FAILED;
    }
    bench->options = (struct bench_options){.command = "echo",
            .string_size = "random",
            .dispatch = "sticky",
            .duration = 5,
            .warmup = 0.5,
            .stream_count = 1000,
            .stream_size = 64,
            .sleep_ms = 10,
            .work_us = 10,
            .spin_us = 100,
            .client_spin_us = BENCH_UNSET,
            .server_spin_us = BENCH_UNSET};
    bench->log_level = CMDS_LOG_WARN;
    bench->certificates = (struct bench_certificates)BENCH_CERTIFICATES_INIT;
    struct tool_line line;
    int status = tool_options_parse(&bench_command, argc, argv, &bench->options, &line);
    if (status == TOOL_PARSED) {
        status = tool_tls_check_client(&bench_command, "bench", &line, &bench->options.tls);
    }
    if (status == TOOL_PARSED && !bench_take_options(bench, &line)) {
        status = TOOL_EXIT_USAGE;
    }
    if (status == TOOL_PARSED && !bench_check_files(&bench->options)) {
        status = TOOL_EXIT_FAILED;
    }
    if (status == TOOL_PARSED) {
        (void)signal(SIGPIPE, SIG_IGN);
        bench->plan.clock = tool_clock_calibrate();
        status = bench_measure(bench);
    }
    bench_free(bench);
    return status;
}
