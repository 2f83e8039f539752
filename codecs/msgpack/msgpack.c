/* SPDX-License-Identifier: MIT */
/*
 * The codecs `msgpack` (structs as arrays, the default) and `msgpack-map` (structs as maps keyed by field name).
 *
 * They differ only in what they write; each reads both forms, at every level. Integers are written in their shortest form,
 * as msgpack-c does, in both codecs: a Go peer writes an int64 of a struct in nine bytes, and reads every width.
 */
#include "msgpack/msgpack.h"

const struct cmds_codec cmds_codec_msgpack = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "msgpack",
        .size = cmdi_msgpack_size,
        .encode = cmdi_msgpack_encode,
        .decode = cmdi_msgpack_decode,
        .try_encode = cmdi_msgpack_try,
};

const struct cmds_codec cmds_codec_msgpack_map = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "msgpack-map",
        .size = cmdi_msgpack_map_size,
        .encode = cmdi_msgpack_map_encode,
        .decode = cmdi_msgpack_map_decode,
        .try_encode = cmdi_msgpack_map_try,
};
