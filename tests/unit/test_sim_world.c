/* SPDX-License-Identifier: MIT */
/*
 * Worlds: processes that start, end, are killed, stalled and asked to end; runs that fail, and say so;
 * the same seed, and another one. A world whose faults outlive their time, whose killed processes leave
 * something behind, or that takes a failure for a success would prove nothing about anybody.
 */
#include <cmdstream/sim.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "sim/process.h"
#include "support/harness.h"
#include "support/sim_runs.h"

/* --- What the tests share --------------------------------------------------------------------- */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int main_sleep(void *context)
{
    cmds_sim_sleep_ms(*(uint32_t *)context);
    return 0;
}

static int main_daemon(void *context)
{
    uint32_t *ended = context;
    cmds_sim_wait_stop();
    ++*ended;
    return cmds_sim_stopping() ? 0 : 1;
}

/* --- Runs ------------------------------------------------------------------------------------- */

static void test_sim_world_ends_daemons_last(void)
{
    uint32_t ended = 0, ms = 3600 * 1000;
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    options.time_max_ms = 2 * ms;
    struct cmds_sim *sim = NULL;
    struct cmds_sim_report report;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    (void)add(sim, "daemon", true, main_daemon, &ended);
    (void)add(sim, "hour", false, main_sleep, &ms);

    int code = finish(sim, &report, NULL, 0);

    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(ended, 1);
    CU_ASSERT(report.time_ns >= 3600 * UINT64_C(1000000000));
}

static int main_of_three(void *context)
{
    (void)context;
    return 3;
}

static void test_sim_world_tells_a_main_that_failed(void)
{
    char text[256];
    struct cmds_sim *sim = open_world(77, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "shop", false, main_of_three, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

    CU_ASSERT_STRING_EQUAL(text, "seed 77: the main function of shop returned 3");
}

static int main_fails(void *context)
{
    bool *went_on = context;
    cmds_sim_fail(cmds_sim_current(), "%d seats are sold twice", 2);
    cmds_sim_fail(cmds_sim_current(), "another failure");
    cmds_sim_sleep_ms(1);
    *went_on = true;
    return 1;
}

static void test_sim_world_tells_the_first_failure(void)
{
    char text[256];
    bool went_on = false;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "shop", false, main_fails, &went_on);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

    CU_ASSERT_STRING_EQUAL(text, "seed 1: 2 seats are sold twice");
    CU_ASSERT(!went_on);
}

static pthread_mutex_t dead_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t dead_cond = PTHREAD_COND_INITIALIZER;

static int main_waits_for_ever(void *context)
{
    (void)context;
    (void)pthread_mutex_lock(&dead_lock);
    (void)pthread_cond_wait(&dead_cond, &dead_lock);
    return 1;
}

static void test_sim_world_tells_a_deadlock(void)
{
    char text[256];
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "stuck", false, main_waits_for_ever, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

    CU_ASSERT_STRING_EQUAL(text, "seed 1: nobody can go on: every thread waits for another");
}

static void test_sim_world_tells_a_run_without_end(void)
{
    char text[256];
    uint32_t ms = 60001;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "late", false, main_sleep, &ms);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

    CU_ASSERT_STRING_EQUAL(text, "seed 1: it is not over after 60000 ms of its time");
}

/* Threads that race for a lock: their order is a matter of the seed. */
struct race {
    pthread_mutex_t lock;
    uint32_t order, count;
};
struct racer {
    struct race *race;
    uint32_t number;
};

static void *race_run(void *argument)
{
    struct racer *racer = argument;
    for (uint32_t i = 0; i < 20; i++) {
        (void)pthread_mutex_lock(&racer->race->lock);
        racer->race->order = racer->race->order * 31 + racer->number;
        racer->race->count++;
        (void)pthread_mutex_unlock(&racer->race->lock);
    }
    return NULL;
}

static int main_race(void *context)
{
    struct race *race = context;
    struct racer racers[4];
    pthread_t threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        racers[i] = (struct racer){race, i + 1};
        if (pthread_create(&threads[i], NULL, race_run, &racers[i]) != 0) {
            return 1;
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    cmds_sim_note(cmds_sim_current(), "order %u", race->order);
    return race->count == 80 ? 0 : 1;
}

static uint64_t race_hash(uint64_t seed, uint32_t *order)
{
    struct race race = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "race", false, main_race, &race);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    *order = race.order;
    return report.hash;
}

static void test_sim_world_repeats_a_seed_and_no_other(void)
{
    uint32_t first = 0, again = 0, other = 0;

    uint64_t first_hash = race_hash(5, &first);
    uint64_t again_hash = race_hash(5, &again);
    uint64_t other_hash = race_hash(6, &other);

    CU_ASSERT_EQUAL(first_hash, again_hash);
    CU_ASSERT_EQUAL(first, again);
    CU_ASSERT_NOT_EQUAL(first_hash, other_hash);
    CU_ASSERT_NOT_EQUAL(first, other);
}

static void test_sim_world_refuses_what_it_cannot_be(void)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_program program = CMDS_SIM_PROGRAM_INIT("one", main_of_three);
    struct cmds_sim *sim = NULL, *second = NULL;
    options.faults = CMDS_SIM_ALL_FAULTS + 1;
    CU_ASSERT_EQUAL(cmds_sim_open(&sim, &options, NULL), -EINVAL);
    options.faults = CMDS_SIM_ALL_FAULTS;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);

    CU_ASSERT_EQUAL(cmds_sim_open(&second, &options, NULL), -EBUSY);
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, NULL, NULL), 0);
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, NULL, NULL), -EEXIST);
    program.name = "a name";
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, NULL, NULL), -EINVAL);
    program.name = "two";
    program.main = NULL;
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, NULL, NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(cmds_sim_current());

    cmds_sim_close(sim); // Without a run.
    cmds_sim_close(NULL);
}

/* --- Processes -------------------------------------------------------------------------------- */

static void *thread_sleeps(void *argument)
{
    (void)argument;
    cmds_sim_sleep_ms(1000 * 1000);
    return NULL;
}

static void *thread_ends(void *argument)
{
    return argument;
}

static int leave_things(void)
{
    static void *volatile kept; // So that the compiler cannot leave out what nobody frees.
    pthread_t thread;
    kept = malloc(100);
    kept = calloc(1, 23);
    int code = pthread_create(&thread, NULL, thread_ends, NULL); // Nobody joins it.
    cmds_sim_sleep_ms(1);
    return kept != NULL && code == 0 ? pthread_create(&thread, NULL, thread_sleeps, NULL) : -1;
}

static int main_leaves(void *context)
{
    (void)context;
    char *map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *whole = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || whole == MAP_FAILED) {
        return -1;
    }
    (void)munmap(map, 4096);
    (void)munmap(map + 12288, 4096);
    (void)munmap(whole, 4096);
    return leave_things();
}

static void test_sim_process_is_asked_what_it_left(void)
{
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "leaves", false, main_leaves, NULL);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT_EQUAL(report.blocks_left, 3);
    CU_ASSERT_EQUAL(report.bytes_left, 123 + 8192);
    CU_ASSERT_EQUAL(report.threads_left, 2);
    CU_ASSERT_EQUAL(report.files_left, 0);
}

struct victim {
    struct cmds_sim_process *process;
    uint32_t starts, went_on;
    bool kills_itself;
};

static int main_victim(void *context)
{
    struct victim *victim = context; // Survives, as a disk does.
    victim->starts++;
    if (victim->starts > 1) {
        cmds_sim_wait_stop();
        return 0;
    }
    if (leave_things() != 0) {
        return 1;
    }
    if (victim->kills_itself) {
        cmds_sim_kill(cmds_sim_self());
    } else {
        cmds_sim_sleep_ms(1000);
    }
    victim->went_on++;
    return 0;
}

static int main_killer(void *context)
{
    struct victim *victim = context;
    cmds_sim_sleep_ms(10);
    if (!victim->kills_itself) {
        bool ran = cmds_sim_is_running(victim->process);
        cmds_sim_kill(victim->process);
        cmds_sim_kill(victim->process);
        if (!ran) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(10);
    if (cmds_sim_is_running(victim->process) ||
            cmdi_sim_memory_of(&victim->process->crew).count > 0) {
        return 2;
    }
    cmds_sim_restart(victim->process);
    cmds_sim_restart(victim->process);
    cmds_sim_sleep_ms(10);
    return cmds_sim_is_running(victim->process) && cmds_sim_start_count(victim->process) == 2 ? 0
                                                                                              : 3;
}

static void check_kill(bool kills_itself)
{
    struct victim victim = {.kills_itself = kills_itself};
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(3, CMDS_SIM_NO_FAULTS);
    victim.process = add(sim, "victim", true, main_victim, &victim);
    (void)add(sim, "killer", false, main_killer, &victim);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT_EQUAL(victim.starts, 2);
    CU_ASSERT_EQUAL(victim.went_on, 0);
    CU_ASSERT_EQUAL(report.blocks_left, 0); // It was the kernel that cleared up.
    CU_ASSERT_EQUAL(report.threads_left, 0);
}

static void test_sim_process_is_killed_and_starts_again(void)
{
    check_kill(false);
}

static void test_sim_process_kills_itself(void)
{
    check_kill(true);
}

static int main_power_cut(void *context)
{
    struct victim *victim = context;
    cmds_sim_sleep_ms(1);
    bool ran = cmds_sim_is_running(victim[0].process) && cmds_sim_is_running(victim[1].process);
    cmds_sim_power_off(victim[0].process);
    bool off = victim[0].process->host->is_off;
    cmds_sim_restart(victim[0].process); // At once: behind its end.
    cmds_sim_sleep_ms(1);
    bool one = cmds_sim_is_running(victim[0].process) && !cmds_sim_is_running(victim[1].process);
    return ran && one && off && !victim[0].process->host->is_off ? 0 : 1;
}

static void test_sim_process_loses_power_with_its_host(void)
{
    struct victim victims[2] = {{0}};
    struct cmds_sim *sim = open_world(3, CMDS_SIM_NO_FAULTS);
    struct cmds_sim_program program = CMDS_SIM_PROGRAM_INIT("one", main_victim);
    program.host = "box";
    program.daemon = true;
    program.context = &victims[0];
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, &victims[0].process, NULL), 0);
    program.name = "two";
    program.context = &victims[1];
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, &victims[1].process, NULL), 0);
    (void)add(sim, "cutter", false, main_power_cut, victims);
    CU_ASSERT_STRING_EQUAL(cmds_sim_address(victims[0].process), "10.0.0.1");
    CU_ASSERT_STRING_EQUAL(cmds_sim_address(victims[1].process), "10.0.0.1");

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(victims[0].starts, 2);
    CU_ASSERT_EQUAL(victims[1].starts, 1);
}

/* Looks at the clock each ms; the longest time between two looks, and the last gap of that kind. */
struct ticker {
    struct cmds_sim_process *process;
    uint64_t gap_max_ms, gap_end_ms;
    uint32_t ticks, ticks_max, starts;
};

static int main_tick(void *context)
{
    struct ticker *ticker = context;
    ticker->starts++;
    uint64_t last_ms = clock_ms(CLOCK_MONOTONIC);
    while (ticker->ticks < ticker->ticks_max && !cmds_sim_stopping()) {
        struct timespec ms = {0, 1000000};
        (void)nanosleep(&ms, NULL);
        uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
        ticker->gap_max_ms =
                now_ms - last_ms > ticker->gap_max_ms ? now_ms - last_ms : ticker->gap_max_ms;
        ticker->gap_end_ms = now_ms - last_ms > 5 ? now_ms : ticker->gap_end_ms;
        last_ms = now_ms;
        ticker->ticks++;
    }
    return 0;
}

static int main_stall(void *context)
{
    struct ticker *ticker = context;
    cmds_sim_sleep_ms(10);
    cmds_sim_stall(ticker->process, 50);
    cmds_sim_stall(ticker->process, 20); // Shorter: the first holds.
    cmds_sim_sleep_ms(5);
    uint32_t ticks = ticker->ticks;
    cmds_sim_sleep_ms(40);
    return ticker->ticks == ticks ? 0 : 1;
}

static void test_sim_process_stands_still(void)
{
    struct ticker ticker = {.ticks_max = 100};
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    ticker.process = add(sim, "ticker", false, main_tick, &ticker);
    (void)add(sim, "staller", false, main_stall, &ticker);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(ticker.ticks, 100);
    CU_ASSERT(ticker.gap_max_ms >= 50 && ticker.gap_max_ms <= 53);
}

static int main_stalls_itself(void *context)
{
    uint64_t *gap_ms = context;
    uint64_t before_ms = clock_ms(CLOCK_MONOTONIC);
    cmds_sim_stall(cmds_sim_self(), 30);
    *gap_ms = clock_ms(CLOCK_MONOTONIC) - before_ms;
    return 0;
}

static void test_sim_process_stalls_itself(void)
{
    uint64_t gap_ms = 0;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "self", false, main_stalls_itself, &gap_ms);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT(gap_ms >= 29 && gap_ms <= 31);
}

static int main_heals(void *context)
{
    struct ticker *ticker = context;
    cmds_sim_sleep_ms(10);
    cmds_sim_stall(ticker->process, 10000);
    cmds_sim_sleep_ms(20);
    cmds_sim_heal(cmds_sim_current());
    return 0;
}

static void test_sim_process_goes_on_when_healed(void)
{
    struct ticker ticker = {.ticks_max = 100};
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    ticker.process = add(sim, "ticker", false, main_tick, &ticker);
    (void)add(sim, "healer", false, main_heals, &ticker);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT(ticker.gap_max_ms >= 19 && ticker.gap_max_ms <= 23);
}

/* --- Faults that are drawn -------------------------------------------------------------------- */

static int main_outlives(void *context)
{
    struct ticker *tickers = context;
    cmds_sim_sleep_ms(11000); // The faults are over after 10 s.
    for (uint32_t i = 0; i < 2; i++) {
        if (!cmds_sim_is_running(tickers[i].process)) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(1000);
    return 0;
}

static void test_sim_faults_befall_daemons_and_end_in_time(void)
{
    uint32_t starts = 0, drawn = 0, stalls = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct ticker tickers[2] = {{.ticks_max = UINT32_MAX}, {.ticks_max = UINT32_MAX}};
        struct ticker test = {.ticks_max = 11500};
        struct cmds_sim_report report;
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_RESTARTS | CMDS_SIM_STALLS);
        tickers[0].process = add(sim, "one", true, main_tick, &tickers[0]);
        tickers[1].process = add(sim, "two", true, main_tick, &tickers[1]);
        (void)add(sim, "test", false, main_tick, &test);
        (void)add(sim, "outlives", false, main_outlives, tickers);

        CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

        CU_ASSERT_EQUAL(test.starts, 1);
        for (uint32_t i = 0; i < 2; i++) { // It is 1 s when the world begins.
            CU_ASSERT(tickers[i].gap_end_ms <= 11002);
            starts += tickers[i].starts;
            stalls += tickers[i].gap_max_ms > 5;
        }
        drawn += report.faults_drawn;
    }
    CU_ASSERT(drawn > 50);
    CU_ASSERT(starts > 20);
    CU_ASSERT(stalls > 5);
}

static int main_jumps(void *context)
{
    (void)context;
    uint64_t mono_ms = clock_ms(CLOCK_MONOTONIC), wall_ms = clock_ms(CLOCK_REALTIME);
    time_t seconds = time(NULL);
    cmds_sim_jump_wall_clock(cmds_sim_current(), -3600 * 1000);
    bool kept = clock_ms(CLOCK_MONOTONIC) - mono_ms <= 1;
    uint64_t back_ms = wall_ms - clock_ms(CLOCK_REALTIME);
    return kept && back_ms >= 3600 * 1000 - 1 && back_ms <= 3600 * 1000 &&
                           seconds - time(NULL) >= 3599
                   ? 0
                   : 1;
}

static void test_sim_world_has_a_time_of_day_that_jumps(void)
{
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "jumps", false, main_jumps, NULL);
    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
}

static CU_TestInfo test_sim_world[] = {
        {"a world ends daemons last", test_sim_world_ends_daemons_last},
        {"a world tells a main that failed", test_sim_world_tells_a_main_that_failed},
        {"a world tells the first failure", test_sim_world_tells_the_first_failure},
        {"a world tells a deadlock", test_sim_world_tells_a_deadlock},
        {"a world tells a run without end", test_sim_world_tells_a_run_without_end},
        {"a world repeats a seed, and no other", test_sim_world_repeats_a_seed_and_no_other},
        {"a world refuses what it cannot be", test_sim_world_refuses_what_it_cannot_be},
        {"a process is asked what it left", test_sim_process_is_asked_what_it_left},
        {"a process is killed and starts again", test_sim_process_is_killed_and_starts_again},
        {"a process kills itself", test_sim_process_kills_itself},
        {"a process loses power with its host", test_sim_process_loses_power_with_its_host},
        {"a process stands still", test_sim_process_stands_still},
        {"a process stalls itself", test_sim_process_stalls_itself},
        {"a process goes on when healed", test_sim_process_goes_on_when_healed},
        {"faults befall daemons, and end in time", test_sim_faults_befall_daemons_and_end_in_time},
        {"a world has a time of day that jumps", test_sim_world_has_a_time_of_day_that_jumps},
        CU_TEST_INFO_NULL,
};

CMDI_TEST_MAIN("sim_world", test_sim_world)
