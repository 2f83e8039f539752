/* SPDX-License-Identifier: MIT */
/*
 * Pauses of a client by its program: while there is one, nothing is read.
 *
 * They are counted, and the count is the client's: it is there before the connection is up, and when
 * the next one takes its place. Any thread counts; the shard looks at the count and does what it
 * says, at once where it is the caller, else when its mail comes.
 */
#ifndef CMDI_CLIENT_PAUSE_H
#define CMDI_CLIENT_PAUSE_H

#include "client/client.h"

/** One more, one less. Thread: any that holds the group. Returns: 0; -EINVAL: there was none. */
void cmdi_client_pause(struct cmdi_client *client);
int cmdi_client_resume(struct cmdi_client *client);
/** Does what the count says. Thread: shard. */
void cmdi_client_apply_pause(struct cmdi_client *client);

#endif
