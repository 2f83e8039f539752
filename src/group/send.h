/* SPDX-License-Identifier: MIT */
/* From a command to a connection of a group. */
#ifndef CMDI_GROUP_SEND_H
#define CMDI_GROUP_SEND_H

#include "client/straight.h"
#include "group/group_shard.h"
#include "group/health.h"

/** When a command that is sent now is too late. */
static inline uint64_t cmdi_group_deadline(uint64_t now_ms, uint32_t deadline_ms)
{
    /* One more: the ms that has begun is not whole. */
    return deadline_ms == CMDS_NEVER ? UINT64_MAX : now_ms + deadline_ms + 1;
}
/**
 * To a connection of this group shard; NULL: to any, and the caller has entered the group. `how` has
 * a deadline. Returns: as cmds_group_send.
 */
int cmdi_group_queue(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmds_send_options *how);

/** As a rule all are up, and none is passed over: then no state is read. Thread: its shard. */
static inline bool cmdi_group_shard_all_take(const struct cmdi_group_shard *group_shard)
{
    return CMDI_LIKELY(group_shard->all_up) &&
           CMDI_LIKELY(!cmdi_group_is_watched(group_shard->group));
}
/**
 * The connection whose turn it is, `index`, has not taken it the straight way: it is measured, and that one is asked
 * again; then others. `how` is of this header. Thread: its shard. Returns: as cmds_group_send.
 */
int cmdi_group_send_less_straight(struct cmdi_group_shard *group_shard,
        const struct cmdi_straight *straight, const struct cmds_send_options *how, uint32_t index);

/**
 * Checks the command, which is not measured yet: for cmdi_group_queue() with a group shard, if it has no
 * ticket, or to be measured. `entry`: of its type; NULL: the protocol has none. `out` lacks callback, deadline and
 * ticket. Returns: 0; CMDS_E_WRONG_TYPE.
 */
static inline int cmdi_group_name(
        const struct cmdi_type_entry *entry, struct cmds_message message, struct cmdi_command *out)
{
    if (CMDI_UNLIKELY(entry == NULL || message.value == NULL)) {
        return CMDS_E_WRONG_TYPE;
    }
    out->type = message.type;
    out->place = entry->place;
    out->value = message.value;
    out->body = NULL;
    out->body_size = CMDI_NOT_MEASURED;
    out->size_seen = NULL;
    out->begun_ns = 0;
    return 0;
}
/** Whoever waits for its size learns it: while the command is the sender's alone. */
static inline void cmdi_group_tell_size(const struct cmdi_command *command, size_t body_size)
{
    if (CMDI_UNLIKELY(command->size_seen != NULL)) {
        *command->size_seen = (uint32_t)body_size;
    }
}
/** Measures it. Returns: 0; CMDS_E_LIMIT, -EINVAL. */
static inline int cmdi_group_measure_named(
        const struct cmds_group *group, struct cmdi_command *command)
{
    const struct cmds_codec *codec = group->config->codec;
    int64_t size = codec->size(codec, command->type, command->value);
    if (CMDI_UNLIKELY(size < 0 || size > (int64_t)group->options.frame_size_max)) {
        return size < 0 ? (int)size : CMDS_E_LIMIT;
    }
    command->body_size = (size_t)size;
    cmdi_group_tell_size(command, (size_t)size);
    return 0;
}
/** Both. Returns: as they do. */
static inline int cmdi_group_measure(
        const struct cmds_group *group, struct cmds_message message, struct cmdi_command *out)
{
    int code = cmdi_group_name(cmdi_type_table_of(&group->commands, message.type), message, out);
    return CMDI_LIKELY(code == 0) ? cmdi_group_measure_named(group, out) : code;
}
/**
 * To one of the group shard's own clients; *client is which. Thread: its shard. Returns: as
 * cmds_group_send.
 */
int cmdi_group_shard_send(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        uint64_t key, struct cmdi_client **client);
/**
 * What is kept beside a command found no memory: after -ENOBUFS somebody tells when there is some.
 * `group_shard`: the caller's, NULL: it is no shard of the group's. Returns: `code`.
 */
int cmdi_group_keep_failed(
        struct cmds_group *group, struct cmdi_group_shard *group_shard, int code, size_t size);
/**
 * A command that waits for a client that is not up goes to one that is. Thread: its shard. Returns: 0;
 * CMDS_E_CANCELLED: it was forgotten; else it stays.
 */
int cmdi_group_send_moved(struct cmdi_client *client, struct cmdi_command *command);
/**
 * Some endpoints are out. Are all of this shard's, but not all of the others'? Thread: its shard.
 */
bool cmdi_group_shard_is_out(const struct cmdi_group_shard *group_shard);
/** All connections, as they are now. Thread: any that is inside the group. */
void cmdi_group_view(
        const struct cmds_group *group, uint64_t now_ms, struct cmdi_dispatch_list *list);
/** Asks the strategy. Returns: an index into `list`, which is not empty. Thread: its shard. */
uint32_t cmdi_group_shard_pick(struct cmdi_group_shard *group_shard, uint64_t key);
/**
 * Is there room with one of those that take commands now, for one that was refused? Thread: shard.
 */
bool cmdi_group_shard_has_room(const struct cmdi_group_shard *group_shard);

#endif
