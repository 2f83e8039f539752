/* SPDX-License-Identifier: MIT */
/*
 * See json.h. The text is walked once, by the schema: so it can be as deep as the schema and no deeper,
 * and an error is found where it stands.
 */
#include "json.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmdstream/codec.h>

#include "options.h"

enum {
    READ_ITEMS_FIRST = 4,
    READ_NAMES_MAX = 12, // That a sentence lists.
};

/* Where the value that is being read is to go: a path of these leads to the type. */
struct read_place {
    const struct read_place *up;
    const char *name; // NULL: an element.
    size_t index;
};
struct reader {
    struct tool_scan scan;
    const char *value_at; // Where the value that is judged begins.
};

/* --- Sentences -------------------------------------------------------------------------------- */

static void read_say_path(struct reader *reader, const struct read_place *place)
{
    char *text = reader->scan.text;
    if (place->up != NULL) {
        read_say_path(reader, place->up);
    } else {
        text[0] = '\0';
    }
    size_t used = strlen(text);
    if (place->name == NULL) {
        snprintf(text + used, TOOL_JSON_TEXT_SIZE - used, "[%zu]", place->index);
    } else {
        snprintf(text + used, TOOL_JSON_TEXT_SIZE - used, "%s%.100s", place->up != NULL ? "." : "",
                place->name);
    }
}

/* "order.items[3].price takes 0 to 255, not 256, at column 41". */
__attribute__((format(printf, 3, 4))) static int read_refuse(
        struct reader *reader, const struct read_place *place, const char *format, ...)
{
    char *text = reader->scan.text;
    read_say_path(reader, place);
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, TOOL_JSON_TEXT_SIZE - used, format, arguments);
    va_end(arguments);
    cmdi_tool_scan_say_place(&reader->scan, reader->value_at);
    return -EINVAL;
}

static int read_no_memory(struct reader *reader, const struct read_place *place)
{
    (void)read_refuse(reader, place, ": no memory for so much");
    return -ENOMEM;
}

/* The next value is of another kind, or none at all. */
static int read_expected(
        struct reader *reader, const struct read_place *place, const char *expected)
{
    enum tool_json_kind kind = cmdi_tool_scan_peek(&reader->scan);
    reader->value_at = reader->scan.at;
    if (kind == TOOL_JSON_NONE) {
        return cmdi_tool_scan_fail(&reader->scan, "a value is missing");
    }
    return read_refuse(
            reader, place, " takes %s, not %s", expected, cmdi_tool_json_kind_word(kind));
}

/* --- Numbers ---------------------------------------------------------------------------------- */

/* Kinds stand in the order i8..i64, u8..u64. */
static bool read_is_integer_kind(uint8_t kind)
{
    return kind >= CMDS_KIND_I8 && kind <= CMDS_KIND_U64;
}

static void read_store_integer(void *target, uint64_t bits, uint32_t size)
{
    switch (size) {
    case 1:
        memcpy(target, &(uint8_t){(uint8_t)bits}, 1);
        break;
    case 2:
        memcpy(target, &(uint16_t){(uint16_t)bits}, 2);
        break;
    case 4:
        memcpy(target, &(uint32_t){(uint32_t)bits}, 4);
        break;
    default:
        memcpy(target, &bits, sizeof(bits));
        break;
    }
}

/* `bits`, as far as the field is wide. */
static int read_integer(struct reader *reader, const struct read_place *place, bool is_signed,
        uint32_t size, void *target)
{
    char number[TOOL_JSON_NUMBER_MAX + 1];
    if (cmdi_tool_scan_peek(&reader->scan) != TOOL_JSON_INTEGER) {
        return read_expected(reader, place, "an integer");
    }
    reader->value_at = reader->scan.at;
    int code = cmdi_tool_scan_number(&reader->scan, number);
    if (code < 0) {
        return code;
    }
    bool negative = number[0] == '-';
    errno = 0;
    uint64_t amount = strtoull(number + negative, NULL, 10);
    uint32_t bits = size * 8 - is_signed;
    uint64_t max = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    uint64_t most = negative ? (is_signed ? max + 1 : 0) : max;
    if (errno != 0 || amount > most) {
        return is_signed
                       ? read_refuse(reader, place, " takes -%" PRIu64 " to %" PRIu64 ", not %.40s",
                                 max + 1, max, number)
                       : read_refuse(
                                 reader, place, " takes 0 to %" PRIu64 ", not %.40s", max, number);
    }
    read_store_integer(target, negative ? -amount : amount, size);
    return 0;
}

/* What JSON has no number for, by the name that Protobuf's JSON has for it. */
static bool read_number_name(struct cmds_string string, double *number)
{
    static const struct {
        struct cmds_string name;
        double value;
    } names[] = {{CMDS_STRING("NaN"), (double)NAN}, {CMDS_STRING("Infinity"), (double)INFINITY},
            {CMDS_STRING("-Infinity"), -(double)INFINITY}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (cmds_string_equal(names[i].name, string)) {
            *number = names[i].value;
            return true;
        }
    }
    return false;
}

static int read_double(struct reader *reader, const struct read_place *place, double *number)
{
    static const char expected[] = "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    enum tool_json_kind kind = cmdi_tool_scan_peek(&reader->scan);
    reader->value_at = reader->scan.at;
    if (kind == TOOL_JSON_STRING) {
        struct cmds_string string = {0};
        int code = cmdi_tool_scan_string(&reader->scan, &string);
        return code < 0 ? code
               : read_number_name(string, number)
                       ? 0
                       : read_refuse(reader, place, " takes %s, not a string", expected);
    }
    char text[TOOL_JSON_NUMBER_MAX + 1];
    if (kind != TOOL_JSON_INTEGER && kind != TOOL_JSON_REAL) {
        return read_expected(reader, place, expected);
    }
    int code = cmdi_tool_scan_number(&reader->scan, text);
    *number = code < 0 ? 0 : strtod(text, NULL);
    return code < 0 || isfinite(*number)
                   ? code
                   : read_refuse(
                             reader, place, " takes a float of 64 bits, and %.40s is none", text);
}

static int read_float(
        struct reader *reader, const struct read_place *place, uint8_t kind, void *target)
{
    double number = 0;
    int code = read_double(reader, place, &number);
    if (code < 0) {
        return code;
    }
    if (kind == CMDS_KIND_F64) {
        *(double *)target = number;
        return 0;
    }
    if (isfinite(number) && fabs(number) > (double)FLT_MAX) {
        return read_refuse(reader, place, " takes a float of 32 bits, and %g is none", number);
    }
    *(float *)target = (float)number;
    return 0;
}

/* --- Text and bytes --------------------------------------------------------------------------- */

static int read_within(struct reader *reader, const struct read_place *place, size_t size,
        size_t size_max, const char *unit)
{
    if (size_max == 0 || size <= size_max) {
        return 0;
    }
    return read_refuse(reader, place, " takes at most %zu %s, not %zu", size_max, unit, size);
}

static int read_string(struct reader *reader, const struct read_place *place, const char *expected,
        struct cmds_string *string)
{
    if (cmdi_tool_scan_peek(&reader->scan) != TOOL_JSON_STRING) {
        return read_expected(reader, place, expected);
    }
    reader->value_at = reader->scan.at;
    return cmdi_tool_scan_string(&reader->scan, string);
}

/* char[N]: `target` is zeroed, and so the text ends. */
static int read_text(
        struct reader *reader, const struct read_place *place, size_t size, void *target)
{
    struct cmds_string string = {0};
    int code = read_string(reader, place, "a string", &string);
    if (code == 0 && string.size >= size) {
        return read_refuse(
                reader, place, " takes at most %zu bytes, not %zu", size - 1, string.size);
    }
    if (code == 0 && memchr(string.data, '\0', string.size) != NULL) {
        return read_refuse(reader, place, " takes no \\u0000: it ends there");
    }
    if (code == 0) {
        memcpy(target, string.data, string.size);
    }
    return code;
}

static int read_base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* In place: it gets shorter. Returns: false: it is no base64 with its padding. */
static bool read_base64(struct cmds_string string, struct cmds_bytes *bytes)
{
    uint8_t *out = (uint8_t *)(uintptr_t)string.data; // Of our own memory.
    size_t size = string.size;
    bytes->data = out;
    for (int padding = 0; padding < 2 && size > 0 && string.data[size - 1] == '='; padding++) {
        size--;
    }
    if (string.size % 4 != 0) {
        return false;
    }
    uint32_t word = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = read_base64_digit(string.data[i]);
        if (digit < 0) {
            return false;
        }
        word = word << 6 | (uint32_t)digit;
        if (i % 4 != 0) {
            *out++ = (uint8_t)(word >> (6 - 2 * (i % 4)));
        }
    }
    bytes->size = (size_t)(out - (const uint8_t *)bytes->data);
    return true;
}

static int read_items(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, struct cmds_bytes *items);

/* The two forms of bytes: base64, and numbers. */
static int read_bytes(
        struct reader *reader, const struct read_place *place, struct cmds_bytes *bytes)
{
    static const struct cmds_field byte = {.name = "", .item_size = 1, .kind = CMDS_KIND_U8};
    if (cmdi_tool_scan_peek(&reader->scan) == TOOL_JSON_ARRAY) {
        return read_items(reader, place, &byte, bytes);
    }
    struct cmds_string string = {0};
    int code = read_string(
            reader, place, "bytes: a string of base64, or an array of numbers", &string);
    if (code == 0 && !read_base64(string, bytes)) {
        return read_refuse(reader, place, " takes base64, as \"aGk=\", and this is none");
    }
    return code;
}

static int read_blob(
        struct reader *reader, const struct read_place *place, size_t size, void *target)
{
    struct cmds_bytes bytes = {0};
    int code = read_bytes(reader, place, &bytes);
    if (code == 0 && bytes.size != size) {
        return read_refuse(reader, place, " takes exactly %zu bytes, not %zu", size, bytes.size);
    }
    if (code == 0) {
        memcpy(target, bytes.data, size);
    }
    return code;
}

/* --- Maps, arrays ----------------------------------------------------------------------------- */

static int read_compare_keys(const void *left, const void *right)
{
    struct cmds_string a = (*(const struct cmds_pair *const *)left)->key;
    struct cmds_string b = (*(const struct cmds_pair *const *)right)->key;
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* By sorting: a map of a million pairs is no reason to wait. */
static int read_check_keys(
        struct reader *reader, const struct read_place *place, struct cmds_map map)
{
    const struct cmds_pair **sorted =
            cmdi_tool_memory_get(reader->scan.memory, map.count * sizeof(*sorted));
    if (sorted == NULL) {
        return read_no_memory(reader, place);
    }
    for (size_t i = 0; i < map.count; i++) {
        sorted[i] = &map.items[i];
    }
    qsort(sorted, map.count, sizeof(*sorted), read_compare_keys);
    for (size_t i = 1; i < map.count; i++) {
        if (cmds_string_equal(sorted[i - 1]->key, sorted[i]->key)) {
            return read_refuse(reader, place, " has the key \"%.*s\" twice",
                    (int)(sorted[i]->key.size < 100 ? sorted[i]->key.size : 100),
                    sorted[i]->key.data);
        }
    }
    return 0;
}

/* Room for one more. Returns: NULL without memory. */
static void *read_room(
        struct reader *reader, struct cmds_bytes *items, size_t *room, size_t item_size)
{
    if (items->size == *room) {
        size_t more = *room == 0 ? READ_ITEMS_FIRST : *room * 2;
        void *grown = cmdi_tool_memory_grow(
                reader->scan.memory, items->data, *room * item_size, more * item_size);
        if (grown == NULL) {
            return NULL;
        }
        items->data = grown;
        *room = more;
    }
    return (char *)(uintptr_t)items->data + items->size++ * item_size;
}

static int read_pair(struct reader *reader, const struct read_place *place, struct cmds_pair *pair)
{
    int code = cmdi_tool_scan_string(&reader->scan, &pair->key);
    if (code == 0 && !cmdi_tool_scan_letter(&reader->scan, ':')) {
        return cmdi_tool_scan_fail(&reader->scan, "a ':' is missing");
    }
    struct read_place inside = {place, pair->key.data, 0};
    return code < 0 ? code : read_string(reader, &inside, "a string", &pair->value);
}

/* Behind an element: is there another? Returns: 1; 0: it was the last; -EINVAL. */
static int read_goes_on(struct reader *reader, char end)
{
    if (cmdi_tool_scan_letter(&reader->scan, ',')) {
        return 1;
    }
    return cmdi_tool_scan_letter(&reader->scan, end)
                   ? 0
                   : cmdi_tool_scan_fail(&reader->scan,
                             end == '}' ? "a ',' or '}' is missing" : "a ',' or ']' is missing");
}

static int read_map(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, struct cmds_map *map)
{
    struct cmds_bytes items = {0};
    size_t room = 0;
    if (cmdi_tool_scan_peek(&reader->scan) != TOOL_JSON_OBJECT) {
        return read_expected(reader, place, "an object of strings");
    }
    const char *begin = reader->scan.at;
    (void)cmdi_tool_scan_letter(&reader->scan, '{');
    int code = cmdi_tool_scan_letter(&reader->scan, '}') ? 0 : 1;
    while (code > 0) {
        struct cmds_pair *pair = read_room(reader, &items, &room, sizeof(*pair));
        code = pair == NULL ? read_no_memory(reader, place) : read_pair(reader, place, pair);
        code = code < 0 ? code : read_goes_on(reader, '}');
    }
    *map = (struct cmds_map){items.data, items.size};
    reader->value_at = begin;
    code = code < 0 ? code : read_within(reader, place, map->count, field->size_max, "pairs");
    return code < 0 ? code : read_check_keys(reader, place, *map);
}

static int read_item(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, void *target);

/* items->size is the count. */
static int read_items(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, struct cmds_bytes *items)
{
    struct read_place inside = {place, NULL, 0};
    size_t room = 0;
    *items = (struct cmds_bytes){0};
    if (cmdi_tool_scan_peek(&reader->scan) != TOOL_JSON_ARRAY) {
        return read_expected(reader, place, "an array");
    }
    const char *begin = reader->scan.at;
    (void)cmdi_tool_scan_letter(&reader->scan, '[');
    int code = cmdi_tool_scan_letter(&reader->scan, ']') ? 0 : 1;
    for (; code > 0; inside.index++) {
        void *target = read_room(reader, items, &room, field->item_size);
        code = target == NULL ? read_no_memory(reader, place)
                              : read_item(reader, &inside, field, target);
        code = code < 0 ? code : read_goes_on(reader, ']');
    }
    reader->value_at = begin;
    return code;
}

static int read_array(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, void *target)
{
    struct cmds_bytes items = {0};
    bool bytes = field->kind == CMDS_KIND_U8;
    int code = bytes ? read_bytes(reader, place, &items) : read_items(reader, place, field, &items);
    code = code < 0 ? code
                    : read_within(reader, place, items.size, field->size_max,
                              bytes ? "bytes" : "elements");
    CMDS_STATIC_ASSERT_(sizeof(items) == sizeof(CMDS_ARRAY_OF(int)), "{items, count}");
    memcpy(target, &items, sizeof(items));
    return code;
}

/* --- Structs ---------------------------------------------------------------------------------- */

static int read_struct(struct reader *reader, const struct read_place *place,
        const struct cmds_schema *schema, void *value);

/* An element, an optional's value, or the member itself. */
static int read_item(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, void *target)
{
    int code;
    if (read_is_integer_kind(field->kind)) {
        return read_integer(reader, place, field->kind <= CMDS_KIND_I64, field->item_size, target);
    }
    switch (field->kind) {
    case CMDS_KIND_BOOL:
        if (cmdi_tool_scan_peek(&reader->scan) != TOOL_JSON_BOOL) {
            return read_expected(reader, place, "true or false");
        }
        *(bool *)target = cmdi_tool_scan_word(&reader->scan, "true");
        return *(bool *)target || cmdi_tool_scan_word(&reader->scan, "false")
                       ? 0
                       : cmdi_tool_scan_fail(&reader->scan, "neither true nor false");
    case CMDS_KIND_F32:
    case CMDS_KIND_F64:
        return read_float(reader, place, field->kind, target);
    case CMDS_KIND_STRING:
        code = read_string(reader, place, "a string", target);
        return code < 0 ? code
                        : read_within(reader, place, ((const struct cmds_string *)target)->size,
                                  field->size_max, "bytes");
    case CMDS_KIND_BYTES:
        code = read_bytes(reader, place, target);
        return code < 0 ? code
                        : read_within(reader, place, ((const struct cmds_bytes *)target)->size,
                                  field->size_max, "bytes");
    case CMDS_KIND_MAP:
        return read_map(reader, place, field, target);
    case CMDS_KIND_TEXT:
        return read_text(reader, place, field->item_size, target);
    case CMDS_KIND_BLOB:
        return read_blob(reader, place, field->item_size, target);
    default:
        return read_struct(reader, place, field->nested, target);
    }
}

static int read_field(struct reader *reader, const struct read_place *place,
        const struct cmds_field *field, char *member)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        return read_array(reader, place, field, member);
    }
    if (field->shape == CMDS_SHAPE_ONE) {
        return read_item(reader, place, field, member);
    }
    if (cmdi_tool_scan_peek(&reader->scan) == TOOL_JSON_NULL) {
        return cmdi_tool_scan_word(&reader->scan, "null")
                       ? 0
                       : cmdi_tool_scan_fail(&reader->scan, "not null");
    }
    *(bool *)member = true;
    return read_item(reader, place, field, member + field->item_offset);
}

/* Returns: the field count if there is none of that name. */
static uint32_t read_find(const struct cmds_schema *schema, struct cmds_string name)
{
    uint32_t alike = schema->field_count;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind == CMDS_KIND_RESERVED || strlen(field->name) != name.size) {
            continue;
        }
        if (memcmp(field->name, name.data, name.size) == 0) {
            return i;
        }
        if (alike == schema->field_count && strncasecmp(field->name, name.data, name.size) == 0) {
            alike = i;
        }
    }
    return alike;
}

/* "; did you mean price?" of the first that may have been meant. Returns: false: none. */
static bool read_suggest(
        const struct cmds_schema *schema, const char *name, char *text, size_t size)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED && cmdi_tool_resembles(name, field->name)) {
            snprintf(text, size, "did you mean \"%.64s\"?", field->name);
            return true;
        }
    }
    return false;
}

static int read_unknown(struct reader *reader, const struct read_place *place,
        const struct cmds_schema *schema, struct cmds_string name)
{
    char names[TOOL_JSON_TEXT_SIZE / 2] = "it has none at all";
    size_t used = 0;
    uint32_t listed = 0;
    bool meant = read_suggest(schema, name.data, names, sizeof(names));
    for (uint32_t i = 0; !meant && i < schema->field_count && used < sizeof(names); i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED) {
            const char *lead = listed == 0 ? "its fields: " : ", ";
            bool more = ++listed > READ_NAMES_MAX;
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%.32s", lead,
                    more ? "..." : field->name);
            if (more) {
                break;
            }
        }
    }
    return read_refuse(reader, place, " has no field \"%.*s\"; %s",
            (int)(name.size < 100 ? name.size : 100), name.data, names);
}

/* `seen` has a byte for each field: a second one would silently win. */
static int read_member(struct reader *reader, const struct read_place *place,
        const struct cmds_schema *schema, char *value, uint8_t *seen)
{
    struct cmds_string name = {0};
    (void)cmdi_tool_scan_peek(&reader->scan);
    const char *name_at = reader->scan.at;
    int code = cmdi_tool_scan_string(&reader->scan, &name);
    if (code < 0) {
        return code;
    }
    if (!cmdi_tool_scan_letter(&reader->scan, ':')) {
        return cmdi_tool_scan_fail(&reader->scan, "a ':' is missing");
    }
    uint32_t index = read_find(schema, name);
    reader->value_at = name_at;
    if (index == schema->field_count) {
        return read_unknown(reader, place, schema, name);
    }
    const struct cmds_field *field = cmds_schema_field(schema, index);
    struct read_place inside = {place, field->name, 0};
    if (seen[index] != 0) {
        return read_refuse(reader, &inside, " is there twice");
    }
    seen[index] = 1;
    return read_field(reader, &inside, field, value + field->offset);
}

static int read_struct(struct reader *reader, const struct read_place *place,
        const struct cmds_schema *schema, void *value)
{
    if (cmdi_tool_scan_peek(&reader->scan) != TOOL_JSON_OBJECT) {
        return read_expected(reader, place, "an object");
    }
    uint8_t *seen = calloc(1, schema->field_count + 1);
    if (seen == NULL) {
        return read_no_memory(reader, place);
    }
    (void)cmdi_tool_scan_letter(&reader->scan, '{');
    int code = cmdi_tool_scan_letter(&reader->scan, '}') ? 0 : 1;
    while (code > 0) {
        code = read_member(reader, place, schema, value, seen);
        code = code < 0 ? code : read_goes_on(reader, '}');
    }
    free(seen);
    return code;
}

/* Names and keys are in the sentence as they came, and may be cut: a terminal is to obey none of them. */
static void read_tame(char *text)
{
    unsigned char *at = (unsigned char *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t size = cmdi_tool_utf8_size(at, left);
        bool bad = size == 0 || *at < 0x20 || *at == 0x7f ||
                   (size == 2 && at[0] == 0xc2 && at[1] < 0xa0);
        size = size > 0 ? size : 1;
        if (bad) {
            memset(at, '?', size);
        }
        at += size;
        left -= size;
    }
}

int cmdi_tool_json_read(const struct cmds_schema *schema, const char *name, struct cmds_string json,
        struct tool_memory *memory, void *value, char *text)
{
    struct reader reader = {.scan = {.begin = json.data,
                                    .at = json.data,
                                    .end = json.data + json.size,
                                    .memory = memory,
                                    .text = text}};
    struct read_place place = {NULL, name, 0};
    int code = read_struct(&reader, &place, schema, value);
    if (code == 0 && !cmdi_tool_scan_is_over(&reader.scan)) {
        code = cmdi_tool_scan_fail(&reader.scan, "something follows the object");
    }
    if (code < 0) {
        read_tame(text);
    }
    return code;
}
