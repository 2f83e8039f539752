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

/** What the code of a schema takes: see compiled.h. */
#define CMDI_PLAIN_KINDS(X)                                                                        \
    X(CMDS_KIND_BOOL)                                                                              \
    X(CMDS_KIND_I8)                                                                                \
    X(CMDS_KIND_I16)                                                                               \
    X(CMDS_KIND_I32)                                                                               \
    X(CMDS_KIND_I64)                                                                               \
    X(CMDS_KIND_U8)                                                                                \
    X(CMDS_KIND_U16)                                                                               \
    X(CMDS_KIND_U32)                                                                               \
    X(CMDS_KIND_U64)                                                                               \
    X(CMDS_KIND_F32)                                                                               \
    X(CMDS_KIND_F64)                                                                               \
    X(CMDS_KIND_STRING)                                                                            \
    X(CMDS_KIND_BYTES)

/* Of the tables of both codecs: see codec.h. */
int64_t cmdi_msgpack_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value);
int64_t cmdi_msgpack_map_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value);
uint8_t *cmdi_msgpack_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size);
uint8_t *cmdi_msgpack_map_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size);
int64_t cmdi_msgpack_try(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room);
int64_t cmdi_msgpack_map_try(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room);
int64_t cmdi_msgpack_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value);
int64_t cmdi_msgpack_map_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value);

/**
 * Reads a value that is written as we write it ourselves. Returns: false: it is not; then `value` is zero and
 * `arena` as it was, and nothing is said about it.
 */
bool cmdi_msgpack_read_straight(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value);
/** Any value. Returns: the size of `in`, CMDS_E_PROTO, CMDS_E_LIMIT. */
int64_t cmdi_msgpack_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value);

#endif
