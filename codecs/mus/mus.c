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

/*
 * The fewest bytes that a struct can be, and how many rows are visited for them: those of structs
 * inside of it count, elements of its arrays do not.
 */
struct extent {
    size_t size_min, row_count;
};

static struct extent schema_extent(const struct cmds_schema *schema)
{
    struct extent total = {0, schema->field_count};
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->shape == CMDS_SHAPE_ONE && row->kind == CMDS_KIND_STRUCT) {
            struct extent inner = schema_extent(row->nested);
            total.size_min += inner.size_min;
            total.row_count += inner.row_count;
        } else {
            total.size_min += row->kind != CMDS_KIND_RESERVED;
        }
    }
    return total; // Rows are bounded, and values: nothing near an overflow.
}

/*
 * Of an array whose elements are nothing, a count of 2^40 would be whole; and where they are next to
 * nothing, each byte would make us look at all the rows that are none.
 */
static int array_check(const struct cmds_schema *schema, const struct cmds_field *row,
        const char *type_name, struct cmds_error *error)
{
    struct extent extent = schema_extent(row->nested);
    if (extent.size_min == 0) {
        return cmdi_refuse(error,
                "codec mus: %s, field %s.%s: an array of structs that are no bytes in MUS",
                type_name, schema->name, row->name);
    }
    if (extent.row_count > CMDI_MUS_ROWS_PER_BYTE * extent.size_min) {
        return cmdi_refuse(error,
                "codec mus: %s, field %s.%s: an array of structs of which %zu of %zu rows are no "
                "bytes in MUS",
                type_name, schema->name, row->name, extent.row_count - extent.size_min,
                extent.row_count);
    }
    return 0;
}

static int schema_check(
        const struct cmds_schema *schema, const char *type_name, struct cmds_error *error)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->kind != CMDS_KIND_STRUCT) {
            continue;
        }
        code = row->shape == CMDS_SHAPE_ARRAY ? array_check(schema, row, type_name, error) : 0;
        code = code < 0 ? code : schema_check(row->nested, type_name, error);
    }
    return code;
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
    (void)self;
    return cmdi_mus_write(type->schema, value, out, size);
}

static int64_t mus_try_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    return cmdi_mus_try(type->schema, value, out, room);
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
        .try_encode = mus_try_encode,
};
