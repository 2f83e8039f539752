/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "ceiling.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "Usage: ceiling [OPTIONS]\n\n"
        "A plain echo over loopback, by io_uring or, as ceiling-epoll, by epoll: the practical "
        "ceiling of this machine.\n"
        "By default it forks: the child serves on one core, the parent measures on another.\n\n"
        "  --server             only serve, on --listen, until killed\n"
        "  --client ADDRESS     only measure, against a server elsewhere\n"
        "  --listen ADDRESS     default 127.0.0.1:0\n"
        "  --conns N            connections (default 8)\n"
        "  --in-flight K        commands in flight on each (default 128)\n"
        "  --size N|random      bytes of a block behind its length (default 530); random: 22 + "
        "uniform 0..1006\n"
        "  --stream COUNT       each command is answered with COUNT blocks of --size\n"
        "  --check              compare every byte of each answer, as `cmdstream bench` does\n"
        "  --spin               never sleep\n"
        "  --duration SECONDS   measured (default 3)\n"
        "  --warmup SECONDS     before that (default 0.5)\n"
        "  --buffers N          of io_uring: receive buffers, a power of two (default 32)\n"
        "  --buffer-size N      bytes of each (default 32768); of epoll: of one receive (262144)\n"
        "  --server-cpu N       default: the first CPU of this process\n"
        "  --client-cpu N       default: the second one, if there is one\n"
        "  --json               one object instead of a line\n";

static double parse_number(const char *name, const char *text, double min, double max)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        fprintf(stderr, "ceiling: --%s: \"%s\" is not a number from %g to %.10g\n", name, text, min,
                max);
        exit(2);
    }
    return value;
}

static void default_cpus(struct options *options)
{
    cpu_set_t set;
    uint32_t found[2] = {0, 0};
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        die("CPUs", errno);
    }
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            found[count++] = cpu;
        }
    }
    options->server_cpu = found[0];
    options->client_cpu = count > 1 ? found[1] : found[0];
}

enum option_kind {
    KIND_HELP,
    KIND_FLAG,
    KIND_TEXT,
    KIND_COUNT,
    KIND_SECONDS
};

/* Row i stands for option i of the table that getopt_long reads. */
static const struct {
    enum option_kind kind;
    size_t offset; // In struct options.
    double min, max;
} option_rules[] = {
        {KIND_FLAG, offsetof(struct options, server_only), 0, 0},
        {KIND_TEXT, offsetof(struct options, client_of), 0, 0},
        {KIND_TEXT, offsetof(struct options, listen), 0, 0},
        {KIND_COUNT, offsetof(struct options, conns), 1, CONNS_MAX},
        {KIND_COUNT, offsetof(struct options, in_flight), 1, IN_FLIGHT_MAX},
        {KIND_COUNT, offsetof(struct options, size), SIZE_MIN, SIZE_MAX_},
        {KIND_COUNT, offsetof(struct options, stream), 1, 1e9},
        {KIND_FLAG, offsetof(struct options, check), 0, 0},
        {KIND_FLAG, offsetof(struct options, spin), 0, 0},
        {KIND_SECONDS, offsetof(struct options, duration), 0.01, 3600},
        {KIND_SECONDS, offsetof(struct options, warmup), 0, 3600},
        {KIND_COUNT, offsetof(struct options, buffer_count), 1, 32768},
        {KIND_COUNT, offsetof(struct options, buffer_size), 64, 1 << 24},
        {KIND_COUNT, offsetof(struct options, server_cpu), 0, CPU_SETSIZE - 1},
        {KIND_COUNT, offsetof(struct options, client_cpu), 0, CPU_SETSIZE - 1},
        {KIND_FLAG, offsetof(struct options, json), 0, 0},
        {KIND_HELP, 0, 0, 0},
};

static const struct option option_table[] = {
        {"server", no_argument, NULL, 0},
        {"client", required_argument, NULL, 0},
        {"listen", required_argument, NULL, 0},
        {"conns", required_argument, NULL, 0},
        {"in-flight", required_argument, NULL, 0},
        {"size", required_argument, NULL, 0},
        {"stream", required_argument, NULL, 0},
        {"check", no_argument, NULL, 0},
        {"spin", no_argument, NULL, 0},
        {"duration", required_argument, NULL, 0},
        {"warmup", required_argument, NULL, 0},
        {"buffers", required_argument, NULL, 0},
        {"buffer-size", required_argument, NULL, 0},
        {"server-cpu", required_argument, NULL, 0},
        {"client-cpu", required_argument, NULL, 0},
        {"json", no_argument, NULL, 0},
        {"help", no_argument, NULL, 0},
        {0},
};
_Static_assert(sizeof(option_table) / sizeof(option_table[0]) ==
                       sizeof(option_rules) / sizeof(option_rules[0]) + 1,
        "a rule for each option");

static void apply_option(struct options *options, int index, const char *text)
{
    const char *name = option_table[index].name;
    char *field = (char *)options + option_rules[index].offset;
    double min = option_rules[index].min;
    double max = option_rules[index].max;
    switch (option_rules[index].kind) {
    case KIND_HELP:
        fputs(help, stdout);
        exit(0);
    case KIND_FLAG:
        *(bool *)field = true;
        break;
    case KIND_TEXT:
        memcpy(field, &text, sizeof(text));
        break;
    case KIND_COUNT: {
        bool random = strcmp(name, "size") == 0 && strcmp(text, "random") == 0;
        uint32_t value = random ? SIZE_RANDOM : (uint32_t)parse_number(name, text, min, max);
        memcpy(field, &value, sizeof(value));
        break;
    }
    case KIND_SECONDS: {
        double value = parse_number(name, text, min, max);
        memcpy(field, &value, sizeof(value));
        break;
    }
    }
}

struct options parse_options(int argc, char **argv)
{
    struct options options = {.listen = "127.0.0.1:0",
            .size = 530,
            .conns = 8,
            .in_flight = 128,
            .buffer_count = way_buffer_count,
            .buffer_size = way_buffer_size,
            .duration = 3,
            .warmup = 0.5};
    int index = 0;
    default_cpus(&options);
    for (int found; (found = getopt_long(argc, argv, "", option_table, &index)) != -1;) {
        if (found != 0) {
            exit(2); // getopt_long has said why.
        }
        apply_option(&options, index, optarg);
    }
    if (optind < argc || (options.buffer_count & (options.buffer_count - 1)) != 0 ||
            (options.stream > 0 && options.size == SIZE_RANDOM)) {
        fputs("ceiling: no arguments beside options, a power of two for --buffers, and no random\n"
              "sizes for --stream; see --help\n",
                stderr);
        exit(2);
    }
    return options;
}
