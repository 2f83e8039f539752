/* SPDX-License-Identifier: MIT */
/*
 * Output and life of a connection, over a transport that the test plays. A peer may take any part of
 * a send, stop reading, or go; the owner may fail or finish it inside any callback. No byte may be
 * lost, doubled or reordered, and the end is reported once. Time is a number, and the end of an
 * operation is a call.
 */
#include "conn/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/peer.h"

/* --- Output ----------------------------------------------------------------------------------- */

/* `size` bytes, each the next number. */
static void append_numbers(struct peer *peer, size_t *next, size_t size)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)((*next)++ * 7);
    }
    cmdi_conn_commit(&peer->conn, size);
}

static bool sent_numbers(const struct peer *peer, size_t count)
{
    bool right = peer->sent_size == count;
    for (size_t i = 0; right && i < count; i++) {
        right = peer->sent[i] == (uint8_t)(i * 7);
    }
    return right;
}

static void test_conn_output_survives_every_short_send(void)
{
    for (size_t cut = 0; cut < 40; cut++) {
        struct peer *peer = peer_started();
        size_t next = 0;
        append_numbers(peer, &next, 40);
        peer_advance(peer);
        append_numbers(peer, &next, 20); // While it is being sent.
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->sending_size, 40);

        peer_send_done(peer, cut == 0 ? -EINTR : (int32_t)cut);
        append_numbers(peer, &next, 5);
        (void)peer_send_all(peer);

        CU_ASSERT_TRUE(sent_numbers(peer, 65));
        CU_ASSERT_EQUAL(peer->counters.send_bytes, 65);
        CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0);
        peer_free(peer);
    }
}

static void test_conn_sends_once_a_turn(void)
{
    struct peer *peer = peer_started();
    size_t next = 0;
    for (uint32_t i = 0; i < 10; i++) {
        append_numbers(peer, &next, 100);
    }

    CU_ASSERT_EQUAL(peer_send_all(peer), 1);

    CU_ASSERT_TRUE(sent_numbers(peer, 1000));
    CU_ASSERT_EQUAL(peer->counters.short_sends, 0);
    peer_free(peer);
}

static void test_conn_large_output_goes_in_pieces(void)
{
    struct peer *peer = peer_started();
    peer->now_takes = -EAGAIN;
    size_t next = 0;
    append_numbers(peer, &next, 600 * 1024);

    CU_ASSERT_EQUAL(peer_send_all(peer), 3);

    CU_ASSERT_TRUE(sent_numbers(peer, 600 * 1024));
    CU_ASSERT_EQUAL(peer->counters.short_sends, 1); // What send_now did not take.
    peer_free(peer);
}

static void test_conn_bound_and_low_mark(void)
{
    struct peer *peer = peer_started();
    uint8_t data[4096] = {0};
    int code = 0;
    peer->limits.output_size_max = 8192;
    peer_append(peer, data, 4095);
    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 100000, &code)); // Below half: any size.
    peer_append(peer, data, 1);

    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 4096, &code));
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 4097, &code));
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    peer_append(peer, data, 4096);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &code));
    peer_advance(peer);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &code)); // What is in flight counts.

    peer_send_done(peer, 4096);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->lows, 0); // The half itself is not below.
    peer_send_done(peer, 4096);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->lows, 1);
    peer_append(peer, data, 10);
    (void)peer_send_all(peer);
    CU_ASSERT_EQUAL(peer->lows, 1);
    peer_free(peer);
}

static size_t foreign_size;

static size_t foreign_queued(const struct cmdi_conn *conn)
{
    (void)conn;
    return foreign_size;
}

/* Both together have one bound; below half of it the shard need not look. */
static void test_conn_bound_counts_what_others_have_queued(void)
{
    struct peer *peer = peer_started();
    struct cmdi_conn_ops ops = *peer->conn.ops;
    uint8_t data[4096] = {0};
    int code = 0;
    ops.queued = foreign_queued;
    peer->conn.ops = &ops;
    peer->limits.output_size_max = 8192;
    foreign_size = 4096;
    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 4096, &code));
    peer_append(peer, data, 4096);

    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &code));
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    CU_ASSERT_FALSE(cmdi_conn_has_room(&peer->conn, 1));
    foreign_size = 4095;
    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 1, &code));
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 2, &code));

    (void)peer_send_all(peer);
    peer_free(peer);
}

/* The other side of it: what others may queue beside what they know of the output. */
static void test_conn_queue_of_others_has_half_and_the_rest(void)
{
    const struct cmdi_conn_limits limits = {.output_size_max = 8192};

    CU_ASSERT_TRUE(cmdi_conn_queue_allows(&limits, 0, 4095, 100000)); // Below half: any size.
    CU_ASSERT_TRUE(cmdi_conn_queue_allows(&limits, 0, 4096, 4096));
    CU_ASSERT_FALSE(cmdi_conn_queue_allows(&limits, 0, 4097, 4096));
    CU_ASSERT_FALSE(cmdi_conn_queue_allows(&limits, 4000, 96, 97)); // Half is for the output alone.
    CU_ASSERT_FALSE(cmdi_conn_queue_allows(&limits, 0, 8192, 1));
}

static void test_conn_flush_in_mid_turn_keeps_the_order(void)
{
    static const int64_t takes[] = {PEER_SENT_MAX, 1, 5000, 98304, 0, -EAGAIN, -ENOBUFS};
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        struct peer *peer = peer_started();
        size_t next = 0;
        peer->now_takes = takes[i];
        for (uint32_t piece = 0; piece < 25; piece++) {
            append_numbers(peer, &next, 10000);
        }
        (void)peer_send_all(peer);
        CU_ASSERT_TRUE(sent_numbers(peer, 250000));
        peer_free(peer);
    }
}

static void test_conn_flush_in_mid_turn_tells_the_low_mark(void)
{
    struct peer *peer = peer_started();
    size_t next = 0;
    int code = 0;
    peer->limits.output_size_max = 64 * 1024;
    append_numbers(peer, &next, 40 * 1024);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 30 * 1024, &code));
    CU_ASSERT_TRUE(peer->conn.above_low);

    cmdi_conn_flush_now(&peer->conn); // The socket takes all of it: no completion will come.
    CU_ASSERT_EQUAL(peer->lows, 0);   // Not inside the owner's call.
    peer_advance(peer);

    CU_ASSERT_PTR_NULL(peer->sending);
    CU_ASSERT_EQUAL(peer->lows, 1);
    CU_ASSERT_EQUAL(atomic_load(&peer->conn.output_seen), 0);
    peer_free(peer);
}

static void test_conn_send_error_closes(void)
{
    static const int32_t codes[][2] = {
            {-EPIPE, CMDS_E_EOF}, {-ECONNRESET, CMDS_E_EOF}, {-ETIMEDOUT, -ETIMEDOUT}};
    for (size_t i = 0; i < 3; i++) {
        struct peer *peer = peer_started();
        peer_append(peer, "hello", 5);
        peer_advance(peer);
        peer_send_done(peer, codes[i][0]);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->conn.error_code, codes[i][1]);
        peer_free(peer);
    }
}

/* --- The end ---------------------------------------------------------------------------------- */

static void test_conn_finish_sends_shuts_and_lingers(void)
{
    struct peer *peer = peer_started();
    size_t next = 0;
    append_numbers(peer, &next, 100);
    peer_advance(peer);
    append_numbers(peer, &next, 100);
    cmdi_conn_finish(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->shuts, 0);
    (void)peer_send_all(peer);
    CU_ASSERT_TRUE(sent_numbers(peer, 200));
    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    CU_ASSERT_TRUE(peer->receiving);
    CU_ASSERT_EQUAL(peer->closings, 0);

    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_CLOSED);
    peer_free(peer);
}

static void test_conn_linger_ends_by_its_deadline(void)
{
    struct peer *peer = peer_started();
    cmdi_conn_finish(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    peer_recv_done(peer, -ECANCELED); // The receive goes on until the end.
    peer_advance_ms(peer, 999);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    CU_ASSERT_TRUE(peer->receiving);

    peer_advance_ms(peer, 2);

    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSING);
    peer_free(peer);
}

static void test_conn_finish_after_eof_closes_at_once(void)
{
    struct peer *peer = peer_started();
    peer_append(peer, "bye", 3);
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->eofs, 1);
    cmdi_conn_finish(&peer->conn);

    (void)peer_send_all(peer);

    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    peer_free(peer);
}

static void test_conn_finish_inside_a_frame_runs_no_more(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, PEER_FRAMES);

    for (uint64_t at = 1; at <= 8; at++) {
        struct peer *peer = peer_started();
        peer->finish_at = at;
        cmdi_conn_feed(&peer->conn, wire, size);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, at);
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
        CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0);
        peer_free(peer);
    }
}

static void test_conn_fail_inside_a_frame(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, PEER_FRAMES);

    for (uint64_t at = 1; at <= 8; at++) {
        struct peer *peer = peer_started();
        peer->fail_at = at;
        cmdi_conn_feed(&peer->conn, wire, size);
        peer_append(peer, "x", 1);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, at);
        CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_LOST);
        CU_ASSERT_STRING_EQUAL(peer->conn.error_text, "said so");
        CU_ASSERT_EQUAL(peer->sent_size, 0);
        peer_free(peer);
    }
}

static int64_t end_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct peer *peer = peer_of(conn);
    int64_t used = peer_on_frame(conn, frame);
    if (conn->state == CMDI_CONN_CLOSING && peer->receiving) {
        peer_recv_done(peer, -ECANCELED); // It was all that the transport had in flight.
        CU_ASSERT_EQUAL(peer->closes, 1);
        CU_ASSERT_EQUAL(peer->closeds, 0); // We are on its stack.
    }
    return used;
}

static void test_conn_that_closes_inside_a_frame_is_there_until_its_end(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, PEER_FRAMES);
    struct cmdi_conn_ops ops = peer_server_ops;
    ops.on_frame = end_on_frame;
    struct peer *peer = peer_open(&ops);
    cmdi_conn_start(&peer->conn);
    peer->fail_at = 2;

    cmdi_conn_feed(&peer->conn, wire, size);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->frames, 2);
    CU_ASSERT_EQUAL(peer->closeds, 1);
    peer_free(peer);
}

static void fail_twice(struct peer *peer)
{
    cmdi_conn_fail(&peer->conn, CMDS_E_LOST, "first");
    cmdi_conn_fail(&peer->conn, CMDS_E_PROTO, "second");
    cmdi_conn_finish(&peer->conn);
    CU_ASSERT_EQUAL(peer->closings, 1);
    CU_ASSERT_EQUAL(peer->closeds, 0); // Never inside the call.
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_LOST);
    peer_free(peer);
}

static void test_conn_fails_in_every_state(void)
{
    fail_twice(peer_open(&peer_server_ops)); // Not started.
    fail_twice(peer_started());

    struct peer *peer = peer_started();
    peer_append(peer, "in flight", 9);
    peer_advance(peer);
    peer_append(peer, "in fill", 7);
    cmdi_conn_pause(&peer->conn);
    peer_advance(peer); // A send is in flight, and a receive that is being ended.
    CU_ASSERT(peer->sending != NULL && peer->receiving && peer->stopping);
    fail_twice(peer);

    peer = peer_started();
    peer_append(peer, "in flight", 9);
    peer_advance(peer);
    cmdi_conn_finish(&peer->conn);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_FINISHING);
    fail_twice(peer);

    peer = peer_started();
    cmdi_conn_finish(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    fail_twice(peer);
}

/* --- A client's beginning --------------------------------------------------------------------- */

static struct peer *client_connected(void)
{
    struct peer *peer = peer_open_timed(&peer_client_ops, 100);
    peer_append(peer, "early", 5); // Collected until the ServerInfo has come.
    peer_advance(peer);
    peer_open_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_SERVER_INFO);
    CU_ASSERT_PTR_NULL(peer->sending);
    return peer;
}

static void test_conn_client_sends_after_the_server_info(void)
{
    uint8_t wire[16] = {4, 'c', 'a', 'l', 'c'};
    size_t size = (size_t)(peer_put_frame(wire + 5, 1, 2) - wire);
    for (size_t cut = 0; cut <= size; cut++) {
        struct peer *peer = client_connected();
        cmdi_conn_feed(&peer->conn, wire, cut);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->sending != NULL, cut >= 5);
        cmdi_conn_feed(&peer->conn, wire + cut, size - cut);
        (void)peer_send_all(peer);
        CU_ASSERT_EQUAL(peer->frames, 1);
        CU_ASSERT_EQUAL(peer->sent_size, 5);
        peer_advance_ms(peer, 1000); // The ServerInfo's deadline is no more.
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
        peer_free(peer);
    }
}

static void test_conn_client_server_info_fails(void)
{
    struct peer *peer = client_connected();
    cmdi_conn_feed(&peer->conn, "\003abc", 4);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SERVER_INFO_MISMATCH);
    peer_free(peer);

    peer = client_connected();
    peer_advance_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TIMEOUT);
    peer_free(peer);

    peer = client_connected();
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_EOF);
    peer_free(peer);

    fail_twice(client_connected());
}

/* The server had answered and gone when it got what the client sent last. */
static void test_conn_client_reads_on_when_a_send_failed(void)
{
    static const int codes[][2] = {{-EPIPE, 0}, {-ECONNRESET, 0}, {-EPIPE, -ECONNRESET}};
    uint8_t wire[32] = {4, 'c', 'a', 'l', 'c'};
    uint8_t *second = peer_put_frame(wire + 5, 1, 2);
    size_t size = (size_t)(peer_put_frame(second, 2, 2) - second);
    for (size_t i = 0; i < 3; i++) {
        struct peer *peer = client_connected();
        cmdi_conn_feed(&peer->conn, wire, (size_t)(second - wire));
        peer_advance(peer);
        peer_send_done(peer, codes[i][0]);
        peer_append(peer, "late", 4);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
        CU_ASSERT_PTR_NULL(peer->sending);
        peer_advance_ms(peer, 900);

        cmdi_conn_feed(&peer->conn, second, size);
        peer_recv_done(peer, codes[i][1]);
        peer_advance(peer);

        CU_ASSERT_EQUAL(peer->frames, 2);
        CU_ASSERT_EQUAL(peer->eofs, 0);
        CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_EOF);
        CU_ASSERT_EQUAL(peer->counters.resets, 1);
        peer_free(peer);
    }
}

/* It has nothing to say, or nobody to say it to: it does not wait for more than there is. */
static void test_conn_client_does_not_read_on_for_ever(void)
{
    static const uint8_t wire[] = {4, 'c', 'a', 'l', 'c', 1};
    for (int how = 0; how < 4; how++) {
        struct peer *peer = client_connected();
        cmdi_conn_feed(&peer->conn, wire, how == 3 ? 6 : 5); // 3: inside a frame.
        peer_advance(peer);
        if (how == 1) {
            cmdi_conn_pause(&peer->conn);
        }
        peer_send_done(peer, -EPIPE);
        CU_ASSERT_EQUAL(peer->conn.error_code, how == 1 ? CMDS_E_EOF : 0);
        if (how == 0) {
            peer_pass_ms(peer, 1100); // Neither a byte nor the end.
        } else if (how == 2) {
            cmdi_conn_finish(&peer->conn);
        } else if (how == 3) {
            peer_recv_done(peer, 0);
            peer_advance(peer);
        }
        CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_EOF);
        CU_ASSERT_EQUAL(peer->counters.proto_errors + peer->counters.slow_consumers, 0);
        peer_free(peer);
    }
}

static void test_conn_client_connect_fails(void)
{
    struct peer *peer = peer_open(&peer_client_ops);
    peer_open_done(peer, -ECONNREFUSED);
    CU_ASSERT_EQUAL(peer->open_code, -ECONNREFUSED);
    peer_advance(peer);
    peer_free(peer);

    peer = peer_open(&peer_client_ops);
    peer->open_code = 1;
    fail_twice(peer); // While it connects: on_open is not called any more.
}

CU_TestInfo test_conn[] = {
        {"output survives every short send", test_conn_output_survives_every_short_send},
        {"sends once a turn", test_conn_sends_once_a_turn},
        {"large output goes in pieces", test_conn_large_output_goes_in_pieces},
        {"bound and low mark", test_conn_bound_and_low_mark},
        {"bound counts what others have queued", test_conn_bound_counts_what_others_have_queued},
        {"queue of others has half and the rest", test_conn_queue_of_others_has_half_and_the_rest},
        {"flush in mid-turn keeps the order", test_conn_flush_in_mid_turn_keeps_the_order},
        {"flush in mid-turn tells the low mark", test_conn_flush_in_mid_turn_tells_the_low_mark},
        {"send error closes", test_conn_send_error_closes},
        {"finish sends, shuts and lingers", test_conn_finish_sends_shuts_and_lingers},
        {"linger ends by its deadline", test_conn_linger_ends_by_its_deadline},
        {"finish after eof closes at once", test_conn_finish_after_eof_closes_at_once},
        {"finish inside a frame runs no more", test_conn_finish_inside_a_frame_runs_no_more},
        {"fail inside a frame", test_conn_fail_inside_a_frame},
        {"that closes inside a frame is there until its end",
                test_conn_that_closes_inside_a_frame_is_there_until_its_end},
        {"fails in every state", test_conn_fails_in_every_state},
        {"client sends after the ServerInfo", test_conn_client_sends_after_the_server_info},
        {"client ServerInfo fails", test_conn_client_server_info_fails},
        {"client reads on when a send failed", test_conn_client_reads_on_when_a_send_failed},
        {"client does not read on for ever", test_conn_client_does_not_read_on_for_ever},
        {"client connect fails", test_conn_client_connect_fails},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn", test_conn)
