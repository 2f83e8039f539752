/* SPDX-License-Identifier: MIT */
/* A program whose job is to serve: on public functions, the clock, and the signals that end it. */
#include <stddef.h>

#include <cmdstream/runtime.h>
#include <cmdstream/server.h>

#include "base/time.h"
#include "conn/security.h"
#include "net/address.h"
#include "ring/clock.h"
#include "ring/output.h"
#include "ring/signals.h"

enum {
    MAIN_DRAIN_MS = 10000,
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
    bool done = tls->security->reload(tls, &error) == 0;
    cmdi_say(true, "TLS: %s%s",
            done ? "reloaded; connections from now on get what the files hold"
                 : "not reloaded, the certificates from before stay: ",
            error.text);
}

/* Waits for a signal to end, drains; a second signal ends the wait. */
static int main_serve(struct cmds_server *server, struct cmds_tls *tls)
{
    char address[CMDI_ADDRESS_TEXT_MAX];
    for (uint32_t i = 0; cmds_server_address(server, i, address, sizeof(address)) == 0; i++) {
        cmdi_say(false, "listening on %s", address);
    }
    while (!cmdi_stop_signals_wait(tls != NULL)) {
        main_reload(tls);
    }
    uint64_t until_ns = cmdi_now_ns() + cmdi_ms_to_ns(MAIN_DRAIN_MS);
    int code = CMDS_E_TIMEOUT;
    while (code == CMDS_E_TIMEOUT && cmdi_now_ns() < until_ns) {
        code = cmds_server_shutdown(server, 100);
        if (code == CMDS_E_TIMEOUT && cmdi_stop_signals_take()) {
            break;
        }
    }
    if (code == CMDS_E_TIMEOUT) {
        cmds_log_stderr(NULL, CMDS_LOG_WARN, "some calls had not ended: their connections are cut");
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
        status = main_serve(server, tls);
    } else {
        cmdi_say(true, "%s", error.text);
    }
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    return status;
}
