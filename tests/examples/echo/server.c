/* SPDX-License-Identifier: MIT */
/* The smallest server. */
#include "echo.h"

static int say(struct cmds_call *call, const struct echo_say *command)
{
    struct echo_said said = {command->text};
    return cmds_call_send(call, echo_said_message(&said));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(echo_say, say)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&echo, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    return cmds_server_main(&options);
}
