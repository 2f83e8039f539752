/* SPDX-License-Identifier: MIT */
/*
 * The codec `protobuf`: the table of its functions, and the reader of single fields that both of
 * its halves stand on.
 *
 * Whether a type is one of protobuf-c's shows in its descriptor. Any thread.
 */
#include "protobuf/protobuf.h"

#include "common/refuse.h"
#include "common/value.h"

enum {
    NUMBER_MAX = (1 << 29) - 1,
    GROUP_NUMBER_MAX = INT32_MAX, // Go does not look closer at what it skips.
};

static int wire_tag(
        const uint8_t **at, const uint8_t *end, uint64_t number_max, struct cmdi_wire_field *field)
{
    uint64_t tag = 0;
    int used = cmdi_leb_read(*at, end, &tag);
    if (CMDI_RARELY(used <= 0 || tag >> 3 == 0 || tag >> 3 > number_max)) {
        return CMDS_E_PROTO;
    }
    *at += used;
    field->number = (uint32_t)(tag >> 3);
    field->type = (uint8_t)(tag & 7);
    return 0;
}

static int wire_fixed(const uint8_t **at, const uint8_t *end, size_t size, uint64_t *value)
{
    if ((size_t)(end - *at) < size) {
        return CMDS_E_PROTO;
    }
    *value = cmdi_fixed_read(*at, size);
    *at += size;
    return 0;
}

/* What stands behind a tag that opens no group. */
static inline int wire_value(const uint8_t **at, const uint8_t *end, struct cmdi_wire_field *field)
{
    uint64_t size = 0;
    int used;
    switch (field->type) {
    case CMDI_WIRE_VARINT:
        used = cmdi_leb_read(*at, end, &field->value);
        *at += used > 0 ? used : 0;
        return used > 0 ? 0 : CMDS_E_PROTO;
    case CMDI_WIRE_64:
        return wire_fixed(at, end, 8, &field->value);
    case CMDI_WIRE_32:
        return wire_fixed(at, end, 4, &field->value);
    case CMDI_WIRE_BYTES:
        used = cmdi_leb_read(*at, end, &size);
        if (used <= 0 || size > (size_t)(end - *at - used)) {
            return CMDS_E_PROTO;
        }
        field->bytes = (struct cmds_bytes){*at + used, (size_t)size};
        *at += (size_t)used + (size_t)size;
        return 0;
    default:
        return CMDS_E_PROTO;
    }
}

/* To the end of the group that a tag has just opened. Each level is ended by its own number. */
static int wire_skip_group(const uint8_t **at, const uint8_t *end, uint32_t number)
{
    uint32_t open[CMDI_DEPTH_MAX];
    size_t depth = 1;
    open[0] = number;
    while (depth > 0) {
        struct cmdi_wire_field field = {0};
        int error = wire_tag(at, end, GROUP_NUMBER_MAX, &field);
        if (error < 0) {
            return error;
        }
        if (field.type == CMDI_WIRE_GROUP) {
            if (depth == CMDI_DEPTH_MAX) {
                return CMDS_E_LIMIT;
            }
            open[depth++] = field.number;
        } else if (field.type == CMDI_WIRE_GROUP_END) {
            if (open[--depth] != field.number) {
                return CMDS_E_PROTO;
            }
        } else if (wire_value(at, end, &field) < 0) {
            return CMDS_E_PROTO;
        }
    }
    return 0;
}

int cmdi_wire_next(const uint8_t **at, const uint8_t *end, struct cmdi_wire_field *field)
{
    int error = wire_tag(at, end, NUMBER_MAX, field);
    if (CMDI_RARELY(error < 0)) {
        return error;
    }
    return CMDI_RARELY(field->type == CMDI_WIRE_GROUP) ? wire_skip_group(at, end, field->number)
                                                       : wire_value(at, end, field);
}

/* --- The table -------------------------------------------------------------------------------- */

static int schema_check(const struct cmds_schema *schema, struct cmds_error *error)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (row->kind == CMDS_KIND_STRUCT) {
            code = schema_check(row->nested, error);
        } else if (!cmdi_protobuf_has_row(row)) {
            code = cmdi_refuse(error,
                    "codec protobuf: %s.%s: a map that is repeated or optional is not in proto3",
                    schema->name, row->name);
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
    (void)self, (void)size; // What size() said.
    return type->descriptor != NULL ? cmdi_message_write(value, out)
                                    : cmdi_protobuf_write(type->schema, value, out);
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
};
