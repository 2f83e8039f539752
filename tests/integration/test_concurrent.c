/* SPDX-License-Identifier: MIT */
/*
 * Many at once: threads that share one connection, and commands of one connection that are executed
 * side by side. A result must reach the one that sent its command, and no call may wait for another.
 */
#include <errno.h>

#include "support/guest.h"

enum {
    THREADS = 8,
    EACH = 500,
};

/* --- Threads of one client -------------------------------------------------------------------- */

struct sending {
    struct guest *guest;
    pthread_t thread;
    int64_t first;
    int code;
    _Atomic uint32_t seen[EACH];
    _Atomic uint32_t wrong; // Errors, and results of other threads' commands.
    _Atomic uint32_t ended;
};

static void sending_on_result(void *context, const struct cmds_result *result)
{
    struct sending *sending = context;
    const struct echoed *echoed = echoed_of(result);
    int64_t index = echoed != NULL ? echoed->int64 - sending->first : -1;
    if (index < 0 || index >= EACH) {
        atomic_fetch_add(&sending->wrong, 1);
    } else {
        atomic_fetch_add(&sending->seen[index], 1);
    }
    atomic_fetch_add(&sending->ended, result->last);
}

static void *sending_main(void *context)
{
    struct sending *sending = context;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    for (int64_t i = 0; i < EACH && sending->code == 0;) {
        struct echo echo = {true, sending->first + i, CMDS_STRING("abc"), 0.5};
        int code = cmds_group_send(
                sending->guest->group, echo_message(&echo), NULL, sending_on_result, sending);
        i += code == 0;
        if (code == -ENOBUFS && raw_now_ms() < until_ms) {
            raw_pause(NULL); // The others have filled the window.
        } else {
            sending->code = code;
        }
    }
    return NULL;
}

static void check_sending(struct sending *sending)
{
    CU_ASSERT_EQUAL(sending->code, 0);
    CU_ASSERT_EQUAL(atomic_load(&sending->ended), EACH);
    CU_ASSERT_EQUAL(atomic_load(&sending->wrong), 0);
    for (uint32_t i = 0; i < EACH; i++) {
        CU_ASSERT_EQUAL(atomic_load(&sending->seen[i]), 1);
    }
}

static void test_concurrent_threads_share_a_connection(void)
{
    static struct sending sending[THREADS];
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.in_flight_max = 100; // Fewer than the threads have at hand.
    guest.options.deadline_ms = CMDS_NEVER;
    guest_start(&guest, &world);

    for (int i = 0; i < THREADS; i++) {
        sending[i].guest = &guest;
        sending[i].first = (int64_t)i * 1000000;
        CU_ASSERT_FATAL(pthread_create(&sending[i].thread, NULL, sending_main, &sending[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL(pthread_join(sending[i].thread, NULL), 0);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    for (int i = 0; i < THREADS; i++) {
        check_sending(&sending[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&world.executed), THREADS * EACH);

    guest_close(&guest, &world);
    world_stop(&world);
}

/* --- Calls of one connection ------------------------------------------------------------------ */

static void test_concurrent_calls_end_in_any_order(void)
{
    enum {
        CALLS = 5
    };
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.deadline_ms = CMDS_NEVER;
    guest_start(&guest, &world);

    for (int64_t i = 0; i < CALLS; i++) {
        CU_ASSERT_EQUAL(guest_run(&guest, 0, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&kept_count) == CALLS);
    CU_ASSERT_EQUAL(guest_echo(&guest, 77, NULL), 0); // None of those holds it up.
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    for (uint32_t i = 0; i < CALLS; i++) {
        kept_answer(CALLS - 1 - i);
        WORLD_UNTIL(&world, guest_last(&guest) == i + 2);
    }

    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 77);
    for (uint32_t i = 0; i < CALLS; i++) {
        CU_ASSERT_EQUAL(answers_at(guest.answers, i + 1).number, CALLS - 1 - i);
    }
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), CALLS + 1);

    guest_close(&guest, &world);
    world_stop(&world);
}

static _Atomic uint32_t inside_count;

/* Ends when as many run beside it as it names: one after the other, none ever would. */
static int exec_meet(struct cmds_call *call, const struct run *run)
{
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    atomic_fetch_add(&inside_count, 1);
    while (atomic_load(&inside_count) < (uint32_t)run->number && raw_now_ms() < until_ms) {
        raw_pause(NULL);
    }
    return world_send_item(call, atomic_load(&inside_count), true);
}

static void test_concurrent_calls_meet_in_the_pool(void)
{
    enum {
        CALLS = 4
    };
    struct pool meet = {0, CALLS, CMDS_STRING("")};
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    atomic_store(&inside_count, 0);
    world.exec = exec_meet;
    world.runtime_options.pool_thread_count = CALLS;
    guest.options.deadline_ms = CMDS_NEVER;
    guest_start(&guest, &world);

    for (int i = 0; i < CALLS; i++) {
        CU_ASSERT_EQUAL(cmds_group_send(guest.group, pool_message(&meet), NULL, answers_take,
                                guest.answers),
                0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) == CALLS);
    for (uint32_t i = 0; i < CALLS; i++) {
        CU_ASSERT_EQUAL(answers_at(guest.answers, i).number, CALLS);
    }

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_concurrent[] = {
        {"threads share a connection", test_concurrent_threads_share_a_connection},
        {"calls end in any order", test_concurrent_calls_end_in_any_order},
        {"calls meet in the pool", test_concurrent_calls_meet_in_the_pool},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("concurrent", test_concurrent)
