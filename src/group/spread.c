/* SPDX-License-Identifier: MIT */
/*
 * Quotas by rank, then the fewest moves that reach them. See spread.h.
 *
 * What a slot has already it keeps, up to its endpoint's quota. What is free then takes, one slot after
 * the other, the endpoint that its shard has least of. That may end with a shard that has one endpoint
 * twice; so at last two slots of different shards exchange their endpoints where this makes both shards
 * more varied, if possible two that have moved anyway.
 */
#include "group/spread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

enum {
    SPREAD_SCAN_MAX = 256, // Candidates that one slot is compared with: bounds the work.
    SPREAD_ROUNDS_MAX = 4, // Of exchanges.
};

struct spread_rank {
    uint64_t score;
    uint32_t endpoint;
    uint32_t first; // 1: before all with 0.
};

struct spread {
    uint32_t *slots;
    uint32_t slot_count, shard_count, count;
    uint32_t *held, *quota;    // By endpoint: slots that it has, and is to have.
    uint32_t *present;         // By shard and endpoint: slots.
    bool *has_moved;           // By slot.
    struct spread_rank *ranks; // Of the endpoints that are not out, highest first.
    uint32_t rank_count;
};

/* --- Memory ----------------------------------------------------------------------------------- */

static void spread_fini(struct spread *spread)
{
    free(spread->held);
    free(spread->present);
    free(spread->has_moved);
    free(spread->ranks);
}

static int spread_init(struct spread *spread)
{
    spread->held = calloc(2 * (size_t)spread->count + 1, sizeof(*spread->held));
    spread->present =
            calloc((size_t)spread->shard_count * spread->count + 1, sizeof(*spread->present));
    spread->has_moved = calloc(spread->slot_count, sizeof(*spread->has_moved));
    spread->ranks = calloc((size_t)spread->count + 1, sizeof(*spread->ranks));
    if (spread->held == NULL || spread->present == NULL || spread->has_moved == NULL ||
            spread->ranks == NULL) {
        return -ENOMEM;
    }
    spread->quota = spread->held + spread->count;
    return 0;
}

/* --- Slots ------------------------------------------------------------------------------------ */

/* How many slots the shard of this slot has at an endpoint. */
static uint32_t *spread_present(const struct spread *spread, uint32_t slot, uint32_t endpoint)
{
    return &spread->present[(size_t)(slot % spread->shard_count) * spread->count + endpoint];
}

static void spread_take(struct spread *spread, uint32_t slot, uint32_t endpoint)
{
    spread->slots[slot] = endpoint;
    spread->held[endpoint]++;
    (*spread_present(spread, slot, endpoint))++;
}

static void spread_give(struct spread *spread, uint32_t slot)
{
    uint32_t endpoint = spread->slots[slot];
    CMDI_ASSERT(spread->held[endpoint] > 0);
    spread->held[endpoint]--;
    (*spread_present(spread, slot, endpoint))--;
    spread->slots[slot] = CMDI_SPREAD_NONE;
    spread->has_moved[slot] = true;
}

/* --- Quotas ----------------------------------------------------------------------------------- */

static int spread_compare(const void *one, const void *other)
{
    const struct spread_rank *a = one;
    const struct spread_rank *b = other;
    if (a->first != b->first) {
        return a->first > b->first ? -1 : 1;
    }
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    return a->endpoint < b->endpoint ? -1 : 1;
}

/*
 * Among endpoints that all get a slot, those that have one more already keep it: that saves moves. Where
 * some get none the score alone decides, or one that is new would never get any.
 */
static void spread_set_quotas(
        struct spread *spread, const struct cmdi_spread_endpoint *endpoints, uint64_t seed)
{
    for (uint32_t i = 0; i < spread->count; i++) {
        if (!endpoints[i].is_out) {
            spread->ranks[spread->rank_count++] = (struct spread_rank){
                    .score = cmdi_hash_rank(endpoints[i].hash, seed), .endpoint = i};
        }
    }
    if (spread->rank_count == 0) {
        return;
    }
    uint32_t each = spread->slot_count / spread->rank_count;
    uint32_t more = spread->slot_count % spread->rank_count;
    for (uint32_t i = 0; i < spread->rank_count && each > 0; i++) {
        struct spread_rank *rank = &spread->ranks[i];
        rank->first = spread->held[rank->endpoint] > each;
    }
    qsort(spread->ranks, spread->rank_count, sizeof(*spread->ranks), spread_compare);
    for (uint32_t i = 0; i < spread->rank_count; i++) {
        spread->quota[spread->ranks[i].endpoint] = each + (i < more);
    }
}

/* --- Moves ------------------------------------------------------------------------------------ */

/* First those that their shard has another one of. */
static void spread_free_excess(struct spread *spread)
{
    for (uint32_t twice = 2; twice > 0; twice--) {
        for (uint32_t i = 0; i < spread->slot_count; i++) {
            uint32_t endpoint = spread->slots[i];
            if (endpoint != CMDI_SPREAD_NONE && spread->held[endpoint] > spread->quota[endpoint] &&
                    *spread_present(spread, i, endpoint) >= twice) {
                spread_give(spread, i);
            }
        }
    }
}

/* Is `one` better for this slot than `other`? */
static bool spread_is_better(
        const struct spread *spread, uint32_t slot, uint32_t one, uint32_t other)
{
    uint32_t one_present = *spread_present(spread, slot, one);
    uint32_t other_present = *spread_present(spread, slot, other);
    if (one_present != other_present) {
        return one_present < other_present;
    }
    return spread->quota[one] - spread->held[one] > spread->quota[other] - spread->held[other];
}

/* `first`: the ranks before it have all that they are to have. */
static uint32_t spread_find(const struct spread *spread, uint32_t slot, uint32_t first)
{
    uint32_t best = CMDI_SPREAD_NONE;
    uint32_t scanned = 0;
    for (uint32_t i = first; i < spread->rank_count && scanned < SPREAD_SCAN_MAX; i++) {
        uint32_t endpoint = spread->ranks[i].endpoint;
        if (spread->held[endpoint] >= spread->quota[endpoint]) {
            continue;
        }
        scanned++;
        if (best == CMDI_SPREAD_NONE || spread_is_better(spread, slot, endpoint, best)) {
            best = endpoint;
        }
    }
    return best;
}

static void spread_fill(struct spread *spread)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < spread->slot_count; i++) {
        if (spread->slots[i] != CMDI_SPREAD_NONE) {
            continue;
        }
        while (spread->held[spread->ranks[first].endpoint] >=
                spread->quota[spread->ranks[first].endpoint]) {
            first++; // The quotas are as many as the slots: there is one that lacks some.
            CMDI_ASSERT(first < spread->rank_count);
        }
        uint32_t endpoint = spread_find(spread, i, first);
        spread->has_moved[i] = true;
        spread_take(spread, i, endpoint);
    }
}

/* --- Exchanges -------------------------------------------------------------------------------- */

/* Would both shards together have fewer slots beside others at the same endpoint? */
static bool spread_gains(const struct spread *spread, uint32_t one, uint32_t other)
{
    uint32_t a = spread->slots[one];
    uint32_t b = spread->slots[other];
    return a != b && one % spread->shard_count != other % spread->shard_count &&
           *spread_present(spread, one, a) + *spread_present(spread, other, b) >
                   *spread_present(spread, one, b) + *spread_present(spread, other, a) + 2;
}

static void spread_exchange(struct spread *spread, uint32_t one, uint32_t other)
{
    uint32_t a = spread->slots[one];
    uint32_t b = spread->slots[other];
    spread_give(spread, one);
    spread_give(spread, other);
    spread_take(spread, one, b);
    spread_take(spread, other, a);
}

/* Returns: it has found a slot to exchange with. `moved`: only one that has moved anyway. */
static bool spread_vary_slot(struct spread *spread, uint32_t slot, bool moved)
{
    uint32_t scan = spread->slot_count < SPREAD_SCAN_MAX ? spread->slot_count : SPREAD_SCAN_MAX;
    for (uint32_t i = 1; i < scan; i++) {
        uint32_t other = (slot + i) % spread->slot_count;
        if ((!moved || spread->has_moved[other]) && spread_gains(spread, slot, other)) {
            spread_exchange(spread, slot, other);
            return true;
        }
    }
    return false;
}

/* Returns: something has changed. */
static bool spread_vary(struct spread *spread, bool moved)
{
    bool changed = false;
    for (uint32_t i = 0; i < spread->slot_count; i++) {
        if ((!moved || spread->has_moved[i]) && *spread_present(spread, i, spread->slots[i]) > 1) {
            changed |= spread_vary_slot(spread, i, moved);
        }
    }
    return changed;
}

static void spread_assign(struct spread *spread)
{
    spread_free_excess(spread);
    if (spread->rank_count == 0) {
        return;
    }
    spread_fill(spread);
    for (uint32_t moved = 2; moved > 0; moved--) {
        uint32_t round = 0;
        while (round < SPREAD_ROUNDS_MAX && spread_vary(spread, moved == 2)) {
            round++;
        }
    }
}

int cmdi_spread(uint32_t *slots, uint32_t slot_count, uint32_t shard_count,
        const struct cmdi_spread_endpoint *endpoints, uint32_t count, uint64_t seed)
{
    struct spread spread = {.slots = slots,
            .slot_count = slot_count,
            .shard_count = shard_count < slot_count ? shard_count : slot_count,
            .count = count};
    CMDI_ASSERT(slot_count > 0 && shard_count > 0);
    int code = spread_init(&spread);
    if (code == 0) {
        for (uint32_t i = 0; i < slot_count; i++) {
            if (slots[i] != CMDI_SPREAD_NONE) {
                CMDI_ASSERT(slots[i] < count);
                spread_take(&spread, i, slots[i]);
            }
        }
        spread_set_quotas(&spread, endpoints, seed);
        spread_assign(&spread);
    }
    spread_fini(&spread);
    return code;
}
