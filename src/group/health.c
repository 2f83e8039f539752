/* SPDX-License-Identifier: MIT */
/* From what happens to connections to the health of endpoints. Rare: there was a failure before. */
#include "group/health.h"

#include <stdlib.h>

#include "group/group_shard.h"

enum {
    HEALTH_JUDGE_MS = 100,   // Between two looks at all connections.
    HEALTH_AHEAD_MS = 60000, // The clock of another shard's turn may be so far ahead.
};

static struct cmdi_endpoint_store *health_store(struct cmds_group *group)
{
    return &group->endpoints.directory.store;
}

/* --- By rate ---------------------------------------------------------------------------------- */

/*
 * What was answered since the last look belongs to the endpoint of now. Gives each of them to `cells`,
 * once. Under the lock. Returns: how many.
 */
static uint32_t health_gather(struct cmds_group *group, struct cmdi_health_cell **cells, bool anew)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->options.client_count; i++) {
        struct cmdi_client *client = group->clients[i];
        struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
        uint32_t answered = atomic_load_explicit(&client->answered, memory_order_relaxed);
        uint32_t more = answered - client->answered_seen;
        client->answered_seen = answered;
        if (endpoint == NULL) {
            continue;
        }
        struct cmdi_health_cell *cell = &endpoint->health;
        if (!cell->is_gathered) {
            cell->is_gathered = true;
            cells[count++] = cell;
        }
        cell->window_ok = anew ? 0 : cell->window_ok + more;
        cell->window_failed = anew ? 0 : cell->window_failed;
    }
    for (uint32_t i = 0; i < count; i++) {
        cells[i]->is_gathered = false;
    }
    return count;
}

/* Under the lock. Returns: the endpoint is out. */
static bool health_judge(struct cmds_group *group, struct cmdi_health_cell *cell, uint64_t now_ms)
{
    struct cmdi_health *health = &health_store(group)->health;
    bool anew = now_ms - health->window_ms >= CMDI_HEALTH_WINDOW_MS;
    bool may_be_bad = cell->window_failed * 5 >= CMDI_HEALTH_WINDOW_MIN;
    if (!anew && (!may_be_bad || now_ms - health->judged_ms < HEALTH_JUDGE_MS)) {
        return false;
    }
    struct cmdi_health_cell **cells =
            malloc(group->options.client_count * sizeof(struct cmdi_health_cell *));
    if (cells == NULL) {
        return false;
    }
    uint32_t failed = anew ? 1 : cell->window_failed; // With the failure that brought us here.
    uint32_t count = health_gather(group, cells, anew);
    bool is_out = false;
    cell->window_failed = failed;
    health->judged_ms = now_ms;
    health->window_ms = anew ? now_ms : health->window_ms;
    for (uint32_t i = 0; i < count && !anew; i++) {
        is_out |= cells[i] == cell && cmdi_health_judge(health, cells, count, i, now_ms);
    }
    free(cells);
    return is_out;
}

/* --- Events ----------------------------------------------------------------------------------- */

static void health_failed(
        struct cmds_group *group, const struct cmdi_client *client, uint64_t now_ms)
{
    struct cmdi_endpoint_store *store = health_store(group);
    struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    uint32_t listed = cmdi_endpoints_count(&group->endpoints);
    uint32_t count = group->options.client_count;
    if (endpoint == NULL) {
        return;
    }
    count = count < listed ? count : listed;
    if (count <= 2) {
        atomic_fetch_add(&endpoint->health.failures, 1); // Neither is ever out.
        return;
    }
    pthread_mutex_lock(&store->lock);
    bool is_out = cmdi_health_failed(&store->health, &endpoint->health, count, now_ms);
    is_out = health_judge(group, &endpoint->health, now_ms) || is_out;
    uint64_t until_ms = atomic_load(&endpoint->health.until_ms);
    pthread_mutex_unlock(&store->lock);
    if (is_out) {
        const struct cmds_log_record about = {
                .level = CMDS_LOG_WARN, .reason = CMDS_REASON_ENDPOINTS, .peer = endpoint->text};
        cmdi_shard_log_about(client->client_shard->shard, &about,
                "endpoint %s: out for %u ms, its connections or commands fail", endpoint->text,
                (unsigned)(until_ms - now_ms));
    }
}

void cmdi_group_connection_failed(struct cmds_group *group, const struct cmdi_client *client)
{
    health_failed(group, client, client->client_shard->shard->now_ms);
}

/* Has another endpoint answered within the last `took_ms`? */
static bool health_others_answer(
        const struct cmds_group *group, const struct cmdi_client *client, uint32_t took_ms)
{
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    uint32_t now_ms = (uint32_t)client->client_shard->shard->now_ms;
    for (uint32_t i = 0; i < group->options.client_count; i++) {
        const struct cmdi_client *other = group->clients[i];
        uint32_t answered_ms = atomic_load_explicit(&other->answered_ms, memory_order_relaxed);
        if (cmdi_client_endpoint(other) != endpoint &&
                atomic_load_explicit(&other->answered, memory_order_relaxed) != 0 &&
                now_ms - answered_ms + HEALTH_AHEAD_MS <= took_ms + HEALTH_AHEAD_MS) {
            return true;
        }
    }
    return false;
}

void cmdi_group_shard_on_timeout(struct cmdi_client *client, uint32_t took_ms)
{
    struct cmds_group *group = cmdi_group_shard_of(client)->group;
    if (health_others_answer(group, client, took_ms)) {
        health_failed(group, client, client->client_shard->shard->now_ms);
    }
}

void cmdi_group_shard_on_answer(struct cmdi_client *client)
{
    struct cmds_group *group = cmdi_group_shard_of(client)->group;
    struct cmdi_endpoint_store *store = health_store(group);
    struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    struct cmdi_shard *shard = client->client_shard->shard;
    if (cmdi_health_is_in(&endpoint->health)) {
        atomic_store(&endpoint->health.failures, 0);
        return;
    }
    pthread_mutex_lock(&store->lock);
    bool is_back = cmdi_health_answered(&store->health, &endpoint->health, shard->now_ms);
    pthread_mutex_unlock(&store->lock);
    if (is_back) {
        const struct cmds_log_record about = {
                .level = CMDS_LOG_INFO, .reason = CMDS_REASON_ENDPOINTS, .peer = endpoint->text};
        cmdi_shard_log_about(shard, &about, "endpoint %s: answers again", endpoint->text);
    }
}
