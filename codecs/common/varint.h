/* SPDX-License-Identifier: MIT */
/*
 * What values of MUS and of Protobuf are made of: unsigned LEB128, zigzag, which makes small
 * negative numbers short, bytes behind their size, and numbers of a fixed width, least significant
 * byte first whatever the machine.
 *
 * The shortest form is written; a longer one is read, as Go does, up to the ten bytes that 64 bits
 * can take.
 *
 * src/wire/varint.h is the same number in the frame's header. It is not shared: a codec is a library of
 * its own that cannot call the core's hidden functions, and its values are short and come one behind
 * the other, where the loop is as quick as the eight bytes at once that pay in a header.
 */
#ifndef CMDI_COMMON_VARINT_H
#define CMDI_COMMON_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hint.h"

static inline int64_t cmdi_leb_size(uint64_t value)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits * 37u + 222u) >> 8; // ceil(bits / 7) for 1..64.
}

static inline uint8_t *cmdi_leb_write(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/** Returns: bytes used; 0: not whole; -1: more than 64 bits, or an eleventh byte. */
static inline int cmdi_leb_read(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    if (CMDI_LIKELY(at < end && *at < 0x80)) {
        *value = *at;
        return 1;
    }
    uint64_t sum = 0;
    size_t size = (size_t)(end - at);
    for (size_t i = 0; i < size && i < 10; i++) {
        if (i == 9 && at[i] > 1) {
            return -1;
        }
        sum |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if (at[i] < 0x80) {
            *value = sum;
            return (int)i + 1;
        }
    }
    return 0; // Of ten bytes the last one ends the number or is refused.
}

/** Its size and the bytes themselves. */
static inline uint8_t *cmdi_leb_write_bytes(uint8_t *out, const void *data, size_t size)
{
    out = cmdi_leb_write(out, size);
    if (size > 0) {
        memcpy(out, data, size);
    }
    return out + size;
}

/** `size`: 4 or 8. */
static inline uint64_t cmdi_fixed_read(const uint8_t *at, size_t size)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits |= (uint64_t)at[i] << (8 * i);
    }
    return bits;
}

static inline uint8_t *cmdi_fixed_write(uint8_t *out, uint64_t bits, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(bits >> (8 * i));
    }
    return out + size;
}

static inline uint64_t cmdi_zigzag(uint64_t value)
{
    return (value << 1) ^ (uint64_t)((int64_t)value >> 63);
}

static inline uint64_t cmdi_unzigzag(uint64_t value)
{
    return (value >> 1) ^ (0 - (value & 1));
}

#endif
