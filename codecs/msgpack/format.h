/* SPDX-License-Identifier: MIT */
/* The first bytes of items; see the format's specification. */
#ifndef CMDI_MSGPACK_FORMAT_H
#define CMDI_MSGPACK_FORMAT_H

enum {
    HEAD_FIXMAP = 0x80,
    HEAD_FIXARRAY = 0x90,
    HEAD_FIXSTR = 0xa0,
    HEAD_NIL = 0xc0,
    HEAD_FALSE = 0xc2,
    HEAD_BIN8 = 0xc4,
    HEAD_BIN32 = 0xc6,
    HEAD_FLOAT32 = 0xca,
    HEAD_FLOAT64 = 0xcb,
    HEAD_UINT8 = 0xcc,
    HEAD_INT8 = 0xd0,
    HEAD_INT64 = 0xd3,
    HEAD_STR8 = 0xd9,
    HEAD_STR32 = 0xdb,
    HEAD_ARRAY16 = 0xdc,
    HEAD_MAP16 = 0xde,
    HEAD_FIXNEGATIVE = 0xe0,
};

#endif
