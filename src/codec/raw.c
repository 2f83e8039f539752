/* SPDX-License-Identifier: MIT */
/*
 * The codec `raw`: the payload is the bytes of the type's one field, untouched.
 *
 * For programs that encode by themselves, and for measuring what everything but a codec costs. A
 * type without fields is an empty payload. No state, any thread; the decoded field points into the
 * input.
 */
#include <cmdstream/codec.h>

#include <errno.h>

#include "base/error.h"

static int raw_check(
        const struct cmds_codec *self, const struct cmds_type *type, struct cmds_error *error)
{
    const struct cmds_schema *schema = type->schema;
    if (schema->field_count == 0) {
        return 0;
    }
    const struct cmds_field *field = cmds_schema_field(schema, 0);
    bool is_span = field->kind == CMDS_KIND_STRING || field->kind == CMDS_KIND_BYTES;
    if (!is_span || field->shape != CMDS_SHAPE_ONE) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "codec %s: %s.%s is neither a cmds_bytes nor a cmds_string", self->name,
                schema->name, field->name);
    }
    if (schema->field_count > 1) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "codec %s: %s has a second field, %s; it carries one", self->name, schema->name,
                cmds_schema_field(schema, 1)->name);
    }
    return 0;
}

static int64_t raw_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    if (type->schema->field_count == 0) {
        return 0;
    }
    const struct cmds_field *field = cmds_schema_field(type->schema, 0);
    struct cmds_bytes bytes;
    memcpy(&bytes, (const char *)value + field->offset, sizeof(bytes));
    if (bytes.size > (field->size_max != 0 ? field->size_max : UINT32_MAX)) {
        return CMDS_E_LIMIT;
    }
    return bytes.data == NULL && bytes.size > 0 ? -EINVAL : (int64_t)bytes.size;
}

static uint8_t *raw_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    if (size == 0) {
        return out;
    }
    const struct cmds_field *field = cmds_schema_field(type->schema, 0);
    struct cmds_bytes bytes;
    memcpy(&bytes, (const char *)value + field->offset, sizeof(bytes));
    memcpy(out, bytes.data, size);
    return out + size;
}

static int64_t raw_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self, (void)arena;
    if (type->schema->field_count == 0) {
        return in.size == 0 ? 0 : CMDS_E_PROTO;
    }
    const struct cmds_field *field = cmds_schema_field(type->schema, 0);
    if (field->size_max != 0 && in.size > field->size_max) {
        return CMDS_E_LIMIT;
    }
    memcpy((char *)value + field->offset, &in, sizeof(in));
    return (int64_t)in.size;
}
_Static_assert(sizeof(struct cmds_string) == sizeof(struct cmds_bytes) &&
                       offsetof(struct cmds_string, size) == offsetof(struct cmds_bytes, size),
        "a field of either is read as bytes");

const struct cmds_codec cmds_codec_raw = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "raw",
        .check = raw_check,
        .size = raw_size,
        .encode = raw_encode,
        .decode = raw_decode,
};
