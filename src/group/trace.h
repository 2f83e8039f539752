/* SPDX-License-Identifier: MIT */
/* A command that goes out with the context of a trace, if its protocol has a traced type for it. */
#ifndef CMDI_GROUP_TRACE_H
#define CMDI_GROUP_TRACE_H

#include <stdbool.h>

#include "codec/protocol.h"
#include "telemetry/trace.h"

struct cmds_group;

/** A value of a traced type, on the stack of the send: what is encoded is encoded before it returns. */
struct cmdi_traced_value {
    struct cmdi_carrier carrier;
    _Alignas(16) uint8_t bytes[CMDI_TRACED_SIZE_MAX];
};

/**
 * If the protocol carries `message` with a context, it is that from here on, with `trace` in it.
 *
 * Owner: it points into `value`, and to what both pointed to.
 */
void cmdi_group_trace(const struct cmds_group *group, const struct cmds_trace *trace,
        struct cmds_message *message, struct cmdi_traced_value *value);

/** What hooks see: of a traced type the command that it carries. */
struct cmds_message cmdi_group_untraced(const struct cmds_type *type, const void *value);

#endif
