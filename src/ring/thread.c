/* SPDX-License-Identifier: MIT */
/*
 * The library's threads, and how they wait for each other.
 *
 * Signals that are sent to the process are the program's business, on its own threads: ours block
 * them. Those that a fault raises in the thread itself are never blocked, since the kernel then
 * ends the process without asking the program's handler.
 */
#include "ring/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/time.h"
#include "machine/fork.h"

enum {
    THREAD_STACK_SIZE_LEAST = 1024 * 1024, // musl gives 128 KiB, for callbacks of any program.
    THREAD_NAME_MAX = 15,                  // As many bytes as the kernel keeps.
};

_Thread_local void *cmdi_thread_owned;

uint64_t cmdi_pid(void)
{
    return (uint64_t)getpid();
}

uint64_t cmdi_process_memlock(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? (uint64_t)limit.rlim_cur : 0;
}

uintptr_t cmdi_thread_self(void)
{
    return (uintptr_t)&cmdi_thread_owned;
}

uint64_t cmdi_process_next_number(void)
{
    static _Atomic uint64_t count;
    return atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1;
}

struct thread_start {
    void *(*fn)(void *argument);
    void *argument;
};

static void *thread_main(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    cmdi_fork_unblocks_signals();
    return start.fn(start.argument);
}

static void thread_block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        (void)sigdelset(&blocked, faults[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &blocked, before);
}

static int thread_set_stack(pthread_attr_t *attributes, size_t size)
{
    size_t usual = 0;
    if (size == 0) {
        (void)pthread_attr_getstacksize(attributes, &usual); // Cannot fail: both are good.
        size = usual > THREAD_STACK_SIZE_LEAST ? usual : THREAD_STACK_SIZE_LEAST;
    }
    return pthread_attr_setstacksize(attributes, size);
}

int cmdi_thread_start(pthread_t *thread, void *(*fn)(void *argument), void *argument,
        const char *name, size_t stack_size)
{
    CMDI_ASSERT(fn != NULL && strlen(name) <= THREAD_NAME_MAX);
    struct thread_start *start = malloc(sizeof(*start));
    pthread_attr_t attributes;
    pthread_t started;
    sigset_t before;
    int code = start != NULL ? pthread_attr_init(&attributes) : ENOMEM;
    if (code != 0) {
        free(start);
        return -code;
    }
    *start = (struct thread_start){fn, argument};
    code = thread_set_stack(&attributes, stack_size);
    if (code == 0) {
        thread_block_signals(&before);
        code = pthread_create(&started, &attributes, thread_main, start);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    if (code != 0) {
        free(start);
        return -code;
    }
    (void)pthread_setname_np(started, name); // Only for those who look.
    if (thread != NULL) {
        *thread = started;
    } else {
        (void)pthread_detach(started);
    }
    return 0;
}

void cmdi_thread_join(pthread_t thread)
{
    int code = pthread_join(thread, NULL);
    CMDI_ASSERT(code == 0); // It is joined once, and by another thread.
}

/* --- Futex ------------------------------------------------------------------------------------ */

void cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {
            .tv_sec = (time_t)(timeout_ns / CMDI_NS_PER_S),
            .tv_nsec = (long)(timeout_ns % CMDI_NS_PER_S),
    };
    /*
     * Every way to return is one that the caller expects: woken, changed, timed out, interrupted.
     */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
            timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

void cmdi_futex_wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
