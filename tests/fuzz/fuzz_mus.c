/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as MUS: see support/fuzz/codec.h. And a value that is whole is not whole without its last byte, while no more is
 * asked for than there is to come.
 */
#include <cmdstream/codec_mus.h>

#include "support/fuzz/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t used = fuzz_decode(&cmds_codec_mus, &shop_order_type, data, size);
    if (used > 0 && used <= (int64_t)size) {
        size_t cut = (size_t)used * (data[0] % 8) / 8;
        int64_t need = fuzz_decode(&cmds_codec_mus, &shop_order_type, data, cut);
        REQUIRE(need > (int64_t)cut && need <= used);
    }
    return 0;
}
