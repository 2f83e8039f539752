/* SPDX-License-Identifier: MIT */
/*
 * Frames: what stands between the bytes of a connection and its commands and results.
 *
 *     seq varint | type varint | length varint | length bytes      a command or a result
 *     00                                                           a ping (from the client) or a pong (from the server)
 *
 * With a self-delimiting codec (MUS) there is no length: the body begins behind the type and the
 * codec finds its end.
 *
 * Bytes in, values out: no I/O, no clock, no memory. Nothing is believed: a length above the limit
 * is refused when its header is read, before a byte of the body is waited for.
 */
#ifndef CMDI_WIRE_FRAME_H
#define CMDI_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "base/assert.h"
#include "wire/varint.h"

enum {
    CMDI_FRAME_HEADER_MAX = 3 * CMDI_VARINT_SIZE_MAX,
    CMDI_SERVER_INFO_MAX = 1024,
};
/** Go's Seq is an int64: a sequence above it would be negative there. */
#define CMDI_SEQUENCE_MAX ((uint64_t)INT64_MAX)

struct cmds_codec_place;

struct cmdi_frame {
    uint64_t sequence; // 0: a ping or a pong, and nothing below is valid.
    uint64_t type;
    const uint8_t *body;
    size_t body_size;   // Self-delimiting: all that is there behind the type.
    size_t header_size; // From the frame's first byte to the body.
    /*
     * Self-delimiting, and found cut before: what the codec remembers of it until it is whole. Else
     * NULL.
     */
    struct cmds_codec_place *place;
};

/**
 * The header of a frame, whatever the length of its numbers. `frame` gets sequence, type and header_size,
 * and *length that of the body; of a ping its sequence and header_size alone.
 *
 * Returns: 1: read; 0: not whole; CMDS_E_PROTO.
 */
int cmdi_frame_header_decode(struct cmdi_frame *frame, const uint8_t *data, size_t size,
        bool self_delimiting, uint64_t *length);

/**
 * The same of most headers, which lie in the first eight bytes: a sequence of up to five, a type of one, a
 * length of up to two. One load, and no branch on how long a number is: lengths are often of one byte
 * or of two at random.
 *
 * Returns: 1: read; 0: it is another one, or a ping, or does not begin.
 */
static inline int cmdi_frame_header_word(
        struct cmdi_frame *frame, uint64_t word, bool self_delimiting, uint64_t *length)
{
    uint64_t ends = ~word & UINT64_C(0x8080808080);
    if (CMDI_UNLIKELY(ends == 0)) {
        return 0;
    }
    uint32_t bits = (uint32_t)__builtin_ctzll(ends) + 1;
    uint64_t sequence = word & (ends ^ (ends - 1)) & UINT64_C(0x7f7f7f7f7f);
    sequence = (sequence & UINT64_C(0x7f007f00)) >> 1 | (sequence & UINT64_C(0x7f007f007f));
    sequence = (sequence & UINT64_C(0x3fff0000)) >> 2 | (sequence & UINT64_C(0x7f00003fff));
    sequence = (sequence & UINT64_C(0x7f00000000)) >> 4 | (sequence & UINT64_C(0xfffffff));
    word >>= bits;
    frame->sequence = sequence;
    frame->type = word & 0x7f;
    if (self_delimiting) {
        frame->header_size = bits / 8 + 1;
        return sequence != 0 && (word & 0x80) == 0;
    }
    uint64_t more = word >> 15 & 1; // The length has two bytes.
    frame->header_size = bits / 8 + 2 + more;
    *length = (word >> 8 & 0x7f) | (word >> 9 & (0x3f80 & (0 - more)));
    return sequence != 0 && (word & (0x80 | more << 23)) == 0;
}

/**
 * Looks at the frame that begins at `data`. Inline: called for every frame.
 *
 * Returns: above 0: the size of the whole frame (self-delimiting: of its header; the body's end is
 *          the codec's to find); 0: not whole, and *missing is how many bytes at least are still to
 *          come; CMDS_E_PROTO: a varint that overflows, a sequence above CMDI_SEQUENCE_MAX;
 *          CMDS_E_LIMIT: a body above `body_size_max`.
 */
static inline int64_t cmdi_frame_decode(struct cmdi_frame *frame, const uint8_t *data, size_t size,
        size_t body_size_max, bool self_delimiting, size_t *missing)
{
    uint64_t length = 0;
    int got = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    if (CMDI_LIKELY(size >= sizeof(word))) {
        memcpy(&word, data, sizeof(word));
        got = cmdi_frame_header_word(frame, word, self_delimiting, &length);
    }
#endif
    if (CMDI_UNLIKELY(got == 0)) {
        got = cmdi_frame_header_decode(frame, data, size, self_delimiting, &length);
        if (got <= 0) {
            *missing = 1; // As long as the header is not whole, nobody knows more.
            return got;
        }
        if (frame->sequence == 0) {
            return (int64_t)frame->header_size;
        }
    }
    size_t at = frame->header_size;
    frame->body = data + at;
    if (self_delimiting) {
        frame->body_size = size - at;
        return (int64_t)at;
    }
    if (CMDI_UNLIKELY(length > body_size_max)) {
        return CMDS_E_LIMIT;
    }
    frame->body_size = (size_t)length;
    if (CMDI_UNLIKELY(size - at < length)) {
        *missing = (size_t)length - (size - at);
        return 0;
    }
    int64_t whole = (int64_t)(at + (size_t)length);
    if (whole <= 0) {
        __builtin_unreachable(); // Then nobody looks at it once more.
    }
    return whole;
}

/** A header that others may have: they are compared with it as a whole. */
struct cmdi_frame_head {
    uint64_t word;       // The frame's first bytes.
    uint32_t other_bits; // Of these, those that are not of the header.
    size_t whole;        // The size of a frame with it.
};

/** Of a frame that lies whole in its memory, and is no self-delimiting one. Returns: false: of that not. */
static inline bool cmdi_frame_head(struct cmdi_frame_head *head, const struct cmdi_frame *frame)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    head->whole = frame->header_size + frame->body_size;
    if (frame->header_size > sizeof(head->word) || head->whole < sizeof(head->word)) {
        return false;
    }
    memcpy(&head->word, frame->body - frame->header_size, sizeof(head->word));
    head->other_bits = 64 - 8 * (uint32_t)frame->header_size;
    return true;
#else
    (void)head, (void)frame;
    return false;
#endif
}

/** Has the frame at `data`, of which head->whole bytes are there, this header to the byte? */
static inline bool cmdi_frame_has_head(const struct cmdi_frame_head *head, const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return (word ^ head->word) << head->other_bits == 0;
}

/** Bytes of the header for these. */
static inline size_t cmdi_frame_header_size(
        uint64_t sequence, uint64_t type, uint64_t body_size, bool self_delimiting)
{
    return cmdi_varint_size(sequence) + cmdi_varint_size(type) +
           (self_delimiting ? 0 : cmdi_varint_size(body_size));
}

/**
 * Writes the header. Room for CMDI_FRAME_HEADER_MAX bytes. Returns: its end, where the body goes.
 */
static inline uint8_t *cmdi_frame_header_encode(
        uint8_t *out, uint64_t sequence, uint64_t type, uint64_t body_size, bool self_delimiting)
{
    CMDI_ASSERT_SLOW(sequence > 0); // 0 is a ping.
    out = cmdi_varint_encode(out, sequence);
    out = cmdi_varint_encode(out, type);
    return self_delimiting ? out : cmdi_varint_encode(out, body_size);
}

/**
 * The server's first words: varint length (1..1024) and that many bytes.
 *
 * Returns: bytes used, and *info points into `data`; 0: not whole; CMDS_E_TOO_LARGE_SERVER_INFO;
 *          CMDS_E_PROTO: empty, or a varint that overflows.
 */
int cmdi_server_info_decode(const uint8_t *data, size_t size, struct cmds_bytes *info);
/** Room for 2 + info.size bytes; `info` has 1..1024. Returns: the end. */
uint8_t *cmdi_server_info_encode(uint8_t *out, struct cmds_bytes info);

#endif
