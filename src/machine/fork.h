/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a child that was forked: the library's threads and rings are its parent's.
 */
#ifndef CMDI_MACHINE_FORK_H
#define CMDI_MACHINE_FORK_H

#include <stdint.h>

/**
 * From now on forks are counted, and `in_child` (the same one in every call) runs in each child of
 * fork(2), on its only thread. Returns: 0; -ENOMEM.
 */
int cmdi_fork_register(void (*in_child)(void));
/** How often this process was forked since: whoever remembers another number is of a parent. */
uint32_t cmdi_fork_count(void);
/**
 * The calling thread blocks signals for the library's sake: a child that is forked on it blocks none.
 */
void cmdi_fork_unblocks_signals(void);

#endif
