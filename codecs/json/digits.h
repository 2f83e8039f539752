/* SPDX-License-Identifier: MIT */
/* Digits of the input as a number, eight at once where eight bytes are there. No state, any thread. */
#ifndef CMDI_JSON_DIGITS_H
#define CMDI_JSON_DIGITS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hint.h"

enum {
    CMDI_JSON_DIGITS_MAX = 19, // As many fit 64 bits.
};

/** How many of these eight bytes are digits, before the first that is none. Others become zero: see below. */
static inline unsigned cmdi_json_count_eight(const uint8_t *at, uint64_t *digits)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    word = le64toh(word) ^ 0x3030303030303030u; // Digits are below 10 now, and nothing else is.
    uint64_t others =
            (((word & 0x7f7f7f7f7f7f7f7fu) + 0x7676767676767676u) | word) & 0x8080808080808080u;
    if (others == 0) {
        *digits = word;
        return 8;
    }
    unsigned count = (unsigned)__builtin_ctzll(others) / 8;
    *digits = count > 0 ? word << (64 - 8 * count) : 0; // With zeros in front.
    return count;
}

/** The number that eight digits are: by twos, by fours, all of them. The first is in the lowest byte. */
static inline uint32_t cmdi_json_join_eight(uint64_t digits)
{
    digits = (digits * 10 + (digits >> 8)) & 0x00ff00ff00ff00ffu;
    digits = (digits * 100 + (digits >> 16)) & 0x0000ffff0000ffffu;
    return (uint32_t)(digits * 10000 + (digits >> 32));
}

/**
 * As many digits as there are behind those that *value has already, but no more than count_max.
 * Returns: where they end.
 */
static inline const uint8_t *cmdi_json_take_digits(
        const uint8_t *at, const uint8_t *end, size_t count_max, uint64_t *value)
{
    static const uint32_t powers[] = {
            1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const uint8_t *last = (size_t)(end - at) < count_max ? end : at + count_max;
    while (last - at >= 8) {
        uint64_t digits;
        unsigned count = cmdi_json_count_eight(at, &digits);
        *value = *value * powers[count] + cmdi_json_join_eight(digits);
        at += count;
        if (count < 8) {
            return at;
        }
    }
    for (; at < last && (uint8_t)(*at - '0') < 10; at++) {
        *value = *value * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

#endif
