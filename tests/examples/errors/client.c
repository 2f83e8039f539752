/* SPDX-License-Identifier: MIT */
/*
 * Three kinds of ends: a result, an error that the server has answered (CMDS_E_REMOTE, and the result
 * says more), and no answer (every other code). Only the last is a matter of the connection.
 */
#include <stdio.h>

#include "shelf.h"

static void ask(struct cmds_sender *sender, const char *key)
{
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct shelf_get get = {cmds_string_from(key)};
    int code = cmds_sender_send(sender, shelf_get_message(&get), 1000, &result, &error);
    const struct shelf_found *found = shelf_found_of(result);
    const struct shelf_error *failed = shelf_error_of(result);
    if (found != NULL) {
        printf("%s: %.*s\n", key, CMDS_STRING_ARGS(found->value));
    } else if (code == CMDS_E_REMOTE && failed != NULL) {
        printf("%s: the server says %d, %.*s\n", key, (int)failed->code,
                CMDS_STRING_ARGS(failed->text));
        printf("    in one sentence: %s\n", error.text);
    } else {
        printf("%s: no answer: %s\n", key, error.text);
    }
    cmds_result_free(result);
}

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&shelf);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_sender_open(&sender, &options, &error) < 0) {
        fprintf(stderr, "shelf: %s\n", error.text);
        return 1;
    }
    ask(sender, "apple");
    ask(sender, "pear");
    ask(sender, "bomb");
    ask(sender, "nobody");
    ask(sender, "apple"); // On the same connection.
    cmds_sender_close(sender, 1000);
    return 0;
}
