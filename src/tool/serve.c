/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream serve`: the test protocol on a socket.
 *
 * Signals are blocked before the runtime starts its threads, so that the main thread alone takes
 * them, by sigwait: the first one drains, and while the main thread waits for that, a thread of its
 * own waits for the second. With TLS a SIGHUP before that has the main thread read the certificates
 * anew.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "common.h"
#include "rows.h"
#include "test_service.h"
#include "tls.h"
#include "watchdog.h"

struct serve_options {
    const char *listen, *codec, *cpus, *server_info;
    uint32_t shards, spin_us, workers;
    uint32_t max_frame, max_connections, max_in_flight, max_output, max_kept, max_memory;
    uint32_t server_info_timeout_ms, frame_timeout_ms, idle_timeout_ms, write_timeout_ms,
            exec_timeout_ms;
    uint32_t drain_ms, burn_us, spans;
    bool spin_always, no_pin, reuse_port, quiet, verbose;
    struct tool_tls tls;
    struct tool_admin admin;
    struct tool_log log;
};

static const struct tool_option serve_rows[] = {
        TOOL_TEXT(serve_options, "listen", "ADDRESS", listen,
                "127.0.0.1:9000 by default; port 0: any; [::1]:PORT, unix:PATH; several with "
                "commas"),
        TOOL_ROW_CODEC(serve_options),
        TOOL_TEXT(serve_options, "server-info", "TEXT", server_info,
                "what clients must expect (default \"default\")"),
        TOOL_U32(serve_options, "shards", "N", shards, 1, CMDS_SHARDS_MAX,
                "threads with a ring each (default: one per allowed core)"),
        TOOL_TEXT(serve_options, "cpus", "LIST", cpus,
                "where they are pinned, as in 0,2-5 (default: the allowed CPUs)"),
        TOOL_FLAG(serve_options, "no-pin", no_pin, "the scheduler places the shards"),
        TOOL_FLAG(serve_options, "reuse-port", reuse_port, "a listener per shard (SO_REUSEPORT)"),
        TOOL_FLAG(serve_options, "spin-always", spin_always,
                "look for work --spin-us each time, also when others need the core"),
        TOOL_U32(serve_options, "spin-us", "N", spin_us, 0, TOOL_SPIN_US_MAX,
                "the most a shard looks for work before it sleeps; 0: none (default 100)"),
        TOOL_U32(serve_options, "workers", "N", workers, 1, TOOL_WORKERS_MAX,
                "threads of the pool that runs `work` (default 4)"),
        TOOL_U32(serve_options, "max-connections", "N", max_connections, 1, 1000000,
                "one more is accepted and closed at once (default 10000)"),
        TOOL_U32(serve_options, "max-in-flight", "N", max_in_flight, 1, TOOL_IN_FLIGHT_MAX,
                "calls per connection; at the bound it stops reading (default 1024)"),
        TOOL_ROW_MAX_FRAME(serve_options),
        TOOL_U32(serve_options, "max-output", "BYTES", max_output, 4096, UINT32_MAX,
                "waiting on one connection (default 1 MiB)"),
        TOOL_U32(serve_options, "max-kept", "BYTES", max_kept, 1, UINT32_MAX,
                "of commands that one connection's calls keep (default 16 MiB)"),
        TOOL_U32(serve_options, "max-memory", "BYTES", max_memory, 1048576, UINT32_MAX,
                "of a shard; near it the connection that holds most is closed (default 1 GiB)"),
        TOOL_U32(serve_options, "server-info-timeout-ms", "N", server_info_timeout_ms, 1,
                UINT32_MAX, "for the ServerInfo to leave (default 5000; 4294967295: never)"),
        TOOL_U32(serve_options, "frame-timeout-ms", "N", frame_timeout_ms, 1, UINT32_MAX,
                "from a frame's first byte to its last (default 10000)"),
        TOOL_U32(serve_options, "idle-timeout-ms", "N", idle_timeout_ms, 1, UINT32_MAX,
                "nothing received and no call in flight (default 120000)"),
        TOOL_U32(serve_options, "write-timeout-ms", "N", write_timeout_ms, 1, UINT32_MAX,
                "the client takes nothing of what waits for it (default 10000)"),
        TOOL_U32(serve_options, "exec-timeout-ms", "N", exec_timeout_ms, 1, UINT32_MAX,
                "a call's deadline (default: none)"),
        TOOL_U32(serve_options, "drain-ms", "N", drain_ms, 0, UINT32_MAX,
                "after SIGTERM: for calls in flight to end (default 10000)"),
        TOOL_U32(serve_options, "burn-us", "N", burn_us, 0, TOOL_BURN_US_MAX,
                "CPU time that each echo burns on its shard, for measurements (default 0)"),
        TOOL_U32(serve_options, "spans", "N", spans, 16, 1048576,
                "of traces each shard keeps for /spans, the newest; a power of two (default: "
                "none)"),
        TOOL_ROWS_TLS_SERVER(serve_options),
        TOOL_ROWS_ADMIN(serve_options),
        TOOL_ROWS_LOG(serve_options),
        TOOL_FLAG(serve_options, "quiet", quiet, "errors only"),
        TOOL_FLAG(serve_options, "verbose", verbose,
                "log everything, and say which features of io_uring are in use"),
};
static const struct tool_command serve_command = {
        .usage = "serve [OPTIONS]",
        .about =
                "Serves the test protocol: echo, stream, sleep, fail, work. Prints `listening on "
                "ADDRESS (...)` on\n"
                "stdout when it is ready. SIGTERM or SIGINT drains: no new connections, the calls "
                "in flight end;\n"
                "a second signal ends it at once. With TLS, SIGHUP reads its files anew, for those "
                "who come then.\n",
        .notes =
                "  $ cmdstream serve --listen 127.0.0.1:9000,unix:/tmp/cmdstream.socket\n"
                "  $ cmdstream serve --shards 2 --cpus 2,3 --max-connections 50000\n"
                "  $ cmdstream serve --tls-cert server.pem --tls-key server.key --tls-ca ca.pem "
                "--tls-require-client-cert\n"
                "  $ cmdstream serve --metrics 127.0.0.1:9464 --admin unix:/run/calc/admin.sock\n\n"
                "Times are in ms unless their name says us; 4294967295: never.\n\n"
                "Exit status: 0 drained; 1 could not start, or say where it listens; 2 some calls "
                "did not end in time, or\n"
                "a bad option.\n",
        .options = serve_rows,
        .option_count = sizeof(serve_rows) / sizeof(serve_rows[0]),
};

struct serve {
    struct serve_options options;
    const struct cmds_codec *codec;
    struct cmds_bytes server_info;
    struct tool_service service;
    struct cmds_tls *tls; // NULL: plain.
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_admin *admin; // NULL: none.
    struct cmdi_tool_watchdog watchdog;
};

static int serve_start_runtime(struct serve *serve, struct cmds_error *error)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = serve->options.shards;
    options.cpus = serve->options.cpus;
    options.no_pinning = serve->options.no_pin;
    options.spin_us = cmdi_tool_spin(serve->options.spin_us);
    options.spin_always = serve->options.spin_always;
    options.pool_thread_count = serve->options.workers;
    options.memory_size_max = serve->options.max_memory;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    trace.span_count = serve->options.spans;
    options.trace = serve->options.spans > 0 ? &trace : NULL;
    cmdi_tool_log_into(&options, &serve->options.log);
    return cmds_runtime_start(&serve->runtime, &options, error);
}

static int serve_start_server(struct serve *serve, struct cmds_error *error)
{
    const struct serve_options *from = &serve->options;
    struct cmds_server_options options = tool_service_options(&serve->service);
    options.listen = from->listen;
    options.codec = serve->codec;
    options.server_info = serve->server_info;
    options.connection_count_max = from->max_connections;
    options.in_flight_max = from->max_in_flight;
    options.frame_size_max = from->max_frame;
    options.output_size_max = from->max_output;
    options.kept_size_max = from->max_kept;
    options.server_info_timeout_ms = from->server_info_timeout_ms;
    options.frame_timeout_ms = from->frame_timeout_ms;
    options.idle_timeout_ms = from->idle_timeout_ms;
    options.write_timeout_ms = from->write_timeout_ms;
    options.exec_timeout_ms = from->exec_timeout_ms;
    options.reuse_port = from->reuse_port;
    options.tls = serve->tls;
    return cmds_server_start(&serve->server, serve->runtime, &options, error);
}

/*
 * One line per address, in one write and flushed: a script may read it and connect.
 *
 * Returns: false if stdout does not take it; then nobody would know.
 */
static bool serve_announce(const struct serve *serve)
{
    char address[256];
    uint32_t shards = cmds_runtime_shard_count(serve->runtime);
    const char *tls = serve->tls == NULL                              ? ""
                      : serve->options.tls.require_client_certificate ? ", mutual TLS"
                                                                      : ", TLS";
    for (uint32_t i = 0; cmds_server_address(serve->server, i, address, sizeof(address)) == 0;
            i++) {
        printf("listening on %s (%u shard%s, io_uring, %s%s)\n", address, shards,
                shards == 1 ? "" : "s", serve->codec->name, tls);
    }
    tool_admin_announce(serve->admin);
    if (cmdi_tool_flush() < 0) {
        return false; // cmdi_tool_finish() says why.
    }
    (void)cmds_notify("READY=1"); // Nobody but systemd waits for it, and that will say so.
    if (serve->options.verbose) {
        char text[1024];
        (void)cmds_runtime_describe(serve->runtime, text, sizeof(text));
        cmdi_tool_say("cmdstream: %s", text);
    }
    return true;
}

static sigset_t serve_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

static void serve_reload(const struct serve *serve)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmdi_tool_tls_reload(serve->tls, &error);
    if (code < 0) {
        cmdi_tool_say("cmdstream serve: TLS: not reloaded, the certificates from before stay: %s",
                error.code < 0 ? error.text : cmds_error_text(code));
    } else if (!serve->options.quiet) {
        cmdi_tool_say(
                "cmdstream serve: TLS: reloaded; connections from now on get what the files hold");
    }
}

/* The next signal; between two of them systemd hears that the shards live. */
static int serve_signal(struct serve *serve, const sigset_t *signals)
{
    int number;
    do {
        uint32_t wait_ms = cmdi_tool_watchdog_look(&serve->watchdog, serve->runtime);
        struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};
        number = sigtimedwait(signals, NULL, wait_ms == CMDS_NEVER ? NULL : &wait);
    } while (number < 0); // Nothing came in that time, or another signal has interrupted it.
    return number;
}

/* Until the signal that ends it. */
static void serve_wait(struct serve *serve)
{
    sigset_t signals = serve_signals();
    if (serve->tls != NULL) {
        sigaddset(&signals, SIGHUP);
    }
    cmdi_tool_watchdog_init(&serve->watchdog);
    while (serve_signal(serve, &signals) == SIGHUP) {
        serve_reload(serve);
    }
}

static void *serve_second_signal(void *context)
{
    (void)context;
    sigset_t signals = serve_signals();
    int signal_number = 0;
    (void)sigwait(&signals, &signal_number);
    cmdi_tool_say("cmdstream serve: second signal, ended without waiting");
    _exit(TOOL_EXIT_USAGE); // 2: some calls did not end.
}

/* As cmds_server_shutdown(), of which a part is over whenever systemd is to hear that the shards live. */
static int serve_shut_down(struct serve *serve)
{
    uint64_t left_ms = serve->options.drain_ms;
    uint32_t wait_ms = 0;
    int code;
    do {
        wait_ms = cmdi_tool_watchdog_look(&serve->watchdog, serve->runtime);
        wait_ms = wait_ms < left_ms ? wait_ms : (uint32_t)left_ms;
        code = cmds_server_shutdown(serve->server, wait_ms);
        left_ms -= serve->options.drain_ms == CMDS_NEVER ? 0 : wait_ms;
    } while (code == CMDS_E_TIMEOUT && left_ms > 0);
    return code;
}

static int serve_drain(struct serve *serve)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_second_signal, NULL) == 0) {
        (void)pthread_detach(thread);
    }
    (void)cmds_notify("STOPPING=1");
    struct cmds_server_counters before = CMDS_SERVER_COUNTERS_INIT;
    struct cmds_server_counters after = CMDS_SERVER_COUNTERS_INIT;
    uint32_t connections = cmds_server_connection_count(serve->server);
    cmds_server_stats(serve->server, &before);
    int code = serve_shut_down(serve);
    uint32_t left = cmds_server_connection_count(serve->server);
    cmds_server_stats(serve->server, &after);

    if (code < 0 || !serve->options.quiet) {
        uint64_t commands = after.commands_received - before.commands_received;
        uint64_t results = after.results_sent - before.results_sent;
        cmdi_tool_say(
                "cmdstream serve: drained %u of %u connection%s; %llu command%s executed and %llu "
                "result%s sent meanwhile%s",
                left < connections ? connections - left : 0, connections,
                cmdi_tool_plural(connections), (unsigned long long)commands,
                cmdi_tool_plural(commands), (unsigned long long)results, cmdi_tool_plural(results),
                code == CMDS_E_TIMEOUT ? "; not ended in time: the rest"
                : code < 0             ? "; some were cut off before they had all results"
                                       : "");
    }
    return code < 0 ? TOOL_EXIT_USAGE : TOOL_EXIT_OK;
}

static int serve_run(struct serve *serve)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmdi_tool_tls_make_server(&serve->tls, &serve->options.tls, &error);
    code = code < 0 ? code : serve_start_runtime(serve, &error);
    code = code < 0 ? code : serve_start_server(serve, &error);
    code = code < 0 ? code
                    : tool_admin_open(&serve->admin, serve->runtime, &serve->options.admin, &error);
    int status = TOOL_EXIT_FAILED;
    if (code < 0) {
        fprintf(stderr, "cmdstream serve: %s\n",
                error.code < 0 ? error.text : cmds_error_text(code));
    } else if (serve_announce(serve)) {
        serve_wait(serve);
        status = serve_drain(serve);
    }
    cmds_server_close(serve->server);
    tool_admin_close(serve->admin);
    cmds_runtime_stop(serve->runtime);
    cmdi_tool_tls_free(serve->tls);
    return status;
}

static const struct tool_rule serve_rules[] = {
        {"cpus", "no-pin", false,
                "the one says where shards are pinned, the other that they are not"},
        {"quiet", "verbose", false, NULL},
        {"quiet", "log-level", false, NULL},
        {"verbose", "log-level", false, NULL},
};

/*
 * A number that was asked for must be possible; the default is taken as far as it goes, with a line
 * that says so.
 */
static bool serve_check_files(const struct serve_options *options)
{
    uint16_t cpus[TOOL_CPUS_MAX];
    uint32_t shards = options->shards > 0 ? options->shards : cmdi_tool_cpus(cpus, TOOL_CPUS_MAX);
    if (options->max_connections > 0) {
        return cmdi_tool_files_suffice("serve", options->max_connections, shards);
    }
    uint64_t limit = cmdi_tool_raise_nofile();
    uint64_t beside = cmdi_tool_files_needed(0, shards);
    if (limit < beside + TOOL_CONNECTIONS_DEFAULT && !options->quiet) {
        fprintf(stderr,
                "cmdstream serve: at most about %llu connections, not %d: the hard limit of open "
                "files is %llu (ulimit -Hn, LimitNOFILE=)\n",
                (unsigned long long)(limit > beside ? limit - beside : 0), TOOL_CONNECTIONS_DEFAULT,
                (unsigned long long)limit);
    }
    return true;
}

static int serve_check(struct serve *serve, const struct tool_line *line)
{
    const struct serve_options *options = &serve->options;
    if (!cmdi_tool_options_obey(&serve_command, "serve", line, serve_rules,
                sizeof(serve_rules) / sizeof(serve_rules[0]))) {
        return TOOL_EXIT_USAGE;
    }
    if (options->spin_always && options->spin_us == 0) {
        fprintf(stderr, "cmdstream serve: --spin-always does not go with --spin-us 0\n");
        return TOOL_EXIT_USAGE;
    }
    int status = cmdi_tool_tls_check_server(&serve_command, "serve", line, &options->tls);
    status = status == TOOL_PARSED
                     ? tool_admin_check(&serve_command, "serve", line, &options->admin)
                     : status;
    status = status == TOOL_PARSED ? cmdi_tool_log_check(&serve->options.log, "serve",
                                             options->quiet     ? CMDS_LOG_ERROR
                                             : options->verbose ? CMDS_LOG_DEBUG
                                                                : CMDS_LOG_WARN)
                                   : status;
    if (status != TOOL_PARSED) {
        return status;
    }
    serve->codec = cmdi_tool_codec_find("serve", options->codec);
    if (serve->codec == NULL ||
            !cmdi_tool_server_info("serve", options->server_info, &serve->server_info)) {
        return TOOL_EXIT_USAGE;
    }
    return serve_check_files(options) ? TOOL_PARSED : TOOL_EXIT_FAILED;
}

int tool_serve(int argc, char **argv)
{
    struct serve serve = {
            .options = {.listen = "127.0.0.1:9000", .spin_us = 100, .drain_ms = 10000},
    };
    struct tool_line line;
    int status = cmdi_tool_options_parse(&serve_command, argc, argv, &serve.options, &line);
    status = status == TOOL_PARSED ? serve_check(&serve, &line) : status;
    if (status != TOOL_PARSED) {
        return status;
    }
    serve.service.clock = cmdi_tool_clock_calibrate();
    serve.service.burn_ticks =
            tool_clock_from_ns(&serve.service.clock, serve.options.burn_us * 1000.0);
    serve.service.data_size_max = serve.options.max_frame > 0 ? serve.options.max_frame : 16U << 20;

    sigset_t signals = serve_signals();
    if (serve.options.tls.certificate != NULL) {
        sigaddset(&signals, SIGHUP); // Without TLS it ends a program, as ever.
    }
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return serve_run(&serve);
}
