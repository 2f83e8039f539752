#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints codecs/json/pow10.h: the 128 leading bits of each power of ten that a double needs, cut, not rounded."""
FIRST, LAST = -342, 324


def leading_bits(exponent):
    if exponent >= 0:
        value = 10**exponent
        shift = value.bit_length() - 128
        return value >> shift if shift >= 0 else value << -shift
    divisor = 10**-exponent
    bits = divisor.bit_length() + 127
    quotient = (1 << bits) // divisor
    return quotient >> (quotient.bit_length() - 128)


print("""/* SPDX-License-Identifier: MIT */
/*
 * The 128 leading bits of 10^e, high half first, cut off below; made by scripts/gen_pow10.py.
 *
 * 10^e = (table + r) * 2^(floor(log2(10^e)) - 127) with 0 <= r < 1, and r is 0 where 5^e fits: for e from 0 to 55.
 */
#ifndef CMDI_JSON_POW10_H
#define CMDI_JSON_POW10_H

#include <stdint.h>

enum {
    CMDI_POW10_FIRST = %d,
    CMDI_POW10_LAST = %d,
    CMDI_POW10_EXACT_LAST = 55,
};

/* clang-format off */
static const uint64_t cmdi_pow10[CMDI_POW10_LAST - CMDI_POW10_FIRST + 1][2] = {""" % (FIRST, LAST))
for e in range(FIRST, LAST + 1):
    bits = leading_bits(e)
    print("    {0x%016xu, 0x%016xu}, // %d" % (bits >> 64, bits & (2**64 - 1), e))
print("""};
/* clang-format on */

#endif""")
