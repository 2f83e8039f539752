/* SPDX-License-Identifier: MIT */
/* What conn.c and input.c know of each other. */
#ifndef CMDI_CONN_INPUT_H
#define CMDI_CONN_INPUT_H

#include "conn/conn.h"

/** The connection's run: frames within the budget, then the owner's own work. */
void cmdi_conn_run(struct cmdi_shard *shard, struct cmdi_work *work);
/** There are receive buffers again. */
void cmdi_conn_rearm_starved(struct cmdi_shard *shard, struct cmdi_work *work);
/**
 * Arms the multishot recv, unless it is armed, the peer has finished, or the connection is closing.
 */
void cmdi_conn_arm_recv(struct cmdi_conn *conn, bool poll_first);
/** Gives all received bytes back: nobody will read them. */
void cmdi_conn_drop_slices(struct cmdi_conn *conn);
/** No frame is cut any more. */
void cmdi_conn_drop_place(struct cmdi_conn *conn);
/** The timer fires when `timeout_ms` is over, or earlier. */
void cmdi_conn_watch_after(struct cmdi_conn *conn, uint64_t since_ms, uint32_t timeout_ms);
void cmdi_conn_close_if_done(struct cmdi_conn *conn);

#endif
