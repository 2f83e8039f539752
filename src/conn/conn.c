/* SPDX-License-Identifier: MIT */
/*
 * A connection's beginning; its end is in life.c. Here its parts are put together: the shard calls
 * each by a function that stands in the connection, so that none of them names those above it.
 */
#include "conn/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "conn/parts.h"
#include "conn/secure.h"

void cmdi_conn_init(struct cmdi_conn *conn, struct cmdi_shard *shard,
        const struct cmdi_conn_ops *ops, const struct cmdi_transport *transport,
        const struct cmdi_conn_limits *limits, struct cmdi_conn_counters *counters)
{
    CMDI_ASSERT(transport->state_size <= CMDI_TRANSPORT_STATE_MAX);
    *conn = (struct cmdi_conn){
            .shard = shard,
            .ops = ops,
            .transport = transport,
            .limits = limits,
            .counters = counters,
            .state = CMDI_CONN_CONNECTING,
            .begun_at = shard->now_ms,
            .received_at = shard->now_ms,
            .sent_at = shard->now_ms,
    };
    cmdi_work_init(&conn->ready, cmdi_conn_run);
    conn->ready.level = CMDI_LEVEL_UNKNOWN;
    cmdi_timer_init(&conn->timer, cmdi_conn_on_timer);
    cmdi_list_init(&conn->on_shard);
    cmdi_conn_begin_resting(conn);
}

int cmdi_conn_secure(struct cmdi_conn *conn, struct cmds_tls *tls,
        const struct cmdi_security_peer *peer, struct cmdi_tls_counters *counters)
{
    CMDI_ASSERT(conn->state == CMDI_CONN_CONNECTING && conn->secured == NULL);
    CMDI_ASSERT(tls->security->version == CMDI_SECURITY_VERSION && tls->handshakes_max > 0);
    CMDI_ASSERT(conn->ops->on_open != NULL);
    struct cmdi_secured *secured = malloc(sizeof(*secured));
    if (secured == NULL) {
        return -ENOMEM;
    }
    *secured = (struct cmdi_secured){.conn = conn, .tls = tls, .peer = *peer, .counters = counters};
    cmdi_work_init(&secured->step, cmdi_handshake_on_turn);
    cmdi_list_init(&secured->seat);
    conn->secured = secured;
    return 0;
}

/* The transport is open: a handshake comes first, where there is a security layer. */
static void conn_transport_opened(struct cmdi_conn *conn)
{
    if (conn->secured == NULL) {
        cmdi_conn_opened(conn);
        return;
    }
    cmdi_conn_move(conn, CMDI_CONN_SECURING);
    cmdi_conn_timer_by(conn, conn->shard->now_ms + CMDI_SECURE_SILENT_MS);
    cmdi_conn_arm_recv(conn, conn->ops->expects_quiet);
    cmdi_conn_ready(conn); // A client speaks first.
}

int cmdi_conn_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    struct cmdi_shard *shard = conn->shard;
    CMDI_ASSERT(conn->state == CMDI_CONN_CONNECTING && cmdi_list_empty(&conn->on_shard));
    shard->relieve = cmdi_conn_relieve;
    shard->conn_flush = cmdi_conn_run_flush;
    shard->conn_starve = cmdi_conn_on_buffers;
    if (!cmdi_conn_wake(conn)) {
        return -ENOMEM;
    }
    int code = conn->transport->open(conn, fd, address);
    if (code < 0) {
        cmdi_shard_timer_off(shard, &conn->timer); // Waking has set it.
        cmdi_conn_drop_more(conn);
        return code;
    }
    cmdi_list_push(&shard->conns, &conn->on_shard);
    shard->connection_count++;
    CMDI_GAUGE(conn->counters, connections, 1);
    if (conn->limits->server_info_timeout_ms != CMDS_NEVER) { // The transport's opening included.
        conn->more->server_info_until = shard->now_ms + conn->limits->server_info_timeout_ms + 1;
        cmdi_conn_timer_by(conn, conn->more->server_info_until);
    }
    if (code > 0) {
        conn_transport_opened(conn);
    }
    return conn->secured != NULL ? 0 : code;
}

void cmdi_conn_start(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->state == CMDI_CONN_SERVER_INFO || conn->state == CMDI_CONN_OPEN);
    cmdi_conn_timer_after(conn, conn->received_at, conn->limits->idle_timeout_ms);
    cmdi_conn_arm_recv(conn, conn->ops->expects_quiet);
}

void cmdi_conn_on_open(struct cmdi_conn *conn, int code)
{
    if (conn->state != CMDI_CONN_CONNECTING) {
        CMDI_ASSERT(conn->state == CMDI_CONN_CLOSING);
        return;
    }
    if (code == 0) {
        conn_transport_opened(conn);
    }
    if (code < 0 || conn->secured == NULL) {
        conn->ops->on_open(conn, code);
    }
}
