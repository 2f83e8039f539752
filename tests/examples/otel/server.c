/* SPDX-License-Identifier: MIT */
/*
 * A server whose metrics and spans go to an OpenTelemetry Collector: OTEL_EXPORTER_OTLP_ENDPOINT, or
 * http://localhost:4318. Without one it works all the same.
 */
#include <signal.h>
#include <stdio.h>

#include "calc.h"
#include <cmdstream/otel.h>

static int add(struct cmds_call *call, const struct calc_add *command)
{
    cmds_call_event(call, "adding"); // In the span, if somebody keeps this trace.
    struct calc_value value = {.value = command->a + command->b};
    return cmds_call_send(call, calc_value_message(&value));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, add)};

static int serve_until(struct cmds_server *server, const sigset_t *stop)
{
    char address[64];
    int number = 0;
    if (cmds_server_address(server, 0, address, sizeof(address)) == 0) {
        printf("listening on %s\n", address);
        (void)fflush(stdout);
    }
    (void)sigwait(stop, &number);
    return cmds_server_shutdown(server, 5000);
}

int main(int argc, char **argv)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_otel *otel = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.trace = &trace;
    struct cmds_otel_options otel_options = CMDS_OTEL_OPTIONS_INIT;
    otel_options.service_name = "calc-server";
    otel_options.on_log = cmds_log_stderr;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);

    int code = -1;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) == 0 &&
            cmds_otel_open(&otel, runtime, &otel_options, &error) == 0 &&
            cmds_server_start(&server, runtime, &options, &error) == 0) {
        code = serve_until(server, &stop);
    }
    if (code < 0) {
        fprintf(stderr, "calc: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_server_close(server);
    cmds_otel_close(otel, 5000); // Sends what is left, before what it reads is gone.
    cmds_runtime_stop(runtime);
    return code < 0;
}
