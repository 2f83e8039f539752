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

void cmdi_buffers_init(struct cmdi_buffers *buffers, uint64_t size_max)
{
    *buffers = (struct cmdi_buffers){0};
    cmdi_account_init(&buffers->account, size_max);
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

size_t cmdi_buffers_room(size_t size)
{
    return (size_t)CMDI_BUFFER_SIZE_MIN << buffers_class(size);
}

bool cmdi_buffers_allow(const struct cmdi_buffers *buffers, size_t size)
{
    return cmdi_account_allows(&buffers->account, cmdi_buffers_room(size));
}

/* `room` bytes that were charged: of the kept ones, or new. */
static uint8_t *buffers_take(struct cmdi_buffers *buffers, size_t room)
{
    uint32_t class = buffers_class(room);
    if (class < CMDI_BUFFER_CLASSES && buffers->free[class] != NULL) {
        struct cmdi_buffer_free *buffer = buffers->free[class];
        CMDI_ASSERT(buffers->kept_size >= room);
        buffers->free[class] = buffer->next;
        buffers->kept_size -= room;
        return (uint8_t *)buffer;
    }
    struct cmdi_account *account = &buffers->account;
    if (buffers->kept_size > 0 &&
            cmdi_account_used(account) + buffers->kept_size > account->size_max) {
        cmdi_buffers_trim(buffers); // What is kept makes room first.
    }
    return malloc(room);
}

static uint8_t *buffers_lease(
        struct cmdi_buffers *buffers, size_t size, size_t *capacity, bool from_reserve)
{
    if (size > (size_t)1 << 40) {
        return NULL; // Keeps the arithmetic below from overflowing, whatever was asked for.
    }
    struct cmdi_account *account = &buffers->account;
    size_t room = cmdi_buffers_room(size);
    if (!(from_reserve ? cmdi_account_charge_reserve(account, room)
                       : cmdi_account_charge(account, room))) {
        return NULL;
    }
    uint8_t *data = buffers_take(buffers, room);
    if (data == NULL) {
        cmdi_account_sub(account, room);
        return NULL;
    }
    buffers->leased_size += room;
    *capacity = room;
    return data;
}

uint8_t *cmdi_buffers_lease(struct cmdi_buffers *buffers, size_t size, size_t *capacity)
{
    return buffers_lease(buffers, size, capacity, false);
}

uint8_t *cmdi_buffers_lease_reserve(struct cmdi_buffers *buffers, size_t size, size_t *capacity)
{
    return buffers_lease(buffers, size, capacity, true);
}

void cmdi_buffers_return(struct cmdi_buffers *buffers, uint8_t *data, size_t capacity)
{
    if (data == NULL) {
        return;
    }
    CMDI_ASSERT(buffers->leased_size >= capacity && capacity == cmdi_buffers_room(capacity));
    buffers->leased_size -= capacity;
    cmdi_account_sub(&buffers->account, capacity);
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
