/* SPDX-License-Identifier: MIT */
/*
 * Connections that move to another endpoint while something waits on them, with servers that the test
 * plays. What may go wrong: what waits goes to a place where it must not go, is lost sight of, stays
 * behind though others have room, or a server is blamed for what another one did.
 */
#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "group/group.h"
#include "group/ref.h"
#include "ring/socket.h"
#include "shard/shard.h"
#include "support/sim/host.h"

enum {
    SEEDS = 5,
    SERVERS = 2,
};

struct mover {
    struct asker asker;
    int listeners[SERVERS];
    struct guest servers[SERVERS];              // Of the connection number i.
    uint32_t lasts, good, cancelled, elsewhere; // Of forwards.
    uint32_t notes;
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- Servers ------------------------------------------------------------------------------------ */

static int listen_at(uint16_t port)
{
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_port = htons(port);
    address.as.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = cmdi_socket_listen(&address, 16, false, 0);
    CU_ASSERT(listener >= 0);
    return listener;
}

static const char *const addresses[SERVERS] = {"127.0.0.1:9001", "127.0.0.1:9002"};

static int set_endpoint(struct mover *mover, uint32_t server)
{
    struct cmds_endpoint endpoint = CMDS_ENDPOINT_INIT(addresses[server]);
    return cmds_group_set_endpoints(mover->asker.group, &endpoint, 1, NULL);
}

/* Which of the two does this connection go to? */
static uint32_t server_of(struct mover *mover, uint32_t client)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    CU_ASSERT_EQUAL(cmds_group_connection(mover->asker.group, client, &info), 0);
    for (uint32_t i = 0; cmds_group_endpoint(mover->asker.group, i, &state) == 0; i++) {
        if (state.number == info.endpoint) {
            return strcmp(state.address, addresses[1]) == 0;
        }
    }
    CU_FAIL("a connection goes nowhere");
    return 0;
}

/* Two connections, one to each server. `window`: of each; 0: large. */
static void mover_init(struct mover *mover, struct hall *hall, uint32_t window)
{
    hall->context = mover;
    asker_init(&mover->asker, hall);
    mover->asker.options.connect = "127.0.0.1:9001,127.0.0.1:9002";
    mover->asker.options.client_count = SERVERS;
    mover->asker.options.reconnect_delay_ms = 1;
    mover->asker.options.in_flight_max = window;
    mover->asker.options.dispatch = &cmds_dispatch_round_robin;
}

/* Both are up. */
static void mover_open(struct mover *mover, struct hall *hall, uint32_t window)
{
    struct guest guests[SERVERS];
    *mover = (struct mover){.lasts = 0};
    mover_init(mover, hall, window);
    for (uint32_t i = 0; i < SERVERS; i++) {
        mover->listeners[i] = listen_at((uint16_t)(9001 + i));
    }
    asker_open(&mover->asker, hall);
    for (uint32_t i = 0; i < SERVERS; i++) {
        host_enter(mover->listeners[i], &guests[i]);
    }
    HALL_UNTIL(mover->asker.ups == SERVERS);
    for (uint32_t i = 0; i < SERVERS; i++) {
        mover->servers[i] = guests[server_of(mover, i)];
    }
}

static void mover_close(struct mover *mover)
{
    asker_close(&mover->asker);
    for (uint32_t i = 0; i < SERVERS; i++) {
        if (mover->servers[i].fd >= 0) {
            guest_close(&mover->servers[i]);
        }
        cmdi_fd_close(mover->listeners[i]);
    }
}

/* --- What waits --------------------------------------------------------------------------------- */

static bool is_full; // The output of each connection, for what other threads send.
int __real_cmdi_client_write_record(struct cmdi_client *client, struct cmdi_record *record);
int __wrap_cmdi_client_write_record(struct cmdi_client *client, struct cmdi_record *record);

int __wrap_cmdi_client_write_record(struct cmdi_client *client, struct cmdi_record *record)
{
    return is_full ? -ENOBUFS : __real_cmdi_client_write_record(client, record);
}

/*
 * Each connection has a command of another thread that is not answered, and one that waits, so that what
 * is sent waits behind that. An answer makes room.
 */
static void let_wait(struct mover *mover)
{
    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT_EQUAL(ask(&mover->asker, i, 0, NULL), 0);
        cmds_sim_sleep_ms(HALL_SETTLE_MS);
    }
    is_full = true;
    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT_EQUAL(ask(&mover->asker, i, 0, NULL), 0);
        cmds_sim_sleep_ms(HALL_SETTLE_MS);
    }
    is_full = false;
    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT(cmdi_queue_size(&mover->asker.group->clients[i]->backlog) > 0);
    }
}

/* --- Forwards ----------------------------------------------------------------------------------- */

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct hall *hall = cmds_call_receiver(call);
    struct mover *mover = hall->context;
    mover->lasts += result->last;
    mover->good += result->error == 0;
    mover->cancelled += result->error == CMDS_E_CANCELLED;
    mover->elsewhere += cmdi_shard_current()->index != 0;
    if (result->error == 0) {
        (void)hall_answer(call, 7);
    }
}

static int act_forward(struct cmds_call *call, const struct act *act)
{
    struct mover *mover = ((struct hall *)cmds_call_receiver(call))->context;
    struct act again = {1000 + act->number};
    if (cmdi_shard_current()->index != 0) {
        return hall_answer(call, 0);
    }
    return cmds_group_forward(
            mover->asker.group, act_message(&again), NULL, call, on_forwarded, NULL);
}

/* A guest of the first shard, which asks for a forward. */
static void guest_of_first(struct guest *guest)
{
    struct answer answer;
    guest_enter(guest);
    (void)guest_send(guest, &act_type, 1);
    while (guest_read(guest, &answer, HALL_SETTLE_MS) == GUEST_ANSWER) {
        guest_close(guest);
        guest_enter(guest);
        (void)guest_send(guest, &act_type, 1);
    }
}

/* Reads and answers what comes, for so long. Returns: the forward was there. */
static bool serve(struct mover *mover, uint32_t client, uint64_t ms)
{
    struct guest *server = &mover->servers[client];
    struct answer command;
    bool was_there = false;
    while (guest_read(server, &command, ms) == GUEST_ANSWER) {
        was_there = was_there || command.number >= 1000;
        host_answer(server, command.sequence, 1);
    }
    return was_there;
}

/* The connection number 0 goes to where the other one is, as its server has nothing for it any more. */
static void leave(struct mover *mover)
{
    CU_ASSERT_FALSE(serve(mover, 0, HALL_SETTLE_MS));
    guest_close(&mover->servers[0]);
    host_enter(mover->listeners[server_of(mover, 1)], &mover->servers[0]);
}

/* On the only connection of its shard: there is one that is up, of another shard. */
static void script_forward(struct hall *hall)
{
    struct mover mover;
    struct guest guest;
    mover_open(&mover, hall, 0);
    let_wait(&mover);
    guest_of_first(&guest);
    CU_ASSERT_EQUAL(set_endpoint(&mover, server_of(&mover, 1)), 0);
    leave(&mover);
    CU_ASSERT_TRUE(serve(&mover, 0, HALL_SETTLE_MS));
    (void)serve(&mover, 1, HALL_SETTLE_MS);
    HALL_UNTIL(mover.lasts == 1);
    CU_ASSERT_EQUAL(mover.good, 1);
    CU_ASSERT_EQUAL(mover.elsewhere, 0);
    CU_ASSERT_TRUE(guest_expects(&guest, 7, 100));
    CU_ASSERT_EQUAL(mover.asker.good, 2 * SERVERS);
    guest_close(&guest);
    mover_close(&mover);
}

static void test_sim_moves_leave_a_forward_on_its_shard(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_forward);
}

/* One on each of two connections; that of the first goes to the second, and is found there. */
static void script_cancel(struct hall *hall)
{
    struct mover mover;
    struct guest guest;
    struct answer command;
    uint64_t sequences[] = {0, 0, 0};
    mover_open(&mover, hall, 0);
    let_wait(&mover);
    guest_of_first(&guest);
    (void)guest_send(&guest, &act_type, 2);
    (void)guest_send(&guest, &work_type, 0); // An answer that is never read.
    HALL_UNTIL(hall->acts == 2 && hall->works == 1);
    CU_ASSERT_EQUAL(set_endpoint(&mover, server_of(&mover, 1)), 0);
    leave(&mover);
    host_answer(&mover.servers[1], host_expects(&mover.servers[1], 1, 100), 1);
    while (guest_read(&mover.servers[1], &command, HALL_SETTLE_MS) == GUEST_ANSWER) {
        CU_ASSERT_FATAL(command.number < 1003);
        sequences[command.number > 1000 ? command.number - 1000 : 0] = command.sequence;
    }
    CU_ASSERT(sequences[1] != 0 && sequences[2] != 0);
    guest_close(&guest);
    HALL_UNTIL(mover.lasts == 2);
    CU_ASSERT_EQUAL(mover.cancelled, 2);
    host_answer(&mover.servers[1], sequences[1], 1);
    host_answer(&mover.servers[1], sequences[2], 1);
    HALL_UNTIL(mover.asker.unexpected == 2);
    mover_close(&mover);
}

static void test_sim_moves_take_a_forward_along(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;

    run_all(&hall, script_cancel);
}

/* --- Sent again --------------------------------------------------------------------------------- */

static void on_cancelled(void *context, const struct cmds_result *result)
{
    struct mover *mover = context;
    mover->lasts += result->last;
    mover->cancelled += result->error == CMDS_E_CANCELLED;
}

/* Two that may be sent again, each behind what waits: the connection of one is lost, then both move. */
static void script_again(struct hall *hall)
{
    struct mover mover;
    struct answer command;
    struct cmds_ticket tickets[SERVERS];
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    mover_open(&mover, hall, 0);
    let_wait(&mover);
    how.resend = CMDS_RESEND_ONCE;
    for (uint32_t i = 0; i < SERVERS; i++) {
        struct act act = {1000 + i};
        how.ticket = &tickets[i];
        CU_ASSERT_EQUAL(
                cmds_group_send(mover.asker.group, act_message(&act), &how, on_cancelled, &mover),
                0);
        cmds_sim_sleep_ms(HALL_SETTLE_MS);
    }
    uint32_t server = server_of(&mover, 0);
    guest_close(&mover.servers[0]);
    host_enter(mover.listeners[server], &mover.servers[0]);
    HALL_UNTIL(mover.asker.ups == SERVERS + 1);
    CU_ASSERT_EQUAL(set_endpoint(&mover, server), 0);
    uint32_t came = 0;
    while (guest_read(&mover.servers[0], &command, HALL_SETTLE_MS) == GUEST_ANSWER) {
        came += command.number >= 1000;
    }
    CU_ASSERT_EQUAL(came, SERVERS);
    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT_EQUAL(cmds_group_forget(mover.asker.group, tickets[i]), 0);
    }
    HALL_UNTIL(mover.lasts == SERVERS);
    CU_ASSERT_EQUAL(mover.cancelled, SERVERS);
    mover_close(&mover);
}

static void test_sim_moves_take_what_is_sent_again_along(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_again);
}

/* It is to be sent again, and nobody is up: whichever server comes back has it. */
static void script_any(struct hall *hall)
{
    struct mover mover;
    struct cmds_ticket ticket;
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct act act = {1000};
    mover_open(&mover, hall, 0);
    let_wait(&mover);
    how.resend = CMDS_RESEND_ONCE;
    how.ticket = &ticket;
    CU_ASSERT_EQUAL(
            cmds_group_send(mover.asker.group, act_message(&act), &how, on_cancelled, &mover), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    for (uint32_t i = 0; i < SERVERS; i++) {
        guest_close(&mover.servers[i]);
        CU_ASSERT_TRUE(host_accept(mover.listeners[server_of(&mover, i)], &mover.servers[i], 1000));
    }
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    uint32_t back = hall->sim_options.seed % 2 == 0;
    host_inform(&mover.servers[back], "default");
    CU_ASSERT_NOT_EQUAL(host_expects(&mover.servers[back], 1000, 1000), 0);
    CU_ASSERT_EQUAL(cmds_group_forget(mover.asker.group, ticket), 0);
    HALL_UNTIL(mover.lasts == 1);
    CU_ASSERT_EQUAL(mover.cancelled, 1);
    mover_close(&mover);
}

static void test_sim_moves_bring_what_is_sent_again_to_any(void)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct hall hall;
        hall_init(&hall);
        hall.runtime_options.shard_count = shards;

        run_all(&hall, script_any);
    }
}

/* --- Strangers ---------------------------------------------------------------------------------- */

/* The next server is no stranger: if its connection is lost, it is tried again. */
static void come_back(struct mover *mover)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    struct guest *server = &mover->servers[1];
    host_enter(mover->listeners[1], server);
    HALL_UNTIL(mover->asker.ups == 1);
    guest_close(server);
    host_enter(mover->listeners[1], server);
    CU_ASSERT_EQUAL(cmds_group_endpoint(mover->asker.group, 0, &state), 0);
    CU_ASSERT_EQUAL(state.flags & CMDS_ENDPOINT_STRANGER, 0);
    guest_close(server);
}

/* A connection to a stranger is told to go elsewhere, so long after the ServerInfo was sent. */
static void leave_stranger(struct mover *mover, struct hall *hall, uint64_t us)
{
    asker_init(&mover->asker, hall);
    mover->asker.options.reconnect_delay_ms = 1;
    asker_open(&mover->asker, hall);
    CU_ASSERT_TRUE(host_accept(mover->listeners[0], &mover->servers[0], 1000));
    host_inform(&mover->servers[0], "stranger");
    hall_pause_us(us);
    int code = set_endpoint(mover, 1);
    if (code == 0 && !cmds_group_done(mover->asker.group)) {
        come_back(mover);
    } else {
        HALL_UNTIL(mover->asker.code == CMDS_E_SERVER_INFO_MISMATCH); // It was the only one.
    }
    asker_close(&mover->asker);
    guest_close(&mover->servers[0]);
}

static void script_stranger(struct hall *hall)
{
    for (uint64_t us = 0; us < 200; us += 2) {
        struct mover mover = {.listeners = {listen_at(9001), listen_at(9002)}};
        leave_stranger(&mover, hall, us);
        cmdi_fd_close(mover.listeners[0]);
        cmdi_fd_close(mover.listeners[1]);
    }
}

static void test_sim_moves_do_not_blame_the_next_server(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_stranger);
}

/* --- Those that wait meanwhile ------------------------------------------------------------------ */

/* What waits on a connection that is held by one answer goes to the other one as soon as that has room. */
static void script_room(struct hall *hall)
{
    struct mover mover;
    mover_open(&mover, hall, 3);
    let_wait(&mover);
    for (uint32_t i = 0; i < SERVERS; i++) { // Now both windows are full.
        CU_ASSERT_EQUAL(ask(&mover.asker, i, 0, NULL), 0);
        cmds_sim_sleep_ms(HALL_SETTLE_MS);
    }
    CU_ASSERT_EQUAL(set_endpoint(&mover, server_of(&mover, 1)), 0);
    cmds_sim_sleep_ms(2000);
    (void)serve(&mover, 1, 2000);
    CU_ASSERT_EQUAL(mover.asker.good, 5); // Three of its own, two of the other one.
    CU_ASSERT_EQUAL(cmds_group_pending(mover.asker.group), 1);
    leave(&mover);
    CU_ASSERT_EQUAL(mover.asker.good, 6);
    mover_close(&mover);
}

static void test_sim_moves_let_go_of_what_waits(void)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct hall hall;
        hall_init(&hall);
        hall.runtime_options.shard_count = shards;

        run_all(&hall, script_room);
    }
}

/* Nobody is up, and what is sent waits on both; then one of the servers answers, and the other never. */
static void script_half(struct hall *hall)
{
    struct mover mover = {.listeners = {listen_at(9001), listen_at(9002)}};
    mover_init(&mover, hall, 3);
    asker_open(&mover.asker, hall);
    for (uint32_t i = 0; i < SERVERS; i++) {
        CU_ASSERT_TRUE(host_accept(mover.listeners[i], &mover.servers[i], 1000));
    }
    for (uint32_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(ask(&mover.asker, i, 0, NULL), 0);
    }
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    host_inform(&mover.servers[1], "default");
    (void)serve(&mover, 1, HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(mover.asker.good, 6);
    mover_close(&mover);
}

static void test_sim_moves_need_no_move(void)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct hall hall;
        hall_init(&hall);
        hall.runtime_options.shard_count = shards;

        run_all(&hall, script_half);
    }
}

/* --- Counted ------------------------------------------------------------------------------------ */

/* While somebody counts: what is on the second shard goes to the first. */
static struct mover *counted;
uint64_t __real_cmdi_group_shard_pending(const struct cmdi_group_shard *group_shard);
uint64_t __wrap_cmdi_group_shard_pending(const struct cmdi_group_shard *group_shard);

uint64_t __wrap_cmdi_group_shard_pending(const struct cmdi_group_shard *group_shard)
{
    if (counted != NULL && group_shard == counted->asker.group->shards[1]) {
        struct mover *mover = counted;
        counted = NULL;
        CU_ASSERT_EQUAL(set_endpoint(mover, server_of(mover, 0)), 0);
        cmds_sim_sleep_ms(HALL_SETTLE_MS);
    }
    return __real_cmdi_group_shard_pending(group_shard);
}

/* One command waits, and goes from a shard to the one that was looked at before. */
static void count(struct hall *hall, bool drains)
{
    struct mover mover;
    mover_open(&mover, hall, 0);
    CU_ASSERT_EQUAL(ask(&mover.asker, 0, 0, NULL), 0); // The next one is for the second shard.
    (void)serve(&mover, 0, HALL_SETTLE_MS);
    is_full = true;
    CU_ASSERT_EQUAL(ask(&mover.asker, 1, 0, NULL), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    is_full = false;
    counted = &mover;
    if (drains) {
        CU_ASSERT_EQUAL(cmds_group_drain(mover.asker.group, 100), CMDS_E_TIMEOUT);
    } else {
        CU_ASSERT_EQUAL(cmds_group_pending(mover.asker.group), 1);
    }
    CU_ASSERT_PTR_NULL(counted);
    (void)serve(&mover, 0, HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(mover.asker.good, 2);
    CU_ASSERT_EQUAL(cmds_group_drain(mover.asker.group, 100), 0);
    mover_close(&mover);
}

static void script_count(struct hall *hall)
{
    count(hall, false);
}

static void script_drain(struct hall *hall)
{
    count(hall, true);
}

static void test_sim_moves_hide_nothing_from_who_counts(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_count);
    run_all(&hall, script_drain);
}

/* --- A close ------------------------------------------------------------------------------------ */

static char text[100000];

/* More than the kernel takes at once. */
static void send_move_and_close(void *context)
{
    struct mover *mover = context;
    struct note note = {5, {text, sizeof(text)}};
    int code = 0;
    while (code == 0) {
        code = cmds_group_send(mover->asker.group, note_message(&note), NULL, NULL, NULL);
        mover->notes += code == 0;
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    CU_ASSERT_EQUAL(set_endpoint(mover, 1), 0);
    cmds_group_close(mover->asker.group, NULL, NULL);
}

/* Commands without an answer were sent before the close, so they leave; the move is of no interest. */
static void script_close(struct hall *hall)
{
    struct mover mover = {.listeners = {listen_at(9001), listen_at(9002)}};
    struct answer answer;
    asker_init(&mover.asker, hall);
    asker_open(&mover.asker, hall);
    host_enter(mover.listeners[0], &mover.servers[0]);
    HALL_UNTIL(mover.asker.ups == 1);
    hall_on_shard(hall, send_move_and_close, &mover);
    while (guest_read(&mover.servers[0], &answer, 100) == GUEST_ANSWER) {
        mover.notes -= answer.number == 5;
    }
    CU_ASSERT_EQUAL(mover.notes, 0);
    CU_ASSERT_TRUE(mover.servers[0].ended);
    guest_close(&mover.servers[0]);
    cmdi_fd_close(mover.listeners[0]);
    cmdi_fd_close(mover.listeners[1]);
}

static void test_sim_moves_do_not_lose_what_a_close_would_send(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_close);
}

static CU_TestInfo tests[] = {
        {"leave a forward on its shard", test_sim_moves_leave_a_forward_on_its_shard},
        {"take a forward along", test_sim_moves_take_a_forward_along},
        {"take what is sent again along", test_sim_moves_take_what_is_sent_again_along},
        {"bring what is sent again to any", test_sim_moves_bring_what_is_sent_again_to_any},
        {"do not blame the next server", test_sim_moves_do_not_blame_the_next_server},
        {"let go of what waits", test_sim_moves_let_go_of_what_waits},
        {"need no move", test_sim_moves_need_no_move},
        {"hide nothing from who counts", test_sim_moves_hide_nothing_from_who_counts},
        {"do not lose what a close would send", test_sim_moves_do_not_lose_what_a_close_would_send},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_moves", tests)
