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
/**
 * As cmds_call_send(), but whether or not there is room in the output. Thread: shard. Returns: 0;
 * CMDS_E_FINISHED, CMDS_E_GONE; CMDS_E_MEMORY_LIMIT: there is no memory at all; else as the codec.
 */
CMDS_NODISCARD int cmdi_result_send_beyond(struct cmds_call *call, struct cmds_message result);
/** The same for a command that has no call; its last result. */
CMDS_NODISCARD int cmdi_result_send_bare(
        struct cmds_connection *connection, uint64_t sequence, struct cmds_message result);
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
