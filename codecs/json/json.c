/* SPDX-License-Identifier: MIT */
/* The codec `json`: the table of its functions. See codec_json.h for what it reads and writes. */
#include "json/json.h"

#include <string.h>

#include "common/refuse.h"

/*
 * Names that differ only in their case: all of them are compared with a name that comes in a further
 * one.
 */
static uint32_t twins_count(const struct cmds_schema *schema, uint32_t index)
{
    const char *name = cmds_schema_field(schema, index)->name;
    uint32_t count = 0;
    for (uint32_t i = 0; i < index; i++) {
        const struct cmds_field *other = cmds_schema_field(schema, i);
        count += other->kind != CMDS_KIND_RESERVED && cmdi_json_names_alike(other->name, name);
    }
    return count;
}

/* What one name of a hostile body can cost is bounded before there is a body. */
static int schema_check(
        const struct cmds_schema *schema, const char *type_name, struct cmds_error *error)
{
    if (schema->field_count > CMDI_JSON_ROWS_MAX) {
        return cmdi_refuse(error,
                "codec json: %s: struct %s has %u fields, at most %d are possible", type_name,
                schema->name, schema->field_count, CMDI_JSON_ROWS_MAX);
    }
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        if (strlen(row->name) > CMDI_JSON_NAME_MAX) {
            return cmdi_refuse(error,
                    "codec json: %s: struct %s, field %u: a name has at most %d bytes", type_name,
                    schema->name, i, CMDI_JSON_NAME_MAX);
        }
        if (twins_count(schema, i) >= CMDI_JSON_CASES_MAX) {
            return cmdi_refuse(error,
                    "codec json: %s: struct %s: more than %d names like %s differ only in their "
                    "case",
                    type_name, schema->name, CMDI_JSON_CASES_MAX, row->name);
        }
        code = row->kind == CMDS_KIND_STRUCT ? schema_check(row->nested, type_name, error) : 0;
    }
    return code;
}

static int json_check(
        const struct cmds_codec *self, const struct cmds_type *type, struct cmds_error *error)
{
    (void)self;
    return schema_check(type->schema, type->schema->name, error);
}

static int64_t json_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    return cmdi_json_size(type->schema, value);
}

static uint8_t *json_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self, (void)size; // What cmdi_json_size() said; the writer takes the same steps.
    return cmdi_json_write(type->schema, value, out);
}

static int64_t json_try_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    return cmdi_json_try(type->schema, value, out, room);
}

static int64_t json_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self;
    return cmdi_json_read(type->schema, in, arena, value);
}

const struct cmds_codec cmds_codec_json = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "json",
        .check = json_check,
        .size = json_size,
        .encode = json_encode,
        .decode = json_decode,
        .try_encode = json_try_encode,
};
