/* SPDX-License-Identifier: MIT */
/* A blocking client: four connections, one result, then a stream of them on this thread. */
#include <inttypes.h>
#include <stdio.h>

#include "calc.h"

static int print_line(void *context, const struct cmds_result *result)
{
    (void)context;
    const struct calc_line *line = calc_line_of(result);
    /* Not 0 ends the stream. */
    return line != NULL && printf("%.*s\n", CMDS_STRING_ARGS(line->text)) > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.client_count = 4;
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT; // Ours: valid whatever happens to the sender.
    struct calc_add add = {2, 3};
    struct calc_greet greet = {.name = CMDS_STRING("Ada"), .count = 3};
    int code = cmds_sender_open(&sender, &options, &error);
    if (code == 0) {
        code = cmds_sender_send(sender, calc_add_message(&add), 5000 /* ms */, &result, &error);
    }
    const struct calc_value *value = calc_value_of(result); // NULL if there is none.
    if (value != NULL) {
        printf("%" PRId64 "\n", value->value);
        code = cmds_sender_send_multi(
                sender, calc_greet_message(&greet), 5000, &error, print_line, NULL);
    }
    if (code < 0) {
        fprintf(stderr, "calc: %s\n", error.text);
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    return code < 0 || value == NULL;
}
