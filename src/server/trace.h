/* SPDX-License-Identifier: MIT */
/*
 * What a call knows of the trace it belongs to: the context that came with its command. Most calls have
 * none, and pay for that with one pointer.
 */
#ifndef CMDI_SERVER_TRACE_H
#define CMDI_SERVER_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include <cmdstream/trace.h>

struct cmdi_type_entry;
struct cmds_call;

/** From the server shard's pool. What `trace` points to is in `text`. */
struct cmdi_call_trace {
    struct cmds_trace trace;
    char *text; // NULL: it points to nothing.
    size_t text_size;
    uint32_t text_pool; // Of the server shard's kept_pools; CMDI_KEPT_POOLS: malloc.
};

/**
 * The command came by a traced type, as `value`: takes its context. If there is none, or no memory for
 * it, the call goes on without one. Thread: shard.
 */
void cmdi_call_trace_take(
        struct cmds_call *call, const struct cmdi_type_entry *entry, const void *value);
/** Of a call that has one, at its end. Thread: as call_free_kept(). */
void cmdi_call_trace_drop(struct cmds_call *call);

#endif
