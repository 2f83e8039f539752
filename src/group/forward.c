/* SPDX-License-Identifier: MIT */
/*
 * Forwarding. See forward.h for what it is.
 *
 *     forward   a call and the attempt that is made for it. If the call lives on the shard of the
 *               attempt, that is all.
 *     courier   only when the call lives on another shard: a forward whose attempt is made over
 *               there, with the mail that carries results home and a cancellation back. It is freed
 *               when both sides are done, and holds the group.
 *
 * Why a courier touches neither side too late: `refs` has a count for each side and for each mail
 * under way. The call's side ends with its last result, or with the cancellation of the call, which
 * under the lock stops the other side from sending home; what is under way then arrives, finds
 * home_over, and is dropped. The attempt's side ends with the attempt's last result.
 *
 * Results on their way home are bounded: when too many bytes of one call are, the connection that they
 * come from is not read until the call's shard has caught up. They count as memory of the attempt's
 * shard, as the courier does.
 */
#include "group/forward.h"

#include <errno.h>
#include <stdlib.h>

#include <cmdstream/server.h>

#include "base/assert.h"
#include "base/options.h"
#include "base/time.h"
#include "client/pause.h"
#include "client/result.h"
#include "group/attempt.h"
#include "group/health.h"
#include "group/ref.h"
#include "group/send.h"
#include "group/trace.h"
#include "group/wait.h"
#include "server/call_observer.h"

enum {
    COURIER_SIZE_MAX = 256 * 1024, // On their way home.
    COURIER_SIZE_LOW = COURIER_SIZE_MAX / 4,
};

struct cmdi_forward {
    struct cmdi_attempt attempt;
    struct cmds_call *call; // A reference. The call's shard's.
    cmds_forward_fn on_result;
    void *context;
    struct cmdi_call_observer observer; // In the call.
};

/* One that is asked for: by whom, and what the options say. On the stack. */
struct forward_ask {
    struct cmds_call *call;
    cmds_forward_fn on_result;
    void *context;
    uint32_t deadline_ms; // Never 0.
    uint64_t sticky_key;
    void *data;
    const struct cmds_trace *trace; // NULL: none goes with it.
};

struct courier {
    struct cmdi_forward forward;
    struct cmdi_shard *home; // The call's.
    // A mail, not work, tells the call's shard: mail is run even if the shard ends before.
    struct cmdi_mail go, cancel, last, cancelled;
    int last_code;  // What `last` carries: there was no memory for the result itself.
    bool home_over; // The call has had its last result, or `cancelled` brings it. Its shard's.
    pthread_mutex_t lock;
    bool home_alive; // The call's shard still wants mail. Under the lock, as all up to `refs`.
    bool is_paused;  // The connection `client` is not read because of it.
    uint32_t client;
    size_t size; // Of the results on their way.
    _Atomic uint32_t refs;
};

struct courier_result {
    struct cmdi_mail mail;
    struct courier *courier;
    struct cmds_result *result;
    size_t size; // Of both.
};

size_t cmdi_forward_size(void)
{
    return sizeof(struct cmdi_forward);
}

static struct cmdi_forward *forward_of(struct cmdi_attempt *attempt)
{
    return CMDI_CONTAINER(attempt, struct cmdi_forward, attempt);
}

static void forward_bind(struct cmdi_forward *forward, const struct forward_ask *ask,
        void (*on_cancel)(struct cmdi_call_observer *observer))
{
    forward->call = cmds_call_ref(ask->call);
    forward->on_result = ask->on_result;
    forward->context = ask->context;
    forward->observer.fn = on_cancel;
    cmdi_list_init(&forward->observer.link);
    cmdi_call_observe(ask->call, &forward->observer);
}

/* --- The call lives here as well -------------------------------------------------------------- */

static void forward_on_result(struct cmdi_attempt *attempt, const struct cmds_result *result)
{
    struct cmdi_forward *forward = forward_of(attempt);
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
    return cmdi_call_charge(forward_of(attempt)->call, size);
}

static void forward_uncharge(struct cmdi_attempt *attempt, size_t size)
{
    cmdi_call_uncharge(forward_of(attempt)->call, size);
}

static const struct cmdi_attempt_ops forward_attempt_ops = {
        .on_result = forward_on_result,
        .charge = forward_charge,
        .uncharge = forward_uncharge,
};

static void forward_on_cancel(struct cmdi_call_observer *observer)
{
    cmdi_attempt_forget(&CMDI_CONTAINER(observer, struct cmdi_forward, observer)->attempt);
}

/* Each one holds the group shard: whichever way it ends, and be it in a later turn. */
static int forward_here(struct cmdi_group_shard *group_shard, struct cmdi_command *command,
        struct cmdi_track *track, const struct forward_ask *ask)
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
    forward_bind(forward, ask, forward_on_cancel);
    return 0;
}

/* --- The call lives on another shard ---------------------------------------------------------- */

static struct cmds_group *courier_group(const struct courier *courier)
{
    return courier->forward.attempt.group_shard->group;
}

static struct cmdi_account *courier_account(const struct courier *courier)
{
    return &courier->forward.attempt.group_shard->client_shard.shard->buffers.account;
}

/* Under the lock. In the result that is being reported: no further one of that connection follows. */
static void courier_pause_if_full(struct courier *courier, const struct cmds_result *result)
{
    if (!courier->is_paused && !result->last && courier->size >= COURIER_SIZE_MAX) {
        courier->is_paused = true;
        courier->client = result->client;
        cmdi_client_pause(courier_group(courier)->clients[result->client]);
    }
}

/* Under the lock. Thread: any. */
static void courier_read_on(struct courier *courier)
{
    if (courier->is_paused) {
        courier->is_paused = false;
        /* CMDS_E_CLOSED: with the group nothing is read any more. */
        (void)cmds_group_resume(courier_group(courier), courier->client);
    }
}

static void courier_unref(struct courier *courier)
{
    uint32_t before = atomic_fetch_sub_explicit(&courier->refs, 1, memory_order_acq_rel);
    CMDI_ASSERT(before > 0);
    if (before == 1) {
        struct cmds_group *group = courier_group(courier);
        CMDI_ASSERT(courier->size == 0 && !courier->is_paused);
        (void)pthread_mutex_destroy(&courier->lock);
        cmdi_account_free_shared(courier_account(courier), sizeof(*courier));
        free(courier);
        cmdi_group_leave(group);
    }
}

/* On the call's shard: the end of its side. */
static void courier_end_home(struct courier *courier, const struct cmds_result *result)
{
    struct cmdi_forward *forward = &courier->forward;
    CMDI_ASSERT(cmdi_shard_current() == courier->home);
    courier->home_over = true;
    cmdi_list_remove(&forward->observer.link);
    forward->on_result(forward->call, forward->context, result);
    cmds_call_unref(forward->call);
    courier_unref(courier);
}

/* Under the lock. */
static void courier_arrived(struct courier *courier, struct courier_result *carried)
{
    CMDI_ASSERT(carried->size <= courier->size);
    courier->size -= carried->size;
    cmdi_account_free_shared(courier_account(courier), carried->size);
    cmds_result_free(carried->result);
    free(carried);
    if (courier->size <= COURIER_SIZE_LOW) {
        courier_read_on(courier);
    }
}

static void courier_on_result(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier_result *carried = CMDI_CONTAINER(mail, struct courier_result, mail);
    struct courier *courier = carried->courier;
    struct cmds_result *result = carried->result;
    if (courier->home_over) {
        // Cancelled meanwhile: the call has had its last result, or `cancelled` brings it.
    } else if (result->last) {
        courier_end_home(courier, result);
    } else {
        courier->forward.on_result(courier->forward.call, courier->forward.context, result);
    }
    pthread_mutex_lock(&courier->lock);
    courier_arrived(courier, carried);
    pthread_mutex_unlock(&courier->lock);
    courier_unref(courier); // The mail's own.
}

static void courier_on_last(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier *courier = CMDI_CONTAINER(mail, struct courier, last);
    struct cmds_result result = {
            .error = courier->last_code, .last = true, .text = cmds_error_text(courier->last_code)};
    if (!courier->home_over) {
        courier_end_home(courier, &result);
    }
    courier_unref(courier);
}

/* Charged for. Returns: NULL: there is no memory for it. */
static struct courier_result *courier_carry(
        struct courier *courier, const struct cmds_result *result)
{
    size_t size = sizeof(struct courier_result) + sizeof(*result) +
                  (result->value != NULL ? cmdi_result_value_size(result) : 0);
    if (!cmdi_account_charge_shared(courier_account(courier), size)) {
        return NULL;
    }
    struct courier_result *carried = malloc(sizeof(*carried));
    struct cmds_result *copy = carried != NULL ? cmds_result_copy(result) : NULL;
    if (copy == NULL) {
        free(carried);
        cmdi_account_free_shared(courier_account(courier), size);
        return NULL;
    }
    *carried = (struct courier_result){
            .mail = {.fn = courier_on_result}, .courier = courier, .result = copy, .size = size};
    return carried;
}

/* Under the lock, and home lives. */
static void courier_post(struct courier *courier, const struct cmds_result *result)
{
    struct courier_result *carried = courier_carry(courier, result);
    if (carried != NULL) {
        courier->size += carried->size;
        courier_pause_if_full(courier, result);
        atomic_fetch_add(&courier->refs, 1);
        cmdi_shard_post(courier->home, &carried->mail);
        return;
    }
    /* No further result comes: the call must not miss one without knowing. */
    if (courier->last_code == 0) {
        courier->last_code = -ENOMEM;
        atomic_fetch_add(&courier->refs, 1);
        cmdi_shard_post(courier->home, &courier->last);
    }
}

/* On the attempt's shard. */
static void courier_on_attempt(struct cmdi_attempt *attempt, const struct cmds_result *result)
{
    struct courier *courier = CMDI_CONTAINER(forward_of(attempt), struct courier, forward);
    bool last = result->last;
    pthread_mutex_lock(&courier->lock);
    if (courier->home_alive && courier->last_code == 0) {
        courier_post(courier, result);
    }
    pthread_mutex_unlock(&courier->lock);
    if (last) {
        cmdi_attempt_fini(attempt);
        courier_unref(courier);
    }
}

/* A body that crosses shards counts for no call. */
static bool courier_charge(struct cmdi_attempt *attempt, size_t size)
{
    return cmdi_account_charge_shared(
            &attempt->group_shard->client_shard.shard->buffers.account, size);
}

static void courier_uncharge(struct cmdi_attempt *attempt, size_t size)
{
    cmdi_account_free_shared(&attempt->group_shard->client_shard.shard->buffers.account, size);
}

static const struct cmdi_attempt_ops courier_attempt_ops = {
        .on_result = courier_on_attempt,
        .charge = courier_charge,
        .uncharge = courier_uncharge,
};

static void courier_on_go(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmdi_attempt *attempt = &CMDI_CONTAINER(mail, struct courier, go)->forward.attempt;
    struct cmds_group *group = attempt->group_shard->group;
    cmdi_group_hold(group); // It may end inside this.
    cmdi_attempt_begin_kept(attempt);
    atomic_fetch_sub(&group->under_way, 1);
    cmdi_group_wake(group); // Who waits for it looks at this shard from now on.
    cmdi_group_leave(group);
}

static void courier_on_cancel_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier *courier = CMDI_CONTAINER(mail, struct courier, cancel);
    cmdi_attempt_forget(&courier->forward.attempt);
    courier_unref(courier);
}

static void courier_on_cancelled(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier *courier = CMDI_CONTAINER(mail, struct courier, cancelled);
    struct cmds_result result = {
            .error = CMDS_E_CANCELLED, .last = true, .text = cmds_error_text(CMDS_E_CANCELLED)};
    courier_end_home(courier, &result);
}

/*
 * The call is cancelled: its side ends here and now, and a mail ends the other one. No mail leaves
 * for home from here on.
 */
static void courier_on_cancel(struct cmdi_call_observer *observer)
{
    struct cmdi_forward *forward = CMDI_CONTAINER(observer, struct cmdi_forward, observer);
    struct courier *courier = CMDI_CONTAINER(forward, struct courier, forward);
    pthread_mutex_lock(&courier->lock);
    courier->home_alive = false;
    pthread_mutex_unlock(&courier->lock);
    courier->home_over = true; // Results on their way home are dropped.
    cmdi_shard_post(courier->home, &courier->cancelled);
    atomic_fetch_add(&courier->refs, 1);
    cmdi_shard_post(forward->attempt.group_shard->client_shard.shard, &courier->cancel);
}

static int forward_there(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        struct cmdi_track *track, const struct forward_ask *ask)
{
    struct cmdi_account *account = &group_shard->client_shard.shard->buffers.account;
    if (!cmdi_account_charge_shared(account, sizeof(struct courier))) {
        return -ENOBUFS;
    }
    struct courier *courier = calloc(1, sizeof(*courier));
    if (courier == NULL) {
        cmdi_account_free_shared(account, sizeof(*courier));
        return -ENOMEM;
    }
    struct cmdi_forward *forward = &courier->forward;
    cmdi_attempt_init(&forward->attempt, &courier_attempt_ops, group_shard, command->deadline_ms,
            cmdi_call_shard(ask->call)->clock_ns);
    forward->attempt.track = track;
    forward->attempt.sticky_key = ask->sticky_key;
    int code = cmdi_attempt_keep(&forward->attempt, command);
    if (code < 0) {
        cmdi_attempt_fini(&forward->attempt);
        cmdi_account_free_shared(account, sizeof(*courier));
        free(courier);
        return code;
    }
    (void)pthread_mutex_init(&courier->lock, NULL); // Cannot fail without attributes.
    courier->home = cmdi_call_shard(ask->call);
    courier->home_alive = true;
    courier->go.fn = courier_on_go;
    courier->cancel.fn = courier_on_cancel_mail;
    courier->last.fn = courier_on_last;
    courier->cancelled.fn = courier_on_cancelled;
    atomic_store(&courier->refs, 2); // The group shard's side and the call's.
    cmdi_group_hold(group_shard->group);
    atomic_fetch_add(&group_shard->group->under_way, 1);
    forward_bind(forward, ask, courier_on_cancel);
    cmdi_shard_post(group_shard->client_shard.shard, &courier->go);
    return 0;
}

/* --- cmds_group_forward ----------------------------------------------------------------------- */

/*
 * A group shard whose connections take commands; the next one each time. Returns: 0;
 * CMDS_E_NOT_CONNECTED: there is none; CMDS_E_NOT_ALLOWED: none but those that breakers bar.
 */
static int forward_find_shard(
        struct cmds_group *group, uint64_t now_ms, struct cmdi_group_shard **group_shard)
{
    struct cmdi_dispatch_list list;
    cmdi_group_view(group, now_ms, &list);
    uint64_t pick_count = atomic_fetch_add_explicit(&group->pick_count, 1, memory_order_relaxed);
    bool is_barred = list.is_watched && list.is_barred;
    for (uint32_t i = 0; i < (is_barred ? 1 : 2) * list.count; i++) {
        struct cmdi_client *client = list.clients[(pick_count + i) % list.count];
        list.any_up = list.any_up && i < list.count; // As in send.c: they change places meanwhile.
        if (cmdi_dispatch_list_takes(&list, client)) {
            *group_shard = cmdi_group_shard_of(client);
            return 0;
        }
    }
    if (is_barred) {
        atomic_fetch_add_explicit(&group->tracker.not_allowed, 1, memory_order_relaxed);
        return CMDS_E_NOT_ALLOWED;
    }
    return CMDS_E_NOT_CONNECTED;
}

/* The asked one's, or what is left of the call's. */
static uint64_t forward_deadline(const struct forward_ask *ask, uint64_t now_ms)
{
    uint64_t mine_ms = ask->deadline_ms == CMDS_NEVER ? UINT64_MAX : now_ms + ask->deadline_ms;
    uint64_t call_ns = cmds_call_deadline_ns(ask->call);
    uint64_t call_ms = call_ns == UINT64_MAX ? UINT64_MAX : cmdi_ns_to_ms(call_ns) + 1;
    return mine_ms < call_ms ? mine_ms : call_ms;
}

static int forward_measure(struct cmds_group *group, struct cmds_message message,
        const struct forward_ask *ask, struct cmdi_command *command)
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
        struct cmdi_command *command, const struct forward_ask *ask, const struct cmds_span *span,
        struct cmdi_track **track)
{
    uint64_t now_ms = cmdi_call_shard(ask->call)->now_ms;
    uint32_t left_ms = CMDS_NEVER;
    if (CMDI_LIKELY(!group->tracker.is_used && span == NULL)) {
        return 0;
    }
    if (command->deadline_ms - now_ms < CMDS_NEVER) {
        left_ms = command->deadline_ms > now_ms ? (uint32_t)(command->deadline_ms - now_ms) : 0;
    }
    int code = cmdi_track_begin(group, group_shard, command, left_ms, ask->data, span, track);
    if (code < 0 && !group->tracker.is_used) {
        return 0; // There is no room for the span.
    }
    if (code == 0 && (*track)->tracked.until_ms < command->deadline_ms) {
        command->deadline_ms = (*track)->tracked.until_ms;
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
        struct cmdi_track *track, const struct forward_ask *ask)
{
    struct cmdi_group_shard *group_shard = NULL;
    int code = forward_find_shard(group, cmdi_call_shard(ask->call)->now_ms, &group_shard);
    return code == 0 ? forward_there(group_shard, command, track, ask) : code;
}

/* The caller has entered the group. */
static int forward_elsewhere(
        struct cmds_group *group, struct cmds_message message, const struct forward_ask *ask)
{
    struct cmdi_command command;
    struct cmdi_traced_send send;
    if (cmdi_group_is_closing(group)) {
        return CMDS_E_CLOSED;
    }
    send.is_sampled = false;
    if (ask->trace != NULL) {
        cmdi_group_trace(group, ask->trace, &message, &send);
    }
    int code = forward_measure(group, message, ask, &command);
    if (code < 0) {
        return code;
    }
    struct cmdi_track *track = NULL;
    code = forward_track(group, NULL, &command, ask, send.is_sampled ? &send.span : NULL, &track);
    if (code < 0) {
        return code;
    }
    code = forward_away(group, &command, track, ask);
    return forward_end_track(track, &command, code);
}

/* It was refused here. If it was by breakers, other shards may have other endpoints. */
static int forward_refused_here(struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, struct cmdi_track *track, const struct forward_ask *ask,
        int code)
{
    struct cmds_group *group = group_shard->group;
    if (code == CMDS_E_NOT_ALLOWED && cmdi_group_enter(group)) {
        code = forward_away(group, command, track, ask);
        cmdi_group_leave(group);
    }
    return forward_end_track(track, command, code);
}

static inline int forward_from_here(struct cmdi_group_shard *group_shard,
        struct cmds_message message, const struct forward_ask *ask, const struct cmds_span *span)
{
    struct cmdi_command command;
    struct cmdi_track *track = NULL;
    int code = forward_measure(group_shard->group, message, ask, &command);
    if (CMDI_LIKELY(code == 0)) {
        code = forward_track(group_shard->group, group_shard, &command, ask, span, &track);
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
        struct cmds_message message, const struct forward_ask *ask)
{
    struct cmdi_traced_send send;
    cmdi_group_trace(group_shard->group, ask->trace, &message, &send);
    return forward_from_here(group_shard, message, ask, send.is_sampled ? &send.span : NULL);
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
static int forward_take_options(const struct cmds_send_options *options, struct forward_ask *ask)
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
        struct cmds_group *group, struct cmds_message message, const struct forward_ask *ask)
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
    struct forward_ask ask = {.call = call,
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
