/* SPDX-License-Identifier: MIT */
/*
 * The server's side of a connection. It is its shard's alone, but for the inbox, by which other
 * threads send results.
 */
#ifndef CMDI_SERVER_CONNECTION_H
#define CMDI_SERVER_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/list.h"
#include "conn/conn.h"
#include "server/server_shard.h"
#include "shard/inbox.h"
#include "shard/workers.h"

enum {
    CMDI_PEER_TEXT_MAX = 64,
    CMDI_PEER_NEAR_MAX = 24, // The longest of IPv4 with its end.
};

/** What the server's user knows of it; beside the state of `conn`, which is that of its bytes. */
enum cmdi_connection_state {
    CMDI_CONNECTION_NEW,      // on_connect has not accepted it.
    CMDI_CONNECTION_ACCEPTED, // on_disconnect is owed.
    CMDI_CONNECTION_EOF,      // The same; nothing more comes: it closes when the last call ends.
    CMDI_CONNECTION_TOLD,   // `conn` is closed, on_disconnect was called; a mail may be under way.
    CMDI_CONNECTION_CLOSED, // Only its memory is left: of the last call, or of nobody.
};

/** What it has while it is not idle: as long as a call of it is alive, also when it has closed. */
struct cmdi_connection_more {
    struct cmdi_conn_more conn;      // First.
    struct cmdi_list again;          // struct cmds_call: to be run once more.
    struct cmdi_list writable;       // struct cmds_call: to be told of room, see writable.h.
    struct cmdi_list calls;          // struct cmds_call: kept, waiting, or in the pool.
    struct cmdi_work memory_work;    // It may be the shard's memory that they wait for.
    bool writable_first;             // They, before those to be run once more: in turns.
    struct cmdi_timer read_on_timer; // window.c
    // Of its calls in the pool, each of which keeps it alive. Under the pool's lock.
    struct cmdi_job_queue jobs;
};

_Static_assert(sizeof(struct cmdi_connection_more) == 448, "whole lines of the cache: see pool.c");

struct cmds_connection {
    struct cmdi_conn conn; // First.
    struct cmdi_server_shard *server_shard;
    uint32_t in_flight; // Calls alive.
    uint8_t state;      // enum cmdi_connection_state
    bool pings;         // Its peer knows what a ping is: one has come.
    bool exec_closed; // It ends because an exec function failed; what its code is, the program chose.
    size_t kept_size; // Bytes that calls keep.
    uint64_t id;
    void *context;
    struct cmdi_list link;   // server_shard->connections, or closed
    struct cmdi_inbox inbox; // Results of other threads.
    char *peer;              // peer_near, or malloc'ed: its address as text.
    char peer_near[CMDI_PEER_NEAR_MAX];
    struct cmds_tls_peer *tls_peer; // What it has shown, in a block of its own. NULL: none.
};
_Static_assert(offsetof(struct cmds_connection, conn) == 0, "cmdi_connection_of_const");
// With its slot of a completion, and its part of a pool's chunk, at most 512 bytes.
_Static_assert(sizeof(struct cmds_connection) <= 464, "what an idle connection has");

/**
 * A connection over `transport`; sends the ServerInfo and begins to receive. Takes `fd`. Thread:
 * its shard. Returns: NULL without memory: `fd` was not taken.
 */
struct cmds_connection *cmdi_connection_open(struct cmdi_server_shard *server_shard,
        const struct cmdi_transport *transport, int fd, const char *peer);

/** Not of one that rests. */
static inline struct cmdi_connection_more *cmdi_connection_more(
        const struct cmds_connection *connection)
{
    CMDI_ASSERT_SLOW(!cmdi_conn_is_resting(&connection->conn));
    return CMDI_CONTAINER(connection->conn.more, struct cmdi_connection_more, conn);
}
/** Whose is it? */
static inline struct cmds_connection *cmdi_connection_of_more(struct cmdi_connection_more *more)
{
    return CMDI_CONTAINER(more->conn.conn, struct cmds_connection, conn);
}
/** What its peer's text has taken; nobody asks for it any more. */
static inline void cmdi_connection_forget_peer(struct cmds_connection *connection)
{
    if (connection->peer != connection->peer_near) {
        free(connection->peer);
    }
}

static inline struct cmds_connection *cmdi_connection_of(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct cmds_connection, conn);
}
static inline const struct cmds_connection *cmdi_connection_of_const(const struct cmdi_conn *conn)
{
    const void *connection = conn; // It begins with it.
    return connection;
}
/**
 * Executes what was received, and closes with the last call. A client sends its first command when it
 * has the ServerInfo: where that is not on its way, nothing was received, and it ends at once.
 */
static inline void cmdi_connection_drain(struct cmds_connection *connection)
{
    if (connection->conn.state < CMDI_CONN_OPEN) {
        cmdi_conn_fail(&connection->conn, CMDS_E_DRAINING, "the server is shutting down");
    } else {
        cmdi_conn_stop_input(&connection->conn);
    }
}
/** Its peer has finished: it closes in order with its last call. */
static inline void cmdi_connection_finish_if_idle(struct cmds_connection *connection)
{
    if (connection->state == CMDI_CONNECTION_EOF && connection->in_flight == 0) {
        cmdi_conn_finish(&connection->conn);
    }
}

#endif
