/* SPDX-License-Identifier: MIT */
/*
 * The life of a client: addresses tried one after the other, the ServerInfo, keepalive, and the
 * end.
 *
 * A connection that ends before it is UP makes room for the next address; the commands that wait
 * stay where they are. The first address that failed is the one that is told about. Everything runs
 * on the shard, in ops of the connection, timers and mails, so callbacks may be called from here
 * directly.
 */
#include "client/client.h"

#include <errno.h>

#include "base/error.h"
#include "ring/clock.h"
#include "ring/socket.h"

enum {
    CLIENT_LOOK_MS = 10, // A limit that cannot be judged now is looked at again.
};

static void client_state_set(struct cmdi_client *client, enum cmdi_client_state state)
{
    atomic_store_explicit(&client->state, (uint32_t)state, memory_order_release);
}

static const char *client_target_text(const struct cmdi_client *client)
{
    CMDI_ASSERT(client->targets != NULL && client->target > 0);
    CMDI_ASSERT(client->target <= client->targets->count);
    return client->targets->list[client->target - 1].text;
}

static bool client_is_connecting(const struct cmdi_client *client)
{
    return cmdi_client_state(client) < CMDI_CLIENT_UP;
}

/* --- Client shard ----------------------------------------------------------------------------- */

void cmdi_client_shard_init(struct cmdi_client_shard *client_shard, struct cmdi_shard *shard,
        const struct cmdi_client_config *config)
{
    *client_shard = (struct cmdi_client_shard){.shard = shard, .config = config};
    cmdi_pool_init(&client_shard->pool, sizeof(struct cmdi_pending));
    cmdi_arena_init(&client_shard->arena, (size_t)config->decode_size_max);
    cmdi_pool_charge_to(&client_shard->pool, &shard->buffers.account);
    cmdi_arena_charge_to(&client_shard->arena, &shard->buffers.account);
}

void cmdi_client_shard_fini(struct cmdi_client_shard *client_shard)
{
    cmdi_pool_fini(&client_shard->pool);
    cmdi_arena_fini(&client_shard->arena);
}

uint64_t cmdi_client_shard_now_ms(const struct cmdi_client_shard *client_shard)
{
    return client_shard->shard->in_turn ? client_shard->shard->now_ms : cmdi_now_ns() / 1000000;
}

/* --- Init and fini ---------------------------------------------------------------------------- */

void cmdi_client_init(
        struct cmdi_client *client, struct cmdi_client_shard *client_shard, uint32_t number)
{
    *client = (struct cmdi_client){
            .client_shard = client_shard, .number = number, .deadline_next_ms = UINT64_MAX};
    cmdi_pending_init(&client->table);
    client->backlog.account = &client_shard->shard->buffers.account;
    client->inbox.account = client->backlog.account;
    client->taken.account = client->backlog.account;
    client->ended_tail = &client->ended;
    cmdi_work_init(&client->ended_work, cmdi_client_on_ended);
    cmdi_timer_init(&client->deadline_timer, cmdi_client_on_deadline);
    cmdi_timer_init(&client->state_timer, cmdi_client_on_state_timer);
    (void)pthread_mutex_init(&client->inbox_lock, NULL); // Cannot fail without attributes.
    client->inbox_mail.fn = cmdi_client_on_inbox;
}

void cmdi_client_fini(struct cmdi_client *client)
{
    CMDI_ASSERT(!client->conn_live);
    cmdi_pending_fini(&client->table);
    cmdi_queue_clear(&client->backlog);
    cmdi_queue_clear(&client->taken);
    cmdi_queue_clear(&client->inbox);
    (void)pthread_mutex_destroy(&client->inbox_lock);
    cmdi_targets_unref(client->targets);
}

/* --- Down ------------------------------------------------------------------------------------- */

/* For good. client->error is set. */
static void client_down(struct cmdi_client *client)
{
    struct cmdi_shard *shard = client->client_shard->shard;
    CMDI_ASSERT(client->error.code != 0);
    client_state_set(client, CMDI_CLIENT_DOWN);
    cmdi_shard_timer_off(shard, &client->state_timer);
    if (!client->is_closing) {
        cmdi_shard_log(shard, CMDI_LOG_CLIENT, CMDS_LOG_WARN, "client %u: %s", client->number,
                client->error.text);
    }
    client->client_shard->config->ops->on_state(client, false);
    cmdi_client_end_all(client);
    cmdi_shard_timer_off(shard, &client->deadline_timer);
    client->deadline_next_ms = UINT64_MAX;
}

/* The connection is gone: its last word. */
static void client_closed(struct cmdi_client *client)
{
    cmdi_list_remove(&client->ended_work.link);
    cmdi_shard_timer_off(client->client_shard->shard, &client->state_timer);
    client->client_shard->config->ops->on_closed(client);
}

void cmdi_client_close(struct cmdi_client *client, uint32_t linger_ms)
{
    if (client->is_closing) {
        return;
    }
    bool was_down = cmdi_client_state(client) == CMDI_CLIENT_DOWN;
    bool orderly = cmdi_client_state(client) == CMDI_CLIENT_UP && client->table.count == 0 &&
                   linger_ms > 0;
    client->is_closing = true;
    if (!was_down) {
        client->error =
                (struct cmds_error){0}; // An address that failed before is of no interest any more.
        (void)cmdi_fail(&client->error, CMDS_E_CLOSED, "the group was closed");
        client_down(client);
    }
    if (!client->conn_live) {
        client_closed(client);
    } else if (orderly) {
        cmdi_conn_finish(&client->conn);
        cmdi_shard_timer(client->client_shard->shard, &client->state_timer,
                cmdi_client_shard_now_ms(client->client_shard) + linger_ms);
    } else {
        cmdi_conn_fail(&client->conn, CMDS_E_CLOSED, "the group was closed");
    }
}

/* --- Connecting ------------------------------------------------------------------------------- */

/* Begins with the next address. Returns: 0; or why that one cannot even be tried. */
static int client_try(struct cmdi_client *client, const struct cmdi_target *target)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    const struct cmdi_client_config *config = client_shard->config;
    int fd = cmdi_socket_open(&target->address, 0); // Its own pings probe.
    if (fd < 0) {
        return fd;
    }
    cmdi_conn_init(&client->conn, client_shard->shard, &cmdi_client_conn_ops, config->transport,
            &config->limits);
    int code = cmdi_conn_open(&client->conn, fd, &target->address);
    if (code < 0) {
        cmdi_fd_close(fd);
        return code;
    }
    CMDI_ASSERT(code == 0); // A connect is never over at once.
    client->conn_live = true;
    client->deadline_mark = 0;
    client_state_set(client, CMDI_CLIENT_CONNECT);
    return 0;
}

/*
 * Each address gets its share of the time that is left, so that one that answers nothing does not
 * use it all up.
 */
static void client_arm_attempt(struct cmdi_client *client, uint64_t now_ms, uint32_t targets_left)
{
    client->since_ms = now_ms;
    if (client->connect_until_ms != UINT64_MAX) {
        uint64_t share_ms = (client->connect_until_ms - now_ms) / targets_left;
        cmdi_shard_timer(client->client_shard->shard, &client->state_timer, now_ms + share_ms);
    }
}

static void client_next_target(struct cmdi_client *client)
{
    const struct cmdi_client_config *config = client->client_shard->config;
    uint64_t now_ms = cmdi_client_shard_now_ms(client->client_shard);
    while (client->target < client->targets->count && now_ms < client->connect_until_ms) {
        const struct cmdi_target *target = &client->targets->list[client->target++];
        int error = client_try(client, target);
        if (error == 0) {
            client_arm_attempt(client, now_ms, client->targets->count - client->target + 1);
            return;
        }
        (void)cmdi_fail(
                &client->error, error, "connect %s: %s", target->text, cmds_error_text(error));
    }
    if (client->error.code == 0) { // The addresses came in the very moment in which it was over.
        (void)cmdi_fail(&client->error, CMDS_E_TIMEOUT, "resolve %s: no time was left to connect",
                config->connect);
    }
    client_down(client);
}

void cmdi_client_start(struct cmdi_client *client)
{
    uint32_t timeout_ms = client->client_shard->config->connect_timeout_ms;
    if (client->connect_until_ms != 0 || cmdi_client_state(client) != CMDI_CLIENT_RESOLVE) {
        return;
    }
    client->since_ms = cmdi_client_shard_now_ms(client->client_shard);
    client->connect_until_ms =
            timeout_ms == CMDS_NEVER ? UINT64_MAX : client->since_ms + timeout_ms;
    if (timeout_ms != CMDS_NEVER) {
        cmdi_shard_timer(
                client->client_shard->shard, &client->state_timer, client->connect_until_ms);
    }
}

void cmdi_client_connect(struct cmdi_client *client, struct cmdi_targets *targets)
{
    if (cmdi_client_state(client) != CMDI_CLIENT_RESOLVE) {
        return; // Closed, or its time was over.
    }
    cmdi_client_start(client);
    CMDI_ASSERT(client->targets == NULL && !client->conn_live);
    client->targets = cmdi_targets_ref(targets);
    if (targets->count == 0) {
        client->error = targets->error;
    }
    client_next_target(client);
}

static void client_on_connect_timeout(struct cmdi_client *client, uint64_t now_ms)
{
    unsigned ms = (unsigned)(now_ms - client->since_ms);
    if (!client->conn_live) {
        (void)cmdi_fail(&client->error, CMDS_E_TIMEOUT, "resolve %s: no answer within %u ms",
                client->client_shard->config->connect, ms);
        client_down(client);
        return;
    }
    if (cmdi_client_state(client) == CMDI_CLIENT_SERVER_INFO &&
            cmdi_conn_is_behind(&client->conn)) {
        cmdi_shard_timer(
                client->client_shard->shard, &client->state_timer, now_ms + CLIENT_LOOK_MS);
        return; // It may have come: the shard had no buffer for it.
    }
    if (cmdi_client_state(client) == CMDI_CLIENT_CONNECT) {
        (void)cmdi_fail(&client->error, CMDS_E_TIMEOUT, "connect %s: no answer within %u ms",
                client_target_text(client), ms);
    } else {
        (void)cmdi_fail(&client->error, CMDS_E_TIMEOUT,
                "ServerInfo of %s: not received within %u ms; is it a cmd-stream server?",
                client_target_text(client), ms);
    }
    cmdi_conn_fail(&client->conn, CMDS_E_TIMEOUT, "%s", client->error.text);
}

static void client_on_open(struct cmdi_conn *conn, int code)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    if (!client_is_connecting(client)) {
        return;
    }
    if (code < 0) {
        cmdi_conn_fail(conn, code, "%s", cmds_error_text(code)); // on_closing names the address.
    } else {
        client_state_set(client, CMDI_CLIENT_SERVER_INFO);
        cmdi_conn_start(conn);
    }
}

static void client_arm_keepalive(struct cmdi_client *client, uint64_t now_ms)
{
    cmdi_shard_timer_off(client->client_shard->shard, &client->state_timer);
    if (client->client_shard->config->keepalive_ms != CMDS_NEVER) {
        cmdi_shard_timer(client->client_shard->shard, &client->state_timer,
                now_ms + client->client_shard->config->keepalive_ms);
    }
}

static int client_on_server_info(struct cmdi_conn *conn, struct cmds_bytes info)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    const struct cmdi_client_config *config = client->client_shard->config;
    if (!client_is_connecting(client)) {
        return CMDS_E_CLOSED;
    }
    if (info.size != config->server_info.size ||
            memcmp(info.data, config->server_info.data, info.size) != 0) {
        client->error = (struct cmds_error){0};
        // The service is another one: its other addresses would say the same.
        client->target = client->targets->count;
        return cmdi_fail(&client->error, CMDS_E_SERVER_INFO_MISMATCH,
                "ServerInfo of %s: \"%.*s\", but \"%.*s\" was expected", config->connect,
                (int)(info.size < 64 ? info.size : 64), (const char *)info.data,
                (int)(config->server_info.size < 64 ? config->server_info.size : 64),
                (const char *)config->server_info.data);
    }
    client->error = (struct cmds_error){0};
    client->since_ms = client->client_shard->shard->now_ms;
    client_state_set(client, CMDI_CLIENT_UP);
    client_arm_keepalive(client, client->since_ms);
    config->ops->on_state(client, true);
    cmdi_client_write_backlog(client); // Last: it may find no memory, and close the connection.
    return 0;
}

/* --- Keepalive -------------------------------------------------------------------------------- */

/*
 * A pong: that it was received is all that it says. A server that does not read for a while sends
 * some unasked.
 */
static int client_on_ping(struct cmdi_conn *conn)
{
    (void)conn;
    return 0;
}

static void client_ping(struct cmdi_client *client, uint64_t now_ms)
{
    int error = 0;
    uint8_t *out = cmdi_conn_reserve(&client->conn, 1, &error);
    if (out == NULL) {
        return;
    }
    *out = 0;
    cmdi_conn_commit(&client->conn, 1);
    CMDI_COUNT(client->client_shard->shard, pings, 1);
    if (!client->pong_awaited) {
        client->pong_awaited = true;
        client->pong_since_ms = 0;
        client->ping_end = client->conn.sent_size + cmdi_conn_output_size(&client->conn);
        client->ping_received = client->conn.received_size;
    }
    client->pinging = true;
    client->ping_ms = now_ms;
    client->ping_sequence = client->sequence_sent;
}

/*
 * Anything that came after a ping proves as much as its pong; and what has come and is still to be
 * run may be before it. Patience begins when the ping has left, and ends for while we were stopped.
 * Returns: how much of it is left; UINT64_MAX: all.
 */
static uint64_t client_patience(struct cmdi_client *client, uint64_t patience_ms)
{
    struct cmdi_conn *conn = &client->conn;
    uint64_t awake_ms = cmdi_shard_awake_ms(conn->shard);
    if (conn->received_size != client->ping_received || cmdi_conn_is_behind(conn)) {
        client->pong_awaited = false;
    }
    if (!client->pong_awaited || conn->sent_size < client->ping_end) {
        return UINT64_MAX;
    }
    if (client->pong_since_ms == 0) {
        uint64_t ago_ms = conn->shard->now_ms - conn->sent_at;
        client->pong_since_ms =
                ago_ms < client->client_shard->config->keepalive_interval_ms
                        ? awake_ms - ago_ms
                        : awake_ms - client->client_shard->config->keepalive_interval_ms;
    }
    uint64_t end_ms = client->pong_since_ms + patience_ms;
    return end_ms > awake_ms ? end_ms - awake_ms : 0;
}

static void client_keepalive(struct cmdi_client *client, uint64_t now_ms)
{
    const struct cmdi_client_config *config = client->client_shard->config;
    uint64_t patience_ms = (uint64_t)config->keepalive_ms + config->keepalive_interval_ms;
    uint64_t left_ms = client_patience(client, patience_ms);
    if (left_ms == 0) {
        cmdi_conn_fail(&client->conn, CMDS_E_LOST, "no pong for %u ms", (unsigned)patience_ms);
        return;
    }
    bool pinged_last = client->pinging && client->sequence_sent == client->ping_sequence;
    uint64_t sent_ms =
            client->conn.sent_at > client->since_ms ? client->conn.sent_at : client->since_ms;
    uint64_t due_ms = pinged_last ? client->ping_ms + config->keepalive_interval_ms
                                  : sent_ms + config->keepalive_ms;
    if (client->ping_ms == 0) {
        due_ms = now_ms; // The first one whatever else is sent: so the server knows that we ping.
    }
    if (due_ms <= now_ms) {
        if (cmdi_conn_output_size(&client->conn) ==
                0) { // Else something is on its way: that is not idle.
            client_ping(client, now_ms);
        }
        cmdi_client_trim(client);
        due_ms = now_ms + config->keepalive_interval_ms;
    }
    if (left_ms < due_ms - now_ms) {
        due_ms = now_ms + left_ms;
    }
    cmdi_shard_timer(client->client_shard->shard, &client->state_timer, due_ms);
}

void cmdi_client_on_state_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_client *client = CMDI_CONTAINER(timer, struct cmdi_client, state_timer);
    if (client_is_connecting(client)) {
        client_on_connect_timeout(client, now_ms);
    } else if (cmdi_client_state(client) == CMDI_CLIENT_UP) {
        client_keepalive(client, now_ms);
    } else if (client->is_closing && client->conn_live) {
        cmdi_conn_fail(&client->conn, CMDS_E_CLOSED, "the server did not let go of it in time");
    }
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
    cmdi_conn_fail(conn, CMDS_E_EOF,
            "the server closed it"); // It sends nothing more: what is pending has no answer.
}

static void client_on_closing(struct cmdi_conn *conn)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    enum cmdi_client_state state = cmdi_client_state(client);
    const char *text =
            conn->error.text[0] != '\0' ? conn->error.text : cmds_error_text(conn->error.code);
    if (state == CMDI_CLIENT_CONNECT || state == CMDI_CLIENT_SERVER_INFO) {
        (void)cmdi_fail(&client->error, conn->error.code, "%s %s: %s",
                state == CMDI_CLIENT_SERVER_INFO ? "ServerInfo of" : "connect",
                client_target_text(client), text);
    } else if (state == CMDI_CLIENT_UP) {
        (void)cmdi_fail(&client->error, conn->error.code, "connection to %s lost: %s",
                client_target_text(client), text);
        client_down(client);
    }
}

static void client_on_closed(struct cmdi_conn *conn)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    client->conn_live = false;
    if (client_is_connecting(client)) {
        client_next_target(client);
    }
    if (client->is_closing) {
        client_closed(client);
    }
}

const struct cmdi_conn_ops cmdi_client_conn_ops = {
        .on_frame = cmdi_client_on_frame,
        .on_ping = client_on_ping,
        .on_open = client_on_open,
        .on_server_info = client_on_server_info,
        .on_output_low = client_on_output_low,
        .on_eof = client_on_eof,
        .on_closing = client_on_closing,
        .on_closed = client_on_closed,
        .held = cmdi_client_held,
};
