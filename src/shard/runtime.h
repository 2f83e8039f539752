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
#include <cmdstream/telemetry.h>

#include "base/list.h"
#include "machine/fork.h"
#include "shard/shard.h"
#include "shard/workers.h"

enum {
    CMDI_RUNTIME_RETIRED_MAX = 2048, // Below 1 KiB each.
};

struct cmdi_option_list;
struct cmdi_runtime_timers;

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
    /** Its options. NULL: none are told. Thread: any, with the runtime's lock held. */
    void (*list_options)(const struct cmdi_service *service, struct cmdi_option_list *list);
    /** The runtime keeps it no longer: only of one that was retired. Thread: any. */
    void (*forget)(struct cmdi_service *service);
};

struct cmdi_errand;
struct cmdi_telemetry;
struct cmdi_spans;

struct cmds_runtime {
    struct cmdi_shard **shards;
    uint32_t shard_count;
    uint32_t spans_next; // Whose are taken first. The reader's.
    // Of threads that are no shard. NULL: none are kept, by shards neither.
    struct cmdi_spans *spans;
    enum cmdi_drive drive;
    struct cmds_runtime_options options; // In effect; what is behind a pointer was the program's.
    _Atomic uint32_t stopping;
    _Atomic uint32_t serving; // Servers that accept.
    // Servers that drain or close. One is counted here before it is no longer counted there.
    _Atomic uint32_t leaving;
    _Atomic uint32_t served; // There was one that accepted.
    struct cmdi_log log;
    struct cmdi_workers workers;
    struct cmdi_runtime_timers *timers;
    pthread_mutex_t lock;      // Of `services` and `retired`.
    struct cmdi_list services; // struct cmdi_service
    struct cmdi_list retired;  // struct cmdi_service: over, the last one at the end.
    uint32_t retired_count;
    // See telemetry/scope.h, which makes it when it is first needed. Set once, under the lock.
    _Atomic(struct cmdi_telemetry *) telemetry;
    struct cmds_telemetry_options telemetry_options; // Defaults filled in. Constant.
    void (*free_telemetry)(struct cmdi_telemetry *telemetry);
    _Atomic uint64_t post_count; // cmds_runtime_post waiting.
    _Atomic uint32_t walking;    // Futex: somebody lists, see walk.h.
    _Atomic uint32_t walks;      // Futex: threads that list, or wait for their turn to.
    struct cmdi_errand *errands; // By shard.
    uint32_t fork_count;         // cmdi_fork_count() of its process.
    uintptr_t turner;            // Without threads: who turned first. Valid with turner_known.
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
/** It is foreign, and more than memory: of a stepped one, which is that alone, this process has its own copy. */
static inline bool cmdi_runtime_is_parents(const struct cmds_runtime *runtime)
{
    return cmdi_runtime_is_foreign(runtime) && runtime->drive != CMDI_DRIVE_STEPPED;
}
/**
 * The spans that the caller writes to: of its shard, or the runtime's, as between two turns of an inline one. Thread:
 * any. Returns: NULL: none are kept.
 */
static inline struct cmdi_spans *cmdi_spans_here(const struct cmds_runtime *runtime)
{
    struct cmdi_shard *shard = cmdi_shard_current();
    return shard != NULL && shard->options.runtime == runtime ? shard->spans : runtime->spans;
}
/**
 * One shard that is stepped, for cmds_test, by the caller's thread: without a ring, threads and servers;
 * groups have a transport of their own. Gives *runtime: cmdi_runtime_destroy_stepped(). Returns: 0, or why
 * in `error`.
 */
int cmdi_runtime_create_stepped(struct cmds_runtime **runtime, struct cmds_error *error);
/** Its timers have ended. NULL is fine. */
void cmdi_runtime_destroy_stepped(struct cmds_runtime *runtime);
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

#endif
