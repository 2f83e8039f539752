/* SPDX-License-Identifier: MIT */
/*
 * What a runtime counts, as one reads it. What may go wrong: a count falls or is lost when a server
 * or group closes, two servers of one name hide each other, the parts of the shards are not the whole,
 * the points of a metric do not follow each other.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/log.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <stdio.h>

#include "support/read_metrics.h"
#include "support/sim_runs.h"
#include "telemetry/scope.h"

enum {
    COMMANDS = 300,
    CONNECTIONS = 4,
};

struct ask {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("telemetry", commands, results);

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct answer value = {ask->number};
    if (ask->number < 0) {
        cmds_sim_sleep_ms((uint32_t)-ask->number); // It holds up its shard.
    }
    return cmds_call_send(call, answer_message(&value));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

/* --- A program of a world --------------------------------------------------------------------- */

struct service {
    int (*use)(struct service *service); // Returns: 0; the line of what was not so.
    struct cmds_runtime *runtime;
    _Atomic int64_t stalls; // Records of a stall by the command `ask`.
};
#define EXPECT(fact)                                                                               \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            (void)fprintf(stderr, "line %d: %s\n", __LINE__, #fact);                               \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

static struct cmds_server *open_server(
        struct service *service, const char *listen, const char *name)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_server *server = NULL;
    options.listen = listen;
    options.receiver = service;
    options.name = name;
    return cmds_server_start(&server, service->runtime, &options, NULL) == 0 ? server : NULL;
}

static struct cmds_group *open_group(struct service *service, const char *connect, const char *name)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_group *group = NULL;
    options.connect = connect;
    options.client_count = CONNECTIONS;
    options.name = name;
    int code = cmds_group_open(&group, service->runtime, &options, NULL);
    return code == 0 && cmds_group_wait(group, 1000, NULL) == 0 ? group : NULL;
}

static bool ask_all(struct cmds_group *group, int64_t count)
{
    int code = 0;
    for (int64_t i = 0; i < count && code == 0; i++) {
        struct ask ask = {i};
        code = cmds_group_send(group, ask_message(&ask), NULL, on_result, NULL);
    }
    return code == 0 && cmds_group_drain(group, 1000) == 0;
}

static void on_closed(void *context)
{
    atomic_store((_Atomic bool *)context, true);
}

/* It has let go of all that is its own by then. */
static void close_group(struct cmds_group *group)
{
    _Atomic bool closed = false;
    cmds_group_close(group, on_closed, &closed);
    while (!atomic_load(&closed)) {
        cmds_sim_sleep_ms(1);
    }
    cmds_sim_sleep_ms(1000);
}

static void on_record(void *context, const struct cmds_log_record *record)
{
    struct service *service = context;
    bool is_ours = record->reason == CMDS_REASON_STALL && record->type != NULL &&
                   strcmp(record->type, "ask") == 0 && strstr(record->text, "ask") != NULL;
    atomic_fetch_add(&service->stalls, is_ours);
}

static int service_main(void *context)
{
    struct service *service = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 2;
    options.on_record = on_record;
    options.record_context = service;
    int code = cmds_runtime_start(&service->runtime, &options, NULL);
    code = code < 0 ? code : service->use(service);
    cmds_runtime_stop(service->runtime);
    return code;
}

static void run(int (*use)(struct service *service))
{
    struct service service = {.use = use};
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(7, 0);
    (void)add(sim, "service", false, service_main, &service);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
}

static int64_t named(struct service *service, const char *metric, const char *name)
{
    struct metric_sum of = {.name = metric, .key = "cmdstream.name", .value = name};
    return metric_read(service->runtime, 0, of).integer;
}

/* --- Facts ------------------------------------------------------------------------------------ */

static int use_nothing(struct service *service)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    struct metric_sum build = {
            .name = "cmdstream.build_info", .key = "cmdstream.version", .value = CMDS_VERSION};
    EXPECT(metric_read(service->runtime, 0, build).integer == 1);
    cmds_runtime_stats(service->runtime, &counters);
    EXPECT(metric_total(service->runtime, "cmdstream.turns") >= (int64_t)counters.turns);
    EXPECT(counters.turns > 0);
    /* Nobody serves, so there is nothing to say of servers. */
    struct metric_sum connections = {.name = "cmdstream.server.connections"};
    EXPECT(metric_read(service->runtime, 0, connections).points == 0);
    struct metric_sum cpu = {.name = "process.cpu"};
    struct metric_sum fds = {.name = "process.open_fds"};
    EXPECT(metric_read(service->runtime, 0, cpu).points == 1);
    EXPECT(metric_read(service->runtime, 0, fds).integer > 0);
    return 0;
}

static void test_telemetry_of_a_runtime_alone(void)
{
    run(use_nothing);
}

static int use_close(struct service *service)
{
    static const char received[] = "cmdstream.server.commands_received";
    static const char sent[] = "cmdstream.client.commands_sent";
    for (int64_t round = 1; round <= 3; round++) {
        struct cmds_server *server = open_server(service, "127.0.0.1:9000", NULL);
        struct cmds_group *group =
                server != NULL ? open_group(service, "127.0.0.1:9000", NULL) : NULL;
        EXPECT(group != NULL && ask_all(group, COMMANDS));
        EXPECT(metric_total(service->runtime, received) == round * COMMANDS);
        EXPECT(metric_total(service->runtime, "cmdstream.server.connections") == CONNECTIONS);
        close_group(group);
        EXPECT(metric_total(service->runtime, sent) == round * COMMANDS);
        EXPECT(metric_total(service->runtime, "cmdstream.client.connections") == 0);
        cmds_server_close(server);
        EXPECT(metric_total(service->runtime, received) == round * COMMANDS);
        EXPECT(metric_total(service->runtime, "cmdstream.server.connections_closed") ==
                round * CONNECTIONS);
        EXPECT(metric_total(service->runtime, "cmdstream.server.connections") == 0);
    }
    return 0;
}

static void test_telemetry_what_has_closed_still_counts(void)
{
    run(use_close);
}

static int use_names(struct service *service)
{
    static const char received[] = "cmdstream.server.commands_received";
    static const char sent[] = "cmdstream.client.commands_sent";
    char name[] = "orders";
    struct cmds_server *one = open_server(service, "127.0.0.1:9000", name);
    struct cmds_group *group = open_group(service, "127.0.0.1:9000", name);
    name[0] = 'b'; // It was copied.
    struct cmds_server *two = open_server(service, "127.0.0.1:9001", "orders");
    struct cmds_server *three = open_server(service, "127.0.0.1:9002", "users");
    struct cmds_group *second = open_group(service, "127.0.0.1:9001", NULL);
    struct cmds_group *third = open_group(service, "127.0.0.1:9002", NULL);
    EXPECT(one != NULL && two != NULL && three != NULL);
    EXPECT(group != NULL && second != NULL && third != NULL);
    EXPECT(ask_all(group, 3) && ask_all(second, 20) && ask_all(third, 100));

    EXPECT(named(service, received, "orders") == 23);
    EXPECT(named(service, received, "users") == 100);
    EXPECT(metric_total(service->runtime, received) == 123);
    EXPECT(named(service, sent, "orders") == 3);
    EXPECT(metric_total(service->runtime, sent) == 123);
    struct metric_sum all = {.name = sent};
    EXPECT(metric_read(service->runtime, 0, all).points == 2); // One of them has no name.
    close_group(group);
    cmds_server_close(one);
    EXPECT(named(service, received, "orders") == 23);
    EXPECT(named(service, sent, "orders") == 3);
    return 0;
}

static void test_telemetry_of_one_name_is_added_up(void)
{
    run(use_names);
}

static int use_shards(struct service *service)
{
    static const char *const names[] = {
            "cmdstream.server.commands_received", "cmdstream.client.results_received"};
    struct cmds_server *server = open_server(service, "127.0.0.1:9000", NULL);
    struct cmds_group *group = server != NULL ? open_group(service, "127.0.0.1:9000", NULL) : NULL;
    EXPECT(group != NULL && ask_all(group, COMMANDS));
    for (int i = 0; i < 2; i++) {
        struct metric_sum first = {.name = names[i], .key = "cmdstream.shard", .value = "0"};
        struct metric_sum second = {.name = names[i], .key = "cmdstream.shard", .value = "1"};
        first = metric_read(service->runtime, CMDS_READ_BY_SHARD, first);
        second = metric_read(service->runtime, CMDS_READ_BY_SHARD, second);
        EXPECT(first.points == 1 && second.points == 1);
        EXPECT(first.integer > 0 && second.integer > 0);
        EXPECT(first.integer + second.integer == COMMANDS);
    }
    struct metric_sum turns = {.name = "cmdstream.turns"};
    EXPECT(metric_read(service->runtime, CMDS_READ_BY_SHARD, turns).points == 2);
    EXPECT(metric_read(service->runtime, 0, turns).points == 1);
    return 0;
}

static void test_telemetry_the_shards_are_the_whole(void)
{
    run(use_shards);
}

/* What no shard counts has a point of its own, once there is something. */
static int use_others(struct service *service)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_group *group = NULL;
    struct ask ask = {0};
    options.connect = "127.0.0.1:9000"; // Nobody listens: what is sent stays.
    options.in_flight_max = 1;
    EXPECT(cmds_group_open(&group, service->runtime, &options, NULL) == 0);
    struct metric_sum none = {
            .name = "cmdstream.client.sends_refused", .key = "cmdstream.shard", .value = "none"};
    EXPECT(metric_read(service->runtime, CMDS_READ_BY_SHARD, none).points == 0);
    int64_t refused = 0;
    for (; refused == 0 && ask.number < 100000; ask.number++) {
        refused = cmds_group_send(group, ask_message(&ask), NULL, on_result, NULL) == -ENOBUFS;
    }
    EXPECT(metric_read(service->runtime, CMDS_READ_BY_SHARD, none).integer == refused);
    EXPECT(metric_total(service->runtime, none.name) == refused);
    EXPECT(refused == 1);
    return 0;
}

static void test_telemetry_other_threads_are_no_shard(void)
{
    run(use_others);
}

/* --- Time ------------------------------------------------------------------------------------- */

static int use_stall(struct service *service)
{
    struct cmds_server *server = open_server(service, "127.0.0.1:9000", NULL);
    struct cmds_group *group = server != NULL ? open_group(service, "127.0.0.1:9000", NULL) : NULL;
    EXPECT(group != NULL && ask_all(group, COMMANDS));
    EXPECT(metric_total(service->runtime, "cmdstream.stalls") == 0);
    struct ask ask = {-150};
    EXPECT(cmds_group_send(group, ask_message(&ask), NULL, on_result, NULL) == 0);
    EXPECT(cmds_group_drain(group, 1000) == 0);
    cmds_sim_sleep_ms(10); // Until the turn is over.
    EXPECT(metric_total(service->runtime, "cmdstream.stalls") == 1);
    EXPECT(atomic_load(&service->stalls) == 1);
    struct metric_sum busy = {.name = "cmdstream.shard.busy"};
    busy = metric_read(service->runtime, 0, busy);
    EXPECT(busy.points == 1 && busy.real > 0.15 && busy.real < 0.2);
    return 0;
}

static void test_telemetry_a_stall_names_its_command(void)
{
    run(use_stall);
}

/* What the two shards did is all of the time. */
static int use_time(struct service *service)
{
    uint64_t since_ns = cmds_sim_now_ns(cmds_sim_current());
    struct cmds_server *server = open_server(service, "127.0.0.1:9000", NULL);
    struct cmds_group *group = server != NULL ? open_group(service, "127.0.0.1:9000", NULL) : NULL;
    EXPECT(group != NULL && ask_all(group, COMMANDS));
    cmds_sim_sleep_ms(30000);
    static const char *const names[] = {
            "cmdstream.shard.busy", "cmdstream.shard.spin", "cmdstream.shard.sleep"};
    double parts[3];
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        parts[i] = metric_read(service->runtime, 0, (struct metric_sum){.name = names[i]}).real;
        sum += parts[i];
    }
    double all = (double)(cmds_sim_now_ns(cmds_sim_current()) - since_ns) * 2e-9;
    EXPECT(sum > all - 3 && sum < all + 1); // A sleep of a second at most has not ended.
    EXPECT(parts[0] > 0 && parts[1] > 0 && parts[2] > all * 0.9);
    struct metric_sum turn = {.name = "cmdstream.turn.duration"};
    int64_t turns = metric_total(service->runtime, "cmdstream.turns");
    turn = metric_read(service->runtime, 0, turn);
    EXPECT(turn.points == 1 && (int64_t)turn.count >= turns - 2 && (int64_t)turn.count <= turns);
    return 0;
}

static void test_telemetry_the_states_of_a_shard_are_all_its_time(void)
{
    run(use_time);
}

/* --- The form of a reading -------------------------------------------------------------------- */

struct order {
    const struct cmds_metric *last;
    const char *seen[512];
    uint32_t count, left;
    bool wrong;
};

static int order_check(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct order *order = context;
    bool text = metric->name != NULL && metric->unit != NULL && metric->description != NULL;
    order->wrong |= !text || (point->label_count > 0 && point->labels == NULL);
    if (metric != order->last) {
        for (uint32_t i = 0; i < order->count; i++) {
            order->wrong |= strcmp(order->seen[i], metric->name) == 0;
        }
        order->seen[order->count++ % 512] = metric->name;
        order->last = metric;
    }
    return --order->left == 0 ? 77 : 0;
}

static int use_order(struct service *service)
{
    struct cmds_server *server = open_server(service, "127.0.0.1:9000", "a");
    struct cmds_server *second = open_server(service, "127.0.0.1:9001", "b");
    struct cmds_group *group = open_group(service, "127.0.0.1:9000", "a");
    EXPECT(server != NULL && second != NULL && group != NULL && ask_all(group, 1));
    for (uint32_t flags = 0; flags <= 7; flags++) {
        struct order order = {.left = UINT32_MAX};
        EXPECT(cmds_telemetry_read(service->runtime, flags, order_check, &order) == 0);
        EXPECT(order.count >= 94 && order.count < 512 && !order.wrong);
    }
    for (uint32_t left = 1; left < 60; left++) {
        struct order order = {.left = left};
        EXPECT(cmds_telemetry_read(service->runtime, 0, order_check, &order) == 77);
        EXPECT(order.left == 0);
    }
    struct order order = {.left = UINT32_MAX};
    EXPECT(cmds_telemetry_read(service->runtime, 8, order_check, &order) == -EINVAL);
    EXPECT(cmds_telemetry_read(service->runtime, 0, NULL, &order) == -EINVAL);
    EXPECT(cmds_telemetry_read(NULL, 0, order_check, &order) == -EINVAL);
    EXPECT(order.count == 0);
    return 0;
}

static void test_telemetry_points_of_a_metric_are_in_a_row(void)
{
    run(use_order);
}

static int use_bad_names(struct service *service)
{
    char longest[CMDI_NAME_SIZE_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[CMDI_NAME_SIZE_MAX] = '\0';
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_server *server = open_server(service, "127.0.0.1:9000", longest);
    struct cmds_group *group = NULL;
    EXPECT(server != NULL);
    cmds_server_close(server);
    longest[CMDI_NAME_SIZE_MAX] = 'x';
    longest[CMDI_NAME_SIZE_MAX + 1] = '\0';
    const char *const bad[] = {longest, "two\nlines", "\xc3\xa4", "\x7f"};
    options.listen = group_options.connect = "127.0.0.1:9000";
    for (int i = 0; i < 4; i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        options.name = group_options.name = bad[i];
        EXPECT(cmds_server_start(&server, service->runtime, &options, &error) == -EINVAL);
        EXPECT(strncmp(error.text, "name:", 5) == 0);
        EXPECT(cmds_group_open(&group, service->runtime, &group_options, &error) == -EINVAL);
    }
    return 0;
}

static void test_telemetry_names_are_checked(void)
{
    run(use_bad_names);
}

static int use_many_names(struct service *service)
{
    for (int i = 0; i < CMDI_SCOPES_MAX + 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        struct cmds_server *server = open_server(service, "127.0.0.1:9000", name);
        EXPECT(server != NULL);
        struct cmds_group *group = open_group(service, "127.0.0.1:9000", name);
        EXPECT(group != NULL && ask_all(group, 1));
        cmds_group_close(group, NULL, NULL);
        cmds_server_close(server);
    }
    EXPECT(metric_total(service->runtime, "cmdstream.server.commands_received") ==
            CMDI_SCOPES_MAX + 20);
    struct metric_sum all = {.name = "cmdstream.server.commands_received"};
    EXPECT(metric_read(service->runtime, 0, all).points <= CMDI_SCOPES_MAX);
    return 0;
}

static void test_telemetry_names_are_bounded(void)
{
    run(use_many_names);
}

static CU_TestInfo tests[] = {
        {"of a runtime alone", test_telemetry_of_a_runtime_alone},
        {"what has closed still counts", test_telemetry_what_has_closed_still_counts},
        {"of one name is added up", test_telemetry_of_one_name_is_added_up},
        {"the shards are the whole", test_telemetry_the_shards_are_the_whole},
        {"other threads are no shard", test_telemetry_other_threads_are_no_shard},
        {"a stall names its command", test_telemetry_a_stall_names_its_command},
        {"the states of a shard are all its time",
                test_telemetry_the_states_of_a_shard_are_all_its_time},
        {"points of a metric are in a row", test_telemetry_points_of_a_metric_are_in_a_row},
        {"names are checked", test_telemetry_names_are_checked},
        {"names are bounded", test_telemetry_names_are_bounded},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_telemetry", tests)
