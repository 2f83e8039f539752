/* SPDX-License-Identifier: MIT */
/* The protocol of the example calc in JSON: another codec is one option. */
#include <cmdstream/codec_json.h>

#include "calc.h"

static int add(struct cmds_call *call, const struct calc_add *command)
{
    struct calc_value value = {.value = command->a + command->b};
    return cmds_call_send(call, calc_value_message(&value));
}

static int greet(struct cmds_call *call, const struct calc_greet *greet)
{
    struct calc_line line = {.text = greet->name, .last = true};
    return cmds_call_send(call, calc_line_message(&line));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, add), CMDS_EXEC(calc_greet, greet)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.codec = &cmds_codec_json;
    return cmds_server_main(&options);
}
