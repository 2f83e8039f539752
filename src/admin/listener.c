/* SPDX-License-Identifier: MIT */
/* See listener.h. */
#include "admin/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/common.h"

enum {
    LISTENER_BACKLOG = 64,
    LISTENER_MODE = 0600,
};
#define LISTENER_UNIX "unix:"

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un local;
    } as;
    socklen_t size;
    bool is_remote; // Other machines reach it.
};

/* --- Text ------------------------------------------------------------------------------------- */

/* Returns: -1: it is none. */
static int parse_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port = digits > 0 && digits <= 5 && text[digits] == '\0' ? strtol(text, NULL, 10) : -1;
    return port <= UINT16_MAX ? (int)port : -1;
}

static bool parse_host(struct address *address, const char *host, uint16_t port)
{
    if (strcmp(host, "localhost") == 0) {
        host = "127.0.0.1";
    }
    if (inet_pton(AF_INET, host, &address->as.in4.sin_addr) == 1) {
        address->as.in4.sin_family = AF_INET;
        address->as.in4.sin_port = htons(port);
        address->size = sizeof(address->as.in4);
        address->is_remote = ntohl(address->as.in4.sin_addr.s_addr) >> 24 != 127;
        return true;
    }
    size_t size = strlen(host);
    char plain[INET6_ADDRSTRLEN];
    if (size < 3 || size - 2 >= sizeof(plain) || host[0] != '[' || host[size - 1] != ']') {
        return false;
    }
    memcpy(plain, host + 1, size - 2);
    plain[size - 2] = '\0';
    if (inet_pton(AF_INET6, plain, &address->as.in6.sin6_addr) != 1) {
        return false;
    }
    address->as.in6.sin6_family = AF_INET6;
    address->as.in6.sin6_port = htons(port);
    address->size = sizeof(address->as.in6);
    address->is_remote = !IN6_IS_ADDR_LOOPBACK(&address->as.in6.sin6_addr);
    return true;
}

static int parse_path(
        struct address *address, const char *name, const char *path, struct cmds_error *error)
{
    size_t size = strlen(path);
    // An abstract name has no mode: everybody on the machine may open it.
    if (size == 0 || path[0] == '@' || size >= sizeof(address->as.local.sun_path)) {
        return cmdi_admin_fail(error, -EINVAL,
                "%s: a UNIX socket has the path of a file, of at most %zu bytes", name,
                sizeof(address->as.local.sun_path) - 1);
    }
    address->as.local.sun_family = AF_UNIX;
    memcpy(address->as.local.sun_path, path, size + 1);
    address->size = sizeof(address->as.local);
    return 0;
}

static int parse(
        struct address *address, const char *name, const char *text, struct cmds_error *error)
{
    *address = (struct address){0};
    if (strncmp(text, LISTENER_UNIX, sizeof(LISTENER_UNIX) - 1) == 0) {
        return parse_path(address, name, text + sizeof(LISTENER_UNIX) - 1, error);
    }
    char host[64];
    const char *colon = strrchr(text, ':');
    int port = colon == NULL ? -1 : parse_port(colon + 1);
    size_t size = colon == NULL ? 0 : (size_t)(colon - text);
    if (port >= 0 && size > 0 && size < sizeof(host)) {
        memcpy(host, text, size);
        host[size] = '\0';
        if (parse_host(address, host, (uint16_t)port)) {
            return 0;
        }
    }
    return cmdi_admin_fail(error, -EINVAL,
            "%s: \"%.64s\" is no address: 127.0.0.1:PORT, [::1]:PORT, localhost:PORT or unix:PATH; "
            "no other names",
            name, text);
}

static void say(struct cmdi_admin_listener *listener, const struct address *address)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (listener->is_unix) {
        (void)snprintf(listener->text, sizeof(listener->text), LISTENER_UNIX "%s",
                address->as.local.sun_path);
    } else if (address->as.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->as.in4.sin_addr, host, sizeof(host));
        (void)snprintf(listener->text, sizeof(listener->text), "%s:%u", host,
                ntohs(address->as.in4.sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &address->as.in6.sin6_addr, host, sizeof(host));
        (void)snprintf(listener->text, sizeof(listener->text), "[%s]:%u", host,
                ntohs(address->as.in6.sin6_port));
    }
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/* A socket file is there, and nobody listens on it. */
static bool path_is_stale(const struct address *address)
{
    struct stat status;
    if (lstat(address->as.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool refused = connect(fd, &address->as.any, address->size) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return refused;
}

static int bind_socket(int fd, const struct address *address)
{
    bool is_unix = address->as.any.sa_family == AF_UNIX;
    int on = 1;
    // The file gets the socket's mode: there is no moment in which anybody else may open it.
    if (is_unix && fchmod(fd, LISTENER_MODE) != 0) {
        return -errno;
    }
    if (!is_unix &&
            (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
                    (address->as.any.sa_family == AF_INET6 &&
                            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0))) {
        return -errno;
    }
    if (bind(fd, &address->as.any, address->size) == 0) {
        return 0;
    }
    int code = -errno;
    if (code == -EADDRINUSE && is_unix && path_is_stale(address) &&
            unlink(address->as.local.sun_path) == 0) {
        code = bind(fd, &address->as.any, address->size) == 0 ? 0 : -errno;
    }
    return code;
}

/* What a socket that is bound has become. */
static int learn(struct cmdi_admin_listener *listener, struct address *address)
{
    struct stat status;
    if (listener->is_unix) {
        listener->path = address->as.local;
        if (stat(address->as.local.sun_path, &status) != 0) {
            return -errno;
        }
        listener->device = status.st_dev;
        listener->inode = status.st_ino;
    } else if (getsockname(listener->fd, &address->as.any, &address->size) != 0) {
        return -errno;
    }
    say(listener, address);
    return 0;
}

int cmdi_admin_listen(struct cmdi_admin_listener *listener, const char *name, const char *text,
        bool allow_remote, struct cmds_error *error)
{
    *listener = (struct cmdi_admin_listener){.fd = -1};
    struct address address;
    int code = parse(&address, name, text, error);
    if (code < 0) {
        return code;
    }
    if (address.is_remote && !allow_remote) {
        return cmdi_admin_fail(error, -EACCES,
                "%s: other machines reach %.64s; this one must be 127.0.0.1, [::1] or unix:PATH%s",
                name, text,
                strcmp(name, "metrics") == 0
                        ? " unless allow_remote is set (`cmdstream serve`: --metrics-remote)"
                        : "");
    }
    listener->is_unix = address.as.any.sa_family == AF_UNIX;
    int fd = socket(address.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    code = fd < 0 ? -errno : bind_socket(fd, &address);
    if (code == 0) {
        listener->fd = fd;
        code = learn(listener, &address);
        code = code < 0 ? code : listen(fd, LISTENER_BACKLOG) == 0 ? 0 : -errno;
    }
    if (code < 0) {
        if (listener->fd >= 0) {
            cmdi_admin_unlisten(listener);
        } else if (fd >= 0) {
            (void)close(fd);
        }
        return cmdi_admin_fail(error, code, "%s: listen %.107s: %s", name, text, strerror(-code));
    }
    return 0;
}

void cmdi_admin_unlisten(struct cmdi_admin_listener *listener)
{
    if (listener->fd < 0) {
        return;
    }
    struct stat status;
    // While it listens nobody takes the path for stale: what has our number is ours.
    if (listener->is_unix && lstat(listener->path.sun_path, &status) == 0 &&
            status.st_dev == listener->device && status.st_ino == listener->inode) {
        (void)unlink(listener->path.sun_path);
    }
    (void)shutdown(listener->fd, SHUT_RDWR); // A forked child has a copy of it.
    (void)close(listener->fd);
    listener->fd = -1;
}
