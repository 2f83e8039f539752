/* SPDX-License-Identifier: MIT */
/*
 * Threads and locks of programs, as the linker leads them into a world. To libc all threads of a world
 * are one: what it keeps for each thread, who holds a lock, who a thread is, errno, has to be kept apart,
 * and a thread that is killed must not take anything along that others wait for.
 */
#include <cmdstream/sim.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    THREADS = 3,
    ROUNDS = 40,
};

/* Each of the threads of a process runs this. Returns: 0. */
static int run_threads(void *(*fn)(void *argument), void *argument)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, fn, argument) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return 0;
}

/* --- Who holds a lock --------------------------------------------------------------------------- */

struct guard {
    pthread_mutex_t mutex;
    uint32_t inside, broken, refused;
};

static void guard_init(struct guard *guard, int type)
{
    pthread_mutexattr_t attributes;
    *guard = (struct guard){.inside = 0};
    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_settype(&attributes, type);
    (void)pthread_mutex_init(&guard->mutex, &attributes);
}

static void *guard_pass(void *argument)
{
    struct guard *guard = argument;
    for (int i = 0; i < ROUNDS; i++) {
        (void)pthread_mutex_lock(&guard->mutex);
        guard->broken += pthread_mutex_lock(&guard->mutex) != 0; // Once more.
        guard->broken += guard->inside++ != 0;
        (void)usleep(10);
        guard->inside--;
        (void)pthread_mutex_unlock(&guard->mutex);
        guard->broken += guard->inside != 0; // It is still its own.
        (void)sched_yield();
        guard->broken += guard->inside != 0;
        (void)pthread_mutex_unlock(&guard->mutex);
    }
    return NULL;
}

static int main_guard(void *context)
{
    return run_threads(guard_pass, context);
}

static void test_sim_threads_pass_a_recursive_mutex_one_by_one(void)
{
    struct guard guard;
    guard_init(&guard, PTHREAD_MUTEX_RECURSIVE);
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "guard", false, main_guard, &guard);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(guard.broken, 0);
}

static void *checking_unlocks(void *argument)
{
    struct guard *guard = argument;
    guard->refused += pthread_mutex_unlock(&guard->mutex) == EPERM;
    guard->refused += pthread_mutex_trylock(&guard->mutex) == EBUSY;
    return NULL;
}

static int main_checking(void *context)
{
    struct guard *guard = context;
    (void)pthread_mutex_lock(&guard->mutex);
    guard->refused += pthread_mutex_lock(&guard->mutex) == EDEADLK;
    int code = run_threads(checking_unlocks, guard);
    return code + pthread_mutex_unlock(&guard->mutex);
}

static void test_sim_threads_are_told_of_their_mistakes(void)
{
    struct guard guard;
    guard_init(&guard, PTHREAD_MUTEX_ERRORCHECK);
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "checking", false, main_checking, &guard);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(guard.refused, 1 + 2 * THREADS);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void *rwlock_write(void *argument)
{
    struct guard *guard = argument;
    for (int i = 0; i < ROUNDS; i++) {
        guard->broken += pthread_rwlock_wrlock(&rwlock) != 0 || guard->inside++ != 0;
        (void)usleep(5);
        guard->inside--;
        (void)pthread_rwlock_unlock(&rwlock);
        guard->broken += pthread_rwlock_rdlock(&rwlock) != 0 || guard->inside != 0;
        (void)usleep(5);
        guard->broken += guard->inside != 0;
        (void)pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

static int main_rwlock(void *context)
{
    return run_threads(rwlock_write, context);
}

static void test_sim_threads_write_alone(void)
{
    struct guard guard = {.inside = 0};
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "rwlock", false, main_rwlock, &guard);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(guard.broken, 0);
}

static sem_t semaphore;

static void *semaphore_pass(void *argument)
{
    struct guard *guard = argument;
    for (int i = 0; i < ROUNDS; i++) {
        (void)sem_wait(&semaphore);
        guard->broken += ++guard->inside > 2;
        (void)usleep(10);
        guard->inside--;
        (void)sem_post(&semaphore);
    }
    return NULL;
}

static int main_semaphore(void *context)
{
    return run_threads(semaphore_pass, context);
}

static void test_sim_threads_wait_for_a_semaphore(void)
{
    struct guard guard = {.inside = 0};
    (void)sem_init(&semaphore, 0, 2);
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "semaphore", false, main_semaphore, &guard);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(guard.broken, 0);
}

/* --- What a killed thread leaves ---------------------------------------------------------------- */

static pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cmds_sim_process *left_by;

static int main_holds(void *context)
{
    ++*(uint32_t *)context;
    (void)pthread_mutex_lock(&left_lock);
    cmds_sim_sleep_ms(50);
    (void)pthread_mutex_unlock(&left_lock);
    cmds_sim_wait_stop();
    return 0;
}

static int main_kills_the_holder(void *context)
{
    (void)context;
    cmds_sim_sleep_ms(30);
    cmds_sim_kill(left_by);
    cmds_sim_sleep_ms(30);
    cmds_sim_restart(left_by);
    cmds_sim_sleep_ms(30);
    int code = pthread_mutex_trylock(&left_lock) == EBUSY ? 0 : 1; // Its next life has it.
    return code + pthread_mutex_lock(&left_lock) + pthread_mutex_unlock(&left_lock);
}

static void test_sim_threads_lock_what_a_killed_one_held(void)
{
    uint32_t lives = 0;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    left_by = add(sim, "holder", true, main_holds, &lives);
    (void)add(sim, "killer", false, main_kills_the_holder, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(lives, 2);
    CU_ASSERT_EQUAL(pthread_mutex_trylock(&left_lock), 0); // Nor is it held behind the world's end.
    (void)pthread_mutex_unlock(&left_lock);
}

static int main_unlocks_and_kills(void *context)
{
    (void)context;
    (void)pthread_mutex_lock(&left_lock);
    cmds_sim_sleep_ms(30);
    (void)pthread_mutex_unlock(&left_lock);
    cmds_sim_kill(left_by);
    return 0;
}

static int main_wants(void *context)
{
    cmds_sim_sleep_ms(*(uint32_t *)context);
    return pthread_mutex_lock(&left_lock) + pthread_mutex_unlock(&left_lock);
}

static void test_sim_threads_hand_on_a_wake_that_a_killed_one_had(void)
{
    uint32_t first = 5, second = 10;
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(20); seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
        (void)add(sim, "owner", false, main_unlocks_and_kills, NULL);
        left_by = add(sim, "first", false, main_wants, &first);
        (void)add(sim, "second", false, main_wants, &second);

        CU_ASSERT_EQUAL_FATAL(finish(sim, NULL, NULL, 0), 0);
    }
}

struct boxed {
    pthread_mutex_t lock;
    uint8_t more[40];
};

static int main_frees_what_is_locked(void *context)
{
    (void)context;
    for (int i = 0; i < ROUNDS; i++) { // Often at the same address.
        struct boxed *boxed = calloc(1, sizeof(*boxed));
        if (boxed == NULL || pthread_mutex_init(&boxed->lock, NULL) != 0 ||
                pthread_mutex_lock(&boxed->lock) != 0) {
            return 1;
        }
        free(boxed);
    }
    return 0;
}

static void test_sim_threads_forget_locks_that_were_freed(void)
{
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "frees", false, main_frees_what_is_locked, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
}

/* --- What each thread has of its own ------------------------------------------------------------ */

struct own {
    uint32_t next, mixed;
    pthread_t seen[THREADS];
};

static void *own_errno(void *argument)
{
    struct own *own = argument;
    int mine = (int)++own->next;
    for (int i = 0; i < ROUNDS; i++) {
        errno = mine;
        (void)usleep(1);
        (void)sched_yield();
        own->mixed += errno != mine;
    }
    return NULL;
}

static int main_errno(void *context)
{
    return run_threads(own_errno, context);
}

static void test_sim_threads_have_an_errno_each(void)
{
    struct own own = {.next = 0};
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "errno", false, main_errno, &own);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(own.mixed, 0);
}

static void *own_self(void *argument)
{
    struct own *own = argument;
    own->seen[own->next++] = pthread_self();
    (void)usleep(10);
    return NULL;
}

static void *own_exit(void *argument)
{
    (void)pthread_setname_np(pthread_self(), "gives up");
    pthread_exit(argument);
}

static int main_self(void *context)
{
    struct own *own = context;
    pthread_t thread;
    void *result = NULL;
    if (run_threads(own_self, own) != 0 || pthread_create(&thread, NULL, own_exit, own) != 0) {
        return 1;
    }
    own->mixed += pthread_join(pthread_self(), NULL) != EDEADLK;
    (void)pthread_join(thread, &result);
    return result == own ? 0 : 1;
}

static void test_sim_threads_know_themselves_and_end(void)
{
    struct own own = {.next = 0};
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "self", false, main_self, &own);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);

    CU_ASSERT_EQUAL(own.next, THREADS);
    CU_ASSERT_EQUAL(own.mixed, 0);
    CU_ASSERT(!pthread_equal(own.seen[0], own.seen[1]) && !pthread_equal(own.seen[1], own.seen[2]));
}

struct early {
    pthread_t thread;
    uint32_t count;
};

static void *early_looks(void *argument)
{
    struct early *early = argument;
    early->count += early->thread == 0;
    return NULL;
}

static int main_early(void *context)
{
    struct early *early = context;
    early->thread = 0;
    return pthread_create(&early->thread, NULL, early_looks, early) != 0 ||
           pthread_join(early->thread, NULL) != 0;
}

static void test_sim_threads_may_run_before_they_are_known(void)
{
    struct early early = {.count = 0};
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(100); seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
        (void)add(sim, "early", false, main_early, &early);
        CU_ASSERT_EQUAL_FATAL(finish(sim, NULL, NULL, 0), 0);
    }

    CU_ASSERT(early.count > 0 && early.count < 100);
}

static int main_exits(void *context)
{
    exit(*(int *)context);
}

static void test_sim_threads_end_their_process_by_exit(void)
{
    char text[256];
    int status = 0;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "exits", false, main_exits, &status);
    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    status = 3;
    sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "exits", false, main_exits, &status);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

    CU_ASSERT_STRING_EQUAL(text, "seed 1: the main function of exits returned 3");
}

static void (*const exits_at_once[])(int status) = {_exit, _Exit, quick_exit};

static int main_exits_at_once(void *context)
{
    exits_at_once[*(const size_t *)context](4);
    return 0;
}

/* By libc's own the whole run would be over, with whatever status the program had in mind. */
static void test_sim_threads_end_their_process_alone_at_once(void)
{
    for (size_t i = 0; i < sizeof(exits_at_once) / sizeof(exits_at_once[0]); i++) {
        char text[256];
        struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
        (void)add(sim, "exits", false, main_exits_at_once, &i);

        CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

        CU_ASSERT_STRING_EQUAL(text, "seed 1: the main function of exits returned 4");
    }
}

static void *stack_uses(void *argument)
{
    volatile uint8_t room[6 * 1024 * 1024]; // A thread of the machine has 8 MiB.
    memset((uint8_t *)(uintptr_t)room, 1, sizeof(room));
    (void)usleep(1);
    return room[4096] == 1 ? NULL : argument;
}

static int main_uses_its_stack(void *context)
{
    (void)context;
    return run_threads(stack_uses, &rwlock) != 0 || stack_uses(&rwlock) != NULL;
}

static void test_sim_threads_have_room_on_their_stacks(void)
{
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "stack", false, main_uses_its_stack, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
}

/* --- Time --------------------------------------------------------------------------------------- */

static int main_sleeps_an_hour(void *context)
{
    (void)context;
    return (int)sleep(3000) + (int)sleep(600);
}

static void test_sim_threads_sleep_in_the_time_of_the_world(void)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim *sim = NULL;
    struct cmds_sim_report report;
    options.time_max_ms = 7200 * 1000;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    (void)add(sim, "hour", false, main_sleeps_an_hour, NULL);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT(report.time_ns >= 3600 * UINT64_C(1000000000));
}

static bool passed_ms(uint64_t *since_ns, uint64_t ms)
{
    uint64_t before_ns = *since_ns;
    *since_ns = cmds_sim_now_ns(cmds_sim_current());
    uint64_t passed_ns = *since_ns - before_ns;
    return passed_ns >= ms * 1000000 && passed_ns < (ms + 5) * 1000000;
}

/* Returns: which of the ways to see the time, or to let it pass, goes past the world. */
static int main_sees_time(void *context)
{
    pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER, lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec now, second = {.tv_sec = 1};
    struct timeval day;
    uint64_t since_ns = cmds_sim_now_ns(cmds_sim_current());
    time_t begun = time(NULL);
    (void)context;
    if (gettimeofday(&day, NULL) != 0 || day.tv_sec != begun) {
        return 1;
    }
    if (timespec_get(&now, TIME_UTC) != TIME_UTC || now.tv_sec != begun) {
        return 2;
    }
    if (clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL) != 0 || !passed_ms(&since_ns, 1000)) {
        return 3;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_sec += 1;
    if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL) != 0 ||
            !passed_ms(&since_ns, 1000)) {
        return 4;
    }
    now.tv_sec += 1;
    (void)pthread_mutex_lock(&lock);
    if (pthread_cond_clockwait(&condition, &lock, CLOCK_MONOTONIC, &now) != ETIMEDOUT ||
            !passed_ms(&since_ns, 1000)) {
        return 5;
    }
    now.tv_sec += 1;
    (void)pthread_mutex_lock(&taken);
    if (pthread_mutex_clocklock(&taken, CLOCK_MONOTONIC, &now) != ETIMEDOUT ||
            !passed_ms(&since_ns, 1000)) {
        return 6;
    }
    return 0;
}

static int main_asks_until_a_second_is_over(void *context)
{
    time_t begun = time(NULL);
    while (time(NULL) == begun) {
    }
    return context != NULL;
}

static void test_sim_threads_see_no_other_time(void)
{
    char text[256];
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "time", false, main_sees_time, NULL);
    (void)add(sim, "asks", false, main_asks_until_a_second_is_over, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), 0);

    CU_ASSERT_STRING_EQUAL(text, "");
}

static pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t late_condition = PTHREAD_COND_INITIALIZER;

static int main_waits_for_nothing(void *context)
{
    uint32_t *for_nothing = context;
    struct timespec until = {0};
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    (void)pthread_mutex_lock(&late_lock);
    while (pthread_cond_timedwait(&late_condition, &late_lock, &until) == 0) {
        ++*for_nothing;
    }
    (void)pthread_mutex_unlock(&late_lock);
    return 0;
}

static void test_sim_threads_may_wake_for_nothing(void)
{
    uint32_t for_nothing = 0;
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(400); seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_KERNEL);
        (void)add(sim, "late", false, main_waits_for_nothing, &for_nothing);
        CU_ASSERT_EQUAL_FATAL(finish(sim, NULL, NULL, 0), 0);
    }

    CU_ASSERT(for_nothing > 0);
}

/* --- The one who watches ------------------------------------------------------------------------ */

static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;

static void watch_event(void *context, const char *text)
{
    (void)pthread_mutex_lock(&watch_lock);
    char *copy = malloc(strlen(text) + 1);
    if (copy != NULL) {
        strcpy(copy, text);
    }
    *(uint32_t *)context += cmds_sim_current() != NULL || copy == NULL;
    free(copy);
    (void)pthread_mutex_unlock(&watch_lock);
}

static void *watched_notes(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        cmds_sim_note(argument, "round %d", i);
        free(malloc(1));
        (void)sched_yield();
    }
    return NULL;
}

static int main_watched(void *context)
{
    (void)context;
    (void)run_threads(watched_notes, cmds_sim_current());
    return 0;
}

static uint64_t watched_hash(void (*on_event)(void *context, const char *text), uint32_t *inside)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim *sim = NULL;
    struct cmds_sim_report report;
    options.seed = 3;
    options.faults = CMDS_SIM_MEMORY | CMDS_SIM_STALLS;
    options.on_event = on_event;
    options.event_context = inside;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    (void)add(sim, "one", false, main_watched, NULL);
    (void)add(sim, "other", false, main_watched, NULL);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    return report.hash;
}

static void test_sim_threads_run_the_same_when_watched(void)
{
    uint32_t inside = 0;

    uint64_t alone = watched_hash(NULL, NULL);

    CU_ASSERT_EQUAL(watched_hash(watch_event, &inside), alone);
    CU_ASSERT_EQUAL(inside, 0);
}

static void *beside(void *argument)
{
    for (int i = 0; i < 20000; i++) {
        free(malloc(64));
    }
    return argument;
}

static int main_beside(void *context)
{
    for (int i = 0; i < 20000; i++) {
        free(malloc(64));
        if (i % 50 == 0) {
            (void)sched_yield();
        }
    }
    return context != NULL;
}

static void test_sim_threads_of_the_machine_are_outside(void)
{
    pthread_t real;
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "beside", false, main_beside, NULL);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&real, NULL, beside, NULL), 0);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    (void)pthread_join(real, NULL);
    CU_ASSERT_EQUAL(report.blocks_left, 0);
}

static CU_TestInfo test_sim_threads[] = {
        {"threads pass a recursive mutex one by one",
                test_sim_threads_pass_a_recursive_mutex_one_by_one},
        {"threads are told of their mistakes", test_sim_threads_are_told_of_their_mistakes},
        {"threads write alone", test_sim_threads_write_alone},
        {"threads wait for a semaphore", test_sim_threads_wait_for_a_semaphore},
        {"threads lock what a killed one held", test_sim_threads_lock_what_a_killed_one_held},
        {"threads hand on a wake that a killed one had",
                test_sim_threads_hand_on_a_wake_that_a_killed_one_had},
        {"threads forget locks that were freed", test_sim_threads_forget_locks_that_were_freed},
        {"threads have an errno each", test_sim_threads_have_an_errno_each},
        {"threads know themselves and end", test_sim_threads_know_themselves_and_end},
        {"threads may run before they are known", test_sim_threads_may_run_before_they_are_known},
        {"threads have room on their stacks", test_sim_threads_have_room_on_their_stacks},
        {"threads end their process by exit", test_sim_threads_end_their_process_by_exit},
        {"threads end their process alone at once",
                test_sim_threads_end_their_process_alone_at_once},
        {"threads sleep in the time of the world", test_sim_threads_sleep_in_the_time_of_the_world},
        {"threads see no other time", test_sim_threads_see_no_other_time},
        {"threads may wake for nothing", test_sim_threads_may_wake_for_nothing},
        {"threads run the same when watched", test_sim_threads_run_the_same_when_watched},
        {"threads of the machine are outside", test_sim_threads_of_the_machine_are_outside},
        CU_TEST_INFO_NULL,
};

CMDI_TEST_MAIN("sim_threads", test_sim_threads)
