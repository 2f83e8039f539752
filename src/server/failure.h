/* SPDX-License-Identifier: MIT */
/*
 * How a failed call answers its caller: by the error result of its protocol, if that has one (see
 * CMDS_RESULT_ERROR). All of it is for failures: nothing here is on the way of a command that is
 * answered.
 */
#ifndef CMDI_SERVER_FAILURE_H
#define CMDI_SERVER_FAILURE_H

#include "server/call.h"

static inline bool cmdi_failure_has_type(const struct cmdi_server_core *core)
{
    return core->failed.type != NULL;
}

/**
 * Sends the error result as the call's last, beyond the bound of the output; of a call that has no
 * error type, is one-way or finished, or whose peer is gone, nothing. Thread: shard.
 */
void cmdi_failure_tell(struct cmds_call *call, const struct cmdi_failure *failure);
/**
 * The same for a command of which no call could be made. Thread: shard. Returns: false: there is no
 * error type.
 */
bool cmdi_failure_tell_unread(struct cmds_connection *connection, const struct cmds_type *command,
        uint64_t sequence, int code);

#endif
