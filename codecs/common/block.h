/* SPDX-License-Identifier: MIT */
/*
 * Sixteen bytes at once, for looking through text.
 *
 * Comparing is left to the vector extensions that gcc and clang share. Only the question where the
 * first byte is that was found has no good answer there: SSE2 and NEON, which every x86-64 and every
 * arm64 has, are asked in their own words, other machines in two halves. No state, any thread.
 */
#ifndef CMDI_COMMON_BLOCK_H
#define CMDI_COMMON_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#define CMDI_BLOCK_NEON_
#endif

#define CMDI_BLOCK_INLINED_ static inline __attribute__((always_inline))

typedef uint8_t cmdi_block __attribute__((vector_size(16)));

CMDI_BLOCK_INLINED_ cmdi_block cmdi_block_load(const void *at)
{
    cmdi_block block;
    memcpy(&block, at, sizeof(block));
    return block;
}

/** The highest bit of what is below a space or not ASCII; the others mean nothing. */
CMDI_BLOCK_INLINED_ cmdi_block cmdi_block_unprintable(cmdi_block block)
{
    return (block - 0x20) | block;
}

/** A bit for each byte, the first one's lowest: has it its highest bit set? */
CMDI_BLOCK_INLINED_ uint32_t cmdi_block_bits(cmdi_block found)
{
#if defined(__SSE2__)
    return (uint32_t)_mm_movemask_epi8((__m128i)found);
#else
    uint32_t bits = 0;
    for (unsigned i = 0; i < sizeof(found); i++) {
        bits |= (uint32_t)(found[i] >> 7) << i;
    }
    return bits;
#endif
}

/** How many bytes are before the first one that has its highest bit set; 16: none has. */
CMDI_BLOCK_INLINED_ unsigned cmdi_block_first(cmdi_block found)
{
#if defined(__SSE2__)
    return (unsigned)__builtin_ctz(cmdi_block_bits(found) | 0x10000u);
#elif defined(CMDI_BLOCK_NEON_)
    // Four bits of each byte, among them the highest.
    uint8x8_t narrow = vshrn_n_u16(vreinterpretq_u16_u8((uint8x16_t)found), 4);
    uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(narrow), 0);
    bits &= 0x8888888888888888u;
    return bits != 0 ? (unsigned)__builtin_ctzll(bits) / 4 : 16;
#else
    uint64_t halves[2];
    found &= 0x80;
    memcpy(halves, &found, sizeof(halves));
    unsigned before = halves[0] != 0 ? 0 : 8;
    uint64_t half = halves[0] != 0 ? halves[0] : halves[1];
    if (half == 0) {
        return 16;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return before + (unsigned)__builtin_ctzll(half) / 8;
#else
    return before + (unsigned)__builtin_clzll(half) / 8;
#endif
#endif
}

/** Has any byte its highest bit set? */
CMDI_BLOCK_INLINED_ bool cmdi_block_any(cmdi_block found)
{
#if defined(__SSE2__)
    return cmdi_block_bits(found) != 0;
#elif defined(CMDI_BLOCK_NEON_)
    return vmaxvq_u8((uint8x16_t)found) >= 0x80;
#else
    uint64_t halves[2];
    memcpy(halves, &found, sizeof(halves));
    return ((halves[0] | halves[1]) & 0x8080808080808080u) != 0;
#endif
}

#endif
