/* SPDX-License-Identifier: MIT */
/*
 * What an exec function keeps between two rounds, and who tells it that no further round comes. A
 * function that asked for another round may be forgotten (its context leaks), told twice, told
 * while it runs, or told and run again; and a call that nobody has any more may be told at all.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/test.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "support/harness.h"

struct step {
    int64_t number;
};
struct work {
    int64_t number;
};
struct fail {
    int64_t code;
};
struct value {
    int64_t value;
};
struct line {
    int64_t number;
    bool last;
};
CMDS_COMMAND(step, 0, number);
CMDS_COMMAND(work, 1, number);
CMDS_COMMAND(fail, 2, code);
CMDS_RESULT(value, 0, value);
CMDS_RESULT(line, 1, number, CMDS_LAST(last));

enum {
    STEP_STREAM, // Rounds without end...
    STEP_ENDS,   // ... or one, whose end is what `code` says...
    STEP_KEEP,   // ... and somebody has the call;
    STEP_LAST,   // the last result, and then asks for more.
};

struct app {
    int step, code;
    uint32_t runs, told, told_cancelled, errors;
    uint32_t contexts;    // Alive.
    uint32_t refuse_from; // Of this round on the invoker refuses; 0: none.
    int refusal;
    struct cmds_call *kept;
    bool keep_on_error, close_on_error;
};

static void free_context(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    uint32_t *context = cmds_call_context(call);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    cmds_call_set_context(call, NULL);
    free(context);
    app->contexts--;
}

static void on_cancel(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    app->told++;
    app->told_cancelled += cmds_call_is_cancelled(call);
    free_context(call);
}

static int run_step(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    struct line line = {.number = (int64_t)cmds_call_round(call)};
    app->runs++;
    CU_ASSERT_EQUAL(app->told, 0); // Told is told: nothing runs after it.
    if (cmds_call_round(call) == 0) {
        cmds_call_set_context(call, malloc(sizeof(uint32_t)));
        app->contexts++;
        cmds_call_on_cancel(call, on_cancel);
    }
    if (app->step == STEP_KEEP) {
        app->kept = cmds_call_ref(call);
    }
    if (app->step == STEP_ENDS) {
        free_context(call);
    }
    if (app->step == STEP_LAST) {
        CU_ASSERT_EQUAL(cmds_call_send(call, value_message(&(struct value){1})), 0);
        return CMDS_EXEC_AGAIN;
    }
    if (app->step != STEP_STREAM) {
        return app->code;
    }
    int code = cmds_call_send(call, line_message(&line));
    if (code == 0 || code == -ENOBUFS) {
        return CMDS_EXEC_AGAIN;
    }
    free_context(call); // It ends by itself.
    return code;
}

static int exec_step(struct cmds_call *call, const struct step *step)
{
    (void)step;
    return run_step(call);
}
static int exec_work(struct cmds_call *call, const struct work *work)
{
    (void)work;
    return run_step(call);
}
static int exec_fail(struct cmds_call *call, const struct fail *fail)
{
    struct app *app = cmds_call_receiver(call);
    if (fail->code == 0) { // On the shard, on behalf of another call.
        cmds_call_fail(app->kept, -EIO, "kept");
        return CMDS_E_GONE;
    }
    return (int)fail->code;
}

static int refuse(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    struct app *app = receiver;
    if (app->refuse_from > 0 && cmds_call_round(call) >= app->refuse_from) {
        return app->refusal;
    }
    return cmds_invocation_next(next, call);
}

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    struct app *app = receiver;
    (void)error;
    app->errors++;
    if (app->close_on_error) {
        cmds_connection_close(cmds_call_connection(call));
    } else if (app->keep_on_error) {
        app->kept = cmds_call_ref(call);
        return 0;
    }
    return -1;
}

static const struct cmds_type *const commands[] = {&step_type, &work_type, &fail_type};
static const struct cmds_type *const results[] = {&value_type, &line_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("rounds", commands, results);
static const struct cmds_exec execs[] = {
        CMDS_EXEC(step, exec_step), CMDS_EXEC_IN_POOL(work, exec_work), CMDS_EXEC(fail, exec_fail)};
static const cmds_invoker_fn invokers[] = {refuse};

static struct cmds_test *open_for(struct app *app, uint32_t exec_timeout_ms)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_test *test = NULL;
    options.receiver = app;
    options.on_exec_error = on_exec_error;
    options.exec_timeout_ms = exec_timeout_ms;
    if (app->refuse_from > 0) {
        options.invokers = invokers;
        options.invoker_count = 1;
    }
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, &options, NULL), 0);
    return test;
}

/* A stream that waits between two rounds, since the output is full. */
static struct cmds_test *open_waiting(struct app *app, uint32_t exec_timeout_ms)
{
    struct cmds_test *test = open_for(app, exec_timeout_ms);
    cmds_test_output_full(test, true);
    CU_ASSERT_EQUAL(cmds_test_send(test, step_message(&(struct step){1})), CMDS_EXEC_AGAIN);
    CU_ASSERT_EQUAL(app->runs, 1);
    CU_ASSERT_EQUAL(app->told, 0);
    CU_ASSERT_EQUAL(app->contexts, 1);
    return test;
}

static void check_told_once(struct cmds_test *test, const struct app *app)
{
    CU_ASSERT_EQUAL(app->told, 1);
    CU_ASSERT_EQUAL(app->contexts, 0);
    cmds_test_output_full(test, false);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app->told, 1);
}

/* --- Between two rounds ----------------------------------------------------------------------- */

static void test_the_connection_goes_between_rounds(void)
{
    struct app app = {.step = STEP_STREAM};
    struct cmds_test *test = open_waiting(&app, 0);

    cmds_test_disconnect(test);

    CU_ASSERT_EQUAL(app.told_cancelled, 1);
    check_told_once(test, &app);
    CU_ASSERT_EQUAL(app.runs, 1);
}

static void test_the_deadline_passes_between_rounds(void)
{
    struct app app = {.step = STEP_STREAM};
    struct cmds_test *test = open_waiting(&app, 20);

    cmds_test_advance_ms(test, 21);

    CU_ASSERT_EQUAL(app.told_cancelled, 1);
    check_told_once(test, &app);
    CU_ASSERT_EQUAL(app.runs, 1);
}

/* Another command of the connection fails: it closes in order, and no round is run any more. */
static void test_the_connection_is_refused_between_rounds(void)
{
    struct app app = {.step = STEP_STREAM};
    struct cmds_test *test = open_waiting(&app, 0);

    CU_ASSERT_EQUAL(cmds_test_send(test, fail_message(&(struct fail){-EIO})), -EIO);

    CU_ASSERT_EQUAL(app.told_cancelled, 1);
    check_told_once(test, &app);
    CU_ASSERT_EQUAL(app.runs, 1);
}

static void test_an_invoker_keeps_a_round_from_its_function(void)
{
    static const int refusals[] = {-EACCES, CMDS_E_LIMIT, 0};

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct app app = {.step = STEP_STREAM, .refuse_from = 3, .refusal = refusals[i]};
        struct cmds_test *test = open_for(&app, 0);
        CU_ASSERT_EQUAL(cmds_test_send(test, step_message(&(struct step){1})),
                refusals[i] == 0 ? CMDS_E_UNFINISHED : refusals[i]);
        CU_ASSERT_EQUAL(app.runs, 3);
        check_told_once(test, &app);
    }
}

static void test_a_stream_without_end_is_told_of_its_end(void)
{
    struct app app = {.step = STEP_STREAM};
    struct cmds_test *test = open_for(&app, 0);

    (void)cmds_test_send(test, step_message(&(struct step){1})); // The harness cuts it.

    CU_ASSERT_EQUAL(app.runs, 1000);
    check_told_once(test, &app);
}

/* As if in the pool, whose calls the harness runs here. */
static void test_the_connection_goes_between_rounds_of_the_pool(void)
{
    struct app app = {.step = STEP_STREAM};
    struct cmds_test *test = open_for(&app, 0);
    cmds_test_output_full(test, true);
    CU_ASSERT_EQUAL(cmds_test_send(test, work_message(&(struct work){1})), CMDS_EXEC_AGAIN);

    cmds_test_disconnect(test);

    check_told_once(test, &app);
    CU_ASSERT_EQUAL(app.runs, 1);
}

static void test_a_kept_call_between_rounds_is_told_once(void)
{
    struct app app = {.step = STEP_KEEP, .code = CMDS_EXEC_AGAIN};
    struct cmds_test *test = open_waiting(&app, 0);

    cmds_test_disconnect(test);

    CU_ASSERT_EQUAL(app.told_cancelled, 1);
    check_told_once(test, &app);
    cmds_call_unref(app.kept);
    CU_ASSERT_EQUAL(app.told, 1);
}

static void test_a_function_that_asks_for_more_after_its_last_result_is_told(void)
{
    struct app app = {.step = STEP_LAST};
    struct cmds_test *test = open_for(&app, 0);

    CU_ASSERT_EQUAL(cmds_test_send(test, step_message(&(struct step){1})), CMDS_EXEC_AGAIN);

    CU_ASSERT_EQUAL(app.runs, 1);
    CU_ASSERT_EQUAL(app.told_cancelled, 0);
    check_told_once(test, &app);
}

/* --- No further round was asked for ----------------------------------------------------------- */

static void test_a_function_that_ends_is_not_told(void)
{
    static const int codes[] = {0, -ENOBUFS, CMDS_E_GONE, -EIO};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct app app = {.step = STEP_ENDS, .code = codes[i]};
        struct cmds_test *test = open_for(&app, 0);
        (void)cmds_test_send(test, step_message(&(struct step){1}));
        cmds_test_disconnect(test);
        cmds_test_close(test);
        CU_ASSERT_EQUAL(app.errors, 1);
        CU_ASSERT_EQUAL(app.told, 0);
    }
}

static void *let_go(void *argument)
{
    free_context(argument);
    cmds_call_unref(argument);
    return NULL;
}

/* Between the last unref of another thread and the end on the shard the connection goes. */
static void test_who_has_let_go_is_not_told(void)
{
    struct app app = {.step = STEP_KEEP};
    struct cmds_test *test = open_for(&app, 50);
    pthread_t thread;
    CU_ASSERT_EQUAL(cmds_test_send(test, step_message(&(struct step){1})), 0);

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, let_go, app.kept), 0);
    (void)pthread_join(thread, NULL);
    cmds_test_disconnect(test); // Fails the connection, then takes the shard's mail.

    CU_ASSERT_EQUAL(app.told, 0);
    CU_ASSERT_EQUAL(app.errors, 0);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(app.told, 0);
}

/* --- on_exec_error ---------------------------------------------------------------------------- */

/* What was set by those who let go is not for those who keep it anew. */
static void test_a_call_that_on_exec_error_keeps_has_no_on_cancel(void)
{
    struct app app = {.step = STEP_ENDS, .keep_on_error = true};
    struct cmds_test *test = open_for(&app, 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, step_message(&(struct step){1})), CMDS_E_UNFINISHED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(app.kept);

    cmds_test_disconnect(test);

    CU_ASSERT_EQUAL(app.told, 0);
    CU_ASSERT(cmds_call_is_cancelled(app.kept));
    cmds_call_unref(app.kept);
    cmds_test_close(test);
}

static void on_cancel_lets_go(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    app->told++;
    free_context(call);
    cmds_call_unref(app->kept);
}

static int keep_until_cancelled(
        void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    int code = cmds_invocation_next(next, call);
    if (code == 0) {
        cmds_call_on_cancel(call, on_cancel_lets_go);
    }
    return code;
}

/* cmds_call_fail on the shard: on_exec_error closes, and on_cancel lets go of the only reference. */
static void test_a_call_may_be_let_go_while_it_fails(void)
{
    static const cmds_invoker_fn keepers[] = {keep_until_cancelled};
    struct app app = {.step = STEP_KEEP, .close_on_error = true};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_test *test = NULL;
    options.receiver = &app;
    options.on_exec_error = on_exec_error;
    options.invokers = keepers;
    options.invoker_count = 1;
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, &options, NULL), 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, step_message(&(struct step){1})), 0);

    CU_ASSERT_EQUAL(cmds_test_send(test, fail_message(&(struct fail){0})), CMDS_E_GONE);

    CU_ASSERT_EQUAL(app.told, 1);
    CU_ASSERT_EQUAL(app.contexts, 0);
    cmds_test_close(test);
}

static CU_TestInfo tests[] = {
        {"connection goes between rounds", test_the_connection_goes_between_rounds},
        {"deadline passes between rounds", test_the_deadline_passes_between_rounds},
        {"connection is refused between rounds", test_the_connection_is_refused_between_rounds},
        {"invoker keeps a round from its function",
                test_an_invoker_keeps_a_round_from_its_function},
        {"stream without end is told", test_a_stream_without_end_is_told_of_its_end},
        {"connection goes between rounds of the pool",
                test_the_connection_goes_between_rounds_of_the_pool},
        {"kept call between rounds is told once", test_a_kept_call_between_rounds_is_told_once},
        {"asks for more after the last result",
                test_a_function_that_asks_for_more_after_its_last_result_is_told},
        {"function that ends is not told", test_a_function_that_ends_is_not_told},
        {"who has let go is not told", test_who_has_let_go_is_not_told},
        {"call that on_exec_error keeps has no on_cancel",
                test_a_call_that_on_exec_error_keeps_has_no_on_cancel},
        {"call may be let go while it fails", test_a_call_may_be_let_go_while_it_fails},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("call rounds", tests)
