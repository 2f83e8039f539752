/* SPDX-License-Identifier: MIT */
/*
 * Output of a connection: `fill` is appended to, `flight` is being sent.
 */
#include <errno.h>
#include <string.h>

#include "conn/direct.h"
#include "conn/parts.h"
#include "conn/secure.h"

enum {
    CONN_SEND_SIZE_MAX = 256 * 1024,         // Of one send.
    CONN_SEND_SIZE_MAX_OF_MANY = 128 * 1024, // When others with much wait behind it.
    CONN_SENT_PER_UNIT = 4096,               // In mid-turn: takes about as long as a frame.
    CONN_HINT_SPARE_PART = 8,                // Of what the last flights needed: so much more room.
    CONN_HINT_FALL_PART = 16,
};

/* --- Room ------------------------------------------------------------------------------------- */

/* `fill` with room for `size` more. */
static bool conn_fill_lease(struct cmdi_conn *conn, size_t size, bool from_reserve)
{
    struct cmdi_buffers *buffers = &conn->shard->buffers;
    struct cmdi_conn_buffer grown = {.end = conn->fill.end};
    CMDI_ASSERT(size > conn->fill.end);
    grown.data = from_reserve ? cmdi_buffers_lease_reserve(buffers, size, &grown.capacity)
                              : cmdi_buffers_lease(buffers, size, &grown.capacity);
    if (grown.data == NULL) {
        return false;
    }
    if (conn->fill.data != NULL) {
        memcpy(grown.data, conn->fill.data, conn->fill.end);
        cmdi_conn_return(conn, &conn->fill);
    }
    conn->fill = grown;
    return true;
}

/*
 * Loads go up and down a little from turn to turn: with room for no more than the last ones had, every
 * other fill of a load near a size of buffers would be copied once into the next size. What a slow
 * reader has waiting is not made twice as much by it.
 */
static bool conn_fill_grow(struct cmdi_conn *conn, size_t size)
{
    size_t want = conn->fill.end + size;
    bool spares = conn->fill_hint < CONN_SEND_SIZE_MAX_OF_MANY;
    size_t hint = conn->fill_hint + (spares ? conn->fill_hint / CONN_HINT_SPARE_PART : 0);
    bool hinted = conn->fill.data == NULL && want < hint;
    return (hinted && conn_fill_lease(conn, hint, false)) || conn_fill_lease(conn, want, false);
}

/*
 * Below half of the bound any size is taken. What other threads have queued is counted only beyond
 * it: there they may have used the other half.
 */
static bool conn_output_allows(const struct cmdi_conn *conn, size_t size)
{
    size_t max = conn->limits->output_size_max;
    size_t output = cmdi_conn_output_size(conn);
    if (output < max / 2) {
        return true;
    }
    size_t queued = conn->ops->queued != NULL ? conn->ops->queued(conn) : 0;
    return output + size + queued <= max;
}

bool cmdi_conn_open_fill(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->fill.data == NULL && conn->fill.end == 0);
    return cmdi_conn_wake(conn) &&
           conn_fill_lease(conn, conn->fill_hint > 0 ? conn->fill_hint : 1, false);
}

void cmdi_conn_close_fill(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->fill.end == 0);
    cmdi_conn_return(conn, &conn->fill);
}

bool cmdi_conn_has_room(const struct cmdi_conn *conn, size_t size)
{
    return conn_output_allows(conn, size) &&
           (conn->fill.end + size <= conn->fill.capacity ||
                   cmdi_buffers_allow(&conn->shard->buffers, conn->fill.end + size));
}

uint8_t *cmdi_conn_reserve_slow(struct cmdi_conn *conn, size_t size, int *code)
{
    size_t max = conn->limits->output_size_max;
    size_t output = cmdi_conn_output_size(conn);
    conn->above_low = conn->above_low || output >= max / 2;
    if (!conn_output_allows(conn, size)) {
        *code = -ENOBUFS;
        return NULL;
    }
    if (!cmdi_conn_wake(conn)) {
        *code = -ENOMEM;
        return NULL;
    }
    if (conn->fill.end + size > conn->fill.capacity && !conn_fill_grow(conn, size)) {
        *code = cmdi_conn_lack(conn, conn->fill.end + size, false);
        return NULL;
    }
    if (output + size >= max / 2) { // Below it others count on the half without looking.
        cmdi_conn_publish_output(conn, size);
    }
    return conn->fill.data + conn->fill.end;
}

uint8_t *cmdi_conn_reserve_beyond(struct cmdi_conn *conn, size_t size)
{
    if (cmdi_conn_output_high(conn)) {
        conn->above_low = true;
    }
    if (conn->fill.end + size > conn->fill.capacity &&
            !(cmdi_conn_wake(conn) && conn_fill_lease(conn, conn->fill.end + size, true))) {
        return NULL;
    }
    return conn->fill.data + conn->fill.end;
}

/* --- The output's state ---------------------------------------------------------------------- */

#define OUTPUT_BIT(state) (1u << CMDI_OUTPUT_##state)

static const uint8_t output_moves[] = {
        [CMDI_OUTPUT_IDLE] = OUTPUT_BIT(LEFT),
        [CMDI_OUTPUT_LEFT] = OUTPUT_BIT(SENDING) | OUTPUT_BIT(IDLE) | OUTPUT_BIT(BROKEN),
        [CMDI_OUTPUT_SENDING] = OUTPUT_BIT(LEFT),
        [CMDI_OUTPUT_BROKEN] = 0,
};

static inline void conn_output_move(struct cmdi_conn *conn, enum cmdi_output_state next)
{
    CMDI_ASSERT((output_moves[conn->output] >> next & 1) != 0);
    CMDI_ASSERT((conn->more->flight.data != NULL) == (next != CMDI_OUTPUT_IDLE));
    conn->output = (uint8_t)next;
}

/* --- Sending ---------------------------------------------------------------------------------- */

/*
 * What fill had. Follows the load up at once, and down slowly: of a turn's output the last piece is
 * small, and says nothing of the next turn's.
 */
static void conn_set_hint(struct cmdi_conn *conn, size_t size)
{
    size_t less = conn->fill_hint - conn->fill_hint / CONN_HINT_FALL_PART;
    size_t hint = size > less ? size : less;
    conn->fill_hint = hint < UINT32_MAX ? (uint32_t)hint : UINT32_MAX;
}

/* `source` becomes `flight`. */
static void conn_swap(struct cmdi_conn *conn, struct cmdi_conn_buffer *source)
{
    cmdi_conn_begin_write(conn);
    conn->more->flight = *source;
    conn->flight_size = source->end - source->begin;
    *source = (struct cmdi_conn_buffer){0};
    conn_output_move(conn, CMDI_OUTPUT_LEFT);
}

/* Frames leave. */
static bool conn_is_open(const struct cmdi_conn *conn)
{
    return conn->state == CMDI_CONN_OPEN || conn->state == CMDI_CONN_FINISHING;
}

static bool conn_may_send(const struct cmdi_conn *conn)
{
    bool shakes_hands = conn->secured != NULL &&
                        (conn->state == CMDI_CONN_SECURING || conn->state == CMDI_CONN_SERVER_INFO);
    return (conn_is_open(conn) || shakes_hands) && conn->output < CMDI_OUTPUT_SENDING;
}

/* `fill` is sealed, as far as frames leave, and what was made becomes the flight. */
static void conn_load_secured(struct cmdi_conn *conn)
{
    struct cmdi_secured *secured = conn->secured;
    if (secured->failed) {
        cmdi_conn_return(conn, &conn->fill); // Only an alert leaves.
    } else if (conn->fill.end > 0 && conn_is_open(conn)) {
        struct cmds_error error = CMDS_ERROR_INIT;
        conn_set_hint(conn, conn->fill.end);
        int code = cmdi_secure_seal(conn, &error);
        if (code < 0) {
            cmdi_conn_note(
                    conn, code, "%s", error.text[0] != '\0' ? error.text : cmds_error_text(code));
            secured->failed = secured->seal_failed = true;
            cmdi_shard_flush(conn->shard, &conn->more->flush);
            return;
        }
    }
    if (secured->wire.end > 0) {
        conn_swap(conn, &secured->wire);
    }
}

/* The output is IDLE: what there is becomes the flight. */
static void conn_load(struct cmdi_conn *conn)
{
    if (CMDI_UNLIKELY(conn->secured != NULL)) {
        conn_load_secured(conn);
    } else if (conn->fill.end > 0) {
        conn_set_hint(conn, conn->fill.end);
        conn_swap(conn, &conn->fill);
    }
}

/* How much of the flight goes with one operation. */
static size_t conn_send_size(const struct cmdi_conn *conn)
{
    size_t size = conn->flight_size;
    size_t max =
            cmdi_list_empty(&conn->shard->heavy) ? CONN_SEND_SIZE_MAX : CONN_SEND_SIZE_MAX_OF_MANY;
    return size < max ? size : max;
}

static void conn_send(struct cmdi_conn *conn)
{
    size_t size = conn_send_size(conn);
    CMDI_ASSERT(size > 0);
    conn->shard->send_left -= (int64_t)size + CMDI_SHARD_SEND_COST;
    conn->more->send_size = (uint32_t)size;
    conn_output_move(conn, CMDI_OUTPUT_SENDING);
    CMDI_COUNT(conn->counters, sends, 1);
    conn->transport->send(conn, conn->more->flight.data + conn->more->flight.begin, size);
}

static void conn_tell_low(struct cmdi_conn *conn)
{
    cmdi_conn_publish_output(conn, 0);
    if (conn->above_low && cmdi_conn_alive(conn) && !cmdi_conn_output_high(conn)) {
        conn->above_low = false;
        if (conn->ops->on_output_low != NULL) {
            conn->ops->on_output_low(conn);
        }
    }
}

void cmdi_conn_run_flush(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_conn *conn = CMDI_CONTAINER(work, struct cmdi_conn_more, flush)->conn;
    if (CMDI_UNLIKELY(conn->more->fails_soon) && conn->state < CMDI_CONN_CLOSING) {
        cmdi_conn_abort(conn);
        return;
    }
    if (!conn_may_send(conn)) {
        return; // The completion of the send, or the ServerInfo, comes back here.
    }
    if (!shard->flushing_heavy && cmdi_conn_output_size(conn) > CMDI_SHARD_SEND_LIGHT) {
        cmdi_list_push(&shard->heavy, &work->link); // Behind those with little.
        return;
    }
    if (conn->output == CMDI_OUTPUT_IDLE) {
        conn_load(conn);
    }
    if (CMDI_UNLIKELY(cmdi_secure_seal_failed(conn))) {
        cmdi_conn_fail(conn, conn->error_code, "%s", cmds_error_text(conn->error_code));
        return;
    }
    if (conn->output == CMDI_OUTPUT_LEFT) {
        cmdi_conn_publish_output(conn, 0); // A part of a long flight may have left.
        conn_send(conn);
        return;
    }
    conn_tell_low(conn); // What was sent in mid-turn has no completion that would tell.
    cmdi_conn_linger_if_sent(conn);
}

/* Accounts for bytes that the kernel took. Returns: nothing of the flight is left. */
static bool conn_took(struct cmdi_conn *conn, size_t size)
{
    if (size == 0) {
        return false;
    }
    CMDI_ASSERT(size <= conn->flight_size);
    conn->flight_size -= size;
    conn->more->flight.begin += size;
    bool first = conn->sent_size == 0 || conn->secured != NULL;
    conn->sent_size += size;
    conn->sent_at = conn->shard->now_ms;
    if (CMDI_UNLIKELY(first) && conn->state == CMDI_CONN_OPEN &&
            conn->ops->on_server_info == NULL && cmdi_secure_has_sealed(conn)) {
        conn->more->server_info_until = 0; // A server's first bytes are its ServerInfo.
    }
    CMDI_COUNT(conn->counters, send_bytes, size);
    conn->shard->moved_size += size;
    if (conn->flight_size > 0) {
        return false;
    }
    cmdi_conn_return(conn, &conn->more->flight);
    conn_output_move(conn, CMDI_OUTPUT_IDLE);
    if (CMDI_UNLIKELY(conn->lacks > 0) && !conn->lacks_input) {
        cmdi_conn_lack_over(conn); // It has given memory back itself: the next try tells.
    }
    return true;
}

/*
 * In mid-turn, when a stream has filled a good piece: the kernel takes it while the next piece is
 * being made, and what is in the cache is sent from the cache. An operation of the ring would leave
 * only at the end of the turn.
 *
 * A seal that fails closes nothing here: whoever appends may be a function of the program's, which no
 * callback is to interrupt. The flush at the end of the turn does.
 *
 * Not without end: a run that has made its share sends no more, so that its output comes to its
 * bound however fast the peer reads, and whoever makes it has to wait.
 */
void cmdi_conn_flush_now(struct cmdi_conn *conn)
{
    conn->spent = conn->running &&
                  conn->more->made_size + conn->fill.end >= (size_t)CMDI_SHARD_OUTPUT_PER_RUN;
    if (!conn_may_send(conn) || conn->output != CMDI_OUTPUT_IDLE ||
            (conn->running && conn->more->made_size >= (size_t)CMDI_SHARD_OUTPUT_PER_RUN)) {
        return;
    }
    conn->more->made_size += conn->fill.end;
    conn_load(conn);
    if (CMDI_UNLIKELY(conn->output != CMDI_OUTPUT_LEFT)) {
        return; // It could not be sealed, or only shakes hands.
    }
    size_t size = conn_send_size(conn);
    const uint8_t *data = conn->more->flight.data + conn->more->flight.begin;
    int64_t sent = conn->transport->send_now(conn, data, size);
    cmdi_shard_worked(conn->shard, (uint32_t)(size / CONN_SENT_PER_UNIT));
    CMDI_COUNT(conn->counters, sends, 1);
    CMDI_COUNT(conn->counters, short_sends, sent < (int64_t)size);
    /* A failure is found again, and handled, by the send of what is left. */
    (void)conn_took(conn, sent > 0 ? (size_t)sent : 0);
    cmdi_shard_flush(conn->shard, &conn->more->flush);
}

/*
 * The peer has gone. The results that it sent before lie in slices and in the kernel, which tells the end
 * behind the last of them: so a client reads on. A server has nobody left to answer. A client whose
 * program takes no more for now would stay UP for as long, and take commands that nobody gets.
 */
static void conn_on_send_failed(struct cmdi_conn *conn, int result)
{
    bool gone = result == -EPIPE || result == -ECONNRESET;
    cmdi_conn_count_reset(conn, result);
    bool reads_on = gone && cmdi_conn_is_client(conn) && !conn->paused && !conn->end_told;
    if (reads_on && conn->state < CMDI_CONN_FINISHING) {
        conn_output_move(conn, CMDI_OUTPUT_BROKEN);
        conn->more->write_since = conn->shard->now_ms;
        cmdi_conn_timer_after(conn, conn->more->write_since, conn->limits->linger_timeout_ms);
        cmdi_conn_ready(conn); // The end of the run receives, if that was stopped.
        return;
    }
    cmdi_conn_fail(conn, gone ? CMDS_E_EOF : result, "send: %s", strerror(-result));
}

/* All of the flight has left: has a flush anything to do? Of many connections with little each, seldom. */
static bool conn_needs_flush(const struct cmdi_conn *conn)
{
    bool has_more = conn->fill.end > 0 || conn->secured != NULL;
    return conn->state < CMDI_CONN_CLOSING && (has_more || conn->state != CMDI_CONN_OPEN);
}

void cmdi_conn_on_send(struct cmdi_conn *conn, int32_t result)
{
    conn_output_move(conn, CMDI_OUTPUT_LEFT);
    if (conn->state >= CMDI_CONN_CLOSING) {
        return;
    }
    if (result == -EINTR || result == -EAGAIN) {
        result = 0; // It passes: what is left is sent again.
    }
    if (result < 0) {
        conn_on_send_failed(conn, result);
        return;
    }
    CMDI_COUNT(conn->counters, short_sends, (uint32_t)result < conn->more->send_size);
    if (!conn_took(conn, (size_t)result)) {
        cmdi_shard_flush(conn->shard, &conn->more->flush); // In its turn.
        return;
    }
    conn_tell_low(conn);
    if (conn_needs_flush(conn)) {
        cmdi_shard_flush(conn->shard, &conn->more->flush);
    }
}
