/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a varint: the inline decoder and the plain one must agree, use no byte that is not
 * there, and what is decoded must encode to at most as many bytes and back to the same value.
 */
#include "wire/varint.h"

#include <stdlib.h>

#include <cmdstream/base.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t fast = 0, slow = 0, again = 0;
    uint8_t bytes[CMDI_VARINT_SIZE_MAX];
    int used = cmdi_varint_decode(data, size, &fast);
    REQUIRE(cmdi_varint_decode_slow(data, size, &slow) == used);
    REQUIRE(used <= CMDI_VARINT_SIZE_MAX && (used > 0 || used == 0 || used == CMDS_E_PROTO));
    REQUIRE(used <= 0 || (size_t)used <= size);
    REQUIRE(used != 0 || size < CMDI_VARINT_SIZE_MAX); // Ten bytes are enough to know.
    if (used > 0) {
        REQUIRE(fast == slow);
        size_t encoded = (size_t)(cmdi_varint_encode(bytes, fast) - bytes);
        REQUIRE(encoded == cmdi_varint_size(fast) && encoded <= (size_t)used);
        REQUIRE(cmdi_varint_decode(bytes, encoded, &again) == (int)encoded && again == fast);
    }
    return 0;
}
