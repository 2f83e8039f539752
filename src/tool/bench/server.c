/* SPDX-License-Identifier: MIT */
/*
 * The server that `bench` measures when it is not told of another: this same program in a child
 * process, on CPUs of its own, so that neither side's threads run on the other's core and both
 * sides' CPU time can be told apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/test.h"

enum {
    SERVER_ARGUMENTS_MAX = 40,
    SERVER_NUMBER_SIZE = 16,
    SERVER_STOP_MS = 5000,
    SERVER_LINE_SIZE = 512
};

struct server_arguments {
    const char *list[SERVER_ARGUMENTS_MAX];
    char numbers[SERVER_ARGUMENTS_MAX][SERVER_NUMBER_SIZE];
    uint32_t count;
};

static void server_argument(struct server_arguments *arguments, const char *argument)
{
    if (arguments->count < SERVER_ARGUMENTS_MAX - 1) {
        arguments->list[arguments->count++] = argument;
    }
}

static void server_number(struct server_arguments *arguments, const char *name, uint32_t number)
{
    char *text = arguments->numbers[arguments->count];
    snprintf(text, SERVER_NUMBER_SIZE, "%u", number);
    server_argument(arguments, name);
    server_argument(arguments, text);
}

static void server_arguments_make(const struct bench *bench, struct server_arguments *arguments)
{
    const struct bench_options *options = &bench->options;
    uint32_t connections = options->conns + options->light + options->idle + options->callers;
    server_argument(arguments, "cmdstream");
    server_argument(arguments, "serve");
    server_argument(arguments, "--quiet");
    server_argument(arguments, "--listen");
    server_argument(arguments, "127.0.0.1:0");
    server_argument(arguments, "--codec");
    server_argument(arguments, bench->plan.codec->name);
    server_number(arguments, "--spin-us", options->server_spin_us);
    if (options->spin_always) {
        server_argument(arguments, "--spin-always");
    }
    server_number(arguments, "--drain-ms", SERVER_STOP_MS / 2);
    if (connections > TOOL_CONNECTIONS_DEFAULT) {
        server_number(arguments, "--max-connections", connections);
    }
    server_number(
            arguments, "--max-in-flight", options->in_flight > 1024 ? options->in_flight : 1024);
    if (options->server_shards > 0) {
        server_number(arguments, "--shards", options->server_shards);
    }
    if (options->server_workers > 0) {
        server_number(arguments, "--workers", options->server_workers);
    }
    if (options->burn_us > 0) {
        server_number(arguments, "--burn-us", options->burn_us);
    }
    if (options->server_info != NULL) {
        server_argument(arguments, "--server-info");
        server_argument(arguments, options->server_info);
    }
    if (options->no_pin) {
        server_argument(arguments, "--no-pin");
    }
    if (options->tls.on) {
        server_argument(arguments, "--tls-cert");
        server_argument(arguments, bench->certificates->certificate.path);
        server_argument(arguments, "--tls-key");
        server_argument(arguments, bench->certificates->key.path);
    }
    arguments->list[arguments->count] = NULL;
}

/* In the child, single-threaded still: everything up to exec is safe. */
static void server_exec(const struct server_arguments *arguments, const uint16_t *cpus,
        uint32_t cpu_count, int output, pid_t parent)
{
    // Does not outlive the bench.
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
    if (getppid() != parent) {
        _exit(127); // Which ended before that.
    }
    (void)setpgid(0, 0); // ^C is for the bench, which ends the server when it has measured.
    if (cpu_count > 0 && cmdi_tool_cpus_bind(cpus, cpu_count) < 0) {
        fprintf(stderr, "cmdstream bench: the server's CPUs could not be set\n");
    }
    if (dup2(output, STDOUT_FILENO) >= 0) {
        execv("/proc/self/exe", (char *const *)(uintptr_t)arguments->list);
        perror("cmdstream bench: exec /proc/self/exe");
    }
    _exit(127);
}

/* "listening on 127.0.0.1:40123 (...)" -> the address. */
static int server_read_address(struct bench_server *server)
{
    char line[SERVER_LINE_SIZE];
    size_t used = 0;
    while (used < sizeof(line) - 1) {
        ssize_t got = read(server->output, line + used, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || line[used] == '\n') {
            break;
        }
        used++;
    }
    line[used] = '\0';
    return sscanf(line, "listening on %255s", server->address) == 1 ? 0 : -ECONNREFUSED;
}

int bench_server_start(struct bench *bench, const uint16_t *cpus, uint32_t cpu_count)
{
    struct server_arguments *arguments = calloc(1, sizeof(*arguments));
    int ends[2] = {-1, -1};
    if (arguments == NULL || pipe2(ends, O_CLOEXEC) < 0) {
        free(arguments);
        return -ENOMEM;
    }
    server_arguments_make(bench, arguments);
    fflush(NULL); // What is buffered belongs to the parent.
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        server_exec(arguments, cpus, cpu_count, ends[1], parent);
    }
    int code = pid < 0 ? -errno : 0;
    free(arguments);
    close(ends[1]);
    bench->server = (struct bench_server){.pid = pid, .own = pid > 0, .output = ends[0]};
    if (code == 0) {
        code = server_read_address(&bench->server);
    }
    if (code < 0) {
        fprintf(stderr, "cmdstream bench: the server did not start\n");
        bench_server_stop(&bench->server);
    }
    return code;
}

void bench_server_stop(struct bench_server *server)
{
    if (!server->own) {
        return;
    }
    (void)kill(server->pid, SIGTERM);
    struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
    uint64_t until_ns = cmdi_tool_now_ns() + (uint64_t)SERVER_STOP_MS * 1000000;
    pid_t ended;
    while ((ended = waitpid(server->pid, NULL, WNOHANG)) == 0 && cmdi_tool_now_ns() < until_ns) {
        nanosleep(&pause, NULL);
    }
    if (ended == 0) {
        fprintf(stderr, "cmdstream bench: the server did not end, it is killed\n");
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
    }
    close(server->output);
    server->own = false;
}
