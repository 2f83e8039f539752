/* SPDX-License-Identifier: MIT */
/*
 * simulate: cmdstream in a simulated world, with an oracle that knows what has to be. Each seed is a
 * scenario of servers, clients and faults, and a run of it. It prints a line for each; a failure is
 * explained on stderr, with the last events.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sim/chaos.h"
#include "sim/load.h"
#include "sim/service.h"
#include "sim/veil.h"

enum {
    SIMULATE_TIME_MAX_MS = 400000,
};

struct simulate {
    uint64_t seed, seeds;
    bool events, twice, quiet;
    uint32_t event_count;
    struct scenario_limits limits;
    FILE *out; // stdout belongs to the programs of the world.
};

struct outcome {
    bool has_failed;
    struct cmds_sim_report report;
    double cpu_s;
};

static const char usage[] =
        "usage: simulate [--seed S | --from S] [--seeds N] [--events] [--twice] [--quiet]\n"
        "                [--until MS] [--clients N] [--commands N] [--shards N]\n"
        "                [--connections N] [--threads N] [--faults BITS] [--chaos BITS] [--hows "
        "BITS]\n"
        "                [--last-events N]\n";

static double simulate_cpu_s(void)
{
    struct rusage usage_now;
    (void)getrusage(RUSAGE_SELF, &usage_now);
    return (double)(usage_now.ru_utime.tv_sec + usage_now.ru_stime.tv_sec) +
           (double)(usage_now.ru_utime.tv_usec + usage_now.ru_stime.tv_usec) / 1e6;
}

static void simulate_on_event(void *context, const char *text)
{
    FILE *out = context;
    (void)fprintf(out, "%s\n", text);
}

/* --- One run -------------------------------------------------------------------------------------- */

static struct cmds_sim_process *simulate_add(struct cmds_sim *sim, const char *name,
        const char *host, bool daemon, int (*program_main)(void *), void *context)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_sim_process *process = NULL;
    struct cmds_sim_program program = CMDS_SIM_PROGRAM_INIT(name, program_main);
    program.host = host;
    program.daemon = daemon;
    program.context = context;
    if (cmds_sim_start(sim, &program, &process, &error) < 0) {
        (void)oracle_fail("cmds_sim_start(): %s", error.text);
    }
    return process;
}

static void simulate_populate(struct cmds_sim *sim, struct scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        struct scenario_server *plan = &scenario->servers[i];
        const char *host = scenario->servers[plan->host_of].name;
        memset(&services[i], 0, sizeof(services[i]));
        services[i].plan = plan;
        services[i].process = simulate_add(sim, plan->name, host, true, service_main, &services[i]);
        const char *where = i % 2 == 0 ? host : cmds_sim_address(services[i].process);
        (void)snprintf(plan->connect, sizeof(plan->connect), "%s:%u", where, plan->port);
    }
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        load_set_name(sim, scenario, i, scenario_kin(scenario, i));
    }
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        struct scenario_client *plan = &scenario->clients[i];
        memset(&loads[i], 0, sizeof(loads[i]));
        loads[i].plan = plan;
        loads[i].server = &scenario->servers[plan->server];
        loads[i].process = simulate_add(sim, plan->name, NULL, false, load_main, &loads[i]);
    }
    (void)simulate_add(sim, "chaos", NULL, false, chaos_main, NULL);
}

/* What is left of those that returned. A look-up that hangs keeps its thread, and what that has. */
static void simulate_check_report(
        const struct scenario *scenario, const struct cmds_sim_report *report)
{
    bool hangs = (scenario->faults & CMDS_SIM_NAMES) != 0;
    uint64_t threads = hangs ? report->threads_left : 0;
    if (report->blocks_left != threads || report->files_left != 0 ||
            report->threads_left != threads) {
        (void)oracle_fail("processes that ended left %" PRIu64 " blocks of %" PRIu64
                          " bytes, %" PRIu64 " files and %" PRIu64 " threads",
                report->blocks_left, report->bytes_left, report->files_left, report->threads_left);
    }
}

static struct outcome simulate_run(const struct simulate *simulate, uint64_t seed)
{
    static const uint32_t intervals_ms[] = {500, 100, 30, 10};
    static struct scenario scenario;
    struct outcome outcome = {.report = CMDS_SIM_REPORT_INIT};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_sim *sim = NULL;
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    scenario_draw(&scenario, seed, &simulate->limits);
    options.seed = seed;
    options.faults = scenario.faults;
    options.faults_until_ms = scenario.load_ms;
    options.fault_interval_ms =
            intervals_ms[seed % (sizeof(intervals_ms) / sizeof(intervals_ms[0]))];
    options.time_max_ms = SIMULATE_TIME_MAX_MS;
    options.latency_us = scenario.latency_us;
    options.bytes_per_ms = scenario.bytes_per_ms;
    options.cpu_count = scenario.cpu_count;
    options.file_count_max = scenario.file_count_max;
    options.event_count = simulate->event_count;
    options.on_event = simulate->events ? simulate_on_event : NULL;
    options.event_context = simulate->out;
    double began_s = simulate_cpu_s();
    if (cmds_sim_open(&sim, &options, &error) < 0) {
        (void)fprintf(stderr, "simulate: %s\n", error.text);
        exit(2);
    }
    oracle_begin(sim, &scenario);
    veil_begin();
    simulate_populate(sim, &scenario);
    int code = cmds_sim_run(sim, &error);
    cmds_sim_stats(sim, &outcome.report);
    if (code == 0 && !oracle.has_failed) {
        oracle_finish();
        simulate_check_report(&scenario, &outcome.report);
    }
    cmds_sim_close(sim);
    if (oracle.has_failed || code < 0) {
        outcome.has_failed = true;
        (void)fprintf(stderr, "seed %" PRIu64 " has failed: %s\n", seed,
                oracle.has_failed ? oracle.failure : error.text);
    }
    outcome.cpu_s = simulate_cpu_s() - began_s;
    return outcome;
}

static void simulate_print(
        const struct simulate *simulate, uint64_t seed, const struct outcome *outcome)
{
    static struct scenario scenario;
    char words[700];
    scenario_draw(&scenario, seed, &simulate->limits);
    scenario_describe(&scenario, words, sizeof(words));
    if (simulate->quiet && !outcome->has_failed) {
        words[0] = '\0';
    }
    (void)fprintf(simulate->out,
            "seed %" PRIu64 ": %s, hash %016" PRIx64 ", %u commands, %" PRIu64
            " executed, %.3f s, %u faults, %.3f s of CPU; %s\n",
            seed, outcome->has_failed ? "FAILED" : "ok", outcome->report.hash,
            oracle.command_count - 1, oracle.executed, (double)outcome->report.time_ns / 1e9,
            outcome->report.faults_drawn, outcome->cpu_s, words);
    (void)fflush(simulate->out);
}

/* Returns: it is fine. */
static bool simulate_seed(const struct simulate *simulate, uint64_t seed)
{
    struct outcome outcome = simulate_run(simulate, seed);
    simulate_print(simulate, seed, &outcome);
    if (simulate->twice) {
        struct outcome again = simulate_run(simulate, seed);
        if (again.report.hash != outcome.report.hash ||
                again.report.event_count != outcome.report.event_count) {
            (void)fprintf(stderr,
                    "seed %" PRIu64 " is not the same twice: %016" PRIx64 " and %016" PRIx64 "\n",
                    seed, outcome.report.hash, again.report.hash);
            return false;
        }
    }
    return !outcome.has_failed;
}

/* --- Arguments ------------------------------------------------------------------------------------ */

static bool simulate_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    *number = strtoull(text, &end, 0);
    return *text != '\0' && *end == '\0';
}

static const struct option simulate_options[] = {
        {"seed", required_argument, NULL, 's'},
        {"from", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'},
        {"events", no_argument, NULL, 'e'},
        {"twice", no_argument, NULL, 't'},
        {"quiet", no_argument, NULL, 'q'},
        {"last-events", required_argument, NULL, 'l'},
        {"until", required_argument, NULL, 'u'},
        {"clients", required_argument, NULL, 'C'},
        {"commands", required_argument, NULL, 'c'},
        {"faults", required_argument, NULL, 'f'},
        {"chaos", required_argument, NULL, 'x'},
        {"hows", required_argument, NULL, 'h'},
        {"shards", required_argument, NULL, 'p'},
        {"threads", required_argument, NULL, 'T'},
        {"connections", required_argument, NULL, 'k'},
        {NULL, 0, NULL, 0},
};

static uint32_t *simulate_limit(struct simulate *simulate, int option)
{
    struct scenario_limits *limits = &simulate->limits;
    switch (option) {
    case 'u':
        return &limits->load_ms;
    case 'C':
        return &limits->clients;
    case 'c':
        return &limits->commands;
    case 'f':
        return &limits->faults;
    case 'x':
        return &limits->chaos;
    case 'h':
        return &limits->hows;
    case 'p':
        return &limits->shards;
    case 'T':
        return &limits->threads;
    case 'k':
        return &limits->connections;
    case 'l':
        return &simulate->event_count;
    default:
        return NULL;
    }
}

static bool simulate_parse(struct simulate *simulate, int argc, char **argv)
{
    int option = 0;
    while ((option = getopt_long(argc, argv, "", simulate_options, NULL)) != -1) {
        uint64_t number = 0;
        if (optarg != NULL && !simulate_number(optarg, &number)) {
            return false;
        }
        uint32_t *limit = simulate_limit(simulate, option);
        if (limit != NULL) {
            *limit = (uint32_t)number;
        } else if (option == 's') {
            simulate->seed = number;
        } else if (option == 'n') {
            simulate->seeds = number;
        } else if (option == 'e') {
            simulate->events = true;
        } else if (option == 't') {
            simulate->twice = true;
        } else if (option == 'q') {
            simulate->quiet = true;
        } else {
            return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct simulate simulate = {.seed = 1, .seeds = 1, .limits = SCENARIO_LIMITS_INIT};
    if (!simulate_parse(&simulate, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    simulate.out = fdopen(dup(STDOUT_FILENO), "w");
    if (simulate.out == NULL || freopen("/dev/null", "w", stdout) == NULL) {
        return 2;
    }
    bool fine = true;
    for (uint64_t i = 0; i < simulate.seeds; i++) {
        fine = simulate_seed(&simulate, simulate.seed + i) && fine;
    }
    (void)fclose(simulate.out);
    return fine ? 0 : 1;
}
