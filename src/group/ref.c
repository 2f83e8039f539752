/* SPDX-License-Identifier: MIT */
/*
 * Counts of a group and of its parts, and messages to them. See ref.h.
 *
 * Why nobody touches what was freed: a thread that is inside holds a count, and the thread that
 * gives back the last one turns 0 into CMDI_GROUP_NOBODY, after which no count can be taken. Only
 * that one sends `end_mail`, whose round frees what hangs on the group. The struct itself is
 * counted by `handles`.
 */
#include "group/ref.h"

#include "base/assert.h"
#include "shard/drive.h"

#define GROUP_BIT(state) (1u << CMDI_GROUP_##state)

// By state: those that may follow.
static const uint8_t group_moves[] = {
        [CMDI_GROUP_OPEN] = GROUP_BIT(CLOSING),
        [CMDI_GROUP_CLOSING] = GROUP_BIT(ENDED),
        [CMDI_GROUP_ENDED] = GROUP_BIT(CLOSED),
        [CMDI_GROUP_CLOSED] = 0,
};

bool cmdi_group_move(struct cmds_group *group, enum cmdi_group_state next)
{
    uint32_t before = atomic_load(&group->state);
    while ((group_moves[before] & (1u << next)) != 0) {
        if (atomic_compare_exchange_weak(&group->state, &before, next)) {
            return true;
        }
    }
    CMDI_ASSERT(next == CMDI_GROUP_CLOSING);
    return false;
}

void cmdi_group_leave(struct cmds_group *group)
{
    uint32_t nobody = 0;
    uint32_t before = atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel);
    CMDI_ASSERT(before > 0 && before < CMDI_GROUP_NOBODY);
    if (before != 1) {
        return;
    }
    /* If another thread has entered meanwhile, it does this when it leaves. */
    if (atomic_compare_exchange_strong(&group->refs, &nobody, CMDI_GROUP_NOBODY)) {
        (void)cmdi_group_move(group, CMDI_GROUP_ENDED);
        cmdi_shard_post(group->runtime->shards[0], &group->end_mail);
        /* Not before this may the runtime go: the post was not over when the shard had the mail. */
        atomic_store(&group->end_posted, 1);
    }
}

bool cmdi_group_enter(struct cmds_group *group)
{
    if (atomic_load_explicit(&group->refs, memory_order_relaxed) < CMDI_GROUP_NOBODY &&
            atomic_fetch_add_explicit(&group->refs, 1, memory_order_acquire) < CMDI_GROUP_NOBODY) {
        return true;
    }
    return false; // What was added to a group that has ended is of no interest to anybody.
}

int cmdi_group_enter_to_lock(struct cmds_group *group)
{
    return cmdi_group_is_foreign(group) ? CMDS_E_FORKED
           : cmdi_group_enter(group)    ? 0
                                        : CMDS_E_CLOSED;
}

void cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what)
{
    uint32_t before = atomic_fetch_or(&group_shard->nudges, (uint32_t)what);
    if (before == 0) {
        cmdi_group_hold(group_shard->group);
        cmdi_shard_post(group_shard->client_shard.shard, &group_shard->mail);
    }
}

void cmdi_group_nudge_all(struct cmds_group *group, enum cmdi_nudge what)
{
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_group_shard_nudge(group->shards[i], what);
    }
}

struct cmdi_group_shard *cmdi_group_here_inline(const struct cmds_group *group)
{
    return cmdi_runtime_is_turner(group->runtime) ? group->shards[0] : NULL;
}

uint64_t cmdi_group_shard_pending(const struct cmdi_group_shard *group_shard)
{
    uint64_t queued = 0;
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        /*
         * Before `pending`: the shard moves commands from here to there, and adds before it takes
         * away.
         */
        queued += atomic_load_explicit(&group_shard->clients[i].queued, memory_order_acquire);
    }
    return queued + atomic_load_explicit(&group_shard->client_shard.pending, memory_order_acquire);
}

/*
 * The last one ends the group shard. Callers further up may still look at it: its memory stays
 * until end_mail has come round.
 */
void cmdi_group_shard_drop(struct cmdi_group_shard *group_shard)
{
    CMDI_ASSERT(group_shard->hold_count > 0);
    if (--group_shard->hold_count > 0) {
        return;
    }
    CMDI_ASSERT(group_shard->closing && cmdi_list_empty(&group_shard->waiting));
    cmdi_list_remove(&group_shard->room_work.link);
    cmdi_list_remove(&group_shard->memory_work.link);
    cmdi_pool_fini(&group_shard->forward_pool);
    cmdi_stock_leave(&group_shard->track_stock);
    cmdi_stock_leave(&group_shard->resend_stock);
    cmdi_stock_leave(&group_shard->pass_stock);
    cmdi_meter_forget_types(&group_shard->client_shard.shard->meter); // They may go now.
    cmdi_client_shard_fini(&group_shard->client_shard);
    cmdi_group_leave(group_shard->group);
}
