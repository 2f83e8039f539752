/* SPDX-License-Identifier: MIT */
/*
 * Life and output of a connection; its input is in input.c.
 *
 * Teardown is one way: fail or finish moves the state down, the transport ends what is in flight,
 * the last completion closes the descriptor and calls on_closed. Until then every completion is
 * taken and thrown away; the slot's generation keeps those of a former connection from ever being
 * seen.
 */
#include "conn/conn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/input.h"

enum {
    CONN_SEND_SIZE_MAX = 256 * 1024,         // Of one send.
    CONN_SEND_SIZE_MAX_OF_MANY = 128 * 1024, // When others with much wait behind it.
    CONN_SENT_PER_UNIT = 4096,               // In mid-turn: takes about as long as a frame.
    CONN_TAKEN_MIN = 4096,                   // In write_timeout_ms, or else all that waits.
    CONN_WRITE_LOOKS = 4,                    // At what was taken, in that time.
    CONN_FINISH_MS = 10000,                  // Where there is no write_timeout_ms.
    CONN_DEAF_LOOK_MS = 100, // A limit that cannot be judged now is looked at again.
};

#define CONN_BIT(state) (1u << CMDI_CONN_##state)

static const uint8_t conn_moves[] = {
        [CMDI_CONN_CONNECTING] = CONN_BIT(SERVER_INFO) | CONN_BIT(OPEN) | CONN_BIT(CLOSING),
        [CMDI_CONN_SERVER_INFO] = CONN_BIT(OPEN) | CONN_BIT(CLOSING),
        [CMDI_CONN_OPEN] = CONN_BIT(FINISHING) | CONN_BIT(CLOSING),
        [CMDI_CONN_FINISHING] = CONN_BIT(LINGERING) | CONN_BIT(CLOSING),
        [CMDI_CONN_LINGERING] = CONN_BIT(CLOSING),
        [CMDI_CONN_CLOSING] = CONN_BIT(CLOSED),
        [CMDI_CONN_CLOSED] = 0,
};

void cmdi_conn_move(struct cmdi_conn *conn, enum cmdi_conn_state next)
{
    CMDI_ASSERT((conn_moves[conn->state] >> next & 1) != 0);
    conn->state = (uint8_t)next;
}

static void conn_on_timer(struct cmdi_timer *timer, uint64_t now_ms);
static void conn_run_flush(struct cmdi_shard *shard, struct cmdi_work *work);
static void conn_close_if_done(struct cmdi_conn *conn);
static void conn_begin_write(struct cmdi_conn *conn);

/* --- Life ------------------------------------------------------------------------------------- */

void cmdi_conn_init(struct cmdi_conn *conn, struct cmdi_shard *shard,
        const struct cmdi_conn_ops *ops, const struct cmdi_transport *transport,
        const struct cmdi_conn_limits *limits)
{
    CMDI_ASSERT(transport->state_size <= CMDI_TRANSPORT_STATE_MAX);
    *conn = (struct cmdi_conn){
            .shard = shard,
            .ops = ops,
            .transport = transport,
            .limits = limits,
            .state = CMDI_CONN_CONNECTING,
            .received_at = shard->now_ms,
            .sent_at = shard->now_ms,
    };
    cmdi_work_init(&conn->ready, cmdi_conn_run);
    conn->ready.level = CMDI_LEVEL_UNKNOWN;
    cmdi_work_init(&conn->flush, conn_run_flush);
    cmdi_work_init(&conn->starve, cmdi_conn_rearm_starved);
    cmdi_timer_init(&conn->timer, conn_on_timer);
    cmdi_list_init(&conn->lacking);
    cmdi_list_init(&conn->on_shard);
}

/* The transport is open: what the peer says first is waited for, or nothing is. */
static void conn_opened(struct cmdi_conn *conn)
{
    cmdi_conn_move(
            conn, conn->ops->on_server_info != NULL ? CMDI_CONN_SERVER_INFO : CMDI_CONN_OPEN);
}

int cmdi_conn_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    struct cmdi_shard *shard = conn->shard;
    CMDI_ASSERT(conn->state == CMDI_CONN_CONNECTING && cmdi_list_empty(&conn->on_shard));
    int code = conn->transport->open(conn, fd, address);
    if (code < 0) {
        return code;
    }
    cmdi_list_push(&shard->conns, &conn->on_shard);
    shard->relieve = cmdi_conn_relieve;
    shard->connection_count++;
    CMDI_COUNT(shard, connections, 1);
    if (code > 0) {
        conn_opened(conn);
    }
    return code;
}

/* Sees to it that the timer fires at `at_ms` or earlier; what is due then is looked up then. */
void cmdi_conn_watch(struct cmdi_conn *conn, uint64_t at_ms)
{
    bool sooner = !cmdi_timer_armed(&conn->timer) || at_ms < conn->timer.at_ms;
    if (sooner && conn->state < CMDI_CONN_CLOSING) {
        cmdi_shard_timer(conn->shard, &conn->timer, at_ms);
    }
}

void cmdi_conn_watch_after(struct cmdi_conn *conn, uint64_t since_ms, uint32_t timeout_ms)
{
    if (timeout_ms != CMDS_NEVER) {
        cmdi_conn_watch(conn, since_ms + timeout_ms + 1);
    }
}

void cmdi_conn_start(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->state == CMDI_CONN_SERVER_INFO || conn->state == CMDI_CONN_OPEN);
    if (conn->limits->server_info_timeout_ms != CMDS_NEVER) {
        conn->server_info_until = conn->shard->now_ms + conn->limits->server_info_timeout_ms + 1;
        cmdi_conn_watch(conn, conn->server_info_until);
    }
    cmdi_conn_watch_after(conn, conn->received_at, conn->limits->idle_timeout_ms);
    cmdi_conn_arm_recv(conn, conn->limits->expect_quiet);
}

void cmdi_conn_on_open(struct cmdi_conn *conn, int code)
{
    if (conn->state != CMDI_CONN_CONNECTING) {
        CMDI_ASSERT(conn->state == CMDI_CONN_CLOSING);
        return;
    }
    if (code == 0) {
        conn_opened(conn);
    }
    conn->ops->on_open(conn, code);
}

static void conn_return(struct cmdi_conn *conn, struct cmdi_conn_buffer *buffer)
{
    cmdi_buffers_return(&conn->shard->buffers, buffer->data, buffer->capacity);
    *buffer = (struct cmdi_conn_buffer){0};
}

/* The last step: only the owner's memory is left. */
static void conn_closed(struct cmdi_conn *conn)
{
    conn_return(conn, &conn->fill);
    conn_return(conn, &conn->flight);
    conn_return(conn, &conn->stash);
    cmdi_conn_drop_place(conn);
    cmdi_list_remove(&conn->ready.link);
    cmdi_list_remove(&conn->flush.link);
    cmdi_list_remove(&conn->starve.link);
    cmdi_list_remove(&conn->on_shard);
    if (CMDI_UNLIKELY(conn->evicted)) {
        cmdi_conn_evicted_closed(conn);
    }
    cmdi_shard_timer_off(conn->shard, &conn->timer);
    conn->shard->connection_count--;
    __atomic_store_n(
            &conn->shard->stats.connections, conn->shard->stats.connections - 1, __ATOMIC_RELAXED);
    CMDI_COUNT(conn->shard, connections_closed, 1);
    cmdi_conn_move(conn, CMDI_CONN_CLOSED);
    conn->ops->on_closed(conn);
}

static void conn_close_if_done(struct cmdi_conn *conn)
{
    /* Inside a run the owner's functions are still on the stack: the run looks again at its end. */
    if (conn->state == CMDI_CONN_CLOSING && conn->transport_closed && !conn->running) {
        conn_closed(conn);
    }
}

void cmdi_conn_on_closed(struct cmdi_conn *conn)
{
    CMDI_ASSERT(!conn->transport_closed);
    conn->transport_closed = true;
    /* Inside abort the state is not CLOSING yet: the run that conn_abort() asks for comes here. */
    conn_close_if_done(conn);
}

void cmdi_conn_close_if_done(struct cmdi_conn *conn)
{
    conn_close_if_done(conn);
}

/* From any state to CLOSING. The transport may close inside: the connection does not. */
static void conn_abort(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->state < CMDI_CONN_CLOSING);
    conn->transport->abort(conn);
    cmdi_conn_move(conn, CMDI_CONN_CLOSING);
    cmdi_shard_timer_off(conn->shard, &conn->timer);
    cmdi_conn_lack_over(conn);
    cmdi_conn_drop_slices(conn);
    conn->ops->on_closing(conn);
    /* Never closed inside the call that failed it: the caller may still look at it. */
    cmdi_shard_ready(conn->shard, &conn->ready);
}

/* The first cause stays, but for an end in order that did not remain one. */
static void conn_set_error(struct cmdi_conn *conn, int code, const char *format, va_list list)
{
    int before = conn->error.code;
    bool orderly = before == 0 || before == CMDS_E_EOF || before == CMDS_E_DRAINING;
    if (before == 0 || (orderly && code == CMDS_E_SLOW_PEER)) {
        conn->error.code = code;
        (void)vsnprintf(conn->error.text, sizeof(conn->error.text), format, list);
    }
}

void cmdi_conn_fail(struct cmdi_conn *conn, int code, const char *format, ...)
{
    if (conn->state >= CMDI_CONN_CLOSING) {
        return; // What follows the first failure is its echo.
    }
    va_list list;
    va_start(list, format);
    conn_set_error(conn, code, format, list);
    va_end(list);
    conn_abort(conn);
}

void cmdi_conn_count_reset(struct cmdi_conn *conn, int32_t error)
{
    bool reset = error == -EPIPE || error == -ECONNRESET || error == -ETIMEDOUT ||
                 error == -EHOSTUNREACH || error == -ENETUNREACH;
    CMDI_COUNT(conn->shard, resets, reset && conn->state < CMDI_CONN_CLOSING);
}

void cmdi_conn_refuse(struct cmdi_conn *conn, int code, const char *format, ...)
{
    if (conn->state >= CMDI_CONN_FINISHING) {
        return; // It is closing already, and nothing more is run.
    }
    va_list list;
    va_start(list, format);
    conn_set_error(conn, code, format, list);
    va_end(list);
    if (conn->limits->answers_first && conn->state == CMDI_CONN_OPEN) {
        cmdi_conn_finish(conn);
    } else {
        conn_abort(conn);
    }
}

/* FINISHING, and everything has left. */
static void conn_linger_if_sent(struct cmdi_conn *conn)
{
    if (conn->state != CMDI_CONN_FINISHING || conn->flight.data != NULL || conn->fill.end > 0) {
        return;
    }
    cmdi_conn_move(conn, CMDI_CONN_LINGERING);
    conn->transport->shut_write(conn);
    conn->linger_until = conn->shard->now_ms + conn->limits->linger_timeout_ms + 1;
    cmdi_conn_watch(conn, conn->linger_until);
    if (conn->eof) {
        conn_abort(conn);
    } else if (!conn->receiving) {
        cmdi_conn_arm_recv(conn, false); // It was paused: now the input is read to be thrown away.
    }
}

void cmdi_conn_finish(struct cmdi_conn *conn)
{
    if (conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    if (conn->state < CMDI_CONN_OPEN) {
        cmdi_conn_fail(conn, CMDS_E_CLOSED, "closed before it was open");
        return;
    }
    if (conn->ops->on_finishing != NULL) {
        conn->ops->on_finishing(conn);
    }
    if (conn->state >= CMDI_CONN_FINISHING) {
        return; // Something in there failed it, or finished it too.
    }
    cmdi_conn_move(conn, CMDI_CONN_FINISHING);
    cmdi_conn_drop_slices(conn);
    if (cmdi_conn_output_size(conn) > 0) {
        // What was never looked at begins now.
        bool never = conn->limits->write_timeout_ms == CMDS_NEVER;
        conn->write_since = never ? 0 : conn->write_since;
        conn_begin_write(conn);
    }
    cmdi_shard_flush(conn->shard, &conn->flush);
}

/* --- Time ------------------------------------------------------------------------------------- */

/* Is `timeout_ms` over that began at `since_ms`? If not, the timer is set for it. */
static bool conn_overdue(
        struct cmdi_conn *conn, uint64_t since_ms, uint32_t timeout_ms, uint64_t now_ms)
{
    if (timeout_ms == CMDS_NEVER) {
        return false;
    }
    if (now_ms >= since_ms + timeout_ms) {
        return true;
    }
    cmdi_conn_watch_after(conn, since_ms, timeout_ms);
    return false;
}

/* How long the peer may take nothing. An end has an end, whatever else has none. */
static uint32_t conn_write_timeout(const struct cmdi_conn *conn)
{
    uint32_t timeout_ms = conn->limits->write_timeout_ms;
    return timeout_ms == CMDS_NEVER && conn->state >= CMDI_CONN_FINISHING ? CONN_FINISH_MS
                                                                          : timeout_ms;
}

static void conn_look_at_write(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint32_t timeout_ms = conn_write_timeout(conn);
    if (timeout_ms != CMDS_NEVER) {
        cmdi_conn_watch_after(conn, conn->write_since, timeout_ms);
        cmdi_conn_watch_after(conn, now_ms, timeout_ms / CONN_WRITE_LOOKS);
    }
}

/*
 * From now on until the peer has taken it all. At its begin nothing waited, so what had been taken
 * is what was found then.
 */
static void conn_begin_write(struct cmdi_conn *conn)
{
    if (conn->write_since == 0) {
        uint64_t now_ms = conn->shard->now_ms;
        conn->write_since = now_ms + (now_ms == 0);
        conn_look_at_write(conn, now_ms);
    }
}

/*
 * What counts is what the peer's side has acknowledged, not what the kernel has taken from us: a
 * send of 256 KiB may last for minutes, and its peer read all the time. Returns: it failed.
 */
static bool conn_check_write(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint32_t timeout_ms = conn_write_timeout(conn);
    if (conn->write_since == 0 || timeout_ms == CMDS_NEVER) {
        return false;
    }
    size_t waiting = 0;
    uint64_t taken = conn->transport->taken != NULL ? conn->transport->taken(conn, &waiting)
                                                    : conn->sent_size;
    uint64_t more = taken - conn->taken_size;
    waiting += cmdi_conn_output_size(conn);
    if (waiting == 0 || more >= CONN_TAKEN_MIN) {
        conn->taken_size = taken;
        conn->write_since = waiting > 0 ? now_ms : 0;
    } else if (now_ms >= conn->write_since + timeout_ms) {
        CMDI_COUNT(conn->shard, slow_consumers, 1);
        cmdi_conn_fail(conn, CMDS_E_SLOW_PEER, "the peer took %s for %u ms, %zu bytes wait",
                more == 0 ? "nothing" : "next to nothing", timeout_ms, waiting);
        return true;
    }
    if (conn->write_since != 0) {
        conn_look_at_write(conn, now_ms);
    }
    return false;
}

/* It has finished: those calls of it that do not end, while nothing of them leaves. */
static void conn_check_finished(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint64_t since_ms = conn->finished_at > conn->sent_at ? conn->finished_at : conn->sent_at;
    since_ms = since_ms > conn->received_at ? since_ms : conn->received_at; // It was behind that.
    if (cmdi_conn_output_size(conn) > 0) {
        since_ms = now_ms; // Whether that goes on is watched by itself.
    }
    if (!conn_overdue(conn, since_ms, conn->limits->idle_timeout_ms, now_ms)) {
        return;
    }
    CMDI_COUNT(conn->shard, idle_closes, 1);
    cmdi_conn_fail(conn, CMDS_E_IDLE, "the peer had finished, and nothing was sent for %u ms",
            conn->limits->idle_timeout_ms);
}

/* What we do not read, the peer may take for our end. */
static void conn_check_held(struct cmdi_conn *conn, uint64_t now_ms)
{
    if (!cmdi_conn_is_held(conn)) {
        return;
    }
    if (conn->ops->on_held != NULL && now_ms >= conn->sent_at + CMDI_CONN_HELD_MS &&
            cmdi_conn_output_size(conn) == 0) {
        conn->ops->on_held(conn);
    }
    cmdi_conn_watch(conn, now_ms + CMDI_CONN_HELD_MS);
}

static void conn_check_idle(struct cmdi_conn *conn, uint64_t now_ms)
{
    /* Whoever has just been sent a result had waited for it: that was not idle. */
    uint64_t since_ms = conn->received_at > conn->sent_at ? conn->received_at : conn->sent_at;
    if (!conn_overdue(conn, since_ms, conn->limits->idle_timeout_ms, now_ms)) {
        return;
    }
    if ((conn->ops->is_busy != NULL && conn->ops->is_busy(conn)) ||
            cmdi_conn_output_size(conn) > 0) {
        cmdi_conn_watch_after(conn, now_ms, conn->limits->idle_timeout_ms);
        return;
    }
    CMDI_COUNT(conn->shard, idle_closes, 1);
    cmdi_conn_fail(conn, CMDS_E_IDLE, "nothing received for %u ms", conn->limits->idle_timeout_ms);
}

/* What came may lie in the kernel, or here: this turn's pass has not got to it. */
static bool conn_is_unheard(const struct cmdi_conn *conn)
{
    return cmdi_conn_is_deaf(conn) || conn->unrun;
}

/* What was to be received until then. Of what we did not listen to there is nothing to judge. */
static void conn_check_input(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint32_t timeout_ms = conn->limits->frame_timeout_ms;
    if (conn->finished_at != 0) {
        conn_check_finished(conn, now_ms);
        return;
    }
    if (conn_is_unheard(conn)) {
        cmdi_conn_watch(
                conn, now_ms + (cmdi_conn_is_held(conn) ? CMDI_CONN_HELD_MS : CONN_DEAF_LOOK_MS));
        return;
    }
    if (conn->frame_since != 0 && conn_overdue(conn, conn->frame_since, timeout_ms, now_ms)) {
        CMDI_COUNT(conn->shard, frame_timeouts, 1);
        cmdi_conn_fail(conn, CMDS_E_TIMEOUT, "a frame did not get whole within %u ms", timeout_ms);
        return;
    }
    conn_check_idle(conn, now_ms);
}

/* Returns: it was over, or cannot be judged. */
static bool conn_check_server_info(struct cmdi_conn *conn, uint64_t now_ms)
{
    bool is_client = conn->ops->on_server_info != NULL;
    if (conn->server_info_until == 0) {
        return false;
    }
    if (now_ms < conn->server_info_until) {
        cmdi_conn_watch(conn, conn->server_info_until);
        return false;
    }
    if (is_client && conn_is_unheard(conn)) {
        cmdi_conn_watch(conn, now_ms + CONN_DEAF_LOOK_MS);
        return true;
    }
    cmdi_conn_fail(conn, CMDS_E_TIMEOUT, "no ServerInfo went through within %u ms",
            conn->limits->server_info_timeout_ms);
    return true;
}

/* Twice the time where a FIN may lie in the socket and be hidden by a shortage of buffers. */
static void conn_check_linger(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint64_t until = conn->linger_until;
    bool deaf = conn->receiving ? cmdi_conn_is_deaf(conn) : conn->starved;
    if (now_ms < until) {
        cmdi_conn_watch(conn, until);
    } else if (deaf && now_ms < until + conn->limits->linger_timeout_ms) {
        cmdi_conn_watch(conn, now_ms + CONN_DEAF_LOOK_MS);
    } else {
        conn_abort(conn);
    }
}

static void conn_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_conn *conn = CMDI_CONTAINER(timer, struct cmdi_conn, timer);
    if (conn->state == CMDI_CONN_LINGERING) {
        conn_check_linger(conn, now_ms);
        return;
    }
    if (conn_check_write(conn, now_ms) || conn->state == CMDI_CONN_FINISHING ||
            conn_check_server_info(conn, now_ms)) {
        return;
    }
    conn_check_held(conn, now_ms);
    conn_check_input(conn, now_ms);
}

/* --- Output ----------------------------------------------------------------------------------- */

/* `fill` with room for `size` more. */
static bool conn_fill_lease(struct cmdi_conn *conn, size_t size, bool from_reserve)
{
    struct cmdi_buffers *buffers = &conn->shard->buffers;
    struct cmdi_conn_buffer grown = {.end = conn->fill.end};
    grown.data = from_reserve ? cmdi_buffers_lease_reserve(buffers, size, &grown.capacity)
                              : cmdi_buffers_lease(buffers, size, &grown.capacity);
    if (grown.data == NULL) {
        return false;
    }
    if (conn->fill.end > 0) {
        memcpy(grown.data, conn->fill.data, conn->fill.end);
    }
    conn_return(conn, &conn->fill);
    conn->fill = grown;
    return true;
}

static bool conn_fill_grow(struct cmdi_conn *conn, size_t size)
{
    size_t want = conn->fill.end + size;
    bool hinted = conn->fill.data == NULL && want < conn->fill_hint;
    return (hinted && conn_fill_lease(conn, conn->fill_hint, false)) ||
           conn_fill_lease(conn, want, false);
}

/*
 * Below half of the bound any size is taken. What other threads have queued is looked at only beyond
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

bool cmdi_conn_has_room(const struct cmdi_conn *conn, size_t size)
{
    return conn_output_allows(conn, size) &&
           (conn->fill.end + size <= conn->fill.capacity ||
                   cmdi_buffers_allow(&conn->shard->buffers, conn->fill.end + size));
}

uint8_t *cmdi_conn_reserve_slow(struct cmdi_conn *conn, size_t size, int *error)
{
    size_t max = conn->limits->output_size_max;
    size_t output = cmdi_conn_output_size(conn);
    conn->above_low = conn->above_low || output >= max / 2;
    if (!conn_output_allows(conn, size)) {
        *error = -ENOBUFS;
        return NULL;
    }
    if (conn->fill.end + size > conn->fill.capacity && !conn_fill_grow(conn, size)) {
        *error = cmdi_conn_lack(conn, conn->fill.end + size, false);
        return NULL;
    }
    if (output + size >= max / 2) { // Below it others count on the half without looking.
        atomic_store_explicit(&conn->output_seen, output + size, memory_order_relaxed);
    }
    return conn->fill.data + conn->fill.end;
}

uint8_t *cmdi_conn_reserve_beyond(struct cmdi_conn *conn, size_t size)
{
    if (cmdi_conn_output_high(conn)) {
        conn->above_low = true;
    }
    if (conn->fill.end + size > conn->fill.capacity &&
            !conn_fill_lease(conn, conn->fill.end + size, true)) {
        return NULL;
    }
    return conn->fill.data + conn->fill.end;
}

/* `fill` becomes `flight`. */
static void conn_swap(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->flight.data == NULL);
    conn_begin_write(conn);
    conn->flight = conn->fill;
    conn->fill = (struct cmdi_conn_buffer){0};
    /* Follows the load up at once, and down by half a step each time. */
    size_t half = conn->fill_hint / 2;
    conn->fill_hint = conn->flight.end > half ? conn->flight.end : half;
}

static bool conn_may_send(const struct cmdi_conn *conn)
{
    return (conn->state == CMDI_CONN_OPEN || conn->state == CMDI_CONN_FINISHING) && !conn->sending;
}

/* How much of the flight goes with one operation. */
static size_t conn_send_size(const struct cmdi_conn *conn)
{
    size_t size = conn->flight.end - conn->flight.begin;
    size_t max =
            cmdi_list_empty(&conn->shard->heavy) ? CONN_SEND_SIZE_MAX : CONN_SEND_SIZE_MAX_OF_MANY;
    return size < max ? size : max;
}

static void conn_send(struct cmdi_conn *conn)
{
    size_t size = conn_send_size(conn);
    conn->shard->send_left -= (int64_t)size + CMDI_SHARD_SEND_COST;
    conn->send_size = (uint32_t)size;
    conn->sending = true;
    CMDI_COUNT(conn->shard, sends, 1);
    conn->transport->send(conn, conn->flight.data + conn->flight.begin, size);
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

static void conn_run_flush(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_conn *conn = CMDI_CONTAINER(work, struct cmdi_conn, flush);
    if (!conn_may_send(conn)) {
        return; // The completion of the send, or the ServerInfo, comes back here.
    }
    if (!shard->flushing_heavy && cmdi_conn_output_size(conn) > CMDI_SHARD_SEND_LIGHT) {
        cmdi_list_push(&shard->heavy, &work->link); // Behind those with little.
        return;
    }
    if (conn->flight.data == NULL && conn->fill.end > 0) {
        conn_swap(conn);
    }
    if (conn->flight.data != NULL) {
        conn_send(conn);
        return;
    }
    conn_tell_low(conn); // What was sent in mid-turn has no completion that would tell.
    conn_linger_if_sent(conn);
}

/* Accounts for bytes that the kernel took. Returns: nothing of the flight is left. */
static bool conn_took(struct cmdi_conn *conn, size_t size)
{
    if (size == 0) {
        return false;
    }
    conn->flight.begin += size;
    conn->sent_size += size;
    conn->sent_at = conn->shard->now_ms;
    if (conn->state == CMDI_CONN_OPEN && conn->ops->on_server_info == NULL) {
        conn->server_info_until = 0; // A server's first bytes are its ServerInfo.
    }
    CMDI_COUNT(conn->shard, send_bytes, size);
    if (conn->flight.begin < conn->flight.end) {
        return false;
    }
    conn_return(conn, &conn->flight);
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
 * Not without end: a run that has made its share sends no more, so that its output comes to its
 * bound however fast the peer reads, and whoever makes it has to wait.
 */
void cmdi_conn_flush_now(struct cmdi_conn *conn)
{
    conn->spent =
            conn->running && conn->made_size + conn->fill.end >= (size_t)CMDI_SHARD_OUTPUT_PER_RUN;
    if (!conn_may_send(conn) || conn->flight.data != NULL ||
            (conn->running && conn->made_size >= (size_t)CMDI_SHARD_OUTPUT_PER_RUN)) {
        return;
    }
    conn->made_size += conn->fill.end;
    conn_swap(conn);
    size_t size = conn_send_size(conn);
    int64_t sent = conn->transport->send_now(conn, conn->flight.data + conn->flight.begin, size);
    cmdi_shard_worked(conn->shard, (uint32_t)(size / CONN_SENT_PER_UNIT));
    CMDI_COUNT(conn->shard, sends, 1);
    CMDI_COUNT(conn->shard, short_sends, sent < (int64_t)size);
    /* A failure is found again, and handled, by the send of what is left. */
    (void)conn_took(conn, sent > 0 ? (size_t)sent : 0);
    cmdi_shard_flush(conn->shard, &conn->flush);
}

void cmdi_conn_on_send(struct cmdi_conn *conn, int32_t result)
{
    conn->sending = false;
    if (conn->state >= CMDI_CONN_CLOSING) {
        return;
    }
    if (result == -EINTR || result == -EAGAIN) {
        result = 0; // It passes: what is left is sent again.
    }
    if (result < 0) {
        cmdi_conn_count_reset(conn, result);
        cmdi_conn_fail(conn, result == -EPIPE || result == -ECONNRESET ? CMDS_E_EOF : result,
                "send: %s", strerror(-result));
        return;
    }
    CMDI_COUNT(conn->shard, short_sends, (uint32_t)result < conn->send_size);
    if (!conn_took(conn, (size_t)result)) {
        cmdi_shard_flush(conn->shard, &conn->flush); // In its turn.
        return;
    }
    conn_tell_low(conn);
    if (conn->state < CMDI_CONN_CLOSING) {
        cmdi_shard_flush(conn->shard, &conn->flush);
    }
}
