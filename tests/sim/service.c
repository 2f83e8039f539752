/* SPDX-License-Identifier: MIT */
/* The life of a service: see service.h. */
#include "sim/service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/counted.h"
#include "sim/traced.h"
#include "sim/veil.h"

enum {
    SERVICE_STEP_MS = 5,
    SERVICE_RETRY_MS = 20,
};

struct service services[SCENARIO_SERVERS_MAX];

/* May this failure come of what was drawn? Then it is tried again. */
static bool service_may_fail(int code)
{
    uint32_t faults = oracle.scenario->faults;
    if (code == -ENOMEM || code == -EAGAIN || code == -EMFILE || code == -ENFILE) {
        return (faults & (CMDS_SIM_MEMORY | CMDS_SIM_KERNEL)) != 0;
    }
    return code == -EADDRINUSE || ((faults & CMDS_SIM_KERNEL) != 0 && code < 0);
}

/* Lets the time pass: an inline runtime turns meanwhile. */
static void service_pass(struct service *service, uint32_t ms)
{
    if (!service->plan->is_inline || service->runtime == NULL) {
        cmds_sim_sleep_ms(ms);
        return;
    }
    uint64_t until_ns = oracle_now_ns() + ms * 1000000ull;
    while (oracle_now_ns() < until_ns) {
        int code = cmds_runtime_turn(service->runtime, 1000);
        if (code < 0) {
            (void)oracle_fail("a turn: %s", cmds_error_name(code));
            cmds_sim_sleep_ms(1); // Where the run ends.
            return;
        }
    }
}

static void service_on_upstream_state(void *context, uint32_t client,
        enum cmds_connection_state state, const struct cmds_error *cause)
{
    struct service *service = context;
    oracle_group_state(service->upstream_group, client, state, cause);
}

static void service_on_upstream_unexpected(void *context, const struct cmds_result *result)
{
    struct service *service = context;
    oracle_unexpected(service->upstream_group, result);
}

static void service_on_upstream_closed(void *context)
{
    struct service *service = context;
    oracle_group_closed(service->upstream_group);
    service->upstream_closed = true;
}

static void service_open_upstream(struct service *service)
{
    const struct scenario_server *plan = service->plan;
    const struct scenario_server *to = &oracle.scenario->servers[plan->upstream];
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&talk_protocol);
    options.reconnect_delay_ms = (plan->number & 2) != 0 ? CMDS_NEVER : 0;
    uint32_t shards = cmds_runtime_shard_count(service->runtime);
    options.client_count = shards + (plan->number & 1);
    options.connect = to->connect;
    options.codec = scenario_codec_of(to->codec);
    options.server_info = (struct cmds_bytes){to->server_info, strlen(to->server_info)};
    options.context = service;
    options.on_state = service_on_upstream_state;
    options.on_unexpected = service_on_upstream_unexpected;
    options.tls = to->masked ? veil_client(to->number) : NULL;
    hooked_begin(&service->hooked);
    hooked_set(&service->hooked, &options);
    options.resend = CMDS_RESEND_ONCE; // But what is forwarded never is.
    service->upstream_closed = false;
    service->upstream_group =
            oracle_group_open(service->life, SCENARIO_NONE, plan->upstream, options.client_count);
    int code = cmds_group_open(&service->upstream, service->runtime, &options, &error);
    if (code < 0) {
        service->upstream = NULL;
        oracle_group_never(service->upstream_group);
        if (!service_may_fail(code)) {
            (void)oracle_fail("server %u: its group: %s", plan->number, error.text);
        }
    }
}

/* --- Start --------------------------------------------------------------------------------------- */

static int service_start_runtime(struct service *service, struct cmds_error *error)
{
    const struct scenario_server *plan = service->plan;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = plan->is_inline ? CMDS_SHARDS_INLINE : plan->shards;
    options.pool_thread_count = plan->pool_threads;
    options.pool_queue_max = plan->pool_queue_max;
    options.buffer_size = plan->buffer_size;
    options.buffer_count_max = plan->buffer_count_max;
    options.memory_size_max = plan->memory_size_max;
    options.ring_entries = plan->ring_entries;
    options.spin_us = plan->spin_us;
    options.trace = traced_options(plan->number);
    return cmds_runtime_start(&service->runtime, &options, error);
}

static void service_start_thread(struct service *service)
{
    service->first = service->last = 0;
    service->is_stopping = false;
    (void)pthread_mutex_init(&service->lock, NULL);
    (void)pthread_cond_init(&service->filled, NULL);
    service->has_thread = pthread_create(&service->thread, NULL, service_answers, service) == 0;
}

/* Returns: 0; why not, and what was begun is ended. */
static int service_start(struct service *service)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    char listen[32];
    service->life = oracle_life_begin(true, service->plan->number);
    service->runtime = NULL;
    service->server = NULL;
    service->upstream = NULL;
    service->shards_started = 0;
    int code = service_start_runtime(service, &error);
    if (code == 0) {
        struct cmds_server_options options;
        if (service->plan->upstream != SCENARIO_NONE) {
            service_open_upstream(service);
        }
        service_start_thread(service);
        service_options(service, &options);
        (void)snprintf(listen, sizeof(listen), "0.0.0.0:%u", service->plan->port);
        options.listen = listen;
        code = cmds_server_start(&service->server, service->runtime, &options, &error);
    }
    if (code == 0) {
        looked_begin(&service->looked, service->runtime, service->life, false);
        oracle_life_up(service->life);
    } else if (!service_may_fail(code)) {
        (void)oracle_fail("server %u did not start: %s", service->plan->number, error.text);
    }
    return code;
}

/* --- End ----------------------------------------------------------------------------------------- */

static int service_drain(struct service *service)
{
    uint32_t drain_ms = service->plan->drain_ms;
    if (service->server == NULL || drain_ms == 0) {
        return 1;
    }
    uint64_t began_ns = oracle_now_ns();
    int code = cmds_server_shutdown(service->server, drain_ms);
    uint64_t took_ms = (oracle_now_ns() - began_ns) / 1000000;
    bool is_cut = code == CMDS_E_SLOW_PEER || code == CMDS_E_IDLE || code == CMDS_E_MEMORY_LIMIT ||
                  (code == -ENOMEM && service_may_fail(code));
    if (code != 0 && code != CMDS_E_TIMEOUT && !is_cut) {
        (void)oracle_fail(
                "server %u: its shutdown: %s", service->plan->number, cmds_error_name(code));
    }
    if (code == CMDS_E_TIMEOUT && took_ms < drain_ms) {
        (void)oracle_fail("server %u: its shutdown timed out after %llu ms of %u",
                service->plan->number, (unsigned long long)took_ms, drain_ms);
    }
    if (oracle_life(service->life)->is_calm && took_ms > drain_ms + 1000) {
        (void)oracle_fail("server %u: its shutdown took %llu ms, and %u were given",
                service->plan->number, (unsigned long long)took_ms, drain_ms);
    }
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    cmds_server_stats(service->server, &counters);
    if (code == 0) {
        oracle_server_counters(service->life, &counters);
    }
    return code;
}

static void service_close_upstream(struct service *service)
{
    if (service->upstream == NULL) {
        return;
    }
    oracle_group_closing(service->upstream_group);
    cmds_group_close(service->upstream, service_on_upstream_closed, service);
    for (uint32_t i = 0; i < 100 && !service->upstream_closed; i++) {
        service_pass(service, SERVICE_STEP_MS);
    }
}

static void service_end(struct service *service)
{
    oracle_life_ending(service->life);
    int drain = service_drain(service);
    if (oracle_chance(2)) {
        service_close_upstream(service);
        cmds_server_close(service->server);
    } else {
        cmds_server_close(service->server);
        service_close_upstream(service);
    }
    if (service->runtime != NULL && service->has_thread) {
        (void)pthread_mutex_lock(&service->lock);
        service->is_stopping = true;
        (void)pthread_cond_signal(&service->filled);
        (void)pthread_mutex_unlock(&service->lock);
        (void)pthread_join(service->thread, NULL);
    }
    if (service->runtime != NULL) {
        counted_check_servers(service->runtime, service->plan->number);
        (void)pthread_cond_destroy(&service->filled);
        (void)pthread_mutex_destroy(&service->lock);
    }
    cmds_runtime_stop(service->runtime);
    if (service->upstream != NULL && !service->upstream_closed) {
        (void)oracle_fail("server %u: its runtime has stopped, and its group has not closed",
                service->plan->number);
    }
    if (service->plan->upstream != SCENARIO_NONE && service->runtime != NULL) {
        hooked_end(&service->hooked, service->plan->number);
    }
    if (service->shards_started != 0) {
        (void)oracle_fail("server %u: on_shard_stop is missing %u times", service->plan->number,
                service->shards_started);
    }
    oracle_life_end(service->life, drain);
}

/* --- Life ---------------------------------------------------------------------------------------- */

static void service_look(struct service *service)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    cmds_runtime_stats(service->runtime, &counters);
    traced_take(service->runtime);
    looked_look(&service->looked);
    uint64_t bound =
            service->plan->memory_size_max != 0 ? service->plan->memory_size_max : 1u << 30;
    if (counters.memory_bytes > bound * cmds_runtime_shard_count(service->runtime)) {
        (void)oracle_fail("server %u: its runtime holds %llu bytes", service->plan->number,
                (unsigned long long)counters.memory_bytes);
    }
}

static void service_live(struct service *service)
{
    uint32_t lives_ms = service->plan->lives_ms;
    uint64_t until_ns = oracle_now_ns() + (lives_ms / 2 + oracle_below(lives_ms)) * 1000000ull;
    if (service_start(service) == 0) {
        while (!cmds_sim_stopping() && (lives_ms == 0 || oracle_now_ns() < until_ns)) {
            service_pass(service, SERVICE_STEP_MS);
            service_look(service);
        }
    }
    service_end(service);
}

/* Its runtime is of its own, and it ends by SIGTERM alone. Returns: it is to start again. */
static bool service_live_as_main(struct service *service)
{
    struct cmds_server_options options;
    char listen[32];
    service->life = oracle_life_begin(true, service->plan->number);
    service->shards_started = 0;
    service->runtime = NULL;
    service->upstream = NULL;
    service->has_thread = false;
    service_options(service, &options);
    (void)snprintf(listen, sizeof(listen), "0.0.0.0:%u", service->plan->port);
    options.listen = listen;
    int code = cmds_server_main(&options);
    if (code == 1 && oracle_life(service->life)->is_calm) {
        (void)oracle_fail("server %u: cmds_server_main() did not start", service->plan->number);
    }
    oracle_life_end(service->life, code == 0 ? 0 : 1);
    return code == 1;
}

int service_main(void *context)
{
    struct service *service = context;
    while (!cmds_sim_stopping()) {
        if (!service->plan->is_main) {
            service_live(service);
        } else if (!service_live_as_main(service)) {
            break;
        }
        cmds_sim_sleep_ms(oracle_below(2 * SERVICE_RETRY_MS));
    }
    cmds_sim_sleep_ms(20); // A look-up that was under way is over, unless it hangs.
    return 0;
}
