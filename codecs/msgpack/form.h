/* SPDX-License-Identifier: MIT */
/*
 * The shortest form of an item, and how it is stored, for both ways of writing.
 *
 * It is found without a branch that depends on the number, because sizes vary from value to value, and a
 * guess gone wrong costs more than the rest of the field; and always eight bytes are stored, over which the
 * next item is written. No state, any thread.
 */
#ifndef CMDI_MSGPACK_FORM_H
#define CMDI_MSGPACK_FORM_H

#include <endian.h>

#include "base/hint.h"
#include "common/value.h"

struct form {
    uint8_t head, mask; // The first byte, and what of the number is in it.
    uint8_t shift;      // Brings the number behind it to the upper end of 64 bits.
    uint8_t size;       // Of both.
};

#define FIX(head, mask)                                                                            \
    {                                                                                              \
        (head), (mask), 0, 1                                                                       \
    }
#define WIDE(head, width)                                                                          \
    {                                                                                              \
        (head), 0, 64 - 8 * (width), 1 + (width)                                                   \
    }

/* By how many of the borders a number passes. Those of negative integers stand behind the others. */
static const struct form integer_forms[16] = {FIX(0, 0x7f), WIDE(CMDS_HEAD_UINT8_, 1),
        WIDE(CMDS_HEAD_UINT8_ + 1, 2), WIDE(CMDS_HEAD_UINT8_ + 2, 4),
        WIDE(CMDS_HEAD_UINT8_ + 3, 8), [8] = FIX(CMDS_HEAD_FIXNEGATIVE_, 0x1f),
        WIDE(CMDS_HEAD_INT8_, 1), WIDE(CMDS_HEAD_INT8_ + 1, 2), WIDE(CMDS_HEAD_INT8_ + 2, 4),
        WIDE(CMDS_HEAD_INT64_, 8)};
static const struct form str_forms[] = {FIX(CMDS_HEAD_FIXSTR_, 0x1f), WIDE(CMDS_HEAD_STR8_, 1),
        WIDE(CMDS_HEAD_STR8_ + 1, 2), WIDE(CMDS_HEAD_STR32_, 4)};
static const struct form bin_forms[] = {
        WIDE(CMDS_HEAD_BIN8_, 1), WIDE(CMDS_HEAD_BIN8_ + 1, 2), WIDE(CMDS_HEAD_BIN32_, 4)};
static const struct form array_forms[] = {FIX(CMDS_HEAD_FIXARRAY_, 0x0f),
        WIDE(CMDS_HEAD_ARRAY16_, 2), WIDE(CMDS_HEAD_ARRAY16_ + 1, 4)};
static const struct form map_forms[] = {
        FIX(CMDS_HEAD_FIXMAP_, 0x0f), WIDE(CMDS_HEAD_MAP16_, 2), WIDE(CMDS_HEAD_MAP16_ + 1, 4)};

/* No search for the highest bit: where that is microcode it takes as long as the rest of the field. */
static CMDI_INLINED unsigned wide_borders(uint64_t number)
{
    return (unsigned)(number > UINT8_MAX) + (number > UINT16_MAX) + (number > UINT32_MAX);
}

static CMDI_INLINED const struct form *unsigned_form(uint64_t value)
{
    return &integer_forms[(value >= CMDS_HEAD_FIXMAP_) + wide_borders(value)];
}

/* Of a negative one the complement is looked at, twice as large, because one bit is the sign's. */
static CMDI_INLINED const struct form *signed_form(int64_t value)
{
    uint64_t sign = (uint64_t)(value >> 63), number = (uint64_t)value ^ sign;
    bool is_wide = (uint64_t)value + 32 >= CMDS_HEAD_FIXMAP_ + 32;
    return &integer_forms[(sign & 8) + is_wide + wide_borders(number + (number & sign))];
}

/* Of a length that has 32 bits at most. */
static CMDI_INLINED const struct form *str_form(size_t size)
{
    return &str_forms[(size >= 32) + (size > UINT8_MAX) + (size > UINT16_MAX)];
}

static CMDI_INLINED const struct form *bin_form(size_t size)
{
    return &bin_forms[(size > UINT8_MAX) + (size > UINT16_MAX)];
}

/* Of an array or a map. */
static CMDI_INLINED const struct form *count_form(const struct form *forms, size_t count)
{
    return &forms[(count >= 16) + (count > UINT16_MAX)];
}

/* Of the eight bytes behind the first one those that the form has no use for are the next item's. */
static CMDI_INLINED uint8_t *put(uint8_t *out, const struct form *form, uint64_t number)
{
    uint64_t word = htobe64(number << form->shift);
    *out = (uint8_t)(form->head | (number & form->mask));
    memcpy(out + 1, &word, sizeof(word));
    return out + form->size;
}

/*
 * Names are short. Two loads that may lie over each other take all lengths of 4 to 8 bytes, and of 8 to 16.
 */
static CMDI_INLINED uint8_t *write_name_body(uint8_t *out, const char *name, size_t size)
{
    if (size >= 4 && size <= 8) {
        CMDI_STORE(uint32_t, out, CMDI_LOAD(uint32_t, name));
        CMDI_STORE(uint32_t, out + size - 4, CMDI_LOAD(uint32_t, name + size - 4));
    } else if (size > 8 && size <= 16) {
        CMDI_STORE(uint64_t, out, CMDI_LOAD(uint64_t, name));
        CMDI_STORE(uint64_t, out + size - 8, CMDI_LOAD(uint64_t, name + size - 8));
    } else if (size > 0 && size < 4) {
        out[0] = (uint8_t)name[0];
        out[size / 2] = (uint8_t)name[size / 2];
        out[size - 1] = (uint8_t)name[size - 1];
    } else {
        memcpy(out, name, size);
    }
    return out + size;
}

/* Of a struct as a map, which leaves out what was removed. */
static inline size_t map_count(const struct cmds_schema *schema)
{
    size_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        count += cmds_schema_field(schema, i)->kind != CMDS_KIND_RESERVED;
    }
    return count;
}

#endif
