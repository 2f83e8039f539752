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

int cmdi_frame_header_decode(struct cmdi_frame *frame, const uint8_t *data, size_t size,
        bool self_delimiting, uint64_t *length)
{
    size_t at = 0;
    int got = frame_varint(data, size, &at, &frame->sequence);
    frame->header_size = at;
    if (got <= 0 || frame->sequence == 0) {
        return got;
    }
    if (frame->sequence > CMDI_SEQUENCE_MAX) {
        return CMDS_E_PROTO;
    }
    got = frame_varint(data, size, &at, &frame->type);
    if (got > 0 && !self_delimiting) {
        got = frame_varint(data, size, &at, length);
    }
    frame->header_size = at;
    return got;
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
