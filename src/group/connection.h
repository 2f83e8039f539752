/* SPDX-License-Identifier: MIT */
/* What a program sees of each connection of its group. */
#ifndef CMDI_GROUP_CONNECTION_H
#define CMDI_GROUP_CONNECTION_H

#include "group/group.h"

/** The newest news of one connection. Under the group's lock. */
struct cmdi_connection_view {
    enum cmds_connection_state state;
    uint32_t failed;      // In a row.
    uint32_t endpoint;    // Its number; 0: not known yet.
    uint64_t retry_at_ms; // WAITING.
    uint64_t up_count;
    struct cmds_error error; // Why it is not up, as on_state told it; zeroed while it is up.
    struct cmds_error plain; // The same without what comes next.
};

/** The client has another state: the view, and on_state. Thread: its shard. */
void cmdi_connection_changed(struct cmds_group *group, struct cmdi_client *client);
/** As cmds_group_connection, of a group that the caller has entered; `view` is a copy. */
void cmdi_connection_view(
        struct cmds_group *group, uint32_t client, struct cmdi_connection_view *view);

#endif
