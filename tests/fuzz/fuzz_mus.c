/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as MUS: see support/fuzz/codec.h. A value that is whole is not whole without its last
 * byte, while no more is asked for than there is to come; and the walk that looks for its end, given
 * as little as it asks for, comes to the same end.
 */
#include <cmdstream/codec_mus.h>

#include "support/fuzz/codec.h"

/* Bytes that were passed are gone: the walk must not come back to them. */
static int64_t find_end(const uint8_t *data, size_t size)
{
    struct cmds_codec_place place = {{0}};
    int64_t need = data[0] % 8;
    while (need <= (int64_t)size) {
        size_t there = (size_t)need;
        uint8_t *copy = malloc(there + 1);
        REQUIRE(copy != NULL);
        memcpy(copy, data, there);
        memset(copy, 0xff, (size_t)place.words[0]);
        need = cmds_codec_mus.find_end(
                &cmds_codec_mus, &shop_order_type, (struct cmds_bytes){copy, there}, &place);
        free(copy);
        REQUIRE(place.words[0] <= there);
        if (need <= (int64_t)there) {
            break;
        }
    }
    return need;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t used = fuzz_decode(&cmds_codec_mus, &shop_order_type, data, size);
    (void)fuzz_decode(&cmds_codec_mus, &steep_type, data, size);
    (void)fuzz_decode(&cmds_codec_mus, &shelf_type, data, size);
    if (size > 0) {
        int64_t end = find_end(data, size);
        bool cut = used > (int64_t)size; // Of which the walk may see what decode() did not look at.
        REQUIRE(used < 0 || (cut ? end > (int64_t)size || end < 0 : end == used));
    }
    if (used > 0 && used <= (int64_t)size) {
        size_t cut = (size_t)used * (data[0] % 8) / 8;
        int64_t need = fuzz_decode(&cmds_codec_mus, &shop_order_type, data, cut);
        REQUIRE(need > (int64_t)cut && need <= used);
    }
    return 0;
}
