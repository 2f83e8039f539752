/* SPDX-License-Identifier: MIT */
/*
 * What the codecs that walk a schema by themselves share: reading and writing the members of a
 * value in memory, the checks of what a program hands over, and the numbers that most formats are
 * made of.
 *
 * All inline: a codec is a library of its own and sees of the core only what every program sees.
 * Members are read and written by memcpy, because a row says where they lie and not what they are.
 * No state, any thread.
 */
#ifndef CMDI_COMMON_VALUE_H
#define CMDI_COMMON_VALUE_H

#include <errno.h>

#include <cmdstream/codec.h>

#include "base/hint.h"
#include "codec/protocol.h"
#include "codec/value.h"

/* The walk over a struct gets a copy of the code for one item; other callers call a function. */
#define CMDI_INLINED inline __attribute__((always_inline))

#define CMDI_LOAD(type, from)                                                                      \
    __extension__({                                                                                \
        type loaded_;                                                                              \
        memcpy(&loaded_, (from), sizeof(loaded_));                                                 \
        loaded_;                                                                                   \
    })
#define CMDI_STORE(type, to, value)                                                                \
    do {                                                                                           \
        type stored_ = (value);                                                                    \
        memcpy((to), &stored_, sizeof(stored_));                                                   \
    } while (0)

_Static_assert(sizeof(struct cmds_string) == sizeof(struct cmds_bytes) &&
                       offsetof(struct cmds_string, size) == offsetof(struct cmds_bytes, size),
        "a field of either is read as bytes");
_Static_assert(sizeof(struct cmds_map) == sizeof(struct cmdi_array) &&
                       offsetof(struct cmds_map, count) == offsetof(struct cmdi_array, count),
        "a map is an array of pairs");

static inline const struct cmds_field *cmdi_row_after(const struct cmds_field *row, uint32_t stride)
{
    const void *next = (const char *)row + stride;
    return (const struct cmds_field *)next;
}

/** Kind and shape, for one look at both: of a plain member it is the kind. */
static CMDI_INLINED unsigned cmdi_row_form(const struct cmds_field *row)
{
    return row->kind | (unsigned)row->shape << 8;
}
_Static_assert(CMDS_SHAPE_ONE == 0, "the form of a plain member is its kind");

/** Behind the last row. */
static CMDI_INLINED const struct cmds_field *cmdi_rows_end(const struct cmds_schema *schema)
{
    return cmds_schema_field(schema, schema->field_count);
}

/** The length of its name. It is counted only for tables by hand, and for names of more than 255 bytes. */
static inline size_t cmdi_row_name_size(const struct cmds_field *row)
{
    return CMDI_LIKELY(row->name_size != 0) ? row->name_size : strlen(row->name);
}

/**
 * Has the row exactly this name? Most differ in their length or their first byte. The name is a peer's, and
 * may have a NUL in it, which none of ours has; a removed row has no name at all.
 */
static inline bool cmdi_row_is_named(const struct cmds_field *row, const void *name, size_t size)
{
    const char *own = row->name, *other = name;
    if (row->kind == CMDS_KIND_RESERVED || (row->name_size != 0 && row->name_size != size)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (own[i] != other[i] || own[i] == '\0') {
            return false;
        }
    }
    return own[size] == '\0';
}

/** What all borrowed things must be: there, where the program says so, and within the limit. */
static inline int cmdi_span_check(const void *data, size_t size, size_t size_max)
{
    if (CMDI_UNLIKELY(size > size_max)) {
        return CMDS_E_LIMIT;
    }
    return CMDI_UNLIKELY(data == NULL && size != 0) ? -EINVAL : 0;
}

/**
 * The length of a char[N]. Returns: CMDS_E_LIMIT: not terminated, or longer than the row allows.
 */
static inline int64_t cmdi_text_length(
        const struct cmds_field *row, const uint8_t *at, uint32_t size_max)
{
    size_t size = strnlen((const char *)at, row->item_size);
    bool fits = size < row->item_size && (size_max == 0 || size <= size_max);
    return fits ? (int64_t)size : CMDS_E_LIMIT;
}

/**
 * Text that came for a char[N], which is zero or holds an earlier text: as much of that is cleared
 * as came before, so a field that comes again and again costs what it says and not N.
 */
static inline int cmdi_text_store(
        const struct cmds_field *row, uint8_t *to, struct cmds_bytes text, uint32_t size_max)
{
    if (text.size >= row->item_size || (size_max != 0 && text.size > size_max)) {
        return CMDS_E_LIMIT;
    }
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL) {
        return CMDS_E_PROTO; // A C string would end there, and two names become one.
    }
    size_t before = strnlen((const char *)to, row->item_size);
    if (text.size > 0) {
        memcpy(to, text.data, text.size);
    }
    if (before > text.size) {
        memset(to + text.size, 0, before - text.size);
    }
    return 0;
}

/* --- Integers of every width ------------------------------------------------------------------ */

static CMDI_INLINED bool cmdi_kind_is_signed(uint8_t kind)
{
    return kind >= CMDS_KIND_I8 && kind <= CMDS_KIND_I64;
}
_Static_assert(CMDS_KIND_I8 + 3 == CMDS_KIND_I64 && CMDS_KIND_U8 + 3 == CMDS_KIND_U64 &&
                       CMDS_KIND_I64 < CMDS_KIND_U8,
        "the integer kinds stand in order of their width");

static CMDI_INLINED bool cmdi_kind_is_integer(uint8_t kind)
{
    return kind >= CMDS_KIND_I8 && kind <= CMDS_KIND_U64;
}

/** A member of an integer kind, extended to 64 bits by its own sign. */
static CMDI_INLINED uint64_t cmdi_integer_load(uint8_t kind, const uint8_t *at)
{
    switch (kind) {
    case CMDS_KIND_I8:
        return (uint64_t)(int64_t)CMDI_LOAD(int8_t, at);
    case CMDS_KIND_I16:
        return (uint64_t)(int64_t)CMDI_LOAD(int16_t, at);
    case CMDS_KIND_I32:
        return (uint64_t)(int64_t)CMDI_LOAD(int32_t, at);
    case CMDS_KIND_U8:
        return *at;
    case CMDS_KIND_U16:
        return CMDI_LOAD(uint16_t, at);
    case CMDS_KIND_U32:
        return CMDI_LOAD(uint32_t, at);
    default:
        return CMDI_LOAD(uint64_t, at);
    }
}

/** The same back. Returns: CMDS_E_PROTO if the member cannot hold it: nothing is ever cut. */
static CMDI_INLINED int cmdi_integer_store(uint8_t kind, uint8_t *to, uint64_t value)
{
#define CMDI_STORE_INTEGER_(wide, narrow)                                                          \
    if ((wide)(narrow)value != (wide)value) {                                                      \
        return CMDS_E_PROTO;                                                                       \
    }                                                                                              \
    CMDI_STORE(narrow, to, (narrow)value);                                                         \
    return 0
    switch (kind) {
    case CMDS_KIND_I8:
        CMDI_STORE_INTEGER_(int64_t, int8_t);
    case CMDS_KIND_I16:
        CMDI_STORE_INTEGER_(int64_t, int16_t);
    case CMDS_KIND_I32:
        CMDI_STORE_INTEGER_(int64_t, int32_t);
    case CMDS_KIND_U8:
        CMDI_STORE_INTEGER_(uint64_t, uint8_t);
    case CMDS_KIND_U16:
        CMDI_STORE_INTEGER_(uint64_t, uint16_t);
    case CMDS_KIND_U32:
        CMDI_STORE_INTEGER_(uint64_t, uint32_t);
    default:
        CMDI_STORE(uint64_t, to, value);
        return 0;
    }
#undef CMDI_STORE_INTEGER_
}

#endif
