/* SPDX-License-Identifier: MIT */
/* How a call has ended that has not just ended well, for the ledger of its server. */
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
