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

void cmdi_call_count_held(struct cmds_call *call, struct cmdi_ledger_shard *ledger)
{
    if (ledger->held_mark != CMDI_LEDGER_HELD_NONE) {
        cmdi_ledger_result(ledger, call->place, cmdi_type_mark_place(ledger->held_mark),
                ledger->held_size, call->received_ns);
        ledger->held_mark = CMDI_LEDGER_HELD_NONE;
    }
}

void cmdi_call_count_anew(struct cmds_call *call, struct cmdi_ledger_shard *ledger, int code)
{
    const uint8_t odd = CMDI_CALL_FAILED | CMDI_CALL_LATE | CMDI_CALL_COUNTED;
    uint64_t mark = ledger->held_mark;
    call->flags = (uint8_t)(call->flags & ~CMDI_CALL_RUNNING);
    if (code != 0 || mark == CMDI_LEDGER_HELD_NONE || (call->flags & odd) != 0) {
        cmdi_call_count_held(call, ledger);
        return;
    }
    call->flags |= CMDI_CALL_COUNTED;
    ledger->held_mark = CMDI_LEDGER_HELD_NONE;
    cmdi_ledger_answered_anew(ledger, call->place, mark, ledger->held_size, call->received_ns);
}
