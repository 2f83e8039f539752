/* SPDX-License-Identifier: MIT */
/*
 * Work: something to run once, at a certain point of a shard's turn. It is embedded in what it is
 * about, and is in one list of its shard at most.
 */
#ifndef CMDI_SHARD_WORK_H
#define CMDI_SHARD_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct cmdi_shard;
struct cmdi_work;
typedef void (*cmdi_work_fn)(struct cmdi_shard *shard, struct cmdi_work *work);
/**
 * Which work is run before which. Each pass has time for each level, so that nothing waits for ever;
 * the time that a level leaves goes to the next.
 */
enum cmdi_shard_level {
    CMDI_LEVEL_LIGHT,   // Asked for little, often enough to be believed; what is no connection.
    CMDI_LEVEL_UNKNOWN, // A newcomer: hundreds of them may ask for much in the same instant.
    CMDI_LEVEL_HEAVY,   // Used much of its budget, or all of it.
    CMDI_LEVELS,
};
/**
 * In no list: not queued. Taken out of its list before `fn` runs, so that `fn` may queue it again.
 */
struct cmdi_work {
    struct cmdi_list link;
    cmdi_work_fn fn;
    uint32_t level; // enum cmdi_shard_level: in which ready list it is queued next.
};
static inline void cmdi_work_init(struct cmdi_work *work, cmdi_work_fn fn)
{
    cmdi_list_init(&work->link);
    work->fn = fn;
    work->level = CMDI_LEVEL_LIGHT;
}
static inline bool cmdi_work_queued(const struct cmdi_work *work)
{
    return !cmdi_list_empty(&work->link);
}

#endif
