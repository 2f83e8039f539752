/* SPDX-License-Identifier: MIT */
/*
 * Which connection goes to which endpoint.
 *
 * A group has a constant number of connections, its slots: slot i lives on shard i modulo the number
 * of shards. Every endpoint gets as many slots as any other, or one more. If there are more endpoints
 * than slots, some of them get one slot each, and the others none.
 *
 *     who gets one more, or one at all    those with the highest hash of (address, seed): the groups of
 *                                         a fleet, each with a seed of its own, cover all endpoints
 *     who moves when the list changes     as few as that allows: about one of n
 *     which endpoints a shard has         as many different ones as it has slots
 *
 * Pure values: a list goes in, an assignment comes out.
 */
#ifndef CMDI_GROUP_SPREAD_H
#define CMDI_GROUP_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

/** In place of the index of an endpoint: the slot has none. */
#define CMDI_SPREAD_NONE UINT32_MAX

struct cmdi_spread_endpoint {
    uint64_t hash; // Of its address. Two with the same one are the same endpoint to a fleet.
    bool is_out;   // It gets no slot.
    uint8_t unused[7];
};

/**
 * Assigns every slot anew. slots[i] is the index of its endpoint in the list, or CMDI_SPREAD_NONE: before,
 * as it is, and after, as it is to be. Without any endpoint that is not out: none.
 *
 * Owner:   borrows.
 * Thread:  any.
 * Returns: 0; -ENOMEM, and nothing has changed.
 */
int cmdi_spread(uint32_t *slots, uint32_t slot_count, uint32_t shard_count,
        const struct cmdi_spread_endpoint *endpoints, uint32_t count, uint64_t seed);

#endif
