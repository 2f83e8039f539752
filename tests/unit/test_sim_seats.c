/* SPDX-License-Identifier: MIT */
/*
 * Seats of a server: connection_count_max, and who gets a seat that becomes free. What may go wrong: one
 * connection too many; one that waits for ever; a seat that nobody has and nobody gives back.
 */
#include "support/sim/hall.h"

enum {
    SEEDS = 5,
    SEATS = 3,
    HELD_UP_MS = 500,
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- One too many ----------------------------------------------------------------------------- */

static void script_refuse(struct hall *hall)
{
    struct guest guests[SEATS], late;
    for (uint32_t i = 0; i < SEATS; i++) {
        guest_enter(&guests[i]);
    }

    guest_open(&late);
    CU_ASSERT_FALSE(guest_is_in(&late, 1000));
    CU_ASSERT_TRUE(late.ended || late.reset); // It knows at once.
    CU_ASSERT_EQUAL(cmds_server_connection_count(hall->server), SEATS);
    CU_ASSERT_EQUAL(hall_stats(hall).connections_refused, 1);
    CU_ASSERT_EQUAL(hall->connects, SEATS);

    guest_close(&guests[0]);
    HALL_UNTIL(cmds_server_connection_count(hall->server) == SEATS - 1);
    guest_close(&late);
    guest_enter(&late);
    for (uint32_t i = 1; i < SEATS; i++) {
        guest_close(&guests[i]);
    }
    guest_close(&late);
    HALL_UNTIL(cmds_server_connection_count(hall->server) == 0);
}

static void test_sim_seats_one_too_many_is_refused(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.options.connection_count_max = SEATS;

    run_all(&hall, script_refuse);
}

/* --- Waiting for one -------------------------------------------------------------------------- */

/* Each seat that becomes free is the next one's, as often as one does. */
static void script_queue(struct hall *hall)
{
    struct guest guests[8];
    uint32_t seats = hall->options.connection_count_max, count = seats + 4;
    for (uint32_t i = 0; i < seats; i++) {
        guest_enter(&guests[i]);
    }
    for (uint32_t i = seats; i < count; i++) {
        guest_open(&guests[i]);
        CU_ASSERT_FALSE(guest_is_in(&guests[i], HALL_SETTLE_MS));
        CU_ASSERT_FALSE(guests[i].ended || guests[i].reset);
    }
    for (uint32_t i = 0; i + seats < count; i++) {
        CU_ASSERT_EQUAL(cmds_server_connection_count(hall->server), seats);
        guest_close(&guests[i]);
        CU_ASSERT_TRUE(guest_is_in(&guests[i + seats], 1000));
        (void)guest_send(&guests[i + seats], &act_type, i);
        CU_ASSERT_TRUE(guest_expects(&guests[i + seats], i, 1000));
    }
    CU_ASSERT_EQUAL(hall->connects, count);
    CU_ASSERT_EQUAL(hall_stats(hall).connections_refused, 0);
    for (uint32_t i = count - seats; i < count; i++) {
        guest_close(&guests[i]);
    }
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 1000), 0);
}

static void test_sim_seats_who_waits_gets_each_that_becomes_free(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.options.overflow = CMDS_OVERFLOW_QUEUE;

    for (uint32_t shards = 1; shards <= 2; shards++) {
        hall.runtime_options.shard_count = shards;
        for (uint32_t seats = 1; seats <= 2; seats++) {
            hall.options.connection_count_max = seats;
            run_all(&hall, script_queue);
        }
    }
}

/* --- Nobody's seat ---------------------------------------------------------------------------- */

/* The shard has memory for no connection: each is closed at once, and leaves its seat. */
static void script_no_memory(struct hall *hall)
{
    struct guest guest;
    for (uint32_t i = 0; i < 2 * SEATS; i++) {
        guest_open(&guest);
        CU_ASSERT_FALSE(guest_is_in(&guest, 1000));
        CU_ASSERT_TRUE(guest.ended || guest.reset);
        guest_close(&guest);
        HALL_UNTIL(cmds_server_connection_count(hall->server) == 0);
    }
    CU_ASSERT_EQUAL(hall->connects, 0);
    CU_ASSERT_EQUAL(hall_stats(hall).connections_refused, 0);
    CU_ASSERT_EQUAL(hall_stats(hall).out_of_memory, 2 * SEATS);
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 1000), 0);
}

static void test_sim_seats_a_connection_without_memory_gives_its_own_back(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.options.connection_count_max = SEATS;
    hall.runtime_options.memory_size_max = 1;

    run_all(&hall, script_no_memory);
    hall.options.overflow = CMDS_OVERFLOW_QUEUE;
    run_all(&hall, script_no_memory);
}

/* --- While the shard of the listener is held up ------------------------------------------------- */

static int act_long(struct cmds_call *call, const struct act *act)
{
    cmds_sim_sleep_ms(HELD_UP_MS);
    return hall_answer(call, act->number);
}

static void script_held_up(struct hall *hall)
{
    struct guest first, others[SEATS];
    guest_enter(&first); // On the shard of the listener, as all had the same load.
    hall->act = act_long;
    (void)guest_send(&first, &act_type, 1);
    cmds_sim_sleep_ms(HELD_UP_MS / 10);
    CU_ASSERT_EQUAL(hall->acts, 1);

    for (uint32_t i = 0; i < SEATS; i++) {
        guest_open(&others[i]);
        CU_ASSERT_TRUE(guest_is_in(&others[i], HELD_UP_MS / 10));
        cmds_sim_sleep_ms(HELD_UP_MS / 10);
    }

    CU_ASSERT_EQUAL(cmds_server_connection_count(hall->server), SEATS + 1);
    CU_ASSERT_TRUE(guest_expects(&first, 1, HELD_UP_MS));
    for (uint32_t i = 0; i < SEATS; i++) {
        guest_close(&others[i]);
    }
    guest_close(&first);
    // No look of the deputy has cost one.
    HALL_UNTIL(cmds_server_connection_count(hall->server) == 0);
}

static void test_sim_seats_a_shard_that_is_held_up_has_a_deputy(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.runtime_options.shard_count = 2;
    hall.options.connection_count_max = SEATS + 2;

    run_all(&hall, script_held_up);
}

static CU_TestInfo tests[] = {
        {"one too many is refused", test_sim_seats_one_too_many_is_refused},
        {"who waits gets each that becomes free",
                test_sim_seats_who_waits_gets_each_that_becomes_free},
        {"a connection without memory gives its own back",
                test_sim_seats_a_connection_without_memory_gives_its_own_back},
        {"a shard that is held up has a deputy",
                test_sim_seats_a_shard_that_is_held_up_has_a_deputy},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_seats", tests)
