/* SPDX-License-Identifier: MIT */
/*
 * Counters: of a runtime's shards, of one server, of one group.
 *
 * Each belongs to the object whose event it counts, and lives as long as that. Each list below is an
 * X-macro of rows (kind, name, meaning), where `counter` only grows and `gauge` is a quantity now; so a
 * program can print or export them without naming each:
 *
 *     #define PRINT(kind, name, meaning) printf("%s %llu\n", #name, (unsigned long long)counters.name);
 *     CMDS_SERVER_COUNTERS(PRINT)
 *
 * The numbers are sums over the shards, which write them without a lock: each is exact, but the set is
 * not one instant's. A struct begins with its size, so that a program and a library of different
 * versions go together: a shorter struct gets the members that it has, and of a longer one the members
 * that the library does not know stay as they are. New rows are added at the end of a struct.
 *
 * An event counts once in each counter whose meaning it has: a connection that is closed for an error
 * is one more of connections_closed, and one more of that error.
 */
#ifndef CMDSTREAM_STATS_H
#define CMDSTREAM_STATS_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_group;
struct cmds_runtime;
struct cmds_sender;
struct cmds_server;

/** Of the shards: their loop, their ring, their memory. */
#define CMDS_RUNTIME_COUNTERS(X)                                                                   \
    X(counter, turns, "turns of a shard's loop")                                                   \
    X(counter, enters, "io_uring_enter calls")                                                     \
    X(counter, sleeps, "enters that could sleep")                                                  \
    X(counter, completions, "completions harvested")                                               \
    X(counter, spins, "spins begun")                                                               \
    X(counter, spin_hits, "spins that found work")                                                 \
    X(counter, spin_stops,                                                                         \
            "times that another thread needed the core, and spinning stopped for a while")         \
    X(counter, wakes, "wake-ups sent to a sleeping shard")                                         \
    X(counter, posts, "messages taken from a shard's mailbox")                                     \
    X(counter, stale_completions, "completions for a connection that was gone")                    \
    X(counter, buffers_empty, "receives that ended because the shard's buffers were used up")      \
    X(gauge, buffer_bytes, "leased for connection buffers now")                                    \
    X(gauge, memory_bytes, "of all that memory_size_max bounds, held now")

/**
 * Of the connections of one server or one group. Both lists below begin with these, so this one does
 * not grow, nor do those in their middle: what is new is added at their end.
 */
#define CMDS_CONNECTION_COUNTERS(X)                                                                \
    X(gauge, connections, "open now; of a group, also those that are being opened")                \
    X(counter, connections_closed, "connections ended; of a group, also attempts to open one")     \
    X(counter, recv_bytes, "bytes received")                                                       \
    X(counter, send_bytes, "bytes sent")                                                           \
    X(counter, sends, "send operations")                                                           \
    X(counter, short_sends, "sends that took less than was given")                                 \
    X(counter, read_pauses, "times that a connection stopped reading at a bound")                  \
    X(counter, resets, "connections that the peer reset, or that lost their peer")                 \
    X(counter, proto_errors, "connections closed: the peer broke the wire protocol")               \
    X(counter, codec_errors, "connections closed: a body could not be decoded")                    \
    X(counter, idle_closes, "connections closed: idle")                                            \
    X(counter, frame_timeouts, "connections closed: a frame did not get whole in time")            \
    X(counter, slow_consumers, "connections closed: the peer took nothing for too long")           \
    X(counter, out_of_memory, "connections closed: no memory, or the shard's limit")               \
    X(counter, memory_evictions,                                                                   \
            "connections closed: they held most when a shard's memory was short")

/** Of their TLS; all 0 without. */
#define CMDS_TLS_COUNTERS(X)                                                                       \
    X(counter, tls_handshakes, "handshakes that ended well")                                       \
    X(counter, tls_resumed, "handshakes that ended well by resuming a session")                    \
    X(counter, tls_failed, "handshakes that failed")                                               \
    X(counter, tls_alerts_in, "alerts received, but for the one that ends in order")               \
    X(counter, tls_alerts_out, "alerts sent, but for the one that ends in order")                  \
    X(counter, tls_glitches, "records received that brought nothing")                              \
    X(counter, tls_truncated, "connections that the peer ended without saying so")                 \
    X(gauge, tls_waiting, "handshakes that wait for their turn now")                               \
    X(counter, tls_handshake_us, "microseconds that handshakes took of the shards")

#define CMDS_SERVER_COUNTERS(X)                                                                    \
    CMDS_CONNECTION_COUNTERS(X)                                                                    \
    CMDS_SERVER_OWN_COUNTERS_(X)                                                                   \
    CMDS_TLS_COUNTERS(X) CMDS_SERVER_PRESSURE_COUNTERS_(X) CMDS_SERVER_NOW_COUNTERS_(X)
#define CMDS_SERVER_OWN_COUNTERS_(X)                                                               \
    X(counter, connections_accepted, "connections accepted within the limit")                      \
    X(counter, connections_refused, "connections refused: the limit, or then on_connect")          \
    X(counter, accept_errors, "accepts that failed: no descriptor or no memory")                   \
    X(counter, commands_received, "commands decoded, each of which is a call")                     \
    X(counter, results_sent, "results sent")                                                       \
    X(counter, exec_errors, "calls that failed, unfinished ones among them")                       \
    X(counter, exec_rounds, "exec functions run again")                                            \
    X(counter, exec_timeouts, "calls given up: exec_timeout_ms passed before the last result")     \
    X(counter, unfinished_calls, "calls that failed: released without a last result")              \
    X(counter, pings_answered, "pings answered")

#define CMDS_SERVER_PRESSURE_COUNTERS_(X)                                                          \
    X(counter, results_refused, "sends of results that were -ENOBUFS")                             \
    X(counter, slow_spared, "times that a slow reader was let stay (CMDS_SLOW_READER_WAIT)")       \
    X(counter, exec_closes, "connections closed: an exec function failed")
#define CMDS_SERVER_NOW_COUNTERS_(X)                                                               \
    X(gauge, calls, "calls in flight now: in the pool, kept, or waiting for a round or for room")

#define CMDS_GROUP_COUNTERS(X)                                                                     \
    CMDS_CONNECTION_COUNTERS(X)                                                                    \
    CMDS_GROUP_OWN_COUNTERS_(X)                                                                    \
    CMDS_TLS_COUNTERS(X)                                                                           \
    CMDS_GROUP_PRESSURE_COUNTERS_(X) CMDS_GROUP_AGAIN_COUNTERS_(X) CMDS_GROUP_NOW_COUNTERS_(X)
#define CMDS_GROUP_OWN_COUNTERS_(X)                                                                \
    X(counter, commands_sent, "commands sent")                                                     \
    X(counter, results_received, "results received")                                               \
    X(counter, unexpected_results, "results that nobody waited for")                               \
    X(counter, deadlines, "commands that ended by their deadline")                                 \
    X(counter, pings_sent, "pings sent")
#define CMDS_GROUP_PRESSURE_COUNTERS_(X)                                                           \
    X(counter, sends_refused, "sends of commands that were -ENOBUFS")
#define CMDS_GROUP_AGAIN_COUNTERS_(X)                                                              \
    X(counter, commands_not_allowed, "sends of commands that the circuit breaker refused")         \
    X(counter, commands_resent, "times that a command was sent again: see `resend`")               \
    X(counter, second_choices,                                                                     \
            "commands whose key's first choice was down, out, full, or had too many")
#define CMDS_GROUP_NOW_COUNTERS_(X)                                                                \
    X(gauge, commands_pending,                                                                     \
            "commands in flight now, without their last result; one may count twice for a moment")

#define CMDS_X_(kind, name, meaning) uint64_t name;
struct cmds_runtime_counters {
    uint32_t struct_size; // Set by CMDS_RUNTIME_COUNTERS_INIT.
    uint32_t unused;
    CMDS_RUNTIME_COUNTERS(CMDS_X_)
};
struct cmds_server_counters {
    uint32_t struct_size; // Set by CMDS_SERVER_COUNTERS_INIT.
    uint32_t unused;
    CMDS_SERVER_COUNTERS(CMDS_X_)
};
struct cmds_group_counters {
    uint32_t struct_size; // Set by CMDS_GROUP_COUNTERS_INIT.
    uint32_t unused;
    CMDS_GROUP_COUNTERS(CMDS_X_)
};
#undef CMDS_X_

#ifdef __cplusplus
#define CMDS_RUNTIME_COUNTERS_INIT cmds_detail::sized<struct cmds_runtime_counters>()
#define CMDS_SERVER_COUNTERS_INIT  cmds_detail::sized<struct cmds_server_counters>()
#define CMDS_GROUP_COUNTERS_INIT   cmds_detail::sized<struct cmds_group_counters>()
#else
#define CMDS_RUNTIME_COUNTERS_INIT                                                                 \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_runtime_counters)                                        \
    }
#define CMDS_SERVER_COUNTERS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_server_counters)                                         \
    }
#define CMDS_GROUP_COUNTERS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_group_counters)                                          \
    }
#endif

/** Of all shards. Owner: borrows. Thread: any. */
CMDS_API void cmds_runtime_stats(
        const struct cmds_runtime *runtime, struct cmds_runtime_counters *counters);
/** Owner: borrows. Thread: any, until cmds_server_close() or cmds_runtime_stop() is called. */
CMDS_API void cmds_server_stats(
        const struct cmds_server *server, struct cmds_server_counters *counters);
/**
 * Owner:   borrows.
 * Thread:  any that may use the group: see cmds_group_ref().
 * Returns: 0; CMDS_E_CLOSED: the group has ended, and `counters` is as it was; -EINVAL: NULL.
 */
CMDS_API int cmds_group_stats(struct cmds_group *group, struct cmds_group_counters *counters);
/**
 * Of the sender's connections and commands. Owner: borrows. Thread: any, until cmds_sender_close() is
 * called. Returns: as cmds_group_stats().
 */
CMDS_API int cmds_sender_stats(struct cmds_sender *sender, struct cmds_group_counters *counters);

CMDS_END_

#endif
