/* SPDX-License-Identifier: MIT */
/*
 * Execution: from a frame to a call to what its exec function returned.
 *
 * The common command is answered inside its exec function: its call comes from the pool, is never
 * listed, and goes back when the function returns; nothing here is done for it that only a kept
 * call needs.
 */
#include "server/exec.h"

#include <errno.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/usdt.h"
#include "codec/codec.h"
#include "codec/which.h"
#include "conn/guess.h"
#include "ring/clock.h"
#include "ring/thread.h"
#include "server/call.h"
#include "server/count.h"
#include "server/failure.h"
#include "server/result.h"
#include "server/trace.h"
#include "server/window.h"
#include "server/writable.h"
#include "shard/spans.h"

enum {
    EXEC_ROUND_UNITS = 4, // A round makes a batch: it counts as so many frames.
    EXEC_LOOKS_PER_UNIT = 8,
};

/* Middleware, in order; behind the last one the exec function. */
struct cmds_invocation {
    uint32_t index;
};

/* The exec function itself: an invoker may keep a round from it, or change what it returned. */
static inline int exec_invoke(struct cmds_call *call)
{
    int code = call->exec->invoke(call->exec->exec, call, call->command);
    call->owed = code == CMDS_EXEC_AGAIN;
    return code;
}

int cmds_invocation_next(struct cmds_invocation *next, struct cmds_call *call)
{
    const struct cmds_server_options *options = &call->core->options;
    if (next->index < options->invoker_count) {
        struct cmds_invocation deeper = {next->index + 1};
        return options->invokers[next->index](options->receiver, call, &deeper);
    }
    return exec_invoke(call);
}

static inline int exec_call(struct cmds_call *call)
{
    if (CMDI_LIKELY(call->core->options.invoker_count == 0)) {
        return exec_invoke(call);
    }
    struct cmds_invocation first = {0};
    return cmds_invocation_next(&first, call);
}

/* --- After the exec function ----------------------------------------------------------------- */

/* The shard is done with it: it ends, or lives on for the references that others hold. */
static inline void exec_let_go(struct cmds_call *call)
{
    if (CMDI_LIKELY(atomic_load_explicit(&call->refs, memory_order_acquire) == 1)) {
        // Nobody else has it: no atomic operation is needed to see that it is the last.
        cmdi_call_end(call);
        return;
    }
    cmdi_call_attach(call);
    cmdi_call_unref_here(call);
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
        // Else there is no further round anyway.
        if (connection->conn.state < CMDI_CONN_FINISHING) {
            cmdi_call_failed(call, &(struct cmdi_failure){.code = code});
        }
        return false;
    }
    CMDI_ASSERT(call->kept != NULL);
    call->round++;
    cmdi_call_init_rest(call);
    cmdi_list_remove(&call->link);
    cmdi_list_push(&cmdi_connection_more(connection)->again, &call->link);
    cmdi_conn_ready(&connection->conn);
    return true;
}

/* No round follows: if the exec function has asked for one, on_cancel runs in its place. */
static inline void exec_is_over(struct cmds_call *call)
{
    if (CMDI_UNLIKELY(call->owed)) {
        cmdi_call_run_on_cancel(call);
    }
    exec_let_go(call);
}

/* Whatever it is, it is the program's own code: a function of its returned it. */
static void exec_failed(struct cmds_call *call, int code)
{
    const char *who = call->core->options.invoker_count == 0 ? "its exec function"
                                                             : "its exec function, or an invoker,";
    struct cmds_error why = CMDS_ERROR_INIT, text = CMDS_ERROR_INIT;
    struct cmdi_code_text room;
    int failure = code > 0 ? -EINVAL : code;
    if (cmdi_result_why(call, code, &why)) {
        (void)cmdi_fail(&text, failure, "%s returned %s: %s", who, cmds_error_name(code), why.text);
    } else {
        (void)cmdi_fail(&text, failure, "%s returned %s", who, cmdi_program_code(&room, code));
    }
    cmdi_call_failed(call, &(struct cmdi_failure){.code = failure, .text = text.text});
}

static inline void exec_returned(struct cmds_call *call, int code)
{
    if (CMDI_UNLIKELY(code == CMDS_EXEC_AGAIN)) {
        if (exec_again(call)) {
            return;
        }
    } else if (CMDI_UNLIKELY(code != 0)) {
        exec_failed(call, code);
    }
    exec_is_over(call);
}

/* --- The worker pool -------------------------------------------------------------------------- */

static void exec_on_worker_done(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_call *call = CMDI_CONTAINER(mail, struct cmds_call, mail);
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    // What it sent is in the inbox: it goes out before the call may end.
    cmdi_result_take(call->connection);
    CMDI_ASSERT((call->flags & CMDI_CALL_IN_POOL) != 0 && server_shard->jobs > 0);
    cmdi_list_remove(&call->link);
    call->flags = (uint8_t)(call->flags & ~CMDI_CALL_IN_POOL);
    cmdi_writable_stop_waiting(call);
    exec_returned(call, call->job_code);
    cmdi_server_shard_job_ended(server_shard);
}

static void exec_on_worker(struct cmdi_job *job)
{
    struct cmds_call *call = CMDI_CONTAINER(job, struct cmds_call, job);
    // A peer that sends and leaves, over and over, must not keep the pool busy.
    atomic_store_explicit(&call->worker, cmdi_thread_self(), memory_order_relaxed);
    call->job_code = cmds_call_is_cancelled(call) ? CMDS_E_GONE : exec_call(call);
    atomic_store_explicit(&call->worker, 0, memory_order_relaxed);
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

static void exec_in_pool(struct cmds_call *call, size_t size)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    if (server_shard->ledger != NULL && size > 0) {
        cmdi_ledger_command(server_shard->ledger, call->place, size);
    }
    int code = cmds_call_keep_command(call);
    if (code < 0) {
        cmdi_call_failed(call, &(struct cmdi_failure){.code = code});
        exec_is_over(call);
        return;
    }
    CMDI_ASSERT((call->flags & (CMDI_CALL_IN_POOL | CMDI_CALL_RUNNING)) == 0);
    call->flags |= CMDI_CALL_IN_POOL;
    cmdi_call_attach(call); // Before the push: then it is the worker's.
    server_shard->jobs++;
    call->job.fn = exec_on_worker;
    code = server_shard->ops->push_job(
            server_shard, &cmdi_connection_more(call->connection)->jobs, &call->job);
    if (code < 0) {
        server_shard->jobs--;
        call->flags = (uint8_t)(call->flags & ~CMDI_CALL_IN_POOL);
        cmdi_list_remove(&call->link);
        // Nobody's mistake: the next command finds a thread, or one more is tried for it.
        cmdi_call_failed(call,
                &(struct cmdi_failure){.code = code, .text = exec_push_text(code), .spares = true});
        exec_is_over(call);
    }
}

/* One of many is: two looks at the clock are more than most functions take. */
static inline int exec_call_timed(struct cmds_call *call, struct cmdi_ledger_shard *ledger)
{
    if (CMDI_LIKELY(!cmdi_ledger_exec_is_due(ledger))) {
        return exec_call(call);
    }
    uint64_t begun_ns = cmdi_now_ns();
    int code = exec_call(call);
    cmdi_ledger_exec(ledger, call->place, cmdi_now_ns() - begun_ns);
    return code;
}

__attribute__((always_inline)) static inline int exec_call_counted(
        struct cmds_call *call, struct cmdi_ledger_shard *ledger, bool is_first, size_t size)
{
    if (CMDI_LIKELY(ledger != NULL && is_first)) {
        struct cmdi_type_block *block = cmdi_call_count_begin(call, ledger, size);
        int code = exec_call_timed(call, ledger);
        cmdi_call_count_run(call, ledger, block, code);
        return code;
    }
    int code = ledger != NULL ? exec_call_timed(call, ledger) : exec_call(call);
    call->flags = (uint8_t)(call->flags & ~CMDI_CALL_RUNNING);
    if (ledger != NULL) {
        cmdi_call_count_held(call, ledger);
    }
    return code;
}

/* --- Running ---------------------------------------------------------------------------------- */

/* `size`: of the command's frame, if it is the first time. */
__attribute__((always_inline)) static inline void exec_run(
        struct cmds_call *call, struct cmdi_server_shard *server_shard, bool is_first, size_t size)
{
    if (CMDI_UNLIKELY(call->exec->flags & CMDS_EXEC_POOL_)) {
        exec_in_pool(call, is_first ? size : 0);
        return;
    }
    call->flags |= CMDI_CALL_RUNNING;
    cmdi_meter_ran(&call->connection->conn.shard->meter, call->type);
    int code = exec_call_counted(call, server_shard->ledger, is_first, size);
    exec_returned(call, code);
}

/*
 * Its last send, from another thread, found no room beside what others have promised to leave. That comes with a mail,
 * or does not come, with a mail too: until then it would ask in vain, again and again. Without a promise it asks, for
 * only who asks for memory has others give some back. `least`: for so much there is no room, as somebody has asked.
 */
static bool exec_is_held(const struct cmds_call *call, size_t *least)
{
    size_t size = atomic_load_explicit(&call->refused_size, memory_order_relaxed);
    if (CMDI_LIKELY(!atomic_load_explicit(&call->refused_elsewhere, memory_order_relaxed)) ||
            cmdi_inbox_promises(&call->connection->inbox) == 0) {
        return false;
    }
    if (size < *least && cmdi_writable_has_room(call->connection, size)) {
        return false;
    }
    *least = size < *least ? size : *least;
    return true;
}

/* The next one, which is in no list. Those that are held go behind all others. Returns: NULL: all are. */
static struct cmds_call *exec_next_again(
        struct cmdi_connection_more *more, struct cmdi_shard *shard)
{
    const struct cmdi_list *first_held = NULL;
    size_t least = SIZE_MAX;
    uint32_t looks = 0;
    for (struct cmdi_list *node; (node = more->again.next) != first_held;) {
        struct cmds_call *call = CMDI_CONTAINER(node, struct cmds_call, link);
        cmdi_list_remove(node);
        if (cmds_call_is_cancelled(call) || CMDI_LIKELY(!exec_is_held(call, &least))) {
            cmdi_shard_worked(shard, looks / EXEC_LOOKS_PER_UNIT); // Some thousand may be held.
            return call;
        }
        looks++;
        first_held = first_held != NULL ? first_held : node;
        cmdi_list_push(&more->again, node);
    }
    cmdi_shard_worked(shard, looks / EXEC_LOOKS_PER_UNIT);
    return NULL;
}

/*
 * All are held. There is room with a mail, which a promise brings that is kept or broken; when output has left; when
 * memory comes back.
 */
static void exec_wait(struct cmds_connection *connection)
{
    struct cmdi_conn *conn = &connection->conn;
    conn->above_low = conn->above_low || cmdi_conn_output_size(conn) > 0;
    cmdi_shard_refused(conn->shard, &cmdi_connection_more(connection)->memory_work);
}

static void exec_run_round(struct cmds_call *call)
{
    struct cmds_connection *connection = call->connection;
    struct cmdi_shard *shard = connection->conn.shard;
    CMDI_COUNT(&connection->server_shard->counters, exec_rounds, 1);
    cmdi_connection_more(connection)->writable_first = true;
    atomic_store_explicit(&call->refused_elsewhere, false, memory_order_relaxed);
    exec_run(call, connection->server_shard, false, 0);
    cmdi_shard_worked(shard, EXEC_ROUND_UNITS);
}

static bool exec_run_again(struct cmds_connection *connection, uint32_t budget)
{
    struct cmdi_conn *conn = &connection->conn;
    struct cmdi_connection_more *more = cmdi_connection_more(connection);
    bool first = true; // It always goes: the frames of this run may have used it up.
    while (!cmdi_list_empty(&more->again) && !cmdi_conn_output_high(conn) &&
            conn->state == CMDI_CONN_OPEN && budget-- > 0 &&
            (first || !(conn->spent || conn->shard->step_over))) {
        struct cmds_call *call = exec_next_again(more, conn->shard);
        if (CMDI_UNLIKELY(call == NULL)) {
            exec_wait(connection);
            cmdi_window_hold_back(connection);
            return false;
        }
        first = false;
        if (CMDI_UNLIKELY(cmds_call_is_cancelled(call))) {
            exec_let_go(call); // Its deadline has passed, and on_cancel has run.
        } else {
            exec_run_round(call);
        }
    }
    if (conn->state != CMDI_CONN_OPEN) {
        return false;
    }
    cmdi_window_hold_back(connection); // Above the mark the end of a send calls us again.
    return !cmdi_list_empty(&more->again) && !cmdi_conn_output_high(conn);
}

bool cmdi_exec_run(struct cmdi_conn *conn, uint32_t budget)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    struct cmdi_connection_more *mine = cmdi_connection_more(connection);
    if (CMDI_LIKELY(cmdi_list_empty(&mine->writable))) {
        if (CMDI_UNLIKELY(!cmdi_list_empty(&mine->again))) {
            return exec_run_again(connection, budget);
        }
        cmdi_window_hold_back(connection);
        return false;
    }
    /* Each of the two may use up the room, and then it is the other's turn. */
    bool writable_first = mine->writable_first;
    bool more = writable_first && cmdi_writable_run(connection, budget);
    more = (conn->state == CMDI_CONN_OPEN && exec_run_again(connection, budget)) || more;
    return (!writable_first && conn->state == CMDI_CONN_OPEN &&
                   cmdi_writable_run(connection, budget)) ||
           more;
}

/* The entry says which type it would have been. */
static void exec_count_failed(
        struct cmds_connection *connection, const struct cmdi_type_entry *entry)
{
    struct cmdi_ledger_shard *ledger = connection->server_shard->ledger;
    if (ledger != NULL) {
        cmdi_ledger_ended(
                ledger, entry->place, CMDI_STATUS_FAILED, connection->conn.more->arrived_ns);
    }
}

/* Nobody knows what it is to be. */
static int exec_unknown(struct cmds_connection *connection, const struct cmdi_frame *frame)
{
    struct cmdi_conn *conn = &connection->conn;
    const char *guess = cmdi_guess_first(conn, frame);
    CMDI_COUNT(conn->counters, proto_errors, 1);
    cmdi_conn_refuse(conn, CMDS_E_PROTO,
            "command %llu of type %llu: no such command in protocol %.60s%s",
            (unsigned long long)frame->sequence, (unsigned long long)frame->type,
            connection->server_shard->core->options.protocol->name,
            guess[0] != '\0' ? guess : "; another protocol, or a newer one?");
    return CMDS_E_PROTO;
}

/* There is a type for it, but no value or no memory. */
static int exec_undecoded(struct cmds_connection *connection, const struct cmdi_frame *frame,
        const struct cmds_type *type, int code)
{
    struct cmdi_conn *conn = &connection->conn;
    struct cmdi_server_shard *server_shard = connection->server_shard;
    const struct cmds_codec *codec = server_shard->core->options.codec;
    struct cmds_error why = CMDS_ERROR_INIT;
    char guess[CMDI_GUESS_TEXT_MAX] = "";
    if (code == -ENOMEM) {
        CMDI_COUNT(conn->counters, out_of_memory, 1);
    } else {
        CMDI_COUNT(conn->counters, codec_errors, 1);
    }
    if (code == CMDS_E_PROTO) {
        (void)cmdi_guess_codec(conn, codec, frame, guess);
    } else if (code == CMDS_E_LIMIT) {
        (void)cmdi_which_decode(codec, type, (struct cmds_bytes){frame->body, frame->body_size},
                &server_shard->arena, &why);
    }
    cmdi_conn_refuse(conn, code, "command %llu of type %llu, %.60s: %s%s",
            (unsigned long long)frame->sequence, (unsigned long long)frame->type,
            type->schema->name, why.code != 0 ? why.text : cmds_error_text(code), guess);
    return code;
}

/*
 * No call has come of it. Without memory that is nobody's fault: the peer is told, if the protocol has
 * an error result and the end of the frame is known: `used`, -1: it is not.
 */
static int64_t exec_refused(struct cmds_connection *connection, const struct cmdi_type_entry *entry,
        const struct cmdi_frame *frame, int code, int64_t used)
{
    if (code == -ENOMEM && used >= 0 &&
            cmdi_failure_tell_unread(connection, entry->command, frame->sequence, code)) {
        CMDI_COUNT(connection->conn.counters, out_of_memory, 1);
        return used;
    }
    return exec_undecoded(connection, frame, entry->type, code);
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
    call->sent_here = 0;
    atomic_store_explicit(&call->sent_elsewhere, 0, memory_order_relaxed);
    call->received_ns = connection->conn.more->arrived_ns;
    call->context = NULL;
    call->trace = NULL;
    atomic_store_explicit(&call->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&call->finished, 0, memory_order_relaxed);
    atomic_store_explicit(&call->cancelled, 0, memory_order_relaxed);
    call->flags = 0;
    call->owed = false;
    call->end_count = 0;
    atomic_store_explicit(&call->refused_size, 0, memory_order_relaxed);
    atomic_store_explicit(&call->refused_elsewhere, false, memory_order_relaxed);
    atomic_store_explicit(&call->on_writable, NULL, memory_order_relaxed);
    call->kept = NULL;
    cmdi_window_call_begun(connection);
    return call;
}

int64_t cmdi_exec_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    struct cmds_connection *connection = cmdi_connection_of(conn);
    struct cmdi_server_shard *server_shard = connection->server_shard;
    struct cmdi_server_core *core = server_shard->core;
    const struct cmdi_type_entry *entry = cmdi_type_table_entry(&core->commands, frame->type);
    if (CMDI_UNLIKELY(cmdi_window_is_full(connection))) {
        /* At the bound pings are still answered; reading stops at the first command beyond it. */
        cmdi_conn_pause(conn);
        return CMDI_CONN_LATER;
    }
    if (CMDI_UNLIKELY(entry == NULL)) {
        return exec_unknown(connection, frame);
    }
    const struct cmds_type *type = entry->type;
    void *value = NULL;
    int64_t used = cmdi_codec_decode(core->options.codec, type,
            (struct cmds_bytes){frame->body, frame->body_size}, frame->place, &server_shard->arena,
            &value);
    if (CMDI_UNLIKELY(used < 0)) {
        exec_count_failed(connection, entry);
        return exec_refused(connection, entry, frame, (int)used,
                core->limits.self_delimiting ? -1 : (int64_t)frame->body_size);
    }
    if (CMDI_UNLIKELY(used > (int64_t)frame->body_size)) {
        return used; // Not whole: tried again when so much has arrived.
    }
    struct cmds_call *call = exec_new_call(
            connection, core->execs[entry - core->commands.entries], entry->command, frame);
    if (CMDI_UNLIKELY(call == NULL)) {
        exec_count_failed(connection, entry);
        return exec_refused(connection, entry, frame, -ENOMEM, used);
    }
    call->place = entry->place;
    call->command = (const uint8_t *)value + entry->command_offset;
    if (CMDI_UNLIKELY(entry->command != entry->type ||
                      !cmdi_spans_are_spent(conn->shard->spans, conn->shard->now_ms))) {
        cmdi_call_trace_take(call, entry, value, frame->header_size + (size_t)used);
    }
    CMDI_COUNT(&connection->server_shard->counters, commands_received, 1);
    CMDI_PROBE4(command_begin, connection->id, frame->sequence, call->type->number, used);
    exec_run(call, server_shard, true, frame->header_size + (size_t)used);
    cmdi_window_hold_back(connection);
    return used;
}
