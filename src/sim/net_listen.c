/* SPDX-License-Identifier: MIT */
/* Addresses, those who listen on them, and those who wait to be accepted. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "sim/net_inside.h"

enum {
    PORT_FIRST = 32768, // Of those for who names none, as ip_local_port_range.
    PORT_COUNT = 28000,
    ACCEPT_FAILS_ONE_IN = 100,
    BACKLOG_MAX = 4096, // As net.core.somaxconn.
    TABLE_SIZE = 256,
};

/* What is bound to a port, by host and port. */
static struct cmdi_list bound[TABLE_SIZE];

/* --- Addresses -------------------------------------------------------------------------------- */

uint16_t port_of(const struct cmdi_address *address)
{
    switch (address->as.any.sa_family) {
    case AF_INET:
        return ntohs(address->as.v4.sin_port);
    case AF_INET6:
        return ntohs(address->as.v6.sin6_port);
    default:
        return 0;
    }
}

void port_set(struct cmdi_address *address, uint16_t port)
{
    if (address->as.any.sa_family == AF_INET6) {
        address->as.v6.sin6_port = htons(port);
    } else {
        address->as.v4.sin_port = htons(port);
    }
}

static bool is_v4(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&address->as.v6.sin6_addr);
}

static struct in_addr v4_of(const struct cmdi_address *address)
{
    struct in_addr v4 = address->as.v4.sin_addr;
    if (address->as.any.sa_family == AF_INET6) {
        memcpy(&v4, address->as.v6.sin6_addr.s6_addr + 12, sizeof(v4));
    }
    return v4;
}

static bool is_any(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_INET
                   ? address->as.v4.sin_addr.s_addr == INADDR_ANY
                   : IN6_IS_ADDR_UNSPECIFIED(&address->as.v6.sin6_addr);
}

/* What comes to the one address may come to the other, of the same port: [::] takes IPv4 as well. */
static bool addresses_meet(const struct cmdi_address *one, const struct cmdi_address *other)
{
    bool same = is_v4(one) == is_v4(other);
    bool one_is_all = is_any(one) && (same || !is_v4(one));
    bool other_is_all = is_any(other) && (same || !is_v4(other));
    if (one_is_all || other_is_all || !same) {
        return one_is_all || other_is_all;
    }
    return is_v4(one) ? v4_of(one).s_addr == v4_of(other).s_addr
                      : IN6_ARE_ADDR_EQUAL(&one->as.v6.sin6_addr, &other->as.v6.sin6_addr);
}

/* --- Ports ------------------------------------------------------------------------------------ */

static struct cmdi_list *port_bucket(const struct cmdi_sim_host *host, uint16_t port)
{
    return &bound[(host->number * 31 + port) % TABLE_SIZE];
}

static bool port_is_free(
        const struct cmdi_sim_host *host, const struct cmdi_address *address, bool reuse_port)
{
    const struct cmdi_list *bucket = port_bucket(host, port_of(address));
    for (struct cmdi_list *node = bucket->next; node != bucket; node = node->next) {
        const struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, of_table);
        if (sock->host == host && port_of(&sock->local) == port_of(address) &&
                addresses_meet(&sock->local, address) && !(reuse_port && sock->reuse_port)) {
            return false;
        }
    }
    return true;
}

bool port_is_drawn(uint16_t port)
{
    return port >= PORT_FIRST && port < PORT_FIRST + PORT_COUNT;
}

uint16_t port_draw(struct cmdi_sim_host *host, const struct cmdi_address *address)
{
    struct cmdi_address local = *address;
    for (uint32_t i = 0; i < PORT_COUNT; i++) {
        host->port_next = (uint16_t)((host->port_next + 1) % PORT_COUNT);
        port_set(&local, (uint16_t)(PORT_FIRST + host->port_next));
        if (port_is_free(host, &local, false)) {
            return port_of(&local);
        }
    }
    return 0;
}

int cmdi_sock_bind(struct cmdi_sock *sock, const struct cmdi_address *address, bool reuse_port)
{
    struct cmdi_address local = *address;
    CMDI_ASSERT(sock->state == SOCK_FRESH && cmdi_list_empty(&sock->of_table));
    if (sock_is_local(sock)) {
        return local_bind(sock, address);
    }
    if (!is_any(&local) && cmdi_sim_host_of(&local) != sock->host) {
        return -EADDRNOTAVAIL;
    }
    if (port_of(&local) == 0) {
        port_set(&local, port_draw(sock->host, &local));
    }
    sock->reuse_port = reuse_port;
    return port_of(&local) != 0 && port_take(sock, &local) ? 0 : -EADDRINUSE;
}

bool port_take(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    CMDI_ASSERT(cmdi_list_empty(&sock->of_table));
    if (!port_is_free(sock->host, address, sock->reuse_port)) {
        return false;
    }
    sock->local = *address;
    cmdi_list_push(port_bucket(sock->host, port_of(address)), &sock->of_table);
    return true;
}

void sock_unbind(struct cmdi_sock *sock)
{
    cmdi_list_remove(&sock->of_table);
    if (sock_is_local(sock)) {
        local_unbind(sock);
    }
}

/* --- Listening -------------------------------------------------------------------------------- */

void cmdi_sock_listen(struct cmdi_sock *sock, uint32_t backlog)
{
    CMDI_ASSERT(sock_is_local(sock) || !cmdi_list_empty(&sock->of_table));
    sock_move(sock, SOCK_LISTENING);
    sock->backlog = backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX;
    cmdi_sim_trace("listen", sock->number, port_of(&sock->local));
}

bool cmdi_sock_is_listening(const struct cmdi_sock *sock)
{
    return sock->state == SOCK_LISTENING;
}

static bool listens_there(const struct cmdi_sock *sock, const struct cmdi_sim_host *host,
        const struct cmdi_address *address)
{
    return sock->state == SOCK_LISTENING && sock->host == host &&
           port_of(&sock->local) == port_of(address) && addresses_meet(&sock->local, address);
}

/* By the lot, as the kernel chooses by a hash of both addresses: who tries again meets the same one. */
struct cmdi_sock *listener_find(
        const struct cmdi_sim_host *host, const struct cmdi_address *address, uint64_t lot)
{
    const struct cmdi_list *bucket = port_bucket(host, port_of(address));
    uint64_t count = 0;
    for (struct cmdi_list *node = bucket->next; node != bucket; node = node->next) {
        count += listens_there(CMDI_CONTAINER(node, struct cmdi_sock, of_table), host, address);
    }
    uint64_t chosen = count > 0 ? lot % count : 0;
    for (struct cmdi_list *node = bucket->next; node != bucket; node = node->next) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, of_table);
        if (listens_there(sock, host, address) && chosen-- == 0) {
            return sock;
        }
    }
    return NULL;
}

/* As the kernel counts: one more than the backlog says. */
bool listener_is_full(const struct cmdi_sock *sock)
{
    return sock->queued_count > sock->backlog;
}

void listener_queue(struct cmdi_sock *listener, struct cmdi_sock *sock)
{
    CMDI_ASSERT(listener->state == SOCK_LISTENING && sock->state == SOCK_OPEN);
    cmdi_list_remove(&sock->queue_link);
    sock->listener = listener;
    cmdi_list_push(&listener->queued, &sock->queue_link);
    listener->queued_count++;
    sock_changed(listener);
}

void listener_close(struct cmdi_sock *sock)
{
    struct cmdi_list *lists[] = {&sock->queued, &sock->arriving};
    sock_unbind(sock);
    for (uint32_t i = 0; i < 2; i++) {
        struct cmdi_list *node = NULL;
        while ((node = cmdi_list_pop(lists[i])) != NULL) {
            struct cmdi_sock *one = CMDI_CONTAINER(node, struct cmdi_sock, queue_link);
            one->listener = NULL;
            if (one->state == SOCK_CONNECTING) { // Of a UNIX socket: it is somebody's.
                sock_die(one, -ECONNREFUSED);
            } else {
                sock_discard(one);
            }
        }
    }
    sock->queued_count = 0;
}

static struct cmdi_sock *listener_pop(struct cmdi_sock *sock)
{
    struct cmdi_list *node = cmdi_list_pop(&sock->queued);
    struct cmdi_sock *one = CMDI_CONTAINER(node, struct cmdi_sock, queue_link);
    one->listener = NULL;
    sock->queued_count--;
    return one;
}

int cmdi_sock_accept(struct cmdi_sock *sock, struct cmdi_file **file)
{
    static const int failures[] = {-EMFILE, -ENFILE, -ECONNABORTED, -ENOBUFS, -ENOMEM};
    if (sock->state != SOCK_LISTENING) {
        return -EINVAL;
    }
    if (cmdi_list_empty(&sock->queued)) {
        return -EAGAIN;
    }
    if (cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, ACCEPT_FAILS_ONE_IN)) {
        int code = failures[cmdi_sim_below(CMDI_CHANCE_KERNEL, 5)];
        cmdi_sim_trace("accept fails", sock->number, (uint64_t)(uint32_t)-code);
        if (code == -ECONNABORTED) {
            sock_discard(listener_pop(sock));
            local_connect_next(sock);
        }
        return code;
    }
    struct cmdi_sock *one = listener_pop(sock);
    cmdi_sim_trace("accept", sock->number, one->number);
    *file = &one->file;
    local_connect_next(sock);
    return 0;
}

void net_listen_begin(void)
{
    for (uint32_t i = 0; i < TABLE_SIZE; i++) {
        cmdi_list_init(&bound[i]);
    }
}
