/* SPDX-License-Identifier: MIT */
/* How a call has ended, for the ledger of its server. */
#include "server/count.h"

/* A failure comes first: an exec function may fail behind its last result. */
static enum cmdi_status call_status(const struct cmds_call *call)
{
    uint8_t finished = atomic_load_explicit(&call->finished, memory_order_relaxed);
    return (call->flags & CMDI_CALL_FAILED) != 0 ? CMDI_STATUS_FAILED
           : (call->flags & CMDI_CALL_LATE) != 0 ? CMDI_STATUS_TIMEOUT
           : finished == CMDI_FINISHED_FAILED    ? CMDI_STATUS_FAILED
           : finished != CMDI_FINISHED_NOT       ? CMDI_STATUS_OK
           : atomic_load_explicit(&call->cancelled, memory_order_relaxed) != 0 ||
                           call->type->one_way == 0
                   ? CMDI_STATUS_CANCELLED
                   : CMDI_STATUS_OK;
}

void cmdi_call_count_end(struct cmds_call *call)
{
    struct cmdi_ledger_shard *ledger = call->connection->server_shard->ledger;
    if (ledger != NULL && (call->flags & CMDI_CALL_COUNTED) == 0) {
        call->flags |= CMDI_CALL_COUNTED;
        cmdi_ledger_ended(ledger, call->place, call_status(call), call->received_ns);
    }
}
