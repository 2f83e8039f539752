/* SPDX-License-Identifier: MIT */
/*
 * Dispatch as values: each connection gets its share, a strategy sees what it needs and cannot
 * break out of the list, and the order of a group shard's clients follows their states.
 */
#include "group/dispatch.h"

#include <errno.h>

#include "group/group.h"
#include "support/harness.h"

enum {
    COUNT = 5
};
static struct cmdi_client clients[COUNT];
static struct cmdi_client *list[COUNT];
static struct cmds_group group;
static struct cmdi_group_shard group_shard;

static void state_set(uint32_t number, enum cmdi_client_state state)
{
    atomic_store(&clients[number].state, (uint32_t)state);
    cmdi_group_shard_reorder(&group_shard, &clients[number]);
}

static void setup(void)
{
    memset(&group, 0, sizeof(group));
    memset(&group_shard, 0, sizeof(group_shard));
    memset(clients, 0, sizeof(clients));
    for (uint32_t i = 0; i < COUNT; i++) {
        clients[i].number = i;
        clients[i].order = i;
        list[i] = &clients[i];
    }
    group_shard.group = &group;
    group_shard.order = list;
    group_shard.client_count = COUNT;
    group_shard.connecting_count = COUNT;
    atomic_store(&group.connecting_count, COUNT);
}

static void test_dispatch_round_robin_is_fair(void)
{
    uint32_t picks[COUNT] = {0};
    setup();

    for (uint64_t pick_count = 0; pick_count < 1000; pick_count++) {
        picks[cmdi_dispatch_pick(&cmds_dispatch_round_robin, pick_count, 0, list, COUNT)]++;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(picks[i], 1000 / COUNT);
    }
    CU_ASSERT_EQUAL(cmdi_dispatch_pick(&cmds_dispatch_round_robin, UINT64_MAX, 9, list, 1), 0);
}

static uint32_t pick_least(const struct cmds_dispatch *self, uint64_t pick_count, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)pick_count;
    if (key == 77) {
        return UINT32_MAX; // A broken strategy.
    }
    uint32_t best = 0;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_candidate *one = candidate(source, i);
        if (!one->is_down && one->in_flight < least) {
            least = one->in_flight;
            best = i;
        }
    }
    return best;
}

static void test_dispatch_custom_strategy_sees_the_load(void)
{
    struct cmds_dispatch least = {.struct_size = sizeof(least),
            .version = CMDS_DISPATCH_VERSION,
            .name = "least",
            .pick = pick_least};
    struct cmds_error error = CMDS_ERROR_INIT;
    setup();
    for (uint32_t i = 0; i < COUNT; i++) {
        atomic_store(&clients[i].in_flight, 10 - i);
    }
    atomic_store(&clients[4].queued, 100);

    CU_ASSERT_EQUAL(cmdi_dispatch_check(&least, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_dispatch_pick(&least, 0, 0, list, COUNT), 3);
    state_set(3, CMDI_CLIENT_DOWN); // Of all threads' list, where it stays.
    struct cmdi_client *all[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        all[i] = &clients[i];
    }
    CU_ASSERT_EQUAL(cmdi_dispatch_pick(&least, 0, 0, all, COUNT), 2);
    CU_ASSERT_TRUE(cmdi_dispatch_pick(&least, 0, 77, all, COUNT) < COUNT);
    least.version = 9;
    CU_ASSERT_EQUAL(cmdi_dispatch_check(&least, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "dispatch") != NULL);
}

/* Those that are up first, then those that are connecting, and every client exactly once. */
static void check_order(void)
{
    uint32_t up = 0, connecting = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        enum cmdi_client_state state = cmdi_client_state(list[i]);
        CU_ASSERT_EQUAL(list[i]->order, i);
        CU_ASSERT_EQUAL(state == CMDI_CLIENT_UP, i < group_shard.up_count);
        CU_ASSERT_EQUAL(state == CMDI_CLIENT_DOWN,
                i >= group_shard.up_count + group_shard.connecting_count);
        up += state == CMDI_CLIENT_UP;
        connecting += state < CMDI_CLIENT_UP;
    }
    CU_ASSERT_EQUAL(group_shard.up_count, up);
    CU_ASSERT_EQUAL(group_shard.connecting_count, connecting);
    CU_ASSERT_EQUAL(atomic_load(&group.up_count), up);
    CU_ASSERT_EQUAL(atomic_load(&group.connecting_count), connecting);
}

static void test_group_shard_order_follows_every_course_of_states(void)
{
    /*
     * Each client's course is one of: stays, fails, comes up, comes up and fails; all combinations,
     * in two interleavings.
     */
    for (uint32_t courses = 0; courses < 1u << (2 * COUNT); courses++) {
        setup();
        for (uint32_t i = 0; i < 2 * COUNT; i++) {
            uint32_t step = courses % 2 ? i / COUNT : i % 2;
            uint32_t number = courses % 2 ? i % COUNT : i / 2;
            uint32_t course = courses >> (2 * number) & 3;
            if (course == 1 && step == 0) {
                state_set(number, CMDI_CLIENT_DOWN);
            } else if (course >= 2 && step == 0) {
                state_set(number, CMDI_CLIENT_UP);
            } else if (course == 3) {
                state_set(number, CMDI_CLIENT_DOWN);
            }
        }
        check_order();
    }
}

static CU_TestInfo test_dispatch[] = {
        {"round-robin is fair", test_dispatch_round_robin_is_fair},
        {"a custom strategy sees the load", test_dispatch_custom_strategy_sees_the_load},
        {"a group shard's order follows every course of states",
                test_group_shard_order_follows_every_course_of_states},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("dispatch", test_dispatch)
