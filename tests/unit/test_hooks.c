/* SPDX-License-Identifier: MIT */
/*
 * The chain of hooks as values: in which order they run, that each end reaches each of them once,
 * that one's memory of a command is not another's, and whom a veto reaches.
 */
#include "group/hooks.h"

#include <errno.h>

#include "support/harness.h"

enum {
    COUNT = 3
};

struct note {
    char *log;
    char name;
    int veto;             // What before_send returns.
    uint32_t deadline_ms; // Not 0: what it leaves.
};

static void note_add(const struct note *note, char what)
{
    size_t size = strlen(note->log);
    note->log[size] = note->name;
    note->log[size + 1] = what;
    note->log[size + 2] = '\0';
}

static int before_send(void *context, struct cmds_sent_command *command)
{
    struct note *note = context;
    CU_ASSERT_PTR_NULL(command->user);
    note_add(note, '(');
    command->user = note;
    if (note->deadline_ms != 0) {
        command->deadline_ms = note->deadline_ms;
    }
    return note->veto;
}

static void check_user(const struct note *note, const struct cmds_sent_command *command)
{
    CU_ASSERT_PTR_EQUAL(command->user, note);
}

static void on_result(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    CU_ASSERT_EQUAL(result->error, 0);
    check_user(context, command);
    note_add(context, result->last ? ')' : '-');
}

static void on_error(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    CU_ASSERT(result->error < 0 && result->last);
    CU_ASSERT_STRING_NOT_EQUAL(result->text, "");
    check_user(context, command);
    note_add(context, '!');
}

static void on_timeout(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    CU_ASSERT_EQUAL(result->error, CMDS_E_TIMEOUT);
    check_user(context, command);
    note_add(context, '?');
}

/* Three, a to c, as a group has them. */
struct chain {
    char log[100];
    struct note notes[COUNT];
    struct cmds_hooks items[COUNT];
    const struct cmds_hooks *list[COUNT];
    struct cmdi_hooks hooks;
    struct cmds_sent_command command;
    void *users[COUNT];
};

static void chain_take(struct chain *chain)
{
    struct cmds_group_options options = {.hooks = chain->list, .hooks_count = COUNT};
    CU_ASSERT_EQUAL_FATAL(cmdi_hooks_take(&chain->hooks, &options, NULL), 0);
}

static void chain_init(struct chain *chain)
{
    memset(chain, 0, sizeof(*chain));
    for (uint32_t i = 0; i < COUNT; i++) {
        chain->notes[i] = (struct note){.log = chain->log, .name = (char)('a' + i)};
        chain->items[i] = (struct cmds_hooks){.struct_size = sizeof(struct cmds_hooks),
                .context = &chain->notes[i],
                .before_send = before_send,
                .on_result = on_result,
                .on_error = on_error,
                .on_timeout = on_timeout};
        chain->list[i] = &chain->items[i];
    }
    chain_take(chain);
}

static int chain_before(struct chain *chain)
{
    return cmdi_hooks_before(&chain->hooks, &chain->command, chain->users);
}

static void chain_tell(struct chain *chain, int error, bool last)
{
    struct cmds_result result = {.error = error, .last = last, .text = "why"};
    cmdi_hooks_tell(&chain->hooks, &chain->command, chain->users, &result);
}

static void test_hooks_run_in_and_out(void)
{
    struct chain chain;
    chain_init(&chain);

    CU_ASSERT_EQUAL(chain_before(&chain), 0);
    chain_tell(&chain, 0, false);
    chain_tell(&chain, 0, true);

    CU_ASSERT_STRING_EQUAL(chain.log, "a(b(c(c-b-a-c)b)a)");
}

static void test_hooks_time_out_and_other_errors_are_two(void)
{
    struct chain chain;
    chain_init(&chain);

    chain_before(&chain);
    chain_tell(&chain, CMDS_E_TIMEOUT, true);
    chain_before(&chain);
    chain_tell(&chain, CMDS_E_LOST, true);

    CU_ASSERT_STRING_EQUAL(chain.log, "a(b(c(c?b?a?a(b(c(c!b!a!");
}

static void test_hooks_a_veto_ends_those_before_it(void)
{
    struct chain chain;
    chain_init(&chain);

    chain.notes[1].veto = -EACCES;
    CU_ASSERT_EQUAL(chain_before(&chain), -EACCES);
    CU_ASSERT_STRING_EQUAL(chain.log, "a(b(a!");

    chain.log[0] = '\0';
    chain.notes[1].veto = 1; // None of the codes.
    CU_ASSERT_EQUAL(chain_before(&chain), CMDS_E_NOT_ALLOWED);
    CU_ASSERT_STRING_EQUAL(chain.log, "a(b(a!");
}

static void test_hooks_may_lack_functions(void)
{
    struct chain chain;
    chain_init(&chain);
    chain.items[0].on_result = NULL;
    chain.items[1].before_send = NULL;
    chain.items[1].on_result = NULL;
    chain.items[2].on_error = NULL;
    chain.items[2].on_timeout = NULL;
    chain.items[1].on_timeout = NULL;
    chain.items[1].on_error = NULL;
    chain_take(&chain);

    CU_ASSERT_EQUAL(chain_before(&chain), 0);
    chain_tell(&chain, 0, true);
    chain_tell(&chain, CMDS_E_TIMEOUT, true);
    chain_tell(&chain, CMDS_E_LOST, true);

    CU_ASSERT_STRING_EQUAL(chain.log, "a(c(c)a?a!");
}

static void test_hooks_see_the_deadline_of_those_before(void)
{
    struct chain chain;
    chain_init(&chain);
    chain.command.deadline_ms = CMDS_NEVER;
    chain.notes[0].deadline_ms = 100;
    chain.notes[2].deadline_ms = 50;

    CU_ASSERT_EQUAL(chain_before(&chain), 0);

    CU_ASSERT_EQUAL(chain.command.deadline_ms, 50);
}

static void refuses(const struct cmds_hooks *const *list, uint32_t count, int code)
{
    struct cmds_group_options options = {.hooks = list, .hooks_count = count};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmdi_hooks hooks;
    CU_ASSERT_EQUAL(cmdi_hooks_take(&hooks, &options, &error), code);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "hooks"));
    CU_ASSERT_EQUAL(hooks.count, 0);
}

static void test_hooks_options_are_refused(void)
{
    struct chain chain;
    chain_init(&chain);

    refuses(chain.list, CMDS_HOOKS_MAX + 1, -EINVAL);
    refuses(NULL, 1, -EINVAL);
    chain.items[2].unused = 1;
    refuses(chain.list, COUNT, -E2BIG);
    chain.list[1] = NULL;
    refuses(chain.list, COUNT, -EINVAL);
}

/* One of an older header has no on_timeout. */
static void test_hooks_of_another_version(void)
{
    struct chain chain;
    chain_init(&chain);
    chain.items[1].struct_size = offsetof(struct cmds_hooks, on_timeout);
    chain_take(&chain);

    CU_ASSERT_EQUAL(chain_before(&chain), 0);
    chain_tell(&chain, CMDS_E_TIMEOUT, true);

    CU_ASSERT_STRING_EQUAL(chain.log, "a(b(c(c?a?");
}

CU_TestInfo test_hooks[] = {
        {"run in and out", test_hooks_run_in_and_out},
        {"time-out and other errors are two", test_hooks_time_out_and_other_errors_are_two},
        {"a veto ends those before it", test_hooks_a_veto_ends_those_before_it},
        {"may lack functions", test_hooks_may_lack_functions},
        {"see the deadline of those before", test_hooks_see_the_deadline_of_those_before},
        {"options are refused", test_hooks_options_are_refused},
        {"of another version", test_hooks_of_another_version},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("hooks", test_hooks)
