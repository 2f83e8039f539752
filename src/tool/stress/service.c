/* SPDX-License-Identifier: MIT */
/*
 * A server of the stress protocol, in this process, until a signal: SIGTERM or SIGINT drains.
 *
 * A command with a text that is not the one of its seed and number ends the process: somewhere a byte was
 * changed, and no later result may hide that.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "stress/generate.h"
#include "stress/protocol.h"
#include "stress/stress.h"

enum {
    SERVICE_RETRY_MS = 1,
    SERVICE_DRAIN_MS = 2000,
    SERVICE_CONNECTIONS_MAX = 4096,
    SERVICE_COUNT_MAX = 1 << 20,
};

static void service_wrong(int64_t number, const char *what)
{
    cmdi_tool_say("cmdstream stress: VERIFY: the server got command %lld with %s",
            (long long)number, what);
    _exit(STRESS_EXIT_WRONG_TEXT);
}

/* A delay that is over: of a call that is still wanted. Returns: it is to be tried again. */
static bool service_again(struct cmds_call *call, int code, cmds_call_fn fn)
{
    if (code == -ENOBUFS) {
        code = cmds_call_after(call, SERVICE_RETRY_MS, fn);
        if (code == 0) {
            return true;
        }
    }
    if (code < 0 && code != CMDS_E_GONE) {
        cmds_call_fail(call, code, "the result could not be sent");
    }
    return false;
}

static uint32_t service_delay(int64_t ms)
{
    return ms < 0 ? 0 : ms > 60000 ? 60000 : (uint32_t)ms;
}

/* --- Echo -------------------------------------------------------------------------------------- */

static int service_echo_answer(struct cmds_call *call, const struct stress_echo *echo)
{
    struct stress_echoed result = {echo->number, echo->text};
    return cmds_call_send(call, stress_echoed_message(&result));
}

static void service_echo_over(struct cmds_call *call)
{
    (void)service_again(call, service_echo_answer(call, stress_echo_of(call)), service_echo_over);
}

static int service_echo(struct cmds_call *call, const struct stress_echo *echo)
{
    uint64_t key = stress_random((uint64_t)echo->seed, (uint64_t)echo->number, STRESS_TEXT);
    if (!stress_is(echo->text.data, echo->text.size, key)) {
        service_wrong(echo->number, "a text that its client did not send");
    }
    if (echo->delay_ms <= 0) {
        int code = service_echo_answer(call, echo);
        return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
    }
    int code = cmds_call_keep_command(call);
    return code < 0 ? code
                    : cmds_call_after(call, service_delay(echo->delay_ms), service_echo_over);
}

/* --- Stream ------------------------------------------------------------------------------------ */

/* The next item; the call's context is its index. */
static int service_stream_item(struct cmds_call *call, const struct stress_stream *stream)
{
    char text[STRESS_TEXT_MAX];
    int64_t index = (int64_t)(intptr_t)cmds_call_context(call);
    uint64_t seed = (uint64_t)stream->seed, number = (uint64_t)stream->number;
    size_t size = stress_item_size(seed, number, (uint64_t)index, (size_t)stream->size);
    stress_write(text, size, stress_random(seed, number, STRESS_TEXT + (uint64_t)index));
    struct stress_item item = {stream->number, index, index == stream->count - 1, {text, size}};
    int code = cmds_call_send(call, stress_item_message(&item));
    if (code == 0) {
        cmds_call_set_context(call, (void *)(intptr_t)(index + 1));
    }
    return code;
}

static int64_t service_stream_left(struct cmds_call *call, const struct stress_stream *stream)
{
    return stream->count - (int64_t)(intptr_t)cmds_call_context(call);
}

static void service_stream_next(struct cmds_call *call)
{
    const struct stress_stream *stream = stress_stream_of(call);
    int code = service_stream_item(call, stream);
    if (code < 0) {
        (void)service_again(call, code, service_stream_next);
    } else if (service_stream_left(call, stream) > 0) {
        code = cmds_call_after(
                call, service_delay(stream->delay_ms / stream->count), service_stream_next);
        (void)service_again(call, code, service_stream_next);
    }
}

static int service_stream(struct cmds_call *call, const struct stress_stream *stream)
{
    if (stream->count <= 0 || stream->count > SERVICE_COUNT_MAX || stream->size < 0 ||
            stream->size > STRESS_TEXT_MAX) {
        service_wrong(stream->number, "numbers that its client did not send");
    }
    if (stream->delay_ms > 0) {
        int code = cmds_call_keep_command(call);
        return code < 0 ? code
                        : cmds_call_after(call, service_delay(stream->delay_ms / stream->count),
                                  service_stream_next);
    }
    int code = 0;
    while (code == 0 && service_stream_left(call, stream) > 0) {
        code = service_stream_item(call, stream);
    }
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

/* --- Fail -------------------------------------------------------------------------------------- */

static void service_fail_over(struct cmds_call *call)
{
    cmds_call_fail(call, -EIO, "asked for");
}

static int service_fail(struct cmds_call *call, const struct stress_fail *fail)
{
    return fail->delay_ms <= 0
                   ? -EIO
                   : cmds_call_after(call, service_delay(fail->delay_ms), service_fail_over);
}

static const struct cmds_exec service_execs[] = {
        CMDS_EXEC(stress_echo, service_echo),
        CMDS_EXEC(stress_stream, service_stream),
        CMDS_EXEC(stress_fail, service_fail),
};

/* --- The server -------------------------------------------------------------------------------- */

static int service_start(const struct stress *stress, struct cmds_runtime **runtime,
        struct cmds_server **server, struct cmds_tls **tls, struct cmds_error *error)
{
    int code = cmdi_tool_tls_make_server(tls, &stress->options.tls, error);
    if (code < 0) {
        return code;
    }
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = stress->options.server_shards;
    options.no_pinning = true;
    options.spin_us = CMDS_SPIN_OFF;
    options.on_log = cmdi_tool_log_line;
    options.log_context = (void *)(uintptr_t)&stress->log_level;
    code = cmds_runtime_start(runtime, &options, error);
    if (code < 0) {
        return code;
    }
    struct cmds_server_options serve = CMDS_SERVER_OPTIONS_INIT(&stress_protocol, service_execs);
    serve.listen = stress->options.serve;
    serve.codec = stress->codec;
    serve.connection_count_max = SERVICE_CONNECTIONS_MAX;
    serve.tls = *tls;
    return cmds_server_start(server, *runtime, &serve, error);
}

static bool service_announce(const struct stress *stress, const struct cmds_server *server)
{
    char address[TOOL_CHILD_ADDRESS_SIZE];
    int code = cmds_server_address(server, 0, address, sizeof(address));
    if (code == 0) {
        printf("listening on %s (stress, %s%s)\n", address, stress->codec->name,
                stress->options.tls.certificate != NULL ? ", TLS" : "");
    }
    return code == 0 && cmdi_tool_flush() == 0;
}

int stress_serve_here(const struct stress *stress)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int status = TOOL_EXIT_FAILED;
    int code = service_start(stress, &runtime, &server, &tls, &error);
    if (code < 0) {
        cmdi_tool_say("cmdstream stress: %s", error.code < 0 ? error.text : cmds_error_text(code));
    } else if (service_announce(stress, server)) {
        int number = 0;
        (void)sigwait(&signals, &number);
        // A client behind a proxy may be as slow as it likes, and is cut off for it.
        bool is_late = cmds_server_shutdown(server, SERVICE_DRAIN_MS) == CMDS_E_TIMEOUT;
        status = is_late ? TOOL_EXIT_USAGE : TOOL_EXIT_OK;
    }
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    cmdi_tool_tls_free(tls);
    return status;
}
