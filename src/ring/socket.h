/* SPDX-License-Identifier: MIT */
/*
 * Sockets, but for the operations that a ring completes. Thread: any.
 */
#ifndef CMDI_RING_SOCKET_H
#define CMDI_RING_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/address.h"

/**
 * A stream socket of the address's family: CLOEXEC, TCP_NODELAY, and no listener finds its port in use
 * for it. `keepalive_ms`: the kernel probes a silent TCP peer and gives it up after about so long (at
 * least 4 s; CMDS_NEVER: as the system does, 0: never). Returns: fd; -errno.
 */
int cmdi_socket_open(const struct cmdi_address *address, uint32_t keepalive_ms);
/**
 * A bound, listening socket, not blocking; accepted sockets, which block, inherit TCP_NODELAY and
 * the probes. A UNIX path that nobody listens on any more is replaced. An address in use is waited for
 * up to a second, a path only if the process that listened there has ended. Returns: fd; -errno.
 */
int cmdi_socket_listen(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms);
/**
 * A listening socket that was made elsewhere becomes as cmdi_socket_listen() makes it: CLOEXEC, not
 * blocking. Returns: 0; -EINVAL: it does not listen for streams; -errno.
 */
int cmdi_socket_prepare_listening(int fd);
/**
 * Accepts from a listening socket, with CLOEXEC, if somebody waits. Returns: fd; -EAGAIN: nobody;
 * -errno.
 */
int cmdi_socket_accept_now(int fd);

/** The file of a listening UNIX socket: which one it is, not only where. */
struct cmdi_socket_file {
    uint64_t device, inode; // 0, 0: there is none.
};
/** Remembers the file that `address` was just bound to; none for any address but a UNIX path. */
void cmdi_socket_file_note(const struct cmdi_address *address, struct cmdi_socket_file *file);
/**
 * Removes it, once, unless the path is another file by now. Call it while the socket listens: then
 * nobody takes the path for stale between the look and the removal.
 */
void cmdi_socket_file_remove(const struct cmdi_address *address, struct cmdi_socket_file *file);
/** The address a socket is bound to (port 0 resolved), or of its peer. Returns: 0; -errno. */
int cmdi_socket_local(int fd, struct cmdi_address *address);
int cmdi_socket_peer(int fd, struct cmdi_address *address);
/** shutdown(2), never through the ring: OP_SHUTDOWN goes to a worker thread of the kernel. */
void cmdi_socket_shutdown(int fd, int how);
/**
 * Of TCP: the peer gets a reset at once, and what was not sent is dropped. A UNIX socket has no reset:
 * both directions are shut. Operations of either end.
 */
void cmdi_socket_reset(int fd);
/** send(2) without waiting. Returns: bytes; -errno. */
int64_t cmdi_socket_send_now(int fd, const void *data, size_t size);
/** A UNIX socket. */
bool cmdi_socket_is_local(int fd);
/** Bytes that lie in the socket and can be received. */
size_t cmdi_socket_unread(int fd);
/** The first of these bytes, which stays there. Returns: -errno without any. */
int cmdi_socket_peek(int fd);
/**
 * Of TCP: bytes that the peer's side has acknowledged, ever; *waiting: those that it has not, 0 if the
 * connection is over, since nobody will. Of others -ENOTSUP; *waiting: memory of what the peer has not
 * read, in whole blocks.
 */
int64_t cmdi_socket_acked(int fd, size_t *waiting);
/**
 * Two ends that are one: a connect to a port of this host that nobody listens on may get that very
 * port as its own, and TCP connects it to itself. Returns: it was so, and the port is free again.
 */
bool cmdi_socket_undo_self(int fd);
/**
 * Makes room for `count` descriptors, as far as RLIMIT_NOFILE lets it; `fd` is any open one. Where
 * there are threads the kernel waits for an RCU grace period each time the table of descriptors
 * doubles, tens of ms, and whoever opens the one too many waits with it: better now than in a turn.
 */
void cmdi_fd_expect(int fd, uint32_t count);
/** close(2). Only when no operation names the fd any more. */
void cmdi_fd_close(int fd);

#endif
