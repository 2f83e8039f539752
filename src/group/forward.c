/* SPDX-License-Identifier: MIT */
/*
 * Forwarding. See forward.h for what it is.
 *
 *     forward   on the shard of its connection: sends, waits for room, forgets. Tells results by
 *               `tell`.
 *     courier   only when the call lives on another shard: carries results home, and a cancellation
 *               back. It is a forward and the call's end of it in one block, freed when both sides
 *               are done; it holds the group.
 */
#include "group/forward.h"

#include <errno.h>
#include <stdlib.h>

#include <cmdstream/server.h>

#include "base/error.h"
#include "base/time.h"
#include "client/finish.h"
#include "group/ref.h"
#include "group/send.h"
#include "server/call_observer.h"

enum {
    FORWARD_BODY_SMALL = 256, // Waits inside the forward; a larger body is malloc'ed.
};

enum forward_state {
    FORWARD_NEW,
    FORWARD_WAITING, // In `forwards`; body and timer are valid, and it is counted as pending.
    FORWARD_SENT,    // client and sequence are valid.
    FORWARD_ENDING,  // In no list; its last result is being told, or `work` will tell it.
};

struct cmdi_forward {
    struct cmdi_group_shard *group_shard;
    void (*tell)(
            struct cmdi_forward *forward, const struct cmds_result *result); // `last`: frees it.
    struct cmds_call *call; // A reference. The call's shard's.
    cmds_forward_fn on_result;
    struct cmdi_call_observer observer; // In the call.
    uint64_t deadline_ms;
    enum forward_state state;
    bool is_here; // The call lives on the same shard.

    struct cmdi_client *client;
    uint64_t sequence;

    struct cmdi_list link;
    struct cmdi_timer timer;
    struct cmdi_work work; // Cancelled while it waited.
    const struct cmds_type *type;
    uint8_t *body; // `small`, or malloc'ed.
    size_t body_size;
    uint8_t small[FORWARD_BODY_SMALL];
};

struct courier {
    struct cmdi_forward forward;
    struct cmdi_shard *home; // The call's.
    // A mail, not work, tells the call's shard: mail is run even if the shard ends before.
    struct cmdi_mail go, cancel, last, cancelled;
    int last_error; // What `last` carries: there was no memory for the result itself.
    bool home_over; // The call has been told its last. The call's shard's.
    pthread_mutex_t lock;
    bool home_alive; // The call's shard still wants mail. Under the lock.
    _Atomic uint32_t refs;
};

struct courier_result {
    struct cmdi_mail mail;
    struct courier *courier;
    struct cmds_result *result;
};

size_t cmdi_forward_size(void)
{
    return sizeof(struct cmdi_forward);
}

/* --- On the command's shard ------------------------------------------------------------------- */

/* A body of one that lives on the call's shard counts for the call; of others as shared. */
static bool forward_charge(struct cmdi_forward *forward, size_t size)
{
    struct cmdi_account *account = &forward->group_shard->client_shard.shard->buffers.account;
    return forward->is_here ? cmdi_call_charge(forward->call, size)
                            : cmdi_account_charge_shared(account, size);
}

static void forward_uncharge(struct cmdi_forward *forward, size_t size)
{
    if (forward->is_here) {
        cmdi_call_uncharge(forward->call, size);
    } else {
        cmdi_account_free_shared(&forward->group_shard->client_shard.shard->buffers.account, size);
    }
}

static void forward_free_body(struct cmdi_forward *forward)
{
    if (forward->body != NULL && forward->body != forward->small) {
        free(forward->body);
        forward_uncharge(forward, forward->body_size);
    }
    forward->body = NULL;
}

static struct cmds_result forward_error_result(int code, const char *text)
{
    return (struct cmds_result){
            .error = code, .last = true, .text = text != NULL ? text : cmds_error_text(code)};
}

static void forward_on_result(void *context, const struct cmds_result *result)
{
    struct cmdi_forward *forward = context;
    forward->tell(forward, result);
}

/* Out of the list of those who wait; it stays counted as pending. */
static void forward_stop_waiting(struct cmdi_forward *forward, enum forward_state state)
{
    cmdi_list_remove(&forward->link);
    cmdi_shard_timer_off(forward->group_shard->client_shard.shard, &forward->timer);
    forward_free_body(forward);
    forward->state = state;
}

/*
 * One that was counted ends without having been sent. That may be the end of the group_shard, but
 * not of its memory.
 */
static void forward_fail(struct cmdi_forward *forward, int code, const char *text)
{
    struct cmds_result result = forward_error_result(code, text);
    cmdi_client_shard_tell(
            &forward->group_shard->client_shard, forward_on_result, forward, &result, true);
}

static void forward_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmdi_forward *forward = CMDI_CONTAINER(timer, struct cmdi_forward, timer);
    CMDI_COUNT(forward->group_shard->client_shard.shard, deadlines, 1);
    forward_stop_waiting(forward, FORWARD_ENDING);
    forward_fail(forward, CMDS_E_TIMEOUT, "no connection had room within the deadline");
}

static void forward_on_work(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    forward_fail(CMDI_CONTAINER(work, struct cmdi_forward, work), CMDS_E_CANCELLED, NULL);
}

/* Nobody waits for it any more: it ends soon, never inside this. */
static void forward_cancel(struct cmdi_forward *forward)
{
    if (forward->state == FORWARD_WAITING) {
        forward_stop_waiting(forward, FORWARD_ENDING);
        cmdi_shard_ready(forward->group_shard->client_shard.shard, &forward->work);
    } else if (forward->state == FORWARD_SENT) {
        (void)cmdi_client_forget(
                forward->client, forward->sequence); // -ENOENT: its last result is being told.
    }
}

static int forward_send(struct cmdi_forward *forward, const struct cmdi_command *command)
{
    int error = cmdi_group_shard_send(forward->group_shard, command, 0, &forward->client);
    if (error == 0) {
        forward->sequence = forward->client->sequence;
    }
    return error;
}

static struct cmdi_command forward_command(struct cmdi_forward *forward)
{
    return (struct cmdi_command){
            .type = forward->type,
            .body = forward->body,
            .body_size = forward->body_size,
            .on_result = forward_on_result,
            .context = forward,
            .deadline_ms = forward->deadline_ms,
    };
}

/* Keeps the command's bytes. Returns: 0; -ENOBUFS: memory_size_max; -ENOMEM. */
static int forward_keep_body(struct cmdi_forward *forward, const struct cmdi_command *command)
{
    const struct cmds_codec *codec = forward->group_shard->client_shard.config->codec;
    forward->type = command->type;
    forward->body_size = command->body_size;
    forward->body = forward->small;
    if (command->body_size > sizeof(forward->small)) {
        if (!forward_charge(forward, command->body_size)) {
            forward->body = NULL;
            return -ENOBUFS;
        }
        forward->body = malloc(command->body_size);
    }
    if (forward->body == NULL) {
        forward_uncharge(forward, command->body_size);
        return -ENOMEM;
    }
    (void)codec->encode(codec, command->type, command->value, forward->body, command->body_size);
    return 0;
}

static void forward_wait(struct cmdi_forward *forward)
{
    struct cmdi_group_shard *group_shard = forward->group_shard;
    forward->state = FORWARD_WAITING;
    cmdi_list_push(&group_shard->forwards, &forward->link);
    cmdi_client_shard_count(&group_shard->client_shard);
    group_shard->client_shard.wants_room = true;
    if (forward->deadline_ms != UINT64_MAX) {
        cmdi_shard_timer(group_shard->client_shard.shard, &forward->timer, forward->deadline_ms);
    }
}

void cmdi_forward_feed(struct cmdi_group_shard *group_shard)
{
    while (!cmdi_list_empty(&group_shard->forwards)) {
        struct cmdi_forward *forward =
                CMDI_CONTAINER(group_shard->forwards.next, struct cmdi_forward, link);
        struct cmdi_command command = forward_command(forward);
        int error = forward_send(forward, &command);
        if (error == -ENOBUFS) {
            group_shard->client_shard.wants_room = true;
            return;
        }
        forward_stop_waiting(forward, error == 0 ? FORWARD_SENT : FORWARD_ENDING);
        if (error == 0) {
            cmdi_client_shard_counted_twice(&group_shard->client_shard);
        } else {
            forward_fail(forward, error == CMDS_E_NOT_CONNECTED ? CMDS_E_NOT_SENT : error, NULL);
        }
    }
}

void cmdi_forward_end_waiting(struct cmdi_group_shard *group_shard, int error, const char *text)
{
    while (!cmdi_list_empty(&group_shard->forwards)) {
        struct cmdi_forward *forward =
                CMDI_CONTAINER(group_shard->forwards.next, struct cmdi_forward, link);
        forward_stop_waiting(forward, FORWARD_ENDING);
        forward_fail(forward, error, text);
    }
}

/* --- The call lives here as well -------------------------------------------------------------- */

static void forward_tell_here(struct cmdi_forward *forward, const struct cmds_result *result)
{
    struct cmdi_group_shard *group_shard = forward->group_shard;
    struct cmds_call *call = forward->call;
    cmds_forward_fn on_result = forward->on_result;
    if (!result->last) {
        on_result(call, result);
        return;
    }
    cmdi_list_remove(&forward->observer.link);
    cmdi_list_remove(&forward->work.link);
    cmdi_pool_release(&group_shard->forward_pool, forward);
    on_result(call, result);
    cmds_call_unref(call);
    cmdi_group_shard_drop(group_shard); // Now: the result was in the group shard's memory.
}

static void forward_on_cancel(struct cmdi_call_observer *observer)
{
    forward_cancel(CMDI_CONTAINER(observer, struct cmdi_forward, observer));
}

static void forward_init(
        struct cmdi_forward *forward, struct cmdi_group_shard *group_shard, uint64_t deadline_ms)
{
    forward->group_shard = group_shard;
    forward->state = FORWARD_NEW;
    forward->deadline_ms = deadline_ms;
    forward->client = NULL;
    forward->body = NULL;
    forward->is_here = false;
    cmdi_list_init(&forward->link);
    cmdi_list_init(&forward->observer.link);
    cmdi_timer_init(&forward->timer, forward_on_timer);
    cmdi_work_init(&forward->work, forward_on_work);
}

static void forward_bind(struct cmdi_forward *forward, struct cmds_call *call,
        cmds_forward_fn on_result, void (*on_cancel)(struct cmdi_call_observer *observer))
{
    forward->call = cmds_call_ref(call);
    forward->on_result = on_result;
    forward->observer.fn = on_cancel;
    cmdi_call_observe(call, &forward->observer);
}

/* Each one holds the group shard: whichever way it ends, and be it in a later turn. */
static int forward_here(struct cmdi_group_shard *group_shard, struct cmdi_command *command,
        struct cmds_call *call, cmds_forward_fn on_result)
{
    struct cmdi_forward *forward = cmdi_pool_acquire(&group_shard->forward_pool);
    if (forward == NULL) {
        return -ENOMEM;
    }
    forward_init(forward, group_shard, command->deadline_ms);
    forward->tell = forward_tell_here;
    forward->call = call;
    forward->is_here = true;
    command->on_result = forward_on_result;
    command->context = forward;
    int error = -ENOBUFS;
    if (CMDI_LIKELY(cmdi_list_empty(&group_shard->forwards))) { // Else the others come first.
        error = forward_send(forward, command);
    }
    if (CMDI_LIKELY(error == 0)) {
        forward->state = FORWARD_SENT;
    } else {
        error = error == -ENOBUFS ? forward_keep_body(forward, command) : error;
        if (error < 0) {
            cmdi_pool_release(&group_shard->forward_pool, forward);
            return error;
        }
        forward_wait(forward);
    }
    group_shard->hold_count++;
    forward_bind(forward, call, on_result, forward_on_cancel);
    return 0;
}

/* --- The call lives on another shard ---------------------------------------------------------- */

static void courier_unref(struct courier *courier)
{
    if (atomic_fetch_sub_explicit(&courier->refs, 1, memory_order_acq_rel) == 1) {
        struct cmds_group *group = courier->forward.group_shard->group;
        forward_free_body(&courier->forward);
        (void)pthread_mutex_destroy(&courier->lock);
        free(courier);
        cmdi_group_leave(group);
    }
}

/* On the call's shard: the end of its side. */
static void courier_end_home(struct courier *courier, const struct cmds_result *result)
{
    struct cmdi_forward *forward = &courier->forward;
    courier->home_over = true;
    cmdi_list_remove(&forward->observer.link);
    forward->on_result(forward->call, result);
    cmds_call_unref(forward->call);
    courier_unref(courier);
}

static void courier_on_result(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier_result *carried = CMDI_CONTAINER(mail, struct courier_result, mail);
    struct courier *courier = carried->courier;
    struct cmds_result *result = carried->result;
    if (courier->home_over) {
        // Cancelled meanwhile; the call has been told.
    } else if (result->last) {
        courier_end_home(courier, result);
    } else {
        courier->forward.on_result(courier->forward.call, result);
    }
    cmds_result_free(result);
    free(carried);
    courier_unref(courier); // The mail's own.
}

static void courier_on_last(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier *courier = CMDI_CONTAINER(mail, struct courier, last);
    struct cmds_result result = {.error = courier->last_error,
            .last = true,
            .text = cmds_error_text(courier->last_error)};
    if (!courier->home_over) {
        courier_end_home(courier, &result);
    }
    courier_unref(courier);
}

/* Under the lock, and home lives. */
static void courier_post(struct courier *courier, const struct cmds_result *result)
{
    struct courier_result *carried = malloc(sizeof(*carried));
    struct cmds_result *copy = carried != NULL ? cmds_result_copy(result) : NULL;
    if (copy != NULL) {
        *carried = (struct courier_result){
                .mail = {.fn = courier_on_result}, .courier = courier, .result = copy};
        atomic_fetch_add(&courier->refs, 1);
        cmdi_shard_post(courier->home, &carried->mail);
        return;
    }
    free(carried);
    if (courier->last_error ==
            0) { // No further result: the call must not miss one without knowing.
        courier->last_error = -ENOMEM;
        atomic_fetch_add(&courier->refs, 1);
        cmdi_shard_post(courier->home, &courier->last);
    }
}

/* On the command's shard. */
static void courier_tell(struct cmdi_forward *forward, const struct cmds_result *result)
{
    struct courier *courier = CMDI_CONTAINER(forward, struct courier, forward);
    bool last = result->last;
    pthread_mutex_lock(&courier->lock);
    if (courier->home_alive && courier->last_error == 0) {
        courier_post(courier, result);
    }
    pthread_mutex_unlock(&courier->lock);
    if (last) {
        cmdi_list_remove(&forward->work.link);
        courier_unref(courier);
    }
}

static void courier_on_go(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier *courier = CMDI_CONTAINER(mail, struct courier, go);
    struct cmdi_forward *forward = &courier->forward;
    struct cmdi_command command = forward_command(forward);
    int error = forward->group_shard->closing ? CMDS_E_CLOSED : -ENOBUFS;
    if (error == -ENOBUFS && cmdi_list_empty(&forward->group_shard->forwards)) {
        error = forward_send(forward, &command);
    }
    if (error == 0) {
        forward->state = FORWARD_SENT;
        forward_free_body(forward);
    } else if (error == -ENOBUFS) {
        forward_wait(forward);
    } else {
        forward->state = FORWARD_ENDING;
        struct cmds_result result =
                forward_error_result(error == CMDS_E_NOT_CONNECTED ? CMDS_E_NOT_SENT : error, NULL);
        forward->tell(forward, &result); // It was never counted here.
    }
}

static void courier_on_cancel_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct courier *courier = CMDI_CONTAINER(mail, struct courier, cancel);
    forward_cancel(&courier->forward);
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
 * The call is cancelled: its side ends here and now, the other one is told. No mail comes home from
 * here on.
 */
static void courier_on_cancel(struct cmdi_call_observer *observer)
{
    struct cmdi_forward *forward = CMDI_CONTAINER(observer, struct cmdi_forward, observer);
    struct courier *courier = CMDI_CONTAINER(forward, struct courier, forward);
    pthread_mutex_lock(&courier->lock);
    courier->home_alive = false;
    pthread_mutex_unlock(&courier->lock);
    courier->home_over = true; // What is under way home is not told.
    cmdi_shard_post(courier->home, &courier->cancelled);
    atomic_fetch_add(&courier->refs, 1);
    cmdi_shard_post(forward->group_shard->client_shard.shard, &courier->cancel);
}

static int forward_there(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        struct cmds_call *call, cmds_forward_fn on_result)
{
    struct courier *courier = calloc(1, sizeof(*courier));
    if (courier == NULL) {
        return -ENOMEM;
    }
    struct cmdi_forward *forward = &courier->forward;
    forward_init(forward, group_shard, command->deadline_ms);
    forward->tell = courier_tell;
    int error = forward_keep_body(forward, command);
    if (error < 0) {
        free(courier);
        return error;
    }
    (void)pthread_mutex_init(&courier->lock, NULL); // Cannot fail without attributes.
    courier->home = cmdi_call_shard(call);
    courier->home_alive = true;
    courier->go.fn = courier_on_go;
    courier->cancel.fn = courier_on_cancel_mail;
    courier->last.fn = courier_on_last;
    courier->cancelled.fn = courier_on_cancelled;
    atomic_store(&courier->refs, 2); // The group shard's side and the call's.
    cmdi_group_hold(group_shard->group);
    forward_bind(forward, call, on_result, courier_on_cancel);
    cmdi_shard_post(group_shard->client_shard.shard, &courier->go);
    return 0;
}

/* --- cmds_group_forward ----------------------------------------------------------------------- */

/*
 * A group shard whose connections take commands; the next one each time. Returns: NULL: there is
 * none.
 */
static struct cmdi_group_shard *forward_find_shard(struct cmds_group *group)
{
    uint32_t count = group->options.client_count;
    uint64_t pick_count = atomic_fetch_add_explicit(&group->pick_count, 1, memory_order_relaxed);
    bool any_up = atomic_load(&group->up_count) > 0;
    for (uint32_t i = 0; i < count; i++) {
        struct cmdi_client *client = group->clients[(pick_count + i) % count];
        if (cmdi_dispatch_takes(cmdi_client_state(client), any_up)) {
            return cmdi_group_shard_of(client);
        }
    }
    return NULL;
}

/* The group's own, or what is left of the call's. */
static uint64_t forward_deadline(
        const struct cmds_group *group, const struct cmds_call *call, uint64_t now_ms)
{
    uint32_t deadline_ms = group->options.deadline_ms;
    uint64_t mine_ms = deadline_ms == CMDS_NEVER ? UINT64_MAX : now_ms + deadline_ms;
    uint64_t call_ns = cmds_call_deadline_ns(call);
    uint64_t call_ms = call_ns == UINT64_MAX ? UINT64_MAX : cmdi_ns_to_ms(call_ns) + 1;
    return mine_ms < call_ms ? mine_ms : call_ms;
}

static int forward_measure(struct cmds_group *group, struct cmds_message message,
        const struct cmds_call *call, struct cmdi_command *command)
{
    int error = cmdi_group_measure(group, message, command);
    if (error == 0 && message.type->one_way != 0) {
        error = CMDS_E_WRONG_TYPE; // It has no result to answer the call with.
    }
    command->deadline_ms = forward_deadline(group, call, cmdi_call_shard(call)->now_ms);
    command->extra = NULL;
    return error;
}

/* The caller has entered the group. */
static int forward_elsewhere(struct cmds_group *group, struct cmds_message message,
        struct cmds_call *call, cmds_forward_fn on_result)
{
    struct cmdi_command command;
    if (atomic_load(&group->closing) != 0) {
        return CMDS_E_CLOSED;
    }
    int error = forward_measure(group, message, call, &command);
    if (error < 0) {
        return error;
    }
    struct cmdi_group_shard *group_shard = forward_find_shard(group);
    return group_shard != NULL ? forward_there(group_shard, &command, call, on_result)
                               : CMDS_E_NOT_CONNECTED;
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

int cmds_group_forward(struct cmds_group *group, struct cmds_message message,
        struct cmds_call *call, cmds_forward_fn on_result)
{
    if (CMDI_UNLIKELY(group == NULL || call == NULL || on_result == NULL)) {
        return -EINVAL;
    }
    int error = forward_check(call);
    if (error < 0) {
        return error;
    }
    if (atomic_load_explicit(&group->closing, memory_order_relaxed) != 0) {
        return CMDS_E_CLOSED;
    }
    struct cmdi_group_shard *group_shard = cmdi_group_here(group);
    if (CMDI_LIKELY(group_shard != NULL && cmdi_group_shard_is_usable(group_shard))) {
        struct cmdi_command command;
        error = forward_measure(group, message, call, &command);
        return error < 0 ? error : forward_here(group_shard, &command, call, on_result);
    }
    if (!cmdi_group_enter(group)) {
        return CMDS_E_CLOSED;
    }
    error = forward_elsewhere(group, message, call, on_result);
    cmdi_group_leave(group);
    return error;
}
