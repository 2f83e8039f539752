/* SPDX-License-Identifier: MIT */
/*
 * A server's part on one shard: its connections and calls, their memory, and how they end.
 *
 * It belongs to a server, or to a test harness, and knows neither: what its owner is to do stands
 * in a table. It ends when its owner has closed it and the last connection has closed and the last
 * job has come back. Calls that are kept by then outlive it as orphans, and its memory with them.
 */
#ifndef CMDI_SERVER_SERVER_SHARD_H
#define CMDI_SERVER_SERVER_SHARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/count.h"
#include "base/list.h"
#include "base/pool.h"
#include "codec/arena.h"
#include "conn/direct.h"
#include "server/options.h"
#include "shard/inbox.h"
#include "shard/shard.h"
#include "shard/workers.h"
#include "telemetry/ledger.h"

struct cmds_connection;
struct cmdi_server_shard;

enum {
    CMDI_KEPT_POOLS = 2,
    CMDI_INBOX_ROOMS = 64, // Of a server's connections on one shard, by their ids.
};

/** What the owner does for it. On the shard's thread unless it says another one; none is NULL. */
struct cmdi_server_shard_ops {
    /** A connection has closed, or one that was counted for it could not be opened. */
    void (*on_connection_closed)(struct cmdi_server_shard *server_shard);
    /** CLOSING, and nothing is left: calls cmdi_server_shard_end(), with which it is gone. */
    void (*on_empty)(struct cmdi_server_shard *server_shard);
    /**
     * Runs job->fn, which may block, where that may be: the worker pool. `queue` is that of the
     * job's connection. Returns: as cmdi_workers_push().
     */
    int (*push_job)(struct cmdi_server_shard *server_shard, struct cmdi_job_queue *queue,
            struct cmdi_job *job);
    /** On the thread of a job: it may wait, as cmdi_workers_may_wait(), and has waited. */
    bool (*job_may_wait)(struct cmdi_server_shard *server_shard);
    void (*job_waited)(struct cmdi_server_shard *server_shard);
    /** A connection drains: what its calls wait for is told. */
    void (*drain)(struct cmds_connection *connection);
};

enum cmdi_server_shard_state {
    CMDI_SERVER_SHARD_OPEN,     // Connections come.
    CMDI_SERVER_SHARD_DRAINING, // Each one, also a new one, ends with its last call.
    CMDI_SERVER_SHARD_CLOSING,  // No new one; ends with its last connection and job.
    CMDI_SERVER_SHARD_ENDING,   // None is left. No timer may be armed any more.
};

struct cmdi_server_counters {
    struct cmdi_conn_counters conn;
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_SERVER_OWN_COUNTERS_(CMDI_X_)
#undef CMDI_X_
    struct cmdi_tls_counters tls;
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_SERVER_PRESSURE_COUNTERS_(CMDI_X_)
    CMDS_SERVER_NOW_COUNTERS_(CMDI_X_)
#undef CMDI_X_
};

/**
 * What the last result that did not end its call has told of the next one, which may be alike. All of it follows from
 * the sequence and the type: it holds for another call, too, and no address of one that may be gone is kept.
 */
struct cmdi_result_alike {
    const struct cmds_type *type;
    const struct cmdi_type_entry *entry; // Of that type.
    struct cmdi_direct_head head; // Of its frame. Sequence 0, which no call has: there is none.
};

struct cmdi_server_shard {
    struct cmdi_server_core *core;
    const struct cmdi_server_shard_ops *ops; // Until ended.
    void *owner;                             // Of `ops`.
    struct cmdi_shard *shard;                // Valid until ended.
    struct cmdi_job_lane *lane;              // Of the owner's jobs. NULL: it has none.
    struct cmdi_list connections;            // struct cmds_connection: not closed yet.
    struct cmdi_list closed;                 // The same, CLOSED: calls of them are kept.
    struct cmdi_pool connection_pool, more_pool, call_pool, trace_pool;
    // Copied commands up to 512, up to 2048 bytes; larger ones are malloc'ed.
    struct cmdi_pool kept_pools[CMDI_KEPT_POOLS];
    struct cmds_arena arena; // Of the command being decoded.
    struct cmdi_result_alike alike;
    struct cmdi_server_counters counters;
    struct cmdi_tally tally;            // Of `counters` and refused_elsewhere.
    struct cmdi_ledger_shard *ledger;   // Of its commands. NULL: none is kept.
    _Atomic uint64_t refused_elsewhere; // results_refused, by other threads.
    uint64_t kept_size; // Copied commands and the like that are malloc'ed: in the account.
    void *shard_state;
    uint8_t state;          // enum cmdi_server_shard_state
    _Atomic int cut_code;   // Why the first connection was cut off while it drained; 0: none was.
    bool state_started;     // on_shard_start has succeeded.
    uint32_t jobs;          // Calls in the worker pool.
    uint32_t sweep_left;    // Connections at most that are still to be drained or closed...
    struct cmdi_work sweep; // ... some at a time.
    struct cmdi_list over; // struct cmds_call: waited for room, and nobody waits for it any more...
    struct cmdi_work over_work; // ... which they learn in here.
    struct cmdi_mail end;
    struct cmdi_work end_work;

    // Of the connections' inboxes: as long as the last call of one.
    struct cmdi_inbox_room inbox_rooms[CMDI_INBOX_ROOMS];
    // Of those below, for threads that let go of the last reference, or ask for room.
    pthread_mutex_t lock;
    bool ended;       // The shard does not know us any more.
    uint32_t asks;    // Mails of calls that ask for room, under way: it stays until they have come.
    uint32_t orphans; // Calls that were alive when it ended.

    /*
     * The last result that was not taken, and why, for the line about an exec function that returns just
     * that. Under `lock`.
     */
    struct {
        uint64_t connection, sequence; // Of its call: memory of a call is soon another one's.
        struct cmds_error why;
    } refused;
};

/** Keeps `ops`. Gives: cmdi_server_shard_end(). Thread: its shard. Returns: NULL without memory. */
struct cmdi_server_shard *cmdi_server_shard_create(struct cmdi_server_core *core,
        struct cmdi_shard *shard, const struct cmdi_server_shard_ops *ops, void *owner);
/** It counts for these, the second of which may be NULL, until it ends. Thread: its shard. */
void cmdi_server_shard_count_for(struct cmdi_server_shard *server_shard, struct cmdi_scope *scope,
        struct cmdi_ledger *ledger);
/** Each connection ends with its last call, some at a time. Thread: its shard. */
void cmdi_server_shard_drain(struct cmdi_server_shard *server_shard);
/** Each connection is closed, some at a time; ops->on_empty when all are. Thread: its shard. */
void cmdi_server_shard_close(struct cmdi_server_shard *server_shard);
/** No timer is armed from here on: those of calls have been ended. Thread: its shard. */
void cmdi_server_shard_ending(struct cmdi_server_shard *server_shard);
/**
 * The shard lets go: frees it, or leaves it to the calls that are alive. After
 * cmdi_calls_end_timers(). Thread: its shard.
 */
void cmdi_server_shard_end(struct cmdi_server_shard *server_shard);

/** One of its connections has closed, or could not be opened. Thread: its shard. */
void cmdi_server_shard_connection_closed(struct cmdi_server_shard *server_shard);
/** One of `asks` has come. Thread: its shard. */
void cmdi_server_shard_ask_ended(struct cmdi_server_shard *server_shard);
/** A job has come back. Thread: its shard. */
void cmdi_server_shard_job_ended(struct cmdi_server_shard *server_shard);
/** A closed connection without calls: its memory. Thread: its shard. */
void cmdi_server_shard_free_connection(
        struct cmdi_server_shard *server_shard, struct cmds_connection *connection);
/**
 * A call that outlived it has ended; frees it with the last one. Thread: any, under
 * server_shard->lock, which it releases.
 */
void cmdi_server_shard_orphan_ended(
        struct cmdi_server_shard *server_shard, struct cmds_connection *connection);

static inline bool cmdi_server_shard_is_open(const struct cmdi_server_shard *server_shard)
{
    return server_shard->state < CMDI_SERVER_SHARD_CLOSING;
}

#endif
