/* SPDX-License-Identifier: MIT */
/*
 * Work that must not hold up a shard: the worker pool, and the bound of calls in flight. A blocked
 * worker may stop its whole connection, a flood of slow commands may fill the memory, and an end
 * may come while a worker has a call.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // pthread_setattr_default_np.
#endif
#include "support/world.h"

#include <errno.h>

/* Workers wait here until the test opens it. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    uint32_t passes;          // So many go through although it is not open.
    _Atomic uint32_t waiting; // That came.
    _Atomic uint32_t shards;  // Exec functions that ran on a shard, where they should not.
    _Atomic uint32_t most, now;
};

static void gate_init(struct gate *gate)
{
    memset(gate, 0, sizeof(*gate));
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->changed, NULL);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    (void)pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open_for(struct gate *gate, uint32_t passes)
{
    pthread_mutex_lock(&gate->lock);
    gate->passes = passes;
    (void)pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    atomic_fetch_add(&gate->waiting, 1);
    while (!gate->open && gate->passes == 0) {
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    }
    gate->passes -= gate->passes > 0;
    pthread_mutex_unlock(&gate->lock);
}

static int exec_gate(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct gate *gate = world->context;
    if (cmds_runtime_current_shard(world->runtime) >= 0) {
        atomic_fetch_add(&gate->shards, 1);
    }
    if (run->what == 0) {
        gate_pass(gate);
    }
    int code = world_send_item(call, run->number, true);
    return run->what == 2 ? -EIO : code;
}

static void gate_world(struct world *world, struct gate *gate)
{
    gate_init(gate);
    world_init(world);
    world->exec = exec_gate;
    world->context = gate;
}

static void test_pool_does_not_hold_up_the_shard(void)
{
    struct world world;
    struct raw raw;
    struct gate gate;
    bool seen[9] = {false};
    gate_world(&world, &gate);
    world.runtime_options.shard_count = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t i = 1; i <= 8; i++) { // Four threads; the others wait in the queue.
        struct pool pool = {.number = (int64_t)i};
        CU_ASSERT(raw_send(&raw, i, pool_message(&pool)));
    }
    WORLD_UNTIL(&world, atomic_load(&gate.waiting) == 4);
    for (uint64_t i = 9; i < 109; i++) {
        CU_ASSERT_FATAL(world_echoes(&raw, i)); // The same connection, the only shard.
    }
    gate_open(&gate);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t sequence = 0;
        bool last = false;
        int64_t number = world_read_item(&raw, &sequence, &last);
        CU_ASSERT_FATAL(
                number >= 1 && number <= 8 && sequence == (uint64_t)number && !seen[number]);
        seen[number] = true;
    }
    CU_ASSERT_EQUAL(atomic_load(&gate.shards), 0);

    raw_close(&raw);
    world_stop(&world);
}

/* One connection has piled up; the job of another waits for those that run, and for no more. */
static void test_pool_serves_connections_in_turns(void)
{
    enum {
        PILED_UP = 400
    };
    struct world world;
    struct raw raw, other;
    struct gate gate;
    uint64_t sequence = 0;
    bool last = false;
    gate_world(&world, &gate);
    world.runtime_options.pool_thread_count = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT_FATAL(world_connect(&world, &other));

    for (uint64_t i = 1; i <= PILED_UP; i++) {
        struct pool pool = {.number = (int64_t)i}; // Each stops at the gate.
        CU_ASSERT_FATAL(raw_send(&raw, i, pool_message(&pool)));
    }
    WORLD_UNTIL(&world, atomic_load(&gate.waiting) == 1);
    WORLD_UNTIL(&world, world_stats(&world).commands_received == PILED_UP);
    struct pool quick = {.what = 1, .number = 7};
    CU_ASSERT_FATAL(raw_send(&other, 1, pool_message(&quick)));
    CU_ASSERT_TRUE_FATAL(world_echoes(&other, 2)); // The job before it is in the pool.
    gate_open_for(&gate, 2); // The one that runs, and one more at most, by turns.
    CU_ASSERT_EQUAL(world_read_item(&other, &sequence, &last), 7);
    CU_ASSERT(atomic_load(&gate.waiting) <= 3);

    gate_open(&gate);
    for (uint32_t i = 0; i < PILED_UP; i++) {
        CU_ASSERT_FATAL(world_read_item(&raw, &sequence, &last) > 0);
    }
    raw_close(&raw);
    raw_close(&other);
    world_stop(&world);
}

static void test_pool_that_is_full_spares_the_connection(void)
{
    struct world world;
    struct raw raw, other;
    struct gate gate;
    uint64_t sequence = 0;
    bool last = false;
    gate_world(&world, &gate);
    world.runtime_options.pool_thread_count = 1;
    world.runtime_options.pool_queue_max = 2;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT_FATAL(world_connect(&world, &other));

    for (uint64_t i = 1; i <= 6; i++) { // One runs, two wait, three are too many.
        struct pool pool = {.number = (int64_t)i};
        CU_ASSERT_FATAL(raw_send(&raw, i, pool_message(&pool)));
        WORLD_UNTIL(&world, i > 1 || atomic_load(&gate.waiting) == 1);
    }
    WORLD_UNTIL(&world, world_stats(&world).exec_errors == 3);
    CU_ASSERT(world_logged(&world, "pool_queue_max") > 0);
    CU_ASSERT(world_echoes(&raw, 7));
    struct pool pool = {.number = 8};
    CU_ASSERT_FATAL(raw_send(&other, 1, pool_message(&pool))); // It has piled up nothing.
    gate_open(&gate);
    CU_ASSERT_EQUAL(world_read_item(&other, &sequence, &last), 8);
    for (int64_t i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), i);
    }
    CU_ASSERT_EQUAL(world_stats(&world).exec_errors, 3);

    raw_close(&raw);
    raw_close(&other);
    world_stop(&world);
}

static void test_pool_of_one_thread_keeps_the_order(void)
{
    struct world world;
    struct raw raw;
    struct gate gate;
    gate_world(&world, &gate);
    world.runtime_options.pool_thread_count = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t i = 1; i <= 200; i++) {
        struct pool pool = {.what = 1, .number = (int64_t)i};
        CU_ASSERT_FATAL(raw_send(&raw, i, pool_message(&pool)));
    }
    for (uint64_t i = 1; i <= 200; i++) {
        uint64_t sequence = 0;
        bool last = false;
        CU_ASSERT_FATAL(world_read_item(&raw, &sequence, &last) == (int64_t)i);
        CU_ASSERT_FATAL(sequence == i && last);
    }

    raw_close(&raw);
    world_stop(&world);
}

static void test_pool_failure_closes_after_the_result(void)
{
    struct world world;
    struct raw raw;
    struct gate gate;
    struct pool pool = {.what = 2};
    gate_world(&world, &gate);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, pool_message(&pool)));
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), -EIO);

    raw_close(&raw);
    world_stop(&world);
}

static int exec_rounds(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct gate *gate = world->context;
    if (cmds_runtime_current_shard(world->runtime) >= 0) {
        atomic_fetch_add(&gate->shards, 1);
    }
    int64_t index = (int64_t)(intptr_t)cmds_call_context(call);
    int code = world_send_item(call, index, index == run->number - 1);
    if (code == 0) {
        index++;
        cmds_call_set_context(call, (void *)(intptr_t)index);
    }
    return (code == 0 || code == -ENOBUFS) && index < run->number ? CMDS_EXEC_AGAIN : code;
}

static void test_pool_streams_by_rounds(void)
{
    enum {
        ITEMS = 3000
    };
    struct world world;
    struct raw raw;
    struct gate gate;
    struct pool pool = {.number = ITEMS};
    gate_world(&world, &gate);
    world.exec = exec_rounds;
    world.options.output_size_max = 4096; // It meets the bound, from the pool.
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, pool_message(&pool)));
    for (int64_t i = 0; i < ITEMS; i++) {
        uint64_t sequence = 0;
        bool last = false;
        CU_ASSERT_FATAL(world_read_item(&raw, &sequence, &last) == i);
        CU_ASSERT_FATAL(last == (i == ITEMS - 1));
    }
    CU_ASSERT(world_stats(&world).exec_rounds >= ITEMS - 1);
    CU_ASSERT_EQUAL(atomic_load(&gate.shards), 0);

    raw_close(&raw);
    world_stop(&world);
}

static void test_pool_call_outlives_its_connection(void)
{
    struct world world;
    struct raw raw, other;
    struct gate gate;
    struct pool pool = {.number = 1};
    gate_world(&world, &gate);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, pool_message(&pool)));
    WORLD_UNTIL(&world, atomic_load(&gate.waiting) == 1);
    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT(world_connect(&world, &other) && world_echoes(&other, 1));
    gate_open(&gate);
    CU_ASSERT(world_echoes(&other, 2));

    raw_close(&other);
    world_stop(&world); // Waits for the worker.
}

/* --- Nobody waits any more -------------------------------------------------------------------- */

/* What a function of the pool keeps between its rounds, and who frees it. */
struct ends {
    struct gate first, second;
    _Atomic uint32_t runs, running, told, told_while_running;
    struct cmds_call *kept;
};

static void ends_on_cancel(struct cmds_call *call)
{
    struct ends *ends = ((struct world *)cmds_call_receiver(call))->context;
    atomic_fetch_add(&ends->told_while_running, cmds_call_context(call) == NULL);
    atomic_fetch_add(&ends->told, 1);
    free(cmds_call_context(call));
    cmds_call_set_context(call, NULL);
}

enum {
    ENDS_AGAIN,
    ENDS_KEPT,
    ENDS_ITSELF,
    ENDS_OTHER, // Holds up the second gate.
};

static int exec_ends(struct cmds_call *call, const struct run *run)
{
    struct ends *ends = ((struct world *)cmds_call_receiver(call))->context;
    if (run->what == ENDS_OTHER) {
        gate_pass(&ends->second);
        return world_send_item(call, 1, true);
    }
    atomic_fetch_add(&ends->runs, 1);
    cmds_call_on_cancel(call, ends_on_cancel);
    gate_pass(&ends->first);
    if (run->what == ENDS_ITSELF) {
        return CMDS_E_GONE;
    }
    if (run->what == ENDS_KEPT) {
        ends->kept = cmds_call_ref(call);
    }
    cmds_call_set_context(call, malloc(1)); // The last that it does: until now nobody is told.
    return run->what == ENDS_AGAIN ? CMDS_EXEC_AGAIN : 0;
}

static void ends_world(struct world *world, struct ends *ends)
{
    memset(ends, 0, sizeof(*ends));
    gate_init(&ends->first);
    gate_init(&ends->second);
    world_init(world);
    world->exec = exec_ends;
    world->context = ends;
}

static void test_pool_cancellation_waits_for_the_function(void)
{
    struct world world;
    struct raw raw, other;
    struct ends ends;
    ends_world(&world, &ends);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (int64_t i = ENDS_AGAIN; i <= ENDS_ITSELF; i++) {
        struct pool pool = {.what = i};
        CU_ASSERT(raw_send(&raw, (uint64_t)i + 1, pool_message(&pool)));
    }
    WORLD_UNTIL(&world, atomic_load(&ends.first.waiting) == 3);
    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&ends.told), 0); // They run, and cmds_call_is_cancelled() tells.
    gate_open(&ends.first);
    WORLD_UNTIL(&world, atomic_load(&ends.told) == 2); // Not the one that ended by itself.
    CU_ASSERT(cmds_call_is_cancelled(ends.kept));
    cmds_call_unref(ends.kept);
    CU_ASSERT(world_connect(&world, &other) && world_echoes(&other, 1));
    raw_close(&other);
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&ends.told), 2);
    CU_ASSERT_EQUAL(atomic_load(&ends.told_while_running), 0);
    CU_ASSERT_EQUAL(atomic_load(&ends.runs), 3);
}

/* The next round waits in the queue of the pool; when its turn comes nobody waits for it. */
static void test_pool_cancellation_of_a_queued_round(void)
{
    struct world world;
    struct raw raw, other;
    struct ends ends;
    struct pool again = {.what = ENDS_AGAIN};
    struct pool hold = {.what = ENDS_OTHER};
    ends_world(&world, &ends);
    world.runtime_options.pool_thread_count = 1;
    world.runtime_options.shard_count = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT_FATAL(world_connect(&world, &other));

    CU_ASSERT(raw_send(&raw, 1, pool_message(&again)));
    WORLD_UNTIL(&world, atomic_load(&ends.first.waiting) == 1);
    CU_ASSERT(raw_send(&other, 1, pool_message(&hold)));
    CU_ASSERT_FATAL(world_echoes(&other, 2)); // It is in the queue.
    gate_open(&ends.first);
    WORLD_UNTIL(&world, atomic_load(&ends.second.waiting) == 1);
    WORLD_UNTIL(&world, world_stats(&world).exec_rounds == 1); // And the second round behind it.
    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    gate_open(&ends.second);
    WORLD_UNTIL(&world, atomic_load(&ends.told) == 1);
    CU_ASSERT_EQUAL(atomic_load(&ends.runs), 1);

    raw_close(&other);
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&ends.told), 1);
}

static void *gate_opener(void *argument)
{
    struct world *world = argument;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (cmds_server_connection_count(world->server) > 0 && raw_now_ms() < until_ms) {
        raw_pause(NULL); // Until the close has begun.
    }
    gate_open(world->context);
    return NULL;
}

static void test_pool_jobs_are_waited_for_by_close(void)
{
    struct world world;
    struct raw raw;
    struct gate gate;
    pthread_t thread;
    gate_world(&world, &gate);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint64_t i = 1; i <= 20; i++) {
        struct pool pool = {.number = (int64_t)i};
        CU_ASSERT(raw_send(&raw, i, pool_message(&pool)));
    }
    WORLD_UNTIL(&world, atomic_load(&gate.waiting) == 4);

    CU_ASSERT_FATAL(pthread_create(&thread, NULL, gate_opener, &world) == 0);
    cmds_server_close(world.server);
    world.server = NULL;
    CU_ASSERT(pthread_join(thread, NULL) == 0);
    CU_ASSERT(atomic_load(&gate.waiting) <= 20);

    raw_close(&raw);
    world_stop(&world);
}

/* --- No thread -------------------------------------------------------------------------------- */

/*
 * The first thread of the pool cannot be started: its stack finds no room. That is nobody's
 * mistake: it ends the one command, and the next one tries again.
 */
static void test_pool_without_a_thread_ends_one_call(void)
{
#ifndef __GLIBC__
    cmdi_test_skip("no pthread_setattr_default_np: a thread cannot be made to fail");
#else
    struct world world;
    struct raw raw;
    struct gate gate;
    pthread_attr_t normal, huge;
    uint64_t sequence = 0;
    bool last = false;
    gate_world(&world, &gate);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT_FATAL(pthread_getattr_default_np(&normal) == 0);
    CU_ASSERT_FATAL(pthread_getattr_default_np(&huge) == 0);
    CU_ASSERT_FATAL(pthread_attr_setstacksize(&huge, (size_t)1 << 52) == 0);

    CU_ASSERT_FATAL(pthread_setattr_default_np(&huge) == 0);
    for (uint64_t i = 1; i <= 3; i++) {
        struct pool pool = {.what = 1, .number = (int64_t)i};
        CU_ASSERT(raw_send(&raw, i, pool_message(&pool)));
    }
    bool echoes = world_echoes(&raw, 4); // The connection stays, and none of them was answered.
    CU_ASSERT_FATAL(pthread_setattr_default_np(&normal) == 0);
    CU_ASSERT_FATAL(echoes);
    CU_ASSERT_EQUAL(world_stats(&world).exec_errors, 3);
    CU_ASSERT_EQUAL(world_stats(&world).unfinished_calls, 0);
    CU_ASSERT(world_logged(&world, "no thread of the worker pool could be started") > 0);
    struct pool pool = {.what = 1, .number = 5};
    CU_ASSERT(raw_send(&raw, 5, pool_message(&pool)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 5);

    raw_close(&raw);
    world_stop(&world);
#endif
}

/* --- The bound of calls in flight ------------------------------------------------------------- */

/* Nobody is answered before the bound was met once, however slow the shard is. */
static void sleep_over(struct cmds_call *call)
{
    struct world *world = cmds_call_receiver(call);
    struct gate *gate = world->context;
    if (atomic_load(&gate->most) < world->options.in_flight_max) {
        (void)cmds_call_after(call, 1, sleep_over); // If it fails there are too few answers.
        return;
    }
    atomic_fetch_sub(&gate->now, 1);
    (void)world_send_item(call, 1, true);
}

static int exec_sleep(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct gate *gate = world->context;
    uint32_t now = atomic_fetch_add(&gate->now, 1) + 1;
    if (now > atomic_load(&gate->most)) {
        atomic_store(&gate->most, now); // One connection: one shard writes it.
    }
    return cmds_call_after(call, (uint32_t)run->number, sleep_over);
}

/* Writes and reads at once, as a peer does that does not wait for answers. Returns: answers. */
static uint32_t exchange(struct raw *raw, const uint8_t *bytes, size_t size, uint32_t expected)
{
    size_t written = 0;
    uint32_t answers = 0;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (answers < expected && raw_now_ms() < until_ms) {
        struct raw_frame frame;
        int64_t taken = written < size ? raw_write_some(raw, bytes + written, size - written) : 0;
        if (taken < 0) {
            break;
        }
        written += (size_t)taken;
        enum raw_event event = raw_try(raw, &frame);
        for (; event == RAW_FRAME; event = raw_try(raw, &frame)) {
            answers++;
        }
        if (event != RAW_HANG) {
            break;
        }
        if (taken == 0) {
            raw_pause(NULL);
        }
    }
    return answers;
}

static void test_pool_calls_in_flight_are_bounded(void)
{
    enum {
        COUNT = 100000,
        BOUND = 256
    };
    struct world world;
    struct raw raw, other;
    struct gate gate;
    uint8_t *bytes = malloc((size_t)COUNT * 16);
    uint8_t body[8];
    size_t body_size = raw_hex("930001a0", body, sizeof(body)); // run{0, 1, ""}: one millisecond
    size_t size = 0;
    gate_world(&world, &gate);
    world.exec = exec_sleep;
    world.options.in_flight_max = BOUND;
    CU_ASSERT_FATAL(bytes != NULL && world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw) && world_connect(&world, &other));
    for (uint64_t i = 1; i <= COUNT; i++) {
        size += raw_frame_encode(bytes + size, i, 1, body, body_size);
    }

    CU_ASSERT_EQUAL(exchange(&raw, bytes, size, COUNT), COUNT);
    CU_ASSERT_EQUAL(atomic_load(&gate.most), BOUND);
    CU_ASSERT(world_stats(&world).read_pauses > 0);
    CU_ASSERT(world_echoes(&raw, COUNT + 1));
    CU_ASSERT(world_echoes(&other, 1));

    free(bytes);
    raw_close(&raw);
    raw_close(&other);
    world_stop(&world);
}

static void test_pool_one_call_in_flight_is_enough(void)
{
    enum {
        COUNT = 200
    };
    struct world world;
    struct raw raw;
    struct gate gate;
    uint8_t bytes[COUNT * 16];
    uint8_t body[8];
    size_t body_size = raw_hex("930000a0", body, sizeof(body));
    size_t size = 0;
    gate_world(&world, &gate);
    world.exec = exec_sleep;
    world.options.in_flight_max = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint64_t i = 1; i <= COUNT; i++) {
        size += raw_frame_encode(bytes + size, i, 1, body, body_size);
    }

    CU_ASSERT_EQUAL(exchange(&raw, bytes, size, COUNT), COUNT);
    CU_ASSERT_EQUAL(atomic_load(&gate.most), 1);

    raw_close(&raw);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"does not hold up the shard", test_pool_does_not_hold_up_the_shard},
        {"serves connections in turns", test_pool_serves_connections_in_turns},
        {"that is full spares the connection", test_pool_that_is_full_spares_the_connection},
        {"of one thread keeps the order", test_pool_of_one_thread_keeps_the_order},
        {"failure closes after the result", test_pool_failure_closes_after_the_result},
        {"streams by rounds", test_pool_streams_by_rounds},
        {"call outlives its connection", test_pool_call_outlives_its_connection},
        {"cancellation waits for the function", test_pool_cancellation_waits_for_the_function},
        {"cancellation of a queued round", test_pool_cancellation_of_a_queued_round},
        {"jobs are waited for by close", test_pool_jobs_are_waited_for_by_close},
        {"without a thread ends one call", test_pool_without_a_thread_ends_one_call},
        {"calls in flight are bounded", test_pool_calls_in_flight_are_bounded},
        {"one call in flight is enough", test_pool_one_call_in_flight_is_enough},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("pool", tests)
