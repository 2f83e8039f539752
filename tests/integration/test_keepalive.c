/* SPDX-License-Identifier: MIT */
/*
 * Pings against a real server: they keep a connection that has nothing to say, and nobody but the
 * two libraries sees them. What a scripted server does to them is test_client's.
 */
#include "support/guest.h"

static void test_keepalive_outlives_the_idle_limit(void)
{
    struct world world;
    struct guest mute, guest;
    world_init(&world);
    guest_init(&mute);
    guest_init(&guest);
    world.options.idle_timeout_ms = 3000;
    mute.options.keepalive_ms = CMDS_NEVER;
    guest.options.keepalive_ms = 300;
    guest.options.keepalive_interval_ms = 300;
    guest_start(&guest, &world);
    CU_ASSERT_FATAL(guest_open(&mute, world.runtime, world.address) == 0);
    CU_ASSERT_EQUAL(cmds_group_wait(mute.group, RAW_GUARD_MS, &mute.error), 0);

    WORLD_UNTIL(&world, atomic_load(&mute.down) == 1); // Younger, and closed all the same.

    CU_ASSERT_EQUAL(guest_counters(&mute).pings_sent, 0);
    CU_ASSERT_EQUAL(world_stats(&world).idle_closes, 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.up), 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.down), 0);
    CU_ASSERT_EQUAL(guest_echo(&guest, 5, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 5);

    guest_close(&mute, &world);
    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_keepalive_pings_are_answered_and_are_no_results(void)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.keepalive_ms = 100;
    guest.options.keepalive_interval_ms = 300;
    guest_start(&guest, &world);

    WORLD_UNTIL(&world, world_stats(&world).pings_answered >= 3);
    WORLD_UNTIL(&world, cmds_group_connection(guest.group, 0, &info) == 0 && info.rtt_us > 0);

    CU_ASSERT_EQUAL(info.state, CMDS_CONNECTION_UP);
    CU_ASSERT_EQUAL(info.up_count, 1);
    CU_ASSERT_TRUE(guest_counters(&guest).pings_sent >= 3);
    CU_ASSERT_EQUAL(guest_counters(&guest).results_received, 0);
    CU_ASSERT_EQUAL(guest_counters(&guest).unexpected_results, 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.unexpected->count), 0);
    CU_ASSERT_EQUAL(atomic_load(&world.executed), 0);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_keepalive_goes_on_while_a_call_is_kept(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.keepalive_ms = 100;
    guest.options.keepalive_interval_ms = 300;
    guest.options.deadline_ms = CMDS_NEVER;
    guest_start(&guest, &world);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 9, NULL), 0);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 1);
    uint64_t answered = world_stats(&world).pings_answered;
    WORLD_UNTIL(&world, world_stats(&world).pings_answered >= answered + 3);
    CU_ASSERT_EQUAL(guest_last(&guest), 0);
    kept_answer(0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 9);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_keepalive[] = {
        {"outlives the idle limit", test_keepalive_outlives_the_idle_limit},
        {"pings are answered and are no results",
                test_keepalive_pings_are_answered_and_are_no_results},
        {"goes on while a call is kept", test_keepalive_goes_on_while_a_call_is_kept},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("keepalive", test_keepalive)
