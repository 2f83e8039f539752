/* SPDX-License-Identifier: MIT */
/* Waiting for a group to change. */
#ifndef CMDI_GROUP_WAIT_H
#define CMDI_GROUP_WAIT_H

#include "group/group.h"

/** Everybody who waits checks again. Thread: any. */
void cmdi_group_wake(struct cmds_group *group);
/**
 * As cmds_group_wait, but one that has failed once is not waited for, and the error does not say when
 * it is tried again.
 */
int cmdi_group_wait_first_round(
        struct cmds_group *group, uint32_t timeout_ms, struct cmds_error *error);
/**
 * Why no connection is up, and what comes next: of the first that has failed. `why` is zeroed before.
 *
 * Thread:  any that has a reference.
 * Returns: false: one is up, none has failed yet, or the group has ended.
 */
bool cmdi_group_why_down(struct cmds_group *group, struct cmds_error *why);

#endif
