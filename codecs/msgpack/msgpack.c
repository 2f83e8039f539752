/* SPDX-License-Identifier: MIT */
/*
 * The codecs `msgpack` (structs as arrays, the default) and `msgpack-map` (structs as maps keyed by field name).
 *
 * They differ only in what they write; each reads both forms, at every level. Integers are written in their shortest form,
 * as msgpack-c does, in both codecs: a Go peer writes an int64 of a struct in nine bytes, and reads every width.
 */
#include "msgpack/msgpack.h"

#include <string.h>

#include "base/hint.h"
#include "codec/arena.h"

static bool writes_maps(const struct cmds_codec *self)
{
    return self == &cmds_codec_msgpack_map;
}

static int64_t msgpack_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    return cmdi_msgpack_size(type->schema, value, writes_maps(self));
}

static uint8_t *msgpack_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)size; // What cmdi_msgpack_size() said; the writer takes the same steps.
    return cmdi_msgpack_write(type->schema, value, writes_maps(self), out);
}

static int64_t msgpack_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self; // Both read both forms.
    if (CMDI_LIKELY(cmdi_msgpack_is_array(in))) {
        struct cmdi_arena_mark mark = cmdi_arena_mark(arena);
        if (CMDI_LIKELY(cmdi_msgpack_read_straight(type->schema, in, arena, value))) {
            return (int64_t)in.size;
        }
        cmdi_arena_rewind(arena, &mark);
        memset(value, 0, type->schema->value_size);
    }
    return cmdi_msgpack_read(type->schema, in, arena, value);
}

const struct cmds_codec cmds_codec_msgpack = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "msgpack",
        .size = msgpack_size,
        .encode = msgpack_encode,
        .decode = msgpack_decode,
};

const struct cmds_codec cmds_codec_msgpack_map = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "msgpack-map",
        .size = msgpack_size,
        .encode = msgpack_encode,
        .decode = msgpack_decode,
};
