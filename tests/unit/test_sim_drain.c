/* SPDX-License-Identifier: MIT */
/*
 * A server that drains or closes, and a peer that has finished. What may go wrong: a call loses its answer,
 * a connection is forgotten and the drain does not end, or it ends too early.
 */
#include "support/sim/hall.h"

enum {
    SEEDS = 10,
    MANY = 200, // Connections on one shard: several parts of a sweep.
    CALL_MS = 100,
    KEPT = 4,
    LINES = 24,
    LINE_SMALL = 5 * 1000,  // In all, it fits into the one system or the other.
    LINE_LARGE = 60 * 1000, // More in all than a peer's system takes.
    SLOW_MS = 6000,         // Longer than linger_timeout_ms, less than write_timeout_ms.
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

static bool has_ended(struct guest *guest)
{
    struct answer answer;
    return guest_read(guest, &answer, 1000) == GUEST_END;
}

/* Answers what is kept, one a CALL_MS. */
static void *thread_answers(void *context)
{
    struct hall *hall = context;
    for (int64_t i = 1; hall->kept_count > 0; i++) {
        cmds_sim_sleep_ms(CALL_MS);
        CU_ASSERT_EQUAL(hall_answer_kept(hall, i), 0);
    }
    return NULL;
}

/* --- Calls that are kept ---------------------------------------------------------------------- */

static void *thread_reads(void *context)
{
    struct guest *guests = context;
    for (int64_t i = 0; i < KEPT; i++) {
        CU_ASSERT_TRUE(guest_expects(&guests[i], i + 1, 2 * CALL_MS));
        CU_ASSERT_TRUE(has_ended(&guests[i]));
        guest_close(&guests[i]);
    }
    return NULL;
}

/* Each on a connection of its own; with two shards on both of them. */
static void script_kept(struct hall *hall)
{
    struct guest guests[KEPT], idle;
    guest_enter(&idle);
    for (uint32_t i = 0; i < KEPT; i++) {
        guest_enter(&guests[i]);
        (void)guest_send(&guests[i], &act_type, 0);
        HALL_UNTIL(hall->kept_count == i + 1);
    }

    uint64_t since_ns = hall_now_ns();
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, CALL_MS), CMDS_E_TIMEOUT);
    CU_ASSERT_TRUE(has_ended(&idle));
    guest_close(&idle);
    CU_ASSERT_EQUAL(hall->cancels, 0);
    HALL_UNTIL(cmds_server_connection_count(hall->server) == KEPT);
    pthread_t answers = hall_thread(thread_answers, hall);
    pthread_t reads = hall_thread(thread_reads, guests);
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);

    // Not before the last of them.
    CU_ASSERT(hall_now_ns() - since_ns >= (KEPT + 1u) * CALL_MS * 1000000u);
    CU_ASSERT_EQUAL(cmds_server_connection_count(hall->server), 0);
    (void)pthread_join(answers, NULL);
    (void)pthread_join(reads, NULL);
    CU_ASSERT_EQUAL(hall->cancels, 0);
}

static void test_sim_drain_waits_for_calls_that_are_kept(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    run_all(&hall, script_kept);
    hall.runtime_options.shard_count = 2;
    run_all(&hall, script_kept);
}

/* A peer that sends no more has the answers of all that it has sent. */
static void script_finished(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    for (int64_t i = 0; i < 3; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    guest_finish(&guest);
    HALL_UNTIL(hall->kept_count == 3);
    cmds_sim_sleep_ms(CALL_MS);
    CU_ASSERT_EQUAL(hall->disconnects, 0);

    pthread_t thread = hall_thread(thread_answers, hall);
    for (int64_t i = 1; i <= 3; i++) {
        CU_ASSERT_TRUE(guest_expects(&guest, i, 2 * CALL_MS));
    }
    CU_ASSERT_TRUE(has_ended(&guest));
    (void)pthread_join(thread, NULL);
    guest_close(&guest);
    HALL_UNTIL(hall->disconnects == 1);
    CU_ASSERT_EQUAL(hall->cause, CMDS_E_EOF);
    CU_ASSERT_EQUAL(hall->cancels, 0);
}

static void test_sim_drain_a_peer_that_has_finished_gets_its_answers(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    run_all(&hall, script_finished);
}

/* --- Peers that are slow ----------------------------------------------------------------------- */

/* The number is the size of each. */
static int act_lines(struct cmds_call *call, const struct act *act)
{
    static char text[LINE_LARGE];
    int code = 0;
    for (int64_t i = 0; i < LINES && code == 0; i++) {
        struct line line = {i, i + 1 == LINES, {text, (size_t)act->number}};
        code = cmds_call_send(call, line_message(&line));
    }
    return code;
}

/* Reads nothing for a while, but lives; then all that there is. Returns: how many lines there were. */
static void *thread_slow(void *context)
{
    static uint32_t lines;
    struct guest *guest = context;
    struct answer answer;
    cmds_sim_sleep_ms(SLOW_MS);
    (void)guest_write(guest, (const uint8_t *)"", 1); // A ping: nobody may answer it with a reset.
    lines = 0;
    while (guest_read(guest, &answer, 1000) == GUEST_ANSWER) {
        lines += answer.type == line_type.number;
    }
    guest_close(guest);
    return &lines;
}

static void script_slow(struct hall *hall)
{
    struct guest guest;
    void *lines = NULL;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, LINE_SMALL);
    HALL_UNTIL(hall_stats(hall).results_sent == LINES);

    pthread_t thread = hall_thread(thread_slow, &guest);
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);

    (void)pthread_join(thread, &lines);
    CU_ASSERT_EQUAL(*(uint32_t *)lines, LINES);
    CU_ASSERT_EQUAL(hall_stats(hall).slow_consumers, 0);
}

static void test_sim_drain_waits_for_a_peer_that_reads_late(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_lines;
    hall.options.output_size_max = 4 * LINES * LINE_LARGE;

    run_all(&hall, script_slow);
}

/* Whoever takes nothing is cut off, and the drain says so. Others do not make up for it. */
static void script_cut(struct hall *hall)
{
    struct guest guest, other;
    guest_enter(&guest);
    guest_enter(&other);
    (void)guest_send(&guest, &act_type, LINE_LARGE);
    HALL_UNTIL(hall_stats(hall).results_sent == LINES);

    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), CMDS_E_SLOW_PEER);

    CU_ASSERT_EQUAL(cmds_server_connection_count(hall->server), 0);
    CU_ASSERT_EQUAL(hall_stats(hall).slow_consumers, 1);
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 0), CMDS_E_SLOW_PEER); // It stays so.
    CU_ASSERT_TRUE(has_ended(&other));
    guest_close(&other);
    guest_close(&guest);
}

static void test_sim_drain_says_that_a_peer_was_cut_off(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_lines;
    hall.options.output_size_max = 4 * LINES * LINE_LARGE;

    run_all(&hall, script_cut);
}

/* Nobody waits for what a peer has left behind. */
static void *thread_leaves_late(void *context)
{
    cmds_sim_sleep_ms(1000);
    guest_close(context); // A reset.
    return NULL;
}

static void script_left(struct hall *hall)
{
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, LINE_LARGE);
    HALL_UNTIL(hall_stats(hall).results_sent == LINES);

    pthread_t thread = hall_thread(thread_leaves_late, &guest);
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);

    (void)pthread_join(thread, NULL);
}

static void test_sim_drain_does_not_mind_a_peer_that_leaves(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_lines;
    hall.options.output_size_max = 4 * LINES * LINE_LARGE;

    run_all(&hall, script_left);
}

/* --- Many connections, and none ---------------------------------------------------------------- */

struct crowd {
    struct guest guests[MANY];
    uint32_t count;
};

/* Each sees the end, and goes. */
static void *thread_leaves(void *context)
{
    struct crowd *crowd = context;
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct answer answer;
        enum guest_event event = guest_read(&crowd->guests[i], &answer, 1000);
        CU_ASSERT(event == GUEST_END || event == GUEST_RESET);
        guest_close(&crowd->guests[i]);
    }
    return NULL;
}

static void script_many(struct hall *hall)
{
    struct crowd crowd = {.count = MANY};
    bool closes = hall->context != NULL;
    for (uint32_t i = 0; i < MANY; i++) {
        guest_enter(&crowd.guests[i]);
    }
    pthread_t thread = hall_thread(thread_leaves, &crowd);
    uint64_t since_ns = hall_now_ns();
    if (closes) {
        cmds_server_close(hall->server);
        hall->server = NULL;
    } else {
        CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);
    }
    CU_ASSERT(hall_now_ns() - since_ns < 1000000000u);
    CU_ASSERT_EQUAL(hall->disconnects, MANY);
    (void)pthread_join(thread, NULL);
}

static void test_sim_drain_and_close_reach_every_connection(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_many);
    hall.context = &hall;
    run_all(&hall, script_many);
}

static void script_none(struct hall *hall)
{
    uint64_t since_ns = hall_now_ns();
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);
    CU_ASSERT(hall_now_ns() - since_ns < 1000000000u);
}

static void test_sim_drain_of_nobody_ends_at_once(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_none);
}

/* --- While others come -------------------------------------------------------------------------- */

static void *thread_comes(void *context)
{
    struct crowd *crowd = context;
    while (crowd->count < MANY && guest_try(&crowd->guests[crowd->count])) {
        crowd->count++;
    }
    return thread_leaves(crowd);
}

/* Whoever was accepted is served or sees the end; nobody is left behind. */
static void script_crowd(struct hall *hall)
{
    struct crowd crowd = {.count = 0};
    pthread_t thread = hall_thread(thread_comes, &crowd);
    HALL_UNTIL(crowd.count >= MANY / 4);

    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);

    CU_ASSERT(crowd.count < MANY);
    CU_ASSERT_EQUAL(cmds_server_connection_count(hall->server), 0);
    CU_ASSERT_EQUAL(hall->connects, hall->disconnects);
    (void)pthread_join(thread, NULL);
}

static void test_sim_drain_while_connections_come(void)
{
    struct hall hall;
    hall_init(&hall);

    hall.runtime_options.shard_count = 2;
    run_all(&hall, script_crowd);
    hall.options.reuse_port = true;
    run_all(&hall, script_crowd);
}

/* --- What the runtime says of it -------------------------------------------------------------- */

static void *thread_drains(void *context)
{
    struct hall *hall = context;
    CU_ASSERT_EQUAL(cmds_server_shutdown(hall->server, 60000), 0);
    return NULL;
}

static void script_told(struct hall *hall)
{
    CU_ASSERT_FALSE(cmds_runtime_is_draining(hall->runtime));
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 0);
    HALL_UNTIL(hall->kept_count == 1);

    pthread_t drains = hall_thread(thread_drains, hall);
    HALL_UNTIL(cmds_runtime_is_draining(hall->runtime));
    CU_ASSERT_EQUAL(hall_answer_kept(hall, 1), 0);
    CU_ASSERT_TRUE(guest_expects(&guest, 1, 1000));
    guest_close(&guest);
    (void)pthread_join(drains, NULL);
    CU_ASSERT_TRUE(cmds_runtime_is_draining(hall->runtime));

    // One that is refused changes nothing, one that accepts beside it does when the first has closed.
    struct cmds_server *second = NULL;
    struct cmds_server_options options = hall_options(hall);
    options.listen = "nowhere";
    CU_ASSERT(cmds_server_start(&second, hall->runtime, &options, NULL) < 0);
    CU_ASSERT_TRUE(cmds_runtime_is_draining(hall->runtime));
    options.listen = "127.0.0.1:9001";
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&second, hall->runtime, &options, NULL), 0);
    CU_ASSERT_TRUE(cmds_runtime_is_draining(hall->runtime));
    cmds_server_close(hall->server);
    hall->server = NULL;
    CU_ASSERT_FALSE(cmds_runtime_is_draining(hall->runtime));
    cmds_server_close(second);
    CU_ASSERT_TRUE(cmds_runtime_is_draining(hall->runtime));
}

static void test_sim_drain_is_told_by_the_runtime(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    run_all(&hall, script_told);
}

static CU_TestInfo tests[] = {
        {"waits for calls that are kept", test_sim_drain_waits_for_calls_that_are_kept},
        {"a peer that has finished gets its answers",
                test_sim_drain_a_peer_that_has_finished_gets_its_answers},
        {"and close reach every connection", test_sim_drain_and_close_reach_every_connection},
        {"waits for a peer that reads late", test_sim_drain_waits_for_a_peer_that_reads_late},
        {"says that a peer was cut off", test_sim_drain_says_that_a_peer_was_cut_off},
        {"does not mind a peer that leaves", test_sim_drain_does_not_mind_a_peer_that_leaves},
        {"of nobody ends at once", test_sim_drain_of_nobody_ends_at_once},
        {"while connections come", test_sim_drain_while_connections_come},
        {"is told by the runtime", test_sim_drain_is_told_by_the_runtime},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_drain", tests)
