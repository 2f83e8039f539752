/* SPDX-License-Identifier: MIT */
/* Notes in a database: what is stored gets a number, what is found comes row by row. */
#ifndef NOTES_H
#define NOTES_H

#include <cmdstream/cmdstream.h>

struct notes_add {
    struct cmds_string text;
};
struct notes_find {
    struct cmds_string words;
};
struct notes_added {
    int64_t id;
};
struct notes_row {
    int64_t id;
    struct cmds_string text;
};
struct notes_end {
    int64_t last;
}; // The number of the row before it.

CMDS_COMMAND(notes_add, 0, text);
CMDS_COMMAND(notes_find, 1, words);
CMDS_RESULT(notes_added, 0, id);
CMDS_RESULT_NEVER_LAST(notes_row, 1, id, text);
CMDS_RESULT(notes_end, 2, last);

static const struct cmds_type *const notes_commands[] = {&notes_add_type, &notes_find_type};
static const struct cmds_type *const notes_results[] = {
        &notes_added_type, &notes_row_type, &notes_end_type};
static const struct cmds_protocol notes = CMDS_PROTOCOL("notes", notes_commands, notes_results);

#endif
