/* SPDX-License-Identifier: MIT */
/*
 * The two halves of the msgpack codecs, which msgpack.c puts into their tables.
 *
 * Both follow the schema's rows over the value in memory; msgpack-c's templates turn the format itself into bytes and back.
 * No state, any thread.
 */
#ifndef CMDI_MSGPACK_MSGPACK_H
#define CMDI_MSGPACK_MSGPACK_H

#include <cmdstream/codec.h>

/**
 * Returns: bytes that cmdi_msgpack_write() will write; CMDS_E_LIMIT; -EINVAL: a NULL pointer with a
 * size.
 */
int64_t cmdi_msgpack_size(const struct cmds_schema *schema, const void *value, bool as_map);
/** Returns: the end of what was written. */
uint8_t *cmdi_msgpack_write(
        const struct cmds_schema *schema, const void *value, bool as_map, uint8_t *out);
/** May it be a struct as an array? */
static inline bool cmdi_msgpack_is_array(struct cmds_bytes in)
{
    uint8_t head = in.size > 0 ? *(const uint8_t *)in.data : 0;
    return (head & 0xf0) == 0x90 || head == 0xdc;
}
/**
 * Reads a value that is written as we write it ourselves. False: it is not; then `value` and `arena` are no
 * longer as they were, and nothing is said about it.
 */
bool cmdi_msgpack_read_straight(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value);
/** Any value. Returns: the size of `in`, CMDS_E_PROTO, CMDS_E_LIMIT. */
int64_t cmdi_msgpack_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value);

#endif
