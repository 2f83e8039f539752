/* SPDX-License-Identifier: MIT */
/*
 * The timers of a program, see cmds_runtime_after(): functions that a shard runs later.
 *
 * A handle may outlive the runtime, so that whoever has one needs to know of no order. What a handle
 * asks first, on a thread that is not the timer's shard, is therefore a block of its own, which
 * says whether the shards are still there.
 */
#ifndef CMDI_SHARD_RUNTIME_TIMERS_H
#define CMDI_SHARD_RUNTIME_TIMERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cmds_runtime;

/** Of one runtime. The last reference frees it: the runtime has one, and each handle. */
struct cmdi_runtime_timers {
    pthread_mutex_t lock;
    bool is_closed; // Under the lock: no mail is posted to a shard any more.
    uint32_t fork_count;
    _Atomic uint32_t refs;
};

/** Gives: cmdi_runtime_timers_free(). Returns: NULL without memory. */
struct cmdi_runtime_timers *cmdi_runtime_timers_create(uint32_t fork_count);
/**
 * From its return on no function of a timer runs, and none can be set. Thread: as cmds_runtime_stop();
 * once.
 */
void cmdi_runtime_timers_end(struct cmds_runtime *runtime);
/** The runtime's reference. NULL is fine. */
void cmdi_runtime_timers_free(struct cmdi_runtime_timers *timers);

#endif
