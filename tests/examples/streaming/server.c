/* SPDX-License-Identifier: MIT */
/*
 * A stream of any length in bounded memory: as many results as there is room for, then
 * CMDS_EXEC_AGAIN. The function is called again with the same command when the peer has read on;
 * what it has to remember is in the call's context.
 */
#include <errno.h>

#include "range.h"

enum {
    BATCH = 256, // Then others have their turn.
};

static int count(struct cmds_call *call, const struct range_count *command)
{
    int64_t sent = (int64_t)(intptr_t)cmds_call_context(call);
    for (int i = 0; i < BATCH; i++) {
        struct range_number number = {command->from + sent, command->from + sent >= command->to};
        int code = cmds_call_send(call, range_number_message(&number));
        if (code == -ENOBUFS) {
            break; // Full: this one is repeated in the next round.
        }
        if (code < 0 || number.last) {
            return code;
        }
        sent++;
    }
    cmds_call_set_context(call, (void *)(intptr_t)sent);
    return CMDS_EXEC_AGAIN;
}

static const struct cmds_exec execs[] = {CMDS_EXEC(range_count, count)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&range, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    return cmds_server_main(&options);
}
