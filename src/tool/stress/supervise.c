/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream stress --serve`: a server in a child process, which is ended and started again and again, at
 * the same address. How long it is up and down, and how it ends, is drawn from the seed.
 *
 *     kill    SIGKILL: all connections end at once, and what was in flight is lost
 *     drain   SIGTERM: it ends in order; its exit status is looked at, for what sanitizers say in it
 *     stall   SIGSTOP, and later SIGCONT: nothing answers meanwhile, though all connections are there
 *
 * Port 0 is resolved here, and a socket that is bound but does not listen keeps the port for us: while the
 * server is down a connect is refused, and nobody else gets the port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "clock.h"
#include "stress/generate.h"
#include "stress/stress.h"

enum {
    SUPERVISE_END_MS = 15000,
    SUPERVISE_LOOK_MS = 100,
    SUPERVISE_NS_PER_MS = 1000 * 1000,
};

enum supervise_way {
    SUPERVISE_KILL,
    SUPERVISE_DRAIN,
    SUPERVISE_STALL,
    SUPERVISE_MIX,
    SUPERVISE_UNKNOWN
};
static const char *const supervise_names[] = {[SUPERVISE_KILL] = "kill",
        [SUPERVISE_DRAIN] = "drain",
        [SUPERVISE_STALL] = "stall",
        [SUPERVISE_MIX] = "mix"};

struct supervise {
    const struct stress *stress;
    enum supervise_way way;
    char address[TOOL_CHILD_ADDRESS_SIZE];
    int port_fd; // -1: none.
    struct tool_child child;
    struct stress_served served;
    uint64_t draws;
    bool ended; // By a signal.
};

/* --- The address --------------------------------------------------------------------------------- */

/* HOST:0 with a number for a host. Returns: false: it is no such address, and is taken as it is. */
static bool supervise_parse(const char *text, struct sockaddr_storage *address, socklen_t *size)
{
    char host[TOOL_CHILD_ADDRESS_SIZE];
    size_t length = strlen(text);
    if (length < 3 || length >= sizeof(host) || strcmp(text + length - 2, ":0") != 0) {
        return false;
    }
    memcpy(host, text, length - 2);
    host[length - 2] = '\0';
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)address;
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        *size = sizeof(*four);
        return true;
    }
    if (host[0] != '[' || host[length - 3] != ']') {
        return false;
    }
    host[length - 3] = '\0';
    six->sin6_family = AF_INET6;
    *size = sizeof(*six);
    return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1;
}

static int supervise_take_port(struct supervise *supervise)
{
    const char *listen = supervise->stress->options.serve;
    struct sockaddr_storage address;
    socklen_t size = 0;
    int on = 1;
    snprintf(supervise->address, sizeof(supervise->address), "%s", listen);
    if (!supervise_parse(listen, &address, &size)) {
        return 0;
    }
    supervise->port_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (supervise->port_fd < 0 ||
            setsockopt(supervise->port_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(supervise->port_fd, (struct sockaddr *)&address, size) < 0 ||
            getsockname(supervise->port_fd, (struct sockaddr *)&address, &size) < 0) {
        return -errno;
    }
    // Of both families at the same place.
    uint16_t port = ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
    snprintf(supervise->address, sizeof(supervise->address), "%.*s:%u", (int)strlen(listen) - 2,
            listen, port);
    return 0;
}

/* --- The server ---------------------------------------------------------------------------------- */

static int supervise_start(struct supervise *supervise)
{
    const struct stress_options *options = &supervise->stress->options;
    struct tool_arguments arguments = {.count = 0};
    tool_argument(&arguments, "cmdstream");
    tool_argument(&arguments, "stress");
    tool_argument_text(&arguments, "--serve", supervise->address);
    tool_argument_text(&arguments, "--codec", options->codec);
    tool_argument_number(&arguments, "--server-up-max-ms", 0);
    tool_argument_number(&arguments, "--server-shards", options->server_shards);
    if (options->verbose) {
        tool_argument(&arguments, "--verbose");
    }
    tool_argument_text(&arguments, "--tls-cert", options->tls.certificate);
    tool_argument_text(&arguments, "--tls-key", options->tls.key);
    tool_argument_text(&arguments, "--tls-ca", options->tls.ca);
    tool_argument_text(&arguments, "--tls-crl", options->tls.crl);
    tool_argument_text(&arguments, "--tls-ciphers", options->tls.ciphers);
    tool_argument_text(&arguments, "--tls-min-version", options->tls.min_version);
    tool_argument_text(&arguments, "--tls-alpn", options->tls.alpn);
    if (options->tls.require_client_certificate) {
        tool_argument(&arguments, "--tls-require-client-cert");
    }
    supervise->served.starts++;
    return tool_child_start(&supervise->child, &arguments);
}

static uint64_t supervise_draw(struct supervise *supervise, uint64_t count)
{
    uint64_t random =
            stress_random(supervise->stress->options.seed, supervise->draws++, STRESS_SERVER);
    return stress_below(random, count);
}

static void supervise_failed(struct supervise *supervise, const char *what, int status)
{
    char how[64];
    supervise->served.failures++;
    cmdi_tool_say(
            "cmdstream stress: the server %s%s", what, tool_child_how(status, how, sizeof(how)));
}

static void supervise_look(struct supervise *supervise)
{
    struct stress_sample sample = stress_sample_of(supervise->child.pid);
    struct stress_served *served = &supervise->served;
    if (sample.descriptors > served->descriptors_peak) {
        served->descriptors_peak = sample.descriptors;
    }
    if (sample.memory_kib > served->memory_peak_kib) {
        served->memory_peak_kib = sample.memory_kib;
    }
}

/* So long, while the server (if there is one) lives, and no signal tells us to end. */
static void supervise_wait(struct supervise *supervise, uint64_t ms)
{
    uint64_t until_ns = cmdi_tool_now_ns() + ms * SUPERVISE_NS_PER_MS;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    for (uint64_t now_ns = cmdi_tool_now_ns(); now_ns < until_ns && !supervise->ended;
            now_ns = cmdi_tool_now_ns()) {
        uint64_t left_ns = until_ns - now_ns;
        uint64_t most_ns = (uint64_t)SUPERVISE_LOOK_MS * SUPERVISE_NS_PER_MS;
        struct timespec wait = {.tv_nsec = (long)(left_ns < most_ns ? left_ns : most_ns)};
        supervise->ended = sigtimedwait(&signals, NULL, &wait) > 0;
        int status;
        if (supervise->child.pid > 0) {
            supervise_look(supervise);
            if (tool_child_has_ended(&supervise->child, &status)) {
                supervise_failed(supervise, "was not told to end, and ", status);
                return;
            }
        }
    }
}

static void supervise_drain(struct supervise *supervise)
{
    int status = tool_child_end(&supervise->child, SIGTERM, SUPERVISE_END_MS, NULL, 0);
    // 2: some calls had not ended in time.
    if (!WIFEXITED(status) ||
            (WEXITSTATUS(status) != TOOL_EXIT_OK && WEXITSTATUS(status) != TOOL_EXIT_USAGE)) {
        supervise_failed(supervise, "was told to end, and ", status);
    }
}

static enum supervise_way supervise_draw_way(struct supervise *supervise)
{
    return supervise->way != SUPERVISE_MIX
                   ? supervise->way
                   : (enum supervise_way)supervise_draw(supervise, SUPERVISE_MIX);
}

/* While it is up. Returns: it is to go down for a while. */
static bool supervise_end_one(struct supervise *supervise)
{
    struct stress_served *served = &supervise->served;
    if (supervise->child.pid <= 0) {
        return true; // By itself.
    }
    switch (supervise_draw_way(supervise)) {
    case SUPERVISE_KILL:
        served->kills++;
        (void)tool_child_end(&supervise->child, SIGKILL, SUPERVISE_END_MS, NULL, 0);
        return true;
    case SUPERVISE_STALL:
        served->stalls++;
        (void)kill(supervise->child.pid, SIGSTOP);
        supervise_wait(supervise,
                1 + supervise_draw(supervise, supervise->stress->options.server_stall_max_ms));
        if (supervise->child.pid > 0) {
            (void)kill(supervise->child.pid, SIGCONT);
        }
        return false;
    case SUPERVISE_DRAIN:
    case SUPERVISE_MIX:
    case SUPERVISE_UNKNOWN:
        break;
    }
    served->drains++;
    supervise_drain(supervise);
    return true;
}

static int supervise_run(struct supervise *supervise)
{
    const struct stress_options *options = &supervise->stress->options;
    while (!supervise->ended) {
        supervise_wait(supervise, 1 + supervise_draw(supervise, options->server_up_max_ms));
        if (supervise->ended || !supervise_end_one(supervise)) {
            continue;
        }
        if (options->server_down_max_ms > 0) {
            supervise_wait(supervise, supervise_draw(supervise, options->server_down_max_ms));
        }
        int code = supervise->ended ? 0 : supervise_start(supervise);
        if (code < 0) {
            return code;
        }
    }
    if (supervise->child.pid > 0) {
        (void)kill(supervise->child.pid, SIGCONT);
        supervise_drain(supervise);
    }
    return 0;
}

static void supervise_report(const struct supervise *supervise)
{
    const struct stress_served *served = &supervise->served;
    if (!supervise->stress->options.json) {
        printf("server: started %llu times, killed %llu, drained %llu, stalled %llu times; "
               "%llu failures\n",
                (unsigned long long)served->starts, (unsigned long long)served->kills,
                (unsigned long long)served->drains, (unsigned long long)served->stalls,
                (unsigned long long)served->failures);
        return;
    }
    json_t *object = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "starts",
            (json_int_t)served->starts, "kills", (json_int_t)served->kills, "drains",
            (json_int_t)served->drains, "stalls", (json_int_t)served->stalls, "failures",
            (json_int_t)served->failures, "descriptors_peak", (json_int_t)served->descriptors_peak,
            "memory_peak_kib", (json_int_t)served->memory_peak_kib);
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static enum supervise_way supervise_way(const char *name)
{
    for (size_t i = 0; i < sizeof(supervise_names) / sizeof(supervise_names[0]); i++) {
        if (strcmp(supervise_names[i], name) == 0) {
            return (enum supervise_way)i;
        }
    }
    return SUPERVISE_UNKNOWN;
}

bool stress_supervise_knows(const char *way)
{
    return supervise_way(way) != SUPERVISE_UNKNOWN;
}

int stress_supervise(const struct stress *stress)
{
    struct supervise supervise = {.stress = stress, .port_fd = -1, .child.output = -1};
    supervise.way = supervise_way(stress->options.server_stop);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int code = supervise_take_port(&supervise);
    code = code < 0 ? code : supervise_start(&supervise);
    if (code == 0) {
        printf("listening on %s (stress, %s, up for at most %u ms, down for at most %u)\n",
                supervise.child.address, stress->codec->name, stress->options.server_up_max_ms,
                stress->options.server_down_max_ms);
        code = cmdi_tool_flush();
    }
    code = code < 0 ? code : supervise_run(&supervise);
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: no server at %s: %s\n", supervise.address,
                cmds_error_text(code));
        (void)tool_child_end(&supervise.child, SIGKILL, 0, NULL, 0);
    }
    supervise_report(&supervise);
    if (supervise.port_fd >= 0) {
        close(supervise.port_fd);
    }
    return code < 0 || supervise.served.failures > 0 ? TOOL_EXIT_FAILED : TOOL_EXIT_OK;
}
