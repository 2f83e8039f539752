/* SPDX-License-Identifier: MIT */
/*
 * Commands that may be sent again. See resend.h.
 *
 * Why it ends once: somebody holds it at each moment, a client to which it was sent, its attempt, or
 * the list of those that rest, and each of these reports one last result. That report is either the
 * beginning of the next try or, in resend_end(), the end.
 *
 * Why it rests: a server that ends takes all connections with it, and the shard learns of one before
 * the others. At once, the only other try would go to one of those.
 */
#include "group/resend.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "client/count.h"
#include "group/breaker.h"
#include "group/health.h"
#include "group/ref.h"
#include "group/send.h"

enum {
    RESEND_REST_MS = 10,
};

static void resend_on_attempt(struct cmdi_attempt *attempt, const struct cmds_result *result);
static void resend_end(struct cmdi_resend *resend, const struct cmds_result *result);
static void resend_on_result(void *context, const struct cmds_result *result);

/* --- Memory ----------------------------------------------------------------------------------- */

/* Its body is charged for as long as it is kept: an attempt of it charges nothing. */
static bool resend_charge(struct cmdi_attempt *attempt, size_t size)
{
    (void)attempt;
    (void)size;
    return true;
}

static void resend_uncharge(struct cmdi_attempt *attempt, size_t size)
{
    (void)attempt;
    (void)size;
}

static const struct cmdi_attempt_ops resend_attempt_ops = {
        .on_result = resend_on_attempt,
        .charge = resend_charge,
        .uncharge = resend_uncharge,
};

/* Returns: 0; -ENOBUFS: the shard's memory is short; -ENOMEM. */
static int resend_make_body(struct cmdi_resend *resend, size_t size)
{
    resend->body = resend->attempt.small;
    resend->body_size = size;
    if (size <= sizeof(resend->attempt.small)) {
        return 0;
    }
    if (!cmdi_account_charge_shared(resend->account, size)) {
        return cmdi_account_refusal(resend->account, size);
    }
    resend->body = malloc(size);
    if (resend->body == NULL) {
        cmdi_account_free_shared(resend->account, size);
        return -ENOMEM;
    }
    return 0;
}

static void resend_free(struct cmdi_resend *resend)
{
    CMDI_ASSERT(resend->extra == NULL);
    if (resend->body != resend->attempt.small) {
        free(resend->body);
        cmdi_account_free_shared(resend->account, resend->body_size);
    }
    cmdi_stock_give_back(&resend->stocked);
}

/* --- The beginning ---------------------------------------------------------------------------- */

int cmdi_resend_begin(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, struct cmdi_resend **out)
{
    struct cmdi_group_shard *payer = group_shard != NULL ? group_shard : group->shards[0];
    struct cmdi_stock *stock =
            group_shard != NULL ? &group_shard->resend_stock : &group->resend_stock;
    struct cmdi_resend *resend = cmdi_stock_take(stock);
    if (resend == NULL) {
        return cmdi_pool_lack(&stock->pool);
    }
    resend->group = group;
    resend->on_result = command->on_result;
    resend->context = command->context;
    resend->type = command->type;
    resend->extra = NULL;
    resend->account = &payer->client_shard.shard->buffers.account;
    resend->deadline_ms = command->deadline_ms;
    resend->begun_ns = command->begun_ns;
    resend->was_lost = false;
    resend->has_result = false;
    resend->holds = NULL;
    resend->is_resting = false;
    int code = resend_make_body(resend, command->body_size);
    if (code < 0) {
        cmdi_stock_give_back(&resend->stocked);
        return code;
    }
    const struct cmds_codec *codec = group->config->codec;
    (void)codec->encode(codec, command->type, command->value, resend->body, resend->body_size);
    command->value = NULL;
    command->body = resend->body;
    command->on_result = resend_on_result;
    command->context = resend;
    command->begun_ns = CMDI_BEGUN_ELSEWHERE; // Each send of it; it is one command.
    *out = resend;
    return 0;
}

void cmdi_resend_own(struct cmdi_resend *resend, struct cmdi_pending_extra *extra)
{
    resend->extra = extra;
    extra->owner = &resend->extra;
}

void cmdi_resend_drop(struct cmdi_resend *resend)
{
    resend_free(resend);
}

/* --- Again ------------------------------------------------------------------------------------ */

/* `result` is its last. `was_sent`: a connection had taken the command. */
static bool resend_may(
        const struct cmdi_resend *resend, const struct cmds_result *result, bool was_sent)
{
    struct cmds_group *group = resend->group;
    const struct cmds_breaker *breaker = group->tracker.breaker;
    bool is_connected = atomic_load(&group->up_count) + atomic_load(&group->connecting_count) > 0;
    uint64_t permit;
    bool is_safe = result->error == CMDS_E_NOT_SENT ||
                   (result->error == CMDS_E_LOST && !resend->was_lost &&
                           (resend->type->flags & CMDS_TYPE_IDEMPOTENT) != 0);
    return is_safe && was_sent && is_connected && !resend->has_result &&
           !cmdi_group_is_closing(group) &&
           resend->deadline_ms > cmdi_shard_clock_ms(cmdi_shard_current()) &&
           (breaker == NULL || cmdi_breaker_passes(breaker, &permit));
}

static void resend_hold(struct cmdi_resend *resend, struct cmdi_group_shard *here)
{
    CMDI_ASSERT(resend->holds == NULL || resend->holds == here);
    if (resend->holds == NULL) {
        here->hold_count++;
        resend->holds = here;
        cmdi_client_shard_count_again(&here->client_shard);
    }
}

/* It is held no longer: what was its place is another one's. */
static void resend_let_go(struct cmdi_group_shard *holds)
{
    cmdi_client_shard_uncount_again(&holds->client_shard);
    cmdi_group_shard_drop(holds);
}

/* --- Those that rest -------------------------------------------------------------------------- */

static void resend_on_end(void *context, const struct cmds_result *result)
{
    resend_end(context, result);
}

/* It was counted as pending: what `fn` does is counted before that ends. */
static void resend_stop_resting(
        struct cmdi_resend *resend, cmds_result_fn fn, int code, const char *text)
{
    struct cmdi_client_shard *client_shard = &resend->holds->client_shard;
    struct cmds_result result = {
            .error = code, .last = true, .text = text != NULL ? text : cmds_error_text(code)};
    CMDI_ASSERT(resend->is_resting);
    resend->is_resting = false;
    cmdi_list_remove(&resend->link);
    cmdi_shard_timer_off(client_shard->shard, &resend->timer);
    cmdi_client_shard_tell(client_shard, fn, resend, &result, true);
}

static void resend_on_forget(struct cmdi_pending_extra *extra)
{
    struct cmdi_resend *resend = CMDI_CONTAINER(extra->owner, struct cmdi_resend, extra);
    if (resend->is_resting) {
        resend_stop_resting(resend, resend_on_end, CMDS_E_CANCELLED, NULL);
    } else {
        cmdi_attempt_forget(&resend->attempt);
    }
}

void cmdi_resend_end_resting(struct cmdi_group_shard *group_shard, int code, const char *text)
{
    while (!cmdi_list_empty(&group_shard->resting)) {
        struct cmdi_resend *resend =
                CMDI_CONTAINER(group_shard->resting.next, struct cmdi_resend, link);
        resend_stop_resting(resend, resend_on_end, code, text);
    }
}

/*
 * To a connection that is up, of another shard; without any in the whole group behind one of this shard's
 * that is coming up, from where it is handed over to whichever is up first. Returns: as a send.
 */
static int resend_send(struct cmdi_group_shard *here, struct cmdi_command *command)
{
    struct cmdi_client *client = NULL;
    int code = cmdi_group_send_moved(&here->clients[0], command);
    if (code == CMDS_E_NOT_CONNECTED && here->up_count == 0) {
        code = cmdi_group_shard_send(here, command, 0, &client);
    }
    return code;
}

/* Where no connection is up. Returns: true: a client has it now. */
static bool resend_elsewhere(struct cmdi_resend *resend, struct cmdi_group_shard *here)
{
    struct cmdi_group_shard *holds = resend->holds;
    struct cmdi_command command = {
            .type = resend->type,
            .place = cmdi_type_table_of(&here->group->commands, resend->type)->place,
            .body = resend->body,
            .body_size = resend->body_size,
            .on_result = resend_on_result,
            .context = resend,
            .deadline_ms = resend->deadline_ms,
            .begun_ns = CMDI_BEGUN_ELSEWHERE,
            .extra = resend->extra,
    };
    if (here->up_count > 0 &&
            !(cmdi_group_is_watched(here->group) && cmdi_group_shard_is_out(here))) {
        return false;
    }
    if (resend->extra != NULL) {
        resend->extra->on_forget = NULL; // The client finds it.
    }
    resend->holds = NULL; // Before another thread may have it.
    if (resend_send(here, &command) < 0) {
        resend->holds = holds;
        return false;
    }
    if (holds != NULL) {
        resend_let_go(holds);
    }
    return true;
}

/* By an attempt of this shard, which may wait here. It may end inside this. */
static void resend_here(struct cmdi_resend *resend, struct cmdi_group_shard *here)
{
    struct cmdi_attempt *attempt = &resend->attempt;
    resend_hold(resend, here);
    cmdi_attempt_init(
            attempt, &resend_attempt_ops, here, resend->deadline_ms, CMDI_BEGUN_ELSEWHERE);
    attempt->type = resend->type;
    attempt->body = resend->body;
    attempt->body_size = resend->body_size;
    attempt->is_borrowed = true;
    attempt->extra = resend->extra;
    if (resend->extra != NULL) {
        resend->extra->on_forget = resend_on_forget;
    }
    cmdi_attempt_begin_kept(attempt);
}

static void resend_go(struct cmdi_resend *resend, struct cmdi_group_shard *here)
{
    CMDI_COUNT(&here->client_shard.counters, commands_resent, 1);
    if (!resend_elsewhere(resend, here)) {
        resend_here(resend, here);
    }
}

static void resend_on_rested(void *context, const struct cmds_result *result)
{
    struct cmdi_resend *resend = context;
    (void)result;
    resend_go(resend, resend->holds);
}

static void resend_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_resend *resend = CMDI_CONTAINER(timer, struct cmdi_resend, timer);
    if (resend->deadline_ms > now_ms) {
        resend_stop_resting(resend, resend_on_rested, CMDS_E_LOST, NULL);
    } else {
        CMDI_COUNT(&resend->holds->client_shard.counters, deadlines, 1);
        resend_stop_resting(resend, resend_on_end, CMDS_E_TIMEOUT, NULL);
    }
}

static void resend_rest(struct cmdi_resend *resend, struct cmdi_group_shard *here)
{
    struct cmdi_shard *shard = here->client_shard.shard;
    uint64_t at_ms = cmdi_shard_clock_ms(shard) + RESEND_REST_MS;
    resend_hold(resend, here);
    resend->is_resting = true;
    cmdi_list_init(&resend->link);
    cmdi_list_push(&here->resting, &resend->link);
    cmdi_client_shard_count(&here->client_shard);
    cmdi_timer_init(&resend->timer, resend_on_timer);
    cmdi_shard_timer(
            shard, &resend->timer, at_ms < resend->deadline_ms ? at_ms : resend->deadline_ms);
    if (resend->extra != NULL) {
        resend->extra->on_forget = resend_on_forget;
    }
}

static void resend_again(struct cmdi_resend *resend, const struct cmds_result *result)
{
    struct cmdi_group_shard *here = resend->group->shards[cmdi_shard_current()->index];
    if (result->error == CMDS_E_LOST) {
        resend->was_lost = true;
        resend_rest(resend, here);
    } else {
        resend_go(resend, here);
    }
}

/* --- The end ---------------------------------------------------------------------------------- */

static void resend_count_result(struct cmdi_resend *resend, const struct cmds_result *result)
{
    struct cmdi_client_shard *here =
            &resend->group->shards[cmdi_shard_current()->index]->client_shard;
    if (result->type != NULL) {
        cmdi_client_count_result(here, cmdi_client_place(here, resend->type->number),
                cmdi_client_result_place(here, result->type->number),
                cmdi_client_header_size(here, result) + result->size, resend->begun_ns);
    }
}

/* `result` is the last. The ticket may say that it was forgotten. */
static void resend_end(struct cmdi_resend *resend, const struct cmds_result *result)
{
    struct cmdi_group_shard *holds = resend->holds;
    cmds_result_fn on_result = resend->on_result;
    void *context = resend->context;
    struct cmds_result last = *result;
    if (last.error == CMDS_E_NOT_ALLOWED) {
        last.error = CMDS_E_NOT_SENT; // Again, that is, by breakers of endpoints.
    }
    if (resend->was_lost && last.error == CMDS_E_NOT_SENT) {
        last.error = CMDS_E_LOST; // Not this time, but it was: it may have been executed.
    }
    if (resend->extra != NULL && cmdi_extra_close(&resend->group->tickets, resend->extra)) {
        last.error = CMDS_E_CANCELLED;
        last.text = cmds_error_text(CMDS_E_CANCELLED);
    }
    if (last.error == 0) {
        resend_count_result(resend, &last);
    }
    cmdi_client_count_end(&resend->group->shards[cmdi_shard_current()->index]->client_shard,
            resend->type->number, last.error, resend->begun_ns);
    resend_free(resend);
    on_result(context, &last);
    if (holds != NULL) {
        resend_let_go(holds); // Now: the result was in the group shard's memory.
    }
}

static void resend_tell(struct cmdi_resend *resend, const struct cmds_result *result, bool was_sent)
{
    if (!result->last) {
        resend->has_result = true;
        resend_count_result(resend, result);
        resend->on_result(resend->context, result);
    } else if (CMDI_UNLIKELY(resend_may(resend, result, was_sent))) {
        resend_again(resend, result);
    } else {
        resend_end(resend, result);
    }
}

/* Of a connection to which it was sent without an attempt. */
static void resend_on_result(void *context, const struct cmds_result *result)
{
    resend_tell(context, result, true);
}

static void resend_on_attempt(struct cmdi_attempt *attempt, const struct cmds_result *result)
{
    bool was_sent = attempt->state == CMDI_ATTEMPT_SENT;
    if (result->last) {
        cmdi_attempt_fini(attempt);
    }
    resend_tell(CMDI_CONTAINER(attempt, struct cmdi_resend, attempt), result, was_sent);
}
