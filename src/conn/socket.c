/* SPDX-License-Identifier: MIT */
/*
 * TCP and UNIX stream sockets as a transport: the connection's operations on the shard's ring. Of
 * the connections' files this one alone knows that there is a ring.
 */
#include <errno.h>

#include "conn/conn.h"
#include "conn/transport.h"
#include "ring/ring.h"
#include "ring/socket.h"

/* What a completion of the connection's slot belongs to; also a bit of socket.armed. */
enum socket_operation {
    SOCKET_CONNECT = 1,
    SOCKET_RECV = 2,
    SOCKET_SEND = 4,
    SOCKET_WATCH = 8,
    SOCKET_CANCEL = 16,
};

struct socket {
    int fd;
    uint32_t slot;        // Of the shard: who gets completions.
    uint64_t queue_moved; // Of a UNIX socket: see socket_taken().
    uint32_t queue_seen;
    uint16_t in_flight;       // Final completions still to come, those of cancels included.
    uint8_t armed;            // enum socket_operation: what can be cancelled.
    bool recv_cancelling : 1; // A cancel of the armed receive is under way.
    bool aborted : 1;
};
_Static_assert(sizeof(struct socket) <= CMDI_TRANSPORT_STATE_MAX, "it lives in the connection");

static struct socket *socket_of(struct cmdi_conn *conn)
{
    return (struct socket *)(void *)conn->transport_state.bytes;
}

static uint64_t socket_user_data(struct cmdi_conn *conn, enum socket_operation operation)
{
    return cmdi_shard_user_data(conn->shard, socket_of(conn)->slot, operation);
}

/* Counts one operation more. Returns: its user data. */
static uint64_t socket_begin(struct cmdi_conn *conn, enum socket_operation operation)
{
    struct socket *socket = socket_of(conn);
    CMDI_ASSERT(!socket->aborted && (socket->armed & operation) == 0);
    socket->armed |= (uint8_t)operation;
    socket->in_flight++;
    return socket_user_data(conn, operation);
}

static void socket_cancel(struct cmdi_conn *conn, enum socket_operation operation)
{
    CMDI_ASSERT(socket_of(conn)->in_flight < UINT16_MAX);
    socket_of(conn)->in_flight++;
    cmdi_ring_cancel(conn->shard->ring, socket_user_data(conn, operation),
            socket_user_data(conn, SOCKET_CANCEL));
}

/*
 * Aborted, and the last completion has come: the descriptor goes, and with it the last of it. Inside
 * abort the connection is still needed; only outside of it on_closed may free it, so this comes last.
 */
static void socket_close_if_done(struct cmdi_conn *conn)
{
    struct socket *socket = socket_of(conn);
    if (!socket->aborted || socket->in_flight > 0 || socket->fd < 0) {
        return;
    }
    CMDI_ASSERT(socket->armed == 0);
    cmdi_fd_close(socket->fd);
    cmdi_shard_slot_release(conn->shard, socket->slot);
    socket->fd = -1;
    cmdi_conn_on_closed(conn);
}

/* --- Operations ------------------------------------------------------------------------------- */

static void socket_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion);

static int socket_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    struct socket *socket = socket_of(conn);
    CMDI_ASSERT((fd < 0) == (address != NULL));
    socket->slot = cmdi_shard_slot_acquire(conn->shard, socket_on_completion, conn);
    if (socket->slot == CMDI_SLOT_NONE) {
        return -ENOMEM;
    }
    socket->fd = fd;
    if (address == NULL) {
        return 1;
    }
    fd = cmdi_socket_open(address, 0); // A client's own pings probe.
    if (fd < 0) {
        cmdi_shard_slot_release(conn->shard, socket->slot);
        return fd;
    }
    socket->fd = fd;
    cmdi_ring_connect(conn->shard->ring, fd, address, socket_begin(conn, SOCKET_CONNECT));
    return 0;
}

static void socket_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    struct socket *socket = socket_of(conn);
    uint64_t user_data = socket_begin(conn, SOCKET_RECV);
    socket->recv_cancelling = false;
    if (mode == CMDI_RECV_ONE) {
        cmdi_ring_recv_once(conn->shard->ring, socket->fd, user_data);
    } else {
        cmdi_ring_recv(conn->shard->ring, socket->fd, mode == CMDI_RECV_QUIET, user_data);
    }
}

static void socket_stop_recv(struct cmdi_conn *conn)
{
    struct socket *socket = socket_of(conn);
    if ((socket->armed & SOCKET_RECV) != 0 && !socket->recv_cancelling) {
        socket->recv_cancelling = true;
        socket_cancel(conn, SOCKET_RECV);
    }
}

static void socket_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    cmdi_ring_send(
            conn->shard->ring, socket_of(conn)->fd, data, size, socket_begin(conn, SOCKET_SEND));
}

static int64_t socket_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    return cmdi_socket_send_now(socket_of(conn)->fd, data, size);
}

static void socket_watch(struct cmdi_conn *conn, bool finish)
{
    cmdi_ring_watch(
            conn->shard->ring, socket_of(conn)->fd, finish, socket_begin(conn, SOCKET_WATCH));
}

static void socket_shut_write(struct cmdi_conn *conn)
{
    cmdi_socket_shutdown(socket_of(conn)->fd, SHUT_WR);
}

/*
 * close(2) would end nothing: operations hold the file. Shutting both directions and cancelling
 * each does.
 */
static void socket_abort(struct cmdi_conn *conn)
{
    static const enum socket_operation operations[] = {
            SOCKET_CONNECT, SOCKET_RECV, SOCKET_WATCH, SOCKET_SEND};
    struct socket *socket = socket_of(conn);
    CMDI_ASSERT(!socket->aborted);
    cmdi_socket_shutdown(socket->fd, SHUT_RDWR);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        bool under_way = operations[i] == SOCKET_RECV && socket->recv_cancelling;
        if ((socket->armed & operations[i]) != 0 && !under_way) {
            socket_cancel(conn, operations[i]);
        }
    }
    socket->aborted = true;
    socket_close_if_done(conn);
}

/* --- What the kernel knows -------------------------------------------------------------------- */

/*
 * A UNIX socket does not count what was read. Its queue moves when something was, and what has left
 * us for good has been taken too, up to the size of the queue.
 */
static uint64_t socket_taken(struct cmdi_conn *conn, size_t *waiting)
{
    struct socket *socket = socket_of(conn);
    int64_t acked = cmdi_socket_acked(socket->fd, waiting);
    if (acked >= 0) {
        return (uint64_t)acked;
    }
    size_t before = socket->queue_seen;
    socket->queue_moved += *waiting > before ? *waiting - before : before - *waiting;
    socket->queue_seen = (uint32_t)*waiting; // The size of a socket's buffer is an int.
    *waiting = 0;
    return conn->sent_size + socket->queue_moved;
}

static bool socket_has_ping(struct cmdi_conn *conn)
{
    return cmdi_socket_peek(socket_of(conn)->fd) == 0;
}

static size_t socket_unread(struct cmdi_conn *conn)
{
    return cmdi_socket_unread(socket_of(conn)->fd);
}

/* --- Completions ------------------------------------------------------------------------------ */

static void socket_connected(struct cmdi_conn *conn, int32_t result)
{
    if (result == 0 && cmdi_socket_undo_self(socket_of(conn)->fd)) {
        cmdi_conn_fail(conn, -ECONNREFUSED,
                "refused: nobody listens, and the connection had reached its own end, as the port "
                "is one that the kernel also gives to clients (ip_local_port_range)");
        return;
    }
    cmdi_conn_on_open(conn, result);
}

/*
 * A TCP peer that closes has finished, no more. Nothing goes in either direction only after a
 * reset, whoever has fetched its error.
 */
static int socket_peer_events(const struct socket *socket, int32_t result)
{
    if (result < 0) {
        return result;
    }
    bool gone = (result & CMDI_RING_PEER_GONE) != 0;
    bool failed = (result & CMDI_RING_PEER_FAILED) != 0;
    bool finished = (result & CMDI_RING_PEER_FINISHED) != 0;
    failed = failed || (gone && !cmdi_socket_is_local(socket->fd));
    return (finished ? CMDI_PEER_FINISHED : 0) | (gone ? CMDI_PEER_GONE : 0) |
           (failed ? CMDI_PEER_FAILED : 0);
}

static void socket_received(struct cmdi_conn *conn, const struct cmdi_completion *completion)
{
    int32_t result = completion->result;
    if (result > 0) {
        cmdi_conn_on_data(conn, completion->buffer, (uint32_t)result,
                (completion->flags & CMDI_COMPLETION_NONEMPTY) != 0);
    } else if ((completion->flags & CMDI_COMPLETION_BUFFER) != 0) {
        cmdi_receive_give_back(&conn->shard->receive, completion->buffer);
    }
    if ((completion->flags & CMDI_COMPLETION_MORE) == 0) {
        cmdi_conn_on_recv_end(conn, result > 0 ? -EAGAIN : result);
    } else if (socket_of(conn)->aborted) {
        socket_cancel(conn, SOCKET_RECV); // The cancel of the abort may have missed it.
    }
}

/*
 * One that goes on may say what is known, and goes on after it has said that the peer has gone. If the
 * cancel of an abort has missed it, it speaks once more, since both directions were shut: then it is
 * cancelled again.
 */
static void socket_watched(struct cmdi_conn *conn, const struct cmdi_completion *completion)
{
    int events = socket_peer_events(socket_of(conn), completion->result);
    bool goes_on = (completion->flags & CMDI_COMPLETION_MORE) != 0;
    if (goes_on && socket_of(conn)->aborted) {
        socket_cancel(conn, SOCKET_WATCH);
        return;
    }
    bool is_known = events >= 0 && (events & (CMDI_PEER_FAILED | CMDI_PEER_GONE)) == 0;
    if (conn->watch == CMDI_WATCH_ARMED && !(goes_on && is_known)) {
        cmdi_conn_on_watch(conn, events);
    }
}

/*
 * The completion of the operation itself reports its end. What was not found may have been between
 * two states: the next stop tries again.
 */
static void socket_cancelled(struct socket *socket, int32_t result)
{
    if (result == -ENOENT || result == -EALREADY) {
        socket->recv_cancelling = false;
    }
}

static void socket_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    struct cmdi_conn *conn = owner;
    struct socket *socket = socket_of(conn);
    if ((completion->flags & CMDI_COMPLETION_MORE) == 0) {
        CMDI_ASSERT(socket->in_flight > 0);
        socket->in_flight--;
        socket->armed &= (uint8_t)~operation;
    }
    switch ((enum socket_operation)operation) {
    case SOCKET_CONNECT:
        socket_connected(conn, completion->result);
        break;
    case SOCKET_RECV:
        socket_received(conn, completion);
        break;
    case SOCKET_SEND:
        cmdi_conn_on_send(conn, completion->result);
        break;
    case SOCKET_CANCEL:
        socket_cancelled(socket, completion->result);
        break;
    case SOCKET_WATCH:
        socket_watched(conn, completion);
        break;
    }
    socket_close_if_done(conn);
}

const struct cmdi_transport cmdi_transport_socket = {
        .state_size = sizeof(struct socket),
        .open = socket_open,
        .recv = socket_recv,
        .stop_recv = socket_stop_recv,
        .send = socket_send,
        .send_now = socket_send_now,
        .watch = socket_watch,
        .shut_write = socket_shut_write,
        .abort = socket_abort,
        .taken = socket_taken,
        .unread = socket_unread,
        .has_ping = socket_has_ping,
};
