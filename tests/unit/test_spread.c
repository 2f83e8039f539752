/* SPDX-License-Identifier: MIT */
/*
 * Slots over endpoints, as values. An endpoint that gets more than its share is slower than the others;
 * a list that changes by one and moves everybody cuts every connection of a fleet; a shard with all its
 * slots at one endpoint has nothing left when that one goes; and clients that all choose the same few of
 * many leave the others idle.
 */
#include "group/spread.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "support/harness.h"

enum {
    SLOTS_MAX = 512,
    ENDPOINTS_MAX = 300,
};

/* A group, and the list that it knows. */
struct world {
    uint64_t random;
    uint32_t slot_count, shard_count, count;
    uint64_t seed;
    uint32_t next_address;
    uint32_t slots[SLOTS_MAX];
    struct cmdi_spread_endpoint endpoints[ENDPOINTS_MAX];
};

static uint64_t world_random(struct world *world)
{
    world->random = world->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return world->random >> 33;
}

static uint64_t address_hash(uint32_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "10.0.%u.%u:9000", number / 256, number % 256);
    return cmdi_hash_text(text);
}

static struct world world_of(
        uint32_t slot_count, uint32_t shard_count, uint32_t count, uint64_t seed)
{
    struct world world = {.random = seed,
            .slot_count = slot_count,
            .shard_count = shard_count,
            .count = count,
            .seed = seed};
    for (uint32_t i = 0; i < slot_count; i++) {
        world.slots[i] = CMDI_SPREAD_NONE;
    }
    for (; world.next_address < count; world.next_address++) {
        world.endpoints[world.next_address].hash = address_hash(world.next_address);
    }
    return world;
}

static void world_spread(struct world *world)
{
    CU_ASSERT_EQUAL_FATAL(cmdi_spread(world->slots, world->slot_count, world->shard_count,
                                  world->endpoints, world->count, world->seed),
            0);
}

static void world_add(struct world *world)
{
    CU_ASSERT_FATAL(world->count < ENDPOINTS_MAX);
    world->endpoints[world->count++] =
            (struct cmdi_spread_endpoint){.hash = address_hash(world->next_address++)};
}

/* Its slots have none then; those behind it move up. */
static void world_remove(struct world *world, uint32_t index)
{
    for (uint32_t i = 0; i < world->slot_count; i++) {
        uint32_t *slot = &world->slots[i];
        *slot = *slot == CMDI_SPREAD_NONE || *slot == index ? CMDI_SPREAD_NONE
                                                            : *slot - (*slot > index);
    }
    world->count--;
    memmove(&world->endpoints[index], &world->endpoints[index + 1],
            (world->count - index) * sizeof(world->endpoints[0]));
}

static uint32_t held_by(const struct world *world, uint32_t endpoint)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < world->slot_count; i++) {
        held += world->slots[i] == endpoint;
    }
    return held;
}

static bool is_usable(const struct world *world, uint32_t endpoint)
{
    return !world->endpoints[endpoint].is_out;
}

/* Returns: every slot has an endpoint that is not out, and none has more than one more than another. */
static bool is_even(const struct world *world)
{
    uint32_t usable = 0, total = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        usable += is_usable(world, i);
    }
    for (uint32_t i = 0; i < world->count; i++) {
        uint32_t held = held_by(world, i);
        uint32_t least = world->slot_count / usable;
        uint32_t most = least + (world->slot_count % usable > 0);
        total += held;
        if (is_usable(world, i) ? held < least || held > most : held > 0) {
            return false;
        }
    }
    return total == world->slot_count;
}

/* Slots that their shard could have at an endpoint of which it has none. */
static uint32_t lost_variety(const struct world *world)
{
    uint32_t lost = 0;
    uint32_t holders = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        holders += held_by(world, i) > 0;
    }
    for (uint32_t shard = 0; shard < world->shard_count; shard++) {
        bool has[ENDPOINTS_MAX] = {false};
        uint32_t slots = 0, different = 0;
        for (uint32_t i = shard; i < world->slot_count; i += world->shard_count) {
            slots++;
            different += !has[world->slots[i]];
            has[world->slots[i]] = true;
        }
        lost += (slots < holders ? slots : holders) - different;
    }
    return lost;
}

/* Slots that have another endpoint than before: those of `gone` (an index before) do not count. */
static uint32_t moved(const struct world *before, const struct world *after)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < before->slot_count; i++) {
        uint32_t was = before->slots[i];
        count += was == CMDI_SPREAD_NONE ||
                 before->endpoints[was].hash != after->endpoints[after->slots[i]].hash;
    }
    return count;
}

/* --- One list --------------------------------------------------------------------------------- */

static void test_spread_is_even_and_varied(void)
{
    uint32_t checked = 0;
    for (uint32_t slots = 1; slots <= 40; slots++) {
        for (uint32_t shards = 1; shards <= 8; shards++) {
            for (uint32_t count = 1; count <= 24; count++) {
                struct world world = world_of(slots, shards, count, slots * 1000 + count);

                world_spread(&world);

                CU_ASSERT_FATAL(is_even(&world));
                CU_ASSERT_EQUAL_FATAL(lost_variety(&world), 0);
                checked++;
            }
        }
    }
    CU_ASSERT_EQUAL(checked, 40 * 8 * 24);
}

static void test_spread_again_moves_nobody(void)
{
    for (uint32_t count = 1; count <= 60; count++) {
        struct world world = world_of(32, 4, count, count);
        world_spread(&world);
        struct world before = world;

        world_spread(&world);

        CU_ASSERT_EQUAL(memcmp(before.slots, world.slots, sizeof(world.slots)), 0);
    }
}

static void test_spread_leaves_those_that_are_out(void)
{
    struct world world = world_of(16, 4, 5, 1);
    world_spread(&world);

    world.endpoints[2].is_out = true;
    world_spread(&world);
    CU_ASSERT(is_even(&world));
    CU_ASSERT_EQUAL(held_by(&world, 2), 0);

    for (uint32_t i = 0; i < 5; i++) {
        world.endpoints[i].is_out = true;
    }
    world_spread(&world);
    CU_ASSERT_EQUAL(held_by(&world, CMDI_SPREAD_NONE), 16);

    world.endpoints[4].is_out = false;
    world_spread(&world);
    CU_ASSERT_EQUAL(held_by(&world, 4), 16);
}

static void test_spread_without_endpoints(void)
{
    struct world world = world_of(4, 2, 1, 1);
    world_spread(&world);

    world_remove(&world, 0);
    world_spread(&world);

    CU_ASSERT_EQUAL(held_by(&world, CMDI_SPREAD_NONE), 4);
}

/* --- Changes ---------------------------------------------------------------------------------- */

/* The fewest moves that make it even again: what the new one needs, or the one that went had. */
static void test_spread_one_change_moves_one_of_n(void)
{
    uint32_t moves = 0, least = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t count = 2 + seed % 14;
        struct world world = world_of(64, 4, count, seed);
        world_spread(&world);
        struct world before = world;

        world_add(&world);
        world_spread(&world);
        moves += moved(&before, &world);
        least += held_by(&world, count);
        CU_ASSERT(is_even(&world));

        before = world;
        uint32_t gone = (uint32_t)(world_random(&world) % world.count);
        least += held_by(&world, gone);
        world_remove(&world, gone);
        world_spread(&world);
        moves += moved(&before, &world);
        CU_ASSERT(is_even(&world));
    }
    printf("  %u of %u slots moved, at least %u had to\n", moves, 600 * 64, least);
    CU_ASSERT(moves <= least + least / 10);
}

/* More endpoints than slots: one more takes a slot from one other, or none. */
static void test_spread_of_many_moves_one_at_most(void)
{
    uint32_t taken = 0;
    for (uint32_t seed = 1; seed <= 200; seed++) {
        struct world world = world_of(16, 4, 50, seed);
        world_spread(&world);
        struct world before = world;

        world_add(&world);
        world_spread(&world);

        CU_ASSERT(is_even(&world));
        CU_ASSERT(moved(&before, &world) <= 1 + 2); // One taken, and an exchange for variety.
        taken += held_by(&world, 50);
    }
    printf("  a new endpoint beside 50 got a slot of 16 in %u of 200 groups\n", taken);
    CU_ASSERT(taken > 30 && taken < 110); // 16 of 51 is 63.
}

static void test_spread_stays_even_and_varied_through_any_history(void)
{
    uint32_t lost = 0, slots = 0;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct world world = world_of(4 + seed % 60, 1 + seed % 7, 1 + seed % 9, seed);
        world_spread(&world);
        for (int step = 0; step < 200; step++) {
            uint64_t what = world_random(&world) % 4;
            if (what == 0 && world.count > 1) {
                world_remove(&world, (uint32_t)(world_random(&world) % world.count));
            } else if (what == 1 && world.count < 100) {
                world_add(&world);
            } else {
                struct cmdi_spread_endpoint *endpoint =
                        &world.endpoints[world_random(&world) % world.count];
                endpoint->is_out = what == 2 && endpoint != &world.endpoints[0];
            }
            world.endpoints[0].is_out = false;
            world_spread(&world);
            CU_ASSERT_FATAL(is_even(&world));
            lost += lost_variety(&world);
            slots += world.slot_count;
        }
    }
    printf("  %u of %u slots beside another of their shard without need\n", lost, slots);
    CU_ASSERT(lost * 200 < slots);
}

/* --- A fleet ---------------------------------------------------------------------------------- */

static void test_spread_a_fleet_covers_all_endpoints(void)
{
    uint32_t load[50] = {0}, most = 0, least = UINT32_MAX;
    for (uint32_t client = 0; client < 100; client++) {
        struct world world = world_of(16, 4, 50, client * UINT64_C(0x9e3779b97f4a7c15));
        world_spread(&world);
        for (uint32_t i = 0; i < 16; i++) {
            load[world.slots[i]]++;
        }
    }
    for (uint32_t i = 0; i < 50; i++) {
        most = load[i] > most ? load[i] : most;
        least = load[i] < least ? load[i] : least;
    }

    printf("  100 groups of 16 slots, 50 endpoints: %u to %u each, 32 on average\n", least, most);
    CU_ASSERT(least > 16);
    CU_ASSERT(most < 32 * 3 / 2);
}

static void test_spread_is_large(void)
{
    static uint32_t slots[65536];
    static struct cmdi_spread_endpoint endpoints[4096];
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        slots[i] = CMDI_SPREAD_NONE;
    }
    for (uint32_t i = 0; i < 4096; i++) {
        endpoints[i].hash = address_hash(i);
    }

    CU_ASSERT_EQUAL_FATAL(cmdi_spread(slots, 65536, 64, endpoints, 4095, 1), 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_spread(slots, 65536, 64, endpoints, 4096, 1), 0);

    static uint32_t held[4096];
    for (uint32_t i = 0; i < 65536; i++) {
        held[slots[i]]++;
    }
    for (uint32_t i = 0; i < 4096; i++) {
        least = held[i] < least ? held[i] : least;
        most = held[i] > most ? held[i] : most;
    }
    CU_ASSERT_EQUAL(least, 16);
    CU_ASSERT_EQUAL(most, 16);
}

static CU_TestInfo tests[] = {
        {"is even and varied", test_spread_is_even_and_varied},
        {"again moves nobody", test_spread_again_moves_nobody},
        {"leaves those that are out", test_spread_leaves_those_that_are_out},
        {"without endpoints", test_spread_without_endpoints},
        {"one change moves one of n", test_spread_one_change_moves_one_of_n},
        {"of many moves one at most", test_spread_of_many_moves_one_at_most},
        {"stays even and varied through any history",
                test_spread_stays_even_and_varied_through_any_history},
        {"a fleet covers all endpoints", test_spread_a_fleet_covers_all_endpoints},
        {"is large", test_spread_is_large},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("spread", tests)
