/* SPDX-License-Identifier: MIT */
/*
 * Contexts of calls. A context is copied as soon as it has come: another thread may hold the call, and
 * what it reads there must not move. Its texts, which few peers send, are kept as a command is.
 */
#include "server/trace.h"

#include <stdlib.h>
#include <string.h>

#include "codec/protocol.h"
#include "server/call.h"
#include "server/window.h"
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
        context->state = context->baggage = (struct cmds_string){NULL, 0};
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

void cmdi_call_trace_take(
        struct cmds_call *call, const struct cmdi_type_entry *entry, const void *value)
{
    struct cmds_trace context;
    if (!cmdi_trace_from_map(&context, trace_carrier(entry->type, value))) {
        return;
    }
    struct cmdi_call_trace *trace = cmdi_pool_acquire(&call->connection->server_shard->trace_pool);
    if (trace != NULL) {
        trace->trace = context;
        trace_keep_text(call, trace);
        call->trace = trace;
    }
}

void cmdi_call_trace_drop(struct cmds_call *call)
{
    struct cmdi_call_trace *trace = call->trace;
    trace_free_text(call, trace);
    cmdi_pool_release(&call->connection->server_shard->trace_pool, trace);
    call->trace = NULL;
}

const struct cmds_trace *cmds_call_trace(const struct cmds_call *call)
{
    return call->trace != NULL ? &call->trace->trace : NULL;
}
