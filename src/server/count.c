/* SPDX-License-Identifier: MIT */
/* Calls that do not end as most do, for the ledger of their server. */
#include "server/count.h"

/* A failure comes first: an exec function may fail behind its last result. */
enum cmdi_status cmdi_call_status(const struct cmds_call *call)
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

void cmdi_call_count_odd(struct cmds_call *call, struct cmdi_ledger_shard *ledger, size_t size)
{
    if (size > 0) {
        cmdi_ledger_command(ledger, call->place, size);
    }
    if (ledger->held_result != 0) {
        cmdi_ledger_result(
                ledger, call->place, ledger->held_result - 1, ledger->held_size, call->received_ns);
        ledger->held_result = 0;
    }
}
