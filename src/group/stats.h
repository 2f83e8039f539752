/* SPDX-License-Identifier: MIT */
/* The counters of a group, and for whom they count. */
#ifndef CMDI_GROUP_STATS_H
#define CMDI_GROUP_STATS_H

#include "group/group.h"

/** The group and its parts count for its scope from now on. Thread: setup. */
void cmdi_group_begin_count(struct cmds_group *group);
/** Its pickers are about to go: what they have counted stays. Thread: any. */
void cmdi_group_keep_picks(struct cmds_group *group);
/** Nobody counts any more. One that has not begun is fine. Thread: any. */
void cmdi_group_end_count(struct cmds_group *group);

#endif
