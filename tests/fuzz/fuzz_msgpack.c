/* SPDX-License-Identifier: MIT */
/* Any bytes as a msgpack value, which both codecs read alike: see support/fuzz/codec.h. */
#include "support/fuzz/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t used = fuzz_decode(&cmds_codec_msgpack, &shop_order_type, data, size);
    REQUIRE(fuzz_decode(&cmds_codec_msgpack_map, &shop_order_type, data, size) == used);
    (void)fuzz_decode(&cmds_codec_msgpack_map, &steep_type, data, size);
    (void)fuzz_decode(&cmds_codec_msgpack, &shelf_type, data, size);
    return 0;
}
