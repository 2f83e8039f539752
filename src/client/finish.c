/* SPDX-License-Identifier: MIT */
/* Ends that are not a result, and the list of callbacks that are due. The shard. */
#include "client/finish.h"

#include <errno.h>
#include <stdio.h>

#include "client/state.h"

enum {
    CLIENT_SCAN_PER_MS = 8192, // Entries visited per ms at most when deadlines are checked.
};

void cmdi_client_end(struct cmdi_client *client, struct cmdi_pending *entry, int code)
{
    CMDI_ASSERT(cmdi_pending_is_awaited(entry));
    if (code == CMDS_E_TIMEOUT && cmdi_client_is_up(client)) {
        cmdi_client_observe_timeout(client, entry);
    }
    cmdi_pending_mark_ended(entry, code);
    *client->ended_tail = entry;
    client->ended_tail = &entry->ended_next;
    if (entry->sequence > client->sequence_sent) {
        cmdi_client_remove(client, entry);
        entry->flags |= CMDI_PENDING_OUT;
        CMDI_ASSERT(client->waiting > 0);
        client->waiting--;
    }
}

struct cmds_result cmdi_client_error_result(
        const struct cmdi_client *client, uint64_t sequence, int code, struct cmds_error *text)
{
    struct cmds_result result = {.error = code,
            .last = true,
            .text = client->error.text,
            .sequence = sequence,
            .client = client->number};
    if (code == CMDS_E_TIMEOUT && client->error.code != 0) {
        (void)snprintf(text->text, sizeof(text->text),
                "no result within the deadline; not connected: %.200s", client->error.text);
        result.text = text->text;
    } else if (code == CMDS_E_TIMEOUT) {
        (void)snprintf(text->text, sizeof(text->text), "%.120s: no result within the deadline",
                cmdi_client_name(client));
        result.text = text->text;
    } else if (code == CMDS_E_CANCELLED || code == -ENOMEM) {
        result.text = cmds_error_text(code);
    } else if (client->error.code == 0) { // Nothing has happened to the connection.
        (void)snprintf(text->text, sizeof(text->text), "%.120s: no room for what waits: %s",
                cmdi_client_name(client), cmds_error_text(code));
        result.text = text->text;
    }
    return result;
}

void cmdi_client_deliver(struct cmdi_client *client)
{
    struct cmdi_tickets *tickets = client->client_shard->config->tickets;
    while (client->ended != NULL) {
        struct cmdi_pending *entry = client->ended;
        struct cmds_error text;
        CMDI_ASSERT((entry->flags & CMDI_PENDING_ENDED) != 0);
        client->ended = entry->ended_next;
        if (client->ended == NULL) {
            client->ended_tail = &client->ended;
        }
        int code = entry->error;
        if (entry->extra != NULL && cmdi_extra_end(tickets, entry->extra, code)) {
            code = CMDS_E_CANCELLED; // Somebody forgot it before it ended by itself.
        }
        struct cmds_result result = cmdi_client_error_result(client, entry->sequence, code, &text);
        cmdi_client_finish(client, entry, &result, false);
    }
    cmdi_client_tell_room(client);
}

void cmdi_client_on_ended(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_client *client = CMDI_CONTAINER(work, struct cmdi_client, ended_work);
    CMDI_ASSERT(shard == client->client_shard->shard);
    cmdi_client_deliver(client);
}

void cmdi_client_on_deadline(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_client *client = CMDI_CONTAINER(timer, struct cmdi_client, deadline_timer);
    struct cmdi_pending_table *table = &client->table;
    uint64_t earliest_ms = UINT64_MAX;
    if (client->conn_live && !cmdi_conn_has_run(&client->conn, &client->deadline_mark)) {
        /* The answer may be among what has not been run. */
        cmdi_shard_timer(client->client_shard->shard, timer, now_ms + 1);
        return;
    }
    for (uint32_t i = 0; i <= table->mask; i++) {
        struct cmdi_pending *next = NULL;
        for (struct cmdi_pending *entry = table->buckets[i]; entry != NULL; entry = next) {
            next = entry->next;
            if (!cmdi_pending_is_awaited(entry)) {
                continue;
            }
            if (entry->deadline_ms <= now_ms) {
                CMDI_COUNT(&client->client_shard->counters, deadlines, 1);
                cmdi_client_end(client, entry, CMDS_E_TIMEOUT);
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
        cmdi_client_arm_deadline(client, earliest_ms > soonest_ms ? earliest_ms : soonest_ms);
    }
    cmdi_client_deliver(client);
    cmdi_client_trim(client);
}

int cmdi_client_forget(struct cmdi_client *client, uint64_t sequence)
{
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, sequence);
    if (entry == NULL || !cmdi_pending_is_awaited(entry)) {
        return -ENOENT;
    }
    cmdi_client_end(client, entry, CMDS_E_CANCELLED);
    cmdi_shard_ready(client->client_shard->shard, &client->ended_work);
    return 0;
}

void cmdi_client_forget_ticket(struct cmdi_client *client, struct cmdi_ticket *ticket)
{
    /* Without an entry it is in the inbox, and will be found to be forgotten there. */
    struct cmdi_pending *entry = ticket->entry;
    CMDI_ASSERT(ticket->client == client && ticket->is_forgotten);
    if (entry != NULL && cmdi_pending_is_awaited(entry)) {
        cmdi_client_end(client, entry, CMDS_E_CANCELLED);
        cmdi_client_deliver(client);
    }
}

/* It is out of the table, and of no use to the server's answer. */
static void client_end_out(struct cmdi_client *client, struct cmdi_pending *entry, int code)
{
    if (entry->on_result == NULL) {
        cmdi_pool_release(&client->client_shard->pool, entry);
        return;
    }
    entry->flags |= CMDI_PENDING_OUT;
    if (cmdi_pending_is_awaited(entry)) {
        cmdi_pending_mark_ended(entry, code);
        *client->ended_tail = entry;
        client->ended_tail = &entry->ended_next;
        client->has_lost |= code == CMDS_E_LOST;
    }
}

void cmdi_client_end_written(struct cmdi_client *client)
{
    client->conn.alike = false; // The entry goes.
    for (uint32_t i = 0; i <= client->table.mask; i++) {
        struct cmdi_pending *next = NULL;
        for (struct cmdi_pending *entry = client->table.buckets[i]; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->sequence <= client->sequence_sent) {
                cmdi_client_remove(client, entry);
                client_end_out(client, entry, CMDS_E_LOST);
            }
        }
    }
    CMDI_ASSERT(client->table.count == client->waiting);
}

/* Of what waits there, one-way commands end with it. */
static void client_drop_backlog(struct cmdi_client *client)
{
    struct cmdi_record *record = NULL;
    while ((record = cmdi_queue_front(&client->backlog)) != NULL) {
        if (record->on_result == NULL) {
            cmdi_client_count_end(
                    client->client_shard, record->type, CMDS_E_NOT_SENT, record->begun_ns);
        }
        cmdi_queue_pop(&client->backlog);
    }
    cmdi_queue_clear(&client->backlog);
}

void cmdi_client_end_all(struct cmdi_client *client)
{
    CMDI_ASSERT(!cmdi_client_is_up(client));
    client->conn.alike = false; // The entry goes.
    int lost = client->is_closing ? CMDS_E_CLOSED : CMDS_E_LOST;
    int unsent = client->is_closing ? CMDS_E_CLOSED : CMDS_E_NOT_SENT;
    uint32_t bucket = 0;
    struct cmdi_pending *entry = NULL;
    while ((entry = cmdi_pending_pop(&client->table, &bucket)) != NULL) {
        client_end_out(client, entry, entry->sequence > client->sequence_sent ? unsent : lost);
    }
    client->waiting = 0;
    cmdi_client_publish_count(client);
    client_drop_backlog(client);
    cmdi_client_publish_size(client);
    cmdi_shard_timer_off(client->client_shard->shard, &client->deadline_timer);
    client->deadline_next_ms = UINT64_MAX;
}
