/* SPDX-License-Identifier: MIT */
/*
 * Which field it was that a codec refused, and what its limit is: the sentence behind CMDS_E_LIMIT and
 * -EINVAL. Codecs return a code alone, so that the way of a value that is in order stays short; only
 * after a failure the value is walked once more, along its schema and for every codec alike.
 *
 * A value that was received is no value when it was refused. It is decoded again by a copy of its schema
 * in which no row has a limit, within the same memory, and that value is walked.
 */
#ifndef CMDI_CODEC_WHICH_H
#define CMDI_CODEC_WHICH_H

#include <cmdstream/codec.h>

struct cmdi_type_table;

/**
 * Why a codec did not take this value, `code`: "calc_greet.name has 70000 bytes, at most 65535".
 *
 * Owner:   borrows; `error` may be NULL.
 * Thread:  any.
 * Returns: `code`.
 */
int cmdi_which_encode(const struct cmds_codec *codec, struct cmds_message message, int code,
        struct cmds_error *error);
/** What a side of a connection sends, and how large it may be. */
struct cmdi_which_side {
    const struct cmds_codec *codec;
    const struct cmdi_type_table *types;
    const char *protocol, *what; // "calc", "command".
    uint32_t frame_size_max;
};
/**
 * Why this side would not send it.
 *
 * Owner:   borrows; `error` may be NULL.
 * Thread:  any.
 * Returns: 0: it would; CMDS_E_WRONG_TYPE, CMDS_E_LIMIT, -EINVAL.
 */
int cmdi_which_send(
        const struct cmdi_which_side *side, struct cmds_message message, struct cmds_error *error);
/**
 * Why a codec refused these bytes with CMDS_E_LIMIT. The arena is emptied, and takes no more than it had
 * to for them.
 *
 * Thread:  the arena's.
 * Returns: CMDS_E_LIMIT.
 */
int cmdi_which_decode(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, struct cmds_error *error);

#endif
