/* SPDX-License-Identifier: MIT */
/*
 * The worker pool: threads for exec functions that block or compute, each started when all others
 * are busy. The queue has no bound of its own: those who push count what they have in it.
 */
#ifndef CMDI_SHARD_WORKERS_H
#define CMDI_SHARD_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cmdi_job;
typedef void (*cmdi_job_fn)(struct cmdi_job *job);
/** Embedded in what it is about. */
struct cmdi_job {
    struct cmdi_job *next;
    cmdi_job_fn fn;
};

struct cmdi_workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct cmdi_job *head, **tail;
    pthread_t *threads;
    uint32_t thread_count, thread_count_max;
    uint32_t idle;   // Threads that wait, also those that are being woken.
    uint32_t queued; // Jobs that no thread has.
    bool stopping;
};

int cmdi_workers_init(struct cmdi_workers *workers, uint32_t thread_count_max);
/** Runs what is queued, then joins. A zeroed pool is fine. */
void cmdi_workers_fini(struct cmdi_workers *workers);
/**
 * Runs job->fn on a thread of the pool. Thread: any. Returns: 0; -EAGAIN: no thread could be
 * started; CMDS_E_CLOSED.
 */
int cmdi_workers_push(struct cmdi_workers *workers, struct cmdi_job *job);

#endif
