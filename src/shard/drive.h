/* SPDX-License-Identifier: MIT */
/*
 * Who runs the shards of a runtime, and how others wait for what happens on them.
 *
 *     THREAD    Each shard has a thread, which turns it and sleeps in the kernel.
 *     INLINE    One thread of the program turns the one shard: the first that asks. It sleeps in a
 *               turn, or on the runtime's fd. (A second ring for one thread would gain nothing.)
 *
 * The rest of the library asks here, and does not know which it is.
 */
#ifndef CMDI_SHARD_DRIVE_H
#define CMDI_SHARD_DRIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shard/runtime.h"

/* --- One shard with a thread of its own. Thread: setup ---------------------------------------- */

/** Returns: 0; -errno. */
int cmdi_drive_start_thread(struct cmdi_shard *shard);
/**
 * Asks the thread to end and joins it. What still lies in the mailbox is run by the caller, with no
 * shard current.
 */
void cmdi_drive_join(struct cmdi_shard *shard);

/* --- All shards of a runtime ------------------------------------------------------------------ */

/** Returns: 0, or why in `error`, and none was started. Thread: setup. */
int cmdi_drive_start(struct cmds_runtime *runtime, struct cmds_error *error);
/** Everything that was posted has run on its return, and nothing runs any more. Thread: setup. */
void cmdi_drive_stop(struct cmds_runtime *runtime);

/**
 * Waits until *word is not `seen`: asleep on it as a futex (whoever sets it calls cmdi_futex_wake),
 * or by turning.
 *
 * Thread:  any but a shard in its turn; without threads: the one that turns.
 * Returns: 0; CMDS_E_TIMEOUT; -EDEADLK on a shard or inside a callback; -EXDEV: another thread turns
 *          it; CMDS_E_FORKED; what a turn returned if it failed.
 */
int cmdi_runtime_wait(
        struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t seen, uint32_t timeout_ms);
/** Whether the caller may block on this runtime. Returns: 0, -EDEADLK, -EXDEV, CMDS_E_FORKED as above; -EINVAL: its shard is stepped. */
int cmdi_runtime_may_block(struct cmds_runtime *runtime);
/**
 * Runs fn on a shard and returns when it has; without threads the caller is the shard's thread and
 * it runs at once. Thread: as wait.
 */
void cmdi_runtime_call(struct cmds_runtime *runtime, uint32_t shard,
        void (*fn)(struct cmdi_shard *shard, void *context), void *context);
/** The shards have no threads, and the caller is the one that turns them. Thread: any. */
bool cmdi_runtime_is_turner(const struct cmds_runtime *runtime);

#endif
