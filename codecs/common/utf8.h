/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as Go checks it: no overlong form, no surrogate, nothing above U+10FFFF.
 *
 * Where text is mostly ASCII, 32 bytes are examined in one step.
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

/** How many of these are ASCII, in whole steps: the rest is examined one by one. */
static inline size_t cmdi_ascii_prefix(const uint8_t *at, size_t size)
{
    uint64_t words[4];
    size_t used = 0;
    while (size - used >= sizeof(words)) {
        memcpy(words, at + used, sizeof(words));
        if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080u) != 0) {
            break;
        }
        used += sizeof(words);
    }
    return used;
}

static inline bool cmdi_utf8_is_valid(const void *data, size_t size)
{
    const uint8_t *at = data;
    const uint8_t *end = size > 0 ? at + size : at;
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
