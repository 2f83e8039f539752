/* SPDX-License-Identifier: MIT */
/*
 * Numbers by chance from a seed: the schedule has a stream of its own, and so has each connection, so
 * that what one of them draws changes nothing for the others.
 */
#ifndef CMDI_CHAOS_DRAW_H
#define CMDI_CHAOS_DRAW_H

#include <stdint.h>

#include "chaos/chaos.h"

struct cmdi_draw {
    uint64_t state;
};

/** The next one: steps of an odd constant, mixed (splitmix64). */
static inline uint64_t cmdi_draw_next(struct cmdi_draw *draw)
{
    uint64_t mixed = draw->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

static inline void cmdi_draw_init(struct cmdi_draw *draw, uint64_t seed, uint64_t stream)
{
    draw->state = seed;
    draw->state = cmdi_draw_next(draw) ^ stream;
    draw->state = cmdi_draw_next(draw);
}

/** Below `limit`, which is not 0. */
static inline uint32_t cmdi_draw_below(struct cmdi_draw *draw, uint32_t limit)
{
    return (uint32_t)(((cmdi_draw_next(draw) >> 32) * limit) >> 32);
}

static inline uint32_t cmdi_draw_range(struct cmdi_draw *draw, struct cmdi_chaos_range range)
{
    uint64_t count = (uint64_t)range.max - range.min + 1;
    return range.min + (uint32_t)(((cmdi_draw_next(draw) >> 32) * count) >> 32);
}

#endif
