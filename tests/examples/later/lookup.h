/* SPDX-License-Identifier: MIT */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <cmdstream/cmdstream.h>

struct lookup_get {
    struct cmds_string key;
};
struct lookup_found {
    struct cmds_string value;
};

CMDS_COMMAND(lookup_get, 0, CMDS_MAX(key, 256));
CMDS_RESULT(lookup_found, 0, value);

static const struct cmds_type *const lookup_commands[] = {&lookup_get_type};
static const struct cmds_type *const lookup_results[] = {&lookup_found_type};
static const struct cmds_protocol lookup = CMDS_PROTOCOL("lookup", lookup_commands, lookup_results);

#endif
