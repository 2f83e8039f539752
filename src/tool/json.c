/* SPDX-License-Identifier: MIT */
/* See json.h. */
#include "json.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmdstream/codec.h>

enum {
    JSON_FIELDS_MAX = 64, // Of one object: so many bits remember what was there.
};

static const char *json_type_word(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a bool";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int json_complain(char *text, const char *name, const struct cmds_field *field,
        const char *expected, const json_t *json)
{
    snprintf(text, TOOL_JSON_TEXT_SIZE, "%s.%s takes %s, not %s", name, field->name, expected,
            json_type_word(json));
    return -EINVAL;
}

/* Returns: the field count if there is none of that name. */
static uint32_t json_field(const struct cmds_schema *schema, const char *key)
{
    uint32_t i = 0;
    for (; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED && strcasecmp(field->name, key) == 0) {
            break;
        }
    }
    return i;
}

static int json_unknown(
        const struct cmds_schema *schema, const char *name, const char *key, char *text)
{
    int length = snprintf(text, TOOL_JSON_TEXT_SIZE, "%s has no field \"%.100s\"; ", name, key);
    size_t used = (size_t)length;
    if (schema->field_count == 0) {
        snprintf(text + used, TOOL_JSON_TEXT_SIZE - used, "it has none at all");
        return -EINVAL;
    }
    for (uint32_t i = 0; i < schema->field_count && used < TOOL_JSON_TEXT_SIZE; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        length = snprintf(text + used, TOOL_JSON_TEXT_SIZE - used, "%s%s",
                i == 0 ? "its fields: " : ", ", field->name);
        used += (size_t)length;
    }
    return -EINVAL;
}

/*
 * The eight integer kinds stand in the order i8..i64, u8..u64, so the width follows from the
 * position.
 */
static bool json_is_integer_kind(uint8_t kind)
{
    return kind >= CMDS_KIND_I8 && kind <= CMDS_KIND_U64;
}

static int json_store_integer(const struct cmds_field *field, const char *name, const json_t *json,
        void *target, char *text)
{
    if (!json_is_integer(json)) {
        return json_complain(text, name, field, "an integer", json);
    }
    int64_t value = json_integer_value(json);
    bool is_signed = field->kind <= CMDS_KIND_I64;
    uint32_t bits = field->size * 8;
    int64_t max = bits == 64 ? INT64_MAX : (INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1;
    int64_t min = is_signed ? -max - 1 : 0;
    if (value < min || value > max) {
        snprintf(text, TOOL_JSON_TEXT_SIZE, "%s.%s takes %lld to %lld, not %lld", name, field->name,
                (long long)min, (long long)max, (long long)value);
        return -EINVAL;
    }
    switch (field->size) {
    case 1:
        memcpy(target, &(uint8_t){(uint8_t)value}, 1);
        break;
    case 2:
        memcpy(target, &(uint16_t){(uint16_t)value}, 2);
        break;
    case 4:
        memcpy(target, &(uint32_t){(uint32_t)value}, 4);
        break;
    default:
        memcpy(target, &value, sizeof(value));
        break;
    }
    return 0;
}

/* What JSON has no number for, by the name that Protobuf's JSON has for it. */
static const struct {
    const char *name;
    double value;
} json_names[] = {
        {"NaN", (double)NAN}, {"Infinity", (double)INFINITY}, {"-Infinity", -(double)INFINITY}};
enum {
    JSON_NAME_COUNT = sizeof(json_names) / sizeof(json_names[0])
};

static bool json_float(const json_t *json, double *number)
{
    for (size_t i = 0; json_is_string(json) && i < JSON_NAME_COUNT; i++) {
        if (strcmp(json_string_value(json), json_names[i].name) == 0) {
            *number = json_names[i].value;
            return true;
        }
    }
    *number = json_number_value(json);
    return json_is_number(json);
}

static int json_store_float(const struct cmds_field *field, const char *name, const json_t *json,
        void *target, char *text)
{
    double number = 0;
    if (!json_float(json, &number)) {
        return json_complain(
                text, name, field, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", json);
    }
    if (field->kind == CMDS_KIND_F64) {
        *(double *)target = number;
        return 0;
    }
    if (isfinite(number) && fabs(number) > (double)FLT_MAX) {
        snprintf(text, TOOL_JSON_TEXT_SIZE, "%s.%s takes a float of 32 bits, and %g is none", name,
                field->name, number);
        return -EINVAL;
    }
    *(float *)target = (float)number;
    return 0;
}

static int json_store(const struct cmds_field *field, const char *name, const json_t *json,
        void *target, char *text)
{
    if (field->shape == CMDS_SHAPE_ONE && json_is_integer_kind(field->kind)) {
        return json_store_integer(field, name, json, target, text);
    }
    switch (field->shape == CMDS_SHAPE_ONE ? field->kind : CMDS_KIND_RESERVED) {
    case CMDS_KIND_BOOL:
        if (!json_is_boolean(json)) {
            return json_complain(text, name, field, "true or false", json);
        }
        *(bool *)target = json_is_true(json);
        return 0;
    case CMDS_KIND_F32:
    case CMDS_KIND_F64:
        return json_store_float(field, name, json, target, text);
    case CMDS_KIND_STRING:
        if (!json_is_string(json)) {
            return json_complain(text, name, field, "a string", json);
        }
        *(struct cmds_string *)target =
                (struct cmds_string){json_string_value(json), json_string_length(json)};
        return 0;
    default:
        return json_complain(text, name, field, "what cannot be written in JSON here", json);
    }
}

/* `*seen` has a bit for each member that was there: a second of them would silently win. */
static int json_take_member(const struct cmds_schema *schema, const char *name, const char *key,
        const json_t *member, void *value, uint64_t *seen, char *text)
{
    uint32_t index = json_field(schema, key);
    if (index == schema->field_count) {
        return json_unknown(schema, name, key, text);
    }
    const struct cmds_field *field = cmds_schema_field(schema, index);
    uint64_t bit = index < JSON_FIELDS_MAX ? UINT64_C(1) << index : 0;
    if ((*seen & bit) != 0) {
        snprintf(text, TOOL_JSON_TEXT_SIZE, "%s.%s is there twice", name, field->name);
        return -EINVAL;
    }
    *seen |= bit;
    return json_store(field, name, member, (char *)value + field->offset, text);
}

int tool_json_to_value(const struct cmds_schema *schema, const char *name, const json_t *object,
        void *value, char *text)
{
    if (!json_is_object(object)) {
        snprintf(text, TOOL_JSON_TEXT_SIZE, "%s takes an object, as in {\"string\":\"hi\"}, not %s",
                name, json_type_word(object));
        return -EINVAL;
    }
    // jansson walks and does not change it; its iterators just have no const.
    json_t *walked = json_incref((json_t *)(uintptr_t)object);
    const char *key;
    json_t *member;
    uint64_t seen = 0;
    int code = 0;
    json_object_foreach(walked, key, member)
    {
        code = json_take_member(schema, name, key, member, value, &seen, text);
        if (code < 0) {
            break;
        }
    }
    json_decref(walked);
    return code;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/*
 * The bytes of the character at `at`, by the lead byte's ranges of the second (Unicode, table 3-7):
 * no surrogate, nothing longer than need be, nothing above U+10FFFF. Returns: 0: not UTF-8.
 */
static size_t json_utf8_size(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 0 || lead > 0xf4 || size > left) {
        return 0;
    }
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < size; i++) {
        if (at[i] < low || at[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return size;
}

/* C0, DEL, and C1 behind their lead byte. */
static bool json_is_control(const unsigned char *at, size_t size)
{
    return size == 1 ? at[0] < 0x20 || at[0] == 0x7f : size == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

static void json_write_control(FILE *out, unsigned char code)
{
    static const char letters[] = "\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof(letters); i += 2) {
        if ((unsigned char)letters[i] == code) {
            fprintf(out, "\\%c", letters[i + 1]);
            return;
        }
    }
    fprintf(out, "\\u%04x", code);
}

static bool json_write_string(FILE *out, struct cmds_string string)
{
    const unsigned char *data = (const unsigned char *)string.data;
    bool is_text = true;
    fputc('"', out);
    for (size_t at = 0; at < string.size;) {
        size_t size = json_utf8_size(data + at, string.size - at);
        if (size == 0) {
            fputs("\xef\xbf\xbd", out); // U+FFFD
            is_text = false;
            size = 1;
        } else if (json_is_control(data + at, size)) {
            json_write_control(out, data[at + size - 1]);
        } else {
            if (data[at] == '"' || data[at] == '\\') {
                fputc('\\', out);
            }
            (void)fwrite(data + at, 1, size, out);
        }
        at += size;
    }
    fputc('"', out);
    return is_text;
}

static bool json_reads_back(const char *text, double value, bool is_single)
{
    return is_single ? !(strtof(text, NULL) < (float)value) && !(strtof(text, NULL) > (float)value)
                     : !(strtod(text, NULL) < value) && !(strtod(text, NULL) > value);
}

/* Whole numbers as such, as far as all are exact; the rest in the fewest digits that read back. */
static void json_write_float(FILE *out, double value, bool is_single)
{
    if (!isfinite(value)) {
        fprintf(out, "\"%s\"", json_names[isnan(value) ? 0 : value > 0 ? 1 : 2].name);
        return;
    }
    int digits_max = is_single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    double whole_max = (double)(INT64_C(1) << (is_single ? FLT_MANT_DIG : DBL_MANT_DIG));
    if (fabs(value) < whole_max && !(trunc(value) < value) && !(trunc(value) > value)) {
        fprintf(out, "%.0f", value);
        return;
    }
    char text[40] = "";
    for (int digits = 1; digits <= digits_max; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (json_reads_back(text, value, is_single)) {
            break;
        }
    }
    fputs(text, out);
}

static void json_write_integer(FILE *out, const struct cmds_field *field, const void *source)
{
    switch (field->kind) {
    case CMDS_KIND_I8:
        fprintf(out, "%d", *(const int8_t *)source);
        break;
    case CMDS_KIND_I16:
        fprintf(out, "%d", *(const int16_t *)source);
        break;
    case CMDS_KIND_I32:
        fprintf(out, "%" PRId32, *(const int32_t *)source);
        break;
    case CMDS_KIND_I64:
        fprintf(out, "%" PRId64, *(const int64_t *)source);
        break;
    case CMDS_KIND_U8:
        fprintf(out, "%u", *(const uint8_t *)source);
        break;
    case CMDS_KIND_U16:
        fprintf(out, "%u", *(const uint16_t *)source);
        break;
    case CMDS_KIND_U32:
        fprintf(out, "%" PRIu32, *(const uint32_t *)source);
        break;
    default:
        fprintf(out, "%" PRIu64, *(const uint64_t *)source);
        break;
    }
}

static bool json_write_field(FILE *out, const struct cmds_field *field, const void *source)
{
    if (field->shape == CMDS_SHAPE_ONE && json_is_integer_kind(field->kind)) {
        json_write_integer(out, field, source);
        return true;
    }
    switch (field->shape == CMDS_SHAPE_ONE ? field->kind : CMDS_KIND_RESERVED) {
    case CMDS_KIND_BOOL:
        fputs(*(const bool *)source ? "true" : "false", out);
        return true;
    case CMDS_KIND_F32:
        json_write_float(out, (double)*(const float *)source, true);
        return true;
    case CMDS_KIND_F64:
        json_write_float(out, *(const double *)source, false);
        return true;
    case CMDS_KIND_STRING:
        return json_write_string(out, *(const struct cmds_string *)source);
    default:
        fputs("null", out);
        return true;
    }
}

bool tool_json_write(
        FILE *out, const struct cmds_schema *schema, const char *name, const void *value)
{
    bool is_text = true;
    fprintf(out, "{\"type\":\"%s\"", name);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        fprintf(out, ",\"%s\":", field->name);
        if (!json_write_field(out, field, (const char *)value + field->offset)) {
            is_text = false;
        }
    }
    fputc('}', out);
    return is_text;
}
