/* SPDX-License-Identifier: MIT */
/* Waiting for a group to change. */
#ifndef CMDI_GROUP_WAIT_H
#define CMDI_GROUP_WAIT_H

#include "group/group.h"

/** Everybody who waits checks again. Thread: any. */
void cmdi_group_wake(struct cmds_group *group);

#endif
