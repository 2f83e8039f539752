/* SPDX-License-Identifier: MIT */
/* Contexts on their way out, and spans of commands. See trace.h. Any thread. */
#include "group/trace.h"

#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "client/client.h"
#include "client/count.h"
#include "group/group.h"
#include "ring/clock.h"

/* --- The beginning ---------------------------------------------------------------------------- */

bool cmdi_group_may_begin_trace(const struct cmds_group *group)
{
    const struct cmdi_shard *shard = cmdi_shard_current();
    struct cmdi_spans *spans = cmdi_spans_here(group->runtime);
    if (spans == NULL) {
        return false;
    }
    uint64_t now_ms = shard != NULL ? shard->now_ms : cmdi_ns_to_ms(cmdi_now_ns());
    return cmdi_spans_has_place(spans, now_ms);
}

/*
 * On a shard by the clock that it has read last: before this send, and in no earlier turn. So it is with the
 * durations that are counted, of which the span may be the exemplar.
 */
static uint64_t trace_now_ns(void)
{
    const struct cmdi_shard *shard = cmdi_shard_current();
    return shard != NULL && shard->in_turn ? shard->looked_ns : cmdi_now_ns();
}

/* `trace` as a new one, if it is none yet and one may begin here. */
static void trace_begin_root(struct cmdi_spans *spans, struct cmds_trace *trace)
{
    struct cmds_trace root;
    if (CMDI_UNLIKELY(!cmdi_trace_is_valid(trace)) &&
            cmdi_spans_root(spans, cmdi_ns_to_ms(trace_now_ns()), &root)) {
        root.baggage = trace->baggage;
        *trace = root;
    }
}

/* Without spans the context passes on as it is. Returns: it is sampled. */
static bool trace_begin_span(const struct cmds_group *group, struct cmdi_traced_send *send)
{
    struct cmdi_spans *spans = cmdi_spans_here(group->runtime);
    struct cmdi_group_span *span = &send->span;
    if (CMDI_LIKELY(spans != NULL)) {
        trace_begin_root(spans, &send->trace);
    }
    if (CMDI_UNLIKELY(spans == NULL || !cmdi_trace_is_set(&send->trace))) {
        return false;
    }
    memcpy(span->trace_id, send->trace.trace_id, sizeof(span->trace_id));
    memcpy(span->parent_id, send->trace.span_id, sizeof(span->parent_id));
    cmdi_span_id(span->span_id, cmdi_random());
    memcpy(send->trace.span_id, span->span_id, sizeof(send->trace.span_id));
    span->start_ns = trace_now_ns();
    return true;
}

/*
 * What the message is among the group's commands; its `traced`, if that is another one, carries it with a context.
 * Returns: NULL: it goes as it is, or is refused as it would be.
 */
static const struct cmdi_type_entry *trace_entry_of(
        const struct cmds_group *group, struct cmds_message message)
{
    return message.value != NULL ? cmdi_type_table_of(&group->commands, message.type) : NULL;
}

/* `entry`: the traced type's. */
static void trace_carry(const struct cmdi_type_entry *entry, struct cmds_message *message,
        struct cmdi_traced_send *send)
{
    const struct cmds_field *carrier = cmdi_traced_carrier(entry->type);
    const struct cmds_map map = cmdi_trace_to_map(&send->trace, &send->carrier);
    const bool has = true;
    CMDI_ASSERT(entry->type->schema->value_size <= sizeof(send->bytes));
    // These are all of its rows, and of what lies between them nobody knows.
    memcpy(send->bytes + carrier->offset, &has, sizeof(has));
    memcpy(send->bytes + carrier->offset + carrier->item_offset, &map, sizeof(map));
    memcpy(send->bytes + entry->command_offset, message->value, entry->command->schema->value_size);
    *message = (struct cmds_message){entry->type, send->bytes};
}

void cmdi_group_trace(const struct cmds_group *group, const struct cmds_trace *trace,
        struct cmds_message *message, struct cmdi_traced_send *send)
{
    const struct cmdi_type_entry *entry = trace_entry_of(group, *message);
    const struct cmdi_type_entry *traced = entry != NULL ? entry->traced : NULL;
    struct cmdi_group_span *span = &send->span;
    send->trace = *trace;
    send->entry = entry;
    bool is_sampled = entry != NULL && trace_begin_span(group, send);
    span->is_traced = traced != NULL && traced != entry && cmdi_trace_is_valid(&send->trace);
    if (CMDI_LIKELY(span->is_traced)) {
        trace_carry(traced, message, send);
        send->entry = traced;
    }
    span->entry = is_sampled ? send->entry : NULL;
}

struct cmds_message cmdi_group_untraced(const struct cmds_type *type, const void *value)
{
    const struct cmds_type *traces = cmdi_type_traces(type);
    if (CMDI_LIKELY(traces == NULL)) {
        return (struct cmds_message){type, value};
    }
    CMDI_ASSERT(value != NULL);
    return (struct cmds_message){
            traces, (const uint8_t *)value + cmdi_traced_command(type)->offset};
}

/* --- The end ---------------------------------------------------------------------------------- */

_Static_assert((size_t)CMDI_ENDPOINT_TEXT_MIN >= (size_t)CMDS_SPAN_PEER_MAX, "a copy needs no end");

/* The size of the whole frame: that of the body is known. */
static uint32_t span_frame_size(
        const struct cmds_group *group, const struct cmdi_group_span *span, uint64_t sequence)
{
    return span->size + (uint32_t)cmdi_frame_header_size(sequence, span->entry->type->number,
                                span->size, group->config->limits.self_delimiting);
}

/*
 * Of an answer when it was there, for which its turn has read the clock; of what was refused just now. A
 * refusal may come in the turn of its send.
 */
static uint64_t span_end_ns(const struct cmdi_group_span *span, struct cmdi_shard *shard)
{
    uint64_t end_ns = shard != NULL ? cmdi_spans_clock(shard) : cmdi_now_ns();
    return end_ns > span->start_ns ? end_ns : span->start_ns;
}

/* All that stands in front of the events. What lies there is of another span, and each byte of it is written once. */
static void span_fill(struct cmds_span *span, const struct cmdi_group_span *begun,
        const struct cmdi_endpoint *endpoint)
{
    memcpy(span->trace_id, begun->trace_id, sizeof(span->trace_id));
    memcpy(span->span_id, begun->span_id, sizeof(span->span_id));
    memcpy(span->parent_id, begun->parent_id, sizeof(span->parent_id));
    span->start_ns = begun->start_ns;
    span->type = begun->is_traced ? begun->entry->command : begun->entry->type;
    span->kind = CMDS_SPAN_CLIENT;
    span->flags = begun->is_traced ? CMDS_SPAN_TRACED : 0;
    span->event_count = span->dropped_attributes = 0;
    span->attribute_size = span->dropped_events = 0;
    if (endpoint != NULL) {
        memcpy(span->peer, endpoint->text, sizeof(span->peer));
        span->peer[sizeof(span->peer) - 1] = 0;
    } else {
        memset(span->peer, 0, sizeof(span->peer));
    }
}

void cmdi_group_span_end(const struct cmds_group *group, const struct cmdi_group_span *begun,
        const struct cmdi_client *client, const struct cmds_result *result)
{
    struct cmdi_client_shard *client_shard = client != NULL ? client->client_shard : NULL;
    struct cmdi_shard *shard = client_shard != NULL ? client_shard->shard : NULL;
    struct cmdi_spans *spans = shard != NULL ? shard->spans : cmdi_spans_here(group->runtime);
    struct cmds_span other;
    CMDI_ASSERT(spans != NULL && (shard == NULL || cmdi_shard_current() == shard));
    struct cmds_span *place = cmdi_spans_place(spans);
    struct cmds_span *span = CMDI_LIKELY(place != NULL) ? place : &other;
    span_fill(span, begun, client != NULL ? cmdi_client_endpoint(client) : NULL);
    span->sequence = result->sequence;
    span->error = result->is_error ? CMDS_E_REMOTE : result->error;
    span->size = span_frame_size(group, begun, result->sequence);
    span->end_ns = span_end_ns(begun, shard);
    if (CMDI_LIKELY(place != NULL)) {
        cmdi_spans_keep(spans);
    } else {
        cmdi_spans_end(spans, span);
    }
    if (client_shard != NULL && result->error == 0 && client_shard->ledger != NULL) {
        cmdi_ledger_exemplify(client_shard->ledger, begun->entry->place, span,
                cmdi_spans_wall(spans, span->end_ns)); // As a server does.
    }
}
