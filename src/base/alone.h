/* SPDX-License-Identifier: MIT */
/*
 * A number that one thread writes and any may read: each value is read whole. So an addition needs no
 * locked instruction, only one that the compiler neither tears nor leaves out.
 */
#ifndef CMDI_BASE_ALONE_H
#define CMDI_BASE_ALONE_H

#include <stdint.h>

/** `more` to what only the caller's thread writes. */
static inline void cmdi_alone_add(uint64_t *number, uint64_t more)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    // GCC makes three instructions of the two accesses below, and there are some twenty of them a command.
    __asm__("addq %1, %0" : "+m"(*number) : "er"(more) : "cc");
#else
    __atomic_store_n(number, *number + more, __ATOMIC_RELAXED);
#endif
}

#endif
