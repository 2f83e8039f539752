/* SPDX-License-Identifier: MIT */
/*
 * TCP and UNIX stream sockets as a transport: the connection's operations on the shard's ring. It
 * keeps no state of its own.
 */
#include <errno.h>

#include "conn/conn.h"
#include "net/transport.h"
#include "ring/socket.h"

/* What a completion of the connection's slot belongs to. */
enum socket_operation {
    SOCKET_CONNECT = 1,
    SOCKET_RECV,
    SOCKET_SEND,
    SOCKET_CANCEL,
    SOCKET_WATCH,
};

static uint64_t socket_user_data(const struct cmdi_conn *conn, enum socket_operation operation)
{
    return cmdi_shard_user_data(conn->shard, conn->slot, operation);
}

static void socket_connect(struct cmdi_conn *conn, const struct cmdi_address *address)
{
    cmdi_ring_connect(conn->shard->ring, conn->fd, address, socket_user_data(conn, SOCKET_CONNECT));
}

static void socket_recv(struct cmdi_conn *conn, bool poll_first)
{
    if (conn->slow) {
        cmdi_ring_recv_once(conn->shard->ring, conn->fd, socket_user_data(conn, SOCKET_RECV));
        return;
    }
    cmdi_ring_recv(conn->shard->ring, conn->fd, poll_first, socket_user_data(conn, SOCKET_RECV));
}

static void socket_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    cmdi_ring_send(conn->shard->ring, conn->fd, data, size, socket_user_data(conn, SOCKET_SEND));
}

static int64_t socket_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    return cmdi_socket_send_now(conn->fd, data, size);
}

static void socket_recv_cancel(struct cmdi_conn *conn)
{
    cmdi_ring_cancel(conn->shard->ring, socket_user_data(conn, SOCKET_RECV),
            socket_user_data(conn, SOCKET_CANCEL));
}

static void socket_watch(struct cmdi_conn *conn, bool finish)
{
    cmdi_ring_watch(conn->shard->ring, conn->fd, finish, socket_user_data(conn, SOCKET_WATCH));
}

static void socket_shut_write(struct cmdi_conn *conn)
{
    cmdi_socket_shutdown(conn->fd, SHUT_WR);
}

/*
 * close(2) would end nothing: operations hold the file. Shutting both directions and cancelling
 * each does.
 */
static void socket_abort(struct cmdi_conn *conn)
{
    cmdi_socket_shutdown(conn->fd, SHUT_RDWR);
    if (conn->state == CMDI_CONN_CONNECTING) {
        conn->ops_in_flight++;
        cmdi_ring_cancel(conn->shard->ring, socket_user_data(conn, SOCKET_CONNECT),
                socket_user_data(conn, SOCKET_CANCEL));
    }
    if (conn->receiving && !conn->cancelling) {
        conn->ops_in_flight++;
        cmdi_ring_cancel(conn->shard->ring, socket_user_data(conn, SOCKET_RECV),
                socket_user_data(conn, SOCKET_CANCEL));
    }
    if (conn->watching) {
        conn->ops_in_flight++;
        cmdi_ring_cancel(conn->shard->ring, socket_user_data(conn, SOCKET_WATCH),
                socket_user_data(conn, SOCKET_CANCEL));
    }
    if (conn->sending) {
        conn->ops_in_flight++;
        cmdi_ring_cancel(conn->shard->ring, socket_user_data(conn, SOCKET_SEND),
                socket_user_data(conn, SOCKET_CANCEL));
    }
}

static void socket_close(struct cmdi_conn *conn)
{
    if (conn->fd >= 0) {
        cmdi_fd_close(conn->fd);
        conn->fd = -1;
    }
}

/*
 * A UNIX socket does not count what was read. Its queue moves when something was, and what has left
 * us for good has been taken too, up to the size of the queue.
 */
static uint64_t socket_taken(struct cmdi_conn *conn, size_t *waiting)
{
    int64_t acked = cmdi_socket_acked(conn->fd, waiting);
    if (acked >= 0) {
        return (uint64_t)acked;
    }
    size_t before = conn->queue_seen;
    conn->queue_moved += *waiting > before ? *waiting - before : before - *waiting;
    conn->queue_seen = *waiting;
    *waiting = 0;
    return conn->sent_size + conn->queue_moved;
}

static bool socket_has_ping(struct cmdi_conn *conn)
{
    return cmdi_socket_peek(conn->fd) == 0;
}

static size_t socket_unread(struct cmdi_conn *conn)
{
    return cmdi_socket_unread(conn->fd);
}

/*
 * A TCP peer that closes has finished, no more. Nothing goes in either direction only after a
 * reset, whoever has fetched its error.
 */
static int32_t socket_watched(const struct cmdi_conn *conn, int32_t result)
{
    bool gone = result > 0 && (result & CMDI_RING_PEER_GONE) != 0;
    return gone && !cmdi_socket_is_local(conn->fd) ? result | CMDI_RING_PEER_FAILED : result;
}

static void socket_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    struct cmdi_conn *conn = owner;
    switch ((enum socket_operation)operation) {
    case SOCKET_CONNECT:
        cmdi_conn_on_connect(conn, completion->result);
        break;
    case SOCKET_RECV:
        cmdi_conn_on_recv(conn, completion);
        break;
    case SOCKET_SEND:
        cmdi_conn_on_send(conn, completion->result);
        break;
    case SOCKET_CANCEL:
        cmdi_conn_on_cancel(conn, completion->result);
        break;
    case SOCKET_WATCH:
        cmdi_conn_on_watch(conn, socket_watched(conn, completion->result));
        break;
    }
}

const struct cmdi_transport cmdi_transport_socket = {
        .on_completion = socket_on_completion,
        .connect = socket_connect,
        .recv = socket_recv,
        .send = socket_send,
        .send_now = socket_send_now,
        .watch = socket_watch,
        .recv_cancel = socket_recv_cancel,
        .shut_write = socket_shut_write,
        .abort = socket_abort,
        .close = socket_close,
        .taken = socket_taken,
        .unread = socket_unread,
        .has_ping = socket_has_ping,
};
