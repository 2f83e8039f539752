/* SPDX-License-Identifier: MIT */
/*
 * Dispatch in a world: what a strategy is told of its connections, and whom it keeps commands from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/sim/crowd.h"

/* --- What a strategy is told ------------------------------------------------------------------ */

/* It sends where the key says, and remembers what it saw. The group asks from one thread here. */
static struct cmds_candidate seen[CROWD_CONNECTIONS];

static uint32_t look_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        seen[i] = *candidate(source, i);
    }
    return (uint32_t)key;
}

static const struct cmds_dispatch look = {.struct_size = sizeof(look),
        .version = CMDS_DISPATCH_VERSION,
        .name = "look",
        .pick = look_pick};

static int ask(struct crowd *crowd, uint32_t connection, int64_t takes_ms)
{
    struct ask ask = {connection, takes_ms};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = connection;
    int code = cmds_group_send(crowd->group, ask_message(&ask), &how, crowd_on_result, crowd);
    return code < 0 ? code : cmds_group_drain(crowd->group, 10000);
}

static int watch(struct crowd *crowd, uint32_t connection, int64_t takes_ms)
{
    struct watch watch = {connection, takes_ms};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = connection;
    int code = cmds_group_send(crowd->group, watch_message(&watch), &how, crowd_on_result, crowd);
    return code < 0 ? code : cmds_group_drain(crowd->group, 10000);
}

/* A round trip is 0.2 ms and a bit. */
static bool is_about(uint32_t us, uint32_t ms)
{
    return us >= ms * 1000 + 100 && us <= ms * 1000 + 10000;
}

static int use_latency(struct crowd *crowd)
{
    if (ask(crowd, 1, 30) < 0 || ask(crowd, 1, 0) < 0 || watch(crowd, 2, 1000) < 0 ||
            ask(crowd, 3, CROWD_DEADLINE_MS * 2) < 0 || ask(crowd, 0, 0) < 0 ||
            ask(crowd, 0, 0) < 0) {
        return 1;
    }
    /* The longest of late; of a stream, until its first item; of one that failed, its deadline. */
    if (!is_about(seen[0].ewma_us, 0) || !is_about(seen[2].ewma_us, 0) ||
            !is_about(seen[3].ewma_us, CROWD_DEADLINE_MS)) {
        return 2;
    }
    /* Over two seconds ago. */
    if (seen[1].ewma_us < 22000 || seen[1].ewma_us > 28000) {
        return 3;
    }
    cmds_sim_sleep_ms(60000);
    if (ask(crowd, 1, 0) < 0 || ask(crowd, 0, 0) < 0 || !is_about(seen[1].ewma_us, 0)) {
        return 4;
    }
    return seen[0].in_flight == 0 && seen[0].weight == CMDS_WEIGHT ? 0 : 5;
}

static void test_sim_dispatch_tells_how_long_commands_take(void)
{
    static struct crowd crowd = {.dispatch = &look, .connect = "10.0.0.1:9000"};

    CU_ASSERT_EQUAL(crowd_run(&crowd, use_latency), 0);

    CU_ASSERT_EQUAL(crowd.failures, 1);
    CU_ASSERT_EQUAL(crowd.answers, 7);
}

static int use_burst(struct crowd *crowd)
{
    for (uint32_t i = 0; i < 200; i++) {
        struct ask ask = {i, 0};
        if (cmds_group_send(crowd->group, ask_message(&ask), NULL, crowd_on_result, crowd) < 0) {
            return 1;
        }
    }
    return cmds_group_drain(crowd->group, 10000);
}

static void test_sim_dispatch_takes_a_burst(void)
{
    static const struct cmds_dispatch *const strategies[] = {
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    for (int i = 0; i < 3; i++) {
        static struct crowd crowd;
        memset(&crowd, 0, sizeof(crowd));
        crowd.dispatch = strategies[i];

        CU_ASSERT_EQUAL(crowd_run(&crowd, use_burst), 0);

        CU_ASSERT_EQUAL(crowd.failures, 0);
        CU_ASSERT_EQUAL(crowd.answers, 200);
    }
}

/* --- Whom commands are kept from -------------------------------------------------------------- */

static int ascending(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* So long the slowest of a hundred takes. */
static uint32_t p99_us(struct crowd *crowd)
{
    uint32_t count = atomic_load(&crowd->answers);
    qsort(crowd->took_us, count, sizeof(crowd->took_us[0]), ascending);
    return count > 0 ? crowd->took_us[count - 1 - count / 100] : 0;
}

static uint32_t slow_count; // So many of the servers are farther away.

static int use_load(struct crowd *crowd)
{
    for (uint32_t i = 0; i < slow_count; i++) {
        cmds_sim_slow(crowd->servers[i].process, crowd->client, 5);
    }
    int code = crowd_load(crowd, 10000);
    return code < 0 ? code : cmds_group_drain(crowd->group, 5000);
}

static uint32_t run_load(const struct cmds_dispatch *dispatch, bool on_shard, uint32_t slow)
{
    struct crowd *crowd = crowd_new(dispatch, on_shard);
    slow_count = slow;
    CU_ASSERT_EQUAL(crowd_run(crowd, use_load), 0);
    CU_ASSERT_EQUAL(crowd->failures + crowd->refused, 0);
    CU_ASSERT_EQUAL(crowd->answers, crowd->sent);
    return p99_us(crowd);
}

static void test_sim_dispatch_slow_servers_do_not_show(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        uint32_t healthy_us = run_load(NULL, on_shard, 0); // Least is the default of a list.

        CU_ASSERT_TRUE(healthy_us > 0 && healthy_us < 2000);
        CU_ASSERT_TRUE(run_load(NULL, on_shard, 1) * 2 <= healthy_us * 3);
        CU_ASSERT_TRUE(run_load(NULL, on_shard, 2) * 2 <= healthy_us * 3);
        CU_ASSERT_TRUE(run_load(&cmds_dispatch_p2c, on_shard, 1) * 2 <= healthy_us * 3);
        CU_ASSERT_TRUE(run_load(&cmds_dispatch_round_robin, on_shard, 1) > 5000); // It would.
    }
}

static int use_failing(struct crowd *crowd)
{
    atomic_store(&crowd->servers[2].fails, true);
    int code = crowd_load(crowd, 1000);
    uint32_t before = atomic_load(&crowd->servers[2].asked);
    code = code < 0 ? code : crowd_load(crowd, 10000);
    uint32_t asked = atomic_load(&crowd->servers[2].asked) - before;
    cmds_sim_note(cmds_sim_current(), "the bad one got %u, %u before", asked, before);
    return code < 0 ? code : asked * 50 <= 10000 ? 0 : 1;
}

static void test_sim_dispatch_a_server_that_fails_fast_gets_next_to_nothing(void)
{
    static const struct cmds_dispatch *const strategies[] = {
            NULL, &cmds_dispatch_round_robin, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    for (int i = 0; i < 8; i++) {
        struct crowd *crowd = crowd_new(strategies[i / 2], i % 2 != 0);

        CU_ASSERT_EQUAL(crowd_run(crowd, use_failing), 0);

        CU_ASSERT_TRUE(crowd->failures > 0);
        CU_ASSERT_TRUE(crowd->failures * 50 <= crowd->sent);
        CU_ASSERT_EQUAL(crowd->refused, 0);
    }
}

/* Of the endpoint with this index. */
static uint32_t ejected_ms(struct crowd *crowd, uint32_t index)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    return cmds_group_endpoint(crowd->group, index, &state) == 0 ? state.ejected_ms : UINT32_MAX;
}

static int use_stall(struct crowd *crowd)
{
    struct server *server = &crowd->servers[1];
    int code = crowd_load(crowd, 500);
    cmds_sim_stall(server->process, 3000);
    code = code < 0 ? code : crowd_load(crowd, 1000);
    uint32_t failures = atomic_load(&crowd->failures);
    /* Until the first one has run into its deadline a quarter of them goes there. */
    if (code < 0 || failures < 5 || failures > 110 || ejected_ms(crowd, 1) == 0 ||
            ejected_ms(crowd, 1) > 5000 || ejected_ms(crowd, 0) != 0 || ejected_ms(crowd, 2) != 0) {
        return 1;
    }
    code = crowd_load(crowd, 3500); // It would answer by now.
    uint32_t asked = atomic_load(&server->asked);
    if (code < 0 || atomic_load(&crowd->failures) != failures || ejected_ms(crowd, 1) == 0) {
        return 2;
    }
    code = crowd_load(crowd, 5000);
    if (code < 0 || ejected_ms(crowd, 1) != 0 || atomic_load(&crowd->failures) != failures) {
        return 3;
    }
    return atomic_load(&server->asked) - asked > 900 ? 0 : 4; // A quarter, since it is back.
}

static void test_sim_dispatch_an_endpoint_that_does_not_answer_is_out_and_comes_back(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct crowd *crowd = crowd_new(&cmds_dispatch_round_robin, on_shard);
        crowd->deadline_ms = 300;

        CU_ASSERT_EQUAL(crowd_run(crowd, use_stall), 0);

        CU_ASSERT_EQUAL(crowd->answers + crowd->failures, crowd->sent);
    }
}

static int use_stall_for_long(struct crowd *crowd)
{
    struct server *server = &crowd->servers[1];
    cmds_sim_stall(server->process, 7000);
    int code = crowd_load(crowd, 5200);
    uint32_t failures = atomic_load(&crowd->failures);
    if (code < 0 || failures < 5) {
        return 1;
    }
    code = crowd_load(crowd, 1200); // One trial, which has run into its deadline.
    if (code < 0 || atomic_load(&crowd->failures) != failures + 1 || ejected_ms(crowd, 1) <= 5000) {
        return 2;
    }
    code = crowd_load(crowd, 12000);
    return code == 0 && atomic_load(&crowd->failures) == failures + 1 && ejected_ms(crowd, 1) == 0
                   ? 0
                   : 3;
}

static void test_sim_dispatch_a_trial_is_one_command(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct crowd *crowd = crowd_new(&cmds_dispatch_round_robin, on_shard);
        crowd->deadline_ms = 300;

        CU_ASSERT_EQUAL(crowd_run(crowd, use_stall_for_long), 0);

        CU_ASSERT_EQUAL(crowd->answers + crowd->failures, crowd->sent);
    }
}

static int use_unsteady(struct crowd *crowd)
{
    struct server *server = &crowd->servers[1];
    atomic_store(&server->is_unsteady, true);
    int code = crowd_load(crowd, 2000);
    if (code < 0 || ejected_ms(crowd, 1) == 0 || ejected_ms(crowd, 0) != 0) {
        return 1;
    }
    uint32_t failures = atomic_load(&crowd->failures);
    atomic_store(&server->is_unsteady, false);
    code = crowd_load(crowd, 10000);
    return code == 0 && atomic_load(&crowd->failures) <= failures + 1 && ejected_ms(crowd, 1) == 0
                   ? 0
                   : 2;
}

/* Never five in a row. */
static void test_sim_dispatch_an_endpoint_that_fails_far_more_often_is_out(void)
{
    struct crowd *crowd = crowd_new(&cmds_dispatch_round_robin, true);
    crowd->deadline_ms = 300;

    CU_ASSERT_EQUAL(crowd_run(crowd, use_unsteady), 0);
}

/* All of them stand still: the fault may be ours. */
static int use_all_stall(struct crowd *crowd)
{
    int code = crowd_load(crowd, 500);
    for (int i = 0; i < CROWD_SERVERS; i++) {
        cmds_sim_stall(crowd->servers[i].process, 2000);
    }
    code = code < 0 ? code : crowd_load(crowd, 1500);
    for (uint32_t i = 0; i < CROWD_SERVERS; i++) {
        if (ejected_ms(crowd, i) != 0) {
            return 1;
        }
    }
    uint32_t failures = atomic_load(&crowd->failures);
    code = code < 0 ? code : crowd_load(crowd, 2000);
    uint32_t before[CROWD_SERVERS];
    for (uint32_t i = 0; i < CROWD_SERVERS; i++) {
        before[i] = atomic_load(&crowd->servers[i].asked);
    }
    code = code < 0 ? code : crowd_load(crowd, 4000);
    for (uint32_t i = 0; i < CROWD_SERVERS; i++) {
        if (atomic_load(&crowd->servers[i].asked) - before[i] < 900) {
            return 2;
        }
    }
    return code < 0 ? code : failures > 500 ? 0 : 3;
}

static void test_sim_dispatch_if_all_are_bad_all_are_used(void)
{
    struct crowd *crowd = crowd_new(&cmds_dispatch_round_robin, true);
    crowd->deadline_ms = 300;

    CU_ASSERT_EQUAL(crowd_run(crowd, use_all_stall), 0);
}

static CU_TestInfo test_sim_dispatch[] = {
        {"a strategy is told how long commands take",
                test_sim_dispatch_tells_how_long_commands_take},
        {"each strategy takes a burst from another thread", test_sim_dispatch_takes_a_burst},
        {"slow servers do not show", test_sim_dispatch_slow_servers_do_not_show},
        {"a server that fails fast gets next to nothing",
                test_sim_dispatch_a_server_that_fails_fast_gets_next_to_nothing},
        {"an endpoint that does not answer is out, and comes back",
                test_sim_dispatch_an_endpoint_that_does_not_answer_is_out_and_comes_back},
        {"a trial is one command", test_sim_dispatch_a_trial_is_one_command},
        {"an endpoint that fails far more often than others is out",
                test_sim_dispatch_an_endpoint_that_fails_far_more_often_is_out},
        {"if all are bad, all are used", test_sim_dispatch_if_all_are_bad_all_are_used},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_dispatch", test_sim_dispatch)
