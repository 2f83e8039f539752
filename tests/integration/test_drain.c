/* SPDX-License-Identifier: MIT */
/*
 * What may go wrong when a server drains under load: a command is executed and its result never
 * arrives (cut by a reset, left in a buffer), a connection never ends because its client goes on
 * sending, calls that answer later are forgotten.
 */
#include <errno.h>

#include "support/world.h"

enum {
    CLIENTS = 4,
    IN_FLIGHT = 64,
    BEFORE_DRAIN = 5000,
};

struct flood {
    struct world world;
    struct cmds_group *group;
    bool later; // Answered by a timer, after the exec function has returned.
    _Atomic uint64_t good, lost, not_sent, other;
    _Atomic uint32_t over; // The first failure has come: no more is sent.
};

static void flood_answer_later(struct cmds_call *call)
{
    (void)world_send_item(call, 0, true);
    cmds_call_unref(call);
}

static int flood_exec(struct cmds_call *call, const struct run *run)
{
    (void)run;
    const struct world *world = cmds_call_receiver(call);
    const struct flood *flood = world->context;
    if (!flood->later) {
        return world_send_item(call, 0, true);
    }
    return cmds_call_after(cmds_call_ref(call), 5, flood_answer_later);
}

static void flood_send(struct flood *flood);

static void flood_on_result(void *context, const struct cmds_result *result)
{
    struct flood *flood = context;
    if (item_of(result) != NULL) {
        atomic_fetch_add(&flood->good, 1);
        flood_send(flood);
        return;
    }
    atomic_store(&flood->over, 1);
    atomic_fetch_add(result->error == CMDS_E_LOST       ? &flood->lost
                     : result->error == CMDS_E_NOT_SENT ? &flood->not_sent
                                                        : &flood->other,
            1);
}

static void flood_send(struct flood *flood)
{
    static const struct run run = {.text = CMDS_STRING("some text so that buffers fill")};
    if (atomic_load(&flood->over) == 0) {
        /* A refusal is no loss: the group said so at once. */
        (void)cmds_group_send(flood->group, run_message(&run), NULL, flood_on_result, flood);
    }
}

static void flood_begin(void *context)
{
    for (uint32_t i = 0; i < CLIENTS / 2 * IN_FLIGHT; i++) {
        flood_send(context);
    }
}

/* The client's own runtime, so that nothing but the sockets connects the two. */
static void flood_drain(bool later)
{
    struct flood *flood = calloc(1, sizeof(*flood));
    CU_ASSERT_FATAL(flood != NULL);
    struct world *world = &flood->world;
    flood->later = later;
    world_init(world);
    world->exec = flood_exec;
    world->context = flood;
    CU_ASSERT_FATAL(world_start(world) == 0);
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = 2;
    CU_ASSERT_FATAL(cmds_runtime_start(&runtime, &runtime_options, NULL) == 0);
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    options.reconnect_delay_ms = CMDS_NEVER;
    options.connect = world->address;
    options.client_count = CLIENTS;
    options.deadline_ms = CMDS_NEVER;
    CU_ASSERT_FATAL(cmds_group_open(&flood->group, runtime, &options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(flood->group, RAW_GUARD_MS, NULL) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_FATAL(cmds_runtime_post(runtime, i, flood_begin, flood) == 0);
    }
    WORLD_UNTIL(world, atomic_load(&flood->good) >= BEFORE_DRAIN);

    CU_ASSERT_EQUAL(cmds_server_shutdown(world->server, RAW_GUARD_MS), 0);

    CU_ASSERT_EQUAL(cmds_server_connection_count(world->server), 0);
    WORLD_UNTIL(world, cmds_group_done(flood->group));
    WORLD_UNTIL(world, cmds_group_pending(flood->group) == 0);
    // Not one is missing.
    CU_ASSERT_EQUAL(atomic_load(&flood->good), atomic_load(&world->executed));
    CU_ASSERT_EQUAL(world_stats(world).commands_received, world_stats(world).results_sent);
    CU_ASSERT_EQUAL(atomic_load(&flood->other), 0);
    struct raw raw;
    CU_ASSERT_NOT_EQUAL(raw_open(&raw, world->address, 0, NULL), 0); // And nobody listens.
    cmds_group_close(flood->group, NULL, NULL);
    cmds_runtime_stop(runtime);
    world_stop(world);
    free(flood);
}

static void test_drain_under_load_loses_no_result(void)
{
    flood_drain(false);
}

static void test_drain_waits_for_answers_that_come_later(void)
{
    flood_drain(true);
}

static _Atomic(struct cmds_call *) stuck_call;

static int stuck_exec(struct cmds_call *call, const struct run *run)
{
    (void)run;
    atomic_store(&stuck_call, cmds_call_ref(call));
    return 0;
}

static void test_drain_ends_at_its_deadline(void)
{
    struct world world;
    struct raw raw;
    struct raw_frame frame;
    world_init(&world);
    world.exec = stuck_exec;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    CU_ASSERT(raw_write_hex(&raw, "010104930000a0")); // run{0, 0, ""}
    WORLD_UNTIL(&world, atomic_load(&stuck_call) != NULL);

    CU_ASSERT_EQUAL(cmds_server_shutdown(world.server, 50), CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), 1);
    struct cmds_call *call = atomic_exchange(&stuck_call, NULL);
    CU_ASSERT_EQUAL(world_send_item(call, 7, true), 0); // It is still waited for.
    cmds_call_unref(call);
    CU_ASSERT_EQUAL(cmds_server_shutdown(world.server, RAW_GUARD_MS), 0);

    CU_ASSERT_EQUAL(raw_read(&raw, &frame), RAW_FRAME);
    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);
    raw_close(&raw);
    world_stop(&world);
}

static void test_drain_a_call_that_outlives_its_server_is_gone(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.exec = stuck_exec;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    CU_ASSERT(raw_write_hex(&raw, "010104930000a0"));
    WORLD_UNTIL(&world, atomic_load(&stuck_call) != NULL);
    struct cmds_call *call = atomic_exchange(&stuck_call, NULL);

    cmds_server_close(world.server);
    world.server = NULL;
    CU_ASSERT(cmds_call_is_cancelled(call));
    CU_ASSERT_EQUAL(world_send_item(call, 7, true), CMDS_E_GONE);
    world_stop(&world); // The runtime too.
    CU_ASSERT_EQUAL(world_send_item(call, 7, true), CMDS_E_GONE);
    cmds_call_fail(call, -EIO, "nobody hears it");
    cmds_call_unref(call);
    raw_close(&raw);
}

CU_TestInfo test_drain[] = {
        {"under load loses no result", test_drain_under_load_loses_no_result},
        {"waits for answers that come later", test_drain_waits_for_answers_that_come_later},
        {"ends at its deadline", test_drain_ends_at_its_deadline},
        {"a call that outlives its server is gone",
                test_drain_a_call_that_outlives_its_server_is_gone},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("drain", test_drain)
