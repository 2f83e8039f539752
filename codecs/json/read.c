/* SPDX-License-Identifier: MIT */
/*
 * JSON becomes a value, where it lies: no tree is built, and text without escapes points into the
 * input.
 *
 * The walk goes along the schema, so it recurses no deeper than the schema does. From the arena an
 * array or a map takes exactly the room of its elements, which a scan of the grammar has counted
 * before. Lists inside of lists would be scanned once for each level: when as much was scanned as
 * came in all, arrays of structs take room as their elements come, twice as much each time. Text with escapes takes what
 * it says, base64 three quarters of its text, names nothing. A row's limit is held against text, a
 * count, or the size of bytes before they take anything; only base64 with escapes is built first.
 * What remains is the arena's to bound: a field that comes twice takes room twice, and two bytes
 * can say a large struct. No state, any thread.
 */
#include "base/hint.h"
#include "common/names.h"
#include "common/short.h"
#include "common/value.h"
#include "json/digits.h"
#include "json/json.h"
#include "json/scan.h"

enum {
    SCRATCH = 2048, // Bytes of a text with escapes that is read in one walk.
};

struct reader {
    struct cmdi_json_scan scan;
    struct cmds_arena *arena;
    size_t scanned;    // Bytes of the last list that was counted.
    size_t ahead_left; // Bytes in arrays of structs that may still be scanned ahead.
    struct cmdi_work work;
    int code; // Of the last look for a row.
};

static int read_struct(struct reader *reader, const struct cmds_schema *schema, uint8_t *value);

int64_t cmdi_json_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value)
{
    static const uint8_t nothing[1];
    const uint8_t *begin = in.data != NULL ? in.data : nothing;
    struct reader reader = {
            {begin, begin + in.size, 0}, arena, 0, in.size, cmdi_work_of(arena, in.size), 0};
    uint8_t first = cmdi_json_peek(&reader.scan);
    if (first == 0) {
        return CMDS_E_PROTO;
    }
    int code =
            first == 'n' ? cmdi_json_take_null(&reader.scan) : read_struct(&reader, schema, value);
    if (code < 0) {
        return code;
    }
    (void)cmdi_json_peek(&reader.scan);
    return reader.scan.at == reader.scan.end ? (int64_t)in.size : CMDS_E_PROTO;
}

/* --- Scalars ---------------------------------------------------------------------------------- */

static int read_bool(struct reader *reader, uint8_t *to)
{
    bool value = *reader->scan.at == 't';
    int code = value ? cmdi_json_take_word(&reader->scan, "true", 4)
                     : cmdi_json_take_word(&reader->scan, "false", 5);
    if (code == 0) {
        CMDI_STORE(bool, to, value);
    }
    return code;
}

/* Behind the sign. Returns: NULL: it has more digits than fit, or is no whole number: see take_integer(). */
static CMDI_INLINED const uint8_t *take_usual_integer(
        const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    const uint8_t *from = at;
    at = cmdi_json_take_digits(at, end, CMDI_JSON_DIGITS_MAX, value);
    bool is_odd = at == from || (*from == '0' && at - from > 1) ||
                  (at < end && ((uint8_t)(*at - '0') < 10 || *at == '.' || (*at | 0x20) == 'e'));
    return CMDI_UNLIKELY(is_odd) ? NULL : at;
}

/* Any number, by the grammar. Returns: 0; CMDS_E_PROTO: it is not whole, or too large. */
static int take_integer(struct reader *reader, bool negative, uint64_t *value)
{
    const uint8_t *from = reader->scan.at;
    bool integer;
    int code = cmdi_json_take_number(&reader->scan, &integer);
    if (code < 0 || !integer) {
        return CMDS_E_PROTO;
    }
    *value = 0;
    for (const uint8_t *at = from + negative; at < reader->scan.at; at++) {
        if (__builtin_mul_overflow(*value, 10u, value) ||
                __builtin_add_overflow(*value, (uint64_t)(*at - '0'), value)) {
            return CMDS_E_PROTO;
        }
    }
    return 0;
}

static int read_integer(struct reader *reader, uint8_t kind, uint8_t *to)
{
    bool negative = *reader->scan.at == '-';
    uint64_t value = 0;
    const uint8_t *at = reader->scan.at + negative;
    at = take_usual_integer(at, reader->scan.end, &value);
    if (CMDI_LIKELY(at != NULL)) {
        reader->scan.at = at;
    } else if (take_integer(reader, negative, &value) < 0) {
        return CMDS_E_PROTO;
    }
    if (cmdi_kind_is_signed(kind)) {
        if (value > (uint64_t)INT64_MAX + negative) {
            return CMDS_E_PROTO;
        }
        value = negative ? 0 - value : value;
    } else if (negative) {
        return CMDS_E_PROTO;
    }
    return cmdi_integer_store(kind, to, value);
}

/* Another number than the usual one. */
static int read_odd_float(struct reader *reader, uint8_t kind, uint8_t *to)
{
    const char *from = (const char *)reader->scan.at;
    bool integer;
    int code = cmdi_json_take_number(&reader->scan, &integer);
    if (code < 0) {
        return code;
    }
    size_t size = (size_t)((const char *)reader->scan.at - from);
    if (kind == CMDS_KIND_F32) {
        float value = 0;
        code = cmdi_json_parse_f32(from, size, &value);
        CMDI_STORE(float, to, value);
    } else {
        double value = 0;
        code = cmdi_json_parse_f64(from, size, &value);
        CMDI_STORE(double, to, value);
    }
    return code;
}

static int read_f32(struct reader *reader, uint8_t *to)
{
    float value;
    const uint8_t *at = cmdi_json_take_f32(reader->scan.at, reader->scan.end, &value);
    if (CMDI_UNLIKELY(at == NULL)) {
        return read_odd_float(reader, CMDS_KIND_F32, to);
    }
    reader->scan.at = at;
    CMDI_STORE(float, to, value);
    return 0;
}

static int read_f64(struct reader *reader, uint8_t *to)
{
    double value;
    const uint8_t *at = cmdi_json_take_f64(reader->scan.at, reader->scan.end, &value);
    if (CMDI_UNLIKELY(at == NULL)) {
        return read_odd_float(reader, CMDS_KIND_F64, to);
    }
    reader->scan.at = at;
    CMDI_STORE(double, to, value);
    return 0;
}

/* --- Text and bytes --------------------------------------------------------------------------- */

/*
 * Text with something in it that needs a second look, from `plain` on. Of the arena it takes just what it says, which
 * is known when it was read: so it is built beside it.
 */
static __attribute__((noinline)) int read_odd_string(
        struct reader *reader, const uint8_t *plain, size_t size_max, struct cmds_bytes *string)
{
    uint8_t scratch[SCRATCH];
    struct cmdi_json_text text;
    int code = cmdi_json_take_text_slow(&reader->scan, plain, scratch, sizeof(scratch), &text);
    if (code < 0 || text.size > size_max) {
        return code < 0 ? code : CMDS_E_LIMIT;
    }
    *string = (struct cmds_bytes){text.from, text.size};
    if (!text.changed) {
        return 0;
    }
    uint8_t *out = cmds_arena_alloc(reader->arena, text.size, 1);
    if (out == NULL) {
        return CMDS_E_LIMIT;
    }
    if (CMDI_LIKELY(text.built)) {
        memcpy(out, scratch, text.size);
    } else {
        cmdi_json_text_write(&text, out);
    }
    string->data = out;
    return 0;
}

static inline int read_string(struct reader *reader, size_t size_max, struct cmds_bytes *string)
{
    struct cmdi_json_text text;
    const uint8_t *plain;
    int code = cmdi_json_take_plain_text(&reader->scan, &text, &plain);
    if (CMDI_UNLIKELY(code != 0)) {
        return code < 0 ? code : read_odd_string(reader, plain, size_max, string);
    }
    if (CMDI_UNLIKELY(text.size > size_max)) {
        return CMDS_E_LIMIT;
    }
    *string = (struct cmds_bytes){text.from, text.size};
    return 0;
}

/* By byte: one more than the digit's value; 0: it is no digit. */
static const uint8_t base64_values[256] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 0, 64, 53,
        54, 55, 56, 57, 58, 59, 60, 61, 62, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
        12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 0, 0, 0, 0, 0, 0, 27, 28, 29,
        30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52};

/* Fours of digits, as far as there is nothing else. Returns: how many digits. */
static size_t base64_decode_fours(struct cmds_bytes text, uint8_t *out)
{
    const uint8_t *in = text.data;
    size_t i = 0;
    for (; text.size - i >= 4; i += 4) {
        uint32_t value[4];
        for (uint32_t k = 0; k < 4; k++) {
            value[k] = base64_values[in[i + k]] - 1u;
        }
        if ((value[0] | value[1] | value[2] | value[3]) > 63) {
            break;
        }
        *out++ = (uint8_t)(value[0] << 2 | value[1] >> 4);
        *out++ = (uint8_t)(value[1] << 4 | value[2] >> 2);
        *out++ = (uint8_t)(value[2] << 6 | value[3]);
    }
    return i;
}

/*
 * Standard alphabet, with padding; line ends inside are skipped, as Go does. Without `out` it is
 * only measured.
 */
static int base64_decode(struct cmds_bytes text, uint8_t *out, size_t *out_size)
{
    const uint8_t *in = text.data;
    uint32_t bits = 0;
    size_t digits = out != NULL ? base64_decode_fours(text, out) : 0;
    size_t padding = 0, size = digits / 4 * 3;
    for (size_t i = digits; i < text.size; i++) {
        if (in[i] == '\n' || in[i] == '\r') {
            continue;
        }
        bool pads = in[i] == '=';
        int32_t value = pads ? 0 : (int32_t)base64_values[in[i]] - 1;
        bool over = padding > 0 && !pads; // Padding ends it.
        if (value < 0 || over || (pads && digits % 4 < 2)) {
            return CMDS_E_PROTO;
        }
        padding += pads;
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4 == 0) {
            uint8_t three[] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
            if (out != NULL) {
                memcpy(out + size, three, 3 - padding);
            }
            size += 3 - padding;
        }
    }
    *out_size = size;
    return digits % 4 == 0 ? 0 : CMDS_E_PROTO;
}

/* Zeroed room for elements of a list. */
static void *list_room(struct reader *reader, size_t item_size, size_t count)
{
    size_t size;
    if (__builtin_mul_overflow(count, item_size, &size)) {
        return NULL;
    }
    size_t align = item_size & (0 - item_size); // A type's size is a multiple of it.
    align = align < _Alignof(max_align_t) ? align : _Alignof(max_align_t);
    void *items = cmds_arena_alloc(reader->arena, size, align);
    if (items != NULL) {
        memset(items, 0, size);
    }
    return items;
}

/*
 * A list whose first byte `at` is on: counts its elements, takes zeroed room for as many, and goes
 * behind its bracket.
 */
static int open_list(
        struct reader *reader, size_t item_size, uint32_t count_max, struct cmdi_array *list)
{
    struct cmdi_json_scan ahead = reader->scan;
    int64_t count = cmdi_json_skip(&ahead);
    reader->scanned = (size_t)(ahead.at - reader->scan.at);
    if (count < 0) {
        return (int)count;
    }
    if (count_max != 0 && count > count_max) {
        return CMDS_E_LIMIT;
    }
    *list = (struct cmdi_array){NULL, (size_t)count};
    if (count > 0) {
        list->items = list_room(reader, item_size, (size_t)count);
        if (list->items == NULL) {
            return CMDS_E_LIMIT;
        }
    }
    return cmdi_json_open(&reader->scan);
}

/* To the element `index` of a list that was counted: there is one. */
static inline int next_in_list(struct reader *reader, uint8_t close, size_t index)
{
    return cmdi_json_next(&reader->scan, close, index == 0) > 0 ? 0 : CMDS_E_PROTO;
}

static int close_list(struct reader *reader, uint8_t close, size_t count)
{
    return cmdi_json_next(&reader->scan, close, count == 0) == 0 ? 0 : CMDS_E_PROTO;
}

/* An element that null leaves as it is. */
static int read_byte(struct reader *reader, uint8_t *to)
{
    return *reader->scan.at == 'n' ? cmdi_json_take_null(&reader->scan)
                                   : read_integer(reader, CMDS_KIND_U8, to);
}

/* An array of numbers, as uint8_t[N] is written and []byte may be. */
static int read_numbers(struct reader *reader, uint32_t count_max, struct cmds_bytes *bytes)
{
    struct cmdi_array list = {0};
    int code = open_list(reader, 1, count_max, &list);
    uint8_t *items = list.items;
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        code = next_in_list(reader, ']', i);
        code = code < 0 ? code : read_byte(reader, items + i);
    }
    *bytes = (struct cmds_bytes){list.items, list.count};
    return code < 0 ? code : close_list(reader, ']', list.count);
}

/* Bytes, and an array of uint8_t, which Go does not tell apart either. */
static int read_bytes(struct reader *reader, uint32_t size_max, struct cmds_bytes *bytes)
{
    if (*reader->scan.at == '[') {
        return read_numbers(reader, size_max, bytes);
    }
    struct cmds_bytes text = {0};
    int code = read_string(reader, SIZE_MAX, &text);
    if (code < 0) {
        return code;
    }
    size_t size = text.size / 4 * 3; // At most: padding and line ends are nothing.
    if (size_max != 0 && size > size_max) {
        code = base64_decode(text, NULL, &size);
        if (code < 0 || size > size_max) {
            return code < 0 ? code : CMDS_E_LIMIT;
        }
    }
    uint8_t *out = cmds_arena_alloc(reader->arena, size, 1);
    if (out == NULL) {
        return CMDS_E_LIMIT;
    }
    bytes->data = out;
    return base64_decode(text, out, &bytes->size);
}

static int read_blob(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    if (*reader->scan.at != '[') {
        return CMDS_E_PROTO;
    }
    int code = cmdi_json_open(&reader->scan);
    for (size_t i = 0; code == 0; i++) {
        int more = cmdi_json_next(&reader->scan, ']', i == 0);
        if (more == 0) {
            return i == row->item_size ? 0 : CMDS_E_PROTO;
        }
        if (more < 0 || i == row->item_size) {
            return CMDS_E_PROTO;
        }
        code = read_byte(reader, to + i);
    }
    return code;
}

/* --- Maps, arrays and structs ----------------------------------------------------------------- */

static int read_pair(struct reader *reader, struct cmds_pair *pair)
{
    struct cmds_bytes key = {0}, value = {"", 0};
    int code = read_string(reader, SIZE_MAX, &key);
    code = code < 0 ? code : cmdi_json_take(&reader->scan, ':');
    if (code < 0) {
        return code;
    }
    code = cmdi_json_peek(&reader->scan) == 'n' ? cmdi_json_take_null(&reader->scan)
                                                : read_string(reader, SIZE_MAX, &value);
    pair->key = (struct cmds_string){key.data, key.size};
    pair->value = (struct cmds_string){value.data, value.size};
    return code;
}

static int read_map(struct reader *reader, uint8_t *to, uint32_t count_max)
{
    struct cmdi_array list = {0};
    if (*reader->scan.at != '{') {
        return CMDS_E_PROTO;
    }
    int code = open_list(reader, sizeof(struct cmds_pair), count_max, &list);
    struct cmds_pair *pairs = list.items;
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        code = next_in_list(reader, '}', i);
        code = code < 0 ? code : read_pair(reader, &pairs[i]);
    }
    CMDI_STORE(struct cmdi_array, to, list);
    return code < 0 ? code : close_list(reader, '}', list.count);
}

/* `at` is on the value's first byte, and that is not null's. */
static int read_item(
        struct reader *reader, const struct cmds_field *row, uint8_t *to, uint32_t row_max)
{
    struct cmds_bytes bytes = {0};
    size_t size_max = row_max != 0 ? row_max : SIZE_MAX;
    int code;
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        return read_bool(reader, to);
    case CMDS_KIND_F32:
        return read_f32(reader, to);
    case CMDS_KIND_F64:
        return read_f64(reader, to);
    case CMDS_KIND_STRING:
        code = read_string(reader, size_max, &bytes);
        CMDI_STORE(struct cmds_bytes, to, bytes);
        return code;
    case CMDS_KIND_BYTES:
        code = read_bytes(reader, row_max, &bytes);
        CMDI_STORE(struct cmds_bytes, to, bytes);
        return code;
    case CMDS_KIND_TEXT:
        size_max = size_max < row->item_size ? size_max : row->item_size - 1u;
        code = read_string(reader, size_max, &bytes);
        return code < 0 ? code : cmdi_text_store(row, to, bytes, row_max);
    case CMDS_KIND_MAP:
        return read_map(reader, to, row_max);
    case CMDS_KIND_BLOB:
        return read_blob(reader, row, to);
    case CMDS_KIND_STRUCT:
        return read_struct(reader, row->nested, to);
    default:
        return read_integer(reader, row->kind, to);
    }
}

/* One element more than there is room for. */
static int array_grow(
        struct reader *reader, const struct cmds_field *row, struct cmdi_array *array, size_t *room)
{
    size_t count = *room != 0 ? 2 * *room : 1;
    if (row->size_max != 0 && *room >= row->size_max) {
        return CMDS_E_LIMIT;
    }
    uint8_t *items = list_room(reader, row->item_size, count);
    if (items == NULL) {
        return CMDS_E_LIMIT;
    }
    if (array->count > 0) {
        memcpy(items, array->items, array->count * row->item_size);
    }
    array->items = items;
    *room = count;
    return 0;
}

/* *room: elements for which room was taken; 0: they were not counted. */
static int array_open(
        struct reader *reader, const struct cmds_field *row, struct cmdi_array *array, size_t *room)
{
    bool nests = row->kind == CMDS_KIND_STRUCT; // Others have no list inside that is counted again.
    if (nests && reader->ahead_left == 0) {
        return cmdi_json_open(&reader->scan);
    }
    int code = open_list(reader, row->item_size, row->size_max, array);
    *room = array->count;
    array->count = 0;
    if (nests) {
        size_t left = reader->ahead_left;
        reader->ahead_left = left > reader->scanned ? left - reader->scanned : 0;
    }
    return code;
}

static __attribute__((noinline)) int read_array(
        struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    if (row->kind == CMDS_KIND_U8) {
        struct cmds_bytes bytes = {0};
        int code = read_bytes(reader, row->size_max, &bytes);
        CMDI_STORE(struct cmds_bytes, to, bytes);
        return code;
    }
    struct cmdi_array array = {0};
    size_t room = 0;
    if (*reader->scan.at != '[') {
        return CMDS_E_PROTO;
    }
    int code = array_open(reader, row, &array, &room);
    int more = code < 0 ? code : cmdi_json_next(&reader->scan, ']', true);
    while (more > 0) {
        if (CMDI_UNLIKELY(array.count == room)) {
            code = array_grow(reader, row, &array, &room);
        }
        if (code == 0) {
            uint8_t *item = (uint8_t *)array.items + array.count * row->item_size;
            code = *reader->scan.at == 'n' ? cmdi_json_take_null(&reader->scan)
                                           : read_item(reader, row, item, 0);
            array.count++;
        }
        more = code < 0 ? code : cmdi_json_next(&reader->scan, ']', false);
    }
    CMDI_STORE(struct cmdi_array, to, array);
    return more;
}

/* null empties what may be empty in Go, and leaves the rest as it is. */
static __attribute__((noinline)) int read_null(
        struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    int code = cmdi_json_take_null(&reader->scan);
    bool empties = row->shape != CMDS_SHAPE_ONE || row->kind == CMDS_KIND_MAP ||
                   row->kind == CMDS_KIND_BYTES;
    if (row->shape == CMDS_SHAPE_OPTIONAL && !CMDI_LOAD(bool, to)) {
        empties = false; // It is empty, and zero: our own encoding says so of every absent one.
    }
    return code == 0 && empties ? cmdi_work_clear(&reader->work, row, to) : code;
}

static int read_field(struct reader *reader, const struct cmds_field *row, uint8_t *value)
{
    uint8_t *to = value + row->offset;
    uint8_t first = cmdi_json_peek(&reader->scan);
    if (CMDI_UNLIKELY(first == 'n')) {
        return read_null(reader, row, to);
    }
    if (CMDI_UNLIKELY(first == 0)) {
        return CMDS_E_PROTO;
    }
    if (CMDI_LIKELY(row->shape == CMDS_SHAPE_ONE)) {
        return read_item(reader, row, to, row->size_max);
    }
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return read_array(reader, row, to);
    }
    CMDI_STORE(bool, to, true);
    return read_item(reader, row, to + row->item_offset, row->size_max);
}

/* Another one than the next. Returns: NULL: there is none; or reader->code says why not. */
static const struct cmds_field *find_row(
        struct reader *reader, const struct cmds_schema *schema, const struct cmdi_json_text *name)
{
    const struct cmds_field *row = NULL;
    reader->code = cmdi_json_find_row(&reader->work, schema, name, &row);
    return row;
}

/*
 * Peers send fields in order, so the row after the last one that was found is nearly always right.
 * Returns: NULL: it is not.
 */
static CMDI_INLINED const struct cmds_field *next_row(
        const struct cmds_schema *schema, const struct cmdi_json_text *name, uint32_t index)
{
    if (CMDI_UNLIKELY(index >= schema->field_count || name->changed)) {
        return NULL; // What changes is not what stands there.
    }
    const struct cmds_field *row = cmds_schema_field(schema, index);
    return CMDI_LIKELY(cmdi_row_is_named(row, name->from, name->size)) ? row : NULL;
}

/*
 * The same before the name was looked at: if it is a short one without escapes and stands there with nothing
 * in between, the colon is passed with it. Returns: NULL: it is not so.
 */
static CMDI_INLINED const struct cmds_field *take_next_row(
        struct reader *reader, const struct cmds_schema *schema, uint32_t index)
{
    const uint8_t *at = reader->scan.at + 1; // Behind the quote, if it is one.
    if (CMDI_UNLIKELY(index >= schema->field_count || reader->scan.end - at < CMDI_JSON_BLOCK + 2 ||
                      at[-1] != '"')) {
        return NULL;
    }
    const struct cmds_field *row = cmds_schema_field(schema, index);
    unsigned size = cmdi_block_first(cmdi_json_specials(at));
    if (size == 0 || size != row->name_size || row->kind == CMDS_KIND_RESERVED ||
            size == CMDI_JSON_BLOCK || at[size] != '"' || at[size + 1] != ':' ||
            !cmdi_short_is_same(at, row->name, size)) {
        return NULL;
    }
    reader->scan.at = at + size + 2;
    return row;
}

static uint32_t row_index(const struct cmds_schema *schema, const struct cmds_field *row)
{
    size_t distance = (size_t)((const char *)row - (const char *)schema->fields);
    return (uint32_t)(distance / schema->field_stride);
}

/*
 * Any name and its colon. *index: of the row behind the expected one; it becomes that of the row behind the
 * one that was found. Returns: NULL: none has this name; or reader->code says why not.
 */
static __attribute__((noinline)) const struct cmds_field *take_other_row(
        struct reader *reader, const struct cmds_schema *schema, uint32_t *index)
{
    struct cmdi_json_text name;
    reader->code = cmdi_json_take_text(&reader->scan, &name);
    reader->code = reader->code < 0 ? reader->code : cmdi_json_take(&reader->scan, ':');
    if (CMDI_UNLIKELY(reader->code < 0)) {
        return NULL;
    }
    const struct cmds_field *row = next_row(schema, &name, *index - 1);
    if (row == NULL) {
        row = find_row(reader, schema, &name);
        *index = row != NULL ? row_index(schema, row) + 1 : *index - 1;
    }
    return row;
}

static int read_struct(struct reader *reader, const struct cmds_schema *schema, uint8_t *value)
{
    if (*reader->scan.at != '{') {
        return CMDS_E_PROTO;
    }
    int code = cmdi_json_open(&reader->scan);
    int more = code < 0 ? code : cmdi_json_next(&reader->scan, '}', true);
    uint32_t index = 0;
    while (more > 0) {
        const struct cmds_field *row = take_next_row(reader, schema, index);
        index++;
        if (CMDI_UNLIKELY(row == NULL)) {
            row = take_other_row(reader, schema, &index);
            if (reader->code < 0) {
                return reader->code;
            }
        }
        int64_t used = row != NULL ? read_field(reader, row, value) : cmdi_json_skip(&reader->scan);
        more = used < 0 ? (int)used : cmdi_json_next(&reader->scan, '}', false);
    }
    return more;
}
