/* SPDX-License-Identifier: MIT */
/* How a command gets its entry. The shard. */
#include "client/entry.h"

struct cmdi_pending *cmdi_client_register(struct cmdi_client *client, cmds_result_fn on_result,
        void *context, uint64_t deadline_ms, struct cmdi_pending_extra *extra)
{
    struct cmdi_pending *entry = cmdi_pool_acquire(&client->client_shard->pool);
    if (CMDI_UNLIKELY(entry == NULL)) {
        return NULL;
    }
    entry->sequence = client->sequence + 1;
    entry->deadline_ms = deadline_ms;
    entry->on_result = on_result;
    entry->context = context;
    entry->extra = extra;
    entry->flags = 0;
    if (CMDI_UNLIKELY(extra != NULL)) {
        extra->ticket.entry = entry;
    }
    cmdi_pending_insert(&client->table, entry);
    cmdi_client_publish_count(client);
    cmdi_client_arm_deadline(client, deadline_ms);
    return entry;
}
