/* SPDX-License-Identifier: MIT */
/*
 * Whose commands are whose, as the list of endpoints changes: the default strategy, the first seconds of a
 * new endpoint, the home of a key.
 */
#include "support/sim/crowd.h"

/* --- The default ------------------------------------------------------------------------------ */

/* One connection has a command that takes long. Returns: it got its turns all the same. */
static bool takes_turns(struct crowd *crowd)
{
    uint32_t before[CROWD_CONNECTIONS], most = 0, least = UINT32_MAX;
    for (int i = 0; i < CROWD_CONNECTIONS; i++) {
        before[i] = atomic_load(&crowd->answers_by[i]);
    }
    if (crowd_load_one(crowd, 0, 1000) < 0 || crowd_load(crowd, 100) < 0) {
        return false;
    }
    for (int i = 0; i < CROWD_CONNECTIONS; i++) {
        uint32_t got = atomic_load(&crowd->answers_by[i]) - before[i];
        most = got > most ? got : most;
        least = got < least ? got : least;
    }
    return cmds_group_drain(crowd->group, 5000) == 0 && most - least <= 2;
}

static int use_default(struct crowd *crowd)
{
    if (!takes_turns(crowd)) {
        return 1;
    }
    int code = crowd_set(crowd, CROWD_SERVERS);
    cmds_sim_slow(crowd->servers[0].process, crowd->client, 5);
    code = code < 0 ? code : crowd_load(crowd, 12000); // All have begun slowly, and are known.
    uint32_t asked = atomic_load(&crowd->servers[0].asked);
    code = code < 0 ? code : crowd_load(crowd, 1000);
    if (code < 0 || atomic_load(&crowd->servers[0].asked) - asked > 50 || takes_turns(crowd)) {
        return 2;
    }
    code = crowd_set(crowd, 1);
    return code < 0 ? code : takes_turns(crowd) ? 0 : 3;
}

static void test_sim_share_the_default_follows_the_endpoints(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct crowd *crowd = crowd_new(NULL, on_shard);
        crowd->connect = "10.0.0.1:9000";

        CU_ASSERT_EQUAL(crowd_run(crowd, use_default), 0);

        CU_ASSERT_EQUAL(crowd->failures + crowd->refused, 0);
    }
}

/* --- Slow start ------------------------------------------------------------------------------- */

enum {
    STARTS_SECONDS = 14,
    FAIR = 1000 / CROWD_SERVERS, // A second.
};

/* The fourth server joins three that are busy. */
static int use_slow_start(struct crowd *crowd)
{
    uint32_t shares[STARTS_SECONDS];
    int code = crowd_load_long(crowd, 12000, 30);
    code = code < 0 ? code : crowd_set(crowd, CROWD_SERVERS);
    for (uint32_t i = 0; i < STARTS_SECONDS && code == 0; i++) {
        uint32_t before = atomic_load(&crowd->servers[3].asked);
        code = crowd_load_long(crowd, 1000, 30);
        shares[i] = atomic_load(&crowd->servers[3].asked) - before;
        cmds_sim_note(cmds_sim_current(), "second %u: %u", i, shares[i]);
    }
    code = code < 0 ? code : cmds_group_drain(crowd->group, 5000);
    if (code < 0 || shares[0] > FAIR / 4 || shares[1] >= shares[4] || shares[4] >= shares[8]) {
        return 1;
    }
    uint32_t last = shares[STARTS_SECONDS - 1];
    return last * 100 >= FAIR * 85 && last * 100 <= FAIR * 115 ? 0 : 2;
}

static void test_sim_share_a_new_endpoint_begins_slowly(void)
{
    static const struct cmds_dispatch *const strategies[] = {
            NULL, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    for (int i = 0; i < 6; i++) {
        struct crowd *crowd = crowd_new(strategies[i / 2], i % 2 != 0);
        crowd->connect = "10.0.0.1:9000,10.0.0.2:9000,10.0.0.3:9000";
        crowd->client_count = 12;

        CU_ASSERT_EQUAL(crowd_run(crowd, use_slow_start), 0);

        CU_ASSERT_EQUAL(crowd->failures + crowd->refused, 0);
    }
}

/* --- Sticky ----------------------------------------------------------------------------------- */

static uint64_t second_choices(struct crowd *crowd)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    return cmds_group_stats(crowd->group, &counters) == 0 ? counters.second_choices : UINT64_MAX;
}

static int use_sticky(struct crowd *crowd)
{
    int code = crowd_load(crowd, 1000);
    if (code < 0 || second_choices(crowd) != 0) {
        return 1;
    }
    uint32_t before[CROWD_SERVERS];
    for (uint32_t i = 0; i < CROWD_SERVERS; i++) {
        before[i] = atomic_load(&crowd->servers[i].asked);
    }
    for (uint32_t i = 0; i < 500 && code == 0; i++) {
        code = crowd_load_one(crowd, 12345, 0);
        cmds_sim_sleep_ms(1);
    }
    uint32_t homes = 0;
    for (uint32_t i = 0; i < CROWD_SERVERS; i++) {
        homes += atomic_load(&crowd->servers[i].asked) != before[i];
    }
    if (code < 0 || homes != 1) {
        return 2;
    }
    cmds_sim_kill(crowd->servers[3].process);
    code = crowd_load(crowd, 2000);
    return code < 0 ? code : second_choices(crowd) > 100 ? 0 : 3; // About a quarter of the keys.
}

static void test_sim_share_sticky_counts_second_choices(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct crowd *crowd = crowd_new(&cmds_dispatch_sticky, on_shard);

        CU_ASSERT_EQUAL(crowd_run(crowd, use_sticky), 0);
    }
}

static CU_TestInfo test_sim_share[] = {
        {"the default follows the endpoints", test_sim_share_the_default_follows_the_endpoints},
        {"a new endpoint begins slowly", test_sim_share_a_new_endpoint_begins_slowly},
        {"sticky counts second choices", test_sim_share_sticky_counts_second_choices},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_share", test_sim_share)
