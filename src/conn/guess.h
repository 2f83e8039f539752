/* SPDX-License-Identifier: MIT */
/*
 * What a peer speaks, if it is not our protocol: a guess from its first bytes, for the sentence that
 * says why its connection was closed. The bytes are looked at and never shown as text. Made after a
 * failure only. Any thread; nothing here keeps state.
 */
#ifndef CMDI_CONN_GUESS_H
#define CMDI_CONN_GUESS_H

#include <stdbool.h>

#include <cmdstream/codec.h>

#include "conn/conn.h"

enum {
    CMDI_GUESS_TEXT_MAX = 160,
};

/**
 * What stands behind a sentence about the peer's first bytes: "; this looks like HTTP". `is_secured`:
 * they came through TLS. Returns: static text, "" if it looks like nothing known.
 */
const char *cmdi_guess_peer(struct cmds_bytes first, bool is_secured);
/** The same about what came as a ServerInfo, which lies behind its length. */
const char *cmdi_guess_server(const struct cmdi_conn *conn, struct cmds_bytes info);
/**
 * The same about a frame of an open connection. Returns: "" but for the first frame.
 */
const char *cmdi_guess_first(const struct cmdi_conn *conn, const struct cmdi_frame *frame);
/**
 * What stands behind a sentence about a frame that `codec` could not decode: what its peer or its body
 * looks like, and the body's first bytes as hexadecimal digits. Returns: `text`, which is written.
 */
const char *cmdi_guess_codec(const struct cmdi_conn *conn, const struct cmds_codec *codec,
        const struct cmdi_frame *frame, char text[CMDI_GUESS_TEXT_MAX]);

#endif
