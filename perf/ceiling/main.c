/* SPDX-License-Identifier: MIT */
/*
 * The practical ceiling of a machine: a plain echo, with nothing above it. What a library for
 * commands reaches is told as a share of what this program reaches on the same two cores in the same
 * minutes. It is linked twice, once for each way to ask the kernel, since neither is always ahead:
 * `ceiling` with io_uring, `ceiling-epoll` with epoll.
 *
 *     block:   length, 4 bytes, little-endian | that many bytes
 *     echo:    the server copies each block into the connection's output and sends it back
 *     stream:  a length with its highest bit set, then count, size; the answer: so many such blocks
 *
 * One thread a side, each pinned to its own core. Blocks are parsed where they were received, and one send is
 * in flight for each connection. No codec, no sequence numbers, no limits, no timers. The client
 * checks the length and the first and last byte of every answer; with --check every byte.
 *
 *     main.c     roles, and the report      blocks.c  what is done for each block
 *     options.c  the command line           ring.c    io_uring: DEFER_TASKRUN, a multishot receive for
 *                                                     each connection into one ring of buffers
 *                                           epoll.c   epoll, recv and send, one buffer for all
 */
#include "ceiling.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SECONDS_TO_DRAIN = 10
};

_Noreturn void die(const char *what, int code)
{
    fprintf(stderr, "ceiling (%s): %s: %s\n", way_name, what, strerror(code < 0 ? -code : code));
    exit(1);
}

void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        die("memory", ENOMEM);
    }
    return memory;
}

uint64_t clock_ns(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0) {
        return 0; // The server's clock, once it has ended.
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pin(uint32_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        die("pin to a CPU", errno);
    }
}

static double histogram_quantile_us(const struct side *side, double quantile)
{
    uint64_t count = 0;
    uint64_t rank = (uint64_t)ceil(quantile * (double)side->commands);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += side->histogram[i];
        if (count >= rank && count > 0) {
            uint32_t shift = i >> HISTOGRAM_BITS > 1 ? (i >> HISTOGRAM_BITS) - 1 : 0;
            uint64_t low = (uint64_t)(i - (shift << HISTOGRAM_BITS)) << shift;
            return (double)low / 1e3;
        }
    }
    return 0;
}

/* --- Roles --- */

static struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64] = "";
    unsigned port = 0;
    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port > 65535 ||
            inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "ceiling: \"%s\" is not an address such as 127.0.0.1:9000\n", text);
        exit(2);
    }
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        die("socket", errno);
    }
    return fd;
}

static int open_listener(const char *text, struct sockaddr_in *bound)
{
    *bound = parse_address(text);
    int fd = open_socket();
    socklen_t size = sizeof(*bound);
    if (bind(fd, (struct sockaddr *)bound, size) != 0 || listen(fd, 4096) != 0 ||
            getsockname(fd, (struct sockaddr *)bound, &size) != 0) {
        die(text, errno);
    }
    return fd;
}

/* Serves for ever; for a child of ours until its clients are gone. */
static void run_server(const struct options *options, int listener, bool is_child)
{
    struct side side;
    pin(options->server_cpu);
    side_init(&side, options, true);
    side.listener = listener;
    way_accept(&side);
    while (!is_child || side.conn_count == 0 || side.open_count > 0) {
        way_turn(&side);
    }
}

static void run_for(struct side *side, double seconds)
{
    uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    while (side->now_ns < end) {
        way_turn(side);
    }
}

struct measure {
    double seconds;
    uint64_t client_cpu_ns, server_cpu_ns;
};

static struct measure run_client(struct side *side, const struct options *options,
        const struct sockaddr_in *server, bool has_clock, clockid_t server_clock)
{
    pin(options->client_cpu);
    side_init(side, options, false);
    side->random = 0x9e3779b97f4a7c15u;
    side->histogram = allocate(HISTOGRAM_BUCKETS * sizeof(*side->histogram));
    for (uint32_t i = 0; i < options->conns; i++) {
        int fd = open_socket();
        if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) != 0) {
            die("connect", errno);
        }
        side_add(side, fd);
    }
    side->now_ns = clock_ns(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < options->conns * options->in_flight; i++) {
        side_command(side, i % options->conns);
    }
    side_flush(side);
    run_for(side, options->warmup);

    side->commands = side->results = side->bytes = side->max_ns = 0;
    memset(side->histogram, 0, HISTOGRAM_BUCKETS * sizeof(*side->histogram));
    uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    uint64_t client_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t server_cpu = has_clock ? clock_ns(server_clock) : 0;
    run_for(side, options->duration);
    return (struct measure){
            .seconds = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9,
            .client_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client_cpu,
            .server_cpu_ns = has_clock ? clock_ns(server_clock) - server_cpu : 0,
    };
}

static void report(
        const struct side *side, const struct options *options, const struct measure *measure)
{
    double commands = side->commands > 0 ? (double)side->commands : 1;
    double per_second = (double)side->commands / measure->seconds;
    double results = (double)side->results / measure->seconds;
    double mb = (double)side->bytes / measure->seconds / 1e6;
    double quantiles[4] = {histogram_quantile_us(side, 0.5), histogram_quantile_us(side, 0.9),
            histogram_quantile_us(side, 0.99), histogram_quantile_us(side, 0.999)};
    double client_cpu = (double)measure->client_cpu_ns / 1e3 / commands;
    double server_cpu = (double)measure->server_cpu_ns / 1e3 / commands;
    if (!options->json) {
        printf("%ux%u%s%s: %.0f commands/s, %.0f results/s, %.1f MB/s; p50 %.1f p90 %.1f p99 %.1f "
               "p99.9 %.1f "
               "max %.1f us; CPU us per command: client %.3f, server %.3f; errors %llu\n",
                options->conns, options->in_flight, options->stream > 0 ? " stream" : "",
                options->spin ? " spinning" : "", per_second, results, mb, quantiles[0],
                quantiles[1], quantiles[2], quantiles[3], (double)side->max_ns / 1e3, client_cpu,
                server_cpu, (unsigned long long)side->errors);
        return;
    }
    printf("{\"way\": \"%s\", \"buffers\": %u, \"buffer_size\": %u, ", way_name,
            options->buffer_count, options->buffer_size);
    printf("\"conns\": %u, \"in_flight\": %u, \"size\": %u, \"stream\": %u, \"spin\": %s, "
           "\"seconds\": %.3f, "
           "\"commands\": %llu, \"commands_per_second\": %.1f, \"results_per_second\": %.1f, "
           "\"mb_per_second\": %.3f, ",
            options->conns, options->in_flight, options->size, options->stream,
            options->spin ? "true" : "false", measure->seconds, (unsigned long long)side->commands,
            per_second, results, mb);
    printf("\"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": "
           "%.3f, "
           "\"client_cpu_us_per_command\": %.4f, \"server_cpu_us_per_command\": %.4f, \"errors\": "
           "%llu}\n",
            quantiles[0], quantiles[1], quantiles[2], quantiles[3], (double)side->max_ns / 1e3,
            client_cpu, server_cpu, (unsigned long long)side->errors);
}

static void on_alarm(int number)
{
    (void)number;
    static const char text[] = "ceiling: stalled: an answer never came\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;
    _exit(1);
}

static int measure_and_report(const struct options *options, const struct sockaddr_in *server,
        bool has_clock, clockid_t clock)
{
    struct side side;
    struct sigaction action = {.sa_handler = on_alarm};
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm((unsigned)(options->warmup + options->duration) + SECONDS_TO_DRAIN);
    struct measure measure = run_client(&side, options, server, has_clock, clock);
    struct side measured = side;
    uint64_t *histogram = allocate(HISTOGRAM_BUCKETS * sizeof(*histogram));
    memcpy(histogram, side.histogram, HISTOGRAM_BUCKETS * sizeof(*histogram));
    measured.histogram = histogram;
    side.draining = true;
    while (side.in_flight > 0) {
        way_turn(&side);
    }
    measured.errors = side.errors;
    report(&measured, options, &measure);
    bool printed = fflush(stdout) == 0;
    return side.errors == 0 && printed ? 0 : 1;
}

/* Both sides: a child serves. */
static int run_both(const struct options *options)
{
    struct sockaddr_in address;
    int listener = open_listener(options->listen, &address);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        die("fork", errno);
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == parent) {
            run_server(options, listener, true);
        }
        _exit(0);
    }
    (void)close(listener);
    clockid_t clock = 0;
    bool has_clock = clock_getcpuclockid(child, &clock) == 0;
    int status = measure_and_report(options, &address, has_clock, clock);
    (void)kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = parse_options(argc, argv);
    struct sockaddr_in address;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); // Too few shows later, by name.
    }
    if (options.server_only) {
        int listener = open_listener(options.listen, &address);
        char host[INET_ADDRSTRLEN] = "";
        (void)inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
        printf("listening on %s:%u\n", host, ntohs(address.sin_port));
        (void)fflush(stdout);
        run_server(&options, listener, false);
    }
    if (options.client_of != NULL) {
        address = parse_address(options.client_of);
        return measure_and_report(&options, &address, false, 0);
    }
    return run_both(&options);
}
