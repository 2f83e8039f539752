/* SPDX-License-Identifier: MIT */
/*
 * Secured connections over a real ring: what the session takes are slices of the shard's buffers, so
 * small that they cut every record, and so few that receives keep running out of them. A handshake
 * that waits, a pause and a silent peer may hold none of them; a shard that sleeps although something
 * can be done would sleep for ever.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/parts.h"
#include "conn/secure.h"
#include "support/harness.h"
#include "support/mask.h"
#include "support/wires.h"

static uint8_t frames[PEER_WIRE_MAX], data[2 * PEER_WIRE_MAX];

/* What a client says: two flights, `count` frames in records of this size, and that it is the end. */
static size_t client_stream(uint64_t count, size_t record_size)
{
    struct mask_end end = {0};
    uint8_t *at = mask_put_hello(mask_put_hello(data, 1, 10), 3, 10);
    at = mask_wrap(&end, at, frames, peer_mixed_frames(frames, count), record_size);
    at = mask_put(at, MASK_NOTIFY, NULL, 0);
    return (size_t)(at - data);
}

static void test_secure_slices_survive_every_cut(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 7, 16, 33, 64, 4096};
    static const size_t record_sizes[] = {1, 6, 29, 1000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint32_t count = 1; count <= 8; count *= 2) {
            for (size_t record = 0; record < 4; record++) {
                struct mask mask;
                struct wire wire;
                size_t size = client_stream(PEER_FRAMES, record_sizes[record]);
                struct cmdi_shard *shard =
                        wire_shard(sizes[i], count, count <= 2 ? count : 8, true);
                mask_init(&mask, true);
                mask.is_light_at_last = count % 2;
                wire_open_secured(&wire, shard, &mask.tls, data, size);
                while (wire.peer.eofs == 0) {
                    wire_turn(shard);
                }
                CU_ASSERT_EQUAL(wire.peer.frames, PEER_FRAMES);
                CU_ASSERT_EQUAL(wire.peer.conn.error_code, 0);
                CU_ASSERT_EQUAL(wire.peer.conn.run_size, size);
                wire_close(&wire);
                wire_shard_free(shard);
            }
        }
    }
}

/* A stream of many small records is run while it comes, and its memory is bounded. */
static void test_secure_flood_is_bounded(void)
{
    enum {
        FRAMES = 100000,
    };
    uint8_t *plain = malloc(FRAMES * 8);
    uint8_t *stream = malloc(FRAMES * 16);
    CU_ASSERT_FATAL(plain != NULL && stream != NULL);
    uint8_t *end = plain;
    for (uint64_t sequence = 1; sequence <= FRAMES; sequence++) {
        end = peer_put_frame(end, sequence, 1);
    }
    struct mask_end other = {0};
    uint8_t *at = mask_put_hello(mask_put_hello(stream, 1, 10), 3, 10);
    at = mask_wrap(&other, at, plain, (size_t)(end - plain), 100);
    struct cmdi_shard *shard = wire_shard(4096, 4, 16, true);
    struct mask mask;
    struct wire wire;
    size_t most = 0;
    mask_init(&mask, true);
    wire_open_secured(&wire, shard, &mask.tls, stream, (size_t)(at - stream));
    while (wire.peer.eofs == 0) {
        wire_turn(shard);
        most = shard->buffers.leased_size > most ? shard->buffers.leased_size : most;
    }
    CU_ASSERT_EQUAL(wire.peer.frames, FRAMES);
    CU_ASSERT_EQUAL(wire.peer.tls_counters.tls_truncated, 1);
    CU_ASSERT(most <= 2 * CMDI_SHARD_BYTES_PER_RUN + 32 * 4096);
    wire_close(&wire);
    wire_shard_free(shard);
    free(stream);
    free(plain);
}

static void test_secure_stop_and_go_loses_nothing(void)
{
    size_t size = client_stream(900, 37);
    struct cmdi_shard *shard = wire_shard(256, 4, 16, false);
    struct mask mask;
    struct wire wire;
    mask_init(&mask, true);
    wire_open_secured(&wire, shard, &mask.tls, data, size);
    while (wire.peer.eofs == 0) {
        if (wire.peer.opens > 0) {
            wire.peer.pause_at = wire.peer.frames + 7;
            cmdi_conn_resume(&wire.peer.conn);
        }
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(wire.peer.frames, 900);
    CU_ASSERT_EQUAL(wire.peer.conn.error_code, 0);
    wire_close(&wire);
    wire_shard_free(shard);
}

/* One that waits for a seat, and one that is paused; a third one gets along with all the buffers. */
static void test_secure_waiting_ones_hold_no_buffer(void)
{
    size_t size = client_stream(400, 100);
    struct cmdi_shard *shard = wire_shard(256, 4, 4, false);
    struct mask mask;
    struct wire paused, seatless, other;
    mask_init(&mask, true);
    mask.tls.handshakes_max = 1;
    wire_open_secured(&paused, shard, &mask.tls, data, size);
    paused.peer.pause_at = 1;
    while (paused.peer.frames == 0 || cmdi_conn_is_receiving(&paused.peer.conn)) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(paused.peer.conn.slices.count, 0);

    shard->seat_count++; // As if somebody had it.
    wire_open_secured(&seatless, shard, &mask.tls, data, size);
    while (seatless.peer.conn.secured->raw.end <= CMDI_SECURE_RAW_MAX &&
            seatless.peer.conn.secured->raw.end < size - 1) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(seatless.peer.conn.secured->handshake, CMDI_HANDSHAKE_SEATLESS);
    CU_ASSERT_EQUAL(seatless.peer.conn.slices.count, 0);

    wire_open(&other, shard, frames, peer_mixed_frames(frames, 400));
    while (other.peer.eofs == 0) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(other.peer.frames, 400);
    CU_ASSERT_EQUAL(paused.peer.frames, 1);
    CU_ASSERT_EQUAL(seatless.peer.opens, 0);

    shard->seat_count--;
    wire_close(&other);
    wire_close(&seatless);
    cmdi_conn_resume(&paused.peer.conn);
    while (paused.peer.eofs == 0) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(paused.peer.frames, 400);
    wire_close(&paused);
    wire_shard_free(shard);
}

static uint64_t arrived_ns; // The last frame that has run.

static int64_t on_frame_that_arrived(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    arrived_ns = conn->more->arrived_ns;
    return peer_on_frame(conn, frame);
}

/* Each of two frames is known to have come in its own turn. */
static void test_secure_slices_know_when_they_arrived(void)
{
    struct cmdi_shard *shard = wire_shard(4096, 4, 4, false);
    struct cmdi_conn_ops ops = peer_secured_server_ops;
    struct mask_end end = {0};
    struct mask mask;
    struct wire wire;
    uint8_t *at = mask_put_hello(mask_put_hello(data, 1, 10), 3, 10);
    ops.on_frame = on_frame_that_arrived;
    mask_init(&mask, true);
    wire_open_secured(&wire, shard, &mask.tls, NULL, 0);
    wire.peer.conn.ops = &ops;
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        size_t size = (size_t)(peer_put_frame(frames, sequence, 10) - frames);
        at = mask_put_data(&end, at, frames, size);
        uint64_t before_ns = shard->now_ns;
        CU_ASSERT_EQUAL(send(wire.fd, data, (size_t)(at - data), MSG_NOSIGNAL), at - data);
        at = data;
        while (wire.peer.frames < sequence) {
            wire_turn(shard);
        }
        CU_ASSERT(sequence == 1 || arrived_ns > before_ns); // That turn had begun already.
        CU_ASSERT(arrived_ns <= shard->now_ns);
    }
    wire_close(&wire);
    wire_shard_free(shard);
}

/* The alert and close_notify arrive although input is unread. */
static void test_secure_last_words_arrive_over_a_ring(void)
{
    for (int fails = 0; fails <= 1; fails++) {
        size_t size = client_stream(900, 100);
        struct cmdi_shard *shard = wire_shard(64, 2, 2, true);
        struct mask mask;
        struct wire wire;
        uint8_t got[64], *at = got;
        mask_init(&mask, true);
        mask.fails_in_open = fails ? 2 : 0;
        wire_open_secured(&wire, shard, &mask.tls, data, size);
        wire.peer.finish_at = fails ? 0 : 5;
        while (wire.peer.closeds == 0) {
            wire_turn(shard);
        }
        for (ssize_t more = 1; more > 0; at += more) {
            more = recv(wire.fd, at, sizeof(got) - (size_t)(at - got), 0);
            CU_ASSERT(more >= 0);
        }
        struct mask_found found = mask_unwrap(&(struct mask_end){0}, got, (size_t)(at - got), NULL);
        CU_ASSERT_EQUAL(found.hellos, 1);
        CU_ASSERT_EQUAL(found.alerts, (uint32_t)fails);
        CU_ASSERT_EQUAL(found.notifies, !fails);
        CU_ASSERT_EQUAL(wire.peer.conn.error_code, fails ? CMDS_E_TLS_RECORD : CMDS_E_CLOSED);
        wire_close(&wire);
        wire_shard_free(shard);
        CU_ASSERT_EQUAL(mask.sessions, 0);
    }
}

static CU_TestInfo tests[] = {
        {"slices survive every cut", test_secure_slices_survive_every_cut},
        {"flood is bounded", test_secure_flood_is_bounded},
        {"stop and go loses nothing", test_secure_stop_and_go_loses_nothing},
        {"waiting ones hold no buffer", test_secure_waiting_ones_hold_no_buffer},
        {"slices know when they arrived", test_secure_slices_know_when_they_arrived},
        {"last words arrive over a ring", test_secure_last_words_arrive_over_a_ring},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure_slices", tests)
