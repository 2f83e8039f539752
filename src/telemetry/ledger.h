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
 * turn: its results leave with the flush. So it is counted by its turn, and the turn's end records all
 * of them at once. For others the turn's begin is the end.
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
#define CMDI_LEDGER_END UINT32_MAX

enum cmdi_status {
    CMDI_STATUS_OK,
    CMDI_STATUS_FAILED,
    CMDI_STATUS_TIMEOUT,
    CMDI_STATUS_CANCELLED,
    CMDI_STATUSES,
};

struct cmdi_result_slot {
    uint32_t result;     // Its place in the protocol, and 1 more. 0: none yet.
    uint32_t turn_count; // Of those below, that ended in this turn.
    uint64_t count;
    struct cmdi_sizes sizes;
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

/** Of one command type on one shard. What is often written is in front. No pointers. */
struct cmdi_type_block {
    _Alignas(64) uint64_t count[CMDI_STATUSES];
    uint32_t turn_count[CMDI_STATUSES];
    uint32_t touched_next; // In the list of those with a turn_count: the place, and 1 more.
    struct cmdi_sizes sizes;
    struct cmdi_durations ok; // Of CMDI_STATUS_OK.
    struct cmdi_durations exec;
    struct cmdi_result_slot results[CMDI_RESULT_SLOTS + 1];
    struct cmdi_durations others[CMDI_STATUSES - 1];
    struct cmdi_ledger_exemplar exemplar;
};

struct cmdi_ledger_shard {
    struct cmdi_turn_note note; // While a block is touched.
    struct cmdi_shard *shard;
    struct cmdi_type_block *blocks; // By the place of the command type.
    uint32_t touched;               // The first one, and 1 more; CMDI_LEDGER_END: none.
    bool keeps_sizes, keeps_durations;
    // Of the last one: commands that are sent and answered together have taken the same time.
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

/* --- On the shard. `place` is that of a type in its protocol's list, as struct cmdi_type_entry has it. */

/** The block has a turn_count: the turn's end will see it. */
void cmdi_ledger_touch(struct cmdi_ledger_shard *ledger, uint32_t place);

static inline void cmdi_ledger_count(uint64_t *number)
{
    cmdi_exponential_add(number, 1);
}
/** When did it end? Returns: how long it took; 0: it is of this turn. */
static inline uint64_t cmdi_ledger_took(const struct cmdi_ledger_shard *ledger, uint64_t begun_ns)
{
    uint64_t now_ns = ledger->shard->now_ns;
    return now_ns > begun_ns ? now_ns - begun_ns : 0;
}

static inline void cmdi_ledger_record(
        struct cmdi_ledger_shard *ledger, struct cmdi_durations *durations, uint64_t took_ns)
{
    if (took_ns != ledger->took_ns) {
        ledger->took_ns = took_ns;
        ledger->took_bucket = cmdi_duration_bucket(cmdi_duration_units(took_ns));
    }
    cmdi_durations_record_in(durations, ledger->took_bucket, took_ns, 1);
}

/** A command of this size came, or went. */
static inline void cmdi_ledger_command(
        struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t size)
{
    if (CMDI_LIKELY(ledger->keeps_sizes)) {
        cmdi_sizes_record(&ledger->blocks[place].sizes, size);
    }
}

/** It ended, and had begun then, by the clock of turns. */
static inline void cmdi_ledger_ended(struct cmdi_ledger_shard *ledger, uint32_t place,
        enum cmdi_status status, uint64_t begun_ns)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    cmdi_ledger_count(&block->count[status]);
    if (CMDI_UNLIKELY(!ledger->keeps_durations)) {
        return;
    }
    uint64_t took_ns = cmdi_ledger_took(ledger, begun_ns);
    if (CMDI_LIKELY(took_ns == 0)) {
        block->turn_count[status]++;
        if (block->touched_next == 0) {
            cmdi_ledger_touch(ledger, place);
        }
    } else {
        cmdi_ledger_record(ledger,
                status == CMDI_STATUS_OK ? &block->ok : &block->others[status - 1], took_ns);
    }
}

/** Which slot has results of this type? It gets one if there is one left. */
static inline struct cmdi_result_slot *cmdi_ledger_slot(
        struct cmdi_type_block *block, uint32_t result)
{
    struct cmdi_result_slot *slot = block->results;
    while (CMDI_UNLIKELY(slot->result != result + 1) && slot->result != 0 &&
            slot < &block->results[CMDI_RESULT_SLOT_OVER]) {
        slot++;
    }
    if (CMDI_UNLIKELY(slot->result == 0)) {
        __atomic_store_n(&slot->result, result + 1, __ATOMIC_RELEASE);
    }
    return slot;
}

/** A result of a command that had begun then. `result` is its place. */
static inline void cmdi_ledger_result(struct cmdi_ledger_shard *ledger, uint32_t place,
        uint32_t result, uint64_t size, uint64_t begun_ns)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    struct cmdi_result_slot *slot = cmdi_ledger_slot(block, result);
    cmdi_ledger_count(&slot->count);
    if (CMDI_LIKELY(ledger->keeps_sizes)) {
        cmdi_sizes_record(&slot->sizes, size);
    }
    if (CMDI_UNLIKELY(!ledger->keeps_durations)) {
        return;
    }
    uint64_t took_ns = cmdi_ledger_took(ledger, begun_ns);
    if (CMDI_LIKELY(took_ns == 0)) {
        slot->turn_count++;
        if (block->touched_next == 0) {
            cmdi_ledger_touch(ledger, place);
        }
    } else {
        cmdi_ledger_record(ledger, &slot->durations, took_ns);
    }
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
