/* SPDX-License-Identifier: MIT */
/*
 * Dispatch in a world: what a strategy is told of its connections, and whom it keeps commands from. The
 * time of commands is the world's, so a server is as slow as it was made.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    SERVERS = 4,
    CONNECTIONS = 4,
    DEADLINE_MS = 2000,
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
};

struct world {
    int (*use)(struct world *world); // What the test is about. Returns: 0: all was right.
    const struct cmds_dispatch *dispatch;
    uint32_t client_count;
    struct server servers[SERVERS];
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    _Atomic uint32_t answers, failures;
};

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
    group.connect = "10.0.0.1:9000";
    group.client_count = world->client_count;
    group.dispatch = world->dispatch;
    group.deadline_ms = DEADLINE_MS;
    int code = cmds_runtime_start(&world->runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&world->group, world->runtime, &group, NULL);
    code = code < 0 ? code : cmds_group_wait(world->group, 5000, NULL);
    code = code < 0 ? code : world->use(world);
    cmds_group_close(world->group, NULL, NULL);
    cmds_runtime_stop(world->runtime);
    return code;
}

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
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    for (int i = 0; i < SERVERS; i++) {
        world->servers[i].process = add(sim, names[i], true, server_main, &world->servers[i]);
    }
    (void)add(sim, "client", false, client_main, world);
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
    struct world world = {.dispatch = &look};

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
        struct world world = {.dispatch = strategies[i]};

        CU_ASSERT_EQUAL(run(&world, use_burst), 0);

        CU_ASSERT_EQUAL(world.failures, 0);
        CU_ASSERT_EQUAL(world.answers, 200);
    }
}

static CU_TestInfo test_sim_dispatch[] = {
        {"a strategy is told how long commands take",
                test_sim_dispatch_tells_how_long_commands_take},
        {"each strategy takes a burst from another thread", test_sim_dispatch_takes_a_burst},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_dispatch", test_sim_dispatch)
