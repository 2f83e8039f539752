/* SPDX-License-Identifier: MIT */
/*
 * Our side of the interop test of traces; tests/interop/trace has the one in Go.
 *
 *     interop_trace serve CODEC             prints a line for each command: the context that it came with
 *     interop_trace relay CODEC ADDRESS     the same, and forwards it; spans as they end, at the end
 *     interop_trace send CODEC ADDRESS      sends one command of each kind, and prints the same of each
 *     interop_trace fail CODEC ADDRESS      sends commands that fail, and prints the error results
 */
#include <cmdstream/cmdstream.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/traced.h"
#include "tool/common.h"

enum {
    PAIRS_SIZE = 1024,
    WAIT_MS = 20000,
    SPANS_MAX = 256,
};

struct total {
    int64_t value;
};
struct oops {
    int64_t code;
    struct cmds_string text;
};
CMDS_RESULT(total, 0, CMDS_AS(value, "Value"));
CMDS_RESULT_ERROR(oops, 9, CMDS_AS(code, "Code"), CMDS_AS(text, "Text"));
static const struct cmds_type *const commands[] = {&sum_type, &sum_traced_type};
static const struct cmds_type *const results[] = {&total_type, &oops_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("trace", commands, results);

struct peer {
    const struct cmds_codec *codec;
    struct cmds_runtime *runtime;
    struct cmds_group *group;
};

static void fail(const char *what, int code, const struct cmds_error *error)
{
    (void)fprintf(stderr, "%s: %s%s%s\n", what, cmds_error_name(code),
            error != NULL && error->code != 0 ? ": " : "", error != NULL ? error->text : "");
    exit(1);
}

static void hex(char *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    }
}

/* As Go's side says it. */
static void say(const char *verb, int64_t number, const struct cmds_trace *trace)
{
    char trace_id[33];
    char span_id[17];
    if (trace == NULL) {
        (void)printf("%s %lld none\n", verb, (long long)number);
        return;
    }
    hex(trace_id, trace->trace_id, sizeof(trace->trace_id));
    hex(span_id, trace->span_id, sizeof(trace->span_id));
    (void)printf("%s %lld %s %s %02x state=%.*s baggage=%.*s others=0\n", verb, (long long)number,
            trace_id, span_id, (unsigned)trace->flags, CMDS_STRING_ARGS(trace->state),
            CMDS_STRING_ARGS(trace->baggage));
}

/* --- Servers ---------------------------------------------------------------------------------- */

static int serve_sum(struct cmds_call *call, const struct sum *sum)
{
    struct total total = {sum->A + sum->B};
    if (sum->A < 0) {
        char text[256] = "no such thing, ";
        for (int64_t i = 0; i < sum->B; i++) {
            (void)strcat(text, "\xc3\xa9");
        }
        cmds_call_fail(call, (int)sum->A, text);
        return 0;
    }
    say("got", sum->A, cmds_call_trace(call));
    return cmds_call_send(call, total_message(&total));
}

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct total *total = total_of(result);
    if (total == NULL || cmds_call_send(call, total_message(total)) < 0) {
        cmds_call_fail_as(call, result);
    }
}

static int relay_sum(struct cmds_call *call, const struct sum *sum)
{
    struct peer *peer = cmds_call_receiver(call);
    return cmds_group_forward(peer->group, sum_message(sum), NULL, call, on_forwarded, NULL);
}

static void print_spans(struct cmds_runtime *runtime)
{
    static struct cmds_span spans[SPANS_MAX];
    uint32_t count = cmds_span_take(runtime, spans, SPANS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        char ids[3][33];
        hex(ids[0], spans[i].trace_id, sizeof(spans[i].trace_id));
        hex(ids[1], spans[i].span_id, sizeof(spans[i].span_id));
        hex(ids[2], spans[i].parent_id, sizeof(spans[i].parent_id));
        (void)printf("span %s %s %s %s\n", spans[i].kind == CMDS_SPAN_SERVER ? "server" : "client",
                ids[0], ids[1], ids[2]);
    }
}

static void wait_for_signal(void)
{
    sigset_t signals;
    int signal_number = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)sigwait(&signals, &signal_number);
}

/* With an address: a relay, which records spans. */
static void serve(struct peer *peer, bool relays)
{
    const struct cmds_exec own[] = {CMDS_EXEC(sum, serve_sum)};
    const struct cmds_exec on[] = {CMDS_EXEC(sum, relay_sum)};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, own);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_server *server = NULL;
    char address[128];
    options.execs = relays ? on : own;
    options.listen = "127.0.0.1:0";
    options.codec = peer->codec;
    options.receiver = peer;
    int code = cmds_server_start(&server, peer->runtime, &options, &error);
    if (code < 0 || (code = cmds_server_address(server, 0, address, sizeof(address))) < 0) {
        fail("serve", code, &error);
    }
    (void)printf("listening on %s\n", address);
    (void)fflush(stdout);
    wait_for_signal();
    cmds_server_close(server);
}

/* --- The client ------------------------------------------------------------------------------- */

static struct cmds_trace contexts[5];
static char pairs[PAIRS_SIZE];

static void make_contexts(void)
{
    for (size_t i = 0; i < sizeof(contexts) / sizeof(*contexts); i++) {
        contexts[i].trace_id[0] = 0x0c;
        contexts[i].trace_id[15] = (uint8_t)(i + 1);
        contexts[i].span_id[0] = 0xc0;
        contexts[i].span_id[7] = (uint8_t)(i + 1);
        contexts[i].flags = i % 2 == 0;
    }
    contexts[2].state = cmds_string_from("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    contexts[2].baggage = cmds_string_from("user=alice");
    contexts[3].state = cmds_string_from("tenant@system=1");
    for (size_t used = 0; used < 300; used = strlen(pairs)) {
        (void)snprintf(pairs + used, sizeof(pairs) - used, "%sk%zu=v", used > 0 ? "," : "", used);
    }
    contexts[4].baggage = cmds_string_from(pairs);
}

static void on_result(void *context, const struct cmds_result *result)
{
    const int64_t *number = context;
    if (total_of(result) == NULL || total_of(result)->value != *number + 100) {
        fail("result", cmds_result_cause(result), NULL);
    }
}

static void send_all(struct peer *peer)
{
    const int64_t count = (int64_t)(sizeof(contexts) / sizeof(*contexts));
    make_contexts();
    for (int64_t i = 0; i <= count; i++) {
        struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
        struct sum sum = {i, 100};
        how.trace = i < count ? &contexts[i] : NULL;
        if (how.trace != NULL) {
            say("sent", i, how.trace);
        } else {
            (void)printf("sent %lld plain\n", (long long)i);
        }
        int code = cmds_group_send(peer->group, sum_message(&sum), &how, on_result, &i);
        code = code < 0 ? code : cmds_group_drain(peer->group, WAIT_MS);
        if (code < 0) {
            fail("send", code, NULL);
        }
    }
}

static void on_failed(void *context, const struct cmds_result *result)
{
    const struct oops *oops = oops_of(result);
    const struct total *total = total_of(result);
    (void)context;
    if (oops != NULL && result->is_error) {
        (void)printf("failed %lld %.*s\n", (long long)oops->code, CMDS_STRING_ARGS(oops->text));
    } else if (total != NULL) {
        (void)printf("answered %lld\n", (long long)total->value);
    } else {
        fail("result", cmds_result_cause(result), NULL);
    }
}

static void fail_all(struct peer *peer)
{
    static const struct sum sums[] = {{-1, 0}, {-70000, 3}, {-2, 80}, {1, 2}};
    for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
        int code = cmds_group_send(peer->group, sum_message(&sums[i]), NULL, on_failed, NULL);
        code = code < 0 ? code : cmds_group_drain(peer->group, WAIT_MS);
        if (code < 0) {
            fail("send", code, NULL);
        }
    }
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool fails = strcmp(verb, "fail") == 0;
    bool sends = fails || strcmp(verb, "send") == 0;
    bool relays = strcmp(verb, "relay") == 0;
    struct peer peer = {.codec = argc > 2 ? cmdi_tool_codec_find("trace", argv[2]) : NULL};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    sigset_t signals;
    if (peer.codec == NULL || argc != (sends || relays ? 4 : 3)) {
        (void)fprintf(stderr,
                "usage: %s serve CODEC | relay CODEC ADDRESS | send|fail CODEC ADDRESS\n", argv[0]);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    options.shard_count = 2;
    trace.root_ratio = -1;
    options.trace = relays ? &trace : NULL;
    int code = cmds_runtime_start(&peer.runtime, &options, &error);
    if (code == 0 && argc == 4) {
        struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&protocol);
        group_options.connect = argv[3];
        group_options.codec = peer.codec;
        code = cmds_group_open(&peer.group, peer.runtime, &group_options, &error);
        code = code < 0 ? code : cmds_group_wait(peer.group, WAIT_MS, &error);
    }
    if (code < 0) {
        fail(verb, code, &error);
    }
    if (fails) {
        fail_all(&peer);
    } else if (sends) {
        send_all(&peer);
    } else {
        serve(&peer, relays);
    }
    cmds_group_close(peer.group, NULL, NULL);
    print_spans(peer.runtime);
    cmds_runtime_stop(peer.runtime);
    return 0;
}
