/* SPDX-License-Identifier: MIT */
/*
 * Commands that nobody waits for any more: past their deadline, or forgotten. Each ends exactly once,
 * and its late result finds nobody, but keeps its place in the window until it has come.
 */
#include <errno.h>

#include "support/guest.h"

static void test_group_deadline_ends_one_command_and_its_late_result_is_unexpected(void)
{
    struct world world;
    struct guest guest;
    struct cmds_send_options soon = CMDS_SEND_OPTIONS_INIT;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.in_flight_max = 2;
    soon.deadline_ms = 20;
    guest_start(&guest, &world);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 7, &soon), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    struct answer answer = answers_at(guest.answers, 0);
    CU_ASSERT_EQUAL(answer.error, CMDS_E_TIMEOUT);
    CU_ASSERT_TRUE(strstr(answer.text, world.address) != NULL);
    CU_ASSERT_EQUAL(guest_counters(&guest).deadlines, 1);
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 0);
    /*
     * The server still works on it: it counts in the window. The connection is as good as before.
     */
    CU_ASSERT_EQUAL(guest_run(&guest, 0, 8, NULL), 0);
    CU_ASSERT_EQUAL(guest_echo(&guest, 9, NULL), -ENOBUFS);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 2);
    kept_answer(0);
    WORLD_UNTIL(&world, atomic_load(&guest.unexpected->count) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.unexpected, 0).number, 7);
    CU_ASSERT_EQUAL(guest_counters(&guest).unexpected_results, 1);
    CU_ASSERT_EQUAL(guest_echo(&guest, 10, NULL), 0);
    kept_answer(1);
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 2);
    CU_ASSERT_EQUAL(atomic_load(&guest.down), 0);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_forget_ends_with_exactly_one_cancelled(void)
{
    struct world world;
    struct guest guest;
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    how.ticket = &ticket;
    guest_start(&guest, &world);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 3, &how), 0);
    CU_ASSERT_TRUE(ticket.id != 0);
    CU_ASSERT_TRUE(cmds_group_has(guest.group, ticket));
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), 0);
    CU_ASSERT_FALSE(cmds_group_has(guest.group, ticket));
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), -ENOENT);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).error, CMDS_E_CANCELLED);
    /* It may have been forgotten before it left; if the server has it, its result finds nobody. */
    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 2);
    if (atomic_load(&kept_count) == 1) {
        kept_answer(0);
        WORLD_UNTIL(&world, atomic_load(&guest.unexpected->count) == 1);
    }

    CU_ASSERT_EQUAL(guest_echo(&guest, 2, &how), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 3);
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), -ENOENT);
    CU_ASSERT_FALSE(cmds_group_has(guest.group, (struct cmds_ticket){12345}));
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 3);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_forget_races_with_results(void)
{
    enum {
        COUNT = 3000
    };
    struct world world;
    struct guest guest;
    struct cmds_ticket tickets[32] = {{0}};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 2;
    guest_start(&guest, &world);
    uint32_t forgotten = 0;

    for (uint32_t i = 0; i < COUNT;) {
        if (tickets[i % 32].id != 0) {
            forgotten += cmds_group_forget(guest.group, tickets[i % 32]) == 0;
        }
        uint32_t writable = atomic_load(&guest.writable);
        how.ticket = &tickets[i % 32];
        int code = guest_echo(&guest, i, &how); // One that failed leaves no ticket.
        if (code == -ENOBUFS) {
            WORLD_UNTIL(&world, atomic_load(&guest.writable) != writable);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(code, 0);
        i++;
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), COUNT);
    CU_ASSERT_EQUAL(answers_with(guest.answers, CMDS_E_CANCELLED), forgotten);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), COUNT - forgotten);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_group_forget[] = {
        {"deadline ends one command, its late result is unexpected",
                test_group_deadline_ends_one_command_and_its_late_result_is_unexpected},
        {"forget ends with exactly one cancelled",
                test_group_forget_ends_with_exactly_one_cancelled},
        {"forget races with results", test_group_forget_races_with_results},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_forget", test_group_forget)
