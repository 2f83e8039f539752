/* SPDX-License-Identifier: MIT */
/* What is in stock: how many of what. */
#ifndef STOCK_H
#define STOCK_H

#include <cmdstream/cmdstream.h>

struct stock_add {
    struct cmds_string name;
    int64_t count; // Negative: taken out.
};
struct stock_list {
    CMDS_OPTIONAL_OF(struct cmds_string) prefix;
};
struct stock_item {
    struct cmds_string name;
    int64_t count;
    bool last;
};

CMDS_COMMAND(stock_add, 0, CMDS_MAX(name, 15), count);
CMDS_COMMAND_IDEMPOTENT(stock_list, 1, CMDS_OPTIONAL(prefix));
CMDS_RESULT(stock_item, 0, name, count, CMDS_LAST(last));
static const struct cmds_type *const stock_commands[] = {&stock_add_type, &stock_list_type};
static const struct cmds_type *const stock_results[] = {&stock_item_type};
static const struct cmds_protocol stock = CMDS_PROTOCOL("stock", stock_commands, stock_results);

#endif
