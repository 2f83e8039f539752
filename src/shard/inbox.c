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
    cmdi_inbox_trim(CMDI_CONTAINER(trim, struct cmdi_inbox, trim));
}

void cmdi_inbox_init(struct cmdi_inbox *inbox, struct cmdi_shard *shard, cmdi_mail_fn on_mail)
{
    CMDI_ASSERT(shard != NULL && on_mail != NULL);
    inbox->shard = shard;
    inbox->mail.fn = on_mail;
    inbox->trim.fn = inbox_on_trim;
    cmdi_list_init(&inbox->trim.link);
    atomic_init(&inbox->size, 0);
    inbox->bytes = (struct cmdi_inbox_bytes){0};
    inbox->posted = false;
    inbox->closed = false;
    (void)pthread_mutex_init(&inbox->lock, NULL); // Cannot fail without attributes.
}

void cmdi_inbox_fini(struct cmdi_inbox *inbox)
{
    /* The shard may be gone already: whatever was charged to it went with the owner. */
    CMDI_ASSERT(inbox->bytes.data == NULL && !inbox->posted);
    CMDI_ASSERT(cmdi_list_empty(&inbox->trim.link));
    (void)pthread_mutex_destroy(&inbox->lock);
}

/* --- Any thread ------------------------------------------------------------------------------- */

static size_t inbox_capacity_for(const struct cmdi_inbox *inbox, size_t size)
{
    const struct cmdi_inbox_bytes *bytes = &inbox->bytes;
    size_t capacity = bytes->capacity > 0 ? bytes->capacity * 2 : INBOX_CAPACITY_MIN;
    return capacity > bytes->size + size ? capacity : bytes->size + size;
}

bool cmdi_inbox_has_room(const struct cmdi_inbox *inbox, size_t size)
{
    const struct cmdi_inbox_bytes *bytes = &inbox->bytes;
    return !inbox->closed && (bytes->size + size <= bytes->capacity ||
                                     cmdi_account_allows(&inbox->shard->buffers.account,
                                             inbox_capacity_for(inbox, size) - bytes->capacity));
}

static int inbox_grow(struct cmdi_inbox *inbox, size_t size)
{
    struct cmdi_account *account = &inbox->shard->buffers.account;
    struct cmdi_inbox_bytes *bytes = &inbox->bytes;
    size_t capacity = inbox_capacity_for(inbox, size);
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
    struct cmdi_inbox_bytes *bytes = &inbox->bytes;
    *code = inbox->closed ? CMDS_E_CLOSED : 0;
    if (*code == 0 && bytes->size + size > bytes->capacity) {
        *code = inbox_grow(inbox, size);
    }
    return *code == 0 ? bytes->data + bytes->size : NULL;
}

void cmdi_inbox_commit(struct cmdi_inbox *inbox, size_t size)
{
    CMDI_ASSERT(!inbox->closed && size <= inbox->bytes.capacity - inbox->bytes.size);
    inbox->bytes.size += size;
    atomic_store_explicit(&inbox->size, inbox->bytes.size, memory_order_relaxed);
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
    struct cmdi_inbox_bytes taken = inbox->bytes;
    inbox->bytes = (struct cmdi_inbox_bytes){0};
    atomic_store_explicit(&inbox->size, 0, memory_order_relaxed);
    return taken;
}

static void inbox_free(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *bytes)
{
    cmdi_account_free_shared(&inbox->shard->buffers.account, bytes->capacity);
    free(bytes->data);
    *bytes = (struct cmdi_inbox_bytes){0};
}

void cmdi_inbox_give_back(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *taken)
{
    taken->size = 0;
    cmdi_inbox_lock(inbox);
    if (inbox->bytes.data == NULL && taken->capacity <= INBOX_KEPT_SIZE && !inbox->closed) {
        inbox->bytes = *taken;
        *taken = (struct cmdi_inbox_bytes){0};
        cmdi_account_add_trim(&inbox->shard->buffers.account, &inbox->trim);
    }
    cmdi_inbox_unlock(inbox);
    inbox_free(inbox, taken);
}

void cmdi_inbox_trim(struct cmdi_inbox *inbox)
{
    cmdi_list_remove(&inbox->trim.link);
    cmdi_inbox_lock(inbox);
    if (inbox->bytes.size == 0) {
        inbox_free(inbox, &inbox->bytes);
    }
    cmdi_inbox_unlock(inbox);
}
