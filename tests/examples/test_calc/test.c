/* SPDX-License-Identifier: MIT */
/* Exec functions tested without a network: no socket, no thread, no ring, and the clock is yours. */
#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/test.h>

#include "../calc/calc.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void greet_over(struct cmds_call *call)
{
    struct calc_line line = {.text = CMDS_STRING("at last"), .last = true};
    (void)cmds_call_send(call, calc_line_message(&line));
}

static int add(struct cmds_call *call, const struct calc_add *command)
{
    struct calc_value value = {.value = command->a + command->b};
    return cmds_call_send(call, calc_value_message(&value));
}

static int greet(struct cmds_call *call, const struct calc_greet *command)
{
    (void)command;
    return cmds_call_after(call, 1000, greet_over);
}

static const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, add), CMDS_EXEC(calc_greet, greet)};

int main(void)
{
    struct cmds_test *test = NULL;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    struct calc_greet slow = {.name = CMDS_STRING("Ada"), .count = 1};
    CHECK(cmds_test_open(&test, &options, NULL) == 0);

    CHECK(cmds_test_send(test, calc_add_message(&(struct calc_add){2, 3})) == 0);
    CHECK(calc_value_of(cmds_test_result(test, 0))->value == 5);
    CHECK(calc_line_of(cmds_test_result(test, 0)) == NULL); // Not a calc_line.

    CHECK(cmds_test_send(test, calc_greet_message(&slow)) == 0);
    CHECK(cmds_test_result_count(test) == 1);
    cmds_test_advance_ms(test, 1000); // No second passes.
    CHECK(cmds_test_result_count(test) == 2);
    CHECK(calc_line_of(cmds_test_result(test, 1))->last);

    cmds_test_close(test);
    printf("ok\n");
    return 0;
}
