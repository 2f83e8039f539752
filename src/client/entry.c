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

void cmdi_client_adopt(struct cmdi_client *client, struct cmdi_pending_extra *extra)
{
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, client->sequence);
    CMDI_ASSERT(entry != NULL && entry->extra == NULL);
    entry->extra = extra;
    cmdi_tickets_follow(client->client_shard->config->tickets, &extra->ticket, client, entry);
}
