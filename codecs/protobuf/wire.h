/* SPDX-License-Identifier: MIT */
/* Protobuf's fields on the wire: a tag that says number and form ("wire type"), and a value. */
#ifndef CMDI_PROTOBUF_WIRE_H
#define CMDI_PROTOBUF_WIRE_H

#include <cmdstream/schema.h>

#include "common/varint.h"

enum cmdi_protobuf_form {
    CMDI_PROTOBUF_VARINT,
    CMDI_PROTOBUF_64,
    CMDI_PROTOBUF_BYTES,
    CMDI_PROTOBUF_GROUP,
    CMDI_PROTOBUF_GROUP_END,
    CMDI_PROTOBUF_32,
};

/** One field as it lies in the input. */
struct cmdi_protobuf_field {
    uint32_t number;
    uint8_t form;            // Never CMDI_PROTOBUF_GROUP_END: a group is one field, and skipped.
    uint64_t value;          // Of a varint, 64 or 32 bits.
    struct cmds_bytes bytes; // CMDI_PROTOBUF_BYTES.
};

/**
 * The field at *at, before `end`.
 *
 * Returns: 0, and *at is behind it; CMDS_E_PROTO; CMDS_E_LIMIT: too many groups inside each other.
 */
int cmdi_protobuf_next(const uint8_t **at, const uint8_t *end, struct cmdi_protobuf_field *field);

/** Of a number that is no varint, else 0. */
static inline size_t cmdi_protobuf_width(uint8_t kind)
{
    return kind == CMDS_KIND_F32 ? 4 : kind == CMDS_KIND_F64 ? 8 : 0;
}
static inline uint8_t cmdi_protobuf_form_of(uint8_t kind)
{
    static const uint8_t forms[CMDS_KIND_STRING] = {
            [CMDS_KIND_F32] = CMDI_PROTOBUF_32, [CMDS_KIND_F64] = CMDI_PROTOBUF_64};
    return kind < CMDS_KIND_STRING ? forms[kind] : CMDI_PROTOBUF_BYTES;
}

#endif
