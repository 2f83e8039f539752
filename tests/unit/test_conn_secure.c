/* SPDX-License-Identifier: MIT */
/*
 * Handshakes and input of a connection with a security layer, which is a mask: records may be cut
 * anywhere and frames anywhere in them, commands may come in the same breath as the last of the
 * handshake, and the owner may pause. No frame may be lost or run early, and nothing leased for what
 * has not come.
 */
#include "conn/secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "support/harness.h"
#include "support/masked.h"

static uint8_t frames[PEER_WIRE_MAX], wire[MASKED_WIRE_MAX];

/* The handshake of a server, then `count` frames in records of this size: all in one stream. */
static size_t server_stream(struct masked *masked, uint64_t count, size_t record_size)
{
    size_t size = peer_mixed_frames(frames, count);
    uint8_t *end = mask_put_hello(wire, 1, masked->mask.flight_size);
    end = mask_put_hello(end, 3, masked->mask.flight_size);
    return (size_t)(mask_wrap(&masked->end, end, frames, size, record_size) - wire);
}

static void open_server(struct masked *masked)
{
    mask_init(&masked->mask, true);
    masked_open(masked, &peer_secured_server_ops, CMDS_NEVER);
}

static void open_client(struct masked *masked)
{
    mask_init(&masked->mask, false);
    masked_open(masked, &peer_client_ops, CMDS_NEVER);
}

/* --- Handshakes ------------------------------------------------------------------------------- */

static void test_secure_server_shakes_hands(void)
{
    struct masked masked;
    open_server(&masked);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.mask.begins, 0); // A peer that says nothing costs nothing.
    CU_ASSERT_PTR_NULL(cmdi_conn_tls_peer(&masked.peer->conn));

    masked_feed_hello(&masked, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->opens, 0);
    CU_ASSERT_EQUAL(masked.peer->shard->seat_count, 1);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked_look(&masked).hellos, 1);
    CU_ASSERT_PTR_NULL(cmdi_conn_tls_peer(&masked.peer->conn));
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_handshakes, 0);

    masked_feed_hello(&masked, 3);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->opens, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(masked.peer->shard->seat_count, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_conn_tls_peer(&masked.peer->conn));
    CU_ASSERT_STRING_EQUAL(cmdi_conn_tls_peer(&masked.peer->conn)->common_name, "mask");
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_handshakes, 1);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_resumed, 0);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 0);
    CU_ASSERT_EQUAL(masked.peer->shard->buffers.leased_size, 0);
    masked_free(&masked);
    CU_ASSERT_EQUAL(masked.mask.ends, 1);
}

static void test_secure_client_shakes_hands_and_waits_for_the_server_info(void)
{
    struct masked masked;
    open_client(&masked);
    masked.mask.resumes = true;
    peer_append(masked.peer, "early", 5); // Collected until the ServerInfo has come.
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked_look(&masked).hellos, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SECURING);

    masked_feed_hello(&masked, 2);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked_look(&masked).hellos, 1);
    CU_ASSERT_EQUAL(masked.data_size, 0);
    CU_ASSERT_EQUAL(masked.peer->opens, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SERVER_INFO);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_resumed, 1);

    masked_feed_data(&masked, "\004calc", 5, 2);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(masked_look(&masked).size, 5);
    CU_ASSERT_EQUAL(memcmp(masked.data, "early", 5), 0);
    masked_free(&masked);
}

/* Each byte alone, and a turn after each: nothing is begun before the first flight is whole. */
static void test_secure_server_is_fed_byte_by_byte(void)
{
    struct masked masked;
    for (int eager = 0; eager <= 1; eager++) {
        open_server(&masked);
        masked.mask.is_eager = eager;
        masked.mask.is_light_at_last = eager;
        masked.mask.flights = 5;
        uint8_t *end = wire;
        for (uint8_t flight = 1; flight <= 5; flight = (uint8_t)(flight + 2)) {
            end = mask_put_hello(end, flight, 10);
        }
        for (size_t i = 0; i < (size_t)(end - wire); i++) {
            CU_ASSERT_EQUAL(masked.peer->opens, 0);
            CU_ASSERT_EQUAL(masked.mask.begins, i >= 13);
            cmdi_conn_feed(&masked.peer->conn, wire + i, 1);
            (void)peer_send_all(masked.peer);
        }
        CU_ASSERT_EQUAL(masked.peer->opens, 1);
        CU_ASSERT_EQUAL(masked_look(&masked).hellos, 2);
        CU_ASSERT(eager ? masked.mask.steps > 20 : masked.mask.steps == 3);
        CU_ASSERT_EQUAL(masked.peer->shard->buffers.leased_size, 0);
        masked_free(&masked);
    }
}

static void test_secure_client_is_fed_byte_by_byte(void)
{
    struct masked masked;
    for (uint32_t flights = 2; flights <= 5; flights++) {
        open_client(&masked);
        masked.mask.flights = flights;
        uint8_t *end = wire;
        for (uint8_t flight = 2; flight <= flights; flight = (uint8_t)(flight + 2)) {
            end = mask_put_hello(end, flight, 300);
        }
        size_t handshake = (size_t)(end - wire);
        end = mask_wrap(&masked.end, end, "\004calc", 5, 3);
        (void)peer_send_all(masked.peer);
        for (size_t i = 0; i < (size_t)(end - wire); i++) {
            CU_ASSERT_EQUAL(masked.peer->opens, i >= handshake);
            cmdi_conn_feed(&masked.peer->conn, wire + i, 1);
            (void)peer_send_all(masked.peer);
        }
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
        CU_ASSERT_EQUAL(masked_look(&masked).hellos, flights - flights / 2);
        masked_free(&masked);
    }
}

/* Whoever has all it needs to go on does not wait for us: its commands come with its last flight. */
static void test_secure_commands_come_with_the_last_flight(void)
{
    struct masked masked;
    for (int light = 0; light <= 1; light++) {
        open_server(&masked);
        masked.mask.is_light_at_last = light;
        size_t size = server_stream(&masked, PEER_FRAMES, 50);
        cmdi_conn_feed(&masked.peer->conn, wire, size);
        peer_advance(masked.peer);

        CU_ASSERT_EQUAL(masked.peer->opens, 1);
        CU_ASSERT_EQUAL(masked.peer->frames, PEER_FRAMES);
        CU_ASSERT_EQUAL(masked.mask.steps, 2);
        CU_ASSERT_EQUAL(masked.peer->conn.run_size, size);
        masked_free(&masked);
    }
}

static void test_secure_stream_survives_every_cut(void)
{
    struct masked masked;
    open_server(&masked);
    size_t size = server_stream(&masked, 8, 20);
    masked_free(&masked);
    for (size_t cut = 0; cut <= size; cut++) {
        open_server(&masked);
        cmdi_conn_feed(&masked.peer->conn, wire, cut);
        peer_advance(masked.peer);
        cmdi_conn_feed(&masked.peer->conn, wire + cut, size - cut);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->frames, 8);
        CU_ASSERT_EQUAL(masked.peer->ping_count, 2);
        CU_ASSERT_PTR_NULL(masked.peer->conn.more->stash.data);
        CU_ASSERT_PTR_NULL(masked.peer->conn.secured->raw.data);
        CU_ASSERT_EQUAL(masked.peer->conn.run_size, size);
        masked_free(&masked);
    }
}

/* What is in one of our own buffers stays there; the peer's first flight has a bound. */
static void test_secure_first_flight_is_bounded(void)
{
    static const uint8_t zeros[CMDI_SECURITY_FLIGHT_MAX];
    static const uint8_t header[] = {MASK_HELLO, 0xff, 0xff};
    struct masked masked;
    open_server(&masked);
    cmdi_conn_feed(&masked.peer->conn, header, 3);
    cmdi_conn_feed(&masked.peer->conn, zeros, sizeof(zeros) - 3);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SECURING);
    cmdi_conn_feed(&masked.peer->conn, zeros, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TLS_RECORD);
    CU_ASSERT_STRING_EQUAL(masked.peer->conn.error_text,
            "TLS handshake with client: its first flight is longer than 16384 bytes");
    CU_ASSERT_EQUAL(masked.mask.begins, 0);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 1);
    masked_free(&masked);
}

/* The others too: what is never whole is no reason to stop to read, and so to wait for ever. */
static void test_secure_later_flights_are_bounded(void)
{
    static const uint8_t zeros[CMDI_SECURE_RAW_MAX];
    static const uint8_t header[] = {MASK_HELLO, 0xff, 0xff};
    struct masked masked;
    mask_init(&masked.mask, false);
    masked_open(&masked, &peer_client_ops, 5000);
    (void)peer_send_all(masked.peer);
    cmdi_conn_feed(&masked.peer->conn, header, 3);
    cmdi_conn_feed(&masked.peer->conn, zeros, sizeof(zeros) - 3);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SECURING);
    CU_ASSERT_EQUAL(masked.peer->stops, 0);
    cmdi_conn_feed(&masked.peer->conn, zeros, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TLS_RECORD);
    CU_ASSERT_STRING_EQUAL(masked.peer->conn.error_text,
            "TLS handshake with host:1: its flight is longer than 65536 bytes");
    masked_free(&masked);
}

/* --- Frames and records ----------------------------------------------------------------------- */

static void test_secure_frames_come_in_records_of_every_size(void)
{
    static const size_t sizes[] = {1, 2, 3, 7, 20, 64, 301, 4096, CMDI_SECURITY_RECORD_MAX};
    struct masked masked;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        masked_shaken(&masked, true);
        masked_feed_data(&masked, frames, peer_mixed_frames(frames, 400), sizes[i]);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->frames, 400);
        CU_ASSERT_EQUAL(masked.peer->shard->buffers.leased_size, 0);
        CU_ASSERT_EQUAL(masked.peer->conn.run_size, masked.peer->conn.received_size);
        CU_ASSERT_FALSE(cmdi_conn_has_received(&masked.peer->conn));
        masked_free(&masked);
    }
}

/* Much larger than a record; what is leased for it follows what has come. */
static void test_secure_frame_of_megabytes(void)
{
    enum {
        BODY = 3 * 1024 * 1024,
    };
    uint8_t *large = malloc(2 * BODY);
    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    size_t size = (size_t)(peer_put_frame(peer_put_frame(large, 1, BODY), 2, 5) - large);
    struct masked masked;
    masked_shaken(&masked, true);
    for (size_t at = 0, piece = 0; at < size; at += piece) {
        piece = size - at < 50000 ? size - at : 50000;
        masked_feed_data(&masked, large + at, piece, CMDI_SECURITY_RECORD_MAX);
        peer_advance(masked.peer);
        CU_ASSERT(masked.peer->conn.more->stash.capacity <=
                  2 * (at + piece + CMDI_SECURITY_RECORD_MAX));
        CU_ASSERT_PTR_NULL(masked.peer->conn.secured->raw.data);
    }
    CU_ASSERT_EQUAL(masked.peer->frames, 2);
    CU_ASSERT_EQUAL(masked.peer->shard->buffers.leased_size, 0);
    CU_ASSERT_EQUAL(masked.peer->conn.run_size, masked.peer->conn.received_size);
    masked_free(&masked);
    free(large);
}

static uint64_t others_before; // Frames and pings of the flood that had run then.
static struct peer *flooding;

static int64_t on_frame_of_other(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    others_before = flooding->frames + flooding->ping_count;
    return peer_on_frame(conn, frame);
}

static void test_secure_budget_lets_others_in(void)
{
    struct masked masked;
    struct cmdi_conn_ops other_ops = peer_server_ops;
    static struct peer other;
    masked_shaken(&masked, true);
    other_ops.on_frame = on_frame_of_other;
    peer_init(&other, masked.peer->shard, &other_ops);
    cmdi_conn_start(&other.conn);
    flooding = masked.peer;

    masked_feed_data(&masked, frames, peer_mixed_frames(frames, 900), CMDI_SECURITY_RECORD_MAX);
    cmdi_conn_feed(&other.conn, frames, (size_t)(peer_put_frame(frames, 1, 1) - frames));
    peer_advance(masked.peer);

    CU_ASSERT_EQUAL(others_before, CMDI_SHARD_FRAMES_PER_RUN);
    CU_ASSERT_EQUAL(masked.peer->frames, 900);
    peer_fini(&other);
    masked_free(&masked);
}

static uint32_t opens_before; // Of the mask, when the frame of the other one ran.
static const struct mask *opening;

static int64_t on_frame_meanwhile(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    opens_before = opening->opens;
    return peer_on_frame(conn, frame);
}

/* To open a frame of megabytes takes many runs, although nothing of it can be run. */
static void test_secure_budget_counts_what_is_opened(void)
{
    enum {
        BODY = 1024 * 1024,
        RECORDS = CMDI_SHARD_BYTES_PER_RUN / CMDI_SECURITY_RECORD_MAX,
    };
    static struct peer other;
    struct masked masked;
    struct cmdi_conn_ops ops = peer_server_ops;
    uint8_t *large = malloc(BODY + 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    masked_shaken(&masked, true);
    ops.on_frame = on_frame_meanwhile;
    peer_init(&other, masked.peer->shard, &ops);
    cmdi_conn_start(&other.conn);
    opening = &masked.mask;

    size_t size = (size_t)(peer_put_frame(large, 1, BODY) - large);
    masked_feed_data(&masked, large, size, CMDI_SECURITY_RECORD_MAX);
    cmdi_conn_feed(&other.conn, frames, (size_t)(peer_put_frame(frames, 1, 1) - frames));
    peer_advance(masked.peer);

    CU_ASSERT(opens_before <= RECORDS + 2);
    CU_ASSERT_EQUAL(masked.peer->frames, 1);
    CU_ASSERT_EQUAL(other.frames, 1);
    peer_fini(&other);
    masked_free(&masked);
    free(large);
}

/* --- What has run ----------------------------------------------------------------------------- */

/* In run_size bytes count as received, and never before what they carry has run. */
static void test_secure_run_size_is_never_ahead(void)
{
    struct masked masked;
    for (size_t record_size = 1; record_size < 400; record_size += 13) {
        masked_shaken(&masked, true);
        struct cmdi_conn *conn = &masked.peer->conn;
        uint64_t shaken = conn->received_size;
        CU_ASSERT_EQUAL(conn->run_size, shaken);
        size_t size = peer_mixed_frames(frames, PEER_FRAMES);
        size_t end = (size_t)(mask_wrap(&masked.end, wire, frames, size, record_size) - wire);
        for (size_t i = 0; i < end; i++) {
            cmdi_conn_feed(conn, wire + i, 1);
            peer_advance(masked.peer);
            CU_ASSERT(conn->run_size <= conn->received_size);
            /* Of the frames that have run each byte counts, with the header of a record at most. */
            size_t run = peer_mixed_frames(frames, masked.peer->frames);
            run -= masked.peer->frames % 3 == 0 && masked.peer->frames > 0 &&
                   masked.peer->ping_count < masked.peer->frames / 3;
            size_t headers = (run / record_size + 1) * MASK_HEADER_SIZE;
            CU_ASSERT(conn->run_size - shaken >= run);
            CU_ASSERT(conn->run_size - shaken <= run + headers + MASK_HEADER_SIZE);
        }
        CU_ASSERT_EQUAL(conn->run_size, conn->received_size);
        masked_free(&masked);
    }
}

/* A stream that never stands still: each record ends inside a frame. */
static void test_secure_run_size_does_not_fall_behind(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    struct cmdi_conn *conn = &masked.peer->conn;
    size_t size = peer_mixed_frames(frames, 900);
    size_t at = 0;
    for (uint64_t count = 1; count <= 900; count++) {
        size_t end = peer_mixed_frames(wire, count) - (count % 3 == 0) - 1;
        masked_feed_data(&masked, frames + at, end - at, CMDI_SECURITY_RECORD_MAX);
        at = end;
        peer_advance(masked.peer);
        CU_ASSERT(conn->received_size - conn->run_size <= 310 + 2 * MASK_HEADER_SIZE);
    }
    masked_feed_data(&masked, frames + at, size - at, 10);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->frames, 900);
    CU_ASSERT_EQUAL(conn->received_size, conn->run_size);
    masked_free(&masked);
}

static void test_secure_has_run_what_had_come(void)
{
    struct masked masked;
    uint64_t mark = 0;
    masked_shaken(&masked, true);
    struct cmdi_conn *conn = &masked.peer->conn;
    peer_advance_ms(masked.peer, 1);
    CU_ASSERT_FALSE(cmdi_conn_is_behind(conn));
    CU_ASSERT_TRUE(cmdi_conn_has_run(conn, &mark));

    masked_feed_data(&masked, frames, peer_mixed_frames(frames, 8), 20);
    CU_ASSERT_TRUE(cmdi_conn_is_behind(conn));
    CU_ASSERT_FALSE(cmdi_conn_has_run(conn, &mark));
    CU_ASSERT_EQUAL(mark, conn->received_size);

    peer_advance(masked.peer);
    CU_ASSERT_TRUE(cmdi_conn_has_run(conn, &mark));
    CU_ASSERT_EQUAL(mark, 0);
    masked_free(&masked);
}

/* Nothing was received but the handshake, or what brings nothing: that has run, however it is held. */
static void test_secure_nothing_to_run_has_run(void)
{
    struct masked masked;
    uint64_t mark = 0;
    for (int glitch = 0; glitch <= 1; glitch++) {
        masked_shaken(&masked, true);
        struct cmdi_conn *conn = &masked.peer->conn;
        if (glitch) {
            masked_feed(&masked, MASK_GLITCH);
            peer_advance(masked.peer);
        }
        CU_ASSERT_EQUAL(conn->run_size, conn->received_size);
        cmdi_conn_pause(conn);
        peer_advance(masked.peer);
        peer_recv_done(masked.peer, -ECANCELED);
        peer_advance(masked.peer);
        CU_ASSERT_TRUE(cmdi_conn_has_run(conn, &mark));
        masked_free(&masked);
    }
}

/* A record that is cut waits for the peer; a record that is here and not opened waits for us. */
static void test_secure_cut_record_is_not_behind(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    struct cmdi_conn *conn = &masked.peer->conn;
    size_t size = peer_mixed_frames(frames, 1);
    size_t end = (size_t)(mask_wrap(&masked.end, wire, frames, size, 100) - wire);
    cmdi_conn_feed(conn, wire, end - 1);
    CU_ASSERT_TRUE(cmdi_conn_is_behind(conn));
    peer_advance_ms(masked.peer, 1);
    CU_ASSERT_FALSE(cmdi_conn_is_behind(conn));
    CU_ASSERT_EQUAL(masked.peer->shard->buffers.leased_size, 0); // The session has it.
    cmdi_conn_feed(conn, wire + end - 1, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->frames, 1);
    masked_free(&masked);
}

/* A frame has its time from its first byte on, also while that lies in a record that is cut. */
static void test_secure_cut_record_has_its_time(void)
{
    struct masked masked;
    for (int ready = 0; ready <= 1; ready++) {
        masked_shaken(&masked, true);
        masked.peer->limits.frame_timeout_ms = 100;
        size_t size = peer_mixed_frames(frames, 7);
        (void)mask_wrap(&masked.end, wire, frames, size, 1000);
        for (size_t i = 0; i < 12; i++) {
            cmdi_conn_feed(&masked.peer->conn, wire + i, 1);
            peer_advance_ms(masked.peer, 8);
            if (ready) { // It runs for another reason.
                cmdi_conn_ready(&masked.peer->conn);
                peer_advance(masked.peer);
            }
        }
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
        peer_advance_ms(masked.peer, 20);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TIMEOUT);
        CU_ASSERT_EQUAL(masked.peer->counters.frame_timeouts, 1);
        masked_free(&masked);
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

static void test_secure_knows_when_a_frame_arrived(void)
{
    struct masked masked;
    struct cmdi_conn_ops ops = peer_secured_server_ops;
    ops.on_frame = on_frame_that_arrived;
    mask_init(&masked.mask, true);
    masked_open(&masked, &ops, CMDS_NEVER);
    masked_shake(&masked);
    uint8_t *first_end = peer_put_frame(frames, 1, 10);
    size_t first = (size_t)(first_end - frames);
    size_t size = (size_t)(peer_put_frame(first_end, 2, 5) - frames);

    peer_advance_ms(masked.peer, 5);
    masked_feed_data(&masked, frames, 4, 100);
    peer_advance_ms(masked.peer, 4);
    masked_feed_data(&masked, frames + 4, first - 4, 100);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(arrived_ms[0], 9);

    cmdi_conn_pause(&masked.peer->conn);
    masked_feed_data(&masked, first_end, size - first, 2);
    peer_advance_ms(masked.peer, 50);
    cmdi_conn_resume(&masked.peer->conn);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(arrived_ms[1], 9);
    masked_free(&masked);
}

/* --- Pauses ----------------------------------------------------------------------------------- */

static void test_secure_pause_loses_nothing(void)
{
    struct masked masked;
    for (uint64_t at = 1; at <= PEER_FRAMES; at++) {
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        peer->pause_at = at;
        size_t size = peer_mixed_frames(frames, PEER_FRAMES);
        size_t end = (size_t)(mask_wrap(&masked.end, wire, frames, size, 30) - wire);
        cmdi_conn_feed(&peer->conn, wire, end / 2);
        peer_advance(peer);
        cmdi_conn_feed(&peer->conn, wire + end / 2, end - end / 2);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, at);
        CU_ASSERT_EQUAL(peer->stops, 1);
        peer_recv_done(peer, -ECANCELED);
        peer_advance(peer);
        CU_ASSERT_FALSE(peer->receiving);

        cmdi_conn_resume(&peer->conn);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, PEER_FRAMES);
        CU_ASSERT_EQUAL(peer->conn.run_size, peer->conn.received_size);
        CU_ASSERT_TRUE(peer->receiving);
        masked_free(&masked);
    }
}

/* A held connection knows whether the next frame is a ping, and opens no more than it takes. */
static void test_secure_paused_one_knows_a_ping(void)
{
    struct masked masked;
    for (int ping = 0; ping <= 1; ping++) {
        masked_shaken(&masked, true);
        struct cmdi_conn *conn = &masked.peer->conn;
        cmdi_conn_pause(conn);
        peer_advance(masked.peer);
        CU_ASSERT_FALSE(cmdi_conn_has_ping(conn));
        masked_feed(&masked, MASK_GLITCH);
        frames[0] = 0;
        size_t size = (size_t)(peer_put_frame(frames + ping, 1, 300) - frames);
        masked_feed_data(&masked, frames, size, 100);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(cmdi_conn_has_ping(conn), ping);
        CU_ASSERT_EQUAL(conn->more->stash.end, 100);
        CU_ASSERT_EQUAL(masked.peer->frames, 0);
        masked_free(&masked);
    }
}

static bool has_a_zero(struct cmdi_conn *conn)
{
    (void)conn;
    return true;
}

/* What the transport sees are records: a byte 00 of theirs is no ping. */
static void test_secure_paused_one_does_not_ask_the_transport(void)
{
    struct masked masked;
    struct cmdi_transport transport = peer_watching_transport;
    transport.has_ping = has_a_zero;
    masked_shaken(&masked, true);
    masked.peer->conn.transport = &transport;
    cmdi_conn_pause(&masked.peer->conn);
    peer_advance(masked.peer);
    peer_recv_done(masked.peer, -ECANCELED);
    peer_advance(masked.peer);
    CU_ASSERT_FALSE(cmdi_conn_has_ping(&masked.peer->conn));
    masked_free(&masked);
}

/* --- Records that bring nothing --------------------------------------------------------------- */

static void test_secure_glitches_take_their_turns(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    uint64_t turns = masked.peer->shard->counters.turns;
    for (uint32_t i = 0; i < MASK_GLITCHES_MAX; i++) {
        masked_feed(&masked, MASK_GLITCH);
    }
    size_t size = peer_mixed_frames(frames, 1);
    masked_feed_data(&masked, frames, size, 100);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->frames, 1);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_glitches, MASK_GLITCHES_MAX);
    CU_ASSERT(masked.peer->shard->counters.turns - turns >= MASK_GLITCHES_MAX / MASK_SPENT_AFTER);
    CU_ASSERT_EQUAL(masked.peer->conn.run_size, masked.peer->conn.received_size);

    masked_feed(&masked, MASK_GLITCH); // One was forgiven.
    masked_feed(&masked, MASK_GLITCH);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TLS_RECORD);
    CU_ASSERT_EQUAL(masked_look(&masked).alerts, 1);
    CU_ASSERT_EQUAL(masked.peer->counters.proto_errors, 1);
    masked_free(&masked);
}

static void test_secure_glitches_in_a_handshake(void)
{
    struct masked masked;
    open_server(&masked);
    masked_feed_hello(&masked, 1);
    (void)peer_send_all(masked.peer);
    for (uint32_t i = 0; i < 3 * MASK_SPENT_AFTER; i++) {
        masked_feed(&masked, MASK_GLITCH);
    }
    masked_feed_hello(&masked, 3);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->opens, 1);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_glitches, 3 * MASK_SPENT_AFTER);
    masked_free(&masked);
}

static CU_TestInfo tests[] = {
        {"server shakes hands", test_secure_server_shakes_hands},
        {"client shakes hands and waits for the ServerInfo",
                test_secure_client_shakes_hands_and_waits_for_the_server_info},
        {"server is fed byte by byte", test_secure_server_is_fed_byte_by_byte},
        {"client is fed byte by byte", test_secure_client_is_fed_byte_by_byte},
        {"commands come with the last flight", test_secure_commands_come_with_the_last_flight},
        {"stream survives every cut", test_secure_stream_survives_every_cut},
        {"first flight is bounded", test_secure_first_flight_is_bounded},
        {"later flights are bounded", test_secure_later_flights_are_bounded},
        {"frames come in records of every size", test_secure_frames_come_in_records_of_every_size},
        {"frame of megabytes", test_secure_frame_of_megabytes},
        {"budget lets others in", test_secure_budget_lets_others_in},
        {"budget counts what is opened", test_secure_budget_counts_what_is_opened},
        {"run size is never ahead", test_secure_run_size_is_never_ahead},
        {"run size does not fall behind", test_secure_run_size_does_not_fall_behind},
        {"has run what had come", test_secure_has_run_what_had_come},
        {"nothing to run has run", test_secure_nothing_to_run_has_run},
        {"cut record is not behind", test_secure_cut_record_is_not_behind},
        {"cut record has its time", test_secure_cut_record_has_its_time},
        {"knows when a frame arrived", test_secure_knows_when_a_frame_arrived},
        {"pause loses nothing", test_secure_pause_loses_nothing},
        {"paused one knows a ping", test_secure_paused_one_knows_a_ping},
        {"paused one does not ask the transport",
                test_secure_paused_one_does_not_ask_the_transport},
        {"glitches take their turns", test_secure_glitches_take_their_turns},
        {"glitches in a handshake", test_secure_glitches_in_a_handshake},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure", tests)
