/* SPDX-License-Identifier: MIT */
/* See json.h. */
#include "json.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/codec.h>

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

bool cmdi_tool_json_write_string(FILE *out, struct cmds_string string)
{
    const unsigned char *data = (const unsigned char *)string.data;
    bool is_text = true;
    fputc('"', out);
    for (size_t at = 0; at < string.size;) {
        size_t size = cmdi_tool_utf8_size(data + at, string.size - at);
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
        fprintf(out, "\"%s\"", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
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

/* As RFC 4648 has it, with padding. */
static void json_write_base64(FILE *out, struct cmds_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *data = bytes.data;
    fputc('"', out);
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        fputc(digits[word >> 18], out);
        fputc(digits[word >> 12 & 63], out);
        fputc(left > 1 ? digits[word >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[word & 63] : '=', out);
    }
    fputc('"', out);
}

static void json_write_blob(FILE *out, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        fprintf(out, "%c%u", i == 0 ? '[' : ',', data[i]);
    }
    fputs(size == 0 ? "[]" : "]", out);
}

static bool json_write_map(FILE *out, struct cmds_map map)
{
    bool is_text = true;
    fputc('{', out);
    for (size_t i = 0; i < map.count; i++) {
        fputs(i == 0 ? "" : ",", out);
        is_text = cmdi_tool_json_write_string(out, map.items[i].key) && is_text;
        fputc(':', out);
        is_text = cmdi_tool_json_write_string(out, map.items[i].value) && is_text;
    }
    fputc('}', out);
    return is_text;
}

/* An element, an optional's value, or the member itself. */
static bool json_write_item(FILE *out, const struct cmds_field *field, const void *source)
{
    switch (field->kind) {
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
        return cmdi_tool_json_write_string(out, *(const struct cmds_string *)source);
    case CMDS_KIND_BYTES:
        json_write_base64(out, *(const struct cmds_bytes *)source);
        return true;
    case CMDS_KIND_MAP:
        return json_write_map(out, *(const struct cmds_map *)source);
    case CMDS_KIND_TEXT:
        return cmdi_tool_json_write_string(
                out, (struct cmds_string){source, strnlen(source, field->item_size)});
    case CMDS_KIND_BLOB:
        json_write_blob(out, source, field->item_size);
        return true;
    case CMDS_KIND_STRUCT:
        return cmdi_tool_json_write_value(out, field->nested, source);
    default:
        json_write_integer(out, field, source);
        return true;
    }
}

static bool json_write_array(FILE *out, const struct cmds_field *field, struct cmds_bytes items)
{
    bool is_text = true;
    if (field->kind == CMDS_KIND_U8) {
        json_write_base64(out, items);
        return true;
    }
    fputc('[', out);
    for (size_t i = 0; i < items.size; i++) { // Its size is a count here.
        fputs(i == 0 ? "" : ",", out);
        const char *item = (const char *)items.data + i * field->item_size;
        is_text = json_write_item(out, field, item) && is_text;
    }
    fputc(']', out);
    return is_text;
}

static bool json_write_field(FILE *out, const struct cmds_field *field, const char *source)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        struct cmds_bytes items;
        memcpy(&items, source, sizeof(items));
        return json_write_array(out, field, items);
    }
    if (field->shape == CMDS_SHAPE_OPTIONAL && !*(const bool *)source) {
        fputs("null", out);
        return true;
    }
    return json_write_item(
            out, field, field->shape == CMDS_SHAPE_OPTIONAL ? source + field->item_offset : source);
}

/* `comma`: something stands before the first member. */
static bool json_write_members(
        FILE *out, const struct cmds_schema *schema, const char *value, bool comma)
{
    bool is_text = true;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED) {
            fputs(comma ? "," : "", out);
            (void)cmdi_tool_json_write_string(out, cmds_string_from(field->name));
            fputc(':', out);
            is_text = json_write_field(out, field, value + field->offset) && is_text;
            comma = true;
        }
    }
    fputc('}', out);
    return is_text;
}

bool cmdi_tool_json_write_value(FILE *out, const struct cmds_schema *schema, const void *value)
{
    fputc('{', out);
    return json_write_members(out, schema, value, false);
}

bool cmdi_tool_json_write_rest(
        FILE *out, const struct cmds_schema *schema, const char *name, const void *value)
{
    fputs("\"type\":", out);
    (void)cmdi_tool_json_write_string(out, cmds_string_from(name));
    return json_write_members(out, schema, value, true);
}

bool cmdi_tool_json_write(
        FILE *out, const struct cmds_schema *schema, const char *name, const void *value)
{
    fputc('{', out);
    return cmdi_tool_json_write_rest(out, schema, name, value);
}

/* --- Examples --------------------------------------------------------------------------------- */

static const char example_word[] = "abcdefghijklmnopqrstuvwxyz";
enum {
    EXAMPLE_TEXT_MAX = 4,
    EXAMPLE_COUNT_MAX = 2,
};

static size_t example_least(size_t wanted, size_t limit)
{
    return limit != 0 && limit < wanted ? limit : wanted;
}

/* Numbers of fields tell them apart, so that two that were mixed up are seen. */
static void example_write_item(FILE *out, const struct cmds_field *field, uint32_t number)
{
    static const uint8_t bytes[EXAMPLE_TEXT_MAX] = {1, 2, 3, 4};
    size_t text_size = example_least(EXAMPLE_TEXT_MAX, field->size_max);
    switch (field->kind) {
    case CMDS_KIND_BOOL:
        fputs("true", out);
        break;
    case CMDS_KIND_F32:
    case CMDS_KIND_F64:
        fprintf(out, "%u.5", number % 100);
        break;
    case CMDS_KIND_STRING:
        (void)cmdi_tool_json_write_string(out, (struct cmds_string){example_word, text_size});
        break;
    case CMDS_KIND_TEXT:
        text_size = field->item_size - 1U < text_size ? field->item_size - 1U : text_size;
        (void)cmdi_tool_json_write_string(out, (struct cmds_string){example_word, text_size});
        break;
    case CMDS_KIND_BYTES:
        json_write_base64(out, (struct cmds_bytes){bytes, text_size});
        break;
    case CMDS_KIND_BLOB:
        for (uint32_t i = 0; i < field->item_size; i++) {
            fprintf(out, "%c%u", i == 0 ? '[' : ',', i % 100);
        }
        fputc(']', out);
        break;
    case CMDS_KIND_MAP:
        fputs("{\"key\":\"value\"}", out);
        break;
    case CMDS_KIND_STRUCT:
        cmdi_tool_json_write_example(out, field->nested);
        break;
    default:
        fprintf(out, "%u", number % 100);
        break;
    }
}

static void example_write_field(FILE *out, const struct cmds_field *field, uint32_t number)
{
    if (field->shape != CMDS_SHAPE_ARRAY) {
        example_write_item(out, field, number);
        return;
    }
    size_t count = example_least(EXAMPLE_COUNT_MAX, field->size_max);
    struct cmds_field item = *field;
    item.size_max = 0; // It is the array's.
    if (field->kind == CMDS_KIND_U8) {
        json_write_base64(out, (struct cmds_bytes){example_word, count});
        return;
    }
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "" : ",", out);
        example_write_item(out, &item, number + (uint32_t)i);
    }
    fputc(']', out);
}

void cmdi_tool_json_write_example(FILE *out, const struct cmds_schema *schema)
{
    bool comma = false;
    fputc('{', out);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED) {
            fputs(comma ? "," : "", out);
            (void)cmdi_tool_json_write_string(out, cmds_string_from(field->name));
            fputc(':', out);
            example_write_field(out, field, i + 1);
            comma = true;
        }
    }
    fputc('}', out);
}
