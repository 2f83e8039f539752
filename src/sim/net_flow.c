/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a TCP connection.
 *
 * They lie in one queue at the end that they go to: those that have arrived, those that fly, and those
 * that their sender keeps back until the window has room. What arrives is acknowledged; the news of it
 * travels back with the next segment, or alone, and takes its time as all do. A sender knows no more of
 * the other end than such news: what was taken, and how far it may go on. So it learns nothing while
 * the way back is blocked.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    WAY_SIZE_MIN = 4096,
    SEGMENT_SIZE_MAX = 64 * 1024,
    FLIGHT_SIZE_MAX = 256 * 1024, // Not acknowledged: what congestion control lets out.
    ACK_BYTES = 2 * 1448,         // So many are acknowledged at once; fewer perhaps
    ACK_DELAY_NS = 40 * 1000 * 1000,
    RESEND_NS_MIN = 200 * 1000 * 1000, // The least and
    RESEND_S_MAX = 120,                // the longest time-out of a retransmission.
};

/* --- The queue of bytes ----------------------------------------------------------------------- */

static void way_grow(struct way *way, size_t size)
{
    size_t used = way->unread + way->flying + way->queued;
    size_t capacity = way->capacity > 0 ? way->capacity : WAY_SIZE_MIN;
    if (used + size <= way->capacity) {
        return;
    }
    while (capacity < used + size) {
        capacity *= 2;
    }
    uint8_t *bytes = cmdi_sim_alloc(capacity);
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

void way_put(struct way *way, const void *data, size_t size)
{
    way_grow(way, size);
    size_t at = (way->begin + way->unread + way->flying + way->queued) % way->capacity;
    size_t first = way->capacity - at < size ? way->capacity - at : size;
    memcpy(way->bytes + at, data, first);
    memcpy(way->bytes, (const uint8_t *)data + first, size - first);
    way->queued += size;
}

size_t way_take(struct way *way, void *data, size_t size)
{
    size_t take = way->unread < size ? way->unread : size;
    if (take == 0) {
        return 0;
    }
    size_t first = way->capacity - way->begin < take ? way->capacity - way->begin : take;
    memcpy(data, way->bytes + way->begin, first);
    memcpy((uint8_t *)data + first, way->bytes, take - first);
    way->begin = (way->begin + take) % way->capacity;
    way->unread -= take;
    way->read += take;
    return take;
}

/* --- Segments --------------------------------------------------------------------------------- */

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

/* The link knows what is on it. */
static void flow_mark(struct cmdi_sock *to)
{
    bool is_on = to->in.count > 0 || to->ack.held;
    if (is_on && cmdi_list_empty(&to->on_link)) {
        cmdi_list_push(&net_link(to->remote_host, to->host)->coming, &to->on_link);
    } else if (!is_on) {
        cmdi_list_remove(&to->on_link);
    }
}

/* What the end that `to` belongs to hears from the other one now. */
static struct news flow_news(struct cmdi_sock *to)
{
    struct cmdi_sock *from = to->peer;
    if (from == NULL) {
        return (struct news){0};
    }
    from->in.told = (struct news){.acked = from->in.arrived + (from->in.finished ? 1 : 0),
            .edge = from->in.read + from->in.window};
    return from->in.told;
}

static void flow_fly(struct cmdi_sock *to, enum segment_kind kind, size_t size)
{
    struct way *way = &to->in;
    bool waits = way->count > 0 && way_segment(way, way->count - 1)->at_ns == CMDI_SIM_NEVER;
    struct segment *segment = way_push(way);
    *segment = (struct segment){.at_ns = CMDI_SIM_NEVER,
            .departs_ns = CMDI_SIM_NEVER,
            .news = flow_news(to),
            .size = (uint32_t)size,
            .kind = (uint8_t)kind};
    if (!waits) {
        segment->at_ns = net_arrival(to->remote_host, to->host, size, &segment->departs_ns);
    }
    if (segment->at_ns != CMDI_SIM_NEVER) {
        segment->at_ns = segment->at_ns > way->latest_ns ? segment->at_ns : way->latest_ns;
        way->latest_ns = segment->at_ns;
    }
    net_counters.segments++;
    if (way->count == 1) {
        way_arm(way);
        flow_mark(to);
    }
}

void flow_launch(struct cmdi_sock *sock)
{
    struct cmdi_sock *to = sock->peer;
    if (to == NULL || sock->state != SOCK_OPEN) {
        return;
    }
    struct way *way = &to->in;
    uint64_t edge = sock->known.acked + FLIGHT_SIZE_MAX;
    edge = edge < sock->known.edge ? edge : sock->known.edge;
    while (way->queued > 0 && sock->sent - way->queued < edge) {
        uint64_t may = edge - (sock->sent - way->queued);
        size_t size = may < way->queued ? (size_t)may : way->queued;
        size = size < SEGMENT_SIZE_MAX ? size : SEGMENT_SIZE_MAX;
        if (cmdi_sim_befalls(CMDS_SIM_DELAYS, CMDI_CHANCE_NETWORK, 8)) {
            size = 1 + (size_t)cmdi_sim_below(CMDI_CHANCE_NETWORK, size);
        }
        way->queued -= size;
        way->flying += size;
        flow_fly(to, SEGMENT_BYTES, size);
    }
    if (sock->shut_write && way->queued == 0 && !sock->fin_flown) {
        sock->fin_flown = true;
        flow_fly(to, SEGMENT_FIN, 0);
    }
}

/* Nobody would send it again: over a blocked link it is lost. */
void flow_reset(struct cmdi_sock *to)
{
    bool waits =
            to->in.count > 0 && way_segment(&to->in, to->in.count - 1)->at_ns == CMDI_SIM_NEVER;
    if (!waits && !net_is_blocked(to->remote_host, to->host)) {
        flow_fly(to, SEGMENT_RESET, 0);
    }
}

size_t flow_room(const struct cmdi_sock *sock)
{
    uint64_t acked = sock->known.acked < sock->sent ? sock->known.acked : sock->sent;
    uint64_t used = sock->sent - acked;
    return used < sock->room_max ? sock->room_max - (size_t)used : 0;
}

/* --- Acknowledgements ------------------------------------------------------------------------- */

static void flow_hear(struct cmdi_sock *sock, const struct news *news)
{
    sock->heard_ns = cmdi_sim_now();
    sock->known.acked = news->acked > sock->known.acked ? news->acked : sock->known.acked;
    sock->known.edge = news->edge > sock->known.edge ? news->edge : sock->known.edge;
    CMDI_ASSERT(sock->known.acked <= sock_sent_end(sock));
    flow_launch(sock);
    if (sock->wanted && flow_room(sock) >= sock->room_max / 3) {
        sock->wanted = false;
        sock_changed(sock);
    }
}

/* It departs now, and says what is so now. */
static void ack_depart(struct cmdi_sock *to)
{
    struct ack *ack = &to->ack;
    uint64_t departs_ns = 0;
    uint64_t at_ns = net_arrival(to->remote_host, to->host, 0, &departs_ns);
    ack->delayed = false;
    ack->held = at_ns == CMDI_SIM_NEVER;
    if (ack->held) {
        cmdi_event_off(&ack->arrival);
        flow_mark(to);
        return;
    }
    ack->news = flow_news(to);
    cmdi_event_at(&ack->arrival, at_ns);
}

void flow_acknowledge(struct cmdi_sock *sock, bool quickly)
{
    struct cmdi_sock *to = sock->peer;
    if (to == NULL || sock->state != SOCK_OPEN || to->ack.held) {
        return;
    }
    struct ack *ack = &to->ack;
    quickly = quickly || sock->in.arrived >= sock->in.told.acked + ACK_BYTES;
    if (cmdi_event_is_armed(&ack->arrival) && !ack->delayed) {
        ack->again = true; // One is on its way.
    } else if (quickly || (!ack->delayed && cmdi_sim_below(CMDI_CHANCE_NETWORK, 2) == 0)) {
        ack_depart(to);
    } else if (!ack->delayed) {
        ack->delayed = true;
        cmdi_event_at(
                &ack->arrival, cmdi_sim_now() + cmdi_sim_below(CMDI_CHANCE_NETWORK, ACK_DELAY_NS));
    }
}

static void ack_on_arrival(struct cmdi_event *event)
{
    struct cmdi_sock *sock = CMDI_CONTAINER(event, struct cmdi_sock, ack.arrival);
    if (sock->ack.delayed) {
        ack_depart(sock);
        return;
    }
    bool again = sock->ack.again;
    sock->ack.again = false;
    flow_hear(sock, &sock->ack.news);
    if (again && sock->peer != NULL) {
        flow_acknowledge(sock->peer, true);
    }
    sock_settle(sock);
}

void flow_read(struct cmdi_sock *sock)
{
    const struct way *way = &sock->in;
    if (way->read + way->window >= way->told.edge + way->window / 3) {
        flow_acknowledge(sock, true);
    }
}

/* --- What arrives ----------------------------------------------------------------------------- */

static void flow_take_bytes(struct cmdi_sock *sock, size_t size)
{
    sock->in.flying -= size;
    net_counters.bytes += size;
    cmdi_sim_trace("arrive", sock->number, size);
    if (sock->orphan || (sock->shut_read && sock->shut_write)) {
        sock_reset(sock); // Nobody will read it.
        sock_die(sock, -ECONNRESET);
        return;
    }
    sock->in.unread += size;
    sock->in.arrived += size;
    flow_acknowledge(sock, false);
    sock_changed(sock);
    sock_settle(sock);
}

static void flow_take(struct cmdi_sock *sock, const struct segment *segment)
{
    if (segment->kind == SEGMENT_RESET) {
        sock_die(sock, sock->state == SOCK_CONNECTING           ? -ECONNREFUSED
                       : sock->in.finished && !sock->shut_write ? -EPIPE
                                                                : -ECONNRESET);
        return;
    }
    flow_hear(sock, &segment->news);
    if (sock->state == SOCK_ARRIVING) {
        arriving_heard(sock);
    }
    if (segment->kind == SEGMENT_BYTES) {
        flow_take_bytes(sock, segment->size);
        return;
    }
    cmdi_sim_trace("FIN", sock->number, 0);
    sock->in.finished = true;
    flow_acknowledge(sock, true);
    sock_changed(sock);
    sock_settle(sock);
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
    flow_mark(sock);
    flow_take(sock, &segment);
}

/* --- Links ------------------------------------------------------------------------------------ */

static uint32_t way_departed(struct way *way)
{
    uint32_t count = 0;
    while (count < way->count && way_segment(way, count)->departs_ns <= cmdi_sim_now()) {
        count++;
    }
    way->latest_ns = count > 0 ? way_segment(way, count - 1)->at_ns : 0;
    return count;
}

void flow_hold(struct cmdi_sock *to)
{
    struct way *way = &to->in;
    for (uint32_t i = way_departed(way); i < way->count; i++) {
        way_segment(way, i)->at_ns = way_segment(way, i)->departs_ns = CMDI_SIM_NEVER;
    }
    way_arm(way);
}

/* Each sender tries again by itself, and the less often the longer it was in vain. */
void flow_again(struct cmdi_sock *to, uint64_t outage_ns)
{
    struct way *way = &to->in;
    uint64_t most_ns = outage_ns > RESEND_NS_MIN ? outage_ns : RESEND_NS_MIN;
    most_ns = most_ns < RESEND_S_MAX * (uint64_t)CMDI_NS_PER_S
                      ? most_ns
                      : RESEND_S_MAX * (uint64_t)CMDI_NS_PER_S;
    uint64_t wait_ns = outage_ns > 0 ? cmdi_sim_below(CMDI_CHANCE_NETWORK, most_ns) : 0;
    for (uint32_t i = way_departed(way); i < way->count; i++) {
        struct segment *segment = way_segment(way, i);
        uint64_t at_ns =
                net_arrival(to->remote_host, to->host, segment->size, &segment->departs_ns);
        segment->departs_ns += wait_ns;
        segment->at_ns = at_ns + wait_ns > way->latest_ns ? at_ns + wait_ns : way->latest_ns;
        way->latest_ns = segment->at_ns;
    }
    way_arm(way);
    if (to->ack.held) {
        to->ack.held = false;
        to->ack.delayed = true; // It departs then.
        cmdi_event_at(&to->ack.arrival, cmdi_sim_now() + wait_ns);
        flow_mark(to);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Each connection has buffers of its own size, as the kernel tunes them. */
static size_t flow_draw_size(void)
{
    static const size_t sizes[] = {4096, 16384, 65536, 65536, 262144, 1048576};
    return sizes[cmdi_sim_below(CMDI_CHANCE_NETWORK, sizeof(sizes) / sizeof(sizes[0]))];
}

void flow_init(struct cmdi_sock *sock)
{
    sock->room_max = flow_draw_size();
    sock->in.window = flow_draw_size();
    sock->in.told.edge = sock->in.window;
    cmdi_list_init(&sock->on_link);
    cmdi_event_init(&sock->in.arrival, way_on_arrival);
    cmdi_event_init(&sock->ack.arrival, ack_on_arrival);
}

void flow_stop(struct cmdi_sock *sock)
{
    sock->in.flying = sock->in.queued = 0;
    sock->in.count = 0;
    sock->ack.held = sock->ack.again = sock->ack.delayed = false;
    cmdi_event_off(&sock->in.arrival);
    cmdi_event_off(&sock->ack.arrival);
    cmdi_list_remove(&sock->on_link);
}

void flow_orphaned(struct cmdi_sock *sock)
{
    struct way *way = &sock->in;
    uint32_t departed = way_departed(way);
    while (way->count > departed) {
        way->flying -= way_segment(way, --way->count)->size;
    }
    way->queued = 0;
    way_arm(way);
    if (sock->ack.held || sock->ack.delayed) {
        cmdi_event_off(&sock->ack.arrival);
    }
    sock->ack.held = sock->ack.again = sock->ack.delayed = false;
    flow_mark(sock);
}

void flow_fini(struct cmdi_sock *sock)
{
    flow_stop(sock);
    cmdi_sim_free(sock->in.bytes);
    cmdi_sim_free(sock->in.segments);
}
