/* SPDX-License-Identifier: MIT */
/*
 * Contexts of traces from a client through a server to the server behind it, in a world. What may go
 * wrong: a context is lost on the way through another shard, or comes to another command; what points
 * to a peer's bytes is read when they are gone; a command is sent as another one because of its
 * context; a bad context ends a good command.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <stdatomic.h>
#include <string.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    SHARDS = 2,
    COMMANDS = 40,
    LATER_MS = 5,
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

/* --- The last server: what has come there ------------------------------------------------------ */

struct seen {
    uint32_t count, traced;
    struct cmds_trace trace;
    char state[32], baggage[3000];
};
static struct seen seen[COMMANDS];

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
        memcpy(at->state, trace->state.data, trace->state.size);
        memcpy(at->baggage, trace->baggage.data, trace->baggage.size);
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

/* Every other one is looked at when its bytes are gone. */
static int last_pass(struct cmds_call *call, const struct pass *pass)
{
    if (pass->number % 2 != 0) {
        int code = cmds_call_keep_command(call);
        return code < 0 ? code : cmds_call_after(call, LATER_MS, on_later);
    }
    see(call, pass->number);
    return answer_with(call, pass->number);
}

static int last_bare(struct cmds_call *call, const struct bare *bare)
{
    see(call, bare->number);
    return answer_with(call, bare->number);
}

static int last_main(void *context)
{
    static const struct cmds_exec execs[] = {
            CMDS_EXEC(pass, last_pass), CMDS_EXEC(bare, last_bare)};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    options.listen = "0.0.0.0:9000";
    return cmds_server_main(&options);
}

/* --- The server between ------------------------------------------------------------------------ */

struct middle {
    struct cmds_group *group;
    uint32_t client_count;
};

static void on_passed(struct cmds_call *call, const struct cmds_result *result)
{
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
    return cmds_group_forward(middle->group, pass_message(pass), call, on_passed);
}

static int middle_bare(struct cmds_call *call, const struct bare *bare)
{
    struct middle *middle = cmds_call_receiver(call);
    return cmds_group_forward(middle->group, bare_message(bare), call, on_passed);
}

static int middle_main(void *context)
{
    static const struct cmds_exec execs[] = {
            CMDS_EXEC(pass, middle_pass), CMDS_EXEC(bare, middle_bare)};
    struct middle *middle = context;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    runtime_options.shard_count = SHARDS;
    group_options.connect = "last:9000";
    group_options.client_count = middle->client_count;
    options.listen = "0.0.0.0:9000";
    options.receiver = middle;
    int code = cmds_runtime_start(&runtime, &runtime_options, NULL);
    code = code < 0 ? code : cmds_group_open(&middle->group, runtime, &group_options, NULL);
    code = code < 0 ? code : cmds_group_wait(middle->group, 1000, NULL);
    code = code < 0 ? code : cmds_server_start(&server, runtime, &options, NULL);
    cmds_sim_wait_stop();
    cmds_server_close(server);
    cmds_group_close(middle->group, NULL, NULL);
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
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    options.connect = "middle:9000";
    options.client_count = 2 * SHARDS; // So that each shard there has calls.
    options.hooks = user->hooks != NULL ? &user->hooks : NULL;
    options.hooks_count = user->hooks != NULL;
    int code = cmds_runtime_start(&runtime, &runtime_options, NULL);
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
        CU_ASSERT_EQUAL(at->trace.state.size, sent->state.size);
        CU_ASSERT_EQUAL(at->trace.baggage.size, sent->baggage.size);
        CU_ASSERT_EQUAL(memcmp(at->state, sent->state.data, sent->state.size), 0);
        CU_ASSERT_EQUAL(memcmp(at->baggage, sent->baggage.data, sent->baggage.size), 0);
    }
}

static void test_sim_trace_passes_through(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
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

static CU_TestInfo test_sim_trace[] = {
        {"passes through", test_sim_trace_passes_through},
        {"bad ones end nothing", test_sim_trace_bad_ones_end_nothing},
        {"hooks see the command", test_sim_trace_hooks_see_the_command},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_trace", test_sim_trace)
