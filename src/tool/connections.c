/* SPDX-License-Identifier: MIT */
/* See connections.h. What a peer calls itself is shown on a terminal, which must obey none of it. */
#include "connections.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"

enum {
    CONNECTIONS_CELL_SIZE = 48, // What is longer is cut.
    CONNECTIONS_LINE_SIZE = 1024,
};

json_t *tool_connections_parse(const char *text, size_t size, char *why)
{
    return tool_parse_list(text, size, "connections", why);
}

/* --- Cells ------------------------------------------------------------------------------------ */

static void cell_copy(char cell[CONNECTIONS_CELL_SIZE], const char *text)
{
    (void)snprintf(cell, CONNECTIONS_CELL_SIZE, "%s", text != NULL ? text : "");
    for (char *at = cell; *at != '\0'; at++) {
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
}

static void cell_text(char cell[CONNECTIONS_CELL_SIZE], const json_t *value)
{
    cell_copy(cell, json_string_value(value));
}

static void cell_count(char cell[CONNECTIONS_CELL_SIZE], const json_t *value)
{
    (void)tool_cell_count(cell, json_number_value(value));
}

static void cell_size(char cell[CONNECTIONS_CELL_SIZE], const json_t *value)
{
    (void)tool_cell_size(cell, json_number_value(value));
}

static void cell_age(char cell[CONNECTIONS_CELL_SIZE], const json_t *value)
{
    double seconds = json_number_value(value) / 1000;
    (void)(seconds < 60 ? tool_cell_time : tool_cell_age)(cell, seconds);
}

/* Why it is not read: "calls memory". */
static void cell_pauses(char cell[CONNECTIONS_CELL_SIZE], const json_t *value)
{
    char text[CONNECTIONS_CELL_SIZE] = "";
    const json_t *pause = NULL;
    size_t i = 0, size = 0;
    json_array_foreach(value, i, pause)
    {
        const char *word = json_string_value(pause);
        if (word != NULL && size + strlen(word) + 2 <= sizeof(text)) {
            size += (size_t)snprintf(
                    text + size, sizeof(text) - size, "%s%s", size > 0 ? " " : "", word);
        }
    }
    cell_copy(cell, text);
}

/* --- Columns ---------------------------------------------------------------------------------- */

struct column {
    const char *key, *title;
    void (*fn)(char cell[CONNECTIONS_CELL_SIZE], const json_t *value);
    bool is_right;
    bool is_once; // Where all have the same it stands above the table, and no column does.
    // Where all have this there is no column, and nothing is said. NULL: there is one.
    const char *nothing;
};

static const struct column columns[] = {
        {.key = "shard", .title = "shard", .fn = cell_count, .is_right = true},
        {.key = "side", .title = "side", .fn = cell_text, .is_once = true},
        {.key = "name", .title = "name", .fn = cell_text, .is_once = true},
        {.key = "peer", .title = "peer", .fn = cell_text},
        {.key = "stage", .title = "stage", .fn = cell_text},
        {.key = "in_flight", .title = "in flight", .fn = cell_count, .is_right = true},
        {.key = "age_ms", .title = "age", .fn = cell_age, .is_right = true},
        {.key = "idle_ms", .title = "idle", .fn = cell_age, .is_right = true},
        {.key = "recv_bytes", .title = "recv", .fn = cell_size, .is_right = true},
        {.key = "send_bytes", .title = "send", .fn = cell_size, .is_right = true},
        {.key = "queued_bytes",
                .title = "queued",
                .fn = cell_size,
                .is_right = true,
                .nothing = "0 B"},
        {.key = "paused", .title = "not read for", .fn = cell_pauses, .nothing = ""},
};
enum {
    COLUMNS = sizeof(columns) / sizeof(columns[0]),
};

struct layout {
    const json_t *list;
    size_t shown;
    int widths[COLUMNS];                  // 0: it is left out.
    char once[CONNECTIONS_LINE_SIZE / 4]; // What all have in common: "  server calc".
};

static void layout_cell(
        const struct layout *layout, size_t row, size_t at, char cell[CONNECTIONS_CELL_SIZE])
{
    columns[at].fn(cell, json_object_get(json_array_get(layout->list, row), columns[at].key));
}

/* Returns: all of them have in this column what is left in `cell`. */
static bool layout_is_same(const struct layout *layout, size_t at, char cell[CONNECTIONS_CELL_SIZE])
{
    char other[CONNECTIONS_CELL_SIZE];
    layout_cell(layout, 0, at, cell);
    for (size_t row = 1; row < json_array_size(layout->list); row++) {
        layout_cell(layout, row, at, other);
        if (strcmp(cell, other) != 0) {
            return false;
        }
    }
    return true;
}

static int layout_width(const struct layout *layout, size_t at)
{
    char cell[CONNECTIONS_CELL_SIZE];
    size_t width = strlen(columns[at].title);
    for (size_t row = 0; row < layout->shown; row++) {
        layout_cell(layout, row, at, cell);
        width = strlen(cell) > width ? strlen(cell) : width;
    }
    return (int)width;
}

static void layout_make(struct layout *layout)
{
    char cell[CONNECTIONS_CELL_SIZE] = "";
    size_t size = 0;
    for (size_t at = 0; at < COLUMNS && layout->shown > 0; at++) {
        bool may_go = columns[at].is_once || columns[at].nothing != NULL;
        bool is_same = may_go && layout_is_same(layout, at, cell);
        if (is_same && columns[at].is_once) {
            size += (size_t)snprintf(layout->once + size, sizeof(layout->once) - size, "%s%s",
                    cell[0] == '\0' ? ""
                    : size == 0     ? "  "
                                    : " ",
                    cell);
        } else if (!is_same || strcmp(cell, columns[at].nothing) != 0) {
            layout->widths[at] = layout_width(layout, at);
        }
    }
}

/* `row`: SIZE_MAX: the titles. */
static void layout_print(const struct layout *layout, struct tool_table *table, size_t row)
{
    char line[CONNECTIONS_LINE_SIZE] = "";
    char cell[CONNECTIONS_CELL_SIZE];
    int size = 0;
    for (size_t at = 0; at < COLUMNS; at++) {
        int width = columns[at].is_right ? layout->widths[at] : -layout->widths[at];
        if (row == SIZE_MAX) {
            cell_copy(cell, columns[at].title);
        } else {
            layout_cell(layout, row, at, cell);
        }
        if (width != 0) {
            size += snprintf(line + size, sizeof(line) - (size_t)size, "%s%*s",
                    size > 0 ? "  " : "", width, cell);
        }
    }
    while (size > 0 && line[size - 1] == ' ') {
        line[--size] = '\0';
    }
    tool_table_line(table, row == SIZE_MAX ? "7" : NULL, line);
}

/* --- All of it -------------------------------------------------------------------------------- */

/* Shards that are held up cannot say what they hold, and a list without theirs is not whole. */
static void print_held(struct tool_table *table, const json_t *root)
{
    char line[CONNECTIONS_LINE_SIZE];
    char shard[CONNECTIONS_CELL_SIZE], time[CONNECTIONS_CELL_SIZE], type[CONNECTIONS_CELL_SIZE];
    const json_t *held = NULL;
    size_t i = 0;
    if (json_is_false(json_object_get(root, "complete"))) {
        tool_table_line(table, "31", "Not all of them: not every shard has answered in time.");
    }
    json_array_foreach(json_object_get(root, "held_up"), i, held)
    {
        cell_count(shard, json_object_get(held, "shard"));
        cell_text(type, json_object_get(held, "type"));
        (void)tool_cell_time(time, json_number_value(json_object_get(held, "turn_us")) / 1e6);
        (void)snprintf(line, sizeof(line), "shard %s: held up for %s by %s", shard, time,
                type[0] != '\0' ? type : "no command");
        tool_table_line(table, "31", line);
    }
}

void tool_connections_print(struct tool_table *table, const json_t *root)
{
    char line[CONNECTIONS_LINE_SIZE];
    char cell[CONNECTIONS_CELL_SIZE];
    struct layout layout = {.list = json_object_get(root, "connections")};
    size_t listed = json_array_size(layout.list);
    double counted = json_number_value(json_object_get(root, "count"));
    double count = counted > (double)listed ? counted : (double)listed;
    uint32_t head = 2 + (uint32_t)json_array_size(json_object_get(root, "held_up")) +
                    json_is_false(json_object_get(root, "complete"));
    uint32_t room = table->lines - table->line_count;
    room = room > head ? room - head : 0;
    // The last line says how many are not shown.
    layout.shown = count <= room ? listed : room == 0 ? 0 : room - 1 < listed ? room - 1 : listed;
    layout_make(&layout);
    cell_count(cell, json_object_get(root, "count"));
    (void)snprintf(line, sizeof(line), "%s connection%s%s", cell, count > 0 && count < 2 ? "" : "s",
            layout.once);
    tool_table_line(table, "1", line);
    print_held(table, root);
    if (layout.shown > 0) {
        layout_print(&layout, table, SIZE_MAX);
    }
    for (size_t row = 0; row < layout.shown; row++) {
        layout_print(&layout, table, row);
    }
    if (room > 0 && count > (double)layout.shown) {
        (void)snprintf(line, sizeof(line), "... %.0f more", count - (double)layout.shown);
        tool_table_line(table, "2", line);
    }
}
