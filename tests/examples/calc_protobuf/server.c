/* SPDX-License-Identifier: MIT */
/* Exec functions take the generated structs; what they get is borrowed, never freed. */
#include "calc.h"

static int add(struct cmds_call *call, const Calc__Add *command)
{
    Calc__Value value = CALC__VALUE__INIT;
    value.value = command->a + command->b;
    return cmds_call_send(call, calc_value_message(&value));
}

static const struct cmds_exec execs[] = {CMDS_PROTOBUF_EXEC(calc_add, add)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.codec = &cmds_codec_protobuf;
    return cmds_server_main(&options);
}
