/* SPDX-License-Identifier: MIT */
/* The counters of a group: sums over its shards. */
#include "group/stats.h"

#include <errno.h>

#include <cmdstream/stats.h>

#include "group/group_shard.h"
#include "group/ref.h"
#include "telemetry/ledger.h"

CMDI_COUNTERS_MATCH(struct cmdi_client_counters, struct cmds_group_counters);

#define STATS_ROW(name) ((offsetof(struct cmds_group_counters, name)) / sizeof(uint64_t) - 1)

/* Of one shard: what its thread counts, and its picker. */
static void stats_read_shard(const struct cmdi_tally *tally, uint64_t *rows)
{
    const struct cmdi_group_shard *group_shard =
            CMDI_CONTAINER(tally, struct cmdi_group_shard, tally);
    const struct cmdi_client_counters *block = &group_shard->client_shard.counters;
    cmdi_counters_add_rows(rows, block, sizeof(*block));
    rows[STATS_ROW(commands_pending)] += cmdi_group_shard_pending(group_shard);
    if (!group_shard->group->picks_kept) {
        rows[STATS_ROW(second_choices)] += cmdi_picker_second_choices(&group_shard->picker);
    }
}

/* Of threads that are no shard of the group. */
static void stats_read_others(const struct cmdi_tally *tally, uint64_t *rows)
{
    const struct cmds_group *group = CMDI_CONTAINER(tally, struct cmds_group, tally);
    rows[STATS_ROW(commands_pending)] += atomic_load(&group->under_way);
    rows[STATS_ROW(second_choices)] += atomic_load(&group->second_choices);
    rows[STATS_ROW(sends_refused)] += atomic_load(&group->refused_elsewhere);
    rows[STATS_ROW(commands_not_allowed)] += atomic_load(&group->tracker.not_allowed);
}

void cmdi_group_begin_count(struct cmds_group *group)
{
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_tally_begin(&group->shards[i]->tally, group->scope, i, stats_read_shard);
        group->shards[i]->client_shard.ledger = cmdi_ledger_of(group->ledger, i);
    }
    cmdi_tally_begin(&group->tally, group->scope, group->shard_count, stats_read_others);
}

void cmdi_group_keep_picks(struct cmds_group *group)
{
    if (group->tally.scope == NULL || group->picks_kept) {
        return;
    }
    uint64_t picks = 0;
    cmdi_scope_lock(group->scope); // A reader sees them in one place.
    for (uint32_t i = 0; i < group->shard_count; i++) {
        picks += cmdi_picker_second_choices(&group->shards[i]->picker);
    }
    atomic_fetch_add(&group->second_choices, picks);
    group->picks_kept = true;
    cmdi_scope_unlock(group->scope);
}

void cmdi_group_end_count(struct cmds_group *group)
{
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_tally_end(&group->shards[i]->tally);
    }
    cmdi_tally_end(&group->tally);
}

int cmds_group_stats(struct cmds_group *group, struct cmds_group_counters *counters)
{
    struct cmds_group_counters sums = {0};
    if (group == NULL || counters == NULL) {
        return -EINVAL;
    }
    if (!cmdi_group_enter(group)) {
        return CMDS_E_CLOSED;
    }
    uint64_t *rows = (uint64_t *)&sums + 1;
    for (uint32_t i = 0; i < group->shard_count; i++) {
        stats_read_shard(&group->shards[i]->tally, rows);
    }
    stats_read_others(&group->tally, rows);
    cmdi_group_leave(group);
    cmdi_counters_give(counters, &sums, sizeof(sums));
    return 0;
}
