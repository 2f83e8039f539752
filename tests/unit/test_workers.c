/* SPDX-License-Identifier: MIT */
/*
 * The worker pool. What may go wrong: jobs that wait behind one that blocks although the pool may
 * have more threads, a job that is lost at the end, and a thread that outlives the pool.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <cmdstream/base.h>

#include "base/list.h"
#include "shard/workers.h"
#include "support/harness.h"

enum {
    THREADS = 4,
};

struct meeting {
    struct cmdi_job job;
    pthread_barrier_t *barrier; // NULL: nobody to wait for.
    _Atomic uint32_t *done;
};

static void meeting_run(struct cmdi_job *job)
{
    struct meeting *meeting = CMDI_CONTAINER(job, struct meeting, job);
    if (meeting->barrier != NULL) {
        (void)pthread_barrier_wait(meeting->barrier);
    }
    atomic_fetch_add(meeting->done, 1);
}

/* Each waits for all the others, so that they must run at once, each on a thread of its own. */
static void test_workers_run_as_many_jobs_at_once_as_they_may(void)
{
    struct cmdi_workers workers;
    pthread_barrier_t barrier;
    _Atomic uint32_t done = 0;
    struct meeting meetings[THREADS];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, THREADS), 0);
    (void)pthread_barrier_init(&barrier, NULL, THREADS);

    for (uint32_t round = 1; round <= 100;
            round++) { // From the second one on there are idle threads, but perhaps not yet enough.
        for (uint32_t i = 0; i < THREADS; i++) {
            meetings[i] = (struct meeting){
                    .job = {.fn = meeting_run}, .barrier = &barrier, .done = &done};
            CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &meetings[i].job), 0);
        }
        while (atomic_load(&done) < round * THREADS) {
            (void)sched_yield();
        }
    }
    CU_ASSERT_EQUAL(workers.thread_count, THREADS);

    cmdi_workers_fini(&workers);
    (void)pthread_barrier_destroy(&barrier);
}

static void test_workers_wake_one_thread_for_each_job(void)
{
    struct cmdi_workers workers;
    pthread_barrier_t barrier;
    _Atomic uint32_t done = 0;
    struct meeting first = {.job = {.fn = meeting_run}, .done = &done};
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, 2), 0);
    (void)pthread_barrier_init(&barrier, NULL, 2);
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &first.job), 0);
    bool idle = false;
    while (!idle) { // One thread waits.
        (void)sched_yield();
        (void)pthread_mutex_lock(&workers.lock);
        idle = workers.idle == 1;
        (void)pthread_mutex_unlock(&workers.lock);
    }

    struct meeting pair[2];
    for (uint32_t i = 0; i < 2; i++) {
        pair[i] = (struct meeting){.job = {.fn = meeting_run}, .barrier = &barrier, .done = &done};
        CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &pair[i].job), 0);
    }

    cmdi_workers_fini(&workers); // Runs both, or hangs.
    CU_ASSERT_EQUAL(atomic_load(&done), 3);
    (void)pthread_barrier_destroy(&barrier);
}

static void test_workers_run_what_is_queued_before_they_end(void)
{
    struct cmdi_workers workers;
    _Atomic uint32_t done = 0;
    struct meeting meetings[50];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, 1), 0);
    for (uint32_t i = 0; i < 50; i++) {
        meetings[i] = (struct meeting){.job = {.fn = meeting_run}, .done = &done};
        CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &meetings[i].job), 0);
    }

    cmdi_workers_fini(&workers);

    CU_ASSERT_EQUAL(atomic_load(&done), 50);
    cmdi_workers_fini(&workers); // Zeroed: nothing to do.
}

static CU_TestInfo tests[] = {
        {"workers run as many jobs at once as they may",
                test_workers_run_as_many_jobs_at_once_as_they_may},
        {"workers wake one thread for each job", test_workers_wake_one_thread_for_each_job},
        {"workers run what is queued before they end",
                test_workers_run_what_is_queued_before_they_end},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("workers", tests)
