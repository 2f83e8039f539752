/* SPDX-License-Identifier: MIT */
/*
 * Assertions. CMDI_ASSERT states a fact about our own code and stays in release builds: a broken
 * invariant ends the process with a line that names it, since everything after it would be a guess.
 * CMDI_ASSERT_SLOW is for facts that cost a loop to check; it is there in debug and sanitizer
 * builds.
 */
#ifndef CMDI_BASE_ASSERT_H
#define CMDI_BASE_ASSERT_H

#include <stdnoreturn.h>

#include "base/hint.h"

noreturn void cmdi_assert_failed(const char *fact, const char *file, int line);

/** Not our fault, and yet the end: the kernel took away what everything stands on. printf. */
noreturn void cmdi_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CMDI_ASSERT(fact)                                                                          \
    (CMDI_LIKELY(fact) ? (void)0 : cmdi_assert_failed(#fact, __FILE__, __LINE__))

#ifdef NDEBUG
#define CMDI_ASSERT_SLOW(fact) ((void)0)
#else
#define CMDI_ASSERT_SLOW(fact) CMDI_ASSERT(fact)
#endif

#endif
