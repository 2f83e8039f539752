/* SPDX-License-Identifier: MIT */
/*
 * Which failures count against an endpoint of a group. See net/health.h for what follows from them.
 *
 * Counted are those of the transport: a connection that does not come up, or that is lost with commands
 * in flight, is one failure; so is a command whose deadline passes while another endpoint answers. If
 * nobody answers, the fault may be ours. What an application answers is never one.
 */
#ifndef CMDI_GROUP_HEALTH_H
#define CMDI_GROUP_HEALTH_H

#include "group/group.h"

/** A connection did not come up, or was lost with commands in flight. Thread: the client's shard. */
void cmdi_group_connection_failed(struct cmds_group *group, const struct cmdi_client *client);
/** For cmdi_client_ops: a deadline has passed, `took_ms` after the command was sent. */
void cmdi_group_shard_on_timeout(struct cmdi_client *client, uint32_t took_ms);
/** For cmdi_client_ops: an answer of an endpoint that has failures. */
void cmdi_group_shard_on_answer(struct cmdi_client *client);

/**
 * Has dispatch to look at endpoints? Some are passed over, or due for a trial, or each has a breaker.
 * Thread: any that is inside the group.
 */
static inline bool cmdi_group_is_watched(const struct cmds_group *group)
{
    return atomic_load_explicit(
                   &group->endpoints.directory.store.health.watch_count, memory_order_relaxed) != 0;
}

#endif
