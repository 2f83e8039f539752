/* SPDX-License-Identifier: MIT */
/*
 * A sender that lives through a restart of its server: connections that come back, pings, and a
 * circuit breaker that says no at once while the server is away.
 */
#include <stdio.h>
#include <time.h>

#include <cmdstream/cmdstream.h>

struct message {
    struct cmds_string text;
};
CMDS_COMMAND_IDEMPOTENT(message, 0, text);
struct echo {
    struct cmds_string text;
};
CMDS_RESULT(echo, 0, text);
static const struct cmds_type *const commands[] = {&message_type};
static const struct cmds_type *const results[] = {&echo_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("resilient", commands, results);

static int on_message(struct cmds_call *call, const struct message *message)
{
    struct echo echo = {message->text};
    return cmds_call_send(call, echo_message(&echo));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(message, on_message)};

static struct cmds_server *start_server(struct cmds_runtime *runtime, const char *address)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_server *server = NULL;
    options.listen = address;
    if (cmds_server_start(&server, runtime, &options, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    return server;
}

static void on_breaker(void *context, enum cmds_breaker_state state)
{
    static const char *const names[] = {"Closed", "HalfOpen", "Open"};
    (void)context;
    printf("Circuit breaker state changed to: %s\n", names[state]);
}

static int open_sender(
        struct cmds_sender **sender, struct cmds_breaker **breaker, const char *address)
{
    struct cmds_breaker_options breaker_options = CMDS_BREAKER_OPTIONS_INIT;
    breaker_options.window_size = 4;
    breaker_options.failure_rate = 0.5;
    breaker_options.open_ms = 1000;
    breaker_options.success_threshold = 1;
    breaker_options.on_state = on_breaker;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_breaker_new(breaker, &breaker_options, &error);
    if (code == 0) {
        struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
        group.breaker = *breaker;
        group.keepalive_ms = 1000;
        group.keepalive_interval_ms = 1000; // Reconnect is on by default.
        struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
        options.connect = address;
        options.client_count = 2;
        options.group = &group;
        code = cmds_sender_open(sender, &options, &error);
    }
    if (code < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    return code;
}

static void send_message(struct cmds_sender *sender, const char *text, uint32_t timeout_ms)
{
    struct message message = {cmds_string_from(text)};
    struct cmds_result *result = NULL;
    int code = cmds_sender_send(sender, message_message(&message), timeout_ms, &result, NULL);
    const struct echo *echo = echo_of(result);
    if (echo != NULL) {
        printf("Sending %s... Result: %.*s\n", text, CMDS_STRING_ARGS(echo->text));
    } else {
        printf("Sending %s... Error: %s\n", text,
                code == CMDS_E_NOT_ALLOWED ? "not allowed" : "no answer"); // Lost, or too late.
    }
    cmds_result_free(result);
}

/* The server ends, comes back at the same address, and has been back for a while. */
static void live_through_a_restart(struct cmds_runtime *runtime, struct cmds_server *server,
        struct cmds_sender *sender, const char *address)
{
    const struct timespec while_ago = {.tv_sec = 2};
    send_message(sender, "message1", 5000);
    printf("-- Closing server... --\n");
    cmds_server_close(server);
    send_message(sender, "message2", 100);
    send_message(sender, "message3", 100);
    send_message(sender, "message4", 100);
    printf("-- Starting server... --\n");
    (void)start_server(runtime, address);
    (void)nanosleep(&while_ago, NULL);
    send_message(sender, "message5", 5000);
}

int main(void)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_sender *sender = NULL;
    struct cmds_breaker *breaker = NULL;
    char address[64];
    runtime_options.shard_count = 1;
    if (cmds_runtime_start(&runtime, &runtime_options, NULL) < 0) {
        return 1;
    }
    printf("Starting server...\n");
    struct cmds_server *server = start_server(runtime, "127.0.0.1:0");
    int code = cmds_server_address(server, 0, address, sizeof(address));
    printf("Initializing sender and connecting...\n");
    code = code < 0 ? code : open_sender(&sender, &breaker, address);
    if (code >= 0) {
        live_through_a_restart(runtime, server, sender, address);
    }
    cmds_sender_close(sender, 1000);
    cmds_runtime_stop(runtime); // Closes the server.
    cmds_breaker_free(breaker);
    return code < 0;
}
