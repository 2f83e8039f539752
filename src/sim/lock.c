/* SPDX-License-Identifier: MIT */
/*
 * Locks, conditions and threads as programs have them from libc, led here by the linker (--wrap).
 *
 * A mutex is libc's own, which nobody but one real thread ever asks for: taken, it is somebody else's
 * of the world, and whoever wants it waits in the world. So one that was taken outside, or before the
 * world began, is the same one inside. Each lock and unlock is a place where threads change over.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/libc.h"
#include "sim/scheduler.h"
#include "sim/world.h"

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *condition);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
        void *(*fn)(void *argument), void *argument);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_detach(pthread_t thread);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
        void *(*fn)(void *argument), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_detach(pthread_t thread);

static bool is_inside(void)
{
    return cmdi_sim_thread() != NULL;
}

/* --- Locks ------------------------------------------------------------------------------------ */

static int lock_take(pthread_mutex_t *mutex)
{
    int code = 0;
    while ((code = __real_pthread_mutex_trylock(mutex)) == EBUSY) {
        (void)cmdi_sim_wait_on(mutex, CMDI_SIM_NEVER, "a lock");
    }
    return code;
}

static int lock_give(pthread_mutex_t *mutex)
{
    int code = __real_pthread_mutex_unlock(mutex);
    (void)cmdi_sim_wake_on(mutex, 1);
    return code;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!is_inside()) {
        return __real_pthread_mutex_lock(mutex);
    }
    cmdi_sim_yield();
    return lock_take(mutex);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    cmdi_sim_yield();
    return __real_pthread_mutex_trylock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!is_inside()) {
        return __real_pthread_mutex_unlock(mutex);
    }
    int code = lock_give(mutex);
    cmdi_sim_yield();
    return code;
}

/* --- Conditions ------------------------------------------------------------------------------- */

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (!is_inside()) {
        return __real_pthread_cond_wait(condition, mutex);
    }
    (void)lock_give(mutex);
    (void)cmdi_sim_wait_on(condition, CMDI_SIM_NEVER, "a condition");
    return lock_take(mutex);
}

int __wrap_pthread_cond_timedwait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!is_inside()) {
        return __real_pthread_cond_timedwait(condition, mutex, until);
    }
    (void)lock_give(mutex);
    bool woken = cmdi_sim_wait_on(condition, cmdi_sim_time_of(until), "a condition, or a time");
    int code = lock_take(mutex);
    return code != 0 ? code : woken ? 0 : ETIMEDOUT;
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

/* --- Threads ---------------------------------------------------------------------------------- */

static struct cmdi_sim_thread *thread_of(pthread_t thread)
{
    return (struct cmdi_sim_thread *)(uintptr_t)thread;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
        void *(*fn)(void *argument), void *argument)
{
    if (!is_inside()) {
        return __real_pthread_create(thread, attributes, fn, argument);
    }
    if (cmdi_sim_befalls(CMDS_SIM_MEMORY, CMDI_CHANCE_MEMORY, 50)) {
        return EAGAIN;
    }
    size_t stack_size = 0;
    int detached = PTHREAD_CREATE_JOINABLE;
    if (attributes != NULL) {
        (void)pthread_attr_getstacksize(attributes, &stack_size);
        (void)pthread_attr_getdetachstate(attributes, &detached);
    }
    struct cmdi_sim_thread *made =
            cmdi_sim_thread_new(cmdi_sim_crew(), fn, argument, "thread", stack_size);
    *thread = (pthread_t)(uintptr_t)made;
    if (detached == PTHREAD_CREATE_DETACHED) {
        cmdi_sim_thread_detach(made);
    }
    cmdi_sim_yield();
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    if (!is_inside()) {
        return __real_pthread_join(thread, result);
    }
    void *got = cmdi_sim_thread_join(thread_of(thread));
    if (result != NULL) {
        *result = got;
    }
    return 0;
}

int __wrap_pthread_detach(pthread_t thread)
{
    if (!is_inside()) {
        return __real_pthread_detach(thread);
    }
    cmdi_sim_thread_detach(thread_of(thread));
    return 0;
}
