/* SPDX-License-Identifier: MIT */
/*
 * Options as they are told. What may go wrong: one has the value of its neighbour, a default is told as 0, a
 * server that is closed is told of, a name or an address belongs to another.
 */
#include <errno.h>
#include <stdio.h>

#include <cmdstream/inspect.h>
#include <cmdstream/telemetry.h>
#include <cmdstream/trace.h>

#include "support/sim/hall.h"

enum {
    TOLD_MAX = 200,
};

struct told {
    char line[TOLD_MAX][128]; // "server shop in_flight_max 7"
    uint32_t count;
};

static void tell(void *context, const struct cmds_listed_option *option)
{
    struct told *told = context;
    CU_ASSERT_FATAL(told->count < TOLD_MAX);
    (void)snprintf(told->line[told->count++], sizeof(told->line[0]), "%s %s %s %s%llu",
            option->object, option->owner, option->name, option->text,
            (unsigned long long)(option->kind == CMDS_OPTION_REAL ? option->real * 1000
                                                                  : (double)option->number));
    CU_ASSERT_EQUAL(option->text[0] != '\0',
            option->kind == CMDS_OPTION_TEXT || option->kind == CMDS_OPTION_WORD);
}

static bool has(const struct told *told, const char *line)
{
    for (uint32_t i = 0; i < told->count; i++) {
        if (strcmp(told->line[i], line) == 0) {
            return true;
        }
    }
    printf("    not told: %s\n", line);
    return false;
}

static bool names(const struct told *told, const char *object)
{
    bool found = false;
    for (uint32_t i = 0; i < told->count; i++) {
        found |= strncmp(told->line[i], object, strlen(object)) == 0;
    }
    return found;
}

static void script_told(struct hall *hall)
{
    struct told told = {.count = 0};
    CU_ASSERT_EQUAL(cmds_runtime_options_list(hall->runtime, tell, &told), 0);
    CU_ASSERT_TRUE(has(&told, "runtime  shard_count 1"));
    CU_ASSERT_TRUE(has(&told, "runtime  pool_thread_count 2"));
    CU_ASSERT_TRUE(has(&told, "runtime  buffer_size 32768"));
    CU_ASSERT_TRUE(has(&told, "runtime  buffer_count_max 4096"));
    CU_ASSERT_TRUE(has(&told, "runtime  memory_size_max 1073741824"));
    CU_ASSERT_TRUE(has(&told, "runtime  cpus 0"));
    CU_ASSERT_TRUE(has(&told, "runtime  telemetry.stall_ms 100"));
    CU_ASSERT_TRUE(has(&told, "runtime  telemetry.off sizes exec10"));
    CU_ASSERT_TRUE(has(&told, "runtime  log_level warn2"));
    CU_ASSERT_TRUE(has(&told, "runtime  spin_us off0"));
    CU_ASSERT_TRUE(has(&told, "runtime  trace 1"));
    CU_ASSERT_TRUE(has(&told, "runtime  trace.span_count 64"));
    CU_ASSERT_TRUE(has(&told, "runtime  trace.span_rate_max 1000"));
    CU_ASSERT_TRUE(has(&told, "runtime  trace.root_ratio 250"));
    CU_ASSERT_TRUE(has(&told, "runtime  trace.on_span_end 0"));
    CU_ASSERT_TRUE(has(&told, "server shop overflow queue1"));
    CU_ASSERT_TRUE(has(&told, "server shop slow_reader close0"));
    CU_ASSERT_TRUE(has(&told, "server shop listen 127.0.0.1:90000"));
    CU_ASSERT_TRUE(has(&told, "server shop codec msgpack0"));
    CU_ASSERT_TRUE(has(&told, "server shop in_flight_max 7"));
    CU_ASSERT_TRUE(has(&told, "server shop backlog 4096"));
    CU_ASSERT_TRUE(has(&told, "server shop exec_timeout_ms never4294967295"));
    CU_ASSERT_TRUE(has(&told, "server shop on_connect 1"));
    CU_ASSERT_TRUE(has(&told, "server shop on_exec_error 0"));
    CU_ASSERT_TRUE(has(&told, "server shop tls 0"));
    CU_ASSERT_FALSE(names(&told, "group"));

    struct cmds_group *group = NULL;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol);
    options.connect = "127.0.0.1:9000";
    options.name = "buyers";
    options.in_flight_max = 9;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&group, hall->runtime, &options, NULL), 0);
    cmds_server_close(hall->server);
    hall->server = NULL;
    told.count = 0;
    CU_ASSERT_EQUAL(cmds_runtime_options_list(hall->runtime, tell, &told), 0);
    CU_ASSERT_TRUE(has(&told, "group buyers in_flight_max 9"));
    CU_ASSERT_TRUE(has(&told, "group buyers deadline_ms 5000"));
    CU_ASSERT_TRUE(has(&told, "group buyers resend never0"));
    CU_ASSERT_TRUE(has(&told, "group buyers reconnect_count_max no limit0"));
    CU_ASSERT_TRUE(has(&told, "group buyers endpoint_breaker 0"));
    CU_ASSERT_FALSE(names(&told, "server"));
    cmds_group_close(group, NULL, NULL);

    CU_ASSERT_EQUAL(cmds_runtime_options_list(NULL, tell, &told), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_options_list(hall->runtime, NULL, NULL), -EINVAL);
}

static void test_sim_options_are_told_as_they_are_in_effect(void)
{
    struct hall hall;
    hall_init(&hall);
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    telemetry.off = CMDS_TELEMETRY_SIZES | CMDS_TELEMETRY_EXEC;
    trace.span_count = 64;
    trace.root_ratio = 0.25;
    hall.runtime_options.pool_thread_count = 2;
    hall.runtime_options.log_level = CMDS_LOG_WARN;
    hall.runtime_options.spin_us = CMDS_SPIN_OFF;
    hall.runtime_options.telemetry = &telemetry;
    hall.runtime_options.trace = &trace;
    hall.options.overflow = CMDS_OVERFLOW_QUEUE;
    hall.options.receiver = &hall;
    hall.options.name = "shop";
    hall.options.in_flight_max = 7;
    hall_run(&hall, 1, script_told);
}

static CU_TestInfo tests[] = {
        {"are told as they are in effect", test_sim_options_are_told_as_they_are_in_effect},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_options", tests)
