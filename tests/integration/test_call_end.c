/* SPDX-License-Identifier: MIT */
/*
 * Ends of calls in a server with threads: each call has one, on its shard, whoever lets go of it, and
 * whatever becomes of its client and of the server meanwhile.
 */
#include "support/world.h"

#include <errno.h>

enum {
    ENDS_MAX = 512,
    LET_GO_THREADS = 3,
};

/* What a call does. */
enum {
    ENDS_ANSWER,
    ENDS_AGAIN,
    ENDS_KEEP,
    ENDS_FAIL,
    ENDS_FORGET,
    ENDS_KINDS,
};

struct ends {
    _Atomic uint32_t begun, ended; // Calls.
    _Atomic uint32_t twice;        // Or without a beginning.
    _Atomic uint32_t wrong;        // On another thread than the call's shard.
    _Atomic uint32_t kept_count;
    struct cmds_call *_Atomic kept[ENDS_MAX];
    _Atomic uint32_t taken; // Of those, by threads that let go of them.
    _Atomic bool is_over;
};

/* The context of a call: from its function to its end. */
struct life {
    struct ends *ends;
    int shard;
};

static void on_end(struct cmds_call *call)
{
    struct world *world = cmds_call_receiver(call);
    struct ends *ends = world->context;
    struct life *life = cmds_call_context(call);
    cmds_call_set_context(call, NULL);
    if (life == NULL || life->ends != ends) {
        atomic_fetch_add(&ends->twice, 1);
        return;
    }
    if (world->server != NULL && life->shard >= 0 &&
            cmds_runtime_current_shard(world->runtime) != life->shard) {
        atomic_fetch_add(&ends->wrong, 1);
    }
    free(life); // For the address sanitizer: who comes later uses what is gone.
    atomic_fetch_add(&ends->ended, 1);
}

static int exec_ends(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct ends *ends = world->context;
    if (cmds_call_round(call) == 0) {
        struct life *life = malloc(sizeof(*life));
        if (life == NULL) {
            return -ENOMEM;
        }
        *life = (struct life){ends, cmds_runtime_current_shard(world->runtime)};
        cmds_call_set_context(call, life);
        int code = cmds_call_on_end(call, on_end);
        if (code < 0) {
            return code;
        }
        atomic_fetch_add(&ends->begun, 1);
    }
    switch (run->what) {
    case ENDS_AGAIN:
        return cmds_call_round(call) < 3 ? CMDS_EXEC_AGAIN : world_send_item(call, 1, true);
    case ENDS_KEEP: {
        uint32_t index = atomic_fetch_add(&ends->kept_count, 1);
        atomic_store(&ends->kept[index], cmds_call_ref(call));
        return 0;
    }
    case ENDS_FAIL:
        return CMDS_E_LIMIT;
    case ENDS_FORGET:
        return 0;
    default:
        return world_send_item(call, 1, true);
    }
}

static void ends_start(struct world *world, struct ends *ends, struct raw *raw)
{
    memset(ends, 0, sizeof(*ends));
    world_init(world);
    world->exec = exec_ends;
    world->context = ends;
    CU_ASSERT_FATAL(world_start(world) == 0 && world_connect(world, raw));
}

/* One of each kind, on the shard and in the pool. */
static void ends_send(struct raw *raw, uint32_t rounds)
{
    uint64_t sequence = 1;
    for (uint32_t i = 0; i < rounds; i++) {
        for (int64_t what = 0; what < ENDS_KINDS; what++) {
            CU_ASSERT_FATAL(raw_send(raw, sequence++, run_message(&(struct run){.what = what})));
            CU_ASSERT_FATAL(raw_send(raw, sequence++, pool_message(&(struct pool){.what = what})));
        }
    }
}

static void ends_check(const struct ends *ends, uint32_t begun)
{
    CU_ASSERT_EQUAL(atomic_load(&ends->begun), begun);
    CU_ASSERT_EQUAL(atomic_load(&ends->ended), begun);
    CU_ASSERT_EQUAL(atomic_load(&ends->twice), 0);
    CU_ASSERT_EQUAL(atomic_load(&ends->wrong), 0);
}

static void ends_let_go(struct ends *ends)
{
    uint32_t index = atomic_fetch_add(&ends->taken, 1);
    struct cmds_call *call = NULL;
    if (index < ENDS_MAX) {
        while ((call = atomic_load(&ends->kept[index])) == NULL && !atomic_load(&ends->is_over)) {
            raw_pause(NULL);
        }
        if (call != NULL) {
            (void)world_send_item(call, 1, true);
            cmds_call_unref(call);
        }
    }
}

static void *ends_thread(void *argument)
{
    struct ends *ends = argument;
    while (!atomic_load(&ends->is_over)) {
        ends_let_go(ends);
    }
    return NULL;
}

enum {
    ROUNDS = 20
};

static void test_each_call_has_one_end_on_its_shard(void)
{
    struct world world;
    struct raw raw;
    struct ends ends;
    pthread_t threads[LET_GO_THREADS];
    ends_start(&world, &ends, &raw);
    for (uint32_t i = 0; i < LET_GO_THREADS; i++) {
        CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, ends_thread, &ends) == 0);
    }

    ends_send(&raw, ROUNDS);
    WORLD_UNTIL(&world, atomic_load(&ends.ended) == ROUNDS * ENDS_KINDS * 2);
    atomic_store(&ends.is_over, true);
    for (uint32_t i = 0; i < LET_GO_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }

    ends_check(&ends, ROUNDS * ENDS_KINDS * 2);
    raw_close(&raw);
    world_stop(&world);
    ends_check(&ends, ROUNDS * ENDS_KINDS * 2);
}

static void test_calls_of_a_dead_client_end(void)
{
    struct world world;
    struct raw raw;
    struct ends ends;
    ends_start(&world, &ends, &raw);

    ends_send(&raw, ROUNDS);
    WORLD_UNTIL(&world, atomic_load(&ends.begun) > ROUNDS); // Some run, some wait, some are kept.
    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    for (uint32_t i = 0; i < atomic_load(&ends.kept_count); i++) {
        cmds_call_unref(atomic_load(&ends.kept[i]));
    }
    WORLD_UNTIL(&world, atomic_load(&ends.ended) == atomic_load(&ends.begun));

    world_stop(&world);
    ends_check(&ends, atomic_load(&ends.begun));
}

static void test_calls_of_a_server_that_closes_end(void)
{
    struct world world;
    struct raw raw;
    struct ends ends;
    ends_start(&world, &ends, &raw);

    ends_send(&raw, ROUNDS);
    WORLD_UNTIL(&world, atomic_load(&ends.kept_count) >= ROUNDS);
    world_end_server(&world);
    world.server = NULL;
    uint32_t kept = atomic_load(&ends.kept_count), begun = atomic_load(&ends.begun);
    CU_ASSERT_EQUAL(atomic_load(&ends.ended), begun - kept);
    for (uint32_t i = 0; i < kept / 2; i++) {
        cmds_call_unref(atomic_load(&ends.kept[i])); // They end here.
        CU_ASSERT_EQUAL(atomic_load(&ends.ended), begun - kept + i + 1);
    }
    world_stop(&world); // The runtime as well.
    for (uint32_t i = kept / 2; i < kept; i++) {
        cmds_call_unref(atomic_load(&ends.kept[i]));
    }

    ends_check(&ends, begun);
    raw_close(&raw);
}

static CU_TestInfo tests[] = {
        {"each call has one end, on its shard", test_each_call_has_one_end_on_its_shard},
        {"calls of a dead client end", test_calls_of_a_dead_client_end},
        {"calls of a server that closes end", test_calls_of_a_server_that_closes_end},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("call_end", tests)
