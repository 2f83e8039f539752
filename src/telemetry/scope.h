/* SPDX-License-Identifier: MIT */
/*
 * Who counts. All servers of one name are one scope, and so are all groups of one name; what has none
 * is in the scope without a name. A scope lives as long as its runtime, so nothing that is read of
 * it ever falls, whoever opens and closes meanwhile.
 *
 *     cmds_runtime --- telemetry --- scope "orders", servers
 *                          |           |- past: what those that are over have counted, by shard
 *                          |           +- tallies: of those that run, one for each shard
 *                          +-------- scope "", clients
 *
 * A tally stands in its owner's part on a shard, and says how its counters are read. When it ends,
 * they become part of `past`. Both happen under the scope's lock, and so does reading, which takes
 * microseconds. A shard takes it when a server or group ends on it, and for nothing else.
 */
#ifndef CMDI_TELEMETRY_SCOPE_H
#define CMDI_TELEMETRY_SCOPE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "shard/runtime.h"
#include "telemetry/rows.h"

enum {
    CMDI_SCOPES_MAX = 256, // Of a runtime. Further names count as none.
    CMDI_NAME_SIZE_MAX = 127,
};

enum cmdi_scope_kind {
    CMDI_SCOPE_SERVER, // Rows: CMDS_SERVER_COUNTERS.
    CMDI_SCOPE_CLIENT, // Groups, and senders, each of which is one. Rows: CMDS_GROUP_COUNTERS.
    CMDI_SCOPE_KINDS,
};

struct cmdi_ledger;
struct cmdi_tally;
/** Adds its counters to `rows`. Called under the scope's lock: it reads, and no more. */
typedef void (*cmdi_tally_fn)(const struct cmdi_tally *tally, uint64_t *rows);

struct cmdi_scope {
    char *name;    // "": none. Constant, as the next four.
    uint32_t kind; // enum cmdi_scope_kind
    uint32_t row_count;
    const struct cmdi_row *rows; // Of its kind.
    uint32_t places;             // Shards, and one more for what no shard counts.
    pthread_mutex_t lock;
    struct cmdi_list tallies;    // struct cmdi_tally. Under the lock.
    struct cmdi_ledger *ledgers; // By command type, see ledger.h. Added to under the lock.
    uint64_t *past;              // [places][row_count]: counters, gauges are 0. Under the lock.
};

struct cmdi_own;
struct cmdi_telemetry {
    pthread_mutex_t lock; // Of adding a scope.
    _Atomic uint32_t scope_count;
    struct cmdi_scope *scopes[CMDI_SCOPES_MAX]; // The first scope_count, which any thread reads.
    uint32_t shard_count;
    // Metrics of the program, see own.h, which makes it when one is defined. Set once, under the lock.
    _Atomic(struct cmdi_own *) own;
    void (*free_own)(struct cmdi_own *own);
};

/** Of a runtime that has counted nothing it is made now. Thread: any. Returns: NULL without memory. */
struct cmdi_telemetry *cmdi_telemetry_of(struct cmds_runtime *runtime);

/** All zero is one that counts for nobody. */
struct cmdi_tally {
    struct cmdi_list link;
    struct cmdi_scope *scope; // NULL: it has not begun, or has ended.
    cmdi_tally_fn read;
    uint32_t place; // A shard's number; runtime->shard_count: none.
};

/** Is it a name that an option may have? Returns: 0; -EINVAL. */
int cmdi_scope_check_name(const char *name, struct cmds_error *error);
/**
 * The runtime's scope of this name, which may be NULL; it is made if there is none. Thread: any.
 * Returns: NULL without memory.
 */
struct cmdi_scope *cmdi_scope_find(
        struct cmds_runtime *runtime, enum cmdi_scope_kind kind, const char *name);
/** Whoever moves counts from one tally to another one has it meanwhile. Thread: any. */
static inline void cmdi_scope_lock(struct cmdi_scope *scope)
{
    pthread_mutex_lock(&scope->lock);
}
static inline void cmdi_scope_unlock(struct cmdi_scope *scope)
{
    pthread_mutex_unlock(&scope->lock);
}
/** Keeps both until cmdi_tally_end(). Thread: any. */
void cmdi_tally_begin(
        struct cmdi_tally *tally, struct cmdi_scope *scope, uint32_t place, cmdi_tally_fn read);
/** Nobody counts there any more; what was counted stays. Thread: any. */
void cmdi_tally_end(struct cmdi_tally *tally);
/** Adds all of the scope to `sums`, [places][row_count] of them; of one place if not `by_place`. */
void cmdi_scope_read(struct cmdi_scope *scope, bool by_place, uint64_t *sums);

#endif
