/* SPDX-License-Identifier: MIT */
/* Growth of an inbox, its way to the shard, and the way of its memory back. */
#include "shard/inbox.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"

enum {
    INBOX_CAPACITY_MIN = 4096,
    INBOX_KEPT_SIZE = 64 * 1024, // A buffer that grew beyond it is not kept.
};

static void inbox_on_trim(struct cmdi_trim *trim)
{
    cmdi_inbox_trim(CMDI_CONTAINER(trim, struct cmdi_inbox_store, trim)->inbox);
}

void cmdi_inbox_room_init(struct cmdi_inbox_room *room, struct cmdi_shard *shard)
{
    CMDI_ASSERT(shard != NULL);
    room->shard = shard;
    (void)pthread_mutex_init(&room->lock, NULL); // Cannot fail without attributes.
}

void cmdi_inbox_room_fini(struct cmdi_inbox_room *room)
{
    (void)pthread_mutex_destroy(&room->lock);
}

void cmdi_inbox_init(struct cmdi_inbox *inbox, struct cmdi_inbox_room *room, cmdi_mail_fn on_mail)
{
    CMDI_ASSERT(on_mail != NULL);
    inbox->room = room;
    inbox->mail.fn = on_mail;
    inbox->store = NULL;
    atomic_init(&inbox->size, 0);
    inbox->posted = false;
    inbox->closed = false;
}

void cmdi_inbox_fini(struct cmdi_inbox *inbox)
{
    /* The shard may be gone already: whatever was charged to it went with the owner. */
    CMDI_ASSERT(inbox->store == NULL && !inbox->posted);
    (void)inbox;
}

/* --- Any thread ------------------------------------------------------------------------------- */

static size_t inbox_capacity_for(const struct cmdi_inbox_bytes *bytes, size_t size)
{
    size_t capacity = bytes->capacity > 0 ? bytes->capacity * 2 : INBOX_CAPACITY_MIN;
    return capacity > bytes->size + size ? capacity : bytes->size + size;
}

bool cmdi_inbox_has_room(const struct cmdi_inbox *inbox, size_t size)
{
    static const struct cmdi_inbox_bytes none;
    const struct cmdi_inbox_bytes *bytes = inbox->store != NULL ? &inbox->store->bytes : &none;
    return !inbox->closed && (bytes->size + size <= bytes->capacity ||
                                     cmdi_account_allows(&inbox->room->shard->buffers.account,
                                             inbox_capacity_for(bytes, size) - bytes->capacity));
}

/* Returns: NULL without memory. */
static struct cmdi_inbox_store *inbox_store(struct cmdi_inbox *inbox)
{
    if (inbox->store == NULL) {
        struct cmdi_inbox_store *store = malloc(sizeof(*store));
        if (store == NULL) {
            return NULL;
        }
        *store = (struct cmdi_inbox_store){.inbox = inbox, .trim = {.fn = inbox_on_trim}};
        cmdi_list_init(&store->trim.link);
        inbox->store = store;
    }
    return inbox->store;
}

static int inbox_grow(struct cmdi_inbox *inbox, size_t size)
{
    struct cmdi_account *account = &inbox->room->shard->buffers.account;
    struct cmdi_inbox_bytes *bytes = &inbox->store->bytes;
    size_t capacity = inbox_capacity_for(bytes, size);
    if (!cmdi_account_charge_shared(account, capacity - bytes->capacity)) {
        return cmdi_account_refusal(account, bytes->size > 0 ? size : capacity - bytes->capacity);
    }
    uint8_t *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        cmdi_account_free_shared(account, capacity - bytes->capacity);
        return -ENOMEM;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return 0;
}

uint8_t *cmdi_inbox_reserve(struct cmdi_inbox *inbox, size_t size, int *code)
{
    *code = inbox->closed ? CMDS_E_CLOSED : inbox_store(inbox) == NULL ? -ENOMEM : 0;
    if (*code < 0) {
        return NULL;
    }
    struct cmdi_inbox_bytes *bytes = &inbox->store->bytes;
    if (bytes->size + size > bytes->capacity) {
        *code = inbox_grow(inbox, size);
    }
    return *code == 0 ? bytes->data + bytes->size : NULL;
}

void cmdi_inbox_commit(struct cmdi_inbox *inbox, size_t size)
{
    struct cmdi_inbox_bytes *bytes = &inbox->store->bytes;
    CMDI_ASSERT(!inbox->closed && size <= bytes->capacity - bytes->size);
    bytes->size += size;
    CMDI_ASSERT(bytes->size <= UINT32_MAX); // Half of a bound of 32 bits, and one frame.
    atomic_store_explicit(&inbox->size, (uint32_t)bytes->size, memory_order_relaxed);
}

/* --- The shard -------------------------------------------------------------------------------- */

void cmdi_inbox_arrived(struct cmdi_inbox *inbox)
{
    cmdi_inbox_lock(inbox);
    CMDI_ASSERT(inbox->posted);
    inbox->posted = false;
    cmdi_inbox_unlock(inbox);
}

bool cmdi_inbox_is_posted(struct cmdi_inbox *inbox)
{
    cmdi_inbox_lock(inbox);
    bool posted = inbox->posted;
    cmdi_inbox_unlock(inbox);
    return posted;
}

void cmdi_inbox_close(struct cmdi_inbox *inbox)
{
    cmdi_inbox_lock(inbox);
    inbox->closed = true;
    cmdi_inbox_unlock(inbox);
}

struct cmdi_inbox_bytes cmdi_inbox_take(struct cmdi_inbox *inbox)
{
    struct cmdi_inbox_bytes taken = {0};
    if (inbox->store != NULL) {
        taken = inbox->store->bytes;
        inbox->store->bytes = (struct cmdi_inbox_bytes){0};
    }
    atomic_store_explicit(&inbox->size, 0, memory_order_relaxed);
    return taken;
}

static void inbox_free(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *bytes)
{
    cmdi_account_free_shared(&inbox->room->shard->buffers.account, bytes->capacity);
    free(bytes->data);
    *bytes = (struct cmdi_inbox_bytes){0};
}

void cmdi_inbox_give_back(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *taken)
{
    if (taken->data == NULL) {
        return; // Nothing was there: there is no memory to keep, nor to be trimmed.
    }
    taken->size = 0;
    cmdi_inbox_lock(inbox);
    struct cmdi_inbox_store *store = inbox->store;
    bool is_free = store != NULL && store->bytes.data == NULL;
    if (is_free && taken->capacity <= INBOX_KEPT_SIZE && !inbox->closed) {
        store->bytes = *taken;
        *taken = (struct cmdi_inbox_bytes){0};
        cmdi_account_add_trim(&inbox->room->shard->buffers.account, &store->trim);
    }
    cmdi_inbox_unlock(inbox);
    inbox_free(inbox, taken);
}

void cmdi_inbox_trim(struct cmdi_inbox *inbox)
{
    cmdi_inbox_lock(inbox);
    struct cmdi_inbox_store *store = inbox->store;
    if (store != NULL) {
        cmdi_list_remove(&store->trim.link);
    }
    if (store != NULL && store->bytes.size == 0) {
        inbox->store = NULL;
        inbox_free(inbox, &store->bytes);
        free(store);
    }
    cmdi_inbox_unlock(inbox);
}
