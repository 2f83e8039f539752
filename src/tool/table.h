/* SPDX-License-Identifier: MIT */
/* Figures as text: a table for a screen of so many columns and lines, and rows like those of vmstat. */
#ifndef CMDSTREAM_TOOL_TABLE_H
#define CMDSTREAM_TOOL_TABLE_H

#include <stdio.h>

#include "figures.h"

enum {
    TOOL_TABLE_CELL_SIZE = 32,
};
#define TOOL_TABLE_ANY UINT32_MAX // Columns, or lines: as many as it takes.

struct tool_table {
    FILE *out;
    uint32_t columns, lines; // What is longer is cut, what are more is left out.
    uint32_t line_count;     // Written so far.
    bool is_colored;         // By ANSI's sequences.
};

/** A line, ended by '\n'; `attribute`: "7", "31"; NULL: plain. */
void tool_table_line(struct tool_table *table, const char *attribute, const char *text);
/** All of it: a line about the service, its shards, the types of commands. */
void tool_table_print(struct tool_table *table, const struct tool_figures *figures);

/** The line that stands above rows, and a row. */
void tool_table_row_title(FILE *out);
void tool_table_row(FILE *out, const struct tool_figures *figures);

/* --- Cells. Each gives `text`, TOOL_TABLE_CELL_SIZE bytes; of NAN "-" ----------------------------- */

/** "2,981,120", "3.4" */
const char *tool_cell_count(char *text, double number);
/** "41 us", "1.2 ms" */
const char *tool_cell_time(char *text, double seconds);
/** "3.1 MB" */
const char *tool_cell_size(char *text, double bytes);
/** "61 %" */
const char *tool_cell_part(char *text, double part);
/** "3h 12m", "41 s", "12d 3h" */
const char *tool_cell_age(char *text, double seconds);

#endif
