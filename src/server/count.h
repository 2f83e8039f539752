/* SPDX-License-Identifier: MIT */
/* The end of a call as it is counted by type. */
#ifndef CMDI_SERVER_COUNT_H
#define CMDI_SERVER_COUNT_H

#include "server/call.h"
#include "telemetry/ledger.h"

/** How it has ended. Thread: shard. */
enum cmdi_status cmdi_call_status(const struct cmds_call *call);

/** It has ended, as far as somebody who counts sees it: once, whoever keeps it on. Thread: shard. */
static inline void cmdi_call_count_end(struct cmds_call *call)
{
    struct cmdi_ledger_shard *ledger = call->connection->server_shard->ledger;
    const uint8_t odd = CMDI_CALL_FAILED | CMDI_CALL_LATE;
    if (CMDI_UNLIKELY(ledger == NULL) || (call->flags & CMDI_CALL_COUNTED) != 0) {
        return;
    }
    bool well = CMDI_LIKELY((call->flags & odd) == 0) &&
                CMDI_LIKELY(atomic_load_explicit(&call->finished, memory_order_relaxed) ==
                            CMDI_FINISHED_WELL);
    call->flags |= CMDI_CALL_COUNTED;
    cmdi_ledger_ended(
            ledger, call->place, well ? CMDI_STATUS_OK : cmdi_call_status(call), call->received_ns);
}

#endif
