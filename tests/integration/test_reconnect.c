/* SPDX-License-Identifier: MIT */
/*
 * A server that ends and starts again at its address: its clients come back, each command ends once,
 * and those that had not been written wait for the server. When attempts are made, and after what
 * failures, is test_sim_reconnect's.
 */
#include "support/guest.h"

static void comeback_init(struct guest *guest)
{
    guest_init(guest);
    guest->options.on_state = NULL; // Its own would call the states of a comeback odd.
    guest->options.reconnect_delay_ms = 10;
    guest->options.reconnect_delay_max_ms = 50;
    guest->options.deadline_ms = RAW_GUARD_MS;
}

static struct cmds_connection_info info_of(const struct guest *guest, uint32_t client)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    CU_ASSERT_EQUAL(cmds_group_connection(guest->group, client, &info), 0);
    return info;
}

static void test_reconnect_after_every_restart(void)
{
    enum {
        RESTARTS = 50,
        CLIENTS = 8,
    };
    struct world world;
    struct guest guest;
    world_init(&world);
    comeback_init(&guest);
    guest.options.client_count = CLIENTS;
    guest_start(&guest, &world);

    for (uint32_t round = 1; round <= RESTARTS; round++) {
        world_end_server(&world);
        WORLD_UNTIL(&world, cmds_group_connected(guest.group) == 0);
        CU_ASSERT_FALSE(cmds_group_done(guest.group));
        CU_ASSERT_FATAL(world_serve_again(&world) == 0);
        CU_ASSERT_EQUAL(cmds_group_wait(guest.group, RAW_GUARD_MS, &guest.error), 0);
        for (uint32_t client = 0; client < CLIENTS; client++) {
            CU_ASSERT_EQUAL(info_of(&guest, client).state, CMDS_CONNECTION_UP);
            CU_ASSERT_EQUAL(info_of(&guest, client).up_count, round + 1);
            CU_ASSERT_EQUAL(guest_echo(&guest, client, NULL), 0);
        }
        WORLD_UNTIL(&world, guest_last(&guest) == round * CLIENTS);
        CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), round * CLIENTS);
    }

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_reconnect_commands_end_once_or_wait(void)
{
    enum {
        KEPT = 4,
        LATE = 10,
    };
    struct world world;
    struct guest guest;
    world_init(&world);
    comeback_init(&guest);
    kept_init(&world);
    guest_start(&guest, &world);
    for (int64_t i = 0; i < KEPT; i++) {
        CU_ASSERT_EQUAL(guest_run(&guest, 0, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&kept_count) == KEPT);

    world_end_server(&world);
    WORLD_UNTIL(&world, guest_last(&guest) == KEPT);
    CU_ASSERT_EQUAL(answers_with(guest.answers, CMDS_E_LOST), KEPT);
    WORLD_UNTIL(&world, cmds_group_connected(guest.group) == 0);
    for (int64_t i = 0; i < LATE; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, 100 + i, NULL), 0);
    }
    WORLD_UNTIL(&world, cmds_group_pending(guest.group) == LATE); // They wait: nobody listens.
    uint64_t executed = atomic_load(&world.executed);
    CU_ASSERT_FATAL(world_serve_again(&world) == 0);
    WORLD_UNTIL(&world, guest_last(&guest) == KEPT + LATE);

    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), LATE);
    CU_ASSERT_EQUAL(atomic_load(&world.executed), executed + LATE); // The lost ones are not resent.
    for (uint32_t i = 0; i < KEPT; i++) {
        kept_answer(i); // Nobody waits for it any more.
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(guest_last(&guest), KEPT + LATE);
    CU_ASSERT_EQUAL(atomic_load(&guest.unexpected->count), 0);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_reconnect_client_that_was_there_first(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    comeback_init(&guest);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    world_end_server(&world); // Its address is free now.

    CU_ASSERT_FATAL(guest_open(&guest, world.runtime, world.address) == 0);
    CU_ASSERT_EQUAL(guest_echo(&guest, 5, NULL), 0);
    WORLD_UNTIL(&world, info_of(&guest, 0).failed >= 2);
    CU_ASSERT_EQUAL(info_of(&guest, 0).up_count, 0);
    CU_ASSERT_TRUE(cmds_group_error(guest.group, &guest.error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(guest.error.text, world.address));
    CU_ASSERT_EQUAL(guest_last(&guest), 0);
    CU_ASSERT_FATAL(world_serve_again(&world) == 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 5);
    CU_ASSERT_EQUAL(info_of(&guest, 0).up_count, 1);

    guest_close(&guest, &world);
    world_stop(&world);
}

/* --- A call that blocks through an outage ----------------------------------------------------- */

struct blocked {
    struct cmds_sender *sender;
    pthread_t thread;
    int code;
    int64_t back;
    _Atomic uint32_t done;
};

static void *blocked_main(void *context)
{
    struct blocked *blocked = context;
    struct echo echo = {true, 42, CMDS_STRING("hi"), 0.5};
    struct cmds_result *result = NULL;
    blocked->code =
            cmds_sender_send(blocked->sender, echo_message(&echo), RAW_GUARD_MS, &result, NULL);
    const struct echoed *echoed = echoed_of(result);
    blocked->back = echoed != NULL ? echoed->int64 : INT64_MIN;
    cmds_result_free(result);
    atomic_store(&blocked->done, 1);
    return NULL;
}

static void test_reconnect_sender_waits_for_its_server(void)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct blocked blocked = {.code = 1};
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    group.reconnect_delay_ms = 10;
    group.reconnect_delay_max_ms = 50;
    options.group = &group;
    options.connect = world.address;
    CU_ASSERT_FATAL(cmds_sender_open(&blocked.sender, &options, &world.error) == 0);
    struct cmds_group *under = cmds_sender_group(blocked.sender);

    world_end_server(&world);
    WORLD_UNTIL(&world, cmds_group_connected(under) == 0);
    CU_ASSERT_FATAL(pthread_create(&blocked.thread, NULL, blocked_main, &blocked) == 0);
    WORLD_UNTIL(&world, cmds_group_pending(under) == 1);
    CU_ASSERT_EQUAL(atomic_load(&blocked.done), 0);
    CU_ASSERT_FATAL(world_serve_again(&world) == 0);
    CU_ASSERT_EQUAL(pthread_join(blocked.thread, NULL), 0);
    CU_ASSERT_EQUAL(blocked.code, 0);
    CU_ASSERT_EQUAL(blocked.back, 42);

    cmds_sender_close(blocked.sender, RAW_GUARD_MS);
    world_stop(&world);
}

static CU_TestInfo test_reconnect[] = {
        {"after every restart", test_reconnect_after_every_restart},
        {"commands end once or wait", test_reconnect_commands_end_once_or_wait},
        {"client that was there first", test_reconnect_client_that_was_there_first},
        {"sender waits for its server", test_reconnect_sender_waits_for_its_server},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("reconnect", test_reconnect)
