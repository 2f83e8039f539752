/* SPDX-License-Identifier: MIT */
/*
 * A value becomes JSON. One walk counts and writes: without an output it only counts, so the two
 * cannot differ.
 *
 * The counting walk comes first and is the one that refuses. The walk recurses over nested schemas,
 * never over the value. No state, any thread.
 */
#include <math.h>

#include "base/hint.h"
#include "common/utf8.h"
#include "common/value.h"
#include "json/json.h"
#include "json/plain.h"

enum {
    // Of a map. There is no memory here, and sorting without any is quadratic.
    SORTED_PAIRS_MAX = 256,
};

struct sink {
    uint8_t *out; // NULL: only counts.
    size_t size;
    int code;
};

static inline void put(struct sink *sink, const void *data, size_t size)
{
    if (sink->out != NULL) {
        memcpy(sink->out + sink->size, data, size);
    }
    sink->size += size;
}

static inline void put_byte(struct sink *sink, char byte)
{
    if (sink->out != NULL) {
        sink->out[sink->size] = (uint8_t)byte;
    }
    sink->size++;
}

#define PUT(sink, literal) put(sink, "" literal, sizeof(literal) - 1)

static void fail(struct sink *sink, int code)
{
    sink->code = sink->code != 0 ? sink->code : code;
}

/* Is it there, and within the limit? Otherwise nothing of it is read. */
static bool is_sound(struct sink *sink, const void *data, size_t size, uint32_t row_max)
{
    int code = cmdi_span_check(data, size, row_max != 0 ? row_max : UINT32_MAX);
    if (CMDI_UNLIKELY(code < 0)) {
        fail(sink, code);
    }
    return code == 0;
}

/* --- Text ------------------------------------------------------------------------------------- */

/*
 * 0: stands for itself; 'u': as \u00xx; '8': begins what is not ASCII; else the letter behind the
 * backslash.
 */
static const char escapes[256] = {
#define TIMES_8(x) x, x, x, x, x, x, x, x
#define TIMES_64(x)                                                                                \
    TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x), TIMES_8(x)
        TIMES_8('u'), 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u', TIMES_8('u'), TIMES_8('u'),
        ['"'] = '"', ['\\'] = '\\', ['<'] = 'u', ['>'] = 'u', ['&'] = 'u', [128] = TIMES_64('8'),
        TIMES_64('8')};

/* One character that does not stand for itself, or not always. Returns: its end. */
static const uint8_t *put_special(struct sink *sink, const uint8_t *at, const uint8_t *end)
{
    static const char hex[] = "0123456789abcdef";
    char letter = escapes[*at];
    if (letter == '8') {
        unsigned size = cmdi_utf8_size(at, end);
        if (size == 0) {
            PUT(sink, "\\ufffd");
            return at + 1;
        }
        bool ends_line = size == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] | 1) == 0xa9;
        if (ends_line) { // U+2028 and U+2029 end a line in JavaScript.
            PUT(sink, "\\u202");
            put_byte(sink, hex[at[2] & 0xf]);
        } else {
            put(sink, at, size);
        }
        return at + size;
    }
    put_byte(sink, '\\');
    put_byte(sink, letter);
    if (letter == 'u') {
        PUT(sink, "00");
        put_byte(sink, hex[*at >> 4]);
        put_byte(sink, hex[*at & 0xf]);
    }
    return at + 1;
}

static void put_string(struct sink *sink, const void *data, size_t size)
{
    const uint8_t *at = data;
    const uint8_t *end = size > 0 ? at + size : at;
    put_byte(sink, '"');
    while (at < end) {
        if (sink->out == NULL) {
            const uint8_t *from = at;
            sink->size += cmdi_json_extra(&at, end);
            sink->size += (size_t)(at - from);
        }
        const uint8_t *plain = cmdi_json_plain_end(at, end, true);
        put(sink, at, (size_t)(plain - at));
        at = plain < end ? put_special(sink, plain, end) : plain;
    }
    put_byte(sink, '"');
}

static void put_base64(struct sink *sink, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    put_byte(sink, '"');
    if (sink->out == NULL) {
        sink->size += (size + 2) / 3 * 4;
        size = 0;
    }
    for (size_t i = 0; i < size; i += 3) {
        size_t count = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (count > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (count > 2 ? data[i + 2] : 0);
        put_byte(sink, digits[bits >> 18]);
        put_byte(sink, digits[bits >> 12 & 63]);
        put_byte(sink, count > 1 ? digits[bits >> 6 & 63] : '=');
        put_byte(sink, count > 2 ? digits[bits & 63] : '=');
    }
    put_byte(sink, '"');
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static void put_integer(struct sink *sink, uint64_t value, bool is_signed)
{
    char digits[20];
    size_t at = sizeof(digits);
    bool negative = is_signed && (int64_t)value < 0;
    value = negative ? 0 - value : value;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (negative) {
        put_byte(sink, '-');
    }
    put(sink, digits + at, sizeof(digits) - at);
}

static void put_float(struct sink *sink, const struct cmds_field *row, const uint8_t *at)
{
    char text[CMDI_JSON_NUMBER_MAX];
    bool narrow = row->kind == CMDS_KIND_F32;
    double value = narrow ? (double)CMDI_LOAD(float, at) : CMDI_LOAD(double, at);
    if (!isfinite(value)) {
        fail(sink, -EINVAL);
        return;
    }
    size_t size = narrow ? cmdi_json_format_f32(text, CMDI_LOAD(float, at))
                         : cmdi_json_format_f64(text, value);
    put(sink, text, size);
}

static void put_numbers(struct sink *sink, const uint8_t *data, size_t size)
{
    put_byte(sink, '[');
    for (size_t i = 0; i < size; i++) {
        if (i > 0) {
            put_byte(sink, ',');
        }
        put_integer(sink, data[i], false);
    }
    put_byte(sink, ']');
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

static void put_map(struct sink *sink, const uint8_t *at, uint32_t row_max)
{
    struct cmds_map map = CMDI_LOAD(struct cmds_map, at);
    uint16_t order[SORTED_PAIRS_MAX];
    if (!is_sound(sink, map.items, map.count, row_max)) {
        return;
    }
    bool sorted = sink->out != NULL && map.count > 1 && map.count <= SORTED_PAIRS_MAX;
    if (sorted) { // The size does not depend on the order.
        sort_pairs(&map, order);
    }
    put_byte(sink, '{');
    for (size_t i = 0; i < map.count; i++) {
        const struct cmds_pair *pair = &map.items[sorted ? order[i] : i];
        if (!is_sound(sink, pair->key.data, pair->key.size, 0) ||
                !is_sound(sink, pair->value.data, pair->value.size, 0)) {
            return;
        }
        if (i > 0) {
            put_byte(sink, ',');
        }
        put_string(sink, pair->key.data, pair->key.size);
        put_byte(sink, ':');
        put_string(sink, pair->value.data, pair->value.size);
    }
    put_byte(sink, '}');
}

/* --- The walk --------------------------------------------------------------------------------- */

static void put_struct(struct sink *sink, const struct cmds_schema *schema, const uint8_t *value);

static void put_span(
        struct sink *sink, const struct cmds_field *row, const uint8_t *at, uint32_t row_max)
{
    struct cmds_bytes span = CMDI_LOAD(struct cmds_bytes, at);
    if (!is_sound(sink, span.data, span.size, row_max)) {
        return;
    }
    if (row->kind == CMDS_KIND_STRING) {
        put_string(sink, span.data, span.size);
    } else {
        put_base64(sink, span.data, span.size);
    }
}

static void put_item(
        struct sink *sink, const struct cmds_field *row, const uint8_t *at, uint32_t row_max)
{
    int64_t length;
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        if (*at != 0) {
            PUT(sink, "true");
        } else {
            PUT(sink, "false");
        }
        break;
    case CMDS_KIND_F32:
    case CMDS_KIND_F64:
        put_float(sink, row, at);
        break;
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        put_span(sink, row, at, row_max);
        break;
    case CMDS_KIND_MAP:
        put_map(sink, at, row_max);
        break;
    case CMDS_KIND_TEXT:
        length = cmdi_text_length(row, at, row_max);
        if (length < 0) {
            fail(sink, (int)length);
        } else {
            put_string(sink, at, (size_t)length);
        }
        break;
    case CMDS_KIND_BLOB:
        put_numbers(sink, at, row->item_size);
        break;
    case CMDS_KIND_STRUCT:
        put_struct(sink, row->nested, at);
        break;
    default:
        put_integer(sink, cmdi_integer_load(row->kind, at), cmdi_kind_is_signed(row->kind));
        break;
    }
}

static void put_array(struct sink *sink, const struct cmds_field *row, const uint8_t *at)
{
    struct cmdi_array array = CMDI_LOAD(struct cmdi_array, at);
    if (!is_sound(sink, array.items, array.count, row->size_max)) {
        return;
    }
    if (row->kind == CMDS_KIND_U8) { // A []uint8 of Go is a []byte.
        put_base64(sink, array.items, array.count);
        return;
    }
    const uint8_t *item = array.items;
    put_byte(sink, '[');
    for (size_t i = 0; i < array.count && sink->code == 0; i++, item += row->item_size) {
        if (i > 0) {
            put_byte(sink, ',');
        }
        put_item(sink, row, item, 0);
    }
    put_byte(sink, ']');
}

static void put_row(struct sink *sink, const struct cmds_field *row, const uint8_t *at)
{
    put_string(sink, row->name, strlen(row->name));
    put_byte(sink, ':');
    if (row->shape == CMDS_SHAPE_ONE) {
        put_item(sink, row, at, row->size_max);
    } else if (row->shape == CMDS_SHAPE_ARRAY) {
        put_array(sink, row, at);
    } else if (*at != 0) {
        put_item(sink, row, at + row->item_offset, row->size_max);
    } else {
        PUT(sink, "null");
    }
}

static void put_struct(struct sink *sink, const struct cmds_schema *schema, const uint8_t *value)
{
    const struct cmds_field *row = schema->fields;
    char before = '{';
    for (uint32_t i = 0; i < schema->field_count && sink->code == 0;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (row->kind != CMDS_KIND_RESERVED) {
            put_byte(sink, before);
            put_row(sink, row, value + row->offset);
            before = ',';
        }
    }
    if (before == '{') {
        put_byte(sink, '{');
    }
    put_byte(sink, '}');
}

int64_t cmdi_json_write(const struct cmds_schema *schema, const uint8_t *value, uint8_t *out)
{
    struct sink sink = {.out = out};
    put_struct(&sink, schema, value);
    return sink.code < 0 ? sink.code : (int64_t)sink.size;
}
