/* SPDX-License-Identifier: MIT */
/* Servers that answer when they are told to, and the load. See crowd.h. */
#include "support/sim/crowd.h"

#include <errno.h>
#include <string.h>

#include "support/sim_runs.h"

static const struct cmds_type *const commands[] = {&ask_type, &watch_type};
static const struct cmds_type *const results[] = {&answer_type, &item_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("dispatch", commands, results);

struct sent {
    struct crowd *crowd;
    int64_t takes_ms;
    uint64_t at_ns;
    uint64_t key;
};
static struct sent sents[CROWD_COMMANDS_MAX];

/* --- Servers ---------------------------------------------------------------------------------- */

static void answer_later(struct cmds_call *call)
{
    struct answer value = {0};
    (void)cmds_call_send(call, answer_message(&value)); // Nobody may wait for it any more.
    cmds_call_unref(call);
}

static int take(struct cmds_call *call, int64_t takes_ms)
{
    struct server *server = cmds_call_receiver(call);
    struct answer value = {0};
    atomic_fetch_add(&server->asked, 1);
    if (atomic_load(&server->fails)) {
        return -EIO;
    }
    if (atomic_load(&server->is_unsteady) && atomic_load(&server->asked) % 2 == 0) {
        takes_ms = 1000;
    }
    if (takes_ms == 0) {
        return cmds_call_send(call, answer_message(&value));
    }
    cmds_call_ref(call);
    int code = cmds_call_after(call, (uint32_t)takes_ms, answer_later);
    if (code < 0) {
        cmds_call_unref(call);
    }
    return code;
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    return take(call, ask->takes_ms);
}

static int on_watch(struct cmds_call *call, const struct watch *watch)
{
    struct item value = {watch->number};
    int code = cmds_call_send(call, item_message(&value));
    return code < 0 ? code : take(call, watch->takes_ms);
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC(watch, on_watch)};

static int server_main(void *context)
{
    struct server *server = context;
    struct cmds_server_options own = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    own.listen = "0.0.0.0:9000";
    own.receiver = server;
    return serve(&own);
}

/* --- The client ------------------------------------------------------------------------------- */

void crowd_on_result(void *context, const struct cmds_result *result)
{
    struct crowd *crowd = context;
    if (answer_of(result) != NULL) {
        atomic_fetch_add(&crowd->answers, 1);
    } else if (result->last) {
        atomic_fetch_add(&crowd->failures, 1);
    }
}

static int client_main(void *context)
{
    struct crowd *crowd = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    options.shard_count = 1;
    group.connect = crowd->connect;
    group.client_count = crowd->client_count;
    group.dispatch = crowd->dispatch;
    group.deadline_ms = crowd->deadline_ms;
    group.keepalive_ms = CMDS_NEVER; // A server that stands still keeps its connections.
    int code = cmds_runtime_start(&crowd->runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&crowd->group, crowd->runtime, &group, NULL);
    code = code < 0 ? code : cmds_group_wait(crowd->group, 5000, NULL);
    code = code < 0 ? code : crowd->use(crowd);
    cmds_group_close(crowd->group, NULL, NULL);
    cmds_runtime_stop(crowd->runtime);
    return code;
}

static const char all_servers[] = "10.0.0.1:9000,10.0.0.2:9000,10.0.0.3:9000,10.0.0.4:9000";

int crowd_run(struct crowd *crowd, int (*use)(struct crowd *crowd))
{
    static const char *const names[CROWD_SERVERS] = {"s0", "s1", "s2", "s3"};
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    options.seed = 5;
    options.time_max_ms = 3600 * 1000;
    options.event_count = 20;
    crowd->use = use;
    crowd->client_count = crowd->client_count != 0 ? crowd->client_count : CROWD_CONNECTIONS;
    crowd->deadline_ms = crowd->deadline_ms != 0 ? crowd->deadline_ms : CROWD_DEADLINE_MS;
    crowd->connect = crowd->connect != NULL ? crowd->connect : all_servers;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    for (int i = 0; i < CROWD_SERVERS; i++) {
        crowd->servers[i].process = add(sim, names[i], true, server_main, &crowd->servers[i]);
    }
    crowd->client = add(sim, "client", false, client_main, crowd);
    int code = finish(sim, &report, NULL, 0);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
    return code;
}

/* --- The load --------------------------------------------------------------------------------- */

static void on_sent_result(void *context, const struct cmds_result *result)
{
    struct sent *sent = context;
    struct crowd *crowd = sent->crowd;
    uint64_t took_ns = cmds_sim_now_ns(cmds_sim_current()) - sent->at_ns;
    if (answer_of(result) != NULL) {
        crowd->took_us[atomic_fetch_add(&crowd->answers, 1)] = (uint32_t)(took_ns / 1000);
        atomic_fetch_add(&crowd->answers_by[result->client % CROWD_CONNECTIONS], 1);
    } else if (result->last) {
        atomic_fetch_add(&crowd->failures, 1);
    }
}

static void send_one(void *context)
{
    struct sent *sent = context;
    struct ask ask = {0, sent->takes_ms};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = sent->key;
    sent->at_ns = cmds_sim_now_ns(cmds_sim_current());
    if (cmds_group_send(sent->crowd->group, ask_message(&ask), &how, on_sent_result, sent) < 0) {
        atomic_fetch_add(&sent->crowd->refused, 1);
    }
}

/* Returns: 0; a code. */
int crowd_load_one(struct crowd *crowd, uint64_t key, int64_t takes_ms)
{
    struct sent *sent = &sents[atomic_fetch_add(&crowd->sent, 1)];
    *sent = (struct sent){.crowd = crowd, .key = key, .takes_ms = takes_ms};
    if (crowd->on_shard) {
        return cmds_runtime_post(crowd->runtime, 0, send_one, sent);
    }
    send_one(sent);
    return 0;
}

/* A command every ms. Returns: 0; a code. */
int crowd_load_long(struct crowd *crowd, uint32_t ms, int64_t takes_ms)
{
    int code = 0;
    for (uint32_t i = 0; i < ms && code == 0; i++) {
        code = crowd_load_one(crowd, i % 64, takes_ms);
        cmds_sim_sleep_ms(1);
    }
    return code;
}

int crowd_load(struct crowd *crowd, uint32_t ms)
{
    return crowd_load_long(crowd, ms, 0);
}

struct crowd *crowd_new(const struct cmds_dispatch *dispatch, bool on_shard)
{
    static struct crowd crowd;
    memset(&crowd, 0, sizeof(crowd));
    crowd.dispatch = dispatch;
    crowd.on_shard = on_shard;
    return &crowd;
}

static const char *const places[CROWD_SERVERS] = {
        "10.0.0.1:9000", "10.0.0.2:9000", "10.0.0.3:9000", "10.0.0.4:9000"};

/* The first `count` of the servers, and all connections are there. */
int crowd_set(struct crowd *crowd, uint32_t count)
{
    struct cmds_endpoint list[CROWD_SERVERS];
    for (uint32_t i = 0; i < count; i++) {
        list[i] = (struct cmds_endpoint)CMDS_ENDPOINT_INIT(places[i]);
    }
    int code = cmds_group_set_endpoints(crowd->group, list, count, NULL);
    return code < 0 ? code : cmds_group_wait(crowd->group, 5000, NULL);
}
