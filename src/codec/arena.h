/* SPDX-License-Identifier: MIT */
/*
 * Memory for what a decoded value points to, given back all at once.
 *
 * Bump allocation in chunks: a decode takes what it needs, the reset takes all of it back in
 * constant time and keeps the chunk, so after a short warm-up decoding calls no malloc. The first
 * chunk comes with the first allocation: an arena that is never used costs nothing. Capacity, not
 * use, counts against the bound, so that the bound holds for the process. A chunk that grew beyond
 * 64 KiB is kept only while values need it. One thread at a time: a shard's own, or one decode's.
 *
 * What a value may take depends on how many bytes it came in, so that a few bytes cannot make us
 * clear megabytes: see cmdi_arena_begin(). Use counts here, not capacity.
 *
 *     base            at                end
 *     |  handed out   |      free       |         base, at, end: of the newest chunk, which is also the largest
 */
#ifndef CMDI_CODEC_ARENA_H
#define CMDI_CODEC_ARENA_H

#include <cmdstream/codec.h>

#include "base/account.h"
#include "base/hint.h"
#include "base/pool.h"

enum {
    CMDI_ARENA_CHUNK_MIN = 4096,
    // A larger chunk goes back to the system after CALM_COUNT resets without a use for it.
    CMDI_ARENA_KEEP_MAX = 65536,
    CMDI_ARENA_CALM_COUNT = 64,
    // Bytes that a value may take: USE_MIN, a chunk that is kept, and so many for each byte it came in.
    CMDI_ARENA_USE_FACTOR = 64,
    CMDI_ARENA_USE_MIN = CMDI_ARENA_KEEP_MAX,
};

struct cmdi_arena_chunk;

struct cmds_arena {
    uint8_t *at, *end, *base;
    struct cmdi_arena_chunk *chunk; // The newest; older ones, of this decode only, hang behind it.
    size_t size, size_max;          // Capacity of all chunks, and its bound.
    size_t used, use_max;           // Handed out of the older chunks; the bound of all use.
    uint32_t calm_count;            // Resets in a row that found the large chunk hardly used.
    bool grown; // The next reset has work to do: several chunks, or a large one.
    // Since the last reset there was no memory, or not for this shard: tells -ENOMEM from
    // CMDS_E_LIMIT.
    bool no_memory;
    struct cmdi_account *account; // NULL: not counted.
    struct cmdi_trim trim;
};

/** No memory is taken yet. Thread: any. */
void cmdi_arena_init(struct cmds_arena *arena, size_t size_max);
/**
 * Its chunks count there from now on, and cmdi_account_trim() reaches it: then nothing that it
 * handed out may be in use. No memory was taken yet.
 */
void cmdi_arena_charge_to(struct cmds_arena *arena, struct cmdi_account *account);
/** A zeroed one is fine. Everything that was handed out is gone. */
void cmdi_arena_fini(struct cmds_arena *arena);
/** The slow cases of the inline functions below. */
void *cmdi_arena_alloc_slow(struct cmds_arena *arena, size_t size, size_t align);
void cmdi_arena_rewind_slow(struct cmds_arena *arena, struct cmdi_arena_chunk *chunk);
void cmdi_arena_reset_slow(struct cmds_arena *arena);

/** cmds_arena_alloc() for our own decoders. */
static inline void *cmdi_arena_alloc(struct cmds_arena *arena, size_t size, size_t align)
{
    uint8_t *at = arena->at + (-(uintptr_t)arena->at & (align - 1));
    // A size of 0 wraps and takes the slow way. Chunks end at a multiple of 16, so `at` is never
    // beyond the end.
    if (CMDI_LIKELY(size - 1 < (size_t)(arena->end - at))) {
        arena->at = at + size;
        return at;
    }
    return cmdi_arena_alloc_slow(arena, size, align);
}

/** How far it has come, for a decoder that may want to begin once more. */
struct cmdi_arena_mark {
    struct cmdi_arena_chunk *chunk;
    uint8_t *at, *end, *base;
    size_t used;
};

static inline struct cmdi_arena_mark cmdi_arena_mark(const struct cmds_arena *arena)
{
    return (struct cmdi_arena_mark){arena->chunk, arena->at, arena->end, arena->base, arena->used};
}

/** What was handed out since the mark is gone; what came before it stays. Not across a reset. */
static inline void cmdi_arena_rewind(struct cmds_arena *arena, const struct cmdi_arena_mark *mark)
{
    if (CMDI_UNLIKELY(arena->chunk != mark->chunk)) {
        cmdi_arena_rewind_slow(arena, mark->chunk);
    }
    arena->at = mark->at;
    arena->end = mark->end;
    arena->base = mark->base;
    arena->used = mark->used;
}

/** Everything that was handed out is gone; the memory stays for the next value, whatever it takes. */
static inline void cmdi_arena_reset(struct cmds_arena *arena)
{
    if (CMDI_POOLS_KEEP_NOTHING || CMDI_UNLIKELY(arena->grown)) {
        cmdi_arena_reset_slow(arena);
        return;
    }
    arena->at = arena->base;
    arena->used = 0;
}

/**
 * The same for a value of `value_size` bytes that came in `size` bytes, which are in memory, and takes no more
 * than these allow.
 */
static inline void cmdi_arena_begin(struct cmds_arena *arena, size_t value_size, size_t size)
{
    CMDI_ASSERT_SLOW(size < SIZE_MAX / 2 / CMDI_ARENA_USE_FACTOR);
    arena->use_max = value_size + CMDI_ARENA_USE_MIN + size * CMDI_ARENA_USE_FACTOR;
    cmdi_arena_reset(arena); // A chunk of at most CMDI_ARENA_USE_MIN needs no look at the bound.
}

/** Behind cmdi_arena_begin() and before anything else: the value itself, aligned as whatever malloc() gives. */
static inline void *cmdi_arena_first(struct cmds_arena *arena, size_t size)
{
    uint8_t *at = arena->at; // Where a chunk begins.
    CMDI_ASSERT_SLOW((uintptr_t)at % _Alignof(max_align_t) == 0);
    if (CMDI_LIKELY(size - 1 < (size_t)(arena->end - at))) {
        arena->at = at + size;
        return at;
    }
    return cmdi_arena_alloc_slow(arena, size, _Alignof(max_align_t));
}

#endif
