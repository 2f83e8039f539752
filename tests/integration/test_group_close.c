/* SPDX-License-Identifier: MIT */
/*
 * A group is closed by whoever likes: inside a callback, on a shard at once after it was opened, by
 * the end of its runtime, or while other threads send. Every command ends, and on_closed runs once.
 */
#include <errno.h>

#include "support/guest.h"

static void close_on_result(void *context, const struct cmds_result *result)
{
    struct guest *guest = context;
    answers_take(guest->answers, result);
    cmds_group_close(guest->group, guest_on_closed, guest);
    struct echo echo = {0};
    if (cmds_group_send(guest->group, echo_message(&echo), NULL, answers_take, guest->answers) !=
            CMDS_E_CLOSED) {
        atomic_fetch_add(&guest->answers->count, 1000);
    }
}

static void test_group_closed_inside_a_callback(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.client_count = 4;
    guest_start(&guest, &world);

    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(guest_run(&guest, 0, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 4);
    struct echo echo = {.string = CMDS_STRING("")};
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, echo_message(&echo), NULL, close_on_result, &guest), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 5);
    CU_ASSERT_EQUAL(answers_with(guest.answers, CMDS_E_CLOSED), 4);
    for (uint32_t i = 0; i < 4; i++) {
        kept_answer(i);
    }

    answers_free(guest.answers);
    answers_free(guest.unexpected);
    world_stop(&world);
}

static void open_and_close(void *context)
{
    struct guest *guest = context;
    for (int i = 0; i < 8; i++) {
        struct cmds_group *group = NULL;
        if (cmds_group_open(&group,
                    guest->group == NULL ? NULL : (struct cmds_runtime *)(void *)guest->group,
                    &guest->options, NULL) == 0) {
            cmds_group_close(group, NULL, NULL);
        }
    }
    atomic_store(&guest->closed, 1);
}

static void test_group_opened_and_closed_on_a_shard_at_once(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 3;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    guest.options.connect = world.address;
    guest.group = (struct cmds_group *)(void *)world.runtime; // Only a place for the pointer.

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 1, open_and_close, &guest), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);
    guest.options.connect = "localhost:1"; // Closed while the name is being resolved.
    atomic_store(&guest.closed, 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, open_and_close, &guest), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);

    world_stop(&world); // Waits for what is still closing.
    answers_free(guest.answers);
    answers_free(guest.unexpected);
}

static void test_group_ended_by_the_end_of_its_runtime(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.client_count = 3;
    guest_start(&guest, &world);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(guest_run(&guest, 0, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 10);

    struct cmds_runtime *runtime = world.runtime;
    for (uint32_t i = 0; i < 10; i++) {
        cmds_call_unref(atomic_exchange(&kept_calls[i], NULL)); // Without an answer.
    }
    CU_ASSERT_EQUAL(guest_last(&guest), 0);
    cmds_server_close(world.server);
    world.server = NULL;
    cmds_runtime_stop(runtime);
    world.runtime = NULL;
    CU_ASSERT_EQUAL(guest_last(&guest), 10);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 0);

    answers_free(guest.answers);
    answers_free(guest.unexpected);
    world_stop(&world);
}

struct hammer {
    struct guest *guest;
    pthread_t thread;
    uint32_t accepted;
    int error;
};

static void *hammer_main(void *context)
{
    struct hammer *hammer = context;
    while (hammer->error == 0 || hammer->error == -ENOBUFS) {
        hammer->error = guest_echo(hammer->guest, hammer->accepted, NULL);
        hammer->accepted += hammer->error == 0;
    }
    return NULL;
}

static void test_group_closed_while_threads_send(void)
{
    struct world world;
    struct guest guest;
    struct hammer hammers[3];
    uint32_t accepted = 0;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 2;
    guest_start(&guest, &world);
    for (int i = 0; i < 3; i++) {
        hammers[i] = (struct hammer){.guest = &guest};
        CU_ASSERT_FATAL(pthread_create(&hammers[i].thread, NULL, hammer_main, &hammers[i]) == 0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) > 1000);

    /*
     * The connections go first, so that the threads stop before the group does: no send may begin
     * after on_closed.
     */
    cmds_server_close(world.server);
    world.server = NULL;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(pthread_join(hammers[i].thread, NULL), 0);
        CU_ASSERT_EQUAL(hammers[i].error, CMDS_E_NOT_CONNECTED);
        accepted += hammers[i].accepted;
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(guest_last(&guest), accepted);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), accepted);
    CU_ASSERT_TRUE(cmds_group_done(guest.group));
    CU_ASSERT_EQUAL(cmds_group_error(guest.group, &guest.error), CMDS_E_EOF);
    CU_ASSERT_TRUE(strstr(guest.error.text, world.address) != NULL);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_group_close[] = {
        {"closed inside a callback", test_group_closed_inside_a_callback},
        {"opened and closed on a shard at once", test_group_opened_and_closed_on_a_shard_at_once},
        {"ended by the end of its runtime", test_group_ended_by_the_end_of_its_runtime},
        {"closed while threads send", test_group_closed_while_threads_send},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_close", test_group_close)
