/* SPDX-License-Identifier: MIT */
/*
 * The simulated network: stream sockets of hosts, joined by links with latency, bandwidth and faults.
 *
 * A socket is what the kernel has of one: a queue of bytes that came, a queue of bytes that are still to
 * be acknowledged, and what happened to the connection. Bytes travel as segments: each way of a
 * connection delivers them in order, cut anywhere, later than they were sent. Behind a broken link they
 * wait, as they are sent again and again, until it works or the kernel gives up (-ETIMEDOUT).
 *
 * Who uses a socket holds a reference to its file (world.h): descriptors and operations in flight. With
 * the last one the kernel closes it: FIN behind what is still to be sent; RST, if bytes lie in it that
 * nobody has read. What was closed on this side alone stays in its kernel, and may vanish from it unseen.
 *
 * None of this yields, and all of it is for the loop and for threads of the world alike.
 */
#ifndef CMDI_SIM_NET_H
#define CMDI_SIM_NET_H

#include "sim/world.h"

/* Begins with struct cmdi_file. */
struct cmdi_sock;

/** What poll(2) would say of it now. */
enum cmdi_sock_state {
    CMDI_SOCK_READABLE = 1,  // recv, or accept, would not wait.
    CMDI_SOCK_WRITABLE = 2,  // send would not wait; a connect is over.
    CMDI_SOCK_FAILED = 4,    // Reset, given up, refused.
    CMDI_SOCK_GONE = 8,      // Nothing goes in either direction any more.
    CMDI_SOCK_FINISHED = 16, // The peer sends no more.
};

/** A place in the socket's queue of those who are told of each change. Embedded. */
struct cmdi_sock_watch {
    struct cmdi_list link;
    // Something may be so that was not; the state is the new one already. It may ask for the state, and
    // may not release the socket, nor call into it otherwise.
    void (*changed)(struct cmdi_sock_watch *watch);
    // The last reference is gone, and the watch is off. NULL: it has one of its own.
    void (*released)(struct cmdi_sock_watch *watch);
};

/** The socket of a descriptor of the caller's process, borrowed. NULL: none, or something else. */
struct cmdi_sock *cmdi_sock_of_fd(int fd);
struct cmdi_file *cmdi_sock_file(struct cmdi_sock *sock);
/** For traces: the same in each run. */
uint64_t cmdi_sock_number(const struct cmdi_sock *sock);

uint32_t cmdi_sock_state(const struct cmdi_sock *sock); // Bits of enum cmdi_sock_state.
void cmdi_sock_watch(struct cmdi_sock *sock, struct cmdi_sock_watch *watch);
void cmdi_sock_unwatch(struct cmdi_sock_watch *watch); // None is fine.

/** Bytes that came, up to `size`. Returns: how many; 0: the end; -EAGAIN; -ENOTCONN; once why it failed. */
int64_t cmdi_sock_recv(struct cmdi_sock *sock, void *data, size_t size);
/** Bytes that lie there. */
size_t cmdi_sock_unread(const struct cmdi_sock *sock);
/** Its FIN is here: behind the bytes recv finds the end, and no reset. */
bool cmdi_sock_has_end(const struct cmdi_sock *sock);
/** Queues what there is room for. Returns: how many; -EAGAIN: none; -EPIPE; once why it failed. */
int64_t cmdi_sock_send(struct cmdi_sock *sock, const void *data, size_t size);
/**
 * Begins to connect. Returns: 0; -errno at once (-EADDRNOTAVAIL, -ENETUNREACH, ...). Its end is a
 * change, then cmdi_sock_connected() returns: 0; -EINPROGRESS; why not.
 */
int cmdi_sock_connect(struct cmdi_sock *sock, const struct cmdi_address *address);
int cmdi_sock_connected(struct cmdi_sock *sock);
/** See cmdi_socket_undo_self(). */
bool cmdi_sock_undo_self(struct cmdi_sock *sock);
/** A new one, held by the caller: its file has one reference. */
struct cmdi_sock *cmdi_sock_open(int family);
/** Port 0 becomes a free one. Returns: 0; -EADDRINUSE; -EADDRNOTAVAIL. */
int cmdi_sock_bind(struct cmdi_sock *sock, const struct cmdi_address *address, bool reuse_port);
/** It is bound. */
void cmdi_sock_listen(struct cmdi_sock *sock, uint32_t backlog);
bool cmdi_sock_is_listening(const struct cmdi_sock *sock);
void cmdi_sock_shutdown(struct cmdi_sock *sock, int how); // As shutdown(2).
/** See cmdi_socket_reset(). */
void cmdi_sock_disconnect(struct cmdi_sock *sock);
/** Also of those that are accepted from it. See cmdi_socket_open(). */
void cmdi_sock_set_keepalive(struct cmdi_sock *sock, uint32_t keepalive_ms);
bool cmdi_sock_is_local(const struct cmdi_sock *sock); // A UNIX socket.
const struct cmdi_address *cmdi_sock_local(const struct cmdi_sock *sock);
const struct cmdi_address *cmdi_sock_remote(const struct cmdi_sock *sock); // NULL: not connected.
/** The first byte that lies there; -ENODATA: the end; -EAGAIN and such, as recv. */
int cmdi_sock_peek(struct cmdi_sock *sock);
/**
 * Bytes of which we know that the other end's kernel has them, ever; *waiting: those of which we do not.
 * FIN is one of them. UNIX: all; *waiting: what it has not read, in blocks.
 */
uint64_t cmdi_sock_acked(const struct cmdi_sock *sock, size_t *waiting);
/** One that waits. Returns: its file with a reference, in *file; -EAGAIN; -EMFILE and such, by chance. */
int cmdi_sock_accept(struct cmdi_sock *sock, struct cmdi_file **file);

/** The file of a UNIX socket on the caller's host: which one it is; 0: there is none. */
uint64_t cmdi_net_path_number(const struct cmdi_address *address);
/** Removes it if it is that one. */
void cmdi_net_path_remove(const struct cmdi_address *address, uint64_t number);

/* --- The links: what faults do. Hosts may be the same one --------------------------------------- */

struct cmdi_link_plan {
    bool blocked;          // Nothing gets through.
    uint64_t slow_ns;      // Added to the latency.
    uint64_t bytes_per_ms; // 0: as the options say.
};
/** One direction. It lasts until it is set again. */
void cmdi_net_set_link(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to,
        const struct cmdi_link_plan *plan);
void cmdi_net_heal(void); // All of them.
/** Resets up to `max` connections between the two, both ends of each. Returns: how many. */
uint32_t cmdi_net_cut(
        const struct cmdi_sim_host *one, const struct cmdi_sim_host *other, uint32_t max);
/** A host has lost power: its sockets vanish, and nobody is told. Their files stay until released. */
void cmdi_net_power_off(struct cmdi_sim_host *host);
/** Of the world. */
void cmdi_net_begin(void);
void cmdi_net_end(void);
struct cmdi_net_counters {
    uint64_t connections, segments, bytes;
};
struct cmdi_net_counters cmdi_net_counters(void);

#endif
