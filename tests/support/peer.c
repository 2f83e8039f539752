/* SPDX-License-Identifier: MIT */
/* The connection that the unit tests play with: see peer.h. */
#include "support/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    PEER_STEP_MS = 150, // Less than what a shard takes for a stop.
};

struct peer *peer_of(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct peer, conn);
}

/* --- A transport that waits to be told -------------------------------------------------------- */

static int fake_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)fd;
    peer_of(conn)->opening = address != NULL;
    return address == NULL;
}

static void fake_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)mode;
    CMDI_ASSERT(!peer_of(conn)->receiving && !peer_of(conn)->aborted);
    peer_of(conn)->receiving = true;
    peer_of(conn)->stopping = false;
    peer_of(conn)->recvs++;
}

static void fake_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct peer *peer = peer_of(conn);
    CMDI_ASSERT(peer->sending == NULL && size > 0 && !peer->aborted);
    peer->sending = data;
    peer->sending_size = size;
}

static void peer_keep(struct peer *peer, const uint8_t *data, size_t size)
{
    CMDI_ASSERT(peer->sent_size + size <= PEER_SENT_MAX);
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

static void fake_stop_recv(struct cmdi_conn *conn)
{
    struct peer *peer = peer_of(conn);
    CMDI_ASSERT(peer->receiving);
    peer->stops += !peer->stopping;
    peer->stopping = true;
}

static void fake_watch(struct cmdi_conn *conn, bool finish)
{
    CMDI_ASSERT(!peer_of(conn)->watching && !peer_of(conn)->aborted);
    peer_of(conn)->watching = true;
    peer_of(conn)->watch_finish = finish;
}

static uint64_t fake_taken(struct cmdi_conn *conn, size_t *waiting)
{
    const struct peer *peer = peer_of(conn);
    *waiting = peer->waiting;
    return peer->taken;
}

static void fake_shut_write(struct cmdi_conn *conn)
{
    CMDI_ASSERT(peer_of(conn)->sending == NULL);
    peer_of(conn)->shuts++;
}

static bool peer_is_in_flight(const struct peer *peer)
{
    return peer->sending != NULL || peer->receiving || peer->opening || peer->watching;
}

/* Aborted, and nothing is in flight any more. */
static void peer_close_if_done(struct peer *peer)
{
    if (peer->aborted && peer->closes == 0 && !peer_is_in_flight(peer)) {
        peer->closes++;
        cmdi_conn_on_closed(&peer->conn);
    }
}

static void fake_abort(struct cmdi_conn *conn)
{
    peer_of(conn)->aborts++;
    peer_of(conn)->aborted = true;
    peer_close_if_done(peer_of(conn));
}

static const struct cmdi_transport fake_transport = {
        .open = fake_open,
        .recv = fake_recv,
        .stop_recv = fake_stop_recv,
        .send = fake_send,
        .send_now = fake_send_now,
        .shut_write = fake_shut_write,
        .abort = fake_abort,
};

const struct cmdi_transport peer_watching_transport = {
        .open = fake_open,
        .recv = fake_recv,
        .stop_recv = fake_stop_recv,
        .send = fake_send,
        .send_now = fake_send_now,
        .watch = fake_watch,
        .shut_write = fake_shut_write,
        .abort = fake_abort,
        .taken = fake_taken,
};

/* --- An owner that looks ---------------------------------------------------------------------- */

static uint8_t body_byte(uint64_t sequence, size_t i)
{
    return (uint8_t)(sequence * 31 + i);
}

int64_t peer_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct peer *peer = peer_of(conn);
    peer->frames++;
    peer->wrong = peer->wrong || frame->sequence != peer->frames || conn->paused;
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
    for (size_t i = 0; i < frame->body_size;
            i++) { // Last: it stays until the return, whatever was done.
        peer->wrong = peer->wrong || frame->body[i] != body_byte(frame->sequence, i);
    }
    return (int64_t)frame->body_size;
}

int peer_on_ping(struct cmdi_conn *conn)
{
    peer_of(conn)->ping_count++;
    return 0;
}

void peer_on_output_low(struct cmdi_conn *conn)
{
    peer_of(conn)->lows++;
}

void peer_on_eof(struct cmdi_conn *conn)
{
    peer_of(conn)->eofs++;
}

static bool peer_is_busy(const struct cmdi_conn *conn)
{
    return ((const struct peer *)(const void *)conn)->busy; // The connection is its first member.
}

void peer_on_closing(struct cmdi_conn *conn)
{
    peer_of(conn)->closings++;
}

void peer_on_closed(struct cmdi_conn *conn)
{
    peer_of(conn)->closeds++;
}

void peer_on_open(struct cmdi_conn *conn, int code)
{
    struct peer *peer = peer_of(conn);
    peer->opens++;
    peer->open_code = code;
    if (code < 0) {
        cmdi_conn_fail(conn, code, "connect");
    } else {
        cmdi_conn_start(conn);
    }
}

int peer_on_server_info(struct cmdi_conn *conn, struct cmds_bytes info)
{
    (void)conn;
    return info.size == 4 && memcmp(info.data, "calc", 4) == 0 ? 0 : CMDS_E_SERVER_INFO_MISMATCH;
}

const struct cmdi_conn_ops peer_server_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_output_low = peer_on_output_low,
        .on_eof = peer_on_eof,
        .is_busy = peer_is_busy,
        .on_closing = peer_on_closing,
        .on_closed = peer_on_closed,
};

const struct cmdi_conn_ops peer_secured_server_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_open = peer_on_open,
        .on_output_low = peer_on_output_low,
        .on_eof = peer_on_eof,
        .is_busy = peer_is_busy,
        .on_closing = peer_on_closing,
        .on_closed = peer_on_closed,
        .answers_first = true,
};

const struct cmdi_conn_ops peer_client_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_open = peer_on_open,
        .on_server_info = peer_on_server_info,
        .on_output_low = peer_on_output_low,
        .on_eof = peer_on_eof,
        .is_busy = peer_is_busy,
        .on_closing = peer_on_closing,
        .on_closed = peer_on_closed,
};

/* --- Set-up ----------------------------------------------------------------------------------- */

const struct cmdi_conn_limits peer_limits = {
        .frame_size_max = 4 * 1024 * 1024,
        .output_size_max = 1024 * 1024,
        .server_info_timeout_ms = CMDS_NEVER,
        .frame_timeout_ms = CMDS_NEVER,
        .write_timeout_ms = CMDS_NEVER,
        .idle_timeout_ms = CMDS_NEVER,
        .linger_timeout_ms = 1000,
};

static struct cmdi_shard *peer_stepped_shard(void)
{
    struct cmdi_shard_options options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 30};
    struct cmdi_shard *shard = NULL;
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&shard, &options, NULL), 0);
    CU_ASSERT_PTR_NULL(cmdi_shard_set_current(shard));
    return shard;
}

static const struct cmdi_address some_address;

static void peer_init_closed(struct peer *peer, struct cmdi_shard *shard,
        const struct cmdi_conn_ops *ops, uint32_t server_info_timeout_ms)
{
    *peer = (struct peer){.shard = shard, .limits = peer_limits, .now_takes = PEER_SENT_MAX};
    peer->limits.server_info_timeout_ms = server_info_timeout_ms;
    peer->sent = malloc(PEER_SENT_MAX);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->sent);
    cmdi_conn_init(&peer->conn, shard, ops, &fake_transport, &peer->limits, &peer->counters);
}

static void peer_init_timed(struct peer *peer, struct cmdi_shard *shard,
        const struct cmdi_conn_ops *ops, uint32_t server_info_timeout_ms)
{
    peer_init_closed(peer, shard, ops, server_info_timeout_ms);
    bool opens = ops->on_open != NULL;
    CU_ASSERT_EQUAL_FATAL(cmdi_conn_open(&peer->conn, -1, opens ? &some_address : NULL), !opens);
}

void peer_init_secured(struct peer *peer, struct cmdi_shard *shard, const struct cmdi_conn_ops *ops,
        struct cmds_tls *tls, uint32_t server_info_timeout_ms)
{
    static const struct cmdi_security_peer of_client = {.address = "client"};
    static const struct cmdi_security_peer of_server = {.host = "host", .address = "host:1"};
    bool is_server = tls->is_server;
    peer_init_closed(peer, shard, ops, server_info_timeout_ms);
    CU_ASSERT_EQUAL_FATAL(cmdi_conn_secure(&peer->conn, tls, is_server ? &of_client : &of_server,
                                  &peer->tls_counters),
            0);
    CU_ASSERT_EQUAL_FATAL(cmdi_conn_open(&peer->conn, -1, is_server ? NULL : &some_address), 0);
}

struct peer *peer_open_secured(
        const struct cmdi_conn_ops *ops, struct cmds_tls *tls, uint32_t server_info_timeout_ms)
{
    struct peer *peer = malloc(sizeof(*peer));
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    peer_init_secured(peer, peer_stepped_shard(), ops, tls, server_info_timeout_ms);
    return peer;
}

void peer_init(struct peer *peer, struct cmdi_shard *shard, const struct cmdi_conn_ops *ops)
{
    peer_init_timed(peer, shard, ops, CMDS_NEVER);
}

struct peer *peer_open_timed(const struct cmdi_conn_ops *ops, uint32_t server_info_timeout_ms)
{
    struct peer *peer = malloc(sizeof(*peer));
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    peer_init_timed(peer, peer_stepped_shard(), ops, server_info_timeout_ms);
    return peer;
}

struct peer *peer_open(const struct cmdi_conn_ops *ops)
{
    return peer_open_timed(ops, CMDS_NEVER);
}

struct peer *peer_started(void)
{
    struct peer *peer = peer_open(&peer_server_ops);
    cmdi_conn_start(&peer->conn);
    return peer;
}

void peer_advance(struct peer *peer)
{
    cmdi_shard_step(peer->shard, peer->shard->now_ns);
}

void peer_advance_ms(struct peer *peer, uint64_t ms)
{
    cmdi_shard_step(peer->shard, peer->shard->now_ns + ms * 1000000);
}

void peer_pass_ms(struct peer *peer, uint64_t ms)
{
    for (uint64_t step_ms = 0; ms > 0; ms -= step_ms) {
        step_ms = ms < PEER_STEP_MS ? ms : PEER_STEP_MS;
        peer_advance_ms(peer, step_ms);
    }
}

void peer_open_done(struct peer *peer, int code)
{
    CU_ASSERT_TRUE_FATAL(peer->opening);
    peer->opening = false;
    cmdi_conn_on_open(&peer->conn, code);
    peer_close_if_done(peer);
}

void peer_send_done(struct peer *peer, int32_t result)
{
    if (result > 0) {
        peer_keep(peer, peer->sending, (size_t)result);
    }
    peer->sending = NULL;
    cmdi_conn_on_send(&peer->conn, result);
    peer_close_if_done(peer);
}

void peer_recv_done(struct peer *peer, int code)
{
    CU_ASSERT_TRUE_FATAL(peer->receiving);
    peer->receiving = peer->stopping = false;
    cmdi_conn_on_recv_end(&peer->conn, code);
    peer_close_if_done(peer);
}

void peer_watch_done(struct peer *peer, int events)
{
    CU_ASSERT_TRUE_FATAL(peer->watching);
    peer->watching = false;
    cmdi_conn_on_watch(&peer->conn, events);
    peer_close_if_done(peer);
}

void peer_end_operations(struct peer *peer)
{
    for (uint32_t i = 0; i < PEER_ROUNDS_MAX && peer->conn.state == CMDI_CONN_CLOSING; i++) {
        if (peer->sending != NULL) {
            peer_send_done(peer, -ECANCELED);
        } else if (peer->receiving) {
            peer_recv_done(peer, -ECANCELED);
        } else if (peer->watching) {
            peer_watch_done(peer, -ECANCELED);
        } else if (peer->opening) {
            peer_open_done(peer, -ECANCELED);
        }
        peer_advance(peer);
    }
}

/* Everything was told once. */
static void peer_close(struct peer *peer)
{
    if (peer->conn.state < CMDI_CONN_CLOSING) {
        cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "the test is over");
        peer_advance(peer);
    }
    peer_end_operations(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    CU_ASSERT_EQUAL(peer->closings, 1);
    CU_ASSERT_EQUAL(peer->closeds, 1);
    CU_ASSERT_EQUAL(peer->closes, 1);
    CU_ASSERT_EQUAL(peer->aborts, 1);
    CU_ASSERT(peer->opens <= 1);
    CU_ASSERT_EQUAL(peer->tls_counters.tls_waiting, 0);
    CU_ASSERT_FALSE(peer->told_inside);
    CU_ASSERT_FALSE(peer->wrong);
}

/* Nothing is left on the shard. */
static void peer_expect_empty(const struct cmdi_shard *shard)
{
    CU_ASSERT_EQUAL(shard->buffers.leased_size, 0);
    CU_ASSERT_EQUAL(shard->connection_count, 0);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&shard->timers), CMDI_TIMER_NONE);
    CU_ASSERT_EQUAL(shard->seat_count, 0);
    CU_ASSERT_TRUE(cmdi_list_empty(&shard->seats) && cmdi_list_empty(&shard->seatless));
    CU_ASSERT_TRUE(cmdi_list_empty(&shard->costly) && cmdi_list_empty(&shard->lacking));
}

void peer_fini(struct peer *peer)
{
    peer_close(peer);
    cmdi_conn_fini(&peer->conn);
    free(peer->sent);
}

void peer_free(struct peer *peer)
{
    peer_close(peer);
    peer_expect_empty(peer->shard);
    (void)cmdi_shard_set_current(NULL);
    cmdi_conn_fini(&peer->conn);
    cmdi_shard_destroy(peer->shard);
    free(peer->sent);
    free(peer);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

uint8_t *peer_put_frame(uint8_t *out, uint64_t sequence, size_t body_size)
{
    out = cmdi_frame_header_encode(out, sequence, 5, body_size, false);
    for (size_t i = 0; i < body_size; i++) {
        *out++ = body_byte(sequence, i);
    }
    return out;
}

size_t peer_mixed_frames(uint8_t *out, uint64_t count)
{
    uint8_t *at = out;
    for (uint64_t sequence = 1; sequence <= count; sequence++) {
        size_t body_size = sequence % 7 == 0 ? 300 : sequence % 5;
        at = peer_put_frame(at, sequence, body_size);
        if (sequence % 3 == 0) {
            *at++ = 0;
        }
    }
    return (size_t)(at - out);
}

void peer_append(struct peer *peer, const void *data, size_t size)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, data, size);
    cmdi_conn_commit(&peer->conn, size);
}

uint32_t peer_send_all(struct peer *peer)
{
    uint32_t count = 0;
    peer_advance(peer);
    for (; peer->sending != NULL && count < PEER_ROUNDS_MAX; count++) {
        peer_send_done(peer, (int32_t)peer->sending_size);
        peer_advance(peer);
    }
    return count;
}
