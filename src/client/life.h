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
 * The addresses are known, or why there are none: starts, and tries the first one. Takes a count of
 * `targets`.
 */
void cmdi_client_connect(struct cmdi_client *client, struct cmdi_targets *targets);
/**
 * Ends everything with CMDS_E_CLOSED; ops->on_closed when it is over, perhaps before this returns.
 * A connection that owes and is owed nothing ends in order, if that takes no longer than
 * `linger_ms`; all others at once. Never inside a callback.
 */
void cmdi_client_close(struct cmdi_client *client, uint32_t linger_ms);

#endif
