/* SPDX-License-Identifier: MIT */
/* Conditions and semaphores as programs have them from libc, led here by the linker (--wrap). */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "sim/libc.h"
#include "sim/lock.h"
#include "sim/scheduler.h"
#include "sim/world.h"

enum {
    CONDITION_WAKES_FOR_NOTHING_ONE_IN = 100, // Under CMDS_SIM_KERNEL.
};

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
        clockid_t clock, const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *condition);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __real_sem_wait(sem_t *semaphore);
int __real_sem_trywait(sem_t *semaphore);
int __real_sem_timedwait(sem_t *semaphore, const struct timespec *until);
int __real_sem_post(sem_t *semaphore);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
        clockid_t clock, const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_sem_wait(sem_t *semaphore);
int __wrap_sem_trywait(sem_t *semaphore);
int __wrap_sem_timedwait(sem_t *semaphore, const struct timespec *until);
int __wrap_sem_post(sem_t *semaphore);

static bool is_inside(void)
{
    return cmdi_sim_thread() != NULL;
}

/* --- Conditions ------------------------------------------------------------------------------- */

/* POSIX lets a wait end for no reason: whoever does not look again is found out. */
static int condition_wait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until_ns, const char *what)
{
    int code = cmdi_sim_unlock(mutex);
    if (code != 0) {
        return code;
    }
    bool woken = true;
    if (cmdi_sim_befalls(
                CMDS_SIM_KERNEL, CMDI_CHANCE_SCHEDULE, CONDITION_WAKES_FOR_NOTHING_ONE_IN)) {
        cmdi_sim_yield();
    } else {
        woken = cmdi_sim_wait_on(condition, until_ns, what);
    }
    code = cmdi_sim_lock(mutex, CMDI_SIM_NEVER);
    return code != 0 ? code : woken ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (!is_inside()) {
        return __real_pthread_cond_wait(condition, mutex);
    }
    return condition_wait(condition, mutex, CMDI_SIM_NEVER, "a condition");
}

int __wrap_pthread_cond_timedwait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!is_inside()) {
        return __real_pthread_cond_timedwait(condition, mutex, until);
    }
    return condition_wait(condition, mutex, cmdi_sim_time_of(until), "a condition, or a time");
}

/* The one that C++ waits by. */
int __wrap_pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
        clockid_t clock, const struct timespec *until)
{
    if (!is_inside()) {
        return __real_pthread_cond_clockwait(condition, mutex, clock, until);
    }
    return condition_wait(condition, mutex, cmdi_sim_time_of(until), "a condition, or a time");
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
    if (!is_inside()) {
        return __real_pthread_cond_signal(condition);
    }
    (void)cmdi_sim_wake_on(condition, 1);
    cmdi_sim_yield();
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
    if (!is_inside()) {
        return __real_pthread_cond_broadcast(condition);
    }
    (void)cmdi_sim_wake_on(condition, UINT32_MAX);
    cmdi_sim_yield();
    return 0;
}

/* --- Semaphores ------------------------------------------------------------------------------- */

static int semaphore_take(sem_t *semaphore, uint64_t until_ns)
{
    cmdi_sim_yield();
    while (__real_sem_trywait(semaphore) != 0) {
        if (errno == EAGAIN && !cmdi_sim_wait_on(semaphore, until_ns, "a semaphore")) {
            errno = ETIMEDOUT;
        }
        if (errno != EAGAIN) {
            return -1;
        }
    }
    return 0;
}

int __wrap_sem_wait(sem_t *semaphore)
{
    return is_inside() ? semaphore_take(semaphore, CMDI_SIM_NEVER) : __real_sem_wait(semaphore);
}

int __wrap_sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    return is_inside() ? semaphore_take(semaphore, cmdi_sim_time_of(until))
                       : __real_sem_timedwait(semaphore, until);
}

int __wrap_sem_trywait(sem_t *semaphore)
{
    cmdi_sim_yield();
    return __real_sem_trywait(semaphore);
}

int __wrap_sem_post(sem_t *semaphore)
{
    int code = __real_sem_post(semaphore);
    if (is_inside()) {
        (void)cmdi_sim_wake_on(semaphore, 1);
        cmdi_sim_yield();
    }
    return code;
}
