/* SPDX-License-Identifier: MIT */
/*
 * The exec functions of the test protocol. Also the examples of how each kind of command is best
 * written: one result, many results in bounded memory, a result later, a failure, work for the
 * pool.
 */
#include "test_service.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    SERVICE_BATCH_MAX = 256, // Results of one stream in a round; then others have their turn.
    SERVICE_RETRY_MS = 1,
};

/*
 * One per shard. The pattern grows to what was asked for; the rest of it is address space that
 * nobody touched.
 */
struct service_shard {
    size_t filled, capacity;
    char pattern[];
};

static int service_shard_start(void *receiver, uint32_t shard, void **state)
{
    (void)shard;
    const struct tool_service *service = receiver;
    struct service_shard *mine = malloc(sizeof(*mine) + service->data_size_max);
    if (mine == NULL) {
        return -ENOMEM;
    }
    mine->filled = 0;
    mine->capacity = service->data_size_max;
    *state = mine;
    return 0;
}

static void service_shard_stop(void *receiver, uint32_t shard, void *state)
{
    (void)receiver;
    (void)shard;
    free(state);
}

/* 'a' + i % 26. Returns: no data pointer if it is larger than a frame may be. */
static struct cmds_string service_pattern(struct service_shard *shard, int64_t size)
{
    if (size < 0 || (uint64_t)size > shard->capacity) {
        return (struct cmds_string){0};
    }
    for (; shard->filled < (size_t)size; shard->filled++) {
        shard->pattern[shard->filled] = (char)('a' + shard->filled % 26);
    }
    return (struct cmds_string){shard->pattern, (size_t)size};
}

/*
 * A client that does not read fills its connection's output; the call then waits for room instead
 * of failing.
 */
static int service_again_if_full(int code)
{
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static int service_echo(struct cmds_call *call, const struct command_echo *echo)
{
    const struct tool_service *service = cmds_call_receiver(call);
    if (service->burn_ticks > 0) {
        uint64_t end = tool_clock_ticks(&service->clock) + service->burn_ticks;
        while (tool_clock_ticks(&service->clock) < end) {
        }
    }
    struct result_echo result = {echo->boolean, echo->int64, echo->string, echo->float64};
    return service_again_if_full(cmds_call_send(call, result_echo_message(&result)));
}

static int service_stream(struct cmds_call *call, const struct command_stream *stream)
{
    struct cmds_string data = service_pattern(cmds_call_shard_state(call), stream->size);
    if (data.data == NULL) {
        return CMDS_E_LIMIT;
    }
    if (stream->count <= 0) {
        struct result_item none = {.index = -1, .last = true, .data = data};
        return service_again_if_full(cmds_call_send(call, result_item_message(&none)));
    }

    int64_t sent = (int64_t)(intptr_t)cmds_call_context(call);
    int64_t left = stream->count - sent;
    int64_t end = left > SERVICE_BATCH_MAX ? sent + SERVICE_BATCH_MAX : stream->count;
    int code = 0;
    while (sent < end) {
        struct result_item item = {sent, sent == stream->count - 1, data};
        code = cmds_call_send(call, result_item_message(&item));
        if (code < 0) {
            break;
        }
        sent++;
    }
    cmds_call_set_context(call, (void *)(intptr_t)sent);
    if (code < 0) {
        return service_again_if_full(code);
    }
    return sent < stream->count ? CMDS_EXEC_AGAIN : 0;
}

static void service_sleep_over(struct cmds_call *call)
{
    const struct command_sleep *sleep = command_sleep_of(call);
    struct result_echo result = {sleep->boolean, sleep->int64, sleep->string, sleep->float64};
    int code = cmds_call_send(call, result_echo_message(&result));
    if (code == -ENOBUFS) {
        code = cmds_call_after(call, SERVICE_RETRY_MS, service_sleep_over);
    }
    if (code < 0 && code != CMDS_E_GONE) {
        cmds_call_fail(call, code, "sleep: the result could not be sent");
    }
}

static int service_sleep(struct cmds_call *call, const struct command_sleep *sleep)
{
    int64_t ms = sleep->ms < 0 ? 0 : sleep->ms;
    uint32_t delay_ms = ms >= CMDS_NEVER ? CMDS_NEVER - 1 : (uint32_t)ms;
    int code = cmds_call_keep_command(call);
    return code < 0 ? code : cmds_call_after(call, delay_ms, service_sleep_over);
}

static int service_fail(struct cmds_call *call, const struct command_fail *fail)
{
    (void)call;
    (void)fail;
    return -EIO;
}

static uint64_t service_thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/*
 * In the pool. CPU time, not time: another thread on the same core makes it last longer, not work
 * less.
 */
static int service_work(struct cmds_call *call, const struct command_work *work)
{
    if (cmds_call_round(call) == 0 && work->us > 0) {
        uint64_t budget_ns = work->us > INT64_MAX / 1000 ? INT64_MAX : (uint64_t)work->us * 1000;
        uint64_t start_ns = service_thread_cpu_ns();
        while (service_thread_cpu_ns() - start_ns < budget_ns && !cmds_call_is_cancelled(call)) {
        }
    }
    struct result_echo result = {.string = CMDS_STRING("")};
    return service_again_if_full(cmds_call_send(call, result_echo_message(&result)));
}

static const struct cmds_exec service_execs[] = {
        CMDS_EXEC(command_echo, service_echo),
        CMDS_EXEC(command_stream, service_stream),
        CMDS_EXEC(command_sleep, service_sleep),
        CMDS_EXEC(command_fail, service_fail),
        CMDS_EXEC_IN_POOL(command_work, service_work),
};

struct cmds_server_options tool_service_options(struct tool_service *service)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&test_protocol, service_execs);
    options.receiver = service;
    options.on_shard_start = service_shard_start;
    options.on_shard_stop = service_shard_stop;
    return options;
}
