/* SPDX-License-Identifier: MIT */
/*
 * What a decode costs, counted and not timed: the blocks of code that ran, and the memory that was
 * cleared, copied, compared or searched, sixteen bytes of which count as a block.
 *
 * The codecs are compiled once more for this (cmdstream_cost in tests/CMakeLists.txt): the compiler
 * puts a call in front of every block. So all of a codec's lines are counted, also those of tomorrow,
 * and the figure is the same on a busy machine. At -O2, without the calls, a block is about an eighth of a ns.
 */
#ifndef CMDI_TESTS_SUPPORT_COST_H
#define CMDI_TESTS_SUPPORT_COST_H

#include <stdint.h>

/** Since the program began. One thread. */
extern uint64_t cmdi_cost;

enum {
    // No decoder may cost more, whatever comes:
    CMDI_COST_FACTOR = 80, // for each byte of the input, beside
    CMDI_COST_MIN = 24000, // so much, of which 4096 are the 64 KiB that every value may take.
};

#endif
