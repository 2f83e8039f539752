/* SPDX-License-Identifier: MIT */
/*
 * A connection's limits of time, when its timer fires. Each is judged after all that had come by
 * then was received and run, or it is judged later.
 */
#include "conn/parts.h"
#include "conn/secure.h"

enum {
    CONN_TAKEN_MIN = 4096,   // In write_timeout_ms, or all that waits; less in less than 8 s:
    CONN_TAKEN_MS = 2,       // a byte in so many ms.
    CONN_DEAF_LOOK_MS = 100, // A limit that cannot be judged now is checked again.
    CONN_FIN_SIZE = 1,       // Counts as a byte that waits.
};

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
    cmdi_conn_timer_after(conn, since_ms, timeout_ms);
    return false;
}

/* --- Output ----------------------------------------------------------------------------------- */

/* What a peer has to take in this time at least, as long as there is more. */
static uint64_t conn_taken_min(uint32_t timeout_ms)
{
    uint64_t size = timeout_ms / CONN_TAKEN_MS;
    return size >= CONN_TAKEN_MIN ? CONN_TAKEN_MIN : size > 0 ? size : 1;
}

uint64_t cmdi_conn_delivered_size(struct cmdi_conn *conn, uint64_t *taken)
{
    size_t waiting = 0;
    *taken = conn->transport->taken != NULL ? conn->transport->taken(conn, &waiting)
                                            : conn->sent_size;
    if (waiting == 0) {
        return conn->sent_size;
    }
    // By TCP's count, in which a SYN is one, if what waits is of a send that is under way.
    uint64_t left = waiting < conn->sent_size ? conn->sent_size - waiting : 0;
    return *taken > left ? *taken - 1 : left;
}

/* One that takes too little. Returns: its owner lets it stay; an end has an end. */
static bool conn_is_spared(struct cmdi_conn *conn)
{
    return conn->state == CMDI_CONN_OPEN && conn->ops->spares_slow != NULL &&
           conn->ops->spares_slow(conn);
}

static void conn_watch_write(struct cmdi_conn *conn, uint64_t since_ms)
{
    conn->more->write_since = since_ms;
    conn->more->write_stalled_ms = conn->shard->stalled_ms;
}

/*
 * The kernel tells the end behind what was received; but a UNIX peer that has only ended its reading may
 * send for ever. Returns: it failed.
 */
static bool conn_check_broken(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint64_t since_ms = conn->more->write_since > conn->received_at ? conn->more->write_since
                                                                    : conn->received_at;
    since_ms = cmdi_conn_is_behind(conn) ? now_ms : since_ms;
    if (!conn_overdue(conn, since_ms, conn->limits->linger_timeout_ms, now_ms)) {
        return false;
    }
    cmdi_conn_fail(conn, CMDS_E_EOF, "the peer has gone");
    return true;
}

/*
 * What counts is what the peer's side has acknowledged, not what the kernel has taken from us: a
 * send of 256 KiB may last for minutes, and its peer read all the time. Returns: it failed.
 */
static bool conn_check_write(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint32_t timeout_ms = cmdi_conn_write_timeout(conn);
    if (conn->output == CMDI_OUTPUT_BROKEN) {
        return conn_check_broken(conn, now_ms);
    }
    if (conn->more->write_since == 0 || timeout_ms == CMDS_NEVER) {
        return false;
    }
    if (cmdi_conn_is_held(conn) && cmdi_conn_is_client(conn)) {
        /* A server whose results we do not read may have to stop reading as well. */
        conn_watch_write(conn, now_ms);
        cmdi_conn_look_at_write(conn, now_ms);
        return false;
    }
    size_t waiting = 0;
    uint64_t taken = conn->transport->taken != NULL ? conn->transport->taken(conn, &waiting)
                                                    : conn->sent_size;
    uint64_t more = taken - conn->taken_size;
    waiting += cmdi_conn_output_size(conn);
    /* While we were stopped nothing was given to the kernel, and nobody looked. */
    uint64_t stalled_ms = conn->shard->stalled_ms - conn->more->write_stalled_ms;
    bool is_over = now_ms >= conn->more->write_since + timeout_ms + stalled_ms;
    /* All that waited at the last look has been taken: what waits now is new. */
    bool keeps_up = taken - conn->more->looked_taken >= conn->more->looked_waiting;
    conn->more->looked_taken = taken;
    conn->more->looked_waiting = waiting;
    if (waiting == 0 || keeps_up || more >= conn_taken_min(timeout_ms) ||
            (is_over && conn_is_spared(conn))) {
        conn->taken_size = taken;
        conn_watch_write(conn, waiting > 0 ? now_ms : 0);
    } else if (is_over) {
        CMDI_COUNT(conn->counters, slow_consumers, 1);
        cmdi_conn_fail(conn, CMDS_E_SLOW_PEER, "the peer took %s for %u ms, %zu bytes wait",
                more == 0 ? "nothing" : "next to nothing", timeout_ms, waiting);
        return true;
    }
    if (conn->more->write_since != 0) {
        cmdi_conn_look_at_write(conn, now_ms);
    }
    return false;
}

/* --- Input ------------------------------------------------------------------------------------ */

/* It has finished: those calls of it that do not end, while nothing of them leaves. */
static void conn_check_finished(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint64_t since_ms =
            conn->more->finished_at > conn->sent_at ? conn->more->finished_at : conn->sent_at;
    since_ms = since_ms > conn->received_at ? since_ms : conn->received_at; // It was behind that.
    if (cmdi_conn_output_size(conn) > 0) {
        since_ms = now_ms; // Whether that continues is checked by itself.
    }
    if (!conn_overdue(conn, since_ms, conn->limits->idle_timeout_ms, now_ms)) {
        return;
    }
    CMDI_COUNT(conn->counters, idle_closes, 1);
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
    if (cmdi_conn_is_client(conn) && cmdi_conn_is_long_deaf(conn)) {
        cmdi_conn_ready(conn); // The end of the run receives a little.
    }
    cmdi_conn_timer_by(conn, now_ms + CMDI_CONN_HELD_MS);
}

static void conn_check_idle(struct cmdi_conn *conn, uint64_t now_ms)
{
    /* A peer that has just been sent a result had waited for it: that was not idle. */
    uint64_t since_ms = conn->received_at > conn->sent_at ? conn->received_at : conn->sent_at;
    if (!conn_overdue(conn, since_ms, conn->limits->idle_timeout_ms, now_ms)) {
        return;
    }
    if ((conn->ops->is_busy != NULL && conn->ops->is_busy(conn)) ||
            cmdi_conn_output_size(conn) > 0) {
        cmdi_conn_timer_after(conn, now_ms, conn->limits->idle_timeout_ms);
        return;
    }
    CMDI_COUNT(conn->counters, idle_closes, 1);
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
    if (conn->more->finished_at != 0) {
        conn_check_finished(conn, now_ms);
        return;
    }
    if (conn_is_unheard(conn)) {
        cmdi_conn_timer_by(
                conn, now_ms + (cmdi_conn_is_held(conn) ? CMDI_CONN_HELD_MS : CONN_DEAF_LOOK_MS));
        return;
    }
    if (conn->more->frame_since != 0 &&
            conn_overdue(conn, conn->more->frame_since, timeout_ms, now_ms)) {
        CMDI_COUNT(conn->counters, frame_timeouts, 1);
        cmdi_conn_fail(conn, CMDS_E_TIMEOUT, "a frame did not get whole within %u ms", timeout_ms);
        return;
    }
    conn_check_idle(conn, now_ms);
}

/* Returns: it was over, or cannot be judged. */
static bool conn_check_server_info(struct cmdi_conn *conn, uint64_t now_ms)
{
    bool is_client = cmdi_conn_is_client(conn);
    if (conn->more->server_info_until == 0) {
        return false;
    }
    if (now_ms < conn->more->server_info_until) {
        cmdi_conn_timer_by(conn, conn->more->server_info_until);
        return false;
    }
    if (is_client && conn_is_unheard(conn)) {
        cmdi_conn_timer_by(conn, now_ms + CONN_DEAF_LOOK_MS);
        return true;
    }
    if (conn->state == CMDI_CONN_SECURING) {
        cmdi_conn_fail(conn, CMDS_E_TIMEOUT, "the TLS handshake was not over within %u ms%s",
                conn->limits->server_info_timeout_ms,
                cmdi_secure_is_due(conn) ? ", as too many others were before it" : "");
        return true;
    }
    CMDI_COUNT(conn->counters, slow_consumers, !is_client); // Of a server it is the peer that lags.
    cmdi_conn_fail(conn, CMDS_E_TIMEOUT, "no ServerInfo went through within %u ms",
            conn->limits->server_info_timeout_ms);
    return true;
}

/* --- All of them ------------------------------------------------------------------------------ */

/*
 * Of a server: what its peer has not taken yet would be lost if the peer sent something more, which
 * nobody would read. So it is judged as any output. Returns: it may still be taken, or it has failed.
 */
static bool conn_lingers_on(struct cmdi_conn *conn, uint64_t now_ms)
{
    size_t waiting = 0;
    bool failed = conn->secured != NULL && conn->secured->failed;
    if (cmdi_conn_is_client(conn) || conn->transport->taken == NULL || failed) {
        return false;
    }
    (void)conn->transport->taken(conn, &waiting);
    if (waiting <= CONN_FIN_SIZE) {
        return false;
    }
    cmdi_conn_begin_write(conn);
    return conn_check_write(conn, now_ms) || conn->more->write_since != 0;
}

/* Twice the time where a FIN may lie in the socket and be hidden by a shortage of buffers. */
static void conn_check_linger(struct cmdi_conn *conn, uint64_t now_ms)
{
    uint64_t until = conn->more->linger_until;
    bool deaf = cmdi_conn_is_receiving(conn) ? cmdi_conn_is_deaf(conn)
                                             : conn->input == CMDI_INPUT_STARVED;
    if (now_ms < until) {
        cmdi_conn_timer_by(conn, until);
    } else if (deaf && now_ms < until + conn->limits->linger_timeout_ms) {
        cmdi_conn_timer_by(conn, now_ms + CONN_DEAF_LOOK_MS);
    } else if (!conn_lingers_on(conn, now_ms)) {
        cmdi_conn_abort(conn);
    }
}

void cmdi_conn_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_conn *conn = CMDI_CONTAINER(timer, struct cmdi_conn, timer);
    if (conn->more->fails_soon) {
        return; // It has been judged.
    }
    if (conn->state == CMDI_CONN_LINGERING) {
        conn_check_linger(conn, now_ms);
        return;
    }
    if (conn_check_write(conn, now_ms) || conn->state == CMDI_CONN_FINISHING ||
            conn_check_server_info(conn, now_ms)) {
        return;
    }
    if (conn->state == CMDI_CONN_SECURING) {
        cmdi_handshake_look(conn, now_ms);
    }
    conn_check_held(conn, now_ms);
    conn_check_input(conn, now_ms);
    cmdi_conn_look_for_rest(conn, now_ms);
}
