/* SPDX-License-Identifier: MIT */
/* A client is a group of one. Results come by callback; only cmds_group_drain waits for them. */
#include <stdio.h>

#include "echo.h"

static void on_result(void *context, const struct cmds_result *result) // On a shard.
{
    (void)context;
    const struct echo_said *said = echo_said_of(result); // Borrowed until we return.
    if (said != NULL) {
        printf("%.*s\n", CMDS_STRING_ARGS(said->text));
    } else {
        fprintf(stderr, "echo: %s\n", result->text);
    }
}

int main(int argc, char **argv)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group *group = NULL;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&echo);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_error error = CMDS_ERROR_INIT;
    static const char *const words[] = {"one", "two", "three"};

    int code = cmds_runtime_start(&runtime, &runtime_options, &error);
    if (code == 0) {
        code = cmds_group_open(&group, runtime, &options, &error);
    }
    for (int i = 0; i < 3 && code == 0; i++) { // They wait for the connection, within a deadline.
        struct echo_say say = {cmds_string_from(words[i])};
        code = cmds_group_send(group, echo_say_message(&say), NULL, on_result, NULL);
    }
    if (code == 0) {
        code = cmds_group_drain(group, 5000);
    }
    if (code < 0) {
        fprintf(stderr, "echo: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(runtime); // Closes the group too.
    return code < 0;
}
