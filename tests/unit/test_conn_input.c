/* SPDX-License-Identifier: MIT */
/*
 * Input of a connection over a transport that waits to be told. Frames may be cut at every byte, a
 * peer may lie about lengths or finish inside a frame, and the owner may pause at every frame: none
 * is lost, none is run twice, and nothing is leased for what has not come.
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
        CU_ASSERT_PTR_NULL(peer->conn.more->stash.data);
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
        CU_ASSERT(peer->conn.more->stash.capacity <= 2 * (at + piece) ||
                  peer->conn.more->stash.capacity == CMDI_BUFFER_SIZE_MIN);
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

    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(peer->frames, 0);
    CU_ASSERT_EQUAL(peer->counters.proto_errors, 1);
    peer_free(peer);
}

static void test_conn_refuses_behind_its_answers(void)
{
    uint8_t wire[64];
    uint8_t *end = peer_put_frame(wire, 1, 3);
    end = cmdi_frame_header_encode(end, 2, 5, 1001, false);
    struct cmdi_conn_ops ops = peer_server_ops;
    ops.answers_first = true;
    struct peer *peer = peer_open(&ops);
    peer->limits.frame_size_max = 1000;
    cmdi_conn_start(&peer->conn);
    cmdi_conn_feed(&peer->conn, wire, (size_t)(end - wire));
    peer_append(peer, "answer", 6);

    CU_ASSERT_EQUAL(peer_send_all(peer), 1);

    CU_ASSERT_EQUAL(peer->frames, 1);
    CU_ASSERT_EQUAL(peer->sent_size, 6);
    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_LIMIT);
    peer_free(peer);
}

static void test_conn_refuses_what_is_no_header(void)
{
    static const uint8_t wire[11] = {
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct peer *peer = peer_started();

    cmdi_conn_feed(&peer->conn, wire, sizeof(wire));
    peer_advance(peer);

    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_PROTO);
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

    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(peer->counters.out_of_memory, 1);
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
    cmdi_conn_fini(&other->conn);
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

static uint64_t arrived_ms[3];

static int64_t on_frame_that_arrived(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    if (frame->sequence <= 3) {
        arrived_ms[frame->sequence - 1] = conn->more->arrived_ns / 1000000;
    }
    return peer_on_frame(conn, frame);
}

static void test_conn_knows_when_a_frame_arrived(void)
{
    uint8_t wire[64];
    uint8_t *first_end = peer_put_frame(wire, 1, 10);
    size_t size = (size_t)(peer_put_frame(first_end, 2, 5) - wire);
    struct cmdi_conn_ops ops = peer_server_ops;
    ops.on_frame = on_frame_that_arrived;
    struct peer *peer = peer_open(&ops);
    cmdi_conn_start(&peer->conn);

    peer_advance_ms(peer, 5);
    cmdi_conn_feed(&peer->conn, wire, 4);
    peer_advance_ms(peer, 4);
    cmdi_conn_feed(&peer->conn, wire + 4, (size_t)(first_end - wire) - 4);
    peer_advance(peer);
    CU_ASSERT_EQUAL(arrived_ms[0], 9); // The last of its bytes.

    cmdi_conn_pause(&peer->conn);
    cmdi_conn_feed(&peer->conn, first_end, size - (size_t)(first_end - wire));
    peer_advance_ms(peer, 50);
    cmdi_conn_resume(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(arrived_ms[1], 9); // It was here long before it ran.
    peer_free(peer);
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
    CU_ASSERT_EQUAL(peer->conn.error_code, 0);
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
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_PROTO);
    peer_free(peer);
}

static void test_conn_recv_error_closes(void)
{
    struct peer *peer = peer_started();
    peer_recv_done(peer, -ECONNRESET);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_EOF);
    peer_free(peer);

    peer = peer_started();
    peer_recv_done(peer, -ETIMEDOUT);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error_code, -ETIMEDOUT);
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
        bool is_cut = i >= (size_t)(body - wire);
        CU_ASSERT_EQUAL(peer->conn.more->place != NULL, is_cut);
        cmdi_conn_feed(&peer->conn, wire + i, 1);
        peer_advance(peer);
    }

    CU_ASSERT_EQUAL(peer->frames, 1);
    CU_ASSERT_PTR_NULL(peer->conn.more->place);
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
        CU_ASSERT_EQUAL(peer->conn.error_code, over ? CMDS_E_LIMIT : 0);
        peer_free(peer);
    }
}

CU_TestInfo test_conn_input[] = {
        {"frames survive every cut", test_conn_frames_survive_every_cut},
        {"frames come byte by byte", test_conn_frames_come_byte_by_byte},
        {"stash grows by what came", test_conn_stash_grows_by_what_came},
        {"refuses a length before its body", test_conn_refuses_a_length_before_its_body},
        {"refuses behind its answers", test_conn_refuses_behind_its_answers},
        {"refuses what is no header", test_conn_refuses_what_is_no_header},
        {"without memory fails alone", test_conn_without_memory_fails_alone},
        {"budget lets others in", test_conn_budget_lets_others_in},
        {"pause loses nothing", test_conn_pause_loses_nothing},
        {"knows when a frame arrived", test_conn_knows_when_a_frame_arrived},
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
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_input", test_conn_input)
