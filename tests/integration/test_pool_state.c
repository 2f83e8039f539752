/* SPDX-License-Identifier: MIT */
/*
 * What a program has on each thread of the pool. What may go wrong: a function gets the state of another
 * thread, or gets one where there is none; a start that should fail succeeds; a state is never given back.
 */
#include "support/world.h"

#include <errno.h>

/* --- What the program does on each thread --------------------------------------------------------- */

struct office {
    struct world *world;
    _Atomic uint32_t starts, stops;
    _Atomic bool keeps_out;
    struct cmds_call *_Atomic kept;
    pthread_barrier_t all;
};

static int office_start(void *context, void **state, struct cmds_error *error)
{
    struct office *office = context;
    uint32_t *number = malloc(sizeof(*number));
    if (number == NULL || atomic_load(&office->keeps_out)) {
        free(number);
        error->code = -ENOENT;
        (void)snprintf(error->text, sizeof(error->text), "the office is closed");
        return -ENOENT;
    }
    *number = atomic_fetch_add(&office->starts, 1);
    *state = number;
    return 0;
}

static void office_stop(void *context, void *state)
{
    struct office *office = context;
    atomic_fetch_add(&office->stops, 1);
    free(state);
}

/* What it has of its thread: 100 and its number. 1: it is kept; 2: all threads of the pool run it. */
static int exec_office(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct office *office = world->context;
    const uint32_t *state = cmds_call_pool_state(call);
    if (run->what == 1) {
        atomic_store(&office->kept, cmds_call_ref(call));
    } else if (run->what == 2) {
        (void)pthread_barrier_wait(&office->all); // One on each thread.
    }
    return run->what == 1 ? 0
                          : world_send_item(call, state != NULL ? 100 + (int64_t)*state : -1, true);
}

static void test_pool_threads_have_a_state_of_their_own(void)
{
    static struct office office;
    struct world world;
    struct raw raw;
    uint32_t seen = 0;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    (void)pthread_barrier_init(&office.all, NULL, 3);
    world.exec = exec_office;
    world.context = &office;
    world.runtime_options.pool_thread_count = 3;
    world.runtime_options.on_pool_thread_start = office_start;
    world.runtime_options.on_pool_thread_stop = office_stop;
    world.runtime_options.pool_context = &office;
    atomic_store(&office.keeps_out, true);
    CU_ASSERT_EQUAL(world_start(&world), -ENOENT);
    CU_ASSERT_STRING_EQUAL(world.error.text, "the office is closed");
    world_stop(&world);

    atomic_store(&office.keeps_out, false);
    world.error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_EQUAL(atomic_load(&office.starts), 3); // With the runtime.
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    for (uint64_t i = 1; i <= 3; i++) {
        CU_ASSERT(raw_send(&raw, i, pool_message(&(struct pool){.what = 2})));
    }
    for (uint32_t i = 0; i < 3; i++) {
        seen |= 1u << (uint32_t)(world_read_item(&raw, &sequence, &last) - 100);
    }
    CU_ASSERT_EQUAL(seen, 7);
    CU_ASSERT(raw_send(&raw, 4, run_message(&(struct run){.number = 0}))); // On the shard.
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), -1);
    CU_ASSERT(raw_send(&raw, 5, pool_message(&(struct pool){.what = 1})));
    WORLD_UNTIL(&world, atomic_load(&office.kept) != NULL);
    struct cmds_call *kept = atomic_load(&office.kept);
    CU_ASSERT_PTR_NULL(cmds_call_pool_state(kept)); // Here is no thread of the pool.
    CU_ASSERT_EQUAL(world_send_item(kept, 5, true), 0);
    cmds_call_unref(kept);
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 5);
    raw_close(&raw);
    CU_ASSERT_EQUAL(atomic_load(&office.stops), 0);
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&office.stops), 3);
    (void)pthread_barrier_destroy(&office.all);
}

static CU_TestInfo tests[] = {
        {"threads have a state of their own", test_pool_threads_have_a_state_of_their_own},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("pool_state", tests)
