/* SPDX-License-Identifier: MIT */
/*
 * Between a connection's buffers and its session: bytes for it and from it, and the seats of
 * handshakes.
 */
#include "conn/secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"

enum {
    SECURE_TRIM_SEATS = 16, // After so many handshakes at a time, memory may lie about.
};

/* --- What a session calls --------------------------------------------------------------------- */

static const uint8_t *secure_peek(void *context, size_t *size)
{
    struct cmdi_conn *conn = context;
    struct cmdi_conn_buffer *raw = &conn->secured->raw;
    if (raw->begin < raw->end) {
        *size = raw->end - raw->begin;
        return raw->data + raw->begin;
    }
    *size = 0;
    if (conn->slices.count == 0) {
        return NULL;
    }
    struct cmds_bytes slice = cmdi_receive_oldest(&conn->shard->receive, &conn->slices);
    conn->more->stash_ns = cmdi_receive_arrived_ns(&conn->shard->receive, &conn->slices);
    *size = slice.size;
    return slice.data;
}

static void secure_take(void *context, size_t size)
{
    struct cmdi_conn *conn = context;
    struct cmdi_conn_buffer *raw = &conn->secured->raw;
    conn->secured->overhead += (int64_t)size;
    if (raw->begin == raw->end) {
        (void)cmdi_receive_use(&conn->shard->receive, &conn->slices, size);
        return;
    }
    CMDI_ASSERT(size <= raw->end - raw->begin);
    raw->begin += size;
    if (raw->begin == raw->end) {
        cmdi_conn_drop_raw(conn);
    }
}

/* Room for `size` more in `wire`: what it takes, it gives back to the account soon. */
static bool secure_wire_room(struct cmdi_conn *conn, size_t size)
{
    struct cmdi_conn_buffer *wire = &conn->secured->wire;
    struct cmdi_conn_buffer grown = {.end = wire->end};
    if (wire->end + size <= wire->capacity) {
        return true;
    }
    grown.data =
            cmdi_buffers_lease_reserve(&conn->shard->buffers, wire->end + size, &grown.capacity);
    if (grown.data == NULL) {
        return false;
    }
    if (wire->end > 0) {
        memcpy(grown.data, wire->data, wire->end);
    }
    cmdi_conn_return(conn, wire);
    *wire = grown;
    return true;
}

static int secure_put(void *context, const uint8_t *data, size_t size)
{
    struct cmdi_conn *conn = context;
    struct cmdi_conn_buffer *wire = &conn->secured->wire;
    if (!secure_wire_room(conn, size)) {
        CMDI_COUNT(conn->counters, out_of_memory, 1);
        return -ENOMEM;
    }
    memcpy(wire->data + wire->end, data, size);
    wire->end += size;
    cmdi_shard_flush(conn->shard, &conn->more->flush);
    return 0;
}

static void secure_count(void *context, enum cmdi_security_event event)
{
    struct cmdi_conn *conn = context;
    struct cmdi_tls_counters *counters = conn->secured->counters;
    CMDI_COUNT(counters, tls_alerts_in, event == CMDI_SECURITY_ALERT_IN);
    CMDI_COUNT(counters, tls_alerts_out, event == CMDI_SECURITY_ALERT_OUT);
    CMDI_COUNT(counters, tls_glitches, event == CMDI_SECURITY_GLITCH);
}

const struct cmdi_security_io cmdi_secure_io = {
        .peek = secure_peek,
        .take = secure_take,
        .put = secure_put,
        .count = secure_count,
};

/* --- Opening and sealing ---------------------------------------------------------------------- */

/*
 * In run_size bytes count as they were received. What records have beside their data counts as soon
 * as the data before it has run; so run_size is never ahead of what has run, and gets there.
 */
void cmdi_secure_settle(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    if (!secured->cut) {
        conn->run_size += (uint64_t)secured->overhead;
        secured->overhead = 0;
        secured->settled_size = conn->run_size;
    }
}

/* Of what was opened only the last record's data may be left. */
static bool secure_has_run(const struct cmdi_conn *conn)
{
    return conn->more->stash.begin == conn->more->stash.end ||
           conn->run_size != conn->secured->settled_size;
}

enum cmdi_security_result cmdi_secure_open(
        struct cmdi_conn *conn, int *lack, struct cmds_error *error)
{
    struct cmdi_secured *secured = conn->secured;
    struct cmdi_conn_buffer *stash = &conn->more->stash;
    size_t size = 0;
    CMDI_ASSERT(secured->handshake == CMDI_HANDSHAKE_OVER && !secured->failed);
    *lack = 0;
    if (!cmdi_conn_stash_room(conn, stash, CMDI_SECURITY_RECORD_MAX)) {
        *lack = cmdi_conn_lack(conn, stash->end - stash->begin + CMDI_SECURITY_RECORD_MAX, true);
        return CMDI_SECURITY_EMPTY;
    }
    if (secure_has_run(conn)) {
        cmdi_secure_settle(conn);
    }
    enum cmdi_security_result result = secured->tls->security->open(
            secured->session, stash->data + stash->end, CMDI_SECURITY_RECORD_MAX, &size, error);
    CMDI_ASSERT(size <= CMDI_SECURITY_RECORD_MAX && (size > 0) == (result == CMDI_SECURITY_DATA));
    stash->end += size;
    secured->opened_size += size;
    secured->overhead -= (int64_t)size;
    secured->cut = result == CMDI_SECURITY_CUT;
    if (stash->begin == stash->end) {
        cmdi_conn_drop_stash(conn);
        cmdi_secure_settle(conn);
    }
    return result;
}

int cmdi_secure_seal(struct cmdi_conn *conn, struct cmds_error *error)
{
    struct cmdi_secured *secured = conn->secured;
    size_t size = conn->fill.end;
    size_t records = size / CMDI_SECURITY_RECORD_MAX + 1;
    CMDI_ASSERT(size > 0 && secured->handshake == CMDI_HANDSHAKE_OVER && !secured->failed);
    if (!secure_wire_room(conn, size + records * CMDI_SECURITY_OVERHEAD_MAX)) {
        CMDI_COUNT(conn->counters, out_of_memory, 1);
        error->code = CMDS_E_MEMORY_LIMIT;
        return error->code;
    }
    secured->sealed = true;
    int code = secured->tls->security->seal(secured->session, conn->fill.data, size, error);
    cmdi_conn_return(conn, &conn->fill);
    return code;
}

bool cmdi_secure_notify(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    if (secured == NULL || secured->notified || secured->failed) {
        return false;
    }
    CMDI_ASSERT(secured->handshake == CMDI_HANDSHAKE_OVER);
    secured->notified = true;
    secured->tls->security->notify(secured->session);
    return secured->wire.end > 0;
}

/* --- Seats ------------------------------------------------------------------------------------ */

#define HANDSHAKE_BIT(state) (1u << CMDI_HANDSHAKE_##state)

static const uint8_t handshake_moves[] = {
        [CMDI_HANDSHAKE_LISTENS] =
                HANDSHAKE_BIT(SEATLESS) | HANDSHAKE_BIT(DUE) | HANDSHAKE_BIT(OVER),
        [CMDI_HANDSHAKE_SEATLESS] = HANDSHAKE_BIT(DUE) | HANDSHAKE_BIT(OVER),
        [CMDI_HANDSHAKE_DUE] = HANDSHAKE_BIT(LISTENS) | HANDSHAKE_BIT(OVER),
        [CMDI_HANDSHAKE_OVER] = 0,
};

void cmdi_secure_move(struct cmdi_conn *conn, enum cmdi_handshake_state next)
{
    struct cmdi_secured *secured = conn->secured;
    bool was_due = cmdi_secure_is_due(conn);
    CMDI_ASSERT((handshake_moves[secured->handshake] >> next & 1) != 0);
    conn->shard->seatless_count -= secured->handshake == CMDI_HANDSHAKE_SEATLESS;
    conn->shard->seatless_count += next == CMDI_HANDSHAKE_SEATLESS;
    secured->handshake = (uint8_t)next;
    CMDI_GAUGE(secured->counters, tls_waiting, (int)cmdi_secure_is_due(conn) - (int)was_due);
}

static bool secure_has_seat(const struct cmdi_shard *shard, const struct cmdi_secured *secured)
{
    return shard->seat_count < secured->tls->handshakes_max;
}

static void secure_sit(struct cmdi_shard *shard, struct cmdi_secured *secured)
{
    secured->seated = true;
    shard->seat_count++;
    shard->trim_due = shard->trim_due || shard->seat_count >= SECURE_TRIM_SEATS;
    shard->trim = secured->tls->security->trim;
}

uint64_t cmdi_secure_seat_ms(const struct cmdi_shard *shard)
{
    uint64_t ms = CMDI_SECURE_SEAT_MS * (uint64_t)CMDI_SECURE_FEW /
                  (CMDI_SECURE_FEW + shard->seatless_count);
    return ms > CMDI_SECURE_SEAT_MIN_MS ? ms : CMDI_SECURE_SEAT_MIN_MS;
}

/* By sat_ms. Nearly always it is the youngest. */
static void secure_list_seat(struct cmdi_shard *shard, struct cmdi_secured *secured)
{
    struct cmdi_list *before = shard->seats.prev;
    while (before != &shard->seats &&
            CMDI_CONTAINER(before, struct cmdi_secured, seat)->sat_ms > secured->sat_ms) {
        before = before->prev;
    }
    cmdi_list_push(before->next, &secured->seat);
}

void cmdi_secure_listen(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    cmdi_list_remove(&secured->seat);
    if (secured->handshake != CMDI_HANDSHAKE_LISTENS) {
        cmdi_secure_move(conn, CMDI_HANDSHAKE_LISTENS);
    }
    if (secured->seated) {
        uint64_t now_ms = conn->shard->now_ms;
        secured->sat_ms = secured->sat_ms != 0 ? secured->sat_ms : now_ms + (now_ms == 0);
        secure_list_seat(conn->shard, secured);
    }
}

void cmdi_secure_queue(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    struct cmdi_shard *shard = conn->shard;
    bool needs_seat = secured->tls->is_server && !secured->seated;
    cmdi_list_remove(&secured->seat);
    if (needs_seat && (!secure_has_seat(shard, secured) || !cmdi_list_empty(&shard->seatless))) {
        cmdi_secure_move(conn, CMDI_HANDSHAKE_SEATLESS);
        cmdi_list_push(&shard->seatless, &secured->step.link);
        cmdi_conn_timer_by(conn, shard->now_ms + cmdi_secure_seat_ms(shard));
        return;
    }
    if (needs_seat) {
        secure_sit(shard, secured);
    }
    cmdi_secure_move(conn, CMDI_HANDSHAKE_DUE);
    cmdi_list_push(&shard->costly, &secured->step.link);
}

/* A seat is free: the next one of those that wait for one. */
static void secure_seat_next(struct cmdi_shard *shard)
{
    while (!cmdi_list_empty(&shard->seatless)) {
        struct cmdi_secured *next =
                CMDI_CONTAINER(shard->seatless.next, struct cmdi_secured, step.link);
        if (!secure_has_seat(shard, next)) {
            return;
        }
        cmdi_list_remove(&next->step.link);
        secure_sit(shard, next);
        cmdi_secure_move(next->conn, CMDI_HANDSHAKE_DUE);
        cmdi_list_push(&shard->costly, &next->step.link);
    }
}

void cmdi_secure_leave(struct cmdi_conn *conn, bool done)
{
    struct cmdi_secured *secured = conn->secured;
    if (secured == NULL || secured->handshake == CMDI_HANDSHAKE_OVER) {
        return;
    }
    bool was_tried = conn->state == CMDI_CONN_SECURING;
    cmdi_secure_move(conn, CMDI_HANDSHAKE_OVER);
    CMDI_COUNT(secured->counters, tls_handshakes, done);
    CMDI_COUNT(secured->counters, tls_failed, !done && was_tried);
    secured->failed = !done;
    cmdi_list_remove(&secured->seat);
    cmdi_list_remove(&secured->step.link);
    if (secured->seated) {
        secured->seated = false;
        CMDI_ASSERT(conn->shard->seat_count > 0);
        conn->shard->seat_count--;
    }
    // Also if it had none: the first of those that wait may have needed more room than the others.
    secure_seat_next(conn->shard);
}

/* --- Life ------------------------------------------------------------------------------------- */

void cmdi_secure_close(struct cmdi_conn *conn)
{
    if (conn->secured != NULL) {
        CMDI_ASSERT(conn->secured->handshake == CMDI_HANDSHAKE_OVER);
        cmdi_conn_return(conn, &conn->secured->raw);
        cmdi_conn_return(conn, &conn->secured->wire);
    }
}

void cmdi_secure_fini(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    if (secured == NULL) {
        return;
    }
    CMDI_ASSERT(cmdi_list_empty(&secured->seat) && !cmdi_work_queued(&secured->step));
    if (secured->session != NULL) {
        secured->tls->security->end(secured->session);
    }
    conn->secured = NULL;
    free(secured);
}

const struct cmds_tls_peer *cmdi_conn_tls_peer(const struct cmdi_conn *conn)
{
    const struct cmdi_secured *secured = conn->secured;
    return secured != NULL && secured->session != NULL
                   ? secured->tls->security->peer(secured->session)
                   : NULL;
}
