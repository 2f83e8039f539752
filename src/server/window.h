/* SPDX-License-Identifier: MIT */
/*
 * Back-pressure of a server's connection: how many calls are alive, how much they keep, how much
 * output waits, and when reading stops and continues because of it.
 *
 * At a bound the connection stops reading: the rest is TCP's, and the answer of a command that runs
 * always has room. Two bounds stop it at different points: the output's after the frame that went
 * beyond it (cmdi_window_hold_back), the calls' at the first command that would (is_full), so that
 * pings are answered until then.
 */
#ifndef CMDI_SERVER_WINDOW_H
#define CMDI_SERVER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "server/connection.h"

void cmdi_window_init(struct cmds_connection *connection);
/** It is idle no more. */
void cmdi_window_wake(struct cmdi_connection_more *more);
/** It closes, or is idle and so not paused: no timer fires any more. */
void cmdi_window_rest(struct cmdi_connection_more *more);

/** At a bound of its calls: how many there are, how much they keep. */
static inline bool cmdi_window_is_full(const struct cmds_connection *connection)
{
    const struct cmds_server_options *options = &connection->server_shard->core->options;
    return connection->in_flight >= options->in_flight_max ||
           CMDI_UNLIKELY(
                   connection->kept_size > 0 && connection->kept_size >= options->kept_size_max);
}
/** Stops reading if the output is above its mark. */
static inline void cmdi_window_hold_back(struct cmds_connection *connection)
{
    struct cmdi_conn *conn = &connection->conn;
    if (CMDI_UNLIKELY(cmdi_conn_output_high(conn))) {
        conn->above_low = true;
        cmdi_conn_pause(conn);
    }
}
/** There may be capacity again for one that stopped reading. */
void cmdi_window_read_on(struct cmds_connection *connection);
/** The output has fallen to its mark. */
void cmdi_window_on_output_low(struct cmds_connection *connection);

static inline void cmdi_window_call_begun(struct cmds_connection *connection)
{
    connection->in_flight++;
}
/** A call of one whose peer has finished, or that has closed: finishes or frees it as is due. */
void cmdi_window_call_ended_late(struct cmds_connection *connection);
/** Reads on, finishes or frees the connection as is due. */
static inline void cmdi_window_call_ended(struct cmds_connection *connection)
{
    CMDI_ASSERT_SLOW(connection->in_flight > 0);
    connection->in_flight--;
    if (CMDI_UNLIKELY(connection->conn.paused)) {
        cmdi_window_read_on(connection);
    }
    if (CMDI_UNLIKELY(connection->state != CMDI_CONNECTION_ACCEPTED)) {
        cmdi_window_call_ended_late(connection);
    }
}

/**
 * `size` bytes that are kept for a call count for its connection and its shard, until uncharge.
 * Returns: false: the shard has not as much.
 */
bool cmdi_window_charge(struct cmds_connection *connection, size_t size);
void cmdi_window_uncharge(struct cmds_connection *connection, size_t size);

#endif
