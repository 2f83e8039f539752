/* SPDX-License-Identifier: MIT */
/*
 * Dispatch in a world: what a strategy is told of its connections, and whom it keeps commands from. The
 * time of commands is the world's, so a server is as slow as it was made.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    SERVERS = 4,
    CONNECTIONS = 4,
    DEADLINE_MS = 2000,
    COMMANDS_MAX = 40000,
};

struct ask {
    int64_t number, takes_ms;
};
struct watch {
    int64_t number, takes_ms;
};
struct answer {
    int64_t number;
};
struct item {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number, takes_ms);
CMDS_COMMAND(watch, 1, number, takes_ms); // An item at once, the answer later.
CMDS_RESULT(answer, 0, number);
CMDS_RESULT_NEVER_LAST(item, 1, number);
static const struct cmds_type *const commands[] = {&ask_type, &watch_type};
static const struct cmds_type *const results[] = {&answer_type, &item_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("dispatch", commands, results);

struct server {
    struct cmds_sim_process *process;
    _Atomic uint32_t asked;
    _Atomic bool fails;       // Each command ends its connection.
    _Atomic bool is_unsteady; // It answers every other command too late.
};

struct world {
    int (*use)(struct world *world); // What the test is about. Returns: 0: all was right.
    const struct cmds_dispatch *dispatch;
    const char *connect;
    uint32_t client_count, deadline_ms;
    bool on_shard; // Commands are sent there, not by the main thread.
    struct cmds_sim_process *client;
    struct server servers[SERVERS];
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    _Atomic uint32_t answers, failures, refused;
    _Atomic uint32_t sent;
    _Atomic uint32_t answers_by[CONNECTIONS]; // By connection.
    uint32_t took_us[COMMANDS_MAX];           // Of each that was answered.
};

struct sent {
    struct world *world;
    int64_t takes_ms;
    uint64_t at_ns;
    uint64_t key;
};
static struct sent sents[COMMANDS_MAX];

/* --- Servers ---------------------------------------------------------------------------------- */

static void answer_later(struct cmds_call *call)
{
    struct answer value = {0};
    (void)cmds_call_send(call, answer_message(&value)); // Nobody may wait for it any more.
    cmds_call_unref(call);
}

static int take(struct cmds_call *call, int64_t takes_ms)
{
    struct server *server = cmds_call_receiver(call);
    struct answer value = {0};
    atomic_fetch_add(&server->asked, 1);
    if (atomic_load(&server->fails)) {
        return -EIO;
    }
    if (atomic_load(&server->is_unsteady) && atomic_load(&server->asked) % 2 == 0) {
        takes_ms = 1000;
    }
    if (takes_ms == 0) {
        return cmds_call_send(call, answer_message(&value));
    }
    cmds_call_ref(call);
    int code = cmds_call_after(call, (uint32_t)takes_ms, answer_later);
    if (code < 0) {
        cmds_call_unref(call);
    }
    return code;
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    return take(call, ask->takes_ms);
}

static int on_watch(struct cmds_call *call, const struct watch *watch)
{
    struct item value = {watch->number};
    int code = cmds_call_send(call, item_message(&value));
    return code < 0 ? code : take(call, watch->takes_ms);
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC(watch, on_watch)};

static int server_main(void *context)
{
    struct server *server = context;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *handle = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options own = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.shard_count = 1;
    own.listen = "0.0.0.0:9000";
    own.receiver = server;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    code = code < 0 ? code : cmds_server_start(&handle, runtime, &own, NULL);
    cmds_sim_wait_stop();
    cmds_server_close(handle);
    cmds_runtime_stop(runtime);
    return code;
}

/* --- The client ------------------------------------------------------------------------------- */

static void on_result(void *context, const struct cmds_result *result)
{
    struct world *world = context;
    if (answer_of(result) != NULL) {
        atomic_fetch_add(&world->answers, 1);
    } else if (result->last) {
        atomic_fetch_add(&world->failures, 1);
    }
}

static int client_main(void *context)
{
    struct world *world = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.shard_count = 1;
    group.connect = world->connect;
    group.client_count = world->client_count;
    group.dispatch = world->dispatch;
    group.deadline_ms = world->deadline_ms;
    group.keepalive_ms = CMDS_NEVER; // A server that stands still keeps its connections.
    int code = cmds_runtime_start(&world->runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&world->group, world->runtime, &group, NULL);
    code = code < 0 ? code : cmds_group_wait(world->group, 5000, NULL);
    code = code < 0 ? code : world->use(world);
    cmds_group_close(world->group, NULL, NULL);
    cmds_runtime_stop(world->runtime);
    return code;
}

static const char all_servers[] = "10.0.0.1:9000,10.0.0.2:9000,10.0.0.3:9000,10.0.0.4:9000";

static int run(struct world *world, int (*use)(struct world *world))
{
    static const char *const names[SERVERS] = {"s0", "s1", "s2", "s3"};
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    options.seed = 5;
    options.time_max_ms = 3600 * 1000;
    options.event_count = 20;
    world->use = use;
    world->client_count = world->client_count != 0 ? world->client_count : CONNECTIONS;
    world->deadline_ms = world->deadline_ms != 0 ? world->deadline_ms : DEADLINE_MS;
    world->connect = world->connect != NULL ? world->connect : all_servers;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    for (int i = 0; i < SERVERS; i++) {
        world->servers[i].process = add(sim, names[i], true, server_main, &world->servers[i]);
    }
    world->client = add(sim, "client", false, client_main, world);
    int code = finish(sim, &report, NULL, 0);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
    return code;
}

/* --- What a strategy is told ------------------------------------------------------------------ */

/* It sends where the key says, and remembers what it saw. The group asks from one thread here. */
static struct cmds_candidate seen[CONNECTIONS];

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

static int ask(struct world *world, uint32_t connection, int64_t takes_ms)
{
    struct ask ask = {connection, takes_ms};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = connection;
    int code = cmds_group_send(world->group, ask_message(&ask), &how, on_result, world);
    return code < 0 ? code : cmds_group_drain(world->group, 10000);
}

static int watch(struct world *world, uint32_t connection, int64_t takes_ms)
{
    struct watch watch = {connection, takes_ms};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = connection;
    int code = cmds_group_send(world->group, watch_message(&watch), &how, on_result, world);
    return code < 0 ? code : cmds_group_drain(world->group, 10000);
}

/* A round trip is 0.2 ms and a bit. */
static bool is_about(uint32_t us, uint32_t ms)
{
    return us >= ms * 1000 + 100 && us <= ms * 1000 + 10000;
}

static int use_latency(struct world *world)
{
    if (ask(world, 1, 30) < 0 || ask(world, 1, 0) < 0 || watch(world, 2, 1000) < 0 ||
            ask(world, 3, DEADLINE_MS * 2) < 0 || ask(world, 0, 0) < 0 || ask(world, 0, 0) < 0) {
        return 1;
    }
    /* The longest of late; of a stream, until its first item; of one that failed, its deadline. */
    if (!is_about(seen[0].ewma_us, 0) || !is_about(seen[2].ewma_us, 0) ||
            !is_about(seen[3].ewma_us, DEADLINE_MS)) {
        return 2;
    }
    /* Over two seconds ago. */
    if (seen[1].ewma_us < 22000 || seen[1].ewma_us > 28000) {
        return 3;
    }
    cmds_sim_sleep_ms(60000);
    if (ask(world, 1, 0) < 0 || ask(world, 0, 0) < 0 || !is_about(seen[1].ewma_us, 0)) {
        return 4;
    }
    return seen[0].in_flight == 0 && seen[0].weight == CMDS_WEIGHT ? 0 : 5;
}

static void test_sim_dispatch_tells_how_long_commands_take(void)
{
    static struct world world = {.dispatch = &look, .connect = "10.0.0.1:9000"};

    CU_ASSERT_EQUAL(run(&world, use_latency), 0);

    CU_ASSERT_EQUAL(world.failures, 1);
    CU_ASSERT_EQUAL(world.answers, 7);
}

static int use_burst(struct world *world)
{
    for (uint32_t i = 0; i < 200; i++) {
        struct ask ask = {i, 0};
        if (cmds_group_send(world->group, ask_message(&ask), NULL, on_result, world) < 0) {
            return 1;
        }
    }
    return cmds_group_drain(world->group, 10000);
}

static void test_sim_dispatch_takes_a_burst(void)
{
    static const struct cmds_dispatch *const strategies[] = {
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    for (int i = 0; i < 3; i++) {
        static struct world world;
        memset(&world, 0, sizeof(world));
        world.dispatch = strategies[i];

        CU_ASSERT_EQUAL(run(&world, use_burst), 0);

        CU_ASSERT_EQUAL(world.failures, 0);
        CU_ASSERT_EQUAL(world.answers, 200);
    }
}

/* --- Whom commands are kept from -------------------------------------------------------------- */

static void on_sent_result(void *context, const struct cmds_result *result)
{
    struct sent *sent = context;
    struct world *world = sent->world;
    uint64_t took_ns = cmds_sim_now_ns(cmds_sim_current()) - sent->at_ns;
    if (answer_of(result) != NULL) {
        world->took_us[atomic_fetch_add(&world->answers, 1)] = (uint32_t)(took_ns / 1000);
        atomic_fetch_add(&world->answers_by[result->client % CONNECTIONS], 1);
    } else if (result->last) {
        atomic_fetch_add(&world->failures, 1);
    }
}

static void send_one(void *context)
{
    struct sent *sent = context;
    struct ask ask = {0, sent->takes_ms};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = sent->key;
    sent->at_ns = cmds_sim_now_ns(cmds_sim_current());
    if (cmds_group_send(sent->world->group, ask_message(&ask), &how, on_sent_result, sent) < 0) {
        atomic_fetch_add(&sent->world->refused, 1);
    }
}

/* Returns: 0; a code. */
static int load_one(struct world *world, uint64_t key, int64_t takes_ms)
{
    struct sent *sent = &sents[atomic_fetch_add(&world->sent, 1)];
    *sent = (struct sent){.world = world, .key = key, .takes_ms = takes_ms};
    if (world->on_shard) {
        return cmds_runtime_post(world->runtime, 0, send_one, sent);
    }
    send_one(sent);
    return 0;
}

/* A command every ms. Returns: 0; a code. */
static int load(struct world *world, uint32_t ms)
{
    int code = 0;
    for (uint32_t i = 0; i < ms && code == 0; i++) {
        code = load_one(world, i % 64, 0);
        cmds_sim_sleep_ms(1);
    }
    return code;
}

static int ascending(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* So long the slowest of a hundred takes. */
static uint32_t p99_us(struct world *world)
{
    uint32_t count = atomic_load(&world->answers);
    qsort(world->took_us, count, sizeof(world->took_us[0]), ascending);
    return count > 0 ? world->took_us[count - 1 - count / 100] : 0;
}

static struct world *new_world(const struct cmds_dispatch *dispatch, bool on_shard)
{
    static struct world world;
    memset(&world, 0, sizeof(world));
    world.dispatch = dispatch;
    world.on_shard = on_shard;
    return &world;
}

static uint32_t slow_count; // So many of the servers are farther away.

static int use_load(struct world *world)
{
    for (uint32_t i = 0; i < slow_count; i++) {
        cmds_sim_slow(world->servers[i].process, world->client, 5);
    }
    int code = load(world, 10000);
    return code < 0 ? code : cmds_group_drain(world->group, 5000);
}

static uint32_t run_load(const struct cmds_dispatch *dispatch, bool on_shard, uint32_t slow)
{
    struct world *world = new_world(dispatch, on_shard);
    slow_count = slow;
    CU_ASSERT_EQUAL(run(world, use_load), 0);
    CU_ASSERT_EQUAL(world->failures + world->refused, 0);
    CU_ASSERT_EQUAL(world->answers, world->sent);
    return p99_us(world);
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

static int use_failing(struct world *world)
{
    atomic_store(&world->servers[2].fails, true);
    int code = load(world, 1000);
    uint32_t before = atomic_load(&world->servers[2].asked);
    code = code < 0 ? code : load(world, 10000);
    uint32_t asked = atomic_load(&world->servers[2].asked) - before;
    cmds_sim_note(cmds_sim_current(), "the bad one got %u, %u before", asked, before);
    return code < 0 ? code : asked * 50 <= 10000 ? 0 : 1;
}

static void test_sim_dispatch_a_server_that_fails_fast_gets_next_to_nothing(void)
{
    static const struct cmds_dispatch *const strategies[] = {
            NULL, &cmds_dispatch_round_robin, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    for (int i = 0; i < 8; i++) {
        struct world *world = new_world(strategies[i / 2], i % 2 != 0);

        CU_ASSERT_EQUAL(run(world, use_failing), 0);

        CU_ASSERT_TRUE(world->failures > 0);
        CU_ASSERT_TRUE(world->failures * 50 <= world->sent);
        CU_ASSERT_EQUAL(world->refused, 0);
    }
}

/* Of the endpoint with this index. */
static uint32_t ejected_ms(struct world *world, uint32_t index)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    return cmds_group_endpoint(world->group, index, &state) == 0 ? state.ejected_ms : UINT32_MAX;
}

static int use_stall(struct world *world)
{
    struct server *server = &world->servers[1];
    int code = load(world, 500);
    cmds_sim_stall(server->process, 3000);
    code = code < 0 ? code : load(world, 1000);
    uint32_t failures = atomic_load(&world->failures);
    /* Until the first one has run into its deadline a quarter of them goes there. */
    if (code < 0 || failures < 5 || failures > 110 || ejected_ms(world, 1) == 0 ||
            ejected_ms(world, 1) > 5000 || ejected_ms(world, 0) != 0 || ejected_ms(world, 2) != 0) {
        return 1;
    }
    code = load(world, 3500); // It would answer by now.
    uint32_t asked = atomic_load(&server->asked);
    if (code < 0 || atomic_load(&world->failures) != failures || ejected_ms(world, 1) == 0) {
        return 2;
    }
    code = load(world, 5000);
    if (code < 0 || ejected_ms(world, 1) != 0 || atomic_load(&world->failures) != failures) {
        return 3;
    }
    return atomic_load(&server->asked) - asked > 900 ? 0 : 4; // A quarter, since it is back.
}

static void test_sim_dispatch_an_endpoint_that_does_not_answer_is_out_and_comes_back(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct world *world = new_world(&cmds_dispatch_round_robin, on_shard);
        world->deadline_ms = 300;

        CU_ASSERT_EQUAL(run(world, use_stall), 0);

        CU_ASSERT_EQUAL(world->answers + world->failures, world->sent);
    }
}

static int use_stall_for_long(struct world *world)
{
    struct server *server = &world->servers[1];
    cmds_sim_stall(server->process, 7000);
    int code = load(world, 5200);
    uint32_t failures = atomic_load(&world->failures);
    if (code < 0 || failures < 5) {
        return 1;
    }
    code = load(world, 1200); // One trial, which has run into its deadline.
    if (code < 0 || atomic_load(&world->failures) != failures + 1 || ejected_ms(world, 1) <= 5000) {
        return 2;
    }
    code = load(world, 12000);
    return code == 0 && atomic_load(&world->failures) == failures + 1 && ejected_ms(world, 1) == 0
                   ? 0
                   : 3;
}

static void test_sim_dispatch_a_trial_is_one_command(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct world *world = new_world(&cmds_dispatch_round_robin, on_shard);
        world->deadline_ms = 300;

        CU_ASSERT_EQUAL(run(world, use_stall_for_long), 0);

        CU_ASSERT_EQUAL(world->answers + world->failures, world->sent);
    }
}

static int use_unsteady(struct world *world)
{
    struct server *server = &world->servers[1];
    atomic_store(&server->is_unsteady, true);
    int code = load(world, 2000);
    if (code < 0 || ejected_ms(world, 1) == 0 || ejected_ms(world, 0) != 0) {
        return 1;
    }
    uint32_t failures = atomic_load(&world->failures);
    atomic_store(&server->is_unsteady, false);
    code = load(world, 10000);
    return code == 0 && atomic_load(&world->failures) <= failures + 1 && ejected_ms(world, 1) == 0
                   ? 0
                   : 2;
}

/* Never five in a row. */
static void test_sim_dispatch_an_endpoint_that_fails_far_more_often_is_out(void)
{
    struct world *world = new_world(&cmds_dispatch_round_robin, true);
    world->deadline_ms = 300;

    CU_ASSERT_EQUAL(run(world, use_unsteady), 0);
}

/* All of them stand still: the fault may be ours. */
static int use_all_stall(struct world *world)
{
    int code = load(world, 500);
    for (int i = 0; i < SERVERS; i++) {
        cmds_sim_stall(world->servers[i].process, 2000);
    }
    code = code < 0 ? code : load(world, 1500);
    for (uint32_t i = 0; i < SERVERS; i++) {
        if (ejected_ms(world, i) != 0) {
            return 1;
        }
    }
    uint32_t failures = atomic_load(&world->failures);
    code = code < 0 ? code : load(world, 2000);
    uint32_t before[SERVERS];
    for (uint32_t i = 0; i < SERVERS; i++) {
        before[i] = atomic_load(&world->servers[i].asked);
    }
    code = code < 0 ? code : load(world, 4000);
    for (uint32_t i = 0; i < SERVERS; i++) {
        if (atomic_load(&world->servers[i].asked) - before[i] < 900) {
            return 2;
        }
    }
    return code < 0 ? code : failures > 500 ? 0 : 3;
}

static void test_sim_dispatch_if_all_are_bad_all_are_used(void)
{
    struct world *world = new_world(&cmds_dispatch_round_robin, true);
    world->deadline_ms = 300;

    CU_ASSERT_EQUAL(run(world, use_all_stall), 0);
}

/* --- The default ------------------------------------------------------------------------------ */

static const char *const places[SERVERS] = {
        "10.0.0.1:9000", "10.0.0.2:9000", "10.0.0.3:9000", "10.0.0.4:9000"};

/* The first `count` of the servers, and all connections are there. */
static int set_places(struct world *world, uint32_t count)
{
    struct cmds_endpoint list[SERVERS];
    for (uint32_t i = 0; i < count; i++) {
        list[i] = (struct cmds_endpoint)CMDS_ENDPOINT_INIT(places[i]);
    }
    int code = cmds_group_set_endpoints(world->group, list, count, NULL);
    return code < 0 ? code : cmds_group_wait(world->group, 5000, NULL);
}

/* One connection has a command that takes long. Returns: it got its turns all the same. */
static bool takes_turns(struct world *world)
{
    uint32_t before[CONNECTIONS], most = 0, least = UINT32_MAX;
    for (int i = 0; i < CONNECTIONS; i++) {
        before[i] = atomic_load(&world->answers_by[i]);
    }
    if (load_one(world, 0, 1000) < 0 || load(world, 100) < 0) {
        return false;
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        uint32_t got = atomic_load(&world->answers_by[i]) - before[i];
        most = got > most ? got : most;
        least = got < least ? got : least;
    }
    return cmds_group_drain(world->group, 5000) == 0 && most - least <= 2;
}

static int use_default(struct world *world)
{
    if (!takes_turns(world)) {
        return 1;
    }
    int code = set_places(world, SERVERS);
    cmds_sim_slow(world->servers[0].process, world->client, 5);
    code = code < 0 ? code : load(world, 12000); // All have begun slowly, and are known.
    uint32_t asked = atomic_load(&world->servers[0].asked);
    code = code < 0 ? code : load(world, 1000);
    if (code < 0 || atomic_load(&world->servers[0].asked) - asked > 50 || takes_turns(world)) {
        return 2;
    }
    code = set_places(world, 1);
    return code < 0 ? code : takes_turns(world) ? 0 : 3;
}

static void test_sim_dispatch_the_default_follows_the_endpoints(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct world *world = new_world(NULL, on_shard);
        world->connect = places[0];

        CU_ASSERT_EQUAL(run(world, use_default), 0);

        CU_ASSERT_EQUAL(world->failures + world->refused, 0);
    }
}

/* --- Sticky ----------------------------------------------------------------------------------- */

static uint64_t second_choices(struct world *world)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    return cmds_group_stats(world->group, &counters) == 0 ? counters.second_choices : UINT64_MAX;
}

static int use_sticky(struct world *world)
{
    int code = load(world, 1000);
    if (code < 0 || second_choices(world) != 0) {
        return 1;
    }
    uint32_t before[SERVERS];
    for (uint32_t i = 0; i < SERVERS; i++) {
        before[i] = atomic_load(&world->servers[i].asked);
    }
    for (uint32_t i = 0; i < 500 && code == 0; i++) {
        code = load_one(world, 12345, 0);
        cmds_sim_sleep_ms(1);
    }
    uint32_t homes = 0;
    for (uint32_t i = 0; i < SERVERS; i++) {
        homes += atomic_load(&world->servers[i].asked) != before[i];
    }
    if (code < 0 || homes != 1) {
        return 2;
    }
    cmds_sim_kill(world->servers[3].process);
    code = load(world, 2000);
    return code < 0 ? code : second_choices(world) > 100 ? 0 : 3; // About a quarter of the keys.
}

static void test_sim_dispatch_sticky_counts_second_choices(void)
{
    for (int on_shard = 0; on_shard < 2; on_shard++) {
        struct world *world = new_world(&cmds_dispatch_sticky, on_shard);

        CU_ASSERT_EQUAL(run(world, use_sticky), 0);
    }
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
        {"the default follows the endpoints", test_sim_dispatch_the_default_follows_the_endpoints},
        {"sticky counts second choices", test_sim_dispatch_sticky_counts_second_choices},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_dispatch", test_sim_dispatch)
