/* SPDX-License-Identifier: MIT */
/*
 * Forwarding. See forward.h for what it is. If the call lives on the shard of the attempt that is made
 * for it, all of it is here; else a courier takes it there.
 */
#include "group/forward.h"

#include <errno.h>

#include <cmdstream/server.h>

#include "base/options.h"
#include "base/time.h"
#include "group/courier.h"
#include "group/health.h"
#include "group/ref.h"
#include "group/send.h"
#include "group/trace.h"

size_t cmdi_forward_size(void)
{
    return sizeof(struct cmdi_forward);
}

/* --- The call lives here as well -------------------------------------------------------------- */

static void forward_on_result(struct cmdi_attempt *attempt, const struct cmds_result *result)
{
    struct cmdi_forward *forward = cmdi_forward_of(attempt);
    struct cmdi_group_shard *group_shard = attempt->group_shard;
    struct cmds_call *call = forward->call;
    cmds_forward_fn on_result = forward->on_result;
    void *context = forward->context;
    if (!result->last) {
        on_result(call, context, result);
        return;
    }
    cmdi_list_remove(&forward->observer.link);
    cmdi_attempt_fini(attempt);
    cmdi_pool_release(&group_shard->forward_pool, forward);
    on_result(call, context, result);
    cmds_call_unref(call);
    cmdi_group_shard_drop(group_shard); // Now: the result was in the group shard's memory.
}

static bool forward_charge(struct cmdi_attempt *attempt, size_t size)
{
    return cmdi_call_charge(cmdi_forward_of(attempt)->call, size);
}

static void forward_uncharge(struct cmdi_attempt *attempt, size_t size)
{
    cmdi_call_uncharge(cmdi_forward_of(attempt)->call, size);
}

/* On the call's shard: a courier goes in its place. */
static bool forward_leave(struct cmdi_attempt *attempt)
{
    struct cmdi_forward *forward = cmdi_forward_of(attempt);
    struct cmdi_group_shard *here = attempt->group_shard;
    struct cmdi_group_shard *other = cmdi_forward_find_other(attempt);
    const struct cmdi_forward_ask ask = {
            .call = forward->call, .on_result = forward->on_result, .context = forward->context};
    if (other == NULL || cmdi_courier_relieve(other, attempt, &ask) < 0) {
        return false; // It stays, within its deadline.
    }
    cmdi_list_remove(&forward->observer.link);
    cmdi_attempt_take_out(attempt);
    cmdi_attempt_fini(attempt);
    cmds_call_unref(ask.call); // The courier has one of its own.
    cmdi_pool_release(&here->forward_pool, forward);
    cmdi_group_shard_drop(here);
    return true;
}

static const struct cmdi_attempt_ops forward_attempt_ops = {
        .on_result = forward_on_result,
        .charge = forward_charge,
        .uncharge = forward_uncharge,
        .leave = forward_leave,
};

static void forward_on_cancel(struct cmdi_call_observer *observer)
{
    cmdi_attempt_forget(&CMDI_CONTAINER(observer, struct cmdi_forward, observer)->attempt);
}

/* Each one holds the group shard: whichever way it ends, and be it in a later turn. */
static int forward_here(struct cmdi_group_shard *group_shard, struct cmdi_command *command,
        struct cmdi_track *track, const struct cmdi_forward_ask *ask)
{
    struct cmdi_forward *forward = cmdi_pool_acquire(&group_shard->forward_pool);
    if (forward == NULL) {
        return cmdi_pool_lack(&group_shard->forward_pool);
    }
    cmdi_attempt_init(&forward->attempt, &forward_attempt_ops, group_shard, command->deadline_ms,
            group_shard->client_shard.shard->clock_ns);
    forward->attempt.track = track;
    forward->attempt.sticky_key = ask->sticky_key;
    forward->call = ask->call; // It is charged for a body that waits.
    int code = cmdi_attempt_begin(&forward->attempt, command);
    if (CMDI_UNLIKELY(code < 0)) {
        cmdi_attempt_fini(&forward->attempt);
        cmdi_pool_release(&group_shard->forward_pool, forward);
        return code;
    }
    group_shard->hold_count++;
    cmdi_forward_bind(forward, ask, forward_on_cancel);
    return 0;
}

/* --- What is asked for ------------------------------------------------------------------------ */

/* The asked one's, or what is left of the call's. */
static uint64_t forward_deadline(const struct cmdi_forward_ask *ask, uint64_t now_ms)
{
    uint64_t mine_ms = ask->deadline_ms == CMDS_NEVER ? UINT64_MAX : now_ms + ask->deadline_ms;
    uint64_t call_ns = cmds_call_deadline_ns(ask->call);
    uint64_t call_ms = call_ns == UINT64_MAX ? UINT64_MAX : cmdi_ns_to_ms(call_ns) + 1;
    return mine_ms < call_ms ? mine_ms : call_ms;
}

static int forward_measure(struct cmds_group *group, struct cmds_message message,
        const struct cmdi_forward_ask *ask, struct cmdi_command *command)
{
    int code = cmdi_group_measure(group, message, command);
    if (code == 0 && message.type->one_way != 0) {
        code = CMDS_E_WRONG_TYPE; // It has no result to answer the call with.
    }
    command->deadline_ms = forward_deadline(ask, cmdi_call_shard(ask->call)->now_ms);
    command->extra = NULL;
    command->is_moved = false;
    return code;
}

/* Breaker and hooks first, if there are any. `group_shard`: as cmdi_track_begin(). */
static int forward_track(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmdi_forward_ask *ask,
        const struct cmdi_traced_send *send, struct cmdi_track **track)
{
    uint64_t now_ms = cmdi_call_shard(ask->call)->now_ms;
    uint32_t left_ms = CMDS_NEVER;
    if (CMDI_LIKELY(!group->tracker.is_used && send == NULL)) {
        return 0;
    }
    if (command->deadline_ms - now_ms < CMDS_NEVER) {
        left_ms = command->deadline_ms > now_ms ? (uint32_t)(command->deadline_ms - now_ms) : 0;
    }
    int code = cmdi_track_begin(group, group_shard, command, left_ms, ask->data, send, track);
    if (code < 0 && !group->tracker.is_used) {
        return 0; // There is no room for the span.
    }
    if (code == 0 && cmdi_track_until_ms(*track) < command->deadline_ms) {
        command->deadline_ms = cmdi_track_until_ms(*track);
    }
    return code;
}

/* Its track ends with what was not sent. Returns: `code`. */
static int forward_end_track(struct cmdi_track *track, const struct cmdi_command *command, int code)
{
    if (code < 0 && track != NULL) {
        cmdi_track_refuse(track, cmdi_group_untraced(command->type, command->value).value, code);
    }
    return code;
}

/* By another shard. The caller has entered the group. Returns: as cmds_group_forward. */
static int forward_away(struct cmds_group *group, const struct cmdi_command *command,
        struct cmdi_track *track, const struct cmdi_forward_ask *ask)
{
    struct cmdi_group_shard *group_shard = NULL;
    int code = cmdi_forward_find_shard(group, cmdi_call_shard(ask->call)->now_ms, &group_shard);
    return code == 0 ? cmdi_courier_send(group_shard, command, track, ask) : code;
}

/* The caller has entered the group. */
static int forward_elsewhere(
        struct cmds_group *group, struct cmds_message message, const struct cmdi_forward_ask *ask)
{
    struct cmdi_command command;
    struct cmdi_traced_send send;
    if (cmdi_group_is_closing(group)) {
        return CMDS_E_CLOSED;
    }
    send.span.entry = NULL;
    if (ask->trace != NULL) {
        cmdi_group_trace(group, ask->trace, &message, &send);
    }
    int code = forward_measure(group, message, ask, &command);
    if (code < 0) {
        return code;
    }
    struct cmdi_track *track = NULL;
    code = forward_track(
            group, NULL, &command, ask, send.span.entry != NULL ? &send : NULL, &track);
    if (code < 0) {
        return code;
    }
    code = forward_away(group, &command, track, ask);
    return forward_end_track(track, &command, code);
}

/* It was refused here. If it was by breakers, other shards may have other endpoints. */
static int forward_refused_here(struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, struct cmdi_track *track,
        const struct cmdi_forward_ask *ask, int code)
{
    struct cmds_group *group = group_shard->group;
    if (code == CMDS_E_NOT_ALLOWED && cmdi_group_enter(group)) {
        code = forward_away(group, command, track, ask);
        cmdi_group_leave(group);
    }
    return forward_end_track(track, command, code);
}

static inline int forward_from_here(struct cmdi_group_shard *group_shard,
        struct cmds_message message, const struct cmdi_forward_ask *ask,
        const struct cmdi_traced_send *send)
{
    struct cmdi_command command;
    struct cmdi_track *track = NULL;
    int code = forward_measure(group_shard->group, message, ask, &command);
    if (CMDI_LIKELY(code == 0)) {
        code = forward_track(group_shard->group, group_shard, &command, ask, send, &track);
    }
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    code = forward_here(group_shard, &command, track, ask);
    return CMDI_LIKELY(code == 0) ? 0
                                  : forward_refused_here(group_shard, &command, track, ask, code);
}

/* With a context. Apart: its value is large, and few have one. */
static __attribute__((noinline)) int forward_traced(struct cmdi_group_shard *group_shard,
        struct cmds_message message, const struct cmdi_forward_ask *ask)
{
    struct cmdi_traced_send send;
    cmdi_group_trace(group_shard->group, ask->trace, &message, &send);
    return forward_from_here(group_shard, message, ask, send.span.entry != NULL ? &send : NULL);
}

/* Of a call for which nothing can be done any more. Returns: 0; why not. */
static int forward_check(struct cmds_call *call)
{
    if (cmdi_call_shard(call) != cmdi_shard_current()) {
        return -EXDEV;
    }
    if (cmds_call_is_cancelled(call)) {
        return CMDS_E_GONE;
    }
    return cmdi_call_is_finished(call) ? CMDS_E_FINISHED : 0;
}

/* What the options say beyond the group's. Returns: 0; -EINVAL, -E2BIG. */
static int forward_take_options(
        const struct cmds_send_options *options, struct cmdi_forward_ask *ask)
{
    struct cmds_send_options mine;
    int code = cmdi_options_take(&mine, sizeof(mine), options, "cmds_send_options", NULL);
    if (code < 0 || mine.unused != 0) {
        return code < 0 ? code : -E2BIG;
    }
    /* It ends with its call, and whoever forwards lets the caller decide whether to ask again. */
    if (mine.ticket != NULL || (mine.resend != 0 && mine.resend != CMDS_RESEND_NEVER)) {
        return -EINVAL;
    }
    ask->deadline_ms = mine.deadline_ms != 0 ? mine.deadline_ms : ask->deadline_ms;
    ask->sticky_key = mine.sticky_key;
    ask->data = mine.data;
    ask->trace = mine.trace != NULL ? mine.trace : ask->trace;
    return 0;
}

static int forward_enter(
        struct cmds_group *group, struct cmds_message message, const struct cmdi_forward_ask *ask)
{
    if (!cmdi_group_enter(group)) {
        return CMDS_E_CLOSED;
    }
    int code = forward_elsewhere(group, message, ask);
    cmdi_group_leave(group);
    return code;
}

int cmds_group_forward(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *options, struct cmds_call *call, cmds_forward_fn on_result,
        void *context)
{
    if (CMDI_UNLIKELY(group == NULL || call == NULL || on_result == NULL)) {
        return -EINVAL;
    }
    int code = forward_check(call);
    if (code < 0) {
        return code;
    }
    if (cmdi_group_is_closing(group)) {
        return CMDS_E_CLOSED;
    }
    struct cmdi_forward_ask ask = {.call = call,
            .on_result = on_result,
            .context = context,
            .deadline_ms = group->options.deadline_ms,
            .trace = cmds_call_trace(call)};
    if (CMDI_UNLIKELY(options != NULL)) {
        code = forward_take_options(options, &ask);
        if (code < 0) {
            return code;
        }
    }
    struct cmdi_group_shard *group_shard = cmdi_group_here(group);
    if (CMDI_LIKELY(group_shard != NULL && cmdi_group_shard_is_first(group_shard)) &&
            CMDI_LIKELY(!cmdi_group_is_watched(group) || !cmdi_group_shard_is_out(group_shard))) {
        return CMDI_LIKELY(ask.trace == NULL) ? forward_from_here(group_shard, message, &ask, NULL)
                                              : forward_traced(group_shard, message, &ask);
    }
    return forward_enter(group, message, &ask);
}
