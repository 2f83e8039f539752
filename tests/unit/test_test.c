/* SPDX-License-Identifier: MIT */
/*
 * cmds_test, and through it the life of a call without a network. What may go wrong: a call that
 * outlives its connection or its test, two results that both are the last, an exec function that is
 * run once more after its cancellation, a timer of a server that is gone. Run it under the address
 * sanitizer: most of these are silent otherwise.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/test.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "support/harness.h"

struct act {
    int64_t number;
    struct cmds_string text;
};
struct work {
    int64_t number;
};
struct value {
    int64_t value;
    struct cmds_string text;
};
struct line {
    int64_t number;
    bool last;
};
CMDS_COMMAND(act, 0, number, text);
CMDS_COMMAND(work, 1, number);
CMDS_RESULT(value, 0, value, text);
CMDS_RESULT(line, 1, number, CMDS_LAST(last));

/* What the exec functions do, and what was seen; one per test. */
struct app {
    int (*act)(struct cmds_call *call, const struct act *act);
    int (*work)(struct cmds_call *call, const struct work *work);
    struct cmds_call *kept;
    uint32_t runs, timers, cancels, connects, disconnects, starts, stops, errors, invoked;
    int cause, error, answer, code;
    bool refuse, rearm;
    char order[16];
    struct cmds_test *other;
};

static int exec_act(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    app->runs++;
    return app->act(call, act);
}
static int exec_work(struct cmds_call *call, const struct work *work)
{
    struct app *app = cmds_call_receiver(call);
    app->runs++;
    return app->work(call, work);
}

static const struct cmds_type *const commands[] = {&act_type, &work_type};
static const struct cmds_type *const results[] = {&value_type, &line_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("acts", commands, results);
static const struct cmds_exec execs[] = {
        CMDS_EXEC(act, exec_act), CMDS_EXEC_IN_POOL(work, exec_work)};

static int on_shard_start(void *receiver, uint32_t shard, void **shard_state)
{
    ((struct app *)receiver)->starts++;
    *shard_state = receiver;
    return shard == 0 ? 0 : -EINVAL;
}
static void on_shard_stop(void *receiver, uint32_t shard, void *shard_state)
{
    ((struct app *)receiver)->stops += shard == 0 && shard_state == receiver;
}
static int on_connect(void *receiver, struct cmds_connection *connection)
{
    struct app *app = receiver;
    app->connects++;
    cmds_connection_set_context(connection, app);
    return app->refuse ? -EACCES : 0;
}
static void on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    struct app *app = receiver;
    app->disconnects += cmds_connection_context(connection) == app;
    app->cause = cause->code;
}

static struct cmds_server_options options_of(struct app *app)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.receiver = app;
    options.on_shard_start = on_shard_start;
    options.on_shard_stop = on_shard_stop;
    options.on_connect = on_connect;
    options.on_disconnect = on_disconnect;
    return options;
}

static struct cmds_test *open_with(const struct cmds_server_options *options)
{
    struct cmds_test *test = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, options, &error), 0);
    return test;
}

static struct cmds_test *open_for(struct app *app)
{
    struct cmds_server_options options = options_of(app);
    return open_with(&options);
}

static int send_act(struct cmds_test *test, int64_t number)
{
    return cmds_test_send(test, act_message(&(struct act){number, CMDS_STRING("text")}));
}

static int answer(struct cmds_call *call, int64_t number)
{
    return cmds_call_send(call, value_message(&(struct value){number, CMDS_STRING("")}));
}

/* --- Results ---------------------------------------------------------------------------------- */

static int act_answer(struct cmds_call *call, const struct act *act)
{
    return cmds_call_send(call, value_message(&(struct value){act->number * 2, act->text}));
}

static void test_a_result_comes_back_through_the_codec(void)
{
    struct app app = {.act = act_answer};
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, 21), 0);

    const struct cmds_result *result = cmds_test_result(test, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value_of(result));
    CU_ASSERT_EQUAL(value_of(result)->value, 42);
    CU_ASSERT(cmds_string_equal(value_of(result)->text, cmds_string_from("text")));
    CU_ASSERT_PTR_NULL(line_of(result));
    CU_ASSERT(result->last);
    CU_ASSERT_EQUAL(result->sequence, 1);
    CU_ASSERT_PTR_NULL(cmds_test_result(test, 1));
    CU_ASSERT_EQUAL(send_act(test, 1), 0);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 2);
    CU_ASSERT_EQUAL(value_of(result)->value, 42); // Borrowed until close, whatever came after it.
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app.starts, 1);
    CU_ASSERT_EQUAL(app.stops, 1);
    CU_ASSERT_EQUAL(app.connects, 1);
    CU_ASSERT_EQUAL(app.disconnects, 1);
}

static int act_twice(struct cmds_call *call, const struct act *act)
{
    CU_ASSERT_EQUAL(cmds_call_send(call, act_message(act)), CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(answer(call, act->number), 0);
    return answer(call, act->number);
}

static void test_nothing_follows_the_last_result(void)
{
    struct app app = {.act = act_twice};
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, 1), CMDS_E_FINISHED);

    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    CU_ASSERT_EQUAL(app.disconnects, 0); // That error ends nothing but its call.
    cmds_test_close(test);
}

static void test_what_is_too_large_or_no_command_is_refused(void)
{
    struct app app = {.act = act_answer};
    struct cmds_server_options options = options_of(&app);
    options.frame_size_max = 8;
    struct cmds_test *test = open_with(&options);

    CU_ASSERT_EQUAL(
            cmds_test_send(test, act_message(&(struct act){1, CMDS_STRING("longer than eight")})),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(
            cmds_test_send(test, value_message(&(struct value){.value = 1})), CMDS_E_WRONG_TYPE);

    CU_ASSERT_EQUAL(app.runs, 0);
    CU_ASSERT_EQUAL(send_act(test, 1), 0);
    cmds_test_close(test);
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static int act_stream(struct cmds_call *call, const struct act *act)
{
    int64_t number = (int64_t)cmds_call_round(call) + 1;
    struct line line = {number, number >= act->number};
    int error = cmds_call_send(call, line_message(&line));
    if (error == -ENOBUFS) {
        return CMDS_EXEC_AGAIN;
    }
    return error < 0 || line.last ? error : CMDS_EXEC_AGAIN;
}

static void test_an_exec_function_is_run_again(void)
{
    struct app app = {.act = act_stream};
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, 3), 0);

    CU_ASSERT_EQUAL(cmds_test_result_count(test), 3);
    CU_ASSERT_EQUAL(app.runs, 3);
    CU_ASSERT_FALSE(line_of(cmds_test_result(test, 1))->last);
    CU_ASSERT_TRUE(line_of(cmds_test_result(test, 2))->last);
    cmds_test_close(test);
}

static void test_a_stream_without_end_is_cut(void)
{
    struct app app = {.act = act_stream};
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, INT64_MAX), CMDS_EXEC_AGAIN);

    CU_ASSERT_EQUAL(app.runs, 1000);
    cmds_test_close(test);
}

static void test_a_stream_waits_while_the_output_is_full(void)
{
    struct app app = {.act = act_stream};
    struct cmds_test *test = open_for(&app);
    cmds_test_output_full(test, true);

    CU_ASSERT_EQUAL(send_act(test, 2), CMDS_EXEC_AGAIN);
    CU_ASSERT_EQUAL(app.runs, 1);
    cmds_test_output_full(test, false);

    // The second round; the first result was refused and is not repeated by this stream.
    CU_ASSERT_EQUAL(app.runs, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    app.act = act_answer;
    cmds_test_output_full(test, true);
    CU_ASSERT_EQUAL(send_act(test, 1), -ENOBUFS);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    cmds_test_close(test);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static int act_code(struct cmds_call *call, const struct act *act)
{
    (void)call;
    return (int)act->number;
}

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    struct app *app = receiver;
    app->errors++;
    app->error = error->code;
    CU_ASSERT_PTR_NOT_NULL(strstr(error->text, "act: "));
    if (app->answer > 0) {
        return answer(call, app->answer);
    }
    if (app->kept == NULL && app->answer < 0) {
        app->kept = cmds_call_ref(call); // It will answer later.
        return 0;
    }
    return -1;
}

static void test_an_error_ends_its_call_or_its_connection(void)
{
    static const int spared[] = {-ENOBUFS, CMDS_E_GONE, CMDS_E_FINISHED, CMDS_E_NOT_CONNECTED,
            CMDS_E_NOT_SENT, CMDS_E_LOST, CMDS_E_TIMEOUT, CMDS_E_CANCELLED, CMDS_E_CLOSED,
            CMDS_E_UNFINISHED, CMDS_E_UNKNOWN_RESULT, CMDS_E_WRONG_TYPE, CMDS_E_LIMIT,
            CMDS_E_MORE_RESULTS, CMDS_E_PROTO, -ENOMEM};
    struct app app = {.act = act_code};
    struct cmds_test *test = open_for(&app);

    for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) {
        CU_ASSERT_EQUAL(send_act(test, spared[i]), spared[i]);
    }
    CU_ASSERT_EQUAL(app.disconnects, 0);
    CU_ASSERT_EQUAL(send_act(test, -EIO), -EIO);
    CU_ASSERT_EQUAL(app.disconnects, 1);
    CU_ASSERT_EQUAL(app.cause, -EIO);
    app.act = act_answer;
    CU_ASSERT_EQUAL(send_act(test, 1), 0); // On a new connection.
    CU_ASSERT_EQUAL(app.connects, 2);
    cmds_test_close(test);
}

static void test_on_exec_error_may_answer(void)
{
    struct app app = {.act = act_code, .answer = 7};
    struct cmds_server_options options = options_of(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = open_with(&options);

    CU_ASSERT_EQUAL(send_act(test, -EIO), -EIO);

    CU_ASSERT_EQUAL(app.error, -EIO);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, 7);
    cmds_test_close(test);
}

static void test_returning_0_without_a_result_is_unfinished(void)
{
    struct app app = {.act = act_code};
    struct cmds_server_options options = options_of(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = open_with(&options);

    CU_ASSERT_EQUAL(send_act(test, 0), CMDS_E_UNFINISHED);

    CU_ASSERT_EQUAL(app.errors, 1);
    CU_ASSERT_EQUAL(app.error, CMDS_E_UNFINISHED);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    cmds_test_close(test);
}

static void test_an_unfinished_call_that_on_exec_error_keeps_is_cancelled_with_its_connection(void)
{
    struct app app = {.act = act_code, .answer = -1};
    struct cmds_server_options options = options_of(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = open_with(&options);

    (void)send_act(test, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(app.kept);
    CU_ASSERT_PTR_NULL(act_of(app.kept)); // It was borrowed.
    CU_ASSERT_FALSE(cmds_call_is_cancelled(app.kept));
    cmds_test_disconnect(test);

    CU_ASSERT_TRUE(cmds_call_is_cancelled(app.kept));
    cmds_test_close(test);
    CU_ASSERT_EQUAL(answer(app.kept, 1), CMDS_E_GONE);
    cmds_call_unref(app.kept);
}

static int act_close(struct cmds_call *call, const struct act *act)
{
    (void)act;
    cmds_connection_close(cmds_call_connection(call));
    CU_ASSERT_EQUAL(answer(call, 1), CMDS_E_GONE);
    return 0;
}

static void test_a_call_whose_connection_went_is_not_unfinished(void)
{
    struct app app = {.act = act_close};
    struct cmds_server_options options = options_of(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = open_with(&options);

    CU_ASSERT_EQUAL(send_act(test, 1), 0);

    CU_ASSERT_EQUAL(app.errors, 0);
    CU_ASSERT_EQUAL(app.cause, CMDS_E_CLOSED);
    cmds_test_close(test);
}

/* --- Invokers --------------------------------------------------------------------------------- */

static int invoker_outer(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    struct app *app = receiver;
    (void)strcat(app->order, "o");
    int code = cmds_invocation_next(next, call);
    (void)strcat(app->order, "O");
    return code;
}
static int invoker_inner(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    struct app *app = receiver;
    (void)strcat(app->order, "i");
    return app->refuse ? -EACCES : cmds_invocation_next(next, call);
}

static void test_invokers_run_in_order_and_may_refuse(void)
{
    static const cmds_invoker_fn invokers[] = {invoker_outer, invoker_inner};
    struct app app = {.act = act_answer};
    struct cmds_server_options options = options_of(&app);
    options.invokers = invokers;
    options.invoker_count = 2;
    struct cmds_test *test = open_with(&options);

    CU_ASSERT_EQUAL(send_act(test, 1), 0);
    CU_ASSERT_STRING_EQUAL(app.order, "oiO");
    app.refuse = true;
    CU_ASSERT_EQUAL(send_act(test, 1), -EACCES);

    CU_ASSERT_EQUAL(app.runs, 1);
    CU_ASSERT_EQUAL(app.cause, -EACCES);
    cmds_test_close(test);
}

/* --- Kept calls, timers, deadlines ------------------------------------------------------------ */

static void timer_answer(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    app->timers++;
    app->code = answer(call, app->timers);
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
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, 50), 0);
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
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, 10), 0);
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
    struct cmds_server_options options = options_of(&app);
    options.exec_timeout_ms = 50;
    struct cmds_test *test = open_with(&options);

    CU_ASSERT_EQUAL(send_act(test, 60), 0);
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
    return act_stream(call, act);
}

static void test_a_cancelled_stream_is_not_run_again(void)
{
    struct app app = {.act = act_stream_with_cancel};
    struct cmds_server_options options = options_of(&app);
    options.exec_timeout_ms = 5;
    struct cmds_test *test = open_with(&options);
    cmds_test_output_full(test, true);

    CU_ASSERT_EQUAL(send_act(test, 3), CMDS_EXEC_AGAIN);
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
    struct cmds_test *test = open_for(&app);
    char wire[] = "answer";

    CU_ASSERT_EQUAL(cmds_test_send(test, act_message(&(struct act){1, cmds_string_from(wire)})), 0);
    memset(wire, 'x', sizeof(wire) - 1);
    const struct act *kept = act_of(app.kept);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT(cmds_string_equal(kept->text, cmds_string_from("answer")));
    CU_ASSERT_EQUAL(answer(app.kept, 9), 0);
    CU_ASSERT_EQUAL(answer(app.kept, 9), CMDS_E_FINISHED);
    cmds_call_unref(app.kept);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);

    CU_ASSERT_EQUAL(send_act(test, 0), 0);
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
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(send_act(test, 1), 0);
    struct cmds_call *first = app.kept;
    cmds_test_disconnect(test);
    CU_ASSERT_EQUAL(app.cancels, 1);
    CU_ASSERT_EQUAL(app.disconnects, 1);
    CU_ASSERT_EQUAL(app.cause, CMDS_E_EOF);
    CU_ASSERT_EQUAL(answer(first, 1), CMDS_E_GONE);
    app.act = act_answer;
    CU_ASSERT_EQUAL(send_act(test, 1), CMDS_E_GONE);
    cmds_test_close(test);

    CU_ASSERT_EQUAL(act_of(first)->number, 1);
    CU_ASSERT_EQUAL(cmds_call_after(first, 1, timer_note), -EXDEV);
    CU_ASSERT_STRING_EQUAL(cmds_connection_peer(cmds_call_connection(first)), "test");
    cmds_call_fail(first, -EIO, "too late");
    cmds_call_unref(cmds_call_ref(first));
    cmds_call_unref(first);
    cmds_call_unref(NULL);
}

/* --- Other threads ---------------------------------------------------------------------------- */

static void *thread_answers(void *context)
{
    struct cmds_call *call = context;
    (void)answer(call, 5);
    cmds_call_unref(call);
    return NULL;
}

static void test_another_thread_answers(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = open_for(&app);
    CU_ASSERT_EQUAL(send_act(test, 1), 0);
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
        struct cmds_test *test = open_for(&app);
        CU_ASSERT_EQUAL(send_act(test, 1), 0);
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_answers, app.kept), 0);

        cmds_test_close(test);

        // Under a sanitizer: nothing leaks, nothing is used afterwards.
        (void)pthread_join(thread, NULL);
    }
}

/* --- The pool, the hooks, several at a time --------------------------------------------------- */

static int work_answer(struct cmds_call *call, const struct work *work)
{
    if (work->number < 0) {
        return (int)work->number;
    }
    struct line line = {(int64_t)cmds_call_round(call), cmds_call_round(call) == 2};
    int error = cmds_call_send(call, line_message(&line));
    return error < 0 || line.last ? error : CMDS_EXEC_AGAIN;
}

static void test_an_exec_function_of_the_pool_runs_here(void)
{
    struct app app = {.work = work_answer};
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){1})), 0);

    CU_ASSERT_EQUAL(app.runs, 3);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 3);
    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){-EIO})), -EIO);
    CU_ASSERT_EQUAL(app.disconnects, 1);
    cmds_test_close(test);
}

static void test_on_disconnect_is_not_for_those_on_connect_refused(void)
{
    struct app app = {.act = act_answer, .refuse = true};
    struct cmds_test *test = open_for(&app);

    CU_ASSERT_EQUAL(app.connects, 1);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app.disconnects, 0);
}

static int act_ask_other(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    CU_ASSERT_EQUAL(send_act(app->other, act->number), 0);
    return answer(call, value_of(cmds_test_result(app->other, 0))->value + 1);
}

static void test_two_tests_at_a_time_one_inside_the_other(void)
{
    struct app inner = {.act = act_answer};
    struct app outer = {.act = act_ask_other};
    struct cmds_test *a = open_for(&inner);
    struct cmds_test *b = open_for(&outer);
    outer.other = a;

    CU_ASSERT_EQUAL(send_act(b, 4), 0);

    CU_ASSERT_EQUAL(value_of(cmds_test_result(b, 0))->value, 9);
    cmds_test_advance_ms(a, 1000);
    cmds_test_close(a);
    outer.act = act_answer;
    CU_ASSERT_EQUAL(send_act(b, 4), 0);
    cmds_test_close(b);
    cmds_test_close(NULL);
}

static CU_TestInfo tests[] = {
        {"a result comes back through the codec", test_a_result_comes_back_through_the_codec},
        {"nothing follows the last result", test_nothing_follows_the_last_result},
        {"what is too large or no command is refused",
                test_what_is_too_large_or_no_command_is_refused},
        {"an exec function is run again", test_an_exec_function_is_run_again},
        {"a stream without end is cut", test_a_stream_without_end_is_cut},
        {"a stream waits while the output is full", test_a_stream_waits_while_the_output_is_full},
        {"an error ends its call or its connection", test_an_error_ends_its_call_or_its_connection},
        {"on_exec_error may answer", test_on_exec_error_may_answer},
        {"returning 0 without a result is unfinished",
                test_returning_0_without_a_result_is_unfinished},
        {"an unfinished call that on_exec_error keeps is cancelled with its connection",
                test_an_unfinished_call_that_on_exec_error_keeps_is_cancelled_with_its_connection},
        {"a call whose connection went is not unfinished",
                test_a_call_whose_connection_went_is_not_unfinished},
        {"invokers run in order and may refuse", test_invokers_run_in_order_and_may_refuse},
        {"a timer fires when the clock has moved", test_a_timer_fires_when_the_clock_has_moved},
        {"a timer that arms itself fires as often as time passes",
                test_a_timer_that_arms_itself_fires_as_often_as_time_passes},
        {"the deadline cancels a call once", test_the_deadline_cancels_a_call_once},
        {"a cancelled stream is not run again", test_a_cancelled_stream_is_not_run_again},
        {"a kept command is a copy", test_a_kept_command_is_a_copy},
        {"kept calls survive connection and test", test_kept_calls_survive_connection_and_test},
        {"another thread answers", test_another_thread_answers},
        {"the last reference races with the close", test_the_last_reference_races_with_the_close},
        {"an exec function of the pool runs here", test_an_exec_function_of_the_pool_runs_here},
        {"on_disconnect is not for those on_connect refused",
                test_on_disconnect_is_not_for_those_on_connect_refused},
        {"two tests at a time, one inside the other",
                test_two_tests_at_a_time_one_inside_the_other},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("test", tests)
