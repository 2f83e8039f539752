/* SPDX-License-Identifier: MIT */
/* From the options of a program to the constants of a group. */
#ifndef CMDI_GROUP_OPTIONS_H
#define CMDI_GROUP_OPTIONS_H

#include <cmdstream/client.h>

/**
 * Copies, fills in the defaults, checks. Strings are still the caller's. Returns: 0; as
 * cmds_group_open. Thread: any.
 */
int cmdi_group_options_take(struct cmds_group_options *mine,
        const struct cmds_group_options *options, uint32_t shard_count, struct cmds_error *error);

#endif
