/* SPDX-License-Identifier: MIT */
/*
 * Commands that may be sent again: their bytes are kept until they have ended.
 *
 *     sent --- a result, a deadline, forgotten ---------------> the program's callback
 *      | ^
 *      | +---------- sent by a connection of this shard
 *      |                       |
 *      +- NOT_SENT -------> an attempt, which waits for a connection with room
 *      |                       ^
 *      +- LOST, once, ------> rests, until what ended its connection has ended the others as well
 *         of an idempotent type
 *
 * Only commands for which it was asked have any of this. It stands below hooks and breaker: they see
 * one command. A ticket stays valid throughout.
 */
#ifndef CMDI_GROUP_RESEND_H
#define CMDI_GROUP_RESEND_H

#include "group/attempt.h"
#include "group/stock.h"

struct cmdi_resend {
    struct cmdi_stocked stocked;
    struct cmds_group *group;
    cmds_result_fn on_result; // Of the program, or of the track.
    void *context;
    const struct cmds_type *type;
    // Its ticket; NULL: it has none. Whoever closes it clears this.
    struct cmdi_pending_extra *extra;
    struct cmdi_account *account; // Where a large body is charged.
    uint8_t *body;                // attempt.small, or malloc'ed.
    size_t body_size;
    uint64_t deadline_ms;
    uint64_t begun_ns;
    bool was_lost;               // It may have been executed: one time more, and no more.
    bool has_result;             // It has been executed.
    struct cmdi_attempt attempt; // Valid with `holds`; but for `small`.
    // The one that it rests on, or that the attempt is of. NULL: it was sent directly.
    struct cmdi_group_shard *holds;
    struct cmdi_list link; // In holds->resting, with is_resting.
    struct cmdi_timer timer;
    bool is_resting; // It counts as pending.
};

/**
 * Keeps the command's bytes; `command` is sent from them, and reports here. `group_shard` NULL: the
 * caller is no shard of the group.
 *
 * Returns: 0, and its end is cmdi_resend_drop() or a last result; -ENOMEM, -ENOBUFS.
 */
int cmdi_resend_begin(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, struct cmdi_resend **resend);
/** It has a ticket, which the resend closes if nobody has before. */
void cmdi_resend_own(struct cmdi_resend *resend, struct cmdi_pending_extra *extra);
/** It was not sent at all. Thread: that of its begin. */
void cmdi_resend_drop(struct cmdi_resend *resend);
/** The group is closed: ends those that rest. Thread: shard. */
void cmdi_resend_end_resting(struct cmdi_group_shard *group_shard, int code, const char *text);

#endif
