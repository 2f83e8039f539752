/* SPDX-License-Identifier: MIT */
/*
 * Unsigned LEB128: seven bits a byte, least significant first, the high bit says that more follow. Ten bytes at most; we
 * accept what is longer than needed (as Go does) and always write the shortest form.
 */
#ifndef CMDI_WIRE_VARINT_H
#define CMDI_WIRE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum {
    CMDI_VARINT_SIZE_MAX = 10,
};

/** One that does not fit 64 bits, or has an eleventh byte: CMDS_E_PROTO. Returns: bytes used; 0: not whole yet. */
int cmdi_varint_decode_slow(const uint8_t *data, size_t size, uint64_t *value);

static inline int cmdi_varint_decode(const uint8_t *data, size_t size, uint64_t *value)
{
    if (__builtin_expect(size > 0 && data[0] < 0x80, 1)) {
        *value = data[0];
        return 1;
    }
    if (size > 1 && data[1] < 0x80) {
        *value = (uint64_t)(data[0] & 0x7f) | (uint64_t)data[1] << 7;
        return 2;
    }
    return cmdi_varint_decode_slow(data, size, value);
}

/** How many bytes encode writes. */
static inline size_t cmdi_varint_size(uint64_t value)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits * 37u + 222u) >> 8; // ceil(bits / 7) for 1..64.
}

/** Room for CMDI_VARINT_SIZE_MAX bytes. Returns: the end. */
static inline uint8_t *cmdi_varint_encode(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

#endif
