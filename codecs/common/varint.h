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
 * its own that cannot call the core's hidden functions, and here numbers of all sizes follow each other.
 */
#ifndef CMDI_COMMON_VARINT_H
#define CMDI_COMMON_VARINT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hint.h"

enum {
    CMDI_LEB_SIZE_MAX = 10,
};

static inline int64_t cmdi_leb_size(uint64_t value)
{
    unsigned highest = 63u - (unsigned)__builtin_clzll(value | 1);
    return (int64_t)((highest * 9u + 73u) >> 6); // highest / 7 + 1 for 0..63.
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

/** Eight groups of seven bits, each into a byte of its own; and back. In three steps. */
static inline uint64_t cmdi_leb_spread(uint64_t value)
{
    value = (value & 0x00fffffff0000000u) << 4 | (value & 0x000000000fffffffu);
    value = (value & 0x0fffc0000fffc000u) << 2 | (value & 0x00003fff00003fffu);
    return (value & 0x3f803f803f803f80u) << 1 | (value & 0x007f007f007f007fu);
}

static inline uint64_t cmdi_leb_gather(uint64_t word)
{
    word = (word & 0x7f007f007f007f00u) >> 1 | (word & 0x007f007f007f007fu);
    word = (word & 0x3fff00003fff0000u) >> 2 | (word & 0x00003fff00003fffu);
    return (word & 0x0fffffff00000000u) >> 4 | (word & 0x000000000fffffffu);
}

/**
 * The same as cmdi_leb_write() where CMDI_LEB_SIZE_MAX bytes may be written: those behind the end
 * become something, too. No loop, whose end would be guessed wrongly for numbers of every size.
 */
static inline uint8_t *cmdi_leb_write_wide(uint8_t *out, uint64_t value)
{
    if (value < 0x80) {
        *out = (uint8_t)value;
        return out + 1;
    }
    uint64_t word = cmdi_leb_spread(value);
    if (value >> 56 != 0) {
        unsigned rest = (unsigned)(value >> 56), more = rest >> 7;
        word = htole64(word | 0x8080808080808080u);
        memcpy(out, &word, sizeof(word));
        out[8] = (uint8_t)rest; // Its highest bit says that a tenth byte follows.
        out[9] = (uint8_t)more;
        return out + 9 + more;
    }
    unsigned last = (unsigned)(cmdi_leb_size(value) - 1); // 1 to 7.
    word = htole64(word | (0x8080808080808080u >> (64 - 8 * last)));
    memcpy(out, &word, sizeof(word));
    return out + last + 1;
}

/* A byte at a time: what is refused, cut, or stands near the end of the input. */
static __attribute__((noinline, unused)) int cmdi_leb_read_slow(
        const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t sum = 0;
    size_t size = (size_t)(end - at);
    for (size_t i = 0; i < size && i < CMDI_LEB_SIZE_MAX; i++) {
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

/** Of two bytes or more, where CMDI_LEB_SIZE_MAX are there. Returns: as cmdi_leb_read(). */
static inline __attribute__((always_inline)) int cmdi_leb_read_wide(
        const uint8_t *at, uint64_t *value)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    word = le64toh(word);
    uint64_t ends = ~word & 0x8080808080808080u;
    if (ends != 0) {
        word &= (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7fu;
        *value = cmdi_leb_gather(word);
        return __builtin_ctzll(ends) / 8 + 1;
    }
    unsigned more = at[8] >> 7, tenth = at[9] & (0 - more);
    *value = cmdi_leb_gather(word & 0x7f7f7f7f7f7f7f7fu) | (uint64_t)(at[8] & 0x7f) << 56 |
             (uint64_t)tenth << 63;
    return tenth > 1 ? -1 : (int)(9 + more);
}

/** Returns: bytes used; 0: not whole; -1: more than 64 bits, or an eleventh byte. */
static inline __attribute__((always_inline)) int cmdi_leb_read(
        const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    if (CMDI_LIKELY(at < end && *at < 0x80)) {
        *value = *at;
        return 1;
    }
    return CMDI_LIKELY(end - at >= CMDI_LEB_SIZE_MAX) ? cmdi_leb_read_wide(at, value)
                                                      : cmdi_leb_read_slow(at, end, value);
}

/** The same of a size of something: mostly one or two bytes. */
static inline __attribute__((always_inline)) int cmdi_leb_read_size(
        const uint8_t *at, const uint8_t *end, uint64_t *size)
{
    if (CMDI_LIKELY(end - at >= 2 && (at[0] & at[1]) < 0x80)) {
        unsigned more = at[0] >> 7;
        *size = (at[0] & 0x7fu) | (at[1] & (0 - more)) << 7;
        return 1 + (int)more;
    }
    return cmdi_leb_read_slow(at, end, size);
}

static inline uint8_t *cmdi_leb_write_size(uint8_t *out, uint64_t size)
{
    if (CMDI_LIKELY(size < 0x80)) {
        *out = (uint8_t)size;
        return out + 1;
    }
    if (CMDI_LIKELY(size < 0x4000)) {
        out[0] = (uint8_t)(size | 0x80);
        out[1] = (uint8_t)(size >> 7);
        return out + 2;
    }
    return cmdi_leb_write(out, size);
}

/** `size`: 4 or 8. */
static inline uint64_t cmdi_fixed_read(const uint8_t *at, size_t size)
{
    uint32_t four;
    uint64_t eight;
    if (size == sizeof(four)) {
        memcpy(&four, at, sizeof(four));
        return le32toh(four);
    }
    memcpy(&eight, at, sizeof(eight));
    return le64toh(eight);
}

static inline uint8_t *cmdi_fixed_write(uint8_t *out, uint64_t bits, size_t size)
{
    uint32_t four = htole32((uint32_t)bits);
    uint64_t eight = htole64(bits);
    if (size == sizeof(four)) {
        memcpy(out, &four, sizeof(four));
    } else {
        memcpy(out, &eight, sizeof(eight));
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
