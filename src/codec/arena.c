/* SPDX-License-Identifier: MIT */
/*
 * The slow half of the arena: chunks come and go here. See arena.h for what it is and who may use
 * it.
 *
 * Each chunk is at least twice the one before, so a value of n bytes costs log n of them, once: the
 * reset keeps the newest, which is the largest, and the next value of that size fits into it whole.
 */
#include "codec/arena.h"

#include <stdlib.h>

#include "base/assert.h"

enum {
    CMDI_ARENA_ALIGN_MAX = 16
};

struct cmdi_arena_chunk {
    struct cmdi_arena_chunk *older;
    size_t size; // Of the bytes that follow.
};
_Static_assert(sizeof(struct cmdi_arena_chunk) % CMDI_ARENA_ALIGN_MAX == 0,
        "what follows a chunk's head is aligned");

/*
 * Where an arena without a chunk points: full, aligned, and not NULL, so that the fast path needs
 * no case of its own.
 */
static _Alignas(CMDI_ARENA_ALIGN_MAX) uint8_t arena_nothing[CMDI_ARENA_ALIGN_MAX];

void cmdi_arena_init(struct cmds_arena *arena, size_t size_max)
{
    *arena = (struct cmds_arena){.at = arena_nothing,
            .end = arena_nothing,
            .base = arena_nothing,
            .size_max = size_max,
            .use_max = SIZE_MAX};
    cmdi_list_init(&arena->trim.link);
}

static void arena_on_trim(struct cmdi_trim *trim)
{
    cmdi_arena_fini(CMDI_CONTAINER(trim, struct cmds_arena, trim));
}

void cmdi_arena_charge_to(struct cmds_arena *arena, struct cmdi_account *account)
{
    CMDI_ASSERT(arena->account == NULL && arena->chunk == NULL);
    arena->account = account;
    arena->trim.fn = arena_on_trim;
}

static void chunks_free(struct cmds_arena *arena, struct cmdi_arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct cmdi_arena_chunk *older = chunk->older;
        cmdi_account_sub(arena->account, chunk->size);
        free(chunk);
        chunk = older;
    }
}

void cmdi_arena_fini(struct cmds_arena *arena)
{
    struct cmdi_account *account = arena->account;
    size_t use_max = arena->use_max; // Of the value that comes next.
    chunks_free(arena, arena->chunk);
    if (account != NULL) {
        cmdi_list_remove(&arena->trim.link);
    }
    cmdi_arena_init(arena, arena->size_max);
    arena->use_max = use_max;
    if (account != NULL) {
        cmdi_arena_charge_to(arena, account);
    }
}

/* The newest chunk, as far as the value may use it. */
static void chunk_enter(struct cmds_arena *arena)
{
    size_t left = arena->use_max > arena->used ? arena->use_max - arena->used : 0;
    size_t size = arena->chunk->size < left ? arena->chunk->size : left;
    arena->base = (uint8_t *)(arena->chunk + 1);
    arena->at = arena->base;
    arena->end = arena->base + (size & ~(size_t)(CMDI_ARENA_ALIGN_MAX - 1));
    CMDI_ASSERT((uintptr_t)arena->base % CMDI_ARENA_ALIGN_MAX == 0); // malloc's, and our head.
}

/* Twice the last chunk, or as much as is asked for, as long as the bound allows it. */
static size_t chunk_size_next(const struct cmds_arena *arena, size_t need)
{
    size_t size = arena->chunk != NULL ? 2 * arena->chunk->size : CMDI_ARENA_CHUNK_MIN;
    size_t room = arena->size_max > arena->size ? arena->size_max - arena->size : 0;
    if (size < need) {
        size = need;
    }
    if (size > room) {
        size = room;
    }
    size &= ~(size_t)(CMDI_ARENA_ALIGN_MAX - 1); // `at` can then never pass `end` by aligning.
    return size >= need ? size : 0;
}

/* Of `*size` bytes; where the shard has not as many, of `need`. */
static struct cmdi_arena_chunk *chunk_create(struct cmds_arena *arena, size_t *size, size_t need)
{
    if (!cmdi_account_charge_reserve(arena->account, *size)) {
        *size = need;
        if (!cmdi_account_charge_reserve(arena->account, need)) {
            return NULL;
        }
    }
    struct cmdi_arena_chunk *chunk = malloc(sizeof(*chunk) + *size);
    if (chunk == NULL) {
        cmdi_account_sub(arena->account, *size);
    }
    return chunk;
}

void *cmdi_arena_alloc_slow(struct cmds_arena *arena, size_t size, size_t align)
{
    CMDI_ASSERT(align > 0 && align <= CMDI_ARENA_ALIGN_MAX && (align & (align - 1)) == 0);
    if (size == 0) {
        // A byte, so that the pointer is no NULL: that means failure.
        return cmdi_arena_alloc(arena, 1, align);
    }
    if (size > SIZE_MAX / 4) {
        return NULL;
    }
    size_t need = (size + CMDI_ARENA_ALIGN_MAX - 1) & ~(size_t)(CMDI_ARENA_ALIGN_MAX - 1);
    size_t used = arena->used + (size_t)(arena->at - arena->base);
    size_t chunk_size = chunk_size_next(arena, need);
    if (chunk_size == 0 || used > arena->use_max || need > arena->use_max - used) {
        return NULL;
    }
    struct cmdi_arena_chunk *chunk = chunk_create(arena, &chunk_size, need);
    if (chunk == NULL) {
        arena->no_memory = true;
        arena->grown = true; // So that the reset comes by and forgets it.
        return NULL;
    }
    CMDI_ASSERT(chunk_size >= need && chunk_size <= arena->size_max - arena->size);
    cmdi_account_add_trim(arena->account, &arena->trim);
    chunk->older = arena->chunk;
    chunk->size = chunk_size;
    arena->grown = arena->grown || chunk->older != NULL || chunk_size > CMDI_ARENA_KEEP_MAX;
    arena->chunk = chunk;
    arena->size += chunk_size;
    arena->used = used;
    chunk_enter(arena);
    CMDI_ASSERT(size <= (size_t)(arena->end - arena->base));
    arena->at = arena->base + size;
    return arena->base;
}

void cmdi_arena_rewind_slow(struct cmds_arena *arena, struct cmdi_arena_chunk *chunk)
{
    while (arena->chunk != chunk) {
        struct cmdi_arena_chunk *newest = arena->chunk;
        arena->chunk = newest->older;
        arena->size -= newest->size;
        newest->older = NULL;
        chunks_free(arena, newest);
    }
}

void cmdi_arena_reset_slow(struct cmds_arena *arena)
{
    struct cmdi_arena_chunk *chunk = arena->chunk;
    arena->no_memory = false;
    if (chunk != NULL) {
        bool calm =
                chunk->older == NULL && (size_t)(arena->at - arena->base) <= CMDI_ARENA_KEEP_MAX;
        arena->calm_count = calm ? arena->calm_count + 1 : 0;
        chunks_free(arena, chunk->older);
        chunk->older = NULL;
        arena->size = chunk->size;
    }
    arena->grown = arena->size > CMDI_ARENA_KEEP_MAX;
    if (CMDI_POOLS_KEEP_NOTHING) {
        cmdi_arena_fini(arena);
    } else if (arena->grown && arena->calm_count >= CMDI_ARENA_CALM_COUNT) {
        cmdi_arena_fini(arena);
    }
    arena->used = 0;
    if (arena->chunk != NULL) {
        chunk_enter(arena);
    }
}

void *cmds_arena_alloc(struct cmds_arena *arena, size_t size, size_t align)
{
    return cmdi_arena_alloc(arena, size, align);
}
