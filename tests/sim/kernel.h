/* SPDX-License-Identifier: MIT */
/*
 * A kernel of arrays in place of src/ring: sockets are queues in memory, a ring completes what can be
 * completed when it is entered, and the clock stands until the test moves it. One thread; nothing
 * ever sleeps. It is here to show that the seam holds, and says so if anything else is asked for.
 */
#ifndef CMDI_TESTS_SIM_KERNEL_H
#define CMDI_TESTS_SIM_KERNEL_H

#include <stdint.h>

/** Sockets that are open now. */
uint32_t kernel_open_count(void);
/** Entered rings, and bytes that were sent, since the program began. */
uint64_t kernel_enter_count(void);
uint64_t kernel_sent_size(void);

#endif
