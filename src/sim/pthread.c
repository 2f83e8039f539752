/* SPDX-License-Identifier: MIT */
/* Threads as programs have them from libc, led here by the linker (--wrap). */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

#include "sim/process.h"

enum {
    PTHREAD_FAILS_ONE_IN = 50, // Under CMDS_SIM_MEMORY.
};

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
        void *(*fn)(void *argument), void *argument);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_detach(pthread_t thread);
pthread_t __real_pthread_self(void);
int __real_pthread_setname_np(pthread_t thread, const char *name);
int __real_pthread_setaffinity_np(pthread_t thread, size_t size, const void *cpus);
noreturn void __real_pthread_exit(void *result);
noreturn void __real_exit(int status);
noreturn void __real__exit(int status);
noreturn void __real__Exit(int status);
noreturn void __real_quick_exit(int status);
int __real_sched_yield(void);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
        void *(*fn)(void *argument), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_detach(pthread_t thread);
pthread_t __wrap_pthread_self(void);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_setaffinity_np(pthread_t thread, size_t size, const void *cpus);
noreturn void __wrap_pthread_exit(void *result);
noreturn void __wrap_exit(int status);
noreturn void __wrap__exit(int status);
noreturn void __wrap__Exit(int status);
noreturn void __wrap_quick_exit(int status);
int __wrap_sched_yield(void);

static bool is_inside(void)
{
    return cmdi_sim_thread() != NULL;
}

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
    if (cmdi_sim_befalls(CMDS_SIM_MEMORY, CMDI_CHANCE_MEMORY, PTHREAD_FAILS_ONE_IN)) {
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
    if (detached == PTHREAD_CREATE_DETACHED) {
        cmdi_sim_thread_detach(made);
    }
    cmdi_sim_yield(); // It may run, and end, before anybody knows who it is.
    *thread = (pthread_t)(uintptr_t)made;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    if (!is_inside()) {
        return __real_pthread_join(thread, result);
    }
    if (thread_of(thread) == cmdi_sim_thread()) {
        return EDEADLK;
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

pthread_t __wrap_pthread_self(void)
{
    return is_inside() ? (pthread_t)(uintptr_t)cmdi_sim_thread() : __real_pthread_self();
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    if (!is_inside()) {
        return __real_pthread_setname_np(thread, name);
    }
    struct cmdi_sim_thread *named = thread_of(thread);
    if (strlen(name) >= sizeof(named->name)) {
        return ERANGE;
    }
    strcpy(named->name, name);
    return 0;
}

/* It makes no difference here. */
int __wrap_pthread_setaffinity_np(pthread_t thread, size_t size, const void *cpus)
{
    return is_inside() ? 0 : __real_pthread_setaffinity_np(thread, size, cpus);
}

noreturn void __wrap_pthread_exit(void *result)
{
    if (!is_inside()) {
        __real_pthread_exit(result);
    }
    cmdi_process_thread_exit(result);
}

noreturn void __wrap_exit(int status)
{
    if (!is_inside()) {
        __real_exit(status);
    }
    cmdi_process_exit(status);
}

/* These as well end the process of the world, and not the run: that would look like one that is well. */
noreturn void __wrap__exit(int status)
{
    if (!is_inside()) {
        __real__exit(status);
    }
    cmdi_process_exit(status);
}

noreturn void __wrap__Exit(int status)
{
    if (!is_inside()) {
        __real__Exit(status);
    }
    cmdi_process_exit(status);
}

noreturn void __wrap_quick_exit(int status)
{
    if (!is_inside()) {
        __real_quick_exit(status);
    }
    cmdi_process_exit(status);
}

int __wrap_sched_yield(void)
{
    if (!is_inside()) {
        return __real_sched_yield();
    }
    cmdi_sim_yield();
    return 0;
}
