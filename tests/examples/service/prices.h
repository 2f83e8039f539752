/* SPDX-License-Identifier: MIT */
/* What the service behind speaks. */
#ifndef PRICES_H
#define PRICES_H

#include <cmdstream/cmdstream.h>

struct prices_get {
    uint64_t sku;
};
struct prices_price {
    int64_t cents;
};

CMDS_COMMAND(prices_get, 0, sku);
CMDS_RESULT(prices_price, 0, cents);

static const struct cmds_type *const prices_commands[] = {&prices_get_type};
static const struct cmds_type *const prices_results[] = {&prices_price_type};
static const struct cmds_protocol prices = CMDS_PROTOCOL("prices", prices_commands, prices_results);

#endif
