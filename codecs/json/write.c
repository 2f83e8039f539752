/* SPDX-License-Identifier: MIT */
/*
 * A value becomes JSON: first its size, then the bytes.
 *
 * The two walks take the same steps in the same order; the size walk is the one that refuses, so that
 * the write cannot fail. Where there is room for much more, a bound will do in place of the size: then no
 * text is read and no number is made twice. They recurse over nested schemas, never over the value. Text and
 * numbers are in print.c. No state, any thread.
 */
#include <math.h>

#include "base/hint.h"
#include "common/value.h"
#include "json/json.h"
#include "json/print.h"

enum {
    // Of a map. There is no memory here, and sorting without any is quadratic.
    SORTED_PAIRS_MAX = 256,
    // Bytes that a byte of text becomes at most: \u0000, or \ufffd where it is no UTF-8.
    ESCAPED_MAX = 6,
    // Of a longer text the bound is its size: six times as much room is too much to ask for.
    BOUND_TEXT_MAX = 1024,
    DIGITS_MAX = 20, // Of a whole number, with its sign.
};

#define EXACT INT64_MAX // In place of a room: nothing is above it.

/* --- Size ------------------------------------------------------------------------------------- */

/* Is it there, and within the limit? Otherwise nothing of it is read. */
static int span_check(const void *data, size_t size, uint32_t row_max)
{
    return cmdi_span_check(data, size, row_max != 0 ? row_max : UINT32_MAX);
}

/*
 * In all of these, `room`: a bound is enough, which is never below the size; and if it is above the room, it
 * does not matter by how much. EXACT: the size itself.
 */

static inline int64_t letters_size(const uint8_t *data, size_t size, int64_t room)
{
    if (room != EXACT && (size <= BOUND_TEXT_MAX || (int64_t)size > room)) {
        return 2 + ESCAPED_MAX * (int64_t)size;
    }
    return (int64_t)cmdi_json_string_size(data, size);
}

static int64_t string_size(struct cmds_string string, int64_t room)
{
    int code = span_check(string.data, string.size, 0);
    return code < 0 ? code : letters_size((const uint8_t *)string.data, string.size, room);
}

static int64_t map_size(const uint8_t *at, uint32_t row_max, int64_t room)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    int code = span_check(map.items, map.count, row_max);
    if (code < 0) {
        return code;
    }
    int64_t total = 2 + 2 * (int64_t)map.count - (map.count > 0); // Braces, colons and commas.
    for (size_t i = 0; i < map.count; i++) {
        int64_t key = string_size(map.items[i].key, room), value = 0;
        value = key < 0 ? key : string_size(map.items[i].value, room);
        if (value < 0) {
            return value;
        }
        total += key + value;
        if (CMDI_UNLIKELY(total > room)) {
            break;
        }
    }
    return total;
}

static int64_t text_size(
        const struct cmds_field *row, const uint8_t *at, uint32_t row_max, int64_t room)
{
    int64_t length = cmdi_text_length(row, at, row_max);
    return length < 0 ? length : letters_size(at, (size_t)length, room);
}

static int64_t blob_size(const uint8_t *at, size_t count, int64_t room)
{
    if (room != EXACT) {
        return 2 + 4 * (int64_t)count; // Three digits and a comma each.
    }
    int64_t total = 2 + (int64_t)count - (count > 0);
    for (size_t i = 0; i < count; i++) {
        total += 1 + (at[i] >= 10) + (at[i] >= 100);
    }
    return total;
}

static int64_t base64_size(size_t size)
{
    return 2 + (int64_t)((size + 2) / 3 * 4);
}

static int64_t span_size(
        const struct cmds_field *row, const uint8_t *at, uint32_t row_max, int64_t room)
{
    struct cmds_bytes span = CMDI_LOAD(struct cmds_bytes, at);
    int code = span_check(span.data, span.size, row_max);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    return row->kind == CMDS_KIND_STRING ? letters_size(span.data, span.size, room)
                                         : base64_size(span.size);
}

static int64_t integer_size(uint64_t value, bool is_signed)
{
    bool negative = is_signed && (int64_t)value < 0;
    return negative + (int64_t)cmdi_json_digits(negative ? 0 - value : value);
}

static int64_t f32_size(const uint8_t *at, int64_t room)
{
    float value = CMDI_LOAD(float, at);
    if (!isfinite((double)value)) {
        return -EINVAL;
    }
    return room == EXACT ? (int64_t)cmdi_json_size_f32(value) : CMDI_JSON_NUMBER_MAX;
}

static int64_t f64_size(const uint8_t *at, int64_t room)
{
    double value = CMDI_LOAD(double, at);
    if (!isfinite(value)) {
        return -EINVAL;
    }
    return room == EXACT ? (int64_t)cmdi_json_size_f64(value) : CMDI_JSON_NUMBER_MAX;
}

static int64_t struct_size(const struct cmds_schema *schema, const uint8_t *value, int64_t room);

static int64_t item_size(
        const struct cmds_field *row, const uint8_t *at, uint32_t row_max, int64_t room)
{
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        return 5 - (*at != 0);
    case CMDS_KIND_F32:
        return f32_size(at, room);
    case CMDS_KIND_F64:
        return f64_size(at, room);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        return span_size(row, at, row_max, room);
    case CMDS_KIND_MAP:
        return map_size(at, row_max, room);
    case CMDS_KIND_TEXT:
        return text_size(row, at, row_max, room);
    case CMDS_KIND_BLOB:
        return blob_size(at, row->item_size, room);
    case CMDS_KIND_STRUCT:
        return struct_size(row->nested, at, room);
    default:
        return room != EXACT ? DIGITS_MAX
                             : integer_size(cmdi_integer_load(row->kind, at),
                                       cmdi_kind_is_signed(row->kind));
    }
}

static int64_t array_size(const struct cmds_field *row, const uint8_t *at, int64_t room)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    int code = span_check(array.items, array.count, row->size_max);
    if (code < 0) {
        return code;
    }
    if (row->kind == CMDS_KIND_U8) { // A []uint8 of Go is a []byte.
        return base64_size(array.count);
    }
    const uint8_t *item = array.items;
    int64_t total = 2 + (int64_t)array.count - (array.count > 0);
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        int64_t size = item_size(row, item, 0, room);
        if (size < 0) {
            return size;
        }
        total += size;
        if (CMDI_UNLIKELY(total > room)) {
            break;
        }
    }
    return total;
}

static int64_t many_size(const struct cmds_field *row, const uint8_t *at, int64_t room)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return array_size(row, at, room);
    }
    return *at != 0 ? item_size(row, at + row->item_offset, row->size_max, room) : 4; // null
}

static int64_t struct_size(const struct cmds_schema *schema, const uint8_t *value, int64_t room)
{
    const struct cmds_field *row = schema->fields;
    const uint32_t count = schema->field_count, stride = schema->field_stride;
    int64_t total = 1; // Of the braces and commas one less than rows.
    for (uint32_t i = 0; i < count; i++, row = cmdi_row_after(row, stride)) {
        if (row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        const uint8_t *at = value + row->offset;
        int64_t size = CMDI_LIKELY(row->shape == CMDS_SHAPE_ONE)
                               ? item_size(row, at, row->size_max, room)
                               : many_size(row, at, room);
        if (CMDI_UNLIKELY(size < 0)) {
            return size;
        }
        total += 2 + (int64_t)cmdi_json_name_size(row->name, cmdi_row_name_size(row)) + size;
        if (CMDI_UNLIKELY(total > room)) {
            break;
        }
    }
    return total + (total == 1);
}

int64_t cmdi_json_size(const struct cmds_schema *schema, const uint8_t *value)
{
    return struct_size(schema, value, EXACT);
}

/* --- Maps ------------------------------------------------------------------------------------- */

/* By the key's bytes; of equal keys the later one comes later, because the last one counts. */
static bool pair_is_before(const struct cmds_map *map, uint16_t a, uint16_t b)
{
    struct cmds_string left = map->items[a].key, right = map->items[b].key;
    size_t size = left.size < right.size ? left.size : right.size;
    int order = size > 0 ? memcmp(left.data, right.data, size) : 0;
    if (order != 0 || left.size != right.size) {
        return order != 0 ? order < 0 : left.size < right.size;
    }
    return a < b;
}

static void heap_sink(const struct cmds_map *map, uint16_t *order, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && pair_is_before(map, order[child], order[child + 1]);
        if (!pair_is_before(map, order[at], order[child])) {
            return;
        }
        uint16_t kept = order[at];
        order[at] = order[child];
        order[child] = kept;
    }
}

static void sort_pairs(const struct cmds_map *map, uint16_t *order)
{
    for (size_t i = 0; i < map->count; i++) {
        order[i] = (uint16_t)i;
    }
    for (size_t i = map->count / 2; i > 0; i--) {
        heap_sink(map, order, i - 1, map->count);
    }
    for (size_t i = map->count; i > 1; i--) {
        uint16_t kept = order[0];
        order[0] = order[i - 1];
        order[i - 1] = kept;
        heap_sink(map, order, 0, i - 1);
    }
}

static uint8_t *string_write(uint8_t *out, struct cmds_string string)
{
    return cmdi_json_string_write(out, (const uint8_t *)string.data, string.size);
}

static uint8_t *write_map(uint8_t *out, const uint8_t *at)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    uint16_t order[SORTED_PAIRS_MAX];
    bool sorted = map.count > 1 && map.count <= SORTED_PAIRS_MAX;
    if (sorted) { // The size does not depend on the order.
        sort_pairs(&map, order);
    }
    *out++ = '{';
    for (size_t i = 0; i < map.count; i++) {
        const struct cmds_pair *pair = &map.items[sorted ? order[i] : i];
        if (i > 0) {
            *out++ = ',';
        }
        out = string_write(out, pair->key);
        *out++ = ':';
        out = string_write(out, pair->value);
    }
    *out = '}';
    return out + 1;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static uint8_t *write_blob(uint8_t *out, const uint8_t *at, size_t count)
{
    *out++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            *out++ = ',';
        }
        out = cmdi_json_integer_write(out, at[i], false);
    }
    *out = ']';
    return out + 1;
}

/*
 * One that is not finite was refused before it came here; if another thread has changed the value since,
 * nothing stands for it: what follows is no JSON, and its peer refuses it.
 */
static uint8_t *write_f32(uint8_t *out, const uint8_t *at)
{
    float value = CMDI_LOAD(float, at);
    return isfinite((double)value) ? out + cmdi_json_format_f32((char *)out, value) : out;
}

static uint8_t *write_f64(uint8_t *out, const uint8_t *at)
{
    double value = CMDI_LOAD(double, at);
    return isfinite(value) ? out + cmdi_json_format_f64((char *)out, value) : out;
}

static uint8_t *write_struct(uint8_t *out, const struct cmds_schema *schema, const uint8_t *value);

static uint8_t *write_item(uint8_t *out, const struct cmds_field *row, const uint8_t *at)
{
    struct cmds_bytes span;
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        memcpy(out, *at != 0 ? "true" : "fals", 4);
        out[3 + (*at == 0)] = 'e';
        return out + 5 - (*at != 0);
    case CMDS_KIND_F32:
        return write_f32(out, at);
    case CMDS_KIND_F64:
        return write_f64(out, at);
    case CMDS_KIND_STRING:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return cmdi_json_string_write(out, span.data, span.size);
    case CMDS_KIND_BYTES:
        span = CMDI_LOAD(struct cmds_bytes, at);
        return cmdi_json_base64_write(out, span.data, span.size);
    case CMDS_KIND_MAP:
        return write_map(out, at);
    case CMDS_KIND_TEXT:
        return cmdi_json_string_write(out, at, strnlen((const char *)at, row->item_size));
    case CMDS_KIND_BLOB:
        return write_blob(out, at, row->item_size);
    case CMDS_KIND_STRUCT:
        return write_struct(out, row->nested, at);
    default:
        return cmdi_json_integer_write(
                out, cmdi_integer_load(row->kind, at), cmdi_kind_is_signed(row->kind));
    }
}

static uint8_t *write_array(uint8_t *out, const struct cmds_field *row, const uint8_t *at)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    if (row->kind == CMDS_KIND_U8) {
        return cmdi_json_base64_write(out, array.items, array.count);
    }
    const uint8_t *item = array.items;
    *out++ = '[';
    for (size_t i = 0; i < array.count; i++, item += row->item_size) {
        if (i > 0) {
            *out++ = ',';
        }
        out = write_item(out, row, item);
    }
    *out = ']';
    return out + 1;
}

static uint8_t *write_many(uint8_t *out, const struct cmds_field *row, const uint8_t *at)
{
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return write_array(out, row, at);
    }
    if (*at != 0) {
        return write_item(out, row, at + row->item_offset);
    }
    memcpy(out, "null", 4);
    return out + 4;
}

static uint8_t *write_struct(uint8_t *out, const struct cmds_schema *schema, const uint8_t *value)
{
    const struct cmds_field *row = schema->fields;
    const uint32_t count = schema->field_count, stride = schema->field_stride;
    char before = '{';
    for (uint32_t i = 0; i < count; i++, row = cmdi_row_after(row, stride)) {
        if (row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        const uint8_t *at = value + row->offset;
        *out = (uint8_t)before;
        before = ',';
        out = cmdi_json_name_write(out + 1, row->name, cmdi_row_name_size(row));
        *out++ = ':';
        out = CMDI_LIKELY(row->shape == CMDS_SHAPE_ONE) ? write_item(out, row, at)
                                                        : write_many(out, row, at);
    }
    if (before == '{') {
        *out++ = '{';
    }
    *out = '}';
    return out + 1;
}

uint8_t *cmdi_json_write(const struct cmds_schema *schema, const uint8_t *value, uint8_t *out)
{
    return write_struct(out, schema, value);
}

int64_t cmdi_json_try(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t room)
{
    int64_t most = room < EXACT ? (int64_t)room : EXACT - 1;
    int64_t bound = struct_size(schema, value, most);
    return bound < 0 || bound > most ? -ENOBUFS : write_struct(out, schema, value) - out;
}
