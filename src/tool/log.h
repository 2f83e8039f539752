/* SPDX-License-Identifier: MIT */
/*
 * What the program writes to stderr while it runs: lines of the library's log, and its own. With the
 * options --log and --log-level of `cmdstream serve`: as text, as JSON, or to systemd's journal.
 */
#ifndef CMDSTREAM_TOOL_LOG_H
#define CMDSTREAM_TOOL_LOG_H

#include <cmdstream/runtime.h>

#include "options.h"

/* A sub-command's struct has one of these, as `log`. */
struct tool_log {
    const char *form, *level;
    enum cmds_log_level least; // Set by cmdi_tool_log_check().
};

#define TOOL_ROWS_LOG(type)                                                                        \
    TOOL_TEXT(type, "log", "FORM", log.form,                                                       \
            "text or json, to stderr, or journal, to that of systemd (default text)"),             \
            TOOL_TEXT(type, "log-level", "LEVEL", log.level,                                       \
                    "the least that is logged: debug, info (who comes and goes), warn, error "     \
                    "(default warn)")

/**
 * `least` is the level where --log-level is not given. From here on cmdi_tool_say() has this form, too.
 * Returns: TOOL_PARSED; TOOL_EXIT_USAGE, and one line on stderr: there is no such form or level.
 */
int cmdi_tool_log_check(struct tool_log *log, const char *command, enum cmds_log_level least);
/** Of the form and from the level that were chosen. */
void cmdi_tool_log_into(struct cmds_runtime_options *options, const struct tool_log *log);

/**
 * For cmds_runtime_options: one line on stderr. `context` points to the least level (enum
 * cmds_log_level) that is shown.
 */
void cmdi_tool_log_line(void *context, enum cmds_log_level level, const char *text);
/** One line on stderr by a server that must end whether somebody reads it or not. */
void cmdi_tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
