/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker for each endpoint of a group, in a world whose servers fail one by one. What may go
 * wrong: a command is refused though somebody would have answered it, all of them try a server that has
 * just come back, or a newcomer pays for the endpoint before it.
 */
#include "support/sim_guard.h"

/* --- One of three ----------------------------------------------------------------------------- */

/* It fails, is passed over, gets better. */
static int use_one_of_three(struct world *mine)
{
    load(mine, 500);
    mine->servers[1].mood = BAD;
    load(mine, 300);
    uint32_t asked = mine->servers[1].asked;
    struct cmds_endpoint_state state = look(mine, 1);
    if (state.breaker_state != CMDS_BREAKER_OPEN || state.breaker_left_ms == 0 ||
            state.breaker_left_ms > OPEN_MS || look(mine, 0).breaker_state != CMDS_BREAKER_CLOSED) {
        return 1;
    }
    load(mine, state.breaker_left_ms / 2);
    if (mine->servers[1].asked != asked) {
        return 2; // It is open.
    }
    load(mine, 3 * OPEN_MS);
    asked = mine->servers[1].asked - asked;
    if (asked == 0 || asked > 3 * TRIALS) {
        return 3; // Its trials, and no more.
    }
    mine->servers[1].mood = GOOD;
    load(mine, 2 * OPEN_MS);
    asked = mine->servers[1].asked;
    load(mine, 10000); // What was slow for a strategy because it failed is forgotten.
    if (look(mine, 1).breaker_state != CMDS_BREAKER_CLOSED ||
            mine->servers[1].asked < asked + 500) {
        return 4;
    }
    return cmds_group_drain(mine->group, 10000);
}

/* A strategy of a program: the first that is not down. */
static uint32_t first_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = (uint32_t)((key + i) % count);
        if ((candidate(source, index)->flags & CMDS_CANDIDATE_DOWN) == 0) {
            return index;
        }
    }
    return 0;
}
static const struct cmds_dispatch first = {.struct_size = sizeof(first),
        .version = CMDS_DISPATCH_VERSION,
        .name = "first",
        .pick = first_pick};

static void test_sim_guard_passes_one_of_three_over(void)
{
    static const struct cmds_dispatch *const strategies[] = {&cmds_dispatch_round_robin,
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky, &first};
    for (int i = 0; i < 10; i++) {
        reset();
        world.dispatch = strategies[i / 2];
        world.on_shard = i % 2 != 0;

        CU_ASSERT_EQUAL(run(use_one_of_three, 3), 0);

        const struct trail *trail = &world.trails[1];
        CU_ASSERT_EQUAL(world.refused + world.full + world.failures, 0);
        CU_ASSERT_EQUAL(world.good + world.bad, world.sent);
        CU_ASSERT_EQUAL(world.bad, trail->failures);
        CU_ASSERT(trail->changes[CMDS_BREAKER_OPEN] > 1);
        CU_ASSERT_EQUAL(trail->changes[CMDS_BREAKER_OPEN], trail->changes[CMDS_BREAKER_HALF_OPEN]);
        CU_ASSERT_EQUAL(trail->changes[CMDS_BREAKER_CLOSED], 1);
        CU_ASSERT_EQUAL(world.trails[0].failures + world.trails[2].failures, 0);
    }
}

/* Each is the only one of some shard's, or one of two, and the one that fails. */
static int use_few(struct world *mine)
{
    struct server *server = &mine->servers[mine->failing];
    server->mood = BAD;
    load(mine, 3 * OPEN_MS);
    if (look(mine, mine->failing).breaker_state == CMDS_BREAKER_CLOSED) {
        return 1;
    }
    server->mood = GOOD;
    load(mine, 4 * OPEN_MS);
    return look(mine, mine->failing).breaker_state == CMDS_BREAKER_CLOSED
                   ? cmds_group_drain(mine->group, 10000)
                   : 2;
}

static void test_sim_guard_asks_other_shards(void)
{
    for (uint32_t i = 0; i < 2 * SERVERS; i++) {
        reset();
        world.failing = i % SERVERS;
        world.on_shard = true;
        world.options.client_count = SERVERS;
        world.dispatch = i < SERVERS ? &cmds_dispatch_round_robin : NULL;

        CU_ASSERT_EQUAL(run(use_few, i), 0);

        CU_ASSERT_EQUAL(world.refused + world.full + world.failures, 0);
        CU_ASSERT_EQUAL(world.good + world.bad, world.sent);
    }
}

/* Nobody but the trials waits for a server that takes its time to fail. */
static int use_slow_trials(struct world *mine)
{
    mine->servers[1].mood = BAD;
    for (int i = 0; i < 4 * OPEN_MS; i += 10) {
        if (i == OPEN_MS) {
            mine->servers[1].most = 0;
        }
        (void)send_slow(mine);
        cmds_sim_sleep_ms(10);
    }
    return cmds_group_drain(mine->group, 10000);
}

static void test_sim_guard_bounds_the_trials(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(5); seed++) {
        reset();
        world.dispatch = &cmds_dispatch_round_robin;

        CU_ASSERT_EQUAL(run(use_slow_trials, seed), 0);

        CU_ASSERT_EQUAL(world.refused + world.failures, 0);
        CU_ASSERT(world.servers[1].most > 0 && world.servers[1].most <= TRIALS);
    }
}

/* Its commands end by their deadline: to a strategy it is the slowest one by far. */
static int use_silent(struct world *mine)
{
    load(mine, 200);
    mine->servers[1].mood = SILENT;
    load(mine, OPEN_MS);
    if (look(mine, 1).breaker_state == CMDS_BREAKER_CLOSED) {
        return 1;
    }
    mine->servers[1].mood = GOOD;
    load(mine, 2 * OPEN_MS);
    return look(mine, 1).breaker_state == CMDS_BREAKER_CLOSED ? cmds_group_drain(mine->group, 10000)
                                                              : 2;
}

static void test_sim_guard_tries_one_that_was_slow(void)
{
    static const struct cmds_dispatch *const strategies[] = {
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    for (int i = 0; i < 6; i++) {
        reset();
        world.options.connect = "s0:9000,s1:9000";
        world.options.deadline_ms = 100;
        world.breaker.window_size = 2; // Strategies avoid it as soon as it is slow.
        world.dispatch = strategies[i / 2];
        world.on_shard = i % 2 != 0;

        CU_ASSERT_EQUAL(run(use_silent, 17), 0);

        CU_ASSERT_EQUAL(world.refused + world.full, 0);
        CU_ASSERT_EQUAL(world.failures, world.trails[1].failures);
    }
}

/* --- All of them ------------------------------------------------------------------------------ */

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static int use_all(struct world *mine)
{
    set_mood(mine, BAD);
    load(mine, 200);
    uint32_t asked = mine->servers[0].asked + mine->servers[1].asked + mine->servers[2].asked;
    uint32_t refused = mine->refused;
    load(mine, 100);
    if (mine->refused != refused + 100 ||
            mine->servers[0].asked + mine->servers[1].asked + mine->servers[2].asked != asked) {
        return 1;
    }
    struct tell tell = {1};
    if (cmds_group_send(mine->group, tell_message(&tell), NULL, NULL, NULL) != CMDS_E_NOT_ALLOWED) {
        return 2;
    }
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    if (cmds_group_stats(mine->group, &counters) < 0 ||
            counters.commands_not_allowed != mine->refused + 1) {
        return 3;
    }
    set_mood(mine, GOOD);
    load(mine, OPEN_MS + 200);
    refused = mine->refused;
    load(mine, 100);
    return mine->refused == refused ? cmds_group_drain(mine->group, 10000) : 4;
}

static void test_sim_guard_refuses_if_all_are_open(void)
{
    for (int i = 0; i < 2; i++) {
        reset();
        world.on_shard = i == 1;

        CU_ASSERT_EQUAL(run(use_all, 5), 0);

        CU_ASSERT_EQUAL(world.failures + world.full, 0);
        for (int j = 0; j < SERVERS; j++) {
            CU_ASSERT_EQUAL(world.trails[j].changes[CMDS_BREAKER_CLOSED], 1);
        }
    }
}

static int sender_main(void *context)
{
    struct world *mine = context;
    struct cmds_sender *sender = NULL;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct ask ask = {1};
    mine->options.endpoint_breaker = &mine->breaker;
    options.connect = "s0:9000,s1:9000,s2:9000";
    options.group = &mine->options;
    if (cmds_sender_open(&sender, &options, NULL) < 0) {
        return 1;
    }
    mine->group = cmds_sender_group(sender);
    int code = 0;
    for (uint32_t i = 0; i < SERVERS && code == 0; i++) {
        code = cmds_group_endpoint_breaker_open(mine->group, look(mine, i).number);
    }
    code = code < 0 ? code : cmds_sender_send(sender, ask_message(&ask), 1000, NULL, &error);
    cmds_sim_note(cmds_sim_current(), "%s", error.text);
    bool is_right = code == CMDS_E_NOT_ALLOWED && contains(error.text, "all 3 endpoints") &&
                    contains(error.text, "s0:9000 is tried again in 500 ms");
    code = cmds_group_endpoint_breaker_reset(mine->group, look(mine, 2).number);
    code = code < 0 ? code : cmds_sender_send(sender, ask_message(&ask), 1000, NULL, NULL);
    is_right &= code == 0 && mine->servers[2].asked == 1 && mine->servers[0].asked == 0;
    is_right &= cmds_group_endpoint_breaker_open(mine->group, 99) == -ENOENT;
    cmds_sender_close(sender, 1000);
    return is_right ? 0 : 2;
}

/* Nothing moves its clock but the calls themselves. */
static int single_main(void *context)
{
    struct world *mine = context;
    struct cmds_sender *sender = NULL;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct ask ask = {1};
    mine->options.endpoint_breaker = &mine->breaker;
    options.connect = "s0:9000";
    options.client_count = 1;
    options.group = &mine->options;
    options.single_thread = true;
    if (cmds_sender_open(&sender, &options, NULL) < 0) {
        return 1;
    }
    mine->group = cmds_sender_group(sender);
    int code = cmds_group_endpoint_breaker_open(mine->group, look(mine, 0).number);
    int open = cmds_sender_send(sender, ask_message(&ask), 1000, NULL, NULL);
    cmds_sim_sleep_ms(OPEN_MS);
    for (uint32_t i = 0; i < 3 && code == 0; i++) {
        code = cmds_sender_send(sender, ask_message(&ask), 1000, NULL, NULL);
    }
    bool is_closed = look(mine, 0).breaker_state == CMDS_BREAKER_CLOSED;
    cmds_sender_close(sender, 1000);
    return open == CMDS_E_NOT_ALLOWED && code == 0 && is_closed ? 0 : 2;
}

static void run_sender(int (*sender)(void *context))
{
    static const char *const names[] = {"s0", "s1", "s2"};
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    reset();
    for (int i = 0; i < SERVERS; i++) {
        world.servers[i].process = add(sim, names[i], true, server_main, &world.servers[i]);
    }
    (void)add(sim, "client", false, sender, &world);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
}

static void test_sim_guard_says_whom_and_when(void)
{
    run_sender(sender_main);

    CU_ASSERT_EQUAL(world.trails[2].changes[CMDS_BREAKER_CLOSED], 1);
}

static void test_sim_guard_knows_the_time_between_two_turns(void)
{
    run_sender(single_main);

    CU_ASSERT_EQUAL(world.trails[0].changes[CMDS_BREAKER_CLOSED], 1);
}

/* --- A list that changes ---------------------------------------------------------------------- */

static int use_gone_and_back(struct world *mine)
{
    mine->servers[1].mood = BAD;
    load(mine, 200);
    struct cmds_endpoint_state before = look(mine, 1);
    if (before.breaker_state != CMDS_BREAKER_OPEN || set_list(mine, false) < 0 ||
            cmds_group_wait(mine->group, 1000, NULL) < 0) {
        return 1;
    }
    if (cmds_group_endpoint_breaker_reset(mine->group, before.number) != -ENOENT) {
        return 2;
    }
    mine->servers[1].mood = GOOD;
    load(mine, 50);
    uint32_t asked = mine->servers[1].asked;
    if (set_list(mine, true) < 0 || cmds_group_wait(mine->group, 1000, NULL) < 0) {
        return 3;
    }
    struct cmds_breaker_info info = look_close(mine, 1);
    if (look(mine, 1).number == before.number || info.state != CMDS_BREAKER_CLOSED ||
            info.failures != 0 || info.opened != 0 || info.trials != 0) {
        return 4;
    }
    load(mine, 200);
    return mine->servers[1].asked > asked && mine->refused == 0 ? 0 : 5;
}

static void test_sim_guard_begins_anew_with_an_endpoint_that_is_back(void)
{
    reset();
    world.dispatch = &cmds_dispatch_round_robin;

    CU_ASSERT_EQUAL(run(use_gone_and_back, 7), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.trails[1].changes[CMDS_BREAKER_CLOSED], 0); // Nobody closed the old one.
}

static CU_TestInfo tests[] = {
        {"passes one of three over", test_sim_guard_passes_one_of_three_over},
        {"asks other shards", test_sim_guard_asks_other_shards},
        {"bounds the trials", test_sim_guard_bounds_the_trials},
        {"tries one that was slow", test_sim_guard_tries_one_that_was_slow},
        {"refuses if all are open", test_sim_guard_refuses_if_all_are_open},
        {"says whom and when", test_sim_guard_says_whom_and_when},
        {"knows the time between two turns", test_sim_guard_knows_the_time_between_two_turns},
        {"begins anew with an endpoint that is back",
                test_sim_guard_begins_anew_with_an_endpoint_that_is_back},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_guard", tests)
