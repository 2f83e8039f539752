/* SPDX-License-Identifier: MIT */
#ifndef ECHO_H
#define ECHO_H

#include <cmdstream/cmdstream.h>

struct echo_say {
    struct cmds_string text;
};
struct echo_said {
    struct cmds_string text;
};

CMDS_COMMAND(echo_say, 0, CMDS_MAX(text, 1000));
CMDS_RESULT(echo_said, 0, text);

static const struct cmds_type *const echo_commands[] = {&echo_say_type};
static const struct cmds_type *const echo_results[] = {&echo_said_type};
static const struct cmds_protocol echo = CMDS_PROTOCOL("echo", echo_commands, echo_results);

#endif
