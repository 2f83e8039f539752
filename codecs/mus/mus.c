/* SPDX-License-Identifier: MIT */
/*
 * The codec `mus`: the table of its functions, and what can be said about a schema before there is
 * a value.
 *
 * There is no C library for MUS; the format is small, and these files are all of it.
 */
#include "mus/mus.h"

#include "common/refuse.h"
#include "common/value.h"

static size_t schema_size_min(const struct cmds_schema *schema)
{
    size_t total = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        total += row->shape == CMDS_SHAPE_ONE ? cmdi_mus_item_size_min(row) : 1;
    }
    return total; // Rows are bounded, and values: nothing near an overflow.
}

size_t cmdi_mus_item_size_min(const struct cmds_field *row)
{
    switch (row->kind) {
    case CMDS_KIND_RESERVED:
        return 0;
    case CMDS_KIND_F32:
        return 4;
    case CMDS_KIND_F64:
        return 8;
    case CMDS_KIND_BLOB:
        return 1 + (size_t)row->item_size;
    case CMDS_KIND_STRUCT:
        return schema_size_min(row->nested);
    default:
        return 1;
    }
}

/* Of an array whose elements are nothing, a count of 2^40 would be whole. */
static int schema_check(
        const struct cmds_schema *schema, const char *type_name, struct cmds_error *error)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->kind != CMDS_KIND_STRUCT) {
            continue;
        }
        if (row->shape == CMDS_SHAPE_ARRAY && cmdi_mus_item_size_min(row) == 0) {
            return cmdi_refuse(error,
                    "codec mus: %s, field %s.%s: an array of structs that are no bytes in MUS",
                    type_name, schema->name, row->name);
        }
        int code = schema_check(row->nested, type_name, error);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static int mus_check(
        const struct cmds_codec *self, const struct cmds_type *type, struct cmds_error *error)
{
    (void)self;
    return schema_check(type->schema, type->schema->name, error);
}

static int64_t mus_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    return cmdi_mus_size(type->schema, value);
}

static uint8_t *mus_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self, (void)size; // What cmdi_mus_size() said; the writer takes the same steps.
    return cmdi_mus_write(type->schema, value, out);
}

static int64_t mus_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self;
    return cmdi_mus_read(type->schema, in, arena, value);
}

static int64_t mus_find_end(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_codec_place *place)
{
    (void)self;
    return cmdi_mus_find_end(type->schema, in, place);
}

const struct cmds_codec cmds_codec_mus = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .flags = CMDS_CODEC_SELF_DELIMITING,
        .name = "mus",
        .check = mus_check,
        .size = mus_size,
        .encode = mus_encode,
        .decode = mus_decode,
        .find_end = mus_find_end,
};
