/* SPDX-License-Identifier: MIT */
/*
 * The error result of a call.
 *
 * It has to leave when there is no room, so it is taken beyond the output's bound. That stays a bound,
 * since a call has one at most, of at most 1.5 KiB or so, and above the bound no further command is
 * read: in_flight_max of them. Without any memory the connection is closed, as when a result of
 * another thread finds none: the client then learns that the answer is lost, instead of waiting.
 */
#include "server/failure.h"

#include "base/assert.h"
#include "base/error.h"
#include "server/failure_value.h"
#include "server/result.h"

static void failure_lost(struct cmds_connection *connection, uint64_t sequence, int code)
{
    if (code < 0 && connection->conn.state == CMDI_CONN_OPEN) {
        cmdi_conn_fail_soon(&connection->conn, code,
                "the error result of command %llu could not be sent: %s",
                (unsigned long long)sequence, cmds_error_text(code));
    }
}

void cmdi_failure_tell(struct cmds_call *call, const struct cmdi_failure *failure)
{
    const struct cmdi_error_type *failed = &call->core->failed;
    if (failed->type == NULL || call->type->one_way != 0 || atomic_load(&call->finished) != 0 ||
            atomic_load(&call->cancelled) != 0 || call->connection->conn.state != CMDI_CONN_OPEN) {
        return;
    }
    struct cmdi_failure_value value;
    int64_t code = failure->told_code != 0 ? failure->told_code : failure->code;
    const char *text = failure->told != NULL ? failure->told : cmdi_failure_sentence(code);
    int sent = cmdi_result_send_beyond(call, cmdi_failure_message(failed, &value, code, text));
    if (sent != CMDS_E_FINISHED && sent != CMDS_E_GONE) {
        failure_lost(call->connection, call->sequence, sent);
    }
}

bool cmdi_failure_tell_unread(struct cmds_connection *connection, const struct cmds_type *command,
        uint64_t sequence, int code)
{
    const struct cmdi_error_type *failed = &connection->server_shard->core->failed;
    if (failed->type == NULL) {
        return false;
    }
    if (command->one_way == 0) {
        struct cmdi_failure_value value;
        failure_lost(connection, sequence,
                cmdi_result_send_bare(connection, sequence,
                        cmdi_failure_message(failed, &value, code, cmdi_failure_sentence(code))));
    }
    return true;
}
