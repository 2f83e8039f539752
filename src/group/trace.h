/* SPDX-License-Identifier: MIT */
/*
 * A command that goes out with the context of a trace, if its protocol has a traced type for it; and its
 * span, if the trace is sampled.
 */
#ifndef CMDI_GROUP_TRACE_H
#define CMDI_GROUP_TRACE_H

#include <stdbool.h>

#include "codec/protocol.h"
#include "shard/spans.h"
#include "telemetry/trace.h"

struct cmds_group;
struct cmdi_client;

/**
 * What is known of a command's span as long as it is open: little, since each command in flight has one, and
 * of some thousand a whole record each would not stay in a near cache.
 */
struct cmdi_group_span {
    uint8_t trace_id[16], span_id[8], parent_id[8];
    uint64_t start_ns;
    // Of the group's commands, as what it goes out. NULL: it is not sampled, and all else is undefined.
    const struct cmdi_type_entry *entry;
    uint32_t size;  // Of the body.
    bool is_traced; // The entry is that of the traced type that carries it.
    uint8_t unused[3];
};

/**
 * A send with a context, on its stack: what is encoded is encoded before it returns. If it is sampled,
 * its span is copied into the command's track.
 */
struct cmdi_traced_send {
    struct cmds_trace trace; // What goes out.
    struct cmdi_group_span span;
    // What the message is now, in the group's commands. NULL: it has to be looked for.
    const struct cmdi_type_entry *entry;
    struct cmdi_carrier carrier;
    _Alignas(16) uint8_t bytes[CMDI_TRACED_SIZE_MAX]; // A value of the traced type.
};

/**
 * A command is about to be sent with `trace`. If the protocol carries `message` with a context, it is
 * that from here on.
 *
 * Owner:   it points into `send`, and to what both pointed to.
 * Thread:  any that is inside the group.
 */
void cmdi_group_trace(const struct cmds_group *group, const struct cmds_trace *trace,
        struct cmds_message *message, struct cmdi_traced_send *send);
/**
 * May a trace begin with a send that has no context? As a rule so many have begun in this second that
 * this is all that it costs. Thread: any that is inside the group.
 */
bool cmdi_group_may_begin_trace(const struct cmds_group *group);
/** What hooks see: of a traced type the command that it carries. */
struct cmds_message cmdi_group_untraced(const struct cmds_type *type, const void *value);

/** The span of a command that was sent to `client` (NULL: of none) is over. Thread: any inside. */
void cmdi_group_span_end(const struct cmds_group *group, const struct cmdi_group_span *begun,
        const struct cmdi_client *client, const struct cmds_result *result);

#endif
