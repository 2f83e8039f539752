/* SPDX-License-Identifier: MIT */
/*
 * A value becomes msgpack: first its size, so that the frame's length is known and the room is made once, then the bytes.
 *
 * An item begins with a first byte and a number of 0 to 8 bytes. The shortest form for a number is found without a branch
 * that depends on it, because sizes vary from value to value, and a guess gone wrong costs more than the rest of the
 * field; and always eight bytes are stored, over which the next item is written. Where so many are not left,
 * msgpack-c's pack_template.h, the template under its own packer, writes the item and nothing beyond.
 *
 * The two walks take the same steps in the same order; the size walk is the one that refuses, so that the write cannot
 * fail. They recurse over nested schemas, never over the value. No state, any thread.
 */
#include <endian.h>
#include <errno.h>
#include <msgpack/pack.h>

#include "base/hint.h"
#include "common/value.h"
#include "msgpack/form.h"
#include "msgpack/msgpack.h"

static inline int append(uint8_t **out, const void *bytes, size_t size)
{
    memcpy(*out, bytes, size);
    *out += size;
    return 0;
}

#define msgpack_pack_inline_func(name)               CMDS_UNUSED_ static inline int pack##name
#define msgpack_pack_user                            uint8_t **
#define msgpack_pack_append_buffer(out, bytes, size) return append(out, bytes, size)
/* msgpack-c 6 has a function of this name in its public header, with other arguments. */
#define msgpack_pack_ext pack_ext
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext

/* --- Size ------------------------------------------------------------------------------------- */

static CMDI_INLINED int64_t str_size(size_t size)
{
    return (int64_t)(str_form(size)->size + size);
}

static CMDI_INLINED int64_t bin_size(size_t size)
{
    return (int64_t)(bin_form(size)->size + size);
}

static CMDI_INLINED int64_t count_size(size_t count)
{
    return count_form(array_forms, count)->size; // A map's is the same.
}

/* No length of the format has more than 32 bits. */
static CMDI_INLINED int span_check(const void *data, size_t size, uint32_t size_max)
{
    return cmdi_span_check(data, size, size_max != 0 ? size_max : UINT32_MAX);
}

/* Of what needs no call. Returns: below 0: this one does, or is refused. */
static CMDI_INLINED int64_t plain_size(
        unsigned form, const struct cmds_field *field, const uint8_t *at, uint32_t size_max)
{
    struct cmds_bytes span;
    switch (form) {
    case CMDS_KIND_BOOL:
        return 1;
    case CMDS_KIND_I8:
        return signed_form(CMDI_LOAD(int8_t, at))->size;
    case CMDS_KIND_I16:
        return signed_form(CMDI_LOAD(int16_t, at))->size;
    case CMDS_KIND_I32:
        return signed_form(CMDI_LOAD(int32_t, at))->size;
    case CMDS_KIND_I64:
        return signed_form(CMDI_LOAD(int64_t, at))->size;
    case CMDS_KIND_U8:
        return unsigned_form(CMDI_LOAD(uint8_t, at))->size;
    case CMDS_KIND_U16:
        return unsigned_form(CMDI_LOAD(uint16_t, at))->size;
    case CMDS_KIND_U32:
        return unsigned_form(CMDI_LOAD(uint32_t, at))->size;
    case CMDS_KIND_U64:
        return unsigned_form(CMDI_LOAD(uint64_t, at))->size;
    case CMDS_KIND_F32:
        return 1 + sizeof(float);
    case CMDS_KIND_F64:
        return 1 + sizeof(double);
    case CMDS_KIND_STRING:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return span_check(span.data, span.size, size_max) < 0 ? -1 : str_size(span.size);
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return span_check(span.data, span.size, size_max) < 0 ? -1 : bin_size(span.size);
    case CMDS_KIND_BLOB:
        return bin_size(field->item_size);
    default:
        return -1;
    }
}

static int64_t map_size(const uint8_t *at, uint32_t count_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    int code = span_check(map.items, map.count, count_max);
    if (code < 0) {
        return code;
    }
    int64_t total = count_size(map.count);
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

static int64_t array_struct_size(const struct cmds_schema *schema, const uint8_t *value);
static int64_t map_struct_size(const struct cmds_schema *schema, const uint8_t *value);

static int64_t item_size(
        const struct cmds_field *field, const uint8_t *at, uint32_t size_max, bool as_map)
{
    struct cmds_bytes span;
    switch (field->kind) {
    case CMDS_KIND_STRUCT:
        return as_map ? map_struct_size(field->nested, at) : array_struct_size(field->nested, at);
    case CMDS_KIND_MAP:
        return map_size(at, size_max);
    case CMDS_KIND_TEXT:
        return text_size(field, at, size_max);
    case CMDS_KIND_RESERVED:
        return 1;
    default:
        break;
    }
    int64_t size = plain_size(field->kind, field, at, size_max);
    if (CMDI_UNLIKELY(size < 0)) {
        span = CMDI_LOAD(struct cmds_bytes, at); // No other kind is refused.
        return span_check(span.data, span.size, size_max);
    }
    return size;
}

/* A plain one is measured on the spot. */
static CMDI_INLINED int64_t element_size(
        const struct cmds_field *field, const uint8_t *item, bool as_map)
{
    if (field->kind == CMDS_KIND_STRUCT) {
        return as_map ? map_struct_size(field->nested, item)
                      : array_struct_size(field->nested, item);
    }
    int64_t size = plain_size(field->kind, field, item, 0);
    return CMDI_LIKELY(size >= 0) ? size : item_size(field, item, 0, as_map);
}

static int64_t array_size(const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    int code = span_check(array.items, array.count, field->size_max);
    if (code < 0) {
        return code;
    }
    const uint8_t *item = array.items;
    int64_t total = count_size(array.count);
    for (size_t i = 0; i < array.count; i++) {
        int64_t size = element_size(field, item, as_map);
        if (size < 0) {
            return size;
        }
        total += size;
        item += field->item_size;
    }
    return total;
}

static int64_t field_size(const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    switch (field->shape) {
    case CMDS_SHAPE_ONE:
        return item_size(field, at, field->size_max, as_map);
    case CMDS_SHAPE_ARRAY:
        return array_size(field, at, as_map);
    default:
        return *at != 0 ? item_size(field, at + field->item_offset, field->size_max, as_map) : 1;
    }
}

/* How far the walk over a struct's rows has come. Two words, so that it is handed over in registers. */
struct walk {
    const struct cmds_field *field;
    int64_t total;
};

/* As far as no call is needed, so that everything stays in registers; that is the whole of most structs. */
static CMDI_INLINED struct walk walk_plain(
        struct walk walk, const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *end = cmdi_rows_end(schema);
    for (; walk.field != end; walk.field = cmdi_row_after(walk.field, stride)) {
        const struct cmds_field *field = walk.field;
        int64_t size =
                plain_size(cmdi_row_form(field), field, value + field->offset, field->size_max);
        if (CMDI_UNLIKELY(size < 0 || (as_map && field->name_size == 0))) {
            return walk;
        }
        walk.total += size + (as_map ? 1 + (field->name_size >= 32) + field->name_size : 0);
    }
    return walk;
}

static struct walk walk_plain_called(
        struct walk walk, const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    return as_map ? walk_plain(walk, schema, value, true) : walk_plain(walk, schema, value, false);
}

/* A struct as a map leaves out what was removed; as an array it keeps the place. */
static int64_t walk_rest(
        struct walk walk, const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    const struct cmds_field *end = cmdi_rows_end(schema);
    size_t count = schema->field_count;
    while (walk.field != end) {
        if (as_map && walk.field->kind == CMDS_KIND_RESERVED) {
            count--;
        } else {
            int64_t size = field_size(walk.field, value + walk.field->offset, as_map);
            if (size < 0) {
                return size;
            }
            walk.total += size + (as_map ? str_size(cmdi_row_name_size(walk.field)) : 0);
        }
        walk.field = cmdi_row_after(walk.field, schema->field_stride);
        walk = walk_plain_called(walk, schema, value, as_map);
    }
    return walk.total + count_size(count);
}

static CMDI_INLINED int64_t struct_size(
        const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    struct walk walk = walk_plain((struct walk){schema->fields, 0}, schema, value, as_map);
    if (CMDI_LIKELY(walk.field == cmdi_rows_end(schema))) {
        return walk.total + count_size(schema->field_count);
    }
    return walk_rest(walk, schema, value, as_map);
}

static int64_t array_struct_size(const struct cmds_schema *schema, const uint8_t *value)
{
    return struct_size(schema, value, false);
}

static int64_t map_struct_size(const struct cmds_schema *schema, const uint8_t *value)
{
    return struct_size(schema, value, true);
}

/* --- The last bytes --------------------------------------------------------------------------- */

static uint8_t *tail_unsigned(uint8_t *out, uint64_t value)
{
    (void)pack_uint64(&out, value);
    return out;
}

static uint8_t *tail_signed(uint8_t *out, int64_t value)
{
    (void)pack_int64(&out, value);
    return out;
}

static uint8_t *tail_str(uint8_t *out, size_t size)
{
    (void)pack_str(&out, size);
    return out;
}

static uint8_t *tail_bin(uint8_t *out, size_t size)
{
    (void)pack_bin(&out, size);
    return out;
}

static uint8_t *tail_array(uint8_t *out, size_t count)
{
    (void)pack_array(&out, count);
    return out;
}

static uint8_t *tail_map(uint8_t *out, size_t count)
{
    (void)pack_map(&out, count);
    return out;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* Where the next item goes, and the last place where CMDS_ITEM_ROOM_ bytes are. */
struct sink {
    uint8_t *out;
    const uint8_t *border;
};

/* Room for less is none: no place is so far in front. */
static CMDI_INLINED struct sink sink_of(uint8_t *out, size_t size)
{
    return (struct sink){out, size >= CMDS_ITEM_ROOM_ ? out + size - CMDS_ITEM_ROOM_ : NULL};
}

#define PUT(sink, form, number, tail)                                                              \
    (CMDI_LIKELY((sink).out <= (sink).border) ? put((sink).out, (form), (uint64_t)(number))        \
                                              : tail((sink).out, (number)))

static CMDI_INLINED uint8_t *write_unsigned(struct sink sink, uint64_t value)
{
    return PUT(sink, unsigned_form(value), value, tail_unsigned);
}

static CMDI_INLINED uint8_t *write_signed(struct sink sink, int64_t value)
{
    return PUT(sink, signed_form(value), value, tail_signed);
}

static CMDI_INLINED uint8_t *write_body(uint8_t *out, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(out, data, size);
    }
    return out + size;
}

static CMDI_INLINED uint8_t *write_str(struct sink sink, const void *data, size_t size)
{
    return write_body(PUT(sink, str_form(size), size, tail_str), data, size);
}

static CMDI_INLINED uint8_t *write_bin(struct sink sink, const void *data, size_t size)
{
    return write_body(PUT(sink, bin_form(size), size, tail_bin), data, size);
}

static CMDI_INLINED uint8_t *write_name(struct sink sink, const struct cmds_field *field)
{
    size_t size = cmdi_row_name_size(field);
    if (CMDI_LIKELY(size < 32)) {
        *sink.out++ = (uint8_t)(CMDS_HEAD_FIXSTR_ + size);
        return write_name_body(sink.out, field->name, size);
    }
    return write_str(sink, field->name, size);
}

static uint8_t *write_map(struct sink sink, const uint8_t *at)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    sink.out = PUT(sink, count_form(map_forms, map.count), map.count, tail_map);
    for (size_t i = 0; i < map.count; i++) {
        sink.out = write_str(sink, map.items[i].key.data, map.items[i].key.size);
        sink.out = write_str(sink, map.items[i].value.data, map.items[i].value.size);
    }
    return sink.out;
}

static CMDI_INLINED uint8_t *write_float(uint8_t *out, const uint8_t *at)
{
    uint32_t word = htobe32(CMDI_LOAD(uint32_t, at));
    *out = CMDS_HEAD_FLOAT32_;
    memcpy(out + 1, &word, sizeof(word));
    return out + 1 + sizeof(word);
}

static CMDI_INLINED uint8_t *write_double(uint8_t *out, const uint8_t *at)
{
    uint64_t word = htobe64(CMDI_LOAD(uint64_t, at));
    *out = CMDS_HEAD_FLOAT64_;
    memcpy(out + 1, &word, sizeof(word));
    return out + 1 + sizeof(word);
}

static CMDI_INLINED uint8_t *write_byte(uint8_t *out, unsigned byte)
{
    *out = (uint8_t)byte;
    return out + 1;
}

static uint8_t *write_array_struct(
        struct sink sink, const struct cmds_schema *schema, const uint8_t *value);
static uint8_t *write_map_struct(
        struct sink sink, const struct cmds_schema *schema, const uint8_t *value);
static uint8_t *write_many(
        struct sink sink, const struct cmds_field *field, const uint8_t *at, bool as_map);

static CMDI_INLINED uint8_t *write_form(struct sink sink, unsigned form,
        const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    struct cmds_bytes span;
    switch (form) {
    case CMDS_KIND_BOOL:
        return write_byte(sink.out, CMDS_HEAD_FALSE_ + (*at != 0));
    case CMDS_KIND_I8:
        return write_signed(sink, CMDI_LOAD(int8_t, at));
    case CMDS_KIND_I16:
        return write_signed(sink, CMDI_LOAD(int16_t, at));
    case CMDS_KIND_I32:
        return write_signed(sink, CMDI_LOAD(int32_t, at));
    case CMDS_KIND_I64:
        return write_signed(sink, CMDI_LOAD(int64_t, at));
    case CMDS_KIND_U8:
        return write_unsigned(sink, CMDI_LOAD(uint8_t, at));
    case CMDS_KIND_U16:
        return write_unsigned(sink, CMDI_LOAD(uint16_t, at));
    case CMDS_KIND_U32:
        return write_unsigned(sink, CMDI_LOAD(uint32_t, at));
    case CMDS_KIND_U64:
        return write_unsigned(sink, CMDI_LOAD(uint64_t, at));
    case CMDS_KIND_F32:
        return write_float(sink.out, at);
    case CMDS_KIND_F64:
        return write_double(sink.out, at);
    case CMDS_KIND_STRING:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return write_str(sink, span.data, span.size);
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return write_bin(sink, span.data, span.size);
    case CMDS_KIND_MAP:
        return write_map(sink, at);
    case CMDS_KIND_TEXT:
        return write_str(sink, at, strnlen((const char *)at, field->item_size));
    case CMDS_KIND_BLOB:
        return write_bin(sink, at, field->item_size);
    case CMDS_KIND_STRUCT:
        return as_map ? write_map_struct(sink, field->nested, at)
                      : write_array_struct(sink, field->nested, at);
    case CMDS_KIND_RESERVED:
        return write_byte(sink.out, CMDS_HEAD_NIL_); // What was removed.
    default:
        return write_many(sink, field, at, as_map);
    }
}

static uint8_t *write_item(
        struct sink sink, const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    return write_form(sink, field->kind, field, at, as_map);
}

static uint8_t *write_many(
        struct sink sink, const struct cmds_field *field, const uint8_t *at, bool as_map)
{
    if (field->shape == CMDS_SHAPE_OPTIONAL) {
        return *at != 0 ? write_item(sink, field, at + field->item_offset, as_map)
                        : write_byte(sink.out, CMDS_HEAD_NIL_);
    }
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    const uint8_t *item = array.items;
    sink.out = PUT(sink, count_form(array_forms, array.count), array.count, tail_array);
    for (size_t i = 0; i < array.count; i++, item += field->item_size) {
        sink.out = field->kind != CMDS_KIND_STRUCT ? write_item(sink, field, item, as_map)
                   : as_map                        ? write_map_struct(sink, field->nested, item)
                                                   : write_array_struct(sink, field->nested, item);
    }
    return sink.out;
}

static CMDI_INLINED uint8_t *write_count(struct sink sink, size_t count, unsigned fixed)
{
    if (CMDI_LIKELY(count < 16)) {
        return write_byte(sink.out, fixed + (unsigned)count);
    }
    return fixed == CMDS_HEAD_FIXMAP_ ? tail_map(sink.out, count) : tail_array(sink.out, count);
}

static uint8_t *write_array_struct(
        struct sink sink, const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *field = schema->fields, *end = cmdi_rows_end(schema);
    sink.out = write_count(sink, schema->field_count, CMDS_HEAD_FIXARRAY_);
    for (; field != end; field = cmdi_row_after(field, stride)) {
        const uint8_t *at = value + field->offset;
        sink.out = write_form(sink, cmdi_row_form(field), field, at, false);
    }
    return sink.out;
}

/* The count of up to 15 rows is mended where some were left out. */
static uint8_t *write_map_struct(
        struct sink sink, const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *field = schema->fields, *end = cmdi_rows_end(schema);
    uint8_t *head = sink.out;
    bool is_short = schema->field_count < 16;
    sink.out = write_count(
            sink, is_short ? schema->field_count : map_count(schema), CMDS_HEAD_FIXMAP_);
    for (; field != end; field = cmdi_row_after(field, stride)) {
        if (CMDI_UNLIKELY(field->kind == CMDS_KIND_RESERVED)) {
            *head = (uint8_t)(*head - is_short);
            continue;
        }
        sink.out = write_name(sink, field);
        const uint8_t *at = value + field->offset;
        sink.out = write_form(sink, cmdi_row_form(field), field, at, true);
    }
    return sink.out;
}

/* --- What the codecs are made of -------------------------------------------------------------- */

int64_t cmdi_msgpack_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    return array_struct_size(type->schema, value);
}

int64_t cmdi_msgpack_map_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    return map_struct_size(type->schema, value);
}

uint8_t *cmdi_msgpack_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    return write_array_struct(sink_of(out, size), type->schema, value);
}

uint8_t *cmdi_msgpack_map_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    return write_map_struct(sink_of(out, size), type->schema, value);
}
