/* SPDX-License-Identifier: MIT */
/* The parts of the MUS codec, which mus.c puts into its table. No state, any thread. */
#ifndef CMDI_MUS_MUS_H
#define CMDI_MUS_MUS_H

#include <cmdstream/codec_mus.h>

enum {
    CMDI_MUS_COUNT_MAX = 16 << 20, // Where a row has no CMDS_MAX.
    CMDI_MUS_PAIR_SIZE_MIN = 2,    // Of a map: two empty strings.
    CMDI_MUS_ROWS_PER_BYTE = 8,    // Of an element of an array: rows that are no bytes are work.
    CMDI_MUS_NIL = 1,              // The byte in front of an optional.
    CMDI_MUS_NOT_NIL = 0,
};

static inline size_t cmdi_mus_count_max(uint32_t row_max)
{
    return row_max != 0 ? row_max : CMDI_MUS_COUNT_MAX;
}

/**
 * The fewest bytes that an element of this row can be. Of a struct one: what its rows are in all is
 * not worked out for each array that comes, and check() has seen that it is not nothing.
 */
static inline size_t cmdi_mus_item_size_min(const struct cmds_field *row)
{
    switch (row->kind) {
    case CMDS_KIND_F32:
        return 4;
    case CMDS_KIND_F64:
        return 8;
    default:
        return 1;
    }
}

/**
 * Returns: bytes that cmdi_mus_write() will write; CMDS_E_LIMIT; -EINVAL: a NULL pointer with a
 * size.
 */
int64_t cmdi_mus_size(const struct cmds_schema *schema, const uint8_t *value);
/** `size`: what cmdi_mus_size() has said. Returns: the end of what was written. */
uint8_t *cmdi_mus_write(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t size);
/** Returns: as a codec's try_encode. */
int64_t cmdi_mus_try(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t room);
/** Returns: as a self-delimiting codec's decode. */
int64_t cmdi_mus_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value);

/** Returns: as a self-delimiting codec's find_end. */
int64_t cmdi_mus_find_end(
        const struct cmds_schema *schema, struct cmds_bytes in, struct cmds_codec_place *place);

#endif
