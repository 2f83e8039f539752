/* SPDX-License-Identifier: MIT */
/*
 * What a runtime is doing now: its shards, its connections, the calls that have not ended, its options. For a
 * person who looks, not for counting: see stats.h and telemetry.h.
 *
 * The shards answer by themselves, at most 128 entries in a turn, so that nobody else waits for long;
 * each entry is right at the moment in which its shard looked at it, the list is not one instant's. A shard
 * that a callback holds up does not answer, and is not waited for beyond a bound: then the list is what the
 * others have, and cmds_runtime_shards(), which waits for nobody, says what holds it up.
 */
#ifndef CMDSTREAM_INSPECT_H
#define CMDSTREAM_INSPECT_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_runtime;

/** Whose connection it is. */
enum cmds_side {
    CMDS_SIDE_SERVER = 0,
    CMDS_SIDE_GROUP = 1, // Or a sender's.
};

/** How far a connection is, in this order. */
enum cmds_stage {
    CMDS_STAGE_CONNECTING = 0,
    CMDS_STAGE_TLS = 1,         // The handshake.
    CMDS_STAGE_SERVER_INFO = 2, // A client waits for the ServerInfo.
    CMDS_STAGE_OPEN = 3,
    CMDS_STAGE_FINISHING = 4, // Nothing more is received; what is to be sent leaves.
    CMDS_STAGE_LINGERING = 5, // All was sent; the peer has not ended it yet.
    CMDS_STAGE_CLOSING = 6,
};

/** Why nothing is read from a connection; or-ed. */
enum cmds_pause {
    CMDS_PAUSE_CALLS = 1,    // As many calls as in_flight_max or kept_size_max allow.
    CMDS_PAUSE_OUTPUT = 2,   // The peer does not take what is sent to it.
    CMDS_PAUSE_MEMORY = 4,   // The shard's memory is short: memory_size_max.
    CMDS_PAUSE_BUFFERS = 8,  // No receive buffer is free: buffer_count_max, buffer_size.
    CMDS_PAUSE_PROGRAM = 16, // The program: cmds_group_pause().
    CMDS_PAUSE_END = 32,     // Nothing more comes, or nothing more is wanted: it drains.
};

/** A connection that is not closed. Start the first one of an array from CMDS_LISTED_CONNECTION_INIT. */
struct cmds_listed_connection {
    uint32_t struct_size; // CMDS_LISTED_CONNECTION_INIT; members beyond it are not written.
    uint32_t shard;
    uint64_t id;   // As cmds_connection_id(); a group's: its number, see cmds_group_connection().
    uint8_t side;  // enum cmds_side
    uint8_t stage; // enum cmds_stage
    uint8_t tls_version; // 12 or 13; 0: plain, or the handshake is not over.
    uint8_t unused;
    uint32_t pauses;    // enum cmds_pause; 0: it is read.
    uint32_t in_flight; // Calls that have not ended; of a group: commands without a last result.
    uint32_t rtt_us;    // Of a group: as cmds_connection_info.rtt_us.
    uint64_t age_ms;
    uint64_t idle_ms; // Since something was last received or sent.
    uint64_t recv_bytes, send_bytes;
    uint64_t queued_bytes; // Wait to be sent.
    char peer[128];        // "10.0.0.7:52100", "host.name:9000 (10.0.0.7:9000)"; cut if longer.
    char name[128];        // The option `name` of its server, group or sender; "": none.
};

/** What a call waits for. */
enum cmds_call_stage {
    CMDS_CALL_KEPT = 0,  // Whoever keeps it: cmds_call_ref(), cmds_call_after(), a forward.
    CMDS_CALL_POOL = 1,  // A thread of the worker pool, which it waits for or has.
    CMDS_CALL_AGAIN = 2, // Its next round: CMDS_EXEC_AGAIN.
    CMDS_CALL_ROOM = 3,  // The peer, to take results: cmds_call_on_writable().
};

/**
 * A call that has outlived its exec function, or is in the pool. Start the first one of an array from
 * CMDS_LISTED_CALL_INIT.
 */
struct cmds_listed_call {
    uint32_t struct_size; // CMDS_LISTED_CALL_INIT; members beyond it are not written.
    uint32_t shard;
    uint64_t connection;  // As cmds_connection_id().
    uint64_t sequence;    // As cmds_call_sequence().
    uint64_t received_ns; // As cmds_call_received_ns().
    uint64_t age_us;
    uint64_t round;   // As cmds_call_round().
    uint64_t results; // Sent so far.
    uint8_t stage;    // enum cmds_call_stage
    bool finished;    // Its last result was sent.
    bool cancelled;   // Nobody waits for it any more: it was given up, or its connection has ended.
    uint8_t unused[5];
    char type[64];  // Of the command; cut if longer.
    char peer[128]; // As cmds_listed_connection.peer.
    char name[128]; // Of its server.
};

#ifdef __cplusplus
#define CMDS_LISTED_CONNECTION_INIT cmds_detail::sized<struct cmds_listed_connection>()
#define CMDS_LISTED_CALL_INIT       cmds_detail::sized<struct cmds_listed_call>()
#else
#define CMDS_LISTED_CONNECTION_INIT                                                                \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_listed_connection)                                       \
    }
#define CMDS_LISTED_CALL_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_listed_call)                                             \
    }
#endif

/** A shard, as it is seen without asking it. Start the first one of an array from CMDS_LISTED_SHARD_INIT. */
struct cmds_listed_shard {
    uint32_t struct_size; // CMDS_LISTED_SHARD_INIT; members beyond it are not written.
    uint32_t shard;
    uint64_t turn_us; // How long its present turn has lasted; 0: it waits, or has no thread.
    // Since a list was asked of it that was not waited for, and that it has not come to yet; 0: none was.
    uint64_t unanswered_us;
    // Of the command whose exec function runs, or the result whose callback does, or which did so last in
    // this turn; cut if longer; "": none yet.
    char type[64];
};

#ifdef __cplusplus
#define CMDS_LISTED_SHARD_INIT cmds_detail::sized<struct cmds_listed_shard>()
#else
#define CMDS_LISTED_SHARD_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_listed_shard)                                            \
    }
#endif

/**
 * The shards, in their order: which one is held up, and by what? It asks nobody.
 *
 * Owner:   borrows `list`, as cmds_runtime_connections().
 * Thread:  any, also a shard, until cmds_runtime_stop() is called.
 * Returns: 0; -EINVAL: `count` is NULL, or `list`, or its struct_size was not set; CMDS_E_FORKED. Then
 *          nothing was written.
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_shards(struct cmds_runtime *runtime,
        struct cmds_listed_shard *list, size_t count_max, size_t *count);

/**
 * The connections of all servers, groups and senders, shard by shard, on each of them the oldest first.
 * A group's connection that waits to be tried again is none: see cmds_group_connection().
 *
 *     struct cmds_listed_connection list[100] = {CMDS_LISTED_CONNECTION_INIT};
 *     size_t count = 0;
 *     int code = cmds_runtime_connections(runtime, list, 100, &count);
 *     // There are `count`, of which the first 100 are in the list.
 *
 * Owner:   borrows `list`, which has room for `count_max`; NULL with 0 only counts. The struct_size of
 *          the first is that of all.
 * Thread:  any but a shard; it waits for each shard, and for whoever lists already: 250 ms for a shard that
 *          does nothing for it, and for one whose turn has lasted that long not at all; 2 s in all, however
 *          many there are. It may be called until cmds_runtime_stop() is, which waits for those under way.
 * Returns: 0; CMDS_E_TIMEOUT: a shard or more were not waited for any longer: `list` and `count` are what was
 *          seen, as with 0; -EINVAL: `count` is NULL, or `list`, or its struct_size was not set;
 *          CMDS_E_CLOSED: the runtime is being stopped; -EDEADLK on a shard or inside a callback; -EXDEV:
 *          another thread turns this inline runtime; -ENOMEM; CMDS_E_FORKED. Then nothing was written.
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_connections(struct cmds_runtime *runtime,
        struct cmds_listed_connection *list, size_t count_max, size_t *count);
/**
 * The calls of all servers that are kept, in the pool, or wait for another round or for room, those that
 * were received first in front: what is stuck? If there are more than `count_max`, it is the oldest that
 * are in the list.
 *
 * Owner, thread, returns: as cmds_runtime_connections().
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_calls(struct cmds_runtime *runtime,
        struct cmds_listed_call *list, size_t count_max, size_t *count);

enum cmds_option_kind {
    CMDS_OPTION_NUMBER = 0,
    CMDS_OPTION_BOOL = 1, // `number` is 0 or 1.
    CMDS_OPTION_TEXT = 2, // `text`
    CMDS_OPTION_SET = 3,  // `number`: 1: it is set. What it is set to is not told, or cannot be.
    // `text` says what `number` stands for: a value of an enum, CMDS_NEVER.
    CMDS_OPTION_WORD = 4,
    CMDS_OPTION_REAL = 5, // `real`
};

/** An option as it is in effect: what the program has left at zero has its default. */
struct cmds_listed_option {
    const char *object; // "runtime", "server", "group"; a sender is a group.
    const char *owner;  // The option `name` of that; "": none.
    const char *name;   // "idle_timeout_ms"; "trace.span_count" of options that it points to.
    const char *text;
    uint64_t number; // Times in ms: CMDS_NEVER is 4294967295, and the word for it is "never".
    uint32_t index;  // Which server or group of the runtime it is, from 0; those that end move it.
    uint8_t kind;    // enum cmds_option_kind; there may be more of them.
    uint8_t unused[3];
    double real;
};
typedef void (*cmds_option_fn)(void *context, const struct cmds_listed_option *option);
/**
 * Calls `fn` with every option of the runtime, of its servers, its groups and its senders, those of one
 * in a row. Nothing secret is among them: of the ServerInfo and of TLS only that it is set.
 *
 * Owner:   what `option` points to is borrowed until `fn` returns.
 * Thread:  any, until cmds_runtime_stop() is called. `fn` is called on it; it must not open or close
 *          servers, groups or senders.
 * Returns: 0; -EINVAL: NULL; CMDS_E_FORKED.
 */
CMDS_API int cmds_runtime_options_list(
        struct cmds_runtime *runtime, cmds_option_fn fn, void *context);

CMDS_END_

#endif
