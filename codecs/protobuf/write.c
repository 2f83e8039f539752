/* SPDX-License-Identifier: MIT */
/*
 * A value becomes a Protobuf message by its schema: the size first, then the bytes.
 *
 * The size walk is the one that refuses. A message inside a message has its size in front; the write
 * leaves one byte for it, and moves what it has written if it was more, instead of asking for the size
 * again at each level. It never writes behind the end of all, which the size walk has worked out: a
 * number may be written with more bytes than it has only where so many are to come. No state, any thread.
 */
#include "base/hint.h"
#include "common/utf8.h"
#include "common/value.h"
#include "protobuf/protobuf.h"
#include "protobuf/wire.h"

static inline int64_t tag_size(uint32_t number)
{
    return CMDI_LIKELY(number < 16) ? 1 : cmdi_leb_size((uint64_t)number << 3);
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

static CMDI_INLINED int64_t number_size(uint8_t kind, uint64_t value)
{
    size_t width = cmdi_protobuf_width(kind);
    return kind == CMDS_KIND_BOOL ? 1 : width != 0 ? (int64_t)width : cmdi_leb_size(value);
}

/* No branch, which would be guessed wrongly, says whether it is zero, and left out unless `always`. */
static CMDI_INLINED int64_t number_field_size(
        uint8_t kind, uint64_t value, uint32_t number, bool always)
{
    int64_t is_written = value != 0 || always;
    return (tag_size(number) + number_size(kind, value)) & -is_written;
}

/* --- Size ------------------------------------------------------------------------------------- */

static CMDI_INLINED int string_check(const void *data, size_t size, uint32_t row_max)
{
    int code = cmdi_span_check(data, size, row_max != 0 ? row_max : INT32_MAX);
    if (code == 0 && !cmdi_utf8_is_valid(data, size)) {
        code = -EINVAL;
    }
    return code;
}

static CMDI_INLINED int64_t string_size(
        const uint8_t *at, uint32_t number, uint32_t row_max, bool always)
{
    struct cmds_string string = CMDI_LOAD(struct cmds_string, at);
    int code = string_check(string.data, string.size, row_max);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    return string.size == 0 && !always ? 0 : tag_size(number) + bytes_size(string.size);
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

/* What stands behind the tag, of everything that has a length. Negative: an error. */
static CMDI_INLINED int64_t payload_size(
        const struct cmds_field *row, const uint8_t *at, uint32_t row_max)
{
    struct cmds_bytes span;
    int64_t size;
    int code;
    switch (row->kind) {
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
    return size;
}

/* All of it; what is empty is not written, unless `always`. */
static int64_t span_size(const struct cmds_field *row, const uint8_t *at, uint32_t number,
        uint32_t row_max, bool always)
{
    int64_t size = payload_size(row, at, row_max);
    if (CMDI_UNLIKELY(size < 0)) {
        return size;
    }
    return size == 0 && !always ? 0 : tag_size(number) + bytes_size((size_t)size);
}

static int64_t many_size(const struct cmds_field *row, const uint8_t *at, uint32_t number);

/*
 * A field that may be left out if it is zero, unless `always`. `form`: the kind, unless it is more than one
 * item.
 */
static CMDI_INLINED int64_t item_size(unsigned form, const struct cmds_field *row,
        const uint8_t *at, uint32_t number, uint32_t row_max, bool always)
{
#define NUMBER_SIZE(kind)                                                                          \
    case kind:                                                                                     \
        return number_field_size(kind, cmdi_protobuf_number(kind, at), number, always)
    switch (form) {
        NUMBER_SIZE(CMDS_KIND_BOOL);
        NUMBER_SIZE(CMDS_KIND_I8);
        NUMBER_SIZE(CMDS_KIND_I16);
        NUMBER_SIZE(CMDS_KIND_I32);
        NUMBER_SIZE(CMDS_KIND_U8);
        NUMBER_SIZE(CMDS_KIND_U16);
        NUMBER_SIZE(CMDS_KIND_U32);
    case CMDS_KIND_I64:
        NUMBER_SIZE(CMDS_KIND_U64);
        NUMBER_SIZE(CMDS_KIND_F32);
        NUMBER_SIZE(CMDS_KIND_F64);
    case CMDS_KIND_RESERVED:
        return 0;
    case CMDS_KIND_MAP:
        return map_size(at, number, row_max);
    case CMDS_KIND_STRING:
        return string_size(at, number, row_max, always);
    case CMDS_KIND_BYTES:
    case CMDS_KIND_TEXT:
    case CMDS_KIND_BLOB:
    case CMDS_KIND_STRUCT:
        return span_size(row, at, number, row_max, always);
    default:
        return many_size(row, at, number);
    }
#undef NUMBER_SIZE
}

static int64_t packed_size(const struct cmds_field *row, struct cmdi_array array)
{
    const uint8_t *item = array.items;
    int64_t total = 0;
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        total += number_size(row->kind, cmdi_protobuf_number(row->kind, item));
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
        int64_t size = item_size(row->kind, row, item, number, 0, true);
        if (size < 0) {
            return size;
        }
        total += size;
    }
    return total;
}

static int64_t many_size(const struct cmds_field *row, const uint8_t *at, uint32_t number)
{
    if (row->kind == CMDS_KIND_RESERVED) {
        return 0; // Whatever its shape.
    }
    if (!cmdi_protobuf_has_row(row)) {
        return -EINVAL;
    }
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return array_size(row, at, number);
    }
    return *at != 0 ? item_size(row->kind, row, at + row->item_offset, number, row->size_max, true)
                    : 0;
}

int64_t cmdi_protobuf_size(const struct cmds_schema *schema, const uint8_t *value)
{
    int64_t total = 0;
    uint32_t number = 1;
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    for (; row != rows_end; row = cmdi_row_after(row, stride), number++) {
        const uint8_t *at = value + row->offset;
        int64_t size = item_size(cmdi_row_form(row), row, at, number, row->size_max, false);
        if (CMDI_UNLIKELY(size < 0)) {
            return size;
        }
        total += size;
    }
    return total;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* `out` is where the next byte goes, `end` where the last one of all will be. */

static CMDI_INLINED uint8_t *put_leb(uint8_t *out, const uint8_t *end, uint64_t value)
{
    return CMDI_LIKELY(end - out >= CMDI_LEB_SIZE_MAX) ? cmdi_leb_write_wide(out, value)
                                                       : cmdi_leb_write(out, value);
}

static CMDI_INLINED uint8_t *put_tag(uint8_t *out, uint32_t number, uint8_t form)
{
    if (CMDI_LIKELY(number < 16)) {
        *out = (uint8_t)(number << 3 | form);
        return out + 1;
    }
    return cmdi_leb_write(out, (uint64_t)number << 3 | form);
}

static CMDI_INLINED uint8_t *put_bytes(uint8_t *out, const void *data, size_t size)
{
    out = cmdi_leb_write_size(out, size);
    if (size > 0) {
        memcpy(out, data, size);
    }
    return out + size;
}

static CMDI_INLINED uint8_t *put_number(
        uint8_t *out, const uint8_t *end, uint8_t kind, uint64_t value)
{
    size_t width = cmdi_protobuf_width(kind);
    return width != 0 ? cmdi_fixed_write(out, value, width) : put_leb(out, end, value);
}

/* The size of what stands from `from` to `out`, behind the `reserved` bytes that were left for it. */
static uint8_t *put_size_before(uint8_t *from, uint8_t *out, size_t reserved)
{
    size_t size = (size_t)(out - from);
    size_t moved = (size_t)cmdi_leb_size(size) - reserved;
    if (moved != 0) {
        memmove(from + moved, from, size);
    }
    (void)cmdi_leb_write(from - reserved, size);
    return out + moved;
}

static uint8_t *write_map(uint8_t *out, const uint8_t *at, uint32_t number)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    for (size_t i = 0; i < map.count; i++) {
        const struct cmds_pair *pair = &map.items[i];
        out = put_tag(out, number, CMDI_PROTOBUF_BYTES);
        out = cmdi_leb_write_size(
                out, (uint64_t)(2 + bytes_size(pair->key.size) + bytes_size(pair->value.size)));
        out = put_tag(out, 1, CMDI_PROTOBUF_BYTES);
        out = put_bytes(out, pair->key.data, pair->key.size);
        out = put_tag(out, 2, CMDI_PROTOBUF_BYTES);
        out = put_bytes(out, pair->value.data, pair->value.size);
    }
    return out;
}

static uint8_t *write_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);

static uint8_t *write_message(uint8_t *out, const uint8_t *end, const struct cmds_field *row,
        const uint8_t *at, uint32_t number, bool always)
{
    if (end - out < tag_size(number) + 1) {
        return out; // No room for it: it is empty.
    }
    uint8_t *body = put_tag(out, number, CMDI_PROTOBUF_BYTES) + 1;
    uint8_t *body_end = write_struct(body, end, row->nested, at);
    return body_end != body || always ? put_size_before(body, body_end, 1) : out;
}

/* Half of them are false, and not written, so it is better not to guess: what is too much is written over. */
static CMDI_INLINED uint8_t *write_bool(
        uint8_t *out, const uint8_t *end, bool value, uint32_t number, bool always)
{
    if (CMDI_LIKELY(number < 16 && end - out >= 2)) {
        out[0] = (uint8_t)(number << 3 | CMDI_PROTOBUF_VARINT);
        out[1] = value;
        return out + 2 * (value || always);
    }
    if (value || always) {
        out = put_tag(out, number, CMDI_PROTOBUF_VARINT);
        *out++ = value;
    }
    return out;
}

/* A number that is zero is not written, unless `always`. */
#define WRITE_NUMBER(kind)                                                                         \
    case kind:                                                                                     \
        value = cmdi_protobuf_number(kind, at);                                                    \
        if (value == 0 && !always) {                                                               \
            return out;                                                                            \
        }                                                                                          \
        out = put_tag(out, number, cmdi_protobuf_form_of(kind));                                   \
        return put_number(out, end, kind, value)

static uint8_t *write_many(uint8_t *out, const uint8_t *end, const struct cmds_field *row,
        const uint8_t *at, uint32_t number);

static CMDI_INLINED uint8_t *write_item(uint8_t *out, const uint8_t *end, unsigned form,
        const struct cmds_field *row, const uint8_t *at, uint32_t number, bool always)
{
    struct cmds_bytes span;
    uint64_t value;
    switch (form) {
    case CMDS_KIND_RESERVED:
        return out;
    case CMDS_KIND_BOOL:
        return write_bool(out, end, *at != 0, number, always);
        WRITE_NUMBER(CMDS_KIND_I8);
        WRITE_NUMBER(CMDS_KIND_I16);
        WRITE_NUMBER(CMDS_KIND_I32);
        WRITE_NUMBER(CMDS_KIND_U8);
        WRITE_NUMBER(CMDS_KIND_U16);
        WRITE_NUMBER(CMDS_KIND_U32);
    case CMDS_KIND_I64:
        WRITE_NUMBER(CMDS_KIND_U64);
        WRITE_NUMBER(CMDS_KIND_F32);
        WRITE_NUMBER(CMDS_KIND_F64);
    case CMDS_KIND_TEXT:
        span = (struct cmds_bytes){at, strnlen((const char *)at, row->item_size)};
        break;
    case CMDS_KIND_BLOB:
        span = (struct cmds_bytes){at, row->item_size};
        break;
    case CMDS_KIND_MAP:
        return write_map(out, at, number);
    case CMDS_KIND_STRUCT:
        return write_message(out, end, row, at, number, always);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        break;
    default:
        return write_many(out, end, row, at, number);
    }
    if (span.size == 0 && !always) {
        return out;
    }
    return put_bytes(put_tag(out, number, CMDI_PROTOBUF_BYTES), span.data, span.size);
}

static uint8_t *write_item_called(uint8_t *out, const uint8_t *end, const struct cmds_field *row,
        const uint8_t *at, uint32_t number)
{
    return write_item(out, end, row->kind, row, at, number, true);
}

/* Numbers, at least one, packed: none takes less than a byte, so the size takes no less than their count's. */
static uint8_t *write_packed(uint8_t *out, const uint8_t *end, const struct cmds_field *row,
        struct cmdi_array array, uint32_t number)
{
    size_t reserved = (size_t)cmdi_leb_size(array.count);
    uint8_t *from = put_tag(out, number, CMDI_PROTOBUF_BYTES) + reserved;
    const uint8_t *item = array.items;
    out = from;
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        out = put_number(out, end, row->kind, cmdi_protobuf_number(row->kind, item));
    }
    return put_size_before(from, out, reserved);
}

static uint8_t *write_many(uint8_t *out, const uint8_t *end, const struct cmds_field *row,
        const uint8_t *at, uint32_t number)
{
    if (row->kind == CMDS_KIND_RESERVED) {
        return out;
    }
    if (row->shape == CMDS_SHAPE_OPTIONAL) {
        return *at != 0 ? write_item_called(out, end, row, at + row->item_offset, number) : out;
    }
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    const uint8_t *item = array.items;
    if (is_number(row->kind) && array.count > 0) {
        return write_packed(out, end, row, array, number);
    }
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        out = write_item_called(out, end, row, item, number);
    }
    return out;
}

static uint8_t *write_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    uint32_t number = 1;
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    for (; row != rows_end; row = cmdi_row_after(row, stride), number++) {
        const uint8_t *at = value + row->offset;
        out = write_item(out, end, cmdi_row_form(row), row, at, number, false);
    }
    return out;
}

uint8_t *cmdi_protobuf_write(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t size)
{
    return write_struct(out, out + size, schema, value);
}
