/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream stats`: the figures of a running service, read over HTTP where cmdstream_admin serves them:
 * one table, or a row every so often, or what the service itself writes.
 */
#include "stats.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "common.h"
#include "options.h"
#include "table.h"
#include "watch.h"

enum {
    STATS_EVERY_MAX_S = 86400,
    STATS_TITLE_EVERY = 20, // Rows.
};
#define STATS_TABLE_S 1.0 // What the table without --every is about.

struct stats_options {
    double every;
    bool prometheus, json;
};

static const struct tool_option stats_rows[] = {
        TOOL_DOUBLE(stats_options, "every", "S", every, 0, STATS_EVERY_MAX_S,
                "a row every S seconds, until it is interrupted"),
        TOOL_FLAG(stats_options, "prometheus", prometheus,
                "what Prometheus gets: text of format 0.0.4"),
        TOOL_FLAG(stats_options, "json", json, "all metrics as JSON, counters by shard"),
};
static const struct tool_command stats_command = {
        .usage = "stats [OPTIONS] ADDRESS",
        .about = "Shows what a service does: of its shards and of each type of command, measured "
                 "over "
                 "one second.\n"
                 "It is read where the service has its metrics, over HTTP (cmdstream_admin, "
                 "`cmdstream "
                 "serve --metrics`).\n",
        .notes = "ADDRESS is HOST:PORT, [::1]:PORT or unix:PATH.\n\n"
                 "  $ cmdstream serve --metrics 127.0.0.1:9464 &\n"
                 "  $ cmdstream stats 127.0.0.1:9464\n"
                 "  $ cmdstream stats --every 5 127.0.0.1:9464\n\n"
                 "busy is the part of the time in which a shard works; err/s are commands that "
                 "ended in "
                 "another way than with\n"
                 "their last result; p50, p99 and max are of durations, each the middle of the "
                 "bucket that it was\n"
                 "counted in: at most 4.5 percent too low or too high; \"-\" is what the service "
                 "does not count, or\n"
                 "what did not happen.\n\n"
                 "Exit status: 0; 1 the service cannot be read, or stdout does not take it, and "
                 "stderr says why; 2 a bad\n"
                 "argument, an ADDRESS that is none among them. Rows end with the service, or by a "
                 "signal.\n",
        .options = stats_rows,
        .option_count = sizeof(stats_rows) / sizeof(stats_rows[0]),
        .positional_min = 1,
        .positional_max = 1,
};

static const struct tool_rule stats_rules[] = {
        {"prometheus", "json", false, NULL},
};

static void stats_sleep(double seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) < 0) {
        // A signal that ends nothing.
    }
}

static int stats_complain(const char *name, const char *why)
{
    fprintf(stderr, "cmdstream %s: %s\n", name, why);
    return TOOL_EXIT_FAILED;
}

bool tool_stats_takes(const char *name, const char *address)
{
    char why[TOOL_HTTP_TEXT_SIZE];
    bool does = tool_http_check(address, why) == 0;
    if (!does) {
        (void)stats_complain(name, why);
    }
    return does;
}

/* What the service writes, as it is. */
static int stats_copy(const struct tool_watch *watch, const struct stats_options *options)
{
    char why[TOOL_HTTP_TEXT_SIZE];
    struct tool_http answer = {0};
    const char *path = options->json ? tool_watch_json : "/metrics";
    const char *accept = options->json ? "application/json" : "text/plain";
    do {
        if (tool_watch_get(watch, &answer, path, accept, why) < 0) {
            return stats_complain("stats", why);
        }
        (void)fwrite(answer.body, 1, answer.body_size, stdout);
        tool_http_free(&answer);
        if (cmdi_tool_flush() < 0 || options->every <= 0) {
            break;
        }
        stats_sleep(options->every);
    } while (true);
    return TOOL_EXIT_OK;
}

static int stats_table(struct tool_watch *watch)
{
    char why[TOOL_HTTP_TEXT_SIZE];
    struct tool_figures figures = {.seconds = 0};
    struct tool_table table = {.out = stdout, .columns = TOOL_TABLE_ANY, .lines = TOOL_TABLE_ANY};
    bool is_made = false;
    while (!is_made) {
        if (tool_watch_read(watch, &figures, &is_made, why) < 0) {
            return stats_complain("stats", why);
        }
        if (!is_made) {
            stats_sleep(STATS_TABLE_S);
        }
    }
    tool_table_print(&table, &figures);
    tool_figures_free(&figures);
    return TOOL_EXIT_OK;
}

int tool_stats_rows(const char *name, const char *address, double every)
{
    char why[TOOL_HTTP_TEXT_SIZE];
    struct tool_watch watch = {.address = address};
    struct tool_figures figures = {.seconds = 0};
    bool is_made = false;
    int status = TOOL_EXIT_OK;
    for (uint32_t rows = 0; status == TOOL_EXIT_OK;) {
        if (tool_watch_read(&watch, &figures, &is_made, why) < 0) {
            status = stats_complain(name, why);
            break;
        }
        if (is_made) {
            if (rows++ % STATS_TITLE_EVERY == 0) {
                tool_table_row_title(stdout);
            }
            tool_table_row(stdout, &figures);
            tool_figures_free(&figures);
        }
        if (cmdi_tool_flush() < 0) {
            break;
        }
        stats_sleep(every);
    }
    tool_watch_end(&watch);
    return status;
}

int tool_stats(int argc, char **argv)
{
    struct stats_options options = {.every = 0};
    struct tool_line line;
    int status = cmdi_tool_options_parse(&stats_command, argc, argv, &options, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    if (!cmdi_tool_options_obey(&stats_command, "stats", &line, stats_rules,
                sizeof(stats_rules) / sizeof(stats_rules[0]))) {
        return TOOL_EXIT_USAGE;
    }
    if (cmdi_tool_options_given(&stats_command, &line, "every") &&
            options.every < TOOL_STATS_EVERY_MIN) {
        fprintf(stderr, "cmdstream stats: --every takes %g seconds or more\n",
                TOOL_STATS_EVERY_MIN);
        return TOOL_EXIT_USAGE;
    }
    if (!tool_stats_takes("stats", argv[line.positional])) {
        return TOOL_EXIT_USAGE;
    }
    struct tool_watch watch = {.address = argv[line.positional]};
    if (options.prometheus || options.json) {
        status = stats_copy(&watch, &options);
    } else if (options.every > 0) {
        status = tool_stats_rows("stats", watch.address, options.every);
    } else {
        status = stats_table(&watch);
    }
    tool_watch_end(&watch);
    return status;
}
