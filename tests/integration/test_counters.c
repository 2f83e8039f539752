/* SPDX-License-Identifier: MIT */
/*
 * What each counter counts. An event is made to happen, and then every counter of the server and of
 * the group is compared with what it was before: the event's own have moved, no other one has. Only
 * bytes and sends are left out, as each event has some.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/guest.h"
#include "support/world.h"

enum {
    COUNTERS_TEXT_SIZE = 512,
    COUNTERS_SOON_MS = 30,
};

struct counters {
    struct cmds_server_counters server;
    struct cmds_group_counters group;
};

/* A world, and what its counters were when the event began. `guest` NULL: no group. */
struct scene {
    struct world world;
    struct guest *guest;
    struct counters before;
};

static struct counters counters_now(const struct scene *scene)
{
    struct counters now = {CMDS_SERVER_COUNTERS_INIT, CMDS_GROUP_COUNTERS_INIT};
    cmds_server_stats(scene->world.server, &now.server);
    if (scene->guest != NULL) {
        now.group = guest_counters(scene->guest);
    }
    return now;
}

static bool is_traffic(const char *name)
{
    return strcmp(name, "recv_bytes") == 0 || strcmp(name, "send_bytes") == 0 ||
           strcmp(name, "sends") == 0 || strcmp(name, "short_sends") == 0;
}

static void text_add(char *text, const char *name, uint64_t before, uint64_t after)
{
    size_t used = strlen(text);
    if (before != after && !is_traffic(name)) {
        (void)snprintf(text + used, COUNTERS_TEXT_SIZE - used, " %s%+lld", name,
                (long long)(after - before));
    }
}

/* "server: name+1 name-2; group: ...": all that has moved. */
static void scene_text(const struct scene *scene, char *text)
{
    struct counters now = counters_now(scene);
    (void)snprintf(text, COUNTERS_TEXT_SIZE, "server:");
#define ROW(kind, name, meaning) text_add(text, #name, scene->before.server.name, now.server.name);
    CMDS_SERVER_COUNTERS(ROW)
#undef ROW
    (void)snprintf(text + strlen(text), COUNTERS_TEXT_SIZE - strlen(text), "; group:");
#define ROW(kind, name, meaning) text_add(text, #name, scene->before.group.name, now.group.name);
    CMDS_GROUP_COUNTERS(ROW)
#undef ROW
}

/* Waits until the counters have moved like this, and begins the next event. */
static void scene_expect(struct scene *scene, const char *expected)
{
    char text[COUNTERS_TEXT_SIZE];
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    scene_text(scene, text);
    while (strcmp(text, expected) != 0 && raw_now_ms() < until_ms) {
        raw_pause(NULL);
        scene_text(scene, text);
    }
    if (strcmp(text, expected) != 0) {
        (void)printf("expected %s\n     got %s\n", expected, text);
        CU_FAIL("counters moved in another way");
    }
    scene->before = counters_now(scene);
}

static void scene_begin(struct scene *scene, struct guest *guest)
{
    scene->guest = guest;
    if (guest != NULL) {
        guest_start(guest, &scene->world);
    } else {
        CU_ASSERT_FATAL(world_start(&scene->world) == 0);
    }
    scene->before = (struct counters){CMDS_SERVER_COUNTERS_INIT, CMDS_GROUP_COUNTERS_INIT};
}

/* --- Commands --------------------------------------------------------------------------------- */

enum {
    EXEC_AGAIN,
    EXEC_LIBRARY,
    EXEC_FORGETS,
    EXEC_FAILS,
    EXEC_KEEPS,
};

static int exec_as_told(struct cmds_call *call, const struct run *run)
{
    switch (run->what) {
    case EXEC_AGAIN:
        return cmds_call_round(call) < 2 ? CMDS_EXEC_AGAIN : world_send_item(call, 0, true);
    case EXEC_LIBRARY:
        return CMDS_E_LIMIT;
    case EXEC_FORGETS:
        return 0;
    case EXEC_FAILS:
        return -EPERM;
    default:
        break;
    }
    int code = cmds_call_keep_command(call);
    if (code == 0) {
        atomic_store(&kept_calls[0], cmds_call_ref(call));
    }
    return code;
}

static void test_counters_of_commands(void)
{
    struct scene scene;
    struct guest guest;
    struct cmds_send_options soon = CMDS_SEND_OPTIONS_INIT;
    soon.deadline_ms = COUNTERS_SOON_MS;
    world_init(&scene.world);
    scene.world.exec = exec_as_told;
    guest_init(&guest);
    guest.options.keepalive_ms = CMDS_NEVER;
    guest.options.deadline_ms = CMDS_NEVER;
    scene_begin(&scene, &guest);
    scene_expect(&scene, "server: connections+1 connections_accepted+1; group: connections+1");

    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    scene_expect(&scene, "server: commands_received+1 results_sent+1;"
                         " group: commands_sent+1 results_received+1");
    CU_ASSERT_EQUAL(guest_run(&guest, EXEC_AGAIN, 0, NULL), 0);
    scene_expect(&scene, "server: commands_received+1 results_sent+1 exec_rounds+2;"
                         " group: commands_sent+1 results_received+1");
    CU_ASSERT_EQUAL(guest_run(&guest, EXEC_LIBRARY, 0, NULL), 0);
    scene_expect(&scene, "server: commands_received+1 exec_errors+1;"
                         " group: commands_sent+1 commands_pending+1");
    CU_ASSERT_EQUAL(guest_run(&guest, EXEC_FORGETS, 0, NULL), 0);
    scene_expect(&scene, "server: commands_received+1 exec_errors+1 unfinished_calls+1;"
                         " group: commands_sent+1 commands_pending+1");
    CU_ASSERT_EQUAL(guest_run(&guest, EXEC_KEEPS, 0, &soon), 0);
    scene_expect(&scene, "server: commands_received+1 calls+1; group: commands_sent+1 deadlines+1");
    kept_answer(0);
    scene_expect(&scene,
            "server: results_sent+1 calls-1; group: results_received+1 unexpected_results+1");
    CU_ASSERT_EQUAL(guest_run(&guest, EXEC_FAILS, 0, NULL), 0);
    scene_expect(&scene,
            "server: connections-1 connections_closed+1 commands_received+1 exec_errors+1 "
            "exec_closes+1; group: connections-1 connections_closed+1 commands_sent+1 "
            "commands_pending-2");
    guest_close(&guest, &scene.world);
    world_stop(&scene.world);
}

/* --- A server's connections ------------------------------------------------------------------- */

static int refuse_all(void *receiver, struct cmds_connection *connection)
{
    (void)receiver;
    (void)connection;
    return -EPERM;
}

static void test_counters_of_what_is_refused(void)
{
    struct scene scene;
    struct raw first, second;
    world_init(&scene.world);
    scene.world.options.connection_count_max = 1;
    scene_begin(&scene, NULL);
    CU_ASSERT_FATAL(world_connect(&scene.world, &first));
    scene_expect(&scene, "server: connections+1 connections_accepted+1; group:");
    CU_ASSERT_EQUAL(raw_open(&second, scene.world.address, 0, NULL), 0);
    scene_expect(&scene, "server: connections_refused+1; group:");
    raw_close(&second);
    raw_close(&first);
    scene_expect(&scene, "server: connections-1 connections_closed+1; group:");
    world_stop(&scene.world);

    world_init(&scene.world);
    scene.world.options.on_connect = refuse_all;
    scene_begin(&scene, NULL);
    CU_ASSERT_EQUAL(raw_open(&first, scene.world.address, 0, NULL), 0);
    scene_expect(&scene,
            "server: connections_closed+1 connections_accepted+1 connections_refused+1; group:");
    raw_close(&first);
    world_stop(&scene.world);
}

/* A new connection says this, and ends so. */
static void scene_says(struct scene *scene, const char *hex, const char *counter)
{
    struct raw raw;
    char expected[COUNTERS_TEXT_SIZE];
    CU_ASSERT_FATAL(world_connect(&scene->world, &raw));
    CU_ASSERT(raw_write_hex(&raw, hex));
    (void)snprintf(expected, sizeof(expected),
            "server: connections_closed+1 %s connections_accepted+1; group:", counter);
    scene_expect(scene, expected);
    raw_close(&raw);
}

static void test_counters_of_how_connections_end(void)
{
    struct scene scene;
    struct raw raw;
    world_init(&scene.world);
    scene.world.options.frame_timeout_ms = COUNTERS_SOON_MS;
    scene.world.options.linger_timeout_ms = COUNTERS_SOON_MS; // The peer reads on, and stays.
    scene_begin(&scene, NULL);
    CU_ASSERT_FATAL(world_connect(&scene.world, &raw));
    scene_expect(&scene, "server: connections+1 connections_accepted+1; group:");
    CU_ASSERT(raw_write_hex(&raw, "00"));
    scene_expect(&scene, "server: pings_answered+1; group:");
    raw_abort(&raw);
    scene_expect(&scene, "server: connections-1 connections_closed+1 resets+1; group:");

    scene_says(&scene, "01 63 00", "proto_errors+1");    // There is no command 99.
    scene_says(&scene, "01 00 01 c1", "codec_errors+1"); // A byte that is no msgpack.
    scene_says(&scene, "01 00 0f 94", "frame_timeouts+1");
    world_stop(&scene.world);

    world_init(&scene.world);
    scene.world.options.idle_timeout_ms = COUNTERS_SOON_MS;
    scene_begin(&scene, NULL);
    scene_says(&scene, "", "idle_closes+1");
    world_stop(&scene.world);
}

static void test_counters_of_a_call_that_is_given_up(void)
{
    struct scene scene;
    struct guest guest;
    world_init(&scene.world);
    scene.world.exec = exec_as_told;
    scene.world.options.exec_timeout_ms = COUNTERS_SOON_MS;
    guest_init(&guest);
    guest.options.keepalive_ms = CMDS_NEVER;
    scene_begin(&scene, &guest);
    scene_expect(&scene, "server: connections+1 connections_accepted+1; group: connections+1");
    CU_ASSERT_EQUAL(guest_run(&guest, EXEC_KEEPS, 0, NULL), 0);
    scene_expect(&scene, "server: commands_received+1 exec_timeouts+1 calls+1;"
                         " group: commands_sent+1 commands_pending+1");
    kept_answer(0);
    guest_close(&guest, &scene.world);
    world_stop(&scene.world);
}

/* --- A group's connections -------------------------------------------------------------------- */

/* Says nothing, and closes when the test lets go. */
static void serve_nothing(struct raw_server *server, struct raw *peer, void *context)
{
    _Atomic bool *let_go = context;
    (void)peer;
    while (!atomic_load(let_go) && !atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
}

static void test_counters_of_attempts_to_connect(void)
{
    struct scene scene;
    struct guest guest;
    struct raw_server mute;
    _Atomic bool let_go = false;
    CU_ASSERT_EQUAL_FATAL(raw_server_start(&mute, serve_nothing, &let_go), 0);
    world_init(&scene.world);
    scene_begin(&scene, NULL);
    guest_init(&guest);
    guest.options.connect_timeout_ms = RAW_GUARD_MS;
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, scene.world.runtime, mute.address), 0);
    scene.guest = &guest;
    scene_expect(&scene, "server:; group: connections+1");
    CU_ASSERT_EQUAL(cmds_group_connected(guest.group), 0);
    atomic_store(&let_go, true);
    scene_expect(&scene, "server:; group: connections-1 connections_closed+1");
    CU_ASSERT_EQUAL(atomic_load(&guest.up), 0);
    guest_close(&guest, &scene.world);
    world_stop(&scene.world);
    raw_server_stop(&mute);
}

static CU_TestInfo tests[] = {
        {"of commands", test_counters_of_commands},
        {"of what is refused", test_counters_of_what_is_refused},
        {"of how connections end", test_counters_of_how_connections_end},
        {"of a call that is given up", test_counters_of_a_call_that_is_given_up},
        {"of attempts to connect", test_counters_of_attempts_to_connect},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("counters", tests)
