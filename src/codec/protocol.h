/* SPDX-License-Identifier: MIT */
/*
 * A list of types as the wire asks for it: by number.
 *
 * Built once at start from a protocol that cmds_protocol_check() has passed, constant afterwards,
 * so any thread reads it without a lock. Numbers up to 255 are an index; the few
 * that are larger are searched. An entry carries what else is asked of a type for every message,
 * worked out beforehand: which byte of a value says that it is the last result.
 */
#ifndef CMDI_CODEC_PROTOCOL_H
#define CMDI_CODEC_PROTOCOL_H

#include <cmdstream/codec.h>
#include <cmdstream/schema.h>

#include "base/hint.h"

enum {
    CMDI_TYPE_DENSE_MAX = 256, // Numbers below it are an index.
    CMDI_DEPTH_MAX = 32, // Structs, arrays and maps inside each other; the decoders refuse more.
    // The macros make at most 64; a program that learns types at run time may have more.
    CMDI_FIELD_COUNT_MAX = 4096,
    CMDI_VALUE_SIZE_MAX = 65536,
    CMDI_TRACED_SIZE_MAX = 4096, // Of a traced type's value.
    CMDI_ERROR_SIZE_MAX = 1024,  // Of an error result's.
};

struct cmdi_type_entry {
    const struct cmds_type *type;    // NULL: no type has this number.
    uint32_t last_offset;            // Of the CMDS_LAST member, or one of the next.
    uint16_t command_offset;         // Of a traced type: of its command. Else 0.
    uint16_t place;                  // In the list that the table was made of.
    const struct cmds_type *command; // What is executed: the table's own, mostly `type`.
    // Carries that one with a context; NULL: none does.
    const struct cmdi_type_entry *traced;
};
/* Instead of an offset: no value is that large. */
enum {
    CMDI_LAST_ALWAYS = CMDI_VALUE_SIZE_MAX,
    CMDI_LAST_NEVER,
    CMDI_LAST_ASK,
    CMDI_LAST_ERROR, // Always, and it says that its command failed.
};

_Static_assert(offsetof(struct cmdi_type_entry, place) + sizeof(uint16_t) ==
                       offsetof(struct cmdi_type_entry, last_offset) + sizeof(uint64_t),
        "a mark has both");

/**
 * What a row of results is to those who count: all that they ask of it in one number, which is the same in
 * two tables of one protocol. Not 0 of a row that says CMDI_LAST_ALWAYS.
 */
static inline uint64_t cmdi_type_mark(const struct cmdi_type_entry *entry)
{
    uint64_t mark;
    memcpy(&mark, (const char *)entry + offsetof(struct cmdi_type_entry, last_offset),
            sizeof(mark));
    return mark;
}
static inline uint32_t cmdi_type_mark_place(uint64_t mark)
{
    struct cmdi_type_entry entry;
    memcpy((char *)&entry + offsetof(struct cmdi_type_entry, last_offset), &mark, sizeof(mark));
    return entry.place;
}

struct cmdi_type_table {
    struct cmdi_type_entry *entries; // dense_count by number, then sparse_count sorted by number.
    uint32_t dense_count, sparse_count;
};

/** Of a traced type: what it carries; NULL: it is none. */
static inline const struct cmds_type *cmdi_type_traces(const struct cmds_type *type)
{
    const size_t known = offsetof(struct cmds_type, traces) + sizeof(type->traces);
    return type->struct_size >= known ? type->traces : NULL;
}
/** The two rows of a traced type that was checked. */
static inline const struct cmds_field *cmdi_traced_carrier(const struct cmds_type *traced)
{
    return cmds_schema_field(traced->schema, 0);
}
static inline const struct cmds_field *cmdi_traced_command(const struct cmds_type *traced)
{
    return cmds_schema_field(traced->schema, 1);
}

/** A result that says that its command failed. */
static inline bool cmdi_type_is_error(const struct cmds_type *type)
{
    return (type->flags & CMDS_TYPE_ERROR) != 0;
}
/** Its members, of a type that was checked. */
static inline uint32_t cmdi_error_code_offset(const struct cmds_type *type)
{
    return type->error_members % 65536;
}
static inline uint32_t cmdi_error_text_offset(const struct cmds_type *type)
{
    return type->error_members / 65536;
}
/** Can the library fill it in, and does it end its command? Of a schema that was checked. */
int cmdi_error_type_check(const struct cmds_type *type, struct cmds_error *error);
/** The row at this offset. Returns: NULL: there is none. */
const struct cmds_field *cmdi_schema_field_at(const struct cmds_schema *schema, uint32_t offset);

/**
 * Owner:   keeps the types, not the list; the table is given back with fini.
 * Thread:  setup.
 * Returns: 0, -ENOMEM.
 */
CMDS_NODISCARD int cmdi_type_table_init(
        struct cmdi_type_table *table, const struct cmds_type *const *types, uint32_t count);
/** A zeroed one is fine. Thread: setup. */
void cmdi_type_table_fini(struct cmdi_type_table *table);
struct cmdi_type_entry *cmdi_type_table_search(
        const struct cmdi_type_table *table, uint64_t number);
/** What cmdi_type_same() leaves over: two objects. */
bool cmdi_type_same_slow(const struct cmds_type *own, const struct cmds_type *other);
/** Do their rows say the same? Of two, one is checked. */
bool cmdi_schema_same(const struct cmds_schema *own, const struct cmds_schema *other);
/** A type may be gone from now on, and another one lie there: forgets which pairs are the same. */
void cmdi_types_forget(void);
/** As cmdi_type_is_last(), of a type without a field that says it. */
bool cmdi_type_is_last_slow(const struct cmdi_type_entry *entry, const void *value);

/**
 * The same type, be it another object: the protocol's header makes one in each source file that
 * includes it. `own` is one of a checked protocol. Thread: any.
 */
static inline bool cmdi_type_same(const struct cmds_type *own, const struct cmds_type *other)
{
    return CMDI_LIKELY(own == other) || cmdi_type_same_slow(own, other);
}

static inline struct cmdi_type_entry *cmdi_type_table_entry(
        const struct cmdi_type_table *table, uint64_t number)
{
    if (CMDI_LIKELY(number < table->dense_count)) {
        struct cmdi_type_entry *entry = &table->entries[number];
        return entry->type != NULL ? entry : NULL;
    }
    return table->sparse_count > 0 ? cmdi_type_table_search(table, number) : NULL;
}

/** Thread: any. Returns: NULL if no type of the list has this number on the wire. */
static inline const struct cmds_type *cmdi_type_table_find(
        const struct cmdi_type_table *table, uint64_t number)
{
    const struct cmdi_type_entry *entry = cmdi_type_table_entry(table, number);
    return entry != NULL ? entry->type : NULL;
}

/** Is it a type of this list, be it by another source file's name? Thread: any. */
static inline struct cmdi_type_entry *cmdi_type_table_of(
        const struct cmdi_type_table *table, const struct cmds_type *type)
{
    struct cmdi_type_entry *entry =
            type != NULL ? cmdi_type_table_entry(table, type->number) : NULL;
    return entry != NULL && cmdi_type_same(entry->type, type) ? entry : NULL;
}
static inline bool cmdi_type_table_has(
        const struct cmdi_type_table *table, const struct cmds_type *type)
{
    return cmdi_type_table_of(table, type) != NULL;
}

/** Does this value, of the entry's type, end its command? Thread: any. */
static inline bool cmdi_type_is_last(const struct cmdi_type_entry *entry, const void *value)
{
    if (CMDI_LIKELY(entry->last_offset == CMDI_LAST_ALWAYS)) {
        return true;
    }
    return entry->last_offset < CMDI_LAST_ALWAYS // A stream's field.
                   ? ((const unsigned char *)value)[entry->last_offset] != 0
                   : cmdi_type_is_last_slow(entry, value);
}

/** Does this value end its command? `type` is one of the table's. Thread: any. */
static inline bool cmdi_type_table_is_last(
        const struct cmdi_type_table *table, const struct cmds_type *type, const void *value)
{
    return cmdi_type_is_last(cmdi_type_table_entry(table, type->number), value);
}

#endif
