/* SPDX-License-Identifier: MIT */
/*
 * Room for commands. Who was refused is told when the same command would be taken, not before and
 * not never: while the connection is not up, while its output is full, from other threads and on
 * the shard. And what a connection that comes up does with what has waited for it.
 */
#include <errno.h>

#include "shard/shard.h"
#include "support/answers.h"
#include "support/world.h"

struct put {
    struct cmds_string data;
};
CMDS_COMMAND_ONE_WAY(put, 3, data);
static const struct cmds_type *const room_commands[] = {
        &echo_type, &run_type, &pool_type, &put_type};
static const struct cmds_type *const room_results[] = {&echoed_type, &item_type, &note_type};
static const struct cmds_protocol room_protocol =
        CMDS_PROTOCOL("world", room_commands, room_results);

/* A server that says who it is, and then reads, when it is told to. */
struct door {
    struct raw_server server;
    _Atomic uint32_t sends_server_info, reads;
};

static void door_serve(struct raw_server *server, struct raw *peer, void *context)
{
    struct door *door = context;
    while (!atomic_load(&door->sends_server_info) && !atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
    (void)raw_write_hex(peer, "0764656661756c74");
    while (!atomic_load(&door->reads) && !atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
    if (!atomic_load(&server->stopping)) {
        (void)raw_drain(peer);
    }
}

struct waiter {
    struct door door;
    struct cmds_runtime *runtime;
    struct cmds_runtime_options runtime_options;
    struct cmds_group_options options;
    struct cmds_group *group;
    _Atomic uint32_t told, closed, down, ups;
    _Atomic int32_t cause, shard_code;
    _Atomic uint32_t order; // 1: up, 2: down, as digits.
    _Atomic uint32_t pushed, ended;
};

static void waiter_on_writable(void *context)
{
    atomic_fetch_add(&((struct waiter *)context)->told, 1);
}

static void waiter_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct waiter *waiter = context;
    (void)client;
    atomic_store(&waiter->cause, cause->code);
    atomic_store(&waiter->order,
            atomic_load(&waiter->order) * 10 + (state == CMDS_CONNECTION_UP ? 1 : 2));
    atomic_fetch_add(state == CMDS_CONNECTION_UP ? &waiter->ups : &waiter->down, 1);
}

static void waiter_on_closed(void *context)
{
    atomic_fetch_add(&((struct waiter *)context)->closed, 1);
}

static void waiter_init(struct waiter *waiter)
{
    memset(waiter, 0, sizeof(*waiter));
    waiter->runtime_options = (struct cmds_runtime_options)CMDS_RUNTIME_OPTIONS_INIT;
    waiter->runtime_options.shard_count = 1;
    waiter->options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&room_protocol);
    waiter->options.reconnect_delay_ms = CMDS_NEVER;
    waiter->options.context = waiter;
    waiter->options.on_writable = waiter_on_writable;
    waiter->options.on_state = waiter_on_state;
    waiter->options.connect_timeout_ms = RAW_GUARD_MS;
    waiter->options.deadline_ms = RAW_GUARD_MS;
    waiter->options.write_timeout_ms = CMDS_NEVER;
    waiter->options.keepalive_ms = CMDS_NEVER;
}

static void waiter_start(struct waiter *waiter)
{
    CU_ASSERT_FATAL(raw_server_start(&waiter->door.server, door_serve, &waiter->door) == 0);
    CU_ASSERT_FATAL(cmds_runtime_start(&waiter->runtime, &waiter->runtime_options, NULL) == 0);
    waiter->options.connect = waiter->door.server.address;
    CU_ASSERT_FATAL(cmds_group_open(&waiter->group, waiter->runtime, &waiter->options, NULL) == 0);
}

#define WAITER_UNTIL(condition) WORLD_UNTIL((&(struct world){.runtime = NULL}), condition)

static void waiter_stop(struct waiter *waiter)
{
    cmds_group_close(waiter->group, waiter_on_closed, waiter);
    WAITER_UNTIL(atomic_load(&waiter->closed) == 1);
    cmds_runtime_stop(waiter->runtime);
    raw_server_stop(&waiter->door.server);
}

static int put_large(struct waiter *waiter, bool one_way)
{
    static char large[100000];
    struct put put = {{large, sizeof(large)}};
    struct echo echo = {.string = {large, sizeof(large)}};
    return cmds_group_send(
            waiter->group, one_way ? put_message(&put) : echo_message(&echo), NULL, NULL, NULL);
}

static uint64_t refused_of(const struct waiter *waiter)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_group_stats(waiter->group, &counters), 0);
    return counters.sends_refused;
}

/* As a program would: sends until it is refused, and again when it was told. */
static void push_until_refused(struct waiter *waiter, bool one_way)
{
    int code = 0;
    uint64_t refused = refused_of(waiter);
    for (uint32_t i = 0; i < 10000 && code == 0; i++) {
        code = put_large(waiter, one_way);
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    CU_ASSERT_EQUAL(refused_of(waiter), refused + 1);
}

static void check_not_told_before_there_is_room(bool one_way)
{
    struct waiter waiter;
    waiter_init(&waiter);
    waiter_start(&waiter);

    push_until_refused(&waiter, one_way);
    uint32_t useless = 0;
    uint32_t told = 0;
    /* It connects, and the server says nothing: only the shard takes what lies in the inbox. */
    for (int i = 0; i < 200; i++) {
        raw_pause(NULL);
        if (atomic_load(&waiter.told) > told) {
            told = atomic_load(&waiter.told);
            useless += put_large(&waiter, one_way) == -ENOBUFS;
            push_until_refused(&waiter, one_way);
        }
    }
    CU_ASSERT_EQUAL(useless, 0);
    CU_ASSERT_TRUE(told <= 10); // Each time for a tenth of the bound at least.

    /* Up, and nobody reads: what the kernel takes makes room, until that is full as well. */
    atomic_store(&waiter.door.sends_server_info, 1);
    WAITER_UNTIL(atomic_load(&waiter.ups) == 1);
    useless = 0;
    for (uint32_t i = 0; i < 300; i++) {
        raw_pause(NULL);
        if (atomic_load(&waiter.told) > told) {
            told = atomic_load(&waiter.told);
            useless += put_large(&waiter, one_way) == -ENOBUFS;
            while (put_large(&waiter, one_way) == 0) {
                // Until it is refused: then there is somebody to tell.
            }
        }
    }
    CU_ASSERT(useless < 20); // A race with what was put just before is no chase.

    told = atomic_load(&waiter.told);
    atomic_store(&waiter.door.reads, 1);
    WAITER_UNTIL(atomic_load(&waiter.told) > told);
    waiter_stop(&waiter);
}

static void test_room_is_told_when_there_is_some(void)
{
    check_not_told_before_there_is_room(false);
    check_not_told_before_there_is_room(true);
}

static void push_on_result(void *context, const struct cmds_result *result)
{
    atomic_fetch_add(&((struct waiter *)context)->ended, result->last);
}

/* On the shard: as many as fit, and a small one behind them, which ends soon. */
static void push_on_shard(void *context)
{
    struct waiter *waiter = context;
    int code = 0;
    while (code == 0) {
        code = put_large(waiter, false);
        atomic_fetch_add(&waiter->pushed, code == 0);
    }
    struct echo echo = {.string = CMDS_STRING("")};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = 5;
    int small = cmds_group_send(waiter->group, echo_message(&echo), &how, push_on_result, waiter);
    atomic_store(&waiter->shard_code, small == 0 ? code : small);
}

static void test_room_on_the_shard_is_by_the_same_rule(void)
{
    struct waiter waiter;
    waiter_init(&waiter);
    waiter_start(&waiter);

    CU_ASSERT_EQUAL(cmds_runtime_post(waiter.runtime, 0, push_on_shard, &waiter), 0);
    WAITER_UNTIL(atomic_load(&waiter.shard_code) != 0);
    CU_ASSERT_EQUAL(atomic_load(&waiter.shard_code), -ENOBUFS);
    CU_ASSERT_EQUAL(refused_of(&waiter), 1);
    WAITER_UNTIL(atomic_load(&waiter.ended) == 1);
    for (int i = 0; i < 50; i++) {
        raw_pause(NULL);
    }
    CU_ASSERT_EQUAL(atomic_load(&waiter.told), 0); // The backlog is full for the one refused.

    atomic_store(&waiter.door.sends_server_info, 1);
    atomic_store(&waiter.door.reads, 1);
    WAITER_UNTIL(atomic_load(&waiter.told) == 1);
    uint32_t pushed = atomic_load(&waiter.pushed);
    CU_ASSERT_EQUAL(cmds_runtime_post(waiter.runtime, 0, push_on_shard, &waiter), 0);
    WAITER_UNTIL(atomic_load(&waiter.pushed) > pushed); // What it was told is true.
    waiter_stop(&waiter);
}

static void test_room_of_commands_that_ended_before_they_left(void)
{
    struct waiter waiter;
    waiter_init(&waiter);
    waiter.options.deadline_ms = 20;
    waiter_start(&waiter);

    push_until_refused(&waiter, false);
    WAITER_UNTIL(atomic_load(&waiter.told) == 1); // Still not connected; their deadline has passed.
    CU_ASSERT_EQUAL(put_large(&waiter, false), 0);
    waiter_stop(&waiter);
}

static void test_room_for_what_is_too_large_is_never_promised(void)
{
    static char large[5000];
    struct waiter waiter;
    struct put put = {{large, 4000}};
    waiter_init(&waiter);
    waiter.options.output_size_max = 4096;
    waiter.options.frame_size_max = 4500;
    waiter_start(&waiter);

    CU_ASSERT_EQUAL(cmds_group_send(waiter.group, put_message(&put), NULL, NULL, NULL), 0);
    put.data.size = 5000;
    CU_ASSERT_EQUAL(
            cmds_group_send(waiter.group, put_message(&put), NULL, NULL, NULL), CMDS_E_LIMIT);
    atomic_store(&waiter.door.sends_server_info, 1);
    atomic_store(&waiter.door.reads, 1);
    WAITER_UNTIL(atomic_load(&waiter.ups) == 1);
    put.data.size = 4490; // Larger than the whole output: it goes when nothing else waits.
    bool sent = false;
    WAITER_UNTIL(
            sent = sent || cmds_group_send(waiter.group, put_message(&put), NULL, NULL, NULL) == 0);
    waiter_stop(&waiter);
}

/* Somebody else on the shard takes its memory, all but a little. On the shard. */
static void leave_little(void *context)
{
    struct cmdi_account *account = &cmdi_shard_current()->buffers.account;
    uint64_t taken = cmdi_account_mark(account) - cmdi_account_used(account) - 64 * 1024;
    cmdi_account_add(account, taken);
    atomic_store((_Atomic uint64_t *)context, taken);
}

static void give_it_back(void *context)
{
    cmdi_account_sub(
            &cmdi_shard_current()->buffers.account, atomic_load((_Atomic uint64_t *)context));
    atomic_store((_Atomic uint64_t *)context, 0);
}

static void test_room_a_backlog_without_memory_is_lost_after_it_was_up(void)
{
    struct waiter waiter;
    _Atomic uint64_t taken = 0;
    waiter_init(&waiter);
    waiter_start(&waiter);
    CU_ASSERT_EQUAL(put_large(&waiter, false), 0);
    /* Behind it: it is in the backlog, and there is no memory left for the output. */
    CU_ASSERT_EQUAL(cmds_runtime_post(waiter.runtime, 0, leave_little, &taken), 0);
    WAITER_UNTIL(atomic_load(&taken) > 0);

    atomic_store(&waiter.door.sends_server_info, 1);
    WAITER_UNTIL(atomic_load(&waiter.down) == 1);
    for (int i = 0; i < 20; i++) {
        raw_pause(NULL); // Nothing follows.
    }
    CU_ASSERT_EQUAL(atomic_load(&waiter.order), 12);
    CU_ASSERT_EQUAL(atomic_load(&waiter.cause), CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_TRUE(cmds_group_done(waiter.group));
    CU_ASSERT_EQUAL(cmds_runtime_post(waiter.runtime, 0, give_it_back, &taken), 0);
    WAITER_UNTIL(atomic_load(&taken) == 0);
    waiter_stop(&waiter);
}

/* Somebody else on the shard takes all its memory, or gives it back. On the shard. */
static void take_memory(void *context)
{
    struct cmdi_account *account = &cmdi_shard_current()->buffers.account;
    cmdi_account_add(account, account->size_max);
    atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static void give_memory(void *context)
{
    struct cmdi_account *account = &cmdi_shard_current()->buffers.account;
    cmdi_account_sub(account, account->size_max);
    atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static void take_note(void *context)
{
    atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static uint64_t posts_of(const struct waiter *waiter)
{
    struct cmds_runtime_counters stats = CMDS_RUNTIME_COUNTERS_INIT;
    cmds_runtime_stats(waiter->runtime, &stats);
    return stats.posts;
}

static void test_room_when_others_give_memory_back(void)
{
    struct waiter waiter;
    waiter_init(&waiter);
    waiter_start(&waiter);
    atomic_store(&waiter.door.sends_server_info, 1);
    atomic_store(&waiter.door.reads, 1);
    WAITER_UNTIL(atomic_load(&waiter.ups) == 1);

    CU_ASSERT_FATAL(cmds_runtime_post(waiter.runtime, 0, take_memory, &waiter.pushed) == 0);
    WAITER_UNTIL(atomic_load(&waiter.pushed) == 1);
    uint64_t posts = posts_of(&waiter);
    CU_ASSERT_EQUAL(put_large(&waiter, true), -ENOBUFS);
    WAITER_UNTIL(posts_of(&waiter) > posts); // The shard knows that somebody waits...
    CU_ASSERT_FATAL(cmds_runtime_post(waiter.runtime, 0, take_note, &waiter.pushed) == 0);
    WAITER_UNTIL(atomic_load(&waiter.pushed) == 2); // ... and has looked, a turn ago.
    CU_ASSERT_EQUAL(atomic_load(&waiter.told), 0);

    CU_ASSERT_FATAL(cmds_runtime_post(waiter.runtime, 0, give_memory, &waiter.pushed) == 0);
    WAITER_UNTIL(atomic_load(&waiter.told) > 0);
    CU_ASSERT_EQUAL(put_large(&waiter, true), 0);
    waiter_stop(&waiter);
}

static CU_TestInfo test_room[] = {
        {"is told when there is some", test_room_is_told_when_there_is_some},
        {"when others give memory back", test_room_when_others_give_memory_back},
        {"on the shard", test_room_on_the_shard_is_by_the_same_rule},
        {"of those that ended", test_room_of_commands_that_ended_before_they_left},
        {"for what is too large", test_room_for_what_is_too_large_is_never_promised},
        {"no memory for the backlog", test_room_a_backlog_without_memory_is_lost_after_it_was_up},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("room", test_room)
