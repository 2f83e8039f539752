/* SPDX-License-Identifier: MIT */
/* The long forms of a varint; the short ones, which are nearly all, are inline in the header. */
#include "wire/varint.h"

#include <cmdstream/base.h>

#include "base/assert.h"

int cmdi_varint_decode_slow(const uint8_t *data, size_t size, uint64_t *value)
{
    uint64_t result = 0;
    CMDI_ASSERT(size == 0 || data != NULL);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = data[i];
        if (i == CMDI_VARINT_SIZE_MAX - 1 && byte > 1) {
            return CMDS_E_PROTO; // The tenth byte carries the 64th bit and nothing else.
        }
        result |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = result;
            return (int)i + 1;
        }
    }
    return 0;
}
