/* SPDX-License-Identifier: MIT */
/*
 * What tracing and counting cost: client and server on one shard, over loopback, many commands in flight. CPU time
 * of the thread per command, of both sides together, of the best rounds and their median, each way in turn
 * with the others, so that all meet the same machine; and the median of what each round says of a way beside the
 * first one. Each way has a process of its own, and a new one after some rounds: of ways that share one, the second
 * to be opened is 2 % slower than the first, and where memory lies is worth as much.
 *
 *     spans [--echo] [--unix] [WAY...]       # all ways, or these
 *     spans [--echo] [--unix] WAY COMMANDS   # only that, once: for callgrind, of which `measured` is what counts
 *     valgrind --tool=callgrind --collect-atstart=no --toggle-collect=measured spans all 40000
 *
 * A command has 16 bytes, and is answered with a number; with --echo it is that of cmdstream bench: up to
 * 1,006 bytes, which come back, and 4 connections with 128 in flight each. With 8, whose 16 ends share the first 16
 * receive buffers here, some receive finds none: what its connection has in flight is then moved in two halves for
 * ever, which takes 20 % longer, whichever way it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmdstream/cmdstream.h>

enum {
    CONNECTIONS = 4,
    IN_FLIGHT = 128, // Of all connections.
    // As many as one side of the bench has on a core, clients and servers together: 8.
    ECHO_CONNECTIONS = 4,
    ECHO_IN_FLIGHT = 4 * 128,
    TEXT_MAX = 1006,
    COMMANDS = 10000, // In a round: short, so that a pause of the machine meets one alone.
    ROUNDS = 24,      // Of a process.
    PROCESSES = 9,    // Of a way, one after the other.
    SAMPLES = ROUNDS * PROCESSES,
};

struct pass {
    int64_t number;
    struct cmds_string text;
};
struct answer {
    int64_t number;
    struct cmds_string text;
};
CMDS_COMMAND(pass, 0, number, text);
CMDS_TRACED(pass_traced, 10, pass);
CMDS_RESULT(answer, 0, number, text);
static const struct cmds_type *const commands[] = {&pass_type, &pass_traced_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("spans", commands, results);

/* A context with every so many commands; which traces begin by themselves. */
struct way {
    const char *name, *means;
    bool has_spans, has_context, is_sampled;
    bool is_uncounted;      // Nothing is told apart by command type.
    uint32_t every;         // So many commands there is one with a context.
    uint32_t span_rate_max; // Of roots. 0: none.
    /* While it runs. */
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    struct cmds_trace trace;
    uint32_t left, in_flight, until_context;
    /* Of its process: the round is asked for and told there. */
    pid_t process;
    int socket;
    double ns[SAMPLES], ratios[SAMPLES]; // The first way's beside it, in the same round.
};

static struct way ways[] = {
        {.name = "uncounted",
                .means = "no spans, and nothing is counted by type",
                .is_uncounted = true},
        {.name = "untraced", .means = "no spans are kept"},
        {.name = "off", .means = "spans are kept, and no trace begins", .has_spans = true},
        {.name = "spent",
                .means = "this second's traces have begun",
                .has_spans = true,
                .span_rate_max = 1},
        {.name = "percent",
                .means = "one command in 100 is sampled",
                .has_spans = true,
                .has_context = true,
                .is_sampled = true,
                .every = 100},
        {.name = "context",
                .means = "each has a context, and nobody keeps a span",
                .has_context = true,
                .every = 1},
        {.name = "unsampled",
                .means = "each has a context that is not sampled",
                .has_spans = true,
                .has_context = true,
                .every = 1},
        {.name = "all",
                .means = "each has a context that is sampled",
                .has_spans = true,
                .has_context = true,
                .is_sampled = true,
                .every = 1},
        {.name = "roots",
                .means = "each begins a trace",
                .has_spans = true,
                .span_rate_max = UINT32_MAX},
};
enum {
    WAYS = sizeof(ways) / sizeof(ways[0]),
};

static void check(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "spans: %s: %s\n", what, cmds_error_text(code));
        exit(1);
    }
}

static bool echoes, is_unix;
static uint64_t seed = 1;

/* As many as bench sends, of the same sizes each time. */
static size_t next_size(void)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return echoes ? (size_t)(seed >> 33) % (TEXT_MAX + 1) : 16;
}

static int on_pass(struct cmds_call *call, const struct pass *pass)
{
    const struct answer answer = {pass->number, echoes ? pass->text : (struct cmds_string){0}};
    return cmds_call_send(call, answer_message(&answer));
}

/* --- Commands --------------------------------------------------------------------------------- */

static void send_one(struct way *way);

static void on_answer(void *context, const struct cmds_result *result)
{
    struct way *way = context;
    check(result->error, "an answer");
    way->in_flight--;
    send_one(way);
}

static void send_one(struct way *way)
{
    static const char text[TEXT_MAX] = "0123456789abcdef";
    const struct pass pass = {way->left, {text, next_size()}};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    if (way->left == 0) {
        return;
    }
    if (way->has_context && --way->until_context == 0) {
        way->until_context = way->every;
        how.trace = &way->trace;
    }
    way->left--;
    way->in_flight++;
    check(cmds_group_send(way->group, pass_message(&pass), &how, on_answer, way), "a send");
}

static void send_all(struct way *way, uint32_t count)
{
    way->left = count;
    for (uint32_t i = 0; i < (echoes ? ECHO_IN_FLIGHT : IN_FLIGHT); i++) {
        send_one(way);
    }
    while (way->in_flight > 0) {
        check(cmds_runtime_turn(way->runtime, CMDS_NEVER), "a turn");
    }
}

/* By name for callgrind. */
void measured(struct way *way, uint32_t count);
__attribute__((noinline)) void measured(struct way *way, uint32_t count)
{
    send_all(way, count);
}

/* --- A way ------------------------------------------------------------------------------------ */

static void way_open(struct way *way)
{
    static const struct cmds_exec execs[] = {CMDS_EXEC(pass, on_pass)};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    char address[64];
    trace.span_rate_max = way->span_rate_max;
    trace.root_ratio = way->span_rate_max == 0 ? -1 : 1;
    options.shard_count = CMDS_SHARDS_INLINE;
    options.trace = way->has_spans ? &trace : NULL;
    telemetry.off = way->is_uncounted ? CMDS_TELEMETRY_ALL : 0;
    options.telemetry = &telemetry;
    check(cmds_runtime_start(&way->runtime, &options, &error), error.text);
    char path[64];
    (void)snprintf(path, sizeof(path), "unix:@cmdstream-spans-%ld-%s", (long)getpid(), way->name);
    server.listen = is_unix ? path : "127.0.0.1:0";
    check(cmds_server_start(&way->server, way->runtime, &server, &error), error.text);
    check(cmds_server_address(way->server, 0, address, sizeof(address)), "its address");
    group.connect = address;
    group.client_count = echoes ? ECHO_CONNECTIONS : CONNECTIONS;
    group.in_flight_max = ECHO_IN_FLIGHT;
    check(cmds_group_open(&way->group, way->runtime, &group, &error), error.text);
    check(cmds_group_wait(way->group, 5000, &error), error.text);
    memset(way->trace.trace_id, 0x5a, sizeof(way->trace.trace_id));
    memset(way->trace.span_id, 0xa5, sizeof(way->trace.span_id));
    way->trace.flags = way->is_sampled ? CMDS_TRACE_SAMPLED : 0;
    const uint32_t every = way->every;
    way->every = way->until_context = 1;
    send_all(way, COMMANDS); // So that buffers are there, and the ring is full.
    way->every = way->until_context = every;
}

static void way_close(struct way *way)
{
    cmds_group_close(way->group, NULL, NULL);
    cmds_server_close(way->server);
    cmds_runtime_stop(way->runtime);
}

static uint64_t cpu_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *one = a;
    const double *other = b;
    return (*one > *other) - (*one < *other);
}

/* The least is the first from here on. */
static double median(double *values)
{
    qsort(values, SAMPLES, sizeof(values[0]), compare);
    return values[SAMPLES / 2];
}

/* --- A process for each way ------------------------------------------------------------------- */

static void serve_rounds(struct way *way, int socket)
{
    char one = 0;
    way_open(way);
    while (read(socket, &one, sizeof(one)) == 1) {
        uint64_t since_ns = cpu_ns();
        measured(way, COMMANDS);
        double ns = (double)(cpu_ns() - since_ns) / COMMANDS;
        if (write(socket, &ns, sizeof(ns)) != sizeof(ns)) {
            break;
        }
    }
    way_close(way);
}

static void process_begin(struct way *way)
{
    int sockets[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ? -errno : 0,
            "a socket pair");
    way->process = fork();
    check(way->process < 0 ? -errno : 0, "a process");
    if (way->process == 0) {
        (void)close(sockets[0]);
        serve_rounds(way, sockets[1]);
        exit(0);
    }
    (void)close(sockets[1]);
    way->socket = sockets[0];
}

static double process_round(const struct way *way)
{
    double ns = 0;
    if (write(way->socket, "", 1) != 1 || read(way->socket, &ns, sizeof(ns)) != sizeof(ns)) {
        fprintf(stderr, "spans: the process of '%s' has ended\n", way->name);
        exit(1);
    }
    return ns;
}

static void process_end(const struct way *way)
{
    (void)shutdown(way->socket, SHUT_RDWR); // Those that were begun later have copies of it.
    (void)close(way->socket);
    (void)waitpid(way->process, NULL, 0);
}

/* As they are listed, round and round, and each begins in its turn. */
static void run_round(struct way *const *list, uint32_t count, uint32_t sample)
{
    for (uint32_t i = 0; i < count; i++) {
        struct way *way = list[(sample + i) % count];
        way->ns[sample] = process_round(way);
    }
    for (uint32_t i = 0; i < count; i++) {
        list[i]->ratios[sample] = list[0]->ns[sample] / list[i]->ns[sample];
    }
}

static void run(struct way *const *list, uint32_t count)
{
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        for (uint32_t i = 0; i < count && sample % ROUNDS == 0; i++) {
            process_begin(list[i]);
        }
        run_round(list, count, sample);
        for (uint32_t i = 0; i < count && sample % ROUNDS == ROUNDS - 1; i++) {
            process_end(list[i]);
        }
    }
    printf("%-10s %8s %8s %9s\n", "", "best ns", "median", "of first");
    for (uint32_t i = 0; i < count; i++) {
        struct way *way = list[i];
        double median_ns = median(way->ns);
        printf("%-10s %8.0f %8.0f %9.3f  %s\n", way->name, way->ns[0], median_ns,
                median(way->ratios), way->means);
    }
}

static int find(const char *name, uint32_t count, struct way **list)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        bool is_listed = false;
        for (uint32_t k = 0; k < count; k++) {
            is_listed = is_listed || list[k] == &ways[i];
        }
        if (!is_listed && (name == NULL || strcmp(name, ways[i].name) == 0)) {
            list[count++] = &ways[i];
        }
    }
    return (int)count;
}

int main(int argc, char **argv)
{
    struct way *list[WAYS];
    int first = 1;
    uint32_t count = 0;
    uint32_t once = 0;
    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        bool is_echo = strcmp(argv[first], "--echo") == 0;
        if (!is_echo && strcmp(argv[first], "--unix") != 0) {
            break; // No way has such a name.
        }
        *(is_echo ? &echoes : &is_unix) = true;
    }
    for (int i = first; i < argc; i++) {
        once = (uint32_t)atoi(argv[i]);
        count = (uint32_t)find(argv[i], count, list);
    }
    count = first == argc ? (uint32_t)find(NULL, 0, list) : count;
    if (count == 0) {
        fprintf(stderr, "Usage: spans [--echo] [--unix] [WAY... | WAY COMMANDS]\n");
        return 2;
    }
    if (once > 0) {
        way_open(list[0]);
        measured(list[0], once);
        way_close(list[0]);
        return 0;
    }
    run(list, count);
    return 0;
}
