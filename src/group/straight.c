/* SPDX-License-Identifier: MIT */
/*
 * cmds_group_send: first the straight way, which nearly all commands of a busy shard go. It is one function down to the
 * codec, since the calls and the copies between more of them cost as much as what they do. All that is odd goes the way
 * of command.c, from its begin; what the connection whose turn it is does not take, that of send.c. Whatever comes to be
 * asked for there, is to be asked for here: whoever asks for it does not go straight.
 */
#include <errno.h>
#include <stddef.h>

#include "group/command.h"
#include "group/ref.h"

/* Nothing is to be done for any command of the group but to send it, and nobody waits for room. */
static inline bool straight_is_open(
        const struct cmds_group *group, const struct cmdi_group_shard *group_shard)
{
    return cmdi_group_shard_all_take(group_shard) && CMDI_LIKELY(!group->tracker.is_used) &&
           CMDI_LIKELY(!group->tracker.is_traced || cmdi_group_shard_is_spent(group_shard)) &&
           CMDI_LIKELY(cmdi_list_empty(&group_shard->waiting));
}

_Static_assert(offsetof(struct cmds_send_options, trace) + sizeof(const struct cmds_trace *) ==
                       sizeof(struct cmds_send_options),
        "a new member is one more thing to ask for");

/* Nor for this one: it has no ticket and no context, and its bytes are not kept. */
static inline bool straight_is_asked(
        const struct cmds_group *group, const struct cmds_send_options *how)
{
    if (CMDI_UNLIKELY(how->struct_size != sizeof(*how))) {
        return false; // Of another header: the rest may not be there.
    }
    if (CMDI_UNLIKELY(how->ticket != NULL) || CMDI_UNLIKELY(how->trace != NULL) ||
            CMDI_UNLIKELY(how->unused != 0)) {
        return false;
    }
    return CMDI_LIKELY(how->resend == CMDS_RESEND_DEFAULT)
                   ? CMDI_LIKELY(group->options.resend != CMDS_RESEND_ONCE)
                   : how->resend == CMDS_RESEND_NEVER;
}

/* Returns: as cmds_group_send. */
static inline __attribute__((always_inline)) int straight_send(struct cmdi_group_shard *group_shard,
        const struct cmds_send_options *how, struct cmdi_straight command)
{
    size_t body_size = 0;
    uint32_t index =
            group_shard->client_count > 1 ? cmdi_group_shard_pick(group_shard, how->sticky_key) : 0;
    if (CMDI_LIKELY(cmdi_client_send_straight(group_shard->list[index], command, &body_size))) {
        return 0;
    }
    const struct cmdi_straight refused = command; // The other stays in registers.
    return cmdi_group_send_less_straight(group_shard, &refused, how, index);
}

int cmds_group_send(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, cmds_result_fn on_result, void *context)
{
    static const struct cmds_send_options none = CMDS_SEND_OPTIONS_INIT;
    const struct cmds_send_options *asked = how != NULL ? how : &none;
    if (CMDI_UNLIKELY(group == NULL)) {
        return -EINVAL;
    }
    /* First: of a group that has closed nothing else may be read. */
    if (CMDI_UNLIKELY(cmdi_group_is_closing(group))) {
        return CMDS_E_CLOSED;
    }
    struct cmdi_group_shard *group_shard = cmdi_group_here(group);
    if (CMDI_LIKELY(group_shard != NULL) && straight_is_open(group, group_shard) &&
            straight_is_asked(group, asked) && CMDI_LIKELY(on_result != NULL)) {
        const struct cmdi_type_entry *entry = cmdi_type_table_of(&group->commands, message.type);
        if (CMDI_LIKELY(entry != NULL && message.value != NULL) &&
                CMDI_LIKELY(message.type->one_way == 0)) {
            uint32_t deadline_ms =
                    asked->deadline_ms != 0 ? asked->deadline_ms : group->options.deadline_ms;
            uint64_t now_ms = cmdi_client_shard_now_ms(&group_shard->client_shard);
            const struct cmdi_straight command = {.message = message,
                    .on_result = on_result,
                    .context = context,
                    .deadline_ms = cmdi_group_deadline(now_ms, deadline_ms),
                    .place = entry->place};
            return straight_send(group_shard, asked, command);
        }
    }
    const struct cmdi_send_end end = {.on_result = on_result, .context = context};
    return cmdi_group_send(group, message, how, &end);
}
