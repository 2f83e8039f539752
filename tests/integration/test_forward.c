/* SPDX-License-Identifier: MIT */
/*
 * A service between services: the exec function of one server forwards to another one. Whatever
 * happens upstream, the call is answered or fails once, and the connection that asked stays; on one
 * shard, on two, and with a window that is full.
 */
#include <errno.h>

#include "support/answers.h"
#include "support/world.h"

enum {
    FORWARD_ECHO, // What the front is asked to ask of the back.
    FORWARD_STREAM,
    FORWARD_HOLD,
};

struct pair {
    struct world front, back;
    struct cmds_group *up, *in; // The front's way to the back; ours to the front.
    struct cmds_group_options up_options;
    struct answers *answers;
    _Atomic uint32_t told;       // Results told to the front's on_result.
    _Atomic uint32_t told_last;  // Those with `last`.
    _Atomic uint32_t told_wrong; // Off the call's shard, or after the last one.
    _Atomic int32_t told_error, send_error;
    _Atomic uint32_t closed;
};

static void pair_on_result(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct pair *pair = ((struct world *)cmds_call_receiver(call))->context;
    const struct item *item = item_of(result);
    const struct echoed *echoed = echoed_of(result);
    int shard = cmds_runtime_current_shard(pair->front.runtime);
    bool wrong = cmds_call_context(call) != (void *)(intptr_t)(shard + 1);
    atomic_fetch_add(&pair->told, 1);
    atomic_fetch_add(&pair->told_last, result->last);
    if (result->last) {
        cmds_call_set_context(call, (void *)(intptr_t)-1); // Another one would be wrong.
    }
    atomic_fetch_add(&pair->told_wrong, wrong);
    if (result->error != 0) {
        atomic_store(&pair->told_error, result->error);
        // Ends the call, not the connection, whatever it was.
        cmds_call_fail(call, cmds_result_cause(result), result->text);
    } else if (item != NULL) {
        (void)cmds_call_send(call, item_message(item));
    } else if (echoed != NULL) {
        (void)world_send_item(call, echoed->int64, true);
    }
}

static int front_exec(struct cmds_call *call, const struct run *run)
{
    struct pair *pair = ((struct world *)cmds_call_receiver(call))->context;
    struct echo echo = {.int64 = run->number, .string = CMDS_STRING("")};
    struct run ask = {run->what, run->number, CMDS_STRING("")};
    struct cmds_message message =
            run->what == FORWARD_ECHO ? echo_message(&echo) : run_message(&ask);
    int shard = cmds_runtime_current_shard(pair->front.runtime);
    cmds_call_set_context(call, (void *)(intptr_t)(shard + 1));
    int code = cmds_group_forward(pair->up, message, NULL, call, pair_on_result, NULL);
    if (code < 0) {
        atomic_store(&pair->send_error, code);
    }
    return code;
}

static int front_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    (void)receiver;
    (void)error;
    return world_send_item(call, -1, true);
}

static _Atomic(struct cmds_call *) back_held[64];
static _Atomic uint32_t back_held_count;

static int back_exec(struct cmds_call *call, const struct run *run)
{
    if (run->what == FORWARD_HOLD) {
        int code = cmds_call_keep_command(call);
        if (code == 0) {
            atomic_store(
                    &back_held[atomic_fetch_add(&back_held_count, 1) % 64], cmds_call_ref(call));
        }
        return code;
    }
    int64_t index = (int64_t)cmds_call_round(call);
    bool last = index + 1 >= run->number;
    int code = world_send_item(call, index, last);
    return code < 0 || last ? code : CMDS_EXEC_AGAIN;
}

static void back_release(void)
{
    for (int i = 0; i < 64; i++) {
        struct cmds_call *call = atomic_exchange(&back_held[i], NULL);
        if (call != NULL) {
            const struct run *run = run_of(call);
            (void)world_send_item(call, run->number, true); // CMDS_E_GONE if nobody waits any more.
            cmds_call_unref(call);
        }
    }
}

static void pair_init(struct pair *pair, uint32_t shards, uint32_t up_clients)
{
    memset(pair, 0, sizeof(*pair));
    world_init(&pair->front);
    world_init(&pair->back);
    atomic_store(&back_held_count, 0);
    pair->front.runtime_options.shard_count = shards;
    pair->front.exec = front_exec;
    pair->front.context = pair;
    pair->front.options.on_exec_error = front_exec_error;
    pair->back.exec = back_exec;
    pair->up_options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    pair->up_options.reconnect_delay_ms = CMDS_NEVER;
    pair->up_options.client_count = up_clients;
    pair->answers = answers_new();
}

static void pair_start(struct pair *pair, uint32_t in_clients)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    options.reconnect_delay_ms = CMDS_NEVER;
    CU_ASSERT_FATAL(world_start(&pair->front) == 0 && world_start(&pair->back) == 0);
    pair->up_options.connect = pair->back.address;
    CU_ASSERT_FATAL(cmds_group_open(&pair->up, pair->front.runtime, &pair->up_options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(pair->up, RAW_GUARD_MS, NULL) == 0);
    options.connect = pair->front.address;
    options.client_count = in_clients;
    CU_ASSERT_FATAL(cmds_group_open(&pair->in, pair->back.runtime, &options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(pair->in, RAW_GUARD_MS, NULL) == 0);
}

static void pair_on_closed(void *context)
{
    atomic_fetch_add(&((struct pair *)context)->closed, 1);
}

static void pair_stop(struct pair *pair)
{
    cmds_group_close(pair->in, pair_on_closed, pair);
    cmds_group_close(pair->up, pair_on_closed, pair);
    WORLD_UNTIL(&pair->front, atomic_load(&pair->closed) == 2);
    back_release();
    world_stop(&pair->front);
    world_stop(&pair->back);
    CU_ASSERT_EQUAL(atomic_load(&pair->told_wrong), 0);
    answers_free(pair->answers);
}

static int ask(struct pair *pair, int64_t what, int64_t number)
{
    struct run run = {what, number, CMDS_STRING("")};
    return cmds_group_send(pair->in, run_message(&run), NULL, answers_take, pair->answers);
}

static uint32_t answered(struct pair *pair)
{
    return atomic_load(&pair->answers->last_count);
}

static void check_echoes_and_streams(struct pair *pair)
{
    for (int64_t i = 0; i < 500; i++) {
        CU_ASSERT_EQUAL_FATAL(ask(pair, FORWARD_ECHO, i), 0);
    }
    WORLD_UNTIL(&pair->front, answered(pair) == 500);
    CU_ASSERT_EQUAL(atomic_load(&pair->answers->good_count), 500);
    CU_ASSERT_EQUAL(atomic_load(&pair->told), 500);
    CU_ASSERT_EQUAL(ask(pair, FORWARD_STREAM, 50), 0);
    WORLD_UNTIL(&pair->front, answered(pair) == 501);
    CU_ASSERT_EQUAL(atomic_load(&pair->answers->count), 550);
    for (uint32_t i = 0; i < 50; i++) {
        CU_ASSERT_EQUAL(answers_at(pair->answers, 500 + i).number, i);
    }
    WORLD_UNTIL(&pair->front, world_stats(&pair->front).unfinished_calls == 0);
}

static void test_forward_on_the_calls_own_shard(void)
{
    struct pair pair;
    pair_init(&pair, 2, 2);
    pair_start(&pair, 4);
    check_echoes_and_streams(&pair);
    pair_stop(&pair);
}

static void test_forward_over_another_shards_connection(void)
{
    struct pair pair;
    pair_init(&pair, 2, 1); // Shard 1 has none: its calls go over shard 0's.
    pair_start(&pair, 8);
    check_echoes_and_streams(&pair);
    pair_stop(&pair);
}

static void test_forward_waits_for_room(void)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct pair pair;
        pair_init(&pair, shards, 1);
        pair.up_options.in_flight_max = 2;
        pair_start(&pair, 4);
        for (int64_t i = 0; i < 20; i++) {
            CU_ASSERT_EQUAL(ask(&pair, FORWARD_HOLD, i), 0);
        }
        WORLD_UNTIL(&pair.front, cmds_group_pending(pair.up) == 20);
        CU_ASSERT_TRUE(atomic_load(&back_held_count) <= 2);
        while (answered(&pair) < 20) {
            back_release();
            raw_pause(NULL);
        }
        CU_ASSERT_EQUAL(atomic_load(&pair.answers->good_count), 20);
        CU_ASSERT_EQUAL(answers_with(pair.answers, 0), 20);
        CU_ASSERT_EQUAL(atomic_load(&pair.told_error), 0);
        /* What waited was counted once while it waited and once when it was sent: it ends once. */
        CU_ASSERT_EQUAL(cmds_group_drain(pair.up, RAW_GUARD_MS), 0);
        CU_ASSERT_EQUAL(cmds_group_pending(pair.up), 0);
        pair_stop(&pair);
    }
}

static void test_forward_is_cancelled_with_its_call(void)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct pair pair;
        struct raw raw[2];
        struct run run = {FORWARD_HOLD, 1, CMDS_STRING("")};
        pair_init(&pair, shards, 1);
        pair.up_options.in_flight_max = 3;
        pair_start(&pair, 1);
        for (int i = 0; i < 2; i++) { // Over two connections, so that both shards have some.
            CU_ASSERT_FATAL(world_connect(&pair.front, &raw[i]));
            for (uint64_t sequence = 1; sequence <= 5; sequence++) {
                CU_ASSERT(raw_send(&raw[i], sequence, run_message(&run)));
            }
        }
        WORLD_UNTIL(&pair.front, cmds_group_pending(pair.up) == 10);
        CU_ASSERT_EQUAL(atomic_load(&pair.told), 0);

        raw_abort(&raw[0]);
        raw_abort(&raw[1]);
        WORLD_UNTIL(&pair.front, atomic_load(&pair.told_last) == 10);
        CU_ASSERT_EQUAL(atomic_load(&pair.told_error), CMDS_E_CANCELLED);
        CU_ASSERT_EQUAL(cmds_group_drain(pair.up, RAW_GUARD_MS), 0);
        CU_ASSERT_EQUAL(atomic_load(&pair.told), 10);
        pair_stop(&pair);
    }
}

static void test_forward_ends_with_the_calls_deadline(void)
{
    struct pair pair;
    pair_init(&pair, 1, 1);
    pair.up_options.in_flight_max = 1;
    // One times out upstream, the other one while it waits for room.
    pair.up_options.deadline_ms = 30;
    pair_start(&pair, 1);

    CU_ASSERT_EQUAL(ask(&pair, FORWARD_HOLD, 1), 0);
    CU_ASSERT_EQUAL(ask(&pair, FORWARD_HOLD, 2), 0);
    WORLD_UNTIL(&pair.front, answered(&pair) == 2);
    CU_ASSERT_EQUAL(atomic_load(&pair.told_error), CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(answers_at(pair.answers, 0).number, -1); // on_exec_error has answered.
    CU_ASSERT_EQUAL(answers_at(pair.answers, 1).number, -1);
    CU_ASSERT_EQUAL(cmds_group_connected(pair.in), 1);
    pair_stop(&pair);
}

static void test_forward_survives_the_end_of_the_upstream(void)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct pair pair;
        pair_init(&pair, shards, 1);
        pair.up_options.in_flight_max = 2;
        pair_start(&pair, 2);
        for (int64_t i = 0; i < 6; i++) {
            CU_ASSERT_EQUAL(ask(&pair, FORWARD_HOLD, i), 0);
        }
        WORLD_UNTIL(&pair.front,
                atomic_load(&back_held_count) == 2 && cmds_group_pending(pair.up) == 6);

        cmds_server_close(pair.back.server); // `in` lives on its runtime, not on its server.
        pair.back.server = NULL;
        WORLD_UNTIL(&pair.front, answered(&pair) == 6);
        CU_ASSERT_EQUAL(atomic_load(&pair.told_last), 6);
        CU_ASSERT_EQUAL(ask(&pair, FORWARD_ECHO, 1), 0);
        WORLD_UNTIL(&pair.front, answered(&pair) == 7);
        CU_ASSERT_EQUAL(atomic_load(&pair.send_error), CMDS_E_NOT_CONNECTED);
        CU_ASSERT_EQUAL(answers_with(pair.answers, 0), 7);
        CU_ASSERT_EQUAL(cmds_group_connected(pair.in), 2); // Errors do not amplify.
        pair_stop(&pair);
    }
}

/* The upstream was upgraded: it answers with a result that the front has never heard of. */
static void test_forward_of_an_unknown_result_ends_one_call(void)
{
    static const struct cmds_type *const commands[] = {&echo_type, &run_type};
    static const struct cmds_type *const results[] = {&echoed_type};
    static const struct cmds_protocol narrow = CMDS_PROTOCOL("narrow", commands, results);
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct pair pair;
        pair_init(&pair, shards, 1);
        pair.up_options.protocol = &narrow;
        pair.front.options.on_exec_error = NULL;
        pair_start(&pair, 2);

        for (uint64_t i = 1; i <= 4; i++) {
            CU_ASSERT_EQUAL(ask(&pair, FORWARD_STREAM, 1), 0);
            WORLD_UNTIL(&pair.front, world_stats(&pair.front).exec_errors == i);
        }
        CU_ASSERT_EQUAL(atomic_load(&pair.told_error), CMDS_E_UNKNOWN_RESULT);
        for (int64_t i = 0; i < 4; i++) {
            CU_ASSERT_EQUAL(ask(&pair, FORWARD_ECHO, i), 0);
        }
        WORLD_UNTIL(&pair.front, atomic_load(&pair.answers->good_count) == 4);
        CU_ASSERT_EQUAL(atomic_load(&pair.front.disconnected), 0);
        CU_ASSERT_EQUAL(cmds_group_connected(pair.in), 2);
        CU_ASSERT_EQUAL(cmds_group_connected(pair.up), 1);
        pair_stop(&pair);
    }
}

static CU_TestInfo test_forward[] = {
        {"on the call's own shard", test_forward_on_the_calls_own_shard},
        {"over another shard's connection", test_forward_over_another_shards_connection},
        {"waits for room", test_forward_waits_for_room},
        {"is cancelled with its call", test_forward_is_cancelled_with_its_call},
        {"ends with the deadline", test_forward_ends_with_the_calls_deadline},
        {"survives the end of the upstream", test_forward_survives_the_end_of_the_upstream},
        {"of an unknown result ends one call", test_forward_of_an_unknown_result_ends_one_call},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("forward", test_forward)
