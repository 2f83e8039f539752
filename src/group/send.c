/* SPDX-License-Identifier: MIT */
/*
 * From a command to a connection: checks, dispatch, and the ways in, from a shard of the group and
 * from anywhere else.
 *
 * On a shard with connections that are up or coming up, a send stays there: no lock, no clock, no
 * wake. All other senders put the encoded command into the inbox of any connection.
 */
#include "group/send.h"

#include <errno.h>

#include "base/error.h"
#include "base/time.h"
#include "client/inbox.h"
#include "client/straight.h"
#include "codec/which.h"
#include "group/health.h"
#include "group/ref.h"
#include "group/room.h"
#include "ring/clock.h"

/* --- Which client takes a command ------------------------------------------------------------- */

/* The shard's own, as they are now. Made in its place: a copy would wait for what it is made of. */
static inline void group_shard_view(
        const struct cmdi_group_shard *group_shard, struct cmdi_dispatch_list *list)
{
    const struct cmdi_client_shard *client_shard = &group_shard->client_shard;
    list->clients = group_shard->list;
    list->count = group_shard->client_count;
    list->in_flight_max = client_shard->config->in_flight_max;
    list->now_ms = client_shard->shard->now_ms;
    list->any_up = group_shard->up_count > 0;
    list->is_watched = false;
    if (CMDI_UNLIKELY(cmdi_group_is_watched(group_shard->group))) {
        list->now_ms = cmdi_client_shard_now_ms(client_shard); // Between two turns time goes on.
        cmdi_dispatch_watch(list);
    }
}

/* Are all connections that are up barred? Then those that may come are for commands in an inbox. */
static bool group_shard_is_barred(
        const struct cmdi_group_shard *group_shard, const struct cmdi_dispatch_list *list)
{
    return CMDI_UNLIKELY(list->is_watched) && !list->any_up && group_shard->up_count > 0;
}

static bool group_list_takes(const void *source, uint32_t index)
{
    const struct cmdi_dispatch_list *list = source;
    return cmdi_dispatch_list_takes(list, list->clients[index]);
}

static bool group_takes_always(const void *source, uint32_t index)
{
    (void)source;
    (void)index;
    return true;
}

static void group_shard_show(const void *from, struct cmdi_dispatch_list *list)
{
    group_shard_view(from, list);
}

static uint32_t group_shard_ask(struct cmdi_group_shard *group_shard, uint64_t key)
{
    struct cmdi_dispatch_list list;
    group_shard_view(group_shard, &list);
    if (group_shard->takes_turns) {
        return cmdi_round_robin_pick(&group_shard->turn, list.count, group_list_takes, &list);
    }
    return group_shard->picker.short_pick(group_shard->picker.state, key, &list);
}

static inline uint32_t group_shard_pick(struct cmdi_group_shard *group_shard, uint64_t key)
{
    if (CMDI_LIKELY(group_shard->takes_turns) && cmdi_group_shard_all_take(group_shard)) {
        return cmdi_round_robin_pick(
                &group_shard->turn, group_shard->client_count, group_takes_always, NULL);
    }
    if (!group_shard->takes_turns && group_shard->picker.short_pick == NULL) {
        return cmdi_picker_pick_unseen(&group_shard->picker, key, group_shard->client_count,
                group_shard_show, group_shard);
    }
    return group_shard_ask(group_shard, key);
}

uint32_t cmdi_group_shard_pick(struct cmdi_group_shard *group_shard, uint64_t key)
{
    return group_shard_pick(group_shard, key);
}

/* Of a list that is watched: how good is what it has? */
static int group_list_rank(const struct cmdi_dispatch_list *list)
{
    return list->skip_out ? 3 : list->any_up ? 2 : list->may_come ? 1 : 0;
}

bool cmdi_group_shard_is_out(const struct cmdi_group_shard *group_shard)
{
    struct cmdi_dispatch_list own, all;
    group_shard_view(group_shard, &own);
    cmdi_group_view(group_shard->group, own.now_ms, &all);
    if (!own.is_watched || !all.is_watched) {
        return false; // Not any more.
    }
    int rank = group_shard_is_barred(group_shard, &own) ? 0 : group_list_rank(&own);
    return rank < group_list_rank(&all);
}

/* A command of this kind, with a body of this size, was refused: on_writable is owed. */
static void group_shard_refused(
        struct cmdi_group_shard *group_shard, enum cmdi_room room, size_t body_size)
{
    CMDI_ASSERT(room < CMDI_ROOM_COUNT);
    size_t smallest = atomic_load(&group_shard->refused[room]);
    while (body_size < smallest &&
            !atomic_compare_exchange_weak(&group_shard->refused[room], &smallest, body_size)) {
        // `smallest` is what somebody else has just put there.
    }
}

static bool group_shard_has_room_for(
        const struct cmdi_group_shard *group_shard, enum cmdi_room room, size_t body_size)
{
    struct cmdi_dispatch_list list;
    bool any = false;
    bool lacks_permit = room == CMDI_ROOM_HERE &&
                        CMDI_UNLIKELY(group_shard->group->guard.is_used) &&
                        !cmdi_pool_has_room(&group_shard->pass_stock.pool);
    group_shard_view(group_shard, &list);
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        if (group_list_takes(&list, i)) {
            any = true;
            if (!lacks_permit && cmdi_client_has_room(group_shard->list[i], room, body_size)) {
                return true;
            }
        }
    }
    /* Nothing would tell when a breaker lets go: what was refused learns that now it is barred. */
    return !any && CMDI_UNLIKELY(list.is_watched) && list.is_barred;
}

/* For what is kept beside a command. */
static bool group_shard_has_memory(const struct cmdi_group_shard *group_shard, size_t size)
{
    return cmdi_account_allows(&group_shard->client_shard.shard->buffers.account, size) &&
           cmdi_pool_has_room(&group_shard->track_stock.pool) &&
           cmdi_pool_has_room(&group_shard->resend_stock.pool);
}

bool cmdi_group_shard_has_room(const struct cmdi_group_shard *group_shard)
{
    CMDI_ASSERT(cmdi_shard_current() == group_shard->client_shard.shard);
    /* On the shard, attempts that wait go first. */
    bool others_wait = !cmdi_list_empty(&group_shard->waiting);
    size_t kept_size = atomic_load(&group_shard->refused[CMDI_ROOM_MEMORY]);
    if (kept_size != SIZE_MAX && group_shard_has_memory(group_shard, kept_size)) {
        return true;
    }
    for (int i = others_wait ? CMDI_ROOM_ELSEWHERE : 0; i < CMDI_ROOM_MEMORY; i++) {
        size_t body_size = atomic_load(&group_shard->refused[i]);
        if (body_size != SIZE_MAX &&
                group_shard_has_room_for(group_shard, (enum cmdi_room)i, body_size)) {
            return true;
        }
    }
    return false;
}

/* --- Commands --------------------------------------------------------------------------------- */

int cmds_group_check(
        struct cmds_group *group, struct cmds_message message, struct cmds_error *error)
{
    if (group == NULL || !cmdi_group_enter(group)) {
        return cmdi_fail(error, CMDS_E_CLOSED, "%s", cmds_error_text(CMDS_E_CLOSED));
    }
    const struct cmdi_which_side side = {.codec = group->config->codec,
            .types = &group->commands,
            .protocol = group->config->protocol,
            .what = "command",
            .frame_size_max = group->options.frame_size_max};
    int code = cmdi_which_send(&side, message, error);
    cmdi_group_leave(group);
    return code;
}

static inline int group_shard_send_to(
        struct cmdi_client *client, const struct cmdi_command *command, struct cmdi_client **chosen)
{
    *chosen = client;
    if (CMDI_UNLIKELY(command->extra != NULL)) {
        struct cmdi_ticket *ticket = &command->extra->ticket;
        if (!command->is_moved) {
            ticket->client = client;
        } else if (!cmdi_tickets_move(client->client_shard->config->tickets, ticket, client)) {
            return CMDS_E_CANCELLED;
        }
    }
    return cmdi_client_send(client, command);
}

/*
 * By its health, may this command go there? The first one that comes to an endpoint that was out for
 * long enough is its trial, if it has an answer.
 */
static bool group_list_claim_health(const struct cmdi_dispatch_list *list,
        struct cmdi_endpoint *endpoint, const struct cmdi_command *command)
{
    return !list->skip_out || cmdi_health_is_in(&endpoint->health) ||
           (command->on_result != NULL && cmdi_health_claim(&endpoint->health, list->now_ms));
}

static int group_list_claim_watched(const struct cmdi_dispatch_list *list,
        struct cmdi_client *client, const struct cmdi_command **command,
        struct cmdi_guarded *guarded)
{
    struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    if (endpoint == NULL) {
        return 0;
    }
    if (endpoint->breaker != NULL) {
        int code = cmdi_guard_claim(client, endpoint->breaker, list->now_ms, *command, guarded);
        if (code < 0) {
            return code;
        }
        *command = &guarded->command;
    }
    if (!group_list_claim_health(list, endpoint, *command)) {
        cmdi_guard_drop(guarded->pass);
        return -ENOBUFS;
    }
    return 0;
}

/*
 * May *command go there? It may become that of `guarded`, whose pass is to be dropped if the client does
 * not take it. Returns: 0; -ENOBUFS: others are to be asked; CMDS_E_NOT_ALLOWED: so they are, its breaker
 * will not have it; -ENOMEM.
 */
static inline int group_list_claim(const struct cmdi_dispatch_list *list,
        struct cmdi_client *client, const struct cmdi_command **command,
        struct cmdi_guarded *guarded)
{
    guarded->pass = NULL;
    return CMDI_LIKELY(!list->is_watched)
                   ? 0
                   : group_list_claim_watched(list, client, command, guarded);
}

/* To the first one that has room, of `count` from `index` on. */
static int group_shard_send_from(struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, uint32_t index, uint32_t count,
        struct cmdi_client **client)
{
    struct cmdi_dispatch_list list;
    group_shard_view(group_shard, &list);
    bool is_barred = list.is_watched && list.is_barred, is_full = false;
    CMDI_ASSERT(index <= list.count && count <= list.count);
    for (uint32_t i = 0; i < count && !group_shard_is_barred(group_shard, &list); i++, index++) {
        index = index < list.count ? index : 0;
        if (!group_list_takes(&list, index)) {
            continue;
        }
        const struct cmdi_command *mine = command;
        struct cmdi_guarded guarded;
        int code = group_list_claim(&list, list.clients[index], &mine, &guarded);
        if (code == 0) {
            code = group_shard_send_to(list.clients[index], mine, client);
            if (code < 0) {
                cmdi_guard_drop(guarded.pass);
            }
        }
        if (code != -ENOBUFS && code != CMDS_E_NOT_ALLOWED) {
            return code;
        }
        is_barred |= code == CMDS_E_NOT_ALLOWED;
        is_full |= code == -ENOBUFS;
    }
    return is_barred && !is_full ? CMDS_E_NOT_ALLOWED : -ENOBUFS;
}

/* Not all are up, or some are passed over. */
static int group_shard_send_to_some(struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, uint64_t key, struct cmdi_client **client)
{
    uint32_t count = group_shard->client_count;
    if (!cmdi_group_shard_is_usable(group_shard)) {
        return CMDS_E_NOT_CONNECTED;
    }
    uint32_t index = count > 1 ? group_shard_pick(group_shard, key) : 0;
    return group_shard_send_from(group_shard, command, index, count, client);
}

/* All are up, and it is the turn of this one. */
static inline int group_shard_send_at(struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, uint32_t index, struct cmdi_client **client)
{
    int code = group_shard_send_to(group_shard->list[index], command, client);
    if (CMDI_UNLIKELY(code == -ENOBUFS)) {
        return group_shard_send_from(
                group_shard, command, index + 1, group_shard->client_count - 1, client);
    }
    return code;
}

/* Inline: whoever is on the shard has no other way. */
__attribute__((always_inline)) static inline int group_shard_send(
        struct cmdi_group_shard *group_shard, const struct cmdi_command *command, uint64_t key,
        struct cmdi_client **client)
{
    uint32_t count = group_shard->client_count;
    if (CMDI_UNLIKELY(!cmdi_group_shard_all_take(group_shard))) {
        return group_shard_send_to_some(group_shard, command, key, client);
    }
    uint32_t index = count > 1 ? group_shard_pick(group_shard, key) : 0;
    return group_shard_send_at(group_shard, command, index, client);
}

int cmdi_group_shard_send(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        uint64_t key, struct cmdi_client **client)
{
    return group_shard_send(group_shard, command, key, client);
}

/*
 * Threads that are no shard of ours share one list, and so one state, which therefore has a lock.
 * Ours do without: of round-robin it is one counter, and then a connection that is down leaves its
 * share to the one after it; the others are given what they remember, out of the same counter.
 */
static uint32_t group_pick(
        struct cmds_group *group, uint64_t key, const struct cmdi_dispatch_list *list)
{
    const struct cmdi_picker *picker = &group->picker;
    if (CMDI_LIKELY(atomic_load_explicit(&group->takes_turns, memory_order_relaxed))) {
        uint64_t before = atomic_fetch_add_explicit(&group->pick_count, 1, memory_order_relaxed);
        return (uint32_t)(before % list->count);
    }
    if (picker->short_pick != NULL) {
        uint64_t before = atomic_fetch_add_explicit(&group->pick_count, 1, memory_order_relaxed);
        struct cmdi_strategy mine = {
                .random = before + 1, .next = (uint32_t)(before % list->count)};
        uint32_t index = picker->short_pick(&mine, key, list);
        if (CMDI_UNLIKELY(atomic_load(&mine.second_choices) != 0)) {
            atomic_fetch_add(&group->second_choices, 1);
        }
        return index;
    }
    if (picker->state == NULL) {
        return cmdi_picker_pick(picker, key, list);
    }
    pthread_mutex_lock(&group->picker_lock);
    uint32_t index = cmdi_picker_pick(picker, key, list);
    pthread_mutex_unlock(&group->picker_lock);
    return index;
}

void cmdi_group_view(
        const struct cmds_group *group, uint64_t now_ms, struct cmdi_dispatch_list *list)
{
    list->clients = group->clients;
    list->count = group->options.client_count;
    list->in_flight_max = group->options.in_flight_max;
    list->now_ms = now_ms;
    list->any_up = atomic_load(&group->up_count) > 0;
    list->is_watched = false;
    if (CMDI_UNLIKELY(cmdi_group_is_watched(group))) {
        cmdi_dispatch_watch(list);
    }
}

/* Into its inbox. Returns: as cmdi_group_send_moved, and as group_list_claim(). */
static int group_list_send(const struct cmdi_dispatch_list *list, struct cmdi_client *client,
        const struct cmdi_command *command)
{
    const struct cmdi_command *mine = command;
    struct cmdi_guarded guarded;
    int code = group_list_claim(list, client, &mine, &guarded);
    if (code < 0) {
        return code;
    }
    if (command->extra != NULL && !command->is_moved) {
        command->extra->ticket.client = client;
    }
    code = cmdi_client_inbox_send(client, mine);
    if (code < 0) {
        cmdi_guard_drop(guarded.pass);
    }
    return code;
}

static int group_send_to_list(struct cmds_group *group, const struct cmdi_dispatch_list *list,
        const struct cmdi_command *command, uint64_t key)
{
    uint32_t first = list->count > 1 ? group_pick(group, key, list) : 0;
    int refused = list->is_watched && list->is_barred ? CMDS_E_NOT_ALLOWED : CMDS_E_NOT_CONNECTED;
    for (uint32_t i = 0; i < list->count; i++) {
        struct cmdi_client *client = list->clients[(first + i) % list->count];
        if (!cmdi_dispatch_list_takes(list, client)) {
            continue;
        }
        int code = group_list_send(list, client, command);
        if (code != -ENOBUFS && code != CMDS_E_NOT_CONNECTED && code != CMDS_E_NOT_ALLOWED) {
            return code;
        }
        refused = refused == -ENOBUFS || code == CMDS_E_NOT_CONNECTED ? refused : code;
    }
    return refused;
}

/*
 * One that is up; without any, one that is connecting. Their shards go on meanwhile: if the one that was
 * not up is looked at before it is, and the one that was after it has been left, none seems to be there.
 */
static int group_send_to_any(
        struct cmds_group *group, const struct cmdi_command *command, uint64_t key, uint64_t now_ms)
{
    /* The caller is one of them. */
    CMDI_ASSERT(atomic_load_explicit(&group->refs, memory_order_relaxed) > 0);
    struct cmdi_dispatch_list list;
    cmdi_group_view(group, now_ms, &list);
    list.any_up |= command->is_moved; // Else it might come back to the one that it left.
    int code = group_send_to_list(group, &list, command, key);
    if (CMDI_UNLIKELY(code == CMDS_E_NOT_CONNECTED && list.any_up && !command->is_moved)) {
        list.any_up = false; // Whichever it is, it sends or hands on what it has taken.
        code = group_send_to_list(group, &list, command, key);
    }
    return code;
}

int cmdi_group_send_moved(struct cmdi_client *client, struct cmdi_command *command)
{
    struct cmds_group *group = cmdi_group_shard_of(client)->group;
    if (atomic_load(&group->up_count) == 0) {
        return CMDS_E_NOT_CONNECTED;
    }
    command->is_moved = true;
    int code = group_send_to_any(group, command, 0, cmdi_client_shard_now_ms(client->client_shard));
    atomic_fetch_add(&group->moves, code == 0);
    return code;
}

/* --- From here or elsewhere ------------------------------------------------------------------- */

static int group_send_from_elsewhere(struct cmds_group *group, struct cmdi_command *command,
        const struct cmds_send_options *how);

/* None of the shard's own connections has taken it. Returns: `code`; what others say instead. */
static int group_refused_here(struct cmdi_group_shard *group_shard, struct cmdi_command *command,
        const struct cmds_send_options *how, int code)
{
    struct cmds_group *group = group_shard->group;
    if (code == -ENOBUFS) {
        group_shard_refused(
                group_shard, cmdi_room_of(true, command->on_result == NULL), command->body_size);
        cmdi_group_shard_want_room(group_shard);
        CMDI_COUNT(&group_shard->client_shard.counters, sends_refused, 1);
    } else if (code == CMDS_E_NOT_ALLOWED) {
        /* Breakers of endpoints: one with connections of other shards may have it. */
        if (!cmdi_group_enter(group)) {
            return CMDS_E_CLOSED;
        }
        code = group_send_from_elsewhere(group, command, how);
        cmdi_group_leave(group);
    }
    return code;
}

/*
 * One that was not measured yet is written at once if the connection whose turn it is can take it so. Else it is
 * measured, and that connection is asked again. `is_first`: nobody waits.
 */
static inline int group_shard_send_unmeasured(struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, uint64_t key, bool is_first)
{
    struct cmdi_client *client = NULL;
    uint32_t count = group_shard->client_count, index = 0;
    size_t body_size = 0;
    bool all_take = cmdi_group_shard_all_take(group_shard);
    if (CMDI_LIKELY(is_first && all_take)) {
        index = count > 1 ? group_shard_pick(group_shard, key) : 0;
        if (CMDI_LIKELY(cmdi_client_send_direct(group_shard->list[index], command, &body_size))) {
            cmdi_group_tell_size(command, body_size);
            return 0;
        }
    }
    int code = cmdi_group_measure_named(group_shard->group, command);
    if (code < 0 || !is_first) {
        return code < 0 ? code : -ENOBUFS;
    }
    return all_take ? group_shard_send_at(group_shard, command, index, &client)
                    : group_shard_send_to_some(group_shard, command, key, &client);
}

static int group_send_here(struct cmdi_group_shard *group_shard, struct cmdi_command *command,
        const struct cmds_send_options *how)
{
    struct cmdi_client *client = NULL;
    int code = -ENOBUFS;
    bool is_first = cmdi_list_empty(&group_shard->waiting); // Else others wait for room.
    command->deadline_ms = cmdi_group_deadline(
            cmdi_client_shard_now_ms(&group_shard->client_shard), how->deadline_ms);
    if (CMDI_LIKELY(command->body_size == CMDI_NOT_MEASURED)) {
        code = group_shard_send_unmeasured(group_shard, command, how->sticky_key, is_first);
        if (CMDI_UNLIKELY(code < 0 && command->body_size == CMDI_NOT_MEASURED)) {
            return code; // It was refused for what it is.
        }
    } else if (CMDI_LIKELY(is_first)) {
        code = group_shard_send(group_shard, command, how->sticky_key, &client);
    }
    return CMDI_LIKELY(code == 0) ? 0 : group_refused_here(group_shard, command, how, code);
}

int cmdi_group_send_less_straight(struct cmdi_group_shard *group_shard,
        const struct cmdi_straight *straight, const struct cmds_send_options *how, uint32_t index)
{
    const struct cmds_group *group = group_shard->group;
    struct cmds_send_options mine = *how; // Others may be asked.
    struct cmdi_client *client = NULL;
    struct cmdi_command command = {.type = straight->message.type,
            .place = straight->place,
            .value = straight->message.value,
            .on_result = straight->on_result,
            .context = straight->context,
            .deadline_ms = straight->deadline_ms};
    mine.deadline_ms = mine.deadline_ms != 0 ? mine.deadline_ms : group->options.deadline_ms;
    int code = cmdi_group_measure_named(group, &command);
    if (code < 0) {
        return code;
    }
    code = group_shard_send_at(group_shard, &command, index, &client);
    return code == 0 ? 0 : group_refused_here(group_shard, &command, &mine, code);
}

/* Those that refused it are to tell. Returns: -ENOBUFS; CMDS_E_NOT_CONNECTED: they have gone. */
static int group_ask_for_room(
        struct cmds_group *group, const struct cmdi_command *command, uint64_t now_ms)
{
    enum cmdi_room room = cmdi_room_of(false, command->on_result == NULL);
    struct cmdi_dispatch_list list;
    int code = CMDS_E_NOT_CONNECTED;
    cmdi_group_view(group, now_ms, &list);
    for (uint32_t i = 0; i < list.count; i++) {
        if (cmdi_dispatch_list_takes(&list, group->clients[i])) {
            struct cmdi_group_shard *group_shard = cmdi_group_shard_of(group->clients[i]);
            group_shard_refused(group_shard, room, command->body_size);
            cmdi_group_shard_nudge(group_shard, CMDI_NUDGE_ROOM);
            code = -ENOBUFS;
        }
    }
    atomic_fetch_add(&group->refused_elsewhere, code == -ENOBUFS);
    return code;
}

int cmdi_group_keep_failed(
        struct cmds_group *group, struct cmdi_group_shard *group_shard, int code, size_t size)
{
    if (code != -ENOBUFS) {
        return code;
    }
    if (group_shard != NULL) {
        group_shard_refused(group_shard, CMDI_ROOM_MEMORY, size);
        cmdi_group_shard_want_room(group_shard);
        CMDI_COUNT(&group_shard->client_shard.counters, sends_refused, 1);
    } else {
        group_shard_refused(group->shards[0], CMDI_ROOM_MEMORY, size);
        cmdi_group_shard_nudge(group->shards[0], CMDI_NUDGE_ROOM);
        atomic_fetch_add(&group->refused_elsewhere, 1);
    }
    return code;
}

/* The caller has entered. */
static int group_send_from_elsewhere(
        struct cmds_group *group, struct cmdi_command *command, const struct cmds_send_options *how)
{
    if (cmdi_group_is_foreign(group)) {
        return CMDS_E_FORKED;
    }
    if (cmdi_group_is_closing(group)) {
        return CMDS_E_CLOSED;
    }
    uint64_t now_ns = cmdi_now_ns();
    uint64_t now_ms = cmdi_ns_to_ms(now_ns);
    command->deadline_ms = cmdi_group_deadline(now_ms, how->deadline_ms);
    command->begun_ns = command->begun_ns != 0 ? command->begun_ns : now_ns;
    int code = group_send_to_any(group, command, how->sticky_key, now_ms);
    if (code == CMDS_E_NOT_ALLOWED) {
        atomic_fetch_add_explicit(&group->tracker.not_allowed, 1, memory_order_relaxed);
    }
    return code == -ENOBUFS ? group_ask_for_room(group, command, now_ms) : code;
}

int cmdi_group_queue(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_command *command, const struct cmds_send_options *how)
{
    return CMDI_LIKELY(group_shard != NULL) ? group_send_here(group_shard, command, how)
                                            : group_send_from_elsewhere(group, command, how);
}
