/* SPDX-License-Identifier: MIT */
/*
 * The server's side of a connection: ServerInfo, pings, back-pressure, drain, and the news about
 * its end.
 *
 * It closes by itself when the peer has finished and the last call has ended; it is freed when it
 * is closed, no message from another thread is under way, and no call of it is kept.
 */
#include "server/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/usdt.h"
#include "ring/thread.h"
#include "server/call.h"
#include "server/exec.h"
#include "server/inspect.h"
#include "server/peer.h"
#include "server/result.h"
#include "server/window.h"
#include "server/writable.h"

#define CONNECTION_BIT(state) (1u << CMDI_CONNECTION_##state)

// By state: those that may follow.
static const uint8_t connection_moves[] = {
        [CMDI_CONNECTION_NEW] = CONNECTION_BIT(ACCEPTED) | CONNECTION_BIT(TOLD),
        [CMDI_CONNECTION_ACCEPTED] = CONNECTION_BIT(EOF) | CONNECTION_BIT(TOLD),
        [CMDI_CONNECTION_EOF] = CONNECTION_BIT(TOLD),
        [CMDI_CONNECTION_TOLD] = CONNECTION_BIT(CLOSED),
        [CMDI_CONNECTION_CLOSED] = 0,
};

static void connection_move(struct cmds_connection *connection, enum cmdi_connection_state next)
{
    CMDI_ASSERT((connection_moves[connection->state] & (1u << next)) != 0);
    connection->state = (uint8_t)next;
}

/* --- Events ----------------------------------------------------------------------------------- */

static int connection_on_ping(struct cmdi_conn *conn)
{
    uint8_t *out = cmdi_conn_reserve_beyond(conn, 1); // Above half of the bound nothing is read.
    if (out == NULL) {
        return -ENOMEM;
    }
    *out = 0;
    cmdi_conn_commit(conn, 1);
    CMDI_COUNT(&cmdi_connection_of(conn)->server_shard->counters, pings_answered, 1);
    cmdi_connection_of(conn)->pings = true;
    cmdi_window_hold_back(cmdi_connection_of(conn));
    return 0;
}

/*
 * A ping may wait in what we do not read, so its pong goes unasked. Only to those that have sent
 * one: to others a pong is no part of the protocol.
 */
static void connection_on_held(struct cmdi_conn *conn)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    int code = 0;
    connection->pings = connection->pings || cmdi_conn_has_ping(conn);
    uint8_t *out = connection->pings ? cmdi_conn_reserve(conn, 1, &code) : NULL;
    if (out != NULL) {
        *out = 0;
        cmdi_conn_commit(conn, 1);
    }
}

static void connection_on_output_low(struct cmdi_conn *conn)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    cmdi_writable_look(connection);
    if (!cmdi_list_empty(&cmdi_connection_more(connection)->again)) {
        cmdi_conn_ready(conn);
    }
    cmdi_window_on_output_low(connection);
}

static void connection_on_eof(struct cmdi_conn *conn)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    connection_move(connection, CMDI_CONNECTION_EOF);
    if (cmdi_conn_peer_has_ended(conn)) {
        cmdi_conn_note(conn, CMDS_E_EOF, "the peer closed the connection");
    } else {
        cmdi_conn_note(conn, CMDS_E_DRAINING, "the server is shutting down");
    }
    cmdi_connection_finish_if_idle(connection);
}

static bool connection_spares_slow(struct cmdi_conn *conn)
{
    struct cmdi_server_shard *server_shard = cmdi_connection_of(conn)->server_shard;
    bool stays = server_shard->core->options.slow_reader == CMDS_SLOW_READER_WAIT;
    CMDI_COUNT(&server_shard->counters, slow_spared, stays);
    return stays;
}

static bool connection_is_busy(const struct cmdi_conn *conn)
{
    return cmdi_connection_of_const(conn)->in_flight > 0;
}

static size_t connection_queued(const struct cmdi_conn *conn)
{
    return cmdi_inbox_size(&cmdi_connection_of_const(conn)->inbox);
}

static size_t connection_held(const struct cmdi_conn *conn)
{
    return cmdi_connection_of_const(conn)->kept_size + connection_queued(conn);
}

/* What was accepted from other threads leaves; nothing is accepted behind it. */
static void connection_on_finishing(struct cmdi_conn *conn)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    cmdi_inbox_close(&connection->inbox);
    cmdi_result_take(connection); // Behind that, so that it takes all there will ever be.
}

static enum cmds_log_reason connection_end_reason(
        const struct cmds_connection *connection, int code)
{
    if (connection->exec_closed) {
        return CMDS_REASON_EXEC_CLOSE;
    }
    switch (code) {
    case 0:
    case CMDS_E_EOF:
    case CMDS_E_CLOSED:
    case CMDS_E_IDLE:
    case CMDS_E_DRAINING:
        return CMDS_REASON_DISCONNECT; // An end like others.
    case CMDS_E_PROTO:
    case CMDS_E_LIMIT:
        return CMDS_REASON_PROTO;
    case CMDS_E_TIMEOUT:
        return CMDS_REASON_TIMEOUT;
    case CMDS_E_SLOW_PEER:
        return CMDS_REASON_SLOW;
    case CMDS_E_TLS_HANDSHAKE:
    case CMDS_E_TLS_CERTIFICATE:
    case CMDS_E_TLS_REFUSED:
    case CMDS_E_TLS_RECORD:
        return CMDS_REASON_TLS;
    case CMDS_E_MEMORY_LIMIT:
    case -ENOMEM:
        return CMDS_REASON_MEMORY;
    default:
        return CMDS_REASON_OTHER;
    }
}

static void connection_log_end(const struct cmds_connection *connection)
{
    struct cmds_error error;
    cmdi_conn_error(&connection->conn, &error);
    enum cmds_log_reason reason = connection_end_reason(connection, error.code);
    bool in_order = reason == CMDS_REASON_DISCONNECT;
    bool is_named = cmdi_conn_error_names_peer(&error);
    const struct cmds_log_record about = {.level = in_order ? CMDS_LOG_INFO : CMDS_LOG_WARN,
            .reason = (uint8_t)reason,
            .code = in_order ? 0 : error.code,
            .connection = connection->id,
            .peer = connection->peer};
    cmdi_shard_log_about(connection->server_shard->shard, &about, "%s%s%s",
            is_named ? "" : connection->peer,
            is_named ? "" : ": closed: ", error.code != 0 ? error.text : "in order");
}

static void connection_log_begin(const struct cmds_connection *connection)
{
    const struct cmds_log_record about = {.level = CMDS_LOG_INFO,
            .reason = CMDS_REASON_CONNECT,
            .connection = connection->id,
            .peer = connection->peer};
    cmdi_shard_log_about(
            connection->server_shard->shard, &about, "%s: connected", connection->peer);
}

/* A drain that cut it off has lost something. Whoever left by himself waits for nothing. */
static void connection_note_cut(const struct cmds_connection *connection)
{
    struct cmdi_server_shard *server_shard = connection->server_shard;
    int code = connection->conn.error_code;
    bool is_cut = code == CMDS_E_SLOW_PEER || code == CMDS_E_MEMORY_LIMIT || code == -ENOMEM ||
                  (code == CMDS_E_IDLE && connection->in_flight > 0);
    if (server_shard->state == CMDI_SERVER_SHARD_DRAINING && is_cut &&
            atomic_load(&server_shard->cut_code) == 0) {
        atomic_store(&server_shard->cut_code, code);
    }
}

static void connection_cancel_calls(struct cmdi_connection_more *more)
{
    struct cmdi_list *node = NULL;
    struct cmdi_list calls;
    while ((node = cmdi_list_pop(&more->again)) != NULL) {
        struct cmds_call *call = CMDI_CONTAINER(node, struct cmds_call, link);
        cmdi_call_attach(call); // Which cancels it; somebody may keep it.
        cmdi_call_unref_here(call);
    }
    cmdi_list_take(&calls, &more->calls);
    while ((node = cmdi_list_pop(&calls)) != NULL) {
        cmdi_list_push(&more->calls, node);
        cmdi_call_cancel(CMDI_CONTAINER(node, struct cmds_call, link));
    }
}

static void connection_on_closing(struct cmdi_conn *conn)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    connection_note_cut(connection);
    cmdi_inbox_close(&connection->inbox);
    CMDI_PROBE3(connection_close, connection->id, connection->server_shard->shard->index,
            conn->error_code);
    connection_log_end(connection);
    if (!cmdi_conn_is_resting(conn)) {
        struct cmdi_connection_more *more = cmdi_connection_more(connection);
        cmdi_window_rest(more);
        cmdi_writable_rest(more);
        connection_cancel_calls(more);
    }
}

static void connection_tell_end(struct cmds_connection *connection)
{
    const struct cmds_server_options *options = &connection->server_shard->core->options;
    bool is_owed = connection->state != CMDI_CONNECTION_NEW;
    connection_move(connection, CMDI_CONNECTION_TOLD);
    if (is_owed && options->on_disconnect != NULL) {
        struct cmds_error error;
        cmdi_conn_error(&connection->conn, &error);
        options->on_disconnect(options->receiver, connection, &error);
    }
    cmdi_conn_fini(&connection->conn); // Kept calls may keep the rest; nobody asks why it ended.
}

static void connection_on_closed(struct cmdi_conn *conn)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    struct cmdi_server_shard *server_shard = connection->server_shard;
    CMDI_ASSERT(conn->state == CMDI_CONN_CLOSED);
    if (connection->state != CMDI_CONNECTION_TOLD) {
        connection_tell_end(connection);
    }
    cmdi_inbox_trim(&connection->inbox);
    if (cmdi_inbox_is_posted(&connection->inbox)) {
        return; // Called again when the mail has come.
    }
    connection_move(connection, CMDI_CONNECTION_CLOSED);
    if (connection->in_flight == 0) {
        cmdi_server_shard_free_connection(server_shard, connection);
    } else {
        cmdi_list_remove(&connection->link);
        cmdi_list_push(&server_shard->closed, &connection->link);
    }
    cmdi_server_shard_connection_closed(server_shard);
}

/* Taken in every state, or else its memory would stay. */
static void connection_on_inbox(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_connection *connection = CMDI_CONTAINER(mail, struct cmds_connection, inbox.mail);
    cmdi_writable_look(connection); // In the run, which takes it too.
    cmdi_inbox_arrived(&connection->inbox);
    cmdi_result_take(connection);
    if (connection->conn.state == CMDI_CONN_CLOSED) {
        connection_on_closed(&connection->conn); // It could not go while the mail was under way.
    }
}

static void connection_on_open(struct cmdi_conn *conn, int code);

static struct cmdi_conn_more *connection_lease(struct cmdi_conn *conn)
{
    struct cmdi_server_shard *server_shard = cmdi_connection_of(conn)->server_shard;
    struct cmdi_connection_more *more = cmdi_pool_acquire(&server_shard->more_pool);
    if (more == NULL) {
        return NULL;
    }
    cmdi_list_init(&more->calls);
    cmdi_list_init(&more->again);
    cmdi_window_wake(more);
    cmdi_writable_wake(more);
    cmdi_job_queue_init(&more->jobs, server_shard->lane);
    return &more->conn;
}

static void connection_give_back(struct cmdi_conn *conn, struct cmdi_conn_more *part)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    struct cmdi_connection_more *more = CMDI_CONTAINER(part, struct cmdi_connection_more, conn);
    CMDI_ASSERT(connection->in_flight == 0 && cmdi_list_empty(&more->calls));
    CMDI_ASSERT(cmdi_list_empty(&more->again) && cmdi_list_empty(&more->writable));
    cmdi_window_rest(more); // What the last of its calls has waited for may be queued still.
    cmdi_writable_rest(more);
    cmdi_pool_release(&connection->server_shard->more_pool, more);
}

static const struct cmdi_conn_ops connection_ops = {
        .answers_first = true,
        .expects_quiet = true,
        .on_open = connection_on_open,
        .on_frame = cmdi_exec_on_frame,
        .on_ping = connection_on_ping,
        .run = cmdi_exec_run,
        .on_output_low = connection_on_output_low,
        .on_held = connection_on_held,
        .on_eof = connection_on_eof,
        .spares_slow = connection_spares_slow,
        .is_busy = connection_is_busy,
        .on_finishing = connection_on_finishing,
        .queued = connection_queued,
        .on_closing = connection_on_closing,
        .on_closed = connection_on_closed,
        .lease = connection_lease,
        .give_back = connection_give_back,
        .held = connection_held,
        .describe = cmdi_inspect_connection,
};

/* --- Life ------------------------------------------------------------------------------------- */

static bool connection_send_server_info(struct cmds_connection *connection)
{
    const struct cmdi_server_core *core = connection->server_shard->core;
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&connection->conn, core->server_info_size, &code);
    if (out == NULL) {
        CMDI_COUNT(connection->conn.counters, out_of_memory, 1);
        cmdi_conn_fail(&connection->conn, CMDS_E_MEMORY_LIMIT, "no memory for the ServerInfo");
        return false;
    }
    memcpy(out, core->server_info, core->server_info_size);
    cmdi_conn_commit(&connection->conn, core->server_info_size);
    return true;
}

/* Who the peer is, before anybody may ask. Returns: false: it has failed, for want of memory. */
static bool connection_take_peer(struct cmds_connection *connection)
{
    const struct cmds_tls_peer *peer = cmdi_conn_tls_peer(&connection->conn);
    // NULL would say that there is no TLS.
    CMDI_ASSERT((peer != NULL) == (connection->server_shard->core->options.tls != NULL));
    connection->tls_peer = peer != NULL ? cmdi_peer_copy(peer) : NULL;
    if (peer != NULL && connection->tls_peer == NULL) {
        CMDI_COUNT(connection->conn.counters, out_of_memory, 1);
        cmdi_conn_fail(&connection->conn, -ENOMEM, "no memory for what is known of the peer");
        return false;
    }
    return true;
}

/* Its bytes go both ways now, and the peer is known: the server may refuse it. */
static void connection_opened(struct cmds_connection *connection)
{
    struct cmdi_server_shard *server_shard = connection->server_shard;
    const struct cmds_server_options *options = &server_shard->core->options;
    if (!connection_take_peer(connection)) {
        return;
    }
    int code = options->on_connect != NULL ? options->on_connect(options->receiver, connection) : 0;
    if (code < 0) {
        struct cmdi_code_text room;
        CMDI_COUNT(&server_shard->counters, connections_refused, 1);
        cmdi_conn_fail(&connection->conn, CMDS_E_CLOSED, "refused by on_connect, which returned %s",
                cmdi_program_code(&room, code));
        return;
    }
    connection_move(connection, CMDI_CONNECTION_ACCEPTED);
    CMDI_PROBE2(connection_open, connection->id, server_shard->shard->index);
    connection_log_begin(connection);
    if (connection->conn.state == CMDI_CONN_OPEN && connection_send_server_info(connection)) {
        cmdi_conn_start(&connection->conn);
    }
    if (server_shard->state == CMDI_SERVER_SHARD_DRAINING) {
        cmdi_connection_drain(connection);
    }
}

static void connection_on_open(struct cmdi_conn *conn, int code)
{
    if (code < 0) {
        cmdi_conn_fail(conn, code, "%s", cmds_error_text(code));
    } else {
        connection_opened(cmdi_connection_of(conn));
    }
}

/* Most texts are short: those of IPv4 lie in the connection. Returns: 0; -ENOMEM. */
static int connection_name_peer(struct cmds_connection *connection, const char *peer)
{
    size_t length = strnlen(peer, CMDI_PEER_TEXT_MAX - 1);
    char *text = connection->peer_near;
    if (length >= sizeof(connection->peer_near)) {
        text = malloc(length + 1);
    }
    connection->peer = text;
    if (text == NULL) {
        return -ENOMEM;
    }
    memset(connection->peer_near, 0, sizeof(connection->peer_near)); // Spans copy it whole.
    memcpy(text, peer, length);
    text[length] = 0;
    return 0;
}

/* The part of its bytes. Returns: as cmdi_conn_open(). */
static int connection_begin(struct cmds_connection *connection,
        struct cmdi_server_shard *server_shard, const struct cmdi_transport *transport, int fd)
{
    struct cmds_tls *tls = server_shard->core->options.tls;
    struct cmdi_conn *conn = &connection->conn;
    int code = 0;
    cmdi_conn_init(conn, server_shard->shard, &connection_ops, transport,
            &server_shard->core->limits, &server_shard->counters.conn);
    if (tls != NULL) {
        const struct cmdi_security_peer client = {.address = connection->peer};
        code = cmdi_conn_secure(conn, tls, &client, &server_shard->counters.tls);
    }
    code = code < 0 ? code : cmdi_conn_open(conn, fd, NULL);
    if (code < 0) {
        cmdi_conn_fini(conn);
    }
    return code;
}

struct cmds_connection *cmdi_connection_open(struct cmdi_server_shard *server_shard,
        const struct cmdi_transport *transport, int fd, const char *peer)
{
    struct cmds_connection *connection = cmdi_pool_acquire(&server_shard->connection_pool);
    int code = -ENOMEM;
    if (connection != NULL) {
        connection->server_shard = server_shard; // Its part lends memory from here on.
        connection->in_flight = 0;
        code = connection_name_peer(connection, peer);
        code = code < 0 ? code : connection_begin(connection, server_shard, transport, fd);
    }
    if (code < 0) {
        if (connection != NULL) {
            cmdi_connection_forget_peer(connection);
            cmdi_pool_release(&server_shard->connection_pool, connection);
        }
        CMDI_COUNT(&server_shard->counters.conn, out_of_memory, 1);
        return NULL;
    }
    connection->id = cmdi_process_next_number(); // So that an id in a log names one connection.
    connection->context = NULL;
    connection->state = CMDI_CONNECTION_NEW;
    connection->pings = connection->exec_closed = false;
    cmdi_inbox_init(&connection->inbox,
            &server_shard->inbox_rooms[connection->id % CMDI_INBOX_ROOMS], connection_on_inbox);
    cmdi_window_init(connection);
    connection->tls_peer = NULL;
    cmdi_list_init(&connection->link);
    cmdi_list_push(&server_shard->connections, &connection->link);
    CMDI_COUNT(&server_shard->counters, connections_accepted, 1);
    if (code > 0) {
        connection_opened(connection);
    } else if (server_shard->state == CMDI_SERVER_SHARD_DRAINING) {
        cmdi_connection_drain(connection);
    }
    return connection;
}

/* --- What a connection knows ------------------------------------------------------------------ */

uint64_t cmds_connection_id(const struct cmds_connection *connection)
{
    return connection->id;
}

const char *cmds_connection_peer(const struct cmds_connection *connection)
{
    return connection->peer;
}

const struct cmds_tls_peer *cmds_connection_tls(const struct cmds_connection *connection)
{
    return connection->tls_peer;
}

void *cmds_connection_context(const struct cmds_connection *connection)
{
    return connection->context;
}

void cmds_connection_set_context(struct cmds_connection *connection, void *context)
{
    connection->context = context;
}

void cmds_connection_close(struct cmds_connection *connection)
{
    if (cmdi_runtime_is_parents(connection->conn.shard->options.runtime)) {
        return; // The socket is the parent's as well, and it goes on.
    }
    cmdi_conn_fail(&connection->conn, CMDS_E_CLOSED, "closed by the server");
}
