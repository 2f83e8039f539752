/* SPDX-License-Identifier: MIT */
/*
 * Growth, shrinking and end of object pools; the fast path is inline in the header.
 *
 * Chunks lie at multiples of their size, so that the chunk of an object is found from its address:
 * acquire and release know nothing of chunks, and only a trim counts which of them are free.
 */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

enum {
    POOL_CHUNK_ALIGN = 64 * 1024,
    POOL_CHUNK_SIZE = POOL_CHUNK_ALIGN,
    POOL_ALIGN = 16,
    POOL_LINE = 64, // Objects of whole lines of the cache begin with one.
    POOL_SKIP_MAX = 64,
};

#ifdef CMDI_POOLS_CHOICE
bool cmdi_pools_keep_nothing;

__attribute__((constructor)) static void pools_choose(void)
{
    const char *pools = getenv("CMDSTREAM_POOLS");
    cmdi_pools_keep_nothing = pools != NULL && strcmp(pools, "malloc") == 0;
}
#endif

/* Where in a chunk the first object lies. */
static size_t pool_first(size_t item_size)
{
    return item_size % POOL_LINE == 0 ? POOL_LINE : POOL_ALIGN;
}

void cmdi_pool_init(struct cmdi_pool *pool, size_t item_size)
{
    CMDI_ASSERT(item_size > 0);
    size_t rounded = (item_size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
    size_t count = (POOL_CHUNK_SIZE - pool_first(rounded)) / rounded;
    *pool = (struct cmdi_pool){
            .item_size = rounded,
            .items_per_chunk = count > 0 ? (uint32_t)count : 1,
    };
    cmdi_list_init(&pool->trim.link);
    if (CMDI_POOLS_KEEP_NOTHING) {
        cmdi_list_init(&pool->blocks);
    }
}

static void pool_on_trim(struct cmdi_trim *trim)
{
    cmdi_pool_trim(CMDI_CONTAINER(trim, struct cmdi_pool, trim));
}

void cmdi_pool_charge_to(struct cmdi_pool *pool, struct cmdi_account *account)
{
    CMDI_ASSERT(pool->account == NULL && pool->live == 0);
    CMDI_ASSERT(CMDI_POOLS_KEEP_NOTHING || pool->chunks == NULL);
    pool->account = account;
    pool->trim.fn = pool_on_trim;
}

/*
 * Takes all that it has off the account. One that has nothing leaves the account alone: an owner that
 * could not start ends on another thread, while the shard runs.
 */
static void pool_uncharge(struct cmdi_pool *pool, size_t size)
{
    if (pool->account != NULL) {
        if (size > 0) {
            cmdi_account_sub(pool->account, size);
        }
        cmdi_list_remove(&pool->trim.link);
    }
}

/* --- CMDI_POOLS_KEEP_NOTHING ------------------------------------------------------------------ */

/*
 * Each object is a block of malloc's own, in the list of blocks while it lives, so that a sanitizer
 * sees every use of one that was released. `link` comes first: it is found from the object.
 */
struct pool_block {
    struct cmdi_list link;
    char object[];
};
_Static_assert(sizeof(struct pool_block) % POOL_ALIGN == 0, "the object behind it is aligned");

static size_t pool_block_size(const struct cmdi_pool *pool)
{
    return sizeof(struct pool_block) + pool->item_size;
}

static void pool_free_blocks(struct cmdi_pool *pool)
{
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&pool->blocks)) != NULL) {
        free(CMDI_CONTAINER(node, struct pool_block, link));
    }
}

static void *pool_malloc(struct cmdi_pool *pool)
{
    size_t size = pool_block_size(pool);
    if (!cmdi_account_charge_reserve(pool->account, size)) {
        return NULL;
    }
    struct pool_block *block = malloc(size);
    if (block == NULL) {
        cmdi_account_sub(pool->account, size);
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
    CMDI_ASSERT(pool->live > 0);
    cmdi_list_remove(&block->link);
    pool->live--;
    cmdi_account_sub(pool->account, pool_block_size(pool));
    free(block);
}

/* --- Chunks ----------------------------------------------------------------------------------- */

struct pool_chunk {
    struct cmdi_pool_item link; // pool->chunks
    uint64_t free_count;        // Valid within a trim.
};
_Static_assert(sizeof(struct pool_chunk) <= POOL_ALIGN, "the first object lies behind it");

static struct pool_chunk *pool_chunk_of(void *object)
{
    return (struct pool_chunk *)((uintptr_t)object & ~(uintptr_t)(POOL_CHUNK_ALIGN - 1));
}

static size_t pool_chunk_size(const struct cmdi_pool *pool)
{
    size_t size = pool_first(pool->item_size) + pool->item_size * (size_t)pool->items_per_chunk;
    return (size + POOL_CHUNK_ALIGN - 1) & ~(size_t)(POOL_CHUNK_ALIGN - 1); // Of whole pages.
}

static size_t pool_size(const struct cmdi_pool *pool)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return pool_block_size(pool) * pool->live;
    }
    size_t count = 0;
    for (const struct cmdi_pool_item *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        count++;
    }
    return count * pool_chunk_size(pool);
}

/* How many free objects each chunk has. Returns: of all chunks. */
static uint64_t pool_count_free(struct cmdi_pool *pool)
{
    uint64_t count = 0;
    for (struct cmdi_pool_item *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        ((struct pool_chunk *)(void *)chunk)->free_count = 0;
    }
    for (struct cmdi_pool_item *item = pool->free; item != NULL; item = item->next) {
        pool_chunk_of(item)->free_count++;
        count++;
    }
    return count;
}

/* Takes the objects of free chunks out of the list; the others keep their order. */
static void pool_forget_free(struct cmdi_pool *pool)
{
    struct cmdi_pool_item **link = &pool->free;
    struct cmdi_pool_item *item = pool->free;
    for (; item != NULL; item = item->next) {
        if (pool_chunk_of(item)->free_count < pool->items_per_chunk) {
            *link = item;
            link = &item->next;
        }
    }
    *link = NULL;
}

/* Returns: bytes given back. */
static size_t pool_drop_free(struct cmdi_pool *pool)
{
    struct cmdi_pool_item **link = &pool->chunks;
    size_t dropped = 0;
    while (*link != NULL) {
        struct pool_chunk *chunk = (struct pool_chunk *)(void *)*link;
        if (chunk->free_count < pool->items_per_chunk) {
            link = &chunk->link.next;
            continue;
        }
        *link = chunk->link.next;
        (void)munmap(chunk, pool_chunk_size(pool));
        dropped += pool_chunk_size(pool);
    }
    cmdi_account_sub(pool->account, dropped);
    return dropped;
}

/*
 * It costs a walk over all free objects. Where that gave little back, because a few objects hold
 * most chunks, it is done more and more seldom.
 */
void cmdi_pool_trim(struct cmdi_pool *pool)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return;
    }
    if (pool->free == NULL || pool->trims_skipped < pool->trims_to_skip) {
        pool->trims_skipped++;
        return;
    }
    uint64_t free_size = pool_count_free(pool) * pool->item_size;
    pool_forget_free(pool);
    size_t dropped = pool_drop_free(pool);
    uint32_t longer = pool->trims_to_skip * 2 + 1;
    bool little = free_size > 16 * POOL_CHUNK_ALIGN && dropped < free_size / 8;
    pool->trims_to_skip = !little ? 0 : longer < POOL_SKIP_MAX ? longer : POOL_SKIP_MAX;
    pool->trims_skipped = 0;
}

static void pool_unmap_chunks(struct cmdi_pool *pool)
{
    while (pool->chunks != NULL) {
        struct cmdi_pool_item *chunk = pool->chunks;
        pool->chunks = chunk->next;
        (void)munmap(chunk, pool_chunk_size(pool));
    }
}

void cmdi_pool_fini(struct cmdi_pool *pool)
{
    if (pool->item_size == 0) {
        return; // Zeroed, or over.
    }
    pool_uncharge(pool, pool_size(pool));
    if (CMDI_POOLS_KEEP_NOTHING) {
        pool_free_blocks(pool);
    } else {
        pool_unmap_chunks(pool);
    }
    *pool = (struct cmdi_pool){0};
}

/*
 * Of the system's, not of malloc's: what is given back is gone at once, also between chunks that are
 * in use, and no other allocator's trim is needed for it.
 */
static struct pool_chunk *pool_map_chunk(const struct cmdi_pool *pool)
{
    size_t size = pool_chunk_size(pool);
    char *room = mmap(NULL, size + POOL_CHUNK_ALIGN, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) {
        return NULL;
    }
    size_t before = (size_t)(-(uintptr_t)room & (POOL_CHUNK_ALIGN - 1));
    (void)munmap(room, before); // Of none it says that there are none.
    (void)munmap(room + before + size, POOL_CHUNK_ALIGN - before);
    return (struct pool_chunk *)(void *)(room + before);
}

void *cmdi_pool_grow(struct cmdi_pool *pool)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return pool_malloc(pool);
    }
    if (!cmdi_account_charge_reserve(pool->account, pool_chunk_size(pool))) {
        return NULL;
    }
    struct pool_chunk *chunk = pool_map_chunk(pool);
    if (chunk == NULL) {
        cmdi_account_sub(pool->account, pool_chunk_size(pool));
        return NULL;
    }
    cmdi_account_add_trim(pool->account, &pool->trim);
    chunk->link.next = pool->chunks;
    pool->chunks = &chunk->link;
    pool->trims_to_skip = 0;
    char *item = (char *)chunk + pool_first(pool->item_size);
    for (uint32_t i = 0; i < pool->items_per_chunk; i++, item += pool->item_size) {
        struct cmdi_pool_item *free_item = (struct cmdi_pool_item *)(void *)item;
        free_item->next = pool->free;
        pool->free = free_item;
    }
    return cmdi_pool_acquire(pool);
}

void cmdi_pool_leave(struct cmdi_pool *pool)
{
    pool_uncharge(pool, pool_size(pool));
    pool->account = NULL;
}

/* --- The bound -------------------------------------------------------------------------------- */

/* What one more is charged for. */
static size_t pool_step(const struct cmdi_pool *pool)
{
    return CMDI_POOLS_KEEP_NOTHING ? pool_block_size(pool) : pool_chunk_size(pool);
}

bool cmdi_pool_has_room(const struct cmdi_pool *pool)
{
    if (pool->account == NULL || (!CMDI_POOLS_KEEP_NOTHING && pool->free != NULL)) {
        return true;
    }
    uint64_t used = cmdi_account_used(pool->account), max = pool->account->size_max;
    return used <= max && pool_step(pool) + CMDI_ACCOUNT_SMALL <= max - used;
}

int cmdi_pool_lack(const struct cmdi_pool *pool)
{
    return cmdi_pool_has_room(pool) ? -ENOMEM
                                    : cmdi_account_refusal(pool->account, pool_step(pool));
}
