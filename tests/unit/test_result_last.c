/* SPDX-License-Identifier: MIT */
/*
 * A call whose results are sent by its shard and by another thread. Where the shard's send calls the codec or the
 * transport, which it does without a lock, the other thread's comes in between. What may go wrong: a result leaves
 * behind the last one, or is lost; the right to the last one is taken, and nobody sends it or hears why; what was
 * taken for a result that is refused stays taken.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "conn/parts.h"
#include "server/call.h"
#include "server/count.h"
#include "server/result.h"
#include "support/acts.h"
#include "support/harness.h"

struct scene {
    struct app app;
    struct cmds_test *test;
    struct cmds_call *kept; // By its shard and by the other thread.
    struct cmds_connection *connection;
    struct cmds_codec codec;
    struct cmdi_transport transport;
    // What the other thread does in there, once.
    void (*in_size)(void), (*in_try)(void), (*in_encode)(void), (*in_send)(void);
    bool takes;         // What is sent to the peer; else it waits.
    bool lets_go;       // on_cancel lets go of the call, as programs do.
    bool knows_size;    // Else the codec refuses to tell one.
    int64_t number;     // Of the last line.
    int code, of_shard; // Of the other thread's sends, and of the shard's.
    // For test_no_memory(): how many lines are sent meanwhile, the memory that is left behind them, and the size of
    // the last result.
    size_t lines, left, last_size;
    uint64_t size_max;
    struct cmds_error error; // The connection's, while it closes.
    int returns;             // The function in whose turn it is sent, without an answer of its own.
};

static struct scene scene;

static void let_in(void (**place)(void))
{
    void (*fn)(void) = *place;
    *place = NULL;
    if (fn != NULL) {
        fn();
    }
}

static int64_t scene_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    let_in(&scene.in_size);
    return scene.knows_size ? cmds_codec_msgpack.size(&cmds_codec_msgpack, type, value)
                            : CMDS_E_LIMIT;
}

static int64_t scene_try_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    let_in(&scene.in_try);
    return cmds_codec_msgpack.try_encode(&cmds_codec_msgpack, type, value, out, room);
}

static uint8_t *scene_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    let_in(&scene.in_encode);
    return cmds_codec_msgpack.encode(&cmds_codec_msgpack, type, value, out, size);
}

static int64_t scene_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)conn;
    (void)data;
    let_in(&scene.in_send);
    return scene.takes ? (int64_t)size : 0;
}

static void scene_let_go(void)
{
    struct cmds_call *kept = scene.kept;
    scene.kept = NULL;
    cmds_call_unref(kept);
    cmds_call_unref(kept);
}

static void on_cancel(struct cmds_call *call)
{
    ((struct app *)cmds_call_receiver(call))->cancels++;
    if (scene.lets_go) {
        scene_let_go();
    }
}

static int act_keep(struct cmds_call *call, const struct act *act)
{
    (void)act;
    scene.app.kept = cmds_call_ref(call);
    cmds_call_on_cancel(call, on_cancel);
    return 0;
}

static void scene_open(void)
{
    scene = (struct scene){.app.act = act_keep, .codec = cmds_codec_msgpack, .knows_size = true};
    scene.codec.size = scene_size;
    scene.codec.try_encode = scene_try_encode;
    scene.codec.encode = scene_encode;
    struct cmds_server_options options = acts_options(&scene.app);
    options.output_size_max = 1024 * 1024;
    options.codec = &scene.codec;
    scene.test = acts_open_with(&options);
    CU_ASSERT_EQUAL(acts_send(scene.test, 1), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(scene.app.kept);
    scene.kept = scene.app.kept;
    scene.connection = scene.kept->connection;
    (void)cmds_call_ref(scene.kept);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
}

static void scene_close(void)
{
    if (scene.kept != NULL) {
        scene_let_go();
    }
    cmds_test_close(scene.test);
}

/* From here on each frame is sent at once, if the peer takes it. */
static void scene_send_each(bool takes)
{
    struct cmdi_conn *conn = &scene.connection->conn;
    scene.transport = *conn->transport;
    scene.transport.send_now = scene_send_now;
    scene.takes = takes;
    conn->transport = &scene.transport;
    conn->shard->flush_size = 1;
}

static int scene_send(bool from_shard, struct cmds_message message)
{
    struct cmdi_shard *shard = scene.connection->conn.shard;
    struct cmdi_shard *before = cmdi_shard_set_current(from_shard ? shard : NULL);
    int code = cmds_call_send(scene.kept, message);
    (void)cmdi_shard_set_current(before);
    return code;
}

static int send_line(bool from_shard, bool last)
{
    struct line line = {++scene.number, last};
    return scene_send(from_shard, line_message(&line));
}

static int send_value(bool from_shard, size_t size)
{
    char *text = calloc(1, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    struct value value = {1, {text, size}};
    int code = scene_send(from_shard, value_message(&value));
    free(text);
    return code;
}

/* Not a last one. */
static int send_page(size_t size)
{
    char *text = calloc(1, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    struct page page = {{text, size}, false};
    int code = scene_send(false, page_message(&page));
    free(text);
    return code;
}

static void thread_sends_part(void)
{
    scene.code = send_line(false, false);
}

static void thread_sends_last(void)
{
    scene.code = send_line(false, true);
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
    CU_ASSERT_EQUAL(send_line(false, false), 0); // Waits, so that the shard has to take it.
    scene.in_size = thread_sends_last;

    CU_ASSERT_EQUAL(send_line(true, false), CMDS_E_FINISHED);

    CU_ASSERT_EQUAL(scene.code, 0);
    expect_lines(2);
    scene_close();
}

static void part_while_encoding(void (*fn)(void), bool is_alike)
{
    scene_open();
    if (is_alike) {
        CU_ASSERT_EQUAL(send_line(true, false), 0);
    }
    scene.in_try = fn;

    CU_ASSERT_EQUAL(send_line(true, true), 0);

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
    CU_ASSERT_EQUAL(send_line(false, false), 0);
    scene.in_send = fn;

    CU_ASSERT_EQUAL(send_line(true, true), 0);

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

    CU_ASSERT_EQUAL(send_line(true, true), CMDS_E_FINISHED);

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
    CU_ASSERT_EQUAL(send_line(false, false), 0);
    scene.in_send = thread_sends_part;

    struct cmdi_shard *before = cmdi_shard_set_current(conn->shard);
    cmdi_conn_finish(conn);
    (void)cmdi_shard_set_current(before);

    CU_ASSERT_PTR_NULL(scene.in_send);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), scene.code == 0 ? 2 : 1);
    scene_close();
}

/* --- Without memory --------------------------------------------------------------------------- */

static void thread_sends_many(void)
{
    struct cmdi_shard *shard = scene.connection->conn.shard;
    for (size_t i = 0; i < scene.lines; i++) {
        CU_ASSERT_EQUAL_FATAL(send_line(false, false), 0);
    }
    shard->flush_size = SIZE_MAX / 2;
    scene.size_max = shard->buffers.account.size_max;
    shard->buffers.account.size_max = cmdi_account_used(&shard->buffers.account) + scene.left;
}

/* Another command of the connection: in its turn the call's last result is sent. */
static int act_send_last(struct cmds_call *call, const struct act *act)
{
    (void)call;
    (void)act;
    scene_send_each(true);
    CU_ASSERT_EQUAL(send_line(false, false), 0);
    cmdi_conn_note(&scene.connection->conn, CMDS_E_DRAINING, "an end in order is worth less");
    scene.in_send = thread_sends_many;
    scene.of_shard = send_value(true, scene.last_size);
    scene.connection->conn.shard->buffers.account.size_max = scene.size_max;
    CU_ASSERT_EQUAL(scene.app.cancels, 0);
    CU_ASSERT_EQUAL(send_line(false, false), CMDS_E_GONE);
    CU_ASSERT_EQUAL(send_line(true, false), CMDS_E_GONE);
    cmdi_conn_error(&scene.connection->conn, &scene.error);
    return scene.returns;
}

static void no_memory(size_t lines, size_t last_size, size_t left, int returns, const char *words)
{
    scene_open();
    scene.returns = returns;
    scene.lines = lines;
    scene.last_size = last_size;
    scene.left = left;
    scene.app.act = act_send_last;

    (void)acts_send(scene.test, 2);

    CU_ASSERT_EQUAL(scene.of_shard, CMDS_E_GONE);
    CU_ASSERT_EQUAL(scene.error.code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_PTR_NOT_NULL(strstr(scene.error.text, words));
    CU_ASSERT_EQUAL(scene.app.disconnects, 1);
    CU_ASSERT_EQUAL(scene.app.cancels, 1);                                 // Nobody was answered.
    CU_ASSERT_EQUAL(scene.connection->conn.ended_in, CMDI_CONN_FINISHING); // No end in order.
    CU_ASSERT_EQUAL(scene.connection->server_shard->counters.exec_errors, 0);
    CU_ASSERT_EQUAL(scene.connection->server_shard->counters.unfinished_calls, 0);
    CU_ASSERT_EQUAL(scene.app.errors, 0);
    CU_ASSERT_EQUAL(cmdi_call_status(scene.kept), CMDI_STATUS_CANCELLED);
    CU_ASSERT_EQUAL(send_value(true, 1), CMDS_E_GONE);
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
    scene.of_shard = send_line(true, true);
    scene.connection->conn.shard->buffers.account.size_max = scene.size_max;
    CU_ASSERT_EQUAL(scene.app.cancels, 0);
    CU_ASSERT_EQUAL(send_line(true, true), CMDS_E_GONE);
    CU_ASSERT_EQUAL(send_line(false, false), CMDS_E_GONE);
    return 0;
}

/* By its on_cancel, which does not interrupt who sends: the call may be looked at behind its send. */
static void expect_let_go(int (*act)(struct cmds_call *call, const struct act *act))
{
    scene_open();
    scene.lets_go = true;
    scene.lines = 9000;
    scene.last_size = 8;
    scene.left = act == act_send_last ? 8192 : 0;
    scene.app.act = act;

    (void)acts_send(scene.test, 2);

    CU_ASSERT_EQUAL(scene.of_shard, CMDS_E_GONE);
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

static void shard_sends_last(void)
{
    CU_ASSERT_EQUAL(send_line(true, true), 0);
}

static void refused_elsewhere(size_t size)
{
    scene_open();
    struct cmdi_account *account = &scene.connection->conn.shard->buffers.account;
    cmdi_account_trim(account);
    uint64_t before = atomic_load(&account->shared_size);
    scene.in_size = shard_sends_last;

    CU_ASSERT_EQUAL(size > 0 ? send_value(false, size) : send_line(false, false), CMDS_E_FINISHED);

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
    CU_ASSERT_EQUAL(send_line(false, false), 0);
    scene.in_size = thread_sends_last;

    CU_ASSERT_EQUAL(send_line(true, true), CMDS_E_FINISHED);

    expect_no_empty_buffer();
    cmds_test_disconnect(scene.test);
    scene_close();
}

/* The codec wrote it, and then, since others have the call, does not tell its size. */
static void test_last_that_its_codec_refuses_keeps_no_buffer(void)
{
    scene_open();
    scene.knows_size = false;

    CU_ASSERT_EQUAL(send_line(true, true), CMDS_E_LIMIT);

    expect_no_empty_buffer();
    scene.knows_size = true;
    CU_ASSERT_EQUAL(send_line(true, true), 0);
    expect_lines(1);
    scene_close();
}

/* --- A large one of another thread ------------------------------------------------------------ */

enum {
    LARGE = 200000,
};

static void somebody_takes_the_lock(void)
{
    pthread_mutex_t *lock = &scene.connection->inbox.room->lock;
    scene.code = pthread_mutex_trylock(lock);
    if (scene.code == 0) {
        (void)pthread_mutex_unlock(lock);
    }
}

/* The shard takes that lock, and senders to other connections do. */
static void test_large_is_written_without_the_lock(void)
{
    scene_open();
    scene.in_encode = somebody_takes_the_lock;
    scene.code = -1;

    CU_ASSERT_EQUAL(send_value(false, LARGE), 0);

    CU_ASSERT_EQUAL(scene.code, 0);
    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(scene.test), 1);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(scene.test, 0))->text.size, LARGE);
    scene_close();
}

static void thread_sends_all_it_may(void)
{
    while (send_line(false, false) == 0) {
    }
}

static void connection_ends(void)
{
    cmds_test_disconnect(scene.test);
}

/* It was written, and is refused: nobody has it, and it takes no memory. */
static void large_is_refused(bool is_last, void (*meanwhile)(void), int code)
{
    scene_open();
    struct cmdi_account *account = &scene.connection->conn.shard->buffers.account;
    cmdi_account_trim(account);
    uint64_t before = atomic_load(&account->shared_size);
    scene.in_encode = meanwhile;

    CU_ASSERT_EQUAL(is_last ? send_value(false, LARGE) : send_page(LARGE), code);

    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), meanwhile == shard_sends_last);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(atomic_load(&account->shared_size), before);
    scene_close();
}

static void test_large_is_refused_when_it_was_written(void)
{
    large_is_refused(false, shard_sends_last, CMDS_E_FINISHED);
    large_is_refused(true, shard_sends_last, CMDS_E_FINISHED);
    large_is_refused(false, connection_ends, CMDS_E_GONE);
    large_is_refused(true, connection_ends, CMDS_E_GONE);
}

/* It has its place while it is written, and what others send meanwhile goes first. */
static void test_large_counts_while_it_is_written(void)
{
    scene_open();
    scene.in_encode = thread_sends_all_it_may;

    CU_ASSERT_EQUAL(send_value(false, LARGE), 0);

    int64_t lines = scene.number - 1;
    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(scene.test), lines + 1);
    CU_ASSERT_PTR_NOT_NULL(value_of(cmds_test_result(scene.test, (uint32_t)lines)));
    scene_close();

    scene_open();
    thread_sends_all_it_may();
    CU_ASSERT(scene.number - 1 > lines + LARGE / 100); // The others had less room.
    scene_close();
}

static uint32_t writable;

static void on_writable(struct cmds_call *call)
{
    (void)call;
    writable++;
}

/* Another call is refused, as a large result of the first one is being written; and that does not come. */
static void other_call_waits(void)
{
    struct line line = {1, false};
    struct cmdi_shard *before = cmdi_shard_set_current(NULL);
    CU_ASSERT_EQUAL(cmds_call_send(scene.app.kept, line_message(&line)), -ENOBUFS);
    CU_ASSERT_EQUAL(cmds_call_on_writable(scene.app.kept, on_writable), 0);
    (void)cmdi_shard_set_current(before);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
    CU_ASSERT_EQUAL(writable, 0);
    shard_sends_last();
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 1);
    CU_ASSERT_EQUAL(writable, 0);
}

static void test_large_that_does_not_come_makes_room(void)
{
    scene_open();
    writable = 0;
    CU_ASSERT_EQUAL(acts_send(scene.test, 2), 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(scene.app.kept, scene.kept);
    scene.in_encode = other_call_waits;

    CU_ASSERT_EQUAL(send_value(false, 1024 * 1024), CMDS_E_FINISHED);

    CU_ASSERT_TRUE(cmdi_inbox_is_posted(&scene.connection->inbox)); // The shard may sleep.
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 1);
    CU_ASSERT_EQUAL(writable, 1);
    cmds_call_unref(scene.app.kept);
    scene_close();
}

static uint32_t rounds;

/* Another call runs while a large result is written; so many results have come behind both. */
static void large_beside(void (*meanwhile)(void), uint32_t results)
{
    scene_open();
    rounds = 0;
    scene.in_encode = meanwhile;

    CU_ASSERT_EQUAL(send_value(false, 1024 * 1024), 0);

    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(scene.test), results);
}

static int act_again(struct cmds_call *call, const struct act *act)
{
    (void)act;
    struct line line = {1, true};
    struct cmdi_shard *before = cmdi_shard_set_current(NULL); // As in the pool.
    int code = cmds_call_send(call, line_message(&line));
    (void)cmdi_shard_set_current(before);
    rounds++;
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static void other_call_runs(void)
{
    scene.app.act = act_again;
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
    CU_ASSERT_EQUAL(rounds, 1);
}

/* What finds no room beside it runs again when it is there, not all the time until then. */
static void test_large_keeps_nobody_busy(void)
{
    large_beside(other_call_runs, 2);
    CU_ASSERT_PTR_NOT_NULL(value_of(cmds_test_result(scene.test, 0)));
    CU_ASSERT_EQUAL(rounds, 2);
    scene_close();
}

/* A line in each round, on the shard. */
static int act_lines(struct cmds_call *call, const struct act *act)
{
    (void)act;
    rounds++;
    struct line line = {rounds, rounds == 3};
    int code = cmds_call_send(call, line_message(&line));
    return code == 0 && rounds < 3 ? CMDS_EXEC_AGAIN : code;
}

static void other_call_streams(void)
{
    scene.app.act = act_lines;
    (void)acts_send(scene.test, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 3);
}

static void test_large_lets_others_go_on(void)
{
    large_beside(other_call_streams, 4);
    scene_close();
}

static void test_large_is_not_written_for_nothing(void)
{
    scene_open();
    thread_sends_all_it_may();
    scene.in_encode = somebody_takes_the_lock;

    CU_ASSERT_EQUAL(send_value(false, LARGE), -ENOBUFS);

    CU_ASSERT_PTR_NOT_NULL(scene.in_encode);
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
        {"a large one is written without the lock", test_large_is_written_without_the_lock},
        {"a large one is refused when it was written", test_large_is_refused_when_it_was_written},
        {"a large one counts while it is written", test_large_counts_while_it_is_written},
        {"a large one that does not come makes room", test_large_that_does_not_come_makes_room},
        {"a large one keeps nobody busy", test_large_keeps_nobody_busy},
        {"a large one lets others go on", test_large_lets_others_go_on},
        {"a large one is not written for nothing", test_large_is_not_written_for_nothing},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("result_last", test_last)
