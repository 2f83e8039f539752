/* SPDX-License-Identifier: MIT */
/* See room.h. */
#include "client/room.h"

#include "client/inbox.h"
#include "client/send.h"

/* Each line asks what the send of that kind asks: see cmdi_client_send() and its like. */
bool cmdi_client_has_room(struct cmdi_client *client, enum cmdi_room room, size_t body_size)
{
    CMDI_ASSERT(room < CMDI_ROOM_MEMORY);
    bool answered = room == CMDI_ROOM_HERE || room == CMDI_ROOM_ELSEWHERE;
    if (cmdi_client_state(client) == CMDI_CLIENT_DOWN || !cmdi_client_in_window(client, answered)) {
        return false;
    }
    if (room == CMDI_ROOM_ELSEWHERE && !cmdi_client_shard_may_add(client->client_shard)) {
        return false;
    }
    if (room >= CMDI_ROOM_ELSEWHERE) {
        return cmdi_client_inbox_has_room(client, answered, body_size);
    }
    if (answered && !cmdi_pool_has_room(&client->client_shard->pool)) {
        return false;
    }
    if (cmdi_client_is_up(client) && cmdi_queue_size(&client->backlog) == 0) {
        return cmdi_conn_has_room(&client->conn, CMDI_FRAME_HEADER_MAX + body_size) &&
               (!cmdi_conn_output_high(&client->conn) || cmdi_client_may_wait(client, body_size));
    }
    return cmdi_client_may_wait(client, body_size) &&
           cmdi_queue_has_room(&client->backlog, body_size);
}
