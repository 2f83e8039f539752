/* SPDX-License-Identifier: MIT */
/*
 * The library's strategies but for round-robin. Each is written once, over what it sees of a
 * connection, and made twice: for the public table, which asks a function for each candidate, and
 * for our own lists of clients, where the compiler sees through all of it.
 */
#ifndef CMDI_GROUP_STRATEGIES_H
#define CMDI_GROUP_STRATEGIES_H

#include "group/seen.h"

enum {
    CMDI_LEAST_LOOKS = 8,          // Connections that least looks at.
    CMDI_STICKY_FLOOR = 8,         // So many in flight are never too many for a first choice.
    CMDI_LATENCY_NEW_US = 1 << 20, // Of a connection with commands in flight and no result yet.
};

/** The state of any of them; zeroed is fine. One thread at a time; others may read the counter. */
struct cmdi_strategy {
    uint64_t random; // 0: not begun.
    _Atomic uint64_t second_choices;
    uint32_t next; // The index that is looked at first: of equal ones it wins.
    uint32_t unused;
};

/** What its table picks, of clients. Returns: an index below the list's count. */
typedef uint32_t (*cmdi_short_pick_fn)(
        struct cmdi_strategy *strategy, uint64_t key, const struct cmdi_dispatch_list *list);
/** Returns: NULL: it is none of these strategies. */
cmdi_short_pick_fn cmdi_strategy_short_pick(const struct cmds_dispatch *dispatch);

#endif
