/* SPDX-License-Identifier: MIT */
/*
 * Calls as they are counted by type. One that ends as most do is counted once, when its exec function
 * has returned: its command, its result, and how it has ended.
 */
#ifndef CMDI_SERVER_COUNT_H
#define CMDI_SERVER_COUNT_H

#include "server/call.h"
#include "telemetry/ledger.h"

/** How it has ended. Thread: shard. */
enum cmdi_status cmdi_call_status(const struct cmds_call *call);

static inline struct cmdi_ledger_shard *cmdi_call_ledger(const struct cmds_call *call)
{
    return call->connection->server_shard->ledger;
}

/** It has ended, as far as somebody who counts sees it: once, whoever keeps it on. Thread: shard. */
static inline void cmdi_call_count_end(struct cmds_call *call)
{
    struct cmdi_ledger_shard *ledger = cmdi_call_ledger(call);
    if (CMDI_LIKELY((call->flags & CMDI_CALL_COUNTED) != 0) || ledger == NULL) {
        return;
    }
    call->flags |= CMDI_CALL_COUNTED;
    cmdi_ledger_ended(ledger, call->place, cmdi_call_status(call), call->received_ns);
}

/** A result of this row was sent by the shard. */
static inline void cmdi_call_count_result(
        struct cmds_call *call, const struct cmdi_type_entry *row, size_t size)
{
    struct cmdi_ledger_shard *ledger = cmdi_call_ledger(call);
    if (CMDI_LIKELY(ledger != NULL)) {
        cmdi_ledger_result(ledger, call->place, row->place, size, call->received_ns);
    }
}
/** The same while its exec function runs; the last one of most is counted when that returns. */
static inline void cmdi_call_count_running(
        struct cmds_call *call, const struct cmdi_type_entry *row, size_t size)
{
    struct cmdi_ledger_shard *ledger = cmdi_call_ledger(call);
    if (CMDI_UNLIKELY(ledger == NULL)) {
        return;
    }
    if (CMDI_UNLIKELY(row->last_offset != CMDI_LAST_ALWAYS)) {
        cmdi_ledger_result(ledger, call->place, row->place, size, call->received_ns);
        return;
    }
    CMDI_ASSERT_SLOW(ledger->held_mark == CMDI_LEDGER_HELD_NONE); // One function runs at a time.
    ledger->held_mark = cmdi_type_mark(row);
    ledger->held_size = size;
}

/** A call has come, of this size. Returns: where those of its type are counted. */
static inline struct cmdi_type_block *cmdi_call_count_begin(
        const struct cmds_call *call, struct cmdi_ledger_shard *ledger, size_t size)
{
    struct cmdi_type_block *block = &ledger->blocks[call->place];
    cmdi_frame_sizes_record(&block->sizes, size);
    // So that cmdi_call_count_run() need not look.
    if (CMDI_UNLIKELY(block->latest_ns != call->received_ns)) {
        block->latest_mark = CMDI_LEDGER_LATEST_NONE;
    }
    return block;
}
/** What it has held is counted: it does not end as most do, or was run before. */
void cmdi_call_count_held(struct cmds_call *call, struct cmdi_ledger_shard *ledger);
/** As cmdi_call_count_run(), of one that does not end as most do, or is the first of a run. */
void cmdi_call_count_anew(struct cmds_call *call, struct cmdi_ledger_shard *ledger, int code);
/**
 * Its exec function has run for the first time, and returned this: it runs no more. `block`: of
 * cmdi_call_count_begin().
 */
static inline void cmdi_call_count_run(struct cmds_call *call, struct cmdi_ledger_shard *ledger,
        struct cmdi_type_block *block, int code)
{
    if (CMDI_LIKELY(code == 0) && CMDI_LIKELY(call->flags == CMDI_CALL_RUNNING) &&
            CMDI_LIKELY(block->latest_mark == ledger->held_mark)) {
        call->flags = CMDI_CALL_COUNTED;
        ledger->held_mark = CMDI_LEDGER_HELD_NONE;
        cmdi_ledger_answered(block, ledger->held_size);
        return;
    }
    cmdi_call_count_anew(call, ledger, code);
}

#endif
