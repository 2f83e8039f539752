/* SPDX-License-Identifier: MIT */
/*
 * Size and bytes of MUS in one walk, for a value that surely fits: the way that nearly all messages take.
 *
 * It either writes all of a value or says that it is not for it, and write.c begins anew: so whatever is refused
 * is refused in one place alone. What it writes, write.c writes as well, byte for byte; the tests hold the two
 * beside each other. What is stored behind the end of an item is within the room, and is the next item's.
 *
 * Recurses over nested schemas, never over the value. No state, any thread.
 */
#include "base/hint.h"
#include "common/short.h"
#include "common/value.h"
#include "common/varint.h"
#include "mus/mus.h"

/*
 * All functions below return the place behind what they have written; NULL: it is refused, or has no room before
 * `end`. An item has ITEM_ROOM bytes when it begins. What has no fixed length ends before `border`, which may be in
 * front of `out`, and leaves the rest to what follows.
 */
enum {
    ITEM_ROOM = CMDI_LEB_SIZE_MAX, // Of a number, or in front of a text.
};

static uint8_t *try_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);

static CMDI_INLINED uint8_t *try_span(
        uint8_t *out, const uint8_t *border, const void *data, size_t size, uint32_t row_max)
{
    if (CMDI_UNLIKELY(size > cmdi_mus_count_max(row_max) || (int64_t)size > border - out)) {
        return NULL;
    }
    out = cmdi_leb_write_size(out, size);
    if (CMDI_UNLIKELY(data == NULL)) {
        return size == 0 ? out : NULL;
    }
    if (size - 1 < CMDI_SHORT_MAX) {
        cmdi_short_store(out, size, cmdi_short_load(data, size));
    } else {
        memcpy(out, data, size);
    }
    return out + size;
}

static CMDI_INLINED uint8_t *try_bytes(
        uint8_t *out, const uint8_t *border, const uint8_t *at, uint32_t row_max)
{
    struct cmds_bytes span = CMDI_LOAD(struct cmds_bytes, at);
    return try_span(out, border, span.data, span.size, row_max);
}

static uint8_t *try_text(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t row_max)
{
    int64_t length = cmdi_text_length(row, at, row_max);
    return length < 0 ? NULL : try_span(out, border, at, (size_t)length, UINT32_MAX);
}

static uint8_t *try_blob(
        uint8_t *out, const uint8_t *border, const struct cmds_field *row, const uint8_t *at)
{
    return try_span(out, border, at, row->item_size, UINT32_MAX);
}

static uint8_t *try_pairs(uint8_t *out, const uint8_t *end, const uint8_t *at, uint32_t row_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    if (cmdi_span_check(map.items, map.count, cmdi_mus_count_max(row_max)) < 0) {
        return NULL;
    }
    out = cmdi_leb_write_size(out, map.count);
    for (size_t i = 0; i < 2 * map.count; i++) {
        const struct cmds_pair *pair = &map.items[i / 2];
        const struct cmds_string *text = i % 2 == 0 ? &pair->key : &pair->value;
        if (end - out < ITEM_ROOM) {
            return NULL;
        }
        out = try_span(out, end - ITEM_ROOM, text->data, text->size, 0);
        if (out == NULL) {
            return NULL;
        }
    }
    return out;
}

static uint8_t *try_many(
        uint8_t *out, const uint8_t *border, const struct cmds_field *row, const uint8_t *at);

#define TRY_SIGNED(kind)                                                                           \
    case kind:                                                                                     \
        return cmdi_leb_write_wide(out, cmdi_zigzag(cmdi_integer_load(kind, at)))
#define TRY_UNSIGNED(kind)                                                                         \
    case kind:                                                                                     \
        return cmdi_leb_write_wide(out, cmdi_integer_load(kind, at))

/* `form`: the kind, unless it is more than one item. */
static CMDI_INLINED uint8_t *try_form(uint8_t *out, const uint8_t *border, unsigned form,
        const struct cmds_field *row, const uint8_t *at, uint32_t row_max)
{
    switch (form) {
    case CMDS_KIND_RESERVED:
        return out;
    case CMDS_KIND_BOOL:
        *out = *at != 0;
        return out + 1;
    case CMDS_KIND_I8:
    case CMDS_KIND_U8:
        *out = *at;
        return out + 1;
        TRY_SIGNED(CMDS_KIND_I16);
        TRY_SIGNED(CMDS_KIND_I32);
        TRY_SIGNED(CMDS_KIND_I64);
        TRY_UNSIGNED(CMDS_KIND_U16);
        TRY_UNSIGNED(CMDS_KIND_U32);
        TRY_UNSIGNED(CMDS_KIND_U64);
    case CMDS_KIND_F32:
        return cmdi_fixed_write(out, CMDI_LOAD(uint32_t, at), 4);
    case CMDS_KIND_F64:
        return cmdi_fixed_write(out, CMDI_LOAD(uint64_t, at), 8);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        return try_bytes(out, border, at, row_max);
    case CMDS_KIND_MAP:
        return try_pairs(out, border, at, row_max);
    case CMDS_KIND_TEXT:
        return try_text(out, border, row, at, row_max);
    case CMDS_KIND_BLOB:
        return try_blob(out, border, row, at);
    case CMDS_KIND_STRUCT:
        return try_struct(out, border, row->nested, at);
    default:
        return try_many(out, border, row, at);
    }
}

static uint8_t *try_item(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t row_max)
{
    return try_form(out, border, row->kind, row, at, row_max);
}

static uint8_t *try_array(
        uint8_t *out, const uint8_t *border, const struct cmds_field *row, const uint8_t *at)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    if (cmdi_span_check(array.items, array.count, cmdi_mus_count_max(row->size_max)) < 0) {
        return NULL;
    }
    const uint8_t *item = array.items;
    out = cmdi_leb_write_size(out, array.count);
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        if (CMDI_UNLIKELY(out > border)) {
            return NULL;
        }
        out = try_form(out, border, row->kind, row, item, 0);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

static uint8_t *try_many(
        uint8_t *out, const uint8_t *border, const struct cmds_field *row, const uint8_t *at)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return try_array(out, border, row, at);
    }
    if (*at == 0) {
        *out = CMDI_MUS_NIL;
        return out + 1;
    }
    if (CMDI_UNLIKELY(out > border)) {
        return NULL; // Two of what a row may take: its byte, and what it is.
    }
    *out = CMDI_MUS_NOT_NIL;
    return try_item(out + 1, border, row, at + row->item_offset, row->size_max);
}

/* Each row may take ITEM_ROOM bytes behind the border, without a look at what is left. */
static CMDI_INLINED uint8_t *try_rows(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride;
    const ptrdiff_t kept = ITEM_ROOM * ((ptrdiff_t)schema->field_count + 2);
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    if (CMDI_UNLIKELY(end - out < kept)) {
        return NULL;
    }
    const uint8_t *border = end - kept;
    for (; row != rows_end; row = cmdi_row_after(row, stride)) {
        out = try_form(out, border, cmdi_row_form(row), row, value + row->offset, row->size_max);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

static uint8_t *try_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    return try_rows(out, end, schema, value);
}

int64_t cmdi_mus_try(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t room)
{
    const uint8_t *end = try_rows(out, out + room, schema, value);
    return CMDI_LIKELY(end != NULL) ? end - out : -ENOBUFS;
}
