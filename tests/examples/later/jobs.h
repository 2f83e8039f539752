/* SPDX-License-Identifier: MIT */
/* A queue of calls for one thread: nothing of cmdstream's, and yours may look otherwise. */
#ifndef JOBS_H
#define JOBS_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cmds_call;

enum {
    JOBS_MAX = 64
};

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct cmds_call *calls[JOBS_MAX];
    uint32_t first, count;
    bool stopping;
};

/* Returns: -ENOBUFS: it is full. */
static int jobs_push(struct jobs *jobs, struct cmds_call *call)
{
    pthread_mutex_lock(&jobs->lock);
    int code = jobs->count == JOBS_MAX ? -ENOBUFS : 0;
    if (code == 0) {
        jobs->calls[(jobs->first + jobs->count++) % JOBS_MAX] = call;
        (void)pthread_cond_signal(&jobs->changed);
    }
    pthread_mutex_unlock(&jobs->lock);
    return code;
}

/* Waits. Returns: NULL: it is empty, and is to stop. */
static struct cmds_call *jobs_pop(struct jobs *jobs)
{
    struct cmds_call *call = NULL;
    pthread_mutex_lock(&jobs->lock);
    while (jobs->count == 0 && !jobs->stopping) {
        (void)pthread_cond_wait(&jobs->changed, &jobs->lock);
    }
    if (jobs->count > 0) {
        call = jobs->calls[jobs->first++ % JOBS_MAX];
        jobs->count--;
    }
    pthread_mutex_unlock(&jobs->lock);
    return call;
}

static void jobs_stop(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    (void)pthread_cond_signal(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

#endif
