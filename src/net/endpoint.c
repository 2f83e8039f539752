/* SPDX-License-Identifier: MIT */
/* An endpoint: what is said of it, and the newest addresses. See endpoint.h. */
#include "net/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

/* --- The store -------------------------------------------------------------------------------- */

void cmdi_endpoint_store_init(struct cmdi_endpoint_store *store)
{
    *store = (struct cmdi_endpoint_store){.unused = NULL};
    (void)pthread_mutex_init(&store->lock, NULL); // Cannot fail without attributes.
}

void cmdi_endpoint_store_guard(
        struct cmdi_endpoint_store *store, const struct cmdi_endpoint_ops *ops, void *context)
{
    CMDI_ASSERT(store->ops == NULL && store->number_last == 0);
    store->ops = ops;
    store->context = context;
    atomic_fetch_add(&store->health.watch_count, 1);
}

static void store_free(struct cmdi_endpoint_store *store, struct cmdi_endpoint *endpoint)
{
    if (endpoint->breaker != NULL) {
        store->ops->free(endpoint->breaker);
    }
    (void)pthread_mutex_destroy(&endpoint->lock);
    free(endpoint);
}

void cmdi_endpoint_store_fini(struct cmdi_endpoint_store *store)
{
    CMDI_ASSERT(store->count == 0);
    while (store->unused != NULL) {
        struct cmdi_endpoint *endpoint = store->unused;
        store->unused = endpoint->next;
        store_free(store, endpoint);
    }
    (void)pthread_mutex_destroy(&store->lock);
}

/* Under the lock. Returns: NULL without memory. */
static struct cmdi_endpoint *store_make(struct cmdi_endpoint_store *store)
{
    struct cmdi_endpoint *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&endpoint->lock, NULL);
    endpoint->store = store;
    if (store->ops != NULL) {
        endpoint->breaker = store->ops->make(store->context);
        if (endpoint->breaker == NULL) {
            store_free(store, endpoint);
            return NULL;
        }
    }
    return endpoint;
}

/* What is atomic stays what it was: somebody may be reading it. */
static struct cmdi_endpoint *store_take(struct cmdi_endpoint_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct cmdi_endpoint *endpoint = store->unused;
    if (endpoint != NULL) {
        store->unused = endpoint->next;
    } else {
        endpoint = store_make(store);
    }
    if (endpoint != NULL) {
        store->count++;
        atomic_store(&endpoint->number, ++store->number_last);
    }
    pthread_mutex_unlock(&store->lock);
    return endpoint;
}

/* Whose its breaker is. */
static void endpoint_guard(struct cmdi_endpoint *endpoint, bool is_used)
{
    struct cmdi_endpoint_store *store = endpoint->store;
    if (endpoint->breaker != NULL) {
        store->ops->give_to(store->context, endpoint->breaker, is_used ? endpoint : NULL);
    }
}

static void store_give(struct cmdi_endpoint_store *store, struct cmdi_endpoint *endpoint)
{
    pthread_mutex_lock(&store->lock);
    CMDI_ASSERT(store->count > 0);
    store->count--;
    cmdi_health_forget(&store->health, &endpoint->health);
    endpoint_guard(endpoint, false);
    endpoint->next = store->unused;
    store->unused = endpoint;
    pthread_mutex_unlock(&store->lock);
}

/* --- An endpoint ------------------------------------------------------------------------------ */

struct cmdi_endpoint *cmdi_endpoint_create(struct cmdi_endpoint_store *store, const char *text,
        const char *host, struct cmdi_targets *targets)
{
    size_t text_size = strlen(text) + 1;
    size_t text_room = text_size < CMDI_ENDPOINT_TEXT_MIN ? CMDI_ENDPOINT_TEXT_MIN : text_size;
    size_t host_size = host != NULL ? strlen(host) + 1 : 0;
    char *texts = calloc(1, text_room + host_size);
    struct cmdi_endpoint *endpoint = texts != NULL ? store_take(store) : NULL;
    if (endpoint == NULL) {
        free(texts);
        cmdi_targets_unref(targets);
        return NULL;
    }
    endpoint->text = memcpy(texts, text, text_size);
    endpoint->host = host != NULL ? memcpy(texts + text_room, host, host_size) : NULL;
    endpoint->is_name = targets == NULL;
    endpoint->targets = targets;
    endpoint->error = (struct cmds_error){0};
    atomic_store(&endpoint->hash, cmdi_hash_text(text));
    atomic_store(&endpoint->weight, CMDI_ENDPOINT_WEIGHT);
    atomic_store(&endpoint->since_ms, 0);
    atomic_store(&endpoint->failures, 0);
    atomic_store(&endpoint->slot_count, 0);
    atomic_store(&endpoint->is_out, false);
    endpoint_guard(endpoint, true);
    atomic_store(&endpoint->refs, 1);
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
        endpoint->targets = NULL;
        free(endpoint->text);
        endpoint->text = NULL;
        store_give(endpoint->store, endpoint);
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
