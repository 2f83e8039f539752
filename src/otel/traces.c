/* SPDX-License-Identifier: MIT */
/*
 * See traces.h. The numbers of fields are those of opentelemetry/proto/trace/v1/trace.proto, version 1;
 * names and attributes of spans those of otelcmd-stream-go. From the end to the front: see proto.h.
 */
#include "otel/traces.h"

#include <cmdstream/schema.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "otel/metrics.h"

enum { // ScopeSpans
    SCOPE_SPANS_SPANS = 2,
};
enum { // Span
    SPAN_TRACE_ID = 1,
    SPAN_ID = 2,
    SPAN_PARENT_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENTS = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    FLAGS_SAMPLED = 0x01,
    FLAGS_KNOWS_REMOTE = 0x100,
    FLAGS_REMOTE = 0x200,
};
enum { // Event, Status
    EVENT_TIME = 1,
    EVENT_NAME = 2,
    EVENT_ATTRIBUTES = 3,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    STATUS_ERROR = 2,
};

enum {
    NAME_SIZE_MAX = 256,
    ATTRIBUTES_MAX = CMDS_SPAN_ATTRIBUTES_MAX / 10, // Each takes ten bytes at least.
};

static struct cmds_bytes id_bytes(const uint8_t *id, size_t size)
{
    return (struct cmds_bytes){id, size};
}

static bool is_set(const uint8_t *id, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (id[i] != 0) {
            return true;
        }
    }
    return false;
}

static const char *type_name(const struct cmds_type *type)
{
    return type != NULL && type->schema != NULL ? type->schema->name : "unknown";
}

/* ---- The peer -------------------------------------------------------------------------------- */

/* "1.2.3.4:80", "[::1]:80", "unix:/path"; anything else is no address, and says nothing. */
static void write_peer(struct cmdi_proto *proto, const char *peer)
{
    bool is_unix = strncmp(peer, "unix:", 5) == 0;
    const char *colon = is_unix ? NULL : strrchr(peer, ':');
    if (!is_unix && colon == NULL) {
        return;
    }
    cmdi_otlp_string(proto, SPAN_ATTRIBUTES, "network.protocol.name",
            cmds_string_from(is_unix ? "unix" : "tcp"));
    struct cmds_string address = cmds_string_from(peer + 5 * is_unix);
    if (colon != NULL) {
        cmdi_otlp_integer(proto, SPAN_ATTRIBUTES, "network.peer.port", atoi(colon + 1));
        address.size = (size_t)(colon - peer);
        bool is_v6 = address.size > 1 && peer[0] == '[' && colon[-1] == ']';
        address.data += is_v6;
        address.size -= 2u * is_v6;
    }
    cmdi_otlp_string(proto, SPAN_ATTRIBUTES, "network.peer.address", address);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void write_event(
        struct cmdi_proto *proto, const struct cmds_span_event *event, uint64_t realtime_ns)
{
    size_t mark = cmdi_proto_mark(proto);
    if (event->number > 0) {
        cmdi_otlp_string(proto, EVENT_ATTRIBUTES, "cmd-stream.result.type",
                cmds_string_from(type_name(event->type)));
        cmdi_otlp_integer(proto, EVENT_ATTRIBUTES, "cmd-stream.result.size", event->size);
        cmdi_otlp_integer(proto, EVENT_ATTRIBUTES, "cmd-stream.result.seq", event->number);
    }
    cmdi_proto_text(proto, EVENT_NAME, event->number > 0 ? "result" : event->name);
    cmdi_proto_fixed64(proto, EVENT_TIME, event->time_ns + realtime_ns);
    cmdi_proto_wrap(proto, SPAN_EVENTS, mark);
}

/* ---- Spans ----------------------------------------------------------------------------------- */

static void write_status(struct cmdi_proto *proto, int32_t error)
{
    if (error == 0) {
        return;
    }
    size_t mark = cmdi_proto_mark(proto);
    cmdi_proto_uint(proto, STATUS_CODE, STATUS_ERROR);
    cmdi_proto_text(proto, STATUS_MESSAGE, cmds_error_text(error));
    cmdi_proto_wrap(proto, SPAN_STATUS, mark);
}

/* In reverse, as all of it; the program's own come last. */
static void write_attributes(struct cmdi_proto *proto, const struct cmds_span *span)
{
    const char *keys[ATTRIBUTES_MAX];
    struct cmds_string values[ATTRIBUTES_MAX];
    uint32_t count = 0;
    for (uint32_t at = 0; count < ATTRIBUTES_MAX &&
                          cmds_span_attribute(span, &at, &keys[count], &values[count]);) {
        count++;
    }
    while (count-- > 0) {
        cmdi_otlp_string(proto, SPAN_ATTRIBUTES, keys[count], values[count]);
    }
    if (span->error != 0) {
        cmdi_otlp_string(proto, SPAN_ATTRIBUTES, "error.type",
                cmds_string_from(cmds_error_name(span->error)));
    }
    if (span->kind == CMDS_SPAN_CLIENT) {
        cmdi_otlp_integer(proto, SPAN_ATTRIBUTES, "cmd-stream.command.size", span->size);
        if (span->sequence != 0) {
            cmdi_otlp_integer(
                    proto, SPAN_ATTRIBUTES, "cmd-stream.command.seq", (int64_t)span->sequence);
        }
    }
    write_peer(proto, span->peer);
}

static void write_name(struct cmdi_proto *proto, const struct cmds_span *span)
{
    char name[NAME_SIZE_MAX];
    (void)snprintf(name, sizeof(name), "%s %s%s",
            span->kind == CMDS_SPAN_CLIENT ? "Send" : "Invoke", type_name(span->type),
            (span->flags & CMDS_SPAN_TRACED) != 0 ? " (trace)" : "");
    cmdi_proto_text(proto, SPAN_NAME, name);
}

static void write_span(struct cmdi_proto *proto, const struct cmds_span *span, uint64_t realtime_ns)
{
    size_t mark = cmdi_proto_mark(proto);
    bool is_remote = (span->flags & CMDS_SPAN_REMOTE_PARENT) != 0;
    cmdi_proto_fixed32(
            proto, SPAN_FLAGS, FLAGS_SAMPLED | FLAGS_KNOWS_REMOTE | (is_remote ? FLAGS_REMOTE : 0));
    write_status(proto, span->error);
    if (span->dropped_events > 0) {
        cmdi_proto_uint(proto, SPAN_DROPPED_EVENTS, span->dropped_events);
    }
    CMDI_ASSERT(span->event_count <= CMDS_SPAN_EVENTS_MAX);
    for (uint32_t i = span->event_count; i-- > 0;) {
        write_event(proto, &span->events[i], realtime_ns);
    }
    if (span->dropped_attributes > 0) {
        cmdi_proto_uint(proto, SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
    }
    write_attributes(proto, span);
    cmdi_proto_fixed64(proto, SPAN_END, span->end_ns + realtime_ns);
    cmdi_proto_fixed64(proto, SPAN_START, span->start_ns + realtime_ns);
    cmdi_proto_uint(proto, SPAN_KIND, span->kind);
    write_name(proto, span);
    if (is_set(span->parent_id, sizeof(span->parent_id))) {
        cmdi_proto_bytes(proto, SPAN_PARENT_ID, id_bytes(span->parent_id, sizeof(span->parent_id)));
    }
    cmdi_proto_bytes(proto, SPAN_ID, id_bytes(span->span_id, sizeof(span->span_id)));
    cmdi_proto_bytes(proto, SPAN_TRACE_ID, id_bytes(span->trace_id, sizeof(span->trace_id)));
    cmdi_proto_wrap(proto, SCOPE_SPANS_SPANS, mark);
}

int cmdi_traces_write(struct cmdi_proto *proto, struct cmds_bytes resource,
        const struct cmds_span *spans, uint32_t count, uint64_t realtime_ns)
{
    size_t mark = cmdi_proto_mark(proto);
    for (uint32_t i = count; i-- > 0;) {
        write_span(proto, &spans[i], realtime_ns);
    }
    cmdi_otlp_envelope(proto, resource, mark);
    return proto->error;
}
