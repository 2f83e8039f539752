/* SPDX-License-Identifier: MIT */
/* See log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "name.h"

enum log_form {
    LOG_TEXT,
    LOG_JSON,
    LOG_JOURNAL,
};
static const char *const log_forms[] = {"text", "json", "journal"};

static enum log_form log_form; // Chosen before there are threads.
static enum cmds_log_level log_everything = CMDS_LOG_DEBUG;

static void log_complain(
        const char *command, const char *option, const char *takes, const char *word)
{
    fprintf(stderr, "%s %s: --%s takes %s, not \"%s\"\n", cmdi_tool_name(), command, option, takes,
            word);
}

/* Returns: -1: it is none of them, and a line on stderr says so. */
static int log_find_form(const char *command, const char *word)
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, log_forms[i]) == 0) {
            return i;
        }
    }
    log_complain(command, "log", "text, json or journal", word);
    return -1;
}

int cmdi_tool_log_check(struct tool_log *log, const char *command, enum cmds_log_level least)
{
    int form = log->form == NULL ? LOG_TEXT : log_find_form(command, log->form);
    log->least = least;
    if (form >= 0 && log->level != NULL && cmds_log_level_from(&log->least, log->level) < 0) {
        log_complain(command, "log-level", "debug, info, warn or error", log->level);
        return TOOL_EXIT_USAGE;
    }
    log_form = form < 0 ? LOG_TEXT : (enum log_form)form;
    return form < 0 ? TOOL_EXIT_USAGE : TOOL_PARSED;
}

void cmdi_tool_log_into(struct cmds_runtime_options *options, const struct tool_log *log)
{
    options->log_level = log->least; // It may change, so what writes lines takes all of them.
    if (log_form == LOG_TEXT) {
        options->on_log = cmdi_tool_log_line;
        options->log_context = &log_everything;
    } else {
        options->on_record = log_form == LOG_JSON ? cmds_log_json : cmds_log_journal;
        options->record_context = &log_everything;
    }
}

void cmdi_tool_log_line(void *context, enum cmds_log_level level, const char *text)
{
    const enum cmds_log_level *least = context;
    char line[1024];
    if (level >= *least && level <= CMDS_LOG_ERROR) {
        (void)snprintf(line, sizeof(line), "%s: %s: %s", cmdi_tool_name(),
                cmds_log_level_name(level), text);
        cmds_log_stderr(context, level, line);
    }
}

static uint64_t log_time_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cmdi_tool_say(const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    if (log_form == LOG_TEXT) {
        cmds_log_stderr(&log_everything, CMDS_LOG_INFO, line);
        return;
    }
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.level = CMDS_LOG_INFO;
    record.time_ns = log_time_ns();
    record.text = line;
    (log_form == LOG_JSON ? cmds_log_json : cmds_log_journal)(&log_everything, &record);
}
