/* SPDX-License-Identifier: MIT */
/*
 * A value becomes a Protobuf message by its schema: the size first, then the bytes.
 *
 * A message inside a message has its size in front, so the write asks for it again at each level:
 * depth times the work of one walk, for a depth that a checked protocol bounds. The size walk is
 * the one that refuses. No state, any thread.
 */
#include "base/hint.h"
#include "common/utf8.h"
#include "common/value.h"
#include "protobuf/protobuf.h"
#include "protobuf/wire.h"

static inline uint64_t tag_of(uint32_t number, uint8_t type)
{
    return (uint64_t)number << 3 | type;
}

static inline int64_t tag_size(uint32_t number)
{
    return cmdi_leb_size((uint64_t)number << 3);
}

static inline int64_t bytes_size(size_t size)
{
    return cmdi_leb_size(size) + (int64_t)size;
}

/* Numbers, which an array of them packs. */
static CMDI_INLINED bool is_number(uint8_t kind)
{
    return kind >= CMDS_KIND_BOOL && kind <= CMDS_KIND_F64;
}

/* The bits that say whether it is zero, and of all but floats the varint. */
static CMDI_INLINED uint64_t number_load(uint8_t kind, const uint8_t *at)
{
    switch (kind) {
    case CMDS_KIND_BOOL:
        return *at != 0;
    case CMDS_KIND_F32:
        return CMDI_LOAD(uint32_t, at);
    case CMDS_KIND_F64:
        return CMDI_LOAD(uint64_t, at);
    default:
        return cmdi_integer_load(kind, at);
    }
}

static CMDI_INLINED int64_t number_size(uint8_t kind, uint64_t value)
{
    size_t width = cmdi_protobuf_width(kind);
    return width != 0 ? (int64_t)width : cmdi_leb_size(value);
}

/* --- Size ------------------------------------------------------------------------------------- */

static int string_check(const void *data, size_t size, uint32_t row_max)
{
    int code = cmdi_span_check(data, size, row_max != 0 ? row_max : INT32_MAX);
    if (code == 0 && !cmdi_utf8_is_valid(data, size)) {
        code = -EINVAL;
    }
    return code;
}

static int64_t pair_size(const struct cmds_pair *pair)
{
    int code = string_check(pair->key.data, pair->key.size, 0);
    code = code < 0 ? code : string_check(pair->value.data, pair->value.size, 0);
    return code < 0 ? code : 2 + bytes_size(pair->key.size) + bytes_size(pair->value.size);
}

static int64_t map_size(const uint8_t *at, uint32_t number, uint32_t row_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    int code = cmdi_span_check(map.items, map.count, row_max != 0 ? row_max : INT32_MAX);
    int64_t total = code;
    for (size_t i = 0; code == 0 && i < map.count; i++) {
        int64_t size = pair_size(&map.items[i]);
        if (size < 0) {
            return size;
        }
        total += tag_size(number) + bytes_size((size_t)size);
    }
    return total;
}

/*
 * What stands behind the tag, of everything that has a length. Negative: an error; *empty: proto3
 * would not write it.
 */
static int64_t payload_size(
        const struct cmds_field *row, const uint8_t *at, uint32_t row_max, bool *empty)
{
    struct cmds_bytes span;
    int64_t size;
    int code;
    switch (row->kind) {
    case CMDS_KIND_STRING:
        span = CMDI_LOAD(struct cmds_bytes, at);
        code = string_check(span.data, span.size, row_max);
        size = code < 0 ? code : (int64_t)span.size;
        break;
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        code = cmdi_span_check(span.data, span.size, row_max != 0 ? row_max : INT32_MAX);
        size = code < 0 ? code : (int64_t)span.size;
        break;
    case CMDS_KIND_TEXT:
        size = cmdi_text_length(row, at, row_max);
        if (size >= 0 && !cmdi_utf8_is_valid(at, (size_t)size)) {
            size = -EINVAL;
        }
        break;
    case CMDS_KIND_BLOB:
        size = (int64_t)row->item_size;
        break;
    default:
        size = cmdi_protobuf_size(row->nested, at);
        break;
    }
    *empty = size == 0;
    return size;
}

/* A field that may be left out if it is zero, unless `always`. */
static CMDI_INLINED int64_t item_size(const struct cmds_field *row, const uint8_t *at,
        uint32_t number, uint32_t row_max, bool always)
{
    if (CMDI_LIKELY(is_number(row->kind))) {
        uint64_t value = number_load(row->kind, at);
        return value == 0 && !always ? 0 : tag_size(number) + number_size(row->kind, value);
    }
    if (row->kind == CMDS_KIND_MAP) {
        return map_size(at, number, row_max);
    }
    bool empty = false;
    int64_t size = payload_size(row, at, row_max, &empty);
    if (CMDI_UNLIKELY(size < 0)) {
        return size;
    }
    return empty && !always ? 0 : tag_size(number) + bytes_size((size_t)size);
}

static int64_t packed_size(const struct cmds_field *row, struct cmdi_array array)
{
    const uint8_t *item = array.items;
    int64_t total = 0;
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        total += number_size(row->kind, number_load(row->kind, item));
    }
    return total;
}

static int64_t array_size(const struct cmds_field *row, const uint8_t *at, uint32_t number)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    uint32_t count_max = row->size_max != 0 ? row->size_max : INT32_MAX;
    int code = cmdi_span_check(array.items, array.count, count_max);
    if (code < 0 || array.count == 0) {
        return code;
    }
    if (is_number(row->kind)) {
        return tag_size(number) + bytes_size((size_t)packed_size(row, array));
    }
    const uint8_t *item = array.items;
    int64_t total = 0;
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        int64_t size = item_size(row, item, number, 0, true);
        if (size < 0) {
            return size;
        }
        total += size;
    }
    return total;
}

static int64_t many_size(const struct cmds_field *row, const uint8_t *at, uint32_t number)
{
    if (!cmdi_protobuf_has_row(row)) {
        return -EINVAL;
    }
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return array_size(row, at, number);
    }
    return *at != 0 ? item_size(row, at + row->item_offset, number, row->size_max, true) : 0;
}

int64_t cmdi_protobuf_size(const struct cmds_schema *schema, const uint8_t *value)
{
    int64_t total = 0;
    const struct cmds_field *row = schema->fields;
    for (uint32_t i = 1; i <= schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (CMDI_UNLIKELY(row->kind == CMDS_KIND_RESERVED)) {
            continue;
        }
        const uint8_t *at = value + row->offset;
        int64_t size = CMDI_LIKELY(row->shape == CMDS_SHAPE_ONE)
                               ? item_size(row, at, i, row->size_max, false)
                               : many_size(row, at, i);
        if (CMDI_UNLIKELY(size < 0)) {
            return size;
        }
        total += size;
    }
    return total;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static CMDI_INLINED uint8_t *write_number(uint8_t *out, uint8_t kind, uint64_t value)
{
    size_t width = cmdi_protobuf_width(kind);
    return width != 0 ? cmdi_fixed_write(out, value, width) : cmdi_leb_write(out, value);
}

static uint8_t *write_map(uint8_t *out, const uint8_t *at, uint32_t number)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    for (size_t i = 0; i < map.count; i++) {
        const struct cmds_pair *pair = &map.items[i];
        out = cmdi_leb_write(out, tag_of(number, CMDI_PROTOBUF_BYTES));
        out = cmdi_leb_write(
                out, (uint64_t)(2 + bytes_size(pair->key.size) + bytes_size(pair->value.size)));
        *out++ = (uint8_t)tag_of(1, CMDI_PROTOBUF_BYTES);
        out = cmdi_leb_write_bytes(out, pair->key.data, pair->key.size);
        *out++ = (uint8_t)tag_of(2, CMDI_PROTOBUF_BYTES);
        out = cmdi_leb_write_bytes(out, pair->value.data, pair->value.size);
    }
    return out;
}

/* A message: its size stands in front, so it is asked for before the tag. */
static uint8_t *write_message(uint8_t *out, const struct cmds_schema *schema, const uint8_t *at,
        uint32_t number, bool always)
{
    int64_t size = cmdi_protobuf_size(schema, at);
    if (size == 0 && !always) {
        return out;
    }
    out = cmdi_leb_write(out, tag_of(number, CMDI_PROTOBUF_BYTES));
    return cmdi_protobuf_write(schema, at, cmdi_leb_write(out, (uint64_t)size));
}

static CMDI_INLINED uint8_t *write_item(
        uint8_t *out, const struct cmds_field *row, const uint8_t *at, uint32_t number, bool always)
{
    struct cmds_bytes span;
    switch (row->kind) {
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        break;
    case CMDS_KIND_TEXT:
        span = (struct cmds_bytes){at, strnlen((const char *)at, row->item_size)};
        break;
    case CMDS_KIND_BLOB:
        span = (struct cmds_bytes){at, row->item_size};
        break;
    case CMDS_KIND_MAP:
        return write_map(out, at, number);
    case CMDS_KIND_STRUCT:
        return write_message(out, row->nested, at, number, always);
    default: {
        uint64_t value = number_load(row->kind, at);
        if (value == 0 && !always) {
            return out;
        }
        out = cmdi_leb_write(out, tag_of(number, cmdi_protobuf_form_of(row->kind)));
        return write_number(out, row->kind, value);
    }
    }
    if (span.size == 0 && !always) {
        return out;
    }
    return cmdi_leb_write_bytes(
            cmdi_leb_write(out, tag_of(number, CMDI_PROTOBUF_BYTES)), span.data, span.size);
}

static uint8_t *write_array(
        uint8_t *out, const struct cmds_field *row, const uint8_t *at, uint32_t number)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    const uint8_t *item = array.items;
    bool packs = is_number(row->kind) && array.count > 0;
    if (packs) {
        out = cmdi_leb_write(out, tag_of(number, CMDI_PROTOBUF_BYTES));
        out = cmdi_leb_write(out, (uint64_t)packed_size(row, array));
    }
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        out = packs ? write_number(out, row->kind, number_load(row->kind, item))
                    : write_item(out, row, item, number, true);
    }
    return out;
}

static uint8_t *write_many(
        uint8_t *out, const struct cmds_field *row, const uint8_t *at, uint32_t number)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return write_array(out, row, at, number);
    }
    return *at != 0 ? write_item(out, row, at + row->item_offset, number, true) : out;
}

uint8_t *cmdi_protobuf_write(const struct cmds_schema *schema, const uint8_t *value, uint8_t *out)
{
    const struct cmds_field *row = schema->fields;
    for (uint32_t i = 1; i <= schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (row->kind != CMDS_KIND_RESERVED) {
            const uint8_t *at = value + row->offset;
            out = CMDI_LIKELY(row->shape == CMDS_SHAPE_ONE) ? write_item(out, row, at, i, false)
                                                            : write_many(out, row, at, i);
        }
    }
    return out;
}
