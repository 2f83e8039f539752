/* SPDX-License-Identifier: MIT */
/*
 * How often the clock is read, at the seam to the kernel: the linker leads cmdi_now_ns() here. What is
 * counted by type must not cost a look at it for each command, nor more than one more for a turn.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "ring/clock.h"
#include "support/sim_runs.h"

enum {
    IN_FLIGHT = 64,
    COMMANDS = 20000,
};

uint64_t __real_cmdi_now_ns(void);
uint64_t __wrap_cmdi_now_ns(void);

static uint64_t reads; // The world has one thread at a time.

uint64_t __wrap_cmdi_now_ns(void)
{
    reads++;
    return __real_cmdi_now_ns();
}

struct ask {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("clock", commands, results);

struct service {
    uint32_t off;
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    int64_t left; // To be sent. The shard's.
    uint64_t reads, turns;
};

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct answer value = {ask->number};
    return cmds_call_send(call, answer_message(&value));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static void send_next(struct service *service);

static void on_result(void *context, const struct cmds_result *result)
{
    (void)result;
    send_next(context);
}

static void send_next(struct service *service)
{
    struct ask ask = {service->left};
    if (service->left > 0 &&
            cmds_group_send(service->group, ask_message(&ask), NULL, on_result, service) == 0) {
        service->left--;
    }
}

static void begin(void *context)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        send_next(context);
    }
}

static int service_open(struct service *service, struct cmds_server **server)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_server_options server_options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.shard_count = 1;
    options.telemetry = &telemetry;
    telemetry.off = service->off;
    server_options.listen = group.connect = "127.0.0.1:9000";
    int code = cmds_runtime_start(&service->runtime, &options, NULL);
    code = code < 0 ? code : cmds_server_start(server, service->runtime, &server_options, NULL);
    code = code < 0 ? code : cmds_group_open(&service->group, service->runtime, &group, NULL);
    return code < 0 ? code : cmds_group_wait(service->group, 1000, NULL);
}

static struct cmds_runtime_counters counters_of(const struct service *service)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    cmds_runtime_stats(service->runtime, &counters);
    return counters;
}

static int service_main(void *context)
{
    struct service *service = context;
    struct cmds_server *server = NULL;
    int code = service_open(service, &server);
    struct cmds_runtime_counters before = counters_of(service);
    uint64_t reads_before = reads;
    service->left = COMMANDS;
    code = code < 0 ? code : cmds_runtime_post(service->runtime, 0, begin, service);
    cmds_sim_sleep_ms(2000); // None of it is this thread's.
    struct cmds_runtime_counters after = counters_of(service);
    service->reads = reads - reads_before;
    service->turns = after.turns - before.turns;
    cmds_runtime_stop(service->runtime);
    return code;
}

static void run(struct service *service)
{
    struct cmds_sim *sim = open_world(7, 0);
    (void)add(sim, "service", false, service_main, service);
    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    CU_ASSERT_EQUAL(service->left, 0);
}

/* Of many turns: the runs are not the same, since what is off allocates nothing. */
static double reads_by_turn(const struct service *service)
{
    CU_ASSERT(service->turns > 100);
    return (double)service->reads / (double)service->turns;
}

static void test_sim_clock_counting_reads_none(void)
{
    struct service on = {.off = CMDS_TELEMETRY_EXEC};
    struct service off = {.off = CMDS_TELEMETRY_ALL};

    run(&on);
    run(&off);

    CU_ASSERT(on.turns < COMMANDS / 4); // Else a read for each command would be one for each turn.
    CU_ASSERT(reads_by_turn(&on) < reads_by_turn(&off) + 0.25);
}

static void test_sim_clock_sampled_functions_read_it_twice(void)
{
    struct service on = {0};
    struct service off = {.off = CMDS_TELEMETRY_EXEC};

    run(&on);
    run(&off);

    double more = ((reads_by_turn(&on) - reads_by_turn(&off)) * (double)on.turns);
    CU_ASSERT(more < 2.0 * COMMANDS / 256 * 4); // So many on average, at random.
}

static CU_TestInfo tests[] = {
        {"counting reads none", test_sim_clock_counting_reads_none},
        {"sampled functions read it twice", test_sim_clock_sampled_functions_read_it_twice},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_clock", tests)
