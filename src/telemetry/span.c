/* SPDX-License-Identifier: MIT */
/*
 * The attributes of a span, one after the other:
 *
 *     the key's address, 8 bytes | the value's size, 2 bytes | the value
 *
 * unaligned, so that short ones take little.
 */
#include <cmdstream/trace.h>

#include "base/assert.h"

enum {
    ATTRIBUTE_HEAD = sizeof(const char *) + sizeof(uint16_t),
};

_Static_assert(sizeof(struct cmds_span_event) == 24 || sizeof(void *) != 8, "eight fit");

void cmds_span_set(struct cmds_span *span, const char *static_key, struct cmds_string value)
{
    CMDI_ASSERT(span->attribute_size <= CMDS_SPAN_ATTRIBUTES_MAX);
    size_t room = CMDS_SPAN_ATTRIBUTES_MAX - (size_t)span->attribute_size;
    if (room < ATTRIBUTE_HEAD || value.size > room - ATTRIBUTE_HEAD) {
        span->dropped_attributes =
                (uint8_t)(span->dropped_attributes + (span->dropped_attributes < UINT8_MAX));
        return;
    }
    const uint16_t size = (uint16_t)value.size;
    uint8_t *at = span->attributes + span->attribute_size;
    memcpy(at, &static_key, sizeof(static_key));
    memcpy(at + sizeof(static_key), &size, sizeof(size));
    if (size > 0) {
        memcpy(at + ATTRIBUTE_HEAD, value.data, size);
    }
    span->attribute_size = (uint16_t)(span->attribute_size + ATTRIBUTE_HEAD + size);
}

bool cmds_span_attribute(
        const struct cmds_span *span, uint32_t *at, const char **key, struct cmds_string *value)
{
    uint16_t size = 0;
    if (span->attribute_size > CMDS_SPAN_ATTRIBUTES_MAX || *at >= span->attribute_size ||
            span->attribute_size - *at < ATTRIBUTE_HEAD) {
        return false;
    }
    const uint8_t *from = span->attributes + *at;
    memcpy(&size, from + sizeof(*key), sizeof(size));
    if (size > span->attribute_size - *at - ATTRIBUTE_HEAD) {
        return false;
    }
    memcpy(key, from, sizeof(*key));
    *value = (struct cmds_string){(const char *)from + ATTRIBUTE_HEAD, size};
    *at += ATTRIBUTE_HEAD + size;
    return true;
}
