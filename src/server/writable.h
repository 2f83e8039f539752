/* SPDX-License-Identifier: MIT */
/*
 * Calls that wait for room in the output of their connection: cmds_call_on_writable().
 *
 *     any thread --mail--> connection->writable --room--> told
 *                               |
 *                               +--cancelled--> server_shard->over --> told
 *
 * A thread of the pool that waits, cmds_call_wait_writable(), asks in the same way, and what it is told
 * wakes it. If it gives up, its question stays for its next wait, or until its function returns.
 *
 * Each holds a reference on its call from the question until it was told. It is told in the
 * connection's run, where what it sends has a bound, or, cancelled, in a work of its own, as nothing of
 * the program's runs inside what cancels.
 */
#ifndef CMDI_SERVER_WRITABLE_H
#define CMDI_SERVER_WRITABLE_H

#include "server/connection.h"

/** It is idle no more. */
void cmdi_writable_wake(struct cmdi_connection_more *more);
/**
 * It closes, and its calls, which are being cancelled, learn it by themselves; or it is idle, and none of
 * them is left to be told.
 */
void cmdi_writable_rest(struct cmdi_connection_more *more);
/** There may be room: those that wait are told, or run again, in the next run. */
static inline void cmdi_writable_look(struct cmds_connection *connection)
{
    if (!cmdi_conn_is_resting(&connection->conn) &&
            CMDI_UNLIKELY(!cmdi_list_empty(&cmdi_connection_more(connection)->writable) ||
                          !cmdi_list_empty(&cmdi_connection_more(connection)->again))) {
        cmdi_conn_ready(&connection->conn);
    }
}
/** Would a send be taken that is like the one that was refused, from whatever thread? Thread: shard. */
bool cmdi_writable_has_room(struct cmds_connection *connection, size_t size);
/** The server drains: those of its calls that wait in the pool learn it. Thread: shard. */
void cmdi_writable_drain(struct cmds_connection *connection);
/** The exec function has returned from the pool: what its last wait has asked for is taken back. */
void cmdi_writable_stop_waiting(struct cmds_call *call);
/** Tells as many as there is room for, at most `budget`, in a run. Returns: there is room for more. */
bool cmdi_writable_run(struct cmds_connection *connection, uint32_t budget);

#endif
