/* SPDX-License-Identifier: MIT */
/*
 * JSON becomes a value, where it lies: no tree is built, and text without escapes points into the input.
 *
 * The walk goes along the schema, so it recurses no deeper than the schema does; what nobody asked for is skipped by a loop
 * that checks its grammar all the same. An array's room doubles, so what hostile input can make us take is at most twice
 * what it is worth, and the arena bounds it. No state, any thread.
 */
#include "common/utf8.h"
#include "common/value.h"
#include "json/json.h"

enum {
    LIST_COUNT_FIRST = 4, // Elements of the first room for an array.
};

struct reader {
    const uint8_t *at, *end;
    struct cmds_arena *arena;
    unsigned depth; // Containers that are open.
};

/* --- Tokens -------------------------------------------------------------------------------------------------------- */

/* The next byte that is no space; 0, which begins nothing in JSON, at the end. */
static inline uint8_t peek(struct reader *reader)
{
    while (reader->at < reader->end) {
        uint8_t byte = *reader->at;
        if (__builtin_expect(byte > ' ', 1)) {
            return byte;
        }
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') {
            return 0;
        }
        reader->at++;
    }
    return 0;
}

static inline int take(struct reader *reader, uint8_t byte)
{
    if (peek(reader) != byte) {
        return CMDS_E_PROTO;
    }
    reader->at++;
    return 0;
}

static int take_word(struct reader *reader, const char *word, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) {
        return CMDS_E_PROTO;
    }
    reader->at += size;
    return 0;
}

static int take_null(struct reader *reader)
{
    return take_word(reader, "null", 4);
}

static int open_container(struct reader *reader)
{
    reader->at++;
    return ++reader->depth > CMDI_DEPTH_MAX ? CMDS_E_LIMIT : 0;
}

/*
 * In a container, behind `count` of its elements: 1: another one follows, `at` is where it begins; 0: the container is
 * closed; CMDS_E_PROTO.
 */
static int next_element(struct reader *reader, uint8_t close, size_t count)
{
    uint8_t byte = peek(reader);
    if (byte == close) {
        reader->at++;
        reader->depth--;
        return 0;
    }
    if (count == 0) {
        return byte != 0 ? 1 : CMDS_E_PROTO;
    }
    if (byte != ',') {
        return CMDS_E_PROTO;
    }
    reader->at++;
    byte = peek(reader);
    return byte != 0 && byte != close ? 1 : CMDS_E_PROTO;
}

static inline bool is_digit(const struct reader *reader)
{
    return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

static bool take_digits(struct reader *reader)
{
    const uint8_t *from = reader->at;
    while (is_digit(reader)) {
        reader->at++;
    }
    return reader->at > from;
}

/* A number by the grammar. *integer: it has neither a fraction nor an exponent. */
static int take_number(struct reader *reader, bool *integer)
{
    *integer = true;
    (void)peek(reader);
    reader->at += reader->at < reader->end && *reader->at == '-';
    const uint8_t *first = reader->at;
    if (!take_digits(reader) || (*first == '0' && reader->at - first > 1)) {
        return CMDS_E_PROTO;
    }
    if (reader->at < reader->end && *reader->at == '.') {
        *integer = false;
        reader->at++;
        if (!take_digits(reader)) {
            return CMDS_E_PROTO;
        }
    }
    if (reader->at < reader->end && (*reader->at | 0x20) == 'e') {
        *integer = false;
        reader->at++;
        reader->at += reader->at < reader->end && (*reader->at == '+' || *reader->at == '-');
        if (!take_digits(reader)) {
            return CMDS_E_PROTO;
        }
    }
    return 0;
}

/* --- Text ---------------------------------------------------------------------------------------------------------- */

typedef uint8_t block __attribute__((vector_size(16)));

/* The end of the bytes from `at` on that stand for themselves: ASCII, no quote, no backslash, no control character. */
static inline const uint8_t *plain_end(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= (ptrdiff_t)sizeof(block)) {
        block bytes;
        uint64_t halves[2];
        memcpy(&bytes, at, sizeof(bytes));
        block found = (block)(bytes < 0x20) | (block)(bytes > 0x7f) | (block)(bytes == '"') |
                      (block)(bytes == '\\');
        memcpy(halves, &found, sizeof(halves));
        if ((halves[0] | halves[1]) != 0) {
            break;
        }
        at += sizeof(block);
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* Text that is not all plain, being decoded or, without `out`, only measured. */
struct text {
    const uint8_t *at, *end;
    uint8_t *out;
    size_t size;
    bool changed; // The decoded text is not the bytes of the input.
};

static void text_add(struct text *text, const void *data, size_t size)
{
    if (text->out != NULL) {
        memcpy(text->out + text->size, data, size);
    }
    text->size += size;
}

static void text_add_rune(struct text *text, uint32_t rune)
{
    uint8_t bytes[4];
    size_t size = 1u + (rune >= 0x80) + (rune >= 0x800) + (rune >= 0x10000);
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        bytes[i] = (uint8_t)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    bytes[0] = (uint8_t)(leads[size] | rune);
    text_add(text, bytes, size);
    text->changed = true;
}

/* Four hex digits at `at`. Returns: -1 if they are none. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t letter = at[i] | 0x20;
        if (at[i] >= '0' && at[i] <= '9') {
            value = value << 4 | (at[i] - '0');
        } else if (letter >= 'a' && letter <= 'f') {
            value = value << 4 | (letter - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

/* \uXXXX, `at` behind the u. Two that are a surrogate pair are one character; half a pair is none. */
static int text_unicode(struct text *text)
{
    int32_t first = hex4(text->at, text->end);
    if (first < 0) {
        return CMDS_E_PROTO;
    }
    text->at += 4;
    if (first < 0xd800 || first > 0xdfff) {
        text_add_rune(text, (uint32_t)first);
        return 0;
    }
    bool follows = text->end - text->at >= 6 && text->at[0] == '\\' && text->at[1] == 'u';
    int32_t second = follows ? hex4(text->at + 2, text->end) : -1;
    if (first < 0xdc00 && second >= 0xdc00 && second <= 0xdfff) {
        text->at += 6;
        text_add_rune(
                text, 0x10000u + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00));
    } else {
        text_add_rune(text, 0xfffd);
    }
    return 0;
}

static int text_escape(struct text *text)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (text->end - text->at < 2) {
        return CMDS_E_PROTO;
    }
    char letter = (char)text->at[1];
    text->at += 2;
    if (letter == 'u') {
        return text_unicode(text);
    }
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found == NULL) {
        return CMDS_E_PROTO;
    }
    text_add(text, &meanings[found - letters], 1);
    text->changed = true;
    return 0;
}

/* To the closing quote, which `at` then stands on. */
static int text_walk(struct text *text)
{
    for (;;) {
        const uint8_t *plain = plain_end(text->at, text->end);
        text_add(text, text->at, (size_t)(plain - text->at));
        text->at = plain;
        if (plain == text->end || *plain < 0x20) {
            return CMDS_E_PROTO;
        }
        if (*plain == '"') {
            return 0;
        }
        if (*plain == '\\') {
            int error = text_escape(text);
            if (error < 0) {
                return error;
            }
            continue;
        }
        unsigned size = cmdi_utf8_size(plain, text->end);
        if (size == 0) {
            text_add_rune(text, 0xfffd);
        } else {
            text_add(text, plain, size);
        }
        text->at += size > 0 ? size : 1;
    }
}

static int string_slow(struct reader *reader, const uint8_t *from, struct cmds_bytes *string)
{
    struct text text = {.at = from, .end = reader->end};
    int error = text_walk(&text);
    if (error < 0) {
        return error;
    }
    reader->at = text.at + 1;
    *string = (struct cmds_bytes){from, text.size};
    if (!text.changed) {
        return 0;
    }
    struct text copy = {.at = from, .end = reader->end};
    copy.out = cmds_arena_alloc(reader->arena, text.size, 1);
    if (copy.out == NULL) {
        return CMDS_E_LIMIT;
    }
    string->data = copy.out;
    return text_walk(&copy);
}

static inline int read_string(struct reader *reader, struct cmds_bytes *string)
{
    if (CMDI_RARELY(peek(reader) != '"')) {
        return CMDS_E_PROTO;
    }
    const uint8_t *from = reader->at + 1;
    const uint8_t *end = plain_end(from, reader->end);
    if (CMDI_RARELY(end == reader->end || *end != '"')) {
        return string_slow(reader, from, string);
    }
    *string = (struct cmds_bytes){from, (size_t)(end - from)};
    reader->at = end + 1;
    return 0;
}

/* --- What nobody asked for ----------------------------------------------------------------------------------------- */

static int skip_string(struct reader *reader)
{
    struct text text = {.at = reader->at + 1, .end = reader->end};
    int error = text_walk(&text);
    reader->at = text.at + 1; // Not looked at after an error.
    return error;
}

static int skip_scalar(struct reader *reader, uint8_t first)
{
    bool integer;
    switch (first) {
    case '"':
        return skip_string(reader);
    case 't':
        return take_word(reader, "true", 4);
    case 'f':
        return take_word(reader, "false", 5);
    case 'n':
        return take_null(reader);
    default:
        return take_number(reader, &integer);
    }
}

static int skip_name(struct reader *reader)
{
    if (peek(reader) != '"') {
        return CMDS_E_PROTO;
    }
    int error = skip_string(reader);
    return error < 0 ? error : take(reader, ':');
}

static int skip_value(struct reader *reader)
{
    unsigned floor = reader->depth;
    uint64_t objects =
            0; // A bit for each open container: is it an object? The innermost is the lowest.
    _Static_assert(CMDI_DEPTH_MAX < 64, "a bit for each level");
    size_t count =
            0; // Of the elements of the innermost container, as far as it matters: none or some.
    for (;;) {
        uint8_t first = peek(reader);
        int error;
        if (first == '{' || first == '[') {
            error = open_container(reader);
            objects = objects << 1 | (first == '{');
            count = 0;
        } else {
            error = skip_scalar(reader, first);
            count = 1;
        }
        if (error < 0) {
            return error;
        }
        for (;;) {
            if (reader->depth == floor) {
                return 0;
            }
            bool object = (objects & 1) != 0;
            int more = next_element(reader, object ? '}' : ']', count);
            error = more > 0 && object ? skip_name(reader) : more;
            if (error < 0) {
                return error;
            }
            if (more > 0) {
                break;
            }
            objects >>= 1;
            count = 1;
        }
    }
}

/* --- Scalars ------------------------------------------------------------------------------------------------------- */

static int read_bool(struct reader *reader, uint8_t *to)
{
    bool value = *reader->at == 't';
    int error = value ? take_word(reader, "true", 4) : take_word(reader, "false", 5);
    if (error == 0) {
        CMDI_STORE(bool, to, value);
    }
    return error;
}

static int read_integer(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    const uint8_t *from = reader->at;
    bool integer, negative = *from == '-';
    int error = take_number(reader, &integer);
    if (error < 0 || !integer) {
        return CMDS_E_PROTO;
    }
    uint64_t value = 0;
    for (const uint8_t *at = from + negative; at < reader->at; at++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return CMDS_E_PROTO;
        }
    }
    if (cmdi_kind_is_signed(row->kind)) {
        if (value > (uint64_t)INT64_MAX + negative) {
            return CMDS_E_PROTO;
        }
        value = negative ? 0 - value : value;
    } else if (negative) {
        return CMDS_E_PROTO;
    }
    return cmdi_integer_store(row->kind, to, value);
}

static int read_float(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    const char *from = (const char *)reader->at;
    bool integer;
    int error = take_number(reader, &integer);
    if (error < 0) {
        return error;
    }
    size_t size = (size_t)((const char *)reader->at - from);
    if (row->kind == CMDS_KIND_F32) {
        float value = 0;
        error = cmdi_json_parse_f32(from, size, &value);
        memcpy(to, &value, sizeof(value));
    } else {
        double value = 0;
        error = cmdi_json_parse_f64(from, size, &value);
        memcpy(to, &value, sizeof(value));
    }
    return error;
}

/* --- Bytes --------------------------------------------------------------------------------------------------------- */

static int32_t base64_value(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Standard alphabet, with padding; line ends inside are skipped, as Go does. */
static int base64_decode(struct cmds_bytes text, uint8_t *out, size_t *out_size)
{
    const uint8_t *in = text.data;
    uint32_t bits = 0;
    size_t digits = 0, padding = 0, size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (in[i] == '\n' || in[i] == '\r') {
            continue;
        }
        bool pads = in[i] == '=';
        int32_t value = pads ? 0 : base64_value(in[i]);
        bool over = padding > 0 && (!pads || digits % 4 == 0); // Padding ends it.
        if (value < 0 || over || (pads && digits % 4 < 2)) {
            return CMDS_E_PROTO;
        }
        padding += pads;
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4 == 0) {
            uint8_t three[] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
            memcpy(out + size, three, 3 - padding);
            size += 3 - padding;
        }
    }
    *out_size = size;
    return digits % 4 == 0 ? 0 : CMDS_E_PROTO;
}

/* A list that grows: its newest room and how many elements that holds. */
struct list {
    uint8_t *items;
    size_t count, room;
};

/* Zeroed room for one more element. NULL: the row's limit, or the arena's. */
static uint8_t *list_add(
        struct reader *reader, struct list *list, size_t item_size, uint32_t count_max)
{
    if (count_max != 0 && list->count >= count_max) {
        return NULL;
    }
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : LIST_COUNT_FIRST, size;
        if (__builtin_mul_overflow(room, item_size, &size)) {
            return NULL;
        }
        uint8_t *items = cmds_arena_alloc(reader->arena, size, _Alignof(max_align_t));
        if (items == NULL) {
            return NULL;
        }
        if (list->count > 0) {
            memcpy(items, list->items, list->count * item_size);
        }
        list->items = items;
        list->room = room;
    }
    uint8_t *item = list->items + list->count++ * item_size;
    memset(item, 0, item_size);
    return item;
}

static const struct cmds_field byte_row = {.kind = CMDS_KIND_U8, .item_size = 1};

/* An array of numbers, as uint8_t[N] is written and []byte may be. */
static int read_numbers(struct reader *reader, struct list *list, uint32_t count_max)
{
    int error = open_container(reader);
    for (size_t i = 0; error == 0; i++) {
        int more = next_element(reader, ']', i);
        if (more <= 0) {
            return more;
        }
        uint8_t *item = list_add(reader, list, 1, count_max);
        if (item == NULL) {
            return CMDS_E_LIMIT;
        }
        error = *reader->at == 'n' ? take_null(reader) : read_integer(reader, &byte_row, item);
    }
    return error;
}

static int read_bytes(struct reader *reader, uint32_t size_max, struct cmds_bytes *bytes)
{
    if (peek(reader) == '[') {
        struct list list = {0};
        int error = read_numbers(reader, &list, size_max);
        *bytes = (struct cmds_bytes){list.items, list.count};
        return error;
    }
    struct cmds_bytes text = {0};
    int error = read_string(reader, &text);
    if (error < 0) {
        return error;
    }
    uint8_t *out = cmds_arena_alloc(reader->arena, text.size / 4 * 3 + 3, 1);
    if (out == NULL) {
        return CMDS_E_LIMIT;
    }
    bytes->data = out;
    error = base64_decode(text, out, &bytes->size);
    return error == 0 && size_max != 0 && bytes->size > size_max ? CMDS_E_LIMIT : error;
}

static int read_blob(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    if (*reader->at != '[') {
        return CMDS_E_PROTO;
    }
    int error = open_container(reader);
    for (size_t i = 0; error == 0; i++) {
        int more = next_element(reader, ']', i);
        if (more == 0) {
            return i == row->item_size ? 0 : CMDS_E_PROTO;
        }
        if (more < 0 || i == row->item_size) {
            return CMDS_E_PROTO;
        }
        error = read_integer(reader, &byte_row, to + i);
    }
    return error;
}

/* --- Maps and structs ---------------------------------------------------------------------------------------------- */

static int read_pair(struct reader *reader, struct cmds_pair *pair)
{
    struct cmds_bytes key = {0}, value = {"", 0};
    int error = read_string(reader, &key);
    error = error < 0 ? error : take(reader, ':');
    if (error < 0) {
        return error;
    }
    error = peek(reader) == 'n' ? take_null(reader) : read_string(reader, &value);
    pair->key = (struct cmds_string){key.data, key.size};
    pair->value = (struct cmds_string){value.data, value.size};
    return error;
}

static int read_map(struct reader *reader, uint8_t *to, uint32_t count_max)
{
    struct list list = {0};
    if (*reader->at != '{') {
        return CMDS_E_PROTO;
    }
    int error = open_container(reader);
    int more = error < 0 ? error : next_element(reader, '}', 0);
    while (more > 0) {
        uint8_t *item = list_add(reader, &list, sizeof(struct cmds_pair), count_max);
        if (item == NULL) {
            return CMDS_E_LIMIT;
        }
        struct cmds_pair pair = {0};
        error = read_pair(reader, &pair);
        memcpy(item, &pair, sizeof(pair));
        more = error < 0 ? error : next_element(reader, '}', list.count);
    }
    struct cmdi_array array = {list.items, list.count};
    memcpy(to, &array, sizeof(array));
    return more;
}

static int read_struct(struct reader *reader, const struct cmds_schema *schema, uint8_t *value);

/* `at` is on the value's first byte, and that is not null's. */
static int read_item(
        struct reader *reader, const struct cmds_field *row, uint8_t *to, uint32_t row_max)
{
    struct cmds_bytes bytes = {0};
    int error;
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        return read_bool(reader, to);
    case CMDS_KIND_F32:
    case CMDS_KIND_F64:
        return read_float(reader, row, to);
    case CMDS_KIND_STRING:
        error = read_string(reader, &bytes);
        if (error == 0 && row_max != 0 && bytes.size > row_max) {
            return CMDS_E_LIMIT;
        }
        memcpy(to, &bytes, sizeof(bytes));
        return error;
    case CMDS_KIND_BYTES:
        error = read_bytes(reader, row_max, &bytes);
        memcpy(to, &bytes, sizeof(bytes));
        return error;
    case CMDS_KIND_TEXT:
        error = read_string(reader, &bytes);
        return error < 0 ? error : cmdi_text_store(row, to, bytes, row_max);
    case CMDS_KIND_MAP:
        return read_map(reader, to, row_max);
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
    if (row->kind == CMDS_KIND_U8) {
        struct cmds_bytes bytes = {0};
        int error = read_bytes(reader, row->size_max, &bytes);
        memcpy(to, &bytes, sizeof(bytes));
        return error;
    }
    if (*reader->at != '[') {
        return CMDS_E_PROTO;
    }
    struct list list = {0};
    int error = open_container(reader);
    int more = error < 0 ? error : next_element(reader, ']', 0);
    while (more > 0) {
        uint8_t *item = list_add(reader, &list, row->item_size, row->size_max);
        if (item == NULL) {
            return CMDS_E_LIMIT;
        }
        error = *reader->at == 'n' ? take_null(reader) : read_item(reader, row, item, 0);
        more = error < 0 ? error : next_element(reader, ']', list.count);
    }
    array = (struct cmdi_array){list.items, list.count};
    memcpy(to, &array, sizeof(array));
    return more;
}

/* null empties what may be empty in Go, and leaves the rest as it is. */
static int read_null(struct reader *reader, const struct cmds_field *row, uint8_t *to)
{
    int error = take_null(reader);
    bool empties = row->shape != CMDS_SHAPE_ONE || row->kind == CMDS_KIND_MAP ||
                   row->kind == CMDS_KIND_BYTES;
    if (error == 0 && empties) {
        memset(to, 0, row->size);
    }
    return error;
}

static int read_field(struct reader *reader, const struct cmds_field *row, uint8_t *value)
{
    uint8_t *to = value + row->offset;
    uint8_t first = peek(reader);
    if (CMDI_RARELY(first == 'n')) {
        return read_null(reader, row, to);
    }
    if (CMDI_RARELY(first == 0)) {
        return CMDS_E_PROTO;
    }
    if (__builtin_expect(row->shape == CMDS_SHAPE_ONE, 1)) {
        return read_item(reader, row, to, row->size_max);
    }
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return read_array(reader, row, to);
    }
    if (*to == 0) {
        memset(to, 0, row->size); // An earlier value that a null has taken back.
        CMDI_STORE(bool, to, true);
    }
    return read_item(reader, row, to + row->item_offset, row->size_max);
}

/* --- Names --------------------------------------------------------------------------------------------------------- */

/* The next character of a name without its case: ASCII, and the two others that fold to it. */
static uint32_t fold(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;
    if (end - from >= 2 && from[0] == 0xc5 && from[1] == 0xbf) { // U+017F, the long s.
        *at += 2;
        return 's';
    }
    if (end - from >= 3 && from[0] == 0xe2 && from[1] == 0x84 &&
            from[2] == 0xaa) { // U+212A, kelvin.
        *at += 3;
        return 'k';
    }
    *at += 1;
    return *from >= 'A' && *from <= 'Z' ? *from | 0x20u : *from;
}

static bool names_fold_equal(const char *name, struct cmds_bytes key)
{
    const uint8_t *a = (const uint8_t *)name, *a_end = a + strlen(name);
    const uint8_t *b = key.data, *b_end = b + key.size;
    while (a < a_end && b < b_end) {
        if (fold(&a, a_end) != fold(&b, b_end)) {
            return false;
        }
    }
    return a == a_end && b == b_end;
}

static inline bool name_is(const struct cmds_field *row, struct cmds_bytes key)
{
    return row->kind != CMDS_KIND_RESERVED && strlen(row->name) == key.size &&
           memcmp(row->name, key.data, key.size) == 0;
}

static const struct cmds_field *find_row(const struct cmds_schema *schema, struct cmds_bytes key)
{
    const struct cmds_field *row = schema->fields;
    for (uint32_t i = 0; i < schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (name_is(row, key)) {
            return row;
        }
    }
    row = schema->fields;
    for (uint32_t i = 0; i < schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (row->kind != CMDS_KIND_RESERVED && names_fold_equal(row->name, key)) {
            return row;
        }
    }
    return NULL;
}

static int read_struct(struct reader *reader, const struct cmds_schema *schema, uint8_t *value)
{
    if (*reader->at != '{') {
        return CMDS_E_PROTO;
    }
    int error = open_container(reader);
    int more = error < 0 ? error : next_element(reader, '}', 0);
    uint32_t guess =
            0; // Peers send fields in order, so the row after the last one is nearly always right.
    while (more > 0) {
        struct cmds_bytes key = {0};
        error = read_string(reader, &key);
        error = error < 0 ? error : take(reader, ':');
        if (error < 0) {
            return error;
        }
        const struct cmds_field *row =
                guess < schema->field_count ? cmds_schema_field(schema, guess) : NULL;
        guess++;
        if (CMDI_RARELY(row == NULL || !name_is(row, key))) {
            row = find_row(schema, key);
            guess = row != NULL ? (uint32_t)(((const char *)row - (const char *)schema->fields) /
                                             schema->field_stride) +
                                          1
                                : guess;
        }
        error = row != NULL ? read_field(reader, row, value) : skip_value(reader);
        more = error < 0 ? error : next_element(reader, '}', 1);
    }
    return more;
}

int64_t cmdi_json_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value)
{
    static const uint8_t nothing[1];
    const uint8_t *begin = in.data != NULL ? in.data : nothing;
    struct reader reader = {begin, begin + in.size, arena, 0};
    uint8_t first = peek(&reader);
    if (first == 0) {
        return CMDS_E_PROTO;
    }
    int error = first == 'n' ? take_null(&reader) : read_struct(&reader, schema, value);
    if (error < 0) {
        return error;
    }
    (void)peek(&reader);
    return reader.at == reader.end ? (int64_t)in.size : CMDS_E_PROTO;
}
