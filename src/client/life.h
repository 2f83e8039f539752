/* SPDX-License-Identifier: MIT */
/*
 * The life of a client: made, connected, closed. Everything but init and fini runs on its shard.
 */
#ifndef CMDI_CLIENT_LIFE_H
#define CMDI_CLIENT_LIFE_H

#include <stdint.h>

#include "client/client.h"

/** State RESOLVE; commands are taken from here on. Thread: any. */
void cmdi_client_init(
        struct cmdi_client *client, struct cmdi_client_shard *client_shard, uint32_t number);
/** After on_closed, or if it was never started. Thread: any. */
void cmdi_client_fini(struct cmdi_client *client);
/** The time for connecting begins, unless it has. */
void cmdi_client_start(struct cmdi_client *client);
/**
 * Where it goes from here on: to another endpoint, as soon as nobody waits for answers of the one that it
 * is connected to; or to the same, whose addresses may have become known. NULL: nobody knows, and `error`,
 * if it is one, says why. Takes a count of `endpoint`.
 */
void cmdi_client_assign(
        struct cmdi_client *client, struct cmdi_endpoint *endpoint, const struct cmds_error *error);
/**
 * Ends everything with CMDS_E_CLOSED; ops->on_closed when it is over, perhaps before this returns.
 * A connection that owes and is owed nothing ends in order, if that takes no longer than
 * `linger_ms`; all others at once. Never inside a callback.
 */
void cmdi_client_close(struct cmdi_client *client, uint32_t linger_ms);

#endif
