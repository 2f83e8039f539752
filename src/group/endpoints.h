/* SPDX-License-Identifier: MIT */
/*
 * Where the connections of a group go: the list of endpoints, the lookups behind it, and which slot goes
 * to which endpoint. It knows neither shards nor clients.
 *
 * What happens when is directory.h's, who goes where spread.h's; here are the lock, the thread of a lookup,
 * and the counts. A slot is a connection by its number.
 */
#ifndef CMDI_GROUP_ENDPOINTS_H
#define CMDI_GROUP_ENDPOINTS_H

#include <cmdstream/client.h>

#include "group/directory.h"

struct cmdi_resolve;

struct cmdi_endpoints_options {
    const char *connect;
    uint32_t interval_ms;
    uint32_t slot_count, shard_count;
    bool needs_host;                              // TLS, and no server_name: each has to have one.
    const struct cmdi_endpoint_ops *endpoint_ops; // With `context`. NULL: no breakers.
    /** Something has changed: bits of enum cmdi_news. No lock of ours is held. Thread: any. */
    void (*on_news)(void *context, uint32_t news);
    void *context;
};

struct cmdi_endpoints {
    struct cmdi_endpoints_options options;
    uint64_t seed;          // Of this group's ranks.
    _Atomic bool has_names; // Some are looked up.

    pthread_mutex_t lock; // Of all below.
    bool is_closed;       // No lookup begins any more.
    bool is_fixed;        // The list will never be another one, as far as is known.
    struct cmdi_directory directory;
    struct cmdi_endpoint **slots; // Where each is to go; a count of each. NULL: nowhere yet.
    uint32_t *indexes;            // For the spread.
    struct cmdi_resolve *resolve; // The lookup that was begun last. Let go by close.
    bool is_stale;                // There was no memory to spread the slots anew.
    uint32_t said;                // Bits of enum cmdi_news that nobody has heard of yet.
};

/**
 * Reads the list. Nothing is looked up before cmdi_endpoints_run().
 *
 * Owner:   keeps `context` until cmdi_endpoints_fini(), which is due in any case.
 * Thread:  setup.
 * Returns: 0; -EINVAL, -E2BIG, -ENOMEM.
 */
int cmdi_endpoints_init(struct cmdi_endpoints *endpoints,
        const struct cmdi_endpoints_options *options, struct cmds_error *error);
/** It is closed, or never ran; nobody has a count of an endpoint. A zeroed one is fine. */
void cmdi_endpoints_fini(struct cmdi_endpoints *endpoints);
/** From its return no lookup reports. Waits for one that does. Thread: any. */
void cmdi_endpoints_close(struct cmdi_endpoints *endpoints);
/**
 * Begins what is due. Thread: any, not inside on_news. Returns: when it is to be called again; UINT64_MAX:
 * when something happens.
 */
uint64_t cmdi_endpoints_run(struct cmdi_endpoints *endpoints, uint64_t now_ms);
/** Returns: bits of enum cmdi_news since the last call, and of CMDI_NEWS_FAILS why. Thread: any. */
uint32_t cmdi_endpoints_heard(struct cmdi_endpoints *endpoints, struct cmds_error *error);
/**
 * Where a slot is to go. Owner: gives a count. Thread: any. Returns: NULL: no endpoint is known, and
 * `error`, unless it stays zeroed, says why.
 */
struct cmdi_endpoint *cmdi_endpoints_of(
        struct cmdi_endpoints *endpoints, uint32_t slot, struct cmds_error *error);
/**
 * A connection to it failed or was lost. Thread: any. Returns: true: a lookup is due sooner than it was:
 * cmdi_endpoints_run().
 */
bool cmdi_endpoints_failed(
        struct cmdi_endpoints *endpoints, const struct cmdi_endpoint *endpoint, uint64_t now_ms);
/**
 * Its ServerInfo was a wrong one: its slots go elsewhere, if there is another one; on_news tells.
 *
 * Owner:   gives a count.
 * Thread:  any.
 * Returns: where `slot` is to go: `endpoint` itself, if there is no other one yet; NULL: nor will be.
 */
struct cmdi_endpoint *cmdi_endpoints_turn_away(
        struct cmdi_endpoints *endpoints, struct cmdi_endpoint *endpoint, uint32_t slot);
/** As cmdi_directory_set, and on_news. Thread: any. Returns: 0; a code. */
int cmdi_endpoints_set(struct cmdi_endpoints *endpoints, const struct cmdi_place *places,
        uint32_t count, uint64_t now_ms, struct cmds_error *error);
/** Owner: gives a count. Thread: any. Returns: NULL: there are not so many. */
struct cmdi_endpoint *cmdi_endpoints_at(struct cmdi_endpoints *endpoints, uint32_t index);
/** By its number. Owner: gives a count. Thread: any. Returns: NULL: it is not in the list. */
struct cmdi_endpoint *cmdi_endpoints_find(struct cmdi_endpoints *endpoints, uint32_t number);
/** Thread: any. */
uint32_t cmdi_endpoints_count(struct cmdi_endpoints *endpoints);

#endif
