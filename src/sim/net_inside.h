/* SPDX-License-Identifier: MIT */
/*
 * The network as its own files see it:
 *
 *     net.c          sockets: their life, their timers, what programs ask of them; faults
 *     net_flow.c     bytes of a connection, segments, acknowledgements
 *     net_listen.c   addresses, listeners, accepting
 *     net_connect.c  the handshake of TCP
 *     net_local.c    UNIX sockets, and the paths that they leave behind
 *     net_link.c     links: how long something takes on them, and what is wrong with them
 */
#ifndef CMDI_SIM_NET_INSIDE_H
#define CMDI_SIM_NET_INSIDE_H

#include "sim/net.h"

enum sock_state {
    SOCK_FRESH,
    SOCK_LISTENING,
    SOCK_CONNECTING,
    SOCK_ARRIVING, // Made by a SYN: the last step of the handshake is still to come.
    SOCK_OPEN,     // Also when both directions are shut.
    SOCK_DEAD,     // Reset, refused, given up.
};

enum segment_kind {
    SEGMENT_BYTES,
    SEGMENT_FIN,
    SEGMENT_RESET,
};

/** What one end knows of the other: it travels with each segment, or alone. */
struct news {
    uint64_t acked; // What has arrived there, FIN as one byte.
    uint64_t edge;  // What it takes, in bytes since the connection began.
};

/** What flies in one piece. */
struct segment {
    uint64_t departs_ns; // Until then the link sends what was given to it before.
    uint64_t at_ns;      // Arrives. CMDI_SIM_NEVER: the link is blocked, it is sent again later.
    struct news news;
    uint32_t size;
    uint8_t kind; // enum segment_kind.
};

/** What comes to one end of a connection. */
struct way {
    // Round and round, from `begin` on: what lies here, what flies, what its sender keeps back, as the
    // window has no room for it.
    uint8_t *bytes;
    size_t capacity, begin;
    size_t unread, flying, queued;
    struct segment *segments; // Round and round.
    uint32_t first, count, room;
    uint64_t latest_ns;     // Nothing overtakes.
    uint64_t arrived, read; // Bytes, ever.
    struct news told;       // To its sender.
    size_t window;          // It takes so many that are not read.
    bool finished;          // FIN has arrived.
    struct cmdi_event arrival;
};

/** What the other end says of what we have sent, when it has nothing else to say. */
struct ack {
    struct news news;
    struct cmdi_event arrival;
    bool held;    // The way back is blocked.
    bool delayed; // It has not departed yet: the other end may have more to say.
    bool again;   // There was more to say since.
};

struct cmdi_sock {
    struct cmdi_file file;
    struct cmdi_sim_host *host;
    struct cmdi_list link; // host->socks.
    struct cmdi_list all;  // Of the world.
    struct cmdi_list watches;
    uint64_t number;
    int family;
    struct cmdi_address local, remote;
    uint8_t state; // enum sock_state.
    bool orphan;   // Nobody holds it any more; the kernel still does.
    bool shut_write, shut_read;
    int error; // Told once.
    uint32_t keepalive_ms;

    // Of a connection.
    struct cmdi_sock *peer; // NULL: the other end has vanished, whether we know it or not.
    struct cmdi_sim_host *remote_host;
    struct way in;
    uint64_t sent;             // Bytes, ever.
    struct news known;         // Of the other end.
    size_t room_max;           // So many bytes that are not acknowledged, at most.
    bool wanted;               // A send has met that bound.
    bool fin_flown;            // Behind all bytes.
    struct ack ack;            // On its way here.
    struct cmdi_list on_link;  // Of the link to us, if anything is on it: link->coming.
    struct cmdi_event timer;   // By state: the handshake; keepalive, sending again to nobody.
    uint8_t step;              // CONNECTING: enum connect_step.
    int reply;                 // CONNECTING: what the other host has answered.
    uint32_t tries;            // Of whatever is tried.
    uint64_t heard_ns;         // From the other end.
    uint64_t lot;              // Which one of several listeners that share a port.
    struct cmdi_list of_table; // Bound: of its bucket.

    // Of a listener, and of those that nobody has accepted.
    bool reuse_port;
    uint32_t backlog, queued_count;
    struct cmdi_list queued;   // OPEN: accepted next.
    struct cmdi_list arriving; // ARRIVING; UNIX: CONNECTING, as the queue is full.
    struct cmdi_list queue_link;
    struct cmdi_sock *listener; // Of one in these lists.
};

static inline bool sock_is_local(const struct cmdi_sock *sock)
{
    return sock->family == AF_UNIX;
}
/** All that it has sent, FIN as one byte. */
static inline uint64_t sock_sent_end(const struct cmdi_sock *sock)
{
    return sock->sent + (sock->shut_write ? 1 : 0);
}

/* --- net.c -------------------------------------------------------------------------------------- */

struct cmdi_sock *sock_new(struct cmdi_sim_host *host, int family);
void sock_move(struct cmdi_sock *sock, enum sock_state next);
void sock_changed(struct cmdi_sock *sock);
/** The connection is over for this end, which keeps what lies there. The other one is not told. */
void sock_die(struct cmdi_sock *sock, int code);
/** Its kernel forgets the connection. The other end does not know. */
void sock_leave(struct cmdi_sock *sock);
/** It leaves, and a reset flies to the other end. */
void sock_reset(struct cmdi_sock *sock);
/** Frees it if it is nobody's and has nothing left to do: then the last use of it. */
void sock_free_if_over(struct cmdi_sock *sock);
/** The same for both ends, which may have waited for what has just come. */
void sock_settle(struct cmdi_sock *sock);
/** Both ends know each other from now on. */
void sock_pair(struct cmdi_sock *one, struct cmdi_sock *other);
void sock_open(struct cmdi_sock *sock);
/** Something was heard from the other end, or is to be sent to nobody: when to look next. */
void sock_arm_timer(struct cmdi_sock *sock);
/** Somebody answers from there: the host has power, and both directions work. */
bool sock_is_reached(const struct cmdi_sock *sock);
/** Of one that nobody has accepted: it will not be. */
void sock_discard(struct cmdi_sock *sock);
extern struct cmdi_net_counters net_counters;

/* --- net_flow.c --------------------------------------------------------------------------------- */

void flow_init(struct cmdi_sock *sock);
void flow_fini(struct cmdi_sock *sock);
/** At its end. The caller has looked whether there is room. */
void way_put(struct way *way, const void *data, size_t size);
size_t way_take(struct way *way, void *data, size_t size);
/** Nothing comes any more; what lies there stays. */
void flow_stop(struct cmdi_sock *sock);
/** The one end has vanished: what it had not sent yet, or would have had to send again, never comes. */
void flow_orphaned(struct cmdi_sock *sock);
/** Sends what it may: bytes, then FIN, if the direction is shut. */
void flow_launch(struct cmdi_sock *sock);
void flow_reset(struct cmdi_sock *to);
/** Tells the other end what has arrived here and what there is room for. */
void flow_acknowledge(struct cmdi_sock *sock, bool quickly);
/** Programs have read: the other end learns of the room once there is much more of it. */
void flow_read(struct cmdi_sock *sock);
/** Bytes that can be sent now. */
size_t flow_room(const struct cmdi_sock *sock);
/** The link to it works again, or at another pace: what has not departed does so now. */
void flow_again(struct cmdi_sock *to, uint64_t outage_ns);
/** The link to it works no more: what has not departed does not. */
void flow_hold(struct cmdi_sock *to);

/* --- net_listen.c ------------------------------------------------------------------------------- */

uint16_t port_of(const struct cmdi_address *address);
void port_set(struct cmdi_address *address, uint16_t port);
/** One that nobody has bound, of those for who names none; 0: there is none. */
uint16_t port_draw(struct cmdi_sim_host *host, const struct cmdi_address *address);
bool port_is_drawn(uint16_t port); // One of those.
/** Binds it, unless somebody has the port. Returns: it is bound. */
bool port_take(struct cmdi_sock *sock, const struct cmdi_address *address);
/** Who listens there; of several that share it always the same one for a `lot`. NULL: nobody. */
struct cmdi_sock *listener_find(
        const struct cmdi_sim_host *host, const struct cmdi_address *address, uint64_t lot);
bool listener_is_full(const struct cmdi_sock *sock);
/** It waits to be accepted. */
void listener_queue(struct cmdi_sock *listener, struct cmdi_sock *sock);
/** Nobody will accept what waits. */
void listener_close(struct cmdi_sock *sock);
/** Its address is free. */
void sock_unbind(struct cmdi_sock *sock);
void net_listen_begin(void);

/* --- net_connect.c ------------------------------------------------------------------------------ */

int connect_begin(struct cmdi_sock *sock, const struct cmdi_address *address);
void connect_due(struct cmdi_sock *sock);  // The timer of one that is CONNECTING,
void arriving_due(struct cmdi_sock *sock); // or ARRIVING.
/** Something has come from the other end, so that knows of the connection. */
void arriving_heard(struct cmdi_sock *sock);

/* --- net_local.c -------------------------------------------------------------------------------- */

int local_bind(struct cmdi_sock *sock, const struct cmdi_address *address);
void local_unbind(struct cmdi_sock *sock);
int local_connect(struct cmdi_sock *sock, const struct cmdi_address *address);
/** There is room in a queue. */
void local_connect_next(struct cmdi_sock *listener);
bool local_is_writable(const struct cmdi_sock *sock);
/** Memory of what the other end has not read. */
size_t local_waiting(const struct cmdi_sock *sock);
int64_t local_send(struct cmdi_sock *sock, const void *data, size_t size);
void local_read(struct cmdi_sock *sock);
void local_shutdown(struct cmdi_sock *sock, int how);
void local_close(struct cmdi_sock *sock);
void net_local_begin(void);
void net_local_end(void);

/* --- net_link.c --------------------------------------------------------------------------------- */

struct net_link {
    struct cmdi_link_plan plan;
    uint64_t blocked_ns; // Since then.
    uint64_t busy_ns;    // Until then it sends what was given to it before.
    struct cmdi_list coming;
};
/** One direction. */
struct net_link *net_link(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to);
bool net_is_blocked(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to);
/** When something of that size that is sent now arrives; CMDI_SIM_NEVER: the link is blocked. */
uint64_t net_arrival(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, size_t size,
        uint64_t *departs_ns);
void net_links_begin(void);
void net_links_end(void);
#endif
