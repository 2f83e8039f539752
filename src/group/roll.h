/* SPDX-License-Identifier: MIT */
/*
 * Numbers by the hash of a text, in open addressing: lists of thousands of addresses are compared
 * while a shard waits, and not each of one with each of the other.
 */
#ifndef CMDI_GROUP_ROLL_H
#define CMDI_GROUP_ROLL_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

struct cmdi_roll {
    uint32_t *cells; // A number and 1; 0: none. At least half of them are free.
    uint32_t mask;
    uint32_t room; // How many more numbers it takes.
};

/** For at most `count_max` numbers. Owner: cmdi_roll_fini(). Returns: 0; -ENOMEM: `roll` is empty. */
int cmdi_roll_init(struct cmdi_roll *roll, uint32_t count_max);
void cmdi_roll_fini(struct cmdi_roll *roll);

static inline void cmdi_roll_add(struct cmdi_roll *roll, uint64_t hash, uint32_t number)
{
    CMDI_ASSERT(roll->room > 0 && number != UINT32_MAX);
    uint32_t at = (uint32_t)hash & roll->mask;
    while (roll->cells[at] != 0) {
        at = (at + 1) & roll->mask;
    }
    roll->cells[at] = number + 1;
    roll->room--;
}

/**
 * The numbers that may be under this hash, one after the other; `*tried` is 0 before the first.
 *
 * Returns: a number; UINT32_MAX: there are no more.
 */
static inline uint32_t cmdi_roll_next(const struct cmdi_roll *roll, uint64_t hash, uint32_t *tried)
{
    if (roll->cells == NULL) {
        return UINT32_MAX;
    }
    return roll->cells[((uint32_t)hash + (*tried)++) & roll->mask] - 1;
}

#endif
