/* SPDX-License-Identifier: MIT */
/*
 * What a schema announces, on both sides: one-way commands, empty messages, results of which none
 * or one that its value names is the last, and every item that a row may have. A feature that only the client knows makes a server
 * count its commands as unfinished; one that only the server knows leaves a client waiting. Each is
 * executed by cmds_test, and over the wire between a server and a group.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/test.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/answers.h"
#include "support/harness.h"
#include "support/raw.h"

/* --- The protocol ----------------------------------------------------------------------------- */

enum {
    NOTE_DONE, // What the exec function does with the note.
    NOTE_CODE, // It returns the note's number.
    NOTE_SEND,
    NOTE_AGAIN, // So many rounds as the note's number.
    NOTE_KEEP,  // A timer lets go of it.
    NOTE_FAIL,  // The same, and calls it a failure.
    NOTE_FORWARD,
};

struct note {
    int64_t what, number;
};
struct work {
    int64_t what, number;
};
struct count {
    int64_t to;
};
CMDS_COMMAND_ONE_WAY(note, 0, what, number);
CMDS_COMMAND_ONE_WAY(work, 300, what, number);
CMDS_COMMAND(count, 2, to);
CMDS_COMMAND_EMPTY(knock, 3);

struct step {
    int64_t number;
};
struct whole {
    int64_t number;
};
CMDS_RESULT_NEVER_LAST(step, 0, number);
CMDS_RESULT(whole, 1, number);
CMDS_RESULT_EMPTY(open, 2);

/* Every item of a row. */
struct part {
    int64_t number;
};
struct all {
    bool yes;
    char text[8];
    uint8_t blob[4];
    struct cmds_string name;
    struct cmds_bytes few;
    struct cmds_map map;
    struct part part;
    CMDS_ARRAY_OF(int64_t) numbers;
    CMDS_ARRAY_OF(struct part) parts;
    CMDS_OPTIONAL_OF(int64_t) some;
    CMDS_OPTIONAL_OF(struct part) none;
};
CMDS_SCHEMA(part, number);
CMDS_COMMAND(all, 4, yes, text, CMDS_RESERVED, blob, CMDS_AS(name, "Name"), CMDS_MAX(few, 4), map,
        CMDS_NESTED(part, part), CMDS_ARRAY(numbers), CMDS_ARRAY(parts, part), CMDS_RESERVED,
        CMDS_OPTIONAL(some), CMDS_OPTIONAL(none, part));
struct back {
    struct all all;
};
CMDS_RESULT(back, 4, CMDS_NESTED(all, all));

/* Its last one is told by its value, as Go's LastOne may: only made by hand. */
struct down {
    int64_t number;
};
CMDS_SCHEMA(down, number);
static bool down_is_last(const void *value)
{
    return ((const struct down *)value)->number == 0;
}
static const struct cmds_type down_type = {.struct_size = sizeof(struct cmds_type),
        .number = 3,
        .role = CMDS_ROLE_RESULT,
        .last = CMDS_LAST_BY_VALUE_,
        .schema = &down_schema,
        .is_last = down_is_last};

static const struct cmds_type *const commands[] = {
        &note_type, &work_type, &count_type, &knock_type, &all_type};
static const struct cmds_type *const results[] = {
        &step_type, &whole_type, &open_type, &down_type, &back_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("both", commands, results);

/* --- The service ------------------------------------------------------------------------------ */

struct app {
    struct cmds_group *upstream;
    _Atomic uint32_t runs, errors, sends_gone, sends_other, forwarded, disconnects;
    _Atomic int32_t error, last_send;
};

static void note_later(struct cmds_call *call)
{
    const struct note *note = note_of(call);
    struct app *app = cmds_call_receiver(call);
    if (note != NULL && note->what == NOTE_FAIL) {
        cmds_call_fail(call, (int)note->number, NULL);
    }
    atomic_fetch_add(&app->runs, 1);
}

static void note_send(struct cmds_call *call)
{
    struct app *app = cmds_call_receiver(call);
    int last = cmds_call_send(call, whole_message(&(struct whole){1}));
    int other = cmds_call_send(call, step_message(&(struct step){1}));
    atomic_fetch_add(&app->sends_gone, (last == CMDS_E_GONE) + (other == CMDS_E_GONE));
    atomic_fetch_add(&app->sends_other, (last != CMDS_E_GONE) + (other != CMDS_E_GONE));
}

static void note_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct app *app = cmds_call_receiver(call);
    const struct whole *whole = whole_of(result);
    atomic_fetch_add(&app->forwarded, whole != NULL);
}

/* The parts that the pool can do as well. */
static int take_note(struct cmds_call *call, const struct note *note)
{
    struct app *app = cmds_call_receiver(call);
    switch (note->what) {
    case NOTE_CODE:
        atomic_fetch_add(&app->runs, 1);
        return (int)note->number;
    case NOTE_SEND:
        note_send(call);
        break;
    case NOTE_AGAIN:
        if ((int64_t)cmds_call_round(call) < note->number) {
            return CMDS_EXEC_AGAIN;
        }
        break;
    default:
        break;
    }
    atomic_fetch_add(&app->runs, 1);
    return 0;
}

static int exec_note(struct cmds_call *call, const struct note *note)
{
    struct app *app = cmds_call_receiver(call);
    struct count count = {0};
    int code = 0;
    switch (note->what) {
    case NOTE_KEEP:
    case NOTE_FAIL:
        code = cmds_call_keep_command(call);
        return code < 0 ? code : cmds_call_after(call, 1, note_later);
    case NOTE_FORWARD:
        atomic_fetch_add(&app->runs, 1);
        return cmds_group_forward(
                app->upstream, count_message(&count), NULL, call, note_forwarded, NULL);
    default:
        return take_note(call, note);
    }
}

static int exec_work(struct cmds_call *call, const struct work *work)
{
    struct note note = {work->what, work->number};
    return take_note(call, &note);
}

/* 0: the whole at once; n: n steps and the whole; -n: down from n, whose 0 is the last. */
static int exec_count(struct cmds_call *call, const struct count *count)
{
    int code = 0;
    for (int64_t i = -count->to; i >= 0 && count->to < 0 && code == 0; i--) {
        code = cmds_call_send(call, (struct cmds_message){&down_type, &(struct down){i}});
    }
    for (int64_t i = 0; i < count->to && code == 0; i++) {
        code = cmds_call_send(call, step_message(&(struct step){i}));
    }
    if (count->to < 0) {
        int after = cmds_call_send(call, (struct cmds_message){&down_type, &(struct down){1}});
        return code == 0 && after != CMDS_E_FINISHED ? -EPROTO : code;
    }
    return code < 0 ? code : cmds_call_send(call, whole_message(&(struct whole){count->to}));
}

static int exec_knock(struct cmds_call *call, const struct knock *knock)
{
    (void)knock;
    return cmds_call_send(call, open_message(&(struct open){0}));
}

static int exec_all(struct cmds_call *call, const struct all *all)
{
    return cmds_call_send(call, back_message(&(struct back){*all}));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(note, exec_note),
        CMDS_EXEC_IN_POOL(work, exec_work), CMDS_EXEC(count, exec_count),
        CMDS_EXEC(knock, exec_knock), CMDS_EXEC(all, exec_all)};

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    struct app *app = receiver;
    (void)call;
    atomic_store(&app->error, error->code);
    atomic_fetch_add(&app->errors, 1);
    return error->code == -EPERM ? 0 : -1; // This one is dealt with.
}

static void on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    struct app *app = receiver;
    (void)connection;
    (void)cause;
    atomic_fetch_add(&app->disconnects, 1);
}

static struct cmds_server_options options_of(struct app *app)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.receiver = app;
    options.listen = "127.0.0.1:0";
    options.on_exec_error = on_exec_error;
    options.on_disconnect = on_disconnect;
    return options;
}

/* --- Every item of a row ---------------------------------------------------------------------- */

static const struct cmds_pair pairs[] = {{CMDS_STRING("key"), CMDS_STRING("value")}};
static const int64_t numbers[] = {1, -2, INT64_MAX};
static const struct part parts[] = {{7}, {-8}};
static const struct all sample = {.yes = true,
        .text = "seven c",
        .blob = {1, 0, 255, 4},
        .name = CMDS_STRING("a name"),
        .few = {"four", 4},
        .map = {pairs, 1},
        .part = {5},
        .numbers = {numbers, 3},
        .parts = {parts, 2},
        .some = {true, 9}};

static void check_sample(const struct all *all)
{
    const struct cmds_string *value = cmds_map_find(all->map, cmds_string_from("key"));
    CU_ASSERT(all->yes && strcmp(all->text, sample.text) == 0);
    CU_ASSERT(memcmp(all->blob, sample.blob, sizeof(all->blob)) == 0);
    CU_ASSERT(cmds_string_equal(all->name, sample.name));
    CU_ASSERT(all->few.size == 4 && memcmp(all->few.data, "four", 4) == 0);
    CU_ASSERT(value != NULL && cmds_string_equal(*value, cmds_string_from("value")));
    CU_ASSERT_EQUAL(all->part.number, 5);
    CU_ASSERT(all->numbers.count == 3 && memcmp(all->numbers.items, numbers, sizeof(numbers)) == 0);
    CU_ASSERT(all->parts.count == 2 && all->parts.items[1].number == -8);
    CU_ASSERT(all->some.has && all->some.value == 9 && !all->none.has);
}

static const struct all too_many = {.few = {"fiver", 5}};

/* --- cmds_test -------------------------------------------------------------------------------- */

static struct cmds_test *test_open(struct app *app)
{
    struct cmds_server_options options = options_of(app);
    struct cmds_test *test = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, &options, NULL), 0);
    return test;
}

static int send_note(struct cmds_test *test, int64_t what, int64_t number)
{
    return cmds_test_send(test, note_message(&(struct note){what, number}));
}

static int send_work(struct cmds_test *test, int64_t what, int64_t number)
{
    return cmds_test_send(test, work_message(&(struct work){what, number}));
}

static void test_one_way_is_finished_when_it_was_executed(void)
{
    struct app app = {0};
    struct cmds_test *test = test_open(&app);

    CU_ASSERT_EQUAL(send_note(test, NOTE_DONE, 0), 0);
    CU_ASSERT_EQUAL(send_work(test, NOTE_DONE, 0), 0);
    CU_ASSERT_EQUAL(send_note(test, NOTE_AGAIN, 3), 0);
    CU_ASSERT_EQUAL(send_work(test, NOTE_AGAIN, 3), 0);
    CU_ASSERT_EQUAL(send_note(test, NOTE_KEEP, 0), 0);
    CU_ASSERT_EQUAL(app.runs, 4);
    cmds_test_advance_ms(test, 2);

    CU_ASSERT_EQUAL(app.runs, 5);
    CU_ASSERT_EQUAL(app.errors, 0);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 0);
    cmds_test_close(test);
}

static void test_one_way_has_no_results(void)
{
    struct app app = {0};
    struct cmds_test *test = test_open(&app);

    CU_ASSERT_EQUAL(send_note(test, NOTE_SEND, 0), 0);
    CU_ASSERT_EQUAL(send_work(test, NOTE_SEND, 0), 0);

    CU_ASSERT_EQUAL(app.sends_gone, 4);
    CU_ASSERT_EQUAL(app.sends_other, 0);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 0);
    CU_ASSERT_EQUAL(app.errors, 0);
    cmds_test_close(test);
}

static void test_one_way_may_fail(void)
{
    struct app app = {0};
    struct cmds_test *test = test_open(&app);

    CU_ASSERT_EQUAL(send_note(test, NOTE_CODE, CMDS_E_LOST), CMDS_E_LOST);
    CU_ASSERT_EQUAL(send_work(test, NOTE_CODE, CMDS_E_LOST), CMDS_E_LOST);
    CU_ASSERT_EQUAL(send_note(test, NOTE_CODE, -EPERM), -EPERM);
    CU_ASSERT_EQUAL(app.errors, 3);
    CU_ASSERT_EQUAL(send_note(test, NOTE_FAIL, CMDS_E_LIMIT), 0);
    cmds_test_advance_ms(test, 2);
    CU_ASSERT_EQUAL(app.errors, 4);
    CU_ASSERT_EQUAL(app.error, CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(app.disconnects, 0);
    CU_ASSERT_EQUAL(send_note(test, NOTE_CODE, -EIO), -EIO);
    CU_ASSERT_EQUAL(app.errors, 5);
    CU_ASSERT_EQUAL(app.disconnects, 1); // The application's own error.
    cmds_test_close(test);
}

static void test_the_last_result_by_each_rule(void)
{
    struct app app = {0};
    struct cmds_test *test = test_open(&app);

    CU_ASSERT_EQUAL(cmds_test_send(test, count_message(&(struct count){2})), 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, count_message(&(struct count){-2})), 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, knock_message(&(struct knock){0})), 0);

    CU_ASSERT_EQUAL_FATAL(cmds_test_result_count(test), 7);
    for (uint32_t i = 0; i < 7; i++) {
        const struct cmds_result *result = cmds_test_result(test, i);
        CU_ASSERT_EQUAL(result->last, i == 2 || i == 5 || i == 6);
        CU_ASSERT_EQUAL(step_of(result) != NULL, i < 2);
        CU_ASSERT_EQUAL(open_of(result) != NULL, i == 6);
    }
    CU_ASSERT_EQUAL(app.errors, 0);
    cmds_test_close(test);
}

static void test_every_item_of_a_row(void)
{
    struct app app = {0};
    struct cmds_test *test = test_open(&app);

    CU_ASSERT_EQUAL(cmds_test_send(test, all_message(&sample)), 0);
    CU_ASSERT_EQUAL(cmds_test_send(test, all_message(&too_many)), CMDS_E_LIMIT);

    const struct back *back = back_of(cmds_test_result(test, 0));
    CU_ASSERT_PTR_NOT_NULL_FATAL(back);
    check_sample(&back->all);
    cmds_test_close(test);
}

/* --- Over the wire ---------------------------------------------------------------------------- */

struct wire {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    struct answers *answers;
    struct app app;
    _Atomic uint32_t closed;
};

#define WIRE_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ms_ = raw_now_ms() + RAW_GUARD_MS;                                          \
        while (!(condition) && raw_now_ms() < until_ms_) {                                         \
            raw_pause(NULL);                                                                       \
        }                                                                                          \
        CU_ASSERT_FATAL(condition);                                                                \
    } while (0)

static void wire_start(struct wire *wire)
{
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server = options_of(&wire->app);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    char address[64];
    runtime.shard_count = 1;
    runtime.no_pinning = true;
    wire->answers = answers_new();
    CU_ASSERT_FATAL(cmds_runtime_start(&wire->runtime, &runtime, NULL) == 0);
    CU_ASSERT_FATAL(cmds_server_start(&wire->server, wire->runtime, &server, NULL) == 0);
    CU_ASSERT_FATAL(cmds_server_address(wire->server, 0, address, sizeof(address)) == 0);
    group.connect = address;
    CU_ASSERT_FATAL(cmds_group_open(&wire->group, wire->runtime, &group, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(wire->group, RAW_GUARD_MS, NULL) == 0);
    wire->app.upstream = wire->group;
}

static void wire_on_closed(void *context)
{
    atomic_store(&((struct wire *)context)->closed, 1);
}

static void wire_stop(struct wire *wire)
{
    cmds_group_close(wire->group, wire_on_closed, wire);
    WIRE_UNTIL(atomic_load(&wire->closed) == 1);
    cmds_server_close(wire->server);
    cmds_runtime_stop(wire->runtime);
    answers_free(wire->answers);
}

static uint64_t wire_unfinished(const struct wire *wire)
{
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    cmds_server_stats(wire->server, &counters);
    return counters.unfinished_calls;
}

static uint64_t wire_unexpected(const struct wire *wire)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_group_stats(wire->group, &counters), 0);
    return counters.unexpected_results;
}

static void wire_send(struct wire *wire, struct cmds_message message)
{
    CU_ASSERT_EQUAL(cmds_group_send(wire->group, message, NULL, answers_take, wire->answers), 0);
}

static void test_one_way_from_group_to_server(void)
{
    struct wire wire = {0};
    wire_start(&wire);

    for (int64_t what = NOTE_DONE; what <= NOTE_FORWARD; what++) {
        int64_t number = what == NOTE_CODE ? 0 : what == NOTE_FAIL ? CMDS_E_LIMIT : 2;
        wire_send(&wire, note_message(&(struct note){what, number}));
    }
    for (int64_t what = NOTE_DONE; what <= NOTE_AGAIN; what++) {
        wire_send(&wire, work_message(&(struct work){what, what == NOTE_CODE ? 0 : 2}));
    }
    WIRE_UNTIL(atomic_load(&wire.app.runs) == 11 && atomic_load(&wire.app.forwarded) == 1);
    wire_send(&wire, knock_message(&(struct knock){0}));
    WIRE_UNTIL(atomic_load(&wire.answers->last_count) == 1); // Its own: the others had none.
    CU_ASSERT_EQUAL(atomic_load(&wire.answers->count), 1);
    WIRE_UNTIL(cmds_group_pending(wire.group) == 0);
    CU_ASSERT_EQUAL(wire_unfinished(&wire), 0);
    CU_ASSERT_EQUAL(wire_unexpected(&wire), 0);
    CU_ASSERT_EQUAL(atomic_load(&wire.app.sends_gone), 4);
    CU_ASSERT_EQUAL(atomic_load(&wire.app.sends_other), 0);
    CU_ASSERT_EQUAL(atomic_load(&wire.app.errors), 1); // NOTE_FAIL.
    CU_ASSERT_EQUAL(atomic_load(&wire.app.disconnects), 0);
    wire_stop(&wire);
}

static void test_one_way_holds_up_no_close(void)
{
    struct wire wire = {0};
    wire_start(&wire);

    for (int64_t i = 0; i < 100; i++) {
        wire_send(&wire, note_message(&(struct note){NOTE_KEEP, i}));
    }
    WIRE_UNTIL(atomic_load(&wire.app.runs) == 100);
    CU_ASSERT_EQUAL(cmds_server_shutdown(wire.server, RAW_GUARD_MS), 0); // All calls have ended.
    CU_ASSERT_EQUAL(wire_unfinished(&wire), 0);
    wire_stop(&wire);
}

static void test_the_last_result_by_each_rule_over_the_wire(void)
{
    struct wire wire = {0};
    wire_start(&wire);

    wire_send(&wire, count_message(&(struct count){2}));
    WIRE_UNTIL(atomic_load(&wire.answers->last_count) == 1);
    wire_send(&wire, count_message(&(struct count){-2}));
    WIRE_UNTIL(atomic_load(&wire.answers->last_count) == 2);
    wire_send(&wire, knock_message(&(struct knock){0}));
    WIRE_UNTIL(atomic_load(&wire.answers->last_count) == 3);
    CU_ASSERT_EQUAL_FATAL(atomic_load(&wire.answers->count), 7);
    for (uint32_t i = 0; i < 7; i++) {
        CU_ASSERT_EQUAL(answers_at(wire.answers, i).last, i == 2 || i == 5 || i == 6);
        CU_ASSERT_EQUAL(answers_at(wire.answers, i).error, 0);
    }
    CU_ASSERT_EQUAL(cmds_group_pending(wire.group), 0);
    CU_ASSERT_EQUAL(wire_unexpected(&wire), 0);
    wire_stop(&wire);
}

static void keep_copy(void *context, const struct cmds_result *result)
{
    struct cmds_result *_Atomic *kept = context;
    atomic_store(kept, cmds_result_copy(result));
}

static void test_every_item_of_a_row_over_the_wire(void)
{
    struct wire wire = {0};
    struct cmds_result *_Atomic kept = NULL;
    wire_start(&wire);

    CU_ASSERT_EQUAL(cmds_group_send(wire.group, all_message(&sample), NULL, keep_copy, &kept), 0);
    CU_ASSERT_EQUAL(cmds_group_send(wire.group, all_message(&too_many), NULL, keep_copy, &kept),
            CMDS_E_LIMIT);
    WIRE_UNTIL(atomic_load(&kept) != NULL);
    const struct back *back = back_of(atomic_load(&kept));
    CU_ASSERT_PTR_NOT_NULL_FATAL(back);
    check_sample(&back->all);
    cmds_result_free(atomic_load(&kept));
    wire_stop(&wire);
}

static CU_TestInfo tests[] = {
        {"one-way is finished when it was executed", test_one_way_is_finished_when_it_was_executed},
        {"one-way has no results", test_one_way_has_no_results},
        {"one-way may fail", test_one_way_may_fail},
        {"the last result by each rule", test_the_last_result_by_each_rule},
        {"every item of a row", test_every_item_of_a_row},
        {"one-way from group to server", test_one_way_from_group_to_server},
        {"one-way holds up no close", test_one_way_holds_up_no_close},
        {"the last result by each rule over the wire",
                test_the_last_result_by_each_rule_over_the_wire},
        {"every item of a row over the wire", test_every_item_of_a_row_over_the_wire},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("schema both", tests)
