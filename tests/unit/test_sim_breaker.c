/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker in front of many senders, while their server is away and comes back: it opens, lets
 * no more than its trials through, and closes. What may go wrong: all of them try at once, it stays
 * open for ever, a command of before makes it open again, or what it says of itself is of two moments.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    THREADS = 12,
    TIMEOUT_MS = 300,
    OPEN_MS = 500,
    TRIALS = 2,
    AWAY_MS = 6000,
    RUN_MS = 15000,
    SWITCHES = 300,
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
static const struct cmds_protocol protocol = CMDS_PROTOCOL("breaker", commands, results);

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct answer answer = {ask->number};
    return cmds_call_send(call, answer_message(&answer));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static int shop_main(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    options.listen = "0.0.0.0:9000";
    return cmds_server_main(&options);
}

struct buyer {
    struct cmds_sim_process *shop;
    struct cmds_breaker *breaker;
    struct cmds_sender *sender;
    bool is_over;
    _Atomic uint32_t good, bad, refused, other, slow_refusals;
    _Atomic uint32_t trials, too_many; // Commands let through while it was half-open.
    _Atomic uint32_t changes[3];       // By state.
    uint32_t good_at_return;           // When the server was back.
};

static uint64_t now_ms(void)
{
    return cmds_sim_now_ns(cmds_sim_current()) / 1000000;
}

static void on_state(void *context, enum cmds_breaker_state state)
{
    struct buyer *buyer = context;
    atomic_fetch_add(&buyer->changes[state], 1);
}

static int before_send(void *context, struct cmds_sent_command *command)
{
    struct buyer *buyer = context;
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    (void)command;
    cmds_breaker_look(buyer->breaker, &info);
    if (info.state == CMDS_BREAKER_HALF_OPEN) {
        atomic_fetch_add(&buyer->trials, 1);
        buyer->too_many += info.trials > TRIALS;
    }
    return 0;
}

static void *send_on_and_on(void *context)
{
    struct buyer *buyer = context;
    struct ask ask = {5};
    while (!buyer->is_over) {
        struct cmds_result *result = NULL;
        uint64_t since_ms = now_ms();
        int code = cmds_sender_send(buyer->sender, ask_message(&ask), TIMEOUT_MS, &result, NULL);
        if (code == CMDS_E_NOT_ALLOWED) {
            atomic_fetch_add(&buyer->refused, 1);
            buyer->slow_refusals += now_ms() > since_ms + 1;
        } else if (code == 0) {
            atomic_fetch_add(&buyer->good, 1);
        } else if (cmds_breaker_outcome_of(code) == CMDS_BREAKER_FAILURE) {
            atomic_fetch_add(&buyer->bad, 1);
        } else {
            atomic_fetch_add(&buyer->other, 1);
        }
        cmds_result_free(result);
        cmds_sim_sleep_ms(10);
    }
    return NULL;
}

/* All of them send; the server goes, comes back, and they go on. */
static int buyer_use(struct buyer *buyer)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, send_on_and_on, buyer) != 0) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(1000);
    cmds_sim_kill(buyer->shop);
    cmds_sim_sleep_ms(AWAY_MS);
    cmds_sim_restart(buyer->shop);
    cmds_sim_sleep_ms(5000);
    buyer->good_at_return = buyer->good;
    cmds_sim_sleep_ms(RUN_MS - AWAY_MS - 6000);
    buyer->is_over = true;
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return cmds_breaker_state(buyer->breaker) == CMDS_BREAKER_CLOSED ? 0 : 2;
}

static int buyer_main(void *context)
{
    struct buyer *buyer = context;
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&hooks};
    breaker.window_size = 10;
    breaker.open_ms = OPEN_MS;
    breaker.success_threshold = 3;
    breaker.half_open_max = TRIALS;
    breaker.context = buyer;
    breaker.on_state = on_state;
    hooks.context = buyer;
    hooks.before_send = before_send;
    group.hooks = list;
    group.hooks_count = 1;
    group.reconnect_delay_max_ms = 500;
    options.connect = "shop:9000";
    options.client_count = 3;
    options.group = &group;
    int code = cmds_breaker_new(&buyer->breaker, &breaker, NULL);
    group.breaker = buyer->breaker;
    code = code < 0 ? code : cmds_sender_open(&buyer->sender, &options, NULL);
    code = code < 0 ? code : buyer_use(buyer);
    cmds_sender_close(buyer->sender, 1000);
    cmds_breaker_free(buyer->breaker);
    return code;
}

static void test_sim_breaker_lives_through_a_server_that_was_away(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(20); seed++) {
        static struct buyer buyer;
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
        memset(&buyer, 0, sizeof(buyer));
        buyer.shop = add(sim, "shop", true, shop_main, NULL);
        (void)add(sim, "buyer", false, buyer_main, &buyer);

        CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

        CU_ASSERT_EQUAL(buyer.too_many + buyer.slow_refusals + buyer.other, 0);
        CU_ASSERT(buyer.refused > 1000); // While it was away, nearly all of them.
        CU_ASSERT(buyer.changes[CMDS_BREAKER_OPEN] > 1);
        CU_ASSERT_EQUAL(buyer.changes[CMDS_BREAKER_OPEN], buyer.changes[CMDS_BREAKER_HALF_OPEN]);
        CU_ASSERT_EQUAL(buyer.changes[CMDS_BREAKER_CLOSED], 1);
        /* Those in flight when it went, those until it opened, and the trials since. */
        CU_ASSERT(buyer.bad <= 2 * THREADS + TRIALS * buyer.changes[CMDS_BREAKER_OPEN]);
        CU_ASSERT(buyer.trials <= (TRIALS + 3) * buyer.changes[CMDS_BREAKER_HALF_OPEN]);
        CU_ASSERT(buyer.good > buyer.good_at_return + 1000); // As if nothing had been.
    }
}

/* --- Looked at ---------------------------------------------------------------------------------- */

struct switched {
    struct cmds_breaker *breaker;
    _Atomic uint64_t resets; // Begun.
};

static void *switch_it(void *context)
{
    struct switched *switched = context;
    for (uint32_t i = 0; i < SWITCHES; i++) {
        cmds_breaker_open(switched->breaker);
        atomic_fetch_add(&switched->resets, 1);
        cmds_breaker_reset(switched->breaker);
    }
    return NULL;
}

/* One that is closed has been reset as often as it has opened. Returns: 1: it was not. */
static int switched_main(void *context)
{
    struct switched switched = {.breaker = NULL};
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    pthread_t thread;
    (void)context;
    int code = cmds_breaker_new(&switched.breaker, &options, NULL);
    code = code < 0 ? code : -pthread_create(&thread, NULL, switch_it, &switched);
    while (code == 0 && atomic_load(&switched.resets) < SWITCHES) {
        struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
        cmds_breaker_look(switched.breaker, &info);
        code = info.state == CMDS_BREAKER_CLOSED && info.opened > atomic_load(&switched.resets);
    }
    (void)pthread_join(thread, NULL);
    cmds_breaker_free(switched.breaker);
    return code;
}

static void test_sim_breaker_is_looked_at_in_one_moment(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(20); seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
        (void)add(sim, "switched", false, switched_main, NULL);
        CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    }
}

static CU_TestInfo tests[] = {
        {"lives through a server that was away",
                test_sim_breaker_lives_through_a_server_that_was_away},
        {"is looked at in one moment", test_sim_breaker_is_looked_at_in_one_moment},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_breaker", tests)
