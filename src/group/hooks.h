/* SPDX-License-Identifier: MIT */
/* The hooks of a group, in their order. Constant from open on; any thread. */
#ifndef CMDI_GROUP_HOOKS_H
#define CMDI_GROUP_HOOKS_H

#include <cmdstream/client.h>
#include <cmdstream/hooks.h>

struct cmdi_hooks {
    uint32_t count;
    struct cmds_hooks items[CMDS_HOOKS_MAX];
};

/** Copies those of the options. Returns: 0; -EINVAL, -E2BIG. */
int cmdi_hooks_take(struct cmdi_hooks *hooks, const struct cmds_group_options *options,
        struct cmds_error *error);
/**
 * Asks each. `users` has a place for each, zeroed. After a veto those asked before have been told.
 *
 * Returns: 0; what the first one that would not have it returned.
 */
int cmdi_hooks_before(
        const struct cmdi_hooks *hooks, struct cmds_sent_command *command, void **users);
/** Tells each of a result, or of the end. */
void cmdi_hooks_tell(const struct cmdi_hooks *hooks, struct cmds_sent_command *command,
        void **users, const struct cmds_result *result);

#endif
