/* SPDX-License-Identifier: MIT */
/* Waiting for a group to change. */
#ifndef CMDI_GROUP_WAIT_H
#define CMDI_GROUP_WAIT_H

#include "group/group.h"

/** Everybody who waits checks again. Thread: any. */
void cmdi_group_wake(struct cmds_group *group);
/**
 * Waits until each connection is up, or has failed once. Thread: as cmds_group_wait. Returns: 0: one is
 * up; else as cmds_group_wait, but the error does not say when one is tried again.
 */
int cmdi_group_wait_first_round(struct cmds_group *group, struct cmds_error *error);
/**
 * Why no connection is up, and what comes next: of the first that has failed. `why` is zeroed before.
 *
 * Thread:  any that has a reference.
 * Returns: false: one is up, none has failed yet, or the group has ended.
 */
bool cmdi_group_why_down(struct cmds_group *group, struct cmds_error *why);

#endif
