/* SPDX-License-Identifier: MIT */
/*
 * A group and its endpoints, in a world whose name service and servers do what they like: servers that
 * come and go must be found and left without one command lost, a name service that dies must not matter,
 * and a server that is another one must not take the group along.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    SERVERS = 6,
    CONNECTIONS = 12,
    WORK_MS = 2000,
    HANGS_MS = 6000,
    SETTLE_MS = 70 * 1000, // Two lookups, of which the second drops an address, and the moves.
};

struct ask {
    int64_t number;
};
struct work {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_COMMAND(work, 1, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&ask_type, &work_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("endpoints", commands, results);

struct server {
    struct cmds_sim_process *process;
    const char *info;
    _Atomic uint32_t asked, worked;
};

struct world {
    int (*use)(struct world *world); // What the test is about. Returns: 0: all was right.
    const char *connect;
    uint32_t faults;
    uint32_t client_count, connect_timeout_ms;
    struct server servers[SERVERS];
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    _Atomic uint32_t sent, answers, failures, warnings, ups;
    _Atomic int last_code;
    _Atomic bool stop;
    char last_text[256];
    void (*on_state)(struct world *world);
};

/* --- Servers ---------------------------------------------------------------------------------- */

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct server *server = cmds_call_receiver(call);
    struct answer value = {ask->number};
    atomic_fetch_add(&server->asked, 1);
    return cmds_call_send(call, answer_message(&value));
}

static int on_work(struct cmds_call *call, const struct work *work)
{
    struct server *server = cmds_call_receiver(call);
    struct answer value = {work->number};
    cmds_sim_sleep_ms(WORK_MS);
    atomic_fetch_add(&server->worked, 1);
    return cmds_call_send(call, answer_message(&value));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC_IN_POOL(work, on_work)};

static int server_main(void *context)
{
    struct server *server = context;
    struct cmds_server_options own = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    own.listen = "0.0.0.0:9000";
    own.receiver = server;
    own.server_info = (struct cmds_bytes){server->info, strlen(server->info)};
    return serve(&own);
}

/* "013": what `shop` means. */
static void set_shop(struct world *world, const char *servers)
{
    char list[SERVERS * 32] = "";
    for (; *servers != '\0'; servers++) {
        const char *address = cmds_sim_address(world->servers[*servers - '0'].process);
        (void)strcat(strcat(list, list[0] != '\0' ? "," : ""), address);
    }
    (void)cmds_sim_set_name(cmds_sim_current(), "shop", list);
}

/* --- The client ------------------------------------------------------------------------------- */

static void on_result(void *context, const struct cmds_result *result)
{
    struct world *world = context;
    if (answer_of(result) != NULL) {
        atomic_fetch_add(&world->answers, 1);
    } else if (atomic_fetch_add(&world->failures, 1) == 0) {
        atomic_store(&world->last_code, result->error);
        (void)snprintf(world->last_text, sizeof(world->last_text), "%s", result->text);
        cmds_sim_note(cmds_sim_current(), "failed: %s", result->text);
    }
}

static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct world *world = context;
    cmds_sim_note(cmds_sim_current(), "client %u is %d: %s", client, (int)state, cause->text);
    atomic_fetch_add(&world->ups, state == CMDS_CONNECTION_UP);
    if (world->on_state != NULL) {
        world->on_state(world);
    }
}

static void on_log(void *context, enum cmds_log_level level, const char *text)
{
    struct world *world = context;
    cmds_sim_note(cmds_sim_current(), "log: %s", text);
    if (level == CMDS_LOG_WARN && strncmp(text, "endpoints:", 10) == 0) {
        atomic_fetch_add(&world->warnings, 1);
    }
}

static int world_open(struct world *world)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.shard_count = 2;
    options.on_log = on_log;
    options.log_context = world;
    group.connect = world->connect;
    group.client_count = world->client_count;
    group.connect_timeout_ms = world->connect_timeout_ms;
    group.server_info = (struct cmds_bytes){"shop", 4};
    group.on_state = on_state;
    group.context = world;
    int code = cmds_runtime_start(&world->runtime, &options, NULL);
    return code < 0 ? code : cmds_group_open(&world->group, world->runtime, &group, NULL);
}

static int client_main(void *context)
{
    struct world *world = context;
    int code = world_open(world);
    code = code < 0 ? code : world->use(world);
    cmds_group_close(world->group, NULL, NULL);
    cmds_runtime_stop(world->runtime);
    cmds_sim_sleep_ms(world->faults != 0 ? HANGS_MS : 0); // A lookup has its thread for so long.
    return code;
}

/* One command every 5 ms. */
static void load(struct world *world, uint32_t ms)
{
    for (uint32_t i = 0; i < ms / 5; i++) {
        struct ask ask = {i};
        if (cmds_group_send(world->group, ask_message(&ask), NULL, on_result, world) == 0) {
            atomic_fetch_add(&world->sent, 1);
        } else {
            atomic_fetch_add(&world->failures, 1);
        }
        cmds_sim_sleep_ms(5);
    }
}

/* Has each of "013" its share of the load, give or take `percent`, and nobody else any? */
static bool is_even(struct world *world, const char *servers, uint32_t percent)
{
    uint32_t before[SERVERS], total = 0;
    for (int i = 0; i < SERVERS; i++) {
        before[i] = atomic_load(&world->servers[i].asked);
    }
    load(world, 10000);
    (void)cmds_group_drain(world->group, 5000);
    for (int i = 0; i < SERVERS; i++) {
        before[i] = atomic_load(&world->servers[i].asked) - before[i];
        total += before[i];
    }
    for (int i = 0; i < SERVERS; i++) {
        uint32_t mean = total / (uint32_t)strlen(servers);
        uint32_t least = mean - mean * percent / 100, most = mean + mean * percent / 100;
        bool is_one = strchr(servers, '0' + i) != NULL;
        if (is_one ? before[i] < least || before[i] > most : before[i] > 0) {
            printf("    server %d: %u of %u\n", i, before[i], total);
            return false;
        }
    }
    return total > 0;
}

static int run(struct world *world, int (*use)(struct world *world))
{
    static const char *const names[SERVERS] = {"s0", "s1", "s2", "s3", "s4", "s5"};
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    options.seed = 12;
    options.faults = world->faults;
    options.faults_until_ms = 3600 * 1000;
    options.time_max_ms = 3600 * 1000;
    options.event_count = 40;
    world->use = use;
    world->connect = world->connect != NULL ? world->connect : "dns:shop:9000";
    world->client_count = world->client_count != 0 ? world->client_count : CONNECTIONS;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    for (int i = 0; i < SERVERS; i++) {
        world->servers[i].info = world->servers[i].info != NULL ? world->servers[i].info : "shop";
        world->servers[i].process = add(sim, names[i], true, server_main, &world->servers[i]);
    }
    (void)add(sim, "client", false, client_main, world);
    (void)cmds_sim_set_name(sim, "shop", "10.0.0.1,10.0.0.2");
    int code = finish(sim, &report, NULL, 0);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
    return code;
}

/* --- The name service ------------------------------------------------------------------------- */

static int use_scale(struct world *world)
{
    int code = cmds_group_wait(world->group, 30000, NULL);
    if (code < 0 || !is_even(world, "01", 15)) {
        return 1;
    }
    set_shop(world, "012345");
    load(world, 40000);
    if (!is_even(world, "012345", 15)) {
        return 2;
    }
    set_shop(world, "135");
    load(world, SETTLE_MS);
    if (!is_even(world, "135", 15)) {
        return 3;
    }
    return cmds_group_endpoint_count(world->group) == 3 ? 0 : 4;
}

static void test_sim_endpoints_scale_without_an_error(void)
{
    struct world world = {.use = NULL};

    CU_ASSERT_EQUAL(run(&world, use_scale), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
    CU_ASSERT_EQUAL(world.warnings, 0);
    CU_ASSERT(world.sent > 25000);
}

/* Lookups hang, fail, and sometimes say what was so before: until one has failed. */
static int use_bad_names(struct world *world)
{
    int code = cmds_group_wait(world->group, 60000, NULL);
    for (int i = 0; i < 20 || (i < 150 && atomic_load(&world->warnings) == 0); i++) {
        set_shop(world, i % 2 == 0 ? "01234" : "0135");
        load(world, 15000);
    }
    return code;
}

static void test_sim_endpoints_live_with_a_bad_name_service(void)
{
    struct world world = {.faults = CMDS_SIM_NAMES};

    CU_ASSERT_EQUAL(run(&world, use_bad_names), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
    CU_ASSERT(world.warnings > 0);
}

static int use_dead(struct world *world)
{
    int code = cmds_group_wait(world->group, 1000, NULL);
    uint32_t ups = atomic_load(&world->ups);
    if (code < 0) {
        return 1;
    }
    set_shop(world, "");
    load(world, 300 * 1000);
    if (atomic_load(&world->ups) != ups || cmds_group_endpoint_count(world->group) != 2) {
        return 2;
    }
    return is_even(world, "01", 5) ? 0 : 3;
}

static void test_sim_endpoints_do_not_notice_a_dead_name_service(void)
{
    struct world world = {.use = NULL};

    CU_ASSERT_EQUAL(run(&world, use_dead), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
    CU_ASSERT_EQUAL(world.warnings, 1); // Said once.
}

static int use_rotating(struct world *world)
{
    set_shop(world, "0123");
    int code = cmds_group_wait(world->group, 1000, NULL);
    load(world, 40000);
    for (int i = 0; i < 5 && code == 0; i++) {
        set_shop(world, i % 2 == 0 ? "01" : "23");
        load(world, 33000);
    }
    uint32_t count = cmds_group_endpoint_count(world->group);
    return code < 0 ? 1 : count != 2 && count != 4 ? 2 : 0;
}

static void test_sim_endpoints_bear_answers_that_change_each_time(void)
{
    struct world world = {.use = NULL};

    /* Two lookups may see the same half, so addresses may go, but no command with them. */
    CU_ASSERT_EQUAL(run(&world, use_rotating), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
}

static int use_late_name(struct world *world)
{
    set_shop(world, "");
    load(world, 4000);
    set_shop(world, "01");
    if (cmds_group_wait(world->group, 10000, NULL) < 0) {
        return 1;
    }
    (void)cmds_group_drain(world->group, 5000); // What has waited went to whoever came first.
    return is_even(world, "01", 15) ? 0 : 2;
}

static void test_sim_endpoints_wait_for_a_name_that_comes_late(void)
{
    struct world world = {.use = NULL};

    CU_ASSERT_EQUAL(run(&world, use_late_name), 0);

    CU_ASSERT_EQUAL(world.answers + world.failures, world.sent);
}

/* --- Servers ---------------------------------------------------------------------------------- */

static int use_dying(struct world *world)
{
    set_shop(world, "012");
    int code = cmds_group_wait(world->group, 1000, NULL);
    cmds_sim_kill(world->servers[1].process);
    cmds_sim_sleep_ms(1); // Those that wait for an answer are lost, and no others.
    set_shop(world, "02");
    load(world, 20000);
    if (code < 0 || cmds_group_endpoint_count(world->group) != 2) {
        return 1;
    }
    return is_even(world, "02", 15) ? 0 : 2;
}

static void test_sim_endpoints_leave_a_server_that_died_within_seconds(void)
{
    struct world world = {.use = NULL};

    CU_ASSERT_EQUAL(run(&world, use_dying), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
}

static int use_stranger(struct world *world)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    uint32_t strangers = 0;
    int code = cmds_group_wait(world->group, 20000, NULL);
    if (code < 0 || !is_even(world, "02", 15)) {
        return 1;
    }
    for (uint32_t i = 0; i < 3; i++) {
        code = cmds_group_endpoint(world->group, i, &state);
        if ((state.flags & CMDS_ENDPOINT_STRANGER) != 0) {
            strangers++;
            code = state.error.code == CMDS_E_SERVER_INFO_MISMATCH ? code : 1;
        }
        if (code < 0 || state.client_count != state.up_count) {
            return 2;
        }
    }
    return strangers == 1 && cmds_group_endpoint(world->group, 3, &state) == -ENOENT ? 0 : 3;
}

static void test_sim_endpoints_go_on_without_a_stranger(void)
{
    struct world world = {.connect = "s0:9000,s1:9000,10.0.0.3:9000"};
    world.servers[1].info = "another";

    CU_ASSERT_EQUAL(run(&world, use_stranger), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
}

static int set_endpoints(struct world *world, const char *one, const char *other);

static int use_only_strangers(struct world *world)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_group_wait(world->group, 20000, &error);
    if (code != CMDS_E_SERVER_INFO_MISMATCH || !cmds_group_done(world->group)) {
        return 1;
    }
    return set_endpoints(world, "s2:9000", NULL) == CMDS_E_NOT_CONNECTED ? 0 : 2;
}

static void test_sim_endpoints_are_down_if_all_are_strangers(void)
{
    struct world world = {.connect = "s0:9000,s1:9000"};
    world.servers[0].info = world.servers[1].info = "another";

    CU_ASSERT_EQUAL(run(&world, use_only_strangers), 0);
}

static int use_strangers_for_a_while(struct world *world)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    if (world->connect[0] == 's' && set_endpoints(world, "s0:9000", "s1:9000") < 0) {
        return 1;
    }
    int code = cmds_group_wait(world->group, 60000, &error);
    if (code != CMDS_E_SERVER_INFO_MISMATCH || cmds_group_done(world->group)) {
        return 2;
    }
    set_shop(world, "23");
    if (world->connect[0] == 's' && set_endpoints(world, "s2:9000", "s3:9000") < 0) {
        return 3;
    }
    cmds_sim_sleep_ms(40000); // Twice asked, and all have moved.
    return is_even(world, "23", 15) ? 0 : 4;
}

static void test_sim_endpoints_outlive_a_list_of_strangers(void)
{
    static const char *const connects[] = {"dns:shop:9000", "s2:9000"};
    for (int i = 0; i < 2; i++) {
        struct world world = {.connect = connects[i]};
        world.servers[0].info = world.servers[1].info = "another";

        CU_ASSERT_EQUAL(run(&world, use_strangers_for_a_while), 0);

        CU_ASSERT_EQUAL(world.failures, 0);
    }
}

static int use_unroutable(struct world *world)
{
    (void)cmds_group_wait(world->group, 10000, NULL);
    load(world, 5000);
    return is_even(world, "0", 0) ? 0 : 1;
}

static void test_sim_endpoints_do_without_one_that_cannot_be_reached(void)
{
    struct world world = {.connect = "[2001:db8::1]:9000,s0:9000", .client_count = 4};

    CU_ASSERT_EQUAL(run(&world, use_unroutable), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
}

/* --- Moves ------------------------------------------------------------------------------------ */

static int send_work(struct world *world)
{
    struct work work = {1};
    atomic_fetch_add(&world->sent, 1);
    return cmds_group_send(world->group, work_message(&work), NULL, on_result, world);
}

/* While a connection that moves is owed an answer. Returns: 0: it came from the old server. */
static int use_owed(struct world *world)
{
    int code = cmds_group_wait(world->group, 1000, NULL);
    code = code < 0 ? code : send_work(world);
    cmds_sim_sleep_ms(100);
    code = code < 0 ? code : set_endpoints(world, "s1:9000", NULL);
    load(world, 1000);
    uint32_t asked = atomic_load(&world->servers[1].asked);
    if (code < 0 || atomic_load(&world->servers[0].worked) != 0 ||
            (world->client_count == 1 ? asked != 0 : asked != 200)) {
        return 1;
    }
    cmds_sim_sleep_ms(1500);
    return atomic_load(&world->servers[1].asked) == 200 &&
                           atomic_load(&world->servers[0].worked) == 1 &&
                           cmds_group_wait(world->group, 1000, NULL) == 0
                   ? 0
                   : 2;
}

static void test_sim_endpoints_are_left_when_they_owe_nothing(void)
{
    for (uint32_t i = 1; i <= 2; i++) {
        struct world world = {.connect = "s0:9000", .client_count = i};

        CU_ASSERT_EQUAL(run(&world, use_owed), 0);

        CU_ASSERT_EQUAL(world.failures, 0); // What had to wait has not been lost.
        CU_ASSERT_EQUAL(world.answers, world.sent);
    }
}

static int use_owed_by_the_dead(struct world *world)
{
    int code = cmds_group_wait(world->group, 1000, NULL);
    code = code < 0 ? code : send_work(world);
    cmds_sim_sleep_ms(100);
    code = code < 0 ? code : set_endpoints(world, "s1:9000", NULL);
    load(world, 500);
    cmds_sim_kill(world->servers[0].process);
    cmds_sim_sleep_ms(500);
    return code < 0 ? 1 : atomic_load(&world->servers[1].asked) == 100 ? 0 : 2;
}

static void test_sim_endpoints_that_die_while_they_are_left_lose_what_they_owe(void)
{
    struct world world = {.connect = "s0:9000", .client_count = 1};

    CU_ASSERT_EQUAL(run(&world, use_owed_by_the_dead), 0);

    CU_ASSERT_EQUAL(world.failures, 1);
    CU_ASSERT_EQUAL(world.last_code, CMDS_E_LOST);
    CU_ASSERT_EQUAL(world.answers + 1, world.sent);
}

static int use_close_in_a_move(struct world *world)
{
    int code = cmds_group_wait(world->group, 1000, NULL);
    code = code < 0 ? code : send_work(world);
    cmds_sim_sleep_ms(100);
    code = code < 0 ? code : set_endpoints(world, "s1:9000", NULL);
    load(world, 500);
    return code;
}

static void test_sim_endpoints_may_be_closed_while_they_are_left(void)
{
    struct world world = {.connect = "s0:9000", .client_count = 1};

    CU_ASSERT_EQUAL(run(&world, use_close_in_a_move), 0);

    CU_ASSERT_EQUAL(world.failures, world.sent);
    CU_ASSERT_EQUAL(world.last_code, CMDS_E_CLOSED);
}

/* --- cmds_group_set_endpoints ----------------------------------------------------------------- */

static int set_endpoints(struct world *world, const char *one, const char *other)
{
    struct cmds_endpoint endpoints[2] = {CMDS_ENDPOINT_INIT(one), CMDS_ENDPOINT_INIT(other)};
    return cmds_group_set_endpoints(world->group, endpoints, other != NULL ? 2 : 1, NULL);
}

static int use_set(struct world *world)
{
    int code = cmds_group_wait(world->group, 1000, NULL);
    if (code < 0 || !is_even(world, "0", 0)) {
        return 1;
    }
    if (set_endpoints(world, "s1:9000", "s2:9000") < 0) {
        return 2;
    }
    if (cmds_group_wait(world->group, 1000, NULL) < 0 || !is_even(world, "12", 15)) {
        return 3;
    }
    if (set_endpoints(world, "nonsense", NULL) != -EINVAL ||
            set_endpoints(world, NULL, NULL) != -EINVAL ||
            cmds_group_set_endpoints(world->group, NULL, 0, NULL) != -EINVAL) {
        return 4;
    }
    return is_even(world, "12", 15) ? 0 : 5;
}

static void test_sim_endpoints_follow_a_list_that_is_set(void)
{
    struct world world = {.connect = "s0:9000"};

    CU_ASSERT_EQUAL(run(&world, use_set), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
}

static void set_in_callback(struct world *world)
{
    static const char *const names[] = {"s1:9000", "s2:9000", "s3:9000"};
    uint32_t ups = atomic_load(&world->ups);
    if (ups < 50) {
        (void)set_endpoints(world, names[ups % 3], names[(ups + 1) % 3]);
    }
}

static int use_set_in_callback(struct world *world)
{
    load(world, 10000);
    return cmds_group_wait(world->group, 10000, NULL);
}

static void test_sim_endpoints_may_be_set_in_a_callback(void)
{
    struct world world = {.connect = "s0:9000", .on_state = set_in_callback};

    CU_ASSERT_EQUAL(run(&world, use_set_in_callback), 0);

    CU_ASSERT_EQUAL(world.failures, 0);
    CU_ASSERT_EQUAL(world.answers, world.sent);
}

static void *set_until_closed(void *context)
{
    static const char *const lists[][2] = {
            {"s1:9000", NULL}, {"s2:9000", "s3:9000"}, {"dns:shop:9000", "s4:9000"}};
    struct world *world = context;
    int code = 0;
    for (uint32_t i = 0; code == 0; i++) {
        code = set_endpoints(world, lists[i % 3][0], lists[i % 3][1]);
        cmds_sim_sleep_ms(i % 7);
    }
    atomic_store(&world->last_code, code);
    return NULL;
}

static int use_set_while_closing(struct world *world)
{
    pthread_t thread;
    struct cmds_group *mine = cmds_group_ref(world->group);
    int code = pthread_create(&thread, NULL, set_until_closed, world);
    load(world, 3000);
    cmds_group_close(world->group, NULL, NULL);
    (void)pthread_join(thread, NULL);
    world->group = NULL;
    cmds_group_unref(mine);
    return code != 0 ? 1 : atomic_load(&world->last_code) == CMDS_E_CLOSED ? 0 : 2;
}

static void test_sim_endpoints_may_be_set_while_the_group_closes(void)
{
    struct world world = {.connect = "s0:9000"};

    CU_ASSERT_EQUAL(run(&world, use_set_while_closing), 0);

    CU_ASSERT_EQUAL(world.answers + world.failures, world.sent);
}

static CU_TestInfo tests[] = {
        {"scale without an error", test_sim_endpoints_scale_without_an_error},
        {"do not notice a dead name service", test_sim_endpoints_do_not_notice_a_dead_name_service},
        {"bear answers that change each time",
                test_sim_endpoints_bear_answers_that_change_each_time},
        {"live with a bad name service", test_sim_endpoints_live_with_a_bad_name_service},
        {"wait for a name that comes late", test_sim_endpoints_wait_for_a_name_that_comes_late},
        {"leave a server that died within seconds",
                test_sim_endpoints_leave_a_server_that_died_within_seconds},
        {"go on without a stranger", test_sim_endpoints_go_on_without_a_stranger},
        {"are down if all are strangers", test_sim_endpoints_are_down_if_all_are_strangers},
        {"outlive a list of strangers", test_sim_endpoints_outlive_a_list_of_strangers},
        {"do without one that cannot be reached",
                test_sim_endpoints_do_without_one_that_cannot_be_reached},
        {"are left when they owe nothing", test_sim_endpoints_are_left_when_they_owe_nothing},
        {"that die while they are left lose what they owe",
                test_sim_endpoints_that_die_while_they_are_left_lose_what_they_owe},
        {"may be closed while they are left", test_sim_endpoints_may_be_closed_while_they_are_left},
        {"follow a list that is set", test_sim_endpoints_follow_a_list_that_is_set},
        {"may be set in a callback", test_sim_endpoints_may_be_set_in_a_callback},
        {"may be set while the group closes", test_sim_endpoints_may_be_set_while_the_group_closes},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_endpoints", tests)
