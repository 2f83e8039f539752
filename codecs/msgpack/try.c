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
 * `end`. An item has CMDS_ITEM_ROOM_ bytes when it begins.
 */

static uint8_t *try_array_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);
static uint8_t *try_map_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);

/* --- Items ------------------------------------------------------------------------------------ */

static uint8_t *try_text(uint8_t *out, const uint8_t *border, const struct cmds_field *field,
        const uint8_t *at, uint32_t size_max)
{
    int64_t size = cmdi_text_length(field, at, size_max);
    return size < 0 ? NULL : cmds_put_span_(out, border, at, (size_t)size, 0, true);
}

/* A context without more: bytes of one length, and most of them always the same. */
static CMDI_INLINED uint8_t *put_context(uint8_t *out, const struct cmds_pair *pair)
{
    out[0] = CMDS_HEAD_FIXMAP_ | 1;
    out[1] = CMDS_HEAD_FIXSTR_ | CMDI_CARRIER_KEY;
    memcpy(out + 2, pair->key.data, CMDI_CARRIER_KEY);
    out += 2 + CMDI_CARRIER_KEY;
    out[0] = CMDS_HEAD_STR8_;
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
    if (map.count > cmds_limit_of_(count_max) || (map.items == NULL && map.count != 0)) {
        return NULL;
    }
    out = put(out, count_form(map_forms, map.count), map.count);
    for (size_t i = 0; i < 2 * map.count; i++) {
        text = i % 2 == 0 ? &map.items[i / 2].key : &map.items[i / 2].value;
        if (end - out < CMDS_ITEM_ROOM_) {
            return NULL;
        }
        out = cmds_put_span_(out, end - CMDS_ITEM_ROOM_, text->data, text->size, 0, true);
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
#define PUT(kind)                                                                                  \
    case kind:                                                                                     \
        return cmds_put_(out, border, kind, at, size_max);
    switch (form) {
        CMDI_PLAIN_KINDS(PUT)
    case CMDS_KIND_RESERVED:
        *out = CMDS_HEAD_NIL_; // What was removed.
        return out + 1;
    case CMDS_KIND_MAP:
        return try_pairs(out, border, at, size_max);
    case CMDS_KIND_TEXT:
        return try_text(out, border, field, at, size_max);
    case CMDS_KIND_BLOB:
        return cmds_put_span_(out, border, at, field->item_size, 0, false);
    case CMDS_KIND_STRUCT:
        return try_struct(out, border, field->nested, at, as_map);
    default:
        return try_many(out, border, field, at, as_map);
    }
#undef PUT
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
    if (array.count > cmds_limit_of_(field->size_max) ||
            (array.items == NULL && array.count != 0)) {
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
        *out = CMDS_HEAD_NIL_;
        return out + 1;
    }
    at += field->item_offset;
    return try_item(out, border, field, at, field->size_max, as_map);
}

/* --- Structs ---------------------------------------------------------------------------------- */

static CMDI_INLINED uint8_t *try_rows(uint8_t *out, const uint8_t *border,
        const struct cmds_schema *schema, size_t from, const uint8_t *value)
{
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *field = cmds_schema_field(schema, (uint32_t)from);
    const struct cmds_field *rows_end = cmdi_rows_end(schema);
    for (; field != rows_end; field = cmdi_row_after(field, stride)) {
        out = try_form(out, border, cmdi_row_form(field), field, value + field->offset,
                field->size_max, false);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

/* Where the code did not come to the end, or there is none. */
static __attribute__((noinline)) uint8_t *try_left(struct cmds_written_ done, const uint8_t *end,
        const struct cmds_schema *schema, const uint8_t *value)
{
    const uint32_t count = schema->field_count;
    const uint8_t *border;
    uint8_t *out = done.at;
    if (done.left != CMDS_NOT_BEGUN_) {
        return try_rows(out, cmds_border_(end, count), schema, count - done.left, value);
    }
    if (!cmds_find_border_(out, end, count, &border)) {
        return NULL;
    }
    out = put(out, count_form(array_forms, count), count);
    return try_rows(out, border, schema, 0, value);
}

static uint8_t *try_array_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    struct cmds_written_ done = {out, CMDS_NOT_BEGUN_};
    if (cmds_has_code_(schema)) {
        done = schema->compiled.write(out, end, value);
        if (CMDI_LIKELY(done.left == 0)) {
            return done.at;
        }
    }
    return try_left(done, end, schema, value);
}

static CMDI_INLINED uint8_t *try_name(
        uint8_t *out, const uint8_t *border, const struct cmds_field *field)
{
    size_t size = cmdi_row_name_size(field);
    if (CMDI_UNLIKELY(size >= 32 || (int64_t)size > border - out)) {
        return cmds_put_span_(out, border, field->name, size, 0, true);
    }
    *out = (uint8_t)(CMDS_HEAD_FIXSTR_ + size);
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
    if (!cmds_find_border_(out, end, schema->field_count, &border)) {
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

/* A whole value, in memory for whoever goes on: the way that nearly all take keeps no register for it. */
struct whole {
    const struct cmds_schema *schema;
    const void *value;
    uint8_t *out;
    size_t room;
};

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
    *out = CMDS_HEAD_FIXARRAY_ | 2;
    return put_context(out + 1, map.items);
}

static __attribute__((noinline)) int64_t try_rest(
        struct cmds_written_ done, const struct whole *whole)
{
    const struct cmds_schema *schema = whole->schema;
    const uint8_t *value = whole->value, *end = whole->out + whole->room;
    uint8_t *at = NULL;
    if (done.left == CMDS_NOT_BEGUN_) {
        at = put_carrier(whole->out, whole->room, schema, value);
    }
    if (at != NULL) {
        const struct cmds_field *command = cmds_schema_field(schema, 1);
        at = try_array_struct(at, end, command->nested, value + command->offset);
    } else {
        at = try_left(done, end, schema, value);
    }
    return CMDI_LIKELY(at != NULL) ? at - whole->out : -ENOBUFS;
}

int64_t cmdi_msgpack_try(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    const struct whole whole = {type->schema, value, out, room};
    struct cmds_written_ done = {out, CMDS_NOT_BEGUN_};
    if (cmds_has_code_(whole.schema)) {
        done = whole.schema->compiled.write(out, out + room, value);
        if (CMDI_LIKELY(done.left == 0)) {
            return done.at - out;
        }
    }
    return try_rest(done, &whole);
}

int64_t cmdi_msgpack_map_try(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    const uint8_t *end = try_map_struct(out, out + room, type->schema, value);
    return CMDI_LIKELY(end != NULL) ? end - out : -ENOBUFS;
}
