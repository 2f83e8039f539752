/* SPDX-License-Identifier: MIT */
/* What conn.c and input.c know of each other. */
#ifndef CMDI_CONN_INPUT_H
#define CMDI_CONN_INPUT_H

#include "conn/conn.h"

enum {
    CMDI_CONN_HELD_MS = 1000, // How often on_held is called.
};

/** The connection's run: frames within the budget, then the owner's own work. */
void cmdi_conn_run(struct cmdi_shard *shard, struct cmdi_work *work);
/** There are receive buffers again. */
void cmdi_conn_rearm_starved(struct cmdi_shard *shard, struct cmdi_work *work);
/**
 * Arms the multishot recv, unless it is armed, the peer has finished, or the connection is closing.
 */
void cmdi_conn_arm_recv(struct cmdi_conn *conn, bool poll_first);
/** What the peer sends would not be seen: its silence is ours. */
bool cmdi_conn_is_deaf(const struct cmdi_conn *conn);
/** Gives all received bytes back: nobody will read them. */
void cmdi_conn_drop_slices(struct cmdi_conn *conn);
/** No frame is cut any more. */
void cmdi_conn_drop_place(struct cmdi_conn *conn);
/** The timer fires at `at_ms`, or earlier. */
void cmdi_conn_watch(struct cmdi_conn *conn, uint64_t at_ms);
/** We read nothing of what the peer sends, for a reason of our own that may last. */
static inline bool cmdi_conn_is_held(const struct cmdi_conn *conn)
{
    return conn->state == CMDI_CONN_OPEN && (conn->paused || conn->input_stopped);
}
/** Counts the end of a connection that the peer, or the way to it, has broken off. */
void cmdi_conn_count_reset(struct cmdi_conn *conn, int32_t error);
/** The timer fires when `timeout_ms` is over, or earlier. */
void cmdi_conn_watch_after(struct cmdi_conn *conn, uint64_t since_ms, uint32_t timeout_ms);
void cmdi_conn_close_if_done(struct cmdi_conn *conn);
/** Asserts that the move is legal. */
void cmdi_conn_move(struct cmdi_conn *conn, enum cmdi_conn_state next);

#endif
