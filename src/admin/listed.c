/* SPDX-License-Identifier: MIT */
/*
 * The pages /connections and /calls: what the shards hold at this moment. They hand over values, and
 * everything else is done here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include <cmdstream/inspect.h>

#include "admin/admin.h"
#include "admin/held.h"
#include "admin/pages.h"
#include "admin/words.h"

enum {
    LISTED_LIMIT_DEFAULT = 1000,
    LISTED_LIMIT_MAX = 100000,
    LISTED_MORE = 16, // Room for those that come between two questions.
};

static const char *const sides[] = {"server", "client"};
static const char *const stages[] = {
        "connecting", "tls", "server_info", "open", "finishing", "lingering", "closing"};
static const char *const pauses[] = {"calls", "output", "memory", "buffers", "program", "end"};
static const char *const call_stages[] = {"kept", "pool", "again", "room"};
enum {
    SIDES = sizeof(sides) / sizeof(sides[0]),
    STAGES = sizeof(stages) / sizeof(stages[0]),
    PAUSES = sizeof(pauses) / sizeof(pauses[0]),
    CALL_STAGES = sizeof(call_stages) / sizeof(call_stages[0]),
};

/* A library that is newer than this one may have further ones. */
static const char *word(const char *const *words, uint32_t count, uint32_t index)
{
    return index < count ? words[index] : "other";
}

/* --- What both have --------------------------------------------------------------------------- */

/* Returns: false: it is refused. */
static bool choose_limit(struct cmdi_admin_request *request, size_t *limit)
{
    *limit = LISTED_LIMIT_DEFAULT;
    return cmdi_admin_argument_number(request, "limit", LISTED_LIMIT_MAX, limit);
}

void cmdi_admin_refuse_list(struct cmdi_admin_request *request, int code)
{
    cmdi_admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
            code == -EXDEV ? "A thread of the program turns this runtime, and it alone may ask "
                             "what is there."
                           : cmds_error_text(code));
}

/* "3 of 5" if not all of them are shown. */
static void write_count(struct cmdi_admin_out *out, size_t listed, size_t count, const char *what)
{
    if (listed < count) {
        cmdi_admin_out_format(out, "%zu of ", listed);
    }
    cmdi_admin_out_format(out, "%zu %s%s\n", count, what, count == 1 ? "" : "s");
}

static void json_string(struct cmdi_admin_out *out, const char *name, const char *text)
{
    cmdi_admin_out_format(out, ",\"%s\":", name);
    cmdi_admin_out_json(out, cmds_string_from(text));
}

static void json_number(struct cmdi_admin_out *out, const char *name, uint64_t number)
{
    cmdi_admin_out_format(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

/* --- Connections ------------------------------------------------------------------------------ */

static void connections_head(struct cmdi_admin_out *out)
{
    cmdi_admin_right(out, "shard", 5);
    cmdi_admin_left(out, "side", 6);
    cmdi_admin_left(out, "name", 12);
    cmdi_admin_left(out, "peer", 24);
    cmdi_admin_left(out, "stage", 11);
    cmdi_admin_right(out, "in flight", 9);
    cmdi_admin_right(out, "age", 7);
    cmdi_admin_right(out, "idle", 7);
    cmdi_admin_right(out, "received", 9);
    cmdi_admin_right(out, "sent", 9);
    cmdi_admin_right(out, "queued", 9);
    cmdi_admin_out_text(out, "not read for\n");
}

static void connection_text(
        struct cmdi_admin_out *out, const struct cmds_listed_connection *connection)
{
    char text[CMDI_ADMIN_WORD_SIZE];
    cmdi_admin_right(out, cmdi_admin_number(text, connection->shard), 5);
    cmdi_admin_left(out, word(sides, SIDES, connection->side), 6);
    cmdi_admin_left(out, connection->name, 12);
    cmdi_admin_left(out, connection->peer, 24);
    cmdi_admin_left(out, word(stages, STAGES, connection->stage), 11);
    cmdi_admin_right(out, cmdi_admin_number(text, connection->in_flight), 9);
    cmdi_admin_right(out, cmdi_admin_time(text, (double)connection->age_ms / 1e3), 7);
    cmdi_admin_right(out, cmdi_admin_time(text, (double)connection->idle_ms / 1e3), 7);
    cmdi_admin_right(out, cmdi_admin_bytes(text, (double)connection->recv_bytes), 9);
    cmdi_admin_right(out, cmdi_admin_bytes(text, (double)connection->send_bytes), 9);
    cmdi_admin_right(out, cmdi_admin_bytes(text, (double)connection->queued_bytes), 9);
    for (uint32_t i = 0; i < PAUSES; i++) {
        if ((connection->pauses & 1u << i) != 0) {
            cmdi_admin_left(out, pauses[i], 0);
        }
    }
    cmdi_admin_out_text(out, "\n");
}

static void connection_json(
        struct cmdi_admin_out *out, const struct cmds_listed_connection *connection)
{
    cmdi_admin_out_format(out, "{\"id\":%llu", (unsigned long long)connection->id);
    json_number(out, "shard", connection->shard);
    json_string(out, "side", word(sides, SIDES, connection->side));
    json_string(out, "name", connection->name);
    json_string(out, "peer", connection->peer);
    json_string(out, "stage", word(stages, STAGES, connection->stage));
    json_number(out, "tls_version", connection->tls_version);
    json_number(out, "in_flight", connection->in_flight);
    json_number(out, "rtt_us", connection->rtt_us);
    json_number(out, "age_ms", connection->age_ms);
    json_number(out, "idle_ms", connection->idle_ms);
    json_number(out, "recv_bytes", connection->recv_bytes);
    json_number(out, "send_bytes", connection->send_bytes);
    json_number(out, "queued_bytes", connection->queued_bytes);
    cmdi_admin_out_text(out, ",\"paused\":[");
    const char *comma = "";
    for (uint32_t i = 0; i < PAUSES; i++) {
        if ((connection->pauses & 1u << i) != 0) {
            cmdi_admin_out_format(out, "%s\"%s\"", comma, pauses[i]);
            comma = ",";
        }
    }
    cmdi_admin_out_text(out, "]}");
}

static void write_connections(struct cmdi_admin_request *request,
        const struct cmds_listed_connection *list, size_t listed, size_t count,
        const struct cmdi_admin_held *held)
{
    struct cmdi_admin_out *out = &request->out;
    if (request->form == CMDI_ADMIN_TEXT) {
        write_count(out, listed, count, "connection");
        cmdi_admin_held_text(out, held);
        connections_head(out);
        for (size_t i = 0; i < listed; i++) {
            connection_text(out, &list[i]);
        }
        return;
    }
    cmdi_admin_out_format(out, "{\"count\":%zu", count);
    cmdi_admin_held_json(out, held);
    cmdi_admin_out_text(out, ",\"connections\":[");
    for (size_t i = 0; i < listed; i++) {
        cmdi_admin_out_text(out, i == 0 ? "\n" : ",\n");
        connection_json(out, &list[i]);
    }
    cmdi_admin_out_text(out, "]}\n");
}

void cmdi_admin_page_connections(struct cmdi_admin_request *request)
{
    struct cmds_runtime *runtime = request->admin->runtime;
    size_t limit, count = 0;
    if (!choose_limit(request, &limit)) {
        return;
    }
    struct cmdi_admin_held held;
    int code = cmds_runtime_connections(runtime, NULL, 0, &count);
    bool has_count = code == 0 || code == CMDS_E_TIMEOUT;
    size_t room = count + LISTED_MORE < limit ? count + LISTED_MORE : limit;
    struct cmds_listed_connection *list =
            !has_count || room == 0 ? NULL : calloc(room, sizeof(*list));
    if (list != NULL) {
        list[0] = (struct cmds_listed_connection)CMDS_LISTED_CONNECTION_INIT;
        code = cmds_runtime_connections(runtime, list, room, &count);
    } else if (has_count && room > 0) {
        code = -ENOMEM;
    }
    if (code < 0 && code != CMDS_E_TIMEOUT) {
        cmdi_admin_refuse_list(request, code);
    } else {
        cmdi_admin_held_find(runtime, code, &held);
        write_connections(request, list, count < room ? count : room, count, &held);
    }
    free(list);
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void calls_head(struct cmdi_admin_out *out)
{
    cmdi_admin_right(out, "shard", 5);
    cmdi_admin_right(out, "age", 7);
    cmdi_admin_left(out, "type", 16);
    cmdi_admin_left(out, "waits for", 9);
    cmdi_admin_right(out, "round", 7);
    cmdi_admin_right(out, "results", 7);
    cmdi_admin_left(out, "name", 12);
    cmdi_admin_left(out, "peer", 24);
    cmdi_admin_out_text(out, "\n");
}

static void call_text(struct cmdi_admin_out *out, const struct cmds_listed_call *call)
{
    char text[CMDI_ADMIN_WORD_SIZE];
    cmdi_admin_right(out, cmdi_admin_number(text, call->shard), 5);
    cmdi_admin_right(out, cmdi_admin_time(text, (double)call->age_us / 1e6), 7);
    cmdi_admin_left(out, call->type, 16);
    cmdi_admin_left(out, word(call_stages, CALL_STAGES, call->stage), 9);
    cmdi_admin_right(out, cmdi_admin_number(text, (double)call->round), 7);
    cmdi_admin_right(out, cmdi_admin_number(text, (double)call->results), 7);
    cmdi_admin_left(out, call->name, 12);
    cmdi_admin_left(out, call->peer, 24);
    cmdi_admin_out_text(out, call->finished    ? "finished\n"
                             : call->cancelled ? "cancelled\n"
                                               : "\n");
}

static void call_json(struct cmdi_admin_out *out, const struct cmds_listed_call *call)
{
    cmdi_admin_out_format(out, "{\"shard\":%u", call->shard);
    json_number(out, "connection", call->connection);
    json_number(out, "sequence", call->sequence);
    json_number(out, "age_us", call->age_us);
    json_string(out, "type", call->type);
    json_string(out, "stage", word(call_stages, CALL_STAGES, call->stage));
    json_number(out, "round", call->round);
    json_number(out, "results", call->results);
    json_string(out, "name", call->name);
    json_string(out, "peer", call->peer);
    cmdi_admin_out_format(out, ",\"finished\":%s,\"cancelled\":%s}",
            call->finished ? "true" : "false", call->cancelled ? "true" : "false");
}

static void write_calls(struct cmdi_admin_request *request, const struct cmds_listed_call *list,
        size_t listed, size_t count, const struct cmdi_admin_held *held)
{
    struct cmdi_admin_out *out = &request->out;
    if (request->form == CMDI_ADMIN_TEXT) {
        write_count(out, listed, count, "call");
        cmdi_admin_held_text(out, held);
        calls_head(out);
        for (size_t i = 0; i < listed; i++) {
            call_text(out, &list[i]);
        }
        return;
    }
    cmdi_admin_out_format(out, "{\"count\":%zu", count);
    cmdi_admin_held_json(out, held);
    cmdi_admin_out_text(out, ",\"calls\":[");
    for (size_t i = 0; i < listed; i++) {
        cmdi_admin_out_text(out, i == 0 ? "\n" : ",\n");
        call_json(out, &list[i]);
    }
    cmdi_admin_out_text(out, "]}\n");
}

void cmdi_admin_page_calls(struct cmdi_admin_request *request)
{
    struct cmds_runtime *runtime = request->admin->runtime;
    size_t limit, count = 0;
    if (!choose_limit(request, &limit)) {
        return;
    }
    struct cmdi_admin_held held;
    int code = cmds_runtime_calls(runtime, NULL, 0, &count);
    bool has_count = code == 0 || code == CMDS_E_TIMEOUT;
    size_t room = count + LISTED_MORE < limit ? count + LISTED_MORE : limit;
    struct cmds_listed_call *list = !has_count || room == 0 ? NULL : calloc(room, sizeof(*list));
    if (list != NULL) {
        list[0] = (struct cmds_listed_call)CMDS_LISTED_CALL_INIT;
        code = cmds_runtime_calls(runtime, list, room, &count);
    } else if (has_count && room > 0) {
        code = -ENOMEM;
    }
    if (code < 0 && code != CMDS_E_TIMEOUT) {
        cmdi_admin_refuse_list(request, code);
    } else {
        cmdi_admin_held_find(runtime, code, &held);
        write_calls(request, list, count < room ? count : room, count, &held);
    }
    free(list);
}
