/* SPDX-License-Identifier: MIT */
/*
 * Unsigned LEB128: seven bits a byte, least significant first, the high bit says that more follow.
 * Ten bytes at most; we accept what is longer than needed (as Go does) and always write the
 * shortest form.
 */
#ifndef CMDI_WIRE_VARINT_H
#define CMDI_WIRE_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hint.h"

enum {
    CMDI_VARINT_SIZE_MAX = 10,
};

/**
 * One that does not fit 64 bits, or has an eleventh byte: CMDS_E_PROTO. Returns: bytes used; 0: not
 * whole yet.
 */
int cmdi_varint_decode_slow(const uint8_t *data, size_t size, uint64_t *value);

/**
 * Up to eight bytes at once: a sequence soon has four, and a loop over them costs more than the
 * rest of the header. The first clear high bit ends the varint; what is behind it is masked away,
 * and the groups of seven bits move together in three steps.
 * Returns: bytes used; 0: more than eight.
 */
static inline int cmdi_varint_decode_word(uint64_t word, uint64_t *value)
{
    uint64_t ends = ~word & 0x8080808080808080u;
    if (ends == 0) {
        return 0;
    }
    word &= (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7fu;
    word = (word & 0x7f007f007f007f00u) >> 1 | (word & 0x007f007f007f007fu);
    word = (word & 0x3fff00003fff0000u) >> 2 | (word & 0x00003fff00003fffu);
    *value = (word & 0x0fffffff00000000u) >> 4 | (word & 0x000000000fffffffu);
    return __builtin_ctzll(ends) / 8 + 1;
}

static inline int cmdi_varint_decode(const uint8_t *data, size_t size, uint64_t *value)
{
    if (CMDI_LIKELY(size > 0 && data[0] < 0x80)) {
        *value = data[0];
        return 1;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (CMDI_LIKELY(size >= sizeof(uint64_t))) {
        uint64_t word;
        memcpy(&word, data, sizeof(word));
        int used = cmdi_varint_decode_word(word, value);
        if (used > 0) {
            return used;
        }
    }
#endif
    return cmdi_varint_decode_slow(data, size, value);
}

/** How many bytes encode writes. */
static inline size_t cmdi_varint_size(uint64_t value)
{
    unsigned highest = (unsigned)__builtin_clzll(value | 1) ^ 63;
    return (highest * 37u + 259u) >> 8; // ceil(bits / 7) for 1..64, which are one more.
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
