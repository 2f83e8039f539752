/* SPDX-License-Identifier: MIT */
/*
 * The life of a group: open, the messages to its group shards, close, and the last free. See
 * group.h for who holds what.
 *
 * Nothing here waits: a group may be opened and closed on a shard and inside any callback.
 */
#include "group/group.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "client/finish.h"
#include "client/life.h"
#include "group/forward.h"
#include "group/options.h"
#include "ring/thread.h"

static void group_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail);

/* --- References and messages ------------------------------------------------------------------ */

void cmdi_group_leave(struct cmds_group *group)
{
    uint32_t nobody = 0;
    if (atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    /* If somebody has entered meanwhile, he does it when he leaves. */
    if (atomic_compare_exchange_strong(&group->refs, &nobody, CMDI_GROUP_ENDED)) {
        cmdi_shard_post(group->runtime->shards[0], &group->end_mail);
        /* Not before this may the runtime go: the post was not over when the shard had the mail. */
        atomic_store(&group->end_posted, 1);
    }
}

bool cmdi_group_enter(struct cmds_group *group)
{
    if (atomic_load_explicit(&group->refs, memory_order_relaxed) < CMDI_GROUP_ENDED &&
            atomic_fetch_add_explicit(&group->refs, 1, memory_order_acquire) < CMDI_GROUP_ENDED) {
        return true;
    }
    return false; // What was added to a group that has ended is of no interest to anybody.
}

struct cmds_group *cmds_group_ref(struct cmds_group *group)
{
    if (group != NULL) {
        uint32_t before = atomic_fetch_add_explicit(&group->handles, 1, memory_order_relaxed);
        CMDI_ASSERT(before != 0);
    }
    return group;
}

/* The last one: what hung on it went when it ended. */
static void group_free_struct(struct cmds_group *group)
{
    cmdi_tickets_fini(&group->tickets);
    (void)pthread_mutex_destroy(&group->lock);
    (void)pthread_mutex_destroy(&group->picker_lock);
    free((void *)(uintptr_t)group->options.connect);
    free((void *)(uintptr_t)group->options.server_info.data);
    free(group);
}

void cmds_group_unref(struct cmds_group *group)
{
    if (group != NULL && atomic_fetch_sub_explicit(&group->handles, 1, memory_order_acq_rel) == 1) {
        group_free_struct(group);
    }
}

/* The handle that open gave: the first close takes it, or who stops the runtime. */
static bool group_take_opener(struct cmds_group *group)
{
    return atomic_exchange(&group->opener_gone, 1) == 0;
}

void cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what)
{
    uint32_t before = atomic_fetch_or(&group_shard->nudges, (uint32_t)what);
    if (before == 0) {
        cmdi_group_hold(group_shard->group);
        cmdi_shard_post(group_shard->client_shard.shard, &group_shard->mail);
    }
}

static void group_shard_hold(struct cmdi_client_shard *client_shard)
{
    cmdi_group_hold(CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard)->group);
}

static void group_shard_release(struct cmdi_client_shard *client_shard)
{
    cmdi_group_leave(CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard)->group);
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

static void group_shard_on_state(struct cmdi_client *client, bool connected)
{
    static const struct cmds_error none = CMDS_ERROR_INIT;
    struct cmdi_group_shard *group_shard = cmdi_group_shard_of(client);
    struct cmds_group *group = group_shard->group;
    if (!connected && !client->is_closing) {
        group_keep_first_error(group, &client->error);
    }
    cmdi_group_shard_recount(group_shard, client);
    if (group->options.on_state != NULL) {
        group->options.on_state(group->options.context, client->number,
                connected ? CMDS_CONNECTION_UP : CMDS_CONNECTION_DOWN,
                connected ? &none : &client->error);
    }
    if (group_shard->up_count + group_shard->connecting_count == 0 && !group_shard->closing) {
        cmdi_forward_end_waiting(group_shard, CMDS_E_NOT_SENT, client->error.text);
    }
    if (!group_shard->closing) {
        cmdi_shard_flush(group_shard->client_shard.shard,
                &group_shard
                         ->room_work); // Who waits for room finds it, or learns that there is none.
    }
    cmdi_group_wake(group);
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
    for (int i = 0; i < CMDI_ROOM_COUNT; i++) {
        atomic_store(
                &group_shard->refused[i], SIZE_MAX); // Before: who is refused from here on is new.
    }
    if (group->owner_ops.on_room != NULL) {
        group->owner_ops.on_room(group->owner_ops.context);
    }
    if (group->options.on_writable != NULL) {
        group->options.on_writable(group->options.context);
    }
}

/*
 * Might what was refused have been refused for want of memory? A queue doubles, and may have the
 * old half beside it meanwhile.
 */
static bool group_shard_memory_is_short(const struct cmdi_group_shard *group_shard)
{
    const struct cmdi_conn_limits *limits = &group_shard->client_shard.config->limits;
    size_t most = 4 * ((size_t)limits->output_size_max + limits->frame_size_max);
    return !cmdi_account_allows(&group_shard->client_shard.shard->buffers.account, most);
}

static void group_shard_look_for_room(struct cmdi_group_shard *group_shard)
{
    group_shard->client_shard.wants_room = false;
    cmdi_forward_feed(group_shard);
    if (group_shard_owes_room(group_shard)) {
        bool none_left = group_shard->up_count + group_shard->connecting_count == 0;
        if (none_left || cmdi_group_shard_has_room(group_shard)) {
            group_shard_tell_room(group_shard);
        } else {
            group_shard->client_shard.wants_room = true;
        }
    }
    /* If it is memory that others hold, no connection of ours would tell. */
    if (group_shard->client_shard.wants_room && !group_shard->closing &&
            group_shard_memory_is_short(group_shard)) {
        cmdi_shard_refused(group_shard->client_shard.shard, &group_shard->memory_work);
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
    client_shard->wants_idle = false; // Who waits and sees more to wait for asks again.
    cmdi_group_wake(CMDI_CONTAINER(client_shard, struct cmdi_group_shard, client_shard)->group);
}

/*
 * The last one ends the group shard. Callers further up may still look at it: its memory stays
 * until end_mail has come round.
 */
void cmdi_group_shard_drop(struct cmdi_group_shard *group_shard)
{
    CMDI_ASSERT(group_shard->hold_count > 0);
    if (--group_shard->hold_count > 0) {
        return;
    }
    CMDI_ASSERT(group_shard->closing && cmdi_list_empty(&group_shard->forwards));
    cmdi_list_remove(&group_shard->room_work.link);
    cmdi_list_remove(&group_shard->memory_work.link);
    cmdi_pool_fini(&group_shard->forward_pool);
    cmdi_client_shard_fini(&group_shard->client_shard);
    cmdi_group_leave(group_shard->group);
}

static void group_shard_on_closed(struct cmdi_client *client)
{
    cmdi_group_shard_drop(cmdi_group_shard_of(client));
}

static const struct cmdi_client_ops group_shard_client_ops = {
        .on_state = group_shard_on_state,
        .on_unexpected = group_shard_on_unexpected,
        .on_room = group_shard_on_room,
        .on_idle = group_shard_on_idle,
        .on_closed = group_shard_on_closed,
        .hold = group_shard_hold,
        .release = group_shard_release,
};

/* --- What group shards are told --------------------------------------------------------------- */

/* Told once. */
static void group_shard_close(struct cmdi_group_shard *group_shard)
{
    group_shard->closing = true;
    cmdi_forward_end_waiting(group_shard, CMDS_E_CLOSED, "the group was closed");
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        cmdi_client_close(&group_shard->clients[i], group_shard->group->linger_ms);
    }
    cmdi_group_shard_drop(group_shard); // The count that it was made with.
}

/* With the newest addresses that are known. */
static void group_shard_connect(struct cmdi_group_shard *group_shard)
{
    struct cmdi_targets *targets = cmdi_endpoint_targets(&group_shard->group->endpoint);
    CMDI_ASSERT(targets != NULL);
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        cmdi_client_connect(&group_shard->clients[i], targets);
    }
    cmdi_targets_unref(targets);
}

static void group_shard_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_group_shard *group_shard = CMDI_CONTAINER(mail, struct cmdi_group_shard, mail);
    struct cmds_group *group = group_shard->group;
    uint32_t nudges = atomic_exchange(&group_shard->nudges, 0);
    for (uint32_t i = 0; i < group_shard->client_count && (nudges & CMDI_NUDGE_START) != 0; i++) {
        cmdi_client_start(&group_shard->clients[i]);
    }
    if ((nudges & CMDI_NUDGE_TARGETS) != 0) {
        group_shard_connect(group_shard);
    }
    if ((nudges & CMDI_NUDGE_FORGET) != 0) {
        struct cmdi_ticket *ticket = NULL;
        while ((ticket = cmdi_tickets_pop(&group->tickets, &group_shard->forgotten)) != NULL) {
            cmdi_client_forget_ticket(ticket->client, ticket);
        }
    }
    if ((nudges & CMDI_NUDGE_ROOM) != 0 && !group_shard->closing) {
        cmdi_shard_flush(shard, &group_shard->room_work);
    }
    if ((nudges & CMDI_NUDGE_WATCH) != 0) {
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

static void group_shard_free(struct cmdi_group_shard *group_shard)
{
    if (group_shard == NULL) {
        return;
    }
    for (uint32_t i = 0; i < group_shard->client_count; i++) {
        cmdi_client_fini(&group_shard->clients[i]);
    }
    free(group_shard->clients);
    free(group_shard->list);
    free(group_shard);
}

/* Nobody picks any more: on a shard its group shard has ended, all others hold a count. */
static void group_free_pickers(struct cmds_group *group)
{
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_picker_fini(&group->shards[i]->picker);
    }
    cmdi_picker_fini(&group->picker);
}

/* One for each list of connections. */
static int group_make_pickers(struct cmds_group *group, struct cmds_error *error)
{
    const struct cmds_dispatch *dispatch = group->options.dispatch;
    int code = cmdi_picker_init(&group->picker, dispatch, group->options.client_count, error);
    for (uint32_t i = 0; i < group->shard_count && code == 0; i++) {
        struct cmdi_group_shard *group_shard = group->shards[i];
        if (group_shard->client_count > 0) {
            code = cmdi_picker_init(
                    &group_shard->picker, dispatch, group_shard->client_count, error);
        }
    }
    return code;
}

/* All that hangs on it: nobody is inside. */
static void group_free_parts(struct cmds_group *group)
{
    group_free_pickers(group);
    for (uint32_t i = 0; i < group->shard_count; i++) {
        group_shard_free(group->shards[i]);
    }
    cmdi_type_table_fini(&group->commands);
    cmdi_type_table_fini(&group->results);
    cmdi_tickets_trim(&group->tickets);
    free(group->shards);
    free(group->clients);
    free(group->config);
    cmdi_endpoint_fini(&group->endpoint);
}

/* Clients number `index`, `index` + shard_count, ... */
static struct cmdi_group_shard *group_shard_create(struct cmds_group *group, uint32_t index)
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
    cmdi_pool_init(&group_shard->forward_pool, cmdi_forward_size());
    cmdi_pool_charge_to(
            &group_shard->forward_pool, &group_shard->client_shard.shard->buffers.account);
    cmdi_work_init(&group_shard->room_work, group_shard_run_room);
    cmdi_work_init(&group_shard->memory_work, group_shard_run_memory);
    cmdi_list_init(&group_shard->forwards);
    cmdi_list_init(&group_shard->forgotten);
    group_shard->mail.fn = group_shard_on_mail;
    group_shard->clients = calloc(count > 0 ? count : 1, sizeof(*group_shard->clients));
    group_shard->list = calloc(count > 0 ? count : 1, sizeof(struct cmdi_client *));
    if (group_shard->clients == NULL || group_shard->list == NULL) {
        group_shard_free(group_shard);
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
    group->config = calloc(1, sizeof(*group->config));
    if (group->config == NULL) {
        return -ENOMEM;
    }
    cmdi_group_config_fill(group->config, &group->options);
    group->config->ops = &group_shard_client_ops;
    group->config->results = &group->results;
    group->config->tickets = &group->tickets;
    uint32_t shard_count = group->runtime->shard_count;
    group->shards = calloc(shard_count, sizeof(struct cmdi_group_shard *));
    group->clients = calloc(options->client_count, sizeof(struct cmdi_client *));
    if (group->shards == NULL || group->clients == NULL) {
        return -ENOMEM;
    }
    for (; group->shard_count < shard_count; group->shard_count++) {
        struct cmdi_group_shard *group_shard = group_shard_create(group, group->shard_count);
        if (group_shard == NULL) {
            return -ENOMEM;
        }
        group->shards[group->shard_count] = group_shard;
    }
    atomic_store(&group->refs, shard_count);
    atomic_store(&group->handles, 2); // The opener's, and the runtime's.
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
    group->fork_count = cmdi_fork_count();
    group->is_inline = runtime->is_inline;
    group->end_mail.fn = group_on_end;
    cmdi_list_init(&group->waiters);
    cmdi_tickets_init(&group->tickets);
    (void)pthread_mutex_init(&group->lock, NULL); // Cannot fail without attributes.
    (void)pthread_mutex_init(&group->picker_lock, NULL);
    if (group_fill(group, options) < 0) {
        group_free_parts(group);
        group_free_struct(group);
        return NULL;
    }
    return group;
}

/* --- Open ------------------------------------------------------------------------------------- */

static void group_begin_stop(struct cmdi_service *service);
static void group_stop(struct cmdi_service *service);
static void group_forget(struct cmdi_service *service);

/* On a thread of its own: the group cannot go meanwhile, because its close waits for us. */
static void group_on_targets(void *context)
{
    struct cmds_group *group = context;
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_group_shard_nudge(group->shards[i], CMDI_NUDGE_TARGETS);
    }
}

/*
 * A failure to look the address up is a failure to connect: the clients report it. If a close came
 * first there is no lookup, and the clients are closed before their time begins.
 */
static void group_start(struct cmds_group *group)
{
    bool is_known = cmdi_endpoint_resolve(&group->endpoint);
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_group_shard_nudge(group->shards[i], is_known ? CMDI_NUDGE_TARGETS : CMDI_NUDGE_START);
    }
}

int cmdi_group_open(struct cmds_group **out, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, const struct cmdi_group_owner_ops *owner_ops,
        struct cmds_error *error)
{
    struct cmds_group_options mine;
    if (out == NULL || runtime == NULL || options == NULL) {
        return cmdi_fail(error, -EINVAL, "open: group, runtime or options is NULL");
    }
    int code = cmdi_group_options_take(&mine, options, error);
    if (code < 0) {
        return code;
    }
    struct cmds_group *group = group_create(runtime, &mine);
    if (group == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a group of %u clients", mine.client_count);
    }
    group->owner_ops = *owner_ops;
    group->service = (struct cmdi_service){
            .begin_stop = group_begin_stop, .stop = group_stop, .forget = group_forget};
    code = cmdi_endpoint_init(
            &group->endpoint, group->options.connect, error, group_on_targets, group);
    if (code == 0) {
        code = group_make_pickers(group, error);
    }
    if (code == 0) {
        code = cmdi_runtime_add(runtime, &group->service);
        code = code == CMDS_E_FORKED ? cmdi_fail(error, code, "%s", cmds_error_text(code))
               : code < 0            ? cmdi_fail(error, code, "the runtime is stopping")
                                     : 0;
    }
    if (code < 0) {
        group_free_parts(group);
        group_free_struct(group);
        return code;
    }
    cmdi_group_hold(group); // A callback may close it before we are done.
    *out = group;
    group_start(group);
    cmdi_group_leave(group);
    return 0;
}

int cmds_group_open(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, struct cmds_error *error)
{
    static const struct cmdi_group_owner_ops none = {NULL, NULL, NULL};
    return cmdi_group_open(group, runtime, options, &none, error);
}

/* --- Close ------------------------------------------------------------------------------------ */

bool cmdi_group_begin_close(struct cmds_group *group, uint32_t linger_ms)
{
    if (!cmdi_group_enter(group)) {
        return false;
    }
    bool mine = atomic_exchange(&group->closing, 1) == 0;
    if (mine) {
        group->linger_ms = linger_ms;
        cmdi_endpoint_close(&group->endpoint);
        for (uint32_t i = 0; i < group->shard_count; i++) {
            cmdi_group_shard_nudge(group->shards[i], CMDI_NUDGE_CLOSE);
        }
    }
    cmdi_group_leave(group);
    return mine;
}

/* Stands in `closers` when those who were in it have been told. */
static struct cmdi_group_closer closers_told;

/* Returns: false: too late, the group has closed. */
static bool group_add_closer(struct cmds_group *group, struct cmdi_group_closer *closer)
{
    closer->next = atomic_load(&group->closers);
    while (closer->next != &closers_told) {
        if (atomic_compare_exchange_weak(&group->closers, &closer->next, closer)) {
            return true;
        }
    }
    return false;
}

static void group_tell_later(struct cmds_group *group, struct cmdi_group_closer *closer,
        void (*fn)(void *context), void *context)
{
    struct cmdi_group_closer now = {.fn = fn, .context = context};
    if (closer != NULL) {
        *closer = now;
    }
    if (closer == NULL || !group_add_closer(group, closer)) {
        if (closer != &group->opener) {
            free(closer);
        }
        now.fn(now.context);
    }
}

void cmds_group_close(struct cmds_group *group, void (*on_closed)(void *context), void *context)
{
    if (group == NULL || cmdi_group_is_foreign(group)) {
        return;
    }
    bool is_opener = group_take_opener(group);
    if (on_closed != NULL) {
        group_tell_later(group, is_opener ? &group->opener : malloc(sizeof(group->opener)),
                on_closed, context);
    }
    (void)cmdi_group_begin_close(group, CMDI_GROUP_LINGER_MS);
    if (is_opener) {
        cmds_group_unref(group);
    }
}

/* In the order in which they closed it. */
static void group_tell_closers(struct cmds_group *group)
{
    struct cmdi_group_closer *newest = atomic_exchange(&group->closers, &closers_told);
    struct cmdi_group_closer *oldest = NULL;
    while (newest != NULL) {
        struct cmdi_group_closer *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct cmdi_group_closer closer = *oldest;
        if (oldest != &group->opener) {
            free(oldest);
        }
        oldest = closer.next;
        closer.fn(closer.context);
    }
}

static void group_gone(struct cmds_group *group)
{
    struct cmdi_group_owner_ops owner_ops = group->owner_ops;
    _Atomic uint32_t *gone = &group->gone;
    group_free_parts(group);
    if (!cmdi_runtime_retire(group->runtime, &group->service, false)) {
        atomic_store(gone, 1); // Who stops the runtime waits for it; the struct is there till then.
        cmdi_futex_wake(gone, 1);
    }
    if (owner_ops.on_gone != NULL) {
        owner_ops.on_gone(owner_ops.context);
    }
}

/*
 * First on shard 0, to tell; then once on every other shard, and on shard 0 again, until he who
 * sent it is out of here.
 */
static void group_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_group *group = CMDI_CONTAINER(mail, struct cmds_group, end_mail);
    if (group->end_round == 0) {
        group_free_pickers(group); // Before those are told who may take the strategy away then.
        group_tell_closers(group);
    }
    if (++group->end_round < group->shard_count) {
        cmdi_shard_post(group->runtime->shards[group->end_round], &group->end_mail);
    } else if (group->end_round == group->shard_count || atomic_load(&group->end_posted) == 0) {
        cmdi_shard_post(group->runtime->shards[0], &group->end_mail);
    } else {
        group_gone(group);
    }
}

/*
 * The runtime stops: all groups begin to close before it waits for the first of them. It takes the
 * opener's handle as well: with its own one it keeps the struct for those who close it meanwhile.
 */
static void group_begin_stop(struct cmdi_service *service)
{
    struct cmds_group *group = CMDI_CONTAINER(service, struct cmds_group, service);
    (void)cmdi_group_begin_close(group, CMDI_GROUP_LINGER_MS);
    if (group_take_opener(group)) {
        cmds_group_unref(group);
    }
}

static void group_stop(struct cmdi_service *service)
{
    struct cmds_group *group = CMDI_CONTAINER(service, struct cmds_group, service);
    if (cmdi_runtime_wait(group->runtime, &group->gone, CMDS_NEVER) < 0) {
        return; // An inline runtime is stopped by another thread than its own: what its callbacks
                // may still see stays.
    }
    (void)cmdi_runtime_retire(group->runtime, service, true);
}

/* Its runtime keeps it no longer. */
static void group_forget(struct cmdi_service *service)
{
    cmds_group_unref(CMDI_CONTAINER(service, struct cmds_group, service));
}
