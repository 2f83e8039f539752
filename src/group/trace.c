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

/* `trace` as a new one, if it is none yet and one may begin here. */
static void trace_begin_root(struct cmdi_spans *spans, struct cmds_trace *trace)
{
    struct cmds_trace root;
    if (!cmdi_trace_is_valid(trace) &&
            cmdi_spans_root(spans, cmdi_ns_to_ms(cmdi_now_ns()), &root)) {
        root.baggage = trace->baggage;
        *trace = root;
    }
}

static void trace_begin_span(
        const struct cmds_group *group, struct cmds_message message, struct cmdi_traced_send *send)
{
    struct cmdi_spans *spans = cmdi_spans_here(group->runtime);
    if (spans == NULL) {
        return; // The context passes on as it is.
    }
    trace_begin_root(spans, &send->trace);
    send->is_sampled = cmdi_trace_is_set(&send->trace) && message.type != NULL;
    if (send->is_sampled) {
        cmdi_span_begin(&send->span, CMDS_SPAN_CLIENT, &send->trace);
        send->span.start_ns = cmdi_now_ns();
        send->span.type = message.type;
    }
}

/* What carries this message with a context. Returns: NULL: nothing does. */
static const struct cmds_type *trace_carrier_of(
        const struct cmds_group *group, struct cmds_message message)
{
    const struct cmdi_type_entry *entry =
            message.type != NULL ? cmdi_type_table_entry(&group->commands, message.type->number)
                                 : NULL;
    if (entry == NULL || message.value == NULL || entry->traced == entry->type ||
            !cmdi_type_same(entry->type, message.type)) {
        return NULL; // It goes as it is, or is refused as it would be.
    }
    return entry->traced;
}

void cmdi_group_trace(const struct cmds_group *group, const struct cmds_trace *trace,
        struct cmds_message *message, struct cmdi_traced_send *send)
{
    const struct cmds_type *traced = trace_carrier_of(group, *message);
    send->trace = *trace;
    send->is_sampled = false;
    trace_begin_span(group, *message, send);
    if (traced == NULL || !cmdi_trace_is_valid(&send->trace)) {
        return;
    }
    const struct cmds_field *carrier = cmdi_traced_carrier(traced);
    const struct cmds_field *command = cmdi_traced_command(traced);
    const struct cmds_map map = cmdi_trace_to_map(&send->trace, &send->carrier);
    const bool has = true;
    CMDI_ASSERT(traced->schema->value_size <= sizeof(send->bytes));
    memset(send->bytes, 0, traced->schema->value_size);
    memcpy(send->bytes + carrier->offset, &has, sizeof(has));
    memcpy(send->bytes + carrier->offset + carrier->item_offset, &map, sizeof(map));
    memcpy(send->bytes + command->offset, message->value, command->size);
    *message = (struct cmds_message){traced, send->bytes};
    send->span.flags = send->is_sampled ? CMDS_SPAN_TRACED : 0;
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

/* The number that it had on the wire. */
static uint32_t span_number(const struct cmds_group *group, const struct cmds_span *span)
{
    const struct cmdi_type_entry *entry =
            cmdi_type_table_entry(&group->commands, span->type->number);
    bool is_traced = (span->flags & CMDS_SPAN_TRACED) != 0 && entry != NULL;
    return is_traced ? entry->traced->number : span->type->number;
}

/* The size of the whole frame: that of the body is known. */
static uint32_t span_frame_size(const struct cmds_group *group, const struct cmds_span *span)
{
    return span->size + (uint32_t)cmdi_frame_header_size(span->sequence, span_number(group, span),
                                span->size, group->config->limits.self_delimiting);
}

/* For the durations of its type, as a server does. On the shard of the connection that answered. */
static void span_exemplify(const struct cmds_group *group, const struct cmds_span *span,
        const struct cmdi_client *client)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    CMDI_ASSERT(cmdi_shard_current() == client_shard->shard);
    if (client_shard->ledger != NULL) {
        uint32_t place = cmdi_client_place(client_shard, span_number(group, span));
        cmdi_ledger_exemplify(client_shard->ledger, place, span, cmdi_wall_ns());
    }
}

void cmdi_group_span_end(const struct cmds_group *group, struct cmds_span *span,
        const struct cmdi_client *client, const struct cmds_result *result)
{
    struct cmdi_spans *spans = cmdi_spans_here(group->runtime);
    const struct cmdi_endpoint *endpoint = client != NULL ? cmdi_client_endpoint(client) : NULL;
    CMDI_ASSERT(spans != NULL);
    span->sequence = result->sequence;
    span->error = result->is_error ? CMDS_E_REMOTE : result->error;
    span->size = span_frame_size(group, span);
    if (endpoint != NULL) {
        memcpy(span->peer, endpoint->text, strnlen(endpoint->text, sizeof(span->peer) - 1));
    }
    cmdi_spans_end(spans, span);
    if (client != NULL && result->error == 0) {
        span_exemplify(group, span, client);
    }
}
