/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a child that was forked.
 *
 * fork copies the mask of blocked signals of its caller: a child that was made on one of our threads
 * is given an empty one.
 */
#include "machine/fork.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static _Thread_local bool fork_thread_blocks_signals;
static _Atomic uint32_t fork_count;
static void (*_Atomic fork_in_child)(void);
static pthread_once_t fork_register_once = PTHREAD_ONCE_INIT;
static int fork_register_code;

void cmdi_fork_unblocks_signals(void)
{
    fork_thread_blocks_signals = true;
}

static void fork_happened(void)
{
    atomic_fetch_add(&fork_count, 1);
    if (fork_thread_blocks_signals) {
        sigset_t none;
        (void)sigemptyset(&none);
        (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    }
    void (*in_child)(void) = atomic_load(&fork_in_child);
    in_child();
}

static void fork_register(void)
{
    fork_register_code = -pthread_atfork(NULL, NULL, fork_happened);
}

int cmdi_fork_register(void (*in_child)(void))
{
    atomic_store(&fork_in_child, in_child); // The same each time.
    (void)pthread_once(&fork_register_once, fork_register);
    return fork_register_code;
}

uint32_t cmdi_fork_count(void)
{
    return atomic_load_explicit(&fork_count, memory_order_relaxed);
}
