/* SPDX-License-Identifier: MIT */
/*
 * Exec functions without a network: a server's connection over a transport that keeps what is sent,
 * on a shard without a ring, whose clock somebody moves.
 *
 * Everything between the frame and the exec function, and between the send and the frame, is the
 * server's own code: calls, references, timers, bounds, codec. Only sockets, threads and time are
 * missing. One thread.
 */
#include <cmdstream/test.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "codec/codec.h"
#include "server/call.h"
#include "server/exec.h"
#include "server/writable.h"
#include "shard/clock.h"
#include "shard/runtime.h"
#include "shard/runtime_timers.h"
#include "test/test.h"

enum {
    TEST_ROUNDS_MAX = 1000,
};
/* Not 0, which programs like to mean "never"; a program may also look back from it. */
#define TEST_BEGIN_NS (86400 * (uint64_t)CMDI_NS_PER_S)

struct cmds_test {
    struct cmds_runtime *runtime;
    struct cmdi_shard *shard; // The runtime's.
    struct cmdi_server_shard *server_shard;
    struct cmds_connection *connection; // NULL: the last one has gone.
    cmds_invoker_fn *invokers;
    struct cmds_server_options options; // As given, with `invokers`.
    uint64_t now_ns, sequence;
    uint8_t *sent; // What the connection sent and nobody has read.
    size_t sent_size, sent_capacity;
    size_t server_info_left; // Of the ServerInfo, still to come.
    struct cmds_result **results;
    uint32_t result_count, result_capacity;
    uint32_t output_size_max;
    int code;           // What the outermost invoker returned.
    bool sending;       // A send is to be completed.
    bool receiving;     // A recv is armed; it never brings anything.
    bool peer_finished; // Our FIN was seen.
    bool recv_stopped;  // A recv is to be ended.
    bool aborted, closed;
    size_t sending_size;
    bool disconnected, out_of_memory;
    bool shard_started; // on_shard_start has succeeded.
    void *pool_state;
    struct cmdi_test_groups groups; // See group.c.
};

static _Thread_local struct cmds_test *test_current; // Who is being driven.

struct cmdi_test_scope cmdi_test_enter(struct cmds_test *test)
{
    struct cmdi_test_scope before = {cmdi_shard_set_current(test->shard), test_current};
    test_current = test;
    (void)cmdi_clock_give(&test->now_ns);
    return before;
}

void cmdi_test_leave(struct cmdi_test_scope before)
{
    test_current = before.test;
    (void)cmdi_shard_set_current(before.shard);
    if (before.test != NULL) {
        (void)cmdi_clock_give(&before.test->now_ns);
    }
}

struct cmdi_test_groups *cmdi_test_groups(struct cmds_test *test)
{
    return &test->groups;
}

/* --- A transport that keeps ------------------------------------------------------------------- */

/* The one connection of the test that is being driven: what its transport knows is the test's. */
static struct cmds_test *test_of(struct cmdi_conn *conn)
{
    CMDI_ASSERT(test_current != NULL && conn->shard == test_current->shard);
    return test_current;
}

static void test_keep(struct cmds_test *test, const uint8_t *data, size_t size)
{
    if (test->sent_size + size > test->sent_capacity) {
        size_t capacity = (test->sent_size + size) * 2;
        uint8_t *grown = realloc(test->sent, capacity);
        if (grown == NULL) {
            test->out_of_memory = true;
            return;
        }
        test->sent = grown;
        test->sent_capacity = capacity;
    }
    memcpy(test->sent + test->sent_size, data, size);
    test->sent_size += size;
}

static int transport_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    struct cmds_test *test = test_of(conn);
    CMDI_ASSERT(fd < 0 && address == NULL);
    test->sending = test->receiving = test->peer_finished = false;
    test->recv_stopped = test->aborted = test->closed = false;
    return 1;
}

static void transport_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)mode;
    test_of(conn)->receiving = true;
}

static void transport_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct cmds_test *test = test_of(conn);
    test_keep(test, data, size);
    test->sending = true;
    test->sending_size = size;
}

static int64_t transport_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    test_keep(test_of(conn), data, size);
    return (int64_t)size;
}

static void transport_stop_recv(struct cmdi_conn *conn)
{
    test_of(conn)->recv_stopped = true;
}

/* The other side answers our FIN with its own. */
static void transport_shut_write(struct cmdi_conn *conn)
{
    struct cmds_test *test = test_of(conn);
    test->peer_finished = true;
}

static void transport_abort(struct cmdi_conn *conn)
{
    struct cmds_test *test = test_of(conn);
    test->aborted = true;
    test->recv_stopped = true;
}

static const struct cmdi_transport test_transport = {
        .open = transport_open,
        .recv = transport_recv,
        .stop_recv = transport_stop_recv,
        .send = transport_send,
        .send_now = transport_send_now,
        .shut_write = transport_shut_write,
        .abort = transport_abort,
};

/* --- Reading what was sent -------------------------------------------------------------------- */

static struct cmds_result *test_decode(const struct cmds_test *test, const struct cmdi_frame *frame)
{
    const struct cmdi_server_core *core = test->server_shard->core;
    const struct cmds_type *type = cmdi_type_table_find(&core->results, frame->type);
    struct cmds_bytes body = {frame->body, frame->body_size};
    void *value = NULL;
    CMDI_ASSERT(type != NULL); // The server's own code wrote it.
    if (cmds_codec_decode(core->options.codec, type, body, &value) < 0) {
        return NULL;
    }
    struct cmds_result *result = calloc(1, sizeof(*result));
    void *copy = result != NULL ? cmds_value_copy(type->schema, value) : NULL;
    if (copy != NULL) {
        *result = (struct cmds_result){
                .last = cmdi_type_table_is_last(&core->results, type, copy),
                .is_error = cmdi_type_is_error(type),
                .type = type,
                .value = copy,
                .text = "",
                .sequence = frame->sequence,
                .size = (uint32_t)frame->body_size,
        };
    } else {
        free(result);
        result = NULL;
    }
    free(value);
    return result;
}

static void test_add_result(struct cmds_test *test, const struct cmdi_frame *frame)
{
    if (test->result_count == test->result_capacity) {
        uint32_t capacity = test->result_capacity * 2 + 16;
        struct cmds_result **grown =
                realloc(test->results, capacity * sizeof(struct cmds_result *));
        if (grown == NULL) {
            test->out_of_memory = true;
            return;
        }
        test->results = grown;
        test->result_capacity = capacity;
    }
    struct cmds_result *result = test_decode(test, frame);
    test->out_of_memory = test->out_of_memory || result == NULL;
    if (result != NULL) {
        test->results[test->result_count++] = result;
    }
}

/* A self-delimiting codec's frame ends where its value does. */
static int64_t test_frame_size(
        const struct cmds_test *test, const struct cmdi_frame *frame, int64_t whole)
{
    const struct cmdi_server_core *core = test->server_shard->core;
    const struct cmds_type *type = cmdi_type_table_find(&core->results, frame->type);
    struct cmds_bytes body = {frame->body, frame->body_size};
    if (!core->limits.self_delimiting || type == NULL) {
        return whole;
    }
    struct cmds_arena arena;
    void *value = NULL;
    cmdi_arena_init(&arena, core->limits.frame_size_max + (size_t)CMDI_VALUE_SIZE_MAX);
    int64_t used = cmdi_codec_decode(core->options.codec, type, body, NULL, &arena, &value);
    cmdi_arena_fini(&arena);
    if (used > (int64_t)frame->body_size) {
        return 0; // Not whole.
    }
    return used >= 0 ? whole + used : used;
}

static void test_read(struct cmds_test *test)
{
    const struct cmdi_server_core *core = test->server_shard->core;
    size_t at = test->server_info_left < test->sent_size ? test->server_info_left : test->sent_size;
    test->server_info_left -= at;
    while (at < test->sent_size) {
        struct cmdi_frame frame = {0};
        size_t missing = 0;
        int64_t whole = cmdi_frame_decode(&frame, test->sent + at, test->sent_size - at,
                core->limits.frame_size_max, core->limits.self_delimiting, &missing);
        int64_t size =
                whole > 0 && frame.sequence != 0 ? test_frame_size(test, &frame, whole) : whole;
        if (size <= 0) {
            break;
        }
        if (frame.sequence != 0) {
            frame.body_size = (size_t)size - frame.header_size;
            test_add_result(test, &frame);
        }
        at += (size_t)size;
    }
    if (at > 0) {
        memmove(test->sent, test->sent + at, test->sent_size - at);
        test->sent_size -= at;
    }
}

/* --- Driving ---------------------------------------------------------------------------------- */

/* What the kernel would have completed meanwhile. Returns: there was something. */
static bool test_complete(struct cmds_test *test)
{
    struct cmdi_conn *conn = test->connection != NULL ? &test->connection->conn : NULL;
    if (conn == NULL) {
        return false;
    }
    if (test->sending) {
        test->sending = false;
        cmdi_conn_on_send(conn, (int32_t)test->sending_size);
        return true;
    }
    if (test->receiving && (test->peer_finished || test->recv_stopped)) {
        int code = test->peer_finished ? 0 : -ECANCELED;
        test->peer_finished = test->receiving = test->recv_stopped = false;
        cmdi_conn_on_recv_end(conn, code);
        return true;
    }
    if (test->aborted && !test->closed) {
        test->closed = true;
        cmdi_conn_on_closed(conn); // Last: it may free the connection.
        return true;
    }
    return false;
}

void cmdi_test_drive(struct cmds_test *test)
{
    struct cmdi_test_scope before = cmdi_test_enter(test);
    do {
        cmdi_shard_step(test->shard, test->now_ns);
        if (cmdi_list_empty(&test->server_shard->connections)) {
            test->connection = NULL;
        }
    } while (test_complete(test) ||
             (test->groups.complete != NULL && test->groups.complete(&test->groups.list)));
    test_read(test);
    cmdi_test_leave(before);
}

static int test_invoker(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    struct cmds_test *test = test_current;
    if (cmds_call_round(call) >= TEST_ROUNDS_MAX) {
        cmds_connection_close(cmds_call_connection(call)); // It would go on for ever.
        return CMDS_E_LIMIT;
    }
    test->code = cmds_invocation_next(next, call);
    return test->code;
}

static void test_connect(struct cmds_test *test)
{
    if (test->connection != NULL) {
        return;
    }
    test->server_info_left = test->server_shard->core->server_info_size;
    test->sent_size = 0;
    test->connection = cmdi_connection_open(test->server_shard, &test_transport, -1, "test");
}

/* --- Public ----------------------------------------------------------------------------------- */

/* The thread's clock is the kernel's again, if it was this test's. */
static void test_take_clock(const struct cmds_test *test)
{
    const uint64_t *before = cmdi_clock_give(NULL);
    (void)cmdi_clock_give(before != &test->now_ns ? before : NULL);
}

static void test_free(struct cmds_test *test)
{
    test_take_clock(test);
    for (uint32_t i = 0; i < test->result_count; i++) {
        void *value = NULL;
        // Ours, though results show it as const.
        memcpy(&value, &test->results[i]->value, sizeof(value));
        free(value);
        free(test->results[i]);
    }
    free(test->results);
    free(test->invokers);
    free(test->sent);
    if (test->groups.free != NULL) {
        test->groups.free(&test->groups.list);
    }
    cmdi_runtime_destroy_stepped(test->runtime);
    free(test);
}

static int test_take_invokers(
        struct cmds_test *test, const struct cmds_server_options *options, struct cmds_error *error)
{
    int code = cmdi_options_take(
            &test->options, sizeof(test->options), options, "cmds_server_options", error);
    if (code < 0) {
        return code;
    }
    test->options.struct_size = sizeof(test->options);
    test->options.tls = NULL; // There is no network.
    if (test->options.invokers == NULL && test->options.invoker_count > 0) {
        return 0; // The server's own check says so.
    }
    test->invokers = calloc((size_t)test->options.invoker_count + 1, sizeof(*test->invokers));
    if (test->invokers == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a test");
    }
    test->invokers[0] = test_invoker; // The outermost: it sees what the caller is to see.
    for (uint32_t i = 0; i < test->options.invoker_count; i++) {
        test->invokers[i + 1] = test->options.invokers[i];
    }
    test->options.invokers = test->invokers;
    test->options.invoker_count++;
    return 0;
}

/* --- The owner of a server's part ------------------------------------------------------------- */

static void test_on_connection_closed(struct cmdi_server_shard *server_shard)
{
    (void)server_shard; // cmdi_test_drive() sees it.
}

static void test_on_empty(struct cmdi_server_shard *server_shard)
{
    (void)server_shard; // It is never CLOSING: cmds_test_close() ends it.
}

/* The thread of the test is the pool. */
static int test_push_job(
        struct cmdi_server_shard *server_shard, struct cmdi_job_queue *queue, struct cmdi_job *job)
{
    (void)server_shard;
    (void)queue;
    job->state = test_current->pool_state;
    job->fn(job);
    return 0;
}

static bool test_job_may_wait(struct cmdi_server_shard *server_shard)
{
    (void)server_shard;
    return false; // There is no other thread.
}

static void test_job_waited(struct cmdi_server_shard *server_shard)
{
    (void)server_shard; // None has.
}

static const struct cmdi_server_shard_ops test_shard_ops = {
        .on_connection_closed = test_on_connection_closed,
        .on_empty = test_on_empty,
        .push_job = test_push_job,
        .job_may_wait = test_job_may_wait,
        .job_waited = test_job_waited,
        .drain = cmdi_writable_drain,
};

/* --- Opening ---------------------------------------------------------------------------------- */

static int test_start_state(struct cmds_test *test, struct cmds_error *error)
{
    const struct cmds_server_options *options = &test->options;
    int code = 0;
    struct cmdi_test_scope before = cmdi_test_enter(test);
    if (options->on_shard_start != NULL) {
        code = options->on_shard_start(options->receiver, 0, &test->server_shard->shard_state);
    }
    test->shard_started = code >= 0;
    if (code >= 0) {
        test_connect(test);
    }
    cmdi_test_leave(before);
    struct cmdi_code_text room;
    return code < 0 ? cmdi_fail(error, code, "on_shard_start failed: it returned %s",
                              cmdi_program_code(&room, code))
                    : 0;
}

int cmds_test_open(
        struct cmds_test **out, const struct cmds_server_options *options, struct cmds_error *error)
{
    struct cmds_test *test = calloc(1, sizeof(*test));
    struct cmdi_server_core *core = NULL;
    if (test == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a test");
    }
    cmdi_list_init(&test->groups.list);
    int code = test_take_invokers(test, options, error);
    if (code == 0) {
        code = cmdi_server_core_create(&core, &test->options, error);
    }
    if (code == 0) {
        code = cmdi_runtime_create_stepped(&test->runtime, error);
    }
    if (code == 0) {
        test->now_ns = TEST_BEGIN_NS;
        test->shard = test->runtime->shards[0];
        cmdi_shard_step(test->shard, test->now_ns); // Its time begins there.
        test->server_shard = cmdi_server_shard_create(core, test->shard, &test_shard_ops, test);
        code = test->server_shard != NULL ? 0 : cmdi_fail(error, -ENOMEM, "no memory for a test");
    }
    cmdi_server_core_unref(core); // The server shard holds its own.
    if (code < 0) {
        test_free(test);
        return code;
    }
    test->output_size_max = core->limits.output_size_max;
    code = test_start_state(test, error);
    if (code < 0) {
        cmds_test_close(test);
        return code;
    }
    cmdi_test_drive(test);
    *out = test;
    return 0;
}

/* The frame as the server would have received it, straight to the command's execution. */
static int test_execute(
        struct cmds_test *test, struct cmds_message command, uint8_t *body, int64_t size)
{
    uint64_t unfinished = test->server_shard->counters.unfinished_calls;
    struct cmdi_frame frame = {.sequence = ++test->sequence,
            .type = command.type->number,
            .body = body,
            .body_size = (size_t)size};
    struct cmdi_test_scope before = cmdi_test_enter(test);
    test_connect(test);
    if (test->connection == NULL || !cmdi_conn_wake(&test->connection->conn)) {
        cmdi_test_leave(before);
        return -ENOMEM;
    }
    if (test->disconnected) {
        cmdi_conn_fail(&test->connection->conn, CMDS_E_EOF, "disconnected");
    }
    test->code = 0;
    test->connection->conn.more->arrived_ns = test->shard->now_ns;
    int64_t used = cmdi_exec_on_frame(&test->connection->conn, &frame);
    cmdi_test_leave(before);
    cmdi_test_drive(test);
    if (used < 0) {
        return (int)used;
    }
    return test->code == 0 && test->server_shard->counters.unfinished_calls != unfinished
                   ? CMDS_E_UNFINISHED
                   : test->code;
}

int cmds_test_send(struct cmds_test *test, struct cmds_message command)
{
    const struct cmdi_server_core *core = test->server_shard->core;
    const struct cmds_codec *codec = core->options.codec;
    if (!cmdi_type_table_has(&core->commands, command.type)) {
        return CMDS_E_WRONG_TYPE;
    }
    int64_t size = codec->size(codec, command.type, command.value);
    if (size < 0 || size > core->limits.frame_size_max) {
        return size < 0 ? (int)size : CMDS_E_LIMIT;
    }
    uint8_t *body = malloc((size_t)size + 1);
    if (body == NULL) {
        return -ENOMEM;
    }
    (void)codec->encode(codec, command.type, command.value, body, (size_t)size);
    int code = test_execute(test, command, body, size);
    free(body);
    return test->out_of_memory ? -ENOMEM : code;
}

const struct cmds_result *cmds_test_result(struct cmds_test *test, uint32_t index)
{
    cmdi_test_drive(test); // What kept calls have sent meanwhile.
    return index < test->result_count ? test->results[index] : NULL;
}

uint32_t cmds_test_result_count(struct cmds_test *test)
{
    cmdi_test_drive(test);
    return test->result_count;
}

void cmds_test_advance_ms(struct cmds_test *test, uint32_t ms)
{
    uint64_t until_ns = test->now_ns + cmdi_ms_to_ns(ms);
    cmdi_test_drive(test); // Timers that were set meanwhile.
    uint64_t next_ms = cmdi_timer_wheel_next(&test->shard->timers);
    // One moment after the other: a timer may arm the next one.
    while (next_ms <= cmdi_ns_to_ms(until_ns)) {
        test->now_ns = cmdi_ms_to_ns(next_ms);
        cmdi_test_drive(test);
        next_ms = cmdi_timer_wheel_next(&test->shard->timers);
    }
    test->now_ns = until_ns;
    cmdi_test_drive(test);
}

struct cmds_runtime *cmds_test_runtime(struct cmds_test *test)
{
    return test->runtime;
}

void cmds_test_pool_state(struct cmds_test *test, void *state)
{
    test->pool_state = state;
}

void cmds_test_disconnect(struct cmds_test *test)
{
    test->disconnected = true;
    if (test->connection != NULL) {
        struct cmdi_test_scope before = cmdi_test_enter(test);
        cmdi_conn_fail(&test->connection->conn, CMDS_E_EOF, "disconnected");
        cmdi_test_leave(before);
    }
    cmdi_test_drive(test);
}

void cmds_test_output_full(struct cmds_test *test, bool full)
{
    test->server_shard->core->limits.output_size_max = full ? 0 : test->output_size_max;
    if (!full && test->connection != NULL) {
        struct cmdi_test_scope before = cmdi_test_enter(test);
        cmdi_conn_resume(&test->connection->conn);
        cmdi_conn_ready(&test->connection->conn);
        cmdi_test_leave(before);
    }
    cmdi_test_drive(test);
}

void cmds_test_close(struct cmds_test *test)
{
    if (test == NULL) {
        return;
    }
    cmdi_runtime_timers_end(test->runtime); // First, as in a runtime that is stopped.
    cmds_test_disconnect(test);
    if (test->groups.close != NULL) {
        test->groups.close(&test->groups.list);
    }
    cmdi_test_drive(test);
    const struct cmds_server_options *options = &test->options;
    void *shard_state = test->server_shard->shard_state;
    struct cmdi_test_scope before = cmdi_test_enter(test);
    cmdi_calls_end_timers(test->server_shard);
    cmdi_server_shard_end(test->server_shard); // Kept calls may outlive it...
    // ... and what their threads have posted until then ends here.
    cmdi_shard_step(test->shard, test->now_ns);
    if (test->shard_started && options->on_shard_stop != NULL) {
        options->on_shard_stop(options->receiver, 0, shard_state);
    }
    cmdi_test_leave(before);
    test_free(test);
}
