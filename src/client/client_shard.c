/* SPDX-License-Identifier: MIT */
/* The shared part's beginning and end, and its clock. One thread: the shard. */
#include "client/client_shard.h"

#include "client/pending.h"

void cmdi_client_shard_init(struct cmdi_client_shard *client_shard, struct cmdi_shard *shard,
        const struct cmdi_client_config *config)
{
    *client_shard =
            (struct cmdi_client_shard){.shard = shard, .config = config, .again_max = UINT32_MAX};
    cmdi_pool_init(&client_shard->pool, sizeof(struct cmdi_pending));
    cmdi_arena_init(&client_shard->arena, (size_t)config->decode_size_max);
    cmdi_pool_charge_to(&client_shard->pool, &shard->buffers.account);
    cmdi_arena_charge_to(&client_shard->arena, &shard->buffers.account);
}

void cmdi_client_shard_fini(struct cmdi_client_shard *client_shard)
{
    cmdi_pool_fini(&client_shard->pool);
    cmdi_arena_fini(&client_shard->arena);
}
