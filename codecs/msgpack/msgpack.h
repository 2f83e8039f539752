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
/** Returns: the size of `in`, CMDS_E_PROTO, CMDS_E_LIMIT. */
int64_t cmdi_msgpack_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value);

#endif
