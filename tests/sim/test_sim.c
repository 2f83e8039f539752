/* SPDX-License-Identifier: MIT */
/*
 * A server and a group on two stepped shards of one runtime, over a kernel of arrays that is linked
 * in place of src/ring. What must hold: the core asks nobody else for anything, nothing sleeps, the
 * time of deadlines and timeouts is the one that is given, and the same run is the same run.
 */
#include <cmdstream/cmdstream.h>

#include <errno.h>
#include <string.h>

#include "shard/drive.h"
#include "sim/kernel.h"
#include "support/harness.h"

enum {
    COMMANDS = 500,
    CONNECTIONS = 4,
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

struct sim {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    struct cmds_call *kept; // Of the last command with a negative number.
    uint32_t by_shard[2];
    uint32_t answers, failures;
    int last_code;
    int64_t sum;
    uint32_t by_pool;
    uint32_t job_waits_ms; // So long each job blocks; 0: it does not.
};

static int answer(struct cmds_call *call, int64_t number)
{
    struct answer value = {number};
    return cmds_call_send(call, answer_message(&value));
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct sim *sim = cmds_call_receiver(call);
    int shard = cmds_runtime_current_shard(sim->runtime);
    CU_ASSERT_FATAL(shard == 0 || shard == 1);
    sim->by_shard[shard]++;
    if (ask->number < 0) {
        sim->kept = cmds_call_ref(call);
        return 0;
    }
    return answer(call, ask->number);
}

static int on_work(struct cmds_call *call, const struct work *work)
{
    struct sim *sim = cmds_call_receiver(call);
    sim->by_pool += cmds_runtime_current_shard(sim->runtime) < 0;
    if (sim->job_waits_ms > 0) {
        _Atomic uint32_t never = 0;
        CU_ASSERT_EQUAL(
                cmdi_runtime_wait(sim->runtime, &never, 0, sim->job_waits_ms), CMDS_E_TIMEOUT);
    }
    return answer(call, work->number);
}

static void on_result(void *context, const struct cmds_result *result)
{
    struct sim *sim = context;
    const struct answer *value = answer_of(result);
    if (value != NULL) {
        sim->answers++;
        sim->sum += value->number;
    } else {
        sim->failures++;
        sim->last_code = result->error;
    }
}

static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC_IN_POOL(work, on_work)};

static void sim_open(struct sim *sim)
{
    *sim = (struct sim){.runtime = NULL};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 2;
    CU_ASSERT_EQUAL_FATAL(cmdi_runtime_start_stepped(&sim->runtime, &options, &error), 0);

    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    server.listen = "127.0.0.1:9000";
    server.receiver = sim;
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&sim->server, sim->runtime, &server, &error), 0);

    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    group.connect = "127.0.0.1:9000";
    group.client_count = CONNECTIONS;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&sim->group, sim->runtime, &group, &error), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(sim->group, 1000, &error), 0);
}

static void sim_close(struct sim *sim)
{
    cmds_group_close(sim->group, NULL, NULL);
    cmds_server_close(sim->server);
    cmds_runtime_stop(sim->runtime);
    CU_ASSERT_EQUAL(kernel_open_count(), 0);
}

static void sim_step_ms(struct sim *sim, uint64_t ms)
{
    cmdi_runtime_step(sim->runtime, sim->runtime->now_ns + ms * 1000000);
}

static int sim_send(struct sim *sim, int64_t number, uint32_t deadline_ms)
{
    struct ask ask = {number};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = deadline_ms;
    return cmds_group_send(sim->group, ask_message(&ask), &how, on_result, sim);
}

static void sim_ask_all(struct sim *sim)
{
    for (int64_t i = 0; i < COMMANDS; i++) {
        CU_ASSERT_EQUAL(sim_send(sim, i, CMDS_NEVER), 0);
    }
    sim_step_ms(sim, 0);
    CU_ASSERT_EQUAL(sim->answers, COMMANDS);
    CU_ASSERT_EQUAL(sim->sum, (int64_t)COMMANDS * (COMMANDS - 1) / 2);
}

static void test_sim_two_shards_answer(void)
{
    struct sim sim;
    sim_open(&sim);
    sim_ask_all(&sim);
    CU_ASSERT_EQUAL(sim.by_shard[0] + sim.by_shard[1], COMMANDS);
    CU_ASSERT(sim.by_shard[0] > 0 && sim.by_shard[1] > 0);
    sim_close(&sim);
}

static void test_sim_jobs_run_in_the_step(void)
{
    struct sim sim;
    sim_open(&sim);
    for (int64_t i = 0; i < 10; i++) {
        struct work work = {i};
        CU_ASSERT_EQUAL(cmds_group_send(sim.group, work_message(&work), NULL, on_result, &sim), 0);
    }
    sim_step_ms(&sim, 0);
    CU_ASSERT_EQUAL(sim.by_pool, 10);
    CU_ASSERT_EQUAL(sim.answers, 10);
    sim_close(&sim);
}

static void test_sim_time_is_given(void)
{
    struct sim sim;
    sim_open(&sim);
    CU_ASSERT_EQUAL(sim_send(&sim, -1, 3600 * 1000), 0);
    sim_step_ms(&sim, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sim.kept);
    sim_step_ms(&sim, 3599 * 1000);
    CU_ASSERT_EQUAL(sim.failures, 0);
    sim_step_ms(&sim, 2 * 1000); // An hour, in no time; pings kept the connections.
    CU_ASSERT_EQUAL(sim.failures, 1);
    CU_ASSERT_EQUAL(sim.last_code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(cmds_call_send(sim.kept, answer_message(&(struct answer){1})), 0);
    cmds_call_unref(sim.kept);
    sim_step_ms(&sim, 1);
    CU_ASSERT_EQUAL(sim.answers, 0); // Late: nobody waits for it.
    sim_close(&sim);
}

static void test_sim_waiting_moves_the_time(void)
{
    struct sim sim;
    sim_open(&sim);
    CU_ASSERT_EQUAL(sim_send(&sim, -1, 5000), 0);
    uint64_t before_ns = sim.runtime->now_ns;
    CU_ASSERT_EQUAL(cmds_group_drain(sim.group, 1000), CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(sim.runtime->now_ns, before_ns + 1000 * 1000000ull);
    CU_ASSERT_EQUAL(cmds_group_drain(sim.group, 60000), 0);
    CU_ASSERT_EQUAL(sim.failures, 1);
    CU_ASSERT(sim.runtime->now_ns < before_ns + 6000 * 1000000ull);
    cmds_call_unref(sim.kept);
    sim_close(&sim);
}

static int sim_work(struct sim *sim)
{
    struct work work = {1};
    return cmds_group_send(sim->group, work_message(&work), NULL, on_result, sim);
}

/* A job may block, and the time that it takes is everybody's: no shard is given an earlier one. */
static void test_sim_a_job_that_waits_moves_the_time(void)
{
    struct sim sim;
    sim_open(&sim);
    sim.job_waits_ms = 10;
    uint64_t before_ns = sim.runtime->now_ns;
    CU_ASSERT_EQUAL(sim_work(&sim), 0);
    sim_step_ms(&sim, 0);
    CU_ASSERT_EQUAL(sim.answers, 1);
    CU_ASSERT_EQUAL(sim.runtime->now_ns, before_ns + 10 * 1000000ull);
    for (uint32_t i = 0; i < sim.runtime->shard_count; i++) {
        CU_ASSERT_EQUAL(sim.runtime->shards[i]->now_ns, sim.runtime->now_ns);
    }
    sim_close(&sim);
}

/* The time of whoever waits for the job is over before the job is. */
static void test_sim_a_job_outlasts_a_wait(void)
{
    struct sim sim;
    sim_open(&sim);
    sim.job_waits_ms = 10;
    CU_ASSERT_EQUAL(sim_work(&sim), 0);
    _Atomic uint32_t never = 0;
    uint64_t before_ns = sim.runtime->now_ns;
    CU_ASSERT_EQUAL(cmdi_runtime_wait(sim.runtime, &never, 0, 5), CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(sim.runtime->now_ns, before_ns + 10 * 1000000ull);
    CU_ASSERT_EQUAL(sim.answers, 1);
    sim_close(&sim);
}

/* What a run costs in enters and bytes: nothing but what was asked for decides it. */
static void run_once(uint64_t *enters, uint64_t *bytes)
{
    struct sim sim;
    uint64_t enters_before = kernel_enter_count();
    uint64_t bytes_before = kernel_sent_size();
    sim_open(&sim);
    sim_ask_all(&sim);
    sim_close(&sim);
    *enters = kernel_enter_count() - enters_before;
    *bytes = kernel_sent_size() - bytes_before;
}

static void test_sim_the_same_run_is_the_same(void)
{
    uint64_t enters[2];
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        run_once(&enters[i], &bytes[i]);
    }
    CU_ASSERT(enters[0] > 0 && bytes[0] > 0);
    CU_ASSERT_EQUAL(enters[0], enters[1]);
    CU_ASSERT_EQUAL(bytes[0], bytes[1]);
}

static CU_TestInfo tests[] = {
        {"two shards answer", test_sim_two_shards_answer},
        {"jobs run in the step", test_sim_jobs_run_in_the_step},
        {"time is given", test_sim_time_is_given},
        {"waiting moves the time", test_sim_waiting_moves_the_time},
        {"a job that waits moves the time", test_sim_a_job_that_waits_moves_the_time},
        {"a job outlasts a wait", test_sim_a_job_outlasts_a_wait},
        {"the same run is the same", test_sim_the_same_run_is_the_same},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim", tests)
