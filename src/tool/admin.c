/* SPDX-License-Identifier: MIT */
/* See admin.h. */
#include "admin.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const struct tool_rule admin_rules[] = {
        {"metrics-remote", "metrics", true, NULL},
        {"admin-changes", "admin", true, NULL},
};

#ifdef CMDSTREAM_HAS_ADMIN

int tool_admin_check(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_admin *options)
{
    (void)options;
    return cmdi_tool_options_obey(
                   command, name, line, admin_rules, sizeof(admin_rules) / sizeof(admin_rules[0]))
                   ? TOOL_PARSED
                   : TOOL_EXIT_USAGE;
}

/* The main thread drains by signals, and takes this one for the first of them. */
static void admin_on_drain(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGTERM);
}

int tool_admin_open(struct cmds_admin **admin, struct cmds_runtime *runtime,
        const struct tool_admin *options, struct cmds_error *error)
{
    *admin = NULL;
    if (options->metrics == NULL && options->admin == NULL) {
        return 0;
    }
    struct cmds_admin_options from = CMDS_ADMIN_OPTIONS_INIT;
    from.metrics = options->metrics;
    from.admin = options->admin;
    from.allow_remote = options->remote;
    from.allow_changes = options->changes;
    from.on_drain = admin_on_drain;
    return cmds_admin_open(admin, runtime, &from, error);
}

void tool_admin_announce(const struct cmds_admin *admin)
{
    static const char *const names[] = {"metrics", "admin"};
    char address[256];
    for (uint32_t i = 0; admin != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (cmds_admin_address(admin, i, address, sizeof(address)) == 0) {
            printf("%s on %s\n", names[i], address);
        }
    }
}

void tool_admin_close(struct cmds_admin *admin)
{
    cmds_admin_close(admin);
}

#else

int tool_admin_check(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_admin *options)
{
    if (!cmdi_tool_options_obey(
                command, name, line, admin_rules, sizeof(admin_rules) / sizeof(admin_rules[0]))) {
        return TOOL_EXIT_USAGE;
    }
    if (options->metrics != NULL || options->admin != NULL) {
        fprintf(stderr,
                "cmdstream %s: --metrics, --admin: this build has no pages over HTTP; install "
                "libmicrohttpd-dev, and build anew with -DCMDSTREAM_ADMIN=ON\n",
                name);
        return TOOL_EXIT_USAGE;
    }
    return TOOL_PARSED;
}

int tool_admin_open(struct cmds_admin **admin, struct cmds_runtime *runtime,
        const struct tool_admin *options, struct cmds_error *error)
{
    (void)runtime;
    (void)options;
    (void)error;
    *admin = NULL;
    return 0;
}

void tool_admin_announce(const struct cmds_admin *admin)
{
    (void)admin;
}

void tool_admin_close(struct cmds_admin *admin)
{
    (void)admin;
}

#endif
