/* SPDX-License-Identifier: MIT */
/* The codec `json`: the table of its functions. See codec_json.h for what it reads and writes. */
#include "json/json.h"

static int64_t json_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    return cmdi_json_write(type->schema, value, NULL);
}

static uint8_t *json_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    (void)cmdi_json_write(type->schema, value, out); // The same walk that has counted.
    return out + size;
}

static int64_t json_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self;
    return cmdi_json_read(type->schema, in, arena, value);
}

const struct cmds_codec cmds_codec_json = {
        .struct_size = sizeof(struct cmds_codec),
        .version = CMDS_CODEC_VERSION,
        .name = "json",
        .size = json_size,
        .encode = json_encode,
        .decode = json_decode,
};
