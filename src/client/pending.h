/* SPDX-License-Identifier: MIT */
/*
 * The commands of one connection that are not answered yet, by sequence.
 *
 * Sequences are dense and grow by one, so the bucket is `sequence & mask` and nearly every chain
 * has one entry. The table begins with buckets of its own, doubles when it holds more entries than
 * buckets, and goes back to its own when it has been empty: an idle connection owns nothing.
 * Entries come from a pool of the caller. Values only, no I/O; one thread.
 */
#ifndef CMDI_CLIENT_PENDING_H
#define CMDI_CLIENT_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/client.h>

#include "base/hint.h"

struct cmdi_pending_extra;

enum {
    CMDI_PENDING_BUCKETS_MIN = 16,
};

enum cmdi_pending_flag {
    CMDI_PENDING_ENDED = 1, // In the list of those whose callback is due: not waited for any more.
    CMDI_PENDING_OUT = 2,   // ... and out of the table already.
    CMDI_PENDING_ANSWERED = 4, // It has had a result.
    CMDI_PENDING_PLACE_SHIFT = 16,
};

/**
 * One command. A tombstone (`on_result` NULL) is one that nobody waits for, but that the server
 * still may answer.
 */
struct cmdi_pending {
    struct cmdi_pending *next; // In its bucket.
    uint64_t sequence;
    union {
        uint64_t deadline_ms;    // Of the shard's clock; UINT64_MAX: none. Valid without ENDED.
        uint64_t ended_begun_ns; // What begun_ns was. Valid with it.
    };
    cmds_result_fn on_result;
    void *context;
    struct cmdi_pending_extra *extra; // NULL: it has no more than this.
    union {
        struct cmdi_pending *ended_next; // Valid with CMDI_PENDING_ENDED.
        uint64_t begun_ns;               // When it was sent, as of a command. Valid without.
    };
    union {
        uint32_t sent_us; // Of the shard's clock, its low half. Valid without CMDI_PENDING_ENDED.
        int32_t error;    // Valid with it.
    };
    uint32_t flags; // enum cmdi_pending_flag; the upper half is the place of the command's type.
};
_Static_assert(sizeof(struct cmdi_pending) <= 64, "a pending command is one cache line");

struct cmdi_pending_table {
    struct cmdi_pending **buckets; // `first`, or malloc'ed.
    uint32_t mask, count;
    struct cmdi_pending *first[CMDI_PENDING_BUCKETS_MIN];
};

/** The table does not move from here on. */
void cmdi_pending_init(struct cmdi_pending_table *table);
/** The entries are the pool's. */
void cmdi_pending_fini(struct cmdi_pending_table *table);
/** More buckets. Without memory the chains grow instead. */
void cmdi_pending_grow(struct cmdi_pending_table *table);
/** Back to its own buckets, if it is empty. */
void cmdi_pending_trim(struct cmdi_pending_table *table);
/** Takes out an entry that is in it, and not the first of its chain. */
void cmdi_pending_remove_slow(struct cmdi_pending_table *table, struct cmdi_pending *entry);
/**
 * Takes out any one. Returns: NULL when it is empty. `*bucket` begins at 0 and remembers how far it
 * is.
 */
struct cmdi_pending *cmdi_pending_pop(struct cmdi_pending_table *table, uint32_t *bucket);

static inline void cmdi_pending_insert(struct cmdi_pending_table *table, struct cmdi_pending *entry)
{
    if (CMDI_UNLIKELY(table->count > table->mask)) {
        cmdi_pending_grow(table);
    }
    struct cmdi_pending **bucket = &table->buckets[entry->sequence & table->mask];
    entry->next = *bucket;
    *bucket = entry;
    table->count++;
}

/** Takes out an entry that is in it. */
static inline void cmdi_pending_remove(struct cmdi_pending_table *table, struct cmdi_pending *entry)
{
    struct cmdi_pending **bucket = &table->buckets[entry->sequence & table->mask];
    if (CMDI_UNLIKELY(*bucket != entry)) {
        cmdi_pending_remove_slow(table, entry);
        return;
    }
    *bucket = entry->next;
    table->count--;
}

/** Returns: NULL if no command of this sequence is there. */
static inline struct cmdi_pending *cmdi_pending_find(
        const struct cmdi_pending_table *table, uint64_t sequence)
{
    struct cmdi_pending *entry = table->buckets[sequence & table->mask];
    while (entry != NULL && entry->sequence != sequence) {
        entry = entry->next;
    }
    return entry;
}

/** It is in the list of those whose callback is due: its times are where they are kept then. */
static inline void cmdi_pending_mark_ended(struct cmdi_pending *entry, int code)
{
    entry->ended_begun_ns = entry->begun_ns;
    entry->ended_next = NULL;
    entry->error = code;
    entry->flags |= CMDI_PENDING_ENDED;
}
/** Somebody waits for its result. */
static inline bool cmdi_pending_is_awaited(const struct cmdi_pending *entry)
{
    return entry->on_result != NULL && (entry->flags & CMDI_PENDING_ENDED) == 0;
}
/** Of one up to this sequence? Looks at all of them. */
bool cmdi_pending_any_awaited(const struct cmdi_pending_table *table, uint64_t sequence_max);

#endif
