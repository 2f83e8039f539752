/* SPDX-License-Identifier: MIT */
/*
 * The load itself: lanes with one command in flight each, re-sent from their own result callback.
 *
 * Everything here runs on the worker that owns the lanes: a shard sends over its own connections,
 * and their results come back on it, so nothing is locked or shared. A lane whose connection is
 * lost retires, and so never sends over another shard's connection.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench/bench.h"

enum {
    LOAD_ERRORS_MAX = 1000 // Of one worker; then its lanes retire: a dead server ends the run.
};

static uint32_t load_sticky_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    (void)candidate;
    (void)source;
    return (uint32_t)(key % count);
}

const struct cmds_dispatch cmdi_bench_dispatch_sticky = {
        .struct_size = sizeof(struct cmds_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "sticky",
        .pick = load_sticky_pick,
};

/*
 * One writer, so a plain increment; atomic, because the main thread reads it for the progress line.
 */
static void load_add(_Atomic uint64_t *counter, uint64_t count)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + count, memory_order_relaxed);
}

void cmdi_bench_worker_error(struct bench_worker *worker, int code, const char *text)
{
    load_add(&worker->errors, 1);
    if (worker->first_error.code == 0) {
        worker->first_error.code = code;
        size_t size = strlen(text);
        size = size < sizeof(worker->first_error.text) ? size
                                                       : sizeof(worker->first_error.text) - 1;
        memcpy(worker->first_error.text, text, size);
        worker->first_error.text[size] = '\0';
    }
}

/* --- Commands and their answers --------------------------------------------------------------- */

/* Inline, as what follows: what the bench does for each command is not what it is to measure. */
#define LOAD_INLINED static inline __attribute__((always_inline))

LOAD_INLINED void load_take(
        struct bench_worker *worker, struct bench_lane *lane, const struct cmds_result *result)
{
    if (!worker->plan->subject->is_right(lane, result)) {
        cmdi_bench_worker_error(worker, CMDS_E_PROTO, "an answer was not the one to its command");
    }
    if (!lane->light) {
        load_add(&worker->results, 1);
        load_add(&worker->bytes, result->size);
    }
}

LOAD_INLINED void load_end(
        struct bench_worker *worker, const struct bench_lane *lane, uint64_t now, uint64_t end)
{
    struct cmdi_histogram *histogram = &worker->light;
    if (!lane->light) {
        load_add(&worker->commands, 1);
        histogram = &worker->latency;
    }
    const uint64_t began = lane->began;
    if (began >= worker->plan->measure_from && began < end) {
        cmdi_histogram_record(histogram, now > began ? now - began : 0);
    }
}

bool cmdi_bench_lane_take(struct bench_lane *lane, const struct cmds_result *result)
{
    load_take(lane->worker, lane, result);
    return result->last;
}

void cmdi_bench_lane_end(struct bench_lane *lane, uint64_t now)
{
    struct bench_worker *worker = lane->worker;
    load_end(worker, lane, now, bench_at(&worker->plan->end));
}

/* --- Lanes ------------------------------------------------------------------------------------ */

static void load_on_result(void *context, const struct cmds_result *result);

static void load_retire(struct bench_lane *lane)
{
    struct bench_worker *worker = lane->worker;
    worker->live--;
    if (worker->live == 0 && worker->done != NULL) {
        sem_post(worker->done); // The last touch of the worker.
    }
}

/* Of a one-way command nobody says that it is over: it is, when it is queued. Returns: send again. */
static bool load_pass(struct bench_lane *lane)
{
    struct bench_worker *worker = lane->worker;
    uint64_t now = tool_clock_ticks(&worker->plan->clock);
    cmdi_bench_lane_end(lane, now);
    lane->began = now;
    if (worker->plan->due_interval > 0) {
        worker->live--;
        lane->next = worker->free;
        worker->free = lane;
        return false; // Who sends what is due goes on himself.
    }
    if (now >= bench_at(&worker->plan->end)) {
        load_retire(lane);
        return false;
    }
    return true;
}

/* Returns: 0; -ENOBUFS; negative. */
LOAD_INLINED int load_try(const struct bench_plan *plan, struct bench_lane *lane)
{
    union bench_value value;
    struct cmds_message message = plan->subject->message(lane, &value);
    return cmds_group_send(lane->group, message, lane->how, load_on_result, lane);
}

static __attribute__((noinline)) void load_not_sent(struct bench_lane *lane, int code)
{
    if (code == -ENOBUFS) {
        lane->next = lane->worker->stalled;
        lane->worker->stalled = lane;
        return;
    }
    cmdi_bench_worker_error(lane->worker, code, cmds_error_text(code));
    load_retire(lane);
}

LOAD_INLINED void load_send(const struct bench_plan *plan, struct bench_lane *lane, uint64_t began)
{
    const bool one_way = plan->type->one_way != 0;
    lane->began = began;
    int code = load_try(plan, lane);
    while (one_way && code == 0 && load_pass(lane)) {
        code = load_try(plan, lane);
    }
    if (code != 0) {
        load_not_sent(lane, code);
    }
}

/* After its command is over: the next one, if there is one. */
LOAD_INLINED void load_go_on(struct bench_worker *worker, const struct bench_plan *plan,
        struct bench_lane *lane, uint64_t now, uint64_t end)
{
    bool worn_out = atomic_load_explicit(&worker->errors, memory_order_relaxed) > LOAD_ERRORS_MAX;
    if (plan->due_interval > 0 && !worn_out) {
        worker->live--;
        lane->next = worker->free;
        worker->free = lane;
        (void)cmdi_bench_worker_send_due(worker, now);
    } else if (now < end && !worn_out) {
        load_send(plan, lane, now);
    } else {
        load_retire(lane);
    }
}

static __attribute__((noinline)) void load_on_error(
        struct bench_lane *lane, const struct cmds_result *result)
{
    struct bench_worker *worker = lane->worker;
    const struct bench_plan *plan = worker->plan;
    cmdi_bench_worker_error(worker, result->error, result->text);
    if (result->error == CMDS_E_TIMEOUT) {
        load_go_on(worker, plan, lane, tool_clock_ticks(&plan->clock), bench_at(&plan->end));
    } else {
        load_retire(lane); // Its connection is gone.
    }
}

static void load_on_result(void *context, const struct cmds_result *result)
{
    struct bench_lane *lane = context;
    struct bench_worker *worker = lane->worker;
    const struct bench_plan *plan = worker->plan;
    if (result->error < 0) {
        load_on_error(lane, result);
        return;
    }
    load_take(worker, lane, result);
    if (result->last) {
        const uint64_t now = tool_clock_ticks(&plan->clock), end = bench_at(&plan->end);
        load_end(worker, lane, now, end);
        load_go_on(worker, plan, lane, now, end);
    }
}

int cmdi_bench_worker_fill(struct bench_worker *worker, struct cmds_group *group, uint32_t conns,
        uint32_t in_flight, struct cmds_group *light_group, uint32_t light)
{
    size_t heavy = (size_t)conns * in_flight;
    size_t count = heavy + light;
    if (count == 0) {
        return 0;
    }
    uint32_t how_count = conns > light ? conns : light;
    worker->lanes = aligned_alloc(64, count * sizeof(*worker->lanes));
    worker->hows = calloc(how_count, sizeof(*worker->hows));
    if (worker->lanes == NULL || worker->hows == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < how_count; i++) {
        worker->hows[i] = (struct cmds_send_options)CMDS_SEND_OPTIONS_INIT;
        worker->hows[i].sticky_key = i;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_light = i >= heavy;
        worker->lanes[i] = (struct bench_lane){.worker = worker,
                .group = is_light ? light_group : group,
                .how = &worker->hows[is_light ? i - heavy : i / in_flight],
                .light = is_light};
    }
    worker->lane_count = (uint32_t)count;
    return 0;
}

void cmdi_bench_worker_start(struct bench_worker *worker)
{
    const struct bench_plan *plan = worker->plan;
    if (plan->due_interval > 0) {
        for (uint32_t i = worker->lane_count; i > 0; i--) {
            worker->lanes[i - 1].next = worker->free;
            worker->free = &worker->lanes[i - 1];
        }
        return;
    }
    // All at once: a lane that retires meanwhile must not look like the last one.
    worker->live = worker->lane_count + 1;
    for (uint32_t i = 0; i < worker->lane_count; i++) {
        load_send(plan, &worker->lanes[i], tool_clock_ticks(&plan->clock));
    }
    worker->live--;
    if (worker->live == 0 && worker->done != NULL) {
        sem_post(worker->done);
    }
}

void cmdi_bench_worker_on_writable(struct bench_worker *worker)
{
    struct bench_lane *stalled = worker->stalled;
    worker->stalled = NULL;
    while (stalled != NULL) {
        struct bench_lane *lane = stalled;
        stalled = lane->next;
        load_send(worker->plan, lane, lane->began); // It waited, and that is part of its latency.
    }
}

uint64_t cmdi_bench_worker_send_due(struct bench_worker *worker, uint64_t now)
{
    const struct bench_plan *plan = worker->plan;
    for (;;) {
        uint64_t due = plan->start + (uint64_t)((double)worker->due_count * plan->due_interval);
        if (due >= bench_at(&plan->end) || now >= bench_at(&plan->send_until)) {
            return UINT64_MAX;
        }
        if (due > now) {
            return due - now;
        }
        struct bench_lane *lane = worker->free;
        if (lane == NULL || worker->stalled != NULL) {
            return 0; // A result or room in the window will call again.
        }
        worker->free = lane->next;
        worker->due_count++;
        worker->live++;
        load_send(plan, lane, due);
    }
}

void cmdi_bench_worker_count_unsent(struct bench_worker *worker, uint64_t now)
{
    const struct bench_plan *plan = worker->plan;
    uint64_t until = bench_at(&plan->send_until);
    until = now < until ? now : until;
    for (;; worker->due_count++) {
        uint64_t due = plan->start + (uint64_t)((double)worker->due_count * plan->due_interval);
        if (due >= bench_at(&plan->end)) {
            return;
        }
        worker->unsent++;
        if (due >= plan->measure_from) {
            cmdi_histogram_record(&worker->latency, until > due ? until - due : 0);
        }
    }
}
