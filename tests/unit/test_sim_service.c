/* SPDX-License-Identifier: MIT */
/*
 * A server and a group on two shards of one runtime, as one process of a world, as a program has them:
 * threads, pool, waits. The time of deadlines, waits and jobs that block is the world's, an hour takes
 * none of ours, and the same run is the same.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    COMMANDS = 500,
    CONNECTIONS = 4,
    HOUR_MS = 3600 * 1000,
};

struct ask {
    int64_t number;
};
struct work {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_COMMAND(work, 1, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&ask_type, &work_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("sim", commands, results);

struct service {
    int (*use)(struct service *service); // What the test is about. Returns: 0: all was right.
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    struct cmds_call *_Atomic kept; // Of the last command with a negative number.
    _Atomic uint32_t by_shard[2], by_pool, answers, failures;
    _Atomic int last_code;
    _Atomic int64_t sum;
    uint32_t job_ms; // So long each job blocks.
};

/* --- The program ------------------------------------------------------------------------------ */

static int answer(struct cmds_call *call, int64_t number)
{
    struct answer value = {number};
    return cmds_call_send(call, answer_message(&value));
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct service *service = cmds_call_receiver(call);
    int shard = cmds_runtime_current_shard(service->runtime);
    if (shard != 0 && shard != 1) {
        return -1;
    }
    atomic_fetch_add(&service->by_shard[shard], 1);
    uint64_t id = cmds_connection_id(cmds_call_connection(call));
    cmds_sim_note(cmds_sim_current(), "connection %llu asks", (unsigned long long)id);
    if (ask->number < 0) {
        atomic_store(&service->kept, cmds_call_ref(call));
        return 0;
    }
    return answer(call, ask->number);
}

static int on_work(struct cmds_call *call, const struct work *work)
{
    struct service *service = cmds_call_receiver(call);
    atomic_fetch_add(&service->by_pool, cmds_runtime_current_shard(service->runtime) < 0);
    cmds_sim_sleep_ms(service->job_ms);
    return answer(call, work->number);
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC_IN_POOL(work, on_work)};

static void on_result(void *context, const struct cmds_result *result)
{
    struct service *service = context;
    const struct answer *value = answer_of(result);
    if (value != NULL) {
        atomic_fetch_add(&service->answers, 1);
        atomic_fetch_add(&service->sum, value->number);
    } else {
        atomic_fetch_add(&service->failures, 1);
        atomic_store(&service->last_code, result->error);
    }
}

static int service_open(struct service *service)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.shard_count = 2;
    server.listen = "127.0.0.1:9000";
    server.receiver = service;
    group.connect = "127.0.0.1:9000";
    group.client_count = CONNECTIONS;
    int code = cmds_runtime_start(&service->runtime, &options, NULL);
    code = code < 0 ? code : cmds_server_start(&service->server, service->runtime, &server, NULL);
    code = code < 0 ? code : cmds_group_open(&service->group, service->runtime, &group, NULL);
    return code < 0 ? code : cmds_group_wait(service->group, 1000, NULL);
}

static int service_main(void *context)
{
    struct service *service = context;
    int code = service_open(service);
    code = code < 0 ? code : service->use(service);
    cmds_group_close(service->group, NULL, NULL);
    cmds_server_close(service->server);
    cmds_runtime_stop(service->runtime);
    return code;
}

static int send_ask(struct service *service, int64_t number, uint32_t deadline_ms)
{
    struct ask ask = {number};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = deadline_ms;
    return cmds_group_send(service->group, ask_message(&ask), &how, on_result, service);
}

static int send_work(struct service *service, int64_t number)
{
    struct work work = {number};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = CMDS_NEVER;
    return cmds_group_send(service->group, work_message(&work), &how, on_result, service);
}

static uint64_t now_ms(void)
{
    return cmds_sim_now_ns(cmds_sim_current()) / 1000000;
}

/* Whether something lasted that long, and the shards as long as they may take to see it. */
static bool took(uint64_t since_ms, uint64_t ms)
{
    uint64_t took_ms = now_ms() - since_ms;
    return took_ms >= ms && took_ms <= ms + 20;
}

/* Returns: the hash; 0: the run has failed, or something is left. */
static uint64_t run(struct service *service, int (*use)(struct service *service))
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    options.seed = 7;
    options.time_max_ms = 2 * HOUR_MS;
    service->use = use;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    (void)add(sim, "service", false, service_main, service);
    int code = finish(sim, &report, NULL, 0);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
    return code == 0 ? report.hash : 0;
}

/* --- What it does ----------------------------------------------------------------------------- */

static int use_ask_all(struct service *service)
{
    for (int64_t i = 0; i < COMMANDS; i++) {
        if (send_ask(service, i, CMDS_NEVER) < 0) {
            return 1;
        }
    }
    return cmds_group_drain(service->group, 1000);
}

static void test_sim_service_two_shards_answer(void)
{
    struct service service = {.use = NULL};

    (void)run(&service, use_ask_all);

    CU_ASSERT_EQUAL(service.answers, COMMANDS);
    CU_ASSERT_EQUAL(service.sum, (int64_t)COMMANDS * (COMMANDS - 1) / 2);
    CU_ASSERT_EQUAL(service.by_shard[0] + service.by_shard[1], COMMANDS);
    CU_ASSERT(service.by_shard[0] > 0 && service.by_shard[1] > 0);
}

static int use_work(struct service *service)
{
    uint64_t since_ms = now_ms();
    for (int64_t i = 0; i < 4;
            i++) { // As many as the pool has threads at least, each of a connection.
        if (send_work(service, i) < 0) {
            return 1;
        }
    }
    int code = cmds_group_drain(service->group, 2 * HOUR_MS);
    return code == 0 && now_ms() - since_ms >= service->job_ms ? 0 : 1;
}

static void test_sim_service_jobs_block_in_the_time_of_the_world(void)
{
    struct service service = {.job_ms = HOUR_MS / 4};

    (void)run(&service, use_work);

    CU_ASSERT_EQUAL(service.by_pool, 4);
    CU_ASSERT_EQUAL(service.answers, 4);
}

static int use_deadline(struct service *service)
{
    uint64_t since_ms = now_ms();
    int code = send_ask(service, -1, HOUR_MS);
    cmds_sim_sleep_ms(HOUR_MS - 1000);
    if (code < 0 || service->failures > 0 || service->kept == NULL) {
        return 1;
    }
    code = cmds_group_drain(service->group, 2000); // Pings have kept the connections.
    if (code < 0 || !took(since_ms, HOUR_MS) ||
            cmds_group_connected(service->group) != CONNECTIONS) {
        return 2;
    }
    code = answer(service->kept, 1); // Late: nobody waits for it.
    cmds_call_unref(service->kept);
    cmds_sim_sleep_ms(1000);
    return code;
}

static void test_sim_service_a_deadline_of_an_hour_takes_no_time(void)
{
    struct service service = {.use = NULL};

    (void)run(&service, use_deadline);

    CU_ASSERT_EQUAL(service.failures, 1);
    CU_ASSERT_EQUAL(service.last_code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(service.answers, 0);
}

static int use_wait(struct service *service)
{
    uint64_t since_ms = now_ms();
    if (send_ask(service, -1, 5000) < 0 ||
            cmds_group_drain(service->group, 1000) != CMDS_E_TIMEOUT || !took(since_ms, 1000)) {
        return 1;
    }
    if (cmds_group_drain(service->group, 60000) < 0 || !took(since_ms, 5000)) {
        return 2;
    }
    cmds_call_unref(service->kept);
    return 0;
}

static void test_sim_service_a_wait_ends_at_its_time(void)
{
    struct service service = {.use = NULL};

    (void)run(&service, use_wait);

    CU_ASSERT_EQUAL(service.failures, 1);
}

static void test_sim_service_the_same_run_is_the_same(void)
{
    struct service once = {.use = NULL}, again = {.use = NULL};

    uint64_t hash = run(&once, use_ask_all);

    CU_ASSERT_EQUAL(run(&again, use_ask_all), hash);
    CU_ASSERT(once.by_shard[0] == again.by_shard[0]);
}

static CU_TestInfo tests[] = {
        {"two shards answer", test_sim_service_two_shards_answer},
        {"jobs block in the time of the world",
                test_sim_service_jobs_block_in_the_time_of_the_world},
        {"a deadline of an hour takes no time",
                test_sim_service_a_deadline_of_an_hour_takes_no_time},
        {"a wait ends at its time", test_sim_service_a_wait_ends_at_its_time},
        {"the same run is the same", test_sim_service_the_same_run_is_the_same},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_service", tests)
