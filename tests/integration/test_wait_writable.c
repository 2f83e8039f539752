/* SPDX-License-Identifier: MIT */
/*
 * Threads of the pool that wait for room. Clients that do not read may get all of the pool, a wait may
 * have no end, or what it has asked for may outlive it: then the call does not end either.
 */
#include "support/world.h"

#include <errno.h>

enum {
    WAIT_LONG_MS = 100000, // Longer than any test.
    SLOW_CLIENTS = 8,
    POOL_THREADS = 4,
    QUICK_COMMANDS = 200,
};

/* What a command of the pool does. */
enum {
    WAIT_QUICK,   // It answers.
    WAIT_STREAM,  // Results without end, and a long wait where there is no room.
    WAIT_BRIEFLY, // It gives up.
    WAIT_DRAIN,   // It waits until the server drains, and then for room.
};

struct waits {
    _Atomic uint32_t waiting, refused, ended, wrong;
    _Atomic int32_t code;  // Of the wait that ended last.
    _Atomic int32_t after; // Of the one behind the drain.
};

static char wait_data[8192];

/* Until there is no room, wherever that begins. Returns: -ENOBUFS; another failure. */
static int wait_fill(struct cmds_call *call)
{
    struct item item = {.data = {wait_data, sizeof(wait_data)}};
    int code = 0;
    while (code == 0) {
        code = cmds_call_send(call, item_message(&item));
    }
    return code;
}

static int wait_for_room(struct cmds_call *call, struct waits *waits, uint32_t timeout_ms)
{
    atomic_fetch_add(&waits->waiting, 1);
    int code = cmds_call_wait_writable(call, timeout_ms);
    atomic_fetch_sub(&waits->waiting, 1);
    atomic_store(&waits->code, code);
    return code;
}

static int wait_stream(struct cmds_call *call, struct waits *waits)
{
    int code = wait_fill(call);
    while (code == -ENOBUFS) {
        code = wait_for_room(call, waits, WAIT_LONG_MS);
        if (code == -ENOBUFS) {
            atomic_fetch_add(&waits->refused, 1);
            return CMDS_EXEC_AGAIN; // Without a thread.
        }
        code = code == 0 ? wait_fill(call) : code;
    }
    return code;
}

/* The kernel takes some more of what was sent, then nothing. */
static int wait_briefly(struct cmds_call *call, struct waits *waits)
{
    int code = 0;
    while (code == 0) {
        code = wait_fill(call);
        code = code == -ENOBUFS ? wait_for_room(call, waits, 50) : code;
    }
    // Its question is still there; so it may be asked once more.
    return code == CMDS_E_TIMEOUT ? wait_for_room(call, waits, 1) : code;
}

static int wait_drain(struct cmds_call *call, struct waits *waits)
{
    int code = 0;
    while (code == 0) {
        code = wait_fill(call);
        code = code == -ENOBUFS ? wait_for_room(call, waits, WAIT_LONG_MS) : code;
    }
    if (code != CMDS_E_DRAINING) {
        atomic_fetch_add(&waits->wrong, 1);
        return code;
    }
    do {
        code = cmds_call_wait_writable(call, WAIT_LONG_MS);
        atomic_store(&waits->after, code);
        code = code == 0 ? world_send_item(call, 7, true) : code;
    } while (code == -ENOBUFS);
    return code;
}

static void on_end(struct cmds_call *call)
{
    struct world *world = cmds_call_receiver(call);
    atomic_fetch_add(&((struct waits *)world->context)->ended, 1);
}

static int exec_wait(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct waits *waits = world->context;
    int code = cmds_call_on_end(call, on_end);
    if (cmds_runtime_current_shard(world->runtime) >= 0) { // It is `run`.
        code = cmds_call_wait_writable(call, 1);
        return world_send_item(call, code, true);
    }
    return code < 0                    ? code
           : run->what == WAIT_STREAM  ? wait_stream(call, waits)
           : run->what == WAIT_BRIEFLY ? wait_briefly(call, waits)
           : run->what == WAIT_DRAIN   ? wait_drain(call, waits)
                                       : world_send_item(call, run->number, true);
}

static void wait_init(struct world *world, struct waits *waits)
{
    memset(waits, 0, sizeof(*waits));
    memset(wait_data, 'x', sizeof(wait_data));
    world_init(world);
    world->exec = exec_wait;
    world->context = waits;
    world->options.output_size_max = 65536;
    world->options.slow_reader = CMDS_SLOW_READER_WAIT;
    world->runtime_options.pool_thread_count = POOL_THREADS;
}

static bool wait_ask(struct raw *raw, uint64_t sequence, int64_t what)
{
    return raw_send(raw, sequence, pool_message(&(struct pool){what, (int64_t)sequence, {0}}));
}

static void test_clients_that_do_not_read_leave_a_thread_to_others(void)
{
    struct world world;
    struct waits waits;
    struct raw slow[SLOW_CLIENTS], quick;
    uint64_t sequence = 0;
    bool last = false;
    wait_init(&world, &waits);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &quick));
    for (uint32_t i = 0; i < SLOW_CLIENTS; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &slow[i]));
        CU_ASSERT_FATAL(wait_ask(&slow[i], 1, WAIT_STREAM));
    }

    for (uint64_t i = 1; i <= QUICK_COMMANDS; i++) { // While they fill, and when they wait.
        if (i == QUICK_COMMANDS / 2) {
            WORLD_UNTIL(&world, atomic_load(&waits.waiting) == POOL_THREADS - 1 &&
                                        atomic_load(&waits.refused) > 0);
        }
        CU_ASSERT_FATAL(wait_ask(&quick, i, WAIT_QUICK));
        CU_ASSERT_FATAL(world_read_item(&quick, &sequence, &last) == (int64_t)i);
    }
    CU_ASSERT(atomic_load(&waits.waiting) >= POOL_THREADS - 1);

    raw_abort(&slow[0]); // Whoever leaves gives its thread back.
    raw_abort(&slow[1]);
    CU_ASSERT_FATAL(wait_ask(&quick, QUICK_COMMANDS + 1, WAIT_QUICK));
    CU_ASSERT_EQUAL(world_read_item(&quick, &sequence, &last), QUICK_COMMANDS + 1);
    world_end_server(&world); // It waits for the pool: those that wait there learn it.
    CU_ASSERT_EQUAL(atomic_load(&waits.waiting), 0);
    CU_ASSERT_EQUAL(atomic_load(&waits.ended), QUICK_COMMANDS + 1 + SLOW_CLIENTS);
    for (uint32_t i = 2; i < SLOW_CLIENTS; i++) {
        raw_close(&slow[i]);
    }
    raw_close(&quick);
    world_stop(&world);
}

static void test_a_wait_ends_by_its_time_and_leaves_nothing(void)
{
    struct world world;
    struct waits waits;
    struct raw slow, other;
    wait_init(&world, &waits);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &slow));
    CU_ASSERT_FATAL(world_connect(&world, &other));

    CU_ASSERT_FATAL(wait_ask(&slow, 1, WAIT_BRIEFLY));
    WORLD_UNTIL(&world, atomic_load(&waits.ended) == 1); // Although there is no room.
    CU_ASSERT_EQUAL(atomic_load(&waits.code), CMDS_E_TIMEOUT);
    // And that is no reason to close.
    CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), 2);
    CU_ASSERT(world_echoes(&other, 1));

    raw_close(&slow);
    raw_close(&other);
    world_stop(&world);
}

static void *shut_down(void *argument)
{
    struct world *world = argument;
    int *code = malloc(sizeof(*code));
    if (code != NULL) {
        *code = cmds_server_shutdown(world->server, WAIT_LONG_MS);
    }
    return code;
}

static void test_a_drain_ends_a_wait_once(void)
{
    struct world world;
    struct waits waits;
    struct raw raw;
    pthread_t thread;
    void *drained = NULL;
    wait_init(&world, &waits);
    atomic_store(&waits.after, 1);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT_FATAL(wait_ask(&raw, 1, WAIT_DRAIN));
    WORLD_UNTIL(&world, atomic_load(&waits.waiting) == 1);
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, shut_down, &world) == 0);
    WORLD_UNTIL(&world, atomic_load(&waits.code) == CMDS_E_DRAINING);
    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF); // We read.
    (void)pthread_join(thread, &drained);

    CU_ASSERT_PTR_NOT_NULL_FATAL(drained);
    CU_ASSERT_EQUAL(*(int *)drained, 0);
    CU_ASSERT_EQUAL(atomic_load(&waits.after), 0); // The wait behind it was for room.
    CU_ASSERT_EQUAL(atomic_load(&waits.wrong), 0);
    CU_ASSERT_EQUAL(atomic_load(&waits.ended), 1);
    free(drained);
    raw_close(&raw);
    world_stop(&world);
}

static void test_only_a_thread_of_the_pool_waits(void)
{
    struct world world;
    struct waits waits;
    struct raw raw;
    uint64_t sequence = 0;
    bool last = false;
    wait_init(&world, &waits);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT_EQUAL(cmds_call_wait_writable(NULL, 1), -EINVAL);
    CU_ASSERT_FATAL(raw_send(&raw, 1, run_message(&(struct run){0})));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), -EXDEV);

    raw_close(&raw);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"clients that do not read leave a thread to others",
                test_clients_that_do_not_read_leave_a_thread_to_others},
        {"a wait ends by its time and leaves nothing",
                test_a_wait_ends_by_its_time_and_leaves_nothing},
        {"a drain ends a wait once", test_a_drain_ends_a_wait_once},
        {"only a thread of the pool waits", test_only_a_thread_of_the_pool_waits},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("wait_writable", tests)
