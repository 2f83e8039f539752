/* SPDX-License-Identifier: MIT */
/*
 * Commands on their way out: into the output of the connection, or into the backlog while it is not
 * up, or full, or others wait already. The shard.
 */
#ifndef CMDI_CLIENT_SEND_H
#define CMDI_CLIENT_SEND_H

#include <string.h>

#include "client/client.h"
#include "client/memory.h"

/** Has the window a place? A command without an answer takes none. Thread: any. */
static inline bool cmdi_client_in_window(const struct cmdi_client *client, bool answered)
{
    return !answered || cmdi_client_load(client) < client->client_shard->config->in_flight_max;
}

/** May so much more wait for the connection? Below half of the bound any record may. */
static inline bool cmdi_client_may_wait(const struct cmdi_client *client, size_t body_size)
{
    size_t max = client->client_shard->config->limits.output_size_max;
    size_t waiting = cmdi_client_taken_size(client) + cmdi_inbox_size(&client->inbox);
    return waiting < max / 2 || waiting + cmdi_record_size(body_size) <= max;
}

/**
 * Writes the command, or lets it wait for the connection; client->sequence is its sequence then.
 *
 * Returns: 0; -ENOBUFS: the window or the output is full; CMDS_E_NOT_CONNECTED; -ENOMEM.
 */
int cmdi_client_send(struct cmdi_client *client, const struct cmdi_command *command);
/**
 * The same of a command without a ticket that has not been measured, where nothing stands in its way; its body_size is
 * not read. Returns: false: nothing has happened; it is to be measured and sent as above. Else *body_size is what it took.
 */
bool cmdi_client_send_direct(
        struct cmdi_client *client, const struct cmdi_command *command, size_t *body_size);
/** Encodes the command's value, or copies its body. Returns: the end. Thread: any. */
static inline uint8_t *cmdi_client_encode(
        const struct cmdi_client *client, const struct cmdi_command *command, uint8_t *out)
{
    if (CMDI_UNLIKELY(command->value == NULL)) {
        memcpy(out, command->body, command->body_size);
        return out + command->body_size;
    }
    const struct cmds_codec *codec = client->client_shard->config->codec;
    uint8_t *end = codec->encode(codec, command->type, command->value, out, command->body_size);
    CMDI_ASSERT_SLOW(end == out + command->body_size);
    return end;
}
/** Returns: 0; -ENOBUFS, -ENOMEM: nothing was written. */
int cmdi_client_write_record(struct cmdi_client *client, struct cmdi_record *record);
/** Writes what waits, as far as there is room. */
void cmdi_client_write_backlog(struct cmdi_client *client);
/** There is room, or there may be: a command left the window, or the output fell. */
static inline void cmdi_client_tell_room(struct cmdi_client *client)
{
    if (CMDI_UNLIKELY(cmdi_queue_size(&client->backlog) > 0)) {
        cmdi_client_write_backlog(client);
    }
    if (CMDI_UNLIKELY(client->client_shard->wants_room)) {
        client->client_shard->config->ops->on_room(client->client_shard);
    }
}

#endif
