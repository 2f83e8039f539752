/* SPDX-License-Identifier: MIT */
/*
 * Commands without a result, and commands with more results than one, by every way in which a type
 * may say which is the last: through a group and through a sender, on both sides.
 */
#include <errno.h>

#include "support/answers.h"
#include "support/world.h"

struct tell {
    int64_t number;
};
struct ask {
    int64_t kind, count;
};
struct value {
    int64_t number;
};
struct part {
    int64_t number;
    bool last;
};
struct tick {
    int64_t number;
};
struct step {
    int64_t left;
};
CMDS_COMMAND_ONE_WAY(tell, 0, number);
CMDS_COMMAND(ask, 1, kind, count);
CMDS_RESULT(value, 0, number);
CMDS_RESULT(part, 1, number, CMDS_LAST(last));
CMDS_RESULT_NEVER_LAST(tick, 2, number);
CMDS_SCHEMA(step, left);

static bool step_is_last(const void *value)
{
    return ((const struct step *)value)->left == 0;
}
/* By hand: the last one is the one for which a function says so. */
static const struct cmds_type step_type = {.struct_size = sizeof(struct cmds_type),
        .number = 3,
        .role = CMDS_ROLE_RESULT,
        .last = CMDS_LAST_BY_VALUE_,
        .schema = &step_schema,
        .is_last = step_is_last};

enum {
    ASK_VALUE, // One result.
    ASK_PARTS, // `count` of them; a member of the last one says so.
    ASK_TICKS, // `count` of a type that is never the last, then a value.
    ASK_STEPS, // `count`; a function says which is the last.
};

static const struct cmds_type *const commands[] = {&tell_type, &ask_type};
static const struct cmds_type *const results[] = {&value_type, &part_type, &tick_type, &step_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("ways", commands, results);

static _Atomic uint64_t told_sum, told_count;

static int tell_exec(struct cmds_call *call, const struct tell *tell)
{
    (void)call;
    atomic_fetch_add(&told_sum, (uint64_t)tell->number);
    atomic_fetch_add(&told_count, 1);
    return 0;
}

static int ask_exec(struct cmds_call *call, const struct ask *ask)
{
    int code = 0;
    for (int64_t i = 0; i < ask->count && code == 0; i++) {
        struct part part = {i, i + 1 == ask->count};
        struct tick tick = {i};
        struct step step = {ask->count - 1 - i};
        code = ask->kind == ASK_PARTS   ? cmds_call_send(call, part_message(&part))
               : ask->kind == ASK_TICKS ? cmds_call_send(call, tick_message(&tick))
               : ask->kind == ASK_STEPS
                       ? cmds_call_send(call, (struct cmds_message){&step_type, &step})
                       : 0;
    }
    if (code == 0 && ask->kind != ASK_PARTS && ask->kind != ASK_STEPS) {
        code = cmds_call_send(call, value_message(&(struct value){ask->count}));
    }
    return code;
}

static const struct cmds_exec execs[] = {CMDS_EXEC(tell, tell_exec), CMDS_EXEC(ask, ask_exec)};

struct ways {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_sender *sender;
    char address[128];
};

#define WAYS_UNTIL(condition) WORLD_UNTIL((&(struct world){.runtime = NULL}), condition)

static void ways_start(struct ways *ways, bool single_thread)
{
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_sender_options sender = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    atomic_store(&told_sum, 0);
    atomic_store(&told_count, 0);
    runtime.shard_count = 2;
    server.listen = "127.0.0.1:0";
    CU_ASSERT_FATAL(cmds_runtime_start(&ways->runtime, &runtime, NULL) == 0);
    CU_ASSERT_FATAL(cmds_server_start(&ways->server, ways->runtime, &server, NULL) == 0);
    CU_ASSERT_FATAL(
            cmds_server_address(ways->server, 0, ways->address, sizeof(ways->address)) == 0);
    group.reconnect_delay_ms = CMDS_NEVER;
    sender.group = &group;
    sender.connect = ways->address;
    sender.single_thread = single_thread;
    CU_ASSERT_FATAL(cmds_sender_open(&ways->sender, &sender, NULL) == 0);
}

static void ways_stop(struct ways *ways)
{
    cmds_sender_close(ways->sender, RAW_GUARD_MS);
    cmds_server_close(ways->server);
    cmds_runtime_stop(ways->runtime);
}

/* --- One way ---------------------------------------------------------------------------------- */

static void test_one_way_through_a_group(void)
{
    struct ways ways;
    struct answers *answers = answers_new();
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket = {77};
    ways_start(&ways, false);
    struct cmds_group *group = cmds_sender_group(ways.sender);
    how.ticket = &ticket;
    how.deadline_ms = 1;

    for (int64_t i = 1; i <= 100; i++) {
        ticket.id = 77;
        CU_ASSERT_EQUAL(cmds_group_send(group, tell_message(&(struct tell){i}), &how, answers_take,
                                answers),
                0);
        CU_ASSERT_EQUAL(ticket.id, 0);
        CU_ASSERT_FALSE(cmds_group_has(group, ticket));
        CU_ASSERT_EQUAL(cmds_group_forget(group, ticket), -ENOENT);
    }
    CU_ASSERT_EQUAL(cmds_group_pending(group), 0);
    CU_ASSERT_EQUAL(cmds_group_drain(group, 0), 0);
    WAYS_UNTIL(atomic_load(&told_count) == 100);
    CU_ASSERT_EQUAL(atomic_load(&told_sum), 5050);

    ways_stop(&ways);
    CU_ASSERT_EQUAL(atomic_load(&answers->count), 0); // Not even at the end.
    answers_free(answers);
}

struct shouter {
    struct cmds_group *group;
    struct answers *answers;
    int code;
    _Atomic uint32_t done;
};

static void shout_on_shard(void *context)
{
    struct shouter *shouter = context;
    for (int64_t i = 1; i <= 100 && shouter->code == 0; i++) {
        shouter->code = cmds_group_send(shouter->group, tell_message(&(struct tell){i}), NULL,
                answers_take, shouter->answers);
    }
    atomic_store(&shouter->done, 1);
}

/* Where a send goes straight. A callback that is given all the same is never called. */
static void test_one_way_on_a_shard(void)
{
    struct ways ways;
    ways_start(&ways, false);
    struct shouter shouter = {.group = cmds_sender_group(ways.sender), .answers = answers_new()};
    WAYS_UNTIL(cmds_group_connected(shouter.group) == 1);

    CU_ASSERT_EQUAL(
            cmds_runtime_post(cmds_group_runtime(shouter.group), 0, shout_on_shard, &shouter), 0);
    WAYS_UNTIL(atomic_load(&shouter.done) == 1);
    CU_ASSERT_EQUAL(shouter.code, 0);
    CU_ASSERT_EQUAL(cmds_group_pending(shouter.group), 0);
    WAYS_UNTIL(atomic_load(&told_count) == 100);
    CU_ASSERT_EQUAL(atomic_load(&told_sum), 5050);

    ways_stop(&ways);
    CU_ASSERT_EQUAL(atomic_load(&shouter.answers->count), 0);
    answers_free(shouter.answers);
}

static int each_is_wrong(void *context, const struct cmds_result *result)
{
    (void)result;
    ++*(int *)context;
    return 0;
}

static void check_one_way_sender(bool single_thread)
{
    struct ways ways;
    struct cmds_error error = CMDS_ERROR_INIT;
    int eaches = 0;
    ways_start(&ways, single_thread);

    for (int64_t i = 1; i <= 50; i++) {
        struct cmds_message message = tell_message(&(struct tell){i});
        struct cmds_result mark;
        struct cmds_result *result = &mark;
        CU_ASSERT_EQUAL(cmds_sender_send(ways.sender, message, 0, &result, &error), 0);
        CU_ASSERT_PTR_NULL(result);
        CU_ASSERT_EQUAL(cmds_sender_send(ways.sender, message, 0, NULL, &error), 0);
        CU_ASSERT_EQUAL(
                cmds_sender_send_multi(ways.sender, message, 0, &error, each_is_wrong, &eaches), 0);
    }
    cmds_sender_close(ways.sender, RAW_GUARD_MS); // What was queued is sent before it ends.
    WAYS_UNTIL(atomic_load(&told_count) == 150);
    CU_ASSERT_EQUAL(atomic_load(&told_sum), 3 * 1275);
    CU_ASSERT_EQUAL(eaches, 0);
    CU_ASSERT_EQUAL(error.code, 0);

    cmds_server_close(ways.server);
    cmds_runtime_stop(ways.runtime);
}

static void test_one_way_through_a_sender(void)
{
    check_one_way_sender(false);
    check_one_way_sender(true);
}

/* --- More than one ---------------------------------------------------------------------------- */

struct counted {
    int64_t count, sum;
    bool last;
    bool wrong;
};

static int each_counts(void *context, const struct cmds_result *result)
{
    struct counted *counted = context;
    const struct part *part = part_of(result);
    const struct tick *tick = tick_of(result);
    const struct value *value = value_of(result);
    counted->wrong |= counted->last || (part == NULL && tick == NULL && value == NULL &&
                                               result->type->number != step_type.number);
    counted->count++;
    counted->sum += part != NULL ? part->number : tick != NULL ? tick->number : 0;
    counted->last = result->last;
    return 0;
}

static int sender_ask(struct ways *ways, int64_t kind, int64_t count, struct cmds_error *error)
{
    struct cmds_result *result = NULL;
    struct ask ask = {kind, count};
    int code = cmds_sender_send(ways->sender, ask_message(&ask), RAW_GUARD_MS, &result, error);
    CU_ASSERT_EQUAL(code == 0, result != NULL);
    CU_ASSERT(code != 0 || result->last);
    cmds_result_free(result);
    return code;
}

static void check_multi(struct ways *ways, int64_t kind, int64_t count, int64_t results_due)
{
    struct counted counted = {0, 0, false, false};
    struct ask ask = {kind, count};
    CU_ASSERT_EQUAL(cmds_sender_send_multi(ways->sender, ask_message(&ask), RAW_GUARD_MS, NULL,
                            each_counts, &counted),
            0);
    CU_ASSERT_EQUAL(counted.count, results_due);
    CU_ASSERT_EQUAL(
            counted.sum, kind == ASK_PARTS || kind == ASK_TICKS ? count * (count - 1) / 2 : 0);
    CU_ASSERT_TRUE(counted.last);
    CU_ASSERT_FALSE(counted.wrong);
}

static void check_more_results(bool single_thread)
{
    struct ways ways;
    struct cmds_error error = CMDS_ERROR_INIT;
    ways_start(&ways, single_thread);

    /* One result that is the last is what a sender is for, however its type says so. */
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_VALUE, 0, &error), 0);
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_PARTS, 1, &error), 0);
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_STEPS, 1, &error), 0);
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_TICKS, 0, &error), 0);
    CU_ASSERT_EQUAL(error.code, 0);
    /* A result before it is one too many, be it of a type that never is the last. */
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_TICKS, 1, &error), CMDS_E_MORE_RESULTS);
    CU_ASSERT_EQUAL(error.code, CMDS_E_MORE_RESULTS);
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_PARTS, 2, NULL), CMDS_E_MORE_RESULTS);
    CU_ASSERT_EQUAL(sender_ask(&ways, ASK_STEPS, 3, NULL), CMDS_E_MORE_RESULTS);

    check_multi(&ways, ASK_VALUE, 0, 1);
    check_multi(&ways, ASK_PARTS, 40, 40);
    check_multi(&ways, ASK_TICKS, 40, 41);
    check_multi(&ways, ASK_STEPS, 40, 40);
    CU_ASSERT_EQUAL(cmds_group_connected(cmds_sender_group(ways.sender)), 1);
    ways_stop(&ways);
}

static void test_one_way_and_many_results(void)
{
    check_more_results(false);
    check_more_results(true);
}

static CU_TestInfo test_one_way[] = {
        {"through a group", test_one_way_through_a_group},
        {"on a shard", test_one_way_on_a_shard},
        {"through a sender", test_one_way_through_a_sender},
        {"many results, by every kind of last", test_one_way_and_many_results},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("one_way", test_one_way)
