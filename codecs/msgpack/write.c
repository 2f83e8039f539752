/* SPDX-License-Identifier: MIT */
/*
 * A value becomes msgpack: first its size, so that the frame's length is known and the room is made once, then the bytes.
 *
 * The bytes are made by msgpack-c's pack_template.h, the template under its own packer, here with a memcpy to the output
 * instead of a callback per item. The two walks take the same steps in the same order; the size walk is the one that
 * refuses, so that the write cannot fail. They recurse over nested schemas, never over the value. No state, any thread.
 */
#include "base/hint.h"
#include "msgpack/msgpack.h"

#include <errno.h>
#include <msgpack/pack.h>

#include "common/value.h"

static CMDI_INLINED int append(uint8_t **out, const void *bytes, size_t size)
{
    memcpy(*out, bytes, size);
    *out += size;
    return 0;
}

#define msgpack_pack_inline_func(name)               CMDS_UNUSED_ static CMDI_INLINED int pack##name
#define msgpack_pack_user                            uint8_t **
#define msgpack_pack_append_buffer(out, bytes, size) return append(out, bytes, size)
/* msgpack-c 6 has a function of this name in its public header, with other arguments. */
#define msgpack_pack_ext pack_ext
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext

/* A struct as a map leaves out what was removed; as an array it keeps the place. */
static uint32_t map_count(const struct cmds_schema *schema)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        count += cmds_schema_field(schema, i)->kind != CMDS_KIND_RESERVED;
    }
    return count;
}

/* --- Size ------------------------------------------------------------------------------------- */

/*
 * Without a branch: sizes of integers and strings vary from value to value, and a guess gone wrong costs more than the rest
 * of the field. The index is the number of bits, of a negative number that of its complement.
 */
#define TIMES_2(x)  x, x
#define TIMES_8(x)  TIMES_2(x), TIMES_2(x), TIMES_2(x), TIMES_2(x)
#define TIMES_16(x) TIMES_8(x), TIMES_8(x)
static const uint8_t unsigned_sizes[65] = {
        1, 1, 1, 1, 1, 1, 1, 1, 2, TIMES_8(3), TIMES_16(5), TIMES_16(9), TIMES_16(9)};
static const uint8_t negative_sizes[65] = {
        1, 1, 1, 1, 1, 1, 2, 2, TIMES_8(3), TIMES_16(5), TIMES_16(9), TIMES_16(9), 9};

static inline uint32_t bit_count(uint64_t value)
{
    return 63 - (uint32_t)__builtin_clzll(value | 1) + (value != 0);
}

static inline int64_t unsigned_size(uint64_t value)
{
    return unsigned_sizes[bit_count(value)];
}

static inline int64_t signed_size(int64_t value)
{
    uint64_t complement = (uint64_t)value ^ (value < 0 ? UINT64_MAX : 0);
    const uint8_t *sizes = value < 0 ? negative_sizes : unsigned_sizes;
    return sizes[bit_count(complement)];
}

static inline int64_t str_size(size_t size)
{
    return 1 + (size >= 32) + (size >= 0x100) + 2 * (size >= 0x10000) + (int64_t)size;
}

static inline int64_t bin_size(size_t size)
{
    return 2 + (size >= 0x100) + 2 * (size >= 0x10000) + (int64_t)size;
}

static inline int64_t list_head_size(size_t count)
{
    return count < 16 ? 1 : count < 0x10000 ? 3 : 5;
}

/* No length of the format has more than 32 bits. */
static inline int span_check(const void *data, size_t size, uint32_t size_max)
{
    return cmdi_span_check(data, size, size_max != 0 ? size_max : UINT32_MAX);
}

static int64_t map_size(const uint8_t *at, uint32_t count_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    int code = span_check(map.items, map.count, count_max);
    if (code < 0) {
        return code;
    }
    int64_t total = list_head_size(map.count);
    for (size_t i = 0; i < map.count; i++) {
        const struct cmds_pair *pair = &map.items[i];
        code = span_check(pair->key.data, pair->key.size, 0);
        code = code < 0 ? code : span_check(pair->value.data, pair->value.size, 0);
        if (code < 0) {
            return code;
        }
        total += str_size(pair->key.size) + str_size(pair->value.size);
    }
    return total;
}

static int64_t text_size(const struct cmds_field *field, const uint8_t *at, uint32_t size_max)
{
    int64_t length = cmdi_text_length(field, at, size_max);
    return length < 0 ? length : str_size((size_t)length);
}

static int64_t struct_size(const struct cmds_schema *schema, const uint8_t *value, bool as_map);

static CMDI_INLINED int64_t item_size(
        const struct cmds_field *field, const uint8_t *at, uint32_t size_max, bool as_map)
{
    struct cmds_bytes span;
    int code;
    switch (field->kind) {
    case CMDS_KIND_I8:
        return signed_size(CMDI_LOAD(int8_t, at));
    case CMDS_KIND_I16:
        return signed_size(CMDI_LOAD(int16_t, at));
    case CMDS_KIND_I32:
        return signed_size(CMDI_LOAD(int32_t, at));
    case CMDS_KIND_I64:
        return signed_size(CMDI_LOAD(int64_t, at));
    case CMDS_KIND_U8:
        return unsigned_size(CMDI_LOAD(uint8_t, at));
    case CMDS_KIND_U16:
        return unsigned_size(CMDI_LOAD(uint16_t, at));
    case CMDS_KIND_U32:
        return unsigned_size(CMDI_LOAD(uint32_t, at));
    case CMDS_KIND_U64:
        return unsigned_size(CMDI_LOAD(uint64_t, at));
    case CMDS_KIND_F32:
        return 5;
    case CMDS_KIND_F64:
        return 9;
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        code = span_check(span.data, span.size, size_max);
        if (CMDI_UNLIKELY(code < 0)) {
            return code;
        }
        return field->kind == CMDS_KIND_STRING ? str_size(span.size) : bin_size(span.size);
    case CMDS_KIND_MAP:
        return map_size(at, size_max);
    case CMDS_KIND_TEXT:
        return text_size(field, at, size_max);
    case CMDS_KIND_BLOB:
        return bin_size(field->item_size);
    case CMDS_KIND_STRUCT:
        return struct_size(field->nested, at, as_map);
    default:
        return 1; // A bool; nil for what was removed.
    }
}

static int64_t item_size_called(
        const struct cmds_field *field, const uint8_t *at, uint32_t size_max, bool as_map)
{
    return item_size(field, at, size_max, as_map);
}

static int64_t array_size(const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    int code = span_check(array.items, array.count, field->size_max);
    if (code < 0) {
        return code;
    }
    const uint8_t *item = array.items;
    int64_t total = list_head_size(array.count);
    for (size_t i = 0; i < array.count; i++) {
        int64_t size = item_size_called(field, item, 0, as_map);
        if (size < 0) {
            return size;
        }
        total += size;
        item += field->item_size;
    }
    return total;
}

static int64_t many_size(const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        return array_size(field, at, as_map);
    }
    return *at != 0 ? item_size_called(field, at + field->item_offset, field->size_max, as_map) : 1;
}

static int64_t struct_size(const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    int64_t total = list_head_size(as_map ? map_count(schema) : schema->field_count);
    const struct cmds_field *field = schema->fields;
    for (uint32_t i = 0; i < schema->field_count;
            i++, field = cmdi_row_after(field, schema->field_stride)) {
        if (as_map) {
            if (field->kind == CMDS_KIND_RESERVED) {
                continue;
            }
            total += str_size(cmdi_row_name_size(field));
        }
        const uint8_t *at = value + field->offset;
        int64_t size = CMDI_LIKELY(field->shape == CMDS_SHAPE_ONE)
                               ? item_size(field, at, field->size_max, as_map)
                               : many_size(field, at, as_map);
        if (CMDI_UNLIKELY(size < 0)) {
            return size;
        }
        total += size;
    }
    return total;
}

int64_t cmdi_msgpack_size(const struct cmds_schema *schema, const void *value, bool as_map)
{
    return struct_size(schema, value, as_map);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static inline uint8_t *write_str(uint8_t *out, const void *data, size_t size)
{
    (void)pack_str(&out, size);
    if (size > 0) {
        (void)pack_str_body(&out, data, size);
    }
    return out;
}

static inline uint8_t *write_bin(uint8_t *out, const void *data, size_t size)
{
    (void)pack_bin(&out, size);
    if (size > 0) {
        (void)pack_bin_body(&out, data, size);
    }
    return out;
}

static uint8_t *write_map(uint8_t *out, const uint8_t *at)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    (void)pack_map(&out, map.count);
    for (size_t i = 0; i < map.count; i++) {
        out = write_str(out, map.items[i].key.data, map.items[i].key.size);
        out = write_str(out, map.items[i].value.data, map.items[i].value.size);
    }
    return out;
}

static uint8_t *write_struct(
        uint8_t *out, const struct cmds_schema *schema, const uint8_t *value, bool as_map);

/*
 * Every signed kind goes through one packer, and every unsigned one through another: the shortest
 * form is the same.
 */
static inline uint8_t *write_signed(uint8_t *out, int64_t value)
{
    (void)pack_int64(&out, value);
    return out;
}

static inline uint8_t *write_unsigned(uint8_t *out, uint64_t value)
{
    (void)pack_uint64(&out, value);
    return out;
}

static inline uint8_t *write_bool(uint8_t *out, const uint8_t *at)
{
    (void)(*at != 0 ? pack_true(&out) : pack_false(&out));
    return out;
}

static CMDI_INLINED uint8_t *write_item(
        uint8_t *out, const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    struct cmds_bytes span;
    switch (field->kind) {
    case CMDS_KIND_BOOL:
        return write_bool(out, at);
    case CMDS_KIND_I8:
        return write_signed(out, CMDI_LOAD(int8_t, at));
    case CMDS_KIND_I16:
        return write_signed(out, CMDI_LOAD(int16_t, at));
    case CMDS_KIND_I32:
        return write_signed(out, CMDI_LOAD(int32_t, at));
    case CMDS_KIND_I64:
        return write_signed(out, CMDI_LOAD(int64_t, at));
    case CMDS_KIND_U8:
        return write_unsigned(out, CMDI_LOAD(uint8_t, at));
    case CMDS_KIND_U16:
        return write_unsigned(out, CMDI_LOAD(uint16_t, at));
    case CMDS_KIND_U32:
        return write_unsigned(out, CMDI_LOAD(uint32_t, at));
    case CMDS_KIND_U64:
        return write_unsigned(out, CMDI_LOAD(uint64_t, at));
    case CMDS_KIND_F32:
        (void)pack_float(&out, CMDI_LOAD(float, at));
        return out;
    case CMDS_KIND_F64:
        (void)pack_double(&out, CMDI_LOAD(double, at));
        return out;
    case CMDS_KIND_STRING:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return write_str(out, span.data, span.size);
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return write_bin(out, span.data, span.size);
    case CMDS_KIND_MAP:
        return write_map(out, at);
    case CMDS_KIND_TEXT:
        return write_str(out, at, strnlen((const char *)at, field->item_size));
    case CMDS_KIND_BLOB:
        return write_bin(out, at, field->item_size);
    case CMDS_KIND_STRUCT:
        return write_struct(out, field->nested, at, as_map);
    default:
        (void)pack_nil(&out); // What was removed.
        return out;
    }
}

static uint8_t *write_item_called(
        uint8_t *out, const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    return write_item(out, field, at, as_map);
}

static uint8_t *write_many(
        uint8_t *out, const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    if (field->shape == CMDS_SHAPE_OPTIONAL) {
        if (*at != 0) {
            return write_item_called(out, field, at + field->item_offset, as_map);
        }
        (void)pack_nil(&out);
        return out;
    }
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    const uint8_t *item = array.items;
    (void)pack_array(&out, array.count);
    for (size_t i = 0; i < array.count; i++) {
        out = write_item_called(out, field, item, as_map);
        item += field->item_size;
    }
    return out;
}

static uint8_t *write_struct(
        uint8_t *out, const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    (void)(as_map ? pack_map(&out, map_count(schema)) : pack_array(&out, schema->field_count));
    const struct cmds_field *field = schema->fields;
    for (uint32_t i = 0; i < schema->field_count;
            i++, field = cmdi_row_after(field, schema->field_stride)) {
        if (as_map) {
            if (field->kind == CMDS_KIND_RESERVED) {
                continue;
            }
            out = write_str(out, field->name, cmdi_row_name_size(field));
        }
        const uint8_t *at = value + field->offset;
        out = CMDI_LIKELY(field->shape == CMDS_SHAPE_ONE) ? write_item(out, field, at, as_map)
                                                          : write_many(out, field, at, as_map);
    }
    return out;
}

uint8_t *cmdi_msgpack_write(
        const struct cmds_schema *schema, const void *value, bool as_map, uint8_t *out)
{
    return write_struct(out, schema, value, as_map);
}
