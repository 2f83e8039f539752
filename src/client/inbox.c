/* SPDX-License-Identifier: MIT */
/* The way of a command from another thread to its entry. See inbox.h. */
#include "client/inbox.h"

#include <errno.h>
#include <stdlib.h>

#include "client/count.h"
#include "client/finish.h"
#include "client/pause.h"

/* Under the lock: the bound of what other threads queue. */
static bool client_inbox_allows(const struct cmdi_client *client, size_t body_size)
{
    return cmdi_conn_queue_allows(&client->client_shard->config->limits,
            cmdi_inbox_size(&client->inbox),
            atomic_load_explicit(&client->backlog_size, memory_order_relaxed),
            cmdi_record_size(body_size));
}

/* As cmdi_client_in_window(), and those that other threads are writing count. Under the lock. */
static bool client_inbox_in_window(const struct cmdi_client *client, bool answered)
{
    return !answered || cmdi_client_load(client) + client->inbox_promised <
                                client->client_shard->config->in_flight_max;
}

bool cmdi_client_inbox_has_room(struct cmdi_client *client, bool answered, size_t body_size)
{
    cmdi_inbox_lock(&client->inbox);
    bool has_room = client_inbox_in_window(client, answered) &&
                    client_inbox_allows(client, body_size) &&
                    cmdi_inbox_has_room(&client->inbox, cmdi_record_size(body_size));
    cmdi_inbox_unlock(&client->inbox);
    return has_room;
}

/* One that was another client's already has waited long enough. */
static bool client_inbox_yields(
        const struct cmdi_client *client, const struct cmdi_command *command)
{
    return command->on_result != NULL && !command->is_moved &&
           !cmdi_client_shard_may_add(client->client_shard);
}

/* Under the lock. */
static int client_inbox_may_put(
        const struct cmdi_client *client, const struct cmdi_command *command)
{
    if (client->inbox.closed) {
        return CMDS_E_NOT_CONNECTED;
    }
    return client_inbox_in_window(client, command->on_result != NULL) &&
                           !client_inbox_yields(client, command) &&
                           client_inbox_allows(client, command->body_size)
                   ? 0
                   : -ENOBUFS;
}

static void client_inbox_write(
        const struct cmdi_client *client, const struct cmdi_command *command, uint8_t *out)
{
    struct cmdi_record *record = cmdi_record_begin(out, command->body_size);
    record->type = command->type->number;
    record->deadline_ms = command->deadline_ms;
    record->on_result = command->on_result;
    record->context = command->context;
    record->extra = command->extra;
    record->begun_ns = command->begun_ns;
    (void)cmdi_client_encode(client, command, cmdi_record_body(record));
}

/* Under the lock. It is in the inbox. */
static void client_inbox_count(struct cmdi_client *client, const struct cmdi_command *command)
{
    if (command->on_result != NULL) {
        client->inbox_count++;
        atomic_fetch_add_explicit(&client->queued, 1, memory_order_release);
    }
}

/* Is it this client's from here on? Under the lock. Returns: CMDS_E_CANCELLED: it is wanted no more. */
static int client_inbox_claim(struct cmdi_client *client, const struct cmdi_command *command)
{
    return !command->is_moved || command->extra == NULL ||
                           cmdi_tickets_move(client->client_shard->config->tickets,
                                   &command->extra->ticket, client)
                   ? 0
                   : CMDS_E_CANCELLED;
}

/* Under the lock. */
static int client_inbox_put(struct cmdi_client *client, const struct cmdi_command *command)
{
    size_t size = cmdi_record_size(command->body_size);
    int code = client_inbox_may_put(client, command);
    if (code < 0) {
        return code;
    }
    uint8_t *out = cmdi_inbox_reserve(&client->inbox, size, &code);
    // If it is cancelled, nothing is committed: what was reserved the shard takes back.
    code = code == 0 ? client_inbox_claim(client, command) : code;
    if (code < 0) {
        return code;
    }
    client_inbox_write(client, command, out);
    cmdi_inbox_commit(&client->inbox, size);
    client_inbox_count(client, command);
    return 0;
}

/* Under the lock. `part` was promised; NULL: there was no memory. Takes it, if 0. */
static int client_inbox_put_part(struct cmdi_client *client, const struct cmdi_command *command,
        struct cmdi_inbox_part *part)
{
    client->inbox_promised -= command->on_result != NULL;
    int code = part == NULL           ? -ENOMEM
               : client->inbox.closed ? CMDS_E_NOT_CONNECTED
                                      : client_inbox_claim(client, command);
    if (code < 0 && !client->inbox.closed) {
        cmdi_inbox_break_promise(&client->inbox, cmdi_record_size(command->body_size));
    }
    if (code < 0) {
        return code;
    }
    cmdi_inbox_append(&client->inbox, part);
    client_inbox_count(client, command);
    return 0;
}

/* A large one is written without the lock: the shard takes it, too, and does not wait for the codec. */
static int client_inbox_begin_part(struct cmdi_client *client, const struct cmdi_command *command,
        struct cmdi_inbox_part **part)
{
    size_t size = cmdi_record_size(command->body_size);
    cmdi_inbox_lock(&client->inbox);
    int code = client_inbox_may_put(client, command);
    code = code == 0 ? cmdi_inbox_promise(&client->inbox, size) : code;
    client->inbox_promised += code == 0 && command->on_result != NULL;
    cmdi_inbox_unlock(&client->inbox);
    if (code < 0) {
        return code;
    }
    *part = cmdi_inbox_part_new(size);
    if (*part != NULL) {
        client_inbox_write(client, command, (*part)->data);
    }
    return 0;
}

int cmdi_client_inbox_send(struct cmdi_client *client, const struct cmdi_command *command)
{
    bool is_large = cmdi_record_size(command->body_size) >= CMDI_INBOX_PART_MIN;
    struct cmdi_inbox_part *part = NULL;
    int code = is_large ? client_inbox_begin_part(client, command, &part) : 0;
    if (code < 0) {
        return code;
    }
    cmdi_inbox_lock(&client->inbox);
    code = is_large ? client_inbox_put_part(client, command, part)
                    : client_inbox_put(client, command);
    // Of a large one that does not come others may have waited for the room.
    bool tell = code == 0 || code == CMDS_E_CANCELLED || (is_large && !client->inbox.closed);
    bool post = tell && cmdi_inbox_take_mail(&client->inbox);
    cmdi_inbox_unlock(&client->inbox);
    if (code < 0) {
        free(part);
    }
    if (post) {
        client->client_shard->config->ops->hold(client->client_shard);
        cmdi_shard_post(client->client_shard->shard, &client->inbox.mail);
    }
    return code;
}

/* --- The shard -------------------------------------------------------------------------------- */

/* A record of another thread that goes no further: it was counted, and has no entry yet. */
static void client_refuse_record(struct cmdi_client *client, struct cmdi_record *record, int code)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    struct cmds_error text;
    CMDI_ASSERT(code < 0);
    if (record->on_result == NULL) {
        cmdi_client_count_end(client_shard, record->type, code, record->begun_ns);
        return;
    }
    if (record->extra != NULL &&
            cmdi_extra_end(client_shard->config->tickets, record->extra, code)) {
        code = CMDS_E_CANCELLED;
    }
    cmdi_client_count_end(client_shard, record->type, code, record->begun_ns);
    struct cmds_result result = cmdi_client_error_result(client, record->sequence, code, &text);
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
    struct cmdi_pending *entry = NULL;
    if (answered) {
        entry = cmdi_client_register(
                client, record->on_result, record->context, record->deadline_ms, record->extra);
        if (entry == NULL) {
            client_refuse_record(client, record, -ENOMEM);
            return;
        }
        cmdi_client_count_begin(client->client_shard, entry,
                cmdi_client_place(client->client_shard, record->type), record->begun_ns);
    }
    record->sequence = ++client->sequence;
    bool in_window = !answered || client->table.count - client->waiting <=
                                          client->client_shard->config->in_flight_max;
    if (cmdi_client_is_up(client) && cmdi_queue_size(&client->backlog) == 0 && in_window &&
            cmdi_client_write_record(client, record) == 0) {
        return;
    }
    int code = 0;
    struct cmdi_record *copy = cmdi_queue_append(&client->backlog, record->body_size, &code);
    client->waiting += answered;
    if (copy == NULL) {
        if (entry != NULL) {
            cmdi_client_end(client, entry, code == -ENOBUFS ? CMDS_E_NOT_SENT : code);
            cmdi_shard_ready(client->client_shard->shard, &client->ended_work);
        } else {
            cmdi_client_count_end(client->client_shard, record->type, code, record->begun_ns);
        }
        return;
    }
    memcpy(copy, record, sizeof(*record) + record->body_size);
}

/*
 * Everything that other threads have queued becomes the shard's.
 *
 * Another thread adds up what is queued and what is in flight, or pending, to know whether there is
 * room, or whether all is over. So what is taken counts as pending before the lock is released, and
 * stops to count as queued at the very end: for a moment such a sum may count a command twice, but
 * it never misses one. In the same way its bytes count as backlog before others may append again.
 */
void cmdi_client_take_inbox(struct cmdi_client *client)
{
    struct cmdi_inbox *inbox = &client->inbox;
    cmdi_inbox_lock(inbox);
    struct cmdi_inbox_bytes taken = cmdi_inbox_take(inbox);
    struct cmdi_inbox_run run = {0};
    atomic_store_explicit(&client->backlog_size,
            cmdi_client_taken_size(client) + cmdi_inbox_bytes_size(&taken), memory_order_relaxed);
    uint32_t count = client->inbox_count;
    client->inbox_count = 0;
    (void)cmdi_client_shard_add(client->client_shard, count);
    cmdi_inbox_unlock(inbox);
    while (cmdi_inbox_next_run(&taken, &run)) {
        for (size_t at = 0; at < run.size;) {
            struct cmdi_record *record = (struct cmdi_record *)(void *)(run.data + at);
            client_take_record(client, record);
            at += record->size;
            CMDI_ASSERT_SLOW(at <= run.size);
        }
    }
    cmdi_inbox_give_back(inbox, &taken);
    cmdi_client_publish_size(client);
    atomic_fetch_sub_explicit(&client->queued, count, memory_order_release);
    if (!cmdi_client_is_up(client) && cmdi_queue_size(&client->backlog) > 0) {
        client->client_shard->config->ops->on_backlog(client->client_shard);
    }
}

void cmdi_client_close_inbox(struct cmdi_client *client)
{
    CMDI_ASSERT(cmdi_client_state(client) == CMDI_CLIENT_DOWN);
    cmdi_inbox_close(&client->inbox);
    cmdi_client_take_inbox(client);
}

void cmdi_client_on_inbox(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_client *client = CMDI_CONTAINER(mail, struct cmdi_client, inbox.mail);
    CMDI_ASSERT(shard == client->client_shard->shard);
    cmdi_inbox_arrived(&client->inbox);
    cmdi_client_take_inbox(client);
    cmdi_client_apply_pause(client);
    if (client->client_shard->wants_room) {
        /* What was in the inbox may be written. */
        client->client_shard->config->ops->on_room(client->client_shard);
    }
    client->client_shard->config->ops->release(client->client_shard);
}
