/* SPDX-License-Identifier: MIT */
/*
 * Attempts. See attempt.h.
 *
 * Why each ends exactly once: an attempt is counted by whoever will tell its end. While it waits
 * that is the attempt itself; with the send it is the client, to which it gives its callback.
 * Each way out of WAITING takes it out of the list and stops its timer first, so that no other way
 * finds it there.
 */
#include "group/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "client/count.h"
#include "client/finish.h"
#include "group/ref.h"
#include "group/room.h"
#include "group/send.h"

#define ATTEMPT_BIT(state) (1u << CMDI_ATTEMPT_##state)

static const uint8_t attempt_moves[] = {
        [CMDI_ATTEMPT_NEW] = ATTEMPT_BIT(WAITING) | ATTEMPT_BIT(SENT) | ATTEMPT_BIT(ENDING),
        // NEW: it goes on with another shard.
        [CMDI_ATTEMPT_WAITING] = ATTEMPT_BIT(NEW) | ATTEMPT_BIT(SENT) | ATTEMPT_BIT(ENDING),
        [CMDI_ATTEMPT_SENT] = 0,
        [CMDI_ATTEMPT_ENDING] = 0,
};

static void attempt_move(struct cmdi_attempt *attempt, enum cmdi_attempt_state next)
{
    CMDI_ASSERT((attempt_moves[attempt->state] & (1u << next)) != 0);
    attempt->state = next;
}

static struct cmdi_shard *attempt_shard(const struct cmdi_attempt *attempt)
{
    return attempt->group_shard->client_shard.shard;
}

void cmdi_attempt_free_body(struct cmdi_attempt *attempt)
{
    if (attempt->body != NULL && attempt->body != attempt->small && !attempt->is_borrowed) {
        free(attempt->body);
        attempt->ops->uncharge(attempt, attempt->body_size);
    }
    attempt->body = NULL;
}

/* --- The end ---------------------------------------------------------------------------------- */

static struct cmds_result attempt_error_result(int code, const char *text)
{
    return (struct cmds_result){
            .error = code, .last = true, .text = text != NULL ? text : cmds_error_text(code)};
}

/* Hooks and breaker first: with `last` the attempt may be gone then. */
static void attempt_tell(struct cmdi_attempt *attempt, const struct cmds_result *result)
{
    if (CMDI_UNLIKELY(attempt->track != NULL)) {
        cmdi_track_see(attempt->track, result);
    }
    attempt->ops->on_result(attempt, result);
}

void cmdi_attempt_on_result(void *context, const struct cmds_result *result)
{
    struct cmdi_attempt *attempt = context;
    CMDI_ASSERT_SLOW(attempt->state == CMDI_ATTEMPT_SENT || attempt->state == CMDI_ATTEMPT_ENDING);
    attempt_tell(attempt, result);
}

/* Out of the list of those that wait; it stays counted as pending, and has its body. */
static void attempt_unlist(struct cmdi_attempt *attempt, enum cmdi_attempt_state next)
{
    CMDI_ASSERT(attempt->state == CMDI_ATTEMPT_WAITING);
    cmdi_list_remove(&attempt->link);
    cmdi_shard_timer_off(attempt_shard(attempt), &attempt->timer);
    attempt_move(attempt, next);
}

static void attempt_stop_waiting(struct cmdi_attempt *attempt, enum cmdi_attempt_state next)
{
    attempt_unlist(attempt, next);
    cmdi_attempt_free_body(attempt);
}

void cmdi_attempt_take_out(struct cmdi_attempt *attempt)
{
    struct cmds_group *group = attempt->group_shard->group;
    attempt_unlist(attempt, CMDI_ATTEMPT_NEW);
    atomic_fetch_add(&group->moves, 1); // It is under way, and still counted here.
    cmdi_client_shard_counted_twice(&attempt->group_shard->client_shard);
}

/* No client has it. */
static void attempt_count_end(struct cmdi_attempt *attempt, int code)
{
    cmdi_client_count_end(
            &attempt->group_shard->client_shard, attempt->type->number, code, attempt->begun_ns);
}

/*
 * One that was counted ends without having been sent. That may be the end of the group_shard, but
 * not of its memory.
 */
static void attempt_fail(struct cmdi_attempt *attempt, int code, const char *text)
{
    struct cmds_result result = attempt_error_result(code, text);
    CMDI_ASSERT(attempt->state == CMDI_ATTEMPT_ENDING);
    attempt_count_end(attempt, code);
    cmdi_client_shard_tell(
            &attempt->group_shard->client_shard, cmdi_attempt_on_result, attempt, &result, true);
}

void cmdi_attempt_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmdi_attempt *attempt = CMDI_CONTAINER(timer, struct cmdi_attempt, timer);
    CMDI_COUNT(&attempt->group_shard->client_shard.counters, deadlines, 1);
    attempt_stop_waiting(attempt, CMDI_ATTEMPT_ENDING);
    attempt_fail(attempt, CMDS_E_TIMEOUT, "no connection had room within the deadline");
}

void cmdi_attempt_on_work(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    attempt_fail(CMDI_CONTAINER(work, struct cmdi_attempt, work), CMDS_E_CANCELLED, NULL);
}

void cmdi_attempt_forget(struct cmdi_attempt *attempt)
{
    if (attempt->state == CMDI_ATTEMPT_WAITING) {
        attempt_stop_waiting(attempt, CMDI_ATTEMPT_ENDING);
        cmdi_shard_ready(attempt_shard(attempt), &attempt->work);
    } else if (attempt->state == CMDI_ATTEMPT_SENT) {
        /* -ENOENT: its last result is being reported. */
        (void)cmdi_client_forget(attempt->client, attempt->sequence);
    }
}

/* --- The beginning ---------------------------------------------------------------------------- */

/* Without a connection that is up it waits here: behind one of them it would have to wait for it. */
static int attempt_send(struct cmdi_attempt *attempt, const struct cmdi_command *command)
{
    const struct cmdi_group_shard *group_shard = attempt->group_shard;
    if (group_shard->up_count == 0) {
        return cmdi_group_shard_is_usable(group_shard) ? -ENOBUFS : CMDS_E_NOT_CONNECTED;
    }
    int code = cmdi_group_shard_send(
            attempt->group_shard, command, attempt->sticky_key, &attempt->client);
    if (CMDI_LIKELY(code == 0)) {
        attempt->sequence = attempt->client->sequence;
        if (attempt->extra != NULL) {
            attempt->extra->on_forget = NULL; // The client finds it.
        }
    }
    return code;
}

static void attempt_wait(struct cmdi_attempt *attempt)
{
    struct cmdi_group_shard *group_shard = attempt->group_shard;
    CMDI_ASSERT(attempt->body != NULL);
    attempt_move(attempt, CMDI_ATTEMPT_WAITING);
    cmdi_list_push(&group_shard->waiting, &attempt->link);
    cmdi_client_shard_count(&group_shard->client_shard);
    cmdi_group_shard_want_room(group_shard);
    if (attempt->deadline_ms != UINT64_MAX) {
        cmdi_shard_timer(attempt_shard(attempt), &attempt->timer, attempt->deadline_ms);
    }
}

/* Room for it. Returns: 0; -ENOBUFS, -ENOMEM. */
static int attempt_make_body(
        struct cmdi_attempt *attempt, const struct cmds_type *type, size_t size)
{
    CMDI_ASSERT(attempt->state == CMDI_ATTEMPT_NEW && attempt->body == NULL);
    attempt->type = type;
    attempt->body_size = size;
    attempt->body = attempt->small;
    if (size > sizeof(attempt->small)) {
        if (!attempt->ops->charge(attempt, size)) {
            attempt->body = NULL;
            return -ENOBUFS;
        }
        attempt->body = malloc(size);
    }
    if (attempt->body == NULL) {
        attempt->ops->uncharge(attempt, size);
        return -ENOMEM;
    }
    return 0;
}

int cmdi_attempt_keep(struct cmdi_attempt *attempt, const struct cmdi_command *command)
{
    const struct cmds_codec *codec = attempt->group_shard->client_shard.config->codec;
    int code = attempt_make_body(attempt, command->type, command->body_size);
    if (code == 0) {
        (void)codec->encode(
                codec, command->type, command->value, attempt->body, command->body_size);
    }
    return code;
}

int cmdi_attempt_keep_bytes(struct cmdi_attempt *attempt, const struct cmds_type *type,
        const uint8_t *body, size_t size)
{
    int code = attempt_make_body(attempt, type, size);
    if (code == 0) {
        memcpy(attempt->body, body, size);
    }
    return code;
}

int cmdi_attempt_begin_later(
        struct cmdi_attempt *attempt, const struct cmdi_command *command, int code)
{
    if (code == -ENOBUFS && !cmdi_group_shard_is_usable(attempt->group_shard)) {
        code = CMDS_E_NOT_CONNECTED;
    }
    code = code == -ENOBUFS ? cmdi_attempt_keep(attempt, command) : code;
    if (code == 0) {
        attempt_wait(attempt);
    }
    return code;
}

static struct cmdi_command attempt_command(struct cmdi_attempt *attempt)
{
    CMDI_ASSERT(attempt->body != NULL);
    return (struct cmdi_command){
            .type = attempt->type,
            .place = cmdi_type_table_of(&attempt->group_shard->group->commands, attempt->type)
                             ->place,
            .body = attempt->body,
            .body_size = attempt->body_size,
            .on_result = cmdi_attempt_on_result,
            .context = attempt,
            .deadline_ms = attempt->deadline_ms,
            .begun_ns = attempt->begun_ns,
            .extra = attempt->extra,
            .is_moved = attempt->extra != NULL, // Its ticket is known.
    };
}

/* What a send of a command that waited returned, as its result says it. */
static int attempt_outcome(int code)
{
    return code == CMDS_E_NOT_CONNECTED ? CMDS_E_NOT_SENT : code;
}

/* Nothing is up here any more, or yet, but elsewhere. */
static bool attempt_may_leave(const struct cmdi_attempt *attempt)
{
    const struct cmdi_group_shard *group_shard = attempt->group_shard;
    return CMDI_UNLIKELY(group_shard->up_count == 0) && attempt->ops->leave != NULL &&
           atomic_load(&group_shard->group->up_count) > 0;
}

void cmdi_attempt_begin_kept(struct cmdi_attempt *attempt)
{
    struct cmdi_command command = attempt_command(attempt);
    struct cmdi_group_shard *group_shard = attempt->group_shard;
    int code = group_shard->closing ? CMDS_E_CLOSED : -ENOBUFS;
    CMDI_ASSERT(cmdi_group_here(group_shard->group) == group_shard);
    if (code == -ENOBUFS && cmdi_list_empty(&group_shard->waiting)) {
        code = attempt_send(attempt, &command);
    }
    if (code == 0) {
        attempt_move(attempt, CMDI_ATTEMPT_SENT);
        cmdi_attempt_free_body(attempt);
    } else if (code == -ENOBUFS || (code == CMDS_E_NOT_CONNECTED && attempt_may_leave(attempt))) {
        attempt_wait(attempt);
        if (attempt_may_leave(attempt)) {
            cmdi_shard_flush(attempt_shard(attempt), &group_shard->room_work); // It came too late.
        }
    } else {
        struct cmds_result result = attempt_error_result(attempt_outcome(code), NULL);
        attempt_move(attempt, CMDI_ATTEMPT_ENDING);
        attempt_count_end(attempt, result.error);
        attempt_tell(attempt, &result); // It was never pending here.
    }
}

int cmdi_attempt_move(struct cmdi_command *command)
{
    struct cmdi_attempt *attempt = command->context;
    struct cmdi_client *client = NULL;
    CMDI_ASSERT(command->on_result == cmdi_attempt_on_result && command->extra == attempt->extra);
    CMDI_ASSERT(attempt->state == CMDI_ATTEMPT_SENT);
    if (attempt->group_shard->up_count == 0) {
        return CMDS_E_NOT_CONNECTED;
    }
    command->extra = NULL; // It is the old one's until the command is the new one's.
    int code = cmdi_group_shard_send(attempt->group_shard, command, attempt->sticky_key, &client);
    if (code == 0) {
        attempt->client = client;
        attempt->sequence = client->sequence;
        if (attempt->extra != NULL) {
            cmdi_client_adopt(client, attempt->extra);
        }
    }
    return code;
}

/* --- Those that wait -------------------------------------------------------------------------- */

static struct cmdi_attempt *attempt_first(struct cmdi_group_shard *group_shard)
{
    return CMDI_CONTAINER(group_shard->waiting.next, struct cmdi_attempt, link);
}

void cmdi_attempt_leave(struct cmdi_group_shard *group_shard)
{
    struct cmdi_list stay;
    cmdi_list_init(&stay);
    while (!group_shard->closing && !cmdi_list_empty(&group_shard->waiting)) {
        struct cmdi_attempt *attempt = attempt_first(group_shard);
        if (!attempt_may_leave(attempt) || !attempt->ops->leave(attempt)) {
            cmdi_list_remove(&attempt->link);
            cmdi_list_push(&stay, &attempt->link);
        }
    }
    if (!cmdi_list_empty(&stay)) {
        cmdi_list_take(&group_shard->waiting, &stay); // In their order.
    }
}

void cmdi_attempt_feed(struct cmdi_group_shard *group_shard)
{
    if (CMDI_UNLIKELY(group_shard->up_count == 0)) {
        cmdi_attempt_leave(group_shard);
    }
    while (!cmdi_list_empty(&group_shard->waiting)) {
        struct cmdi_attempt *attempt = attempt_first(group_shard);
        struct cmdi_command command = attempt_command(attempt);
        int code = attempt_send(attempt, &command);
        if (code == -ENOBUFS) {
            group_shard->client_shard.wants_room = true;
            return;
        }
        attempt_stop_waiting(attempt, code == 0 ? CMDI_ATTEMPT_SENT : CMDI_ATTEMPT_ENDING);
        if (code == 0) {
            cmdi_client_shard_counted_twice(&group_shard->client_shard);
        } else {
            attempt_fail(attempt, attempt_outcome(code), NULL);
        }
    }
}

void cmdi_attempt_end_waiting(struct cmdi_group_shard *group_shard, int code, const char *text)
{
    while (!cmdi_list_empty(&group_shard->waiting)) {
        struct cmdi_attempt *attempt = attempt_first(group_shard);
        attempt_stop_waiting(attempt, CMDI_ATTEMPT_ENDING);
        attempt_fail(attempt, code, text);
    }
}
