/* SPDX-License-Identifier: MIT */
/* See json.h. */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmdstream/codec.h>

enum {
    JSON_EXACT_INTEGER_BITS = 53
}; // Above that a double has no fraction and JSON's readers differ.

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

static const struct cmds_field *json_field(const struct cmds_schema *schema, const char *key)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED && strcasecmp(field->name, key) == 0) {
            return field;
        }
    }
    return NULL;
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
        if (!json_is_number(json)) {
            return json_complain(text, name, field, "a number", json);
        }
        if (field->kind == CMDS_KIND_F32) {
            *(float *)target = (float)json_number_value(json);
        } else {
            *(double *)target = json_number_value(json);
        }
        return 0;
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
    int error = 0;
    json_object_foreach(walked, key, member)
    {
        const struct cmds_field *field = json_field(schema, key);
        error = field == NULL
                        ? json_unknown(schema, name, key, text)
                        : json_store(field, name, member, (char *)value + field->offset, text);
        if (error < 0) {
            break;
        }
    }
    json_decref(walked);
    return error;
}

/*
 * JSON is UTF-8, a string on the wire need not be: then every byte outside ASCII is shown as '?'.
 */
static json_t *json_from_string(struct cmds_string string)
{
    json_t *json = json_stringn(string.data != NULL ? string.data : "", string.size);
    if (json != NULL) {
        return json;
    }
    char *copy = malloc(string.size + 1);
    if (copy == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < string.size; i++) {
        copy[i] = (unsigned char)string.data[i] < 0x80 ? string.data[i] : '?';
    }
    json = json_stringn(copy, string.size);
    free(copy);
    return json;
}

/* 0 and not 0.0; what JSON has no word for (NaN, infinities) is null. */
static json_t *json_from_double(double value)
{
    if (!isfinite(value)) {
        return json_null();
    }
    double limit = (double)(INT64_C(1) << JSON_EXACT_INTEGER_BITS);
    if (fabs(value) < limit && trunc(value) == value) {
        return json_integer((json_int_t)value);
    }
    return json_real(value);
}

static json_t *json_from_integer(const struct cmds_field *field, const void *source)
{
    switch (field->kind) {
    case CMDS_KIND_I8:
        return json_integer(*(const int8_t *)source);
    case CMDS_KIND_I16:
        return json_integer(*(const int16_t *)source);
    case CMDS_KIND_I32:
        return json_integer(*(const int32_t *)source);
    case CMDS_KIND_I64:
        return json_integer(*(const int64_t *)source);
    case CMDS_KIND_U8:
        return json_integer(*(const uint8_t *)source);
    case CMDS_KIND_U16:
        return json_integer(*(const uint16_t *)source);
    case CMDS_KIND_U32:
        return json_integer(*(const uint32_t *)source);
    default: {
        uint64_t value = *(const uint64_t *)source; // jansson has no unsigned 64 bits.
        return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
    }
    }
}

static json_t *json_from_field(const struct cmds_field *field, const void *source)
{
    if (field->shape != CMDS_SHAPE_ONE) {
        return json_null();
    }
    if (json_is_integer_kind(field->kind)) {
        return json_from_integer(field, source);
    }
    switch (field->kind) {
    case CMDS_KIND_BOOL:
        return json_boolean(*(const bool *)source);
    case CMDS_KIND_F32:
        return json_from_double((double)*(const float *)source);
    case CMDS_KIND_F64:
        return json_from_double(*(const double *)source);
    case CMDS_KIND_STRING:
        return json_from_string(*(const struct cmds_string *)source);
    default:
        return json_null();
    }
}

json_t *tool_json_from_value(const struct cmds_schema *schema, const char *name, const void *value)
{
    json_t *object = json_pack("{s:s}", "type", name);
    for (uint32_t i = 0; object != NULL && i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        json_t *member = json_from_field(field, (const char *)value + field->offset);
        if (member == NULL || json_object_set_new(object, field->name, member) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}
