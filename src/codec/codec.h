/* SPDX-License-Identifier: MIT */
/* What server and client ask of a codec alike. */
#ifndef CMDI_CODEC_CODEC_H
#define CMDI_CODEC_CODEC_H

#include <errno.h>
#include <string.h>

#include <cmdstream/codec.h>

#include "codec/arena.h"

/**
 * Is it a codec of this library's kind, is the protocol in order, and can the one carry the other?
 *
 * Owner:   borrows. `error` may be NULL.
 * Thread:  any.
 * Returns: 0; -EINVAL: the codec is of another version, or lacks a function; CMDS_E_SCHEMA, and
 *          `error` names the type.
 */
CMDS_NODISCARD int cmdi_codec_check(const struct cmds_codec *codec,
        const struct cmds_protocol *protocol, struct cmds_error *error);

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
    if (__builtin_expect(place != NULL && codec->find_end != NULL, 0)) {
        int64_t end = codec->find_end(codec, type, in, place);
        if (end < 0 || (uint64_t)end > in.size) {
            return end;
        }
    }
    cmdi_arena_reset(arena);
    void *built = cmdi_arena_alloc(arena, type->schema->value_size, _Alignof(max_align_t));
    if (__builtin_expect(built == NULL, 0)) {
        return -ENOMEM;
    }
    memset(built, 0, type->schema->value_size);
    *value = built;
    int64_t used = codec->decode(codec, type, in, arena, built);
    if (__builtin_expect((uint64_t)used == in.size, 1)) {
        return used;
    }
    if (used < 0) {
        return used == CMDS_E_LIMIT && arena->no_memory ? -ENOMEM : used;
    }
    return (codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0 ? used : CMDS_E_PROTO;
}

#endif
