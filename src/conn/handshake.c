/* SPDX-License-Identifier: MIT */
/*
 * Handshakes of security layers: when a step is made, and what it comes to.
 *
 * What comes is collected until the layer says that a step is worth its while. One that costs little
 * is made at once, one that costs much when its turn comes. Until then nothing stays in the shard's
 * buffers, so a storm of handshakes takes none from those who are past theirs.
 */
#include <cmdstream/tls.h>

#include "base/error.h"
#include "conn/parts.h"
#include "conn/secure.h"
#include "ring/clock.h"

static void handshake_fail(struct cmdi_conn *conn, struct cmds_error *error)
{
    CMDI_ASSERT(error->code < 0);
    cmdi_conn_fail_secured(conn, error);
}

/* The session is made when the first flight is there. */
static int handshake_begin(struct cmdi_conn *conn, struct cmds_error *error)
{
    struct cmdi_secured *secured = conn->secured;
    const struct cmdi_conn_buffer *raw = &secured->raw;
    if (secured->session != NULL) {
        return 0;
    }
    return secured->tls->security->begin(secured->tls, &secured->peer, &cmdi_secure_io, conn,
            raw->data != NULL ? raw->data + raw->begin : NULL, raw->end - raw->begin,
            &secured->session, error);
}

/* Both sides know each other. */
static void handshake_done(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    const struct cmds_tls_peer *peer = cmdi_conn_tls_peer(conn);
    CMDI_COUNT(secured->counters, tls_resumed, peer != NULL && peer->resumed);
    cmdi_conn_opened(conn);
    cmdi_secure_leave(conn, true);
    cmdi_secure_settle(conn);
    cmdi_conn_ready(conn); // More may have come behind it.
    conn->ops->on_open(conn, 0);
}

static void handshake_step(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    struct cmds_error error = CMDS_ERROR_INIT;
    uint64_t begin_ns = cmdi_now_ns();
    enum cmdi_security_result result = CMDI_SECURITY_FAILED;
    if (handshake_begin(conn, &error) == 0) {
        result = secured->tls->security->step(secured->session, &error);
    }
    CMDI_COUNT(secured->counters, tls_handshake_us, (cmdi_now_ns() - begin_ns) / 1000);
    switch (result) {
    case CMDI_SECURITY_DONE:
        handshake_done(conn);
        return;
    case CMDI_SECURITY_EMPTY:
    case CMDI_SECURITY_CUT:
    case CMDI_SECURITY_SPENT:
        break;
    default:
        handshake_fail(conn, &error);
        return;
    }
    cmdi_secure_listen(conn);
    cmdi_conn_ready(conn); // It may have come meanwhile, or be the end.
}

void cmdi_handshake_on_turn(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_secured *secured = CMDI_CONTAINER(work, struct cmdi_secured, step);
    struct cmdi_conn *conn = secured->conn;
    CMDI_ASSERT(conn->state == CMDI_CONN_SECURING && conn->shard == shard);
    CMDI_ASSERT(secured->handshake == CMDI_HANDSHAKE_DUE);
    handshake_step(conn);
}

/*
 * What has come is not enough for a step. Beyond a bound no more is read: it never will be, and nobody
 * could tell that from a peer that we do not hear.
 */
static void handshake_check_flight(struct cmdi_conn *conn)
{
    const struct cmdi_secured *secured = conn->secured;
    bool is_first = secured->session == NULL;
    int size_max = is_first ? CMDI_SECURITY_FLIGHT_MAX : CMDI_SECURE_RAW_MAX;
    if (secured->raw.end - secured->raw.begin > (size_t)size_max) {
        struct cmds_error error = CMDS_ERROR_INIT;
        (void)cmdi_fail(&error, CMDS_E_TLS_RECORD,
                "TLS handshake with %s: its%s flight is longer than %d bytes",
                secured->peer.address, is_first ? " first" : "", size_max);
        handshake_fail(conn, &error);
    }
}

/* Where others wait for a seat, one that has had it for long has to go. */
static void handshake_make_room(struct cmdi_shard *shard, uint64_t now_ms)
{
    if (cmdi_list_empty(&shard->seatless) || cmdi_list_empty(&shard->seats)) {
        return; // Or all of them wait for us.
    }
    struct cmdi_secured *oldest = CMDI_CONTAINER(shard->seats.next, struct cmdi_secured, seat);
    uint64_t seat_ms = cmdi_secure_seat_ms(shard);
    if (now_ms >= oldest->sat_ms + seat_ms) {
        struct cmds_error error = CMDS_ERROR_INIT;
        (void)cmdi_fail(&error, CMDS_E_TIMEOUT,
                "TLS handshake with %s: not over after %u ms, and others wait for the seat",
                oldest->peer.address, (unsigned)(now_ms - oldest->sat_ms));
        handshake_fail(oldest->conn, &error);
    }
}

void cmdi_handshake_run(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    CMDI_ASSERT(conn->state == CMDI_CONN_SECURING);
    CMDI_ASSERT(conn->slices.count == 0);
    if (secured->handshake != CMDI_HANDSHAKE_LISTENS) {
        return;
    }
    struct cmdi_conn_buffer *raw = &secured->raw;
    bool is_first = secured->session == NULL;
    if (!is_first && raw->begin == raw->end) {
        return;
    }
    switch (secured->tls->security->weigh(secured->tls, secured->session,
            raw->data != NULL ? raw->data + raw->begin : NULL, raw->end - raw->begin)) {
    case CMDI_SECURITY_LACKS:
        handshake_check_flight(conn);
        break;
    case CMDI_SECURITY_LIGHT:
        handshake_step(conn);
        break;
    case CMDI_SECURITY_HEAVY:
        cmdi_secure_queue(conn);
        handshake_make_room(conn->shard, conn->shard->now_ms);
        break;
    }
}

/*
 * A reset that came together with bytes is not reported by the receive that took these: the kernel
 * waits for an event, and there is none any more. Others learn it by what they send.
 */
static void handshake_look_for_reset(struct cmdi_conn *conn, uint64_t now_ms)
{
    bool is_silent = (uint32_t)now_ms - conn->armed_at >= CMDI_SECURE_SILENT_MS;
    if (conn->input == CMDI_INPUT_RECEIVING && is_silent) {
        cmdi_conn_stop_recv(conn);
    }
    cmdi_conn_timer_by(conn, now_ms + CMDI_SECURE_SILENT_MS);
}

void cmdi_handshake_look(struct cmdi_conn *conn, uint64_t now_ms)
{
    if (conn->secured->tls->is_server) {
        handshake_look_for_reset(conn, now_ms);
    }
    if (conn->secured->handshake == CMDI_HANDSHAKE_SEATLESS) {
        cmdi_conn_timer_by(conn, now_ms + cmdi_secure_seat_ms(conn->shard));
        handshake_make_room(conn->shard, now_ms);
    }
}
