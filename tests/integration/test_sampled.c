/* SPDX-License-Identifier: MIT */
/*
 * Sends with a sampled context from the shard itself, which write the command at once and learn its size by that.
 * What may go wrong: a span has another size than the frame; what a codec refuses has a span, or keeps its memory;
 * the context is lost, or comes to the wrong command; an invoker around the exec function sees less than that does,
 * or the number of the traced type.
 */
#include <string.h>

#include <cmdstream/cmdstream.h>

#include "shard/runtime.h"
#include "shard/shard.h"
#include "shard/spans.h"
#include "support/harness.h"

enum {
    TEXT_MAX = 300,
    COMMANDS = 30, // And as many of one way: each sequence takes a byte.
    SPANS = 3 * COMMANDS,
};

struct pass {
    struct cmds_string text;
};
struct told {
    int64_t number;
};
struct answer {
    int64_t size;
};
CMDS_COMMAND(pass, 0, CMDS_MAX(text, 300));
CMDS_TRACED(pass_traced, 10, pass);
CMDS_COMMAND_ONE_WAY(told, 1, number);
CMDS_TRACED(told_traced, 300, told);
CMDS_RESULT(answer, 0, size);
static const struct cmds_type *const commands[] = {
        &pass_type, &pass_traced_type, &told_type, &told_traced_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("sampled", commands, results);

struct rig {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    struct cmds_trace trace;
    uint32_t left, results, told, others;
    uint32_t invoked, strange; // By the invoker: commands, and those that were not what was sent.
    int refused;
    bool keeps; // Its calls, of which this is the last one.
    struct cmds_call *kept;
    char text[TEXT_MAX + 1];
};

/* Is it a child of the rig's context, as a client of its own has made it? */
static bool is_child(const struct cmds_call *call, const struct rig *rig)
{
    const struct cmds_trace *trace = cmds_call_trace(call);
    return trace != NULL && trace->flags == rig->trace.flags &&
           memcmp(trace->trace_id, rig->trace.trace_id, sizeof(trace->trace_id)) == 0;
}

static int on_pass(struct cmds_call *call, const struct pass *pass)
{
    struct rig *rig = cmds_call_receiver(call);
    const struct answer answer = {(int64_t)pass->text.size};
    rig->others += !is_child(call, rig);
    if (rig->keeps) {
        int code = cmds_call_keep_command(call);
        rig->kept = cmds_call_ref(call);
        return code;
    }
    return cmds_call_send(call, answer_message(&answer));
}

static int on_told(struct cmds_call *call, const struct told *told)
{
    struct rig *rig = cmds_call_receiver(call);
    rig->others += !is_child(call, rig) || told->number != 7;
    rig->told++;
    return 0;
}

/* The command itself, in front of the exec function, with the context, and the span if it is sampled. */
static bool is_whole(const struct cmds_call *call, const struct rig *rig)
{
    const struct pass *pass = pass_of(call);
    const struct told *told = told_of(call);
    const struct cmds_type *type = pass != NULL ? &pass_type : &told_type;
    const struct cmds_span *span = cmds_call_span((struct cmds_call *)(uintptr_t)call);
    bool is_sampled = rig->trace.flags == CMDS_TRACE_SAMPLED;
    return cmds_call_type(call) == type && (span != NULL) == is_sampled &&
           (span == NULL || span->type == type) && is_child(call, rig) &&
           (pass != NULL ? pass->text.size % 7 == 0 : told != NULL && told->number == 7);
}

static int invoker(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    struct rig *rig = receiver;
    rig->invoked++;
    rig->strange += !is_whole(call, rig);
    return cmds_invocation_next(next, call);
}

static void on_answer(void *context, const struct cmds_result *result);

/* As a header makes it in another file: the same type, and another object. */
static struct cmds_message elsewhere(struct cmds_message message)
{
    static struct cmds_type type;
    type = pass_type;
    return (struct cmds_message){&type, message.value};
}

static int send_text(struct rig *rig, size_t size)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    const struct pass pass = {{rig->text, size}};
    how.trace = &rig->trace;
    return cmds_group_send(rig->group, elsewhere(pass_message(&pass)), &how, on_answer, rig);
}

/* The next ones leave on the shard, of each length of a length. */
static void send_next(struct rig *rig)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    const struct told told = {7};
    how.trace = &rig->trace;
    rig->left--;
    rig->refused += send_text(rig, TEXT_MAX + 1) == CMDS_E_LIMIT;
    CU_ASSERT_EQUAL(cmds_group_send(rig->group, told_message(&told), &how, NULL, NULL), 0);
    CU_ASSERT_EQUAL(send_text(rig, (size_t)7 * rig->left), 0);
}

static void on_answer(void *context, const struct cmds_result *result)
{
    struct rig *rig = context;
    CU_ASSERT_EQUAL(result->error, 0);
    rig->results++;
    if (rig->left > 0) {
        send_next(rig);
    }
}

static void rig_open(struct rig *rig, const struct cmds_trace_options *trace)
{
    static const cmds_invoker_fn invokers[] = {invoker};
    static const struct cmds_exec execs[] = {CMDS_EXEC(pass, on_pass), CMDS_EXEC(told, on_told)};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    char address[64];
    *rig = (struct rig){.left = COMMANDS};
    memset(rig->text, 'x', sizeof(rig->text));
    memset(rig->trace.trace_id, 0x5a, sizeof(rig->trace.trace_id));
    memset(rig->trace.span_id, 0xa5, sizeof(rig->trace.span_id));
    rig->trace.flags = CMDS_TRACE_SAMPLED;
    options.shard_count = CMDS_SHARDS_INLINE;
    options.trace = trace;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&rig->runtime, &options, NULL), 0);
    server.listen = "127.0.0.1:0";
    server.receiver = rig;
    server.invokers = invokers;
    server.invoker_count = 1;
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&rig->server, rig->runtime, &server, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_server_address(rig->server, 0, address, sizeof(address)), 0);
    group.connect = address;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&rig->group, rig->runtime, &group, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(rig->group, 30000, NULL), 0);
}

static void rig_close(struct rig *rig)
{
    cmds_group_close(rig->group, NULL, NULL);
    cmds_server_close(rig->server);
    cmds_runtime_stop(rig->runtime);
}

static void run(struct rig *rig)
{
    send_next(rig);
    while (rig->results < COMMANDS || rig->told < COMMANDS) {
        CU_ASSERT_FATAL(cmds_runtime_turn(rig->runtime, CMDS_NEVER) >= 0);
    }
}

/* Returns: the span of the server below `send`; NULL: there is none. */
static const struct cmds_span *span_below(
        const struct cmds_span *spans, uint32_t count, const struct cmds_span *send)
{
    for (uint32_t i = 0; i < count; i++) {
        if (spans[i].kind == CMDS_SPAN_SERVER &&
                memcmp(spans[i].parent_id, send->span_id, sizeof(send->span_id)) == 0) {
            return &spans[i];
        }
    }
    return NULL;
}

/* The two sides agree on the frame. Returns: how many of the client's there are. */
static uint32_t sends_are_whole(
        const struct rig *rig, const struct cmds_span *spans, uint32_t count)
{
    uint32_t sends = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_span *send = &spans[i];
        if (send->kind != CMDS_SPAN_CLIENT) {
            continue;
        }
        const struct cmds_span *invoke = span_below(spans, count, send);
        CU_ASSERT_PTR_NOT_NULL_FATAL(invoke);
        CU_ASSERT_EQUAL(send->size, invoke->size);
        CU_ASSERT_EQUAL(send->error, 0);
        CU_ASSERT_PTR_EQUAL(send->type, invoke->type);
        CU_ASSERT_EQUAL(send->flags, CMDS_SPAN_TRACED);
        CU_ASSERT_EQUAL(invoke->flags, CMDS_SPAN_TRACED | CMDS_SPAN_REMOTE_PARENT);
        CU_ASSERT_EQUAL(memcmp(send->parent_id, rig->trace.span_id, sizeof(send->parent_id)), 0);
        CU_ASSERT_EQUAL(memcmp(send->trace_id, rig->trace.trace_id, sizeof(send->trace_id)), 0);
        CU_ASSERT(send->start_ns <= send->end_ns);
        bool is_pass = send->type == &pass_type;
        CU_ASSERT_EQUAL(invoke->event_count, is_pass);
        CU_ASSERT(!is_pass || (invoke->end_ns == invoke->events[0].time_ns &&
                                      invoke->events[0].type == &answer_type));
        sends++;
    }
    return sends;
}

static void test_sampled_sends_of_a_shard_know_their_size(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct rig rig;
    struct cmds_span spans[2 * SPANS];
    rig_open(&rig, &trace);

    run(&rig);

    uint32_t count = cmds_span_take(rig.runtime, spans, 2 * SPANS);
    CU_ASSERT_EQUAL(count, 4 * COMMANDS);
    CU_ASSERT_EQUAL(sends_are_whole(&rig, spans, count), 2 * COMMANDS);
    CU_ASSERT_EQUAL(rig.others, 0);
    CU_ASSERT_EQUAL(rig.refused, COMMANDS); // Of which no span says anything.
    rig_close(&rig);
}

static void on_lost(void *context, const struct cmds_result *result)
{
    *(int *)context = result->error;
}

/* What it has of its shard is its keeper's when that is gone. */
static void test_sampled_call_outlives_its_runtime(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct rig rig;
    int error = 0;
    rig_open(&rig, &trace);
    const struct pass pass = {{rig.text, 7}};
    rig.keeps = true;
    how.trace = &rig.trace;
    CU_ASSERT_EQUAL(cmds_group_send(rig.group, pass_message(&pass), &how, on_lost, &error), 0);
    while (rig.kept == NULL) {
        CU_ASSERT_FATAL(cmds_runtime_turn(rig.runtime, CMDS_NEVER) >= 0);
    }

    rig_close(&rig);

    CU_ASSERT(error < 0 && cmds_call_is_cancelled(rig.kept));
    CU_ASSERT(is_child(rig.kept, &rig));
    CU_ASSERT_EQUAL(pass_of(rig.kept)->text.size, 7);
    cmds_call_unref(rig.kept);
}

static void on_span_end(void *context, struct cmds_span *span)
{
    *(uint32_t *)context += 1;
    cmds_span_set(span, "more", cmds_string_from("here"));
}

/* What is asked before, and a ring that is full, take the other way to the same end. */
static void test_sampled_ones_are_alike_when_somebody_sees_them_first(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct rig rig;
    struct cmds_span spans[2 * SPANS];
    uint32_t seen = 0, at = 0;
    const char *key = NULL;
    struct cmds_string value;
    trace.on_span_end = on_span_end;
    trace.context = &seen;
    rig_open(&rig, &trace);

    run(&rig);

    uint32_t count = cmds_span_take(rig.runtime, spans, 2 * SPANS);
    CU_ASSERT_EQUAL(count, 4 * COMMANDS);
    CU_ASSERT_EQUAL(seen, count);
    CU_ASSERT_EQUAL(sends_are_whole(&rig, spans, count), 2 * COMMANDS);
    for (uint32_t i = 0; i < count; i++, at = 0) {
        CU_ASSERT(cmds_span_attribute(&spans[i], &at, &key, &value));
    }
    rig_close(&rig);
}

static void test_sampled_ones_give_way_in_a_full_ring(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct rig rig;
    struct cmds_span spans[2 * SPANS];
    trace.span_count = 16;
    rig_open(&rig, &trace);

    run(&rig);

    uint32_t count = cmds_span_take(rig.runtime, spans, 2 * SPANS);
    CU_ASSERT(count >= 16 && count <= 2 * 16); // The shard's, and those of sends between two turns.
    CU_ASSERT_EQUAL(count + cmds_span_dropped(rig.runtime), 4 * COMMANDS);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT(spans[i].end_ns >= spans[i].start_ns && spans[i].size > 0);
    }
    rig_close(&rig);
}

/* Who sends between two turns is no shard: the rate of all such threads counts, and the shard's is its server's. */
static void test_sampled_roots_between_turns_are_not_the_shards(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct rig rig;
    const struct pass pass = {{NULL, 0}};
    rig_open(&rig, &trace);
    const struct cmdi_sampler *others = &rig.runtime->spans->sampler;
    const struct cmdi_sampler *own = &rig.runtime->shards[0]->spans->sampler;
    rig.left = 0;

    CU_ASSERT_EQUAL(cmds_group_send(rig.group, pass_message(&pass), NULL, on_answer, &rig), 0);

    CU_ASSERT_EQUAL(others->rate_count, 1);
    CU_ASSERT_EQUAL(own->rate_until_ms, 0); // It was not asked.
    while (rig.results < 1) {
        CU_ASSERT_FATAL(cmds_runtime_turn(rig.runtime, CMDS_NEVER) >= 0);
    }
    rig_close(&rig);
}

static void check_invoker(uint8_t flags)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct rig rig;
    rig_open(&rig, &trace);
    rig.trace.flags = flags;

    run(&rig);

    CU_ASSERT_EQUAL(rig.invoked, 2 * COMMANDS);
    CU_ASSERT_EQUAL(rig.strange, 0);
    CU_ASSERT_EQUAL(rig.others, 0);
    rig_close(&rig);
}

static void test_sampled_command_is_whole_in_an_invoker(void)
{
    check_invoker(CMDS_TRACE_SAMPLED);
}

static void test_unsampled_command_has_its_context_alone_in_an_invoker(void)
{
    check_invoker(0);
}

static CU_TestInfo tests[] = {
        {"call outlives its runtime", test_sampled_call_outlives_its_runtime},
        {"sends of a shard know their size", test_sampled_sends_of_a_shard_know_their_size},
        {"they are alike when somebody sees them first",
                test_sampled_ones_are_alike_when_somebody_sees_them_first},
        {"they give way in a full ring", test_sampled_ones_give_way_in_a_full_ring},
        {"roots between turns are not the shards",
                test_sampled_roots_between_turns_are_not_the_shards},
        {"one is whole in an invoker", test_sampled_command_is_whole_in_an_invoker},
        {"an unsampled one has its context alone in an invoker",
                test_unsampled_command_has_its_context_alone_in_an_invoker},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sampled", tests)
