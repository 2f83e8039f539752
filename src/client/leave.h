/* SPDX-License-Identifier: MIT */
/*
 * How a client leaves the server that it is connected to, because it is to go to another one: it takes
 * no new command, waits until nobody waits for an answer, and ends the connection in order. The shard.
 */
#ifndef CMDI_CLIENT_LEAVE_H
#define CMDI_CLIENT_LEAVE_H

#include "client/client.h"

/** It is UP, and endpoint_next is another one: LEAVING. */
void cmdi_client_leave(struct cmdi_client *client);
/**
 * The timer of LEAVING: ends the connection if nobody needs it. Returns: somebody does, and the
 * keepalive's look is due: then cmdi_client_look_again(), if it is still LEAVING.
 */
bool cmdi_client_look_left(struct cmdi_client *client, uint64_t now_ms);
void cmdi_client_look_again(struct cmdi_client *client, uint64_t now_ms);
/** The connection ends that was to end: WAITING, and a round is due behind it. */
void cmdi_client_left(struct cmdi_client *client);

#endif
