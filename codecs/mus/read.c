/* SPDX-License-Identifier: MIT */
/*
 * MUS becomes a value. Strings and bytes point into the input.
 *
 * There is no length in front of a value, so the bytes may end anywhere, and the reader says how
 * many more there must be at least: of a string what is missing of it, of an array a byte or what
 * its kind takes for each element that is still to come. If there are too few, end.c continues. A count
 * is believed as far as the bytes that are there could hold it, and only so much is allocated; a count
 * above the row's limit is refused at once, not after a sea of bytes. The walk recurses over nested
 * schemas, never over the input. No state, any thread.
 */
#include "base/hint.h"
#include "mus/reader.h"

/* A varint of more bytes than its kind has is refused before it ends, as in Go. */
static int read_integer(struct cmdi_mus_reader *reader, const struct cmds_field *row, uint8_t *to)
{
    static const uint8_t sizes[] = {[CMDS_KIND_I16 - CMDS_KIND_I8] = 3,
            [CMDS_KIND_I32 - CMDS_KIND_I8] = 5,
            [CMDS_KIND_I64 - CMDS_KIND_I8] = 10};
    bool is_signed = cmdi_kind_is_signed(row->kind);
    size_t size_max = sizes[row->kind - (is_signed ? CMDS_KIND_I8 : CMDS_KIND_U8)];
    const uint8_t *from = reader->at;
    uint64_t value = 0;
    int code = cmdi_mus_read_varint(reader, &value);
    if (CMDI_UNLIKELY(code != 0)) {
        bool too_long = code == CMDI_MUS_SHORT && cmdi_mus_bytes_left(reader) >= size_max;
        return too_long ? CMDS_E_PROTO : code;
    }
    if ((size_t)(reader->at - from) > size_max) {
        return CMDS_E_PROTO;
    }
    return cmdi_integer_store(row->kind, to, is_signed ? cmdi_unzigzag(value) : value);
}

static int read_text(
        struct cmdi_mus_reader *reader, const struct cmds_field *row, uint8_t *to, uint32_t row_max)
{
    struct cmds_bytes span = {0};
    int code = cmdi_mus_read_span(reader, row->item_size - 1, &span);
    return code != 0 ? code : cmdi_text_store(row, to, span, row_max);
}

static int read_blob(struct cmdi_mus_reader *reader, const struct cmds_field *row, uint8_t *to)
{
    size_t size = 0;
    int code = cmdi_mus_read_count(reader, INT64_MAX, &size);
    if (code != 0) {
        return code;
    }
    if (size != row->item_size) {
        return CMDS_E_PROTO;
    }
    if (size > cmdi_mus_bytes_left(reader)) {
        return cmdi_mus_short_by(reader, size - cmdi_mus_bytes_left(reader));
    }
    memcpy(to, reader->at, size);
    reader->at += size;
    return 0;
}

static int read_raw(struct cmdi_mus_reader *reader, uint8_t *to, unsigned size)
{
    if (CMDI_UNLIKELY(cmdi_mus_bytes_left(reader) < size)) {
        return cmdi_mus_short_by(reader, size - cmdi_mus_bytes_left(reader));
    }
    uint64_t bits = cmdi_fixed_read(reader->at, size);
    if (size == 4) {
        CMDI_STORE(uint32_t, to, (uint32_t)bits);
    } else {
        CMDI_STORE(uint64_t, to, bits);
    }
    reader->at += size;
    return 0;
}

static inline int read_byte(struct cmdi_mus_reader *reader, uint8_t value_max, uint8_t *to)
{
    if (CMDI_UNLIKELY(cmdi_mus_bytes_left(reader) == 0)) {
        return cmdi_mus_short_by(reader, 1);
    }
    if (CMDI_UNLIKELY(*reader->at > value_max)) {
        return CMDS_E_PROTO;
    }
    *to = *reader->at++;
    return 0;
}

/* --- The way that nearly all fields take ------------------------------------------------------ */

/*
 * A field that is whole and plain is read in one step, with the place in a register. Returns: its end;
 * NULL: nothing happened, and read_item() is to say what it is: cut, too long, refused, or a list.
 */

static CMDI_INLINED const uint8_t *take_byte(
        const uint8_t *at, const uint8_t *end, uint8_t value_max, uint8_t *to)
{
    if (CMDI_UNLIKELY(at == end || *at > value_max)) {
        return NULL;
    }
    *to = *at;
    return at + 1;
}

static CMDI_INLINED const uint8_t *take_integer(
        const uint8_t *at, const uint8_t *end, uint8_t kind, int size_max, uint8_t *to)
{
    uint64_t value = 0;
    int used = cmdi_leb_read(at, end, &value);
    value = cmdi_kind_is_signed(kind) ? cmdi_unzigzag(value) : value;
    bool taken = used > 0 && used <= size_max && cmdi_integer_store(kind, to, value) == 0;
    return CMDI_LIKELY(taken) ? at + used : NULL;
}

static CMDI_INLINED const uint8_t *take_raw(
        const uint8_t *at, const uint8_t *end, size_t width, uint8_t *to)
{
    if (CMDI_UNLIKELY((size_t)(end - at) < width)) {
        return NULL;
    }
    uint64_t bits = cmdi_fixed_read(at, width);
    if (width == sizeof(uint32_t)) {
        CMDI_STORE(uint32_t, to, (uint32_t)bits);
    } else {
        CMDI_STORE(uint64_t, to, bits);
    }
    return at + width;
}

static CMDI_INLINED const uint8_t *take_span(
        const uint8_t *at, const uint8_t *end, size_t size_max, struct cmds_bytes *span)
{
    uint64_t size = 0;
    int used = cmdi_leb_read_size(at, end, &size);
    if (CMDI_UNLIKELY(used <= 0 || size > size_max || size > (size_t)(end - at - used))) {
        return NULL;
    }
    *span = (struct cmds_bytes){at + used, (size_t)size};
    return at + used + size;
}

static const uint8_t *take_text(const uint8_t *at, const uint8_t *end, const struct cmds_field *row,
        uint32_t row_max, uint8_t *to)
{
    struct cmds_bytes span;
    at = take_span(at, end, row->item_size - 1, &span);
    return at != NULL && cmdi_text_store(row, to, span, row_max) == 0 ? at : NULL;
}

static const uint8_t *take_blob(
        const uint8_t *at, const uint8_t *end, const struct cmds_field *row, uint8_t *to)
{
    struct cmds_bytes span;
    at = take_span(at, end, row->item_size, &span);
    if (at == NULL || span.size != row->item_size) {
        return NULL;
    }
    memcpy(to, span.data, span.size);
    return at;
}

/* `form`: the kind, unless it is more than one item. */
static CMDI_INLINED const uint8_t *take_item(const uint8_t *at, const uint8_t *end, unsigned form,
        const struct cmds_field *row, uint32_t row_max, uint8_t *to)
{
    struct cmds_bytes span;
    switch (form) {
    case CMDS_KIND_BOOL:
        return take_byte(at, end, 1, to);
    case CMDS_KIND_I8:
    case CMDS_KIND_U8:
        return take_byte(at, end, UINT8_MAX, to);
    case CMDS_KIND_I16:
        return take_integer(at, end, CMDS_KIND_I16, 3, to);
    case CMDS_KIND_I32:
        return take_integer(at, end, CMDS_KIND_I32, 5, to);
    case CMDS_KIND_I64:
        return take_integer(at, end, CMDS_KIND_I64, 10, to);
    case CMDS_KIND_U16:
        return take_integer(at, end, CMDS_KIND_U16, 3, to);
    case CMDS_KIND_U32:
        return take_integer(at, end, CMDS_KIND_U32, 5, to);
    case CMDS_KIND_U64:
        return take_integer(at, end, CMDS_KIND_U64, 10, to);
    case CMDS_KIND_F32:
        return take_raw(at, end, 4, to);
    case CMDS_KIND_F64:
        return take_raw(at, end, 8, to);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        at = take_span(at, end, cmdi_mus_count_max(row_max), &span);
        if (CMDI_LIKELY(at != NULL)) {
            CMDI_STORE(struct cmds_bytes, to, span);
        }
        return at;
    case CMDS_KIND_TEXT:
        return take_text(at, end, row, row_max, to);
    case CMDS_KIND_BLOB:
        return take_blob(at, end, row, to);
    default:
        return NULL;
    }
}

/* --- Everything else -------------------------------------------------------------------------- */

/* The count of a list, and zeroed room for it once all of it can be there. */
static int list_open(struct cmdi_mus_reader *reader, uint32_t row_max, size_t size_min,
        size_t item_size, struct cmdi_array *array)
{
    int code = cmdi_mus_read_count(reader, cmdi_mus_count_max(row_max), &array->count);
    if (code != 0 || array->count == 0) {
        return code;
    }
    if (array->count > cmdi_mus_bytes_left(reader) / size_min) { // Below 2^32 * 2^3: no overflow.
        return cmdi_mus_short_by(reader, array->count * size_min - cmdi_mus_bytes_left(reader));
    }
    size_t bytes = array->count * item_size; // Below 2^32 * 2^16.
    array->items = cmds_arena_alloc(reader->arena, bytes, _Alignof(max_align_t));
    if (array->items == NULL) {
        return CMDS_E_LIMIT;
    }
    memset(array->items, 0, bytes);
    return 0;
}

static int read_map(struct cmdi_mus_reader *reader, uint8_t *to, uint32_t row_max)
{
    struct cmdi_array array = {0};
    int code = list_open(reader, row_max, CMDI_MUS_PAIR_SIZE_MIN, sizeof(struct cmds_pair), &array);
    struct cmds_pair *pairs = array.items;
    for (size_t i = 0; code == 0 && i < array.count; i++) {
        struct cmds_bytes key = {0}, value = {0};
        code = cmdi_mus_read_span(reader, CMDI_MUS_COUNT_MAX, &key);
        code = code != 0 ? code : cmdi_mus_read_span(reader, CMDI_MUS_COUNT_MAX, &value);
        if (code != 0) {
            return cmdi_mus_list_short(reader, code, array.count - i - 1, CMDI_MUS_PAIR_SIZE_MIN);
        }
        pairs[i].key = (struct cmds_string){key.data, key.size};
        pairs[i].value = (struct cmds_string){value.data, value.size};
    }
    memcpy(to, &array, sizeof(array));
    return code;
}

static int read_struct(
        struct cmdi_mus_reader *reader, const struct cmds_schema *schema, uint8_t *value);

static int read_item(
        struct cmdi_mus_reader *reader, const struct cmds_field *row, uint8_t *to, uint32_t row_max)
{
    struct cmds_bytes span;
    int code;
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
        code = cmdi_mus_read_span(reader, cmdi_mus_count_max(row_max), &span);
        if (CMDI_LIKELY(code == 0)) {
            memcpy(to, &span, sizeof(span));
        }
        return code;
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

static int read_array(struct cmdi_mus_reader *reader, const struct cmds_field *row, uint8_t *to)
{
    struct cmdi_array array = {0};
    size_t size_min = cmdi_mus_item_size_min(row);
    int code = list_open(reader, row->size_max, size_min, row->item_size, &array);
    uint8_t *item = array.items;
    for (size_t i = 0; code == 0 && i < array.count; i++, item += row->item_size) {
        const uint8_t *from = reader->at;
        const uint8_t *taken = take_item(from, reader->end, row->kind, row, 0, item);
        if (CMDI_LIKELY(taken != NULL)) {
            reader->at = taken;
            continue;
        }
        code = read_item(reader, row, item, 0);
        if (CMDI_UNLIKELY(code == 0 && reader->at == from)) {
            return CMDS_E_PROTO; // What check() refuses, from a program that did not ask it.
        }
        if (code != 0) {
            return cmdi_mus_list_short(reader, code, array.count - i - 1, size_min);
        }
    }
    memcpy(to, &array, sizeof(array));
    return code;
}

static int read_many(struct cmdi_mus_reader *reader, const struct cmds_field *row, uint8_t *to)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return read_array(reader, row, to);
    }
    uint8_t flag = CMDI_MUS_NIL;
    int code = read_byte(reader, CMDI_MUS_NIL, &flag);
    if (code != 0 || flag == CMDI_MUS_NIL) {
        return code;
    }
    CMDI_STORE(bool, to, true);
    to += row->item_offset;
    const uint8_t *taken = take_item(reader->at, reader->end, row->kind, row, row->size_max, to);
    if (CMDI_LIKELY(taken != NULL)) {
        reader->at = taken;
        return 0;
    }
    return read_item(reader, row, to, row->size_max);
}

static int read_struct(
        struct cmdi_mus_reader *reader, const struct cmds_schema *schema, uint8_t *value)
{
    const uint8_t *at = reader->at, *const end = reader->end;
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    for (; row != rows_end; row = cmdi_row_after(row, stride)) {
        uint8_t *to = value + row->offset;
        const uint8_t *taken = take_item(at, end, cmdi_row_form(row), row, row->size_max, to);
        if (CMDI_LIKELY(taken != NULL)) {
            at = taken;
            continue;
        }
        reader->at = at;
        int code = row->shape == CMDS_SHAPE_ONE ? read_item(reader, row, to, row->size_max)
                                                : read_many(reader, row, to);
        if (CMDI_UNLIKELY(code != 0)) {
            return code;
        }
        at = reader->at;
    }
    reader->at = at;
    return 0;
}

int64_t cmdi_mus_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value)
{
    static const uint8_t nothing[1];
    const uint8_t *begin = in.data != NULL ? in.data : nothing;
    struct cmdi_mus_reader reader = {begin, begin + in.size, 0, arena};
    int code = read_struct(&reader, schema, value);
    return cmdi_mus_outcome(&reader, in, code);
}
