/* SPDX-License-Identifier: MIT */
/*
 * Locks as programs have them from libc, led here by the linker (--wrap).
 *
 * A lock is libc's own, which nobody but one real thread ever asks for: taken, it is somebody else's of
 * the world, and whoever wants it waits in the world. So one that was taken outside, or before the world
 * began, is the same one inside. Each lock and unlock is a place where threads change over.
 *
 * As to libc they are all one thread, who holds what is kept here: a recursive mutex is another's all the
 * same, and what a process holds that is killed is free for whoever shares it, and in its next life.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/assert.h"
#include "sim/libc.h"
#include "sim/lock.h"
#include "sim/scheduler.h"
#include "sim/world.h"

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_mutex_clocklock(
        pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_trywrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_clocklock(
        pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);

/* --- Who holds what --------------------------------------------------------------------------- */

struct held {
    void *lock;
    const struct cmdi_sim_crew *crew;
    const struct cmdi_sim_thread *holder; // NULL: it has ended.
    uint32_t depth;
    bool is_rwlock;
};
/* Few at a time: the last ones are the next to go. */
static struct {
    struct held *table;
    uint32_t count, capacity;
} locks;

static void held_add(void *lock, bool is_rwlock)
{
    if (locks.count == locks.capacity) {
        locks.capacity = locks.capacity > 0 ? locks.capacity * 2 : 64;
        locks.table = cmdi_sim_realloc(locks.table, locks.capacity * sizeof(*locks.table));
    }
    locks.table[locks.count++] = (struct held){.lock = lock,
            .crew = cmdi_sim_crew(),
            .holder = cmdi_sim_thread(),
            .depth = 1,
            .is_rwlock = is_rwlock};
}

static void held_remove(struct held *held)
{
    *held = locks.table[--locks.count];
    if (locks.count == 0) {
        cmdi_sim_free(locks.table);
        locks.table = NULL;
        locks.capacity = 0;
    }
}

/* Of the holders of an rwlock, the caller before any other. */
static struct held *held_find(const void *lock)
{
    struct held *found = NULL;
    for (uint32_t i = locks.count; i > 0; i--) {
        struct held *held = &locks.table[i - 1];
        if (held->lock == lock) {
            found = held;
        }
        if (held->lock == lock && held->holder == cmdi_sim_thread()) {
            break;
        }
    }
    return found;
}

static int held_unlock(const struct held *held)
{
    return held->is_rwlock ? __real_pthread_rwlock_unlock(held->lock)
                           : __real_pthread_mutex_unlock(held->lock);
}

void cmdi_sim_locks_forget(const void *memory, size_t size)
{
    for (uint32_t i = locks.count; i > 0; i--) {
        uintptr_t offset = (uintptr_t)locks.table[i - 1].lock - (uintptr_t)memory;
        if (offset < size) {
            held_remove(&locks.table[i - 1]);
        }
    }
}

bool cmdi_sim_locks_any(void)
{
    return locks.count > 0;
}

void cmdi_sim_locks_leave(const struct cmdi_sim_thread *thread)
{
    cmdi_sim_locks_forget(thread->fiber.stack, thread->fiber.size);
    for (uint32_t i = 0; i < locks.count; i++) {
        if (locks.table[i].holder == thread) {
            locks.table[i].holder = NULL;
        }
    }
}

void cmdi_sim_locks_drop(const struct cmdi_sim_crew *crew)
{
    for (uint32_t i = locks.count; i > 0; i--) {
        struct held held = locks.table[i - 1];
        if (held.crew != crew) {
            continue;
        }
        for (uint32_t k = 0; k < held.depth; k++) {
            (void)held_unlock(&held);
        }
        (void)cmdi_sim_wake_on(held.lock, UINT32_MAX);
        held_remove(&locks.table[i - 1]);
    }
}

/* Outside: libc would wait for a thread that does not run until this one goes on. */
static void held_must_not_be(const void *lock)
{
    if (cmdi_sim_has_worlds() && held_find(lock) != NULL) {
        cmdi_die("the simulation: a lock that a thread of the world holds is asked for outside of "
                 "it");
    }
}

/* --- Mutexes ---------------------------------------------------------------------------------- */

/* By whoever holds it: one of a kind that counts, or that says so, or it waits for itself. */
static int lock_again(pthread_mutex_t *mutex, struct held *held)
{
    static const struct timespec past;
    int code = __real_pthread_mutex_timedlock(mutex, &past);
    held->depth += code == 0;
    return code;
}

/* Is it of a kind that only its holder may unlock? */
static bool lock_knows_holder(pthread_mutex_t *mutex)
{
    static const struct timespec past;
    int code = __real_pthread_mutex_timedlock(mutex, &past);
    if (code == 0) {
        (void)__real_pthread_mutex_unlock(mutex);
    }
    return code == 0 || code == EDEADLK;
}

static int lock_try(pthread_mutex_t *mutex)
{
    struct held *held = locks.count > 0 ? held_find(mutex) : NULL;
    if (held != NULL) {
        int code = held->holder == cmdi_sim_thread() ? lock_again(mutex, held) : EBUSY;
        return code == ETIMEDOUT ? EBUSY : code;
    }
    int code = __real_pthread_mutex_trylock(mutex);
    if (code == 0) {
        held_add(mutex, false);
    }
    return code;
}

int cmdi_sim_lock(pthread_mutex_t *mutex, uint64_t until_ns)
{
    int code = 0;
    while ((code = lock_try(mutex)) == EBUSY) {
        const struct held *held = locks.count > 0 ? held_find(mutex) : NULL;
        bool own = held != NULL && held->holder == cmdi_sim_thread();
        const char *what = own ? "a lock that it holds itself" : "a lock";
        if (!cmdi_sim_wait_on(mutex, until_ns, what)) {
            return ETIMEDOUT;
        }
    }
    return code;
}

int cmdi_sim_unlock(pthread_mutex_t *mutex)
{
    struct held *held = locks.count > 0 ? held_find(mutex) : NULL;
    if (held != NULL && held->holder != cmdi_sim_thread() && lock_knows_holder(mutex)) {
        return EPERM;
    }
    int code = __real_pthread_mutex_unlock(mutex);
    if (held != NULL && code == 0 && --held->depth > 0) {
        return 0;
    }
    if (held != NULL && code == 0) {
        held_remove(held);
    }
    (void)cmdi_sim_wake_on(mutex, 1);
    return code;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (cmdi_sim_thread() == NULL) {
        held_must_not_be(mutex);
        return __real_pthread_mutex_lock(mutex);
    }
    cmdi_sim_yield();
    return cmdi_sim_lock(mutex, CMDI_SIM_NEVER);
}

int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_pthread_mutex_timedlock(mutex, until);
    }
    cmdi_sim_yield();
    return cmdi_sim_lock(mutex, cmdi_sim_time_of(until));
}

int __wrap_pthread_mutex_clocklock(
        pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_pthread_mutex_clocklock(mutex, clock, until);
    }
    cmdi_sim_yield();
    return cmdi_sim_lock(mutex, cmdi_sim_time_of(until));
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_pthread_mutex_trylock(mutex);
    }
    cmdi_sim_yield();
    int code = lock_try(mutex);
    return code == EDEADLK ? EBUSY : code;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (cmdi_sim_thread() == NULL) {
        held_must_not_be(mutex);
        return __real_pthread_mutex_unlock(mutex);
    }
    int code = cmdi_sim_unlock(mutex);
    cmdi_sim_yield();
    return code;
}

/* --- Locks of readers and writers ------------------------------------------------------------- */

static int rwlock_take(pthread_rwlock_t *lock, int (*try_lock)(pthread_rwlock_t *lock))
{
    int code = 0;
    cmdi_sim_yield();
    while ((code = try_lock(lock)) == EBUSY) {
        (void)cmdi_sim_wait_on(lock, CMDI_SIM_NEVER, "a lock of readers and writers");
    }
    if (code == 0) {
        held_add(lock, true);
    }
    return code;
}

static int rwlock_try(pthread_rwlock_t *lock, int (*try_lock)(pthread_rwlock_t *lock))
{
    bool inside = cmdi_sim_thread() != NULL;
    cmdi_sim_yield();
    int code = try_lock(lock);
    if (inside && code == 0) {
        held_add(lock, true);
    }
    return code;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    if (cmdi_sim_thread() == NULL) {
        held_must_not_be(lock);
        return __real_pthread_rwlock_rdlock(lock);
    }
    return rwlock_take(lock, __real_pthread_rwlock_tryrdlock);
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    if (cmdi_sim_thread() == NULL) {
        held_must_not_be(lock);
        return __real_pthread_rwlock_wrlock(lock);
    }
    return rwlock_take(lock, __real_pthread_rwlock_trywrlock);
}

int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
    return rwlock_try(lock, __real_pthread_rwlock_tryrdlock);
}

int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
    return rwlock_try(lock, __real_pthread_rwlock_trywrlock);
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    int code = __real_pthread_rwlock_unlock(lock);
    if (cmdi_sim_thread() == NULL) {
        return code;
    }
    struct held *held = held_find(lock);
    if (held != NULL && code == 0) {
        held_remove(held);
    }
    (void)cmdi_sim_wake_on(lock, UINT32_MAX);
    cmdi_sim_yield();
    return code;
}
