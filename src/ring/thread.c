/* SPDX-License-Identifier: MIT */
/*
 * The library's threads, and what becomes of them in a child that was forked.
 *
 * Signals that are sent to the process are the program's business, on its own threads: ours block
 * them. Those that a fault raises in the thread itself are never blocked, since the kernel then
 * ends the process without asking the program's handler. fork copies the mask of its caller: a
 * child that was made on one of our threads is given an empty one.
 */
#include "ring/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum {
    THREAD_STACK_SIZE_LEAST = 1024 * 1024, // musl gives 128 KiB, for callbacks of any program.
};

struct thread_start {
    void *(*fn)(void *argument);
    void *argument;
};

static _Thread_local bool thread_is_ours;
static _Atomic uint32_t thread_forks;
static void (*_Atomic thread_in_child)(void);
static pthread_once_t thread_watch_once = PTHREAD_ONCE_INIT;
static int thread_watch_code;

static void *thread_main(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    thread_is_ours = true;
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

/* --- fork ------------------------------------------------------------------------------------- */

static void thread_on_fork(void)
{
    atomic_fetch_add(&thread_forks, 1);
    if (thread_is_ours) {
        sigset_t none;
        (void)sigemptyset(&none);
        (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    }
    void (*in_child)(void) = atomic_load(&thread_in_child);
    in_child();
}

static void thread_watch(void)
{
    thread_watch_code = -pthread_atfork(NULL, NULL, thread_on_fork);
}

int cmdi_fork_watch(void (*in_child)(void))
{
    atomic_store(&thread_in_child, in_child); // The same each time.
    (void)pthread_once(&thread_watch_once, thread_watch);
    return thread_watch_code;
}

uint32_t cmdi_fork_count(void)
{
    return atomic_load_explicit(&thread_forks, memory_order_relaxed);
}
