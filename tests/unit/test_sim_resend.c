/* SPDX-License-Identifier: MIT */
/*
 * Commands that are sent again, in a world whose connections are cut at the worst moments. What may go
 * wrong: one is executed a third time, or twice though it must not be; its deadline, its ticket or the
 * close of its group does not reach it between two connections; its hooks see two ends.
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
    SHARDS = 2,
    COUNT = 40,
    NEVER = 1000, // As `from`.
    LARGE = 5000,
    WINDOW = 8,
    ROUNDS = 200,
};

/* The server answers from the execution number `from` on. */
struct look {
    int64_t id, from;
    struct cmds_bytes body;
};
struct change {
    int64_t id, from;
    struct cmds_bytes body;
};
struct follow {
    int64_t id;
};
struct answer {
    int64_t id;
    bool last;
};
CMDS_COMMAND_IDEMPOTENT(look, 0, id, from, body);
CMDS_COMMAND(change, 1, id, from, body);
CMDS_COMMAND_IDEMPOTENT(follow, 2, id);
CMDS_RESULT(answer, 0, id, CMDS_LAST(last));
static const struct cmds_type *const commands[] = {&look_type, &change_type, &follow_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("resend", commands, results);

/* All processes of a world have one memory. */
static uint32_t executed[COUNT];
static uint32_t wrong_bodies;
static uint8_t large[LARGE];

/* --- The server ------------------------------------------------------------------------------- */

static int shop_answer(struct cmds_call *call, int64_t id, int64_t from, struct cmds_bytes body)
{
    struct answer answer = {id, true};
    executed[id]++;
    wrong_bodies += body.size != 0 && (body.size != LARGE || memcmp(body.data, large, LARGE) != 0);
    if (executed[id] < from) {
        (void)cmds_call_ref(call); // For ever.
        return 0;
    }
    return cmds_call_send(call, answer_message(&answer));
}

static int on_look(struct cmds_call *call, const struct look *look)
{
    return shop_answer(call, look->id, look->from, look->body);
}

static int on_change(struct cmds_call *call, const struct change *change)
{
    return shop_answer(call, change->id, change->from, change->body);
}

/* One result, and then none. */
static int on_follow(struct cmds_call *call, const struct follow *follow)
{
    struct answer answer = {follow->id, false};
    executed[follow->id]++;
    (void)cmds_call_ref(call);
    return cmds_call_send(call, answer_message(&answer));
}
static const struct cmds_exec execs[] = {
        CMDS_EXEC(look, on_look), CMDS_EXEC(change, on_change), CMDS_EXEC(follow, on_follow)};

static int shop_main(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    options.listen = "0.0.0.0:9000";
    return cmds_server_main(&options) == 1;
}

/* --- The client ------------------------------------------------------------------------------- */

struct buyer {
    int (*use)(struct buyer *buyer);
    struct cmds_sim_process *shop, *self;
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    struct cmds_group_options options;
    struct cmds_send_options how;
    struct cmds_ticket ticket;
    bool use_change; // In place of look.
    uint32_t body_size;
    _Atomic uint32_t results, lasts, errors, hooked;
    _Atomic int last_code;
    struct cmds_group_counters counters;
};

static void on_answer(void *context, const struct cmds_result *result)
{
    struct buyer *buyer = context;
    buyer->results += result->error == 0;
    buyer->lasts += result->last;
    if (result->error != 0) {
        atomic_fetch_add(&buyer->errors, 1);
        atomic_store(&buyer->last_code, result->error);
    }
}

static int buyer_send(struct buyer *buyer, int64_t id, int64_t from)
{
    struct cmds_bytes body = {large, buyer->body_size};
    struct look look = {id, from, body};
    struct change change = {id, from, body};
    return cmds_group_send(buyer->group,
            buyer->use_change ? change_message(&change) : look_message(&look), &buyer->how,
            on_answer, buyer);
}

static int buyer_main(void *context)
{
    struct buyer *buyer = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = SHARDS;
    buyer->self = cmds_sim_self();
    buyer->options.connect = "shop:9000";
    int code = cmds_runtime_start(&buyer->runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&buyer->group, buyer->runtime, &buyer->options, NULL);
    code = code < 0 ? code : cmds_group_wait(buyer->group, 1000, NULL);
    code = code < 0 ? code : buyer->use(buyer);
    buyer->counters = (struct cmds_group_counters)CMDS_GROUP_COUNTERS_INIT;
    (void)cmds_group_stats(buyer->group, &buyer->counters);
    cmds_group_close(buyer->group, NULL, NULL);
    cmds_runtime_stop(buyer->runtime);
    cmds_sim_sleep_ms(200); // A look-up that its group did not wait for ends.
    return code;
}

static struct buyer buyer;

static void reset(void)
{
    memset(&buyer, 0, sizeof(buyer));
    memset(executed, 0, sizeof(executed));
    memset(large, 'x', sizeof(large));
    wrong_bodies = 0;
    buyer.options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&protocol);
    buyer.how = (struct cmds_send_options)CMDS_SEND_OPTIONS_INIT;
    buyer.how.resend = CMDS_RESEND_ONCE;
    buyer.options.client_count = 3;
}

static void run(int (*use)(struct buyer *buyer))
{
    struct cmds_sim *sim = open_world(2, CMDS_SIM_NO_FAULTS);
    struct cmds_sim_report report;
    buyer.shop = add(sim, "shop", true, shop_main, NULL);
    buyer.use = use;
    (void)add(sim, "buyer", false, buyer_main, &buyer);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    CU_ASSERT_EQUAL(report.files_left + report.threads_left, 0);
    CU_ASSERT_EQUAL(wrong_bodies, 0);
}

/* What has been sent is executed, and then its connection is cut. */
static void buyer_cut(struct buyer *mine)
{
    cmds_sim_sleep_ms(20);
    (void)cmds_sim_cut(mine->self, mine->shop);
    cmds_sim_sleep_ms(20);
}

/* --- Again ------------------------------------------------------------------------------------ */

static void send_on_shard(void *context)
{
    struct buyer *mine = context;
    for (int64_t i = 0; i < COUNT / 2; i++) {
        (void)buyer_send(mine, i, 2);
    }
}

/* Half of them from a shard, half from this thread. */
static int use_cut(struct buyer *mine)
{
    (void)cmds_runtime_post(mine->runtime, 1, send_on_shard, mine);
    for (int64_t i = COUNT / 2; i < COUNT; i++) {
        (void)buyer_send(mine, i, 2);
    }
    buyer_cut(mine);
    return cmds_group_drain(mine->group, 10000);
}

static void check_all_again(void)
{
    run(use_cut);
    CU_ASSERT_EQUAL(buyer.results, COUNT);
    CU_ASSERT_EQUAL(buyer.lasts, COUNT);
    CU_ASSERT_EQUAL(buyer.counters.commands_resent, COUNT);
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(executed[i], 2);
    }
}

static void test_sim_resend_lost_commands_go_once_more(void)
{
    reset();
    check_all_again();

    reset();
    buyer.body_size = LARGE;
    check_all_again();

    reset();
    buyer.options.client_count = 1; // A shard has no connection of its own.
    check_all_again();

    reset();
    buyer.how.ticket = &buyer.ticket;
    check_all_again();
}

static void check_none_again(void)
{
    run(use_cut);
    CU_ASSERT_EQUAL(buyer.errors, COUNT);
    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_LOST);
    CU_ASSERT_EQUAL(buyer.counters.commands_resent, 0);
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(executed[i], 1);
    }
}

static void test_sim_resend_only_what_is_idempotent_and_asked_for(void)
{
    reset();
    buyer.use_change = true;
    check_none_again();

    reset();
    buyer.how.resend = CMDS_RESEND_NEVER;
    buyer.options.resend = CMDS_RESEND_ONCE;
    check_none_again();

    reset();
    buyer.how.resend = 0;
    check_none_again();

    reset();
    buyer.how.resend = 0;
    buyer.options.resend = CMDS_RESEND_ONCE;
    check_all_again();
}

static int use_cut_twice(struct buyer *mine)
{
    int code = buyer_send(mine, 0, NEVER);
    buyer_cut(mine);
    cmds_sim_sleep_ms(1000);
    if (executed[0] != 2 || mine->lasts != 0) {
        return 1;
    }
    buyer_cut(mine);
    cmds_sim_sleep_ms(1000);
    return code;
}

static void test_sim_resend_no_third_time(void)
{
    reset();

    run(use_cut_twice);

    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_LOST);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
    CU_ASSERT_EQUAL(executed[0], 2);
}

static int use_stream(struct buyer *mine)
{
    struct follow follow = {0};
    int code = cmds_group_send(mine->group, follow_message(&follow), &mine->how, on_answer, mine);
    buyer_cut(mine);
    cmds_sim_sleep_ms(1000);
    return code;
}

static void test_sim_resend_never_after_a_first_result(void)
{
    reset();

    run(use_stream);

    CU_ASSERT_EQUAL(buyer.results, 1);
    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_LOST);
    CU_ASSERT_EQUAL(executed[0], 1);
}

/* No connection is left: what has not been sent cannot be sent again either. */
static int use_gone(struct buyer *mine)
{
    int code = 0;
    cmds_sim_kill(mine->shop);
    cmds_sim_sleep_ms(20);
    for (int64_t i = 0; i < COUNT && code == 0; i++) {
        code = buyer_send(mine, i, 1);
    }
    return code != CMDS_E_NOT_CONNECTED;
}

static int use_gone_meanwhile(struct buyer *mine)
{
    int code = buyer_send(mine, 0, NEVER);
    cmds_sim_sleep_ms(20);
    cmds_sim_kill(mine->shop);
    code = code < 0 ? code : cmds_group_drain(mine->group, 10000);
    return code == 0 && cmds_group_done(mine->group) ? 0 : 1;
}

static void test_sim_resend_not_without_any_connection(void)
{
    reset();
    buyer.options.reconnect_delay_ms = CMDS_NEVER;
    run(use_gone);
    CU_ASSERT_EQUAL(buyer.lasts, 0);

    reset();
    buyer.options.client_count = 1;
    buyer.options.reconnect_count_max = 3;
    run(use_gone_meanwhile);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_LOST); // It may have been executed the first time.
}

/* --- In between ------------------------------------------------------------------------------- */

/* The server is away, and the command waits for a connection. Returns: 0: it does. */
static int buyer_strand(struct buyer *mine)
{
    int code = buyer_send(mine, 0, NEVER);
    cmds_sim_sleep_ms(20);
    cmds_sim_kill(mine->shop);
    cmds_sim_sleep_ms(500);
    if (code < 0) {
        return code;
    }
    return mine->lasts == 0 && cmds_group_pending(mine->group) == 1 ? 0 : 1;
}

static int use_deadline(struct buyer *mine)
{
    uint64_t since_ms = cmds_sim_now_ns(cmds_sim_current()) / 1000000;
    mine->how.deadline_ms = 2000;
    int code = buyer_strand(mine);
    code = code != 0 ? code : cmds_group_drain(mine->group, 10000);
    uint64_t took_ms = cmds_sim_now_ns(cmds_sim_current()) / 1000000 - since_ms;
    return code != 0 ? code : took_ms >= 2000 && took_ms < 2020 ? 0 : 2;
}

static void test_sim_resend_within_the_deadline(void)
{
    reset();

    run(use_deadline);

    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
    CU_ASSERT_EQUAL(executed[0], 1);
}

static int use_forget(struct buyer *mine)
{
    mine->how.ticket = &mine->ticket;
    mine->how.deadline_ms = CMDS_NEVER;
    int code = buyer_strand(mine);
    if (code != 0 || !cmds_group_has(mine->group, mine->ticket) ||
            cmds_group_forget(mine->group, mine->ticket) < 0 ||
            cmds_group_has(mine->group, mine->ticket) ||
            cmds_group_forget(mine->group, mine->ticket) != -ENOENT) {
        return 2;
    }
    return cmds_group_drain(mine->group, 100);
}

static void test_sim_resend_forgotten_while_it_waits(void)
{
    reset();

    run(use_forget);

    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
}

static int use_forget_later(struct buyer *mine)
{
    mine->how.ticket = &mine->ticket;
    mine->how.deadline_ms = CMDS_NEVER;
    int code = buyer_strand(mine);
    cmds_sim_restart(mine->shop);
    cmds_sim_sleep_ms(10000);
    if (code != 0 || executed[0] != 2 || !cmds_group_has(mine->group, mine->ticket) ||
            cmds_group_forget(mine->group, mine->ticket) < 0) {
        return 2;
    }
    return cmds_group_drain(mine->group, 100);
}

static void test_sim_resend_forgotten_when_it_was_sent_again(void)
{
    reset();

    run(use_forget_later);

    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
}

/* Its ticket ends with its last result, be it the second connection's. */
static int use_ticket(struct buyer *mine)
{
    mine->how.ticket = &mine->ticket;
    int code = buyer_send(mine, 0, 2);
    buyer_cut(mine);
    code = code != 0 ? code : cmds_group_drain(mine->group, 10000);
    return code != 0 || cmds_group_has(mine->group, mine->ticket) ||
                           cmds_group_forget(mine->group, mine->ticket) != -ENOENT
                   ? 1
                   : 0;
}

static void test_sim_resend_a_ticket_ends_with_the_last_result(void)
{
    reset();

    run(use_ticket);

    CU_ASSERT_EQUAL(buyer.results, 1);
}

static int use_close(struct buyer *mine)
{
    mine->how.ticket = &mine->ticket;
    return buyer_strand(mine);
}

static void test_sim_resend_closed_while_it_waits(void)
{
    reset();

    run(use_close);

    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_CLOSED);
    CU_ASSERT_EQUAL(buyer.lasts, 1);
}

/* --- With others ------------------------------------------------------------------------------ */

static void on_end(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct buyer *mine = context;
    (void)command;
    mine->hooked += result->last;
}

static void test_sim_resend_is_one_command_to_hooks(void)
{
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&hooks};
    reset();
    hooks.context = &buyer;
    hooks.on_result = on_end;
    hooks.on_error = on_end;
    buyer.options.hooks = list;
    buyer.options.hooks_count = 1;

    check_all_again();

    CU_ASSERT_EQUAL(buyer.hooked, COUNT);
}

static int use_open_breaker(struct buyer *mine)
{
    int code = buyer_send(mine, 0, 2);
    cmds_sim_sleep_ms(20);
    cmds_breaker_open(mine->options.breaker);
    buyer_cut(mine);
    cmds_sim_sleep_ms(1000);
    return code;
}

static void test_sim_resend_not_while_the_breaker_is_open(void)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    reset();
    CU_ASSERT_EQUAL_FATAL(cmds_breaker_new(&buyer.options.breaker, &options, NULL), 0);

    run(use_open_breaker);

    CU_ASSERT_EQUAL(buyer.last_code, CMDS_E_LOST);
    CU_ASSERT_EQUAL(executed[0], 1);
    cmds_breaker_free(buyer.options.breaker);
}

static void *send_and_wait(void *context)
{
    struct buyer *mine = context;
    struct look look = {0, 2, {large, LARGE}};
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    options.group = &mine->options;
    int code = cmds_sender_open(&sender, &options, NULL);
    code = code < 0 ? code : cmds_sender_send(sender, look_message(&look), 0, &result, NULL);
    mine->results += code == 0 && answer_of(result) != NULL;
    cmds_result_free(result);
    cmds_sender_close(sender, 0);
    return NULL;
}

static int use_sender(struct buyer *mine)
{
    pthread_t thread;
    mine->options.resend = CMDS_RESEND_ONCE;
    (void)pthread_create(&thread, NULL, send_and_wait, mine);
    cmds_sim_sleep_ms(500);
    buyer_cut(mine);
    (void)pthread_join(thread, NULL);
    return 0;
}

static int use_wrong(struct buyer *mine)
{
    mine->how.resend = CMDS_RESEND_NEVER + 1;
    if (buyer_send(mine, 0, 1) != -EINVAL) {
        return 1;
    }
    mine->how.resend = 0;
    mine->how.unused = 1;
    return buyer_send(mine, 0, 1) != -E2BIG;
}

static void test_sim_resend_refuses_what_it_does_not_know(void)
{
    reset();
    run(use_wrong);
    CU_ASSERT_EQUAL(buyer.lasts, 0);
}

static void test_sim_resend_of_a_sender(void)
{
    reset();

    run(use_sender);

    CU_ASSERT_EQUAL(buyer.results, 1);
    CU_ASSERT_EQUAL(executed[0], 2);
}

/* A server that is lost again and again, and a thread that sends whatever is taken, at any moment. */
static int use_flood(struct buyer *mine)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        int code = 0;
        while (code == 0) {
            code = buyer_send(mine, 0, NEVER);
        }
        if (code != -ENOBUFS || cmds_group_pending(mine->group) > 3 * WINDOW) {
            return 1;
        }
        cmds_sim_sleep_ms(1);
        if (i % 20 == 0) {
            (void)cmds_sim_cut(mine->self, mine->shop);
        }
    }
    return mine->lasts < 2 * WINDOW; // Nor does one that was lost wait for ever.
}

static void test_sim_resend_what_goes_again_has_a_place_before_others(void)
{
    reset();
    buyer.options.client_count = 1;
    buyer.options.in_flight_max = WINDOW;
    buyer.options.reconnect_delay_ms = buyer.options.reconnect_delay_max_ms = 1;
    buyer.how.deadline_ms = CMDS_NEVER;

    run(use_flood);

    CU_ASSERT_EQUAL(buyer.results, 0);
}

static CU_TestInfo tests[] = {
        {"lost commands go once more", test_sim_resend_lost_commands_go_once_more},
        {"only what is idempotent and asked for",
                test_sim_resend_only_what_is_idempotent_and_asked_for},
        {"no third time", test_sim_resend_no_third_time},
        {"never after a first result", test_sim_resend_never_after_a_first_result},
        {"not without any connection", test_sim_resend_not_without_any_connection},
        {"within the deadline", test_sim_resend_within_the_deadline},
        {"forgotten while it waits", test_sim_resend_forgotten_while_it_waits},
        {"forgotten when it was sent again", test_sim_resend_forgotten_when_it_was_sent_again},
        {"a ticket ends with the last result", test_sim_resend_a_ticket_ends_with_the_last_result},
        {"closed while it waits", test_sim_resend_closed_while_it_waits},
        {"is one command to hooks", test_sim_resend_is_one_command_to_hooks},
        {"not while the breaker is open", test_sim_resend_not_while_the_breaker_is_open},
        {"what goes again has a place before others",
                test_sim_resend_what_goes_again_has_a_place_before_others},
        {"of a sender", test_sim_resend_of_a_sender},
        {"refuses what it does not know", test_sim_resend_refuses_what_it_does_not_know},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_resend", tests)
