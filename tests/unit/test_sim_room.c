/* SPDX-License-Identifier: MIT */
/*
 * Room for commands of a group: who was refused, or waits, is told when there is some, or none will come;
 * not before, and not never. What may go wrong: a thread sleeps until its deadline, or asks millions of times.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "group/ref.h"
#include "ring/socket.h"
#include "shard/shard.h"
#include "support/sim/hall.h"

enum {
    SEEDS = 5,
    TIMES = 100,
    BIG_SIZE = 100000,
    HUGE_SIZE = 1900000,
    MEMORY = 4 * 1024 * 1024,
    LINES = 20, // A round.
    LINE_SIZE = 1000,
    OTHER_PORT = 9001,
    MUTE_PORT = 9002,
};

static char text[HUGE_SIZE];

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- A group that counts what it is told -------------------------------------------------------- */

struct asker {
    struct cmds_group *group;
    struct cmds_group_options options;
    uint32_t told, ended, closed, not_sent;
};

static void on_writable(void *context)
{
    ((struct asker *)context)->told++;
}

static void on_result(void *context, const struct cmds_result *result)
{
    struct asker *asker = context;
    asker->ended += result->last;
    asker->not_sent += result->error == CMDS_E_NOT_SENT &&
                       strstr(result->text, "memory is short") != NULL; // It says why.
}

static void on_closed(void *context)
{
    ((struct asker *)context)->closed++;
}

static void asker_open(struct asker *asker, struct hall *hall, uint32_t port)
{
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    asker->options.connect = address;
    asker->options.on_writable = on_writable;
    asker->options.context = asker;
    CU_ASSERT_EQUAL(cmds_group_open(&asker->group, hall->runtime, &asker->options, NULL), 0);
}

static void asker_close(struct asker *asker)
{
    cmds_group_close(asker->group, on_closed, asker);
    HALL_UNTIL(asker->closed == 1);
}

static int ask(struct asker *asker, int size)
{
    struct big big = {1, {text, (size_t)size}};
    return cmds_group_send(asker->group, big_message(&big), NULL, on_result, asker);
}

/* --- Its server, on a runtime of its own --------------------------------------------------------- */

struct other {
    struct hall hall;
    struct cmds_runtime *runtime;
    struct cmds_server *server;
};

static void other_open(struct other *other)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    hall_init(&other->hall);
    struct cmds_server_options options = hall_options(&other->hall);
    runtime_options.shard_count = 1;
    options.listen = "127.0.0.1:9001";
    CU_ASSERT_EQUAL(cmds_runtime_start(&other->runtime, &runtime_options, NULL), 0);
    CU_ASSERT_EQUAL(cmds_server_start(&other->server, other->runtime, &options, NULL), 0);
}

static void other_close(struct other *other)
{
    cmds_server_close(other->server);
    hall_forget(&other->hall);
    cmds_runtime_stop(other->runtime);
}

/* --- Room of the connection --------------------------------------------------------------------- */

/* Takes connections, and says nothing. */
static int mute_listen_at(uint16_t port)
{
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_port = htons(port);
    address.as.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return cmdi_socket_listen(&address, 16, false, 0);
}

/* As a program would: sends until it is refused, and again when it was told. Returns: told in vain. */
static uint32_t push_for_a_second(struct asker *asker)
{
    uint32_t useless = 0, told = 0;
    while (ask(asker, BIG_SIZE) == 0) {
    }
    for (uint32_t i = 0; i < 1000; i++) {
        cmds_sim_sleep_ms(1);
        if (asker->told > told) {
            told = asker->told;
            useless += ask(asker, BIG_SIZE) == -ENOBUFS;
            while (ask(asker, BIG_SIZE) == 0) {
            }
        }
    }
    return useless;
}

static void script_mute(struct hall *hall)
{
    struct asker asker = {.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    int mute = mute_listen_at(OTHER_PORT);
    asker.options.deadline_ms = asker.options.connect_timeout_ms = CMDS_NEVER;
    asker_open(&asker, hall, OTHER_PORT);

    CU_ASSERT_EQUAL(push_for_a_second(&asker), 0);
    CU_ASSERT(asker.told <= 10); // Each time for a tenth of the bound at least.

    asker_close(&asker);
    cmdi_fd_close(mute);
}

static void test_sim_room_is_not_told_where_there_is_none(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_mute);
}

/* --- Memory of others --------------------------------------------------------------------------- */

/* Somebody else on the shard takes all its memory, or gives it back, and is no connection. */
static void take_memory(void *context)
{
    struct cmdi_account *account = &cmdi_shard_current()->buffers.account;
    cmdi_account_add(account, account->size_max);
    *(volatile bool *)context = true;
}

static void give_memory(void *context)
{
    struct cmdi_account *account = &cmdi_shard_current()->buffers.account;
    cmdi_account_sub(account, account->size_max);
    *(volatile bool *)context = false;
}

static void expect_told_of_memory(struct hall *hall, struct asker *asker)
{
    volatile bool taken = false;
    void *context = (void *)(uintptr_t)&taken;
    uint32_t told = asker->told;
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, take_memory, context), 0);
    HALL_UNTIL(taken);
    CU_ASSERT_EQUAL(ask(asker, BIG_SIZE), -ENOBUFS);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(asker->told, told);

    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, give_memory, context), 0);
    HALL_UNTIL(asker->told > told);
    CU_ASSERT_EQUAL(ask(asker, BIG_SIZE), 0);
    CU_ASSERT_EQUAL(cmds_group_drain(asker->group, 1000), 0);
}

static void script_memory(struct hall *hall)
{
    struct asker asker = {.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    struct other other;
    other_open(&other);
    asker_open(&asker, hall, OTHER_PORT);
    CU_ASSERT_EQUAL(cmds_group_wait(asker.group, 1000, NULL), 0);
    for (uint32_t i = 0; i < 4; i++) {
        expect_told_of_memory(hall, &asker);
    }
    asker_close(&asker);
    other_close(&other);
}

static void test_sim_room_is_told_when_others_give_memory_back(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_memory);
}

struct ask_here {
    struct asker *asker;
    uint32_t resend;
    int code;
    volatile bool is_done;
};

static void ask_here(void *context)
{
    struct ask_here *here = context;
    struct act act = {1};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.resend = here->resend;
    here->code =
            cmds_group_send(here->asker->group, act_message(&act), &how, on_result, here->asker);
    here->is_done = true;
}

static int ask_on_shard(struct hall *hall, struct asker *asker, uint32_t resend)
{
    struct ask_here here = {.asker = asker, .resend = resend};
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, ask_here, &here), 0);
    HALL_UNTIL(here.is_done);
    return here.code;
}

/* A shard keeps what goes with its own commands itself; others have all of its memory. */
static void expect_told_on_shard(struct hall *hall, struct asker *asker, uint32_t resend)
{
    struct other other;
    volatile bool taken = false;
    void *context = (void *)(uintptr_t)&taken;
    other_open(&other);
    asker_open(asker, hall, OTHER_PORT);
    CU_ASSERT_EQUAL(cmds_group_wait(asker->group, 1000, NULL), 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, take_memory, context), 0);
    CU_ASSERT_EQUAL(ask_on_shard(hall, asker, resend), -ENOBUFS);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(asker->told, 0);

    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, give_memory, context), 0);
    HALL_UNTIL(asker->told == 1);
    CU_ASSERT_EQUAL(ask_on_shard(hall, asker, resend), 0);
    CU_ASSERT_EQUAL(cmds_group_drain(asker->group, 1000), 0);
    asker_close(asker);
    other_close(&other);
}

static void script_kept(struct hall *hall)
{
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    struct asker asker = {.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    struct asker careful = asker;
    expect_told_on_shard(hall, &asker, CMDS_RESEND_ONCE);
    careful.options.endpoint_breaker = &breaker; // Each command has a permit.
    expect_told_on_shard(hall, &careful, CMDS_RESEND_NEVER);
}

static void test_sim_room_is_told_when_what_is_kept_finds_memory(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_kept);
}

/* Makes lines until what its peer does not read is half of the memory, and then waits. */
static int act_hog(struct cmds_call *call, const struct act *act)
{
    int code = 0;
    if (cmdi_account_used(&cmdi_shard_current()->buffers.account) > MEMORY / 2) {
        return hall_act_keep(call, act);
    }
    for (int64_t i = 0; i < LINES && code == 0; i++) {
        struct line line = {i, false, {text, LINE_SIZE}};
        code = cmds_call_send(call, line_message(&line));
    }
    CU_ASSERT_EQUAL(code, 0);
    return CMDS_EXEC_AGAIN;
}

static uint64_t memory_of(const struct hall *hall)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    cmds_runtime_stats(hall->runtime, &counters);
    return counters.memory_bytes;
}

/* One that reads nothing holds so much that a thread is refused, and is closed for it. */
static void script_hog(struct hall *hall)
{
    struct asker asker = {.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    struct guest guest;
    struct other other;
    other_open(&other);
    asker_open(&asker, hall, OTHER_PORT);
    CU_ASSERT_EQUAL(cmds_group_wait(asker.group, 1000, NULL), 0);
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 1);
    HALL_UNTIL(hall->kept_count == 1);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT(memory_of(hall) < MEMORY - MEMORY / 8 && memory_of(hall) > MEMORY / 2);

    int code = ask(&asker, HUGE_SIZE);
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    HALL_UNTIL(asker.told > 0);
    CU_ASSERT_EQUAL(hall_stats(hall).memory_evictions, 1);
    CU_ASSERT_EQUAL(hall->cancels, 1);
    CU_ASSERT_EQUAL(ask(&asker, HUGE_SIZE), 0);
    CU_ASSERT_EQUAL(cmds_group_drain(asker.group, 1000), 0);

    guest_close(&guest);
    asker_close(&asker);
    other_close(&other);
}

static void test_sim_room_is_made_for_a_thread_that_was_refused(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_hog;
    hall.options.output_size_max = 2 * MEMORY;
    hall.runtime_options.memory_size_max = MEMORY;

    run_all(&hall, script_hog);
}

/*
 * Most of the memory is what waits for a connection that does not open, and nobody has set a deadline. It
 * pays once: then it is rid of what waits, and the one that lacks memory goes on.
 */
static void script_never_opens(struct hall *hall)
{
    struct asker hoards = {.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    struct asker asker = hoards;
    struct other other;
    int mute = mute_listen_at(MUTE_PORT);
    uint32_t sent = 0;
    other_open(&other);
    hoards.options.deadline_ms = hoards.options.connect_timeout_ms = CMDS_NEVER;
    asker_open(&hoards, hall, MUTE_PORT);
    asker_open(&asker, hall, OTHER_PORT);
    CU_ASSERT_EQUAL(cmds_group_wait(asker.group, 1000, NULL), 0);
    while (memory_of(hall) < MEMORY - MEMORY / 4 && ask(&hoards, BIG_SIZE) == 0) {
        sent++;
        cmds_sim_sleep_ms(1);
    }
    CU_ASSERT(sent > 0 && memory_of(hall) > MEMORY / 4);

    for (uint32_t i = 0; i < 40; i++) { // Ten times as long as one that pays has time for.
        (void)ask(&asker, HUGE_SIZE);
        cmds_sim_sleep_ms(100);
    }
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_group_stats(hoards.group, &counters), 0);
    CU_ASSERT_EQUAL(counters.memory_evictions, 1);
    CU_ASSERT_EQUAL(hoards.ended, sent);
    CU_ASSERT_EQUAL(hoards.not_sent, sent);
    CU_ASSERT_EQUAL(memory_of(hall), 0);

    asker_close(&hoards);
    asker_close(&asker);
    other_close(&other);
    cmdi_fd_close(mute);
}

static void test_sim_room_is_made_by_one_that_does_not_open(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.runtime_options.memory_size_max = MEMORY;

    run_all(&hall, script_never_opens);
}

/* --- Those that wait ------------------------------------------------------------------------------ */

struct waits {
    struct asker asker;
    struct other other;
    uint32_t begun, lasts;
    int codes[2];
};

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct hall *hall = cmds_call_receiver(call);
    struct waits *waits = hall->context;
    CU_ASSERT_TRUE(result->last);
    CU_ASSERT_PTR_NOT_NULL(strstr(result->text, "127.0.0.1:9001")); // It says why.
    waits->codes[waits->lasts++ % 2] = result->error;
    (void)hall_answer(call, 1);
}

static int act_forward(struct cmds_call *call, const struct act *act)
{
    struct waits *waits = ((struct hall *)cmds_call_receiver(call))->context;
    waits->begun++;
    return cmds_group_forward(waits->asker.group, act_message(act), NULL, call, on_forwarded, NULL);
}

static void script_waits(struct hall *hall)
{
    struct waits waits = {.asker.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    struct guest guest;
    other_open(&waits.other);
    waits.other.hall.act = hall_act_keep;
    waits.asker.options.reconnect_delay_ms = CMDS_NEVER;
    waits.asker.options.in_flight_max = 1;
    waits.asker.options.deadline_ms = CMDS_NEVER;
    hall->context = &waits;
    asker_open(&waits.asker, hall, OTHER_PORT);
    CU_ASSERT_EQUAL(cmds_group_wait(waits.asker.group, 1000, NULL), 0);
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 1);
    (void)guest_send(&guest, &act_type, 1);
    HALL_UNTIL(waits.begun == 2 && waits.other.hall.kept_count == 1);

    other_close(&waits.other); // The only connection is lost, with one command in flight.
    HALL_UNTIL(waits.lasts == 2);

    CU_ASSERT(waits.codes[0] == CMDS_E_LOST || waits.codes[1] == CMDS_E_LOST);
    CU_ASSERT(waits.codes[0] == CMDS_E_NOT_SENT || waits.codes[1] == CMDS_E_NOT_SENT);
    asker_close(&waits.asker);
    guest_close(&guest);
}

static void test_sim_room_will_not_come_where_the_connection_is_lost(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;

    run_all(&hall, script_waits);
}

void __real_cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what);
void __wrap_cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what);

static uint64_t dawdle_us; // A thread that has seen a command pending says so so much later.

void __wrap_cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what)
{
    hall_pause_us(what == CMDI_NUDGE_IDLE ? dawdle_us : 0);
    __real_cmdi_group_shard_nudge(group_shard, what);
}

/* A thread waits for the end of a command that ends just then. */
static void script_idle(struct hall *hall)
{
    struct asker asker = {.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    asker_open(&asker, hall, HALL_PORT);
    CU_ASSERT_EQUAL(cmds_group_wait(asker.group, 1000, NULL), 0);
    for (uint32_t i = 0; i < TIMES; i++) {
        CU_ASSERT_EQUAL(ask(&asker, 1), 0);
        dawdle_us = i * 10; // Up to what an answer takes, and more.
        uint64_t since_ns = hall_now_ns();
        CU_ASSERT_EQUAL(cmds_group_drain(asker.group, 1000), 0);
        CU_ASSERT(hall_now_ns() - since_ns < HALL_SETTLE_MS * 1000000u);
    }
    dawdle_us = 0;
    asker_close(&asker);
}

static void test_sim_room_of_nobody_is_seen_by_who_drains(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_idle);
}

static CU_TestInfo tests[] = {
        {"is not told where there is none", test_sim_room_is_not_told_where_there_is_none},
        {"is told when others give memory back",
                test_sim_room_is_told_when_others_give_memory_back},
        {"is told when what is kept finds memory",
                test_sim_room_is_told_when_what_is_kept_finds_memory},
        {"is made for a thread that was refused",
                test_sim_room_is_made_for_a_thread_that_was_refused},
        {"room is made by one that does not open", test_sim_room_is_made_by_one_that_does_not_open},
        {"will not come where the connection is lost",
                test_sim_room_will_not_come_where_the_connection_is_lost},
        {"of nobody is seen by who drains", test_sim_room_of_nobody_is_seen_by_who_drains},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_room", tests)
