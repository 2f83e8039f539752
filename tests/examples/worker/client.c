/* SPDX-License-Identifier: MIT */
/* Stores some notes and looks for them: far more rows than the server keeps for a connection. */
#include <inttypes.h>
#include <stdio.h>

#include "notes.h"

enum {
    NOTES = 300,
};

struct seen {
    int64_t rows, last;
};

static int on_row(void *context, const struct cmds_result *result) // On our thread.
{
    struct seen *seen = context;
    const struct notes_row *row = notes_row_of(result);
    const struct notes_end *end = notes_end_of(result);
    if (row != NULL && ++seen->rows <= 2) {
        printf("%" PRId64 ": %.*s\n", row->id, CMDS_STRING_ARGS(row->text));
    }
    seen->last = end != NULL ? end->last : seen->last;
    return 0;
}

static int store(struct cmds_sender *sender, int count, struct cmds_error *error)
{
    int code = 0;
    for (int i = 1; i <= count && code == 0; i++) {
        char text[100];
        struct cmds_result *result = NULL;
        (void)snprintf(text, sizeof(text), "%s note, which somebody has written down as number %d",
                i % 3 == 0 ? "Odd" : "A", i);
        struct notes_add add = {cmds_string_from(text)};
        code = cmds_sender_send(sender, notes_add_message(&add), 20000, &result, error);
        cmds_result_free(result);
    }
    return code;
}

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&notes);
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct seen seen = {0, 0};
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    int code = cmds_sender_open(&sender, &options, &error);
    code = code < 0 ? code : store(sender, NOTES, &error);
    if (code == 0) {
        struct notes_find find = {CMDS_STRING("note")};
        code = cmds_sender_send_multi(
                sender, notes_find_message(&find), 20000, &error, on_row, &seen);
    }
    if (code < 0) {
        fprintf(stderr, "worker: %s\n", error.text);
    } else {
        printf("... %" PRId64 " rows, the last is %" PRId64 "\n", seen.rows, seen.last);
    }
    cmds_sender_close(sender, 1000);
    return code < 0;
}
