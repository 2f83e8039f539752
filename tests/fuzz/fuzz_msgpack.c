/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a msgpack value: the decoder must stay inside them and inside its bound of memory,
 * and what it accepts must survive encode and decode: the same value twice is the same bytes. Both
 * codecs; the schema has every kind of field.
 */
#include <cmdstream/codec.h>

#include <stdlib.h>

#include "codec/arena.h"
#include "support/shop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ARENA_MAX = 1 << 20
};

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

/* Encodes the value, decodes it again, encodes that, and compares. */
static void round_trip(const struct cmds_codec *codec, const struct shop_order *order)
{
    int64_t size = codec->size(codec, &shop_order_type, order);
    REQUIRE(size > 0); // What passed the limits on its way in passes them on its way out.
    uint8_t *first = malloc((size_t)size), *second = malloc((size_t)size);
    REQUIRE(first != NULL && second != NULL);
    REQUIRE(codec->encode(codec, &shop_order_type, order, first, (size_t)size) == first + size);

    void *again = NULL;
    REQUIRE(cmds_codec_decode(codec, &shop_order_type, (struct cmds_bytes){first, (size_t)size},
                    &again) == 0);
    REQUIRE(shop_order_equal(order, again));
    REQUIRE(cmds_codec_encode(codec, shop_order_message(again), second, (size_t)size) == size);
    REQUIRE(memcmp(first, second, (size_t)size) == 0);
    free(again);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cmds_codec *codec = &cmds_codec_msgpack;
    struct cmds_arena arena;
    struct shop_order order;
    memset(&order, 0, sizeof(order));
    cmdi_arena_init(&arena, ARENA_MAX);
    int64_t used =
            codec->decode(codec, &shop_order_type, (struct cmds_bytes){data, size}, &arena, &order);
    REQUIRE(arena.size <= ARENA_MAX);
    REQUIRE(used == (int64_t)size || used == CMDS_E_PROTO || used == CMDS_E_LIMIT);
    if (used > 0) {
        round_trip(&cmds_codec_msgpack, &order);
        round_trip(&cmds_codec_msgpack_map, &order);
    }
    cmdi_arena_fini(&arena);
    return 0;
}
