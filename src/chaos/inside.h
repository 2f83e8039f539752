/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: a proxy has targets, a target has links. Everything here is the
 * shard's, once the proxy has started.
 */
#ifndef CMDI_CHAOS_INSIDE_H
#define CMDI_CHAOS_INSIDE_H

#include <stdatomic.h>

#include "base/list.h"
#include "chaos/chaos.h"
#include "chaos/draw.h"
#include "chaos/pipe.h"
#include "chaos/plan.h"
#include "chaos/side.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/resolve.h"
#include "shard/runtime.h"
#include "shard/shard.h"

/** A fault that lasts, of a link or of all links of a target. */
struct cmdi_spell {
    uint64_t until_ms; // By the shard's clock; UINT64_MAX: for ever; 0 or past: it is none.
    uint8_t ways;      // Bits.
};

/**
 *     WAITING -> CONNECTING -> OPEN -+-> HALF ---+
 *        |           |               +-> ENDING -+-> CLOSING -> gone
 *        +-----------+---------------+-----------+
 */
enum cmdi_link_state {
    CMDI_LINK_WAITING,    // Side 0 is open. For an address, or for the end of a fault `hang`.
    CMDI_LINK_CONNECTING, // Side 0 is open, side 1 connects, or has failed and tries the next address.
    CMDI_LINK_OPEN,       // Both are, and bytes move.
    CMDI_LINK_HALF,       // One side was reset. What the other sends is dropped until it ends.
    CMDI_LINK_ENDING,     // Both have got a FIN. What they still send is dropped.
    CMDI_LINK_CLOSING,    // Both are closed, or about to.
};

/** A connection through the proxy: two sides, and a pipe for each direction. */
struct cmdi_link {
    struct cmdi_list link; // Of the target, oldest first.
    struct cmdi_chaos_target *target;
    uint64_t number; // 1, 2, 3
    uint8_t state;   // enum cmdi_link_state
    uint8_t over; // Bits 1, 2: side 0, side 1: its peer has finished or gone, as far as it is known.
    uint8_t passed; // Ways whose FIN was passed on. 3: it is over.
    uint8_t broken; // Ways into a side that takes no more. What it still has to say is waited for.
    uint8_t address_next; // Of the target's addresses, to be tried next.
    int connect_code;     // Why the last one was not to be had.
    uint8_t trigger_ways; // Bits: whose bytes `trigger_left` counts.
    uint8_t trigger;      // enum cmdi_chaos_kind, after so many bytes; KINDS: none.
    uint32_t trigger_left;
    uint64_t moved;    // Bytes in the directions that the trigger counts.
    uint64_t until_ms; // ENDING: it has had its time.
    uint64_t wake_ms;  // When the timer is to fire; UINT64_MAX: not.
    struct cmdi_spell spells[CMDI_CHAOS_OF_LINKS];
    struct cmdi_side sides[2]; // The client's, the target's.
    struct cmdi_pipe pipes[2]; // Up: side 0 to side 1. Down.
    struct cmdi_bucket buckets[2];
    struct cmdi_timer timer;
    struct cmdi_work closed; // Outside of all that might still use it.
    struct cmdi_draw draw;
};

/** A route. */
struct cmdi_chaos_target {
    struct cmdi_chaos *chaos;
    uint32_t index;
    struct cmdi_listener listener;
    struct cmdi_address bound; // Port 0 has become one. Constant.
    char *text;                // As the user wrote it. Owned.
    bool is_numeric;
    bool has_begun;
    bool listens; // The listener is not CLOSED; else `refuse` lasts, or it could not listen again.
    struct cmdi_timer timer; // The end of a fault `refuse` or `hang`, or the next try to listen.
    struct cmdi_list links;
    struct cmdi_spell spells[CMDI_CHAOS_LASTING];
    /* Where it is. */
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    uint32_t address_count;       // 0: not known.
    uint64_t known_ms;            // When they were looked up.
    struct cmdi_mail mail;        // Of a lookup that is over.
    struct cmdi_resolve *resolve; // NULL: none is under way.
    /* Written by the lookup, before it posts. */
    struct cmdi_address found[CMDI_ADDRESSES_MAX];
    uint32_t found_count;
    struct cmds_error found_error;
};

struct cmdi_chaos {
    struct cmdi_chaos_options options;
    struct cmds_runtime *runtime;
    struct cmdi_shard *shard;
    struct cmdi_chaos_target *targets;
    uint64_t start_ms;
    uint64_t number;     // Of the last connection.
    uint32_t link_count; // Those that are not gone.
    uint32_t listening;  // Listeners that are not CLOSED.
    bool closing;
    struct cmdi_plan plan;
    struct cmdi_plan_fault next; // Valid while `timer` is armed.
    struct cmdi_timer timer;
    struct cmdi_chaos_counters counters;
    void (*on_gone)(struct cmdi_chaos *chaos); // A link or listener is.
    _Atomic uint32_t closed;                   // Futex: nothing is left.
};

/** Since the start. */
static inline uint64_t cmdi_chaos_ms(const struct cmdi_chaos *chaos)
{
    return cmdi_shard_clock_ms(chaos->shard) - chaos->start_ms;
}

/** When a fault that begins now heals. */
static inline uint64_t cmdi_chaos_until(uint64_t now_ms, uint32_t lasts_ms)
{
    return lasts_ms == CMDS_NEVER ? UINT64_MAX : now_ms + lasts_ms;
}

/** The later end counts, and the directions of both. */
static inline void cmdi_spell_add(
        struct cmdi_spell *spell, uint8_t ways, uint64_t until_ms, uint64_t now_ms)
{
    bool lasts = spell->until_ms > now_ms;
    spell->ways = lasts ? spell->ways | ways : ways;
    spell->until_ms = lasts && spell->until_ms > until_ms ? spell->until_ms : until_ms;
}

#endif
