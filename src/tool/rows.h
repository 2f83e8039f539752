/* SPDX-License-Identifier: MIT */
/*
 * Rows of option tables that several sub-commands have, and the bounds of those that differ only in
 * their words. `type` is the tag of the sub-command's struct, whose field has the row's name.
 */
#ifndef CMDSTREAM_TOOL_ROWS_H
#define CMDSTREAM_TOOL_ROWS_H

#include "common.h"
#include "options.h"

enum {
    TOOL_SPIN_US_MAX = 10000000,
    TOOL_BURN_US_MAX = 1000000,
    TOOL_WORKERS_MAX = 1024,
    TOOL_IN_FLIGHT_MAX = 1048576,
    TOOL_FRAME_SIZE_MIN = 64,
};

#define TOOL_ROW_CODEC(type)                                                                       \
    TOOL_TEXT(type, "codec", "NAME", codec, TOOL_CODEC_NAMES " (default msgpack)")

/* Of a client. */
#define TOOL_ROW_SERVER_INFO(type)                                                                 \
    TOOL_TEXT(type, "server-info", "TEXT", server_info,                                            \
            "what the server must say (default \"default\")")

#define TOOL_ROW_MAX_FRAME(type)                                                                   \
    TOOL_U32(type, "max-frame", "BYTES", max_frame, TOOL_FRAME_SIZE_MIN, UINT32_MAX,               \
            "of one command or result (default 16 MiB)")

#endif
