/* SPDX-License-Identifier: MIT */
/*
 * From the options of a program to the constants of a group, and from the address in them to what a
 * client connects to.
 */
#ifndef CMDI_GROUP_OPTIONS_H
#define CMDI_GROUP_OPTIONS_H

#include <cmdstream/client.h>

struct cmdi_client_config;
struct cmdi_resolve;

/**
 * Copies, fills in the defaults, checks. Strings are still the caller's. Returns: 0; as
 * cmds_group_open. Thread: any.
 */
int cmdi_group_options_take(struct cmds_group_options *mine,
        const struct cmds_group_options *options, struct cmds_error *error);
/** What the options say about a connection. Thread: setup. */
void cmdi_group_config_fill(
        struct cmdi_client_config *config, const struct cmds_group_options *options);

/**
 * Sets the targets of `config`. Blocks for names. Returns: 0; -EINVAL, -EHOSTUNREACH. Thread: any.
 */
int cmdi_group_targets_resolve(
        struct cmdi_client_config *config, const char *connect, struct cmds_error *error);
/**
 * The same on a thread of its own, for group->options.connect; then nudges all group shards with
 * CMDI_NUDGE_TARGETS.
 *
 * Owner:   gives *resolve, set before the thread starts: cmdi_resolve_let_go(). Keeps `group` until
 *          then.
 * Thread:  any.
 * Returns: 0; -ENOMEM, -EAGAIN.
 */
int cmdi_resolve_begin(
        struct cmdi_resolve **resolve, struct cmds_group *group, struct cmds_error *error);
/**
 * From its return the group is not touched any more; never waits for the resolver. NULL is fine.
 * Thread: any.
 */
void cmdi_resolve_let_go(struct cmdi_resolve *resolve);

#endif
