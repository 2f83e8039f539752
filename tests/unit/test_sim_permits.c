/* SPDX-License-Identifier: MIT */
/*
 * Permits of the breakers of endpoints: to whom they belong when a command is sent again, handed over,
 * vetoed, refused, forgotten, cut off, late. What may go wrong: one is lost, so that a breaker never
 * closes again, is given back twice, or counts for an endpoint that never had the command.
 */
#include "support/sim_guard.h"

/* --- Where permits go ------------------------------------------------------------------------- */

/* One server is killed with commands in flight, which go again, to another one. */
static int use_resend(struct world *mine)
{
    struct find find = {1};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.resend = CMDS_RESEND_ONCE;
    mine->servers[1].mood = SILENT;
    for (int i = 0; i < 12; i++) {
        if (cmds_group_send(mine->group, find_message(&find), &how, on_result, mine) < 0) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(20);
    uint32_t lost = mine->servers[1].asked;
    cmds_sim_kill(mine->servers[1].process);
    int code = cmds_group_drain(mine->group, 10000);
    /* Each try is of one endpoint: what was lost there is a success elsewhere. */
    return code < 0                              ? code
           : lost == 0 || mine->good != 12       ? 2
           : look_close(mine, 1).failures < lost ? 3
           : look_close(mine, 0).failures + look_close(mine, 2).failures != 0 ||
                           mine->trails[0].successes + mine->trails[2].successes != 12
                   ? 4
                   : 0;
}

static void test_sim_permits_count_where_each_try_went(void)
{
    reset();
    world.dispatch = &cmds_dispatch_round_robin;
    world.breaker.window_size = 100;
    world.breaker.on_endpoint_success = on_endpoint_success;

    CU_ASSERT_EQUAL(run(use_resend, 9), 0);

    CU_ASSERT_EQUAL(world.failures + world.refused, 0);
    CU_ASSERT_EQUAL(world.lasts, 12);
}

/* All are away; what waits goes to the first one that is back, and its trials' places are free. */
static int use_handover(struct world *mine)
{
    for (int i = 0; i < SERVERS; i++) {
        cmds_sim_kill(mine->servers[i].process);
    }
    cmds_sim_sleep_ms(300);
    load(mine, 20);
    cmds_sim_restart(mine->servers[2].process);
    int code = cmds_group_drain(mine->group, 10000);
    if (code < 0 || mine->good != 20 || mine->servers[2].asked != 20) {
        return 1;
    }
    return mine->trails[2].successes == 20 && mine->trails[0].successes == 0 &&
                           mine->trails[1].successes == 0
                   ? 0
                   : 2;
}

static void test_sim_permits_follow_what_is_handed_over(void)
{
    for (int i = 0; i < 2; i++) {
        reset();
        world.on_shard = i == 1;
        world.breaker.window_size = 1000;
        world.breaker.on_endpoint_success = on_endpoint_success;

        CU_ASSERT_EQUAL(run(use_handover, 11), 0);

        CU_ASSERT_EQUAL(world.failures + world.refused, 0);
    }
}

/* All are away. Some connections, with what waits for them, go to an endpoint that is new, and is there. */
static int use_moved(struct world *mine)
{
    for (int i = 0; i < SERVERS; i++) {
        cmds_sim_kill(mine->servers[i].process);
    }
    cmds_sim_sleep_ms(300);
    load(mine, 30);
    cmds_sim_restart(mine->servers[1].process);
    int code = set_list(mine, true);
    code = code < 0 ? code : cmds_group_drain(mine->group, 10000);
    if (code < 0 || mine->good != 30 || mine->servers[1].asked != 30) {
        return 1;
    }
    return mine->trails[0].successes + mine->trails[2].successes == 0 ? 0 : 2;
}

static void test_sim_permits_stay_where_they_were_given(void)
{
    reset();
    world.options.connect = "s0:9000,s2:9000";
    world.breaker.window_size = 1000;
    world.breaker.on_endpoint_success = on_endpoint_success;
    world.dispatch = &cmds_dispatch_round_robin;

    CU_ASSERT_EQUAL(run(use_moved, 13), 0);

    CU_ASSERT_EQUAL(world.failures + world.refused, 0);
}

static int veto(void *context, struct cmds_sent_command *command)
{
    (void)context;
    (void)command;
    return cmds_sim_random(cmds_sim_current()) % 16 == 0 ? -EACCES : 0;
}

/* One command of any kind. */
static void send_any(struct world *mine)
{
    uint64_t drawn = cmds_sim_random(cmds_sim_current());
    struct ask ask = {1};
    struct find find = {1};
    struct tell tell = {1};
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = drawn % 64;
    how.deadline_ms = drawn / 64 % 4 == 0 ? 30 : 300;
    how.resend = drawn / 256 % 2 == 0 ? CMDS_RESEND_ONCE : CMDS_RESEND_NEVER;
    how.ticket = drawn / 512 % 4 == 0 ? &ticket : NULL;
    switch (drawn / 2048 % 4) {
    case 0:
        (void)count_send(
                mine, cmds_group_send(mine->group, ask_message(&ask), &how, on_result, mine));
        break;
    case 1:
        (void)cmds_group_send(mine->group, tell_message(&tell), NULL, NULL, NULL);
        break;
    default:
        (void)count_send(
                mine, cmds_group_send(mine->group, find_message(&find), &how, on_result, mine));
    }
    if (how.ticket != NULL && drawn / 8192 % 2 == 0) {
        (void)cmds_group_forget(mine->group, ticket);
    }
}

static void send_any_there(void *context)
{
    send_any(context);
}

/* Something happens to a server. */
static void disturb(struct world *mine)
{
    uint64_t drawn = cmds_sim_random(cmds_sim_current());
    struct server *server = &mine->servers[drawn % SERVERS];
    switch (drawn / SERVERS % 6) {
    case 0:
        cmds_sim_kill(server->process);
        break;
    case 1:
        cmds_sim_restart(server->process);
        break;
    case 2:
        (void)cmds_sim_cut(cmds_sim_self(), server->process);
        break;
    case 3:
        (void)set_list(mine, drawn % 2 == 0);
        break;
    default:
        server->mood = (uint32_t)(drawn / 64 % 3);
    }
}

/* Nothing is under way. Returns: 0: all are closed; 2: one is not; 3: a trial's place is not free. */
static int breakers_end(struct world *mine)
{
    int code = 0;
    for (uint32_t i = 0; i < SERVERS && code != 3; i++) {
        struct cmds_breaker_info info = look_close(mine, i);
        code = info.trials != 0 ? 3 : info.state != CMDS_BREAKER_CLOSED ? 2 : code;
    }
    return code;
}

/* Whatever becomes of commands, when all is well again every breaker closes: no trial's place is lost. */
static int use_anything(struct world *mine)
{
    for (uint32_t i = 0; i < 2500; i++) {
        if (i % 3 == 0) {
            (void)cmds_runtime_post(mine->runtime, i % 2, send_any_there, mine);
        } else {
            send_any(mine);
        }
        if (i % 100 == 99) {
            disturb(mine);
        }
        cmds_sim_sleep_ms(1);
    }
    if (mine->faults != 0) {
        cmds_sim_sleep_ms(8000); // None begins after 10 s.
    }
    set_mood(mine, GOOD);
    for (int i = 0; i < SERVERS; i++) {
        cmds_sim_kill(mine->servers[i].process); // It owes answers that nobody will get.
        cmds_sim_restart(mine->servers[i].process);
    }
    if (set_list(mine, true) < 0 || cmds_group_wait(mine->group, 5000, NULL) < 0) {
        return 1;
    }
    int code = 2;
    for (int i = 0; i < 120 && code == 2; i++) { // Some are out by their health.
        load(mine, 250);
        if (cmds_group_drain(mine->group, 10000) < 0) {
            return 4;
        }
        code = breakers_end(mine);
    }
    return code;
}

static void test_sim_permits_are_given_back_once(void)
{
    static const struct cmds_dispatch *const strategies[] = {&cmds_dispatch_round_robin,
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&hooks};
    uint32_t failures = 0, full = 0, refused = 0;
    hooks.before_send = veto;
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(12); seed++) {
        reset();
        world.faults = seed % 3 == 0 ? CMDS_SIM_DELAYS | CMDS_SIM_CUTS | CMDS_SIM_PARTITIONS |
                                               CMDS_SIM_STALLS | CMDS_SIM_KERNEL
                                     : CMDS_SIM_NO_FAULTS;
        world.dispatch = strategies[seed % 4];
        world.options.in_flight_max = 4;
        world.options.hooks = list;
        world.options.hooks_count = seed % 2;

        CU_ASSERT_EQUAL(run(use_anything, seed), 0);

        CU_ASSERT_EQUAL(world.lasts, world.sent);
        failures += world.failures;
        full += world.full;
        refused += world.refused;
    }
    CU_ASSERT(failures > 0 && full > 0 && refused > 0);
}

static CU_TestInfo tests[] = {
        {"count where each try went", test_sim_permits_count_where_each_try_went},
        {"follow what is handed over", test_sim_permits_follow_what_is_handed_over},
        {"stay where they were given", test_sim_permits_stay_where_they_were_given},
        {"are given back once", test_sim_permits_are_given_back_once},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_permits", tests)
