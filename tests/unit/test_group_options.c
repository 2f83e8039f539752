/* SPDX-License-Identifier: MIT */
/*
 * Defaults and bounds of a group's options that follow from its endpoints: too few connections leave
 * servers idle, too many are paid for by each of them, and a name service is not to be asked all the time.
 */
#include "group/options.h"

#include <errno.h>
#include <string.h>

#include <cmdstream/breaker.h>
#include <cmdstream/codec.h>

#include "support/harness.h"

struct ping {
    int64_t number;
};
struct pong {
    int64_t number;
};
CMDS_COMMAND(ping, 0, number);
CMDS_RESULT(pong, 0, number);
static const struct cmds_type *const commands[] = {&ping_type};
static const struct cmds_type *const results[] = {&pong_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("options", commands, results);

static struct cmds_group_options options_of(const char *connect)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.connect = connect;
    return options;
}

static uint32_t client_count(const char *connect, uint32_t asked, uint32_t shard_count)
{
    struct cmds_group_options mine, options = options_of(connect);
    options.client_count = asked;
    CU_ASSERT_EQUAL_FATAL(cmdi_group_options_take(&mine, &options, shard_count, NULL), 0);
    return mine.client_count;
}

static void test_group_options_count_clients_by_endpoints_and_shards(void)
{
    char many[64 * 16] = "10.0.0.1:1";
    for (int i = 1; i < 64; i++) {
        (void)strcat(many, ",10.0.0.1:1");
    }

    CU_ASSERT_EQUAL(client_count("10.0.0.1:9000", 0, 8), 1);
    CU_ASSERT_EQUAL(client_count("shop:9000", 0, 8), 1);
    CU_ASSERT_EQUAL(client_count("dns:shop:9000", 0, 8), 32);
    CU_ASSERT_EQUAL(client_count("dns:shop:9000", 0, 1), 4);
    CU_ASSERT_EQUAL(client_count("10.0.0.1:9000,10.0.0.2:9000", 0, 2), 8);
    CU_ASSERT_EQUAL(client_count(many, 0, 1), 16);
    CU_ASSERT_EQUAL(client_count(many, 0, 2), 32);
    CU_ASSERT_EQUAL(client_count(many, 0, 8), 64);
    CU_ASSERT_EQUAL(client_count("dns:shop:9000", 3, 8), 3);
}

static int check_interval(uint32_t interval_ms, uint32_t *taken)
{
    struct cmds_group_options mine, options = options_of("dns:shop:9000");
    options.resolve_interval_ms = interval_ms;
    int code = cmdi_group_options_take(&mine, &options, 1, NULL);
    *taken = code == 0 ? mine.resolve_interval_ms : 0;
    return code;
}

static void test_group_options_bound_the_interval_of_lookups(void)
{
    uint32_t taken = 0;

    CU_ASSERT_EQUAL(check_interval(0, &taken), 0);
    CU_ASSERT_EQUAL(taken, 30000);
    CU_ASSERT_EQUAL(check_interval(1000, &taken), 0);
    CU_ASSERT_EQUAL(taken, 1000);
    CU_ASSERT_EQUAL(check_interval(999, &taken), -EINVAL);
    CU_ASSERT_EQUAL(check_interval(CMDS_NEVER, &taken), 0);
    CU_ASSERT_EQUAL(taken, CMDS_NEVER);
}

static void test_group_options_check_the_breaker_of_endpoints(void)
{
    struct cmds_group_options mine, options = options_of("10.0.0.1:9000");
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    options.endpoint_breaker = &breaker;
    CU_ASSERT_EQUAL(cmdi_group_options_take(&mine, &options, 1, NULL), 0);
    breaker.window_size = 65537;

    CU_ASSERT_EQUAL(cmdi_group_options_take(&mine, &options, 1, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "window_size"));
}

static void on_breaker(void *context, enum cmds_breaker_state state)
{
    (void)context;
    (void)state;
}

static void test_group_options_refuse_what_no_endpoint_would_call(void)
{
    struct cmds_group_options mine, options = options_of("10.0.0.1:9000");
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    void (**const callbacks[])(void *, enum cmds_breaker_state) = {
            &breaker.on_state, &breaker.on_success, &breaker.on_failure};
    static const char *const names[] = {"on_state is", "on_success is", "on_failure is"};
    options.endpoint_breaker = &breaker;
    for (size_t i = 0; i < 3; i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        *callbacks[i] = on_breaker;
        CU_ASSERT_EQUAL(cmdi_group_options_take(&mine, &options, 1, &error), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "endpoint_breaker: "));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, names[i]));
        *callbacks[i] = NULL;
    }
    CU_ASSERT_EQUAL(cmdi_group_options_take(&mine, &options, 1, NULL), 0);
}

static CU_TestInfo tests[] = {
        {"count clients by endpoints and shards",
                test_group_options_count_clients_by_endpoints_and_shards},
        {"bound the interval of lookups", test_group_options_bound_the_interval_of_lookups},
        {"check the breaker of endpoints", test_group_options_check_the_breaker_of_endpoints},
        {"refuse what no endpoint would call",
                test_group_options_refuse_what_no_endpoint_would_call},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_options", tests)
