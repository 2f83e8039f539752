/* SPDX-License-Identifier: MIT */
/*
 * Commands that have waited with their bytes, each from another time on, and are executed and answered in one
 * turn: each has taken its own time. Others that end in one turn have begun in it, or end when they are
 * answered; see test_sim_ledger.c.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "support/read_metrics.h"
#include "support/sim_runs.h"

enum {
    CONNECTIONS = 4, // Two on each shard.
    KEPT_MS = 20,
};

struct keep {
    int64_t number;
};
struct wait {
    int64_t number;
};
struct last {
    int64_t number;
};
CMDS_COMMAND(keep, 0, number);
CMDS_COMMAND(wait, 1, number);
CMDS_RESULT(last, 0, number);
static const struct cmds_type *const commands[] = {&keep_type, &wait_type};
static const struct cmds_type *const results[] = {&last_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("waits", commands, results);

static int answer(struct cmds_call *call)
{
    struct last last = {1};
    return cmds_call_send(call, last_message(&last));
}

static void answer_later(struct cmds_call *call)
{
    (void)answer(call);
    cmds_call_unref(call);
}

static int on_keep(struct cmds_call *call, const struct keep *keep)
{
    (void)keep;
    return cmds_call_after(cmds_call_ref(call), KEPT_MS, answer_later);
}

static int on_wait(struct cmds_call *call, const struct wait *wait)
{
    (void)wait;
    return answer(call);
}
static const struct cmds_exec execs[] = {CMDS_EXEC(keep, on_keep), CMDS_EXEC(wait, on_wait)};

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

static bool send_one(struct cmds_group *group, struct cmds_message message)
{
    return cmds_group_send(group, message, NULL, on_result, NULL) == 0;
}

/* Returns: the seconds that all who wait should take together; negative: not all was sent. */
static double send_all(struct cmds_group *group)
{
    struct keep keep = {1};
    struct wait wait = {1};
    double took = 0;
    bool sent = true;
    for (int i = 0; i < CONNECTIONS; i++) {
        sent = send_one(group, keep_message(&keep)) && sent;
    }
    for (int i = 1; i <= CONNECTIONS; i++) {
        cmds_sim_sleep_ms(KEPT_MS / (CONNECTIONS + 1));
        sent = send_one(group, wait_message(&wait)) && sent;
        took += 0.001 * KEPT_MS * (1 - (double)i / (CONNECTIONS + 1));
    }
    return sent && cmds_group_drain(group, 10000) == 0 ? took : -1;
}

static int use(struct cmds_runtime *runtime, struct cmds_group *group)
{
    struct metric_sum of = {.name = "cmd-stream.server.command.duration",
            .key = "cmd-stream.command.type",
            .value = "wait"};
    double took = send_all(group);
    cmds_sim_sleep_ms(10); // Until the turn is over.
    of = metric_read(runtime, 0, of);
    (void)printf("%u have taken %f s, of %f\n", (unsigned)of.count, of.real, took);
    return of.count == CONNECTIONS && of.real > took * 0.9 && of.real < took * 1.1 ? 0 : 1;
}

static int service_main(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *opened = NULL;
    struct cmds_group *clients = NULL;
    (void)context;
    options.shard_count = 2;
    server.listen = group.connect = "127.0.0.1:9000";
    server.in_flight_max = 1;
    group.client_count = CONNECTIONS;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    code = code < 0 ? code : cmds_server_start(&opened, runtime, &server, NULL);
    code = code < 0 ? code : cmds_group_open(&clients, runtime, &group, NULL);
    code = code < 0 ? code : cmds_group_wait(clients, 1000, NULL);
    code = code < 0 ? code : use(runtime, clients);
    cmds_runtime_stop(runtime);
    return code;
}

static void test_ledger_of_commands_that_wait(void)
{
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(7, 0);
    (void)add(sim, "service", false, service_main, NULL);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
}

static CU_TestInfo tests[] = {
        {"of commands that wait", test_ledger_of_commands_that_wait},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_ledger_waits", tests)
