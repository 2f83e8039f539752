/* SPDX-License-Identifier: MIT */
/* What ring/socket.h asks of a kernel, of the simulated one. */
#include "ring/socket.h"

#include <errno.h>

#include "base/assert.h"
#include "sim/net.h"
#include "sim/process.h"

enum {
    SOCKET_FAILS_ONE_IN = 200,
};

/* A descriptor that is no socket is a defect of whoever has it. */
static struct cmdi_sock *socket_of(int fd)
{
    struct cmdi_sock *sock = cmdi_sock_of_fd(fd);
    if (sock == NULL) {
        cmdi_sim_fail("descriptor %d is used as a socket, and is none", fd);
    }
    return sock;
}

static int socket_add(struct cmdi_sock *sock)
{
    int fd = cmdi_fd_add(cmdi_sock_file(sock));
    if (fd < 0) {
        cmdi_file_unref(cmdi_sock_file(sock));
    }
    return fd;
}

static bool socket_knows(const struct cmdi_address *address)
{
    sa_family_t family = address->as.any.sa_family;
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

int cmdi_socket_open(const struct cmdi_address *address, uint32_t keepalive_ms)
{
    static const int failures[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    cmdi_sim_yield();
    if (!socket_knows(address)) {
        return -EAFNOSUPPORT;
    }
    if (cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, SOCKET_FAILS_ONE_IN)) {
        return failures[cmdi_sim_below(CMDI_CHANCE_KERNEL, 4)];
    }
    struct cmdi_sock *sock = cmdi_sock_open(address->as.any.sa_family);
    cmdi_sock_set_keepalive(sock, keepalive_ms);
    return socket_add(sock);
}

int cmdi_socket_listen(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms)
{
    CMDI_ASSERT(backlog >= 0);
    cmdi_sim_yield();
    if (!socket_knows(address)) {
        return -EAFNOSUPPORT;
    }
    struct cmdi_sock *sock = cmdi_sock_open(address->as.any.sa_family);
    int code = cmdi_sock_bind(sock, address, reuse_port);
    if (code < 0) {
        cmdi_file_unref(cmdi_sock_file(sock));
        return code;
    }
    cmdi_sock_set_keepalive(sock, keepalive_ms);
    cmdi_sock_listen(sock, (uint32_t)backlog);
    return socket_add(sock);
}

int cmdi_socket_prepare_listening(int fd)
{
    struct cmdi_sock *sock = cmdi_sock_of_fd(fd);
    return sock == NULL ? -EBADF : cmdi_sock_is_listening(sock) ? 0 : -EINVAL;
}

static void socket_nothing_released(struct cmdi_file *file)
{
    cmdi_sim_free(file);
}

/* The kernel takes a descriptor first: without one, whoever waits goes on waiting. */
int cmdi_socket_accept_now(int fd)
{
    cmdi_sim_yield();
    struct cmdi_sock *sock = socket_of(fd);
    struct cmdi_file *file = NULL;
    struct cmdi_file *nothing = cmdi_sim_alloc(sizeof(*nothing));
    *nothing = (struct cmdi_file){.refs = 1, .released = socket_nothing_released};
    int accepted = cmdi_fd_add(nothing);
    if (accepted < 0) {
        cmdi_file_unref(nothing);
        return accepted;
    }
    int code = sock != NULL ? cmdi_sock_accept(sock, &file) : -EBADF;
    if (code < 0) {
        cmdi_file_unref(cmdi_fd_take(accepted));
        return code;
    }
    cmdi_file_unref(cmdi_fd_replace(accepted, file));
    return accepted;
}

void cmdi_socket_file_note(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    uint64_t number = cmdi_net_path_number(address);
    *file = (struct cmdi_socket_file){number != 0 ? 1 : 0, number};
}

void cmdi_socket_file_remove(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    cmdi_sim_yield();
    if (file->inode != 0) {
        cmdi_net_path_remove(address, file->inode);
    }
    *file = (struct cmdi_socket_file){0};
}

int cmdi_socket_local(int fd, struct cmdi_address *address)
{
    struct cmdi_sock *sock = cmdi_sock_of_fd(fd);
    if (sock == NULL) {
        return -EBADF;
    }
    *address = *cmdi_sock_local(sock);
    return 0;
}

int cmdi_socket_peer(int fd, struct cmdi_address *address)
{
    struct cmdi_sock *sock = cmdi_sock_of_fd(fd);
    const struct cmdi_address *remote = sock != NULL ? cmdi_sock_remote(sock) : NULL;
    if (remote == NULL) {
        return sock == NULL ? -EBADF : -ENOTCONN;
    }
    *address = *remote;
    return 0;
}

void cmdi_socket_shutdown(int fd, int how)
{
    cmdi_sim_yield();
    struct cmdi_sock *sock = socket_of(fd);
    if (sock != NULL) {
        cmdi_sock_shutdown(sock, how);
    }
}

void cmdi_socket_reset(int fd)
{
    cmdi_sim_yield();
    struct cmdi_sock *sock = socket_of(fd);
    if (sock != NULL) {
        cmdi_sock_disconnect(sock);
    }
}

int64_t cmdi_socket_send_now(int fd, const void *data, size_t size)
{
    CMDI_ASSERT(size > 0);
    cmdi_sim_yield();
    struct cmdi_sock *sock = socket_of(fd);
    return sock != NULL ? cmdi_sock_send(sock, data, size) : -EBADF;
}

bool cmdi_socket_is_local(int fd)
{
    struct cmdi_sock *sock = socket_of(fd);
    return sock != NULL && cmdi_sock_is_local(sock);
}

size_t cmdi_socket_unread(int fd)
{
    struct cmdi_sock *sock = socket_of(fd);
    return sock != NULL ? cmdi_sock_unread(sock) : 0;
}

int cmdi_socket_peek(int fd)
{
    struct cmdi_sock *sock = socket_of(fd);
    return sock != NULL ? cmdi_sock_peek(sock) : -EBADF;
}

int64_t cmdi_socket_acked(int fd, size_t *waiting)
{
    struct cmdi_sock *sock = socket_of(fd);
    *waiting = 0;
    if (sock == NULL) {
        return -EBADF;
    }
    uint64_t acked = cmdi_sock_acked(sock, waiting);
    return cmdi_sock_is_local(sock) ? -ENOTSUP : (int64_t)acked;
}

bool cmdi_socket_undo_self(int fd)
{
    struct cmdi_sock *sock = socket_of(fd);
    return sock != NULL && cmdi_sock_undo_self(sock);
}

void cmdi_fd_expect(int fd, uint32_t count)
{
    (void)fd;
    (void)count;
}

void cmdi_fd_close(int fd)
{
    cmdi_sim_yield();
    cmdi_file_unref(cmdi_fd_take(fd));
}
