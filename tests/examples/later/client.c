/* SPDX-License-Identifier: MIT */
/* Ten keys, one after the other. The client cannot tell which thread answered. */
#include <stdio.h>

#include "lookup.h"

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&lookup);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_sender_open(&sender, &options, &error);
    for (int i = 0; i < 10 && code == 0; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key %d", i);
        struct lookup_get get = {cmds_string_from(key)};
        struct cmds_result *result = NULL;
        code = cmds_sender_send(sender, lookup_get_message(&get), 5000, &result, &error);
        const struct lookup_found *found = lookup_found_of(result);
        if (found != NULL) {
            printf("%.*s\n", CMDS_STRING_ARGS(found->value));
        }
        cmds_result_free(result);
    }
    if (code < 0) {
        fprintf(stderr, "lookup: %s\n", error.text);
    }
    cmds_sender_close(sender, 1000);
    return code < 0;
}
