/* SPDX-License-Identifier: MIT */
/* Hashes that decide who gets what, the same on every machine; not for tables that a peer can fill. */
#ifndef CMDI_BASE_HASH_H
#define CMDI_BASE_HASH_H

#include <stdint.h>

/** Every bit of what goes in changes half of the bits that come out. */
static inline uint64_t cmdi_hash_mix(uint64_t value)
{
    value = (value ^ (value >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    value = (value ^ (value >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return value ^ (value >> 32);
}
/** The rank of `hash` for a group with this seed, or for a key: rendezvous hashing. */
static inline uint64_t cmdi_hash_rank(uint64_t hash, uint64_t seed)
{
    return cmdi_hash_mix(hash ^ cmdi_hash_mix(seed));
}
static inline uint64_t cmdi_hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a, and mixed: its high bits are poor.
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    }
    return cmdi_hash_mix(hash);
}

#endif
