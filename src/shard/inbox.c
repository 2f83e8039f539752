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
    atomic_init(&inbox->promises, 0);
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

static size_t inbox_part_room(size_t size)
{
    return sizeof(struct cmdi_inbox_part) + size;
}

bool cmdi_inbox_has_room(const struct cmdi_inbox *inbox, size_t size)
{
    static const struct cmdi_inbox_bytes none;
    const struct cmdi_account *account = &inbox->room->shard->buffers.account;
    const struct cmdi_inbox_bytes *bytes = inbox->store != NULL ? &inbox->store->bytes : &none;
    if (inbox->closed) {
        return false;
    }
    if (size >= CMDI_INBOX_PART_MIN) {
        return cmdi_account_allows(account, inbox_part_room(size));
    }
    return bytes->size + size <= bytes->capacity ||
           cmdi_account_allows(account, inbox_capacity_for(bytes, size) - bytes->capacity);
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

/* Something is to be left in it. Returns: 0; CMDS_E_CLOSED; -ENOMEM. */
static int inbox_begin(struct cmdi_inbox *inbox)
{
    return inbox->closed ? CMDS_E_CLOSED : inbox_store(inbox) == NULL ? -ENOMEM : 0;
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
    *code = inbox_begin(inbox);
    if (*code < 0) {
        return NULL;
    }
    struct cmdi_inbox_bytes *bytes = &inbox->store->bytes;
    if (bytes->size + size > bytes->capacity) {
        *code = inbox_grow(inbox, size);
    }
    return *code == 0 ? bytes->data + bytes->size : NULL;
}

static void inbox_publish_size(struct cmdi_inbox *inbox)
{
    const struct cmdi_inbox_store *store = inbox->store;
    size_t size = store != NULL ? cmdi_inbox_bytes_size(&store->bytes) + store->promised : 0;
    CMDI_ASSERT(size <= UINT32_MAX); // Half of a bound of 32 bits, and one frame.
    atomic_store_explicit(&inbox->size, (uint32_t)size, memory_order_relaxed);
}

void cmdi_inbox_commit(struct cmdi_inbox *inbox, size_t size)
{
    struct cmdi_inbox_bytes *bytes = &inbox->store->bytes;
    CMDI_ASSERT(!inbox->closed && size <= bytes->capacity - bytes->size);
    bytes->size += size;
    inbox_publish_size(inbox);
}

/* --- Any thread: parts ------------------------------------------------------------------------ */

static void inbox_count_promise(struct cmdi_inbox *inbox, int more)
{
    uint32_t count = (uint32_t)((int)cmdi_inbox_promises(inbox) + more);
    CMDI_ASSERT(count <= UINT16_MAX); // A thread writes one.
    atomic_store_explicit(&inbox->promises, (uint16_t)count, memory_order_relaxed);
    inbox_publish_size(inbox);
}

int cmdi_inbox_promise(struct cmdi_inbox *inbox, size_t size)
{
    CMDI_ASSERT(size >= CMDI_INBOX_PART_MIN);
    struct cmdi_account *account = &inbox->room->shard->buffers.account;
    size_t room = inbox_part_room(size);
    int code = inbox_begin(inbox);
    if (code == 0 && !cmdi_account_charge_shared(account, room)) {
        code = cmdi_account_refusal(account, room);
    }
    if (code == 0) {
        inbox->store->promised += room;
        inbox_count_promise(inbox, 1);
    }
    return code;
}

struct cmdi_inbox_part *cmdi_inbox_part_new(size_t size)
{
    struct cmdi_inbox_part *part = malloc(inbox_part_room(size));
    if (part != NULL) {
        part->next = NULL;
        part->at = 0;
        part->size = size;
    }
    return part;
}

static void inbox_end_promise(struct cmdi_inbox *inbox, size_t room)
{
    CMDI_ASSERT(inbox->store->promised >= room);
    inbox->store->promised -= room;
    inbox_count_promise(inbox, -1);
}

void cmdi_inbox_break_promise(struct cmdi_inbox *inbox, size_t size)
{
    CMDI_ASSERT(!inbox->closed);
    inbox_end_promise(inbox, inbox_part_room(size));
    cmdi_account_free_shared(&inbox->room->shard->buffers.account, inbox_part_room(size));
}

void cmdi_inbox_append(struct cmdi_inbox *inbox, struct cmdi_inbox_part *part)
{
    struct cmdi_inbox_bytes *bytes = &inbox->store->bytes;
    CMDI_ASSERT(!inbox->closed && part->next == NULL);
    inbox_end_promise(inbox, inbox_part_room(part->size)); // What was charged is the part's.
    part->at = bytes->size;
    if (bytes->parts == NULL) {
        bytes->parts = part;
    } else {
        bytes->last->next = part;
    }
    bytes->last = part;
    bytes->parts_size += part->size;
    inbox_publish_size(inbox);
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
    if (inbox->store != NULL) {
        cmdi_account_free_shared(&inbox->room->shard->buffers.account, inbox->store->promised);
        inbox->store->promised = 0;
        atomic_store_explicit(&inbox->promises, 0, memory_order_relaxed);
        inbox_publish_size(inbox);
    }
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
    inbox_publish_size(inbox);
    return taken;
}

/*
 *     own bytes: |-- 0..part->at --|            |-- part->at..next->at --|
 *     parts:                       |-- data ----|
 */
bool cmdi_inbox_next_run(const struct cmdi_inbox_bytes *taken, struct cmdi_inbox_run *run)
{
    if (!run->begun) {
        run->begun = true;
        run->part = taken->parts;
    } else if (run->part != NULL && run->data == run->part->data) {
        run->part = run->part->next;
    }
    size_t end = run->part != NULL ? run->part->at : taken->size;
    CMDI_ASSERT(end >= run->at && end <= taken->size);
    if (end > run->at) {
        run->data = taken->data + run->at;
        run->size = end - run->at;
        run->at = end;
        return true;
    }
    if (run->part == NULL) {
        return false;
    }
    run->data = (uint8_t *)run->part->data;
    run->size = run->part->size;
    return true;
}

static void inbox_free(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *bytes)
{
    cmdi_account_free_shared(&inbox->room->shard->buffers.account, bytes->capacity);
    free(bytes->data);
    *bytes = (struct cmdi_inbox_bytes){0};
}

void cmdi_inbox_give_back(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *taken)
{
    if (cmdi_inbox_bytes_size(taken) == 0 && taken->data == NULL) {
        return; // Nothing was there: there is no memory to keep, nor to be trimmed.
    }
    while (taken->parts != NULL) {
        struct cmdi_inbox_part *part = taken->parts;
        taken->parts = part->next;
        cmdi_account_free_shared(&inbox->room->shard->buffers.account, inbox_part_room(part->size));
        free(part);
    }
    cmdi_inbox_lock(inbox);
    struct cmdi_inbox_store *store = inbox->store;
    bool is_free = store != NULL && store->bytes.data == NULL; // Parts may wait already.
    if (is_free && taken->capacity <= INBOX_KEPT_SIZE && !inbox->closed) {
        store->bytes.data = taken->data;
        store->bytes.capacity = taken->capacity;
        taken->data = NULL;
        taken->capacity = 0;
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
    if (store != NULL && cmdi_inbox_bytes_size(&store->bytes) == 0) {
        inbox_free(inbox, &store->bytes);
        if (store->promised == 0) { // Else its parts have to have a place.
            inbox->store = NULL;
            free(store);
        }
    }
    cmdi_inbox_unlock(inbox);
}
