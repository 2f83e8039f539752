/* SPDX-License-Identifier: MIT */
/*
 * A service that asks itself, with spans and pages, for tests of /spans. Its first line on stdout is where the
 * pages are. For each line of stdin, "HOPS TEXT", it sends one command that goes through so many services, writes
 * TEXT into the spans, as a program does with what a stranger sends, and says "over" on stdout. It exports what it
 * counts if OTEL_EXPORTER_OTLP_ENDPOINT is set.
 */
#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/admin.h>
#include <cmdstream/cmdstream.h>
#ifdef TRACED_OTEL
#include <cmdstream/otel.h>
#endif

enum {
    PATIENCE_MS = 60000,
};

struct visit {
    int64_t hops;
    struct cmds_string text;
};
struct visited {
    int64_t hops;
};
CMDS_COMMAND(visit, 0, hops, text);
CMDS_TRACED(visit_traced, 100, visit);
CMDS_RESULT(visited, 0, hops);
static const struct cmds_type *const commands[] = {&visit_type, &visit_traced_type};
static const struct cmds_type *const results[] = {&visited_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("visits", commands, results);

struct traced {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    struct cmds_admin *admin;
    struct cmds_otel *otel;
};

static void on_visited(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct visited *visited = visited_of(result);
    if (visited == NULL || cmds_call_send(call, visited_message(visited)) < 0) {
        cmds_call_fail(call, cmds_result_cause(result), NULL);
    }
}

static int on_visit(struct cmds_call *call, const struct visit *visit)
{
    const struct traced *traced = cmds_call_receiver(call);
    struct cmds_span *span = cmds_call_span(call);
    if (span != NULL) {
        cmds_span_set(span, "visit.text", visit->text);
    }
    if (visit->hops <= 0) {
        struct visited visited = {visit->hops};
        cmds_call_event(call, "is there");
        return cmds_call_send(call, visited_message(&visited));
    }
    struct visit next = {visit->hops - 1, visit->text};
    cmds_call_event(call, "goes on");
    return cmds_group_forward(traced->group, visit_message(&next), NULL, call, on_visited, NULL);
}
static const struct cmds_exec execs[] = {CMDS_EXEC(visit, on_visit)};

static int traced_export(struct traced *traced)
{
#ifdef TRACED_OTEL
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    options.no_traces = true; // The pages show them.
    return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != NULL
                   ? cmds_otel_open(&traced->otel, traced->runtime, &options, NULL)
                   : 0;
#else
    (void)traced;
    return 0;
#endif
}

static void traced_end_export(struct traced *traced)
{
#ifdef TRACED_OTEL
    cmds_otel_close(traced->otel, 0);
#else
    (void)traced;
#endif
}

static int traced_start(struct traced *traced)
{
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_admin_options admin = CMDS_ADMIN_OPTIONS_INIT;
    char address[128];
    runtime.shard_count = 2;
    runtime.trace = &trace;
    server.listen = "127.0.0.1:0";
    server.receiver = traced;
    group.connect = address;
    admin.admin = "127.0.0.1:0";
    admin.allow_changes = true;
    int code = cmds_runtime_start(&traced->runtime, &runtime, NULL);
    code = code < 0 ? code : cmds_server_start(&traced->server, traced->runtime, &server, NULL);
    code = code < 0 ? code : cmds_server_address(traced->server, 0, address, sizeof(address));
    code = code < 0 ? code : cmds_group_open(&traced->group, traced->runtime, &group, NULL);
    code = code < 0 ? code : cmds_group_wait(traced->group, PATIENCE_MS, NULL);
    code = code < 0 ? code : traced_export(traced);
    code = code < 0 ? code : cmds_admin_open(&traced->admin, traced->runtime, &admin, NULL);
    code = code < 0 ? code : cmds_admin_address(traced->admin, 1, address, sizeof(address));
    if (code == 0) {
        printf("admin on %s\n", address);
    }
    return code;
}

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

static int traced_send(struct traced *traced, char *line)
{
    static const struct cmds_trace new_trace = {.flags = 0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    char *text = NULL;
    struct visit visit = {.hops = strtol(line, &text, 10)};
    visit.text = cmds_string_from(text + (*text == ' '));
    how.trace = &new_trace;
    int code = cmds_group_send(traced->group, visit_message(&visit), &how, on_result, NULL);
    return code < 0 ? code : cmds_group_drain(traced->group, PATIENCE_MS);
}

int main(void)
{
    static struct traced traced;
    char line[512];
    int code = traced_start(&traced);
    (void)fflush(stdout);
    while (code == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        code = traced_send(&traced, line);
        printf("over\n");
        (void)fflush(stdout);
    }
    if (code < 0) {
        fprintf(stderr, "traced: %s\n", cmds_error_text(code));
    }
    cmds_admin_close(traced.admin);
    traced_end_export(&traced);
    cmds_group_close(traced.group, NULL, NULL);
    cmds_server_close(traced.server);
    cmds_runtime_stop(traced.runtime);
    return code < 0;
}
