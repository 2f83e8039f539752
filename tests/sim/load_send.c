/* SPDX-License-Identifier: MIT */
/* What a client sends, and what comes of it: see load.h. */
#include <errno.h>
#include <unistd.h>

#include "sim/load.h"
#include "sim/traced.h"
#include "sim/veil.h"

/* --- What is sent -------------------------------------------------------------------------------- */

static uint32_t load_draw_how(const struct scenario_client *plan)
{
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t how = oracle_below(TALK_HOW_COUNT);
        bool is_rare = how == TALK_HARD || how == TALK_CLOSE || how == TALK_NEVER;
        if ((plan->hows & 1u << how) != 0 && (!is_rare || oracle_chance(20))) {
            return how;
        }
    }
    return TALK_NOW;
}

static uint32_t load_draw_size(const struct scenario_client *plan)
{
    uint32_t size = oracle_below(plan->size_max + 1);
    while (size > 64 && !oracle_chance(3)) {
        size /= 4;
    }
    return size;
}

/* The body is known when the id is. */
static enum oracle_type load_draw(const struct load *load, struct talk_ask *ask)
{
    const struct scenario_client *plan = load->plan;
    uint32_t kind = oracle_below(10);
    *ask = (struct talk_ask){
            .how = load_draw_how(plan),
            .count = 1 + oracle_below(oracle_chance(3) ? plan->count_max : 1),
            .delay_ms = oracle_below(oracle_chance(3) ? plan->delay_max_ms + 1 : 2),
            .size = load_draw_size(plan),
            .body = {NULL, load_draw_size(plan)},
    };
    if (ask->count > 4 && ask->size > 4000) {
        ask->size = 4000;
    }
    if (ask->how == TALK_REFUSED || ask->how == TALK_CLOSE) {
        ask->count = 1;
    }
    if (kind == 0 && ask->how <= TALK_AGAIN) {
        ask->count = 0;
        return ORACLE_TELL;
    }
    if (kind == 1 && ask->how <= TALK_AGAIN) {
        return ORACLE_WORK;
    }
    return kind == 2 || kind == 3 ? ORACLE_FETCH : ORACLE_ASK;
}

/* The message and what it is made of. */
struct load_message {
    struct talk_ask ask;
    struct talk_work work;
    struct talk_fetch fetch;
    struct talk_tell tell;
};

static struct cmds_message load_message(
        struct load_message *to, enum oracle_type type, uint64_t id, const struct talk_ask *from)
{
    to->ask = *from;
    to->ask.id = id;
    to->ask.body = oracle_body(id, UINT32_MAX, (uint32_t)from->body.size);
    const struct talk_ask *ask = &to->ask;
    if (type == ORACLE_WORK) {
        to->work =
                (struct talk_work){id, ask->how, ask->count, ask->delay_ms, ask->size, ask->body};
        return talk_work_message(&to->work);
    }
    if (type == ORACLE_FETCH) {
        to->fetch =
                (struct talk_fetch){id, ask->how, ask->count, ask->delay_ms, ask->size, ask->body};
        return talk_fetch_message(&to->fetch);
    }
    if (type == ORACLE_TELL) {
        to->tell =
                (struct talk_tell){id, ask->how, ask->count, ask->delay_ms, ask->size, ask->body};
        return talk_tell_message(&to->tell);
    }
    return talk_ask_message(ask);
}

static uint32_t load_draw_deadline(const struct scenario_client *plan, uint32_t *effective_ms)
{
    uint32_t own_ms = 0;
    if (oracle_chance(4)) {
        own_ms = oracle_chance(8) ? CMDS_NEVER : 1 + oracle_below(oracle_chance(2) ? 50 : 3000);
    }
    uint32_t group_ms = plan->deadline_ms != 0 ? plan->deadline_ms : 5000;
    *effective_ms = own_ms != 0 ? own_ms : group_ms;
    return own_ms;
}

/* --- Through a group ------------------------------------------------------------------------------ */

static void load_on_result(void *context, const struct cmds_result *result);
static void load_on_shard_result(void *context, const struct cmds_result *result);

/* By whom a command was sent: what its callback finds by its id. */
static struct load_driver *load_drivers[ORACLE_COMMANDS_MAX];

static void load_remember(struct load_group *group, uint64_t id, struct cmds_ticket ticket)
{
    group->tickets[group->ticket_next++ % LOAD_TICKETS] =
            (struct load_ticket){.id = id, .ticket = ticket};
}

static void load_forget_one(struct load_group *group, struct cmds_group *handle)
{
    struct load_ticket *place = &group->tickets[oracle_below(LOAD_TICKETS)];
    struct load_ticket ticket = *place;
    if (ticket.id == 0) {
        return;
    }
    *place = (struct load_ticket){0};
    uint8_t state = oracle_command(ticket.id)->state;
    bool had = cmds_group_has(handle, ticket.ticket);
    oracle_command_forget(ticket.id);
    int code = cmds_group_forget(handle, ticket.ticket);
    if (code != 0 && code != -ENOENT) {
        (void)oracle_fail("cmds_group_forget(): %s", cmds_error_name(code));
    }
    if (had && state == ORACLE_ENDED) {
        (void)oracle_fail("command %llu has ended, and cmds_group_has() does not know",
                (unsigned long long)ticket.id);
    }
}

static void load_may_resend(const struct load *load, uint64_t id, uint32_t resend)
{
    struct oracle_command *command = oracle_command(id);
    command->resends =
            resend == CMDS_RESEND_DEFAULT ? load->plan->resends : resend == CMDS_RESEND_ONCE;
    oracle_group(command->group)->resends |= command->resends;
}

/* Returns: as cmds_group_send(); 1: nothing was sent, as there is no more. */
static int load_send(
        struct load_group *group, struct cmds_group *handle, struct load_driver *driver)
{
    struct load *load = group->load;
    struct talk_ask plan;
    struct load_message space;
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    uint32_t deadline_ms = 0;
    if (load_is_over(load)) {
        return 1;
    }
    enum oracle_type type = load_draw(load, &plan);
    how.deadline_ms = load_draw_deadline(load->plan, &deadline_ms);
    how.sticky_key = load->plan->sticky ? oracle_below(8) : 0;
    how.ticket = load->plan->forgets && oracle_chance(3) ? &ticket : NULL;
    how.resend = oracle_chance(3) ? oracle_below(CMDS_RESEND_NEVER + 1) : CMDS_RESEND_DEFAULT;
    uint64_t id = oracle_command_new(group->number, type, &plan, deadline_ms);
    if (id == 0) {
        return 1;
    }
    struct cmds_trace trace;
    how.trace = traced_context(id, &trace);
    load_may_resend(load, id, how.resend);
    bool waits = driver != NULL && type != ORACLE_TELL;
    load_drivers[id] = driver;
    if (waits) {
        driver->in_flight++;
    }
    struct cmds_message message = load_message(&space, type, id, &plan);
    struct cmds_breaker_info before = fuse_look(&load->fuse);
    bool plain = how.deadline_ms == 0 && how.ticket == NULL && how.sticky_key == 0 &&
                 how.resend == CMDS_RESEND_DEFAULT && how.trace == NULL;
    int code = cmds_group_send(handle, message, plain ? NULL : &how,
            driver != NULL ? load_on_shard_result : load_on_result, (void *)(uintptr_t)id);
    oracle_command_sent(id, code);
    fuse_sent(&load->fuse, code, &before);
    if (waits && code < 0) {
        driver->in_flight--;
    }
    load->sent += code == 0;
    if (code == 0 && how.ticket != NULL && type != ORACLE_TELL) {
        if (ticket.id == 0) {
            (void)oracle_fail("command %llu was taken, and has no ticket", (unsigned long long)id);
        }
        load_remember(group, id, ticket);
    }
    return code;
}

static void load_on_result(void *context, const struct cmds_result *result)
{
    if (oracle_chance(8)) { // A copy says the same.
        struct cmds_result *copy = cmds_result_copy(result);
        (void)oracle_command_result((uint64_t)(uintptr_t)context, copy != NULL ? copy : result);
        cmds_result_free(copy);
        return;
    }
    (void)oracle_command_result((uint64_t)(uintptr_t)context, result);
}

/* --- By shards ------------------------------------------------------------------------------------ */

static void load_driver_go(struct load_driver *driver)
{
    struct load_group *group = driver->group;
    const struct scenario_client *plan = group->load->plan;
    /* A post may come to the next group in this place, which is not open yet. */
    while (group->group != NULL && !group->is_closing && driver->in_flight < plan->at_once) {
        uint32_t writables = group->writables; // It may run before the send returns.
        int code = load_send(group, group->group, driver);
        if (code != 0) {
            if (code == -ENOBUFS && driver->waits_since_ns == 0 && writables == group->writables) {
                driver->waits_since_ns = oracle_now_ns();
            }
            return;
        }
        /* For a moment one of another thread counts twice, and one that is forgotten has no place. */
        if (cmds_group_pending(group->group) > 2 * group->pending_max + 64) {
            (void)oracle_fail("group %u: more is pending than its window", group->number);
        }
    }
}

static void load_on_shard_result(void *context, const struct cmds_result *result)
{
    uint64_t id = (uint64_t)(uintptr_t)context;
    struct load_driver *driver = load_drivers[id];
    struct load_group *group = driver->group;
    const struct scenario_client *plan = group->load->plan;
    if (!oracle_command_result(id, result)) {
        return;
    }
    driver->in_flight--;
    /* The end of a command that is on no connection is told by any shard, and stops none at once. */
    load_pause(group, group->group, result->client, result->sequence != 0);
    load_change(group, group->group);
    if (plan->is_sleepy && oracle_chance(50)) {
        (void)usleep(oracle_below(50000));
    }
    if (plan->forgets && oracle_chance(10)) {
        load_forget_one(group, group->group);
    }
    if (group->is_closing || group->is_closed) {
        return;
    }
    if (plan->is_hasty && oracle_chance(400)) {
        load_close(group, group->group);
        return;
    }
    fuse_touch(&group->load->fuse);
    if (oracle_below(100) < 70 || driver->in_flight == 0) {
        load_driver_go(driver);
    }
}

static void load_on_post(void *context)
{
    load_driver_go(context);
}

void load_drive(struct load_group *group)
{
    struct load *load = group->load;
    for (uint32_t i = 0; i < load->shards; i++) {
        struct load_driver *driver = &group->drivers[i];
        if (driver->in_flight < group->load->plan->at_once / 2 + 1) {
            int code = cmds_runtime_post(load->runtime, i, load_on_post, driver);
            if (code < 0 && !load_may_fail(code)) {
                (void)oracle_fail("cmds_runtime_post(): %s", cmds_error_name(code));
            }
        }
    }
}

void load_on_writable(void *context)
{
    struct load_group *group = context;
    int shard = cmds_runtime_current_shard(group->load->runtime);
    if (shard < 0) {
        (void)oracle_fail("on_writable runs on no shard");
        return;
    }
    /* It tells of this shard's connections, by whatever shard they were tried. */
    group->writables++;
    for (uint32_t i = 0; i < LOAD_SHARDS_MAX; i++) {
        group->drivers[i].waits_since_ns = 0;
    }
    if (!group->is_closing) {
        load_driver_go(&group->drivers[shard]);
    }
}

void load_on_unexpected(void *context, const struct cmds_result *result)
{
    struct load_group *group = context;
    oracle_unexpected(group->number, result);
}

void load_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct load_group *group = context;
    oracle_group_state(group->number, client, state, cause);
}

/* --- By threads ----------------------------------------------------------------------------------- */

void *load_thread_group(void *context)
{
    struct load_thread *thread = context;
    struct load *load = thread->load;
    struct load_group *group = thread->group;
    int code = 0;
    while (code != CMDS_E_CLOSED && code != 1 && !load->is_stopping) {
        code = load_send(group, thread->handle, NULL);
        fuse_touch(&load->fuse);
        if (code == CMDS_E_NOT_CONNECTED || code == -ENOBUFS || code == CMDS_E_NOT_ALLOWED) {
            (void)usleep(1000 + oracle_below(20000));
        }
        load_pause(group, thread->handle, oracle_below(load->plan->connections), false);
        load_resume_some(group, thread->handle, 20);
        load_change(group, thread->handle);
        if (!load->plan->is_inline && oracle_chance(10)) {
            looked_beside(&load->looked);
        }
        if (load->plan->forgets && oracle_chance(8)) {
            load_forget_one(group, thread->handle);
        }
        if (!load->plan->is_inline && oracle_chance(200)) {
            int drained = cmds_group_drain(thread->handle, oracle_below(50));
            if (drained != 0 && drained != CMDS_E_TIMEOUT) {
                (void)oracle_fail("cmds_group_drain(): %s", cmds_error_name(drained));
            }
        }
        if (load->plan->is_hasty && oracle_chance(300)) {
            load_close(group, thread->handle);
        }
        (void)usleep(oracle_below(load->plan->think_us + 1));
    }
    if (code == CMDS_E_CLOSED && cmds_group_connected(thread->handle) > 0 && group->is_closed) {
        (void)oracle_fail("group %u: it has closed, and is connected", group->number);
    }
    cmds_group_unref(thread->handle);
    thread->is_done = true;
    return NULL;
}

struct load_stream {
    uint64_t id;
    uint32_t stop_after; // 0: never.
    bool is_slow;
};

static int load_on_each(void *context, const struct cmds_result *result)
{
    struct load_stream *stream = context;
    if (stream->is_slow && oracle_chance(4)) {
        uint64_t since_ns = oracle_now_ns();
        (void)usleep(oracle_below(20000));
        oracle_command(stream->id)->slept_ns += oracle_now_ns() - since_ns;
    }
    (void)oracle_command_value(stream->id, result);
    return stream->stop_after != 0 && oracle_command(stream->id)->received == stream->stop_after;
}

/* One command, by send or by send_multi. */
static void load_sender_send(struct load *load, uint32_t number, struct cmds_sender *sender)
{
    struct talk_ask plan;
    struct load_message space;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_result *result = NULL;
    uint32_t deadline_ms = 0;
    enum oracle_type type = load_draw(load, &plan);
    uint32_t own_ms = load_draw_deadline(load->plan, &deadline_ms);
    if (own_ms == CMDS_NEVER) { // Nobody else could end it.
        own_ms = deadline_ms = 1000;
    }
    uint64_t id = oracle_command_new(number, type, &plan, deadline_ms);
    if (id == 0) {
        return;
    }
    load->sent++;
    load_may_resend(load, id, CMDS_RESEND_DEFAULT);
    struct load_stream stream = {.id = id,
            .stop_after = oracle_chance(5) ? 1 : 0,
            .is_slow = load->plan->stream_size_max != 0};
    struct cmds_message message = load_message(&space, type, id, &plan);
    int code;
    if (oracle_chance(2)) {
        code = cmds_sender_send(sender, message, own_ms, &result, &error);
        if (code == 0 && type != ORACLE_TELL) {
            (void)oracle_command_value(id, result);
        }
        if (code == CMDS_E_REMOTE) {
            (void)oracle_command_failed(id, result);
        }
        if (((code != 0 && code != CMDS_E_REMOTE) || type == ORACLE_TELL) && result != NULL) {
            (void)oracle_fail(
                    "cmds_sender_send() gave a result, and returned %s", cmds_error_name(code));
        }
        cmds_result_free(result);
    } else {
        code = cmds_sender_send_multi(sender, message, own_ms, &error, load_on_each, &stream);
        if (code == CMDS_E_REMOTE) { // Its words are in `error`.
            oracle_group(number)->good += oracle_command(id)->received == 0;
            oracle_group(number)->results++;
        }
        if (code == 1) { // The rest is forgotten.
            oracle_command_forget(id);
            code = CMDS_E_CANCELLED;
        }
    }
    if (code < 0 && code != CMDS_E_CANCELLED && error.code != code) {
        (void)oracle_fail("a sender returned %s, and its error is %d: %s", cmds_error_name(code),
                error.code, error.text);
    }
    fuse_sent(&load->fuse, code, NULL);
    if (type == ORACLE_TELL) {
        oracle_command_sent(id, code);
        return;
    }
    oracle_group(number)->taken++;
    oracle_command_end(id, code);
}

/* A sender, and the threads that use it. */
struct load_share {
    struct load *load;
    struct cmds_sender *sender;
    uint32_t number, commands; // Of each thread.
};

static void *load_use_sender(void *context)
{
    const struct load_share *share = context;
    struct load *load = share->load;
    for (uint32_t i = 0; i < share->commands && !load->is_stopping && !load_is_over(load); i++) {
        load_sender_send(load, share->number, share->sender);
        (void)usleep(oracle_below(load->plan->think_us + 1));
    }
    return NULL;
}

/* By the caller, and by others beside it: results of one turn wake them one after the other. */
static void load_share_sender(struct load_share *share, bool is_alone)
{
    pthread_t others[LOAD_SHARERS_MAX];
    uint32_t wanted = is_alone ? 0 : oracle_below(LOAD_SHARERS_MAX + 1), count = 0;
    while (count < wanted && pthread_create(&others[count], NULL, load_use_sender, share) == 0) {
        count++;
    }
    (void)load_use_sender(share);
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(others[i], NULL);
    }
}

void *load_thread_sender(void *context)
{
    struct load_thread *thread = context;
    struct load *load = thread->load;
    while (!load->is_stopping && !load_is_over(load)) {
        struct cmds_sender *sender = NULL;
        struct cmds_error error = CMDS_ERROR_INIT;
        struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&talk_protocol);
        struct cmds_group_options group;
        load_group_options(load, &group);
        group.on_state = NULL;
        group.on_unexpected = NULL;
        group.on_writable = NULL;
        options.group = &group;
        options.client_count = 1 + oracle_below(3);
        options.single_thread = oracle_chance(3);
        options.stream_size_max = load->plan->stream_size_max;
        options.runtime = !options.single_thread && !load->plan->is_inline && oracle_chance(2)
                                  ? load->runtime
                                  : NULL;
        uint32_t number = oracle_group_open(
                load->life, load->plan->number, load->server->number, options.client_count);
        oracle_group(number)->is_sender = true;
        oracle_group(number)->breaks = load->fuse.breaker != NULL;
        int code = cmds_sender_open(&sender, &options, &error);
        if (code < 0) {
            oracle_sender_refused(number, code, &error);
            (void)usleep(10000 + oracle_below(50000));
            continue;
        }
        struct load_share share = {load, sender, number, 1 + oracle_below(50)};
        load_share_sender(&share, options.single_thread);
        oracle_group_closing(number);
        cmds_sender_close(sender, oracle_below(200));
        oracle_group_closed(number);
    }
    thread->is_done = true;
    return NULL;
}
