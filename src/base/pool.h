/* SPDX-License-Identifier: MIT */
/*
 * A pool of objects of one size, for one thread. It grows by chunks, which count in an account, and
 * gives those back that hold no object when it is asked to (cmdi_pool_trim), never by itself. Last
 * in, first out: the object handed out is the one that is still in the cache.
 *
 * In a build with CMDSTREAM_POOLS_CHOICE (-DCMDI_POOLS_CHOICE) the environment may say
 * CMDSTREAM_POOLS=malloc: then each object is a block of malloc's, and nothing is used again, so that
 * a sanitizer or valgrind sees each use after a release. Buffers and arenas keep nothing then either.
 */
#ifndef CMDI_BASE_POOL_H
#define CMDI_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/account.h"
#include "base/assert.h"
#include "base/list.h"

#ifdef CMDI_POOLS_CHOICE
#define CMDI_POOLS_KEEP_NOTHING cmdi_pools_keep_nothing
/** Is what the environment said before main() began, for the life of the process. */
extern bool cmdi_pools_keep_nothing;
#else
#define CMDI_POOLS_KEEP_NOTHING false
#endif

struct cmdi_pool_item {
    struct cmdi_pool_item *next;
};

struct cmdi_pool {
    union {
        struct {
            struct cmdi_pool_item *free;
            struct cmdi_pool_item *chunks; // Each chunk begins with a link.
        };
        struct cmdi_list blocks; // In their place: CMDI_POOLS_KEEP_NOTHING.
    };
    size_t item_size;
    uint32_t items_per_chunk;
    uint32_t live;                // Acquired and not released.
    struct cmdi_account *account; // NULL: not counted.
    struct cmdi_trim trim;
    // Asked to give back while there was little: how often that is still to be passed over.
    uint32_t trims_to_skip, trims_skipped;
};

/** `item_size` is rounded up to 16 bytes. Allocates nothing yet. */
void cmdi_pool_init(struct cmdi_pool *pool, size_t item_size);
/** Its chunks count there from now on, and cmdi_account_trim() reaches it. None was taken yet. */
void cmdi_pool_charge_to(struct cmdi_pool *pool, struct cmdi_account *account);
/** What it has counts no more, and no more is counted: the shard lets go of it. */
void cmdi_pool_leave(struct cmdi_pool *pool);
/** Gives the chunks back whose objects are all free. */
void cmdi_pool_trim(struct cmdi_pool *pool);
/** Frees all chunks, even if objects of them are still held. A zeroed pool is fine. */
void cmdi_pool_fini(struct cmdi_pool *pool);
/** Would an acquire get something, after a small charge for what goes with it? */
bool cmdi_pool_has_room(const struct cmdi_pool *pool);
/** Why an acquire got nothing. Returns: -ENOBUFS: the account's bound; -ENOMEM. */
int cmdi_pool_lack(const struct cmdi_pool *pool);
/** Slow path of acquire. Returns: NULL without memory, or at the account's bound. */
void *cmdi_pool_grow(struct cmdi_pool *pool);
/** All of release, CMDI_POOLS_KEEP_NOTHING. */
void cmdi_pool_free(struct cmdi_pool *pool, void *object);

/** Returns: an object with undefined content; NULL without memory, or at the account's bound. */
static inline void *cmdi_pool_acquire(struct cmdi_pool *pool)
{
    struct cmdi_pool_item *item = pool->free;
    if (CMDI_POOLS_KEEP_NOTHING || CMDI_UNLIKELY(item == NULL)) {
        return cmdi_pool_grow(pool);
    }
    pool->free = item->next;
    pool->live++;
    return item;
}

static inline void cmdi_pool_release(struct cmdi_pool *pool, void *object)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        cmdi_pool_free(pool, object);
        return;
    }
    CMDI_ASSERT_SLOW(pool->live > 0);
    struct cmdi_pool_item *item = object;
    item->next = pool->free;
    pool->free = item;
    pool->live--;
}

#endif
