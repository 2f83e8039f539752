/* SPDX-License-Identifier: MIT */
/*
 * The timers of a program, by a clock that the test moves. What may go wrong: one runs early, or twice,
 * or after its cancel; one that repeats drifts, or runs in a burst after a stall; a handle is freed
 * under somebody, or outlives what it needs.
 */
#include <errno.h>
#include <string.h>

#include <cmdstream/cmdstream.h>

#include "shard/clock.h"
#include "shard/runtime.h"
#include "shard/runtime_timers.h"
#include "support/acts.h"
#include "support/harness.h"

enum {
    RUNS_MAX = 32,
    LETTERS_MAX = 16,
};

/* A runtime whose time is `now_ns`. */
struct bench {
    struct cmds_runtime *runtime;
    uint64_t now_ns;
    char order[LETTERS_MAX]; // Of the letters that ran.
};

/* One timer of it. */
struct alarm {
    struct bench *bench;
    struct cmds_timer *timer, *other;
    uint64_t at_ms[RUNS_MAX];
    uint32_t runs, again_ms;
    uint64_t takes_ms; // So long does its function last.
    int code;
    bool cancels, waits;
    char letter;
};

static uint64_t ms(const struct bench *bench)
{
    return bench->now_ns / 1000000;
}

static void bench_begin(struct bench *bench)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    *bench = (struct bench){.now_ns = 0};
    CU_ASSERT_FATAL(cmdi_runtime_create_stepped(&bench->runtime, &error) == 0);
    (void)cmdi_clock_give(&bench->now_ns);
}

/* The shard was held up until then, or slept. */
static void bench_step(struct bench *bench, uint64_t at_ms)
{
    bench->now_ns = at_ms * 1000000;
    cmdi_shard_step(bench->runtime->shards[0], bench->now_ns);
}

static void bench_end(struct bench *bench)
{
    cmdi_runtime_timers_end(bench->runtime);
    cmdi_shard_take_last_mail(bench->runtime->shards[0]);
    cmdi_runtime_destroy_stepped(bench->runtime);
    (void)cmdi_clock_give(NULL);
}

static void on_alarm(void *context)
{
    struct alarm *alarm = context;
    struct bench *bench = alarm->bench;
    CU_ASSERT_FATAL(alarm->runs < RUNS_MAX);
    alarm->at_ms[alarm->runs++] = ms(bench);
    bench->now_ns += alarm->takes_ms * 1000000;
    if (alarm->letter != '\0') {
        size_t used = strlen(bench->order);
        CU_ASSERT_FATAL(used + 1 < sizeof(bench->order));
        bench->order[used] = alarm->letter;
    }
    if (alarm->again_ms > 0) {
        CU_ASSERT_EQUAL(
                cmds_runtime_after(bench->runtime, 0, alarm->again_ms, on_alarm, alarm, NULL), 0);
    }
    if (alarm->cancels) {
        struct cmds_timer *timer = alarm->other != NULL ? alarm->other : alarm->timer;
        alarm->code = alarm->waits ? cmds_timer_cancel_wait(timer) : cmds_timer_cancel(timer);
    }
}

static int after(struct alarm *alarm, uint32_t delay_ms)
{
    return cmds_runtime_after(alarm->bench->runtime, 0, delay_ms, on_alarm, alarm, &alarm->timer);
}

static int every(struct alarm *alarm, uint32_t period_ms)
{
    return cmds_runtime_every(alarm->bench->runtime, 0, period_ms, on_alarm, alarm, &alarm->timer);
}

/* --- Once ----------------------------------------------------------------------------------------- */

static void test_after_runs_once_and_never_early(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};
    bench.now_ns = 300000; // A third of a millisecond has gone.

    CU_ASSERT_EQUAL(after(&alarm, 50), 0);
    CU_ASSERT_PTR_NOT_NULL(alarm.timer);
    bench_step(&bench, 50);
    CU_ASSERT_EQUAL(alarm.runs, 0); // 49.7 ms.
    bench_step(&bench, 51);

    CU_ASSERT_EQUAL(alarm.runs, 1);
    bench_step(&bench, 100000);
    CU_ASSERT_EQUAL(alarm.runs, 1);
    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 0); // It has run.
    bench_end(&bench);
}

static void test_nobody_needs_a_handle(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm once = {.bench = &bench};
    struct alarm often = {.bench = &bench};
    struct alarm never = {.bench = &bench};

    CU_ASSERT_EQUAL(cmds_runtime_after(bench.runtime, 0, 5, on_alarm, &once, NULL), 0);
    CU_ASSERT_EQUAL(cmds_runtime_every(bench.runtime, 0, 5, on_alarm, &often, NULL), 0);
    CU_ASSERT_EQUAL(cmds_runtime_after(bench.runtime, 0, 50, on_alarm, &never, NULL), 0);
    bench_step(&bench, 1);
    bench_step(&bench, 5);
    bench_step(&bench, 10);

    CU_ASSERT_EQUAL(once.runs, 1);
    CU_ASSERT_EQUAL(often.runs, 2);
    bench_end(&bench);
    CU_ASSERT_EQUAL(never.runs, 0);
}

static void test_a_delay_of_0_is_not_now(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&alarm, 0), 0);
    bench_step(&bench, 0);
    CU_ASSERT_EQUAL(alarm.runs, 0);
    bench_step(&bench, 1);

    CU_ASSERT_EQUAL(alarm.runs, 1);
    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 0);
    bench_end(&bench);
}

static void test_a_function_may_set_its_timer_again(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench, .again_ms = 10};

    CU_ASSERT_EQUAL(cmds_runtime_after(bench.runtime, 0, 10, on_alarm, &alarm, NULL), 0);
    bench_step(&bench, 0);
    for (uint32_t i = 1; i <= 10; i++) {
        bench_step(&bench, 5 * i);
    }

    CU_ASSERT_EQUAL(alarm.runs, 5);
    CU_ASSERT_EQUAL(alarm.at_ms[4], 50);
    bench_end(&bench);
}

static void test_the_longest_delay_is_49_days(void)
{
    const uint64_t longest_ms = CMDS_NEVER - 1;
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&alarm, CMDS_NEVER - 1), 0);
    bench_step(&bench, 0);
    bench_step(&bench, longest_ms - 1);
    CU_ASSERT_EQUAL(alarm.runs, 0);
    bench_step(&bench, longest_ms);

    CU_ASSERT_EQUAL(alarm.runs, 1);
    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 0);
    bench_end(&bench);
}

static void test_what_makes_no_sense_is_refused(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};
    struct cmds_timer *untouched = (struct cmds_timer *)(void *)&alarm;
    alarm.timer = untouched;

    CU_ASSERT_EQUAL(every(&alarm, 0), -EINVAL);
    CU_ASSERT_EQUAL(every(&alarm, CMDS_NEVER), -EINVAL);
    CU_ASSERT_EQUAL(after(&alarm, CMDS_NEVER), -EINVAL);
    CU_ASSERT_EQUAL(
            cmds_runtime_after(bench.runtime, 1, 5, on_alarm, &alarm, &alarm.timer), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_after(bench.runtime, 0, 5, NULL, &alarm, &alarm.timer), -EINVAL);

    CU_ASSERT_PTR_EQUAL(alarm.timer, untouched);
    CU_ASSERT_EQUAL(cmds_timer_cancel(NULL), 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel_wait(NULL), 0);
    bench_step(&bench, 100);
    CU_ASSERT_EQUAL(alarm.runs, 0);
    bench_end(&bench);
}

static void test_timers_run_in_the_order_of_their_time(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarms[] = {{.bench = &bench, .letter = 'c'}, {.bench = &bench, .letter = 'a'},
            {.bench = &bench, .letter = 'd'}, {.bench = &bench, .letter = 'b'},
            {.bench = &bench, .letter = 'e'}};
    const uint32_t delays_ms[] = {200, 70, 200, 199, 200};

    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(
                cmds_runtime_after(bench.runtime, 0, delays_ms[i], on_alarm, &alarms[i], NULL), 0);
    }
    bench_step(&bench, 0);
    bench_step(&bench, 150); // From here on the others have moved down in the wheel.
    CU_ASSERT_EQUAL(cmds_runtime_after(bench.runtime, 0, 50, on_alarm, &alarms[4], NULL), 0);
    bench_step(&bench, 160);
    bench_step(&bench, 1000);

    CU_ASSERT_STRING_EQUAL(bench.order, "abcde");
    bench_end(&bench);
}

/* --- Over and over -------------------------------------------------------------------------------- */

static void test_every_keeps_its_grid(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};

    CU_ASSERT_EQUAL(every(&alarm, 10), 0);
    bench_step(&bench, 0);
    bench_step(&bench, 9);
    CU_ASSERT_EQUAL(alarm.runs, 0);
    bench_step(&bench, 13); // Late,
    bench_step(&bench, 19);
    CU_ASSERT_EQUAL(alarm.runs, 1);
    bench_step(&bench, 20); // and the next one is not.
    CU_ASSERT_EQUAL(alarm.runs, 2);
    bench_step(&bench, 29);
    CU_ASSERT_EQUAL(alarm.runs, 2);

    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 1);
    bench_step(&bench, 100);
    CU_ASSERT_EQUAL(alarm.runs, 2);
    bench_end(&bench);
}

static void test_what_a_held_up_shard_missed_is_left_out(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};

    CU_ASSERT_EQUAL(every(&alarm, 10), 0);
    bench_step(&bench, 0);
    bench_step(&bench, 1005); // A hundred of them.
    CU_ASSERT_EQUAL(alarm.runs, 1);
    bench_step(&bench, 1009);
    CU_ASSERT_EQUAL(alarm.runs, 1);
    bench_step(&bench, 1010);
    CU_ASSERT_EQUAL(alarm.runs, 2);
    bench_step(&bench, 1020);
    CU_ASSERT_EQUAL(alarm.runs, 3);

    CU_ASSERT_EQUAL(cmds_timer_cancel_wait(alarm.timer), 1);
    bench_end(&bench);
}

static void test_a_function_that_takes_longer_than_its_period(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench, .takes_ms = 25};

    CU_ASSERT_EQUAL(every(&alarm, 10), 0);
    bench_step(&bench, 0);
    bench_step(&bench, 10); // Until 35.
    CU_ASSERT_EQUAL(alarm.runs, 1);
    bench_step(&bench, 36); // 20 was missed, and 30.
    CU_ASSERT_EQUAL(alarm.runs, 2);
    CU_ASSERT_EQUAL(alarm.at_ms[1], 36);

    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 1);
    bench_end(&bench);
}

/* --- Cancelling ----------------------------------------------------------------------------------- */

static void test_a_cancel_says_whether_it_has_run(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm unheard = {.bench = &bench};
    struct alarm armed = {.bench = &bench};
    struct alarm due = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&unheard, 5), 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(unheard.timer), 1); // The shard has not heard of it.
    CU_ASSERT_EQUAL(after(&armed, 5), 0);
    CU_ASSERT_EQUAL(after(&due, 5), 0);
    bench_step(&bench, 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(armed.timer), 1);
    bench_step(&bench, 5);
    CU_ASSERT_EQUAL(cmds_timer_cancel_wait(due.timer), 0);
    bench_step(&bench, 10);

    CU_ASSERT_EQUAL(unheard.runs + armed.runs, 0);
    CU_ASSERT_EQUAL(due.runs, 1);
    bench_end(&bench);
}

static void test_a_function_may_cancel_itself(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm once = {.bench = &bench, .cancels = true, .code = -1};
    struct alarm often = {.bench = &bench, .cancels = true};
    struct alarm waits = {.bench = &bench, .cancels = true, .waits = true};

    CU_ASSERT_EQUAL(after(&once, 5), 0);
    CU_ASSERT_EQUAL(every(&often, 5), 0);
    CU_ASSERT_EQUAL(every(&waits, 5), 0); // It does not wait for itself.
    bench_step(&bench, 0);
    bench_step(&bench, 5);
    bench_step(&bench, 10);

    CU_ASSERT_EQUAL(once.runs, 1);
    CU_ASSERT_EQUAL(once.code, 0);
    CU_ASSERT_EQUAL(often.runs, 1);
    CU_ASSERT_EQUAL(often.code, 1);
    CU_ASSERT_EQUAL(waits.runs, 1);
    CU_ASSERT_EQUAL(waits.code, 1);
    bench_end(&bench);
}

static void test_one_of_the_same_moment_may_be_cancelled(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm first = {.bench = &bench, .cancels = true};
    struct alarm second = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&first, 5), 0);
    CU_ASSERT_EQUAL(every(&second, 5), 0);
    first.other = second.timer;
    bench_step(&bench, 0);
    bench_step(&bench, 20);

    CU_ASSERT_EQUAL(first.runs, 1);
    CU_ASSERT_EQUAL(first.code, 1);
    CU_ASSERT_EQUAL(second.runs, 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(first.timer), 0);
    bench_end(&bench);
}

/* The mail is on its way when its time comes: it is not run in between. */
static void test_a_cancel_counts_before_the_shard_hears_of_it(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct cmdi_shard *shard = bench.runtime->shards[0];
    struct alarm alarm = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&alarm, 5), 0);
    bench_step(&bench, 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 1);
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    (void)cmdi_timer_wheel_advance(&shard->timers, 5);
    (void)cmdi_shard_set_current(before);
    CU_ASSERT_EQUAL(alarm.runs, 0);

    bench_step(&bench, 10);
    CU_ASSERT_EQUAL(alarm.runs, 0);
    bench_end(&bench);
}

/* --- The end -------------------------------------------------------------------------------------- */

static void test_handles_outlive_their_runtime(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm run = {.bench = &bench};
    struct alarm armed = {.bench = &bench};
    struct alarm often = {.bench = &bench};
    struct alarm unheard = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&run, 5), 0);
    CU_ASSERT_EQUAL(after(&armed, 50), 0);
    CU_ASSERT_EQUAL(every(&often, 5), 0);
    bench_step(&bench, 0);
    bench_step(&bench, 5);
    CU_ASSERT_EQUAL(after(&unheard, 5), 0);
    bench_end(&bench);

    CU_ASSERT_EQUAL(cmds_timer_cancel(run.timer), 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(armed.timer), 1);
    CU_ASSERT_EQUAL(cmds_timer_cancel_wait(often.timer), 1);
    CU_ASSERT_EQUAL(cmds_timer_cancel(unheard.timer), 1);
    CU_ASSERT_EQUAL(run.runs, 1);
    CU_ASSERT_EQUAL(often.runs, 1);
    CU_ASSERT_EQUAL(armed.runs + unheard.runs, 0);
}

static void test_the_end_meets_cancels_that_are_under_way(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm before = {.bench = &bench};
    struct alarm after_it = {.bench = &bench};
    struct alarm late = {.bench = &bench};

    CU_ASSERT_EQUAL(after(&before, 5), 0);
    CU_ASSERT_EQUAL(after(&after_it, 5), 0);
    bench_step(&bench, 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(before.timer), 1); // Its mail comes behind the end.
    cmdi_runtime_timers_end(bench.runtime);
    CU_ASSERT_EQUAL(cmds_timer_cancel(after_it.timer), 1);
    CU_ASSERT_EQUAL(after(&late, 5), CMDS_E_CLOSED);
    CU_ASSERT_PTR_NULL(late.timer);
    bench_step(&bench, 100);

    CU_ASSERT_EQUAL(before.runs + after_it.runs + late.runs, 0);
    cmdi_runtime_destroy_stepped(bench.runtime);
    (void)cmdi_clock_give(NULL);
}

static void set_here(void *context)
{
    struct alarm *alarm = context;
    alarm->code = after(alarm, 5);
}

static void test_on_the_shard_none_is_set_after_the_end(void)
{
    struct bench bench;
    bench_begin(&bench);
    struct alarm alarm = {.bench = &bench};
    struct alarm late = {.bench = &bench};

    CU_ASSERT_EQUAL(cmds_runtime_post(bench.runtime, 0, set_here, &alarm), 0);
    bench_step(&bench, 0);
    CU_ASSERT_EQUAL(alarm.code, 0);
    cmdi_runtime_timers_end(bench.runtime);
    CU_ASSERT_EQUAL(cmds_runtime_post(bench.runtime, 0, set_here, &late), 0);
    bench_step(&bench, 20);

    CU_ASSERT_EQUAL(late.code, CMDS_E_CLOSED);
    CU_ASSERT_PTR_NULL(late.timer);
    CU_ASSERT_EQUAL(alarm.runs, 0);
    CU_ASSERT_EQUAL(cmds_timer_cancel(alarm.timer), 1);
    cmdi_runtime_destroy_stepped(bench.runtime);
    (void)cmdi_clock_give(NULL);
}

/* --- cmds_test ------------------------------------------------------------------------------------ */

struct store {
    struct cmds_runtime *runtime;
    uint64_t exec_ns, run_ns;
    uint32_t runs, posts;
    int shard;
};

static struct store store;

static void on_expiry(void *context)
{
    (void)context;
    store.run_ns = cmds_now_ns();
    store.runs++;
}

static void on_post(void *context)
{
    (void)context;
    store.posts++;
    store.shard = cmds_runtime_current_shard(store.runtime);
}

static int act_expire(struct cmds_call *call, const struct act *act)
{
    store.exec_ns = cmds_now_ns();
    CU_ASSERT_EQUAL(cmds_call_received_ns(call), store.exec_ns);
    CU_ASSERT_EQUAL(cmds_call_deadline_ns(call), store.exec_ns + 5000000000);
    CU_ASSERT_EQUAL(
            cmds_runtime_after(store.runtime, 0, (uint32_t)act->number, on_expiry, NULL, NULL), 0);
    return acts_answer(call, 0);
}

static void test_a_cmds_test_moves_timers_and_the_clock(void)
{
    struct app app = {.act = act_expire};
    struct cmds_server_options options = acts_options(&app);
    options.exec_timeout_ms = 5000;
    struct cmds_test *test = acts_open_with(&options);
    struct cmds_timer *timer = NULL;
    store = (struct store){.runtime = cmds_test_runtime(test)};

    CU_ASSERT_EQUAL(cmds_now_ns(), (uint64_t)86400 * 1000000000);
    CU_ASSERT_EQUAL(acts_send(test, 100), 0);
    cmds_test_advance_ms(test, 99);
    CU_ASSERT_EQUAL(store.runs, 0);
    cmds_test_advance_ms(test, 1);
    CU_ASSERT_EQUAL(store.runs, 1);
    CU_ASSERT_EQUAL(store.run_ns, store.exec_ns + 100000000);
    CU_ASSERT_EQUAL(cmds_now_ns(), store.run_ns);

    CU_ASSERT_EQUAL(cmds_runtime_every(store.runtime, 0, 10, on_expiry, NULL, &timer), 0);
    cmds_test_advance_ms(test, 105); // From one to the next: none is left out.
    CU_ASSERT_EQUAL(store.runs, 11);
    CU_ASSERT_EQUAL(cmds_timer_cancel(timer), 1);
    CU_ASSERT_EQUAL(cmds_runtime_post(store.runtime, 0, on_post, NULL), 0);
    CU_ASSERT_EQUAL(cmds_runtime_after(store.runtime, 0, 7, on_expiry, NULL, &timer), 0);
    CU_ASSERT_EQUAL(cmds_test_result_count(test), 1);
    CU_ASSERT_EQUAL(store.posts, 1);
    CU_ASSERT_EQUAL(store.shard, 0);
    CU_ASSERT_EQUAL(cmds_runtime_current_shard(store.runtime), -ENOENT);
    cmds_test_close(test);
    CU_ASSERT_EQUAL(store.runs, 11);
    CU_ASSERT_EQUAL(cmds_timer_cancel(timer), 1);
}

static void test_the_clock_is_that_of_the_test_used_last(void)
{
    struct app app = {.act = acts_echo};
    uint64_t real_ns = cmds_now_ns();
    struct cmds_test *a = acts_open(&app);
    uint64_t begin_ns = cmds_now_ns();
    struct cmds_test *b = acts_open(&app);

    cmds_test_advance_ms(a, 30);
    CU_ASSERT_EQUAL(cmds_now_ns(), begin_ns + 30000000);
    cmds_test_advance_ms(b, 1);
    CU_ASSERT_EQUAL(cmds_now_ns(), begin_ns + 1000000);
    cmds_test_close(b);
    CU_ASSERT(cmds_now_ns() >= real_ns);
    CU_ASSERT(cmds_test_result(a, 0) == NULL);
    CU_ASSERT_EQUAL(cmds_now_ns(), begin_ns + 30000000);
    cmds_test_close(a);
    CU_ASSERT(cmds_now_ns() >= real_ns);
}

static void test_the_runtime_of_a_cmds_test_carries_no_network(void)
{
    struct app app = {.act = acts_echo};
    struct cmds_test *test = acts_open(&app);
    struct cmds_runtime *runtime = cmds_test_runtime(test);
    struct cmds_server_options server_options = acts_options(&app);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(server_options.protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_server *server = NULL;
    struct cmds_group *group = NULL;
    char text[64];
    group_options.connect = "127.0.0.1:1";

    CU_ASSERT_EQUAL(cmds_server_start(&server, runtime, &server_options, &error), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_open(&group, runtime, &group_options, &error), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_turn(runtime, 0), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_fd(runtime), -ENOTSUP);
    CU_ASSERT_EQUAL(cmds_runtime_shard_count(runtime), 1);
    CU_ASSERT(cmds_runtime_turns(runtime, 1) && !cmds_runtime_is_draining(runtime));
    CU_ASSERT(cmds_runtime_describe(runtime, text, sizeof(text)) > 0);
    cmds_runtime_stop(runtime);

    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    cmds_test_close(test);
}

static CU_TestInfo tests[] = {
        {"after runs once and never early", test_after_runs_once_and_never_early},
        {"nobody needs a handle", test_nobody_needs_a_handle},
        {"a delay of 0 is not now", test_a_delay_of_0_is_not_now},
        {"a function may set its timer again", test_a_function_may_set_its_timer_again},
        {"the longest delay is 49 days", test_the_longest_delay_is_49_days},
        {"what makes no sense is refused", test_what_makes_no_sense_is_refused},
        {"timers run in the order of their time", test_timers_run_in_the_order_of_their_time},
        {"every keeps its grid", test_every_keeps_its_grid},
        {"what a held up shard missed is left out", test_what_a_held_up_shard_missed_is_left_out},
        {"a function that takes longer than its period",
                test_a_function_that_takes_longer_than_its_period},
        {"a cancel says whether it has run", test_a_cancel_says_whether_it_has_run},
        {"a function may cancel itself", test_a_function_may_cancel_itself},
        {"one of the same moment may be cancelled", test_one_of_the_same_moment_may_be_cancelled},
        {"a cancel counts before the shard hears of it",
                test_a_cancel_counts_before_the_shard_hears_of_it},
        {"handles outlive their runtime", test_handles_outlive_their_runtime},
        {"the end meets cancels that are under way", test_the_end_meets_cancels_that_are_under_way},
        {"on the shard none is set after the end", test_on_the_shard_none_is_set_after_the_end},
        {"a cmds_test moves timers and the clock", test_a_cmds_test_moves_timers_and_the_clock},
        {"the clock is that of the test used last", test_the_clock_is_that_of_the_test_used_last},
        {"the runtime of a cmds_test carries no network",
                test_the_runtime_of_a_cmds_test_carries_no_network},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("runtime_timers", tests)
