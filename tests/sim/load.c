/* SPDX-License-Identifier: MIT */
/* The life of a client: see load.h. */
#include "sim/load.h"

#include <errno.h>
#include <string.h>

#include "sim/counted.h"
#include "sim/traced.h"
#include "sim/veil.h"

enum {
    LOAD_STEP_MS = 5,
    LOAD_SETTLE_MAX = 60,
    LOAD_CLOSE_MAX_MS = 40000, // A close takes a second, a stall up to half a minute.
};

struct load loads[SCENARIO_CLIENTS_MAX];

bool load_may_fail(int code)
{
    uint32_t faults = oracle.scenario->faults;
    return code < 0 && (faults & (CMDS_SIM_MEMORY | CMDS_SIM_KERNEL)) != 0;
}

bool load_is_over(const struct load *load)
{
    return load->sent >= load->plan->commands ||
           oracle_now_ns() >= oracle.scenario->load_ms * 1000000ull;
}

void load_pass(struct load *load, uint32_t ms)
{
    if (!load->plan->is_inline) {
        cmds_sim_sleep_ms(ms);
        return;
    }
    uint64_t until_ns = oracle_now_ns() + ms * 1000000ull;
    while (oracle_now_ns() < until_ns) {
        int code = cmds_runtime_turn(load->runtime, 1000);
        if (code < 0) {
            (void)oracle_fail("a turn: %s", cmds_error_name(code));
            cmds_sim_sleep_ms(1); // Where the run ends.
            return;
        }
    }
}

/* --- A group -------------------------------------------------------------------------------------- */

static bool load_is_hooked(const struct load *load)
{
    return load->plan->number % 2 == 0;
}

void load_group_options(struct load *load, struct cmds_group_options *options)
{
    const struct scenario_client *plan = load->plan;
    const struct scenario_server *to = load->server;
    static const struct cmds_dispatch *const strategies[] = {NULL, &cmds_dispatch_round_robin,
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    const char *info = plan->is_stranger ? "somebody else" : to->server_info;
    *options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&talk_protocol);
    options->client_count = plan->connections;
    options->connect = load->connect;
    options->resolve_interval_ms = plan->names ? 1000 : 0;
    options->codec = scenario_codec_of(to->codec);
    options->dispatch = plan->picks ? &load->strategy.dispatch : strategies[plan->dispatch];
    options->in_flight_max = plan->in_flight_max;
    options->deadline_ms = plan->deadline_ms;
    options->connect_timeout_ms = plan->connect_ms;
    options->reconnect_delay_ms = plan->reconnect_ms;
    options->reconnect_delay_max_ms = plan->reconnect_max_ms;
    options->reconnect_count_max = plan->reconnect_count;
    options->frame_size_max = plan->frame_size_max;
    options->output_size_max = plan->output_size_max;
    options->write_timeout_ms = plan->write_ms;
    options->keepalive_ms = plan->keepalive_ms;
    options->keepalive_interval_ms = plan->keepalive_interval_ms;
    options->server_info = (struct cmds_bytes){info, strlen(info)};
    options->resend = plan->resends ? CMDS_RESEND_ONCE : CMDS_RESEND_DEFAULT;
    options->on_writable = load_on_writable;
    options->on_unexpected = load_on_unexpected;
    options->on_state = load_on_state;
    if (load_is_hooked(load)) {
        hooked_set(&load->hooked, options);
    }
    options->breaker = load->fuse.breaker != NULL ? load->fuse.breaker : options->breaker;
    options->tls = to->masked ? veil_client(to->number) : NULL;
}

/* Returns: it is open. */
static bool load_open(struct load *load, struct load_group *group)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group_options options;
    load_group_options(load, &options);
    *group = (struct load_group){.load = load};
    options.context = group;
    for (uint32_t i = 0; i < LOAD_SHARDS_MAX; i++) {
        group->drivers[i] = (struct load_driver){.group = group, .shard = i};
    }
    uint32_t window = load->plan->in_flight_max != 0 ? load->plan->in_flight_max : 1024;
    group->pending_max = (uint64_t)window * load->plan->connections;
    group->number = oracle_group_open(
            load->life, load->plan->number, load->server->number, load->plan->connections);
    char name[COUNTED_NAME_MAX];
    counted_name(group->number, name);
    options.name = name;
    int code = cmds_group_open(&group->group, load->runtime, &options, &error);
    if (code < 0) {
        oracle_group_never(group->number);
        group->group = NULL;
        group->is_closing = group->is_closed = true;
        if (!load_may_fail(code)) {
            (void)oracle_fail(
                    "client %u: a group did not open: %s", load->plan->number, error.text);
        }
    }
    oracle_group(group->number)->breaks = load->fuse.breaker != NULL;
    group->own = code == 0 ? cmds_group_ref(group->group) : NULL;
    return code == 0;
}

/*
 * Nothing is pending, so there is room: a send that found none must have been told by now. But what a
 * server never answers has its place in the window for as long as the connection lives.
 */
static void load_look_at_driver(const struct load_group *group, const struct load_driver *driver)
{
    const struct oracle_group *known = oracle_group(group->number);
    /* It may have been refused while its connection came up, which has five seconds. */
    uint64_t late_ns = driver->waits_since_ns + 6000000000 + known->slack_ns;
    if (known->timeouts + known->cancelled > 0) {
        return;
    }
    if (driver->waits_since_ns != 0 && oracle_now_ns() > late_ns && group->closes == 0) {
        (void)oracle_fail("group %u: there is room, and on_writable does not run on shard %u",
                group->number, driver->shard);
    }
}

static void load_look_at_memory(const struct load *load)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    uint64_t bound = load->plan->memory_size_max != 0 ? load->plan->memory_size_max : 1u << 30;
    cmds_runtime_stats(load->runtime, &counters);
    traced_take(load->runtime);
    if (counters.memory_bytes > bound * load->shards) {
        (void)oracle_fail("client %u: its runtime holds %llu bytes", load->plan->number,
                (unsigned long long)counters.memory_bytes);
    }
}

static void load_look(struct load_group *group)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    bool is_quiet = cmds_group_pending(group->group) == 0;
    uint64_t results = oracle_group_results(group->number);
    uint64_t not_allowed = oracle_group(group->number)->not_allowed;
    int code = cmds_group_stats(group->group, &counters);
    if (code == 0) {
        oracle_group_counters(
                group->number, &counters, results, not_allowed, is_quiet && group->is_closing);
    } else if (code != CMDS_E_CLOSED || group->closes == 0) {
        (void)oracle_fail("cmds_group_stats(): %s", cmds_error_name(code));
    }
    load_look_at_memory(group->load);
    looked_look(&group->load->looked);
    load_resume_some(group, group->group, 20);
    for (uint32_t i = 0; is_quiet && i < LOAD_SHARDS_MAX; i++) {
        load_look_at_driver(group, &group->drivers[i]);
    }
    uint32_t connected = cmds_group_connected(group->group);
    if (connected > group->load->plan->connections) {
        (void)oracle_fail("group %u: %u connections are up", group->number, connected);
    }
}

static void load_on_closed(void *context)
{
    struct load_group *group = context;
    /* Of a later close, which had no memory to be told of the end: inside that call, before it. */
    bool early = group->closes > 1 && load_may_fail(-ENOMEM) &&
                 oracle_group(group->number)->pending > 0 && group->is_over == group->early;
    group->early += early;
    if (group->is_over++ == group->early && !early) {
        oracle_group_closed(group->number);
    }
    if (group->is_over > group->closes) {
        (void)oracle_fail("group %u: on_closed runs more often than it was closed", group->number);
    }
    group->is_closed = group->is_over == group->closes;
}

void load_close(struct load_group *group, struct cmds_group *handle)
{
    group->is_closing = true;
    group->is_left = false;
    group->closes++;
    group->is_closed = false;
    oracle_group_closing(group->number);
    cmds_group_close(handle, load_on_closed, group);
}

static void load_begin_close(struct load *load, struct load_group *group)
{
    bool drains = oracle_chance(2);
    if (load_is_over(load) && oracle_chance(2)) {
        load_settle_group(group);
    }
    group->is_closing = true;
    load_resume_some(group, group->own, oracle_chance(8) ? UINT32_MAX : 1);
    if (drains) {
        int code =
                cmds_group_drain(group->group, 1 + oracle_below(load->plan->is_hasty ? 20 : 3000));
        if (code != 0 && code != CMDS_E_TIMEOUT) {
            (void)oracle_fail("cmds_group_drain(): %s", cmds_error_name(code));
        }
    }
    load_look(group);
    group->is_left = load->is_last && group->closes == 0 && oracle_chance(2);
    if (!group->is_left) {
        load_close(group, group->own);
    }
}

/* --- A round: groups are opened, used, and closed -------------------------------------------------- */

static void load_start_thread(struct load *load, struct load_group *group)
{
    struct load_thread *thread = &load->threads[load->thread_count];
    *thread = (struct load_thread){.load = load, .group = group, .number = load->thread_count++};
    if (group != NULL) {
        thread->handle = cmds_group_ref(group->group);
    }
    int code = pthread_create(
            &thread->thread, NULL, group != NULL ? load_thread_group : load_thread_sender, thread);
    thread->is_running = code == 0;
    if (code != 0) {
        cmds_group_unref(thread->handle);
    }
}

static void load_start_threads(struct load *load)
{
    const struct scenario_client *plan = load->plan;
    load->thread_count = 0;
    load->is_stopping = false;
    for (uint32_t i = 0; i < plan->groups; i++) {
        for (uint32_t t = 0; t < plan->threads && load->groups[i].group != NULL; t++) {
            load_start_thread(load, &load->groups[i]);
        }
    }
    for (uint32_t t = 0; t < plan->senders; t++) {
        load_start_thread(load, NULL);
    }
}

static void load_join_threads(struct load *load)
{
    load->is_stopping = true;
    for (uint32_t i = 0; i < load->thread_count; i++) {
        while (load->threads[i].is_running && !load->threads[i].is_done) {
            load_pass(load, LOAD_STEP_MS); // An inline runtime has to turn meanwhile.
        }
        if (load->threads[i].is_running) {
            (void)pthread_join(load->threads[i].thread, NULL);
        }
    }
}

/* Returns: it is worth while to go on. */
static bool load_goes_on(struct load *load, uint64_t until_ns)
{
    bool lives = load->plan->senders > 0;
    for (uint32_t i = 0; i < load->plan->groups; i++) {
        struct load_group *group = &load->groups[i];
        lives = lives ||
                (group->group != NULL && !cmds_group_done(group->group) && !group->is_closing);
    }
    return lives && oracle_now_ns() < until_ns && !load_is_over(load);
}

static void load_wait_closed(struct load *load)
{
    for (uint32_t waited_ms = 0;; waited_ms += LOAD_STEP_MS) {
        bool all = true;
        for (uint32_t i = 0; i < load->plan->groups; i++) {
            const struct load_group *group = &load->groups[i];
            all = all && (group->group == NULL || group->is_closed || group->is_left);
        }
        if (all) {
            return;
        }
        if (waited_ms > LOAD_CLOSE_MAX_MS) {
            (void)oracle_fail("client %u: a group does not close", load->plan->number);
            return;
        }
        load_pass(load, LOAD_STEP_MS);
    }
}

static void load_round(struct load *load)
{
    const struct scenario_client *plan = load->plan;
    uint64_t round_ms = 200 + oracle_below(plan->is_hasty ? 500 : 20000);
    uint64_t until_ns = oracle_now_ns() + round_ms * 1000000;
    for (uint32_t i = 0; i < plan->groups; i++) {
        (void)load_open(load, &load->groups[i]);
    }
    load_start_threads(load);
    load->is_last = false;
    if (load->groups[0].group != NULL && oracle_chance(3)) {
        struct cmds_error error = CMDS_ERROR_INIT;
        (void)cmds_group_wait(load->groups[0].group, oracle_below(1000), &error);
    }
    while (load_goes_on(load, until_ns)) {
        for (uint32_t i = 0; i < plan->groups; i++) {
            if (load->groups[i].group != NULL && !load->groups[i].is_closing) {
                load_drive(&load->groups[i]);
                load_look(&load->groups[i]);
            }
        }
        load_pass(load, LOAD_STEP_MS + plan->think_us / 1000);
    }
    /* Threads that send by senders go on: they may need the runtime. */
    load->is_last = (load_is_over(load) || cmds_sim_stopping()) && plan->senders == 0;
    for (uint32_t i = 0; i < plan->groups; i++) {
        if (load->groups[i].group != NULL) {
            load_begin_close(load, &load->groups[i]);
        }
    }
    load_join_threads(load);
    load_wait_closed(load);
    for (uint32_t i = 0; i < plan->groups; i++) {
        if (!load->groups[i].is_left) {
            if (load->groups[i].group != NULL && load->groups[i].is_closed) {
                counted_check_group(load->runtime, load->groups[i].number);
            }
            cmds_group_unref(load->groups[i].own);
            load->groups[i].group = NULL;
        }
    }
}

/* The runtime closes what nobody has closed. Then a reference still answers. */
static void load_stop(struct load *load)
{
    for (uint32_t i = 0; i < load->plan->groups; i++) {
        if (load->groups[i].is_left) {
            oracle_group_closing(load->groups[i].number);
        }
    }
    cmds_runtime_stop(load->runtime);
    for (uint32_t i = 0; i < load->plan->groups; i++) {
        struct load_group *group = &load->groups[i];
        struct talk_tell tell = {0};
        if (!group->is_left) {
            continue;
        }
        oracle_group_closed(group->number);
        int code = cmds_group_send(group->own, talk_tell_message(&tell), NULL, NULL, NULL);
        if (code != CMDS_E_CLOSED || cmds_group_pending(group->own) != 0 ||
                cmds_group_connected(group->own) != 0 || !cmds_group_done(group->own)) {
            (void)oracle_fail("group %u: its runtime has stopped; a send returned %s",
                    group->number, cmds_error_name(code));
        }
        cmds_group_unref(group->own);
    }
}

/* --- The end -------------------------------------------------------------------------------------- */

/* Nothing goes wrong any more: the server is found, and answers. Returns: so it is. */
static bool load_asks_once(struct load *load)
{
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&talk_protocol);
    struct cmds_group_options group;
    struct talk_ask ask = {.how = TALK_NOW, .count = 1};
    load_group_options(load, &group);
    group.on_state = NULL;
    group.on_unexpected = NULL;
    group.on_writable = NULL;
    group.client_count = 1;
    options.group = &group;
    options.single_thread = true;
    uint32_t number = oracle_group_open(load->life, load->plan->number, load->server->number, 1);
    oracle_group(number)->is_sender = true;
    oracle_group(number)->breaks = load->fuse.breaker != NULL;
    int code = cmds_sender_open(&sender, &options, &error);
    if (code < 0) {
        oracle_sender_refused(number, code, &error);
        return false;
    }
    ask.id = oracle_command_new(number, ORACLE_ASK, &ask, 5000);
    if (ask.id != 0) {
        struct cmds_result *result = NULL;
        code = cmds_sender_send(sender, talk_ask_message(&ask), 5000, &result, &error);
        if (code == 0) {
            (void)oracle_command_value(ask.id, result);
        } else if (code == CMDS_E_REMOTE) {
            (void)oracle_command_failed(ask.id, result);
        }
        fuse_sent(&load->fuse, code, NULL);
        oracle_group(number)->taken++;
        oracle_command_end(ask.id, code);
        cmds_result_free(result);
    }
    oracle_group_closing(number);
    cmds_sender_close(sender, 1000);
    oracle_group_closed(number);
    return code == 0;
}

/* One of its servers has a bound of connections. */
static bool load_is_limited(const struct load *load)
{
    const struct scenario *scenario = oracle.scenario;
    uint32_t kin = load->plan->moves ? scenario_kin(scenario, load->plan->server) : 0;
    bool is_limited = load->server->connection_count_max != 0;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        is_limited = is_limited ||
                     ((kin & 1u << i) != 0 && scenario->servers[i].connection_count_max != 0);
    }
    return is_limited;
}

static void load_settle(struct load *load)
{
    /* Connections of hosts that have lost power may take all places for two minutes more. */
    bool may_ask = !load->plan->is_stranger && !load_is_limited(load);
    while (oracle_now_ns() < oracle.scenario->load_ms * 1000000ull) {
        cmds_sim_sleep_ms(100);
    }
    for (uint32_t i = 0; i < LOAD_SETTLE_MAX && may_ask; i++) {
        if (cmds_sim_stopping() || load_asks_once(load)) {
            return;
        }
        cmds_sim_sleep_ms(1000);
    }
    if (may_ask) {
        (void)oracle_fail("client %u: nothing goes wrong any more, and server %u does not answer",
                load->plan->number, load->server->number);
    }
}

int load_main(void *context)
{
    struct load *load = context;
    struct cmds_error error = CMDS_ERROR_INIT;
    const struct scenario_client *plan = load->plan;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = plan->is_inline ? CMDS_SHARDS_INLINE : plan->shards;
    options.buffer_size = plan->buffer_size;
    options.buffer_count_max = plan->buffer_count_max;
    options.memory_size_max = plan->memory_size_max;
    options.ring_entries = plan->ring_entries;
    options.spin_us = plan->spin_us;
    options.trace = traced_options(plan->number);
    strategy_init(
            &load->strategy, plan->connections > 3 ? plan->connections : 3, plan->in_flight_max);
    memset(load->groups, 0, sizeof(load->groups)); // Of a life before, which was killed.
    load_set_connect(load);
    load->life = oracle_life_begin(false, plan->number);
    if (load_is_hooked(load)) {
        hooked_begin(&load->hooked);
    }
    fuse_begin(&load->fuse, plan);
    int code = 0;
    while ((code = cmds_runtime_start(&load->runtime, &options, &error)) < 0) {
        if (!load_may_fail(code)) {
            (void)oracle_fail("client %u: its runtime: %s", plan->number, error.text);
            return 1;
        }
        cmds_sim_sleep_ms(20);
    }
    load->shards = cmds_runtime_shard_count(load->runtime);
    if (plan->is_inline) {
        load_pass(load, 1); // Before its first turn it is nobody's, and cannot be looked at.
    }
    looked_begin(&load->looked, load->runtime, load->life, plan->is_sleepy);
    while (!load_is_over(load) && !cmds_sim_stopping()) {
        load_round(load);
        cmds_sim_sleep_ms(oracle_below(50));
    }
    load_stop(load);
    if (load->strategy.states != 0) {
        (void)oracle_fail("client %u: %u states of its dispatch strategy have not ended",
                plan->number, load->strategy.states);
    }
    load_settle(load);
    if (load_is_hooked(load)) {
        hooked_end(&load->hooked, plan->number);
    }
    fuse_end(&load->fuse, load->life);
    cmds_sim_sleep_ms(20); // A look-up that was under way is over, unless it hangs.
    oracle_life_end(load->life, 1);
    return 0;
}
