/* SPDX-License-Identifier: MIT */
/* From one client's backlog into another one's inbox. See handover.h. */
#include "client/handover.h"

#include "client/entry.h"
#include "client/finish.h"
#include "client/memory.h"

/* Its entry is another client's now: this one knows it no longer, and tells nobody. */
static void handover_let_go(struct cmdi_client *client, struct cmdi_pending *entry)
{
    cmdi_client_remove(client, entry);
    CMDI_ASSERT(client->waiting > 0);
    client->waiting--;
    cmdi_pool_release(&client->client_shard->pool, entry);
    cmdi_client_shard_counted_twice(client->client_shard);
}

/* Returns: false: it stays. */
static bool handover_record(
        struct cmdi_client *client, struct cmdi_record *record, cmdi_handover_fn send)
{
    const struct cmdi_client_config *config = client->client_shard->config;
    struct cmdi_pending *entry = NULL;
    if (record->on_result != NULL) {
        entry = cmdi_pending_find(&client->table, record->sequence);
        if (entry == NULL) {
            return true; // It ended while it waited.
        }
    }
    const struct cmdi_type_entry *row = cmdi_type_table_entry(config->commands, record->type);
    CMDI_ASSERT(row != NULL && row->type != NULL);
    struct cmdi_command command = {.type = row->type,
            .place = row->place,
            .body = cmdi_record_body(record),
            .body_size = record->body_size,
            .on_result = record->on_result,
            .context = entry != NULL ? entry->context : NULL,
            .deadline_ms = entry != NULL ? entry->deadline_ms : UINT64_MAX,
            .extra = entry != NULL ? entry->extra : NULL,
            .begun_ns = entry != NULL ? entry->begun_ns : record->begun_ns};
    int code = send(client, &command);
    if (code == CMDS_E_CANCELLED) {
        cmdi_client_end(client, entry, code);
        cmdi_shard_ready(client->client_shard->shard, &client->ended_work);
    } else if (code == 0 && entry != NULL) {
        handover_let_go(client, entry);
    }
    return code == 0 || code == CMDS_E_CANCELLED;
}

void cmdi_client_hand_over(struct cmdi_client *client, cmdi_handover_fn send)
{
    struct cmdi_record *record = NULL;
    CMDI_ASSERT(!cmdi_client_is_up(client));
    while ((record = cmdi_queue_front(&client->backlog)) != NULL &&
            handover_record(client, record, send)) {
        cmdi_queue_pop(&client->backlog);
    }
    cmdi_client_publish_size(client);
}
