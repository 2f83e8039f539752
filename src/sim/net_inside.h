/* SPDX-License-Identifier: MIT */
/*
 * The network as its own files see it: net_link.c has the links and how long something takes on them,
 * net.c connections and their bytes, net_listen.c how they come to be.
 */
#ifndef CMDI_SIM_NET_INSIDE_H
#define CMDI_SIM_NET_INSIDE_H

#include "sim/net.h"

enum sock_state {
    SOCK_FRESH,
    SOCK_LISTENING,
    SOCK_CONNECTING,
    SOCK_OPEN,
    SOCK_DEAD, // Reset, refused, given up, or shut by both.
};

/** What flies in one piece. */
struct segment {
    uint64_t at_ns; // Arrives; CMDI_SIM_NEVER: the link is blocked, and it waits to be sent again.
    uint32_t size;
    uint8_t kind; // enum segment_kind.
};
enum segment_kind {
    SEGMENT_BYTES,
    SEGMENT_FIN,
    SEGMENT_RESET,
    SEGMENT_WINDOW, // There is room again at the sender of it.
};

/** Everything on its way to one end of a connection, in order, and what has arrived and lies there. */
struct way {
    uint8_t *bytes; // Round and round: `unread` of them from `begin` on, then `flying`.
    size_t capacity, begin, unread, flying, size_max;
    struct segment *segments; // Round and round.
    uint32_t first, count, room;
    uint64_t latest_ns; // Nothing overtakes.
    uint64_t busy_ns;   // Until then the link sends what was given to it before.
    uint64_t arrived;   // Bytes, ever.
    bool finished;      // FIN has arrived.
    bool wanted;        // Its sender has met the bound.
    struct cmdi_event arrival;
};

struct cmdi_sock {
    struct cmdi_file file;
    struct cmdi_sim_host *host;
    struct cmdi_list link; // host->socks.
    struct cmdi_list all;  // Of the world.
    struct cmdi_list watches;
    uint64_t number;
    struct cmdi_address local, remote;
    uint8_t state; // enum sock_state.
    bool orphan;   // Nobody holds it any more; the kernel still does.
    bool shut_write, shut_read;
    int error; // Told once.
    uint32_t keepalive_ms;
    uint64_t sent;          // Bytes, ever.
    struct cmdi_sock *peer; // OPEN: the other end; NULL: it has vanished, and we do not know.
    struct cmdi_sim_host *remote_host;
    struct way in;
    // CONNECTING: the next step; OPEN: keepalive, or sending again to nobody.
    struct cmdi_event timer;
    uint32_t tries;
    bool is_bound;
    bool is_passive; // It was made by a SYN.
    bool arrives;    // CONNECTING: `timer` is the SYN that arrives,
    bool reply;      // or the answer to it, `reply_code`.
    int reply_code;
    uint64_t heard_ns;
    // LISTENING
    bool reuse_port;
    uint32_t backlog, queued_count; // Also those that are not in `queued` yet.
    struct cmdi_list queued;        // Established: accepted next.
    struct cmdi_list queue_link;
    struct cmdi_sock *listener; // Of one that nobody has accepted.
};

/* --- net_link.c --------------------------------------------------------------------------------- */

/** When something of that size that is sent now arrives; CMDI_SIM_NEVER: the link is blocked. */
uint64_t net_arrival(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, size_t size,
        uint64_t *busy_ns);
bool net_is_blocked(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to);
void net_links_begin(void);
void net_links_end(void);

/* --- net.c -------------------------------------------------------------------------------------- */

struct cmdi_sock *sock_new(struct cmdi_sim_host *host);
void sock_changed(struct cmdi_sock *sock);
void sock_die(struct cmdi_sock *sock, int code);
void sock_free_if_over(struct cmdi_sock *sock);
/** Both ends know each other from now on. */
void sock_pair(struct cmdi_sock *one, struct cmdi_sock *other);
void sock_open(struct cmdi_sock *sock);
void sock_send_control(struct cmdi_sock *sock, enum segment_kind kind);
/** Of blocked links that work again: what waits flies. */
void net_unblocked(void);
extern struct cmdi_net_counters net_counters;

/* --- net_listen.c ------------------------------------------------------------------------------- */

void sock_connect_step(struct cmdi_sock *sock);
void sock_connect_again(struct cmdi_sock *sock);
void sock_established(struct cmdi_sock *sock);
void sock_listener_closes(struct cmdi_sock *sock);
#endif
