/* SPDX-License-Identifier: MIT */
/*
 * The clients' process. The main thread is the clock of the shards: it posts a tick to each, once a ms. It
 * also samples descriptors and memory, reports, and starts and ends the children.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "clock.h"
#include "stress/protocol.h"
#include "stress/stress.h"

enum {
    RUN_TICK_NS = 1000 * 1000,
    RUN_CHILD_END_MS = 20000,
    RUN_CLOSE_MS = 10000,
    RUN_PROXY_EMPTY_MS = 10000,
    RUN_LAST_MS = 15000, // After the last deadline, for every command to end.
};
#define RUN_NS_PER_S  UINT64_C(1000000000)
#define RUN_NS_PER_MS UINT64_C(1000000)

/* Sleeps for a tick. Returns: the signal that came meanwhile; 0: none. */
static int run_sleep(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    struct timespec wait = {.tv_nsec = RUN_TICK_NS};
    int number = sigtimedwait(&signals, NULL, &wait);
    return number > 0 ? number : 0;
}

/* --- Children -------------------------------------------------------------------------------------- */

static int run_start_server(struct stress *stress)
{
    const struct stress_options *options = &stress->options;
    if (options->connect != NULL) {
        snprintf(stress->address, sizeof(stress->address), "%s", options->connect);
        return 0;
    }
    struct tool_arguments arguments = {.count = 0};
    tool_argument(&arguments, "cmdstream");
    tool_argument(&arguments, "stress");
    tool_argument_text(&arguments, "--serve", "127.0.0.1:0");
    tool_argument(&arguments, "--json");
    tool_argument_text(&arguments, "--codec", options->codec);
    tool_argument_text(&arguments, "--server-stop", options->server_stop);
    tool_argument_number(&arguments, "--seed", options->seed);
    tool_argument_number(&arguments, "--server-shards", options->server_shards);
    if (options->verbose) {
        tool_argument(&arguments, "--verbose");
    }
    tool_argument_number(&arguments, "--server-up-max-ms", options->server_up_max_ms);
    tool_argument_number(&arguments, "--server-down-max-ms", options->server_down_max_ms);
    tool_argument_number(&arguments, "--server-stall-max-ms", options->server_stall_max_ms);
    if (options->tls.on) {
        tool_argument_text(&arguments, "--tls-cert", stress->certificates.certificate.path);
        tool_argument_text(&arguments, "--tls-key", stress->certificates.key.path);
    }
    int code = tool_child_start(&stress->server.child, &arguments);
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: the server did not start: %s\n", strerror(-code));
        return code;
    }
    snprintf(stress->address, sizeof(stress->address), "%s", stress->server.child.address);
    return 0;
}

static uint64_t run_member(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void run_end_server(struct stress *stress)
{
    char line[STRESS_LINE_SIZE] = "", how[64];
    if (stress->server.child.pid <= 0) {
        return;
    }
    int status =
            tool_child_end(&stress->server.child, SIGTERM, RUN_CHILD_END_MS, line, sizeof(line));
    json_t *object = json_loads(line, 0, NULL);
    stress->served = (struct stress_served){.starts = run_member(object, "starts"),
            .kills = run_member(object, "kills"),
            .drains = run_member(object, "drains"),
            .stalls = run_member(object, "stalls"),
            .failures = run_member(object, "failures"),
            .descriptors_peak = run_member(object, "descriptors_peak"),
            .memory_peak_kib = run_member(object, "memory_peak_kib")};
    json_decref(object);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != TOOL_EXIT_OK) {
        tool_say("cmdstream stress: the supervisor of the servers %s",
                tool_child_how(status, how, sizeof(how)));
        stress->served.failures += stress->served.failures == 0;
    }
}

/* Between the clients and whatever address they would have connected to. */
static int run_start_proxy(struct stress *stress)
{
    const struct stress_options *options = &stress->options;
    if (!options->chaos) {
        return 0;
    }
    char route[TOOL_CHILD_ADDRESS_SIZE + 16];
    snprintf(route, sizeof(route), "127.0.0.1:0=%s", stress->address);
    struct tool_arguments arguments = {.count = 0};
    tool_argument(&arguments, "cmdstream");
    tool_argument(&arguments, "chaos");
    tool_argument(&arguments, "--quiet");
    tool_argument_text(&arguments, "--faults", options->chaos_faults);
    tool_argument_text(&arguments, "--every", options->chaos_every);
    tool_argument_number(&arguments, "--seed", options->seed);
    tool_argument(&arguments, route);
    int code = tool_child_start(&stress->proxy, &arguments);
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: the proxy did not start: %s\n", strerror(-code));
        return code;
    }
    snprintf(stress->address, sizeof(stress->address), "%s", stress->proxy.address);
    stress->proxy_begin = stress_sample_of(stress->proxy.pid);
    return 0;
}

static void run_look_at_proxy(struct stress *stress)
{
    int status;
    char how[64];
    if (stress->proxy.pid <= 0) {
        return;
    }
    if (tool_child_has_ended(&stress->proxy, &status)) {
        tool_say("cmdstream stress: the proxy was not told to end, and %s",
                tool_child_how(status, how, sizeof(how)));
        stress->proxy_failed = true;
        return;
    }
    struct stress_sample *peak = &stress->proxy_peak;
    stress->proxy_end = stress_sample_of(stress->proxy.pid);
    if (stress->proxy_end.descriptors > peak->descriptors) {
        peak->descriptors = stress->proxy_end.descriptors;
    }
    if (stress->proxy_end.memory_kib > peak->memory_kib) {
        peak->memory_kib = stress->proxy_end.memory_kib;
    }
}

static void run_end_proxy(struct stress *stress)
{
    char how[64];
    if (stress->proxy.pid <= 0) {
        return;
    }
    // Nobody is left: what it holds now it holds for nobody. What a fault holds up ends with that. A server
    // that is not ours may still have what is half open.
    uint64_t until_ns = tool_now_ns() + RUN_PROXY_EMPTY_MS * RUN_NS_PER_MS;
    do {
        (void)run_sleep();
        run_look_at_proxy(stress);
    } while (stress->proxy_end.descriptors > stress->proxy_begin.descriptors &&
             tool_now_ns() < until_ns && stress->proxy.pid > 0 && stress->options.connect == NULL);
    int status = tool_child_end(&stress->proxy, SIGTERM, RUN_CHILD_END_MS, NULL, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != TOOL_EXIT_OK) {
        tool_say("cmdstream stress: the proxy was told to end, and %s",
                tool_child_how(status, how, sizeof(how)));
        stress->proxy_failed = true;
    }
}

/* --- TLS ------------------------------------------------------------------------------------------- */

static int run_open_tls(struct stress *stress, struct cmds_error *error)
{
    struct tool_tls *options = &stress->options.tls;
    if (!options->on) {
        return 0;
    }
    if (stress->options.connect == NULL) {
        int code = bench_certificates_open(&stress->certificates);
        if (code < 0) {
            return code;
        }
        options->ca = stress->certificates.ca.path;
    }
    return tool_tls_make_client(&stress->tls, options, error);
}

/* --- Groups ---------------------------------------------------------------------------------------- */

static void run_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct stress_lot *lot = context;
    (void)client;
    (void)cause;
    if (state == CMDS_CONNECTION_UP) {
        STRESS_COUNT(stress_worker_here(lot->stress), ups);
    }
}

static int run_open_group(struct stress_lot *lot, struct cmds_error *error)
{
    struct stress *stress = lot->stress;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&stress_protocol);
    options.client_count = lot->clients;
    options.connect = stress->address;
    options.codec = stress->codec;
    options.in_flight_max = lot->window;
    options.deadline_ms = stress->options.deadline_ms;
    options.keepalive_ms = stress->options.keepalive_time_ms;
    options.keepalive_interval_ms = stress->options.keepalive_interval_ms;
    options.context = lot;
    options.on_writable = stress_on_writable;
    options.on_unexpected = stress_on_late;
    options.on_state = run_on_state;
    options.tls = stress->tls;
    struct cmds_group *group = NULL;
    int code = stress_guard_make(lot, &options, error);
    code = code < 0 ? code : cmds_group_open(&group, stress->runtime, &options, error);
    if (code == 0) {
        atomic_store_explicit(&lot->group, group, memory_order_release);
    }
    return code;
}

static int run_open(struct stress *stress, struct cmds_error *error)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = stress->worker_count;
    options.no_pinning = true;
    options.spin_us = CMDS_SPIN_OFF;
    options.on_log = tool_log;
    options.log_context = &stress->log_level;
    int code = stress_sessions_make(stress);
    code = code < 0 ? code : cmds_runtime_start(&stress->runtime, &options, error);
    for (uint32_t i = 0; code == 0 && i < STRESS_LOTS; i++) {
        if (stress->lots[i].sessions > 0) {
            code = run_open_group(&stress->lots[i], error);
        }
    }
    return code;
}

/* A group that has lost all its connections is no use any more; nor is anybody in it. */
static int run_replace_group(struct stress_lot *lot)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group *old = atomic_load_explicit(&lot->group, memory_order_relaxed);
    if (old == NULL || !cmds_group_done(old)) {
        return 0;
    }
    lot->stress->lost_groups++;
    int code = run_open_group(lot, &error);
    cmds_group_close(old, NULL, NULL);
    return code;
}

/* --- The load -------------------------------------------------------------------------------------- */

static void run_tick(struct stress *stress)
{
    for (uint32_t i = 0; i < stress->worker_count; i++) {
        struct stress_worker *worker = &stress->workers[i];
        if (!atomic_exchange_explicit(&worker->ticking, true, memory_order_relaxed) &&
                cmds_runtime_post(stress->runtime, i, stress_tick, worker) < 0) {
            atomic_store_explicit(&worker->ticking, false, memory_order_relaxed);
        }
    }
}

static void run_sample(struct stress *stress, uint64_t now_ns)
{
    if (!stress_watch_is_due(&stress->watch, now_ns)) {
        return;
    }
    struct stress_sample sample = stress_sample_of(getpid());
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        struct cmds_group *group =
                atomic_load_explicit(&stress->lots[i].group, memory_order_relaxed);
        struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
        if (group != NULL && cmds_group_stats(group, &counters) == 0) {
            sample.connections += counters.connections;
        }
    }
    stress_watch_add(&stress->watch, now_ns, sample);
    run_look_at_proxy(stress);
}

static int run_turn(struct stress *stress)
{
    int code = 0;
    for (uint32_t i = 0; i < STRESS_LOTS && code == 0; i++) {
        code = run_replace_group(&stress->lots[i]);
    }
    run_tick(stress);
    run_sample(stress, tool_now_ns());
    return code;
}

static int run_load(struct stress *stress)
{
    const struct stress_options *options = &stress->options;
    uint64_t report_ns = (uint64_t)(options->report * 1e9);
    uint64_t until_ns = options->duration > 0
                                ? stress->start_ns + (uint64_t)(options->duration * 1e9)
                                : UINT64_MAX;
    uint64_t next_ns = stress->start_ns + report_ns;
    int code = 0;
    for (uint64_t now_ns = stress->start_ns; now_ns < until_ns && stress->signal == 0 && code == 0;
            now_ns = tool_now_ns()) {
        code = run_turn(stress);
        if (report_ns > 0 && now_ns >= next_ns) {
            next_ns += report_ns;
            stress->end_ns = now_ns;
            stress_report(stress, options->json ? stderr : stdout);
        }
        stress->signal = run_sleep();
    }
    stress->end_ns = tool_now_ns();
    return code;
}

/* No command begins any more, and each that began ends by its deadline. */
static void run_finish(struct stress *stress)
{
    uint64_t last_ms = (uint64_t)stress->options.deadline_ms + RUN_LAST_MS;
    uint64_t until_ns = tool_now_ns() + last_ms * RUN_NS_PER_MS;
    struct stress_counters sum;
    atomic_store_explicit(&stress->stopping, true, memory_order_relaxed);
    do {
        run_tick(stress);
        (void)run_sleep();
        sum = stress_sum(stress);
    } while (sum.ended < sum.begun && tool_now_ns() < until_ns);
    stress->left = sum.begun - sum.ended;
}

static void run_close(struct stress *stress)
{
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        cmds_group_close(
                atomic_load_explicit(&stress->lots[i].group, memory_order_relaxed), NULL, NULL);
    }
    cmds_runtime_stop(stress->runtime);
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        stress_guard_free(&stress->lots[i]);
    }
}

/* A session that waits for room at the end, when all room is free, was never told. */
static void run_look_for_forgotten(struct stress *stress)
{
    for (uint32_t i = 0; i < stress->worker_count; i++) {
        for (struct stress_session *session = stress->workers[i].full; session != NULL;
                session = session->next) {
            stress->never_woken++;
        }
    }
}

static int run_all(struct stress *stress, struct cmds_error *error)
{
    int code = run_open_tls(stress, error);
    code = code < 0 ? code : run_start_server(stress);
    code = code < 0 ? code : run_start_proxy(stress);
    code = code < 0 ? code : run_open(stress, error);
    if (code < 0) {
        return code;
    }
    stress->start_ns = tool_now_ns();
    stress_watch_start(&stress->watch, stress->start_ns,
            stress->start_ns + (uint64_t)(stress->options.warmup * 1e9));
    code = run_load(stress);
    run_finish(stress);
    return code;
}

int stress_run(struct stress *stress)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_mutex_init(&stress->mutex, NULL);
    stress->watch.begin = stress_sample_of(getpid());
    int code = run_all(stress, &error);
    run_close(stress);
    run_end_server(stress);
    run_end_proxy(stress);
    tool_tls_free(stress->tls);
    bench_certificates_close(&stress->certificates);
    stress->watch.closed = stress_sample_of(getpid());
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: %s\n",
                error.code < 0 ? error.text : cmds_error_text(code));
    } else {
        run_look_for_forgotten(stress);
        stress_report(stress, stress->options.json ? stderr : stdout);
        if (stress->options.json) {
            stress_report_json(stress);
        }
    }
    bool failed = code < 0 || stress_has_failed(stress);
    stress_sessions_free(stress);
    pthread_mutex_destroy(&stress->mutex);
    return failed ? TOOL_EXIT_FAILED : TOOL_EXIT_OK;
}
