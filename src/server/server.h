/* SPDX-License-Identifier: MIT */
/*
 * The inside of a server.
 *
 *     cmds_server --- core (options, tables; counted, outlives the server while calls are kept)
 *        |               |
 *        |             server_shard, one per shard: its connections, calls, memory (counted by kept calls)
 *        |               |
 *        |             connection, one per accepted socket: embeds struct cmdi_conn
 *        |               |
 *        +- listeners  call, one per command in execution
 *
 * A connection and its calls are touched by their shard alone, but for the functions of
 * <cmdstream/server.h> that say otherwise. Those come down to three: results go through the
 * connection's inbox, the last unref through a message to the shard, and after the
 * server's end through the server shard's lock.
 */
#ifndef CMDI_SERVER_SERVER_H
#define CMDI_SERVER_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/codec.h>
#include <cmdstream/server.h>

#include "base/list.h"
#include "base/pool.h"
#include "codec/arena.h"
#include "codec/protocol.h"
#include "conn/conn.h"
#include "ring/poller.h"
#include "ring/socket.h"
#include "server/call_observer.h"
#include "shard/inbox.h"
#include "shard/runtime.h"

enum {
    CMDI_PEER_TEXT_MAX = 64,
    CMDI_ADDRESSES_OF_SERVER_MAX = 64,
    CMDI_KEPT_POOLS = 2,
};

/** What outlives cmds_server_close() while calls are kept. Constant after start. */
struct cmdi_server_core {
    struct cmds_server_options options; // Defaults filled in.
    struct cmdi_type_table commands, results;
    const struct cmds_exec **execs; // By the index of the command's entry in `commands`.
    struct cmdi_conn_limits limits;
    uint8_t server_info[2 + CMDI_SERVER_INFO_MAX];
    size_t server_info_size;
    bool self_delimiting;
    _Atomic uint32_t refs; // One for the server, one for each shard.
};

/** A server's part on one shard. */
struct cmdi_server_shard {
    struct cmdi_server_core *core;
    struct cmds_server *server;   // Valid until ended.
    struct cmdi_shard *shard;     // Valid until ended.
    struct cmdi_list connections; // struct cmds_connection: not closed yet.
    struct cmdi_list zombies;     // struct cmds_connection: closed, but calls of them are kept.
    struct cmdi_pool connection_pool, call_pool;
    // Copied commands up to 512, up to 2048 bytes; larger ones are malloc'ed.
    struct cmdi_pool kept_pools[CMDI_KEPT_POOLS];
    struct cmds_arena arena; // Of the command being decoded.
    uint64_t kept_size;      // Copied commands and the like that are malloc'ed: in the account.
    void *shard_state;
    bool draining;
    bool state_started;     // on_shard_start has succeeded.
    bool closing;           // Ends with its last connection and job.
    uint32_t jobs;          // Calls in the worker pool.
    bool ending;            // `end` is under way: no timer may be armed any more.
    uint32_t sweep_left;    // Connections at most that are still to be drained or closed...
    struct cmdi_work sweep; // ... some at a time.
    struct cmdi_mail end;
    struct cmdi_work end_work;

    pthread_mutex_t lock; // Of the two below, for threads that let go of the last reference.
    bool ended;           // The shard does not know us any more.
    uint32_t orphans;     // Calls that were alive when it ended.
};

struct cmds_connection {
    struct cmdi_conn conn;
    struct cmdi_server_shard *server_shard;
    struct cmdi_list link;   // server_shard->connections
    struct cmdi_list calls;  // struct cmds_call: kept, waiting, or in the pool.
    struct cmdi_list again;  // struct cmds_call: to be run once more.
    struct cmdi_inbox inbox; // Results of other threads.
    uint64_t id;
    void *context;
    struct cmdi_timer room; // Paused, and a little room: reads on when it fires.
    // Of its calls in the pool, each of which keeps it alive. Under the pool's lock.
    struct cmdi_job_queue jobs;
    size_t kept_size;   // Bytes that calls keep.
    uint32_t in_flight; // Calls alive.
    bool told;          // on_connect has accepted it: on_disconnect is owed.
    bool pings;         // Its peer knows what a ping is: one has come.
    bool eof;           // Nothing more comes: closes when the last call ends.
    bool closed;        // Only its memory is left.
    char peer[CMDI_PEER_TEXT_MAX];
};

enum cmdi_call_flag {
    CMDI_CALL_WARM = 1,    // The members below `flags` that few calls need are initialised.
    CMDI_CALL_FAILED = 2,  // Its failure was dealt with.
    CMDI_CALL_RUNNING = 4, // Its exec function is on the shard's stack.
    CMDI_CALL_IN_POOL = 8, // It is the worker pool's: on_cancel waits until it is back.
};

struct cmds_call {
    struct cmds_connection *connection;
    struct cmdi_server_core *core; // The connection's: a shorter way to it.
    const struct cmds_exec *exec;
    const struct cmds_type *type;
    const void *command; // NULL: not kept.
    uint64_t sequence, round, received_ns;
    void *context;
    _Atomic uint32_t refs;     // One is the shard's, while it runs or waits. 0: it only ends.
    _Atomic uint8_t finished;  // The last result was sent.
    _Atomic uint8_t cancelled; // Nobody waits.
    uint8_t flags;             // enum cmdi_call_flag. The shard's.
    // Its exec function has asked for another round, which it has not got. Whoever runs it writes.
    bool owed;

    /* Only for calls that live longer than their exec function: see cmdi_call_warm(). */
    void *kept;         // The copied command...
    size_t kept_size;   // ... and what it takes.
    uint32_t kept_pool; // Where it is from; CMDI_KEPT_POOLS: malloc.
    int job_code;       // What the exec function returned on the worker.
    struct cmdi_list link;
    struct cmdi_list observers; // struct cmdi_call_observer
    struct cmdi_timer timer, deadline;
    cmds_call_fn after, on_cancel;
    struct cmdi_mail mail;
    struct cmdi_job job;
};

struct cmdi_listener {
    struct cmds_server *server;
    struct cmdi_shard *shard;
    struct cmdi_address address;
    int fd; // -1: closed.
    uint32_t slot;
    bool armed;
    struct cmdi_socket_file file; // A UNIX path that we made.
    bool parked;                  // CMDS_OVERFLOW_QUEUE: waits for a connection to end...
    // ... with this one, which came when another listener had taken the last place; -1: none.
    int waiting_fd;
    uint32_t backoff_ms;
    struct cmdi_timer retry;
    _Atomic uint32_t closed;
    struct cmdi_mail mail; // Wakes a parked one.
    _Atomic uint32_t mail_posted;
};

enum cmdi_server_state {
    CMDI_SERVER_RUNNING,
    CMDI_SERVER_DRAINING, // Accepts nothing; connections end with their last call.
    CMDI_SERVER_CLOSING,
};

/** A thread that accepts for listeners whose shard does not turn. */
struct cmdi_deputy {
    struct cmdi_poller poller; // Valid while running.
    pthread_t thread;
    bool running; // Thread: setup.
    _Atomic uint32_t stopping;
};

struct cmds_server {
    struct cmdi_service service;
    struct cmdi_job_lane jobs; // Under the pool's lock; the server waits for its jobs.
    struct cmds_runtime *runtime;
    struct cmdi_server_core *core;
    struct cmdi_server_shard **shards; // One per shard.
    uint32_t shard_count;
    struct cmdi_deputy deputy;
    struct cmdi_listener *listeners;
    uint32_t listener_count, listener_count_max;
    _Atomic uint32_t state;            // enum cmdi_server_state
    _Atomic uint32_t connection_count; // Accepted and not closed.
    // No connection comes any more, and all know that they are to end.
    _Atomic uint32_t quiet;
    _Atomic uint32_t drained; // Futex: quiet, and no connection is left.
    _Atomic uint32_t shards_left;
    _Atomic uint32_t shards_ended; // Futex: none is left.
};

/* --- core.c: options, tables, memory ---------------------------------------------------------- */

/**
 * Checks and copies everything. Gives: cmdi_server_core_unref(). Returns: 0; as cmds_server_start.
 */
int cmdi_server_core_create(struct cmdi_server_core **core,
        const struct cmds_server_options *options, struct cmds_error *error);
void cmdi_server_core_unref(struct cmdi_server_core *core);
/** Gives: cmdi_server_shard_unref(). Returns: NULL without memory. */
struct cmdi_server_shard *cmdi_server_shard_create(
        struct cmdi_server_core *core, struct cmds_server *server, struct cmdi_shard *shard);
/** The shard lets go: frees it, or leaves it to the calls that are alive. Thread: its shard. */
void cmdi_server_shard_end(struct cmdi_server_shard *server_shard);
/**
 * One of the calls that outlived it has ended; frees the server shard with the last. Thread: any,
 * under server_shard->lock, which it releases.
 */
void cmdi_server_shard_orphan_ended(
        struct cmdi_server_shard *server_shard, struct cmds_connection *connection);

/* --- connection.c ----------------------------------------------------------------------------- */

/**
 * A connection over `transport`; sends the ServerInfo and begins to receive. Takes `fd`. Thread:
 * its shard. Returns: NULL without memory: `fd` was not taken.
 */
struct cmds_connection *cmdi_connection_open(struct cmdi_server_shard *server_shard,
        const struct cmdi_transport *transport, int fd, const char *peer);
/**
 * At a bound the connection stops reading: back-pressure is TCP's, and the answer of a command
 * always has room.
 */
void cmdi_connection_hold_back(struct cmds_connection *connection);
/** It is at a bound of its calls: how many there are, how much they keep. */
static inline bool cmdi_connection_is_full(const struct cmds_connection *connection)
{
    const struct cmds_server_options *options = &connection->server_shard->core->options;
    return connection->in_flight >= options->in_flight_max ||
           CMDI_UNLIKELY(
                   connection->kept_size > 0 && connection->kept_size >= options->kept_size_max);
}
/** There may be room again for one that stopped reading at a bound. */
void cmdi_connection_read_on(struct cmds_connection *connection);
/** A call has ended: reads on, closes, or frees as is due. */
void cmdi_connection_call_ended(struct cmds_connection *connection);
/** Executes what was received, and closes with the last call. */
void cmdi_connection_drain(struct cmds_connection *connection);
/** A connection of this server shard has closed, or a job has ended. */
void cmdi_server_shard_changed(struct cmdi_server_shard *server_shard, bool connection_closed);

/**
 * The shard with the fewest connections of those that turn; `own`, which is always one of them, if
 * no other has fewer. Thread: any. Returns: NULL: none turns.
 */
struct cmdi_server_shard *cmdi_server_choose_shard(
        struct cmds_server *server, struct cmdi_server_shard *own);
/** One more of connection_count_max. Thread: any. Returns: there is room. */
bool cmdi_server_take_place(struct cmds_server *server);
/** Back: it was not used, or its connection has ended. Thread: any. */
void cmdi_server_give_place(struct cmds_server *server);

/* --- deputy.c --------------------------------------------------------------------------------- */

/** After the listeners; without it the server works, too. Thread: setup. */
void cmdi_deputy_start(struct cmds_server *server);
/** Before the listeners; it may have been stopped before. Thread: setup. */
void cmdi_deputy_stop(struct cmds_server *server);

/* --- listener.c ------------------------------------------------------------------------------- */

/** Binds and listens; nothing is accepted yet. Thread: setup. */
int cmdi_listener_open(struct cmdi_listener *listener, struct cmds_server *server,
        struct cmdi_shard *shard, const struct cmdi_address *address, struct cmds_error *error);
/** Closes one that was never started, and removes its path. Thread: setup. */
void cmdi_listener_abandon(struct cmdi_listener *listener);
/** Begins to accept. Thread: its shard. Returns: 0; -ENOMEM: it is as if never started. */
int cmdi_listener_start(struct cmdi_listener *listener);
/**
 * Accepts no more; `closed` becomes 1, as a futex, when the descriptor is closed. Thread: its
 * shard.
 */
void cmdi_listener_stop(struct cmdi_listener *listener);
/**
 * An accepted descriptor, for which there is a place, goes to `server_shard`. Thread: any.
 * Returns: 0; -ENOMEM: it is closed.
 */
int cmdi_listener_hand_over(struct cmdi_server_shard *server_shard, int fd);
/** A connection has ended: one that waits for room goes on. Thread: any. */
void cmdi_listener_room(struct cmdi_listener *listener);

/* --- call.c, exec.c --------------------------------------------------------------------------- */

/** Initialises what only calls that stay need. */
void cmdi_call_warm(struct cmds_call *call);
/**
 * The exec function has returned and somebody keeps the call: the connection knows it from now on.
 * Thread: shard.
 */
void cmdi_call_list(struct cmds_call *call);
/**
 * Nobody waits any more: tells observers and on_cancel, once. Borrows `call`, which may be about to end
 * or end in here. Thread: shard.
 */
void cmdi_call_cancel(struct cmds_call *call);
/**
 * Runs on_cancel, unless it has run, the exec function is in the pool, or the last result was sent
 * and no round is owed. The caller has a reference. Thread: shard.
 */
void cmdi_call_tell(struct cmds_call *call);
/** The shard lets go of a call that outlives its server: what was to run later runs now. */
void cmdi_call_settle(struct cmds_call *call);
/** The last reference is gone, or only the shard's own is left. Thread: shard. */
void cmdi_call_end(struct cmds_call *call);
/** One reference less. Thread: shard. */
void cmdi_call_drop(struct cmds_call *call);
/** As if the exec function had returned `code`. Thread: shard. */
void cmdi_call_failed(struct cmds_call *call, int code, const char *text);
/** Results that other threads left go to the output. Thread: shard. */
void cmdi_connection_take_results(struct cmds_connection *connection);
/** The same, if there are any. */
static inline void cmdi_connection_take_inbox(struct cmds_connection *connection)
{
    if (CMDI_UNLIKELY(cmdi_inbox_size(&connection->inbox) > 0)) {
        cmdi_connection_take_results(connection);
    }
}

/** One command: decode, make a call, run it. */
int64_t cmdi_connection_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame);
/** Runs calls that asked to be run again, at most `budget` rounds. Returns: there is more. */
bool cmdi_connection_run_again(struct cmdi_conn *conn, uint32_t budget);
/** The invokers, then the exec function. Thread: shard or worker. Returns: what it returned. */
int cmdi_call_execute(struct cmds_call *call);

static inline struct cmds_connection *cmdi_connection_of(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct cmds_connection, conn);
}
static inline struct cmdi_server_core *cmdi_call_core(const struct cmds_call *call)
{
    return call->core;
}

#endif
