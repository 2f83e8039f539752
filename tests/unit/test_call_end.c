/* SPDX-License-Identifier: MIT */
/*
 * The end of a call, cmds_call_on_end(), for each way in which a call may come to it. An end may be
 * missing, run twice, run while the library or the program still has the call, or let somebody bring
 * the call back. Run it under the address sanitizer: what an end frees must not be used behind it.
 */
#include "support/acts.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

/* What happens to a call, in order, a letter each. */
static void note(struct cmds_call *call, char what)
{
    struct app *app = cmds_call_receiver(call);
    size_t size = strlen(app->order);
    CU_ASSERT_FATAL(size + 1 < sizeof(app->order));
    app->order[size] = what;
}

/* Nothing can be done for the call any more, and nothing can be undone. */
static void on_end(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    char *context = cmds_call_context(call);
    int gone = cmds_call_is_cancelled(call) ? CMDS_E_GONE : CMDS_E_FINISHED;
    note(call, *context);
    CU_ASSERT_EQUAL(acts_answer(call, 1), gone);
    CU_ASSERT_EQUAL(cmds_call_on_writable(call, on_end), gone);
    CU_ASSERT_NOT_EQUAL(cmds_call_after(call, 0, on_end), 0);
    CU_ASSERT_EQUAL(cmds_call_on_end(call, on_end), CMDS_E_FINISHED);
    cmds_call_on_cancel(call, on_end);
    cmds_call_fail(call, -EIO, "too late");
    cmds_call_unref(cmds_call_ref(call));
    app->answer = act_of(call) != NULL; // It was kept.
    free(context);
}

/* With a context of its own, which its end frees. */
static void ask(struct cmds_call *call)
{
    char *context = malloc(1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    *context = 'E';
    cmds_call_set_context(call, context);
    CU_ASSERT_EQUAL(cmds_call_on_end(call, on_end), 0);
}

static void on_cancel(struct cmds_call *call)
{
    note(call, 'c');
}

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    struct app *app = receiver;
    note(call, 'e');
    app->error = error->code;
    if (app->rearm) { // It answers later.
        app->rearm = false;
        app->kept = cmds_call_ref(call);
        return 0;
    }
    return error->code;
}

static struct cmds_test *open_end(struct app *app)
{
    struct cmds_server_options options = acts_options(app);
    options.on_exec_error = on_exec_error;
    options.exec_timeout_ms = 1000;
    return acts_open_with(&options);
}

/* Off the shard: it ends there, in its next turn. */
static void let_go_of(struct cmds_test *test, struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    CU_ASSERT_PTR_NULL(strchr(app->order, 'E'));
    cmds_call_unref(call);
    CU_ASSERT_PTR_NULL(strchr(app->order, 'E'));
    cmds_test_advance_ms(test, 0);
}

/* --- Inline ----------------------------------------------------------------------------------- */

static int act_inline(struct cmds_call *call, const struct act *act)
{
    ask(call);
    note(call, 'r');
    return act->number < 0 ? (int)act->number : act->number > 0 ? acts_answer(call, 1) : 0;
}

static void test_a_call_that_is_answered_at_once_ends_when_its_function_has_returned(void)
{
    struct app app = {.act = act_inline};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);

    CU_ASSERT_STRING_EQUAL(app.order, "rE");
    CU_ASSERT_EQUAL(app.answer, 0); // The command was borrowed.
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    cmds_test_close(test);
    CU_ASSERT_STRING_EQUAL(app.order, "rE");
}

static void test_a_call_that_fails_ends_behind_on_exec_error(void)
{
    struct app app = {.act = act_inline};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, CMDS_E_LIMIT), CMDS_E_LIMIT);
    CU_ASSERT_STRING_EQUAL(app.order, "reE");
    CU_ASSERT_EQUAL(acts_send(test, 0), CMDS_E_UNFINISHED);
    CU_ASSERT_EQUAL(app.error, CMDS_E_UNFINISHED);
    CU_ASSERT_STRING_EQUAL(app.order, "reEreE");
    (void)acts_send(test, -EIO); // Which closes the connection.

    CU_ASSERT_STRING_EQUAL(app.order, "reEreEreE");
    cmds_test_close(test);
}

static void test_a_call_that_on_exec_error_keeps_has_not_ended(void)
{
    struct app app = {.act = act_inline, .rearm = true};
    struct cmds_test *test = open_end(&app);

    (void)acts_send(test, 0);
    CU_ASSERT_STRING_EQUAL(app.order, "re");
    CU_ASSERT_EQUAL(acts_answer(app.kept, 1), 0);
    CU_ASSERT_STRING_EQUAL(app.order, "re");
    let_go_of(test, app.kept);

    CU_ASSERT_STRING_EQUAL(app.order, "reE");
    cmds_test_close(test);
}

static int act_tell(struct cmds_call *call, const struct act *act)
{
    (void)act;
    return cmds_call_on_end(call, NULL) == -EINVAL ? acts_answer(call, 1) : -EIO;
}

static void test_a_call_without_an_end_needs_none(void)
{
    struct app app = {.act = act_tell};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(cmds_call_on_end(NULL, on_end), -EINVAL);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);

    CU_ASSERT_STRING_EQUAL(app.order, "");
    cmds_test_close(test);
}

/* --- Several ---------------------------------------------------------------------------------- */

static void end_1(struct cmds_call *call)
{
    note(call, '1');
}
static void end_2(struct cmds_call *call)
{
    note(call, '2');
}
static void end_3(struct cmds_call *call)
{
    note(call, '3');
}
static void end_4(struct cmds_call *call)
{
    note(call, '4');
}
static void end_5(struct cmds_call *call)
{
    note(call, '5');
}
static void end_6(struct cmds_call *call)
{
    note(call, '6');
}
static void end_7(struct cmds_call *call)
{
    note(call, '7');
}
static void end_8(struct cmds_call *call)
{
    note(call, '8');
}

static int act_many(struct cmds_call *call, const struct act *act)
{
    static const cmds_call_fn ends[] = {
            end_1, end_2, end_3, end_4, end_5, end_6, end_7, end_8, on_end};
    struct app *app = cmds_call_receiver(call);
    CU_ASSERT_EQUAL_FATAL(sizeof(ends) / sizeof(*ends), CMDS_CALL_ENDS_MAX + 1);
    for (uint32_t i = 0; i <= CMDS_CALL_ENDS_MAX; i++) {
        app->code = cmds_call_on_end(call, ends[i]);
        CU_ASSERT_EQUAL(app->code, i < CMDS_CALL_ENDS_MAX ? 0 : -ENOBUFS);
    }
    CU_ASSERT_EQUAL(cmds_call_on_end(call, end_3), 0); // It is there.
    return acts_answer(call, act->number);
}

static void test_of_several_ends_the_last_one_runs_first_and_each_once(void)
{
    struct app app = {.act = act_many};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_STRING_EQUAL(app.order, "87654321");

    cmds_test_close(test);
}

static int invoker(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    CU_ASSERT_EQUAL(cmds_call_on_end(call, end_1), 0); // In each round.
    return cmds_invocation_next(next, call);
}

static int act_stream(struct cmds_call *call, const struct act *act)
{
    CU_ASSERT_EQUAL(cmds_call_on_end(call, end_2), 0);
    cmds_call_on_cancel(call, on_cancel);
    note(call, 'r');
    return acts_stream(call, act);
}

static struct cmds_test *open_stream(struct app *app)
{
    static const cmds_invoker_fn invokers[] = {invoker};
    struct cmds_server_options options = acts_options(app);
    options.invokers = invokers;
    options.invoker_count = 1;
    options.exec_timeout_ms = 1000;
    return acts_open_with(&options);
}

static void test_a_call_that_runs_again_ends_behind_its_last_round(void)
{
    struct app app = {.act = act_stream};
    struct cmds_test *test = open_stream(&app);

    (void)acts_send(test, 3);

    CU_ASSERT_STRING_EQUAL(app.order, "rrr21");
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 3);
    cmds_test_close(test);
}

static void test_a_stream_that_gets_no_further_round_ends_behind_on_cancel(void)
{
    struct app app = {.act = act_stream};
    struct cmds_test *test = open_stream(&app);
    cmds_test_output_full(test, true);

    CU_ASSERT_EQUAL(acts_send(test, 3), CMDS_EXEC_AGAIN);
    cmds_test_advance_ms(test, 1000); // Its deadline. It ends when its turn to run would have come.
    CU_ASSERT_STRING_EQUAL(app.order, "rc");
    cmds_test_output_full(test, false);
    CU_ASSERT_STRING_EQUAL(app.order, "rc21");
    cmds_test_output_full(test, true);
    CU_ASSERT_EQUAL(acts_send(test, 3), CMDS_EXEC_AGAIN);
    cmds_test_disconnect(test);

    CU_ASSERT_STRING_EQUAL(app.order, "rc21rc21");
    cmds_test_close(test);
}

/* --- Kept, by a timer, in the pool -------------------------------------------------------------- */

static int act_keep(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    ask(call);
    cmds_call_on_cancel(call, on_cancel);
    app->kept = cmds_call_ref(call);
    return act->number != 0 ? cmds_call_keep_command(call) : 0;
}

static void test_a_kept_call_ends_with_its_last_reference(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_EQUAL(acts_answer(app.kept, 1), 0);
    cmds_call_unref(cmds_call_ref(app.kept));
    CU_ASSERT_STRING_EQUAL(app.order, "");
    let_go_of(test, app.kept);
    CU_ASSERT_STRING_EQUAL(app.order, "E");
    CU_ASSERT_EQUAL(app.answer, 1); // With its command.

    cmds_test_close(test);
}

static void test_a_cancelled_call_ends_when_it_is_let_go(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, 0), 0);
    cmds_test_disconnect(test); // Its client is dead.
    CU_ASSERT_STRING_EQUAL(app.order, "c");
    CU_ASSERT_EQUAL(cmds_call_on_end(app.kept, end_1), 0); // Also now.
    let_go_of(test, app.kept);

    CU_ASSERT_STRING_EQUAL(app.order, "c1E");
    CU_ASSERT_EQUAL(app.answer, 0);
    cmds_test_close(test);
}

static void on_timer(struct cmds_call *call)
{
    note(call, 't');
    (void)acts_answer(call, 1);
}

static int act_after(struct cmds_call *call, const struct act *act)
{
    ask(call);
    return cmds_call_after(call, (uint32_t)act->number, on_timer);
}

static void test_a_call_with_a_timer_ends_behind_it(void)
{
    struct app app = {.act = act_after};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, 10), 0);
    CU_ASSERT_STRING_EQUAL(app.order, "");
    cmds_test_advance_ms(test, 10);
    CU_ASSERT_STRING_EQUAL(app.order, "tE");
    CU_ASSERT_EQUAL(acts_send(test, 10), 0);
    cmds_test_close(test); // What is armed runs now.

    CU_ASSERT_STRING_EQUAL(app.order, "tEtE");
    CU_ASSERT_EQUAL(app.stops, 1);
}

static int work_once(struct cmds_call *call, const struct work *work)
{
    ask(call);
    note(call, 'w');
    return work->number < 0 ? (int)work->number : acts_answer(call, work->number);
}

static void test_a_call_of_the_pool_ends_as_any_other(void)
{
    struct app app = {.work = work_once};
    struct cmds_test *test = open_end(&app);

    (void)cmds_test_send(test, work_message(&(struct work){1}));
    CU_ASSERT_STRING_EQUAL(app.order, "wE");
    (void)cmds_test_send(test, work_message(&(struct work){CMDS_E_LIMIT}));

    CU_ASSERT_STRING_EQUAL(app.order, "wEweE");
    cmds_test_close(test);
}

/* --- Behind its server -------------------------------------------------------------------------- */

static void test_a_call_that_outlives_its_server_ends_where_it_is_let_go(void)
{
    struct app app = {.act = act_keep};
    struct cmds_test *test = open_end(&app);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    cmds_test_close(test);
    CU_ASSERT_STRING_EQUAL(app.order, "c");
    CU_ASSERT_EQUAL(cmds_call_on_end(app.kept, end_1), 0);
    cmds_call_unref(cmds_call_ref(app.kept));
    CU_ASSERT_STRING_EQUAL(app.order, "c");
    cmds_call_unref(app.kept);

    CU_ASSERT_STRING_EQUAL(app.order, "c1E");
    CU_ASSERT_EQUAL(app.answer, 1);
}

static void *let_go(void *context)
{
    struct cmds_call *call = context;
    (void)acts_answer(call, 5);
    cmds_call_unref(call);
    return NULL;
}

/* On the shard, or on the thread: whoever comes second. */
static void test_the_end_races_with_the_close(void)
{
    for (uint32_t i = 0; i < 200; i++) {
        struct app app = {.act = act_keep};
        struct cmds_test *test = open_end(&app);
        CU_ASSERT_EQUAL(acts_send(test, 0), 0);
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, let_go, app.kept), 0);

        cmds_test_close(test);

        (void)pthread_join(thread, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(strchr(app.order, 'E'));
        CU_ASSERT_STRING_EQUAL(strchr(app.order, 'E'), "E"); // Once, and last.
    }
}

static CU_TestInfo tests[] = {
        {"a call that is answered at once ends when its function has returned",
                test_a_call_that_is_answered_at_once_ends_when_its_function_has_returned},
        {"a call that fails ends behind on_exec_error",
                test_a_call_that_fails_ends_behind_on_exec_error},
        {"a call that on_exec_error keeps has not ended",
                test_a_call_that_on_exec_error_keeps_has_not_ended},
        {"a call without an end needs none", test_a_call_without_an_end_needs_none},
        {"of several ends the last one runs first, and each once",
                test_of_several_ends_the_last_one_runs_first_and_each_once},
        {"a call that runs again ends behind its last round",
                test_a_call_that_runs_again_ends_behind_its_last_round},
        {"a stream that gets no further round ends behind on_cancel",
                test_a_stream_that_gets_no_further_round_ends_behind_on_cancel},
        {"a kept call ends with its last reference", test_a_kept_call_ends_with_its_last_reference},
        {"a cancelled call ends when it is let go", test_a_cancelled_call_ends_when_it_is_let_go},
        {"a call with a timer ends behind it", test_a_call_with_a_timer_ends_behind_it},
        {"a call of the pool ends as any other", test_a_call_of_the_pool_ends_as_any_other},
        {"a call that outlives its server ends where it is let go",
                test_a_call_that_outlives_its_server_ends_where_it_is_let_go},
        {"the end races with the close", test_the_end_races_with_the_close},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("call_end", tests)
