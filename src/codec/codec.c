/* SPDX-License-Identifier: MIT */
/*
 * Encoding and decoding without a connection: for files, tests, and programs that carry the bytes
 * themselves.
 *
 * Any thread; nothing is kept. The decoded value is first built in an arena, whose bound also
 * bounds what a hostile body can make us allocate, and then copied into the one block that the
 * caller frees.
 */
#include "codec/codec.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/options.h"

enum {
    // A server's frame is at most 16 MiB by default, and arrays of structs grow when they are read.
    CMDI_CODEC_ARENA_MAX = 64 << 20,
    CODEC_FLAGS = CMDS_CODEC_SELF_DELIMITING | CMDS_CODEC_DESCRIPTORS,
};

/* A type that is described to another codec has no rows: it would be carried as nothing at all. */
static bool codec_knows(const struct cmds_codec *codec, const struct cmds_type *type)
{
    return type->descriptor == NULL || (codec->flags & CMDS_CODEC_DESCRIPTORS) != 0;
}

static int codec_check_types(const struct cmds_codec *codec, const struct cmds_type *const *types,
        uint32_t count, struct cmds_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!codec_knows(codec, types[i])) {
            return cmdi_fail(error, CMDS_E_SCHEMA,
                    "codec %s: %s has a descriptor, which only protobuf reads", codec->name,
                    types[i]->schema->name);
        }
        int code = codec->check != NULL ? codec->check(codec, types[i], error) : 0;
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int cmdi_codec_check(const struct cmds_codec *codec, const struct cmds_protocol *protocol,
        struct cmds_error *error)
{
    const size_t known = offsetof(struct cmds_codec, reserved);
    const size_t least = offsetof(struct cmds_codec, find_end);
    int code = cmdi_table_check(codec, known, least, "codec", error);
    if (code < 0) {
        return code;
    }
    if (codec->version != CMDS_CODEC_VERSION) {
        return cmdi_fail(error, -EINVAL, "codec: version %u; this library knows %d", codec->version,
                CMDS_CODEC_VERSION);
    }
    if ((codec->flags & ~(uint32_t)CODEC_FLAGS) != 0 || codec->unused != 0) {
        return cmdi_fail(error, -E2BIG,
                "codec: flags 0x%x, unused 0x%x: this library (%s) knows the flags 0x%x only",
                codec->flags, codec->unused, CMDS_VERSION, CODEC_FLAGS);
    }
    if (codec->size == NULL || codec->encode == NULL || codec->decode == NULL) {
        return cmdi_fail(error, -EINVAL, "codec: it lacks size, encode or decode");
    }
    code = cmds_protocol_check(protocol, error);
    if (code == 0) {
        code = codec_check_types(codec, protocol->commands, protocol->command_count, error);
    }
    if (code == 0) {
        code = codec_check_types(codec, protocol->results, protocol->result_count, error);
    }
    return code;
}

/* `size`: how many of the bytes of `in` are the value's for certain. */
static int64_t open_ended_decode(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, size_t size, struct cmds_arena *arena, void **value)
{
    void *built = cmdi_codec_begin(arena, type, size);
    if (built == NULL) {
        return -ENOMEM;
    }
    *value = built;
    int64_t used = codec->decode(codec, type, in, arena, built);
    return used == CMDS_E_LIMIT && arena->no_memory ? -ENOMEM : used;
}

/* Has the value taken more than its `size` bytes allow, at the cost of what lies behind them? */
static bool open_ended_is_greedy(
        const struct cmds_arena *arena, const struct cmds_type *type, uint64_t size)
{
    size_t used = arena->used + (size_t)(arena->at - arena->base);
    uint64_t most = type->schema->value_size + CMDI_ARENA_USE_MIN + size * CMDI_ARENA_USE_FACTOR;
    return used > most;
}

/* Its end is looked for first, from `place` on: where the last look ended. */
static int64_t open_ended_decode_found(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_codec_place *place, struct cmds_arena *arena,
        void **value)
{
    int64_t end = codec->find_end(codec, type, in, place);
    if (end < 0 || (uint64_t)end > in.size) {
        return end;
    }
    in.size = (size_t)end;
    return open_ended_decode(codec, type, in, in.size, arena, value);
}

/* Apart: a place is hundreds of bytes, which nobody should clear for every frame. */
static __attribute__((noinline)) int64_t open_ended_decode_large(const struct cmds_codec *codec,
        const struct cmds_type *type, struct cmds_bytes in, struct cmds_arena *arena, void **value)
{
    struct cmds_codec_place begin = {{0}};
    return open_ended_decode_found(codec, type, in, &begin, arena, value);
}

/*
 * Further frames may lie behind the value, or a part of it may be missing, so that its size, and with
 * it the memory that it may take, is not known before it was read. It is read first with what all
 * bytes allow. A value that took more than its own bytes allow is refused afterwards, which ends its
 * connection. A value that needs more than all bytes allow may be cut: then find_end() decides.
 */
int64_t cmdi_codec_decode_open_ended(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_codec_place *place, struct cmds_arena *arena,
        void **value)
{
    CMDI_ASSERT((codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0);
    bool finds = codec->struct_size >= offsetof(struct cmds_codec, try_encode) &&
                 codec->find_end != NULL;
    if (CMDI_UNLIKELY(place != NULL) && finds) {
        return open_ended_decode_found(codec, type, in, place, arena, value);
    }
    int64_t used = open_ended_decode(codec, type, in, in.size, arena, value);
    if (used >= 0 && (uint64_t)used <= in.size &&
            open_ended_is_greedy(arena, type, (uint64_t)used)) {
        return CMDS_E_LIMIT;
    }
    return CMDI_LIKELY(used != CMDS_E_LIMIT) || !finds
                   ? used
                   : open_ended_decode_large(codec, type, in, arena, value);
}

int64_t cmds_codec_encode(
        const struct cmds_codec *codec, struct cmds_message message, void *out, size_t out_size)
{
    if (!codec_knows(codec, message.type)) {
        return CMDS_E_SCHEMA;
    }
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
    void *built = NULL;
    int64_t used = cmdi_codec_decode(codec, type, in, NULL, arena, &built);
    if (used < 0) {
        return (int)used;
    }
    if ((uint64_t)used != in.size) {
        return CMDS_E_PROTO; // Cut off, or something lies behind the value.
    }
    CMDI_ASSERT(built != NULL);
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
    if (!codec_knows(codec, type)) {
        return CMDS_E_SCHEMA;
    }
    cmdi_arena_init(&arena, CMDI_CODEC_ARENA_MAX);
    int code = decode_in(&arena, codec, type, in, value);
    cmdi_arena_fini(&arena);
    return code;
}
