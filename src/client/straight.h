/* SPDX-License-Identifier: MIT */
/*
 * The straight way of a command: from its value in memory into the output of a connection that is up, in one walk.
 * Nearly every command of a busy shard goes it, so it is inlined into whoever picks the connection. The shard.
 */
#ifndef CMDI_CLIENT_STRAIGHT_H
#define CMDI_CLIENT_STRAIGHT_H

#include "base/usdt.h"
#include "client/count.h"
#include "client/entry.h"
#include "client/send.h"
#include "conn/direct.h"

/** A command that is to be answered, and has no ticket. */
struct cmdi_straight {
    struct cmds_message message; // With a value.
    cmds_result_fn on_result;    // Not NULL.
    void *context;
    uint64_t deadline_ms; // These three as of a command.
    uint64_t begun_ns;
    uint32_t place;
};

/** It is behind the output, with the client's last sequence. */
static inline void cmdi_client_sent(struct cmdi_client *client, const struct cmds_type *type,
        uint32_t place, size_t size, size_t body_size)
{
    (void)type; // For whoever traces, as the next.
    (void)body_size;
    cmdi_conn_commit(&client->conn, size);
    CMDI_PROBE4(send, client->number, client->sequence, type->number, body_size);
    CMDI_COUNT(&client->client_shard->counters, commands_sent, 1);
    cmdi_client_count_sent(client->client_shard, place, size);
}

/** Does a command stand in nobody's way, and nobody in its? */
static inline bool cmdi_client_goes_straight(const struct cmdi_client *client)
{
    return CMDI_LIKELY(cmdi_client_is_up(client)) &&
           CMDI_LIKELY(cmdi_queue_size(&client->backlog) == 0) &&
           CMDI_LIKELY(client->conn.lacks == 0);
}

/** Returns: false: nothing has happened; it is to be measured, and sent as all others. Else *body_size is what it took. */
static inline __attribute__((always_inline)) bool cmdi_client_send_straight(
        struct cmdi_client *client, struct cmdi_straight command, size_t *body_size)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    CMDI_ASSERT_SLOW(command.on_result != NULL && command.message.value != NULL);
    if (CMDI_UNLIKELY(!cmdi_client_goes_straight(client) || !cmdi_client_in_window(client, true))) {
        return false;
    }
    uint64_t sequence = client->sequence + 1;
    size_t size = cmdi_conn_write_direct(
            &client->conn, sequence, client_shard->config->codec, command.message, body_size);
    if (CMDI_UNLIKELY(size == 0)) {
        return false;
    }
    struct cmdi_pending *entry = cmdi_client_register(
            client, command.on_result, command.context, command.deadline_ms, NULL);
    if (CMDI_UNLIKELY(entry == NULL)) {
        return false;
    }
    cmdi_client_count_begin(client_shard, entry, command.place, command.begun_ns);
    cmdi_client_shard_count(client_shard);
    client->sequence = client->sequence_sent = sequence;
    cmdi_client_sent(client, command.message.type, command.place, size, *body_size);
    return true;
}

#endif
