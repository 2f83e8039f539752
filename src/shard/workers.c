/* SPDX-License-Identifier: MIT */
/*
 * The worker pool: one lock, threads made on demand, or at once where the program has a part in it. Work here takes microseconds and more; the lock
 * is nothing.
 */
#include "shard/workers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "ring/thread.h"

int cmdi_workers_init(struct cmdi_workers *workers, uint32_t thread_count_max, uint32_t queued_max)
{
    CMDI_ASSERT(thread_count_max > 0);
    *workers =
            (struct cmdi_workers){.thread_count_max = thread_count_max, .queued_max = queued_max};
    cmdi_list_init(&workers->turns);
    workers->threads = calloc(thread_count_max, sizeof(*workers->threads));
    if (workers->threads == NULL) {
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&workers->lock, NULL); // Cannot fail with default attributes on Linux.
    return 0;
}

/* --- The turns. Under the lock ---------------------------------------------------------------- */

static void workers_queue(
        struct cmdi_workers *workers, struct cmdi_job_queue *queue, struct cmdi_job *job)
{
    CMDI_ASSERT(queue->lane != NULL && job->fn != NULL);
    job->next = NULL;
    if (queue->head == NULL) {
        queue->tail = &queue->head;
        cmdi_list_push(&queue->lane->queues, &queue->link);
    }
    *queue->tail = job;
    queue->tail = &job->next;
    if (cmdi_list_empty(&queue->lane->link)) {
        cmdi_list_push(&workers->turns, &queue->lane->link);
    }
    workers->queued++;
}

/* The next in turn; its queue and its lane go behind the others if they have more. Returns: NULL: none. */
static struct cmdi_job *workers_next(struct cmdi_workers *workers)
{
    struct cmdi_list *node = cmdi_list_pop(&workers->turns);
    if (node == NULL) {
        return NULL;
    }
    struct cmdi_job_lane *lane = CMDI_CONTAINER(node, struct cmdi_job_lane, link);
    struct cmdi_job_queue *queue =
            CMDI_CONTAINER(cmdi_list_pop(&lane->queues), struct cmdi_job_queue, link);
    struct cmdi_job *job = queue->head;
    CMDI_ASSERT(job != NULL && queue->lane == lane && workers->queued > 0);
    queue->head = job->next;
    if (queue->head != NULL) {
        cmdi_list_push(&lane->queues, &queue->link);
    }
    if (!cmdi_list_empty(&lane->queues)) {
        cmdi_list_push(&workers->turns, &lane->link);
    }
    workers->queued--;
    return job;
}

/* --- Threads ---------------------------------------------------------------------------------- */

/*
 * Lets go of the lock and waits. No wake is lost: the number was read under the lock, under which a
 * push changes it, so the futex does not sleep if there was one since.
 */
static void workers_wait(struct cmdi_workers *workers)
{
    uint32_t seen = atomic_load_explicit(&workers->wakes, memory_order_relaxed);
    workers->idle++;
    pthread_mutex_unlock(&workers->lock);
    cmdi_futex_wait(&workers->wakes, seen, UINT64_MAX);
    pthread_mutex_lock(&workers->lock);
    CMDI_ASSERT(workers->idle > 0);
    workers->idle--;
}

/* Under the lock. */
static void workers_wake(struct cmdi_workers *workers, int count)
{
    atomic_fetch_add_explicit(&workers->wakes, 1, memory_order_relaxed);
    cmdi_futex_wake(&workers->wakes, count);
}

/* The program's part of a thread's beginning. Returns: it works. */
static bool worker_begin(struct cmdi_worker *worker)
{
    struct cmdi_workers *workers = worker->workers;
    const struct cmdi_worker_hooks *hooks = &workers->hooks;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (hooks->on_start == NULL) {
        return true;
    }
    int code = hooks->on_start(hooks->context, &worker->state, &error);
    if (code < 0) {
        pthread_mutex_lock(&workers->lock);
        (void)cmdi_fail(workers->failure, code, "%s%s",
                error.text[0] != '\0' ? "" : "on_pool_thread_start failed: ",
                error.text[0] != '\0' ? error.text : cmds_error_text(code));
        pthread_mutex_unlock(&workers->lock);
    }
    atomic_fetch_add(&workers->begun, 1);
    cmdi_futex_wake(&workers->begun, 1);
    return code >= 0;
}

static void worker_run(const struct cmdi_worker *worker)
{
    struct cmdi_workers *workers = worker->workers;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->queued == 0 && !workers->stopping) {
            workers_wait(workers);
        }
        struct cmdi_job *job = workers_next(workers);
        if (job == NULL) {
            break;
        }
        pthread_mutex_unlock(&workers->lock);
        job->state = worker->state;
        job->fn(job);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
}

static void *worker_main(void *argument)
{
    struct cmdi_worker *worker = argument;
    const struct cmdi_worker_hooks *hooks = &worker->workers->hooks;
    if (worker_begin(worker)) {
        worker_run(worker);
        if (hooks->on_stop != NULL) {
            hooks->on_stop(hooks->context, worker->state);
        }
    }
    return NULL;
}

/* Under the lock. Returns: 0; -errno. */
static int workers_start_one(struct cmdi_workers *workers)
{
    CMDI_ASSERT(workers->thread_count < workers->thread_count_max && !workers->stopping);
    struct cmdi_worker *worker = &workers->threads[workers->thread_count];
    worker->workers = workers;
    int code = cmdi_thread_start(
            &worker->thread, worker_main, worker, "cmds-worker", workers->stack_size);
    workers->thread_count += code == 0;
    return code;
}

/* For one more job. Under the lock. Returns: a thread will see the queue. */
static bool workers_add_thread(struct cmdi_workers *workers)
{
    /*
     * An idle thread takes one job each, however many it was woken for: it might block in the first
     * for long.
     */
    if (workers->queued < workers->idle || workers->thread_count == workers->thread_count_max) {
        return true;
    }
    (void)workers_start_one(workers); // Without it the others go on.
    return workers->thread_count > 0;
}

int cmdi_workers_start(struct cmdi_workers *workers, struct cmds_error *error)
{
    struct cmds_error failure = CMDS_ERROR_INIT;
    int code = 0;
    if (workers->hooks.on_start == NULL) {
        return 0;
    }
    pthread_mutex_lock(&workers->lock);
    workers->failure = &failure;
    while (workers->thread_count < workers->thread_count_max && code == 0) {
        code = workers_start_one(workers);
    }
    uint32_t started = workers->thread_count;
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t begun; (begun = atomic_load(&workers->begun)) < started;) {
        cmdi_futex_wait(&workers->begun, begun, UINT64_MAX);
    }
    if (code < 0) {
        return cmdi_fail(error, code,
                "thread %u of the pool could not be started: %s; the limit is of processes (ulimit "
                "-u, TasksMax=, pids.max) or memory",
                started, strerror(-code));
    }
    return failure.code < 0 ? cmdi_fail(error, failure.code, "%s", failure.text) : 0;
}

int cmdi_workers_push(
        struct cmdi_workers *workers, struct cmdi_job_queue *queue, struct cmdi_job *job)
{
    int code = 0;
    pthread_mutex_lock(&workers->lock);
    if (workers->stopping) {
        code = CMDS_E_CLOSED;
    } else if (workers->queued >= workers->queued_max && queue->head != NULL) {
        code = -ENOBUFS; // A connection without a job is let in all the same.
    } else if (!workers_add_thread(workers)) {
        code = -EAGAIN;
    } else {
        workers_queue(workers, queue, job);
        if (workers->queued <= workers->idle) {
            workers_wake(workers, 1); // Beyond that each idle thread was woken for a job before.
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return code;
}

bool cmdi_workers_may_wait(struct cmdi_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    CMDI_ASSERT(workers->waiting < workers->thread_count);
    bool is_last = workers->waiting + 1 == workers->thread_count;
    bool may = !workers->stopping && workers->waiting + 1 < workers->thread_count_max &&
               (!is_last || workers_start_one(workers) == 0);
    workers->waiting += may;
    pthread_mutex_unlock(&workers->lock);
    return may;
}

void cmdi_workers_waited(struct cmdi_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    CMDI_ASSERT(workers->waiting > 0);
    workers->waiting--;
    pthread_mutex_unlock(&workers->lock);
}

void cmdi_workers_fini(struct cmdi_workers *workers)
{
    if (workers->threads == NULL) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    workers_wake(workers, INT_MAX);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->thread_count; i++) {
        cmdi_thread_join(workers->threads[i].thread);
    }
    CMDI_ASSERT(workers->queued == 0 && workers->idle == 0); // The last thread left nothing.
    (void)pthread_mutex_destroy(&workers->lock);
    free(workers->threads);
    *workers = (struct cmdi_workers){0};
}
