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

/**
 * A result of this type, by its place, was sent by the shard. With `well` it is the last one of a call
 * whose exec function runs.
 */
static inline void cmdi_call_count_result(
        struct cmds_call *call, uint32_t result, size_t size, bool well)
{
    struct cmdi_ledger_shard *ledger = cmdi_call_ledger(call);
    if (CMDI_UNLIKELY(ledger == NULL)) {
        return;
    }
    if (CMDI_LIKELY(well)) {
        CMDI_ASSERT_SLOW(ledger->held_result == 0); // One function runs at a time.
        ledger->held_result = result + 1;
        ledger->held_size = size;
        return;
    }
    cmdi_ledger_result(ledger, call->place, result, size, call->received_ns);
}

/** As cmdi_call_count_run(), of one that does not end as most do, or was run before. `size` 0: it was. */
void cmdi_call_count_odd(struct cmds_call *call, struct cmdi_ledger_shard *ledger, size_t size);
/** Its exec function has run for the first time, and returned this. `size`: of the command's frame. */
static inline void cmdi_call_count_run(
        struct cmds_call *call, struct cmdi_ledger_shard *ledger, size_t size, int code)
{
    const uint8_t odd = CMDI_CALL_FAILED | CMDI_CALL_LATE | CMDI_CALL_COUNTED;
    uint8_t flags = call->flags;
    if (CMDI_LIKELY(code == 0) && CMDI_LIKELY(ledger->held_result != 0) &&
            CMDI_LIKELY((flags & odd) == 0)) {
        call->flags = (uint8_t)(flags | CMDI_CALL_COUNTED);
        cmdi_ledger_answered_held(ledger, call->place, size, call->received_ns);
        return;
    }
    cmdi_call_count_odd(call, ledger, size);
}

#endif
