/* SPDX-License-Identifier: MIT */
/*
 * A Protobuf message becomes a value by its schema. Strings and bytes point into the input.
 *
 * The elements of a repeated field may lie anywhere in the message, and a message may come in
 * several parts that are joined. So from its first element of a list on a message is walked twice:
 * the first walk counts the elements of all lists, then each list gets its room with the first one,
 * and the second walk fills it. Nothing is done for the rows of a schema that do not come. What is
 * counted is there, byte for byte; what it becomes is bounded by the arena. In front of a list's
 * items stands how many of them are filled, and how many there is room for:
 *
 *     struct room | item 0 | item 1 | ...        array.items points to item 0, array.count says how many there will be
 *
 * The walk recurses over nested schemas, never over the input. No state, any thread.
 */
#include "base/hint.h"
#include "common/utf8.h"
#include "common/value.h"
#include "protobuf/protobuf.h"
#include "protobuf/wire.h"

struct room {
    _Alignas(16) size_t filled;
    size_t capacity;
};

static int read_message(struct cmds_arena *arena, const struct cmds_schema *schema,
        struct cmds_bytes in, uint8_t *value);

static CMDI_INLINED bool is_list(const struct cmds_field *row)
{
    return row->shape == CMDS_SHAPE_ARRAY || row->kind == CMDS_KIND_MAP;
}

/* In a value: of an optional map its map. */
static CMDI_INLINED uint8_t *list_at(const struct cmds_field *row, uint8_t *value)
{
    return value + row->offset + (row->shape == CMDS_SHAPE_OPTIONAL ? row->item_offset : 0);
}

static size_t list_item_size(const struct cmds_field *row)
{
    return row->kind == CMDS_KIND_MAP ? sizeof(struct cmds_pair) : row->item_size;
}

/* --- Items ------------------------------------------------------------------------------------ */

static int read_number(const struct cmds_field *row, uint64_t value, uint8_t *to)
{
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        CMDI_STORE(bool, to, value != 0);
        return 0;
    case CMDS_KIND_F32:
        CMDI_STORE(uint32_t, to, (uint32_t)value);
        return 0;
    case CMDS_KIND_F64:
        CMDI_STORE(uint64_t, to, value);
        return 0;
    default:
        return cmdi_integer_store(row->kind, to, value);
    }
}

/* Within the limit, and of text UTF-8. */
static int span_check(struct cmds_bytes span, bool text, uint32_t size_max)
{
    if (size_max != 0 && span.size > size_max) {
        return CMDS_E_LIMIT;
    }
    return text && !cmdi_utf8_is_valid(span.data, span.size) ? CMDS_E_PROTO : 0;
}

static int read_item(struct cmds_arena *arena, const struct cmds_field *row,
        const struct cmdi_protobuf_field *field, uint32_t row_max, uint8_t *to)
{
    int code;
    switch (row->kind) {
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        code = span_check(field->bytes, row->kind == CMDS_KIND_STRING, row_max);
        memcpy(to, &field->bytes, sizeof(field->bytes));
        return code;
    case CMDS_KIND_TEXT:
        code = span_check(field->bytes, true, 0);
        return code < 0 ? code : cmdi_text_store(row, to, field->bytes, row_max);
    case CMDS_KIND_BLOB:
        if (field->bytes.size != row->item_size) {
            return CMDS_E_PROTO;
        }
        memcpy(to, field->bytes.data, row->item_size);
        return 0;
    case CMDS_KIND_STRUCT:
        return read_message(arena, row->nested, field->bytes, to);
    default:
        return read_number(row, field->value, to);
    }
}

/* One string of a pair as all write it: a tag and a size of one byte each. Returns: NULL: it is not. */
static const uint8_t *take_part(
        const uint8_t *at, const uint8_t *end, uint32_t number, struct cmds_string *part)
{
    if (end - at < 2 || at[0] != (number << 3 | CMDI_PROTOBUF_BYTES) || at[1] > 0x7f ||
            at[1] > end - at - 2 || !cmdi_utf8_is_valid(at + 2, at[1])) {
        return NULL;
    }
    *part = (struct cmds_string){(const char *)at + 2, at[1]};
    return at + 2 + at[1];
}

/* A pair is a message of two strings; what is missing is empty. */
static int read_pair(const struct cmdi_protobuf_field *field, struct cmds_pair *pair)
{
    const uint8_t *at = field->bytes.data, *end = at + field->bytes.size;
    const uint8_t *value = take_part(at, end, 1, &pair->key);
    if (CMDI_LIKELY(value != NULL && take_part(value, end, 2, &pair->value) == end)) {
        return 0;
    }
    *pair = (struct cmds_pair){{"", 0}, {"", 0}};
    while (at < end) {
        struct cmdi_protobuf_field part = {0};
        int code = cmdi_protobuf_next(&at, end, &part);
        if (code < 0) {
            return code;
        }
        if (part.form != CMDI_PROTOBUF_BYTES || part.number > 2) {
            continue;
        }
        code = span_check(part.bytes, true, 0);
        if (code < 0) {
            return code;
        }
        struct cmds_string string = {part.bytes.data, part.bytes.size};
        *(part.number == 1 ? &pair->key : &pair->value) = string;
    }
    return 0;
}

/* --- Lists ------------------------------------------------------------------------------------ */

/* How many numbers are packed in these bytes. */
static int packed_count(const struct cmds_field *row, struct cmds_bytes bytes, size_t *count)
{
    const uint8_t *data = bytes.data;
    size_t width = cmdi_protobuf_width(row->kind);
    if (width != 0) {
        *count = bytes.size / width;
        return bytes.size % width == 0 ? 0 : CMDS_E_PROTO;
    }
    *count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        *count += data[i] < 0x80;
    }
    return bytes.size == 0 || data[bytes.size - 1] < 0x80 ? 0 : CMDS_E_PROTO;
}

/* Elements of `row` in this field; 0 where the field is to be skipped. */
static int field_count(
        const struct cmds_field *row, const struct cmdi_protobuf_field *field, size_t *count)
{
    *count = field->form == cmdi_protobuf_form_of(row->kind);
    if (*count == 0 && field->form == CMDI_PROTOBUF_BYTES) {
        return packed_count(row, field->bytes, count);
    }
    return 0;
}

/* Adds what this part of the message brings, from `at` on, to array.count of every list. */
static int lists_count(
        const struct cmds_schema *schema, const uint8_t *at, const uint8_t *end, uint8_t *value)
{
    while (at < end) {
        struct cmdi_protobuf_field field = {0};
        int code = cmdi_protobuf_next(&at, end, &field);
        if (code < 0) {
            return code;
        }
        if (field.number > schema->field_count) {
            continue;
        }
        const struct cmds_field *row = cmds_schema_field(schema, field.number - 1);
        if (row->kind == CMDS_KIND_RESERVED || !is_list(row)) {
            continue;
        }
        uint8_t *to = list_at(row, value);
        struct cmdi_array array = CMDI_LOAD(struct cmdi_array, to);
        size_t count = 0;
        code = field_count(row, &field, &count);
        if (code < 0) {
            return code;
        }
        array.count += count; // At most one for each byte of the input.
        memcpy(to, &array, sizeof(array));
    }
    return 0;
}

static struct room list_room(const struct cmdi_array *array)
{
    struct room room = {0};
    if (array->items != NULL) {
        memcpy(&room, (uint8_t *)array->items - sizeof(room), sizeof(room));
    }
    return room;
}

static void list_set_filled(const struct cmdi_array *array, size_t filled)
{
    memcpy((uint8_t *)array->items - sizeof(struct room), &filled, sizeof(filled));
}

/*
 * Room for all that was counted; what an earlier part of the message has filled moves in first. A
 * list that has to move gets twice its room, or many small parts would cost their square.
 */
static int list_make_room(struct cmds_arena *arena, const struct cmds_field *row, uint8_t *to)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, to);
    struct room room = list_room(&array);
    if (row->size_max != 0 && array.count > row->size_max) {
        return CMDS_E_LIMIT;
    }
    if (array.count <= room.capacity) {
        return 0;
    }
    size_t item_size = list_item_size(row), capacity = array.count;
    capacity = capacity < 2 * room.capacity ? 2 * room.capacity : capacity;
    size_t size = capacity * item_size; // An item a byte of the input, and 64 KiB at most for each.
    uint8_t *block = cmds_arena_alloc(arena, sizeof(struct room) + size, _Alignof(struct room));
    if (block == NULL) {
        return CMDS_E_LIMIT;
    }
    uint8_t *items = block + sizeof(struct room);
    size_t moved = room.filled * item_size;
    if (moved > 0) {
        memcpy(items, array.items, moved);
    }
    memset(items + moved, 0, size - moved);
    room.capacity = capacity;
    memcpy(block, &room, sizeof(room));
    array.items = items;
    memcpy(to, &array, sizeof(array));
    return 0;
}

static int read_packed(
        const struct cmds_field *row, struct cmds_bytes bytes, uint8_t *item, size_t *filled)
{
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    size_t width = cmdi_protobuf_width(row->kind);
    while (at < end) {
        uint64_t value = 0;
        int used = (int)width;
        if (width == 0) {
            used = cmdi_leb_read(at, end, &value);
        } else {
            value = cmdi_fixed_read(at, width);
        }
        if (used <= 0 || read_number(row, value, item) < 0) {
            return CMDS_E_PROTO;
        }
        at += used;
        item += row->item_size;
        ++*filled;
    }
    return 0;
}

/* What was counted is now stored. */
static int read_list(struct cmds_arena *arena, const struct cmds_field *row,
        const struct cmdi_protobuf_field *field, uint8_t *to)
{
    if (CMDI_UNLIKELY(!cmdi_protobuf_has_row(row))) {
        return CMDS_E_PROTO;
    }
    int code = list_make_room(arena, row, to);
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, to);
    bool single = field->form == cmdi_protobuf_form_of(row->kind);
    if (code < 0 || (!single && field->form != CMDI_PROTOBUF_BYTES) || array.items == NULL) {
        return code; // 0: another wire type, or packed numbers, none of them.
    }
    size_t filled = list_room(&array).filled;
    uint8_t *item = (uint8_t *)array.items + filled * list_item_size(row);
    if (!single) {
        code = read_packed(row, field->bytes, item, &filled);
    } else {
        filled++;
        if (row->kind == CMDS_KIND_MAP) {
            struct cmds_pair pair;
            code = read_pair(field, &pair);
            memcpy(item, &pair, sizeof(pair));
        } else {
            code = read_item(arena, row, field, 0, item);
        }
    }
    list_set_filled(&array, filled);
    return code;
}

/* --- The way that nearly all fields take ------------------------------------------------------ */

/* Up to the form of a field of the row's kind; whatever else it is, is judged by read_field() alone. */

static CMDI_INLINED const uint8_t *take_number(
        const uint8_t *at, const uint8_t *end, uint8_t kind, uint8_t *to)
{
    uint64_t value = 0;
    int used = cmdi_leb_read(at, end, &value);
    return used > 0 && cmdi_integer_store(kind, to, value) == 0 ? at + used : NULL;
}

static CMDI_INLINED const uint8_t *take_bool(const uint8_t *at, const uint8_t *end, uint8_t *to)
{
    uint64_t value = 0;
    int used = cmdi_leb_read(at, end, &value);
    if (CMDI_UNLIKELY(used <= 0)) {
        return NULL;
    }
    CMDI_STORE(bool, to, value != 0);
    return at + used;
}

static CMDI_INLINED const uint8_t *take_fixed(
        const uint8_t *at, const uint8_t *end, size_t width, uint8_t *to)
{
    if (CMDI_UNLIKELY((size_t)(end - at) < width)) {
        return NULL;
    }
    uint64_t value = cmdi_fixed_read(at, width);
    if (width == sizeof(uint32_t)) {
        CMDI_STORE(uint32_t, to, (uint32_t)value);
    } else {
        CMDI_STORE(uint64_t, to, value);
    }
    return at + width;
}

static CMDI_INLINED const uint8_t *take_span(
        const uint8_t *at, const uint8_t *end, struct cmds_bytes *span)
{
    uint64_t size = 0;
    int used = cmdi_leb_read_size(at, end, &size);
    if (CMDI_UNLIKELY(used <= 0 || size > (size_t)(end - at - used))) {
        return NULL;
    }
    *span = (struct cmds_bytes){at + used, (size_t)size};
    return at + used + size;
}

static const uint8_t *take_text(
        const uint8_t *at, const uint8_t *end, const struct cmds_field *row, uint8_t *to)
{
    struct cmds_bytes span;
    at = take_span(at, end, &span);
    bool taken = at != NULL && cmdi_utf8_is_valid(span.data, span.size) &&
                 cmdi_text_store(row, to, span, row->size_max) == 0;
    return taken ? at : NULL;
}

static const uint8_t *take_blob(
        const uint8_t *at, const uint8_t *end, const struct cmds_field *row, uint8_t *to)
{
    struct cmds_bytes span;
    at = take_span(at, end, &span);
    if (at == NULL || span.size != row->item_size) {
        return NULL;
    }
    memcpy(to, span.data, span.size);
    return at;
}

static const uint8_t *take_optional(const uint8_t *at, const uint8_t *end, uint8_t wire,
        const struct cmds_field *row, uint8_t *to);

/*
 * What stands behind a tag. `form`: the row's kind, unless it is more than one item; `wire`: the tag's.
 * Returns: its end; NULL: it is not for this way, and nothing happened to *to.
 */
static CMDI_INLINED const uint8_t *take_value(const uint8_t *at, const uint8_t *end, unsigned form,
        uint8_t wire, const struct cmds_field *row, uint8_t *to)
{
#define TAKE_NUMBER(kind)                                                                          \
    case kind:                                                                                     \
        return wire == CMDI_PROTOBUF_VARINT ? take_number(at, end, kind, to) : NULL
    struct cmds_bytes span;
    switch (form) {
    case CMDS_KIND_BOOL:
        return wire == CMDI_PROTOBUF_VARINT ? take_bool(at, end, to) : NULL;
        TAKE_NUMBER(CMDS_KIND_I8);
        TAKE_NUMBER(CMDS_KIND_I16);
        TAKE_NUMBER(CMDS_KIND_I32);
        TAKE_NUMBER(CMDS_KIND_U8);
        TAKE_NUMBER(CMDS_KIND_U16);
        TAKE_NUMBER(CMDS_KIND_U32);
    case CMDS_KIND_I64:
        TAKE_NUMBER(CMDS_KIND_U64);
    case CMDS_KIND_F32:
        return wire == CMDI_PROTOBUF_32 ? take_fixed(at, end, 4, to) : NULL;
    case CMDS_KIND_F64:
        return wire == CMDI_PROTOBUF_64 ? take_fixed(at, end, 8, to) : NULL;
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        at = wire == CMDI_PROTOBUF_BYTES ? take_span(at, end, &span) : NULL;
        if (at == NULL || span_check(span, form == CMDS_KIND_STRING, row->size_max) < 0) {
            return NULL;
        }
        CMDI_STORE(struct cmds_bytes, to, span);
        return at;
    case CMDS_KIND_TEXT:
        return wire == CMDI_PROTOBUF_BYTES ? take_text(at, end, row, to) : NULL;
    case CMDS_KIND_BLOB:
        return wire == CMDI_PROTOBUF_BYTES ? take_blob(at, end, row, to) : NULL;
    case CMDS_KIND_RESERVED:
    case CMDS_KIND_MAP:
    case CMDS_KIND_STRUCT:
        return NULL;
    default:
        return take_optional(at, end, wire, row, to);
    }
#undef TAKE_NUMBER
}

static const uint8_t *take_optional(const uint8_t *at, const uint8_t *end, uint8_t wire,
        const struct cmds_field *row, uint8_t *to)
{
    if (row->shape != CMDS_SHAPE_OPTIONAL || row->kind > CMDS_KIND_STRUCT) {
        return NULL;
    }
    at = take_value(at, end, row->kind, wire, row, to + row->item_offset);
    if (at != NULL) {
        CMDI_STORE(bool, to, true);
    }
    return at;
}

/* Returns: behind the field at `at`, which is now in `value`; NULL: nothing happened to either. */
static CMDI_INLINED const uint8_t *take_field(
        const uint8_t *at, const uint8_t *end, const struct cmds_schema *schema, uint8_t *value)
{
    uint32_t number = 0;
    uint8_t wire = 0;
    unsigned tag_size = cmdi_protobuf_short_tag(at, end, &number, &wire);
    uint32_t index = number - 1;
    if (CMDI_UNLIKELY(tag_size == 0 || index >= schema->field_count)) {
        return NULL;
    }
    const struct cmds_field *row = cmds_schema_field(schema, index);
    return take_value(at + tag_size, end, cmdi_row_form(row), wire, row, value + row->offset);
}

/* --- Messages --------------------------------------------------------------------------------- */

static int read_field(struct cmds_arena *arena, const struct cmds_field *row,
        const struct cmdi_protobuf_field *field, uint8_t *value)
{
    uint8_t *to = value + row->offset;
    if (CMDI_UNLIKELY(is_list(row))) {
        if (row->shape == CMDS_SHAPE_OPTIONAL && field->form == CMDI_PROTOBUF_BYTES) {
            CMDI_STORE(bool, to, true);
        }
        return read_list(arena, row, field, list_at(row, value));
    }
    if (CMDI_UNLIKELY(field->form != cmdi_protobuf_form_of(row->kind))) {
        return 0; // As a field that nobody knows.
    }
    if (row->shape == CMDS_SHAPE_OPTIONAL) {
        CMDI_STORE(bool, to, true);
        to += row->item_offset;
    }
    return read_item(arena, row, field, row->size_max, to);
}

static int read_message(struct cmds_arena *arena, const struct cmds_schema *schema,
        struct cmds_bytes in, uint8_t *value)
{
    const uint8_t *at = in.data, *end = at + in.size;
    bool counted = false;
    int code = 0;
    while (code == 0 && at < end) {
        const uint8_t *from = at;
        const uint8_t *taken = take_field(at, end, schema, value);
        if (CMDI_LIKELY(taken != NULL)) {
            at = taken;
            continue;
        }
        struct cmdi_protobuf_field field;
        code = cmdi_protobuf_next(&at, end, &field);
        if (CMDI_UNLIKELY(code < 0)) {
            return code;
        }
        if (CMDI_UNLIKELY(field.number > schema->field_count)) {
            continue;
        }
        const struct cmds_field *row = cmds_schema_field(schema, field.number - 1);
        if (CMDI_UNLIKELY(row->kind == CMDS_KIND_RESERVED)) {
            continue;
        }
        if (CMDI_UNLIKELY(is_list(row) && !counted)) {
            counted = true;
            code = lists_count(schema, from, end, value);
        }
        code = code < 0 ? code : read_field(arena, row, &field, value);
    }
    return code;
}

int64_t cmdi_protobuf_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value)
{
    int code = read_message(arena, schema, in, value);
    return code < 0 ? code : (int64_t)in.size;
}
