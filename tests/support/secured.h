/* SPDX-License-Identifier: MIT */
/*
 * A world and a guest whose connection is secured, by whatever layer, and what has to work over any.
 */
#ifndef CMDI_TESTS_SUPPORT_SECURED_H
#define CMDI_TESTS_SUPPORT_SECURED_H

#include <cmdstream/tls.h>

#include "support/guest.h"

/** What the world's callbacks saw of the peer, by common_name. */
enum secured_place {
    SECURED_ON_CONNECT,
    SECURED_INVOKER,
    SECURED_EXEC,
    SECURED_IN_POOL,
    SECURED_ON_DISCONNECT,
    SECURED_PLACES,
};

struct secured {
    struct world world; // First: the receiver.
    struct guest guest;
    const char *expected; // Who the peer has to be, in each place. NULL: anybody.
    const char *refused;  // By on_connect. NULL: nobody.
    _Atomic uint32_t kept;
    _Atomic uint32_t seen[SECURED_PLACES], wrong[SECURED_PLACES];
};

/** Both sides are secured by these. Options may be changed until secured_start(). */
void secured_init(struct secured *secured, struct cmds_tls *server, struct cmds_tls *client);
/** Returns: both are there, and connected; else guest.error says why not. */
bool secured_start(struct secured *secured);
void secured_stop(struct secured *secured);
struct cmds_server_counters secured_counters(const struct secured *secured);
/** The guest does not come up: `words` are in its error, and its address once. Returns: the code. */
int secured_refused(struct secured *secured, const char *words);

/* --- What works over any layer, each on a world of its own ------------------------------------ */

/** The identity `name` is what callbacks see, as long as they may ask. */
void secured_check_identity(struct cmds_tls *server, struct cmds_tls *client, const char *name);
/** Commands and results of many sizes, up to 5 MiB, over several connections. */
void secured_check_sizes(struct cmds_tls *server, struct cmds_tls *client, const char *listen);
/** A stream of many results through a small output, and commands that wait at the window. */
void secured_check_bounds(struct cmds_tls *server, struct cmds_tls *client);
/** Pings go both ways, and keep what does nothing. */
void secured_check_keepalive(struct cmds_tls *server, struct cmds_tls *client);
/** A blocking sender, with and without a thread of its own; names the server as `connect` does not. */
void secured_check_senders(struct cmds_tls *server, struct cmds_tls *client);
/** A front that forwards to a back, both secured. */
void secured_check_forward(struct cmds_tls *server, struct cmds_tls *client);
/** Many come at once, to a server in their own runtime that takes few handshakes at a time. */
void secured_check_storm(struct cmds_tls *server, struct cmds_tls *client);
/** A shutdown answers what was received, and ends in order. */
void secured_check_drain(struct cmds_tls *server, struct cmds_tls *client);

#endif
