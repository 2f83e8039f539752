/* SPDX-License-Identifier: MIT */
/*
 * Results from other threads: they leave in the order of their sends and share the output's bound
 * with the shard; what was accepted leaves before the FIN; and a connection stays while a mail of
 * theirs is under way.
 */
#include <errno.h>

#include "conn/parts.h"
#include "server/call.h"
#include "server/result.h"
#include "support/acts.h"
#include "support/harness.h"

enum {
    BOUND = 64 * 1024,
    SLACK = 64, // A result and what stands before it.
};

/* A call that is kept, and the numbers of its results, which come as 1, 2, 3... */
struct stream {
    struct app app;
    struct cmds_test *test;
    struct cmds_connection *connection;
    int64_t sent;
};

static int act_keep(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    (void)act;
    app->kept = cmds_call_ref(call);
    return 0;
}

/* What this thread does with the call from here on is done off the shard. */
static void stream_open(struct stream *stream)
{
    *stream = (struct stream){.app = {.act = act_keep}};
    struct cmds_server_options options = acts_options(&stream->app);
    options.output_size_max = BOUND;
    stream->test = acts_open_with(&options);
    CU_ASSERT_EQUAL(acts_send(stream->test, 1), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stream->app.kept);
    CU_ASSERT_PTR_NULL(cmdi_shard_current());
    stream->connection = stream->app.kept->connection;
}

static int stream_send(struct stream *stream, bool last)
{
    struct line line = {stream->sent + 1, last};
    int code = cmds_call_send(stream->app.kept, line_message(&line));
    stream->sent += code == 0;
    return code;
}

/* As many as are accepted. */
static void stream_fill(struct stream *stream)
{
    int code = 0;
    while (code == 0) {
        code = stream_send(stream, false);
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
}

static void stream_fill_on_shard(struct stream *stream)
{
    struct cmdi_shard *before = cmdi_shard_set_current(stream->connection->conn.shard);
    stream_fill(stream);
    (void)cmdi_shard_set_current(before);
}

/* Of the inbox and the output. */
static size_t stream_size(const struct stream *stream)
{
    return cmdi_inbox_size(&stream->connection->inbox) +
           cmdi_conn_output_size(&stream->connection->conn);
}

/* Everything that was accepted has come, in order. */
static void stream_expect_all(struct stream *stream)
{
    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(stream->test), (uint32_t)stream->sent);
    for (uint32_t i = 0; i < (uint32_t)stream->sent; i++) {
        CU_ASSERT_EQUAL(line_of(cmds_test_result(stream->test, i))->number, (int64_t)i + 1);
    }
}

/* Nothing goes behind the last one, wherever it is sent from. */
static void expect_finished(struct stream *stream)
{
    for (uint32_t last = 0; last < 2; last++) {
        CU_ASSERT_EQUAL(stream_send(stream, last != 0), CMDS_E_FINISHED);
        struct cmdi_shard *before = cmdi_shard_set_current(stream->connection->conn.shard);
        CU_ASSERT_EQUAL(stream_send(stream, last != 0), CMDS_E_FINISHED);
        (void)cmdi_shard_set_current(before);
    }
}

/* --- The bound -------------------------------------------------------------------------------- */

static void share_the_bound(bool shard_first)
{
    struct stream stream;
    stream_open(&stream);
    struct cmdi_conn *conn = &stream.connection->conn;
    struct cmdi_inbox *inbox = &stream.connection->inbox;

    if (shard_first) {
        stream_fill_on_shard(&stream);
    }
    stream_fill(&stream);
    CU_ASSERT(cmdi_inbox_size(inbox) > 0 || shard_first);
    CU_ASSERT(stream_size(&stream) >= BOUND / 2);
    CU_ASSERT(stream_size(&stream) <= BOUND + 2 * SLACK);
    CU_ASSERT(cmdi_conn_held(conn) >= stream_size(&stream));
    stream_fill_on_shard(&stream); // What waits is taken first.
    CU_ASSERT_EQUAL(cmdi_inbox_size(inbox), 0);
    stream_fill(&stream);
    CU_ASSERT(stream_size(&stream) <= BOUND + 2 * SLACK);

    cmdi_shard_flush(conn->shard, &conn->more->flush);
    stream_expect_all(&stream);
    CU_ASSERT_EQUAL(stream_size(&stream), 0);
    stream_fill(&stream); // There is room for them again.
    CU_ASSERT(cmdi_inbox_size(inbox) >= BOUND / 2 - SLACK);
    stream_expect_all(&stream);
    CU_ASSERT_EQUAL(stream_send(&stream, true), 0);
    expect_finished(&stream);
    stream_expect_all(&stream);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

static void test_results_of_threads_and_shard_share_a_bound(void)
{
    share_the_bound(false);
    share_the_bound(true);
}

static struct stream *mid_take;

/* In the middle of a take: what was taken is neither in the inbox nor all in the output. */
static int64_t send_nothing_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)conn;
    (void)data;
    (void)size;
    struct cmdi_shard *before = cmdi_shard_set_current(NULL);
    stream_fill(mid_take);
    (void)cmdi_shard_set_current(before);
    return 0;
}

static void test_results_that_are_being_taken_count(void)
{
    struct stream stream;
    stream_open(&stream);
    struct cmdi_conn *conn = &stream.connection->conn;
    struct cmdi_transport transport = *conn->transport;
    struct cmdi_shard *before = cmdi_shard_set_current(conn->shard);
    transport.send_now = send_nothing_now;
    conn->transport = &transport;
    while (cmdi_conn_output_size(conn) < BOUND / 2) {
        CU_ASSERT_EQUAL_FATAL(stream_send(&stream, false), 0);
    }
    (void)cmdi_shard_set_current(NULL);
    stream_fill(&stream);
    CU_ASSERT(cmdi_inbox_size(&stream.connection->inbox) > BOUND / 4);

    (void)cmdi_shard_set_current(conn->shard);
    int64_t sent = stream.sent;
    mid_take = &stream;
    conn->shard->flush_size = 1024;
    cmdi_result_take(stream.connection);
    (void)cmdi_shard_set_current(before);

    CU_ASSERT(stream.sent - sent < SLACK); // As much as the headers of the records took.
    CU_ASSERT(stream_size(&stream) <= BOUND + 2 * SLACK);
    stream_expect_all(&stream);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

/* Once, in the middle of a take: another thread sends one more. */
static int64_t send_one_more(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)conn;
    (void)data;
    (void)size;
    struct stream *stream = mid_take;
    mid_take = NULL;
    if (stream != NULL) {
        struct cmdi_shard *before = cmdi_shard_set_current(NULL);
        CU_ASSERT_EQUAL(stream_send(stream, false), 0);
        (void)cmdi_shard_set_current(before);
    }
    return 0;
}

static void test_results_sent_while_others_are_taken_come_too(void)
{
    struct stream stream;
    stream_open(&stream);
    struct cmdi_conn *conn = &stream.connection->conn;
    struct cmdi_transport transport = *conn->transport;
    transport.send_now = send_one_more;
    conn->transport = &transport;
    for (uint32_t i = 0; i < SLACK; i++) {
        CU_ASSERT_EQUAL(stream_send(&stream, false), 0);
    }

    mid_take = &stream;
    conn->shard->flush_size = 128;
    CU_ASSERT(cmds_test_result_count(stream.test) > SLACK); // Its mail comes.

    CU_ASSERT_PTR_NULL(mid_take);
    stream_expect_all(&stream);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

static void test_results_refused_for_memory_wake_the_shard(void)
{
    struct stream stream;
    stream_open(&stream);
    struct cmdi_account *account = &stream.connection->conn.shard->buffers.account;
    uint64_t size_max = account->size_max;

    account->size_max = cmdi_account_used(account);
    CU_ASSERT_EQUAL(stream_send(&stream, false), -ENOBUFS);
    CU_ASSERT_TRUE(cmdi_inbox_is_posted(&stream.connection->inbox));
    account->size_max = size_max;
    CU_ASSERT_EQUAL(cmds_test_result_count(stream.test), 0);
    CU_ASSERT_FALSE(cmdi_inbox_is_posted(&stream.connection->inbox));

    CU_ASSERT_EQUAL(stream_send(&stream, true), 0);
    stream_expect_all(&stream);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

/* The same of a large one, which goes another way. */
static void test_large_results_refused_for_memory_wake_the_shard(void)
{
    static char text[20000];
    struct page page = {{text, sizeof(text)}, false};
    struct stream stream;
    stream_open(&stream);
    struct cmdi_account *account = &stream.connection->conn.shard->buffers.account;
    uint64_t size_max = account->size_max;

    cmdi_account_add(account, 1 << 20);
    account->size_max = cmdi_account_used(account);
    struct cmdi_shard *shard = cmdi_shard_set_current(NULL);
    CU_ASSERT_EQUAL(cmds_call_send(stream.app.kept, page_message(&page)), -ENOBUFS);
    (void)cmdi_shard_set_current(shard);
    CU_ASSERT_TRUE(cmdi_inbox_is_posted(&stream.connection->inbox));
    cmdi_account_sub(account, 1 << 20);
    account->size_max = size_max;

    CU_ASSERT_EQUAL(stream_send(&stream, true), 0);
    stream_expect_all(&stream);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

static struct stream *in_exec;

/* Of another command of the connection. */
static int act_without_memory(struct cmds_call *call, const struct act *act)
{
    struct cmdi_shard *shard = cmdi_shard_set_current(NULL);
    struct cmdi_account *account = &shard->buffers.account;
    uint64_t size_max = account->size_max;
    (void)act;
    stream_fill(in_exec);
    (void)cmdi_shard_set_current(shard);

    account->size_max = cmdi_account_used(account);
    CU_ASSERT_EQUAL(stream_send(in_exec, false), CMDS_E_GONE);
    account->size_max = size_max;

    CU_ASSERT_EQUAL(call->connection->conn.state, CMDI_CONN_FINISHING); // Until the turn ends.
    CU_ASSERT_EQUAL(call->connection->conn.error_code, CMDS_E_MEMORY_LIMIT);
    return 0;
}

/* The shard's own send takes what others have sent, and there is no memory for that. */
static void test_results_that_find_no_memory_end_their_connection(void)
{
    struct stream stream;
    stream_open(&stream);
    stream.app.act = act_without_memory;
    in_exec = &stream;

    CU_ASSERT_EQUAL(acts_send(stream.test, 2), 0);

    CU_ASSERT_EQUAL(stream.app.runs, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(stream.test), 0);
    CU_ASSERT_EQUAL(stream.app.disconnects, 1);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void test_results_leave_before_the_fin(void)
{
    struct stream stream;
    stream_open(&stream);
    struct cmdi_conn *conn = &stream.connection->conn;
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(stream_send(&stream, false), 0);
    }

    struct cmdi_shard *before = cmdi_shard_set_current(conn->shard);
    cmdi_conn_finish(conn);
    (void)cmdi_shard_set_current(before);

    CU_ASSERT_EQUAL(cmdi_inbox_size(&stream.connection->inbox), 0);
    CU_ASSERT_EQUAL(stream_send(&stream, false), CMDS_E_GONE);
    stream_expect_all(&stream);
    cmds_call_unref(stream.app.kept);
    cmds_test_close(stream.test);
}

/* Sends as another thread would, and closes before the mailbox is looked at. */
static int act_close_behind_mail(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    struct cmds_connection *connection = call->connection;
    struct cmdi_conn *conn = &connection->conn;
    struct cmdi_shard *shard = cmdi_shard_set_current(NULL);
    CU_ASSERT_EQUAL(acts_answer(call, act->number), 0);
    (void)cmdi_shard_set_current(shard);

    static struct cmdi_transport transport;
    transport = *conn->transport;
    transport.abort = cmdi_conn_on_closed; // At once: nothing is in flight.
    conn->transport = &transport;
    cmdi_conn_fail(conn, CMDS_E_CLOSED, "closed");
    cmdi_conn_run(shard, &conn->ready);

    CU_ASSERT_EQUAL(conn->state, CMDI_CONN_CLOSED);
    CU_ASSERT_EQUAL(app->disconnects, 1);
    CU_ASSERT_EQUAL(connection->state, CMDI_CONNECTION_TOLD);
    CU_ASSERT_FALSE(cmdi_list_empty(&connection->server_shard->connections));
    return 0;
}

static void test_a_connection_stays_while_a_mail_is_under_way(void)
{
    struct app app = {.act = act_close_behind_mail};
    struct cmds_test *test = acts_open(&app);

    (void)acts_send(test, 1);

    CU_ASSERT_EQUAL(app.disconnects, 1);
    app.act = acts_echo;
    CU_ASSERT_EQUAL(acts_send(test, 1), 0); // On the next connection.
    CU_ASSERT_EQUAL(app.connects, 2);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app.disconnects, 2);
}

CU_TestInfo test_result[] = {
        {"results of threads and shard share a bound",
                test_results_of_threads_and_shard_share_a_bound},
        {"results that are being taken count", test_results_that_are_being_taken_count},
        {"results sent while others are taken come too",
                test_results_sent_while_others_are_taken_come_too},
        {"results that find no memory end their connection",
                test_results_that_find_no_memory_end_their_connection},
        {"results refused for memory wake the shard",
                test_results_refused_for_memory_wake_the_shard},
        {"large results refused for memory wake the shard",
                test_large_results_refused_for_memory_wake_the_shard},
        {"results leave before the FIN", test_results_leave_before_the_fin},
        {"a connection stays while a mail is under way",
                test_a_connection_stays_while_a_mail_is_under_way},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("result", test_result)
