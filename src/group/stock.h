/* SPDX-License-Identifier: MIT */
/*
 * Objects that one thread takes and another one gives back, without a malloc for each: what a command
 * carries beside itself from its sender to the shard of its connection.
 *
 * A stock is a shard's own, which takes from it without a lock, or of all other threads, under one. An
 * object goes back to where it is from: by another thread through a list, which the shard takes over
 * when it has no other.
 */
#ifndef CMDI_GROUP_STOCK_H
#define CMDI_GROUP_STOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"

struct cmdi_shard;
struct cmdi_stock;

/** What each object begins with. */
struct cmdi_stocked {
    struct cmdi_stocked *next; // In `returned`.
    struct cmdi_stock *home;
};

struct cmdi_stock {
    struct cmdi_pool pool;
    struct cmdi_shard *shard; // Whose it is; NULL: of all other threads.
    pthread_mutex_t lock;     // Without a shard.
    _Atomic(struct cmdi_stocked *) returned;
};

/** `shard` NULL: of all threads. Thread: setup. */
void cmdi_stock_init(struct cmdi_stock *stock, size_t size, struct cmdi_shard *shard);
/** The shard lets go of it; what is out may still come back. Thread: its shard. */
void cmdi_stock_leave(struct cmdi_stock *stock);
/** Nothing is out. A zeroed one is fine. Thread: any. */
void cmdi_stock_fini(struct cmdi_stock *stock);
/** Thread: its shard; without one any. Returns: undefined content but for the head; NULL. */
void *cmdi_stock_take(struct cmdi_stock *stock);
/** Thread: any. */
void cmdi_stock_give_back(struct cmdi_stocked *object);

#endif
