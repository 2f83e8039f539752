/* SPDX-License-Identifier: MIT */
/*
 * What carries a connection's bytes: TCP and UNIX sockets through the shard's ring (conn/socket.c),
 * a fake one in tests, TLS later.
 *
 * A transport queues operations and never calls back inside its own functions; each operation ends
 * in exactly one final completion, which the transport hands to the connection's cmdi_conn_on_...
 * function. The connection counts them.
 */
#ifndef CMDI_NET_TRANSPORT_H
#define CMDI_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cmdi_address;
struct cmdi_completion;
struct cmdi_conn;

struct cmdi_transport {
    /** Gets the completions of the connection's slot; NULL: the transport uses no ring. */
    void (*on_completion)(void *conn, uint32_t operation, const struct cmdi_completion *completion);
    /** Ends in cmdi_conn_on_connect. */
    void (*connect)(struct cmdi_conn *conn, const struct cmdi_address *address);
    /** Each buffer, and the end of it all, comes to cmdi_conn_on_recv. */
    void (*recv)(struct cmdi_conn *conn, bool poll_first);
    /** The data stays until cmdi_conn_on_send. */
    void (*send)(struct cmdi_conn *conn, const uint8_t *data, size_t size);
    /** At once, without waiting; never while a send is in flight. Returns: bytes taken; -errno. */
    int64_t (*send_now)(struct cmdi_conn *conn, const uint8_t *data, size_t size);
    /**
     * While no recv is armed: looks out for the peer's end, with `finish` for its FIN too. Ends in
     * cmdi_conn_on_watch. NULL: it cannot.
     */
    void (*watch)(struct cmdi_conn *conn, bool finish);
    /** Ends the armed recv; one completion of its own in cmdi_conn_on_cancel. */
    void (*recv_cancel)(struct cmdi_conn *conn);
    /** Our FIN, behind everything that was sent. */
    void (*shut_write)(struct cmdi_conn *conn);
    /**
     * Ends everything in flight: both directions are shut, all operations are cancelled
     * (completions as above, counted).
     */
    void (*abort)(struct cmdi_conn *conn);
    /** Nothing is in flight any more. */
    void (*close)(struct cmdi_conn *conn);
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
