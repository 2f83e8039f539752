/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream stress`: options, and which of its three modes they ask for. See stress.h for its parts.
 */
#include "stress/stress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "rows.h"

enum {
    STRESS_MS_MAX = 3600000,
    STRESS_CLIENTS_MAX = 4096,
    STRESS_SESSIONS_MAX = 65536,
    STRESS_CALLERS_MAX = 256,
    STRESS_THREADS_DEFAULT_MAX = 8,
    STRESS_SHARDS_MAX = 64,
};

static const struct tool_option stress_rows[] = {
        TOOL_TEXT(stress_options, "serve", "ADDRESS", serve,
                "only the servers; port 0: any, and it stays the same over restarts"),
        TOOL_TEXT(stress_options, "connect", "ADDRESS", connect,
                "only the clients, against servers that run elsewhere"),
        TOOL_DOUBLE(stress_options, "duration", "S", duration, 0, 31536000,
                "seconds of load; 0: until SIGINT or SIGTERM (default 0)"),
        TOOL_DOUBLE(stress_options, "warmup", "S", warmup, 0, 86400,
                "from when on descriptors and memory are to be flat (default 10, at most a quarter "
                "of --duration)"),
        TOOL_U32(stress_options, "seed", "N", seed, 0, UINT32_MAX,
                "of all that is random (default: from the clock; it is printed)"),
        TOOL_DOUBLE(stress_options, "report", "S", report, 0, 86400,
                "seconds between two reports; 0: only one at the end (default 10)"),
        TOOL_FLAG(stress_options, "like-go", like_go,
                "the numbers of the stress test of cmd-stream-go: 10 sessions with pauses, 4 "
                "connections"),
        TOOL_U32(stress_options, "sessions", "N", sessions, 0, STRESS_SESSIONS_MAX,
                "sessions without pauses (default 64)"),
        TOOL_U32(stress_options, "in-flight", "K", in_flight, 1, 65536,
                "commands of each at a time (default 8)"),
        TOOL_U32(stress_options, "clients", "N", clients, 1, STRESS_CLIENTS_MAX,
                "connections that they share (default 8)"),
        TOOL_U32(stress_options, "window", "N", window, 1, TOOL_IN_FLIGHT_MAX,
                "commands in flight on each connection; at the bound sessions wait (default 128)"),
        TOOL_DOUBLE(stress_options, "rate", "R", rate, 0, 100000000,
                "of them together, commands/s; 0: as fast as they can (default 0)"),
        TOOL_U32(stress_options, "slow-sessions", "N", slow_sessions, 0, STRESS_SESSIONS_MAX,
                "sessions with pauses, one command at a time (default 8)"),
        TOOL_U32(stress_options, "slow-clients", "N", slow_clients, 1, STRESS_CLIENTS_MAX,
                "connections that those share (default 2)"),
        TOOL_TEXT(stress_options, "dispatch", "NAME", dispatch,
                "default, round-robin, least, p2c, sticky: which connection a command takes "
                "(default "
                "default)"),
        TOOL_U32(stress_options, "callers", "N", callers, 0, STRESS_CALLERS_MAX,
                "threads that block in one sender, which has as many connections (default 4)"),
        TOOL_U32(stress_options, "reconnect-delay-max-ms", "N", reconnect_delay_max_ms, 1,
                STRESS_MS_MAX,
                "the longest pause before a lost connection is tried again (default "
                "500)"),
        TOOL_U32(stress_options, "threads", "N", threads, 1, CMDS_SHARDS_MAX,
                "shards of the clients (default: the allowed CPUs, 2 to 8)"),
        TOOL_DOUBLE(stress_options, "fail-prob", "P", fail_prob, 0, 1,
                "of a command that makes the server drop the connection (default 0.0001)"),
        TOOL_DOUBLE(stress_options, "echo-prob", "P", echo_prob, 0, 1,
                "of an echo (default 0.4999); all others are streams"),
        TOOL_U32(stress_options, "max-stream-results", "N", stream_max, 1, 65536,
                "items of a stream, from 1 on (default 5)"),
        TOOL_U32(stress_options, "payload-max", "BYTES", payload_max, 0, STRESS_TEXT_MAX,
                "of an echo's or an item's text, from 0 on (default 256)"),
        TOOL_DOUBLE(stress_options, "large-prob", "P", large_prob, 0, 1,
                "of a command whose texts have up to 65536 bytes (default 0.001)"),
        TOOL_DOUBLE(stress_options, "delay-prob", "P", delay_prob, 0, 1,
                "of a command that the server answers late (default 0.01)"),
        TOOL_U32(stress_options, "delay-max-ms", "N", delay_max_ms, 0, STRESS_MS_MAX,
                "how late, from 0 on (default 100)"),
        TOOL_U32(stress_options, "deadline-ms", "N", deadline_ms, 1, STRESS_MS_MAX,
                "of a command (default 5000)"),
        TOOL_DOUBLE(stress_options, "short-prob", "P", short_prob, 0, 1,
                "of a command with a deadline of --short-max-ms or less (default 0.01)"),
        TOOL_U32(stress_options, "short-max-ms", "N", short_max_ms, 1, STRESS_MS_MAX,
                "from 1 on (default 50)"),
        TOOL_DOUBLE(stress_options, "forget-prob", "P", forget_prob, 0, 1,
                "of a command that is forgotten soon after it was sent (default 0.001)"),
        TOOL_DOUBLE(stress_options, "resend-prob", "P", resend_prob, 0, 1,
                "of a command of a session that is sent again if its connection is lost (default "
                "0.1)"),
        TOOL_DOUBLE(stress_options, "veto-prob", "P", veto_prob, 0, 1,
                "of a command that a hook refuses (default 0.0001)"),
        TOOL_U32(stress_options, "cb-window-size", "N", breaker_window_size, 1, 65536,
                "of the circuit breaker; of that of sessions without pauses 100 times so much "
                "(default 10)"),
        TOOL_DOUBLE(stress_options, "cb-failure-rate", "R", breaker_failure_rate, 0, 1,
                "of the window, so that it opens (default 0.5)"),
        TOOL_U32(stress_options, "cb-open-duration-ms", "N", breaker_open_ms, 1, STRESS_MS_MAX,
                "how long then; that of sessions without pauses a tenth of it (default 3000)"),
        TOOL_U32(stress_options, "cb-success-threshold", "N", breaker_success_threshold, 1, 65536,
                "trials that go well until it closes (default 2)"),
        TOOL_FLAG(stress_options, "no-breaker", no_breaker, "no circuit breaker"),
        TOOL_DOUBLE(stress_options, "no-pause-prob", "P", no_pause_prob, 0, 1,
                "of no pause between two commands of a session with pauses (default 0.8)"),
        TOOL_DOUBLE(stress_options, "workload-pause-prob", "P", workload_pause_prob, 0, 1,
                "of a short one (default 0.19); all others are long enough for pings"),
        TOOL_U32(stress_options, "workload-pause-max-ms", "N", workload_pause_max_ms, 0,
                STRESS_MS_MAX, "of a short one (default 500)"),
        TOOL_U32(stress_options, "keepalive-pause-max-ms", "N", keepalive_pause_max_ms, 0,
                STRESS_MS_MAX, "of a long one, beyond --keepalive-time-ms (default 6000)"),
        TOOL_U32(stress_options, "keepalive-time-ms", "N", keepalive_time_ms, 1, STRESS_MS_MAX,
                "without a command before a ping (default 2000)"),
        TOOL_U32(stress_options, "keepalive-intvl-ms", "N", keepalive_interval_ms, 1, STRESS_MS_MAX,
                "between two pings (default 1000)"),
        TOOL_U32(stress_options, "servers", "N", servers, 1, STRESS_SERVERS_MAX,
                "each restarts by itself, and has a proxy of its own (default 1)"),
        TOOL_U32(stress_options, "server-shards", "N", server_shards, 1, STRESS_SHARDS_MAX,
                "of a server (default 2)"),
        TOOL_U32(stress_options, "server-up-max-ms", "N", server_up_max_ms, 0, STRESS_MS_MAX,
                "the longest that a server is up; 0: it is never restarted (default 20000)"),
        TOOL_U32(stress_options, "server-down-max-ms", "N", server_down_max_ms, 0, STRESS_MS_MAX,
                "the longest that it is down then (default 5000)"),
        TOOL_U32(stress_options, "server-stall-max-ms", "N", server_stall_max_ms, 1, STRESS_MS_MAX,
                "the longest that it is stopped and goes on (default 6000)"),
        TOOL_TEXT(stress_options, "server-stop", "HOW", server_stop,
                "kill, drain, stall or mix: what happens to it (default mix)"),
        TOOL_FLAG(stress_options, "chaos", chaos,
                "a proxy in between that treats connections badly: `cmdstream chaos`"),
        TOOL_TEXT(stress_options, "chaos-faults", "LIST", chaos_faults,
                "what it does: its --faults (default all)"),
        TOOL_TEXT(stress_options, "chaos-every", "MS", chaos_every,
                "how often: its --every (default 200..2000)"),
        TOOL_ROW_CODEC(stress_options),
        TOOL_ROWS_TLS_CLIENT(stress_options),
        TOOL_FLAG(stress_options, "tls-require-client-cert", tls.require_client_certificate,
                "with --serve: a client must show one"),
        TOOL_FLAG(stress_options, "json", json, "one JSON object at the end; reports go to stderr"),
        TOOL_FLAG(stress_options, "verbose", verbose,
                "the library's warnings, of which there are many"),
};
static const struct tool_command stress_command = {
        .usage = "stress [OPTIONS]",
        .about = "Clients that send all the time, servers that are killed, drained and stalled. "
                 "Each result is checked: it\n"
                 "is the next one of its own command, with the right text, and each command ends "
                 "exactly once. Without\n"
                 "--serve or --connect both sides run here, the servers as child processes.\n",
        .notes = "  $ cmdstream stress --duration 60\n"
                 "  $ cmdstream stress --duration 1800 --chaos --tls --seed 7 --json\n"
                 "  $ cmdstream stress --serve 127.0.0.1:9000 &\n"
                 "  $ cmdstream stress --connect 127.0.0.1:9000 --like-go\n\n"
                 "Times are in ms unless they are in S, seconds. SIGINT (^C) or SIGTERM ends the "
                 "load, and the report is as\n"
                 "at its end. The same seed gives the same commands and the same times of the "
                 "servers.\n\n"
                 "Exit status: 0; 1 a result was wrong, a command did not end or ended with an "
                 "error that should not be, none\n"
                 "had its answer, a server or the proxy ended badly, or open descriptors grew; 2 a "
                 "bad "
                 "option.\n",
        .options = stress_rows,
        .option_count = sizeof(stress_rows) / sizeof(stress_rows[0]),
};

static const struct tool_rule stress_rules[] = {
        {"serve", "connect", false, "the one is the servers alone, the other the clients alone"},
        {"duration", "serve", false, "servers run until a signal"},
        {"cb-window-size", "no-breaker", false, NULL},
        {"cb-failure-rate", "no-breaker", false, NULL},
        {"cb-open-duration-ms", "no-breaker", false, NULL},
        {"cb-success-threshold", "no-breaker", false, NULL},
        {"chaos", "serve", false, "the proxy is beside the clients"},
        {"chaos-faults", "chaos", true, NULL},
        {"chaos-every", "chaos", true, NULL},
        {"tls", "serve", false, "a server has TLS by its certificate, --tls-cert"},
        {"tls-server-name", "serve", false, "that is for clients"},
        {"tls-require-client-cert", "serve", true, NULL},
        {"servers", "serve", false, "it is one; start as many"},
        {"servers", "connect", false, "those servers have options of their own"},
        {"server-shards", "connect", false, "those servers have options of their own"},
        {"server-up-max-ms", "connect", false, "those servers have options of their own"},
        {"server-down-max-ms", "connect", false, "those servers have options of their own"},
        {"server-stall-max-ms", "connect", false, "those servers have options of their own"},
        {"server-stop", "connect", false, "those servers have options of their own"},
};
/* Of --tls without --connect. */
static const struct tool_rule stress_own_tls_rules[] = {
        {"tls-ca", "connect", true, "its own servers bring certificates along"},
        {"tls-crl", "connect", true, "its own servers bring certificates along"},
        {"tls-server-name", "connect", true, "its own servers bring certificates along"},
        {"tls-cert", "connect", true, "its own servers ask for none"},
        {"tls-key", "connect", true, "its own servers ask for none"},
        {"tls-alpn", "connect", true, "its own servers know one protocol"},
};

static const struct stress_options stress_defaults = {
        .server_stop = "mix",
        .dispatch = "default",
        .chaos_faults = "all",
        .chaos_every = "200..2000",
        .warmup = 10,
        .report = 10,
        .fail_prob = 0.0001,
        .echo_prob = 0.4999,
        .large_prob = 0.001,
        .delay_prob = 0.01,
        .short_prob = 0.01,
        .forget_prob = 0.001,
        .resend_prob = 0.1,
        .veto_prob = 0.0001,
        .breaker_window_size = 10,
        .breaker_failure_rate = 0.5,
        .breaker_open_ms = 3000,
        .breaker_success_threshold = 2,
        .no_pause_prob = 0.8,
        .workload_pause_prob = 0.19,
        .sessions = 64,
        .in_flight = 8,
        .clients = 8,
        .window = 128,
        .slow_sessions = 8,
        .slow_clients = 2,
        .callers = 4,
        .reconnect_delay_max_ms = 500,
        .stream_max = 5,
        .payload_max = 256,
        .delay_max_ms = 100,
        .deadline_ms = 5000,
        .short_max_ms = 50,
        .workload_pause_max_ms = 500,
        .keepalive_pause_max_ms = 6000,
        .keepalive_time_ms = 2000,
        .keepalive_interval_ms = 1000,
        .servers = 1,
        .server_shards = 2,
        .server_up_max_ms = 20000,
        .server_down_max_ms = 5000,
        .server_stall_max_ms = 6000,
};

/* Where the stress test of cmd-stream-go has another number. Its texts are those of an address book. */
static struct stress_options stress_like_go(void)
{
    struct stress_options options = stress_defaults;
    options.sessions = 0;
    options.slow_sessions = 10;
    options.slow_clients = 4;
    options.callers = 0;
    options.payload_max = 9;
    options.large_prob = 0;
    options.delay_prob = 1;
    options.deadline_ms = 102;
    options.short_prob = 0;
    options.forget_prob = 0;
    options.resend_prob = 0;
    options.veto_prob = 0;
    options.server_stop = "kill";
    return options;
}

static int stress_parse(
        struct stress_options *options, int argc, char **argv, struct tool_line *line)
{
    *options = stress_defaults;
    int status = cmdi_tool_options_parse(&stress_command, argc, argv, options, line);
    if (status == TOOL_PARSED && options->like_go) {
        *options = stress_like_go();
        status = cmdi_tool_options_parse(&stress_command, argc, argv, options, line);
    }
    return status;
}

static uint32_t stress_threads(void)
{
    uint16_t cpus[TOOL_CPUS_MAX];
    uint32_t count = cmdi_tool_cpus(cpus, TOOL_CPUS_MAX);
    // Two shards on one core have more to say to each other than one.
    count = count < 2 ? 2 : count;
    return count < STRESS_THREADS_DEFAULT_MAX ? count : STRESS_THREADS_DEFAULT_MAX;
}

static void stress_fill(struct stress *stress)
{
    struct stress_options *options = &stress->options;
    options->threads = options->threads > 0 ? options->threads : stress_threads();
    if (options->duration > 0 && options->warmup > options->duration / 4) {
        options->warmup = options->duration / 4;
    }
    stress->worker_count = options->threads;
    stress->log_level = options->verbose ? CMDS_LOG_WARN : CMDS_LOG_ERROR;
    stress->lots[STRESS_LOT_FAST] = (struct stress_lot){.stress = stress,
            .manner = STRESS_LOT_FAST,
            .sessions = options->sessions,
            .in_flight = options->in_flight,
            .clients = options->clients,
            .window = options->window};
    stress->lots[STRESS_LOT_SLOW] = (struct stress_lot){.stress = stress,
            .manner = STRESS_LOT_SLOW,
            .sessions = options->slow_sessions,
            .in_flight = 1,
            .clients = options->slow_clients,
            .window = options->window};
    stress->lots[STRESS_LOT_CALLERS] = (struct stress_lot){.stress = stress,
            .manner = STRESS_LOT_CALLERS,
            .clients = options->callers,
            .window = options->window};
}

static bool stress_refuse(bool bad, const char *text)
{
    if (bad) {
        fprintf(stderr, "cmdstream stress: %s\n", text);
    }
    return bad;
}

/* What the table of options cannot say. */
static bool stress_numbers_go(const struct stress_options *options)
{
    return !stress_refuse(
                   options->serve == NULL &&
                           options->sessions + options->slow_sessions + options->callers == 0,
                   "--sessions 0, --slow-sessions 0 and --callers 0: nobody sends") &&
           !stress_refuse(options->fail_prob + options->echo_prob > 1,
                   "--fail-prob and --echo-prob are more than 1 together") &&
           !stress_refuse(options->no_pause_prob + options->workload_pause_prob > 1,
                   "--no-pause-prob and --workload-pause-prob are more than 1 together") &&
           !stress_refuse(!stress_lot_knows(options->dispatch),
                   "--dispatch is one of default, round-robin, least, p2c, sticky") &&
           !stress_refuse(!stress_supervise_knows(options->server_stop),
                   "--server-stop is one of kill, drain, stall, mix");
}

static int stress_check(struct stress *stress, const struct tool_line *line)
{
    const struct stress_options *options = &stress->options;
    if (!cmdi_tool_options_obey(&stress_command, "stress", line, stress_rules,
                sizeof(stress_rules) / sizeof(stress_rules[0]))) {
        return TOOL_EXIT_USAGE;
    }
    int status =
            options->serve != NULL
                    ? cmdi_tool_tls_check_server(&stress_command, "stress", line, &options->tls)
                    : cmdi_tool_tls_check_client(&stress_command, "stress", line, &options->tls);
    if (status != TOOL_PARSED) {
        return status;
    }
    if (options->serve == NULL &&
            !cmdi_tool_options_obey(&stress_command, "stress", line, stress_own_tls_rules,
                    sizeof(stress_own_tls_rules) / sizeof(stress_own_tls_rules[0]))) {
        return TOOL_EXIT_USAGE;
    }
    if (!stress_numbers_go(options) || (options->chaos && !stress_backend_chaos_goes(options))) {
        return TOOL_EXIT_USAGE;
    }
    stress->codec = cmdi_tool_codec_find("stress", options->codec);
    return stress->codec != NULL ? TOOL_PARSED : TOOL_EXIT_USAGE;
}

int tool_stress(int argc, char **argv)
{
    static const struct bench_certificates no_certificates = BENCH_CERTIFICATES_INIT;
    struct tool_line line;
    struct stress *stress = calloc(1, sizeof(*stress));
    if (stress == NULL) {
        fprintf(stderr, "cmdstream stress: %s\n", cmds_error_text(-ENOMEM));
        return TOOL_EXIT_FAILED;
    }
    stress->certificates = no_certificates;
    int status = stress_parse(&stress->options, argc, argv, &line);
    status = status == TOOL_PARSED ? stress_check(stress, &line) : status;
    if (status == TOOL_PARSED) {
        if (!cmdi_tool_options_given(&stress_command, &line, "seed")) {
            stress->options.seed = (uint32_t)(cmdi_tool_now_ns() / 1000);
        }
        stress_fill(stress);
        (void)signal(SIGPIPE, SIG_IGN);
        const struct stress_options *options = &stress->options;
        uint64_t connections = options->clients + options->slow_clients + options->callers;
        status = options->serve == NULL &&
                                 !cmdi_tool_files_suffice("stress", connections, options->threads)
                         ? TOOL_EXIT_FAILED
                 : options->serve == NULL         ? stress_run(stress)
                 : options->server_up_max_ms == 0 ? stress_serve_here(stress)
                                                  : stress_supervise(stress);
    }
    free(stress);
    return status;
}
