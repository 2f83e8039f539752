/* SPDX-License-Identifier: MIT */
/*
 * The endpoints of a group under their lock. See endpoints.h.
 *
 * Two locks meet here: ours, and the one of a lookup under which it reports. A report takes ours inside
 * the lookup's; so nothing here lets go of a lookup, which takes the lookup's lock, while it holds ours.
 */
#include "group/endpoints.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/time.h"
#include "group/spread.h"
#include "net/resolve.h"
#include "ring/clock.h"

static uint64_t endpoints_now_ms(void)
{
    return cmdi_ns_to_ms(cmdi_now_ns());
}

/* --- Slots ------------------------------------------------------------------------------------ */

static void slot_set(struct cmdi_endpoint **slot, struct cmdi_endpoint *endpoint)
{
    struct cmdi_endpoint *old = *slot;
    if (old == endpoint) {
        return;
    }
    atomic_fetch_add(&cmdi_endpoint_ref(endpoint)->slot_count, 1);
    *slot = endpoint;
    if (old != NULL) {
        atomic_fetch_sub(&old->slot_count, 1);
        cmdi_endpoint_unref(old);
    }
}

/* The index of a slot's endpoint in the list, if it is in there. */
static uint32_t slot_index(
        const struct cmdi_directory *directory, const struct cmdi_endpoint *endpoint)
{
    bool is_listed = endpoint != NULL && endpoint->index < directory->count &&
                     directory->list[endpoint->index] == endpoint;
    return is_listed ? endpoint->index : CMDI_SPREAD_NONE;
}

/*
 * The list or one of its endpoints has changed. With all of them out, or without memory, each slot stays
 * where it is; in the latter case it is tried again. Returns: some endpoint is not out.
 */
static bool endpoints_spread(struct cmdi_endpoints *endpoints)
{
    const struct cmdi_directory *directory = &endpoints->directory;
    const struct cmdi_endpoints_options *options = &endpoints->options;
    struct cmdi_spread_endpoint *list = calloc(directory->count + 1, sizeof(*list));
    bool any = false;
    for (uint32_t i = 0; list != NULL && i < directory->count; i++) {
        list[i].hash = atomic_load(&directory->list[i]->hash);
        list[i].is_out = atomic_load(&directory->list[i]->is_out);
        any |= !list[i].is_out;
    }
    for (uint32_t i = 0; i < options->slot_count; i++) {
        endpoints->indexes[i] = slot_index(directory, endpoints->slots[i]);
    }
    int code = list == NULL ? -ENOMEM : 0;
    if (any) {
        code = cmdi_spread(endpoints->indexes, options->slot_count, options->shard_count, list,
                directory->count, endpoints->seed);
    }
    for (uint32_t i = 0; i < options->slot_count && any && code == 0; i++) {
        slot_set(&endpoints->slots[i], directory->list[endpoints->indexes[i]]);
    }
    endpoints->is_stale = code < 0;
    free(list);
    return any;
}

/* Called with the lock held. */
static void endpoints_take_news(struct cmdi_endpoints *endpoints, uint32_t news)
{
    endpoints->said |= news;
    if ((news & CMDI_NEWS_LIST) != 0 || endpoints->is_stale) {
        (void)endpoints_spread(endpoints);
    }
}

/* --- Lookups ---------------------------------------------------------------------------------- */

static void endpoints_on_resolved(void *context, const struct cmdi_address *addresses,
        uint32_t count, const struct cmds_error *error)
{
    struct cmdi_endpoints *endpoints = context;
    pthread_mutex_lock(&endpoints->lock);
    uint32_t news = cmdi_directory_answer(
            &endpoints->directory, addresses, count, error, endpoints_now_ms(), cmdi_random());
    endpoints_take_news(endpoints, news);
    pthread_mutex_unlock(&endpoints->lock);
    endpoints->options.on_news(endpoints->options.context, news);
}

/* Called with the lock held. Returns: a lookup to let go of. */
static struct cmdi_resolve *endpoints_ask(
        struct cmdi_endpoints *endpoints, uint64_t now_ms, uint32_t *news)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    const char *name = cmdi_directory_begin(&endpoints->directory, now_ms);
    if (name == NULL) {
        return NULL;
    }
    struct cmdi_resolve *old = endpoints->resolve;
    endpoints->resolve = NULL;
    int code = cmdi_resolve_begin(&endpoints->resolve, name, CMDI_ADDRESSES_NAME_MAX, &error,
            endpoints_on_resolved, endpoints);
    if (code < 0) {
        *news |= cmdi_directory_answer(
                &endpoints->directory, NULL, 0, &error, now_ms, cmdi_random());
    }
    return old;
}

uint64_t cmdi_endpoints_run(struct cmdi_endpoints *endpoints, uint64_t now_ms)
{
    struct cmdi_resolve *old = NULL;
    uint64_t due_ms = UINT64_MAX;
    uint32_t news = 0;
    pthread_mutex_lock(&endpoints->lock);
    if (!endpoints->is_closed) {
        news = cmdi_directory_late(&endpoints->directory, now_ms);
        old = endpoints_ask(endpoints, now_ms, &news);
        due_ms = cmdi_directory_due_ms(&endpoints->directory);
        bool was_stale = endpoints->is_stale;
        endpoints_take_news(endpoints, news);
        news |= was_stale && !endpoints->is_stale ? CMDI_NEWS_LIST : 0;
        if (endpoints->is_stale && due_ms > now_ms + CMDI_DIRECTORY_SPACING_MS) {
            due_ms = now_ms + CMDI_DIRECTORY_SPACING_MS;
        }
    }
    pthread_mutex_unlock(&endpoints->lock);
    cmdi_resolve_let_go(old);
    if (news != 0) {
        endpoints->options.on_news(endpoints->options.context, news);
    }
    return due_ms;
}

void cmdi_endpoints_close(struct cmdi_endpoints *endpoints)
{
    pthread_mutex_lock(&endpoints->lock);
    struct cmdi_resolve *resolve = endpoints->resolve;
    endpoints->resolve = NULL;
    endpoints->is_closed = true;
    pthread_mutex_unlock(&endpoints->lock);
    cmdi_resolve_let_go(resolve);
}

uint32_t cmdi_endpoints_heard(struct cmdi_endpoints *endpoints, struct cmds_error *error)
{
    pthread_mutex_lock(&endpoints->lock);
    uint32_t news = endpoints->said;
    endpoints->said = 0;
    *error = endpoints->directory.error;
    pthread_mutex_unlock(&endpoints->lock);
    return news;
}

/* --- Init and fini ---------------------------------------------------------------------------- */

int cmdi_endpoints_init(struct cmdi_endpoints *endpoints,
        const struct cmdi_endpoints_options *options, struct cmds_error *error)
{
    struct cmdi_place *places = NULL;
    CMDI_ASSERT(options->slot_count > 0 && options->on_news != NULL);
    *endpoints = (struct cmdi_endpoints){.options = *options, .seed = cmdi_random()};
    (void)pthread_mutex_init(&endpoints->lock, NULL); // Cannot fail without attributes.
    cmdi_directory_init(&endpoints->directory, options->interval_ms, options->needs_host);
    if (options->endpoint_ops != NULL) {
        cmdi_endpoint_store_guard(
                &endpoints->directory.store, options->endpoint_ops, options->context);
    }
    endpoints->slots = calloc(options->slot_count, sizeof(struct cmdi_endpoint *));
    endpoints->indexes = calloc(options->slot_count, sizeof(*endpoints->indexes));
    if (endpoints->slots == NULL || endpoints->indexes == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for the endpoints of a group");
    }
    int count = cmdi_places_read(&places, options->connect, error);
    if (count < 0) {
        return count;
    }
    int news = cmdi_directory_set(
            &endpoints->directory, places, (uint32_t)count, endpoints_now_ms(), error);
    free(places);
    if (news >= 0) {
        endpoints->is_fixed = !cmdi_directory_is_alive(&endpoints->directory);
        atomic_store(&endpoints->has_names, cmdi_directory_has_names(&endpoints->directory));
        endpoints_take_news(endpoints, (uint32_t)news);
        endpoints->said = 0;
        news = endpoints->is_stale
                       ? cmdi_fail(error, -ENOMEM, "no memory for the endpoints of a group")
                       : 0;
    }
    return news;
}

void cmdi_endpoints_fini(struct cmdi_endpoints *endpoints)
{
    if (endpoints->options.on_news == NULL) {
        return;
    }
    CMDI_ASSERT(endpoints->resolve == NULL);
    for (uint32_t i = 0; i < endpoints->options.slot_count && endpoints->slots != NULL; i++) {
        cmdi_endpoint_unref(endpoints->slots[i]);
    }
    free(endpoints->slots);
    free(endpoints->indexes);
    cmdi_directory_fini(&endpoints->directory);
    (void)pthread_mutex_destroy(&endpoints->lock);
    *endpoints = (struct cmdi_endpoints){.slots = NULL};
}

/* --- Questions and changes -------------------------------------------------------------------- */

struct cmdi_endpoint *cmdi_endpoints_of(
        struct cmdi_endpoints *endpoints, uint32_t slot, struct cmds_error *error)
{
    CMDI_ASSERT(slot < endpoints->options.slot_count);
    pthread_mutex_lock(&endpoints->lock);
    struct cmdi_endpoint *endpoint = endpoints->slots[slot];
    if (endpoint != NULL) {
        (void)cmdi_endpoint_ref(endpoint);
    } else {
        *error = endpoints->directory.error;
    }
    pthread_mutex_unlock(&endpoints->lock);
    return endpoint;
}

bool cmdi_endpoints_failed(
        struct cmdi_endpoints *endpoints, const struct cmdi_endpoint *endpoint, uint64_t now_ms)
{
    if (!atomic_load(&endpoints->has_names)) {
        return false;
    }
    pthread_mutex_lock(&endpoints->lock);
    uint64_t before_ms = cmdi_directory_due_ms(&endpoints->directory);
    cmdi_directory_failed(&endpoints->directory, endpoint, now_ms);
    bool is_sooner = cmdi_directory_due_ms(&endpoints->directory) < before_ms;
    pthread_mutex_unlock(&endpoints->lock);
    return is_sooner;
}

struct cmdi_endpoint *cmdi_endpoints_turn_away(
        struct cmdi_endpoints *endpoints, struct cmdi_endpoint *endpoint, uint32_t slot)
{
    struct cmdi_endpoint *other = NULL;
    pthread_mutex_lock(&endpoints->lock);
    atomic_store(&endpoint->is_out, true);
    const struct cmdi_directory *directory = &endpoints->directory;
    bool any = endpoints_spread(endpoints);
    for (uint32_t i = 0; i < directory->count && endpoints->is_stale; i++) {
        if (!atomic_load(&directory->list[i]->is_out)) { // Better one that is not even than none.
            slot_set(&endpoints->slots[slot], directory->list[i]);
            any = true;
        }
    }
    if (any && endpoints->slots[slot] != endpoint) {
        other = cmdi_endpoint_ref(endpoints->slots[slot]);
    } else if (!endpoints->is_fixed) {
        other = cmdi_endpoint_ref(endpoint);
    }
    pthread_mutex_unlock(&endpoints->lock);
    if (other != NULL && other != endpoint) {
        endpoints->options.on_news(endpoints->options.context, CMDI_NEWS_LIST);
    }
    return other;
}

int cmdi_endpoints_set(struct cmdi_endpoints *endpoints, const struct cmdi_place *places,
        uint32_t count, uint64_t now_ms, struct cmds_error *error)
{
    pthread_mutex_lock(&endpoints->lock);
    int news = cmdi_directory_set(&endpoints->directory, places, count, now_ms, error);
    if (news >= 0) {
        endpoints->is_fixed = false; // Who has changed it once will do so again.
        atomic_store(&endpoints->has_names, cmdi_directory_has_names(&endpoints->directory));
        endpoints_take_news(endpoints, (uint32_t)news);
    }
    pthread_mutex_unlock(&endpoints->lock);
    if (news >= 0) {
        endpoints->options.on_news(endpoints->options.context, (uint32_t)news);
    }
    return news < 0 ? news : 0;
}

struct cmdi_endpoint *cmdi_endpoints_at(struct cmdi_endpoints *endpoints, uint32_t index)
{
    struct cmdi_endpoint *endpoint = NULL;
    pthread_mutex_lock(&endpoints->lock);
    if (index < endpoints->directory.count) {
        endpoint = cmdi_endpoint_ref(endpoints->directory.list[index]);
    }
    pthread_mutex_unlock(&endpoints->lock);
    return endpoint;
}

struct cmdi_endpoint *cmdi_endpoints_find(struct cmdi_endpoints *endpoints, uint32_t number)
{
    const struct cmdi_directory *directory = &endpoints->directory;
    struct cmdi_endpoint *endpoint = NULL;
    pthread_mutex_lock(&endpoints->lock);
    for (uint32_t i = 0; i < directory->count && endpoint == NULL; i++) {
        if (atomic_load(&directory->list[i]->number) == number) {
            endpoint = cmdi_endpoint_ref(directory->list[i]);
        }
    }
    pthread_mutex_unlock(&endpoints->lock);
    return endpoint;
}

uint32_t cmdi_endpoints_count(struct cmdi_endpoints *endpoints)
{
    pthread_mutex_lock(&endpoints->lock);
    uint32_t count = endpoints->directory.count;
    pthread_mutex_unlock(&endpoints->lock);
    return count;
}
