/* SPDX-License-Identifier: MIT */
/* A sender that turns its own ring: `single_thread`. */
#include <stdio.h>

#include "echo.h"

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&echo);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.single_thread = true;
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct echo_say say = {CMDS_STRING("over epoll")};
    int code = cmds_sender_open(&sender, &options, &error);
    if (code == 0) {
        code = cmds_sender_send(sender, echo_say_message(&say), 5000, &result, &error);
    }
    const struct echo_said *said = echo_said_of(result);
    if (said != NULL) {
        printf("%.*s\n", CMDS_STRING_ARGS(said->text));
    } else {
        fprintf(stderr, "epoll: %s\n", error.text);
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    return said == NULL;
}
