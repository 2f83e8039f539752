/* SPDX-License-Identifier: MIT */
/*
 * Who goes to sleep while something comes: a shard and its mailbox, a thread of the pool and its queue. What
 * may go wrong: it sleeps over it. Each time the next one comes as soon as the last one was seen, when the
 * thread is on its way to sleep; and nothing else would wake it.
 */
#include <string.h>

#include <cmdstream/cmdstream.h>

#include "shard/workers.h"
#include "sim/world.h"
#include "support/sim_runs.h"

enum {
    SEEDS = 20,
    TIMES = 300,
    LONG_NS = 100 * 1000,
    LOOK_NS = 50,
    GUARD_NS = 10 * 1000 * 1000, // Of the world.
};

static _Atomic uint32_t seen;
static uint32_t missed;

/* Waits for what was given as number `times`. Returns: it was seen. */
static bool is_seen(uint32_t times)
{
    uint64_t until_ns = cmdi_sim_now() + GUARD_NS;
    while (seen < times && cmdi_sim_now() < until_ns) {
        cmdi_sim_sleep(LOOK_NS, "a test");
    }
    missed += seen < times;
    return seen >= times;
}

static void in_worlds(int (*program_main)(void *context))
{
    missed = 0;
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct cmds_sim_report report;
        struct cmds_sim *sim = open_world(seed, 0);
        (void)add(sim, "one", false, program_main, NULL);
        seen = 0;
        CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
        CU_ASSERT_EQUAL(report.blocks_left + report.files_left + report.threads_left, 0);
    }
    CU_ASSERT_EQUAL(missed, 0);
}

/* --- A shard ---------------------------------------------------------------------------------- */

static void see(void *context)
{
    (void)context;
    seen++;
}

static int main_posts(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    (void)context;
    options.shard_count = 1;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    for (uint32_t i = 1; i <= TIMES && code == 0; i++) {
        code = cmds_runtime_post(runtime, 0, see, NULL);
        if (code == 0 && !is_seen(i)) {
            break;
        }
    }
    cmds_runtime_stop(runtime);
    return code;
}

static void test_sim_wakes_a_shard_sees_what_is_posted(void)
{
    in_worlds(main_posts);
}

/* Together as long as many steps: what one of them has no time for is left for the next. */
static void see_slowly(void *context)
{
    cmdi_sim_sleep(LONG_NS, "a test");
    see(context);
}

static int main_leaves(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    (void)context;
    options.shard_count = 1;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    for (uint32_t i = 1; i <= TIMES && code == 0; i++) {
        code = cmds_runtime_post(runtime, 0, see_slowly, NULL);
    }
    cmdi_sim_sleep((TIMES + 100) * (uint64_t)LONG_NS, "a test");
    missed += seen < TIMES;
    cmds_runtime_stop(runtime);
    return code;
}

static void test_sim_wakes_a_shard_sees_what_a_long_step_has_left(void)
{
    in_worlds(main_leaves);
}

/* --- The pool --------------------------------------------------------------------------------- */

static void run_job(struct cmdi_job *job)
{
    (void)job;
    seen++;
}

static int main_pushes(void *context)
{
    struct cmdi_workers workers;
    struct cmdi_job_lane lane;
    struct cmdi_job_queue queue;
    struct cmdi_job jobs[TIMES] = {{.fn = NULL}};
    (void)context;
    int code = cmdi_workers_init(&workers, 1, TIMES);
    cmdi_job_lane_init(&lane);
    cmdi_job_queue_init(&queue, &lane);
    for (uint32_t i = 0; i < TIMES && code == 0; i++) {
        jobs[i].fn = run_job;
        code = cmdi_workers_push(&workers, &queue, &jobs[i]);
        if (code == 0 && !is_seen(i + 1)) {
            break;
        }
    }
    cmdi_workers_fini(&workers);
    return code;
}

static void test_sim_wakes_the_pool_sees_what_is_pushed(void)
{
    in_worlds(main_pushes);
}

static CU_TestInfo tests[] = {
        {"a shard sees what is posted", test_sim_wakes_a_shard_sees_what_is_posted},
        {"a shard sees what a long step has left",
                test_sim_wakes_a_shard_sees_what_a_long_step_has_left},
        {"the pool sees what is pushed", test_sim_wakes_the_pool_sees_what_is_pushed},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_wakes", tests)
