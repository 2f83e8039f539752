/* SPDX-License-Identifier: MIT */
/*
 * Forwards that wait for room while nothing else is sent. Wherever others are refused as well, these ask
 * for room in their place; here nobody does but those that wait.
 */
#include "group/group.h"
#include "ring/socket.h"
#include "support/sim/host.h"

enum {
    SEEDS = 5,
    FORWARDS = 3,
    DEADLINE_MS = 1000,
};

struct relay {
    struct asker asker;
    int listener;
    struct guest server;
    int64_t lasts;
};

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    struct hall *hall = cmds_call_receiver(call);
    struct relay *relay = hall->context;
    const struct value *value = value_of(result);
    (void)context;
    CU_ASSERT_TRUE(result->last);
    CU_ASSERT_EQUAL(result->error, 0);
    relay->lasts++;
    if (value != NULL) {
        (void)hall_answer(call, value->number);
    }
}

static int act_forward(struct cmds_call *call, const struct act *act)
{
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    return cmds_group_forward(relay->asker.group, act_message(act), NULL, call, on_forwarded, NULL);
}

/* The window has one place: each answer makes room for the next. */
static void script_alone(struct hall *hall)
{
    struct relay relay = {.listener = host_listen()};
    struct guest guest;
    hall->context = &relay;
    asker_init(&relay.asker, hall);
    relay.asker.options.in_flight_max = 1;
    relay.asker.options.deadline_ms = DEADLINE_MS;
    asker_open(&relay.asker, hall);
    host_enter(relay.listener, &relay.server);
    HALL_UNTIL(relay.asker.ups == 1);
    guest_enter(&guest);
    for (int64_t i = 0; i < FORWARDS; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    for (int64_t i = 0; i < FORWARDS; i++) {
        uint64_t sequence = host_expects(&relay.server, i, 100);
        CU_ASSERT_NOT_EQUAL(sequence, 0);
        host_answer(&relay.server, sequence, i);
        CU_ASSERT_TRUE(guest_expects(&guest, i, 100));
    }
    CU_ASSERT_EQUAL(relay.lasts, FORWARDS);
    guest_close(&guest);
    asker_close(&relay.asker);
    guest_close(&relay.server);
    cmdi_fd_close(relay.listener);
}

static void test_sim_forward_alone_asks_for_room(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall hall;
        hall_init(&hall);
        hall.act = act_forward;
        hall.options.receiver = &hall;
        hall_run(&hall, seed, script_alone);
    }
}

static CU_TestInfo tests[] = {
        {"asks for room", test_sim_forward_alone_asks_for_room},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_forward_alone", tests)
