/* SPDX-License-Identifier: MIT */
/* Leased byte buffers by size class. One thread. */
#include "shard/buffers.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/pool.h"

/* The class whose buffers hold `size`; CMDI_BUFFER_CLASSES or more: not kept. */
static uint32_t buffers_class(size_t size)
{
    if (size <= CMDI_BUFFER_SIZE_MIN) {
        return 0;
    }
    return 64u - (uint32_t)__builtin_clzll((size - 1) / CMDI_BUFFER_SIZE_MIN);
}

void cmdi_buffers_init(struct cmdi_buffers *buffers, uint64_t leased_size_max)
{
    *buffers = (struct cmdi_buffers){.leased_size_max = leased_size_max};
}

void cmdi_buffers_trim(struct cmdi_buffers *buffers)
{
    for (uint32_t i = 0; i < CMDI_BUFFER_CLASSES; i++) {
        while (buffers->free[i] != NULL) {
            struct cmdi_buffer_free *buffer = buffers->free[i];
            buffers->free[i] = buffer->next;
            free(buffer);
        }
    }
    buffers->kept_size = 0;
}

void cmdi_buffers_fini(struct cmdi_buffers *buffers)
{
    cmdi_buffers_trim(buffers);
}

uint8_t *cmdi_buffers_lease(struct cmdi_buffers *buffers, size_t size, size_t *capacity)
{
    if (size > (size_t)1 << 40) {
        return NULL; // Keeps the arithmetic below from overflowing, whatever was asked for.
    }
    uint32_t class = buffers_class(size);
    size_t room = (size_t)CMDI_BUFFER_SIZE_MIN << class;
    if (buffers->leased_size + room > buffers->leased_size_max) {
        return NULL;
    }
    void *data = NULL;
    if (class < CMDI_BUFFER_CLASSES && buffers->free[class] != NULL) {
        struct cmdi_buffer_free *buffer = buffers->free[class];
        buffers->free[class] = buffer->next;
        buffers->kept_size -= room;
        data = buffer;
    } else {
        data = malloc(room);
        if (data == NULL) {
            return NULL;
        }
    }
    buffers->leased_size += room;
    *capacity = room;
    return data;
}

void cmdi_buffers_return(struct cmdi_buffers *buffers, uint8_t *data, size_t capacity)
{
    if (data == NULL) {
        return;
    }
    CMDI_ASSERT(buffers->leased_size >= capacity);
    buffers->leased_size -= capacity;
    uint32_t class = buffers_class(capacity);
    if (CMDI_POOLS_KEEP_NOTHING || class >= CMDI_BUFFER_CLASSES ||
            buffers->kept_size + capacity > CMDI_BUFFER_KEPT_SIZE_MAX) {
        free(data);
        return;
    }
    struct cmdi_buffer_free *buffer = (struct cmdi_buffer_free *)(void *)data;
    buffer->next = buffers->free[class];
    buffers->free[class] = buffer;
    buffers->kept_size += capacity;
}
