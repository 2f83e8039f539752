/* SPDX-License-Identifier: MIT */
/*
 * Calls that are run again, beside a large result that another thread is writing: one that finds no room beside it is
 * held until it is there. What may go wrong: it runs in vain all that time; it stays held although room has come in
 * another way; calls are held that found room, or that were refused by something else; and what passes the held ones by
 * does more than a run may, or goes on when its connection has finished.
 */
#include <errno.h>

#include "server/call.h"
#include "server/exec.h"
#include "support/harness.h"
#include "support/result_scene.h"

enum {
    ALL_ROOM = 1024 * 1024, // Of a large result beside which nothing else is taken from elsewhere.
    LARGE = 200000,
    HELD = 20,
    LINES = 10,
    PAGE = 64 * 1024,
    PAGES = 40, // More than the output may hold.
};

static uint32_t rounds, pages, ends, told;
static size_t taken; // By others, of the memory.

/* Another call runs while a large result is written; so many results have come behind both. */
static void large_beside(size_t size, void (*meanwhile)(void), uint32_t results)
{
    scene_open();
    rounds = 0;
    scene.in_encode = meanwhile;

    CU_ASSERT_EQUAL(scene_send_value(false, size), 0);

    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(scene.test), results);
}

/* As in the pool. */
static int act_again(struct cmds_call *call, const struct act *act)
{
    (void)act;
    struct line line = {1, true};
    int code = scene_send_of(call, false, line_message(&line));
    rounds++;
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

/* --- It waits for what was promised ----------------------------------------------------------- */

static void other_call_runs(void)
{
    scene.app.act = act_again;
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
    CU_ASSERT_EQUAL(rounds, 1);
}

/* What finds no room beside it runs again when it is there, not all the time until then. */
static void test_held_keeps_nobody_busy(void)
{
    large_beside(ALL_ROOM, other_call_runs, 2);
    CU_ASSERT_PTR_NOT_NULL(value_of(cmds_test_result(scene.test, 0)));
    CU_ASSERT_EQUAL(rounds, 2);
    scene_close();
}

/* --- ... and others do not -------------------------------------------------------------------- */

/* A line in each round, on the shard. */
static int act_lines(struct cmds_call *call, const struct act *act)
{
    (void)act;
    rounds++;
    struct line line = {rounds, rounds == LINES};
    int code = cmds_call_send(call, line_message(&line));
    return code == 0 && rounds < LINES ? CMDS_EXEC_AGAIN : code;
}

static void other_call_streams(void)
{
    scene.app.act = act_lines;
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), LINES);
}

static void test_held_lets_others_go_on(void)
{
    large_beside(ALL_ROOM, other_call_streams, LINES + 1);
    scene_close();
}

static void many_are_held(void)
{
    scene.app.act = act_again;
    for (int64_t i = 0; i < HELD; i++) {
        (void)acts_send(scene.test, 2 + i);
    }
    CU_ASSERT_EQUAL(rounds, HELD); // Each once.
    rounds = 0;
    other_call_streams();
}

static void test_held_let_others_pass_however_many_they_are(void)
{
    large_beside(ALL_ROOM, many_are_held, LINES + 1 + HELD);
    scene_close();
}

/* As many pages as the output has room for in each round, on the shard. */
static int act_pages(struct cmds_call *call, const struct act *act)
{
    static char text[PAGE];
    (void)act;
    rounds++;
    while (pages < PAGES) {
        struct page page = {{text, sizeof(text)}, pages + 1 == PAGES};
        int code = cmds_call_send(call, page_message(&page));
        if (code < 0) {
            return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
        }
        pages++;
    }
    return 0;
}

static void other_call_fills_the_output(void)
{
    pages = 0;
    scene.app.act = act_pages;
    scene_send_each(false); // All of it leaves when the turn ends.
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), PAGES);
    CU_ASSERT(rounds > 1);
}

/* The shard's own output is what refuses it, and that leaves meanwhile. */
static void test_held_is_no_stream_that_its_own_output_refuses(void)
{
    large_beside(ALL_ROOM, other_call_fills_the_output, PAGES + 1);
    scene_close();
}

/* --- Room that comes before the large one ----------------------------------------------------- */

static int send_large(struct cmds_call *call)
{
    static char text[LARGE];
    struct value value = {1, {text, sizeof(text)}};
    return scene_send_of(call, false, value_message(&value));
}

/*
 * Behind the run in which the call is held: the memory that output gives back would wake it, too, if nobody took that
 * at the same time.
 */
static void memory_wakes_nobody(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)work;
    CU_ASSERT_FALSE(cmdi_list_empty(&shard->refused));
    cmdi_list_remove(&cmdi_connection_more(scene.connection)->memory_work.link);
}

/* First in the turn of that run. */
static void behind_the_run(struct cmdi_shard *shard, struct cmdi_work *work)
{
    cmdi_work_init(work, memory_wakes_nobody);
    cmdi_shard_flush(shard, work);
}

/* Sends on the shard, and then asks for more elsewhere. */
static int act_behind_output(struct cmds_call *call, const struct act *act)
{
    static char text[40000];
    static struct cmdi_work work;
    (void)act;
    if (rounds++ == 0) {
        struct page page = {{text, sizeof(text)}, false};
        struct line line = {1, false}; // With it others see how much lies there.
        CU_ASSERT_EQUAL(cmds_call_send(call, page_message(&page)), 0);
        CU_ASSERT_EQUAL(cmds_call_send(call, line_message(&line)), 0);
        cmdi_work_init(&work, behind_the_run);
        cmdi_shard_ready(scene.connection->conn.shard, &work);
    }
    int code = send_large(call);
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static void other_call_waits_for_output(void)
{
    scene.app.act = act_behind_output;
    scene_send_each(false);
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 3);
}

/* So little that it is below its mark all the time. */
static void test_held_runs_when_output_has_left(void)
{
    large_beside(500000, other_call_waits_for_output, 4);
    CU_ASSERT_EQUAL(rounds, 2);
    scene_close();
}

/* Other connections have the memory: for a large one it is not enough, and none is closed for it. */
static void others_take_memory(void)
{
    struct cmdi_shard *shard = scene.connection->conn.shard;
    struct cmdi_account *account = &shard->buffers.account;
    taken = (size_t)(cmdi_account_mark(account) - cmdi_account_used(account)) - LARGE / 2;
    cmdi_account_add(account, taken);
    shard->relieve = NULL;
}

static void others_give_memory_back(void)
{
    cmdi_account_sub(&scene.connection->conn.shard->buffers.account, taken);
}

static int act_behind_memory(struct cmds_call *call, const struct act *act)
{
    (void)act;
    rounds++;
    int code = send_large(call);
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static void other_call_waits_for_memory(void)
{
    others_take_memory();
    scene.app.act = act_behind_memory;
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
    CU_ASSERT_EQUAL(rounds, 1);

    others_give_memory_back();
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 1);
}

static void test_held_runs_when_memory_has_come_back(void)
{
    large_beside(100000, other_call_waits_for_memory, 2);
    CU_ASSERT_EQUAL(rounds, 2);
    scene_close();
}

/* Refused elsewhere in one round, it fills the output in the next one, as another thread begins with a large one. */
static int act_refused_before(struct cmds_call *call, const struct act *act)
{
    if (cmds_call_round(call) == 0) {
        others_take_memory();
        CU_ASSERT_EQUAL(send_large(call), -ENOBUFS);
        others_give_memory_back();
        return CMDS_EXEC_AGAIN;
    }
    if (cmds_call_round(call) == 1) {
        cmdi_inbox_lock(&scene.connection->inbox);
        CU_ASSERT_EQUAL(cmdi_inbox_promise(&scene.connection->inbox, ALL_ROOM), 0);
        cmdi_inbox_unlock(&scene.connection->inbox);
    }
    return act_pages(call, act);
}

static void test_held_is_none_for_what_an_earlier_round_was_refused(void)
{
    scene_open();
    scene_send_each(false);
    rounds = pages = 0;
    scene.app.act = act_refused_before;

    (void)acts_send(scene.test, 2);

    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), PAGES);
    CU_ASSERT(rounds > 1);
    cmdi_inbox_lock(&scene.connection->inbox);
    cmdi_inbox_break_promise(&scene.connection->inbox, ALL_ROOM);
    cmdi_inbox_unlock(&scene.connection->inbox);
    scene_close();
}

/* --- It was cancelled meanwhile --------------------------------------------------------------- */

static struct cmdi_list *held_first(void)
{
    return cmdi_connection_more(scene.connection)->again.next;
}

/* As the deadlines of so many calls do, from the first one on. */
static void cancel_held(uint32_t count)
{
    struct cmdi_shard *before = cmdi_shard_set_current(scene.connection->conn.shard);
    struct cmdi_list *node = held_first();
    for (uint32_t i = 0; i < count; i++) {
        struct cmds_call *call = CMDI_CONTAINER(node, struct cmds_call, link);
        node = node->next;
        cmdi_call_cancel(call);
    }
    (void)cmdi_shard_set_current(before);
}

static void on_end_fails_the_kept_call(struct cmds_call *call)
{
    (void)call;
    ends++;
    cmds_call_fail(scene.kept, -EIO, "the program's own");
}

static void on_end(struct cmds_call *call)
{
    (void)call;
    ends++;
}

/* It is told of its end, and what that does. */
static int act_until_its_end(struct cmds_call *call, const struct act *act)
{
    if (cmds_call_round(call) == 0 && act->number > 0) {
        CU_ASSERT_EQUAL(
                cmds_call_on_end(call, act->number == 1 ? on_end : on_end_fails_the_kept_call), 0);
    }
    return act_again(call, act);
}

static void first_of_two_is_cancelled(void)
{
    scene.app.act = act_until_its_end;
    (void)acts_send(scene.test, 2);
    (void)acts_send(scene.test, 0);
    CU_ASSERT_EQUAL(rounds, 2);
    cancel_held(1);
}

/* The end of the first one lets the connection finish: the second one has no further round. */
static void test_held_runs_no_more_when_the_end_of_another_ends_the_connection(void)
{
    ends = 0;
    scene_open();
    rounds = 0;
    scene.in_encode = first_of_two_is_cancelled;
    (void)scene_send_value(false, ALL_ROOM);

    (void)cmds_test_result_count(scene.test);

    CU_ASSERT_EQUAL(ends, 1);
    CU_ASSERT(scene.connection->conn.state >= CMDI_CONN_FINISHING);
    CU_ASSERT_EQUAL(rounds, 2);
    scene_close();
}

static void run_with_a_budget_of(uint32_t budget)
{
    struct cmdi_conn *conn = &scene.connection->conn;
    struct cmdi_shard *before = cmdi_shard_set_current(conn->shard);
    conn->running = true;
    (void)cmdi_exec_run(conn, budget);
    conn->running = false;
    (void)cmdi_shard_set_current(before);
}

static void all_are_cancelled(void)
{
    scene.app.act = act_until_its_end;
    for (int i = 0; i < HELD; i++) {
        (void)acts_send(scene.test, 1);
    }
    cancel_held(HELD);
    run_with_a_budget_of(1);
    CU_ASSERT_EQUAL(ends, 1);
    run_with_a_budget_of(3);
    CU_ASSERT_EQUAL(ends, 4);
}

static void test_held_and_cancelled_counts_in_the_budget_of_a_run(void)
{
    ends = 0;
    large_beside(ALL_ROOM, all_are_cancelled, 1);
    CU_ASSERT_EQUAL(ends, HELD);
    scene_close();
}

/* --- It also waits to be told of room --------------------------------------------------------- */

static void on_writable(struct cmds_call *call)
{
    told++;
    CU_ASSERT_EQUAL(send_large(call), 0);
}

/* Refused once, it goes on with something else, until all of that is done. */
static int act_and_waits(struct cmds_call *call, const struct act *act)
{
    (void)act;
    if (rounds++ == 0) {
        others_take_memory();
        CU_ASSERT_EQUAL(send_large(call), -ENOBUFS);
        CU_ASSERT_EQUAL(scene_ask_writable(call, on_writable), 0);
    }
    return rounds < LINES ? CMDS_EXEC_AGAIN : 0;
}

/* What it was refused is as large as before, whatever rounds it has: else it is told while there is no room. */
static void test_held_rounds_leave_alone_what_waits_for_room(void)
{
    scene_open();
    rounds = told = 0;
    scene.app.act = act_and_waits;

    (void)acts_send(scene.test, 2);

    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
    CU_ASSERT_EQUAL(rounds, LINES);
    CU_ASSERT_EQUAL(told, 0);
    others_give_memory_back();
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 1);
    CU_ASSERT_EQUAL(told, 1);
    scene_close();
}

static CU_TestInfo test_held[] = {
        {"keeps nobody busy", test_held_keeps_nobody_busy},
        {"lets others go on", test_held_lets_others_go_on},
        {"let others pass, however many they are", test_held_let_others_pass_however_many_they_are},
        {"is no stream that its own output refuses",
                test_held_is_no_stream_that_its_own_output_refuses},
        {"runs when output has left", test_held_runs_when_output_has_left},
        {"runs when memory has come back", test_held_runs_when_memory_has_come_back},
        {"is none for what an earlier round was refused",
                test_held_is_none_for_what_an_earlier_round_was_refused},
        {"runs no more when the end of another ends the connection",
                test_held_runs_no_more_when_the_end_of_another_ends_the_connection},
        {"and cancelled, counts in the budget of a run",
                test_held_and_cancelled_counts_in_the_budget_of_a_run},
        {"rounds leave alone what waits for room",
                test_held_rounds_leave_alone_what_waits_for_room},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("exec_held", test_held)
