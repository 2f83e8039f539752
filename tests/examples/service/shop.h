/* SPDX-License-Identifier: MIT */
/* Two protocols: prices, and the quotes that are made of them. */
#ifndef SHOP_H
#define SHOP_H

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
static const struct cmds_protocol prices CMDS_UNUSED_ =
        CMDS_PROTOCOL("prices", prices_commands, prices_results);

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
static const struct cmds_protocol quotes CMDS_UNUSED_ =
        CMDS_PROTOCOL("quotes", quotes_commands, quotes_results);

#endif
