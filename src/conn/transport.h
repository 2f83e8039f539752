/* SPDX-License-Identifier: MIT */
/*
 * What carries a connection's bytes: TCP and UNIX sockets through the shard's ring (conn/socket.c),
 * a fake one in tests.
 *
 * Life. open() begins it, for a server's accepted descriptor and a client's address alike;
 * cmdi_conn_on_open() reports the end of an open that was not over at once. abort() ends it, and
 * cmdi_conn_on_closed() reports, exactly once, that nothing of it is left: no operation, no
 * descriptor, no reference to the connection.
 *
 * A transport counts its own operations. Each one ends in exactly one call of the connection, never
 * inside the function that began it; only open() and abort() may be over when they return. Received
 * bytes come as data: a buffer of the shard's (cmdi_conn_on_data), or bytes from elsewhere, which
 * are copied (cmdi_conn_feed). What carried them is the transport's business.
 */
#ifndef CMDI_CONN_TRANSPORT_H
#define CMDI_CONN_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cmdi_address;
struct cmdi_conn;

enum {
    CMDI_TRANSPORT_STATE_MAX = 24, // Bytes, aligned as a pointer.
};

/** How a receive is armed. */
enum cmdi_recv_mode {
    CMDI_RECV_STREAM, // Buffer after buffer, until it ends.
    CMDI_RECV_QUIET,  // The same, and nothing is expected to be there yet.
    CMDI_RECV_ONE,    // A little: it ends after a small buffer's bytes.
};

/** What was found out about the peer while no receive was armed. Bits. */
enum cmdi_peer_event {
    CMDI_PEER_FINISHED = 1, // It sends no more.
    CMDI_PEER_GONE = 2,     // Nothing goes in either direction any more.
    CMDI_PEER_FAILED = 4,   // The connection was reset, or given up.
};

struct cmdi_transport {
    /** Of cmdi_conn.transport_state, zeroed before open; at most CMDI_TRANSPORT_STATE_MAX. */
    size_t state_size;
    /**
     * `address` NULL: `fd` is connected (a server's). Else `fd` is -1, and the transport connects to
     * the address, which is borrowed until cmdi_conn_on_open.
     *
     * Owner:   takes `fd` on success (-1: the transport needs none).
     * Returns: 1: it is open; 0: cmdi_conn_on_open will report; -errno: nothing has happened.
     */
    int (*open)(struct cmdi_conn *conn, int fd, const struct cmdi_address *address);
    /** Arms the receive; it is not armed. Its end comes to cmdi_conn_on_recv_end. */
    void (*recv)(struct cmdi_conn *conn, enum cmdi_recv_mode mode);
    /** Ends the armed receive soon. Called again it does nothing, unless the first call failed. */
    void (*stop_recv)(struct cmdi_conn *conn);
    /** All of it, unless it fails. The data stays until cmdi_conn_on_send. One at a time. */
    void (*send)(struct cmdi_conn *conn, const uint8_t *data, size_t size);
    /** At once, without waiting; never while a send is in flight. Returns: bytes taken; -errno. */
    int64_t (*send_now)(struct cmdi_conn *conn, const uint8_t *data, size_t size);
    /**
     * While no receive is armed: looks out for the peer's end, with `finish` for its FIN too. Ends
     * in cmdi_conn_on_watch. NULL: it cannot.
     */
    void (*watch)(struct cmdi_conn *conn, bool finish);
    /** Our FIN, behind everything that was sent. */
    void (*shut_write)(struct cmdi_conn *conn);
    /**
     * Ends everything, in both directions, whatever is in flight; once. Operations end as above;
     * then cmdi_conn_on_closed, perhaps inside this call, in which the connection is not freed.
     */
    void (*abort)(struct cmdi_conn *conn);
    /**
     * What the peer's side has taken of what was sent: a number that only grows. *waiting: bytes
     * that the kernel still has for it, where that can be told from those that it has taken. NULL:
     * what was sent was taken.
     */
    uint64_t (*taken)(struct cmdi_conn *conn, size_t *waiting);
    /** Bytes that have come and not been received. NULL: there are none. */
    size_t (*unread)(struct cmdi_conn *conn);
    /** The first of them is the byte 00. NULL: never. */
    bool (*has_ping)(struct cmdi_conn *conn);
};

/** TCP and UNIX stream sockets. */
extern const struct cmdi_transport cmdi_transport_socket;

#endif
