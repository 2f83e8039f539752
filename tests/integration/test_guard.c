/* SPDX-License-Identifier: MIT */
/*
 * Breakers of endpoints that real threads use at once: senders, shards, and one that opens and resets
 * them and changes the list. What may go wrong: they race, a command does not end, a permit is lost.
 */
#include "support/world.h"

enum {
    SENDERS = 3,
    ROUNDS = 2000,
    CHANGES = 300,
};

struct guarded {
    struct world worlds[2];
    struct cmds_group *group;
    _Atomic uint64_t sent, ended, told;
    _Atomic uint32_t senders;
};

static void on_result(void *context, const struct cmds_result *result)
{
    struct guarded *guarded = context;
    atomic_fetch_add(&guarded->ended, result->last);
}

static int send_one(struct guarded *guarded)
{
    struct echo echo = {.int64 = 5};
    int code = cmds_group_send(guarded->group, echo_message(&echo), NULL, on_result, guarded);
    if (code == 0) {
        atomic_fetch_add(&guarded->sent, 1);
    }
    return code;
}

static void send_here(void *context)
{
    (void)send_one(context);
}

static void *send_all(void *context)
{
    struct guarded *guarded = context;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        (void)send_one(guarded);
        (void)cmds_runtime_post(guarded->worlds[0].runtime, i % 2, send_here, guarded);
    }
    atomic_fetch_sub(&guarded->senders, 1);
    return NULL;
}

static void on_endpoint_state(
        void *context, const struct cmds_breaker_endpoint *endpoint, enum cmds_breaker_state state)
{
    struct guarded *guarded = context;
    (void)state;
    atomic_fetch_add(&guarded->told, endpoint->number != 0 && endpoint->address[0] != '\0');
}

static void change(struct guarded *guarded, uint32_t round)
{
    struct cmds_endpoint list[] = {CMDS_ENDPOINT_INIT(guarded->worlds[0].address),
            CMDS_ENDPOINT_INIT(guarded->worlds[1].address)};
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    if (cmds_group_endpoint(guarded->group, round % 2, &state) == 0) {
        (void)cmds_group_endpoint_breaker_open(guarded->group, state.number);
    }
    if (round % 3 == 0 && cmds_group_endpoint(guarded->group, 0, &state) == 0) {
        (void)cmds_group_endpoint_breaker_reset(guarded->group, state.number);
    }
    if (round % 10 == 0) {
        CU_ASSERT_EQUAL(
                cmds_group_set_endpoints(guarded->group, list, 1 + round / 10 % 2, NULL), 0);
    }
}

static int guarded_open(struct guarded *guarded, struct cmds_breaker_options *breaker)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    char connect[2 * sizeof(guarded->worlds[0].address)];
    for (int i = 0; i < 2; i++) {
        world_init(&guarded->worlds[i]);
        CU_ASSERT_EQUAL_FATAL(world_start(&guarded->worlds[i]), 0);
    }
    (void)snprintf(connect, sizeof(connect), "%s,%s", guarded->worlds[0].address,
            guarded->worlds[1].address);
    breaker->open_ms = 1;
    breaker->half_open_max = 2;
    breaker->context = guarded;
    breaker->on_endpoint_state = on_endpoint_state;
    options.connect = connect;
    options.client_count = 4;
    options.endpoint_breaker = breaker;
    int code = cmds_group_open(&guarded->group, guarded->worlds[0].runtime, &options, NULL);
    return code < 0 ? code : cmds_group_wait(guarded->group, RAW_GUARD_MS, NULL);
}

/* Commands until it is closed. */
static bool closes(struct guarded *guarded, uint32_t index)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    for (uint32_t i = 0; i < RAW_GUARD_MS; i++) {
        (void)send_one(guarded);
        (void)cmds_group_drain(guarded->group, RAW_GUARD_MS);
        if (cmds_group_endpoint(guarded->group, index, &state) == 0 &&
                cmds_group_endpoint_breaker(guarded->group, state.number, &info) == 0 &&
                info.state == CMDS_BREAKER_CLOSED) {
            return info.trials == 0;
        }
        raw_pause(NULL);
    }
    return false;
}

static void test_guard_holds_with_threads(void)
{
    static struct guarded guarded;
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    pthread_t threads[SENDERS];
    CU_ASSERT_EQUAL_FATAL(guarded_open(&guarded, &breaker), 0);
    guarded.senders = SENDERS;
    for (int i = 0; i < SENDERS; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_all, &guarded), 0);
    }

    for (uint32_t i = 0; i < CHANGES || atomic_load(&guarded.senders) > 0; i++) {
        change(&guarded, i);
        raw_pause(NULL);
    }
    for (int i = 0; i < SENDERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    change(&guarded, 10); // Both.

    CU_ASSERT(closes(&guarded, 0));
    CU_ASSERT(closes(&guarded, 1));
    CU_ASSERT_EQUAL(guarded.ended, guarded.sent);
    CU_ASSERT(guarded.told > 0);
    cmds_group_close(guarded.group, NULL, NULL);
    world_stop(&guarded.worlds[0]);
    world_stop(&guarded.worlds[1]);
}

static CU_TestInfo tests[] = {
        {"holds with threads", test_guard_holds_with_threads},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("guard", tests)
