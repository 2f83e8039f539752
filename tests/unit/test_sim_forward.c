/* SPDX-License-Identifier: MIT */
/*
 * Forwards that wait for room on the only connection of their group, whose server the test plays, and those
 * whose call lives on another shard. What may go wrong: they are not sent, or not in their order, count for
 * ever or not at all, go on for nobody, end twice, or bring something home where nothing is left.
 */
#include <errno.h>

#include <cmdstream/breaker.h>

#include "group/group.h"
#include "ring/socket.h"
#include "server/call.h"
#include "support/sim/host.h"
#include "wire/frame.h"

enum {
    SEEDS = 5,
    FORWARDS = 12,
    BODY_SIZE = 100000,
    KEPT_SIZE = 3 * BODY_SIZE,
    DEADLINE_MS = 1000,
};

static char text[BODY_SIZE];

struct relay {
    struct asker asker;
    int listener;
    struct guest server;
    uint32_t lasts, cancelled;
    int overtake;           // What a send was told in the callback of the last result.
    struct cmds_call *call; // That was forwarded to another shard. Borrowed.
    uint32_t barred;        // Forwards that ended with CMDS_E_NOT_ALLOWED.
    int64_t lines;
    int code; // What the last forward returned.
};

static const struct cmds_breaker_options *breaker; // Of each endpoint; NULL: none.

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

static void relay_open(struct relay *relay, struct hall *hall)
{
    *relay = (struct relay){.listener = host_listen()};
    hall->context = relay;
    asker_init(&relay->asker, hall);
    relay->asker.options.in_flight_max = 1;
    relay->asker.options.deadline_ms = DEADLINE_MS;
    relay->asker.options.endpoint_breaker = breaker;
    asker_open(&relay->asker, hall);
    host_enter(relay->listener, &relay->server);
    HALL_UNTIL(relay->asker.ups == 1);
}

static void relay_close(struct relay *relay)
{
    asker_close(&relay->asker);
    guest_close(&relay->server);
    cmdi_fd_close(relay->listener);
}

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct hall *hall = cmds_call_receiver(call);
    struct relay *relay = hall->context;
    const struct value *value = value_of(result);
    CU_ASSERT_TRUE(result->last);
    relay->lasts++;
    relay->cancelled += result->error == CMDS_E_CANCELLED;
    relay->barred += result->error == CMDS_E_NOT_ALLOWED;
    if (value != NULL) {
        relay->overtake = ask(&relay->asker, 77, 0, NULL); // There is a place, but for others.
        (void)hall_answer(call, value->number);
    }
}

/* With a body that has to be kept while it waits. */
static int act_forward(struct cmds_call *call, const struct act *act)
{
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    struct big big = {act->number, {text, BODY_SIZE}};
    return cmds_group_forward(
            relay->asker.group, big_message(&big), NULL, call, on_forwarded, NULL);
}

/* One after the other, as the window has a place; the body of each that was sent makes room for the next. */
static void script_order(struct hall *hall)
{
    struct relay relay;
    struct guest guest;
    relay_open(&relay, hall);
    guest_enter(&guest);
    for (int64_t i = 0; i < FORWARDS; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    for (int64_t i = 0; i < FORWARDS; i++) {
        uint64_t sequence = host_expects(&relay.server, i, 100);
        CU_ASSERT_NOT_EQUAL(sequence, 0);
        CU_ASSERT_TRUE(host_is_left_alone(&relay.server));
        if (i + 1 < FORWARDS) {
            CU_ASSERT(cmds_group_pending(relay.asker.group) > 1);
        }
        host_answer(&relay.server, sequence, i);
        CU_ASSERT_TRUE(guest_expects(&guest, i, 100));
        CU_ASSERT_EQUAL(relay.overtake, i + 1 < FORWARDS ? -ENOBUFS : 0);
    }
    uint64_t sequence = host_expects(&relay.server, 77, 100); // What was sent behind the last one.
    CU_ASSERT_NOT_EQUAL(sequence, 0);
    host_answer(&relay.server, sequence, 77);

    CU_ASSERT_EQUAL(cmds_group_drain(relay.asker.group, 1000), 0);
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 0);
    cmds_sim_sleep_ms(2 * DEADLINE_MS); // No deadline of theirs is left.
    CU_ASSERT_EQUAL(relay.lasts, FORWARDS);
    guest_close(&guest);
    relay_close(&relay);
}

static void test_sim_forward_waits_for_its_turn(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;
    hall.options.kept_size_max = KEPT_SIZE;

    run_all(&hall, script_order);
}

/* They count as pending while they wait: a drain waits for them. */
static void script_pending(struct hall *hall)
{
    struct relay relay;
    struct guest guest;
    relay_open(&relay, hall);
    guest_enter(&guest);
    for (int64_t i = 0; i < 3; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    CU_ASSERT_NOT_EQUAL(host_expects(&relay.server, 0, 100), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 3);

    HALL_UNTIL(relay.lasts == 3); // By their deadline.
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 0);
    guest_close(&guest);
    relay_close(&relay);
}

static void test_sim_forward_is_pending_while_it_waits(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;

    run_all(&hall, script_pending);
}

/* Those who asked have gone, on the shard of the connection and on another one. */
static void script_cancel(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    struct answer command;
    relay_open(&relay, hall);
    for (uint32_t i = 0; i < 2; i++) {
        guest_enter(&guests[i]);
        (void)guest_send(&guests[i], &work_type, 0); // An answer that is never read.
        (void)guest_send(&guests[i], &act_type, 1);
        (void)guest_send(&guests[i], &act_type, 1);
    }
    CU_ASSERT_EQUAL(guest_read(&relay.server, &command, 100), GUEST_ANSWER);
    HALL_UNTIL(hall->acts == 4 && hall_stats(hall).results_sent == 2);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    guest_close(&guests[0]);
    guest_close(&guests[1]);
    HALL_UNTIL(relay.lasts == 4);

    CU_ASSERT_EQUAL(relay.cancelled, 4);
    host_answer(&relay.server, command.sequence, 1);
    CU_ASSERT_TRUE(host_is_left_alone(&relay.server));
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 0);
    relay_close(&relay);
}

static void test_sim_forward_ends_with_its_call(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_cancel);
}

/* --- The call lives on another shard ------------------------------------------------------------ */

enum {
    CALL_MS = 100,   // What a call has.
    HELD_MS = 500,   // So long a shard stands still.
    AWAY_MS = 60000, // A connection that was lost.
};

static struct cmdi_shard *relay_shard(const struct relay *relay)
{
    return relay->asker.group->clients[0]->client_shard->shard;
}

/* Answers the calls of the shard where the group's connection is, and forwards the others. */
static int act_cross(struct cmds_call *call, const struct act *act)
{
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    if (cmdi_call_shard(call) == relay_shard(relay)) {
        return hall_answer(call, act->number);
    }
    relay->call = call;
    return cmds_group_forward(relay->asker.group, act_message(act), NULL, call, on_forwarded, NULL);
}

/*
 * Two callers, one for each shard. Gives: leave(). Returns: the sequence of what was forwarded.
 */
static uint64_t cross(struct relay *relay, struct guest guests[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        guest_enter(&guests[i]);
        (void)guest_send(&guests[i], &act_type, 1);
    }
    uint64_t sequence = host_expects(&relay->server, 1, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(relay->call);
    return sequence;
}

/* Of all shards. */
static uint64_t memory(const struct hall *hall)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    cmds_runtime_stats(hall->runtime, &counters);
    return counters.memory_bytes;
}

static void leave(struct guest guests[2])
{
    guest_close(&guests[0]);
    guest_close(&guests[1]);
}

/* The call is cancelled while its result is on the way home. */
static void cancel_at_home(void *context)
{
    struct relay *relay = context;
    cmds_sim_sleep_ms(2 * HALL_SETTLE_MS); // What came home meanwhile lies behind us.
    cmds_connection_close(cmds_call_connection(relay->call));
}

static void script_meets(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    relay_open(&relay, hall);
    uint64_t sequence = cross(&relay, guests);
    uint32_t home = cmdi_call_shard(relay.call)->index;
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, home, cancel_at_home, &relay), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS / 2);
    host_answer(&relay.server, sequence, 1);

    HALL_UNTIL(hall->disconnects == 1);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(relay.lasts, 1);
    CU_ASSERT_EQUAL(relay.cancelled, 1);
    CU_ASSERT_EQUAL(relay.asker.unexpected, 0); // It was taken, and dropped at home.
    leave(guests);
    relay_close(&relay);
}

static void test_sim_forward_that_meets_its_cancel_ends_once(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_cross;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_meets);
}

static void stand_still(void *context)
{
    (void)context;
    cmds_sim_sleep_ms(HELD_MS);
}

/* The call's shard stands still at the deadline: the forward ends all the same. */
static void script_late(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    relay_open(&relay, hall);
    (void)cross(&relay, guests);
    uint32_t home = cmdi_call_shard(relay.call)->index;
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, home, stand_still, NULL), 0);
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 1);

    cmds_sim_sleep_ms(CALL_MS + HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 0);
    CU_ASSERT_EQUAL(relay.lasts, 0);
    HALL_UNTIL(relay.lasts == 1);
    leave(guests);
    relay_close(&relay);
}

static void test_sim_forward_has_what_is_left_of_its_call(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_cross;
    hall.options.exec_timeout_ms = CALL_MS;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_late);
}

/* --- More than its home can deal with ------------------------------------------------------------- */

enum {
    LINES = 400, // Of which a quarter of a megabyte may be on its way.
    LINE_SIZE = 4000,
    WAITING = 100,
    WAITING_SIZE = 500, // Of each, at least.
};

static void on_line(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    const struct line *line = line_of(result);
    relay->lasts += result->last;
    if (line == NULL) {
        relay->cancelled += result->error == CMDS_E_CANCELLED;
        return;
    }
    CU_ASSERT_EQUAL(line->number, relay->lines++);
    CU_ASSERT_EQUAL(line->text.size, LINE_SIZE);
    if (result->last) {
        (void)hall_answer(call, 1);
    }
}

static int act_lines(struct cmds_call *call, const struct act *act)
{
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    if (cmdi_call_shard(call) == relay_shard(relay)) {
        return hall_answer(call, act->number);
    }
    relay->call = call;
    return cmds_group_forward(relay->asker.group, act_message(act), NULL, call, on_line, NULL);
}

/* Returns: it was taken as a whole. */
static bool host_writes_line(struct relay *relay, uint64_t sequence, uint32_t number, bool last)
{
    uint8_t out[CMDI_FRAME_HEADER_MAX + 16 + LINE_SIZE];
    const uint8_t body[] = {0x93, 0xcd, (uint8_t)(number >> 8), (uint8_t)number, last ? 0xc3 : 0xc2,
            0xda, LINE_SIZE >> 8, LINE_SIZE & 0xff};
    uint8_t *end = cmdi_frame_header_encode(
            out, sequence, line_type.number, sizeof(body) + LINE_SIZE, false);
    memcpy(end, body, sizeof(body));
    memset(end + sizeof(body), 'x', LINE_SIZE);
    size_t size = (size_t)(end - out) + sizeof(body) + LINE_SIZE;
    size_t sent = 0;
    uint64_t until_ms = 10000;
    while (sent < size && until_ms-- > 0) {
        sent += guest_write(&relay->server, out + sent, size - sent);
        if (sent < size) {
            cmds_sim_sleep_ms(1);
        }
    }
    return sent == size;
}

/* The call's shard stands still: no more than so much is taken from the server meanwhile. */
static void script_flood(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    relay_open(&relay, hall);
    uint64_t sequence = cross(&relay, guests);
    uint32_t home = cmdi_call_shard(relay.call)->index;
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, home, stand_still, NULL), 0);

    for (uint32_t i = 0; i < LINES; i++) {
        CU_ASSERT_TRUE(host_writes_line(&relay, sequence, i, i + 1 == LINES));
    }

    HALL_UNTIL(relay.lasts == 1);
    CU_ASSERT_EQUAL(relay.lines, LINES);
    CU_ASSERT_EQUAL(cmds_group_stats(relay.asker.group, &counters), 0);
    CU_ASSERT(counters.read_pauses > 0);
    leave(guests);
    relay_close(&relay);
}

/* Then its call is cancelled before it has seen any of them: the server is read on, for others. */
static void script_flood_for_nobody(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    relay_open(&relay, hall);
    uint64_t sequence = cross(&relay, guests);
    uint32_t home = cmdi_call_shard(relay.call)->index;
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, home, stand_still, NULL), 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, home, cancel_at_home, &relay), 0);

    for (uint32_t i = 0; i < LINES; i++) {
        CU_ASSERT_TRUE(host_writes_line(&relay, sequence, i, i + 1 == LINES));
    }

    HALL_UNTIL(relay.lasts == 1);
    CU_ASSERT_EQUAL(relay.cancelled, 1);
    CU_ASSERT_EQUAL(relay.lines, 0);
    HALL_UNTIL(cmds_group_pending(relay.asker.group) == 0);
    CU_ASSERT_EQUAL(cmds_group_resume(relay.asker.group, 0), -EINVAL); // It is not paused.
    leave(guests);
    relay_close(&relay);
}

/* Those that wait on another shard count as its memory. */
static void script_counted(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    relay_open(&relay, hall);
    (void)cross(&relay, guests);
    uint64_t before = memory(hall);

    for (uint32_t i = 0; i < WAITING; i++) {
        (void)guest_send(&guests[0], &act_type, 1);
        (void)guest_send(&guests[1], &act_type, 1);
    }
    HALL_UNTIL(cmds_group_pending(relay.asker.group) == WAITING + 1);

    CU_ASSERT(memory(hall) > before + WAITING * WAITING_SIZE);
    leave(guests);
    relay_close(&relay);
}

static void test_sim_forward_counts_as_memory(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_cross;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_counted);
}

static void test_sim_forward_waits_for_the_shard_of_its_call(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_lines;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_flood);
    run_all(&hall, script_flood_for_nobody);
}

/* The group lives in another runtime, which stands still until that of both calls has gone. */
static void script_homeless(struct hall *hall)
{
    struct relay relay;
    struct guest guests[2];
    struct hall other = *hall;
    CU_ASSERT_EQUAL(cmds_runtime_start(&other.runtime, &hall->runtime_options, NULL), 0);
    relay_open(&relay, &other);
    hall->context = &relay;
    (void)cross(&relay, guests);
    CU_ASSERT_EQUAL(
            cmds_runtime_post(other.runtime, relay_shard(&relay)->index, stand_still, NULL), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);

    cmds_server_close(hall->server);
    cmds_runtime_stop(hall->runtime);
    hall->server = NULL;
    hall->runtime = NULL;
    CU_ASSERT_EQUAL(relay.lasts, 2);
    CU_ASSERT_EQUAL(relay.cancelled, 2);
    CU_ASSERT(cmds_group_pending(relay.asker.group) > 0); // Over there nobody knows it yet.

    HALL_UNTIL(cmds_group_pending(relay.asker.group) == 0);
    leave(guests);
    relay_close(&relay); // Nothing holds the group any more.
    cmds_runtime_stop(other.runtime);
}

static void test_sim_forward_whose_home_has_gone_stays_away(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_cross;

    run_all(&hall, script_homeless);
}

static void on_brought(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    CU_ASSERT_EQUAL(result->error, 0);
    (void)hall_answer(call, value_of(result) != NULL ? value_of(result)->number : 0);
}

static int act_bring(struct cmds_call *call, const struct act *act)
{
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    return cmds_group_forward(relay->asker.group, act_message(act), NULL, call, on_brought, NULL);
}

/* Of two connections, each on a shard of its own, one is lost and stays away. */
static void script_other(struct hall *hall)
{
    struct relay relay = {.listener = host_listen()};
    struct cmds_runtime_options options = hall->runtime_options;
    struct guest lost, guest;
    struct hall other = *hall;
    options.shard_count = 2;
    CU_ASSERT_EQUAL(cmds_runtime_start(&other.runtime, &options, NULL), 0);
    hall->context = &relay;
    asker_init(&relay.asker, &other);
    relay.asker.options.client_count = 2;
    relay.asker.options.reconnect_delay_ms = AWAY_MS;
    asker_open(&relay.asker, &other);
    host_enter(relay.listener, &lost);
    host_enter(relay.listener, &relay.server);
    HALL_UNTIL(relay.asker.ups == 2);
    guest_close(&lost);
    HALL_UNTIL(relay.asker.downs == 1);

    guest_enter(&guest);
    for (int64_t i = 0; i < FORWARDS; i++) {
        (void)guest_send(&guest, &act_type, i);
        uint64_t sequence = host_expects(&relay.server, i, 100);
        CU_ASSERT_NOT_EQUAL(sequence, 0);
        host_answer(&relay.server, sequence, i);
        CU_ASSERT_TRUE(guest_expects(&guest, i, 100));
    }
    guest_close(&guest);
    relay_close(&relay);
    cmds_runtime_stop(other.runtime);
}

static void test_sim_forward_goes_to_a_shard_that_is_connected(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_bring;

    run_all(&hall, script_other);
}

/* As act_forward; the answer to what is refused is 99. */
static int act_try(struct cmds_call *call, const struct act *act)
{
    struct hall *hall = cmds_call_receiver(call);
    struct relay *relay = hall->context;
    struct big big = {act->number, {text, BODY_SIZE}};
    relay->code = cmds_group_forward(
            relay->asker.group, big_message(&big), NULL, call, on_forwarded, NULL);
    return relay->code < 0 ? hall_answer(call, 99) : 0;
}

/* One is in flight and one waits when the breaker opens; then one comes, and one when it is time again. */
static void script_breaker(struct hall *hall)
{
    struct relay relay;
    struct guest guest;
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    relay_open(&relay, hall);
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 0);
    (void)guest_send(&guest, &act_type, 1);
    uint64_t sequence = host_expects(&relay.server, 0, 100);
    CU_ASSERT_EQUAL(cmds_group_endpoint(relay.asker.group, 0, &state), 0);
    CU_ASSERT_EQUAL(cmds_group_endpoint_breaker_open(relay.asker.group, state.number), 0);
    (void)guest_send(&guest, &act_type, 2);
    CU_ASSERT_TRUE(host_is_left_alone(&relay.server));
    host_answer(&relay.server, sequence, 0);
    CU_ASSERT_TRUE(guest_expects(&guest, 0, 100));
    HALL_UNTIL(relay.barred == 2); // Room does not help them.
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 0);

    (void)guest_send(&guest, &act_type, 3);
    CU_ASSERT_TRUE(guest_expects(&guest, 99, 100));
    CU_ASSERT_EQUAL(relay.code, CMDS_E_NOT_ALLOWED);
    cmds_sim_sleep_ms(breaker->open_ms);
    (void)guest_send(&guest, &act_type, 4);
    sequence = host_expects(&relay.server, 4, 100);
    host_answer(&relay.server, sequence, 4);
    CU_ASSERT_TRUE(guest_expects(&guest, 4, 100));
    CU_ASSERT_EQUAL(cmds_group_endpoint(relay.asker.group, 0, &state), 0);
    CU_ASSERT_EQUAL(state.breaker_state, CMDS_BREAKER_CLOSED);
    guest_close(&guest);
    relay_close(&relay);
}

static void test_sim_forward_is_barred_with_its_endpoint(void)
{
    struct hall hall;
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    options.open_ms = DEADLINE_MS / 2;
    breaker = &options;
    hall_init(&hall);
    hall.act = act_try;

    run_all(&hall, script_breaker);
    breaker = NULL;
}

/* The call lives on the second shard, the only connection on the first one, which is held up. */
static int act_forward_away(struct cmds_call *call, const struct act *act)
{
    struct relay *relay = ((struct hall *)cmds_call_receiver(call))->context;
    return cmds_runtime_current_shard(((struct hall *)cmds_call_receiver(call))->runtime) == 0
                   ? hall_answer(call, 0)
                   : cmds_group_forward(
                             relay->asker.group, act_message(act), NULL, call, on_forwarded, NULL);
}

/* The forward, when it has come, and what is sent in its callback. */
static void *answer_away(void *context)
{
    struct relay *relay = context;
    host_answer(&relay->server, host_expects(&relay->server, 1, 100), 1);
    host_answer(&relay->server, host_expects(&relay->server, 77, 100), 77);
    return NULL;
}

static void script_away(struct hall *hall)
{
    struct relay relay;
    struct guest guest;
    relay_open(&relay, hall);
    do {
        guest_enter(&guest);
        (void)guest_send(&guest, &act_type, 0);
        if (!guest_expects(&guest, 0, HALL_SETTLE_MS)) {
            break; // It has a forward, which is to be answered.
        }
        guest_close(&guest);
    } while (true);
    host_answer(&relay.server, host_expects(&relay.server, 0, 100), 7);
    CU_ASSERT_TRUE(guest_expects(&guest, 7, 100));
    host_answer(&relay.server, host_expects(&relay.server, 77, 100), 77);
    CU_ASSERT_EQUAL(cmds_group_drain(relay.asker.group, 100), 0);

    uint32_t acts = hall->acts;
    hall_hold_up(hall, 2 * HALL_SETTLE_MS);
    (void)guest_send(&guest, &act_type, 1);
    HALL_UNTIL(hall->acts == acts + 1);
    CU_ASSERT_EQUAL(cmds_group_pending(relay.asker.group), 1);
    CU_ASSERT_EQUAL(cmds_group_drain(relay.asker.group, 1), CMDS_E_TIMEOUT);
    pthread_t thread = hall_thread(answer_away, &relay);
    CU_ASSERT_EQUAL(cmds_group_drain(relay.asker.group, 1000), 0); // From before it has arrived.
    (void)pthread_join(thread, NULL);
    guest_close(&guest);
    relay_close(&relay);
}

static void test_sim_forward_is_pending_on_its_way(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward_away;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_away);
}

static CU_TestInfo tests[] = {
        {"waits for its turn", test_sim_forward_waits_for_its_turn},
        {"is pending while it waits", test_sim_forward_is_pending_while_it_waits},
        {"is pending on its way", test_sim_forward_is_pending_on_its_way},
        {"ends with its call", test_sim_forward_ends_with_its_call},
        {"that meets its cancel ends once", test_sim_forward_that_meets_its_cancel_ends_once},
        {"has what is left of its call", test_sim_forward_has_what_is_left_of_its_call},
        {"whose home has gone stays away", test_sim_forward_whose_home_has_gone_stays_away},
        {"waits for the shard of its call", test_sim_forward_waits_for_the_shard_of_its_call},
        {"counts as memory", test_sim_forward_counts_as_memory},
        {"goes to a shard that is connected", test_sim_forward_goes_to_a_shard_that_is_connected},
        {"is barred with its endpoint", test_sim_forward_is_barred_with_its_endpoint},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_forward", tests)
