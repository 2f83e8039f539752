/* SPDX-License-Identifier: MIT */
/*
 * The life of a client: rounds of attempts, the ServerInfo, and the end.
 *
 * A round tries the addresses one after the other. A connection that ends before it is UP makes room
 * for the next address; the error that is reported is that of the first address of the round that
 * failed. After a round that failed, and after a connection that was lost, the client waits and
 * begins another one. Commands that wait stay where they are meanwhile; those of a connection that
 * was lost end at once.
 *
 * A client that is to go to another endpoint leaves the one it is connected to when nobody waits for an
 * answer any more; then it begins a round there. What was sent meanwhile waits for that.
 *
 * Everything runs on the shard, in ops of the connection, timers and mails, so callbacks may be
 * called from here directly.
 */
#include "client/life.h"

#include <errno.h>

#include <cmdstream/inspect.h>

#include "base/error.h"
#include "client/alive.h"
#include "client/finish.h"
#include "client/inbox.h"
#include "client/leave.h"
#include "client/pause.h"
#include "client/receive.h"
#include "client/send.h"
#include "client/state.h"
#include "conn/guess.h"
#include "shard/walk.h"

enum {
    CLIENT_LOOK_MS = 10, // A limit that cannot be judged now is checked again.
};

static const struct cmdi_conn_ops client_conn_ops;
static void client_on_state_timer(struct cmdi_timer *timer, uint64_t now_ms);

/* `conn` is an attempt of a round. */
static bool client_is_connecting(const struct cmdi_client *client)
{
    enum cmdi_client_state state = cmdi_client_state(client);
    return state == CMDI_CLIENT_CONNECT || state == CMDI_CLIENT_SERVER_INFO;
}

/* --- Init and fini ---------------------------------------------------------------------------- */

void cmdi_client_init(
        struct cmdi_client *client, struct cmdi_client_shard *client_shard, uint32_t number)
{
    *client = (struct cmdi_client){
            .client_shard = client_shard, .number = number, .deadline_next_ms = UINT64_MAX};
    cmdi_pending_init(&client->table);
    client->backlog.account = &client_shard->shard->buffers.account;
    client->ended_tail = &client->ended;
    cmdi_work_init(&client->ended_work, cmdi_client_on_ended);
    cmdi_timer_init(&client->deadline_timer, cmdi_client_on_deadline);
    cmdi_timer_init(&client->state_timer, client_on_state_timer);
    cmdi_inbox_room_init(&client->inbox_room, client_shard->shard);
    cmdi_inbox_init(&client->inbox, &client->inbox_room, cmdi_client_on_inbox);
}

void cmdi_client_fini(struct cmdi_client *client)
{
    CMDI_ASSERT(!client->conn_live);
    cmdi_pending_fini(&client->table);
    cmdi_queue_clear(&client->backlog);
    cmdi_inbox_fini(&client->inbox);
    cmdi_inbox_room_fini(&client->inbox_room);
    cmdi_targets_unref(client->targets);
    cmdi_endpoint_unref(cmdi_client_endpoint(client));
    cmdi_endpoint_unref(client->endpoint_next);
}

/* --- Down, and what comes before it ------------------------------------------------------------- */

static void client_log(const struct cmdi_client *client)
{
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    const struct cmds_log_record about = {.level = CMDS_LOG_WARN,
            .reason = CMDS_REASON_CLIENT,
            .code = client->error.code,
            .peer = endpoint != NULL ? endpoint->text : NULL};
    cmdi_shard_log_about(client->client_shard->shard, &about, "client %u: %s", client->number,
            client->error.text);
}

/* For good. client->error is set. */
static void client_down(struct cmdi_client *client)
{
    CMDI_ASSERT(client->error.code != 0);
    cmdi_client_move(client, CMDI_CLIENT_DOWN);
    cmdi_client_disarm(client);
    if (!client->is_closing) {
        client_log(client);
    }
    /* Before on_state, in which new commands may be sent. */
    cmdi_client_end_all(client);
    client->client_shard->config->ops->on_state(client);
    cmdi_client_deliver(client);
    cmdi_client_close_inbox(client);
    cmdi_client_trim(client);
}

/* `error` says why, in one sentence; it gets another half. */
static void client_wait(
        struct cmdi_client *client, const struct cmds_error *error, uint32_t delay_ms)
{
    enum cmdi_client_state was = cmdi_client_state(client);
    client->error = (struct cmds_error){0};
    (void)cmdi_fail(&client->error, error->code, "%.190s (try %u; it connects again in %u ms)",
            error->text, (unsigned)client->backoff.failed, (unsigned)delay_ms);
    client->retry_at_ms = cmdi_client_shard_now_ms(client->client_shard) + delay_ms;
    client->is_retry_due = false;
    cmdi_client_move(client, CMDI_CLIENT_WAITING);
    cmdi_client_arm(client, client->retry_at_ms);
    client_log(client);
    if (was == CMDI_CLIENT_UP) {
        cmdi_client_end_all(client);
    } else if (was == CMDI_CLIENT_LEAVING) {
        cmdi_client_end_written(client);
    }
    client->client_shard->config->ops->on_state(client);
    cmdi_client_deliver(client);
    cmdi_client_trim(client);
}

/* The server is another one: its endpoint will get no connection any more. Returns: false: nor will any. */
static bool client_turn_away(struct cmdi_client *client)
{
    struct cmdi_endpoint *endpoint = client->client_shard->config->ops->on_stranger(client);
    if (endpoint != NULL) {
        cmdi_endpoint_unref(client->endpoint_next);
        client->endpoint_next = endpoint;
    }
    return endpoint != NULL;
}

/* A connection was lost, or a round has failed: client->round_error says why. */
static void client_failed(struct cmdi_client *client)
{
    const struct cmdi_client_config *config = client->client_shard->config;
    struct cmds_error error = client->round_error;
    uint32_t delay_ms = 0;
    CMDI_ASSERT(error.code != 0 && !client->is_closing);
    bool again = cmdi_backoff_failed(&client->backoff, &config->backoff,
            cmdi_client_shard_now_ms(client->client_shard), cmdi_shard_random(), &delay_ms);
    if (again && (!client->is_hopeless || client_turn_away(client))) {
        client_wait(client, &error, delay_ms);
    } else {
        bool was_tried = !again && config->backoff.delay_ms != CMDS_NEVER;
        client->error = (struct cmds_error){0};
        (void)(was_tried ? cmdi_fail(&client->error, error.code, "%.190s (try %u, the last one)",
                                   error.text, (unsigned)client->backoff.failed)
                         : cmdi_fail(&client->error, error.code, "%s", error.text));
        client_down(client);
    }
}

/* The connection is gone: its last word. */
static void client_closed(struct cmdi_client *client)
{
    CMDI_ASSERT(client->is_closing && !client->conn_live && client->ended == NULL);
    CMDI_ASSERT(cmdi_client_state(client) == CMDI_CLIENT_DOWN);
    cmdi_list_remove(&client->ended_work.link);
    cmdi_client_disarm(client);
    client->client_shard->config->ops->on_closed(client);
}

void cmdi_client_close(struct cmdi_client *client, uint32_t linger_ms)
{
    if (client->is_closing) {
        return;
    }
    enum cmdi_client_state state = cmdi_client_state(client);
    bool was_down = state == CMDI_CLIENT_DOWN;
    bool is_connected = state == CMDI_CLIENT_UP || state == CMDI_CLIENT_LEAVING;
    if (!was_down) {
        /* The message that closes it may have overtaken that of the inbox: it rides with an older one. */
        cmdi_client_take_inbox(client);
    }
    bool orderly = is_connected && client->table.count == 0;
    orderly = (orderly || client->is_finishing) && linger_ms > 0;
    client->is_closing = true;
    if (!was_down) {
        /* An address that failed before is of no interest any more. */
        client->error = (struct cmds_error){0};
        (void)cmdi_fail(&client->error, CMDS_E_CLOSED, "the group was closed");
        client_down(client);
    }
    if (!client->conn_live) {
        client_closed(client);
    } else if (orderly) {
        if (!client->is_finishing) {
            cmdi_conn_finish(&client->conn);
        }
        cmdi_client_arm(client, cmdi_client_shard_now_ms(client->client_shard) + linger_ms);
    } else {
        cmdi_conn_fail(&client->conn, CMDS_E_CLOSED, "the group was closed");
    }
}

/* --- Connecting ------------------------------------------------------------------------------- */

static int client_secure(struct cmdi_client *client, const struct cmdi_target *target)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    const struct cmdi_client_config *config = client_shard->config;
    const struct cmdi_security_peer server = {
            .host = cmdi_client_endpoint(client)->host, .address = target->text};
    return cmdi_conn_secure(&client->conn, config->tls, &server, &client_shard->counters.tls);
}

/* Begins with the next address. Returns: 0; or why that one cannot even be tried. */
static int client_try(struct cmdi_client *client, const struct cmdi_target *target)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    const struct cmdi_client_config *config = client_shard->config;
    cmdi_conn_init(&client->conn, client_shard->shard, &client_conn_ops, config->transport,
            &config->limits, &client_shard->counters.conn);
    int code = config->tls != NULL ? client_secure(client, target) : 0;
    code = code < 0 ? code : cmdi_conn_open(&client->conn, -1, &target->address);
    if (code < 0) {
        cmdi_conn_fini(&client->conn);
        return code;
    }
    CMDI_ASSERT(code == 0); // A connect is never over at once.
    CMDI_ASSERT(!client->conn_live);
    client->conn_live = true;
    client->deadline_mark = 0;
    cmdi_client_move(client, CMDI_CLIENT_CONNECT);
    return 0;
}

/* Tries the next address; without one the round has failed. */
static void client_next_target(struct cmdi_client *client)
{
    uint64_t now_ms = cmdi_client_shard_now_ms(client->client_shard);
    uint64_t until_ms = 0;
    while (cmdi_attempts_next(
            &client->attempts, now_ms, client->targets->count, &client->target, &until_ms)) {
        const struct cmdi_target *target = &client->targets->list[client->target];
        int code = client_try(client, target);
        if (code == 0) {
            if (until_ms != UINT64_MAX) {
                cmdi_client_arm(client, until_ms);
            }
            return;
        }
        (void)cmdi_fail(
                &client->round_error, code, "connect %s: %s", target->text, cmds_error_text(code));
    }
    if (client->round_error.code == 0) { // The addresses came in the moment in which it was over.
        (void)cmdi_fail(&client->round_error, CMDS_E_TIMEOUT,
                "resolve %.120s: no time was left to connect", cmdi_client_name(client));
    }
    client_failed(client);
}

/* A round goes to the endpoint that is the newest by now, by its newest addresses. */
static void client_take_endpoint(struct cmdi_client *client)
{
    if (client->endpoint_next != NULL) {
        struct cmdi_endpoint *old = cmdi_client_endpoint(client);
        atomic_store_explicit(&client->endpoint, client->endpoint_next, memory_order_release);
        client->endpoint_next = NULL;
        cmdi_endpoint_unref(old);
    }
    struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    cmdi_targets_unref(client->targets);
    client->targets = endpoint != NULL ? cmdi_endpoint_targets(endpoint) : NULL;
}

/* What was waited for is over: another round. */
static void client_begin_round(struct cmdi_client *client)
{
    const struct cmdi_client_config *config = client->client_shard->config;
    CMDI_ASSERT(cmdi_client_state(client) == CMDI_CLIENT_WAITING && !client->conn_live);
    client->is_finishing = false;
    client->is_hopeless = false;
    client->round_error = (struct cmds_error){0};
    client->attempts = (struct cmdi_attempts){0};
    cmdi_attempts_begin(&client->attempts, cmdi_client_shard_now_ms(client->client_shard),
            config->connect_timeout_ms);
    client_take_endpoint(client);
    if (client->targets != NULL && client->targets->count > 0) {
        client_next_target(client);
    } else {
        cmdi_client_move(client, CMDI_CLIENT_RESOLVE);
        cmdi_client_disarm(client);
        if (client->attempts.until_ms != UINT64_MAX) {
            cmdi_client_arm(client, client->attempts.until_ms);
        }
    }
    if (cmdi_client_state(client) < CMDI_CLIENT_WAITING) {
        config->ops->on_state(client);
    }
}

static void client_on_retry(struct cmdi_client *client, uint64_t now_ms)
{
    (void)now_ms;
    client->is_retry_due = true;
    if (!client->conn_live) { // Else the old connection's last word begins it.
        client_begin_round(client);
    }
}

void cmdi_client_start(struct cmdi_client *client)
{
    if (client->attempts.has_begun || cmdi_client_state(client) != CMDI_CLIENT_RESOLVE) {
        return;
    }
    cmdi_attempts_begin(&client->attempts, cmdi_client_shard_now_ms(client->client_shard),
            client->client_shard->config->connect_timeout_ms);
    if (client->attempts.until_ms != UINT64_MAX) {
        cmdi_client_arm(client, client->attempts.until_ms);
    }
}

/* In RESOLVE, and something is known. */
static void client_resolved(struct cmdi_client *client)
{
    CMDI_ASSERT(!client->conn_live);
    cmdi_client_start(client);
    client_take_endpoint(client);
    if (client->targets == NULL) {
        return; // It is a name, which has not been looked up yet.
    }
    if (client->targets->count == 0) {
        client->round_error = client->targets->error;
    }
    client_next_target(client);
}

/* It goes elsewhere in the next round, and that begins soon. */
static void client_redirect(struct cmdi_client *client, struct cmdi_endpoint *endpoint)
{
    uint64_t now_ms = cmdi_client_shard_now_ms(client->client_shard);
    cmdi_endpoint_unref(client->endpoint_next);
    client->endpoint_next = cmdi_endpoint_ref(endpoint);
    client->backoff = (struct cmdi_backoff){0};
    switch (cmdi_client_state(client)) {
    case CMDI_CLIENT_CONNECT:
    case CMDI_CLIENT_SERVER_INFO:
        cmdi_attempts_end(&client->attempts);
        cmdi_conn_fail(
                &client->conn, CMDS_E_NOT_CONNECTED, "it goes to %s instead", endpoint->text);
        break;
    case CMDI_CLIENT_WAITING:
        client->retry_at_ms = now_ms;
        cmdi_client_arm(client, now_ms);
        break;
    case CMDI_CLIENT_UP:
        cmdi_client_leave(client);
        break;
    default:
        break;
    }
}

void cmdi_client_assign(
        struct cmdi_client *client, struct cmdi_endpoint *endpoint, const struct cmds_error *error)
{
    enum cmdi_client_state state = cmdi_client_state(client);
    struct cmdi_endpoint *now =
            client->endpoint_next != NULL ? client->endpoint_next : cmdi_client_endpoint(client);
    if (client->is_closing || state == CMDI_CLIENT_DOWN) {
        return;
    }
    if (endpoint != NULL && endpoint != now) {
        client_redirect(client, endpoint);
    }
    if (state == CMDI_CLIENT_RESOLVE && endpoint != NULL) {
        client_resolved(client);
    } else if (state == CMDI_CLIENT_RESOLVE && error->code != 0) {
        cmdi_client_start(client);
        client->round_error = *error;
        client_failed(client);
    } else {
        cmdi_client_start(client);
    }
}

static void client_on_resolve_limit(struct cmdi_client *client, uint64_t now_ms)
{
    (void)cmdi_fail(&client->round_error, CMDS_E_TIMEOUT, "resolve %.120s: no answer within %u ms",
            cmdi_client_name(client), (unsigned)(now_ms - client->attempts.since_ms));
    client_failed(client);
}

static void client_on_connect_limit(struct cmdi_client *client, uint64_t now_ms)
{
    unsigned spent_ms = (unsigned)(now_ms - client->attempts.since_ms);
    bool is_securing = client->conn.state == CMDI_CONN_SECURING;
    if (is_securing && cmdi_conn_is_behind(&client->conn)) {
        cmdi_client_arm(client, now_ms + CLIENT_LOOK_MS);
        return; // The server may have answered: the next step is ours.
    }
    if (is_securing) {
        (void)cmdi_fail(&client->round_error, CMDS_E_TIMEOUT,
                "TLS handshake with %s: not over within %u ms; is it a TLS server?",
                cmdi_client_target_text(client), spent_ms);
    } else {
        (void)cmdi_fail(&client->round_error, CMDS_E_TIMEOUT, "connect %s: no answer within %u ms",
                cmdi_client_target_text(client), spent_ms);
    }
    cmdi_conn_fail(&client->conn, CMDS_E_TIMEOUT, "%s", client->round_error.text);
}

static void client_on_server_info_limit(struct cmdi_client *client, uint64_t now_ms)
{
    if (cmdi_conn_is_behind(&client->conn)) {
        cmdi_client_arm(client, now_ms + CLIENT_LOOK_MS);
        return; // It may have come: the shard had no buffer for it.
    }
    (void)cmdi_fail(&client->round_error, CMDS_E_TIMEOUT,
            "ServerInfo of %s: not received within %u ms; is it a cmd-stream server%s?",
            cmdi_client_target_text(client), (unsigned)(now_ms - client->attempts.since_ms),
            client->client_shard->config->tls == NULL ? ", or does it want TLS" : "");
    cmdi_conn_fail(&client->conn, CMDS_E_TIMEOUT, "%s", client->round_error.text);
}

static void client_on_open(struct cmdi_conn *conn, int code)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    if (cmdi_client_state(client) != CMDI_CLIENT_CONNECT) {
        return;
    }
    if (code < 0) {
        /* on_closing names the address. */
        cmdi_conn_fail(conn, code, "%s", cmds_error_text(code));
    } else {
        cmdi_client_move(client, CMDI_CLIENT_SERVER_INFO);
        cmdi_conn_start(conn);
    }
}

static int client_on_server_info(struct cmdi_conn *conn, struct cmds_bytes info)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    const struct cmdi_client_config *config = client->client_shard->config;
    if (cmdi_client_state(client) != CMDI_CLIENT_SERVER_INFO) {
        return CMDS_E_CLOSED;
    }
    if (info.size != config->server_info.size ||
            memcmp(info.data, config->server_info.data, info.size) != 0) {
        client->round_error = (struct cmds_error){0};
        // The service is another one: its other addresses would say the same, and so will it later.
        cmdi_attempts_end(&client->attempts);
        client->is_hopeless = true;
        return cmdi_fail(&client->round_error, CMDS_E_SERVER_INFO_MISMATCH,
                "ServerInfo of %.100s: \"%.*s\", but \"%.*s\" was expected%s",
                cmdi_client_name(client), (int)(info.size < 64 ? info.size : 64),
                (const char *)info.data,
                (int)(config->server_info.size < 64 ? config->server_info.size : 64),
                (const char *)config->server_info.data, cmdi_guess_server(conn, info));
    }
    client->error = (struct cmds_error){0};
    client->round_error = (struct cmds_error){0};
    cmdi_backoff_up(&client->backoff, client->client_shard->shard->now_ms);
    cmdi_latency_reset(&client->latency);
    client->has_lost = false;
    cmdi_client_move(client, CMDI_CLIENT_UP);
    cmdi_client_begin_keepalive(client, client->client_shard->shard->now_ms);
    cmdi_client_apply_pause(client);
    config->ops->on_state(client);
    cmdi_client_write_backlog(client); // Last: it may find no memory, and close the connection.
    return 0;
}

/* --- Timer ----------------------------------------------------------------------------------- */

static void client_on_leave(struct cmdi_client *client, uint64_t now_ms)
{
    if (cmdi_client_look_left(client, now_ms)) {
        cmdi_client_on_keepalive(client, now_ms);
        cmdi_client_look_again(client, now_ms);
    }
}

static void client_on_linger_limit(struct cmdi_client *client, uint64_t now_ms)
{
    (void)now_ms;
    CMDI_ASSERT(client->is_closing && client->conn_live);
    cmdi_conn_fail(&client->conn, CMDS_E_CLOSED, "the server did not let go of it in time");
}

/* What state_timer is for. */
static void (*const client_on_timer[])(struct cmdi_client *client, uint64_t now_ms) = {
        [CMDI_CLIENT_RESOLVE] = client_on_resolve_limit,
        [CMDI_CLIENT_CONNECT] = client_on_connect_limit,
        [CMDI_CLIENT_SERVER_INFO] = client_on_server_info_limit,
        [CMDI_CLIENT_WAITING] = client_on_retry,
        [CMDI_CLIENT_LEAVING] = client_on_leave,
        [CMDI_CLIENT_UP] = cmdi_client_on_keepalive,
        [CMDI_CLIENT_DOWN] = client_on_linger_limit,
};

static void client_on_state_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_client *client = CMDI_CONTAINER(timer, struct cmdi_client, state_timer);
    CMDI_ASSERT(client->conn_live || cmdi_client_state(client) == CMDI_CLIENT_RESOLVE ||
                cmdi_client_state(client) == CMDI_CLIENT_WAITING);
    client_on_timer[cmdi_client_state(client)](client, now_ms);
}

/* --- The end of a connection ------------------------------------------------------------------ */

static void client_on_output_low(struct cmdi_conn *conn)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    cmdi_client_write_backlog(client);
    if (client->client_shard->wants_room) {
        client->client_shard->config->ops->on_room(client->client_shard);
    }
}

static void client_on_eof(struct cmdi_conn *conn)
{
    /* It sends nothing more: what is pending has no answer. */
    cmdi_conn_fail(conn, CMDS_E_EOF, "the server closed it");
}

/* It ended before it was up. */
static void client_attempt_failed(struct cmdi_client *client, const struct cmds_error *error)
{
    const char *phase = client->conn.ended_in == CMDI_CONN_SECURING ? "TLS handshake with"
                        : cmdi_client_state(client) == CMDI_CLIENT_SERVER_INFO ? "ServerInfo of"
                                                                               : "connect";
    if (cmdi_conn_error_names_peer(error)) {
        (void)cmdi_fail(&client->round_error, error->code, "%s", error->text);
    } else {
        (void)cmdi_fail(&client->round_error, error->code, "%s %s: %s", phase,
                cmdi_client_target_text(client), error->text);
    }
}

/* Most of the shard's memory waits for it, so it was closed; the next attempt would pay again, for ever. */
static void client_give_up_waiting(struct cmdi_client *client)
{
    client->error = client->round_error; // They are told it.
    cmdi_client_end_all(client);
    cmdi_client_deliver(client);
}

static void client_on_closing(struct cmdi_conn *conn)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    enum cmdi_client_state state = cmdi_client_state(client);
    struct cmds_error error;
    cmdi_conn_error(conn, &error);
    if (state == CMDI_CLIENT_CONNECT || state == CMDI_CLIENT_SERVER_INFO) {
        client_attempt_failed(client, &error);
        if (conn->evicted && !client->is_closing) {
            client_give_up_waiting(client);
        }
    } else if (state == CMDI_CLIENT_LEAVING && client->is_finishing) {
        cmdi_client_left(client);
    } else if (state == CMDI_CLIENT_UP || state == CMDI_CLIENT_LEAVING) {
        bool is_named = cmdi_conn_error_names_peer(&error);
        client->round_error = (struct cmds_error){0};
        (void)cmdi_fail(&client->round_error, error.code, "connection%s%s lost: %s",
                is_named ? "" : " to ", is_named ? "" : cmdi_client_target_text(client),
                error.text);
        client_failed(client);
    }
}

static void client_on_closed(struct cmdi_conn *conn)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    client->conn_live = false;
    cmdi_conn_fini(conn);
    cmdi_client_publish_size(client); // Its output went with it.
    if (client->is_closing) {
        client_closed(client);
    } else if (client_is_connecting(client) && client->endpoint_next != NULL) {
        cmdi_client_move(client, CMDI_CLIENT_WAITING);
        client_begin_round(client);
    } else if (client_is_connecting(client)) {
        client_next_target(client);
    } else if (cmdi_client_state(client) == CMDI_CLIENT_WAITING && client->is_retry_due) {
        client_begin_round(client);
    }
}

static void client_describe(const struct cmdi_conn *conn, struct cmds_listed_connection *row)
{
    const struct cmdi_client *client =
            CMDI_CONTAINER((struct cmdi_conn *)(uintptr_t)conn, struct cmdi_client, conn);
    row->side = CMDS_SIDE_GROUP;
    row->id = client->number;
    row->in_flight = cmdi_client_load(client);
    row->rtt_us = atomic_load_explicit(&client->rtt_us, memory_order_relaxed);
    row->pauses |= conn->paused ? CMDS_PAUSE_PROGRAM : 0;
    row->queued_bytes +=
            (client->backlog.end - client->backlog.begin) + cmdi_inbox_size(&client->inbox);
    cmdi_rows_text(row->peer, sizeof(row->peer), cmdi_client_target_text(client));
    cmdi_rows_text(row->name, sizeof(row->name), client->client_shard->config->name);
}

static const struct cmdi_conn_ops client_conn_ops = {
        .on_frame = cmdi_client_on_frame,
        .on_ping = cmdi_client_on_ping,
        .on_open = client_on_open,
        .on_server_info = client_on_server_info,
        .on_output_low = client_on_output_low,
        .on_eof = client_on_eof,
        .on_closing = client_on_closing,
        .on_closed = client_on_closed,
        .held = cmdi_client_held,
        .describe = client_describe,
};
