/* SPDX-License-Identifier: MIT */
/*
 * The codec `protobuf`: the table of its functions. Whether a type is one of protobuf-c's shows in
 * its descriptor. Any thread.
 */
#include "protobuf/protobuf.h"

#include "common/refuse.h"
#include "common/value.h"

static int schema_check(const struct cmds_schema *schema, struct cmds_error *error)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->kind == CMDS_KIND_STRUCT) {
            code = schema_check(row->nested, error);
        } else if (!cmdi_protobuf_has_row(row)) {
            code = cmdi_refuse(error,
                    "codec protobuf: %s.%s: a map that is repeated is not in proto3", schema->name,
                    row->name);
        }
    }
    return code;
}

static int protobuf_check(
        const struct cmds_codec *self, const struct cmds_type *type, struct cmds_error *error)
{
    (void)self;
    return type->descriptor != NULL ? cmdi_message_check(type, error)
                                    : schema_check(type->schema, error);
}

static int64_t protobuf_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    return type->descriptor != NULL ? cmdi_message_size(type, value)
                                    : cmdi_protobuf_size(type->schema, value);
}

static uint8_t *protobuf_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    return type->descriptor != NULL ? cmdi_message_write(value, out)
                                    : cmdi_protobuf_write(type->schema, value, out, size);
}

static int64_t protobuf_try_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    return type->descriptor != NULL ? -ENOBUFS : cmdi_protobuf_try(type->schema, value, out, room);
}

static int64_t protobuf_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    static const uint8_t nothing[1];
    (void)self;
    in.data = in.data != NULL ? in.data : nothing;
    return type->descriptor != NULL ? cmdi_message_read(type, in, arena, value)
                                    : cmdi_protobuf_read(type->schema, in, arena, value);
}

const struct cmds_codec cmds_codec_protobuf = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .flags = CMDS_CODEC_DESCRIPTORS,
        .name = "protobuf",
        .check = protobuf_check,
        .size = protobuf_size,
        .encode = protobuf_encode,
        .decode = protobuf_decode,
        .try_encode = protobuf_try_encode,
};
