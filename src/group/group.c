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
#include "base/time.h"
#include "group/connection.h"
#include "group/option_list.h"
#include "group/options.h"
#include "group/ref.h"
#include "group/resend.h"
#include "group/stats.h"
#include "ring/clock.h"
#include "ring/thread.h"
#include "shard/drive.h"
#include "telemetry/ledger.h"

static void group_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail);

/* --- Handles ---------------------------------------------------------------------------------- */

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
    CMDI_ASSERT(cmdi_list_empty(&group->waiters) && group->picker.dispatch == NULL);
    cmdi_tickets_fini(&group->tickets);
    (void)pthread_mutex_destroy(&group->lock);
    (void)pthread_mutex_destroy(&group->picker_lock);
    free((void *)(uintptr_t)group->options.connect);
    free((void *)(uintptr_t)group->options.server_info.data);
    free(group);
}

void cmds_group_unref(struct cmds_group *group)
{
    if (group == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&group->handles, 1, memory_order_acq_rel);
    CMDI_ASSERT(before > 0);
    if (before == 1) {
        group_free_struct(group);
    }
}

/* The handle that open gave: the first close takes it, or the end of the runtime. */
static bool group_take_opener(struct cmds_group *group)
{
    return atomic_exchange(&group->opener_gone, 1) == 0;
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* Nobody picks any more: on a shard its group shard has ended, all others hold a count. */
static void group_free_pickers(struct cmds_group *group)
{
    cmdi_group_keep_picks(group);
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_picker_fini(&group->shards[i]->picker);
    }
    cmdi_picker_fini(&group->picker);
}

/* One for each list of connections. The default is least, which now and then has nothing to do. */
static int group_make_pickers(struct cmds_group *group, struct cmds_error *error)
{
    bool takes_turns = cmdi_group_wants_turns(group);
    const struct cmds_dispatch *dispatch = group->options.dispatch;
    dispatch = dispatch != NULL ? dispatch : &cmds_dispatch_least;
    atomic_store(&group->takes_turns, takes_turns);
    int code = cmdi_picker_init(&group->picker, dispatch, group->options.client_count, error);
    for (uint32_t i = 0; i < group->shard_count && code == 0; i++) {
        struct cmdi_group_shard *group_shard = group->shards[i];
        group_shard->takes_turns = takes_turns;
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
    cmdi_group_end_count(group);
    for (uint32_t i = 0; i < group->shard_count; i++) {
        cmdi_group_shard_free(group->shards[i]);
    }
    cmdi_type_table_fini(&group->commands);
    cmdi_type_table_fini(&group->results);
    cmdi_tickets_trim(&group->tickets);
    cmdi_stock_fini(&group->track_stock);
    cmdi_stock_fini(&group->resend_stock);
    cmdi_guard_fini(&group->guard);
    free(group->shards);
    free(group->clients);
    free(group->views);
    free(group->config);
    cmdi_endpoints_fini(&group->endpoints);
}

static int group_copy_strings(struct cmds_group *group, const struct cmds_group_options *options)
{
    void *info = malloc(options->server_info.size);
    char *connect = strdup(options->connect);
    group->options = *options;
    group->options.connect = connect;
    group->options.name = NULL; // Theirs. The scope has it.
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
            cmdi_tracker_init(&group->tracker, options, group->runtime->spans != NULL, NULL) < 0 ||
            cmdi_guard_init(&group->guard, options, NULL) < 0 ||
            cmdi_type_table_init(&group->commands, protocol->commands, protocol->command_count) <
                    0 ||
            cmdi_type_table_init(&group->results, protocol->results, protocol->result_count) < 0) {
        return -ENOMEM;
    }
    cmdi_stock_init(&group->track_stock, cmdi_track_size(&group->tracker), NULL);
    cmdi_stock_init(&group->resend_stock, sizeof(struct cmdi_resend), NULL);
    group->config = calloc(1, sizeof(*group->config));
    if (group->config == NULL) {
        return -ENOMEM;
    }
    cmdi_client_config_fill(group->config, &group->options, CMDI_GROUP_LINGER_MS);
    group->config->ops = &cmdi_group_shard_client_ops;
    group->config->name = group->scope->name;
    group->config->commands = &group->commands;
    group->config->results = &group->results;
    group->config->tickets = &group->tickets;
    uint32_t shard_count = group->runtime->shard_count;
    group->shards = calloc(shard_count, sizeof(struct cmdi_group_shard *));
    group->clients = calloc(options->client_count, sizeof(struct cmdi_client *));
    group->views = calloc(options->client_count, sizeof(*group->views));
    if (group->shards == NULL || group->clients == NULL || group->views == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < options->client_count; i++) {
        group->views[i].state = CMDS_CONNECTION_CONNECTING;
    }
    for (; group->shard_count < shard_count; group->shard_count++) {
        struct cmdi_group_shard *group_shard = cmdi_group_shard_create(group, group->shard_count);
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
    group->has_threads = runtime->drive == CMDI_DRIVE_THREAD;
    group->end_mail.fn = group_on_end;
    cmdi_list_init(&group->waiters);
    cmdi_tickets_init(&group->tickets);
    group->scope = cmdi_scope_find(runtime, CMDI_SCOPE_CLIENT, options->name);
    (void)pthread_mutex_init(&group->lock, NULL); // Cannot fail without attributes.
    (void)pthread_mutex_init(&group->picker_lock, NULL);
    bool has_scope = group->scope != NULL && cmdi_ledger_find(runtime, group->scope,
                                                     options->protocol, &group->ledger) == 0;
    if (!has_scope || group_fill(group, options) < 0) {
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

/*
 * On any thread, also that of a lookup: the group cannot go meanwhile, because its close waits for that
 * one, and all others hold it.
 */
static void group_on_news(void *context, uint32_t news)
{
    struct cmds_group *group = context;
    if ((news & (CMDI_NEWS_LIST | CMDI_NEWS_TARGETS)) != 0) {
        (void)atomic_fetch_add(&group->list_version, 1); // First: see group_has_settled().
        cmdi_group_nudge_all(group, CMDI_NUDGE_TARGETS);
    }
    cmdi_group_shard_nudge(group->shards[0], CMDI_NUDGE_LOOK_UP);
}

static int group_init_endpoints(struct cmds_group *group, struct cmds_error *error)
{
    const struct cmds_group_options *options = &group->options;
    const struct cmdi_endpoints_options mine = {
            .connect = options->connect,
            .interval_ms = options->resolve_interval_ms,
            .slot_count = options->client_count,
            .shard_count = group->shard_count,
            .needs_host = options->tls != NULL && options->tls->server_name == NULL,
            .endpoint_ops = group->guard.is_used ? &cmdi_guard_endpoint_ops : NULL,
            .on_news = group_on_news,
            .context = group,
    };
    return cmdi_endpoints_init(&group->endpoints, &mine, error);
}

/*
 * A failure to look the address up is a failure to connect: the clients report it. If a close came
 * first there is no lookup, and the clients are closed before their time begins.
 */
static void group_start(struct cmds_group *group)
{
    (void)cmdi_endpoints_run(&group->endpoints, cmdi_ns_to_ms(cmdi_now_ns()));
    cmdi_group_nudge_all(group, CMDI_NUDGE_TARGETS);
    cmdi_group_shard_nudge(group->shards[0], CMDI_NUDGE_LOOK_UP); // Its timer is for the next one.
}

int cmdi_group_open(struct cmds_group **out, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, const struct cmdi_group_owner_ops *owner_ops,
        struct cmds_error *error)
{
    struct cmds_group_options mine;
    if (out == NULL || runtime == NULL || options == NULL) {
        return cmdi_fail(error, -EINVAL, "open: group, runtime or options is NULL");
    }
    if (cmdi_runtime_is_foreign(runtime)) { // Before any lock.
        return cmdi_fail(error, CMDS_E_FORKED, "%s", cmds_error_text(CMDS_E_FORKED));
    }
    if (runtime->drive == CMDI_DRIVE_STEPPED && owner_ops->transport == NULL) {
        return cmdi_fail(error, -EINVAL,
                "the runtime of a cmds_test has no network for a group: cmds_test_group_open()");
    }
    int code = cmdi_group_options_take(&mine, options, runtime->shard_count, error);
    if (code < 0) {
        return code;
    }
    struct cmds_group *group = group_create(runtime, &mine);
    if (group == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a group of %u clients", mine.client_count);
    }
    group->owner_ops = *owner_ops;
    if (owner_ops->transport != NULL) {
        group->config->transport = owner_ops->transport;
    }
    group->service = (struct cmdi_service){.begin_stop = group_begin_stop,
            .stop = group_stop,
            .list_options = cmdi_group_list_options,
            .forget = group_forget};
    code = group_init_endpoints(group, error);
    if (code == 0) {
        code = group_make_pickers(group, error);
    }
    if (code == 0) {
        cmdi_group_begin_count(group); // Pickers count as well: from here on anybody may read them.
        cmdi_group_hold(group); // From here on a callback, or the end of the runtime, may close it.
        code = cmdi_runtime_add(runtime, &group->service);
        code = code < 0 ? cmdi_fail(error, code, "the runtime is stopping") : 0;
    }
    if (code < 0) {
        group_free_parts(group);
        group_free_struct(group);
        return code;
    }
    *out = group;
    group_start(group);
    cmdi_group_leave(group);
    return 0;
}

int cmds_group_open(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, struct cmds_error *error)
{
    static const struct cmdi_group_owner_ops none = {NULL, NULL, NULL, NULL};
    return cmdi_group_open(group, runtime, options, &none, error);
}

/* --- Close ------------------------------------------------------------------------------------ */

bool cmdi_group_begin_close(struct cmds_group *group, uint32_t linger_ms)
{
    if (!cmdi_group_enter(group)) {
        return false;
    }
    bool mine = cmdi_group_move(group, CMDI_GROUP_CLOSING);
    if (mine) {
        group->linger_ms = linger_ms;
        cmdi_endpoints_close(&group->endpoints);
        cmdi_group_nudge_all(group, CMDI_NUDGE_CLOSE);
    }
    cmdi_group_leave(group);
    return mine;
}

/* Stands in `closers` once every callback in it has been called. */
static struct cmdi_group_closer closers_called;

/* Returns: false: too late, the group has closed. */
static bool group_add_closer(struct cmds_group *group, struct cmdi_group_closer *closer)
{
    closer->next = atomic_load(&group->closers);
    while (closer->next != &closers_called) {
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
    struct cmdi_group_closer *newest = atomic_exchange(&group->closers, &closers_called);
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
    CMDI_ASSERT(atomic_load(&group->state) == CMDI_GROUP_CLOSED);
    CMDI_ASSERT(atomic_load(&group->up_count) + atomic_load(&group->connecting_count) == 0);
    group_free_parts(group);
    if (!cmdi_runtime_retire(group->runtime, &group->service, false)) {
        /* The end of the runtime waits for it, and holds the struct till then. */
        atomic_store(gone, 1);
        cmdi_futex_wake(gone, 1);
    }
    if (owner_ops.on_gone != NULL) {
        owner_ops.on_gone(owner_ops.context);
    }
}

/*
 * First on shard 0, to call on_closed; then once on every other shard; then on shard 0 again.
 *
 * Why all that hangs on the group may be freed then. Other threads hold a count, and there is none. A
 * shard of the group holds none while it sends or calls back, and may have been doing so when the last
 * count was given back; but a mail runs when nothing else is on its shard's stack, so behind the
 * visit of this one nothing of the group is. Only the thread that posted it first may still be inside
 * that post, which looks at the runtime: until `end_posted` says that it is not, the mail is posted
 * again.
 */
static void group_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmds_group *group = CMDI_CONTAINER(mail, struct cmds_group, end_mail);
    CMDI_ASSERT(atomic_load(&group->refs) >= CMDI_GROUP_NOBODY);
    if (group->end_round == 0) {
        (void)cmdi_group_move(group, CMDI_GROUP_CLOSED);
        pthread_mutex_lock(&group->runtime->lock); // Whoever lists its options has done so.
        pthread_mutex_unlock(&group->runtime->lock);
        group_free_pickers(group); // Before on_closed, after which the strategy may go.
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
    if (cmdi_runtime_wait(group->runtime, &group->gone, 0, CMDS_NEVER) < 0) {
        /* Stopped by another thread than its own: what its callbacks may still see stays. */
        return;
    }
    (void)cmdi_runtime_retire(group->runtime, service, true);
}

/* Its runtime keeps it no longer. */
static void group_forget(struct cmdi_service *service)
{
    cmds_group_unref(CMDI_CONTAINER(service, struct cmds_group, service));
}
