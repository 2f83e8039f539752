/* SPDX-License-Identifier: MIT */
/*
 * A server and a group with a proxy in between, in a simulated world: whatever befalls the connections, at
 * whichever byte, each command ends exactly once, a result is that of its command, and when all is healed
 * every connection is up again.
 */
#include <cmdstream/cmdstream.h>

#include "support/chaos_world.h"

enum {
    COMMANDS = 2000,
    CLIENTS = 4,
    SEEDS = 20,
    CHAOS_MS = 10000,
    BACK_MS = 60000, // Longer than the longest pause between two tries.
};

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
static const struct cmds_protocol protocol = CMDS_PROTOCOL("chaos", commands, results);

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct answer value = {2 * ask->number + 1};
    return cmds_call_send(call, answer_message(&value));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

/* A command. `ends` is counted on a shard, and read when all are over. */
struct sent {
    int64_t number;
    uint32_t ends, answers, wrong;
};

static void on_result(void *context, const struct cmds_result *result)
{
    struct sent *sent = context;
    const struct answer *value = answer_of(result);
    sent->ends += result->last;
    sent->answers += value != NULL;
    sent->wrong += value != NULL ? value->number != 2 * sent->number + 1 : result->error == 0;
}

static bool send_one(struct cmds_group *group, struct sent *sent, int64_t number)
{
    struct ask ask = {number};
    *sent = (struct sent){.number = number};
    return cmds_group_send(group, ask_message(&ask), NULL, on_result, sent) == 0;
}

/* Returns: how many were answered. */
static uint32_t check(const struct sent *list, uint32_t count)
{
    uint32_t answers = 0;
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(list[i].ends, 1);
        CU_ASSERT_EQUAL(list[i].wrong, 0);
        CU_ASSERT(list[i].answers <= 1);
        answers += list[i].answers;
    }
    return answers;
}

static void use_group(struct cmds_group *group, struct world *world)
{
    static struct sent list[COMMANDS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COMMANDS; i++) {
        count += send_one(group, &list[count], i);
        cmds_sim_sleep_ms(CHAOS_MS / COMMANDS);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(group, BACK_MS), 0); // Each has a deadline.
    CU_ASSERT(check(list, count) > 0);

    cmdi_chaos_heal(world->chaos);
    cmds_sim_sleep_ms(BACK_MS);
    CU_ASSERT_EQUAL(cmds_group_connected(group), CLIENTS);
    for (count = 0; count < 100; count++) {
        CU_ASSERT(send_one(group, &list[count], count));
    }
    CU_ASSERT_EQUAL(cmds_group_drain(group, BACK_MS), 0);
    CU_ASSERT_EQUAL(check(list, count), count);
}

static void use_service(struct world *world)
{
    struct cmds_server *server = NULL;
    struct cmds_group *group = NULL;
    char address[CMDI_ADDRESS_TEXT_MAX];
    struct cmds_server_options serve = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options open = CMDS_GROUP_OPTIONS_INIT(&protocol);
    cmdi_chaos_address(world->chaos, 0, address, sizeof(address));
    serve.listen = world->routes[0].target;
    open.connect = address;
    open.client_count = CLIENTS;
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&server, world->runtime, &serve, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&group, world->runtime, &open, NULL), 0);
    use_group(group, world);
    cmds_group_close(group, NULL, NULL);
    cmds_sim_sleep_ms(5000);
    cmds_server_close(server);
}

/* One kind of fault at a time: whatever does not heal says by itself which one it was. */
static void befall(enum cmdi_chaos_kind kind, bool by_bytes, uint64_t seed)
{
    struct run run = {.test = use_service,
            .target = "127.0.0.1:9002",
            .seed = seed,
            .options = {.seed = seed,
                    .delay_ms = {1, 2000},
                    .throttle = 500,
                    .split = 1,
                    .ways = CMDI_CHAOS_ANY,
                    .after_bytes = {0, 2000},
                    .by_bytes = by_bytes,
                    .lasts_ms = {10, 5000},
                    .until_ms = CHAOS_MS}};
    run.options.every_ms =
            by_bytes ? (struct cmdi_chaos_range){0, 0} : (struct cmdi_chaos_range){100, 1000};
    run.options.faults[kind] = 1;
    in_world(&run);
}

static void test_sim_chaos_service_bears_each_fault_in_time(void)
{
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        befall(kind, false, kind + 1);
    }
}

static void test_sim_chaos_service_bears_each_fault_at_a_byte(void)
{
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        befall(kind, true, kind + 1);
    }
}

static void test_sim_chaos_service_bears_all_of_them(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct run run = {.test = use_service,
                .target = "127.0.0.1:9002",
                .seed = seed,
                .options = {.seed = seed,
                        .delay_ms = {1, 500},
                        .throttle = 2000,
                        .split = 3,
                        .ways = CMDI_CHAOS_ANY,
                        .every_ms = {50, 1000},
                        .after_bytes = {0, 5000},
                        .by_bytes = true,
                        .share = 50,
                        .lasts_ms = {10, 3000},
                        .until_ms = CHAOS_MS}};
        for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
            run.options.faults[kind] = 1;
        }
        in_world(&run);
    }
}

CU_TestInfo test_sim_chaos_service[] = {
        {"bears each fault in time", test_sim_chaos_service_bears_each_fault_in_time},
        {"bears each fault at a byte", test_sim_chaos_service_bears_each_fault_at_a_byte},
        {"bears all of them", test_sim_chaos_service_bears_all_of_them},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_chaos_service", test_sim_chaos_service)
