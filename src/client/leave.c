/* SPDX-License-Identifier: MIT */
/* From one server to another without a loss. See leave.h. */
#include "client/leave.h"

#include "base/error.h"
#include "client/finish.h"
#include "client/state.h"

enum {
    LEAVE_LOOK_MAX_MS = 1000, // A stream may last for hours.
};

void cmdi_client_look_again(struct cmdi_client *client, uint64_t now_ms)
{
    if (cmdi_client_state(client) == CMDI_CLIENT_LEAVING) {
        uint32_t twice_ms = client->leave_look_ms * 2;
        uint64_t at_ms = now_ms + client->leave_look_ms;
        client->leave_look_ms = twice_ms < LEAVE_LOOK_MAX_MS ? twice_ms : LEAVE_LOOK_MAX_MS;
        cmdi_client_arm(client, at_ms < client->look_at_ms ? at_ms : client->look_at_ms);
    }
}

void cmdi_client_leave(struct cmdi_client *client)
{
    CMDI_ASSERT(client->endpoint_next != NULL && client->conn_live);
    client->error = (struct cmds_error){0};
    (void)cmdi_fail(&client->error, CMDS_E_NOT_CONNECTED, "from %s to %s: not connected yet",
            cmdi_client_target_text(client), client->endpoint_next->text);
    cmdi_client_move(client, CMDI_CLIENT_LEAVING);
    client->leave_look_ms = 1;
    cmdi_client_look_again(client, cmdi_client_shard_now_ms(client->client_shard));
    client->client_shard->config->ops->on_state(client);
}

/* Does anybody wait for what was written, or does any of it still wait to leave? */
static bool client_is_needed(const struct cmdi_client *client)
{
    const struct cmdi_conn *conn = &client->conn;
    bool leaves = conn->output != CMDI_OUTPUT_BROKEN && cmdi_conn_output_size(conn) > 0;
    return leaves || client->ended != NULL ||
           cmdi_pending_any_awaited(&client->table, client->sequence_sent);
}

bool cmdi_client_look_left(struct cmdi_client *client, uint64_t now_ms)
{
    bool is_needed = client_is_needed(client);
    CMDI_ASSERT(client->conn_live);
    if (client->is_finishing) {
        cmdi_conn_fail(&client->conn, CMDS_E_CLOSED, "the server did not let go of it in time");
        return false;
    }
    if (is_needed && now_ms >= client->look_at_ms) {
        return true;
    }
    if (is_needed) {
        cmdi_client_look_again(client, now_ms);
        return false;
    }
    client->is_finishing = true;
    cmdi_client_arm(client, now_ms + client->client_shard->config->limits.linger_timeout_ms);
    cmdi_conn_finish(&client->conn);
    return false;
}

void cmdi_client_left(struct cmdi_client *client)
{
    cmdi_client_end_written(client);
    cmdi_client_move(client, CMDI_CLIENT_WAITING);
    cmdi_client_disarm(client);
    client->is_retry_due = true;
}
