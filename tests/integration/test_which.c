/* SPDX-License-Identifier: MIT */
/*
 * Errors that say which. A peer that speaks something else, or a protocol of another version, is the
 * commonest mistake of a first day, and a program's own code must come back as its own. Each sentence
 * is read where a program would: in on_disconnect's cause, a sender's error, a result's text, the log.
 */
#include <errno.h>

#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif

#include "support/world.h"

#define SERVER_INFO "0764656661756c74"
#define HTTP_REQUEST                                                                               \
    "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nUser-Agent: curl/7.88.1\r\n"                 \
    "Accept: application/json, text/plain, */*\r\n\r\n"
#define JSON_FRAME "01000d7b22626f6f6c223a747275657d" // Command 1 of type 0, {"bool":true}.

/* A world whose connections tell why they ended. */
struct seen {
    struct world world;
    struct cmds_error cause; // Of the first one. Whoever sees `disconnected` may read it.
    _Atomic bool is_told;    // A client comes again, and is told the same.
};

static void seen_on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    struct seen *seen = receiver; // The world is first.
    (void)connection;
    if (!atomic_exchange(&seen->is_told, true)) {
        seen->cause = *cause;
    }
    atomic_fetch_add(&seen->world.disconnected, 1);
}

static void seen_start(struct seen *seen)
{
    atomic_store(&seen->is_told, false);
    seen->world.options.on_disconnect = seen_on_disconnect;
    seen->world.options.linger_timeout_ms = 50;
    CU_ASSERT_FATAL(world_start(&seen->world) == 0);
}

static bool is_said(const char *text, const char *words)
{
    bool is = strstr(text, words) != NULL;
    for (const char *at = text; *at != '\0'; at++) {
        is = is && (unsigned char)*at >= 0x20 && *at != 0x7f; // Nothing of a peer's gets through.
    }
    if (!is) {
        fprintf(stderr, "not said: \"%s\" in \"%s\"\n", words, text);
    }
    return is;
}

/* --- Another codec, another protocol ---------------------------------------------------------- */

/* These first bytes end the connection, for this reason. */
static void check_server(
        const struct cmds_codec *codec, const void *bytes, size_t size, const char *words)
{
    struct seen seen;
    struct raw raw;
    world_init(&seen.world);
    seen.world.options.codec = codec;
    seen_start(&seen);
    CU_ASSERT_FATAL(world_connect(&seen.world, &raw));
    CU_ASSERT(raw_write(&raw, bytes, size));
    WORLD_UNTIL(&seen.world, atomic_load(&seen.world.disconnected) >= 1);
    CU_ASSERT(is_said(seen.cause.text, words));
    CU_ASSERT_EQUAL(world_logged(&seen.world, words), 1);
    raw_close(&raw);
    world_stop(&seen.world);
}

static void check_server_hex(const struct cmds_codec *codec, const char *hex, const char *words)
{
    uint8_t bytes[256];
    check_server(codec, bytes, raw_hex(hex, bytes, sizeof(bytes)), words);
}

static void test_which_server_names_a_type_that_nobody_knows(void)
{
    check_server_hex(NULL, "01090190",
            "command 1 of type 9: no such command in protocol world; another protocol, or a newer "
            "one?");
}

static void test_which_server_sees_what_its_peer_speaks(void)
{
    check_server(NULL, HTTP_REQUEST, sizeof(HTTP_REQUEST) - 1, "; this looks like HTTP");
    check_server(NULL,
            "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 and whatever else it may want to "
            "tell us about itself before it waits\r\n",
            108, "; this looks like SSH");
    check_server_hex(NULL, JSON_FRAME,
            "command 1 of type 0, echo: the peer broke the wire protocol; this looks like JSON; "
            "another codec than msgpack? It begins with 7b 22 62 6f 6f 6c 22 3a");
    check_server_hex(NULL, "0100041b5b324a", "It begins with 1b 5b 32 4a"); // An escape sequence.
    check_server_hex(NULL, "010000", "It begins with nothing");
#ifdef WITH_JSON
    check_server_hex(&cmds_codec_json, WORLD_ECHO_HEX,
            "this looks like msgpack; another codec than json? It begins with 94 c3 fb");
#endif
#ifdef WITH_MUS
    check_server_hex(&cmds_codec_mus, WORLD_ECHO_HEX,
            "this looks like msgpack; another codec than mus? It begins with 0f 94 c3 fb");
    check_server_hex(&cmds_codec_mus, JSON_FRAME, "this looks like JSON; another codec than mus?");
#endif
}

/* Later bytes are a mistake like others. */
static void test_which_server_guesses_by_first_bytes_only(void)
{
    struct seen seen;
    struct raw raw;
    world_init(&seen.world);
    seen_start(&seen);
    CU_ASSERT_FATAL(world_connect(&seen.world, &raw));
    CU_ASSERT(world_echoes(&raw, 1));
    CU_ASSERT(raw_write(&raw, HTTP_REQUEST, sizeof(HTTP_REQUEST) - 1));
    WORLD_UNTIL(&seen.world, atomic_load(&seen.world.disconnected) >= 1);
    CU_ASSERT(is_said(seen.cause.text, "no such command in protocol world; another protocol"));
    raw_close(&raw);
    world_stop(&seen.world);
}

struct script {
    const char *server_info, *reply;
};

/* Says who it is, takes a command, and answers. */
static void script_serve(struct raw_server *server, struct raw *peer, void *context)
{
    const struct script *script = context;
    struct raw_frame frame;
    (void)server;
    (void)raw_write_hex(peer, script->server_info);
    if (script->reply != NULL && raw_read(peer, &frame) == RAW_FRAME) {
        (void)raw_write_hex(peer, script->reply);
    }
    (void)raw_drain(peer);
}

/* A sender learns this from such a server. */
static void check_client(const struct cmds_codec *codec, struct script script, const char *words)
{
    struct raw_server server;
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    const struct echo echo = {.int64 = 1};
    CU_ASSERT_FATAL(raw_server_start(&server, script_serve, &script) == 0);
    group.keepalive_ms = CMDS_NEVER;
    group.reconnect_delay_ms = CMDS_NEVER;
    options.group = &group;
    options.codec = codec;
    options.connect = server.address;
    int code = cmds_sender_open(&sender, &options, &error);
    if (code == 0) {
        code = cmds_sender_send(sender, echo_message(&echo), RAW_GUARD_MS, NULL, &error);
    }
    CU_ASSERT(code < 0);
    CU_ASSERT(is_said(error.text, words));
    cmds_sender_close(sender, 0);
    raw_server_stop(&server);
}

static void test_which_client_names_a_type_that_nobody_knows(void)
{
    check_client(NULL, (struct script){SERVER_INFO, "01090190"},
            "result type 9 is none of protocol world; another protocol, or a newer one?");
#ifdef WITH_MUS
    check_client(&cmds_codec_mus, (struct script){SERVER_INFO, "010901"},
            "result type 9 (sequence 1) is none of protocol world, and has no length; another "
            "protocol, or a newer one?");
#endif
}

static void test_which_client_sees_what_its_server_speaks(void)
{
    check_client(NULL, (struct script){SERVER_INFO, JSON_FRAME},
            "result of command 1, echoed: the peer broke the wire protocol; this looks like JSON; "
            "another codec than msgpack? It begins with 7b 22");
#ifdef WITH_JSON
    check_client(&cmds_codec_json, (struct script){SERVER_INFO, WORLD_ECHO_HEX},
            "this looks like msgpack; another codec than json?");
#endif
    // "HTTP/1.1 400 Bad Request\r\n...": 'H' is a length of 72.
    check_client(NULL,
            (struct script){"485454502f312e3120343030204261642052657175657374 0d0a"
                            "436f6e74656e742d4c656e6774683a20300d0a0d0a"
                            "00000000000000000000000000000000000000000000000000000000000000000000",
                    NULL},
            "; this looks like HTTP");
}

/* --- The field, the limit --------------------------------------------------------------------- */

/* A protocol of its own: the peer's has the same numbers, and no limits. */
struct strict {
    struct cmds_string text;
};
struct strict_result {
    struct cmds_string text;
};
struct loose {
    struct cmds_string text;
};
struct loose_result {
    struct cmds_string text;
};
CMDS_COMMAND(strict, 0, CMDS_MAX(text, 4));
CMDS_RESULT(strict_result, 0, CMDS_MAX(text, 4));
CMDS_COMMAND(loose, 0, text);
CMDS_RESULT(loose_result, 0, text);
static const struct cmds_type *const strict_commands[] = {&strict_type};
static const struct cmds_type *const strict_results[] = {&strict_result_type};
static const struct cmds_type *const loose_commands[] = {&loose_type};
static const struct cmds_type *const loose_results[] = {&loose_result_type};
static const struct cmds_protocol strict_protocol =
        CMDS_PROTOCOL("strict", strict_commands, strict_results);
static const struct cmds_protocol loose_protocol =
        CMDS_PROTOCOL("loose", loose_commands, loose_results);

/* Just what a send returned. */
static int strict_exec(struct cmds_call *call, const struct strict *strict)
{
    const struct strict_result result = {cmds_string_from("12345")};
    (void)strict;
    return cmds_call_send(call, strict_result_message(&result));
}

static int loose_exec(struct cmds_call *call, const struct loose *loose)
{
    const struct loose_result result = {loose->text};
    return cmds_call_send(call, loose_result_message(&result));
}

static const struct cmds_exec strict_execs[] = {CMDS_EXEC(strict, strict_exec)};
static const struct cmds_exec strict_pool_execs[] = {CMDS_EXEC_IN_POOL(strict, strict_exec)};
static const struct cmds_exec loose_execs[] = {CMDS_EXEC(loose, loose_exec)};

/* One command by a sender of this protocol, to a server of that. Returns: its code. */
static int ask(struct seen *seen, const struct cmds_protocol *protocol,
        const struct cmds_codec *codec, struct cmds_message command, uint32_t timeout_ms,
        struct cmds_error *error)
{
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(protocol);
    struct cmds_sender *sender = NULL;
    group.reconnect_delay_ms = CMDS_NEVER;
    group.frame_size_max = 1000;
    options.group = &group;
    options.codec = codec;
    options.connect = seen->world.address;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, error) == 0);
    int code = cmds_sender_send(sender, command, timeout_ms, NULL, error);
    cmds_sender_close(sender, 0);
    return code;
}

static void check_limits(const struct cmds_codec *codec)
{
    const struct loose loose = {cmds_string_from("12345")};
    const struct strict strict = {cmds_string_from("12345")}, small = {cmds_string_from("1234")};
    struct cmds_error error = CMDS_ERROR_INIT, late = CMDS_ERROR_INIT;
    struct seen seen;

    world_init(&seen.world); // A server that takes less than its peer sends.
    seen.world.options =
            (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(&strict_protocol, strict_execs);
    seen.world.options.listen = "127.0.0.1:0";
    seen.world.options.receiver = &seen;
    seen.world.options.codec = codec;
    seen_start(&seen);
    CU_ASSERT(ask(&seen, &loose_protocol, codec, loose_message(&loose), RAW_GUARD_MS, &error) < 0);
    WORLD_UNTIL(&seen.world, atomic_load(&seen.world.disconnected) >= 1);
    CU_ASSERT(is_said(seen.cause.text, "of type 0, strict: strict.text has 5 bytes, at most 4"));
    // An exec function that hands on what its send returned; its connection stays.
    CU_ASSERT_EQUAL(
            ask(&seen, &strict_protocol, codec, strict_message(&small), 50, &late), CMDS_E_TIMEOUT);
    WORLD_UNTIL(&seen.world,
            world_logged(&seen.world, "strict: its exec function returned CMDS_E_LIMIT: "
                                      "strict_result.text has 5 bytes, at most 4") == 1);
    world_stop(&seen.world);

    world_init(&seen.world); // A client that does.
    seen.world.options =
            (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(&loose_protocol, loose_execs);
    seen.world.options.listen = "127.0.0.1:0";
    seen.world.options.receiver = &seen;
    seen.world.options.codec = codec;
    seen_start(&seen);
    error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(
            ask(&seen, &strict_protocol, codec, strict_message(&strict), RAW_GUARD_MS, &error),
            CMDS_E_LIMIT);
    CU_ASSERT(is_said(error.text, "send: strict.text has 5 bytes, at most 4"));
    world_stop(&seen.world);
}

/* The result is larger than this side takes: the client refuses it, and says so. */
static void check_result_limit(const struct cmds_codec *codec)
{
    static uint8_t body[64];
    char reply[160];
    const struct loose_result result = {cmds_string_from("12345")};
    int64_t size = cmds_codec_encode(codec, loose_result_message(&result), body, sizeof(body));
    CU_ASSERT_FATAL(size > 0 && size < 64);
    int at = (codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0
                     ? snprintf(reply, sizeof(reply), "0100")
                     : snprintf(reply, sizeof(reply), "0100%02x", (unsigned)size);
    for (int64_t i = 0; i < size; i++) {
        at += snprintf(reply + at, sizeof(reply) - (size_t)at, "%02x", body[i]);
    }
    struct raw_server server;
    struct script script = {SERVER_INFO, reply};
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&strict_protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&strict_protocol);
    const struct strict small = {cmds_string_from("1")};
    CU_ASSERT_FATAL(raw_server_start(&server, script_serve, &script) == 0);
    group.keepalive_ms = CMDS_NEVER;
    group.reconnect_delay_ms = CMDS_NEVER;
    options.group = &group;
    options.codec = codec;
    options.connect = server.address;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, &error) == 0);
    CU_ASSERT(cmds_sender_send(sender, strict_message(&small), RAW_GUARD_MS, NULL, &error) < 0);
    CU_ASSERT(is_said(error.text,
            "result of command 1, strict_result: strict_result.text has 5 bytes, at most 4"));
    cmds_sender_close(sender, 0);
    raw_server_stop(&server);
}

static void test_which_limit_is_named_on_both_sides(void)
{
    static const struct cmds_codec *const codecs[] = {
            &cmds_codec_msgpack,
            &cmds_codec_raw,
#ifdef WITH_JSON
            &cmds_codec_json,
#endif
#ifdef WITH_PROTOBUF
            &cmds_codec_protobuf,
#endif
#ifdef WITH_MUS
            &cmds_codec_mus,
#endif
    };
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        check_limits(codecs[i]);
        check_result_limit(codecs[i]);
    }
}

/* What 'x' sends is too large, and it sends less then; else the code is of its own making. */
static int strict_exec_later(struct cmds_call *call, const struct strict *strict)
{
    struct strict_result result = {cmds_string_from("12345")};
    if (strict->text.size == 0) {
        return CMDS_E_LIMIT;
    }
    int code = cmds_call_send(call, strict_result_message(&result));
    CU_ASSERT_EQUAL(code, CMDS_E_LIMIT);
    result.text.size = 1;
    return cmds_call_send(call, strict_result_message(&result));
}

static const struct cmds_exec strict_later_execs[] = {CMDS_EXEC(strict, strict_exec_later)};

/* The sentence is of the call that returns the code, not of one before it. */
static void test_which_limit_is_of_its_call(void)
{
    const struct strict large = {cmds_string_from("x")}, none = {cmds_string_from("")};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct seen seen;
    world_init(&seen.world);
    seen.world.options = (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(
            &strict_protocol, strict_later_execs);
    seen.world.options.listen = "127.0.0.1:0";
    seen.world.options.receiver = &seen;
    seen.world.runtime_options.shard_count = 1;
    seen_start(&seen);
    CU_ASSERT_EQUAL(
            ask(&seen, &strict_protocol, NULL, strict_message(&large), RAW_GUARD_MS, &error), 0);
    CU_ASSERT_EQUAL(
            ask(&seen, &strict_protocol, NULL, strict_message(&none), 50, &error), CMDS_E_TIMEOUT);
    WORLD_UNTIL(&seen.world,
            world_logged(&seen.world, "returned CMDS_E_LIMIT: a value is larger than its limit") ==
                    1);
    world_stop(&seen.world);
}

/* On a thread of the pool the send fails, and the line is written on the shard. */
static void test_which_limit_is_named_of_the_pool(void)
{
    const struct strict small = {cmds_string_from("1")};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct seen seen;
    world_init(&seen.world);
    seen.world.options = (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(
            &strict_protocol, strict_pool_execs);
    seen.world.options.listen = "127.0.0.1:0";
    seen.world.options.receiver = &seen;
    seen_start(&seen);
    CU_ASSERT_EQUAL(
            ask(&seen, &strict_protocol, NULL, strict_message(&small), 50, &error), CMDS_E_TIMEOUT);
    WORLD_UNTIL(&seen.world, world_logged(&seen.world,
                                     "returned CMDS_E_LIMIT: strict_result.text has 5 bytes") == 1);
    world_stop(&seen.world);
}

static void test_which_frame_is_too_large(void)
{
    char large[1001];
    struct cmds_error error = CMDS_ERROR_INIT;
    struct seen seen;
    memset(large, 'x', sizeof(large));
    const struct loose loose = {{large, sizeof(large)}};
    world_init(&seen.world);
    seen_start(&seen);
    CU_ASSERT_EQUAL(ask(&seen, &loose_protocol, NULL, loose_message(&loose), RAW_GUARD_MS, &error),
            CMDS_E_LIMIT);
    CU_ASSERT(is_said(error.text, "send: loose has 1005 bytes, at most 1000 (frame_size_max)"));
    error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(ask(&seen, &loose_protocol, NULL, strict_message(&(struct strict){{"", 0}}),
                            RAW_GUARD_MS, &error),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT(is_said(error.text, "send: strict is no command of protocol loose"));
    CU_ASSERT_EQUAL(cmds_group_check(NULL, loose_message(&loose), NULL), CMDS_E_CLOSED);
    world_stop(&seen.world);
}

static void test_which_port_is_none(void)
{
    static const char *const addresses[] = {
            "127.0.0.1:0", "[::1]:0", "localhost:0", "127.0.0.1:1, 127.0.0.1:0", "dns:localhost:0"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&loose_protocol);
        struct cmds_error error = CMDS_ERROR_INIT;
        struct cmds_sender *sender = NULL;
        options.connect = addresses[i];
        CU_ASSERT_EQUAL(cmds_sender_open(&sender, &options, &error), -EINVAL);
        CU_ASSERT(is_said(error.text, ":0\" has port 0, where nobody listens"));
    }
}

/* --- The program's own codes ------------------------------------------------------------------ */

static int exec_returns(struct cmds_call *call, const struct run *run)
{
    if (run->what == 1) {
        cmds_call_fail(call, (int)run->number, NULL);
        return 0;
    }
    return (int)run->number;
}

static int invoker_passes(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    return cmds_invocation_next(next, call);
}

static void check_code(bool invoked, int64_t what, int code, const char *words)
{
    static const cmds_invoker_fn invokers[] = {invoker_passes};
    struct seen seen;
    struct raw raw;
    struct run run = {.what = what, .number = code};
    world_init(&seen.world);
    seen.world.exec = exec_returns;
    seen.world.options.invokers = invoked ? invokers : NULL;
    seen.world.options.invoker_count = invoked;
    seen_start(&seen);
    CU_ASSERT_FATAL(world_connect(&seen.world, &raw));
    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    WORLD_UNTIL(&seen.world, world_logged(&seen.world, words) == 1);
    if (code != CMDS_E_LOST) {
        WORLD_UNTIL(&seen.world, atomic_load(&seen.world.disconnected) >= 1);
        CU_ASSERT(is_said(seen.cause.text, words));
    }
    raw_close(&raw);
    world_stop(&seen.world);
}

static void test_which_code_of_an_exec_function_is_its_own(void)
{
    check_code(false, 0, -ENOSPC, "run: its exec function returned -28 (ENOSPC)");
    check_code(false, 0, -EDEADLK, "run: its exec function returned -35 (EDEADLK)");
    check_code(false, 0, -7777, "run: its exec function returned -7777");
    check_code(false, 0, 7, "run: its exec function returned 7");
    check_code(false, 0, CMDS_E_LOST,
            "run: its exec function returned CMDS_E_LOST: the connection was lost before");
    check_code(true, 0, -ENOSPC, "run: its exec function, or an invoker, returned -28 (ENOSPC)");
    check_code(false, 1, -ENOSPC, "run: cmds_call_fail() with -28 (ENOSPC)");
}

static int on_connect_refuses(void *receiver, struct cmds_connection *connection)
{
    (void)receiver;
    (void)connection;
    return -EACCES;
}

/* It is no warning, and so not in the world's own log. */
static void log_refusal(void *context, enum cmds_log_level level, const char *text)
{
    _Atomic uint32_t *refusals = context;
    (void)level;
    if (strstr(text, "refused by on_connect, which returned -13 (EACCES)") != NULL) {
        atomic_fetch_add(refusals, 1);
    }
}

static void test_which_code_of_on_connect_is_its_own(void)
{
    struct world world;
    struct raw raw;
    _Atomic uint32_t refusals = 0;
    world_init(&world);
    world.runtime_options.on_log = log_refusal;
    world.runtime_options.log_context = &refusals;
    world.options.on_connect = on_connect_refuses;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(raw_open(&raw, world.address, 0, world_turn(&world)) == 0);
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&refusals) == 1);
    raw_close(&raw);
    world_stop(&world);
}

struct hook {
    char text[160];
};

static int hook_refuses(void *context, struct cmds_sent_command *command)
{
    (void)context;
    (void)command;
    return -EDQUOT;
}

static void hook_on_error(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct hook *hook = context;
    (void)command;
    (void)snprintf(hook->text, sizeof(hook->text), "%s", result->text);
}

static void test_which_code_of_a_hook_is_its_own(void)
{
    struct world world;
    struct hook hook = {""};
    struct cmds_hooks first = CMDS_HOOKS_INIT, second = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&first, &second};
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    const struct echo echo = {.int64 = 1};
    first.context = &hook;
    first.on_error = hook_on_error;
    second.before_send = hook_refuses;
    group.hooks = list;
    group.hooks_count = 2;
    options.group = &group;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.connect = world.address;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, &error) == 0);
    CU_ASSERT_EQUAL(
            cmds_sender_send(sender, echo_message(&echo), RAW_GUARD_MS, NULL, &error), -EDQUOT);
    CU_ASSERT(is_said(hook.text, "before_send of a hook returned -122 (EDQUOT)"));
    CU_ASSERT(is_said(error.text, "before_send of a hook returned -122 (EDQUOT)"));
    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"server names a type that nobody knows", test_which_server_names_a_type_that_nobody_knows},
        {"server sees what its peer speaks", test_which_server_sees_what_its_peer_speaks},
        {"server guesses by first bytes only", test_which_server_guesses_by_first_bytes_only},
        {"client names a type that nobody knows", test_which_client_names_a_type_that_nobody_knows},
        {"client sees what its server speaks", test_which_client_sees_what_its_server_speaks},
        {"limit is named on both sides", test_which_limit_is_named_on_both_sides},
        {"limit is of its call", test_which_limit_is_of_its_call},
        {"limit is named of the pool", test_which_limit_is_named_of_the_pool},
        {"frame is too large", test_which_frame_is_too_large},
        {"port is none", test_which_port_is_none},
        {"code of an exec function is its own", test_which_code_of_an_exec_function_is_its_own},
        {"code of on_connect is its own", test_which_code_of_on_connect_is_its_own},
        {"code of a hook is its own", test_which_code_of_a_hook_is_its_own},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("which", tests)
