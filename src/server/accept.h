/* SPDX-License-Identifier: MIT */
/*
 * What becomes of the connections that a server's listeners accept: is there a seat, on which
 * shard, and what waits if there is none.
 *
 * A seat is one of connection_count_max. Each accepted descriptor goes to the shard with the fewest
 * connections. The count grows when it is handed out, so that a burst spreads evenly too. A shard
 * that is held up gets none as long as another turns; for the listener's own shard there is a
 * deputy (deputy.h). With reuse_port each shard listens for itself and keeps what it accepts.
 */
#ifndef CMDI_SERVER_ACCEPT_H
#define CMDI_SERVER_ACCEPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/listener.h"
#include "server/server_shard.h"

struct cmds_server;

/** A listener of a server. */
struct cmdi_acceptor {
    struct cmdi_listener listener;
    struct cmds_server *server;
    // CMDS_OVERFLOW_QUEUE: one that came when another listener had taken the last seat; -1: none.
    int waiting_fd;
    _Atomic uint32_t closed; // Futex.
    struct cmdi_mail mail;   // There may be a seat.
    _Atomic uint32_t mail_posted;
};

/** Binds and listens; nothing is accepted yet. Thread: setup. Returns: 0; -errno. */
int cmdi_acceptor_open(struct cmdi_acceptor *acceptor, struct cmds_server *server,
        struct cmdi_shard *shard, const struct cmdi_address *address, struct cmds_error *error);
/** Closes one that was never started. Thread: setup. */
void cmdi_acceptor_close(struct cmdi_acceptor *acceptor);
/** Begins to accept. Thread: its shard. Returns: 0; -ENOMEM: it is as if never started. */
int cmdi_acceptor_start(struct cmdi_acceptor *acceptor);
/**
 * Accepts no more; `closed` becomes 1, as a futex, when the descriptor is closed. Thread: its
 * shard.
 */
void cmdi_acceptor_stop(struct cmdi_acceptor *acceptor);

/** Takes a seat. Thread: any. Returns: there was one. */
bool cmdi_accept_take_seat(struct cmds_server *server);
/** Gives it back: its connection has ended. Thread: any. */
void cmdi_accept_give_seat(struct cmds_server *server);
/** A seat was given back: acceptors that wait for one continue. Thread: any. */
void cmdi_accept_tell_seat(struct cmds_server *server);
/**
 * The shard with the fewest connections of those that turn; `own`, which is always one of them, if
 * no other has fewer. Thread: any. Returns: NULL: none turns.
 */
struct cmdi_server_shard *cmdi_accept_choose_shard(
        struct cmds_server *server, struct cmdi_server_shard *own);
/**
 * An accepted descriptor that has a seat goes to `server_shard`. Thread: any. Returns: 0; -ENOMEM:
 * it is closed.
 */
int cmdi_accept_hand_over(struct cmdi_server_shard *server_shard, int fd);

#endif
