/* SPDX-License-Identifier: MIT */
/* Protobuf's fields on the wire: a tag that says number and form ("wire type"), and a value. */
#ifndef CMDI_PROTOBUF_WIRE_H
#define CMDI_PROTOBUF_WIRE_H

#include <cmdstream/schema.h>

#include "base/hint.h"
#include "common/value.h"
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

/** What cmdi_protobuf_next() leaves over: all that it has not taken. */
int cmdi_protobuf_next_slow(
        const uint8_t **at, const uint8_t *end, struct cmdi_protobuf_field *field);

/** The number and form of a tag of one or two bytes. Returns: how many; 0: it has more, or is cut. */
static inline unsigned cmdi_protobuf_short_tag(
        const uint8_t *at, const uint8_t *end, uint32_t *number, uint8_t *form)
{
    uint32_t tag = at[0];
    unsigned size = 1;
    if (tag > 0x7f) {
        if (end - at < 2 || at[1] > 0x7f) {
            return 0;
        }
        tag = (tag & 0x7f) | (uint32_t)at[1] << 7;
        size = 2;
    }
    *number = tag >> 3;
    *form = (uint8_t)(tag & 7);
    return size;
}

/**
 * The field at *at, before `end`.
 *
 * Returns: 0, and *at is behind it; CMDS_E_PROTO; CMDS_E_LIMIT: too many groups inside each other.
 */
static inline int cmdi_protobuf_next(
        const uint8_t **at, const uint8_t *end, struct cmdi_protobuf_field *field)
{
    unsigned tag_size = cmdi_protobuf_short_tag(*at, end, &field->number, &field->form);
    if (CMDI_UNLIKELY(tag_size == 0 || field->number == 0)) {
        return cmdi_protobuf_next_slow(at, end, field);
    }
    const uint8_t *from = *at + tag_size;
    uint64_t size = 0;
    int used = 0;
    if (field->form == CMDI_PROTOBUF_VARINT) {
        used = cmdi_leb_read(from, end, &field->value);
    } else if (field->form == CMDI_PROTOBUF_BYTES) {
        used = cmdi_leb_read_size(from, end, &size);
        used = used > 0 && size <= (size_t)(end - from - used) ? used : 0;
        field->bytes = (struct cmds_bytes){from + used, (size_t)size};
    } else if (field->form == CMDI_PROTOBUF_64 && end - from >= 8) {
        field->value = cmdi_fixed_read(from, 8);
        used = 8;
    }
    if (CMDI_UNLIKELY(used <= 0)) {
        return cmdi_protobuf_next_slow(at, end, field);
    }
    *at = from + used + size;
    return 0;
}

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

/** Of a number: the bits that say whether it is zero, and of all but floats the varint. */
static CMDI_INLINED uint64_t cmdi_protobuf_number(uint8_t kind, const uint8_t *at)
{
    switch (kind) {
    case CMDS_KIND_BOOL:
        return *at != 0;
    case CMDS_KIND_F32:
        return CMDI_LOAD(uint32_t, at);
    case CMDS_KIND_F64:
        return CMDI_LOAD(uint64_t, at);
    default:
        return cmdi_integer_load(kind, at);
    }
}

#endif
