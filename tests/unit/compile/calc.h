/* SPDX-License-Identifier: MIT */
/* A small protocol, for the mistakes in refused/ to be made with. */
#ifndef CMDI_TESTS_COMPILE_CALC_H
#define CMDI_TESTS_COMPILE_CALC_H

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
CMDS_COMMAND(calc_add, 0, a, b);
CMDS_COMMAND(calc_greet, 1, name, count);
CMDS_RESULT(calc_value, 0, value);
CMDS_RESULT(calc_line, 1, text, CMDS_LAST(last));

static const struct cmds_type *const calc_commands[] = {&calc_add_type, &calc_greet_type};
static const struct cmds_type *const calc_results[] = {&calc_value_type, &calc_line_type};
static const struct cmds_protocol calc = CMDS_PROTOCOL("calc", calc_commands, calc_results);
CMDS_UNUSED_ static const struct cmds_protocol *const calc_used = &calc;

struct item {
    uint64_t number;
};
struct place {
    struct cmds_string street;
};
CMDS_SCHEMA(item, number);
CMDS_SCHEMA(place, street);
CMDS_UNUSED_ static const struct cmds_schema *const schemas_used[] = {&item_schema, &place_schema};

#endif
