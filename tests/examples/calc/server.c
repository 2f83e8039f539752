/* SPDX-License-Identifier: MIT */
/* A server: one function per command. SIGTERM drains it. */
#include "calc.h"

static int add(struct cmds_call *call, const struct calc_add *command)
{
    struct calc_value value = {.value = command->a + command->b};
    return cmds_call_send(call, calc_value_message(&value));
}

static int greet(struct cmds_call *call, const struct calc_greet *greet)
{
    uint64_t number = cmds_call_round(call) + 1;
    struct calc_line line = {
            .text = greet->name, .last = greet->count <= 0 || number >= (uint64_t)greet->count};
    int code = cmds_call_send(call, calc_line_message(&line));
    /* Again when the connection has room; others go in between. */
    return code < 0 || line.last ? code : CMDS_EXEC_AGAIN;
}

static const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, add), CMDS_EXEC(calc_greet, greet)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    return cmds_server_main(&options);
}
