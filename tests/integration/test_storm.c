/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: threads send, forget, pause, look and set other endpoints while servers come and go
 * and the group closes. Each command that was taken ends once, also for its hooks, and nobody touches
 * what is gone, which a sanitizer would see.
 */
#include <cmdstream/cmdstream.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/raw.h"

enum {
    SERVERS = 3,
    CLIENTS = 6,
    ROUNDS = 6,
    ROUND_MS = 300,
    COMMANDS = 400000, // Of a round.
    ITEM_SIZE = 1000,
};

struct ask {
    int64_t number;
};
struct list {
    int64_t count;
};
struct note {
    int64_t number;
};
struct give {
    int64_t count;
};
struct answer {
    int64_t number;
};
struct item {
    bool last;
    struct cmds_bytes data;
};
CMDS_COMMAND_IDEMPOTENT(ask, 0, number);
CMDS_COMMAND(list, 1, count);
CMDS_COMMAND_ONE_WAY(note, 2, number);
CMDS_COMMAND(give, 3, count);
CMDS_RESULT(answer, 0, number);
CMDS_RESULT(item, 1, CMDS_LAST(last), data);
static const struct cmds_type *const commands[] = {&ask_type, &list_type, &note_type, &give_type};
static const struct cmds_type *const results[] = {&answer_type, &item_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("storm", commands, results);

struct storm {
    struct cmds_runtime *server_runtime, *runtime;
    struct cmds_server *servers[SERVERS];
    struct cmds_server *gate;
    char addresses[SERVERS][64], gate_address[64];
    struct cmds_group *group;
    struct cmds_breaker *breaker;
    _Atomic uint8_t *ends;
    _Atomic uint32_t next;
    _Atomic uint32_t taken, ended, twice;
    _Atomic uint32_t hooks_begun, hooks_ended;
    _Atomic uint32_t closed;
    _Atomic bool stop; // Of the threads that do not see the close.
};

/* --- Servers ---------------------------------------------------------------------------------- */

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    return cmds_call_send(call, answer_message(&(struct answer){ask->number}));
}

static int on_list(struct cmds_call *call, const struct list *list)
{
    static const char data[ITEM_SIZE];
    uintptr_t index = (uintptr_t)cmds_call_context(call);
    int code = 0;
    while (code == 0 && (int64_t)index < list->count) {
        struct item item = {(int64_t)index + 1 == list->count, {data, sizeof(data)}};
        code = cmds_call_send(call, item_message(&item));
        index += code == 0;
    }
    cmds_call_set_context(call, (void *)index);
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static int on_note(struct cmds_call *call, const struct note *note)
{
    (void)call;
    (void)note;
    return 0;
}

/* A thread of the pool that is refused, and sleeps until there is room. */
struct giver {
    pthread_mutex_t lock;
    pthread_cond_t told_cond;
    bool told;
};

static void wake_giver(struct cmds_call *call)
{
    struct giver *giver = cmds_call_context(call);
    pthread_mutex_lock(&giver->lock);
    giver->told = true;
    pthread_cond_signal(&giver->told_cond);
    pthread_mutex_unlock(&giver->lock);
}

static int giver_sleep(struct giver *giver, struct cmds_call *call)
{
    giver->told = false;
    int code = cmds_call_on_writable(call, wake_giver);
    pthread_mutex_lock(&giver->lock);
    while (code == 0 && !giver->told) {
        (void)pthread_cond_wait(&giver->told_cond, &giver->lock);
    }
    pthread_mutex_unlock(&giver->lock);
    return code;
}

static int on_give(struct cmds_call *call, const struct give *give)
{
    static const char data[ITEM_SIZE];
    struct giver giver = {.lock = PTHREAD_MUTEX_INITIALIZER, .told_cond = PTHREAD_COND_INITIALIZER};
    int code = 0;
    cmds_call_set_context(call, &giver);
    for (int64_t i = 0; i < give->count && code == 0;) {
        struct item item = {i + 1 == give->count, {data, sizeof(data)}};
        code = cmds_call_send(call, item_message(&item));
        i += code == 0;
        code = code == -ENOBUFS ? giver_sleep(&giver, call) : code;
    }
    return code;
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask), CMDS_EXEC(list, on_list),
        CMDS_EXEC(note, on_note), CMDS_EXEC_IN_POOL(give, on_give)};

static int serve(struct storm *storm, uint32_t index)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.listen = storm->addresses[index];
    options.output_size_max = 16 * 1024;
    return cmds_server_start(&storm->servers[index], storm->server_runtime, &options, NULL);
}

/* One ends, in order or not, and comes back. */
static void *restart_servers(void *context)
{
    struct storm *storm = context;
    for (uint32_t i = 0; !atomic_load(&storm->stop); i++) {
        uint32_t index = i % SERVERS;
        if (i % 2 == 0) {
            (void)cmds_server_shutdown(storm->servers[index], 20);
        }
        cmds_server_close(storm->servers[index]);
        storm->servers[index] = NULL;
        usleep(1000 * (5));
        CU_ASSERT_EQUAL(serve(storm, index), 0);
        usleep(1000 * (15));
    }
    return NULL;
}

/* --- Commands --------------------------------------------------------------------------------- */

static struct storm *storm_now;

static void on_result(void *context, const struct cmds_result *result)
{
    struct storm *storm = storm_now;
    _Atomic uint8_t *end = context;
    if (result->last) {
        atomic_fetch_add(&storm->twice, atomic_fetch_add(end, 1) != 0);
        atomic_fetch_add(&storm->ended, 1);
    }
}

/* Returns: as the send. */
static int send_one(struct storm *storm, uint32_t random, struct cmds_ticket *ticket)
{
    uint32_t index = atomic_fetch_add(&storm->next, 1);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct ask ask = {index};
    struct list list = {random % 50 + 1};
    struct give give = {random % 50 + 1};
    struct note note = {index};
    if (index >= COMMANDS) {
        return CMDS_E_CLOSED;
    }
    how.ticket = ticket;
    how.resend = random % 3;
    how.deadline_ms = random % 5 == 0 ? 3 : 0;
    how.sticky_key = random % 7;
    bool one_way = random % 11 == 0;
    atomic_fetch_add(&storm->taken, !one_way);
    int code = cmds_group_send(storm->group,
            one_way            ? note_message(&note)
            : random % 13 == 0 ? list_message(&list)
            : random % 17 == 0 ? give_message(&give)
                               : ask_message(&ask),
            &how, on_result, &storm->ends[index]);
    atomic_fetch_sub(&storm->taken, code < 0 && !one_way);
    return code;
}

static void *send_and_forget(void *context)
{
    struct storm *storm = context;
    uint32_t random = (uint32_t)(uintptr_t)&random;
    struct cmds_ticket tickets[8] = {{0}};
    int code = 0;
    while (code != CMDS_E_CLOSED) {
        random = random * 1664525u + 1013904223u;
        struct cmds_ticket *ticket = &tickets[random >> 29];
        if ((random >> 20 & 3) == 0) {
            (void)cmds_group_forget(storm->group, *ticket);
            (void)cmds_group_has(storm->group, *ticket);
        }
        code = send_one(storm, random >> 8, (random >> 18 & 1) != 0 ? ticket : NULL);
        if (code < 0) {
            sched_yield();
        }
    }
    return NULL;
}

/* On a shard: some, and itself once more. */
static void send_on_shard(void *context)
{
    struct storm *storm = context;
    static _Atomic uint32_t seed;
    uint32_t random = atomic_fetch_add(&seed, 2654435761u);
    int code = 0;
    for (uint32_t i = 0; i < 5 && code != CMDS_E_CLOSED; i++) {
        code = send_one(storm, random >> i, NULL);
    }
}

static void *post_to_shards(void *context)
{
    struct storm *storm = context;
    for (uint32_t i = 0; !atomic_load(&storm->stop); i++) {
        uint32_t shards = cmds_runtime_shard_count(storm->runtime);
        if (cmds_runtime_post(storm->runtime, i % shards, send_on_shard, storm) < 0) {
            break;
        }
        usleep(200);
    }
    return NULL;
}

/* --- All else ---------------------------------------------------------------------------------- */

static void *set_endpoints(void *context)
{
    struct storm *storm = context;
    uint32_t random = (uint32_t)(uintptr_t)&random;
    int code = 0;
    while (code != CMDS_E_CLOSED) {
        struct cmds_endpoint endpoints[SERVERS + 1];
        uint32_t count = 0;
        random = random * 1664525u + 1013904223u;
        for (uint32_t i = 0; i < SERVERS; i++) {
            endpoints[count] = (struct cmds_endpoint)CMDS_ENDPOINT_INIT(storm->addresses[i]);
            count += (random >> (8 + i) & 1) != 0;
        }
        if (count == 0 || random >> 28 == 0) {
            endpoints[count++] = (struct cmds_endpoint)CMDS_ENDPOINT_INIT("unix:@storm-nobody");
        }
        code = cmds_group_set_endpoints(storm->group, endpoints, count, NULL);
        CU_ASSERT(code == 0 || code == CMDS_E_CLOSED || code == CMDS_E_NOT_CONNECTED);
        usleep(random >> 16 & 2047);
    }
    return NULL;
}

static void *pause_and_resume(void *context)
{
    struct storm *storm = context;
    int code = 0;
    for (uint32_t i = 0; code != CMDS_E_CLOSED; i++) {
        code = cmds_group_pause(storm->group, i % CLIENTS);
        usleep(300);
        code = code == 0 ? cmds_group_resume(storm->group, i % CLIENTS) : code;
        CU_ASSERT(code == 0 || code == CMDS_E_CLOSED);
    }
    return NULL;
}

static void *look(void *context)
{
    struct storm *storm = context;
    int code = 0;
    while (code != CMDS_E_CLOSED) {
        struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
        struct cmds_error error = CMDS_ERROR_INIT;
        for (uint32_t i = 0; i < CLIENTS; i++) {
            struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
            (void)cmds_group_connection(storm->group, i, &info);
        }
        for (uint32_t i = 0; i < SERVERS; i++) {
            struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
            struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
            if (cmds_group_endpoint(storm->group, i, &state) == 0) {
                (void)cmds_group_endpoint_breaker(storm->group, state.number, &info);
            }
        }
        (void)cmds_group_error(storm->group, &error);
        (void)cmds_group_wait(storm->group, 1, &error);
        (void)cmds_group_drain(storm->group, 1);
        (void)cmds_group_pending(storm->group);
        code = cmds_group_stats(storm->group, &counters);
        usleep(100);
    }
    return NULL;
}

static int on_each(void *context, const struct cmds_result *result)
{
    uint32_t *left = context;
    (void)result;
    return --*left == 0;
}

/* A sender of its own, whose streams are read slowly and left early, and which closes with the storm. */
static void *read_streams(void *context)
{
    struct storm *storm = context;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_sender *sender = NULL;
    char connect[SERVERS * 64 + SERVERS];
    (void)snprintf(connect, sizeof(connect), "%s,%s,%s", storm->addresses[0], storm->addresses[1],
            storm->addresses[2]);
    group.reconnect_delay_ms = 1;
    group.reconnect_delay_max_ms = 5;
    options.group = &group;
    options.runtime = storm->runtime;
    options.connect = connect;
    options.connect_later = true;
    options.stream_size_max = 4 * ITEM_SIZE;
    CU_ASSERT_EQUAL_FATAL(cmds_sender_open(&sender, &options, NULL), 0);
    for (uint32_t i = 0; !atomic_load(&storm->stop); i++) {
        struct list list = {100};
        struct ask ask = {1};
        uint32_t left = i % 120 + 1;
        (void)cmds_sender_send_multi(sender, list_message(&list), 50, NULL, on_each, &left);
        (void)cmds_sender_send(sender, ask_message(&ask), 50, NULL, NULL);
    }
    cmds_sender_close(sender, 100);
    return NULL;
}

/* --- A gateway -------------------------------------------------------------------------------- */

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct answer *answer = answer_of(result);
    const struct item *item = item_of(result);
    int64_t number = answer != NULL ? answer->number : -1;
    if (item != NULL) {
        (void)cmds_call_send(call, item_message(item)); // What has no room is left out.
    } else if (result->last) {
        (void)cmds_call_send(call, answer_message(&(struct answer){number}));
    }
}

static int forward_ask(struct cmds_call *call, const struct ask *ask)
{
    struct storm *storm = cmds_call_receiver(call);
    int code = cmds_group_forward(storm->group, ask_message(ask), NULL, call, on_forwarded, NULL);
    return code == 0 ? 0 : cmds_call_send(call, answer_message(&(struct answer){-1}));
}

static int forward_list(struct cmds_call *call, const struct list *list)
{
    struct storm *storm = cmds_call_receiver(call);
    int code = cmds_group_forward(storm->group, list_message(list), NULL, call, on_forwarded, NULL);
    return code == 0 ? 0 : cmds_call_send(call, answer_message(&(struct answer){-1}));
}
static const struct cmds_exec gate_execs[] = {CMDS_EXEC(ask, forward_ask),
        CMDS_EXEC(list, forward_list), CMDS_EXEC(note, on_note), CMDS_EXEC(give, on_give)};

static int open_gate(struct storm *storm)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, gate_execs);
    options.listen = storm->gate_address;
    options.receiver = storm;
    return cmds_server_start(&storm->gate, storm->runtime, &options, NULL);
}

static void ignore(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

/* Whoever asks through the gateway goes without waiting for all of it. */
static void *ask_gate(void *context)
{
    struct storm *storm = context;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    runtime_options.shard_count = 1;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &runtime_options, NULL), 0);
    while (!atomic_load(&storm->stop)) {
        struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
        struct cmds_group *group = NULL;
        options.connect = storm->gate_address;
        options.client_count = 3;
        CU_ASSERT_EQUAL_FATAL(cmds_group_open(&group, runtime, &options, NULL), 0);
        for (int64_t i = 0; i < 300; i++) {
            struct ask ask = {i};
            struct list list = {i};
            (void)cmds_group_send(group, i % 8 == 0 ? list_message(&list) : ask_message(&ask), NULL,
                    ignore, NULL);
            usleep(50);
        }
        cmds_group_close(group, NULL, NULL);
    }
    cmds_runtime_stop(runtime);
    return NULL;
}

/* --- A round ---------------------------------------------------------------------------------- */

static int before_send(void *context, struct cmds_sent_command *command)
{
    struct storm *storm = context;
    command->user = storm;
    atomic_fetch_add(&storm->hooks_begun, 1);
    return 0;
}

static void hook_ends(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct storm *storm = context;
    atomic_fetch_add(&storm->twice, command->user != storm);
    atomic_fetch_add(&storm->hooks_ended, result->last);
}

static void on_closed(void *context)
{
    atomic_store(&((struct storm *)context)->closed, 1);
}

static void storm_open(struct storm *storm, uint32_t round)
{
    static const struct cmds_dispatch *const strategies[] = {&cmds_dispatch_least,
            &cmds_dispatch_round_robin, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&hooks};
    hooks.context = storm;
    hooks.before_send = before_send;
    hooks.on_result = hooks.on_error = hooks.on_timeout = hook_ends;
    breaker.open_ms = 5;
    options.connect = storm->addresses[0];
    options.client_count = CLIENTS;
    options.in_flight_max = 64;
    options.output_size_max = 16 * 1024;
    options.deadline_ms = 200;
    options.reconnect_delay_ms = 1;
    options.reconnect_delay_max_ms = 5;
    options.keepalive_ms = 20;
    options.dispatch = strategies[round % 4];
    options.hooks = list;
    options.hooks_count = round % 3 != 0;
    options.endpoint_breaker = round % 2 == 0 ? &breaker : NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&storm->breaker, &breaker, NULL), 0);
    options.breaker = round % 3 == 1 ? storm->breaker : NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&storm->group, storm->runtime, &options, NULL), 0);
}

static void storm_round(struct storm *storm, uint32_t round)
{
    static void *(*const threads[])(void *context) = {restart_servers, send_and_forget,
            send_and_forget, post_to_shards, set_endpoints, set_endpoints, pause_and_resume,
            pause_and_resume, look, read_streams, ask_gate};
    pthread_t ids[sizeof(threads) / sizeof(threads[0])];
    storm_now = storm;
    storm_open(storm, round);
    struct cmds_group *mine = cmds_group_ref(storm->group);
    CU_ASSERT_EQUAL_FATAL(open_gate(storm), 0);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        CU_ASSERT_FATAL(pthread_create(&ids[i], NULL, threads[i], storm) == 0);
    }
    usleep(1000 * (ROUND_MS));
    cmds_group_close(storm->group, on_closed, storm);
    atomic_store(&storm->stop, true);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        CU_ASSERT_EQUAL(pthread_join(ids[i], NULL), 0);
    }
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (atomic_load(&storm->closed) == 0 && raw_now_ms() < until_ms) {
        usleep(1000 * (1));
    }
    CU_ASSERT_EQUAL(atomic_load(&storm->closed), 1);
    CU_ASSERT(atomic_load(&storm->taken) > 0);
    CU_ASSERT_EQUAL(atomic_load(&storm->ended), atomic_load(&storm->taken));
    CU_ASSERT_EQUAL(atomic_load(&storm->twice), 0);
    CU_ASSERT_EQUAL(atomic_load(&storm->hooks_begun), atomic_load(&storm->hooks_ended));
    cmds_server_close(storm->gate);
    cmds_group_unref(mine);
    cmds_breaker_free(storm->breaker);
}

static void test_storm_ends_each_command_once(void)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct storm storm = {.group = NULL};
        struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
        options.shard_count = 2;
        storm.ends = calloc(COMMANDS, 1);
        CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&storm.server_runtime, &options, NULL), 0);
        options.shard_count = 3;
        CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&storm.runtime, &options, NULL), 0);
        for (uint32_t i = 0; i < SERVERS; i++) {
            (void)snprintf(storm.addresses[i], sizeof(storm.addresses[i]), "unix:@storm-%d-%u",
                    (int)getpid(), (unsigned)i);
            CU_ASSERT_EQUAL_FATAL(serve(&storm, i), 0);
        }
        (void)snprintf(storm.gate_address, sizeof(storm.gate_address), "unix:@storm-%d-gate",
                (int)getpid());
        storm_round(&storm, round);
        for (uint32_t i = 0; i < SERVERS; i++) {
            cmds_server_close(storm.servers[i]);
        }
        cmds_runtime_stop(storm.runtime);
        cmds_runtime_stop(storm.server_runtime);
        free((void *)storm.ends);
    }
}

static CU_TestInfo tests[] = {
        {"ends each command once", test_storm_ends_each_command_once},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("storm", tests)
