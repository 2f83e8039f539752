/* SPDX-License-Identifier: MIT */
/* See reply.h. */
#include "otel/reply.h"

#include <errno.h>

#include "base/assert.h"

enum {
    RESPONSE_PARTIAL_SUCCESS = 1,
    PARTIAL_REJECTED = 1,
    PARTIAL_MESSAGE = 2,
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_SIZED = 2,
    WIRE_FIXED32 = 5,
};

enum cmdi_verdict cmdi_reply_verdict(long status)
{
    switch (status) {
    case 0:
    case 429:
    case 502:
    case 503:
    case 504:
        return CMDI_VERDICT_AGAIN;
    default:
        return status >= 200 && status < 300 ? CMDI_VERDICT_SENT : CMDI_VERDICT_LOST;
    }
}

int64_t cmdi_reply_delay_ms(
        uint32_t tries, uint64_t retry_after_ms, uint64_t random, uint64_t spent_ms)
{
    CMDI_ASSERT(tries > 0);
    uint64_t delay_ms = CMDI_RETRY_MAX_MS;
    if (retry_after_ms > 0) {
        delay_ms = retry_after_ms;
    } else if (tries <= 4) {
        delay_ms = (uint64_t)CMDI_RETRY_FIRST_MS << (tries - 1);
    }
    // Of a back-off, from a half to the whole of it; of what was asked for, a tenth more at most.
    delay_ms = retry_after_ms > 0 ? delay_ms + random % (delay_ms / 10 + 1)
                                  : delay_ms - random % (delay_ms / 2 + 1);
    if (spent_ms > CMDI_RETRY_FOR_MS || delay_ms > CMDI_RETRY_FOR_MS - spent_ms) {
        return -ETIMEDOUT;
    }
    return (int64_t)delay_ms;
}

/* ---- The body -------------------------------------------------------------------------------- */

struct field {
    uint64_t number, wire;
    uint64_t value;          // Of a number.
    struct cmds_bytes bytes; // Of what has a size.
};

static int take_varint(struct cmds_bytes *left, uint64_t *value)
{
    const uint8_t *bytes = left->data;
    *value = 0;
    for (size_t i = 0; i < left->size && i < 10; i++) {
        if (i == 9 && bytes[i] > 1) {
            return CMDS_E_PROTO;
        }
        *value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *left = (struct cmds_bytes){bytes + i + 1, left->size - i - 1};
            return 0;
        }
    }
    return CMDS_E_PROTO;
}

static int take_bytes(struct cmds_bytes *left, uint64_t size, struct cmds_bytes *bytes)
{
    if (size > left->size) {
        return CMDS_E_PROTO;
    }
    *bytes = (struct cmds_bytes){left->data, (size_t)size};
    *left = (struct cmds_bytes){(const uint8_t *)left->data + size, left->size - (size_t)size};
    return 0;
}

/* Returns: 1; 0: nothing is left; CMDS_E_PROTO. */
static int take_field(struct cmds_bytes *left, struct field *field)
{
    uint64_t tag;
    if (left->size == 0) {
        return 0;
    }
    int code = take_varint(left, &tag);
    *field = (struct field){.number = tag >> 3, .wire = tag & 7};
    if (code < 0 || field->number == 0) {
        return CMDS_E_PROTO;
    }
    switch (field->wire) {
    case WIRE_VARINT:
        code = take_varint(left, &field->value);
        break;
    case WIRE_SIZED:
        code = take_varint(left, &field->value);
        code = code < 0 ? code : take_bytes(left, field->value, &field->bytes);
        break;
    case WIRE_FIXED64:
    case WIRE_FIXED32:
        code = take_bytes(left, field->wire == WIRE_FIXED64 ? 8 : 4, &field->bytes);
        break;
    default:
        code = CMDS_E_PROTO;
        break;
    }
    return code < 0 ? code : 1;
}

static int read_partial(struct cmds_bytes body, struct cmdi_partial *partial)
{
    struct field field;
    int code;
    while ((code = take_field(&body, &field)) > 0) {
        if (field.number == PARTIAL_REJECTED && field.wire == WIRE_VARINT) {
            partial->rejected = field.value > INT64_MAX ? 0 : field.value;
        } else if (field.number == PARTIAL_MESSAGE && field.wire == WIRE_SIZED) {
            partial->message = (struct cmds_string){field.bytes.data, field.bytes.size};
        }
    }
    return code;
}

int cmdi_reply_read(struct cmds_bytes body, struct cmdi_partial *partial)
{
    struct field field;
    struct cmdi_partial read = {.message = {"", 0}};
    int code;
    *partial = read;
    while ((code = take_field(&body, &field)) > 0) {
        if (field.number == RESPONSE_PARTIAL_SUCCESS && field.wire == WIRE_SIZED &&
                read_partial(field.bytes, &read) < 0) {
            return CMDS_E_PROTO;
        }
    }
    if (code == 0) {
        *partial = read;
    }
    return code;
}
