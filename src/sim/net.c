/* SPDX-License-Identifier: MIT */
/*
 * Sockets: their life, and what programs ask of them.
 *
 * An end that nobody holds any more is an orphan: its kernel still has it, until the other end has all
 * that was sent and its FIN, and ours has theirs; what comes for it is answered with a reset. The two
 * ends of a connection point to each other as long as both kernels know of it. An end whose peer has
 * vanished learns of that when it sends: by a reset, if somebody answers there, or in the end by nothing.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    RESEND_NS_MIN = 200 * 1000 * 1000, // The least and
    RESEND_S_MAX = 120,                // the longest time-out of a retransmission, of which
    RESEND_TRIES_MAX = 15,             // there are so many, as net.ipv4.tcp_retries2: 924 s.
    ORPHAN_S = 60,                     // An orphan is given up when nothing comes for so long.
    KEEPALIVE_PROBES = 3,              // As ring/socket.c sets them.
    KEEPALIVE_S = 7200,                // As net.ipv4.tcp_keepalive_time.
};

struct cmdi_net_counters net_counters;
static uint64_t sock_numbers;
static struct cmdi_list sock_all; // Through cmdi_sock.all.

struct cmdi_net_counters cmdi_net_counters(void)
{
    return net_counters;
}

// By state: those that may follow.
#define STATE_BIT(state) (1u << (state))
static const uint8_t sock_moves[] = {
        [SOCK_FRESH] = STATE_BIT(SOCK_LISTENING) | STATE_BIT(SOCK_CONNECTING) |
                       STATE_BIT(SOCK_ARRIVING) | STATE_BIT(SOCK_OPEN) | STATE_BIT(SOCK_DEAD),
        [SOCK_LISTENING] = STATE_BIT(SOCK_FRESH) | STATE_BIT(SOCK_DEAD),
        [SOCK_CONNECTING] = STATE_BIT(SOCK_OPEN) | STATE_BIT(SOCK_DEAD),
        [SOCK_ARRIVING] = STATE_BIT(SOCK_OPEN) | STATE_BIT(SOCK_DEAD),
        [SOCK_OPEN] = STATE_BIT(SOCK_DEAD),
        [SOCK_DEAD] = 0,
};

void sock_move(struct cmdi_sock *sock, enum sock_state next)
{
    CMDI_ASSERT((sock_moves[sock->state] & STATE_BIT(next)) != 0);
    sock->state = (uint8_t)next;
    cmdi_event_off(&sock->timer);
    sock->tries = 0;
}

/* --- Watches ---------------------------------------------------------------------------------- */

void cmdi_sock_watch(struct cmdi_sock *sock, struct cmdi_sock_watch *watch)
{
    cmdi_list_init(&watch->link);
    cmdi_list_push(&sock->watches, &watch->link);
}

void cmdi_sock_unwatch(struct cmdi_sock_watch *watch)
{
    cmdi_list_remove(&watch->link);
}

void sock_changed(struct cmdi_sock *sock)
{
    struct cmdi_list *node = sock->watches.next;
    while (node != &sock->watches) {
        struct cmdi_sock_watch *watch = CMDI_CONTAINER(node, struct cmdi_sock_watch, link);
        node = node->next; // It may take itself away.
        watch->changed(watch);
    }
}

/* --- The end of a connection ------------------------------------------------------------------ */

void sock_leave(struct cmdi_sock *sock)
{
    struct cmdi_sock *peer = sock->peer;
    flow_stop(sock);
    cmdi_event_off(&sock->timer);
    if (peer == NULL) {
        return;
    }
    sock->peer = peer->peer = NULL;
    flow_orphaned(peer);
    if (peer->state == SOCK_OPEN) {
        peer->tries = 0;
        sock_arm_timer(peer);
    }
    sock_free_if_over(peer);
}

void sock_reset(struct cmdi_sock *sock)
{
    struct cmdi_sock *peer = sock->peer;
    if (peer != NULL && !peer->orphan) {
        cmdi_sim_trace("reset sent", sock->number, 0);
        sock_leave(sock);
        flow_reset(peer);
    } else {
        sock_leave(sock);
    }
}

void sock_discard(struct cmdi_sock *sock)
{
    if (sock->listener != NULL && sock->state != SOCK_ARRIVING) {
        sock->listener->queued_count--;
    }
    sock->listener = NULL;
    cmdi_list_remove(&sock->queue_link);
    sock->orphan = true;
    if (!sock_is_local(sock)) {
        sock_reset(sock);
    } else if (sock->peer != NULL) {
        sock->peer->error = -ECONNRESET;
        local_close(sock);
    }
    if (sock->state != SOCK_DEAD) {
        sock_move(sock, SOCK_DEAD);
    }
    sock_free_if_over(sock);
}

void sock_die(struct cmdi_sock *sock, int code)
{
    cmdi_sim_trace("dies", sock->number, (uint64_t)(uint32_t)-code);
    sock_leave(sock);
    if (sock->state == SOCK_ARRIVING) {
        sock_discard(sock); // Nobody has heard of it yet.
        return;
    }
    sock_move(sock, SOCK_DEAD);
    sock->error = code;
    sock_changed(sock);
    sock_free_if_over(sock);
}

/* --- Time of a connection --------------------------------------------------------------------- */

bool sock_is_reached(const struct cmdi_sock *sock)
{
    return !sock->remote_host->is_off && !net_is_blocked(sock->host, sock->remote_host) &&
           !net_is_blocked(sock->remote_host, sock->host);
}

static bool sock_is_acknowledged(const struct cmdi_sock *sock)
{
    return sock->known.acked >= sock_sent_end(sock);
}

/* Half of the time in silence, then probes in the rest of it, as ring/socket.c has it. */
static uint64_t keepalive_idle_ns(const struct cmdi_sock *sock)
{
    uint64_t idle_s = sock->keepalive_ms == CMDS_NEVER ? KEEPALIVE_S : sock->keepalive_ms / 2000;
    return (idle_s > 0 ? idle_s : 1) * CMDI_NS_PER_S;
}

static uint64_t keepalive_probe_ns(const struct cmdi_sock *sock)
{
    uint64_t probe_ns = keepalive_idle_ns(sock) / CMDI_NS_PER_S / KEEPALIVE_PROBES * CMDI_NS_PER_S;
    return probe_ns > 0 ? probe_ns : CMDI_NS_PER_S;
}

/* To nobody: at first it takes as long as an answer does. */
static uint64_t resend_ns(const struct cmdi_sock *sock)
{
    if (sock->tries == 0) {
        return 2 * (uint64_t)cmdi_sim_options()->latency_us * CMDI_NS_PER_US;
    }
    uint64_t wait_ns = (uint64_t)RESEND_NS_MIN << (sock->tries - 1);
    uint64_t most_ns = RESEND_S_MAX * (uint64_t)CMDI_NS_PER_S;
    return wait_ns < most_ns ? wait_ns : most_ns;
}

void sock_arm_timer(struct cmdi_sock *sock)
{
    uint64_t now_ns = cmdi_sim_now();
    CMDI_ASSERT(sock->state == SOCK_OPEN);
    if (sock_is_local(sock)) {
        return;
    }
    if (sock->peer == NULL && !sock_is_acknowledged(sock)) {
        cmdi_event_at(&sock->timer, now_ns + resend_ns(sock));
    } else if (sock->orphan) {
        cmdi_event_at(&sock->timer, now_ns + ORPHAN_S * (uint64_t)CMDI_NS_PER_S);
    } else if (sock->keepalive_ms > 0) {
        uint64_t at_ns = sock->heard_ns + keepalive_idle_ns(sock);
        cmdi_event_at(&sock->timer, at_ns + sock->tries * keepalive_probe_ns(sock));
    }
}

/* Who is there knows nothing of this connection. */
static int sock_reset_code(const struct cmdi_sock *sock)
{
    return sock->in.finished && !sock->shut_write ? -EPIPE : -ECONNRESET;
}

static void sock_resend(struct cmdi_sock *sock)
{
    if (sock_is_reached(sock)) {
        sock_die(sock, sock_reset_code(sock));
    } else if (++sock->tries > RESEND_TRIES_MAX) {
        sock_die(sock, -ETIMEDOUT);
    } else {
        sock_arm_timer(sock);
    }
}

/* Nobody holds it, and the other end does not finish, or cannot be reached. */
static void sock_abandon(struct cmdi_sock *sock)
{
    if (sock_is_acknowledged(sock) || !sock_is_reached(sock)) {
        cmdi_sim_trace("vanishes", sock->number, 0);
        sock_leave(sock);
        sock_free_if_over(sock);
    } else {
        sock_arm_timer(sock);
    }
}

/* Probes begin only when nothing is under way: that is sent again instead. */
static void sock_probe(struct cmdi_sock *sock)
{
    uint64_t now_ns = cmdi_sim_now();
    uint64_t idle_ns = keepalive_idle_ns(sock);
    if (now_ns < sock->heard_ns + idle_ns) {
        sock->tries = 0;
    } else if (!sock_is_acknowledged(sock)) {
        sock->tries = 0;
        cmdi_event_at(&sock->timer, now_ns + idle_ns);
        return;
    } else if (sock_is_reached(sock)) {
        if (sock->peer == NULL) {
            sock_die(sock, sock_reset_code(sock));
            return;
        }
        sock->heard_ns = now_ns;
        sock->tries = 0;
    } else if (sock->tries++ >= KEEPALIVE_PROBES) {
        sock_die(sock, -ETIMEDOUT);
        return;
    }
    sock_arm_timer(sock);
}

static void sock_on_timer(struct cmdi_event *event)
{
    struct cmdi_sock *sock = CMDI_CONTAINER(event, struct cmdi_sock, timer);
    if (sock->state == SOCK_CONNECTING) {
        connect_due(sock);
    } else if (sock->state == SOCK_ARRIVING) {
        arriving_due(sock);
    } else if (sock->peer == NULL && !sock_is_acknowledged(sock)) {
        sock_resend(sock);
    } else if (sock->orphan) {
        sock_abandon(sock);
    } else {
        sock_probe(sock);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

static void sock_close(struct cmdi_sock *sock)
{
    switch ((enum sock_state)sock->state) {
    case SOCK_LISTENING:
        listener_close(sock);
        break;
    case SOCK_CONNECTING:
        cmdi_list_remove(&sock->queue_link);
        sock_reset(sock);
        break;
    case SOCK_OPEN:
        if (sock_is_local(sock)) {
            local_close(sock);
        } else if (sock->in.unread > 0) {
            sock_reset(sock);
        } else {
            sock->shut_write = true;
            flow_launch(sock);
            sock_arm_timer(sock);
        }
        break;
    case SOCK_FRESH:
    case SOCK_ARRIVING:
    case SOCK_DEAD:
        break;
    }
}

static void sock_released(struct cmdi_file *file)
{
    struct cmdi_sock *sock = CMDI_CONTAINER(file, struct cmdi_sock, file);
    cmdi_sim_trace("close", sock->number, sock->in.unread);
    CMDI_ASSERT(!sock->orphan);
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&sock->watches)) != NULL) {
        struct cmdi_sock_watch *watch = CMDI_CONTAINER(node, struct cmdi_sock_watch, link);
        CMDI_ASSERT(watch->released != NULL);
        watch->released(watch);
    }
    sock->orphan = true;
    sock_unbind(sock);
    sock_close(sock);
    sock_free_if_over(sock);
}

struct cmdi_sock *sock_new(struct cmdi_sim_host *host, int family)
{
    struct cmdi_sock *sock = cmdi_sim_alloc(sizeof(*sock));
    sock->file = (struct cmdi_file){.refs = 1, .released = sock_released};
    sock->host = host;
    sock->family = family;
    sock->local.as.any.sa_family = (sa_family_t)family;
    sock->number = ++sock_numbers;
    cmdi_list_init(&sock->link);
    cmdi_list_init(&sock->all);
    cmdi_list_init(&sock->watches);
    cmdi_list_init(&sock->of_table);
    cmdi_list_init(&sock->queued);
    cmdi_list_init(&sock->arriving);
    cmdi_list_init(&sock->queue_link);
    cmdi_event_init(&sock->timer, sock_on_timer);
    flow_init(sock);
    cmdi_list_push(&host->socks, &sock->link);
    cmdi_list_push(&sock_all, &sock->all);
    return sock;
}

static void sock_free(struct cmdi_sock *sock)
{
    CMDI_ASSERT(cmdi_list_empty(&sock->watches));
    if (sock->peer != NULL) {
        sock->peer->peer = NULL;
    }
    cmdi_event_off(&sock->timer);
    flow_fini(sock);
    cmdi_list_remove(&sock->of_table);
    cmdi_list_remove(&sock->queue_link);
    cmdi_list_remove(&sock->link);
    cmdi_list_remove(&sock->all);
    cmdi_sim_free(sock);
}

/* An orphan waits until the other end knows that we have its FIN, as it would be sent again. */
void sock_free_if_over(struct cmdi_sock *sock)
{
    const struct cmdi_sock *peer = sock->peer;
    if (!sock->orphan) {
        return;
    }
    bool both_know = peer != NULL && sock->in.finished && sock_is_acknowledged(sock) &&
                     peer->known.acked > sock->in.arrived;
    if (sock->state != SOCK_OPEN || peer == NULL || both_know) {
        sock_free(sock);
    }
}

void sock_settle(struct cmdi_sock *sock)
{
    if (sock->peer != NULL) {
        sock_free_if_over(sock->peer);
    }
    sock_free_if_over(sock);
}

void sock_pair(struct cmdi_sock *one, struct cmdi_sock *other)
{
    one->peer = other;
    other->peer = one;
    one->remote_host = other->host;
    other->remote_host = one->host;
    one->remote = other->local;
    other->remote = one->local;
    one->known.edge = other->in.window;
    other->known.edge = one->in.window;
    net_counters.connections++;
}

void sock_open(struct cmdi_sock *sock)
{
    sock_move(sock, SOCK_OPEN);
    sock->heard_ns = cmdi_sim_now();
    sock_arm_timer(sock);
    sock_changed(sock);
}

struct cmdi_sock *cmdi_sock_open(int family)
{
    CMDI_ASSERT(cmdi_sim_host() != NULL);
    return sock_new(cmdi_sim_host(), family);
}

struct cmdi_file *cmdi_sock_file(struct cmdi_sock *sock)
{
    return &sock->file;
}

struct cmdi_sock *cmdi_sock_of_fd(int fd)
{
    struct cmdi_file *file = cmdi_fd_get(fd);
    return file != NULL && file->released == sock_released
                   ? CMDI_CONTAINER(file, struct cmdi_sock, file)
                   : NULL;
}

uint64_t cmdi_sock_number(const struct cmdi_sock *sock)
{
    return sock->number;
}

/* --- What programs see ------------------------------------------------------------------------ */

uint32_t cmdi_sock_state(const struct cmdi_sock *sock)
{
    bool dead = sock->state == SOCK_DEAD;
    bool fresh = sock->state == SOCK_FRESH;
    bool finished = dead || sock->in.finished || sock->shut_read;
    bool gone = dead || fresh || (finished && sock->shut_write);
    bool waits = sock->state == SOCK_LISTENING && !cmdi_list_empty(&sock->queued);
    bool roomy =
            sock_is_local(sock) ? local_is_writable(sock) : flow_room(sock) >= sock->room_max / 3;
    bool writable = dead || fresh || (sock->state == SOCK_OPEN && (sock->shut_write || roomy));
    return (sock->in.unread > 0 || finished || waits ? (uint32_t)CMDI_SOCK_READABLE : 0) |
           (writable ? (uint32_t)CMDI_SOCK_WRITABLE : 0) |
           (sock->error != 0 ? (uint32_t)CMDI_SOCK_FAILED : 0) |
           (gone ? (uint32_t)CMDI_SOCK_GONE : 0) | (finished ? (uint32_t)CMDI_SOCK_FINISHED : 0);
}

static int sock_take_error(struct cmdi_sock *sock)
{
    int code = sock->error;
    sock->error = 0;
    return code;
}

size_t cmdi_sock_unread(const struct cmdi_sock *sock)
{
    return sock->in.unread;
}

bool cmdi_sock_has_end(const struct cmdi_sock *sock)
{
    return sock->in.finished;
}

/* What recv says where no bytes lie. Behind a FIN, TCP has nothing more to say. */
static int sock_empty(struct cmdi_sock *sock)
{
    if (sock->in.finished && !sock_is_local(sock)) {
        return 0;
    }
    if (sock->error != 0) {
        return sock_take_error(sock);
    }
    if (sock->state == SOCK_DEAD || sock->in.finished || sock->shut_read) {
        return 0;
    }
    return sock->state == SOCK_FRESH || sock->state == SOCK_LISTENING ? -ENOTCONN : -EAGAIN;
}

int64_t cmdi_sock_recv(struct cmdi_sock *sock, void *data, size_t size)
{
    size_t took = way_take(&sock->in, data, size);
    if (took == 0) {
        return sock_empty(sock);
    }
    if (sock_is_local(sock)) {
        local_read(sock);
    } else {
        flow_read(sock);
    }
    return (int64_t)took;
}

int cmdi_sock_peek(struct cmdi_sock *sock)
{
    if (sock->in.unread > 0) {
        return sock->in.bytes[sock->in.begin];
    }
    int code = sock_empty(sock);
    return code == 0 ? -ENODATA : code;
}

int64_t cmdi_sock_send(struct cmdi_sock *sock, const void *data, size_t size)
{
    if (sock->error != 0) {
        return sock_take_error(sock);
    }
    if (sock->state == SOCK_CONNECTING) {
        return -EAGAIN;
    }
    if (sock->state == SOCK_OPEN && !sock->shut_write && sock_is_local(sock)) {
        return local_send(sock, data, size);
    }
    if (sock->state != SOCK_OPEN || sock->shut_write) {
        return sock->state == SOCK_FRESH && sock_is_local(sock) ? -ENOTCONN : -EPIPE;
    }
    size_t room = flow_room(sock);
    size_t take = size < room ? size : room;
    if (take == 0) {
        sock->wanted = true;
        return -EAGAIN;
    }
    sock->sent += take;
    if (sock->peer == NULL && sock->sent - take <= sock->known.acked) {
        sock->tries = 0;
        sock_arm_timer(sock);
    } else if (sock->peer != NULL) {
        way_put(&sock->peer->in, data, take);
        flow_launch(sock);
    }
    return (int64_t)take;
}

uint64_t cmdi_sock_acked(const struct cmdi_sock *sock, size_t *waiting)
{
    if (sock_is_local(sock)) {
        *waiting = local_waiting(sock);
        return sock->sent;
    }
    *waiting = sock->state == SOCK_DEAD ? 0 : (size_t)(sock_sent_end(sock) - sock->known.acked);
    return sock->known.acked;
}

void cmdi_sock_set_keepalive(struct cmdi_sock *sock, uint32_t keepalive_ms)
{
    sock->keepalive_ms = keepalive_ms;
}

bool cmdi_sock_is_local(const struct cmdi_sock *sock)
{
    return sock_is_local(sock);
}

const struct cmdi_address *cmdi_sock_local(const struct cmdi_sock *sock)
{
    return &sock->local;
}

const struct cmdi_address *cmdi_sock_remote(const struct cmdi_sock *sock)
{
    bool over = !sock_is_local(sock) && (cmdi_sock_state(sock) & CMDI_SOCK_GONE) != 0;
    return sock->state == SOCK_OPEN && !over ? &sock->remote : NULL;
}

int cmdi_sock_connect(struct cmdi_sock *sock, const struct cmdi_address *address)
{
    if (sock->state != SOCK_FRESH) {
        return -EISCONN;
    }
    if (address->as.any.sa_family != sock->family) {
        return -EINVAL;
    }
    return sock_is_local(sock) ? local_connect(sock, address) : connect_begin(sock, address);
}

int cmdi_sock_connected(struct cmdi_sock *sock)
{
    if (sock->state == SOCK_CONNECTING) {
        return -EINPROGRESS;
    }
    int code = sock_take_error(sock);
    return code == 0 && sock->state == SOCK_DEAD ? -ECONNABORTED : code;
}

bool cmdi_sock_undo_self(struct cmdi_sock *sock)
{
    bool is_self = sock->state == SOCK_OPEN && !sock_is_local(sock) && sock->peer == NULL &&
                   sock->local.size == sock->remote.size &&
                   memcmp(&sock->local.as, &sock->remote.as, sock->local.size) == 0;
    if (is_self) {
        sock_unbind(sock);
        sock_move(sock, SOCK_DEAD);
    }
    return is_self;
}

static void sock_disconnect(struct cmdi_sock *sock)
{
    cmdi_list_remove(&sock->queue_link);
    sock_reset(sock);
    sock_die(sock, -ECONNRESET);
}

/* Whoever has slept through the end of it finds it now, as Linux has it. */
void cmdi_sock_shutdown(struct cmdi_sock *sock, int how)
{
    if (sock->state == SOCK_LISTENING && how != SHUT_WR) {
        listener_close(sock);
        sock_unbind(sock);
        sock_move(sock, SOCK_FRESH);
    } else if (sock->state == SOCK_CONNECTING) {
        sock_disconnect(sock);
        return;
    } else if (sock->state == SOCK_OPEN && sock_is_local(sock)) {
        local_shutdown(sock, how);
    } else if (sock->state == SOCK_OPEN) {
        bool shuts = how != SHUT_RD && !sock->shut_write;
        sock->shut_read = sock->shut_read || how != SHUT_WR;
        sock->shut_write = sock->shut_write || shuts;
        flow_launch(sock);
        if (shuts && sock->peer == NULL) {
            sock_arm_timer(sock);
        }
    }
    sock_changed(sock);
}

void cmdi_sock_disconnect(struct cmdi_sock *sock)
{
    if (sock_is_local(sock)) {
        cmdi_sock_shutdown(sock, SHUT_RDWR);
    } else if (sock->state == SOCK_CONNECTING || sock->state == SOCK_OPEN) {
        sock_disconnect(sock);
    }
}

/* --- Faults and the world --------------------------------------------------------------------- */

static bool sock_can_be_cut(const struct cmdi_sock *sock)
{
    return sock->state == SOCK_OPEN && !sock_is_local(sock) && sock->peer != NULL &&
           sock->peer->state == SOCK_OPEN && !sock->orphan && !sock->peer->orphan;
}

uint32_t cmdi_net_cut(
        const struct cmdi_sim_host *one, const struct cmdi_sim_host *other, uint32_t max)
{
    uint32_t count = 0;
    struct cmdi_list *node = one->socks.next;
    while (node != &one->socks && count < max) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, link);
        struct cmdi_sock *peer = sock->peer;
        node = node->next; // Both stay: programs hold them, or listeners.
        if (sock_can_be_cut(sock) && peer->host == other) {
            sock_die(sock, -ECONNRESET);
            sock_die(peer, -ECONNRESET);
            count++;
        }
    }
    return count;
}

void cmdi_net_power_off(struct cmdi_sim_host *host)
{
    struct cmdi_list socks;
    struct cmdi_list *node = NULL;
    cmdi_list_take(&socks, &host->socks);
    while ((node = cmdi_list_pop(&socks)) != NULL) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, link);
        cmdi_list_push(&host->socks, node);
        sock_unbind(sock);
        sock_leave(sock);
        cmdi_list_remove(&sock->queue_link);
        // One that waits to connect is a program's, and in a list of its listener all the same.
        sock->orphan = sock->orphan || (sock->listener != NULL && sock->state != SOCK_CONNECTING);
        sock->listener = NULL;
        if (sock->state != SOCK_DEAD) {
            sock_move(sock, SOCK_DEAD);
        }
        sock_free_if_over(sock);
    }
}

void cmdi_net_begin(void)
{
    cmdi_list_init(&sock_all);
    sock_numbers = 0;
    net_counters = (struct cmdi_net_counters){0};
    net_links_begin();
    net_listen_begin();
    net_local_begin();
}

void cmdi_net_end(void)
{
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&sock_all)) != NULL) {
        sock_free(CMDI_CONTAINER(node, struct cmdi_sock, all));
    }
    net_local_end();
    net_links_end();
}
