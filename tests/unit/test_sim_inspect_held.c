/* SPDX-License-Identifier: MIT */
/*
 * A list that is asked for while a callback holds up a shard. What may go wrong: whoever asks waits as long as the
 * callback takes; the shard, free at last, writes where nobody waits any more; what it was asked for is lost with
 * all that follow, or is done twice; a list that is not whole looks as if it were.
 */
#include <string.h>

#include <cmdstream/inspect.h>

#include "ring/clock.h"
#include "shard/walk.h"
#include "support/sim/hall.h"

enum {
    SEEDS = 5,
    SHARDS = 2,
    GUESTS = 8,
    LIST = 2 * CMDI_WALK_PER_TURN,
    CROWD = CMDI_WALK_PER_TURN + 20,
    SLACK_MS = 20,
    SILENCE_MS = 250, // As inspect.h says.
    AGAIN = 50,
};

static _Atomic uint32_t held, released; // How many are, or were.

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        held = released = 0;
        hall_run(&mine, seed, script);
    }
}

static void hold(void)
{
    held++;
    while (released == 0) {
        hall_pause_us(100);
    }
}

static int act_hold(struct cmds_call *call, const struct act *act)
{
    if (act->number == 0) {
        hold();
    }
    return hall_answer(call, act->number);
}

/* Returns: what it says; *took_ms: how long that took. */
static int ask(
        struct hall *hall, struct cmds_listed_connection *list, size_t *count, uint64_t *took_ms)
{
    uint64_t begun_ns = hall_now_ns();
    *count = SIZE_MAX;
    memset(list, 0xee, LIST * sizeof(*list));
    list[0].struct_size = sizeof(*list);
    int code = cmds_runtime_connections(hall->runtime, list, LIST, count);
    *took_ms = (hall_now_ns() - begun_ns) / 1000000;
    return code;
}

static struct cmds_listed_shard look(struct hall *hall, uint32_t shard)
{
    struct cmds_listed_shard list[SHARDS] = {CMDS_LISTED_SHARD_INIT};
    size_t count = 0;
    CU_ASSERT_EQUAL(cmds_runtime_shards(hall->runtime, list, SHARDS, &count), 0);
    CU_ASSERT_EQUAL(count, cmds_runtime_shard_count(hall->runtime));
    CU_ASSERT_EQUAL(list[shard].shard, shard);
    return list[shard];
}

/* --- By an exec function ---------------------------------------------------------------------- */

static void check_held(struct hall *hall, uint32_t shard)
{
    struct cmds_listed_shard row = look(hall, shard);
    CU_ASSERT(row.turn_us >= SILENCE_MS * 1000);
    CU_ASSERT(row.unanswered_us > 0 && row.unanswered_us <= row.turn_us + SLACK_MS * 1000);
    CU_ASSERT_STRING_EQUAL(row.type, "act");
    row = look(hall, 1 - shard);
    CU_ASSERT(row.unanswered_us == 0 && row.turn_us < SILENCE_MS * 1000);
}

static void script_exec(struct hall *hall)
{
    struct cmds_listed_connection list[LIST];
    struct guest guests[GUESTS];
    uint32_t by_shard[SHARDS] = {0};
    size_t count = 0;
    uint64_t took_ms = 0;
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest_enter(&guests[i]);
    }
    CU_ASSERT_EQUAL(ask(hall, list, &count, &took_ms), 0);
    CU_ASSERT_EQUAL_FATAL(count, GUESTS);
    for (uint32_t i = 0; i < GUESTS; i++) {
        by_shard[list[i].shard]++;
    }
    (void)guest_send(&guests[0], &act_type, 0);
    HALL_UNTIL(held == 1);
    uint32_t shard = look(hall, 0).turn_us > 0 ? 0 : 1;
    uint32_t others = by_shard[1 - shard];

    CU_ASSERT_EQUAL(ask(hall, list, &count, &took_ms), CMDS_E_TIMEOUT);
    CU_ASSERT(count == others && took_ms <= SILENCE_MS + SLACK_MS);
    CU_ASSERT(count == 0 || list[0].shard == 1 - shard);
    check_held(hall, shard);
    for (uint32_t i = 0; i < AGAIN; i++) { // It is known to be silent.
        CU_ASSERT_EQUAL(ask(hall, list, &count, &took_ms), CMDS_E_TIMEOUT);
        CU_ASSERT(count == others && took_ms <= SLACK_MS);
    }
    check_held(hall, shard);
    size_t calls = 0;
    CU_ASSERT_EQUAL(cmds_runtime_calls(hall->runtime, NULL, 0, &calls), CMDS_E_TIMEOUT);

    released = 1;
    CU_ASSERT(guest_expects(&guests[0], 0, 1000));
    CU_ASSERT_EQUAL(ask(hall, list, &count, &took_ms), 0);
    CU_ASSERT_EQUAL(count, GUESTS);
    CU_ASSERT_EQUAL(look(hall, shard).unanswered_us, 0);
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest_close(&guests[i]);
    }
}

static void test_sim_inspect_held_gives_up_a_shard_and_lists_the_others(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_hold;
    hall.runtime_options.shard_count = SHARDS;

    run_all(&hall, script_exec);
}

/* --- In the middle, and at the end ------------------------------------------------------------ */

struct stroll {
    struct cmdi_walk walk;
    struct cmdi_work work;
    size_t hold_at; // The node at which it is held up after this part; SIZE_MAX: never.
    bool is_over;   // Nobody may visit any more.
};

static struct guest crowd[CROWD];

static void stroll_hold(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    (void)work;
    hold();
}

/* What is flushed runs behind what is ready, and before whoever waits is woken. */
static void stroll_visit(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node)
{
    struct stroll *stroll = CMDI_CONTAINER(walk, struct stroll, walk);
    (void)node;
    CU_ASSERT(!stroll->is_over);
    if (walk->count == stroll->hold_at) {
        cmdi_shard_flush(shard, &stroll->work);
    }
}

static int stroll(struct hall *hall, struct stroll *stroll, size_t hold_at)
{
    *stroll = (struct stroll){
            .walk = {.kind = CMDI_WALK_CONNS, .visit = stroll_visit}, .hold_at = hold_at};
    cmdi_work_init(&stroll->work, stroll_hold);
    int code = cmdi_runtime_walk(hall->runtime, &stroll->walk);
    stroll->is_over = true;
    return code;
}

/* `first` is what the one that is given up says, and has seen. */
static void give_up_at(struct hall *hall, size_t hold_at, int code, size_t first)
{
    struct stroll begun, again, last;
    held = released = 0;
    CU_ASSERT_EQUAL(stroll(hall, &begun, hold_at), code);
    CU_ASSERT(held == 1 && begun.walk.count == first);
    CU_ASSERT_EQUAL(look(hall, 0).unanswered_us > 0, code < 0);
    CU_ASSERT_EQUAL(stroll(hall, &again, SIZE_MAX), CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(again.walk.count, 0);

    released = 1;
    hall_pause_us(1000);                               // The turn that is not waited for is over.
    CU_ASSERT_EQUAL(stroll(hall, &last, SIZE_MAX), 0); // From the start, and each of them once.
    CU_ASSERT_EQUAL(last.walk.count, CROWD);
    hall_pause_us(1000 * HALL_SETTLE_MS);
    CU_ASSERT(begun.walk.count == first && again.walk.count == 0 && last.walk.count == CROWD);
    CU_ASSERT_EQUAL(look(hall, 0).unanswered_us, 0);
}

static void script_middle(struct hall *hall)
{
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_enter(&crowd[i]);
    }
    give_up_at(hall, 3, CMDS_E_TIMEOUT, CMDI_WALK_PER_TURN);
    give_up_at(hall, CROWD - 1, 0, CROWD); // All is seen: it need not wait for the wake.
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_close(&crowd[i]);
    }
}

static void test_sim_inspect_held_gives_up_in_the_middle_and_asks_again(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_middle);
}

/* Nobody asks any more when the shard comes to it, while what it would have come to closes. */
static void script_left_behind(struct hall *hall)
{
    struct stroll begun;
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_enter(&crowd[i]);
    }
    CU_ASSERT_EQUAL(stroll(hall, &begun, 3), CMDS_E_TIMEOUT);
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_close(&crowd[i]);
    }
    released = 1;
    HALL_UNTIL(hall->disconnects == CROWD);
    CU_ASSERT_EQUAL(look(hall, 0).unanswered_us, 0);
}

static void test_sim_inspect_held_leaves_nothing_behind(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_left_behind);
}

/* --- Slow rather than silent, and many who ask ------------------------------------------------ */

/* Each part of the list is followed by a long turn. */
static void drag_visit(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node)
{
    struct stroll *stroll = CMDI_CONTAINER(walk, struct stroll, walk);
    (void)node;
    CU_ASSERT(!stroll->is_over);
    if (walk->count % CMDI_WALK_PER_TURN == 0) {
        cmdi_shard_flush(shard, &stroll->work);
    }
}

static void drag_pause(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    (void)work;
    hall_pause_us(200 * 1000);
}

static void script_slow(struct hall *hall)
{
    struct stroll slow = {.walk = {.kind = CMDI_WALK_CONNS, .visit = drag_visit}};
    cmdi_work_init(&slow.work, drag_pause);
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_enter(&crowd[i]);
    }
    CU_ASSERT_EQUAL(cmdi_runtime_walk(hall->runtime, &slow.walk), 0);
    CU_ASSERT_EQUAL(slow.walk.count, CROWD);
    slow.is_over = true;
    hall_pause_us(1000 * 1000); // Its work is over.

    uint64_t begun_ns = hall_now_ns();
    atomic_store(&hall->runtime->walking, 1); // Somebody takes all the time there is.
    size_t count = SIZE_MAX;
    int code = cmds_runtime_connections(hall->runtime, NULL, 0, &count);
    CU_ASSERT(code == CMDS_E_TIMEOUT && count == 0);
    CU_ASSERT(hall_now_ns() - begun_ns < CMDI_WALK_NS + SLACK_MS * 1000000ull);
    atomic_store(&hall->runtime->walking, 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_close(&crowd[i]);
    }
}

static void test_sim_inspect_held_waits_for_a_shard_that_is_slow(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_slow);
}

CU_TestInfo test_sim_inspect_held[] = {
        {"gives up a shard and lists the others",
                test_sim_inspect_held_gives_up_a_shard_and_lists_the_others},
        {"gives up in the middle and asks again",
                test_sim_inspect_held_gives_up_in_the_middle_and_asks_again},
        {"leaves nothing behind", test_sim_inspect_held_leaves_nothing_behind},
        {"waits for a shard that is slow", test_sim_inspect_held_waits_for_a_shard_that_is_slow},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_inspect_held", test_sim_inspect_held)
