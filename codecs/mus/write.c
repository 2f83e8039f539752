/* SPDX-License-Identifier: MIT */
/*
 * A value becomes MUS: first its size, then the bytes.
 *
 * The two walks take the same steps in the same order; the size walk is the one that refuses, so
 * that the write cannot fail. A number may be written with more bytes than it has where so many are to
 * come. They recurse over nested schemas, never over the value. No state, any thread.
 */
#include "base/hint.h"
#include "common/short.h"
#include "common/value.h"
#include "common/varint.h"
#include "mus/mus.h"

/* --- Size ------------------------------------------------------------------------------------- */

static inline int64_t span_size(const void *data, size_t size, uint32_t row_max)
{
    int code = cmdi_span_check(data, size, cmdi_mus_count_max(row_max));
    return CMDI_UNLIKELY(code < 0) ? code : cmdi_leb_size(size) + (int64_t)size;
}

static int64_t map_size(const uint8_t *at, uint32_t row_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    int code = cmdi_span_check(map.items, map.count, cmdi_mus_count_max(row_max));
    if (code < 0) {
        return code;
    }
    int64_t total = cmdi_leb_size(map.count);
    for (size_t i = 0; i < map.count; i++) {
        int64_t key = span_size(map.items[i].key.data, map.items[i].key.size, 0);
        int64_t value = span_size(map.items[i].value.data, map.items[i].value.size, 0);
        if (key < 0 || value < 0) {
            return key < 0 ? key : value;
        }
        total += key + value;
    }
    return total;
}

static int64_t struct_size(const struct cmds_schema *schema, const uint8_t *value);
static int64_t many_size(const struct cmds_field *row, const uint8_t *at);

#define SIZE_SIGNED(kind)                                                                          \
    case kind:                                                                                     \
        return cmdi_leb_size(cmdi_zigzag(cmdi_integer_load(kind, at)))
#define SIZE_UNSIGNED(kind)                                                                        \
    case kind:                                                                                     \
        return cmdi_leb_size(cmdi_integer_load(kind, at))

/* `form`: the kind, unless it is more than one item. */
static CMDI_INLINED int64_t item_size(
        unsigned form, const struct cmds_field *row, const uint8_t *at, uint32_t row_max)
{
    struct cmds_bytes span;
    int64_t length;
    switch (form) {
    case CMDS_KIND_RESERVED:
        return 0;
    case CMDS_KIND_BOOL:
    case CMDS_KIND_I8:
    case CMDS_KIND_U8:
        return 1;
        SIZE_SIGNED(CMDS_KIND_I16);
        SIZE_SIGNED(CMDS_KIND_I32);
        SIZE_SIGNED(CMDS_KIND_I64);
        SIZE_UNSIGNED(CMDS_KIND_U16);
        SIZE_UNSIGNED(CMDS_KIND_U32);
        SIZE_UNSIGNED(CMDS_KIND_U64);
    case CMDS_KIND_F32:
        return 4;
    case CMDS_KIND_F64:
        return 8;
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return span_size(span.data, span.size, row_max);
    case CMDS_KIND_MAP:
        return map_size(at, row_max);
    case CMDS_KIND_TEXT:
        length = cmdi_text_length(row, at, row_max);
        return length < 0 ? length : cmdi_leb_size((uint64_t)length) + length;
    case CMDS_KIND_BLOB:
        return cmdi_leb_size(row->item_size) + (int64_t)row->item_size;
    case CMDS_KIND_STRUCT:
        return struct_size(row->nested, at);
    default:
        return many_size(row, at);
    }
}

static int64_t array_size(const struct cmds_field *row, const uint8_t *at)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    int code = cmdi_span_check(array.items, array.count, cmdi_mus_count_max(row->size_max));
    if (code < 0) {
        return code;
    }
    const uint8_t *item = array.items;
    int64_t total = cmdi_leb_size(array.count);
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        int64_t size = item_size(row->kind, row, item, 0);
        if (size < 0) {
            return size;
        }
        total += size;
    }
    return total;
}

static int64_t many_size(const struct cmds_field *row, const uint8_t *at)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return array_size(row, at);
    }
    if (*at == 0) {
        return 1;
    }
    int64_t size = item_size(row->kind, row, at + row->item_offset, row->size_max);
    return size < 0 ? size : 1 + size;
}

static int64_t struct_size(const struct cmds_schema *schema, const uint8_t *value)
{
    int64_t total = 0;
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    for (; row != rows_end; row = cmdi_row_after(row, stride)) {
        const uint8_t *at = value + row->offset;
        int64_t size = item_size(cmdi_row_form(row), row, at, row->size_max);
        if (CMDI_UNLIKELY(size < 0)) {
            return size;
        }
        total += size;
    }
    return total;
}

int64_t cmdi_mus_size(const struct cmds_schema *schema, const uint8_t *value)
{
    return struct_size(schema, value);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* `out` is where the next byte goes, `end` where the last one of all will be. */

static CMDI_INLINED uint8_t *put_leb(uint8_t *out, const uint8_t *end, uint64_t value)
{
    return CMDI_LIKELY(end - out >= CMDI_LEB_SIZE_MAX) ? cmdi_leb_write_wide(out, value)
                                                       : cmdi_leb_write(out, value);
}

static CMDI_INLINED uint8_t *put_bytes(uint8_t *out, const void *data, size_t size)
{
    out = cmdi_leb_write_size(out, size);
    if (size - 1 < CMDI_SHORT_MAX) {
        cmdi_short_store(out, size, cmdi_short_load(data, size));
    } else if (size > 0) {
        memcpy(out, data, size);
    }
    return out + size;
}

static uint8_t *write_map(uint8_t *out, const uint8_t *at)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    out = cmdi_leb_write_size(out, map.count);
    for (size_t i = 0; i < map.count; i++) {
        out = put_bytes(out, map.items[i].key.data, map.items[i].key.size);
        out = put_bytes(out, map.items[i].value.data, map.items[i].value.size);
    }
    return out;
}

static uint8_t *write_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);

#define WRITE_SIGNED(kind)                                                                         \
    case kind:                                                                                     \
        return put_leb(out, end, cmdi_zigzag(cmdi_integer_load(kind, at)))
#define WRITE_UNSIGNED(kind)                                                                       \
    case kind:                                                                                     \
        return put_leb(out, end, cmdi_integer_load(kind, at))

static uint8_t *write_many(
        uint8_t *out, const uint8_t *end, const struct cmds_field *row, const uint8_t *at);

static CMDI_INLINED uint8_t *write_item(uint8_t *out, const uint8_t *end, unsigned form,
        const struct cmds_field *row, const uint8_t *at)
{
    struct cmds_bytes span;
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
        WRITE_SIGNED(CMDS_KIND_I16);
        WRITE_SIGNED(CMDS_KIND_I32);
        WRITE_SIGNED(CMDS_KIND_I64);
        WRITE_UNSIGNED(CMDS_KIND_U16);
        WRITE_UNSIGNED(CMDS_KIND_U32);
        WRITE_UNSIGNED(CMDS_KIND_U64);
    case CMDS_KIND_F32:
        return cmdi_fixed_write(out, CMDI_LOAD(uint32_t, at), 4);
    case CMDS_KIND_F64:
        return cmdi_fixed_write(out, CMDI_LOAD(uint64_t, at), 8);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return put_bytes(out, span.data, span.size);
    case CMDS_KIND_MAP:
        return write_map(out, at);
    case CMDS_KIND_TEXT:
        return put_bytes(out, at, strnlen((const char *)at, row->item_size));
    case CMDS_KIND_BLOB:
        return put_bytes(out, at, row->item_size);
    case CMDS_KIND_STRUCT:
        return write_struct(out, end, row->nested, at);
    default:
        return write_many(out, end, row, at);
    }
}

static uint8_t *write_many(
        uint8_t *out, const uint8_t *end, const struct cmds_field *row, const uint8_t *at)
{
    if (row->shape == CMDS_SHAPE_OPTIONAL) {
        *out++ = *at != 0 ? CMDI_MUS_NOT_NIL : CMDI_MUS_NIL;
        return *at != 0 ? write_item(out, end, row->kind, row, at + row->item_offset) : out;
    }
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    const uint8_t *item = array.items;
    out = cmdi_leb_write_size(out, array.count);
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        out = write_item(out, end, row->kind, row, item);
    }
    return out;
}

static uint8_t *write_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    for (; row != rows_end; row = cmdi_row_after(row, stride)) {
        out = write_item(out, end, cmdi_row_form(row), row, value + row->offset);
    }
    return out;
}

uint8_t *cmdi_mus_write(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t size)
{
    return write_struct(out, out + size, schema, value);
}
