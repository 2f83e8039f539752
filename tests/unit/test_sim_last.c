/* SPDX-License-Identifier: MIT */
/*
 * Behind the last result of a command nothing follows, whoever sends it: here threads of the server's pool send parts as
 * long as they may, and the shard ends their calls at the deadline, with the protocol's error result. What may go
 * wrong: a part that was on its way when the call ended leaves behind its end; one that was taken before it is lost,
 * or leaves behind it.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "support/sim_runs.h"

enum {
    SEEDS = 200,
    COMMANDS = 120, // Of each seed, one behind the other.
    IN_FLIGHT = 12,
    DEADLINE_MS = 3,
};

struct ask {
    int64_t number;
};
struct part {
    int64_t index;
    bool last;
};
struct failed {
    int32_t code;
    struct cmds_string text;
};
CMDS_COMMAND(ask, 0, number);
CMDS_RESULT(part, 0, index, CMDS_LAST(last));
CMDS_RESULT_ERROR(failed, 1, code, text);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&part_type, &failed_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("last", commands, results);

/* The world has one thread at a time. */
static uint64_t sent, received, ended, unexpected;

/* Whoever wakes up with the deadline may be in the midst of a send. */
static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct part part = {0, false};
    int code = 0;
    (void)ask;
    for (; code == 0; part.index++) {
        code = cmds_call_send(call, part_message(&part));
        sent += code == 0;
        cmds_sim_sleep_ms(1);
    }
    CU_ASSERT(code == CMDS_E_FINISHED || code == CMDS_E_GONE);
    return 0;
}

static int server_main(void *context)
{
    static const struct cmds_exec execs[] = {CMDS_EXEC_IN_POOL(ask, on_ask)};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    options.listen = "0.0.0.0:9000";
    options.exec_timeout_ms = DEADLINE_MS;
    return serve(&options);
}

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    received += result->error == 0 && !result->is_error;
    ended += result->last;
    CU_ASSERT_EQUAL(result->last, result->is_error);
}

static void on_unexpected(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
    unexpected++;
}

static int client_main(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    (void)context;
    options.shard_count = 1;
    group_options.connect = "server:9000";
    group_options.on_unexpected = on_unexpected;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&group, runtime, &group_options, NULL);
    code = code < 0 ? code : cmds_group_wait(group, 1000, NULL);
    for (uint64_t i = 0; i < COMMANDS && code == 0; i++) {
        const struct ask ask = {(int64_t)i};
        while (i >= ended + IN_FLIGHT) {
            cmds_sim_sleep_ms(1);
        }
        code = cmds_group_send(group, ask_message(&ask), NULL, on_result, NULL);
    }
    cmds_sim_sleep_ms(200);
    cmds_group_close(group, NULL, NULL);
    cmds_runtime_stop(runtime);
    return code;
}

static void test_sim_last_has_nothing_behind_it(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        char text[256];
        sent = received = ended = unexpected = 0;
        struct cmds_sim *sim = open_world(seed, 0);
        (void)add(sim, "server", true, server_main, NULL);
        (void)add(sim, "client", false, client_main, NULL);
        CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), 0);
        CU_ASSERT_EQUAL(unexpected, 0);
        CU_ASSERT_EQUAL(ended, COMMANDS);
        CU_ASSERT_EQUAL(received, sent);
    }
}

static CU_TestInfo tests[] = {
        {"it has nothing behind it", test_sim_last_has_nothing_behind_it},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_last", tests)
