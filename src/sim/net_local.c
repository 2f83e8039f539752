/* SPDX-License-Identifier: MIT */
/*
 * UNIX sockets. Nothing flies: what is sent lies at the other end at once, and who closes is seen to
 * have closed.
 *
 * A path stays where it is when its socket is closed, or its process killed, or its host off: like the
 * file that it is, it lasts until somebody removes it. An abstract name goes with its socket.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "sim/net_inside.h"

enum {
    LOCAL_BLOCK = 4096, // What is not read is counted in blocks.
};

struct local_name {
    struct cmdi_list link;
    const struct cmdi_sim_host *host;
    struct cmdi_address address;
    uint64_t number;        // Which file: never used again.
    struct cmdi_sock *sock; // NULL: nobody's.
};
static struct {
    struct cmdi_list names;
    uint64_t numbers;
} local;

/* --- Names ------------------------------------------------------------------------------------ */

static bool is_abstract(const struct cmdi_address *address)
{
    return address->size > offsetof(struct sockaddr_un, sun_path) &&
           address->as.local.sun_path[0] == '\0';
}

static bool same_name(const struct cmdi_address *one, const struct cmdi_address *other)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (is_abstract(one) || is_abstract(other)) {
        return one->size == other->size && memcmp(&one->as, &other->as, one->size) == 0;
    }
    size_t size = strnlen(one->as.local.sun_path, one->size - head); // With its end or without.
    return size == strnlen(other->as.local.sun_path, other->size - head) &&
           memcmp(one->as.local.sun_path, other->as.local.sun_path, size) == 0;
}

static struct local_name *name_find(
        const struct cmdi_sim_host *host, const struct cmdi_address *address)
{
    for (struct cmdi_list *node = local.names.next; node != &local.names; node = node->next) {
        struct local_name *name = CMDI_CONTAINER(node, struct local_name, link);
        if (name->host == host && same_name(&name->address, address)) {
            return name;
        }
    }
    return NULL;
}

static void name_free(struct local_name *name)
{
    cmdi_list_remove(&name->link);
    cmdi_sim_free(name);
}

/* Somebody listens there. */
static bool name_is_alive(const struct local_name *name)
{
    return name->sock != NULL && name->sock->state == SOCK_LISTENING;
}

int local_bind(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    struct local_name *name = name_find(sock->host, address);
    if (name != NULL && (name_is_alive(name) || is_abstract(address))) {
        return -EADDRINUSE;
    }
    if (name != NULL) { // Stale: whoever listens replaces it, see cmdi_socket_listen().
        name_free(name);
    }
    name = cmdi_sim_alloc(sizeof(*name));
    name->host = sock->host;
    name->address = *address;
    name->number = ++local.numbers;
    name->sock = sock;
    cmdi_list_init(&name->link);
    cmdi_list_push(&local.names, &name->link);
    sock->local = *address;
    return 0;
}

void local_unbind(struct cmdi_sock *sock)
{
    struct cmdi_list *node = local.names.next;
    while (node != &local.names) {
        struct local_name *name = CMDI_CONTAINER(node, struct local_name, link);
        node = node->next;
        if (name->sock == sock && is_abstract(&name->address)) {
            name_free(name);
        } else if (name->sock == sock) {
            name->sock = NULL;
        }
    }
}

uint64_t cmdi_net_path_number(const struct cmdi_address *address)
{
    bool has_path = address->as.any.sa_family == AF_UNIX && !is_abstract(address);
    const struct local_name *name = has_path ? name_find(cmdi_sim_host(), address) : NULL;
    return name != NULL ? name->number : 0;
}

void cmdi_net_path_remove(const struct cmdi_address *address, uint64_t number)
{
    bool has_path = address->as.any.sa_family == AF_UNIX && !is_abstract(address);
    struct local_name *name = has_path ? name_find(cmdi_sim_host(), address) : NULL;
    if (name != NULL && name->number == number) {
        name_free(name);
    }
}

/* --- Connecting ------------------------------------------------------------------------------- */

static void local_join(struct cmdi_sock *sock, struct cmdi_sock *listener)
{
    struct cmdi_sock *other = sock_new(listener->host, AF_UNIX);
    other->local = listener->local;
    sock_pair(sock, other);
    cmdi_sim_trace("connected", sock->number, 0);
    sock_open(other);
    listener_queue(listener, other);
    sock_open(sock);
}

int local_connect(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    struct local_name *name = name_find(sock->host, address);
    if (name == NULL || !name_is_alive(name)) {
        return name == NULL && !is_abstract(address) ? -ENOENT : -ECONNREFUSED;
    }
    cmdi_sim_trace("connect", sock->number, sock->host->number);
    sock->remote = *address;
    sock->remote_host = sock->host;
    sock->local = (struct cmdi_address){.size = sizeof(sa_family_t)};
    sock->local.as.any.sa_family = AF_UNIX;
    sock_move(sock, SOCK_CONNECTING);
    if (listener_is_full(name->sock)) { // However long it lasts.
        cmdi_sim_trace("backlog full", sock->number, name->sock->queued_count);
        sock->listener = name->sock;
        cmdi_list_push(&name->sock->arriving, &sock->queue_link);
    } else {
        local_join(sock, name->sock);
    }
    return 0;
}

void local_connect_next(struct cmdi_sock *listener)
{
    if (sock_is_local(listener) && !cmdi_list_empty(&listener->arriving) &&
            !listener_is_full(listener)) {
        struct cmdi_list *node = cmdi_list_pop(&listener->arriving);
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, queue_link);
        sock->listener = NULL;
        local_join(sock, listener);
    }
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* Of those not read. */
static size_t local_room(const struct cmdi_sock *sock)
{
    size_t used = sock->peer != NULL ? sock->peer->in.unread : 0;
    return used < sock->room_max ? sock->room_max - used : 0;
}

bool local_is_writable(const struct cmdi_sock *sock)
{
    return local_room(sock) >= sock->room_max - sock->room_max / 4;
}

int64_t local_send(struct cmdi_sock *sock, const void *data, size_t size)
{
    struct cmdi_sock *peer = sock->peer;
    if (peer == NULL) {
        return sock->state == SOCK_OPEN ? -EPIPE : -ENOTCONN;
    }
    size_t room = local_room(sock);
    size = size < room ? size : room;
    if (size == 0) {
        sock->wanted = true;
        return -EAGAIN;
    }
    way_put(&peer->in, data, size);
    peer->in.queued -= size;
    peer->in.unread += size;
    peer->in.arrived += size;
    sock->sent += size;
    net_counters.bytes += size;
    cmdi_sim_trace("arrive", peer->number, size);
    sock_changed(peer);
    return (int64_t)size;
}

void local_read(struct cmdi_sock *sock)
{
    struct cmdi_sock *peer = sock->peer;
    if (peer != NULL && peer->wanted && local_is_writable(peer)) {
        peer->wanted = false;
        sock_changed(peer);
    }
}

size_t local_waiting(const struct cmdi_sock *sock)
{
    if (sock->peer == NULL || sock->peer->in.unread == 0) {
        return 0;
    }
    uint64_t first = sock->peer->in.read / LOCAL_BLOCK;
    uint64_t last = (sock->sent + LOCAL_BLOCK - 1) / LOCAL_BLOCK;
    return (size_t)(last - first) * LOCAL_BLOCK;
}

/* --- The end ---------------------------------------------------------------------------------- */

void local_shutdown(struct cmdi_sock *sock, int how)
{
    struct cmdi_sock *peer = sock->peer;
    sock->shut_write = sock->shut_write || how != SHUT_RD;
    sock->shut_read = sock->shut_read || how != SHUT_WR;
    if (peer != NULL) {
        peer->in.finished = peer->in.finished || how != SHUT_RD;
        peer->shut_write = peer->shut_write || how != SHUT_WR;
        sock_changed(peer);
    }
    sock_changed(sock);
}

void local_close(struct cmdi_sock *sock)
{
    struct cmdi_sock *peer = sock->peer;
    if (peer == NULL) {
        return;
    }
    sock->peer = peer->peer = NULL;
    peer->in.finished = peer->shut_write = true;
    if (sock->in.unread > 0 || sock->listener != NULL) {
        peer->error = -ECONNRESET;
    }
    sock_changed(peer);
}

void net_local_begin(void)
{
    cmdi_list_init(&local.names);
    local.numbers = 0;
}

void net_local_end(void)
{
    while (!cmdi_list_empty(&local.names)) {
        name_free(CMDI_CONTAINER(local.names.next, struct local_name, link));
    }
}
