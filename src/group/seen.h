/* SPDX-License-Identifier: MIT */
/*
 * What dispatch sees of a connection. Read from the client at each pick: nothing of it is kept, so
 * nothing of it is old.
 */
#ifndef CMDI_GROUP_SEEN_H
#define CMDI_GROUP_SEEN_H

#include <cmdstream/dispatch.h>

#include "client/client.h"
#include "net/endpoint.h"

/** Does a client in this state take commands now? */
static inline bool cmdi_dispatch_takes(enum cmdi_client_state state, bool any_up)
{
    return state == CMDI_CLIENT_UP || (!any_up && state < CMDI_CLIENT_UP);
}

enum {
    CMDI_SLOW_START_MS = 10000,
};

/** Which connection is rather picked; within one rank the strategy decides. */
enum cmdi_seen_rank {
    CMDI_SEEN_DOWN,
    CMDI_SEEN_FULL,
    CMDI_SEEN_TAKES,
};

struct cmdi_seen {
    uint64_t hash; // Of its endpoint's address.
    uint32_t client, endpoint, failures;
    uint32_t in_flight; // Below 2^21.
    uint32_t ewma_us;   // At most CMDI_LATENCY_US_MAX.
    uint32_t weight;    // 1 to 10000.
    enum cmdi_seen_rank rank;
};
/** As cmds_candidate_fn. `index` is in range. */
typedef struct cmdi_seen (*cmdi_seen_fn)(const void *source, uint32_t index);

/** A list of connections at one moment. */
struct cmdi_dispatch_list {
    struct cmdi_client *const *clients;
    uint32_t count;
    uint32_t in_flight_max; // Of each.
    uint64_t now_ms;
    // At least one of them is UP, and no breaker bars it, so that those that are connecting are down
    // to it.
    bool any_up;
    bool is_watched; // cmdi_dispatch_watch() has filled in the rest; else it is false.
    bool skip_out; // At least one of those is of an endpoint that is in: those that are out are down.
    bool may_come;  // One is not UP, may be, and no breaker bars it. Valid without skip_out.
    bool is_barred; // The breaker of one that may be used lets nobody through. Valid as that.
};

/**
 * Endpoints are to be looked at: fills in what the list knows of them. `clients`, `count` and `now_ms`
 * are set. Thread: any that is inside the group.
 */
void cmdi_dispatch_watch(struct cmdi_dispatch_list *list);
/** Is its endpoint passed over now? Of a list that is watched. Thread: as that. */
bool cmdi_dispatch_passes_over(
        const struct cmdi_dispatch_list *list, const struct cmdi_client *client);
/** Is the next command of this endpoint a trial? Of a list that is watched. Thread: as that. */
bool cmdi_dispatch_wants_trial(
        const struct cmdi_dispatch_list *list, const struct cmdi_endpoint *endpoint);

/** Does one of the list take commands now? */
static inline bool cmdi_dispatch_list_takes(
        const struct cmdi_dispatch_list *list, const struct cmdi_client *client)
{
    return cmdi_dispatch_takes(cmdi_client_state(client), list->any_up) &&
           !(CMDI_UNLIKELY(list->is_watched) && cmdi_dispatch_passes_over(list, client));
}

/** Of a new endpoint it grows for a while, so that it warms up before it gets its share. */
static inline uint32_t cmdi_dispatch_weight(const struct cmdi_endpoint *endpoint, uint64_t now_ms)
{
    uint32_t weight = 100 * atomic_load_explicit(&endpoint->weight, memory_order_relaxed);
    uint64_t since_ms = atomic_load_explicit(&endpoint->since_ms, memory_order_relaxed);
    uint64_t age_ms = now_ms - since_ms;
    if (CMDI_UNLIKELY(since_ms != 0 && age_ms < CMDI_SLOW_START_MS)) {
        age_ms = age_ms > CMDI_SLOW_START_MS / 10 ? age_ms : CMDI_SLOW_START_MS / 10;
        weight = (uint32_t)(weight * age_ms / CMDI_SLOW_START_MS);
    }
    return weight > 0 ? weight : 1;
}

/* Into each strategy, which uses a part of it: a call would cost more than that part. */
__attribute__((always_inline)) static inline struct cmdi_seen cmdi_dispatch_see(
        const void *source, uint32_t index)
{
    const struct cmdi_dispatch_list *list = source;
    const struct cmdi_client *client = list->clients[index];
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    struct cmdi_seen seen = {.client = client->number,
            .in_flight = cmdi_client_load(client),
            .ewma_us = cmdi_latency_us(&client->latency, (uint32_t)list->now_ms),
            .weight = CMDS_WEIGHT};
    seen.rank = !cmdi_dispatch_list_takes(list, client) ? CMDI_SEEN_DOWN
                : seen.in_flight >= list->in_flight_max ? CMDI_SEEN_FULL
                                                        : CMDI_SEEN_TAKES;
    if (CMDI_LIKELY(endpoint != NULL)) {
        seen.hash = atomic_load_explicit(&endpoint->hash, memory_order_relaxed);
        seen.endpoint = atomic_load_explicit(&endpoint->number, memory_order_relaxed);
        seen.failures = atomic_load_explicit(&endpoint->health.failures, memory_order_relaxed);
        seen.weight = cmdi_dispatch_weight(endpoint, list->now_ms);
    }
    if (CMDI_UNLIKELY(list->is_watched) && endpoint != NULL &&
            cmdi_dispatch_wants_trial(list, endpoint)) {
        seen.ewma_us = seen.in_flight = 0; // Else nobody would ever try it: it may owe old answers.
    }
    return seen;
}

#endif
