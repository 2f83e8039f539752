/* SPDX-License-Identifier: MIT */
/*
 * Handshakes of many connections on one shard: seats, turns, and time. A storm may not hold up those
 * who are past it, a silent peer may not keep a seat that others wait for, nobody waits for ever, and
 * whoever goes in whatever state leaves nothing behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"
#include "support/harness.h"
#include "support/masked.h"

enum {
    SEATS_PEERS = 8,
};

/* Servers' connections of one mask, on one shard; the first one owns it. */
static struct mask mask;
static struct peer *peers[SEATS_PEERS];
static char order[64]; // Of the handshakes that were over: one letter each.

static void note_open(struct cmdi_conn *conn, int code)
{
    size_t size = strlen(order);
    for (uint32_t i = 0; i < SEATS_PEERS; i++) {
        if (peers[i] != NULL && conn == &peers[i]->conn) {
            order[size] = (char)('a' + i);
            order[size + 1] = '\0';
        }
    }
    peer_on_open(conn, code);
}

static void open_peers(uint32_t count, uint16_t seats, uint32_t timeout_ms)
{
    static struct cmdi_conn_ops ops;
    ops = peer_secured_server_ops;
    ops.on_open = note_open;
    order[0] = '\0';
    mask.tls.handshakes_max = seats;
    memset(peers, 0, sizeof(peers));
    peers[0] = peer_open_secured(&ops, &mask.tls, timeout_ms);
    for (uint32_t i = 1; i < count; i++) {
        peers[i] = malloc(sizeof(*peers[i]));
        CU_ASSERT_PTR_NOT_NULL_FATAL(peers[i]);
        peer_init_secured(peers[i], peers[0]->shard, &ops, &mask.tls, timeout_ms);
    }
    peer_advance(peers[0]);
}

static void close_peers(void)
{
    for (uint32_t i = 1; i < SEATS_PEERS; i++) {
        if (peers[i] != NULL) {
            peer_fini(peers[i]);
            free(peers[i]);
        }
    }
    peer_free(peers[0]);
    CU_ASSERT_EQUAL(mask.sessions, 0);
}

static void feed_hello(struct peer *peer, uint8_t flight)
{
    uint8_t wire[64];
    cmdi_conn_feed(&peer->conn, wire, (size_t)(mask_put_hello(wire, flight, 10) - wire));
}

static enum cmdi_handshake_state state_of(const struct peer *peer)
{
    return peer->conn.secured->handshake;
}

static uint64_t failed(void)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < SEATS_PEERS && peers[i] != NULL; i++) {
        count += peers[i]->tls_counters.tls_failed;
    }
    return count;
}

/* --- Turns ------------------------------------------------------------------------------------ */

static uint32_t steps_now, turns_now;
static uint64_t turn_of_steps[4 * SEATS_PEERS];

/* Ready in every turn, it looks how many steps were made. */
static void look_at_steps(struct cmdi_shard *shard, struct cmdi_work *work)
{
    turn_of_steps[turns_now++] = mask.steps - steps_now;
    steps_now = mask.steps;
    if (turns_now < sizeof(turn_of_steps) / sizeof(turn_of_steps[0])) {
        cmdi_shard_ready(shard, work);
    }
}

static void test_seats_one_heavy_step_a_turn(void)
{
    struct cmdi_work look;
    for (int light = 0; light <= 1; light++) {
        mask_init(&mask, true);
        mask.is_light_at_last = light;
        open_peers(SEATS_PEERS, 64, CMDS_NEVER);
        cmdi_work_init(&look, look_at_steps);
        for (uint8_t flight = 1; flight <= 3; flight = (uint8_t)(flight + 2)) {
            for (uint32_t i = 0; i < SEATS_PEERS; i++) {
                feed_hello(peers[SEATS_PEERS - 1 - i], flight);
            }
            turns_now = 0;
            steps_now = mask.steps;
            cmdi_shard_ready(peers[0]->shard, &look);
            peer_advance(peers[0]);
            uint64_t most = 0, sum = 0;
            for (uint32_t i = 0; i < turns_now; i++) {
                most = turn_of_steps[i] > most ? turn_of_steps[i] : most;
                sum += turn_of_steps[i];
            }
            CU_ASSERT_EQUAL(sum, SEATS_PEERS);
            CU_ASSERT_EQUAL(most, light && flight == 3 ? SEATS_PEERS : 1);
            for (uint32_t i = 0; i < SEATS_PEERS; i++) {
                (void)peer_send_all(peers[i]);
            }
        }
        CU_ASSERT_STRING_EQUAL(order, "hgfedcba"); // First come, first served.
        CU_ASSERT_EQUAL(peers[0]->shard->seat_count, 0);
        close_peers();
    }
}

/* A step that is due waits behind all that is ready, and what waits for it is counted. */
static void test_seats_waiting_ones_are_counted(void)
{
    mask_init(&mask, true);
    open_peers(3, 2, CMDS_NEVER);
    for (uint32_t i = 0; i < 3; i++) {
        feed_hello(peers[i], 1);
        cmdi_conn_run(peers[0]->shard, &peers[i]->conn.ready);
        CU_ASSERT_EQUAL(peers[i]->tls_counters.tls_waiting, 1);
        CU_ASSERT_TRUE(cmdi_secure_is_due(&peers[i]->conn));
    }
    CU_ASSERT_EQUAL(state_of(peers[1]), CMDI_HANDSHAKE_DUE);
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_SEATLESS);
    CU_ASSERT_EQUAL(peers[0]->shard->seat_count, 2);
    CU_ASSERT_EQUAL(mask.begins, 0);

    peer_advance(peers[0]);
    CU_ASSERT_EQUAL(peers[0]->tls_counters.tls_waiting, 0);
    CU_ASSERT_EQUAL(peers[1]->tls_counters.tls_waiting, 0);
    CU_ASSERT_EQUAL(peers[2]->tls_counters.tls_waiting, 1);
    CU_ASSERT_EQUAL(mask.begins, 2);
    close_peers();
}

/* --- Seats ------------------------------------------------------------------------------------ */

static void test_seats_are_given_in_order(void)
{
    mask_init(&mask, true);
    open_peers(6, 2, CMDS_NEVER);
    for (uint32_t i = 0; i < 6; i++) {
        feed_hello(peers[5 - i], 1);
    }
    peer_advance(peers[0]);
    CU_ASSERT_EQUAL(mask.begins, 2);
    for (uint32_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(peers[0]->shard->seat_count, i < 5 ? 2 : 1);
        CU_ASSERT_EQUAL(mask.sessions, i < 5 ? 2 + i : 6);
        (void)peer_send_all(peers[5 - i]);
        feed_hello(peers[5 - i], 3); // Its seat goes to the next one.
        peer_advance(peers[0]);
    }
    CU_ASSERT_STRING_EQUAL(order, "fedcba");
    CU_ASSERT_EQUAL(peers[0]->shard->seat_count, 0);
    close_peers();
}

/* Whoever comes while others wait does not come before them, although a seat may be free just now. */
static void test_seats_nobody_jumps_the_queue(void)
{
    mask_init(&mask, true);
    open_peers(3, 1, CMDS_NEVER);
    feed_hello(peers[0], 1);
    peer_advance(peers[0]);
    feed_hello(peers[1], 1);
    peer_advance(peers[0]);
    mask.tls.handshakes_max = 2; // As if one had been freed.
    feed_hello(peers[2], 1);
    peer_advance(peers[0]);
    CU_ASSERT_EQUAL(state_of(peers[1]), CMDI_HANDSHAKE_SEATLESS);
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_SEATLESS);
    mask.tls.handshakes_max = 1;
    cmdi_conn_fail(&peers[0]->conn, CMDS_E_LOST, "gone");
    peer_advance(peers[0]);
    CU_ASSERT_EQUAL(state_of(peers[1]), CMDI_HANDSHAKE_LISTENS);
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_SEATLESS);
    close_peers();
}

/* Of those that have a seat the one that has it for longest goes, and only if somebody waits. */
static void test_seats_silent_one_makes_room(void)
{
    mask_init(&mask, true);
    open_peers(4, 2, CMDS_NEVER);
    feed_hello(peers[0], 1);
    peer_advance(peers[0]);
    peer_advance_ms(peers[0], 300);
    feed_hello(peers[1], 1);
    peer_advance(peers[0]);
    peer_advance_ms(peers[0], 5000);
    CU_ASSERT_EQUAL(failed(), 0); // Nobody waits.

    (void)peer_send_all(peers[0]);
    feed_hello(peers[0], 2); // Not what is due: it is refused, with its seat.
    feed_hello(peers[2], 1);
    feed_hello(peers[3], 1);
    (void)peer_send_all(peers[0]);
    CU_ASSERT_EQUAL(peers[0]->conn.error_code, CMDS_E_TLS_HANDSHAKE);
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_LISTENS);
    CU_ASSERT_EQUAL(peers[1]->conn.error_code, CMDS_E_TIMEOUT);
    CU_ASSERT_STRING_EQUAL(peers[1]->conn.error_text,
            "TLS handshake with client: not over after 5000 ms, and others wait for the seat");
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_LISTENS);
    CU_ASSERT_EQUAL(state_of(peers[3]), CMDI_HANDSHAKE_LISTENS);
    CU_ASSERT_EQUAL(failed(), 2);
    close_peers();
}

/* The longer the queue, the shorter the turn: or a few that say nothing would hold up everybody. */
static void test_seats_are_shorter_the_more_wait(void)
{
    static const struct {
        uint32_t waiting, ms;
    } cases[] = {{0, CMDI_SECURE_SEAT_MS}, {CMDI_SECURE_FEW, CMDI_SECURE_SEAT_MS / 2},
            {3 * CMDI_SECURE_FEW, CMDI_SECURE_SEAT_MS / 4}, {4000, CMDI_SECURE_SEAT_MIN_MS},
            {UINT32_MAX / 2, CMDI_SECURE_SEAT_MIN_MS}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cmdi_shard shard = {.seatless_count = cases[i].waiting};
        CU_ASSERT_EQUAL(cmdi_secure_seat_ms(&shard), cases[i].ms);
    }
}

/* Nearly a second, of which what it says meanwhile buys it no more. */
static void test_seats_silent_one_has_its_second(void)
{
    mask_init(&mask, true);
    open_peers(2, 1, CMDS_NEVER);
    feed_hello(peers[1], 1);
    peer_advance(peers[0]);
    feed_hello(peers[0], 1);
    peer_advance(peers[0]);
    CU_ASSERT_EQUAL(peers[0]->shard->seatless_count, 1);
    uint64_t seat_ms = cmdi_secure_seat_ms(peers[0]->shard);
    peer_advance_ms(peers[0], seat_ms / 2);
    (void)peer_send_all(peers[1]);
    mask.flights = 5;
    feed_hello(peers[1], 3); // It has said something.
    (void)peer_send_all(peers[1]);
    CU_ASSERT_EQUAL(state_of(peers[1]), CMDI_HANDSHAKE_LISTENS);
    peer_advance_ms(peers[0], seat_ms / 2 - 2);
    CU_ASSERT_EQUAL(failed(), 0);
    peer_advance_ms(peers[0], seat_ms);
    CU_ASSERT_EQUAL(failed(), 1);
    CU_ASSERT_EQUAL(state_of(peers[0]), CMDI_HANDSHAKE_LISTENS);
    CU_ASSERT_EQUAL(peers[0]->shard->seatless_count, 0);
    close_peers();
}

/* The first in the queue has less room than the next one: when it goes, that one has its turn. */
static void test_seats_first_one_goes(void)
{
    mask_init(&mask, true);
    open_peers(3, 1, CMDS_NEVER);
    for (uint32_t i = 0; i < 3; i++) {
        feed_hello(peers[i], 1);
        peer_advance(peers[0]);
    }
    mask.tls.handshakes_max = 2; // As if the last one were another server's.
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_SEATLESS);
    cmdi_conn_fail(&peers[1]->conn, CMDS_E_LOST, "gone");
    peer_advance(peers[0]);
    CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_LISTENS);
    CU_ASSERT_EQUAL(peers[0]->shard->seat_count, 2);
    close_peers();
}

/* What comes meanwhile is collected, up to a bound; then it is read on. */
static void test_seats_waiting_one_reads_so_much(void)
{
    static uint8_t large[CMDI_SECURE_RAW_MAX];
    static const uint8_t pings[60000];
    mask_init(&mask, true);
    open_peers(2, 1, CMDS_NEVER);
    feed_hello(peers[0], 1);
    peer_advance(peers[0]);
    struct mask_end end = {0};
    uint8_t *at = mask_put_hello(mask_put_hello(large, 1, 10), 3, 10);
    size_t size = (size_t)(mask_wrap(&end, at, pings, 60000, 10000) - large);
    cmdi_conn_feed(&peers[1]->conn, large, size);
    peer_advance(peers[1]);
    CU_ASSERT_EQUAL(peers[1]->stops, 0);
    (void)mask_wrap(&end, large, pings, 8000, 8000);
    cmdi_conn_feed(&peers[1]->conn, large, 8003);
    peer_advance(peers[1]);
    CU_ASSERT_EQUAL(peers[1]->stops, 1);
    peer_recv_done(peers[1], -ECANCELED);
    peer_advance(peers[1]);
    CU_ASSERT_FALSE(peers[1]->receiving);

    cmdi_conn_fail(&peers[0]->conn, CMDS_E_LOST, "gone");
    peer_advance(peers[1]);
    CU_ASSERT_EQUAL(peers[1]->opens, 1);
    CU_ASSERT_EQUAL(peers[1]->ping_count, 68000);
    CU_ASSERT_TRUE(peers[1]->receiving);
    close_peers();
}

/* --- Time ------------------------------------------------------------------------------------- */

static void expect_timeout(const struct peer *peer, const char *text)
{
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->conn.error_text);
    CU_ASSERT_STRING_EQUAL(peer->conn.error_text, text);
    CU_ASSERT_EQUAL(peer->tls_counters.tls_failed, 1);
}

/* Served too late is served in vain: what waits too long goes without a step. */
static void test_seats_deadline_in_the_queue(void)
{
    mask_init(&mask, true);
    open_peers(2, 1, 400);
    feed_hello(peers[0], 1);
    peer_advance(peers[0]);
    feed_hello(peers[1], 1);
    peer_advance_ms(peers[0], 401);
    expect_timeout(peers[0], "the TLS handshake was not over within 400 ms");
    expect_timeout(peers[1],
            "the TLS handshake was not over within 400 ms, as too many others were before it");
    CU_ASSERT_EQUAL(mask.begins, 1);
    close_peers();
}

static void test_seats_deadline_of_a_turn(void)
{
    mask_init(&mask, true);
    open_peers(1, 1, 400);
    feed_hello(peers[0], 1);
    cmdi_conn_run(peers[0]->shard, &peers[0]->conn.ready); // It is DUE, and the shard is held up.
    CU_ASSERT_EQUAL(state_of(peers[0]), CMDI_HANDSHAKE_DUE);
    peer_advance_ms(peers[0], 402);
    expect_timeout(peers[0],
            "the TLS handshake was not over within 400 ms, as too many others were before it");
    CU_ASSERT_EQUAL(mask.begins, 0);
    close_peers();
}

/* Of a server nothing came, or part of a flight; of a client's server too. */
static void test_seats_peer_that_says_too_little(void)
{
    struct masked masked;
    for (int how = 0; how < 6; how++) {
        bool is_server = how < 3;
        mask_init(&masked.mask, is_server);
        masked_open(&masked, is_server ? &peer_secured_server_ops : &peer_client_ops, 400);
        (void)peer_send_all(masked.peer);
        if (how % 3 > 0) {
            uint8_t wire[64];
            (void)mask_put_hello(wire, is_server ? 1 : 2, 10);
            cmdi_conn_feed(&masked.peer->conn, wire, how % 3 == 1 ? 2 : 12);
        }
        peer_advance_ms(masked.peer, 399);
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SECURING);
        peer_advance_ms(masked.peer, 2);
        expect_timeout(masked.peer, "the TLS handshake was not over within 400 ms");
        masked_free(&masked);
    }
}

/* The handshake and the ServerInfo have one time together. */
static void test_seats_time_goes_on_behind_the_handshake(void)
{
    struct masked masked;
    for (int server = 0; server <= 1; server++) {
        mask_init(&masked.mask, server);
        masked_open(&masked, server ? &peer_secured_server_ops : &peer_client_ops, 400);
        peer_advance_ms(masked.peer, 200);
        masked_shake(&masked);
        if (server) {
            peer_append(masked.peer, "\004calc", 5);
        }
        peer_advance_ms(masked.peer, 199);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, 0);
        peer_advance_ms(masked.peer, 2);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TIMEOUT);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 0);
        masked_free(&masked);
    }
}

static void test_seats_time_is_over_when_the_server_info_has_left(void)
{
    struct masked masked;
    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, 400);
    masked_shake(&masked);
    peer_append(masked.peer, "\004calc", 5);
    (void)peer_send_all(masked.peer);
    peer_advance_ms(masked.peer, 1000);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
    masked_free(&masked);
}

/* The last flight of the handshake, still under way when the peer's came, is not the ServerInfo. */
static void test_seats_handshake_that_leaves_late_is_no_server_info(void)
{
    struct masked masked;
    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, 400);
    masked_feed_hello(&masked, 1);
    masked_feed_hello(&masked, 3);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->opens, 1);
    peer_append(masked.peer, "\004calc", 5);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->sending_size, 13);
    peer_send_done(masked.peer, 13);
    peer_advance(masked.peer);
    CU_ASSERT_PTR_NOT_NULL(masked.peer->sending);
    peer_advance_ms(masked.peer, 402);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TIMEOUT);
    masked_free(&masked);
}

/* --- Teardown --------------------------------------------------------------------------------- */

enum {
    WAY_FAIL,
    WAY_FINISH,
    WAY_STOP,
    WAY_RESET,
    WAYS,
};

/* peers[1] in this state; peers[0] has the seat that it waits for. */
static void bring_to(enum cmdi_handshake_state state)
{
    struct peer *peer = peers[1];
    if (state == CMDI_HANDSHAKE_SEATLESS) {
        feed_hello(peers[0], 1);
        peer_advance(peer);
    }
    feed_hello(peer, 1);
    if (state == CMDI_HANDSHAKE_DUE) {
        cmdi_conn_run(peer->shard, &peer->conn.ready);
    } else {
        (void)peer_send_all(peer);
    }
    if (state == CMDI_HANDSHAKE_OVER) {
        feed_hello(peer, 3);
        peer_advance(peer);
    }
    CU_ASSERT_EQUAL(state_of(peer), state);
}

static void end_by(struct peer *peer, int way)
{
    switch (way) {
    case WAY_FAIL:
        cmdi_conn_fail(&peer->conn, CMDS_E_LOST, "said so");
        break;
    case WAY_FINISH:
        cmdi_conn_finish(&peer->conn);
        break;
    case WAY_STOP:
        cmdi_conn_stop_input(&peer->conn);
        peer_recv_done(peer, -ECANCELED);
        break;
    default:
        peer_recv_done(peer, -ECONNRESET);
        break;
    }
}

/* In each state of a handshake, by each way: its seat and its place in the queue are free. */
static void test_seats_teardown_in_every_state(void)
{
    static const enum cmdi_handshake_state states[] = {CMDI_HANDSHAKE_LISTENS,
            CMDI_HANDSHAKE_SEATLESS, CMDI_HANDSHAKE_DUE, CMDI_HANDSHAKE_OVER};
    for (uint32_t i = 0; i < 4 * WAYS; i++) {
        enum cmdi_handshake_state state = states[i / WAYS];
        int way = (int)(i % WAYS);
        mask_init(&mask, true);
        open_peers(3, 1, CMDS_NEVER);
        struct peer *peer = peers[1];
        bring_to(state);
        end_by(peer, way);
        feed_hello(peers[2], 1);
        if (state == CMDI_HANDSHAKE_SEATLESS) {
            cmdi_conn_fail(&peers[0]->conn, CMDS_E_LOST, "said so");
        }
        (void)peer_send_all(peer);
        if (state == CMDI_HANDSHAKE_OVER) {
            CU_ASSERT_EQUAL(peer->tls_counters.tls_failed, 0);
            CU_ASSERT_EQUAL(peer->eofs, way == WAY_STOP);
        } else {
            /* What has come is run first, but not where we end it. */
            bool is_due = state == CMDI_HANDSHAKE_DUE || state == CMDI_HANDSHAKE_SEATLESS;
            bool took_step = !is_due || way == WAY_STOP || way == WAY_RESET;
            CU_ASSERT(peer->conn.state >= CMDI_CONN_CLOSING);
            CU_ASSERT_EQUAL(peer->tls_counters.tls_failed, 1);
            CU_ASSERT_EQUAL(peer->conn.secured->session != NULL, took_step);
        }
        CU_ASSERT_EQUAL(state_of(peers[2]), CMDI_HANDSHAKE_LISTENS);
        CU_ASSERT_EQUAL(peers[0]->shard->seat_count, 1);
        close_peers();
    }
}

static void test_seats_client_that_still_connects(void)
{
    struct peer *peer = NULL;
    for (int how = 0; how <= 1; how++) {
        mask_init(&mask, false);
        peer = peer_open_secured(&peer_client_ops, &mask.tls, 100);
        if (how == 0) {
            peer_open_done(peer, -ECONNREFUSED);
            CU_ASSERT_EQUAL(peer->open_code, -ECONNREFUSED);
        } else {
            peer_advance_ms(peer, 102);
            CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
        }
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->tls_counters.tls_failed, 0); // There was no handshake.
        CU_ASSERT_EQUAL(mask.begins, 0);
        peer_free(peer);
    }
}

/* Drained in mid-handshake it goes at once, unless all that it takes is here. */
static void test_seats_stopped_input_in_a_handshake(void)
{
    struct masked masked;
    for (int due = 0; due <= 1; due++) {
        mask_init(&masked.mask, true);
        masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
        masked_feed_hello(&masked, 1);
        (void)peer_send_all(masked.peer);
        if (due) {
            masked_feed_hello(&masked, 3);
        }
        cmdi_conn_stop_input(&masked.peer->conn);
        peer_advance(masked.peer);
        peer_recv_done(masked.peer, -ECANCELED);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->opens, (uint32_t)due);
        CU_ASSERT_EQUAL(masked.peer->eofs, (uint32_t)due);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, due ? 0 : CMDS_E_DRAINING);
        CU_ASSERT_FALSE(masked.peer->receiving);
        masked_free(&masked);
    }
}

static int64_t fail_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    (void)frame;
    cmdi_conn_fail(conn, CMDS_E_LOST, "said so");
    return CMDS_E_LOST;
}

static void fail_open(struct cmdi_conn *conn, int code)
{
    peer_of(conn)->opens++;
    (void)code;
    cmdi_conn_fail(conn, CMDS_E_LOST, "said so");
}

static void finish_open(struct cmdi_conn *conn, int code)
{
    peer_on_open(conn, code);
    cmdi_conn_finish(conn);
}

/* In a light step, inside a run, and in a heavy one, which is none. */
static void test_seats_owner_fails_it_inside_its_ops(void)
{
    struct masked masked;
    struct cmdi_conn_ops ops = peer_secured_server_ops;
    for (int how = 0; how < 6; how++) {
        ops.on_open = how < 2 ? fail_open : how < 4 ? finish_open : peer_on_open;
        ops.on_frame = fail_frame;
        mask_init(&masked.mask, true);
        masked.mask.is_light_at_last = how % 2;
        masked_open(&masked, &ops, CMDS_NEVER);
        masked_feed_hello(&masked, 1);
        (void)peer_send_all(masked.peer);
        uint8_t frames[64];
        size_t size = peer_mixed_frames(frames, 5);
        masked_feed_hello(&masked, 3);
        masked_feed_data(&masked, frames, size, 50);
        masked_feed_data(&masked, frames, size, 50);
        (void)peer_send_all(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->opens, 1);
        CU_ASSERT_EQUAL(masked.peer->conn.state,
                ops.on_open == finish_open ? CMDI_CONN_LINGERING : CMDI_CONN_CLOSING);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_handshakes, 1);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 0);
        CU_ASSERT_EQUAL(masked.peer->frames, 0);
        CU_ASSERT_EQUAL(masked_look(&masked).notifies, ops.on_open == finish_open);
        masked_free(&masked);
    }
}

/* Many handshakes at a time leave memory about, few do not. */
static void test_seats_many_at_a_time_are_remembered(void)
{
    static struct peer many[16];
    for (uint32_t count = 15; count <= 16; count++) {
        mask_init(&mask, true);
        open_peers(1, 64, CMDS_NEVER);
        struct cmdi_shard *shard = peers[0]->shard;
        for (uint32_t i = 0; i < count; i++) {
            peer_init_secured(&many[i], shard, &peer_secured_server_ops, &mask.tls, CMDS_NEVER);
            feed_hello(&many[i], 1);
        }
        peer_advance(peers[0]);
        CU_ASSERT_EQUAL(shard->seat_count, count);
        for (uint32_t i = 0; i < count; i++) {
            peer_fini(&many[i]);
        }
        CU_ASSERT_EQUAL(shard->trim_due, count == 16);
        uint32_t trims = mask_trims;
        shard->trim();
        CU_ASSERT_EQUAL(mask_trims, trims + 1);
        close_peers();
    }
}

static CU_TestInfo tests[] = {
        {"one heavy step a turn", test_seats_one_heavy_step_a_turn},
        {"waiting ones are counted", test_seats_waiting_ones_are_counted},
        {"are given in order", test_seats_are_given_in_order},
        {"nobody jumps the queue", test_seats_nobody_jumps_the_queue},
        {"silent one makes room", test_seats_silent_one_makes_room},
        {"are shorter the more wait", test_seats_are_shorter_the_more_wait},
        {"first one goes", test_seats_first_one_goes},
        {"silent one has its second", test_seats_silent_one_has_its_second},
        {"waiting one reads so much", test_seats_waiting_one_reads_so_much},
        {"deadline in the queue", test_seats_deadline_in_the_queue},
        {"deadline of a turn", test_seats_deadline_of_a_turn},
        {"peer that says too little", test_seats_peer_that_says_too_little},
        {"time goes on behind the handshake", test_seats_time_goes_on_behind_the_handshake},
        {"time is over when the ServerInfo has left",
                test_seats_time_is_over_when_the_server_info_has_left},
        {"handshake that leaves late is no ServerInfo",
                test_seats_handshake_that_leaves_late_is_no_server_info},
        {"teardown in every state", test_seats_teardown_in_every_state},
        {"client that still connects", test_seats_client_that_still_connects},
        {"stopped input in a handshake", test_seats_stopped_input_in_a_handshake},
        {"owner fails it inside its ops", test_seats_owner_fails_it_inside_its_ops},
        {"many at a time are remembered", test_seats_many_at_a_time_are_remembered},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_seats", tests)
