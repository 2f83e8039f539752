/* SPDX-License-Identifier: MIT */
/* A world of three servers with moods, and a group whose endpoints have circuit breakers. */
#ifndef CMDI_TESTS_SUPPORT_SIM_GUARD_H
#define CMDI_TESTS_SUPPORT_SIM_GUARD_H

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    SERVERS = 3,
    WINDOW = 10,
    OPEN_MS = 500,
    TRIALS = 2,
    SLOW_MS = 100,
};

struct ask {
    int64_t number;
};
struct find {
    int64_t number;
};
struct slow {
    int64_t number;
};
struct tell {
    int64_t number;
};
struct answer {
    int64_t number;
    bool is_good;
};
CMDS_COMMAND(ask, 0, number);
CMDS_COMMAND_IDEMPOTENT(find, 1, number);
CMDS_COMMAND(slow, 2, number);
CMDS_COMMAND_ONE_WAY(tell, 3, number);
CMDS_RESULT(answer, 0, number, is_good);
static const struct cmds_type *const commands[] = {&ask_type, &find_type, &slow_type, &tell_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("guard", commands, results);

enum mood {
    GOOD,
    BAD,    // It answers that it cannot.
    SILENT, // It does not answer.
};

struct server {
    struct cmds_sim_process *process;
    _Atomic uint32_t mood; // enum mood
    _Atomic uint32_t asked;
    _Atomic uint32_t now, most; // In `slow`.
};

/* Of the endpoint of a server. */
struct trail {
    _Atomic uint32_t changes[3]; // By state.
    _Atomic uint32_t successes, failures;
    _Atomic uint32_t number; // The endpoint's.
};

struct world {
    int (*use)(struct world *world); // What the test is about. Returns: 0: all was right.
    const struct cmds_dispatch *dispatch;
    struct cmds_group_options options;
    struct cmds_breaker_options breaker;
    struct server servers[SERVERS];
    struct trail trails[SERVERS];
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    uint32_t failing; // The server that does.
    uint32_t faults;  // enum cmds_sim_fault
    bool on_shard;    // Commands are sent by a shard.
    _Atomic uint32_t sent, refused, full, good, bad, failures, lasts;
    _Atomic int last_code;
    _Atomic uint32_t strangers; // Callbacks that named no endpoint of ours.
};
static struct world world;

/* --- Servers ---------------------------------------------------------------------------------- */

static inline int answer(struct cmds_call *call, int64_t number)
{
    struct server *server = cmds_call_receiver(call);
    struct answer value = {number, server->mood == GOOD};
    atomic_fetch_add(&server->asked, 1);
    if (server->mood == SILENT) {
        (void)cmds_call_ref(call); // For ever: the process does not end in order.
        return 0;
    }
    return cmds_call_send(call, answer_message(&value));
}

static inline int on_ask(struct cmds_call *call, const struct ask *ask)
{
    return answer(call, ask->number);
}

static inline int on_find(struct cmds_call *call, const struct find *find)
{
    return answer(call, find->number);
}

static inline int on_slow(struct cmds_call *call, const struct slow *slow)
{
    struct server *server = cmds_call_receiver(call);
    uint32_t now = atomic_fetch_add(&server->now, 1) + 1;
    if (now > server->most) {
        server->most = now;
    }
    cmds_sim_sleep_ms(SLOW_MS);
    atomic_fetch_sub(&server->now, 1);
    return answer(call, slow->number);
}

static inline int on_tell(struct cmds_call *call, const struct tell *tell)
{
    struct server *server = cmds_call_receiver(call);
    (void)tell;
    atomic_fetch_add(&server->asked, 1);
    return 0;
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC(find, on_find),
        CMDS_EXEC_IN_POOL(slow, on_slow), CMDS_EXEC(tell, on_tell)};

static inline int server_main(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct server *server = context;
    server->now = 0;
    options.listen = "0.0.0.0:9000";
    options.receiver = server;
    return cmds_server_main(&options) == 1; // 2: silent ones have never ended.
}

/* --- Breakers --------------------------------------------------------------------------------- */

/* "s1:9000" */
static inline struct trail *trail_of(void *context, const struct cmds_breaker_endpoint *endpoint)
{
    struct world *mine = context;
    uint32_t index = (uint32_t)(endpoint->address[1] - '0');
    if (endpoint->address[0] != 's' || index >= SERVERS || endpoint->number == 0 ||
            endpoint->struct_size != sizeof(*endpoint) || endpoint->group == NULL) {
        atomic_fetch_add(&mine->strangers, 1);
        return &mine->trails[0];
    }
    atomic_store(&mine->trails[index].number, endpoint->number);
    return &mine->trails[index];
}

static inline void on_endpoint_state(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    cmds_sim_note(cmds_sim_current(), "%s is %d", endpoint->address, (int)state);
    atomic_fetch_add(&trail_of(context, endpoint)->changes[state], 1);
}

static inline void on_endpoint_success(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    (void)state;
    atomic_fetch_add(&trail_of(context, endpoint)->successes, 1);
}

static inline void on_endpoint_failure(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    (void)state;
    atomic_fetch_add(&trail_of(context, endpoint)->failures, 1);
}

static inline enum cmds_breaker_outcome classify(void *context, const struct cmds_result *result)
{
    const struct answer *value = answer_of(result);
    (void)context;
    return value == NULL    ? cmds_breaker_outcome_of(result->error)
           : value->is_good ? CMDS_BREAKER_SUCCESS
                            : CMDS_BREAKER_FAILURE;
}

/* Of the endpoint of a server, as the group shows it. */
static inline struct cmds_endpoint_state look(struct world *mine, uint32_t server)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    for (uint32_t i = 0; i < cmds_group_endpoint_count(mine->group); i++) {
        (void)cmds_group_endpoint(mine->group, i, &state);
        if (state.address[1] == '0' + (char)server) {
            return state;
        }
    }
    return (struct cmds_endpoint_state)CMDS_ENDPOINT_STATE_INIT;
}

static inline struct cmds_breaker_info look_close(struct world *mine, uint32_t server)
{
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    if (cmds_group_endpoint_breaker(mine->group, look(mine, server).number, &info) < 0) {
        info.trials = UINT32_MAX;
    }
    return info;
}

/* --- The client ------------------------------------------------------------------------------- */

static inline void on_result(void *context, const struct cmds_result *result)
{
    struct world *mine = context;
    const struct answer *value = answer_of(result);
    atomic_fetch_add(value == NULL    ? &mine->failures
                     : value->is_good ? &mine->good
                                      : &mine->bad,
            1);
    mine->lasts += result->last;
    if (value == NULL) {
        mine->last_code = result->error;
    }
}

static inline int count_send(struct world *mine, int code)
{
    mine->sent += code == 0;
    mine->refused += code == CMDS_E_NOT_ALLOWED;
    mine->full += code == -ENOBUFS;
    return code;
}

static inline int send_ask(struct world *mine, uint64_t key)
{
    struct ask ask = {1};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = key;
    return count_send(mine, cmds_group_send(mine->group, ask_message(&ask), &how, on_result, mine));
}

static inline int send_slow(struct world *mine)
{
    struct slow slow = {1};
    return count_send(
            mine, cmds_group_send(mine->group, slow_message(&slow), NULL, on_result, mine));
}

static inline void send_there(void *context)
{
    (void)send_ask(context, cmds_sim_random(cmds_sim_current()) % 64);
}

/* A command every ms. */
static inline void load(struct world *mine, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        if (mine->on_shard) {
            (void)cmds_runtime_post(mine->runtime, i % 2, send_there, mine);
        } else {
            send_there(mine);
        }
        cmds_sim_sleep_ms(1);
    }
}

static inline void set_mood(struct world *mine, enum mood mood)
{
    for (int i = 0; i < SERVERS; i++) {
        mine->servers[i].mood = (uint32_t)mood;
    }
}

static inline int set_list(struct world *mine, bool with_one)
{
    struct cmds_endpoint list[] = {CMDS_ENDPOINT_INIT("s0:9000"), CMDS_ENDPOINT_INIT("s2:9000"),
            CMDS_ENDPOINT_INIT("s1:9000")};
    return cmds_group_set_endpoints(mine->group, list, with_one ? 3 : 2, NULL);
}

static inline int client_main(void *context)
{
    struct world *mine = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 2;
    mine->options.connect =
            mine->options.connect != NULL ? mine->options.connect : "s0:9000,s1:9000,s2:9000";
    mine->options.endpoint_breaker = &mine->breaker;
    mine->options.dispatch = mine->dispatch;
    int code = cmds_runtime_start(&mine->runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&mine->group, mine->runtime, &mine->options, NULL);
    code = code < 0 || mine->faults != 0 ? code : cmds_group_wait(mine->group, 1000, NULL);
    code = code < 0 ? code : mine->use(mine);
    cmds_group_close(mine->group, NULL, NULL);
    cmds_runtime_stop(mine->runtime);
    return code;
}

static inline void reset(void)
{
    memset(&world, 0, sizeof(world));
    world.options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&protocol);
    world.options.client_count = 2 * SERVERS;
    world.options.reconnect_delay_max_ms = 200;
    world.breaker = (struct cmds_breaker_options)CMDS_BREAKER_OPTIONS_INIT;
    world.breaker.window_size = WINDOW;
    world.breaker.open_ms = OPEN_MS;
    world.breaker.half_open_max = TRIALS;
    world.breaker.success_threshold = 3;
    world.breaker.context = &world;
    world.breaker.classify = classify;
    world.breaker.on_endpoint_state = on_endpoint_state;
    world.breaker.on_endpoint_failure = on_endpoint_failure;
}

/* Returns: what the client's main function returned. */
static inline int run(int (*use)(struct world *mine), uint64_t seed)
{
    static const char *const names[] = {"s0", "s1", "s2"};
    struct cmds_sim *sim = open_world(seed, world.faults);
    world.use = use;
    for (int i = 0; i < SERVERS; i++) {
        world.servers[i].process = add(sim, names[i], true, server_main, &world.servers[i]);
    }
    (void)add(sim, "client", false, client_main, &world);
    int code = finish(sim, NULL, NULL, 0);
    CU_ASSERT_EQUAL(world.strangers, 0);
    return code;
}

#endif
