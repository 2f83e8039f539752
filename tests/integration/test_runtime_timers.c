/* SPDX-License-Identifier: MIT */
/*
 * Timers of a runtime that has threads, and of one that a thread turns. What may go wrong: one is lost,
 * runs twice, or runs after somebody was told that it does not; a cancel frees what the shard still
 * uses; an end waits for ever, or for nothing.
 */
#include "support/world.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Many threads --------------------------------------------------------------------------------- */

enum {
    SETTERS = 4,
    TIMERS = 2000, // Of each.
    PERIODIC = 16, // One of so many repeats.
};

struct setter {
    struct cmds_runtime *runtime;
    pthread_t thread;
    _Atomic uint32_t failed; // Facts that were wrong.
};

struct shot {
    struct setter *setter;
    uint64_t due_ns;
    uint32_t shard;
    bool repeats;
    _Atomic uint32_t runs;
    _Atomic bool is_inside, is_cancelled;
};

static void on_shot(void *context)
{
    struct shot *shot = context;
    struct setter *setter = shot->setter;
    bool right = cmds_now_ns() >= shot->due_ns && !atomic_load(&shot->is_cancelled) &&
                 cmds_runtime_current_shard(setter->runtime) == (int)shot->shard &&
                 !atomic_exchange(&shot->is_inside, true) &&
                 (atomic_load(&shot->runs) == 0 || shot->repeats);
    atomic_fetch_add(&setter->failed, !right);
    atomic_fetch_add(&shot->runs, 1);
    atomic_store(&shot->is_inside, false);
}

/* Cancels it, and holds what it was told against what has run. Returns: right. */
static bool shot_cancel(struct shot *shot, struct cmds_timer *timer, bool waits)
{
    int code = waits ? cmds_timer_cancel_wait(timer) : cmds_timer_cancel(timer);
    if (code == -EINPROGRESS) {
        return !waits; // It runs, for the last time; the shot is looked at when all is over.
    }
    atomic_store(&shot->is_cancelled, true); // From here on a run is wrong.
    uint32_t runs = atomic_load(&shot->runs);
    return shot->repeats ? code == 1 : code == (runs == 0);
}

static void *setter_main(void *argument)
{
    struct setter *setter = argument;
    static struct shot shots[SETTERS][TIMERS];
    static _Atomic uint32_t next;
    struct shot *mine = shots[atomic_fetch_add(&next, 1) % SETTERS];
    for (uint32_t i = 0; i < TIMERS; i++) {
        struct cmds_timer *timer = NULL;
        struct shot *shot = &mine[i];
        uint32_t delay_ms = i % 3;
        *shot = (struct shot){.setter = setter, .shard = i % 2, .repeats = i % PERIODIC == 0};
        delay_ms += shot->repeats;
        shot->due_ns = cmds_now_ns() + delay_ms * 1000000ull;
        int code = shot->repeats ? cmds_runtime_every(setter->runtime, shot->shard, delay_ms,
                                           on_shot, shot, &timer)
                                 : cmds_runtime_after(setter->runtime, shot->shard, delay_ms,
                                           on_shot, shot, &timer);
        atomic_fetch_add(&setter->failed, code != 0 || timer == NULL);
        if (i % 7 == 0) {
            (void)poll(NULL, 0, 1); // It may run in between.
        }
        atomic_fetch_add(&setter->failed, !shot_cancel(shot, timer, i % 2 == 0));
    }
    return NULL;
}

static void test_threads_set_and_cancel(void)
{
    static struct setter setters[SETTERS];
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < SETTERS; i++) {
        setters[i].runtime = world.runtime;
        CU_ASSERT_FATAL(pthread_create(&setters[i].thread, NULL, setter_main, &setters[i]) == 0);
    }
    for (uint32_t i = 0; i < SETTERS; i++) {
        CU_ASSERT(pthread_join(setters[i].thread, NULL) == 0);
    }
    world_stop(&world);
    for (uint32_t i = 0; i < SETTERS; i++) {
        CU_ASSERT_EQUAL(atomic_load(&setters[i].failed), 0);
    }
}

/* --- A function that runs --------------------------------------------------------------------------- */

struct gate {
    struct cmds_runtime *runtime;
    struct cmds_timer *timer;
    _Atomic bool entered, go, left;
    _Atomic int code, own_code;
    _Atomic uint32_t runs;
};

static void on_gate(void *context)
{
    struct gate *gate = context;
    atomic_fetch_add(&gate->runs, 1);
    atomic_store(&gate->entered, true);
    while (!atomic_load(&gate->go)) {
        raw_pause(NULL);
    }
    atomic_store(&gate->left, true);
}

static void *gate_cancel_wait(void *argument)
{
    struct gate *gate = argument;
    int code = cmds_timer_cancel_wait(gate->timer);
    atomic_store(&gate->code, atomic_load(&gate->left) ? code : -EINVAL);
    return NULL;
}

static void test_a_cancel_tells_of_a_function_that_runs(void)
{
    struct world world;
    struct gate gate = {.entered = false};
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(cmds_runtime_every(world.runtime, 0, 1, on_gate, &gate, &gate.timer), 0);
    WORLD_UNTIL(&world, atomic_load(&gate.entered));
    CU_ASSERT_EQUAL(cmds_timer_cancel(gate.timer), -EINPROGRESS);
    atomic_store(&gate.go, true);
    WORLD_UNTIL(&world, atomic_load(&gate.left));

    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&gate.runs), 1);
}

static void test_a_cancel_may_wait_for_a_function_that_runs(void)
{
    struct world world;
    pthread_t thread;
    struct gate gate = {.code = INT32_MAX};
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(cmds_runtime_after(world.runtime, 1, 1, on_gate, &gate, &gate.timer), 0);
    WORLD_UNTIL(&world, atomic_load(&gate.entered));
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, gate_cancel_wait, &gate) == 0);
    atomic_store(&gate.go, true);
    CU_ASSERT(pthread_join(thread, NULL) == 0);

    CU_ASSERT_EQUAL(atomic_load(&gate.code), 0); // It has run, and to its end.
    CU_ASSERT_EQUAL(atomic_load(&gate.runs), 1);
    world_stop(&world);
}

static void on_other_shard(void *context)
{
    struct gate *gate = context;
    atomic_store(&gate->own_code, cmds_timer_cancel_wait(gate->timer));
    atomic_store(&gate->code, cmds_timer_cancel(gate->timer));
    atomic_store(&gate->entered, true);
}

static void test_a_shard_does_not_wait_for_another(void)
{
    struct world world;
    struct gate gate = {.entered = false};
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(cmds_runtime_after(world.runtime, 0, 1000000, on_gate, &gate, &gate.timer), 0);
    CU_ASSERT_EQUAL(cmds_runtime_after(world.runtime, 1, 0, on_other_shard, &gate, NULL), 0);
    WORLD_UNTIL(&world, atomic_load(&gate.entered));

    CU_ASSERT_EQUAL(atomic_load(&gate.own_code), -EDEADLK);
    CU_ASSERT_EQUAL(atomic_load(&gate.code), 1);
    CU_ASSERT_EQUAL(atomic_load(&gate.runs), 0);
    world_stop(&world);
}

/* --- The end -------------------------------------------------------------------------------------- */

struct ender {
    struct cmds_timer *timers[TIMERS];
    _Atomic bool begun;
    uint32_t cancelled, ran;
};

static void *ender_main(void *argument)
{
    struct ender *ender = argument;
    atomic_store(&ender->begun, true);
    for (uint32_t i = 0; i < TIMERS; i++) {
        int code = cmds_timer_cancel_wait(ender->timers[i]);
        ender->cancelled += code == 1;
        ender->ran += code == 0;
    }
    return NULL;
}

static void on_count(void *context)
{
    _Atomic uint32_t *count = context;
    atomic_fetch_add(count, 1);
}

static void test_cancels_meet_the_end_of_the_runtime(void)
{
    static struct ender ender;
    struct world world;
    pthread_t thread;
    _Atomic uint32_t count = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < TIMERS; i++) {
        CU_ASSERT_FATAL(cmds_runtime_after(world.runtime, i % 2, i % 5, on_count, &count,
                                &ender.timers[i]) == 0);
        CU_ASSERT_FATAL(
                cmds_runtime_after(world.runtime, i % 2, 3600000, on_count, &count, NULL) == 0);
    }
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, ender_main, &ender) == 0);
    WORLD_UNTIL(&world, atomic_load(&ender.begun));
    world_stop(&world);
    uint32_t at_end = atomic_load(&count);
    CU_ASSERT(pthread_join(thread, NULL) == 0);

    CU_ASSERT_EQUAL(ender.cancelled + ender.ran, TIMERS);
    CU_ASSERT_EQUAL(ender.ran, at_end);
    CU_ASSERT_EQUAL(atomic_load(&count), at_end);
}

/* A call sets its timer on its own shard; what the call knows of time is of the same clock. */
struct hall {
    struct world *world;
    _Atomic uint32_t runs, wrong;
    uint64_t due_ns;
};

static void on_hall(void *context)
{
    struct hall *hall = context;
    atomic_fetch_add(&hall->wrong, cmds_now_ns() < hall->due_ns);
    atomic_fetch_add(&hall->runs, 1);
}

static int exec_set(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct hall *hall = world->context;
    uint64_t now_ns = cmds_now_ns();
    bool right = cmds_call_received_ns(call) <= now_ns && now_ns < cmds_call_deadline_ns(call);
    atomic_fetch_add(&hall->wrong, !right);
    hall->due_ns = now_ns + (uint64_t)run->number * 1000000;
    int shard = cmds_runtime_current_shard(world->runtime);
    int code = cmds_runtime_after(
            world->runtime, (uint32_t)shard, (uint32_t)run->number, on_hall, hall, NULL);
    return world_send_item(call, code, true);
}

static void test_an_exec_function_sets_one(void)
{
    struct world world;
    struct hall hall = {.world = &world};
    struct raw raw;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    world.exec = exec_set;
    world.context = &hall;
    world.options.exec_timeout_ms = 3600000;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&(struct run){.number = 3})));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 0);
    WORLD_UNTIL(&world, atomic_load(&hall.runs) == 1);
    CU_ASSERT_EQUAL(atomic_load(&hall.wrong), 0);

    raw_close(&raw);
    world_stop(&world);
}

/* --- Inline --------------------------------------------------------------------------------------- */

static void *set_elsewhere(void *argument)
{
    struct gate *gate = argument;
    atomic_store(&gate->code,
            cmds_runtime_after(gate->runtime, 0, 2, on_count, &gate->runs, &gate->timer));
    return NULL;
}

static void test_inline_its_fd_asks_for_a_turn(void)
{
    struct world world;
    struct gate gate = {.code = 1};
    pthread_t thread;
    _Atomic uint32_t count = 0;
    world_init(&world);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    gate.runtime = world.runtime;
    struct pollfd watched = {.fd = cmds_runtime_fd(world.runtime), .events = POLLIN};

    uint64_t due_ns = cmds_now_ns() + 5000000;
    CU_ASSERT_EQUAL(cmds_runtime_after(world.runtime, 0, 5, on_count, &count, NULL), 0);
    while (atomic_load(&count) == 0) {
        while (cmds_runtime_turn(world.runtime, CMDS_TURN_NOWAIT) > 0) {
            // Until it is quiet.
        }
        CU_ASSERT_FATAL(atomic_load(&count) > 0 || poll(&watched, 1, RAW_GUARD_MS) == 1);
    }
    CU_ASSERT(cmds_now_ns() >= due_ns);

    CU_ASSERT_FATAL(pthread_create(&thread, NULL, set_elsewhere, &gate) == 0);
    WORLD_UNTIL(&world, atomic_load(&gate.runs) == 1);
    CU_ASSERT(pthread_join(thread, NULL) == 0);
    CU_ASSERT_EQUAL(atomic_load(&gate.code), 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel_wait(gate.timer), 0);
    CU_ASSERT_EQUAL(cmds_runtime_every(world.runtime, 0, 1, on_count, &count, NULL), 0);
    world_stop(&world);
}

/* --- A forked child ------------------------------------------------------------------------------- */

static void test_a_child_has_no_timers(void)
{
    struct world world;
    struct cmds_timer *timer = NULL;
    _Atomic uint32_t count = 0;
    int status = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_EQUAL(cmds_runtime_after(world.runtime, 0, 3600000, on_count, &count, &timer), 0);

    pid_t pid = fork();
    if (pid == 0) {
        bool right =
                cmds_runtime_after(world.runtime, 0, 1, on_count, &count, NULL) == CMDS_E_FORKED &&
                cmds_timer_cancel(timer) == CMDS_E_FORKED;
        _exit(right ? 0 : 1);
    }
    CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);

    CU_ASSERT_EQUAL(cmds_timer_cancel(timer), 1);
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&count), 0);
}

static CU_TestInfo tests[] = {
        {"threads set and cancel", test_threads_set_and_cancel},
        {"a cancel tells of a function that runs", test_a_cancel_tells_of_a_function_that_runs},
        {"a cancel may wait for a function that runs",
                test_a_cancel_may_wait_for_a_function_that_runs},
        {"a shard does not wait for another", test_a_shard_does_not_wait_for_another},
        {"cancels meet the end of the runtime", test_cancels_meet_the_end_of_the_runtime},
        {"an exec function sets one", test_an_exec_function_sets_one},
        {"inline: its fd asks for a turn", test_inline_its_fd_asks_for_a_turn},
        {"a child has no timers", test_a_child_has_no_timers},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("runtime_timers", tests)
