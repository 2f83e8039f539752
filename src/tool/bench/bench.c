/* SPDX-License-Identifier: MIT */
/*
 * `bench`: throughput and latency. See bench.h for its parts.
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
#include "bench/load_rows.h"
#include "name.h"

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
};

enum {
    BENCH_DEADLINE_MS = 5000, // Of a command.
};

bool cmdi_bench_refuse(const char *text)
{
    cmdi_tool_complain("bench", "%s", text);
    return false;
}

static bool bench_take_dispatch(struct bench *bench)
{
    bench->plan.sticky = strcmp(bench->options.dispatch, "sticky") == 0;
    return bench->plan.sticky || strcmp(bench->options.dispatch, "round-robin") == 0 ||
           cmdi_bench_refuse("--dispatch is sticky or round-robin");
}

static bool bench_check_modes(const struct bench *bench, const struct tool_line *line)
{
    const struct bench_options *options = &bench->options;
    const struct bench_subject *subject = bench->plan.subject;
    if (!cmdi_tool_options_obey(subject->command, "bench", line, bench_rules,
                sizeof(bench_rules) / sizeof(bench_rules[0])) ||
            !cmdi_tool_options_obey(
                    subject->command, "bench", line, subject->rules, subject->rule_count)) {
        return false;
    }
    if (!(options->duration > 0)) {
        return cmdi_bench_refuse("--duration is more than 0");
    }
    return options->rate >= BENCH_RATE_MIN ||
           !cmdi_tool_options_given(subject->command, line, "rate") ||
           cmdi_bench_refuse("--rate is 0.001 or more");
}

/* What follows from other options. */
static bool bench_check_sizes(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    if ((uint64_t)options->conns * options->in_flight > BENCH_LANES_MAX) {
        return cmdi_bench_refuse("--conns times --in-flight is at most 4194304");
    }
    if (options->threads > options->conns && options->own_threads) {
        return cmdi_bench_refuse(
                "--threads is at most --conns here: a thread without a connection has "
                "nothing to turn");
    }
    if (options->spin_always && options->client_spin_us == 0 && options->server_spin_us == 0) {
        return cmdi_bench_refuse("--spin-always does not go with --spin-us 0");
    }
    return true;
}

static bool bench_take_options(struct bench *bench, const struct tool_line *line)
{
    struct bench_options *options = &bench->options;
    bench->plan.deadline_ms = BENCH_DEADLINE_MS;
    if (!bench->plan.subject->take(bench, line) || !bench_take_dispatch(bench) ||
            !bench_check_modes(bench, line) ||
            !cmdi_tool_server_info("bench", options->server_info, &bench->plan.server_info)) {
        return false;
    }
    bench->plan.codec = cmdi_tool_codec_find("bench", options->codec);
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
    options->progress = options->progress || cmdi_tool_wait_is_seen();
    if (options->deadline_ms > 0) {
        bench->plan.deadline_ms = options->deadline_ms;
    }
    return bench->plan.codec != NULL && bench_check_sizes(bench);
}

/* The server's CPUs are the first half; of a single one both must live. */
static uint32_t bench_split_cpus(struct bench *bench, uint16_t *server_cpus)
{
    uint16_t all[TOOL_CPUS_MAX];
    uint32_t count = cmdi_tool_cpus(all, TOOL_CPUS_MAX);
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

static int bench_find_server(struct bench *bench)
{
    uint16_t server_cpus[TOOL_CPUS_MAX];
    uint32_t server_cpu_count = bench_split_cpus(bench, server_cpus);
    const struct bench_options *options = &bench->options;
    int code = 0;
    if (options->connect == NULL) {
        code = bench->plan.subject->start(bench, server_cpus, server_cpu_count);
    } else {
        bench->server.pid = (pid_t)options->server_pid;
        if (options->server_pid > 0 && cmdi_bench_server_cpu_ns(&bench->server) < 0) {
            cmdi_tool_complain(
                    "bench", "--server-pid %u: there is no such process", options->server_pid);
            return -ESRCH;
        }
        snprintf(bench->server.address, sizeof(bench->server.address), "%s", options->connect);
    }
    if (server_cpu_count > 0) {
        // The runtime will use these.
        (void)cmdi_tool_cpus_bind(bench->client_cpus, bench->client_cpu_count);
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
    cmdi_bench_secure_close(bench);
    bench->plan.subject->close(bench);
    free(bench->workers);
    free(bench);
}

/* Each side has the connections, and its own server has the limits of this process. */
static bool bench_check_files(const struct bench_options *options)
{
    uint16_t cpus[TOOL_CPUS_MAX];
    uint32_t shards = options->threads > 0 ? options->threads : cmdi_tool_cpus(cpus, TOOL_CPUS_MAX);
    uint64_t connections = (uint64_t)options->conns + options->light + options->idle;
    if (options->blocking && options->sender_single) {
        connections = (uint64_t)options->callers + options->idle;
        shards = options->callers;
    }
    return cmdi_tool_files_suffice("bench", connections, shards + (options->idle > 0));
}

/* Of a run that went. Returns: the exit status. */
static int bench_finish(struct bench *bench)
{
    bool measured = bench->to.at_ns > bench->measure_ns;
    if (bench->signal != 0 && !measured) {
        cmdi_tool_complain("bench", "ended by a signal while it warmed up; nothing was measured");
    } else {
        cmdi_bench_report(bench);
    }
    if (bench->signal != 0) {
        return BENCH_EXIT_SIGNAL + bench->signal;
    }
    return cmdi_bench_errors(bench) == 0 ? TOOL_EXIT_OK : TOOL_EXIT_FAILED;
}

static int bench_measure(struct bench *bench)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = bench->plan.subject->open(bench);
    code = code < 0 ? code : cmdi_bench_watch_open(bench);
    code = code < 0 ? code : cmdi_bench_secure_open(bench);
    code = code < 0 ? code : bench_find_server(bench);
    if (code < 0) {
        return TOOL_EXIT_FAILED;
    }
    code = cmdi_bench_run(bench, &error);
    int status = TOOL_EXIT_FAILED;
    if (code == 0) {
        status = bench_finish(bench);
    } else {
        cmdi_tool_complain("bench", "%s", error.code < 0 ? error.text : cmds_error_text(code));
    }
    if (bench->server.own) {
        bench->plan.subject->stop(&bench->server);
    }
    return cmdi_bench_watch_close(bench) == 0 ? status : TOOL_EXIT_FAILED;
}

int cmdi_bench_main(int argc, char **argv, const struct bench_subject *subject)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    if (bench == NULL) {
        return TOOL_EXIT_FAILED;
    }
    bench->plan.subject = subject;
    bench->options = (struct bench_options){.string_size = "random",
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
    struct tool_line line;
    int status = cmdi_tool_options_parse(subject->command, argc, argv, &bench->options, &line);
    if (status == TOOL_PARSED) {
        status = cmdi_tool_tls_check_client(subject->command, "bench", &line, &bench->options.tls);
    }
    if (status == TOOL_PARSED && !bench_take_options(bench, &line)) {
        status = TOOL_EXIT_USAGE;
    }
    if (status == TOOL_PARSED && !bench_check_files(&bench->options)) {
        status = TOOL_EXIT_FAILED;
    }
    if (status == TOOL_PARSED) {
        (void)signal(SIGPIPE, SIG_IGN);
        bench->plan.clock = cmdi_tool_clock_calibrate();
        status = bench_measure(bench);
    }
    bench_free(bench);
    return status;
}
