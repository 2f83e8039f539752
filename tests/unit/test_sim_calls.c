/* SPDX-License-Identifier: MIT */
/*
 * Calls of a server: their times, their last results, their streams, what they keep, and jobs of the pool.
 * What may go wrong: a time that is early or late, two last results, a connection that is not read any more,
 * work for nobody.
 */
#include <string.h>

#include "ring/clock.h"
#include "support/sim/hall.h"

enum {
    SEEDS = 5,
    DELAY_MS = 10,
    TIMES = 40,
    WINDOW = 8,
    KEPT_SIZE = 2048,
    LINES = 3000,
    LINE_SIZE = 1000,
    JOB_MS = 100,
    HOUR_MS = 3600000,
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- Times ------------------------------------------------------------------------------------ */

/* By the clock of the world, to the nanosecond: not early, and not late but by a turn. */
static void expect_after(const struct cmds_call *call, uint64_t ms)
{
    uint64_t past_ns = cmdi_now_ns() - cmds_call_received_ns(call);
    CU_ASSERT(past_ns >= ms * 1000000);
    CU_ASSERT(past_ns < (ms + 3) * 1000000);
}

static void after_answer(struct cmds_call *call)
{
    expect_after(call, DELAY_MS);
    CU_ASSERT_EQUAL(hall_answer(call, 1), 0);
}

static int act_after(struct cmds_call *call, const struct act *act)
{
    (void)act;
    return cmds_call_after(call, DELAY_MS, after_answer);
}

static void script_after(struct hall *hall)
{
    struct guest guest;
    (void)hall;
    guest_enter(&guest);
    for (uint32_t i = 0; i < TIMES; i++) {
        hall_pause_us(137); // At all parts of a millisecond.
        (void)guest_send(&guest, &act_type, i);
        CU_ASSERT_TRUE(guest_expects(&guest, 1, 2 * DELAY_MS));
    }
    guest_close(&guest);
}

static void test_sim_calls_after_is_never_early(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_after;

    run_all(&hall, script_after);
}

static void on_deadline(struct cmds_call *call)
{
    struct hall *hall = cmds_call_receiver(call);
    expect_after(call, DELAY_MS);
    hall->cancels++;
}

static int act_until_deadline(struct cmds_call *call, const struct act *act)
{
    int code = hall_act_keep(call, act);
    cmds_call_on_cancel(call, on_deadline);
    return code;
}

static void script_deadline(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    for (uint32_t i = 0; i < TIMES; i++) {
        hall_pause_us(137);
        (void)guest_send(&guest, &act_type, i);
        HALL_UNTIL(hall->cancels == i + 1);
        hall_forget(hall);
    }
    CU_ASSERT_EQUAL(hall_stats(hall).exec_timeouts, TIMES);
    guest_close(&guest);
}

static void test_sim_calls_a_deadline_is_never_early(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_until_deadline;
    hall.options.exec_timeout_ms = DELAY_MS;

    run_all(&hall, script_deadline);
}

/* The second one waits for its turn until the first has ended, and its time runs meanwhile. */
static void script_waits(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    uint64_t sent_ns = cmdi_now_ns();
    (void)guest_send(&guest, &act_type, 0);
    (void)guest_send(&guest, &act_type, 1);
    cmds_sim_sleep_ms(DELAY_MS / 2);
    CU_ASSERT_EQUAL(hall->acts, 1);
    CU_ASSERT_EQUAL(hall_answer_kept(hall, 1), 0);
    HALL_UNTIL(hall->kept_count == 1);

    CU_ASSERT(cmdi_now_ns() - sent_ns >= DELAY_MS / 2 * 1000000u);
    CU_ASSERT(cmds_call_received_ns(hall->kept[0]) - sent_ns < 1000000);
    HALL_UNTIL(hall->cancels == 1);
    CU_ASSERT(cmdi_now_ns() - sent_ns < (DELAY_MS + 3) * 1000000u);
    guest_close(&guest);
}

static void test_sim_calls_time_runs_while_they_wait_for_their_turn(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_until_deadline;
    hall.options.exec_timeout_ms = DELAY_MS;
    hall.options.in_flight_max = 1;

    run_all(&hall, script_waits);
}

static void after_hour(struct cmds_call *call)
{
    struct hall *hall = cmds_call_receiver(call);
    hall->cancels++;
    CU_ASSERT_EQUAL(cmds_call_after(call, 1, after_hour), CMDS_E_GONE);
}

static int act_after_hour(struct cmds_call *call, const struct act *act)
{
    (void)act;
    return cmds_call_after(call, HOUR_MS, after_hour);
}

static void script_gone(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 1);
    (void)guest_send(&guest, &work_type, 2);
    HALL_UNTIL(hall_stats(hall).results_sent == 1);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    guest_close(&guest); // With an answer that it has not read.

    HALL_UNTIL(hall->cancels == 1);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(hall->cancels, 1);
}

static void test_sim_calls_whose_peer_has_gone_do_not_wait(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_after_hour;

    run_all(&hall, script_gone);
}

/* Nobody else has the call: what was to run later runs now, and is its end. */
static void script_server_ends(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    for (uint32_t i = 0; i < TIMES; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    HALL_UNTIL(hall->acts == TIMES);
    cmds_server_close(hall->server);
    hall->server = NULL;

    CU_ASSERT_EQUAL(hall->cancels, TIMES);
    guest_close(&guest);
}

static void test_sim_calls_that_wait_end_with_their_server(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_after_hour;

    run_all(&hall, script_server_ends);
}

/* Its command comes in two parts, cut anywhere, and then byte by byte. */
static void script_cut(struct hall *hall)
{
    uint8_t out[64];
    struct guest guest;
    (void)hall;
    guest_enter(&guest);
    for (size_t cut = 1; cut < 7; cut++) {
        size_t size = guest_encode(&guest, out, &act_type, (int64_t)cut);
        CU_ASSERT_EQUAL(guest_write(&guest, out, cut), cut);
        hall_pause_us(500);
        CU_ASSERT_EQUAL(guest_write(&guest, out + cut, size - cut), size - cut);
        CU_ASSERT_TRUE(guest_expects(&guest, (int64_t)cut, 100));
    }
    size_t size = guest_encode(&guest, out, &act_type, 7);
    for (size_t i = 0; i < size; i++) {
        CU_ASSERT_EQUAL(guest_write(&guest, out + i, 1), 1);
        hall_pause_us(500);
    }
    CU_ASSERT_TRUE(guest_expects(&guest, 7, 100));
    guest_close(&guest);
}

static void test_sim_calls_come_in_parts(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_cut);
}

/* --- The last result -------------------------------------------------------------------------- */

struct race {
    struct hall *hall;
    _Atomic uint32_t taken[TIMES]; // By call: sends that were 0...
    _Atomic uint32_t sends;        // ... and all that have returned.
};

static void race_send(struct race *race)
{
    for (uint32_t i = 0; i < TIMES; i++) {
        int code = hall_answer(race->hall->kept[i], i);
        CU_ASSERT(code == 0 || code == CMDS_E_FINISHED);
        race->taken[i] += code == 0;
        race->sends++;
    }
}

static void *thread_races(void *context)
{
    race_send(context);
    return NULL;
}

static void race_on_shard(void *context)
{
    race_send(context);
}

static void script_last(struct hall *hall)
{
    struct guest guest;
    struct answer answer;
    struct race race = {.hall = hall};
    uint32_t seen[TIMES] = {0};
    guest_enter(&guest);
    for (uint32_t i = 0; i < TIMES; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    HALL_UNTIL(hall->kept_count == TIMES);

    pthread_t one = hall_thread(thread_races, &race), other = hall_thread(thread_races, &race);
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, race_on_shard, &race), 0);
    (void)pthread_join(one, NULL);
    (void)pthread_join(other, NULL);
    HALL_UNTIL(race.sends == 3 * TIMES);

    while (guest_read(&guest, &answer, HALL_SETTLE_MS) == GUEST_ANSWER) {
        CU_ASSERT(answer.number >= 0 && answer.number < TIMES);
        seen[answer.number]++;
    }
    for (uint32_t i = 0; i < TIMES; i++) {
        CU_ASSERT_EQUAL(race.taken[i], 1);
        CU_ASSERT_EQUAL(seen[i], 1);
    }
    CU_ASSERT_EQUAL(hall_stats(hall).results_sent, TIMES);
    guest_close(&guest);
}

static void test_sim_calls_have_one_last_result_whoever_sends_it(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    run_all(&hall, script_last);
}

static void script_one_way(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &note_type, 1);
    (void)guest_send(&guest, &act_type, 2);
    CU_ASSERT_TRUE(guest_expects(&guest, 2, 1000));

    CU_ASSERT_EQUAL(hall->notes, 1);
    CU_ASSERT_EQUAL(hall_stats(hall).unfinished_calls, 0);
    CU_ASSERT_EQUAL(hall_stats(hall).exec_errors, 0);
    guest_close(&guest);
}

static void test_sim_calls_of_one_way_commands_owe_nothing(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_one_way);
}

/* --- Streams ---------------------------------------------------------------------------------- */

/* Makes lines as long as there is room, and goes on where it was. */
static int act_stream(struct cmds_call *call, const struct act *act)
{
    static char text[LINE_SIZE];
    struct hall *hall = cmds_call_receiver(call);
    int64_t *made = hall->context;
    (void)act;
    for (;;) {
        struct line line = {*made + 1, *made + 1 == LINES, {text, LINE_SIZE}};
        int code = cmds_call_send(call, line_message(&line));
        if (code < 0) {
            return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
        }
        if (++*made == LINES) {
            return 0;
        }
    }
}

/* Its reader rests now and then, so that the output is full again and again. */
static void script_stream(struct hall *hall)
{
    int64_t made = 0;
    struct guest guest;
    struct answer answer = {.last = false};
    hall->context = &made;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 0);
    cmds_sim_sleep_ms(100);
    CU_ASSERT(made < LINES);
    for (int64_t i = 1; i <= LINES; i++) {
        if (guest_read(&guest, &answer, 1000) != GUEST_ANSWER || answer.number != i) {
            break;
        }
        if (i % 500 == 0) {
            cmds_sim_sleep_ms(100);
        }
    }
    CU_ASSERT_TRUE(answer.last);
    CU_ASSERT_EQUAL(answer.number, LINES);
    CU_ASSERT(hall->acts > 2);
    guest_close(&guest);
}

static void test_sim_calls_a_stream_goes_on_when_its_output_has_left(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_stream;
    hall.options.output_size_max = 64 * 1024;

    run_all(&hall, script_stream);
}

/* --- What they keep --------------------------------------------------------------------------- */

/* Each keeps its command, and there is no room for as many at a time. */
static void script_keeps(struct hall *hall)
{
    struct guest guest;
    (void)hall;
    guest_enter(&guest);
    for (uint32_t i = 0; i < TIMES; i++) {
        (void)guest_send(&guest, &work_type, i);
    }
    for (uint32_t i = 0; i < TIMES; i++) {
        CU_ASSERT_TRUE(guest_expects(&guest, i, 1000));
    }
    guest_close(&guest);
}

static void test_sim_calls_give_back_what_they_have_kept(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.options.kept_size_max = KEPT_SIZE;
    hall.runtime_options.pool_thread_count = 1; // In their order.

    run_all(&hall, script_keeps);
}

/* A call ends at the bound, whereupon the connection would read on a moment later; it closes before. */
static void close_at_the_bound(void *context)
{
    struct hall *hall = context;
    struct cmds_connection *connection = cmds_call_connection(hall->kept[0]);
    CU_ASSERT_EQUAL(hall_answer_kept(hall, 1), 0);
    cmds_connection_close(connection);
    hall_forget(hall);
}

static void script_window(struct hall *hall)
{
    struct guest guest, next;
    guest_enter(&guest);
    for (uint32_t i = 0; i <= WINDOW; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    HALL_UNTIL(hall->kept_count == WINDOW && hall_stats(hall).read_pauses == 1);

    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, close_at_the_bound, hall), 0);
    HALL_UNTIL(hall->disconnects == 1);
    CU_ASSERT_EQUAL(hall->acts, WINDOW);
    guest_close(&guest);

    guest_enter(&next); // Where the other was, as it may be.
    (void)guest_send(&next, &work_type, 1);
    CU_ASSERT_TRUE(guest_expects(&next, 1, 1000));
    guest_close(&next);
}

static void test_sim_calls_at_the_bound_of_a_connection_that_closes(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;
    hall.options.in_flight_max = WINDOW;

    run_all(&hall, script_window);
}

/* --- The pool --------------------------------------------------------------------------------- */

static int work_long(struct cmds_call *call, const struct work *work)
{
    cmds_sim_sleep_ms(JOB_MS);
    (void)hall_answer(call, work->number); // Its peer may have gone.
    return 0;
}

/* Whoever sends and leaves costs the pool what runs by then, and no more. */
static void script_leaves(struct hall *hall)
{
    struct guest guest, other;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 0);
    for (uint32_t i = 0; i < 10; i++) {
        (void)guest_send(&guest, &work_type, i);
    }
    HALL_UNTIL(hall_stats(hall).commands_received == 11 && hall->works == 1);
    guest_enter(&other);
    guest_close(&guest); // With an answer that it has not read.
    HALL_UNTIL(hall->disconnects == 1);
    (void)guest_send(&other, &work_type, 1);

    CU_ASSERT_TRUE(guest_expects(&other, 1, 3 * JOB_MS));
    cmds_sim_sleep_ms(20 * JOB_MS);
    CU_ASSERT_EQUAL(hall->works, 2);
    guest_close(&other);
}

static void test_sim_calls_of_who_has_left_are_not_run_in_the_pool(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.work = work_long;
    hall.runtime_options.pool_thread_count = 1;

    run_all(&hall, script_leaves);
}

static void count_cancel(struct cmds_call *call)
{
    ((struct hall *)cmds_call_receiver(call))->cancels++;
}

static int work_kept(struct cmds_call *call, const struct work *work)
{
    struct hall *hall = cmds_call_receiver(call);
    (void)work;
    cmds_call_on_cancel(call, count_cancel);
    hall->kept[hall->kept_count++] = cmds_call_ref(call);
    cmds_sim_sleep_ms(JOB_MS);
    CU_ASSERT_EQUAL(hall->cancels, 0);
    return 0;
}

static void script_beside(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 1);
    (void)guest_send(&guest, &work_type, 2);
    HALL_UNTIL(hall->kept_count == 1);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    guest_close(&guest); // With an answer that it has not read.

    HALL_UNTIL(hall->cancels == 1);
    hall_forget(hall);
}

static void test_sim_calls_are_not_cancelled_beside_their_function(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.work = work_kept;

    run_all(&hall, script_beside);
}

static void script_full_pool(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    for (uint32_t i = 0; i < 10; i++) {
        (void)guest_send(&guest, &work_type, i);
    }
    HALL_UNTIL(hall_stats(hall).commands_received == 10);
    CU_ASSERT(hall_stats(hall).exec_errors > 0);
    cmds_server_close(hall->server); // It waits for its jobs.
    hall->server = NULL;

    CU_ASSERT(hall->works < 10);
    guest_close(&guest);
}

static void test_sim_calls_that_the_pool_refused_hold_nobody_up(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.work = work_long;
    hall.runtime_options.pool_thread_count = 1;
    hall.runtime_options.pool_queue_max = 1;

    run_all(&hall, script_full_pool);
}

static CU_TestInfo tests[] = {
        {"after is never early", test_sim_calls_after_is_never_early},
        {"a deadline is never early", test_sim_calls_a_deadline_is_never_early},
        {"time runs while they wait for their turn",
                test_sim_calls_time_runs_while_they_wait_for_their_turn},
        {"whose peer has gone do not wait", test_sim_calls_whose_peer_has_gone_do_not_wait},
        {"that wait end with their server", test_sim_calls_that_wait_end_with_their_server},
        {"come in parts", test_sim_calls_come_in_parts},
        {"have one last result, whoever sends it",
                test_sim_calls_have_one_last_result_whoever_sends_it},
        {"of one-way commands owe nothing", test_sim_calls_of_one_way_commands_owe_nothing},
        {"a stream goes on when its output has left",
                test_sim_calls_a_stream_goes_on_when_its_output_has_left},
        {"give back what they have kept", test_sim_calls_give_back_what_they_have_kept},
        {"at the bound of a connection that closes",
                test_sim_calls_at_the_bound_of_a_connection_that_closes},
        {"of who has left are not run in the pool",
                test_sim_calls_of_who_has_left_are_not_run_in_the_pool},
        {"are not cancelled beside their function",
                test_sim_calls_are_not_cancelled_beside_their_function},
        {"that the pool refused hold nobody up",
                test_sim_calls_that_the_pool_refused_hold_nobody_up},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_calls", tests)
