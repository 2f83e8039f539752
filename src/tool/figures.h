/* SPDX-License-Identifier: MIT */
/*
 * What `stats` and `top` show: figures made of two readings of cmds_telemetry_write()'s JSON, as
 * cmdstream_admin serves it. Counters become rates, histograms quantiles of what came between the two;
 * names are those of docs/telemetry.md.
 */
#ifndef CMDSTREAM_TOOL_FIGURES_H
#define CMDSTREAM_TOOL_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TOOL_FIGURES_NAME_SIZE = 64,
    TOOL_FIGURES_SHARDS_MAX = 1024,
    TOOL_FIGURES_TYPES_MAX = 1024, // Further ones are left out.
};

/** Times are seconds, sizes bytes, rates for each second. NAN: nothing is known of it. */
struct tool_shard_figures {
    double busy; // A part of the time: 0 to 1.
    double turns, commands, recv, send, memory;
};

struct tool_type_figures {
    const char *key;                   // The label, while they are made; NULL afterwards.
    char name[TOOL_FIGURES_NAME_SIZE]; // Of the command.
    bool is_client;                    // Sent, else executed.
    double commands, errors;
    double p50, p99, max;
};

struct tool_figures {
    char version[TOOL_FIGURES_NAME_SIZE];
    char name[TOOL_FIGURES_NAME_SIZE]; // Of its server, if there is one that has one; "": none.
    bool restarted;                    // The readings are of two processes: all rates are 0.
    double seconds;                    // Between the readings.
    double uptime;
    double connections; // Of servers and groups.
    double commands;    // Executed and sent...
    double errors;      // ... and of those that ended in another way than with their last result.
    double p50, p99;    // Of them all.
    double busy, turns, turn_p99, recv, send, memory;
    struct tool_shard_figures *shards;
    struct tool_type_figures *types;
    uint32_t shard_count, type_count;
};

/** The JSON of a page, which has a list of this name. Returns: NULL, and `why`: as below. */
json_t *tool_parse_list(const char *text, size_t size, const char *list, char *why);
/** Reads what `text` says. Returns: NULL, and `why` (TOOL_HTTP_TEXT_SIZE bytes), if it is no such JSON. */
json_t *tool_figures_parse(const char *text, size_t size, char *why);
/**
 * `after` was read `seconds` later than `before`. `wall_s`: the time, since 1970.
 *
 * Owner:   borrows both. Gives what *figures holds: tool_figures_free().
 * Returns: 0; -ENOMEM.
 */
int tool_figures_make(struct tool_figures *figures, const json_t *before, const json_t *after,
        double seconds, double wall_s);
void tool_figures_free(struct tool_figures *figures);

/** How types are sorted. */
enum tool_figures_sort {
    TOOL_SORT_COMMANDS,
    TOOL_SORT_P99,
    TOOL_SORT_ERRORS,
    TOOL_SORT_NAME,
    TOOL_SORTS,
};
const char *tool_figures_sort_name(enum tool_figures_sort sort);
void tool_figures_sort(struct tool_figures *figures, enum tool_figures_sort sort);

#endif
