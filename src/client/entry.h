/* SPDX-License-Identifier: MIT */
/*
 * A command's entry: into the table of its client, and out of it. The shard.
 */
#ifndef CMDI_CLIENT_ENTRY_H
#define CMDI_CLIENT_ENTRY_H

#include "client/client.h"
#include "net/endpoint.h"

/** Other threads learn how many commands are in the window. */
static inline void cmdi_client_publish_count(struct cmdi_client *client)
{
    atomic_store_explicit(&client->in_flight, client->table.count, memory_order_relaxed);
}

/** deadline_timer fires then, or earlier. */
static inline void cmdi_client_arm_deadline(struct cmdi_client *client, uint64_t deadline_ms)
{
    if (CMDI_UNLIKELY(deadline_ms < client->deadline_next_ms)) {
        client->deadline_next_ms = deadline_ms;
        cmdi_shard_timer(client->client_shard->shard, &client->deadline_timer, deadline_ms);
    }
}

/** It ends by its deadline, and was written. */
void cmdi_client_observe_timeout(struct cmdi_client *client, struct cmdi_pending *entry);
/** What a command that failed after `took_us` costs. */
uint32_t cmdi_client_failure_us(
        const struct cmdi_client *client, const struct cmdi_pending *entry, uint32_t took_us);
/**
 * The entry of the command that gets the next sequence. Takes `extra`. Returns: NULL without
 * memory, or at the shard's bound.
 */
static inline struct cmdi_pending *cmdi_client_register(struct cmdi_client *client,
        cmds_result_fn on_result, void *context, uint64_t deadline_ms,
        struct cmdi_pending_extra *extra)
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

/**
 * Its first result has come: how long that took is known of the connection. With an error it counts
 * as slow as its deadline at least, so that nobody is drawn to a server that fails fast.
 */
static inline void cmdi_client_observe(
        struct cmdi_client *client, struct cmdi_pending *entry, bool failed)
{
    const struct cmdi_shard *shard = client->client_shard->shard;
    if (CMDI_UNLIKELY((entry->flags & CMDI_PENDING_ANSWERED) != 0)) {
        return;
    }
    entry->flags |= CMDI_PENDING_ANSWERED;
    uint32_t now_ms = (uint32_t)shard->now_ms;
    uint32_t took_us = shard->clock_us - entry->sent_us;
    cmdi_latency_observe(&client->latency,
            CMDI_LIKELY(!failed) ? took_us : cmdi_client_failure_us(client, entry, took_us),
            now_ms);
    uint32_t before = atomic_load_explicit(&client->answered, memory_order_relaxed);
    atomic_store_explicit(&client->answered, before + 1, memory_order_relaxed);
    atomic_store_explicit(&client->answered_ms, now_ms, memory_order_relaxed);
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    if (CMDI_LIKELY(endpoint != NULL) &&
            CMDI_UNLIKELY(
                    atomic_load_explicit(&endpoint->health.failures, memory_order_relaxed) != 0)) {
        client->client_shard->config->ops->on_answer(client);
    }
}

/** The command that it was sent last has this, which was another client's of its shard. */
void cmdi_client_adopt(struct cmdi_client *client, struct cmdi_pending_extra *extra);

/** Out of the table; it is the caller's. */
static inline void cmdi_client_remove(struct cmdi_client *client, struct cmdi_pending *entry)
{
    cmdi_pending_remove(&client->table, entry);
    cmdi_client_publish_count(client);
}

#endif
