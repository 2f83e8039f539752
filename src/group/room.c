/* SPDX-License-Identifier: MIT */
/* Beside group_shard.c, which uses all those that call this. See room.h. */
#include "group/room.h"

bool cmdi_group_shard_lacks_memory(const struct cmdi_group_shard *group_shard)
{
    const struct cmdi_client_shard *client_shard = &group_shard->client_shard;
    return !cmdi_account_allows(&client_shard->shard->buffers.account,
            cmdi_client_config_memory_max(client_shard->config));
}

void cmdi_group_shard_want_room(struct cmdi_group_shard *group_shard)
{
    group_shard->client_shard.wants_room = true;
    if (!group_shard->closing && cmdi_group_shard_lacks_memory(group_shard)) {
        cmdi_shard_refused(group_shard->client_shard.shard, &group_shard->memory_work);
    }
}
