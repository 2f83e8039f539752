/* SPDX-License-Identifier: MIT */
/*
 * What a client holds: how much waits for its connection, as its shard and others are to know it,
 * and memory that is given back. The shard.
 */
#ifndef CMDI_CLIENT_MEMORY_H
#define CMDI_CLIENT_MEMORY_H

#include <stddef.h>

#include "client/client.h"

/** What the shard has taken and the connection has not sent. */
static inline size_t cmdi_client_taken_size(const struct cmdi_client *client)
{
    return cmdi_queue_size(&client->backlog) +
           (client->conn_live ? cmdi_conn_output_size(&client->conn) : 0);
}
/** Other threads learn how much waits for the connection. */
void cmdi_client_publish_size(struct cmdi_client *client);
/** Bytes of its queues, as cmdi_conn_ops.held. */
size_t cmdi_client_held(const struct cmdi_conn *conn);
/** Gives back memory that an idle connection does not need. */
void cmdi_client_trim(struct cmdi_client *client);

#endif
