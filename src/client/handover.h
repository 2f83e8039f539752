/* SPDX-License-Identifier: MIT */
/*
 * Commands that wait for a client that is not up go to one that is, on whatever shard: the client
 * that they were given to may not come up before their deadline. The shard.
 */
#ifndef CMDI_CLIENT_HANDOVER_H
#define CMDI_CLIENT_HANDOVER_H

#include "client/client.h"

/**
 * Sends a command of `client` elsewhere. Returns: 0: another client has it, and counts it;
 * CMDS_E_CANCELLED: its ticket was forgotten; else it stays where it is.
 */
typedef int (*cmdi_handover_fn)(struct cmdi_client *client, struct cmdi_command *command);

/** Gives away what waits, oldest first, up to the first one that stays. The client is not up. */
void cmdi_client_hand_over(struct cmdi_client *client, cmdi_handover_fn send);

#endif
