/* SPDX-License-Identifier: MIT */
/*
 * A server inside an epoll loop that is already there: the runtime is one of its descriptors, a
 * signal is another.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "echo.h"

static int say(struct cmds_call *call, const struct echo_say *command)
{
    struct echo_said said = {command->text};
    return cmds_call_send(call, echo_said_message(&said));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(echo_say, say)};

static int loop(int epoll, struct cmds_runtime *runtime)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = runtime}};
    int code = epoll_ctl(epoll, EPOLL_CTL_ADD, cmds_runtime_fd(runtime), &event);
    bool stopping = false;
    while (code >= 0 && !stopping) {
        struct epoll_event events[64];
        while ((code = cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT)) > 0) {
            // Before every sleep, until nothing is left.
        }
        int count = code < 0 ? 0 : epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            stopping = stopping || events[i].data.ptr != runtime; // The signal.
        }
    }
    return code;
}

int main(int argc, char **argv)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = CMDS_SHARDS_INLINE;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&echo, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_error error = CMDS_ERROR_INIT;
    char address[64];
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int signals = signalfd(-1, &stop, SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};
    int code = epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event);
    if (code == 0) {
        code = cmds_runtime_start(&runtime, &runtime_options, &error);
    }
    if (code == 0) {
        code = cmds_server_start(&server, runtime, &options, &error);
    }
    if (code == 0 && cmds_server_address(server, 0, address, sizeof(address)) == 0) {
        printf("listening on %s\n", address);
        (void)fflush(stdout);
        code = loop(epoll, runtime);
        code = code < 0 ? code : cmds_server_shutdown(server, 5000);
    }
    if (code < 0) {
        fprintf(stderr, "epoll: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    (void)close(signals);
    (void)close(epoll);
    return code < 0;
}
