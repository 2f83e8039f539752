/* SPDX-License-Identifier: MIT */
/* A program whose job is to serve: on public functions, the clock, and the signals that end it. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmdstream/inspect.h>
#include <cmdstream/runtime.h>
#include <cmdstream/server.h>

#include "base/time.h"
#include "conn/security.h"
#include "net/address.h"
#include "ring/clock.h"
#include "ring/output.h"
#include "ring/signals.h"
#include "server/notify.h"

enum {
    MAIN_DRAIN_MS = 10000,
    MAIN_SLICE_MS = 100, // Of it, between two looks for a second signal.
    MAIN_STATUS_MAX = 1024,
    MAIN_LEFT_MAX = 64, // Connections that are looked at when they are cut off.
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

/* Says where it listens. That systemd did not hear it is no reason to end: it will say so itself. */
static void main_announce(const struct cmds_server *server)
{
    char address[CMDI_ADDRESS_TEXT_MAX];
    char status[MAIN_STATUS_MAX];
    int size = snprintf(status, sizeof(status), "READY=1\nSTATUS=listening");
    for (uint32_t i = 0; cmds_server_address(server, i, address, sizeof(address)) == 0; i++) {
        cmdi_say(false, "listening on %s", address);
        if (size + CMDI_ADDRESS_TEXT_MAX + 4 < MAIN_STATUS_MAX) {
            size += snprintf(status + size, sizeof(status) - (size_t)size, "%s %s",
                    i == 0 ? " on" : ",", address);
        }
    }
    (void)cmds_notify(status);
}

/* Returns: CMDS_E_TIMEOUT: some calls have not ended; 0, or as cmds_server_shutdown(). */
static int main_drain(struct cmds_server *server, const struct cmds_runtime *runtime,
        struct cmdi_watchdog *watchdog)
{
    char status[MAIN_STATUS_MAX];
    (void)snprintf(status, sizeof(status), "STOPPING=1\nSTATUS=draining, %u connections are open",
            cmds_server_connection_count(server));
    (void)cmds_notify(status);
    uint64_t until_ns = cmdi_now_ns() + cmdi_ms_to_ns(MAIN_DRAIN_MS);
    int code = CMDS_E_TIMEOUT;
    while (code == CMDS_E_TIMEOUT && cmdi_now_ns() < until_ns) {
        uint32_t wait_ms = cmdi_watchdog_look(watchdog, runtime, cmdi_now_ns());
        code = cmds_server_shutdown(server, wait_ms < MAIN_SLICE_MS ? wait_ms : MAIN_SLICE_MS);
        if (code == CMDS_E_TIMEOUT && cmdi_stop_signals_take()) {
            break;
        }
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
    static struct cmds_listed_connection list[MAIN_LEFT_MAX];
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

/* Waits for a signal to end, drains; a second signal ends the wait. */
static int main_serve(
        struct cmds_server *server, struct cmds_runtime *runtime, struct cmds_tls *tls)
{
    struct cmdi_watchdog watchdog;
    enum cmdi_stop_signal signal = CMDI_STOP_SIGNAL_NONE;
    main_announce(server);
    cmdi_watchdog_init(&watchdog, cmdi_now_ns());
    while (signal != CMDI_STOP_SIGNAL_END) {
        uint32_t wait_ms = cmdi_watchdog_look(&watchdog, runtime, cmdi_now_ns());
        signal = cmdi_stop_signals_wait(tls != NULL, wait_ms);
        if (signal == CMDI_STOP_SIGNAL_HANGUP) {
            main_reload(tls);
        }
    }
    int code = main_drain(server, runtime, &watchdog);
    if (code == CMDS_E_TIMEOUT) {
        main_say_left(runtime);
    } else if (code < 0) {
        cmds_log_stderr(NULL, CMDS_LOG_WARN, "a connection was cut off before it had all results");
    }
    return code < 0 ? 2 : 0;
}

int cmds_server_main(const struct cmds_server_options *options)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.on_log = cmds_log_stderr;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *tls = main_tls(options);
    cmdi_stop_signals_block(tls != NULL);
    int status = 1;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) == 0 &&
            cmds_server_start(&server, runtime, options, &error) == 0) {
        status = main_serve(server, runtime, tls);
    } else {
        cmdi_say(true, "%s", error.text);
    }
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    return status;
}
