/* SPDX-License-Identifier: MIT */
/*
 * A call whose results are sent by its shard and by another thread. Where the shard's send calls the codec or the
 * transport, which it does without a lock, the other thread's comes in between. What may go wrong: a result leaves
 * behind the last one, or is lost; the right to the last one is taken, and nobody sends it or hears why; what was
 * taken for a result that is refused stays taken.
 */
#include <stdlib.h>

#include "server/call.h"
#include "server/count.h"
#include "support/harness.h"
#include "support/result_scene.h"

static void thread_sends_part(void)
{
    scene.code = scene_send_line(false, false);
}

static void thread_sends_last(void)
{
    scene.code = scene_send_line(false, true);
}

static void thread_sends_part_and_lets_go(void)
{
    thread_sends_part();
    struct cmdi_shard *before = cmdi_shard_set_current(NULL);
    cmds_call_unref(scene.kept);
    (void)cmdi_shard_set_current(before);
}

/* What the peer has: so many lines, the last of them behind the others. */
static void expect_lines(uint32_t count)
{
    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(scene.test), count);
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_result *result = cmds_test_result(scene.test, i);
        CU_ASSERT_EQUAL(result->error, 0);
        CU_ASSERT_EQUAL(line_of(result)->last, i + 1 == count);
    }
}

/* --- Nothing leaves behind it ----------------------------------------------------------------- */

static void test_last_is_the_threads_and_the_shard_sends_a_part(void)
{
    scene_open();
    CU_ASSERT_EQUAL(scene_send_line(false, false), 0); // Waits, so that the shard has to take it.
    scene.in_size = thread_sends_last;

    CU_ASSERT_EQUAL(scene_send_line(true, false), CMDS_E_FINISHED);

    CU_ASSERT_EQUAL(scene.code, 0);
    expect_lines(2);
    scene_close();
}

static void part_while_encoding(void (*fn)(void), bool is_alike)
{
    scene_open();
    if (is_alike) {
        CU_ASSERT_EQUAL(scene_send_line(true, false), 0);
    }
    scene.in_try = fn;

    CU_ASSERT_EQUAL(scene_send_line(true, true), 0);

    CU_ASSERT_EQUAL(scene.code, 0);
    expect_lines(is_alike ? 3 : 2);
    if (fn == thread_sends_part_and_lets_go) {
        (void)cmds_call_ref(scene.kept);
    }
    scene_close();
}

static void test_last_is_the_shards_and_a_thread_sends_a_part(void)
{
    part_while_encoding(thread_sends_part, false);
    part_while_encoding(thread_sends_part, true);
    part_while_encoding(thread_sends_part_and_lets_go, false);
    part_while_encoding(thread_sends_part_and_lets_go, true);
}

static void part_while_taking(void (*fn)(void))
{
    scene_open();
    scene_send_each(false);
    CU_ASSERT_EQUAL(scene_send_line(false, false), 0);
    scene.in_send = fn;

    CU_ASSERT_EQUAL(scene_send_line(true, true), 0);

    CU_ASSERT_EQUAL(scene.code, 0);
    expect_lines(3);
    if (fn == thread_sends_part_and_lets_go) {
        (void)cmds_call_ref(scene.kept);
    }
    scene_close();
}

static void test_last_is_the_shards_and_a_part_comes_while_it_takes_others(void)
{
    part_while_taking(thread_sends_part);
    part_while_taking(thread_sends_part_and_lets_go);
}

static void test_last_is_sent_once(void)
{
    scene_open();
    scene.in_try = thread_sends_last;

    CU_ASSERT_EQUAL(scene_send_line(true, true), CMDS_E_FINISHED);

    CU_ASSERT_EQUAL(scene.code, 0);
    expect_lines(1);
    scene_close();
}

/* --- Nothing is lost -------------------------------------------------------------------------- */

static void test_last_part_of_a_connection_that_finishes_is_refused_or_sent(void)
{
    scene_open();
    scene_send_each(false);
    struct cmdi_conn *conn = &scene.connection->conn;
    CU_ASSERT_EQUAL(scene_send_line(false, false), 0);
    scene.in_send = thread_sends_part;

    struct cmdi_shard *before = cmdi_shard_set_current(conn->shard);
    cmdi_conn_finish(conn);
    (void)cmdi_shard_set_current(before);

    CU_ASSERT_PTR_NULL(scene.in_send);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), scene.code == 0 ? 2 : 1);
    scene_close();
}

/* --- Without memory --------------------------------------------------------------------------- */

/* How many lines are sent meanwhile, the memory that is left behind them, and the size of the last result. */
struct shortage {
    size_t lines, left, last_size;
    int returns;             // The function in whose turn it is sent, without an answer of its own.
    uint64_t size_max;       // Of the memory before.
    int of_shard;            // The code of its send.
    struct cmds_error error; // The connection's, while it closes.
};

static struct shortage shortage;

static void thread_sends_many(void)
{
    struct cmdi_shard *shard = scene.connection->conn.shard;
    for (size_t i = 0; i < shortage.lines; i++) {
        CU_ASSERT_EQUAL_FATAL(scene_send_line(false, false), 0);
    }
    shard->flush_size = SIZE_MAX / 2;
    shortage.size_max = shard->buffers.account.size_max;
    shard->buffers.account.size_max = cmdi_account_used(&shard->buffers.account) + shortage.left;
}

/* Another command of the connection: in its turn the call's last result is sent. */
static int act_send_last(struct cmds_call *call, const struct act *act)
{
    (void)call;
    (void)act;
    scene_send_each(true);
    CU_ASSERT_EQUAL(scene_send_line(false, false), 0);
    cmdi_conn_note(&scene.connection->conn, CMDS_E_DRAINING, "an end in order is worth less");
    scene.in_send = thread_sends_many;
    shortage.of_shard = scene_send_value(true, shortage.last_size);
    scene.connection->conn.shard->buffers.account.size_max = shortage.size_max;
    CU_ASSERT_EQUAL(scene.app.cancels, 0);
    CU_ASSERT_EQUAL(scene_send_line(false, false), CMDS_E_GONE);
    CU_ASSERT_EQUAL(scene_send_line(true, false), CMDS_E_GONE);
    cmdi_conn_error(&scene.connection->conn, &shortage.error);
    return shortage.returns;
}

static void no_memory(size_t lines, size_t last_size, size_t left, int returns, const char *words)
{
    scene_open();
    shortage = (struct shortage){
            .lines = lines, .left = left, .last_size = last_size, .returns = returns};
    scene.app.act = act_send_last;

    (void)acts_send(scene.test, 2);

    CU_ASSERT_EQUAL(shortage.of_shard, CMDS_E_GONE);
    CU_ASSERT_EQUAL(shortage.error.code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_PTR_NOT_NULL(strstr(shortage.error.text, words));
    CU_ASSERT_EQUAL(scene.app.disconnects, 1);
    CU_ASSERT_EQUAL(scene.app.cancels, 1);                                 // Nobody was answered.
    CU_ASSERT_EQUAL(scene.connection->conn.ended_in, CMDI_CONN_FINISHING); // No end in order.
    CU_ASSERT_EQUAL(scene.connection->server_shard->counters.exec_errors, 0);
    CU_ASSERT_EQUAL(scene.connection->server_shard->counters.unfinished_calls, 0);
    CU_ASSERT_EQUAL(scene.app.errors, 0);
    CU_ASSERT_EQUAL(cmdi_call_status(scene.kept), CMDI_STATUS_CANCELLED);
    CU_ASSERT_EQUAL(scene_send_value(true, 1), CMDS_E_GONE);
    scene_close();
}

static void test_last_without_memory_cancels_the_call(void)
{
    no_memory(10000, 8, 8192, 0, "bytes of results");
    no_memory(600, 14000, 20000, CMDS_E_GONE, "no memory for the last result of command 1");
}

/* There is none for what other threads sent before. */
static int act_send_last_behind_many(struct cmds_call *call, const struct act *act)
{
    (void)call;
    (void)act;
    scene_send_each(true);
    thread_sends_many();
    shortage.of_shard = scene_send_line(true, true);
    scene.connection->conn.shard->buffers.account.size_max = shortage.size_max;
    CU_ASSERT_EQUAL(scene.app.cancels, 0);
    CU_ASSERT_EQUAL(scene_send_line(true, true), CMDS_E_GONE);
    CU_ASSERT_EQUAL(scene_send_line(false, false), CMDS_E_GONE);
    return 0;
}

/* By its on_cancel, which does not interrupt who sends: the call may be looked at behind its send. */
static void expect_let_go(int (*act)(struct cmds_call *call, const struct act *act))
{
    scene_open();
    scene.lets_go = true;
    shortage = (struct shortage){
            .lines = 9000, .left = act == act_send_last ? 8192 : 0, .last_size = 8};
    scene.app.act = act;

    (void)acts_send(scene.test, 2);

    CU_ASSERT_EQUAL(shortage.of_shard, CMDS_E_GONE);
    CU_ASSERT_EQUAL(scene.app.cancels, 1);
    CU_ASSERT_PTR_NULL(scene.kept);
    scene_close();
}

static void test_last_without_memory_may_be_let_go_of(void)
{
    expect_let_go(act_send_last);
    expect_let_go(act_send_last_behind_many);
}

/* --- Refused, it takes nothing ---------------------------------------------------------------- */

static void refused_elsewhere(size_t size)
{
    scene_open();
    struct cmdi_account *account = &scene.connection->conn.shard->buffers.account;
    cmdi_account_trim(account);
    uint64_t before = atomic_load(&account->shared_size);
    scene.in_size = scene_shard_sends_last;

    CU_ASSERT_EQUAL(size > 0 ? scene_send_value(false, size) : scene_send_line(false, false),
            CMDS_E_FINISHED);

    (void)cmds_test_result_count(scene.test);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(atomic_load(&account->shared_size), before);
    scene_close();
}

static void test_last_was_sent_and_another_threads_takes_no_memory(void)
{
    refused_elsewhere(0);
    refused_elsewhere(200000);
}

static void expect_no_empty_buffer(void)
{
    const struct cmdi_conn *conn = &scene.connection->conn;
    CU_ASSERT(conn->fill.data == NULL || conn->fill.end > 0);
}

static void test_last_was_sent_and_the_shards_keeps_no_buffer(void)
{
    scene_open();
    scene_send_each(true);
    CU_ASSERT_EQUAL(scene_send_line(false, false), 0);
    scene.in_size = thread_sends_last;

    CU_ASSERT_EQUAL(scene_send_line(true, true), CMDS_E_FINISHED);

    expect_no_empty_buffer();
    cmds_test_disconnect(scene.test);
    scene_close();
}

/* The codec wrote it, and then, since others have the call, does not tell its size. */
static void test_last_that_its_codec_refuses_keeps_no_buffer(void)
{
    scene_open();
    scene.knows_size = false;

    CU_ASSERT_EQUAL(scene_send_line(true, true), CMDS_E_LIMIT);

    expect_no_empty_buffer();
    scene.knows_size = true;
    CU_ASSERT_EQUAL(scene_send_line(true, true), 0);
    expect_lines(1);
    scene_close();
}

static CU_TestInfo test_last[] = {
        {"the thread's, and the shard sends a part",
                test_last_is_the_threads_and_the_shard_sends_a_part},
        {"the shard's, and a thread sends a part",
                test_last_is_the_shards_and_a_thread_sends_a_part},
        {"the shard's, and a part comes while it takes others",
                test_last_is_the_shards_and_a_part_comes_while_it_takes_others},
        {"sent once", test_last_is_sent_once},
        {"a part of a connection that finishes is refused or sent",
                test_last_part_of_a_connection_that_finishes_is_refused_or_sent},
        {"without memory the call is cancelled", test_last_without_memory_cancels_the_call},
        {"without memory it may be let go of", test_last_without_memory_may_be_let_go_of},
        {"was sent, and another thread's takes no memory",
                test_last_was_sent_and_another_threads_takes_no_memory},
        {"was sent, and the shard's keeps no buffer",
                test_last_was_sent_and_the_shards_keeps_no_buffer},
        {"refused by its codec, it keeps no buffer",
                test_last_that_its_codec_refuses_keeps_no_buffer},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("result_last", test_last)
