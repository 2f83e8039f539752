/* SPDX-License-Identifier: MIT */
/* See writable.h. */
#include "server/writable.h"

#include <errno.h>

#include "base/assert.h"
#include "base/time.h"
#include "ring/clock.h"
#include "ring/thread.h"
#include "server/call.h"
#include "server/result.h"
#include "server/window.h"

enum {
    WRITABLE_UNITS = 4, // What one that is told may send counts as so many frames.
};
/* Of call->room. */
enum {
    ROOM_TOLD = 1,    // There is room, or nobody waits for results any more.
    ROOM_DRAINS = 2,  // The server drains: to be said...
    ROOM_DRAINED = 4, // ... once.
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

static void writable_wake(struct cmds_call *call, uint32_t bits)
{
    atomic_fetch_or(&call->room, bits);
    cmdi_futex_wake(&call->room, 1);
}

/* What a thread of the pool asks for. */
static void writable_wake_told(struct cmds_call *call)
{
    writable_wake(call, ROOM_TOLD);
}

static bool writable_is_waited_for(const struct cmds_call *call)
{
    return atomic_load(&call->on_writable) == writable_wake_told;
}

static void writable_say_drain(struct cmds_call *call)
{
    if (writable_is_waited_for(call) && (atomic_load(&call->room) & ROOM_DRAINED) == 0) {
        writable_wake(call, ROOM_DRAINS | ROOM_DRAINED);
    }
}

void cmdi_writable_drain(struct cmds_connection *connection)
{
    if (cmdi_conn_is_resting(&connection->conn)) {
        return;
    }
    struct cmdi_list *waiting = &cmdi_connection_more(connection)->writable;
    for (struct cmdi_list *node = waiting->next; node != waiting; node = node->next) {
        writable_say_drain(CMDI_CONTAINER(node, struct cmds_call, writable_link));
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

bool cmdi_writable_has_room(struct cmds_connection *connection, size_t size)
{
    struct cmdi_conn *conn = &connection->conn;
    struct cmdi_inbox *inbox = &connection->inbox;
    if (cmdi_conn_output_high(conn) || !cmdi_conn_has_room(conn, size)) {
        return false;
    }
    cmdi_inbox_lock(inbox);
    bool has_room = cmdi_conn_queue_allows(conn->limits, cmdi_inbox_size(inbox),
                            cmdi_conn_output_size(conn), size) &&
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
        // Others, with memory.
        cmdi_shard_refused(conn->shard, &cmdi_connection_more(connection)->memory_work);
    }
}

static struct cmds_call *writable_first(struct cmds_connection *connection)
{
    return CMDI_CONTAINER(
            cmdi_connection_more(connection)->writable.next, struct cmds_call, writable_link);
}

bool cmdi_writable_run(struct cmds_connection *connection, uint32_t budget)
{
    struct cmdi_conn *conn = &connection->conn;
    struct cmdi_connection_more *more = cmdi_connection_more(connection);
    bool first = true; // It always goes: the frames of this run may have used it up.
    cmdi_result_take(connection);
    while (!cmdi_list_empty(&more->writable) && conn->state == CMDI_CONN_OPEN) {
        struct cmds_call *call = writable_first(connection);
        if (!cmdi_writable_has_room(connection, atomic_load(&call->refused_size))) {
            writable_wait(connection);
            return false;
        }
        if (budget-- == 0 || (!first && (conn->spent || conn->shard->step_over))) {
            return true;
        }
        first = false;
        more->writable_first = false;
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
    cmdi_writable_look(cmdi_connection_of_more(
            CMDI_CONTAINER(work, struct cmdi_connection_more, memory_work)));
}

void cmdi_writable_wake(struct cmdi_connection_more *more)
{
    cmdi_list_init(&more->writable);
    cmdi_work_init(&more->memory_work, writable_on_memory);
    more->writable_first = false;
}

void cmdi_writable_rest(struct cmdi_connection_more *more)
{
    cmdi_list_remove(&more->memory_work.link);
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
    if (connection->server_shard->state == CMDI_SERVER_SHARD_DRAINING) {
        writable_say_drain(call);
    }
    cmdi_list_push(&cmdi_connection_more(connection)->writable, &call->writable_link);
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

/* --- A thread of the pool that waits ---------------------------------------------------------- */

void cmdi_writable_stop_waiting(struct cmds_call *call)
{
    CMDI_ASSERT((call->flags & CMDI_CALL_IN_POOL) == 0);
    if (writable_is_waited_for(call)) {
        // Its mail has come: it was posted before the job's.
        cmdi_list_remove(&call->writable_link);
        cmdi_list_remove(&call->writable_observer.link);
        atomic_store(&call->on_writable, NULL);
        cmdi_call_unref_here(call);
    }
}

/* Until it is told, or until then. Returns: 0; CMDS_E_TIMEOUT; CMDS_E_DRAINING. */
static int writable_sleep(struct cmds_call *call, uint64_t until_ns)
{
    for (;;) {
        uint32_t room = atomic_load(&call->room);
        uint64_t now_ns = cmdi_now_ns();
        if ((room & ROOM_TOLD) != 0) {
            return 0;
        }
        if ((room & ROOM_DRAINS) != 0) {
            atomic_fetch_and(&call->room, ~(uint32_t)ROOM_DRAINS);
            return CMDS_E_DRAINING;
        }
        if (now_ns >= until_ns) {
            return CMDS_E_TIMEOUT;
        }
        cmdi_futex_wait(&call->room, room, until_ns - now_ns);
    }
}

/* The question of a wait that gave up is still there: then it is this one's. */
static int writable_ask_waiting(struct cmds_call *call)
{
    atomic_fetch_and(&call->room, ~(uint32_t)ROOM_TOLD);
    int code = cmds_call_on_writable(call, writable_wake_told);
    cmds_call_fn asked = code == -EBUSY ? atomic_load(&call->on_writable) : NULL;
    // NULL: it has been told this moment.
    return code == -EBUSY && (asked == writable_wake_told || asked == NULL) ? 0 : code;
}

int cmds_call_wait_writable(struct cmds_call *call, uint32_t timeout_ms)
{
    if (call == NULL || timeout_ms == CMDS_NEVER) {
        return -EINVAL;
    }
    if ((call->exec->flags & CMDS_EXEC_POOL_) == 0 ||
            atomic_load_explicit(&call->worker, memory_order_relaxed) != cmdi_thread_self()) {
        return -EXDEV;
    }
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    uint64_t until_ns = cmdi_now_ns() + cmdi_ms_to_ns(timeout_ms);
    if (!server_shard->ops->job_may_wait(server_shard)) {
        return cmds_call_is_cancelled(call) ? CMDS_E_GONE : -ENOBUFS;
    }
    int code = writable_ask_waiting(call);
    if (code == 0) {
        code = writable_sleep(call, until_ns);
    }
    server_shard->ops->job_waited(server_shard);
    return cmds_call_is_cancelled(call) ? CMDS_E_GONE : code;
}
