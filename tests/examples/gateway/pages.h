/* SPDX-License-Identifier: MIT */
/* What the services behind the gateway speak, and what it speaks itself. */
#ifndef PAGES_H
#define PAGES_H

#include <cmdstream/cmdstream.h>

struct part_get {
    uint64_t sku;
};
struct part_value {
    int64_t value;
};
CMDS_COMMAND(part_get, 0, sku);
CMDS_RESULT(part_value, 0, value);
static const struct cmds_type *const part_commands[] = {&part_get_type};
static const struct cmds_type *const part_results[] = {&part_value_type};
static const struct cmds_protocol part = CMDS_PROTOCOL("part", part_commands, part_results);

struct page_get {
    uint64_t sku;
};
struct page_part {
    struct cmds_string name;
    int64_t value;
    int32_t error; // Not 0: why it is missing.
};
struct page_whole {
    CMDS_ARRAY_OF(struct page_part) parts;
};
CMDS_SCHEMA(page_part, name, value, error);
CMDS_COMMAND_IDEMPOTENT(page_get, 0, sku);
CMDS_RESULT(page_whole, 0, CMDS_ARRAY(parts, page_part));
static const struct cmds_type *const page_commands[] = {&page_get_type};
static const struct cmds_type *const page_results[] = {&page_whole_type};
static const struct cmds_protocol page = CMDS_PROTOCOL("page", page_commands, page_results);

#endif
