/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out once: one allocation of the library fails, the one with that number. Try them all:
 *
 *     for (bool failed = true; failed; number++) {
 *         scarce_fail_at(number);
 *         ... what is tried
 *         failed = scarce_has_failed();
 *     }
 *
 * A test of it is linked with --wrap for malloc, calloc and realloc. One thread.
 */
#ifndef CMDI_TESTS_SUPPORT_SCARCE_H
#define CMDI_TESTS_SUPPORT_SCARCE_H

#include <stdbool.h>

/** From here on the allocation with that number fails, the first is 1. */
void scarce_fail_at(unsigned long number);
/** None fails from here on. Returns: was there one with that number at all? */
bool scarce_has_failed(void);

#endif
