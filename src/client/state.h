/* SPDX-License-Identifier: MIT */
/* The states of a client: which may follow, and the timer that belongs to each. The shard. */
#ifndef CMDI_CLIENT_STATE_H
#define CMDI_CLIENT_STATE_H

#include "client/client.h"

/** The one place where the state changes. */
void cmdi_client_move(struct cmdi_client *client, enum cmdi_client_state next);

static inline void cmdi_client_arm(struct cmdi_client *client, uint64_t at_ms)
{
    cmdi_shard_timer(client->client_shard->shard, &client->state_timer, at_ms);
}
static inline void cmdi_client_disarm(struct cmdi_client *client)
{
    cmdi_shard_timer_off(client->client_shard->shard, &client->state_timer);
}
/** The address that is being tried, or was tried last. */
static inline const char *cmdi_client_target_text(const struct cmdi_client *client)
{
    CMDI_ASSERT(client->targets != NULL && client->target < client->targets->count);
    return client->targets->list[client->target].text;
}
/** What errors call the server: its endpoint, or all that is listed while there is none. */
static inline const char *cmdi_client_name(const struct cmdi_client *client)
{
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    return endpoint != NULL ? endpoint->text : client->client_shard->config->connect;
}

#endif
