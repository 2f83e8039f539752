/* SPDX-License-Identifier: MIT */
/*
 * Invokers: functions around every exec function (cmds_invoker_fn). Each must get the receiver and
 * the code of what it called, on the thread of that; and it may answer or refuse in its stead. Their
 * order, and one run for each round, are test_call's.
 */
#include <errno.h>

#include "support/guest.h"

enum {
    WHAT_PLAIN,
    WHAT_FAILS,
    WHAT_INSTEAD, // The invoker answers.
    WHAT_REFUSED, // The invoker refuses.
};

struct seen {
    struct world world;
    struct guest guest;
    // Strangers: another receiver, another thread, another type than that of the command.
    _Atomic uint32_t invoked, strangers;
    _Atomic int32_t code;    // Of the last exec function.
    _Atomic uint32_t errors; // on_exec_error
};

static _Thread_local uint32_t exec_depth;
static _Thread_local bool exec_was_here;

static int invoker(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    struct seen *seen = ((struct world *)receiver)->context;
    const struct run *run = run_of(call);
    atomic_fetch_add(&seen->invoked, 1);
    if (receiver != cmds_call_receiver(call) || receiver != &seen->world) {
        atomic_fetch_add(&seen->strangers, 1);
    }
    const struct cmds_type *type = run != NULL             ? &run_type
                                   : echo_of(call) != NULL ? &echo_type
                                                           : &pool_type;
    if (cmds_call_type(call)->number != type->number ||
            strcmp(cmds_call_type(call)->schema->name, type->schema->name) != 0) {
        atomic_fetch_add(&seen->strangers, 1);
    }
    if (run != NULL && run->what == WHAT_INSTEAD) {
        return world_send_item(call, -run->number, true);
    }
    if (run != NULL && run->what == WHAT_REFUSED) {
        return -EACCES;
    }
    exec_was_here = false;
    exec_depth++;
    int code = cmds_invocation_next(next, call);
    exec_depth--;
    if (!exec_was_here && echo_of(call) == NULL) {
        atomic_fetch_add(&seen->strangers, 1);
    }
    atomic_store(&seen->code, code);
    return code;
}

static int exec_inside(struct cmds_call *call, const struct run *run)
{
    exec_was_here = exec_depth == 1; // Of this thread: else the invoker is somewhere else.
    return run->what == WHAT_FAILS ? -EDOM : world_send_item(call, run->number, true);
}

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    struct seen *seen = ((struct world *)receiver)->context;
    atomic_fetch_add(&seen->errors, 1);
    return world_send_item(call, error->code, true);
}

static void seen_start(struct seen *seen)
{
    static const cmds_invoker_fn invokers[] = {invoker};
    memset(seen, 0, sizeof(*seen));
    world_init(&seen->world);
    guest_init(&seen->guest);
    seen->world.exec = exec_inside;
    seen->world.context = seen;
    seen->world.options.invokers = invokers;
    seen->world.options.invoker_count = 1;
    seen->world.options.on_exec_error = on_exec_error;
    guest_start(&seen->guest, &seen->world);
}

static void seen_stop(struct seen *seen)
{
    CU_ASSERT_EQUAL(atomic_load(&seen->strangers), 0);
    CU_ASSERT_EQUAL(cmds_group_connected(seen->guest.group), 1);
    guest_close(&seen->guest, &seen->world);
    world_stop(&seen->world);
}

/* Returns: the number of the only answer. */
static int64_t run_once(struct seen *seen, int64_t what, int64_t number)
{
    uint32_t ended = guest_last(&seen->guest);
    CU_ASSERT_EQUAL(guest_run(&seen->guest, what, number, NULL), 0);
    WORLD_UNTIL(&seen->world, guest_last(&seen->guest) == ended + 1);
    return answers_at(seen->guest.answers, ended).number;
}

static void test_invoker_runs_around_every_command(void)
{
    struct pool pool = {WHAT_PLAIN, 6, CMDS_STRING("")};
    struct seen seen;
    seen_start(&seen);

    CU_ASSERT_EQUAL(run_once(&seen, WHAT_PLAIN, 5), 5);
    CU_ASSERT_EQUAL(cmds_group_send(seen.guest.group, pool_message(&pool), NULL, answers_take,
                            seen.guest.answers),
            0);
    WORLD_UNTIL(&seen.world, guest_last(&seen.guest) == 2);
    CU_ASSERT_EQUAL(answers_at(seen.guest.answers, 1).number, 6);
    CU_ASSERT_EQUAL(guest_echo(&seen.guest, 7, NULL), 0);
    WORLD_UNTIL(&seen.world, guest_last(&seen.guest) == 3);
    CU_ASSERT_EQUAL(answers_at(seen.guest.answers, 2).number, 7);
    CU_ASSERT_EQUAL(atomic_load(&seen.invoked), 3);

    seen_stop(&seen);
}

static void test_invoker_gets_the_code_of_the_exec_function(void)
{
    struct seen seen;
    seen_start(&seen);

    CU_ASSERT_EQUAL(run_once(&seen, WHAT_PLAIN, 5), 5);
    WORLD_UNTIL(&seen.world, atomic_load(&seen.world.returned) == 1);
    CU_ASSERT_EQUAL(atomic_load(&seen.errors), 0);
    CU_ASSERT_EQUAL(run_once(&seen, WHAT_FAILS, 5), -EDOM); // on_exec_error answers.
    CU_ASSERT_EQUAL(atomic_load(&seen.code), -EDOM);
    CU_ASSERT_EQUAL(atomic_load(&seen.errors), 1);

    seen_stop(&seen);
}

static void test_invoker_answers_instead(void)
{
    struct seen seen;
    seen_start(&seen);

    CU_ASSERT_EQUAL(run_once(&seen, WHAT_INSTEAD, 9), -9);
    CU_ASSERT_EQUAL(atomic_load(&seen.world.executed), 0);
    CU_ASSERT_EQUAL(atomic_load(&seen.errors), 0);
    CU_ASSERT_EQUAL(run_once(&seen, WHAT_PLAIN, 5), 5); // The connection goes on.

    seen_stop(&seen);
}

static void test_invoker_refuses_and_the_server_answers(void)
{
    struct seen seen;
    seen_start(&seen);

    CU_ASSERT_EQUAL(run_once(&seen, WHAT_REFUSED, 9), -EACCES);
    CU_ASSERT_EQUAL(atomic_load(&seen.world.executed), 0);
    CU_ASSERT_EQUAL(atomic_load(&seen.errors), 1);
    CU_ASSERT_EQUAL(run_once(&seen, WHAT_PLAIN, 5), 5);

    seen_stop(&seen);
}

static CU_TestInfo test_invoker[] = {
        {"runs around every command", test_invoker_runs_around_every_command},
        {"gets the code of the exec function", test_invoker_gets_the_code_of_the_exec_function},
        {"answers instead", test_invoker_answers_instead},
        {"refuses and the server answers", test_invoker_refuses_and_the_server_answers},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("invoker", test_invoker)
