/* SPDX-License-Identifier: MIT */
/*
 * Commands of one connection: into the output, into the pending table, and out of it by a result, a
 * deadline, a forget or the end of the connection. Exactly one callback with `last` for each. Its
 * life is in life.c.
 *
 * Callbacks may send, forget and close, so nothing that they could change is held across one: an
 * entry is first taken out, or marked, and then told.
 */
#include "client/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "codec/codec.h"

enum {
    CLIENT_SCAN_PER_MS = 8192, // Entries looked at per ms at most when deadlines are checked.
};

static bool client_is_up(const struct cmdi_client *client)
{
    return atomic_load_explicit(&client->state, memory_order_relaxed) == CMDI_CLIENT_UP;
}

/* --- Into the table, out of the table --------------------------------------------------------- */

static void client_publish(struct cmdi_client *client)
{
    atomic_store_explicit(&client->in_flight, client->table.count, memory_order_relaxed);
}

static void client_watch_deadline(struct cmdi_client *client, uint64_t deadline_ms)
{
    if (CMDI_UNLIKELY(deadline_ms < client->deadline_next_ms)) {
        client->deadline_next_ms = deadline_ms;
        cmdi_shard_timer(client->client_shard->shard, &client->deadline_timer, deadline_ms);
    }
}

/* The entry of the command that gets the next sequence. Returns: NULL without memory. */
static struct cmdi_pending *client_register(struct cmdi_client *client, cmds_result_fn on_result,
        void *context, uint64_t deadline_ms, struct cmdi_pending_extra *extra)
{
    struct cmdi_pending *entry = cmdi_pool_acquire(&client->client_shard->pool);
    if (CMDI_UNLIKELY(entry == NULL)) {
        return NULL;
    }
    entry->sequence = client->sequence + 1;
    entry->deadline_ms = deadline_ms;
    entry->on_result = on_result;
    entry->context = context;
    entry->extra = extra;
    entry->flags = 0;
    if (CMDI_UNLIKELY(extra != NULL)) {
        extra->ticket.entry = entry;
    }
    cmdi_pending_insert(&client->table, entry);
    client_publish(client);
    client_watch_deadline(client, deadline_ms);
    return entry;
}

static void client_remove(struct cmdi_client *client, struct cmdi_pending *entry)
{
    cmdi_pending_remove(&client->table, entry);
    client_publish(client);
}

/* There is room, or there may be: a command left the window, or the output fell. */
static void client_tell_room(struct cmdi_client *client)
{
    if (CMDI_UNLIKELY(cmdi_queue_size(&client->backlog) > 0)) {
        cmdi_client_write_backlog(client);
    }
    if (CMDI_UNLIKELY(client->client_shard->wants_room)) {
        client->client_shard->config->ops->on_room(client->client_shard);
    }
}

/*
 * Nobody waits for it from here on; client_deliver will say so. One that was never written leaves
 * the table at once.
 */
static void client_end(struct cmdi_client *client, struct cmdi_pending *entry, int error)
{
    entry->error = error;
    entry->flags |= CMDI_PENDING_ENDED;
    entry->ended_next = NULL;
    *client->ended_tail = entry;
    client->ended_tail = &entry->ended_next;
    if (entry->sequence > client->sequence_sent) {
        client_remove(client, entry);
        entry->flags |= CMDI_PENDING_OUT;
        client->waiting--;
    }
}

static bool client_waits_for(const struct cmdi_pending *entry)
{
    return entry->on_result != NULL && (entry->flags & CMDI_PENDING_ENDED) == 0;
}

/* --- The end of a command --------------------------------------------------------------------- */

/*
 * The end of every command that has an entry: with the server's last result (`answered`), or with
 * an error after client_end(). The entry is let go of first, since the callback may do anything.
 * One that the server still may answer stays in the window as a tombstone.
 */
static inline void client_finish(struct cmdi_client *client, struct cmdi_pending *entry,
        const struct cmds_result *result, bool answered)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    cmds_result_fn on_result = entry->on_result;
    void *context = entry->context;
    CMDI_ASSERT_SLOW(on_result != NULL);
    if (answered) {
        client_remove(client, entry);
        cmdi_pool_release(&client_shard->pool, entry);
        client_tell_room(client);
    } else if ((entry->flags & CMDI_PENDING_OUT) != 0) {
        cmdi_pool_release(&client_shard->pool, entry);
    } else {
        entry->on_result = NULL;
        entry->extra = NULL;
        entry->deadline_ms = UINT64_MAX;
        entry->flags = 0;
    }
    cmdi_client_shard_tell(client_shard, on_result, context, result, true);
}

/*
 * The last result of a command that has none from the server. `text` is borrowed, and used if the
 * sentence has to be made.
 */
static struct cmds_result client_error_result(
        const struct cmdi_client *client, uint64_t sequence, int code, struct cmds_error *text)
{
    struct cmds_result result = {.error = code,
            .last = true,
            .text = client->error.text,
            .sequence = sequence,
            .client = client->number};
    if (code == CMDS_E_TIMEOUT) {
        (void)snprintf(text->text, sizeof(text->text), "%s: no result within the deadline",
                client->client_shard->config->connect);
        result.text = text->text;
    } else if (code == CMDS_E_CANCELLED || code == -ENOMEM) {
        result.text = cmds_error_text(code);
    }
    return result;
}

/* Tells everybody whose command has ended without a result. A callback may add to the list. */
static void client_deliver(struct cmdi_client *client)
{
    struct cmdi_tickets *tickets = client->client_shard->config->tickets;
    while (client->ended != NULL) {
        struct cmdi_pending *entry = client->ended;
        struct cmds_error text;
        client->ended = entry->ended_next;
        if (client->ended == NULL) {
            client->ended_tail = &client->ended;
        }
        int code = entry->error;
        if (entry->extra != NULL && cmdi_extra_close(tickets, entry->extra)) {
            code = CMDS_E_CANCELLED; // Somebody forgot it before it ended by itself.
        }
        struct cmds_result result = client_error_result(client, entry->sequence, code, &text);
        client_finish(client, entry, &result, false);
    }
    client_tell_room(client);
}

void cmdi_client_on_ended(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    client_deliver(CMDI_CONTAINER(work, struct cmdi_client, ended_work));
}

/* `entry` is NULL, a tombstone, or about to become one. */
static void client_give_unexpected(
        struct cmdi_client *client, struct cmdi_pending *entry, const struct cmds_result *result)
{
    CMDI_COUNT(client->client_shard->shard, unexpected_results, 1);
    if (entry != NULL && result->last) {
        client_remove(client, entry);
        if ((entry->flags & CMDI_PENDING_ENDED) != 0) {
            entry->flags |= CMDI_PENDING_OUT; // The list of callbacks still has it.
        } else {
            cmdi_pool_release(&client->client_shard->pool, entry);
        }
        client_tell_room(client);
    }
    client->client_shard->config->ops->on_unexpected(client, result);
}

/*
 * A result of a command with a ticket: a forget that came first wins. Returns: false: nobody waits
 * any more.
 */
static bool client_claim(struct cmdi_client *client, struct cmdi_pending *entry, bool last)
{
    struct cmdi_tickets *tickets = client->client_shard->config->tickets;
    if (!last) {
        return !cmdi_tickets_is_forgotten(tickets, &entry->extra->ticket);
    }
    bool was_forgotten = cmdi_extra_close(tickets, entry->extra);
    entry->extra = NULL;
    if (was_forgotten) {
        client_end(client, entry, CMDS_E_CANCELLED);
    }
    return !was_forgotten;
}

static void client_give(
        struct cmdi_client *client, struct cmdi_pending *entry, const struct cmds_result *result)
{
    if (CMDI_UNLIKELY(entry == NULL || !client_waits_for(entry) ||
                      (entry->extra != NULL && !client_claim(client, entry, result->last)))) {
        client_give_unexpected(client, entry, result);
        if (client->ended != NULL) {
            client_deliver(client);
        }
        return;
    }
    if (!result->last) {
        cmdi_client_shard_tell(
                client->client_shard, entry->on_result, entry->context, result, false);
        return;
    }
    client_finish(client, entry, result, true);
}

/* --- Results ---------------------------------------------------------------------------------- */

static int64_t client_refuse(
        struct cmdi_client *client, int code, const char *what, const struct cmdi_frame *frame)
{
    cmdi_conn_fail(&client->conn, code, "%s (sequence %llu, type %llu)", what,
            (unsigned long long)frame->sequence, (unsigned long long)frame->type);
    return code;
}

static int64_t client_on_unknown(
        struct cmdi_client *client, const struct cmdi_frame *frame, struct cmdi_pending *entry)
{
    if (client->client_shard->config->limits.self_delimiting) {
        return client_refuse(client, CMDS_E_UNKNOWN_RESULT,
                "a result type that is not in the protocol, and without a length", frame);
    }
    char text[128];
    (void)snprintf(text, sizeof(text),
            "the server sent result type %llu, which this program does not know",
            (unsigned long long)frame->type);
    struct cmds_result result = {.error = CMDS_E_UNKNOWN_RESULT,
            .last = true,
            .text = text,
            .sequence = frame->sequence,
            .client = client->number,
            .size = (uint32_t)frame->body_size};
    client_give(client, entry, &result);
    return (int64_t)frame->body_size;
}

/*
 * Decodes into the arena of the client_shard. Returns: bytes used; more than there are: not whole;
 * negative: the connection is being closed.
 */
static int64_t client_decode(struct cmdi_client *client, const struct cmdi_frame *frame,
        const struct cmds_type *type, void **value)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    int64_t used = cmdi_codec_decode(client_shard->config->codec, type,
            (struct cmds_bytes){frame->body, frame->body_size}, frame->place, &client_shard->arena,
            value);
    if (CMDI_LIKELY(used >= 0)) {
        return used;
    }
    if (used == -ENOMEM) {
        return client_refuse(client, -ENOMEM, "no memory for a result", frame);
    }
    CMDI_COUNT(client_shard->shard, codec_errors, 1);
    return client_refuse(client, used == CMDS_E_LIMIT ? CMDS_E_LIMIT : CMDS_E_PROTO,
            used == CMDS_E_LIMIT ? "a result is larger than its limits"
                                 : "a result could not be decoded",
            frame);
}

int64_t cmdi_client_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    struct cmdi_client_shard *client_shard = client->client_shard;
    if (CMDI_UNLIKELY(frame->sequence > client->sequence_sent)) {
        return client_refuse(
                client, CMDS_E_PROTO, "a result for a command that was never sent", frame);
    }
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, frame->sequence);
    const struct cmdi_type_entry *row =
            cmdi_type_table_entry(client_shard->config->results, frame->type);
    if (CMDI_UNLIKELY(row == NULL)) {
        CMDI_COUNT(client_shard->shard, results_received, 1);
        return client_on_unknown(client, frame, entry);
    }
    void *value = NULL;
    int64_t used = client_decode(client, frame, row->type, &value);
    if (CMDI_UNLIKELY(used < 0 || used > (int64_t)frame->body_size)) {
        return used;
    }
    CMDI_COUNT(client_shard->shard, results_received, 1);
    struct cmds_result result = {
            .last = cmdi_type_table_is_last(client_shard->config->results, row->type, value),
            .type = row->type,
            .value = value,
            .text = "",
            .sequence = frame->sequence,
            .client = client->number,
            .size = (uint32_t)used,
    };
    client_give(client, entry, &result);
    return used;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static uint8_t *client_encode(
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

/* What the shard has taken and the connection has not sent. */
static size_t client_taken_size(const struct cmdi_client *client)
{
    return cmdi_queue_size(&client->backlog) +
           (client->conn_live ? cmdi_conn_output_size(&client->conn) : 0);
}

/* Has the window a place? A command without an answer takes none. */
static bool client_in_window(const struct cmdi_client *client, bool answered)
{
    return !answered || cmdi_client_load(client) < client->client_shard->config->in_flight_max;
}

/* May so much more wait for the connection? Below half of the bound any record may. */
static bool client_may_wait(const struct cmdi_client *client, size_t body_size)
{
    size_t max = client->client_shard->config->limits.output_size_max;
    size_t waiting = client_taken_size(client) +
                     atomic_load_explicit(&client->inbox_size, memory_order_relaxed);
    return waiting < max / 2 || waiting + cmdi_record_size(body_size) <= max;
}

void cmdi_client_publish_size(struct cmdi_client *client)
{
    atomic_store_explicit(&client->backlog_size, client_taken_size(client), memory_order_relaxed);
    if (client->conn_live && cmdi_conn_output_high(&client->conn)) {
        client->conn.above_low = true; // They learn it, too, when it has fallen.
    }
}

size_t cmdi_client_held(const struct cmdi_conn *conn)
{
    const struct cmdi_client *client =
            CMDI_CONTAINER((struct cmdi_conn *)(uintptr_t)conn, struct cmdi_client, conn);
    return client->backlog.capacity + client->taken.capacity +
           atomic_load_explicit(&client->inbox_size, memory_order_relaxed);
}

/* The connection is not up, or others wait already. */
static int client_send_later(struct cmdi_client *client, const struct cmdi_command *command)
{
    if (cmdi_client_state(client) == CMDI_CLIENT_DOWN) {
        return CMDS_E_NOT_CONNECTED;
    }
    bool answered = command->on_result != NULL;
    if (!client_in_window(client, answered) || !client_may_wait(client, command->body_size)) {
        return -ENOBUFS;
    }
    struct cmdi_pending *entry = NULL;
    if (answered) {
        entry = client_register(
                client, command->on_result, command->context, command->deadline_ms, command->extra);
        if (entry == NULL) {
            return -ENOMEM;
        }
    }
    int error = 0;
    struct cmdi_record *record = cmdi_queue_append(&client->backlog, command->body_size, &error);
    if (record == NULL) {
        if (entry != NULL) {
            client_remove(client, entry);
            cmdi_pool_release(&client->client_shard->pool, entry);
        }
        return error;
    }
    record->type = command->type->number;
    record->sequence = ++client->sequence;
    record->on_result = command->on_result;
    (void)client_encode(client, command, cmdi_record_body(record));
    cmdi_client_publish_size(client);
    if (answered) {
        client->waiting++;
        cmdi_client_shard_count(client->client_shard);
    }
    return 0;
}

int cmdi_client_send(struct cmdi_client *client, const struct cmdi_command *command)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    bool self_delimiting = client_shard->config->limits.self_delimiting;
    if (CMDI_UNLIKELY(!client_is_up(client) || cmdi_queue_size(&client->backlog) > 0)) {
        return client_send_later(client, command);
    }
    int error = -ENOBUFS;
    if (CMDI_UNLIKELY(!client_in_window(client, command->on_result != NULL))) {
        return error;
    }
    if (CMDI_UNLIKELY(cmdi_conn_output_high(&client->conn)) &&
            !client_may_wait(client, command->body_size)) {
        client->conn.above_low = true;
        return error;
    }
    uint8_t *out =
            cmdi_conn_reserve(&client->conn, CMDI_FRAME_HEADER_MAX + command->body_size, &error);
    if (CMDI_UNLIKELY(out == NULL)) {
        return error;
    }
    if (CMDI_LIKELY(command->on_result != NULL)) {
        if (client_register(client, command->on_result, command->context, command->deadline_ms,
                    command->extra) == NULL) {
            return -ENOMEM;
        }
        cmdi_client_shard_count(client_shard);
    }
    uint64_t sequence = ++client->sequence;
    client->sequence_sent = sequence;
    uint8_t *end = cmdi_frame_header_encode(
            out, sequence, command->type->number, command->body_size, self_delimiting);
    end = client_encode(client, command, end);
    cmdi_conn_commit(&client->conn, (size_t)(end - out));
    CMDI_COUNT(client_shard->shard, commands_sent, 1);
    return 0;
}

/* Returns: 0; -ENOBUFS, -ENOMEM: nothing was written. */
static int client_write_record(struct cmdi_client *client, struct cmdi_record *record)
{
    bool self_delimiting = client->client_shard->config->limits.self_delimiting;
    int error = 0;
    uint8_t *out =
            cmdi_conn_reserve(&client->conn, CMDI_FRAME_HEADER_MAX + record->body_size, &error);
    if (out == NULL) {
        return error;
    }
    uint8_t *end = cmdi_frame_header_encode(
            out, record->sequence, record->type, record->body_size, self_delimiting);
    memcpy(end, cmdi_record_body(record), record->body_size);
    client->sequence_sent = record->sequence;
    cmdi_conn_commit(&client->conn, (size_t)(end - out) + record->body_size);
    CMDI_COUNT(client->client_shard->shard, commands_sent, 1);
    return 0;
}

void cmdi_client_write_backlog(struct cmdi_client *client)
{
    struct cmdi_record *record = NULL;
    while ((record = cmdi_queue_front(&client->backlog)) != NULL) {
        bool answered = record->on_result != NULL;
        if (answered && cmdi_pending_find(&client->table, record->sequence) == NULL) {
            cmdi_queue_pop(&client->backlog); // It ended while it waited.
            continue;
        }
        if (!client_is_up(client)) {
            break;
        }
        if (answered && client->table.count - client->waiting >=
                                client->client_shard->config->in_flight_max) {
            break; // Two threads overshot the window; the server must not see it.
        }
        int error = client_write_record(client, record);
        if (error == -ENOBUFS) {
            break; // on_output_low goes on.
        }
        if (error < 0) {
            cmdi_conn_fail(&client->conn, error, "no memory to send a command");
            break;
        }
        client->waiting -= answered;
        cmdi_queue_pop(&client->backlog);
    }
    cmdi_client_publish_size(client);
}

/* Under the inbox's lock: the bound of what other threads queue. */
static bool client_inbox_allows(const struct cmdi_client *client, size_t body_size)
{
    return cmdi_conn_queue_allows(&client->client_shard->config->limits,
            cmdi_queue_size(&client->inbox),
            atomic_load_explicit(&client->backlog_size, memory_order_relaxed),
            cmdi_record_size(body_size));
}

static bool client_inbox_has_room(struct cmdi_client *client, size_t body_size)
{
    pthread_mutex_lock(&client->inbox_lock);
    bool has_room = client_inbox_allows(client, body_size) &&
                    cmdi_queue_has_room(&client->inbox, body_size);
    pthread_mutex_unlock(&client->inbox_lock);
    return has_room;
}

/* Each line asks what the send of that kind asks: see cmdi_client_send() and its like. */
bool cmdi_client_has_room(struct cmdi_client *client, enum cmdi_room room, size_t body_size)
{
    bool answered = room == CMDI_ROOM_HERE || room == CMDI_ROOM_ELSEWHERE;
    if (cmdi_client_state(client) == CMDI_CLIENT_DOWN || !client_in_window(client, answered)) {
        return false;
    }
    if (room >= CMDI_ROOM_ELSEWHERE) {
        return client_inbox_has_room(client, body_size);
    }
    if (client_is_up(client) && cmdi_queue_size(&client->backlog) == 0) {
        return cmdi_conn_has_room(&client->conn, CMDI_FRAME_HEADER_MAX + body_size) &&
               (!cmdi_conn_output_high(&client->conn) || client_may_wait(client, body_size));
    }
    return client_may_wait(client, body_size) && cmdi_queue_has_room(&client->backlog, body_size);
}

/* --- From other threads ----------------------------------------------------------------------- */

/* Under the lock. */
static int client_inbox_put(struct cmdi_client *client, const struct cmdi_command *command)
{
    if (client->inbox_closed) {
        return CMDS_E_NOT_CONNECTED;
    }
    if (!client_in_window(client, command->on_result != NULL) ||
            !client_inbox_allows(client, command->body_size)) {
        return -ENOBUFS;
    }
    int error = 0;
    struct cmdi_record *record = cmdi_queue_append(&client->inbox, command->body_size, &error);
    if (record == NULL) {
        return error;
    }
    atomic_store_explicit(
            &client->inbox_size, cmdi_queue_size(&client->inbox), memory_order_relaxed);
    record->type = command->type->number;
    record->deadline_ms = command->deadline_ms;
    record->on_result = command->on_result;
    record->context = command->context;
    record->extra = command->extra;
    (void)client_encode(client, command, cmdi_record_body(record));
    if (command->on_result != NULL) {
        client->inbox_count++;
        atomic_fetch_add_explicit(&client->queued, 1, memory_order_release);
    }
    return 0;
}

int cmdi_client_send_foreign(struct cmdi_client *client, const struct cmdi_command *command)
{
    bool post = false;
    pthread_mutex_lock(&client->inbox_lock);
    int error = client_inbox_put(client, command);
    if (error == 0 && !client->inbox_posted) {
        client->inbox_posted = true;
        post = true;
    }
    pthread_mutex_unlock(&client->inbox_lock);
    if (post) {
        client->client_shard->config->ops->hold(client->client_shard);
        cmdi_shard_post(client->client_shard->shard, &client->inbox_mail);
    }
    return error;
}

/* A record of another thread that goes no further: it was counted, and has no entry yet. */
static void client_refuse_record(struct cmdi_client *client, struct cmdi_record *record, int code)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    struct cmds_error text;
    if (record->on_result == NULL) {
        return;
    }
    if (record->extra != NULL && cmdi_extra_close(client_shard->config->tickets, record->extra)) {
        code = CMDS_E_CANCELLED;
    }
    struct cmds_result result = client_error_result(client, record->sequence, code, &text);
    cmdi_client_shard_tell(client_shard, record->on_result, record->context, &result, true);
}

static void client_take_record(struct cmdi_client *client, struct cmdi_record *record)
{
    if (cmdi_client_state(client) == CMDI_CLIENT_DOWN) {
        client_refuse_record(client, record, client->is_closing ? CMDS_E_CLOSED : CMDS_E_NOT_SENT);
        return;
    }
    if (record->extra != NULL && cmdi_tickets_is_forgotten(client->client_shard->config->tickets,
                                         &record->extra->ticket)) {
        client_refuse_record(client, record, CMDS_E_CANCELLED);
        return;
    }
    bool answered = record->on_result != NULL;
    if (answered && client_register(client, record->on_result, record->context, record->deadline_ms,
                            record->extra) == NULL) {
        client_refuse_record(client, record, -ENOMEM);
        return;
    }
    record->sequence = ++client->sequence;
    bool in_window = !answered || client->table.count - client->waiting <=
                                          client->client_shard->config->in_flight_max;
    if (client_is_up(client) && cmdi_queue_size(&client->backlog) == 0 && in_window &&
            client_write_record(client, record) == 0) {
        return;
    }
    int error = 0;
    struct cmdi_record *copy = cmdi_queue_append(&client->backlog, record->body_size, &error);
    client->waiting += answered;
    if (copy == NULL) {
        struct cmdi_pending *entry =
                answered ? cmdi_pending_find(&client->table, record->sequence) : NULL;
        if (entry != NULL) {
            client_end(client, entry, error == -ENOBUFS ? CMDS_E_NOT_SENT : error);
            cmdi_shard_ready(client->client_shard->shard, &client->ended_work);
        }
        return;
    }
    memcpy(copy, record, sizeof(*record) + record->body_size);
}

/* Everything that other threads have queued becomes the shard's. */
static void client_inbox_take(struct cmdi_client *client, bool close)
{
    pthread_mutex_lock(&client->inbox_lock);
    struct cmdi_queue empty = client->taken;
    client->taken = client->inbox;
    client->inbox = empty;
    client->inbox_closed |= close;
    atomic_store_explicit(&client->inbox_size, 0, memory_order_relaxed);
    /* Before others may append again: what was taken counts as backlog from here on. */
    atomic_store_explicit(&client->backlog_size,
            client_taken_size(client) + cmdi_queue_size(&client->taken), memory_order_relaxed);
    uint32_t count = client->inbox_count;
    client->inbox_count = 0;
    (void)cmdi_client_shard_add(client->client_shard, count);
    pthread_mutex_unlock(&client->inbox_lock);
    for (struct cmdi_record *record; (record = cmdi_queue_front(&client->taken)) != NULL;) {
        client_take_record(client, record);
        cmdi_queue_pop(&client->taken);
    }
    cmdi_client_publish_size(client);
    /*
     * Last: who adds up what is queued and what is pending or in flight may see a command twice for
     * a moment, but never not at all. Else others would be let into a window that is full.
     */
    atomic_fetch_sub_explicit(&client->queued, count, memory_order_release);
}

void cmdi_client_on_inbox(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmdi_client *client = CMDI_CONTAINER(mail, struct cmdi_client, inbox_mail);
    pthread_mutex_lock(&client->inbox_lock);
    client->inbox_posted = false;
    pthread_mutex_unlock(&client->inbox_lock);
    client_inbox_take(client, false);
    if (client->client_shard->wants_room) {
        client->client_shard->config->ops->on_room(
                client->client_shard); // What was in the inbox may be written.
    }
    client->client_shard->config->ops->release(client->client_shard);
}

/* --- Ends ------------------------------------------------------------------------------------- */

void cmdi_client_on_deadline(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_client *client = CMDI_CONTAINER(timer, struct cmdi_client, deadline_timer);
    struct cmdi_pending_table *table = &client->table;
    uint64_t earliest_ms = UINT64_MAX;
    if (client->conn_live && !cmdi_conn_has_run(&client->conn, &client->deadline_mark)) {
        cmdi_shard_timer(
                client->client_shard->shard, timer, now_ms + 1); // The answer may be among it.
        return;
    }
    for (uint32_t i = 0; i <= table->mask; i++) {
        struct cmdi_pending *next = NULL;
        for (struct cmdi_pending *entry = table->buckets[i]; entry != NULL; entry = next) {
            next = entry->next;
            if (!client_waits_for(entry)) {
                continue;
            }
            if (entry->deadline_ms <= now_ms) {
                CMDI_COUNT(client->client_shard->shard, deadlines, 1);
                client_end(client, entry, CMDS_E_TIMEOUT);
            } else if (entry->deadline_ms < earliest_ms) {
                earliest_ms = entry->deadline_ms;
            }
        }
    }
    client->deadline_next_ms = UINT64_MAX;
    if (earliest_ms != UINT64_MAX) {
        /*
         * With very many commands it looks less often: a little late is better than a shard that
         * only scans.
         */
        uint64_t soonest_ms = now_ms + 1 + table->count / CLIENT_SCAN_PER_MS;
        client_watch_deadline(client, earliest_ms > soonest_ms ? earliest_ms : soonest_ms);
    }
    client_deliver(client);
    cmdi_client_trim(client);
}

int cmdi_client_forget(struct cmdi_client *client, uint64_t sequence)
{
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, sequence);
    if (entry == NULL || !client_waits_for(entry)) {
        return -ENOENT;
    }
    client_end(client, entry, CMDS_E_CANCELLED);
    cmdi_shard_ready(client->client_shard->shard, &client->ended_work);
    return 0;
}

void cmdi_client_forget_ticket(struct cmdi_client *client, struct cmdi_ticket *ticket)
{
    struct cmdi_pending *entry = ticket->entry;
    if (entry != NULL &&
            client_waits_for(
                    entry)) { // NULL: in the inbox, where it will be found to be forgotten.
        client_end(client, entry, CMDS_E_CANCELLED);
        client_deliver(client);
    }
}

void cmdi_client_end_all(struct cmdi_client *client)
{
    int lost = client->is_closing ? CMDS_E_CLOSED : CMDS_E_LOST;
    int unsent = client->is_closing ? CMDS_E_CLOSED : CMDS_E_NOT_SENT;
    uint32_t bucket = 0;
    struct cmdi_pending *entry = NULL;
    while ((entry = cmdi_pending_pop(&client->table, &bucket)) != NULL) {
        if (entry->on_result == NULL) {
            cmdi_pool_release(&client->client_shard->pool, entry);
            continue;
        }
        entry->flags |= CMDI_PENDING_OUT;
        if (client_waits_for(entry)) {
            entry->flags |= CMDI_PENDING_ENDED;
            entry->error = entry->sequence > client->sequence_sent ? unsent : lost;
            entry->ended_next = NULL;
            *client->ended_tail = entry;
            client->ended_tail = &entry->ended_next;
        }
    }
    client->waiting = 0;
    client_publish(client);
    cmdi_queue_clear(&client->backlog);
    cmdi_client_publish_size(client);
    client_deliver(client);
    client_inbox_take(client, true);
    cmdi_client_trim(client);
}

void cmdi_client_trim(struct cmdi_client *client)
{
    if (client->table.count > 0) {
        return;
    }
    cmdi_pending_trim(&client->table);
    cmdi_queue_trim(&client->backlog);
    cmdi_queue_trim(&client->taken);
    pthread_mutex_lock(&client->inbox_lock);
    cmdi_queue_trim(&client->inbox);
    pthread_mutex_unlock(&client->inbox_lock);
}
