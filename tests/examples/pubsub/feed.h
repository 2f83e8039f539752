/* SPDX-License-Identifier: MIT */
/* One command, and as many results as there are prices for as long as the subscriber likes. */
#ifndef FEED_H
#define FEED_H

#include <cmdstream/cmdstream.h>

struct feed_subscribe {
    uint64_t id; // The subscriber's own, of a connection.
};
struct feed_unsubscribe {
    uint64_t id;
};
struct feed_price {
    int64_t cents;
    bool last; // The subscription ends with it.
};
CMDS_COMMAND_IDEMPOTENT(feed_subscribe, 0, id);
CMDS_COMMAND_ONE_WAY(feed_unsubscribe, 1, id); // The last price is its answer.
CMDS_RESULT(feed_price, 0, cents, CMDS_LAST(last));
static const struct cmds_type *const feed_commands[] = {
        &feed_subscribe_type, &feed_unsubscribe_type};
static const struct cmds_type *const feed_results[] = {&feed_price_type};
static const struct cmds_protocol feed = CMDS_PROTOCOL("feed", feed_commands, feed_results);

#endif
