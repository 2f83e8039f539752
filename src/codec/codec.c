/* SPDX-License-Identifier: MIT */
/*
 * Encoding and decoding without a connection: for files, tests, and programs that carry the bytes
 * themselves.
 *
 * Any thread; nothing is kept. The decoded value is first built in an arena, whose bound also
 * bounds what a hostile body can make us allocate, and then copied into the one block that the
 * caller frees.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/arena.h"

enum {
    CMDI_CODEC_ARENA_MAX = 64 << 20
}; // A server's frame is at most 16 MiB by default; arrays of structs grow.

int64_t cmds_codec_encode(
        const struct cmds_codec *codec, struct cmds_message message, void *out, size_t out_size)
{
    int64_t size = codec->size(codec, message.type, message.value);
    if (size < 0) {
        return size;
    }
    if ((uint64_t)size > out_size) {
        return -ENOBUFS;
    }
    uint8_t *end = codec->encode(codec, message.type, message.value, out, (size_t)size);
    CMDI_ASSERT((size_t)((uintptr_t)end - (uintptr_t)out) == (size_t)size);
    return size;
}

static int decode_in(struct cmds_arena *arena, const struct cmds_codec *codec,
        const struct cmds_type *type, struct cmds_bytes in, void **value)
{
    void *built = cmdi_arena_alloc(arena, type->schema->value_size, _Alignof(max_align_t));
    if (built == NULL) {
        return -ENOMEM;
    }
    memset(built, 0, type->schema->value_size);
    int64_t used = codec->decode(codec, type, in, arena, built);
    if (used < 0) {
        return used == CMDS_E_LIMIT && arena->no_memory ? -ENOMEM : (int)used;
    }
    if ((uint64_t)used != in.size) {
        return CMDS_E_PROTO; // Cut off, or something lies behind the value.
    }
    void *copy = cmds_value_copy(type->schema, built);
    if (copy == NULL) {
        return -ENOMEM;
    }
    *value = copy;
    return 0;
}

int cmds_codec_decode(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, void **value)
{
    struct cmds_arena arena;
    cmdi_arena_init(&arena, CMDI_CODEC_ARENA_MAX);
    int error = decode_in(&arena, codec, type, in, value);
    cmdi_arena_fini(&arena);
    return error;
}
