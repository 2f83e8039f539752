/* SPDX-License-Identifier: MIT */
/* The protocol: a command, and the same one with the context of a trace in front. */
#ifndef CALC_H
#define CALC_H

#include <cmdstream/cmdstream.h>
#include <cmdstream/trace.h>

struct calc_add {
    int64_t a, b;
};
struct calc_value {
    int64_t value;
};

CMDS_COMMAND(calc_add, 0, a, b);
CMDS_TRACED(calc_add_traced, 10, calc_add); // Nobody sends or executes it by hand.
CMDS_RESULT(calc_value, 0, value);

static const struct cmds_type *const calc_commands[] = {&calc_add_type, &calc_add_traced_type};
static const struct cmds_type *const calc_results[] = {&calc_value_type};
static const struct cmds_protocol calc = CMDS_PROTOCOL("calc", calc_commands, calc_results);

#endif
