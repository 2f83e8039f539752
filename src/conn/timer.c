/* SPDX-License-Identifier: MIT */
/*
 * A connection's one timer. It fires at the earliest of all that may be due; what is due then is
 * looked up then (limits.c). So what begins a time sets it, and what ends a time leaves it alone.
 */
#include "conn/parts.h"

enum {
    CONN_WRITE_LOOKS = 4,   // At what the peer has taken, in write_timeout_ms.
    CONN_FINISH_MS = 10000, // Where there is no write_timeout_ms.
};

/* Sees to it that the timer fires at `at_ms` or earlier; what is due then is looked up then. */
void cmdi_conn_timer_by(struct cmdi_conn *conn, uint64_t at_ms)
{
    bool sooner = !cmdi_timer_armed(&conn->timer) || at_ms < conn->timer.at_ms;
    if (sooner && conn->state < CMDI_CONN_CLOSING) {
        cmdi_shard_timer(conn->shard, &conn->timer, at_ms);
    }
}

void cmdi_conn_timer_after(struct cmdi_conn *conn, uint64_t since_ms, uint32_t timeout_ms)
{
    if (timeout_ms != CMDS_NEVER) {
        cmdi_conn_timer_by(conn, since_ms + timeout_ms + 1);
    }
}

/* How long the peer may take nothing. An end has an end, whatever else has none. */
uint32_t cmdi_conn_write_timeout(const struct cmdi_conn *conn)
{
    uint32_t timeout_ms = conn->limits->write_timeout_ms;
    return timeout_ms == CMDS_NEVER && conn->state >= CMDI_CONN_FINISHING ? CONN_FINISH_MS
                                                                          : timeout_ms;
}

void cmdi_conn_look_at_write(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint32_t timeout_ms = cmdi_conn_write_timeout(conn);
    if (timeout_ms != CMDS_NEVER) {
        cmdi_conn_timer_after(conn, conn->more->write_since, timeout_ms);
        cmdi_conn_timer_after(conn, now_ms, timeout_ms / CONN_WRITE_LOOKS);
    }
}

/*
 * From now on until the peer has taken it all. At its begin nothing waited, so what had been taken
 * is what was found then.
 */
void cmdi_conn_begin_write(struct cmdi_conn *conn)
{
    if (conn->more->write_since == 0) {
        uint64_t now_ms = conn->shard->now_ms;
        conn->more->write_since = now_ms + (now_ms == 0);
        conn->more->write_stalled_ms = conn->shard->stalled_ms;
        conn->more->looked_waiting = SIZE_MAX; // Nobody has looked yet.
        cmdi_conn_look_at_write(conn, now_ms);
    }
}
