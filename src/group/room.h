/* SPDX-License-Identifier: MIT */
/* Who watches for room when a command was refused on a shard of a group. Thread: that shard. */
#ifndef CMDI_GROUP_ROOM_H
#define CMDI_GROUP_ROOM_H

#include "group/group_shard.h"

/** What was refused may have been refused for want of memory. */
bool cmdi_group_shard_lacks_memory(const struct cmdi_group_shard *group_shard);
/**
 * Somebody was refused here, or waits: looks again once there may be room. If it is memory that others
 * hold, no connection of the group would tell.
 */
void cmdi_group_shard_want_room(struct cmdi_group_shard *group_shard);

#endif
