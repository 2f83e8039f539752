/* SPDX-License-Identifier: MIT */
/*
 * A frame that is encoded where it leaves from, in one walk over its value.
 *
 *     sequence | type | length | body                 in the free end of `fill`
 *
 * The length stands before the body and is known only behind it. So the body is written behind a length
 * of as many bytes as the last one had, and moved by a byte if that was wrong: frames of a
 * connection are much alike, and the length on the wire is always the shortest.
 *
 * All that is odd is left to the way in two walks: a value that is refused, a body near a limit or
 * longer than the room that is there, an output that is half full. So that way alone says why, asks
 * for memory, and waits for it. The shard.
 */
#ifndef CMDI_CONN_DIRECT_H
#define CMDI_CONN_DIRECT_H

#include <string.h>

#include "base/hint.h"
#include "conn/conn.h"
#include "wire/frame.h"

enum {
    // Less is not worth a try. What stands before a body, and a byte by which it may move.
    CMDI_DIRECT_ROOM_MIN = 256,
    CMDI_DIRECT_KEPT = CMDI_FRAME_HEADER_MAX + 1,
};

/** One that was built against an older header has NULL there, or ends before it. */
static inline bool cmdi_direct_has(const struct cmds_codec *codec)
{
    return codec->struct_size >= offsetof(struct cmds_codec, reserved) && codec->try_encode != NULL;
}

/** Where the next frame is to go there is no buffer yet: leases one. Returns: false: there is none. */
bool cmdi_conn_open_fill(struct cmdi_conn *conn);
/** Nothing has come into it: who is refused leaves no buffer with a connection that may be idle. */
void cmdi_conn_close_fill(struct cmdi_conn *conn);

/** How much may be appended without asking anybody: below half of the bound, in the buffer that is there. */
static inline size_t cmdi_conn_direct_room(struct cmdi_conn *conn)
{
    if (CMDI_UNLIKELY(conn->fill.data == NULL) && !cmdi_conn_open_fill(conn)) {
        return 0;
    }
    size_t room = conn->fill.capacity - conn->fill.end;
    size_t half = conn->limits->output_size_max / 2, output = cmdi_conn_output_size(conn);
    return CMDI_LIKELY(output + room <= half) ? room : output < half ? half - output : 0;
}

/** As cmdi_conn_settle_length(), of one that is long, or was guessed wrong. */
static inline uint8_t *cmdi_conn_settle_other(
        struct cmdi_conn *conn, uint8_t *length, size_t guess, size_t body_size)
{
    size_t size = cmdi_varint_size(body_size);
    if (CMDI_UNLIKELY(size != guess)) {
        memmove(length + size, length + guess, body_size);
        conn->length_more = (uint8_t)(size - 1);
    }
    return cmdi_varint_encode(length, body_size) + body_size;
}

/** The length of the body that lies behind room for a guess at it, and the body behind that. Returns: the end. */
static inline uint8_t *cmdi_conn_settle_length(
        struct cmdi_conn *conn, uint8_t *length, size_t guess, size_t body_size)
{
    if (guess == 2 && CMDI_LIKELY(body_size - 0x80 < 0x4000 - 0x80)) {
        length[0] = (uint8_t)(body_size | 0x80);
        length[1] = (uint8_t)(body_size >> 7);
        return length + 2 + body_size;
    }
    if (CMDI_LIKELY(guess == 1 && body_size < 0x80)) {
        *length = (uint8_t)body_size;
        return length + 1 + body_size;
    }
    return cmdi_conn_settle_other(conn, length, guess, body_size);
}

/** What stands before the length of a frame: its sequence and its type. */
struct cmdi_direct_head {
    uint64_t sequence;
    uint64_t bytes; // Both as they are written...
    size_t size;    // ...if they are known: so many bytes of it. Else 0.
};

/**
 * Writes a frame behind the output; it is the caller's to commit. Of a connection that is open, with nothing that
 * would go first.
 *
 * Returns: its size, and *body_size; 0: it does not go this way: size() says why or how large it is.
 */
static inline __attribute__((always_inline)) size_t cmdi_conn_write_direct_as(
        struct cmdi_conn *conn, struct cmdi_direct_head head, const struct cmds_codec *codec,
        struct cmds_message message, size_t *body_size)
{
    if (CMDI_UNLIKELY(!cmdi_direct_has(codec))) {
        return 0;
    }
    size_t room = cmdi_conn_direct_room(conn);
    if (CMDI_UNLIKELY(room < CMDI_DIRECT_ROOM_MIN)) {
        return 0;
    }
    bool self_delimiting = conn->limits->self_delimiting;
    size_t guess = self_delimiting ? 0 : 1 + (size_t)conn->length_more;
    uint8_t *out = conn->fill.data + conn->fill.end;
    uint8_t *length = out + head.size;
    if (head.size > 0) {
        memcpy(out, &head.bytes, sizeof(head.bytes));
    } else {
        length = cmdi_frame_header_encode(out, head.sequence, message.type->number, 0, true);
    }
    room -= CMDI_DIRECT_KEPT;
    int64_t size = codec->try_encode(codec, message.type, message.value, length + guess, room);
    // One that says how much it would take, as others do who find too little, gives up as well.
    if (CMDI_UNLIKELY((uint64_t)size > room || size > conn->limits->frame_size_max)) {
        if (conn->fill.end == 0) {
            cmdi_conn_close_fill(conn);
        }
        return 0;
    }
    *body_size = (size_t)size;
    uint8_t *end = self_delimiting ? length + size
                                   : cmdi_conn_settle_length(conn, length, guess, (size_t)size);
    return (size_t)(end - out);
}

/** The same of any frame. */
static inline size_t cmdi_conn_write_direct(struct cmdi_conn *conn, uint64_t sequence,
        const struct cmds_codec *codec, struct cmds_message message, size_t *body_size)
{
    const struct cmdi_direct_head head = {.sequence = sequence};
    return cmdi_conn_write_direct_as(conn, head, codec, message, body_size);
}

#endif
