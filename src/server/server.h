/* SPDX-License-Identifier: MIT */
/*
 * The inside of a server.
 *
 *     cmds_server ---- core (options.h): options, tables; counted, kept calls keep it
 *        |               |
 *        |             server_shard, one per shard: connections, calls, memory; kept calls keep it
 *        |               |
 *        |             connection, one per accepted socket: embeds struct cmdi_conn
 *        |               |
 *        +- acceptors  call, one per command in execution
 *
 * A connection and its calls are touched by their shard alone, but for the functions of
 * <cmdstream/server.h> that say otherwise. Those come down to three: results go through the
 * connection's inbox, the last unref through a message to the shard, and after the server's end
 * through the server shard's lock.
 *
 * The files, lowest first, each of which calls only those before it: options, peer, server_shard,
 * window (back-pressure), count, result, failure, call, call_fail, call_observer, exec, inspect (for those who list), connection,
 * accept, listen, deputy, server, main.
 */
#ifndef CMDI_SERVER_SERVER_H
#define CMDI_SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/accept.h"
#include "server/deputy.h"
#include "server/options.h"
#include "server/server_shard.h"
#include "shard/runtime.h"

enum {
    CMDI_ADDRESSES_OF_SERVER_MAX = 64,
};

enum cmdi_server_state {
    CMDI_SERVER_RUNNING,
    CMDI_SERVER_DRAINING, // Accepts nothing; connections learn that they end with their last call.
    CMDI_SERVER_QUIET,    // No connection comes any more, and all have learned it.
    CMDI_SERVER_CLOSING,
};

struct cmds_server {
    struct cmdi_service service;
    struct cmdi_job_lane jobs; // Under the pool's lock; the server waits for its jobs.
    struct cmds_runtime *runtime;
    struct cmdi_server_core *core;
    struct cmdi_scope *scope;          // The runtime's.
    struct cmdi_ledger *ledger;        // The scope's. NULL: none is kept.
    struct cmdi_server_shard **shards; // One per shard.
    uint32_t shard_count;
    bool is_counted; // In runtime->serving, then in runtime->leaving.
    struct cmdi_deputy deputy;
    struct cmdi_acceptor *acceptors; // Its listeners.
    uint32_t acceptor_count, acceptor_count_max;
    _Atomic uint32_t state;            // enum cmdi_server_state
    _Atomic uint32_t connection_count; // Seats taken: accepted and not closed.
    _Atomic uint32_t drained;          // Futex: QUIET or later, and no connection is left.
    _Atomic uint32_t shards_left;
    _Atomic uint32_t shards_ended; // Futex: none is left.
};

#endif
