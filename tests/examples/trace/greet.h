/* SPDX-License-Identifier: MIT */
#ifndef GREET_H
#define GREET_H

#include <cmdstream/cmdstream.h>

struct greet {
    struct cmds_string name;
};
struct greeting {
    struct cmds_string text;
};
CMDS_COMMAND(greet, 0, name);
CMDS_TRACED(greet_traced, 100, greet); // The same command, with the context of a trace in front.
CMDS_RESULT(greeting, 0, text);

static const struct cmds_type *const greet_commands[] = {&greet_type, &greet_traced_type};
static const struct cmds_type *const greet_results[] = {&greeting_type};
static const struct cmds_protocol greets = CMDS_PROTOCOL("greets", greet_commands, greet_results);

#endif
