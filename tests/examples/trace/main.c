/* SPDX-License-Identifier: MIT */
/*
 * A trace from a client through a service to the service behind it, and its spans as a tree. All of it
 * in one process, so that one runtime has all spans; cmdstream_otel would send them to a collector.
 */
#include <stdio.h>
#include <time.h>

#include "greet.h"

enum {
    SPANS = 4, // A send and an execution, twice.
    DEPTH_MAX = 8,
};

/* --- The service behind: it answers ------------------------------------------------------------- */

static int answer(struct cmds_call *call, const struct greet *greet)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "Hello, %.*s!", CMDS_STRING_ARGS(greet->name));
    cmds_call_event(call, "thought about it");
    struct greeting greeting = {cmds_string_from(text)};
    return cmds_call_send(call, greeting_message(&greeting));
}
static const struct cmds_exec answers[] = {CMDS_EXEC(greet, answer)};

/* --- The service in front: it asks the other one, and the trace goes along ----------------------- */

static void on_answer(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct greeting *greeting = greeting_of(result);
    if (greeting == NULL || cmds_call_send(call, greeting_message(greeting)) < 0) {
        cmds_call_fail(call, cmds_result_cause(result), NULL);
    }
}

static int ask(struct cmds_call *call, const struct greet *greet)
{
    struct cmds_group *behind = cmds_call_receiver(call);
    return cmds_group_forward(behind, greet_message(greet), NULL, call, on_answer, NULL);
}
static const struct cmds_exec asks[] = {CMDS_EXEC(greet, ask)};

/* --- Spans ---------------------------------------------------------------------------------------- */

static void print_tree(const struct cmds_span *spans, const uint8_t parent_id[8], int depth)
{
    for (int i = 0; i < SPANS && depth < DEPTH_MAX; i++) {
        const struct cmds_span *span = &spans[i];
        if (memcmp(span->parent_id, parent_id, sizeof(span->parent_id)) != 0) {
            continue;
        }
        printf("%*s%s %s", 2 * depth, "", span->kind == CMDS_SPAN_SERVER ? "Invoke" : "Send",
                span->type->schema->name);
        for (uint32_t k = 0; k < span->event_count; k++) {
            const struct cmds_span_event *event = &span->events[k];
            printf(", %s", event->number == 0 ? event->name : event->type->schema->name);
        }
        printf("\n");
        print_tree(spans, span->span_id, depth + 1);
    }
}

static void print_spans(struct cmds_runtime *runtime)
{
    static const uint8_t none[8] = {0};
    const struct timespec moment = {.tv_nsec = 1000 * 1000};
    struct cmds_span spans[SPANS];
    uint32_t count = 0;
    while (count < SPANS) { // They end just after their results.
        count += cmds_span_take(runtime, spans + count, SPANS - count);
        (void)nanosleep(&moment, NULL);
    }
    print_tree(spans, none, 0);
}

/* --- The client ------------------------------------------------------------------------------- */

static void print_greeting(void *context, const struct cmds_result *result)
{
    const struct greeting *greeting = greeting_of(result);
    (void)context;
    if (greeting != NULL) {
        printf("%.*s\n", CMDS_STRING_ARGS(greeting->text));
    } else {
        printf("no greeting: %s\n", result->text);
    }
}

static int greet_traced(struct cmds_group *front)
{
    static const struct cmds_trace new_trace = {.flags = 0}; // All zero: one that begins here.
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct greet greet = {CMDS_STRING("Ada")};
    how.trace = &new_trace;
    int code = cmds_group_send(front, greet_message(&greet), &how, print_greeting, NULL);
    return code < 0 ? code : cmds_group_drain(front, 5000);
}

static int serve(struct cmds_runtime *runtime, const struct cmds_exec *execs, void *receiver,
        struct cmds_server **server, struct cmds_group **group)
{
    char address[64];
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&greets, answers);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&greets);
    options.listen = "127.0.0.1:0";
    options.execs = execs;
    options.receiver = receiver;
    int code = cmds_server_start(server, runtime, &options, NULL);
    code = code < 0 ? code : cmds_server_address(*server, 0, address, sizeof(address));
    group_options.connect = address;
    code = code < 0 ? code : cmds_group_open(group, runtime, &group_options, NULL);
    return code < 0 ? code : cmds_group_wait(*group, 5000, NULL);
}

int main(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *servers[2] = {NULL, NULL};
    struct cmds_group *behind = NULL;
    struct cmds_group *front = NULL;
    options.shard_count = 1;
    options.trace = &trace;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    code = code < 0 ? code : serve(runtime, answers, NULL, &servers[0], &behind);
    code = code < 0 ? code : serve(runtime, asks, behind, &servers[1], &front);
    code = code < 0 ? code : greet_traced(front);
    if (code == 0) {
        print_spans(runtime);
    } else {
        fprintf(stderr, "trace: %s\n", cmds_error_text(code));
    }
    cmds_group_close(front, NULL, NULL);
    cmds_server_close(servers[1]);
    cmds_group_close(behind, NULL, NULL);
    cmds_server_close(servers[0]);
    cmds_runtime_stop(runtime);
    return code < 0;
}
