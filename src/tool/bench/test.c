/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream bench` of the test protocol: every answer is checked, and without --connect the server is a
 * child of its own.
 */
#include "bench/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/load_rows.h"
#include "name.h"
#include "test_protocol.h"

enum bench_command { // In the order of their numbers.
    BENCH_ECHO,
    BENCH_STREAM,
    BENCH_SLEEP,
    BENCH_FAIL,
    BENCH_WORK
};

union test_value {
    struct command_echo echo;
    struct command_stream stream;
    struct command_sleep sleep;
    struct command_work work;
};
_Static_assert(sizeof(union test_value) <= sizeof(union bench_value), "a command has room");

static struct bench_certificates test_certificates = BENCH_CERTIFICATES_INIT;

/* --- Options ---------------------------------------------------------------------------------- */

static const struct tool_option test_rows[] = {
        TOOL_TEXT(bench_options, "connect", "ADDRESS", connect,
                "measure this server (default: one of its own, in a child process)"),
        TOOL_TEXT(bench_options, "command", "NAME", command,
                "echo, stream, sleep or work (default echo)"),
        BENCH_ROWS_LOAD(bench_options),
        TOOL_TEXT(bench_options, "string-size", "N", string_size,
                "bytes in an echo or sleep, or random: uniform 0..1006 (default random)"),
        TOOL_U32(bench_options, "stream-count", "N", stream_count, 0, INT32_MAX,
                "results of one stream command (default 1000)"),
        TOOL_U32(bench_options, "stream-size", "N", stream_size, 0, 8 << 20,
                "bytes in each (default 64)"),
        TOOL_U32(bench_options, "sleep-ms", "N", sleep_ms, 0, 600000,
                "of one sleep command (default 10)"),
        TOOL_U32(bench_options, "work-us", "N", work_us, 0, 10000000,
                "of one work command (default 10)"),
        TOOL_U32(bench_options, "deadline-ms", "N", deadline_ms, 1, 3600000,
                "of a command (default 5000, plus --sleep-ms)"),
        BENCH_ROWS_BESIDE(bench_options),
        TOOL_U32(bench_options, "spin-us", "N", spin_us, 0, TOOL_SPIN_US_MAX,
                "of both sides: the most they look for work, us; 0: not at all (default 100)"),
        TOOL_FLAG(bench_options, "spin-always", spin_always,
                "both sides spin --spin-us each time, also when others need the core"),
        TOOL_U32(bench_options, "client-spin-us", "N", client_spin_us, 0, TOOL_SPIN_US_MAX,
                "of the client alone"),
        TOOL_U32(bench_options, "server-spin-us", "N", server_spin_us, 0, TOOL_SPIN_US_MAX,
                "of its own server alone"),
        TOOL_U32(bench_options, "server-shards", "N", server_shards, 1, CMDS_SHARDS_MAX,
                "of its own server (default: one per CPU of the server)"),
        TOOL_U32(bench_options, "server-workers", "N", server_workers, 1, TOOL_WORKERS_MAX,
                "threads of its own server's pool (default 4)"),
        TOOL_U32(bench_options, "burn-us", "N", burn_us, 0, TOOL_BURN_US_MAX,
                "CPU time that each echo burns on its own server's shard (default 0)"),
        BENCH_ROWS_SERVER(bench_options),
        TOOL_FLAG(bench_options, "share", share,
                "both sides may use all allowed CPUs (shards are pinned still)"),
        TOOL_FLAG(
                bench_options, "no-pin", no_pin, "as --share, and the scheduler places the shards"),
        BENCH_ROWS_OUTPUT(bench_options),
};
static const struct tool_command test_command = {
        .usage = "bench [OPTIONS]",
        .about = "Measures commands/s, latencies and CPU time per command. Every answer is "
                 "checked. In the closed loop\n"
                 "each connection has K commands in flight, and an answer sends the next. In the "
                 "open loop (--rate)\n"
                 "commands begin when they are due, and latency counts from then, whether they "
                 "could be sent or not.\n",
        .notes = "  $ cmdstream bench --conns 8 --in-flight 128\n"
                 "  $ cmdstream bench --conns 1 --in-flight 1 --spin-us 0\n"
                 "  $ cmdstream bench --rate 100000 --duration 10 --json\n"
                 "  $ cmdstream bench --command stream --conns 1 --in-flight 1 --stream-count "
                 "20000\n"
                 "  $ cmdstream bench --conns 1 --in-flight 4096 --burn-us 1 --light 8\n\n"
                 "SIGINT (^C) or SIGTERM ends the measurement: what was measured so far is "
                 "reported, after the last\n"
                 "answers; a second one ends it at once. With --tls its own server has a "
                 "certificate that it brings along;\n"
                 "handshakes are over when the load starts.\n\n"
                 "Exit status: 0; 1 there were errors, or it could not start; 2 a bad option; 130 "
                 "or 143 a signal ended it.\n",
        .options = test_rows,
        .option_count = sizeof(test_rows) / sizeof(test_rows[0]),
};

static const struct tool_rule test_rules[] = {
        {"server-spin-us", "connect", false, "that server has options of its own"},
        {"server-shards", "connect", false, "that server has options of its own"},
        {"server-workers", "connect", false, "that server has options of its own"},
        {"burn-us", "connect", false, "that server has options of its own"},
        {"share", "connect", false, "the CPUs are not divided then"},
        {"tls-ca", "connect", true, "its own server brings certificates along"},
        {"tls-crl", "connect", true, "its own server brings certificates along"},
        {"tls-server-name", "connect", true, "its own server brings certificates along"},
        {"tls-cert", "connect", true, "its own server asks for none"},
        {"tls-key", "connect", true, "its own server asks for none"},
        {"tls-alpn", "connect", true, "its own server knows one protocol"},
};
/* And options of some commands only. */
static const struct {
    const char *option;
    uint32_t commands; // Bits.
} test_only[] = {
        {"string-size", 1U << BENCH_ECHO | 1U << BENCH_SLEEP},
        {"stream-count", 1U << BENCH_STREAM},
        {"stream-size", 1U << BENCH_STREAM},
        {"sleep-ms", 1U << BENCH_SLEEP},
        {"work-us", 1U << BENCH_WORK},
        {"server-workers", 1U << BENCH_WORK},
        {"burn-us", 1U << BENCH_ECHO},
};

static bool test_take_command(struct bench *bench)
{
    static const char *const names[] = {[BENCH_ECHO] = "echo",
            [BENCH_STREAM] = "stream",
            [BENCH_SLEEP] = "sleep",
            [BENCH_WORK] = "work"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i] != NULL && strcmp(names[i], bench->options.command) == 0) {
            bench->plan.kind = (int)i;
            bench->plan.type = test_commands[i];
            return true;
        }
    }
    return cmdi_bench_refuse("--command is one of echo, stream, sleep, work");
}

static bool test_take_string_size(struct bench *bench)
{
    const char *text = bench->options.string_size;
    if (strcmp(text, "random") == 0) {
        bench->plan.string_max = BENCH_STRING_RANDOM_MAX;
        return true;
    }
    char *end = NULL;
    unsigned long size = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || size > 8UL << 20) {
        return cmdi_bench_refuse("--string-size is a number up to 8388608, or random");
    }
    bench->plan.string_min = (uint32_t)size;
    bench->plan.string_max = (uint32_t)size;
    return true;
}

static bool test_take(struct bench *bench, const struct tool_line *line)
{
    struct bench_options *options = &bench->options;
    options->command = options->command != NULL ? options->command : "echo";
    bench->plan.protocol = &test_protocol;
    if (!test_take_command(bench) || !test_take_string_size(bench)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(test_only) / sizeof(test_only[0]); i++) {
        if ((test_only[i].commands & (1U << bench->plan.kind)) == 0 &&
                cmdi_tool_options_given(&test_command, line, test_only[i].option)) {
            cmdi_tool_complain("bench", "--%s says nothing about the command %s",
                    test_only[i].option, options->command);
            return false;
        }
    }
    bench->plan.multi = bench->plan.kind == BENCH_STREAM;
    if (bench->plan.kind == BENCH_SLEEP) {
        bench->plan.deadline_ms += options->sleep_ms;
    }
    return true;
}

/* --- Commands and their answers --------------------------------------------------------------- */

/* xorshift64*: the same strings in every run. */
static uint64_t test_random(struct bench_worker *worker)
{
    uint64_t x = worker->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    worker->random = x;
    return x * UINT64_C(2685821657736338717);
}

static inline void test_next_text(struct bench_lane *lane)
{
    struct bench_worker *worker = lane->worker;
    const struct bench_plan *plan = worker->plan;
    uint64_t random = test_random(worker);
    uint64_t range = (uint64_t)(plan->string_max - plan->string_min) + 1;
    lane->text = plan->text + (random & (BENCH_TEXT_OFFSETS - 1));
    lane->text_size = plan->string_min + (uint32_t)(((random >> 32) * range) >> 32);
}

static __attribute__((noinline)) struct cmds_message test_other_message(
        struct bench_lane *lane, union test_value *value)
{
    const struct bench_options *options = &lane->worker->bench->options;
    switch ((enum bench_command)lane->worker->plan->kind) {
    case BENCH_STREAM:
        lane->number = 0;
        value->stream = (struct command_stream){options->stream_count, options->stream_size};
        return command_stream_message(&value->stream);
    case BENCH_WORK:
        value->work = (struct command_work){options->work_us};
        return command_work_message(&value->work);
    case BENCH_SLEEP:
    case BENCH_ECHO: // Not here.
    case BENCH_FAIL: // It is not to be had: its connection would end.
        break;
    }
    lane->number = ++lane->worker->numbers;
    test_next_text(lane);
    value->sleep = (struct command_sleep){options->sleep_ms, (lane->number & 1) != 0, lane->number,
            {lane->text, lane->text_size}, (double)lane->number * 0.5};
    return command_sleep_message(&value->sleep);
}

static struct cmds_message test_message(struct bench_lane *lane, union bench_value *room)
{
    union test_value *value = (union test_value *)room;
    if (lane->worker->plan->kind != BENCH_ECHO) {
        return test_other_message(lane, value);
    }
    const int64_t number = ++lane->worker->numbers;
    lane->number = number;
    test_next_text(lane);
    value->echo = (struct command_echo){
            (number & 1) != 0, number, {lane->text, lane->text_size}, (double)number * 0.5};
    return command_echo_message(&value->echo);
}

/* An empty string may have no data, which memcmp does not allow. */
static inline bool test_equal(struct cmds_string string, const char *data, size_t size)
{
    return string.size == size && (size == 0 || memcmp(string.data, data, size) == 0);
}

static inline bool test_echo_is_right(const struct bench_lane *lane, const struct result_echo *echo)
{
    double expected = (double)lane->number * 0.5;
    return echo->int64 == lane->number && echo->boolean == ((lane->number & 1) != 0) &&
           memcmp(&echo->float64, &expected, sizeof(expected)) == 0 &&
           test_equal(echo->string, lane->text, lane->text_size);
}

static bool test_work_is_right(const struct result_echo *echo)
{
    return !echo->boolean && echo->int64 == 0 && echo->string.size == 0 && !(echo->float64 > 0) &&
           !(echo->float64 < 0);
}

/* In order, of the right size and content, and the last one is the one that was asked for. */
static bool test_item_is_right(struct bench_lane *lane, const struct result_item *item)
{
    const struct bench_options *options = &lane->worker->bench->options;
    bool right = test_equal(item->data, lane->worker->plan->pattern, options->stream_size);
    if (options->stream_count == 0) {
        return right && item->index == -1 && item->last;
    }
    right = right && item->index == lane->number &&
            item->last == (item->index == (int64_t)options->stream_count - 1);
    lane->number++;
    return right;
}

static __attribute__((noinline)) bool test_other_is_right(
        struct bench_lane *lane, const struct cmds_result *result)
{
    if (lane->worker->plan->kind == BENCH_STREAM) {
        const struct result_item *item = result_item_of(result);
        return item != NULL && test_item_is_right(lane, item);
    }
    const struct result_echo *echo = result_echo_of(result);
    bool is_work = lane->worker->plan->kind == BENCH_WORK;
    return echo != NULL && (is_work ? test_work_is_right(echo) : test_echo_is_right(lane, echo));
}

static bool test_is_right(struct bench_lane *lane, const struct cmds_result *result)
{
    if (lane->worker->plan->kind != BENCH_ECHO) {
        return test_other_is_right(lane, result);
    }
    const struct result_echo *echo = result_echo_of(result);
    return echo != NULL && test_echo_is_right(lane, echo);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int test_make_data(struct bench_plan *plan, uint32_t stream_size)
{
    size_t size = (size_t)BENCH_TEXT_OFFSETS + plan->string_max;
    plan->text = malloc(size);
    plan->pattern = malloc((size_t)stream_size + 1);
    if (plan->text == NULL || plan->pattern == NULL) {
        return -ENOMEM;
    }
    uint32_t random = 1;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        plan->text[i] = (char)(' ' + (random >> 24) % 95);
    }
    for (uint32_t i = 0; i < stream_size; i++) {
        plan->pattern[i] = (char)('a' + i % 26);
    }
    return 0;
}

static int test_open(struct bench *bench)
{
    if (bench->options.tls.on && bench->options.connect == NULL) {
        int code = bench_certificates_open(&test_certificates);
        if (code < 0) {
            cmdi_tool_complain(
                    "bench", "no files in memory for the certificates: %s", strerror(-code));
            return code;
        }
        bench->certificates = &test_certificates;
        bench->options.tls.ca = test_certificates.ca.path;
    }
    return test_make_data(&bench->plan, bench->options.stream_size);
}

static void test_close(struct bench *bench)
{
    bench_certificates_close(&test_certificates);
    free(bench->plan.text);
    free(bench->plan.pattern);
}

static void test_report(const struct bench *bench, struct bench_report *report)
{
    const struct bench_options *options = &bench->options;
    cmdi_bench_report_text(report, "string_size", options->string_size);
    cmdi_bench_report_count(report, "stream_count", options->stream_count);
    cmdi_bench_report_count(report, "stream_size", options->stream_size);
    cmdi_bench_report_count(report, "sleep_ms", options->sleep_ms);
    cmdi_bench_report_count(report, "work_us", options->work_us);
    cmdi_bench_report_count(report, "burn_us", options->burn_us);
}

static const struct bench_subject test_subject = {.command = &test_command,
        .rules = test_rules,
        .rule_count = sizeof(test_rules) / sizeof(test_rules[0]),
        .take = test_take,
        .open = test_open,
        .start = bench_server_start,
        .stop = bench_server_stop,
        .close = test_close,
        .message = test_message,
        .is_right = test_is_right,
        .report = test_report};

int tool_bench(int argc, char **argv)
{
    return cmdi_bench_main(argc, argv, &test_subject);
}
