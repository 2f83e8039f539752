/* SPDX-License-Identifier: MIT */
/*
 * What dispatch sees of a connection. Read from the client at each pick: nothing of it is kept, so
 * nothing of it is old.
 */
#ifndef CMDI_GROUP_SEEN_H
#define CMDI_GROUP_SEEN_H

#include <cmdstream/dispatch.h>

#include "client/client.h"

/** Does a client in this state take commands now? */
static inline bool cmdi_dispatch_takes(enum cmdi_client_state state, bool any_up)
{
    return state == CMDI_CLIENT_UP || (!any_up && state < CMDI_CLIENT_UP);
}

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
    uint32_t now_ms;        // The clock's low half.
    bool any_up; // At least one of them is UP, so that those that are connecting are down to it.
};

static inline struct cmdi_seen cmdi_dispatch_see(const void *source, uint32_t index)
{
    const struct cmdi_dispatch_list *list = source;
    const struct cmdi_client *client = list->clients[index];
    struct cmdi_seen seen = {.client = client->number,
            .in_flight = cmdi_client_load(client),
            .ewma_us = cmdi_latency_us(&client->latency, list->now_ms),
            .weight = CMDS_WEIGHT};
    seen.rank = !cmdi_dispatch_takes(cmdi_client_state(client), list->any_up) ? CMDI_SEEN_DOWN
                : seen.in_flight >= list->in_flight_max                       ? CMDI_SEEN_FULL
                                                                              : CMDI_SEEN_TAKES;
    return seen;
}

#endif
