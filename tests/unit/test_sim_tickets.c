/* SPDX-License-Identifier: MIT */
/*
 * Tickets of commands that get no result: a command that is one-way, one that was refused, and one that is
 * forgotten. What may go wrong: the ticket stays open for ever, or names a command that never was; a close
 * behind a forget is lost.
 */
#include <errno.h>

#include "group/group.h"
#include "ring/socket.h"
#include "support/sim/host.h"

enum {
    SEEDS = 5,
    TIMES = 20,
    STALE = 77, // What a ticket of the caller held before.
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

struct desk {
    struct asker asker;
    int listener;
    struct guest server;
};

static void desk_open(struct desk *desk, struct hall *hall)
{
    *desk = (struct desk){.listener = host_listen()};
    asker_init(&desk->asker, hall);
    desk->asker.options.in_flight_max = 1;
    asker_open(&desk->asker, hall);
    host_enter(desk->listener, &desk->server);
    HALL_UNTIL(desk->asker.ups == 1);
}

static void desk_close(struct desk *desk)
{
    asker_close(&desk->asker);
    guest_close(&desk->server);
    cmdi_fd_close(desk->listener);
}

/* It names nothing, and nothing is open. */
static void expect_closed(struct desk *desk, struct cmds_ticket ticket)
{
    CU_ASSERT_EQUAL(ticket.id, 0);
    CU_ASSERT_EQUAL(desk->asker.group->tickets.count, 0);
    CU_ASSERT_EQUAL(cmds_group_forget(desk->asker.group, ticket), -ENOENT);
}

/* --- One-way ------------------------------------------------------------------------------------ */

static void send_notes(void *context)
{
    struct desk *desk = context;
    struct note note = {1, {"", 0}};
    for (uint32_t i = 0; i < TIMES; i++) {
        struct cmds_ticket ticket = {STALE};
        struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
        how.ticket = &ticket;
        CU_ASSERT_EQUAL(
                cmds_group_send(desk->asker.group, note_message(&note), &how, NULL, NULL), 0);
        expect_closed(desk, ticket);
    }
}

static void script_one_way(struct hall *hall)
{
    struct desk desk;
    desk_open(&desk, hall);
    hall_on_shard(hall, send_notes, &desk);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    send_notes(&desk); // From another thread.
    desk_close(&desk);
}

static void test_sim_tickets_of_one_way_commands_are_closed(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_one_way);
}

/* --- Refused ------------------------------------------------------------------------------------ */

static void send_refused(struct desk *desk, int code)
{
    for (uint32_t i = 0; i < TIMES; i++) {
        struct cmds_ticket ticket = {STALE};
        CU_ASSERT_EQUAL(ask(&desk->asker, 2, 0, &ticket), code);
        expect_closed(desk, ticket);
    }
}

static void send_beyond_window(void *context)
{
    send_refused(context, -ENOBUFS);
}

static void send_for_nobody(void *context)
{
    send_refused(context, CMDS_E_NOT_CONNECTED);
}

/* The window is full; then the connection is down for good. */
static void script_refused(struct hall *hall)
{
    struct desk desk;
    desk_open(&desk, hall);
    CU_ASSERT_EQUAL(ask(&desk.asker, 1, 0, NULL), 0);
    CU_ASSERT_NOT_EQUAL(host_expects(&desk.server, 1, 100), 0);
    hall_on_shard(hall, send_beyond_window, &desk);
    send_beyond_window(&desk);

    guest_finish(&desk.server);
    HALL_UNTIL(desk.asker.downs == 1);
    hall_on_shard(hall, send_for_nobody, &desk);
    send_for_nobody(&desk);
    desk_close(&desk);
}

static void test_sim_tickets_of_refused_commands_are_closed(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_refused);
}

/* --- Forgotten ---------------------------------------------------------------------------------- */

/* The shard hears of the forget and of the close by the same message. */
static void script_forgotten(struct hall *hall)
{
    struct desk desk;
    struct cmds_ticket ticket = {0};
    desk_open(&desk, hall);
    CU_ASSERT_EQUAL(ask(&desk.asker, 1, 0, &ticket), 0);
    CU_ASSERT_NOT_EQUAL(host_expects(&desk.server, 1, 100), 0);

    hall_hold_up(hall, HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(cmds_group_forget(desk.asker.group, ticket), 0);
    desk_close(&desk);
    CU_ASSERT_EQUAL(desk.asker.ended, 1);
    CU_ASSERT_EQUAL(desk.asker.good, 0);
}

static void test_sim_tickets_of_a_group_that_closes_are_forgotten_first(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_forgotten);
}

static CU_TestInfo tests[] = {
        {"of one-way commands are closed", test_sim_tickets_of_one_way_commands_are_closed},
        {"of refused commands are closed", test_sim_tickets_of_refused_commands_are_closed},
        {"of a group that closes are forgotten first",
                test_sim_tickets_of_a_group_that_closes_are_forgotten_first},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_tickets", tests)
