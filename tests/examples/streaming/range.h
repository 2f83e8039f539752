/* SPDX-License-Identifier: MIT */
#ifndef RANGE_H
#define RANGE_H

#include <cmdstream/cmdstream.h>

struct range_count {
    int64_t from, to;
};
struct range_number {
    int64_t number;
    bool last;
};

CMDS_COMMAND(range_count, 0, from, to);
CMDS_RESULT(range_number, 0, number, CMDS_LAST(last));

static const struct cmds_type *const range_commands[] = {&range_count_type};
static const struct cmds_type *const range_results[] = {&range_number_type};
static const struct cmds_protocol range = CMDS_PROTOCOL("range", range_commands, range_results);

#endif
