/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as Go checks it: no overlong form, no surrogate, nothing above U+10FFFF.
 *
 * Most text is ASCII and nothing else, which 64 bytes at a step are enough to see.
 */
#ifndef CMDI_COMMON_UTF8_H
#define CMDI_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hint.h"
#include "common/block.h"

/** The character at `at`, before `end`. Returns: its bytes, 1 to 4; 0: these bytes are none. */
static inline unsigned cmdi_utf8_size(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = *at;
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0;
    }
    unsigned size = 2u + (lead >= 0xe0) + (lead >= 0xf0);
    if ((size_t)(end - at) < size) {
        return 0;
    }
    // The second byte is where overlong forms, surrogates and numbers that are too large show.
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (unsigned i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

/** Are these, fewer than a block, all ASCII? Both ends are looked at, which may overlap. */
static inline bool cmdi_ascii_is_short(const uint8_t *at, size_t size)
{
    uint64_t first = 0, last = 0;
    if (size >= sizeof(first)) {
        memcpy(&first, at, sizeof(first));
        memcpy(&last, at + size - sizeof(last), sizeof(last));
    } else if (size >= sizeof(uint32_t)) {
        uint32_t four[2];
        memcpy(&four[0], at, sizeof(four[0]));
        memcpy(&four[1], at + size - sizeof(four[1]), sizeof(four[1]));
        first = four[0] | four[1];
    } else if (size > 0) {
        first = (uint64_t)(at[0] | at[size / 2] | at[size - 1]);
    }
    return ((first | last) & 0x8080808080808080u) == 0;
}

static inline __attribute__((always_inline)) cmdi_block cmdi_ascii_or_64(const uint8_t *at)
{
    return cmdi_block_load(at) | cmdi_block_load(at + 16) | cmdi_block_load(at + 32) |
           cmdi_block_load(at + 48);
}

/**
 * Are all of them ASCII? Nothing is decided before the end, and what is left behind the last step is
 * examined together with some that was examined before: so there is one branch that is hard to guess.
 */
static inline bool cmdi_ascii_is_all(const uint8_t *at, size_t size)
{
    if (size < sizeof(cmdi_block)) {
        return cmdi_ascii_is_short(at, size);
    }
    cmdi_block all = cmdi_block_load(at + size - sizeof(all));
    if (size >= 64) {
        const uint8_t *last = at + size - 64;
        all |= cmdi_ascii_or_64(last);
        for (; at < last; at += 64) {
            all |= cmdi_ascii_or_64(at);
        }
        return !cmdi_block_any(all);
    }
    for (size_t i = 0; size - i > sizeof(all); i += sizeof(all)) {
        all |= cmdi_block_load(at + i);
    }
    return !cmdi_block_any(all);
}

/** How many of these are ASCII, in whole steps: the rest is examined one by one. */
static inline size_t cmdi_ascii_prefix(const uint8_t *at, size_t size)
{
    size_t used = 0;
    while (size - used >= 32 &&
            !cmdi_block_any(cmdi_block_load(at + used) | cmdi_block_load(at + used + 16))) {
        used += 32;
    }
    return used;
}

static inline bool cmdi_utf8_is_valid(const void *data, size_t size)
{
    const uint8_t *at = data;
    if (CMDI_LIKELY(cmdi_ascii_is_all(at, size))) {
        return true;
    }
    const uint8_t *end = at + size;
    while (at < end) {
        at += cmdi_ascii_prefix(at, (size_t)(end - at));
        // Text that is not ASCII is not tried again for each of its characters.
        for (unsigned i = 0; i < 32 && at < end; i++) {
            unsigned used = cmdi_utf8_size(at, end);
            if (used == 0) {
                return false;
            }
            at += used;
        }
    }
    return true;
}

#endif
