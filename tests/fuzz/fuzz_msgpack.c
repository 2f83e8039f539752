/* SPDX-License-Identifier: MIT */
/* Any bytes as a msgpack value, which both codecs read alike: see support/fuzz/codec.h. */
#include "msgpack/msgpack.h"
#include "support/fuzz/codec.h"

/*
 * What the straight way takes is what the reader of any value makes of it: the same fields, and as much of
 * the memory. The values are compared as what is written of them, once each.
 */
static void fuzz_straight(const struct cmds_type *type, const uint8_t *data, size_t size)
{
    struct cmds_arena arenas[2];
    struct cmds_bytes in = {data, size};
    void *values[2] = {calloc(1, type->schema->value_size), calloc(1, type->schema->value_size)};
    REQUIRE(values[0] != NULL && values[1] != NULL);
    for (int i = 0; i < 2; i++) {
        cmdi_arena_init(&arenas[i], FUZZ_ARENA_MAX);
        cmdi_arena_begin(&arenas[i], 0, size);
    }
    if (cmdi_msgpack_read_straight(type->schema, in, &arenas[0], values[0])) {
        REQUIRE(cmdi_msgpack_read(type->schema, in, &arenas[1], values[1]) == (int64_t)size);
        const struct cmds_codec *codec = &cmds_codec_msgpack;
        int64_t written = codec->size(codec, type, values[0]);
        REQUIRE(written > 0 && codec->size(codec, type, values[1]) == written);
        size_t half = (size_t)written;
        uint8_t *bytes = malloc(2 * half);
        REQUIRE(bytes != NULL);
        (void)codec->encode(codec, type, values[0], bytes, half);
        (void)codec->encode(codec, type, values[1], bytes + half, half);
        REQUIRE(memcmp(bytes, bytes + half, half) == 0);
        free(bytes);
    }
    for (int i = 0; i < 2; i++) {
        cmdi_arena_fini(&arenas[i]);
        free(values[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t used = fuzz_decode(&cmds_codec_msgpack, &shop_order_type, data, size);
    REQUIRE(fuzz_decode(&cmds_codec_msgpack_map, &shop_order_type, data, size) == used);
    (void)fuzz_decode(&cmds_codec_msgpack_map, &steep_type, data, size);
    (void)fuzz_decode(&cmds_codec_msgpack, &shelf_type, data, size);
    fuzz_straight(&shop_order_type, data, size);
    fuzz_straight(&shelf_type, data, size);
    return 0;
}
