/* SPDX-License-Identifier: MIT */
/*
 * The options --metrics and --admin of `cmdstream serve`, and the pages that they open.
 *
 * In a build without libmicrohttpd the options stand in --help all the same, and whoever gives one is
 * told what is missing.
 */
#ifndef CMDSTREAM_TOOL_ADMIN_H
#define CMDSTREAM_TOOL_ADMIN_H

#include <stdbool.h>

#include <cmdstream/admin.h>

#include "options.h"

/* A sub-command's struct has one of these, as `admin`. */
struct tool_admin {
    const char *metrics, *admin;
    bool remote, changes;
};

#ifdef CMDSTREAM_HAS_ADMIN
#define TOOL_ADMIN_ABSENT ""
#else
#define TOOL_ADMIN_ABSENT " (not in this build)"
#endif

#define TOOL_ROWS_ADMIN(type)                                                                      \
    TOOL_TEXT(type, "metrics", "ADDRESS", admin.metrics,                                           \
            "/metrics, /healthz and /readyz over HTTP, as 127.0.0.1:9464" TOOL_ADMIN_ABSENT),      \
            TOOL_FLAG(type, "metrics-remote", admin.remote,                                        \
                    "--metrics may be an address that other machines reach"),                      \
            TOOL_TEXT(type, "admin", "ADDRESS", admin.admin,                                       \
                    "pages for who looks after it: unix:PATH, or 127.0.0.1:PORT for a "            \
                    "browser" TOOL_ADMIN_ABSENT),                                                  \
            TOOL_FLAG(type, "admin-changes", admin.changes,                                        \
                    "POST is taken there: /drain does what SIGTERM does")

/**
 * `name` is the sub-command's. Returns: TOOL_PARSED; else the exit status, and one line on stderr: the
 * options contradict each other, or this build has no such pages.
 */
int tool_admin_check(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_admin *options);
/**
 * Owner:   gives *admin: tool_admin_close(). NULL if the options ask for none.
 * Returns: 0; negative, and `error` says why.
 */
int tool_admin_open(struct cmds_admin **admin, struct cmds_runtime *runtime,
        const struct tool_admin *options, struct cmds_error *error);
/** "metrics on ADDRESS", "admin on ADDRESS" on stdout. NULL is fine. */
void tool_admin_announce(const struct cmds_admin *admin);
/** NULL is fine. */
void tool_admin_close(struct cmds_admin *admin);

#endif
