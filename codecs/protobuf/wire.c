/* SPDX-License-Identifier: MIT */
/*
 * Single fields as they lie in the input. The schema's half and the descriptors' half of the codec
 * both read by it, so that both skip what they do not know in the same way. No state, any thread.
 */
#include "protobuf/wire.h"

#include "base/hint.h"
#include "common/value.h"

enum {
    NUMBER_MAX = (1 << 29) - 1,
    GROUP_NUMBER_MAX = INT32_MAX, // Go does not look closer at what it skips.
};

static int wire_tag(const uint8_t **at, const uint8_t *end, uint64_t number_max,
        struct cmdi_protobuf_field *field)
{
    uint64_t tag = 0;
    int used = cmdi_leb_read(*at, end, &tag);
    if (CMDI_UNLIKELY(used <= 0 || tag >> 3 == 0 || tag >> 3 > number_max)) {
        return CMDS_E_PROTO;
    }
    *at += used;
    field->number = (uint32_t)(tag >> 3);
    field->form = (uint8_t)(tag & 7);
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
static inline int wire_value(
        const uint8_t **at, const uint8_t *end, struct cmdi_protobuf_field *field)
{
    uint64_t size = 0;
    int used;
    switch (field->form) {
    case CMDI_PROTOBUF_VARINT:
        used = cmdi_leb_read(*at, end, &field->value);
        *at += used > 0 ? used : 0;
        return used > 0 ? 0 : CMDS_E_PROTO;
    case CMDI_PROTOBUF_64:
        return wire_fixed(at, end, 8, &field->value);
    case CMDI_PROTOBUF_32:
        return wire_fixed(at, end, 4, &field->value);
    case CMDI_PROTOBUF_BYTES:
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
        struct cmdi_protobuf_field field = {0};
        int code = wire_tag(at, end, GROUP_NUMBER_MAX, &field);
        if (code < 0) {
            return code;
        }
        if (field.form == CMDI_PROTOBUF_GROUP) {
            if (depth == CMDI_DEPTH_MAX) {
                return CMDS_E_LIMIT;
            }
            open[depth++] = field.number;
        } else if (field.form == CMDI_PROTOBUF_GROUP_END) {
            if (open[--depth] != field.number) {
                return CMDS_E_PROTO;
            }
        } else if (wire_value(at, end, &field) < 0) {
            return CMDS_E_PROTO;
        }
    }
    return 0;
}

int cmdi_protobuf_next_slow(
        const uint8_t **at, const uint8_t *end, struct cmdi_protobuf_field *field)
{
    int code = wire_tag(at, end, NUMBER_MAX, field);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    return CMDI_UNLIKELY(field->form == CMDI_PROTOBUF_GROUP)
                   ? wire_skip_group(at, end, field->number)
                   : wire_value(at, end, field);
}
