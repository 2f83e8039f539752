/* SPDX-License-Identifier: MIT */
/*
 * A runtime: the shards, the worker pool, and the list of servers and groups that run on them.
 */
#ifndef CMDI_SHARD_RUNTIME_H
#define CMDI_SHARD_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/runtime.h>

#include "base/list.h"
#include "machine/fork.h"
#include "shard/shard.h"
#include "shard/workers.h"

enum {
    CMDI_RUNTIME_RETIRED_MAX = 2048, // Below 1 KiB each.
};

/** A server or a group, as the runtime sees it. */
struct cmdi_service {
    struct cmdi_list link; // In `services`, then in `retired`.
    /**
     * Begins what `stop` will wait for, so that many end in the time of one; does not block. NULL:
     * nothing. Thread: as stop, with the runtime's lock held; perhaps several times.
     */
    void (*begin_stop)(struct cmdi_service *service);
    /**
     * Closes and frees it; blocks. Thread: the one that stops the runtime, after the service was
     * taken out of the list.
     */
    void (*stop)(struct cmdi_service *service);
    /** The runtime keeps it no longer: only of one that was retired. Thread: any. */
    void (*forget)(struct cmdi_service *service);
};

struct cmds_runtime {
    struct cmdi_shard **shards;
    uint32_t shard_count;
    bool is_inline; // One shard, no thread.
    _Atomic uint32_t stopping;
    struct cmdi_log log;
    struct cmdi_workers workers;
    pthread_mutex_t lock;      // Of `services` and `retired`.
    struct cmdi_list services; // struct cmdi_service
    struct cmdi_list retired;  // struct cmdi_service: over, the last one at the end.
    uint32_t retired_count;
    _Atomic uint64_t post_count; // cmds_runtime_post waiting.
    uint32_t fork_count;         // cmdi_fork_count() of its process.
    pthread_t turner;            // Inline: who turned first. Valid with turner_known.
    _Atomic uint32_t turner_known;
};

/**
 * This process was forked from the one that started the runtime: its threads are not here, and its
 * locks may be held by nobody.
 */
static inline bool cmdi_runtime_is_foreign(const struct cmds_runtime *runtime)
{
    return CMDI_UNLIKELY(runtime->fork_count != cmdi_fork_count());
}
/** Returns: 0; CMDS_E_CLOSED: the runtime is stopping; CMDS_E_FORKED. Thread: any. */
int cmdi_runtime_add(struct cmds_runtime *runtime, struct cmdi_service *service);
/** Returns: false: the runtime is stopping it already; who called must not free it. Thread: any. */
bool cmdi_runtime_remove(struct cmds_runtime *runtime, struct cmdi_service *service);
/**
 * The same for a service that is over, but of which late callers may still read a little: the
 * runtime keeps the last CMDI_RUNTIME_RETIRED_MAX of them, until it is freed, and then calls
 * `forget`. `removed`: it is in the list no longer, and is kept all the same. Returns: as remove.
 * Thread: any.
 */
bool cmdi_runtime_retire(struct cmds_runtime *runtime, struct cmdi_service *service, bool removed);

/**
 * Waits until *word is not 0: asleep on it as a futex (whoever sets it calls cmdi_futex_wake), or,
 * inline, by turning.
 *
 * Thread:  any but a shard in its turn; inline: the thread that turns.
 * Returns: 0; CMDS_E_TIMEOUT; -EDEADLK on a shard or inside a callback; -EXDEV: inline, and another
 *          thread turns it; CMDS_E_FORKED; what a turn returned if it failed.
 */
int cmdi_runtime_wait(struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t timeout_ms);
/** Whether the caller may block on this runtime. Returns: 0, -EDEADLK, -EXDEV, CMDS_E_FORKED as above. */
int cmdi_runtime_may_block(struct cmds_runtime *runtime);
/**
 * Runs fn on a shard and returns when it has; on an inline runtime the caller is its thread and it
 * runs at once. Thread: as wait.
 */
void cmdi_runtime_call(struct cmds_runtime *runtime, uint32_t shard,
        void (*fn)(struct cmdi_shard *shard, void *context), void *context);

#endif
