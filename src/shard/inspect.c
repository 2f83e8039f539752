/* SPDX-License-Identifier: MIT */
/*
 * What each shard does now, as others see it without asking it: whoever waits for one that is held up learns
 * from here by what.
 */
#include <errno.h>

#include <cmdstream/inspect.h>

#include "ring/clock.h"
#include "shard/drive.h"
#include "shard/walk.h"

static uint64_t inspect_since(uint64_t since_ns, uint64_t now_ns)
{
    return since_ns != 0 && now_ns > since_ns ? now_ns - since_ns : 0;
}

static void inspect_shard(const struct cmds_runtime *runtime, uint32_t index, uint64_t now_ns,
        struct cmds_listed_shard *row)
{
    struct cmdi_shard *shard = runtime->shards[index];
    const struct cmdi_errand *errand = &runtime->errands[index];
    uint64_t busy_ns = atomic_load_explicit(&shard->busy_since_ns, memory_order_relaxed);
    bool owes = atomic_load(&errand->state) == CMDI_ERRAND_DROPPED;
    *row = (struct cmds_listed_shard){
            .shard = index,
            .turn_us = inspect_since(busy_ns, now_ns) / 1000,
            .unanswered_us = owes ? inspect_since(atomic_load(&errand->owed_ns), now_ns) / 1000 : 0,
    };
    cmdi_meter_ran_name(&shard->meter, row->type, sizeof(row->type));
}

int cmds_runtime_shards(struct cmds_runtime *runtime, struct cmds_listed_shard *list,
        size_t count_max, size_t *count)
{
    struct cmdi_rows rows;
    int code = cmdi_rows_take(&rows, list, count_max, count);
    code = code == 0 && cmdi_runtime_is_foreign(runtime) ? CMDS_E_FORKED : code;
    if (code < 0) {
        return code;
    }
    uint64_t now_ns = cmdi_now_ns();
    for (uint32_t i = 0; i < runtime->shard_count && i < count_max; i++) {
        struct cmds_listed_shard row;
        inspect_shard(runtime, i, now_ns, &row);
        cmdi_rows_put(&rows, i, &row, sizeof(row));
    }
    *count = runtime->shard_count;
    return 0;
}
