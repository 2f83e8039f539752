/* SPDX-License-Identifier: MIT */
/*
 * Traces: which command was part of what, and how long it took, across processes. The context is
 * W3C's (traceparent, tracestate, baggage), the names of spans and attributes are OpenTelemetry's and
 * otelcmd-stream-go's.
 *
 * A context is a value; a span is a record of 512 bytes. Nothing here opens a port or starts a thread.
 */
#ifndef CMDSTREAM_TRACE_H
#define CMDSTREAM_TRACE_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_call;
struct cmds_runtime;
struct cmds_type;

enum {
    CMDS_TRACE_SAMPLED = 1,     // Of cmds_trace.flags: somebody keeps the spans of this trace.
    CMDS_TRACEPARENT_SIZE = 56, // "00-", two ids, "-01", and the end of the text.
    CMDS_TRACESTATE_MAX = 512,  // What is longer is dropped, and never an error.
    CMDS_BAGGAGE_MAX = 8192,
};

/** Where something stands in a trace. All zero: nowhere. Frozen layout. */
struct cmds_trace {
    uint8_t trace_id[16], span_id[8];
    uint8_t flags; // CMDS_TRACE_SAMPLED; the other bits are as the peer sent them.
    uint8_t unused[7];
    struct cmds_string state, baggage; // W3C's tracestate and baggage, passed on as they are.
};

/**
 * Reads a traceparent as W3C's Trace Context has it: any version but ff, lower-case, no id of zeros. Of
 * a version above 00 it reads what version 00 has.
 *
 * Owner:   borrows `traceparent`. `state` and `baggage` of *trace become empty.
 * Thread:  any.
 * Returns: 0; CMDS_E_PROTO: it is none, and *trace is untouched.
 */
CMDS_API int cmds_trace_parse(struct cmds_trace *trace, struct cmds_string traceparent);
/**
 * Writes it as a traceparent of version 00, of whose flags only CMDS_TRACE_SAMPLED is sent: some
 * peers refuse all others. Thread: any.
 */
CMDS_API void cmds_trace_format(const struct cmds_trace *trace, char out[CMDS_TRACEPARENT_SIZE]);

/**
 * The context that came with the call's command, if that came under the number of a CMDS_TRACED type:
 * for what is sent on its behalf. cmds_group_forward() passes it on by itself.
 *
 * Owner:   it lives as long as the call.
 * Thread:  any that holds a reference or runs the exec function.
 * Returns: NULL: none came, or what came is no context.
 */
CMDS_API const struct cmds_trace *cmds_call_trace(const struct cmds_call *call);

/* --- Spans ------------------------------------------------------------------------------------ */

/** As OTLP numbers them. */
enum cmds_span_kind {
    CMDS_SPAN_SERVER = 2, // "Invoke T": from the command's bytes to its last result.
    CMDS_SPAN_CLIENT = 3, // "Send T": from the send to the last result.
};
/** Bits of cmds_span.flags. */
enum cmds_span_flag {
    CMDS_SPAN_REMOTE_PARENT = 1, // The parent is in another process.
    CMDS_SPAN_TRACED = 2,        // The command had a context on the wire: T is "tag (trace)".
};
enum {
    CMDS_SPAN_EVENTS_MAX = 8,
    CMDS_SPAN_ATTRIBUTES_MAX = 192, // Bytes: those of each value, and 10 for each attribute.
    CMDS_SPAN_PEER_MAX = 48,
};

/** Something that happened while a span was open: a result, or what the program said. */
struct cmds_span_event {
    uint64_t time_ns; // CLOCK_MONOTONIC.
    union {
        const struct cmds_type *type; // Of a result, which exporters call "result".
        const char *name;             // Of anything else. Static text.
    };
    uint32_t number; // Of a result: 1, 2, ... Of anything else: 0.
    uint32_t size;   // Of a result: of its whole frame.
};

/**
 * One operation of a trace, when it is over. What it points to is the program's static data: the types
 * that a protocol lists, keys and names.
 */
struct cmds_span {
    uint8_t trace_id[16], span_id[8];
    uint8_t parent_id[8];         // All zero: it has none.
    uint64_t start_ns, end_ns;    // CLOCK_MONOTONIC.
    const struct cmds_type *type; // As its protocol lists it; the name: type->schema->name.
    uint64_t sequence;            // Of the command, on its connection; 0: it was not sent.
    uint32_t size;                // Of the command's whole frame.
    int32_t error;                // 0: the status is unset; else it is an error: cmds_error_text().
    uint8_t kind;                 // enum cmds_span_kind
    uint8_t flags;                // enum cmds_span_flag
    uint8_t event_count;          // At most CMDS_SPAN_EVENTS_MAX.
    uint8_t dropped_attributes;   // What did not fit, at most 255.
    uint16_t attribute_size;      // Of `attributes`.
    uint16_t dropped_events;      // What did not fit, at most 65535.
    // "127.0.0.1:9000", "[::1]:9000", "unix:/run/x"; terminated, and cut if it is longer.
    char peer[CMDS_SPAN_PEER_MAX];
    struct cmds_span_event events[CMDS_SPAN_EVENTS_MAX];
    uint8_t attributes[CMDS_SPAN_ATTRIBUTES_MAX]; // For cmds_span_attribute().
};

/**
 * What a runtime records: a span "Invoke T" of each sampled command that a server executes, and "Send
 * T" of each that a group sends with a sampled context. Start from CMDS_TRACE_OPTIONS_INIT. A field left
 * at zero takes the default beside it.
 *
 * A trace is sampled if the context says so; one that begins here by ratio and rate. It begins with a
 * command that a server gets without a context, and with a send that has none, if the group's protocol
 * lists a CMDS_TRACED type. A send on behalf of a call is given the call's context, or it begins its own;
 * a forward has it. One that is not sampled goes out as it would without tracing, and its server decides.
 * Types, keys and
 * names are kept until cmds_runtime_stop(): protocols of servers and groups too.
 */
struct cmds_trace_options {
    uint32_t struct_size; // Set by CMDS_TRACE_OPTIONS_INIT.
    // Spans that each shard keeps, for cmds_span_take() and to be looked at: the newest ones. One that has
    // to give way before it was taken is dropped and counted; in a full ring one in 64 at once. A power of two,
    // 16 to 1048576. Default 4096, 2 MiB a shard.
    uint32_t span_count;
    // Traces that begin in a second, on each shard. Default 1000. This and root_ratio may be changed while it
    // runs: cmds_runtime_set_sampling().
    uint32_t span_rate_max;
    uint32_t unused;
    // Of commands that come, or are sent, without a context, so many begin a trace: above 0 to 1. By the trace's id,
    // as others do. Default 1: all, up to span_rate_max. Below 0: none.
    double root_ratio;
    /**
     * A span is over, and about to be kept: its last chance for attributes, see cmds_span_set(). Runs
     * on the thread that has ended it, mostly a shard. May be NULL.
     */
    void (*on_span_end)(void *context, struct cmds_span *span);
    void *context;
};
#ifdef __cplusplus
#define CMDS_TRACE_OPTIONS_INIT cmds_detail::sized<struct cmds_trace_options>()
#else
#define CMDS_TRACE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_trace_options)                                           \
    }
#endif

/** Who is sampled of those that no context decides, now. Start from CMDS_SAMPLING_INIT. */
struct cmds_sampling {
    uint32_t struct_size;   // Set by CMDS_SAMPLING_INIT.
    uint32_t span_rate_max; // Traces that begin in a second, on each shard. 0: none.
    double root_ratio; // Of those that come without a context so many begin a trace: 0 (none) to 1.
    uint32_t for_ms;   // Then it is by itself as it was before, up to a second later. 0: for ever.
    // What comes behind for_ms. cmds_runtime_sampling() fills them in; to set them has no effect.
    uint32_t after_rate_max;
    double after_ratio;
};
#ifdef __cplusplus
#define CMDS_SAMPLING_INIT cmds_detail::sized<struct cmds_sampling>()
#else
#define CMDS_SAMPLING_INIT                                                                         \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_sampling)                                                \
    }
#endif

/**
 * The sampling that is in force: at first that of cmds_runtime_options.trace. for_ms is what is left of it.
 *
 * Owner:   fills *sampling.
 * Thread:  any, until cmds_runtime_stop() is called.
 * Returns: 0; -ENOTSUP: no spans are kept, cmds_runtime_options.trace; -EINVAL: it was not started from its
 *          INIT macro, or is NULL.
 */
CMDS_API int cmds_runtime_sampling(
        const struct cmds_runtime *runtime, struct cmds_sampling *sampling);
/**
 * Changes it while the runtime works, for traces that begin from now on; each shard takes it over by itself, at
 * no cost. With for_ms it ends by itself, no thread needed: whoever looks closely at a service for a while
 * need not come back to undo that. One that is set meanwhile takes its place, and what comes behind it stays.
 * Whoever comes with a sampled context is still followed, but by servers with resample_traces.
 *
 * Thread:  any, until cmds_runtime_stop() is called.
 * Returns: as cmds_runtime_sampling(); -EINVAL also: root_ratio is not in 0 to 1; -E2BIG: it has something that
 *          this library lacks; CMDS_E_FORKED. Then nothing is changed.
 */
CMDS_API int cmds_runtime_set_sampling(
        struct cmds_runtime *runtime, const struct cmds_sampling *sampling);

/**
 * Takes spans that are over, in no order, and makes room for further ones. A call that outlives its
 * server leaves none.
 *
 * Owner:   copies into `out`.
 * Thread:  any, one at a time; until cmds_runtime_stop() is called.
 * Returns: how many; 0 also without cmds_runtime_options.trace, and in a forked child.
 */
CMDS_API uint32_t cmds_span_take(
        struct cmds_runtime *runtime, struct cmds_span *out, uint32_t count_max);
/** Spans that had to give way before they were taken. Thread: any, until cmds_runtime_stop() is called. */
CMDS_API uint64_t cmds_span_dropped(const struct cmds_runtime *runtime);

/** Which spans are looked at. Start from CMDS_SPAN_QUERY_INIT; with nothing else set: all. */
struct cmds_span_query {
    uint32_t struct_size; // Set by CMDS_SPAN_QUERY_INIT.
    uint8_t kind;         // enum cmds_span_kind. Default 0: both.
    bool failed;          // Only those with an error.
    bool slowest; // The slowest of them, the slowest first. Default: the newest, the newest first.
    uint8_t unused;
    uint8_t trace_id[16];     // Of this trace. Default all zero: of all.
    const char *type;         // Of commands of this type, by its name. Default NULL: of all.
    uint64_t duration_min_ns; // That took at least so long.
    // So many of what each shard keeps are looked at, its newest ones. Default 0: all, which is span_count.
    uint32_t depth;
    uint32_t unused2;
};
#ifdef __cplusplus
#define CMDS_SPAN_QUERY_INIT cmds_detail::sized<struct cmds_span_query>()
#else
#define CMDS_SPAN_QUERY_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_span_query)                                              \
    }
#endif

/**
 * Looks at spans that are over, and leaves them where they are: for a person, beside an exporter. A shard keeps
 * its newest span_count, whether somebody has taken them or not. What it looks at costs a shard nothing per
 * span; for the look itself it visits at most 128 of them in a turn.
 *
 *     struct cmds_span_query query = CMDS_SPAN_QUERY_INIT;
 *     query.failed = true;
 *     code = cmds_span_look(runtime, &query, list, 100, &count);
 *     // `count` have failed, of which the newest 100 are in the list.
 *
 * Owner:   borrows `query`, NULL: all; copies into `list`, which has room for `count_max`; NULL with 0 only counts.
 * Thread:  any but a shard, beside cmds_span_take() too; it waits for each shard, and for whoever lists
 *          already, as long as cmds_runtime_connections() does. It may be called until cmds_runtime_stop() is,
 *          which waits for those that are under way.
 * Returns: 0; CMDS_E_TIMEOUT: a shard or more were not waited for any longer: what the others have is in the
 *          list, as with 0; -ENOTSUP: no spans are kept, cmds_runtime_options.trace; -EINVAL: `count` or `list` is NULL, the
 *          query was not started from its INIT macro, there is no such kind; -E2BIG: it has something that this
 *          library lacks; CMDS_E_CLOSED: the runtime is being stopped; -EDEADLK on a shard or inside a callback;
 *          -EXDEV: another thread turns this inline runtime; -ENOMEM; CMDS_E_FORKED. Then *count is untouched.
 */
CMDS_NODISCARD CMDS_API int cmds_span_look(struct cmds_runtime *runtime,
        const struct cmds_span_query *query, struct cmds_span *list, size_t count_max,
        size_t *count);

/**
 * The span of a call, while it is open: for cmds_span_set(). The call's shard writes to it as well, so
 * it is for that thread alone.
 *
 * Thread:  the call's shard.
 * Returns: NULL: it is not sampled.
 */
CMDS_API struct cmds_span *cmds_call_span(struct cmds_call *call);
/**
 * Notes in the call's span that something has happened, now. Without a span it does nothing.
 *
 * Owner:   keeps `static_name` as long as there are spans.
 * Thread:  any that holds a reference or runs the exec function.
 */
CMDS_API void cmds_call_event(struct cmds_call *call, const char *static_name);

/**
 * Adds an attribute, a string; what does not fit is counted in dropped_attributes. A key that is there
 * already is there twice.
 *
 * Owner:   keeps `static_key` as long as there are spans; copies `value`.
 * Thread:  the span's: one at a time.
 */
CMDS_API void cmds_span_set(
        struct cmds_span *span, const char *static_key, struct cmds_string value);
/**
 * The attributes one after the other: `*at` begins at 0.
 *
 * Owner:   *value points into the span.
 * Thread:  as cmds_span_set().
 * Returns: false: there is no further one.
 */
CMDS_API bool cmds_span_attribute(
        const struct cmds_span *span, uint32_t *at, const char **key, struct cmds_string *value);

CMDS_END_

#endif
