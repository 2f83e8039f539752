/* SPDX-License-Identifier: MIT */
/*
 * What is counted by command type. A ledger is that of one protocol in one scope; it lives as long as
 * the runtime, and servers or groups of the same name and protocol write the same one, each shard its
 * own part of it. So nothing is moved when one of them ends, and there are no more ledgers than names and
 * protocols, however often something is opened.
 *
 *     scope --- ledger of a protocol: the names of its types
 *                 +- ledger_shard, one per shard: written by it, read by any thread
 *                      +- a block for each command type: two pages, of which more are used when more
 *                         than one result type, failures and so on are met
 *
 * No clock is read here. A command that ends in the turn in which it began has lasted as long as that
 * turn: its results leave with the flush. For others the turn's begin is the end. So all that began at
 * one time, as those that a turn has received or sent, and end in one turn have taken equally long: they
 * are a run, which is but a number, until the end of the turn, or the next run of their type, records
 * all of them at once.
 */
#ifndef CMDI_TELEMETRY_LEDGER_H
#define CMDI_TELEMETRY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/trace.h>

#include "base/exponential.h"
#include "base/hint.h"
#include "codec/protocol.h"
#include "shard/shard.h"
#include "telemetry/scope.h"

enum {
    CMDI_RESULT_SLOTS = 4, // Result types of a command type, told apart...
    CMDI_RESULT_SLOT_OVER, // ...and the one of all others.
    CMDI_LEDGERS_MAX = 64, // Of a scope. Types of further protocols are not counted.
};
#define CMDI_LEDGER_END       UINT32_MAX
#define CMDI_LEDGER_HELD_NONE UINT64_MAX
// Marks that no row has, and not the same: what is held is compared with the latest.
#define CMDI_LEDGER_LATEST_NONE (UINT64_MAX - 1)

enum cmdi_status {
    CMDI_STATUS_OK,
    CMDI_STATUS_FAILED,
    CMDI_STATUS_TIMEOUT,
    CMDI_STATUS_CANCELLED,
    CMDI_STATUSES,
};

/** Of the commands that end in a turn: those that began in it, and those that did at a time before. */
enum cmdi_run {
    CMDI_RUN_TURN,
    CMDI_RUN_BEFORE,
    CMDI_RUNS,
};

struct cmdi_result_slot {
    uint64_t count;  // Without those that are `answered`.
    uint32_t result; // Its place in the protocol, and 1 more. 0: none yet.
    uint32_t unused;
    uint32_t run_count[CMDI_RUNS]; // Of `count`, whose durations are not recorded yet.
    struct cmdi_frame_sizes sizes;
    struct cmdi_durations durations;
};

/**
 * A recent command that ended well and whose trace is sampled. `version` is odd while the shard writes
 * it, and 0 before it first does.
 */
struct cmdi_ledger_exemplar {
    uint64_t version, took_ns;
    uint64_t time_ns; // CLOCK_REALTIME.
    uint64_t trace_id[2], span_id;
};

/**
 * Of one command type on one shard. Most commands end well with their only result, and most types have
 * one type of results: those are counted once, in `answered` and by `latest`, which stand for a command
 * and a result of the first slot alike; the rest beside them. What each of them writes is in front. No
 * pointers.
 */
struct cmdi_type_block {
    _Alignas(64) uint64_t answered;
    // Of the run that the latest of them were of: when it had begun, and the mark of their results, which are
    // those of the first slot. CMDI_LEDGER_LATEST_NONE: of none. 0 and 0 before the first run.
    uint64_t latest_ns, latest_mark;
    uint64_t answered_then;           // At its begin, or when it was last added to run_answered.
    uint32_t run_answered[CMDI_RUNS]; // Whose durations are not recorded yet.
    uint8_t latest_run;               // enum cmdi_run
    uint8_t unused[3];
    uint32_t touched_next; // In the list of those with something to record: the place, and 1 more.
    struct cmdi_frame_sizes sizes;
    uint64_t run_begun[CMDI_RUNS]; // When those of a run had begun, its bits inverted. 0: no run.
    uint64_t run_took_ns;          // Of CMDI_RUN_BEFORE.
    uint64_t count[CMDI_STATUSES]; // Of those that are not `answered`.
    uint32_t run_count[CMDI_RUNS]; // Of CMDI_STATUS_OK, whose durations are not recorded yet.
    uint32_t turn_count[CMDI_STATUSES - 1]; // Of the others: they began and ended in this turn.
    bool run_apart[CMDI_RUNS];  // One of these counts has some, or that of a result slot.
    struct cmdi_durations both; // Of `answered`.
    struct cmdi_durations exec;
    struct cmdi_result_slot results[CMDI_RESULT_SLOTS + 1];
    struct cmdi_durations durations[CMDI_STATUSES];
    struct cmdi_ledger_exemplar exemplar;
};

struct cmdi_ledger_shard {
    struct cmdi_turn_note note; // While a block is touched.
    struct cmdi_shard *shard;
    struct cmdi_type_block *blocks; // By the place of the command type.
    uint32_t touched;               // The first one, and 1 more; CMDI_LEDGER_END: none.
    bool keeps_durations;
    // Of the last result of the call whose exec function runs, and with which that is counted when the
    // function returns: its mark, CMDI_LEDGER_HELD_NONE: there is none; and its size.
    uint64_t held_mark;
    size_t held_size;
    // The last result that did not end its command, until the end of its run: others of the same command and type
    // are counted where it was. `key`: cmdi_ledger_key(); 0: there is none. `which`: its command's place, and its own.
    uint64_t more_key, more_which;
    struct cmdi_result_slot *more_slot;
    uint32_t *more_run_count; // In that slot.
    // Of the last run: those of a turn have often taken the same time.
    int32_t took_bucket;
    uint64_t took_ns;
    // Until the next exec function is timed, the gap that this ends, and its mean; 0: none is.
    uint32_t exec_left, exec_gap, exec_sample;
    void *memory; // The blocks'.
};

/** A type as the ledger knows it: the program's may be gone. */
struct cmdi_ledger_type {
    uint32_t number;
    char *name;
};

struct cmdi_ledger {
    struct cmdi_ledger *next; // In its scope. Constant, as all of it but the blocks.
    struct cmdi_ledger_type *commands, *results;
    uint32_t command_count, result_count, shard_count;
    struct cmdi_ledger_shard *shards; // By number. `blocks` is NULL without command types.
};

/**
 * The scope's ledger for these types; it is made if there is none. Thread: any.
 * Returns: 0, and `ledger` is NULL if none is to be kept; -ENOMEM.
 */
int cmdi_ledger_find(struct cmds_runtime *runtime, struct cmdi_scope *scope,
        const struct cmds_protocol *protocol, struct cmdi_ledger **ledger);
/** NULL is fine. */
void cmdi_ledger_free(struct cmdi_ledger *ledger);
/** The part of a shard. Of NULL: NULL, which stands for a ledger that is not kept. */
static inline struct cmdi_ledger_shard *cmdi_ledger_of(struct cmdi_ledger *ledger, uint32_t shard)
{
    return ledger != NULL && ledger->command_count > 0 ? &ledger->shards[shard] : NULL;
}

/* --- On the shard. `place` is that of a type in its protocol's list, as struct cmdi_type_entry has it;
 * `begun_ns` when a command had begun, by the clock of turns. */

/** As cmdi_ledger_result(), and it is the first one of its type, or of a run, or another one came between. */
void cmdi_ledger_result_anew(struct cmdi_ledger_shard *ledger, uint32_t place, uint32_t result,
        uint64_t size, uint64_t begun_ns);
/** A command has ended. */
void cmdi_ledger_ended(struct cmdi_ledger_shard *ledger, uint32_t place, enum cmdi_status status,
        uint64_t begun_ns);
/**
 * As cmdi_ledger_answered(), and it is the first one of a run, or of another type of results. `mark`: of its row,
 * which says CMDI_LAST_ALWAYS. `begun_ns` UINT64_MAX: somebody else counts both.
 */
void cmdi_ledger_answered_anew(struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t mark,
        uint64_t size, uint64_t begun_ns);

/** Results of one run have the same. Not 0. `begun_ns` UINT64_MAX has one that is no run's. */
static inline uint64_t cmdi_ledger_key(uint64_t begun_ns)
{
    return begun_ns + 2;
}

/** A command of this size came, or went. */
static inline void cmdi_ledger_command(
        struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t size)
{
    cmdi_frame_sizes_record(&ledger->blocks[place].sizes, size);
}

/** A result of a command. `result` is its place. */
static inline void cmdi_ledger_result(struct cmdi_ledger_shard *ledger, uint32_t place,
        uint32_t result, uint64_t size, uint64_t begun_ns)
{
    if (CMDI_UNLIKELY(ledger->more_key != cmdi_ledger_key(begun_ns) ||
                      ledger->more_which != ((uint64_t)place << 32 | result))) {
        cmdi_ledger_result_anew(ledger, place, result, size, begun_ns);
        return;
    }
    struct cmdi_result_slot *slot = ledger->more_slot;
    cmdi_alone_add(&slot->count, 1);
    cmdi_frame_sizes_record(&slot->sizes, size);
    (*ledger->more_run_count)++;
}

/** Is it one more as the latest of this block were? Not with `begun_ns` UINT64_MAX. */
static inline bool cmdi_ledger_is_latest(
        const struct cmdi_type_block *block, uint64_t mark, uint64_t begun_ns)
{
    return CMDI_LIKELY(block->latest_ns == begun_ns) && CMDI_LIKELY(block->latest_mark == mark);
}

/**
 * A result, with which the command has ended well; it is its only one, or the others were counted.
 * cmdi_ledger_is_latest() is true.
 */
static inline void cmdi_ledger_answered(struct cmdi_type_block *block, uint64_t size)
{
    cmdi_alone_add(&block->answered, 1);
    cmdi_frame_sizes_record(&block->results[0].sizes, size);
}

/** Its span is over, at this time of day. */
void cmdi_ledger_exemplify(struct cmdi_ledger_shard *ledger, uint32_t place,
        const struct cmds_span *span, uint64_t time_ns);
/** Thread: any. Returns: false: there is none, or it is being written just now. */
bool cmdi_ledger_exemplar(
        const struct cmdi_ledger_exemplar *exemplar, struct cmdi_ledger_exemplar *out);

/** Is the next exec function to be timed? */
static inline bool cmdi_ledger_exec_is_due(struct cmdi_ledger_shard *ledger)
{
    return CMDI_UNLIKELY(--ledger->exec_left == 0);
}
/** It was due, and took so long: it stands for those since the last one. */
void cmdi_ledger_exec(struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t took_ns);

#endif
