/* SPDX-License-Identifier: MIT */
// The server of ../calc from C++17, with the same header. No exception may leave an exec function.
#include "calc.h"

static int add(cmds_call *call, const calc_add *command)
{
    const calc_value value{command->a + command->b};
    return cmds_call_send(call, calc_value_message(&value));
}

static int greet(cmds_call *call, const calc_greet *greet)
{
    const uint64_t number = cmds_call_round(call) + 1;
    const bool last = greet->count <= 0 || number >= static_cast<uint64_t>(greet->count);
    const calc_line line{greet->name, last};
    const int error = cmds_call_send(call, calc_line_message(&line));
    return error < 0 || line.last ? error : CMDS_EXEC_AGAIN;
}

static const cmds_exec execs[] = {CMDS_EXEC(calc_add, add), CMDS_EXEC(calc_greet, greet)};

int main(int argc, char **argv)
{
    cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    return cmds_server_main(&options);
}
