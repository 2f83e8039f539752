/* SPDX-License-Identifier: MIT */
#ifndef SHELF_H
#define SHELF_H

#include <cmdstream/cmdstream.h>

struct shelf_get {
    struct cmds_string key;
};
struct shelf_found {
    struct cmds_string value;
};
struct shelf_error { // Fields of one's own may follow; what the library sends has zero in them.
    int32_t code;
    struct cmds_string text;
};

CMDS_COMMAND(shelf_get, 0, CMDS_MAX(key, 256));
CMDS_RESULT(shelf_found, 0, value);
CMDS_RESULT_ERROR(shelf_error, 1, code, text); // Whatever fails ends with it.

static const struct cmds_type *const shelf_commands[] = {&shelf_get_type};
static const struct cmds_type *const shelf_results[] = {&shelf_found_type, &shelf_error_type};
static const struct cmds_protocol shelf = CMDS_PROTOCOL("shelf", shelf_commands, shelf_results);

#endif
