/* SPDX-License-Identifier: MIT */
/*
 * For what works on behalf of a call (a forwarded command): to learn, on the call's shard, that
 * nobody waits any more.
 */
#ifndef CMDI_SERVER_CALL_OBSERVER_H
#define CMDI_SERVER_CALL_OBSERVER_H

#include <stdbool.h>

#include "base/list.h"

struct cmds_call;

/** In no list: not observing. Take it out with cmdi_list_remove(&observer->link). */
struct cmdi_call_observer {
    struct cmdi_list link;
    void (*fn)(struct cmdi_call_observer *observer);
};

/**
 * `observer->fn` runs at most once, taken out before. The caller holds a reference on the call.
 * Thread: the call's shard.
 */
void cmdi_call_observe(struct cmds_call *call, struct cmdi_call_observer *observer);
/**
 * `size` bytes that are kept for the call count for its connection and its shard, until uncharge.
 * Returns: false: the shard has not as much. Thread: the call's shard.
 */
bool cmdi_call_charge(struct cmds_call *call, size_t size);
void cmdi_call_uncharge(struct cmds_call *call, size_t size);
/** Its last result has been sent. Thread: any. */
bool cmdi_call_is_finished(const struct cmds_call *call);
/** The shard the call lives on, as struct cmdi_shard *. Thread: any. */
struct cmdi_shard *cmdi_call_shard(const struct cmds_call *call);

#endif
