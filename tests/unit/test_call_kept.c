/* SPDX-License-Identifier: MIT */
/*
 * Calls that outlive their exec function, on cmds_test. What may go wrong: a call that outlives its
 * connection or its test, an exec function that is run once more after its cancellation, a timer of a
 * server that is gone. Run it under the address sanitizer: most of these are silent otherwise.
 */
#include "support/acts.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "server/call_observer.h"
#include "support/harness.h"

/* --- Kept calls, timers, deadlines ------------------------------------------------------------ */

static void timer_answer(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    app->timers++;
    app->code = acts_answer(call, app->timers);
    if (app->rearm) {
        app->code = cmds_call_after(call, 10, timer_answer);
    }
}

static void timer_note(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    app->timers++;
    CU_ASSERT_EQUAL(app->stops, 0); // The shard's state is still there.
    app->code = cmds_call_after(call, 10, timer_note);
}

static void note_cancel(struct cmds_call *call)
{
    ((struct app *)cmds_call_receiver(call))->cancels++;
}

static int act_later(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    cmds_call_on_cancel(call, note_cancel);
    CU_ASSERT_EQUAL(
            cmds_call_after(call, (uint32_t)act->number, app->rearm ? timer_note : timer_answer),
            0);
    CU_ASSERT_EQUAL(cmds_call_after(call, 1, timer_answer), -EBUSY);
    return 0;
}

static void test_a_timer_fires_when_the_clock_has_moved(void)
{
    struct app app = {.act = act_later};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, 50), 0);
    cmds_test_advance_ms(test, 49);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 0);
    cmds_test_advance_ms(test, 1);

    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    CU_ASSERT_EQUAL(app.cancels, 0);
    cmds_test_close(test);
}

static void test_a_timer_that_arms_itself_fires_as_often_as_time_passes(void)
{
    struct app app = {.act = act_later, .rearm = true};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, 10), 0);
    cmds_test_advance_ms(test, 100);

    CU_ASSERT_EQUAL(app.timers, 10);
    cmds_test_close(test); // What is armed runs once more, and cannot arm itself on what is gone.
    CU_ASSERT_EQUAL(app.timers, 11);
    CU_ASSERT_EQUAL(app.code, CMDS_E_GONE);
    CU_ASSERT_EQUAL(app.cancels, 1);
    CU_ASSERT_EQUAL(app.stops, 1);
}

static void test_the_deadline_cancels_a_call_once(void)
{
    struct app app = {.act = act_later};
    struct cmds_server_options options = acts_options(&app);
    options.exec_timeout_ms = 50;
    struct cmds_test *test = acts_open_with(&options);

    CU_ASSERT_EQUAL(acts_send(test, 60), 0);
    cmds_test_advance_ms(test, 49);
    CU_ASSERT_EQUAL(app.cancels, 0);
    cmds_test_advance_ms(test, 1);
    CU_ASSERT_EQUAL(app.cancels, 1);
    cmds_test_advance_ms(test, 10);

    CU_ASSERT_EQUAL(app.timers, 1);
    CU_ASSERT_EQUAL(app.code, CMDS_E_GONE);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app.cancels, 1);
}

static int act_stream_with_cancel(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    CU_ASSERT_EQUAL(app->cancels, 0); // After it was told of the end it is not run again.
    cmds_call_on_cancel(call, note_cancel);
    return acts_stream(call, act);
}

static void test_a_cancelled_stream_is_not_run_again(void)
{
    struct app app = {.act = act_stream_with_cancel};
    struct cmds_server_options options = acts_options(&app);
    options.exec_timeout_ms = 5;
    struct cmds_test *test = acts_open_with(&options);
    cmds_test_output_full(test, true);

    CU_ASSERT_EQUAL(acts_send(test, 3), CMDS_EXEC_AGAIN);
    cmds_test_advance_ms(test, 5);
    CU_ASSERT_EQUAL(app.cancels, 1);
    cmds_test_output_full(test, false);

    CU_ASSERT_EQUAL(app.runs, 1);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 0);
    cmds_test_close(test);
}

static int act_keep(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    cmds_call_on_cancel(call, note_cancel);
    if (act->number != 0) {
        CU_ASSERT_EQUAL(cmds_call_keep_command(call), 0);
    }
    app->kept = cmds_call_ref(call);
    return 0;
}

static void test_a_kept_command_is_a_copy(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = acts_open(&app);
    char wire[] = "answer";

    CU_ASSERT_EQUAL(cmds_test_send(test, act_message(&(struct act){1, cmds_string_from(wire)})), 0);
    memset(wire, 'x', sizeof(wire) - 1);
    const struct act *kept = act_of(app.kept);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT(cmds_string_equal(kept->text, cmds_string_from("answer")));
    CU_ASSERT_EQUAL(acts_answer(app.kept, 9), 0);
    CU_ASSERT_EQUAL(acts_answer(app.kept, 9), CMDS_E_FINISHED);
    cmds_call_unref(app.kept);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);

    CU_ASSERT_EQUAL(acts_send(test, 0), 0);
    CU_ASSERT_PTR_NULL(act_of(app.kept)); // Nobody kept this one.
    cmds_call_fail(app.kept, CMDS_E_LOST, "gone");
    cmds_call_unref(app.kept);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    cmds_test_close(test);
}

static void test_kept_calls_survive_connection_and_test(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    struct cmds_call *first = app.kept;
    cmds_test_disconnect(test);
    CU_ASSERT_EQUAL(app.cancels, 1);
    CU_ASSERT_EQUAL(app.disconnects, 1);
    CU_ASSERT_EQUAL(app.cause, CMDS_E_EOF);
    CU_ASSERT_EQUAL(acts_answer(first, 1), CMDS_E_GONE);
    app.act = acts_echo;
    CU_ASSERT_EQUAL(acts_send(test, 1), CMDS_E_GONE);
    cmds_test_close(test);

    CU_ASSERT_EQUAL(act_of(first)->number, 1);
    CU_ASSERT_EQUAL(cmds_call_after(first, 1, timer_note), -EXDEV);
    CU_ASSERT_STRING_EQUAL(cmds_connection_peer(cmds_call_connection(first)), "test");
    cmds_call_fail(first, -EIO, "too late");
    cmds_call_unref(cmds_call_ref(first));
    cmds_call_unref(first);
    cmds_call_unref(NULL);
}

struct watcher {
    struct cmdi_call_observer observer;
    struct app *app;
    uint32_t told, cancels; // The latter when it was told.
};

static void watcher_on_cancel(struct cmdi_call_observer *observer)
{
    struct watcher *watcher = CMDI_CONTAINER(observer, struct watcher, observer);
    watcher->told++;
    watcher->cancels = watcher->app->cancels;
}

/* Whatever works for a call, as a forward does, learns that nobody waits any more: once, and first. */
static void test_a_cancelled_call_tells_who_works_for_it(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = acts_open(&app);
    struct watcher one = {.observer.fn = watcher_on_cancel, .app = &app}, other = one, gone = one;
    cmdi_list_init(&one.observer.link);
    cmdi_list_init(&other.observer.link);
    cmdi_list_init(&gone.observer.link);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    cmdi_call_observe(app.kept, &one.observer);
    cmdi_call_observe(app.kept, &gone.observer);
    cmdi_call_observe(app.kept, &other.observer);
    cmdi_list_remove(&gone.observer.link);

    cmds_test_disconnect(test);

    CU_ASSERT_EQUAL(one.told, 1);
    CU_ASSERT_EQUAL(other.told, 1);
    CU_ASSERT_EQUAL(gone.told, 0);
    CU_ASSERT_EQUAL(one.cancels + other.cancels, 0);
    CU_ASSERT_EQUAL(app.cancels, 1);
    CU_ASSERT_TRUE(cmdi_list_empty(&one.observer.link));
    cmds_call_unref(app.kept);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(one.told, 1);
}

/* --- Other threads ---------------------------------------------------------------------------- */

static void *thread_answers(void *context)
{
    struct cmds_call *call = context;
    (void)acts_answer(call, 5);
    cmds_call_unref(call);
    return NULL;
}

static void test_another_thread_answers(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = acts_open(&app);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_answers, app.kept), 0);
    (void)pthread_join(thread, NULL);

    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, 5);
    cmds_test_close(test);
}

/* The last reference goes while the test closes: whoever comes second frees. */
static void test_the_last_reference_races_with_the_close(void)
{
    for (uint32_t i = 0; i < 200; i++) {
        struct app app = {.act = act_keep};
        struct cmds_test *test = acts_open(&app);
        CU_ASSERT_EQUAL(acts_send(test, 1), 0);
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_answers, app.kept), 0);

        cmds_test_close(test);

        // Under a sanitizer: nothing leaks, nothing is used afterwards.
        (void)pthread_join(thread, NULL);
    }
}

static CU_TestInfo tests[] = {
        {"a timer fires when the clock has moved", test_a_timer_fires_when_the_clock_has_moved},
        {"a timer that arms itself fires as often as time passes",
                test_a_timer_that_arms_itself_fires_as_often_as_time_passes},
        {"the deadline cancels a call once", test_the_deadline_cancels_a_call_once},
        {"a cancelled stream is not run again", test_a_cancelled_stream_is_not_run_again},
        {"a kept command is a copy", test_a_kept_command_is_a_copy},
        {"kept calls survive connection and test", test_kept_calls_survive_connection_and_test},
        {"a cancelled call tells who works for it", test_a_cancelled_call_tells_who_works_for_it},
        {"another thread answers", test_another_thread_answers},
        {"the last reference races with the close", test_the_last_reference_races_with_the_close},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("call_kept", tests)
