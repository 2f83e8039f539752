/* SPDX-License-Identifier: MIT */
/*
 * The scenario of the Go benchmark: N commands, all in flight at once over a few connections, to a
 * server that answers each after a delay (the test protocol's sleep). How long until the last
 * answer, and how long each one waited.
 *
 *     burst --connect ADDRESS [--codec NAME] [--conns N] [--commands N] [--sleep-ms N]
 *
 * The main thread sends; a shard takes the answers. Each command has a slot of its own, which the
 * main thread writes before it is sent and the shard after it, so nothing is locked. The server
 * must take it all: serve --max-in-flight and --max-output.
 */
#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool/common.h"
#include "tool/test_protocol.h"

enum {
    STRING_MAX = 1006, // As `bench`: uniform 0..1006.
    TEXT_OFFSETS = 16384,
    OUTPUT_SIZE_MAX = 1 << 30,
    CONNECT_MS = 5000,
    DEADLINE_MS = 300000,
};

struct options {
    const char *connect, *codec_name;
    uint32_t conns, commands, sleep_ms;
};

struct slot {
    struct burst *burst;
    uint64_t began_ns, took_ns;
    const char *text;
    uint32_t text_size;
    int64_t number;
};

struct burst {
    struct options options;
    const struct cmds_codec *codec;
    struct slot *slots;
    char *text;
    _Atomic uint32_t left, errors;
    sem_t over, room, closed;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* What the command of this slot holds beside its time, and so what its answer must hold. */
static struct result_echo slot_echo(const struct slot *slot)
{
    return (struct result_echo){(slot->number & 1) != 0, slot->number,
            {slot->text, slot->text_size}, (double)slot->number * 0.5};
}

static bool is_equal(const struct result_echo *a, const struct result_echo *b)
{
    return a->boolean == b->boolean && a->int64 == b->int64 &&
           cmds_string_equal(a->string, b->string) &&
           memcmp(&a->float64, &b->float64, sizeof(a->float64)) == 0;
}

static void on_result(void *context, const struct cmds_result *result)
{
    struct slot *slot = context;
    struct burst *burst = slot->burst;
    const struct result_echo *echo = result_echo_of(result);
    slot->took_ns = now_ns() - slot->began_ns;
    struct result_echo wanted = slot_echo(slot);
    if (echo == NULL || !is_equal(echo, &wanted)) {
        atomic_fetch_add(&burst->errors, 1);
    }
    if (atomic_fetch_sub(&burst->left, 1) == 1) {
        sem_post(&burst->over);
    }
}

static void on_writable(void *context)
{
    struct burst *burst = context;
    sem_post(&burst->room);
}

static void on_closed(void *context)
{
    struct burst *burst = context;
    sem_post(&burst->closed);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) {
    }
}

static bool make_slots(struct burst *burst)
{
    uint32_t count = burst->options.commands;
    burst->slots = calloc(count, sizeof(*burst->slots));
    burst->text = malloc(TEXT_OFFSETS + STRING_MAX);
    if (burst->slots == NULL || burst->text == NULL) {
        return false;
    }
    uint32_t random = 1;
    for (uint32_t i = 0; i < TEXT_OFFSETS + STRING_MAX; i++) {
        random = random * 1664525 + 1013904223;
        burst->text[i] = (char)(' ' + (random >> 24) % 95);
    }
    for (uint32_t i = 0; i < count; i++) {
        random = random * 1664525 + 1013904223;
        burst->slots[i] = (struct slot){.burst = burst,
                .text = burst->text + (random >> 8) % TEXT_OFFSETS,
                .text_size = (random >> 16) % (STRING_MAX + 1),
                .number = i};
    }
    return true;
}

static int send_all(struct burst *burst, struct cmds_group *group)
{
    for (uint32_t i = 0; i < burst->options.commands; i++) {
        struct slot *slot = &burst->slots[i];
        struct result_echo echo = slot_echo(slot);
        struct command_sleep sleep = {
                burst->options.sleep_ms, echo.boolean, echo.int64, echo.string, echo.float64};
        slot->began_ns = now_ns();
        int code;
        while ((code = cmds_group_send(
                        group, command_sleep_message(&sleep), NULL, on_result, slot)) == -ENOBUFS) {
            wait_for(&burst->room);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct slot *one = a;
    const struct slot *two = b;
    return (one->took_ns > two->took_ns) - (one->took_ns < two->took_ns);
}

/* The columns of the Go benchmark: nanoseconds; its p99 is the 99.9th percentile. */
static void report(struct burst *burst, uint64_t took_ns)
{
    uint32_t count = burst->options.commands;
    double sum = 0;
    qsort(burst->slots, count, sizeof(*burst->slots), by_time);
    for (uint32_t i = 0; i < count; i++) {
        sum += (double)burst->slots[i].took_ns;
    }
    printf("{\"errors\":%u,\"burst\":{\"ns\":%llu,\"mean\":%.0f,\"med\":%llu,\"max\":%llu,"
           "\"min\":%llu,\"p99\":%llu,\"count\":%u}}\n",
            atomic_load(&burst->errors), (unsigned long long)took_ns, sum / count,
            (unsigned long long)burst->slots[count / 2].took_ns,
            (unsigned long long)burst->slots[count - 1].took_ns,
            (unsigned long long)burst->slots[0].took_ns,
            (unsigned long long)burst->slots[(size_t)((double)count * 0.999)].took_ns, count);
}

static int run(struct burst *burst, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&test_protocol);
    options.connect = burst->options.connect;
    options.codec = burst->codec;
    options.client_count = burst->options.conns;
    options.in_flight_max = burst->options.commands / burst->options.conns + 1;
    options.output_size_max = OUTPUT_SIZE_MAX;
    options.deadline_ms = DEADLINE_MS;
    options.context = burst;
    options.on_writable = on_writable;
    struct cmds_group *group = NULL;
    int code = cmds_group_open(&group, runtime, &options, error);
    if (code < 0) {
        return code;
    }
    code = cmds_group_wait(group, CONNECT_MS, error);
    uint64_t began_ns = now_ns();
    if (code == 0 && (code = send_all(burst, group)) == 0) {
        wait_for(&burst->over);
        report(burst, now_ns() - began_ns);
    }
    cmds_group_close(group, on_closed, burst);
    wait_for(&burst->closed);
    return code;
}

/* The whole text, or the mistake is told. */
static bool take_number(const char *name, const char *text, uint32_t max, uint32_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > max) {
        fprintf(stderr, "burst: --%s takes a number up to %u, not \"%s\"\n", name, max, text);
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

static bool take_options(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {{"connect", required_argument, NULL, 'a'},
            {"codec", required_argument, NULL, 'k'}, {"conns", required_argument, NULL, 'c'},
            {"commands", required_argument, NULL, 'n'}, {"sleep-ms", required_argument, NULL, 's'},
            {NULL, 0, NULL, 0}};
    int name, index = 0;
    while ((name = getopt_long(argc, argv, "", names, &index)) != -1) {
        uint32_t number = 0;
        if (strchr("cns", name) != NULL &&
                !take_number(names[index].name, optarg, INT32_MAX, &number)) {
            return false;
        }
        switch (name) {
        case 'a':
            options->connect = optarg;
            break;
        case 'k':
            options->codec_name = optarg;
            break;
        case 'c':
            options->conns = number;
            break;
        case 'n':
            options->commands = number;
            break;
        case 's':
            options->sleep_ms = number;
            break;
        default:
            return false;
        }
    }
    return optind == argc && options->connect != NULL && options->conns > 0 &&
           options->commands > 0;
}

int main(int argc, char **argv)
{
    struct burst burst = {.options = {.conns = 8, .commands = 100000, .sleep_ms = 30}};
    if (!take_options(&burst.options, argc, argv)) {
        fprintf(stderr, "Usage: burst --connect ADDRESS [--codec NAME] [--conns N] [--commands N] "
                        "[--sleep-ms N]\n");
        return 2;
    }
    burst.codec = cmdi_tool_codec_find("burst", burst.options.codec_name);
    if (burst.codec == NULL) {
        return 2;
    }
    if (!make_slots(&burst)) {
        fprintf(stderr, "burst: out of memory\n");
        return 1;
    }
    atomic_store(&burst.left, burst.options.commands);
    sem_init(&burst.over, 0, 0);
    sem_init(&burst.room, 0, 0);
    sem_init(&burst.closed, 0, 0);

    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 1;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_runtime_start(&runtime, &options, &error);
    code = code < 0 ? code : run(&burst, runtime, &error);
    if (code < 0) {
        fprintf(stderr, "burst: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(runtime);
    free(burst.slots);
    free(burst.text);
    if (fflush(stdout) != 0) {
        perror("burst: stdout");
        code = -EIO;
    }
    return code == 0 && atomic_load(&burst.errors) == 0 ? 0 : 1;
}
