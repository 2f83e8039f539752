/* SPDX-License-Identifier: MIT */
/*
 * Pings and connections that come back: a server that is silent is left, and one that is there again
 * is found and pinged again. A server falls silent here since nobody turns its inline runtime: the
 * kernel still takes what is sent to it.
 */
#include "support/guest.h"

static struct cmds_connection_info info_of(const struct guest *guest)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    CU_ASSERT_EQUAL(cmds_group_connection(guest->group, 0, &info), 0);
    return info;
}

static void comeback_init(struct guest *guest)
{
    guest_init(guest);
    guest->options.on_state = NULL; // Its own would call the states of a comeback odd.
    guest->options.reconnect_delay_ms = 10;
    guest->options.reconnect_delay_max_ms = 50;
    guest->options.deadline_ms = RAW_GUARD_MS;
}

static void test_keepalive_reconnect_after_a_restart_pings_go_on(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    comeback_init(&guest);
    guest.options.keepalive_ms = 100;
    guest.options.keepalive_interval_ms = 300;
    guest_start(&guest, &world);
    WORLD_UNTIL(&world, world_stats(&world).pings_answered >= 2);

    world_end_server(&world);
    WORLD_UNTIL(&world, cmds_group_connected(guest.group) == 0);
    CU_ASSERT_FATAL(world_serve_again(&world) == 0);
    /* Of the new one, which began at 0. Without its pongs it would have been left before the fifth. */
    WORLD_UNTIL(&world, world_stats(&world).pings_answered >= 5);

    CU_ASSERT_EQUAL(info_of(&guest).state, CMDS_CONNECTION_UP);
    CU_ASSERT_EQUAL(info_of(&guest).up_count, 2);
    CU_ASSERT_EQUAL(guest_echo(&guest, 5, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 5);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_keepalive_reconnect_leaves_a_silent_server_and_comes_back(void)
{
    struct world world, front; // The front is the client's runtime, which nobody has to turn.
    struct guest guest;
    world_init(&world);
    world_init(&front);
    comeback_init(&guest);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    guest.options.keepalive_ms = 500;
    guest.options.keepalive_interval_ms = 500;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(cmds_runtime_start(&front.runtime, &front.runtime_options, NULL) == 0);
    CU_ASSERT_FATAL(guest_open(&guest, front.runtime, world.address) == 0);
    WORLD_UNTIL(&world, cmds_group_connected(guest.group) == 1);
    uint64_t up_count = info_of(&guest).up_count;

    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    WORLD_UNTIL(&front, guest_last(&guest) == 1); // The server is not turned: only pings find that.
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).error, CMDS_E_LOST);
    CU_ASSERT_EQUAL(cmds_group_connected(guest.group), 0);
    CU_ASSERT_FALSE(cmds_group_done(guest.group));

    WORLD_UNTIL(&world, info_of(&guest).up_count > up_count);
    CU_ASSERT_EQUAL(guest_echo(&guest, 2, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 2);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 1).error, 0);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 1).number, 2);
    uint64_t answered = world_stats(&world).pings_answered;
    WORLD_UNTIL(&world, world_stats(&world).pings_answered > answered);

    guest_close(&guest, &world);
    world_stop(&front);
    world_stop(&world);
}

static CU_TestInfo test_keepalive_reconnect[] = {
        {"after a restart pings go on", test_keepalive_reconnect_after_a_restart_pings_go_on},
        {"leaves a silent server and comes back",
                test_keepalive_reconnect_leaves_a_silent_server_and_comes_back},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("keepalive_reconnect", test_keepalive_reconnect)
