/* SPDX-License-Identifier: MIT */
/*
 * Where a group's connections go: what the user wrote, the lookup of it that is under way, and the
 * newest snapshot of addresses. It knows neither shards nor clients.
 *
 * A snapshot never changes. A client that connects takes a count of the newest one; a lookup that
 * ends later puts another one in its place, and users of the old one keep it.
 */
#ifndef CMDI_GROUP_ENDPOINT_H
#define CMDI_GROUP_ENDPOINT_H

#include <pthread.h>

#include "net/targets.h"

struct cmdi_resolve;

struct cmdi_group_endpoint {
    const char *connect; // As the user wrote it.
    bool is_numeric;     // No lookup is needed: `targets` is there from the beginning.
    void (*on_targets)(void *context);
    void *context;

    pthread_mutex_t lock;         // Of all below.
    bool is_closed;               // No lookup begins any more.
    bool is_looking;              // One is under way.
    uint64_t begun_ms;            // When the last refresh began.
    struct cmdi_resolve *resolve; // The lookup that was begun last. Let go by close.
    struct cmdi_targets *targets; // NULL: no lookup has ended yet.
};

/**
 * Reads `connect`, if no lookup is needed.
 *
 * Owner:   keeps `connect` and `context` until cmdi_group_endpoint_fini(), which is due in any case.
 * Thread:  setup. `on_targets` runs on a thread of its own, once for each lookup that ends.
 * Returns: 0; -EINVAL: not an address.
 */
int cmdi_group_endpoint_init(struct cmdi_group_endpoint *endpoint, const char *connect,
        struct cmds_error *error, void (*on_targets)(void *context), void *context);
/** It is closed, or no lookup was begun. A zeroed one is fine. Thread: any, the last one. */
void cmdi_group_endpoint_fini(struct cmdi_group_endpoint *endpoint);
/**
 * Begins a lookup in place of one that may be under way; unless none is needed, or it is closed. A
 * failure to begin is the result of the lookup. Thread: any, not inside on_targets.
 *
 * Returns: true: there is a snapshot, and on_targets does not run; false: it will, unless closed.
 */
bool cmdi_group_endpoint_resolve(struct cmdi_group_endpoint *endpoint);
/**
 * Begins another lookup, unless one is under way or, if it is not `wanted`, began less than a second
 * ago. Thread: any, not inside on_targets. Returns: true: it could not begin, and the snapshot says
 * so.
 */
bool cmdi_group_endpoint_refresh(
        struct cmdi_group_endpoint *endpoint, uint64_t now_ms, bool wanted);
/** From its return on_targets does not run. Waits for one that does. Thread: any. */
void cmdi_group_endpoint_close(struct cmdi_group_endpoint *endpoint);
/** Owner: gives a count: cmdi_targets_unref(). Thread: any. Returns: NULL: none yet. */
struct cmdi_targets *cmdi_group_endpoint_targets(struct cmdi_group_endpoint *endpoint);

#endif
