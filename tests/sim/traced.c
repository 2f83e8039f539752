/* SPDX-License-Identifier: MIT */
/* Contexts and spans: see traced.h. */
#include "sim/traced.h"

#include <string.h>

#include "sim/oracle.h"

const struct cmds_trace_options *traced_options(uint32_t number)
{
    static struct cmds_trace_options options;
    options = (struct cmds_trace_options)CMDS_TRACE_OPTIONS_INIT;
    options.span_count = TRACED_SPANS;
    options.root_ratio = -1; // What nobody has sent is no context of ours.
    return number % 2 == 0 ? &options : NULL;
}

const struct cmds_trace *traced_context(uint64_t id, struct cmds_trace *trace)
{
    if (id % 3 != 0) {
        return NULL;
    }
    *trace = (struct cmds_trace){.flags = id % 2 == 0 ? CMDS_TRACE_SAMPLED : 0};
    memcpy(trace->trace_id, &id, sizeof(id));
    memset(trace->span_id, 0xcc, sizeof(trace->span_id));
    if (id % 4 == 0) {
        trace->baggage = cmds_string_from("of=somebody");
    }
    oracle_command(id)->traced = id;
    return trace;
}

uint64_t traced_number(const struct cmds_call *call)
{
    const struct cmds_trace *trace = cmds_call_trace(call);
    uint64_t number = 0;
    if (trace != NULL) {
        memcpy(&number, trace->trace_id, sizeof(number));
    }
    return number;
}

void traced_look(const struct cmds_call *call, uint64_t id, bool may_lack)
{
    const struct cmds_trace *trace = cmds_call_trace(call);
    uint64_t expected = oracle_command(id)->traced;
    uint64_t found = traced_number(call);
    if (trace == NULL) {
        if (expected != 0 && !may_lack) {
            (void)oracle_fail("command %llu came without its context", (unsigned long long)id);
        }
        return;
    }
    if (found != expected) {
        (void)oracle_fail("command %llu came with the context of %llu", (unsigned long long)id,
                (unsigned long long)found);
    }
    bool has_baggage = found % 4 == 0 && !may_lack;
    if ((trace->flags != 0) != (found % 2 == 0) || (has_baggage && trace->baggage.size != 11)) {
        (void)oracle_fail("command %llu: its context is another one", (unsigned long long)id);
    }
}

void traced_check(const struct cmds_span *span)
{
    uint64_t id = 0;
    memcpy(&id, span->trace_id, sizeof(id));
    bool is_whole = span->start_ns <= span->end_ns && span->end_ns <= cmds_now_ns() &&
                    span->type != NULL && span->event_count <= CMDS_SPAN_EVENTS_MAX &&
                    (span->kind == CMDS_SPAN_SERVER || span->kind == CMDS_SPAN_CLIENT) &&
                    memchr(span->peer, '\0', sizeof(span->peer)) != NULL;
    if (id == 0 || id % 2 != 0 || id >= oracle.command_count || oracle_command(id)->traced != id) {
        (void)oracle_fail("a span of trace %llu that nobody has begun", (unsigned long long)id);
    } else if (!is_whole) {
        (void)oracle_fail(
                "a span of trace %llu is not whole, of kind %u with %u events, %lld ns long",
                (unsigned long long)id, span->kind, span->event_count,
                (long long)(span->end_ns - span->start_ns));
    }
}

void traced_take(struct cmds_runtime *runtime)
{
    struct cmds_span spans[TRACED_SPANS / 2];
    uint32_t count = cmds_span_take(runtime, spans, TRACED_SPANS / 2);
    for (uint32_t i = 0; i < count; i++) {
        traced_check(&spans[i]);
    }
}
