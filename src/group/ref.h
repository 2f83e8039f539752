/* SPDX-License-Identifier: MIT */
/*
 * Being inside a group: counts that keep it, messages to its parts, and the part on the caller's
 * shard. See group.h for who holds what.
 */
#ifndef CMDI_GROUP_REF_H
#define CMDI_GROUP_REF_H

#include "base/assert.h"
#include "group/group_shard.h"
#include "machine/fork.h"

/** As cmdi_runtime_is_foreign(), also when the runtime is gone. Thread: any. */
static inline bool cmdi_group_is_foreign(const struct cmds_group *group)
{
    return CMDI_UNLIKELY(group->fork_count != cmdi_fork_count());
}
/** No more commands: it closes, or has closed. Thread: any. */
static inline bool cmdi_group_is_closing(const struct cmds_group *group)
{
    return atomic_load_explicit(&group->state, memory_order_relaxed) != CMDI_GROUP_OPEN;
}
/**
 * Several threads may want it to be CLOSING; each other state is entered by one of them. Thread:
 * any. Returns: the caller moved it; false, only of CLOSING: another thread had.
 */
bool cmdi_group_move(struct cmds_group *group, enum cmdi_group_state next);
/** The caller holds a count already, or is on a shard whose group shard has not ended. */
static inline void cmdi_group_hold(struct cmds_group *group)
{
    uint32_t before = atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
    CMDI_ASSERT(before != 0 && before < CMDI_GROUP_NOBODY);
}
/** Gives back a count. */
void cmdi_group_leave(struct cmds_group *group);
/**
 * Takes a count, unless the group has ended: what hangs on it stays until cmdi_group_leave().
 * Thread: any.
 */
bool cmdi_group_enter(struct cmds_group *group);
/**
 * The same, for who takes a lock of it then, or changes something: a forked child must not, where nobody may give the
 * lock back. Thread: any. Returns: 0; CMDS_E_CLOSED; CMDS_E_FORKED.
 */
int cmdi_group_enter_to_lock(struct cmds_group *group);
/**
 * Tells a group shard; the group is held while it is under way. Thread: any that holds the group,
 * or a shard of it.
 */
void cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what);
/** All of them. Thread: as that. */
void cmdi_group_nudge_all(struct cmds_group *group, enum cmdi_nudge what);

/** As cmdi_group_here(), where the runtime has no threads, between two turns: its thread is the shard all the same. */
struct cmdi_group_shard *cmdi_group_here_inline(const struct cmds_group *group);
/**
 * The group shard of the shard that runs the caller; an inline runtime: of its thread. Returns:
 * NULL on all other threads, and in a forked child.
 */
static inline struct cmdi_group_shard *cmdi_group_here(const struct cmds_group *group)
{
    const struct cmdi_shard *shard = cmdi_shard_current();
    if (CMDI_LIKELY(shard != NULL)) {
        /* By address: other threads may be here without holding the runtime. */
        return shard->options.runtime == group->runtime ? group->shards[shard->index] : NULL;
    }
    return CMDI_LIKELY(group->has_threads) ? NULL : cmdi_group_here_inline(group);
}
/**
 * Its commands that have not ended. Of several shards a sum may miss one that goes from one to another:
 * group->moves tells. Thread: any that has entered the group.
 */
uint64_t cmdi_group_shard_pending(const struct cmdi_group_shard *group_shard);
/** A hold_count is given back; the last one ends the group shard. Thread: its shard. */
void cmdi_group_shard_drop(struct cmdi_group_shard *group_shard);

#endif
