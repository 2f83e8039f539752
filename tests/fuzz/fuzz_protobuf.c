/* SPDX-License-Identifier: MIT */
/* Any bytes as Protobuf, by a schema and by a generated descriptor: see support/fuzz/codec.h. */
#include <cmdstream/codec_protobuf.h>

#include "shop.pb-c.h"
#include "support/fuzz/codec.h"

CMDS_PROTOBUF_COMMAND(node, 1, ShopNode, shop_node__descriptor);
CMDS_PROTOBUF_COMMAND(leaf, 2, ShopLeaf, shop_leaf__descriptor);

/* Lists in a message that may come in several parts. */
struct lists {
    CMDS_ARRAY_OF(int64_t) numbers;
    CMDS_ARRAY_OF(double) reals;
    struct cmds_map map;
};
struct parts {
    struct lists lists;
};
CMDS_SCHEMA(lists, CMDS_ARRAY(numbers), CMDS_ARRAY(reals), map);
CMDS_COMMAND(parts, 3, CMDS_NESTED(lists, lists));

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_decode(&cmds_codec_protobuf, &shop_order_type, data, size);
    (void)fuzz_decode(&cmds_codec_protobuf, &steep_type, data, size);
    (void)fuzz_decode(&cmds_codec_protobuf, &shelf_type, data, size);
    (void)fuzz_decode(&cmds_codec_protobuf, &node_type, data, size);
    (void)fuzz_decode(&cmds_codec_protobuf, &leaf_type, data, size);
    (void)fuzz_decode(&cmds_codec_protobuf, &parts_type, data, size);
    return 0;
}
