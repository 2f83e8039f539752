/* SPDX-License-Identifier: MIT */
/*
 * Execution: from a frame to a call to what its exec function returned.
 *
 * The common command is answered inside its exec function: its call comes from the pool, is never
 * listed, and goes back when the function returns; nothing here is done for it that only a kept
 * call needs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "server/server.h"

enum {
    EXEC_ROUND_UNITS = 4, // A round makes a batch: it counts as so many frames.
};

/* Middleware, in order; behind the last one the exec function. */
struct cmds_invocation {
    uint32_t index;
};

/* The exec function itself: an invoker may keep a round from it, or change what it returned. */
static int call_invoke(struct cmds_call *call)
{
    int code = call->exec->invoke(call->exec->exec, call, call->command);
    call->owed = code == CMDS_EXEC_AGAIN;
    return code;
}

int cmds_invocation_next(struct cmds_invocation *next, struct cmds_call *call)
{
    const struct cmds_server_options *options = &cmdi_call_core(call)->options;
    if (next->index < options->invoker_count) {
        struct cmds_invocation deeper = {next->index + 1};
        return options->invokers[next->index](options->receiver, call, &deeper);
    }
    return call_invoke(call);
}

int cmdi_call_execute(struct cmds_call *call)
{
    if (CMDI_LIKELY(cmdi_call_core(call)->options.invoker_count == 0)) {
        return call_invoke(call);
    }
    struct cmds_invocation first = {0};
    return cmds_invocation_next(&first, call);
}

/* --- What came back from the exec function ---------------------------------------------------- */

/*
 * What the library itself may give an exec function ends one call: what a send, a group or an
 * upstream answered says nothing against the peer that asked. All else is the application's own,
 * and as in Go an exec function that fails closes its connection.
 */
static bool exec_error_is_own(int code)
{
    bool of_library = code <= CMDS_E_PROTO && code >= CMDS_E_MIN_;
    return !of_library && code != -ENOBUFS && code != -ENOMEM;
}

static void exec_failed(struct cmds_call *call, int code, const char *text, bool closes)
{
    struct cmds_connection *connection = call->connection;
    struct cmdi_shard *shard = connection->server_shard->shard;
    const struct cmds_server_options *options = &cmdi_call_core(call)->options;
    if ((call->flags & CMDI_CALL_FAILED) || atomic_load(&call->cancelled)) {
        return; // Dealt with, or nobody cares.
    }
    call->flags |= CMDI_CALL_FAILED;
    CMDI_COUNT(shard, exec_errors, 1);
    struct cmds_error error = {.code = code};
    (void)snprintf(error.text, sizeof(error.text), "%s: %s", call->type->schema->name,
            text != NULL ? text : cmds_error_text(code));
    if (options->on_exec_error != NULL &&
            options->on_exec_error(options->receiver, call, &error) == 0) {
        return;
    }
    enum cmdi_log_reason reason = code == CMDS_E_UNFINISHED ? CMDI_LOG_UNFINISHED : CMDI_LOG_EXEC;
    cmdi_shard_log(shard, reason, CMDS_LOG_WARN, "%s: command %llu: %s", connection->peer,
            (unsigned long long)call->sequence, error.text);
    if (closes) {
        cmdi_conn_refuse(&connection->conn, code, "%s", error.text);
    }
}

void cmdi_call_failed(struct cmds_call *call, int code, const char *text)
{
    exec_failed(call, code, text, exec_error_is_own(code));
}

/* The shard has no more to do for it: it ends, or lives on for those who keep it. */
static void exec_let_go(struct cmds_call *call)
{
    if (CMDI_LIKELY(atomic_load_explicit(&call->refs, memory_order_acquire) == 1)) {
        // Nobody else has it: no atomic operation is needed to see that it is the last.
        cmdi_call_end(call);
        return;
    }
    cmdi_call_list(call);
    cmdi_call_drop(call);
}

/* Returns: it will be run once more, with the same command. */
static bool exec_again(struct cmds_call *call)
{
    struct cmds_connection *connection = call->connection;
    if (connection->conn.state >= CMDI_CONN_CLOSING) {
        cmdi_call_cancel(call);
    }
    if (atomic_load(&call->cancelled) || atomic_load(&call->finished)) {
        return false;
    }
    int code = cmds_call_keep_command(call);
    if (code < 0) {
        cmdi_call_failed(call, code, NULL);
        return false;
    }
    call->round++;
    cmdi_call_warm(call);
    cmdi_list_remove(&call->link);
    cmdi_list_push(&connection->again, &call->link);
    cmdi_conn_ready(&connection->conn);
    return true;
}

/* No round follows: if the exec function has asked for one, on_cancel runs in its place. */
static void exec_is_over(struct cmds_call *call)
{
    if (CMDI_UNLIKELY(call->owed)) {
        cmdi_call_tell(call);
    }
    exec_let_go(call);
}

static void exec_returned(struct cmds_call *call, int code)
{
    if (CMDI_UNLIKELY(code == CMDS_EXEC_AGAIN)) {
        if (exec_again(call)) {
            return;
        }
    } else if (CMDI_UNLIKELY(code != 0)) {
        cmdi_call_failed(call, code > 0 ? -EINVAL : code, NULL);
    }
    exec_is_over(call);
}

/* --- The worker pool -------------------------------------------------------------------------- */

static void exec_on_worker_done(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_call *call = CMDI_CONTAINER(mail, struct cmds_call, mail);
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    server_shard->jobs--;
    // What it sent is in the inbox: it goes out before the call may end.
    cmdi_connection_take_inbox(call->connection);
    cmdi_list_remove(&call->link);
    call->flags = (uint8_t)(call->flags & ~CMDI_CALL_IN_POOL);
    exec_returned(call, call->job_code);
    cmdi_server_shard_changed(server_shard, false);
}

static void exec_on_worker(struct cmdi_job *job)
{
    struct cmds_call *call = CMDI_CONTAINER(job, struct cmds_call, job);
    /* Whoever sends and leaves, over and over, must not keep the pool busy. */
    call->job_code = cmds_call_is_cancelled(call) ? CMDS_E_GONE : cmdi_call_execute(call);
    call->mail.fn = exec_on_worker_done;
    // The server waits for its jobs: the shard lives.
    cmdi_shard_post(call->connection->server_shard->shard, &call->mail);
}

/* Why the pool did not take it. NULL: the code says it. */
static const char *exec_push_text(int code)
{
    return code == -ENOBUFS  ? "the queue of the worker pool is full (pool_queue_max)"
           : code == -EAGAIN ? "no thread of the worker pool could be started"
                             : NULL;
}

static void exec_in_pool(struct cmds_call *call)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    int code = cmds_call_keep_command(call);
    if (code < 0) {
        exec_returned(call, code);
        return;
    }
    if (server_shard->server == NULL) {
        exec_returned(call, cmdi_call_execute(call)); // The test harness: its thread is the pool.
        return;
    }
    call->flags |= CMDI_CALL_IN_POOL;
    cmdi_call_list(call); // Before the push: then it is the worker's.
    server_shard->jobs++;
    call->job.fn = exec_on_worker;
    code = cmdi_workers_push(
            &server_shard->server->runtime->workers, &call->connection->jobs, &call->job);
    if (code < 0) {
        server_shard->jobs--;
        call->flags = (uint8_t)(call->flags & ~CMDI_CALL_IN_POOL);
        cmdi_list_remove(&call->link);
        // Nobody's mistake: the next command finds a thread, or one more is tried for it.
        exec_failed(call, code, exec_push_text(code), false);
        exec_is_over(call);
    }
}

/* --- Running ---------------------------------------------------------------------------------- */

static void exec_run(struct cmds_call *call)
{
    if (CMDI_UNLIKELY(call->exec->flags & CMDS_EXEC_POOL_)) {
        exec_in_pool(call);
        return;
    }
    call->flags |= CMDI_CALL_RUNNING;
    int code = cmdi_call_execute(call);
    call->flags = (uint8_t)(call->flags & ~CMDI_CALL_RUNNING);
    exec_returned(call, code);
}

bool cmdi_connection_run_again(struct cmdi_conn *conn, uint32_t budget)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    bool first = true; // It always goes: the frames of this run may have used it up.
    while (!cmdi_list_empty(&connection->again) && !cmdi_conn_output_high(conn) &&
            conn->state == CMDI_CONN_OPEN && budget-- > 0 &&
            (first || !(conn->spent || conn->shard->step_over))) {
        first = false;
        struct cmdi_list *node = cmdi_list_pop(&connection->again);
        struct cmds_call *call = CMDI_CONTAINER(node, struct cmds_call, link);
        if (cmds_call_is_cancelled(call)) {
            exec_let_go(call); // Its deadline has passed, and on_cancel was told.
            continue;
        }
        CMDI_COUNT(conn->shard, exec_rounds, 1);
        exec_run(call);
        cmdi_shard_worked(conn->shard, EXEC_ROUND_UNITS);
    }
    if (conn->state != CMDI_CONN_OPEN) {
        return false;
    }
    cmdi_connection_hold_back(connection); // Above the mark the end of a send calls us again.
    return !cmdi_list_empty(&connection->again) && !cmdi_conn_output_high(conn);
}

static int exec_proto_error(struct cmds_connection *connection, const struct cmdi_frame *frame,
        int code, const char *what)
{
    struct cmdi_conn *conn = &connection->conn;
    if (code == CMDS_E_PROTO && what != NULL) {
        CMDI_COUNT(conn->shard, proto_errors, 1);
    } else if (code == -ENOMEM) {
        CMDI_COUNT(conn->shard, out_of_memory, 1);
    } else {
        CMDI_COUNT(conn->shard, codec_errors, 1);
    }
    cmdi_conn_refuse(conn, code, "command %llu of type %llu: %s",
            (unsigned long long)frame->sequence, (unsigned long long)frame->type,
            what != NULL ? what : cmds_error_text(code));
    return code;
}

static struct cmds_call *exec_new_call(struct cmds_connection *connection,
        const struct cmds_exec *exec, const struct cmds_type *type, const struct cmdi_frame *frame)
{
    struct cmds_call *call = cmdi_pool_acquire(&connection->server_shard->call_pool);
    if (call == NULL) {
        return NULL;
    }
    call->connection = connection;
    call->core = connection->server_shard->core;
    call->exec = exec;
    call->type = type;
    call->command = NULL;
    call->sequence = frame->sequence;
    call->round = 0;
    call->received_ns = connection->conn.shard->now_ns;
    call->context = NULL;
    atomic_store_explicit(&call->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&call->finished, 0, memory_order_relaxed);
    atomic_store_explicit(&call->cancelled, 0, memory_order_relaxed);
    call->flags = 0;
    call->owed = false;
    call->kept = NULL;
    connection->in_flight++;
    return call;
}

void cmdi_connection_hold_back(struct cmds_connection *connection)
{
    struct cmdi_conn *conn = &connection->conn;
    if (CMDI_UNLIKELY(cmdi_conn_output_high(conn))) {
        conn->above_low = true;
        cmdi_conn_pause(conn);
    }
}

int64_t cmdi_connection_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    struct cmdi_server_shard *server_shard = connection->server_shard;
    struct cmdi_server_core *core = server_shard->core;
    const struct cmdi_type_entry *entry = cmdi_type_table_entry(&core->commands, frame->type);
    if (CMDI_UNLIKELY(cmdi_connection_is_full(connection))) {
        /* At the bound pings are still answered; reading stops at the first command beyond it. */
        cmdi_conn_pause(conn);
        return CMDI_CONN_LATER;
    }
    if (CMDI_UNLIKELY(entry == NULL)) {
        return exec_proto_error(connection, frame, CMDS_E_PROTO, "no such command");
    }
    const struct cmds_type *type = entry->type;
    void *value = NULL;
    int64_t used = cmdi_codec_decode(core->options.codec, type,
            (struct cmds_bytes){frame->body, frame->body_size}, frame->place, &server_shard->arena,
            &value);
    if (CMDI_UNLIKELY(used < 0)) {
        return exec_proto_error(connection, frame, (int)used, NULL);
    }
    if (CMDI_UNLIKELY(used > (int64_t)frame->body_size)) {
        return used; // Not whole: looked at again when so much has come.
    }
    struct cmds_call *call =
            exec_new_call(connection, core->execs[entry - core->commands.entries], type, frame);
    if (CMDI_UNLIKELY(call == NULL)) {
        return exec_proto_error(connection, frame, -ENOMEM, NULL);
    }
    call->command = value;
    CMDI_COUNT(conn->shard, commands_received, 1);
    exec_run(call);
    cmdi_connection_hold_back(connection);
    return used;
}
