/* SPDX-License-Identifier: MIT */
/* Growth of a record queue, and its way back. One thread at a time. */
#include "client/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    QUEUE_CAPACITY_MIN = 4096,
};

static size_t queue_capacity_for(const struct cmdi_queue *queue, size_t size)
{
    size_t capacity = queue->capacity > 0 ? queue->capacity : QUEUE_CAPACITY_MIN;
    while (capacity < size) {
        capacity *= 2;
    }
    return capacity;
}

bool cmdi_queue_has_room(const struct cmdi_queue *queue, size_t body_size)
{
    size_t size = cmdi_record_size(body_size);
    size_t used = cmdi_queue_size(queue);
    return (queue->capacity - queue->end >= size && queue->data != NULL) ||
           used + size <= queue->capacity / 2 || queue->account == NULL ||
           cmdi_account_allows(queue->account, queue_capacity_for(queue, used + size));
}

/*
 * Room for `size` more bytes: by moving what is there to the front if half is free, else in twice
 * as much memory.
 */
static int queue_reserve(struct cmdi_queue *queue, size_t size)
{
    struct cmdi_account *account = queue->account;
    size_t used = cmdi_queue_size(queue);
    if (queue->capacity - queue->end >= size && queue->data != NULL) {
        return 0;
    }
    if (used + size <= queue->capacity / 2) {
        memmove(queue->data, queue->data + queue->begin, used);
    } else {
        size_t capacity = queue_capacity_for(queue, used + size);
        if (!cmdi_account_charge_shared(account, capacity)) {
            return cmdi_account_refusal(account, used > 0 ? size : capacity);
        }
        uint8_t *data = malloc(capacity);
        if (data == NULL) {
            cmdi_account_free_shared(account, capacity);
            return -ENOMEM;
        }
        if (used > 0) {
            memcpy(data, queue->data + queue->begin, used);
        }
        free(queue->data);
        cmdi_account_free_shared(account, queue->capacity);
        queue->data = data;
        queue->capacity = capacity;
    }
    queue->begin = 0;
    queue->end = used;
    CMDI_ASSERT(queue->capacity - used >= size);
    return 0;
}

struct cmdi_record *cmdi_queue_append(struct cmdi_queue *queue, size_t body_size, int *code)
{
    size_t size = cmdi_record_size(body_size);
    int result = queue_reserve(queue, size);
    if (result < 0) {
        *code = result;
        return NULL;
    }
    struct cmdi_record *record = cmdi_record_begin(queue->data + queue->end, body_size);
    queue->end += size;
    return record;
}

void cmdi_queue_clear(struct cmdi_queue *queue)
{
    free(queue->data);
    cmdi_account_free_shared(queue->account, queue->capacity);
    *queue = (struct cmdi_queue){.account = queue->account};
}

void cmdi_queue_trim(struct cmdi_queue *queue)
{
    if (cmdi_queue_size(queue) == 0) {
        cmdi_queue_clear(queue);
    }
}
