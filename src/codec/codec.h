/* SPDX-License-Identifier: MIT */
/* What server and client ask of a codec alike. */
#ifndef CMDI_CODEC_CODEC_H
#define CMDI_CODEC_CODEC_H

#include <errno.h>
#include <string.h>

#include <cmdstream/codec.h>

#include "base/hint.h"
#include "codec/arena.h"

/**
 * Is it a codec of this library's kind, is the protocol in order, and can the one carry the other?
 *
 * Owner:   borrows. `error` may be NULL.
 * Thread:  any.
 * Returns: 0; -EINVAL: the codec is of another version, or lacks a function; -E2BIG: it has what a
 *          newer library knows; CMDS_E_SCHEMA, and `error` names the type.
 */
CMDS_NODISCARD int cmdi_codec_check(const struct cmds_codec *codec,
        const struct cmds_protocol *protocol, struct cmds_error *error);

/**
 * What cmdi_codec_decode() does for a codec that finds the end of a value by reading it. Out of line,
 * so that the others pay one look at a flag.
 */
int64_t cmdi_codec_decode_open_ended(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_codec_place *place, struct cmds_arena *arena,
        void **value);

/*
 * The first 64 bytes without a call: most values have no more. A chunk of an arena ends at a multiple of
 * 16, so what is aligned to that may be cleared up to one.
 */
static inline void cmdi_codec_clear(void *value, uint32_t size)
{
    uint8_t *bytes = value;
    if (CMDI_UNLIKELY(size - 1 >= 64)) {
        memset(value, 0, size);
        return;
    }
    memset(bytes, 0, 16);
    if (size > 16) {
        memset(bytes + 16, 0, 16);
    }
    if (size > 32) {
        memset(bytes + 32, 0, 16);
    }
    if (size > 48) {
        memset(bytes + 48, 0, 16);
    }
}

/**
 * A zeroed value for `decode`, in an arena that is emptied for it. Returns: NULL without memory.
 * `size`: the bytes that it came in.
 */
static inline void *cmdi_codec_begin(
        struct cmds_arena *arena, const struct cmds_type *type, size_t size)
{
    uint32_t value_size = type->schema->value_size;
    cmdi_arena_begin(arena, value_size, size);
    void *built = cmdi_arena_first(arena, value_size);
    if (CMDI_LIKELY(built != NULL)) {
        cmdi_codec_clear(built, value_size);
    }
    return built;
}

/**
 * One body as a value in `arena`, which is emptied for it. `place`: of a value that was found cut,
 * else NULL. Inline: called for every frame.
 *
 * Returns: as the codec's decode, and nothing but all of `in` where that has a length; -ENOMEM.
 */
static inline int64_t cmdi_codec_decode(const struct cmds_codec *codec,
        const struct cmds_type *type, struct cmds_bytes in, struct cmds_codec_place *place,
        struct cmds_arena *arena, void **value)
{
    if (CMDI_UNLIKELY((codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0)) {
        return cmdi_codec_decode_open_ended(codec, type, in, place, arena, value);
    }
    void *built = cmdi_codec_begin(arena, type, in.size);
    if (CMDI_UNLIKELY(built == NULL)) {
        return -ENOMEM;
    }
    *value = built;
    int64_t used = codec->decode(codec, type, in, arena, built);
    if (CMDI_LIKELY((uint64_t)used == in.size)) {
        return used;
    }
    if (used < 0) {
        return used == CMDS_E_LIMIT && arena->no_memory ? -ENOMEM : used;
    }
    return CMDS_E_PROTO;
}

#endif
