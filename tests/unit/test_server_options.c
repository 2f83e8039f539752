/* SPDX-License-Identifier: MIT */
/*
 * What a server refuses before it runs. What may go wrong: an option of zero that is not its
 * default, a limit that nobody checks until it divides or overflows, tables that contradict each
 * other, and a refusal that names nothing.
 *
 * cmds_test_open() runs the same checks as cmds_server_start(); what needs a runtime (the address)
 * is started on one.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/options.h"
#include "support/harness.h"

struct add {
    int64_t a, b;
};
struct greet {
    struct cmds_string name;
};
struct value {
    int64_t value;
};
CMDS_COMMAND(add, 0, a, b);
CMDS_COMMAND(greet, 1, name);
CMDS_RESULT(value, 0, value);

static int exec_add(struct cmds_call *call, const struct add *add)
{
    return cmds_call_send(call, value_message(&(struct value){add->a + add->b}));
}
static int exec_greet(struct cmds_call *call, const struct greet *greet)
{
    return cmds_call_send(call, value_message(&(struct value){(int64_t)greet->name.size}));
}

static const struct cmds_type *const commands[] = {&add_type, &greet_type};
static const struct cmds_type *const results[] = {&value_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("calc", commands, results);
static const struct cmds_exec execs[] = {CMDS_EXEC(greet, exec_greet), CMDS_EXEC(add, exec_add)};

static struct cmds_server_options right_options(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    return options;
}

/* Refused with `code`, and the sentence has `words` in it. */
static bool refused(const struct cmds_server_options *options, int code, const char *words)
{
    struct cmds_test *test = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int got = cmds_test_open(&test, options, &error);
    bool right =
            got == code && error.code == code && strstr(error.text, words) != NULL && test == NULL;
    if (!right) {
        (void)printf("\"%s\": got %d %s: %s\n", words, got, cmds_error_name(got), error.text);
    }
    cmds_test_close(test);
    return right;
}

static bool accepted(const struct cmds_server_options *options)
{
    struct cmds_test *test = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    bool right = cmds_test_open(&test, options, &error) == 0 &&
                 cmds_test_send(test, add_message(&(struct add){2, 3})) == 0 &&
                 value_of(cmds_test_result(test, 0))->value == 5;
    if (!right) {
        (void)printf("refused: %s\n", error.text);
    }
    cmds_test_close(test);
    return right;
}

/* --- Defaults --------------------------------------------------------------------------------- */

static void test_zero_is_the_default(void)
{
    struct cmds_server_options options = right_options();
    struct cmdi_server_core *core = NULL;

    CU_ASSERT_FATAL(cmdi_server_core_create(&core, &options, NULL) == 0);

    const struct cmds_server_options *mine = &core->options;
    CU_ASSERT_EQUAL(mine->connection_count_max, 10000);
    CU_ASSERT_EQUAL(mine->in_flight_max, 1024);
    CU_ASSERT_EQUAL(mine->frame_size_max, 16 * 1024 * 1024);
    CU_ASSERT_EQUAL(mine->output_size_max, 1024 * 1024);
    CU_ASSERT_EQUAL(mine->idle_timeout_ms, 120000);
    CU_ASSERT_EQUAL(mine->frame_timeout_ms, 10000);
    CU_ASSERT_EQUAL(mine->server_info_timeout_ms, 5000);
    CU_ASSERT_EQUAL(mine->write_timeout_ms, 10000);
    CU_ASSERT_EQUAL(mine->exec_timeout_ms, CMDS_NEVER);
    CU_ASSERT_EQUAL(mine->linger_timeout_ms, 2000);
    CU_ASSERT_EQUAL(mine->backlog, 4096);
    CU_ASSERT_EQUAL(mine->overflow, CMDS_OVERFLOW_REFUSE);
    CU_ASSERT_EQUAL(mine->slow_reader, CMDS_SLOW_READER_CLOSE);
    CU_ASSERT_PTR_EQUAL(mine->codec, &cmds_codec_msgpack);
    CU_ASSERT_EQUAL(core->server_info_size, 8);
    CU_ASSERT_EQUAL(memcmp(core->server_info,
                            "\x07"
                            "default",
                            8),
            0);
    cmdi_server_core_unref(core);
}

static void test_an_option_that_is_set_stays(void)
{
    struct cmds_server_options options = right_options();
    options.connection_count_max = 1;
    options.in_flight_max = 2;
    options.frame_size_max = 3;
    options.output_size_max = 4096;
    options.idle_timeout_ms = options.frame_timeout_ms = options.server_info_timeout_ms =
            CMDS_NEVER;
    options.write_timeout_ms = options.linger_timeout_ms = CMDS_NEVER;
    options.exec_timeout_ms = 7;
    options.server_info = (struct cmds_bytes){"x", 1};
    struct cmdi_server_core *core = NULL;

    CU_ASSERT_FATAL(cmdi_server_core_create(&core, &options, NULL) == 0);

    CU_ASSERT_EQUAL(core->options.connection_count_max, 1);
    CU_ASSERT_EQUAL(core->options.in_flight_max, 2);
    CU_ASSERT_EQUAL(core->limits.frame_size_max, 3);
    CU_ASSERT_EQUAL(core->limits.output_size_max, 4096);
    CU_ASSERT_EQUAL(core->limits.idle_timeout_ms, CMDS_NEVER);
    CU_ASSERT_EQUAL(core->limits.linger_timeout_ms, CMDS_NEVER);
    CU_ASSERT_EQUAL(core->options.exec_timeout_ms, 7);
    CU_ASSERT_EQUAL(core->server_info_size, 2);
    cmdi_server_core_unref(core);
}

/* --- Values ----------------------------------------------------------------------------------- */

static void test_a_struct_nobody_started_is_refused(void)
{
    struct cmds_server_options zero = {0};
    CU_ASSERT(refused(&zero, -EINVAL, "INIT"));

    struct cmds_server_options options = right_options();
    options.struct_size = UINT32_MAX;
    CU_ASSERT(refused(&options, -EINVAL, "INIT"));
}

static void test_an_option_of_a_newer_header_is_refused_unless_it_is_zero(void)
{
    struct {
        struct cmds_server_options options;
        uint64_t newer;
    } larger = {.options = right_options()};
    larger.options.struct_size = sizeof(larger);
    CU_ASSERT(accepted(&larger.options));

    larger.newer = 1;
    CU_ASSERT(refused(&larger.options, -E2BIG, "older"));
}

/* A newer header may give it a meaning: nobody must believe that it has one here. */
static void test_an_unused_member_that_is_set_is_refused(void)
{
    struct cmds_server_options options = right_options();
    options.unused = 1;
    CU_ASSERT(refused(&options, -E2BIG, "cmds_server_options: an unused member"));
    options = right_options();
    options.unused2 = 1u << 31;
    CU_ASSERT(refused(&options, -E2BIG, "cmds_server_options: an unused member"));
}

static void test_server_info_has_1_to_1024_bytes(void)
{
    static const char info[1025] = "x";
    struct cmds_server_options options = right_options();
    options.server_info = (struct cmds_bytes){info, 1024};
    CU_ASSERT(accepted(&options));

    options.server_info.size = 1025;
    CU_ASSERT(refused(&options, -EINVAL, "server_info: 1025"));
    options.server_info = (struct cmds_bytes){NULL, 5};
    CU_ASSERT(refused(&options, -EINVAL, "server_info: 5 bytes at NULL"));
}

static void test_sizes_have_bounds(void)
{
    struct cmds_server_options options = right_options();
    options.frame_size_max = 1024 * 1024 * 1024;
    CU_ASSERT(accepted(&options));
    options.frame_size_max++;
    CU_ASSERT(refused(&options, -EINVAL, "frame_size_max"));

    options = right_options();
    options.output_size_max = 4096;
    CU_ASSERT(accepted(&options));
    options.output_size_max = 4095;
    CU_ASSERT(refused(&options, -EINVAL, "output_size_max 4095"));
}

static void test_slow_reader_is_one_of_two(void)
{
    struct cmds_server_options options = right_options();
    options.slow_reader = CMDS_SLOW_READER_WAIT;
    CU_ASSERT(accepted(&options));
    options.slow_reader = 2;
    CU_ASSERT(refused(&options, -EINVAL, "slow_reader 2"));
}

static void test_overflow_is_one_of_two(void)
{
    struct cmds_server_options options = right_options();
    options.overflow = CMDS_OVERFLOW_QUEUE;
    CU_ASSERT(accepted(&options));
    options.overflow = 2;
    CU_ASSERT(refused(&options, -EINVAL, "overflow 2"));
}

static int invoker(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    return cmds_invocation_next(next, call);
}

static void test_an_invoker_is_not_null(void)
{
    static const cmds_invoker_fn good[] = {invoker, invoker};
    static const cmds_invoker_fn bad[] = {invoker, NULL};
    struct cmds_server_options options = right_options();
    options.invokers = good;
    options.invoker_count = 2;
    CU_ASSERT(accepted(&options));

    options.invokers = bad;
    CU_ASSERT(refused(&options, -EINVAL, "invokers"));
    options.invokers = NULL;
    CU_ASSERT(refused(&options, -EINVAL, "invokers"));
}

static void test_a_codec_is_whole_and_of_this_version(void)
{
    struct cmds_server_options options = right_options();
    struct cmds_codec codec = cmds_codec_msgpack_map;
    options.codec = &codec;
    CU_ASSERT(accepted(&options));

    codec.version = 9;
    CU_ASSERT(refused(&options, -EINVAL, "codec: version 9"));
    codec.version = CMDS_CODEC_VERSION;
    codec.struct_size = 8;
    CU_ASSERT(refused(&options, -EINVAL, "struct_size is 8"));
    codec.struct_size = sizeof(codec);
    codec.decode = NULL;
    CU_ASSERT(refused(&options, -EINVAL, "codec: it lacks"));
}

static void test_a_codec_that_cannot_carry_a_type_says_so(void)
{
    struct cmds_server_options options = right_options();
    options.codec = &cmds_codec_raw;
    CU_ASSERT(refused(&options, CMDS_E_SCHEMA, "add"));
}

/* --- Tables ----------------------------------------------------------------------------------- */

static void test_no_protocol_and_no_rows_are_refused(void)
{
    struct cmds_server_options options = right_options();
    options.protocol = NULL;
    CU_ASSERT(refused(&options, -EINVAL, "protocol"));

    options = right_options();
    struct cmds_protocol nameless = protocol;
    nameless.name = NULL;
    options.protocol = &nameless;
    CU_ASSERT(refused(&options, -EINVAL, "protocol"));

    options = right_options();
    options.execs = NULL;
    CU_ASSERT(refused(&options, -EINVAL, "execs: 2 rows"));
    options = right_options();
    options.exec_stride = 8;
    CU_ASSERT(refused(&options, -EINVAL, "of 8 bytes"));
}

static void test_each_command_has_one_exec_function(void)
{
    static const struct cmds_exec twice[] = {
            CMDS_EXEC(greet, exec_greet), CMDS_EXEC(add, exec_add), CMDS_EXEC(add, exec_add)};
    struct cmds_server_options options = right_options();
    CU_ASSERT(accepted(&options)); // In any order.

    options.exec_count = 1;
    CU_ASSERT(refused(&options, CMDS_E_SCHEMA, "command 0 add has no exec function"));
    options.execs = twice;
    options.exec_count = 3;
    CU_ASSERT(refused(&options, CMDS_E_SCHEMA, "two exec functions for command 0 add"));
}

static void test_an_exec_function_is_for_a_command_of_the_protocol(void)
{
    static const struct cmds_type *const only_add[] = {&add_type};
    static const struct cmds_protocol smaller = CMDS_PROTOCOL("smaller", only_add, results);
    struct cmds_server_options options = right_options();
    options.protocol = &smaller;
    CU_ASSERT(refused(&options, CMDS_E_SCHEMA, "greet, which is not a command"));

    static const struct cmds_exec empty[1] = {{0}};
    options.execs = empty;
    options.exec_count = 1;
    CU_ASSERT(refused(&options, CMDS_E_SCHEMA, "nothing"));
}

/* A later library's flag must not be passed over in silence. */
static void test_a_row_of_a_newer_header_is_refused_unless_it_is_zero(void)
{
    struct {
        struct cmds_exec row;
        uint64_t newer;
    } rows[] = {{CMDS_EXEC(greet, exec_greet), 0}, {CMDS_EXEC(add, exec_add), 0}};
    struct cmds_server_options options = right_options();
    options.execs = &rows[0].row;
    options.exec_stride = sizeof(rows[0]);
    CU_ASSERT(accepted(&options));

    rows[1].newer = 1;
    CU_ASSERT(refused(&options, -E2BIG, "calc: the row of add"));
    rows[1].newer = 0;
    rows[1].row.unused = 1;
    CU_ASSERT(refused(&options, -E2BIG, "calc: the row of add"));
    rows[1].row.unused = 0;
    rows[1].row.flags = CMDS_EXEC_POOL_ << 1;
    CU_ASSERT(refused(&options, -E2BIG, "calc: the row of add"));
    rows[1].row.flags = CMDS_EXEC_POOL_;
    CU_ASSERT(accepted(&options));
}

struct forgot {
    int64_t a, b;
};
CMDS_COMMAND(forgot, 0, a);
struct forgot_end {
    int64_t a;
    int32_t b, c;
};
CMDS_COMMAND(forgot_end, 0, a, b);
struct forgot_bool {
    bool x, y;
    int32_t c;
};
CMDS_COMMAND(forgot_bool, 0, x, c);
struct marked {
    bool x;
};
CMDS_COMMAND(marked, 0, CMDS_LAST(x));
struct twice {
    int64_t a;
};
CMDS_COMMAND(twice, 0, a);

static bool commands_refused(
        const struct cmds_type *const *types, uint32_t count, const char *words)
{
    struct cmds_protocol bad = protocol;
    bad.commands = types;
    bad.command_count = count;
    struct cmds_server_options options = right_options();
    options.protocol = &bad;
    options.exec_count = 0;
    return refused(&options, CMDS_E_SCHEMA, words);
}

static void test_mistakes_of_a_row_are_refused_by_name(void)
{
    CU_ASSERT(commands_refused(
            (const struct cmds_type *const[]){&forgot_type}, 1, "forgot: bytes 8 to 15"));
    CU_ASSERT(commands_refused((const struct cmds_type *const[]){&marked_type}, 1, "marked"));
    CU_ASSERT(commands_refused(
            (const struct cmds_type *const[]){&add_type, &twice_type}, 2, "add and twice"));
    CU_ASSERT(commands_refused(
            (const struct cmds_type *const[]){&add_type, &value_type}, 2, "value"));
    CU_ASSERT(commands_refused((const struct cmds_type *const[]){NULL}, 1, "no type"));
    /*
     * What no check in C can see: it lies in what would be padding. Refused only for the missing
     * exec function.
     */
    CU_ASSERT(commands_refused(
            (const struct cmds_type *const[]){&forgot_end_type}, 1, "no exec function"));
    CU_ASSERT(commands_refused(
            (const struct cmds_type *const[]){&forgot_bool_type}, 1, "no exec function"));
}

/* --- On a runtime ----------------------------------------------------------------------------- */

struct shards {
    _Atomic uint32_t started, stopped; // Shards start and stop at once.
    bool fail;
};

static int on_shard_start(void *receiver, uint32_t shard, void **shard_state)
{
    struct shards *shards = receiver;
    if (shards->fail && shard == 1) {
        return -EIO;
    }
    *shard_state = shards;
    shards->started++;
    return 0;
}

static void on_shard_stop(void *receiver, uint32_t shard, void *shard_state)
{
    (void)shard;
    ((struct shards *)receiver)->stopped += shard_state == receiver;
}

static bool start_refused(struct cmds_runtime *runtime, const struct cmds_server_options *options,
        int code, const char *words)
{
    struct cmds_server *server = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int got = cmds_server_start(&server, runtime, options, &error);
    bool right = got == code && strstr(error.text, words) != NULL && server == NULL;
    if (!right) {
        (void)printf("\"%s\": got %d %s: %s\n", words, got, cmds_error_name(got), error.text);
    }
    cmds_server_close(server);
    return right;
}

static void test_addresses_and_shards_on_a_runtime(void)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = 2;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    struct shards shards = {0};
    struct cmds_server_options options = right_options();
    options.receiver = &shards;
    options.on_shard_start = on_shard_start;
    options.on_shard_stop = on_shard_stop;

    CU_ASSERT(start_refused(runtime, &options, -EINVAL, "listen"));
    options.listen = "nonsense";
    CU_ASSERT(start_refused(runtime, &options, -EINVAL, "nonsense"));
    options.listen = "unix:@cmds-options-test";
    options.reuse_port = true;
    CU_ASSERT(start_refused(runtime, &options, -EINVAL, "reuse_port"));
    options.reuse_port = false;
    CU_ASSERT_EQUAL(shards.started, 6); // Two for each try,
    CU_ASSERT_EQUAL(shards.stopped, 6); // and no state is left behind.

    shards.started = shards.stopped = 0;
    shards.fail = true;
    options.listen = "127.0.0.1:0";
    CU_ASSERT(start_refused(runtime, &options, -EIO, "on_shard_start failed on shard 1"));
    CU_ASSERT_EQUAL(shards.started, 1);
    CU_ASSERT_EQUAL(shards.stopped, 1); // Only where it had started.

    shards.started = shards.stopped = 0;
    shards.fail = false;
    struct cmds_server *server = NULL;
    char text[64] = "";
    CU_ASSERT_FATAL(cmds_server_start(&server, runtime, &options, &error) == 0);
    CU_ASSERT_EQUAL(cmds_server_address(server, 0, text, sizeof(text)), 0);
    CU_ASSERT_EQUAL(cmds_server_address(server, 0, text, 3), -ENOBUFS);
    CU_ASSERT_EQUAL(cmds_server_address(server, 1, text, sizeof(text)), -ENOENT);
    options.listen = text;
    // Several servers on one runtime,
    CU_ASSERT(start_refused(runtime, &options, -EADDRINUSE, text));
    char own[64], list[128];
    (void)snprintf(own, sizeof(own), "unix:@cmds-options-%d", (int)getpid());
    (void)snprintf(list, sizeof(list), "127.0.0.1:0,[::1]:0,%s", own);
    options.listen = list;
    struct cmds_server *second = NULL;
    // each on its addresses.
    CU_ASSERT_EQUAL(cmds_server_start(&second, runtime, &options, &error), 0);
    CU_ASSERT_EQUAL(cmds_server_address(second, 2, text, sizeof(text)), 0);
    CU_ASSERT_STRING_EQUAL(text, own);
    cmds_server_close(server);
    cmds_runtime_stop(runtime); // Closes the second.
    CU_ASSERT_EQUAL(shards.started, shards.stopped);
}

static void test_a_failed_start_leaves_no_socket_file(void)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = CMDS_SHARDS_INLINE;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    char directory[] = "/tmp/cmds-options-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    char listen[128];
    (void)snprintf(listen, sizeof(listen), "unix:%s/s,nonsense", directory);
    struct cmds_server_options options = right_options();
    options.listen = listen;

    CU_ASSERT(start_refused(runtime, &options, -EINVAL, "nonsense"));

    CU_ASSERT_EQUAL(rmdir(directory), 0); // It is empty.
    cmds_runtime_stop(runtime);
}

static CU_TestInfo tests[] = {
        {"zero is the default", test_zero_is_the_default},
        {"an option that is set stays", test_an_option_that_is_set_stays},
        {"a struct nobody started is refused", test_a_struct_nobody_started_is_refused},
        {"an option of a newer header is refused unless it is zero",
                test_an_option_of_a_newer_header_is_refused_unless_it_is_zero},
        {"an unused member that is set is refused", test_an_unused_member_that_is_set_is_refused},
        {"server_info has 1 to 1024 bytes", test_server_info_has_1_to_1024_bytes},
        {"sizes have bounds", test_sizes_have_bounds},
        {"overflow is one of two", test_overflow_is_one_of_two},
        {"slow_reader is one of two", test_slow_reader_is_one_of_two},
        {"an invoker is not NULL", test_an_invoker_is_not_null},
        {"a codec is whole and of this version", test_a_codec_is_whole_and_of_this_version},
        {"a codec that cannot carry a type says so", test_a_codec_that_cannot_carry_a_type_says_so},
        {"no protocol and no rows are refused", test_no_protocol_and_no_rows_are_refused},
        {"each command has one exec function", test_each_command_has_one_exec_function},
        {"an exec function is for a command of the protocol",
                test_an_exec_function_is_for_a_command_of_the_protocol},
        {"a row of a newer header is refused unless it is zero",
                test_a_row_of_a_newer_header_is_refused_unless_it_is_zero},
        {"mistakes of a row are refused by name", test_mistakes_of_a_row_are_refused_by_name},
        {"addresses and shards on a runtime", test_addresses_and_shards_on_a_runtime},
        {"a failed start leaves no socket file", test_a_failed_start_leaves_no_socket_file},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("server options", tests)
