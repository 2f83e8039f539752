/* SPDX-License-Identifier: MIT */
/* Frames and ServerInfo as values. The protocol is cmd-stream-go's, v0.6 and v0.7. */
#include "wire/frame.h"

#include "base/assert.h"

/* One varint of the header at *at. Returns: 1: read; 0: not whole; CMDS_E_PROTO. */
static int frame_varint(const uint8_t *data, size_t size, size_t *at, uint64_t *value)
{
    int used = cmdi_varint_decode(data + *at, size - *at, value);
    if (used <= 0) {
        return used;
    }
    *at += (size_t)used;
    return 1;
}

int64_t cmdi_frame_decode(struct cmdi_frame *frame, const uint8_t *data, size_t size, size_t body_size_max,
        bool self_delimiting, size_t *missing)
{
    size_t at = 0;
    uint64_t length = 0;
    *missing = 1; // As long as the header is not whole, nobody knows more.
    int got = frame_varint(data, size, &at, &frame->sequence);
    if (got <= 0) {
        return got;
    }
    if (frame->sequence == 0) {
        frame->header_size = at;
        return (int64_t)at;
    }
    if (CMDI_UNLIKELY(frame->sequence > CMDI_SEQUENCE_MAX)) {
        return CMDS_E_PROTO;
    }
    got = frame_varint(data, size, &at, &frame->type);
    if (got <= 0) {
        return got;
    }
    if (!self_delimiting) {
        got = frame_varint(data, size, &at, &length);
        if (got <= 0) {
            return got;
        }
        if (CMDI_UNLIKELY(length > body_size_max)) {
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

int cmdi_server_info_decode(const uint8_t *data, size_t size, struct cmds_bytes *info)
{
    uint64_t length = 0;
    int used = cmdi_varint_decode(data, size, &length);
    if (used <= 0) {
        return used;
    }
    if (length == 0) {
        return CMDS_E_PROTO;
    }
    if (length > CMDI_SERVER_INFO_MAX) {
        return CMDS_E_TOO_LARGE_SERVER_INFO;
    }
    if (size - (size_t)used < length) {
        return 0;
    }
    *info = (struct cmds_bytes){data + used, (size_t)length};
    return used + (int)length;
}

uint8_t *cmdi_server_info_encode(uint8_t *out, struct cmds_bytes info)
{
    CMDI_ASSERT(info.size >= 1 && info.size <= CMDI_SERVER_INFO_MAX);
    out = cmdi_varint_encode(out, info.size);
    memcpy(out, info.data, info.size);
    return out + info.size;
}
