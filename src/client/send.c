/* SPDX-License-Identifier: MIT */
/*
 * From a command to bytes. A send that is refused leaves no trace: it returns a code, and nothing
 * is called back. The shard.
 */
#include "client/send.h"

#include <errno.h>
#include <string.h>

#include "client/straight.h"

/* The connection is not up, or others wait already. */
static int client_send_later(struct cmdi_client *client, const struct cmdi_command *command)
{
    if (cmdi_client_state(client) == CMDI_CLIENT_DOWN) {
        return CMDS_E_NOT_CONNECTED;
    }
    bool answered = command->on_result != NULL;
    if (!cmdi_client_in_window(client, answered) ||
            !cmdi_client_may_wait(client, command->body_size)) {
        return -ENOBUFS;
    }
    struct cmdi_pending *entry = NULL;
    if (answered) {
        entry = cmdi_client_register(
                client, command->on_result, command->context, command->deadline_ms, command->extra);
        if (entry == NULL) {
            return cmdi_pool_lack(&client->client_shard->pool);
        }
        cmdi_client_count_begin(client->client_shard, entry, command->place, command->begun_ns);
    }
    int code = 0;
    struct cmdi_record *record = cmdi_queue_append(&client->backlog, command->body_size, &code);
    if (record == NULL) {
        if (entry != NULL) {
            cmdi_client_remove(client, entry);
            cmdi_pool_release(&client->client_shard->pool, entry);
        }
        return code;
    }
    record->type = command->type->number;
    record->sequence = ++client->sequence;
    record->on_result = command->on_result;
    record->begun_ns = command->begun_ns;
    (void)cmdi_client_encode(client, command, cmdi_record_body(record));
    cmdi_client_publish_size(client);
    if (answered) {
        client->waiting++;
        cmdi_client_shard_count(client->client_shard);
    }
    return 0;
}

/* One that is one-way is behind the output, and ends with it. */
static void client_sent_one_way(struct cmdi_client *client, const struct cmdi_command *command,
        size_t size, size_t body_size)
{
    cmdi_client_sent(client, command->type, command->place, size, body_size);
    cmdi_client_count_end_at(client->client_shard, command->place, 0, command->begun_ns);
}

int cmdi_client_send(struct cmdi_client *client, const struct cmdi_command *command)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    bool self_delimiting = client_shard->config->limits.self_delimiting;
    if (CMDI_UNLIKELY(!cmdi_client_is_up(client) || cmdi_queue_size(&client->backlog) > 0)) {
        return client_send_later(client, command);
    }
    int code = -ENOBUFS;
    if (CMDI_UNLIKELY(!cmdi_client_in_window(client, command->on_result != NULL))) {
        return code;
    }
    if (CMDI_UNLIKELY(cmdi_conn_output_high(&client->conn)) &&
            !cmdi_client_may_wait(client, command->body_size)) {
        client->conn.above_low = true;
        return code;
    }
    uint8_t *out =
            cmdi_conn_reserve(&client->conn, CMDI_FRAME_HEADER_MAX + command->body_size, &code);
    if (CMDI_UNLIKELY(out == NULL)) {
        return code;
    }
    if (CMDI_LIKELY(command->on_result != NULL)) {
        struct cmdi_pending *entry = cmdi_client_register(
                client, command->on_result, command->context, command->deadline_ms, command->extra);
        if (CMDI_UNLIKELY(entry == NULL)) {
            return cmdi_pool_lack(&client_shard->pool);
        }
        cmdi_client_count_begin(client_shard, entry, command->place, command->begun_ns);
        cmdi_client_shard_count(client_shard);
    }
    uint64_t sequence = ++client->sequence;
    client->sequence_sent = sequence;
    uint8_t *end = cmdi_frame_header_encode(
            out, sequence, command->type->number, command->body_size, self_delimiting);
    end = cmdi_client_encode(client, command, end);
    if (CMDI_LIKELY(command->on_result != NULL)) {
        cmdi_client_sent(
                client, command->type, command->place, (size_t)(end - out), command->body_size);
    } else {
        client_sent_one_way(client, command, (size_t)(end - out), command->body_size);
    }
    return 0;
}

/* As cmdi_client_send_straight(), of one without an answer. */
static bool client_send_one_way(
        struct cmdi_client *client, const struct cmdi_command *command, size_t *body_size)
{
    if (!cmdi_client_goes_straight(client)) {
        return false;
    }
    uint64_t sequence = client->sequence + 1;
    size_t size =
            cmdi_conn_write_direct(&client->conn, sequence, client->client_shard->config->codec,
                    (struct cmds_message){command->type, command->value}, body_size);
    if (size == 0) {
        return false;
    }
    client->sequence = client->sequence_sent = sequence;
    client_sent_one_way(client, command, size, *body_size);
    return true;
}

bool cmdi_client_send_direct(
        struct cmdi_client *client, const struct cmdi_command *command, size_t *body_size)
{
    CMDI_ASSERT_SLOW(command->value != NULL && command->extra == NULL);
    if (command->on_result == NULL) {
        return client_send_one_way(client, command, body_size);
    }
    const struct cmdi_straight straight = {.message = {command->type, command->value},
            .place = command->place,
            .on_result = command->on_result,
            .context = command->context,
            .deadline_ms = command->deadline_ms,
            .begun_ns = command->begun_ns};
    return cmdi_client_send_straight(client, straight, body_size);
}

int cmdi_client_write_record(struct cmdi_client *client, struct cmdi_record *record)
{
    bool self_delimiting = client->client_shard->config->limits.self_delimiting;
    int code = 0;
    uint8_t *out =
            cmdi_conn_reserve(&client->conn, CMDI_FRAME_HEADER_MAX + record->body_size, &code);
    if (out == NULL) {
        return code;
    }
    uint8_t *end = cmdi_frame_header_encode(
            out, record->sequence, record->type, record->body_size, self_delimiting);
    memcpy(end, cmdi_record_body(record), record->body_size);
    client->sequence_sent = record->sequence;
    cmdi_conn_commit(&client->conn, (size_t)(end - out) + record->body_size);
    CMDI_PROBE4(send, client->number, record->sequence, record->type, record->body_size);
    CMDI_COUNT(&client->client_shard->counters, commands_sent, 1);
    uint32_t place = cmdi_client_place(client->client_shard, record->type);
    cmdi_client_count_sent(client->client_shard, place, (size_t)(end - out) + record->body_size);
    if (record->on_result == NULL) {
        cmdi_client_count_end_at(client->client_shard, place, 0, record->begun_ns);
    }
    return 0;
}

void cmdi_client_write_backlog(struct cmdi_client *client)
{
    struct cmdi_record *record = NULL;
    while ((record = cmdi_queue_front(&client->backlog)) != NULL) {
        bool answered = record->on_result != NULL;
        struct cmdi_pending *entry =
                answered ? cmdi_pending_find(&client->table, record->sequence) : NULL;
        if (answered && entry == NULL) {
            cmdi_queue_pop(&client->backlog); // It ended while it waited.
            continue;
        }
        if (!cmdi_client_is_up(client)) {
            break;
        }
        if (answered && client->table.count - client->waiting >=
                                client->client_shard->config->in_flight_max) {
            break; // Two threads overshot the window; the server must not see it.
        }
        int code = cmdi_client_write_record(client, record);
        if (code == -ENOBUFS) {
            break; // on_output_low continues.
        }
        if (code < 0) {
            cmdi_conn_fail(&client->conn, code, "no memory to send a command");
            break;
        }
        if (entry != NULL) {
            CMDI_ASSERT((entry->flags & CMDI_PENDING_ENDED) == 0);
            /* Until now it has waited for us, not for the server. */
            entry->sent_us = client->client_shard->shard->clock_us;
        }
        client->waiting -= answered;
        cmdi_queue_pop(&client->backlog);
    }
    cmdi_client_publish_size(client);
}
