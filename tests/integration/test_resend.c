/* SPDX-License-Identifier: MIT */
/*
 * Commands that are sent again, on real threads: a server that ends a connection after every few
 * hundred commands, threads and shards that send, forget and are hooked meanwhile. Mostly for the
 * sanitizers; what may go wrong is in tests/unit/test_sim_resend.c.
 */
#include <errno.h>
#include <sched.h>

#include "support/world.h"

enum {
    THREADS = 3,
    COMMANDS = 3000, // Of each thread.
    IN_FLIGHT = 50,
    DEADLY = 300, // Every so manieth command ends its connection.
};

struct look {
    int64_t number;
    struct cmds_string text;
};
struct seen {
    int64_t number;
};
CMDS_COMMAND_IDEMPOTENT(look, 0, number, text);
CMDS_RESULT(seen, 0, number);
static const struct cmds_type *const commands[] = {&look_type};
static const struct cmds_type *const results[] = {&seen_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("resend", commands, results);

static _Atomic uint64_t executed;

static int on_look(struct cmds_call *call, const struct look *look)
{
    struct seen seen = {look->number};
    return atomic_fetch_add(&executed, 1) % DEADLY == DEADLY - 1
                   ? -EIO
                   : cmds_call_send(call, seen_message(&seen));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(look, on_look)};

struct crowd {
    struct cmds_group *group;
    _Atomic uint64_t sent, ended, good, strange, begun, over;
};
struct member {
    struct crowd *crowd;
    uint32_t number;
    _Atomic uint32_t in_flight;
    pthread_t thread;
};

static void on_result(void *context, const struct cmds_result *result)
{
    struct member *member = context;
    struct crowd *crowd = member->crowd;
    bool known = result->error == 0 || result->error == CMDS_E_LOST ||
                 result->error == CMDS_E_NOT_SENT || result->error == CMDS_E_CANCELLED ||
                 result->error == CMDS_E_TIMEOUT;
    atomic_fetch_add(&crowd->good, result->error == 0);
    atomic_fetch_add(&crowd->strange, !known || !result->last);
    atomic_fetch_add(&crowd->ended, 1);
    atomic_fetch_sub(&member->in_flight, 1);
}

static void *member_run(void *context)
{
    static const char text[1000] = "x";
    struct member *member = context;
    struct crowd *crowd = member->crowd;
    for (uint32_t i = 0; i < COMMANDS;) {
        struct look look = {i, {text, i % 2 == 0 ? 10 : sizeof(text)}};
        struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
        struct cmds_ticket ticket;
        how.ticket = i % 3 == 0 ? &ticket : NULL;
        while (atomic_load(&member->in_flight) >= IN_FLIGHT) {
            (void)sched_yield();
        }
        atomic_fetch_add(&member->in_flight, 1);
        int code = cmds_group_send(crowd->group, look_message(&look), &how, on_result, member);
        if (code < 0) {
            atomic_fetch_sub(&member->in_flight, 1);
            atomic_fetch_add(&crowd->strange, code != -ENOBUFS);
            (void)sched_yield();
            continue;
        }
        atomic_fetch_add(&crowd->sent, 1);
        if (how.ticket != NULL && i % 7 == 0) {
            (void)cmds_group_forget(crowd->group, ticket);
        }
        i++;
    }
    return NULL;
}

static int on_before(void *context, struct cmds_sent_command *command)
{
    struct crowd *crowd = context;
    command->user = crowd;
    atomic_fetch_add(&crowd->begun, 1);
    return 0;
}

static void on_end(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct crowd *crowd = context;
    atomic_fetch_add(&crowd->strange, command->user != crowd);
    atomic_fetch_add(&crowd->over, result->last);
}

static void crowd_run(struct crowd *crowd)
{
    static struct member members[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (struct member){.crowd = crowd, .number = i};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&members[i].thread, NULL, member_run, &members[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(members[i].thread, NULL);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(crowd->group, RAW_GUARD_MS), 0);
}

static void test_resend_under_threads(void)
{
    struct world world;
    struct crowd crowd = {.group = NULL};
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&hooks};
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    world_init(&world);
    world.options = (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    world.options.listen = "127.0.0.1:0";
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.connect = world.address;
    options.client_count = 3;
    options.resend = CMDS_RESEND_ONCE;
    options.reconnect_delay_ms = 5;
    options.reconnect_delay_max_ms = 10;
    options.deadline_ms = RAW_GUARD_MS;
    options.hooks = list;
    options.hooks_count = 1;
    hooks.context = &crowd;
    hooks.before_send = on_before;
    hooks.on_result = on_end;
    hooks.on_error = on_end;
    hooks.on_timeout = on_end;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&crowd.group, world.runtime, &options, NULL), 0);

    crowd_run(&crowd);

    CU_ASSERT_EQUAL(cmds_group_stats(crowd.group, &counters), 0);
    CU_ASSERT_EQUAL(crowd.strange, 0);
    CU_ASSERT_EQUAL(crowd.sent, THREADS * COMMANDS);
    CU_ASSERT_EQUAL(crowd.ended, crowd.sent);
    CU_ASSERT_EQUAL(crowd.over, crowd.begun);
    CU_ASSERT(crowd.good > crowd.sent / 2);
    CU_ASSERT(counters.commands_resent > 0);
    cmds_group_close(crowd.group, NULL, NULL);
    world_stop(&world);
}

CU_TestInfo test_resend[] = {
        {"under threads", test_resend_under_threads},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("resend", test_resend)
