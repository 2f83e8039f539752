/* SPDX-License-Identifier: MIT */
/*
 * Results as values: reading one with a check, and keeping one beyond its callback.
 *
 * A copy is one block: the result, its text, the value with everything that it points to. One
 * free() ends it.
 */
#include "client/result.h"

#include <stdint.h>
#include <stdlib.h>

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
    return result != NULL && result->error != 0 ? result->error : CMDS_E_WRONG_TYPE;
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
