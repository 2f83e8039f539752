/* SPDX-License-Identifier: MIT */
/* The type of a protocol that says that a command failed: its members, and what is asked of them. */
#include <cmdstream/codec.h>

#include "base/error.h"
#include "codec/protocol.h"

const struct cmds_field *cmdi_schema_field_at(const struct cmds_schema *schema, uint32_t offset)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        if (field->kind != CMDS_KIND_RESERVED && field->offset == offset) {
            return field;
        }
    }
    return NULL;
}

static bool has_last_member(const struct cmds_schema *schema)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        flags |= cmds_schema_field(schema, i)->flags;
    }
    return (flags & CMDS_FIELD_IS_LAST_) != 0;
}

static bool field_is_one(const struct cmds_field *field, uint8_t kind)
{
    return field != NULL && field->shape == CMDS_SHAPE_ONE && field->kind == kind;
}

/* The library fills it in, and it ends its command. */
int cmdi_error_type_check(const struct cmds_type *type, struct cmds_error *error)
{
    const char *name = type->schema->name;
    const struct cmds_field *code =
            cmdi_schema_field_at(type->schema, cmdi_error_code_offset(type));
    const struct cmds_field *text =
            cmdi_schema_field_at(type->schema, cmdi_error_text_offset(type));
    if (type->role != CMDS_ROLE_RESULT || type->descriptor != NULL) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "%s says that a command failed; only results that have a schema do", name);
    }
    if (!field_is_one(text, CMDS_KIND_STRING) ||
            !(field_is_one(code, CMDS_KIND_I32) || field_is_one(code, CMDS_KIND_I64))) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "error result %s: its code is no int32_t or int64_t, or its text no cmds_string: "
                "make it with CMDS_RESULT_ERROR",
                name);
    }
    if (type->schema->value_size > CMDI_ERROR_SIZE_MAX) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "error result %s has %u bytes; at most %d are sent",
                name, type->schema->value_size, CMDI_ERROR_SIZE_MAX);
    }
    if (type->last != CMDS_LAST_BY_FIELD_ || has_last_member(type->schema)) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "error result %s says which one is the last; each of them is", name);
    }
    return 0;
}
