/* SPDX-License-Identifier: MIT */
/*
 * A client against a server that says anything at all: wrong ServerInfos, results that nobody asked
 * for, garbage, silence. The client must name what was wrong, end every command exactly once, and
 * neither hang nor trust.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "support/answers.h"
#include "support/world.h"

#define SERVER_INFO "0764656661756c74"

/**
 * What the raw server does with a connection: sends `server_info`, reads `reads` commands, sends
 * `reply`, waits or leaves.
 */
struct script {
    const char *server_info, *reply;
    uint32_t reads;
    bool stays;  // Waits until the client has gone; else it leaves at once.
    bool resets; // Leaves with a RST.
    bool pongs;  // Answers pings while it stays.
    _Atomic uint32_t pings;
};

static void script_stay(struct raw_server *server, struct raw *peer, struct script *script)
{
    struct raw_frame frame;
    (void)server;
    while (raw_read(peer, &frame) == RAW_FRAME) {
        if (frame.sequence == 0) {
            atomic_fetch_add(&script->pings, 1);
            if (script->pongs) {
                (void)raw_write_hex(peer, "00");
            }
        }
    }
}

static void script_serve(struct raw_server *server, struct raw *peer, void *context)
{
    struct script *script = context;
    struct raw_frame frame;
    (void)raw_write_hex(peer, script->server_info);
    for (uint32_t i = 0; i < script->reads; i++) {
        if (raw_read(peer, &frame) != RAW_FRAME) {
            return;
        }
    }
    if (script->reply != NULL) {
        (void)raw_write_hex(peer, script->reply);
    }
    if (script->stays) {
        script_stay(server, peer, script);
    } else if (script->resets) {
        raw_abort(peer);
    }
}

struct scene {
    struct cmds_runtime *runtime;
    struct raw_server server;
    struct cmds_group_options options;
    struct cmds_group *group;
    struct answers *answers, *unexpected;
    struct cmds_error error;
    _Atomic uint32_t closed;
};

static void scene_on_unexpected(void *context, const struct cmds_result *result)
{
    answers_take(((struct scene *)context)->unexpected, result);
}

static void scene_on_closed(void *context)
{
    atomic_store(&((struct scene *)context)->closed, 1);
}

static void scene_init(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    scene->options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    scene->options.reconnect_delay_ms = CMDS_NEVER;
    // Its server reads so often, and then does what it does.
    scene->options.keepalive_ms = CMDS_NEVER;
    scene->options.context = scene;
    scene->options.on_unexpected = scene_on_unexpected;
    scene->answers = answers_new();
    scene->unexpected = answers_new();
}

static void scene_start(struct scene *scene, struct script *script)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 1;
    CU_ASSERT_FATAL(cmds_runtime_start(&scene->runtime, &options, NULL) == 0);
    CU_ASSERT_FATAL(raw_server_start(&scene->server, script_serve, script) == 0);
    scene->options.connect = scene->server.address;
    CU_ASSERT_FATAL(
            cmds_group_open(&scene->group, scene->runtime, &scene->options, &scene->error) == 0);
}

static void scene_stop(struct scene *scene)
{
    cmds_group_close(scene->group, scene_on_closed, scene);
    raw_server_stop(&scene->server);
    cmds_runtime_stop(scene->runtime); // Waits for the group.
    CU_ASSERT_EQUAL(atomic_load(&scene->closed), 1);
    answers_free(scene->answers);
    answers_free(scene->unexpected);
}

static int scene_send(struct scene *scene, uint32_t deadline_ms)
{
    struct echo echo = {.string = CMDS_STRING("")};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = deadline_ms;
    return cmds_group_send(scene->group, echo_message(&echo), &how, answers_take, scene->answers);
}

static struct cmds_group_counters scene_counters(const struct scene *scene)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_group_stats(scene->group, &counters), 0);
    return counters;
}

#define SCENE_UNTIL(condition)                                                                     \
    do {                                                                                           \
        uint64_t until_ms_ = raw_now_ms() + RAW_GUARD_MS;                                          \
        while (!(condition) && raw_now_ms() < until_ms_) {                                         \
            raw_pause(NULL);                                                                       \
        }                                                                                          \
        CU_ASSERT_FATAL(condition);                                                                \
    } while (0)

/* --- ServerInfo ------------------------------------------------------------------------------- */

/*
 * A command sent before the connection was up has certainly not left; or the ServerInfo was refused
 * before it could be sent.
 */
static void check_server_info(const char *server_info, bool stays, int code, const char *words)
{
    struct scene scene;
    struct script script = {.server_info = server_info, .stays = stays};
    scene_init(&scene);
    if (code == CMDS_E_TIMEOUT) {
        scene.options.connect_timeout_ms = 300; // By then it is connected, and waits.
    }
    scene_start(&scene, &script);
    int sent = scene_send(&scene, CMDS_NEVER);
    CU_ASSERT(sent == 0 || sent == CMDS_E_NOT_CONNECTED);

    CU_ASSERT_EQUAL(cmds_group_wait(scene.group, RAW_GUARD_MS, &scene.error), code);
    CU_ASSERT_TRUE(strstr(scene.error.text, words) != NULL);
    CU_ASSERT_TRUE(strstr(scene.error.text, scene.server.address) != NULL);
    if (sent == 0) {
        SCENE_UNTIL(atomic_load(&scene.answers->last_count) == 1);
        CU_ASSERT_EQUAL(answers_at(scene.answers, 0).error, CMDS_E_NOT_SENT);
        CU_ASSERT_TRUE(strstr(answers_at(scene.answers, 0).text, words) != NULL);
    }
    CU_ASSERT_TRUE(cmds_group_done(scene.group));
    CU_ASSERT_EQUAL(scene_send(&scene, 0), CMDS_E_NOT_CONNECTED);

    scene_stop(&scene);
}

static void test_client_names_what_was_wrong_with_the_server_info(void)
{
    check_server_info("056f74686572", true, CMDS_E_SERVER_INFO_MISMATCH,
            "\"other\", but \"default\" was expected");
    check_server_info("0764656661756c", true, CMDS_E_TIMEOUT, "ServerInfo");
    check_server_info("", true, CMDS_E_TIMEOUT, "ServerInfo");
    check_server_info("8108", true, CMDS_E_TOO_LARGE_SERVER_INFO, "ServerInfo");
    check_server_info("00", true, CMDS_E_PROTO, "ServerInfo");
    check_server_info("07646566", false, CMDS_E_EOF, "ServerInfo");
    check_server_info("", false, CMDS_E_EOF, "ServerInfo");
}

static void test_client_refused_connection_says_so(void)
{
    struct scene scene;
    struct script script = {.server_info = SERVER_INFO};
    scene_init(&scene);
    scene_start(&scene, &script);
    raw_server_stop(&scene.server); // The port is free again.
    struct cmds_group *other = NULL;
    scene.options.client_count = 3;
    CU_ASSERT_FATAL(cmds_group_open(&other, scene.runtime, &scene.options, NULL) == 0);

    CU_ASSERT_EQUAL(cmds_group_wait(other, RAW_GUARD_MS, &scene.error), -ECONNREFUSED);
    CU_ASSERT_TRUE(
            strstr(scene.error.text, "0 of 3 connected; client 0: connect 127.0.0.1:") != NULL);
    CU_ASSERT_TRUE(strstr(scene.error.text, "refused; is the server running?") != NULL);

    cmds_group_close(other, NULL, NULL);
    cmds_group_close(scene.group, NULL, NULL);
    cmds_runtime_stop(scene.runtime);
    answers_free(scene.answers);
    answers_free(scene.unexpected);
}

/* --- Results ---------------------------------------------------------------------------------- */

/* One command, one reply of the server, and how both ended. `code` 0: the connection stays. */
static void check_reply(const char *reply, int answer, int code, uint32_t unexpected)
{
    struct scene scene;
    struct script script = {.server_info = SERVER_INFO, .reply = reply, .reads = 1, .stays = true};
    scene_init(&scene);
    scene_start(&scene, &script);
    CU_ASSERT_FATAL(cmds_group_wait(scene.group, RAW_GUARD_MS, NULL) == 0);
    CU_ASSERT_EQUAL(scene_send(&scene, CMDS_NEVER), 0);

    SCENE_UNTIL(atomic_load(&scene.answers->last_count) == 1 &&
                atomic_load(&scene.unexpected->count) == unexpected &&
                (code == 0 || cmds_group_done(scene.group)));
    CU_ASSERT_EQUAL(atomic_load(&scene.answers->count), 1);
    CU_ASSERT_EQUAL(answers_at(scene.answers, 0).error, answer);
    CU_ASSERT_EQUAL(cmds_group_error(scene.group, NULL), code);
    CU_ASSERT_EQUAL(cmds_group_connected(scene.group), code == 0);
    struct cmds_group_counters counters = scene_counters(&scene);
    CU_ASSERT_EQUAL(counters.unexpected_results, unexpected);
    CU_ASSERT_EQUAL(counters.proto_errors + counters.codec_errors, code != 0);

    scene_stop(&scene);
}

static void test_client_takes_no_result_on_trust(void)
{
    check_reply("01000f94c3fba26869cb3ff8000000000000", 0, 0, 0);
    /*
     * After the last one; for a command that was never sent; a pong that nobody asked for before
     * the result.
     */
    check_reply("0100019001000190", 0, 0, 1);
    check_reply("02000190", CMDS_E_LOST, CMDS_E_PROTO, 0);
    check_reply("ffffffffffffffffff01000190", CMDS_E_LOST, CMDS_E_PROTO, 0);
    check_reply("01090190", CMDS_E_UNKNOWN_RESULT, 0, 0);
    check_reply("0109019001000190", CMDS_E_UNKNOWN_RESULT, 0, 1);
    /*
     * A body that is no value; bytes behind the value; longer than any limit; a varint without end.
     */
    check_reply("010001c1", CMDS_E_LOST, CMDS_E_PROTO, 0);
    check_reply("0100029090", CMDS_E_LOST, CMDS_E_PROTO, 0);
    check_reply("0100ffffffff0f", CMDS_E_LOST, CMDS_E_LIMIT, 0);
    check_reply("ffffffffffffffffffffff", CMDS_E_LOST, CMDS_E_PROTO, 0);
}

static void check_end(const char *reply, bool resets, int code)
{
    struct scene scene;
    struct script script = {
            .server_info = SERVER_INFO, .reply = reply, .reads = 1, .resets = resets};
    scene_init(&scene);
    scene_start(&scene, &script);
    CU_ASSERT_FATAL(cmds_group_wait(scene.group, RAW_GUARD_MS, NULL) == 0);
    CU_ASSERT_EQUAL(scene_send(&scene, CMDS_NEVER), 0);

    SCENE_UNTIL(atomic_load(&scene.answers->last_count) == 1 && cmds_group_done(scene.group));
    CU_ASSERT_EQUAL(answers_at(scene.answers, 0).error, CMDS_E_LOST);
    CU_ASSERT_TRUE(strstr(answers_at(scene.answers, 0).text, scene.server.address) != NULL);
    CU_ASSERT_EQUAL(cmds_group_error(scene.group, NULL), code);

    scene_stop(&scene);
}

static void test_client_tells_how_the_server_left(void)
{
    check_end(NULL, false, CMDS_E_EOF);
    check_end("010005", false, CMDS_E_PROTO); // Inside a frame.
    check_end(NULL, true, CMDS_E_EOF);
}

/* --- Silence ---------------------------------------------------------------------------------- */

static void test_client_keepalive_finds_a_silent_server(void)
{
    struct scene scene;
    struct script script = {.server_info = SERVER_INFO, .stays = true};
    scene_init(&scene);
    scene.options.keepalive_ms = 200;
    scene.options.keepalive_interval_ms = 100; // Long enough to send before it is found.
    scene_start(&scene, &script);
    CU_ASSERT_FATAL(cmds_group_wait(scene.group, RAW_GUARD_MS, NULL) == 0);
    CU_ASSERT_EQUAL(scene_send(&scene, CMDS_NEVER), 0);

    SCENE_UNTIL(cmds_group_done(scene.group));
    CU_ASSERT_EQUAL(cmds_group_error(scene.group, &scene.error), CMDS_E_LOST);
    CU_ASSERT_TRUE(strstr(scene.error.text, "no pong for") != NULL);
    SCENE_UNTIL(atomic_load(&scene.answers->last_count) == 1);
    CU_ASSERT_EQUAL(answers_at(scene.answers, 0).error, CMDS_E_LOST);
    CU_ASSERT_TRUE(atomic_load(&script.pings) >= 1);

    scene_stop(&scene);
}

static void test_client_keepalive_keeps_a_server_that_answers(void)
{
    struct scene scene;
    struct script script = {.server_info = SERVER_INFO, .stays = true, .pongs = true};
    scene_init(&scene);
    scene.options.keepalive_ms = 50;
    scene.options.keepalive_interval_ms = 150; // Its patience is 350 ms.
    scene_start(&scene, &script);
    CU_ASSERT_FATAL(cmds_group_wait(scene.group, RAW_GUARD_MS, NULL) == 0);

    SCENE_UNTIL(atomic_load(&script.pings) >= 8); // Three times as long.
    CU_ASSERT_EQUAL(cmds_group_connected(scene.group), 1);
    CU_ASSERT_EQUAL(scene_counters(&scene).unexpected_results, 0);

    scene_stop(&scene);
}

/* --- A server that takes nothing -------------------------------------------------------------- */

static void silent_serve(struct raw_server *server, struct raw *peer, void *context)
{
    struct raw_server *self = server;
    (void)context;
    (void)raw_write_hex(peer, SERVER_INFO);
    while (!atomic_load(&self->stopping)) {
        raw_pause(NULL);
    }
}

static void test_client_deadlines_fire_while_the_output_is_full(void)
{
    static char large[200000];
    struct scene scene;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct echo echo = {.string = {large, sizeof(large)}};
    uint32_t accepted = 0;
    int code = 0;
    scene_init(&scene);
    how.deadline_ms = 50;
    runtime_options.shard_count = 1;
    scene.options.keepalive_ms = CMDS_NEVER;
    CU_ASSERT_FATAL(cmds_runtime_start(&scene.runtime, &runtime_options, NULL) == 0);
    CU_ASSERT_FATAL(raw_server_start(&scene.server, silent_serve, NULL) == 0);
    scene.options.connect = scene.server.address;
    CU_ASSERT_FATAL(
            cmds_group_open(&scene.group, scene.runtime, &scene.options, &scene.error) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(scene.group, RAW_GUARD_MS, NULL) == 0);

    while (accepted < 1000 && (code = cmds_group_send(scene.group, echo_message(&echo), &how,
                                       answers_take, scene.answers)) == 0) {
        accepted++;
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS); // By bytes, long before the window of commands.
    CU_ASSERT_TRUE(accepted > 0 && accepted < 1000);
    SCENE_UNTIL(atomic_load(&scene.answers->last_count) == accepted);
    CU_ASSERT_EQUAL(answers_with(scene.answers, CMDS_E_TIMEOUT), accepted);

    scene_stop(&scene);
}

/* --- A server that takes it slowly ------------------------------------------------------------ */

enum {
    SLOW_READ = 16 * 1024,
    SLOW_READ_MS = 40, // So that 256 KiB, a send, take 640 ms.
    SLOW_BODY = 800000,
};

/* But for the ping that comes first, it answers nothing before all of it is there. */
static void slow_serve(struct raw_server *server, struct raw *peer, void *context)
{
    static uint8_t data[SLOW_READ];
    _Atomic size_t *taken = context;
    const struct timespec pause = {.tv_nsec = SLOW_READ_MS * 1000000L};
    size_t due = 1;
    (void)raw_write_hex(peer, SERVER_INFO);
    for (ssize_t size = 1; size != 0 && atomic_load(taken) < SLOW_BODY;) {
        (void)nanosleep(&pause, NULL);
        // Below 0: nothing yet, or a reset.
        size = recv(peer->fd, data, due > 0 ? due : sizeof(data), MSG_DONTWAIT);
        if (size > 0 && due > 0) {
            due = 0;
            (void)raw_write_hex(peer, "00");
        }
        atomic_fetch_add(taken, size > 0 ? (size_t)size : 0);
        size = size < 0 && errno == ECONNRESET ? 0 : size;
    }
    (void)raw_write_hex(peer, "01000190");
    script_stay(server, peer, &(struct script){.pongs = true});
}

/*
 * What is connected to that port has a buffer that takes less than one send. Whether the kernel then ends
 * the send early or goes on with it is its own affair.
 */
static void slow_send(uint16_t port)
{
    const int size = 64 * 1024;
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_in peer = {.sin_port = 0};
        socklen_t peer_size = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)(void *)&peer, &peer_size) == 0 &&
                peer.sin_port == htons(port)) {
            CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
        }
    }
}

static void test_client_keepalive_lets_a_large_command_take_its_time(void)
{
    static char large[SLOW_BODY];
    static _Atomic size_t taken;
    const int receive_size = SLOW_READ;
    struct scene scene;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct echo echo = {.string = {large, sizeof(large)}};
    scene_init(&scene);
    runtime_options.shard_count = 1;
    scene.options.keepalive_ms = 100;
    scene.options.keepalive_interval_ms = 150;
    scene.options.output_size_max = 2 * SLOW_BODY;
    scene.options.deadline_ms = CMDS_NEVER;
    CU_ASSERT_FATAL(cmds_runtime_start(&scene.runtime, &runtime_options, NULL) == 0);
    CU_ASSERT_FATAL(raw_server_start(&scene.server, slow_serve, &taken) == 0);
    CU_ASSERT_EQUAL(
            setsockopt(scene.server.fd, SOL_SOCKET, SO_RCVBUF, &receive_size, sizeof(receive_size)),
            0);
    scene.options.connect = scene.server.address;
    CU_ASSERT_FATAL(
            cmds_group_open(&scene.group, scene.runtime, &scene.options, &scene.error) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(scene.group, RAW_GUARD_MS, NULL) == 0);
    slow_send((uint16_t)atoi(strrchr(scene.server.address, ':') + 1));

    CU_ASSERT_EQUAL(
            cmds_group_send(scene.group, echo_message(&echo), NULL, answers_take, scene.answers),
            0);
    SCENE_UNTIL(atomic_load(&scene.answers->last_count) == 1);

    CU_ASSERT_EQUAL(answers_at(scene.answers, 0).error, 0);
    CU_ASSERT(atomic_load(&taken) >= SLOW_BODY);
    scene_stop(&scene);
}

static CU_TestInfo test_client[] = {
        {"names what was wrong with the ServerInfo",
                test_client_names_what_was_wrong_with_the_server_info},
        {"refused connection says so", test_client_refused_connection_says_so},
        {"takes no result on trust", test_client_takes_no_result_on_trust},
        {"tells how the server left", test_client_tells_how_the_server_left},
        {"keepalive finds a silent server", test_client_keepalive_finds_a_silent_server},
        {"keepalive keeps a server that answers",
                test_client_keepalive_keeps_a_server_that_answers},
        {"keepalive lets a large command take its time",
                test_client_keepalive_lets_a_large_command_take_its_time},
        {"deadlines fire while the output is full",
                test_client_deadlines_fire_while_the_output_is_full},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("client", test_client)
