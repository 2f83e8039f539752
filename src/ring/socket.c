/* SPDX-License-Identifier: MIT */
/*
 * Sockets. No state, so everything here is for any thread.
 *
 * Connections stay blocking: operations of the ring wait inside the kernel, where a non-blocking
 * socket would give -EAGAIN, and the one call made past the ring says MSG_DONTWAIT itself. An accept
 * waits also for a listening socket that does not block, and past the ring there is no such flag.
 */
#include "ring/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmdstream/base.h>

#include "base/assert.h"
#include "base/time.h"
#include "ring/clock.h"

enum {
    SOCKET_KEEPALIVE_PROBES = 3,
    SOCKET_KEEPALIVE_S_MAX = 32767, // The kernel takes no more.
    SOCKET_TCP_INFO_ACKED = 15, // tcpi_bytes_acked, as 64-bit words; libc's struct ends before it.
    SOCKET_IN_USE_MS = 1000,    // So long at least until somebody listens there indeed.
    SOCKET_PAUSE_MS_MAX = 64,
};

static int socket_flag(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static bool address_is_tcp(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_INET || address->as.any.sa_family == AF_INET6;
}

/*
 * Half of the time in silence, then three probes in the rest of it. Neither is less than a second.
 */
static int socket_keep_alive(int fd, uint32_t keepalive_ms)
{
    int idle_s = keepalive_ms / 2000 < SOCKET_KEEPALIVE_S_MAX ? (int)(keepalive_ms / 2000)
                                                              : SOCKET_KEEPALIVE_S_MAX;
    int interval_s = idle_s / SOCKET_KEEPALIVE_PROBES;
    int code = socket_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (code < 0 || keepalive_ms == CMDS_NEVER) {
        return code;
    }
    code = socket_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s > 0 ? idle_s : 1);
    if (code == 0) {
        code = socket_flag(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s > 0 ? interval_s : 1);
    }
    return code < 0 ? code : socket_flag(fd, IPPROTO_TCP, TCP_KEEPCNT, SOCKET_KEEPALIVE_PROBES);
}

int cmdi_socket_open(const struct cmdi_address *address, uint32_t keepalive_ms)
{
    int fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int code = 0;
    if (address_is_tcp(address)) {
        // A client's too: it may connect to itself and end, and its port be in TIME_WAIT.
        code = socket_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        code = code == 0 ? socket_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1) : code;
        if (code == 0 && keepalive_ms > 0) {
            code = socket_keep_alive(fd, keepalive_ms);
        }
    }
    if (code < 0) {
        cmdi_fd_close(fd);
        return code;
    }
    return fd;
}

/* What only a listener needs. */
static int socket_prepare(int fd, const struct cmdi_address *address, bool reuse_port)
{
    if (!address_is_tcp(address)) {
        return 0;
    }
    int code = reuse_port ? socket_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
    if (code == 0 && address->as.any.sa_family == AF_INET6 &&
            IN6_IS_ADDR_UNSPECIFIED(&address->as.v6.sin6_addr)) {
        // [::] is any address, also an IPv4 one.
        code = socket_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    return code;
}

static bool address_is_path(const struct cmdi_address *address)
{
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    return address->as.any.sa_family == AF_UNIX && address->size > offset &&
           address->as.local.sun_path[0] != '\0' &&
           address->size - offset <= sizeof(address->as.local.sun_path);
}

/* Returns: fd; -errno. */
static int local_connect(const struct cmdi_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, &address->as.any, address->size) == 0) {
        return fd;
    }
    int code = -errno;
    cmdi_fd_close(fd);
    return code;
}

/* The path with its terminator, which an address of full length lacks. */
static struct cmdi_address local_terminated(const struct cmdi_address *address)
{
    struct cmdi_address copy = *address;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    if (copy.size > offset && copy.size < sizeof(copy.as.local)) {
        copy.as.local.sun_path[copy.size - offset] = '\0';
    }
    return copy;
}

/*
 * A socket's path that nobody listens on any more: its process ended without removing it. Never
 * another kind of file.
 */
static bool local_path_is_stale(const struct cmdi_address *address)
{
    struct cmdi_address path = local_terminated(address);
    struct stat status;
    if (path.as.local.sun_path[sizeof(path.as.local.sun_path) - 1] != '\0' ||
            lstat(path.as.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int fd = local_connect(&path);
    if (fd >= 0) {
        cmdi_fd_close(fd);
    }
    return fd == -ECONNREFUSED;
}

/*
 * Two processes that replace the same stale path in the same instant can remove each other's: a
 * lock file would prevent it and would itself be left behind, so the last one wins.
 */
static int socket_bind(int fd, const struct cmdi_address *address)
{
    if (bind(fd, &address->as.any, address->size) == 0) {
        return 0;
    }
    int code = -errno;
    if (code != -EADDRINUSE || !address_is_path(address) || !local_path_is_stale(address)) {
        return code;
    }
    struct cmdi_address path = local_terminated(address);
    if (unlink(path.as.local.sun_path) != 0 && errno != ENOENT) {
        return -errno;
    }
    return bind(fd, &address->as.any, address->size) == 0 ? 0 : -errno;
}

static int socket_listen_now(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms)
{
    int fd = cmdi_socket_open(address, keepalive_ms);
    if (fd < 0) {
        return fd;
    }
    int code = socket_prepare(fd, address, reuse_port);
    if (code == 0) {
        code = socket_bind(fd, address);
    }
    if (code == 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || listen(fd, backlog) != 0)) {
        code = -errno;
    }
    if (code < 0) {
        cmdi_fd_close(fd);
        return code;
    }
    return fd;
}

/* Reaped or not. */
static bool process_has_ended(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        return errno == ESRCH;
    }
    bool has_ended = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0;
    cmdi_fd_close(fd);
    return has_ended;
}

/*
 * Somebody listens there. On a path each try is a connection, which he sees: so it is worth while only if
 * whoever began to listen has ended. A child of his may go on with it.
 */
static bool socket_may_be_free_soon(const struct cmdi_address *address)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    if (!address_is_path(address)) {
        return true;
    }
    int fd = local_connect(address);
    if (fd < 0) {
        // Gone or left behind by now, or so full that it is no connection; else it is no socket.
        return fd == -ENOENT || fd == -EAGAIN || local_path_is_stale(address);
    }
    int code = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    cmdi_fd_close(fd);
    return code == 0 && peer.pid > 0 && process_has_ended(peer.pid);
}

/*
 * A socket that a ring waits on outlives its process: the kernel takes the ring down behind it. After
 * a SIGKILL, and with its process reaped, a port was in use for another 6 to 22 ms, and with 8,000
 * connections for 84: who starts the next server at once would find it so.
 */
int cmdi_socket_listen(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms)
{
    CMDI_ASSERT(backlog >= 0);
    int fd = socket_listen_now(address, backlog, reuse_port, keepalive_ms);
    uint64_t until_ms = cmdi_ns_to_ms(cmdi_now_ns()) + SOCKET_IN_USE_MS;
    for (int pause_ms = 1; fd == -EADDRINUSE && cmdi_ns_to_ms(cmdi_now_ns()) < until_ms;
            pause_ms *= pause_ms < SOCKET_PAUSE_MS_MAX ? 2 : 1) {
        if (!socket_may_be_free_soon(address)) {
            return fd;
        }
        (void)poll(NULL, 0, pause_ms);
        fd = socket_listen_now(address, backlog, reuse_port, keepalive_ms);
    }
    return fd;
}

static int socket_option(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -errno;
}

int cmdi_socket_prepare_listening(int fd)
{
    int listens = socket_option(fd, SO_ACCEPTCONN);
    if (listens <= 0 || socket_option(fd, SO_TYPE) != SOCK_STREAM) {
        return listens < 0 ? listens : -EINVAL;
    }
    int flags = fcntl(fd, F_GETFL);
    bool done = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
                fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
    return done ? 0 : -errno;
}

int cmdi_socket_accept_now(int fd)
{
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    return accepted < 0 ? -errno : accepted;
}

/* Returns: the address has a path, and there is a file. */
static bool local_status(const struct cmdi_address *address, struct stat *status)
{
    struct cmdi_address path = local_terminated(address);
    const char *text = path.as.local.sun_path;
    return address->as.any.sa_family == AF_UNIX && text[0] != '\0' &&
           address->size <= sizeof(path.as.local) &&
           text[sizeof(path.as.local.sun_path) - 1] == '\0' && lstat(text, status) == 0;
}

void cmdi_socket_file_note(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    struct stat status;
    *file = (struct cmdi_socket_file){0};
    if (local_status(address, &status)) {
        *file = (struct cmdi_socket_file){status.st_dev, status.st_ino};
    }
}

void cmdi_socket_file_remove(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    struct stat status;
    bool noted = file->device != 0 || file->inode != 0;
    if (noted && local_status(address, &status) && status.st_dev == file->device &&
            status.st_ino == file->inode) {
        struct cmdi_address path = local_terminated(address);
        (void)unlink(path.as.local.sun_path); // Gone already: just as well.
    }
    *file = (struct cmdi_socket_file){0};
}

int cmdi_socket_local(int fd, struct cmdi_address *address)
{
    struct cmdi_address found = {.size = sizeof(found.as)};
    if (getsockname(fd, &found.as.any, &found.size) != 0) {
        return -errno;
    }
    *address = found;
    return 0;
}

int cmdi_socket_peer(int fd, struct cmdi_address *address)
{
    struct cmdi_address found = {.size = sizeof(found.as)};
    if (getpeername(fd, &found.as.any, &found.size) != 0) {
        return -errno;
    }
    *address = found;
    return 0;
}

void cmdi_socket_shutdown(int fd, int how)
{
    CMDI_ASSERT(fd >= 0);
    (void)shutdown(fd, how); // ENOTCONN: the peer was faster, and that is what was wanted.
}

/* To connect to nothing is how Linux says disconnect: whatever it was doing, the peer gets a reset. */
static void socket_disconnect(int fd)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)connect(fd, &none, sizeof(none));
}

void cmdi_socket_reset(int fd)
{
    CMDI_ASSERT(fd >= 0);
    if (cmdi_socket_is_local(fd)) {
        (void)shutdown(fd, SHUT_RDWR);
    } else {
        socket_disconnect(fd);
    }
}

int64_t cmdi_socket_send_now(int fd, const void *data, size_t size)
{
    CMDI_ASSERT(fd >= 0 && size > 0);
    ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
}

bool cmdi_socket_is_local(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

size_t cmdi_socket_unread(int fd)
{
    int size = 0;
    return ioctl(fd, FIONREAD, &size) == 0 && size > 0 ? (size_t)size : 0;
}

int cmdi_socket_peek(int fd)
{
    unsigned char byte = 0;
    ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size == 1 ? byte : size == 0 ? -ENODATA : -errno;
}

int64_t cmdi_socket_acked(int fd, size_t *waiting)
{
    uint64_t info[SOCKET_TCP_INFO_ACKED + 1] = {0};
    socklen_t size = sizeof(info);
    int queued = 0;
    *waiting = ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (size_t)queued : 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) != 0 || size < sizeof(info)) {
        return -ENOTSUP;
    }
    if (*(const uint8_t *)info == TCP_CLOSE) { // tcpi_state
        *waiting = 0;
    }
    return (int64_t)info[SOCKET_TCP_INFO_ACKED];
}

bool cmdi_socket_undo_self(int fd)
{
    struct cmdi_address ours = {.size = 0};
    struct cmdi_address theirs = {.size = 0};
    if (cmdi_socket_local(fd, &ours) < 0 || !address_is_tcp(&ours) ||
            cmdi_socket_peer(fd, &theirs) < 0 || ours.size != theirs.size ||
            memcmp(&ours.as, &theirs.as, ours.size) != 0) {
        return false;
    }
    /* A close would leave the port in TIME_WAIT, which some servers cannot bind; this does not. */
    socket_disconnect(fd);
    return true;
}

void cmdi_fd_expect(int fd, uint32_t count)
{
    CMDI_ASSERT(fd >= 0);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 0) {
        return;
    }
    rlim_t last = limit.rlim_cur - 1 < count ? limit.rlim_cur - 1 : count;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, (int)(last < INT32_MAX ? last : INT32_MAX));
    if (high >= 0) {
        cmdi_fd_close(high); // The table stays as large as it has become.
    }
}

void cmdi_fd_close(int fd)
{
    (void)close(fd); // Whatever it says, the number is free; a second try could hit another file.
}
