/* SPDX-License-Identifier: MIT */
/*
 * Where a deep copy goes: one block, filled piece by piece, or nothing, to learn how large it must
 * be. The same walk does both. For the core and for codecs that copy values of their own.
 */
#ifndef CMDI_CODEC_COPIER_H
#define CMDI_CODEC_COPIER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cmdi_copier {
    uint8_t *block;  // NULL: only counts.
    size_t size_max; // Of the block.
    size_t used;     // SIZE_MAX once it was too small.
};

/** Room for size bytes, filled from `from`. NULL while counting, and where it is too small. */
static inline void *cmdi_copier_take(
        struct cmdi_copier *copier, size_t align, size_t size, const void *from)
{
    size_t at = (copier->used + (align - 1)) & ~(align - 1); // Wraps to 0 from SIZE_MAX.
    if (copier->used == SIZE_MAX || at > copier->size_max || size > copier->size_max - at) {
        copier->used = SIZE_MAX;
        return NULL;
    }
    copier->used = at + size;
    if (copier->block == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(copier->block + at, from, size);
    }
    return copier->block + at;
}

#endif
