/* SPDX-License-Identifier: MIT */
/*
 * A stack of its own for each thread of the world, and the change from one to another: a few
 * instructions, where ucontext(3) makes two system calls (340 ns there and back, against 10).
 */
#ifndef CMDI_SIM_FIBER_H
#define CMDI_SIM_FIBER_H

#include <stddef.h>

struct cmdi_fiber {
    void *top;         // Where its registers lie while it does not run.
    void *memory;      // The stack, if it is ours; NULL: the loop's.
    const void *stack; // The lowest address.
    size_t size;       // Of it.
    void *shadow;      // Of the address sanitizer.
    void (*fn)(void *argument);
    void *argument;
};

/** The loop's own: there is nothing to make. */
void cmdi_fiber_init_loop(struct cmdi_fiber *fiber);
/** When it is first entered, fn(argument) runs on a stack of that size. It must not return. */
void cmdi_fiber_init(
        struct cmdi_fiber *fiber, size_t stack_size, void (*fn)(void *argument), void *argument);
/** It does not run, and never will again. */
void cmdi_fiber_fini(struct cmdi_fiber *fiber);
/** Leaves the one that runs, and enters the other. Returns when somebody enters `from`. */
void cmdi_fiber_switch(struct cmdi_fiber *from, struct cmdi_fiber *to);
/** Stacks that were kept for the next fiber are given back. */
void cmdi_fiber_trim(void);

#endif
