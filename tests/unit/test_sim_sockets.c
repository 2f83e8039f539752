/* SPDX-License-Identifier: MIT */
/*
 * What a kernel does seldom: a cancel that comes between two states of its target and finds nothing, the end
 * of a peer that comes with a buffer, and a connect that gets the port to which it goes. What may go wrong: a
 * connection that stopped reading goes on for ever, a server never ends its accept, nobody receives any more,
 * and a client keeps the port from its server.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ring/ring.h"
#include "support/sim/hall.h"

enum {
    SEEDS = 5,
    TRIES = 50,
    BUFFERS = 32,
    ENDS = 10 * BUFFERS,
    OFFERED = 8 * 1024 * 1024,
    RECEIVED_MAX = 256 * 1024, // What may be under way when a connection stops.
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- Cancels that find nothing ------------------------------------------------------------------ */

void __real_cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data);
void __wrap_cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data);

static uint32_t misses; // So many do.

void __wrap_cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data)
{
    bool hits = misses == 0;
    misses -= hits ? 0 : 1;
    __real_cmdi_ring_cancel(ring, hits ? target : UINT64_MAX - 1, user_data);
}

/* At its bound the connection stops reading, and what it is sent stays with its peer. */
static void script_missed(struct hall *hall)
{
    static uint8_t out[OFFERED];
    struct guest guest;
    size_t size = 0, sent = 0;
    guest_enter(&guest);
    while (size + 64 < sizeof(out)) {
        size += guest_encode(&guest, out + size, &act_type, 1);
    }
    misses = 2;
    for (uint32_t i = 0; i < 500; i++) {
        sent += guest_write(&guest, out + sent, size - sent);
        hall_pause_us(100);
    }

    CU_ASSERT_EQUAL(misses, 0);
    CU_ASSERT_EQUAL(hall->acts, 1);
    CU_ASSERT(sent < size);
    CU_ASSERT(hall_stats(hall).recv_bytes < RECEIVED_MAX);
    CU_ASSERT_EQUAL(hall_answer_kept(hall, 1), 0);
    HALL_UNTIL(hall->acts == 2); // It reads on.
    guest_close(&guest);
}

static void test_sim_sockets_a_cancel_that_found_nothing_is_tried_again(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;
    hall.options.in_flight_max = 1;

    run_all(&hall, script_missed);
}

/* Its accept ends by a cancel, and the close waits for that. */
static void script_accept(struct hall *hall)
{
    struct guest guest;
    misses = 2;
    cmds_server_close(hall->server);
    hall->server = NULL;

    CU_ASSERT_EQUAL(misses, 0);
    CU_ASSERT_FALSE(guest_try(&guest));
}

static void test_sim_sockets_a_server_whose_cancel_found_nothing_closes(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_accept);
}

/* --- Ends that take a buffer along -------------------------------------------------------------- */

static void script_ends(struct hall *hall)
{
    struct guest guest;
    for (uint32_t i = 0; i < ENDS; i++) {
        if (guest_try(&guest)) {
            (void)guest_is_in(&guest, 10);
            guest_finish(&guest);
            hall_pause_us(100);
            guest_close(&guest);
        }
    }
    cmds_sim_sleep_ms(hall->sim_options.faults_until_ms);

    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 1);
    CU_ASSERT_TRUE(guest_expects(&guest, 1, 1000));
    guest_close(&guest);
}

static void test_sim_sockets_ends_cost_no_buffer(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.sim_options.faults = CMDS_SIM_KERNEL; // One in some ends comes with one.
    hall.sim_options.faults_until_ms = 10000;
    hall.runtime_options.buffer_count_max = BUFFERS;

    run_all(&hall, script_ends);
}

/* --- Its own peer ------------------------------------------------------------------------------- */

/* A client of a port that the kernel also gives to clients, and then the server of that port. */
static void come_late(struct hall *hall, uint32_t port)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol);
    struct cmds_server_options late = hall->options;
    struct cmds_group *group = NULL;
    struct cmds_server *server = NULL;
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    late.listen = options.connect = address;
    options.client_count = 1;
    if (cmds_group_open(&group, hall->runtime, &options, NULL) == 0) {
        cmds_sim_sleep_ms(HALL_SETTLE_MS);
        CU_ASSERT_EQUAL(cmds_group_connected(group), 0);
        CU_ASSERT_NOT_EQUAL(cmds_server_start(&server, hall->runtime, &late, NULL), -EADDRINUSE);
        cmds_server_close(server);
        cmds_group_close(group, NULL, NULL);
    }
}

static void script_itself(struct hall *hall)
{
    for (uint32_t i = 0; i < TRIES; i++) {
        come_late(hall, 40000 + i);
    }
}

static void test_sim_sockets_a_connect_to_itself_leaves_the_port(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.sim_options.faults = CMDS_SIM_KERNEL; // One in some connects meets itself.

    run_all(&hall, script_itself);
}

static CU_TestInfo tests[] = {
        {"a cancel that found nothing is tried again",
                test_sim_sockets_a_cancel_that_found_nothing_is_tried_again},
        {"a server whose cancel found nothing closes",
                test_sim_sockets_a_server_whose_cancel_found_nothing_closes},
        {"ends cost no buffer", test_sim_sockets_ends_cost_no_buffer},
        {"a connect to itself leaves the port",
                test_sim_sockets_a_connect_to_itself_leaves_the_port},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_sockets", tests)
