/* SPDX-License-Identifier: MIT */
/* The exec functions of ../calc/server.c without a network: no socket, no thread, no ring. */
#define main server_main
#include "server.c"
#undef main

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/test.h>

#define CHECK(fact)                                                                                \
    ((fact) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #fact), exit(1)))

static const struct calc_line *line_at(struct cmds_test *test, uint32_t index)
{
    return calc_line_of(cmds_test_result(test, index));
}

int main(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    struct calc_greet thrice = {.name = CMDS_STRING("Ada"), .count = 3};
    struct calc_greet never = {.name = CMDS_STRING("Ada"), .count = -1};
    struct cmds_test *test = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_test_open(&test, &options, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }

    CHECK(cmds_test_send(test, calc_add_message(&(struct calc_add){2, 3})) == 0);
    CHECK(calc_value_of(cmds_test_result(test, 0))->value == 5);
    CHECK(line_at(test, 0) == NULL); // Not a calc_line.

    CHECK(cmds_test_send(test, calc_greet_message(&thrice)) == 0);
    CHECK(!line_at(test, 2)->last);
    CHECK(line_at(test, 3)->last);
    CHECK(cmds_test_result_count(test) == 4);

    CHECK(cmds_test_send(test, calc_greet_message(&never)) == 0);
    CHECK(line_at(test, 4)->last); // Not a client that waits for ever.

    cmds_test_output_full(test, true); // The client does not read.
    CHECK(cmds_test_send(test, calc_greet_message(&thrice)) == -ENOBUFS);
    cmds_test_disconnect(test); // And now it has left.
    CHECK(cmds_test_send(test, calc_greet_message(&thrice)) == CMDS_E_GONE);

    cmds_test_close(test);
    printf("ok\n");
    return 0;
}
