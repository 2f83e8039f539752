/* SPDX-License-Identifier: MIT */
/*
 * What a command passes before it is queued, each only if somebody asked for it.
 *
 *     the options of the send --> breaker, hooks --> its bytes are kept --> a ticket --> send.c
 *
 * Most commands have none of that, and go straight: straight.c asks for each of these things, too.
 *
 * Inside of these functions the caller is on a shard of the group that takes commands, or has entered
 * it.
 */
#include "group/command.h"

#include <errno.h>

#include "base/options.h"
#include "base/time.h"
#include "client/pause.h"
#include "group/health.h"
#include "group/ref.h"
#include "group/resend.h"
#include "group/trace.h"
#include "ring/clock.h"

static void group_ignore(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

/* None, or those of another header. */
static __attribute__((noinline)) int group_reconcile_how(
        const struct cmds_send_options *how, struct cmds_send_options *mine)
{
    *mine = (struct cmds_send_options){.struct_size = sizeof(*mine)};
    return how != NULL ? cmdi_options_take(mine, sizeof(*mine), how, "cmds_send_options", NULL) : 0;
}

static inline int group_take_how(const struct cmds_group *group,
        const struct cmds_send_options *how, struct cmds_send_options *mine)
{
    if (CMDI_LIKELY(how != NULL && how->struct_size == sizeof(*mine))) {
        *mine = *how; // Built against this header: nothing to reconcile.
    } else {
        int code = group_reconcile_how(how, mine);
        if (code < 0) {
            return code;
        }
    }
    mine->deadline_ms = mine->deadline_ms != 0 ? mine->deadline_ms : group->options.deadline_ms;
    mine->resend = mine->resend != 0 ? mine->resend : group->options.resend;
    if (CMDI_UNLIKELY(mine->resend > CMDS_RESEND_NEVER || mine->unused != 0)) {
        return mine->unused != 0 ? -E2BIG : -EINVAL;
    }
    return 0;
}

static int group_send_with_ticket(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmds_send_options *how,
        struct cmdi_resend *resend)
{
    if (cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED; // Before any lock.
    }
    command->extra = cmdi_extra_open(&group->tickets);
    if (command->extra == NULL) {
        return -ENOMEM;
    }
    CMDI_ASSERT(command->on_result != NULL);
    how->ticket->id = command->extra->ticket.id; // Before the result can come.
    if (resend != NULL) {
        cmdi_resend_own(resend, command->extra);
    }
    int code = cmdi_group_queue(group, group_shard, command, how);
    if (code < 0) {
        (void)cmdi_extra_close(&group->tickets, command->extra);
        how->ticket->id = 0;
    }
    return code;
}

static int group_send_more(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmds_send_options *how,
        struct cmdi_resend *resend)
{
    return how->ticket != NULL ? group_send_with_ticket(group, group_shard, command, how, resend)
                               : cmdi_group_queue(group, group_shard, command, how);
}

/* Its bytes are kept until it has ended. */
static int group_send_kept(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmds_send_options *how)
{
    struct cmdi_resend *resend = NULL;
    if (cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED; // Before any lock.
    }
    uint64_t now_ns = group_shard == NULL ? cmdi_now_ns() : 0;
    uint64_t now_ms = group_shard != NULL ? cmdi_client_shard_now_ms(&group_shard->client_shard)
                                          : cmdi_ns_to_ms(now_ns);
    command->deadline_ms = cmdi_group_deadline(now_ms, how->deadline_ms);
    command->begun_ns = group_shard != NULL ? group_shard->client_shard.shard->clock_ns : now_ns;
    int code = cmdi_resend_begin(group, group_shard, command, &resend);
    if (code < 0) {
        return cmdi_group_keep_failed(group, group_shard, code, command->body_size);
    }
    code = group_send_more(group, group_shard, command, how, resend);
    if (code < 0) {
        cmdi_resend_drop(resend);
    }
    return code;
}

static inline int group_send_whole(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmds_send_options *how)
{
    if (CMDI_UNLIKELY(how->resend == CMDS_RESEND_ONCE && command->on_result != NULL)) {
        return group_send_kept(group, group_shard, command, how);
    }
    return CMDI_UNLIKELY(how->ticket != NULL)
                   ? group_send_with_ticket(group, group_shard, command, how, NULL)
                   : cmdi_group_queue(group, group_shard, command, how);
}

/* Breaker and hooks first. `kept`: where it stays if there is no room; NULL: nowhere. */
static int group_send_tracked(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, struct cmds_send_options *how,
        const struct cmdi_traced_send *send, struct cmdi_kept *kept)
{
    struct cmdi_track *track = NULL;
    // For hooks alone; read now, since what is sent may be moved.
    const void *value = group->tracker.is_used
                                ? cmdi_group_untraced(command->type, command->value).value
                                : NULL;
    bool answered = command->on_result != NULL;
    if (send == NULL && cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED; // Before any lock; else it was asked.
    }
    int code = kept != NULL && kept->is_kept ? cmdi_track_begin_again(group, group_shard, kept,
                                                       send, command->body_size, &track)
                                             : cmdi_track_begin(group, group_shard, command,
                                                       how->deadline_ms, how->data, send, &track);
    if (CMDI_UNLIKELY(code < 0 && !group->tracker.is_used)) {
        return group_send_whole(group, group_shard, command, how); // There is no room for the span.
    }
    if (CMDI_UNLIKELY(code < 0)) {
        return cmdi_group_keep_failed(group, group_shard, code, 0);
    }
    if (CMDI_UNLIKELY(group->tracker.is_used)) {
        how->deadline_ms = cmdi_track_left_ms(track, how->deadline_ms);
    }
    command->size_seen = &track->span.size;
    if (CMDI_LIKELY(answered)) {
        track->on_result = command->on_result;
        track->context = command->context;
        command->on_result = cmdi_track_on_result;
        command->context = track;
    }
    code = group_send_whole(group, group_shard, command, how);
    if (CMDI_UNLIKELY(code == -ENOBUFS && kept != NULL)) {
        cmdi_track_keep(track, kept);
    } else if (CMDI_UNLIKELY(code < 0 && command->body_size == CMDI_NOT_MEASURED)) {
        cmdi_track_drop(track); // The codec does not take it: no command, and so no span.
    } else if (CMDI_UNLIKELY(code < 0)) {
        cmdi_track_refuse(track, value, code);
    } else if (!answered) {
        cmdi_track_end_one_way(track);
    }
    return code;
}

/* Before it is known whether it can be written where it leaves from: another thread's, or one that is kept. */
static inline bool group_needs_size(const struct cmds_group *group,
        const struct cmdi_group_shard *group_shard, const struct cmds_send_options *how)
{
    return CMDI_UNLIKELY(group_shard == NULL || how->ticket != NULL ||
                         how->resend == CMDS_RESEND_ONCE || group->tracker.is_used);
}

/* Inline: most of it is asked of few. `entry`: of the message; NULL: it is looked for. */
__attribute__((always_inline)) static inline int group_send_taken(struct cmds_group *group,
        struct cmdi_group_shard *group_shard, struct cmds_message message,
        const struct cmdi_type_entry *entry, struct cmds_send_options *how,
        const struct cmdi_traced_send *send, const struct cmdi_send_end *end)
{
    struct cmdi_command command;
    int code = cmdi_group_name(
            entry != NULL ? entry : cmdi_type_table_of(&group->commands, message.type), message,
            &command);
    if (CMDI_LIKELY(code == 0) && group_needs_size(group, group_shard, how)) {
        code = cmdi_group_measure_named(group, &command);
    }
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    command.on_result = end->on_result != NULL ? end->on_result : group_ignore;
    command.context = end->context;
    command.extra = NULL;
    command.is_moved = false;
    if (CMDI_UNLIKELY(message.type->one_way != 0)) {
        /* Nothing ever comes, so there is nothing to wait for or to forget. */
        command.on_result = NULL;
        if (how->ticket != NULL) {
            how->ticket->id = 0;
        }
        how->ticket = NULL;
    }
    if (CMDI_UNLIKELY(group->tracker.is_used || send != NULL)) {
        return group_send_tracked(group, group_shard, &command, how, send, end->kept);
    }
    return group_send_whole(group, group_shard, &command, how);
}

/* With a context. Apart: its value is large, and few have one. */
static __attribute__((noinline)) int group_send_traced(struct cmds_group *group,
        struct cmdi_group_shard *group_shard, struct cmds_message message,
        struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    struct cmdi_traced_send send;
    if (cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED; // Before any lock.
    }
    cmdi_group_trace(group, how->trace, &message, &send);
    return group_send_taken(group, group_shard, message, send.entry, how,
            send.span.entry != NULL ? &send : NULL, end);
}

/* Without a context, where a trace may begin. Apart: as above. */
static __attribute__((noinline)) int group_send_untraced(struct cmds_group *group,
        struct cmdi_group_shard *group_shard, struct cmds_message message,
        struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    static const struct cmds_trace new_trace;
    if (cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED; // Before any lock.
    }
    if (!cmdi_group_may_begin_trace(group)) {
        return group_send_taken(group, group_shard, message, NULL, how, NULL, end);
    }
    how->trace = &new_trace;
    return group_send_traced(group, group_shard, message, how, end);
}

/* Inside the group: on a shard of it, or entered. */
__attribute__((always_inline)) static inline int group_send_inside(struct cmds_group *group,
        struct cmdi_group_shard *group_shard, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    struct cmds_send_options mine;
    int code = group_take_how(group, how, &mine);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    if (CMDI_UNLIKELY(mine.trace != NULL)) {
        return group_send_traced(group, group_shard, message, &mine, end);
    }
    return CMDI_LIKELY(!group->tracker.is_traced ||
                       (group_shard != NULL && cmdi_group_shard_is_spent(group_shard)))
                   ? group_send_taken(group, group_shard, message, NULL, &mine, NULL, end)
                   : group_send_untraced(group, group_shard, message, &mine, end);
}

static int group_send_entered(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    if (!cmdi_group_enter(group)) {
        return CMDS_E_CLOSED;
    }
    int code = group_send_inside(group, NULL, message, how, end);
    cmdi_group_leave(group);
    return code;
}

int cmdi_group_send(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    if (CMDI_UNLIKELY(group == NULL)) {
        return -EINVAL;
    }
    /* First: of a group that has closed nothing else may be read. */
    if (CMDI_UNLIKELY(cmdi_group_is_closing(group))) {
        return CMDS_E_CLOSED;
    }
    struct cmdi_group_shard *group_shard = cmdi_group_here(group);
    if (CMDI_LIKELY(group_shard != NULL) && CMDI_LIKELY(cmdi_group_shard_is_first(group_shard)) &&
            CMDI_LIKELY(!cmdi_group_is_watched(group) || !cmdi_group_shard_is_out(group_shard))) {
        return group_send_inside(group, group_shard, message, how, end);
    }
    return group_send_entered(group, message, how, end);
}

/* --- Pauses --------------------------------------------------------------------------------------- */

int cmds_group_pause(struct cmds_group *group, uint32_t client)
{
    if (group == NULL || client >= group->options.client_count) {
        return -EINVAL;
    }
    int code = cmdi_group_enter_to_lock(group);
    if (code < 0) {
        return code;
    }
    cmdi_client_pause(group->clients[client]);
    cmdi_group_leave(group);
    return 0;
}

int cmds_group_resume(struct cmds_group *group, uint32_t client)
{
    if (group == NULL || client >= group->options.client_count) {
        return -EINVAL;
    }
    int code = cmdi_group_enter_to_lock(group);
    if (code < 0) {
        return code;
    }
    code = cmdi_client_resume(group->clients[client]);
    cmdi_group_leave(group);
    return code;
}

/* --- Tickets ---------------------------------------------------------------------------------- */

bool cmds_group_has(struct cmds_group *group, struct cmds_ticket ticket)
{
    return group != NULL && cmdi_tickets_has(&group->tickets, ticket.id);
}

static struct cmdi_list *group_forgotten_of(struct cmdi_client *client)
{
    return &cmdi_group_shard_of(client)->forgotten;
}

int cmds_group_forget(struct cmds_group *group, struct cmds_ticket ticket)
{
    if (group == NULL) {
        return -EINVAL;
    }
    if (cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED; // Before any lock.
    }
    if (!cmdi_group_enter(group)) {
        return -ENOENT; // With the group everything has ended.
    }
    struct cmdi_client *client =
            cmdi_tickets_forget(&group->tickets, ticket.id, group_forgotten_of);
    if (client != NULL) {
        cmdi_group_shard_nudge(cmdi_group_shard_of(client), CMDI_NUDGE_FORGET);
    }
    cmdi_group_leave(group);
    return client != NULL ? 0 : -ENOENT;
}
