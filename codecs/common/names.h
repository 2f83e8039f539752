/* SPDX-License-Identifier: MIT */
/*
 * Rows by their names, where these come in another order than the schema's, or are none of its.
 *
 * A body can be made of nothing but names, and a struct may have thousands of rows. Comparing each
 * with all is the fastest for the few names of an honest body, so it is done as long as what came
 * pays for it; then the rows of that struct go into a table of hashes, once for a body. The table
 * lies in the body's arena: nothing is kept from one body to the next, so nothing can be out of date.
 *
 * The clearing of a field that comes a second time is bounded in the same way. No state, any thread.
 */
#ifndef CMDI_COMMON_NAMES_H
#define CMDI_COMMON_NAMES_H

#include "common/value.h"

/** The rows of one schema. */
struct cmdi_names {
    const struct cmds_schema *schema;
    struct cmdi_names *next; // Of another schema in the same place.
    uint32_t mask;           // Slots - 1; at least half of them are free.
    uint32_t slots[];        // 0: free; else the upper half of the hash, and the row's index + 1.
};

enum {
    CMDI_NAMES_SCHEMAS = 64,
    CMDI_WORK_FACTOR = 4,     // Steps of comparing for each byte of the body,
    CMDI_WORK_MIN = 1024,     // beside so many for nothing.
    CMDI_CLEAR_FACTOR = 64,   // Bytes that are cleared again for each byte of the body,
    CMDI_CLEAR_MIN = 65536,   // beside so many for nothing,
    CMDI_CLEAR_FREE_MAX = 64, // and fields of so many.
};

/** What one body may still cost beside its own length. */
struct cmdi_work {
    struct cmds_arena *arena;
    struct cmdi_names **tables; // NULL until there is one.
    size_t steps_left;          // As long as there are any, names are simply compared.
    size_t clear_left;
};

static inline struct cmdi_work cmdi_work_of(struct cmds_arena *arena, size_t size)
{
    size_t paid = size < SIZE_MAX / 128 ? size : SIZE_MAX / 128;
    return (struct cmdi_work){arena, NULL, CMDI_WORK_MIN + paid * CMDI_WORK_FACTOR,
            CMDI_CLEAR_MIN + paid * CMDI_CLEAR_FACTOR};
}

/** So many names, and bytes of them, were compared. */
static inline void cmdi_work_spend(struct cmdi_work *work, size_t steps)
{
    work->steps_left = work->steps_left > steps ? work->steps_left - steps : 0;
}

/**
 * A field that came before becomes zero again. Returns: 0; CMDS_E_LIMIT: that was done for more than
 * the body's length allows.
 */
static inline int cmdi_work_clear(struct cmdi_work *work, const struct cmds_field *row, uint8_t *at)
{
    size_t size = row->size;
    if (row->kind == CMDS_KIND_TEXT && row->shape == CMDS_SHAPE_ONE) {
        size = strnlen((const char *)at, size); // Behind it everything is zero.
    } else if (size > CMDI_CLEAR_FREE_MAX) {
        if (size > work->clear_left) {
            return CMDS_E_LIMIT;
        }
        work->clear_left -= size;
    }
    memset(at, 0, size);
    return 0;
}

typedef uint32_t (*cmdi_name_hash_fn)(const uint8_t *name, size_t size);

/** The table of this schema, which is made if there is none. Returns: NULL at the arena's bound. */
static inline struct cmdi_names *cmdi_names_of(
        struct cmdi_work *work, const struct cmds_schema *schema, cmdi_name_hash_fn hash_of)
{
    if (work->tables == NULL) {
        size_t size = CMDI_NAMES_SCHEMAS * sizeof(struct cmdi_names *);
        work->tables = cmds_arena_alloc(work->arena, size, _Alignof(struct cmdi_names *));
        if (work->tables == NULL) {
            return NULL;
        }
        memset(work->tables, 0, size);
    }
    size_t place = ((uintptr_t)schema >> 4) * 0x9e3779b1u >> 16;
    struct cmdi_names **head = &work->tables[place % CMDI_NAMES_SCHEMAS];
    for (struct cmdi_names *names = *head; names != NULL; names = names->next) {
        if (names->schema == schema) {
            return names;
        }
    }
    uint32_t count = 4;
    while (count < 2 * schema->field_count) {
        count *= 2;
    }
    size_t size = sizeof(struct cmdi_names) + count * sizeof(uint32_t);
    struct cmdi_names *names = cmds_arena_alloc(work->arena, size, _Alignof(struct cmdi_names));
    if (names == NULL) {
        return NULL;
    }
    memset(names, 0, size);
    names->schema = schema;
    names->mask = count - 1;
    names->next = *head;
    *head = names;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->kind != CMDS_KIND_RESERVED) {
            uint32_t hash = hash_of((const uint8_t *)row->name, strlen(row->name));
            uint32_t slot = hash & names->mask;
            while (names->slots[slot] != 0) {
                slot = (slot + 1) & names->mask;
            }
            names->slots[slot] = (hash & 0xffff0000u) | (i + 1);
        }
    }
    return names;
}
_Static_assert(CMDI_FIELD_COUNT_MAX < 0xffff, "a row's index + 1 has 16 bits");

/**
 * The rows whose names may have this hash, in the order of the schema. *slot: where to go on, at
 * first the hash. Returns: the index + 1; 0: no more.
 */
static inline uint32_t cmdi_names_next(
        const struct cmdi_names *names, uint32_t hash, uint32_t *slot)
{
    for (;;) {
        uint32_t entry = names->slots[*slot & names->mask];
        *slot = (*slot & names->mask) + 1;
        if (entry == 0 || entry >> 16 == hash >> 16) {
            return entry & 0xffff;
        }
    }
}

#endif
