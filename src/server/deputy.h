/* SPDX-License-Identifier: MIT */
/*
 * The deputy: a thread that accepts for listeners whose shard does not turn.
 *
 * An accept belongs to one ring, and to the thread of that ring: while that runs a long exec
 * function, connections wait in the backlog although other shards are idle. To arm an accept on
 * every ring would not help: the kernel gives a new connection to the one that has waited longest,
 * busy or not. So a thread looks that is never busy.
 */
#ifndef CMDI_SERVER_DEPUTY_H
#define CMDI_SERVER_DEPUTY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "ring/poller.h"

struct cmds_server;

/** Moved by the threads that start and stop the server, one at a time. */
enum cmdi_deputy_state {
    CMDI_DEPUTY_OFF,
    CMDI_DEPUTY_RUNNING,  // `poller` and `thread` are valid.
    CMDI_DEPUTY_STOPPING, // The same; the thread is to end.
};

struct cmdi_deputy {
    struct cmdi_poller poller;
    pthread_t thread;
    _Atomic uint32_t state; // Futex. enum cmdi_deputy_state
};

/** After the acceptors; without it the server works, too. Thread: setup. */
void cmdi_deputy_start(struct cmds_server *server);
/** Before the acceptors; it may have been stopped before. Thread: setup. */
void cmdi_deputy_stop(struct cmds_server *server);

#endif
