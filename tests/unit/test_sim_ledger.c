/* SPDX-License-Identifier: MIT */
/*
 * What is counted by command type. What may go wrong: a command that is counted twice or never,
 * because it was kept, ran elsewhere, again, too long, or lost its connection; a duration that is that of
 * a sleep, or none; what is switched off and kept all the same.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <stdio.h>

#include "support/read_metrics.h"
#include "support/sim_runs.h"
#include "telemetry/ledger.h"

enum {
    COMMANDS = 300,
    CONNECTIONS = 4,
    AGAIN_RESULTS = 5,
    MIXTURES = 40,
    PARTS = MIXTURES * AGAIN_RESULTS,
    LASTS = MIXTURES * 6,
    KEPT_MS = 20,
    EXEC_TIMEOUT_MS = 500,
};

struct ask {
    int64_t how;
};
struct work {
    int64_t how;
};
struct tell {
    int64_t how;
};
struct idle {
    int64_t how;
};
struct part {
    int64_t number;
};
struct last {
    int64_t number;
};
CMDS_COMMAND(ask, 0, how);
CMDS_COMMAND(work, 1, how);
CMDS_COMMAND_ONE_WAY(tell, 2, how);
CMDS_COMMAND(idle, 300, how);
CMDS_RESULT_NEVER_LAST(part, 0, number);
CMDS_RESULT(last, 1, number);
static const struct cmds_type *const commands[] = {&ask_type, &work_type, &tell_type, &idle_type};
static const struct cmds_type *const results[] = {&part_type, &last_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("ledger", commands, results);

enum how {
    HOW_NOW,
    HOW_LATER,     // By a timer, KEPT_MS later.
    HOW_FAIL,      // Without an answer.
    HOW_FAIL_LATE, // Behind its answer.
    HOW_NEVER,     // It is kept, and let go of when it is cancelled.
    HOW_AGAIN,     // AGAIN_RESULTS parts, one in each round, and the last.
    HOW_FORGET,    // It returns without any answer.
    HOW_KEEP,      // As HOW_LATER, and it is kept behind its answer.
};

/* --- The service ------------------------------------------------------------------------------ */

struct service {
    int (*use)(struct service *service); // Returns: 0; the line of what was not so.
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    const struct cmds_telemetry_options *options;
};
#define EXPECT(fact)                                                                               \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            (void)fprintf(stderr, "line %d: %s\n", __LINE__, #fact);                               \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

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

static void answer_and_keep(struct cmds_call *call)
{
    (void)answer(call);
    if (cmds_call_after(call, EXEC_TIMEOUT_MS / 2, cmds_call_unref) < 0) {
        cmds_call_unref(call);
    }
}

static int again(struct cmds_call *call)
{
    struct part part = {1};
    if (cmds_call_round(call) == AGAIN_RESULTS) {
        return answer(call);
    }
    int code = cmds_call_send(call, part_message(&part));
    return code < 0 ? code : CMDS_EXEC_AGAIN;
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    switch (ask->how) {
    case HOW_LATER:
        return cmds_call_after(cmds_call_ref(call), KEPT_MS, answer_later);
    case HOW_KEEP:
        return cmds_call_after(cmds_call_ref(call), KEPT_MS, answer_and_keep);
    case HOW_FAIL:
        return CMDS_E_LOST; // As if from elsewhere: the connection stays.
    case HOW_FAIL_LATE:
        (void)answer(call);
        return CMDS_E_LOST;
    case HOW_NEVER:
        cmds_call_on_cancel(cmds_call_ref(call), cmds_call_unref);
        return 0;
    case HOW_AGAIN:
        return again(call);
    case HOW_FORGET:
        return 0;
    default:
        return answer(call);
    }
}

static int on_work(struct cmds_call *call, const struct work *work)
{
    (void)work;
    cmds_sim_sleep_ms(KEPT_MS);
    return answer(call);
}

static int on_tell(struct cmds_call *call, const struct tell *tell)
{
    (void)call;
    return tell->how == HOW_FAIL ? CMDS_E_LOST : 0;
}

static int on_idle(struct cmds_call *call, const struct idle *idle)
{
    (void)idle;
    return answer(call);
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC_IN_POOL(work, on_work),
        CMDS_EXEC(tell, on_tell), CMDS_EXEC(idle, on_idle)};

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

static int service_open(struct service *service)
{
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    server.listen = group.connect = "127.0.0.1:9000";
    server.exec_timeout_ms = EXEC_TIMEOUT_MS;
    group.client_count = CONNECTIONS;
    group.deadline_ms = 4 * EXEC_TIMEOUT_MS;
    int code = cmds_server_start(&service->server, service->runtime, &server, NULL);
    code = code < 0 ? code : cmds_group_open(&service->group, service->runtime, &group, NULL);
    return code < 0 ? code : cmds_group_wait(service->group, 1000, NULL);
}

static int service_main(void *context)
{
    struct service *service = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 2;
    options.telemetry = service->options;
    int code = cmds_runtime_start(&service->runtime, &options, NULL);
    code = code < 0 ? code : service_open(service);
    code = code < 0 ? code : service->use(service);
    cmds_runtime_stop(service->runtime);
    return code;
}

static void run(int (*use)(struct service *service), const struct cmds_telemetry_options *options)
{
    struct service service = {.use = use, .options = options};
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(7, 0);
    (void)add(sim, "service", false, service_main, &service);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
}

static bool send_one(struct service *service, struct cmds_message message)
{
    return cmds_group_send(service->group, message, NULL, on_result, NULL) == 0;
}

static bool send_all(struct service *service, enum how how, uint32_t count)
{
    bool sent = true;
    for (uint32_t i = 0; i < count && sent; i++) {
        struct ask ask = {how};
        sent = send_one(service, ask_message(&ask));
    }
    return sent && cmds_group_drain(service->group, 10000) == 0;
}

/* --- What was counted ------------------------------------------------------------------------- */

static struct metric_sum of_type(
        struct service *service, const char *metric, const char *type, const char *status)
{
    struct metric_sum of = {.name = metric, .key = "cmd-stream.command.type", .value = type};
    of.key2 = status != NULL ? "cmd-stream.command.status" : NULL;
    of.value2 = status;
    return metric_read(service->runtime, 0, of);
}

static int64_t commands_of(struct service *service, const char *type, const char *status)
{
    return of_type(service, "cmd-stream.server.command.count", type, status).integer;
}

static struct metric_sum durations_of(struct service *service, const char *type, const char *status)
{
    cmds_sim_sleep_ms(10); // Until the turn is over.
    return of_type(service, "cmd-stream.server.command.duration", type, status);
}

static int64_t results_of(struct service *service, const char *type, const char *result)
{
    struct metric_sum of = {.name = "cmd-stream.server.result.count",
            .key = "cmd-stream.command.type",
            .value = type,
            .key2 = "cmd-stream.result.type",
            .value2 = result};
    return metric_read(service->runtime, 0, of).integer;
}

/* --- Facts ------------------------------------------------------------------------------------ */

static int use_answers(struct service *service)
{
    EXPECT(send_all(service, HOW_NOW, COMMANDS));
    EXPECT(commands_of(service, "ask", NULL) == COMMANDS);
    EXPECT(commands_of(service, "ask", "OK") == COMMANDS);
    EXPECT(results_of(service, "ask", "last") == COMMANDS);
    struct metric_sum took = durations_of(service, "ask", "OK");
    EXPECT(took.points == 1 && took.count == COMMANDS);
    EXPECT(took.real > 0 && took.real < 0.001 * COMMANDS);
    struct metric_sum size = of_type(service, "cmd-stream.server.command.size", "ask", NULL);
    EXPECT(size.count == COMMANDS);
    size = of_type(service, "cmd-stream.server.result.size", "ask", NULL);
    EXPECT(size.count == COMMANDS);
    took = of_type(service, "cmd-stream.server.result.duration", "ask", NULL);
    EXPECT(took.count == COMMANDS);
    /* What never came is left out, unless one asks for it. */
    struct metric_sum idle = {.name = "cmd-stream.server.command.count",
            .key = "cmd-stream.command.type",
            .value = "idle"};
    EXPECT(metric_read(service->runtime, 0, idle).points == 0);
    EXPECT(metric_read(service->runtime, CMDS_READ_EMPTY, idle).points == CMDI_STATUSES);
    return 0;
}

static void test_ledger_of_answers(void)
{
    run(use_answers, NULL);
}

static int use_slow_ones(struct service *service)
{
    struct work work = {0};
    EXPECT(send_all(service, HOW_LATER, 10));
    for (int i = 0; i < 4; i++) {
        EXPECT(send_one(service, work_message(&work)));
    }
    EXPECT(cmds_group_drain(service->group, 10000) == 0);
    EXPECT(commands_of(service, "ask", "OK") == 10);
    EXPECT(commands_of(service, "work", "OK") == 4);
    struct metric_sum took = durations_of(service, "ask", "OK");
    EXPECT(took.count == 10 && took.real >= 0.001 * KEPT_MS * 10);
    EXPECT(took.real < 0.001 * KEPT_MS * 10 * 1.5);
    took = durations_of(service, "work", "OK");
    EXPECT(took.count == 4 && took.real >= 0.001 * KEPT_MS * 4 && took.real < 0.5);
    EXPECT(results_of(service, "work", "last") == 4);
    EXPECT(send_all(service, HOW_KEEP, 5));
    EXPECT(commands_of(service, "ask", "OK") == 15); // Though they are not let go of.
    cmds_sim_sleep_ms(EXEC_TIMEOUT_MS);
    EXPECT(commands_of(service, "ask", NULL) == 15);
    took = durations_of(service, "ask", "OK");
    EXPECT(took.count == 15 && took.real < 0.001 * KEPT_MS * 15 * 1.5);
    return 0;
}

static void test_ledger_of_commands_that_take_longer(void)
{
    run(use_slow_ones, NULL);
}

static int use_failures(struct service *service)
{
    struct tell tell = {HOW_NOW};
    EXPECT(send_one(service, tell_message(&tell)));
    tell.how = HOW_FAIL;
    EXPECT(send_one(service, tell_message(&tell)));
    EXPECT(send_all(service, HOW_FAIL, 3));
    EXPECT(send_all(service, HOW_FAIL_LATE, 2));
    EXPECT(send_all(service, HOW_FORGET, 4));
    EXPECT(send_all(service, HOW_NEVER, 6));
    EXPECT(commands_of(service, "ask", NULL) == 15);
    EXPECT(commands_of(service, "ask", "FAILED") == 9);
    EXPECT(commands_of(service, "ask", "TIMEOUT") == 6);
    EXPECT(commands_of(service, "tell", "OK") == 1);
    EXPECT(commands_of(service, "tell", "FAILED") == 1);
    struct metric_sum took = durations_of(service, "ask", "TIMEOUT");
    EXPECT(took.count == 6 && took.real >= 0.001 * EXEC_TIMEOUT_MS * 6);
    EXPECT(durations_of(service, "ask", "FAILED").count == 9);
    EXPECT(durations_of(service, "ask", NULL).count == 15);
    return 0;
}

static void test_ledger_of_failures(void)
{
    run(use_failures, NULL);
}

/* The usual ones are counted another way than those beside them; together nothing is lost or counted twice. */
static int use_mixture(struct service *service)
{
    static const enum how hows[] = {
            HOW_NOW, HOW_FAIL_LATE, HOW_AGAIN, HOW_NOW, HOW_LATER, HOW_KEEP, HOW_FAIL};
    for (uint32_t i = 0; i < MIXTURES * 7; i++) {
        struct ask ask = {hows[i % 7]};
        EXPECT(send_one(service, ask_message(&ask)));
    }
    EXPECT(cmds_group_drain(service->group, 10000) == 0);
    EXPECT(commands_of(service, "ask", "OK") == MIXTURES * 5);
    EXPECT(commands_of(service, "ask", "FAILED") == MIXTURES * 2);
    EXPECT(results_of(service, "ask", "part") == PARTS);
    EXPECT(results_of(service, "ask", "last") == LASTS);
    EXPECT(durations_of(service, "ask", "OK").count == MIXTURES * 5);
    struct metric_sum of = of_type(service, "cmd-stream.server.command.size", "ask", NULL);
    EXPECT(of.count == MIXTURES * 7);
    EXPECT(of_type(service, "cmd-stream.client.command.size", "ask", NULL).real == of.real);
    of = of_type(service, "cmd-stream.server.result.size", "ask", NULL);
    EXPECT(of.count == PARTS + LASTS);
    EXPECT(of_type(service, "cmd-stream.client.result.size", "ask", NULL).real == of.real);
    EXPECT(of_type(service, "cmd-stream.server.result.duration", "ask", NULL).count == of.count);
    EXPECT(of_type(service, "cmd-stream.client.result.duration", "ask", NULL).count == of.count);
    EXPECT(of_type(service, "cmd-stream.client.result.count", "ask", NULL).integer ==
            PARTS + LASTS);
    EXPECT(of_type(service, "cmd-stream.client.command.count", "ask", "OK").integer == LASTS);
    return 0;
}

static void test_ledger_of_a_mixture(void)
{
    run(use_mixture, NULL);
}

/* Calls that are kept lose their connections; what both servers have counted is one. */
static int use_close(struct service *service)
{
    for (int round = 1; round <= 3; round++) {
        struct ask ask = {HOW_NEVER};
        EXPECT(send_all(service, HOW_NOW, 10));
        for (int i = 0; i < 5; i++) {
            EXPECT(send_one(service, ask_message(&ask)));
        }
        cmds_sim_sleep_ms(100);
        EXPECT(commands_of(service, "ask", NULL) == round * 15 - 5); // They are in flight.
        cmds_group_close(service->group, NULL, NULL);
        cmds_server_close(service->server);
        EXPECT(commands_of(service, "ask", "CANCELLED") == round * 5);
        EXPECT(commands_of(service, "ask", NULL) == round * 15);
        EXPECT(metric_total(service->runtime, "cmdstream.server.commands_received") == round * 15);
        cmds_sim_sleep_ms(2000);
        EXPECT(service_open(service) == 0);
    }
    return 0;
}

static void test_ledger_counts_what_was_cut_off(void)
{
    run(use_close, NULL);
}

static int use_shards(struct service *service)
{
    EXPECT(send_all(service, HOW_NOW, COMMANDS));
    struct metric_sum of = {.name = "cmd-stream.server.command.count", .key = "cmdstream.shard"};
    of.value = "0";
    int64_t first = metric_read(service->runtime, CMDS_READ_BY_SHARD, of).integer;
    of.value = "1";
    int64_t second = metric_read(service->runtime, CMDS_READ_BY_SHARD, of).integer;
    EXPECT(first > 0 && second > 0 && first + second == COMMANDS);
    of = (struct metric_sum){.name = "cmd-stream.server.command.duration"};
    cmds_sim_sleep_ms(10);
    double seconds = metric_read(service->runtime, 0, of).real;
    double as_go = metric_read(service->runtime, CMDS_READ_GO_MILLISECONDS, of).real;
    EXPECT(as_go > seconds * 999 && as_go < seconds * 1001);
    return 0;
}

static void test_ledger_by_shard_and_in_milliseconds(void)
{
    run(use_shards, NULL);
}

/* --- The other side --------------------------------------------------------------------------- */

static int64_t sent_of(struct service *service, const char *type, const char *status)
{
    return of_type(service, "cmd-stream.client.command.count", type, status).integer;
}

static int use_client(struct service *service)
{
    struct tell tell = {HOW_NOW};
    struct work work = {0};
    EXPECT(send_all(service, HOW_NOW, COMMANDS) && send_all(service, HOW_LATER, 5));
    EXPECT(send_all(service, HOW_AGAIN, 3));
    EXPECT(send_one(service, tell_message(&tell)) && send_one(service, work_message(&work)));
    EXPECT(cmds_group_drain(service->group, 10000) == 0);
    EXPECT(sent_of(service, "ask", NULL) == COMMANDS + 8);
    EXPECT(sent_of(service, "ask", "OK") == COMMANDS + 8);
    EXPECT(sent_of(service, "tell", "OK") == 1 && sent_of(service, "work", "OK") == 1);
    EXPECT(metric_total(service->runtime, "cmd-stream.client.command.count") ==
            metric_total(service->runtime, "cmdstream.client.commands_sent"));
    struct metric_sum of = of_type(service, "cmd-stream.client.command.size", "ask", NULL);
    struct metric_sum same = of_type(service, "cmd-stream.server.command.size", "ask", NULL);
    EXPECT(of.count == COMMANDS + 8 && of.real == same.real);
    of = of_type(service, "cmd-stream.client.result.size", "ask", NULL);
    same = of_type(service, "cmd-stream.server.result.size", "ask", NULL);
    EXPECT(of.count == COMMANDS + 5 + 3 * (AGAIN_RESULTS + 1) && of.count == same.count);
    EXPECT(of.real == same.real);
    cmds_sim_sleep_ms(10);
    of = of_type(service, "cmd-stream.client.command.duration", "ask", "OK");
    EXPECT(of.count == COMMANDS + 8 && of.real > 0.001 * KEPT_MS * 5 && of.real < 10);
    of = of_type(service, "cmd-stream.client.command.duration", "work", "OK");
    EXPECT(of.count == 1 && of.real > 0.001 * KEPT_MS && of.real < 0.005 * KEPT_MS);
    of = of_type(service, "cmd-stream.client.result.duration", "ask", NULL);
    EXPECT(of.count == COMMANDS + 5 + 3 * (AGAIN_RESULTS + 1));
    return 0;
}

static void test_ledger_of_a_group(void)
{
    run(use_client, NULL);
}

static bool send_paused(struct service *service, uint32_t count)
{
    bool sent = true;
    struct ask ask = {HOW_NOW};
    for (uint32_t i = 0; i < count && sent; i++) {
        sent = send_one(service, ask_message(&ask));
    }
    cmds_sim_sleep_ms(100);
    return sent;
}

/* Those of two times are answered in one turn: each has taken its own time. */
static int use_pauses(struct service *service)
{
    bool sent = true;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        EXPECT(cmds_group_pause(service->group, i) == 0);
    }
    sent = send_paused(service, 3 * CONNECTIONS) && send_paused(service, CONNECTIONS);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        EXPECT(cmds_group_resume(service->group, i) == 0);
    }
    EXPECT(sent && cmds_group_drain(service->group, 10000) == 0);
    cmds_sim_sleep_ms(10);
    const double took = (3 * 0.2 + 0.1) * CONNECTIONS;
    struct metric_sum of = of_type(service, "cmd-stream.client.command.duration", "ask", "OK");
    EXPECT(of.count == 4 * CONNECTIONS && of.real > took && of.real < took * 1.1);
    of = of_type(service, "cmd-stream.client.result.duration", "ask", NULL);
    EXPECT(of.count == 4 * CONNECTIONS && of.real > took && of.real < took * 1.1);
    return 0;
}

static void test_ledger_of_two_times_in_one_turn(void)
{
    run(use_pauses, NULL);
}

static int use_client_failures(struct service *service)
{
    struct ask ask = {HOW_NEVER};
    struct tell tell = {HOW_NOW};
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = 100;
    EXPECT(cmds_group_send(service->group, ask_message(&ask), &how, on_result, NULL) == 0);
    how.deadline_ms = 0;
    how.ticket = &ticket;
    EXPECT(cmds_group_send(service->group, ask_message(&ask), &how, on_result, NULL) == 0);
    cmds_sim_sleep_ms(20);
    EXPECT(cmds_group_forget(service->group, ticket) == 0);
    EXPECT(cmds_group_drain(service->group, 10000) == 0);
    EXPECT(sent_of(service, "ask", "TIMEOUT") == 1 && sent_of(service, "ask", "CANCELLED") == 1);
    cmds_sim_sleep_ms(10);
    struct metric_sum of = of_type(service, "cmd-stream.client.command.duration", "ask", "TIMEOUT");
    EXPECT(of.count == 1 && of.real >= 0.1 && of.real < 0.13);

    how.ticket = NULL;
    for (int i = 0; i < 5; i++) { // They are lost with their connections.
        EXPECT(cmds_group_send(service->group, ask_message(&ask), NULL, on_result, NULL) == 0);
    }
    cmds_sim_sleep_ms(20);
    cmds_server_close(service->server);
    EXPECT(cmds_group_drain(service->group, 10000) == 0);
    EXPECT(sent_of(service, "ask", "FAILED") == 5);
    cmds_sim_sleep_ms(20);
    ask.how = HOW_NOW; // These wait for a connection, and end with their group.
    EXPECT(send_one(service, ask_message(&ask)) && send_one(service, tell_message(&tell)));
    cmds_sim_sleep_ms(20);
    cmds_group_close(service->group, NULL, NULL);
    cmds_sim_sleep_ms(2000);
    EXPECT(sent_of(service, "ask", "FAILED") == 6 && sent_of(service, "tell", "FAILED") == 1);
    EXPECT(sent_of(service, "ask", NULL) == 8);
    return service_open(service);
}

static void test_ledger_of_what_a_group_has_lost(void)
{
    run(use_client_failures, NULL);
}

/* However often it is sent, it is one command. */
static int use_resend(struct service *service)
{
    struct ask ask = {HOW_NOW};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.resend = CMDS_RESEND_ONCE;
    cmds_server_close(service->server);
    cmds_sim_sleep_ms(50);
    for (int i = 0; i < 5; i++) { // They wait for a connection that comes later.
        EXPECT(cmds_group_send(service->group, ask_message(&ask), &how, on_result, NULL) == 0);
    }
    cmds_sim_sleep_ms(200);
    EXPECT(sent_of(service, "ask", NULL) == 0);
    cmds_group_close(service->group, NULL, NULL);
    cmds_sim_sleep_ms(2000);
    EXPECT(sent_of(service, "ask", "FAILED") == 5);
    EXPECT(service_open(service) == 0);
    for (int i = 0; i < 5; i++) {
        EXPECT(cmds_group_send(service->group, ask_message(&ask), &how, on_result, NULL) == 0);
    }
    EXPECT(cmds_group_drain(service->group, 10000) == 0);
    EXPECT(sent_of(service, "ask", "OK") == 5 && sent_of(service, "ask", NULL) == 10);
    struct metric_sum of = of_type(service, "cmd-stream.client.result.count", "ask", NULL);
    EXPECT(of.integer == 5);
    return 0;
}

static void test_ledger_of_commands_that_are_sent_again(void)
{
    run(use_resend, NULL);
}

/* --- Options ---------------------------------------------------------------------------------- */

static int use_exec(struct service *service)
{
    EXPECT(send_all(service, HOW_NOW, COMMANDS));
    struct metric_sum exec = of_type(service, "cmdstream.server.exec.duration", "ask", NULL);
    uint32_t sample = service->options->exec_sample;
    EXPECT(sample == 1 ? exec.count == COMMANDS : exec.count > COMMANDS / 2);
    EXPECT(exec.count <= COMMANDS); // Each stands for those since the last one.
    return 0;
}

static void test_ledger_samples_exec_functions(void)
{
    struct cmds_telemetry_options options = CMDS_TELEMETRY_OPTIONS_INIT;
    options.exec_sample = 1;
    run(use_exec, &options);
    options.exec_sample = 10;
    run(use_exec, &options);
}

static int use_off(struct service *service)
{
    uint32_t off = service->options->off;
    EXPECT(send_all(service, HOW_NOW, COMMANDS) && send_all(service, HOW_LATER, 3));
    bool types = (off & CMDS_TELEMETRY_TYPES) == 0;
    cmds_sim_sleep_ms(10);
    struct {
        const char *name;
        bool is_kept;
    } rows[] = {{"cmd-stream.server.command.count", types},
            {"cmd-stream.server.command.size", types && (off & CMDS_TELEMETRY_SIZES) == 0},
            {"cmd-stream.server.command.duration", types && (off & CMDS_TELEMETRY_DURATIONS) == 0},
            {"cmd-stream.server.result.count", types},
            {"cmd-stream.server.result.size", types && (off & CMDS_TELEMETRY_SIZES) == 0},
            {"cmd-stream.server.result.duration", types && (off & CMDS_TELEMETRY_DURATIONS) == 0},
            {"cmdstream.server.exec.duration", types && (off & CMDS_TELEMETRY_EXEC) == 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct metric_sum of = {.name = rows[i].name};
        EXPECT((metric_read(service->runtime, 0, of).points > 0) == rows[i].is_kept);
    }
    EXPECT(metric_total(service->runtime, "cmdstream.server.commands_received") == COMMANDS + 3);
    return 0;
}

static void test_ledger_what_is_off_is_not_kept(void)
{
    struct cmds_telemetry_options options = CMDS_TELEMETRY_OPTIONS_INIT;
    options.exec_sample = 1;
    for (options.off = 0; options.off <= CMDS_TELEMETRY_ALL; options.off++) {
        run(use_off, &options);
    }
}

static int options_main(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)context;
    options.shard_count = 1;
    options.telemetry = &telemetry;
    telemetry.off = CMDS_TELEMETRY_ALL + 1;
    EXPECT(cmds_runtime_start(&runtime, &options, &error) == -E2BIG);
    EXPECT(strstr(error.text, "off") != NULL);
    telemetry.off = 0;
    telemetry.exec_sample = 1000001;
    error = (struct cmds_error)CMDS_ERROR_INIT;
    EXPECT(cmds_runtime_start(&runtime, &options, &error) == -EINVAL);
    EXPECT(strstr(error.text, "exec_sample") != NULL);
    telemetry.exec_sample = 1000000;
    telemetry.struct_size = 0;
    EXPECT(cmds_runtime_start(&runtime, &options, &error) == -EINVAL);
    telemetry.struct_size = sizeof(telemetry);
    EXPECT(cmds_runtime_start(&runtime, &options, &error) == 0);
    cmds_runtime_stop(runtime);
    return 0;
}

static void test_ledger_options_are_checked(void)
{
    struct cmds_sim *sim = open_world(7, 0);
    (void)add(sim, "options", false, options_main, NULL);
    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
}

static int use_stall(struct service *service)
{
    struct ask ask = {HOW_NOW};
    EXPECT(send_one(service, ask_message(&ask)));
    EXPECT(cmds_group_drain(service->group, 1000) == 0);
    return metric_total(service->runtime, "cmdstream.stalls") > 0 ? 0 : __LINE__;
}

static int use_no_stall(struct service *service)
{
    return use_stall(service) == 0 ? __LINE__ : 0;
}

/* Turns of the world take some microseconds, below a millisecond. */
static void test_ledger_stalls_have_their_bound(void)
{
    struct cmds_telemetry_options options = CMDS_TELEMETRY_OPTIONS_INIT;
    options.stall_ms = CMDS_NEVER;
    run(use_no_stall, &options);
    options.stall_ms = 50;
    run(use_no_stall, &options);
}

static CU_TestInfo tests[] = {
        {"of answers", test_ledger_of_answers},
        {"of commands that take longer", test_ledger_of_commands_that_take_longer},
        {"of failures", test_ledger_of_failures},
        {"of a mixture", test_ledger_of_a_mixture},
        {"counts what was cut off", test_ledger_counts_what_was_cut_off},
        {"by shard, and in milliseconds", test_ledger_by_shard_and_in_milliseconds},
        {"of a group", test_ledger_of_a_group},
        {"of two times in one turn", test_ledger_of_two_times_in_one_turn},
        {"of what a group has lost", test_ledger_of_what_a_group_has_lost},
        {"of commands that are sent again", test_ledger_of_commands_that_are_sent_again},
        {"samples exec functions", test_ledger_samples_exec_functions},
        {"what is off is not kept", test_ledger_what_is_off_is_not_kept},
        {"options are checked", test_ledger_options_are_checked},
        {"stalls have their bound", test_ledger_stalls_have_their_bound},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_ledger", tests)
