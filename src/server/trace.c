/* SPDX-License-Identifier: MIT */
/*
 * Contexts of calls. A context is copied as soon as it has come: another thread may hold the call, and
 * what it reads there must not move. Its texts, which few peers send, are kept as a command is.
 */
#include "server/trace.h"

#include <stdlib.h>
#include <string.h>

#include "codec/protocol.h"
#include "ring/clock.h"
#include "server/call.h"
#include "server/window.h"
#include "shard/spans.h"
#include "telemetry/trace.h"

/* --- Its texts -------------------------------------------------------------------------------- */

static char *trace_take_text(struct cmds_call *call, struct cmdi_call_trace *trace, size_t size)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    uint32_t pool = 0;
    while (pool < CMDI_KEPT_POOLS && size > server_shard->kept_pools[pool].item_size) {
        pool++;
    }
    trace->text_pool = pool;
    trace->text_size = size;
    if (pool < CMDI_KEPT_POOLS) {
        trace->text_size = server_shard->kept_pools[pool].item_size;
        trace->text = cmdi_pool_acquire(&server_shard->kept_pools[pool]);
        call->connection->kept_size += trace->text != NULL ? trace->text_size : 0;
    } else if (cmdi_window_charge(call->connection, size)) {
        trace->text = malloc(size);
        cmdi_window_uncharge(call->connection, trace->text == NULL ? size : 0);
    }
    return trace->text;
}

static void trace_free_text(struct cmds_call *call, struct cmdi_call_trace *trace)
{
    if (trace->text == NULL) {
        return;
    }
    if (trace->text_pool < CMDI_KEPT_POOLS) {
        struct cmdi_server_shard *server_shard = call->connection->server_shard;
        cmdi_pool_release(&server_shard->kept_pools[trace->text_pool], trace->text);
        call->connection->kept_size -= trace->text_size;
    } else {
        free(trace->text);
        cmdi_window_uncharge(call->connection, trace->text_size);
    }
}

static char *trace_copy_text(char *to, struct cmds_string *string)
{
    if (string->size > 0) {
        memcpy(to, string->data, string->size);
    }
    string->data = to;
    return to + string->size;
}

/* What points to the peer's bytes points to a copy from here on. Without memory there is no text. */
static void trace_keep_text(struct cmds_call *call, struct cmdi_call_trace *trace)
{
    struct cmds_trace *context = &trace->trace;
    size_t size = context->state.size + context->baggage.size;
    trace->text = NULL;
    if (size > 0 && trace_take_text(call, trace, size) != NULL) {
        (void)trace_copy_text(trace_copy_text(trace->text, &context->state), &context->baggage);
    } else {
        context->state = (struct cmds_string){NULL, 0};
        context->baggage = (struct cmds_string){NULL, 0};
    }
}

/* --- A call's --------------------------------------------------------------------------------- */

/* Of a value of a traced type. */
static struct cmds_map trace_carrier(const struct cmds_type *traced, const void *value)
{
    const struct cmds_field *carrier = cmdi_traced_carrier(traced);
    const uint8_t *at = (const uint8_t *)value + carrier->offset;
    struct cmds_map map = {NULL, 0};
    if (*at != 0) {
        memcpy(&map, at + carrier->item_offset, sizeof(map));
    }
    return map;
}

/* Returns: it has a context, which may have to be sampled. */
static bool trace_is_sampled(struct cmds_call *call, bool has_context, struct cmds_trace *context)
{
    struct cmdi_shard *shard = call->connection->server_shard->shard;
    struct cmdi_spans *spans = shard->spans;
    if (spans == NULL) {
        return false;
    }
    if (!has_context) {
        return cmdi_spans_root(spans, shard->now_ms, context);
    }
    if (call->core->options.resample_traces) {
        bool is_sampled = cmdi_spans_again(spans, shard->now_ms, context);
        context->flags = is_sampled ? CMDS_TRACE_SAMPLED : 0;
    }
    return cmdi_trace_is_set(context);
}

/* As far as it fits, with zeros behind it: no span shows what was here before it. */
static inline void trace_name_peer(
        char peer[CMDS_SPAN_PEER_MAX], const struct cmds_connection *connection)
{
    const char *text = connection->peer;
    if (CMDI_LIKELY(text == connection->peer_near)) { // Which has zeros behind the text.
        memcpy(peer, text, CMDI_PEER_NEAR_MAX);
        memset(peer + CMDI_PEER_NEAR_MAX, 0, CMDS_SPAN_PEER_MAX - CMDI_PEER_NEAR_MAX);
        return;
    }
    memset(peer, 0, CMDS_SPAN_PEER_MAX);
    memcpy(peer, text, strnlen(text, CMDS_SPAN_PEER_MAX - 1));
}

static void trace_begin(struct cmds_call *call, struct cmdi_call_trace *trace, size_t size)
{
    struct cmds_span *span = &trace->span;
    cmdi_span_begin(span, CMDS_SPAN_SERVER, &trace->trace);
    span->start_ns = call->received_ns;
    span->type = call->type;
    span->sequence = call->sequence;
    span->size = (uint32_t)size;
    trace_name_peer(span->peer, call->connection);
    atomic_store_explicit(&trace->event_count, 0, memory_order_relaxed);
    atomic_store_explicit(&trace->result_count, 0, memory_order_relaxed);
}

void cmdi_call_trace_take(
        struct cmds_call *call, const struct cmdi_type_entry *entry, const void *value, size_t size)
{
    struct cmdi_pool *pool = &call->connection->server_shard->trace_pool;
    struct cmdi_call_trace *trace = cmdi_pool_acquire(pool); // First: read into its place.
    if (trace == NULL) {
        return;
    }
    bool is_traced = entry->type != entry->command;
    bool has_context =
            is_traced && cmdi_trace_from_map(&trace->trace, trace_carrier(entry->type, value));
    bool is_sampled = trace_is_sampled(call, has_context, &trace->trace);
    if (!has_context && !is_sampled) {
        cmdi_pool_release(pool, trace);
        return;
    }
    call->trace = trace;
    trace->is_sampled = is_sampled;
    trace_keep_text(call, trace);
    if (is_sampled) {
        trace_begin(call, trace, size);
        trace->span.flags = (uint8_t)((has_context ? CMDS_SPAN_REMOTE_PARENT : 0) |
                                      (is_traced ? CMDS_SPAN_TRACED : 0));
    }
}

/* --- What happens to it ----------------------------------------------------------------------- */

/* One more. `is_alone`: nobody else has the call, so it takes no atomic addition. Returns: before it. */
static inline uint32_t trace_count(_Atomic uint32_t *count, bool is_alone)
{
    if (CMDI_LIKELY(is_alone)) {
        uint32_t before = atomic_load_explicit(count, memory_order_relaxed);
        atomic_store_explicit(count, before + 1, memory_order_relaxed);
        return before;
    }
    return atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static inline void trace_event(
        struct cmds_call *call, const struct cmds_span_event *event, bool is_alone)
{
    struct cmdi_call_trace *trace = call->trace;
    uint32_t index = trace_count(&trace->event_count, is_alone);
    if (index < CMDS_SPAN_EVENTS_MAX) {
        trace->span.events[index] = *event; // Seen by the end: whoever writes it has a reference.
    }
}

void cmdi_call_trace_result(
        struct cmds_call *call, const struct cmds_type *type, size_t size, bool is_here)
{
    struct cmdi_call_trace *trace = call->trace;
    if (trace->is_sampled) {
        // The shard has the only reference: no other thread can take one.
        bool is_alone = is_here && atomic_load_explicit(&call->refs, memory_order_acquire) == 1;
        uint32_t before = trace_count(&trace->result_count, is_alone);
        uint64_t now_ns = cmdi_now_ns();
        atomic_store_explicit(&trace->result_ns, now_ns, memory_order_relaxed);
        trace_event(call,
                &(struct cmds_span_event){.time_ns = now_ns,
                        .type = type,
                        .number = before + 1,
                        .size = (uint32_t)size},
                is_alone);
    }
}

void cmds_call_event(struct cmds_call *call, const char *static_name)
{
    struct cmdi_call_trace *trace = call->trace;
    if (trace != NULL && trace->is_sampled) {
        trace_event(call, &(struct cmds_span_event){.time_ns = cmdi_now_ns(), .name = static_name},
                false);
    }
}

void cmdi_call_trace_failed(struct cmds_call *call, int code)
{
    struct cmdi_call_trace *trace = call->trace;
    if (trace->is_sampled && trace->span.error == 0) {
        trace->span.error = code;
    }
}

/* --- The end ---------------------------------------------------------------------------------- */

/* `span`: the trace's, or where it goes. Nobody else has the call any more. */
static void trace_end_events(struct cmdi_call_trace *trace, struct cmds_span *span)
{
    uint32_t events = atomic_load_explicit(&trace->event_count, memory_order_acquire);
    uint32_t kept = events < CMDS_SPAN_EVENTS_MAX ? events : CMDS_SPAN_EVENTS_MAX;
    uint32_t dropped = events - kept;
    if (span != &trace->span) {
        cmdi_span_copy(span, &trace->span, kept);
    }
    span->event_count = (uint8_t)kept;
    span->dropped_events = (uint16_t)(dropped < UINT16_MAX ? dropped : UINT16_MAX);
}

/*
 * With the last result, however long it was kept behind that: for which the clock was read. Without one
 * just now.
 */
static uint64_t trace_end_ns(const struct cmds_call *call)
{
    const struct cmdi_call_trace *trace = call->trace;
    bool is_finished = atomic_load_explicit(&call->finished, memory_order_relaxed) != 0;
    bool has_results = atomic_load_explicit(&trace->result_count, memory_order_relaxed) != 0;
    return is_finished && has_results
                   ? atomic_load_explicit(&trace->result_ns, memory_order_relaxed)
                   : cmdi_now_ns();
}

void cmdi_call_trace_end(struct cmds_call *call)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    struct cmdi_call_trace *trace = call->trace;
    if (trace->is_sampled) {
        struct cmdi_spans *spans = server_shard->shard->spans;
        struct cmds_span *place = cmdi_spans_place(spans);
        struct cmds_span *span = CMDI_LIKELY(place != NULL) ? place : &trace->span;
        uint8_t finished = atomic_load(&call->finished);
        if (finished == 0 && call->type->one_way == 0) {
            cmdi_call_trace_failed(call, CMDS_E_GONE); // Unless something else has ended it.
        }
        if (finished == CMDI_FINISHED_FAILED) {
            cmdi_call_trace_failed(call, CMDS_E_REMOTE); // The program's own error result.
        }
        trace_end_events(trace, span);
        span->end_ns = trace_end_ns(call);
        if (CMDI_LIKELY(place != NULL)) {
            cmdi_spans_keep(spans);
        } else {
            cmdi_spans_end(spans, span);
        }
        if (server_shard->ledger != NULL && span->error == 0) {
            cmdi_ledger_exemplify(
                    server_shard->ledger, call->place, span, cmdi_spans_wall(spans, span->end_ns));
        }
    }
    cmdi_call_trace_drop(call);
}

void cmdi_call_trace_drop(struct cmds_call *call)
{
    struct cmdi_call_trace *trace = call->trace;
    trace_free_text(call, trace);
    cmdi_pool_release(&call->connection->server_shard->trace_pool, trace);
    call->trace = NULL;
}

/* --- What a program sees ---------------------------------------------------------------------- */

const struct cmds_trace *cmds_call_trace(const struct cmds_call *call)
{
    return call->trace != NULL ? &call->trace->trace : NULL;
}

struct cmds_span *cmds_call_span(struct cmds_call *call)
{
    return call->trace != NULL && call->trace->is_sampled ? &call->trace->span : NULL;
}
