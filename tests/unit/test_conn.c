/* SPDX-License-Identifier: MIT */
/*
 * A connection, over a transport that the test plays. TCP cuts frames anywhere; a peer may claim a
 * length and never send it, stop reading, stop sending, finish half-way; the owner may pause, fail
 * or finish it inside any callback. In all of that no byte may be lost, doubled or reordered, every
 * operation is counted, and the end is told once. Time is a number, and a completion is a call.
 */
#include "conn/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/peer.h"

/* --- Input ------------------------------------------------------------------------------------ */

static void test_conn_frames_survive_every_cut(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, 8);

    for (size_t cut = 0; cut <= size; cut++) {
        struct peer *peer = peer_started();
        cmdi_conn_feed(&peer->conn, wire, cut);
        peer_advance(peer);
        cmdi_conn_feed(&peer->conn, wire + cut, size - cut);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, 8);
        CU_ASSERT_EQUAL(peer->ping_count, 2);
        CU_ASSERT_PTR_NULL(peer->conn.stash.data);
        peer_free(peer);
    }
}

static void test_conn_frames_come_byte_by_byte(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, PEER_FRAMES);
    struct peer *peer = peer_started();

    for (size_t i = 0; i < size; i++) {
        cmdi_conn_feed(&peer->conn, wire + i, 1);
        peer_advance(peer);
    }

    CU_ASSERT_EQUAL(peer->frames, PEER_FRAMES);
    CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0); // Idle: it owns nothing.
    peer_free(peer);
}

static void test_conn_stash_grows_by_what_came(void)
{
    static uint8_t wire[1024 * 1024 + CMDI_FRAME_HEADER_MAX];
    size_t size = (size_t)(peer_put_frame(wire, 1, 1024 * 1024) - wire);
    struct peer *peer = peer_started();
    size_t at = 0;

    for (size_t piece = 20; at < size; at += piece) {
        piece = at + piece * 3 < size ? piece * 3 : size - at;
        cmdi_conn_feed(&peer->conn, wire + at, piece);
        CU_ASSERT(peer->conn.stash.capacity <= 2 * (at + piece) ||
                  peer->conn.stash.capacity == CMDI_BUFFER_SIZE_MIN);
        peer_advance(peer);
    }

    CU_ASSERT_EQUAL(peer->frames, 1);
    peer_free(peer);
}

static void test_conn_refuses_a_length_before_its_body(void)
{
    uint8_t wire[CMDI_FRAME_HEADER_MAX];
    struct peer *peer = peer_started();
    peer->limits.frame_size_max = 1000;
    size_t size = (size_t)(cmdi_frame_header_encode(wire, 1, 5, 1001, false) - wire);

    cmdi_conn_feed(&peer->conn, wire, size);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(peer->frames, 0);
    CU_ASSERT_EQUAL(peer->shard->stats.proto_errors, 1);
    peer_free(peer);
}

static void test_conn_refuses_behind_its_answers(void)
{
    uint8_t wire[64];
    uint8_t *end = peer_put_frame(wire, 1, 3);
    end = cmdi_frame_header_encode(end, 2, 5, 1001, false);
    struct peer *peer = peer_started();
    peer->limits.frame_size_max = 1000;
    peer->limits.answers_first = true;
    cmdi_conn_feed(&peer->conn, wire, (size_t)(end - wire));
    peer_append(peer, "answer", 6);

    CU_ASSERT_EQUAL(peer_send_all(peer), 1);

    CU_ASSERT_EQUAL(peer->frames, 1);
    CU_ASSERT_EQUAL(peer->sent_size, 6);
    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LIMIT);
    peer_free(peer);
}

static void test_conn_refuses_what_is_no_header(void)
{
    static const uint8_t wire[11] = {
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct peer *peer = peer_started();

    cmdi_conn_feed(&peer->conn, wire, sizeof(wire));
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_PROTO);
    peer_free(peer);
}

static void test_conn_without_memory_fails_alone(void)
{
    uint8_t wire[64];
    (void)peer_put_frame(wire, 1, sizeof(wire) - 3);
    struct peer *peer = peer_started();
    peer->shard->buffers.account.size_max = 4095;

    cmdi_conn_feed(&peer->conn, wire, 10);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(peer->shard->stats.out_of_memory, 1);
    peer_free(peer);
}

/* The one with a flood and the one with a single frame, which has to come within one budget. */
static uint64_t frames_before_other;
static struct peer *flooding;

static int64_t on_frame_of_other(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    frames_before_other = flooding->frames + flooding->ping_count;
    return peer_on_frame(conn, frame);
}

static void test_conn_budget_lets_others_in(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    struct cmdi_conn_ops other_ops = peer_server_ops;
    struct peer *peer = peer_started();
    struct peer *other = malloc(sizeof(*other));
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    other_ops.on_frame = on_frame_of_other;
    peer_init(other, peer->shard, &other_ops);
    cmdi_conn_start(&other->conn);
    flooding = peer;
    size_t size = peer_mixed_frames(wire, 500);

    cmdi_conn_feed(&peer->conn, wire, size);
    cmdi_conn_feed(&other->conn, wire, (size_t)(peer_put_frame(wire, 1, 1) - wire));
    peer_advance(peer);

    CU_ASSERT_EQUAL(frames_before_other, CMDI_SHARD_FRAMES_PER_RUN);
    CU_ASSERT_EQUAL(peer->frames, 500);
    CU_ASSERT_EQUAL(other->frames, 1);
    cmdi_conn_fail(&other->conn, CMDS_E_CLOSED, "done");
    peer_end_operations(other);
    CU_ASSERT_EQUAL(other->closeds, 1);
    free(other->sent);
    free(other);
    peer_free(peer);
}

static void test_conn_pause_loses_nothing(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, PEER_FRAMES);

    for (uint64_t at = 1; at <= PEER_FRAMES; at++) {
        struct peer *peer = peer_started();
        peer->pause_at = at;
        cmdi_conn_feed(&peer->conn, wire, size / 2);
        peer_advance(peer);
        cmdi_conn_feed(&peer->conn, wire + size / 2, size - size / 2);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, at);
        CU_ASSERT_EQUAL(peer->stops, 1); // What is not read stays with the peer.
        peer_recv_done(peer, -ECANCELED);
        peer_advance(peer);
        CU_ASSERT_FALSE(peer->receiving);

        cmdi_conn_resume(&peer->conn);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, PEER_FRAMES);
        CU_ASSERT_TRUE(peer->receiving);
        peer_free(peer);
    }
}

static void test_conn_stop_that_failed_is_tried_again(void)
{
    struct peer *peer = peer_started();
    cmdi_conn_pause(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->stops, 1);

    peer->stopping = false; // The cancel found nothing.
    cmdi_conn_ready(&peer->conn);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->stops, 2);
    peer_free(peer);
}

static void test_conn_resumes_while_the_cancel_is_under_way(void)
{
    struct peer *peer = peer_started();
    cmdi_conn_pause(&peer->conn);
    peer_advance(peer);
    cmdi_conn_resume(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->recvs, 1);

    peer_recv_done(peer, -ECANCELED);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->recvs, 2);
    CU_ASSERT_TRUE(peer->receiving);
    peer_free(peer);
}

static void test_conn_eof_comes_after_the_frames(void)
{
    static uint8_t wire[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(wire, PEER_FRAMES);
    struct peer *peer = peer_started();
    peer->pause_at = 3;
    cmdi_conn_feed(&peer->conn, wire, size);
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->eofs, 0); // It stands behind frames that have not run.

    cmdi_conn_resume(&peer->conn);
    peer_advance(peer);
    cmdi_conn_ready(&peer->conn);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->frames, PEER_FRAMES);
    CU_ASSERT_EQUAL(peer->eofs, 1);
    CU_ASSERT_EQUAL(peer->conn.error.code, 0);
    CU_ASSERT_EQUAL(peer->recvs, 1);
    peer_free(peer);
}

static void test_conn_eof_inside_a_frame_is_an_error(void)
{
    uint8_t wire[64];
    size_t size = (size_t)(peer_put_frame(wire, 1, 10) - wire);
    struct peer *peer = peer_started();

    cmdi_conn_feed(&peer->conn, wire, size - 1);
    peer_recv_done(peer, 0);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->eofs, 1);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_PROTO);
    peer_free(peer);
}

static void test_conn_recv_error_closes(void)
{
    struct peer *peer = peer_started();
    peer_recv_done(peer, -ECONNRESET);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_EOF);
    peer_free(peer);

    peer = peer_started();
    peer_recv_done(peer, -ETIMEDOUT);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, -ETIMEDOUT);
    peer_free(peer);

    peer = peer_started();
    peer_recv_done(peer, -EINTR); // It passes.
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(peer->recvs, 2);
    peer_free(peer);
}

static void test_conn_stopped_input_ends_like_eof(void)
{
    uint8_t wire[64];
    size_t size = (size_t)(peer_put_frame(peer_put_frame(wire, 1, 3), 2, 3) - wire);
    struct peer *peer = peer_started();
    cmdi_conn_feed(&peer->conn, wire, size);
    cmdi_conn_stop_input(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->frames, 2);
    CU_ASSERT_EQUAL(peer->eofs, 0);

    peer_recv_done(peer, -ECANCELED);
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->eofs, 1);
    CU_ASSERT_FALSE(peer->receiving);
    peer_free(peer);
}

/* --- Self-delimiting -------------------------------------------------------------------------- */

enum {
    TYPE_EMPTY = 6, // It has no body; that of others is a byte that says how many follow.
};

static uint32_t tries; // How often a frame was looked at.

static int64_t on_self_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct peer *peer = peer_of(conn);
    tries++;
    size_t need = frame->type == TYPE_EMPTY ? 0 : frame->body_size == 0 ? 1 : 1u + frame->body[0];
    if (frame->body_size >= need) {
        peer->frames++;
        peer->wrong = peer->wrong || frame->sequence != peer->frames;
    }
    return (int64_t)need;
}

static const struct cmdi_conn_ops self_ops = {
        .on_frame = on_self_frame,
        .on_ping = peer_on_ping,
        .on_eof = peer_on_eof,
        .on_closing = peer_on_closing,
        .on_closed = peer_on_closed,
};

static void test_conn_self_delimiting_survives_every_cut(void)
{
    uint8_t wire[256];
    uint8_t *end = wire;
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        end = cmdi_frame_header_encode(end, sequence, 5, 0, true);
        *end = (uint8_t)(sequence * 7);
        memset(end + 1, 0xab, sequence * 7);
        end += 1 + sequence * 7;
    }
    end = cmdi_frame_header_encode(end, 6, TYPE_EMPTY, 0, true);
    size_t size = (size_t)(end - wire);

    for (size_t cut = 0; cut <= size; cut++) {
        struct peer *peer = peer_open(&self_ops);
        peer->limits.self_delimiting = true;
        cmdi_conn_start(&peer->conn);
        cmdi_conn_feed(&peer->conn, wire, cut);
        peer_advance(peer);
        cmdi_conn_feed(&peer->conn, wire + cut, size - cut);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, 6);
        peer_free(peer);
    }
}

static void test_conn_self_delimiting_waits_for_what_is_missing(void)
{
    uint8_t wire[256] = {0};
    uint8_t *body = cmdi_frame_header_encode(wire, 1, 5, 0, true);
    struct peer *peer = peer_open(&self_ops);
    peer->limits.self_delimiting = true;
    cmdi_conn_start(&peer->conn);
    *body = 200;
    tries = 0;

    for (size_t i = 0; i < (size_t)(body - wire) + 201; i++) {
        CU_ASSERT_EQUAL(peer->frames, 0);
        CU_ASSERT_EQUAL(peer->conn.place != NULL, i >= (size_t)(body - wire)); // While it is cut.
        cmdi_conn_feed(&peer->conn, wire + i, 1);
        peer_advance(peer);
    }

    CU_ASSERT_EQUAL(peer->frames, 1);
    CU_ASSERT_PTR_NULL(peer->conn.place);
    CU_ASSERT_EQUAL(tries, 3); // Behind the header, behind the byte that says how many, at the end.
    peer_free(peer);
}

static void test_conn_self_delimiting_keeps_the_limit(void)
{
    uint8_t wire[256] = {0};
    uint8_t *body = cmdi_frame_header_encode(wire, 1, 5, 0, true);

    for (uint8_t over = 0; over <= 1; over++) {
        struct peer *peer = peer_open(&self_ops);
        peer->limits.self_delimiting = true;
        peer->limits.frame_size_max = 100;
        cmdi_conn_start(&peer->conn);
        *body = (uint8_t)(99 + over);
        cmdi_conn_feed(&peer->conn, wire, (size_t)(body - wire) + 100u + over);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, over ? 0 : 1);
        CU_ASSERT_EQUAL(peer->conn.error.code, over ? CMDS_E_LIMIT : 0);
        peer_free(peer);
    }
}

/* --- Output ----------------------------------------------------------------------------------- */

/* `size` bytes, each the next number. */
static void append_numbers(struct peer *peer, size_t *next, size_t size)
{
    int error = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &error);
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
        CU_ASSERT_EQUAL(peer->shard->stats.send_bytes, 65);
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
    CU_ASSERT_EQUAL(peer->shard->stats.short_sends, 0);
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
    CU_ASSERT_EQUAL(peer->shard->stats.short_sends, 1); // What send_now did not take.
    peer_free(peer);
}

static void test_conn_bound_and_low_mark(void)
{
    struct peer *peer = peer_started();
    uint8_t data[4096] = {0};
    int error = 0;
    peer->limits.output_size_max = 8192;
    peer_append(peer, data, 4095);
    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 100000, &error)); // Below half: any size.
    peer_append(peer, data, 1);

    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 4096, &error));
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 4097, &error));
    CU_ASSERT_EQUAL(error, -ENOBUFS);
    peer_append(peer, data, 4096);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &error));
    peer_advance(peer);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &error)); // What is in flight counts.

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
    int error = 0;
    peer->limits.output_size_max = 64 * 1024;
    append_numbers(peer, &next, 40 * 1024);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 30 * 1024, &error));
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
        CU_ASSERT_EQUAL(peer->conn.error.code, codes[i][1]);
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
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_CLOSED);
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
        CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LOST);
        CU_ASSERT_STRING_EQUAL(peer->conn.error.text, "said so");
        CU_ASSERT_EQUAL(peer->sent_size, 0);
        peer_free(peer);
    }
}

static void fail_twice(struct peer *peer)
{
    cmdi_conn_fail(&peer->conn, CMDS_E_LOST, "first");
    cmdi_conn_fail(&peer->conn, CMDS_E_PROTO, "second");
    cmdi_conn_finish(&peer->conn);
    CU_ASSERT_EQUAL(peer->closings, 1);
    CU_ASSERT_EQUAL(peer->closeds, 0); // Never inside the call.
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LOST);
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

static void on_open(struct cmdi_conn *conn, int code)
{
    peer_of(conn)->open_code = code;
    if (code < 0) {
        cmdi_conn_fail(conn, code, "connect");
    } else {
        cmdi_conn_start(conn);
    }
}

static int on_server_info(struct cmdi_conn *conn, struct cmds_bytes info)
{
    (void)conn;
    return info.size == 4 && memcmp(info.data, "calc", 4) == 0 ? 0 : CMDS_E_SERVER_INFO_MISMATCH;
}

static const struct cmdi_conn_ops client_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_open = on_open,
        .on_server_info = on_server_info,
        .on_output_low = peer_on_output_low,
        .on_eof = peer_on_eof,
        .on_closing = peer_on_closing,
        .on_closed = peer_on_closed,
};

static struct peer *client_connected(void)
{
    struct peer *peer = peer_open(&client_ops);
    peer->limits.server_info_timeout_ms = 100;
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
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_SERVER_INFO_MISMATCH);
    peer_free(peer);

    peer = client_connected();
    peer_advance_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_TIMEOUT);
    peer_free(peer);

    peer = client_connected();
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_EOF);
    peer_free(peer);

    fail_twice(client_connected());
}

static void test_conn_client_connect_fails(void)
{
    struct peer *peer = peer_open(&client_ops);
    peer_open_done(peer, -ECONNREFUSED);
    CU_ASSERT_EQUAL(peer->open_code, -ECONNREFUSED);
    peer_advance(peer);
    peer_free(peer);

    peer = peer_open(&client_ops);
    peer->open_code = 1;
    fail_twice(peer); // While it connects: on_open is not called any more.
}

/* --- Time ------------------------------------------------------------------------------------- */

static void expect_timeout(struct peer *peer, uint64_t ms, int code)
{
    peer_advance_ms(peer, ms - 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_advance_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error.code, code);
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
    peer_advance_ms(peer, 99);
    cmdi_conn_feed(&peer->conn, "", 1); // A ping is a sign of life.
    expect_timeout(peer, 100, CMDS_E_IDLE);

    peer = peer_open(&peer_server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer->busy = true;
    peer_advance_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer->busy = false;
    peer_advance_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->shard->stats.idle_closes, 1);
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
        peer_advance_ms(peer, 10);
    }
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(peer->frames, 1);
    for (size_t i = size / 2 + 1; i < size - 1; i++) { // Drops do not keep it alive.
        peer_advance_ms(peer, 30);
        cmdi_conn_feed(&peer->conn, wire + i, 1);
    }
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(peer->shard->stats.frame_timeouts, 1);
    peer_free(peer);

    peer = peer_open(&peer_server_ops); // While it is paused, the time is not the peer's.
    peer->limits.frame_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    cmdi_conn_feed(&peer->conn, wire, 3);
    peer_advance(peer);
    cmdi_conn_pause(&peer->conn);
    peer_advance(peer);
    peer_advance_ms(peer, 1000);
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
    peer_advance_ms(peer, 99);
    peer_send_done(peer, 4096); // Progress: the time begins anew when it is found.
    peer_advance_ms(peer, 4);
    peer_advance_ms(peer, 99);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_send_done(peer, 4095); // Less in that time is none: a byte now and then holds nothing.
    peer_advance_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_SLOW_PEER);
    CU_ASSERT_EQUAL(peer->shard->stats.slow_consumers, 1);
    peer_free(peer);

    peer = peer_open(
            &peer_server_ops); // In order or not: a peer that takes nothing cannot hold it.
    peer->limits.write_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer_append(peer, "0123456789", 10);
    cmdi_conn_finish(&peer->conn);
    peer_advance(peer);
    peer_advance_ms(peer, 101);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_SLOW_PEER);
    peer_free(peer);
}

static void test_conn_server_info_has_to_leave(void)
{
    struct peer *peer = peer_open(&peer_server_ops);
    peer->limits.server_info_timeout_ms = 100;
    peer_append(peer, "\004calc", 5);
    cmdi_conn_start(&peer->conn);
    expect_timeout(peer, 100, CMDS_E_TIMEOUT);

    peer = peer_open(&peer_server_ops);
    peer->limits.server_info_timeout_ms = 100;
    peer_append(peer, "\004calc", 5);
    cmdi_conn_start(&peer->conn);
    (void)peer_send_all(peer);
    peer_advance_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_free(peer);
}

CU_TestInfo test_conn[] = {
        {"frames survive every cut", test_conn_frames_survive_every_cut},
        {"frames come byte by byte", test_conn_frames_come_byte_by_byte},
        {"stash grows by what came", test_conn_stash_grows_by_what_came},
        {"refuses a length before its body", test_conn_refuses_a_length_before_its_body},
        {"refuses behind its answers", test_conn_refuses_behind_its_answers},
        {"refuses what is no header", test_conn_refuses_what_is_no_header},
        {"without memory fails alone", test_conn_without_memory_fails_alone},
        {"budget lets others in", test_conn_budget_lets_others_in},
        {"pause loses nothing", test_conn_pause_loses_nothing},
        {"stop that failed is tried again", test_conn_stop_that_failed_is_tried_again},
        {"resumes while the cancel is under way", test_conn_resumes_while_the_cancel_is_under_way},
        {"eof comes after the frames", test_conn_eof_comes_after_the_frames},
        {"eof inside a frame is an error", test_conn_eof_inside_a_frame_is_an_error},
        {"recv error closes", test_conn_recv_error_closes},
        {"stopped input ends like eof", test_conn_stopped_input_ends_like_eof},
        {"self-delimiting survives every cut", test_conn_self_delimiting_survives_every_cut},
        {"self delimiting waits for what is missing",
                test_conn_self_delimiting_waits_for_what_is_missing},
        {"self-delimiting keeps the limit", test_conn_self_delimiting_keeps_the_limit},
        {"output survives every short send", test_conn_output_survives_every_short_send},
        {"sends once a turn", test_conn_sends_once_a_turn},
        {"large output goes in pieces", test_conn_large_output_goes_in_pieces},
        {"bound and low mark", test_conn_bound_and_low_mark},
        {"flush in mid-turn keeps the order", test_conn_flush_in_mid_turn_keeps_the_order},
        {"flush in mid-turn tells the low mark", test_conn_flush_in_mid_turn_tells_the_low_mark},
        {"send error closes", test_conn_send_error_closes},
        {"finish sends, shuts and lingers", test_conn_finish_sends_shuts_and_lingers},
        {"linger ends by its deadline", test_conn_linger_ends_by_its_deadline},
        {"finish after eof closes at once", test_conn_finish_after_eof_closes_at_once},
        {"finish inside a frame runs no more", test_conn_finish_inside_a_frame_runs_no_more},
        {"fail inside a frame", test_conn_fail_inside_a_frame},
        {"fails in every state", test_conn_fails_in_every_state},
        {"client sends after the ServerInfo", test_conn_client_sends_after_the_server_info},
        {"client ServerInfo fails", test_conn_client_server_info_fails},
        {"client connect fails", test_conn_client_connect_fails},
        {"idle ends it", test_conn_idle_ends_it},
        {"frame has to get whole", test_conn_frame_has_to_get_whole},
        {"write has to go on", test_conn_write_has_to_go_on},
        {"ServerInfo has to leave", test_conn_server_info_has_to_leave},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn", test_conn)
