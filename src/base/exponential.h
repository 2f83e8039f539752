/* SPDX-License-Identifier: MIT */
/*
 * Durations and sizes as OpenTelemetry and Prometheus take them, without a bucket anew.
 *
 * Durations: base 2, scale 3. Each power of two has eight buckets, bucket i those of
 *     2^-24 s * 2^(i / 8) < duration <= 2^-24 s * 2^((i + 1) / 8)
 * so what is read back is at most 4.4 % off. From 60 ns to 17 minutes; shorter ones are zero, longer ones
 * in the last bucket. The unit is 2^-30 s, for only then are bounds powers of two.
 *
 * Sizes: scale 0, bucket i those of 2^i < size <= 2^(i + 1) bytes; one byte and less are zero.
 *
 * One writer, any readers: each number is written whole. How many there are is the sum of zero and the
 * buckets as they are read, and no number of its own, which might be another one at that moment.
 */
#ifndef CMDI_BASE_EXPONENTIAL_H
#define CMDI_BASE_EXPONENTIAL_H

#include <stdint.h>

#include "base/alone.h"
#include "base/assert.h"
#include "base/hint.h"

enum {
    CMDI_DURATION_SCALE = 3,
    CMDI_DURATION_OFFSET = -24 * 8, // OpenTelemetry's number of the first bucket.
    CMDI_DURATION_BUCKETS = 34 * 8,
    CMDI_DURATION_FIRST_BIT = 6, // The zero bucket ends at 2^6 units...
    CMDI_DURATION_LAST_BIT = 40, // ...and the last one at 2^40.
    CMDI_SIZE_BUCKETS = 32,
};

struct cmdi_durations {
    uint64_t zero;
    uint64_t sum_ns;
    uint64_t buckets[CMDI_DURATION_BUCKETS];
};
struct cmdi_sizes {
    uint64_t zero;
    uint64_t sum;
    uint64_t buckets[CMDI_SIZE_BUCKETS];
};

/** By the six bits behind the highest one: how many of the seven bounds are below all of them. */
extern const uint8_t cmdi_duration_guess[64];
/** [k]: 2^(63 + k / 8), rounded down. [8]: none is beyond it. */
extern const uint64_t cmdi_duration_bounds[9];

/* By one writer: a reader of another thread sees the number before or after it. */
static inline void cmdi_exponential_add(uint64_t *number, uint64_t more)
{
    cmdi_alone_add(number, more);
}

/* The same for numbers that may be anything: a sum that has come to its end stays there, and never falls. */
static inline void cmdi_exponential_add_capped(uint64_t *number, uint64_t more)
{
    uint64_t left = UINT64_MAX - *number;
    cmdi_exponential_add(number, more < left ? more : left);
}

/** Nanoseconds in units of 2^-30 s, up to 2^40 and a little. */
static inline uint64_t cmdi_duration_units(uint64_t ns)
{
    const uint64_t most = UINT64_C(1) << CMDI_DURATION_LAST_BIT; // 1100 s, beyond the last bound.
    ns = ns < most ? ns : most;
    /* 2^30 / 10^9 - 1, times 2^30. The product has 67 bits at most, so in two parts. */
    const uint64_t more = 79179681;
    return ns + (((ns >> 15) * more) >> 15) +
           ((((ns & 0x7fff) * more) + (UINT64_C(1) << 29)) >> 30);
}

/** The bucket of a duration in units. Returns: -1: the zero bucket. */
static inline int32_t cmdi_duration_bucket(uint64_t units)
{
    if (CMDI_UNLIKELY(units <= UINT64_C(1) << CMDI_DURATION_FIRST_BIT)) {
        return -1;
    }
    if (CMDI_UNLIKELY(units > UINT64_C(1) << CMDI_DURATION_LAST_BIT)) {
        return CMDI_DURATION_BUCKETS - 1;
    }
    uint32_t zeros = (uint32_t)__builtin_clzll(units);
    uint64_t high = units << zeros; // The highest bit is set: only how far it is above that counts.
    uint32_t part = cmdi_duration_guess[high >> 57 & 63];
    part += high > cmdi_duration_bounds[part + 1];
    uint32_t octave = 63 - zeros - CMDI_DURATION_FIRST_BIT;
    return (int32_t)(octave * 8 + part) - (high == UINT64_C(1) << 63); // That is its bound.
}

/** `count` of them took `ns` each, whose bucket that is. */
static inline void cmdi_durations_record_in(
        struct cmdi_durations *durations, int32_t bucket, uint64_t ns, uint64_t count)
{
    cmdi_exponential_add(bucket < 0 ? &durations->zero : &durations->buckets[bucket], count);
    cmdi_exponential_add(&durations->sum_ns, ns * count);
}
static inline void cmdi_durations_record(
        struct cmdi_durations *durations, uint64_t ns, uint64_t count)
{
    cmdi_durations_record_in(durations, cmdi_duration_bucket(cmdi_duration_units(ns)), ns, count);
}

/** Without its sum. */
static inline void cmdi_sizes_count(struct cmdi_sizes *sizes, uint64_t size)
{
    uint32_t bucket = size > 1 ? 63 - (uint32_t)__builtin_clzll(size - 1) : 0;
    bucket = bucket < CMDI_SIZE_BUCKETS ? bucket : CMDI_SIZE_BUCKETS - 1;
    cmdi_exponential_add(size > 1 ? &sizes->buckets[bucket] : &sizes->zero, 1);
}
static inline void cmdi_sizes_record(struct cmdi_sizes *sizes, uint64_t size)
{
    cmdi_sizes_count(sizes, size);
    cmdi_exponential_add(&sizes->sum, size);
}

/**
 * Sizes of frames, of which there are four to a command: two bytes at least, and below the last bucket.
 * Which cell is that of a bucket the processor says.
 */
struct cmdi_frame_sizes {
    uint64_t beyond; // The sum of the bytes that each has beyond one.
    uint64_t cells[CMDI_SIZE_BUCKETS];
};

/**
 * The cell of a frame by the bytes that it has beyond one. On x86 by `lzcnt`, one instruction, with which a
 * program for any of them must not be built; one that does not know it takes it for `bsr`, and gives the
 * place of the highest bit where others count the zeros above it. Either will do here, for whoever reads the
 * cells asks the same processor: cmdi_frame_sizes_merge().
 */
static inline uint64_t cmdi_frame_size_cell(uint32_t beyond)
{
#if defined(__x86_64__)
    uint64_t cell;
    __asm__("lzcntl %1, %k0" : "=r"(cell) : "rm"(beyond) : "cc");
    return cell;
#else
    return (uint32_t)__builtin_clz(beyond);
#endif
}

static inline void cmdi_frame_sizes_record(struct cmdi_frame_sizes *sizes, uint64_t size)
{
    uint64_t beyond = size - 1;
    CMDI_ASSERT_SLOW(beyond > 0 && beyond < UINT64_C(1) << (CMDI_SIZE_BUCKETS - 1));
    cmdi_exponential_add(&sizes->cells[cmdi_frame_size_cell((uint32_t)beyond)], 1);
    cmdi_exponential_add(&sizes->beyond, beyond);
}

/** Adds what was recorded in `from`, by whatever thread. A sum ends at UINT64_MAX. */
void cmdi_durations_merge(struct cmdi_durations *into, const struct cmdi_durations *from);
void cmdi_sizes_merge(struct cmdi_sizes *into, const struct cmdi_sizes *from);
void cmdi_frame_sizes_merge(struct cmdi_sizes *into, const struct cmdi_frame_sizes *from);

#endif
