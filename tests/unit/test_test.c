/* SPDX-License-Identifier: MIT */
/*
 * cmds_test, and through it the life of a call without a network. What may go wrong: two results
 * that both are the last, an error that ends more than its call, or a connection that it should
 * spare. test_call_kept.c has the calls that outlive their exec function.
 */
#include "support/acts.h"

#include <errno.h>
#include <string.h>

#include <cmdstream/inspect.h>

#include "support/harness.h"

/* --- Results ---------------------------------------------------------------------------------- */

static void test_a_result_comes_back_through_the_codec(void)
{
    struct app app = {.act = acts_echo};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, 21), 0);

    const struct cmds_result *result = cmds_test_result(test, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value_of(result));
    CU_ASSERT_EQUAL(value_of(result)->value, 42);
    CU_ASSERT(cmds_string_equal(value_of(result)->text, cmds_string_from("text")));
    CU_ASSERT_PTR_NULL(line_of(result));
    CU_ASSERT(result->last);
    CU_ASSERT_EQUAL(result->sequence, 1);
    CU_ASSERT_PTR_NULL(cmds_test_result(test, 1));
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
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
    CU_ASSERT_EQUAL(acts_answer(call, act->number), 0);
    return acts_answer(call, act->number);
}

static void test_nothing_follows_the_last_result(void)
{
    struct app app = {.act = act_twice};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, 1), CMDS_E_FINISHED);

    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    CU_ASSERT_EQUAL(app.disconnects, 0); // That error ends nothing but its call.
    cmds_test_close(test);
}

static void test_what_is_too_large_or_no_command_is_refused(void)
{
    struct app app = {.act = acts_echo};
    struct cmds_server_options options = acts_options(&app);
    options.frame_size_max = 8;
    struct cmds_test *test = acts_open_with(&options);

    CU_ASSERT_EQUAL(
            cmds_test_send(test, act_message(&(struct act){1, CMDS_STRING("longer than eight")})),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(
            cmds_test_send(test, value_message(&(struct value){.value = 1})), CMDS_E_WRONG_TYPE);

    CU_ASSERT_EQUAL(app.runs, 0);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    cmds_test_close(test);
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static void test_an_exec_function_is_run_again(void)
{
    struct app app = {.act = acts_stream};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, 3), 0);

    CU_ASSERT_EQUAL(cmds_test_result_count(test), 3);
    CU_ASSERT_EQUAL(app.runs, 3);
    CU_ASSERT_FALSE(line_of(cmds_test_result(test, 1))->last);
    CU_ASSERT_TRUE(line_of(cmds_test_result(test, 2))->last);
    cmds_test_close(test);
}

static void test_a_stream_without_end_is_cut(void)
{
    struct app app = {.act = acts_stream};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(acts_send(test, INT64_MAX), CMDS_EXEC_AGAIN);

    CU_ASSERT_EQUAL(app.runs, 1000);
    cmds_test_close(test);
}

static void test_a_stream_waits_while_the_output_is_full(void)
{
    struct app app = {.act = acts_stream};
    struct cmds_test *test = acts_open(&app);
    cmds_test_output_full(test, true);

    CU_ASSERT_EQUAL(acts_send(test, 2), CMDS_EXEC_AGAIN);
    CU_ASSERT_EQUAL(app.runs, 1);
    cmds_test_output_full(test, false);

    // The second round; the first result was refused and is not repeated by this stream.
    CU_ASSERT_EQUAL(app.runs, 2);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    app.act = acts_echo;
    cmds_test_output_full(test, true);
    CU_ASSERT_EQUAL(acts_send(test, 1), -ENOBUFS);
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
        return acts_answer(call, app->answer);
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
    struct cmds_test *test = acts_open(&app);

    for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) {
        CU_ASSERT_EQUAL(acts_send(test, spared[i]), spared[i]);
    }
    CU_ASSERT_EQUAL(app.disconnects, 0);
    CU_ASSERT_EQUAL(acts_send(test, -EIO), -EIO);
    CU_ASSERT_EQUAL(app.disconnects, 1);
    CU_ASSERT_EQUAL(app.cause, -EIO);
    app.act = acts_echo;
    CU_ASSERT_EQUAL(acts_send(test, 1), 0); // On a new connection.
    CU_ASSERT_EQUAL(app.connects, 2);
    cmds_test_close(test);
}

static void test_on_exec_error_may_answer(void)
{
    struct app app = {.act = act_code, .answer = 7};
    struct cmds_server_options options = acts_options(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = acts_open_with(&options);

    CU_ASSERT_EQUAL(acts_send(test, -EIO), -EIO);

    CU_ASSERT_EQUAL(app.error, -EIO);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, 7);
    cmds_test_close(test);
}

static void test_returning_0_without_a_result_is_unfinished(void)
{
    struct app app = {.act = act_code};
    struct cmds_server_options options = acts_options(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = acts_open_with(&options);

    CU_ASSERT_EQUAL(acts_send(test, 0), CMDS_E_UNFINISHED);

    CU_ASSERT_EQUAL(app.errors, 1);
    CU_ASSERT_EQUAL(app.error, CMDS_E_UNFINISHED);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    cmds_test_close(test);
}

static void test_an_unfinished_call_that_on_exec_error_keeps_is_cancelled_with_its_connection(void)
{
    struct app app = {.act = act_code, .answer = -1};
    struct cmds_server_options options = acts_options(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = acts_open_with(&options);

    (void)acts_send(test, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(app.kept);
    CU_ASSERT_PTR_NULL(act_of(app.kept)); // It was borrowed.
    CU_ASSERT_FALSE(cmds_call_is_cancelled(app.kept));
    cmds_test_disconnect(test);

    CU_ASSERT_TRUE(cmds_call_is_cancelled(app.kept));
    cmds_test_close(test);
    CU_ASSERT_EQUAL(acts_answer(app.kept, 1), CMDS_E_GONE);
    cmds_call_unref(app.kept);
}

static int act_close(struct cmds_call *call, const struct act *act)
{
    (void)act;
    cmds_connection_close(cmds_call_connection(call));
    CU_ASSERT_EQUAL(acts_answer(call, 1), CMDS_E_GONE);
    return 0;
}

static void test_a_call_whose_connection_went_is_not_unfinished(void)
{
    struct app app = {.act = act_close};
    struct cmds_server_options options = acts_options(&app);
    options.on_exec_error = on_exec_error;
    struct cmds_test *test = acts_open_with(&options);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);

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
    struct app app = {.act = acts_echo};
    struct cmds_server_options options = acts_options(&app);
    options.invokers = invokers;
    options.invoker_count = 2;
    struct cmds_test *test = acts_open_with(&options);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_STRING_EQUAL(app.order, "oiO");
    app.refuse = true;
    CU_ASSERT_EQUAL(acts_send(test, 1), -EACCES);

    CU_ASSERT_EQUAL(app.runs, 1);
    CU_ASSERT_EQUAL(app.cause, -EACCES);
    cmds_test_close(test);
}

/* --- The pool, on_disconnect, several at a time ----------------------------------------------- */

static int work_answer(struct cmds_call *call, const struct work *work)
{
    if (work->number < 0) {
        return (int)work->number;
    }
    struct line line = {(int64_t)cmds_call_round(call), cmds_call_round(call) == 2};
    int code = cmds_call_send(call, line_message(&line));
    return code < 0 || line.last ? code : CMDS_EXEC_AGAIN;
}

static void test_an_exec_function_of_the_pool_runs_here(void)
{
    struct app app = {.work = work_answer};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){1})), 0);

    CU_ASSERT_EQUAL(app.runs, 3);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 3);
    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){-EIO})), -EIO);
    CU_ASSERT_EQUAL(app.disconnects, 1);
    cmds_test_close(test);
}

static int work_state(struct cmds_call *call, const struct work *work)
{
    const int64_t *state = cmds_call_pool_state(call);
    struct line line = {state != NULL ? *state + work->number : -1, true};
    return cmds_call_send(call, line_message(&line));
}

static int act_state(struct cmds_call *call, const struct act *act)
{
    (void)act;
    return acts_answer(call, cmds_call_pool_state(call) != NULL);
}

static void test_a_function_of_the_pool_has_the_state_of_its_thread(void)
{
    int64_t state = 40;
    struct app app = {.work = work_state, .act = act_state};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){2})), 0);
    cmds_test_pool_state(test, &state);
    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){2})), 0);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0); // On the shard.

    CU_ASSERT_EQUAL(line_of(cmds_test_result(test, 0))->number, -1);
    CU_ASSERT_EQUAL(line_of(cmds_test_result(test, 1))->number, 42);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 2))->value, 0);
    cmds_test_close(test);
}

static void test_on_disconnect_is_not_for_those_on_connect_refused(void)
{
    struct app app = {.act = acts_echo, .refuse = true};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(app.connects, 1);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app.disconnects, 0);
}

static int act_ask_other(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    CU_ASSERT_EQUAL(acts_send(app->other, act->number), 0);
    return acts_answer(call, value_of(cmds_test_result(app->other, 0))->value + 1);
}

static void test_two_tests_at_a_time_one_inside_the_other(void)
{
    struct app inner = {.act = acts_echo};
    struct app outer = {.act = act_ask_other};
    struct cmds_test *a = acts_open(&inner);
    struct cmds_test *b = acts_open(&outer);
    outer.other = a;

    CU_ASSERT_EQUAL(acts_send(b, 4), 0);

    CU_ASSERT_EQUAL(value_of(cmds_test_result(b, 0))->value, 9);
    cmds_test_advance_ms(a, 1000);
    cmds_test_close(a);
    outer.act = acts_echo;
    CU_ASSERT_EQUAL(acts_send(b, 4), 0);
    cmds_test_close(b);
    cmds_test_close(NULL);
}

static void test_its_shard_is_listed(void)
{
    struct cmds_listed_shard shards[2] = {CMDS_LISTED_SHARD_INIT};
    size_t count = 0;
    struct app app = {.act = acts_echo};
    struct cmds_test *test = acts_open(&app);

    CU_ASSERT_EQUAL(cmds_runtime_shards(cmds_test_runtime(test), shards, 2, &count), 0);

    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(shards[0].unanswered_us, 0);
    cmds_test_close(test);
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
        {"an exec function of the pool runs here", test_an_exec_function_of_the_pool_runs_here},
        {"a function of the pool has the state of its thread",
                test_a_function_of_the_pool_has_the_state_of_its_thread},
        {"on_disconnect is not for those on_connect refused",
                test_on_disconnect_is_not_for_those_on_connect_refused},
        {"two tests at a time, one inside the other",
                test_two_tests_at_a_time_one_inside_the_other},
        {"its shard is listed", test_its_shard_is_listed},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("test", tests)
