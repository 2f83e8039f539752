/* SPDX-License-Identifier: MIT */
/*
 * A call: its references, what it keeps, its failure, its end.
 *
 * References. The shard holds one while the exec function runs or is to be run again; each kept
 * pointer is another. The last one ends the call on its shard. A call whose shard is gone (its
 * server was closed meanwhile) ends where it is let go, under its server shard's lock.
 *
 * The count never leaves 0 by itself: between the last unref, on whatever thread, and the end on
 * the shard the connection's list and the deadline still know the call, but only borrow it. They
 * take a reference only where there is one (call_try_ref), else they leave it to its end. Only the
 * end makes the count 1 again, for on_exec_error, which may keep the call once more.
 */
#include "server/call.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/time.h"
#include "base/usdt.h"
#include "codec/value.h"
#include "ring/thread.h"
#include "server/call_observer.h"
#include "server/count.h"
#include "server/failure.h"
#include "server/result.h"
#include "server/trace.h"
#include "server/window.h"

_Static_assert(CMDI_CALL_FAILED == 2, "scripts/cmdstream.bt says so");
// What is touched for each command lies in two cache lines, and begins neither of the others.
_Static_assert(offsetof(struct cmds_call, kept_size) == 128, "nothing grows there");

enum {
    CALL_ENDED = UINT8_MAX, // Its end_count, from when they run.
};

/* --- Keeping a call --------------------------------------------------------------------------- */

static void call_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmds_call *call = CMDI_CONTAINER(timer, struct cmds_call, timer);
    cmds_call_fn fn = call->after;
    CMDI_ASSERT(fn != NULL);
    call->after = NULL;
    fn(call);
    cmdi_call_unref_here(call);
}

/*
 * For a pointer that is only borrowed. Returns: somebody has the call, and now we do; not: it is
 * about to end.
 */
static bool call_try_ref(struct cmds_call *call)
{
    uint32_t refs = atomic_load_explicit(&call->refs, memory_order_relaxed);
    while (refs != 0) {
        if (atomic_compare_exchange_weak(&call->refs, &refs, refs + 1)) {
            return true;
        }
    }
    return false;
}

/* The peer is told, and then nobody waits any more. on_exec_error is not asked: the call may run. */
static void call_late(struct cmds_call *call)
{
    if (call->trace != NULL) {
        cmdi_call_trace_failed(call, CMDS_E_TIMEOUT);
    }
    call->flags |= CMDI_CALL_LATE;
    CMDI_COUNT(&call->connection->server_shard->counters, exec_timeouts, 1);
    bool is_held = call_try_ref(call); // Else its end is under way, in a later turn.
    cmdi_failure_tell(call, &(struct cmdi_failure){.code = CMDS_E_TIMEOUT});
    cmdi_call_cancel(call);
    if (is_held) {
        cmdi_call_unref_here(call);
    }
}

static void call_on_deadline(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmds_call *call = CMDI_CONTAINER(timer, struct cmds_call, deadline);
    if (!atomic_load(&call->cancelled) && !atomic_load(&call->finished)) {
        call_late(call);
    } else {
        cmdi_call_cancel(call);
    }
}

/* Once, when it ends or its server does. */
static void call_unlist(struct cmds_call *call, struct cmdi_shard *shard)
{
    if (cmdi_list_empty(&call->on_shard)) {
        return;
    }
    CMDI_ASSERT(shard->call_count > 0);
    cmdi_shard_unlist(shard, &call->on_shard);
    shard->call_count--;
    CMDI_GAUGE(&call->connection->server_shard->counters, calls, -1);
}

/*
 * The shard lets go of a call that outlives its server. A timer would fire on a shard that no
 * longer knows the call, so what was to run later runs now.
 */
static void call_end_timers(struct cmds_call *call)
{
    struct cmdi_shard *shard = call->connection->server_shard->shard;
    call_unlist(call, shard);
    cmdi_shard_timer_off(shard, &call->deadline);
    if (cmdi_timer_armed(&call->timer)) {
        cmdi_shard_timer_off(shard, &call->timer);
        call_on_timer(&call->timer, shard->now_ms);
    }
}

void cmdi_calls_end_timers(struct cmdi_server_shard *server_shard)
{
    struct cmdi_list closed;
    struct cmdi_list calls;
    struct cmdi_list *node = NULL;
    cmdi_server_shard_ending(server_shard);
    cmdi_list_take(&closed, &server_shard->closed);
    while ((node = cmdi_list_pop(&closed)) != NULL) {
        struct cmds_connection *connection = CMDI_CONTAINER(node, struct cmds_connection, link);
        cmdi_list_push(&server_shard->closed, node);
        struct cmdi_connection_more *more = cmdi_connection_more(connection);
        cmdi_list_take(&calls, &more->calls);
        while ((node = cmdi_list_pop(&calls)) != NULL) {
            cmdi_list_push(&more->calls, node);
            call_end_timers(CMDI_CONTAINER(node, struct cmds_call, link));
        }
    }
}

void cmdi_call_init_rest(struct cmds_call *call)
{
    if (call->flags & CMDI_CALL_WHOLE) {
        return;
    }
    call->flags |= CMDI_CALL_WHOLE;
    call->after = NULL;
    call->on_cancel = NULL;
    struct cmdi_shard *shard = call->connection->server_shard->shard;
    CMDI_ASSERT(cmdi_shard_current() == shard);
    cmdi_list_init(&call->on_shard);
    cmdi_list_push(&shard->calls, &call->on_shard);
    shard->call_count++;
    CMDI_GAUGE(&call->connection->server_shard->counters, calls, 1);
    cmdi_list_init(&call->link);
    cmdi_list_init(&call->observers);
    cmdi_list_init(&call->writable_link);
    cmdi_list_init(&call->writable_observer.link);
    atomic_store_explicit(&call->room, 0, memory_order_relaxed);
    atomic_store_explicit(&call->worker, 0, memory_order_relaxed);
    cmdi_timer_init(&call->timer, call_on_timer);
    cmdi_timer_init(&call->deadline, call_on_deadline);
    uint64_t deadline_ns = cmds_call_deadline_ns(call);
    if (deadline_ns != UINT64_MAX) {
        cmdi_shard_timer(shard, &call->deadline, cmdi_ns_to_ms_up(deadline_ns));
    }
}

/* Another thread that holds the call may read it at the same time. */
static void call_set_command(struct cmds_call *call, const void *command)
{
    __atomic_store_n(&call->command, command, __ATOMIC_RELEASE);
}

static uint32_t call_kept_pool(const struct cmdi_server_shard *server_shard, size_t size)
{
    uint32_t pool = 0;
    while (pool < CMDI_KEPT_POOLS && size > server_shard->kept_pools[pool].item_size) {
        pool++;
    }
    return pool;
}

int cmds_call_keep_command(struct cmds_call *call)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    if (call->kept != NULL) {
        return 0;
    }
    if (call->command == NULL) {
        return -EINVAL; // The exec function has returned: it was borrowed and is gone.
    }
    size_t size = cmdi_value_copy_size(call->type->schema, call->command);
    uint32_t pool = call_kept_pool(server_shard, size);
    if (pool < CMDI_KEPT_POOLS) {
        call->kept = cmdi_pool_acquire(&server_shard->kept_pools[pool]);
        call->kept_size = server_shard->kept_pools[pool].item_size;
        call->connection->kept_size += call->kept != NULL ? call->kept_size : 0;
    } else if (cmdi_window_charge(call->connection, size)) {
        call->kept = malloc(size);
        call->kept_size = size;
        cmdi_window_uncharge(call->connection, call->kept == NULL ? size : 0);
    } else {
        return -ENOBUFS;
    }
    if (call->kept == NULL) {
        return -ENOMEM;
    }
    call->kept_pool = pool;
    call->kept = cmdi_value_copy_into(call->type->schema, call->command, call->kept, size);
    call_set_command(call, call->kept);
    return 0;
}

struct cmds_call *cmds_call_ref(struct cmds_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
    return call;
}

int cmds_call_after(struct cmds_call *call, uint32_t delay_ms, cmds_call_fn fn)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    struct cmdi_shard *shard = server_shard->shard;
    if (cmdi_shard_current() != shard) {
        return -EXDEV;
    }
    if (server_shard->state == CMDI_SERVER_SHARD_ENDING || (call->flags & CMDI_CALL_ENDING) ||
            atomic_load_explicit(&call->cancelled, memory_order_relaxed) != 0) {
        // A timer would outlive the server's part of the shard, or the call; or nobody needs it later.
        return CMDS_E_GONE;
    }
    cmdi_call_init_rest(call);
    if (call->after != NULL) {
        return -EBUSY;
    }
    CMDI_ASSERT(!cmdi_timer_armed(&call->timer));
    call->after = fn;
    (void)cmds_call_ref(call);
    cmdi_shard_timer(
            shard, &call->timer, cmdi_ns_to_ms_up(shard->now_ns + cmdi_ms_to_ns(delay_ms)));
    return 0;
}

void cmds_call_on_cancel(struct cmds_call *call, cmds_call_fn fn)
{
    // Else a worker runs its function: the call is whole, and its flags are the shard's.
    if (cmdi_shard_current() == call->connection->server_shard->shard) {
        if (call->flags & CMDI_CALL_ENDING) {
            return;
        }
        cmdi_call_init_rest(call);
    }
    call->on_cancel = fn;
}

void cmdi_call_run_on_cancel(struct cmds_call *call)
{
    if (!(call->flags & CMDI_CALL_WHOLE) || (call->flags & CMDI_CALL_IN_POOL)) {
        return; // A function that runs on a worker is not disturbed: its return comes back here.
    }
    cmds_call_fn fn = call->on_cancel;
    bool is_late = (call->flags & CMDI_CALL_LATE) != 0; // Then the error result has finished it.
    if (fn != NULL && (call->owed || is_late || !atomic_load(&call->finished))) {
        call->on_cancel = NULL;
        fn(call);
    }
}

void cmdi_call_cancel(struct cmds_call *call)
{
    if (atomic_exchange(&call->cancelled, 1) != 0 || !(call->flags & CMDI_CALL_WHOLE)) {
        return;
    }
    cmdi_call_count_end(call);
    if (!call_try_ref(call)) {
        return; // Nobody has it any more: its end is under way.
    }
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&call->observers)) != NULL) {
        struct cmdi_call_observer *observer = CMDI_CONTAINER(node, struct cmdi_call_observer, link);
        observer->fn(observer);
    }
    cmdi_call_run_on_cancel(call);
    if (cmdi_timer_armed(&call->timer)) {
        struct cmdi_shard *shard = call->connection->server_shard->shard;
        cmdi_shard_timer(shard, &call->timer, shard->now_ms); // Nobody needs it later.
    }
    cmdi_call_unref_here(call);
}

/* --- Failure ---------------------------------------------------------------------------------- */

/*
 * What the library itself may give an exec function ends one call: what a send, a group or an
 * upstream answered says nothing against the peer that asked. All else is the application's own,
 * and as in Go an exec function that fails closes its connection.
 */
static bool call_error_is_own(int code)
{
    bool of_library = code <= CMDS_E_PROTO && code >= CMDS_E_MIN_;
    return !of_library && code != -ENOBUFS && code != -ENOMEM;
}

static void call_log_failure(
        const struct cmds_call *call, const struct cmds_error *error, const char *addition)
{
    const struct cmds_connection *connection = call->connection;
    enum cmds_log_reason reason =
            error->code == CMDS_E_UNFINISHED ? CMDS_REASON_UNFINISHED : CMDS_REASON_EXEC;
    struct cmds_log_record about = {.level = CMDS_LOG_WARN,
            .reason = (uint8_t)reason,
            .code = error->code,
            .connection = connection->id,
            .peer = connection->peer,
            .type = call->type->schema->name,
            .sequence = call->sequence};
    if (call->trace != NULL && call->trace->is_sampled) {
        memcpy(about.trace_id, call->trace->trace.trace_id, sizeof(about.trace_id));
        memcpy(about.span_id, call->trace->trace.span_id, sizeof(about.span_id));
    }
    cmdi_shard_log_about(connection->server_shard->shard, &about, "%s: command %llu: %s%s",
            connection->peer, (unsigned long long)call->sequence, error->text, addition);
}

/* Is there a connection that waits for its result? From FINISHING on none leaves. */
static bool call_is_wanted(const struct cmds_call *call)
{
    return !atomic_load(&call->cancelled) && call->connection->conn.state < CMDI_CONN_FINISHING;
}

void cmdi_call_failed(struct cmds_call *call, const struct cmdi_failure *failure)
{
    struct cmds_connection *connection = call->connection;
    const struct cmds_server_options *options = &call->core->options;
    const int code = failure->code;
    if ((call->flags & (CMDI_CALL_FAILED | CMDI_CALL_ENDING)) || atomic_load(&call->cancelled)) {
        return; // Dealt with, or nobody cares.
    }
    if (code == CMDS_E_GONE && !call_is_wanted(call)) {
        return; // As its own send told it.
    }
    call->flags |= CMDI_CALL_FAILED;
    if (CMDI_UNLIKELY(call->trace != NULL)) {
        cmdi_call_trace_failed(call, code);
    }
    CMDI_COUNT(&connection->server_shard->counters, exec_errors, 1);
    struct cmds_error error = {.code = code};
    (void)snprintf(error.text, sizeof(error.text), "%s: %s", call->type->schema->name,
            failure->text != NULL ? failure->text : cmds_error_text(code));
    if (options->on_exec_error != NULL &&
            options->on_exec_error(options->receiver, call, &error) == 0) {
        return;
    }
    bool closes = !cmdi_failure_has_type(call->core) && !failure->spares && call_error_is_own(code);
    bool is_silent = !cmdi_failure_has_type(call->core) && !closes && call->type->one_way == 0 &&
                     atomic_load(&call->finished) == 0;
    call_log_failure(call, &error,
            is_silent ? "; the client is not told: its protocol has no CMDS_RESULT_ERROR" : "");
    cmdi_failure_tell(call, failure);
    if (closes) {
        // Else it ends already: for another reason, or because of another call of it.
        bool is_first = connection->conn.error_code == 0;
        connection->exec_closed = connection->exec_closed || is_first;
        CMDI_COUNT(&connection->server_shard->counters, exec_closes, is_first);
        cmdi_conn_refuse(&connection->conn, code, "%s", error.text);
    }
}

/* --- The end ---------------------------------------------------------------------------------- */

static void call_free_kept(struct cmds_call *call)
{
    if (call->kept == NULL) {
        return;
    }
    if (call->kept_pool < CMDI_KEPT_POOLS) {
        cmdi_pool_release(&call->connection->server_shard->kept_pools[call->kept_pool], call->kept);
        call->connection->kept_size -= call->kept_size;
    } else {
        free(call->kept);
        cmdi_window_uncharge(call->connection, call->kept_size);
    }
    call->kept = NULL;
}

int cmds_call_on_end(struct cmds_call *call, cmds_call_fn fn)
{
    if (call == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (call->end_count == CALL_ENDED) {
        return CMDS_E_FINISHED;
    }
    for (uint32_t i = 0; i < call->end_count; i++) {
        if (call->ends[i] == fn) {
            return 0;
        }
    }
    if (call->end_count == CMDS_CALL_ENDS_MAX) {
        return -ENOBUFS;
    }
    call->ends[call->end_count++] = fn;
    return 0;
}

/*
 * The program hears of it for the last time. Whoever takes a reference for a moment must not end it once
 * more, so there is one meanwhile; and nothing can be begun for it any more. What it came to stays, for
 * those who count.
 */
static void call_run_ends(struct cmds_call *call)
{
    uint8_t finished = atomic_load_explicit(&call->finished, memory_order_relaxed);
    uint32_t count = call->end_count;
    CMDI_ASSERT(count <= CMDS_CALL_ENDS_MAX && atomic_load(&call->on_writable) == NULL);
    call->end_count = CALL_ENDED;
    call->flags |= CMDI_CALL_ENDING;
    if (call->kept == NULL) {
        call_set_command(call, NULL); // As for a call that stayed.
    }
    atomic_store_explicit(&call->finished, 1, memory_order_relaxed);
    atomic_store_explicit(&call->refs, 1, memory_order_relaxed);
    while (count > 0) {
        call->ends[--count](call);
    }
    CMDI_ASSERT(atomic_load(&call->refs) == 1); // Nobody keeps a call that has ended.
    atomic_store_explicit(&call->finished, finished, memory_order_relaxed);
}

/* It ends without a last result, and that is somebody's mistake. */
static bool call_is_unfinished(const struct cmds_call *call)
{
    return call->type->one_way == 0 && call_is_wanted(call) && !(call->flags & CMDI_CALL_FAILED);
}

/*
 * Somebody forgot to answer; on_exec_error may still do it, or keep the call for that. Nothing of
 * the program's is called meanwhile on behalf of those who had it before.
 *
 * Returns: it is kept.
 */
static bool call_unfinished(struct cmds_call *call)
{
    const char *text = "the exec function returned 0 without the last result, nobody has the call";
    if (call->flags & CMDI_CALL_WHOLE) {
        if (!cmdi_list_empty(&call->link)) {
            text = "the last reference was let go without the last result";
        }
        cmdi_list_remove(&call->link);
        call->on_cancel = NULL; // It was for those who kept the call.
    }
    CMDI_COUNT(&call->connection->server_shard->counters, unfinished_calls, 1);
    atomic_store_explicit(&call->refs, 1, memory_order_relaxed); // The end's own.
    cmdi_call_failed(call, &(struct cmdi_failure){.code = CMDS_E_UNFINISHED, .text = text});
    if (atomic_load(&call->refs) == 1) {
        return false;
    }
    cmdi_call_attach(call);
    cmdi_call_unref_here(call);
    return true;
}

/*
 * The shard does not know it any more: but for its ends only memory is given back, under the lock of all
 * orphans.
 */
static void call_end_orphan(struct cmds_call *call)
{
    struct cmds_connection *connection = call->connection;
    struct cmdi_server_shard *server_shard = connection->server_shard;
    CMDI_ASSERT(atomic_load(&call->refs) == 0);
    if (call->end_count > 0) {
        call_run_ends(call);
    }
    pthread_mutex_lock(&server_shard->lock);
    CMDI_ASSERT(server_shard->ended);
    CMDI_PROBE4(command_end, connection->id, call->sequence, call->type->number, call->flags);
    call_free_kept(call);
    if (call->trace != NULL) {
        cmdi_call_trace_drop(call);
    }
    cmdi_pool_release(&server_shard->call_pool, call);
    cmdi_server_shard_orphan_ended(server_shard, connection);
}

void cmdi_call_attach(struct cmds_call *call)
{
    CMDI_ASSERT(cmdi_shard_current() == call->connection->server_shard->shard);
    if (call->kept == NULL) {
        call_set_command(call, NULL); // It was borrowed from the receive buffer.
    }
    cmdi_call_init_rest(call);
    cmdi_list_remove(&call->link);
    cmdi_list_push(&cmdi_connection_more(call->connection)->calls, &call->link);
    if (atomic_load(&call->finished) != 0) {
        cmdi_call_count_end(call); // Somebody keeps it, but not for an answer.
    }
    if (call->connection->conn.state >= CMDI_CONN_CLOSING) {
        cmdi_call_cancel(call); // The connection went while the function ran.
    }
    if (atomic_load(&call->cancelled)) {
        // If it was cancelled while it was in the pool, on_cancel has not run yet.
        cmdi_call_run_on_cancel(call);
    }
}

void cmdi_call_end(struct cmds_call *call)
{
    struct cmds_connection *connection = call->connection;
    struct cmdi_server_shard *server_shard = connection->server_shard;
    if (CMDI_UNLIKELY(!atomic_load_explicit(&call->finished, memory_order_relaxed)) &&
            call_is_unfinished(call) && call_unfinished(call)) {
        return;
    }
    if (CMDI_UNLIKELY(!atomic_load_explicit(&call->finished, memory_order_relaxed))) {
        if (connection->conn.state >= CMDI_CONN_FINISHING && call->type->one_way == 0) {
            atomic_store(&call->cancelled, 1); // For its ends.
        }
        // on_exec_error has dealt with it, and has not answered: nobody is left who could.
        cmdi_failure_tell(call, &(struct cmdi_failure){.code = CMDS_E_UNFINISHED});
    }
    cmdi_call_count_end(call);
    if (call->flags & CMDI_CALL_WHOLE) {
        CMDI_ASSERT(!cmdi_timer_armed(&call->timer)); // It holds a reference.
        cmdi_list_remove(&call->link);
        call_unlist(call, server_shard->shard);
        cmdi_shard_timer_off(server_shard->shard, &call->deadline);
    }
    if (CMDI_UNLIKELY(call->end_count > 0)) {
        call_run_ends(call);
    }
    if (CMDI_UNLIKELY(call->kept != NULL)) {
        call_free_kept(call);
    }
    if (CMDI_UNLIKELY(call->trace != NULL)) {
        cmdi_call_trace_end(call);
    }
    CMDI_PROBE4(command_end, connection->id, call->sequence, call->type->number, call->flags);
    cmdi_pool_release(&server_shard->call_pool, call);
    cmdi_window_call_ended(connection);
}

void cmdi_call_unref_here(struct cmds_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) != 1) {
        return;
    }
    if (call->connection->server_shard->ended) {
        call_end_orphan(call);
        return;
    }
    cmdi_call_end(call);
}

static void call_on_last_unref(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_call *call = CMDI_CONTAINER(mail, struct cmds_call, mail);
    if (call->connection->server_shard->ended) {
        call_end_orphan(call); // The server was closed while this message was under way.
        return;
    }
    cmdi_result_take(call->connection); // Its results go out before it ends.
    cmdi_call_end(call);
}

/* The last reference, off the shard. */
static void call_end_elsewhere(struct cmds_call *call)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    pthread_mutex_lock(&server_shard->lock);
    if (!server_shard->ended) {
        call->mail.fn = call_on_last_unref;
        // Under the lock: the shard cannot go meanwhile.
        cmdi_shard_post(server_shard->shard, &call->mail);
        pthread_mutex_unlock(&server_shard->lock);
        return;
    }
    pthread_mutex_unlock(&server_shard->lock);
    call_end_orphan(call);
}

void cmds_call_unref(struct cmds_call *call)
{
    if (call == NULL || atomic_fetch_sub(&call->refs, 1) != 1) {
        return;
    }
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    struct cmdi_shard *here = cmdi_shard_current();
    if (here != NULL && here == server_shard->shard && !server_shard->ended) {
        cmdi_call_end(call);
        return;
    }
    call_end_elsewhere(call);
}

/* --- What a call knows ------------------------------------------------------------------------ */

const void *cmds_call_value(const struct cmds_call *call, const struct cmds_type *type)
{
    bool same = cmdi_type_same(call->type, type);
    return same ? __atomic_load_n(&call->command, __ATOMIC_ACQUIRE) : NULL;
}

bool cmds_call_is_cancelled(const struct cmds_call *call)
{
    return atomic_load(&call->cancelled) != 0;
}

void *cmds_call_receiver(const struct cmds_call *call)
{
    return call->core->options.receiver;
}

void *cmds_call_shard_state(const struct cmds_call *call)
{
    return call->connection->server_shard->shard_state;
}

void *cmds_call_pool_state(const struct cmds_call *call)
{
    bool is_there = (call->exec->flags & CMDS_EXEC_POOL_) != 0 &&
                    atomic_load_explicit(&call->worker, memory_order_relaxed) == cmdi_thread_self();
    return is_there ? call->job.state : NULL;
}

void *cmds_call_context(const struct cmds_call *call)
{
    return call->context;
}

void cmds_call_set_context(struct cmds_call *call, void *context)
{
    call->context = context;
}

const struct cmds_type *cmds_call_type(const struct cmds_call *call)
{
    return call->type;
}

uint64_t cmds_call_round(const struct cmds_call *call)
{
    return call->round;
}

uint64_t cmds_call_sequence(const struct cmds_call *call)
{
    return call->sequence;
}

uint64_t cmds_call_received_ns(const struct cmds_call *call)
{
    return call->received_ns;
}

uint64_t cmds_call_deadline_ns(const struct cmds_call *call)
{
    uint32_t timeout_ms = call->core->options.exec_timeout_ms;
    return timeout_ms == CMDS_NEVER ? UINT64_MAX : call->received_ns + cmdi_ms_to_ns(timeout_ms);
}

struct cmds_connection *cmds_call_connection(const struct cmds_call *call)
{
    return call->connection;
}
