/* SPDX-License-Identifier: MIT */
/*
 * Groups of a cmds_test: an exec function that asks another server, of which the test is the far side.
 * What may go wrong: a result for another command, a deadline by another clock, a command that is lost
 * with its connection and stays awaited, or a group that outlives its test.
 */
#include <errno.h>
#include <string.h>

#include "support/acts.h"
#include "support/harness.h"

struct ask {
    int64_t number;
};
struct note {
    int64_t number;
};
struct reply {
    int64_t number;
};
struct part {
    int64_t number;
    bool last;
};
CMDS_COMMAND_IDEMPOTENT(ask, 0, number);
CMDS_COMMAND_ONE_WAY(note, 1, number);
CMDS_RESULT(reply, 0, number);
CMDS_RESULT(part, 1, number, CMDS_LAST(last));
static const struct cmds_type *const far_commands[] = {&ask_type, &note_type};
static const struct cmds_type *const far_results[] = {&reply_type, &part_type};
static const struct cmds_protocol far_protocol = CMDS_PROTOCOL("far", far_commands, far_results);

/* The service: its exec function asks `far`, and answers with what that said, or with the code. */
static struct service {
    struct app app; // First: the receiver.
    struct cmds_test *test;
    struct cmds_group *far;
    uint32_t results, writable, unexpected, closed;
    int code; // Of the last result.
    int64_t number;
    bool last;
    char text[256];
} service;

static void service_see(const struct cmds_result *result)
{
    const struct reply *reply = reply_of(result);
    const struct part *part = part_of(result);
    service.results++;
    service.code = result->error;
    service.last = result->last;
    service.number = reply != NULL ? reply->number : part != NULL ? part->number : 0;
    (void)strncpy(service.text, result->text, sizeof(service.text) - 1);
}

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    service_see(result);
    if (result->last) {
        (void)acts_answer(call, result->error < 0 ? result->error : service.number);
    }
}

static int act_ask(struct cmds_call *call, const struct act *act)
{
    struct ask ask = {act->number};
    return cmds_group_forward(service.far, ask_message(&ask), NULL, call, on_forwarded, NULL);
}

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    service_see(result);
}
static void on_writable(void *context)
{
    (void)context;
    service.writable++;
}
static void on_unexpected(void *context, const struct cmds_result *result)
{
    (void)context;
    service.unexpected += reply_of(result) != NULL;
}
static void on_closed(void *context)
{
    (void)context;
    service.closed++;
}

static struct cmds_test *service_open(void)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&far_protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    options.on_writable = on_writable;
    options.on_unexpected = on_unexpected;
    options.deadline_ms = 700;
    service = (struct service){.app = {.act = act_ask}};
    service.test = acts_open(&service.app);
    CU_ASSERT_EQUAL_FATAL(cmds_test_group_open(service.test, &service.far, &options, &error), 0);
    return service.test;
}

static int far_send(int64_t number, const struct cmds_send_options *how)
{
    struct ask ask = {number};
    return cmds_group_send(service.far, ask_message(&ask), how, on_result, NULL);
}
static int far_answer(uint32_t index, int64_t number)
{
    return cmds_test_group_answer(
            service.test, service.far, index, reply_message(&(struct reply){number}));
}
static const struct cmds_test_command *far_sent(uint32_t index)
{
    const struct cmds_test_command *sent = cmds_test_group_sent(service.test, service.far, index);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    return sent;
}
static int64_t far_number(uint32_t index)
{
    CU_ASSERT_PTR_EQUAL_FATAL(far_sent(index)->type, &ask_type);
    return ((const struct ask *)far_sent(index)->value)->number;
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void test_a_call_is_answered_by_what_the_test_says(void)
{
    struct cmds_test *test = service_open();

    CU_ASSERT_EQUAL(acts_send(test, 5), 0);
    CU_ASSERT_EQUAL(acts_send(test, 6), 0);

    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 2);
    CU_ASSERT_EQUAL(far_number(0), 5);
    CU_ASSERT_EQUAL(far_number(1), 6);
    CU_ASSERT_PTR_NULL(cmds_test_group_sent(test, service.far, 2));
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 0);
    CU_ASSERT_EQUAL(cmds_group_pending(service.far), 2);
    CU_ASSERT_EQUAL(far_answer(1, 60), 0); // The later one first.
    CU_ASSERT_EQUAL(cmds_test_result(test, 0)->sequence, 2);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, 60);
    CU_ASSERT_TRUE(far_sent(1)->is_answered);
    CU_ASSERT_FALSE(far_sent(1)->is_awaited);
    CU_ASSERT_FALSE(far_sent(0)->is_answered);
    CU_ASSERT_TRUE(far_sent(0)->is_awaited);
    CU_ASSERT_EQUAL(far_answer(1, 61), CMDS_E_FINISHED);
    CU_ASSERT_EQUAL(far_answer(0, 50), 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 1))->value, 50);
    CU_ASSERT_EQUAL(cmds_group_pending(service.far), 0);
    cmds_test_close(test);
}

static void test_scripts_are_used_up_in_order(void)
{
    struct cmds_test *test = service_open();
    struct reply one = {1}, four = {4};
    struct part parts[] = {{2, false}, {3, true}};
    struct cmds_message first[] = {reply_message(&one)}, last[] = {reply_message(&four)};
    struct cmds_message stream[] = {part_message(&parts[0]), part_message(&parts[1])};

    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &ask_type, first, 1), 0);
    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &ask_type, stream, 2), 0);
    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &ask_type, NULL, 0), 0);
    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &ask_type, last, 1), 0);
    one.number = four.number = 9; // They were copied.

    CU_ASSERT_EQUAL(acts_send(test, 0), 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, 1);
    CU_ASSERT_EQUAL(acts_send(test, 0), 0);
    CU_ASSERT_EQUAL(service.results, 3);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 1))->value, 3);
    CU_ASSERT_EQUAL(acts_send(test, 0), 0); // Nothing comes.
    CU_ASSERT_EQUAL(acts_send(test, 0), 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 2))->value, 4);
    CU_ASSERT_EQUAL(cmds_test_result(test, 2)->sequence, 4);
    CU_ASSERT_TRUE(far_sent(2)->is_awaited);
    CU_ASSERT_EQUAL(acts_send(test, 0), 0); // No script is left.
    CU_ASSERT_TRUE(far_sent(4)->is_awaited);
    cmds_test_close(test);
}

static void test_one_fails_and_the_others_wait(void)
{
    struct cmds_test *test = service_open();

    CU_ASSERT_EQUAL(cmds_test_group_will_fail(test, service.far, &ask_type, CMDS_E_LOST), 0);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, CMDS_E_LOST);
    CU_ASSERT_STRING_EQUAL(service.text, cmds_error_text(CMDS_E_LOST));
    CU_ASSERT_EQUAL(far_send(2, NULL), 0);
    CU_ASSERT_EQUAL(far_send(3, NULL), 0);
    CU_ASSERT_EQUAL(cmds_test_group_fail(test, service.far, 1, CMDS_E_NOT_SENT), 0);

    CU_ASSERT_EQUAL(service.code, CMDS_E_NOT_SENT);
    CU_ASSERT_EQUAL(service.results, 2);
    CU_ASSERT_EQUAL(cmds_test_group_fail(test, service.far, 1, CMDS_E_LOST), CMDS_E_FINISHED);
    CU_ASSERT_EQUAL(far_answer(1, 1), 0); // Too late.
    CU_ASSERT_EQUAL(service.unexpected, 1);
    CU_ASSERT_TRUE(far_sent(2)->is_awaited);
    CU_ASSERT_EQUAL(cmds_group_error(service.far, NULL), 0); // The connection is as it was.
    cmds_test_close(test);
    CU_ASSERT_EQUAL(service.results, 3);
    CU_ASSERT_EQUAL(service.code, CMDS_E_CLOSED);
}

static void test_a_one_way_command_is_kept_and_has_no_answer(void)
{
    struct cmds_test *test = service_open();
    struct note note = {8};
    struct cmds_message reply = reply_message(&(struct reply){1});

    CU_ASSERT_EQUAL(cmds_group_send(service.far, note_message(&note), NULL, NULL, NULL), 0);

    CU_ASSERT_PTR_EQUAL(far_sent(0)->type, &note_type);
    CU_ASSERT_EQUAL(((const struct note *)far_sent(0)->value)->number, 8);
    CU_ASSERT_EQUAL(far_sent(0)->deadline_ms, CMDS_NEVER);
    CU_ASSERT_FALSE(far_sent(0)->is_awaited);
    CU_ASSERT_EQUAL(far_answer(0, 1), CMDS_E_FINISHED);
    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &note_type, &reply, 1),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(cmds_test_group_will_fail(test, service.far, &note_type, CMDS_E_LOST),
            CMDS_E_WRONG_TYPE);
    cmds_test_close(test);
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void test_deadlines_are_by_the_clock_of_the_test(void)
{
    struct cmds_test *test = service_open();
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = 100;
    cmds_test_advance_ms(test, 5);

    CU_ASSERT_EQUAL(far_send(1, &how), 0);
    CU_ASSERT_EQUAL(acts_send(test, 2), 0);
    CU_ASSERT_EQUAL(far_sent(0)->deadline_ms, 100);
    CU_ASSERT_EQUAL(far_sent(1)->deadline_ms, 699); // A forward's does not round up.
    cmds_test_advance_ms(test, 100);
    CU_ASSERT_EQUAL(service.results, 0);
    cmds_test_advance_ms(test, 2);
    CU_ASSERT_EQUAL(service.results, 1);
    CU_ASSERT_EQUAL(service.code, CMDS_E_TIMEOUT);
    cmds_test_advance_ms(test, 600);

    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, CMDS_E_TIMEOUT);
    CU_ASSERT_FALSE(far_sent(1)->is_awaited);
    how.deadline_ms = CMDS_NEVER;
    CU_ASSERT_EQUAL(far_send(3, &how), 0);
    CU_ASSERT_EQUAL(far_sent(2)->deadline_ms, CMDS_NEVER);
    cmds_test_advance_ms(test, 3600 * 1000); // Pings were answered: it is up as before.
    CU_ASSERT_EQUAL(far_answer(2, 3), 0);
    CU_ASSERT_EQUAL(service.number, 3);
    cmds_test_close(test);
}

static void test_a_call_that_is_cancelled_ends_its_forwards(void)
{
    struct cmds_test *test = service_open();
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_TRUE(far_sent(0)->is_awaited);

    cmds_test_disconnect(test);

    CU_ASSERT_FALSE(far_sent(0)->is_awaited);
    CU_ASSERT_EQUAL(cmds_group_pending(service.far), 0);
    CU_ASSERT_EQUAL(far_answer(0, 1), 0);
    CU_ASSERT_EQUAL(service.unexpected, 1);
    cmds_test_close(test);
}

static void test_a_ticket_is_forgotten(void)
{
    struct cmds_test *test = service_open();
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket;
    how.ticket = &ticket;
    CU_ASSERT_EQUAL(far_send(1, &how), 0);
    CU_ASSERT_TRUE(cmds_group_has(service.far, ticket));

    CU_ASSERT_EQUAL(cmds_group_forget(service.far, ticket), 0);

    CU_ASSERT_FALSE(far_sent(0)->is_awaited);
    CU_ASSERT_EQUAL(service.code, CMDS_E_CANCELLED);
    CU_ASSERT_FALSE(cmds_group_has(service.far, ticket));
    cmds_test_close(test);
}

/* --- Trouble ---------------------------------------------------------------------------------- */

static void test_a_full_group_refuses_and_lets_forwards_wait(void)
{
    struct cmds_test *test = service_open();
    cmds_test_group_full(test, service.far, true);

    CU_ASSERT_EQUAL(far_send(1, NULL), -ENOBUFS);
    CU_ASSERT_EQUAL(cmds_group_send(service.far, note_message(&(struct note){1}), NULL, NULL, NULL),
            -ENOBUFS);
    CU_ASSERT_EQUAL(acts_send(test, 2), 0);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 0);
    CU_ASSERT_EQUAL(service.writable, 0);
    cmds_test_group_full(test, service.far, false);

    CU_ASSERT_EQUAL(service.writable, 1);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 1);
    CU_ASSERT_EQUAL(far_answer(0, 20), 0);
    CU_ASSERT_EQUAL(value_of(cmds_test_result(test, 0))->value, 20);
    CU_ASSERT_EQUAL(far_send(3, NULL), 0);
    CU_ASSERT_EQUAL(far_number(1), 3);
    cmds_test_close(test);
}

static void test_a_server_goes_away_and_comes_back(void)
{
    struct cmds_test *test = service_open();
    struct cmds_send_options once = CMDS_SEND_OPTIONS_INIT, patient = CMDS_SEND_OPTIONS_INIT;
    once.resend = CMDS_RESEND_ONCE;
    once.deadline_ms = patient.deadline_ms = CMDS_NEVER;
    CU_ASSERT_EQUAL(far_send(1, NULL), 0);
    CU_ASSERT_EQUAL(far_send(2, &once), 0);

    cmds_test_group_away(test, service.far, true);

    CU_ASSERT_EQUAL(service.results, 1);
    CU_ASSERT_EQUAL(service.code, CMDS_E_LOST);
    CU_ASSERT_EQUAL(far_answer(0, 1), CMDS_E_GONE);
    CU_ASSERT_EQUAL(far_send(3, &patient), 0);
    cmds_test_advance_ms(test, 60 * 1000);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 2);
    cmds_test_group_away(test, service.far, false);
    cmds_test_advance_ms(test, 60 * 1000);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 4);
    CU_ASSERT_EQUAL(far_number(2) + far_number(3), 2 + 3);
    CU_ASSERT_EQUAL(far_answer(2, 0), 0);
    CU_ASSERT_EQUAL(far_answer(3, 0), 0);
    CU_ASSERT_EQUAL(service.code, 0);
    CU_ASSERT_EQUAL(service.results, 3);
    cmds_test_close(test);
}

/* --- A whole service -------------------------------------------------------------------------- */

static void on_end(struct cmds_call *call)
{
    (void)call;
    (void)strcat(service.app.order, "e");
}

static void on_forwarded_then_end(
        struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)strcat(service.app.order, result->last ? "l" : "r");
    on_forwarded(call, context, result);
}

/* Two questions for one call; the end is asked for once. */
static int act_ask_twice(struct cmds_call *call, const struct act *act)
{
    int code = cmds_call_on_end(call, on_end);
    for (int64_t i = 0; i < 2 && code == 0; i++) {
        struct ask ask = {act->number + i};
        code = cmds_group_forward(
                service.far, ask_message(&ask), NULL, call, on_forwarded_then_end, NULL);
    }
    return code;
}

static void test_a_call_ends_after_the_last_of_its_forwards(void)
{
    struct cmds_test *test = service_open();
    service.app.act = act_ask_twice;
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_EQUAL(far_answer(0, 10), 0);
    CU_ASSERT_STRING_EQUAL(service.app.order, "l"); // It has answered, and the other one is out.

    CU_ASSERT_EQUAL(far_answer(1, 20), 0);
    CU_ASSERT_STRING_EQUAL(service.app.order, "lle");

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    cmds_test_disconnect(test);
    CU_ASSERT_EQUAL(service.app.order[strlen(service.app.order) - 1], 'e');
    size_t size = strlen(service.app.order);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(strlen(service.app.order), size); // Once.
}

static void ask_by_time(void *context)
{
    struct ask ask = {*(int64_t *)context};
    CU_ASSERT_EQUAL(cmds_group_send(service.far, ask_message(&ask), NULL, on_result, NULL), 0);
}

static void test_timers_and_posts_send(void)
{
    struct cmds_test *test = service_open();
    struct cmds_runtime *runtime = cmds_test_runtime(test);
    struct cmds_timer *timer = NULL;
    int64_t by_timer = 1, by_post = 2;
    struct cmds_message known = reply_message(&(struct reply){7});
    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &ask_type, &known, 1), 0);
    CU_ASSERT_EQUAL(cmds_runtime_every(runtime, 0, 1000, ask_by_time, &by_timer, &timer), 0);

    cmds_test_advance_ms(test, 999);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 0);
    cmds_test_advance_ms(test, 1);
    CU_ASSERT_EQUAL(service.number, 7);
    CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, ask_by_time, &by_post), 0);
    CU_ASSERT_EQUAL(far_number(1), 2);
    cmds_test_advance_ms(test, 2000); // Two more, of which the first has no answer in time.
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 4);
    CU_ASSERT_EQUAL(service.code, CMDS_E_TIMEOUT);
    cmds_timer_cancel(timer);
    cmds_test_advance_ms(test, 5000);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 4);
    cmds_test_close(test);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void test_the_program_may_close_its_group(void)
{
    struct cmds_test *test = service_open();
    struct cmds_group *far = cmds_group_ref(service.far);
    CU_ASSERT_EQUAL(far_send(1, NULL), 0);
    CU_ASSERT_EQUAL(far_number(0), 1);

    cmds_group_close(service.far, on_closed, NULL);
    CU_ASSERT_EQUAL(far_send(2, NULL), CMDS_E_CLOSED);
    cmds_test_advance_ms(test, 0);

    CU_ASSERT_EQUAL(service.closed, 1);
    CU_ASSERT_EQUAL(service.code, CMDS_E_CLOSED);
    CU_ASSERT_EQUAL(far_number(0), 1);
    CU_ASSERT_EQUAL(far_answer(0, 1), CMDS_E_GONE);
    CU_ASSERT_EQUAL(cmds_test_group_will_fail(test, far, &ask_type, CMDS_E_LOST), -EINVAL);
    cmds_test_group_full(test, far, true);
    cmds_test_group_full(test, far, false);
    cmds_test_group_away(test, far, true);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(far_send(2, NULL), CMDS_E_CLOSED);
    cmds_group_unref(far);
}

static void test_what_makes_no_sense_is_refused(void)
{
    struct cmds_test *test = service_open();
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group *group = NULL;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(NULL);
    struct cmds_message ask = ask_message(&(struct ask){1});

    CU_ASSERT_EQUAL(cmds_test_group_open(test, &group, NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(cmds_test_group_open(test, &group, &options, &error), -EINVAL);
    CU_ASSERT_PTR_NULL(group);
    options.protocol = &far_protocol;
    error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_group_open(&group, cmds_test_runtime(test), &options, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "cmds_test_group_open"));
    CU_ASSERT_EQUAL(far_answer(0, 1), -ENOENT);
    CU_ASSERT_EQUAL(cmds_test_group_fail(test, service.far, 0, CMDS_E_LOST), -ENOENT);
    CU_ASSERT_EQUAL(far_send(1, NULL), 0);
    CU_ASSERT_EQUAL(cmds_test_group_answer(test, service.far, 0, ask), CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(cmds_test_group_fail(test, service.far, 0, 0), -EINVAL);
    CU_ASSERT_EQUAL(cmds_test_group_will_answer(test, service.far, &reply_type, NULL, 0),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(
            cmds_test_group_will_answer(test, service.far, &ask_type, &ask, 1), CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(cmds_test_group_will_fail(test, service.far, &ask_type, 1), -EINVAL);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, NULL), 0);
    CU_ASSERT_PTR_NULL(cmds_test_group_sent(test, NULL, 0));
    CU_ASSERT_EQUAL(cmds_test_group_fail(test, NULL, 0, CMDS_E_LOST), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_wait(service.far, 1, &error), -EINVAL); // Nobody would turn it.
    cmds_test_close(test);
}

static void test_a_group_of_several_connections(void)
{
    struct cmds_test *test = service_open();
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&far_protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group *first = service.far;
    options.client_count = 3;
    CU_ASSERT_EQUAL_FATAL(cmds_test_group_open(test, &service.far, &options, &error), 0);

    for (int64_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(far_send(i, NULL), 0);
    }

    CU_ASSERT_EQUAL(cmds_test_group_count(test, service.far), 6);
    CU_ASSERT_EQUAL(cmds_test_group_count(test, first), 0);
    uint32_t counts[3] = {0};
    for (uint32_t i = 0; i < 6; i++) {
        counts[far_sent(i)->client]++;
        CU_ASSERT_EQUAL(far_answer(i, 10 * far_number(i)), 0);
        CU_ASSERT_EQUAL(service.number, 10 * far_number(i));
    }
    CU_ASSERT_TRUE(counts[0] == 2 && counts[1] == 2 && counts[2] == 2);
    cmds_test_close(test);
}

static CU_TestInfo tests[] = {
        {"a call is answered by what the test says", test_a_call_is_answered_by_what_the_test_says},
        {"scripts are used up in order", test_scripts_are_used_up_in_order},
        {"one fails and the others wait", test_one_fails_and_the_others_wait},
        {"a one-way command is kept and has no answer",
                test_a_one_way_command_is_kept_and_has_no_answer},
        {"deadlines are by the clock of the test", test_deadlines_are_by_the_clock_of_the_test},
        {"a call that is cancelled ends its forwards",
                test_a_call_that_is_cancelled_ends_its_forwards},
        {"a ticket is forgotten", test_a_ticket_is_forgotten},
        {"a full group refuses and lets forwards wait",
                test_a_full_group_refuses_and_lets_forwards_wait},
        {"a server goes away and comes back", test_a_server_goes_away_and_comes_back},
        {"a call ends after the last of its forwards",
                test_a_call_ends_after_the_last_of_its_forwards},
        {"timers and posts send", test_timers_and_posts_send},
        {"the program may close its group", test_the_program_may_close_its_group},
        {"what makes no sense is refused", test_what_makes_no_sense_is_refused},
        {"a group of several connections", test_a_group_of_several_connections},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_double", tests)
