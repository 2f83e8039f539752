/* SPDX-License-Identifier: MIT */
/*
 * Callers: threads that block in one sender, one command each. They draw, count and check as sessions do;
 * their counters are workers' that have no shard.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "stress/draw.h"

enum {
    CALLER_STOPPED = 1, // What a function for results returns to forget the rest.
    CALLER_NS_PER_MS = 1000 * 1000,
};

struct stress_caller {
    struct stress *stress;
    struct stress_worker *worker;
    struct stress_flight flight;
    struct stress_draw draw;
    uint64_t index, drawn; // Of all sessions and callers; commands so far.
    pthread_t thread;
};

static void caller_sleep(uint64_t ms)
{
    struct timespec pause = {
            .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * CALLER_NS_PER_MS};
    (void)nanosleep(&pause, NULL);
}

static int caller_each(void *context, const struct cmds_result *result)
{
    struct stress_caller *caller = context;
    struct stress_flight *flight = &caller->flight;
    if (caller->draw.forget && !result->last) {
        return CALLER_STOPPED;
    }
    (void)stress_flight_result(caller->worker, flight, result);
    return 0;
}

static int caller_send(struct stress_caller *caller, struct cmds_error *error)
{
    struct cmds_sender *sender = caller->stress->sender;
    const struct stress_draw *draw = &caller->draw;
    union stress_value value;
    struct cmds_message message =
            stress_message(caller->worker, draw, caller->flight.number, &value);
    if (draw->kind == STRESS_KIND_STREAM) {
        return cmds_sender_send_multi(
                sender, message, draw->deadline_ms, error, caller_each, caller);
    }
    struct cmds_result *result = NULL;
    int code = cmds_sender_send(sender, message, draw->deadline_ms, &result, error);
    if (code == 0) {
        (void)stress_flight_result(caller->worker, &caller->flight, result);
    }
    cmds_result_free(result);
    return code;
}

/* How a send came back, beside the results that were looked at. */
static void caller_end(struct stress_caller *caller, int code, const struct cmds_error *error)
{
    struct stress_worker *worker = caller->worker;
    struct stress_flight *flight = &caller->flight;
    bool over = atomic_load_explicit(&flight->state, memory_order_relaxed) == STRESS_FLIGHT_FREE;
    if (over != (code == 0)) {
        stress_wrong(worker, flight->number,
                over ? "a blocking send that failed after its last result"
                     : "a blocking send that came back well before its last result");
    }
    if (over) {
        return;
    }
    atomic_store_explicit(&flight->state, STRESS_FLIGHT_FREE, memory_order_relaxed);
    STRESS_COUNT(worker, ended);
    // Nobody says whether it had left: a time-out counts as one of the result.
    flight->sequence = 1;
    stress_count_error(worker, flight, code == CALLER_STOPPED ? CMDS_E_CANCELLED : code,
            error->code < 0 ? error->text : cmds_error_text(code));
    if (code == CMDS_E_NOT_ALLOWED || code == CMDS_E_NOT_CONNECTED) {
        caller_sleep(stress_retry_ms(caller->stress, flight->number));
    }
}

static void *caller_run(void *context)
{
    struct stress_caller *caller = context;
    struct stress *stress = caller->stress;
    stress_worker_be(caller->worker);
    while (!atomic_load_explicit(&stress->stopping, memory_order_relaxed)) {
        struct cmds_error error = CMDS_ERROR_INIT;
        uint64_t number = caller->index << 32 | caller->drawn++;
        caller->draw = stress_draw(stress, number);
        stress_flight_begin(&caller->flight, &caller->draw, number);
        STRESS_COUNT(caller->worker, begun);
        caller_end(caller, caller_send(caller, &error), &error);
    }
    return NULL;
}

/* --- All of them ----------------------------------------------------------------------------------- */

static int caller_open(struct stress *stress, struct cmds_error *error)
{
    struct stress_lot *lot = &stress->lots[STRESS_LOT_CALLERS];
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&stress_protocol);
    int code = stress_lot_options(lot, &group, error);
    if (code < 0) {
        return code;
    }
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&stress_protocol);
    options.runtime = stress->runtime;
    options.group = &group;
    options.connect_later = true;
    code = cmds_sender_open(&stress->sender, &options, error);
    if (code == 0) {
        atomic_store_explicit(&lot->group, cmds_sender_group(stress->sender), memory_order_release);
    }
    return code;
}

int stress_callers_start(struct stress *stress, struct cmds_error *error)
{
    uint32_t count = stress->options.callers;
    if (count == 0) {
        return 0;
    }
    int code = caller_open(stress, error);
    stress->callers = calloc(count, sizeof(*stress->callers));
    if (code < 0 || stress->callers == NULL) {
        return code < 0 ? code : -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct stress_caller *caller = &stress->callers[i];
        caller->stress = stress;
        caller->worker = &stress->workers[stress->worker_count + i];
        caller->index = (uint64_t)stress->session_count + i;
        code = -pthread_create(&caller->thread, NULL, caller_run, caller);
        if (code < 0) {
            return code;
        }
        stress->caller_count++;
    }
    return 0;
}

void stress_callers_end(struct stress *stress)
{
    atomic_store_explicit(&stress->stopping, true, memory_order_relaxed);
    for (uint32_t i = 0; i < stress->caller_count; i++) {
        (void)pthread_join(stress->callers[i].thread, NULL);
    }
    atomic_store_explicit(&stress->lots[STRESS_LOT_CALLERS].group, NULL, memory_order_relaxed);
    cmds_sender_close(stress->sender, 0);
    free(stress->callers);
    stress->callers = NULL;
    stress->sender = NULL;
}
