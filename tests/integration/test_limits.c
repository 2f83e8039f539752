/* SPDX-License-Identifier: MIT */
/*
 * The limits of a server: time, connections, and what its options accept. A limit that does not
 * close lets peers collect; one that closes too eagerly cuts a connection that has work; an option
 * that is not understood must be named.
 */
#include "support/world.h"

#include <errno.h>

/* --- Time ------------------------------------------------------------------------------------- */

static struct cmds_call *_Atomic kept;

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    (void)run;
    atomic_store(&kept, cmds_call_ref(call));
    return 0;
}

/* Silence closes a connection, but not one for which a call is under way. */
static void test_limits_idle(void)
{
    struct world world;
    struct raw idle, busy;
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {0};
    world_init(&world);
    world.exec = exec_keep;
    world.options.idle_timeout_ms = 250;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &busy));
    CU_ASSERT(raw_send(&busy, 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&kept) != NULL);

    for (uint32_t i = 1; i <= 3; i++) { // Longer than the limit, by the limit's own measure.
        CU_ASSERT_FATAL(world_connect(&world, &idle));
        CU_ASSERT(raw_drain(&idle) != RAW_HANG);
        raw_close(&idle);
        WORLD_UNTIL(&world, atomic_load(&world.disconnected) == i);
        CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_IDLE);
    }
    CU_ASSERT_EQUAL(world_stats(&world).idle_closes, 3);
    CU_ASSERT_EQUAL(world_send_item(atomic_load(&kept), 5, true), 0);
    cmds_call_unref(atomic_exchange(&kept, NULL));
    CU_ASSERT_EQUAL(world_read_item(&busy, &sequence, &last), 5);
    CU_ASSERT(raw_drain(&busy) != RAW_HANG); // Now it is idle too.

    raw_close(&busy);
    world_stop(&world);
}

/* Bytes that drip in do not put the end of a frame off. */
static void test_limits_time_of_a_frame(void)
{
    struct world world;
    struct raw half, drip, other;
    uint8_t byte = 'x';
    world_init(&world);
    world.options.frame_timeout_ms = 100;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &half) && world_connect(&world, &drip) &&
                    world_connect(&world, &other));

    CU_ASSERT(raw_write_hex(&half, "01000f94c3"));
    CU_ASSERT(raw_write_hex(&drip, "0100808001")); // 16 KiB are to follow.
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (raw_write_some(&drip, &byte, 1) >= 0 && raw_now_ms() < until_ms) {
        raw_pause(NULL);
    }
    CU_ASSERT(raw_now_ms() < until_ms);
    CU_ASSERT(raw_drain(&half) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 2);
    CU_ASSERT_EQUAL(world_stats(&world).frame_timeouts, 2);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_TIMEOUT);
    CU_ASSERT(world_echoes(&other, 1)); // Silence between frames is something else.

    raw_close(&half);
    raw_close(&drip);
    raw_close(&other);
    world_stop(&world);
}

static int exec_endless(struct cmds_call *call, const struct run *run)
{
    static char chunk[8192];
    int code = 0;
    (void)run;
    while (code == 0) {
        struct item item = {.data = {chunk, sizeof(chunk)}};
        code = cmds_call_send(call, item_message(&item));
    }
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static void test_limits_a_peer_that_takes_nothing(void)
{
    struct world world;
    struct raw slow, other;
    struct run run = {0};
    world_init(&world);
    world.exec = exec_endless;
    world.options.write_timeout_ms = 100;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &other));
    CU_ASSERT_FATAL(raw_open(&slow, world.address, 4096, NULL) == 0 && raw_server_info(&slow));

    CU_ASSERT(raw_send(&slow, 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_SLOW_PEER);
    CU_ASSERT_EQUAL(world_stats(&world).slow_consumers, 1);
    CU_ASSERT(world_echoes(&other, 1));
    WORLD_UNTIL(&world, world_stats(&world).buffer_bytes == 0);

    raw_close(&slow);
    raw_close(&other);
    world_stop(&world);
}

/* --- Connections ------------------------------------------------------------------------------ */

static void test_limits_refuse_one_connection_too_many(void)
{
    struct world world;
    struct raw raw[3];
    world_init(&world);
    world.options.connection_count_max = 2;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw[0]) && world_connect(&world, &raw[1]));

    for (uint32_t i = 1; i <= 10; i++) {
        CU_ASSERT_FATAL(raw_open(&raw[2], world.address, 0, NULL) == 0);
        CU_ASSERT(raw_drain(&raw[2]) != RAW_HANG);
        CU_ASSERT_EQUAL(raw[2].end, 0); // Not even a ServerInfo.
        raw_close(&raw[2]);
        WORLD_UNTIL(&world, world_stats(&world).connections_refused == i);
    }
    CU_ASSERT(world_echoes(&raw[0], 1) && world_echoes(&raw[1], 1));
    raw_close(&raw[0]);
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 1);
    CU_ASSERT(world_connect(&world, &raw[2]) && world_echoes(&raw[2], 1));
    CU_ASSERT_EQUAL(atomic_load(&world.connected), 3); // on_connect never saw the others.

    raw_close(&raw[1]);
    raw_close(&raw[2]);
    world_stop(&world);
}

static void test_limits_queue_one_connection_too_many(void)
{
    struct world world;
    struct raw raw[6];
    world_init(&world);
    world.options.connection_count_max = 2;
    world.options.overflow = CMDS_OVERFLOW_QUEUE;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw[0]) && world_connect(&world, &raw[1]));

    for (uint32_t i = 2; i < 6; i++) {
        CU_ASSERT_FATAL(raw_open(&raw[i], world.address, 0, NULL) == 0); // The kernel's word.
    }
    CU_ASSERT(world_echoes(&raw[0], 1) && world_echoes(&raw[1], 1));
    for (uint32_t i = 2; i < 6; i++) { // Each end lets the next one in, in order.
        CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), 2);
        raw_close(&raw[i - 2]);
        CU_ASSERT_FATAL(raw_server_info(&raw[i]) && world_echoes(&raw[i], 1));
        CU_ASSERT_EQUAL(atomic_load(&world.connected), i + 1);
    }
    CU_ASSERT_EQUAL(world_stats(&world).connections_refused, 0);

    raw_close(&raw[4]);
    raw_close(&raw[5]);
    world_stop(&world);
}

static int on_connect_refuse(void *receiver, struct cmds_connection *connection)
{
    struct world *world = receiver;
    (void)connection;
    return atomic_fetch_add(&world->connected, 1) % 2 == 0 ? -EPERM : 0;
}

static void test_limits_on_connect_may_refuse(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.options.on_connect = on_connect_refuse;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_FATAL(raw_open(&raw, world.address, 0, NULL) == 0);
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    raw_close(&raw);
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    CU_ASSERT_EQUAL(atomic_load(&world.disconnected), 0);
    CU_ASSERT_EQUAL(world_stats(&world).connections_refused, 1);
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);

    world_stop(&world);
}

static _Atomic uint32_t per_shard[4];

static int on_connect_count(void *receiver, struct cmds_connection *connection)
{
    struct world *world = receiver;
    (void)connection;
    atomic_fetch_add(&per_shard[cmds_runtime_current_shard(world->runtime)], 1);
    return 0;
}

static void test_limits_connections_are_spread_evenly(void)
{
    enum {
        COUNT = 40
    };
    struct world world;
    struct raw raw[COUNT];
    world_init(&world);
    world.runtime_options.shard_count = 4;
    world.options.on_connect = on_connect_count;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < COUNT; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raw[i]));
    }
    for (uint32_t i = 0; i < 4; i++) {
        WORLD_UNTIL(&world, atomic_load(&per_shard[i]) >= COUNT / 4); // ServerInfo may come first.
    }
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(atomic_load(&per_shard[i]), COUNT / 4);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        CU_ASSERT(world_echoes(&raw[i], 1));
        raw_close(&raw[i]);
    }

    world_stop(&world);
}

/* --- Shards' own state ------------------------------------------------------------------------ */

static int states[4];
static _Atomic uint32_t started, stopped;

static int on_shard_start(void *receiver, uint32_t shard, void **state)
{
    struct world *world = receiver;
    *state = &states[shard];
    atomic_fetch_add(&started, 1);
    return world->context != NULL && shard == 1 ? -EPERM : 0;
}

static void on_shard_stop(void *receiver, uint32_t shard, void *state)
{
    (void)receiver;
    atomic_fetch_add(&stopped, state == &states[shard]);
}

static int exec_state(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    (void)run;
    bool mine = cmds_call_shard_state(call) == &states[cmds_runtime_current_shard(world->runtime)];
    return world_send_item(call, mine, true);
}

static void test_limits_each_shard_has_a_state(void)
{
    struct world world;
    struct raw raw[4];
    struct run run = {0};
    world_init(&world);
    world.exec = exec_state;
    world.options.on_shard_start = on_shard_start;
    world.options.on_shard_stop = on_shard_stop;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_EQUAL(atomic_load(&started), 2);

    for (uint32_t i = 0; i < 4; i++) {
        uint64_t sequence = 0;
        bool last = false;
        CU_ASSERT_FATAL(world_connect(&world, &raw[i]));
        CU_ASSERT(raw_send(&raw[i], 1, run_message(&run)));
        CU_ASSERT_EQUAL(world_read_item(&raw[i], &sequence, &last), 1);
        raw_close(&raw[i]);
    }
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&stopped), 2);

    world_init(&world); // One shard cannot: nothing starts, and what had started stops.
    world.options.on_shard_start = on_shard_start;
    world.options.on_shard_stop = on_shard_stop;
    world.context = &world;
    CU_ASSERT_EQUAL(world_start(&world), -EPERM);
    CU_ASSERT(strstr(world.error.text, "shard 1") != NULL);
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&stopped), 3);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void test_limits_server_info(void)
{
    static char info[1025];
    struct world world;
    struct raw raw;
    memset(info, 'i', sizeof(info));
    const size_t sizes[] = {1, 127, 128, 1024};
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t expected[2];
        size_t prefix = raw_varint(expected, sizes[i]);
        world_init(&world);
        world.options.server_info = (struct cmds_bytes){info, sizes[i]};
        CU_ASSERT_FATAL(world_start(&world) == 0 && raw_open(&raw, world.address, 0, NULL) == 0);
        CU_ASSERT_FATAL(raw_fill(&raw, prefix + sizes[i]));
        CU_ASSERT(memcmp(raw.data, expected, prefix) == 0 &&
                  memcmp(raw.data + prefix, info, sizes[i]) == 0);
        raw.begin += prefix + sizes[i];
        CU_ASSERT(world_echoes(&raw, 1)); // And nothing else was in between.
        raw_close(&raw);
        world_stop(&world);
    }
}

static int exec_echo(struct cmds_call *call, const struct echo *echo)
{
    (void)call;
    (void)echo;
    return 0;
}

static void refused(struct world *world, int code, const char *word)
{
    struct cmds_server *server = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int got = cmds_server_start(&server, world->runtime, &world->options, &error);
    if (got != code || strstr(error.text, word) == NULL) {
        printf("%d \"%s\" in place of %d with \"%s\"\n", got, error.text, code, word);
        CU_FAIL("a bad option was not refused by name");
    }
    CU_ASSERT_PTR_NULL(server);
}

static void test_limits_bad_options_are_named(void)
{
    static const struct cmds_exec twice[] = {
            CMDS_EXEC(echo, exec_echo), CMDS_EXEC(echo, exec_echo)};
    static const struct cmds_exec one[] = {CMDS_EXEC(echo, exec_echo)};
    static char info[1025];
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_server_options good = world.options;
#define REFUSED(change, code, word)                                                                \
    do {                                                                                           \
        world.options = good;                                                                      \
        world.options.change;                                                                      \
        refused(&world, (code), (word));                                                           \
    } while (0)
    REFUSED(struct_size = 0, -EINVAL, "INIT");
    REFUSED(listen = NULL, -EINVAL, "listen");
    REFUSED(listen = "", -EINVAL, "listen");
    REFUSED(listen = "localhost", -EINVAL, "localhost");
    REFUSED(listen = "127.0.0.1:70000", -EINVAL, "70000");
    REFUSED(listen = "127.0.0.1:0,nonsense", -EINVAL, "nonsense");
    REFUSED(protocol = NULL, -EINVAL, "protocol");
    REFUSED(execs = NULL, -EINVAL, "execs");
    REFUSED(exec_count = 2, CMDS_E_SCHEMA, "pool");
    REFUSED(frame_size_max = UINT32_MAX, -EINVAL, "frame_size_max");
    REFUSED(overflow = 9, -EINVAL, "overflow");
    REFUSED(server_info = ((struct cmds_bytes){info, sizeof(info)}), -EINVAL, "server_info");
    world.options = good;
    world.options.execs = twice;
    world.options.exec_count = 2;
    refused(&world, CMDS_E_SCHEMA, "two exec functions");
    world.options.execs = one;
    world.options.exec_count = 1;
    refused(&world, CMDS_E_SCHEMA, "no exec function");
    world.options = good;
    world.options.listen = world.address;
    refused(&world, -EADDRINUSE, world.address);

    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"idle", test_limits_idle},
        {"time of a frame", test_limits_time_of_a_frame},
        {"a peer that takes nothing", test_limits_a_peer_that_takes_nothing},
        {"refuse one connection too many", test_limits_refuse_one_connection_too_many},
        {"queue one connection too many", test_limits_queue_one_connection_too_many},
        {"on_connect may refuse", test_limits_on_connect_may_refuse},
        {"connections are spread evenly", test_limits_connections_are_spread_evenly},
        {"each shard has a state", test_limits_each_shard_has_a_state},
        {"server info", test_limits_server_info},
        {"bad options are named", test_limits_bad_options_are_named},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("limits", tests)
