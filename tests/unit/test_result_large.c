/* SPDX-License-Identifier: MIT */
/*
 * A large result of another thread, which has its place in the inbox before it is written, and is written without the
 * inbox's lock. What may go wrong: the shard waits for the codec; others take the place; a result that is refused when
 * it was written is left all the same, or keeps its memory, or whoever waits for its place is not told.
 */
#include <errno.h>
#include <pthread.h>

#include "server/call.h"
#include "support/harness.h"
#include "support/result_scene.h"

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

    CU_ASSERT_EQUAL(scene_send_value(false, LARGE), 0);

    CU_ASSERT_EQUAL(scene.code, 0);
    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(scene.test), 1);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(scene.test, 0))->text.size, LARGE);
    scene_close();
}

static void thread_sends_all_it_may(void)
{
    while (scene_send_line(false, false) == 0) {
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

    CU_ASSERT_EQUAL(is_last ? scene_send_value(false, LARGE) : scene_send_page(LARGE), code);

    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), meanwhile == scene_shard_sends_last);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(atomic_load(&account->shared_size), before);
    scene_close();
}

static void test_large_is_refused_when_it_was_written(void)
{
    large_is_refused(false, scene_shard_sends_last, CMDS_E_FINISHED);
    large_is_refused(true, scene_shard_sends_last, CMDS_E_FINISHED);
    large_is_refused(false, connection_ends, CMDS_E_GONE);
    large_is_refused(true, connection_ends, CMDS_E_GONE);
}

/* It has its place while it is written, and what others send meanwhile goes first. */
static void test_large_counts_while_it_is_written(void)
{
    scene_open();
    scene.in_encode = thread_sends_all_it_may;

    CU_ASSERT_EQUAL(scene_send_value(false, LARGE), 0);

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
    CU_ASSERT_EQUAL(scene_send_of(scene.app.kept, false, line_message(&line)), -ENOBUFS);
    CU_ASSERT_EQUAL(scene_ask_writable(scene.app.kept, on_writable), 0);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
    CU_ASSERT_EQUAL(writable, 0);
    scene_shard_sends_last();
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

    CU_ASSERT_EQUAL(scene_send_value(false, 1024 * 1024), CMDS_E_FINISHED);

    CU_ASSERT_TRUE(cmdi_inbox_is_posted(&scene.connection->inbox)); // The shard may sleep.
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 1);
    CU_ASSERT_EQUAL(writable, 1);
    cmds_call_unref(scene.app.kept);
    scene_close();
}

static void test_large_is_not_written_for_nothing(void)
{
    scene_open();
    thread_sends_all_it_may();
    scene.in_encode = somebody_takes_the_lock;

    CU_ASSERT_EQUAL(scene_send_value(false, LARGE), -ENOBUFS);

    CU_ASSERT_PTR_NOT_NULL(scene.in_encode);
    scene_close();
}

static CU_TestInfo test_large[] = {
        {"written without the lock", test_large_is_written_without_the_lock},
        {"refused when it was written", test_large_is_refused_when_it_was_written},
        {"counts while it is written", test_large_counts_while_it_is_written},
        {"that does not come makes room", test_large_that_does_not_come_makes_room},
        {"not written for nothing", test_large_is_not_written_for_nothing},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("result_large", test_large)
