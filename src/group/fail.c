/* SPDX-License-Identifier: MIT */
/* How the failure of a command becomes that of the call it was sent for. Any thread. */
#include <stdio.h>

#include <cmdstream/client.h>
#include <cmdstream/server.h>

#include "client/result.h"
#include "server/call_fail.h"

/* The server over there has answered: its words are for whoever asked. */
static void fail_as_answered(struct cmds_call *call, const struct cmds_result *result)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    char told[sizeof(error.text)];
    struct cmds_string text;
    int64_t code = 0;
    (void)cmds_result_is_error(result, &code, &text);
    (void)snprintf(told, sizeof(told), "%.*s",
            (int)(text.size < sizeof(told) ? text.size : sizeof(told)),
            text.size > 0 ? text.data : "");
    cmdi_result_say_error(result, &error);
    cmdi_call_fail(call, &(struct cmdi_failure){.code = CMDS_E_REMOTE,
                                 .text = error.text,
                                 .told_code = code != 0 ? code : CMDS_E_REMOTE,
                                 .told = told,
                                 .spares = true});
}

void cmds_call_fail_as(struct cmds_call *call, const struct cmds_result *result)
{
    if (result != NULL && result->is_error) {
        fail_as_answered(call, result);
        return;
    }
    const char *text = result != NULL && result->error != 0 ? result->text : NULL;
    cmdi_call_fail(call, &(struct cmdi_failure){
                                 .code = cmds_result_cause(result), .text = text, .spares = true});
}
