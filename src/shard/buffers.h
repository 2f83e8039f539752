/* SPDX-License-Identifier: MIT */
/*
 * Byte buffers for connections, of one shard: leased in powers of two from 4 KiB, returned when
 * they are empty, so that an idle connection owns none. Last in, first out: the buffer that was
 * just sent is the next one filled, while it is in the cache.
 *
 * Leases count in the shard's account, which bounds them together with all else that the shard
 * holds. A buffer kept for the next lease counts as free: it is freed when its room is needed.
 */
#ifndef CMDI_SHARD_BUFFERS_H
#define CMDI_SHARD_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/account.h"

enum {
    CMDI_BUFFER_SIZE_MIN = 4096,
    // 4 KiB .. 4 MiB are kept for the next lease; larger ones go back to malloc.
    CMDI_BUFFER_CLASSES = 11,
    CMDI_BUFFER_KEPT_SIZE_MAX = 16 * 1024 * 1024, // Free buffers kept, over all classes.
};

struct cmdi_buffer_free {
    struct cmdi_buffer_free *next;
};

struct cmdi_buffers {
    struct cmdi_buffer_free *free[CMDI_BUFFER_CLASSES];
    uint64_t leased_size;
    uint64_t kept_size;
    struct cmdi_account account; // Of all that the shard holds.
};

void cmdi_buffers_init(struct cmdi_buffers *buffers, uint64_t size_max);
/** Frees what is kept. What is leased is the lessee's. */
void cmdi_buffers_fini(struct cmdi_buffers *buffers);
/** Would cmdi_buffers_lease() of this size be allowed? */
bool cmdi_buffers_allow(const struct cmdi_buffers *buffers, size_t size);
/**
 * Room for `size` or more. Gives: cmdi_buffers_return() with the capacity told. Returns: NULL at
 * the limit or without memory.
 */
uint8_t *cmdi_buffers_lease(struct cmdi_buffers *buffers, size_t size, size_t *capacity);
/** The same, from the account's reserve if need be. */
uint8_t *cmdi_buffers_lease_reserve(struct cmdi_buffers *buffers, size_t size, size_t *capacity);
/** What a lease of `size` bytes counts. */
size_t cmdi_buffers_room(size_t size);
/** NULL is fine. */
void cmdi_buffers_return(struct cmdi_buffers *buffers, uint8_t *data, size_t capacity);
/** Gives what is kept back to malloc: called when the shard is quiet. */
void cmdi_buffers_trim(struct cmdi_buffers *buffers);

#endif
