/* SPDX-License-Identifier: MIT */
/*
 * A connection, over a transport that the test plays. TCP cuts frames anywhere; a peer may claim a
 * length and never send it, stop reading, stop sending, finish half-way; the owner may pause, fail
 * or finish it inside any callback; other threads append to it while it closes. In all of that no
 * byte may be lost, doubled or reordered, every operation is counted, and the end is told once.
 *
 * The shard is manual: time is a number, and a completion is a call. The last tests run over a real
 * ring with tiny buffers, since slices exist only there.
 */
#include "conn/input.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/harness.h"

enum {
    SENT_MAX = 4 * 1024 * 1024,
    MIXED_FRAMES = 40,
    MIXED_SIZE_MAX = 64 * 1024,
    ROUNDS_MAX = 1000,
};

/* A connection, what its transport was asked for, and what its owner was told. */
struct peer {
    struct cmdi_conn conn;
    struct cmdi_shard *shard;
    struct cmdi_conn_limits limits;

    const uint8_t *sending; // Copied when the send completes: until then it has to stay.
    size_t sending_size;
    uint8_t *sent;
    size_t sent_size;
    int64_t now_takes; // What send_now returns at most.
    bool connecting, receiving;
    uint32_t recvs, cancels, cancels_due, shuts, aborts, closes;

    uint64_t frames; // The last sequence that was run: they come as 1, 2, 3...
    uint64_t pause_at, fail_at, finish_at, ping_count;
    uint32_t lows, eofs, closings, closeds, runs;
    uint64_t foreign_next[4]; // Of each thread, the number that comes next.
    bool wrong;               // A frame or a record was not the one expected.
    bool busy, told_inside;
    int connect_error;
};

static struct peer *peer_of(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct peer, conn);
}

/* --- A transport that waits to be told -------------------------------------------------------- */

static void fake_connect(struct cmdi_conn *conn, const struct cmdi_address *address)
{
    (void)address;
    peer_of(conn)->connecting = true;
}

static void fake_recv(struct cmdi_conn *conn, bool poll_first)
{
    (void)poll_first;
    CMDI_ASSERT(!peer_of(conn)->receiving);
    peer_of(conn)->receiving = true;
    peer_of(conn)->recvs++;
}

static void fake_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct peer *peer = peer_of(conn);
    CMDI_ASSERT(peer->sending == NULL && size > 0);
    peer->sending = data;
    peer->sending_size = size;
}

static void peer_keep(struct peer *peer, const uint8_t *data, size_t size)
{
    CMDI_ASSERT(peer->sent_size + size <= SENT_MAX);
    memcpy(peer->sent + peer->sent_size, data, size);
    peer->sent_size += size;
}

static int64_t fake_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct peer *peer = peer_of(conn);
    CMDI_ASSERT(peer->sending == NULL);
    if (peer->now_takes <= 0) {
        return peer->now_takes;
    }
    size_t take = (size_t)peer->now_takes < size ? (size_t)peer->now_takes : size;
    peer_keep(peer, data, take);
    return (int64_t)take;
}

static void fake_recv_cancel(struct cmdi_conn *conn)
{
    peer_of(conn)->cancels++;
    peer_of(conn)->cancels_due++;
}

static void fake_shut_write(struct cmdi_conn *conn)
{
    CMDI_ASSERT(peer_of(conn)->sending == NULL);
    peer_of(conn)->shuts++;
}

static void fake_abort(struct cmdi_conn *conn)
{
    peer_of(conn)->aborts++;
}

static void fake_close(struct cmdi_conn *conn)
{
    const struct peer *peer = peer_of(conn);
    CMDI_ASSERT(peer->sending == NULL && !peer->receiving && !peer->connecting &&
                peer->cancels_due == 0);
    peer_of(conn)->closes++;
}

static const struct cmdi_transport fake_transport = {
        .connect = fake_connect,
        .recv = fake_recv,
        .send = fake_send,
        .send_now = fake_send_now,
        .recv_cancel = fake_recv_cancel,
        .shut_write = fake_shut_write,
        .abort = fake_abort,
        .close = fake_close,
};

/* --- An owner that looks ---------------------------------------------------------------------- */

static uint8_t body_byte(uint64_t sequence, size_t i)
{
    return (uint8_t)(sequence * 31 + i);
}

static int64_t on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct peer *peer = peer_of(conn);
    peer->frames++;
    peer->wrong = peer->wrong || frame->sequence != peer->frames || conn->paused;
    for (size_t i = 0; i < frame->body_size; i++) {
        peer->wrong = peer->wrong || frame->body[i] != body_byte(frame->sequence, i);
    }
    if (peer->frames == peer->pause_at) {
        cmdi_conn_pause(conn);
    }
    if (peer->frames == peer->finish_at) {
        cmdi_conn_finish(conn);
    }
    if (peer->frames == peer->fail_at) {
        cmdi_conn_fail(conn, CMDS_E_LOST, "said so");
        peer->told_inside = peer->closeds > 0;
    }
    return (int64_t)frame->body_size;
}

static int on_ping(struct cmdi_conn *conn)
{
    peer_of(conn)->ping_count++;
    return 0;
}

static void on_output_low(struct cmdi_conn *conn)
{
    peer_of(conn)->lows++;
}

static void on_eof(struct cmdi_conn *conn)
{
    peer_of(conn)->eofs++;
}

static bool is_busy(const struct cmdi_conn *conn)
{
    return ((const struct peer *)(const void *)conn)->busy; // The connection is its first member.
}

static void on_closing(struct cmdi_conn *conn)
{
    peer_of(conn)->closings++;
}

static void on_closed(struct cmdi_conn *conn)
{
    peer_of(conn)->closeds++;
}

static const struct cmdi_conn_ops server_ops = {
        .on_frame = on_frame,
        .on_ping = on_ping,
        .on_output_low = on_output_low,
        .on_eof = on_eof,
        .is_busy = is_busy,
        .on_closing = on_closing,
        .on_closed = on_closed,
};

/* --- Set-up ----------------------------------------------------------------------------------- */

static const struct cmdi_conn_limits limits_usual = {
        .frame_size_max = 4 * 1024 * 1024,
        .output_size_max = 1024 * 1024,
        .hello_timeout_ms = CMDS_NEVER,
        .frame_timeout_ms = CMDS_NEVER,
        .write_timeout_ms = CMDS_NEVER,
        .idle_timeout_ms = CMDS_NEVER,
        .linger_timeout_ms = 1000,
};

static struct cmdi_shard *manual_shard(void)
{
    struct cmdi_shard_options options = {.cpu = -1, .manual = true, .memory_size_max = 1 << 30};
    struct cmdi_shard *shard = NULL;
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&shard, &options, NULL), 0);
    CU_ASSERT_PTR_NULL(cmdi_shard_set_current(shard));
    return shard;
}

static void peer_init(struct peer *peer, struct cmdi_shard *shard, const struct cmdi_conn_ops *ops)
{
    *peer = (struct peer){.shard = shard, .limits = limits_usual, .now_takes = SENT_MAX};
    peer->sent = malloc(SENT_MAX);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->sent);
    CU_ASSERT_EQUAL_FATAL(
            cmdi_conn_init(&peer->conn, shard, ops, &fake_transport, &peer->limits, -1), 0);
}

static struct peer *peer_open(const struct cmdi_conn_ops *ops)
{
    struct peer *peer = malloc(sizeof(*peer));
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    peer_init(peer, manual_shard(), ops);
    return peer;
}

/* One of server_ops whose receive is armed. */
static struct peer *peer_started(void)
{
    struct peer *peer = peer_open(&server_ops);
    cmdi_conn_start(&peer->conn);
    return peer;
}

static void advance(struct peer *peer)
{
    cmdi_shard_advance(peer->shard, peer->shard->now_ns);
}

static void advance_ms(struct peer *peer, uint64_t ms)
{
    cmdi_shard_advance(peer->shard, peer->shard->now_ns + ms * 1000000);
}

static void send_done(struct peer *peer, int32_t result)
{
    if (result > 0) {
        peer_keep(peer, peer->sending, (size_t)result);
    }
    peer->sending = NULL;
    cmdi_conn_on_send(&peer->conn, result);
}

static void recv_done(struct peer *peer, int32_t result)
{
    CU_ASSERT_TRUE_FATAL(peer->receiving);
    peer->receiving = false;
    cmdi_conn_on_recv(&peer->conn, &(struct cmdi_completion){.result = result});
}

/* What the kernel would complete after the transport's abort. */
static void end_operations(struct peer *peer)
{
    for (uint32_t i = 0; i < ROUNDS_MAX && peer->conn.state == CMDI_CONN_CLOSING; i++) {
        if (peer->sending != NULL) {
            send_done(peer, -ECANCELED);
        } else if (peer->receiving) {
            recv_done(peer, -ECANCELED);
        } else if (peer->cancels_due > 0) {
            peer->cancels_due--;
            cmdi_conn_on_cancel(&peer->conn, 0);
        } else if (peer->connecting) {
            peer->connecting = false;
            cmdi_conn_on_connect(&peer->conn, -ECANCELED);
        }
        advance(peer);
    }
}

/* Everything was told once, nothing is left. */
static void expect_closed(struct peer *peer)
{
    end_operations(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    CU_ASSERT_EQUAL(peer->closings, 1);
    CU_ASSERT_EQUAL(peer->closeds, 1);
    CU_ASSERT_EQUAL(peer->closes, 1);
    CU_ASSERT_EQUAL(peer->aborts, 1);
    CU_ASSERT_EQUAL(peer->conn.ops_in_flight, 0);
    CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0);
    CU_ASSERT_EQUAL(peer->shard->connection_count, 0);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&peer->shard->timers), CMDI_TIMER_NONE);
    CU_ASSERT_FALSE(peer->told_inside);
    CU_ASSERT_FALSE(peer->wrong);
}

static void peer_free(struct peer *peer)
{
    if (peer->conn.state < CMDI_CONN_CLOSING) {
        cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "the test is over");
        advance(peer);
    }
    expect_closed(peer);
    cmdi_conn_fini(&peer->conn);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(peer->shard);
    free(peer->sent);
    free(peer);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static uint8_t *put_frame(uint8_t *out, uint64_t sequence, size_t body_size)
{
    out = cmdi_frame_header_encode(out, sequence, 5, body_size, false);
    for (size_t i = 0; i < body_size; i++) {
        *out++ = body_byte(sequence, i);
    }
    return out;
}

/* Frames 1..count of many sizes, with pings between them. */
static size_t mixed_frames(uint8_t *out, uint64_t count)
{
    uint8_t *at = out;
    for (uint64_t sequence = 1; sequence <= count; sequence++) {
        size_t body_size = sequence % 7 == 0 ? 300 : sequence % 5;
        at = put_frame(at, sequence, body_size);
        if (sequence % 3 == 0) {
            *at++ = 0;
        }
    }
    return (size_t)(at - out);
}

static void append(struct peer *peer, const void *data, size_t size)
{
    int error = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, data, size);
    cmdi_conn_commit(&peer->conn, size);
}

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

/* Completes sends as long as there are any. Returns: how many. */
static uint32_t send_all(struct peer *peer)
{
    uint32_t count = 0;
    advance(peer);
    for (; peer->sending != NULL && count < ROUNDS_MAX; count++) {
        send_done(peer, (int32_t)peer->sending_size);
        advance(peer);
    }
    return count;
}

/* --- Input ------------------------------------------------------------------------------------ */

static void test_conn_frames_survive_every_cut(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    size_t size = mixed_frames(wire, 8);

    for (size_t cut = 0; cut <= size; cut++) {
        struct peer *peer = peer_started();
        cmdi_conn_feed(&peer->conn, wire, cut);
        advance(peer);
        cmdi_conn_feed(&peer->conn, wire + cut, size - cut);
        advance(peer);
        CU_ASSERT_EQUAL(peer->frames, 8);
        CU_ASSERT_EQUAL(peer->ping_count, 2);
        CU_ASSERT_PTR_NULL(peer->conn.stash.data);
        peer_free(peer);
    }
}

static void test_conn_frames_come_byte_by_byte(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    size_t size = mixed_frames(wire, MIXED_FRAMES);
    struct peer *peer = peer_started();

    for (size_t i = 0; i < size; i++) {
        cmdi_conn_feed(&peer->conn, wire + i, 1);
        advance(peer);
    }

    CU_ASSERT_EQUAL(peer->frames, MIXED_FRAMES);
    CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0); // Idle: it owns nothing.
    peer_free(peer);
}

static void test_conn_stash_grows_by_what_came(void)
{
    static uint8_t wire[1024 * 1024 + CMDI_FRAME_HEADER_MAX];
    size_t size = (size_t)(put_frame(wire, 1, 1024 * 1024) - wire);
    struct peer *peer = peer_started();
    size_t at = 0;

    for (size_t piece = 20; at < size; at += piece) {
        piece = at + piece * 3 < size ? piece * 3 : size - at;
        cmdi_conn_feed(&peer->conn, wire + at, piece);
        CU_ASSERT(peer->conn.stash.capacity <= 2 * (at + piece) ||
                  peer->conn.stash.capacity == CMDI_BUFFER_SIZE_MIN);
        advance(peer);
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
    advance(peer);

    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(peer->frames, 0);
    CU_ASSERT_EQUAL(peer->shard->stats.proto_errors, 1);
    peer_free(peer);
}

static void test_conn_refuses_what_is_no_header(void)
{
    static const uint8_t wire[11] = {
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct peer *peer = peer_started();

    cmdi_conn_feed(&peer->conn, wire, sizeof(wire));
    advance(peer);

    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_PROTO);
    peer_free(peer);
}

static void test_conn_without_memory_fails_alone(void)
{
    uint8_t wire[64];
    (void)put_frame(wire, 1, sizeof(wire) - 3);
    struct peer *peer = peer_started();
    peer->shard->buffers.leased_size_max = 4095;

    cmdi_conn_feed(&peer->conn, wire, 10);
    advance(peer);

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
    return on_frame(conn, frame);
}

static void test_conn_budget_lets_others_in(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    struct cmdi_conn_ops other_ops = server_ops;
    struct peer *peer = peer_started();
    struct peer *other = malloc(sizeof(*other));
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    other_ops.on_frame = on_frame_of_other;
    peer_init(other, peer->shard, &other_ops);
    cmdi_conn_start(&other->conn);
    flooding = peer;
    size_t size = mixed_frames(wire, 500);

    cmdi_conn_feed(&peer->conn, wire, size);
    cmdi_conn_feed(&other->conn, wire, (size_t)(put_frame(wire, 1, 1) - wire));
    advance(peer);

    CU_ASSERT_EQUAL(frames_before_other, CMDI_SHARD_FRAMES_PER_RUN);
    CU_ASSERT_EQUAL(peer->frames, 500);
    CU_ASSERT_EQUAL(other->frames, 1);
    cmdi_conn_fail(&other->conn, CMDS_E_CLOSED, "done");
    end_operations(other);
    CU_ASSERT_EQUAL(other->closeds, 1);
    cmdi_conn_fini(&other->conn);
    free(other->sent);
    free(other);
    peer_free(peer);
}

static void test_conn_pause_loses_nothing(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    size_t size = mixed_frames(wire, MIXED_FRAMES);

    for (uint64_t at = 1; at <= MIXED_FRAMES; at++) {
        struct peer *peer = peer_started();
        peer->pause_at = at;
        cmdi_conn_feed(&peer->conn, wire, size / 2);
        advance(peer);
        cmdi_conn_feed(&peer->conn, wire + size / 2, size - size / 2);
        advance(peer);
        CU_ASSERT_EQUAL(peer->frames, at);
        CU_ASSERT_EQUAL(peer->cancels, 1); // What is not read stays with the peer.
        recv_done(peer, -ECANCELED);
        peer->cancels_due--;
        cmdi_conn_on_cancel(&peer->conn, 0);
        advance(peer);
        CU_ASSERT_FALSE(peer->receiving);

        cmdi_conn_resume(&peer->conn);
        advance(peer);
        CU_ASSERT_EQUAL(peer->frames, MIXED_FRAMES);
        CU_ASSERT_TRUE(peer->receiving);
        peer_free(peer);
    }
}

static void test_conn_cancel_that_found_nothing_is_tried_again(void)
{
    struct peer *peer = peer_started();
    cmdi_conn_pause(&peer->conn);
    advance(peer);
    CU_ASSERT_EQUAL(peer->cancels, 1);

    peer->cancels_due--;
    cmdi_conn_on_cancel(&peer->conn, -ENOENT);
    cmdi_conn_ready(&peer->conn);
    advance(peer);

    CU_ASSERT_EQUAL(peer->cancels, 2);
    peer_free(peer);
}

static void test_conn_resumes_while_the_cancel_is_under_way(void)
{
    struct peer *peer = peer_started();
    cmdi_conn_pause(&peer->conn);
    advance(peer);
    cmdi_conn_resume(&peer->conn);
    advance(peer);
    CU_ASSERT_EQUAL(peer->recvs, 1);

    recv_done(peer, -ECANCELED);
    advance(peer);

    CU_ASSERT_EQUAL(peer->recvs, 2);
    CU_ASSERT_TRUE(peer->receiving);
    peer_free(peer);
}

static void test_conn_eof_comes_after_the_frames(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    size_t size = mixed_frames(wire, MIXED_FRAMES);
    struct peer *peer = peer_started();
    peer->pause_at = 3;
    cmdi_conn_feed(&peer->conn, wire, size);
    recv_done(peer, 0);
    advance(peer);
    CU_ASSERT_EQUAL(peer->eofs, 0); // It stands behind frames that have not run.

    cmdi_conn_resume(&peer->conn);
    advance(peer);
    cmdi_conn_ready(&peer->conn);
    advance(peer);

    CU_ASSERT_EQUAL(peer->frames, MIXED_FRAMES);
    CU_ASSERT_EQUAL(peer->eofs, 1);
    CU_ASSERT_EQUAL(peer->conn.error.code, 0);
    CU_ASSERT_EQUAL(peer->recvs, 1);
    peer_free(peer);
}

static void test_conn_eof_inside_a_frame_is_an_error(void)
{
    uint8_t wire[64];
    size_t size = (size_t)(put_frame(wire, 1, 10) - wire);
    struct peer *peer = peer_started();

    cmdi_conn_feed(&peer->conn, wire, size - 1);
    recv_done(peer, 0);
    advance(peer);

    CU_ASSERT_EQUAL(peer->eofs, 1);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_PROTO);
    peer_free(peer);
}

static void test_conn_recv_error_closes(void)
{
    struct peer *peer = peer_started();
    recv_done(peer, -ECONNRESET);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_EOF);
    peer_free(peer);

    peer = peer_started();
    recv_done(peer, -ETIMEDOUT);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, -ETIMEDOUT);
    peer_free(peer);

    peer = peer_started();
    recv_done(peer, -EINTR); // It passes.
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(peer->recvs, 2);
    peer_free(peer);
}

static void test_conn_stopped_input_ends_like_eof(void)
{
    uint8_t wire[64];
    size_t size = (size_t)(put_frame(put_frame(wire, 1, 3), 2, 3) - wire);
    struct peer *peer = peer_started();
    cmdi_conn_feed(&peer->conn, wire, size);
    cmdi_conn_stop_input(&peer->conn);
    advance(peer);
    CU_ASSERT_EQUAL(peer->frames, 2);
    CU_ASSERT_EQUAL(peer->eofs, 0);

    recv_done(peer, -ECANCELED);
    advance(peer);

    CU_ASSERT_EQUAL(peer->eofs, 1);
    CU_ASSERT_FALSE(peer->receiving);
    peer_free(peer);
}

/* --- Self-delimiting -------------------------------------------------------------------------- */

static uint32_t tries;

/* A body is a byte that says how many follow. */
static int64_t on_self_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct peer *peer = peer_of(conn);
    tries++;
    if (frame->body_size == 0 || frame->body_size < (size_t)frame->body[0] + 1) {
        return 0;
    }
    peer->frames++;
    peer->wrong = peer->wrong || frame->sequence != peer->frames;
    return (int64_t)frame->body[0] + 1;
}

static const struct cmdi_conn_ops self_ops = {
        .on_frame = on_self_frame,
        .on_ping = on_ping,
        .on_eof = on_eof,
        .on_closing = on_closing,
        .on_closed = on_closed,
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
    size_t size = (size_t)(end - wire);

    for (size_t cut = 0; cut <= size; cut++) {
        struct peer *peer = peer_open(&self_ops);
        peer->limits.self_delimiting = true;
        cmdi_conn_start(&peer->conn);
        cmdi_conn_feed(&peer->conn, wire, cut);
        advance(peer);
        cmdi_conn_feed(&peer->conn, wire + cut, size - cut);
        advance(peer);
        CU_ASSERT_EQUAL(peer->frames, 5);
        peer_free(peer);
    }
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
        advance(peer);
        CU_ASSERT_EQUAL(peer->frames, over ? 0 : 1);
        CU_ASSERT_EQUAL(peer->conn.error.code, over ? CMDS_E_LIMIT : 0);
        peer_free(peer);
    }
}

/* --- Output ----------------------------------------------------------------------------------- */

static void test_conn_output_survives_every_short_send(void)
{
    for (size_t cut = 0; cut < 40; cut++) {
        struct peer *peer = peer_started();
        size_t next = 0;
        append_numbers(peer, &next, 40);
        advance(peer);
        append_numbers(peer, &next, 20); // While it is being sent.
        advance(peer);
        CU_ASSERT_EQUAL(peer->sending_size, 40);

        send_done(peer, cut == 0 ? -EINTR : (int32_t)cut);
        append_numbers(peer, &next, 5);
        (void)send_all(peer);

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

    CU_ASSERT_EQUAL(send_all(peer), 1);

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

    CU_ASSERT_EQUAL(send_all(peer), 3);

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
    append(peer, data, 4095);
    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 100000, &error)); // Below half: any size.
    append(peer, data, 1);

    CU_ASSERT_PTR_NOT_NULL(cmdi_conn_reserve(&peer->conn, 4096, &error));
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 4097, &error));
    CU_ASSERT_EQUAL(error, -ENOBUFS);
    append(peer, data, 4096);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &error));
    advance(peer);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &error)); // What is in flight counts.

    send_done(peer, 4096);
    advance(peer);
    CU_ASSERT_EQUAL(peer->lows, 0); // The half itself is not below.
    send_done(peer, 4096);
    advance(peer);
    CU_ASSERT_EQUAL(peer->lows, 1);
    append(peer, data, 10);
    (void)send_all(peer);
    CU_ASSERT_EQUAL(peer->lows, 1);
    peer_free(peer);
}

static void test_conn_flush_in_mid_turn_keeps_the_order(void)
{
    static const int64_t takes[] = {SENT_MAX, 1, 5000, 98304, 0, -EAGAIN, -ENOBUFS};
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        struct peer *peer = peer_started();
        size_t next = 0;
        peer->now_takes = takes[i];
        for (uint32_t piece = 0; piece < 25; piece++) {
            append_numbers(peer, &next, 10000);
        }
        (void)send_all(peer);
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
    advance(peer);

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
        append(peer, "hello", 5);
        advance(peer);
        send_done(peer, codes[i][0]);
        advance(peer);
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
    advance(peer);
    append_numbers(peer, &next, 100);
    cmdi_conn_finish(&peer->conn);
    advance(peer);
    CU_ASSERT_EQUAL(peer->shuts, 0);
    (void)send_all(peer);
    CU_ASSERT_TRUE(sent_numbers(peer, 200));
    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    CU_ASSERT_TRUE(peer->receiving);
    CU_ASSERT_EQUAL(peer->closings, 0);

    recv_done(peer, 0);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_CLOSED);
    peer_free(peer);
}

static void test_conn_linger_ends_by_its_deadline(void)
{
    struct peer *peer = peer_started();
    cmdi_conn_finish(&peer->conn);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    recv_done(peer, -ECANCELED); // The receive goes on until the end.
    advance_ms(peer, 999);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    CU_ASSERT_TRUE(peer->receiving);

    advance_ms(peer, 2);

    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSING);
    peer_free(peer);
}

static void test_conn_finish_after_eof_closes_at_once(void)
{
    struct peer *peer = peer_started();
    append(peer, "bye", 3);
    recv_done(peer, 0);
    advance(peer);
    CU_ASSERT_EQUAL(peer->eofs, 1);
    cmdi_conn_finish(&peer->conn);

    (void)send_all(peer);

    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    peer_free(peer);
}

static void test_conn_finish_inside_a_frame_runs_no_more(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    size_t size = mixed_frames(wire, MIXED_FRAMES);
    struct peer *peer = peer_started();
    peer->finish_at = 5;

    cmdi_conn_feed(&peer->conn, wire, size);
    advance(peer);

    CU_ASSERT_EQUAL(peer->frames, 5);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0);
    peer_free(peer);
}

static void test_conn_fail_inside_a_frame(void)
{
    static uint8_t wire[MIXED_SIZE_MAX];
    size_t size = mixed_frames(wire, MIXED_FRAMES);
    struct peer *peer = peer_started();
    peer->fail_at = 5;

    cmdi_conn_feed(&peer->conn, wire, size);
    append(peer, "x", 1);
    advance(peer);

    CU_ASSERT_EQUAL(peer->frames, 5);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LOST);
    CU_ASSERT_STRING_EQUAL(peer->conn.error.text, "said so");
    CU_ASSERT_EQUAL(peer->sent_size, 0);
    peer_free(peer);
}

static void fail_twice(struct peer *peer)
{
    cmdi_conn_fail(&peer->conn, CMDS_E_LOST, "first");
    cmdi_conn_fail(&peer->conn, CMDS_E_PROTO, "second");
    cmdi_conn_finish(&peer->conn);
    CU_ASSERT_EQUAL(peer->closings, 1);
    CU_ASSERT_EQUAL(peer->closeds, 0); // Never inside the call.
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_LOST);
    peer_free(peer);
}

static void test_conn_fails_in_every_state(void)
{
    fail_twice(peer_open(&server_ops)); // Not started.
    fail_twice(peer_started());

    struct peer *peer = peer_started();
    append(peer, "in flight", 9);
    advance(peer);
    append(peer, "in fill", 7);
    cmdi_conn_pause(&peer->conn);
    advance(peer); // A send, a receive and a cancel are in flight.
    CU_ASSERT_EQUAL(peer->conn.ops_in_flight, 3);
    fail_twice(peer);

    peer = peer_started();
    append(peer, "in flight", 9);
    advance(peer);
    cmdi_conn_finish(&peer->conn);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_FINISHING);
    fail_twice(peer);

    peer = peer_started();
    cmdi_conn_finish(&peer->conn);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    fail_twice(peer);
}

/* --- A client's beginning --------------------------------------------------------------------- */

static void on_connected(struct cmdi_conn *conn, int error)
{
    peer_of(conn)->connect_error = error;
    if (error < 0) {
        cmdi_conn_fail(conn, error, "connect");
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
        .on_frame = on_frame,
        .on_ping = on_ping,
        .on_connected = on_connected,
        .on_server_info = on_server_info,
        .on_output_low = on_output_low,
        .on_eof = on_eof,
        .on_closing = on_closing,
        .on_closed = on_closed,
};

static struct peer *client_connected(void)
{
    struct peer *peer = peer_open(&client_ops);
    peer->limits.hello_timeout_ms = 100;
    cmdi_conn_connect(&peer->conn, NULL);
    append(peer, "early", 5); // Collected until the ServerInfo has come.
    advance(peer);
    peer->connecting = false;
    cmdi_conn_on_connect(&peer->conn, 0);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_HELLO);
    CU_ASSERT_PTR_NULL(peer->sending);
    return peer;
}

static void test_conn_client_sends_after_the_hello(void)
{
    uint8_t wire[16] = {4, 'c', 'a', 'l', 'c'};
    size_t size = (size_t)(put_frame(wire + 5, 1, 2) - wire);
    for (size_t cut = 0; cut <= size; cut++) {
        struct peer *peer = client_connected();
        cmdi_conn_feed(&peer->conn, wire, cut);
        advance(peer);
        CU_ASSERT_EQUAL(peer->sending != NULL, cut >= 5);
        cmdi_conn_feed(&peer->conn, wire + cut, size - cut);
        (void)send_all(peer);
        CU_ASSERT_EQUAL(peer->frames, 1);
        CU_ASSERT_EQUAL(peer->sent_size, 5);
        advance_ms(peer, 1000); // The hello's deadline is no more.
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
        peer_free(peer);
    }
}

static void test_conn_client_hello_fails(void)
{
    struct peer *peer = client_connected();
    cmdi_conn_feed(&peer->conn, "\003abc", 4);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_SERVER_INFO_MISMATCH);
    peer_free(peer);

    peer = client_connected();
    advance_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_TIMEOUT);
    peer_free(peer);

    peer = client_connected();
    recv_done(peer, 0);
    advance(peer);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_EOF);
    peer_free(peer);

    fail_twice(client_connected());
}

static void test_conn_client_connect_fails(void)
{
    struct peer *peer = peer_open(&client_ops);
    cmdi_conn_connect(&peer->conn, NULL);
    peer->connecting = false;
    cmdi_conn_on_connect(&peer->conn, -ECONNREFUSED);
    CU_ASSERT_EQUAL(peer->connect_error, -ECONNREFUSED);
    advance(peer);
    peer_free(peer);

    peer = peer_open(&client_ops);
    cmdi_conn_connect(&peer->conn, NULL);
    fail_twice(peer); // While it connects: on_connected is not called any more.
}

/* --- Time ------------------------------------------------------------------------------------- */

static void expect_timeout(struct peer *peer, uint64_t ms, int code)
{
    advance_ms(peer, ms - 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    advance_ms(peer, 2);
    CU_ASSERT_EQUAL(peer->conn.error.code, code);
    peer_free(peer);
}

static void test_conn_idle_ends_it(void)
{
    struct peer *peer = peer_open(&server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    expect_timeout(peer, 100, CMDS_E_IDLE);

    peer = peer_open(&server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    advance_ms(peer, 99);
    cmdi_conn_feed(&peer->conn, "", 1); // A ping is a sign of life.
    expect_timeout(peer, 100, CMDS_E_IDLE);

    peer = peer_open(&server_ops);
    peer->limits.idle_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    peer->busy = true;
    advance_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer->busy = false;
    advance_ms(peer, 102);
    CU_ASSERT_EQUAL(peer->shard->stats.idle_closes, 1);
    peer_free(peer);
}

static void test_conn_frame_has_to_get_whole(void)
{
    uint8_t wire[64];
    size_t size = (size_t)(put_frame(put_frame(wire, 1, 5), 2, 5) - wire);
    struct peer *peer = peer_open(&server_ops);
    peer->limits.frame_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);

    for (size_t i = 0; i < size / 2 + 1; i++) { // Each byte within the time, the frame as well.
        cmdi_conn_feed(&peer->conn, wire + i, 1);
        advance_ms(peer, 10);
    }
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(peer->frames, 1);
    for (size_t i = size / 2 + 1; i < size - 1; i++) { // Drops do not keep it alive.
        advance_ms(peer, 30);
        cmdi_conn_feed(&peer->conn, wire + i, 1);
    }
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(peer->shard->stats.frame_timeouts, 1);
    peer_free(peer);

    peer = peer_open(&server_ops); // While it is paused, the time is not the peer's.
    peer->limits.frame_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    cmdi_conn_feed(&peer->conn, wire, 3);
    advance(peer);
    cmdi_conn_pause(&peer->conn);
    advance(peer);
    advance_ms(peer, 1000);
    cmdi_conn_resume(&peer->conn);
    advance(peer);
    expect_timeout(peer, 100, CMDS_E_TIMEOUT);
}

static void test_conn_write_has_to_go_on(void)
{
    struct peer *peer = peer_open(&server_ops);
    peer->limits.write_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    append(peer, "0123456789", 10);
    advance(peer);
    advance_ms(peer, 99);
    send_done(peer, 5); // Progress: the time begins anew.
    expect_timeout(peer, 100, CMDS_E_SLOW_PEER);

    peer = peer_open(&server_ops); // In order or not: a peer that takes nothing cannot hold it.
    peer->limits.write_timeout_ms = 100;
    cmdi_conn_start(&peer->conn);
    append(peer, "0123456789", 10);
    cmdi_conn_finish(&peer->conn);
    advance(peer);
    advance_ms(peer, 101);
    CU_ASSERT_EQUAL(peer->conn.error.code, CMDS_E_SLOW_PEER);
    peer_free(peer);
}

static void test_conn_hello_has_to_leave(void)
{
    struct peer *peer = peer_open(&server_ops);
    peer->limits.hello_timeout_ms = 100;
    append(peer, "\004calc", 5);
    cmdi_conn_start(&peer->conn);
    expect_timeout(peer, 100, CMDS_E_TIMEOUT);

    peer = peer_open(&server_ops);
    peer->limits.hello_timeout_ms = 100;
    append(peer, "\004calc", 5);
    cmdi_conn_start(&peer->conn);
    (void)send_all(peer);
    advance_ms(peer, 1000);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
    peer_free(peer);
}

/* --- Other threads ---------------------------------------------------------------------------- */

struct foreign_record {
    uint32_t thread;
    uint32_t filler; // Bytes that follow.
    uint64_t number;
};

static void on_foreign(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct peer *peer = peer_of(conn);
    while (size > 0) {
        struct foreign_record record;
        memcpy(&record, data, sizeof(record));
        peer->wrong = peer->wrong || record.number != peer->foreign_next[record.thread];
        peer->foreign_next[record.thread]++;
        data += sizeof(record) + record.filler;
        size -= sizeof(record) + record.filler;
    }
}

static const struct cmdi_conn_ops foreign_ops = {
        .on_frame = on_frame,
        .on_ping = on_ping,
        .on_foreign = on_foreign,
        .on_eof = on_eof,
        .on_closing = on_closing,
        .on_closed = on_closed,
};

struct foreign_thread {
    struct peer *peer;
    uint32_t index;
    pthread_t thread;
    uint64_t accepted;
    int error; // Of the first that was refused.
};

enum {
    FOREIGN_THREADS = 4,
    FOREIGN_RECORDS = 20000,
};

static void *foreign_main(void *argument)
{
    struct foreign_thread *thread = argument;
    while (thread->accepted < FOREIGN_RECORDS) {
        struct foreign_record record = {
                thread->index, (uint32_t)(thread->accepted % 50), thread->accepted};
        size_t size = sizeof(record) + record.filler;
        int error = 0;
        uint8_t *out = cmdi_conn_foreign_reserve(&thread->peer->conn, size, &error);
        if (out == NULL && error == -ENOBUFS) {
            continue; // The bound: the shard takes it.
        }
        if (out == NULL) {
            thread->error = error;
            break;
        }
        memcpy(out, &record, sizeof(record));
        memset(out + sizeof(record), 0, record.filler);
        if (thread->accepted % 100 == 7) {
            cmdi_conn_foreign_commit(&thread->peer->conn, 0); // Thought better of it.
            out = cmdi_conn_foreign_reserve(&thread->peer->conn, size, &error);
            if (out == NULL) {
                thread->error = error;
                break;
            }
            memcpy(out, &record, sizeof(record));
            memset(out + sizeof(record), 0, record.filler);
        }
        cmdi_conn_foreign_commit(&thread->peer->conn, size);
        thread->accepted++;
    }
    return NULL;
}

static uint64_t foreign_total(const struct peer *peer)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < FOREIGN_THREADS; i++) {
        total += peer->foreign_next[i];
    }
    return total;
}

/* Four threads append; the connection closes when `close_after` records have come. */
static void foreign_race(uint64_t close_after)
{
    struct foreign_thread threads[FOREIGN_THREADS];
    struct peer *peer = peer_open(&foreign_ops);
    uint64_t accepted = 0;
    peer->limits.output_size_max = 64 * 1024;
    for (uint32_t i = 0; i < FOREIGN_THREADS; i++) {
        threads[i] = (struct foreign_thread){.peer = peer, .index = i};
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&threads[i].thread, NULL, foreign_main, &threads[i]), 0);
    }

    while (foreign_total(peer) < close_after) {
        advance(peer);
    }
    if (close_after < FOREIGN_THREADS * FOREIGN_RECORDS) {
        cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "closed under them");
    }
    for (uint32_t i = 0; i < FOREIGN_THREADS; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        accepted += threads[i].accepted;
        CU_ASSERT_EQUAL(
                threads[i].error, threads[i].accepted < FOREIGN_RECORDS ? CMDS_E_CLOSED : 0);
    }
    advance(peer);

    CU_ASSERT_EQUAL(foreign_total(peer), accepted); // What was accepted is told, also at the end.
    CU_ASSERT_TRUE(cmdi_conn_foreign_idle(&peer->conn));
    peer->closeds = peer->conn.state == CMDI_CONN_CLOSED; // Once more for each late message.
    peer_free(peer);
}

static void test_conn_foreign_appends_keep_their_order(void)
{
    foreign_race(FOREIGN_THREADS * FOREIGN_RECORDS);
}

static void test_conn_foreign_appends_end_with_the_connection(void)
{
    for (uint64_t close_after = 0; close_after < 2000; close_after += 100) {
        foreign_race(close_after);
    }
}

static void test_conn_tells_its_end_again_behind_a_message(void)
{
    struct peer *peer = peer_open(&foreign_ops);
    struct foreign_record record = {0};
    int error = 0;
    uint8_t *out = cmdi_conn_foreign_reserve(&peer->conn, sizeof(record), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, &record, sizeof(record));
    cmdi_conn_foreign_commit(&peer->conn, sizeof(record));
    cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "closed");

    cmdi_conn_run(peer->shard, &peer->conn.ready); // Before the mailbox is looked at.

    CU_ASSERT_EQUAL(peer->closeds, 1);
    CU_ASSERT_FALSE(cmdi_conn_foreign_idle(&peer->conn)); // So the memory has to stay.
    CU_ASSERT_PTR_NULL(cmdi_conn_foreign_reserve(&peer->conn, 8, &error));
    CU_ASSERT_EQUAL(error, CMDS_E_CLOSED);
    advance(peer);
    CU_ASSERT_EQUAL(peer->closeds, 2);
    CU_ASSERT_TRUE(cmdi_conn_foreign_idle(&peer->conn));
    CU_ASSERT_EQUAL(peer->foreign_next[0], 1);
    peer->closeds = 1;
    peer_free(peer);
}

static void test_conn_finish_takes_what_others_appended(void)
{
    struct peer *peer = peer_open(&foreign_ops);
    struct foreign_record record = {0};
    int error = 0;
    uint8_t *out = cmdi_conn_foreign_reserve(&peer->conn, sizeof(record), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, &record, sizeof(record));
    cmdi_conn_foreign_commit(&peer->conn, sizeof(record));

    cmdi_conn_finish(&peer->conn);

    CU_ASSERT_EQUAL(peer->foreign_next[0], 1);
    advance(peer);
    peer_free(peer);
}

/* --- Over a real ring: slices ----------------------------------------------------------------- */

struct wire {
    struct peer peer;
    int fd; // The other end.
    const uint8_t *data;
    size_t size;
    pthread_t writer;
};

static struct cmdi_shard *ring_shard(uint32_t buffer_size, uint32_t count, uint32_t count_max)
{
    struct cmdi_shard_options options = {
            .cpu = -1,
            .memory_size_max = 1 << 26,
            .ring = {.entries = 16,
                    .completion_entries = 64,
                    .buffer_size = buffer_size,
                    .buffer_count = count,
                    .buffer_count_max = count_max},
    };
    struct cmdi_shard *shard = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmdi_shard_create(&shard, &options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    (void)cmdi_shard_set_current(shard);
    return shard;
}

static void *wire_main(void *argument)
{
    struct wire *wire = argument;
    for (size_t at = 0; at < wire->size;) {
        ssize_t sent = send(wire->fd, wire->data + at, wire->size - at, MSG_NOSIGNAL);
        if (sent <= 0) {
            break;
        }
        at += (size_t)sent;
    }
    (void)shutdown(wire->fd, SHUT_WR);
    return NULL;
}

static void wire_open(struct wire *wire, struct cmdi_shard *shard, const uint8_t *data, size_t size)
{
    int fds[2];
    *wire = (struct wire){
            .peer = {.shard = shard, .limits = limits_usual}, .data = data, .size = size};
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    wire->fd = fds[1];
    CU_ASSERT_EQUAL_FATAL(cmdi_conn_init(&wire->peer.conn, shard, &server_ops,
                                  &cmdi_transport_socket, &wire->peer.limits, fds[0]),
            0);
    cmdi_conn_start(&wire->peer.conn);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&wire->writer, NULL, wire_main, wire), 0);
}

/* A shard that sleeps although something can be done would sleep for ever here. */
static void turn(struct cmdi_shard *shard)
{
    CU_ASSERT_FATAL(cmdi_shard_turn(shard, CMDI_RING_WAIT_FOREVER) >= 0);
}

static void wire_close(struct wire *wire)
{
    cmdi_conn_fail(&wire->peer.conn, CMDS_E_CLOSED, "the test is over");
    (void)close(wire->fd);
    while (wire->peer.closeds == 0) {
        turn(wire->peer.shard);
    }
    (void)pthread_join(wire->writer, NULL);
    CU_ASSERT_EQUAL(wire->peer.closings, 1);
    CU_ASSERT_EQUAL(wire->peer.conn.ops_in_flight, 0);
    CU_ASSERT_FALSE(wire->peer.wrong);
    cmdi_conn_fini(&wire->peer.conn);
}

static void shard_free(struct cmdi_shard *shard)
{
    CU_ASSERT_EQUAL(shard->buffers.leased_size, 0);
    CU_ASSERT_EQUAL(shard->connection_count, 0);
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(shard->ring), cmdi_ring_buffer_count(shard->ring));
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(shard);
}

/* Buffers so small that they cut frames at every byte, so few that receives keep running out. */
static void test_conn_slices_survive_every_cut(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 7, 16, 33, 64};
    static uint8_t data[MIXED_SIZE_MAX];
    size_t size = mixed_frames(data, MIXED_FRAMES);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint32_t count = 1; count <= 8; count *= 2) {
            struct cmdi_shard *shard = ring_shard(sizes[i], count, count <= 2 ? count : 8);
            struct wire wire;
            wire_open(&wire, shard, data, size);
            while (wire.peer.eofs == 0) {
                turn(shard);
            }
            CU_ASSERT_EQUAL(wire.peer.frames, MIXED_FRAMES);
            CU_ASSERT_EQUAL(wire.peer.conn.error.code, 0);
            wire_close(&wire);
            shard_free(shard);
        }
    }
}

static void test_conn_that_runs_slowly_bounds_its_memory(void)
{
    enum {
        FRAMES = 60000,
    };
    uint8_t *data = malloc(FRAMES * 32);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    uint8_t *end = data;
    for (uint64_t sequence = 1; sequence <= FRAMES; sequence++) {
        end = put_frame(end, sequence, 20);
    }
    struct cmdi_shard *shard = ring_shard(4096, 4, 16);
    struct wire wire;
    size_t most = 0;
    wire_open(&wire, shard, data, (size_t)(end - data));
    for (uint64_t i = 0; wire.peer.eofs == 0; i++) {
        turn(shard);
        most = shard->buffers.leased_size > most ? shard->buffers.leased_size : most;
        wire.peer.pause_at = wire.peer.frames + 100; // It stops and goes all the time.
        cmdi_conn_resume(&wire.peer.conn);
    }

    CU_ASSERT_EQUAL(wire.peer.frames, FRAMES);
    CU_ASSERT(most <= 1024 * 1024);
    wire_close(&wire);
    shard_free(shard);
    free(data);
}

static void test_conn_paused_one_holds_no_buffer(void)
{
    static uint8_t data[MIXED_SIZE_MAX];
    size_t size = mixed_frames(data, 400);
    struct cmdi_shard *shard = ring_shard(256, 4, 4);
    struct wire paused;
    struct wire other;
    wire_open(&paused, shard, data, size);
    paused.peer.pause_at = 1;
    while (paused.peer.frames == 0 || paused.peer.conn.receiving) {
        turn(shard);
    }
    CU_ASSERT_EQUAL(paused.peer.conn.slice_count, 0);

    wire_open(&other, shard, data, size);
    while (other.peer.eofs == 0) {
        turn(shard);
    }
    CU_ASSERT_EQUAL(other.peer.frames, 400);
    CU_ASSERT_EQUAL(paused.peer.frames, 1);

    cmdi_conn_resume(&paused.peer.conn);
    while (paused.peer.eofs == 0) {
        turn(shard);
    }
    CU_ASSERT_EQUAL(paused.peer.frames, 400);
    wire_close(&paused);
    wire_close(&other);
    shard_free(shard);
}

static void test_conn_lingers_over_a_ring(void)
{
    static uint8_t data[MIXED_SIZE_MAX];
    size_t size = mixed_frames(data, 400);
    struct cmdi_shard *shard = ring_shard(64, 2, 2);
    struct wire wire;
    wire_open(&wire, shard, data, size);
    wire.peer.finish_at = 3;
    append(&wire.peer, "last words", 10);

    while (wire.peer.closeds == 0) { // The rest is read and thrown away, up to the peer's end.
        turn(shard);
    }

    char text[16];
    CU_ASSERT_EQUAL(recv(wire.fd, text, sizeof(text), 0), 10);
    CU_ASSERT_EQUAL(recv(wire.fd, text, sizeof(text), 0), 0);
    CU_ASSERT_EQUAL(wire.peer.frames, 3);
    CU_ASSERT_EQUAL(wire.peer.conn.error.code, CMDS_E_CLOSED);
    wire_close(&wire);
    shard_free(shard);
}

CU_TestInfo test_conn[] = {
        {"frames survive every cut", test_conn_frames_survive_every_cut},
        {"frames come byte by byte", test_conn_frames_come_byte_by_byte},
        {"stash grows by what came", test_conn_stash_grows_by_what_came},
        {"refuses a length before its body", test_conn_refuses_a_length_before_its_body},
        {"refuses what is no header", test_conn_refuses_what_is_no_header},
        {"without memory fails alone", test_conn_without_memory_fails_alone},
        {"budget lets others in", test_conn_budget_lets_others_in},
        {"pause loses nothing", test_conn_pause_loses_nothing},
        {"cancel that found nothing is tried again",
                test_conn_cancel_that_found_nothing_is_tried_again},
        {"resumes while the cancel is under way", test_conn_resumes_while_the_cancel_is_under_way},
        {"eof comes after the frames", test_conn_eof_comes_after_the_frames},
        {"eof inside a frame is an error", test_conn_eof_inside_a_frame_is_an_error},
        {"recv error closes", test_conn_recv_error_closes},
        {"stopped input ends like eof", test_conn_stopped_input_ends_like_eof},
        {"self-delimiting survives every cut", test_conn_self_delimiting_survives_every_cut},
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
        {"client sends after the hello", test_conn_client_sends_after_the_hello},
        {"client hello fails", test_conn_client_hello_fails},
        {"client connect fails", test_conn_client_connect_fails},
        {"idle ends it", test_conn_idle_ends_it},
        {"frame has to get whole", test_conn_frame_has_to_get_whole},
        {"write has to go on", test_conn_write_has_to_go_on},
        {"hello has to leave", test_conn_hello_has_to_leave},
        {"foreign appends keep their order", test_conn_foreign_appends_keep_their_order},
        {"foreign appends end with the connection",
                test_conn_foreign_appends_end_with_the_connection},
        {"tells its end again behind a message", test_conn_tells_its_end_again_behind_a_message},
        {"finish takes what others appended", test_conn_finish_takes_what_others_appended},
        {"slices survive every cut", test_conn_slices_survive_every_cut},
        {"that runs slowly bounds its memory", test_conn_that_runs_slowly_bounds_its_memory},
        {"paused one holds no buffer", test_conn_paused_one_holds_no_buffer},
        {"lingers over a ring", test_conn_lingers_over_a_ring},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn", test_conn)
