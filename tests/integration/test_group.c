/* SPDX-License-Identifier: MIT */
/*
 * A group against a server: every command ends in exactly one result with `last`, whatever happens
 * to it, to its connection or to the group; and what the application is told is enough to know what
 * to do.
 */
#include <errno.h>

#include "support/guest.h"

/* --- Commands that succeed -------------------------------------------------------------------- */

static void test_group_answers_once_with_every_field(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest_start(&guest, &world);

    CU_ASSERT_EQUAL(guest_echo(&guest, -5, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    struct answer answer = answers_at(guest.answers, 0);
    CU_ASSERT_EQUAL(answer.error, 0);
    CU_ASSERT_TRUE(answer.last);
    CU_ASSERT_EQUAL(answer.sequence, 1);
    CU_ASSERT_EQUAL(answer.number, -5);
    CU_ASSERT_STRING_EQUAL(answer.text, "");
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 0);
    CU_ASSERT_EQUAL(cmds_group_connected(guest.group), 1);
    CU_ASSERT_EQUAL(cmds_group_size(guest.group), 1);
    CU_ASSERT_FALSE(cmds_group_done(guest.group));
    CU_ASSERT_EQUAL(cmds_group_error(guest.group, NULL), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.up), 1);

    guest_close(&guest, &world);
    CU_ASSERT_EQUAL(atomic_load(&guest.down), 1);
    world_stop(&world);
}

static void test_group_sent_before_connected_waits(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 4;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(guest_open(&guest, world.runtime, world.address) == 0);

    for (int64_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) == 100);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 100);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_full_windows_and_every_command_answered_once(void)
{
    enum {
        COUNT = 20000
    };
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 5;
    guest.options.in_flight_max = 16;
    guest.options.deadline_ms = CMDS_NEVER;
    guest_start(&guest, &world);
    uint32_t refused = 0;

    for (int64_t i = 0; i < COUNT;) {
        uint32_t writable = atomic_load(&guest.writable);
        int code = guest_echo(&guest, i, NULL);
        if (code == -ENOBUFS) {
            refused++;
            WORLD_UNTIL(&world, atomic_load(&guest.writable) != writable);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(code, 0);
        i++;
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(guest_last(&guest), COUNT);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), COUNT);
    CU_ASSERT_EQUAL(guest_counters(&guest).commands_sent, COUNT);
    CU_ASSERT_TRUE(refused > 0);

    guest_close(&guest, &world);
    world_stop(&world);
}

static int exec_stream(struct cmds_call *call, const struct run *run)
{
    int64_t index = (int64_t)cmds_call_round(call);
    int code = world_send_item(call, index, index + 1 >= run->number);
    return code < 0 || index + 1 >= run->number ? code : CMDS_EXEC_AGAIN;
}

static void test_group_many_results_in_order_up_to_the_last(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    world.exec = exec_stream;
    guest_start(&guest, &world);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 300, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL_FATAL(atomic_load(&guest.answers->count), 300);
    for (uint32_t i = 0; i < 300; i++) {
        struct answer answer = answers_at(guest.answers, i);
        CU_ASSERT_EQUAL(answer.number, i);
        CU_ASSERT_EQUAL(answer.last, i == 299);
    }

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_over_unix_socket_and_by_name(void)
{
    for (int i = 0; i < 2; i++) {
        struct world world;
        struct guest guest;
        char address[128];
        world_init(&world);
        guest_init(&guest);
        world.options.listen = i == 0 ? raw_unix_address("group") : "127.0.0.1:0";
        CU_ASSERT_FATAL(world_start(&world) == 0);
        (void)snprintf(address, sizeof(address), "%s", world.address);
        if (i == 1) {
            (void)snprintf(address, sizeof(address), "localhost%s", strrchr(world.address, ':'));
        }
        CU_ASSERT_FATAL(guest_open(&guest, world.runtime, address) == 0);
        CU_ASSERT_EQUAL(cmds_group_wait(guest.group, RAW_GUARD_MS, &guest.error), 0);
        CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
        WORLD_UNTIL(&world, guest_last(&guest) == 1);
        CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 1);
        guest_close(&guest, &world);
        world_stop(&world);
    }
}

static void test_group_on_an_inline_runtime(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    guest.options.client_count = 3;
    guest_start(&guest, &world);
    uint64_t posts = world_stats(&world).posts;

    for (int64_t i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 1000);
    CU_ASSERT_EQUAL(guest_counters(&guest).commands_pending, 1000);
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 1000);
    /* The drain's own. The sends crossed no thread. */
    CU_ASSERT_TRUE(world_stats(&world).posts - posts <= 1);

    guest_close(&guest, &world);
    world_stop(&world);
}

/* --- From the shard, and inside callbacks ----------------------------------------------------- */

struct chain {
    struct guest *guest;
    int64_t left;
    int error;
    _Atomic uint32_t done;
};

static void chain_next(struct chain *chain);

static void chain_on_result(void *context, const struct cmds_result *result)
{
    struct chain *chain = context;
    if (echoed_of(result) == NULL) {
        chain->error = cmds_result_cause(result);
    }
    chain_next(chain);
}

static void chain_next(struct chain *chain)
{
    struct echo echo = {false, chain->left, CMDS_STRING(""), 0};
    if (chain->left-- > 0 && chain->error == 0) {
        chain->error = cmds_group_send(
                chain->guest->group, echo_message(&echo), NULL, chain_on_result, chain);
    }
    if (chain->left < 0 || chain->error < 0) {
        atomic_store(&chain->done, 1);
    }
}

static void chain_begin(void *context)
{
    chain_next(context);
}

static void test_group_send_from_its_own_callback(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 2;
    guest.options.in_flight_max = 1; // The command that has just been answered has left the window.
    guest_start(&guest, &world);
    struct chain chain = {.guest = &guest, .left = 5000};

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, chain_begin, &chain), 0);
    WORLD_UNTIL(&world, atomic_load(&chain.done) == 1);
    CU_ASSERT_EQUAL(chain.error, 0);
    CU_ASSERT_EQUAL(chain.left, -1);

    guest_close(&guest, &world);
    world_stop(&world);
}

struct window {
    struct guest *guest;
    int errors[6];
    _Atomic uint32_t done;
};

static void window_fill(void *context)
{
    struct window *window = context;
    for (int i = 0; i < 6; i++) {
        window->errors[i] = guest_run(window->guest, 0, i, NULL);
    }
    atomic_store(&window->done, 1);
}

static void test_group_window_on_the_shard_is_exact_and_opens_again(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    world.runtime_options.shard_count = 1;
    guest.options.in_flight_max = 4;
    guest_start(&guest, &world);
    struct window window = {.guest = &guest};

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, window_fill, &window), 0);
    WORLD_UNTIL(&world, atomic_load(&window.done) == 1);
    CU_ASSERT_EQUAL(window.errors[3], 0);
    CU_ASSERT_EQUAL(window.errors[4], -ENOBUFS);
    CU_ASSERT_EQUAL(window.errors[5], -ENOBUFS);
    CU_ASSERT_EQUAL(guest_run(&guest, 0, 9, NULL), -ENOBUFS); // From here as well, at once.
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 4);
    CU_ASSERT_EQUAL(atomic_load(&guest.writable), 0);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 4);
    kept_answer(0);
    WORLD_UNTIL(&world, atomic_load(&guest.writable) >= 1);
    CU_ASSERT_EQUAL(guest_run(&guest, 0, 9, NULL), 0);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 5);
    for (uint32_t i = 1; i < 5; i++) {
        kept_answer(i);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 5);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_group[] = {
        {"answers once with every field", test_group_answers_once_with_every_field},
        {"sent before connected waits", test_group_sent_before_connected_waits},
        {"full windows and every command answered once",
                test_group_full_windows_and_every_command_answered_once},
        {"many results in order up to the last", test_group_many_results_in_order_up_to_the_last},
        {"over a unix socket and by name", test_group_over_unix_socket_and_by_name},
        {"on an inline runtime", test_group_on_an_inline_runtime},
        {"send from its own callback", test_group_send_from_its_own_callback},
        {"window on the shard is exact and opens again",
                test_group_window_on_the_shard_is_exact_and_opens_again},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group", test_group)
