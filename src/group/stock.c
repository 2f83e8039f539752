/* SPDX-License-Identifier: MIT */
/* Objects that come and go on different threads. See stock.h. */
#include "group/stock.h"

#include "base/assert.h"
#include "base/hint.h"
#include "shard/shard.h"

void cmdi_stock_init(struct cmdi_stock *stock, size_t size, struct cmdi_shard *shard)
{
    CMDI_ASSERT(size >= sizeof(struct cmdi_stocked));
    stock->shard = shard;
    atomic_store(&stock->returned, NULL);
    cmdi_pool_init(&stock->pool, size);
    if (shard != NULL) {
        cmdi_pool_charge_to(&stock->pool, &shard->buffers.account);
    }
    (void)pthread_mutex_init(&stock->lock, NULL); // Cannot fail without attributes.
}

static void stock_take_returned(struct cmdi_stock *stock)
{
    struct cmdi_stocked *object = atomic_exchange(&stock->returned, NULL);
    while (object != NULL) {
        struct cmdi_stocked *next = object->next;
        cmdi_pool_release(&stock->pool, object);
        object = next;
    }
}

void cmdi_stock_leave(struct cmdi_stock *stock)
{
    cmdi_pool_leave(&stock->pool);
}

void cmdi_stock_fini(struct cmdi_stock *stock)
{
    if (stock->pool.item_size > 0) {
        stock_take_returned(stock);
        CMDI_ASSERT(stock->pool.live == 0);
        cmdi_pool_fini(&stock->pool);
        (void)pthread_mutex_destroy(&stock->lock);
    }
}

static struct cmdi_stocked *stock_take_locked(struct cmdi_stock *stock)
{
    pthread_mutex_lock(&stock->lock);
    struct cmdi_stocked *object = cmdi_pool_acquire(&stock->pool);
    pthread_mutex_unlock(&stock->lock);
    return object;
}

void *cmdi_stock_take(struct cmdi_stock *stock)
{
    struct cmdi_stocked *object = NULL;
    if (CMDI_LIKELY(stock->shard != NULL)) {
        if (CMDI_UNLIKELY(stock->pool.free == NULL)) {
            stock_take_returned(stock);
        }
        object = cmdi_pool_acquire(&stock->pool);
    } else {
        object = stock_take_locked(stock);
    }
    if (CMDI_LIKELY(object != NULL)) {
        object->home = stock;
    }
    return object;
}

void cmdi_stock_give_back(struct cmdi_stocked *object)
{
    struct cmdi_stock *home = object->home;
    if (home->shard == NULL) {
        pthread_mutex_lock(&home->lock);
        cmdi_pool_release(&home->pool, object);
        pthread_mutex_unlock(&home->lock);
    } else if (CMDI_LIKELY(home->shard == cmdi_shard_current())) {
        cmdi_pool_release(&home->pool, object);
    } else {
        object->next = atomic_load(&home->returned);
        while (!atomic_compare_exchange_weak(&home->returned, &object->next, object)) {
            // `next` is what somebody else has just put there.
        }
    }
}
