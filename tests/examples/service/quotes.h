/* SPDX-License-Identifier: MIT */
/* What the service in front speaks. */
#ifndef QUOTES_H
#define QUOTES_H

#include <cmdstream/cmdstream.h>

struct quotes_get {
    uint64_t sku;
    uint32_t count;
};
struct quotes_quote {
    int64_t cents;
};

CMDS_COMMAND(quotes_get, 0, sku, count);
CMDS_RESULT(quotes_quote, 0, cents);

static const struct cmds_type *const quotes_commands[] = {&quotes_get_type};
static const struct cmds_type *const quotes_results[] = {&quotes_quote_type};
static const struct cmds_protocol quotes = CMDS_PROTOCOL("quotes", quotes_commands, quotes_results);

#endif
