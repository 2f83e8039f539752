/* SPDX-License-Identifier: MIT */
/*
 * Who is dead, and who only slow, with the options that everybody has, in a simulated world. A server whose
 * cable was pulled could be found late, or never while commands are sent to it; one that does not read for a
 * while, that drains, or whose results we read slowly could be taken for dead; and a thousand clients could
 * all come back in the same moment.
 */
#include <stdatomic.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "support/harness.h"

enum {
    FOUND_MS = 5000,
    HERD = 1000,
    SLOT_MS = 100,
    SLOTS = 200,
};

struct ask {
    int64_t number; // Below 0: it is kept for 10 s.
    struct cmds_string text;
};
struct answer {
    int64_t number;
    bool last;
    struct cmds_string text;
};
CMDS_COMMAND(ask, 0, number, text);
CMDS_RESULT(answer, 0, number, CMDS_LAST(last), text);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("dead", commands, results);

struct scene {
    struct cmds_sim_process *server, *client;
    struct cmds_server_options server_options;
    struct cmds_group_options options;
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    int (*script)(void);
    _Atomic uint32_t answers, errors, ups, falls;
    _Atomic uint64_t fell_ms;
    uint32_t slots[SLOTS]; // Connections that the server accepted, by time since its restart.
    uint64_t restart_ms;
};
static struct scene scene;
static char large[65536];

static uint64_t now_ms(void)
{
    return cmds_sim_now_ns(cmds_sim_current()) / 1000000;
}

static void answer_later(struct cmds_call *call)
{
    (void)cmds_call_send(call, answer_message(&(struct answer){0, true, {"", 0}}));
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    if (ask->number < 0) {
        return cmds_call_after(call, 10000, answer_later);
    }
    return cmds_call_send(call, answer_message(&(struct answer){ask->number, true, {"", 0}}));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static int on_connect(void *receiver, struct cmds_connection *connection)
{
    (void)receiver;
    (void)connection;
    uint64_t slot = (now_ms() - scene.restart_ms) / SLOT_MS;
    if (scene.restart_ms != 0 && slot < SLOTS) {
        scene.slots[slot]++;
    }
    return 0;
}

static int server_main(void *context)
{
    (void)context;
    scene.server_options.listen = "0.0.0.0:9000";
    scene.server_options.on_connect = on_connect;
    return cmds_server_main(&scene.server_options);
}

static void on_answer(void *context, const struct cmds_result *result)
{
    (void)context;
    atomic_fetch_add(result->error == 0 ? &scene.answers : &scene.errors, 1);
}

static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    (void)context;
    (void)client;
    atomic_fetch_add(&scene.ups, state == CMDS_CONNECTION_UP);
    if (state == CMDS_CONNECTION_WAITING && cause->code != CMDS_E_CLOSED) {
        atomic_fetch_add(&scene.falls, 1);
        atomic_store(&scene.fell_ms, now_ms());
    }
}

static int send_one(int64_t number, size_t size)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct ask ask = {number, {large, size}};
    how.deadline_ms = 60000;
    return cmds_group_send(scene.group, ask_message(&ask), &how, on_answer, NULL);
}

static int client_main(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    (void)context;
    int code = cmds_runtime_start(&scene.runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&scene.group, scene.runtime, &scene.options, NULL);
    code = code < 0 ? code : cmds_group_wait(scene.group, 5000, NULL);
    code = code < 0 ? code : scene.script();
    cmds_group_close(scene.group, NULL, NULL);
    cmds_runtime_stop(scene.runtime);
    return code;
}

static void scene_init(void)
{
    scene = (struct scene){.answers = 0};
    scene.server_options = (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    scene.options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&protocol);
    scene.options.connect = "shop:9000";
    scene.options.on_state = on_state;
}

static void scene_run(uint64_t seed, int (*script)(void))
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_program shop = CMDS_SIM_PROGRAM_INIT("shop", server_main);
    struct cmds_sim_program client = CMDS_SIM_PROGRAM_INIT("client", client_main);
    struct cmds_sim *sim = NULL;
    options.seed = seed;
    options.file_count_max = 4096;
    shop.daemon = true;
    scene.script = script;
    CU_ASSERT_FATAL(cmds_sim_open(&sim, &options, NULL) == 0);
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &shop, &scene.server, NULL), 0);
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &client, &scene.client, NULL), 0);
    CU_ASSERT_EQUAL(cmds_sim_run(sim, NULL), 0);
    cmds_sim_close(sim);
}

/* --- Dead --------------------------------------------------------------------------------------- */

static uint32_t dead_pause_ms; // Between two commands; 0: none are sent.
static size_t dead_size;

static int script_dead(void)
{
    cmds_sim_sleep_ms(3700);
    cmds_sim_block(scene.client, scene.server);
    cmds_sim_block(scene.server, scene.client);
    uint64_t since_ms = now_ms();
    while (scene.falls == 0 && now_ms() < since_ms + 60000) {
        if (dead_pause_ms != 0) {
            (void)send_one(1, dead_size);
        }
        cmds_sim_sleep_ms(dead_pause_ms != 0 ? dead_pause_ms : 10);
    }
    uint64_t found_ms = scene.fell_ms - since_ms;
    cmds_sim_heal(cmds_sim_current());
    return scene.falls > 0 && found_ms <= FOUND_MS ? 0 : 1;
}

static void test_dead_is_found_in_time(void)
{
    static const struct {
        uint32_t pause_ms;
        size_t size;
    } loads[] = {{0, 0}, {1000, 10}, {50, 10}, {1, 60000}};
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        for (uint64_t seed = 1; seed <= CMDI_SEEDS(5); seed++) {
            dead_pause_ms = loads[i].pause_ms;
            dead_size = loads[i].size;
            scene_init();
            scene_run(seed, script_dead);
        }
    }
}

/* --- Slow --------------------------------------------------------------------------------------- */

/* The server is at its bound from the first command on, and reads nothing for 10 s, twice. */
static int script_bound(void)
{
    for (int i = 0; i < 500; i++) {
        if (send_one(-1, 1000) < 0) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(30000);
    return scene.falls == 0 && scene.answers == 500 && scene.errors == 0 ? 0 : 2;
}

static void test_slow_a_server_at_its_bound_lives(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(5); seed++) {
        scene_init();
        scene.server_options.in_flight_max = 250;
        scene.options.deadline_ms = 60000;
        scene_run(seed, script_bound);
    }
}

static int script_drain(void)
{
    for (int i = 0; i < 10; i++) {
        if (send_one(-1, 10) < 0) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(100);
    cmds_sim_terminate(scene.server); // It drains for as long as its calls last.
    for (int i = 0; i < 12000 && scene.answers + scene.errors < 10; i++) {
        cmds_sim_sleep_ms(1);
    }
    return scene.answers == 10 ? 0 : 2;
}

static void test_slow_a_server_that_drains_lives(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(5); seed++) {
        scene_init();
        scene_run(seed, script_drain);
    }
}

/* --- A herd --------------------------------------------------------------------------------------- */

static int script_herd(void)
{
    cmds_sim_sleep_ms(3000);
    cmds_sim_kill(scene.server);
    cmds_sim_sleep_ms(2000);
    scene.restart_ms = now_ms();
    cmds_sim_restart(scene.server);
    cmds_sim_sleep_ms(10000);
    return cmds_group_connected(scene.group) == HERD ? 0 : 1;
}

static void test_herd_comes_back_spread(void)
{
    scene_init();
    scene.options.client_count = HERD;
    scene_run(1, script_herd);
    uint32_t all = 0;
    uint32_t used = 0; // Slots until most of them are back: a few stragglers make no mean smaller.
    uint32_t most = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        used += all < HERD / 100 * 95;
        all += scene.slots[i];
        most = scene.slots[i] > most ? scene.slots[i] : most;
    }
    CU_ASSERT_EQUAL(all, HERD);
    CU_ASSERT_TRUE(used >= 1000 / SLOT_MS);
    CU_ASSERT_TRUE(most <= 3 * (HERD / 100 * 95) / used);
}

static CU_TestInfo tests[] = {
        {"dead: is found in time", test_dead_is_found_in_time},
        {"slow: a server at its bound lives", test_slow_a_server_at_its_bound_lives},
        {"slow: a server that drains lives", test_slow_a_server_that_drains_lives},
        {"herd: comes back spread", test_herd_comes_back_spread},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_dead", tests)
