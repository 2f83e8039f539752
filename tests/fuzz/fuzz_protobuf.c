/* SPDX-License-Identifier: MIT */
/* Any bytes as Protobuf, by a schema and by a generated descriptor: see support/fuzz/codec.h. */
#include <cmdstream/codec_protobuf.h>

#include "shop.pb-c.h"
#include "support/fuzz/codec.h"

CMDS_PROTOBUF_COMMAND(node, 1, ShopNode, shop_node__descriptor);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_decode(&cmds_codec_protobuf, &shop_order_type, data, size);
    (void)fuzz_decode(&cmds_codec_protobuf, &node_type, data, size);
    return 0;
}
