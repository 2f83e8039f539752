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

/* One varint of the header at *at. Returns: 1: read; 0: not whole; CMDS_E_PROTO. */
static inline int cmdi_frame_varint(const uint8_t *data, size_t size, size_t *at, uint64_t *value)
{
    int used = cmdi_varint_decode(data + *at, size - *at, value);
    if (used <= 0) {
        return used;
    }
    *at += (size_t)used;
    return 1;
}

/**
 * Looks at the frame that begins at `data`. Inline: called for every frame, and most of them are
 * whole with three headers of one or two bytes (perf: 3 % of a loaded shard).
 *
 * Returns: above 0: the size of the whole frame (self-delimiting: of its header; the body's end is
 *          the codec's to find); 0: not whole, and *missing is how many bytes at least are still to
 *          come; CMDS_E_PROTO: a varint that overflows, a sequence above CMDI_SEQUENCE_MAX;
 *          CMDS_E_LIMIT: a body above `body_size_max`.
 */
static inline int64_t cmdi_frame_decode(struct cmdi_frame *frame, const uint8_t *data, size_t size,
        size_t body_size_max, bool self_delimiting, size_t *missing)
{
    size_t at = 0;
    uint64_t length = 0;
    *missing = 1; // As long as the header is not whole, nobody knows more.
    int got = cmdi_frame_varint(data, size, &at, &frame->sequence);
    if (got <= 0) {
        return got;
    }
    if (frame->sequence == 0) {
        frame->header_size = at;
        return (int64_t)at;
    }
    if (frame->sequence > CMDI_SEQUENCE_MAX) {
        return CMDS_E_PROTO;
    }
    got = cmdi_frame_varint(data, size, &at, &frame->type);
    if (got <= 0) {
        return got;
    }
    if (!self_delimiting) {
        got = cmdi_frame_varint(data, size, &at, &length);
        if (got <= 0) {
            return got;
        }
        if (length > body_size_max) {
            return CMDS_E_LIMIT;
        }
    }
    frame->header_size = at;
    frame->body = data + at;
    if (self_delimiting) {
        frame->body_size = size - at;
        return (int64_t)at;
    }
    frame->body_size = (size_t)length;
    if (size - at < length) {
        *missing = (size_t)length - (size - at);
        return 0;
    }
    return (int64_t)(at + (size_t)length);
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
