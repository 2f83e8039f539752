/* SPDX-License-Identifier: MIT */
/* Frames and ServerInfo as values. The protocol is cmd-stream-go's, v0.6 and v0.7. */
#include "wire/frame.h"

#include "base/assert.h"

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
