/* SPDX-License-Identifier: MIT */
/* The protocol: plain structs and a row for each. Client and server include it. */
#ifndef CALC_H
#define CALC_H

#include <cmdstream/cmdstream.h>

struct calc_add {
    int64_t a, b;
};
struct calc_greet {
    struct cmds_string name;
    int32_t count;
};
struct calc_value {
    int64_t value;
};
struct calc_line {
    struct cmds_string text;
    bool last;
};

/* Struct, number on the wire, fields. A field's kind follows from its C type. */
CMDS_COMMAND(calc_add, 0, a, b);
CMDS_COMMAND(calc_greet, 1, name, count);
CMDS_RESULT(calc_value, 0, value);
CMDS_RESULT(calc_line, 1, text, CMDS_LAST(last)); // The one with `last` set ends the command.

static const struct cmds_type *const calc_commands[] = {&calc_add_type, &calc_greet_type};
static const struct cmds_type *const calc_results[] = {&calc_value_type, &calc_line_type};
static const struct cmds_protocol calc = CMDS_PROTOCOL("calc", calc_commands, calc_results);

#endif
