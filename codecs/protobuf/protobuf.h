/* SPDX-License-Identifier: MIT */
/*
 * The parts of the Protobuf codec: values by a schema, which is the library's own code, and
 * messages of protobuf-c by their descriptors. Both skip what they do not know by the same reader
 * of fields. No state, any thread.
 */
#ifndef CMDI_PROTOBUF_PROTOBUF_H
#define CMDI_PROTOBUF_PROTOBUF_H

#include <cmdstream/codec_protobuf.h>

#include "common/varint.h"

enum cmdi_wire_type {
    CMDI_WIRE_VARINT,
    CMDI_WIRE_64,
    CMDI_WIRE_BYTES,
    CMDI_WIRE_GROUP,
    CMDI_WIRE_GROUP_END,
    CMDI_WIRE_32,
};

/** One field as it lies in the input. */
struct cmdi_wire_field {
    uint32_t number;
    uint8_t type;            // Never CMDI_WIRE_GROUP_END: a group is one field, and skipped.
    uint64_t value;          // Of a varint, 64 or 32 bits.
    struct cmds_bytes bytes; // CMDI_WIRE_BYTES.
};

/**
 * The field at *at, before `end`.
 *
 * Returns: 0, and *at is behind it; CMDS_E_PROTO; CMDS_E_LIMIT: too many groups inside each other.
 */
int cmdi_wire_next(const uint8_t **at, const uint8_t *end, struct cmdi_wire_field *field);

/* By schema. */
/** Of a number that is no varint, else 0. */
static inline size_t cmdi_wire_width(uint8_t kind)
{
    return kind == CMDS_KIND_F32 ? 4 : kind == CMDS_KIND_F64 ? 8 : 0;
}
static inline uint8_t cmdi_wire_type_of(uint8_t kind)
{
    if (kind >= CMDS_KIND_STRING) {
        return CMDI_WIRE_BYTES;
    }
    return kind == CMDS_KIND_F32   ? CMDI_WIRE_32
           : kind == CMDS_KIND_F64 ? CMDI_WIRE_64
                                   : CMDI_WIRE_VARINT;
}
/** proto3 has maps, but no lists of them, and none that may be absent. */
static inline bool cmdi_protobuf_has_row(const struct cmds_field *row)
{
    return row->kind != CMDS_KIND_MAP || row->shape == CMDS_SHAPE_ONE;
}
int64_t cmdi_protobuf_size(const struct cmds_schema *schema, const uint8_t *value);
uint8_t *cmdi_protobuf_write(const struct cmds_schema *schema, const uint8_t *value, uint8_t *out);
int64_t cmdi_protobuf_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value);

/* By descriptor. */
int cmdi_message_check(const struct cmds_type *type, struct cmds_error *error);
int64_t cmdi_message_size(const struct cmds_type *type, const void *value);
uint8_t *cmdi_message_write(const void *value, uint8_t *out);
int64_t cmdi_message_read(
        const struct cmds_type *type, struct cmds_bytes in, struct cmds_arena *arena, void *value);

#endif
