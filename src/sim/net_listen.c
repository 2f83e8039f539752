/* SPDX-License-Identifier: MIT */
/*
 * How connections come to be. A SYN takes its time to the other host, and what comes back, too:
 *
 *     nobody there, or a full backlog   it is sent again after 1, 2, 4, ... s, and in the end given up
 *     nobody listens                    a reset: refused
 *     a listener                        a socket of its own, and both are open
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    CONNECT_TRIES_MAX = 6, // As net.ipv4.tcp_syn_retries: 127 s.
    PORT_FIRST = 32768,    // Of those for who names none, as ip_local_port_range.
    PORT_COUNT = 28000,
    ACCEPT_FAILS_ONE_IN = 100,
};

/* --- Addresses -------------------------------------------------------------------------------- */

static uint16_t port_of(const struct cmdi_address *address)
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

static void port_set(struct cmdi_address *address, uint16_t port)
{
    if (address->as.any.sa_family == AF_INET6) {
        address->as.v6.sin6_port = htons(port);
    } else {
        address->as.v4.sin_port = htons(port);
    }
}

static bool is_local(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_UNIX;
}

static bool is_any(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_INET
                   ? address->as.v4.sin_addr.s_addr == INADDR_ANY
                   : IN6_IS_ADDR_UNSPECIFIED(&address->as.v6.sin6_addr);
}

/* On one host: the same path, or the same port of addresses of which both would get it. */
static bool addresses_meet(const struct cmdi_address *one, const struct cmdi_address *other)
{
    if (is_local(one) || is_local(other)) {
        return one->size == other->size && memcmp(&one->as, &other->as, one->size) == 0;
    }
    if (port_of(one) != port_of(other)) {
        return false;
    }
    if (is_any(one) || is_any(other)) {
        return true;
    }
    return one->as.any.sa_family == other->as.any.sa_family &&
           (one->as.any.sa_family == AF_INET
                           ? one->as.v4.sin_addr.s_addr == other->as.v4.sin_addr.s_addr
                           : memcmp(&one->as.v6.sin6_addr, &other->as.v6.sin6_addr, 16) == 0);
}

static bool port_is_free(
        const struct cmdi_sim_host *host, const struct cmdi_address *address, bool reuse_port)
{
    for (struct cmdi_list *node = host->socks.next; node != &host->socks; node = node->next) {
        const struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, link);
        bool bound = sock->is_bound && !sock->orphan;
        if (bound && addresses_meet(&sock->local, address) && !(reuse_port && sock->reuse_port)) {
            return false;
        }
    }
    return true;
}

static uint16_t port_draw(struct cmdi_sim_host *host)
{
    host->port_next = (uint16_t)((host->port_next + 1) % PORT_COUNT);
    return (uint16_t)(PORT_FIRST + host->port_next);
}

struct cmdi_sock *cmdi_sock_open(void)
{
    CMDI_ASSERT(cmdi_sim_host() != NULL);
    return sock_new(cmdi_sim_host());
}

int cmdi_sock_bind(struct cmdi_sock *sock, const struct cmdi_address *address, bool reuse_port)
{
    struct cmdi_address local = *address;
    bool named = is_local(&local) || port_of(&local) != 0;
    if (!is_local(&local) && !is_any(&local) && cmdi_sim_host_of(&local) != sock->host) {
        return -EADDRNOTAVAIL;
    }
    for (uint32_t i = 0; !named && i < PORT_COUNT; i++) {
        port_set(&local, port_draw(sock->host));
        named = port_is_free(sock->host, &local, false);
    }
    if (!named || !port_is_free(sock->host, &local, reuse_port)) {
        return -EADDRINUSE;
    }
    sock->local = local;
    sock->reuse_port = reuse_port;
    sock->is_bound = true;
    return 0;
}

/* --- Listening -------------------------------------------------------------------------------- */

void cmdi_sock_listen(struct cmdi_sock *sock, uint32_t backlog)
{
    CMDI_ASSERT(sock->is_bound && sock->state == SOCK_FRESH);
    sock->state = SOCK_LISTENING;
    sock->backlog = backlog > 0 ? backlog : 1;
    cmdi_sim_trace("listen", sock->number, port_of(&sock->local));
}

bool cmdi_sock_is_listening(const struct cmdi_sock *sock)
{
    return sock->state == SOCK_LISTENING;
}

/* One that nobody will accept. */
static void sock_unwanted(struct cmdi_sock *sock)
{
    sock->listener = NULL;
    cmdi_list_remove(&sock->queue_link);
    sock_send_control(sock, SEGMENT_RESET);
    sock->orphan = true;
    sock->state = SOCK_DEAD;
    cmdi_event_off(&sock->timer);
    sock_free_if_over(sock);
}

void sock_listener_closes(struct cmdi_sock *sock)
{
    struct cmdi_list *node = sock->host->socks.next;
    sock->is_bound = false;
    while (node != &sock->host->socks) { // Also those that are not in the queue yet.
        struct cmdi_sock *one = CMDI_CONTAINER(node, struct cmdi_sock, link);
        node = node->next;
        if (one->listener == sock) {
            sock_unwanted(one);
        }
    }
    sock->queued_count = 0;
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
        return code;
    }
    struct cmdi_list *node = cmdi_list_pop(&sock->queued);
    struct cmdi_sock *one = CMDI_CONTAINER(node, struct cmdi_sock, queue_link);
    one->listener = NULL;
    sock->queued_count--;
    cmdi_sim_trace("accept", sock->number, one->number);
    *file = &one->file;
    return 0;
}

/* The last step of the handshake has arrived: it can be accepted. */
void sock_established(struct cmdi_sock *sock)
{
    struct cmdi_sock *listener = sock->listener;
    sock_open(sock);
    if (listener != NULL) {
        cmdi_list_push(&listener->queued, &sock->queue_link);
        sock_changed(listener);
    }
}

/* --- Connecting ------------------------------------------------------------------------------- */

/* Of several that share an address one by chance. *full: there is one, and its backlog is full. */
static struct cmdi_sock *listener_find(
        const struct cmdi_sim_host *host, const struct cmdi_address *address, bool *full)
{
    struct cmdi_sock *found = NULL;
    uint32_t count = 0;
    for (struct cmdi_list *node = host->socks.next; node != &host->socks; node = node->next) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, link);
        if (sock->state == SOCK_LISTENING && addresses_meet(&sock->local, address) &&
                cmdi_sim_below(CMDI_CHANCE_NETWORK, ++count) == 0) {
            found = sock;
        }
    }
    *full = found != NULL && found->queued_count >= found->backlog;
    return found;
}

static void sock_connect_ends(struct cmdi_sock *sock, int code)
{
    cmdi_sim_trace("connected", sock->number, (uint64_t)(uint32_t)-code);
    if (code == 0) {
        sock_open(sock);
        return;
    }
    sock_die(sock, code);
}

/* The answer is on its way. */
static void sock_connect_reply(struct cmdi_sock *sock, int code)
{
    uint64_t busy_ns = 0;
    uint64_t at_ns = net_arrival(sock->remote_host, sock->host, 0, &busy_ns);
    sock->reply = at_ns != CMDI_SIM_NEVER;
    sock->reply_code = code;
    if (sock->reply) {
        cmdi_event_at(&sock->timer, at_ns);
        return;
    }
    sock_connect_again(sock);
}

void sock_connect_again(struct cmdi_sock *sock)
{
    if (sock->tries >= CONNECT_TRIES_MAX) {
        sock_connect_ends(sock, -ETIMEDOUT);
        return;
    }
    uint64_t wait_ns = (uint64_t)CMDI_NS_PER_S << sock->tries;
    sock->tries++;
    sock->arrives = false;
    cmdi_event_at(&sock->timer, cmdi_sim_now() + wait_ns);
}

/* The SYN has arrived. */
static void sock_connect_arrives(struct cmdi_sock *sock)
{
    bool full = false;
    struct cmdi_sock *listener = listener_find(sock->remote_host, &sock->remote, &full);
    if (sock->remote_host->is_off || full) {
        cmdi_sim_trace(full ? "backlog full" : "no answer", sock->number, 0);
        sock_connect_again(sock);
        return;
    }
    if (listener == NULL) {
        sock_connect_reply(sock, -ECONNREFUSED);
        return;
    }
    if (sock->peer != NULL) { // The SYN had arrived before, and the answer was lost.
        sock_connect_reply(sock, 0);
        return;
    }
    struct cmdi_sock *other = sock_new(listener->host);
    other->local = sock->remote;
    sock_pair(sock, other);
    other->keepalive_ms = listener->keepalive_ms;
    other->state = SOCK_CONNECTING;
    other->is_passive = true;
    other->listener = listener;
    listener->queued_count++;
    sock_connect_reply(sock, 0);
    uint64_t last_ns = sock->timer.at_ns + (uint64_t)cmdi_sim_options()->latency_us * 1000;
    cmdi_event_at(&other->timer, last_ns);
}

static void sock_connect_send(struct cmdi_sock *sock)
{
    uint64_t busy_ns = 0;
    uint64_t at_ns = net_arrival(sock->host, sock->remote_host, 0, &busy_ns);
    if (at_ns == CMDI_SIM_NEVER) {
        sock_connect_again(sock);
        return;
    }
    sock->arrives = true;
    cmdi_event_at(&sock->timer, at_ns);
}

void sock_connect_step(struct cmdi_sock *sock)
{
    if (sock->is_passive) {
        sock_established(sock);
    } else if (sock->reply) {
        sock_connect_ends(sock, sock->reply_code);
    } else if (sock->arrives) {
        sock_connect_arrives(sock);
    } else {
        sock_connect_send(sock);
    }
}

int cmdi_sock_connect(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    CMDI_ASSERT(sock->state == SOCK_FRESH);
    struct cmdi_sim_host *host = is_local(address) ? sock->host : cmdi_sim_host_of(address);
    bool full = false;
    if (is_local(address) && listener_find(host, address, &full) == NULL) {
        return -ECONNREFUSED;
    }
    sock->remote = *address;
    if (!is_local(address)) {
        sock->local = (struct cmdi_address){.size = address->size};
        sock->local.as.any.sa_family = address->as.any.sa_family;
        if (address->as.any.sa_family == AF_INET) {
            sock->local.as.v4.sin_addr = sock->host->v4;
        }
        port_set(&sock->local, port_draw(sock->host));
    } else {
        sock->local = (struct cmdi_address){.size = sizeof(sa_family_t)};
        sock->local.as.any.sa_family = AF_UNIX;
    }
    sock->state = SOCK_CONNECTING;
    sock->remote_host = host;
    cmdi_sim_trace("connect", sock->number, host != NULL ? host->number : 0);
    if (host == NULL) {
        sock->tries = CONNECT_TRIES_MAX; // Nobody there answers, ever.
        sock_connect_again(sock);
        return -ENETUNREACH;
    }
    sock_connect_send(sock);
    return 0;
}

int cmdi_sock_connected(struct cmdi_sock *sock)
{
    if (sock->state == SOCK_CONNECTING) {
        return -EINPROGRESS;
    }
    int code = sock->error;
    sock->error = 0;
    return code;
}
