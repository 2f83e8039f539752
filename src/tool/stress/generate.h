/* SPDX-License-Identifier: MIT */
/*
 * All that is random in a stress test, as a function of (seed, number, purpose): so that whoever knows
 * the first two can say what a text has to be, in any language, and a run can be had again.
 *
 *     mix(x)                         the finalizer of splitmix64
 *     random(seed, number, purpose)  mix(mix(mix(seed) ^ number) ^ purpose)
 *     text of size n under a key     word k is mix(key + k), little-endian; of each byte the low six bits, plus '0':
 *                                    the 64 characters from '0' to 'o', which every codec can carry
 *
 * An echo's text is that of random(seed, number, STRESS_TEXT); the text of a stream's item i that of
 * random(seed, number, STRESS_TEXT + i), whose size is random(seed, number, STRESS_ITEM_SIZE + i) modulo
 * (size + 1).
 */
#ifndef CMDSTREAM_TOOL_STRESS_GENERATE_H
#define CMDSTREAM_TOOL_STRESS_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Purposes. Those of a stream's items are followed by one for each item. */
enum stress_purpose {
    STRESS_KIND,
    STRESS_SIZE,
    STRESS_COUNT,
    STRESS_DELAY,
    STRESS_DEADLINE,
    STRESS_FORGET,
    STRESS_PAUSE,
    STRESS_SERVER,
    STRESS_REFUSE,
    STRESS_RESEND,
    STRESS_TEXT = 1 << 20,
    STRESS_ITEM_SIZE = 1 << 24,
};

uint64_t stress_random(uint64_t seed, uint64_t number, uint64_t purpose);
/** From 0 on, below 1. */
double stress_share(uint64_t random);
/** From 0 on, below `count`, which is at least 1. */
uint64_t stress_below(uint64_t random, uint64_t count);
/** The size of a stream's item. */
size_t stress_item_size(uint64_t seed, uint64_t number, uint64_t index, size_t size_max);
void stress_write(char *out, size_t size, uint64_t key);
/** Is this the text of that key? `text` may be NULL if `size` is 0. */
bool stress_is(const char *text, size_t size, uint64_t key);

#endif
