/* SPDX-License-Identifier: MIT */
/* The last words of a process whose own invariant is broken. */
#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void cmdi_assert_failed(const char *fact, const char *file, int line)
{
    (void)fprintf(stderr, "cmdstream: internal error: %s is false (%s:%d)\n", fact, file, line);
    abort();
}

void cmdi_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("cmdstream: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputs("\n", stderr);
    va_end(list);
    abort();
}
