/* SPDX-License-Identifier: MIT */
#include "support/acts.h"

#include <errno.h>

#include "support/harness.h"

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
static const struct cmds_type *const results[] = {&value_type, &line_type, &page_type};
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

struct cmds_server_options acts_options(struct app *app)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.receiver = app;
    options.on_shard_start = on_shard_start;
    options.on_shard_stop = on_shard_stop;
    options.on_connect = on_connect;
    options.on_disconnect = on_disconnect;
    return options;
}

struct cmds_test *acts_open_with(const struct cmds_server_options *options)
{
    struct cmds_test *test = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, options, &error), 0);
    return test;
}

struct cmds_test *acts_open(struct app *app)
{
    struct cmds_server_options options = acts_options(app);
    return acts_open_with(&options);
}

int acts_send(struct cmds_test *test, int64_t number)
{
    return cmds_test_send(test, act_message(&(struct act){number, CMDS_STRING("text")}));
}

int acts_answer(struct cmds_call *call, int64_t number)
{
    return cmds_call_send(call, value_message(&(struct value){number, CMDS_STRING("")}));
}

int acts_echo(struct cmds_call *call, const struct act *act)
{
    return cmds_call_send(call, value_message(&(struct value){act->number * 2, act->text}));
}

int acts_stream(struct cmds_call *call, const struct act *act)
{
    int64_t number = (int64_t)cmds_call_round(call) + 1;
    struct line line = {number, number >= act->number};
    int code = cmds_call_send(call, line_message(&line));
    if (code == -ENOBUFS) {
        return CMDS_EXEC_AGAIN;
    }
    return code < 0 || line.last ? code : CMDS_EXEC_AGAIN;
}
