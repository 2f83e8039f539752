/* SPDX-License-Identifier: MIT */
/*
 * Traced types: another number for the same command. What may go wrong: a server runs it as another
 * command, at the wrong place of the value or as another type; a table that contradicts itself is
 * accepted, and then memory beside a value is read; a type of an older header is taken for a traced one.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/test.h>

#include <string.h>

#include "codec/protocol.h"
#include "support/harness.h"
#include "support/traced.h"

struct total {
    int64_t value;
};
CMDS_RESULT(total, 0, value);
struct note {
    struct cmds_string text;
};
CMDS_COMMAND_ONE_WAY(note, 1000, text);
CMDS_TRACED(note_traced, 2, note);
CMDS_COMMAND_EMPTY(ping, 4);
CMDS_TRACED(ping_traced, 300, ping);
CMDS_TRACED(sum_again, 11, sum);

static const struct cmds_type *const commands[] = {
        &ping_traced_type, &sum_traced_type, &sum_type, &note_traced_type, &note_type, &ping_type};
static const struct cmds_type *const results[] = {&total_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("traced", commands, results);

static struct seen {
    char text[16];
    uint32_t pings;
} seen;

static int sum_exec(struct cmds_call *call, const struct sum *sum)
{
    struct total total = {sum->A + sum->B};
    CU_ASSERT_PTR_EQUAL(sum_of(call), sum); // It is the command itself that is executed.
    CU_ASSERT_EQUAL(cmds_call_keep_command(call), 0);
    CU_ASSERT_EQUAL(sum_of(call)->A, sum->A);
    return cmds_call_send(call, total_message(&total));
}

static int note_exec(struct cmds_call *call, const struct note *note)
{
    (void)call;
    memcpy(seen.text, note->text.data, note->text.size);
    return 0;
}

static int ping_exec(struct cmds_call *call, const struct ping *ping)
{
    (void)ping;
    seen.pings++;
    return cmds_call_send(call, total_message(&(struct total){-1}));
}

static const struct cmds_exec execs[] = {
        CMDS_EXEC(sum, sum_exec), CMDS_EXEC(note, note_exec), CMDS_EXEC(ping, ping_exec)};

static struct cmds_test *traced_open(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_test *test = NULL;
    memset(&seen, 0, sizeof(seen));
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, &options, &error), 0);
    return test;
}

static void test_traced_is_executed_as_the_command_itself(void)
{
    struct cmds_test *test = traced_open();
    const struct cmds_pair pair = {CMDS_STRING("traceparent"), CMDS_STRING(TRACED_PARENT)};
    struct sum_traced sum = {{true, {&pair, 1}}, {2, 3}};

    CU_ASSERT_EQUAL(cmds_test_send(test, (struct cmds_message){&sum_traced_type, &sum}), 0);
    sum.MapCarrier.has = false;
    sum.Cmd.A = 20;
    CU_ASSERT_EQUAL(cmds_test_send(test, (struct cmds_message){&sum_traced_type, &sum}), 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, sum_message(&(struct sum){30, 3})), 0);

    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(test), 3);
    CU_ASSERT_EQUAL(total_of(cmds_test_result(test, 0))->value, 5);
    CU_ASSERT_EQUAL(total_of(cmds_test_result(test, 1))->value, 23);
    CU_ASSERT_EQUAL(total_of(cmds_test_result(test, 2))->value, 33);
    cmds_test_close(test);
}

static void test_traced_one_way_and_empty_ones_too(void)
{
    struct cmds_test *test = traced_open();
    struct note_traced note = {{false, {NULL, 0}}, {CMDS_STRING("hello")}};
    struct ping_traced ping = {{true, {NULL, 0}}, {0}};

    CU_ASSERT_EQUAL(note_traced_type.one_way, 1);
    CU_ASSERT_EQUAL(cmds_test_send(test, (struct cmds_message){&note_traced_type, &note}), 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, (struct cmds_message){&ping_traced_type, &ping}), 0);

    CU_ASSERT_STRING_EQUAL(seen.text, "hello");
    CU_ASSERT_EQUAL(seen.pings, 1);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    cmds_test_close(test);
}

static void test_traced_table_knows_both_ways(void)
{
    struct cmdi_type_table table;
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&table, commands, 6), 0);

    const struct cmdi_type_entry *traced = cmdi_type_table_entry(&table, 2);
    const struct cmdi_type_entry *plain = cmdi_type_table_entry(&table, 1000);
    CU_ASSERT_PTR_EQUAL(traced->type, &note_traced_type);
    CU_ASSERT_PTR_EQUAL(traced->command, &note_type);
    CU_ASSERT_EQUAL(traced->command_offset, offsetof(struct note_traced, Cmd));
    CU_ASSERT_PTR_EQUAL(plain->command, &note_type);
    CU_ASSERT_PTR_EQUAL(plain->traced->type, &note_traced_type);
    CU_ASSERT_EQUAL(plain->command_offset, 0);
    cmdi_type_table_fini(&table);
}

static int check_three(const struct cmds_type *a, const struct cmds_type *b,
        const struct cmds_type *c, struct cmds_error *error)
{
    const struct cmds_type *types[] = {a, b, c};
    const struct cmds_protocol some = {
            sizeof(some), c != NULL ? 3 : 2, 1, 0, "some", types, results};
    *error = (struct cmds_error)CMDS_ERROR_INIT;
    return cmds_protocol_check(&some, error);
}

static void test_traced_contradictions_are_refused(void)
{
    struct cmds_error error;
    struct cmds_type changed = sum_traced_type;
    CU_ASSERT_EQUAL(check_three(&sum_type, &sum_traced_type, NULL, &error), 0);
    CU_ASSERT_EQUAL(check_three(&ping_type, &sum_traced_type, NULL, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "sum_traced"));
    CU_ASSERT_EQUAL(
            check_three(&sum_type, &sum_traced_type, &sum_again_type, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "2 traced types"));
    changed.traces = &ping_type; // Of another struct.
    CU_ASSERT_EQUAL(check_three(&ping_type, &changed, NULL, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "CMDS_TRACED"));
    changed = sum_traced_type;
    changed.flags = 0; // The command is idempotent.
    CU_ASSERT_EQUAL(check_three(&sum_type, &changed, NULL, &error), CMDS_E_SCHEMA);
    changed = sum_traced_type;
    changed.schema = &sum_schema;
    CU_ASSERT_EQUAL(check_three(&sum_type, &changed, NULL, &error), CMDS_E_SCHEMA);
    struct cmds_type again = sum_again_type;
    again.traces = &sum_traced_type; // Carries one that carries.
    CU_ASSERT_EQUAL(check_three(&sum_traced_type, &again, &sum_type, &error), CMDS_E_SCHEMA);
    struct cmds_type result = total_type;
    result.traces = &sum_type;
    const struct cmds_type *of_result[] = {&result};
    const struct cmds_protocol wrong = {sizeof(wrong), 6, 1, 0, "wrong", commands, of_result};
    CU_ASSERT_EQUAL(cmds_protocol_check(&wrong, &error), CMDS_E_SCHEMA);
}

/* The struct ended before `traces`: what lies behind it is somebody else's. */
static void test_traced_type_of_an_older_header_is_plain(void)
{
    struct cmds_type old = sum_type;
    struct cmds_error error;
    old.struct_size = offsetof(struct cmds_type, traces);
    old.traces = &note_type;

    CU_ASSERT_PTR_NULL(cmdi_type_traces(&old));
    CU_ASSERT_EQUAL(check_three(&old, &sum_traced_type, NULL, &error), 0);
}

static void test_traced_needs_no_exec_function_and_gets_none(void)
{
    static const struct cmds_exec own[] = {CMDS_EXEC(sum, sum_exec), CMDS_EXEC(note, note_exec),
            CMDS_EXEC(ping, ping_exec),
            {&sum_traced_type, (cmds_any_fn)sum_exec, sum_invoke, 0, 0}};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, own);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_test *test = NULL;

    CU_ASSERT_EQUAL(cmds_test_open(&test, &options, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "sum_traced"));
    options.exec_count = 2; // Without that of ping.
    CU_ASSERT_EQUAL(cmds_test_open(&test, &options, &error), CMDS_E_SCHEMA);
}

static CU_TestInfo test_traced[] = {
        {"is executed as the command itself", test_traced_is_executed_as_the_command_itself},
        {"one-way and empty ones too", test_traced_one_way_and_empty_ones_too},
        {"a table knows both ways", test_traced_table_knows_both_ways},
        {"contradictions are refused", test_traced_contradictions_are_refused},
        {"a type of an older header is plain", test_traced_type_of_an_older_header_is_plain},
        {"needs no exec function and gets none", test_traced_needs_no_exec_function_and_gets_none},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("traced", test_traced)
