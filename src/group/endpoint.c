/* SPDX-License-Identifier: MIT */
/*
 * A group's address and its lookups. See endpoint.h.
 *
 * Two locks meet here: the endpoint's, and the one of a lookup under which it reports. A report
 * takes ours inside the lookup's; so nothing here lets go of a lookup, which takes the lookup's
 * lock, while it holds ours.
 */
#include "group/endpoint.h"

#include "base/assert.h"
#include "net/resolve.h"

enum {
    ENDPOINT_PAUSE_MS = 1000, // Between the beginnings of two lookups.
};

/* The old snapshot goes, unless somebody else uses it. */
static void endpoint_set(struct cmdi_group_endpoint *endpoint, struct cmdi_targets *targets)
{
    pthread_mutex_lock(&endpoint->lock);
    struct cmdi_targets *old = endpoint->targets;
    endpoint->targets = targets;
    endpoint->is_looking = false;
    pthread_mutex_unlock(&endpoint->lock);
    cmdi_targets_unref(old);
}

static void endpoint_on_resolved(void *context, const struct cmdi_address *addresses,
        uint32_t count, const struct cmds_error *error)
{
    struct cmdi_group_endpoint *endpoint = context;
    endpoint_set(endpoint, cmdi_targets_create(endpoint->connect, addresses, count, error));
    endpoint->on_targets(endpoint->context);
}

int cmdi_group_endpoint_init(struct cmdi_group_endpoint *endpoint, const char *connect,
        struct cmds_error *error, void (*on_targets)(void *context), void *context)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    *endpoint = (struct cmdi_group_endpoint){.connect = connect,
            .is_numeric = cmdi_address_is_numeric(connect),
            .on_targets = on_targets,
            .context = context};
    (void)pthread_mutex_init(&endpoint->lock, NULL); // Cannot fail without attributes.
    if (!endpoint->is_numeric) {
        return 0;
    }
    int count = cmdi_address_resolve(connect, addresses, CMDI_ADDRESSES_MAX, error);
    if (count < 0) {
        return count;
    }
    CMDI_ASSERT(count > 0);
    endpoint->targets = cmdi_targets_create(connect, addresses, (uint32_t)count, NULL);
    return 0;
}

void cmdi_group_endpoint_fini(struct cmdi_group_endpoint *endpoint)
{
    CMDI_ASSERT(endpoint->resolve == NULL);
    cmdi_targets_unref(endpoint->targets);
    if (endpoint->connect != NULL) {
        (void)pthread_mutex_destroy(&endpoint->lock);
    }
    endpoint->targets = NULL;
}

bool cmdi_group_endpoint_resolve(struct cmdi_group_endpoint *endpoint)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = 0;
    if (endpoint->is_numeric) {
        return true;
    }
    pthread_mutex_lock(&endpoint->lock);
    struct cmdi_resolve *old = endpoint->resolve;
    endpoint->resolve = NULL;
    if (!endpoint->is_closed) {
        endpoint->is_looking = true;
        code = cmdi_resolve_begin(&endpoint->resolve, endpoint->connect, CMDI_ADDRESSES_MAX, &error,
                endpoint_on_resolved, endpoint);
    }
    pthread_mutex_unlock(&endpoint->lock);
    cmdi_resolve_let_go(old);
    if (code < 0) {
        endpoint_set(endpoint, cmdi_targets_create(endpoint->connect, NULL, 0, &error));
    }
    return code < 0;
}

bool cmdi_group_endpoint_refresh(struct cmdi_group_endpoint *endpoint, uint64_t now_ms, bool wanted)
{
    if (endpoint->is_numeric) {
        return false;
    }
    pthread_mutex_lock(&endpoint->lock);
    bool begins = !endpoint->is_closed && !endpoint->is_looking &&
                  (wanted || now_ms - endpoint->begun_ms >= ENDPOINT_PAUSE_MS);
    if (begins) {
        endpoint->begun_ms = now_ms;
    }
    pthread_mutex_unlock(&endpoint->lock);
    return begins && cmdi_group_endpoint_resolve(endpoint);
}

void cmdi_group_endpoint_close(struct cmdi_group_endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    struct cmdi_resolve *resolve = endpoint->resolve;
    endpoint->resolve = NULL;
    endpoint->is_closed = true;
    pthread_mutex_unlock(&endpoint->lock);
    cmdi_resolve_let_go(resolve);
}

struct cmdi_targets *cmdi_group_endpoint_targets(struct cmdi_group_endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    struct cmdi_targets *targets = endpoint->targets;
    if (targets != NULL) {
        (void)cmdi_targets_ref(targets);
    }
    pthread_mutex_unlock(&endpoint->lock);
    return targets;
}
