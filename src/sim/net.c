/* SPDX-License-Identifier: MIT */
/*
 * Connections and their bytes.
 *
 * An end that nobody holds any more is an orphan: the kernel still has it, until what it sent has
 * arrived, and it answers what comes with a reset. The two ends of a connection point to each other
 * until one of them is gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    WAY_SIZE_MIN = 4096,
    SEGMENT_SIZE_MAX = 64 * 1024,
    RESEND_NS_MAX = 4,                 // Seconds between two tries to send to nobody.
    RESEND_TRIES_MAX = 240,            // A quarter of an hour of them.
    RESEND_NS_MIN = 200 * 1000 * 1000, // The least time-out of a retransmission.
};

struct cmdi_net_counters net_counters;
static uint64_t sock_numbers;
static struct cmdi_list sock_all; // Through cmdi_sock.all.

struct cmdi_net_counters cmdi_net_counters(void)
{
    return net_counters;
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

/* --- What flies ------------------------------------------------------------------------------- */

static void way_grow(struct way *way, size_t size)
{
    if (way->unread + way->flying + size <= way->capacity) {
        return;
    }
    size_t capacity = way->capacity > 0 ? way->capacity : WAY_SIZE_MIN;
    while (capacity < way->unread + way->flying + size) {
        capacity *= 2;
    }
    uint8_t *bytes = cmdi_sim_alloc(capacity);
    size_t used = way->unread + way->flying;
    size_t first = way->capacity - way->begin < used ? way->capacity - way->begin : used;
    if (used > 0) {
        memcpy(bytes, way->bytes + way->begin, first);
        memcpy(bytes + first, way->bytes, used - first);
    }
    cmdi_sim_free(way->bytes);
    way->bytes = bytes;
    way->capacity = capacity;
    way->begin = 0;
}

static void way_put(struct way *way, const uint8_t *data, size_t size)
{
    way_grow(way, size);
    size_t at = (way->begin + way->unread + way->flying) % way->capacity;
    size_t first = way->capacity - at < size ? way->capacity - at : size;
    memcpy(way->bytes + at, data, first);
    memcpy(way->bytes, data + first, size - first);
    way->flying += size;
}

static struct segment *way_segment(struct way *way, uint32_t index)
{
    return &way->segments[(way->first + index) % way->room];
}

static struct segment *way_push(struct way *way)
{
    if (way->count == way->room) {
        uint32_t room = way->room > 0 ? way->room * 2 : 8;
        struct segment *segments = cmdi_sim_alloc(room * sizeof(*segments));
        for (uint32_t i = 0; i < way->count; i++) {
            segments[i] = *way_segment(way, i);
        }
        cmdi_sim_free(way->segments);
        way->segments = segments;
        way->room = room;
        way->first = 0;
    }
    return way_segment(way, way->count++);
}

/* The next one that arrives fires the event; one that waits for its link stops all behind it. */
static void way_arm(struct way *way)
{
    if (way->count > 0 && way_segment(way, 0)->at_ns != CMDI_SIM_NEVER) {
        cmdi_event_at(&way->arrival, way_segment(way, 0)->at_ns);
    } else {
        cmdi_event_off(&way->arrival);
    }
}

static void way_clear(struct way *way)
{
    cmdi_event_off(&way->arrival);
    way->flying = 0;
    way->count = 0;
}

static void way_fini(struct way *way)
{
    way_clear(way);
    cmdi_sim_free(way->bytes);
    cmdi_sim_free(way->segments);
    way->bytes = NULL;
    way->segments = NULL;
}

static void sock_fly(struct cmdi_sock *to, enum segment_kind kind, size_t size)
{
    struct way *way = &to->in;
    struct segment *segment = way_push(way);
    uint64_t at_ns = net_arrival(to->remote_host, to->host, size, &way->busy_ns);
    if (at_ns != CMDI_SIM_NEVER && way->count > 1 && at_ns < way->latest_ns) {
        at_ns = way->latest_ns;
    }
    if (way->count > 1 && way_segment(way, way->count - 2)->at_ns == CMDI_SIM_NEVER) {
        at_ns = CMDI_SIM_NEVER; // Behind what waits.
    }
    *segment = (struct segment){.at_ns = at_ns, .size = (uint32_t)size, .kind = (uint8_t)kind};
    way->latest_ns = at_ns != CMDI_SIM_NEVER ? at_ns : way->latest_ns;
    net_counters.segments++;
    if (way->count == 1) {
        way_arm(way);
    }
}

void sock_send_control(struct cmdi_sock *sock, enum segment_kind kind)
{
    if (sock->peer != NULL) {
        sock_fly(sock->peer, kind, 0);
    }
}

/* What the link held back is sent again, some time after it works. */
static void way_fly_again(struct cmdi_sock *to)
{
    struct way *way = &to->in;
    if (to->remote_host == NULL || net_is_blocked(to->remote_host, to->host)) {
        return;
    }
    for (uint32_t i = 0; i < way->count; i++) {
        struct segment *segment = way_segment(way, i);
        if (segment->at_ns == CMDI_SIM_NEVER) {
            uint64_t at_ns = net_arrival(to->remote_host, to->host, segment->size, &way->busy_ns) +
                             cmdi_sim_below(CMDI_CHANCE_NETWORK, RESEND_NS_MIN);
            segment->at_ns = at_ns > way->latest_ns ? at_ns : way->latest_ns;
            way->latest_ns = segment->at_ns;
        }
    }
    way_arm(way);
}

void net_unblocked(void)
{
    for (struct cmdi_list *node = sock_all.next; node != &sock_all; node = node->next) {
        way_fly_again(CMDI_CONTAINER(node, struct cmdi_sock, all));
    }
}

/* --- What arrives ----------------------------------------------------------------------------- */

void sock_die(struct cmdi_sock *sock, int code)
{
    if (sock->state == SOCK_DEAD) {
        return;
    }
    cmdi_sim_trace("dies", sock->number, (uint64_t)(uint32_t)-code);
    sock->state = SOCK_DEAD;
    sock->error = code;
    cmdi_event_off(&sock->timer);
    way_clear(&sock->in);
    if (sock->listener != NULL && cmdi_list_empty(&sock->queue_link)) {
        sock->listener->queued_count--; // Nobody has heard of it yet.
        sock->listener = NULL;
        sock->orphan = true;
    }
    struct cmdi_sock *peer = sock->peer;
    if (peer != NULL) {
        peer->peer = sock->peer = NULL;
        sock_free_if_over(peer);
    }
    sock_changed(sock);
    sock_free_if_over(sock);
}

/* The answer to whatever comes for an end that is not there. */
static void sock_refuse(struct cmdi_sock *sock)
{
    cmdi_sim_trace("reset sent", sock->number, 0);
    way_clear(&sock->in);
    sock->in.unread = 0;
    sock_send_control(sock, SEGMENT_RESET);
    sock->state = SOCK_DEAD;
    sock_free_if_over(sock);
}

/* The other end may have waited for this to arrive. */
static void sock_settle_peer(struct cmdi_sock *sock)
{
    if (sock->peer != NULL) {
        sock_free_if_over(sock->peer);
    }
}

static void sock_receive_bytes(struct cmdi_sock *sock, size_t size)
{
    sock->in.flying -= size;
    sock->in.unread += size;
    sock->in.arrived += size;
    net_counters.bytes += size;
    cmdi_sim_trace("arrive", sock->number, size);
    if (sock->orphan || sock->shut_read) {
        sock_refuse(sock);
    } else {
        sock_changed(sock);
        sock_settle_peer(sock);
    }
}

static void sock_receive(struct cmdi_sock *sock, struct segment segment)
{
    sock->heard_ns = cmdi_sim_now();
    switch ((enum segment_kind)segment.kind) {
    case SEGMENT_BYTES:
        sock_receive_bytes(sock, segment.size);
        break;
    case SEGMENT_FIN:
        cmdi_sim_trace("FIN", sock->number, 0);
        sock->in.finished = true;
        sock_changed(sock);
        sock_settle_peer(sock);
        sock_free_if_over(sock);
        break;
    case SEGMENT_RESET:
        sock_die(sock, sock->shut_write && sock->in.finished ? -EPIPE : -ECONNRESET);
        break;
    case SEGMENT_WINDOW:
        sock_changed(sock);
        break;
    }
}

static void way_on_arrival(struct cmdi_event *event)
{
    struct cmdi_sock *sock = CMDI_CONTAINER(event, struct cmdi_sock, in.arrival);
    struct way *way = &sock->in;
    CMDI_ASSERT(way->count > 0);
    struct segment segment = *way_segment(way, 0);
    way->first = (way->first + 1) % way->room;
    way->count--;
    way_arm(way);
    sock_receive(sock, segment);
}

/* --- Time of a connection --------------------------------------------------------------------- */

/* Somebody answers from there: the host has power, and both directions work. */
static bool sock_is_reached(const struct cmdi_sock *sock)
{
    return !sock->remote_host->is_off && !net_is_blocked(sock->host, sock->remote_host) &&
           !net_is_blocked(sock->remote_host, sock->host);
}

static void sock_arm_timer(struct cmdi_sock *sock)
{
    if (sock->peer == NULL && sock->sent > 0 && sock->tries < RESEND_TRIES_MAX) {
        uint64_t wait_ns = (uint64_t)RESEND_NS_MIN << (sock->tries < 4 ? sock->tries : 4);
        cmdi_event_at(&sock->timer, cmdi_sim_now() + wait_ns);
    } else if (sock->keepalive_ms > 0 && sock->keepalive_ms != CMDS_NEVER) {
        cmdi_event_at(&sock->timer, sock->heard_ns + cmdi_ms_to_ns(sock->keepalive_ms));
    }
}

/* OPEN: nobody has been heard for so long, or bytes were sent to nobody. */
static void sock_on_open_timer(struct cmdi_sock *sock)
{
    bool reached = sock_is_reached(sock);
    if (reached && sock->peer == NULL) {
        sock_die(sock, -ECONNRESET); // Who is there knows nothing of this connection.
        return;
    }
    if (reached) {
        sock->heard_ns = cmdi_sim_now(); // The other kernel answers its probes.
    } else if (sock->keepalive_ms > 0 && sock->keepalive_ms != CMDS_NEVER &&
               cmdi_sim_now() >= sock->heard_ns + cmdi_ms_to_ns(sock->keepalive_ms)) {
        sock_die(sock, -ETIMEDOUT);
        return;
    }
    if (++sock->tries >= RESEND_TRIES_MAX && sock->peer == NULL && sock->sent > 0) {
        sock_die(sock, -ETIMEDOUT);
        return;
    }
    sock_arm_timer(sock);
}

static void sock_on_timer(struct cmdi_event *event)
{
    struct cmdi_sock *sock = CMDI_CONTAINER(event, struct cmdi_sock, timer);
    if (sock->state == SOCK_CONNECTING) {
        sock_connect_step(sock);
    } else if (sock->state == SOCK_OPEN) {
        sock_on_open_timer(sock);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Each connection has buffers of its own size, as the kernel tunes them. */
static size_t way_draw_size(void)
{
    static const size_t sizes[] = {4096, 16384, 65536, 65536, 262144, 1048576};
    return sizes[cmdi_sim_below(CMDI_CHANCE_NETWORK, sizeof(sizes) / sizeof(sizes[0]))];
}

static void sock_released(struct cmdi_file *file)
{
    struct cmdi_sock *sock = CMDI_CONTAINER(file, struct cmdi_sock, file);
    cmdi_sim_trace("close", sock->number, sock->in.unread);
    CMDI_ASSERT(!sock->orphan && cmdi_list_empty(&sock->watches));
    sock->orphan = true;
    if (sock->state == SOCK_LISTENING) {
        sock_listener_closes(sock);
    } else if (sock->state == SOCK_OPEN && sock->in.unread > 0) {
        sock_refuse(sock);
        return;
    } else if (sock->state == SOCK_OPEN && !sock->shut_write) {
        sock->shut_write = true;
        sock_send_control(sock, SEGMENT_FIN);
    } else if (sock->state == SOCK_CONNECTING) {
        sock_send_control(sock, SEGMENT_RESET);
        sock->state = SOCK_DEAD;
        cmdi_event_off(&sock->timer);
    }
    sock_free_if_over(sock);
}

struct cmdi_sock *sock_new(struct cmdi_sim_host *host)
{
    struct cmdi_sock *sock = cmdi_sim_alloc(sizeof(*sock));
    sock->file = (struct cmdi_file){.refs = 1, .released = sock_released};
    sock->host = host;
    sock->number = ++sock_numbers;
    sock->in.size_max = way_draw_size();
    cmdi_list_init(&sock->link);
    cmdi_list_init(&sock->all);
    cmdi_list_init(&sock->watches);
    cmdi_list_init(&sock->queued);
    cmdi_list_init(&sock->queue_link);
    cmdi_event_init(&sock->timer, sock_on_timer);
    cmdi_event_init(&sock->in.arrival, way_on_arrival);
    cmdi_list_push(&host->socks, &sock->link);
    cmdi_list_push(&sock_all, &sock->all);
    return sock;
}

static void sock_free(struct cmdi_sock *sock)
{
    if (sock->peer != NULL) {
        sock->peer->peer = NULL;
    }
    cmdi_event_off(&sock->timer);
    way_fini(&sock->in);
    cmdi_list_remove(&sock->queue_link);
    cmdi_list_remove(&sock->link);
    cmdi_list_remove(&sock->all);
    cmdi_sim_free(sock);
}

/* Nothing that an orphan has sent is on its way any more, and nothing comes. */
void sock_free_if_over(struct cmdi_sock *sock)
{
    if (!sock->orphan) {
        return;
    }
    bool sends = sock->peer != NULL && sock->peer->in.count > 0 && sock->state == SOCK_OPEN;
    bool over = sock->state != SOCK_OPEN || sock->peer == NULL ||
                (!sends && sock->in.finished && sock->in.count == 0);
    if (over && !(sock->state == SOCK_DEAD && sock->peer != NULL && sock->peer->in.count > 0)) {
        sock_free(sock);
    }
}

void sock_pair(struct cmdi_sock *one, struct cmdi_sock *other)
{
    one->peer = other;
    other->peer = one;
    one->remote_host = other->host;
    other->remote_host = one->host;
    one->remote = other->local;
    other->remote = one->local;
    net_counters.connections++;
}

void sock_open(struct cmdi_sock *sock)
{
    sock->state = SOCK_OPEN;
    sock->heard_ns = cmdi_sim_now();
    sock->tries = 0;
    sock_arm_timer(sock);
    sock_changed(sock);
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

static size_t sock_room(const struct cmdi_sock *sock)
{
    if (sock->peer == NULL) {
        return sock->sent < WAY_SIZE_MIN ? WAY_SIZE_MIN : 0; // Nobody acknowledges.
    }
    size_t used = sock->peer->in.unread + sock->peer->in.flying;
    return used < sock->peer->in.size_max ? sock->peer->in.size_max - used : 0;
}

uint32_t cmdi_sock_state(const struct cmdi_sock *sock)
{
    bool dead = sock->state == SOCK_DEAD;
    bool finished = dead || sock->in.finished || sock->shut_read;
    bool gone = dead || (finished && sock->shut_write && sock->state == SOCK_OPEN) ||
                sock->state == SOCK_FRESH;
    bool waits = sock->state == SOCK_LISTENING && !cmdi_list_empty(&sock->queued);
    bool writable = sock->state == SOCK_OPEN && (sock->shut_write || sock_room(sock) > 0);
    return (sock->in.unread > 0 || finished || waits ? (uint32_t)CMDI_SOCK_READABLE : 0) |
           (writable || dead ? (uint32_t)CMDI_SOCK_WRITABLE : 0) |
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

/* The sender learns of the room after a while, if it had none. */
static void sock_open_window(struct cmdi_sock *sock)
{
    struct way *way = &sock->in;
    if (way->wanted && sock->peer != NULL &&
            way->size_max - way->unread - way->flying >= way->size_max / 3) {
        way->wanted = false;
        sock_fly(sock->peer, SEGMENT_WINDOW, 0);
    }
}

int64_t cmdi_sock_recv(struct cmdi_sock *sock, void *data, size_t size)
{
    struct way *way = &sock->in;
    size_t take = way->unread < size ? way->unread : size;
    if (take > 0) {
        size_t first = way->capacity - way->begin < take ? way->capacity - way->begin : take;
        memcpy(data, way->bytes + way->begin, first);
        memcpy((uint8_t *)data + first, way->bytes, take - first);
        way->begin = (way->begin + take) % way->capacity;
        way->unread -= take;
        sock_open_window(sock);
        return (int64_t)take;
    }
    if (sock->error != 0) {
        return sock_take_error(sock);
    }
    if (sock->state == SOCK_DEAD || way->finished || sock->shut_read) {
        return 0;
    }
    return sock->state == SOCK_OPEN ? -EAGAIN : -ENOTCONN;
}

int cmdi_sock_peek(const struct cmdi_sock *sock)
{
    return sock->in.unread > 0 ? sock->in.bytes[sock->in.begin] : -EAGAIN;
}

int64_t cmdi_sock_send(struct cmdi_sock *sock, const void *data, size_t size)
{
    if (sock->error != 0) {
        return sock_take_error(sock);
    }
    if (sock->state != SOCK_OPEN || sock->shut_write) {
        return sock->state == SOCK_FRESH || sock->state == SOCK_CONNECTING ? -ENOTCONN : -EPIPE;
    }
    size_t room = sock_room(sock);
    size_t take = size < room ? size : room;
    if (take == 0) {
        if (sock->peer != NULL) {
            sock->peer->in.wanted = true;
        }
        return -EAGAIN;
    }
    sock->sent += take;
    if (sock->peer == NULL) {
        sock_arm_timer(sock);
        return (int64_t)take;
    }
    way_put(&sock->peer->in, data, take);
    for (size_t left = take; left > 0;) {
        size_t piece = left < SEGMENT_SIZE_MAX ? left : SEGMENT_SIZE_MAX;
        if (cmdi_sim_befalls(CMDS_SIM_DELAYS, CMDI_CHANCE_NETWORK, 8)) {
            piece = 1 + cmdi_sim_below(CMDI_CHANCE_NETWORK, piece);
        }
        sock_fly(sock->peer, SEGMENT_BYTES, piece);
        left -= piece;
    }
    return (int64_t)take;
}

uint64_t cmdi_sock_acked(const struct cmdi_sock *sock, size_t *waiting)
{
    uint64_t acked = sock->peer != NULL ? sock->peer->in.arrived : 0;
    acked = acked < sock->sent ? acked : sock->sent;
    *waiting = (size_t)(sock->sent - acked);
    return acked;
}

void cmdi_sock_set_keepalive(struct cmdi_sock *sock, uint32_t keepalive_ms)
{
    sock->keepalive_ms = keepalive_ms;
}

const struct cmdi_address *cmdi_sock_local(const struct cmdi_sock *sock)
{
    return &sock->local;
}

const struct cmdi_address *cmdi_sock_remote(const struct cmdi_sock *sock)
{
    return sock->state == SOCK_OPEN || sock->state == SOCK_DEAD ? &sock->remote : NULL;
}

void cmdi_sock_shutdown(struct cmdi_sock *sock, int how)
{
    if (sock->state == SOCK_LISTENING) {
        sock_listener_closes(sock);
        sock->state = SOCK_FRESH;
        sock_changed(sock);
        return;
    }
    if (sock->state != SOCK_OPEN) {
        sock_changed(sock); // As Linux does: whoever has slept through the end finds it now.
        return;
    }
    if (how != SHUT_RD && !sock->shut_write) {
        sock->shut_write = true;
        sock_send_control(sock, SEGMENT_FIN);
    }
    sock->shut_read = sock->shut_read || how != SHUT_WR;
    sock_changed(sock);
}

/* --- Faults and the world --------------------------------------------------------------------- */

uint32_t cmdi_net_cut(
        const struct cmdi_sim_host *one, const struct cmdi_sim_host *other, uint32_t max)
{
    uint32_t count = 0;
    struct cmdi_list *node = one->socks.next;
    while (node != &one->socks && count < max) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, link);
        node = node->next;
        struct cmdi_sock *peer = sock->peer;
        if (sock->state == SOCK_OPEN && peer != NULL && peer->host == other && !sock->orphan &&
                !peer->orphan) {
            if (one == other && node == &peer->link) {
                node = node->next;
            }
            sock_die(sock, -ECONNRESET);
            sock_die(peer, -ECONNRESET);
            count++;
        }
    }
    return count;
}

void cmdi_net_power_off(struct cmdi_sim_host *host)
{
    struct cmdi_list *node = host->socks.next;
    while (node != &host->socks) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, link);
        node = node->next;
        struct cmdi_sock *peer = sock->peer;
        if (peer != NULL) {
            peer->peer = sock->peer = NULL;
            way_clear(&peer->in); // What was sent by us is lost with us.
            if (peer->sent > sock->in.arrived) {
                sock_arm_timer(peer);
            }
        }
        cmdi_event_off(&sock->timer);
        way_clear(&sock->in);
        cmdi_list_remove(&sock->queue_link);
        sock->orphan = sock->orphan || sock->listener != NULL; // Nobody has accepted it.
        sock->listener = NULL;
        sock->state = SOCK_DEAD;
        sock->is_bound = false;
        sock_free_if_over(sock);
    }
}

void cmdi_net_begin(void)
{
    cmdi_list_init(&sock_all);
    sock_numbers = 0;
    net_counters = (struct cmdi_net_counters){0};
    net_links_begin();
}

void cmdi_net_end(void)
{
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&sock_all)) != NULL) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, all);
        cmdi_list_init(&sock->all);
        sock_free(sock);
    }
    net_links_end();
}
