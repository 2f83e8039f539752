/* SPDX-License-Identifier: MIT */
/*
 * The strategies over made-up connections: whoever is slow, or fails fast, gets next to nothing; of
 * equal ones each has its turn; weights are shares; a key stays where it is until its endpoint goes,
 * and a hot key does not bury its endpoint.
 */
#include "group/strategies.h"

#include <string.h>

#include "client/latency.h"
#include "support/harness.h"

enum {
    COUNT_MAX = 128,
    KEYS = 4000,
    DEADLINE_US = 5000000,
};

static struct cmds_candidate candidates[COUNT_MAX];
static struct cmdi_strategy state;

static const struct cmds_candidate *candidate(const void *source, uint32_t index)
{
    CU_ASSERT_PTR_EQUAL(source, candidates);
    CU_ASSERT_FATAL(index < COUNT_MAX);
    return &candidates[index];
}

/* Each has an endpoint of its own. */
static void setup(uint32_t count)
{
    memset(candidates, 0, sizeof(candidates));
    memset(&state, 0, sizeof(state));
    for (uint32_t i = 0; i < count; i++) {
        candidates[i] = (struct cmds_candidate){.struct_size = sizeof(candidates[i]),
                .client = i,
                .endpoint = i,
                .weight = CMDS_WEIGHT,
                .hash = (i + 1) * UINT64_C(0xd6e8feb86659fd93)};
    }
}

static uint32_t pick(const struct cmds_dispatch *dispatch, uint64_t key, uint32_t count)
{
    uint32_t index = dispatch->pick(dispatch, &state, key, count, candidate, candidates);
    CU_ASSERT_FATAL(index < count);
    return index;
}

static const struct cmds_dispatch *const strategies[] = {
        &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
enum {
    STRATEGIES = sizeof(strategies) / sizeof(strategies[0]),
};

/* --- Ranks ------------------------------------------------------------------------------------ */

static void check_flags(uint32_t count, uint32_t down, uint32_t full, uint64_t key)
{
    uint32_t taking = ~(down | full) & ((1u << count) - 1);
    for (uint32_t i = 0; i < STRATEGIES; i++) {
        for (uint32_t j = 0; j < 8; j++) {
            uint32_t index = pick(strategies[i], key != 0 ? key + j : 0, count);
            CU_ASSERT_TRUE(taking == 0 || (taking >> index & 1) != 0);
        }
    }
}

static void test_strategies_none_takes_one_that_is_down_or_full(void)
{
    enum {
        COUNT = 5
    };
    setup(COUNT);
    for (uint32_t flags = 0; flags < 1u << (2 * COUNT); flags++) {
        uint32_t down = flags >> COUNT, full = flags & ((1u << COUNT) - 1);
        for (uint32_t i = 0; i < COUNT; i++) {
            candidates[i].flags = (down >> i & 1 ? CMDS_CANDIDATE_DOWN : 0u) |
                                  (full >> i & 1 ? CMDS_CANDIDATE_FULL : 0u);
        }
        check_flags(COUNT, down, full, 0);
        check_flags(COUNT, down, full, 1000);
    }
}

static void test_strategies_the_only_one_that_is_up_is_found_among_many(void)
{
    for (uint32_t up = 0; up < COUNT_MAX; up += 13) {
        setup(COUNT_MAX);
        for (uint32_t i = 0; i < COUNT_MAX; i++) {
            candidates[i].flags = i != up ? CMDS_CANDIDATE_DOWN : 0;
        }
        for (uint32_t i = 0; i < STRATEGIES; i++) {
            CU_ASSERT_EQUAL(pick(strategies[i], 0, COUNT_MAX), up);
            CU_ASSERT_EQUAL(pick(strategies[i], 5, COUNT_MAX), up);
        }
    }
}

/* --- Cost: servers of which each takes so long ------------------------------------------------- */

enum {
    SERVERS = 4,
    TICK_US = 50,
    PENDING_MAX = 4096,
};

struct server {
    uint32_t takes_us;
    bool fails; // Whoever sent it waits no longer, but it costs its deadline.
    uint32_t picks;
    struct cmdi_latency latency;
};
static struct server servers[SERVERS];
static struct {
    uint64_t sent_us, until_us; // until 0: free.
    uint32_t server;
} pending[PENDING_MAX];
static uint32_t pending_end; // Behind the last that was ever used.
static uint64_t chance;

static uint32_t roll(uint32_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((chance >> 33) % below);
}

static void servers_answer(uint64_t now_us)
{
    for (uint32_t i = 0; i < pending_end; i++) {
        if (pending[i].until_us != 0 && pending[i].until_us <= now_us) {
            struct server *server = &servers[pending[i].server];
            uint32_t took_us = (uint32_t)(now_us - pending[i].sent_us);
            cmdi_latency_observe(&server->latency, server->fails ? DEADLINE_US : took_us,
                    (uint32_t)(now_us / 1000));
            candidates[pending[i].server].in_flight--;
            pending[i].until_us = 0;
        }
    }
}

static void server_send(uint32_t index, uint64_t now_us)
{
    uint32_t free = 0;
    while (free < PENDING_MAX && pending[free].until_us != 0) {
        free++;
    }
    CU_ASSERT_FATAL(free < PENDING_MAX);
    pending_end = free < pending_end ? pending_end : free + 1;
    uint32_t takes_us = servers[index].takes_us;
    pending[free].server = index;
    pending[free].sent_us = now_us;
    pending[free].until_us = now_us + takes_us / 2 + roll(takes_us);
    candidates[index].in_flight++;
    servers[index].picks++;
}

/* A command every 100 us for so long. Counts from `count_after_us` on. Returns: commands. */
static uint32_t servers_run(
        const struct cmds_dispatch *dispatch, uint64_t until_us, uint64_t count_after_us)
{
    uint32_t sent = 0;
    memset(pending, 0, sizeof(pending));
    pending_end = 0;
    chance = 7;
    for (uint64_t now_us = TICK_US; now_us < until_us; now_us += TICK_US) {
        servers_answer(now_us);
        for (uint32_t i = 0; i < SERVERS; i++) {
            candidates[i].ewma_us = cmdi_latency_us(&servers[i].latency, (uint32_t)(now_us / 1000));
        }
        if (now_us <= count_after_us) {
            sent = 0;
            for (uint32_t i = 0; i < SERVERS; i++) {
                servers[i].picks = 0;
            }
        }
        if (now_us / TICK_US % 2 == 0) {
            server_send(pick(dispatch, 0, SERVERS), now_us);
            sent++;
        }
    }
    return sent;
}

static void servers_setup(void)
{
    setup(SERVERS);
    memset(servers, 0, sizeof(servers));
    for (uint32_t i = 0; i < SERVERS; i++) {
        servers[i].takes_us = 300;
    }
}

static void test_least_leaves_out_one_slow_of_four(void)
{
    servers_setup();
    servers[2].takes_us = 5300;

    uint32_t sent = servers_run(&cmds_dispatch_least, 10000000, 0);

    CU_ASSERT_TRUE(servers[2].picks > 0);
    CU_ASSERT_TRUE(servers[2].picks * 200 < sent); // Of p99 nothing is seen.
    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT_TRUE(i == 2 || servers[i].picks * 100 > sent * 25);
    }
}

static void test_least_leaves_out_two_slow_of_four(void)
{
    servers_setup();
    servers[0].takes_us = 5300;
    servers[1].takes_us = 5300;

    uint32_t sent = servers_run(&cmds_dispatch_least, 10000000, 0);

    CU_ASSERT_TRUE((servers[0].picks + servers[1].picks) * 200 < sent);
}

static void test_p2c_leaves_out_one_slow_of_four(void)
{
    servers_setup();
    servers[2].takes_us = 5300;

    uint32_t sent = servers_run(&cmds_dispatch_p2c, 10000000, 0);

    CU_ASSERT_TRUE(servers[2].picks * 200 < sent);
}

static void test_least_is_not_drawn_to_one_that_fails_fast(void)
{
    servers_setup();
    servers[1].takes_us = 20;
    servers[1].fails = true;

    uint32_t sent = servers_run(&cmds_dispatch_least, 10000000, 1000000);

    CU_ASSERT_TRUE(servers[1].picks * 50 <= sent); // 2 %.
}

static void test_least_uses_all_if_all_are_bad_alike(void)
{
    servers_setup();
    for (uint32_t i = 0; i < SERVERS; i++) {
        servers[i].fails = true;
    }

    uint32_t sent = servers_run(&cmds_dispatch_least, 1000000, 0);

    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT_TRUE(servers[i].picks * 100 > sent * 20);
    }
}

static void test_least_comes_back_to_one_that_was_slow(void)
{
    servers_setup();
    cmdi_latency_observe(&servers[3].latency, 5000, 0);
    for (uint32_t i = 0; i < 3; i++) {
        cmdi_latency_observe(&servers[i].latency, 300, 0);
    }

    (void)servers_run(&cmds_dispatch_least, 60000000, 0);

    CU_ASSERT_TRUE(servers[3].picks > 10000); // Its peak had worn off by and by.
}

static void test_least_a_new_one_gets_one_command_until_it_has_answered(void)
{
    setup(3);
    candidates[0].ewma_us = candidates[1].ewma_us = 400;
    candidates[0].in_flight = candidates[1].in_flight = 20;

    CU_ASSERT_EQUAL(pick(&cmds_dispatch_least, 0, 3), 2);
    candidates[2].in_flight = 1;
    CU_ASSERT_NOT_EQUAL(pick(&cmds_dispatch_least, 0, 3), 2);
    candidates[2].ewma_us = 400;
    CU_ASSERT_EQUAL(pick(&cmds_dispatch_least, 0, 3), 2);
}

static void test_least_equal_ones_have_their_turns(void)
{
    setup(5);
    for (uint32_t i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(pick(&cmds_dispatch_least, 0, 5), i % 5);
    }
    for (uint32_t i = 0; i < 5; i++) {
        candidates[i].ewma_us = 100;
        candidates[i].in_flight = 3;
    }
    candidates[2].in_flight = 4;
    candidates[3].ewma_us = 149; // As good as 100.
    candidates[4].ewma_us = 151;
    for (uint32_t i = 0; i < 8; i++) {
        static const uint32_t turns[] = {0, 1, 3};
        CU_ASSERT_EQUAL(pick(&cmds_dispatch_least, 0, 5), turns[i % 3]);
    }
}

static void test_least_weights_are_shares(void)
{
    setup(4);
    for (uint32_t i = 0; i < 4; i++) {
        candidates[i].ewma_us = 100;
        candidates[i].weight = i == 0 ? 5 * CMDS_WEIGHT : i == 1 ? CMDS_WEIGHT / 10 : CMDS_WEIGHT;
    }
    for (uint32_t i = 0; i < 7100; i++) {
        candidates[pick(&cmds_dispatch_least, 0, 4)].in_flight++;
    }
    CU_ASSERT_TRUE(candidates[0].in_flight >= 4990 && candidates[0].in_flight <= 5010);
    CU_ASSERT_TRUE(candidates[1].in_flight >= 95 && candidates[1].in_flight <= 105);
    CU_ASSERT_TRUE(candidates[2].in_flight >= 990 && candidates[2].in_flight <= 1010);
}

static void test_least_of_many_looks_at_some_and_reaches_all(void)
{
    setup(COUNT_MAX);
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        candidates[i].ewma_us = 100;
    }
    for (uint32_t i = 0; i < COUNT_MAX * 50; i++) {
        candidates[pick(&cmds_dispatch_least, 0, COUNT_MAX)].in_flight++;
    }
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        CU_ASSERT_TRUE(candidates[i].in_flight >= 40 && candidates[i].in_flight <= 60);
    }
}

static void test_strategies_extreme_numbers_do_not_turn_over(void)
{
    setup(2);
    candidates[0].ewma_us = candidates[0].in_flight = UINT32_MAX;
    candidates[0].weight = UINT32_MAX;
    candidates[1].ewma_us = candidates[1].in_flight = 1000;
    candidates[1].weight = 0; // The least there is.
    CU_ASSERT_EQUAL(pick(&cmds_dispatch_least, 0, 2), 1);
    CU_ASSERT_EQUAL(pick(&cmds_dispatch_p2c, 0, 2), 1);
    CU_ASSERT_TRUE(pick(&cmds_dispatch_sticky, 1, 2) < 2);
}

/* --- Sticky ----------------------------------------------------------------------------------- */

static uint32_t homes[KEYS];

static void take_homes(uint32_t count)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        homes[i] = pick(&cmds_dispatch_sticky, i + 1, count);
    }
}

static void test_sticky_each_has_its_share_of_the_keys(void)
{
    uint32_t keys[16] = {0};
    setup(16);
    take_homes(16);
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[homes[i]]++;
    }
    for (uint32_t i = 0; i < 16; i++) {
        CU_ASSERT_TRUE(keys[i] > KEYS / 16 * 3 / 4 && keys[i] < KEYS / 16 * 5 / 4);
    }
    CU_ASSERT_EQUAL(state.second_choices, 0);
}

static void test_sticky_one_that_goes_moves_its_own_keys_only(void)
{
    uint32_t moved = 0, received[16] = {0};
    setup(16);
    take_homes(16);
    candidates[5].flags = CMDS_CANDIDATE_DOWN;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t index = pick(&cmds_dispatch_sticky, i + 1, 16);
        CU_ASSERT_TRUE(index == homes[i] || homes[i] == 5);
        moved += index != homes[i];
        received[index] += index != homes[i];
        CU_ASSERT_EQUAL(pick(&cmds_dispatch_sticky, i + 1, 16), index); // As fixed as the first.
    }
    CU_ASSERT_TRUE(moved > KEYS / 16 * 3 / 4 && moved < KEYS / 16 * 5 / 4);
    CU_ASSERT_EQUAL(state.second_choices, 2 * moved);
    for (uint32_t i = 0; i < 16; i++) {
        CU_ASSERT_EQUAL(received[i] > 0, i != 5); // All others share them.
    }
}

static void test_sticky_a_new_one_takes_its_share_and_no_other_key_moves(void)
{
    uint32_t moved = 0;
    setup(16);
    take_homes(15);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t index = pick(&cmds_dispatch_sticky, i + 1, 16);
        CU_ASSERT_TRUE(index == homes[i] || index == 15);
        moved += index != homes[i];
    }
    CU_ASSERT_TRUE(moved > KEYS / 16 * 3 / 4 && moved < KEYS / 16 * 5 / 4);
}

static void test_sticky_order_and_number_of_connections_are_no_matter(void)
{
    uint32_t used = 0;
    setup(8);
    take_homes(8);
    for (uint32_t i = 0; i < 24; i++) { // Three to each, in another order.
        candidates[i] = candidates[7 - i % 8];
        candidates[i].hash = (7 - i % 8 + 1) * UINT64_C(0xd6e8feb86659fd93);
        candidates[i].endpoint = 7 - i % 8;
        candidates[i].client = i;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t index = pick(&cmds_dispatch_sticky, i + 1, 24);
        CU_ASSERT_EQUAL(candidates[index].endpoint, homes[i]);
        used |= 1u << index;
        candidates[index].flags = CMDS_CANDIDATE_DOWN;
        uint32_t next = pick(&cmds_dispatch_sticky, i + 1, 24);
        CU_ASSERT_NOT_EQUAL(next, index);
        CU_ASSERT_EQUAL(candidates[next].endpoint, homes[i]); // Another one to the same endpoint.
        candidates[index].flags = 0;
    }
    CU_ASSERT_EQUAL(used, (1u << 24) - 1);
}

static void test_sticky_weights_are_shares_of_the_keys(void)
{
    uint32_t heavy = 0, light = 0;
    setup(4);
    take_homes(4);
    candidates[0].weight = 4 * CMDS_WEIGHT;
    candidates[1].weight = CMDS_WEIGHT / 10;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t index = pick(&cmds_dispatch_sticky, i + 1, 4);
        CU_ASSERT_TRUE(index == homes[i] || index == 0 || homes[i] == 1);
        heavy += index == 0;
        light += index == 1;
    }
    CU_ASSERT_TRUE(heavy > KEYS * 40 / 61 * 95 / 100 && heavy < KEYS * 40 / 61 * 105 / 100);
    CU_ASSERT_TRUE(light > KEYS / 61 * 60 / 100 && light < KEYS / 61 * 140 / 100);
}

static void test_sticky_a_hot_key_has_bounds(void)
{
    setup(4);
    uint32_t home = pick(&cmds_dispatch_sticky, 99, 4);
    for (uint32_t i = 0; i < CMDI_STICKY_FLOOR; i++) {
        CU_ASSERT_EQUAL(pick(&cmds_dispatch_sticky, 99, 4), home);
        candidates[home].in_flight++;
    }
    CU_ASSERT_EQUAL(state.second_choices, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        candidates[pick(&cmds_dispatch_sticky, 99, 4)].in_flight++;
    }
    CU_ASSERT_TRUE(state.second_choices > 0);
    uint32_t all = 1000 + CMDI_STICKY_FLOOR;
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_TRUE(candidates[i].in_flight <= (all * 5 / 4 + 3) / 4 + 1);
    }
    CU_ASSERT_TRUE(candidates[home].in_flight * 4 > all * 6 / 5); // And uses them.
}

static void test_sticky_a_full_first_choice_gives_to_the_same_second_one(void)
{
    setup(6);
    uint32_t home = pick(&cmds_dispatch_sticky, 3, 6);
    candidates[home].flags = CMDS_CANDIDATE_DOWN;
    uint32_t second = pick(&cmds_dispatch_sticky, 3, 6);
    candidates[home].flags = CMDS_CANDIDATE_FULL;
    CU_ASSERT_EQUAL(pick(&cmds_dispatch_sticky, 3, 6), second);
    candidates[home].flags = 0;
    CU_ASSERT_EQUAL(pick(&cmds_dispatch_sticky, 3, 6), home);
}

static void test_sticky_without_a_key_is_least(void)
{
    setup(4);
    for (uint32_t i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(pick(&cmds_dispatch_sticky, 0, 4), i % 4);
    }
    CU_ASSERT_EQUAL(state.second_choices, 0);
}

/* --- Latency ---------------------------------------------------------------------------------- */

static void test_latency_rises_at_once_and_halves(void)
{
    struct cmdi_latency latency = {0, 0};
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5), 0);
    cmdi_latency_observe(&latency, 0, 5);
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5), 1); // Something was observed.
    cmdi_latency_observe(&latency, 8000, 5);
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5), 8000);
    /* Observed by a shard whose turn is younger. */
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 4), 8000);
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5 + 8192), 4000);
    uint32_t between_us = cmdi_latency_us(&latency, 5 + 4096);
    CU_ASSERT_TRUE(between_us > 5600 && between_us < 5714); // 8000 / sqrt(2)
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5 + 40 * 8192), 0);
    cmdi_latency_observe(&latency, UINT32_MAX, 5);
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5), CMDI_LATENCY_US_MAX);
    cmdi_latency_reset(&latency);
    CU_ASSERT_EQUAL(cmdi_latency_us(&latency, 5), 0);
}

static void test_latency_falls_as_slowly_whatever_the_rate(void)
{
    for (uint32_t step_ms = 1; step_ms <= 1024; step_ms *= 4) {
        struct cmdi_latency latency = {0, 0};
        uint32_t now_ms = UINT32_MAX - 100; // The clock's low half turns over meanwhile.
        cmdi_latency_observe(&latency, 10000, now_ms);
        for (uint32_t ms = 0; ms < 8192; ms += step_ms) {
            now_ms += step_ms;
            for (uint32_t i = 0; i < 3; i++) {
                cmdi_latency_observe(&latency, 400, now_ms);
            }
        }
        uint32_t left_us = cmdi_latency_us(&latency, now_ms);
        CU_ASSERT_TRUE(left_us > 400 + 9600 / 2 * 9 / 10 && left_us < 400 + 9600 / 2 * 11 / 10);
    }
}

static CU_TestInfo test_strategies[] = {
        {"none takes one that is down or full",
                test_strategies_none_takes_one_that_is_down_or_full},
        {"the only one that is up is found among many",
                test_strategies_the_only_one_that_is_up_is_found_among_many},
        {"least leaves out one slow of four", test_least_leaves_out_one_slow_of_four},
        {"least leaves out two slow of four", test_least_leaves_out_two_slow_of_four},
        {"p2c leaves out one slow of four", test_p2c_leaves_out_one_slow_of_four},
        {"least is not drawn to one that fails fast",
                test_least_is_not_drawn_to_one_that_fails_fast},
        {"least uses all if all are bad alike", test_least_uses_all_if_all_are_bad_alike},
        {"least comes back to one that was slow", test_least_comes_back_to_one_that_was_slow},
        {"least: a new one gets one command until it has answered",
                test_least_a_new_one_gets_one_command_until_it_has_answered},
        {"least: equal ones have their turns", test_least_equal_ones_have_their_turns},
        {"least: weights are shares", test_least_weights_are_shares},
        {"least: of many it looks at some and reaches all",
                test_least_of_many_looks_at_some_and_reaches_all},
        {"extreme numbers do not turn over", test_strategies_extreme_numbers_do_not_turn_over},
        {"sticky: each has its share of the keys", test_sticky_each_has_its_share_of_the_keys},
        {"sticky: one that goes moves its own keys only",
                test_sticky_one_that_goes_moves_its_own_keys_only},
        {"sticky: a new one takes its share, and no other key moves",
                test_sticky_a_new_one_takes_its_share_and_no_other_key_moves},
        {"sticky: order and number of connections are no matter",
                test_sticky_order_and_number_of_connections_are_no_matter},
        {"sticky: weights are shares of the keys", test_sticky_weights_are_shares_of_the_keys},
        {"sticky: a hot key has bounds", test_sticky_a_hot_key_has_bounds},
        {"sticky: a full first choice gives to the same second one",
                test_sticky_a_full_first_choice_gives_to_the_same_second_one},
        {"sticky without a key is least", test_sticky_without_a_key_is_least},
        {"latency rises at once, and halves", test_latency_rises_at_once_and_halves},
        {"latency falls as slowly, whatever the rate",
                test_latency_falls_as_slowly_whatever_the_rate},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("strategies", test_strategies)
