/* SPDX-License-Identifier: MIT */
/*
 * MUS becomes a value. Strings and bytes point into the input.
 *
 * There is no length in front of a value, so the bytes may end anywhere and the reader says how many more there must be at
 * least: of a string what is missing of it, of an array one element's fewest bytes for each that is still to come. A
 * connection then decodes again only when that much has come, not for every byte. A count is believed as far as the bytes
 * that are there could hold it, and only so much is allocated; a count above the row's limit ends the connection at once,
 * not after it has waited for a sea of bytes. The walk recurses over nested schemas, never over the input. No state, any
 * thread.
 */
#include "common/value.h"
#include "common/varint.h"
#include "mus/mus.h"

enum {
    READ_SHORT = 1, // The input ends too early; reader.missing says by how much at least.
};

struct reader {
    const uint8_t *at, *end;
    size_t missing;
    struct cmds_arena *arena;
};

static inline size_t bytes_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static int short_by(struct reader *reader, size_t missing)
{
    reader->missing = missing;
    return READ_SHORT;
}

static inline int read_varint(struct reader *reader, uint64_t *value)
{
    int used = cmdi_leb_read(reader->at, reader->end, value);
    if (CMDI_RARELY(used <= 0)) {
        return used < 0 ? CMDS_E_PROTO : short_by(reader, 1);
    }
    reader->at += used;
    return 0;
}

/* A varint of more bytes than its kind has is refused before it ends, as in Go. */
static int read_integer(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    static const uint8_t sizes[] = {[CMDS_KIND_I16 - CMDS_KIND_I8] = 3,
            [CMDS_KIND_I32 - CMDS_KIND_I8] = 5,
            [CMDS_KIND_I64 - CMDS_KIND_I8] = 10};
    bool is_signed = cmdi_kind_is_signed(row->kind);
    size_t size_max = sizes[row->kind - (is_signed ? CMDS_KIND_I8 : CMDS_KIND_U8)];
    const uint8_t *from = reader->at;
    uint64_t value = 0;
    int error = read_varint(reader, &value);
    if (CMDI_RARELY(error != 0)) {
        bool too_long = error == READ_SHORT && bytes_left(reader) >= size_max;
        return too_long ? CMDS_E_PROTO : error;
    }
    if ((size_t)(reader->at - from) > size_max) {
        return CMDS_E_PROTO;
    }
    return cmdi_integer_store(row->kind, to, is_signed ? cmdi_unzigzag(value) : value);
}

static inline int read_count(struct reader *reader, size_t count_max, size_t *count)
{
    uint64_t value = 0;
    int error = read_varint(reader, &value);
    if (CMDI_RARELY(error != 0)) {
        return error;
    }
    if (CMDI_RARELY(value > count_max)) {
        return value > INT64_MAX ? CMDS_E_PROTO : CMDS_E_LIMIT; // The former is negative to Go.
    }
    *count = (size_t)value;
    return 0;
}

static inline int read_span(struct reader *reader, size_t size_max, struct cmds_bytes *span)
{
    size_t size = 0;
    int error = read_count(reader, size_max, &size);
    if (CMDI_RARELY(error != 0)) {
        return error;
    }
    if (CMDI_RARELY(size > bytes_left(reader))) {
        return short_by(reader, size - bytes_left(reader));
    }
    *span = (struct cmds_bytes){reader->at, size};
    reader->at += size;
    return 0;
}

static int read_text(
        struct reader *reader, const struct cmds_field *row, uint8_t *to, uint32_t row_max)
{
    struct cmds_bytes span = {0};
    int error = read_span(reader, row->item_size - 1, &span);
    return error != 0 ? error : cmdi_text_store(row, to, span, row_max);
}

static int read_blob(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    size_t size = 0;
    int error = read_count(reader, INT64_MAX, &size);
    if (error != 0) {
        return error;
    }
    if (size != row->item_size) {
        return CMDS_E_PROTO;
    }
    if (size > bytes_left(reader)) {
        return short_by(reader, size - bytes_left(reader));
    }
    memcpy(to, reader->at, size);
    reader->at += size;
    return 0;
}

static int read_raw(struct reader *reader, uint8_t *to, unsigned size)
{
    if (CMDI_RARELY(bytes_left(reader) < size)) {
        return short_by(reader, size - bytes_left(reader));
    }
    uint64_t bits = 0;
    for (unsigned i = 0; i < size; i++) {
        bits |= (uint64_t)reader->at[i] << (8 * i);
    }
    if (size == 4) {
        CMDI_STORE(uint32_t, to, (uint32_t)bits);
    } else {
        CMDI_STORE(uint64_t, to, bits);
    }
    reader->at += size;
    return 0;
}

static inline int read_byte(struct reader *reader, uint8_t value_max, uint8_t *to)
{
    if (CMDI_RARELY(bytes_left(reader) == 0)) {
        return short_by(reader, 1);
    }
    if (CMDI_RARELY(*reader->at > value_max)) {
        return CMDS_E_PROTO;
    }
    *to = *reader->at++;
    return 0;
}

/* The count of a list, and zeroed room for it once all of it can be there. */
static int list_open(struct reader *reader, uint32_t row_max, size_t size_min, size_t item_size,
        struct cmdi_array *array)
{
    size_t bytes;
    int error = read_count(reader, cmdi_mus_count_max(row_max), &array->count);
    if (error != 0 || array->count == 0) {
        return error;
    }
    if (array->count > bytes_left(reader) / size_min) {
        return short_by(reader, array->count * size_min - bytes_left(reader)); // 2^32 * 2^28.
    }
    if (__builtin_mul_overflow(array->count, item_size, &bytes)) {
        return CMDS_E_LIMIT;
    }
    array->items = cmds_arena_alloc(reader->arena, bytes, _Alignof(max_align_t));
    if (array->items == NULL) {
        return CMDS_E_LIMIT;
    }
    memset(array->items, 0, bytes);
    return 0;
}

/* Behind an element that is not whole there are at least so many bytes of those that follow it. */
static int list_short(struct reader *reader, int error, size_t following, size_t size_min)
{
    if (error == READ_SHORT) {
        reader->missing += following * size_min;
    }
    return error;
}

static int read_map(struct reader *reader, uint8_t *to, uint32_t row_max)
{
    struct cmdi_array array = {0};
    int error = list_open(reader, row_max, 2, sizeof(struct cmds_pair), &array);
    struct cmds_pair *pairs = array.items;
    for (size_t i = 0; error == 0 && i < array.count; i++) {
        struct cmds_bytes key = {0}, value = {0};
        error = read_span(reader, CMDI_MUS_COUNT_MAX, &key);
        error = error != 0 ? error : read_span(reader, CMDI_MUS_COUNT_MAX, &value);
        if (error != 0) {
            return list_short(reader, error, array.count - i - 1, 2);
        }
        pairs[i].key = (struct cmds_string){key.data, key.size};
        pairs[i].value = (struct cmds_string){value.data, value.size};
    }
    memcpy(to, &array, sizeof(array));
    return error;
}

static int read_struct(struct reader *reader, const struct cmds_schema *schema, uint8_t *value);

static CMDI_INLINED int read_item(
        struct reader *reader, const struct cmds_field *row, uint8_t *to, uint32_t row_max)
{
    struct cmds_bytes span;
    int error;
    switch (row->kind) {
    case CMDS_KIND_RESERVED:
        return 0;
    case CMDS_KIND_BOOL:
        return read_byte(reader, 1, to);
    case CMDS_KIND_I8:
    case CMDS_KIND_U8:
        return read_byte(reader, UINT8_MAX, to);
    case CMDS_KIND_F32:
        return read_raw(reader, to, 4);
    case CMDS_KIND_F64:
        return read_raw(reader, to, 8);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        error = read_span(reader, cmdi_mus_count_max(row_max), &span);
        if (__builtin_expect(error == 0, 1)) {
            memcpy(to, &span, sizeof(span));
        }
        return error;
    case CMDS_KIND_MAP:
        return read_map(reader, to, row_max);
    case CMDS_KIND_TEXT:
        return read_text(reader, row, to, row_max);
    case CMDS_KIND_BLOB:
        return read_blob(reader, row, to);
    case CMDS_KIND_STRUCT:
        return read_struct(reader, row->nested, to);
    default:
        return read_integer(reader, row, to);
    }
}

static int read_array(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    struct cmdi_array array = {0};
    size_t size_min = cmdi_mus_item_size_min(row);
    int error = list_open(reader, row->size_max, size_min, row->item_size, &array);
    uint8_t *item = array.items;
    for (size_t i = 0; error == 0 && i < array.count; i++, item += row->item_size) {
        error = read_item(reader, row, item, 0);
        if (error != 0) {
            return list_short(reader, error, array.count - i - 1, size_min);
        }
    }
    memcpy(to, &array, sizeof(array));
    return error;
}

static int read_many(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return read_array(reader, row, to);
    }
    uint8_t flag = CMDI_MUS_NIL;
    int error = read_byte(reader, CMDI_MUS_NIL, &flag);
    if (error != 0 || flag == CMDI_MUS_NIL) {
        return error;
    }
    CMDI_STORE(bool, to, true);
    return read_item(reader, row, to + row->item_offset, row->size_max);
}

static int read_struct(struct reader *reader, const struct cmds_schema *schema, uint8_t *value)
{
    const struct cmds_field *row = schema->fields;
    for (uint32_t i = 0; i < schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        uint8_t *to = value + row->offset;
        int error = __builtin_expect(row->shape == CMDS_SHAPE_ONE, 1)
                            ? read_item(reader, row, to, row->size_max)
                            : read_many(reader, row, to);
        if (CMDI_RARELY(error != 0)) {
            return error;
        }
    }
    return 0;
}

int64_t cmdi_mus_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value)
{
    static const uint8_t nothing[1];
    const uint8_t *begin = in.data != NULL ? in.data : nothing;
    struct reader reader = {begin, begin + in.size, 0, arena};
    int error = read_struct(&reader, schema, value);
    if (CMDI_RARELY(error < 0)) {
        return error;
    }
    return CMDI_RARELY(error == READ_SHORT) ? (int64_t)(in.size + reader.missing)
                                            : (int64_t)(reader.at - begin);
}
