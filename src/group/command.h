/* SPDX-License-Identifier: MIT */
/* What a program sends, on its way into the group. */
#ifndef CMDI_GROUP_COMMAND_H
#define CMDI_GROUP_COMMAND_H

#include "group/send.h"

/** Who learns how a command ended. */
struct cmdi_send_end {
    cmds_result_fn on_result;
    void *context;
    struct cmdi_kept *kept; // Where its track stays after -ENOBUFS; NULL: it ends.
};

/** It is known that no trace begins here now. Thread: its shard. */
static inline bool cmdi_group_shard_is_spent(const struct cmdi_group_shard *group_shard)
{
    const struct cmdi_shard *shard = group_shard->client_shard.shard;
    return cmdi_spans_are_spent(shard->spans, shard->now_ms);
}

/** As cmds_group_send. After a kept one the next call is the same command, or cmdi_kept_refuse(). */
int cmdi_group_send(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end);

#endif
