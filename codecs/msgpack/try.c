/* SPDX-License-Identifier: MIT */
/*
 * Size and bytes in one walk, for a value that surely fits: the way that nearly all messages take.
 *
 * It either writes all of a value or says that it is not for it, and write.c begins anew: so whatever is refused
 * is refused in one place alone. What it writes, write.c writes as well, byte for byte; the tests hold the two
 * beside each other.
 *
 * Room is looked at once for each item, for the largest number that there is; a text is measured beside it. What
 * is stored behind the end of an item is within the room, and is the next item's.
 *
 * Recurses over nested schemas, never over the value. No state, any thread.
 */
#include "common/carrier.h"
#include "msgpack/form.h"
#include "msgpack/msgpack.h"

enum {
    CARRIER_ROOM = 5 + CMDI_CARRIER_KEY + CMDI_CARRIER_VALUE,
};

/*
 * All functions below return the place behind what they have written; NULL: it is refused, or has no room before
 * `end`. An item has FORM_ROOM bytes when it begins.
 */

static uint8_t *try_array_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);
static uint8_t *try_map_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);

/* No length of the format has more than 32 bits. */
static CMDI_INLINED uint64_t limit_of(uint32_t size_max)
{
    return size_max != 0 ? size_max : UINT32_MAX;
}

/* --- Items ------------------------------------------------------------------------------------ */

/* One that is longer than its first byte. `number`: what is as long, without a sign. */
static CMDI_INLINED uint8_t *put_wide(uint8_t *out, uint64_t value, uint64_t number, unsigned head)
{
    if (number > UINT32_MAX) {
        *out = (uint8_t)(head + 3);
        CMDI_STORE(uint64_t, out + 1, htobe64(value));
        return out + 1 + sizeof(uint64_t);
    }
    unsigned borders = (unsigned)(number > UINT8_MAX) + (number > UINT16_MAX);
    *out = (uint8_t)(head + borders);
    CMDI_STORE(
            uint32_t, out + 1, htobe32((uint32_t)value << (24 - 8 * borders - 8 * (borders >> 1))));
    return out + 2 + borders + (borders >> 1);
}

/* Of numbers of every size the short ones and the longest ones are guessed. */
static CMDI_INLINED uint8_t *put_unsigned(uint8_t *out, uint64_t value)
{
    if (value < HEAD_FIXMAP) {
        *out = (uint8_t)value;
        return out + 1;
    }
    return put_wide(out, value, value, HEAD_UINT8);
}

static CMDI_INLINED uint8_t *put_signed(uint8_t *out, int64_t value)
{
    if ((uint64_t)value + 32 < HEAD_FIXMAP + 32) {
        *out = (uint8_t)value;
        return out + 1;
    }
    uint64_t sign = (uint64_t)(value >> 63), number = (uint64_t)value ^ sign;
    return put_wide(out, (uint64_t)value, number + (number & sign),
            HEAD_UINT8 + (unsigned)(sign & (HEAD_INT8 - HEAD_UINT8)));
}

static CMDI_INLINED uint8_t *put_length(uint8_t *out, size_t size, bool is_str)
{
    if (size <= UINT8_MAX) {
        bool is_wide = !is_str || size >= 32;
        out[0] = (uint8_t)(is_wide ? (is_str ? HEAD_STR8 : HEAD_BIN8) : HEAD_FIXSTR | size);
        out[1] = (uint8_t)size;
        return out + 1 + is_wide;
    }
    if (CMDI_LIKELY(size <= UINT16_MAX)) {
        out[0] = is_str ? HEAD_STR8 + 1 : HEAD_BIN8 + 1;
        CMDI_STORE(uint16_t, out + 1, htobe16((uint16_t)size));
        return out + 3;
    }
    out[0] = is_str ? HEAD_STR32 : HEAD_BIN32;
    CMDI_STORE(uint32_t, out + 1, htobe32((uint32_t)size));
    return out + 5;
}

/*
 * What has no fixed length ends before `border`, which may be in front of `out`, and leaves the rest to what
 * follows.
 */
static CMDI_INLINED uint8_t *try_span(uint8_t *out, const uint8_t *border, const void *data,
        size_t size, uint32_t size_max, bool is_str)
{
    if (CMDI_UNLIKELY(size > limit_of(size_max) || (int64_t)size > border - out)) {
        return NULL;
    }
    out = put_length(out, size, is_str);
    if (CMDI_UNLIKELY(data == NULL)) {
        return size == 0 ? out : NULL;
    }
    memcpy(out, data, size);
    return out + size;
}

static CMDI_INLINED uint8_t *try_bytes(
        uint8_t *out, const uint8_t *border, const uint8_t *at, uint32_t size_max, bool is_str)
{
    struct cmds_bytes span = CMDI_LOAD(struct cmds_bytes, at);
    return try_span(out, border, span.data, span.size, size_max, is_str);
}

static uint8_t *try_text(uint8_t *out, const uint8_t *border, const struct cmds_field *field,
        const uint8_t *at, uint32_t size_max)
{
    int64_t size = cmdi_text_length(field, at, size_max);
    return size < 0 ? NULL : try_span(out, border, at, (size_t)size, 0, true);
}

/* A context without more: bytes of one length, and most of them always the same. */
static CMDI_INLINED uint8_t *put_context(uint8_t *out, const struct cmds_pair *pair)
{
    out[0] = HEAD_FIXMAP | 1;
    out[1] = HEAD_FIXSTR | CMDI_CARRIER_KEY;
    memcpy(out + 2, pair->key.data, CMDI_CARRIER_KEY);
    out += 2 + CMDI_CARRIER_KEY;
    out[0] = HEAD_STR8;
    out[1] = CMDI_CARRIER_VALUE;
    memcpy(out + 2, pair->value.data, CMDI_CARRIER_VALUE);
    return out + 2 + CMDI_CARRIER_VALUE;
}

static uint8_t *try_pairs(uint8_t *out, const uint8_t *end, const uint8_t *at, uint32_t count_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    const struct cmds_string *text = NULL;
    if (CMDI_LIKELY(cmdi_map_is_carrier(map) && end - out >= CARRIER_ROOM)) {
        return put_context(out, map.items);
    }
    if (map.count > limit_of(count_max) || (map.items == NULL && map.count != 0)) {
        return NULL;
    }
    out = put(out, count_form(map_forms, map.count), map.count);
    for (size_t i = 0; i < 2 * map.count; i++) {
        text = i % 2 == 0 ? &map.items[i / 2].key : &map.items[i / 2].value;
        if (end - out < FORM_ROOM) {
            return NULL;
        }
        out = try_span(out, end - FORM_ROOM, text->data, text->size, 0, true);
        if (out == NULL) {
            return NULL;
        }
    }
    return out;
}

static CMDI_INLINED uint8_t *try_struct(uint8_t *out, const uint8_t *end,
        const struct cmds_schema *schema, const uint8_t *value, bool as_map)
{
    return as_map ? try_map_struct(out, end, schema, value)
                  : try_array_struct(out, end, schema, value);
}

static uint8_t *try_many(uint8_t *out, const uint8_t *border, const struct cmds_field *field,
        const uint8_t *at, bool as_map);

/* `form`: the kind, unless it is more than one item. */
static CMDI_INLINED uint8_t *try_form(uint8_t *out, const uint8_t *border, unsigned form,
        const struct cmds_field *field, const uint8_t *at, uint32_t size_max, bool as_map)
{
    switch (form) {
    case CMDS_KIND_RESERVED:
        *out = HEAD_NIL; // What was removed.
        return out + 1;
    case CMDS_KIND_BOOL:
        *out = (uint8_t)(HEAD_FALSE + (*at != 0));
        return out + 1;
    case CMDS_KIND_I8:
        return put_signed(out, CMDI_LOAD(int8_t, at));
    case CMDS_KIND_I16:
        return put_signed(out, CMDI_LOAD(int16_t, at));
    case CMDS_KIND_I32:
        return put_signed(out, CMDI_LOAD(int32_t, at));
    case CMDS_KIND_I64:
        return put_signed(out, CMDI_LOAD(int64_t, at));
    case CMDS_KIND_U8:
        return put_unsigned(out, CMDI_LOAD(uint8_t, at));
    case CMDS_KIND_U16:
        return put_unsigned(out, CMDI_LOAD(uint16_t, at));
    case CMDS_KIND_U32:
        return put_unsigned(out, CMDI_LOAD(uint32_t, at));
    case CMDS_KIND_U64:
        return put_unsigned(out, CMDI_LOAD(uint64_t, at));
    case CMDS_KIND_F32:
        *out = HEAD_FLOAT32;
        CMDI_STORE(uint32_t, out + 1, htobe32(CMDI_LOAD(uint32_t, at)));
        return out + 1 + sizeof(uint32_t);
    case CMDS_KIND_F64:
        *out = HEAD_FLOAT64;
        CMDI_STORE(uint64_t, out + 1, htobe64(CMDI_LOAD(uint64_t, at)));
        return out + 1 + sizeof(uint64_t);
    case CMDS_KIND_STRING:
        return try_bytes(out, border, at, size_max, true);
    case CMDS_KIND_BYTES:
        return try_bytes(out, border, at, size_max, false);
    case CMDS_KIND_MAP:
        return try_pairs(out, border, at, size_max);
    case CMDS_KIND_TEXT:
        return try_text(out, border, field, at, size_max);
    case CMDS_KIND_BLOB:
        return try_span(out, border, at, field->item_size, 0, false);
    case CMDS_KIND_STRUCT:
        return try_struct(out, border, field->nested, at, as_map);
    default:
        return try_many(out, border, field, at, as_map);
    }
}

static uint8_t *try_item(uint8_t *out, const uint8_t *border, const struct cmds_field *field,
        const uint8_t *at, uint32_t size_max, bool as_map)
{
    return try_form(out, border, field->kind, field, at, size_max, as_map);
}

static uint8_t *try_array(uint8_t *out, const uint8_t *border, const struct cmds_field *field,
        const uint8_t *at, bool as_map)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    if (array.count > limit_of(field->size_max) || (array.items == NULL && array.count != 0)) {
        return NULL;
    }
    const uint8_t *item = array.items;
    out = put(out, count_form(array_forms, array.count), array.count);
    for (size_t i = 0; i < array.count; i++, item += field->item_size) {
        if (CMDI_UNLIKELY(out > border)) {
            return NULL;
        }
        out = field->kind == CMDS_KIND_STRUCT ? try_struct(out, border, field->nested, item, as_map)
                                              : try_item(out, border, field, item, 0, as_map);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

static uint8_t *try_many(uint8_t *out, const uint8_t *border, const struct cmds_field *field,
        const uint8_t *at, bool as_map)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        return try_array(out, border, field, at, as_map);
    }
    if (*at == 0) {
        *out = HEAD_NIL;
        return out + 1;
    }
    at += field->item_offset;
    return try_item(out, border, field, at, field->size_max, as_map);
}

/* --- Structs ---------------------------------------------------------------------------------- */

/*
 * Of a struct: each row may take FORM_ROOM bytes behind this place, without a look at what is left. What may take
 * more ends before it. Returns: false: there is not so much room.
 */
static CMDI_INLINED bool find_border(const uint8_t *out, const uint8_t *end,
        const struct cmds_schema *schema, const uint8_t **border)
{
    const ptrdiff_t kept = FORM_ROOM * ((ptrdiff_t)schema->field_count + 2);
    if (CMDI_UNLIKELY(end - out < kept)) {
        return false;
    }
    *border = end - kept;
    return true;
}

static CMDI_INLINED uint8_t *try_array_rows(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride, count = schema->field_count;
    const struct cmds_field *field = schema->fields, *rows_end = cmdi_rows_end(schema);
    const uint8_t *border;
    if (!find_border(out, end, schema, &border)) {
        return NULL;
    }
    if (CMDI_LIKELY(count < 16)) {
        *out = (uint8_t)(HEAD_FIXARRAY + count);
        out++;
    } else {
        out = put(out, count_form(array_forms, count), count);
    }
    for (; field != rows_end; field = cmdi_row_after(field, stride)) {
        out = try_form(out, border, cmdi_row_form(field), field, value + field->offset,
                field->size_max, false);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

static uint8_t *try_array_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    return try_array_rows(out, end, schema, value);
}

static CMDI_INLINED uint8_t *try_name(
        uint8_t *out, const uint8_t *border, const struct cmds_field *field)
{
    size_t size = cmdi_row_name_size(field);
    if (CMDI_UNLIKELY(size >= 32 || (int64_t)size > border - out)) {
        return try_span(out, border, field->name, size, 0, true);
    }
    *out = (uint8_t)(HEAD_FIXSTR + size);
    return write_name_body(out + 1, field->name, size);
}

/* The count of up to 15 rows is mended where some were left out. */
static uint8_t *try_map_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *field = schema->fields, *rows_end = cmdi_rows_end(schema);
    const uint8_t *border;
    uint8_t *head = out;
    bool is_short = schema->field_count < 16;
    if (!find_border(out, end, schema, &border)) {
        return NULL;
    }
    size_t count = is_short ? schema->field_count : map_count(schema);
    out = put(out, count_form(map_forms, count), count);
    for (; field != rows_end; field = cmdi_row_after(field, stride)) {
        if (CMDI_UNLIKELY(field->kind == CMDS_KIND_RESERVED)) {
            *head = (uint8_t)(*head - is_short);
            continue;
        }
        out = try_name(out, border, field);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
        out = try_form(out, border, cmdi_row_form(field), field, value + field->offset,
                field->size_max, true);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

/* --- What the codecs are made of -------------------------------------------------------------- */

/*
 * Of a traced command all that is in front of the command itself, if its context is but a traceparent. Returns: the
 * place behind that; NULL: it goes as any other struct.
 */
static CMDI_INLINED uint8_t *put_carrier(
        uint8_t *out, size_t room, const struct cmds_schema *schema, const uint8_t *value)
{
    const struct cmds_field *carrier = schema->fields;
    if (!cmdi_schema_has_carrier(schema) || value[carrier->offset] == 0) {
        return NULL;
    }
    struct cmds_map map =
            CMDI_LOAD(struct cmds_map, value + carrier->offset + carrier->item_offset);
    if (CMDI_UNLIKELY(!cmdi_map_is_carrier(map) || room < CARRIER_ROOM)) {
        return NULL;
    }
    *out = HEAD_FIXARRAY | 2;
    return put_context(out + 1, map.items);
}

int64_t cmdi_msgpack_try(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    const struct cmds_schema *schema = type->schema;
    const uint8_t *row = value, *end = out + room;
    uint8_t *at = put_carrier(out, room, schema, value);
    if (at != NULL) {
        const struct cmds_field *command = cmds_schema_field(schema, 1);
        schema = command->nested;
        row += command->offset;
    }
    end = try_array_rows(at != NULL ? at : out, end, schema, row);
    return CMDI_LIKELY(end != NULL) ? end - out : -ENOBUFS;
}

int64_t cmdi_msgpack_map_try(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    const uint8_t *end = try_map_struct(out, out + room, type->schema, value);
    return CMDI_LIKELY(end != NULL) ? end - out : -ENOBUFS;
}
