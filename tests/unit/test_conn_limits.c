/* SPDX-License-Identifier: MIT */
/*
 * The limits of a connection, where it is not plain whom they judge: a peer that takes slowly what
 * the kernel has long since taken from us, a peer that goes while nothing is received, a peer that
 * is not heard because we do not listen. Nobody may be cut for our own reasons, and nobody may stay
 * for ever.
 */
#include "conn/conn.h"

#include <errno.h>

#include "conn/parts.h"
#include "support/harness.h"
#include "support/peer.h"

/* --- What the peer takes ---------------------------------------------------------------------- */

/* The kernel has all of it, or takes more from us: what the peer takes is what counts. */
static void test_conn_write_is_judged_by_what_the_peer_takes(void)
{
    static const char large[20000];
    struct peer *peer = peer_open(&peer_server_ops);
    peer->limits.write_timeout_ms = 100;
    peer->conn.transport = &peer_watching_transport;
    peer->waiting = 20000;
    cmdi_conn_start(&peer->conn);
    peer_append(peer, large, sizeof(large));
    CU_ASSERT_EQUAL(peer_send_all(peer), 1); // All is out of our hands.
    for (int i = 0; i < 4; i++) {
        peer_pass_ms(peer, 90);
        CU_ASSERT_EQUAL_FATAL(peer->conn.state, CMDI_CONN_OPEN);
        peer->taken += 4096;
    }
    peer_pass_ms(peer, 90);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_pass_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    peer_free(peer);

    peer = peer_open(&peer_server_ops); // Nothing waits any more: the time is over.
    peer->limits.write_timeout_ms = 100;
    peer->conn.transport = &peer_watching_transport;
    cmdi_conn_start(&peer->conn);
    peer_append(peer, large, 10);
    CU_ASSERT_EQUAL(peer_send_all(peer), 1);
    peer_pass_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_free(peer);
}

/* One whose output waits: it has been sent, and the peer has taken nothing of it. */
static struct peer *waiting_peer(const struct cmdi_conn_ops *ops, uint32_t write_timeout_ms)
{
    static const char large[20000];
    struct peer *peer = peer_open(ops);
    peer->limits.write_timeout_ms = write_timeout_ms;
    peer->conn.transport = &peer_watching_transport;
    peer->waiting = sizeof(large);
    cmdi_conn_start(&peer->conn);
    peer_append(peer, large, sizeof(large));
    CU_ASSERT_FATAL(peer_send_all(peer) > 0);
    return peer;
}

/* So many bytes each second for 100 s, and from then on none. */
static void check_rate(uint32_t write_timeout_ms, uint64_t bytes, bool stays)
{
    struct peer *peer = waiting_peer(&peer_server_ops, write_timeout_ms);
    for (int i = 0; i < 100; i++) {
        peer_pass_ms(peer, 1000);
        peer->taken += bytes;
    }
    CU_ASSERT_EQUAL(peer->conn.state == CMDI_CONN_OPEN, stays);
    for (int i = 0; i < 3; i++) {
        peer_pass_ms(peer, write_timeout_ms / 2 + 1);
    }
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    peer_free(peer);
}

static void test_conn_write_limit_is_a_rate(void)
{
    for (uint32_t timeout_ms = 2000; timeout_ms <= 64000; timeout_ms *= 2) {
        check_rate(timeout_ms, 1024, true);
        check_rate(timeout_ms, timeout_ms < 32000 ? 250 : 62, false);
    }
    check_rate(4, 1024, false); // Nothing for so short a time is too little all the same.
}

static bool spares;
static uint32_t asked_count;

static bool spare(struct cmdi_conn *conn)
{
    (void)conn;
    asked_count++;
    return spares;
}

static void test_conn_slow_peer_may_be_spared(void)
{
    struct cmdi_conn_ops ops = peer_server_ops;
    ops.spares_slow = spare;
    spares = true;
    asked_count = 0;
    struct peer *peer = waiting_peer(&ops, 100);
    for (int i = 0; i < 1010; i++) {
        peer_pass_ms(peer, 10);
    }
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT(asked_count >= 90 && asked_count <= 100); // Once each time.
    CU_ASSERT_EQUAL(peer->counters.slow_consumers, 0);

    spares = false;
    peer_pass_ms(peer, 110);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    peer_free(peer);

    spares = true; // An end has an end.
    peer = waiting_peer(&ops, 100);
    peer_append(peer, "0123456789", 10);
    peer_advance(peer);
    cmdi_conn_finish(&peer->conn);
    peer_pass_ms(peer, 50);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_FINISHING);
    peer_pass_ms(peer, 60);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    peer_free(peer);
}

static void test_conn_finish_ends_without_a_write_limit(void)
{
    struct peer *peer = peer_started();
    peer_append(peer, "0123456789", 10);
    peer_advance(peer);
    peer_pass_ms(peer, 1000000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN); // There is no limit.
    cmdi_conn_finish(&peer->conn);
    peer->conn.error_code = CMDS_E_EOF; // An end in order...
    peer_pass_ms(peer, 9000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_FINISHING);
    peer_pass_ms(peer, 1100);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER); // ...that did not remain one.
    CU_ASSERT_EQUAL(peer->counters.slow_consumers, 1);
    peer_free(peer);
}

/* --- While nothing is received ---------------------------------------------------------------- */

static uint32_t held_count;

static void count_held(struct cmdi_conn *conn)
{
    (void)conn;
    held_count++;
}

/* Paused, and its recv has ended. */
static struct peer *held_peer(const struct cmdi_conn_ops *ops, uint32_t idle_timeout_ms)
{
    struct peer *peer = peer_open(ops);
    peer->conn.transport = &peer_watching_transport;
    peer->limits.idle_timeout_ms = idle_timeout_ms;
    peer->busy = true;
    cmdi_conn_start(&peer->conn);
    cmdi_conn_pause(&peer->conn);
    peer_pass_ms(peer, 1);
    peer_recv_done(peer, -ECANCELED);
    peer_advance(peer);
    return peer;
}

static void test_conn_held_is_watched(void)
{
    struct peer *peer = held_peer(&peer_server_ops, CMDS_NEVER);
    CU_ASSERT_TRUE(peer->watching && peer->watch_finish);
    peer_watch_done(peer, CMDI_PEER_FAILED | CMDI_PEER_GONE);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_EOF);
    CU_ASSERT_EQUAL(peer->counters.resets, 1);
    peer_free(peer);

    peer = held_peer(&peer_server_ops, 5000); // A FIN: its calls have their time.
    peer_watch_done(peer, CMDI_PEER_FINISHED);
    peer_advance(peer);
    CU_ASSERT_TRUE(peer->watching && !peer->watch_finish); // Not for the same one again.
    peer_pass_ms(peer, 4990);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_pass_ms(peer, 20);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_IDLE);
    peer_free(peer);

    peer = held_peer(&peer_server_ops, CMDS_NEVER); // A watch that fails is not tried for ever.
    peer_watch_done(peer, -EINVAL);
    peer_advance(peer);
    CU_ASSERT_FALSE(peer->watching);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_free(peer);
}

static void test_conn_held_shows_that_it_lives(void)
{
    struct cmdi_conn_ops ops = peer_server_ops;
    ops.on_held = count_held;
    held_count = 0;
    struct peer *peer = held_peer(&ops, CMDS_NEVER);
    for (int i = 0; i < 5; i++) {
        peer_pass_ms(peer, 1001);
    }
    CU_ASSERT(held_count >= 4 && held_count <= 5);
    cmdi_conn_resume(&peer->conn);
    held_count = 0;
    for (int i = 0; i < 5; i++) {
        peer_pass_ms(peer, 1001);
    }
    CU_ASSERT_EQUAL(held_count, 0);
    peer_free(peer);
}

/* One that is open and reads nothing, as its program has enough. */
static struct peer *paused_client(uint32_t write_timeout_ms)
{
    struct peer *peer = peer_open(&peer_client_ops);
    peer->conn.transport = &peer_watching_transport;
    peer->limits.write_timeout_ms = write_timeout_ms;
    peer->opening = false;
    cmdi_conn_on_open(&peer->conn, 0);
    peer_advance(peer);
    cmdi_conn_feed(&peer->conn,
            "\x04"
            "calc",
            5);
    peer_advance(peer);
    CU_ASSERT_EQUAL_FATAL(peer->conn.state, CMDI_CONN_OPEN);
    cmdi_conn_pause(&peer->conn);
    peer_pass_ms(peer, 1);
    peer_recv_done(peer, -ECANCELED);
    peer_advance(peer);
    return peer;
}

/* A server ends a peer that takes nothing for long: a client takes a little, but not without end. */
static void test_conn_paused_client_takes_a_little(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    struct peer *peer = paused_client(CMDS_NEVER);
    peer_pass_ms(peer, 1900);
    CU_ASSERT_FALSE(peer->receiving);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        peer_pass_ms(peer, 1000);
        if (peer->receiving) {
            cmdi_conn_feed(&peer->conn, wire, sizeof(wire));
            peer_recv_done(peer, -EAGAIN);
            peer_advance(peer);
            CU_ASSERT_FALSE(peer->receiving);
            taken++;
        }
    }
    CU_ASSERT_EQUAL(taken, 4 * 1024 * 1024 / sizeof(wire));
    CU_ASSERT_EQUAL(peer->frames, 0);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_free(peer);

    peer = held_peer(&peer_server_ops, CMDS_NEVER); // A server that is at a bound takes nothing.
    peer_pass_ms(peer, 10000);
    CU_ASSERT_FALSE(peer->receiving);
    peer_free(peer);
}

/* It may not read because we do not. */
static void test_conn_paused_client_does_not_judge_its_server(void)
{
    struct peer *peer = paused_client(100);
    peer->waiting = 10;
    peer_append(peer, "0123456789", 10);
    CU_ASSERT_EQUAL(peer_send_all(peer), 1);
    for (int i = 0; i < 10; i++) {
        peer_pass_ms(peer, 90);
    }
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    cmdi_conn_resume(&peer->conn);
    for (int i = 0; i < 10; i++) {
        peer_pass_ms(peer, 90);
    }
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    peer_free(peer);
}

/* In a shortage of buffers bytes may lie in the socket: an idle peer and a cut frame have time. */
static void test_conn_is_not_judged_while_it_does_not_listen(void)
{
    uint8_t wire[64];
    (void)peer_put_frame(wire, 1, 5);
    for (int cut = 0; cut <= 1; cut++) {
        struct peer *peer = peer_open(&peer_server_ops);
        peer->limits.idle_timeout_ms = 1000;
        peer->limits.frame_timeout_ms = cut ? 500 : CMDS_NEVER;
        cmdi_conn_start(&peer->conn);
        peer_pass_ms(peer, 1);
        cmdi_conn_feed(&peer->conn, wire, cut ? 3 : 0);
        peer_advance(peer);
        peer_pass_ms(peer, 300);
        peer_recv_done(peer, -ENOBUFS);
        peer_pass_ms(peer, 60000);
        CU_ASSERT_EQUAL_FATAL(peer->conn.state, CMDI_CONN_OPEN);
        CU_ASSERT_TRUE(cmdi_conn_is_behind(&peer->conn));
        cmdi_list_remove(&peer->conn.more->starve.link); // Here is one.
        cmdi_conn_on_buffers(peer->shard, &peer->conn.more->starve);
        peer_advance(peer);
        CU_ASSERT_TRUE(peer->receiving);
        peer_pass_ms(peer, cut ? 190 : 690); // What was left of its time...
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
        peer_pass_ms(peer, 120); // ...and no more.
        CU_ASSERT_EQUAL(peer->conn.error_code, cut ? CMDS_E_TIMEOUT : CMDS_E_IDLE);
        peer_free(peer);
    }
}

static void test_conn_has_run_what_had_come(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    uint64_t mark = 0;
    size_t size = peer_mixed_frames(wire, 8);
    struct peer *peer = peer_started();
    peer_pass_ms(peer, 1);
    CU_ASSERT_TRUE(cmdi_conn_has_run(&peer->conn, &mark));
    cmdi_conn_feed(&peer->conn, wire, size);
    CU_ASSERT_FALSE(cmdi_conn_has_run(&peer->conn, &mark));
    cmdi_conn_feed(&peer->conn, wire, 1); // What comes later does not count.
    peer->conn.run_size = size;
    CU_ASSERT_TRUE(cmdi_conn_has_run(&peer->conn, &mark));
    CU_ASSERT_EQUAL(mark, 0);
    CU_ASSERT_FALSE(cmdi_conn_has_run(&peer->conn, &mark));
    cmdi_conn_pause(&peer->conn);
    CU_ASSERT_TRUE(cmdi_conn_has_run(&peer->conn, &mark)); // Not before it is resumed.
    cmdi_conn_resume(&peer->conn);
    CU_ASSERT_FALSE(cmdi_conn_has_run(&peer->conn, &mark));
    cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "done");
    CU_ASSERT_TRUE(cmdi_conn_has_run(&peer->conn, &mark)); // Nothing of it will ever run.
    peer_free(peer);
}

/* --- Each limit ends it ----------------------------------------------------------------------- */

static void expect_timeout(struct peer *peer, uint64_t ms, int code)
{
    peer_pass_ms(peer, ms - 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_pass_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error_code, code);
    peer_free(peer);
}

static void test_conn_idle_ends_it(void)
{
    struct peer *peer = peer_open(&peer_server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    expect_timeout(peer, 100, CMDS_E_IDLE);

    peer = peer_open(&peer_server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer_pass_ms(peer, 99);
    cmdi_conn_feed(&peer->conn, "", 1); // A ping is a sign of life.
    expect_timeout(peer, 100, CMDS_E_IDLE);

    peer = peer_open(&peer_server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer->busy = true;
    peer_pass_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer->busy = false;
    peer_pass_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->counters.idle_closes, 1);
    peer_free(peer);
}

static void test_conn_frame_has_to_get_whole(void)
{
    uint8_t wire[64];
    size_t size = (size_t)(peer_put_frame(peer_put_frame(wire, 1, 5), 2, 5) - wire);
    struct peer *peer = peer_open(&peer_server_ops);
    peer->limits.frame_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);

    for (size_t i = 0; i < size / 2 + 1; i++) { // Each byte within the time, the frame as well.
        cmdi_conn_feed(&peer->conn, wire + i, 1);
        peer_pass_ms(peer, 10);
    }
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(peer->frames, 1);
    for (size_t i = size / 2 + 1; i < size - 1; i++) { // Drops do not keep it alive.
        peer_pass_ms(peer, 30);
        cmdi_conn_feed(&peer->conn, wire + i, 1);
    }
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(peer->counters.frame_timeouts, 1);
    peer_free(peer);

    peer = peer_open(&peer_server_ops); // While it is paused, the time is not the peer's.
    peer->limits.frame_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    cmdi_conn_feed(&peer->conn, wire, 3);
    peer_advance(peer);
    cmdi_conn_pause(&peer->conn);
    peer_advance(peer);
    peer_pass_ms(peer, 1000);
    cmdi_conn_resume(&peer->conn);
    peer_advance(peer);
    expect_timeout(peer, 100, CMDS_E_TIMEOUT);
}

static void test_conn_write_has_to_go_on(void)
{
    struct peer *peer = peer_open(&peer_server_ops);
    static const char large[20000];
    peer->limits.write_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer_append(peer, large, sizeof(large));
    peer_advance(peer);
    peer_pass_ms(peer, 99);
    peer_send_done(peer, 4096); // Progress: the time begins anew when it is found.
    peer_pass_ms(peer, 4);
    peer_pass_ms(peer, 99);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_send_done(peer, 49); // Less in that time is none: a byte now and then holds nothing.
    peer_pass_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    CU_ASSERT_EQUAL(peer->counters.slow_consumers, 1);
    peer_free(peer);

    /* In order or not: a peer that takes nothing cannot hold it. */
    peer = peer_open(&peer_server_ops);
    peer->limits.write_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer_append(peer, "0123456789", 10);
    cmdi_conn_finish(&peer->conn);
    peer_advance(peer);
    peer_pass_ms(peer, 101);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    peer_free(peer);
}

static void on_open_later(struct cmdi_conn *conn, int code)
{
    peer_of(conn)->open_code = code;
}

static void test_conn_opening_counts_in_the_time_of_the_server_info(void)
{
    struct cmdi_conn_ops ops = peer_server_ops;
    ops.on_open = on_open_later;
    struct peer *peer = peer_open_timed(&ops, 100);
    peer_pass_ms(peer, 99);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CONNECTING);
    peer_pass_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
    peer_free(peer);

    peer = peer_open_timed(&ops, 100);
    peer_pass_ms(peer, 60);
    peer_open_done(peer, 0);
    cmdi_conn_start(&peer->conn);
    peer_append(peer, "\004calc", 5);
    peer_pass_ms(peer, 41); // Of the whole time.
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
    peer_free(peer);
}

static void test_conn_server_info_has_to_leave(void)
{
    struct peer *peer = peer_open_timed(&peer_server_ops, 100);
    peer_append(peer, "\004calc", 5);
    cmdi_conn_start(&peer->conn);
    peer_pass_ms(peer, 99);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_pass_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(peer->counters.slow_consumers, 1);
    peer_free(peer);

    peer = peer_open_timed(&peer_server_ops, 100);
    peer_append(peer, "\004calc", 5);
    cmdi_conn_start(&peer->conn);
    (void)peer_send_all(peer);
    peer_pass_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_free(peer);
}

static CU_TestInfo tests[] = {
        {"write is judged by what the peer takes",
                test_conn_write_is_judged_by_what_the_peer_takes},
        {"the write limit is a rate", test_conn_write_limit_is_a_rate},
        {"a slow peer may be spared", test_conn_slow_peer_may_be_spared},
        {"finish ends without a write limit", test_conn_finish_ends_without_a_write_limit},
        {"held is watched", test_conn_held_is_watched},
        {"held shows that it lives", test_conn_held_shows_that_it_lives},
        {"is not judged while it does not listen",
                test_conn_is_not_judged_while_it_does_not_listen},
        {"a paused client takes a little", test_conn_paused_client_takes_a_little},
        {"a paused client does not judge its server",
                test_conn_paused_client_does_not_judge_its_server},
        {"has run what had come", test_conn_has_run_what_had_come},
        {"idle ends it", test_conn_idle_ends_it},
        {"frame has to get whole", test_conn_frame_has_to_get_whole},
        {"write has to go on", test_conn_write_has_to_go_on},
        {"opening counts in the time of the ServerInfo",
                test_conn_opening_counts_in_the_time_of_the_server_info},
        {"ServerInfo has to leave", test_conn_server_info_has_to_leave},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn limits", tests)
