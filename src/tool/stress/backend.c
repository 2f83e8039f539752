/* SPDX-License-Identifier: MIT */
/* See backend.h. */
#include "stress/backend.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <jansson.h>

#include "chaos.h"
#include "clock.h"
#include "stress/stress.h"

enum {
    BACKEND_END_MS = 20000,
    BACKEND_EMPTY_MS = 10000,
    BACKEND_LOOK_NS = 10 * 1000 * 1000,
    BACKEND_HOW_SIZE = 64,
};

/* Those of several differ in when they restart, and in their faults. */
static uint64_t backend_seed(const struct stress *stress, uint32_t index)
{
    return (stress->options.seed + index) & UINT32_MAX;
}

/* --- Servers --------------------------------------------------------------------------------------- */

/*
 * A loopback address of its own: while the server is away its port is nobody else's. On 127.0.0.1, for
 * which certificates are, any connection and any other listener may get it.
 */
static void backend_listen_address(const struct stress *stress, uint32_t index, char text[32])
{
    uint32_t pid = (uint32_t)getpid();
    if (stress->options.tls.on) {
        (void)snprintf(text, 32, "127.0.0.1:0");
    } else {
        (void)snprintf(text, 32, "127.%u.%u.%u:0", 64 + index % 128, pid >> 8 & 255, pid & 255);
    }
}

static int backend_start_server(
        struct stress_backend *backend, const struct stress *stress, uint32_t index)
{
    const struct stress_options *options = &stress->options;
    struct tool_arguments arguments = {.count = 0};
    char address[32];
    backend_listen_address(stress, index, address);
    tool_argument(&arguments, "cmdstream");
    tool_argument(&arguments, "stress");
    tool_argument_text(&arguments, "--serve", address);
    tool_argument(&arguments, "--json");
    tool_argument_text(&arguments, "--codec", options->codec);
    tool_argument_text(&arguments, "--server-stop", options->server_stop);
    tool_argument_number(&arguments, "--seed", backend_seed(stress, index));
    tool_argument_number(&arguments, "--server-shards", options->server_shards);
    tool_argument_number(&arguments, "--server-up-max-ms", options->server_up_max_ms);
    tool_argument_number(&arguments, "--server-down-max-ms", options->server_down_max_ms);
    tool_argument_number(&arguments, "--server-stall-max-ms", options->server_stall_max_ms);
    if (options->verbose) {
        tool_argument(&arguments, "--verbose");
    }
    if (options->tls.on) {
        tool_argument_text(&arguments, "--tls-cert", stress->certificates.certificate.path);
        tool_argument_text(&arguments, "--tls-key", stress->certificates.key.path);
    }
    int code = tool_child_start(&backend->supervisor, &arguments);
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: the server did not start: %s\n", strerror(-code));
        return code;
    }
    snprintf(backend->address, sizeof(backend->address), "%s", backend->supervisor.address);
    return 0;
}

static uint64_t backend_member(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void backend_end_server(struct stress_backend *backend)
{
    char line[STRESS_LINE_SIZE] = "", how[BACKEND_HOW_SIZE];
    if (backend->supervisor.pid <= 0) {
        return;
    }
    int status = tool_child_end(&backend->supervisor, SIGTERM, BACKEND_END_MS, line, sizeof(line));
    json_t *object = json_loads(line, 0, NULL);
    backend->served = (struct stress_served){.starts = backend_member(object, "starts"),
            .kills = backend_member(object, "kills"),
            .drains = backend_member(object, "drains"),
            .stalls = backend_member(object, "stalls"),
            .failures = backend_member(object, "failures"),
            .descriptors_peak = backend_member(object, "descriptors_peak"),
            .memory_peak_kib = backend_member(object, "memory_peak_kib")};
    json_decref(object);
    // That of a server without restarts is the server itself: 2 is a call that did not end in time.
    bool good = WIFEXITED(status) &&
                (WEXITSTATUS(status) == TOOL_EXIT_OK ||
                        (backend->served.starts == 0 && WEXITSTATUS(status) == TOOL_EXIT_USAGE));
    if (!good) {
        cmdi_tool_say("cmdstream stress: the supervisor of a server %s",
                tool_child_how(status, how, sizeof(how)));
        backend->served.failures += backend->served.failures == 0;
    }
}

/* --- Proxies --------------------------------------------------------------------------------------- */

bool stress_backend_chaos_goes(const struct stress_options *options)
{
    enum {
        WORDS = 6,
    };
    char route[] = "127.0.0.1:0=127.0.0.1:9"; // It is written to.
    const char *words[WORDS + 1] = {"cmdstream chaos", "--faults", options->chaos_faults, "--every",
            options->chaos_every, route};
    struct tool_chaos *chaos = calloc(1, sizeof(*chaos));
    char **argv = (char **)(uintptr_t)words;
    bool goes = chaos != NULL && tool_chaos_parse(chaos, WORDS, argv) == TOOL_PARSED;
    free(chaos);
    return goes;
}

static int backend_start_proxy(
        struct stress_backend *backend, const struct stress *stress, uint32_t index)
{
    const struct stress_options *options = &stress->options;
    char route[TOOL_CHILD_ADDRESS_SIZE + 16];
    snprintf(route, sizeof(route), "127.0.0.1:0=%s", backend->address);
    struct tool_arguments arguments = {.count = 0};
    tool_argument(&arguments, "cmdstream");
    tool_argument(&arguments, "chaos");
    tool_argument(&arguments, "--quiet");
    tool_argument_text(&arguments, "--faults", options->chaos_faults);
    tool_argument_text(&arguments, "--every", options->chaos_every);
    tool_argument_number(&arguments, "--seed", backend_seed(stress, index));
    tool_argument(&arguments, route);
    int code = tool_child_start(&backend->proxy, &arguments);
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: the proxy did not start: %s\n", strerror(-code));
        return code;
    }
    snprintf(backend->address, sizeof(backend->address), "%s", backend->proxy.address);
    backend->proxy_begin = stress_sample_of(backend->proxy.pid);
    return 0;
}

static void backend_raise(struct stress_sample *peak, struct stress_sample sample)
{
    peak->descriptors =
            sample.descriptors > peak->descriptors ? sample.descriptors : peak->descriptors;
    peak->memory_kib = sample.memory_kib > peak->memory_kib ? sample.memory_kib : peak->memory_kib;
}

void stress_backend_look(struct stress_backend *backend)
{
    int status;
    char how[BACKEND_HOW_SIZE];
    if (backend->proxy.pid <= 0) {
        return;
    }
    if (tool_child_has_ended(&backend->proxy, &status)) {
        cmdi_tool_say("cmdstream stress: the proxy was not told to end, and %s",
                tool_child_how(status, how, sizeof(how)));
        backend->proxy_failed = true;
        return;
    }
    backend->proxy_end = stress_sample_of(backend->proxy.pid);
    backend_raise(&backend->proxy_peak, backend->proxy_end);
}

/*
 * Nobody is left: what it holds now it holds for nobody, and what a fault holds up ends with that. But a
 * server that is not ours may have what is half open.
 */
bool stress_backend_leaks(const struct stress_backend *backend)
{
    return backend->served.starts > 0 &&
           backend->proxy_end.descriptors > backend->proxy_begin.descriptors;
}

static void backend_end_proxy(struct stress_backend *backend)
{
    char how[BACKEND_HOW_SIZE];
    uint64_t until_ns = cmdi_tool_now_ns() + (uint64_t)BACKEND_EMPTY_MS * 1000000;
    stress_backend_look(backend);
    while (backend->proxy.pid > 0 && stress_backend_leaks(backend) &&
            cmdi_tool_now_ns() < until_ns) {
        struct timespec pause = {.tv_nsec = BACKEND_LOOK_NS};
        (void)nanosleep(&pause, NULL);
        stress_backend_look(backend);
    }
    if (backend->proxy.pid <= 0) {
        return;
    }
    int status = tool_child_end(&backend->proxy, SIGTERM, BACKEND_END_MS, NULL, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != TOOL_EXIT_OK) {
        cmdi_tool_say("cmdstream stress: the proxy was told to end, and %s",
                tool_child_how(status, how, sizeof(how)));
        backend->proxy_failed = true;
    }
}

/* --- Both ------------------------------------------------------------------------------------------ */

int stress_backend_start(
        struct stress_backend *backend, const struct stress *stress, uint32_t index)
{
    int code = backend->address[0] != '\0' ? 0 : backend_start_server(backend, stress, index);
    return code == 0 && stress->options.chaos ? backend_start_proxy(backend, stress, index) : code;
}

void stress_backend_end(struct stress_backend *backend)
{
    backend_end_server(backend);
    backend_end_proxy(backend);
}

struct stress_served stress_served_sum(const struct stress *stress)
{
    struct stress_served sum = {0};
    struct stress_sample peak = {0};
    for (uint32_t i = 0; i < stress->backend_count; i++) {
        const struct stress_served *served = &stress->backends[i].served;
        sum.starts += served->starts;
        sum.kills += served->kills;
        sum.drains += served->drains;
        sum.stalls += served->stalls;
        sum.failures += served->failures;
        backend_raise(&peak, (struct stress_sample){.descriptors = served->descriptors_peak,
                                     .memory_kib = served->memory_peak_kib});
    }
    sum.descriptors_peak = peak.descriptors;
    sum.memory_peak_kib = peak.memory_kib;
    return sum;
}

static void backend_add(struct stress_sample *sum, struct stress_sample sample)
{
    sum->descriptors += sample.descriptors;
    sum->memory_kib += sample.memory_kib;
}

struct stress_backend stress_proxies_sum(const struct stress *stress)
{
    struct stress_backend sum = {.proxy_failed = false};
    for (uint32_t i = 0; i < stress->backend_count; i++) {
        const struct stress_backend *backend = &stress->backends[i];
        backend_add(&sum.proxy_begin, backend->proxy_begin);
        backend_add(&sum.proxy_end, backend->proxy_end);
        backend_add(&sum.proxy_peak, backend->proxy_peak);
        sum.proxy_failed |= backend->proxy_failed;
    }
    return sum;
}
