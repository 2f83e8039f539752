/* SPDX-License-Identifier: MIT */
/*
 * A server closes each of its connections, also while one that has closed already waits for a
 * message of another thread.
 */
#include "server/server.h"
#include "support/world.h"

enum {
    IDLE_MS = 10000, // Would close a connection that nobody told.
};

static void *answer(void *context)
{
    (void)world_send_item(context, 1, false);
    return NULL;
}

/*
 * Waits until the listener has closed and the server has told the shard to close the connections;
 * then another thread sends, and the connection ends in the same turn: what tells the shard of the
 * result is behind what tells it to close.
 */
static int exec_close(struct cmds_call *call, const struct run *run)
{
    const struct world *world = cmds_call_receiver(call);
    pthread_t thread;
    (void)run;
    if (atomic_load(&world->server->acceptors[0].closed) == 0) {
        return CMDS_EXEC_AGAIN;
    }
    while (atomic_load(&world->runtime->shards[0]->mailbox) == NULL) {
        raw_pause(NULL);
    }
    if (pthread_create(&thread, NULL, answer, call) == 0) {
        (void)pthread_join(thread, NULL);
    }
    cmds_connection_close(cmds_call_connection(call));
    return 0;
}

static void check_told(void (*end)(struct world *world))
{
    struct world world;
    struct raw first;
    struct raw second;
    struct run run = {0};
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.options.idle_timeout_ms = IDLE_MS;
    world.exec = exec_close;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &first) && world_connect(&world, &second));

    CU_ASSERT_FATAL(raw_send(&first, 1, run_message(&run)));
    raw_close(&first); // So nothing of it is in flight when the function has returned.
    WORLD_UNTIL(&world, atomic_load(&world.executed) > 0);
    end(&world);

    CU_ASSERT_EQUAL(atomic_load(&world.disconnected), 2);
    CU_ASSERT_EQUAL(world_stats(&world).idle_closes, 0);
    raw_close(&second);
    world_stop(&world);
}

static void end_by_close(struct world *world)
{
    cmds_server_close(world->server); // The function looks at it until it is gone.
    world->server = NULL;
}

static void end_by_drain(struct world *world)
{
    (void)cmds_server_shutdown(world->server, RAW_GUARD_MS);
}

static void test_close_rest_closes_all(void)
{
    check_told(end_by_close);
}

static void test_close_rest_drains_all(void)
{
    check_told(end_by_drain);
}

static CU_TestInfo tests[] = {
        {"close: those behind one that waits for mail", test_close_rest_closes_all},
        {"drain: those behind one that waits for mail", test_close_rest_drains_all},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("close_rest", tests)
