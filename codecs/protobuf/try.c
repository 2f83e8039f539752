/* SPDX-License-Identifier: MIT */
/*
 * Size and bytes of a Protobuf message in one walk, for a value that surely fits: the way that nearly all messages
 * take.
 *
 * It either writes all of a value or says that it is not for it, and write.c begins anew: so whatever is refused
 * is refused in one place alone. What it writes, write.c writes as well, byte for byte; the tests hold the two
 * beside each other. What is stored behind the end of an item is within the room, and is the next item's.
 *
 * Recurses over nested schemas, never over the value. No state, any thread.
 */
#include "base/hint.h"
#include "common/short.h"
#include "common/utf8.h"
#include "common/value.h"
#include "protobuf/protobuf.h"
#include "protobuf/wire.h"

/*
 * All functions below return the place behind what they have written; NULL: it is refused, or has no room before
 * `end`. An item has ITEM_ROOM bytes when it begins. What has no fixed length ends before `border`, which may be in
 * front of `out`, and leaves the rest to what follows.
 */
enum {
    TAG_ROOM = 3, // Of numbers up to CMDI_FIELD_COUNT_MAX.
    ITEM_ROOM = TAG_ROOM + CMDI_LEB_SIZE_MAX,
};
_Static_assert(CMDI_FIELD_COUNT_MAX < 1 << (7 * TAG_ROOM - 3), "a tag has so many bytes");

static uint8_t *try_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value);

static CMDI_INLINED uint8_t *put_tag(uint8_t *out, uint32_t number, uint8_t form)
{
    if (CMDI_LIKELY(number < 16)) {
        *out = (uint8_t)(number << 3 | form);
        return out + 1;
    }
    return cmdi_leb_write(out, (uint64_t)number << 3 | form);
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static CMDI_INLINED uint8_t *put_number(uint8_t *out, uint8_t kind, uint64_t value)
{
    size_t width = cmdi_protobuf_width(kind);
    return width != 0 ? cmdi_fixed_write(out, value, width) : cmdi_leb_write_wide(out, value);
}

static CMDI_INLINED uint8_t *try_number(
        uint8_t *out, uint8_t kind, const uint8_t *at, uint32_t number, bool always)
{
    uint64_t value = cmdi_protobuf_number(kind, at);
    if (value == 0 && !always) {
        return out;
    }
    out = put_tag(out, number, cmdi_protobuf_form_of(kind));
    return put_number(out, kind, value);
}

/* Half of them are false, and not written, so it is better not to guess: what is too much is written over. */
static CMDI_INLINED uint8_t *try_bool(uint8_t *out, bool value, uint32_t number, bool always)
{
    uint8_t *behind = put_tag(out, number, CMDI_PROTOBUF_VARINT);
    *behind = value;
    return out + (size_t)(behind + 1 - out) * (value || always);
}

/* --- What has a length ------------------------------------------------------------------------ */

static CMDI_INLINED uint8_t *try_bytes(uint8_t *out, const uint8_t *border, struct cmds_bytes span,
        uint32_t number, uint32_t row_max, bool always)
{
    if (span.size == 0 && !always) {
        return out;
    }
    out = put_tag(out, number, CMDI_PROTOBUF_BYTES);
    if (CMDI_UNLIKELY(span.size > (row_max != 0 ? row_max : INT32_MAX) ||
                      (int64_t)span.size > border - out)) {
        return NULL;
    }
    out = cmdi_leb_write_size(out, span.size);
    if (CMDI_UNLIKELY(span.data == NULL)) {
        return span.size == 0 ? out : NULL;
    }
    if (span.size - 1 < CMDI_SHORT_MAX) {
        cmdi_short_store(out, span.size, cmdi_short_load(span.data, span.size));
    } else {
        memcpy(out, span.data, span.size);
    }
    return out + span.size;
}

/* What is no text is found where it was copied to, which is in the cache. */
static CMDI_INLINED uint8_t *try_string(uint8_t *out, const uint8_t *border, struct cmds_bytes span,
        uint32_t number, uint32_t row_max, bool always)
{
    uint8_t *end = try_bytes(out, border, span, number, row_max, always);
    bool good = CMDI_LIKELY(end != NULL) && cmdi_utf8_is_valid(end - span.size, span.size);
    return CMDI_LIKELY(good) ? end : NULL;
}

static uint8_t *try_text(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t number, uint32_t row_max, bool always)
{
    int64_t length = cmdi_text_length(row, at, row_max);
    struct cmds_bytes span = {at, (size_t)length};
    return length < 0 ? NULL : try_string(out, border, span, number, 0, always);
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

/*
 * A message ends ITEM_ROOM before the border, so that it may move by what its size takes more than the byte that
 * is left for it.
 */
static uint8_t *try_message(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t number, bool always)
{
    if (CMDI_UNLIKELY(border - out < 2 * ITEM_ROOM)) {
        return NULL;
    }
    uint8_t *body = put_tag(out, number, CMDI_PROTOBUF_BYTES) + 1;
    uint8_t *body_end = try_struct(body, border - ITEM_ROOM, row->nested, at);
    if (CMDI_UNLIKELY(body_end == NULL)) {
        return NULL;
    }
    return body_end != body || always ? put_size_before(body, body_end, 1) : out;
}

static uint8_t *try_pair(
        uint8_t *out, const uint8_t *border, const struct cmds_pair *pair, uint32_t number)
{
    const struct cmds_bytes key = {pair->key.data, pair->key.size};
    const struct cmds_bytes value = {pair->value.data, pair->value.size};
    if (border - out < 3 * ITEM_ROOM) {
        return NULL;
    }
    border -= 2 * ITEM_ROOM;
    uint8_t *body = put_tag(out, number, CMDI_PROTOBUF_BYTES) + 1;
    uint8_t *end = try_string(body, border, key, 1, 0, true);
    end = end != NULL ? try_string(end, border, value, 2, 0, true) : NULL;
    return end != NULL ? put_size_before(body, end, 1) : NULL;
}

static uint8_t *try_map(
        uint8_t *out, const uint8_t *border, const uint8_t *at, uint32_t number, uint32_t row_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    if (cmdi_span_check(map.items, map.count, row_max != 0 ? row_max : INT32_MAX) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < map.count && out != NULL; i++) {
        out = try_pair(out, border, &map.items[i], number);
    }
    return out;
}

/* Numbers, at least one, packed: none takes less than a byte, so the size takes no less than their count's. */
static uint8_t *try_packed(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        struct cmdi_array array, uint32_t number)
{
    size_t reserved = (size_t)cmdi_leb_size(array.count);
    uint8_t *from = put_tag(out, number, CMDI_PROTOBUF_BYTES) + reserved;
    const uint8_t *item = array.items;
    out = from;
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        if (CMDI_UNLIKELY(border - out < ITEM_ROOM)) {
            return NULL;
        }
        out = put_number(out, row->kind, cmdi_protobuf_number(row->kind, item));
    }
    return put_size_before(from, out, reserved);
}

/* --- Fields ----------------------------------------------------------------------------------- */

static uint8_t *try_many(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t number);

/* One that may be left out if it is zero, unless `always`. `form`: the kind, unless it is more than one item. */
static CMDI_INLINED uint8_t *try_form(uint8_t *out, const uint8_t *border, unsigned form,
        const struct cmds_field *row, const uint8_t *at, uint32_t number, uint32_t row_max,
        bool always)
{
#define TRY_NUMBER(kind)                                                                           \
    case kind:                                                                                     \
        return try_number(out, kind, at, number, always)
    switch (form) {
    case CMDS_KIND_RESERVED:
        return out;
    case CMDS_KIND_BOOL:
        return try_bool(out, *at != 0, number, always);
        TRY_NUMBER(CMDS_KIND_I8);
        TRY_NUMBER(CMDS_KIND_I16);
        TRY_NUMBER(CMDS_KIND_I32);
        TRY_NUMBER(CMDS_KIND_U8);
        TRY_NUMBER(CMDS_KIND_U16);
        TRY_NUMBER(CMDS_KIND_U32);
    case CMDS_KIND_I64:
        TRY_NUMBER(CMDS_KIND_U64);
        TRY_NUMBER(CMDS_KIND_F32);
        TRY_NUMBER(CMDS_KIND_F64);
    case CMDS_KIND_STRING:
        return try_string(out, border, CMDI_LOAD(struct cmds_bytes, at), number, row_max, always);
    case CMDS_KIND_BYTES:
        return try_bytes(out, border, CMDI_LOAD(struct cmds_bytes, at), number, row_max, always);
    case CMDS_KIND_TEXT:
        return try_text(out, border, row, at, number, row_max, always);
    case CMDS_KIND_BLOB:
        return try_bytes(
                out, border, (struct cmds_bytes){at, row->item_size}, number, UINT32_MAX, always);
    case CMDS_KIND_MAP:
        return try_map(out, border, at, number, row_max);
    case CMDS_KIND_STRUCT:
        return try_message(out, border, row, at, number, always);
    default:
        return try_many(out, border, row, at, number);
    }
#undef TRY_NUMBER
}

static uint8_t *try_item(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t number, uint32_t row_max)
{
    return try_form(out, border, row->kind, row, at, number, row_max, true);
}

static uint8_t *try_array(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t number)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    uint32_t count_max = row->size_max != 0 ? row->size_max : INT32_MAX;
    if (cmdi_span_check(array.items, array.count, count_max) < 0 || array.count == 0) {
        return array.count == 0 ? out : NULL;
    }
    if (row->kind >= CMDS_KIND_BOOL && row->kind <= CMDS_KIND_F64) {
        return try_packed(out, border, row, array, number);
    }
    const uint8_t *item = array.items;
    for (size_t i = 0; i < array.count && out != NULL; i++, item += row->item_size) {
        out = CMDI_LIKELY(out <= border) ? try_item(out, border, row, item, number, 0) : NULL;
    }
    return out;
}

static uint8_t *try_many(uint8_t *out, const uint8_t *border, const struct cmds_field *row,
        const uint8_t *at, uint32_t number)
{
    if (row->kind == CMDS_KIND_RESERVED) {
        return out; // Whatever its shape.
    }
    if (!cmdi_protobuf_has_row(row)) {
        return NULL;
    }
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return try_array(out, border, row, at, number);
    }
    return *at != 0 ? try_item(out, border, row, at + row->item_offset, number, row->size_max)
                    : out;
}

/* Each row may take ITEM_ROOM bytes behind the border, without a look at what is left. */
static CMDI_INLINED uint8_t *try_rows(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    uint32_t number = 1;
    const uint32_t stride = schema->field_stride;
    const ptrdiff_t kept = ITEM_ROOM * ((ptrdiff_t)schema->field_count + 2);
    const struct cmds_field *row = schema->fields, *const rows_end = cmdi_rows_end(schema);
    if (CMDI_UNLIKELY(end - out < kept)) {
        return NULL;
    }
    const uint8_t *border = end - kept;
    for (; row != rows_end; row = cmdi_row_after(row, stride), number++) {
        out = try_form(out, border, cmdi_row_form(row), row, value + row->offset, number,
                row->size_max, false);
        if (CMDI_UNLIKELY(out == NULL)) {
            return NULL;
        }
    }
    return out;
}

static uint8_t *try_struct(
        uint8_t *out, const uint8_t *end, const struct cmds_schema *schema, const uint8_t *value)
{
    return try_rows(out, end, schema, value);
}

int64_t cmdi_protobuf_try(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t room)
{
    const uint8_t *end = try_rows(out, out + room, schema, value);
    return CMDI_LIKELY(end != NULL) ? end - out : -ENOBUFS;
}
