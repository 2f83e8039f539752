/* SPDX-License-Identifier: MIT */
/*
 * The calls of a runtime's servers, for somebody who lists them. Of those that are too many for the
 * program's array the youngest are left out, whichever shard they are on.
 */
#include "server/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/inspect.h>

#include "base/least.h"
#include "ring/clock.h"
#include "server/call.h"
#include "server/window.h"
#include "shard/walk.h"
#include "telemetry/scope.h"

/* --- Connections ------------------------------------------------------------------------------ */

/* Its shard's part has not ended: what is listed is the shard's. */
static const char *inspect_name(const struct cmds_connection *connection)
{
    const struct cmdi_scope *scope = connection->server_shard->tally.scope;
    return scope != NULL ? scope->name : "";
}

void cmdi_inspect_connection(const struct cmdi_conn *conn, struct cmds_listed_connection *row)
{
    const struct cmds_connection *connection = cmdi_connection_of_const(conn);
    row->side = CMDS_SIDE_SERVER;
    row->id = connection->id;
    row->in_flight = connection->in_flight;
    row->queued_bytes += cmdi_inbox_size(&connection->inbox);
    if (conn->paused) {
        /* Below both bounds it reads on in a moment. */
        row->pauses |= cmdi_conn_output_high(conn) ? CMDS_PAUSE_OUTPUT : CMDS_PAUSE_CALLS;
        row->pauses |= cmdi_window_is_full(connection) ? CMDS_PAUSE_CALLS : 0u;
    }
    cmdi_rows_text(row->peer, sizeof(row->peer), connection->peer);
    cmdi_rows_text(row->name, sizeof(row->name), inspect_name(connection));
}

/* --- Calls ------------------------------------------------------------------------------------ */

struct call_list {
    struct cmdi_walk walk;
    struct cmdi_rows rows;
    struct cmdi_least oldest;
};

/* `owed` is the worker's as long as the call is in the pool. */
static enum cmds_call_stage inspect_stage(struct cmds_call *call)
{
    return (call->flags & CMDI_CALL_IN_POOL) != 0    ? CMDS_CALL_POOL
           : atomic_load(&call->on_writable) != NULL ? CMDS_CALL_ROOM
           : call->owed                              ? CMDS_CALL_AGAIN
                                                     : CMDS_CALL_KEPT;
}

static void call_visit(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node)
{
    struct call_list *list = CMDI_CONTAINER(walk, struct call_list, walk);
    struct cmds_call *call = CMDI_CONTAINER(node, struct cmds_call, on_shard);
    uint64_t now_ns = shard->in_turn ? shard->now_ns : cmdi_now_ns();
    size_t index = 0;
    if (!cmdi_least_take(&list->oldest, call->received_ns, &index)) {
        return;
    }
    struct cmds_listed_call row = {
            .shard = shard->index,
            .connection = call->connection->id,
            .sequence = call->sequence,
            .received_ns = call->received_ns,
            .age_us = now_ns > call->received_ns ? (now_ns - call->received_ns) / 1000 : 0,
            .round = call->round,
            .results = call->sent_here +
                       atomic_load_explicit(&call->sent_elsewhere, memory_order_relaxed),
            .stage = (uint8_t)inspect_stage(call),
            .finished = atomic_load(&call->finished) != 0,
            .cancelled = atomic_load(&call->cancelled) != 0,
    };
    cmdi_rows_text(row.type, sizeof(row.type), call->type->schema->name);
    cmdi_rows_text(row.peer, sizeof(row.peer), call->connection->peer);
    cmdi_rows_text(row.name, sizeof(row.name), inspect_name(call->connection));
    cmdi_rows_put(&list->rows, index, &row, sizeof(row));
}

static int inspect_older(const void *a, const void *b)
{
    uint64_t left;
    uint64_t right;
    memcpy(&left, (const char *)a + offsetof(struct cmds_listed_call, received_ns), sizeof(left));
    memcpy(&right, (const char *)b + offsetof(struct cmds_listed_call, received_ns), sizeof(right));
    return left < right ? -1 : left > right;
}

int cmds_runtime_calls(struct cmds_runtime *runtime, struct cmds_listed_call *list,
        size_t count_max, size_t *count)
{
    struct call_list mine = {.walk = {.kind = CMDI_WALK_CALLS, .visit = call_visit}};
    int code = cmdi_rows_take(&mine.rows, list, count_max, count);
    if (code == 0 && count_max > 0) {
        // What is in front of the age is in no shorter version either.
        bool is_sized = mine.rows.stride >= offsetof(struct cmds_listed_call, age_us);
        code = is_sized ? cmdi_least_init(&mine.oldest, count_max) : -EINVAL;
    }
    code = code < 0 ? code : cmdi_runtime_walk(runtime, &mine.walk);
    if (code == 0 || code == CMDS_E_TIMEOUT) {
        *count = mine.walk.count;
        if (mine.oldest.count > 0) {
            qsort(list, mine.oldest.count, mine.rows.stride, inspect_older);
        }
    }
    cmdi_least_fini(&mine.oldest);
    return code;
}
