/* SPDX-License-Identifier: MIT */
/*
 * One place that connections of a group may go to: "10.0.0.7:9000", "unix:/run/x", or a name whose
 * addresses are tried one after the other.
 *
 * Counted: the group's list holds a count, and each connection that goes there one of its own, so an
 * endpoint that has left the list lives until the last of them has gone elsewhere. Then it waits in its
 * group's store to become another one. So whoever is inside the group may follow a pointer to an endpoint
 * without a count, and read what is atomic: at worst it is that of another endpoint.
 */
#ifndef CMDI_NET_ENDPOINT_H
#define CMDI_NET_ENDPOINT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/health.h"
#include "net/targets.h"

enum {
    CMDI_ENDPOINTS_MAX = 4096, // In a group's list.
    CMDI_ENDPOINT_WEIGHT = 10, // Of one that names none.
    CMDI_ENDPOINT_WEIGHT_MAX = 100,
};

struct cmdi_endpoint;
struct cmds_breaker;

/** Breakers of endpoints, by somebody who knows what a breaker is. Thread: any; a leaf. */
struct cmdi_endpoint_ops {
    /** Returns: NULL without memory. */
    struct cmds_breaker *(*make)(void *context);
    /** It is this endpoint's; NULL: nobody's any more. */
    void (*give_to)(
            void *context, struct cmds_breaker *breaker, const struct cmdi_endpoint *endpoint);
    void (*free)(struct cmds_breaker *breaker);
};

/** All endpoints that a group has ever had at the same time. */
struct cmdi_endpoint_store {
    pthread_mutex_t lock;
    struct cmdi_endpoint *unused; // Linked by `next`. Under the lock, as the two below.
    uint32_t number_last;
    uint32_t count; // In use.
    struct cmdi_health health;
    const struct cmdi_endpoint_ops *ops; // NULL: endpoints have no breakers. Constant.
    void *context;
};

enum {
    CMDI_ENDPOINT_TEXT_MIN = 48,
};

struct cmdi_endpoint {
    struct cmdi_endpoint_store *store;
    // Constant as the struct: it is reused with it. NULL: endpoints have none.
    struct cmds_breaker *breaker;
    struct cmdi_endpoint *next; // In the store.
    _Atomic uint32_t refs;      // 0: in the store.
    _Atomic uint32_t number;    // In its group; never 0, never given twice.
    _Atomic uint64_t hash;      // Of `text`.
    _Atomic uint32_t weight;    // 1 to CMDI_ENDPOINT_WEIGHT_MAX.
    _Atomic uint64_t since_ms;  // When it joined a list that others were in; 0: it was there first.
    _Atomic uint32_t failures;  // Connections in a row that were lost, or did not come up.
    _Atomic uint32_t slot_count;    // Connections that are to go there.
    _Atomic bool is_out;            // Its ServerInfo was a wrong one: it gets no connection.
    struct cmdi_health_cell health; // Its lock is the store's.

    /* With a count only. */
    bool is_name; // A lookup gives its addresses.
    uint8_t unused[2];
    uint32_t index;               // In its group's list. The list's.
    pthread_mutex_t lock;         // Of the two below.
    struct cmdi_targets *targets; // NULL: no lookup has ended yet.
    struct cmds_error error;      // Why the last connection failed or was lost.
    const char *host;             // For TLS: in the certificate; NULL: it has none. Behind `text`.
    // As the user wrote it; of one of several of a name: "10.0.0.7:9000". Of CMDI_ENDPOINT_TEXT_MIN bytes at
    // least, zero behind its end: who wants no more than that copies it without looking for the end.
    char *text;
};

void cmdi_endpoint_store_init(struct cmdi_endpoint_store *store);
/** Each endpoint gets a breaker. Before there is any. Owner: keeps `ops` and `context`. */
void cmdi_endpoint_store_guard(
        struct cmdi_endpoint_store *store, const struct cmdi_endpoint_ops *ops, void *context);
/** No endpoint is in use. A zeroed one is fine. */
void cmdi_endpoint_store_fini(struct cmdi_endpoint_store *store);

/**
 * `host` NULL: none. `targets` NULL: it is a name, and a lookup will give them.
 *
 * Owner:   copies the texts; takes the count of `targets`, also on failure. Gives a count:
 *          cmdi_endpoint_unref(). The store outlives it.
 * Thread:  any.
 * Returns: NULL without memory.
 */
struct cmdi_endpoint *cmdi_endpoint_create(struct cmdi_endpoint_store *store, const char *text,
        const char *host, struct cmdi_targets *targets);
/** The caller holds a count, or somebody does for it. Thread: any. Returns: `endpoint`. */
struct cmdi_endpoint *cmdi_endpoint_ref(struct cmdi_endpoint *endpoint);
/** NULL is fine. Thread: any. */
void cmdi_endpoint_unref(struct cmdi_endpoint *endpoint);
/** Owner: gives a count: cmdi_targets_unref(). Thread: any. Returns: NULL: none yet. */
struct cmdi_targets *cmdi_endpoint_targets(struct cmdi_endpoint *endpoint);
/** A lookup has ended. Owner: takes the count. Thread: any. */
void cmdi_endpoint_set_targets(struct cmdi_endpoint *endpoint, struct cmdi_targets *targets);
/** A connection to it failed, or was lost. Thread: any. */
void cmdi_endpoint_failed(struct cmdi_endpoint *endpoint, const struct cmds_error *error);
/** A connection to it has come up. Thread: any. */
void cmdi_endpoint_succeeded(struct cmdi_endpoint *endpoint);

#endif
