/* SPDX-License-Identifier: MIT */
/*
 * Names and other texts of 1 to 16 bytes, without a loop and without a call: the first and the last ones
 * are taken together, and may overlap. Nothing before or behind them is touched. No state, any thread.
 */
#ifndef CMDI_COMMON_SHORT_H
#define CMDI_COMMON_SHORT_H

#include "common/block.h"

enum {
    CMDI_SHORT_MAX = 16,
};

/** Both ends of the text, as two numbers; of fewer than four bytes the middle one is in the second. */
struct cmdi_short {
    uint64_t first, last;
};

CMDI_BLOCK_INLINED_ struct cmdi_short cmdi_short_load(const void *from, size_t size)
{
    const uint8_t *at = from;
    struct cmdi_short text = {0, 0};
    if (size >= sizeof(uint64_t)) {
        memcpy(&text.first, at, sizeof(text.first));
        memcpy(&text.last, at + size - sizeof(text.last), sizeof(text.last));
    } else if (size >= sizeof(uint32_t)) {
        uint32_t first, last;
        memcpy(&first, at, sizeof(first));
        memcpy(&last, at + size - sizeof(last), sizeof(last));
        text = (struct cmdi_short){first, last};
    } else {
        text.first = at[0];
        text.last = (uint64_t)at[size / 2] | (uint64_t)at[size - 1] << 8;
    }
    return text;
}

CMDI_BLOCK_INLINED_ void cmdi_short_store(uint8_t *to, size_t size, struct cmdi_short text)
{
    if (size >= sizeof(uint64_t)) {
        memcpy(to, &text.first, sizeof(text.first));
        memcpy(to + size - sizeof(text.last), &text.last, sizeof(text.last));
    } else if (size >= sizeof(uint32_t)) {
        uint32_t first = (uint32_t)text.first, last = (uint32_t)text.last;
        memcpy(to, &first, sizeof(first));
        memcpy(to + size - sizeof(last), &last, sizeof(last));
    } else {
        to[0] = (uint8_t)text.first;
        to[size / 2] = (uint8_t)text.last;
        to[size - 1] = (uint8_t)(text.last >> 8);
    }
}

CMDI_BLOCK_INLINED_ bool cmdi_short_is_same(const void *a, const void *b, size_t size)
{
    struct cmdi_short left = cmdi_short_load(a, size), right = cmdi_short_load(b, size);
    return ((left.first ^ right.first) | (left.last ^ right.last)) == 0;
}

#endif
