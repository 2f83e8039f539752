/* SPDX-License-Identifier: MIT */
/* How a command gets its entry, and what it costs if it fails. The shard. */
#include "client/entry.h"

#include "base/time.h"

enum {
    CLIENT_FAILURE_US = 5000000, // Of a command without a deadline.
};

void cmdi_client_observe_timeout(struct cmdi_client *client, struct cmdi_pending *entry)
{
    const struct cmdi_shard *shard = client->client_shard->shard;
    uint32_t took_us = shard->clock_us - entry->sent_us;
    if ((entry->flags & CMDI_PENDING_ANSWERED) == 0) {
        cmdi_latency_observe(&client->latency, took_us, (uint32_t)shard->now_ms);
        client->client_shard->config->ops->on_timeout(
                client, took_us / (CMDI_NS_PER_MS / CMDI_NS_PER_US));
    }
}

uint32_t cmdi_client_failure_us(
        const struct cmdi_client *client, const struct cmdi_pending *entry, uint32_t took_us)
{
    uint64_t now_ms = client->client_shard->shard->now_ms;
    uint64_t left_us = entry->deadline_ms == UINT64_MAX ? CLIENT_FAILURE_US
                       : entry->deadline_ms > now_ms
                               ? (entry->deadline_ms - now_ms) * (CMDI_NS_PER_MS / CMDI_NS_PER_US)
                               : 0;
    uint64_t us = took_us + left_us;
    return us < CMDI_LATENCY_US_MAX ? (uint32_t)us : CMDI_LATENCY_US_MAX;
}

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
    entry->sent_us = client->client_shard->shard->clock_us;
    entry->flags = 0;
    if (CMDI_UNLIKELY(extra != NULL)) {
        extra->ticket.entry = entry;
    }
    cmdi_pending_insert(&client->table, entry);
    cmdi_client_publish_count(client);
    cmdi_client_arm_deadline(client, deadline_ms);
    return entry;
}

void cmdi_client_adopt(struct cmdi_client *client, struct cmdi_pending_extra *extra)
{
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, client->sequence);
    CMDI_ASSERT(entry != NULL && entry->extra == NULL);
    entry->extra = extra;
    cmdi_tickets_follow(client->client_shard->config->tickets, &extra->ticket, client, entry);
}
