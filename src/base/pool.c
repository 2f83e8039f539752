/* SPDX-License-Identifier: MIT */
/* Growth and end of object pools; the fast path is inline in the header. */
#include "base/pool.h"

#include <stdlib.h>

#include "base/assert.h"

enum {
    POOL_CHUNK_SIZE = 64 * 1024 - 64, // Beside malloc's own header it stays below a power of two.
    POOL_ALIGN = 16,
};

void cmdi_pool_init(struct cmdi_pool *pool, size_t item_size)
{
    CMDI_ASSERT(item_size > 0);
    size_t rounded = (item_size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
    size_t count = (POOL_CHUNK_SIZE - POOL_ALIGN) / rounded;
    *pool = (struct cmdi_pool){
            .item_size = rounded,
            .items_per_chunk = count > 0 ? (uint32_t)count : 1,
    };
#ifdef CMDI_POOLS_MALLOC
    cmdi_list_init(&pool->blocks);
#endif
}

#ifdef CMDI_POOLS_MALLOC
/*
 * Each object is a block of malloc's own, in the list of chunks while it lives, so that a sanitizer
 * sees every use of one that was released. `link` comes first: it is found from the object.
 */
struct pool_block {
    struct cmdi_list link;
    char object[];
};
_Static_assert(sizeof(struct pool_block) % POOL_ALIGN == 0, "the object behind it is aligned");

void cmdi_pool_fini(struct cmdi_pool *pool)
{
    struct cmdi_list *node = NULL;
    while (pool->item_size > 0 && (node = cmdi_list_pop(&pool->blocks)) != NULL) {
        free(CMDI_CONTAINER(node, struct pool_block, link));
    }
    *pool = (struct cmdi_pool){0};
}

void *cmdi_pool_grow(struct cmdi_pool *pool)
{
    struct pool_block *block = malloc(sizeof(*block) + pool->item_size);
    if (block == NULL) {
        return NULL;
    }
    cmdi_list_init(&block->link);
    cmdi_list_push(&pool->blocks, &block->link);
    pool->live++;
    return block->object;
}

void cmdi_pool_free(struct cmdi_pool *pool, void *object)
{
    struct pool_block *block = CMDI_CONTAINER(object, struct pool_block, object);
    cmdi_list_remove(&block->link);
    pool->live--;
    free(block);
}

#else
void cmdi_pool_fini(struct cmdi_pool *pool)
{
    while (pool->chunks != NULL) {
        struct cmdi_pool_item *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    *pool = (struct cmdi_pool){0};
}

void *cmdi_pool_grow(struct cmdi_pool *pool)
{
    struct cmdi_pool_item *chunk =
            malloc(POOL_ALIGN + pool->item_size * (size_t)pool->items_per_chunk);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    char *item = (char *)chunk + POOL_ALIGN;
    for (uint32_t i = 0; i < pool->items_per_chunk; i++, item += pool->item_size) {
        struct cmdi_pool_item *free_item = (struct cmdi_pool_item *)(void *)item;
        free_item->next = pool->free;
        pool->free = free_item;
    }
    return cmdi_pool_acquire(pool);
}
#endif
