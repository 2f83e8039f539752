/* SPDX-License-Identifier: MIT */
/*
 * A send from a thread without connections looks at them one after the other, while their shards go on.
 * One that is up when it begins may be left before its turn, and one that is coming up then is all that
 * there is: the command waits for that one, and is not told that all are down for good.
 */
#include "support/world.h"

#define SERVER_INFO "0764656661756c74"

/* Two servers: one that is left, one that says who it is only then. */
struct scene {
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    struct raw_server first, second;
    _Atomic bool leaves, speaks; // The first one; the second one.
    _Atomic uint32_t picks;
    _Atomic int32_t error; // Of the command's last result.
    _Atomic bool has_ended;
};

static struct scene scene;

static void wait_for(const struct raw_server *server, const _Atomic bool *told)
{
    while (!atomic_load(told) && !atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
}

static void first_serve(struct raw_server *server, struct raw *peer, void *context)
{
    (void)context;
    (void)raw_write_hex(peer, SERVER_INFO);
    wait_for(server, &scene.leaves);
}

static void second_serve(struct raw_server *server, struct raw *peer, void *context)
{
    struct raw_frame frame;
    (void)context;
    wait_for(server, &scene.speaks);
    (void)raw_write_hex(peer, SERVER_INFO);
    if (raw_read(peer, &frame) == RAW_FRAME) {
        (void)raw_write_hex(peer, WORLD_ECHO_HEX);
    }
    (void)raw_drain(peer);
}

static bool none_is_up(uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    bool none = true;
    for (uint32_t i = 0; i < count; i++) {
        none = none && (candidate(source, i)->flags & CMDS_CANDIDATE_DOWN) != 0;
    }
    return none;
}

/* Between the look at the group and the one at its connections: the one that was up is left. */
static uint32_t pick_as_they_move(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    const uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    (void)self;
    (void)state;
    (void)key;
    if (atomic_fetch_add(&scene.picks, 1) == 0) {
        atomic_store(&scene.leaves, true);
        while (!none_is_up(count, candidate, source) && raw_now_ms() < until_ms) {
            raw_pause(NULL);
        }
    }
    return 0;
}

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    atomic_store(&scene.error, result->error);
    atomic_store(&scene.has_ended, result->last);
}

static bool until(const _Atomic bool *condition)
{
    const uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (!atomic_load(condition) && raw_now_ms() < until_ms) {
        raw_pause(NULL);
    }
    return atomic_load(condition);
}

static void test_group_moves_hide_no_connection_from_a_send(void)
{
    static const struct cmds_dispatch dispatch = {.struct_size = sizeof(struct cmds_dispatch),
            .version = CMDS_DISPATCH_VERSION,
            .name = "as they move",
            .pick = pick_as_they_move};
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    const struct echo echo = {.int64 = 1};
    char both[160];
    runtime_options.shard_count = 1;
    options.client_count = 2;
    options.dispatch = &dispatch;
    options.reconnect_delay_ms = CMDS_NEVER;
    options.keepalive_ms = CMDS_NEVER;
    options.connect_timeout_ms = RAW_GUARD_MS;
    options.deadline_ms = RAW_GUARD_MS;
    CU_ASSERT_FATAL(raw_server_start(&scene.first, first_serve, NULL) == 0);
    CU_ASSERT_FATAL(raw_server_start(&scene.second, second_serve, NULL) == 0);
    (void)snprintf(both, sizeof(both), "%s,%s", scene.first.address, scene.second.address);
    options.connect = both;
    CU_ASSERT_FATAL(cmds_runtime_start(&scene.runtime, &runtime_options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_open(&scene.group, scene.runtime, &options, NULL) == 0);
    for (uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
            cmds_group_connected(scene.group) == 0 && raw_now_ms() < until_ms;) {
        raw_pause(NULL);
    }
    CU_ASSERT_EQUAL_FATAL(cmds_group_connected(scene.group), 1);

    CU_ASSERT_EQUAL(cmds_group_send(scene.group, echo_message(&echo), NULL, on_result, NULL), 0);
    CU_ASSERT(atomic_load(&scene.picks) > 0);
    CU_ASSERT_FALSE(atomic_load(&scene.has_ended)); // It waits.
    atomic_store(&scene.speaks, true);
    CU_ASSERT(until(&scene.has_ended));
    CU_ASSERT_EQUAL(atomic_load(&scene.error), 0);

    cmds_group_close(scene.group, NULL, NULL);
    raw_server_stop(&scene.first);
    raw_server_stop(&scene.second);
    cmds_runtime_stop(scene.runtime);
}

static CU_TestInfo tests[] = {
        {"hide no connection from a send", test_group_moves_hide_no_connection_from_a_send},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_moves", tests)
