/* SPDX-License-Identifier: MIT */
/*
 * Results from the shard go straight to the connection's output. Those of other threads go to its
 * inbox as records
 *     struct result_record | the frame
 * which the shard copies behind what is there. A send on the shard takes the inbox first, and so
 * does the end of a call, so a call's results keep the order in which one thread sent them.
 *
 * Inbox and output share one bound. Each side sees the other's size without a lock, and may be
 * wrong by what moves at that moment. Therefore the inbox has half of the bound for itself, and
 * what is being taken counts as output before others may append again.
 */
#include "server/result.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/usdt.h"
#include "codec/protocol.h"
#include "codec/which.h"
#include "conn/direct.h"
#include "server/call.h"
#include "server/count.h"
#include "server/trace.h"
#include "server/window.h"
#include "wire/frame.h"

struct result_record {
    size_t size;            // Of the frame behind it.
    uint64_t received_ns;   // Of the call, for the shard to count the result...
    uint16_t place, result; // ...as are the types, by their places.
};

struct result_frame {
    const struct cmds_type *type; // As the program gave it: the same as that of the row.
    const void *value;
    const struct cmdi_type_entry *entry;
    size_t body_size, size;
    uint8_t last; // enum cmdi_call_finished: what its call is by it.
};

/*
 * What the result is, but for its size. Inline: the compiler would leave it out, for those who send
 * errors are its callers, too.
 */
__attribute__((always_inline)) static inline int result_name(
        const struct cmdi_server_core *core, struct cmds_message result, struct result_frame *frame)
{
    const struct cmdi_type_entry *entry =
            CMDI_LIKELY(result.type != NULL)
                    ? cmdi_type_table_entry(&core->results, result.type->number)
                    : NULL;
    if (CMDI_UNLIKELY(entry == NULL || !cmdi_type_same(entry->type, result.type) ||
                      result.value == NULL)) {
        return CMDS_E_WRONG_TYPE;
    }
    frame->type = result.type;
    frame->value = result.value;
    frame->entry = entry;
    return 0;
}

/* Of a value that the codec takes. */
static inline uint8_t result_last(const struct result_frame *frame)
{
    if (!cmdi_type_is_last(frame->entry, frame->value)) {
        return CMDI_FINISHED_NOT;
    }
    return CMDI_UNLIKELY(frame->entry->last_offset == CMDI_LAST_ERROR) ? CMDI_FINISHED_FAILED
                                                                       : CMDI_FINISHED_WELL;
}

/* What the result will look like on the wire. Returns: as cmds_call_send(). */
static int result_measure(const struct cmdi_server_core *core, uint64_t sequence,
        struct cmds_message result, struct result_frame *frame)
{
    const struct cmds_codec *codec = core->options.codec;
    int named = result_name(core, result, frame);
    if (CMDI_UNLIKELY(named < 0)) {
        return named;
    }
    int64_t size = codec->size(codec, result.type, result.value);
    if (CMDI_UNLIKELY(size < 0 || size > core->options.frame_size_max)) {
        int code = size < 0 ? (int)size : CMDS_E_LIMIT;
        return code < 0 ? code : -EINVAL; // What codec says that?
    }
    frame->body_size = (size_t)size;
    frame->size = frame->body_size + cmdi_frame_header_size(sequence, result.type->number,
                                             (uint64_t)size, core->limits.self_delimiting);
    frame->last = result_last(frame);
    return 0;
}

/* Inline: what was measured is still in registers. */
__attribute__((always_inline)) static inline void result_write(const struct cmdi_server_core *core,
        uint64_t sequence, const struct result_frame *frame, uint8_t *out)
{
    const struct cmds_codec *codec = core->options.codec;
    uint8_t *body = cmdi_frame_header_encode(
            out, sequence, frame->type->number, frame->body_size, core->limits.self_delimiting);
    uint8_t *end = codec->encode(codec, frame->type, frame->value, body, frame->body_size);
    CMDI_ASSERT_SLOW(end == out + frame->size);
    (void)end;
}

/*
 * Takes the right to send the last result. Returns: somebody else had it. A thread of the pool may have
 * the only reference, and the shard, when the deadline has come, takes another one meanwhile.
 */
static bool result_claim_last_elsewhere(struct cmds_call *call, uint8_t last)
{
    uint8_t none = CMDI_FINISHED_NOT;
    return !atomic_compare_exchange_strong(&call->finished, &none, last);
}

/* The same on the shard, where nobody else has the call: no atomic exchange. */
static inline bool result_claim_last_alone(struct cmds_call *call, uint8_t last)
{
    bool taken = atomic_load_explicit(&call->finished, memory_order_relaxed) != 0;
    atomic_store_explicit(&call->finished, last, memory_order_relaxed);
    return taken;
}

/* May somebody else have sent a result of this call since its connection's inbox was looked at? On the shard. */
static inline bool result_has_others(const struct cmds_call *call)
{
    // Whoever has let go of it before this has left there what it sent.
    return atomic_load_explicit(&call->refs, memory_order_acquire) != 1 ||
           cmdi_inbox_size(&call->connection->inbox) > 0;
}

/* For cmds_call_on_writable(): what there is to be room for. */
static void result_refused(struct cmds_call *call, size_t size)
{
    CMDI_ASSERT(size <= UINT32_MAX);
    atomic_store_explicit(&call->refused_size, (uint32_t)size, memory_order_relaxed);
}

/* On the shard. It is written, behind the output. */
__attribute__((always_inline)) static inline void result_commit(
        struct cmds_call *call, const struct result_frame *frame)
{
    cmdi_conn_commit(&call->connection->conn, frame->size);
    if (CMDI_UNLIKELY(call->trace != NULL)) {
        cmdi_call_trace_result(call, frame->type, frame->size, true);
    }
    CMDI_PROBE5(result_sent, call->connection->id, call->sequence, frame->type->number, frame->size,
            frame->last);
    call->sent_here++;
    CMDI_COUNT(&call->connection->server_shard->counters, results_sent, 1);
    if (CMDI_LIKELY((call->flags & CMDI_CALL_RUNNING) != 0)) {
        // What else is due then its caller sees to.
        cmdi_call_count_running(call, frame->entry, frame->size);
        return;
    }
    cmdi_call_count_result(call, frame->entry, frame->size);
    if (frame->last) {
        cmdi_call_count_end(call);
    }
    cmdi_window_hold_back(call->connection);
}

/*
 * Takes the right to send the last result, for which there is room at *out. Others that have the call send nothing from
 * here on: they look under the inbox's lock, see result_leave(). So what lies there when that lock was taken once more
 * is all that there is, and goes first. On the shard. Returns: as cmds_call_send().
 */
static int result_claim_last_here(
        struct cmds_call *call, const struct result_frame *frame, uint8_t **out)
{
    struct cmdi_conn *conn = &call->connection->conn;
    if (CMDI_LIKELY(!result_has_others(call))) {
        return result_claim_last_alone(call, frame->last) ? CMDS_E_FINISHED : 0;
    }
    if (result_claim_last_elsewhere(call, frame->last)) {
        return CMDS_E_FINISHED;
    }
    cmdi_result_take_now(call->connection);
    *out = conn->state == CMDI_CONN_OPEN ? cmdi_conn_reserve_beyond(conn, frame->size) : NULL;
    if (CMDI_UNLIKELY(*out == NULL && conn->state == CMDI_CONN_OPEN)) {
        CMDI_COUNT(conn->counters, out_of_memory, 1);
        cmdi_conn_fail_soon(conn, CMDS_E_MEMORY_LIMIT,
                "no memory for the last result of command %llu",
                (unsigned long long)call->sequence);
    }
    if (CMDI_UNLIKELY(*out == NULL)) { // It is not sent after all.
        atomic_store_explicit(&call->finished, CMDI_FINISHED_NOT, memory_order_relaxed);
        return CMDS_E_GONE;
    }
    return 0;
}

/*
 * What was sent before, by whomever, goes first. There may be no memory for it, or it ends with the last one of
 * another thread. On the shard. Returns: 0; CMDS_E_GONE; CMDS_E_FINISHED.
 */
static int result_let_pass(struct cmds_call *call)
{
    struct cmds_connection *connection = call->connection;
    cmdi_result_take(connection);
    if (CMDI_UNLIKELY(connection->conn.state != CMDI_CONN_OPEN)) {
        return CMDS_E_GONE;
    }
    return CMDI_UNLIKELY(atomic_load_explicit(&call->finished, memory_order_relaxed) != 0)
                   ? CMDS_E_FINISHED
                   : 0;
}

static int result_send_here(struct cmds_call *call, const struct result_frame *frame)
{
    struct cmdi_conn *conn = &call->connection->conn;
    int code = result_let_pass(call);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    uint8_t *out = cmdi_conn_reserve(conn, frame->size, &code);
    if (CMDI_UNLIKELY(out == NULL)) {
        result_refused(call, frame->size);
        CMDI_COUNT(&call->connection->server_shard->counters, results_refused, code == -ENOBUFS);
        return code;
    }
    code = frame->last ? result_claim_last_here(call, frame, &out) : 0;
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    result_write(call->core, call->sequence, frame, out);
    result_commit(call, frame);
    return 0;
}

/* Nothing that was sent before waits, and frames leave: it may be written where it leaves from. */
static inline bool result_may_go_here(const struct cmds_connection *connection)
{
    if (CMDI_UNLIKELY(cmdi_inbox_size(&connection->inbox) > 0 ||
                      connection->conn.state != CMDI_CONN_OPEN)) {
        return false;
    }
    return true;
}

/*
 * In one walk, where nothing stands in its way. Returns: false: it is to go the other way, and nothing has
 * happened.
 */
__attribute__((always_inline)) static inline bool result_try_here(
        struct cmds_call *call, struct cmds_message result, struct result_frame *frame)
{
    struct cmds_connection *connection = call->connection;
    if (!result_may_go_here(connection)) {
        return false;
    }
    frame->size = cmdi_conn_write_direct(&connection->conn, call->sequence,
            call->core->options.codec, result, &frame->body_size);
    if (CMDI_UNLIKELY(frame->size == 0)) {
        return false;
    }
    frame->last = result_last(frame);
    return true;
}

/* None behind the last one, which another thread may have sent since the caller looked. Under the inbox's lock. */
static int result_is_wanted(struct cmds_call *call)
{
    return atomic_load(&call->finished) != CMDI_FINISHED_NOT ? CMDS_E_FINISHED
           : call->connection->inbox.closed                  ? CMDS_E_GONE
                                                             : 0;
}

/* May a record of this size be left behind those that wait? The queue and the output share one bound. Under the lock. */
static int result_may_leave(struct cmds_call *call, size_t size)
{
    const struct cmdi_conn *conn = &call->connection->conn;
    size_t waits = cmdi_inbox_size(&call->connection->inbox);
    size_t seen = atomic_load_explicit(&conn->output_seen, memory_order_relaxed);
    int code = result_is_wanted(call);
    return code < 0 || cmdi_conn_queue_allows(conn->limits, waits, seen, size) ? code : -ENOBUFS;
}

/* The record at `out`. */
static void result_write_record(
        struct cmds_call *call, const struct result_frame *frame, uint8_t *out)
{
    const struct result_record record = {.size = frame->size,
            .received_ns = call->received_ns,
            .place = call->place,
            .result = frame->entry->place};
    memcpy(out, &record, sizeof(record));
    result_write(call->core, call->sequence, frame, out + sizeof(record));
}

/* It is in the inbox. Under the lock, so that the connection cannot go before the mail. */
static void result_left(struct cmds_call *call, const struct result_frame *frame)
{
    if (CMDI_UNLIKELY(call->trace != NULL)) {
        cmdi_call_trace_result(call, frame->type, frame->size, false);
    }
    CMDI_PROBE5(result_sent, call->connection->id, call->sequence, frame->type->number, frame->size,
            frame->last);
    atomic_fetch_add_explicit(&call->sent_elsewhere, 1, memory_order_relaxed);
    cmdi_inbox_post(&call->connection->inbox);
}

/* Under the inbox's lock. */
static int result_leave(struct cmds_call *call, const struct result_frame *frame)
{
    struct cmdi_inbox *inbox = &call->connection->inbox;
    size_t size = sizeof(struct result_record) + frame->size;
    int code = result_may_leave(call, size);
    if (code < 0) {
        return code;
    }
    uint8_t *out = cmdi_inbox_reserve(inbox, size, &code);
    if (code == -ENOBUFS) {
        cmdi_inbox_post(inbox); // The shard sees to it that there is memory; it may be asleep.
    }
    if (code < 0) {
        return code;
    }
    // If it is the shard that is faster, it takes this memory as it takes what lies there.
    if (frame->last && result_claim_last_elsewhere(call, frame->last)) {
        return CMDS_E_FINISHED;
    }
    result_write_record(call, frame, out);
    cmdi_inbox_commit(inbox, size);
    result_left(call, frame);
    return 0;
}

/* Under the inbox's lock. `part` was promised; NULL: there was no memory. Takes it, if 0. */
static int result_leave_part(
        struct cmds_call *call, const struct result_frame *frame, struct cmdi_inbox_part *part)
{
    struct cmdi_inbox *inbox = &call->connection->inbox;
    int code = part == NULL ? -ENOMEM : result_is_wanted(call);
    if (code == 0 && frame->last && result_claim_last_elsewhere(call, frame->last)) {
        code = CMDS_E_FINISHED;
    }
    if (code < 0 && !inbox->closed) {
        cmdi_inbox_break_promise(inbox, sizeof(struct result_record) + frame->size);
        cmdi_inbox_post(inbox); // Who waits for room may have waited for this.
    }
    if (code < 0) {
        return code;
    }
    cmdi_inbox_append(inbox, part);
    result_left(call, frame);
    return 0;
}

/* Under the inbox's lock: a place for one that is written without it. */
static int result_promise_part(struct cmds_call *call, size_t size)
{
    struct cmdi_inbox *inbox = &call->connection->inbox;
    int code = result_may_leave(call, size);
    if (code < 0) {
        return code;
    }
    code = cmdi_inbox_promise(inbox, size);
    if (code == -ENOBUFS) {
        cmdi_inbox_post(inbox); // As for small ones.
    }
    return code;
}

/* A large one: the shard takes the lock, too, and does not wait for the codec. */
static int result_send_part(struct cmds_call *call, const struct result_frame *frame)
{
    struct cmdi_inbox *inbox = &call->connection->inbox;
    size_t size = sizeof(struct result_record) + frame->size;
    cmdi_inbox_lock(inbox);
    int code = result_promise_part(call, size);
    cmdi_inbox_unlock(inbox);
    if (code < 0) {
        return code;
    }
    struct cmdi_inbox_part *part = cmdi_inbox_part_new(size);
    if (part != NULL) {
        result_write_record(call, frame, part->data);
    }
    cmdi_inbox_lock(inbox);
    code = result_leave_part(call, frame, part);
    cmdi_inbox_unlock(inbox);
    if (code < 0) {
        free(part);
    }
    return code;
}

static int result_send_elsewhere(struct cmds_call *call, const struct result_frame *frame)
{
    int code;
    if (CMDI_UNLIKELY(sizeof(struct result_record) + frame->size >= CMDI_INBOX_PART_MIN)) {
        code = result_send_part(call, frame);
    } else {
        cmdi_inbox_lock(&call->connection->inbox);
        code = result_leave(call, frame);
        cmdi_inbox_unlock(&call->connection->inbox);
    }
    if (CMDI_UNLIKELY(code == -ENOBUFS)) {
        result_refused(call, sizeof(struct result_record) + frame->size);
        atomic_store_explicit(&call->refused_elsewhere, true, memory_order_relaxed);
        atomic_fetch_add(&call->connection->server_shard->refused_elsewhere, 1);
    }
    return code;
}

int cmds_call_check(struct cmds_call *call, struct cmds_message result, struct cmds_error *error)
{
    const struct cmdi_server_core *core = call->core;
    const struct cmdi_which_side side = {.codec = core->options.codec,
            .types = &core->results,
            .protocol = core->options.protocol->name,
            .what = "result",
            .frame_size_max = core->options.frame_size_max};
    return cmdi_which_send(&side, result, error);
}

/* The sentence waits for an exec function that returns this code as its own. */
static __attribute__((noinline)) int result_not_taken(
        struct cmds_call *call, struct cmds_message result, int code)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    struct cmds_error why = CMDS_ERROR_INIT;
    if (cmds_call_check(call, result, &why) == code) {
        pthread_mutex_lock(&server_shard->lock);
        server_shard->refused.connection = call->connection->id;
        server_shard->refused.sequence = call->sequence;
        server_shard->refused.why = why;
        pthread_mutex_unlock(&server_shard->lock);
    }
    return code;
}

bool cmdi_result_why(struct cmds_call *call, int code, struct cmds_error *why)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    pthread_mutex_lock(&server_shard->lock);
    bool is = server_shard->refused.connection == call->connection->id &&
              server_shard->refused.sequence == call->sequence &&
              server_shard->refused.why.code == code;
    if (is) {
        *why = server_shard->refused.why;
        server_shard->refused.why.code = 0;
    }
    pthread_mutex_unlock(&server_shard->lock);
    return is;
}

/* May it send one more? Returns: as cmds_call_send(). */
static inline int result_allowed(const struct cmds_call *call)
{
    if (CMDI_UNLIKELY(atomic_load_explicit(&call->cancelled, memory_order_relaxed) != 0 ||
                      call->type->one_way != 0)) {
        return CMDS_E_GONE;
    }
    if (CMDI_UNLIKELY(atomic_load_explicit(&call->finished, memory_order_relaxed) != 0)) {
        return CMDS_E_FINISHED;
    }
    return 0;
}

/* The way of a result that is odd. */
static __attribute__((noinline)) int result_send_measured(
        struct cmds_call *call, struct cmds_message result, bool is_here)
{
    struct result_frame frame;
    int code = result_measure(call->core, call->sequence, result, &frame);
    if (CMDI_UNLIKELY(code < 0)) {
        return result_not_taken(call, result, code);
    }
    return is_here ? result_send_here(call, &frame) : result_send_elsewhere(call, &frame);
}

static int result_send_from_elsewhere(struct cmds_call *call, struct cmds_message result)
{
    int code = result_allowed(call);
    return code < 0 ? code : result_send_measured(call, result, false);
}

/* It is written behind the output, and is its call's last, if it may be. */
__attribute__((always_inline)) static inline int result_commit_last(
        struct cmds_call *call, struct cmds_message result, const struct result_frame *frame)
{
    if (CMDI_UNLIKELY(result_has_others(call))) {
        if (call->connection->conn.fill.end == 0) {
            cmdi_conn_close_fill(&call->connection->conn);
        }
        return result_send_measured(call, result, true); // What they have sent goes first.
    }
    if (CMDI_UNLIKELY(result_claim_last_alone(call, frame->last))) {
        return CMDS_E_FINISHED;
    }
    result_commit(call, frame);
    return 0;
}

/* --- Results of a stream ---------------------------------------------------------------------- */

/* The next one may be such a one, too. Its frame lies behind what was committed. */
static __attribute__((noinline)) void result_expect_alike(const struct cmds_call *call,
        const struct cmds_type *type, const struct cmdi_type_entry *entry)
{
    uint8_t bytes[CMDI_FRAME_HEADER_MAX] = {0};
    const uint8_t *end = cmdi_frame_header_encode(bytes, call->sequence, type->number, 0, true);
    struct cmdi_result_alike alike = {.type = type,
            .entry = entry,
            .head = {.sequence = call->sequence, .size = (size_t)(end - bytes)}};
    memcpy(&alike.head.bytes, bytes, sizeof(alike.head.bytes));
    if (alike.head.size <= sizeof(alike.head.bytes)) {
        call->connection->server_shard->alike = alike;
    }
}

/* On the shard, whatever was sent before. */
static __attribute__((noinline)) int result_send_other(
        struct cmds_call *call, struct cmds_message result)
{
    struct result_frame frame;
    int code = result_allowed(call);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    code = result_name(call->core, result, &frame);
    if (CMDI_UNLIKELY(code < 0) || CMDI_UNLIKELY(!result_try_here(call, result, &frame))) {
        return result_send_measured(call, result, true);
    }
    if (CMDI_LIKELY(frame.last)) {
        return result_commit_last(call, result, &frame);
    }
    result_expect_alike(call, result.type, frame.entry);
    result_commit(call, &frame);
    return 0;
}

/*
 * As result_send_other(), of a call with the sequence of the one that has sent before: of the same type, its frame has
 * the same bytes in front of its length.
 */
static __attribute__((noinline)) int result_send_alike(
        struct cmds_call *call, struct cmds_message result)
{
    struct cmds_connection *connection = call->connection;
    const struct cmdi_result_alike *alike = &connection->server_shard->alike;
    struct result_frame frame = {.type = result.type, .value = result.value, .entry = alike->entry};
    int code = result_allowed(call);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    if (CMDI_UNLIKELY(alike->type != result.type || result.value == NULL ||
                      !result_may_go_here(connection))) {
        return result_send_other(call, result);
    }
    frame.size = cmdi_conn_write_direct_as(
            &connection->conn, alike->head, call->core->options.codec, result, &frame.body_size);
    if (CMDI_UNLIKELY(frame.size == 0)) {
        return result_send_other(call, result);
    }
    frame.last = result_last(&frame);
    if (frame.last) {
        return result_commit_last(call, result, &frame);
    }
    result_commit(call, &frame);
    return 0;
}

int cmds_call_send(struct cmds_call *call, struct cmds_message result)
{
    const struct cmds_connection *connection = call->connection;
    if (CMDI_UNLIKELY(cmdi_shard_current() != connection->conn.shard)) {
        return result_send_from_elsewhere(call, result);
    }
    return CMDI_LIKELY(connection->server_shard->alike.head.sequence != call->sequence)
                   ? result_send_other(call, result)
                   : result_send_alike(call, result);
}

int cmdi_result_send_beyond(struct cmds_call *call, struct cmds_message result)
{
    struct cmdi_conn *conn = &call->connection->conn;
    struct result_frame frame = {0};
    int code = result_measure(call->core, call->sequence, result, &frame);
    CMDI_ASSERT(cmdi_shard_current() == conn->shard);
    if (code < 0) {
        return code;
    }
    code = result_let_pass(call);
    if (code < 0) {
        return code;
    }
    uint8_t *out = cmdi_conn_reserve_beyond(conn, frame.size);
    if (out == NULL) {
        CMDI_COUNT(conn->counters, out_of_memory, 1);
        return CMDS_E_MEMORY_LIMIT;
    }
    code = frame.last ? result_claim_last_here(call, &frame, &out) : 0;
    if (code < 0) {
        return code;
    }
    result_write(call->core, call->sequence, &frame, out);
    result_commit(call, &frame);
    return 0;
}

int cmdi_result_send_bare(
        struct cmds_connection *connection, uint64_t sequence, struct cmds_message result)
{
    const struct cmdi_server_core *core = connection->server_shard->core;
    struct result_frame frame = {0};
    int code = result_measure(core, sequence, result, &frame);
    if (code < 0) {
        return code;
    }
    uint8_t *out = cmdi_conn_reserve_beyond(&connection->conn, frame.size);
    if (out == NULL) {
        return CMDS_E_MEMORY_LIMIT;
    }
    result_write(core, sequence, &frame, out);
    cmdi_conn_commit(&connection->conn, frame.size);
    CMDI_COUNT(&connection->server_shard->counters, results_sent, 1);
    cmdi_window_hold_back(connection);
    return 0;
}

static void result_write_records(
        struct cmds_connection *connection, const uint8_t *data, size_t size)
{
    struct cmdi_conn *conn = &connection->conn;
    while (size > 0 && conn->state == CMDI_CONN_OPEN) {
        struct result_record record;
        CMDI_ASSERT(size > sizeof(record));
        memcpy(&record, data, sizeof(record));
        CMDI_ASSERT(record.size <= size - sizeof(record));
        uint8_t *out = cmdi_conn_reserve_beyond(conn, record.size);
        if (out == NULL) {
            CMDI_COUNT(conn->counters, out_of_memory, 1);
            cmdi_conn_fail_soon(
                    conn, CMDS_E_MEMORY_LIMIT, "no memory for %zu bytes of results", record.size);
            return;
        }
        memcpy(out, data + sizeof(record), record.size);
        cmdi_conn_commit(conn, record.size);
        struct cmdi_ledger_shard *ledger = connection->server_shard->ledger;
        if (CMDI_LIKELY(ledger != NULL)) {
            cmdi_ledger_result(
                    ledger, record.place, record.result, record.size, record.received_ns);
        }
        CMDI_COUNT(&connection->server_shard->counters, results_sent, 1);
        data += sizeof(record) + record.size;
        size -= sizeof(record) + record.size;
    }
}

void cmdi_result_take_now(struct cmds_connection *connection)
{
    struct cmdi_inbox *inbox = &connection->inbox;
    cmdi_inbox_lock(inbox);
    struct cmdi_inbox_bytes taken = cmdi_inbox_take(inbox);
    struct cmdi_inbox_run run = {0};
    size_t size = cmdi_inbox_bytes_size(&taken);
    // Before others may append again: it counts as output from here on.
    cmdi_conn_publish_output(&connection->conn, size);
    cmdi_inbox_unlock(inbox);
    while (cmdi_inbox_next_run(&taken, &run)) {
        result_write_records(connection, run.data, run.size);
    }
    if (size > 0) {
        if (connection->conn.state == CMDI_CONN_OPEN) {
            cmdi_window_hold_back(connection);
        }
        cmdi_conn_publish_output(&connection->conn, 0);
    }
    cmdi_inbox_give_back(inbox, &taken);
}
