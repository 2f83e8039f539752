/* SPDX-License-Identifier: MIT */
/*
 * A courier: a forward whose attempt is made on another shard, with the mail that carries results home
 * and a cancellation back. It is freed when both sides are done, and holds the group.
 *
 * Why it touches neither side too late: `refs` has a count for each side and for each mail under way. The
 * call's side ends with its last result, or with the cancellation of the call, which under the lock stops
 * the other side from sending home; what is under way then arrives, finds home_over, and is dropped. The
 * attempt's side ends with the attempt's last result.
 *
 * While it waits and nothing is up on its shard, it goes on to another one. It does so under the lock, in
 * which a cancellation asks where it is: either that finds it where it will be, or it stays.
 *
 * Results on their way home are bounded: when too many bytes of one call are, the connection that they
 * come from is not read until the call's shard has caught up. They count as memory of the shard to which
 * the courier went first, as it does.
 */
#include "group/courier.h"

#include <errno.h>
#include <stdlib.h>

#include <cmdstream/server.h>

#include "base/assert.h"
#include "base/error.h"
#include "client/pause.h"
#include "client/result.h"
#include "group/ref.h"
#include "group/send.h"
#include "group/wait.h"

enum {
    COURIER_SIZE_MAX = 256 * 1024, // On their way home.
    COURIER_SIZE_LOW = COURIER_SIZE_MAX / 4,
};

struct courier {
    struct cmdi_forward forward;
    struct cmds_group *group;
    struct cmdi_account *account; // Of the shard to which it went first.
    struct cmdi_shard *home;      // The call's.
    // A mail, not work, tells the call's shard: mail is run even if the shard ends before.
    struct cmdi_mail go, cancel, last, cancelled;
    // What `last` carries: an end without a value, for which no memory has to be found then.
    struct cmds_error end;
    uint64_t end_sequence;
    uint32_t end_client;
    bool home_over; // The call has had its last result, or `cancelled` brings it. Its shard's.
    // Also of the attempt's group_shard: the call's shard asks where it is.
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

void cmdi_forward_bind(struct cmdi_forward *forward, const struct cmdi_forward_ask *ask,
        void (*on_cancel)(struct cmdi_call_observer *observer))
{
    forward->call = cmds_call_ref(ask->call);
    forward->on_result = ask->on_result;
    forward->context = ask->context;
    forward->observer.fn = on_cancel;
    cmdi_list_init(&forward->observer.link);
    cmdi_call_observe(ask->call, &forward->observer);
}

/* --- Where it goes ---------------------------------------------------------------------------- */

int cmdi_forward_find_shard(
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

struct cmdi_group_shard *cmdi_forward_find_other(const struct cmdi_attempt *attempt)
{
    struct cmdi_group_shard *here = attempt->group_shard;
    struct cmdi_group_shard *other = here;
    uint64_t now_ms = cmdi_client_shard_now_ms(&here->client_shard);
    return cmdi_forward_find_shard(here->group, now_ms, &other) == 0 && other != here ? other
                                                                                      : NULL;
}

/* --- A courier ------------------------------------------------------------------------------------ */

/* Under the lock. In the result that is being reported: no further one of that connection follows. */
static void courier_pause_if_full(struct courier *courier, const struct cmds_result *result)
{
    if (!courier->is_paused && !result->last && courier->size >= COURIER_SIZE_MAX) {
        courier->is_paused = true;
        courier->client = result->client;
        cmdi_client_pause(courier->group->clients[result->client]);
    }
}

/* Under the lock. Thread: any. */
static void courier_read_on(struct courier *courier)
{
    if (courier->is_paused) {
        courier->is_paused = false;
        /* CMDS_E_CLOSED: with the group nothing is read any more. */
        (void)cmds_group_resume(courier->group, courier->client);
    }
}

static void courier_unref(struct courier *courier)
{
    uint32_t before = atomic_fetch_sub_explicit(&courier->refs, 1, memory_order_acq_rel);
    CMDI_ASSERT(before > 0);
    if (before == 1) {
        struct cmds_group *group = courier->group;
        CMDI_ASSERT(courier->size == 0 && !courier->is_paused);
        (void)pthread_mutex_destroy(&courier->lock);
        cmdi_account_free_shared(courier->account, sizeof(*courier));
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
    cmdi_account_free_shared(courier->account, carried->size);
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
    struct cmds_result result = {.error = courier->end.code,
            .last = true,
            .text = courier->end.text,
            .sequence = courier->end_sequence,
            .client = courier->end_client};
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
    if (!cmdi_account_charge_shared(courier->account, size)) {
        return NULL;
    }
    struct courier_result *carried = malloc(sizeof(*carried));
    struct cmds_result *copy = carried != NULL ? cmds_result_copy(result) : NULL;
    if (copy == NULL) {
        free(carried);
        cmdi_account_free_shared(courier->account, size);
        return NULL;
    }
    *carried = (struct courier_result){
            .mail = {.fn = courier_on_result}, .courier = courier, .result = copy, .size = size};
    return carried;
}

/* Under the lock, and home lives. Nothing follows. */
static void courier_post_last(
        struct courier *courier, int code, const char *text, const struct cmds_result *result)
{
    (void)cmdi_fail(&courier->end, code, "%s", text);
    courier->end_sequence = result->sequence;
    courier->end_client = result->client;
    atomic_fetch_add(&courier->refs, 1);
    cmdi_shard_post(courier->home, &courier->last);
}

/* Under the lock, and home lives. */
static void courier_post(struct courier *courier, const struct cmds_result *result)
{
    if (result->error != 0) {
        courier_post_last(courier, result->error, result->text, result);
        return;
    }
    struct courier_result *carried = courier_carry(courier, result);
    if (carried == NULL) {
        /* No further result comes: the call must not miss one without knowing. */
        courier_post_last(courier, -ENOMEM, cmds_error_text(-ENOMEM), result);
        return;
    }
    courier->size += carried->size;
    courier_pause_if_full(courier, result);
    atomic_fetch_add(&courier->refs, 1);
    cmdi_shard_post(courier->home, &carried->mail);
}

/* On the attempt's shard. */
static void courier_on_attempt(struct cmdi_attempt *attempt, const struct cmds_result *result)
{
    struct courier *courier = CMDI_CONTAINER(cmdi_forward_of(attempt), struct courier, forward);
    bool last = result->last;
    pthread_mutex_lock(&courier->lock);
    if (courier->home_alive && courier->end.code == 0) {
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
    struct courier *courier = CMDI_CONTAINER(cmdi_forward_of(attempt), struct courier, forward);
    return cmdi_account_charge_shared(courier->account, size);
}

static void courier_uncharge(struct cmdi_attempt *attempt, size_t size)
{
    struct courier *courier = CMDI_CONTAINER(cmdi_forward_of(attempt), struct courier, forward);
    cmdi_account_free_shared(courier->account, size);
}

static bool courier_leave(struct cmdi_attempt *attempt);

static const struct cmdi_attempt_ops courier_attempt_ops = {
        .on_result = courier_on_attempt,
        .charge = courier_charge,
        .uncharge = courier_uncharge,
        .leave = courier_leave,
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
    courier->home_over = true; // Results on their way home are dropped.
    atomic_fetch_add(&courier->refs, 1);
    cmdi_shard_post(courier->home, &courier->cancelled);
    pthread_mutex_lock(&courier->lock);
    courier->home_alive = false; // From here on it stays where it is.
    cmdi_shard_post(forward->attempt.group_shard->client_shard.shard, &courier->cancel);
    pthread_mutex_unlock(&courier->lock);
}

/* For a shard, charged to it. Gives: courier_drop(), or courier_set_out(). Returns: NULL: *code. */
static struct courier *courier_new(struct cmdi_group_shard *group_shard, int *code)
{
    struct cmdi_account *account = &group_shard->client_shard.shard->buffers.account;
    *code = -ENOBUFS;
    if (!cmdi_account_charge_shared(account, sizeof(struct courier))) {
        return NULL;
    }
    struct courier *courier = calloc(1, sizeof(*courier));
    if (courier == NULL) {
        cmdi_account_free_shared(account, sizeof(*courier));
        *code = -ENOMEM;
        return NULL;
    }
    courier->group = group_shard->group;
    courier->account = account;
    return courier;
}

/* It has not set out. */
static void courier_drop(struct courier *courier)
{
    cmdi_attempt_fini(&courier->forward.attempt);
    cmdi_account_free_shared(courier->account, sizeof(*courier));
    free(courier);
}

/* Its attempt has a body. */
static void courier_set_out(struct courier *courier, const struct cmdi_forward_ask *ask)
{
    struct cmdi_group_shard *group_shard = courier->forward.attempt.group_shard;
    (void)pthread_mutex_init(&courier->lock, NULL); // Cannot fail without attributes.
    courier->home = cmdi_call_shard(ask->call);
    courier->home_alive = true;
    courier->go.fn = courier_on_go;
    courier->cancel.fn = courier_on_cancel_mail;
    courier->last.fn = courier_on_last;
    courier->cancelled.fn = courier_on_cancelled;
    atomic_store(&courier->refs, 2); // The group shard's side and the call's.
    cmdi_group_hold(courier->group);
    atomic_fetch_add(&courier->group->under_way, 1);
    cmdi_forward_bind(&courier->forward, ask, courier_on_cancel);
    cmdi_shard_post(group_shard->client_shard.shard, &courier->go);
}

int cmdi_courier_send(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        struct cmdi_track *track, const struct cmdi_forward_ask *ask)
{
    int code = 0;
    struct courier *courier = courier_new(group_shard, &code);
    if (courier == NULL) {
        return code;
    }
    struct cmdi_attempt *attempt = &courier->forward.attempt;
    cmdi_attempt_init(attempt, &courier_attempt_ops, group_shard, command->deadline_ms,
            cmdi_call_shard(ask->call)->clock_ns);
    attempt->track = track;
    attempt->sticky_key = ask->sticky_key;
    code = cmdi_attempt_keep(attempt, command);
    if (code < 0) {
        courier_drop(courier);
        return code;
    }
    courier_set_out(courier, ask);
    return 0;
}

int cmdi_courier_relieve(struct cmdi_group_shard *group_shard, const struct cmdi_attempt *from,
        const struct cmdi_forward_ask *ask)
{
    int code = 0;
    struct courier *courier = courier_new(group_shard, &code);
    if (courier == NULL) {
        return code;
    }
    struct cmdi_attempt *attempt = &courier->forward.attempt;
    cmdi_attempt_init(
            attempt, &courier_attempt_ops, group_shard, from->deadline_ms, from->begun_ns);
    attempt->track = from->track;
    attempt->sticky_key = from->sticky_key;
    code = cmdi_attempt_keep_bytes(attempt, from->type, from->body, from->body_size);
    if (code < 0) {
        courier_drop(courier);
        return code;
    }
    courier_set_out(courier, ask);
    return 0;
}

/* On the attempt's shard: the courier goes on. Where it is, is under the lock for a cancellation. */
static bool courier_leave(struct cmdi_attempt *attempt)
{
    struct courier *courier = CMDI_CONTAINER(cmdi_forward_of(attempt), struct courier, forward);
    struct cmdi_group_shard *other = cmdi_forward_find_other(attempt);
    pthread_mutex_lock(&courier->lock);
    bool leaves = other != NULL && courier->home_alive; // Else a mail is on its way here.
    if (leaves) {
        atomic_fetch_add(&courier->group->under_way, 1);
        cmdi_attempt_take_out(attempt);
        attempt->group_shard = other;
        cmdi_shard_post(other->client_shard.shard, &courier->go);
    }
    pthread_mutex_unlock(&courier->lock);
    return leaves;
}
