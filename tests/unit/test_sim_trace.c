/* SPDX-License-Identifier: MIT */
/*
 * Contexts of traces from a client through a server to the server behind it, in a world. What may go
 * wrong: a context is lost on the way through another shard, or comes to another command; what points
 * to a peer's bytes is read when they are gone; a command is sent as another one because of its
 * context; a bad context ends a good command.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"
#include "support/sim_spans.h"

enum {
    SHARDS = 2,
    COMMANDS = 40,
    LATER_MS = 5,
    FAILS = 1000, // Commands of these numbers are not answered: the exec function fails,
    WAITS = 1001, // or keeps the call until it is given up.
    EXEC_MS = 50,
    DEADLINE_MS = 200,
};

struct pass {
    int64_t number;
    struct cmds_string text;
};
struct bare {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(pass, 0, number, text);
CMDS_COMMAND(bare, 1, number);
CMDS_TRACED(pass_traced, 10, pass);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&pass_type, &bare_type, &pass_traced_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("trace", commands, results);

static const struct cmds_trace_options *trace_options; // Of all; NULL: no spans.

static int start_runtime(struct cmds_runtime **runtime)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = SHARDS;
    options.trace = trace_options;
    return cmds_runtime_start(runtime, &options, NULL);
}

/* --- The last server: what has come there ------------------------------------------------------ */

struct seen {
    uint32_t count, traced;
    struct cmds_trace trace;
    struct cmds_string state, baggage; // In `text`.
    char text[3000];
};
static struct seen seen[COMMANDS];

static struct cmds_string see_text(char *to, struct cmds_string text)
{
    for (size_t i = 0; i < text.size; i++) {
        to[i] = text.data[i];
    }
    return (struct cmds_string){to, text.size};
}

static void see(struct cmds_call *call, int64_t number)
{
    const struct cmds_trace *trace = cmds_call_trace(call);
    if (number < 0 || number >= COMMANDS) {
        return;
    }
    struct seen *at = &seen[number];
    at->count++;
    if (trace != NULL) {
        at->traced++;
        at->trace = *trace;
        at->state = see_text(at->text, trace->state);
        at->baggage = see_text(at->text + trace->state.size, trace->baggage);
    }
}

static int answer_with(struct cmds_call *call, int64_t number)
{
    struct answer answer = {number};
    return cmds_call_send(call, answer_message(&answer));
}

static void on_later(struct cmds_call *call)
{
    see(call, pass_of(call)->number);
    (void)answer_with(call, pass_of(call)->number);
}

static void on_nothing(struct cmds_call *call)
{
    (void)call;
}

/* Every other one is looked at when its bytes are gone. */
static int last_pass(struct cmds_call *call, const struct pass *pass)
{
    if (pass->number == FAILS) {
        return CMDS_E_LIMIT;
    }
    if (pass->number == WAITS) {
        cmds_call_on_cancel(call, cmds_call_unref);
        (void)cmds_call_ref(call);
        return 0;
    }
    if (pass->number % 2 != 0) {
        int code = cmds_call_keep_command(call);
        return code < 0 ? code : cmds_call_after(call, LATER_MS, on_later);
    }
    see(call, pass->number);
    cmds_call_event(call, "seen");
    struct cmds_span *span = cmds_call_span(call);
    if (span != NULL) {
        cmds_span_set(span, "text", pass->text);
    }
    int code = answer_with(call, pass->number);
    return code < 0 ? code : cmds_call_after(call, LATER_MS, on_nothing); // Its span ends before.
}

static int last_bare(struct cmds_call *call, const struct bare *bare)
{
    see(call, bare->number);
    return answer_with(call, bare->number);
}

static bool resample;

static int last_main(void *context)
{
    static const struct cmds_exec execs[] = {
            CMDS_EXEC(pass, last_pass), CMDS_EXEC(bare, last_bare)};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    options.listen = "0.0.0.0:9000";
    options.resample_traces = resample;
    options.exec_timeout_ms = EXEC_MS;
    int code = start_runtime(&runtime);
    code = code < 0 ? code : cmds_server_start(&server, runtime, &options, NULL);
    cmds_sim_wait_stop();
    cmds_server_close(server);
    keep(runtime, LAST);
    cmds_runtime_stop(runtime);
    return code;
}

/* --- The server between ------------------------------------------------------------------------ */

struct middle {
    struct cmds_group *group;
    uint32_t client_count;
};

static void on_passed(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct answer *answer = answer_of(result);
    if (answer != NULL) {
        (void)answer_with(call, answer->number);
    } else {
        cmds_call_fail(call, cmds_result_cause(result), NULL);
    }
}

static int middle_pass(struct cmds_call *call, const struct pass *pass)
{
    struct middle *middle = cmds_call_receiver(call);
    return cmds_group_forward(middle->group, pass_message(pass), NULL, call, on_passed, NULL);
}

static int middle_bare(struct cmds_call *call, const struct bare *bare)
{
    struct middle *middle = cmds_call_receiver(call);
    return cmds_group_forward(middle->group, bare_message(bare), NULL, call, on_passed, NULL);
}

static int middle_main(void *context)
{
    static const struct cmds_exec execs[] = {
            CMDS_EXEC(pass, middle_pass), CMDS_EXEC(bare, middle_bare)};
    struct middle *middle = context;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    group_options.connect = "last:9000";
    group_options.client_count = middle->client_count;
    options.listen = "0.0.0.0:9000";
    options.receiver = middle;
    int code = start_runtime(&runtime);
    code = code < 0 ? code : cmds_group_open(&middle->group, runtime, &group_options, NULL);
    code = code < 0 ? code : cmds_group_wait(middle->group, 1000, NULL);
    code = code < 0 ? code : cmds_server_start(&server, runtime, &options, NULL);
    cmds_sim_wait_stop();
    cmds_server_close(server);
    cmds_group_close(middle->group, NULL, NULL);
    keep(runtime, MIDDLE);
    cmds_runtime_stop(runtime);
    return code;
}

/* --- The client ------------------------------------------------------------------------------- */

struct user {
    struct cmds_group *group;
    _Atomic uint32_t answers, failures;
    const struct cmds_trace *(*context)(int64_t number);
    const struct cmds_hooks *hooks;
};

static void on_answer(void *context, const struct cmds_result *result)
{
    struct user *user = context;
    atomic_fetch_add(answer_of(result) != NULL ? &user->answers : &user->failures, 1);
}

static char many[2500]; // Of a baggage that no pool holds.

/* Of each command its own; the number is in the ids. */
static const struct cmds_trace *context_of(int64_t number)
{
    static struct cmds_trace trace;
    memset(&trace, 0, sizeof(trace));
    memset(trace.trace_id, 0x11, sizeof(trace.trace_id));
    memset(trace.span_id, 0x22, sizeof(trace.span_id));
    trace.trace_id[15] = (uint8_t)number;
    trace.flags = number % 4 < 2;
    if (number % 3 == 0) {
        trace.state = cmds_string_from("vendor=1");
        trace.baggage = cmds_string_from("user=alice");
    } else if (number % 3 == 1) {
        memset(many, 'b', sizeof(many));
        trace.baggage = (struct cmds_string){many, sizeof(many)};
    }
    return number % 5 == 4 ? NULL : &trace;
}

static int user_main(void *context)
{
    struct user *user = context;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    options.connect = "middle:9000";
    options.client_count = 2 * SHARDS; // So that each shard there has calls.
    options.hooks = user->hooks != NULL ? &user->hooks : NULL;
    options.hooks_count = user->hooks != NULL;
    int code = start_runtime(&runtime);
    code = code < 0 ? code : cmds_group_open(&user->group, runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_wait(user->group, 1000, NULL);
    for (int64_t i = 0; i < COMMANDS && code == 0; i++) {
        struct pass pass = {i, CMDS_STRING("text")};
        struct bare bare = {i};
        how.trace = user->context(i);
        code = cmds_group_send(user->group, i % 10 == 9 ? bare_message(&bare) : pass_message(&pass),
                &how, on_answer, user);
    }
    code = code < 0 ? code : cmds_group_drain(user->group, 5000);
    cmds_group_close(user->group, NULL, NULL);
    keep(runtime, USER);
    cmds_runtime_stop(runtime);
    return code;
}

static struct user user;

static void run(uint64_t seed, uint32_t client_count)
{
    struct middle middle = {.client_count = client_count};
    struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
    struct cmds_sim_report report;
    (void)add(sim, "last", true, last_main, NULL);
    (void)add(sim, "middle", true, middle_main, &middle);
    (void)add(sim, "user", false, user_main, &user);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    CU_ASSERT_EQUAL(report.files_left + report.threads_left + report.blocks_left, 0);
    CU_ASSERT_EQUAL(user.answers, COMMANDS);
    CU_ASSERT_EQUAL(user.failures, 0);
}

static void reset(const struct cmds_trace *(*context)(int64_t number))
{
    memset(seen, 0, sizeof(seen));
    memset(kept, 0, sizeof(kept));
    trace_options = NULL;
    resample = false;
    user = (struct user){.context = context};
}

/* --- The tests -------------------------------------------------------------------------------- */

static void has_come(int64_t number)
{
    const struct seen *at = &seen[number];
    const struct cmds_trace *sent = context_of(number);
    bool traced = sent != NULL && number % 10 != 9;
    CU_ASSERT_EQUAL(at->count, 1);
    CU_ASSERT_EQUAL(at->traced, traced);
    if (traced && at->traced == 1) {
        CU_ASSERT_EQUAL(memcmp(at->trace.trace_id, sent->trace_id, sizeof(sent->trace_id)), 0);
        CU_ASSERT_EQUAL(memcmp(at->trace.span_id, sent->span_id, sizeof(sent->span_id)), 0);
        CU_ASSERT_EQUAL(at->trace.flags, sent->flags);
        CU_ASSERT(cmds_string_equal(at->state, sent->state));
        CU_ASSERT(cmds_string_equal(at->baggage, sent->baggage));
    }
}

static void test_sim_trace_passes_through(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(3); seed++) {
        for (uint32_t client_count = 1; client_count <= 2; client_count++) {
            reset(context_of);

            run(seed, client_count); // One connection: half of the calls go by the other shard.

            for (int64_t i = 0; i < COMMANDS; i++) {
                has_come(i);
            }
        }
    }
}

/* What no peer would take is left out. */
static const struct cmds_trace *bad_context(int64_t number)
{
    static struct cmds_trace trace;
    memset(&trace, 0, sizeof(trace));
    if (number > 0) {
        memset(trace.trace_id, 0x11, sizeof(trace.trace_id));
        memset(trace.span_id, 0x22, sizeof(trace.span_id));
        trace.state = cmds_string_from("A=1");
        trace.baggage = cmds_string_from("\xff");
    }
    return &trace;
}

static void test_sim_trace_bad_ones_end_nothing(void)
{
    reset(bad_context);

    run(7, 2);

    CU_ASSERT_EQUAL(kept[LAST].metric, -1); // Nobody keeps spans here.

    CU_ASSERT_EQUAL(seen[0].traced, 0); // All zero: it is no context.
    CU_ASSERT_EQUAL(seen[1].traced, 1);
    CU_ASSERT_EQUAL(seen[1].trace.state.size, 0);
    CU_ASSERT_EQUAL(seen[1].trace.baggage.size, 0);
}

static _Atomic uint32_t others;

static int before_send(void *context, struct cmds_sent_command *command)
{
    const struct pass *pass = command->value;
    (void)context;
    if (command->type->number == pass_type.number) {
        others += !cmds_string_equal(pass->text, cmds_string_from("text"));
    } else {
        others += command->type->number != bare_type.number;
    }
    return 0;
}

static void test_sim_trace_hooks_see_the_command(void)
{
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    hooks.before_send = before_send;
    reset(context_of);
    user.hooks = &hooks;
    others = 0;

    run(9, 1);

    CU_ASSERT_EQUAL(others, 0);
    has_come(1);
}

/* --- Spans of what was sampled ----------------------------------------------------------------- */

static void span_is_whole(const struct cmds_span *span, bool is_remote)
{
    CU_ASSERT_STRING_EQUAL(span->type->schema->name, "pass");
    CU_ASSERT(span->start_ns > 0 && span->start_ns <= span->end_ns);
    CU_ASSERT(span->sequence > 0);
    CU_ASSERT(span->size > 80); // With the context.
    CU_ASSERT_EQUAL(span->error, 0);
    CU_ASSERT_EQUAL(span->flags, CMDS_SPAN_TRACED | (is_remote ? CMDS_SPAN_REMOTE_PARENT : 0));
    CU_ASSERT_PTR_NOT_NULL(strchr(span->peer, ':'));
}

/* user, "Send" -> middle, "Invoke" -> middle, "Send" -> last, "Invoke". */
static void has_its_chain(int64_t number)
{
    const struct cmds_trace *sent = context_of(number);
    const struct cmds_span *send = child(USER, CMDS_SPAN_CLIENT, sent->span_id, sent->trace_id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(send);
    const struct cmds_span *invoke = child(MIDDLE, CMDS_SPAN_SERVER, send->span_id, sent->trace_id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(invoke);
    const struct cmds_span *on = child(MIDDLE, CMDS_SPAN_CLIENT, invoke->span_id, sent->trace_id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(on);
    const struct cmds_span *last = child(LAST, CMDS_SPAN_SERVER, on->span_id, sent->trace_id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    span_is_whole(send, false);
    span_is_whole(invoke, true);
    span_is_whole(on, false);
    span_is_whole(last, true);
    CU_ASSERT_EQUAL(send->size, invoke->size);
    CU_ASSERT_EQUAL(send->sequence, invoke->sequence);
    CU_ASSERT_EQUAL(on->size, last->size);
    CU_ASSERT_STRING_EQUAL(send->peer, "middle:9000");
    CU_ASSERT(send->start_ns <= invoke->start_ns && last->end_ns <= send->end_ns);
    CU_ASSERT_EQUAL(memcmp(seen[number].trace.span_id, last->span_id, 8), 0);
    CU_ASSERT_EQUAL(last->event_count, number % 2 == 0 ? 2 : 1);
    const struct cmds_span_event *result = &last->events[last->event_count - 1];
    CU_ASSERT_EQUAL(result->number, 1);
    CU_ASSERT_PTR_EQUAL(result->type->schema, answer_type.schema);
    CU_ASSERT_EQUAL(result->size, 5);
    CU_ASSERT_EQUAL(last->end_ns, result->time_ns);
    if (number % 2 == 0) {
        const char *key = NULL;
        struct cmds_string value;
        uint32_t at = 0;
        CU_ASSERT_STRING_EQUAL(last->events[0].name, "seen");
        CU_ASSERT_FATAL(cmds_span_attribute(last, &at, &key, &value));
        CU_ASSERT_STRING_EQUAL(key, "text");
        CU_ASSERT(cmds_string_equal(value, cmds_string_from("text")));
    }
}

static void test_sim_trace_sampled_ones_have_spans(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    options.root_ratio = -1;
    for (uint32_t client_count = 1; client_count <= 2; client_count++) {
        uint32_t count = 0;
        uint32_t bare_count = 0;
        reset(context_of);
        trace_options = &options;

        run(21, client_count);

        for (int64_t i = 0; i < COMMANDS; i++) {
            bool is_sampled = context_of(i) != NULL && context_of(i)->flags == 1;
            bool is_bare = i % 10 == 9;
            count += is_sampled && !is_bare;
            bare_count += is_sampled && is_bare;
            if (is_sampled && !is_bare) {
                has_its_chain(i);
            } else if (!is_bare) {
                has_come(i); // An unsampled one passes on as it was.
            }
        }
        CU_ASSERT_EQUAL(kept[USER].count, count + bare_count);
        CU_ASSERT_EQUAL(kept[MIDDLE].count, 2 * count);
        CU_ASSERT_EQUAL(kept[LAST].count, count);
        exemplar_is_of_a_span(&kept[LAST], CMDS_SPAN_SERVER);
        exemplar_is_of_a_span(&kept[MIDDLE], CMDS_SPAN_SERVER);
        exemplar_is_of_a_span(&kept[MIDDLE], CMDS_SPAN_CLIENT);
        exemplar_is_of_a_span(&kept[USER], CMDS_SPAN_CLIENT);
        CU_ASSERT(!kept[USER].has_exemplar[CMDS_SPAN_SERVER]);
    }
}

static const struct cmds_trace *no_context(int64_t number)
{
    (void)number;
    return NULL;
}

/* All zero: wherever it is sent from, a trace begins there. */
static const struct cmds_trace *new_context(int64_t number)
{
    static const struct cmds_trace trace;
    (void)number;
    return &trace;
}

static void test_sim_trace_begins_where_it_is_told(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    const uint8_t none[8] = {0};
    reset(new_context);
    trace_options = &options;

    run(22, 2);

    uint32_t roots = 0;
    for (uint32_t i = 0; i < kept[USER].count; i++) {
        roots += memcmp(kept[USER].spans[i].parent_id, none, sizeof(none)) == 0;
    }
    CU_ASSERT_EQUAL(kept[USER].count, COMMANDS);
    CU_ASSERT_EQUAL(roots, COMMANDS);
    CU_ASSERT_EQUAL(seen[0].traced, 1);
}

static uint32_t count_roots(int process, int kind)
{
    const uint8_t none[8] = {0};
    uint32_t roots = 0;
    for (uint32_t i = 0; i < kept[process].count; i++) {
        const struct cmds_span *span = &kept[process].spans[i];
        roots += span->kind == kind && memcmp(span->parent_id, none, sizeof(none)) == 0;
    }
    return roots;
}

/*
 * A send without a context begins one, up to its rate, and the command has it; what is beyond it comes
 * without, and the server begins one, up to its own.
 */
static void test_sim_trace_begins_with_a_send(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    options.span_rate_max = 3; // Of each of two shards, and of other threads.
    reset(no_context);
    trace_options = &options;

    run(23, 2);

    CU_ASSERT(kept[USER].count >= 3 && kept[USER].count <= 2 * 3); // A second may pass.
    CU_ASSERT_EQUAL(count_roots(USER, CMDS_SPAN_CLIENT), kept[USER].count);
    uint32_t followed = 0;
    for (uint32_t i = 0; i < kept[USER].count; i++) {
        const struct cmds_span *send = &kept[USER].spans[i];
        const struct cmds_span *invoke =
                child(MIDDLE, CMDS_SPAN_SERVER, send->span_id, send->trace_id);
        CU_ASSERT_PTR_EQUAL(send->type->schema, invoke != NULL ? invoke->type->schema : NULL);
        followed += invoke != NULL;
    }
    CU_ASSERT(followed >= 3);
    CU_ASSERT(count_roots(MIDDLE, CMDS_SPAN_SERVER) >= 3);
    options.root_ratio = -1;
    reset(no_context);
    trace_options = &options;
    run(23, 2);
    CU_ASSERT_EQUAL(kept[USER].count + kept[MIDDLE].count + kept[LAST].count, 0);
}

/* A server may choose by itself, whatever its peers say. */
static void test_sim_trace_may_be_sampled_again(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    options.root_ratio = -1;
    reset(context_of);
    trace_options = &options;
    resample = true;

    run(24, 2);

    CU_ASSERT_EQUAL(kept[LAST].count, 0);
    CU_ASSERT(kept[MIDDLE].count > 0);
    CU_ASSERT_EQUAL(seen[0].trace.flags, 0);
}

/* --- Spans of what went wrong ------------------------------------------------------------------- */

static void on_end(void *context, const struct cmds_result *result)
{
    (void)context;
    atomic_fetch_add(&user.failures, result->error != 0);
}

/* Straight to the last server: one that fails, one that is given up, and one that cannot be sent. */
static int unlucky_main(void *context)
{
    static const int64_t numbers[] = {FAILS, WAITS};
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    (void)context;
    options.connect = "last:9000";
    options.deadline_ms = DEADLINE_MS;
    options.in_flight_max = 2;
    int code = start_runtime(&runtime);
    code = code < 0 ? code : cmds_group_open(&user.group, runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_wait(user.group, 1000, NULL);
    for (size_t i = 0; i < 3 && code == 0; i++) {
        struct pass pass = {numbers[i % 2], CMDS_STRING("text")};
        how.trace = context_of((int64_t)i * 20); // Each of them is sampled.
        code = cmds_group_send(user.group, pass_message(&pass), &how, on_end, NULL);
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    code = cmds_group_drain(user.group, 5000);
    cmds_group_close(user.group, NULL, NULL);
    keep(runtime, USER);
    cmds_runtime_stop(runtime);
    return code;
}

static void test_sim_trace_failures_are_in_their_spans(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    const int sent[] = {CMDS_E_TIMEOUT, CMDS_E_TIMEOUT, -ENOBUFS};
    const int invoked[] = {CMDS_E_LIMIT, CMDS_E_TIMEOUT};
    reset(context_of);
    trace_options = &options;
    struct cmds_sim *sim = open_world(26, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "last", true, last_main, NULL);
    (void)add(sim, "user", false, unlucky_main, NULL);
    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(user.failures, 2);
    CU_ASSERT_EQUAL(kept[USER].count, 3);
    CU_ASSERT_EQUAL(kept[LAST].count, 2);
    for (int64_t i = 0; i < 3; i++) {
        const struct cmds_trace *context = context_of(20 * i);
        const struct cmds_span *span =
                child(USER, CMDS_SPAN_CLIENT, context->span_id, context->trace_id);
        CU_ASSERT_PTR_NOT_NULL_FATAL(span);
        CU_ASSERT_EQUAL(span->error, sent[i]);
        CU_ASSERT(i == 2 || span->end_ns - span->start_ns >= DEADLINE_MS * 1000000ull);
        const struct cmds_span *other =
                child(LAST, CMDS_SPAN_SERVER, span->span_id, context->trace_id);
        CU_ASSERT_EQUAL(other != NULL, i < 2);
        CU_ASSERT(other == NULL || other->error == invoked[i]);
        CU_ASSERT(other == NULL || other->event_count == 0);
    }
}

static _Atomic uint32_t ended;

static void on_span_end(void *context, struct cmds_span *span)
{
    atomic_fetch_add(&ended, context == &ended && span->end_ns >= span->start_ns);
    cmds_span_set(span, "more", cmds_string_from("here"));
}

static void test_sim_trace_full_ring_drops_and_counts(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    options.span_count = 16;
    options.span_rate_max = 1000000;
    options.on_span_end = on_span_end;
    options.context = &ended;
    reset(new_context);
    trace_options = &options;
    ended = 0;

    run(25, 2);

    uint64_t spans = 0;
    for (int i = 0; i < PROCESSES; i++) {
        CU_ASSERT(kept[i].count <= 16 * (SHARDS + 1));
        spans += kept[i].count + kept[i].dropped;
    }
    CU_ASSERT(kept[MIDDLE].dropped > 0);
    CU_ASSERT_EQUAL(kept[MIDDLE].metric, (int64_t)kept[MIDDLE].dropped);
    CU_ASSERT_EQUAL(ended, spans);
    CU_ASSERT(kept[MIDDLE].spans[0].attribute_size > 0);
}

static CU_TestInfo test_sim_trace[] = {
        {"passes through", test_sim_trace_passes_through},
        {"bad ones end nothing", test_sim_trace_bad_ones_end_nothing},
        {"hooks see the command", test_sim_trace_hooks_see_the_command},
        {"sampled ones have spans", test_sim_trace_sampled_ones_have_spans},
        {"begins where it is told", test_sim_trace_begins_where_it_is_told},
        {"begins with a send", test_sim_trace_begins_with_a_send},
        {"may be sampled again", test_sim_trace_may_be_sampled_again},
        {"failures are in their spans", test_sim_trace_failures_are_in_their_spans},
        {"a full ring drops and counts", test_sim_trace_full_ring_drops_and_counts},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_trace", test_sim_trace)
