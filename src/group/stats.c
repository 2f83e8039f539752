/* SPDX-License-Identifier: MIT */
/* The counters of a group: sums over its shards. */
#include <cmdstream/stats.h>

#include <errno.h>

#include "group/group_shard.h"
#include "group/ref.h"

CMDI_COUNTERS_MATCH(struct cmdi_client_counters, struct cmds_group_counters);

int cmds_group_stats(struct cmds_group *group, struct cmds_group_counters *counters)
{
    struct cmds_group_counters sums = {0};
    if (group == NULL || counters == NULL) {
        return -EINVAL;
    }
    if (!cmdi_group_enter(group)) {
        return CMDS_E_CLOSED;
    }
    for (uint32_t i = 0; i < group->shard_count; i++) {
        const struct cmdi_client_counters *block = &group->shards[i]->client_shard.counters;
        cmdi_counters_add(&sums, block, sizeof(*block));
        sums.second_choices += cmdi_picker_second_choices(&group->shards[i]->picker);
    }
    sums.second_choices += atomic_load(&group->second_choices);
    sums.sends_refused += atomic_load(&group->refused_elsewhere);
    sums.commands_not_allowed += atomic_load(&group->tracker.not_allowed);
    cmdi_group_leave(group);
    cmdi_counters_give(counters, &sums, sizeof(sums));
    return 0;
}
