/* SPDX-License-Identifier: MIT */
/*
 * The worker pool: threads for exec functions that block or compute, each started when all others
 * are busy.
 *
 *     turns: lane -> lane -> lane             one per server, in turns
 *              |
 *            queue -> queue                   one per connection, in turns
 *              |
 *             job -> job -> job               in order
 *
 * So a job waits for the jobs of its own connection, and for one job of each other connection that
 * has any, however many more those have. Lanes and queues belong to their owners and are known here
 * only as long as a job is in them: an owner that outlives its jobs has nothing to unregister.
 */
#ifndef CMDI_SHARD_WORKERS_H
#define CMDI_SHARD_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "base/list.h"

struct cmdi_job;
typedef void (*cmdi_job_fn)(struct cmdi_job *job);
/** Embedded in what it is about. */
struct cmdi_job {
    struct cmdi_job *next;
    cmdi_job_fn fn;
    void *state; // Of the thread that runs it, from then on.
};

/** Embedded in a server; zeroed until it is initialised. Under the pool's lock. */
struct cmdi_job_lane {
    struct cmdi_list link;   // workers->turns; in no list: without a job.
    struct cmdi_list queues; // struct cmdi_job_queue: each has a job.
};
static inline void cmdi_job_lane_init(struct cmdi_job_lane *lane)
{
    cmdi_list_init(&lane->link);
    cmdi_list_init(&lane->queues);
}

/** Embedded in a connection. Under the pool's lock. */
struct cmdi_job_queue {
    struct cmdi_list link;  // lane->queues; in no list: without a job.
    struct cmdi_job *head;  // The oldest.
    struct cmdi_job **tail; // Valid unless empty.
    struct cmdi_job_lane *lane;
};
static inline void cmdi_job_queue_init(struct cmdi_job_queue *queue, struct cmdi_job_lane *lane)
{
    cmdi_list_init(&queue->link);
    queue->head = NULL;
    queue->lane = lane;
}

/** What the program does on each thread. Any may be NULL. */
struct cmdi_worker_hooks {
    int (*on_start)(void *context, void **state, struct cmds_error *error);
    void (*on_stop)(void *context, void *state);
    void *context;
};

struct cmdi_worker {
    struct cmdi_workers *workers;
    pthread_t thread;
    void *state; // The thread's.
};

struct cmdi_workers {
    pthread_mutex_t lock;
    struct cmdi_list turns; // struct cmdi_job_lane: each has a job.
    struct cmdi_worker *threads;
    uint32_t thread_count, thread_count_max;
    _Atomic uint32_t wakes; // The futex on which they wait: each push and the end change it.
    uint32_t idle;          // Threads that wait, also those that are being woken.
    uint32_t waiting;       // Threads whose jobs wait for something of the library's: never all.
    uint32_t queued;        // Jobs that no thread has.
    uint32_t queued_max;
    bool stopping;
    uint32_t stack_size;            // Of each thread; 0: the default. Set before the first push.
    struct cmdi_worker_hooks hooks; // Set before the first push.
    struct cmds_error *failure;     // Valid while the start waits: the first on_start that failed.
    _Atomic uint32_t begun;         // Futex: threads whose on_start has returned.
};

int cmdi_workers_init(struct cmdi_workers *workers, uint32_t thread_count_max, uint32_t queued_max);
/**
 * With hooks.on_start all threads are started, and each has run it on return. Thread: setup. Returns: 0, or
 * why in `error`: then some threads may have started, which the end joins.
 */
int cmdi_workers_start(struct cmdi_workers *workers, struct cmds_error *error);
/** Runs what is queued, then joins. A zeroed pool is fine. */
void cmdi_workers_fini(struct cmdi_workers *workers);
/**
 * Runs job->fn on a thread of the pool, behind the other jobs of this queue. From `fn` on the pool
 * does not touch the job, nor for its sake the queue and the lane.
 *
 * Thread:  any.
 * Returns: 0; -ENOBUFS: queued_max jobs wait, and one of this queue is among them (who has none
 *          waiting may always add one); -EAGAIN: no thread could be started; CMDS_E_CLOSED.
 */
int cmdi_workers_push(
        struct cmdi_workers *workers, struct cmdi_job_queue *queue, struct cmdi_job *job);
/**
 * A job is about to wait, for what need not come soon. However many do, one thread of the pool does not:
 * it takes the jobs of others, in turns. If there is none besides, one is started.
 *
 * Thread:  a thread of the pool.
 * Returns: true: cmdi_workers_waited() when it is over; false: it is not to wait.
 */
bool cmdi_workers_may_wait(struct cmdi_workers *workers);
void cmdi_workers_waited(struct cmdi_workers *workers);

#endif
