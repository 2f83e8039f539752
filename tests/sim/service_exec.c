/* SPDX-License-Identifier: MIT */
/* How a service executes commands: see enum talk_how. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "sim/service.h"
#include "sim/traced.h"
#include "sim/veil.h"

enum {
    SERVICE_ROUND_RESULTS = 4, // Of CMDS_EXEC_AGAIN.
    SERVICE_TRIES_MAX = 200,   // Of a thread that finds no room.
};

/* Of its record. */
static uint64_t service_id(const struct cmds_call *call)
{
    return (uint64_t)(uintptr_t)cmds_call_context(call);
}

/* What it asks for. Returns: ORACLE_TELL also if it is none of ours. */
static enum oracle_type service_value(const struct cmds_call *call, struct talk_ask *value)
{
    const struct talk_ask *ask = talk_ask_of(call);
    const struct talk_work *work = talk_work_of(call);
    const struct talk_fetch *fetch = talk_fetch_of(call);
    const struct talk_tell *tell = talk_tell_of(call);
    *value = ask != NULL ? *ask : (struct talk_ask){0};
#define SERVICE_TAKE(from)                                                                         \
    ((struct talk_ask){                                                                            \
            (from)->id, (from)->how, (from)->count, (from)->delay_ms, (from)->size, (from)->body})
    if (work != NULL) {
        *value = SERVICE_TAKE(work);
    } else if (fetch != NULL) {
        *value = SERVICE_TAKE(fetch);
    } else if (tell != NULL) {
        *value = SERVICE_TAKE(tell);
    }
#undef SERVICE_TAKE
    return ask != NULL     ? ORACLE_ASK
           : work != NULL  ? ORACLE_WORK
           : fetch != NULL ? ORACLE_FETCH
                           : ORACLE_TELL;
}

/* A reference or a timer holds the call, or a further round is to come; and does not any more. */
static void service_keep(struct oracle_command *command)
{
    if (command->is_kept) {
        (void)oracle_fail("a service keeps a call twice");
    }
    command->is_kept = true;
    oracle_life(command->life)->kept++;
}

static void service_let_go(struct oracle_command *command)
{
    oracle_call_lives(command, "a callback");
    if (!command->is_kept) {
        (void)oracle_fail("a service is called back for a call that it does not keep");
        return;
    }
    command->is_kept = false;
    oracle_life(command->life)->kept--;
}

/* The next result. Returns: as cmds_call_send(). */
static int service_send(struct cmds_call *call, uint64_t id)
{
    const struct oracle_command *command = oracle_command(id);
    uint32_t index = oracle_send_begin(id);
    uint64_t asked = oracle_command_id(id);
    struct talk_part part = {.id = asked,
            .index = index,
            .last = index + 1 == command->count,
            .body = oracle_body(asked, index, command->size)};
    struct talk_bit bit = {.id = asked, .index = index, .body = part.body};
    bool is_bit = !part.last && (id + index) % 3 == 0;
    int code = cmds_call_send(call, is_bit ? talk_bit_message(&bit) : talk_part_message(&part));
    oracle_send_end(id, code);
    return code;
}

/* On a thread of the pool, some do. Returns: it may send once more. */
static bool service_waits(struct cmds_call *call, uint64_t id)
{
    if (!oracle_command(id)->in_pool || id % 2 == 0) {
        return false;
    }
    int code = cmds_call_wait_writable(call, 20);
    if (code != 0 && code != -ENOBUFS && code != CMDS_E_TIMEOUT && code != CMDS_E_GONE &&
            code != CMDS_E_DRAINING) {
        (void)oracle_fail("a wait for room in the pool: %s", cmds_error_name(code));
    }
    return code == 0;
}

/* Up to `count` results. Returns: 0: so many, or all; why not. */
static int service_send_some(struct cmds_call *call, uint64_t id, uint32_t count)
{
    const struct oracle_command *command = oracle_command(id);
    int code = 0;
    for (uint32_t i = 0; i < count && command->sent < command->count && code == 0; i++) {
        code = service_send(call, id);
        if (code == -ENOBUFS && service_waits(call, id)) {
            code = 0;
            i--;
        }
    }
    return code;
}

/* --- Again -------------------------------------------------------------------------------------- */

/* What exec_timeout_ms gives the call is over. */
static bool service_in_time(const struct cmds_call *call)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return now_ns >= cmds_call_deadline_ns(call);
}

static void service_on_no_round(struct cmds_call *call)
{
    struct oracle_command *command = oracle_command(service_id(call));
    service_let_go(command);
    oracle_cancelled(command, service_in_time(call));
    oracle_call_over(command);
}

static int service_again(struct cmds_call *call, uint64_t id, uint32_t results)
{
    struct oracle_command *command = oracle_command(id);
    if (cmds_call_round(call) == 0) {
        cmds_call_on_cancel(call, service_on_no_round);
    } else {
        service_let_go(command);
    }
    int code = service_send_some(call, id, results);
    if (command->sent == command->count) {
        return 0;
    }
    if (code < 0 && code != -ENOBUFS) {
        return code;
    }
    service_keep(command);
    return CMDS_EXEC_AGAIN;
}

/* --- Kept --------------------------------------------------------------------------------------- */

static void service_on_timer(struct cmds_call *call)
{
    uint64_t id = service_id(call);
    struct oracle_command *command = oracle_command(id);
    struct talk_ask ask;
    service_let_go(command);
    oracle_let_go(command, "timer");
    if (cmds_call_is_cancelled(call) && cmds_call_after(call, 1, service_on_timer) != CMDS_E_GONE) {
        (void)oracle_fail("cmds_call_after() of a call that is cancelled");
    }
    if (command->is_copied &&
            (service_value(call, &ask) == ORACLE_TELL || ask.id != oracle_command_id(id) ||
                    !oracle_body_is(ask.body, ask.id, UINT32_MAX, command->body_size))) {
        (void)oracle_fail("command %llu is not what was kept", (unsigned long long)id);
    }
    int code = cmds_call_is_cancelled(call) ? CMDS_E_GONE : service_send_some(call, id, 1);
    if ((code < 0 && code != -ENOBUFS) || command->sent == command->count) {
        oracle_call_over(command);
        return;
    }
    /* Half of those that were refused are told of room, the others try again. */
    code = code == -ENOBUFS && id % 2 == 1
                   ? cmds_call_on_writable(call, service_on_timer)
                   : cmds_call_after(call, command->delay_ms, service_on_timer);
    if (code == 0) {
        service_keep(command);
    } else if (code != CMDS_E_GONE && code != -ENOMEM) {
        (void)oracle_fail("to be called again, in its timer: %s", cmds_error_name(code));
    }
}

static void service_on_cancel(struct cmds_call *call)
{
    oracle_cancelled(oracle_command(service_id(call)), service_in_time(call));
}

static int service_after(struct cmds_call *call, struct oracle_command *command)
{
    if (service_id(call) % 2 == 0) {
        command->is_copied = cmds_call_keep_command(call) == 0;
    }
    service_keep(command);
    cmds_call_on_cancel(call, service_on_cancel);
    int code = cmds_call_after(call, command->delay_ms, service_on_timer);
    if (code < 0) {
        service_let_go(command);
    }
    return code;
}

/* For its own thread: the call is kept until that has answered. */
static void service_queue(struct service *service, uint64_t id)
{
    oracle_command(id)->next = 0;
    (void)pthread_mutex_lock(&service->lock);
    if (service->first == 0) {
        service->first = (uint32_t)id;
    } else {
        oracle_command(service->last)->next = (uint32_t)id;
    }
    service->last = (uint32_t)id;
    (void)pthread_cond_signal(&service->filled);
    (void)pthread_mutex_unlock(&service->lock);
}

static void service_on_room(struct cmds_call *call)
{
    service_queue(cmds_call_receiver(call), service_id(call));
}

/* Answers on a thread that may wait. Lets go of the call, unless it is to be told of room. */
static void service_answer(struct cmds_call *call, uint64_t id)
{
    struct oracle_command *command = oracle_command(id);
    int code = 0;
    for (uint32_t i = 0; i < SERVICE_TRIES_MAX && command->sent < command->count; i++) {
        (void)usleep(command->delay_ms * 100);
        code = service_send_some(call, id, 3);
        if (code == -ENOBUFS && id % 2 == 1 && cmds_call_on_writable(call, service_on_room) == 0) {
            return;
        }
        if (code == 0) {
            i = 0;
        } else if (code != -ENOBUFS) {
            break;
        }
    }
    if (command->sent < command->count && code != CMDS_E_GONE) {
        oracle_call_over(command);
        cmds_call_fail(call, -ENOBUFS, "no room");
    }
    oracle_call_over(command);
    service_let_go(command);
    cmds_call_unref(call);
}

void *service_answers(void *context)
{
    struct service *service = context;
    (void)pthread_mutex_lock(&service->lock);
    while (service->first != 0 || !service->is_stopping) {
        if (service->first == 0) {
            (void)pthread_cond_wait(&service->filled, &service->lock);
            continue;
        }
        uint32_t id = service->first;
        service->first = oracle_command(id)->next;
        (void)pthread_mutex_unlock(&service->lock);
        service_answer(oracle_command(id)->call, id);
        (void)pthread_mutex_lock(&service->lock);
    }
    (void)pthread_mutex_unlock(&service->lock);
    return NULL;
}

static int service_foreign(struct service *service, struct cmds_call *call, uint64_t id)
{
    struct oracle_command *command = oracle_command(id);
    if (!service->has_thread) {
        return service_again(call, id, SERVICE_ROUND_RESULTS);
    }
    command->call = cmds_call_ref(call);
    service_keep(command);
    cmds_call_on_cancel(call, service_on_cancel);
    service_queue(service, id);
    return 0;
}

static void service_on_post(void *context)
{
    uint64_t id = (uint64_t)(uintptr_t)context;
    struct oracle_command *command = oracle_command(id);
    struct cmds_call *call = command->call;
    int code = service_send_some(call, id, command->count);
    oracle_call_over(command);
    service_let_go(command);
    if (code == -ENOBUFS) {
        cmds_call_fail(call, code, NULL);
    }
    cmds_call_unref(call);
}

static int service_shard(struct service *service, struct cmds_call *call, uint64_t id)
{
    if (service->runtime == NULL) { // It is cmds_server_main's own.
        return service_again(call, id, SERVICE_ROUND_RESULTS);
    }
    struct oracle_command *command = oracle_command(id);
    uint32_t shards = cmds_runtime_shard_count(service->runtime);
    int here = cmds_runtime_current_shard(service->runtime);
    if (here < 0) {
        (void)oracle_fail("an exec function runs on no shard");
        return -EPERM;
    }
    command->call = cmds_call_ref(call);
    service_keep(command);
    int code = cmds_runtime_post(service->runtime, ((uint32_t)here + 1) % shards, service_on_post,
            (void *)(uintptr_t)id);
    if (code < 0) {
        service_let_go(command);
        cmds_call_unref(call);
    }
    return code;
}

static void service_on_never(struct cmds_call *call)
{
    struct oracle_command *command = oracle_command(service_id(call));
    oracle_cancelled(command, service_in_time(call));
    oracle_call_over(command);
    service_let_go(command);
    cmds_call_unref(command->call);
}

static int service_never(struct cmds_call *call, struct oracle_command *command)
{
    command->call = cmds_call_ref(call);
    service_keep(command);
    cmds_call_on_cancel(call, service_on_never);
    return 0;
}

/* --- Forwarded ---------------------------------------------------------------------------------- */

static void service_on_forwarded(
        struct cmds_call *call, void *context, const struct cmds_result *result)
{
    uint64_t id = service_id(call);
    struct oracle_command *command = oracle_command(id);
    uint64_t other = command->other;
    const struct service *service = cmds_call_receiver(call);
    if (context != command ||
            command->forward_shard != cmds_runtime_current_shard(service->runtime)) {
        (void)oracle_fail("the forward of command %llu ended on shard %d, made on %d",
                (unsigned long long)id, cmds_runtime_current_shard(service->runtime),
                command->forward_shard);
    }
    bool last = oracle_command_result(other, result);
    if (result->error == 0 && !result->is_error) {
        int code = service_send_some(call, id, 1);
        if (code < 0 && code != CMDS_E_GONE) {
            oracle_call_over(command);
            cmds_call_fail(call, code, NULL);
        }
    } else {
        oracle_call_over(command);
        cmds_call_fail_as(call, result);
    }
    if (last) {
        oracle_let_go(command, "forward");
        oracle_call_over(command);
        service_let_go(command);
    }
}

static int service_forward(struct service *service, struct cmds_call *call, uint64_t id)
{
    struct oracle_command *command = oracle_command(id);
    if (service->upstream == NULL) {
        return service_again(call, id, SERVICE_ROUND_RESULTS);
    }
    struct talk_ask ask = {.how = command->count == 1 ? TALK_AFTER : TALK_AGAIN,
            .count = command->count,
            .delay_ms = command->delay_ms,
            .size = command->size < 900 ? command->size : 900};
    uint64_t other = oracle_command_new(service->upstream_group, ORACLE_ASK, &ask, 0);
    if (other == 0) {
        return service_again(call, id, SERVICE_ROUND_RESULTS);
    }
    oracle_command(other)->due_ns = 0; // What is left of the call's, or the group's.
    oracle_command(other)->other = (uint32_t)id;
    oracle_command(other)->traced = traced_number(call);
    command->other = (uint32_t)other;
    command->forward_shard = cmds_runtime_current_shard(service->runtime);
    ask.id = other;
    service_keep(command);
    cmds_call_on_cancel(call, service_on_cancel);
    int code = cmds_group_forward(
            service->upstream, talk_ask_message(&ask), NULL, call, service_on_forwarded, command);
    oracle_command_sent(other, code);
    if (code < 0) {
        service_let_go(command);
    }
    return code;
}

/* --- Exec functions ------------------------------------------------------------------------------ */

static uint32_t service_link(const struct cmds_call *call)
{
    return (uint32_t)(uintptr_t)cmds_connection_context(cmds_call_connection(call));
}

/*
 * A connection that such calls fill is not read any more, and that is no fault of the library. The pool may
 * not ask whose call it is.
 */
static bool service_may_never(const struct service *service, const struct cmds_call *call,
        const struct oracle_command *command)
{
    uint32_t bound = service->plan->in_flight_max;
    if (bound == 0 || service->plan->exec_ms != 0 || command->in_pool) {
        return bound == 0 || service->plan->exec_ms != 0;
    }
    struct oracle_link *link = oracle_link(service_link(call));
    link->nevers++;
    return link->nevers < bound;
}

static int service_ask_first(struct service *service, struct cmds_call *call,
        struct oracle_command *command, uint64_t id)
{
    switch (command->how) {
    case TALK_AFTER:
        return service_after(call, command);
    case TALK_FOREIGN:
        return service_foreign(service, call, id);
    case TALK_SHARD:
        return service_shard(service, call, id);
    case TALK_FORWARD:
        return service_forward(service, call, id);
    case TALK_SOFT:
    case TALK_SOFT_ALONE:
        (void)service_send_some(call, id, command->count - 1);
        return CMDS_E_LIMIT;
    case TALK_UNFINISHED:
        return service_send_some(call, id, command->count - 1);
    case TALK_NEVER:
        return service_may_never(service, call, command)
                       ? service_never(call, command)
                       : service_send_some(call, id, command->count);
    case TALK_HARD:
        (void)service_send_some(call, id, command->count - 1);
        return -EPERM;
    case TALK_CLOSE:
        cmds_connection_close(cmds_call_connection(call));
        return service_send_some(call, id, command->count);
    default:
        return service_send_some(call, id, command->count);
    }
}

static int service_execute(struct cmds_call *call)
{
    struct service *service = cmds_call_receiver(call);
    uint64_t id = service_id(call);
    struct oracle_command *command = oracle_command(id);
    if (cmds_call_round(call) > 0 || command->how == TALK_AGAIN) {
        return service_again(call, id, SERVICE_ROUND_RESULTS);
    }
    return service_ask_first(service, call, command, id);
}

static int service_ask(struct cmds_call *call, const struct talk_ask *ask)
{
    (void)ask;
    return service_execute(call);
}

static int service_fetch(struct cmds_call *call, const struct talk_fetch *fetch)
{
    (void)fetch;
    return service_execute(call);
}

static int service_work(struct cmds_call *call, const struct talk_work *work)
{
    struct oracle_command *command = oracle_command(work->id);
    command->in_pool = true;
    if (cmds_call_round(call) == 0) {
        (void)usleep(work->delay_ms * 1000);
    }
    int code = service_again(call, work->id, 2 * SERVICE_ROUND_RESULTS);
    command->in_pool = false;
    return code;
}

static int service_tell(struct cmds_call *call, const struct talk_tell *tell)
{
    struct talk_part part = {.id = tell->id, .last = true};
    int code = cmds_call_send(call, talk_part_message(&part));
    oracle_call_over(oracle_command(tell->id));
    if (code != CMDS_E_GONE) {
        (void)oracle_fail("a result of a one-way command: %s", cmds_error_name(code));
    }
    return 0;
}

static const struct cmds_exec service_execs[] = {
        CMDS_EXEC(talk_ask, service_ask),
        CMDS_EXEC(talk_fetch, service_fetch),
        CMDS_EXEC_IN_POOL(talk_work, service_work),
        CMDS_EXEC(talk_tell, service_tell),
};

/* --- Around them --------------------------------------------------------------------------------- */

/* Memory for what is not needed. */
static bool service_may_lack(const struct service *service)
{
    return service->plan->memory_size_max != 0 || (oracle.scenario->faults & CMDS_SIM_MEMORY) != 0;
}

/* Its outer end, 1, and its inner one, 2, with which the record begins to be over. */
static void service_ends(struct cmds_call *call, uint8_t place)
{
    const struct service *service = cmds_call_receiver(call);
    const struct oracle_life *life = oracle_life(service->life);
    struct oracle_command *command = oracle_command(service_id(call));
    struct talk_part part = {.id = service_id(call), .last = true};
    oracle_call_ended(command, place);
    if (service->runtime != NULL && !life->is_ending &&
            cmds_runtime_current_shard(service->runtime) < 0) {
        (void)oracle_fail("server %u: a call ends off its shard", life->number);
    }
    int code = cmds_call_send(call, talk_part_message(&part));
    if (code != (cmds_call_is_cancelled(call) || command->type == ORACLE_TELL ? CMDS_E_GONE
                                                                              : CMDS_E_FINISHED)) {
        (void)oracle_fail("server %u: a call that has ended takes a result: %s", life->number,
                cmds_error_name(code));
    }
}

static void service_on_end(struct cmds_call *call)
{
    service_ends(call, 1);
}

static void service_on_inner_end(struct cmds_call *call)
{
    service_ends(call, 2);
}

static void service_ask_end(struct cmds_call *call, cmds_call_fn fn)
{
    struct oracle_command *command = oracle_command(service_id(call));
    if (cmds_call_round(call) == 0) {
        oracle_end_due(command);
    }
    if (cmds_call_on_end(call, fn) != 0) { // Again in each round: it is there once.
        (void)oracle_fail("an end of a call is refused");
    }
}

/* The outer one: the oracle is told of each execution here. */
static int service_record(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    struct service *service = receiver;
    struct talk_ask value;
    enum oracle_type type = service_value(call, &value);
    bool on_shard = type != ORACLE_WORK;
    uint32_t link = on_shard && cmds_call_round(call) == 0 ? service_link(call) : 0;
    const struct oracle_command *command = oracle_exec(service->life, link, call, type, &value);
    if (command == NULL) {
        return -EPERM;
    }
    cmds_call_set_context(call, (void *)(uintptr_t)(command - oracle_command(0)));
    service_ask_end(call, service_on_end);
    traced_look(call, value.id, service_may_lack(service));
    uint32_t exec_ms = service->plan->exec_ms;
    uint64_t deadline_ns = cmds_call_deadline_ns(call);
    uint64_t received_ns = cmds_call_received_ns(call);
    if (exec_ms == 0 ? deadline_ns != UINT64_MAX
                     : deadline_ns < received_ns + (exec_ms - 1) * 1000000ull ||
                               deadline_ns > received_ns + (exec_ms + 2) * 1000000ull) {
        (void)oracle_fail("command %llu: its deadline is %lld us after it was received",
                (unsigned long long)value.id, (long long)(deadline_ns - received_ns) / 1000);
    }
    return cmds_invocation_next(next, call);
}

static int service_guard(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    if (service_id(call) % 2 == 1) {
        service_ask_end(call, service_on_inner_end);
    }
    if (oracle_command(service_id(call))->how == TALK_REFUSED) {
        return CMDS_E_DRAINING;
    }
    return cmds_invocation_next(next, call);
}

static const cmds_invoker_fn service_invokers[] = {service_record, service_guard};

static int service_on_exec_error(
        void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    struct service *service = receiver;
    uint64_t id = service_id(call);
    if (error->code >= 0) {
        (void)oracle_fail("on_exec_error without an error");
    }
    if (id == 0) { // Nobody has run it: no room in the pool, no memory.
        oracle_life(service->life)->failures++;
        return error->code;
    }
    struct oracle_command *command = oracle_command(id);
    uint32_t how = command->how;
    if (command->type == ORACLE_TELL && error->code == CMDS_E_UNFINISHED) {
        (void)oracle_fail("a one-way command was handled, and is told to be unfinished");
    }
    bool is_soft = how == TALK_SOFT && error->code == CMDS_E_LIMIT;
    if (((is_soft && command->sent + 1 == command->count) || how == TALK_REFUSED) &&
            service_send_some(call, id, command->count) == 0) {
        return 0;
    }
    command->has_failed = true;
    oracle_call_over(command);
    return error->code;
}

static int service_on_connect(void *receiver, struct cmds_connection *connection)
{
    struct service *service = receiver;
    if (service->plan->is_main) {
        oracle_life_up(service->life);
    }
    uint32_t link = oracle_link_open(service->life);
    if (service->plan->strict && oracle_chance(20)) {
        oracle_link_refused(link);
        return -EACCES;
    }
    cmds_connection_set_context(connection, (void *)(uintptr_t)link);
    return 0;
}

static void service_on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    (void)receiver;
    oracle_link_close((uint32_t)(uintptr_t)cmds_connection_context(connection), cause);
}

static int service_on_shard_start(void *receiver, uint32_t shard, void **state)
{
    struct service *service = receiver;
    (void)shard;
    service->shards_started++;
    *state = service;
    return 0;
}

static void service_on_shard_stop(void *receiver, uint32_t shard, void *state)
{
    struct service *service = receiver;
    if (state != service || service->shards_started == 0) {
        (void)oracle_fail("server %u: on_shard_stop of shard %u", service->plan->number, shard);
    }
    service->shards_started--;
}

void service_options(struct service *service, struct cmds_server_options *options)
{
    const struct scenario_server *plan = service->plan;
    *options = (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(
            scenario_answers(oracle.scenario) ? &talk_protocol : &talk_mute, service_execs);
    options->codec = scenario_codec_of(plan->codec);
    options->receiver = service;
    options->invokers = service_invokers;
    options->invoker_count = 2;
    options->in_flight_max = plan->in_flight_max;
    options->frame_size_max = plan->frame_size_max;
    options->output_size_max = plan->output_size_max;
    options->kept_size_max = plan->kept_size_max;
    options->connection_count_max = plan->connection_count_max;
    options->overflow = plan->queues ? CMDS_OVERFLOW_QUEUE : CMDS_OVERFLOW_REFUSE;
    options->reuse_port = plan->reuse_port;
    options->slow_reader = plan->is_patient ? CMDS_SLOW_READER_WAIT : CMDS_SLOW_READER_CLOSE;
    options->idle_timeout_ms = plan->idle_ms;
    options->frame_timeout_ms = plan->frame_ms;
    options->write_timeout_ms = plan->write_ms;
    options->exec_timeout_ms = plan->exec_ms;
    options->linger_timeout_ms = plan->linger_ms;
    options->server_info = (struct cmds_bytes){plan->server_info, strlen(plan->server_info)};
    options->on_shard_start = service_on_shard_start;
    options->on_shard_stop = service_on_shard_stop;
    options->on_connect = service_on_connect;
    options->on_disconnect = service_on_disconnect;
    options->on_exec_error = service_on_exec_error;
    options->tls = plan->masked ? veil_server(plan->number) : NULL;
}
