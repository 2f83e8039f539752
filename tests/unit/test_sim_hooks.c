/* SPDX-License-Identifier: MIT */
/*
 * Hooks of groups and senders in a world: on shards, on other threads, of forwarded commands, of
 * streams, when there is no room, when the server is killed. Whatever becomes of a command, each of
 * its hooks sees exactly one end, with what it remembered of this command.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    RECORDS = 4096,
    SHARDS = 2,
    SILENT = -1, // To a command of this number there is no answer.
    SLOW_MS = 50,
};

struct ask {
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
    bool last;
};
CMDS_COMMAND(ask, 0, number);
CMDS_COMMAND(slow, 1, number);
CMDS_COMMAND_ONE_WAY(tell, 2, number);
CMDS_RESULT(answer, 0, number, CMDS_LAST(last));
static const struct cmds_type *const commands[] = {&ask_type, &slow_type, &tell_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("hooks", commands, results);

/* --- The server ------------------------------------------------------------------------------- */

/* `number` results, or one. */
static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    int code = 0;
    if (ask->number == SILENT) {
        (void)cmds_call_ref(call); // For ever: the process does not end in order.
        return 0;
    }
    int64_t count = ask->number > 0 ? ask->number : 1;
    for (int64_t i = 1; i <= count && code == 0; i++) {
        struct answer answer = {i, i == count};
        code = cmds_call_send(call, answer_message(&answer));
    }
    return code;
}

static int on_slow(struct cmds_call *call, const struct slow *slow)
{
    struct answer answer = {slow->number, true};
    cmds_sim_sleep_ms(SLOW_MS);
    return cmds_call_send(call, answer_message(&answer));
}

static int on_tell(struct cmds_call *call, const struct tell *tell)
{
    (void)call;
    (void)tell;
    return 0;
}
static const struct cmds_exec execs[] = {
        CMDS_EXEC(ask, on_ask), CMDS_EXEC_IN_POOL(slow, on_slow), CMDS_EXEC(tell, on_tell)};

static int shop_main(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    options.listen = "0.0.0.0:9000";
    return cmds_server_main(&options) == 1; // 2: silent ones have never ended.
}

/* --- What the hooks have seen ----------------------------------------------------------------- */

/* Of one command. */
struct record {
    _Atomic uint32_t results, ends;
    int end; // The code.
};

/* Of one hooks. */
struct trail {
    struct record records[RECORDS];
    _Atomic uint32_t count, wrong, ends, lasts, errors, timeouts, vetoes;
    _Atomic int last_error;
    int veto;
    uint32_t deadline_ms;
    const void *data; // The last command's.
    uint32_t size;
};

static int before_send(void *context, struct cmds_sent_command *command)
{
    struct trail *trail = context;
    if (trail->veto != 0) {
        atomic_fetch_add(&trail->vetoes, 1);
        return trail->veto;
    }
    uint32_t number = atomic_fetch_add(&trail->count, 1) % RECORDS;
    trail->wrong += command->user != NULL || command->value == NULL || command->size == 0 ||
                    command->struct_size != sizeof(*command) || command->result_count != 0;
    trail->data = command->data;
    trail->size = command->size;
    command->user = &trail->records[number];
    if (trail->deadline_ms != 0) {
        command->deadline_ms = trail->deadline_ms;
    }
    return 0;
}

static void end(struct trail *trail, struct record *record, int code)
{
    record->end = code;
    trail->wrong += atomic_fetch_add(&record->ends, 1) != 0;
    atomic_fetch_add(&trail->ends, 1);
}

static void on_result(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct trail *trail = context;
    struct record *record = command->user;
    bool one_way = command->type->one_way != 0;
    uint64_t count = atomic_fetch_add(&record->results, 1) + (one_way ? 0 : 1);
    trail->wrong += result->error != 0 || command->result_count != count ||
                    (answer_of(result) == NULL) != one_way;
    trail->wrong += !one_way && (command->sequence != result->sequence || command->sequence == 0);
    if (result->last) {
        atomic_fetch_add(&trail->lasts, 1);
        end(trail, record, 0);
    }
}

static void on_error(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct trail *trail = context;
    trail->wrong += !result->last || result->error == CMDS_E_TIMEOUT;
    atomic_store(&trail->last_error, result->error);
    atomic_fetch_add(&trail->errors, 1);
    end(trail, command->user, result->error);
}

static void on_timeout(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct trail *trail = context;
    trail->wrong += !result->last || result->error != CMDS_E_TIMEOUT;
    atomic_fetch_add(&trail->timeouts, 1);
    end(trail, command->user, result->error);
}

/* --- The client ------------------------------------------------------------------------------- */

struct buyer {
    int (*use)(struct buyer *buyer);
    struct cmds_sim_process *shop;
    struct trail trails[2];
    struct cmds_hooks items[2];
    const struct cmds_hooks *hooks[2];
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    struct cmds_group_options options;
    _Atomic uint32_t answers, lasts, failures;
    _Atomic int last_code;
    _Atomic uint32_t unseen; // Results of which the hooks did not know before their callback ran.
};

static void on_answer(void *context, const struct cmds_result *result)
{
    struct buyer *buyer = context;
    buyer->answers += result->error == 0;
    buyer->lasts += result->last;
    if (result->error != 0) {
        atomic_fetch_add(&buyer->failures, 1);
        atomic_store(&buyer->last_code, result->error);
    }
    if (result->last && atomic_load(&buyer->trails[0].ends) < atomic_load(&buyer->lasts)) {
        atomic_fetch_add(&buyer->unseen, 1);
    }
}

static int send_ask(struct buyer *buyer, int64_t number, const struct cmds_send_options *how)
{
    struct ask ask = {number};
    return cmds_group_send(buyer->group, ask_message(&ask), how, on_answer, buyer);
}

static void buyer_hook(struct buyer *buyer)
{
    for (int i = 0; i < 2; i++) {
        buyer->items[i] = (struct cmds_hooks){.struct_size = sizeof(struct cmds_hooks),
                .context = &buyer->trails[i],
                .before_send = before_send,
                .on_result = on_result,
                .on_error = on_error,
                .on_timeout = on_timeout};
        buyer->hooks[i] = &buyer->items[i];
    }
    buyer->options.hooks = buyer->hooks;
    buyer->options.hooks_count = 2;
}

static int buyer_main(void *context)
{
    struct buyer *buyer = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = SHARDS;
    buyer->options.connect = "shop:9000";
    buyer_hook(buyer);
    int code = cmds_runtime_start(&buyer->runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&buyer->group, buyer->runtime, &buyer->options, NULL);
    code = code < 0 ? code : cmds_group_wait(buyer->group, 1000, NULL);
    code = code < 0 ? code : buyer->use(buyer);
    cmds_group_close(buyer->group, NULL, NULL);
    cmds_runtime_stop(buyer->runtime);
    return code;
}

/* Every command that began has ended once, for both hooks. Returns: whether the run went well. */
static bool run(struct buyer *buyer, int (*use)(struct buyer *buyer))
{
    struct cmds_sim *sim = open_world(3, CMDS_SIM_NO_FAULTS);
    struct cmds_sim_report report;
    buyer->shop = add(sim, "shop", true, shop_main, NULL);
    buyer->use = use;
    (void)add(sim, "buyer", false, buyer_main, buyer);
    int code = finish(sim, &report, NULL, 0);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left + report.threads_left, 0);
    for (int i = 0; i < 2; i++) {
        struct trail *trail = &buyer->trails[i];
        CU_ASSERT_EQUAL(trail->wrong, 0);
        CU_ASSERT_EQUAL(trail->ends, trail->count);
        CU_ASSERT_EQUAL(trail->lasts + trail->errors + trail->timeouts, trail->ends);
    }
    return code == 0;
}

static struct buyer buyer;

static void reset(uint32_t client_count)
{
    memset(&buyer, 0, sizeof(buyer));
    buyer.options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&protocol);
    buyer.options.client_count = client_count;
}

/* --- Results ---------------------------------------------------------------------------------- */

static void send_on_shard(void *context)
{
    for (int i = 0; i < 100; i++) {
        (void)send_ask(context, i % 4, NULL);
    }
}

/* One connection: a shard has none of its own, and sends through the other's. */
static int use_all_threads(struct buyer *mine)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        (void)cmds_runtime_post(mine->runtime, i, send_on_shard, mine);
    }
    for (int i = 0; i < 100; i++) {
        (void)send_ask(mine, i % 4, NULL);
    }
    cmds_sim_sleep_ms(100);
    return cmds_group_drain(mine->group, 1000);
}

static void test_sim_hooks_see_each_result_once(void)
{
    for (uint32_t clients = 1; clients <= 4; clients++) {
        reset(clients);

        (void)run(&buyer, use_all_threads);

        CU_ASSERT_EQUAL(buyer.lasts, 300);
        CU_ASSERT_EQUAL(buyer.answers, 3 * 25 * (1 + 1 + 2 + 3));
        CU_ASSERT_EQUAL(buyer.failures, 0);
        CU_ASSERT_EQUAL(buyer.unseen, 0);
        CU_ASSERT_EQUAL(buyer.trails[1].lasts, 300);
        CU_ASSERT_EQUAL(buyer.trails[0].size, 2); // An array of one small number.
    }
}

static int use_one_way(struct buyer *mine)
{
    struct tell tell = {1};
    int code = cmds_group_send(mine->group, tell_message(&tell), NULL, NULL, NULL);
    cmds_sim_sleep_ms(100);
    return code;
}

static void test_sim_hooks_of_one_way_commands_end_when_they_are_queued(void)
{
    reset(1);

    (void)run(&buyer, use_one_way);

    CU_ASSERT_EQUAL(buyer.trails[0].lasts, 1);
}

/* --- Refusals --------------------------------------------------------------------------------- */

static int use_veto(struct buyer *mine)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket;
    how.data = mine;
    how.ticket = &ticket;
    mine->trails[1].veto = -EPERM;
    if (send_ask(mine, 1, &how) != -EPERM || mine->trails[0].data != mine ||
            cmds_group_pending(mine->group) != 0) {
        return 1;
    }
    mine->trails[1].veto = 0;
    return send_ask(mine, 1, &how) < 0 ? 2 : cmds_group_drain(mine->group, 1000);
}

static void test_sim_hooks_may_veto(void)
{
    reset(1);

    (void)run(&buyer, use_veto);

    CU_ASSERT_EQUAL(buyer.trails[1].vetoes, 1);
    CU_ASSERT_EQUAL(buyer.trails[0].last_error, -EPERM);
    CU_ASSERT_EQUAL(buyer.trails[0].errors, 1);
    CU_ASSERT_EQUAL(buyer.trails[1].errors, 0);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
}

static int use_full_window(struct buyer *mine)
{
    int code = 0;
    for (int i = 0; i < 8 && code == 0; i++) {
        code = send_ask(mine, SILENT, NULL);
    }
    return code == -ENOBUFS ? 0 : 1;
}

static void test_sim_hooks_learn_that_there_is_no_room(void)
{
    reset(1);
    buyer.options.in_flight_max = 4;

    (void)run(&buyer, use_full_window);

    CU_ASSERT_EQUAL(buyer.trails[0].errors, 5); // The close ended the others.
    CU_ASSERT_EQUAL(buyer.trails[0].records[4].end, -ENOBUFS);
    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_CLOSED);
}

/* --- Ends ------------------------------------------------------------------------------------- */

static int use_deadline(struct buyer *mine)
{
    uint64_t since_ns = cmds_sim_now_ns(cmds_sim_current());
    mine->trails[1].deadline_ms = 200;
    int code = send_ask(mine, SILENT, NULL);
    code = code < 0 ? code : cmds_group_drain(mine->group, 60000);
    uint64_t took_ms = (cmds_sim_now_ns(cmds_sim_current()) - since_ns) / 1000000;
    return code < 0 || took_ms < 200 || took_ms > 220 ? 1 : 0;
}

static void test_sim_hooks_may_shorten_a_deadline(void)
{
    reset(1);

    (void)run(&buyer, use_deadline);

    CU_ASSERT_EQUAL(buyer.trails[0].timeouts, 1);
    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_TIMEOUT);
}

static int use_forget(struct buyer *mine)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket;
    how.ticket = &ticket;
    int code = send_ask(mine, SILENT, &how);
    code = code < 0 ? code : cmds_group_forget(mine->group, ticket);
    return code < 0 ? code : cmds_group_drain(mine->group, 1000);
}

static void test_sim_hooks_see_what_is_forgotten(void)
{
    reset(1);

    (void)run(&buyer, use_forget);

    CU_ASSERT_EQUAL(buyer.trails[0].last_error, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_CANCELLED);
}

static int use_kill(struct buyer *mine)
{
    for (int i = 0; i < 50; i++) {
        (void)send_ask(mine, SILENT, NULL);
    }
    cmds_sim_sleep_ms(100);
    cmds_sim_kill(mine->shop);
    cmds_sim_sleep_ms(100);
    return cmds_group_drain(mine->group, 1000);
}

static void test_sim_hooks_see_each_lost_command(void)
{
    for (uint32_t clients = 1; clients <= 4; clients++) {
        reset(clients);

        (void)run(&buyer, use_kill);

        CU_ASSERT_EQUAL(buyer.trails[1].errors, 50);
        CU_ASSERT_EQUAL(buyer.trails[1].last_error, CMDS_E_LOST);
        CU_ASSERT_EQUAL(buyer.failures, 50);
    }
}

/* --- Sender ----------------------------------------------------------------------------------- */

static int each(void *context, const struct cmds_result *result)
{
    *(int64_t *)context += answer_of(result)->number;
    return 0;
}

static void *send_slow(void *context)
{
    struct cmds_sender *sender = context;
    struct slow slow = {5};
    struct cmds_result *result = NULL;
    if (cmds_sender_send(sender, slow_message(&slow), 0, &result, NULL) == 0) {
        cmds_result_free(result);
    }
    return NULL;
}

/* A window of one: all but one wait for room, and each is one command to the hooks. */
static int use_sender(struct buyer *mine)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_sender *sender = NULL;
    struct ask ask = {3};
    pthread_t threads[3];
    int64_t sum = 0;
    mine->options.in_flight_max = 1;
    options.group = &mine->options;
    int code = cmds_sender_open(&sender, &options, NULL);
    if (code < 0) {
        return code;
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_create(&threads[i], NULL, send_slow, sender);
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    code = cmds_sender_send_multi(sender, ask_message(&ask), 0, NULL, each, &sum);
    if (code == 0 &&
            cmds_sender_send(sender, ask_message(&ask), 0, NULL, NULL) != CMDS_E_MORE_RESULTS) {
        code = 1;
    }
    cmds_sender_close(sender, 1000);
    return code != 0 ? code : sum == 1 + 2 + 3 ? 0 : 2;
}

static void test_sim_hooks_of_a_sender(void)
{
    reset(1);

    (void)run(&buyer, use_sender);

    CU_ASSERT_EQUAL(buyer.trails[0].count, 5);
    CU_ASSERT_EQUAL(buyer.trails[0].lasts, 4);
    CU_ASSERT_EQUAL(buyer.trails[0].last_error, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(buyer.trails[1].records[3].results, 3);
}

/* The window stays full: what waited outside ends for its hooks as well. */
static int use_sender_in_vain(struct buyer *mine)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_sender *sender = NULL;
    struct ask ask = {SILENT};
    mine->options.in_flight_max = 1;
    options.group = &mine->options;
    int code = cmds_sender_open(&sender, &options, NULL);
    if (code < 0) {
        return code;
    }
    code = cmds_group_send(cmds_sender_group(sender), ask_message(&ask), NULL, on_answer, mine);
    if (code == 0 &&
            cmds_sender_send(sender, ask_message(&ask), 100, NULL, NULL) != CMDS_E_TIMEOUT) {
        code = 1;
    }
    cmds_sender_close(sender, 0);
    return code;
}

static void test_sim_hooks_of_a_sender_that_finds_no_room(void)
{
    reset(1);

    (void)run(&buyer, use_sender_in_vain);

    CU_ASSERT_EQUAL(buyer.trails[0].count, 2);
    CU_ASSERT_EQUAL(buyer.trails[0].timeouts, 1);
    CU_ASSERT_EQUAL(buyer.trails[0].errors, 1);
}

/* --- Breaker ---------------------------------------------------------------------------------- */

static int use_breaker(struct buyer *mine)
{
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    for (int i = 0; i < 4; i++) {
        if (send_ask(mine, SILENT, NULL) < 0) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(50);
    cmds_sim_kill(mine->shop);
    cmds_sim_sleep_ms(50);
    uint32_t count = mine->trails[0].count;
    if (send_ask(mine, 1, NULL) != CMDS_E_NOT_ALLOWED || mine->trails[0].count != count) {
        return 2;
    }
    cmds_breaker_look(mine->options.breaker, &info);
    return info.state == CMDS_BREAKER_OPEN && info.opened == 1 && info.refused == 1 ? 0 : 3;
}

static void test_sim_hooks_are_behind_the_breaker(void)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    reset(1);
    options.window_size = 4;
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&buyer.options.breaker, &options, NULL), 0);

    (void)run(&buyer, use_breaker);

    cmds_breaker_free(buyer.options.breaker);
}

static int use_vetoed_trial(struct buyer *mine)
{
    cmds_breaker_open(mine->options.breaker);
    cmds_sim_sleep_ms(200);
    mine->trails[1].veto = -EPERM;
    if (send_ask(mine, 1, NULL) != -EPERM) {
        return 1;
    }
    mine->trails[1].veto = 0;
    if (send_ask(mine, SILENT, NULL) < 0 || send_ask(mine, 1, NULL) != CMDS_E_NOT_ALLOWED) {
        return 2;
    }
    return cmds_breaker_state(mine->options.breaker) == CMDS_BREAKER_HALF_OPEN ? 0 : 3;
}

static void test_sim_hooks_a_vetoed_trial_gives_its_place_back(void)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    reset(1);
    options.open_ms = 100;
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&buyer.options.breaker, &options, NULL), 0);

    (void)run(&buyer, use_vetoed_trial);

    cmds_breaker_free(buyer.options.breaker);
}

static CU_TestInfo tests[] = {
        {"see each result once", test_sim_hooks_see_each_result_once},
        {"of one-way commands end when they are queued",
                test_sim_hooks_of_one_way_commands_end_when_they_are_queued},
        {"may veto", test_sim_hooks_may_veto},
        {"learn that there is no room", test_sim_hooks_learn_that_there_is_no_room},
        {"may shorten a deadline", test_sim_hooks_may_shorten_a_deadline},
        {"see what is forgotten", test_sim_hooks_see_what_is_forgotten},
        {"see each lost command", test_sim_hooks_see_each_lost_command},
        {"of a sender", test_sim_hooks_of_a_sender},
        {"of a sender that finds no room", test_sim_hooks_of_a_sender_that_finds_no_room},
        {"are behind the breaker", test_sim_hooks_are_behind_the_breaker},
        {"a vetoed trial gives its place back", test_sim_hooks_a_vetoed_trial_gives_its_place_back},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_hooks", tests)
