/* SPDX-License-Identifier: MIT */
/* See pause.h. */
#include "client/pause.h"

#include <errno.h>

void cmdi_client_apply_pause(struct cmdi_client *client)
{
    /* Also of one that is leaving; before the ServerInfo there is nothing to pause. */
    if (!client->conn_live ||
            (!cmdi_client_is_up(client) && client->conn.state != CMDI_CONN_OPEN)) {
        return;
    }
    if (atomic_load(&client->pauses) > 0) {
        cmdi_conn_pause(&client->conn);
    } else {
        cmdi_conn_resume(&client->conn);
    }
}

/* The count has left 0, or come to it. */
static void client_pause_changed(struct cmdi_client *client)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    if (cmdi_shard_current() == client_shard->shard) {
        cmdi_client_apply_pause(client);
        return;
    }
    cmdi_inbox_lock(&client->inbox);
    bool post = !client->inbox.closed && cmdi_inbox_take_mail(&client->inbox);
    cmdi_inbox_unlock(&client->inbox);
    if (post) {
        client_shard->config->ops->hold(client_shard);
        cmdi_shard_post(client_shard->shard, &client->inbox.mail);
    }
}

void cmdi_client_pause(struct cmdi_client *client)
{
    uint32_t before = atomic_fetch_add(&client->pauses, 1);
    CMDI_ASSERT(before < UINT32_MAX);
    /* On its shard at once, also while another thread's pause is still on its way. */
    if (before == 0 || cmdi_shard_current() == client->client_shard->shard) {
        client_pause_changed(client);
    }
}

int cmdi_client_resume(struct cmdi_client *client)
{
    uint32_t before = atomic_load(&client->pauses);
    do {
        if (before == 0) {
            return -EINVAL;
        }
    } while (!atomic_compare_exchange_weak(&client->pauses, &before, before - 1));
    if (before == 1) {
        client_pause_changed(client);
    }
    return 0;
}
