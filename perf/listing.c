/* SPDX-License-Identifier: MIT */
/*
 * What it costs shards that their connections are listed: how long their turns take with a load, with a load
 * while one thread lists all connections again and again, and while it lists and nothing else happens, in
 * which case a turn is nothing but its part of a list. Each in turn with the others, some rounds.
 *
 *     listing [connections [shards]]      # 10,000, most of them idle ones of a child process, and 2 shards
 *     chrt -f 50 listing                  # if others need the CPUs: else their turns are in it as well
 *
 * The load is 8 connections with 4 commands in flight each, so that its turns are short by themselves.
 */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/inspect.h>

#include "ring/clock.h"
#include "shard/runtime.h"
#include "shard/shard.h"
#include "shard/walk.h"

enum {
    CONNECTIONS = 10000,
    LOAD_CONNECTIONS = 8,
    IN_FLIGHT = 4,
    ROUNDS = 8,
    ROUND_MS = 400,
    LONG_US = 100, // What no turn is to take because of a list.
};

struct pass {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(pass, 0, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&pass_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("listing", commands, results);

static void check(int code, const char *text)
{
    if (code < 0) {
        fprintf(stderr, "listing: %s: %s\n", text, cmds_error_text(code));
        exit(1);
    }
}

/* --- Idle ones: sockets of a child, since a process may not have so many of both sides ---------------- */

static void child_run(uint32_t count, int from_parent, int to_parent)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (read(from_parent, &address.sin_port, sizeof(address.sin_port)) <= 0) {
        _exit(1);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char made = 1;
    for (uint32_t i = 0; i < count && made == 1; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        made = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    }
    if (write(to_parent, &made, 1) < 0 || read(from_parent, &made, 1) < 0) { // Until it ends.
        _exit(1);
    }
    _exit(0);
}

/* --- The load ----------------------------------------------------------------------------------------- */

static struct cmds_group *group;
static _Atomic bool loads;
static _Atomic uint32_t in_flight;
static _Atomic uint64_t answers;

static int on_pass(struct cmds_call *call, const struct pass *pass)
{
    const struct answer answer = {pass->number};
    return cmds_call_send(call, answer_message(&answer));
}

static void on_answer(void *context, const struct cmds_result *result);

static void send_one(void)
{
    const struct pass pass = {1};
    atomic_fetch_add(&in_flight, 1);
    check(cmds_group_send(group, pass_message(&pass), NULL, on_answer, NULL), "a send");
}

static void on_answer(void *context, const struct cmds_result *result)
{
    (void)context;
    check(result->error, "an answer");
    answers++;
    atomic_fetch_sub(&in_flight, 1);
    if (loads) {
        send_one();
    }
}

/* --- Lists -------------------------------------------------------------------------------------------- */

static struct cmds_runtime *runtime;
static uint32_t list_max;
static _Atomic bool lists;
static _Atomic bool ends;
static _Atomic uint64_t list_count, list_ns, list_lost;

static void *list_run(void *argument)
{
    (void)argument;
    while (!ends) {
        if (!lists) {
            cmdi_sleep_ms(1);
            continue;
        }
        size_t count = 0;
        uint64_t since_ns = cmdi_now_ns();
        struct cmds_listed_connection *list = calloc(list_max, sizeof(*list)); // As the page does.
        list[0].struct_size = sizeof(*list);
        int code = cmds_runtime_connections(runtime, list, list_max, &count);
        check(code == CMDS_E_TIMEOUT ? 0 : code, "a list"); // A shard had no CPU for so long.
        list_ns += cmdi_now_ns() - since_ns;
        list_count += code == 0;
        list_lost += code < 0;
        free(list);
    }
    return NULL;
}

/* --- Parts of lists: what a turn is longer by ------------------------------------------------------- */

static struct {
    void (*visit)(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node);
    const struct cmdi_shard *shard;
    uint64_t turn_ns, begun_ns, seen_ns;
    struct cmdi_durations *parts; // NULL: they are not looked at.
} visited;                        // One thread at a time: one walk, one shard after the other.

static void visited_end(void)
{
    if (visited.shard != NULL && visited.parts != NULL) {
        uint64_t took_ns = visited.seen_ns - visited.begun_ns;
        cmdi_durations_record(visited.parts, took_ns, 1);
    }
    visited.shard = NULL;
}

static void timed_visit(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node)
{
    if (visited.shard != shard || visited.turn_ns != shard->now_ns) {
        visited_end();
        visited.shard = shard;
        visited.turn_ns = shard->now_ns;
        visited.begun_ns = cmdi_now_ns();
    }
    visited.visit(walk, shard, node);
    visited.seen_ns = cmdi_now_ns();
}

int __real_cmdi_runtime_walk(struct cmds_runtime *of, struct cmdi_walk *walk);
int __wrap_cmdi_runtime_walk(struct cmds_runtime *of, struct cmdi_walk *walk);
int __wrap_cmdi_runtime_walk(struct cmds_runtime *of, struct cmdi_walk *walk)
{
    if (visited.parts != NULL) { // Else another thread may list as well.
        visited.visit = walk->visit;
        walk->visit = timed_visit;
    }
    int code = __real_cmdi_runtime_walk(of, walk);
    visited_end();
    return code;
}

/* --- Turns -------------------------------------------------------------------------------------------- */

struct phase {
    const char *name;
    bool loads, lists;
    uint64_t ns, answers, lists_made, lists_ns;
    struct cmdi_durations turns; // Those that have ended in it,
    struct cmdi_durations parts; // and those of lists in them.
};
static struct phase phases[] = {
        {.name = "load", .loads = true},
        {.name = "load, lists", .loads = true, .lists = true},
        {.name = "lists alone", .lists = true},
};

/* Adds what the shards have counted, `sign` times. */
static void add_turns(struct cmdi_durations *turns, uint64_t sign)
{
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        const struct cmdi_durations *from = &runtime->shards[i]->meter.turns;
        turns->zero += sign * __atomic_load_n(&from->zero, __ATOMIC_RELAXED);
        for (uint32_t k = 0; k < CMDI_DURATION_BUCKETS; k++) {
            turns->buckets[k] += sign * __atomic_load_n(&from->buckets[k], __ATOMIC_RELAXED);
        }
    }
}

static double bucket_us(uint32_t bucket)
{
    return ldexp(1e6, -24) * pow(2, (bucket + 1) / 8.0); // Where it ends.
}

static void phase_run(struct phase *phase)
{
    uint64_t made = list_count;
    uint64_t made_ns = list_ns;
    loads = phase->loads;
    for (uint32_t i = 0; i < LOAD_CONNECTIONS * IN_FLIGHT && loads; i++) {
        send_one();
    }
    visited.parts = phase->lists ? &phase->parts : NULL;
    lists = phase->lists;
    cmdi_sleep_ms(50);
    uint64_t before = answers;
    uint64_t since_ns = cmdi_now_ns();
    add_turns(&phase->turns, UINT64_MAX); // Minus one.
    cmdi_sleep_ms(ROUND_MS);
    add_turns(&phase->turns, 1);
    phase->ns += cmdi_now_ns() - since_ns;
    phase->answers += answers - before;
    lists = false;
    loads = false;
    cmdi_sleep_ms(50); // The list and the commands that are under way.
    phase->lists_made += list_count - made;
    phase->lists_ns += list_ns - made_ns;
}

static void durations_print(const struct cmdi_durations *durations)
{
    static const double quantiles[] = {0.5, 0.99, 0.999, 0.9999, 1};
    uint64_t count = durations->zero;
    uint64_t is_long = 0;
    for (uint32_t i = 0; i < CMDI_DURATION_BUCKETS; i++) {
        count += durations->buckets[i];
        is_long += bucket_us(i) > LONG_US ? durations->buckets[i] : 0;
    }
    printf(" %9llu", (unsigned long long)count);
    for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++) {
        uint64_t seen = durations->zero;
        uint32_t bucket = 0;
        while (bucket + 1 < CMDI_DURATION_BUCKETS &&
                (double)(seen + durations->buckets[bucket]) < quantiles[q] * (double)count) {
            seen += durations->buckets[bucket++];
        }
        printf(" %8.1f", bucket_us(bucket));
    }
    printf(" %6llu\n", (unsigned long long)is_long);
}

static void phase_print(const struct phase *phase)
{
    printf("%-12s %8.0f cmd/s", phase->name, (double)phase->answers * 1e9 / (double)phase->ns);
    if (phase->lists_made > 0) {
        printf("; %llu lists, %.1f ms each", (unsigned long long)phase->lists_made,
                (double)phase->lists_ns / 1e6 / (double)phase->lists_made);
    }
    printf("\n    turns       ");
    durations_print(&phase->turns);
    if (phase->lists_made > 0) {
        printf("    parts in them");
        durations_print(&phase->parts);
    }
}

/* --- Both sides --------------------------------------------------------------------------------------- */

static void open_all(struct cmds_runtime **client_runtime, struct cmds_server **server,
        uint32_t shard_count, char address[64])
{
    static const struct cmds_exec execs[] = {CMDS_EXEC(pass, on_pass)};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server_options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    options.shard_count = shard_count;
    check(cmds_runtime_start(&runtime, &options, &error), error.text);
    server_options.listen = "127.0.0.1:0";
    server_options.connection_count_max = list_max;
    check(cmds_server_start(server, runtime, &server_options, &error), error.text);
    check(cmds_server_address(*server, 0, address, 64), "its address");
    options.shard_count = 1;
    check(cmds_runtime_start(client_runtime, &options, &error), error.text);
    group_options.connect = address;
    group_options.client_count = LOAD_CONNECTIONS;
    check(cmds_group_open(&group, *client_runtime, &group_options, &error), error.text);
    check(cmds_group_wait(group, 5000, &error), error.text);
}

static void wait_for_child(const char *address, int to_child, int from_child)
{
    char made = 0;
    size_t count = 0;
    uint16_t port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    if (write(to_child, &port, sizeof(port)) < 0 || read(from_child, &made, 1) <= 0 || made != 1) {
        fprintf(stderr, "listing: no idle connections: see ulimit -n\n");
        exit(1);
    }
    while (count < list_max) {
        (void)cmds_runtime_connections(runtime, NULL, 0, &count);
        cmdi_sleep_ms(10);
    }
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : CONNECTIONS;
    uint32_t shard_count = argc > 2 ? (uint32_t)atoi(argv[2]) : 2;
    if (argc > 3 || count <= LOAD_CONNECTIONS || count > 60000 || shard_count == 0 ||
            shard_count > 64) {
        fprintf(stderr, "usage: listing [CONNECTIONS, 9 to 60000 [SHARDS, 1 to 64]]\n");
        return 2;
    }
    struct cmds_runtime *client_runtime = NULL;
    struct cmds_server *server = NULL;
    char address[64];
    int to_child[2];
    int from_child[2];
    pthread_t lister;
    if (pipe(to_child) < 0 || pipe(from_child) < 0) {
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(to_child[1]);
        child_run(count - LOAD_CONNECTIONS, to_child[0], from_child[1]);
    }
    list_max = count;
    open_all(&client_runtime, &server, shard_count, address);
    wait_for_child(address, to_child[1], from_child[0]);
    if (pthread_create(&lister, NULL, list_run, NULL) != 0) {
        return 1;
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
            phase_run(&phases[i]);
        }
    }
    printf("%u connections, %u shards; us\n%-16s %9s %8s %8s %8s %8s %8s %6s\n", list_max,
            shard_count, "", "count", "p50", "p99", "p99.9", "p99.99", "max", ">100");
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        phase_print(&phases[i]);
    }
    printf("lists that a shard had no time for: %llu\n", (unsigned long long)list_lost);
    ends = true;
    (void)pthread_join(lister, NULL);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    cmds_group_close(group, NULL, NULL);
    cmds_runtime_stop(client_runtime);
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    return 0;
}
