/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand connections, listed while their shards work. What may go wrong beside what the simulated
 * world shows (tests/unit/test_sim_inspect.c): a thread that reads what a shard writes, a turn that has
 * to show them all, a runtime without threads, a forked child.
 */
#include <cmdstream/inspect.h>

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/world.h"

enum {
    MANY = 10000,
    LISTS = 20,
    PER_TURN = 128, // As inspect.h says.
    SHARDS = 2,
    JOBS = 16,
    ITEMS = 20,
    LISTERS = 3,
};

struct asked {
    struct cmds_runtime *runtime;
    const struct world *world;
    uint32_t shard;
    int code;
};

struct load {
    struct world *world;
    _Atomic uint32_t stop;
    uint64_t echoes;
};

static void *load_main(void *context)
{
    struct load *load = context;
    struct raw raw;
    CU_ASSERT(world_connect(load->world, &raw));
    while (atomic_load(&load->stop) == 0) {
        load->echoes += world_echoes(&raw, load->echoes + 1);
    }
    raw_close(&raw);
    return NULL;
}

static uint64_t turns(const struct world *world)
{
    return world_stats(world).turns;
}

/* All of them and the load's, each once, some in a turn. */
static void list_all(const struct world *world, struct cmds_listed_connection *list, uint32_t count)
{
    size_t found = 0;
    uint32_t by_shard[SHARDS] = {0};
    uint64_t before = 0;
    WORLD_ASKED((before = turns(world),
            cmds_runtime_connections(world->runtime, list, count + 1, &found)));
    uint64_t took = turns(world) - before;
    CU_ASSERT_EQUAL_FATAL(found, count + 1);
    for (uint32_t i = 0; i < found; i++) {
        CU_ASSERT_FATAL(list[i].shard < SHARDS && list[i].stage == CMDS_STAGE_OPEN);
        CU_ASSERT(i == 0 || list[i].shard > list[i - 1].shard || list[i].id > list[i - 1].id);
        by_shard[list[i].shard]++;
    }
    CU_ASSERT(took >= by_shard[0] / PER_TURN + by_shard[1] / PER_TURN);
}

static void test_inspect_lists_ten_thousand_while_the_shards_work(void)
{
    uint32_t count = world_fit_connections(MANY);
    struct world world;
    struct load load = {.world = &world};
    pthread_t thread;
    world_init(&world);
    world.options.connection_count_max = MANY + 1;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct raw *raws = calloc(count, sizeof(*raws));
    struct cmds_listed_connection *list = calloc(count + 1, sizeof(*list));
    CU_ASSERT_FATAL(raws != NULL && list != NULL && count > 0);
    list[0].struct_size = sizeof(*list);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raws[i]));
    }
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, load_main, &load), 0);
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == count + 1);
    WORLD_UNTIL(&world, atomic_load(&world.connected) == count + 1);

    for (uint32_t i = 0; i < LISTS; i++) {
        list_all(&world, list, count);
    }
    atomic_store(&load.stop, 1);
    (void)pthread_join(thread, NULL);
    CU_ASSERT(load.echoes > 0);
    for (uint32_t i = 0; i < count; i++) {
        raw_close(&raws[i]);
    }
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    free(list);
    free(raws);
    world_stop(&world);
}

/* --- Calls, of which other threads know ------------------------------------------------------- */

/* On a worker, once the test lets it: results, one after the other. */
static int exec_items(struct cmds_call *call, const struct run *run)
{
    const struct world *world = cmds_call_receiver(call);
    _Atomic uint32_t *is_open = world->context;
    while (atomic_load(is_open) == 0) {
        raw_pause(NULL);
    }
    for (int64_t i = 0; i < run->number; i++) {
        (void)world_send_item(call, i, false);
        (void)sched_yield();
    }
    return world_send_item(call, run->number, true);
}

/* Returns: how many there were, each of which looks as it should. */
static size_t list_jobs(const struct world *world)
{
    struct cmds_listed_call list[JOBS] = {CMDS_LISTED_CALL_INIT};
    size_t count = 0;
    WORLD_ASKED(cmds_runtime_calls(world->runtime, list, JOBS, &count));
    CU_ASSERT_FATAL(count <= JOBS);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(list[i].stage == CMDS_CALL_POOL || list[i].stage == CMDS_CALL_KEPT);
        CU_ASSERT(
                list[i].sequence >= 1 && list[i].sequence <= JOBS && list[i].results <= ITEMS + 1);
        CU_ASSERT(strcmp(list[i].type, "pool") == 0 && !list[i].cancelled);
        CU_ASSERT(i == 0 || list[i].received_ns >= list[i - 1].received_ns);
    }
    return count;
}

static void test_inspect_lists_calls_while_other_threads_answer_them(void)
{
    struct world world;
    struct raw raw;
    _Atomic uint32_t is_open = 0;
    world_init(&world);
    world.exec = exec_items;
    world.context = &is_open;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint64_t i = 1; i <= JOBS; i++) {
        struct pool pool = {.number = ITEMS};
        CU_ASSERT(raw_send(&raw, i, pool_message(&pool)));
    }
    WORLD_UNTIL(&world, list_jobs(&world) == JOBS);
    atomic_store(&is_open, 1);
    for (uint32_t over = 0; over < JOBS;) {
        uint64_t sequence = 0;
        bool last = false;
        CU_ASSERT_FATAL(world_read_item(&raw, &sequence, &last) >= 0);
        (void)list_jobs(&world);
        over += last;
    }
    WORLD_UNTIL(&world, list_jobs(&world) == 0);
    raw_close(&raw);
    world_stop(&world);
}

/* --- A shard that is held up ------------------------------------------------------------------ */

struct gate {
    _Atomic uint32_t entered, is_open;
};

/* On the shard, which does nothing else until the test lets it. */
static int exec_hold(struct cmds_call *call, const struct run *run)
{
    const struct world *world = cmds_call_receiver(call);
    struct gate *gate = world->context;
    atomic_fetch_add(&gate->entered, 1);
    while (atomic_load(&gate->is_open) == 0) {
        raw_pause(NULL);
    }
    return world_send_item(call, run->number, true);
}

/* Returns: that list says so, and what it has is of the others. */
static bool is_given_up(const struct world *world, uint32_t held)
{
    struct cmds_listed_connection list[JOBS] = {CMDS_LISTED_CONNECTION_INIT};
    size_t count = SIZE_MAX;
    int code = cmds_runtime_connections(world->runtime, list, JOBS, &count);
    bool is_others = count < JOBS;
    for (size_t i = 0; is_others && i < count; i++) {
        is_others = list[i].shard != held;
    }
    return code == CMDS_E_TIMEOUT && is_others;
}

static void *list_main(void *context)
{
    struct asked *asked = context;
    asked->code = is_given_up(asked->world, asked->shard) ? 0 : -1;
    return NULL;
}

static uint32_t shard_that_runs(const struct world *world, const char *type)
{
    struct cmds_listed_shard list[SHARDS] = {CMDS_LISTED_SHARD_INIT};
    size_t count = 0;
    WORLD_ASKED(cmds_runtime_shards(world->runtime, list, SHARDS, &count));
    CU_ASSERT_EQUAL(count, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) {
        if (strcmp(list[i].type, type) == 0 && list[i].turn_us > 0) {
            return i;
        }
    }
    CU_FAIL_FATAL("no shard says what holds it up");
    return SHARDS;
}

static void list_at_once(struct world *world, uint32_t held)
{
    struct asked asked[LISTERS];
    pthread_t threads[LISTERS];
    for (uint32_t i = 0; i < LISTERS; i++) {
        asked[i] = (struct asked){.world = world, .shard = held};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, list_main, &asked[i]), 0);
    }
    for (uint32_t i = 0; i < LISTERS; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(asked[i].code, 0);
    }
}

static void test_inspect_does_not_wait_for_a_shard_that_is_held_up(void)
{
    struct world world;
    struct raw raws[JOBS];
    struct gate gate = {0, 0};
    size_t count = 0;
    world_init(&world);
    world.exec = exec_hold;
    world.context = &gate;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    for (uint32_t i = 0; i < JOBS; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raws[i]));
    }
    WORLD_UNTIL(&world, atomic_load(&world.connected) == JOBS);
    struct run run = {.number = 1};
    CU_ASSERT(raw_send(&raws[0], 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&gate.entered) == 1);

    uint32_t held = shard_that_runs(&world, "run");
    CU_ASSERT(is_given_up(&world, held));
    list_at_once(&world, held);
    CU_ASSERT_EQUAL(cmds_runtime_calls(world.runtime, NULL, 0, &count), CMDS_E_TIMEOUT);
    atomic_store(&gate.is_open, 1);
    uint64_t sequence = 0;
    bool last = false;
    CU_ASSERT(world_read_item(&raws[0], &sequence, &last) == 1 && last);
    WORLD_UNTIL(&world, cmds_runtime_connections(world.runtime, NULL, 0, &count) == 0);
    CU_ASSERT_EQUAL(count, JOBS);
    for (uint32_t i = 0; i < JOBS; i++) {
        raw_close(&raws[i]);
    }
    world_stop(&world);
}

/* --- Without threads -------------------------------------------------------------------------- */

static void *ask_main(void *context)
{
    struct asked *asked = context;
    size_t count = 0;
    asked->code = cmds_runtime_connections(asked->runtime, NULL, 0, &count);
    return NULL;
}

static int ask_elsewhere(struct cmds_runtime *runtime)
{
    struct asked asked = {.runtime = runtime};
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ask_main, &asked), 0);
    (void)pthread_join(thread, NULL);
    return asked.code;
}

static void test_inspect_is_read_directly_by_the_thread_that_turns(void)
{
    struct cmds_listed_connection list[3] = {CMDS_LISTED_CONNECTION_INIT};
    struct cmds_listed_call calls[1] = {CMDS_LISTED_CALL_INIT};
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct world world;
    struct raw raws[2];
    size_t count = 0;
    options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &options, NULL), 0);
    CU_ASSERT_EQUAL(ask_elsewhere(runtime), -EXDEV); // Nor does it become the one that turns.
    CU_ASSERT(cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT) >= 0);
    cmds_runtime_stop(runtime);

    world_init(&world);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT(world_connect(&world, &raws[0]) && world_connect(&world, &raws[1]));
    WORLD_UNTIL(&world, atomic_load(&world.connected) == 2);
    CU_ASSERT_EQUAL(cmds_runtime_connections(world.runtime, list, 3, &count), 0);
    CU_ASSERT(count == 2 && list[0].id < list[1].id && list[1].stage == CMDS_STAGE_OPEN);
    CU_ASSERT(list[1].struct_size == sizeof(list[0]) && list[2].struct_size == 0);
    CU_ASSERT_EQUAL(cmds_runtime_calls(world.runtime, calls, 1, &count), 0);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_EQUAL(ask_elsewhere(world.runtime), -EXDEV);
    raw_close(&raws[0]);
    raw_close(&raws[1]);
    world_stop(&world);
}

static void test_inspect_is_not_for_a_forked_child(void)
{
    struct world world;
    size_t count = 0;
    int status = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    pid_t pid = fork();
    if (pid == 0) {
        bool is_refused =
                cmds_runtime_connections(world.runtime, NULL, 0, &count) == CMDS_E_FORKED &&
                cmds_runtime_calls(world.runtime, NULL, 0, &count) == CMDS_E_FORKED;
        _exit(is_refused ? 0 : 1);
    }
    CU_ASSERT(pid > 0 && waitpid(pid, &status, 0) == pid);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world_stop(&world);
}

CU_TestInfo test_inspect[] = {
        {"lists ten thousand while the shards work",
                test_inspect_lists_ten_thousand_while_the_shards_work},
        {"lists calls while other threads answer them",
                test_inspect_lists_calls_while_other_threads_answer_them},
        {"does not wait for a shard that is held up",
                test_inspect_does_not_wait_for_a_shard_that_is_held_up},
        {"is read directly by the thread that turns",
                test_inspect_is_read_directly_by_the_thread_that_turns},
        {"is not for a forked child", test_inspect_is_not_for_a_forked_child},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("inspect", test_inspect)
