/* SPDX-License-Identifier: MIT */
/*
 * What a call knows of the trace it belongs to: the context that came with its command, and its own span.
 * Most calls have none, and pay for that with one pointer.
 */
#ifndef CMDI_SERVER_TRACE_H
#define CMDI_SERVER_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/trace.h>

struct cmdi_type_entry;
struct cmds_call;

/**
 * From the server shard's pool. What `trace` points to is in `text`. The span is open: its events are
 * claimed by any thread, the rest of it is the shard's.
 */
struct cmdi_call_trace {
    struct cmds_trace trace;
    char *text; // NULL: it points to nothing.
    size_t text_size;
    uint32_t text_pool; // Of the server shard's kept_pools; CMDI_KEPT_POOLS: malloc.
    bool is_sampled;    // Those below are valid.
    _Atomic uint32_t event_count, result_count;
    _Atomic uint64_t result_ns; // When the last one was sent.
    struct cmds_span span;
};

/**
 * The command came by `entry` in a frame of `size` bytes, as `value`: takes its context, or begins a
 * trace. If there is none, or no memory for it, the call goes on without one. Thread: shard.
 */
void cmdi_call_trace_take(struct cmds_call *call, const struct cmdi_type_entry *entry,
        const void *value, size_t size);
/**
 * A result, with its frame, is about to be sent or was. `is_here`: on the call's shard, as far as it is known. Thread:
 * any that holds a reference.
 */
void cmdi_call_trace_result(
        struct cmds_call *call, const struct cmds_type *type, size_t size, bool is_here);
/** It failed: the first code stays. Thread: shard. */
void cmdi_call_trace_failed(struct cmds_call *call, int code);
/** The call has ended, and its span, if it has one, is over. Thread: shard. */
void cmdi_call_trace_end(struct cmds_call *call);
/** Its memory, without a word. Thread: as call_free_kept(). */
void cmdi_call_trace_drop(struct cmds_call *call);

#endif
