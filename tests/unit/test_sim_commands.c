/* SPDX-License-Identifier: MIT */
/*
 * Commands of a group whose server the test plays: their deadlines, those that are forgotten, windows that
 * several threads fill, connections that are lost, and servers that say what is not true. What may go wrong:
 * a command ends early, wrongly, twice or never, or goes out for nobody.
 */
#include <errno.h>
#include <stdio.h>

#include "ring/socket.h"
#include "shard/shard.h"
#include "support/sim/host.h"

enum {
    SEEDS = 5,
    TIMES = 40,
    DEADLINE_MS = 10,
    MANY = 400,
    THREADS = 4,
    WINDOW = 2,
    CONNECTIONS = 16,
    BIG_SIZE = 150000,
    OUTPUT_SIZE = 200000,
};

static char big_text[BIG_SIZE];

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* A group that is up, and its server. */
struct pair {
    struct asker asker;
    int listener;
    struct guest server;
};

/* With the options that are set, and these. */
static void pair_begin(struct pair *pair, struct hall *hall, uint32_t in_flight_max)
{
    pair->asker.options.in_flight_max = in_flight_max;
    pair->asker.options.output_size_max = OUTPUT_SIZE;
    pair->asker.options.write_timeout_ms = CMDS_NEVER;
    asker_open(&pair->asker, hall);
    host_enter(pair->listener, &pair->server);
    HALL_UNTIL(pair->asker.ups == 1);
}

static void pair_open(struct pair *pair, struct hall *hall, uint32_t in_flight_max)
{
    *pair = (struct pair){.listener = host_listen()};
    asker_init(&pair->asker, hall);
    pair_begin(pair, hall, in_flight_max);
}

static void pair_close(struct pair *pair)
{
    asker_close(&pair->asker);
    guest_close(&pair->server);
    cmdi_fd_close(pair->listener);
}

/* --- Deadlines ---------------------------------------------------------------------------------- */

struct timed {
    struct pair pair;
    int code;
};

static void ask_timed(void *context)
{
    struct timed *timed = context;
    timed->code = ask(&timed->pair.asker, 1, DEADLINE_MS, NULL);
}

static void script_deadline(struct hall *hall)
{
    struct timed timed;
    pair_open(&timed.pair, hall, 0);
    for (uint32_t i = 0; i < TIMES; i++) {
        hall_pause_us(137); // At all parts of a millisecond.
        uint64_t since_ns = hall_now_ns();
        if (i % 2 == 0) {
            ask_timed(&timed);
        } else {
            hall_on_shard(hall, ask_timed, &timed);
        }
        CU_ASSERT_EQUAL(timed.code, 0);
        uint64_t until_ns = hall_now_ns() + 1000000000;
        while (timed.pair.asker.ended == i && hall_now_ns() < until_ns) {
            hall_pause_us(1);
        }
        CU_ASSERT(hall_now_ns() - since_ns >= DEADLINE_MS * 1000000u);
        CU_ASSERT(hall_now_ns() - since_ns < (DEADLINE_MS + 4) * 1000000u);
    }
    CU_ASSERT_EQUAL(timed.pair.asker.code, CMDS_E_TIMEOUT);
    pair_close(&timed.pair);
}

static void test_sim_commands_a_deadline_is_never_early(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_deadline);
}

/* Others end a moment before. */
static void script_deadlines(struct hall *hall)
{
    struct pair pair;
    pair_open(&pair, hall, 0);
    for (uint32_t i = 0; i < TIMES; i++) {
        hall_pause_us(137);
        uint32_t ended = pair.asker.ended;
        uint64_t since_ns = hall_now_ns();
        for (uint32_t j = 0; j < 4; j++) {
            CU_ASSERT_EQUAL(ask(&pair.asker, 1, DEADLINE_MS + j, NULL), 0);
        }
        while (pair.asker.ended < ended + 4 && hall_now_ns() < since_ns + 1000000000) {
            uint64_t past_ms = (hall_now_ns() - since_ns) / 1000000;
            uint32_t most = past_ms < DEADLINE_MS ? 0 : (uint32_t)past_ms - DEADLINE_MS + 1;
            CU_ASSERT(pair.asker.ended - ended <= most);
            hall_pause_us(10);
        }
        CU_ASSERT_EQUAL(pair.asker.ended, ended + 4);
    }
    pair_close(&pair);
}

static void test_sim_commands_each_deadline_is_its_own(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_deadlines);
}

/* Their answers are there in time, while the shard is held up: more than one turn of it takes. */
static void script_held_up(struct hall *hall)
{
    struct pair pair;
    struct answer command;
    pair_open(&pair, hall, 2 * MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        CU_ASSERT_EQUAL(ask(&pair.asker, i, 10 * DEADLINE_MS, NULL), 0);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        CU_ASSERT_EQUAL(guest_read(&pair.server, &command, 100), GUEST_ANSWER);
    }
    hall_hold_up(hall, 30 * DEADLINE_MS);
    for (uint32_t i = 1; i <= MANY; i++) {
        host_answer(&pair.server, i, 1);
    }
    HALL_UNTIL(pair.asker.ended == MANY);

    CU_ASSERT_EQUAL(pair.asker.good, MANY);
    CU_ASSERT_EQUAL(pair.asker.code, 0);
    pair_close(&pair);
}

static void test_sim_commands_whose_answers_lie_there_are_in_time(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_held_up);
}

/* --- Forgotten ---------------------------------------------------------------------------------- */

/* Each in another place: before the connection is up, in the inbox of the shard, at the server. */
static void script_forget(struct hall *hall)
{
    struct pair pair = {.listener = host_listen()};
    struct cmds_ticket tickets[3];
    asker_init(&pair.asker, hall);
    asker_open(&pair.asker, hall);
    bool came = host_accept(pair.listener, &pair.server, 1000);
    CU_ASSERT_TRUE(came);
    CU_ASSERT_EQUAL(ask(&pair.asker, 1, 0, &tickets[0]), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(cmds_group_forget(pair.asker.group, tickets[0]), 0);
    HALL_UNTIL(pair.asker.ended == 1);
    host_inform(&pair.server, "default");
    HALL_UNTIL(pair.asker.ups == 1);

    hall_hold_up(hall, DEADLINE_MS);
    CU_ASSERT_EQUAL(ask(&pair.asker, 2, 0, &tickets[1]), 0);
    CU_ASSERT_EQUAL(cmds_group_forget(pair.asker.group, tickets[1]), 0);
    CU_ASSERT_EQUAL(ask(&pair.asker, 3, 0, &tickets[2]), 0);
    uint64_t sequence = host_expects(&pair.server, 3, 1000); // Only the last one comes.
    CU_ASSERT_EQUAL(pair.asker.ended, 2);
    CU_ASSERT_EQUAL(cmds_group_forget(pair.asker.group, tickets[2]), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(pair.asker.ended, 3);
    CU_ASSERT_EQUAL(pair.asker.code, CMDS_E_CANCELLED);

    host_answer(&pair.server, sequence, 3);
    HALL_UNTIL(pair.asker.unexpected == 1);
    CU_ASSERT_TRUE(host_is_left_alone(&pair.server));
    pair_close(&pair);
}

static void test_sim_commands_that_are_forgotten_end_and_do_not_go_out(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_forget);
}

/* --- The window --------------------------------------------------------------------------------- */

struct crowd {
    struct pair pair;
    uint32_t accepted, returned;
};

static void *thread_fills(void *context)
{
    struct crowd *crowd = context;
    for (uint32_t i = 0; i < TIMES; i++) {
        int code = ask(&crowd->pair.asker, 1, 0, NULL);
        CU_ASSERT(code == 0 || code == -ENOBUFS);
        crowd->accepted += code == 0;
        hall_pause_us(code == 0 ? 0 : 100);
    }
    crowd->returned++;
    return NULL;
}

/* The server sees no more at a time than the window has, and all that were accepted. */
static void script_window(struct hall *hall)
{
    struct crowd crowd = {.accepted = 0};
    pthread_t threads[THREADS];
    uint32_t seen = 0;
    pair_open(&crowd.pair, hall, WINDOW);
    for (uint32_t i = 0; i < THREADS; i++) {
        threads[i] = hall_thread(thread_fills, &crowd);
    }
    while (crowd.returned < THREADS || seen < crowd.accepted) {
        struct answer commands[WINDOW];
        uint32_t count = 0;
        while (count < WINDOW &&
                guest_read(&crowd.pair.server, &commands[count], 1) == GUEST_ANSWER) {
            count++;
        }
        CU_ASSERT(count > 0 || crowd.returned < THREADS);
        if (count == 0 && crowd.returned == THREADS) {
            break; // It hangs.
        }
        if (count == WINDOW) {
            struct answer more;
            CU_ASSERT_NOT_EQUAL(guest_read(&crowd.pair.server, &more, 1), GUEST_ANSWER);
        }
        for (uint32_t i = 0; i < count; i++) {
            host_answer(&crowd.pair.server, commands[i].sequence, 1);
        }
        seen += count;
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    HALL_UNTIL(crowd.pair.asker.good == crowd.accepted);
    CU_ASSERT_EQUAL(seen, crowd.accepted);
    pair_close(&crowd.pair);
}

static void test_sim_commands_of_many_threads_share_a_window(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_window);
}

struct overshoot {
    struct pair pair;
    struct cmds_codec codec;
    uint32_t here; // Sent on the shard.
};

/* MessagePack; a thread that is no shard is slow over it. */
static uint8_t *encode_slowly(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    if (cmdi_shard_current() == NULL) {
        cmds_sim_sleep_ms(DEADLINE_MS);
    }
    return cmds_codec_msgpack.encode(&cmds_codec_msgpack, type, value, out, size);
}

static void fill_here(void *context)
{
    struct overshoot *overshoot = context;
    while (ask(&overshoot->pair.asker, 1, 0, NULL) == 0) {
        overshoot->here++;
    }
}

static void on_big(void *context, const struct cmds_result *result)
{
    ((struct asker *)context)->ended += result->last;
}

static int ask_big(struct asker *asker)
{
    struct big big = {2, {big_text, BIG_SIZE}};
    return cmds_group_send(asker->group, big_message(&big), NULL, on_big, asker);
}

/* The shard fills the window while a thread has seen a place and is about to take it: that one waits. */
static void overshoot_begin(struct overshoot *overshoot, struct hall *hall, bool up)
{
    struct pair *pair = &overshoot->pair;
    *overshoot = (struct overshoot){.codec = cmds_codec_msgpack, .pair.listener = host_listen()};
    overshoot->codec.encode = encode_slowly;
    asker_init(&pair->asker, hall);
    pair->asker.options.codec = &overshoot->codec;
    pair->asker.options.in_flight_max = WINDOW;
    pair->asker.options.output_size_max = OUTPUT_SIZE;
    asker_open(&pair->asker, hall);
    CU_ASSERT_TRUE(host_accept(pair->listener, &pair->server, 1000));
    if (up) {
        host_inform(&pair->server, "default");
        HALL_UNTIL(pair->asker.ups == 1);
    }
    hall_hold_up(hall, DEADLINE_MS / 2);
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, fill_here, overshoot), 0);
    CU_ASSERT_EQUAL(ask_big(&pair->asker), 0);
    CU_ASSERT_EQUAL(overshoot->here, WINDOW);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    if (!up) {
        host_inform(&pair->server, "default"); // All of them have waited for it.
    }
}

static void script_overshoot(struct hall *hall)
{
    struct overshoot overshoot;
    struct pair *pair = &overshoot.pair;
    struct answer command;
    uint64_t sequences[WINDOW] = {0};
    overshoot_begin(&overshoot, hall, hall->context == NULL);
    for (uint32_t i = 0; i < WINDOW; i++) {
        sequences[i] = host_expects(&pair->server, 1, 100);
    }
    CU_ASSERT_EQUAL(guest_read(&pair->server, &command, 500), GUEST_NOTHING);

    host_answer(&pair->server, sequences[0], 1);
    uint64_t big = host_expects(&pair->server, 2, 500);
    host_answer(&pair->server, sequences[1], 1);
    host_answer(&pair->server, big, 1);
    CU_ASSERT_EQUAL(cmds_group_drain(pair->asker.group, 1000), 0);

    CU_ASSERT_EQUAL(ask_big(&pair->asker), 0); // Nothing waits any more.
    CU_ASSERT_NOT_EQUAL(host_expects(&pair->server, 2, 500), 0);
    pair_close(pair);
}

static void test_sim_commands_beyond_the_window_wait_for_it(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_overshoot);
    hall.context = &hall; // Before the connection is up.
    run_all(&hall, script_overshoot);
}

/* Of two connections one is full: the next command goes to the other one. */
static void ask_here(void *context)
{
    struct timed *timed = context;
    timed->code = ask(&timed->pair.asker, 1, 0, NULL);
}

static void script_two(struct hall *hall)
{
    struct timed timed = {.pair.listener = host_listen()};
    struct guest *servers[2] = {&timed.pair.server, &(struct guest){.fd = -1}};
    struct answer command;
    asker_init(&timed.pair.asker, hall);
    timed.pair.asker.options.in_flight_max = 1;
    timed.pair.asker.options.client_count = 2;
    asker_open(&timed.pair.asker, hall);
    host_enter(timed.pair.listener, servers[0]);
    host_enter(timed.pair.listener, servers[1]);
    HALL_UNTIL(timed.pair.asker.ups == 2);
    for (uint32_t i = 0; i < 2; i++) {
        hall_on_shard(hall, ask_here, &timed);
        CU_ASSERT_EQUAL(timed.code, 0);
    }
    for (uint32_t i = 0; i < 6; i++) { // In their turn, and twice the same one.
        struct guest *server = servers[i / 2 % 2];
        CU_ASSERT_EQUAL(guest_read(server, &command, 100), GUEST_ANSWER);
        host_answer(server, command.sequence, 1);
        HALL_UNTIL(timed.pair.asker.good == i + 1);
        hall_on_shard(hall, ask_here, &timed);
        CU_ASSERT_EQUAL(timed.code, 0);
    }
    guest_close(servers[1]);
    pair_close(&timed.pair);
}

static void test_sim_commands_find_the_connection_that_has_room(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_two);
}

/* A thread that was refused is told when there is a place; and when there will be none. */
static void script_told(struct hall *hall)
{
    struct pair pair;
    pair_open(&pair, hall, 1);
    CU_ASSERT_EQUAL(ask(&pair.asker, 1, 0, NULL), 0);
    uint64_t sequence = host_expects(&pair.server, 1, 100);
    CU_ASSERT_EQUAL(ask(&pair.asker, 2, 0, NULL), -ENOBUFS);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(pair.asker.told, 0);

    host_answer(&pair.server, sequence, 1);
    HALL_UNTIL(pair.asker.told == 1);
    CU_ASSERT_EQUAL(ask(&pair.asker, 2, 0, NULL), 0);
    CU_ASSERT_NOT_EQUAL(host_expects(&pair.server, 2, 100), 0);
    CU_ASSERT_EQUAL(ask(&pair.asker, 3, 0, NULL), -ENOBUFS);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    CU_ASSERT_EQUAL(pair.asker.told, 1);

    guest_close(&pair.server);
    HALL_UNTIL(pair.asker.told == 2);
    CU_ASSERT_EQUAL(pair.asker.ended, 2);
    asker_close(&pair.asker);
    cmdi_fd_close(pair.listener);
}

static void test_sim_commands_that_are_refused_are_told(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_told);
}

/* From the moment in which it was accepted a command counts as pending, wherever it is. */
static void script_pending(struct hall *hall)
{
    struct pair pair;
    pair_open(&pair, hall, 0);
    for (uint32_t i = 0; i < TIMES; i++) {
        CU_ASSERT_EQUAL(ask(&pair.asker, i, 0, NULL), 0);
        for (uint32_t j = 0; j < TIMES; j++) {
            CU_ASSERT(cmds_group_pending(pair.asker.group) >= i + 1);
            hall_pause_us(0);
        }
    }
    pair_close(&pair);
}

static void test_sim_commands_are_pending_wherever_they_are(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_pending);
}

/* --- Connections -------------------------------------------------------------------------------- */

/* What has not left when the connection ends was not sent; what has left is lost. */
static void script_lost(struct hall *hall)
{
    struct pair pair = {.listener = host_listen()};
    asker_init(&pair.asker, hall);
    asker_open(&pair.asker, hall);
    CU_ASSERT_TRUE(host_accept(pair.listener, &pair.server, 1000));
    CU_ASSERT_EQUAL(ask(&pair.asker, 1, 0, NULL), 0);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    guest_close(&pair.server); // Before it has said who it is.
    HALL_UNTIL(pair.asker.ended == 1);
    CU_ASSERT_EQUAL(pair.asker.code, CMDS_E_NOT_SENT);
    asker_close(&pair.asker);
    cmdi_fd_close(pair.listener);

    pair_open(&pair, hall, 0);
    CU_ASSERT_EQUAL(ask(&pair.asker, 1, 0, NULL), 0);
    CU_ASSERT_NOT_EQUAL(host_expects(&pair.server, 1, 100), 0);
    guest_close(&pair.server);
    HALL_UNTIL(pair.asker.ended == 1);
    CU_ASSERT_EQUAL(pair.asker.code, CMDS_E_LOST);
    asker_close(&pair.asker);
    cmdi_fd_close(pair.listener);
}

static void test_sim_commands_that_never_left_were_not_sent(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_lost);
}

/* An answer to what was never sent: nothing of this server is believed any more. */
static void script_liar(struct hall *hall)
{
    struct pair pair;
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    pair_open(&pair, hall, 0);
    CU_ASSERT_EQUAL(ask(&pair.asker, 1, 0, NULL), 0);
    CU_ASSERT_NOT_EQUAL(host_expects(&pair.server, 1, 100), 0);
    host_answer(&pair.server, 2, 1);
    HALL_UNTIL(pair.asker.downs == 1);

    CU_ASSERT_EQUAL(pair.asker.unexpected, 0);
    CU_ASSERT_EQUAL(pair.asker.ended, 1);
    CU_ASSERT_EQUAL(cmds_group_error(pair.asker.group, NULL), CMDS_E_PROTO);
    cmds_group_stats(pair.asker.group, &counters);
    CU_ASSERT_EQUAL(counters.proto_errors, 1);
    pair_close(&pair);
}

static void test_sim_commands_are_not_answered_before_they_are_sent(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_liar);
}

/* Whoever says only the begin of what is expected is another service. */
static void script_other(struct hall *hall)
{
    struct pair pair = {.listener = host_listen()};
    asker_init(&pair.asker, hall);
    asker_open(&pair.asker, hall);
    CU_ASSERT_TRUE(host_accept(pair.listener, &pair.server, 1000));
    host_inform(&pair.server, "defa");
    HALL_UNTIL(pair.asker.downs == 1);
    CU_ASSERT_EQUAL(pair.asker.ups, 0);
    CU_ASSERT_NOT_EQUAL(cmds_group_wait(pair.asker.group, 0, NULL), 0);
    pair_close(&pair);
}

static void test_sim_commands_do_not_go_to_another_service(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_other);
}

/* A name of two addresses, the host's own and the loopback's. */
static void name_both(const char *name)
{
    char addresses[64];
    (void)snprintf(addresses, sizeof(addresses), "%s,127.0.0.1", cmds_sim_address(cmds_sim_self()));
    CU_ASSERT_EQUAL(cmds_sim_set_name(cmds_sim_current(), name, addresses), 0);
}

/* Nobody listens at the first one. */
static void script_second(struct hall *hall)
{
    struct pair pair = {.listener = host_listen()};
    name_both("both");
    asker_init(&pair.asker, hall);
    pair.asker.options.connect = "both:9001";
    asker_open(&pair.asker, hall);
    host_enter(pair.listener, &pair.server);
    HALL_UNTIL(pair.asker.ups == 1);
    pair_close(&pair);
}

static void test_sim_commands_go_to_the_address_that_answers(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_second);
}

/* Another service is no reason to ask at its other addresses. */
static void script_mismatch(struct hall *hall)
{
    struct pair pair = {.listener = host_listen_everywhere()};
    struct guest more;
    name_both("both");
    asker_init(&pair.asker, hall);
    pair.asker.options.connect = "both:9001";
    asker_open(&pair.asker, hall);
    CU_ASSERT_TRUE(host_accept(pair.listener, &pair.server, 1000));
    host_inform(&pair.server, "another");
    HALL_UNTIL(pair.asker.downs == 1);
    CU_ASSERT_FALSE(host_accept(pair.listener, &more, 100));
    pair_close(&pair);
}

static void test_sim_commands_meet_another_service_once(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_mismatch);
}

/* A server that reads nothing, and nothing is waited for: the closed group has its second to end in order. */
static void script_linger(struct hall *hall)
{
    struct pair pair;
    struct note note = {1, {big_text, BIG_SIZE}};
    pair_open(&pair, hall, 0);
    for (uint32_t i = 0; i < 200; i++) { // Until nobody takes any more.
        (void)cmds_group_send(pair.asker.group, note_message(&note), NULL, NULL, NULL);
        cmds_sim_sleep_ms(1);
    }
    CU_ASSERT_EQUAL(
            cmds_group_send(pair.asker.group, note_message(&note), NULL, NULL, NULL), -ENOBUFS);
    uint64_t since_ns = hall_now_ns();
    asker_close(&pair.asker);
    CU_ASSERT(hall_now_ns() - since_ns >= 900000000u);
    CU_ASSERT(hall_now_ns() - since_ns < 2000000000u);
    guest_close(&pair.server);
    cmdi_fd_close(pair.listener);
}

static void test_sim_commands_of_a_closed_group_do_not_linger(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_linger);
}

/* A thread waits for what happens just then. */
static void script_wait(struct hall *hall)
{
    for (uint32_t i = 0; i < 2 * TIMES; i++) {
        struct asker asker;
        asker_init(&asker, hall);
        asker.options.connect = "127.0.0.1:9000";
        asker.options.client_count = CONNECTIONS; // One right after the other.
        asker_open(&asker, hall);
        uint64_t since_ns = hall_now_ns();
        CU_ASSERT_EQUAL(cmds_group_wait(asker.group, 5000, NULL), 0);
        CU_ASSERT(hall_now_ns() - since_ns < 1000000000u);
        asker_close(&asker);
    }
}

static void test_sim_commands_a_wait_sees_what_happens_meanwhile(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_wait);
}

static CU_TestInfo tests[] = {
        {"a deadline is never early", test_sim_commands_a_deadline_is_never_early},
        {"each deadline is its own", test_sim_commands_each_deadline_is_its_own},
        {"whose answers lie there are in time",
                test_sim_commands_whose_answers_lie_there_are_in_time},
        {"that are forgotten end and do not go out",
                test_sim_commands_that_are_forgotten_end_and_do_not_go_out},
        {"of many threads share a window", test_sim_commands_of_many_threads_share_a_window},
        {"beyond the window wait for it", test_sim_commands_beyond_the_window_wait_for_it},
        {"find the connection that has room", test_sim_commands_find_the_connection_that_has_room},
        {"that are refused are told", test_sim_commands_that_are_refused_are_told},
        {"are pending wherever they are", test_sim_commands_are_pending_wherever_they_are},
        {"that never left were not sent", test_sim_commands_that_never_left_were_not_sent},
        {"are not answered before they are sent",
                test_sim_commands_are_not_answered_before_they_are_sent},
        {"do not go to another service", test_sim_commands_do_not_go_to_another_service},
        {"go to the address that answers", test_sim_commands_go_to_the_address_that_answers},
        {"meet another service once", test_sim_commands_meet_another_service_once},
        {"of a closed group do not linger", test_sim_commands_of_a_closed_group_do_not_linger},
        {"a wait sees what happens meanwhile",
                test_sim_commands_a_wait_sees_what_happens_meanwhile},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_commands", tests)
