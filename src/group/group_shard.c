/* SPDX-License-Identifier: MIT */
/*
 * The life of a group's part on one shard: it is made with its clients, mail tells it what to do, and
 * it passes on what its clients report.
 */
#include "group/group_shard.h"

#include <stdlib.h>

#include "base/assert.h"
#include "client/finish.h"
#include "client/handover.h"
#include "client/life.h"
#include "client/room.h"
#include "group/attempt.h"
#include "group/connection.h"
#include "group/forward.h"
#include "group/health.h"
#include "group/ref.h"
#include "group/resend.h"
#include "group/room.h"
#include "group/send.h"
#include "group/wait.h"

enum {
    GROUP_SHARD_HAND_OVER_MS = 10, // What no other connection had room for is offered again.
};

/* --- Which clients take commands -------------------------------------------------------------- */

static void group_shard_count_state(
        struct cmdi_group_shard *group_shard, enum cmdi_client_state state, uint32_t more)
{
    struct cmds_group *group = group_shard->group;
    if (state == CMDI_CLIENT_UP) {
        group_shard->up_count += more;
        atomic_fetch_add(&group->up_count, more);
    } else if (state < CMDI_CLIENT_UP) {
        group_shard->connecting_count += more;
        atomic_fetch_add(&group->connecting_count, more);
    }
    group_shard->all_up = group_shard->up_count == group_shard->client_count;
}

void cmdi_group_shard_recount(struct cmdi_group_shard *group_shard, struct cmdi_client *client)
{
    enum cmdi_client_state was = client->counted_as;
    client->counted_as = cmdi_client_state(client);
    /* In this order: in between the group must not look as if no connection were left. */
    group_shard_count_state(group_shard, client->counted_as, 1);
    group_shard_count_state(group_shard, was, (uint32_t)-1);
    CMDI_ASSERT(group_shard->up_count <= group_shard->client_count);
    CMDI_ASSERT(group_shard->connecting_count <= group_shard->client_count - group_shard->up_count);
}

/* --- What clients tell ------------------------------------------------------------------------ */

/* What the client's state says of its endpoint. A name is looked up again if it failed. */
static void group_shard_judge_endpoint(
        struct cmds_group *group, const struct cmdi_client *client, enum cmdi_client_state was)
{
    bool was_up = was == CMDI_CLIENT_UP || was == CMDI_CLIENT_LEAVING;
    struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    enum cmdi_client_state state = cmdi_client_state(client);
    if (endpoint == NULL || client->is_closing) {
        return;
    }
    if (state == CMDI_CLIENT_UP) {
        cmdi_endpoint_succeeded(endpoint);
    } else if (state == CMDI_CLIENT_WAITING || state == CMDI_CLIENT_DOWN) {
        cmdi_endpoint_failed(endpoint, &client->round_error);
        if (!was_up || client->has_lost) {
            cmdi_group_connection_failed(group, client);
        }
    }
    if ((state == CMDI_CLIENT_WAITING || state == CMDI_CLIENT_RESOLVE) &&
            cmdi_endpoints_failed(
                    &group->endpoints, endpoint, cmdi_client_shard_now_ms(client->client_shard))) {
        cmdi_group_shard_nudge(group->shards[0], CMDI_NUDGE_LOOK_UP);
    }
}

static void group_shard_on_state(struct cmdi_client *client)
{
    struct cmdi_group_shard *group_shard = cmdi_group_shard_of(client);
    struct cmds_group *group = group_shard->group;
    bool was_any_up = atomic_load(&group->up_count) > 0;
    enum cmdi_client_state was = client->counted_as;
    cmdi_group_shard_recount(group_shard, client);
    cmdi_connection_changed(group, client);
    if (!cmdi_group_shard_is_usable(group_shard) && !group_shard->closing) {
        cmdi_attempt_leave(group_shard);
        cmdi_attempt_end_waiting(group_shard, CMDS_E_NOT_SENT, client->error.text);
    }
    if (!group_shard->closing) {
        /* Whoever waits for room finds it, or learns that there will be none. */
        cmdi_shard_flush(group_shard->client_shard.shard, &group_shard->room_work);
    }
    if (!was_any_up && cmdi_client_is_up(client)) {
        cmdi_group_nudge_all(group, CMDI_NUDGE_ROOM); // What waits elsewhere has a way out.
    }
    group_shard_judge_endpoint(group, client, was);
    cmdi_group_wake(group);
}

static struct cmdi_endpoint *group_shard_on_stranger(struct cmdi_client *client)
{
    struct cmds_group *group = cmdi_group_shard_of(client)->group;
    struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    cmdi_endpoint_failed(endpoint, &client->round_error);
    return cmdi_endpoints_turn_away(&group->endpoints, endpoint, client->number);
}

static void group_shard_on_unexpected(struct cmdi_client *client, const struct cmds_result *result)
{
    const struct cmds_group_options *options = &cmdi_group_shard_of(client)->group->options;
    if (options->on_unexpected != NULL) {
        options->on_unexpected(options->context, result);
    }
}

static void group_shard_on_room(struct cmdi_client_shard *client_shard)
{
    struct cmdi_group_shard *group_shard =
            CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard);
    if (!group_shard->closing) {
        cmdi_shard_flush(client_shard->shard, &group_shard->room_work);
    }
}

static bool group_shard_owes_room(const struct cmdi_group_shard *group_shard)
{
    bool owes = false;
    for (int i = 0; i < CMDI_ROOM_COUNT; i++) {
        owes |= atomic_load(&group_shard->refused[i]) != SIZE_MAX;
    }
    return owes;
}

static void group_shard_tell_room(struct cmdi_group_shard *group_shard)
{
    const struct cmds_group *group = group_shard->group;
    /* Before on_writable: a send that is refused from here on is a new one, and owed again. */
    for (int i = 0; i < CMDI_ROOM_COUNT; i++) {
        atomic_store(&group_shard->refused[i], SIZE_MAX);
    }
    if (group->owner_ops.on_room != NULL) {
        group->owner_ops.on_room(group->owner_ops.context);
    }
    if (group->options.on_writable != NULL) {
        group->options.on_writable(group->options.context);
    }
}

/* To any shard, but for an attempt, whose maker is on this one. */
static int group_shard_send_moved(struct cmdi_client *client, struct cmdi_command *command)
{
    struct cmdi_pass *pass = cmdi_guard_unwrap(command);
    int code = command->on_result == cmdi_attempt_on_result
                       ? cmdi_attempt_move(command)
                       : cmdi_group_send_moved(client, command);
    if (code == 0) {
        cmdi_guard_drop(pass); // Its permit is now that of the endpoint to which it went.
    }
    return code;
}

/*
 * Commands that wait for a connection that is not up go to one that is. Those for which there is no room
 * are offered again when there is some here, and soon: of room on other shards nobody tells.
 */
static void group_shard_hand_over(struct cmdi_group_shard *group_shard)
{
    struct cmdi_client_shard *client_shard = &group_shard->client_shard;
    bool stays = false;
    if (group_shard->connecting_count == 0 || atomic_load(&group_shard->group->up_count) == 0) {
        return;
    }
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        struct cmdi_client *client = group_shard->list[i];
        if (!cmdi_client_is_up(client)) {
            cmdi_client_hand_over(client, group_shard_send_moved);
            stays |= cmdi_queue_size(&client->backlog) > 0;
        }
    }
    if (stays) {
        client_shard->wants_room = true;
        cmdi_shard_timer(client_shard->shard, &group_shard->hand_over_timer,
                cmdi_client_shard_now_ms(client_shard) + GROUP_SHARD_HAND_OVER_MS);
    }
}

static void group_shard_on_hand_over(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct cmdi_group_shard *group_shard =
            CMDI_CONTAINER(timer, struct cmdi_group_shard, hand_over_timer);
    (void)now_ms;
    cmdi_shard_flush(group_shard->client_shard.shard, &group_shard->room_work);
}

static void group_shard_look_for_room(struct cmdi_group_shard *group_shard)
{
    group_shard->client_shard.wants_room = false;
    if (!group_shard->closing) {
        group_shard_hand_over(group_shard);
    }
    cmdi_attempt_feed(group_shard);
    if (group_shard_owes_room(group_shard)) {
        bool none_left = !cmdi_group_shard_is_usable(group_shard);
        if (none_left || cmdi_group_shard_has_room(group_shard)) {
            group_shard_tell_room(group_shard);
        } else {
            group_shard->client_shard.wants_room = true;
        }
    }
    if (group_shard->client_shard.wants_room) {
        cmdi_group_shard_want_room(group_shard);
    }
}

/* At the end of a turn in which room was made for somebody who was refused. */
static void group_shard_run_room(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    group_shard_look_for_room(CMDI_CONTAINER(work, struct cmdi_group_shard, room_work));
}

static void group_shard_run_memory(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    group_shard_look_for_room(CMDI_CONTAINER(work, struct cmdi_group_shard, memory_work));
}

static void group_shard_on_idle(struct cmdi_client_shard *client_shard)
{
    client_shard->wants_idle = false; // A waiter that still finds commands pending sets it again.
    cmdi_group_wake(CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard)->group);
}

static void group_shard_hold(struct cmdi_client_shard *client_shard)
{
    cmdi_group_hold(CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard)->group);
}

static void group_shard_release(struct cmdi_client_shard *client_shard)
{
    cmdi_group_leave(CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard)->group);
}

static void group_shard_on_closed(struct cmdi_client *client)
{
    cmdi_group_shard_drop(cmdi_group_shard_of(client));
}

const struct cmdi_client_ops cmdi_group_shard_client_ops = {
        .on_state = group_shard_on_state,
        .on_stranger = group_shard_on_stranger,
        .on_timeout = cmdi_group_shard_on_timeout,
        .on_answer = cmdi_group_shard_on_answer,
        .on_unexpected = group_shard_on_unexpected,
        .on_room = group_shard_on_room,
        .on_backlog = group_shard_on_room,
        .on_idle = group_shard_on_idle,
        .on_closed = group_shard_on_closed,
        .hold = group_shard_hold,
        .release = group_shard_release,
};

/* --- Nudges ----------------------------------------------------------------------------------- */

/* Told once. */
static void group_shard_close(struct cmdi_group_shard *group_shard)
{
    CMDI_ASSERT(!group_shard->closing && group_shard->hold_count > 0);
    group_shard->closing = true;
    cmdi_shard_timer_off(group_shard->client_shard.shard, &group_shard->look_up_timer);
    cmdi_shard_timer_off(group_shard->client_shard.shard, &group_shard->hand_over_timer);
    cmdi_attempt_end_waiting(group_shard, CMDS_E_CLOSED, "the group was closed");
    cmdi_resend_end_resting(group_shard, CMDS_E_CLOSED, "the group was closed");
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        cmdi_client_close(&group_shard->clients[i], group_shard->group->linger_ms);
    }
    cmdi_group_shard_drop(group_shard); // The count that it was made with.
}

bool cmdi_group_wants_turns(struct cmds_group *group)
{
    const struct cmds_dispatch *dispatch = group->options.dispatch;
    return dispatch == &cmds_dispatch_round_robin ||
           (dispatch == NULL && cmdi_endpoints_count(&group->endpoints) <= 1);
}

/* Each client learns where it is to go by now. */
static void group_shard_assign(struct cmdi_group_shard *group_shard)
{
    struct cmds_group *group = group_shard->group;
    struct cmdi_endpoints *endpoints = &group->endpoints;
    uint32_t version = atomic_load(&group->list_version);
    group_shard->takes_turns = cmdi_group_wants_turns(group);
    /* One of them, so that the last one to write knows the last list. */
    if (group_shard == group->shards[0]) {
        atomic_store(&group->takes_turns, group_shard->takes_turns);
    }
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        struct cmdi_client *client = &group_shard->clients[i];
        struct cmds_error error = CMDS_ERROR_INIT;
        struct cmdi_endpoint *endpoint = cmdi_endpoints_of(endpoints, client->number, &error);
        cmdi_client_assign(client, endpoint, &error);
        cmdi_endpoint_unref(endpoint);
    }
    atomic_store(&group_shard->list_seen, version);
    cmdi_group_wake(group);
}

static void group_shard_say_news(struct cmdi_group_shard *group_shard)
{
    struct cmdi_shard *shard = group_shard->client_shard.shard;
    struct cmdi_endpoints *endpoints = &group_shard->group->endpoints;
    struct cmds_error error = CMDS_ERROR_INIT;
    uint32_t news = cmdi_endpoints_heard(endpoints, &error);
    uint32_t count = cmdi_endpoints_count(endpoints);
    if ((news & CMDI_NEWS_FAILS) != 0) {
        cmdi_shard_log(shard, CMDS_REASON_ENDPOINTS, CMDS_LOG_WARN,
                "endpoints: %s; the %u that are known stay", error.text, (unsigned)count);
    }
    if ((news & CMDI_NEWS_WORKS) != 0) {
        cmdi_shard_log(
                shard, CMDS_REASON_ENDPOINTS, CMDS_LOG_INFO, "endpoints: lookups work again");
    }
    if ((news & CMDI_NEWS_LIST) != 0) {
        cmdi_shard_log(
                shard, CMDS_REASON_ENDPOINTS, CMDS_LOG_INFO, "endpoints: %u now", (unsigned)count);
    }
}

static void group_shard_look_up(struct cmdi_group_shard *group_shard)
{
    struct cmdi_shard *shard = group_shard->client_shard.shard;
    uint64_t now_ms = cmdi_client_shard_now_ms(&group_shard->client_shard);
    uint64_t due_ms = cmdi_endpoints_run(&group_shard->group->endpoints, now_ms);
    cmdi_shard_timer_off(shard, &group_shard->look_up_timer);
    if (due_ms != UINT64_MAX) {
        cmdi_shard_timer(shard, &group_shard->look_up_timer, due_ms);
    }
    group_shard_say_news(group_shard);
}

static void group_shard_on_look_up(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    group_shard_look_up(CMDI_CONTAINER(timer, struct cmdi_group_shard, look_up_timer));
}

/* A client has the command, or an attempt that waits here. */
static void group_shard_forget(struct cmdi_ticket *ticket)
{
    struct cmdi_pending_extra *extra = CMDI_CONTAINER(ticket, struct cmdi_pending_extra, ticket);
    if (extra->on_forget != NULL) {
        extra->on_forget(extra);
    } else {
        cmdi_client_forget_ticket(ticket->client, ticket);
    }
}

static void group_shard_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_group_shard *group_shard = CMDI_CONTAINER(mail, struct cmdi_group_shard, mail);
    struct cmds_group *group = group_shard->group;
    uint32_t nudges = atomic_exchange(&group_shard->nudges, 0);
    CMDI_ASSERT(shard == group_shard->client_shard.shard && nudges != 0);
    if ((nudges & CMDI_NUDGE_TARGETS) != 0) {
        group_shard_assign(group_shard);
    }
    if ((nudges & CMDI_NUDGE_LOOK_UP) != 0 && !group_shard->closing) {
        group_shard_look_up(group_shard);
    }
    if ((nudges & CMDI_NUDGE_FORGET) != 0) {
        struct cmdi_ticket *ticket = NULL;
        while ((ticket = cmdi_tickets_pop(&group->tickets, &group_shard->forgotten)) != NULL) {
            group_shard_forget(ticket);
        }
    }
    if ((nudges & CMDI_NUDGE_ROOM) != 0 && !group_shard->closing) {
        cmdi_shard_flush(shard, &group_shard->room_work);
    }
    if ((nudges & CMDI_NUDGE_IDLE) != 0) {
        group_shard->client_shard.wants_idle = true;
        if (atomic_load(&group_shard->client_shard.pending) == 0) {
            group_shard_on_idle(&group_shard->client_shard);
        }
    }
    if ((nudges & CMDI_NUDGE_CLOSE) != 0) {
        group_shard_close(group_shard);
    }
    cmdi_group_leave(group);
}

/* --- Memory ----------------------------------------------------------------------------------- */

void cmdi_group_shard_free(struct cmdi_group_shard *group_shard)
{
    if (group_shard == NULL) {
        return;
    }
    CMDI_ASSERT(atomic_load(&group_shard->nudges) == 0 && group_shard->picker.dispatch == NULL);
    CMDI_ASSERT(cmdi_list_empty(&group_shard->waiting));
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        cmdi_client_fini(&group_shard->clients[i]);
    }
    cmdi_stock_fini(&group_shard->track_stock);
    cmdi_stock_fini(&group_shard->resend_stock);
    cmdi_stock_fini(&group_shard->pass_stock);
    free(group_shard->clients);
    free(group_shard->list);
    free(group_shard);
}

/* Clients number `index`, `index` + shard_count, ... */
struct cmdi_group_shard *cmdi_group_shard_create(struct cmds_group *group, uint32_t index)
{
    uint32_t total = group->options.client_count;
    uint32_t stride = group->runtime->shard_count;
    uint32_t count = index < total ? (total - index + stride - 1) / stride : 0;
    struct cmdi_group_shard *group_shard = aligned_alloc(64, (sizeof(*group_shard) + 63) / 64 * 64);
    if (group_shard == NULL) {
        return NULL;
    }
    // One count for each client, and one that the close gives back.
    *group_shard = (struct cmdi_group_shard){
            .group = group, .hold_count = count + 1, .connecting_count = count};
    for (int i = 0; i < CMDI_ROOM_COUNT; i++) {
        atomic_store(&group_shard->refused[i], SIZE_MAX);
    }
    cmdi_client_shard_init(
            &group_shard->client_shard, group->runtime->shards[index], group->config);
    uint64_t windows = (uint64_t)count * group->options.in_flight_max;
    group_shard->client_shard.again_max = windows < UINT32_MAX ? (uint32_t)windows : UINT32_MAX;
    cmdi_pool_init(&group_shard->forward_pool, cmdi_forward_size());
    cmdi_pool_charge_to(
            &group_shard->forward_pool, &group_shard->client_shard.shard->buffers.account);
    cmdi_stock_init(&group_shard->track_stock, cmdi_track_size(&group->tracker),
            group_shard->client_shard.shard);
    cmdi_stock_init(&group_shard->resend_stock, sizeof(struct cmdi_resend),
            group_shard->client_shard.shard);
    cmdi_stock_init(&group_shard->pass_stock, cmdi_pass_size(), group_shard->client_shard.shard);
    cmdi_work_init(&group_shard->room_work, group_shard_run_room);
    cmdi_work_init(&group_shard->memory_work, group_shard_run_memory);
    cmdi_list_init(&group_shard->waiting);
    cmdi_list_init(&group_shard->resting);
    cmdi_list_init(&group_shard->forgotten);
    group_shard->mail.fn = group_shard_on_mail;
    cmdi_timer_init(&group_shard->look_up_timer, group_shard_on_look_up);
    cmdi_timer_init(&group_shard->hand_over_timer, group_shard_on_hand_over);
    group_shard->clients = calloc(count > 0 ? count : 1, sizeof(*group_shard->clients));
    group_shard->list = calloc(count > 0 ? count : 1, sizeof(struct cmdi_client *));
    if (group_shard->clients == NULL || group_shard->list == NULL) {
        cmdi_group_shard_free(group_shard);
        return NULL;
    }
    group_shard->client_count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = index + i * stride;
        cmdi_client_init(&group_shard->clients[i], &group_shard->client_shard, number);
        group_shard->list[i] = &group_shard->clients[i];
        group->clients[number] = &group_shard->clients[i];
    }
    return group_shard;
}
