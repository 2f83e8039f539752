/* SPDX-License-Identifier: MIT */
/*
 * The worker pool. What may go wrong: jobs that wait behind one that blocks although the pool may
 * have more threads, a job that waits for what another connection has piled up, a job that is lost
 * at the end, and a thread that outlives the pool.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

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
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    pthread_barrier_t barrier;
    _Atomic uint32_t done = 0;
    struct meeting meetings[THREADS];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, THREADS, 100), 0);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    (void)pthread_barrier_init(&barrier, NULL, THREADS);

    for (uint32_t round = 1; round <= 100;
            round++) { // From the second one on there are idle threads, but perhaps not yet enough.
        for (uint32_t i = 0; i < THREADS; i++) {
            meetings[i] = (struct meeting){
                    .job = {.fn = meeting_run}, .barrier = &barrier, .done = &done};
            CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &meetings[i].job), 0);
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
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    pthread_barrier_t barrier;
    _Atomic uint32_t done = 0;
    struct meeting first = {.job = {.fn = meeting_run}, .done = &done};
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, 2, 100), 0);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    (void)pthread_barrier_init(&barrier, NULL, 2);
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &first.job), 0);
    bool idle = false;
    while (!idle) { // One thread waits.
        (void)sched_yield();
        pthread_mutex_lock(&workers.lock);
        idle = workers.idle == 1;
        pthread_mutex_unlock(&workers.lock);
    }

    struct meeting pair[2];
    for (uint32_t i = 0; i < 2; i++) {
        pair[i] = (struct meeting){.job = {.fn = meeting_run}, .barrier = &barrier, .done = &done};
        CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &pair[i].job), 0);
    }

    cmdi_workers_fini(&workers); // Runs both, or hangs.
    CU_ASSERT_EQUAL(atomic_load(&done), 3);
    (void)pthread_barrier_destroy(&barrier);
}

static void test_workers_run_what_is_queued_before_they_end(void)
{
    struct cmdi_workers workers;
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    _Atomic uint32_t done = 0;
    struct meeting meetings[50];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, 1, 100), 0);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    for (uint32_t i = 0; i < 50; i++) {
        meetings[i] = (struct meeting){.job = {.fn = meeting_run}, .done = &done};
        CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &meetings[i].job), 0);
    }

    cmdi_workers_fini(&workers);

    CU_ASSERT_EQUAL(atomic_load(&done), 50);
    cmdi_workers_fini(&workers); // Zeroed: nothing to do.
}

/* --- Turns ------------------------------------------------------------------------------------ */

enum {
    PILED_UP = 40,
};

/* A job that writes its name. */
struct letter {
    struct cmdi_job job;
    char name;
    struct order *order;
};
struct order {
    char text[128];
    _Atomic uint32_t count;
    pthread_barrier_t gate; // The only thread waits there until all are queued.
};

static void letter_run(struct cmdi_job *job)
{
    struct letter *letter = CMDI_CONTAINER(job, struct letter, job);
    if (letter->name == '-') {
        (void)pthread_barrier_wait(&letter->order->gate);
        return;
    }
    letter->order->text[atomic_fetch_add(&letter->order->count, 1)] = letter->name;
}

/* A thread has the job that was pushed. */
static void wait_until_taken(struct cmdi_workers *workers)
{
    bool taken = false;
    while (!taken) {
        (void)sched_yield();
        pthread_mutex_lock(&workers->lock);
        taken = workers->queued == 0;
        pthread_mutex_unlock(&workers->lock);
    }
}

/* Server a with connections a and b, server c with one: only a has piled up. */
static void test_workers_serve_servers_and_connections_in_turns(void)
{
    struct cmdi_workers workers;
    struct cmdi_job_lane lanes[2];
    struct cmdi_job_queue queues[3];
    struct order order = {.count = 0};
    struct letter first = {.job = {.fn = letter_run}, .name = '-', .order = &order};
    struct letter piled[PILED_UP];
    struct letter others[3];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, 1, 100), 0);
    (void)pthread_barrier_init(&order.gate, NULL, 2);
    cmdi_job_lane_init(&lanes[0]);
    cmdi_job_lane_init(&lanes[1]);
    for (uint32_t i = 0; i < 3; i++) {
        cmdi_job_queue_init(&queues[i], &lanes[i / 2]);
    }

    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queues[0], &first.job), 0);
    wait_until_taken(&workers);
    for (uint32_t i = 0; i < PILED_UP; i++) {
        piled[i] = (struct letter){.job = {.fn = letter_run}, .name = 'a', .order = &order};
        CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queues[0], &piled[i].job), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        char name = i == 0 ? 'b' : 'c';
        others[i] = (struct letter){.job = {.fn = letter_run}, .name = name, .order = &order};
        CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queues[i == 0 ? 1 : 2], &others[i].job), 0);
    }
    (void)pthread_barrier_wait(&order.gate);
    cmdi_workers_fini(&workers);

    CU_ASSERT_EQUAL(atomic_load(&order.count), PILED_UP + 3);
    CU_ASSERT_EQUAL(memcmp(order.text, "acbcaaa", 7), 0);
    (void)pthread_barrier_destroy(&order.gate);
}

static void test_workers_bound_what_is_piled_up(void)
{
    struct cmdi_workers workers;
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue, other;
    struct order order = {.count = 0};
    struct letter first = {.job = {.fn = letter_run}, .name = '-', .order = &order};
    struct letter letters[4];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, 1, 2), 0);
    (void)pthread_barrier_init(&order.gate, NULL, 2);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    cmdi_job_queue_init(&other, &lane);
    for (uint32_t i = 0; i < 4; i++) {
        letters[i] = (struct letter){.job = {.fn = letter_run}, .name = 'a', .order = &order};
    }

    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &first.job), 0);
    wait_until_taken(&workers);
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &letters[0].job), 0);
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &letters[1].job), 0);
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &letters[2].job), -ENOBUFS);
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &other, &letters[2].job), 0); // It has none.
    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &other, &letters[3].job), -ENOBUFS);
    (void)pthread_barrier_wait(&order.gate);
    cmdi_workers_fini(&workers);

    CU_ASSERT_EQUAL(atomic_load(&order.count), 3);
    (void)pthread_barrier_destroy(&order.gate);
}

struct waiting {
    struct cmdi_job job;
    struct cmdi_workers *workers;
    pthread_barrier_t *barrier; // NULL: it waits for nobody.
    _Atomic uint32_t *may, *done;
    uint32_t threads; // In the pool, by then.
};

static void waiting_run(struct cmdi_job *job)
{
    struct waiting *waiting = CMDI_CONTAINER(job, struct waiting, job);
    bool may = cmdi_workers_may_wait(waiting->workers);
    pthread_mutex_lock(&waiting->workers->lock);
    waiting->threads = waiting->workers->thread_count;
    pthread_mutex_unlock(&waiting->workers->lock);
    atomic_fetch_add(waiting->may, may);
    if (waiting->barrier != NULL) {
        (void)pthread_barrier_wait(waiting->barrier);
    }
    if (may) {
        cmdi_workers_waited(waiting->workers);
    }
    atomic_fetch_add(waiting->done, 1);
}

/* Of `thread_count` jobs at once. */
static void workers_wait_at_once(uint32_t thread_count, uint32_t may_wait)
{
    struct cmdi_workers workers;
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    pthread_barrier_t barrier;
    _Atomic uint32_t may = 0, done = 0;
    struct waiting waiting[THREADS];
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, thread_count, 100), 0);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    (void)pthread_barrier_init(&barrier, NULL, thread_count);
    for (uint32_t round = 0; round < 10; round++) { // What has waited may wait again.
        for (uint32_t i = 0; i < thread_count; i++) {
            waiting[i] = (struct waiting){.job = {.fn = waiting_run},
                    .workers = &workers,
                    .barrier = &barrier,
                    .may = &may,
                    .done = &done};
            CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &waiting[i].job), 0);
        }
        while (atomic_load(&done) < (round + 1) * thread_count) {
            (void)sched_yield();
        }
    }
    cmdi_workers_fini(&workers);

    CU_ASSERT_EQUAL(atomic_load(&may), 10 * may_wait);
    (void)pthread_barrier_destroy(&barrier);
}

static void test_workers_never_wait_all(void)
{
    workers_wait_at_once(THREADS, THREADS - 1);
    workers_wait_at_once(2, 1);
    workers_wait_at_once(1, 0);
}

/* Nobody has pushed for it: what comes next finds a thread, even if none could be started then. */
static void test_workers_start_a_thread_for_one_that_waits(void)
{
    struct cmdi_workers workers;
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    _Atomic uint32_t may = 0, done = 0;
    struct waiting waiting = {
            .job = {.fn = waiting_run}, .workers = &workers, .may = &may, .done = &done};
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(&workers, THREADS, 100), 0);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);

    CU_ASSERT_EQUAL(cmdi_workers_push(&workers, &queue, &waiting.job), 0);
    while (atomic_load(&done) == 0) {
        (void)sched_yield();
    }
    cmdi_workers_fini(&workers);

    CU_ASSERT_EQUAL(atomic_load(&may), 1);
    CU_ASSERT_EQUAL(waiting.threads, 2);
}

/* --- What the program does on each thread --------------------------------------------------------- */

struct staff {
    _Atomic uint32_t starts, stops, wrong;
    uint32_t fails_at; // So many succeed.
    bool says_why;
    int marks[THREADS]; // The states of the threads.
};

struct task {
    struct cmdi_job job;
    pthread_barrier_t *barrier;
    void *state;
};

static int staff_start(void *context, void **state, struct cmds_error *error)
{
    struct staff *staff = context;
    uint32_t index = atomic_fetch_add(&staff->starts, 1);
    if (index >= staff->fails_at) {
        (void)snprintf(error->text, sizeof(error->text), "%s", staff->says_why ? "no table" : "");
        return -ENOENT;
    }
    *state = &staff->marks[index];
    return 0;
}

static void staff_stop(void *context, void *state)
{
    struct staff *staff = context;
    bool is_one = state == NULL ||
                  ((int *)state >= staff->marks && (int *)state < staff->marks + THREADS);
    atomic_fetch_add(&staff->stops, 1);
    atomic_fetch_add(&staff->wrong, !is_one);
}

static void task_run(struct cmdi_job *job)
{
    struct task *task = CMDI_CONTAINER(job, struct task, job);
    task->state = job->state;
    (void)pthread_barrier_wait(task->barrier);
}

static void staff_hire(struct cmdi_workers *workers, struct staff *staff)
{
    CU_ASSERT_EQUAL_FATAL(cmdi_workers_init(workers, THREADS, 100), 0);
    workers->hooks = (struct cmdi_worker_hooks){staff_start, staff_stop, staff};
}

/* All of them at once, so that each runs on a thread of its own. */
static void staff_work(struct cmdi_workers *workers, struct task *tasks)
{
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    pthread_barrier_t barrier;
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    (void)pthread_barrier_init(&barrier, NULL, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        tasks[i] = (struct task){.job = {.fn = task_run}, .barrier = &barrier};
        CU_ASSERT_EQUAL(cmdi_workers_push(workers, &queue, &tasks[i].job), 0);
    }
    cmdi_workers_fini(workers);
    (void)pthread_barrier_destroy(&barrier);
}

static void test_workers_each_have_a_state_of_the_program(void)
{
    struct cmdi_workers workers;
    struct staff staff = {.fails_at = THREADS};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct task tasks[THREADS];
    uint32_t seen = 0;
    staff_hire(&workers, &staff);

    CU_ASSERT_EQUAL(cmdi_workers_start(&workers, &error), 0);
    CU_ASSERT_EQUAL(atomic_load(&staff.starts), THREADS); // Before any job.
    staff_work(&workers, tasks);

    for (uint32_t i = 0; i < THREADS; i++) {
        for (uint32_t mark = 0; mark < THREADS; mark++) {
            seen |= tasks[i].state == &staff.marks[mark] ? 1u << mark : 0;
        }
    }
    CU_ASSERT_EQUAL(seen, (1u << THREADS) - 1);
    CU_ASSERT_EQUAL(atomic_load(&staff.starts), THREADS);
    CU_ASSERT_EQUAL(atomic_load(&staff.stops), THREADS);
    CU_ASSERT_EQUAL(atomic_load(&staff.wrong), 0);
}

static void test_workers_do_not_start_where_one_cannot(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct cmdi_workers workers;
        struct staff staff = {.fails_at = THREADS - 1, .says_why = i == 1};
        struct cmds_error error = CMDS_ERROR_INIT;
        staff_hire(&workers, &staff);

        CU_ASSERT_EQUAL(cmdi_workers_start(&workers, &error), -ENOENT);
        CU_ASSERT_EQUAL(error.code, -ENOENT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, i == 1 ? "no table" : "on_pool_thread_start"));
        cmdi_workers_fini(&workers);

        CU_ASSERT_EQUAL(atomic_load(&staff.starts), THREADS);
        CU_ASSERT_EQUAL(atomic_load(&staff.stops), THREADS - 1);
        CU_ASSERT_EQUAL(atomic_load(&staff.wrong), 0);
    }
}

static void test_workers_that_only_stop_start_when_they_are_needed(void)
{
    struct cmdi_workers workers;
    struct staff staff = {.fails_at = 0};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct task tasks[THREADS];
    staff_hire(&workers, &staff);
    workers.hooks.on_start = NULL;

    CU_ASSERT_EQUAL(cmdi_workers_start(&workers, &error), 0);
    CU_ASSERT_EQUAL(workers.thread_count, 0);
    staff_work(&workers, tasks);

    CU_ASSERT_PTR_NULL(tasks[0].state);
    CU_ASSERT_EQUAL(atomic_load(&staff.stops), THREADS);
}

static CU_TestInfo tests[] = {
        {"workers run as many jobs at once as they may",
                test_workers_run_as_many_jobs_at_once_as_they_may},
        {"workers wake one thread for each job", test_workers_wake_one_thread_for_each_job},
        {"workers run what is queued before they end",
                test_workers_run_what_is_queued_before_they_end},
        {"workers serve servers and connections in turns",
                test_workers_serve_servers_and_connections_in_turns},
        {"workers bound what is piled up", test_workers_bound_what_is_piled_up},
        {"workers never wait all", test_workers_never_wait_all},
        {"workers start a thread for one that waits",
                test_workers_start_a_thread_for_one_that_waits},
        {"workers each have a state of the program", test_workers_each_have_a_state_of_the_program},
        {"workers do not start where one cannot", test_workers_do_not_start_where_one_cannot},
        {"workers that only stop start when they are needed",
                test_workers_that_only_stop_start_when_they_are_needed},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("workers", tests)
