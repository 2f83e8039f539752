/* SPDX-License-Identifier: MIT */
/* Growth of a record queue, and its way back. One thread at a time. */
#include "client/queue.h"

#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_CAPACITY_MIN = 4096,
};

/*
 * Room for `size` more bytes: by moving what is there to the front if half is free, else in twice
 * as much memory.
 */
static int queue_reserve(struct cmdi_queue *queue, size_t size)
{
    size_t used = cmdi_queue_size(queue);
    if (queue->capacity - queue->end >= size && queue->data != NULL) {
        return 0;
    }
    if (used + size <= queue->capacity / 2) {
        memmove(queue->data, queue->data + queue->begin, used);
    } else {
        size_t capacity = queue->capacity > 0 ? queue->capacity : QUEUE_CAPACITY_MIN;
        while (capacity < used + size) {
            capacity *= 2;
        }
        uint8_t *data = malloc(capacity);
        if (data == NULL) {
            return -1;
        }
        if (used > 0) {
            memcpy(data, queue->data + queue->begin, used);
        }
        free(queue->data);
        queue->data = data;
        queue->capacity = capacity;
    }
    queue->begin = 0;
    queue->end = used;
    return 0;
}

struct cmdi_record *cmdi_queue_append(struct cmdi_queue *queue, size_t body_size)
{
    size_t size = cmdi_record_size(body_size);
    if (queue_reserve(queue, size) < 0) {
        return NULL;
    }
    struct cmdi_record *record = (struct cmdi_record *)(void *)(queue->data + queue->end);
    *record = (struct cmdi_record){.size = size, .body_size = body_size};
    queue->end += size;
    return record;
}

void cmdi_queue_trim(struct cmdi_queue *queue)
{
    if (cmdi_queue_size(queue) == 0) {
        free(queue->data);
        *queue = (struct cmdi_queue){.data = NULL};
    }
}
