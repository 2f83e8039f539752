/* SPDX-License-Identifier: MIT */
/*
 * Threads of the library, and the futex on which they wait for each other. A lock is pthread_mutex_t:
 * memory, which asks nothing of the kernel where there is one thread.
 */
#ifndef CMDI_RING_THREAD_H
#define CMDI_RING_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/** What a thread of the library keeps for itself: the shard that it runs, or NULL. Of src/shard alone. */
extern _Thread_local void *cmdi_thread_owned;
/** Who the calling thread is: another number for each one that lives. Thread: any. */
uintptr_t cmdi_thread_self(void);
/** Of this process. Thread: any. */
uint64_t cmdi_pid(void);
/** RLIMIT_MEMLOCK of this process, bytes, which all of its user's share; 0: unknown. Thread: any. */
uint64_t cmdi_process_memlock(void);
/** 1, 2, 3 and so on: each number once in the life of a process. Thread: any. */
uint64_t cmdi_process_next_number(void);

/**
 * Starts a thread that blocks the signals that are sent to a process, and none of those that a fault
 * of its own raises. `thread` NULL: it is detached. `name` has at most 15 bytes. `stack_size` 0: the
 * system's default, at least 1 MiB. Returns: 0; -errno.
 */
int cmdi_thread_start(pthread_t *thread, void *(*fn)(void *argument), void *argument,
        const char *name, size_t stack_size);
/** Waits until the thread has returned. Once for each that was not detached. */
void cmdi_thread_join(pthread_t thread);

/**
 * Sleeps while *word is `expected`, at most so long (UINT64_MAX: no limit). May wake for no reason.
 */
void cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void cmdi_futex_wake(_Atomic uint32_t *word, int count);

#endif
