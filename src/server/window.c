/* SPDX-License-Identifier: MIT */
/* When a connection that stopped reading at a bound reads on. */
#include "server/window.h"

#include "base/assert.h"

/* The output decides; above its mark the end of a send comes back. */
static void window_resume_below_mark(struct cmdi_conn *conn)
{
    if (cmdi_conn_output_high(conn)) {
        conn->above_low = true;
    } else {
        cmdi_conn_resume(conn);
    }
}

static void window_on_read_on(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmds_connection *connection = cmdi_connection_of_more(
            CMDI_CONTAINER(timer, struct cmdi_connection_more, read_on_timer));
    if (!cmdi_window_is_full(connection)) { // Else the next call that ends sees to it.
        window_resume_below_mark(&connection->conn);
    }
}

void cmdi_window_init(struct cmds_connection *connection)
{
    connection->in_flight = 0;
    connection->kept_size = 0;
}

void cmdi_window_wake(struct cmdi_connection_more *more)
{
    cmdi_timer_init(&more->read_on_timer, window_on_read_on);
}

void cmdi_window_rest(struct cmdi_connection_more *more)
{
    cmdi_shard_timer_off(more->conn.conn->shard, &more->read_on_timer);
}

/* With a quarter of the window free it is worth while: see cmdi_window_read_on(). */
static bool window_is_wide(const struct cmds_connection *connection)
{
    const struct cmds_server_options *options = &connection->server_shard->core->options;
    uint32_t max = options->in_flight_max;
    return connection->in_flight <= max - max / 4 &&
           connection->kept_size <= options->kept_size_max - options->kept_size_max / 4;
}

/*
 * Reads on when there is capacity: at once with a quarter of it, else a moment later. At the bound
 * it would stop and go for every single call; but calls that stay for long must not hold up for
 * ever those that do not.
 */
void cmdi_window_read_on(struct cmds_connection *connection)
{
    struct cmdi_conn *conn = &connection->conn;
    if (conn->state != CMDI_CONN_OPEN || cmdi_window_is_full(connection)) {
        return;
    }
    if (cmdi_conn_output_high(conn) || window_is_wide(connection)) {
        window_resume_below_mark(conn);
        return;
    }
    struct cmdi_timer *timer = &cmdi_connection_more(connection)->read_on_timer;
    if (!cmdi_timer_armed(timer)) {
        cmdi_shard_timer(conn->shard, timer, conn->shard->now_ms + 1);
    }
}

void cmdi_window_on_output_low(struct cmds_connection *connection)
{
    if (!cmdi_window_is_full(connection)) {
        cmdi_conn_resume(&connection->conn);
    }
}

void cmdi_window_call_ended_late(struct cmds_connection *connection)
{
    cmdi_connection_finish_if_idle(connection);
    if (connection->state == CMDI_CONNECTION_CLOSED && connection->in_flight == 0) {
        cmdi_server_shard_free_connection(connection->server_shard, connection);
    }
}

bool cmdi_window_charge(struct cmds_connection *connection, size_t size)
{
    struct cmdi_server_shard *server_shard = connection->server_shard;
    if (!cmdi_account_charge(&server_shard->shard->buffers.account, size)) {
        return false;
    }
    server_shard->kept_size += size;
    connection->kept_size += size;
    return true;
}

void cmdi_window_uncharge(struct cmds_connection *connection, size_t size)
{
    struct cmdi_server_shard *server_shard = connection->server_shard;
    if (server_shard->ended) {
        return; // It left the account with its server shard.
    }
    CMDI_ASSERT(size <= connection->kept_size && size <= server_shard->kept_size);
    cmdi_account_sub(&server_shard->shard->buffers.account, size);
    server_shard->kept_size -= size;
    connection->kept_size -= size;
    if (CMDI_UNLIKELY(connection->conn.paused)) {
        cmdi_window_read_on(connection); // A body that was forwarded: its call stays.
    }
}
