/* SPDX-License-Identifier: MIT */
/* A program whose job is to serve: on public functions, the clock, and the signals that end it. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmdstream/inspect.h>
#include <cmdstream/runtime.h>
#include <cmdstream/server.h>

#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "conn/security.h"
#include "net/address.h"
#include "ring/clock.h"
#include "ring/output.h"
#include "ring/signals.h"
#include "server/notify.h"
#include "server/overdue.h"

enum {
    MAIN_DRAIN_MS = 10000,
    MAIN_SLICE_MS = 100, // Of it, between two looks for a second signal.
    MAIN_STATUS_MAX = 1024,
    MAIN_LEFT_MAX = 64, // Connections that are looked at when they are cut off.
    /* What a main returns. */
    MAIN_NOT_STARTED = 1,
    MAIN_CUT = 2,
};

struct main_run {
    struct cmds_main_options options; // Defaults filled in.
    struct cmds_tls *tls;             // NULL: none.
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmdi_watchdog watchdog;
    struct cmdi_overdue overdue;
};

/* Of a program of any version: an older one's options end before it. */
static struct cmds_tls *main_tls(const struct cmds_server_options *options)
{
    size_t end = offsetof(struct cmds_server_options, tls) + sizeof(options->tls);
    return options->struct_size >= end ? options->tls : NULL;
}

static void main_reload(struct cmds_tls *tls)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    char text[64];
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
            (unsigned long long)(cmdi_now_ns() / CMDI_NS_PER_US));
    (void)cmds_notify(text);
    bool done = tls->security->reload(tls, &error) == 0;
    cmdi_say(true, "TLS: %s%s",
            done ? "reloaded; connections from now on get what the files hold"
                 : "not reloaded, the certificates from before stay: ",
            error.text);
    (void)cmds_notify("READY=1");
}

/* --- Serving ------------------------------------------------------------------------------------ */

/* Says where it listens. That systemd did not hear it is no reason to end: it will say so itself. */
static void main_announce(const struct main_run *run)
{
    char address[CMDI_ADDRESS_TEXT_MAX];
    char status[MAIN_STATUS_MAX];
    int size = snprintf(status, sizeof(status), "READY=1\nSTATUS=listening");
    for (uint32_t i = 0; cmds_server_address(run->server, i, address, sizeof(address)) == 0; i++) {
        if (!run->options.quiet) {
            cmdi_say(false, "listening on %s", address);
        }
        if (size + CMDI_ADDRESS_TEXT_MAX + 4 < MAIN_STATUS_MAX) {
            size += snprintf(status + size, sizeof(status) - (size_t)size, "%s %s",
                    i == 0 ? " on" : ",", address);
        }
    }
    (void)cmds_notify(status);
}

/* Says so, and lets the program end what would hold it up. */
static void main_begin_drain(struct main_run *run)
{
    char status[MAIN_STATUS_MAX];
    uint32_t count = cmds_server_connection_count(run->server);
    (void)snprintf(status, sizeof(status), "STOPPING=1\nSTATUS=draining, %u connection%s open",
            count, count == 1 ? " is" : "s are");
    (void)cmds_notify(status);
    if (run->options.on_drain != NULL) {
        run->options.on_drain(run->options.context, run->server);
    }
}

/* Returns: CMDS_E_TIMEOUT: some calls have not ended; 0, or as cmds_server_shutdown(). */
static int main_drain(struct main_run *run, uint64_t until_ns)
{
    int code = CMDS_E_TIMEOUT;
    bool is_over = false;
    while (code == CMDS_E_TIMEOUT && !is_over) {
        uint64_t now_ns = cmdi_now_ns();
        cmdi_overdue_beat(&run->overdue, now_ns);
        uint64_t left_ms = now_ns < until_ns ? cmdi_ns_to_ms_up(until_ns - now_ns) : 0;
        is_over = left_ms == 0; // Once all the same: on_drain may have taken all the time.
        uint32_t wait_ms = cmdi_watchdog_look(&run->watchdog, run->runtime, now_ns);
        wait_ms = wait_ms < MAIN_SLICE_MS ? wait_ms : MAIN_SLICE_MS;
        wait_ms = left_ms < wait_ms ? (uint32_t)left_ms : wait_ms;
        code = cmds_server_shutdown(run->server, wait_ms);
        is_over = is_over || (code == CMDS_E_TIMEOUT && cmdi_stop_signals_take());
    }
    return code;
}

/* Adds what is true of some connections, behind what was said of others. */
static void main_add_left(char *text, size_t size, uint32_t count, const char *what)
{
    size_t used = strlen(text);
    if (count > 0) {
        (void)snprintf(text + used, size - used, "%s %u %s", used > 0 ? "," : "", count, what);
    }
}

/* What is cut off when the time is over: calls, results on their way, or peers that do not leave. */
static void main_say_left(struct cmds_runtime *runtime)
{
    struct cmds_listed_connection list[MAIN_LEFT_MAX];
    struct cmds_listed_call oldest = CMDS_LISTED_CALL_INIT;
    char text[MAIN_STATUS_MAX] = "", line[MAIN_STATUS_MAX + MAIN_STATUS_MAX];
    uint32_t calls = 0, results = 0, peers = 0;
    size_t count = 0, call_count = 0;
    list[0].struct_size = sizeof(list[0]);
    (void)cmds_runtime_connections(runtime, list, MAIN_LEFT_MAX, &count);
    (void)cmds_runtime_calls(runtime, &oldest, 1, &call_count);
    for (size_t i = 0; i < count && i < MAIN_LEFT_MAX; i++) {
        bool is_ours = list[i].side == CMDS_SIDE_SERVER;
        calls += is_ours && list[i].in_flight > 0;
        results += is_ours && list[i].in_flight == 0 && list[i].stage < CMDS_STAGE_LINGERING;
        peers += is_ours && list[i].in_flight == 0 && list[i].stage >= CMDS_STAGE_LINGERING;
    }
    main_add_left(text, sizeof(text), calls, "with calls that have not ended");
    main_add_left(text, sizeof(text), results, "whose peers have not taken all results");
    main_add_left(text, sizeof(text), peers, "whose peers got everything and have not closed");
    (void)snprintf(line, sizeof(line), "connections are cut:%s%s", text[0] != '\0' ? text : " some",
            count > MAIN_LEFT_MAX ? ", and more" : "");
    if (calls > 0 && call_count > 0) {
        size_t used = strlen(line);
        (void)snprintf(line + used, sizeof(line) - used, "; the oldest call: %s of %s, %llu ms old",
                oldest.type, oldest.peer, (unsigned long long)(oldest.age_us / 1000));
    }
    cmds_log_stderr(NULL, CMDS_LOG_WARN, line);
}

/* Waits for a signal to end, drains; a second signal ends the wait. Returns: as main. */
static int main_serve(struct main_run *run)
{
    enum cmdi_stop_signal signal = CMDI_STOP_SIGNAL_NONE;
    main_announce(run);
    cmdi_watchdog_init(&run->watchdog, cmdi_now_ns());
    if (run->options.on_started != NULL) {
        run->options.on_started(run->options.context, run->server);
    }
    while (signal != CMDI_STOP_SIGNAL_END) {
        uint32_t wait_ms = cmdi_watchdog_look(&run->watchdog, run->runtime, cmdi_now_ns());
        signal = cmdi_stop_signals_wait(run->tls != NULL, wait_ms);
        if (signal == CMDI_STOP_SIGNAL_HANGUP) {
            main_reload(run->tls);
        }
    }
    uint64_t until_ns = run->options.drain_timeout_ms == CMDS_NEVER
                                ? UINT64_MAX
                                : cmdi_now_ns() + cmdi_ms_to_ns(run->options.drain_timeout_ms);
    cmdi_overdue_begin(&run->overdue, run->runtime, until_ns, MAIN_CUT);
    main_begin_drain(run);
    int code = main_drain(run, until_ns);
    cmdi_overdue_is_due(&run->overdue);
    if (code == CMDS_E_TIMEOUT) {
        main_say_left(run->runtime);
    } else if (code < 0) {
        cmds_log_stderr(NULL, CMDS_LOG_WARN, "a connection was cut off before it had all results");
    }
    return code < 0 ? MAIN_CUT : 0;
}

/* --- Beginning ---------------------------------------------------------------------------------- */

static int main_take_options(struct cmds_main_options *mine,
        const struct cmds_main_options *options, struct cmds_error *error)
{
    *mine = (struct cmds_main_options)CMDS_MAIN_OPTIONS_INIT;
    int code = options != NULL
                       ? cmdi_options_take(mine, sizeof(*mine), options, "cmds_main_options", error)
                       : 0;
    code = code < 0 ? code
                    : cmdi_unused_check(mine->unused | mine->unused2 | mine->unused3,
                              "cmds_main_options", error);
    if (code == 0) {
        cmdi_default(&mine->drain_timeout_ms, MAIN_DRAIN_MS);
    }
    return code;
}

static int main_start_runtime(struct main_run *run, struct cmds_error *error)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    const struct cmds_runtime_options *theirs = run->options.runtime;
    int code = theirs != NULL ? cmdi_options_take(&options, sizeof(options), theirs,
                                        "cmds_runtime_options", error)
                              : 0;
    if (code < 0) {
        return code;
    }
    options.struct_size = sizeof(options);
    if (options.shard_count == CMDS_SHARDS_INLINE) {
        return cmdi_fail(error, -EINVAL,
                "shard_count CMDS_SHARDS_INLINE: cmds_server_run() waits for signals, and turns "
                "nothing");
    }
    if (options.on_log == NULL && options.on_record == NULL) {
        options.on_log = cmds_log_stderr;
    }
    return cmds_runtime_start(&run->runtime, &options, error);
}

static int main_on_start(struct main_run *run, struct cmds_error *error)
{
    if (run->options.on_start == NULL) {
        return 0;
    }
    int code = run->options.on_start(run->options.context, run->runtime, error);
    if (code < 0 && error->text[0] == '\0') {
        (void)cmdi_fail(error, code, "on_start failed: %s", cmds_error_text(code));
    }
    return code;
}

/* With a runtime. Returns: as main; 1: why is in `error`. */
static int main_with_runtime(
        struct main_run *run, const struct cmds_server_options *options, struct cmds_error *error)
{
    int status = MAIN_NOT_STARTED;
    if (main_on_start(run, error) < 0) {
        return status;
    }
    if (cmds_server_start(&run->server, run->runtime, options, error) == 0) {
        status = main_serve(run);
    }
    cmds_server_close(run->server);
    if (run->options.on_stop != NULL) {
        run->options.on_stop(run->options.context, run->runtime);
    }
    cmdi_overdue_end(&run->overdue);
    return status;
}

int cmds_server_run(
        const struct cmds_server_options *options, const struct cmds_main_options *main_options)
{
    struct main_run run = {.tls = main_tls(options)};
    struct cmds_error error = CMDS_ERROR_INIT;
    int status = MAIN_NOT_STARTED;
    cmdi_stop_signals_block(run.tls != NULL);
    if (main_take_options(&run.options, main_options, &error) == 0 &&
            main_start_runtime(&run, &error) == 0) {
        status = main_with_runtime(&run, options, &error);
    }
    if (status == MAIN_NOT_STARTED) {
        cmdi_say(true, "%s", error.text);
    }
    cmds_runtime_stop(run.runtime);
    return status;
}

int cmds_server_main(const struct cmds_server_options *options)
{
    return cmds_server_run(options, NULL);
}
