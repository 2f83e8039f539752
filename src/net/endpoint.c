/* SPDX-License-Identifier: MIT */
/* An endpoint: what is said of it, and the newest addresses. See endpoint.h. */
#include "net/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

struct cmdi_endpoint *cmdi_endpoint_create(
        const char *text, const char *host, struct cmdi_targets *targets)
{
    size_t text_size = strlen(text) + 1;
    size_t host_size = host != NULL ? strlen(host) + 1 : 0;
    struct cmdi_endpoint *endpoint = calloc(1, sizeof(*endpoint) + text_size + host_size);
    if (endpoint == NULL) {
        cmdi_targets_unref(targets);
        return NULL;
    }
    (void)pthread_mutex_init(&endpoint->lock, NULL); // Cannot fail without attributes.
    atomic_store(&endpoint->refs, 1);
    atomic_store(&endpoint->weight, CMDI_ENDPOINT_WEIGHT);
    endpoint->hash = cmdi_hash_text(text);
    endpoint->is_name = targets == NULL;
    endpoint->targets = targets;
    memcpy(endpoint->text, text, text_size);
    if (host != NULL) {
        endpoint->host = memcpy(endpoint->text + text_size, host, host_size);
    }
    return endpoint;
}

struct cmdi_endpoint *cmdi_endpoint_ref(struct cmdi_endpoint *endpoint)
{
    uint32_t before = atomic_fetch_add_explicit(&endpoint->refs, 1, memory_order_relaxed);
    CMDI_ASSERT(before != 0);
    (void)before;
    return endpoint;
}

void cmdi_endpoint_unref(struct cmdi_endpoint *endpoint)
{
    if (endpoint != NULL &&
            atomic_fetch_sub_explicit(&endpoint->refs, 1, memory_order_acq_rel) == 1) {
        cmdi_targets_unref(endpoint->targets);
        (void)pthread_mutex_destroy(&endpoint->lock);
        free(endpoint);
    }
}

struct cmdi_targets *cmdi_endpoint_targets(struct cmdi_endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    struct cmdi_targets *targets = endpoint->targets;
    if (targets != NULL) {
        (void)cmdi_targets_ref(targets);
    }
    pthread_mutex_unlock(&endpoint->lock);
    return targets;
}

void cmdi_endpoint_set_targets(struct cmdi_endpoint *endpoint, struct cmdi_targets *targets)
{
    pthread_mutex_lock(&endpoint->lock);
    struct cmdi_targets *old = endpoint->targets;
    endpoint->targets = targets;
    pthread_mutex_unlock(&endpoint->lock);
    cmdi_targets_unref(old);
}

void cmdi_endpoint_failed(struct cmdi_endpoint *endpoint, const struct cmds_error *error)
{
    (void)atomic_fetch_add(&endpoint->failures, 1);
    pthread_mutex_lock(&endpoint->lock);
    endpoint->error = *error;
    pthread_mutex_unlock(&endpoint->lock);
}

void cmdi_endpoint_succeeded(struct cmdi_endpoint *endpoint)
{
    atomic_store(&endpoint->failures, 0);
}
