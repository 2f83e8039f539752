/* SPDX-License-Identifier: MIT */
/*
 * What a shard does with its time. A span that is counted twice or for the wrong state, a turn that
 * nobody hears of, or one whose listeners hear of the next one too.
 */
#include "shard/meter.h"

#include <stddef.h>

#include "support/harness.h"

struct listener {
    struct cmdi_turn_note note;
    struct cmdi_meter *again; // Is to hear of the next turn as well.
    uint32_t calls;
    uint64_t duration_ns;
};

static void listener_hear(struct cmdi_turn_note *note, uint64_t duration_ns)
{
    struct listener *listener = CMDI_CONTAINER(note, struct listener, note);
    listener->calls++;
    listener->duration_ns = duration_ns;
    if (listener->again != NULL) {
        cmdi_meter_note(listener->again, note);
    }
}

static void test_meter_each_span_is_of_its_state(void)
{
    struct cmdi_meter meter = {.since_ns = 1000, .stall_ns = UINT64_MAX};

    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 1001);
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 1011); // A turn behind a turn.
    (void)cmdi_meter_move(&meter, CMDI_METER_SPIN, 1111);
    (void)cmdi_meter_move(&meter, CMDI_METER_SLEEP, 2111);
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 12111);
    (void)cmdi_meter_move(&meter, CMDI_METER_SLEEP, 12111);
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 12112);

    CU_ASSERT_EQUAL(meter.time_ns[CMDI_METER_AWAY], 1);
    CU_ASSERT_EQUAL(meter.time_ns[CMDI_METER_BUSY], 110);
    CU_ASSERT_EQUAL(meter.time_ns[CMDI_METER_SPIN], 1000);
    CU_ASSERT_EQUAL(meter.time_ns[CMDI_METER_SLEEP], 10001);
    CU_ASSERT_EQUAL(meter.turns.sum_ns, 110);
    CU_ASSERT_EQUAL(meter.turns.zero, 2); // Of 10 and 0 ns.
}

static void test_meter_a_note_hears_of_one_turn(void)
{
    struct cmdi_meter meter = {.stall_ns = UINT64_MAX};
    struct listener one = {.note = {.fn = listener_hear}}, two = {.note = {.fn = listener_hear}};
    two.again = &meter;
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 10);
    cmdi_meter_note(&meter, &one.note);
    cmdi_meter_note(&meter, &two.note);

    (void)cmdi_meter_move(&meter, CMDI_METER_SLEEP, 25);
    CU_ASSERT_EQUAL(one.calls, 1);
    CU_ASSERT_EQUAL(one.duration_ns, 15);
    CU_ASSERT_EQUAL(two.calls, 1);

    two.again = NULL;
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 100); // The sleep is no turn.
    CU_ASSERT_EQUAL(two.calls, 1);
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 107);
    CU_ASSERT_EQUAL(one.calls, 1);
    CU_ASSERT_EQUAL(two.calls, 2);
    CU_ASSERT_EQUAL(two.duration_ns, 7);
}

static void test_meter_a_stall_is_longer_than_its_bound(void)
{
    struct cmdi_meter meter = {.stall_ns = 100};
    (void)cmdi_meter_move(&meter, CMDI_METER_BUSY, 1);
    CU_ASSERT_EQUAL(cmdi_meter_move(&meter, CMDI_METER_BUSY, 101), 0);
    CU_ASSERT_EQUAL(cmdi_meter_move(&meter, CMDI_METER_SPIN, 202), 101);
    CU_ASSERT_EQUAL(cmdi_meter_move(&meter, CMDI_METER_SLEEP, 1000), 0); // A spin is none.
    CU_ASSERT_EQUAL(cmdi_meter_move(&meter, CMDI_METER_BUSY, 2000), 0);
    CU_ASSERT_EQUAL(meter.stalls, 1);
}

static CU_TestInfo test_meter[] = {
        {"each span is of its state", test_meter_each_span_is_of_its_state},
        {"a note hears of one turn", test_meter_a_note_hears_of_one_turn},
        {"a stall is longer than its bound", test_meter_a_stall_is_longer_than_its_bound},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("meter", test_meter)
