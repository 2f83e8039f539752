/* SPDX-License-Identifier: MIT */
/* The library's threads and futexes, see ring/thread.h, as threads of the world. */
#include "ring/thread.h"

#include <errno.h>

#include "base/assert.h"
#include "sim/process.h"
#include "sim/world.h"

enum {
    THREAD_FAILS_ONE_IN = 50,
    THREAD_WAKES_FOR_NOTHING_ONE_IN = 100,
};

_Thread_local void *cmdi_thread_owned;

int cmdi_thread_start(pthread_t *thread, void *(*fn)(void *argument), void *argument,
        const char *name, size_t stack_size)
{
    struct cmdi_sim_crew *crew = cmdi_sim_inside()->crew;
    if (cmdi_sim_befalls(CMDS_SIM_MEMORY, CMDI_CHANCE_MEMORY, THREAD_FAILS_ONE_IN)) {
        return -EAGAIN;
    }
    struct cmdi_sim_thread *made = cmdi_sim_thread_new(crew, fn, argument, name, stack_size);
    if (thread == NULL) {
        cmdi_sim_thread_detach(made);
    }
    cmdi_sim_yield(); // It may run before anybody knows who it is.
    if (thread != NULL) {
        *thread = (pthread_t)(uintptr_t)made;
    }
    return 0;
}

void cmdi_thread_join(pthread_t thread)
{
    (void)cmdi_sim_thread_join((struct cmdi_sim_thread *)(uintptr_t)thread);
}

uint64_t cmdi_pid(void)
{
    return 1; // Nobody in a world asks the system for it.
}

uint64_t cmdi_process_memlock(void)
{
    return UINT64_MAX; // A ring of a world locks nothing.
}

uintptr_t cmdi_thread_self(void)
{
    return (uintptr_t)cmdi_sim_inside();
}

uint64_t cmdi_process_next_number(void)
{
    static uint64_t outside; // Of cmds_test, which needs no world.
    return ++*(cmdi_process() != NULL ? &cmdi_process()->counted : &outside);
}

void cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    (void)cmdi_sim_inside();
    cmdi_sim_yield();
    bool for_nothing = cmdi_sim_befalls(
            CMDS_SIM_KERNEL, CMDI_CHANCE_SCHEDULE, THREAD_WAKES_FOR_NOTHING_ONE_IN);
    if (atomic_load(word) != expected || for_nothing) {
        return;
    }
    uint64_t now_ns = cmdi_sim_now();
    uint64_t until_ns = timeout_ns < CMDI_SIM_NEVER - now_ns ? now_ns + timeout_ns : CMDI_SIM_NEVER;
    (void)cmdi_sim_wait_on((const void *)(uintptr_t)word, until_ns, "a futex");
}

void cmdi_futex_wake(_Atomic uint32_t *word, int count)
{
    CMDI_ASSERT(count > 0);
    (void)cmdi_sim_wake_on((const void *)(uintptr_t)word, (uint32_t)count);
    cmdi_sim_yield();
}
