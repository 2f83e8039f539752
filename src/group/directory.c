/* SPDX-License-Identifier: MIT */
/* The endpoints of a group, and its lookups as values. See directory.h. */
#include "group/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/hash.h"

/* --- Places ----------------------------------------------------------------------------------- */

int cmdi_places_read(struct cmdi_place **out, const char *connect, struct cmds_error *error)
{
    uint32_t count = cmdi_address_list_count(connect);
    /* The texts lie behind the places: each is no longer than what it is taken from. */
    size_t text_size = strlen(connect) + 1;
    struct cmdi_place *places = calloc(1, count * sizeof(*places) + text_size);
    if (places == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for %u addresses", count);
    }
    char *text = (char *)&places[count];
    uint32_t filled = 0;
    for (const char *list = connect; list != NULL; filled++) {
        CMDI_ASSERT(filled < count);
        size_t size = cmdi_address_list_take(&list, text, text_size);
        CMDI_ASSERT(size < text_size); // Its end lies where a comma stood, or the end.
        places[filled].address = text;
        text += size + 1;
        text_size -= size + 1;
        if (size == 0) {
            free(places);
            return cmdi_fail(error, -EINVAL, "connect: \"%s\": an address is missing", connect);
        }
    }
    CMDI_ASSERT(filled == count);
    *out = places;
    return (int)count;
}

/* --- Sources ---------------------------------------------------------------------------------- */

static void source_fini(struct cmdi_source *source)
{
    for (uint32_t i = 0; i < source->item_count; i++) {
        cmdi_endpoint_unref(source->items[i].endpoint);
    }
    free(source->items);
    free(source->text);
    *source = (struct cmdi_source){.text = NULL};
}

static void sources_free(struct cmdi_source *sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        source_fini(&sources[i]);
    }
    free(sources);
}

/* Takes a count of `endpoint`, also on failure. */
static int source_push(struct cmdi_source *source, struct cmdi_endpoint *endpoint)
{
    struct cmdi_item *items = realloc(source->items, (source->item_count + 1) * sizeof(*items));
    if (items == NULL) {
        cmdi_endpoint_unref(endpoint);
        return -ENOMEM;
    }
    source->items = items;
    items[source->item_count++] = (struct cmdi_item){.endpoint = endpoint, .is_listed = true};
    return 0;
}

/* `roll` is that of the sources. */
static struct cmdi_source *source_find(
        struct cmdi_source *sources, const struct cmdi_roll *roll, const struct cmdi_source *like)
{
    uint32_t i = 0;
    for (uint32_t tried = 0; (i = cmdi_roll_next(roll, like->hash, &tried)) != UINT32_MAX;) {
        if (sources[i].hash == like->hash && sources[i].kind == like->kind &&
                strcmp(sources[i].text, like->text) == 0) {
            return &sources[i];
        }
    }
    return NULL;
}

static bool source_has(const struct cmdi_source *source, const struct cmdi_endpoint *endpoint)
{
    for (uint32_t i = 0; i < source->item_count; i++) {
        if (source->items[i].endpoint == endpoint) {
            return true;
        }
    }
    return false;
}

/* --- Endpoints -------------------------------------------------------------------------------- */

/* In a list and its roll. */
static struct cmdi_endpoint *list_find(struct cmdi_endpoint *const *list,
        const struct cmdi_roll *roll, uint64_t hash, const char *text)
{
    uint32_t i = 0;
    for (uint32_t tried = 0; (i = cmdi_roll_next(roll, hash, &tried)) != UINT32_MAX;) {
        if (list[i]->hash == hash && strcmp(list[i]->text, text) == 0) {
            return list[i];
        }
    }
    return NULL;
}

/* The addresses of a name; there are some. Gives a count. Returns: NULL: no memory. */
static struct cmdi_targets *targets_of(
        const char *name, const struct cmdi_address *addresses, uint32_t count)
{
    struct cmdi_targets *targets = cmdi_targets_create(name, addresses, count, NULL);
    if (targets->count == 0) { // No lookup follows that would mend it.
        cmdi_targets_unref(targets);
        return NULL;
    }
    return targets;
}

static struct cmdi_endpoint *directory_create(struct cmdi_directory *directory, const char *text,
        const char *name, const struct cmdi_address *addresses, uint32_t count)
{
    char host[CMDI_HOST_MAX];
    bool has_host = cmdi_address_host(name, host) == 0;
    struct cmdi_targets *targets = count > 0 ? targets_of(name, addresses, count) : NULL;
    if (count > 0 && targets == NULL) {
        return NULL;
    }
    return cmdi_endpoint_create(&directory->store, text, has_host ? host : NULL, targets);
}

/* The one that is known by that address, or a new one. Owner: gives a count. Returns: NULL: no memory. */
static struct cmdi_endpoint *directory_endpoint(struct cmdi_directory *directory,
        const struct cmdi_source *source, const char *text, const struct cmdi_address *addresses,
        uint32_t count, uint64_t since_ms)
{
    struct cmdi_endpoint *endpoint =
            list_find(directory->list, &directory->roll, cmdi_hash_text(text), text);
    if (endpoint != NULL) {
        return cmdi_endpoint_ref(endpoint);
    }
    endpoint = directory_create(directory, text, source->text, addresses, count);
    if (endpoint != NULL) {
        atomic_store(&endpoint->weight, source->weight);
        atomic_store(&endpoint->since_ms, since_ms);
    }
    return endpoint;
}

/* --- The list --------------------------------------------------------------------------------- */

static void directory_drop_list(struct cmdi_directory *directory)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        cmdi_endpoint_unref(directory->list[i]);
    }
    free(directory->list);
    cmdi_roll_fini(&directory->roll);
    directory->list = NULL;
    directory->count = 0;
}

/* A list that is being made. */
struct listing {
    struct cmdi_endpoint **list;
    struct cmdi_roll roll;
};

static void listing_fini(struct listing *listing)
{
    free(listing->list);
    cmdi_roll_fini(&listing->roll);
}

/* Of the first source that has it an endpoint has its weight. Returns: how many. */
static uint32_t listing_fill(struct listing *listing, const struct cmdi_directory *directory)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < directory->source_count; i++) {
        const struct cmdi_source *source = &directory->sources[i];
        for (uint32_t j = 0; j < source->item_count && count < CMDI_ENDPOINTS_MAX; j++) {
            struct cmdi_endpoint *endpoint = source->items[j].endpoint;
            if (list_find(listing->list, &listing->roll, endpoint->hash, endpoint->text) == NULL) {
                atomic_store(&endpoint->weight, source->weight);
                cmdi_roll_add(&listing->roll, endpoint->hash, count);
                listing->list[count++] = endpoint;
            }
        }
    }
    return count;
}

/* Room for all items that there are, and some more. Returns: 0; -ENOMEM: nothing is to be freed. */
static int listing_init(
        struct listing *listing, const struct cmdi_directory *directory, uint32_t more)
{
    size_t most = (size_t)more + 1;
    for (uint32_t i = 0; i < directory->source_count; i++) {
        most += directory->sources[i].item_count;
    }
    most = most < CMDI_ENDPOINTS_MAX ? most : CMDI_ENDPOINTS_MAX;
    listing->list = calloc(most, sizeof(struct cmdi_endpoint *));
    if (cmdi_roll_init(&listing->roll, (uint32_t)most) < 0 || listing->list == NULL) {
        listing_fini(listing);
        return -ENOMEM;
    }
    return 0;
}

static bool list_is(
        const struct cmdi_directory *directory, struct cmdi_endpoint *const *list, uint32_t count)
{
    return count == directory->count &&
           (count == 0 ||
                   memcmp(list, directory->list, count * sizeof(struct cmdi_endpoint *)) == 0);
}

/*
 * Makes the list anew from the items, in a listing that it takes. One that was out has another chance in
 * another list.
 *
 * Returns: CMDI_NEWS_LIST, or 0.
 */
static uint32_t directory_list(struct cmdi_directory *directory, struct listing *listing)
{
    struct cmdi_endpoint **list = listing->list;
    uint32_t count = listing_fill(listing, directory);
    if (list_is(directory, list, count)) {
        listing_fini(listing);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&cmdi_endpoint_ref(list[i])->is_out, false);
        list[i]->index = i;
    }
    directory_drop_list(directory);
    directory->list = list;
    directory->roll = listing->roll;
    directory->count = count;
    return CMDI_NEWS_LIST;
}

/* --- Set -------------------------------------------------------------------------------------- */

void cmdi_directory_init(struct cmdi_directory *directory, uint32_t interval_ms, bool needs_host)
{
    *directory = (struct cmdi_directory){
            .interval_ms = interval_ms, .needs_host = needs_host, .asked = UINT32_MAX};
    cmdi_endpoint_store_init(&directory->store);
}

void cmdi_directory_fini(struct cmdi_directory *directory)
{
    directory_drop_list(directory);
    sources_free(directory->sources, directory->source_count);
    directory->sources = NULL;
    directory->source_count = 0;
    cmdi_endpoint_store_fini(&directory->store);
}

/* What is known of it needs no lookup: an address, or a plain name, which is one endpoint. */
static int source_read_fixed(struct cmdi_directory *directory, struct cmdi_source *source,
        uint64_t now_ms, struct cmds_error *error)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    char canonical[CMDI_ADDRESS_TEXT_MAX];
    const char *text = source->text;
    int count = 0;
    if (source->kind == CMDI_SOURCE_FIXED) {
        count = cmdi_address_resolve(text, addresses, CMDI_ADDRESSES_MAX, error);
        if (count < 0) {
            return count;
        }
    }
    if (count == 1) {
        cmdi_address_text(&addresses[0], canonical, sizeof(canonical));
        text = canonical;
    }
    struct cmdi_endpoint *endpoint = directory_endpoint(
            directory, source, text, addresses, (uint32_t)count, source->is_late ? now_ms : 0);
    int code = endpoint != NULL ? source_push(source, endpoint) : -ENOMEM;
    return code < 0 ? cmdi_fail(error, code, "no memory for the address \"%s\"", text) : 0;
}

static int source_init(struct cmdi_directory *directory, struct cmdi_source *source,
        const struct cmdi_place *place, uint64_t now_ms, struct cmds_error *error)
{
    char host[CMDI_HOST_MAX];
    const char *name = place->address != NULL ? cmdi_address_dns(place->address) : NULL;
    const char *text = name != NULL ? name : place->address;
    if (text == NULL || text[0] == '\0') {
        return cmdi_fail(error, -EINVAL, "connect: no address, as in \"127.0.0.1:9000\"");
    }
    if (cmdi_address_lacks_port(text)) {
        return cmdi_fail(error, -EINVAL, "connect: \"%s\" has port 0, where nobody listens", text);
    }
    if (directory->needs_host && cmdi_address_host(text, host) == -ENOENT) {
        return cmdi_fail(error, -EINVAL,
                "server_name: \"%s\" names no host: set it in cmds_tls_client_options; UNIX "
                "sockets need it",
                text);
    }
    if (place->weight > CMDI_ENDPOINT_WEIGHT_MAX) {
        return cmdi_fail(error, -EINVAL, "weight %u of \"%s\": at most %d", place->weight, text,
                CMDI_ENDPOINT_WEIGHT_MAX);
    }
    source->kind = cmdi_address_is_numeric(text) ? CMDI_SOURCE_FIXED
                   : name != NULL                ? CMDI_SOURCE_DNS
                                                 : CMDI_SOURCE_NAME;
    source->weight = place->weight != 0 ? place->weight : CMDI_ENDPOINT_WEIGHT;
    source->is_late = directory->count > 0;
    source->due_ms = source->kind == CMDI_SOURCE_FIXED ? UINT64_MAX : now_ms;
    source->hash = cmdi_hash_text(text);
    source->text = strdup(text);
    if (source->text == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for the address \"%s\"", text);
    }
    return source->kind == CMDI_SOURCE_DNS ? 0
                                           : source_read_fixed(directory, source, now_ms, error);
}

/* Into an empty roll of that many. Returns: how many of them are different names; a code. */
static int sources_read(struct cmdi_directory *directory, struct cmdi_source *sources,
        struct cmdi_roll *roll, const struct cmdi_place *places, uint32_t place_count,
        uint64_t now_ms, struct cmds_error *error)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < place_count; i++) {
        struct cmdi_source *source = &sources[count];
        int code = source_init(directory, source, &places[i], now_ms, error);
        if (code < 0) {
            source_fini(source);
            sources_free(sources, count);
            return code;
        }
        if (source_find(sources, roll, source) != NULL) {
            source_fini(source); // Twice in the list.
        } else {
            cmdi_roll_add(roll, source->hash, count++);
        }
    }
    return (int)count;
}

/* A name that was looked up before goes on with what is known of it. */
static void source_inherit(struct cmdi_source *source, struct cmdi_source *old)
{
    struct cmdi_source mine = *source;
    *source = *old;
    source->weight = mine.weight;
    source->items = old->items;
    old->items = mine.items;
    old->item_count = mine.item_count;
    old->text = mine.text;
}

/* Those that were there before go on in their place among the new ones. Returns: where the one is asked. */
static uint32_t sources_inherit(
        struct cmdi_directory *directory, struct cmdi_source *sources, const struct cmdi_roll *roll)
{
    uint32_t asked = UINT32_MAX;
    for (uint32_t i = 0; i < directory->source_count; i++) {
        struct cmdi_source *heir = source_find(sources, roll, &directory->sources[i]);
        if (heir != NULL) {
            asked = i == directory->asked ? (uint32_t)(heir - sources) : asked;
            source_inherit(heir, &directory->sources[i]);
        }
    }
    return asked;
}

/* Takes `sources`. Returns: how many there are; a code. */
static int directory_take(struct cmdi_directory *directory, struct cmdi_source *sources,
        const struct cmdi_place *places, uint32_t place_count, uint64_t now_ms,
        struct cmds_error *error)
{
    struct cmdi_roll roll;
    if (cmdi_roll_init(&roll, place_count) < 0) {
        free(sources);
        return cmdi_fail(error, -ENOMEM, "no memory for %u endpoints", place_count);
    }
    int count = sources_read(directory, sources, &roll, places, place_count, now_ms, error);
    if (count >= 0) {
        directory->asked = sources_inherit(directory, sources, &roll);
        sources_free(directory->sources, directory->source_count);
        directory->sources = sources;
        directory->source_count = (uint32_t)count;
        directory->error = (struct cmds_error){0};
    }
    cmdi_roll_fini(&roll);
    return count;
}

int cmdi_directory_set(struct cmdi_directory *directory, const struct cmdi_place *places,
        uint32_t place_count, uint64_t now_ms, struct cmds_error *error)
{
    struct listing listing;
    if (place_count == 0 || place_count > CMDI_ENDPOINTS_MAX) {
        return cmdi_fail(error, place_count == 0 ? -EINVAL : -E2BIG, "%u endpoints: 1 to %d",
                place_count, CMDI_ENDPOINTS_MAX);
    }
    struct cmdi_source *sources = calloc(place_count, sizeof(*sources));
    if (sources == NULL || listing_init(&listing, directory, place_count) < 0) {
        free(sources);
        return cmdi_fail(error, -ENOMEM, "no memory for %u endpoints", place_count);
    }
    int code = directory_take(directory, sources, places, place_count, now_ms, error);
    if (code < 0) {
        listing_fini(&listing);
        return code;
    }
    return (int)directory_list(directory, &listing);
}

/* --- When ------------------------------------------------------------------------------------- */

uint64_t cmdi_directory_due_ms(const struct cmdi_directory *directory)
{
    uint64_t due_ms = UINT64_MAX;
    if (directory->is_asking) {
        return directory->has_given_up ? UINT64_MAX : directory->patience_ms;
    }
    for (uint32_t i = 0; i < directory->source_count; i++) {
        const struct cmdi_source *source = &directory->sources[i];
        due_ms = source->due_ms < due_ms ? source->due_ms : due_ms;
    }
    return due_ms;
}

/* The one that has waited longest. */
const char *cmdi_directory_begin(struct cmdi_directory *directory, uint64_t now_ms)
{
    uint64_t due_ms = cmdi_directory_due_ms(directory);
    if (directory->is_asking || due_ms > now_ms) {
        return NULL;
    }
    uint32_t index = 0;
    while (directory->sources[index].due_ms != due_ms) {
        index++;
    }
    directory->sources[index].due_ms = UINT64_MAX;
    directory->asked = index;
    directory->is_asking = true;
    directory->has_given_up = false;
    directory->patience_ms = now_ms + CMDI_DIRECTORY_PATIENCE_MS;
    return directory->sources[index].text;
}

/* `random` makes it a fifth more or less. */
static uint64_t jittered(uint64_t ms, uint64_t random)
{
    return ms - ms / 5 + random % (2 * (ms / 5) + 1);
}

static bool source_knows(const struct cmdi_source *source)
{
    return source->kind != CMDI_SOURCE_DNS || source->item_count > 0;
}

static void source_schedule(
        struct cmdi_source *source, uint32_t interval_ms, uint64_t now_ms, uint64_t random)
{
    uint64_t after_ms = UINT64_MAX;
    source->allowed_ms = now_ms + CMDI_DIRECTORY_SPACING_MS;
    if (source_knows(source) && source->kind == CMDI_SOURCE_DNS && interval_ms != CMDS_NEVER) {
        after_ms = jittered(interval_ms, random);
    }
    if (!source_knows(source) || source->lacks_some) {
        uint32_t doublings = source->failures < 4 ? source->failures : 4;
        uint64_t soon_ms = jittered(CMDI_DIRECTORY_UNKNOWN_MAX_MS >> (4 - doublings), random);
        after_ms = soon_ms < after_ms ? soon_ms : after_ms;
    }
    if (after_ms != UINT64_MAX && source->due_ms > now_ms + after_ms) {
        source->due_ms = now_ms + after_ms;
    }
    if (source->due_ms < source->allowed_ms) {
        source->due_ms = source->allowed_ms; // Wanted meanwhile, or soon by chance.
    }
}

void cmdi_directory_failed(
        struct cmdi_directory *directory, const struct cmdi_endpoint *endpoint, uint64_t now_ms)
{
    for (uint32_t i = 0; i < directory->source_count; i++) {
        struct cmdi_source *source = &directory->sources[i];
        uint64_t due_ms = now_ms > source->allowed_ms ? now_ms : source->allowed_ms;
        if (source->kind != CMDI_SOURCE_FIXED && due_ms < source->due_ms &&
                source_has(source, endpoint)) {
            source->due_ms = due_ms;
        }
    }
}

bool cmdi_directory_has_names(const struct cmdi_directory *directory)
{
    for (uint32_t i = 0; i < directory->source_count; i++) {
        if (directory->sources[i].kind != CMDI_SOURCE_FIXED) {
            return true;
        }
    }
    return false;
}

bool cmdi_directory_is_alive(const struct cmdi_directory *directory)
{
    for (uint32_t i = 0; i < directory->source_count; i++) {
        if (directory->sources[i].kind == CMDI_SOURCE_DNS) {
            return true;
        }
    }
    return false;
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Returns: bits of enum cmdi_news. */
static uint32_t source_fail(struct cmdi_directory *directory, struct cmdi_source *source,
        const struct cmds_error *error)
{
    directory->error = *error;
    uint32_t news = source->failures++ == 0 ? CMDI_NEWS_FAILS : 0;
    if (!source_knows(source)) {
        news |= CMDI_NEWS_TARGETS;
    } else if (source->kind == CMDI_SOURCE_NAME) {
        struct cmdi_endpoint *endpoint = source->items[0].endpoint;
        struct cmdi_targets *targets = cmdi_endpoint_targets(endpoint);
        if (targets == NULL || targets->count == 0) { // Else they stay.
            cmdi_endpoint_set_targets(endpoint, cmdi_targets_create(source->text, NULL, 0, error));
        }
        cmdi_targets_unref(targets);
        news |= CMDI_NEWS_TARGETS;
    }
    return news;
}

/* Is it one that the source has already? Marks it. */
static bool source_meet(
        struct cmdi_source *source, const struct cmdi_roll *roll, const char *text, uint64_t hash)
{
    uint32_t i = 0;
    for (uint32_t tried = 0; (i = cmdi_roll_next(roll, hash, &tried)) != UINT32_MAX;) {
        struct cmdi_item *item = &source->items[i];
        if (item->endpoint->hash == hash && strcmp(item->endpoint->text, text) == 0) {
            item->is_listed = true;
            return true;
        }
    }
    return false;
}

/* Counts what the answer lacked, if all of it was read, and drops those that were missing too often. */
static void source_drop(struct cmdi_source *source, bool has_all)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < source->item_count; i++) {
        struct cmdi_item item = source->items[i];
        item.missed = item.is_listed ? 0 : item.missed + has_all;
        if (item.missed < CMDI_DIRECTORY_GONE_AFTER) {
            source->items[kept++] = item;
        } else {
            cmdi_endpoint_unref(item.endpoint);
        }
    }
    source->item_count = kept;
}

/* The source has it, once it has, or has too many. Returns: false: without memory it is not known. */
static bool source_read_address(struct cmdi_directory *directory, struct cmdi_source *source,
        struct cmdi_roll *roll, const struct cmdi_address *address, uint64_t now_ms)
{
    char text[CMDI_ADDRESS_TEXT_MAX];
    cmdi_address_text(address, text, sizeof(text));
    uint64_t hash = cmdi_hash_text(text);
    if (source_meet(source, roll, text, hash) || source->item_count == CMDI_ENDPOINTS_MAX) {
        return true;
    }
    bool is_late = source->is_late || source->has_answered;
    struct cmdi_endpoint *endpoint =
            directory_endpoint(directory, source, text, address, 1, is_late ? now_ms : 0);
    if (endpoint == NULL || source_push(source, endpoint) < 0) {
        return false;
    }
    cmdi_roll_add(roll, hash, source->item_count - 1);
    return true;
}

/* Returns: 0; -ENOMEM: not all of the answer was read. */
static int source_read_answer(struct cmdi_directory *directory, struct cmdi_source *source,
        struct cmdi_roll *roll, const struct cmdi_address *addresses, uint32_t count,
        uint64_t now_ms)
{
    for (uint32_t i = 0; i < source->item_count; i++) {
        source->items[i].is_listed = false;
        cmdi_roll_add(roll, source->items[i].endpoint->hash, i);
    }
    bool has_all = true;
    for (uint32_t i = 0; i < count; i++) {
        has_all &= source_read_address(directory, source, roll, &addresses[i], now_ms);
    }
    source_drop(source, has_all); // Else it is asked again soon.
    return has_all ? 0 : -ENOMEM;
}

/*
 * Of "dns:". Without room for the list nothing is read: what is in a source and in no list, nobody would look for.
 * Returns: 0; -ENOMEM: not all of it is known.
 */
static int source_set_items(struct cmdi_directory *directory, struct cmdi_source *source,
        const struct cmdi_address *addresses, uint32_t count, uint64_t now_ms, uint32_t *news)
{
    struct listing listing;
    struct cmdi_roll roll;
    if (cmdi_roll_init(&roll, source->item_count + count) < 0 ||
            listing_init(&listing, directory, count) < 0) {
        cmdi_roll_fini(&roll);
        return -ENOMEM;
    }
    int code = source_read_answer(directory, source, &roll, addresses, count, now_ms);
    cmdi_roll_fini(&roll);
    *news |= directory_list(directory, &listing);
    return code;
}

/* Of a plain name. Returns: 0; -ENOMEM: it keeps those that it had. */
static int source_set_targets(
        struct cmdi_source *source, const struct cmdi_address *addresses, uint32_t count)
{
    uint32_t tried = count < CMDI_ADDRESSES_MAX ? count : CMDI_ADDRESSES_MAX;
    struct cmdi_targets *targets = targets_of(source->text, addresses, tried);
    if (targets == NULL) {
        return -ENOMEM;
    }
    cmdi_endpoint_set_targets(source->items[0].endpoint, targets);
    return 0;
}

/* What there was no memory for is a failure, and is asked for again; what is known stays. */
static uint32_t source_answer(struct cmdi_directory *directory, struct cmdi_source *source,
        const struct cmdi_address *addresses, uint32_t count, uint64_t now_ms)
{
    bool is_name = source->kind == CMDI_SOURCE_NAME;
    uint32_t news = is_name ? CMDI_NEWS_TARGETS : 0;
    int code = is_name ? source_set_targets(source, addresses, count)
                       : source_set_items(directory, source, addresses, count, now_ms, &news);
    source->lacks_some = code < 0;
    if (code < 0) {
        struct cmds_error error = CMDS_ERROR_INIT;
        (void)cmdi_fail(&error, code, "resolve \"%s\": no memory for all of it", source->text);
        return directory->has_given_up ? news : news | source_fail(directory, source, &error);
    }
    news |= source->failures > 0 ? CMDI_NEWS_WORKS : 0;
    source->failures = 0;
    source->has_answered = true;
    return news;
}

uint32_t cmdi_directory_late(struct cmdi_directory *directory, uint64_t now_ms)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    if (!directory->is_asking || directory->has_given_up || now_ms < directory->patience_ms) {
        return 0;
    }
    directory->has_given_up = true;
    if (directory->asked == UINT32_MAX) {
        return 0;
    }
    struct cmdi_source *source = &directory->sources[directory->asked];
    (void)cmdi_fail(&error, CMDS_E_TIMEOUT, "resolve \"%s\": no answer within %d ms", source->text,
            CMDI_DIRECTORY_PATIENCE_MS);
    return source_fail(directory, source, &error);
}

uint32_t cmdi_directory_answer(struct cmdi_directory *directory,
        const struct cmdi_address *addresses, uint32_t count, const struct cmds_error *error,
        uint64_t now_ms, uint64_t random)
{
    uint32_t asked = directory->asked;
    uint32_t news = 0;
    CMDI_ASSERT(directory->is_asking);
    directory->is_asking = false;
    directory->asked = UINT32_MAX;
    if (asked == UINT32_MAX) {
        return 0; // Nobody wants to know any more.
    }
    struct cmdi_source *source = &directory->sources[asked];
    if (count > 0) {
        news = source_answer(directory, source, addresses, count, now_ms);
    } else if (!directory->has_given_up) {
        news = source_fail(directory, source, error);
    }
    source_schedule(source, directory->interval_ms, now_ms, random);
    return news;
}
