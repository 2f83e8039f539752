#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes codecs/json/pow10.h: the 128 leading bits of each power of ten that a double needs, cut,
not rounded.

scripts/gen_pow10.py [--check]

--check changes nothing: the exit status is 1 if the file is not what would be written.
"""
import argparse
import pathlib
import sys

FIRST, LAST = -342, 324

HEAD = """\
/* SPDX-License-Identifier: MIT */
/*
 * The 128 leading bits of 10^e, high half first, cut off below; made by scripts/gen_pow10.py.
 *
 * 10^e = (table + r) * 2^(floor(log2(10^e)) - 127) with 0 <= r < 1, and r is 0 where 5^e fits: for
 * e from 0 to %(exact)d.
 */
#ifndef CMDI_JSON_POW10_H
#define CMDI_JSON_POW10_H

#include <stdint.h>

enum {
    CMDI_POW10_FIRST = %(first)d,
    CMDI_POW10_LAST = %(last)d,
    CMDI_POW10_EXACT_LAST = %(exact)d,
};

/* clang-format off */
static const uint64_t cmdi_pow10[CMDI_POW10_LAST - CMDI_POW10_FIRST + 1][2] = {
"""
TAIL = """\
};
/* clang-format on */

#endif
"""


def leading_bits(exponent):
    if exponent >= 0:
        value = 10**exponent
        shift = value.bit_length() - 128
        return value >> shift if shift >= 0 else value << -shift
    divisor = 10**-exponent
    bits = divisor.bit_length() + 127
    quotient = (1 << bits) // divisor
    return quotient >> (quotient.bit_length() - 128)


def table():
    exact = max(e for e in range(LAST) if (5**e).bit_length() <= 128)
    text = HEAD % {"first": FIRST, "last": LAST, "exact": exact}
    for e in range(FIRST, LAST + 1):
        bits = leading_bits(e)
        text += "    {0x%016xu, 0x%016xu}, // %d\n" % (bits >> 64, bits & (2**64 - 1), e)
    return text + TAIL


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    path = pathlib.Path(__file__).resolve().parent.parent / "codecs/json/pow10.h"
    if arguments.check:
        return 0 if path.read_text(encoding="ascii") == table() else 1
    path.write_text(table(), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
