/* SPDX-License-Identifier: MIT */
/*
 * The inside of a server.
 *
 *     cmds_server ---- core (options.h): options, tables; counted, kept calls keep it
 *        |               |
 *        |             server_shard, one per shard: its connections, calls, memory; kept calls keep it
 *        |               |
 *        |             connection, one per accepted socket: embeds struct cmdi_conn
 *        |               |
 *        +- listeners  call, one per command in execution
 *
 * A connection and its calls are touched by their shard alone, but for the functions of
 * <cmdstream/server.h> that say otherwise. Those come down to three: results go through the
 * connection's inbox, the last unref through a message to the shard, and after the server's end
 * through the server shard's lock.
 *
 * The files, lowest first, each of which calls only those before it: options, server_shard, window
 * (back-pressure), result, call, exec, connection, listener, deputy, server, main.
 */
#ifndef CMDI_SERVER_SERVER_H
#define CMDI_SERVER_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"
#include "ring/poller.h"
#include "ring/socket.h"
#include "server/server_shard.h"
#include "shard/runtime.h"

enum {
    CMDI_ADDRESSES_OF_SERVER_MAX = 64,
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

#endif
