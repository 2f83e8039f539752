/* SPDX-License-Identifier: MIT */
/*
 * Results as values: reading one with a check, and keeping one beyond its callback.
 *
 * A copy is one block: the result, its text, the value with everything that it points to. One
 * free() ends it.
 */
#include "client/result.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "codec/protocol.h"
#include "codec/value.h"

enum {
    RESULT_ALIGN = 16,
};

static size_t result_round(size_t size)
{
    return (size + RESULT_ALIGN - 1) & ~(size_t)(RESULT_ALIGN - 1);
}

const void *cmds_result_value(const struct cmds_result *result, const struct cmds_type *type)
{
    if (result == NULL || result->type == NULL || result->error != 0) {
        return NULL;
    }
    return cmdi_type_same(result->type, type) ? result->value : NULL;
}

int cmds_result_cause(const struct cmds_result *result)
{
    return result == NULL       ? CMDS_E_WRONG_TYPE
           : result->error != 0 ? result->error
           : result->is_error   ? CMDS_E_REMOTE
                                : CMDS_E_WRONG_TYPE;
}

bool cmds_result_is_error(const struct cmds_result *result, int64_t *code, struct cmds_string *text)
{
    if (result == NULL || !result->is_error) {
        return false;
    }
    const struct cmds_type *type = result->type;
    const uint8_t *value = result->value;
    const uint32_t code_offset = cmdi_error_code_offset(type);
    const struct cmds_field *field = cmdi_schema_field_at(type->schema, code_offset);
    CMDI_ASSERT(cmdi_type_is_error(type) && field != NULL);
    int32_t narrow = 0;
    int64_t wide = 0;
    if (field->size == sizeof(narrow)) {
        memcpy(&narrow, value + code_offset, sizeof(narrow));
        wide = narrow;
    } else {
        memcpy(&wide, value + code_offset, sizeof(wide));
    }
    if (code != NULL) {
        *code = wide;
    }
    if (text != NULL) {
        memcpy(text, value + cmdi_error_text_offset(type), sizeof(*text));
    }
    return true;
}

void cmdi_result_say_error(const struct cmds_result *result, struct cmds_error *error)
{
    int64_t code = 0;
    struct cmds_string text = {NULL, 0};
    bool is_error = cmds_result_is_error(result, &code, &text);
    CMDI_ASSERT(is_error);
    (void)is_error;
    bool is_ours = code < 0 && code >= CMDS_E_MIN_;
    const char *name = is_ours ? cmds_error_name((int)code) : "unknown";
    bool has_name = strcmp(name, "unknown") != 0;
    (void)cmdi_fail(error, CMDS_E_REMOTE,
            "the server has answered with %.60s %" PRId64 "%s%s%s%.*s", result->type->schema->name,
            code, has_name ? ", " : "", has_name ? name : "", text.size > 0 ? ": " : "",
            (int)(text.size < INT16_MAX ? text.size : INT16_MAX), text.size > 0 ? text.data : "");
}

size_t cmdi_result_value_size(const struct cmds_result *result)
{
    return cmdi_value_copy_size(result->type->schema, result->value);
}

const void *cmdi_result_value_into(const struct cmds_result *result, void *room, size_t size)
{
    return cmdi_value_copy_into(result->type->schema, result->value, room, size);
}

struct cmds_result *cmds_result_copy(const struct cmds_result *result)
{
    if (result == NULL) {
        return NULL;
    }
    bool has_value = result->value != NULL;
    size_t text_at = result_round(sizeof(*result));
    size_t text_size = result->text != NULL ? strlen(result->text) + 1 : 1;
    size_t value_at = result_round(text_at + text_size);
    size_t value_size = has_value ? cmdi_value_copy_size(result->type->schema, result->value) : 0;
    if (value_size > SIZE_MAX - value_at) {
        return NULL;
    }
    uint8_t *block = malloc(value_at + value_size);
    if (block == NULL) {
        return NULL;
    }
    struct cmds_result *copy = (struct cmds_result *)(void *)block;
    *copy = *result;
    char *text = (char *)block + text_at;
    text[0] = '\0';
    if (result->text != NULL) {
        memcpy(text, result->text, text_size);
    }
    copy->text = text;
    if (has_value) {
        copy->value = cmdi_value_copy_into(
                result->type->schema, result->value, block + value_at, value_size);
    }
    return copy;
}

void cmds_result_free(struct cmds_result *result)
{
    free(result);
}
