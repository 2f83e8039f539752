/* SPDX-License-Identifier: MIT */
/*
 * The options of a sub-command, from a table: one row is the parser, the range check and the line
 * of --help, so that the three cannot disagree. getopt_long does the splitting, hence "--name
 * value", "--name=value" and unique prefixes.
 *
 * Nothing that was given is ignored in silence: an option that stands twice is a mistake, and a
 * table of rules says which options mean nothing beside, or without, which others.
 */
#ifndef CMDSTREAM_TOOL_OPTIONS_H
#define CMDSTREAM_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum tool_option_kind {
    TOOL_OPTION_FLAG,   // bool
    TOOL_OPTION_U32,    // uint32_t between min and max
    TOOL_OPTION_DOUBLE, // double between min and max
    TOOL_OPTION_TEXT,   // const char *, points into argv
};

struct tool_option {
    const char *name;     // Without the dashes.
    const char *argument; // "N", "ADDRESS"; NULL for a flag.
    const char *help;     // One line, with the default; --help adds the limits.
    enum tool_option_kind kind;
    // Of the value in the sub-command's struct, which holds the defaults before parsing.
    size_t offset;
    uint32_t min, max;
};

/* Rows by kind: `type` is the tag of the sub-command's struct. */
#define TOOL_FLAG(type, name, field, help)                                                         \
    {                                                                                              \
        name, NULL, help, TOOL_OPTION_FLAG, offsetof(struct type, field), 0, 0                     \
    }
#define TOOL_TEXT(type, name, argument, field, help)                                               \
    {                                                                                              \
        name, argument, help, TOOL_OPTION_TEXT, offsetof(struct type, field), 0, 0                 \
    }
#define TOOL_U32(type, name, argument, field, min, max, help)                                      \
    {                                                                                              \
        name, argument, help, TOOL_OPTION_U32, offsetof(struct type, field), min, max              \
    }
#define TOOL_DOUBLE(type, name, argument, field, min, max, help)                                   \
    {                                                                                              \
        name, argument, help, TOOL_OPTION_DOUBLE, offsetof(struct type, field), min, max           \
    }

struct tool_command {
    const char *usage;       // What follows the program's name.
    const char *about;       // Lines between usage and options.
    void (*more)(FILE *out); // Prints what comes behind them; NULL: nothing.
    const char *notes;       // Lines after the options: examples, exit status.
    const struct tool_option *options;
    uint32_t option_count;
    int positional_min, positional_max;
};

enum {
    TOOL_EXIT_OK = 0,
    TOOL_EXIT_FAILED = 1,
    TOOL_EXIT_USAGE = 2,
    TOOL_OPTIONS_MAX = 128, // Of one table.
    TOOL_PARSED = -1,       // Of cmdi_tool_options_parse: go on.
};

/* What stood on the command line. */
struct tool_line {
    uint64_t given[TOOL_OPTIONS_MAX / 64]; // Bit i: the i-th option of the table.
    int positional;                        // Index of the first argument that is no option.
};

/* `option` says nothing where `other` is given or, with `needs`, where it is not. */
struct tool_rule {
    const char *option, *other;
    bool needs;
    const char *why; // "each caller has a connection of its own"; NULL where the names say it.
};

/**
 * Fills `values` and `line` from argv, whose first element is the sub-command's name. A mistake is
 * told on stderr in one line that names the option; --help goes to stdout.
 *
 * Returns: TOOL_PARSED; else the exit status of the program.
 */
int cmdi_tool_options_parse(const struct tool_command *command, int argc, char **argv, void *values,
        struct tool_line *line);
/** Was --`name`, without the dashes, on the command line? */
bool cmdi_tool_options_given(
        const struct tool_command *command, const struct tool_line *line, const char *name);
/** `name` is the sub-command's. Returns: false, and one line on stderr, if a rule is broken. */
bool cmdi_tool_options_obey(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_rule *rules, size_t count);
/**
 * The table of a sub-command, without running it: `run` gets as far as cmdi_tool_options_parse(), which gives
 * it away and makes it end.
 */
const struct tool_command *cmdi_tool_options_table(
        int (*run)(int argc, char **argv), const char *name);
/** What --help prints. */
void cmdi_tool_options_help(const struct tool_command *command, FILE *out);

/** Can `word` have been meant as `name`? Few letters differ, or it begins like it. */
bool cmdi_tool_resembles(const char *word, const char *name);

#endif
