/* SPDX-License-Identifier: MIT */
/*
 * Counters of the objects that <cmdstream/stats.h> lists. Each object has a block of them on each
 * shard: plain uint64_t, written by the shard's thread alone, read by any thread at any time. So a
 * count is a load, an addition and a store; the block lies in the object's part on the shard, which is
 * in the cache when there is something to count.
 */
#ifndef CMDI_BASE_COUNT_H
#define CMDI_BASE_COUNT_H

#include <string.h>

#include <cmdstream/stats.h>

#include "base/alone.h"
#include "base/assert.h"

/** `number` events of one kind. */
#define CMDI_COUNT(block, name, number) cmdi_alone_add(&(block)->name, (uint64_t)(number))
/** So much more of a quantity; less: a negative `delta`. */
#define CMDI_GAUGE(block, name, delta) cmdi_alone_add(&(block)->name, (uint64_t)(int64_t)(delta))

/** The connections' part of a block, which a struct cmdi_conn points to. */
struct cmdi_conn_counters {
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_CONNECTION_COUNTERS(CMDI_X_)
#undef CMDI_X_
};

/** Of what TLS counts, likewise. */
struct cmdi_tls_counters {
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_TLS_COUNTERS(CMDI_X_)
#undef CMDI_X_
};

/** The public struct of this kind has these rows, in this order, behind its size. */
#define CMDI_COUNTERS_MATCH(block, counters)                                                       \
    _Static_assert(                                                                                \
            sizeof(block) + offsetof(counters, unused) + sizeof(uint32_t) == sizeof(counters),     \
            "a block has the rows of the public struct")

/** Adds each row of `block` to the same one of `sums`. */
static inline void cmdi_counters_add_rows(uint64_t *sums, const void *block, size_t block_size)
{
    const uint64_t *rows = block;
    CMDI_ASSERT(block_size % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < block_size / sizeof(uint64_t); i++) {
        sums[i] += __atomic_load_n(&rows[i], __ATOMIC_RELAXED);
    }
}

/** The same to `counters`, whose rows begin behind struct_size and unused. */
static inline void cmdi_counters_add(void *counters, const void *block, size_t block_size)
{
    cmdi_counters_add_rows((uint64_t *)counters + 1, block, block_size);
}

/** Gives `size` bytes of sums to a program's struct, of which it has struct_size. */
static inline void cmdi_counters_give(void *theirs, const void *sums, size_t size)
{
    uint32_t struct_size;
    memcpy(&struct_size, theirs, sizeof(struct_size));
    size = struct_size < size ? struct_size : size;
    if (size > sizeof(struct_size)) {
        memcpy((char *)theirs + sizeof(struct_size), (const char *)sums + sizeof(struct_size),
                size - sizeof(struct_size));
    }
}

#endif
