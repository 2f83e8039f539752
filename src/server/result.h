/* SPDX-License-Identifier: MIT */
/*
 * Results on their way to a connection's output, from its shard or from other threads. The sender's
 * side is cmds_call_send().
 */
#ifndef CMDI_SERVER_RESULT_H
#define CMDI_SERVER_RESULT_H

#include "server/connection.h"

/**
 * Why the last send of this call was refused with `code`: once. Thread: shard. Returns: false: not known.
 */
bool cmdi_result_why(struct cmds_call *call, int code, struct cmds_error *why);
/** Results that other threads left go to the output. Thread: shard. */
void cmdi_result_take_now(struct cmds_connection *connection);
/** The same, if there are any. */
static inline void cmdi_result_take(struct cmds_connection *connection)
{
    if (CMDI_UNLIKELY(cmdi_inbox_size(&connection->inbox) > 0)) {
        cmdi_result_take_now(connection);
    }
}

#endif
