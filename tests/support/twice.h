/* SPDX-License-Identifier: MIT */
/*
 * A protocol whose header two source files include, as those of a program do: its types are other
 * objects in each of them, and the same types.
 */
#ifndef CMDI_TESTS_SUPPORT_TWICE_H
#define CMDI_TESTS_SUPPORT_TWICE_H

#include <cmdstream/client.h>
#include <cmdstream/schema.h>

struct twice_ask {
    int64_t number;
};
struct twice_part {
    struct cmds_string name;
};
struct twice_pair {
    int64_t a, b;
    CMDS_ARRAY_OF(struct twice_part) parts;
};
CMDS_SCHEMA(twice_part, name);
CMDS_COMMAND(twice_ask, 0, number);
CMDS_RESULT(twice_pair, 0, a, b, CMDS_ARRAY(parts, twice_part));

/* twice.c: by its own objects. */
const struct twice_ask *twice_ask_elsewhere(const struct cmds_call *call);
const struct twice_pair *twice_pair_elsewhere(const struct cmds_result *result);
struct cmds_message twice_message_elsewhere(const struct twice_pair *pair);
const struct cmds_type *twice_type_elsewhere(void);

#endif
