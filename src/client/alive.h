/* SPDX-License-Identifier: MIT */
/* The keepalive of a connection that is up: pings, pongs, and the verdict. Thread: the client's shard. */
#ifndef CMDI_CLIENT_ALIVE_H
#define CMDI_CLIENT_ALIVE_H

#include <stdint.h>

#include "client/client.h"

/** The connection is up. */
void cmdi_client_begin_keepalive(struct cmdi_client *client, uint64_t now_ms);
/** A look is due: it pings, or fails the connection, and arms the next look. */
void cmdi_client_on_keepalive(struct cmdi_client *client, uint64_t now_ms);
/** A ping was received. Returns: 0. */
int cmdi_client_on_ping(struct cmdi_conn *conn);

#endif
