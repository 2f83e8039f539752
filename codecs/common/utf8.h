/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as Go checks it: no overlong form, no surrogate, nothing above U+10FFFF.
 *
 * Where text is mostly ASCII, eight bytes are looked at in one step.
 */
#ifndef CMDI_COMMON_UTF8_H
#define CMDI_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static inline bool cmdi_utf8_is_valid(const void *data, size_t size)
{
    const uint8_t *at = data;
    const uint8_t *end = size > 0 ? at + size : at;
    while (at < end) {
        uint64_t word;
        if (end - at >= (ptrdiff_t)sizeof(word)) {
            memcpy(&word, at, sizeof(word));
            if ((word & 0x8080808080808080u) == 0) {
                at += sizeof(word);
                continue;
            }
        }
        unsigned used = cmdi_utf8_size(at, end);
        if (used == 0) {
            return false;
        }
        at += used;
    }
    return true;
}

#endif
