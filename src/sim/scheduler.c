/* SPDX-License-Identifier: MIT */
/*
 * Who runs next is drawn from those who can. How often a yield lets others run at all is drawn once for
 * each world: some have threads that change over at every lock, some that run far before they do.
 */
#include "sim/scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "ring/thread.h"

enum {
    SCHEDULER_QUEUES = 64,     // For addresses.
    SCHEDULER_COST_NS = 60,    // Of a yield, and so much ...
    SCHEDULER_COST_MORE = 128, // ... more by chance.
    SCHEDULER_STALL_ONE_IN = 2000,
    SCHEDULER_STALL_NS = 200 * 1000,
    SCHEDULER_YIELDS_MAX = 20 * 1000 * 1000, // Without a wait: it turns in a circle.
};

static struct {
    struct cmdi_fiber loop;
    struct cmdi_sim_thread **runnable; // None of them is running or parked.
    uint32_t runnable_count, runnable_capacity;
    uint32_t yield_one_in;
    uint32_t yields; // Of the running thread since it waited.
    uint64_t switches;
    struct cmdi_sim_thread *over; // Has ended and is to be freed, once its stack is left.
    struct cmdi_sim_queue queues[SCHEDULER_QUEUES];
} scheduler;
// NULL: the loop. Whatever other real threads there are is outside.
static _Thread_local struct cmdi_sim_thread *running;
static _Thread_local bool has_worlds; // It opens them, and is the one to run them.

struct cmdi_sim_thread *cmdi_sim_thread(void)
{
    return running;
}

struct cmdi_sim_thread *cmdi_sim_inside(void)
{
    if (running == NULL) {
        cmdi_die("cmdstream_sim: the library is called outside of a world: start the program as a "
                 "process of one, with cmds_sim_start()");
    }
    return running;
}

bool cmdi_sim_has_worlds(void)
{
    return has_worlds;
}

struct cmdi_sim_thread *cmdi_sim_step_out(void)
{
    struct cmdi_sim_thread *thread = running;
    running = NULL;
    return thread;
}

void cmdi_sim_step_in(struct cmdi_sim_thread *thread)
{
    CMDI_ASSERT(running == NULL);
    running = thread;
}

struct cmdi_sim_crew *cmdi_sim_crew(void)
{
    return running != NULL ? running->crew : NULL;
}

uint64_t cmdi_sim_switch_count(void)
{
    return scheduler.switches;
}

/* --- Who can run ------------------------------------------------------------------------------ */

static void runnable_add(struct cmdi_sim_thread *thread)
{
    if (thread->crew->stopped) {
        cmdi_list_push(&thread->crew->parked, &thread->queue);
        return;
    }
    if (scheduler.runnable_count == scheduler.runnable_capacity) {
        scheduler.runnable_capacity =
                scheduler.runnable_capacity > 0 ? scheduler.runnable_capacity * 2 : 64;
        scheduler.runnable = cmdi_sim_realloc(
                scheduler.runnable, scheduler.runnable_capacity * sizeof(struct cmdi_sim_thread *));
    }
    scheduler.runnable[scheduler.runnable_count++] = thread;
}

/* Keeps the order of the others. */
static void runnable_remove(struct cmdi_sim_thread *thread)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < scheduler.runnable_count; i++) {
        if (scheduler.runnable[i] != thread) {
            scheduler.runnable[kept++] = scheduler.runnable[i];
        }
    }
    scheduler.runnable_count = kept;
}

static struct cmdi_sim_thread *runnable_draw(void)
{
    uint64_t index = cmdi_sim_below(CMDI_CHANCE_SCHEDULE, scheduler.runnable_count);
    struct cmdi_sim_thread *thread = scheduler.runnable[index];
    scheduler.runnable[index] = scheduler.runnable[--scheduler.runnable_count];
    return thread;
}

/* --- Changing over ---------------------------------------------------------------------------- */

/* Of the C++ library: what a thread has caught or thrown and is not done with. NULL: there is none. */
struct exceptions {
    void *caught;
    unsigned uncaught;
};
__attribute__((weak)) struct exceptions *__cxa_get_globals(void);

static struct exceptions exceptions_take(void)
{
    struct exceptions taken = {.caught = NULL};
    if (__cxa_get_globals != NULL) {
        taken = *__cxa_get_globals();
        *__cxa_get_globals() = (struct exceptions){.caught = NULL};
    }
    return taken;
}

static void exceptions_give_back(struct exceptions exceptions)
{
    if (__cxa_get_globals != NULL) {
        *__cxa_get_globals() = exceptions;
    }
}

/* From the loop. Returns when the thread waits, yields or has ended. */
static void scheduler_run(struct cmdi_sim_thread *thread)
{
    CMDI_ASSERT(running == NULL && thread->state == CMDI_SIM_THREAD_RUNNABLE);
    running = thread;
    thread->owed = NULL;
    scheduler.switches++;
    void *owned = cmdi_thread_owned;
    cmdi_thread_owned = thread->owned;
    struct exceptions exceptions = exceptions_take();
    cmdi_fiber_switch(&scheduler.loop, &thread->fiber);
    exceptions_give_back(exceptions);
    thread->owned = cmdi_thread_owned;
    cmdi_thread_owned = owned;
    running = NULL;
}

/* To the loop. Returns when the thread's turn has come again. */
static void scheduler_leave(void)
{
    struct cmdi_sim_thread *thread = running;
    int error = errno; // Each thread has its own.
    struct exceptions exceptions = exceptions_take();
    cmdi_fiber_switch(&thread->fiber, &scheduler.loop);
    exceptions_give_back(exceptions);
    errno = error;
}

static uint64_t scheduler_cost(void)
{
    return SCHEDULER_COST_NS + cmdi_sim_below(CMDI_CHANCE_SCHEDULE, SCHEDULER_COST_MORE);
}

static void scheduler_stall(void)
{
    uint64_t ns = cmdi_sim_about(CMDI_CHANCE_SCHEDULE, SCHEDULER_STALL_NS);
    cmdi_sim_trace("no CPU for", ns, 0);
    cmdi_sim_sleep(ns, "a CPU");
}

void cmdi_sim_yield(void)
{
    struct cmdi_sim_thread *thread = running;
    if (thread == NULL) {
        return;
    }
    if (++scheduler.yields > SCHEDULER_YIELDS_MAX) {
        cmdi_sim_fail("a thread never waits and never ends");
    }
    cmdi_sim_pass(scheduler_cost());
    if (cmdi_sim_befalls(CMDS_SIM_STALLS, CMDI_CHANCE_SCHEDULE, SCHEDULER_STALL_ONE_IN)) {
        scheduler_stall();
        return;
    }
    bool others = scheduler.runnable_count > 0 &&
                  cmdi_sim_below(CMDI_CHANCE_SCHEDULE, scheduler.yield_one_in) == 0;
    if (others || cmdi_sim_next_event() <= cmdi_sim_now() || cmdi_sim_failure() != NULL) {
        runnable_add(thread);
        scheduler_leave();
    }
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static void thread_wake(struct cmdi_sim_thread *thread, bool woken)
{
    CMDI_ASSERT(thread->state == CMDI_SIM_THREAD_WAITING);
    cmdi_list_remove(&thread->queue);
    cmdi_event_off(&thread->timeout);
    thread->state = CMDI_SIM_THREAD_RUNNABLE;
    thread->woken = woken;
    thread->address = NULL;
    runnable_add(thread);
}

static void thread_time_over(struct cmdi_event *event)
{
    thread_wake(CMDI_CONTAINER(event, struct cmdi_sim_thread, timeout), false);
}

bool cmdi_sim_wait(struct cmdi_sim_queue *queue, uint64_t until_ns, const char *what)
{
    struct cmdi_sim_thread *thread = running;
    CMDI_ASSERT(thread != NULL);
    thread->state = CMDI_SIM_THREAD_WAITING;
    thread->waits_for = what;
    scheduler.yields = 0;
    cmdi_list_push(&queue->waiting, &thread->queue);
    if (until_ns != CMDI_SIM_NEVER) {
        cmdi_event_at(&thread->timeout, until_ns);
    }
    cmdi_sim_pass(scheduler_cost());
    scheduler_leave();
    return thread->woken;
}

void cmdi_sim_sleep(uint64_t ns, const char *what)
{
    struct cmdi_sim_queue nobody; // Wakes it.
    cmdi_sim_queue_init(&nobody);
    (void)cmdi_sim_wait(&nobody, cmdi_sim_now() + ns, what);
}

uint32_t cmdi_sim_wake(struct cmdi_sim_queue *queue, uint32_t count)
{
    uint32_t woken = 0;
    for (; woken < count && !cmdi_list_empty(&queue->waiting); woken++) {
        thread_wake(CMDI_CONTAINER(queue->waiting.next, struct cmdi_sim_thread, queue), true);
    }
    return woken;
}

static struct cmdi_sim_queue *queue_of(const void *address)
{
    uint64_t hash = (uint64_t)(uintptr_t)address * 0x9e3779b97f4a7c15u;
    return &scheduler.queues[hash >> 58];
}
_Static_assert(SCHEDULER_QUEUES == 64, "the six highest bits of the hash");

bool cmdi_sim_wait_on(const void *address, uint64_t until_ns, const char *what)
{
    running->address = address;
    return cmdi_sim_wait(queue_of(address), until_ns, what);
}

uint32_t cmdi_sim_wake_on(const void *address, uint32_t count)
{
    uint32_t woken = 0;
    struct cmdi_sim_queue *queue = queue_of(address);
    struct cmdi_list *node = queue->waiting.next;
    while (woken < count && node != &queue->waiting) {
        struct cmdi_sim_thread *thread = CMDI_CONTAINER(node, struct cmdi_sim_thread, queue);
        node = node->next;
        if (thread->address == address) {
            thread_wake(thread, true);
            thread->owed = address;
            woken++;
        }
    }
    return woken;
}

/* --- Life of a thread ------------------------------------------------------------------------- */

static void thread_free(struct cmdi_sim_thread *thread)
{
    cmdi_event_off(&thread->timeout);
    cmdi_list_remove(&thread->link);
    cmdi_list_remove(&thread->queue);
    cmdi_fiber_fini(&thread->fiber);
    cmdi_sim_free(thread);
}

noreturn void cmdi_sim_thread_exit(void *result)
{
    struct cmdi_sim_thread *thread = running;
    CMDI_ASSERT(thread != NULL && thread->state == CMDI_SIM_THREAD_RUNNABLE);
    thread->result = result;
    thread->state = CMDI_SIM_THREAD_ENDED;
    thread->crew->thread_count--;
    cmdi_sim_locks_leave(thread);
    (void)cmdi_sim_wake(&thread->ended, UINT32_MAX);
    if (thread->detached) {
        scheduler.over = thread;
    }
    scheduler_leave();
    cmdi_die("the simulation: a thread that has ended goes on");
}

static void thread_main(void *argument)
{
    struct cmdi_sim_thread *thread = argument;
    errno = 0;
    cmdi_sim_thread_exit(thread->fn(thread->argument));
}

struct cmdi_sim_thread *cmdi_sim_thread_new(struct cmdi_sim_crew *crew, void *(*fn)(void *argument),
        void *argument, const char *name, size_t stack_size)
{
    struct cmdi_sim_thread *thread = cmdi_sim_alloc(sizeof(*thread));
    thread->crew = crew;
    thread->fn = fn;
    thread->argument = argument;
    thread->number = ++crew->numbers_given;
    thread->state = CMDI_SIM_THREAD_RUNNABLE;
    (void)snprintf(thread->name, sizeof(thread->name), "%s", name);
    cmdi_list_init(&thread->link);
    cmdi_list_init(&thread->queue);
    cmdi_sim_queue_init(&thread->ended);
    cmdi_event_init(&thread->timeout, thread_time_over);
    cmdi_fiber_init(&thread->fiber, stack_size, thread_main, thread);
    cmdi_list_push(&crew->threads, &thread->link);
    crew->thread_count++;
    runnable_add(thread);
    return thread;
}

void cmdi_sim_thread_detach(struct cmdi_sim_thread *thread)
{
    CMDI_ASSERT(!thread->detached);
    thread->detached = true;
    if (thread->state == CMDI_SIM_THREAD_ENDED) {
        thread_free(thread);
    }
}

void *cmdi_sim_thread_join(struct cmdi_sim_thread *thread)
{
    CMDI_ASSERT(!thread->detached && thread != running);
    while (thread->state != CMDI_SIM_THREAD_ENDED) {
        (void)cmdi_sim_wait(&thread->ended, CMDI_SIM_NEVER, "the end of a thread");
    }
    void *result = thread->result;
    thread_free(thread);
    return result;
}

/* --- Crews ------------------------------------------------------------------------------------ */

void cmdi_sim_crew_init(struct cmdi_sim_crew *crew, uint32_t number)
{
    *crew = (struct cmdi_sim_crew){.number = number};
    cmdi_list_init(&crew->threads);
    cmdi_list_init(&crew->parked);
}

/* A lock or a condition that several processes share: what it was woken for, another one is. */
static void crew_pass_on(const struct cmdi_sim_crew *crew)
{
    for (const struct cmdi_list *node = crew->threads.next; node != &crew->threads;
            node = node->next) {
        const struct cmdi_sim_thread *thread =
                CMDI_CONTAINER(node, const struct cmdi_sim_thread, link);
        if (thread->owed != NULL) {
            (void)cmdi_sim_wake_on(thread->owed, 1);
        }
    }
}

void cmdi_sim_crew_drop(struct cmdi_sim_crew *crew)
{
    struct cmdi_list *node = crew->threads.next;
    CMDI_ASSERT(cmdi_sim_crew() != crew);
    for (; node != &crew->threads; node = node->next) { // Queues lie on stacks, also on others'.
        struct cmdi_sim_thread *thread = CMDI_CONTAINER(node, struct cmdi_sim_thread, link);
        cmdi_list_remove(&thread->queue);
        if (thread->state == CMDI_SIM_THREAD_RUNNABLE) {
            runnable_remove(thread);
        }
    }
    cmdi_sim_locks_drop(crew);
    crew_pass_on(crew);
    while ((node = cmdi_list_pop(&crew->threads)) != NULL) {
        thread_free(CMDI_CONTAINER(node, struct cmdi_sim_thread, link));
    }
    crew->thread_count = 0;
    crew->stopped = false;
}

void cmdi_sim_crew_stop(struct cmdi_sim_crew *crew, bool stopped)
{
    if (crew->stopped == stopped) {
        return;
    }
    crew->stopped = stopped;
    if (!stopped) {
        struct cmdi_list *node = NULL;
        while ((node = cmdi_list_pop(&crew->parked)) != NULL) {
            runnable_add(CMDI_CONTAINER(node, struct cmdi_sim_thread, queue));
        }
        return;
    }
    for (uint32_t i = scheduler.runnable_count; i > 0; i--) {
        struct cmdi_sim_thread *thread = scheduler.runnable[i - 1];
        if (thread->crew == crew) {
            runnable_remove(thread);
            runnable_add(thread); // Into `parked`.
        }
    }
}

void cmdi_sim_crew_describe(const struct cmdi_sim_crew *crew, const char *process_name)
{
    for (const struct cmdi_list *node = crew->threads.next; node != &crew->threads;
            node = node->next) {
        const struct cmdi_sim_thread *thread =
                CMDI_CONTAINER(node, const struct cmdi_sim_thread, link);
        (void)fprintf(stderr, "  %s/%u %-16s %s%s\n", process_name, thread->number, thread->name,
                thread->state == CMDI_SIM_THREAD_RUNNABLE  ? "runs"
                : thread->state == CMDI_SIM_THREAD_WAITING ? "waits for "
                                                           : "has ended",
                thread->state == CMDI_SIM_THREAD_WAITING ? thread->waits_for : "");
    }
}

/* --- The loop --------------------------------------------------------------------------------- */

bool cmdi_sim_turn(void)
{
    CMDI_ASSERT(running == NULL);
    cmdi_sim_fire_due();
    if (scheduler.runnable_count > 0) {
        scheduler_run(runnable_draw());
        if (scheduler.over != NULL) {
            thread_free(scheduler.over);
            scheduler.over = NULL;
        }
        return true;
    }
    uint64_t next_ns = cmdi_sim_next_event();
    if (next_ns == CMDI_SIM_NEVER) {
        return false;
    }
    if (next_ns > cmdi_sim_now()) {
        cmdi_sim_pass(next_ns - cmdi_sim_now());
    }
    return true;
}

void cmdi_sim_scheduler_begin(void)
{
    static const uint32_t rates[] = {1, 2, 8, 64};
    CMDI_ASSERT(running == NULL && scheduler.runnable_count == 0);
    cmdi_fiber_init_loop(&scheduler.loop);
    has_worlds = true;
    scheduler.switches = 0;
    scheduler.yields = 0;
    scheduler.yield_one_in = rates[cmdi_sim_below(CMDI_CHANCE_SCHEDULE, 4)];
    for (uint32_t i = 0; i < SCHEDULER_QUEUES; i++) {
        cmdi_sim_queue_init(&scheduler.queues[i]);
    }
}

void cmdi_sim_scheduler_end(void)
{
    CMDI_ASSERT(running == NULL && scheduler.runnable_count == 0);
    cmdi_sim_free(scheduler.runnable);
    scheduler.runnable = NULL;
    scheduler.runnable_capacity = 0;
    cmdi_fiber_trim();
}
