/* SPDX-License-Identifier: MIT */
/*
 * Who runs the shards of a runtime, and how others wait for what happens on them.
 *
 *     THREAD    Each shard has a thread, which turns it and sleeps in the kernel.
 *     INLINE    One thread of the program turns the one shard: the first that asks. It sleeps in a
 *               turn, or on the runtime's fd. (A second ring for one thread would gain nothing.)
 *     STEPPED   Somebody gives all shards the time, step by step. Nothing sleeps and nothing reads
 *               a clock; jobs of the pool run in the step, too. A thread that waits for something
 *               moves the time to the next timer. A simulation, or a test.
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
 * by turning, or by moving the time.
 *
 * Thread:  any but a shard in its turn; without threads: the one that turns.
 * Returns: 0; CMDS_E_TIMEOUT; -EDEADLK on a shard or inside a callback, or if nothing is left that
 *          could change it (STEPPED); -EXDEV: another thread turns it; CMDS_E_FORKED; what a turn
 *          returned if it failed.
 */
int cmdi_runtime_wait(
        struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t seen, uint32_t timeout_ms);
/** Whether the caller may block on this runtime. Returns: 0, -EDEADLK, -EXDEV, CMDS_E_FORKED as above. */
int cmdi_runtime_may_block(struct cmds_runtime *runtime);
/**
 * Runs fn on a shard and returns when it has; without threads the caller is the shard's thread and
 * it runs at once. Thread: as wait.
 */
void cmdi_runtime_call(struct cmds_runtime *runtime, uint32_t shard,
        void (*fn)(struct cmdi_shard *shard, void *context), void *context);
/** The clock by which the runtime's time limits are judged. Thread: any. */
uint64_t cmdi_runtime_now_ns(const struct cmds_runtime *runtime);
/** The shards have no threads, and the caller is the one that turns them. Thread: any. */
bool cmdi_runtime_is_turner(const struct cmds_runtime *runtime);

/** STEPPED: the time is `now_ns`, not earlier than before; runs all that is due and to be done. */
void cmdi_runtime_step(struct cmds_runtime *runtime, uint64_t now_ns);
/** STEPPED: when the next timer is due. Returns: UINT64_MAX: none is armed. */
uint64_t cmdi_runtime_next_ns(const struct cmds_runtime *runtime);

#endif
