/* SPDX-License-Identifier: MIT */
/*
 * What every file of this library wants, and the core keeps to itself: this library stands on public
 * headers alone. Any thread; nothing here keeps state.
 */
#ifndef CMDI_ADMIN_COMMON_H
#define CMDI_ADMIN_COMMON_H

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

/* Always on. */
#define CMDI_ADMIN_ASSERT(fact)                                                                    \
    ((fact) ? (void)0 : cmdi_admin_broken(#fact, __FILE_NAME__, __LINE__))
#ifndef __FILE_NAME__ // gcc before 12.
#define __FILE_NAME__ __FILE__
#endif

/** Says so on stderr, and aborts. */
__attribute__((noreturn, cold)) void cmdi_admin_broken(
        const char *fact, const char *file, int line);

/**
 * Records the first failure; control characters of what is named become '?'. Owner: borrows. Returns:
 * `code`.
 */
int cmdi_admin_fail(struct cmds_error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/**
 * A thread of this library writes and reads numbers with a point, whatever locale the program has set. Gives: for
 * cmdi_admin_locale_leave(), as the last thing that the thread does. Without memory it is the program's.
 */
locale_t cmdi_admin_locale_enter(void);
void cmdi_admin_locale_leave(locale_t locale);

/** CLOCK_MONOTONIC. */
uint64_t cmdi_admin_now_ns(void);

#endif
