/* SPDX-License-Identifier: MIT */
/*
 * Text in windows of 64 bytes: where something is in one is known before the first of it is read or
 * written, so that nothing waits for what was before it. No state, any thread.
 */
#ifndef CMDI_JSON_WINDOW_H
#define CMDI_JSON_WINDOW_H

#include "base/hint.h"
#include "common/block.h"

enum {
    CMDI_JSON_WINDOW = 64,
    // So much of the input may be read for one, and of the output written: a copy may begin with its last byte.
    CMDI_JSON_WINDOW_ROOM = CMDI_JSON_WINDOW + CMDI_JSON_WINDOW / 2,
};

/** A bit for each byte. */
struct cmdi_json_window {
    uint64_t escapes; // What is an escape, or becomes one.
    uint64_t odd;     // What is for the long way; it may be in both.
};

/** Of four blocks, one behind the other. */
CMDI_BLOCK_INLINED_ struct cmdi_json_window cmdi_json_window_join(struct cmdi_json_window first,
        struct cmdi_json_window second, struct cmdi_json_window third,
        struct cmdi_json_window fourth)
{
    return (struct cmdi_json_window){
            first.escapes | second.escapes << 16 | third.escapes << 32 | fourth.escapes << 48,
            first.odd | second.odd << 16 | third.odd << 32 | fourth.odd << 48};
}

/** Of a window, or of a block; more than `size` bytes are copied, up to half a window or a block. */
CMDI_BLOCK_INLINED_ void cmdi_json_window_copy(
        uint8_t *out, const uint8_t *at, size_t size, size_t width)
{
    const size_t half = width > sizeof(cmdi_block) ? width / 2 : width;
    memcpy(out, at, half);
    if (CMDI_UNLIKELY(size > half)) {
        memcpy(out + half, at + half, half);
    }
}

#endif
