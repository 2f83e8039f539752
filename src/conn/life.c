/* SPDX-License-Identifier: MIT */
/*
 * A connection's states, and the way down.
 *
 * Teardown is one way: fail or finish moves the state down, the transport ends what is in flight and
 * reports when nothing of it is left; then on_closed. What the transport reports until then is taken
 * and thrown away.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "conn/parts.h"
#include "conn/secure.h"

enum {
    CONN_ALERT_MS = 1000, // For the peer to read why it was refused.
};

#define CONN_BIT(state) (1u << CMDI_CONN_##state)

static const uint8_t conn_moves[] = {
        [CMDI_CONN_CONNECTING] =
                CONN_BIT(SECURING) | CONN_BIT(SERVER_INFO) | CONN_BIT(OPEN) | CONN_BIT(CLOSING),
        [CMDI_CONN_SECURING] =
                CONN_BIT(SERVER_INFO) | CONN_BIT(OPEN) | CONN_BIT(FINISHING) | CONN_BIT(CLOSING),
        [CMDI_CONN_SERVER_INFO] = CONN_BIT(OPEN) | CONN_BIT(FINISHING) | CONN_BIT(CLOSING),
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

void cmdi_conn_opened(struct cmdi_conn *conn)
{
    cmdi_conn_move(
            conn, conn->ops->on_server_info != NULL ? CMDI_CONN_SERVER_INFO : CMDI_CONN_OPEN);
}

/* --- Closing ---------------------------------------------------------------------------------- */

static void conn_end_more(struct cmdi_conn *conn)
{
    if (cmdi_conn_is_resting(conn)) {
        return;
    }
    cmdi_conn_return(conn, &conn->more->flight);
    conn->flight_size = 0;
    cmdi_conn_return(conn, &conn->more->stash);
    cmdi_conn_drop_place(conn);
    cmdi_list_remove(&conn->more->flush.link);
    cmdi_list_remove(&conn->more->starve.link);
    if (conn->ops->lease == NULL) {
        cmdi_conn_drop_more(conn);
    }
}

/* The last step: only the owner's memory is left. */
static void conn_closed(struct cmdi_conn *conn)
{
    cmdi_conn_return(conn, &conn->fill);
    cmdi_secure_close(conn);
    cmdi_list_remove(&conn->ready.link);
    conn_end_more(conn);
    cmdi_shard_unlist(conn->shard, &conn->on_shard);
    if (CMDI_UNLIKELY(conn->evicted)) {
        cmdi_conn_evicted_closed(conn);
    }
    cmdi_shard_timer_off(conn->shard, &conn->timer);
    conn->shard->connection_count--;
    CMDI_GAUGE(conn->counters, connections, -1);
    CMDI_COUNT(conn->counters, connections_closed, 1);
    cmdi_conn_move(conn, CMDI_CONN_CLOSED);
    conn->ops->on_closed(conn);
}

void cmdi_conn_close_if_done(struct cmdi_conn *conn)
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
    /* Inside abort the state is not CLOSING yet: the run that cmdi_conn_abort() asks for comes here. */
    cmdi_conn_close_if_done(conn);
}

/* From any state to CLOSING. The transport may close inside: the connection does not. */
void cmdi_conn_abort(struct cmdi_conn *conn)
{
    CMDI_ASSERT(conn->state < CMDI_CONN_CLOSING);
    conn->transport->abort(conn);
    cmdi_secure_leave(conn, false);
    conn->ended_in = conn->state;
    cmdi_conn_move(conn, CMDI_CONN_CLOSING);
    cmdi_shard_timer_off(conn->shard, &conn->timer);
    cmdi_conn_lack_over(conn);
    cmdi_conn_drop_slices(conn);
    conn->ops->on_closing(conn);
    /* Never closed inside the call that failed it: the caller may still look at it. */
    cmdi_shard_ready(conn->shard, &conn->ready);
}

/* --- Failing ---------------------------------------------------------------------------------- */

/* The first cause stays, but for an end in order that did not remain one. */
static void conn_set_error(struct cmdi_conn *conn, int code, const char *format, va_list list)
{
    int before = conn->error_code;
    bool orderly = before == 0 || before == CMDS_E_EOF || before == CMDS_E_DRAINING;
    bool replaces = code == CMDS_E_SLOW_PEER || code == CMDS_E_MEMORY_LIMIT || code == -ENOMEM;
    if (before != 0 && !(orderly && replaces)) {
        return;
    }
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)cmdi_fail_list(&error, code, format, list);
    conn->error_code = code;
    if (conn->error_text == NULL) {
        conn->error_text = cmdi_pool_acquire(&conn->shard->error_texts);
    }
    if (conn->error_text != NULL) {
        memcpy(conn->error_text, error.text, sizeof(error.text));
    }
}

void cmdi_conn_error(const struct cmdi_conn *conn, struct cmds_error *error)
{
    *error = (struct cmds_error){0};
    if (conn->error_code != 0) {
        const char *text = conn->error_text;
        (void)cmdi_fail(error, conn->error_code, "%s",
                text != NULL ? text : cmds_error_text(conn->error_code));
    }
}

bool cmdi_conn_error_names_peer(const struct cmds_error *error)
{
    return strncmp(error->text, "TLS handshake with ", 19) == 0 ||
           strncmp(error->text, "TLS with ", 9) == 0;
}

void cmdi_conn_fini(struct cmdi_conn *conn)
{
    if (conn->error_text != NULL) {
        cmdi_pool_release(&conn->shard->error_texts, conn->error_text);
        conn->error_text = NULL;
    }
    cmdi_secure_fini(conn);
}

void cmdi_conn_note(struct cmdi_conn *conn, int code, const char *format, ...)
{
    va_list list;
    if (conn->error_code == 0) {
        va_start(list, format);
        conn_set_error(conn, code, format, list);
        va_end(list);
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
    cmdi_conn_abort(conn);
}

void cmdi_conn_fail_soon(struct cmdi_conn *conn, int code, const char *format, ...)
{
    CMDI_ASSERT(conn->state == CMDI_CONN_OPEN);
    va_list list;
    va_start(list, format);
    conn_set_error(conn, code, format, list);
    va_end(list);
    if (cmdi_conn_is_resting(conn)) { // Nobody has anything of it.
        cmdi_conn_abort(conn);
        return;
    }
    cmdi_conn_move(conn, CMDI_CONN_FINISHING);
    conn->more->fails_soon = true;
    cmdi_list_remove(&conn->more->flush.link); // It may be with those that have much to send.
    cmdi_shard_flush(conn->shard, &conn->more->flush);
    if (conn->ops->on_finishing != NULL) {
        conn->ops->on_finishing(conn);
    }
}

void cmdi_conn_count_reset(struct cmdi_conn *conn, int code)
{
    bool reset = code == -EPIPE || code == -ECONNRESET || code == -ETIMEDOUT ||
                 code == -EHOSTUNREACH || code == -ENETUNREACH;
    CMDI_COUNT(conn->counters, resets, reset && conn->state < CMDI_CONN_CLOSING);
}

/* --- In order --------------------------------------------------------------------------------- */

/* One that has failed waits no longer than its alert may need to be read. */
static uint32_t conn_linger_ms(const struct cmdi_conn *conn)
{
    uint32_t linger_ms = conn->limits->linger_timeout_ms;
    bool failed = conn->secured != NULL && conn->secured->failed;
    return failed && linger_ms > CONN_ALERT_MS ? CONN_ALERT_MS : linger_ms;
}

/* FINISHING, and everything has left. */
void cmdi_conn_linger_if_sent(struct cmdi_conn *conn)
{
    if (conn->state != CMDI_CONN_FINISHING || conn->output != CMDI_OUTPUT_IDLE ||
            conn->fill.end > 0 || cmdi_secure_has_wire(conn) || cmdi_secure_notify(conn)) {
        return;
    }
    cmdi_conn_move(conn, CMDI_CONN_LINGERING);
    conn->transport->shut_write(conn);
    conn->more->linger_until = conn->shard->now_ms + conn_linger_ms(conn) + 1;
    cmdi_conn_timer_by(conn, conn->more->linger_until);
    if (conn->input == CMDI_INPUT_ENDED) {
        cmdi_conn_abort(conn);
    } else {
        cmdi_conn_arm_recv(conn, false); // It was paused: now the input is read to be thrown away.
    }
}

/* An end has an end: a write that had no limit is judged from now on. */
static void conn_begin_finish(struct cmdi_conn *conn)
{
    cmdi_conn_move(conn, CMDI_CONN_FINISHING);
    cmdi_conn_drop_slices(conn);
    if (cmdi_conn_output_size(conn) > 0 || conn->secured != NULL) { // Which has its last words.
        bool never = conn->limits->write_timeout_ms == CMDS_NEVER;
        conn->more->write_since = never ? 0 : conn->more->write_since;
        cmdi_conn_begin_write(conn);
    }
    cmdi_shard_flush(conn->shard, &conn->more->flush);
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
    if (!cmdi_conn_wake(conn)) {
        cmdi_conn_fail(conn, CMDS_E_MEMORY_LIMIT, "no memory to close it in order");
        return;
    }
    if (conn->output == CMDI_OUTPUT_BROKEN) { // Nothing of it would leave.
        cmdi_conn_fail(conn, CMDS_E_EOF, "the peer has gone");
        return;
    }
    if (conn->ops->on_finishing != NULL) {
        conn->ops->on_finishing(conn);
    }
    if (conn->state >= CMDI_CONN_FINISHING) {
        return; // Something in there failed it, or finished it too.
    }
    conn_begin_finish(conn);
}

/* The alert that was made leaves now, in as far as the kernel takes it at once. */
static void conn_send_alert_now(struct cmdi_conn *conn)
{
    struct cmdi_conn_buffer *wire = &conn->secured->wire;
    if (conn->output == CMDI_OUTPUT_IDLE && wire->end > 0) {
        int64_t sent = conn->transport->send_now(conn, wire->data, wire->end);
        CMDI_COUNT(conn->counters, sends, 1);
        CMDI_COUNT(conn->counters, send_bytes, sent > 0 ? sent : 0);
    }
}

void cmdi_conn_fail_secured(struct cmdi_conn *conn, const struct cmds_error *error)
{
    struct cmdi_secured *secured = conn->secured;
    if (conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    cmdi_conn_note(conn, error->code, "%s", error->text);
    cmdi_secure_leave(conn, false);
    secured->failed = true;
    if (!conn->ops->answers_first) {
        conn_send_alert_now(conn);
        cmdi_conn_abort(conn);
        return;
    }
    if (secured->wire.end == 0 || conn->output == CMDI_OUTPUT_BROKEN) {
        cmdi_conn_abort(conn);
        return;
    }
    if (conn->ops->on_finishing != NULL) {
        conn->ops->on_finishing(conn);
    }
    if (conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    conn_begin_finish(conn);
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
    if (conn->ops->answers_first && conn->state == CMDI_CONN_OPEN) {
        cmdi_conn_finish(conn);
    } else {
        cmdi_conn_abort(conn);
    }
}
