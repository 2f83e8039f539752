/* SPDX-License-Identifier: MIT */
/* See memory.h. */
#include "client/memory.h"

void cmdi_client_publish_size(struct cmdi_client *client)
{
    atomic_store_explicit(
            &client->backlog_size, cmdi_client_taken_size(client), memory_order_relaxed);
    if (client->conn_live && cmdi_conn_output_high(&client->conn)) {
        client->conn.above_low = true; // They learn it, too, when it has fallen.
    }
}

size_t cmdi_client_held(const struct cmdi_conn *conn)
{
    const struct cmdi_client *client =
            CMDI_CONTAINER((struct cmdi_conn *)(uintptr_t)conn, struct cmdi_client, conn);
    return client->backlog.capacity + cmdi_inbox_size(&client->inbox);
}

void cmdi_client_trim(struct cmdi_client *client)
{
    if (client->table.count > 0) {
        return;
    }
    cmdi_pending_trim(&client->table);
    cmdi_queue_trim(&client->backlog);
    cmdi_inbox_trim(&client->inbox);
}
