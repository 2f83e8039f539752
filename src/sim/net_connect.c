/* SPDX-License-Identifier: MIT */
/*
 * How a TCP connection comes to be. Each step takes its time, and may be lost:
 *
 *     SYN      nobody there, or a full queue   it is sent again after 1, 2, 4, ... s, then given up
 *              nobody listens                  a reset: refused
 *              a listener                      a socket of its own, ARRIVING
 *     SYN-ACK  the one end is OPEN, whatever becomes of the other
 *     ACK      the other end waits to be accepted; if the queue is full by now, or the ACK is lost, it
 *              is tried again for a while. Then it vanishes, and who has connected does not know
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    SYN_RETRIES_MAX = 6,     // As net.ipv4.tcp_syn_retries: 127 s.
    SYN_ACK_RETRIES_MAX = 5, // As net.ipv4.tcp_synack_retries: 63 s.
    SYN_LOST_ONE_IN = 100,   // As if the queue were full, under CMDS_SIM_KERNEL.
    CONNECT_TO_NOBODY_S = 3, // Until the neighbour of an unknown address is given up.
    CONNECT_SELF_ONE_IN = 8, // That has its own port for its peer's, under CMDS_SIM_KERNEL.
    CONNECT_TO_SELF = 1,     // As an answer.
};

/** What the timer is for. */
enum connect_step {
    CONNECT_SYN_AGAIN,
    CONNECT_SYN_ARRIVES,
    CONNECT_ANSWER, // Arrives here: `reply`.
    CONNECT_NOBODY, // There is no such host.
};

static void connect_at(struct cmdi_sock *sock, enum connect_step step, uint64_t at_ns)
{
    sock->step = (uint8_t)step;
    cmdi_event_at(&sock->timer, at_ns);
}

static void connect_again(struct cmdi_sock *sock)
{
    uint64_t wait_ns = (uint64_t)CMDI_NS_PER_S << sock->tries;
    connect_at(sock, CONNECT_SYN_AGAIN, cmdi_sim_now() + wait_ns);
}

static void connect_send(struct cmdi_sock *sock)
{
    uint64_t departs_ns = 0;
    uint64_t at_ns = net_arrival(sock->host, sock->remote_host, 0, &departs_ns);
    if (at_ns == CMDI_SIM_NEVER) {
        connect_again(sock);
    } else {
        connect_at(sock, CONNECT_SYN_ARRIVES, at_ns);
    }
}

static void connect_answer(struct cmdi_sock *sock, int code)
{
    uint64_t departs_ns = 0;
    uint64_t at_ns = net_arrival(sock->remote_host, sock->host, 0, &departs_ns);
    sock->reply = code;
    if (at_ns == CMDI_SIM_NEVER) {
        connect_again(sock);
    } else {
        connect_at(sock, CONNECT_ANSWER, at_ns);
    }
}

/* The port that the kernel has chosen for it may be the very one that nobody listens on. */
static bool connect_meets_itself(const struct cmdi_sock *sock)
{
    return sock->remote_host == sock->host && port_is_drawn(port_of(&sock->remote)) &&
           cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_NETWORK, CONNECT_SELF_ONE_IN);
}

/* The SYN has arrived. */
static void connect_arrives(struct cmdi_sock *sock)
{
    if (sock->remote_host->is_off) {
        cmdi_sim_trace("no answer", sock->number, 0);
        connect_again(sock);
        return;
    }
    if (sock->peer != NULL) { // It had arrived before, and the answer was lost.
        connect_answer(sock, 0);
        return;
    }
    struct cmdi_sock *listener = listener_find(sock->remote_host, &sock->remote, sock->lot);
    if (listener == NULL) {
        connect_answer(sock, connect_meets_itself(sock) ? CONNECT_TO_SELF : -ECONNREFUSED);
        return;
    }
    if (listener_is_full(listener) ||
            cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_NETWORK, SYN_LOST_ONE_IN)) {
        cmdi_sim_trace("backlog full", sock->number, listener->queued_count);
        connect_again(sock);
        return;
    }
    struct cmdi_sock *other = sock_new(listener->host, listener->family);
    other->local = sock->remote;
    other->keepalive_ms = listener->keepalive_ms;
    other->listener = listener;
    sock_move(other, SOCK_ARRIVING);
    sock_pair(sock, other);
    cmdi_list_push(&listener->arriving, &other->queue_link);
    cmdi_event_at(&other->timer, cmdi_sim_now() + CMDI_NS_PER_S);
    connect_answer(sock, 0);
}

/* The last step flies. Its arrival is the timer of the other end, which tries again if it is lost. */
static void connect_confirm(struct cmdi_sock *sock)
{
    struct cmdi_sock *other = sock->peer;
    uint64_t departs_ns = 0;
    uint64_t at_ns = net_arrival(sock->host, sock->remote_host, 0, &departs_ns);
    if (other != NULL && at_ns != CMDI_SIM_NEVER) {
        cmdi_event_at(&other->timer, at_ns);
    }
}

static void connect_ends(struct cmdi_sock *sock, int code)
{
    cmdi_sim_trace("connected", sock->number, (uint64_t)(uint32_t)-code);
    if (code < 0) {
        sock_die(sock, code);
        return;
    }
    if (code == CONNECT_TO_SELF && !port_take(sock, &sock->remote)) {
        sock_die(sock, -ECONNREFUSED); // Its server has come meanwhile.
        return;
    }
    sock_open(sock);
    connect_confirm(sock);
}

void connect_due(struct cmdi_sock *sock)
{
    switch ((enum connect_step)sock->step) {
    case CONNECT_SYN_AGAIN:
        if (sock->tries++ >= SYN_RETRIES_MAX) {
            connect_ends(sock, -ETIMEDOUT);
        } else {
            connect_send(sock);
        }
        break;
    case CONNECT_SYN_ARRIVES:
        connect_arrives(sock);
        break;
    case CONNECT_ANSWER:
        connect_ends(sock, sock->reply);
        break;
    case CONNECT_NOBODY:
        connect_ends(sock, -EHOSTUNREACH);
        break;
    }
}

/* --- The other end ---------------------------------------------------------------------------- */

void arriving_heard(struct cmdi_sock *sock)
{
    struct cmdi_sock *listener = sock->listener;
    CMDI_ASSERT(sock->state == SOCK_ARRIVING && listener != NULL);
    if (listener_is_full(listener)) {
        cmdi_sim_trace("queue full", sock->number, listener->queued_count);
        return;
    }
    sock_open(sock);
    listener_queue(listener, sock);
    if (sock->in.arrived > 0 || sock->in.finished) {
        flow_acknowledge(sock, true);
    }
}

void arriving_due(struct cmdi_sock *sock)
{
    bool reached = sock_is_reached(sock);
    if (reached && sock->peer == NULL) { // Who connected has given up since.
        sock_discard(sock);
        return;
    }
    if (reached && sock->peer->state != SOCK_CONNECTING) {
        arriving_heard(sock);
    }
    if (sock->state != SOCK_ARRIVING) {
        return;
    }
    if (sock->tries >= SYN_ACK_RETRIES_MAX) {
        cmdi_sim_trace("vanishes", sock->number, 0);
        sock_leave(sock);
        sock_discard(sock);
        return;
    }
    cmdi_event_at(&sock->timer, cmdi_sim_now() + ((uint64_t)CMDI_NS_PER_S << sock->tries));
    sock->tries++;
}

/* --- Its begin -------------------------------------------------------------------------------- */

/* As the kernel chooses it: what is reached within the host is reached from that very address. */
static int connect_name(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    if (sock->remote_host == sock->host) {
        sock->local = *address;
    } else {
        sock->local = (struct cmdi_address){.size = address->size};
        sock->local.as.any.sa_family = address->as.any.sa_family;
        if (address->as.any.sa_family == AF_INET) {
            sock->local.as.v4.sin_addr = sock->host->v4;
        }
    }
    uint16_t port = port_draw(sock->host, &sock->local);
    port_set(&sock->local, port);
    return port != 0 ? 0 : -EADDRNOTAVAIL;
}

int connect_begin(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    sock->remote_host = cmdi_sim_host_of(address);
    cmdi_sim_trace(
            "connect", sock->number, sock->remote_host != NULL ? sock->remote_host->number : 0);
    int code = connect_name(sock, address);
    if (code < 0) {
        return code;
    }
    sock->remote = *address;
    sock->lot = cmdi_sim_draw(CMDI_CHANCE_NETWORK);
    if (sock->remote_host == NULL && sock->lot % 2 == 0) {
        return -ENETUNREACH;
    }
    sock_move(sock, SOCK_CONNECTING);
    if (sock->remote_host == NULL) {
        connect_at(sock, CONNECT_NOBODY,
                cmdi_sim_now() + (uint64_t)CONNECT_TO_NOBODY_S * CMDI_NS_PER_S);
    } else {
        connect_send(sock);
    }
    return 0;
}
