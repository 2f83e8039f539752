/* SPDX-License-Identifier: MIT */
/*
 * A stream of the first result type of a protocol, whose CMDS_LAST field is its first one: all that those
 * who count ask of such a type is 0. What may go wrong: that number says "none" to somebody, and a result
 * in the middle is taken for the last one.
 */
#include <stdint.h>

#include <cmdstream/cmdstream.h>

#include "support/harness.h"

enum {
    PARTS = 3,
    LATER_MS = 20, // In another turn than what both commands were sent in.
    WAIT_MS = 10000,
    TURN_US = 5000,
};

struct ask {
    int64_t parts; // 0: answered at once.
};
struct part {
    bool last;
    int64_t index;
};
struct done {
    int64_t unused;
};
CMDS_COMMAND(ask, 0, parts);
CMDS_RESULT(part, 0, CMDS_LAST(last), index);
CMDS_RESULT(done, 1, unused);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&part_type, &done_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("last first", commands, results);

static void send_parts(struct cmds_call *call)
{
    for (int64_t i = 0; i < PARTS; i++) {
        struct part part = {i + 1 == PARTS, i};
        CU_ASSERT_EQUAL(cmds_call_send(call, part_message(&part)), 0);
    }
    cmds_call_unref(call);
}

static int exec_ask(struct cmds_call *call, const struct ask *ask)
{
    struct done done = {0};
    return ask->parts == 0 ? cmds_call_send(call, done_message(&done))
                           : cmds_call_after(cmds_call_ref(call), LATER_MS, send_parts);
}

struct client {
    struct cmds_group *group;
    uint32_t parts, done, ended, wrong;
};

static void take(void *context, const struct cmds_result *result)
{
    struct client *client = context;
    const struct part *part = part_of(result);
    client->wrong += result->error != 0 || (part != NULL && part->index != client->parts) ||
                     (part != NULL && part->last != result->last);
    client->parts += part != NULL;
    client->done += done_of(result) != NULL;
    client->ended += result->last;
}

/* Both leave in one turn, and so have begun at the same time. */
static void take_first(void *context, const struct cmds_result *result)
{
    struct client *client = context;
    struct ask now = {0}, later = {PARTS};
    CU_ASSERT_EQUAL(result->error, 0);
    CU_ASSERT_EQUAL(cmds_group_send(client->group, ask_message(&now), NULL, take, client), 0);
    CU_ASSERT_EQUAL(cmds_group_send(client->group, ask_message(&later), NULL, take, client), 0);
}

static void test_last_first_stream_goes_to_its_end(void)
{
    static const struct cmds_exec execs[] = {CMDS_EXEC(ask, exec_ask)};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options serve = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options connect = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct client client = {.group = NULL};
    struct ask first = {0};
    char address[64];
    options.shard_count = CMDS_SHARDS_INLINE;
    serve.listen = "127.0.0.1:0";
    connect.connect = address;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&server, runtime, &serve, NULL), 0);
    (void)cmds_server_address(server, 0, address, sizeof(address));
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&client.group, runtime, &connect, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(client.group, WAIT_MS, NULL), 0);

    CU_ASSERT_EQUAL(
            cmds_group_send(client.group, ask_message(&first), NULL, take_first, &client), 0);
    for (uint32_t i = 0; i < WAIT_MS * 1000 / TURN_US && client.ended < 2; i++) {
        CU_ASSERT_TRUE_FATAL(cmds_runtime_turn(runtime, TURN_US) >= 0);
    }

    CU_ASSERT_EQUAL(client.done, 1);
    CU_ASSERT_EQUAL(client.parts, PARTS);
    CU_ASSERT_EQUAL(client.ended, 2);
    CU_ASSERT_EQUAL(client.wrong, 0);
    cmds_group_close(client.group, NULL, NULL);
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
}

static CU_TestInfo test_last_first[] = {
        {"stream goes to its end", test_last_first_stream_goes_to_its_end},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("last_first", test_last_first)
