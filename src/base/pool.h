/* SPDX-License-Identifier: MIT */
/*
 * A pool of objects of one size, for one thread. It grows by chunks and never gives memory back
 * before fini, so that an object stays readable after its release (a stale pointer finds a
 * generation, never another mapping). Last in, first out: the object handed out is the one that is
 * still in the cache.
 */
#ifndef CMDI_BASE_POOL_H
#define CMDI_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct cmdi_pool_item {
    struct cmdi_pool_item *next;
};

struct cmdi_pool {
    struct cmdi_pool_item *free;
    struct cmdi_pool_item *chunks; // Each chunk begins with a link.
    size_t item_size;
    uint32_t items_per_chunk;
    uint32_t live; // Acquired and not released.
};

/** `item_size` is rounded up to 16 bytes. Allocates nothing yet. */
void cmdi_pool_init(struct cmdi_pool *pool, size_t item_size);
/** Frees all chunks, whoever still holds an object of them. A zeroed pool is fine. */
void cmdi_pool_fini(struct cmdi_pool *pool);
/** Slow path of acquire. Returns: NULL without memory. */
void *cmdi_pool_grow(struct cmdi_pool *pool);

/** Returns: an object with undefined content; NULL without memory. */
static inline void *cmdi_pool_acquire(struct cmdi_pool *pool)
{
    struct cmdi_pool_item *item = pool->free;
    if (__builtin_expect(item == NULL, 0)) {
        return cmdi_pool_grow(pool);
    }
    pool->free = item->next;
    pool->live++;
    return item;
}

static inline void cmdi_pool_release(struct cmdi_pool *pool, void *object)
{
    struct cmdi_pool_item *item = object;
    item->next = pool->free;
    pool->free = item;
    pool->live--;
}

#endif
