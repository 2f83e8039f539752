/* SPDX-License-Identifier: MIT */
/*
 * The clients' process. The main thread is the clock of the shards: it posts a tick to each, once a ms. It
 * also samples descriptors and memory, reports, and starts and ends the children.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "stress/protocol.h"
#include "stress/stress.h"

enum {
    RUN_TICK_NS = 1000 * 1000,
    RUN_LOOK_MS = 20,
    RUN_WOKEN_MS = 5000,
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

/* --- Servers --------------------------------------------------------------------------------------- */

/* Those of --connect, which stand in the list with commas between them. */
static int run_take_addresses(struct stress *stress)
{
    const char *at = stress->options.connect;
    for (stress->backend_count = 0; at != NULL && stress->backend_count < STRESS_SERVERS_MAX;) {
        struct stress_backend *backend = &stress->backends[stress->backend_count++];
        size_t size = strcspn(at, ",");
        if (size == 0 || size >= sizeof(backend->address)) {
            return -EINVAL;
        }
        memcpy(backend->address, at, size);
        at = at[size] == ',' ? at + size + 1 : NULL;
    }
    return at == NULL ? 0 : -E2BIG;
}

static int run_start_backends(struct stress *stress)
{
    int code = 0;
    if (stress->options.connect != NULL) {
        code = run_take_addresses(stress);
    } else {
        stress->backend_count = stress->options.servers;
    }
    for (uint32_t i = 0; code == 0 && i < stress->backend_count; i++) {
        code = stress_backend_start(&stress->backends[i], stress, i);
    }
    size_t used = 0;
    for (uint32_t i = 0; code == 0 && i < stress->backend_count; i++) {
        int size = snprintf(stress->addresses + used, sizeof(stress->addresses) - used, "%s%s",
                i > 0 ? "," : "", stress->backends[i].address);
        used += (size_t)size;
    }
    return code;
}

static void run_end_backends(struct stress *stress)
{
    for (uint32_t i = 0; i < stress->backend_count; i++) {
        stress_backend_end(&stress->backends[i]);
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
    return cmdi_tool_tls_make_client(&stress->tls, options, error);
}

/* --- Groups ---------------------------------------------------------------------------------------- */

static int run_open_group(struct stress_lot *lot, struct cmds_error *error)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&stress_protocol);
    struct cmds_group *group = NULL;
    int code = stress_lot_options(lot, &options, error);
    code = code < 0 ? code : cmds_group_open(&group, lot->stress->runtime, &options, error);
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
    options.on_log = cmdi_tool_log_line;
    options.log_context = &stress->log_level;
    int code = stress_sessions_make(stress);
    code = code < 0 ? code : cmds_runtime_start(&stress->runtime, &options, error);
    for (uint32_t i = 0; code == 0 && i < STRESS_LOT_CALLERS; i++) {
        if (stress->lots[i].sessions > 0) {
            code = run_open_group(&stress->lots[i], error);
        }
    }
    return code < 0 ? code : stress_callers_start(stress, error);
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
    for (uint32_t i = 0; i < stress->backend_count; i++) {
        stress_backend_look(&stress->backends[i]);
    }
}

static void run_turn(struct stress *stress)
{
    run_tick(stress);
    run_sample(stress, cmdi_tool_now_ns());
}

static void run_load(struct stress *stress)
{
    const struct stress_options *options = &stress->options;
    uint64_t report_ns = (uint64_t)(options->report * 1e9);
    uint64_t until_ns = options->duration > 0
                                ? stress->start_ns + (uint64_t)(options->duration * 1e9)
                                : UINT64_MAX;
    uint64_t next_ns = stress->start_ns + report_ns;
    for (uint64_t now_ns = stress->start_ns; now_ns < until_ns && stress->signal == 0;
            now_ns = cmdi_tool_now_ns()) {
        run_turn(stress);
        if (report_ns > 0 && now_ns >= next_ns) {
            next_ns += report_ns;
            stress->end_ns = now_ns;
            stress_report(stress, options->json ? stderr : stdout);
        }
        stress->signal = run_sleep();
    }
    stress->end_ns = cmdi_tool_now_ns();
}

static uint32_t run_waiting(const struct stress *stress)
{
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < stress->worker_count; i++) {
        waiting += atomic_load_explicit(&stress->workers[i].waiting, memory_order_relaxed);
    }
    return waiting;
}

static void run_tick_for(struct stress *stress, uint32_t ms)
{
    uint64_t until_ns = cmdi_tool_now_ns() + ms * RUN_NS_PER_MS;
    while (cmdi_tool_now_ns() < until_ns) {
        run_tick(stress);
        (void)run_sleep();
    }
}

/*
 * No command begins any more, and each that began ends by its deadline. Then all room is free, and a session
 * that still waits for some was never told.
 */
static void run_finish(struct stress *stress)
{
    uint64_t last_ms = (uint64_t)stress->options.deadline_ms + RUN_LAST_MS;
    uint64_t until_ns = cmdi_tool_now_ns() + last_ms * RUN_NS_PER_MS;
    struct stress_counters sum;
    atomic_store_explicit(&stress->stopping, true, memory_order_relaxed);
    do {
        run_tick_for(stress, 1);
        sum = stress_sum(stress);
    } while (sum.ended < sum.begun && cmdi_tool_now_ns() < until_ns);
    stress->left = sum.begun - sum.ended;
    until_ns = cmdi_tool_now_ns() + RUN_WOKEN_MS * RUN_NS_PER_MS;
    do {
        run_tick_for(stress, RUN_LOOK_MS);
        stress->never_woken = run_waiting(stress);
    } while (stress->never_woken > 0 && cmdi_tool_now_ns() < until_ns);
}

static void run_count_groups(struct stress *stress)
{
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        struct cmds_group *group =
                atomic_load_explicit(&stress->lots[i].group, memory_order_relaxed);
        struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
        if (group != NULL && cmds_group_stats(group, &counters) == 0) {
            stress->resent += counters.commands_resent;
            stress->pings += counters.pings_sent;
        }
    }
}

static void run_close(struct stress *stress)
{
    run_count_groups(stress);
    stress_callers_end(stress);
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        cmds_group_close(
                atomic_load_explicit(&stress->lots[i].group, memory_order_relaxed), NULL, NULL);
    }
    cmds_runtime_stop(stress->runtime);
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        stress_guard_free(&stress->lots[i]);
    }
}

static int run_all(struct stress *stress, struct cmds_error *error)
{
    int code = run_open_tls(stress, error);
    code = code < 0 ? code : run_start_backends(stress);
    code = code < 0 ? code : run_open(stress, error);
    if (code < 0) {
        return code;
    }
    stress->start_ns = cmdi_tool_now_ns();
    stress_watch_start(&stress->watch, stress->start_ns,
            stress->start_ns + (uint64_t)(stress->options.warmup * 1e9));
    run_load(stress);
    run_finish(stress);
    return 0;
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
    run_end_backends(stress);
    cmdi_tool_tls_free(stress->tls);
    bench_certificates_close(&stress->certificates);
    stress->watch.closed = stress_sample_of(getpid());
    if (code < 0) {
        fprintf(stderr, "cmdstream stress: %s\n",
                error.code < 0 ? error.text : cmds_error_text(code));
    } else {
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
