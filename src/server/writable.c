/* SPDX-License-Identifier: MIT */
/* See writable.h. */
#include "server/writable.h"

#include <errno.h>

#include "base/assert.h"
#include "server/call.h"
#include "server/result.h"
#include "server/window.h"

enum {
    WRITABLE_UNITS = 4, // What one that is told may send counts as so many frames.
};

/* --- Telling ---------------------------------------------------------------------------------- */

/* It is in no list. The reference that the question took is given back. */
static void writable_tell(struct cmds_call *call)
{
    CMDI_ASSERT(cmdi_list_empty(&call->writable_link));
    cmdi_list_remove(&call->writable_observer.link);
    cmds_call_fn fn = atomic_exchange(&call->on_writable, NULL);
    CMDI_ASSERT(fn != NULL);
    fn(call);
    cmdi_call_unref_here(call);
}

static void writable_run_over(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_server_shard *server_shard =
            CMDI_CONTAINER(work, struct cmdi_server_shard, over_work);
    struct cmdi_list over;
    struct cmdi_list *node = NULL;
    (void)shard;
    cmdi_list_take(&over, &server_shard->over); // What is added meanwhile has its own pass.
    while ((node = cmdi_list_pop(&over)) != NULL) {
        writable_tell(CMDI_CONTAINER(node, struct cmds_call, writable_link));
    }
}

/* Nothing is sent for it any more: it learns that soon. */
static void writable_is_over(struct cmds_call *call)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    cmdi_list_remove(&call->writable_link);
    cmdi_list_push(&server_shard->over, &call->writable_link);
    server_shard->over_work.fn = writable_run_over;
    cmdi_shard_ready(server_shard->shard, &server_shard->over_work);
}

static void writable_on_cancel(struct cmdi_call_observer *observer)
{
    writable_is_over(CMDI_CONTAINER(observer, struct cmds_call, writable_observer));
}

/* --- Room ------------------------------------------------------------------------------------- */

/* Would a send be taken that is like the one that was refused, from whatever thread? */
static bool writable_has_room(struct cmds_connection *connection, size_t size)
{
    struct cmdi_conn *conn = &connection->conn;
    struct cmdi_inbox *inbox = &connection->inbox;
    if (cmdi_conn_output_high(conn) || !cmdi_conn_has_room(conn, size)) {
        return false;
    }
    cmdi_inbox_lock(inbox);
    bool has_room = cmdi_conn_queue_allows(
                            conn->limits, inbox->bytes.size, cmdi_conn_output_size(conn), size) &&
                    cmdi_inbox_has_room(inbox, size);
    cmdi_inbox_unlock(inbox);
    return has_room;
}

/* There is none for the first of them: whoever makes some looks again. */
static void writable_wait(struct cmds_connection *connection)
{
    struct cmdi_conn *conn = &connection->conn;
    if (cmdi_conn_output_high(conn)) {
        conn->above_low = true; // The output, when it has fallen.
    } else {
        cmdi_shard_refused(conn->shard, &connection->memory_work); // Others, with memory.
    }
}

static struct cmds_call *writable_first(struct cmds_connection *connection)
{
    return CMDI_CONTAINER(connection->writable.next, struct cmds_call, writable_link);
}

bool cmdi_writable_run(struct cmds_connection *connection, uint32_t budget)
{
    struct cmdi_conn *conn = &connection->conn;
    bool first = true; // It always goes: the frames of this run may have used it up.
    cmdi_result_take(connection);
    while (!cmdi_list_empty(&connection->writable) && conn->state == CMDI_CONN_OPEN) {
        struct cmds_call *call = writable_first(connection);
        if (!writable_has_room(connection, atomic_load(&call->refused_size))) {
            writable_wait(connection);
            return false;
        }
        if (budget-- == 0 || (!first && (conn->spent || conn->shard->step_over))) {
            return true;
        }
        first = false;
        connection->writable_first = false;
        cmdi_list_remove(&call->writable_link);
        writable_tell(call);
        cmdi_shard_worked(conn->shard, WRITABLE_UNITS);
    }
    if (conn->state == CMDI_CONN_OPEN) {
        cmdi_window_hold_back(connection);
    }
    return false;
}

static void writable_on_memory(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    cmdi_writable_look(CMDI_CONTAINER(work, struct cmds_connection, memory_work));
}

void cmdi_writable_init(struct cmds_connection *connection)
{
    cmdi_list_init(&connection->writable);
    cmdi_work_init(&connection->memory_work, writable_on_memory);
    connection->writable_first = false;
}

void cmdi_writable_fini(struct cmds_connection *connection)
{
    cmdi_list_remove(&connection->memory_work.link);
}

/* --- Asking ----------------------------------------------------------------------------------- */

/* On the shard: on_writable is set, and its reference taken. */
static void writable_begin(struct cmds_call *call)
{
    struct cmds_connection *connection = call->connection;
    if (atomic_load(&call->cancelled) || connection->conn.state != CMDI_CONN_OPEN) {
        writable_is_over(call);
        return;
    }
    cmdi_list_push(&connection->writable, &call->writable_link);
    call->writable_observer.fn = writable_on_cancel;
    cmdi_call_observe(call, &call->writable_observer);
    cmdi_conn_ready(&connection->conn); // There may be room by now.
}

static void writable_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_call *call = CMDI_CONTAINER(mail, struct cmds_call, writable_mail);
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    writable_begin(call);
    cmdi_server_shard_ask_ended(server_shard);
}

/* Returns: somebody had asked before. */
static bool writable_set(struct cmds_call *call, cmds_call_fn fn)
{
    cmds_call_fn none = NULL;
    if (!atomic_compare_exchange_strong(&call->on_writable, &none, fn)) {
        return true;
    }
    (void)cmds_call_ref(call);
    return false;
}

static int writable_ask_elsewhere(struct cmds_call *call, cmds_call_fn fn)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    int code = 0;
    pthread_mutex_lock(&server_shard->lock);
    /* Until its calls are cancelled the server shard cannot end, and then it waits for the mail. */
    if (server_shard->ended || atomic_load(&call->cancelled)) {
        code = CMDS_E_GONE;
    } else if (writable_set(call, fn)) {
        code = -EBUSY;
    } else {
        server_shard->asks++;
        call->writable_mail.fn = writable_on_mail;
        cmdi_shard_post(server_shard->shard, &call->writable_mail);
    }
    pthread_mutex_unlock(&server_shard->lock);
    return code;
}

int cmds_call_on_writable(struct cmds_call *call, cmds_call_fn fn)
{
    if (call == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (atomic_load(&call->cancelled) || call->type->one_way != 0) {
        return CMDS_E_GONE;
    }
    if (atomic_load(&call->finished)) {
        return CMDS_E_FINISHED;
    }
    if (cmdi_shard_current() != call->connection->conn.shard) {
        return writable_ask_elsewhere(call, fn);
    }
    if (writable_set(call, fn)) {
        return -EBUSY;
    }
    cmdi_call_init_rest(call);
    writable_begin(call);
    return 0;
}
