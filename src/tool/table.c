/* SPDX-License-Identifier: MIT */
/* See table.h. */
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_LINE_SIZE = 512,
    TABLE_HEAD_LINES = 4,  // Beside the shards...
    TABLE_TYPES_LINES = 2, // ... and beside the types, if there are any.
    TABLE_NAME_WIDTH = 24,
};

/* --- Cells ------------------------------------------------------------------------------------ */

static const char *cell_none(char *text)
{
    return strcpy(text, "-");
}

const char *tool_cell_count(char *text, double number)
{
    char digits[TOOL_TABLE_CELL_SIZE];
    if (isnan(number) || number < 0 || number > 1e15) {
        return cell_none(text);
    }
    if (number < 9.95 && fabs(number - round(number)) >= 0.05) {
        (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%.1f", number);
        return text;
    }
    int size = snprintf(digits, sizeof(digits), "%.0f", number);
    char *to = text;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

/* Two digits at least, and no more behind the point than help. */
static const char *cell_scaled(
        char *text, double number, double step, const char *const *units, uint32_t unit_count)
{
    uint32_t unit = 0;
    while (number >= step * 0.9995 && unit + 1 < unit_count) {
        number /= step;
        unit++;
    }
    bool is_small = number > 0 && number < 9.95 && unit > 0;
    (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%.*f %s", is_small, number, units[unit]);
    return text;
}

const char *tool_cell_time(char *text, double seconds)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    return isnan(seconds) ? cell_none(text)
                          : cell_scaled(text, seconds * 1e9, 1000, units,
                                    sizeof(units) / sizeof(units[0]));
}

const char *tool_cell_size(char *text, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    return isnan(bytes) ? cell_none(text)
                        : cell_scaled(text, bytes, 1000, units, sizeof(units) / sizeof(units[0]));
}

const char *tool_cell_part(char *text, double part)
{
    if (isnan(part)) {
        return cell_none(text);
    }
    (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%.0f %%", 100 * part);
    return text;
}

const char *tool_cell_age(char *text, double seconds)
{
    if (isnan(seconds) || seconds < 0 || seconds > 1e12) {
        return cell_none(text);
    }
    unsigned long long whole = (unsigned long long)seconds;
    if (whole >= 86400) {
        (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%llud %lluh", whole / 86400, whole / 3600 % 24);
    } else if (whole >= 3600) {
        (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%lluh %llum", whole / 3600, whole / 60 % 60);
    } else if (whole >= 60) {
        (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%llum %llus", whole / 60, whole % 60);
    } else {
        (void)snprintf(text, TOOL_TABLE_CELL_SIZE, "%llus", whole);
    }
    return text;
}

/* --- Lines ------------------------------------------------------------------------------------ */

void tool_table_line(struct tool_table *table, const char *attribute, const char *text)
{
    size_t size = strlen(text);
    bool is_shown = table->is_colored && attribute != NULL;
    if (table->line_count >= table->lines) {
        return;
    }
    size = size > table->columns ? table->columns : size;
    fprintf(table->out, "%s%s%s%.*s%s\n", is_shown ? "\x1b[" : "", is_shown ? attribute : "",
            is_shown ? "m" : "", (int)size, text, is_shown ? "\x1b[0m" : "");
    table->line_count++;
}

static void table_print_head(struct tool_table *table, const struct tool_figures *figures)
{
    char line[TABLE_LINE_SIZE];
    char cells[4][TOOL_TABLE_CELL_SIZE];
    (void)snprintf(line, sizeof(line),
            "%s%scmdstream %s  up %s  %u shard%s  %s connection%s  turn p99 %s%s", figures->name,
            figures->name[0] != '\0' ? "  " : "",
            figures->version[0] != '\0' ? figures->version : "-",
            tool_cell_age(cells[0], figures->uptime), figures->shard_count,
            figures->shard_count == 1 ? "" : "s",
            tool_cell_count(cells[1], round(figures->connections)),
            round(figures->connections) == 1 ? "" : "s",
            tool_cell_time(cells[2], figures->turn_p99), figures->restarted ? "  RESTARTED" : "");
    tool_table_line(table, "1", line);
}

static void table_print_shard(
        struct tool_table *table, const char *name, const struct tool_shard_figures *shard)
{
    char line[TABLE_LINE_SIZE];
    char cells[7][TOOL_TABLE_CELL_SIZE];
    double per_turn = shard->turns > 0 ? shard->commands / shard->turns : NAN;
    (void)snprintf(line, sizeof(line), "%-5s %6s %11s %11s %9s %9s/s %8s/s %9s", name,
            tool_cell_part(cells[0], shard->busy), tool_cell_count(cells[1], shard->turns),
            tool_cell_count(cells[2], shard->commands), tool_cell_count(cells[3], per_turn),
            tool_cell_size(cells[4], shard->recv), tool_cell_size(cells[5], shard->send),
            tool_cell_size(cells[6], shard->memory));
    tool_table_line(table, NULL, line);
}

/* Of `count` rows so many are shown in `room` lines: one of these says how many are not. */
static uint32_t rows_shown(uint32_t count, uint32_t room)
{
    return count <= room ? count : room > 0 ? room - 1 : 0;
}

static void table_print_more(struct tool_table *table, uint32_t count)
{
    char line[TABLE_LINE_SIZE];
    (void)snprintf(line, sizeof(line), "... %u more", count);
    tool_table_line(table, "2", line);
}

struct shard_place {
    uint32_t number;
    double busy;
};

static int shard_by_load(const void *a, const void *b)
{
    const struct shard_place *left = a;
    const struct shard_place *right = b;
    return left->busy > right->busy ? -1
           : left->busy < right->busy
                   ? 1
                   : (left->number > right->number) - (left->number < right->number);
}

/* In their order if there is room for all, else the busiest: the one that is at its end is to be seen. */
static void table_print_each_shard(
        struct tool_table *table, const struct tool_figures *figures, uint32_t room)
{
    struct shard_place places[TOOL_FIGURES_SHARDS_MAX];
    uint32_t shown = rows_shown(figures->shard_count, room);
    for (uint32_t i = 0; i < figures->shard_count; i++) {
        double busy = figures->shards[i].busy;
        places[i] = (struct shard_place){i, isnan(busy) ? -1 : busy};
    }
    if (shown < figures->shard_count) {
        qsort(places, figures->shard_count, sizeof(places[0]), shard_by_load);
    }
    for (uint32_t i = 0; i < shown; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%u", places[i].number);
        table_print_shard(table, name, &figures->shards[places[i].number]);
    }
    if (shown < figures->shard_count && room > 0) {
        table_print_more(table, figures->shard_count - shown);
    }
}

static void table_print_shards(
        struct tool_table *table, const struct tool_figures *figures, uint32_t room)
{
    char line[TABLE_LINE_SIZE];
    const struct tool_shard_figures all = {figures->busy, figures->turns, figures->commands,
            figures->recv, figures->send, figures->memory};
    (void)snprintf(line, sizeof(line), "%-5s %6s %11s %11s %9s %11s %10s %9s", "shard", "busy",
            "turns/s", "cmd/s", "cmd/turn", "recv", "send", "memory");
    tool_table_line(table, "7", line);
    if (figures->shard_count > 1) {
        table_print_each_shard(table, figures, room);
    }
    table_print_shard(table, "all", &all);
}

static void table_print_type(struct tool_table *table, const struct tool_type_figures *type)
{
    char line[TABLE_LINE_SIZE];
    char cells[5][TOOL_TABLE_CELL_SIZE];
    (void)snprintf(line, sizeof(line), "%-*.*s %-6s %11s %8s %8s %8s %8s", TABLE_NAME_WIDTH,
            TABLE_NAME_WIDTH, type->name, type->is_client ? "client" : "server",
            tool_cell_count(cells[0], type->commands), tool_cell_count(cells[1], type->errors),
            tool_cell_time(cells[2], type->p50), tool_cell_time(cells[3], type->p99),
            tool_cell_time(cells[4], type->max));
    tool_table_line(table, type->errors > 0 ? "31" : NULL, line);
}

void tool_table_print(struct tool_table *table, const struct tool_figures *figures)
{
    char line[TABLE_LINE_SIZE];
    // Both parts get their half; what one does not need is the other's.
    uint32_t head = TABLE_HEAD_LINES + (figures->type_count > 0 ? TABLE_TYPES_LINES : 0);
    uint32_t room = table->lines > head ? table->lines - head : 0;
    uint32_t half = room / 2;
    uint32_t types_max = figures->type_count < half ? figures->type_count : half;
    uint32_t shards = table->lines == TOOL_TABLE_ANY ? UINT32_MAX : room - types_max;
    table_print_head(table, figures);
    tool_table_line(table, NULL, "");
    table_print_shards(table, figures, shards);
    if (figures->type_count == 0) {
        return; // They are not counted, or there was none.
    }
    tool_table_line(table, NULL, "");
    (void)snprintf(line, sizeof(line), "%-*s %-6s %11s %8s %8s %8s %8s", TABLE_NAME_WIDTH, "type",
            "", "cmd/s", "err/s", "p50", "p99", "max");
    tool_table_line(table, "7", line);
    uint32_t shown = rows_shown(figures->type_count, table->lines - table->line_count);
    for (uint32_t i = 0; i < shown; i++) {
        table_print_type(table, &figures->types[i]);
    }
    if (shown < figures->type_count) {
        table_print_more(table, figures->type_count - shown);
    }
}

/* --- Rows ------------------------------------------------------------------------------------- */

void tool_table_row_title(FILE *out)
{
    fprintf(out, "%11s %8s %8s %8s %6s %11s %11s %10s %9s %7s\n", "cmd/s", "err/s", "p50", "p99",
            "busy", "turns/s", "recv", "send", "memory", "conns");
}

void tool_table_row(FILE *out, const struct tool_figures *figures)
{
    char cells[10][TOOL_TABLE_CELL_SIZE];
    fprintf(out, "%11s %8s %8s %8s %6s %11s %9s/s %8s/s %9s %7s%s\n",
            tool_cell_count(cells[0], figures->commands),
            tool_cell_count(cells[1], figures->errors), tool_cell_time(cells[2], figures->p50),
            tool_cell_time(cells[3], figures->p99), tool_cell_part(cells[4], figures->busy),
            tool_cell_count(cells[5], figures->turns), tool_cell_size(cells[6], figures->recv),
            tool_cell_size(cells[7], figures->send), tool_cell_size(cells[8], figures->memory),
            tool_cell_count(cells[9], round(figures->connections)),
            figures->restarted ? "  restarted" : "");
}
