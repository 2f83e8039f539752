/* SPDX-License-Identifier: MIT */
/*
 * The life of a group: open, the messages to its members, close, and the last free. See group.h for
 * who holds what.
 *
 * Nothing here waits: a group may be opened and closed on a shard and inside any callback.
 */
#include "group/group.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "group/forward.h"
#include "group/options.h"

static void group_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail);

/* --- References and messages ------------------------------------------------------------------ */

void cmdi_group_unref(struct cmds_group *group)
{
    if (atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    /* A late call of another thread may take and give back one more: only the first 0 counts. */
    if (atomic_exchange(&group->end_posted, 1) == 0) {
        cmdi_shard_post(group->runtime->shards[0], &group->end_mail);
    }
}

void cmdi_member_nudge(struct cmdi_member *member, enum cmdi_nudge what)
{
    uint32_t before = atomic_fetch_or(&member->nudges, (uint32_t)what);
    if (before == 0) {
        cmdi_group_ref(member->group);
        cmdi_shard_post(member->hub.shard, &member->mail);
    }
}

static void member_hold(struct cmdi_hub *hub)
{
    cmdi_group_ref(CMDI_CONTAINER(hub, struct cmdi_member, hub)->group);
}

static void member_release(struct cmdi_hub *hub)
{
    cmdi_group_unref(CMDI_CONTAINER(hub, struct cmdi_member, hub)->group);
}

/* --- What clients tell ------------------------------------------------------------------------ */

static void group_keep_first_error(struct cmds_group *group, const struct cmds_error *error)
{
    pthread_mutex_lock(&group->lock);
    if (group->first_error.code == 0) {
        group->first_error = *error;
    }
    pthread_mutex_unlock(&group->lock);
}

static void member_on_state(struct cmdi_client *client, bool connected)
{
    static const struct cmds_error none = CMDS_ERROR_INIT;
    struct cmdi_member *member = cmdi_member_of(client);
    struct cmds_group *group = member->group;
    if (!connected && !client->is_closing) {
        group_keep_first_error(group, &client->error);
    }
    cmdi_member_place(member, client);
    if (group->options.on_state != NULL) {
        group->options.on_state(group->options.context, client->number, connected,
                connected ? &none : &client->error);
    }
    if (member->up_count + member->connecting_count == 0 && !member->closing) {
        cmdi_forward_end_waiting(member, CMDS_E_NOT_SENT, client->error.text);
    }
    if (!member->closing) {
        cmdi_shard_flush(member->hub.shard,
                &member->room_work); // Who waits for room finds it, or learns that there is none.
    }
    cmdi_group_wake(group);
}

static void member_on_unexpected(struct cmdi_client *client, const struct cmds_result *result)
{
    const struct cmds_group_options *options = &cmdi_member_of(client)->group->options;
    if (options->on_unexpected != NULL) {
        options->on_unexpected(options->context, result);
    }
}

static void member_on_room(struct cmdi_hub *hub)
{
    struct cmdi_member *member = CMDI_CONTAINER(hub, struct cmdi_member, hub);
    if (!member->closing) {
        cmdi_shard_flush(hub->shard, &member->room_work);
    }
}

/* At the end of a turn in which room was made for somebody who was refused. */
static void member_run_room(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    struct cmdi_member *member = CMDI_CONTAINER(work, struct cmdi_member, room_work);
    const struct cmds_group_options *options = &member->group->options;
    member->hub.wants_room = false;
    cmdi_forward_feed(member);
    if (!member->wants_writable) {
        return;
    }
    bool none_left = member->up_count + member->connecting_count == 0;
    if (!none_left && (!cmdi_list_empty(&member->forwards) || !cmdi_member_has_room(member))) {
        member->hub.wants_room = true;
        return;
    }
    member->wants_writable = false;
    if (member->group->hooks.on_room != NULL) {
        member->group->hooks.on_room(member->group->hooks.context);
    }
    if (options->on_writable != NULL) {
        options->on_writable(options->context);
    }
}

static void member_on_idle(struct cmdi_hub *hub)
{
    hub->is_watched = false; // Who waits and sees more to wait for asks again.
    cmdi_group_wake(CMDI_CONTAINER(hub, struct cmdi_member, hub)->group);
}

/* The last use of the member by its shard, but for the round of end_mail. */
static void member_end(struct cmdi_member *member)
{
    cmdi_list_remove(&member->room_work.link);
    cmdi_pool_fini(&member->forward_pool);
    cmdi_hub_fini(&member->hub);
    cmdi_group_unref(member->group);
}

static void member_on_closed(struct cmdi_client *client)
{
    struct cmdi_member *member = cmdi_member_of(client);
    if (--member->open_count == 0) {
        member_end(member);
    }
}

static const struct cmdi_client_ops member_client_ops = {
        .on_state = member_on_state,
        .on_unexpected = member_on_unexpected,
        .on_room = member_on_room,
        .on_idle = member_on_idle,
        .on_closed = member_on_closed,
        .hold = member_hold,
        .release = member_release,
};

/* --- What members are told -------------------------------------------------------------------- */

static void member_close(struct cmdi_member *member)
{
    member->closing = true;
    cmdi_forward_end_waiting(member, CMDS_E_CLOSED, "the group was closed");
    if (member->client_count == 0) {
        member_end(member);
        return;
    }
    for (uint32_t i = 0; i < member->client_count; i++) {
        cmdi_client_close(&member->clients[i]);
    }
}

static void member_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_member *member = CMDI_CONTAINER(mail, struct cmdi_member, mail);
    struct cmds_group *group = member->group;
    uint32_t nudges = atomic_exchange(&member->nudges, 0);
    for (uint32_t i = 0; i < member->client_count && (nudges & CMDI_NUDGE_START) != 0; i++) {
        cmdi_client_start(&member->clients[i]);
    }
    for (uint32_t i = 0; i < member->client_count && (nudges & CMDI_NUDGE_TARGETS) != 0; i++) {
        cmdi_client_connect(&member->clients[i]);
    }
    if ((nudges & CMDI_NUDGE_FORGET) != 0) {
        struct cmdi_ticket *ticket = NULL;
        while ((ticket = cmdi_tickets_pop(&group->tickets, &member->forgotten)) != NULL) {
            cmdi_client_forget_ticket(ticket->client, ticket);
        }
    }
    if ((nudges & CMDI_NUDGE_ROOM) != 0 && !member->closing) {
        member->wants_writable = true;
        cmdi_shard_flush(shard, &member->room_work);
    }
    if ((nudges & CMDI_NUDGE_WATCH) != 0) {
        member->hub.is_watched = true;
        if (atomic_load(&member->hub.pending) == 0) {
            member_on_idle(&member->hub);
        }
    }
    if ((nudges & CMDI_NUDGE_CLOSE) != 0) {
        member_close(member);
    }
    cmdi_group_unref(group);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void member_free(struct cmdi_member *member)
{
    if (member == NULL) {
        return;
    }
    for (uint32_t i = 0; i < member->client_count; i++) {
        cmdi_client_fini(&member->clients[i]);
    }
    free(member->clients);
    free(member->order);
    free(member);
}

static void group_free(struct cmds_group *group)
{
    for (uint32_t i = 0; i < group->member_count; i++) {
        member_free(group->members[i]);
    }
    cmdi_type_table_fini(&group->commands);
    cmdi_type_table_fini(&group->results);
    cmdi_tickets_fini(&group->tickets);
    (void)pthread_mutex_destroy(&group->lock);
    free(group->members);
    free(group->clients);
    free((void *)(uintptr_t)group->options.connect);
    free((void *)(uintptr_t)group->options.server_info.data);
    free(group);
}

/* Clients number `index`, `index` + member_count, ... */
static struct cmdi_member *member_create(struct cmds_group *group, uint32_t index)
{
    uint32_t total = group->options.client_count;
    uint32_t stride = group->runtime->shard_count;
    uint32_t count = index < total ? (total - index + stride - 1) / stride : 0;
    struct cmdi_member *member = aligned_alloc(64, (sizeof(*member) + 63) / 64 * 64);
    if (member == NULL) {
        return NULL;
    }
    *member = (struct cmdi_member){.group = group, .open_count = count, .connecting_count = count};
    cmdi_hub_init(&member->hub, group->runtime->shards[index], &group->config);
    cmdi_pool_init(&member->forward_pool, cmdi_forward_size());
    cmdi_pool_charge_to(&member->forward_pool, &member->hub.shard->buffers.account);
    cmdi_work_init(&member->room_work, member_run_room);
    cmdi_list_init(&member->forwards);
    cmdi_list_init(&member->forgotten);
    member->mail.fn = member_on_mail;
    member->clients = calloc(count > 0 ? count : 1, sizeof(*member->clients));
    member->order = calloc(count > 0 ? count : 1, sizeof(struct cmdi_client *));
    if (member->clients == NULL || member->order == NULL) {
        member_free(member);
        return NULL;
    }
    member->client_count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = index + i * stride;
        cmdi_client_init(&member->clients[i], &member->hub, number);
        member->clients[i].order = i;
        member->order[i] = &member->clients[i];
        group->clients[number] = &member->clients[i];
    }
    return member;
}

static int group_copy_strings(struct cmds_group *group, const struct cmds_group_options *options)
{
    void *info = malloc(options->server_info.size);
    char *connect = strdup(options->connect);
    group->options = *options;
    group->options.connect = connect;
    group->options.server_info.data = info;
    if (info == NULL || connect == NULL) {
        return -ENOMEM;
    }
    memcpy(info, options->server_info.data, options->server_info.size);
    return 0;
}

static int group_fill(struct cmds_group *group, const struct cmds_group_options *options)
{
    const struct cmds_protocol *protocol = options->protocol;
    if (group_copy_strings(group, options) < 0 ||
            cmdi_type_table_init(&group->commands, protocol->commands, protocol->command_count) <
                    0 ||
            cmdi_type_table_init(&group->results, protocol->results, protocol->result_count) < 0) {
        return -ENOMEM;
    }
    cmdi_group_config_fill(&group->config, &group->options);
    group->config.ops = &member_client_ops;
    group->config.results = &group->results;
    group->config.tickets = &group->tickets;
    uint32_t shard_count = group->runtime->shard_count;
    group->members = calloc(shard_count, sizeof(struct cmdi_member *));
    group->clients = calloc(options->client_count, sizeof(struct cmdi_client *));
    if (group->members == NULL || group->clients == NULL) {
        return -ENOMEM;
    }
    for (; group->member_count < shard_count; group->member_count++) {
        struct cmdi_member *member = member_create(group, group->member_count);
        if (member == NULL) {
            return -ENOMEM;
        }
        group->members[group->member_count] = member;
    }
    atomic_store(&group->refs, shard_count);
    atomic_store(&group->connecting_count, options->client_count);
    return 0;
}

static struct cmds_group *group_create(
        struct cmds_runtime *runtime, const struct cmds_group_options *options)
{
    struct cmds_group *group = calloc(1, sizeof(*group));
    if (group == NULL) {
        return NULL;
    }
    group->runtime = runtime;
    group->end_mail.fn = group_on_end;
    cmdi_list_init(&group->waiters);
    cmdi_tickets_init(&group->tickets);
    (void)pthread_mutex_init(&group->lock, NULL); // Cannot fail without attributes.
    if (group_fill(group, options) < 0) {
        group_free(group);
        return NULL;
    }
    return group;
}

/* --- Open ------------------------------------------------------------------------------------- */

static void group_stop(struct cmdi_service *service);

/* A failure to resolve is a failure to connect: the clients tell it. */
static void group_start(struct cmds_group *group, bool is_numeric)
{
    uint32_t count = group->member_count;
    struct cmds_error *error = &group->config.resolve_error;
    bool is_known = is_numeric || cmdi_resolve_begin(&group->resolve, group, error) < 0;
    for (uint32_t i = 0; i < count; i++) {
        cmdi_member_nudge(group->members[i], is_known ? CMDI_NUDGE_TARGETS : CMDI_NUDGE_START);
    }
}

int cmdi_group_open(struct cmds_group **out, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, const struct cmdi_group_hooks *hooks,
        struct cmds_error *error)
{
    struct cmds_group_options mine;
    int code = cmdi_group_options_take(&mine, options, error);
    if (code < 0) {
        return code;
    }
    struct cmds_group *group = group_create(runtime, &mine);
    if (group == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a group of %u clients", mine.client_count);
    }
    group->hooks = *hooks;
    group->service.stop = group_stop;
    bool is_numeric = cmdi_address_is_numeric(mine.connect);
    code = is_numeric ? cmdi_group_targets_resolve(&group->config, mine.connect, error) : 0;
    if (code == 0) {
        code = cmdi_runtime_add(runtime, &group->service);
        code = code == CMDS_E_FORKED ? cmdi_fail(error, code, "%s", cmds_error_text(code))
               : code < 0            ? cmdi_fail(error, code, "the runtime is stopping")
                                     : 0;
    }
    if (code < 0) {
        group_free(group);
        return code;
    }
    cmdi_group_ref(group); // A callback may close it before we are done.
    *out = group;
    group_start(group, is_numeric);
    cmdi_group_unref(group);
    return 0;
}

int cmds_group_open(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, struct cmds_error *error)
{
    static const struct cmdi_group_hooks none = {NULL, NULL, NULL};
    return cmdi_group_open(group, runtime, options, &none, error);
}

/* --- Close ------------------------------------------------------------------------------------ */

/* Returns: false: somebody else closes it. */
static bool group_begin_close(
        struct cmds_group *group, void (*on_closed)(void *context), void *context)
{
    cmdi_group_ref(group);
    bool mine = atomic_exchange(&group->closing, 1) == 0;
    if (mine) {
        group->on_closed = on_closed;
        group->closed_context = context;
        cmdi_resolve_let_go(group->resolve);
        for (uint32_t i = 0; i < group->member_count; i++) {
            cmdi_member_nudge(group->members[i], CMDI_NUDGE_CLOSE);
        }
    }
    cmdi_group_unref(group);
    return mine;
}

void cmds_group_close(struct cmds_group *group, void (*on_closed)(void *context), void *context)
{
    if (group != NULL && !cmdi_runtime_is_foreign(group->runtime)) {
        (void)group_begin_close(group, on_closed, context);
    }
}

static void group_gone(struct cmds_group *group)
{
    struct cmdi_group_hooks hooks = group->hooks;
    _Atomic uint32_t *gone = &group->gone;
    if (cmdi_runtime_remove(group->runtime, &group->service)) {
        group_free(group);
    } else {
        atomic_store(gone,
                // Who stops the runtime waits for it, and frees; the wake needs only the address.
                1);
        cmdi_futex_wake(gone, 1);
    }
    if (hooks.on_gone != NULL) {
        hooks.on_gone(hooks.context);
    }
}

/*
 * First on shard 0, to tell; then once on every other shard, and on shard 0 again until nobody
 * holds it.
 */
static void group_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_group *group = CMDI_CONTAINER(mail, struct cmds_group, end_mail);
    if (!group->end_told) {
        group->end_told = true;
        if (group->on_closed != NULL) {
            group->on_closed(group->closed_context);
        }
    }
    if (++group->end_round < group->member_count) {
        cmdi_shard_post(group->runtime->shards[group->end_round], &group->end_mail);
    } else if (group->end_round == group->member_count || atomic_load(&group->refs) != 0) {
        cmdi_shard_post(group->runtime->shards[0], &group->end_mail);
    } else {
        group_gone(group);
    }
}

/* The runtime stops. Thread: who stops it. */
static void group_stop(struct cmdi_service *service)
{
    struct cmds_group *group = CMDI_CONTAINER(service, struct cmds_group, service);
    (void)group_begin_close(group, NULL, NULL);
    if (cmdi_runtime_wait(group->runtime, &group->gone, CMDS_NEVER) == 0) {
        group_free(group);
        // Else an inline runtime is stopped by another thread than its own: what its callbacks may
        // still see stays.
    }
}
