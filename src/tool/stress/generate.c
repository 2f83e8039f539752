/* SPDX-License-Identifier: MIT */
/* See generate.h. */
#include "stress/generate.h"

#include <string.h>

static uint64_t generate_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t stress_random(uint64_t seed, uint64_t number, uint64_t purpose)
{
    return generate_mix(generate_mix(generate_mix(seed) ^ number) ^ purpose);
}

double stress_share(uint64_t random)
{
    return (double)(random >> 11) * 0x1p-53;
}

uint64_t stress_below(uint64_t random, uint64_t count)
{
    return random % count;
}

size_t stress_item_size(uint64_t seed, uint64_t number, uint64_t index, size_t size_max)
{
    uint64_t random = stress_random(seed, number, STRESS_ITEM_SIZE + index);
    return (size_t)stress_below(random, (uint64_t)size_max + 1);
}

/* Eight characters. In memory as on a little-endian machine. */
static uint64_t generate_word(uint64_t key, uint64_t index)
{
    uint64_t word = generate_mix(key + index);
    word = (word & UINT64_C(0x3f3f3f3f3f3f3f3f)) + UINT64_C(0x3030303030303030);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

void stress_write(char *out, size_t size, uint64_t key)
{
    uint64_t word;
    size_t at = 0;
    for (; size - at >= sizeof(word); at += sizeof(word)) {
        word = generate_word(key, at / sizeof(word));
        memcpy(out + at, &word, sizeof(word));
    }
    if (at < size) {
        word = generate_word(key, at / sizeof(word));
        memcpy(out + at, &word, size - at);
    }
}

bool stress_is(const char *text, size_t size, uint64_t key)
{
    uint64_t word;
    size_t at = 0;
    for (; size - at >= sizeof(word); at += sizeof(word)) {
        word = generate_word(key, at / sizeof(word));
        if (memcmp(text + at, &word, sizeof(word)) != 0) {
            return false;
        }
    }
    if (at == size) {
        return true;
    }
    word = generate_word(key, at / sizeof(word));
    return memcmp(text + at, &word, size - at) == 0;
}
