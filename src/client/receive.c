/* SPDX-License-Identifier: MIT */
/*
 * A result is decoded, its command is found, and its callback is called. A server is not trusted: a
 * result for what was never sent ends the connection; one that nobody waits for is reported as
 * unexpected.
 */
#include "client/receive.h"

#include <errno.h>
#include <stdio.h>

#include "base/usdt.h"
#include "client/finish.h"
#include "codec/codec.h"
#include "codec/which.h"
#include "conn/guess.h"

enum {
    CLIENT_UNKNOWN_TEXT_MAX = 160,
};

/* `entry` is NULL, a tombstone, or about to become one. */
static __attribute__((noinline)) void client_give_unexpected(
        struct cmdi_client *client, struct cmdi_pending *entry, const struct cmds_result *result)
{
    CMDI_ASSERT(entry == NULL || entry->sequence == result->sequence);
    CMDI_COUNT(&client->client_shard->counters, unexpected_results, 1);
    bool leaves = entry != NULL && result->last;
    if (leaves) {
        cmdi_client_remove(client, entry);
        if ((entry->flags & CMDI_PENDING_ENDED) != 0) {
            entry->flags |= CMDI_PENDING_OUT; // The list of callbacks still has it.
        } else {
            cmdi_pool_release(&client->client_shard->pool, entry);
        }
    }
    client->client_shard->config->ops->on_unexpected(client, result);
    if (leaves) {
        cmdi_client_tell_room(client); // Last, as in cmdi_client_finish().
    }
}

/*
 * A result of a command with a ticket: a forget that came first wins. Returns: false: nobody waits
 * any more.
 */
static bool client_claim(struct cmdi_client *client, struct cmdi_pending *entry, bool last)
{
    struct cmdi_tickets *tickets = client->client_shard->config->tickets;
    CMDI_ASSERT(entry->extra != NULL && entry->extra->ticket.client == client);
    if (!last) {
        return !cmdi_tickets_is_forgotten(tickets, &entry->extra->ticket);
    }
    bool was_forgotten = cmdi_extra_close(tickets, entry->extra);
    entry->extra = NULL;
    if (was_forgotten) {
        cmdi_client_end(client, entry, CMDS_E_CANCELLED);
    }
    return !was_forgotten;
}

/* That of a result that is of no type of the protocol. */
static const struct cmdi_type_entry client_no_row = {.last_offset = UINT32_MAX};

/*
 * What is the first of a run, or not a command's only result, or says that it failed. Apart: most are none of
 * them.
 */
static __attribute__((noinline)) void client_count_other(struct cmdi_client_shard *client_shard,
        const struct cmdi_pending *entry, const struct cmds_result *result,
        const struct cmdi_type_entry *row, size_t size)
{
    uint32_t place = entry->flags >> CMDI_PENDING_PLACE_SHIFT;
    if (CMDI_LIKELY(row->last_offset == CMDI_LAST_ALWAYS)) {
        cmdi_ledger_answered_anew(
                client_shard->ledger, place, cmdi_type_mark(row), size, entry->begun_ns);
        return;
    }
    if (row != &client_no_row) {
        cmdi_client_count_result(client_shard, place, row->place, size, entry->begun_ns);
    }
    if (result->last) {
        cmdi_client_count_end_at(client_shard, place,
                result->is_error ? CMDS_E_REMOTE : result->error, entry->begun_ns);
    }
}

/* Returns: it is the last one. */
static inline bool client_count(struct cmdi_client_shard *client_shard,
        const struct cmdi_pending *entry, const struct cmds_result *result,
        const struct cmdi_type_entry *row, size_t size)
{
    struct cmdi_ledger_shard *ledger = client_shard->ledger;
    if (CMDI_UNLIKELY(ledger == NULL)) {
        return result->last;
    }
    struct cmdi_type_block *block = &ledger->blocks[entry->flags >> CMDI_PENDING_PLACE_SHIFT];
    if (cmdi_ledger_is_latest(block, cmdi_type_mark(row), entry->begun_ns)) {
        cmdi_ledger_answered(block, size);
        return true; // As they all are.
    }
    client_count_other(client_shard, entry, result, row, size);
    return result->last;
}

/* --- Results of a stream ---------------------------------------------------------------------- */

/*
 * Most results of a stream are as the one before: of the same command, type and size, which their headers
 * say. For such a one nothing is looked up: what was found for the one before is kept. Whatever is odd
 * takes the way of all others.
 */

/* The next one may be such a one. */
static __attribute__((noinline)) void client_expect_alike(struct cmdi_client *client,
        struct cmdi_pending *entry, const struct cmds_result *result,
        const struct cmdi_type_entry *row)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    const uint32_t value_size = row->type->schema->value_size;
    if (client->conn.alike || client_shard->config->limits.self_delimiting ||
            row->last_offset >= CMDI_LAST_ALWAYS || entry->extra != NULL ||
            (const uint8_t *)result->value != client_shard->arena.base) {
        return;
    }
    client_shard->alike = (struct cmdi_client_alike){.entry = entry,
            .row = row,
            .result = *result,
            .arena_at = client_shard->arena.base + value_size};
    client->conn.alike = true;
}

/* `row`: of the result's type, or client_no_row. */
static inline void client_give(struct cmdi_client *client, struct cmdi_pending *entry,
        const struct cmds_result *result, const struct cmdi_type_entry *row, size_t header_size)
{
    if (CMDI_UNLIKELY(entry == NULL || !cmdi_pending_is_awaited(entry) ||
                      (entry->extra != NULL && !client_claim(client, entry, result->last)))) {
        client_give_unexpected(client, entry, result);
        if (client->ended != NULL) {
            cmdi_client_deliver(client);
        }
        return;
    }
    cmdi_client_observe(client, entry, result->error < 0);
    if (CMDI_UNLIKELY(!client_count(
                client->client_shard, entry, result, row, header_size + result->size))) {
        client_expect_alike(client, entry, result, row);
        cmdi_client_shard_tell(
                client->client_shard, entry->on_result, entry->context, result, false);
        return;
    }
    cmdi_client_finish(client, entry, result, true);
}

/* --- Frames ----------------------------------------------------------------------------------- */

static int64_t client_refuse(
        struct cmdi_client *client, int code, const char *what, const struct cmdi_frame *frame)
{
    cmdi_conn_fail(&client->conn, code, "%s (sequence %llu, type %llu)", what,
            (unsigned long long)frame->sequence, (unsigned long long)frame->type);
    return code;
}

/* The result of a command, though nobody knows what it is. Returns: as on_frame. */
static __attribute__((noinline)) int64_t client_on_unknown(struct cmdi_client *client,
        const struct cmdi_frame *frame, char text[CLIENT_UNKNOWN_TEXT_MAX],
        struct cmds_result *result)
{
    const char *protocol = client->client_shard->config->protocol;
    CMDI_COUNT(&client->client_shard->counters, results_received, 1);
    if (client->client_shard->config->limits.self_delimiting) {
        cmdi_conn_fail(&client->conn, CMDS_E_UNKNOWN_RESULT,
                "result type %llu (sequence %llu) is none of protocol %.60s, and has no length; "
                "another protocol, or a newer one?",
                (unsigned long long)frame->type, (unsigned long long)frame->sequence, protocol);
        return CMDS_E_UNKNOWN_RESULT;
    }
    (void)snprintf(text, CLIENT_UNKNOWN_TEXT_MAX,
            "result type %llu is none of protocol %.48s; another protocol, or a newer one?",
            (unsigned long long)frame->type, protocol);
    *result = (struct cmds_result){.error = CMDS_E_UNKNOWN_RESULT, .last = true, .text = text};
    return (int64_t)frame->body_size;
}

static __attribute__((noinline)) int64_t client_undecoded(struct cmdi_client *client,
        const struct cmdi_frame *frame, const struct cmds_type *type, int code)
{
    const struct cmds_codec *codec = client->client_shard->config->codec;
    struct cmds_error why = CMDS_ERROR_INIT;
    char guess[CMDI_GUESS_TEXT_MAX] = "";
    if (code == CMDS_E_PROTO) {
        (void)cmdi_guess_codec(&client->conn, codec, frame, guess);
    } else {
        (void)cmdi_which_decode(codec, type, (struct cmds_bytes){frame->body, frame->body_size},
                &client->client_shard->arena, &why);
    }
    cmdi_conn_fail(&client->conn, code, "result of command %llu, %.60s: %s%s",
            (unsigned long long)frame->sequence, type->schema->name,
            why.code != 0 ? why.text : cmds_error_text(code), guess);
    return code;
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
        CMDI_COUNT(&client_shard->counters.conn, out_of_memory, 1);
        return client_refuse(client, -ENOMEM, "no memory for a result", frame);
    }
    CMDI_COUNT(&client_shard->counters.conn, codec_errors, 1);
    return client_undecoded(
            client, frame, type, used == CMDS_E_LIMIT ? CMDS_E_LIMIT : CMDS_E_PROTO);
}

/* Its value, in the arena of the client_shard. Returns: as on_frame. */
static inline int64_t client_on_known(struct cmdi_client *client, const struct cmdi_frame *frame,
        const struct cmdi_type_entry *row, struct cmds_result *result)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    void *value = NULL;
    int64_t used = client_decode(client, frame, row->type, &value);
    if (CMDI_UNLIKELY(used < 0 || used > (int64_t)frame->body_size)) {
        return used;
    }
    CMDI_COUNT(&client_shard->counters, results_received, 1);
    client->backoff.is_proved = true;
    CMDI_PROBE4(reply, client->number, frame->sequence, frame->type, used);
    cmdi_meter_ran(&client_shard->shard->meter, row->type);
    *result = (struct cmds_result){
            .last = cmdi_type_is_last(row, value),
            .is_error = row->last_offset == CMDI_LAST_ERROR,
            .type = row->type,
            .value = value,
            .text = "",
    };
    return used;
}

/* Of any command. Out of line: a result of a stream needs less of the stack. Returns: as on_frame. */
static __attribute__((noinline)) int64_t client_on_other(
        struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    struct cmdi_client_shard *client_shard = client->client_shard;
    CMDI_ASSERT_SLOW(frame->sequence > 0);
    CMDI_ASSERT_SLOW(cmdi_client_is_up(client) || cmdi_client_state(client) == CMDI_CLIENT_LEAVING);
    if (CMDI_UNLIKELY(frame->sequence > client->sequence_sent)) {
        CMDI_COUNT(&client_shard->counters.conn, proto_errors, 1);
        return client_refuse(
                client, CMDS_E_PROTO, "a result for a command that was never sent", frame);
    }
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, frame->sequence);
    const struct cmdi_type_entry *row =
            cmdi_type_table_entry(client_shard->config->results, frame->type);
    char text[CLIENT_UNKNOWN_TEXT_MAX];
    struct cmds_result result;
    int64_t used = CMDI_LIKELY(row != NULL) ? client_on_known(client, frame, row, &result)
                                            : client_on_unknown(client, frame, text, &result);
    if (CMDI_UNLIKELY(used < 0 || used > (int64_t)frame->body_size)) {
        return used;
    }
    result.sequence = frame->sequence;
    result.client = client->number;
    result.size = (uint32_t)used;
    client_give(client, entry, &result, row != NULL ? row : &client_no_row, frame->header_size);
    return used;
}

/* Its value, where that of the one before was. Returns: false: it is for the other way. */
static inline bool client_decode_alike(struct cmdi_client_shard *client_shard,
        struct cmdi_client_alike *alike, const struct cmdi_frame *frame)
{
    struct cmds_arena *arena = &client_shard->arena;
    const struct cmds_codec *codec = client_shard->config->codec;
    const struct cmds_type *type = alike->row->type;
    const struct cmds_bytes in = {frame->body, frame->body_size};
    uint8_t *value = arena->base;
    if (CMDI_POOLS_KEEP_NOTHING) {
        // Somewhere else: whoever keeps the one before is found out.
        value = cmdi_codec_begin(arena, type, in.size);
        alike->result.value = value;
    } else if (CMDI_LIKELY(value == alike->result.value && !arena->grown)) {
        arena->at = alike->arena_at; // The bounds are those of the one before, as is the size.
        cmdi_codec_clear(value, type->schema->value_size);
    } else {
        return false;
    }
    return CMDI_LIKELY(value != NULL) &&
           CMDI_LIKELY(codec->decode(codec, type, in, arena, value) == (int64_t)frame->body_size);
}

/* As client_on_other(). */
static __attribute__((noinline)) int64_t client_on_alike(
        struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    struct cmdi_client_shard *client_shard = client->client_shard;
    struct cmdi_client_alike *alike = &client_shard->alike;
    const struct cmdi_pending *entry = alike->entry;
    CMDI_ASSERT_SLOW(entry == cmdi_pending_find(&client->table, frame->sequence));
    if (CMDI_UNLIKELY(!cmdi_pending_is_awaited(entry) || entry->extra != NULL ||
                      !client_decode_alike(client_shard, alike, frame) ||
                      ((const uint8_t *)alike->result.value)[alike->row->last_offset] != 0)) {
        conn->alike = false;
        return client_on_other(conn, frame); // From its begin.
    }
    CMDI_COUNT(&client_shard->counters, results_received, 1);
    CMDI_PROBE4(reply, client->number, frame->sequence, frame->type, alike->result.size);
    cmdi_client_count_result(client_shard, entry->flags >> CMDI_PENDING_PLACE_SHIFT,
            alike->row->place, frame->header_size + frame->body_size, entry->begun_ns);
    cmdi_client_shard_tell(client_shard, entry->on_result, entry->context, &alike->result, false);
    return (int64_t)frame->body_size;
}

int64_t cmdi_client_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    return CMDI_LIKELY(!conn->alike) ? client_on_other(conn, frame) : client_on_alike(conn, frame);
}
